r"""The ways to multiply by a sparse matrix, on plain arrays.

Every product of this package is :math:`y = x W` with row vectors, and every gradient of a weight is the same sum
seen from the weight's side:

.. math:: y_{nj} = \sum_i x_{ni} W_{ij}, \qquad \frac{\partial L}{\partial W_{ij}} = \sum_n x_{ni} \, dy_{nj}.

They are derived in docs/derivations/sparse_product.md: :eq:`sparse-product`, :eq:`sparse-transpose` and
:eq:`sparse-gradient`.

There are two ways to each. *Gather* visits the connections only: its cost and its memory are linear in their
number. *Scratch* (for the gradient: *blocks*) lets BLAS do the work on a dense array that lives for one minibatch;
BLAS is so much faster per multiplication that, core for core, this wins from a density of about one seventh on.

The gather kernels work on arrays whose rows are units and whose columns are texts, so that what one connection needs
of a unit, its value in every text, lies in one piece of memory.
"""

from typing import NamedTuple

import numpy as np

KERNELS = ("auto", "gather", "scratch")

# Below this density the gather kernel is the faster one. Measured at H = 256 with 32 texts: 0.2 ns per connection and
# text by gathering, 0.03 ns per cell and text by BLAS.
GATHER_BELOW_DENSITY = 0.1
# A dense scratch array may have this many cells (half a gigabyte in float32); beyond, connections are gathered.
SCRATCH_MAX_CELLS = 2**27
# What a kernel holds at a time has about this many numbers, so that it stays in the processor's cache.
CHUNK_CELLS = 2**20
# Texts that are multiplied at a time; more would not fit into the cache beside each other.
COLUMNS = 64
# A slice of the padded lists has at most this many cells: with 64 texts in float32, two megabytes.
SLICE_CELLS = 2**13
# A slice more costs some calls of NumPy, which take as long as the products of about this many cells.
CELLS_OF_A_CALL = 2**9


def choose_kernel(shape, nnz, kernel="auto"):
    """Which kernel to use for a matrix of this shape with this many connections.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the matrix.
    nnz : int
        Number of connections.
    kernel : {"auto", "gather", "scratch"}
        "auto" decides by density and size; the others are returned as they are.

    Returns
    -------
    str
        "gather" or "scratch".

    Raises
    ------
    ValueError
        If `kernel` is none of the three.

    Examples
    --------
    >>> choose_kernel((256, 1024), nnz=50_000), choose_kernel((100_000, 100_000), nnz=10_000)
    ('scratch', 'gather')
    """
    if kernel not in KERNELS:
        raise ValueError(f"kernel is {kernel!r}; expected one of {', '.join(map(repr, KERNELS))}")
    if kernel != "auto":
        return kernel
    cells = shape[0] * shape[1]
    return "scratch" if cells <= SCRATCH_MAX_CELLS and nnz >= GATHER_BELOW_DENSITY * cells else "gather"


def product_plain(x, sources, targets, values, n_targets):
    """``y = Wᵀ x``, one connection after the other: the plain twin of :func:`product_gather`.

    Parameters
    ----------
    x : ndarray of shape (n_sources, M)
        One row per unit, one column per text.
    sources, targets : ndarray of shape (nnz,), int
        Connection k leads from ``sources[k]`` to ``targets[k]``.
    values : ndarray of shape (nnz,)
    n_targets : int

    Returns
    -------
    ndarray of shape (n_targets, M)

    Examples
    --------
    >>> x = np.array([[1.0], [10.0]])
    >>> product_plain(x, [0, 1, 1], [0, 0, 2], np.array([2.0, 3.0, 4.0]), 3).tolist()
    [[32.0], [0.0], [40.0]]
    """
    y = np.zeros((n_targets, x.shape[1]), np.result_type(x, values))
    for source, target, value in zip(sources, targets, values, strict=True):
        y[target] += value * x[source]
    return y


