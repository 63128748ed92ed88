"""What the SET steps did, step by step, compared with evolution without training."""

from itertools import cycle

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.measures.evolution import gates_of, group_counts, surviving_fraction
from numpy_setlstm.plotting.style import (
    GATE_NAMES,
    GREEN,
    ORANGE,
    PURPLE,
    VERMILLION,
    axes_or_new,
    blue,
    dashes,
    gray,
    ink,
    legend_beside,
    line_colors,
)
from numpy_setlstm.topology import SetStep

MARKERS = ("o", "s", "^", "D", "v", "P")
TURNOVER_TITLE = "fraction of the group's connections pruned in the step"
NULL_DASHES = ("--", ":", "-.")  # of successive null models


def plot_survival(topology, set_steps_by_label, ax=None):
    """Draw the fraction of the initial connections that survive after each SET step.

    Survival alone does not prove that training protects connections: without training, too, a weight that starts
    large is not pruned. Only the difference to the null model is an effect of training.

    Parameters
    ----------
    topology : Topology
        Before the first step.
    set_steps_by_label : dict of str to list of SetStep, or to list of lists of SetStep
        Evolutions of the same matrix, such as "with training" and "null model: without training". Labels that start
        with "null" are drawn gray, each with its own dashes. For several evolutions under one label, the line is their
        mean and the band their range.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np
    >>> from numpy_setlstm.measures import null_evolution
    >>> from numpy_setlstm.topology import erdos_renyi
    >>> W = erdos_renyi((32, 128), np.random.default_rng(0), density=0.05)
    >>> steps = null_evolution(W, 5, 0.3, np.random.default_rng(1))
    >>> plot_survival(W.topology, {"null model: without training": steps}).get_lines()[0].get_ydata()[:1]
    array([1.])
    """
    ax = axes_or_new(ax, (6, 3.6))
    colors = line_colors(ax, set_steps_by_label)
    null_dashes = cycle(NULL_DASHES)
    for k, (color, (label, steps)) in enumerate(zip(colors, set_steps_by_label.items(), strict=True)):
        evolutions = steps if len(steps) and not isinstance(steps[0], SetStep) else [steps]
        fractions = np.array([surviving_fraction(topology, evolution) for evolution in evolutions])
        dash = next(null_dashes) if dashes(label) == "--" else dashes(label)
        marker = MARKERS[k % len(MARKERS)]
        ax.plot(fractions.mean(axis=0), ls=dash, color=color, lw=1.8, marker=marker, ms=5, label=label)
        if len(fractions) > 1:
            low, high = fractions.min(axis=0), fractions.max(axis=0)
            ax.fill_between(np.arange(len(low)), low, high, color=color, alpha=0.25, lw=0, zorder=1)
    label_survival(ax)
    ax.legend()
    return ax


def label_survival(ax):
    """Set labels and title of a picture of survival."""
    ax.set(xlabel="SET steps", ylim=(0, 1.04))
    ax.set_title("initial connections that survive", loc="left", size="medium")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))


