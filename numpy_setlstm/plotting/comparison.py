"""What a grid of experiments found: each run as a dot, and differences to the dense network with their intervals."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from numpy_setlstm.plotting.style import ORANGE, VERMILLION, blue, gray


def plot_accuracies(rows, axes=None, *, metric="test_accuracy", reference="dense", legend=False):
    """Draw the accuracy of every run: a row per connectivity, a dot per seed, a stroke at the mean.

    Parameters
    ----------
    rows : sequence of dict
        One per run, with "dataset", "connectivity" and the number that `metric` names, a fraction in [0, 1].
    axes : sequence of matplotlib.axes.Axes, optional
        One per data set, in the order in which they first come; for several metrics such a sequence for each.
    metric : str or sequence of str, default "test_accuracy"
        Several are drawn one above the other.
    reference : str, default "dense"
        The connectivity whose mean is drawn as a line through all rows.
    legend : bool, default False
        Whether to say beside the last picture what dots, strokes and the line are.

    Returns
    -------
    ndarray of shape (n_datasets,), or (n_metrics, n_datasets), of matplotlib.axes.Axes
        As many as `axes` are expected to be.

    Raises
    ------
    ValueError
        If there is no row, or not an axes for each data set and metric.

    Examples
    --------
    >>> runs = [("dense", 0.84), ("dense", 0.85), ("set", 0.86), ("set", 0.85)]
    >>> rows = [dict(dataset="IMDB", connectivity=name, test_accuracy=accuracy) for name, accuracy in runs]
    >>> ax, = plot_accuracies(rows)
    >>> ax.get_title(loc="left"), [label.get_text() for label in ax.get_yticklabels()]
    ('IMDB', ['dense', 'set'])
    """
    datasets, names = _in_order(rows, "dataset"), _in_order(rows, "connectivity")
    metrics = [metric] if isinstance(metric, str) else list(metric)
    if not datasets:
        raise ValueError("there is no run to draw; expected rows with dataset, connectivity and a result")
    if axes is None:
        size = (2 + 3.2 * len(datasets), len(metrics) * (1.1 + 0.38 * len(names)))
        axes = Figure(figsize=size, layout="constrained").subplots(len(metrics), len(datasets), squeeze=False)
    axes = np.asarray(axes)
    if axes.size != len(metrics) * len(datasets):
        expected = f"{len(datasets)} data sets ({', '.join(datasets)}) and {len(metrics)} metrics"
        raise ValueError(f"there are {axes.size} axes for {expected}; expected one for each")
    grid = axes.reshape(len(metrics), len(datasets))
    for row, column in np.ndindex(grid.shape):
        ax, dataset = grid[row, column], datasets[column]
        _draw_runs(ax, [run for run in rows if run["dataset"] == dataset], names, metrics[row], reference)
        ax.set_title(dataset, loc="left", size="medium")
        ax.set_xlabel(metrics[row].replace("_", " "))
        ax.set_yticks(range(len(names)), names if column == 0 else [])
    if legend:
        grid[0, -1].legend(
            handles=_run_keys(ax, names, reference), loc="upper left", bbox_to_anchor=(1, 1), frameon=False
        )
    return grid[0] if isinstance(metric, str) else grid


def _draw_runs(ax, rows, names, metric, reference):
    """Dots and means of one data set."""
    ink = ax.xaxis.label.get_color()
    for place, name in enumerate(names):
        values = [row[metric] for row in rows if row["connectivity"] == name and row[metric] is not None]
        if not values:
            continue  # this rival did not run on this data set
        color = VERMILLION if name == reference else blue(ax)
        nudge = 0.3 * (np.arange(len(values)) / max(len(values) - 1, 1) - 0.5) if len(values) > 1 else [0]
        ax.plot(values, place + np.asarray(nudge), "o", ms=5, color=color, alpha=0.8, mew=0, zorder=3)
        ax.plot([np.mean(values)] * 2, [place - 0.32, place + 0.32], color=ink, lw=2.2, solid_capstyle="butt")
        if name == reference:
            ax.axvline(np.mean(values), color=color, lw=1.2, ls="--", zorder=1)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=3))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g} %"))
    ax.grid(False, axis="y")


def _run_keys(ax, names, reference):
    """Legend of the marks, in the colours of most rows."""
    keys = [
        Line2D([], [], color=blue(ax), ls="none", marker="o", ms=5, mew=0, label="one run"),
        Line2D(
            [], [], color=ax.xaxis.label.get_color(), ls="none", marker="|", ms=11, mew=2.2, label="mean of the runs"
        ),
        Line2D([], [], color=VERMILLION, lw=1.2, ls="--", label=f"mean of {reference}"),
    ]
    return keys if reference in names else keys[:2]


def plot_differences(rows, ax=None, *, reference="dense"):
    """Draw by how much each connectivity differs from the dense network, with the interval of that difference.

    Parameters
    ----------
    rows : sequence of dict
        With "dataset", "connectivity", "difference" (a mean of differences run by run, positive where it is better than
        the reference, as a fraction: 0.01 is one percentage point), and its interval "low" to "high", or None for both
        where there are too few runs for one.
    ax : matplotlib.axes.Axes, optional
    reference : str, default "dense"
        What the differences are to.

    Returns
    -------
    matplotlib.axes.Axes
        The dot is full where the interval leaves 0 out, hollow where it does not, or is missing: there the runs do not
        tell better from worse.

    Raises
    ------
    ValueError
        If there is no row.

    Examples
    --------
    >>> row = dict(dataset="IMDB", connectivity="set", difference=0.01, low=0.004, high=0.016)
    >>> ax = plot_differences([row, row | {"connectivity": "static", "low": -0.001}])
    >>> [label.get_text() for label in ax.get_yticklabels()], ax.texts[0].get_text()
    (['set', 'static'], 'IMDB')
    """
    datasets = _in_order(rows, "dataset")
    if not datasets:
        raise ValueError("there is no difference to draw; expected at least one row")
    if ax is None:
        ax = Figure(figsize=(6.5, 1.2 + 0.34 * (len(rows) + len(datasets))), layout="constrained").subplots()
    ink, place, names = ax.xaxis.label.get_color(), 0, {}
    ax.axvline(0, color=VERMILLION, lw=1.2, ls="--", zorder=1)
    for dataset in datasets:
        heading = {"xycoords": ("axes fraction", "data"), "va": "center", "weight": "bold"}
        ax.annotate(dataset, (0, place), (6, 0), textcoords="offset points", **heading)
        ax.axhline(place - 0.55, color=gray(ax), lw=0.6)
        for row in (row for row in rows if row["dataset"] == dataset):
            place += 1
            names[place] = row["connectivity"]
            _draw_difference(ax, row, place, ink)
        place += 1
    ax.set_yticks(list(names), list(names.values()))
    ax.set_ylim(place - 0.4, -0.6)
    ax.margins(x=0.12)
    ax.set_xlabel(f"difference to {reference}, percentage points")
    ax.grid(False, axis="y")
    return ax


def _draw_difference(ax, row, place, ink):
    """One row of the picture: the interval, and the dot."""
    interval = [row["low"], row["high"]]
    known = None not in interval
    decided = known and (row["low"] > 0 or row["high"] < 0)
    if known:
        ax.plot([100 * edge for edge in interval], [place, place], color=ink, lw=1.6, zorder=2, solid_capstyle="butt")
    color = blue(ax) if row["difference"] >= 0 else ORANGE
    face = color if decided else ax.get_facecolor()
    ax.plot(100 * row["difference"], place, "o", ms=7.5, color=color, mfc=face, mew=1.8, zorder=3)


def _in_order(rows, key):
    """The values of a key, each once, in the order in which they come."""
    return list(dict.fromkeys(row[key] for row in rows))
