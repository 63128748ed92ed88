"""Degrees, the connections of each unit, compared with those of a random graph."""

import math

import numpy as np

from numpy_setlstm.checks import array, checked, whole
from numpy_setlstm.measures.adjacency import reserved_rows as reserved
from numpy_setlstm.measures.adjacency import topology as a_topology
from numpy_setlstm.sparse import check_shape

_AXIS = whole(0, 1, "0 for the degrees of the columns, or 1 for those of the rows")


@checked(W=a_topology, axis=_AXIS)
def connection_counts(W, axis):
    """Degrees: the connections of each row (axis=1) or column (axis=0).

    Parameters
    ----------
    W : SparseMatrix or Topology of shape (n_rows, n_cols)
    axis : {0, 1}
        The axis that is summed over, as in ``numpy.sum``.

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
    return np.bincount(W.cols if axis == 0 else W.rows, minlength=W.shape[1 - axis])


@checked(counts=array("n", kinds="biuf"))
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

    Raises
    ------
    ValueError
        If a count is negative, or infinite.

    Examples
    --------
    >>> float(dispersion(np.array([2, 2, 2, 2]))), float(dispersion(np.array([0, 0, 0, 8])))
    (0.0, 6.0)
    """
    if counts.min(initial=0) < 0:
        raise ValueError(f"counts range from {counts.min()} to {counts.max()}; expected numbers of connections")
    mean = np.mean(counts) if counts.size else 0.0
    return np.var(counts) / mean if mean else np.float64(0.0)


@checked(topology=a_topology, axis=_AXIS, reserved_rows=reserved)
def degree_counts(topology, axis, *, reserved_rows=0):
    """Degree distribution: the number of units with 0 connections, with 1 connection, and so on.

    Parameters
    ----------
    topology : Topology or SparseMatrix of shape (n_rows, n_cols)
    axis : {0, 1}
        0 for the columns (connections into a unit), 1 for the rows (connections out of a unit).
    reserved_rows : int, default 0
        Number of leading rows kept empty, such as the padding row of an embedding; they do not count as units.

    Returns
    -------
    ndarray of shape (n + 1,), int64
        Units by degree, up to the largest possible degree n.

    Examples
    --------
    >>> from numpy_setlstm.sparse import Topology
    >>> degree_counts(Topology((2, 3), np.array([0, 0]), np.array([1, 2])), axis=0)  # one unit has none, two have one
    array([1, 2, 0])
    """
    degrees = _degrees(topology, axis, reserved_rows)
    return np.bincount(degrees, minlength=_cells_of(topology.shape, axis, reserved_rows) + 1)


@checked(topology=a_topology, axis=_AXIS, reserved_rows=reserved)
def degree_dispersion(topology, axis, *, reserved_rows=0):
    """The :func:`dispersion` of the degrees of one side, without reserved rows.

    Parameters
    ----------
    topology, axis, reserved_rows
        See :func:`degree_counts`.

    Returns
    -------
    float
        At least 0.

    Examples
    --------
    >>> from numpy_setlstm.sparse import Topology
    >>> degree_dispersion(Topology((3, 2), np.array([1, 2]), np.array([0, 1])), axis=1, reserved_rows=1)
    0.0
    """
    return float(dispersion(_degrees(topology, axis, reserved_rows)))


def _degrees(topology, axis, reserved_rows):
    """Degrees of the units that can have connections, (n_units,)."""
    degrees = connection_counts(topology, axis)
    return degrees[reserved_rows:] if axis == 1 else degrees


def _cells_of(shape, axis, reserved_rows):
    """Number of cells of one unit: its largest possible degree."""
    return shape[1] if axis == 1 else shape[0] - reserved_rows


@checked(axis=_AXIS, reserved_rows=whole())
def expected_degrees(shape, nnz, axis=0, *, reserved_rows=0):
    r"""Degree distribution of a random graph.

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
        Probability of each degree k, from 0 to the number n of cells of a unit.

    Notes
    -----
    Every set of nnz of the N cells is equally likely, so the number of connections among the m cells of a unit is
    hypergeometric:

    .. math:: P(k) = \binom{m}{k} \binom{N - m}{nnz - k} \Big/ \binom{N}{nnz}

    Source: any textbook of probability.

    Examples
    --------
    >>> expected_degrees((2, 2), 2).round(3)  # of the 6 pairs of cells, 1 is in the other column, 4 in both
    array([0.167, 0.667, 0.167])
    """
    shape = check_shape(shape)
    m, N = _cells_of(shape, axis, reserved_rows), (shape[0] - reserved_rows) * shape[1]
    nnz = whole(0, N, f"a number from 0 to {N}, the cells of {shape} without reserved rows")("nnz", nnz)

    def log_binomial(n, k):
        return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) if 0 <= k <= n else -math.inf

    logs = [log_binomial(m, k) + log_binomial(N - m, nnz - k) - log_binomial(N, nnz) for k in range(m + 1)]
    return np.exp(logs)


def expected_dispersion(shape, nnz, axis=0, *, reserved_rows=0):
    """Expectation of the dispersion of the degrees of a random graph: a little below 1, or 0 without connections.

    Variance over mean of the hypergeometric distribution. It is exact also as the expectation of the ratio, since the
    mean degree is the same in every graph with nnz connections.
    """
    m, N = _cells_of(shape, axis, reserved_rows), (shape[0] - reserved_rows) * shape[1]
    return (1 - m / N) * (N - nnz) / (N - 1) if nnz and N > 1 else 0.0


def random_dispersions(shape, nnz, axis, rng, *, n_draws=200, reserved_rows=0):
    """Dispersions (n_draws,) of the degrees of random graphs, which vary by chance.

    No graph is drawn, only its degrees: nnz draws without replacement from an urn with one ball per cell, in the color
    of its unit.
    """
    n_units = shape[1] if axis == 0 else shape[0] - reserved_rows
    cells = np.full(n_units, _cells_of(shape, axis, reserved_rows))
    degrees = rng.multivariate_hypergeometric(cells, nnz, n_draws, method="marginals")  # (n_draws, n_units)
    return np.array([dispersion(row) for row in degrees])
