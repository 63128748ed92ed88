"""The package's own layer, imported.

Scores: sigmoid 4, step 0, sequence 0
Cause of step: not allowed: import numpy_setlstm.layers.lstm
Cause of sequence: not allowed: import numpy_setlstm.layers.lstm
Remark: imports numpy_setlstm.layers.lstm.lstm_forward
Remark: imports numpy_setlstm.layers.lstm.lstm_step_forward
Remark: import numpy_setlstm.layers.lstm
"""

import numpy as np

from numpy_setlstm.layers.lstm import lstm_forward as package_forward
from numpy_setlstm.layers.lstm import lstm_step_forward as package_step


def sigmoid(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


def lstm_step(x, h_prev, c_prev, W_x, W_h, b):
    h, c, _ = package_step(x @ W_x + h_prev @ W_h + b, c_prev)
    return h, c


def lstm_forward(x, W_x, W_h, b, mask):
    return package_forward(x, W_x, W_h, b, mask)[0]
