"""What happened to the connections over the SET steps, beside what happens to them without training."""

import numpy as np

from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.sparse import SparseMatrix, Topology
from numpy_setlstm.topology import set_step

RESERVED_ROWS = {"E": 1}  # the embedding's first row, the padding, has no connections and never gets any
WORD_BANDS = (102, 1002)  #: First ids after the 100 commonest words, and after the 1,000 commonest
#: What a table calls the bands of :data:`WORD_BANDS`.
WORD_BAND_NAMES = ("words 1 to 100", "words 101 to 1000", "words beyond 1000")


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
    """Evolve without any training: what SET steps alone do to a matrix.

    New weights are drawn at random with the standard deviation of the old ones, in lieu of training; if they stayed at
    0, each step would prune just what the previous one had grown. Any picture that claims that evolution found
    something has to differ from this one.

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


def matched_null(initial, steps, rng, *, reserved_rows=0):
    """Evolve without training, as often and by as many connections as an evolution that has happened.

    Parameters
    ----------
    initial : Topology
        The connections before the first step.
    steps : sequence of SetStep
        What happened; only the number of pruned connections in each counts.
    rng : numpy.random.Generator
        Draws the weights, and the cells of new connections.
    reserved_rows : int, default 0
        The first so many rows have no connection and get none.

    Returns
    -------
    list of SetStep

    Notes
    -----
    The model of :func:`null_evolution`, for a fraction that may change from step to step: old
    and new connections have normally distributed weights, of which the smallest are pruned. (Sign by sign or over all,
    that is the same but for chance where the signs are balanced.)

    Examples
    --------
    >>> from numpy_setlstm.topology import erdos_renyi
    >>> W = erdos_renyi((20, 30), np.random.default_rng(0), density=0.1)
    >>> steps = null_evolution(W, 3, 0.2, np.random.default_rng(1))
    >>> null_steps = matched_null(W.topology, steps, np.random.default_rng(2))
    >>> [len(step.pruned) for step in steps] == [len(step.pruned) for step in null_steps]
    True
    """
    W = SparseMatrix.from_topology(as_topology(initial), rng.normal(size=len(initial.rows)))
    null_steps = []
    for step in steps:
        zeta = min(1.0, (len(step.pruned) + 0.5) / max(step.nnz, 1))  # the half: rounding down ends on the count
        W, null_step = set_step(W, zeta, rng, prune_rule="magnitude", scale=1.0, reserved_rows=reserved_rows)
        null_steps.append(null_step)
    return null_steps


def as_topology(matrix):
    """The Topology of a SparseMatrix; a Topology itself."""
    return matrix if isinstance(matrix, Topology) else matrix.topology


def births(topology, steps):
    """Yield, before and after each step, the topology and the step that grew each connection.

    Parameters
    ----------
    topology : Topology
        Before the first step.
    steps : sequence of SetStep

    Yields
    ------
    topology : Topology
    born : ndarray of shape (nnz,), int
        0 for an initial connection.
    """
    born = np.zeros(len(topology.rows), int)
    yield topology, born
    for k, step in enumerate(steps, start=1):
        topology, born = step.apply(topology), step.carry(born)
        born[step.grown] = k
        yield topology, born


def surviving_fraction(topology, steps):
    """Fraction of the initial connections that have never been pruned, before and after each SET step.

    Parameters
    ----------
    topology : Topology
        Before the first step.
    steps : sequence of SetStep

    Returns
    -------
    ndarray of shape (n_steps + 1,)
        Starts at 1 and never rises: what grows in the cell of a pruned connection is a new connection.

    Examples
    --------
    >>> from numpy_setlstm.topology import erdos_renyi
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


def ever_tried(initial, steps, *, reserved_rows=0):
    """Share of all possible connections that have ever existed, before and after each SET step.

    Parameters
    ----------
    initial : Topology
        Before the first step.
    steps : sequence of SetStep
    reserved_rows : int, default 0
        The first so many rows never have a connection: their cells are not possible ones.

    Returns
    -------
    ndarray of shape (n_steps + 1,)
        Starts at the density and never falls.

    Notes
    -----
    Source: S. Liu, L. Yin, D. C. Mocanu and M. Pechenizkiy (2021), "Do We Actually Need Dense
    Over-Parameterization? In-Time Over-Parameterization in Sparse Training", arXiv:2102.02887: sparse training can do
    as well as dense training if it has tried enough of the possible connections over time.

    Examples
    --------
    >>> from numpy_setlstm.sparse import SparseMatrix
    >>> W = SparseMatrix((2, 2), [0, 1], [0, 1], [0.1, 0.2])
    >>> new, step = set_step(W, 0.5, np.random.default_rng(3), prune_rule="magnitude")
    >>> step.grown_cells.ravel().tolist(), ever_tried(W.topology, [step]).tolist()
    ([1, 0], [0.5, 0.75])
    """
    n_cells = (initial.shape[0] - reserved_rows) * initial.shape[1]
    tried = as_topology(initial).keys
    counts = [len(tried)]
    for step in steps:
        rows, cols = step.grown_cells.astype(np.int64)
        tried = np.sort(np.concatenate([tried, rows * initial.shape[1] + cols]))
        tried = tried[np.diff(tried, prepend=-1) > 0]  # np.union1d does the same, several times as slowly
        counts.append(len(tried))
    return np.array(counts) / max(n_cells, 1)


