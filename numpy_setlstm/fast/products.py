r"""One matrix, multiplied again and again: what a loop over time steps needs.

An LSTM multiplies by the same two matrices in every step, forward and backward. A product is made once per minibatch
and holds what can be prepared once: the weights in the layout of its kernel, arrays to write to, the gradient that the
steps add to. Rows are units here, and columns are texts: ``forward`` is :math:`z = W^T x`, ``backward`` is
:math:`dx = W \, dz`, and ``gradient`` is :math:`dW = \sum_t x_t \, dz_t^T`.
"""

import weakref

import numpy as np

from numpy_setlstm.fast import kernels
from numpy_setlstm.sparse import SparseMatrix

_lists = weakref.WeakKeyDictionary()  # the padded lists of each topology in use: it outlives many minibatches


def lists_of(topology):
    """The padded lists of a topology, made once: connections by column (for ``Wᵀ x``), and by row (for ``W dy``)."""
    if topology not in _lists:
        n_rows, n_cols = topology.shape
        _lists[topology] = kernels.PaddedLists(topology.cols, n_cols), kernels.PaddedLists(topology.rows, n_rows)
    return _lists[topology]


def make_product(W, kernel, dtype, width, empty=np.empty):
    """Prepare the products with one matrix for a minibatch.

    W is a SparseMatrix or ndarray of shape (n_rows, n_cols), `kernel` one of :data:`kernels.KERNELS` (without effect on
    an ndarray), `width` the number of columns.

    >>> W = SparseMatrix((2, 3), [0, 1], [2, 0], [5.0, 7.0])
    >>> product = make_product(W, "gather", np.float64, width=1)
    >>> x, z, dx = np.array([[1.0], [10.0]]), np.empty((3, 1)), np.empty((2, 1))
    >>> product.forward(x, z)
    >>> product.begin_backward()
    >>> product.backward(z, x, dx)
    >>> z.ravel().tolist(), dx.ravel().tolist(), product.gradient().tolist()
    ([70.0, 0.0, 5.0], [25.0, 490.0], [5.0, 700.0])
    """
    if not isinstance(W, SparseMatrix):
        return DenseProduct(W)
    if kernels.choose_kernel(W.shape, W.nnz, kernel) == "scratch":
        return ScratchProduct(W.toarray(), W.topology)
    values = W.values.astype(dtype, copy=False)
    by_column, by_row = lists_of(W.topology)
    incoming, outgoing = by_column.arrange(W.rows, values), by_row.arrange(W.cols, values)
    return GatherProduct(incoming, outgoing, width, dtype, empty)


class DenseProduct:
    """The products with an ndarray W of shape (n_rows, n_cols): BLAS, and the gradient of all steps at once."""

    def __init__(self, W):
        self.W = W

    def forward(self, x, out):
        """Write ``Wᵀ x`` of shape (n_cols, M) to `out`."""
        np.matmul(self.W.T, x, out=out)

    def begin_backward(self):
        """Forget the gradient of an earlier backward pass."""
        self.steps = []  # x and dz of each step

    def backward(self, dz, x, out):
        """Write ``W dz`` of shape (n_rows, M) to `out`, and keep what the gradient needs."""
        self.steps.append((x, dz.copy()))  # a copy, as dz is overwritten in the next step
        np.matmul(self.W, dz, out=out)

    def gradient(self):
        """Return the gradient with respect to W, summed over the steps."""
        x, dz = self._all_steps()
        return x @ dz.T

    def _all_steps(self):
        return [np.concatenate(parts, axis=1) for parts in zip(*self.steps, strict=True)]


class ScratchProduct(DenseProduct):
    """The products with a sparse matrix that is laid out in a dense array; the gradient is at the connections."""

    def __init__(self, scratch, topology):
        super().__init__(scratch)
        self.topology = topology

    def gradient(self):
        """Return the gradient at the connections, ndarray of shape (nnz,)."""
        x, dz = self._all_steps()
        return kernels.gradient_blocks(x.T, dz.T, self.topology.rows, self.topology.cols)


class GatherProduct:
    """The products with a sparse matrix, from its connections alone; nothing has the size of the full matrix.

    `incoming` and `outgoing` are ArrangedLists with the columns, and with the rows, as targets; M = `n_columns` texts.
    """

    def __init__(self, incoming, outgoing, n_columns, dtype, empty=np.empty):
        self.incoming, self.outgoing = incoming, outgoing
        self.n_columns, self.dtype, self.empty = n_columns, dtype, empty
        self.buffers = kernels.GatherBuffers(incoming.lists, n_columns, dtype, empty)

    def forward(self, x, out):
        """Write ``Wᵀ x`` of shape (n_cols, M) to `out`."""
        kernels.product_gather(self.incoming, x, out, self.buffers)

    def begin_backward(self):
        """Forget the gradient of an earlier backward pass."""
        lists = self.outgoing.lists
        self.backward_buffers = kernels.GatherBuffers(lists, self.n_columns, self.dtype, self.empty)
        self.sums = [np.zeros((*s.positions.shape, 1), self.dtype) for s in lists.slices]

    def backward(self, dz, x, out):
        """Write ``W dz`` of shape (n_rows, M) to `out`, and add to the gradient."""
        kernels.gradient_gather(self.outgoing, dz, x, out, self.sums, self.backward_buffers)

    def gradient(self):
        """Return the gradient at the connections, ndarray of shape (nnz,)."""
        return self.outgoing.lists.collect(self.sums, self.dtype)
