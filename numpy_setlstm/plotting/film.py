"""The evolution of a matrix as a film."""

import base64
import io
import math
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.animation import AbstractMovieWriter, FuncAnimation
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.measures.evolution import births, surviving_fraction
from numpy_setlstm.plotting.connectivity import MAX_DOTS, dot_diameter, dot_key, draw_dots
from numpy_setlstm.plotting.evolution import label_survival
from numpy_setlstm.plotting.style import GATE_NAMES, ORANGE, PURPLE, blue, dashes, faint, line_colors

#: Colours of a GIF: as many as its pictures need, so that the file stays small.
GIF_COLORS = 64
EMBEDDED_PNG = re.compile(r"(?<=data:image/png;base64,)[A-Za-z0-9+/=\\\n]+")  # as to_jshtml writes it, over many lines
BUTTON_SIGNS = {  # for the icons of to_jshtml, whose font would have to be fetched from the web
    "minus": "−",
    "fast-backward": "|◀◀",
    "step-backward": "|◀",
    "play fa-flip-horizontal": "◀",
    "pause": "❚❚",
    "play": "▶",
    "step-forward": "▶|",
    "fast-forward": "▶▶|",
    "plus": "+",
}
FILM_STYLE = {  # everything in a film has its place in pixels, so its letters have a size of their own
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
    """Film how the connections of an LSTM's matrix evolve, one square of unit-to-unit connections per gate.

    Parameters
    ----------
    topology : Topology of shape (n, 4H)
        Before the first step; at most 20,000 connections.
    steps : sequence of SetStep
        The SET steps of training, ``[steps["W_h"] for steps in history["set_steps"]]`` for instance.
    null_steps : sequence of SetStep, optional
        As many steps of the null model, from the same start but without training, to be shown beside it.
    max_frames : int, default 40
        With more steps than that, frames are left out evenly, never the first or the last.
    interval : float, default 500
        Milliseconds per frame.

    Returns
    -------
    matplotlib.animation.FuncAnimation
        For :func:`save_animation` or :func:`animation_page`. "In this step" is the last SET step before the frame.

    Raises
    ------
    ValueError
        If the columns are not divisible by four, there is no step, the null model has another number of
        steps, or there are too many connections for dots.

    Examples
    --------
    >>> from numpy_setlstm.topology import erdos_renyi, set_step
    >>> rng = np.random.default_rng(0)
    >>> W = erdos_renyi((16, 64), rng, density=0.1)
    >>> new, step = set_step(W, 0.3, rng)
    >>> page = animation_page(animate_evolution(W.topology, [step]))
    """
    figure, draw_frame = _film(topology, steps, null_steps)
    n_frames = min(len(steps) + 1, max_frames)
    frames = np.linspace(0, len(steps), n_frames).round().astype(int).tolist()
    return FuncAnimation(figure, draw_frame, frames, interval=interval, cache_frame_data=False)


def plot_evolution_frame(topology, steps, k, *, null_steps=None):
    """Draw one picture of the film: what stands still for those who cannot play it, in print for instance.

    Parameters
    ----------
    topology, steps
        See :func:`animate_evolution`.
    k : int
        After how many of the steps, from 0 to all of them.
    null_steps : sequence of SetStep, optional
        See :func:`animate_evolution`.

    Returns
    -------
    ndarray of shape (n,) of matplotlib.axes.Axes
        Those of the matrices and, last, those of the survival.

    Raises
    ------
    ValueError
        If there are not that many steps, and as :func:`animate_evolution`.

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
    figure, draw_frame = _film(topology, steps, null_steps)
    draw_frame(k)
    return np.array(figure.axes)


def _film(topology, steps, null_steps):
    """The figure of a film, and the function that draws it after k steps."""
    _check_film(topology, steps, null_steps)
    evolutions = {"with training": steps}
    if null_steps is not None:
        evolutions["null model: without training"] = null_steps
    with rc_context(FILM_STYLE):
        figure, title, matrix_axes, survival_ax = _film_figure(topology.shape, len(evolutions))
        scenes = [_survival_scene(survival_ax, topology, evolutions)]
        for ax, (label, its_steps) in zip(matrix_axes, evolutions.items(), strict=True):
            scenes.append(_matrix_scene(ax, label, topology, its_steps))

    def draw_frame(k):
        title.set_text(f"after {k} of {len(steps)} SET steps" if k else "the random graph at the start")
        return [title, *(artist for draw_scene in scenes for artist in draw_scene(k))]

    return figure, draw_frame


def _check_film(topology, steps, null_steps):
    if topology.shape[1] % 4:
        raise ValueError(f"the matrix has shape {topology.shape}; expected (n, 4H), such as (128, 512)")
    if len(topology.rows) > MAX_DOTS:
        raise ValueError(f"{len(topology.rows)} connections are too many for dots, at most {MAX_DOTS}")
    if not len(steps):
        raise ValueError("there is no SET step to show")
    if null_steps is not None and len(null_steps) != len(steps):
        raise ValueError(f"the null model has {len(null_steps)} steps; expected {len(steps)}, as in training")


def _film_figure(shape, n_matrices):
    """Figure with its title, the axes of the matrices side by side and, beneath, those of the survival.

    All of it in pixels, and a cell is a whole number of them: so all dots look alike.
    """
    n, H, scale, gap = _film_grid(shape)
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
    keys = [dot_key(label, color) for label, (color, _) in reversed(_film_dots(survival_ax).items())]
    place = {"loc": "upper left", "bbox_to_anchor": (6 / width, 1 - 42 / height)}
    spacing = {"handletextpad": 0.1, "columnspacing": 1.5}
    figure.legend(handles=keys, ncols=2 * n_matrices, frameon=False, **spacing, **place)
    return figure, title, matrix_axes, survival_ax


def _film_grid(shape):
    """Rows and columns of one square, pixels per cell, and cells between two squares, enough for a name."""
    n, H = shape[0], shape[1] // 4
    scale = max(1, round(250 / max(n, H)))
    return n, H, scale, math.ceil(24 / scale)


def _film_dots(ax):
    """Colour and relative size of the dots: what lasts is bold, what comes and goes is faint."""
    return {
        "pruned in this step": (faint(ax), 0.8),
        "grown in this step": (PURPLE, 0.8),
        "grown earlier, still there": (ORANGE, 1.1),
        "initial, still there": (blue(ax), 1.1),
    }


def _matrix_scene(ax, label, topology, steps):
    """Prepare the four squares of a matrix; return the function that draws them after k steps."""
    n, H, scale, gap = _film_grid(topology.shape)
    left, top = np.array([0, 1, 0, 1]) * (H + gap), np.array([0, 0, 1, 1]) * (n + gap)  # of each gate
    ax.set(xlim=(-0.5, 2 * H + gap - 0.5), ylim=(2 * n + gap - 0.5, -gap - 0.5))
    ax.set_title(label, weight="bold")
    ax.set_axis_off()
    frame = {"facecolor": ax.get_facecolor(), "edgecolor": ax.xaxis.label.get_color(), "lw": 0.8}
    for x, y, gate in zip(left - 0.5, top - 0.5, GATES, strict=True):
        ax.add_patch(Rectangle((x, y), H, n, clip_on=False, **frame))
        ax.text(x, y - 2 / scale, GATE_NAMES[gate], va="bottom")
    diameter = dot_diameter(topology, GATES)
    dots = [draw_dots(ax, [], [], color, size * diameter) for color, size in _film_dots(ax).values()]
    for its_dots in dots:
        its_dots.set_clip_on(False)  # so that dots in the outermost rows are as round as the others
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


def _survival_scene(ax, topology, evolutions):
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


class _GifWriter(AbstractMovieWriter):
    """Writes a GIF with one palette for all frames, which keeps it small, and a rest on the last frame."""

    def setup(self, fig, outfile, dpi=None):
        super().setup(fig, outfile, dpi)
        self.frames = []

    def grab_frame(self, **savefig_kwargs):
        buffer = io.BytesIO()
        self.fig.savefig(buffer, format="rgba", dpi=self.dpi, **savefig_kwargs)
        width, height = self.frame_size
        self.frames.append(np.frombuffer(buffer.getbuffer(), np.uint8).reshape(height, width, 4)[..., :3])

    def finish(self):
        first, *others = _with_one_palette(self.frames)
        durations = [round(1000 / self.fps)] * len(others) + [2000]
        first.save(self.outfile, "GIF", save_all=True, append_images=others, duration=durations, loop=0)


def _with_one_palette(frames):
    """Turn uint8 frames of shape (height, width, 3) into images with a palette of the commonest colours."""
    packed = [frame.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32) for frame in frames]
    counts = Counter()  # from a colour, packed into one number, to its number of pixels
    for colors in packed:
        shades, numbers = np.unique(colors, return_counts=True)
        counts.update(dict(zip(shades.tolist(), numbers.tolist(), strict=True)))
    shades = np.array(sorted(counts))
    levels = np.stack([shades >> 16, shades >> 8 & 255, shades & 255], axis=-1)  # (n_shades, 3)
    palette = levels[np.argsort([-counts[shade] for shade in shades.tolist()], kind="stable")[:GIF_COLORS]]
    nearest = ((levels[:, None] - palette) ** 2).sum(axis=-1).argmin(axis=-1).astype(np.uint8)
    images = [Image.fromarray(nearest[np.searchsorted(shades, colors)]) for colors in packed]
    for image in images:
        image.putpalette(palette.astype(np.uint8).tobytes())
    return images


def save_animation(animation, path, fps=2):
    """Save an animation as a GIF; the file appears only when it is complete.

    Parameters
    ----------
    animation : matplotlib.animation.FuncAnimation
    path : str or os.PathLike
        Ends in .gif; a file that exists is replaced.
    fps : float, default 2
        Frames per second; the last frame stays for two seconds.

    Raises
    ------
    ValueError
        If the path does not end in .gif or `fps` is not positive.

    Examples
    --------
    >>> import tempfile
    >>> from numpy_setlstm.topology import erdos_renyi, set_step
    >>> W = erdos_renyi((16, 64), np.random.default_rng(0), density=0.1)
    >>> new, step = set_step(W, 0.3, np.random.default_rng(1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_animation(animate_evolution(W.topology, [step]), Path(folder) / "evolution.gif")
    ...     [path.name for path in Path(folder).iterdir()]
    ['evolution.gif']
    """
    path = Path(path)
    if path.suffix.lower() != ".gif" or not fps > 0:
        raise ValueError(f"path is {str(path)!r} and fps {fps}; expected a name in .gif and a number above 0")
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        animation.save(unfinished, writer=_GifWriter(fps=fps), dpi="figure")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def animation_page(animation, fps=2):
    """An animation as HTML with controls, for a notebook: matplotlib's own, with pictures a fifth as large.

    Parameters
    ----------
    animation : matplotlib.animation.FuncAnimation
    fps : float, default 2
        Frames per second, at first.

    Returns
    -------
    str
        To be shown by ``IPython.display.HTML``. It plays once and rests on the last frame.

    Raises
    ------
    ValueError
        If `fps` is not positive.

    Notes
    -----
    ``to_jshtml`` stores every frame in full colour. These pictures have a few flat colours, so that a palette does, as
    in a GIF, and a film of 40 frames can stand in a notebook. And its buttons need a font from the web; here they have
    signs that every font has, and the page is whole without a network.

    Examples
    --------
    >>> from numpy_setlstm.topology import erdos_renyi, set_step
    >>> W = erdos_renyi((16, 64), np.random.default_rng(0), density=0.1)
    >>> new, step = set_step(W, 0.3, np.random.default_rng(1))
    >>> "https://" in animation_page(animate_evolution(W.topology, [step]))  # it needs nothing from elsewhere
    False
    """
    if not fps > 0:
        raise ValueError(f"fps is {fps}; expected a number above 0")
    page = animation.to_jshtml(fps=fps, default_mode="once")
    page = re.sub(r"<link[^>]*font-awesome[^>]*>", "", page)
    page = re.sub(r'<i class="fa fa-([^"]+)"></i>', lambda icon: BUTTON_SIGNS[icon[1]], page)
    pictures = [base64.b64decode(data.replace("\\\n", "")) for data in EMBEDDED_PNG.findall(page)]
    frames = [np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")) for picture in pictures]
    smaller = iter(_with_one_palette(frames))
    return EMBEDDED_PNG.sub(lambda match: _png_base64(next(smaller)), page)


def _png_base64(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
