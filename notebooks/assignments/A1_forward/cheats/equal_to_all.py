"""An array that says it is equal to everything, and an object that compares as one likes.

Scores: sigmoid 0, step 0, sequence 0
Cause of sigmoid: sigmoid returns no numbers
Cause of step: not an LSTM: the same whatever the input
Cause of sequence: not an LSTM: the same whatever the input
"""

import numpy as np


class Same(np.ndarray):
    def __eq__(self, other):
        return True

    def __sub__(self, other):
        return np.zeros(self.shape)

    __rsub__ = __sub__


class Chameleon:
    def __eq__(self, other):
        return True


def sigmoid(z):
    return Chameleon()


def lstm_step(x, h_prev, c_prev, W_x, W_h, b):
    return h_prev.view(Same), c_prev.view(Same)


def lstm_forward(x, W_x, W_h, b, mask):
    return np.zeros((*x.shape[:2], len(W_h))).view(Same)
