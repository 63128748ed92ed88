"""Distributions: of the units' connections, and of the weights."""

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from numpy_setlstm.plotting.style import ORANGE, blue, faint
from numpy_setlstm.topology import connection_counts, dispersion


def expected_degrees(shape, nnz, axis=0):
    r"""Degree distribution of a random graph with this many connections.

    Parameters
    ----------
    shape : tuple of int
    nnz : int
        Number of connections.
    axis : {0, 1}
        0 for the degrees of the columns, 1 for those of the rows.

    Returns
    -------
    ndarray of shape (shape[axis] + 1,)
        Probability of each degree k, from 0 on.

    Notes
    -----
    Every set of nnz of the N cells is equally likely, so the number of connections among the m cells of one
    column is hypergeometric:

    .. math:: P(k) = \binom{m}{k} \binom{N - m}{nnz - k} \Big/ \binom{N}{nnz}

    Examples
    --------
    >>> expected_degrees((2, 2), 2).round(3)  # of the 6 pairs of cells, 1 is in the other column, 4 in both
    array([0.167, 0.667, 0.167])
    """
    m, N = shape[axis], shape[0] * shape[1]

    def log_binomial(n, k):
        return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) if 0 <= k <= n else -math.inf

    logs = [log_binomial(m, k) + log_binomial(N - m, nnz - k) - log_binomial(N, nnz) for k in range(m + 1)]
    return np.exp(logs)


def plot_degrees(topology, ax=None, *, axis=0):
    """Draw how many connections the units have, against what a random graph leads one to expect.

    Parameters
    ----------
    topology : Topology or SparseMatrix
    ax : matplotlib.axes.Axes, optional
    axis : {0, 1}
        0 for the columns (connections into a unit), 1 for the rows (connections out of a unit).

    Returns
    -------
    matplotlib.axes.Axes
        The legend tells variance / mean: above the random graph's if some units gather connections.
    """
    if ax is None:
        ax = Figure(figsize=(6, 3.6), layout="constrained").subplots()
    degrees = connection_counts(topology, axis)
    probability = expected_degrees(topology.shape, len(topology.rows), axis)
    k = np.arange(len(probability))
    observed, expected = np.bincount(degrees, minlength=len(k)), len(degrees) * probability
    mean = k @ probability
    random_dispersion = (k - mean) ** 2 @ probability / mean if mean else 0.0
    label = f"observed, variance / mean {dispersion(degrees):.2f}"
    ax.bar(k, observed, width=0.85, color=blue(ax), label=label)
    label = f"random graph, variance / mean {random_dispersion:.2f}"
    ax.plot(k, expected, color=ORANGE, marker="o", ms=4, lw=1.8, label=label)
    shown = np.flatnonzero((observed > 0) | (expected > 0.05))
    xlabel, ylabel = (("connections into a column", "columns"), ("connections out of a row", "rows"))[axis]
    ax.set(xlim=(shown[0] - 1, shown[-1] + 1), xlabel=xlabel, ylabel=ylabel)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend()
    return ax


def plot_weight_histogram(values, pruned, ax=None, *, n_bins=60):
    """Draw the distribution of the weights, and which of them are cut.

    Parameters
    ----------
    values : ndarray of shape (nnz,)
        The weights, such as ``W.values``.
    pruned : ndarray of shape (n,), int
        Positions of those that are cut, from :func:`numpy_setlstm.topology.prune` or ``step.pruned``.
    ax : matplotlib.axes.Axes, optional
    n_bins : int, default 60

    Returns
    -------
    matplotlib.axes.Axes
    """
    if ax is None:
        ax = Figure(figsize=(6, 3.6), layout="constrained").subplots()
    cut = np.zeros(len(values), bool)
    cut[pruned] = True
    labels = [f"kept ({(~cut).sum()})", f"pruned ({cut.sum()})"]
    ax.hist([values[~cut], values[cut]], n_bins, stacked=True, color=[blue(ax), faint(ax)], label=labels)
    ax.set(xlabel="weight", ylabel="connections")
    ax.legend()
    return ax
