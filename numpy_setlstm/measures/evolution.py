"""What SET steps did to the connections, and what they do without training: the null model."""

import numpy as np

from numpy_setlstm.cells import united
from numpy_setlstm.checks import array, checked, generator, instance, whole
from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.measures.adjacency import reserved_rows as reserved
from numpy_setlstm.measures.adjacency import set_steps
from numpy_setlstm.measures.adjacency import topology as a_topology
from numpy_setlstm.sparse import SparseMatrix, check_shape
from numpy_setlstm.topology import ZETA, set_step

WORD_BANDS = (102, 1002)  #: First ids after the 100 commonest words, and after the 1,000 commonest
#: Names of the bands that :data:`WORD_BANDS` separates.
WORD_BAND_NAMES = ("words 1 to 100", "words 101 to 1000", "words beyond 1000")


@checked(topology=a_topology, steps=set_steps)
def replay(topology, steps):
    """The connections after each of several SET steps.

    Parameters
    ----------
    topology : Topology
    steps : sequence of SetStep

    Returns
    -------
    list of Topology
        `topology`, and one more per step.

    Examples
    --------
    >>> from numpy_setlstm import erdos_renyi
    >>> W = erdos_renyi((5, 6), np.random.default_rng(0), density=0.2)
    >>> new, step = set_step(W, 0.5, np.random.default_rng(1))
    >>> bool((replay(W.topology, [step])[-1].keys == new.topology.keys).all())
    True
    """
    topologies = [topology]
    for step in steps:
        topologies.append(step.apply(topologies[-1]))
    return topologies


@checked(W=instance(SparseMatrix, "a SparseMatrix"), n_steps=whole(0, 10**6), zeta=ZETA, rng=generator)
def null_evolution(W, n_steps, zeta, rng, *, prune_rule="sign", reserved_rows=0):
    """The null model: SET steps without any training in between.

    New weights are random, with the standard deviation of the old ones; if they started at 0, each step would prune
    what the previous one grew. Evidence that evolution found something is a difference from this model.

    Parameters
    ----------
    W : SparseMatrix
        Is not changed.
    n_steps : int
        Number of SET steps.
    zeta, rng, prune_rule, reserved_rows
        See :func:`numpy_setlstm.set_step`.

    Returns
    -------
    list of SetStep

    Examples
    --------
    >>> from numpy_setlstm import erdos_renyi
    >>> W = erdos_renyi((50, 60), np.random.default_rng(0), density=0.1)
    >>> steps = null_evolution(W, 10, 0.3, np.random.default_rng(1))
    >>> bool(0.1 < surviving_fraction(W.topology, steps)[-1] < 0.5)
    True
    """
    scale = float(np.std(W.values)) if W.nnz else 0.0
    steps = []
    for _ in range(n_steps):
        W, step = set_step(W, zeta, rng, prune_rule=prune_rule, scale=scale, reserved_rows=reserved_rows)
        steps.append(step)
    return steps


@checked(initial=a_topology, steps=set_steps, rng=generator)
def matched_null(initial, steps, rng, *, reserved_rows=0):
    """The null model of a given evolution: SET steps without training that prune as many connections each.

    Parameters
    ----------
    initial : Topology
    steps : sequence of SetStep
        The given evolution; only the number of connections pruned in each matters.
    rng : numpy.random.Generator
        Draws the weights and the new cells.
    reserved_rows : int, default 0
        Number of leading rows kept empty.

    Returns
    -------
    list of SetStep

    Notes
    -----
    Unlike in :func:`null_evolution`, the initial weights are random too. All weights are normally distributed, and the
    smallest are pruned; since the signs are balanced, pruning sign by sign would differ by chance only.

    Examples
    --------
    >>> from numpy_setlstm import erdos_renyi
    >>> W = erdos_renyi((20, 30), np.random.default_rng(0), density=0.1)
    >>> steps = null_evolution(W, 3, 0.2, np.random.default_rng(1))
    >>> null_steps = matched_null(W.topology, steps, np.random.default_rng(2))
    >>> [len(step.pruned) for step in steps] == [len(step.pruned) for step in null_steps]
    True
    """
    W = SparseMatrix.from_topology(initial, rng.normal(size=len(initial.rows)))
    null_steps = []
    for step in steps:
        zeta = min(1.0, (len(step.pruned) + 0.5) / max(step.nnz, 1))  # + 0.5, since set_step rounds down
        W, null_step = set_step(W, zeta, rng, prune_rule="magnitude", scale=1.0, reserved_rows=reserved_rows)
        null_steps.append(null_step)
    return null_steps


