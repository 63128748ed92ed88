"""The evolution of a matrix as an animation."""

import math

import numpy as np
from matplotlib import rc_context
from matplotlib.animation import FuncAnimation
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.measures.evolution import births, surviving_fraction
from numpy_setlstm.plotting.connectivity import MAX_DOTS, dot_diameter, dot_key, draw_dots
from numpy_setlstm.plotting.evolution import label_survival
from numpy_setlstm.plotting.style import GATE_NAMES, ORANGE, PURPLE, blue, dashes, faint, ink, line_colors

FRAME_STYLE = {  # everything in a frame is placed in pixels, so the text must have a fixed size
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.labelsize": 10,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.fontsize": 10,
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
}


def animate_evolution(topology, steps, *, null_steps=None, max_frames=40, interval=500):
    """Animate the evolution of an LSTM's matrix, one square of unit-to-unit connections per gate.

    Parameters
    ----------
    topology : Topology of shape (n, 4H)
        Before the first step; at most 20,000 connections.
    steps : sequence of SetStep
        The SET steps of training, for example ``[steps["W_h"] for steps in history["set_steps"]]``.
    null_steps : sequence of SetStep, optional
        As many steps of a null model, from the same start without training, drawn beside it.
    max_frames : int, default 40
        With more steps, frames are omitted evenly, but never the first or the last.
    interval : float, default 500
        Milliseconds per frame.

    Returns
    -------
    matplotlib.animation.FuncAnimation
        For :func:`save_animation` or :func:`animation_page`. "In this step" is the last SET step before the frame.

    Raises
    ------
    ValueError
        If the number of columns is not divisible by four, there are no steps, the null model has another number of
        steps, or there are more than 20,000 connections.

    Examples
    --------
    >>> from numpy_setlstm.topology import erdos_renyi, set_step
    >>> rng = np.random.default_rng(0)
    >>> W = erdos_renyi((16, 64), rng, density=0.1)
    >>> new, step = set_step(W, 0.3, rng)
    >>> animate_evolution(W.topology, [step]).to_jshtml().count("data:image/png")
    2
    """
    figure, draw_frame = _prepare_frames(topology, steps, null_steps)
    n_frames = min(len(steps) + 1, max_frames)
    frames = np.linspace(0, len(steps), n_frames).round().astype(int).tolist()
    return FuncAnimation(figure, draw_frame, frames, interval=interval, cache_frame_data=False)


def plot_evolution_frame(topology, steps, k, *, null_steps=None):
    """Draw a single frame of the animation, for example for print.

    Parameters
    ----------
    topology, steps
        See :func:`animate_evolution`.
    k : int
        Number of steps before the frame, from 0 to all of them.
    null_steps : sequence of SetStep, optional
        See :func:`animate_evolution`.

    Returns
    -------
    ndarray of shape (n,) of matplotlib.axes.Axes
        Those of the matrices and, last, those of the survival.

    Raises
    ------
    ValueError
        If `k` is out of range, and as :func:`animate_evolution`.

    Examples
    --------
    >>> from numpy_setlstm.topology import erdos_renyi, set_step
    >>> rng = np.random.default_rng(0)
    >>> W = erdos_renyi((16, 64), rng, density=0.1)
    >>> new, step = set_step(W, 0.3, rng)
    >>> plot_evolution_frame(W.topology, [step], 1)[0].figure.texts[0].get_text()
    'after 1 of 1 SET steps'
    """
    if not 0 <= k <= len(steps):
        raise ValueError(f"k is {k}; expected a number of steps from 0 to {len(steps)}")
    figure, draw_frame = _prepare_frames(topology, steps, null_steps)
    draw_frame(k)
    return np.array(figure.axes)


def _prepare_frames(topology, steps, null_steps):
    """Return the figure of the animation, and the function that draws the frame after k steps."""
    _check_steps(topology, steps, null_steps)
    evolutions = {"with training": steps}
    if null_steps is not None:
        evolutions["null model: without training"] = null_steps
    with rc_context(FRAME_STYLE):
        figure, title, matrix_axes, survival_ax = _make_figure(topology.shape, len(evolutions))
        panels = [_survival_panel(survival_ax, topology, evolutions)]
        for ax, (label, its_steps) in zip(matrix_axes, evolutions.items(), strict=True):
            panels.append(_matrix_panel(ax, label, topology, its_steps))

    def draw_frame(k):
        title.set_text(f"after {k} of {len(steps)} SET steps" if k else "the random graph at the start")
        return [title, *(artist for draw_panel in panels for artist in draw_panel(k))]

    return figure, draw_frame


def _check_steps(topology, steps, null_steps):
    if topology.shape[1] % 4:
        raise ValueError(f"the matrix has shape {topology.shape}; expected (n, 4H), such as (128, 512)")
    if len(topology.rows) > MAX_DOTS:
        raise ValueError(f"there are {len(topology.rows)} connections; at most {MAX_DOTS} can be drawn as dots")
    if not len(steps):
        raise ValueError("there are no SET steps; expected at least one")
    if null_steps is not None and len(null_steps) != len(steps):
        raise ValueError(f"the null model has {len(null_steps)} steps; expected {len(steps)}, as in training")


