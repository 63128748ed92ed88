"""The arrays of a small sparse matrix, cell by cell, and what a SET step does to them."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from numpy_setlstm.plotting.style import BLUE, ORANGE, blue, faint, gray, ink

MAX_CELLS = 40  # above this number of connections, their values would be illegible


def plot_index_arrays(W, ax=None, *, values=None, values_name="values", follow=None, title=""):
    """Draw a small sparse matrix twice: as a grid, and as the three arrays that store it.

    Parameters
    ----------
    W : SparseMatrix
        At most 40 connections.
    ax : matplotlib.axes.Axes, optional
    values : ndarray of shape (nnz,), optional
        Numbers to write at the connections instead of the weights, such as their gradient.
    values_name : str, default "values"
        Name of these numbers.
    follow : int, optional
        Index k of a connection to frame in the grid and in the arrays, with a line between the frames.
    title : str, optional
        Text above the grid.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there are more than 40 connections, `values` does not have one number per connection, or `follow` is not
        the index of a connection.

    Examples
    --------
    >>> from numpy_setlstm.sparse import SparseMatrix
    >>> ax = plot_index_arrays(SparseMatrix((2, 3), [0, 1], [2, 0], [5.0, 7.0]))
    >>> [text.get_text() for text in ax.texts if text.get_gid() == "array"]
    ['rows', '0', '1', 'cols', '2', '0', 'values', '5', '7']
    """
    values = W.values if values is None else np.asarray(values)
    _require_few(W.nnz)
    if values.shape != (W.nnz,):
        raise ValueError(f"values have shape {values.shape}; expected ({W.nnz},), one number per connection")
    if follow is not None and not 0 <= follow < W.nnz:
        raise ValueError(f"follow is {follow}; expected the index of a connection, from 0 to {W.nnz - 1}")
    left = W.shape[1] + 3.4  # of the three arrays
    width, bottom, top = left + W.nnz, max(W.shape[0], 4.2) + 0.6, -1.4 if title else -1.0
    if ax is None:
        size = min(9.0, 0.55 * width)
        ax = Figure(figsize=(size, size * (bottom - top) / (width + 1.3))).add_axes((0, 0, 1, 1))
    _draw_grid(ax, W, values)
    _draw_arrays(ax, left, {"rows": W.rows, "cols": W.cols, values_name: values})
    if follow is not None:
        _follow_connection(ax, (W.cols[follow], W.rows[follow]), left + follow, W.shape[0])
    ax.text(0, top + 0.1, title, va="top", weight="bold", color=ink(ax))
    ax.set(xlim=(-1, width + 0.3), ylim=(bottom, top), aspect="equal")
    ax.set_axis_off()
    return ax


def _draw_grid(ax, W, values):
    """Draw all cells of a matrix, and the values of the connections in theirs."""
    n_rows, n_cols = W.shape
    for row in range(n_rows):
        ax.text(-0.25, row + 0.5, str(row), ha="right", va="center", size="small", color=gray(ax))
        for col in range(n_cols):
            _draw_cell(ax, col, row, "none", faint(ax), "", ink(ax))
    for col in range(n_cols):
        ax.text(col + 0.5, -0.2, str(col), ha="center", va="bottom", size="small", color=gray(ax))
    for row, col, value in zip(W.rows, W.cols, values, strict=True):
        _draw_cell(ax, col, row, blue(ax), ink(ax), f"{value:.2g}", _ink_on_blue(ax))


def _draw_arrays(ax, left, arrays):
    """Draw the arrays, a dict by name with the values last, one below the other from x = `left` on."""
    for j, (name, array) in enumerate(arrays.items()):
        y = 1.6 * j
        ax.text(left - 0.25, y + 0.5, name, ha="right", va="center", family="monospace", gid="array")
        face, text_color = (blue(ax), _ink_on_blue(ax)) if j == 2 else (ax.get_facecolor(), ink(ax))
        for k, number in enumerate(array):
            _draw_cell(ax, left + k, y, face, ink(ax), f"{number:.2g}", text_color, gid="array")
    header = {"size": "small", "color": gray(ax), "va": "bottom", "gid": "number"}
    ax.text(left - 0.25, -0.2, "k", ha="right", **header)
    for k in range(len(array)):
        ax.text(left + k + 0.5, -0.2, str(k), ha="center", **header)


def _follow_connection(ax, cell, x, n_rows):
    """Frame a cell of the grid and its column of the arrays, at `x`, and lead a line around both from one to the other.

    From the lower half of the grid it goes below, otherwise above, beside the numbers of the columns.
    """
    frame = {"facecolor": "none", "edgecolor": ORANGE, "lw": 3, "zorder": 4, "gid": "follow"}
    ax.add_patch(Rectangle(cell, 1, 1, **frame))
    ax.add_patch(Rectangle((x, 0), 1, 4.2, **frame))
    below = cell[1] + 1 > n_rows / 2
    lane, shift = (max(n_rows, 4.2) + 0.35, 0.5) if below else (-0.75, 0.85)
    ends = (cell[1] + 1, 4.2) if below else (cell[1], 0)
    places = [cell[0] + shift, cell[0] + shift, x + shift, x + shift]
    ax.plot(places, [ends[0], lane, lane, ends[1]], color=ORANGE, lw=1.6, zorder=1, gid="follow")


def plot_carry(topology, step, state, ax=None, *, name="state"):
    """Draw how an array with one number per connection changes in a SET step: old array above, new array below.

    Parameters
    ----------
    topology : Topology
        Before the step; at most 40 connections.
    step : SetStep
    state : ndarray of shape (nnz,)
        One number per connection before the step, such as a momentum.
    ax : matplotlib.axes.Axes, optional
    name : str, default "state"
        Name of these numbers.

    Returns
    -------
    matplotlib.axes.Axes
        A line connects the old and the new place of each survivor, and each place is labeled with its cell
        (row, column).

    Raises
    ------
    ValueError
        If there are more than 40 connections, or `state` does not have one number per connection.

    Examples
    --------
    >>> from numpy_setlstm.sparse import SparseMatrix
    >>> from numpy_setlstm.topology import set_step
    >>> W = SparseMatrix((2, 2), [0, 1], [0, 1], [0.1, 0.2])
    >>> new, step = set_step(W, 0.5, np.random.default_rng(0), prune_rule="magnitude")
    >>> ax = plot_carry(W.topology, step, np.array([7.0, 8.0]))
    >>> [text.get_text() for text in ax.texts if text.get_gid() == "new"]
    ['0', '8']
    """
    _require_few(step.nnz)
    carried, after = step.carry(state), step.apply(topology)
    if ax is None:
        ax = Figure(figsize=(9, 3)).add_axes((0, 0, 1, 1))
    bottom = 4.0
    pruned, grown = np.isin(np.arange(step.nnz), step.pruned), np.isin(np.arange(step.nnz), step.grown)
    for k in range(step.nnz):
        old = ("none", gray(ax), gray(ax)) if pruned[k] else (blue(ax), ink(ax), _ink_on_blue(ax))
        _draw_cell(ax, k, 0, old[0], old[1], f"{state[k]:.2g}", old[2], gid="old", dashed=pruned[k])
        face, text_color = (ORANGE, "black") if grown[k] else (blue(ax), _ink_on_blue(ax))
        _draw_cell(ax, k, bottom, face, ink(ax), f"{carried[k]:.2g}", text_color, gid="new")
        for cells, y, va in ((topology, -0.15, "bottom"), (after, bottom + 1.15, "top")):
            cell = f"{cells.rows[k]},{cells.cols[k]}"
            ax.text(k + 0.5, y, cell, ha="center", va=va, size="small", color=ink(ax))
    for old, new in zip(step.kept, step.survivors, strict=True):
        ax.plot([old + 0.5, new + 0.5], [1, bottom], color=blue(ax), lw=1.6, zorder=1)
    ax.plot(step.pruned + 0.5, np.full(len(step.pruned), 1.45), "x", color=gray(ax), ms=8, mew=2)
    for y, text in ((0.5, f"{name} before"), (bottom + 0.5, f"{name} after")):
        ax.text(-0.3, y, text, ha="right", va="center", color=ink(ax))
    ax.set(xlim=(-0.3 - 0.24 * step.nnz, step.nnz + 0.2), ylim=(bottom + 2, -1))
    ax.set_axis_off()
    return ax


def _require_few(nnz):
    if nnz > MAX_CELLS:
        raise ValueError(f"there are {nnz} connections, at most {MAX_CELLS} can be written out: use a smaller matrix")


def _ink_on_blue(ax):
    """Return the color of text on a blue cell: the blue for dark backgrounds is light."""
    return "white" if blue(ax) == BLUE else "black"


def _draw_cell(ax, x, y, face, edge, text, text_color, *, gid=None, dashed=False):
    """Draw a square with a number in it."""
    ax.add_patch(Rectangle((x, y), 1, 1, facecolor=face, edgecolor=edge, lw=0.8, ls="--" if dashed else "-", zorder=2))
    if text:
        ax.text(x + 0.5, y + 0.5, text, ha="center", va="center", size="small", color=text_color, gid=gid, zorder=3)
