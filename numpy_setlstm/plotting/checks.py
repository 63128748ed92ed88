"""Why the complex step is the better ruler: the error of a slope against the size of the step."""

import math

import numpy as np
from matplotlib.figure import Figure

from numpy_setlstm.plotting.style import ORANGE, VERMILLION, blue, gray

COMPRESSED_POWER, COMPRESSION = -20, 40  # below this power of ten, an axis of steps has 40 times as many per inch
#: Step sizes below this stand closer together on the axis.
COMPRESSED_BELOW = 10.0**COMPRESSED_POWER


def plot_step_sizes(curves, ax=None):
    r"""Draw how wrong a measured slope is, against the size of the step: why the complex step is the better ruler.

    Parameters
    ----------
    curves : dict of str to tuple of ndarray
        From "forward difference", "central difference", "complex step" to steps and relative errors, as
        :func:`numpy_setlstm.lab.selfcheck.step_size_errors` measures them. Errors of 0 are drawn at the lower edge.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    To the right the step is too large, and the error falls with the step (slope 1) or with its square (slope 2): the
    thin lines. To the left a difference of two nearly equal numbers keeps only :math:`\varepsilon / s` of its
    digits. A complex step takes no difference. Left of :data:`COMPRESSED_BELOW` the axis is compressed, so that 300
    powers of ten have room.

    Examples
    --------
    >>> steps = 10.0 ** -np.arange(1, 16)
    >>> ax = plot_step_sizes({"central difference": (steps, steps**2 + 1e-16 / steps)})
    >>> ax.get_xlabel(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('step size', ['central difference: at best 1e-10'])
    """
    if ax is None:
        ax = Figure(figsize=(7.5, 4.2), layout="constrained").subplots()
    styles = {  # the complex step's error is at first that of the central difference: a wide line below a narrow one
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
    """Thin line of slope `order` that ends in a point, four powers of ten long, with its name near that point."""
    steps = step * 10.0 ** np.array([-4 / order, 0])
    ax.plot(steps, error * (steps / step) ** order, color=ax.xaxis.label.get_color(), lw=0.7, zorder=2)
    ax.annotate(name, (step, error), textcoords="offset points", size="small", **place)


def _label_step_sizes(ax, floor, smallest):
    """Ticks, names and legend of the picture of step sizes; words of their own for what the lines mean."""
    left, eps = min(smallest, COMPRESSED_BELOW), np.finfo(float).eps
    ax.set(xlabel="step size", ylabel="relative error of the slope", xlim=(left, 0.2), ylim=(floor, 30))
    decades = [-1, -5, -10, -15, -20, *range(-100, math.floor(math.log10(left)) - 1, -100)]
    ax.set_xticks([10.0**k for k in decades], [f"$10^{{{k}}}$" for k in decades])
    ax.minorticks_off()
    ax.axhline(eps, color=ax.xaxis.label.get_color(), lw=1, ls=":", zorder=5)
    note = {"textcoords": "offset points", "size": "small", "va": "top"}
    ax.annotate("rounding: 2·10⁻¹⁶", (0.1, eps), (0, -5), ha="right", **note)
    if left < COMPRESSED_BELOW:
        ax.axvspan(left, COMPRESSED_BELOW, color=gray(ax), alpha=0.12, lw=0)
        ax.annotate("axis compressed", (0, 1), (6, -6), xycoords="axes fraction", **note)
    ax.legend(loc="upper left", bbox_to_anchor=(0.01, 0.9))


def _compress(step):
    """Place of a step on the axis: its power of ten, of which there are fewer per inch below 10⁻²⁰."""
    power = np.log10(np.maximum(step, np.finfo(float).tiny))
    return np.where(power < COMPRESSED_POWER, COMPRESSED_POWER + (power - COMPRESSED_POWER) / COMPRESSION, power)


def _expand(place):
    """Undo :func:`_compress`."""
    below = COMPRESSED_POWER + (place - COMPRESSED_POWER) * COMPRESSION
    return 10.0 ** np.where(place < COMPRESSED_POWER, below, place)
