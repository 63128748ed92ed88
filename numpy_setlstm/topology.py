r"""Which connections exist: drawn at random, pruned, regrown.

Sparse Evolutionary Training (SET) keeps a network sparse from its first step to its last. The network starts as a
random graph (:func:`erdos_renyi`). After each epoch the connections that turned out weakest are removed
(:func:`prune`) and as many are added at random (:func:`regrow`); :func:`set_step` does both and returns a
:class:`SetStep`, through which everything that is stored per connection follows. SET's best-known rival, RigL, adds the
connections whose gradient is largest: that is what `growth_scores` are for.

Sources: D. C. Mocanu et al. (2018), "Scalable training of artificial neural networks with adaptive sparse connectivity
inspired by network science", Nature Communications 9:2383; S. Liu, D. C. Mocanu and M. Pechenizkiy (2019),
"Intrinsically Sparse Long Short-Term Memory Networks", arXiv:1901.09208.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from numpy_setlstm.sparse import SparseMatrix, Topology, check_shape

PRUNE_RULES = ("sign", "magnitude")


def erdos_renyi_count(shape, er_epsilon):
    r"""Number of connections of an Erdős–Rényi layer.

    Parameters
    ----------
    shape : tuple of int
        Sizes n_in and n_out.
    er_epsilon : float
        Connections per unit, roughly; at least 0.

    Returns
    -------
    int
        :math:`\varepsilon (n_{in} + n_{out})`, rounded, and at most :math:`n_{in} n_{out}`: then the layer is dense.

    Raises
    ------
    ValueError
        If `er_epsilon` is negative, infinite or NaN.

    Notes
    -----
    Equation :eq:`er-count` in docs/derivations/erdos_renyi.md.

    Source: Mocanu et al. (2018), equation 1: a connection exists with probability
    :math:`\varepsilon (n_{in} + n_{out}) / (n_{in} n_{out})`.

    Examples
    --------
    >>> erdos_renyi_count((20_000, 256), er_epsilon=10), erdos_renyi_count((3, 4), er_epsilon=10)
    (202560, 12)
    """
    if not 0 <= er_epsilon < np.inf:
        raise ValueError(f"er_epsilon is {er_epsilon}; expected a number of at least 0, often 1 to 20")
    return min(round(er_epsilon * (shape[0] + shape[1])), shape[0] * shape[1])


def erdos_renyi(
    shape,
    rng,
    *,
    er_epsilon=None,
    density=None,
    scale=1.0,
    dtype=np.float32,
    reserved_rows=0,
    one_per_row=False,
    values_rng=None,
):
    r"""Draw a random sparse matrix with an exact number of connections.

    Every set of that many cells is equally likely, unless `one_per_row` is asked for; the weights are normally
    distributed.

    Parameters
    ----------
    shape : tuple of int
        With n_in rows and n_out columns.
    rng : numpy.random.Generator
        Draws the cells.
    er_epsilon : float, optional
        Gives :math:`\varepsilon (n_{in} + n_{out})` connections: see :func:`erdos_renyi_count`.
    density : float in [0, 1], optional
        Gives ``round(density * n_in * n_out)`` connections. Exactly one of the two is to be given.
    scale : float, default 1.0
        Standard deviation of the weights.
    dtype : dtype, default numpy.float32
    reserved_rows : int, default 0
        The first so many rows get no connection, such as the padding row of an embedding. They count in n_in.
    one_per_row : bool, default False
        Give each row that is not reserved at least one connection. Without it a row stays empty with a probability of
        about :math:`e^{-\varepsilon (1 + n_{out} / n_{in})}`: :eq:`er-empty-row` in docs/derivations/erdos_renyi.md.
    values_rng : numpy.random.Generator, optional
        Draws the weights, so that they have a stream of their own; `rng` without it.

    Returns
    -------
    SparseMatrix of shape (n_in, n_out)

    Raises
    ------
    ValueError
        If not exactly one of `er_epsilon` and `density` is given, one is outside its range, or the connections do
        not fit beside the reserved rows, or do not suffice for `one_per_row`.

    Notes
    -----
    Source: P. Erdős and A. Rényi (1959), "On random graphs I", the model with a fixed number of edges. The published
    codes of SET draw with replacement or toss a coin per cell, so that their counts vary; here the count is exact.
    Cost and memory are linear in the connections; no array of the full size is made.

    Examples
    --------
    >>> W = erdos_renyi((1_000_000, 512), np.random.default_rng(0), density=0.0001)
    >>> W.nnz
    51200
    """
    n_rows, n_cols = shape = check_shape(shape)
    if (er_epsilon is None) == (density is None):
        raise ValueError(f"er_epsilon is {er_epsilon} and density is {density}; give exactly one of the two")
    if density is not None and not 0 <= density <= 1:
        raise ValueError(f"density is {density}; expected a fraction from 0 to 1, such as 0.04 for 4 %")
    count = erdos_renyi_count(shape, er_epsilon) if density is None else round(density * n_rows * n_cols)
    offset = reserved_rows * n_cols  # of the first cell that may be used
    free = n_rows * n_cols - offset
    if not 0 <= reserved_rows <= n_rows or count > free:
        raise ValueError(
            f"{count} connections do not fit: {reserved_rows} of {n_rows} rows are reserved, which leaves "
            f"{max(free, 0)} cells"
        )
    if one_per_row:
        usable = n_rows - reserved_rows
        if count < usable:
            raise ValueError(
                f"{count} connections are too few for one in each of {usable} rows: raise er_epsilon or density"
            )
        first = np.arange(usable) * n_cols + rng.integers(n_cols, size=usable)  # one cell of each row
        keys = np.union1d(first, _draw_free_cells(first, free, count - usable, rng))
    else:
        keys = np.sort(distinct_integers(free, count, rng))
    values = (values_rng or rng).normal(0.0, scale, count).astype(dtype)
    return SparseMatrix(shape, *np.divmod(keys + offset, n_cols), values)


def distinct_integers(high, count, rng):
    """Draw `count` distinct integers below `high`, every set of them equally likely.

    Parameters
    ----------
    high : int
        Exclusive upper bound; may be far larger than memory.
    count : int
        At most `high`.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (count,), int64
        In no particular order.

    Raises
    ------
    ValueError
        If there are not that many below `high`.

    Notes
    -----
    Draw one at a time and ignore what was drawn before: that is uniform over all sets. Drawing as many at once as are
    still missing is the same procedure, since it never overshoots. When more than half are wanted, the ones to leave
    out are drawn. (``Generator.choice`` would make an array of `high` numbers here.)

    Examples
    --------
    >>> sorted(distinct_integers(5, 5, np.random.default_rng(0)).tolist())
    [0, 1, 2, 3, 4]
    """
    if count > high:
        raise ValueError(f"{count} distinct integers below {high} do not exist")
    if count > high // 2:
        left_out = distinct_integers(high, high - count, rng)
        return np.delete(np.arange(high), left_out)
    drawn = np.empty(0, np.int64)
    while len(drawn) < count:
        drawn = np.sort(np.concatenate([drawn, rng.integers(high, size=count - len(drawn))]))
        drawn = drawn[np.diff(drawn, prepend=-1) > 0]  # np.unique does the same, several times as slowly
    return drawn


def _draw_free_cells(occupied, n_cells, count, rng):
    """`count` distinct cells below `n_cells` that are not in the sorted array `occupied`, sorted.

    Draw ranks among the free cells, then turn ranks into cells: before the k-th occupied cell lie occupied[k] - k free
    ones, so a free cell of rank r has as many occupied cells before it as there are k with occupied[k] - k <= r. No
    draw is ever rejected, however few free cells there are. (:eq:`regrow-rank` in docs/derivations/set.md.)
    """
    ranks = np.sort(distinct_integers(n_cells - len(occupied), count, rng))
    return ranks + np.searchsorted(occupied - np.arange(len(occupied)), ranks, side="right")


def prune(W, zeta, prune_rule="sign"):
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

    Returns
    -------
    ndarray of shape (n_pruned,), int
        Positions in ``W.values`` of the connections to remove, increasing. Of equal weights the first go first.

    Raises
    ------
    ValueError
        If `zeta` is outside [0, 1], the rule is unknown, or a weight is NaN or infinite.

    Notes
    -----
    Equations :eq:`prune-sign` and :eq:`prune-magnitude` in docs/derivations/set.md.

    Source: the sign-wise rule is SET's own (Mocanu et al. 2018, Methods); pruning by magnitude is S. Han et al. (2015).
    They differ where the signs are unbalanced. SET's published code removes about two connections more than the
    stated fraction; here the count is exact.

    Examples
    --------
    >>> W = SparseMatrix((1, 5), [0] * 5, range(5), [0.1, -5.0, 2.0, -0.2, 3.0])
    >>> prune(W, 0.5), prune(W, 0.5, "magnitude")
    (array([0, 3]), array([0, 3]))
    >>> prune(W, 0.6), prune(W, 0.6, "magnitude")
    (array([0, 3]), array([0, 2, 3]))
    """
    if not 0 <= zeta <= 1:
        raise ValueError(f"zeta is {zeta}; expected the fraction to replace, from 0 to 1, often 0.3")
    bad = np.flatnonzero(~np.isfinite(W.values))
    if bad.size:
        raise ValueError(
            f"{bad.size} of {W.nnz} weights are not finite, the first is {W.values[bad[0]]} at "
            f"({W.rows[bad[0]]}, {W.cols[bad[0]]}); training has diverged: lower the learning rate, or clip gradients"
        )
    if prune_rule == "sign":
        groups = [np.flatnonzero(W.values >= 0), np.flatnonzero(W.values < 0)]
    elif prune_rule == "magnitude":
        groups = [np.arange(W.nnz)]
    else:
        raise ValueError(f"prune_rule is {prune_rule!r}; expected one of {', '.join(map(repr, PRUNE_RULES))}")
    weakest = [g[smallest(np.abs(W.values[g]), _floor_share(zeta, len(g)))] for g in groups]
    return np.sort(np.concatenate(weakest))


