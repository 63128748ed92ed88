"""A connection whose weight happens to be 0 is thrown away in the transpose.

Scores: product 8, transpose 0, gradient 6
Cause of transpose: connections of weight 0 dropped
"""

import numpy as np


def sparse_product(x, rows, cols, values, shape):
    y = np.zeros((len(x), shape[1]))
    for n, text in enumerate(x):
        y[n] = np.bincount(cols, text[rows] * values, minlength=shape[1])
    return y


def sparse_transpose(rows, cols, values, shape):
    order = [k for k in np.lexsort((rows, cols)) if values[k] != 0]
    return cols[order], rows[order], values[order], shape[::-1]


def weight_gradient(x, dy, rows, cols):
    return np.einsum("nk,nk->k", x[:, rows], dy[:, cols])
