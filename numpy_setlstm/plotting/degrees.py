"""Distributions of degrees and of weights."""

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from numpy_setlstm.measures.degrees import degree_counts, degree_dispersion, expected_degrees, expected_dispersion
from numpy_setlstm.plotting.style import ORANGE, axes_or_new, blue, faint, ink

NEGLIGIBLE = 1e-12  # fraction of the units below which no bar and no dot is drawn


def plot_degrees(topology, ax=None, *, axis=0, nulls=(), reserved_rows=0, label="observed"):
    """Draw the degree distribution of the units, compared with that of a random graph.

    Parameters
    ----------
    topology : Topology or SparseMatrix
    ax : matplotlib.axes.Axes, optional
    axis : {0, 1}
        0 for the columns (connections into a unit), 1 for the rows (connections out of a unit).
    nulls : sequence of Topology
        Final topologies of evolutions without training, such as the last of :func:`~numpy_setlstm.measures.replay`.
        Their mean is drawn too and, if there are several, the range of the middle 95 %.
    reserved_rows : int, default 0
        Number of leading rows kept empty, such as an embedding's padding; not counted.
    label : str, default "observed"
        Name of `topology` in the legend.

    Returns
    -------
    matplotlib.axes.Axes
        The legend has variance / mean, which exceeds the random graph's if connections concentrate on some units.

    Examples
    --------
    >>> from numpy_setlstm.topology import erdos_renyi
    >>> ax = plot_degrees(erdos_renyi((40, 50), np.random.default_rng(0), density=0.1))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['random graph, variance / mean 0.88', 'observed, variance / mean 1.18']
    """
    ax = axes_or_new(ax, (6, 3.6))
    side = {"axis": axis, "reserved_rows": reserved_rows}
    nnz = len(topology.rows)
    observed = degree_counts(topology, **side)
    expected = observed.sum() * expected_degrees(topology.shape, nnz, **side)
    drawn = np.flatnonzero((observed > 0) | (expected > NEGLIGIBLE * expected.sum()))  # instead of 20,000 empty bars
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
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if len(nulls):
        ax.set_ylim(0, 1.45 * ax.dataLim.y1)  # room for three lines of legend
    ax.legend()
    return ax


def _draw_nulls(ax, nulls, side):
    """Draw mean and range of the degrees after evolutions without training; return which degrees occur."""
    counts = np.array([degree_counts(null, **side) for null in nulls])  # (n_nulls, n_degrees)
    low, high = np.percentile(counts, (2.5, 97.5), axis=0)
    k = np.arange(counts.shape[1])
    mean_dispersion = np.mean([degree_dispersion(null, **side) for null in nulls])
    label = f"evolved without training, variance / mean {mean_dispersion:.2f}"
    if len(nulls) > 1:
        ax.vlines(k, low, high, color=ink(ax), lw=1, zorder=2.5)
    ax.plot(k, counts.mean(axis=0), "--", color=ink(ax), lw=1.2, zorder=3, label=label)
    return (counts > 0).any(axis=0)


def plot_weight_histogram(values, pruned, ax=None, *, n_bins=60, scale=None):
    """Draw the distribution of the weights, and which of them are pruned.

    Parameters
    ----------
    values : ndarray of shape (nnz,)
        The weights, such as ``W.values``.
    pruned : ndarray of shape (n,), int
        Indices of the pruned weights, from :func:`numpy_setlstm.topology.prune` or ``step.pruned``.
    ax : matplotlib.axes.Axes, optional
    n_bins : int, default 60
        Number of bars, over the range of all weights.
    scale : float, optional
        Standard deviation of a normal distribution around 0 to draw over the bars, such as that of the initial weights.

    Returns
    -------
    matplotlib.axes.Axes
        The bars of pruned weights are stacked on those of kept ones.

    Examples
    --------
    >>> ax = plot_weight_histogram(np.array([-1.0, -0.1, 0.2, 1.5]), np.array([1, 2]), n_bins=5)
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['kept (2)', 'pruned (2)']
    """
    ax = axes_or_new(ax, (6, 3.6))
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
    r"""Draw the fraction of rows of random graphs that have no connection: words without an embedding.

    The line is the Poisson law, :math:`P(0) = e^{-\varepsilon (1 + n_{out} / n_{in})}`.

    Parameters
    ----------
    er_epsilons : sequence of float
        Erdős–Rényi parameters of the graphs, increasing.
    fractions : sequence of float in [0, 1]
        Fraction of empty rows in each graph.
    shape : tuple of int
        Of the matrix.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        With a logarithmic axis, on which a fraction of 0 has no dot.

    Examples
    --------
    >>> ax = plot_empty_rows([1, 2], [0.36, 0.13], (20_000, 256))
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['Poisson law', 'counted in random graphs']
    """
    ax = axes_or_new(ax, (6, 3.6))
    fine = np.linspace(min(er_epsilons), max(er_epsilons), 200)
    ax.plot(fine, np.exp(-fine * (1 + shape[1] / shape[0])), color=ORANGE, lw=1.8, label="Poisson law")
    counted = np.where(np.asarray(fractions) > 0, fractions, np.nan)
    ax.plot(er_epsilons, counted, "o", ms=6, color=blue(ax), label="counted in random graphs")
    ax.set(yscale="log", xlabel="er_epsilon", ylabel="rows without a connection")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda fraction, _: f"{100 * fraction:g} %"))
    ax.legend()
    return ax
