"""Time and memory of a training step, compared with peers."""

import numpy as np
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, NullFormatter, NullLocator

from numpy_setlstm.measures.curves import crossing, exponent
from numpy_setlstm.plotting.style import (
    BLUE,
    GREEN,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    VERMILLION,
    axes_or_new,
    blue,
    faint,
    gray,
    ink,
    legend_beside,
)

#: Color and hatching of the parts of a training step: forward is blue, backward orange, None gray.
PART_STYLES = {
    "input projection": (SKY_BLUE, None),
    "recurrence forward": (BLUE, None),
    "forward": (BLUE, "//"),
    "recurrence backward": (ORANGE, None),
    "backward": (ORANGE, "//"),
    "gradients": (VERMILLION, None),
    "optimizer": (GREEN, None),
    "masks": (PURPLE, None),
    "other": (None, None),
}


def plot_benchmark(results):
    """Draw all pictures for which a benchmark has results.

    Parameters
    ----------
    results : dict
        From :func:`~numpy_setlstm.lab.benchmark.run.run_benchmark`; parts may be missing.

    Returns
    -------
    dict of str to matplotlib.axes.Axes
        By file name, without extension.

    Examples
    --------
    >>> parts = {"forward": 0.2, "backward": 0.3}
    >>> row = {"description": "V 1,000", "peers": {"numpy_setlstm, sparse": {"parts": parts}}}
    >>> list(plot_benchmark({"rows": [row]}))
    ['step_parts_1']
    """
    axes = {}
    for k, row in enumerate(results["rows"], start=1):
        parts = {name: peer["parts"] for name, peer in row["peers"].items() if "parts" in peer}
        if parts:
            ax = plot_step_parts(parts)
            ax.set_title(f"A training step: {row['description']}", loc="left", size="medium")
            axes[f"step_parts_{k}"] = ax
    density = results.get("density", {}).get("rows", [])
    titles = {
        "step": "a training step",
        "product": "one recurrent product",
        "gradient": "the backward pass through W_h, with its gradient",
    }
    for kind, title in titles.items():
        if len(density) >= 2:
            names = density[0][kind]
            curves = {name: [row[kind][name] for row in density] for name in names}
            ax = plot_time_against_density([row["density"] for row in density], curves)
            ax.set_title(f"Time of {title}", loc="left", size="medium")
            axes[f"density_{kind}"] = ax
    sizes = results.get("sizes", {}).get("rows", [])
    if len(sizes) >= 2:
        connections = [row["connections"] for row in sizes]
        for quantity in ("seconds", "bytes"):
            names = [name for name in results["peers"] if any(row["peers"].get(name) for row in sizes)]
            curves = {name: [row["peers"].get(name, {}).get(quantity) for row in sizes] for name in names}
            axes[f"scaling_{quantity}"] = plot_scaling(connections, curves, quantity)
    return axes


def plot_time_against_density(densities, seconds, ax=None, *, reference=None):
    """Draw time against density for several implementations.

    Parameters
    ----------
    densities : sequence of float
        Increasing, in (0, 1].
    seconds : dict of str to sequence of float
        By implementation. A circle labeled with the density marks where a line crosses that of the reference.
    ax : matplotlib.axes.Axes, optional
    reference : str, optional
        The implementation to compare the others with; by default the first.

    Returns
    -------
    matplotlib.axes.Axes
        Both axes are logarithmic.

    Examples
    --------
    >>> ax = plot_time_against_density([0.01, 1.0], {"sparse": [0.001, 0.1], "dense": [0.01, 0.01]})
    >>> [text.get_text() for text in ax.texts]
    ['10 %']
    """
    ax = axes_or_new(ax, (6.5, 4))
    reference = reference or next(iter(seconds))
    for (name, column), style in zip(seconds.items(), _benchmark_styles(ax, seconds), strict=True):
        ax.plot(densities, column, label=name, **style)
    found = [(crossing(densities, seconds[reference], seconds[name]), name) for name in seconds if name != reference]
    found = sorted((at, name) for at, name in found if at is not None)
    for k, (at, name) in enumerate(found):
        y = np.exp(np.interp(np.log(at), np.log(densities), np.log(seconds[name])))
        ax.plot(at, y, "o", ms=11, mfc="none", mec=ink(ax))
        at_the_edge = np.log(at / densities[0]) > 0.85 * np.log(densities[-1] / densities[0])
        to_the_left = at_the_edge or k == 0 < len(found) - 1  # to stay within the picture, and off the next label
        side = {"xytext": (-6, 6), "ha": "right", "va": "bottom"} if to_the_left else {"xytext": (8, -8), "va": "top"}
        ax.annotate(f"{100 * at:.2g} %", (at, y), color=ink(ax), textcoords="offset points", **side)
    ax.set(xscale="log", yscale="log", xlabel="density: fraction of connections that exist", ylabel="time")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda density, _: f"{100 * density:g} %"))
    _label_few(ax.yaxis, EngFormatter("s"))
    ax.legend()
    return ax


