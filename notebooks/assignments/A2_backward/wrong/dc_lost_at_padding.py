"""A padded step passes dh on, and loses dc.

Scores: step 10, time 0, last 6
Cause of time: dc not passed on at padding
"""

import numpy as np


def lstm_step_backward(dh, dc, cache):
    x, h_prev, c_prev, i, f, o, g, tanh_c, W_x, W_h = cache
    do = dh * tanh_c
    dc = dc + dh * o * (1 - tanh_c**2)
    df, di, dg = dc * c_prev, dc * g, dc * i
    dz = np.concatenate([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)], axis=1)
    return dz @ W_x.T, dz @ W_h.T, dc * f, x.T @ dz, h_prev.T @ dz, dz.sum(axis=0)


def lstm_backward(dh, cache):
    mask, steps = cache
    W_x, W_h = steps[0][-2:]
    dx, dW_x, dW_h, db = [], np.zeros(W_x.shape), np.zeros(W_h.shape), np.zeros(W_h.shape[1])
    dh_next = dc_next = np.zeros(dh[:, 0].shape)
    for t in reversed(range(len(steps))):
        dh_t = dh[:, t] + dh_next
        word = mask[:, t, None]
        back = lstm_step_backward(np.where(word, dh_t, 0), np.where(word, dc_next, 0), steps[t])
        dx.insert(0, back[0])
        dh_next = np.where(word, 0, dh_t) + back[1]
        dc_next = back[2]
        dW_x, dW_h, db = dW_x + back[3], dW_h + back[4], db + back[5]
    return np.stack(dx, axis=1), dW_x, dW_h, db


def loss_backward(cache):
    h, lstm_cache, p, labels, W_out = cache
    dy = p.copy()
    dy[np.arange(len(labels)), labels] -= 1
    dy /= len(labels)
    dh = np.zeros_like(h)
    dh[:, -1] = dy @ W_out.T
    return *lstm_backward(dh, lstm_cache), h[:, -1].T @ dy, dy.sum(axis=0)
