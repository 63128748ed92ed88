r"""A sparse matrix as three arrays: the row, the column and the value of every connection.

The matrix itself stores nothing of the full size. (For one minibatch, a product may lay the values out in a dense
scratch array that BLAS is fast with; ``kernel="gather"`` does without: see :mod:`numpy_setlstm.fast.kernels`.) The
connections stand in one order, by row and then by column, strictly increasing; so equal topologies have equal arrays,
and a row's connections lie side by side.
"""

import math
from functools import cached_property

import numpy as np

from numpy_setlstm.fast import kernels


class Topology:
    """Which connections exist: sorted index arrays, and what can be derived from them once and for all.

    Every :class:`SparseMatrix` has one; matrices that differ in their values only share it.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    rows, cols : ndarray of shape (nnz,), int
        The connections, (row, column) strictly increasing.

    Raises
    ------
    ValueError
        If an index lies outside `shape`, if the order is not strictly increasing (which would also let a connection
        occur twice), or if the arrays are not one-dimensional integer arrays of one length.

    Examples
    --------
    >>> topology = Topology((2, 3), np.array([0, 1, 1]), np.array([2, 0, 2]))
    >>> topology.keys, topology.row_starts
    (array([2, 3, 5]), array([0, 1, 3], dtype=int32))
    """

    def __init__(self, shape, rows, cols):
        self.shape = n_rows, n_cols = check_shape(shape)
        rows, cols = np.asarray(rows), np.asarray(cols)
        for name, index, size in (("rows", rows, n_rows), ("cols", cols, n_cols)):
            if index.ndim != 1 or (index.dtype.kind not in "iu" and index.size):
                raise ValueError(f"{name} has shape {index.shape} and dtype {index.dtype}; expected (nnz,) integers")
            if index.size and (index.min() < 0 or index.max() >= size):
                raise ValueError(
                    f"{name} runs from {index.min()} to {index.max()}; a matrix of shape {self.shape} takes 0 to "
                    f"{size - 1}"
                )
        if rows.shape != cols.shape:
            raise ValueError(
                f"rows and cols have lengths {len(rows)} and {len(cols)}; expected one of each per connection"
            )
        # Four bytes an index do for two thousand million rows; half the memory of NumPy's default.
        index_dtype = np.int32 if max(self.shape) < 2**31 else np.int64
        self.rows, self.cols = rows.astype(index_dtype), cols.astype(index_dtype)
        self.rows.flags.writeable = self.cols.flags.writeable = False
        out_of_order = np.flatnonzero(np.diff(self.keys) <= 0)
        if out_of_order.size:
            k = out_of_order[0]
            raise ValueError(
                f"connection {k + 1} is ({rows[k + 1]}, {cols[k + 1]}) after ({rows[k]}, {cols[k]}); (row, column) "
                "must strictly increase: sort them and remove duplicates"
            )

    @property
    def keys(self):
        """Ndarray of shape (nnz,), int64: row · n_cols + column, one increasing number per connection."""
        return self.rows.astype(np.int64) * self.shape[1] + self.cols  # int32 would overflow past 2³¹ cells

    @cached_property
    def row_starts(self):
        """Ndarray of shape (n_rows + 1,): row r's connections are ``row_starts[r] : row_starts[r + 1]``."""
        starts = np.searchsorted(self.rows, np.arange(self.shape[0] + 1))
        return starts.astype(np.int32 if len(self.rows) < 2**31 else np.int64)

    @cached_property
    def by_column(self):
        """Ndarray of shape (nnz,), int: the positions of the connections in the order of (column, row)."""
        return np.argsort(self.cols, kind="stable").astype(np.int32 if len(self.cols) < 2**31 else np.int64)

    @cached_property
    def incoming(self):
        """PaddedLists: for each column the connections that lead to it, for ``Wᵀ x``."""
        return kernels.PaddedLists(self.cols, self.shape[1])

    @cached_property
    def outgoing(self):
        """PaddedLists: for each row the connections that lead from it, for ``W dy``."""
        return kernels.PaddedLists(self.rows, self.shape[0])

    @cached_property
    def transposed(self):
        """The topology with rows and columns exchanged."""
        return Topology(self.shape[::-1], self.cols[self.by_column], self.rows[self.by_column])


