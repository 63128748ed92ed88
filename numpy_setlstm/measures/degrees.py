"""How many connections the units have, beside what a random graph leads one to expect."""

import math

import numpy as np


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
    >>> from numpy_setlstm.sparse import SparseMatrix
    >>> W = SparseMatrix((2, 3), [0, 0], [1, 2], [1.0, 1.0])
    >>> connection_counts(W, axis=0), connection_counts(W, axis=1)
    (array([0, 1, 1]), array([2, 0]))
    """
    if axis not in (0, 1):
        raise ValueError(f"axis is {axis!r}; expected 0 to count along the rows, or 1 along the columns")
    return np.bincount(W.cols if axis == 0 else W.rows, minlength=W.shape[1 - axis])


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


def degree_counts(topology, axis, *, reserved_rows=0):
    """How many units have 0 connections, 1 connection, and so on: the degree distribution.

    Parameters
    ----------
    topology : Topology or SparseMatrix of shape (n_rows, n_cols)
    axis : {0, 1}
        0 for the columns (connections into a unit), 1 for the rows (connections out of a unit).
    reserved_rows : int, default 0
        The first so many rows never have a connection, such as an embedding's padding; they are not counted as units.

    Returns
    -------
    ndarray of shape (n + 1,), int64
        Units by degree; n is the largest degree that there can be.

    Examples
    --------
    >>> from numpy_setlstm.sparse import Topology
    >>> degree_counts(Topology((2, 3), np.array([0, 0]), np.array([1, 2])), axis=0)  # one unit has none, two have one
    array([1, 2, 0])
    """
    return np.bincount(
        _degrees(topology, axis, reserved_rows), minlength=_cells_of(topology.shape, axis, reserved_rows) + 1
    )


def _degrees(topology, axis, reserved_rows):
    """Degrees of all units that can have connections, ndarray of shape (n_units,)."""
    degrees = connection_counts(topology, axis)
    return degrees[reserved_rows:] if axis == 1 else degrees


def _cells_of(shape, axis, reserved_rows):
    """Number of cells that one unit has; the largest degree that is possible."""
    return shape[1] if axis == 1 else shape[0] - reserved_rows


def expected_degrees(shape, nnz, axis=0, *, reserved_rows=0):
    r"""Degree distribution of a random graph with this many connections.

    Parameters
    ----------
    shape : tuple of int
    nnz : int
        Number of connections.
    axis : {0, 1}
        0 for the degrees of the columns, 1 for those of the rows.
    reserved_rows : int, default 0
        See :func:`degree_counts`.

    Returns
    -------
    ndarray of shape (n + 1,)
        Probability of each degree k, from 0 to n, the number of cells of a unit.

    Notes
    -----
    Every set of nnz of the N cells is equally likely, so the number of connections among the m cells of one
    column is hypergeometric:

    .. math:: P(k) = \binom{m}{k} \binom{N - m}{nnz - k} \Big/ \binom{N}{nnz}

    Source: counting; any textbook of probability has the distribution.

    Examples
    --------
    >>> expected_degrees((2, 2), 2).round(3)  # of the 6 pairs of cells, 1 is in the other column, 4 in both
    array([0.167, 0.667, 0.167])
    """
    m, N = _cells_of(shape, axis, reserved_rows), (shape[0] - reserved_rows) * shape[1]

    def log_binomial(n, k):
        return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) if 0 <= k <= n else -math.inf

    logs = [log_binomial(m, k) + log_binomial(N - m, nnz - k) - log_binomial(N, nnz) for k in range(m + 1)]
    return np.exp(logs)


def expected_dispersion(shape, nnz, axis=0, *, reserved_rows=0):
    r"""Variance of the degrees over their mean in a random graph, exactly.

    Parameters
    ----------
    shape, nnz, axis, reserved_rows
        See :func:`expected_degrees`.

    Returns
    -------
    float
        A little below 1, since a connection takes a cell away from the others; 0 without connections.

    Notes
    -----
    The variance of the hypergeometric distribution over its mean, with m cells of a unit among N:

    .. math:: (1 - m / N) (N - nnz) / (N - 1)

    Source: mean and variance of the hypergeometric distribution, in any textbook of probability.

    It is the expectation of :func:`dispersion` too, and not only its limit: the mean degree is
    the same in every graph with that many connections.

    Examples
    --------
    >>> round(expected_dispersion((20_000, 256), 90_000), 3)
    0.979
    """
    m, N = _cells_of(shape, axis, reserved_rows), (shape[0] - reserved_rows) * shape[1]
    return (1 - m / N) * (N - nnz) / (N - 1) if nnz and N > 1 else 0.0


def random_dispersions(shape, nnz, axis, rng, *, n_draws=200, reserved_rows=0):
    """Variance over mean of the degrees of random graphs: how far it strays by chance.

    Parameters
    ----------
    shape, nnz, axis
        See :func:`expected_degrees`.
    rng : numpy.random.Generator
    n_draws : int, default 200
        How many graphs.
    reserved_rows : int, default 0
        See :func:`degree_counts`.

    Returns
    -------
    ndarray of shape (n_draws,)

    Notes
    -----
    No graph is drawn: the degrees of one side are an urn with as many balls of each unit's colour as it has cells, from
    which `nnz` are taken without putting back.

    Examples
    --------
    >>> draws = random_dispersions((100, 50), 500, 0, np.random.default_rng(0))
    >>> bool(abs(draws.mean() - expected_dispersion((100, 50), 500)) < 0.05)
    True
    """
    n_units = shape[1] if axis == 0 else shape[0] - reserved_rows
    cells = np.full(n_units, _cells_of(shape, axis, reserved_rows))
    degrees = rng.multivariate_hypergeometric(cells, nnz, n_draws, method="marginals")  # (n_draws, n_units)
    return np.array([dispersion(row) for row in degrees])


def degree_dispersion(topology, axis, *, reserved_rows=0):
    """Variance over mean of the degrees of one side, leaving reserved rows out.

    Parameters
    ----------
    topology, axis, reserved_rows
        See :func:`degree_counts`.

    Returns
    -------
    float
        See :func:`dispersion`.

    Examples
    --------
    >>> from numpy_setlstm.sparse import Topology
    >>> topology = Topology((3, 2), np.array([1, 2]), np.array([0, 1]))
    >>> degree_dispersion(topology, axis=1, reserved_rows=1)
    0.0
    """
    return float(dispersion(_degrees(topology, axis, reserved_rows)))
