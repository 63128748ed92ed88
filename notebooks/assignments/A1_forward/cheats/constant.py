"""Arrays of the right shape, always the same.

Scores: sigmoid 0, step 0, sequence 0
Cause of sigmoid: sigmoid(z) is wrong
Cause of step: not an LSTM: the same whatever the input
Cause of sequence: not an LSTM: the same whatever the input
"""

import numpy as np


def sigmoid(z):
    return np.full(np.shape(z), 0.5)


def lstm_step(x, h_prev, c_prev, W_x, W_h, b):
    return np.full(h_prev.shape, 0.1), np.full(c_prev.shape, 0.2)


def lstm_forward(x, W_x, W_h, b, mask):
    return np.full((*x.shape[:2], len(W_h)), 0.1)