class SparseMatrix:
    """A matrix of which only the connections are stored, as row, column and value.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    rows, cols : array_like of shape (nnz,), int
        Where the connections are; (row, column) strictly increasing.
    values : array_like of shape (nnz,), float32, float64, complex64 or complex128
        Their weights. A weight of exactly 0 stays a connection.

    Attributes
    ----------
    shape : tuple of int
    rows, cols : ndarray of shape (nnz,), int32 (int64 for more than 2³¹ rows or columns), read-only
    values : ndarray of shape (nnz,)
        Aligned with `rows` and `cols`; the only part that training changes, in place. The array that was given, not a
        copy of it.

    Raises
    ------
    ValueError
        If the arrays do not fit `shape` or each other, or the order is not strictly increasing.
    TypeError
        If `values` are not floating point or complex numbers.

    Examples
    --------
    >>> W = SparseMatrix((2, 3), rows=[0, 1], cols=[2, 0], values=[5.0, 7.0])
    >>> W.toarray()
    array([[0., 0., 5.],
           [7., 0., 0.]])
    >>> np.array([[1.0, 10.0]]) @ W
    array([[70.,  0.,  5.]])
    >>> W.nnz, round(W.density, 3)
    (2, 0.333)
    """

    __array_ufunc__ = None  # so that ndarray @ SparseMatrix comes to __rmatmul__

    def __init__(self, shape, rows, cols, values):
        self._fill(Topology(shape, rows, cols), values)

    def _fill(self, topology, values):
        values = np.asarray(values)
        if values.dtype.kind not in "fc":
            raise TypeError(f"values have dtype {values.dtype}; expected floating point: use values.astype(np.float32)")
        if values.shape != topology.rows.shape:
            raise ValueError(f"values have shape {values.shape}; expected {topology.rows.shape}, one per connection")
        self.topology, self.values = topology, values

    @classmethod
    def from_topology(cls, topology, values):
        """Put `values` of shape (nnz,) on an existing :class:`Topology`, which is shared, not copied.

        Parameters
        ----------
        topology : Topology
            Is shared, not copied.
        values : array_like of shape (nnz,)
            In the order of the connections.

        Returns
        -------
        SparseMatrix
            With these connections and values.
        """
        W = cls.__new__(cls)
        W._fill(topology, values)
        return W

    @classmethod
    def from_array(cls, A):
        """Make a connection of every entry of a dense matrix that is not 0.

        Parameters
        ----------
        A : ndarray of shape (n_rows, n_cols)

        Returns
        -------
        SparseMatrix

        Raises
        ------
        ValueError
            If the array does not have two dimensions.

        Examples
        --------
        >>> SparseMatrix.from_array(np.array([[0.0, 3.0], [4.0, 0.0]])).cols
        array([1, 0], dtype=int32)
        """
        A = np.asarray(A)
        if A.ndim != 2:
            raise ValueError(f"the array has shape {A.shape}; expected two dimensions")
        rows, cols = np.nonzero(A)
        return cls(A.shape, rows, cols, A[rows, cols])

    @property
    def shape(self):
        """Tuple of int: rows and columns."""
        return self.topology.shape

    @property
    def rows(self):
        """Ndarray of shape (nnz,): the row of each connection."""
        return self.topology.rows

    @property
    def cols(self):
        """Ndarray of shape (nnz,): the column of each connection."""
        return self.topology.cols

    @property
    def nnz(self):
        """Number of connections."""
        return len(self.values)

    @property
    def size(self):
        """Number of cells of the full matrix."""
        return self.shape[0] * self.shape[1]

    @property
    def density(self):
        """Fraction of all cells that are connections, in [0, 1]; 0 for a matrix without cells."""
        return self.nnz / self.size if self.size else 0.0

    @property
    def dtype(self):
        """Data type of the values."""
        return self.values.dtype

    @property
    def nbytes(self):
        """Bytes held by values and index arrays together: indices are memory too."""
        return self.values.nbytes + self.rows.nbytes + self.cols.nbytes

    @property
    def T(self):
        """The transpose: a SparseMatrix with the same connections seen from the other side, :eq:`sparse-transpose`."""
        return SparseMatrix.from_topology(self.topology.transposed, self.values[self.topology.by_column])

    def with_values(self, values):
        """Return the same connections with other values; the topology is shared.

        Parameters
        ----------
        values : array_like of shape (nnz,)
            In the order of the connections.

        Returns
        -------
        SparseMatrix
            With the same ``topology``.
        """
        return SparseMatrix.from_topology(self.topology, values)

    def copy(self):
        """Return a matrix whose values can be changed without changing this one's.

        Returns
        -------
        SparseMatrix
            With values of its own, and the same ``topology``.
        """
        return self.with_values(self.values.copy())

    def toarray(self):
        """Return the full matrix.

        Returns
        -------
        ndarray of shape (n_rows, n_cols)
            0 where there is no connection.
        """
        A = np.zeros(self.shape, self.dtype)
        A[self.rows, self.cols] = self.values
        return A

    def __rmatmul__(self, x):
        """``x @ W`` for x of shape (..., n_rows), by the gather kernel: see :mod:`numpy_setlstm.fast.kernels`."""
        x = np.asarray(x)
        if x.ndim == 0 or x.shape[-1] != self.shape[0]:
            raise ValueError(
                f"x has shape {x.shape}, W has shape {self.shape}; x @ W needs x's last size to be {self.shape[0]}"
            )
        dtype = np.result_type(x, self.values)
        flat = x.reshape(math.prod(x.shape[:-1]), self.shape[0])  # (M, n_rows)
        y = np.empty((len(flat), self.shape[1]), dtype)
        lists = self.topology.incoming
        arranged = lists.arrange(self.rows, self.values.astype(dtype, copy=False))
        for first in range(0, len(flat), kernels.COLUMNS):
            part = np.ascontiguousarray(flat[first : first + kernels.COLUMNS].T, dtype)  # (n_rows, up to COLUMNS)
            product = np.empty((self.shape[1], part.shape[1]), dtype)
            buffers = kernels.GatherBuffers(lists, part.shape[1], dtype)
            kernels.product_gather(arranged, part, product, buffers)
            y[first : first + kernels.COLUMNS] = product.T
        return y.reshape(*x.shape[:-1], self.shape[1])

    def connections_of_rows(self, rows):
        """Where the connections of some rows are stored.

        Parameters
        ----------
        rows : ndarray of shape (U,), int

        Returns
        -------
        which : ndarray of shape (k,), int
            Index into `rows` of the row that each connection belongs to.
        positions : ndarray of shape (k,), int
            Index of each connection in `values`.

        Raises
        ------
        ValueError
            If there is no such row.

        Examples
        --------
        >>> W = SparseMatrix((3, 2), [0, 0, 2], [0, 1, 1], [1.0, 2.0, 3.0])
        >>> W.connections_of_rows(np.array([2, 0]))
        (array([0, 1, 1]), array([2, 0, 1]))
        """
        rows = np.asarray(rows)
        if rows.size and (rows.min() < 0 or rows.max() >= self.shape[0]):
            raise ValueError(
                f"rows run from {rows.min()} to {rows.max()}; a matrix of shape {self.shape} has rows 0 to "
                f"{self.shape[0] - 1}"
            )
        # Two views, not rows + 1, which would overflow where the largest id fills its integer type.
        starts, stops = self.topology.row_starts[:-1][rows], self.topology.row_starts[1:][rows]
        counts = stops - starts
        which = np.repeat(np.arange(len(counts)), counts)
        # 0, 1, 2, ... within each row: a running number minus the number at which the row began
        within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        return which, np.repeat(starts, counts) + within

    def take_rows(self, rows):
        """Some rows, written out in full.

        Parameters
        ----------
        rows : ndarray of shape (U,), int
            In any order; a row may be asked for more than once.

        Returns
        -------
        ndarray of shape (U, n_cols)
            0 where there is no connection.

        Raises
        ------
        ValueError
            If there is no such row.
        """
        which, positions = self.connections_of_rows(rows)
        taken = np.zeros((len(rows), self.shape[1]), self.dtype)
        taken[which, self.cols[positions]] = self.values[positions]
        return taken

    def __repr__(self):
        return f"SparseMatrix(shape={self.shape}, nnz={self.nnz}, density={self.density:.4f}, dtype={self.dtype})"


