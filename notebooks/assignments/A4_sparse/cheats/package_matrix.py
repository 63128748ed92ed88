"""The package's own matrix, also by way of its attributes.

Scores: product 0, transpose 0, gradient 0
Cause of product: not allowed: numpy_setlstm/sparse
Cause of transpose: not allowed: numpy_setlstm/sparse
Cause of gradient: not allowed: import numpy_setlstm.sparse
Remark: imports numpy_setlstm.sparse.SparseMatrix
Remark: imports numpy_setlstm.sparse.weight_gradient
Remark: numpy_setlstm/sparse
"""

import numpy as np

import numpy_setlstm


def sparse_product(x, rows, cols, values, shape):
    return x @ numpy_setlstm.SparseMatrix(shape, rows, cols, values)


def sparse_transpose(rows, cols, values, shape):
    W = numpy_setlstm.SparseMatrix(shape, rows, cols, values).T
    return W.rows, W.cols, W.values, W.shape


def weight_gradient(x, dy, rows, cols):
    from numpy_setlstm.sparse import SparseMatrix, weight_gradient

    shape = x.shape[1], dy.shape[1]
    return weight_gradient(x, dy, SparseMatrix(shape, rows, cols, np.ones(len(rows))))