def gradient_plain(x, dy, sources, targets):
    """Gradient of each connection, one after the other: the plain twin of :func:`gradient_gather`.

    Parameters
    ----------
    x : ndarray of shape (n_sources, M)
    dy : ndarray of shape (n_targets, M)
        Gradient of the loss with respect to ``y = Wᵀ x``.
    sources, targets : ndarray of shape (nnz,), int

    Returns
    -------
    ndarray of shape (nnz,)

    Examples
    --------
    >>> gradient_plain(np.array([[1.0], [2.0]]), np.array([[10.0], [20.0]]), [0, 1], [1, 0]).tolist()
    [20.0, 20.0]
    """
    pairs = zip(sources, targets, strict=True)
    return np.array([x[source] @ dy[target] for source, target in pairs], np.result_type(x, dy))


class Slice(NamedTuple):
    """Lists of equal length, for targets that have about as many connections each.

    Attributes
    ----------
    first, last : int
        The targets are those from `first` to `last` - 1 in the order of :class:`PaddedLists`.
    positions : ndarray of shape (B, K), int
        Where the K connections of each of the B targets stand among all connections; nnz where a target has fewer.
    """

    first: int
    last: int
    positions: np.ndarray


class PaddedLists:
    r"""For each target the list of the connections that lead to it, in arrays without gaps.

    Parameters
    ----------
    targets : ndarray of shape (nnz,), int
        The target of each connection.
    n_targets : int

    Attributes
    ----------
    order : ndarray of shape (n_targets,), int
        The targets, those with the fewest connections first.
    rank : ndarray of shape (n_targets,), int
        Where each target stands in `order`.
    n_empty : int
        So many of them have no connection.
    slices : list of Slice
        The others, in this order.
    largest : int
        Number of cells of the largest slice.

    Notes
    -----
    NumPy multiplies arrays, not lists of unequal length. So the targets are sorted by the length of their lists and cut
    into slices, and within a slice the lists are filled up to equal length with connections of weight 0, some 10 to
    20 % of them. Source: A. Monakov, A. Lokhmotov and A. Avetisyan (2010), "Automatically tuning sparse matrix-vector
    multiplication for GPU architectures", who call the format sliced ELLPACK.

    Examples
    --------
    >>> lists = PaddedLists(np.array([0, 0, 2]), n_targets=3)
    >>> lists.order.tolist(), lists.n_empty, lists.slices[0].positions.tolist()
    ([1, 2, 0], 1, [[2, 3], [0, 1]])
    """

    def __init__(self, targets, n_targets):
        self.nnz = nnz = len(targets)
        counts = np.bincount(targets, minlength=n_targets)  # (n_targets,)
        self.order = np.argsort(counts, kind="stable")
        self.rank = np.empty_like(self.order)
        self.rank[self.order] = np.arange(n_targets)
        lengths = counts[self.order]
        self.n_empty = int(np.searchsorted(lengths, 1))
        by_target = np.append(np.argsort(targets, kind="stable"), nnz)  # each target's connections side by side
        by_target = by_target.astype(np.int32 if nnz < 2**31 else np.int64)
        starts = (np.cumsum(counts) - counts)[self.order]  # where they begin
        self.slices = []
        for first, last in _cut(lengths[self.n_empty :]):
            first, last = first + self.n_empty, last + self.n_empty
            k = np.arange(lengths[last - 1])  # (K,)
            exists = k < lengths[first:last, None]  # (B, K)
            positions = by_target[np.where(exists, starts[first:last, None] + k, nnz)]
            self.slices.append(Slice(first, last, positions))
        self.largest = max((s.positions.size for s in self.slices), default=0)

    def arrange(self, sources, values):
        """Sources and weights of all connections as the gather kernels need them.

        Parameters
        ----------
        sources : ndarray of shape (nnz,), int
        values : ndarray of shape (nnz,)

        Returns
        -------
        ArrangedLists
        """
        sources = np.append(sources, 0).astype(np.intp)  # what fills up has the source 0
        values = np.append(values, np.zeros(1, values.dtype))  # and the weight 0
        positions = [s.positions for s in self.slices]
        return ArrangedLists(self, [sources[p] for p in positions], [values[p][:, None, :] for p in positions])

    def collect(self, arranged, dtype):
        """From an ndarray of shape (B, K, 1) per slice back to one number per connection, ndarray of shape (nnz,)."""
        values = np.zeros(self.nnz + 1, dtype)
        for s, part in zip(self.slices, arranged, strict=True):
            values[s.positions] = part[:, :, 0]
        return values[: self.nnz]