def weights_of(W):
    """The array that training changes.

    Parameters
    ----------
    W : SparseMatrix or ndarray

    Returns
    -------
    ndarray
        ``W.values``, of shape (nnz,), of a SparseMatrix; an ndarray itself.

    Examples
    --------
    >>> weights_of(SparseMatrix((2, 2), [0], [1], [0.5])), weights_of(np.ones(2))
    (array([0.5]), array([1., 1.]))
    """
    return W.values if isinstance(W, SparseMatrix) else W


def multiplier(W, kernel="auto"):
    """What to multiply by in a loop: `W` itself, or the dense scratch array that BLAS is faster with.

    Parameters
    ----------
    W : SparseMatrix or ndarray of shape (n_rows, n_cols)
    kernel : {"auto", "gather", "scratch"}
        See :func:`numpy_setlstm.fast.kernels.choose_kernel`. Without effect on an ndarray.

    Returns
    -------
    SparseMatrix or ndarray of shape (n_rows, n_cols)
        To be used as ``x @ multiplier(W)``; equal to ``x @ W`` whatever the kernel.

    Examples
    --------
    >>> W = SparseMatrix((2, 2), [0, 1], [1, 1], [2.0, 3.0])
    >>> x = np.array([[1.0, 10.0]])
    >>> x @ multiplier(W, "gather"), x @ multiplier(W, "scratch")
    (array([[ 0., 32.]]), array([[ 0., 32.]]))
    """
    if isinstance(W, SparseMatrix) and kernels.choose_kernel(W.shape, W.nnz, kernel) == "scratch":
        return W.toarray()
    return W


