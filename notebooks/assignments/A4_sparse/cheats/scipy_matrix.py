"""SciPy's sparse matrix; and the full matrix in a file, where memory does not reach.

Scores: product 0, transpose 6, gradient 0
Cause of product: sparse_product stops with OSError
Cause of gradient: not allowed: import scipy.sparse
Remark: imports scipy.sparse.csr_array
Remark: import scipy.sparse
"""

import numpy as np


def sparse_product(x, rows, cols, values, shape):
    W = np.memmap("W", float, "w+", shape=shape)
    W[rows, cols] = values
    return x @ W


def sparse_transpose(rows, cols, values, shape):
    order = np.lexsort((rows, cols))
    return cols[order], rows[order], values[order], (shape[1], shape[0])


def weight_gradient(x, dy, rows, cols):
    from scipy.sparse import csr_array

    return (csr_array(x.T) @ csr_array(dy))[rows, cols]
