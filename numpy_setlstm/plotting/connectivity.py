"""Which connections exist, and which have changed: one dot each, or an image if there are too many."""

import numpy as np
from matplotlib.collections import EllipseCollection
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter
from matplotlib.transforms import offset_copy

from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.plotting.style import GATE_NAMES, ORANGE, axes_or_new, blue, gray, ink

MAX_DOTS = 20_000  #: Largest number of connections drawn as dots; more are counted into an image
MAX_BINS = (128, 256)  # rows and columns of that image


def plot_connectivity(topology, ax=None, *, gates=GATES):
    """Draw which connections exist in an LSTM's matrix.

    Parameters
    ----------
    topology : Topology or SparseMatrix of shape (n, 4H)
    ax : matplotlib.axes.Axes, optional
    gates : sequence of str
        Names of the column blocks, each with its columns numbered from 0 to H - 1; empty for a matrix without blocks,
        such as an embedding.

    Returns
    -------
    matplotlib.axes.Axes
        With a dot per connection; above 20,000 connections, an image of the density in bins of cells.

    Raises
    ------
    ValueError
        If the number of columns is not divisible by the number of gates.

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
        draw_dots(ax, topology.rows, topology.cols, blue(ax), dot_diameter(topology, gates))
    else:
        counts, cells = _bin((topology.rows, topology.cols), topology.shape, gates)
        cmap = LinearSegmentedColormap.from_list("density", [ax.get_facecolor(), blue(ax)])
        image = _draw_image(ax, counts / cells, topology.shape, cmap=cmap, vmin=0)
        percent = PercentFormatter(1, symbol=" %")
        ax.figure.colorbar(image, cax=ax.inset_axes((1.01, 0, 0.015, 1)), label="density", format=percent)
    ax.set_title(f"{nnz} of {n_cells} possible connections exist ({100 * nnz / max(n_cells, 1):.2f} %)")
    return ax


def plot_set_step(topology, step, ax=None, *, gates=GATES):
    """Draw which connections one SET step kept, pruned and regrew.

    A connection that was pruned and happened to grow again in the same cell is drawn and counted as regrown, because
    its weight and history are lost. The legend has the number of these.

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

    Examples
    --------
    >>> from numpy_setlstm.topology import erdos_renyi, set_step
    >>> W = erdos_renyi((32, 128), np.random.default_rng(0), density=0.05)
    >>> new, step = set_step(W, 0.3, np.random.default_rng(1))
    >>> figure = plot_set_step(W.topology, step).figure
    """
    before, after = topology.keys, step.apply(topology).keys
    grown, pruned = after[step.grown], before[step.pruned]
    gone = np.setdiff1d(pruned, grown)
    back = f", {len(pruned) - len(gone)} of them grown again" if len(gone) < len(pruned) else ""
    groups = {
        f"kept ({step.nnz - len(pruned)})": before[step.kept],
        f"pruned ({len(pruned)}{back})": gone,
        f"regrown ({len(grown)})": grown,
    }
    return _plot_change(topology, groups, ax, gates)


def plot_connectivity_change(before, after, ax=None, *, gates=GATES):
    """Draw how the connections differ between two times, any number of SET steps apart.

    A connection that exists both before and after counts as kept, even if it was pruned and regrown in between.

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
        If the two shapes differ.

    Examples
    --------
    >>> from numpy_setlstm.topology import erdos_renyi, set_step
    >>> W = erdos_renyi((32, 128), np.random.default_rng(0), density=0.05)
    >>> new, step = set_step(W, 0.3, np.random.default_rng(1))
    >>> figure = plot_connectivity_change(W.topology, new.topology).figure
    """
    if before.shape != after.shape:
        raise ValueError(f"the shapes differ, {before.shape} and {after.shape}; expected the same matrix twice")
    kept = np.intersect1d(before.keys, after.keys, assume_unique=True)
    pruned, grown = np.setdiff1d(before.keys, kept), np.setdiff1d(after.keys, kept)
    groups = {
        f"kept ({len(kept)})": kept,
        f"pruned ({len(pruned)})": pruned,
        f"regrown ({len(grown)})": grown,
    }
    return _plot_change(before, groups, ax, gates)


def _plot_change(topology, groups, ax, gates):
    """Draw groups of cells, given by their keys, in the colors for kept, pruned and regrown."""
    ax = _matrix_axes(ax, topology.shape, gates)
    colors = (blue(ax), gray(ax), ORANGE)
    cells = [np.divmod(keys, topology.shape[1]) for keys in groups.values()]
    if len(topology.rows) <= MAX_DOTS:
        diameter = dot_diameter(topology, gates)
        for (rows, cols), color in zip(cells, colors, strict=True):
            draw_dots(ax, rows, cols, color, diameter, hollow=color == gray(ax))
    else:
        counts = np.stack([_bin(group, topology.shape, gates)[0] for group in cells], axis=-1)  # (n, n, 3)
        total = counts.sum(axis=-1, keepdims=True)
        mixture = counts @ np.array([to_rgb(color) for color in colors]) / np.maximum(total, 1)
        _draw_image(ax, np.concatenate([mixture, total / total.max()], axis=-1), topology.shape)
    keys = [dot_key(label, color, color == gray(ax)) for label, color in zip(groups, colors, strict=True)]
    below = offset_copy(ax.transAxes, ax.figure, y=-3.6 * ax.xaxis.label.get_size(), units="points")
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "bbox_transform": below}
    ax.legend(handles=keys, ncols=3, frameon=False, **place)
    return ax


def _matrix_axes(ax, shape, gates):
    """Return axes for a matrix, row 0 at the top, with the gates' names above and borders between them.

    The columns of each gate are numbered from 0 to H - 1: column k * H + j leads to unit j.
    """
    if gates and shape[1] % len(gates):
        raise ValueError(f"{shape[1]} columns are not divisible by {len(gates)} gates; without gates use gates=()")
    n_rows, n_cols = shape
    squarish = 1 / 8 <= n_rows / max(n_cols, 1) <= 8
    ax = axes_or_new(ax, (9, 1.2 + min(8 * n_rows / max(n_cols, 1), 6)))
    ax.set(xlim=(-0.5, n_cols - 0.5), ylim=(n_rows - 0.5, -0.5), aspect="equal" if squarish else "auto")
    ax.set(xlabel="to unit (column)", ylabel="from unit (row)")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    ax.grid(False)
    if gates:
        H = n_cols // len(gates)
        for k in range(1, len(gates)):
            ax.axvline(k * H - 0.5, color=ink(ax), lw=1)
        top = ax.secondary_xaxis("top")
        names = [GATE_NAMES.get(gate, gate) for gate in gates]
        top.set_xticks([(k + 0.5) * H - 0.5 for k in range(len(gates))], names)
        top.tick_params(length=0)
        units = _unit_ticks(H)
        ax.set_xticks((np.arange(len(gates))[:, None] * H + units).ravel(), np.tile(units, len(gates)))
        ax.set_xlabel("to unit (column of each gate)")
    return ax


def _unit_ticks(H):
    """Return which of H units get a tick in each gate's panel: a few round numbers, not too close to H."""
    ticks = MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]).tick_values(0, H)
    step = ticks[1] - ticks[0]
    return ticks[ticks <= H - max(1, 0.4 * step)].astype(int)