class ArrangedLists(NamedTuple):
    """What the gather kernels read: :meth:`PaddedLists.arrange`.

    Attributes
    ----------
    lists : PaddedLists
    sources : list of ndarray of shape (B, K), int
        One per slice.
    weights : list of ndarray of shape (B, 1, K)
    """

    lists: PaddedLists
    sources: list
    weights: list


def _cut(lengths):
    """Where to cut lists that are sorted by length into slices: pairs of first and last (exclusive).

    The cheapest way to cut, where a slice costs its cells and :data:`CELLS_OF_A_CALL`. For the lists up to some length
    it is a last slice of those from some shorter length on, and the cheapest way for the ones before it. A slice that
    would not fit the cache is cut once more.
    """
    distinct, firsts = np.unique(lengths, return_index=True)
    ends = np.append(firsts, len(lengths))[1:]
    costs, begins = (
        np.zeros(len(distinct) + 1),
        [],
    )  # of the lists of the k shortest lengths; where their last slice begins
    for k, (longest, end) in enumerate(zip(distinct, ends, strict=True)):
        with_last_slice = costs[: k + 1] + (end - firsts[: k + 1]) * longest + CELLS_OF_A_CALL
        begins.append(int(np.argmin(with_last_slice)))
        costs[k + 1] = with_last_slice[begins[k]]
    slices, k = [], len(distinct)
    while k > 0:
        first, last, longest = int(firsts[begins[k - 1]]), int(ends[k - 1]), int(distinct[k - 1])
        height = max(1, SLICE_CELLS // longest)
        slices += [(piece, min(last, piece + height)) for piece in reversed(range(first, last, height))]
        k = begins[k - 1]
    return slices[::-1]


class GatherBuffers:
    """The arrays that the gather kernels write to, made once for many products of one size.

    Parameters
    ----------
    lists : PaddedLists
    n_columns : int
        M, the number of texts.
    dtype : dtype
    empty : callable
        Makes large arrays, as ``numpy.empty`` does.

    Attributes
    ----------
    gathered : ndarray of shape (n_cells, M)
        For the rows that the connections of a slice come from.
    sorted : ndarray of shape (n_targets, M)
        For the result in the order of the lists.
    sorted_x : ndarray of shape (n_targets, M)
        For the targets' own rows in that order.
    """

    def __init__(self, lists, n_columns, dtype, empty=np.empty):
        self.gathered = empty((lists.largest, n_columns), dtype)
        self.sorted = np.zeros((len(lists.order), n_columns), dtype)  # targets without a connection stay 0
        self.sorted_x = np.empty_like(self.sorted)


def product_gather(arranged, x, out, buffers):
    r"""``y = Wᵀ x`` from the connections alone: gather rows, then one small product per target.

    Parameters
    ----------
    arranged : ArrangedLists
        With the columns of W as targets and its rows as sources.
    x : ndarray of shape (n_rows, M)
        One row per unit, one column per text.
    out : ndarray of shape (n_cols, M)
        Is written to.
    buffers : GatherBuffers

    Notes
    -----
    For the targets of a slice, :math:`y_{bm} = \sum_k w_{bk} x_{s_{bk}, m}`: after the rows :math:`s_{bk}` have been
    gathered this is one product of a (1, K) by a (K, M) matrix per target, and ``np.matmul`` does all of them in one
    call.

    Examples
    --------
    >>> lists = PaddedLists(np.array([0, 0, 2]), n_targets=3)
    >>> arranged = lists.arrange(sources=np.array([0, 1, 1]), values=np.array([2.0, 3.0, 4.0]))
    >>> x, y = np.array([[1.0], [10.0]]), np.empty((3, 1))
    >>> product_gather(arranged, x, y, GatherBuffers(lists, 1, float))
    >>> y.tolist()
    [[32.0], [0.0], [40.0]]
    """
    for s, sources, weights in zip(arranged.lists.slices, arranged.sources, arranged.weights, strict=True):
        gathered = _gather(x, sources, buffers)  # (B, K, M)
        np.matmul(weights, gathered, out=buffers.sorted[s.first : s.last, None, :])
    _take(buffers.sorted, arranged.lists.rank, out)


def gradient_gather(arranged, dy, x, out, gradient, buffers):
    r"""Backward pass of ``y = x W`` from the connections alone: ``dx = W dy``, and the gradient at the connections.

    Both need the same rows of `dy`, so they are gathered once.

    Parameters
    ----------
    arranged : ArrangedLists
        With the rows of W as targets and its columns as sources.
    dy : ndarray of shape (n_cols, M)
    x : ndarray of shape (n_rows, M)
        What was multiplied by W.
    out : ndarray of shape (n_rows, M)
        dx is written to it.
    gradient : list of ndarray
        One of shape (B, K, 1) per slice; the gradient is **added** to it. :meth:`PaddedLists.collect` brings it
        into the order of the connections.
    buffers : GatherBuffers

    Examples
    --------
    >>> lists = PaddedLists(np.array([0, 1]), n_targets=2)
    >>> arranged = lists.arrange(sources=np.array([1, 0]), values=np.array([3.0, 5.0]))  # at (0, 1) and (1, 0)
    >>> x, dy, dx = np.array([[1.0], [2.0]]), np.array([[10.0], [20.0]]), np.empty((2, 1))
    >>> gradient = [np.zeros((*s.positions.shape, 1)) for s in lists.slices]
    >>> gradient_gather(arranged, dy, x, dx, gradient, GatherBuffers(lists, 1, float))
    >>> dx.tolist(), lists.collect(gradient, float).tolist()
    ([[60.0], [50.0]], [20.0, 20.0])
    """
    _take(x, arranged.lists.order, buffers.sorted_x)
    slices = zip(arranged.lists.slices, arranged.sources, arranged.weights, gradient, strict=True)
    for s, sources, weights, sums in slices:
        gathered = _gather(dy, sources, buffers)  # (B, K, M)
        np.matmul(weights, gathered, out=buffers.sorted[s.first : s.last, None, :])  # dx = W dy
        sums += gathered @ buffers.sorted_x[s.first : s.last, :, None]  # (B, K, 1)  dW = x dyᵀ at the connections
    _take(buffers.sorted, arranged.lists.rank, out)


def _gather(x, sources, buffers):
    return _take(x, sources, buffers.gathered[: sources.size].reshape(*sources.shape, x.shape[1]))


def _take(x, rows, out):
    # mode="clip" because NumPy then writes straight to `out` and lets other threads run; no index is ever out of range
    return np.take(x, rows, axis=0, out=out, mode="clip")


def gradient_pairs(x, dy, rows, cols):
    """Gradient at the connections, for arrays with one row per text: a sum over the texts for each pair of units.

    Parameters
    ----------
    x : ndarray of shape (N, n_rows)
        What was multiplied by the matrix.
    dy : ndarray of shape (N, n_cols)
        Gradient of the loss with respect to the product.
    rows, cols : ndarray of shape (nnz,), int
        The connections.

    Returns
    -------
    ndarray of shape (nnz,)

    Examples
    --------
    >>> gradient_pairs(np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]]), np.array([0, 1]), np.array([1, 0]))
    array([20., 20.])
    """
    gradient = np.empty(len(rows), np.result_type(x, dy))
    chunk = max(1, CHUNK_CELLS // max(1, len(x)))
    for first in range(0, len(rows), chunk):
        part = slice(first, first + chunk)
        gradient[part] = np.einsum("nk,nk->k", x[:, rows[part]], dy[:, cols[part]])
    return gradient


def gradient_blocks(x, dy, rows, cols):
    """Gradient at the connections: BLAS on blocks of the matrix's rows, then pick the connections.

    Equal to :func:`gradient_pairs`, whose parameters it takes; `rows` must not decrease. Only one block of the dense
    gradient exists at a time.

    Examples
    --------
    >>> gradient_blocks(np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]]), np.array([0, 1]), np.array([1, 0]))
    array([20., 20.])
    """
    n_rows, n_cols = x.shape[1], dy.shape[1]
    gradient = np.empty(len(rows), np.result_type(x, dy))
    block = max(1, CHUNK_CELLS // max(1, n_cols))
    for first in range(0, n_rows, block):
        start, stop = np.searchsorted(rows, (first, first + block))
        dense = x[:, first : first + block].T @ dy  # (block, n_cols)
        gradient[start:stop] = dense[rows[start:stop] - first, cols[start:stop]]
    return gradient