@checked(topology=a_topology, steps=set_steps)
def births(topology, steps):
    """Yield, before and after each step, the topology and the step (nnz,) that grew each connection, 0 for initial."""
    born = np.zeros(len(topology.rows), int)
    yield topology, born
    for k, step in enumerate(steps, start=1):
        topology, born = step.apply(topology), step.carry(born)
        born[step.grown] = k
        yield topology, born


@checked(topology=a_topology, steps=set_steps)
def surviving_fraction(topology, steps):
    """Fraction of the initial connections never pruned, before and after each SET step.

    Parameters
    ----------
    topology : Topology
    steps : sequence of SetStep

    Returns
    -------
    ndarray of shape (n_steps + 1,)
        Starts at 1 and never rises: a connection that grows in the cell of a pruned one is new.

    Examples
    --------
    >>> from numpy_setlstm import erdos_renyi
    >>> W = erdos_renyi((10, 20), np.random.default_rng(0), density=0.5)
    >>> surviving_fraction(W.topology, null_evolution(W, 2, 0.5, np.random.default_rng(1), prune_rule="magnitude"))
    array([1.  , 0.5 , 0.37])
    """
    is_initial = np.ones(len(topology.rows), bool)
    survivors = [is_initial.sum()]
    for step in steps:
        is_initial = step.carry(is_initial)
        survivors.append(is_initial.sum())
    return np.array(survivors) / survivors[0] if survivors[0] else np.ones(len(survivors))


@checked(initial=a_topology, steps=set_steps, reserved_rows=reserved)
def ever_tried(initial, steps, *, reserved_rows=0):
    """Share of all possible connections that have ever existed, before and after each SET step.

    Parameters
    ----------
    initial : Topology
    steps : sequence of SetStep
    reserved_rows : int, default 0
        Number of leading rows kept empty; their cells are not possible connections.

    Returns
    -------
    ndarray of shape (n_steps + 1,)
        Starts at the density and never falls.

    Notes
    -----
    Source: S. Liu, L. Yin, D. C. Mocanu and M. Pechenizkiy (2021), "Do We Actually Need Dense Over-Parameterization?
    In-Time Over-Parameterization in Sparse Training", arXiv:2102.02887: sparse training can match dense training if it
    tries enough of the possible connections over time.

    Examples
    --------
    >>> W = SparseMatrix((2, 2), [0, 1], [0, 1], [0.1, 0.2])
    >>> new, step = set_step(W, 0.5, np.random.default_rng(3), prune_rule="magnitude")
    >>> step.grown_cells.ravel().tolist(), ever_tried(W.topology, [step]).tolist()
    ([1, 0], [0.5, 0.75])
    """
    n_cells = (initial.shape[0] - reserved_rows) * initial.shape[1]
    tried = initial.keys
    counts = [len(tried)]
    for step in steps:
        rows, cols = step.grown_cells.astype(np.int64)
        tried = united(tried, rows * initial.shape[1] + cols)
        counts.append(len(tried))
    return np.array(counts) / max(n_cells, 1)


@checked(initial=a_topology, steps=set_steps, reserved_rows=reserved)
def expected_ever_tried(initial, steps, *, reserved_rows=0):
    r"""Exact expectation of :func:`ever_tried` if new connections are drawn at random.

    Parameters
    ----------
    initial, steps, reserved_rows
        See :func:`ever_tried`; of the steps, only the number of grown connections matters.

    Returns
    -------
    ndarray of shape (n_steps + 1,)

    Notes
    -----
    Of N cells, nnz have a connection and R have ever had one. A step frees n cells and draws n of the N - nnz + n cells
    that are now free; N - R of these were never tried, whatever was pruned:

    .. math:: \mathbb{E} R' = R + n \frac{N - R}{N - nnz + n}

    So training cannot change the expectation; only another rule of growth can. Source: our own derivation.

    Examples
    --------
    >>> from numpy_setlstm import erdos_renyi
    >>> W = erdos_renyi((100, 200), np.random.default_rng(0), density=0.04)
    >>> steps = null_evolution(W, 10, 0.3, np.random.default_rng(1))
    >>> expected_ever_tried(W.topology, steps)[-1:].round(3), ever_tried(W.topology, steps)[-1:].round(3)
    (array([0.152]), array([0.15]))
    """
    N, nnz = (initial.shape[0] - reserved_rows) * initial.shape[1], len(initial.rows)
    tried = [float(nnz)]
    for step in steps:
        n = len(step.grown)
        tried.append(tried[-1] + n * (N - tried[-1]) / max(N - nnz + n, 1))
    return np.array(tried) / max(N, 1)


