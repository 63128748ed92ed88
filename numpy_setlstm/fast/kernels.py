r"""Fast products with a sparse matrix, on plain arrays; their plain twins are in :mod:`numpy_setlstm.sparse`.

There are two ways to multiply. *Gather* visits the connections only: its cost and its memory are linear in their
number. *Scratch* lays the values out in a dense array that lives for one minibatch, and leaves the work to BLAS, which
is so much faster per multiplication that, core for core, it wins from a density of about one seventh on.

The gather kernels work on arrays with one row per unit and one column per text, so that all that a connection needs of
a unit, its value in every text, is contiguous in memory.
"""

from typing import NamedTuple

import numpy as np

KERNELS = ("auto", "gather", "scratch")

# Below this density the gather kernel is faster. Measured at H = 256 with 32 texts: 0.2 ns per connection and text by
# gathering, 0.03 ns per cell and text by BLAS.
GATHER_BELOW_DENSITY = 0.1
# The most cells of a dense scratch array (half a gigabyte in float32); larger matrices are gathered.
SCRATCH_MAX_CELLS = 2**27
# The most numbers in a block of the dense gradient, so that it stays in the processor's cache.
CHUNK_CELLS = 2**20
# The most cells of a slice of the padded lists: with 64 texts in float32, two megabytes.
SLICE_CELLS = 2**13
# Each extra slice costs a few calls of NumPy, which take as long as the products of about this many cells.
CELLS_OF_A_CALL = 2**9


def choose_kernel(shape, nnz, kernel="auto"):
    """Return "gather" or "scratch" for a matrix of this shape with this many connections.

    >>> choose_kernel((256, 1024), nnz=50_000), choose_kernel((100_000, 100_000), nnz=10_000)
    ('scratch', 'gather')
    """
    if kernel not in KERNELS:
        raise ValueError(f"kernel is {kernel!r}; expected one of {', '.join(map(repr, KERNELS))}")
    if kernel != "auto":
        return kernel
    cells = shape[0] * shape[1]
    return "scratch" if cells <= SCRATCH_MAX_CELLS and nnz >= GATHER_BELOW_DENSITY * cells else "gather"


class Slice(NamedTuple):
    """Lists of equal length K for the targets `first` to `last` - 1, in the order of :class:`PaddedLists`.

    `positions`, of shape (B, K), says where the K connections of each of the B targets are among all connections; it is
    nnz where a target has fewer.
    """

    first: int
    last: int
    positions: np.ndarray


