"""The hidden state is set to 0 at padding, and the memory passed on.

Scores: sigmoid 4, step 8, sequence 0
Cause of sequence: h set to 0 at padding
"""

import numpy as np


def sigmoid(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


def lstm_step(x, h_prev, c_prev, W_x, W_h, b):
    H = h_prev.shape[1]
    z = x @ W_x + h_prev @ W_h + b
    i, f, o = sigmoid(z[:, :H]), sigmoid(z[:, H : 2 * H]), sigmoid(z[:, 2 * H : 3 * H])
    g = np.tanh(z[:, 3 * H :])
    c = f * c_prev + i * g
    return o * np.tanh(c), c


def lstm_forward(x, W_x, W_h, b, mask):
    h = c = np.zeros((len(x), len(W_h)))
    states = []
    for t in range(x.shape[1]):
        h_word, c_word = lstm_step(x[:, t], h, c, W_x, W_h, b)
        word = mask[:, t, None]
        h, c = word * h_word, np.where(word, c_word, c)
        states.append(h)
    return np.stack(states, axis=1)
