r"""Which connections exist: drawn at random, pruned, regrown.

Sparse Evolutionary Training (SET) keeps a network sparse from its first step to its last. The network starts as a
random graph (:func:`erdos_renyi`). After each epoch the weakest connections are removed (:func:`prune`) and as many are
added at random (:func:`regrow`); :func:`set_step` does both and returns a :class:`SetStep`, with which everything that
is stored per connection follows. RigL, SET's best-known rival, adds the connections with the largest gradient, given as
`growth_scores`.

Sources: D. C. Mocanu et al. (2018), "Scalable training of artificial neural networks with adaptive sparse connectivity
inspired by network science", Nature Communications 9:2383; S. Liu, D. C. Mocanu and M. Pechenizkiy (2019),
"Intrinsically Sparse Long Short-Term Memory Networks", arXiv:1901.09208.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from numpy_setlstm.cells import best_free_cells, draw_free_cells, scored_cells, smallest
from numpy_setlstm.checks import as_array, checked, choice, flag, float_type, generator, instance, integer, number
from numpy_setlstm.sparse import SparseMatrix, Topology, check_shape

__all__ = ["SetStep", "erdos_renyi", "prune", "regrow", "set_step"]

PRUNE_RULES = ("sign", "magnitude")
ZETA = number("[0, 1]", "the fraction to replace, from 0 to 1, often 0.3")
_EPSILON = number("[0, inf)", "a number of at least 0, often 1 to 20")
_SCALE = number("[0, inf)", "a standard deviation of at least 0, such as 0.1")
_MATRIX = instance(SparseMatrix, "a SparseMatrix; a dense array is not evolved")


def reserved_rows_of(name):
    """Number of leading rows of a parameter that are kept empty: 1 for E, the row of the padding; 0 otherwise."""
    return 1 if name == "E" else 0


@checked(er_epsilon=_EPSILON)
def erdos_renyi_count(shape, er_epsilon):
    r"""Number of connections of an Erdős–Rényi layer: :math:`\varepsilon (n_{in} + n_{out})`, and at most all cells.

    Equation :eq:`er-count` in docs/derivations/erdos_renyi.md. Source: Mocanu et al. (2018), equation 1.

    >>> erdos_renyi_count((20_000, 256), er_epsilon=10), erdos_renyi_count((3, 4), er_epsilon=10)
    (202560, 12)
    """
    shape = check_shape(shape)
    return round(min(er_epsilon * (shape[0] + shape[1]), shape[0] * shape[1]))


@checked(
    rng=generator, er_epsilon=_EPSILON, density=number("[0, 1]", "a fraction from 0 to 1, such as 0.04 for 4 %"),
    scale=_SCALE, dtype=float_type, reserved_rows=integer, one_per_row=flag, values_rng=generator,
)  # fmt: skip
def erdos_renyi(
    shape, rng, *, er_epsilon=None, density=None, scale=1.0, dtype=np.float32,
    reserved_rows=0, one_per_row=False, values_rng=None,
):  # fmt: skip
    r"""Draw a random sparse matrix with an exact number of connections, every set of cells equally likely.

    Parameters
    ----------
    shape : tuple of int
        With n_in rows and n_out columns.
    rng : numpy.random.Generator
        Draws the cells.
    er_epsilon : float, optional
        Gives :math:`\varepsilon (n_{in} + n_{out})` connections: see :func:`erdos_renyi_count`.
    density : float in [0, 1], optional
        Gives ``round(density * n_in * n_out)`` connections. Give exactly one of the two.
    scale : float, default 1.0
        Standard deviation of the weights, which are normally distributed.
    dtype : dtype, default numpy.float32
    reserved_rows : int, default 0
        Number of leading rows kept empty, such as the padding row of an embedding. They count in n_in.
    one_per_row : bool, default False
        Give each row that is not reserved at least one connection. Otherwise a row stays empty with a probability of
        about :math:`e^{-\varepsilon (1 + n_{out} / n_{in})}`: :eq:`er-empty-row` in docs/derivations/erdos_renyi.md.
    values_rng : numpy.random.Generator, optional
        Draws the weights from a separate stream; `rng` by default.

    Returns
    -------
    SparseMatrix of shape (n_in, n_out)

    Raises
    ------
    ValueError
        If not exactly one of `er_epsilon` and `density` is given, a value is outside its range, or the connections do
        not fit beside the reserved rows or are too few for `one_per_row`.

    Notes
    -----
    Source: P. Erdős and A. Rényi (1959), "On random graphs I", the model with a fixed number of edges. The published
    SET codes draw with replacement or flip a coin per cell, so that their counts vary; here the count is exact. Time
    and memory are linear in the connections; no array of the full size is made.

    Examples
    --------
    >>> W = erdos_renyi((1_000_000, 512), np.random.default_rng(0), density=0.0001)
    >>> W.nnz
    51200
    """
    n_rows, n_cols = shape = check_shape(shape)
    if (er_epsilon is None) == (density is None):
        raise ValueError(f"er_epsilon is {er_epsilon} and density is {density}; give exactly one of the two")
    count = erdos_renyi_count(shape, er_epsilon) if density is None else round(density * n_rows * n_cols)
    n_usable = n_rows - reserved_rows
    if not 0 <= reserved_rows <= n_rows or count > n_usable * n_cols:
        raise ValueError(
            f"{count} connections do not fit: with {reserved_rows} of {n_rows} rows reserved, "
            f"{max(n_usable, 0) * n_cols} cells are left"
        )
    if one_per_row and count < n_usable:
        raise ValueError(
            f"{count} connections are too few for one in each of {n_usable} rows: raise er_epsilon or density"
        )
    cells = np.arange(0)
    if one_per_row:
        cells = np.arange(n_usable) * n_cols + rng.integers(n_cols, size=n_usable)  # one cell of each row
    others = draw_free_cells(cells, n_usable * n_cols, count - len(cells), rng)
    cells = np.sort(np.concatenate([cells, others])) + reserved_rows * n_cols
    values = (values_rng or rng).normal(0.0, scale, count).astype(dtype)
    return SparseMatrix(shape, *np.divmod(cells, n_cols), values)


@checked(W=_MATRIX, zeta=ZETA, prune_rule=choice(PRUNE_RULES), n_blocks=integer)
def prune(W, zeta, prune_rule="sign", *, n_blocks=1):
    r"""Choose the weakest connections.

    Parameters
    ----------
    W : SparseMatrix
    zeta : float in [0, 1]
        Fraction to remove.
    prune_rule : {"sign", "magnitude"}
        "sign": :math:`\lfloor \zeta n_+ \rfloor` of the :math:`n_+` positive weights, those nearest 0, and
        :math:`\lfloor \zeta n_- \rfloor` of the :math:`n_-` negative ones, those nearest 0. A weight of exactly 0
        counts as positive. "magnitude": the :math:`\lfloor \zeta n \rfloor` smallest :math:`|w|`.
    n_blocks : int, default 1
        How many blocks of as many columns, such as the 4 gates of an LSTM, are each pruned by the rule on their own.

    Returns
    -------
    ndarray of shape (n_pruned,), int
        Positions in ``W.values`` of the connections to remove, increasing. Of equal weights, the first are removed.

    Raises
    ------
    ValueError
        If `zeta` is outside [0, 1], the rule is unknown, a weight is NaN or infinite, or the columns are not those of
        `n_blocks` blocks.

    Notes
    -----
    Equations :eq:`prune-sign` and :eq:`prune-magnitude` in docs/derivations/set.md. Source: the sign-wise rule is SET's
    own (Mocanu et al. 2018, Methods); pruning by magnitude is S. Han et al. (2015). They differ if the signs are
    unbalanced. SET's published code removes about two connections more than the fraction; here the count is exact.

    Examples
    --------
    >>> W = SparseMatrix((1, 5), [0] * 5, range(5), [0.1, -5.0, 2.0, -0.2, 3.0])
    >>> prune(W, 0.6), prune(W, 0.6, "magnitude")
    (array([0, 3]), array([0, 2, 3]))
    """
    as_array("weights", W.values, "f")  # complex numbers have no order
    bad = np.flatnonzero(~np.isfinite(W.values))
    if bad.size:
        raise ValueError(
            f"{bad.size} of {W.nnz} weights are not finite, the first is {W.values[bad[0]]} at "
            f"({W.rows[bad[0]]}, {W.cols[bad[0]]}): training has diverged; lower the learning rate, or clip gradients"
        )
    signs = [W.values >= 0, W.values < 0] if prune_rule == "sign" else [np.ones(W.nnz, bool)]
    groups = [np.flatnonzero(sign & block) for block in _in_blocks(W, n_blocks) for sign in signs]
    weakest = [group[smallest(np.abs(W.values[group]), floor_share(zeta, len(group)))] for group in groups]
    return np.sort(np.concatenate(weakest))


def _in_blocks(W, n_blocks):
    """For each of `n_blocks` blocks of as many columns, whether each connection is in it: arrays of bool (nnz,)."""
    if not 1 <= n_blocks <= max(1, W.shape[1]) or W.shape[1] % n_blocks:
        raise ValueError(f"n_blocks is {n_blocks}; expected a divisor of the {W.shape[1]} columns, such as 1")
    width = W.shape[1] // n_blocks
    return [(W.cols >= k * width) & (W.cols < (k + 1) * width) for k in range(n_blocks)]


def floor_share(zeta, count):
    """floor(zeta · count) for zeta as the decimal that was typed: 29 for 0.29 · 100, which is 28.999... in binary."""
    return int(Fraction(repr(zeta)) * count)


@checked(count=integer, rng=generator, reserved_rows=integer)
def regrow(shape, rows, cols, count, rng, *, reserved_rows=0, growth_scores=None):
    """Choose free cells for new connections: every set equally likely, or those with the largest scores.

    Parameters
    ----------
    shape : tuple of int
    rows, cols : ndarray of shape (n,), int
        The existing connections, (row, column) strictly increasing.
    count : int
        How many to add.
    rng : numpy.random.Generator
    reserved_rows : int, default 0
        Number of leading rows kept empty.
    growth_scores : ndarray of `shape`, or SparseMatrix of that shape, optional
        Numbers of at least 0, such as the magnitude of each cell's gradient: the free cells with the largest scores are
        taken, of equal ones the first. A score of 0, or none in a SparseMatrix, recommends nothing: if fewer than
        `count` free cells have more, the rest are drawn at random.

    Returns
    -------
    new_rows, new_cols : ndarray of shape (count,), int64
        (row, column) strictly increasing; none of them exists yet. The cell of a connection that was just pruned is
        free, so the connection may come back, as in SET's own code.

    Raises
    ------
    ValueError
        If the connections are out of order or range or in reserved rows, `count` is negative or exceeds the free cells,
        or the scores are negative, not finite or of another shape.

    Examples
    --------
    >>> regrow((2, 2), np.array([0, 1]), np.array([0, 1]), 2, np.random.default_rng(0))
    (array([0, 1]), array([1, 0]))
    """
    occupied = Topology(shape, rows, cols).keys  # checks them
    n_rows, n_cols = shape = check_shape(shape)
    offset = reserved_rows * n_cols
    if not 0 <= reserved_rows <= n_rows or (occupied < offset).any():
        raise ValueError(
            f"{reserved_rows} of {n_rows} rows are reserved, and have {np.count_nonzero(occupied < offset)} "
            "connections; expected 0 or more reserved rows, without connections"
        )
    occupied, n_cells = occupied - offset, n_rows * n_cols - offset
    if not 0 <= count <= n_cells - len(occupied):
        raise ValueError(f"cannot add {count} connections: {n_cells - len(occupied)} cells are free")
    best = np.arange(0)
    if growth_scores is not None:
        scored, scores = scored_cells(growth_scores, shape)
        usable = scored >= offset
        best = best_free_cells(occupied, scored[usable] - offset, scores[usable], count)
    taken = np.union1d(occupied, best) if len(best) else occupied
    cells = np.sort(np.concatenate([best, draw_free_cells(taken, n_cells, count - len(best), rng)]))
    return np.divmod(cells + offset, n_cols)


def _regrow_in_blocks(W, kept, n_blocks, rng, *, reserved_rows, growth_scores):
    """Do :func:`regrow` in each of `n_blocks` blocks of columns, up to the connections that W has there."""
    scores, cells, width = [None] * n_blocks, [], W.shape[1] // n_blocks
    if growth_scores is not None:
        scored, sizes = scored_cells(growth_scores, W.shape)
        scores = _split(SparseMatrix(W.shape, *np.divmod(scored, W.shape[1]), sizes.astype(float)), n_blocks)
    left = _split(SparseMatrix(W.shape, W.rows[kept], W.cols[kept], W.values[kept]), n_blocks)
    for k, (block, is_inside) in enumerate(zip(left, _in_blocks(W, n_blocks), strict=True)):
        options = {"reserved_rows": reserved_rows, "growth_scores": scores[k]}
        count = np.count_nonzero(is_inside) - block.nnz
        rows, cols = regrow(block.shape, block.rows, block.cols, count, rng, **options)
        cells.append(rows * W.shape[1] + k * width + cols)
    return np.divmod(np.sort(np.concatenate(cells)), W.shape[1])


def _split(W, n_blocks):
    """The SparseMatrices that stand side by side in W."""
    shape = W.shape[0], W.shape[1] // n_blocks
    blocks = enumerate(_in_blocks(W, n_blocks))
    return [SparseMatrix(shape, W.rows[b], W.cols[b] - k * shape[1], W.values[b]) for k, b in blocks]


@dataclass(frozen=True, eq=False)
class SetStep:
    """What one SET step did to a matrix, and how everything stored per connection follows.

    `kept` and `pruned` partition the old connections, `survivors` and `grown` the new ones. Survivors keep their order:
    the k-th survivor moves from ``kept[k]`` to ``survivors[k]``.

    Examples
    --------
    >>> W = SparseMatrix((2, 2), [0, 1], [0, 1], [0.1, 0.2])
    >>> W, step = set_step(W, 0.5, np.random.default_rng(0), prune_rule="magnitude")
    >>> step.pruned_cells.tolist(), step.kept.tolist()
    ([[0], [0]], [1])
    >>> sorted(step.carry(np.array([7.0, 8.0])).tolist())
    [0.0, 8.0]
    """

    nnz: int  #: Number of connections, the same before and after
    pruned: np.ndarray  #: Positions in the old values of the n removed connections, of shape (n,), int, increasing
    grown: np.ndarray  #: Positions in the new values of the n added connections, of shape (n,), int, increasing
    pruned_cells: np.ndarray  #: Their rows and columns, of shape (2, n), int
    grown_cells: np.ndarray  #: Their rows and columns, of shape (2, n), int

    @property
    def kept(self):
        """Ndarray of shape (nnz - n,): positions in the old values of the connections that survived."""
        return np.delete(np.arange(self.nnz), self.pruned)

    @property
    def survivors(self):
        """Ndarray of shape (nnz - n,): positions of the same connections in the new values."""
        return np.delete(np.arange(self.nnz), self.grown)

    @property
    def turnover(self):
        """Fraction of the connections that were replaced, in [0, 1]."""
        return len(self.pruned) / self.nnz if self.nnz else 0.0

    def apply(self, topology):
        """The topology after this step, given that before it; ValueError for another one."""
        instance(Topology, "a Topology, such as that of a SparseMatrix, W.topology")("topology", topology)
        rows, cols = self.carry(topology.rows), self.carry(topology.cols)
        if not np.array_equal([topology.rows[self.pruned], topology.cols[self.pruned]], self.pruned_cells):
            raise ValueError("the topology lacks the pruned connections; expected the topology before this step")
        rows[self.grown], cols[self.grown] = self.grown_cells
        return Topology(topology.shape, rows, cols)

    def carry(self, state):
        """Transfer something that is stored per connection, of shape (nnz,), to the new connections.

        Bitwise the same for survivors, 0 for grown connections: :eq:`carry` in docs/derivations/adam.md.
        """
        state = as_array("state", state, None)
        if state.shape != (self.nnz,):
            raise ValueError(f"state has shape {state.shape}; expected ({self.nnz},), one number per connection")
        carried = np.zeros_like(state)
        carried[self.survivors] = state[self.kept]
        return carried


@checked(W=_MATRIX, rng=generator, scale=_SCALE)
def set_step(W, zeta, rng, *, prune_rule="sign", scale=0.0, reserved_rows=0, growth_scores=None, n_blocks=1):
    r"""One step of Sparse Evolutionary Training: prune the weakest connections, regrow as many.

    Parameters
    ----------
    W : SparseMatrix
        Is not changed.
    zeta : float in [0, 1]
        Fraction of the connections to replace.
    rng : numpy.random.Generator
    prune_rule : {"sign", "magnitude"}
        See :func:`prune`.
    scale : float, default 0.0
        Standard deviation of the new weights, drawn from a normal distribution around 0. With 0 they start at 0, and
        only pruning changes what the network computes.
    reserved_rows : int, default 0
        Number of leading rows kept empty.
    growth_scores : ndarray or SparseMatrix of the shape of `W`, optional
        Which cells to grow, instead of random ones: see :func:`regrow`.
    n_blocks : int, default 1
        Blocks of as many columns, such as the 4 gates of an LSTM, in each of which as many connections grow as are
        pruned, by :func:`prune`. With 1, connections move between gates.

    Returns
    -------
    W : SparseMatrix
        The new matrix, with exactly as many connections.
    step : SetStep
        What happened, and how other arrays follow.

    Notes
    -----
    Derived in docs/derivations/set.md, up to :eq:`set-merge`. Source: Mocanu et al. (2018), algorithm 1. SET's
    published codes start new weights like the initial ones or at 0; `scale` gives both. Growth by the magnitude of the
    gradient: U. Evci et al. (2020), "Rigging the Lottery: Making All Tickets Winners" (RigL), arXiv:1911.11134.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> W = erdos_renyi((20, 30), rng, density=0.1)
    >>> new, step = set_step(W, 0.3, rng)
    >>> new.nnz == W.nnz, len(step.pruned) == len(step.grown)
    (True, True)
    """
    pruned = prune(W, zeta, prune_rule, n_blocks=n_blocks)
    kept = np.delete(np.arange(W.nnz), pruned)
    options = {"reserved_rows": reserved_rows, "growth_scores": growth_scores}
    if n_blocks == 1:
        new_rows, new_cols = regrow(W.shape, W.rows[kept], W.cols[kept], len(pruned), rng, **options)
    else:
        new_rows, new_cols = _regrow_in_blocks(W, kept, n_blocks, rng, **options)

    # Merge two sorted lists of cells: a grown connection goes where its key belongs among the kept ones.
    kept_keys = W.topology.keys[kept]
    grown = np.searchsorted(kept_keys, new_rows * W.shape[1] + new_cols) + np.arange(len(pruned))
    index_dtype = W.rows.dtype
    step = SetStep(
        nnz=W.nnz,
        pruned=pruned.astype(index_dtype),
        grown=grown.astype(index_dtype),
        pruned_cells=np.stack([W.rows[pruned], W.cols[pruned]]),
        grown_cells=np.stack([new_rows, new_cols]).astype(index_dtype),
    )
    values = step.carry(W.values)
    values[grown] = rng.normal(0.0, scale, len(grown))
    return SparseMatrix.from_topology(step.apply(W.topology), values), step
