r"""Every picture of the package: learning curves, connections before and after, evolution as a film.

The functions draw into the axes that they are given, or into a figure of their own, and return the axes; the
figure is ``ax.figure``. Such a figure does not belong to pyplot, so none stays open: in a notebook, end the
cell with ``.figure``; in a script, save with ``ax.figure.savefig``. Background, fonts and grids are those of
the matplotlib style in force. The colours are from M. Okabe and K. Ito (2008), "Color Universal Design":
people with any colour vision tell them apart. Blue is what was there from the start, orange what has grown,
grey what is gone.

What evolves by chance alone looks busy too. So the pictures of an evolution take the null model beside it:
the same matrix, pruned and regrown as often, without any training
(:func:`~numpy_setlstm.topology.null_evolution`).
"""

import io
import math
import os
from collections import Counter
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.animation import AbstractMovieWriter, FuncAnimation
from matplotlib.collections import EllipseCollection
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter
from matplotlib.transforms import offset_copy
from PIL import Image

from numpy_setlstm.benchmark.sweeps import crossing, exponent
from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.topology import connection_counts, dispersion

GATE_NAMES = {"i": "input gate i", "f": "forget gate f", "o": "output gate o", "g": "candidate g"}
ORANGE, SKY_BLUE, GREEN = "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
PART_STYLES = {  # colour and hatching: what goes forward is blue, what goes back orange; None: the style's grey
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
MAX_DOTS = 20_000  # more connections than that are counted into an image instead
MAX_BINS = (128, 256)  # rows and columns of that image
GIF_COLORS = 64
COMPRESSED_POWER, COMPRESSION = -20, 40  # below this power of ten, an axis of steps has 40 times as many per inch
COMPRESSED_BELOW = 10.0**COMPRESSED_POWER
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


def plot_learning_curves(histories, axes=None):
    """Draw loss and accuracy over the epochs, of several networks.

    Parameters
    ----------
    histories : dict of str to dict of str to list
        From a label, such as "dense", "static" or "set", to the `history` of a
        :class:`~numpy_setlstm.training.TrainingState`.
    axes : sequence of two matplotlib.axes.Axes, optional
        For loss and accuracy.

    Returns
    -------
    ndarray of two matplotlib.axes.Axes

    Notes
    -----
    A SET step between two epochs lets the validation loss jump, mostly up: it cuts weights that were in use.
    The jump is drawn as a vertical stroke with a triangle at its end, from which the next epoch's training
    goes on.

    Examples
    --------
    >>> history = dict(train_loss=[0.7, 0.5], train_accuracy=[0.5, 0.8], validation_loss=[0.7, 0.6])
    >>> history |= dict(validation_accuracy=[0.5, 0.7], validation_loss_evolved=[0.75])
    >>> loss_ax, accuracy_ax = plot_learning_curves({"set": history})
    >>> loss_ax.get_xlabel()
    'epoch'
    """
    if axes is None:
        axes = Figure(figsize=(9, 3.6), layout="constrained").subplots(1, 2)
    loss_ax, accuracy_ax = axes
    for color, (label, history) in zip(_line_colors(loss_ax, histories), histories.items(), strict=True):
        train, validation = {"color": color, "ls": ":", "lw": 1.4}, {"color": color, "lw": 2, "label": label}
        epochs = np.arange(1, len(history["train_loss"]) + 1)
        loss_ax.plot(epochs, history["train_loss"], **train)
        accuracy_ax.plot(epochs, history["train_accuracy"], **train)
        x, y, jumps = _with_jumps(history["validation_loss"], history.get("validation_loss_evolved", []))
        loss_ax.plot(x, y, **validation)
        loss_ax.plot(*jumps, color=color, ls="none", marker="^", ms=5)
        accuracy_ax.plot(epochs, np.array(history["validation_accuracy"], float), **validation)
    loss_ax.set(xlabel="epoch", ylabel="cross-entropy (nats)", title="Loss")
    accuracy_ax.set(xlabel="epoch", ylabel="texts classified correctly", title="Accuracy")
    accuracy_ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    for ax in axes:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    evolved = any(history.get("validation_loss_evolved") for history in histories.values())
    loss_ax.legend(handles=_curve_keys(loss_ax, evolved))
    accuracy_ax.legend()
    return np.asarray(axes)


def _curve_keys(ax, evolved):
    """Legend of the line styles, in the colour of the style's own letters."""
    ink = ax.xaxis.label.get_color()
    keys = [
        Line2D([], [], color=ink, lw=2, label="validation"),
        Line2D([], [], color=ink, lw=1.4, ls=":", label="training"),
        Line2D([], [], color=ink, ls="none", marker="^", ms=5, label="after a SET step"),
    ]
    return keys if evolved else keys[:2]


def _with_jumps(losses, evolved):
    """Points of the validation curve, each loss followed by that after the SET step; the latter alone."""
    losses, evolved = np.array(losses, float), np.array(evolved, float)  # None becomes NaN: not drawn
    epochs, n = np.arange(1, len(losses) + 1), len(evolved)
    x = np.concatenate([np.repeat(epochs[:n], 2), epochs[n:]])
    y = np.concatenate([np.column_stack([losses[:n], evolved]).ravel(), losses[n:]])
    return x, y, (epochs[:n], evolved)


def plot_connectivity(topology, ax=None, *, gates=GATES):
    """Draw which connections exist in an LSTM's matrix.

    Parameters
    ----------
    topology : Topology of shape (n, 4H)
        Or a SparseMatrix.
    ax : matplotlib.axes.Axes, optional
    gates : sequence of str
        Names of the column blocks; empty for a matrix without, such as an embedding.

    Returns
    -------
    matplotlib.axes.Axes
        With one dot per connection; with more than 20,000 of them, an image of the density in bins of cells.

    Raises
    ------
    ValueError
        If the columns are not divisible by the number of gates.

    Examples
    --------
    >>> from numpy_setlstm.topology import erdos_renyi
    >>> W = erdos_renyi((32, 128), np.random.default_rng(0), density=0.05)
    >>> plot_connectivity(W).get_title()
    '205 of 4096 possible connections exist (5.00 %)'
    """
    ax = _matrix_axes(ax, topology.shape, gates)
    nnz, n_cells = len(topology.rows), topology.shape[0] * topology.shape[1]
    if nnz <= MAX_DOTS:
        _draw_dots(ax, topology.rows, topology.cols, _blue(ax), _diameter(topology, gates))
    else:
        counts, cells = _bin((topology.rows, topology.cols), topology.shape, gates)
        cmap = LinearSegmentedColormap.from_list("density", [ax.get_facecolor(), _blue(ax)])
        image = _draw_image(ax, counts / cells, topology.shape, cmap=cmap, vmin=0)
        percent = PercentFormatter(1, symbol=" %")
        ax.figure.colorbar(image, cax=ax.inset_axes((1.01, 0, 0.015, 1)), label="density", format=percent)
    ax.set_title(f"{nnz} of {n_cells} possible connections exist ({100 * nnz / max(n_cells, 1):.2f} %)")
    return ax


def plot_set_step(topology, step, ax=None, *, gates=GATES):
    """Draw what one SET step did: which connections were kept, pruned and regrown.

    Parameters
    ----------
    topology : Topology of shape (n, 4H)
        Before the step.
    step : SetStep
    ax : matplotlib.axes.Axes, optional
    gates : sequence of str
        As in :func:`plot_connectivity`.

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    A connection that was pruned and by chance grew again in its old cell counts, and is drawn, as regrown:
    its weight and its history are gone. The legend says how many these are.
    """
    before, after = topology.keys, step.apply(topology).keys
    grown, pruned = after[step.grown], before[step.pruned]
    gone = np.setdiff1d(pruned, grown)
    back = f", {len(pruned) - len(gone)} of them regrown" if len(gone) < len(pruned) else ""
    groups = {
        f"kept ({step.nnz - len(pruned)})": before[step.kept],
        f"pruned ({len(pruned)}{back})": gone,
        f"regrown ({len(grown)})": grown,
    }
    return _plot_change(topology, groups, ax, gates)


def plot_connectivity_change(before, after, ax=None, *, gates=GATES):
    """Draw how the connections differ between two times, any number of SET steps apart.

    Parameters
    ----------
    before, after : Topology of shape (n, 4H)
    ax : matplotlib.axes.Axes, optional
    gates : sequence of str
        As in :func:`plot_connectivity`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If the two have different shapes.

    Notes
    -----
    Two topologies do not tell whether a connection has been there all the time: one that exists both before
    and after counts as kept.
    """
    if before.shape != after.shape:
        raise ValueError(f"the shapes differ, {before.shape} and {after.shape}; expected one matrix, twice")
    kept = np.intersect1d(before.keys, after.keys, assume_unique=True)
    pruned, grown = np.setdiff1d(before.keys, kept), np.setdiff1d(after.keys, kept)
    groups = {
        f"kept ({len(kept)})": kept,
        f"pruned ({len(pruned)})": pruned,
        f"regrown ({len(grown)})": grown,
    }
    return _plot_change(before, groups, ax, gates)


def _plot_change(topology, groups, ax, gates):
    """Draw groups of cells, given by their keys, in the colours for kept, pruned and regrown."""
    ax = _matrix_axes(ax, topology.shape, gates)
    colors = (_blue(ax), _gray(ax), ORANGE)
    cells = [np.divmod(keys, topology.shape[1]) for keys in groups.values()]
    if len(topology.rows) <= MAX_DOTS:
        diameter = _diameter(topology, gates)
        for (rows, cols), color in zip(cells, colors, strict=True):
            _draw_dots(ax, rows, cols, color, diameter, hollow=color == _gray(ax))
    else:
        counts = np.stack([_bin(group, topology.shape, gates)[0] for group in cells], axis=-1)  # (n, n, 3)
        total = counts.sum(axis=-1, keepdims=True)
        mixture = counts @ np.array([to_rgb(color) for color in colors]) / np.maximum(total, 1)
        _draw_image(ax, np.concatenate([mixture, total / total.max()], axis=-1), topology.shape)
    keys = [_dot_key(label, color, color == _gray(ax)) for label, color in zip(groups, colors, strict=True)]
    below = offset_copy(ax.transAxes, ax.figure, y=-3.6 * ax.xaxis.label.get_size(), units="points")
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "bbox_transform": below}
    ax.legend(handles=keys, ncols=3, frameon=False, **place)
    return ax


