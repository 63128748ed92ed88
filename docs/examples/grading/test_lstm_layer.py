"""The teacher's test: run `pytest` in the folder of lstm_layer.py, the file that was handed in."""

import lstm_layer
import numpy as np
import pytest

from numpy_setlstm import check_layer


@pytest.mark.parametrize("steps", [1, 5])  # points for one step alone, and for backpropagation through time
def test_gradients(steps):
    rng = np.random.default_rng(steps)
    D, H = 3, 2
    inputs = {"x": rng.normal(size=(4, steps, D))}
    params = {"W_x": rng.normal(size=(D, 4 * H)), "W_h": rng.normal(size=(H, 4 * H)), "b": rng.normal(size=4 * H)}
    check_layer(lstm_layer.lstm_forward, lstm_layer.lstm_backward, inputs, params)