def weight_gradient(x, dy, W, kernel="auto"):
    r"""Gradient of the loss with respect to the weights of ``y = x @ W``.

    Parameters
    ----------
    x : ndarray of shape (N, n_rows)
    dy : ndarray of shape (N, n_cols)
        Gradient with respect to y.
    W : SparseMatrix or ndarray of shape (n_rows, n_cols)
    kernel : {"auto", "gather", "scratch"}
        See :func:`numpy_setlstm.fast.kernels.choose_kernel`. Without effect where `W` is an ndarray.

    Returns
    -------
    ndarray
        Of shape (n_rows, n_cols) where `W` is an ndarray; of shape (nnz,), aligned with ``W.values``, where it is a
        SparseMatrix. A cell that is no connection has no gradient.

    Notes
    -----
    .. math:: dW_{ij} = \sum_n x_{ni} \, dy_{nj}

    Derived in docs/derivations/sparse_product.md: :eq:`sparse-gradient` at the connections.

    Examples
    --------
    >>> W = SparseMatrix((2, 2), [0, 1], [1, 1], [2.0, 3.0])
    >>> x, dy = np.array([[1.0, 10.0]]), np.array([[0.5, 2.0]])
    >>> weight_gradient(x, dy, W)
    array([ 2., 20.])
    >>> weight_gradient(x, dy, W.toarray())
    array([[ 0.5,  2. ],
           [ 5. , 20. ]])
    """
    if not isinstance(W, SparseMatrix):
        return x.T @ dy
    if kernels.choose_kernel(W.shape, W.nnz, kernel) == "scratch":
        return kernels.gradient_blocks(x, dy, W.rows, W.cols)
    return kernels.gradient_pairs(x, dy, W.rows, W.cols)


def check_shape(shape):
    """Rows and columns of a matrix as two Python integers.

    Parameters
    ----------
    shape : sequence of two int
        Rows and columns.

    Returns
    -------
    n_rows, n_cols : int
        Each at least 0.

    Raises
    ------
    ValueError
        If they are anything else, or too many to number the cells: 2**63 or more.

    Examples
    --------
    >>> check_shape(np.array([2, 3]))
    (2, 3)
    """
    try:
        n_rows, n_cols = (int(size) for size in shape)
        if n_rows < 0 or n_cols < 0 or (n_rows, n_cols) != tuple(shape):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"shape is {shape!r}; expected two whole numbers of at least 0, as in (256, 1024)") from None
    if n_rows * n_cols >= 2**63:
        raise ValueError(f"shape is {shape!r}, which has {n_rows * n_cols} cells; expected fewer than 2**63")
    return n_rows, n_cols
