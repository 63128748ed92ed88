"""Topological distances between networks, and the expansion of their connections."""

import numpy as np
from matplotlib.ticker import FormatStrFormatter, MaxNLocator

from numpy_setlstm.plotting.style import (
    GATE_NAMES,
    GREEN,
    ORANGE,
    VERMILLION,
    axes_or_new,
    blue,
    gray,
    ink,
    legend_beside,
)

MAX_NUMBERED = 12  # largest number of networks whose distances are written into the cells
NARROW = 0.03  # range below which two decimals do not distinguish the distances
LABEL_GAP = 0.45  # between the names of two baselines, in cells of the picture


def plot_distances(distances, labels, baselines=None, ax=None):
    """Draw the topological distance between any two of several networks.

    Parameters
    ----------
    distances : ndarray of shape (n, n)
        From :func:`~numpy_setlstm.measures.distance_matrix`.
    labels : sequence of str
        Names of the networks.
    baselines : dict of str to float, optional
        Reference distances, from :func:`~numpy_setlstm.measures.distance_baselines`, marked on the color bar. One below
        all colors, such as the 0 of a shuffled copy, is marked at the lower end.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        The color bar is ``ax.child_axes[0]``. The diagonal, 0 by definition, is blank. Distances have two decimals, or
        three if they are nearly equal.

    Raises
    ------
    ValueError
        If the number of labels is not that of the networks, or there are fewer than two networks.

    Examples
    --------
    >>> ax = plot_distances(np.array([[0.0, 0.9], [0.9, 0.0]]), ["seed 0", "seed 1"], {"random pair": 0.96})
    >>> [text.get_text() for text in ax.child_axes[0].texts]
    ['random pair: 0.960']
    """
    distances, baselines, n = np.asarray(distances, float), baselines or {}, len(labels)
    if distances.shape != (n, n) or n < 2:
        raise ValueError(f"distances have shape {distances.shape} and there are {n} labels; expected (n, n) and n >= 2")
    ax = axes_or_new(ax, (6 + 0.4 * n, 2.4 + 0.4 * n))
    others = np.ma.masked_array(distances, np.eye(n, dtype=bool))
    low, high = _color_limits(others.compressed(), baselines.values())
    decimals, bar_decimals = (3 if width < NARROW else 2 for width in (np.ptp(others.compressed()), high - low))
    image = ax.imshow(others, cmap="cividis", vmin=low, vmax=high)
    ax.set_xticks(range(n), labels, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(n), labels)
    ax.grid(False)
    ax.set_anchor("W")  # leaves room for the color bar and its labels on the right
    if n <= MAX_NUMBERED:
        for j, k in zip(*np.nonzero(~np.eye(n, dtype=bool)), strict=True):
            color = "black" if (distances[j, k] - low) / (high - low) > 0.5 else "white"
            ax.text(k, j, f"{distances[j, k]:.{decimals}f}", color=color, ha="center", va="center", size="small")
    bar_ax = ax.inset_axes((1.04 + 1 / n, 0, 0.25 / n, 1))
    bar_ax.grid(False)
    ticks = MaxNLocator(9, steps=(1, 2, 5, 10))  # not 2.5, whose last digit the labels would hide
    ax.figure.colorbar(image, cax=bar_ax, ticks=ticks, format=FormatStrFormatter(f"%.{bar_decimals}f"))
    bar_ax.yaxis.set_ticks_position("left")
    bar_ax.tick_params(labelsize="small")
    _mark_baselines(bar_ax, baselines, low, high, LABEL_GAP / n)
    ax.set_title("topological distance", loc="left", size="medium")
    return ax


