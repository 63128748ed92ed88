"""A linear layer in place of the LSTM.

Scores: sigmoid 4, step 0, sequence 0
Cause of step: not an LSTM: linear in its input
Cause of sequence: not an LSTM: linear in its input
"""

import numpy as np


def sigmoid(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


def lstm_step(x, h_prev, c_prev, W_x, W_h, b):
    H = h_prev.shape[1]
    h = x @ W_x[:, :H] + h_prev @ W_h[:, :H] + b[:H]
    return h, h


def lstm_forward(x, W_x, W_h, b, mask):
    return x @ W_x[:, : len(W_h)] + b[: len(W_h)]
