"""A full matrix: the numbers are right, where it fits into memory.

Scores: product 0, transpose 0, gradient 0
Cause of product: sparse_product needs too much memory
Cause of transpose: sparse_transpose needs too much memory
Cause of gradient: weight_gradient needs too much memory
"""

import numpy as np


def full(rows, cols, values, shape):
    W = np.zeros(shape)
    W[rows, cols] = values
    return W


def sparse_product(x, rows, cols, values, shape):
    return x @ full(rows, cols, values, shape)


def sparse_transpose(rows, cols, values, shape):
    new_rows, new_cols = np.nonzero(full(rows, cols, np.ones(len(rows)), shape).T)
    return new_rows, new_cols, full(rows, cols, values, shape)[new_cols, new_rows], shape[::-1]


def weight_gradient(x, dy, rows, cols):
    return (x.T @ dy)[rows, cols]
