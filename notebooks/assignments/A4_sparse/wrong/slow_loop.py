"""Right, though slow: one connection at a time. That costs nothing.

Scores: product 8, transpose 6, gradient 6
"""

import numpy as np


def sparse_product(x, rows, cols, values, shape):
    y = np.zeros((len(x), shape[1]))
    for i, j, w in zip(rows, cols, values, strict=True):
        y[:, j] += x[:, i] * w
    return y


def sparse_transpose(rows, cols, values, shape):
    sorted_lists = np.array(sorted(zip(cols.tolist(), rows.tolist(), range(len(rows)), strict=True)), int).reshape(
        -1, 3
    )
    return sorted_lists[:, 0], sorted_lists[:, 1], values[sorted_lists[:, 2]], shape[::-1]


def weight_gradient(x, dy, rows, cols):
    return np.einsum("nk,nk->k", x[:, rows], dy[:, cols])
