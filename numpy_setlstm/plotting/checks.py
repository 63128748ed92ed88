"""Gradient checks: the error of a slope against the step size, and the errors that checks report."""

import math

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from numpy_setlstm.plotting.style import ORANGE, VERMILLION, axes_or_new, blue, gray, ink

COMPRESSED_POWER, COMPRESSION = -20, 40  # below 10^-20, the axis has 40 times as many powers of ten per inch
#: Step size below which the axis is compressed.
COMPRESSED_BELOW = 10.0**COMPRESSED_POWER


def plot_step_sizes(curves, ax=None):
    r"""Draw the error of a measured slope against the step size, which shows the advantage of the complex step.

    On the right the step is too large, and the error decreases with the step (slope 1) or its square (slope 2), as the
    thin lines show. On the left, a difference of two nearly equal numbers has an error of :math:`\varepsilon / s`. A
    complex step takes no difference. Below :data:`COMPRESSED_BELOW` the axis is compressed to fit 300 powers of ten.

    Parameters
    ----------
    curves : dict of str to tuple of ndarray
        From "forward difference", "central difference" and "complex step" to steps and relative errors, as
        :func:`numpy_setlstm.lab.selfcheck.step_size_errors` measures them. Errors of 0 are drawn at the lower edge.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> steps = 10.0 ** -np.arange(1, 16)
    >>> ax = plot_step_sizes({"central difference": (steps, steps**2 + 1e-16 / steps)})
    >>> ax.get_xlabel(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('step size', ['central difference: at best 1e-10'])
    """
    ax = axes_or_new(ax, (7.5, 4.2))
    styles = {  # on the right, the complex step has the error of the central difference: a wide line below a narrow one
        "forward difference": {"color": ORANGE, "marker": "s", "ms": 4, "lw": 1.5, "zorder": 4},
        "central difference": {"color": VERMILLION, "marker": "^", "ms": 4, "lw": 1.5, "zorder": 4},
        "complex step": {"color": blue(ax), "marker": "o", "ms": 5.5, "lw": 3.5, "zorder": 3},
    }
    floor = 1e-17
    ax.set_xscale("function", functions=(_compress, _expand))
    ax.set_yscale("log")
    for label, (steps, errors) in curves.items():
        drawn = np.maximum(errors, floor)
        ax.plot(steps, drawn, label=f"{label}: at best {drawn.min():.0e}", **styles[label])
        first = np.argmax(steps)
        if label == "forward difference":
            _draw_guide(ax, steps[first], 8 * drawn[first], 1, "error ~ step", xytext=(0, 4), ha="right")
        elif label == "central difference":
            _draw_guide(ax, steps[first], drawn[first] / 8, 2, "error ~ step²", xytext=(0, -88), ha="right")
    _label_step_sizes(ax, floor, min(steps.min() for steps, _ in curves.values()))
    return ax


def _draw_guide(ax, step, error, order, name, **place):
    """Draw a thin line of slope `order`, four powers of ten long, that ends in a point, and its name there."""
    steps = step * 10.0 ** np.array([-4 / order, 0])
    ax.plot(steps, error * (steps / step) ** order, color=ink(ax), lw=0.7, zorder=2)
    ax.annotate(name, (step, error), textcoords="offset points", size="small", **place)


def _label_step_sizes(ax, floor, smallest):
    """Draw ticks, labels, legend and annotations of the picture of step sizes."""
    left, eps = min(smallest, COMPRESSED_BELOW), np.finfo(float).eps
    ax.set(xlabel="step size", ylabel="relative error of the slope", xlim=(left, 0.2), ylim=(floor, 30))
    decades = [-1, -5, -10, -15, -20, *range(-100, math.floor(math.log10(left)) - 1, -100)]
    ax.set_xticks([10.0**k for k in decades], [f"$10^{{{k}}}$" for k in decades])
    ax.minorticks_off()
    ax.axhline(eps, color=ink(ax), lw=1, ls=":", zorder=5)
    note = {"textcoords": "offset points", "size": "small", "va": "top"}
    ax.annotate("rounding: 2·10⁻¹⁶", (0.1, eps), (0, -5), ha="right", **note)
    if left < COMPRESSED_BELOW:
        ax.axvspan(left, COMPRESSED_BELOW, color=gray(ax), alpha=0.12, lw=0)
        ax.annotate("axis compressed", (0, 1), (6, -6), xycoords="axes fraction", **note)
    ax.legend(loc="upper left", bbox_to_anchor=(0.01, 0.9))


def _compress(step):
    """Return the place of a step on the axis: its power of ten, compressed below 10⁻²⁰."""
    power = np.log10(np.maximum(step, np.finfo(float).tiny))
    return np.where(power < COMPRESSED_POWER, COMPRESSED_POWER + (power - COMPRESSED_POWER) / COMPRESSION, power)


