"""Homework 3: an LSTM layer, handed in by a student."""

import numpy as np


def sigmoid(z):
    return (1 + np.tanh(z / 2)) / 2


def lstm_forward(x, W_x, W_h, b):
    N, T, _ = x.shape
    H = W_h.shape[0]
    h, c = np.zeros((N, H)), np.zeros((N, H))
    hs, steps = [], []
    for t in range(T):
        z = x[:, t] @ W_x + h @ W_h + b
        i, f, o, g = sigmoid(z[:, :H]), sigmoid(z[:, H : 2 * H]), sigmoid(z[:, 2 * H : 3 * H]), np.tanh(z[:, 3 * H :])
        steps.append((x[:, t], h, c, i, f, o, g))
        c = f * c + i * g
        h = o * np.tanh(c)
        hs.append(h)
    return np.stack(hs, axis=1), (steps, W_x, W_h)


def lstm_backward(dhs, cache):
    steps, W_x, W_h = cache
    dx, dW_x, dW_h, db = [], np.zeros(W_x.shape), np.zeros(W_h.shape), np.zeros(W_h.shape[1])
    dh_next, dc_next = 0, 0
    for t in reversed(range(len(steps))):
        x, h_prev, c_prev, i, f, o, g = steps[t]
        tanh_c = np.tanh(f * c_prev + i * g)
        dh = dhs[:, t] + dh_next
        dc = dh * o * (1 - tanh_c**2)
        di, df, do, dg = dc * g, dc * c_prev, dh * tanh_c, dc * i
        dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)], axis=1)
        dx.insert(0, dz @ W_x.T)
        dW_x, dW_h, db = dW_x + x.T @ dz, dW_h + h_prev.T @ dz, db + dz.sum(axis=0)
        dh_next, dc_next = dz @ W_h.T, dc * f
    return np.stack(dx, axis=1), dW_x, dW_h, db