def surviving_fraction(topology, steps):
    """Fraction of the initial connections that have never been pruned, before and after each SET step.

    Parameters
    ----------
    topology : Topology
        Before the first step.
    steps : sequence of SetStep

    Returns
    -------
    ndarray of shape (n_steps + 1,)
        Starts at 1 and never rises: what grows in the cell of a pruned connection is a new connection.
    """
    return np.array([(born == 0).mean() if len(born) else 1.0 for _, born in _births(topology, steps)])


def _births(topology, steps):
    """Yield, before and after each step, the topology and the step that grew each connection (0: initial)."""
    born = np.zeros(len(topology.rows), int)
    yield topology, born
    for k, step in enumerate(steps, start=1):
        topology, born = step.apply(topology), step.carry(born)
        born[step.grown] = k
        yield topology, born


def plot_survival(topology, set_steps_by_label, ax=None):
    """Draw the fraction of the initial connections that are still there after each SET step.

    Parameters
    ----------
    topology : Topology
        Before the first step.
    set_steps_by_label : dict of str to list of SetStep
        Several evolutions of the same matrix, such as "with training" and "null model: without training". A
        label that starts with "null" is drawn grey and dashed.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    Survivors do not show by themselves that training protects connections: a weight that happened to start
    large is spared without any training too. Only the difference to the null model can be put down to
    training.
    """
    if ax is None:
        ax = Figure(figsize=(6, 3.6), layout="constrained").subplots()
    colors = _line_colors(ax, set_steps_by_label)
    for color, (label, steps) in zip(colors, set_steps_by_label.items(), strict=True):
        fractions = surviving_fraction(topology, steps)
        ax.plot(fractions, _dashes(label), color=color, lw=1.8, marker="o", ms=4, label=label)
    _label_survival(ax)
    ax.legend()
    return ax


