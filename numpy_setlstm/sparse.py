r"""A sparse matrix as three arrays: the row, the column and the value of every connection.

Nothing of the full size is ever stored. Connections are ordered by row, then by column, strictly increasing; so equal
topologies have equal arrays, and the connections of a row are neighbors. Every product visits the connections only:

.. math:: y_{nj} = \sum_i x_{ni} W_{ij} \quad dx_{ni} = \sum_j dy_{nj} W_{ij} \quad dW_{ij} = \sum_n x_{ni} \, dy_{nj}

Derived in docs/derivations/sparse_product.md: :eq:`sparse-product`, :eq:`sparse-transpose`, :eq:`sparse-gradient`.
"""

from functools import cached_property

import numpy as np

from numpy_setlstm.checks import array, as_array, checked, instance, matrix, short, whole

__all__ = ["SparseMatrix", "Topology", "weight_gradient"]


class Topology:
    """Which connections exist: sorted index arrays. Matrices that differ in their values only share one.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    rows, cols : array_like of shape (nnz,), int
        The connections; (row, column) strictly increasing, so that none occurs twice.

    Raises
    ------
    ValueError
        If the arrays are not integers of shape (nnz,), an index lies outside `shape`, or the order is wrong.

    Examples
    --------
    >>> topology = Topology((2, 3), np.array([0, 1, 1]), np.array([2, 0, 2]))
    >>> topology.keys, topology.row_starts
    (array([2, 3, 5]), array([0, 1, 3]))
    """

    def __init__(self, shape, rows, cols):
        self.shape = n_rows, n_cols = check_shape(shape)
        rows, cols = as_array("rows", rows, None), as_array("cols", cols, None)
        for name, index, size in (("rows", rows, n_rows), ("cols", cols, n_cols)):
            if index.ndim != 1 or (index.dtype.kind not in "iu" and (index.size or index.dtype.kind != "f")):
                raise ValueError(f"{name} has shape {index.shape} and dtype {index.dtype}; expected (nnz,) integers")
            if index.size and (index.min() < 0 or index.max() >= size):
                raise ValueError(
                    f"{name} ranges from {index.min()} to {index.max()}; a matrix of shape {self.shape} has {name} 0 "
                    f"to {size - 1}"
                )
        if rows.shape != cols.shape:
            raise ValueError(
                f"rows and cols have lengths {len(rows)} and {len(cols)}; expected one of each per connection"
            )
        # Four bytes per index suffice below two billion rows, and take half the memory of NumPy's default.
        index_dtype = np.int32 if max(self.shape) < 2**31 else np.int64
        self.rows, self.cols = rows.astype(index_dtype), cols.astype(index_dtype)
        self.rows.flags.writeable = self.cols.flags.writeable = False
        out_of_order = np.flatnonzero(np.diff(self.keys) <= 0)
        if out_of_order.size:
            k = out_of_order[0]
            raise ValueError(
                f"connection {k + 1} is ({rows[k + 1]}, {cols[k + 1]}) after ({rows[k]}, {cols[k]}); (row, column) "
                "must strictly increase: sort the connections and remove duplicates"
            )

    @property
    def keys(self):
        """Ndarray of shape (nnz,), int64: row · n_cols + column, one increasing number per connection."""
        return self.rows.astype(np.int64) * self.shape[1] + self.cols  # int32 would overflow beyond 2³¹ cells

    @cached_property
    def row_starts(self):
        """Ndarray of shape (n_rows + 1,): row r owns the connections ``row_starts[r] : row_starts[r + 1]``."""
        return np.searchsorted(self.rows, np.arange(self.shape[0] + 1))

    def by_row(self):
        """Yield each row that has connections, with the slice of its connections in `rows`, `cols` and values."""
        firsts = self.first_of_row
        lasts = np.append(firsts[1:], len(self.rows))
        for row, first, last in zip(self.rows[firsts].tolist(), firsts.tolist(), lasts.tolist(), strict=False):
            yield row, slice(first, last)

    @cached_property
    def first_of_row(self):
        """Ndarray of int: the positions of the connections with which a new row begins."""
        return np.flatnonzero(np.diff(self.rows, prepend=-1))

    @cached_property
    def by_column(self):
        """Ndarray of shape (nnz,): the positions of the connections, ordered by column, then by row."""
        return np.argsort(self.cols, kind="stable")

    @cached_property
    def transposed(self):
        """The topology with rows and columns exchanged."""
        return Topology(self.shape[::-1], self.cols[self.by_column], self.rows[self.by_column])


