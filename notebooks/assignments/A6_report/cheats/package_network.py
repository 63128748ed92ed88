"""The LSTM is the package's.

Scores: network 0, choice 3, runs 6, claim 4
Cause of network: not allowed: import numpy_setlstm.layers.lstm
Remark: imports numpy_setlstm.layers.lstm.lstm_forward
Remark: imports numpy_setlstm.lstm_backward
Remark: import numpy_setlstm.layers.lstm
"""


def lstm_forward(x, W_x, W_h, b, mask):
    from numpy_setlstm.layers.lstm import lstm_forward as forward

    return forward(x, W_x, W_h, b, mask)


def lstm_backward(dh, cache):
    from numpy_setlstm import lstm_backward as backward

    return backward(dh, cache)


def choice():
    return {"learning_rates": [0.02, 0.04, 0.08], "validation": [0.6675, 0.6625, 0.6275], "learning_rate": 0.02}


def runs():
    return {"seeds": [1, 2, 3], "set": [0.6133, 0.6267, 0.7367], "static": [0.63, 0.61, 0.7267]}


SENTENCE = "The evolved network was better by 0.3 points in the mean of three seeds, with a spread of 1.8: undecided."


def claim():
    return {"difference": 0.0033, "spread": 0.0176, "better": "undecided", "sentence": SENTENCE}