def gates_of(shape):
    """Function that assigns each connection of a matrix (n, 4H) to its gate, for :func:`turnover`.

    Parameters
    ----------
    shape : tuple of int

    Returns
    -------
    callable
        From rows and columns to gates 0 to 3.

    Raises
    ------
    ValueError
        If the columns are not those of four gates.

    Examples
    --------
    >>> gates_of((2, 8))(np.array([0, 1, 1]), np.array([1, 2, 7]))
    array([0, 1, 3])
    """
    H, rest = divmod(check_shape(shape)[1], len(GATES))
    if rest:
        raise ValueError(f"{shape[1]} columns are not divisible by 4 gates; expected a matrix of shape (n, 4H)")
    return lambda rows, cols: cols // H


@checked(rows=array("nnz", kinds="iu"))
def word_bands(rows, cols):
    """Assign each connection of an embedding to a band of word frequency, for :func:`turnover`.

    Parameters
    ----------
    rows, cols : ndarray of shape (nnz,), int
        Rows are word ids, ordered by frequency.

    Returns
    -------
    ndarray of shape (nnz,), int
        Index into :data:`WORD_BAND_NAMES`.

    Examples
    --------
    >>> word_bands(np.array([2, 101, 102, 5000]), np.zeros(4, int))
    array([0, 0, 1, 2])
    """
    return np.searchsorted(WORD_BANDS, rows, side="right")


@checked(initial=a_topology, steps=set_steps, n_groups=whole(1, 2**20), finite=False)
def group_counts(initial, steps, group_of, n_groups):
    """How many connections each group has, before and after each SET step.

    Parameters
    ----------
    initial : Topology
    steps : sequence of SetStep
    group_of : callable
        From rows and columns to groups: ``gates_of(shape)``, :func:`word_bands`, or your own.
    n_groups : int
        Groups are numbered from 0 to `n_groups` - 1.

    Returns
    -------
    ndarray of shape (n_steps + 1, n_groups), int

    Raises
    ------
    TypeError, ValueError
        If `group_of` is no function, or gives a group that is not below `n_groups`.

    Examples
    --------
    >>> from numpy_setlstm import erdos_renyi
    >>> W = erdos_renyi((30, 40), np.random.default_rng(0), density=0.5)
    >>> steps = null_evolution(W, 2, 0.3, np.random.default_rng(1))
    >>> group_counts(W.topology, steps, gates_of(W.shape), 4)
    array([[142, 154, 149, 155],
           [137, 150, 154, 159],
           [137, 160, 139, 164]])
    """
    if not callable(group_of):
        raise TypeError(f"group_of is {type(group_of).__name__}; expected a function, such as gates_of(shape)")

    def count(cells):
        counts = np.bincount(group_of(*cells), minlength=n_groups)
        if len(counts) > n_groups:
            raise ValueError(f"group_of gives the group {len(counts) - 1}; expected 0 to {n_groups - 1}")
        return counts

    changes = [count(step.grown_cells) - count(step.pruned_cells) for step in steps]
    return np.cumsum([count((initial.rows, initial.cols)), *changes], axis=0)


@checked(initial=a_topology, steps=set_steps, n_groups=whole(1, 2**20), finite=False)
def turnover(initial, steps, group_of, n_groups):
    """Fraction of its connections that each group lost and gained in each SET step.

    Parameters
    ----------
    initial, steps, group_of, n_groups
        See :func:`group_counts`, and for what is raised.

    Returns
    -------
    pruned, grown : ndarray of shape (n_steps, n_groups)
        Relative to the connections of the group before the step; NaN if it had none.

    Examples
    --------
    >>> from numpy_setlstm import erdos_renyi
    >>> W = erdos_renyi((30, 40), np.random.default_rng(0), density=0.5)
    >>> steps = null_evolution(W, 2, 0.3, np.random.default_rng(1))
    >>> pruned, grown = turnover(W.topology, steps, gates_of(W.shape), 4)
    >>> pruned.round(2)
    array([[0.32, 0.32, 0.3 , 0.26],
           [0.29, 0.31, 0.35, 0.24]])
    """
    counts = group_counts(initial, steps, group_of, n_groups)
    lost = [np.bincount(group_of(*step.pruned_cells), minlength=n_groups) for step in steps]
    lost = np.array(lost, int).reshape(len(steps), n_groups)
    before = np.where(counts[:-1] > 0, counts[:-1], np.nan)
    return lost / before, (np.diff(counts, axis=0) + lost) / before
