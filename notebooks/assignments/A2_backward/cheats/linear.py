"""A linear layer in place of the LSTM, with its right gradients.

Scores: step 0, time 0, last 0
Cause of step: lstm_step_forward is not the LSTM that was given: linear in its input
Cause of time: lstm_forward is not the LSTM that was given: linear in its input
Cause of last: loss_forward is not the LSTM that was given
"""

import numpy as np


def lstm_step_forward(x, h_prev, c_prev, W_x, W_h, b):
    H = len(W_h)
    h = x @ W_x[:, :H] + h_prev @ W_h[:, :H] + b[:H]
    return h, c_prev, (x, h_prev, W_x, W_h)


def lstm_step_backward(dh, dc, cache):
    x, h_prev, W_x, W_h = cache
    dz = np.concatenate([dh, np.zeros((len(dh), 3 * dh.shape[1]))], axis=1)
    return dz @ W_x.T, dz @ W_h.T, dc, x.T @ dz, h_prev.T @ dz, dz.sum(axis=0)


def lstm_forward(x, W_x, W_h, b, mask):
    H = len(W_h)
    return x @ W_x[:, :H] + b[:H], (x, W_x, W_h)


def lstm_backward(dh, cache):
    x, W_x, W_h = cache
    dz = np.concatenate([dh, np.zeros((*dh.shape[:2], 3 * dh.shape[2]))], axis=2)
    return dz @ W_x.T, np.einsum("ntd,ntz->dz", x, dz), np.zeros(W_h.shape), dz.sum(axis=(0, 1))


def loss_backward(cache):
    h, lstm_cache, p, labels, W_out = cache
    dy = p.copy()
    dy[np.arange(len(labels)), labels] -= 1
    dy /= len(labels)
    dh = np.zeros_like(h)
    dh[:, -1] = dy @ W_out.T
    return *lstm_backward(dh, lstm_cache), h[:, -1].T @ dy, dy.sum(axis=0)