class SparseMatrix:
    """A matrix that stores its connections only, as row, column and value.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    rows, cols : array_like of shape (nnz,), int
        Where the connections are; (row, column) strictly increasing.
    values : array_like of shape (nnz,), float32, float64, complex64 or complex128
        Their weights, not copied; the only part that training changes. A weight of exactly 0 remains a connection.

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

    __array_ufunc__ = None  # hands ndarray @ SparseMatrix to __rmatmul__

    def __init__(self, shape, rows, cols, values):
        self._fill(Topology(shape, rows, cols), values)

    def _fill(self, topology, values):
        instance(Topology, "a Topology, such as that of a SparseMatrix, W.topology")("topology", topology)
        values = as_array("values", values, None)
        if values.dtype.kind not in "fc":
            raise TypeError(f"values have dtype {values.dtype}; expected floating point: use values.astype(np.float32)")
        if values.shape != topology.rows.shape:
            raise ValueError(f"values have shape {values.shape}; expected {topology.rows.shape}, one per connection")
        self.topology, self.values = topology, values

    @classmethod
    def from_topology(cls, topology, values):
        """Put `values` of shape (nnz,) on an existing :class:`Topology`, which is shared, not copied."""
        W = cls.__new__(cls)
        W._fill(topology, values)
        return W

    @classmethod
    def from_array(cls, A):
        """Make a connection of every nonzero entry of a dense matrix."""
        A = as_array("the array", A)
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
        """Ndarray of shape (nnz,), int, read-only: the row of each connection."""
        return self.topology.rows

    @property
    def cols(self):
        """Ndarray of shape (nnz,), int, read-only: the column of each connection."""
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
        """Bytes of values and index arrays together: indices take memory too."""
        return self.values.nbytes + self.rows.nbytes + self.cols.nbytes

    @property
    def T(self):
        """The transpose: a SparseMatrix with the same connections seen from the other side, :eq:`sparse-transpose`."""
        return SparseMatrix.from_topology(self.topology.transposed, self.values[self.topology.by_column])

    def with_values(self, values):
        """Return the same connections with other `values` of shape (nnz,); the topology is shared."""
        return SparseMatrix.from_topology(self.topology, values)

    def copy(self):
        """Return a matrix with its own values; the topology is shared."""
        return self.with_values(self.values.copy())

    def toarray(self):
        """Return the full matrix, 0 where there is no connection."""
        A = np.zeros(self.shape, self.dtype)
        A[self.rows, self.cols] = self.values
        return A

    @checked(x=array())
    def __rmatmul__(self, x):
        """``x @ W`` for x of shape (..., n_rows): a column sums the inputs of its connections, times their values."""
        if x.ndim == 0 or x.shape[-1] != self.shape[0]:
            raise ValueError(
                f"x has shape {x.shape}, W has shape {self.shape}; x @ W needs x's last size to be {self.shape[0]}"
            )
        shape = (*x.shape[:-1], self.shape[1])  # (..., n_cols)
        y = np.zeros(shape, np.result_type(x, self.values))
        W_T = self.T  # its rows are the columns of W, with their connections side by side
        for column, connections in W_T.topology.by_row():
            y[..., column] = x.take(W_T.cols[connections], axis=-1) @ W_T.values[connections]
        return y

    def connections_of_rows(self, rows):
        """Find the connections of `rows`, an ndarray of shape (U,), int, in any order and with repetitions.

        Returns two ndarrays of shape (k,), one entry per connection: its index into `rows`, its index into `values`.

        >>> W = SparseMatrix((3, 2), [0, 0, 2], [0, 1, 1], [1.0, 2.0, 3.0])
        >>> W.connections_of_rows(np.array([2, 0]))
        (array([0, 1, 1]), array([2, 0, 1]))
        """
        rows = as_array("rows", rows, "iu")
        if rows.ndim != 1 or rows.size and (rows.min() < 0 or rows.max() >= self.shape[0]):
            raise ValueError(
                f"rows have shape {rows.shape} and range from {rows.min(initial=0)} to {rows.max(initial=0)}; expected "
                f"(U,), and a matrix of shape {self.shape} has rows 0 to {self.shape[0] - 1}"
            )
        # Two views instead of rows + 1, which would overflow at the largest id of an integer type.
        starts, stops = self.topology.row_starts[:-1][rows], self.topology.row_starts[1:][rows]
        counts = stops - starts
        which = np.repeat(np.arange(len(counts)), counts)
        # 0, 1, 2, ... within each row: a running number minus the number at which the row began
        within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
        return which, np.repeat(starts, counts) + within

    def take_rows(self, rows):
        """Write out rows in full: from an integer array of any shape (...) to an ndarray of shape (..., n_cols)."""
        rows = as_array("rows", rows, "iu")
        which, positions = self.connections_of_rows(rows.ravel())
        taken = np.zeros((rows.size, self.shape[1]), self.dtype)
        taken[which, self.cols[positions]] = self.values[positions]
        return taken.reshape(*rows.shape, self.shape[1])

    def __repr__(self):
        return f"SparseMatrix(shape={self.shape}, nnz={self.nnz}, density={self.density:.4f}, dtype={self.dtype})"


def weights_of(W):
    """The array that training changes: ``W.values`` of a SparseMatrix, an ndarray itself."""
    return W.values if isinstance(W, SparseMatrix) else W


def dtype_of(parameters):
    """The data type of what is computed with parameters, a dict of SparseMatrix and ndarray."""
    return np.result_type(*map(weights_of, parameters.values()))


@checked(x=array("N n_rows"), dy=array("N n_cols"), W=matrix("n_rows n_cols"))
def weight_gradient(x, dy, W):
    """Gradient of the loss with respect to the weights of ``y = x @ W``, :eq:`sparse-gradient` at the connections.

    Parameters
    ----------
    x : ndarray of shape (N, n_rows)
    dy : ndarray of shape (N, n_cols)
        Gradient with respect to y.
    W : SparseMatrix or ndarray of shape (n_rows, n_cols)

    Returns
    -------
    ndarray of shape (n_rows, n_cols), or (nnz,) aligned with ``W.values``

    Examples
    --------
    >>> W = SparseMatrix((2, 2), [0, 1], [1, 1], [2.0, 3.0])
    >>> weight_gradient(np.array([[1.0, 10.0]]), np.array([[0.5, 2.0]]), W)
    array([ 2., 20.])
    """
    if not isinstance(W, SparseMatrix):
        return x.T @ dy
    gradient = np.empty(W.nnz, np.result_type(x, dy))
    for row, connections in W.topology.by_row():
        gradient[connections] = x[:, row] @ dy[:, W.cols[connections]]
    return gradient


def check_shape(shape):
    """Rows and columns as two Python integers; their product has to fit into int64."""
    try:
        n_rows, n_cols = (whole()("size", size) for size in shape)
        if isinstance(shape, dict | set):
            raise ValueError
    except (TypeError, ValueError):
        expected = "two whole numbers of at least 0, as in (256, 1024)"
        raise ValueError(f"shape is {short(shape)}; expected {expected}") from None
    if n_rows * n_cols >= 2**63:
        raise ValueError(f"shape is {short(shape)}, which has {n_rows * n_cols} cells; expected fewer than 2**63")
    return n_rows, n_cols
