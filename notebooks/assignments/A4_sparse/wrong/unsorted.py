"""The transpose with its lists in the old order, and a product that counts on neighbors in the lists.

Scores: product 0, transpose 0, gradient 6
Cause of product: sums of neighbors in the lists, unsorted
Cause of transpose: only exchanged, not sorted
"""

import numpy as np


def sparse_product(x, rows, cols, values, shape):
    y = np.zeros((len(x), shape[1]))
    if len(cols):
        starts = np.flatnonzero(np.diff(cols, prepend=-1))
        y[:, cols[starts]] = np.add.reduceat(x[:, rows] * values, starts, axis=1)
    return y


def sparse_transpose(rows, cols, values, shape):
    return cols, rows, values, shape[::-1]


def weight_gradient(x, dy, rows, cols):
    return np.einsum("nk,nk->k", x[:, rows], dy[:, cols])