def _label_survival(ax):
    ax.set(xlabel="SET steps", ylim=(0, 1.04))
    ax.set_title("initial connections still there", loc="left", size="medium")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))


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
        For :func:`save_animation` or ``to_jshtml()``. "In this step" is the last SET step before the frame.

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
    >>> page = animate_evolution(W.topology, [step]).to_jshtml()
    """
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

    n_frames = min(len(steps) + 1, max_frames)
    frames = np.linspace(0, len(steps), n_frames).round().astype(int).tolist()
    return FuncAnimation(figure, draw_frame, frames, interval=interval, cache_frame_data=False)


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
    margin, between, top, bottom = 20, 40, 110 if n_matrices > 1 else 130, 165
    width, height = 2 * margin + n_matrices * wide + (n_matrices - 1) * between, top + tall + bottom
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)

    def add_axes(x, y, its_width, its_height):
        return figure.add_axes((x / width, y / height, its_width / width, its_height / height))

    title = figure.text(margin / width, 1 - 14 / height, "", va="top", size=15, weight="bold")
    matrix_axes = [add_axes(margin + k * (wide + between), bottom, wide, tall) for k in range(n_matrices)]
    survival_ax = add_axes(margin + 50, 48, width - 2 * margin - 50, 80)
    keys = [_dot_key(label, color) for label, (color, _) in reversed(_film_dots(survival_ax).items())]
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
        "pruned in this step": (_faint(ax), 0.8),
        "grown in this step": (PURPLE, 0.8),
        "grown earlier, still there": (ORANGE, 1.1),
        "initial, still there": (_blue(ax), 1.1),
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
    diameter = _diameter(topology, GATES)
    dots = [_draw_dots(ax, [], [], color, size * diameter) for color, size in _film_dots(ax).values()]
    for its_dots in dots:
        its_dots.set_clip_on(False)  # so that dots in the outermost rows are as round as the others
    history = list(_births(topology, steps))

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
    for color, (label, steps) in zip(_line_colors(ax, evolutions), evolutions.items(), strict=True):
        fractions = surviving_fraction(topology, steps)
        ax.plot(fractions, _dashes(label), color=color, lw=1, alpha=0.4)
        curves[label] = fractions, ax.plot([], [], _dashes(label), color=color, lw=2, marker="o", ms=6)[0]
    _label_survival(ax)
    lines = [line for _, line in curves.values()]
    texts = ax.legend(lines, list(curves), loc="lower left").get_texts()

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


def expected_degrees(shape, nnz, axis=0):
    r"""Degree distribution of a random graph with this many connections.

    Parameters
    ----------
    shape : tuple of int
    nnz : int
        Number of connections.
    axis : {0, 1}
        0 for the degrees of the columns, 1 for those of the rows.

    Returns
    -------
    ndarray of shape (shape[axis] + 1,)
        Probability of each degree k, from 0 on.

    Notes
    -----
    Every set of nnz of the N cells is equally likely, so the number of connections among the m cells of one
    column is hypergeometric:

    .. math:: P(k) = \binom{m}{k} \binom{N - m}{nnz - k} \Big/ \binom{N}{nnz}

    Examples
    --------
    >>> expected_degrees((2, 2), 2).round(3)  # of the 6 pairs of cells, 1 is in the other column, 4 in both
    array([0.167, 0.667, 0.167])
    """
    m, N = shape[axis], shape[0] * shape[1]

    def log_binomial(n, k):
        return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) if 0 <= k <= n else -math.inf

    logs = [log_binomial(m, k) + log_binomial(N - m, nnz - k) - log_binomial(N, nnz) for k in range(m + 1)]
    return np.exp(logs)


def plot_degrees(topology, ax=None, *, axis=0):
    """Draw how many connections the units have, against what a random graph leads one to expect.

    Parameters
    ----------
    topology : Topology or SparseMatrix
    ax : matplotlib.axes.Axes, optional
    axis : {0, 1}
        0 for the columns (connections into a unit), 1 for the rows (connections out of a unit).

    Returns
    -------
    matplotlib.axes.Axes
        The legend tells variance / mean: above the random graph's if some units gather connections.
    """
    if ax is None:
        ax = Figure(figsize=(6, 3.6), layout="constrained").subplots()
    degrees = connection_counts(topology, axis)
    probability = expected_degrees(topology.shape, len(topology.rows), axis)
    k = np.arange(len(probability))
    observed, expected = np.bincount(degrees, minlength=len(k)), len(degrees) * probability
    mean = k @ probability
    random_dispersion = (k - mean) ** 2 @ probability / mean if mean else 0.0
    label = f"observed, variance / mean {dispersion(degrees):.2f}"
    ax.bar(k, observed, width=0.85, color=_blue(ax), label=label)
    label = f"random graph, variance / mean {random_dispersion:.2f}"
    ax.plot(k, expected, color=ORANGE, marker="o", ms=4, lw=1.8, label=label)
    shown = np.flatnonzero((observed > 0) | (expected > 0.05))
    xlabel, ylabel = (("connections into a column", "columns"), ("connections out of a row", "rows"))[axis]
    ax.set(xlim=(shown[0] - 1, shown[-1] + 1), xlabel=xlabel, ylabel=ylabel)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend()
    return ax


def plot_weight_histogram(values, pruned, ax=None, *, n_bins=60):
    """Draw the distribution of the weights, and which of them are cut.

    Parameters
    ----------
    values : ndarray of shape (nnz,)
        The weights, such as ``W.values``.
    pruned : ndarray of shape (n,), int
        Positions of those that are cut, from :func:`numpy_setlstm.topology.prune` or ``step.pruned``.
    ax : matplotlib.axes.Axes, optional
    n_bins : int, default 60

    Returns
    -------
    matplotlib.axes.Axes
    """
    if ax is None:
        ax = Figure(figsize=(6, 3.6), layout="constrained").subplots()
    cut = np.zeros(len(values), bool)
    cut[pruned] = True
    labels = [f"kept ({(~cut).sum()})", f"pruned ({cut.sum()})"]
    ax.hist([values[~cut], values[cut]], n_bins, stacked=True, color=[_blue(ax), _faint(ax)], label=labels)
    ax.set(xlabel="weight", ylabel="connections")
    ax.legend()
    return ax


def plot_step_sizes(curves, ax=None):
    r"""Draw how wrong a measured slope is, against the size of the step: why the complex step is the better ruler.

    Parameters
    ----------
    curves : dict of str to tuple of ndarray
        From "forward difference", "central difference", "complex step" to steps and relative errors, as
        :func:`numpy_setlstm.selfcheck.step_size_errors` measures them. Errors of 0 are drawn at the lower edge.
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
        "complex step": {"color": _blue(ax), "marker": "o", "ms": 5.5, "lw": 3.5, "zorder": 3},
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
        ax.axvspan(left, COMPRESSED_BELOW, color=_gray(ax), alpha=0.12, lw=0)
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