def smallest(sizes, count):
    """Find the smallest numbers, in time linear in how many there are, unlike sorting.

    Parameters
    ----------
    sizes : ndarray of shape (n,)
    count : int
        From 0 to n.

    Returns
    -------
    ndarray of shape (count,), int
        Their positions, in no particular order; of equal numbers the first go first.

    Examples
    --------
    >>> sorted(smallest(np.array([3.0, 1.0, 2.0, 2.0]), 2).tolist())
    [1, 2]
    """
    if count == 0:
        return np.arange(0)
    limit = np.partition(sizes, count - 1)[count - 1]  # the largest of them
    below, equal = np.flatnonzero(sizes < limit), np.flatnonzero(sizes == limit)
    return np.concatenate([below, equal[: count - len(below)]])


def _floor_share(zeta, count):
    """floor(zeta · count) with zeta the decimal that was typed: 29 for 0.29 · 100, which is 28.999... in binary."""
    return int(Fraction(repr(float(zeta))) * count)


def regrow(shape, rows, cols, count, rng, *, reserved_rows=0, growth_scores=None):
    """Choose free cells for new connections: every set of them equally likely, or those of the largest score.

    Parameters
    ----------
    shape : tuple of int
    rows, cols : ndarray of shape (n,), int
        The connections that exist, (row, column) strictly increasing.
    count : int
        How many to add.
    rng : numpy.random.Generator
    reserved_rows : int, default 0
        The first so many rows have no connection and get none.
    growth_scores : ndarray of `shape`, optional
        Numbers of at least 0, such as the size of each cell's gradient: the free cells with the largest ones are taken,
        of equal ones the first. A score of 0 recommends nothing: if fewer free cells than `count` have more than that,
        the rest are drawn at random from those of score 0. This array is dense, and as large as the full matrix.

    Returns
    -------
    new_rows, new_cols : ndarray of shape (count,), int64
        (row, column) strictly increasing; none of them exists yet. A connection that was just pruned is a free cell
        like any other and may come back, as in SET's own code.

    Raises
    ------
    ValueError
        If fewer than `count` cells are free, or a score is negative, NaN or infinite, or their shape is another.

    Examples
    --------
    >>> regrow((2, 2), np.array([0, 1]), np.array([0, 1]), 2, np.random.default_rng(0))
    (array([0, 1]), array([1, 0]))
    >>> scores = np.array([[9.0, 1.0, 3.0], [0.0, 2.0, 0.0]])
    >>> regrow((2, 3), np.array([0]), np.array([0]), 2, np.random.default_rng(0), growth_scores=scores)
    (array([0, 1]), array([2, 1]))
    """
    n_rows, n_cols = check_shape(shape)
    offset = reserved_rows * n_cols
    occupied = np.asarray(rows, np.int64) * n_cols + cols - offset
    if not 0 <= reserved_rows <= n_rows or (occupied < 0).any():
        raise ValueError(
            f"{reserved_rows} rows of {n_rows} are reserved, and {np.count_nonzero(occupied < 0)} connections stand "
            "there; expected a number of rows from 0 on, without connections"
        )
    n_cells = n_rows * n_cols - offset
    if count > n_cells - len(occupied):
        raise ValueError(f"{count} connections are to be added, but only {n_cells - len(occupied)} cells are free")
    if growth_scores is None:
        cells = _draw_free_cells(occupied, n_cells, count, rng)
    else:
        best = _best_free_cells(occupied, _check_scores(growth_scores, shape).ravel()[offset:], count)
        taken = np.union1d(occupied, best)
        cells = np.union1d(best, _draw_free_cells(taken, n_cells, count - len(best), rng))
    return np.divmod(cells + offset, n_cols)


