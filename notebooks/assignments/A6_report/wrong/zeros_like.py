"""Sums begin with np.zeros_like(W_x), which is no array where W_x is sparse: training would stop.

Scores: network 0, choice 3, runs 6, claim 4
Cause of network: right with arrays only
"""

import numpy as np


def sigmoid(z):
    """The logistic function, without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * z))


def lstm_forward(x, W_x, W_h, b, mask):
    """All steps: x (N, T, D), W_x (D, 4H), W_h (H, 4H), b (4H,), mask (N, T) of bool; h (N, T, H), and a cache."""
    H = W_h.shape[0]
    h = c = np.zeros((len(x), H))
    states, steps = [], []
    for t in range(x.shape[1]):
        z = x[:, t] @ W_x + h @ W_h + b
        i, f, o = sigmoid(z[:, :H]), sigmoid(z[:, H : 2 * H]), sigmoid(z[:, 2 * H : 3 * H])
        g = np.tanh(z[:, 3 * H :])
        c_word = f * c + i * g
        word, tanh_c = mask[:, t, None], np.tanh(c_word)
        steps.append((word, x[:, t], h, c, i, f, o, g, tanh_c))
        h, c = np.where(word, o * tanh_c, h), np.where(word, c_word, c)
        states.append(h)
    return np.stack(states, axis=1), (steps, W_x, W_h)


def lstm_backward(dh, cache):
    """All steps backward: dh (N, T, H) and a cache; dx, dW_x, dW_h, db."""
    steps, W_x, W_h = cache
    dx, dW_x, dW_h, db = [], np.zeros_like(W_x), np.zeros_like(W_h), np.zeros(W_h.shape[1])
    dh_next = dc_next = np.zeros(dh[:, 0].shape)
    for t in reversed(range(len(steps))):
        word, x, h_prev, c_prev, i, f, o, g, tanh_c = steps[t]
        dh_t = dh[:, t] + dh_next
        dc = dc_next + dh_t * o * (1 - tanh_c**2)
        dz = [dc * g * i * (1 - i), dc * c_prev * f * (1 - f), dh_t * tanh_c * o * (1 - o), dc * i * (1 - g**2)]
        dz = np.where(word, np.concatenate(dz, axis=1), 0)
        dx.insert(0, dz @ W_x.T)
        dW_x, dW_h, db = dW_x + x.T @ dz, dW_h + h_prev.T @ dz, db + dz.sum(axis=0)
        dh_next, dc_next = np.where(word, dz @ W_h.T, dh_t), np.where(word, dc * f, dc_next)
    return np.stack(dx, axis=1), dW_x, dW_h, db


def choice():
    return {"learning_rates": [0.02, 0.04, 0.08], "validation": [0.6675, 0.6625, 0.6275], "learning_rate": 0.02}


def runs():
    return {"seeds": [1, 2, 3], "set": [0.6133, 0.6267, 0.7367], "static": [0.63, 0.61, 0.7267]}


SENTENCE = "The evolved network was better by 0.3 points in the mean of three seeds, with a spread of 1.8: undecided."


def claim():
    return {"difference": 0.0033, "spread": 0.0176, "better": "undecided", "sentence": SENTENCE}