def _matrix_axes(ax, shape, gates):
    """Axes for a matrix, row 0 at the top, with the gates' names above and borders between them."""
    if gates and shape[1] % len(gates):
        raise ValueError(f"{shape[1]} columns are not divisible by {len(gates)} gates; use gates=() without")
    n_rows, n_cols = shape
    squarish = 1 / 8 <= n_rows / max(n_cols, 1) <= 8
    if ax is None:
        ax = Figure(figsize=(9, 1.2 + min(8 * n_rows / max(n_cols, 1), 6)), layout="constrained").subplots()
    ax.set(xlim=(-0.5, n_cols - 0.5), ylim=(n_rows - 0.5, -0.5), aspect="equal" if squarish else "auto")
    ax.set(xlabel="to unit (column)", ylabel="from unit (row)")
    ax.grid(False)
    if gates:
        H = n_cols // len(gates)
        for k in range(1, len(gates)):
            ax.axvline(k * H - 0.5, color=ax.xaxis.label.get_color(), lw=1)
        top = ax.secondary_xaxis("top")
        names = [GATE_NAMES.get(gate, gate) for gate in gates]
        top.set_xticks([(k + 0.5) * H - 0.5 for k in range(len(gates))], names)
        top.tick_params(length=0)
    return ax


def _diameter(topology, gates):
    """Diameter of a dot in cells: larger than a cell where the cells are small and the dots are few."""
    H = topology.shape[1] / max(len(gates), 1)
    density = len(topology.rows) / max(topology.shape[0] * topology.shape[1], 1)
    return np.clip(min(H / 50, 0.4 / np.sqrt(max(density, 1e-9))), 0.8, 1.8)