def _check_scores(growth_scores, shape):
    scores = np.asarray(growth_scores)
    if scores.shape != tuple(shape):
        raise ValueError(f"growth_scores have shape {scores.shape}; expected {tuple(shape)}, one number per cell")
    bad = np.argwhere(~(np.isfinite(scores) & (scores >= 0)))
    if len(bad):
        row, col = bad[0].tolist()
        raise ValueError(
            f"{len(bad)} growth_scores are negative, NaN or infinite, the first is {scores[row, col]} at "
            f"({row}, {col}); expected sizes of gradients, np.abs(gradient): if training has diverged, lower the "
            "learning rate"
        )
    return scores


def _best_free_cells(occupied, scores, count):
    """The `count` cells not `occupied` with the largest scores above 0, sorted; fewer if not so many have one."""
    free_scores = scores.copy()
    free_scores[occupied] = 0
    candidates = np.flatnonzero(free_scores)
    return np.sort(candidates[smallest(-free_scores[candidates], min(count, len(candidates)))])


@dataclass(frozen=True, eq=False)
class SetStep:
    """What one SET step did to a matrix, and how everything stored per connection follows.

    `kept` and `pruned` part the old connections; the survivors and `grown` part the new ones. Survivors keep their
    order, so that the k-th survivor stands at ``kept[k]`` before and at ``survivors[k]`` after.

    Attributes
    ----------
    nnz : int
        Number of connections, the same before and after.
    pruned : ndarray of shape (n,), int32 or int64
        Positions in the old values of the connections that were removed, increasing.
    grown : ndarray of shape (n,), int32 or int64
        Positions in the new values of the connections that were added, increasing.
    pruned_cells, grown_cells : ndarray of shape (2, n), int32 or int64
        Their rows and columns.

    Examples
    --------
    >>> W = SparseMatrix((2, 2), [0, 1], [0, 1], [0.1, 0.2])
    >>> W, step = set_step(W, 0.5, np.random.default_rng(0), prune_rule="magnitude")
    >>> step.pruned_cells.tolist(), step.kept.tolist()
    ([[0], [0]], [1])
    >>> momentum = np.array([7.0, 8.0])
    >>> sorted(step.carry(momentum).tolist())
    [0.0, 8.0]
    """

    nnz: int
    pruned: np.ndarray
    grown: np.ndarray
    pruned_cells: np.ndarray
    grown_cells: np.ndarray

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
        """The connections after this step, given those before it.

        Parameters
        ----------
        topology : Topology

        Returns
        -------
        Topology
        """
        rows, cols = self.carry(topology.rows), self.carry(topology.cols)
        rows[self.grown], cols[self.grown] = self.grown_cells
        return Topology(topology.shape, rows, cols)

    def carry(self, state):
        """Take something that is stored per connection over to the new connections.

        Parameters
        ----------
        state : ndarray of shape (nnz,)
            Aligned with the old values, such as a momentum.

        Returns
        -------
        ndarray of shape (nnz,)
            Aligned with the new values: bit for bit the same for the survivors, 0 for the grown: :eq:`carry` in
            docs/derivations/adam.md.

        Raises
        ------
        ValueError
            If `state` does not have one number per connection.
        """
        if np.shape(state) != (self.nnz,):
            raise ValueError(f"state has shape {np.shape(state)}; expected ({self.nnz},), one number per connection")
        carried = np.zeros_like(state)
        carried[self.survivors] = state[self.kept]
        return carried