def plot_distance_ranges(entries, ax=None):
    """Draw the distances within several groups of networks, compared with the baselines of each group.

    Parameters
    ----------
    entries : sequence of dict
        One per group: "label", "distances", an array of shape (n, n), and "baselines", dict of str to float, from
        :func:`~numpy_setlstm.measures.distance_baselines`. A baseline must have the same name in all groups.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        A row per group: a dot for each pair of networks, a bar for each baseline.

    Raises
    ------
    ValueError
        If there are no groups.

    Examples
    --------
    >>> distances = np.array([[0.0, 0.91], [0.91, 0.0]])
    >>> entry = {"label": "sanders, set", "distances": distances, "baselines": {"independent random": 0.96}}
    >>> [text.get_text() for text in plot_distance_ranges([entry]).get_legend().get_texts()]
    ['two trained networks', 'independent random']
    """
    if not entries:
        raise ValueError("there are no distances to draw; expected at least one group of networks")
    ax = axes_or_new(ax, (8.5, 1.4 + 0.34 * len(entries)))
    names = list(dict.fromkeys(name for entry in entries for name in entry["baselines"]))
    styles = dict(zip(names, [(gray(ax), ":"), (VERMILLION, "-"), (ORANGE, "--"), (GREEN, "-.")], strict=False))
    for place, entry in enumerate(entries):
        distances = np.asarray(entry["distances"], float)
        between = distances[np.triu_indices(len(distances), 1)]
        offsets = 0.3 * np.linspace(-1, 1, len(between)) if len(between) > 1 else [0.0]
        label = "two trained networks" if place == 0 else None
        ax.plot(between, place + np.asarray(offsets), "o", ms=4.5, mew=0, alpha=0.8, color=blue(ax), label=label)
    for name, (color, dash) in styles.items():
        places = [place for place, entry in enumerate(entries) if name in entry["baselines"]]
        values = [entries[place]["baselines"][name] for place in places]
        low, high = (np.array(places) + edge for edge in (-0.42, 0.42))
        ax.vlines(values, low, high, color=color, ls=dash, lw=2.4, label=name)
    ax.set_yticks(range(len(entries)), [entry["label"] for entry in entries])
    ax.set_ylim(len(entries) - 0.4, -0.6)
    ax.set(xlim=(-0.02, 1.02), xlabel="topological distance, hidden units matched")
    ax.grid(False, axis="y")
    legend_beside(ax)
    return ax


def _color_limits(distances, baselines):
    """Return the color limits: they contain all distances and nearby baselines, and are at least 0.02 apart."""
    far = distances.min() - max(0.2, 2 * np.ptp(distances))
    values = np.concatenate([distances, [value for value in baselines if value > far]])
    middle, half = (values.min() + values.max()) / 2, max(np.ptp(values) * 0.55, 0.01)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _mark_baselines(bar_ax, baselines, low, high, gap):
    """Draw a line across the color bar for each baseline, and its name beside it, names at least `gap` apart."""
    place = -np.inf
    for name, value in sorted(baselines.items(), key=lambda item: item[1]):
        at = np.clip((value - low) / (high - low), 0, 1)
        place = max(at, place + gap)
        bar_ax.axhline(low + at * (high - low), color=VERMILLION, lw=2.5)
        line = {"arrowstyle": "-", "color": ink(bar_ax), "lw": 0.7, "shrinkA": 0, "shrinkB": 0}
        within = {"xycoords": "axes fraction", "textcoords": "axes fraction", "arrowprops": line}
        text = f"{name}: {value:.3f}" + (" (below)" if value < low else "")
        bar_ax.annotate(text, (1, at), (2.2, place), **within, va="center", size="small", annotation_clip=False)


def plot_expansion(expansion, ax=None):
    r"""Draw the second singular value of a matrix and its gates relative to the bound of a good expander.

    Parameters
    ----------
    expansion : dict of str to dict
        The ``"expansion"`` of a matrix in :func:`~numpy_setlstm.measures.describe`: by part, ``"sigma_2"`` and
        ``"bound"`` before and after, and the ranges of ``"random"`` graphs and of those with the ``"same_degrees"``.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        At or below 1, the connections are expander-like. The bars are the ranges of the null models.

    Examples
    --------
    >>> null = {"mean": 6.8, "low": 6.7, "high": 6.9}
    >>> part = {"sigma_2": [6.9, 7.4], "bound": [6.8, 6.9], "random": null, "same_degrees": null}
    >>> ax = plot_expansion({"i": part})
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['i']
    """
    ax = axes_or_new(ax, (7.5, 3.6))
    x, parts = np.arange(len(expansion)), list(expansion.values())
    before, after = np.array([np.divide(part["sigma_2"], part["bound"]) for part in parts]).T
    ax.axhline(1, color=ink(ax), lw=1, ls=":", zorder=1, label="bound of a good expander")
    for key, place, color, label in (
        ("random", 0.12, gray(ax), "random graph, same density"),
        ("same_degrees", 0.28, ORANGE, "random graph, same degrees"),
    ):
        low, mean, high = (np.array([part[key][edge] / part["bound"][1] for part in parts]) for edge in
                           ("low", "mean", "high"))  # fmt: skip
        ax.errorbar(x + place, mean, [mean - low, high - mean], fmt="_", ms=9, color=color, elinewidth=4, label=label)
    ax.plot(x - 0.28, before, "o", ms=8, mfc="none", mew=1.6, color=blue(ax), label="before the first SET step")
    ax.plot(x - 0.12, after, "o", ms=8, color=blue(ax), label="after the last one")
    ax.set_xticks(x, [GATE_NAMES.get(name, name).replace(" gate", "\ngate").replace("candidate ", "candidate\n")
                      if len(parts) > 1 else name for name in expansion])  # fmt: skip
    ax.set_xlim(-0.6, len(parts) - 0.4)
    ax.set_ylabel(r"$\sigma_2$ / bound")
    ax.grid(False, axis="x")
    legend_beside(ax)
    return ax
