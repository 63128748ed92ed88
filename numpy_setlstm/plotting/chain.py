"""A recurrent network as it is built, and unrolled over the words of a sentence."""

from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

from numpy_setlstm.plotting.style import VERMILLION, axes_or_new, blue, ink

CELL, STEP = 1.3, 2.6  # width of a cell, and from one cell to the next
MOST_WORDS = 12


def plot_unrolled(words, ax=None, *, memory=False, backward=False):
    """Draw a recurrent network twice: as one cell with a loop, and as a chain with a copy of the cell for each word.

    Parameters
    ----------
    words : sequence of str
        From 1 to 12 words.
    ax : matplotlib.axes.Axes, optional
    memory : bool, default False
        Whether the cell also hands on a memory c, as an LSTM does.
    backward : bool, default False
        Whether to draw the way of the gradients, from the loss back to the first word, in place of the loop.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there is no word, or there are more than 12.

    Examples
    --------
    >>> ax = plot_unrolled(["not", "good"])
    >>> [text.get_text() for text in ax.texts if text.get_gid() == "word"]
    ['not', 'good']
    """
    words = list(words)
    if not 1 <= len(words) <= MOST_WORDS:
        raise ValueError(f"there are {len(words)} words; expected from 1 to {MOST_WORDS}, so that they can be read")
    left = 0.0 if backward else 4.4
    right = left + STEP * (len(words) - 1) + (CELL if backward else STEP)
    ax = axes_or_new(ax, (9, 9 * 5.6 / max(right + 1, 11)))
    if not backward:
        _cell(ax, 0, "$x_t$", "$h_t$", backward)
        _loop(ax, "$c_{t-1}$\n$h_{t-1}$" if memory else "$h_{t-1}$")
        ax.text(2.95, 0, "=", ha="center", va="center", size=20, color=ink(ax))
    lines = (("c", 0.35), ("h", -0.35)) if memory else (("h", 0.0),)
    for t, word in enumerate(words):
        x = left + STEP * t
        last = t == len(words) - 1
        _cell(ax, x, f"$x_{{{t + 1}}}$", f"$h_{{{t + 1}}}$", backward, used=last or not backward)
        ax.text(x, -2.25, word, ha="center", va="top", size=12, weight="bold", color=ink(ax), gid="word")
        for name, y in lines:
            ends = (x + CELL / 2, y), (x + STEP - CELL / 2, y)
            gradient = f"$d{name}_{{{t + 1}}}$"
            text = gradient if backward else f"${name}_{{{t + 1}}}$"
            if not (last and backward):
                _arrow(ax, *ends, backward)
                above = 0.12 if y >= 0 else -0.12
                place = {"ha": "center", "va": "bottom" if above > 0 else "top"}
                ax.text(x + STEP / 2, y + above, text, size=10, color=ink(ax), **place)
    if backward:
        ax.text(x, 2.1, "loss", ha="center", va="bottom", size=12, weight="bold", color=VERMILLION)
    ax.set(xlim=(-1.2, right), ylim=(-2.8, 2.7))
    ax.set_axis_off()
    return ax


def _cell(ax, x, below, above, backward, *, used=True):
    """A cell at `x`, with its input below and its output above, which the loss may have `used`."""
    box = {"boxstyle": "round,pad=0.5", "fc": ax.get_facecolor(), "ec": blue(ax), "lw": 2}
    ax.text(x, 0, " cell ", ha="center", va="center", size=12, color=ink(ax), bbox=box)
    small = {"ha": "center", "size": 12, "color": ink(ax)}
    ax.text(x, -1.75, below, va="center", **small)
    _arrow(ax, (x, -1.45), (x, -0.55), backward)
    if used:
        ax.text(x, 1.75, above, va="center", **small)
        _arrow(ax, (x, 0.55), (x, 1.45), backward)


def _arrow(ax, start, end, backward):
    """A straight arrow; in the backward pass from its end to its start, red."""
    style = {"arrowstyle": "-|>", "mutation_scale": 13, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    start, end = (end, start) if backward else (start, end)
    ax.add_patch(FancyArrowPatch(start, end, color=VERMILLION if backward else ink(ax), **style))


def _loop(ax, text):
    """From a cell at 0 back to itself."""
    edge, far = CELL / 2, CELL / 2 + 0.9
    path = Path([(edge, 0.25), (far, 0.25), (far, -0.25), (edge, -0.25)])
    ax.add_patch(FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=13, lw=1.4, color=blue(ax)))
    ax.text(far + 0.1, 0.0, text, ha="left", va="center", size=10, color=ink(ax))