def dot_diameter(topology, gates):
    """Return the diameter of a dot in cells: larger than a cell if cells are small and dots are few."""
    H = topology.shape[1] / max(len(gates), 1)
    density = len(topology.rows) / max(topology.shape[0] * topology.shape[1], 1)
    return np.clip(min(H / 50, 0.4 / np.sqrt(max(density, 1e-9))), 0.8, 1.8)


def draw_dots(ax, rows, cols, color, diameter, hollow=False):
    """Draw a dot per connection; its size is in cells, so the picture looks the same at any size."""
    style = {"facecolor": "none", "edgecolor": color, "lw": 0.8} if hollow else {"facecolor": color, "lw": 0}
    place = {"offsets": np.column_stack([cols, rows]), "offset_transform": ax.transData, "units": "xy"}
    size = [0.8 * diameter if hollow else diameter]  # the ring's line is drawn on both sides of its edge
    return ax.add_collection(EllipseCollection(size, size, [0], **place, **style), autolim=False)


def _bin(cells, shape, gates):
    """Count connections, and cells, in bins that never cross a gate's border: two arrays (n_row_bins, n_col_bins).

    `cells` are the rows and columns of the connections.
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


def dot_key(label, color, hollow=False):
    """Return a legend handle for the dots of `draw_dots`."""
    face = "none" if hollow else color
    return Line2D([], [], ls="none", marker="o", ms=7, color=color, markerfacecolor=face, label=label)