class PaddedLists:
    """For each target the list of the connections that lead to it, in arrays without gaps.

    NumPy multiplies arrays, not lists of unequal length. So the targets are sorted by the length of their lists, those
    with the fewest connections first (`order`; `rank` is its inverse), and cut into `slices`; within a slice the lists
    are padded to equal length with connections of weight 0, some 10 to 20 % of them. The first `n_empty` targets in
    this order have no connection. Source: A. Monakov, A. Lokhmotov and A. Avetisyan (2010), "Automatically tuning
    sparse matrix-vector multiplication for GPU architectures", who call the format sliced ELLPACK.

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
        by_target = np.append(np.argsort(targets, kind="stable"), nnz)  # the connections, grouped by target
        by_target = by_target.astype(np.int32 if nnz < 2**31 else np.int64)
        starts = (np.cumsum(counts) - counts)[self.order]  # where each group begins
        self.slices = []
        for first, last in _cut(lengths[self.n_empty :]):
            first, last = first + self.n_empty, last + self.n_empty
            k = np.arange(lengths[last - 1])  # (K,)
            exists = k < lengths[first:last, None]  # (B, K)
            positions = by_target[np.where(exists, starts[first:last, None] + k, nnz)]
            self.slices.append(Slice(first, last, positions))
        self.largest = max((s.positions.size for s in self.slices), default=0)

    def arrange(self, sources, values):
        """Sources (nnz,) and weights (nnz,) of all connections in the layout of the gather kernels."""
        sources = np.append(sources, 0).astype(np.intp)  # padding has the source 0
        values = np.append(values, np.zeros(1, values.dtype))  # and the weight 0
        positions = [s.positions for s in self.slices]
        return ArrangedLists(self, [sources[p] for p in positions], [values[p][:, None, :] for p in positions])

    def collect(self, arranged, dtype):
        """Undo the layout: from an ndarray of shape (B, K, 1) per slice to one number per connection, (nnz,)."""
        values = np.zeros(self.nnz + 1, dtype)
        for s, part in zip(self.slices, arranged, strict=True):
            values[s.positions] = part[:, :, 0]
        return values[: self.nnz]


class ArrangedLists(NamedTuple):
    """What the gather kernels read: for each slice, sources of shape (B, K) and weights of shape (B, 1, K)."""

    lists: PaddedLists
    sources: list
    weights: list


def _cut(lengths):
    """Where to cut lists that are sorted by length into slices: pairs of first and last (exclusive).

    The cheapest cut, if a slice costs its cells plus :data:`CELLS_OF_A_CALL`, by dynamic programming: for the lists up
    to some length it is a last slice, of those from some shorter length on, after the cheapest cut of the lists before.
    A slice that would not fit into the cache is cut again.
    """
    distinct, firsts = np.unique(lengths, return_index=True)
    ends = np.append(firsts, len(lengths))[1:]
    costs = np.zeros(len(distinct) + 1)  # of the lists of the k shortest lengths
    begins = []  # where their last slice begins
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
    """The arrays that the gather kernels write to, made once for many products with M = `n_columns` texts.

    `gathered`: the rows that the connections of a slice come from; `sorted`: the result in the order of the lists;
    `sorted_x`: the targets' own rows in that order. `empty` makes large arrays, like ``numpy.empty``.
    """

    def __init__(self, lists, n_columns, dtype, empty=np.empty):
        self.gathered = empty((lists.largest, n_columns), dtype)
        self.sorted = np.zeros((len(lists.order), n_columns), dtype)  # targets without a connection stay 0
        self.sorted_x = np.empty_like(self.sorted)


def product_gather(arranged, x, out, buffers):
    r"""Write ``y = Wᵀ x`` to `out`: x is (n_rows, M), out is (n_cols, M), columns of W are the targets of `arranged`.

    For the targets of a slice, :math:`y_{bm} = \sum_k w_{bk} x_{s_{bk}, m}`: once the rows :math:`s_{bk}` are gathered,
    this is one product of a (1, K) by a (K, M) matrix per target, and ``np.matmul`` does all of them in one call.
    """
    for s, sources, weights in zip(arranged.lists.slices, arranged.sources, arranged.weights, strict=True):
        gathered = _gather(x, sources, buffers)  # (B, K, M)
        np.matmul(weights, gathered, out=buffers.sorted[s.first : s.last, None, :])
    _take(buffers.sorted, arranged.lists.rank, out)


def gradient_gather(arranged, dy, x, out, gradient, buffers):
    """Backward pass of ``y = Wᵀ x``: write ``dx = W dy`` to `out`, and **add** the gradient at the connections.

    dy is (n_cols, M), x and out are (n_rows, M), rows of W are the targets of `arranged`; `gradient` is a list with one
    ndarray of shape (B, K, 1) per slice, see :meth:`PaddedLists.collect`. Both need the same rows of dy, gathered once.
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
    # With mode="clip" NumPy writes straight to `out` and releases Python's lock; no index is ever out of range.
    return np.take(x, rows, axis=0, out=out, mode="clip")


def gradient_blocks(x, dy, rows, cols):
    """Gradient at the connections (rows, cols) of ``y = x W``, for x (N, n_rows) and dy (N, n_cols): BLAS, then pick.

    Only one block of the dense gradient exists at a time; `rows` must not decrease.

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
