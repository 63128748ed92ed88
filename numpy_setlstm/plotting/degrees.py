"""Distributions: of the units' connections, and of the weights."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from numpy_setlstm.measures.degrees import degree_counts, degree_dispersion, expected_degrees, expected_dispersion
from numpy_setlstm.plotting.style import ORANGE, blue, faint

NEGLIGIBLE = 1e-12  # a share of the units, below which no bar and no dot is drawn


def plot_degrees(topology, ax=None, *, axis=0, nulls=(), reserved_rows=0, label="observed"):
    """Draw how many connections the units have, against what a random graph leads one to expect.

    Parameters
    ----------
    topology : Topology or SparseMatrix
    ax : matplotlib.axes.Axes, optional
    axis : {0, 1}
        0 for the columns (connections into a unit), 1 for the rows (connections out of a unit).
    nulls : sequence of Topology
        What evolutions without training end with, the last ones of :func:`~numpy_setlstm.topology.replay` for instance.
        Their mean is drawn beside the random graph, and with several of them the range of the middle 95 %.
    reserved_rows : int, default 0
        The first so many rows never have a connection, such as an embedding's padding; they are not drawn.
    label : str, default "observed"
        What the legend calls `topology`.

    Returns
    -------
    matplotlib.axes.Axes
        The legend tells variance / mean: above the random graph's if some units gather connections.

    Examples
    --------
    >>> from numpy_setlstm.topology import erdos_renyi
    >>> ax = plot_degrees(erdos_renyi((40, 50), np.random.default_rng(0), density=0.1))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['random graph, variance / mean 0.88', 'observed, variance / mean 1.18']
    """
    if ax is None:
        ax = Figure(figsize=(6, 3.6), layout="constrained").subplots()
    side = {"axis": axis, "reserved_rows": reserved_rows}
    nnz = len(topology.rows)
    observed = degree_counts(topology, **side)
    expected = observed.sum() * expected_degrees(topology.shape, nnz, **side)
    drawn = np.flatnonzero((observed > 0) | (expected > NEGLIGIBLE * expected.sum()))  # not 20,000 empty bars
    k = np.arange(drawn.min(), drawn.max() + 1)
    name = f"{label}, variance / mean {degree_dispersion(topology, **side):.2f}"
    ax.bar(k, observed[k], width=0.85, color=blue(ax), label=name)
    name = f"random graph, variance / mean {expected_dispersion(topology.shape, nnz, **side):.2f}"
    ax.plot(k, expected[k], color=ORANGE, marker="o", ms=4, lw=1.8, label=name)
    shown = (observed > 0) | (expected > 0.05)
    if len(nulls):
        shown |= _draw_nulls(ax, nulls, side)
    shown = np.flatnonzero(shown)
    xlabel, ylabel = (("connections into a column", "columns"), ("connections out of a row", "rows"))[axis]
    ax.set(xlim=(shown[0] - 1, shown[-1] + 1), xlabel=xlabel, ylabel=ylabel)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(nulls):
        ax.set_ylim(0, 1.45 * ax.dataLim.y1)  # room for three lines of legend
    ax.legend()
    return ax


def _draw_nulls(ax, nulls, side):
    """Mean and range of the degrees after evolutions without training; return which degrees they have."""
    counts = np.array([degree_counts(null, **side) for null in nulls])  # (n_nulls, n_degrees)
    low, high = np.percentile(counts, (2.5, 97.5), axis=0)
    k = np.arange(counts.shape[1])
    ink = ax.xaxis.label.get_color()
    mean_dispersion = np.mean([degree_dispersion(null, **side) for null in nulls])
    label = f"evolved without training, variance / mean {mean_dispersion:.2f}"
    if len(nulls) > 1:
        ax.vlines(k, low, high, color=ink, lw=1, zorder=2.5)
    ax.plot(k, counts.mean(axis=0), "--", color=ink, lw=1.2, zorder=3, label=label)
    return (counts > 0).any(axis=0)


def plot_weight_histogram(values, pruned, ax=None, *, n_bins=60, scale=None):
    """Draw the distribution of the weights, and which of them are cut.

    Parameters
    ----------
    values : ndarray of shape (nnz,)
        The weights, such as ``W.values``.
    pruned : ndarray of shape (n,), int
        Positions of those that are cut, from :func:`numpy_setlstm.topology.prune` or ``step.pruned``.
    ax : matplotlib.axes.Axes, optional
    n_bins : int, default 60
        Bars, over the range of all weights.
    scale : float, optional
        Standard deviation of the normal distribution around 0 that is drawn over the bars, such as the one from which
        the weights came.

    Returns
    -------
    matplotlib.axes.Axes
        The bars of what was cut stand on those of what was kept.

    Examples
    --------
    >>> ax = plot_weight_histogram(np.array([-1.0, -0.1, 0.2, 1.5]), np.array([1, 2]), n_bins=5)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['kept (2)', 'pruned (2)']
    """
    if ax is None:
        ax = Figure(figsize=(6, 3.6), layout="constrained").subplots()
    cut = np.zeros(len(values), bool)
    cut[pruned] = True
    labels = [f"kept ({(~cut).sum()})", f"pruned ({cut.sum()})"]
    _, edges, _ = ax.hist([values[~cut], values[cut]], n_bins, stacked=True, color=[blue(ax), faint(ax)], label=labels)
    if scale is not None:
        x = np.linspace(edges[0], edges[-1], 200)
        density = np.exp(-((x / scale) ** 2) / 2) / (scale * np.sqrt(2 * np.pi))
        expected = len(values) * (edges[1] - edges[0]) * density
        ax.plot(x, expected, color=ORANGE, lw=1.8, label="normal distribution")
    ax.set(xlabel="weight", ylabel="connections")
    ax.legend()
    return ax


def plot_empty_rows(er_epsilons, fractions, shape, ax=None):
    r"""Draw how many rows of a random graph have no connection at all: how many words own no dimension.

    Parameters
    ----------
    er_epsilons : sequence of float
        The Erdős–Rényi parameters of the graphs, increasing.
    fractions : sequence of float in [0, 1]
        Fraction of rows without a connection in each.
    shape : tuple of int
        Of the matrix.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        With a logarithmic axis: a fraction of 0 has no dot.

    Notes
    -----
    The line is the Poisson law, :math:`P(0) = e^{-\varepsilon (1 + n_{out} / n_{in})}`.

    Examples
    --------
    >>> ax = plot_empty_rows([1, 2], [0.36, 0.13], (20_000, 256))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['Poisson law', 'counted in random graphs']
    """
    if ax is None:
        ax = Figure(figsize=(6, 3.6), layout="constrained").subplots()
    fine = np.linspace(min(er_epsilons), max(er_epsilons), 200)
    ax.plot(fine, np.exp(-fine * (1 + shape[1] / shape[0])), color=ORANGE, lw=1.8, label="Poisson law")
    counted = np.where(np.asarray(fractions) > 0, fractions, np.nan)
    ax.plot(er_epsilons, counted, "o", ms=6, color=blue(ax), label="counted in random graphs")
    ax.set(yscale="log", xlabel="er_epsilon", ylabel="rows without a connection")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda fraction, _: f"{100 * fraction:g} %"))
    ax.legend()
    return ax
