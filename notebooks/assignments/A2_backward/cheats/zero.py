"""A constant forward pass, whose gradient is zero.

Scores: step 0, time 0, last 0
Cause of step: lstm_step_forward is not the LSTM that was given: the same whatever the input
Cause of time: lstm_forward is not the LSTM that was given: the same whatever the input
Cause of last: loss_forward is not the LSTM that was given: the same whatever the input
"""

import numpy as np


def lstm_step_forward(x, h_prev, c_prev, W_x, W_h, b):
    return np.ones(h_prev.shape), np.ones(c_prev.shape), (x, h_prev, c_prev, W_x, W_h, b)


def lstm_step_backward(dh, dc, cache):
    return [np.zeros_like(array) for array in cache]


def lstm_forward(x, W_x, W_h, b, mask):
    return np.ones((*mask.shape, len(W_h))), (x, W_x, W_h, b)


def lstm_backward(dh, cache):
    return [np.zeros_like(array) for array in cache]


def loss_forward(x, labels, W_x, W_h, b, W_out, b_out, mask):
    return 1.0, (x, W_x, W_h, b, W_out, b_out)


def loss_backward(cache):
    return [np.zeros_like(array) for array in cache]
