"""Accuracy, or another score, against the share of parameters, for several kinds of networks."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from numpy_setlstm.plotting.style import GREEN, ORANGE, PURPLE, VERMILLION, blue, gray, ink

BROKEN, DOTTED = (0, (5, 2)), (0, (1, 1.2))
WIDEST = 3  # panels beside each other
# How each kind is drawn: color, line, marker; others are gray.
_STYLES = {
    "set-guided": ("blue", "-", "o"),
    "set-cosine": (GREEN, "-", "s"),
    "static": (ORANGE, "-", "^"),
    "static-words": (ORANGE, BROKEN, "v"),
    "static-frequent": (ORANGE, DOTTED, "D"),
    "dense-small": (VERMILLION, BROKEN, "P"),
    "dense-pruned": (PURPLE, DOTTED, "X"),
    "set-magnitude": (GREEN, BROKEN, "v"),
    "set-snt": (GREEN, DOTTED, "D"),
}


def plot_shares(
    rows, axes=None, *, reference="dense", labels=None, xlabel="parameters, % of the dense network's",
    ylabel="test accuracy, %", scale=100.0,
):  # fmt: skip
    """Draw the accuracy of each kind of network, or another score, against its share of the dense network's parameters.

    Parameters
    ----------
    rows : sequence of dict
        Each with "dataset", "connectivity", "share" (of the dense network's parameters, in (0, 1]), "mean", and the
        ends of its interval "low" and "high", or None for both; accuracies in [0, 1], or other scores.
    axes : sequence of matplotlib.axes.Axes, optional
        One per data set, in order of first appearance.
    reference : str, default "dense"
        The kind that is drawn as a line through all shares.
    labels : dict of str to str, optional
        What the kinds are called in the legend.
    xlabel, ylabel : str, optional
        What the axes show.
    scale : float, default 100
        By which the scores are multiplied: 100 shows shares as percentages, 1 other numbers as they are.

    Returns
    -------
    ndarray of shape (n_datasets,) of matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there are no rows, or the number of axes is not that of the data sets.

    Examples
    --------
    >>> kinds = {"static": (0.6, 0.7), "set-guided": (0.74, 0.76)}
    >>> rows = [dict(dataset="yelp", connectivity=kind, share=share, mean=mean, low=mean - 0.02, high=mean + 0.02)
    ...         for kind, means in kinds.items() for share, mean in zip((0.01, 0.1), means)]
    >>> ax, = plot_shares(rows)
    >>> ax.get_xscale(), [line.get_label() for line in ax.get_lines() if line.get_label()[0] != "_"]
    ('log', ['static', 'set-guided'])
    """
    datasets, kinds = (list(dict.fromkeys(row[key] for row in rows)) for key in ("dataset", "connectivity"))
    if not datasets:
        raise ValueError("there are no rows to draw; expected at least one, with dataset, connectivity and share")
    if axes is None:
        axes = _panels(len(datasets))
    axes = np.asarray(axes).ravel()
    if len(axes) != len(datasets):
        raise ValueError(f"there are {len(axes)} axes for {len(datasets)} data sets ({', '.join(datasets)})")
    names = {kind: (labels or {}).get(kind, kind) for kind in kinds}
    widest = [row["share"] for row in rows if row["connectivity"] != reference] or [row["share"] for row in rows]
    for ax, dataset in zip(axes, datasets, strict=True):
        of_dataset = [row for row in rows if row["dataset"] == dataset]
        for place, kind in enumerate(kinds):
            found = sorted((row for row in of_dataset if row["connectivity"] == kind), key=lambda row: row["share"])
            if found and kind == reference:
                _draw_reference(ax, found[-1], names[kind])
            elif found:
                beside = 1 + 0.025 * (place - len(kinds) / 2)  # so that intervals do not hide each other
                _draw_kind(ax, found, kind, names[kind], beside)
        _finish(ax, sorted({row["share"] for row in of_dataset}), widest, scale)
        ax.set_title(dataset, loc="left", size="medium")
        ax.set(xlabel=xlabel, ylabel=ylabel)
    handles, found = _all_handles(axes)
    columns = min(len(axes) + 1, WIDEST)
    axes[0].figure.legend(handles, found, loc="outside lower center", ncols=columns, frameon=False)
    return axes


def _panels(count):
    """Return axes for so many data sets, three in a row, or four where one would stand alone."""
    n_cols = min(count, WIDEST + (count % WIDEST == 1))
    n_rows = -(-count // n_cols)
    figure = Figure(figsize=(1.4 + 3.2 * n_cols, 1.3 + 2.7 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_cols, squeeze=False).ravel()
    for ax in axes[count:]:
        ax.remove()
    return axes[:count]


def _draw_kind(ax, rows, kind, label, beside):
    color, line, marker = _STYLES.get(kind, ("gray", "-", "."))
    color = {"blue": blue(ax), "gray": gray(ax)}.get(color, color)
    shares, means = [row["share"] * beside for row in rows], [row["mean"] for row in rows]
    width = 2.2 if kind == "set-guided" else 1.3
    ax.plot(shares, means, color=color, ls=line, lw=width, marker=marker, ms=5, mew=0, label=label, zorder=3)
    for share, row in zip(shares, rows, strict=True):
        if row["low"] is not None:
            ax.plot([share] * 2, [row["low"], row["high"]], color=color, lw=1, alpha=0.6, zorder=2)


def _draw_reference(ax, row, label):
    ax.axhline(row["mean"], color=ink(ax), lw=1.2, ls="--", zorder=1, label=label)
    if row["low"] is not None:
        ax.axhspan(row["low"], row["high"], color=ink(ax), alpha=0.08, lw=0, zorder=0)


def _finish(ax, shares, widest, scale):
    shares = [share for share in shares if share < 1] or shares
    ax.set(xscale="log", xlim=(min(widest) / 1.25, max(widest) * 1.25))  # the same for all data sets
    ax.xaxis.set_major_locator(FixedLocator(shares))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.3g}"))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=6))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda score, _: f"{scale * score:.4g}"))


def _all_handles(axes):
    found = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)