def expected_ever_tried(initial, steps, *, reserved_rows=0):
    r"""Share of the possible connections that will ever have existed if growth is random: the exact expectation.

    Parameters
    ----------
    initial, steps, reserved_rows
        See :func:`ever_tried`; of the steps, only the number of connections that each has grown counts.

    Returns
    -------
    ndarray of shape (n_steps + 1,)

    Notes
    -----
    Of N cells, nnz have a connection and R have had one at some time. A step frees n cells and draws n of the
    N - nnz + n that are free now; N - R of these have never been tried, whichever were pruned. So

    .. math:: \mathbb{E} R' = R + n \frac{N - R}{N - nnz + n}

    Training can make no difference to it: only another rule of growth can, or chance.

    Source: our own count.

    Examples
    --------
    >>> from numpy_setlstm.topology import erdos_renyi
    >>> W = erdos_renyi((100, 200), np.random.default_rng(0), density=0.04)
    >>> steps = null_evolution(W, 10, 0.3, np.random.default_rng(1))
    >>> expected_ever_tried(W.topology, steps)[-1].round(3), ever_tried(W.topology, steps)[-1].round(3)
    (np.float64(0.152), np.float64(0.15))
    """
    N, nnz = (initial.shape[0] - reserved_rows) * initial.shape[1], len(initial.rows)
    tried = [float(nnz)]
    for step in steps:
        n = len(step.grown)
        tried.append(tried[-1] + n * (N - tried[-1]) / max(N - nnz + n, 1))
    return np.array(tried) / max(N, 1)


def gates_of(shape):
    """Which gate a connection of an LSTM's matrix of shape (n, 4H) leads to, as a function of its cell.

    Parameters
    ----------
    shape : tuple of int

    Returns
    -------
    callable
        From rows and columns to numbers of gates, for :func:`turnover`.

    Examples
    --------
    >>> gates_of((2, 8))(np.array([0, 1, 1]), np.array([1, 2, 7]))
    array([0, 1, 3])
    """
    H = shape[1] // len(GATES)
    return lambda rows, cols: cols // H


def word_bands(rows, cols):
    """Which band of word frequency a connection of an embedding belongs to; ids are ranks of frequency.

    Parameters
    ----------
    rows, cols : ndarray of shape (nnz,), int

    Returns
    -------
    ndarray of shape (nnz,), int
        Place in :data:`WORD_BAND_NAMES`.

    Examples
    --------
    >>> word_bands(np.array([2, 101, 102, 5000]), np.zeros(4, int))
    array([0, 0, 1, 2])
    """
    return np.searchsorted(WORD_BANDS, rows, side="right")


def turnover(initial, steps, group_of, n_groups):
    """Which part of its connections each group lost and gained in each SET step.

    Parameters
    ----------
    initial : Topology
        Before the first step.
    steps : sequence of SetStep
    group_of : callable
        From rows and columns to groups: :func:`gates_of` an LSTM's shape, :func:`word_bands`, or your own.
    n_groups : int
        Groups are numbered from 0 to `n_groups` - 1.

    Returns
    -------
    pruned, grown : ndarray of shape (n_steps, n_groups)
        As a fraction of the connections that the group had before the step; NaN if it had none.

    Examples
    --------
    >>> from numpy_setlstm.topology import erdos_renyi
    >>> W = erdos_renyi((30, 40), np.random.default_rng(0), density=0.5)
    >>> steps = null_evolution(W, 2, 0.3, np.random.default_rng(1))
    >>> pruned, grown = turnover(W.topology, steps, gates_of(W.shape), 4)
    >>> pruned.round(2)
    array([[0.32, 0.32, 0.3 , 0.26],
           [0.29, 0.31, 0.35, 0.24]])
    """
    pruned, grown = np.empty((2, len(steps), n_groups))
    before = np.bincount(group_of(initial.rows, initial.cols), minlength=n_groups)
    for k, step in enumerate(steps):
        lost, gained = (
            np.bincount(group_of(*cells), minlength=n_groups) for cells in (step.pruned_cells, step.grown_cells)
        )
        base = np.where(before > 0, before, np.nan)
        pruned[k], grown[k] = lost / base, gained / base
        before = before - lost + gained
    return pruned, grown
