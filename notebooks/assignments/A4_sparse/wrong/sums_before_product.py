"""The gradient is the product of two sums over the texts.

Scores: product 8, transpose 6, gradient 0
Cause of gradient: product of sums over the texts
"""

import numpy as np


def sparse_product(x, rows, cols, values, shape):
    y = np.zeros((len(x), shape[1]))
    for n, text in enumerate(x):
        y[n] = np.bincount(cols, text[rows] * values, minlength=shape[1])
    return y


def sparse_transpose(rows, cols, values, shape):
    order = np.lexsort((rows, cols))
    return cols[order], rows[order], values[order], (shape[1], shape[0])


def weight_gradient(x, dy, rows, cols):
    return x.sum(axis=0)[rows] * dy.sum(axis=0)[cols]