def set_step(W, zeta, rng, *, prune_rule="sign", scale=0.0, reserved_rows=0, growth_scores=None):
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
        Standard deviation of the new weights, drawn from a normal distribution around 0. With 0 they start at 0 and
        the step changes what the network computes only by what it prunes.
    reserved_rows : int, default 0
        The first so many rows have no connection and get none.
    growth_scores : ndarray of the shape of `W`, optional
        Which cells to grow, instead of random ones: see :func:`regrow`.

    Returns
    -------
    W : SparseMatrix
        The new matrix, with exactly as many connections.
    step : SetStep
        What happened, and how to take other arrays along.

    Raises
    ------
    ValueError
        As :func:`prune` and :func:`regrow`.

    Notes
    -----
    Derived in docs/derivations/set.md; where a grown connection stands is :eq:`set-merge`.

    Source: Mocanu et al. (2018), algorithm 1. SET's published codes start new weights either like the
    initial ones or at 0; `scale` gives both. Growth by the size of the gradient: U. Evci et al. (2020), "Rigging the
    Lottery: Making All Tickets Winners" (RigL), arXiv:1911.11134.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> W = erdos_renyi((20, 30), rng, density=0.1)
    >>> new, step = set_step(W, 0.3, rng)
    >>> new.nnz == W.nnz, len(step.pruned) == len(step.grown)
    (True, True)
    """
    pruned = prune(W, zeta, prune_rule)
    kept = np.delete(np.arange(W.nnz), pruned)
    grown_rows, grown_cols = regrow(
        W.shape,
        W.rows[kept],
        W.cols[kept],
        len(pruned),
        rng,
        reserved_rows=reserved_rows,
        growth_scores=growth_scores,
    )

    # Two sorted lists of cells become one: a grown connection stands where its key belongs among the kept.
    kept_keys = W.topology.keys[kept]
    grown = np.searchsorted(kept_keys, grown_rows * W.shape[1] + grown_cols) + np.arange(len(pruned))
    index_dtype = W.rows.dtype
    step = SetStep(
        nnz=W.nnz,
        pruned=pruned.astype(index_dtype),
        grown=grown.astype(index_dtype),
        pruned_cells=np.stack([W.rows[pruned], W.cols[pruned]]),
        grown_cells=np.stack([grown_rows, grown_cols]).astype(index_dtype),
    )
    values = step.carry(W.values)
    values[grown] = rng.normal(0.0, scale, len(grown))
    return SparseMatrix.from_topology(step.apply(W.topology), values), step


def replay(topology, steps):
    """The connections after each of several SET steps.

    Parameters
    ----------
    topology : Topology
        The connections before the first step.
    steps : sequence of SetStep

    Returns
    -------
    list of Topology
        One more than there are steps; the first is `topology`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> W = erdos_renyi((5, 6), rng, density=0.2)
    >>> new, step = set_step(W, 0.5, rng)
    >>> [len(topology.rows) for topology in replay(W.topology, [step])]
    [6, 6]
    """
    topologies = [topology]
    for step in steps:
        topologies.append(step.apply(topologies[-1]))
    return topologies


def null_evolution(W, n_steps, zeta, rng, *, prune_rule="sign", reserved_rows=0):
    """Evolve without any training: what SET steps do to a matrix all by themselves.

    New weights are drawn at random with the standard deviation of the old ones, in place of what training would make of
    them; if they stayed at 0, each step would prune just what the one before had grown. A picture that claims that
    evolution found something has to show more than this does.

    Parameters
    ----------
    W : SparseMatrix
        Is not changed.
    n_steps : int
        How many SET steps.
    zeta, rng, prune_rule, reserved_rows
        See :func:`set_step`.

    Returns
    -------
    list of SetStep

    Examples
    --------
    >>> W = erdos_renyi((50, 60), np.random.default_rng(0), density=0.1)
    >>> steps = null_evolution(W, 10, 0.3, np.random.default_rng(1))
    >>> survived = np.isin(W.topology.keys, replay(W.topology, steps)[-1].keys)
    >>> bool(0.1 < survived.mean() < 0.5)
    True
    """
    scale = float(np.std(W.values)) if W.nnz else 0.0
    steps = []
    for _ in range(n_steps):
        W, step = set_step(W, zeta, rng, prune_rule=prune_rule, scale=scale, reserved_rows=reserved_rows)
        steps.append(step)
    return steps


def connection_counts(W, axis):
    """Connections of each row (axis=1) or column (axis=0): the degrees of the units on that side.

    Parameters
    ----------
    W : SparseMatrix of shape (n_rows, n_cols)
    axis : {0, 1}
        The axis that is counted along, as in ``numpy.sum``.

    Returns
    -------
    ndarray of shape (n_cols,) for axis 0, (n_rows,) for axis 1; int64

    Raises
    ------
    ValueError
        If `axis` is neither 0 nor 1.

    Examples
    --------
    >>> W = SparseMatrix((2, 3), [0, 0], [1, 2], [1.0, 1.0])
    >>> connection_counts(W, axis=0), connection_counts(W, axis=1)
    (array([0, 1, 1]), array([2, 0]))
    """
    if axis not in (0, 1):
        raise ValueError(f"axis is {axis!r}; expected 0 to count along the rows, or 1 along the columns")
    return np.bincount(W.cols if axis == 0 else W.rows, minlength=W.shape[1 - axis])


def turnover_by_group(topology, step, group_of):
    """Which part of the connections a SET step replaced, group by group: for example per gate, or per band of words.

    Parameters
    ----------
    topology : Topology
        The connections before the step.
    step : SetStep
    group_of : callable
        ``group_of(rows, cols)`` gives the group of each connection, ndarray of int from 0 on.

    Returns
    -------
    pruned, grown : ndarray of shape (n_groups,), float
        Pruned connections, and grown ones, as a fraction of those that the group had before; NaN if it had none.

    Notes
    -----
    Growth is uniform over the cells and pruning is not: so connections drift from groups that lose them easily to
    groups with many free cells, whatever is learnt. Rare words make up most of a vocabulary.

    Examples
    --------
    >>> W = SparseMatrix((2, 4), [0, 0, 1, 1], [0, 1, 2, 3], [0.1, 5.0, 6.0, 7.0])
    >>> _, step = set_step(W, 0.25, np.random.default_rng(0))
    >>> turnover_by_group(W.topology, step, lambda rows, cols: cols // 2)[0]
    array([0.5, 0. ])
    """
    groups = group_of(topology.rows, topology.cols)
    n_groups = 1 + max(groups.max(initial=-1), group_of(*step.grown_cells).max(initial=-1))
    before = np.bincount(groups, minlength=n_groups).astype(float)
    before[before == 0] = np.nan
    pruned, grown = (
        np.bincount(group_of(*cells), minlength=n_groups) for cells in (step.pruned_cells, step.grown_cells)
    )
    return pruned / before, grown / before


def dispersion(counts):
    """Variance of the degrees over their mean: about 1 for a random graph, more if some units gather connections.

    Parameters
    ----------
    counts : ndarray of shape (n,), int
        Connections of each unit.

    Returns
    -------
    numpy.float64
        At least 0; 0 without connections.

    Examples
    --------
    >>> float(dispersion(np.array([2, 2, 2, 2]))), float(dispersion(np.array([0, 0, 0, 8])))
    (0.0, 6.0)
    """
    mean = np.mean(counts)
    return np.var(counts) / mean if mean else np.float64(0.0)