def _draw_dots(ax, rows, cols, color, diameter, hollow=False):
    """One dot per connection; its size is in cells, so that the picture stays the same at any size."""
    style = {"facecolor": "none", "edgecolor": color, "lw": 0.8} if hollow else {"facecolor": color, "lw": 0}
    place = {"offsets": np.column_stack([cols, rows]), "offset_transform": ax.transData, "units": "xy"}
    size = [0.8 * diameter if hollow else diameter]  # the ring's line is drawn on both sides of its edge
    return ax.add_collection(EllipseCollection(size, size, [0], **place, **style), autolim=False)


def _bin(cells, shape, gates):
    """Count connections in bins of cells that never cross a gate's border.

    Parameters
    ----------
    cells : tuple of ndarray
        rows, cols.
    shape : tuple of int
    gates : sequence of str

    Returns
    -------
    counts, n_cells : ndarray of shape (n_row_bins, n_col_bins)
        Connections and cells in each bin.
    """
    n_blocks = max(len(gates), 1)
    n_bins = min(shape[0], MAX_BINS[0]), n_blocks * min(shape[1] // n_blocks, MAX_BINS[1] // n_blocks)
    row_bins = cells[0].astype(np.int64) * n_bins[0] // shape[0]
    col_bins = cells[1].astype(np.int64) * n_bins[1] // shape[1]
    counts = np.bincount(row_bins * n_bins[1] + col_bins, minlength=n_bins[0] * n_bins[1]).reshape(n_bins)
    sizes = [np.bincount(np.arange(size) * n // size) for n, size in zip(n_bins, shape, strict=True)]
    return counts, np.outer(*sizes)


def _draw_image(ax, image, shape, **settings):
    extent = (-0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5)
    return ax.imshow(image, extent=extent, aspect=ax.get_aspect(), zorder=0, **settings)


def _dot_key(label, color, hollow=False):
    face = "none" if hollow else color
    return Line2D([], [], ls="none", marker="o", ms=7, color=color, markerfacecolor=face, label=label)


def _is_dark(ax):
    return np.dot(to_rgb(ax.get_facecolor()), (0.2126, 0.7152, 0.0722)) < 0.4


def _blue(ax):
    return SKY_BLUE if _is_dark(ax) else BLUE


def _gray(ax):
    return "#A0A0A0" if _is_dark(ax) else "#707070"


def _faint(ax):
    return "#5A5A5A" if _is_dark(ax) else "#BEBEBE"


def _line_colors(ax, labels):
    """A colour for each label: always the same for the three kinds of networks, grey for a null model."""
    fixed = {"dense": VERMILLION, "static": ORANGE, "set": _blue(ax)}
    others = iter([_blue(ax), GREEN, VERMILLION, ORANGE, PURPLE] * len(labels))
    return [_gray(ax) if label.startswith("null") else fixed.get(label) or next(others) for label in labels]


def _dashes(label):
    return "--" if label.startswith("null") else "-"


def plot_benchmark(results):
    """Draw all pictures that the results of a benchmark allow.

    Parameters
    ----------
    results : dict
        From :func:`~numpy_setlstm.benchmark.run.run_benchmark`, whole or cut short.

    Returns
    -------
    dict of str to matplotlib.axes.Axes
        By a name for a file.
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
        "gradient": "the way back through W_h, with its gradient",
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


def plot_time_against_density(densities, seconds, ax=None):
    """Draw how long something takes at different densities, for several ways to do it.

    Parameters
    ----------
    densities : sequence of float
        Increasing.
    seconds : dict of str to sequence of float
        By way; the first is compared with each of the others, and a circle with the density marks where the two lines
        cross.
    ax : matplotlib.axes.Axes, optional

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
    if ax is None:
        ax = Figure(figsize=(6.5, 4), layout="constrained").subplots()
    first, *others = seconds
    for (name, column), style in zip(seconds.items(), _benchmark_styles(ax, seconds), strict=True):
        ax.plot(densities, column, label=name, **style)
    for name in others:
        at = crossing(densities, seconds[first], seconds[name])
        if at is not None:
            y = np.exp(np.interp(np.log(at), np.log(densities), np.log(seconds[name])))
            ink = ax.xaxis.label.get_color()
            ax.plot(at, y, "o", ms=11, mfc="none", mec=ink)
            offset = {"xytext": (8, -8), "textcoords": "offset points", "ha": "left", "va": "top"}
            ax.annotate(f"{100 * at:.2g} %", (at, y), color=ink, **offset)
    ax.set(xscale="log", yscale="log", xlabel="density: connections that exist", ylabel="seconds")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda density, _: f"{100 * density:g} %"))
    ax.legend()
    return ax


def plot_scaling(connections, amounts, quantity="seconds", ax=None):
    r"""Draw how time or memory grows with the number of connections.

    Parameters
    ----------
    connections : sequence of float
        Increasing.
    amounts : dict of str to sequence of float or None
        By way; None where it was not measured, as where a dense network would not fit.
    quantity : {"seconds", "bytes"}
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        Both axes are logarithmic; the legend tells the exponent of each line's best fit.

    Examples
    --------
    >>> ax = plot_scaling([10, 100], {"sparse": [1.0, 10.0], "dense": [1.0, None]})
    >>> [text.get_text() for text in ax.get_legend().get_texts()]
    ['sparse, exponent 1.00', 'dense']
    """
    if ax is None:
        ax = Figure(figsize=(6.5, 4), layout="constrained").subplots()
    labels = {"seconds": "seconds of a training step", "bytes": "peak memory above idle"}
    if quantity not in labels:
        raise ValueError(f"quantity is {quantity!r}; expected 'seconds' or 'bytes'")
    for (name, column), style in zip(amounts.items(), _benchmark_styles(ax, amounts), strict=True):
        points = [(n, y) for n, y in zip(connections, column, strict=True) if y]
        fit = f", exponent {exponent(*zip(*points, strict=True)):.2f}" if len(points) > 1 else ""
        ax.plot(*(zip(*points, strict=True) if points else ([], [])), label=name + fit, **style)
    ax.set(xscale="log", yscale="log", xlabel="connections", ylabel=labels[quantity])
    if quantity == "bytes":
        ax.yaxis.set_major_locator(LogLocator(2, numticks=12))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda n, _: f"{n / 2**20:g} MiB" if n < 2**30 else _gib(n)))
        ax.yaxis.set_minor_locator(NullLocator())
    ax.legend()
    return ax


