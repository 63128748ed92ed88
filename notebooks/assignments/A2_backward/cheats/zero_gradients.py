"""The forward pass that is given, and gradients of zero.

Scores: step 0, time 0, last 0
Cause of step: the gradients are zero
Cause of time: the gradients are zero
Cause of last: zero: x, W_x, W_h, b, W_out, b_out
"""

import numpy as np


def lstm_step_backward(dh, dc, cache):
    x, h_prev, c_prev, *_, W_x, W_h = cache
    return [np.zeros(array.shape) for array in (x, h_prev, c_prev, W_x, W_h, W_h[0])]


def lstm_backward(dh, cache):
    mask, steps = cache
    W_x, W_h = steps[0][-2:]
    return [np.zeros((*mask.shape, len(W_x))), np.zeros(W_x.shape), np.zeros(W_h.shape), np.zeros(W_h.shape[1])]


def loss_backward(cache):
    h, lstm_cache, p, labels, W_out = cache
    return *lstm_backward(h, lstm_cache), np.zeros(W_out.shape), np.zeros(W_out.shape[1])
