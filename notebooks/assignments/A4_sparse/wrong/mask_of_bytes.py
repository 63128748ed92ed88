"""A mask of single bytes, in which each column looks for its connections: even this does not fit into memory.

Scores: product 0, transpose 6, gradient 0
Cause of product: sparse_product needs too much memory
Cause of gradient: weight_gradient needs too much memory
"""

import numpy as np


def sparse_product(x, rows, cols, values, shape):
    mask = np.zeros(shape, np.uint8)
    mask[rows, cols] = 1
    y = np.zeros((len(x), shape[1]))
    for j in range(shape[1]):
        mine = cols == j
        y[:, j] = x[:, mask[:, j] == 1] @ values[mine]
    return y


def sparse_transpose(rows, cols, values, shape):
    order = np.lexsort((rows, cols))
    return cols[order], rows[order], values[order], (shape[1], shape[0])


def weight_gradient(x, dy, rows, cols):
    mask = np.zeros((x.shape[1], dy.shape[1]), bool)
    mask[rows, cols] = True
    return (x[:, :, None] * dy[:, None, :]).sum(axis=0)[mask]