def _make_figure(shape, n_matrices):
    """Return the figure with its title, the axes of the matrices side by side and, below, those of the survival.

    Everything is placed in pixels, and a cell is a whole number of them, so all dots look alike.
    """
    n, H, scale, gap = _square_layout(shape)
    wide, tall = scale * (2 * H + gap), scale * 2 * (n + gap)
    margin, between, top, bottom = 20, 40, 122 if n_matrices > 1 else 146, 165
    width, height = 2 * margin + n_matrices * wide + (n_matrices - 1) * between, top + tall + bottom
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)

    def add_axes(x, y, its_width, its_height):
        return figure.add_axes((x / width, y / height, its_width / width, its_height / height))

    title = figure.text(margin / width, 1 - 14 / height, "", va="top", size=15, weight="bold")
    about_axes = "each square: rows from a unit, columns to a unit"
    figure.text((margin - 1) / width, 1 - (top - 42) / height, about_axes, va="top")
    matrix_axes = [add_axes(margin + k * (wide + between), bottom, wide, tall) for k in range(n_matrices)]
    survival_ax = add_axes(margin + 50, 48, width - 2 * margin - 50, 80)
    keys = [dot_key(label, color) for label, (color, _) in reversed(_dot_styles(survival_ax).items())]
    place = {"loc": "upper left", "bbox_to_anchor": (6 / width, 1 - 42 / height)}
    spacing = {"handletextpad": 0.1, "columnspacing": 1.5}
    figure.legend(handles=keys, ncols=2 * n_matrices, frameon=False, **spacing, **place)
    return figure, title, matrix_axes, survival_ax


def _square_layout(shape):
    """Return rows and columns of a square, pixels per cell, and cells between two squares, enough for a name."""
    n, H = shape[0], shape[1] // 4
    scale = max(1, round(250 / max(n, H)))
    return n, H, scale, math.ceil(24 / scale)


def _dot_styles(ax):
    """Return color and relative size of the dots: what persists is bold, what comes and goes is faint."""
    return {
        "pruned in this step": (faint(ax), 0.8),
        "grown in this step": (PURPLE, 0.8),
        "grown earlier, still there": (ORANGE, 1.1),
        "initial, still there": (blue(ax), 1.1),
    }


def _matrix_panel(ax, label, topology, steps):
    """Prepare the four squares of a matrix; return the function that draws them after k steps."""
    n, H, scale, gap = _square_layout(topology.shape)
    left, top = np.array([0, 1, 0, 1]) * (H + gap), np.array([0, 0, 1, 1]) * (n + gap)  # of each gate
    ax.set(xlim=(-0.5, 2 * H + gap - 0.5), ylim=(2 * n + gap - 0.5, -gap - 0.5))
    ax.set_title(label, weight="bold")
    ax.set_axis_off()
    frame = {"facecolor": ax.get_facecolor(), "edgecolor": ink(ax), "lw": 0.8}
    for x, y, gate in zip(left - 0.5, top - 0.5, GATES, strict=True):
        ax.add_patch(Rectangle((x, y), H, n, clip_on=False, **frame))
        ax.text(x, y - 2 / scale, GATE_NAMES[gate], va="bottom")
    diameter = dot_diameter(topology, GATES)
    dots = [draw_dots(ax, [], [], color, size * diameter) for color, size in _dot_styles(ax).values()]
    for its_dots in dots:
        its_dots.set_clip_on(False)  # dots in the outermost rows are as round as the others
    history = list(births(topology, steps))

    def draw_after(k):
        (before, _), (now, born) = history[max(k - 1, 0)], history[k]
        pruned = np.setdiff1d(before.keys, now.keys, assume_unique=True)
        older, just = (born > 0) & (born < k), (born > 0) & (born == k)
        groups = pruned, now.keys[just], now.keys[older], now.keys[born == 0]
        for its_dots, keys in zip(dots, groups, strict=True):
            rows, cols = np.divmod(keys, topology.shape[1])
            its_dots.set_offsets(np.column_stack([cols % H + left[cols // H], rows + top[cols // H]]))
        return dots

    return draw_after


def _survival_panel(ax, topology, evolutions):
    """Prepare the curves of survival; return the function that draws them up to step k."""
    curves = {}
    for color, (label, steps) in zip(line_colors(ax, evolutions), evolutions.items(), strict=True):
        fractions = surviving_fraction(topology, steps)
        ax.plot(fractions, dashes(label), color=color, lw=1, alpha=0.4)
        curves[label] = fractions, ax.plot([], [], dashes(label), color=color, lw=2, marker="o", ms=6)[0]
    label_survival(ax)
    lines = [line for _, line in curves.values()]
    place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0.2}  # beside the title, off the curves
    texts = ax.legend(lines, list(curves), ncols=len(curves), frameon=False, **place).get_texts()

    def draw_until(k):
        for (label, (fractions, line)), text in zip(curves.items(), texts, strict=True):
            line.set(data=(np.arange(k + 1), fractions[: k + 1]), markevery=[k])
            text.set_text(f"{label}: {100 * fractions[k]:.0f} %")
        return [*lines, *texts]

    return draw_until
