"""The gates of an LSTM along a sentence: one column per word, one row per unit."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from numpy_setlstm.plotting.style import GATE_NAMES, VERMILLION, axes_or_new, blue, ink

STATE_NAMES = {**GATE_NAMES, "c": "memory c", "h": "hidden state h"}
MAX_NUMBERS = 250  # with more cells, numbers are omitted by default
GAP = 0.35  # between two blocks, in rows


def plot_gates(words, states, ax=None, *, units=None, numbers=None):
    r"""Draw gates, memory and hidden state of an LSTM along the words of a sentence.

    All blocks share one color scale: the background is 0 (a closed gate), blue is 1 (an open gate), orange-red is -1.
    A block whose largest magnitude exceeds 1, such as the memory, is divided by it for the colors, and its name has the
    divisor; the numbers are the original ones.

    Parameters
    ----------
    words : sequence of T str
    states : dict of str to ndarray of shape (T, H)
        Blocks of rows from top to bottom: any of "i", "f", "o", "g", "c" and "h", as
        :func:`numpy_setlstm.layers.trace.trace_states` returns them for each text.
    ax : matplotlib.axes.Axes, optional
    units : sequence of H str, optional
        Names of the units, written on the right.
    numbers : bool, optional
        Whether to write the numbers too; by default if there are at most 250.

    Returns
    -------
    matplotlib.axes.Axes
        With one image per block.

    Raises
    ------
    ValueError
        If a block does not have one row per word, or the blocks differ in shape.

    Examples
    --------
    >>> states = {"f": np.array([[0.9], [0.1]]), "c": np.array([[1.0], [-3.0]])}
    >>> ax = plot_gates(["good", "bad"], states)
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['forget gate f', 'memory c\n(colors ÷ 3)']
    """
    H = _check_states(words, states)
    height = len(states) * (H + GAP)
    ax = axes_or_new(ax, (9, 1.1 + 0.24 * height))
    cmap = LinearSegmentedColormap.from_list("gates", [VERMILLION, ax.get_facecolor(), blue(ax)])
    numbers = len(words) * H * len(states) <= MAX_NUMBERS if numbers is None else numbers
    names, tops = [], np.arange(len(states)) * (H + GAP)
    for top, (name, values) in zip(tops, states.items(), strict=True):
        size = max(1.0, float(np.nanmax(np.abs(values), initial=0)))
        names.append(STATE_NAMES.get(name, name) + (f"\n(colors ÷ {size:.3g})" if size > 1 else ""))
        extent = (-0.5, len(words) - 0.5, top + H - 0.5, top - 0.5)
        image = ax.imshow(values.T / size, cmap=cmap, vmin=-1, vmax=1, extent=extent, aspect="auto")
        if numbers:
            _write_numbers(ax, values.T, image, top)
    ax.set(xlim=(-0.5, len(words) - 0.5), ylim=(tops[-1] + H - 0.5, -0.5))
    ax.set_yticks(tops + (H - 1) / 2, names)
    ax.xaxis.tick_top()
    long = max(map(len, words)) * len(words) > 75
    ax.set_xticks(range(len(words)), words, rotation=60 if long else 0, ha="left" if long else "center")
    _draw_frames(ax, image, tops, units)
    return ax


def _check_states(words, states):
    """Return H; raise unless all blocks have the shape (T, H)."""
    shapes = {name: np.shape(values) for name, values in states.items()}
    if not shapes or len(set(shapes.values())) > 1 or len(next(iter(shapes.values()))) != 2:
        raise ValueError(f"the blocks have the shapes {shapes}; expected (T, H) for all, such as states['f'][0]")
    T, H = next(iter(shapes.values()))
    if len(words) != T:
        raise ValueError(f"there are {len(words)} words and {T} steps; expected one word per step")
    return H


def _write_numbers(ax, values, image, top):
    """Write each value into its cell, black on light and white on dark colors."""
    for (row, col), value in np.ndenumerate(values):
        if np.isfinite(value):
            red, green, blue_, _ = image.cmap(image.norm(image.get_array()[row, col]))
            text_color = "black" if 0.299 * red + 0.587 * green + 0.114 * blue_ > 0.5 else "white"
            text = f"{value:.2f}".replace("-0.00", "0.00").replace("-", "\N{MINUS SIGN}")
            ax.text(col, top + row, text, ha="center", va="center", size=8, color=text_color)


def _draw_frames(ax, image, tops, units):
    """Draw frames of the blocks, names of the units, and a color bar."""
    ax.grid(False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    H, T = image.get_array().shape
    for top in tops:
        x, y = (-0.5, T - 0.5, T - 0.5, -0.5, -0.5), (top - 0.5, top - 0.5, top + H - 0.5, top + H - 0.5, top - 0.5)
        ax.plot(x, y, color=ink(ax), lw=0.6, clip_on=False)
    if units is not None:
        right = ax.secondary_yaxis("right")
        right.set_yticks((tops[:, None] + np.arange(H)).ravel(), list(units) * len(tops), size="small")
        right.tick_params(length=0)
        right.spines[:].set_visible(False)
    bar = ax.figure.colorbar(image, ax=ax, aspect=30, fraction=0.03, pad=0.02)
    bar.set_ticks([-1, 0, 1], labels=["\N{MINUS SIGN}1", "0: gate\nclosed", "1: gate\nopen"])
    bar.outline.set_linewidth(0.6)