def plot_scaling(connections, amounts, quantity="seconds", ax=None, *, guides=None):
    r"""Draw time or memory against the number of connections.

    Parameters
    ----------
    connections : sequence of float
        Increasing.
    amounts : dict of str to sequence of float or None
        By implementation; None where it was not measured, for example because a dense network would not fit.
    quantity : {"seconds", "bytes"}
    ax : matplotlib.axes.Axes, optional
    guides : dict of str to float, optional
        By implementation, an exponent to compare with, drawn as a dotted line of that slope through its last point.

    Returns
    -------
    matplotlib.axes.Axes
        Both axes are logarithmic; the legend has the fitted exponent of each line, and that of its guide.

    Raises
    ------
    ValueError
        If `quantity` is neither "seconds" nor "bytes".

    Examples
    --------
    >>> ax = plot_scaling([10, 100], {"sparse": [1.0, 10.0], "dense": [1.0, None]})
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['sparse, exponent 1.00', 'dense']
    """
    ax = axes_or_new(ax, (6.5, 4))
    labels = {"seconds": "time of a training step", "bytes": "peak memory above idle"}
    if quantity not in labels:
        raise ValueError(f"quantity is {quantity!r}; expected 'seconds' or 'bytes'")
    for (name, column), style in zip(amounts.items(), _benchmark_styles(ax, amounts), strict=True):
        points = [(n, y) for n, y in zip(connections, column, strict=True) if y]
        fit = f", exponent {exponent(*zip(*points, strict=True)):.2f}" if len(points) > 1 else ""
        if guides and name in guides and points:
            n, last = np.array(connections, float), points[-1]
            n = n[n <= last[0]]
            ax.plot(n, last[1] * (n / last[0]) ** guides[name], ":", color=style["color"], lw=1.2)
            fit += f" (dotted: {guides[name]:g})"
        ax.plot(*(zip(*points, strict=True) if points else ([], [])), label=name + fit, **style)
    ax.set(xscale="log", yscale="log", xlabel="connections", ylabel=labels[quantity])
    _label_few(ax.xaxis, EngFormatter())
    if quantity == "seconds":
        _label_few(ax.yaxis, EngFormatter("s"))
    else:
        ax.yaxis.set_major_locator(LogLocator(2, numticks=12))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n / 2**20:g} MiB" if n < 2**30 else _gib(n)))
        ax.yaxis.set_minor_locator(NullLocator())
    ax.legend()
    return ax


def plot_step_parts(parts_by_peer, ax=None):
    """Draw the time of each part of a training step: one bar per peer, one color per part.

    Parameters
    ----------
    parts_by_peer : dict of str to dict of str to float
        Seconds by peer and part; :data:`PART_STYLES` lists the parts.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> ax = plot_step_parts({"sparse": {"gradients": 0.1, "optimizer": 0.05}, "torch": {"backward": 0.4}})
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['sparse', 'torch']
    """
    ax = axes_or_new(ax, (9, 1.6 + 0.5 * len(parts_by_peer)))
    labels = [label for label in PART_STYLES if any(label in parts for parts in parts_by_peer.values())]
    rows, left = np.arange(len(parts_by_peer)), np.zeros(len(parts_by_peer))
    for label in labels:
        widths = np.array([parts.get(label, 0.0) for parts in parts_by_peer.values()])
        color, hatch = PART_STYLES[label]
        settings = {"color": color or faint(ax), "hatch": hatch, "edgecolor": ax.get_facecolor(), "lw": 0.8}
        ax.barh(rows, widths, 0.7, left, label=label, **settings)
        left += widths
    ax.set_yticks(rows, list(parts_by_peer))
    ax.set(xlabel="time of a training step", xlim=(0, 1.02 * max(left, default=1)))
    ax.xaxis.set_major_formatter(EngFormatter("s"))
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    legend_beside(ax)
    return ax


def _label_few(axis, formatter):
    """Label a logarithmic axis at 1, 2, 5, 10 ..., or only at powers of ten if it spans at least three of them."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,), numticks=12))
    axis.set_major_formatter(formatter)
    axis.set_minor_formatter(NullFormatter())


def _gib(n_bytes):
    return f"{n_bytes / 2**30:g} GiB"


def _benchmark_styles(ax, names):
    """Return the color and marker of each line: blue for this package, always the same for each peer."""
    fixed = {
        "sparse": (blue(ax), "o"),
        "gather": (blue(ax), "o"),
        "dense": (VERMILLION, "s"),
        "scratch": (VERMILLION, "s"),
        "torch": (ORANGE, "^"),
        "scipy": (GREEN, "D"),
        "scipy.sparse": (GREEN, "D"),
        "textbook": (PURPLE, "v"),
    }
    others = iter([(PURPLE, "v"), (gray(ax), "P"), (ORANGE, "^")] * len(names))
    chosen = [fixed.get(name) or next(others) for name in names]
    return [{"color": color, "marker": marker, "ms": 5, "lw": 1.8} for color, marker in chosen]