def plot_turnover(turnover, ax=None, *, panel=False):
    """Draw the fraction of its connections that each group lost in each SET step, by gate or by band of words.

    Parameters
    ----------
    turnover : dict of str to dict
        By group, ``"pruned"``, a sequence of fractions (None where the group had no connections), and ``"null"``: None,
        or ``"mean"``, ``"low"`` and ``"high"`` of evolutions without training. This is the ``"turnover"`` of a matrix
        in :func:`~numpy_setlstm.measures.describe`.
    ax : matplotlib.axes.Axes, optional
    panel : bool, default False
        For a single group in a grid of panels: its name is the title, there is no legend, and steps outside its band
        are ringed.

    Returns
    -------
    matplotlib.axes.Axes
        The gray band is the middle 95 % of the evolutions without training, from the lowest to the highest edge of all
        groups, so a point inside may be outside the band of its own group.

    Examples
    --------
    >>> null = {"mean": [0.3, 0.3], "low": [0.28, 0.29], "high": [0.32, 0.31]}
    >>> ax = plot_turnover({"i": {"pruned": [0.25, 0.2], "null": null}, "f": {"pruned": [0.3, 0.4], "null": null}})
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['input gate i', 'forget gate f', 'null model: without training']
    """
    ax = _evolution_axes(ax)
    nulls = [group["null"] for group in turnover.values() if group["null"] and group["null"]["mean"][0] is not None]
    for (color, marker), (name, group) in zip(_group_styles(ax, turnover), turnover.items(), strict=True):
        pruned = np.array(group["pruned"], float)  # None becomes NaN: not drawn
        if np.isnan(pruned).all():
            continue  # a band of words beyond the vocabulary
        label = GATE_NAMES.get(name, name)
        ax.plot(np.arange(1, len(pruned) + 1), pruned, color=color, marker=marker, ms=5, lw=1.8, label=label)
        if panel and nulls:
            _ring_outliers(ax, pruned, group["null"])
    if nulls:
        low, mean, high = (
            reduce([np.array(null[key], float) for null in nulls], axis=0)
            for key, reduce in (("low", np.nanmin), ("mean", np.nanmean), ("high", np.nanmax))
        )
        steps = np.arange(1, len(mean) + 1)
        ax.fill_between(steps, low, high, color=gray(ax), alpha=0.25, lw=0, zorder=1)
        ax.plot(steps, mean, "--", color=gray(ax), lw=1.8, zorder=1.5, label="null model: without training")
    title = ", ".join(GATE_NAMES.get(name, name) for name in turnover) if panel else TURNOVER_TITLE
    ax.set_title(title, loc="left", size="medium")
    ax.set_xlabel("SET step")
    if not panel:
        _legend_of_lines(ax)
    return ax


def _ring_outliers(ax, pruned, null):
    outside = (pruned < np.array(null["low"], float)) | (pruned > np.array(null["high"], float))
    ax.plot(1 + np.flatnonzero(outside), pruned[outside], "o", ms=11, mfc="none", color=ink(ax), label="_outside")


def plot_gate_counts(topology, set_steps, nulls=(), ax=None):
    """Draw how many connections each gate of an LSTM's matrix has, before and after each SET step.

    Connections move between gates by chance alone: gates are pruned as their weights are, and regrown alike, so that
    gates of unequal size become more equal. Only a line outside the band of the nulls is an effect of training.

    Parameters
    ----------
    topology : Topology
        Before the first step, of a matrix (n, 4H) with the gates side by side.
    set_steps : sequence of SetStep
    nulls : sequence of list of SetStep, optional
        Evolutions of the same matrix without training, such as a hundred of
        :func:`~numpy_setlstm.measures.matched_null`.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        The gray band is the middle 95 % of the `nulls`, from the lowest to the highest edge of all gates, so a point
        inside may be outside the band of its own gate.

    Examples
    --------
    >>> import numpy as np
    >>> from numpy_setlstm.measures import matched_null, null_evolution
    >>> from numpy_setlstm.topology import erdos_renyi
    >>> W = erdos_renyi((32, 128), np.random.default_rng(0), density=0.05)
    >>> steps = null_evolution(W, 5, 0.3, np.random.default_rng(1))
    >>> nulls = [matched_null(W.topology, steps, np.random.default_rng(k)) for k in range(20)]
    >>> plot_gate_counts(W.topology, steps, nulls).get_lines()[0].get_ydata()
    array([42, 48, 57, 60, 53, 56])
    """
    ax = axes_or_new(ax, (7.5, 3.6))
    group_of = gates_of(topology.shape)
    observed = group_counts(topology, set_steps, group_of, len(GATES))
    null = np.array([group_counts(topology, steps, group_of, len(GATES)) for steps in nulls])
    for k, (color, marker) in enumerate(_group_styles(ax, GATES)):
        ax.plot(observed[:, k], color=color, marker=marker, ms=5, lw=1.8, label=GATE_NAMES[GATES[k]])
    if len(null):
        low, high = np.percentile(null, (2.5, 97.5), axis=0)  # (n_steps + 1, 4)
        edges, label = (low.min(axis=1), high.max(axis=1)), "null model: without training"
        ax.fill_between(np.arange(len(low)), *edges, color=gray(ax), alpha=0.25, lw=0, zorder=1, label=label)
    ax.set_title("connections of each gate", loc="left", size="medium")
    ax.set_xlabel("SET steps")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _legend_of_lines(ax)
    return ax


