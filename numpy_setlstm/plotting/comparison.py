"""Results of a grid of experiments: the accuracies of all runs, and differences with their intervals."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from numpy_setlstm.plotting.style import ORANGE, VERMILLION, axes_or_new, blue, gray, ink, legend_beside


def plot_accuracies(rows, axes=None, *, metric="test_accuracy", reference="dense", legend=False):
    """Draw the accuracy of every run: a row per connectivity, a dot per seed, a bar at the mean.

    Parameters
    ----------
    rows : sequence of dict
        One per run, with "dataset", "connectivity" and the key that `metric` names, a fraction in [0, 1] or None.
    axes : sequence of matplotlib.axes.Axes, optional
        One per data set, in order of first appearance; for several metrics, one such sequence per metric.
    metric : str or sequence of str, default "test_accuracy"
        Several metrics are drawn one below the other.
    reference : str, default "dense"
        The connectivity whose mean is drawn as a line through all rows.
    legend : bool, default False
        Whether to explain the marks beside the last picture.

    Returns
    -------
    ndarray of shape (n_datasets,), or (n_metrics, n_datasets), of matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there are no rows, or the number of axes is not that of data sets times metrics.

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
        raise ValueError("there are no runs to draw; expected rows with dataset, connectivity and a result")
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
        legend_beside(grid[0, -1], handles=_run_keys(ax, names, reference))
    return grid[0] if isinstance(metric, str) else grid


def _draw_runs(ax, rows, names, metric, reference):
    """Draw the runs and means of one data set."""
    for place, name in enumerate(names):
        values = [row[metric] for row in rows if row["connectivity"] == name and row[metric] is not None]
        if not values:
            continue  # no run on this data set
        color = VERMILLION if name == reference else blue(ax)
        offsets = 0.3 * (np.arange(len(values)) / max(len(values) - 1, 1) - 0.5) if len(values) > 1 else [0]
        ax.plot(values, place + np.asarray(offsets), "o", ms=5, color=color, alpha=0.8, mew=0, zorder=3)
        ax.plot([np.mean(values)] * 2, [place - 0.32, place + 0.32], color=ink(ax), lw=2.2, solid_capstyle="butt")
        if name == reference:
            ax.axvline(np.mean(values), color=color, lw=1.2, ls="--", zorder=1)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=3))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g} %"))
    ax.grid(False, axis="y")


def _run_keys(ax, names, reference):
    """Return the legend handles of the marks, in the colors of most rows."""
    keys = [
        Line2D([], [], color=blue(ax), ls="none", marker="o", ms=5, mew=0, label="one run"),
        Line2D([], [], color=ink(ax), ls="none", marker="|", ms=11, mew=2.2, label="mean of the runs"),
        Line2D([], [], color=VERMILLION, lw=1.2, ls="--", label=f"mean of {reference}"),
    ]
    return keys if reference in names else keys[:2]


def plot_differences(rows, ax=None, *, reference="dense"):
    """Draw the difference of each connectivity to the reference, with its confidence interval.

    Parameters
    ----------
    rows : sequence of dict
        With "dataset", "connectivity", "difference" (mean of paired differences as a fraction, positive if better than
        the reference: 0.01 is one percentage point), and the interval "low" to "high", or None for both if there are
        too few runs.
    ax : matplotlib.axes.Axes, optional
    reference : str, default "dense"
        Name of the reference.

    Returns
    -------
    matplotlib.axes.Axes
        The dot is full if the interval excludes 0. It is hollow if the interval contains 0 or is missing, that is, if
        the runs do not decide between better and worse.

    Raises
    ------
    ValueError
        If there are no rows.

    Examples
    --------
    >>> row = dict(dataset="IMDB", connectivity="set", difference=0.01, low=0.004, high=0.016)
    >>> ax = plot_differences([row, row | {"connectivity": "static", "low": -0.001}])
    >>> [label.get_text() for label in ax.get_yticklabels()], ax.texts[0].get_text()
    (['set', 'static'], 'IMDB')
    """
    datasets = _in_order(rows, "dataset")
    if not datasets:
        raise ValueError("there are no differences to draw; expected at least one row")
    ax = axes_or_new(ax, (6.5, 1.2 + 0.34 * (len(rows) + len(datasets))))
    place, names = 0, {}
    ax.axvline(0, color=VERMILLION, lw=1.2, ls="--", zorder=1)
    for dataset in datasets:
        heading = {"xycoords": ("axes fraction", "data"), "va": "center", "weight": "bold"}
        ax.annotate(dataset, (0, place), (6, 0), textcoords="offset points", **heading)
        ax.axhline(place - 0.55, color=gray(ax), lw=0.6)
        for row in (row for row in rows if row["dataset"] == dataset):
            place += 1
            names[place] = row["connectivity"]
            _draw_difference(ax, row, place)
        place += 1
    ax.set_yticks(list(names), list(names.values()))
    ax.set_ylim(place - 0.4, -0.6)
    ax.margins(x=0.12)
    ax.set_xlabel(f"difference to {reference}, percentage points")
    ax.grid(False, axis="y")
    return ax


def _draw_difference(ax, row, place):
    """Draw one row: the interval, and the dot."""
    known = row["low"] is not None and row["high"] is not None
    decided = known and (row["low"] > 0 or row["high"] < 0)
    if known:
        interval = 100 * row["low"], 100 * row["high"]
        ax.plot(interval, [place, place], color=ink(ax), lw=1.6, zorder=2, solid_capstyle="butt")
    color = blue(ax) if row["difference"] >= 0 else ORANGE
    face = color if decided else ax.get_facecolor()
    ax.plot(100 * row["difference"], place, "o", ms=7.5, color=color, mfc=face, mew=1.8, zorder=3)


def _in_order(rows, key):
    """Return the distinct values of a key in order of first appearance."""
    return list(dict.fromkeys(row[key] for row in rows))