def plot_step_parts(parts_by_peer, ax=None):
    """Draw where the time of a training step goes: one bar per peer, one colour per part.

    Parameters
    ----------
    parts_by_peer : dict of str to dict of str to float
        By peer and part, seconds.
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
    if ax is None:
        ax = Figure(figsize=(9, 1.6 + 0.5 * len(parts_by_peer)), layout="constrained").subplots()
    labels = [label for label in PART_STYLES if any(label in parts for parts in parts_by_peer.values())]
    rows, left = np.arange(len(parts_by_peer)), np.zeros(len(parts_by_peer))
    for label in labels:
        widths = np.array([parts.get(label, 0.0) for parts in parts_by_peer.values()])
        color, hatch = PART_STYLES[label]
        settings = {"color": color or _faint(ax), "hatch": hatch, "edgecolor": ax.get_facecolor(), "lw": 0.8}
        ax.barh(rows, widths, 0.7, left, label=label, **settings)
        left += widths
    ax.set_yticks(rows, list(parts_by_peer))
    ax.set(xlabel="seconds", xlim=(0, 1.02 * max(left, default=1)))
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return ax


def _gib(n_bytes):
    return f"{n_bytes / 2**30:g} GiB"


def _benchmark_styles(ax, names):
    """Colour and marker of each line: the package's own in the pictures' blue, peers always alike."""
    fixed = {
        "sparse": (_blue(ax), "o"),
        "gather": (_blue(ax), "o"),
        "dense": (VERMILLION, "s"),
        "scratch": (VERMILLION, "s"),
        "torch": (ORANGE, "^"),
        "scipy": (GREEN, "D"),
        "scipy.sparse": (GREEN, "D"),
        "textbook": (PURPLE, "v"),
    }
    others = iter([(PURPLE, "v"), (_gray(ax), "P"), (ORANGE, "^")] * len(names))
    chosen = [fixed.get(name) or next(others) for name in names]
    return [{"color": color, "marker": marker, "ms": 5, "lw": 1.8} for color, marker in chosen]