def plot_ever_tried(ever_tried, ax=None):
    """Draw the fraction of the possible connections that have ever existed, after each SET step.

    SET grows at random, so its line must lie on the expectation; growth by gradient returns to the same cells and
    falls below. See :func:`~numpy_setlstm.measures.expected_ever_tried`.

    Parameters
    ----------
    ever_tried : dict of str to dict of str to sequence of float
        By matrix, ``"observed"`` and, for random growth, ``"expected"``: the ``"ever_tried"`` of
        :func:`~numpy_setlstm.measures.describe`.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        The expectation is a dashed gray line.

    Examples
    --------
    >>> ax = plot_ever_tried({"W_h": {"observed": [0.04, 0.051], "expected": [0.04, 0.052]}})
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['W_h: 5.1 % at the end', 'null model: random growth']
    """
    ax = _evolution_axes(ax)
    for (color, marker), (name, shares) in zip(_group_styles(ax, ever_tried), ever_tried.items(), strict=True):
        observed = shares["observed"]
        label = f"{name}: {100 * observed[-1]:.1f} % at the end"
        ax.plot(observed, color=color, marker=marker, ms=5, lw=1.8, label=label)
    for shares in ever_tried.values():
        ax.plot(shares["expected"], "--", color=gray(ax), lw=1.8, zorder=2.5, label="_expected")
    ax.lines[-1].set_label("null model: random growth")
    ax.set_title("possible connections that have ever existed", loc="left", size="medium")
    ax.set(xlabel="SET steps", ylim=(0, None))
    _legend_of_lines(ax)
    return ax


def plot_evolution(topology, axes=None):
    """Draw what the SET steps of a network did: the turnover of each matrix, and the cells ever tried.

    Parameters
    ----------
    topology : dict of str to dict
        By matrix, its ``"turnover"`` and ``"ever_tried"``, as :func:`~numpy_setlstm.measures.describe` returns them for
        an evolved network. Matrices without turnover are omitted.
    axes : sequence of matplotlib.axes.Axes, optional
        One more than there are matrices.

    Returns
    -------
    ndarray of shape (n,) of matplotlib.axes.Axes
        One per matrix, and last that of :func:`plot_ever_tried`.

    Examples
    --------
    >>> null = {"mean": [0.3, 0.3], "low": [0.28, 0.29], "high": [0.32, 0.31]}
    >>> turnover = {"i": {"pruned": [0.25, 0.2], "null": null}}
    >>> ever_tried = {"observed": [0.04, 0.051], "expected": [0.04, 0.052]}
    >>> [ax.get_title(loc="left") for ax in plot_evolution({"W_h": {"turnover": turnover, "ever_tried": ever_tried}})]
    ['W_h: pruned in the step', 'possible connections that have ever existed']
    """
    names = [name for name in topology if topology[name]["turnover"]]
    if axes is None:
        size = (6.8, 0.3 + 2.6 * (len(names) + 1))
        axes = Figure(figsize=size, layout="constrained").subplots(len(names) + 1, 1)
    for ax, name in zip(axes, names, strict=False):
        plot_turnover(topology[name]["turnover"], ax)
        ax.set_title(f"{name}: pruned in the step", loc="left", size="medium")
    plot_ever_tried({name: topology[name]["ever_tried"] for name in names}, axes[-1])
    return np.asarray(axes)


def _evolution_axes(ax):
    """Return axes for a picture over the SET steps, in percent."""
    ax = axes_or_new(ax, (7.5, 3.6))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    return ax


def _group_styles(ax, groups):
    """Return a color and a marker per group, so the groups can be distinguished without color."""
    colors = (blue(ax), VERMILLION, GREEN, PURPLE, ORANGE)
    return [(colors[k % len(colors)], MARKERS[k % len(MARKERS)]) for k in range(len(groups))]


def _legend_of_lines(ax):
    if ax.lines:
        legend_beside(ax)