def _expand(place):
    """Invert `_compress`."""
    below = COMPRESSED_POWER + (place - COMPRESSED_POWER) * COMPRESSION
    return 10.0 ** np.where(place < COMPRESSED_POWER, below, place)


def plot_check_errors(reports, ax=None):
    r"""Draw which gradients are wrong, and how much: a row per report, a column per array.

    Each cell has the error of the array and the number of wrong entries, "all" or "k of n". The more entries are
    wrong, the stronger the color; correct arrays have the color of the background. The cell of an array that a report
    lacks is empty.

    Parameters
    ----------
    reports : dict of str to GradientReport
        From a label to what :func:`numpy_setlstm.gradcheck.check_layer` returns with ``raises=False``.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> from numpy_setlstm.gradcheck import check_gradients
    >>> W = np.array([1.0, 2.0])
    >>> report = check_gradients(lambda p: np.sum(p["W"] ** 2), {"W": W}, {"W": 2 * W * [1, 1.5]}, raises=False)
    >>> plot_check_errors({"a wrong factor": report}).texts[0].get_text()
    '3e-01\n1 of 2'
    """
    names = list(dict.fromkeys(array.name for report in reports.values() for array in report.arrays))
    ax = axes_or_new(ax, (0.95 * len(names) + 3, 0.5 * len(reports) + 0.6))
    shares = np.full((len(reports), len(names)), np.nan)
    for row, report in enumerate(reports.values()):
        for array in report.arrays:
            col, n_wrong = names.index(array.name), int(np.count_nonzero(array.wrong))
            shares[row, col] = n_wrong / array.checked
            many = "all" if n_wrong == array.checked else f"{n_wrong} of {array.checked}"
            words = "correct" if array.ok else f"{array.error:.0e}\n{many}"
            text_color = "black" if n_wrong else ink(ax)
            ax.text(col, row, words, ha="center", va="center", size="small", color=text_color)
    cmap = LinearSegmentedColormap.from_list("wrong", [ax.get_facecolor(), VERMILLION])
    ax.imshow(np.where(shares > 0, 0.3 + 0.5 * shares, shares), cmap=cmap, vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(reports)), reports)
    for row in range(1, len(reports)):
        ax.axhline(row - 0.5, color=ax.get_facecolor(), lw=2)
    for col in range(1, len(names)):
        ax.axvline(col - 0.5, color=ax.get_facecolor(), lw=2)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.grid(False)
    return ax


def plot_precision(verdicts, sizes, errors):
    r"""Draw in which precision a gradient check catches an error of which size: a panel per precision and method.

    Each cell has the color of a verdict: "ok", "WRONG", or anything else, which is drawn as not seen.

    Parameters
    ----------
    verdicts : dict of str to list of list of str
        From the title of a panel to the verdict by error (first) and size of the loss (second).
    sizes : sequence of float
        Of the loss; powers of ten.
    errors : sequence of float
        Of the gradient, as fractions.

    Returns
    -------
    list of matplotlib.axes.Axes

    Examples
    --------
    >>> axes = plot_precision({"float16": [["ok", "not seen"], ["WRONG", "WRONG"]]}, [1e-2, 1], [0, 0.1])
    >>> axes[0].get_title(), [text.get_text() for text in axes[0].get_yticklabels()]
    ('float16', ['right', '10 % off'])
    """
    n_rows = 2 if len(verdicts) > 2 else 1
    n_cols = -(-len(verdicts) // n_rows)
    fig = Figure(figsize=(2.3 * n_cols + 0.6, 1.5 * n_rows + 0.9), layout="constrained")
    axes = list(fig.subplots(n_rows, n_cols, squeeze=False).T.flat)[: len(verdicts)]
    colors = {"ok": blue(axes[0]), "WRONG": VERMILLION, "not seen": gray(axes[0])}
    for ax, (title, rows) in zip(axes, verdicts.items(), strict=True):
        for row, found in enumerate(rows):
            for col, word in enumerate(found):
                color = colors.get(word, colors["not seen"])
                ax.add_patch(Rectangle((col - 0.46, row - 0.42), 0.92, 0.84, color=color, lw=0))
        ax.set(xlim=(-0.6, len(sizes) - 0.4), ylim=(len(errors) - 0.4, -0.6))
        ax.set_title(title, fontsize="small")
        ticks = range(0, len(sizes), max(1, len(sizes) // 2))
        ax.set_xticks(ticks, [f"$10^{{{round(math.log10(sizes[k]))}}}$" for k in ticks])
        ax.set_yticks(range(len(errors)), [f"{100 * error:.3g} % off" if error else "right" for error in errors])
        ax.tick_params(length=0, labelleft=ax.get_subplotspec().is_first_col(), labelsize="small")
        ax.grid(False)
    handles = [Rectangle((0, 0), 1, 1, color=color, label=word) for word, color in colors.items()]
    fig.legend(handles=handles, loc="outside upper center", ncols=3, fontsize="small")
    fig.supxlabel("size of the loss", fontsize="small")
    return axes
