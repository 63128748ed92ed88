"""A sparse matrix as its arrays, and what happens to them in a SET step: small examples, cell by cell."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from numpy_setlstm.plotting.style import ORANGE, blue, faint, gray

MAX_CELLS = 40  # connections, beyond which their numbers would not be readable


def plot_index_arrays(W, ax=None, *, values=None, values_name="values", follow=None, title=""):
    """Draw a small sparse matrix twice: as a grid, and as the three arrays that are stored of it.

    Parameters
    ----------
    W : SparseMatrix
        At most 40 connections.
    ax : matplotlib.axes.Axes, optional
    values : ndarray of shape (nnz,), optional
        Other numbers to be written at the connections than the weights, such as their gradient.
    values_name : str, default "values"
        What these are called.
    follow : int, optional
        Number k of a connection to be framed twice, in the grid and in the arrays, with a line between.
    title : str, optional
        Stands above the grid.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there are too many connections, or not a number for each, or none with the number `follow`.

    Examples
    --------
    >>> from numpy_setlstm.sparse import SparseMatrix
    >>> ax = plot_index_arrays(SparseMatrix((2, 3), [0, 1], [2, 0], [5.0, 7.0]))
    >>> [text.get_text() for text in ax.texts if text.get_gid() == "array"]
    ['rows', '0', '1', 'cols', '2', '0', 'values', '5', '7']
    """
    values = W.values if values is None else np.asarray(values)
    _check_few(W.nnz)
    if values.shape != (W.nnz,):
        raise ValueError(f"values have shape {values.shape}; expected ({W.nnz},), one number per connection")
    if follow is not None and not 0 <= follow < W.nnz:
        raise ValueError(f"follow is {follow}; expected the number of a connection, from 0 to {W.nnz - 1}")
    n_rows, n_cols = W.shape
    left = n_cols + 3.4  # of the three arrays
    width, bottom, top = left + W.nnz, max(n_rows, 4.2) + 0.2, -1.4 if title else -1.0
    if ax is None:
        size = min(9.0, 0.55 * width)
        ax = Figure(figsize=(size, size * (bottom - top) / (width + 1.3))).add_axes((0, 0, 1, 1))
    ink = ax.xaxis.label.get_color()
    for row in range(n_rows):
        ax.text(-0.25, row + 0.5, str(row), ha="right", va="center", size="small", color=gray(ax))
        for col in range(n_cols):
            _draw_cell(ax, col, row, "none", faint(ax), "", ink)
    for col in range(n_cols):
        ax.text(col + 0.5, -0.2, str(col), ha="center", va="bottom", size="small", color=gray(ax))
    for row, col, value in zip(W.rows, W.cols, values, strict=True):
        _draw_cell(ax, col, row, blue(ax), ink, f"{value:.2g}", _ink_on_blue(ax))
    for j, (name, array) in enumerate({"rows": W.rows, "cols": W.cols, values_name: values}.items()):
        y = 1.6 * j
        ax.text(left - 0.25, y + 0.5, name, ha="right", va="center", family="monospace", gid="array")
        for place, number in enumerate(array):
            face, letters = (blue(ax), _ink_on_blue(ax)) if j == 2 else (ax.get_facecolor(), ink)
            _draw_cell(ax, left + place, y, face, ink, f"{number:.2g}", letters, gid="array")
    for place, number in ((-0.25, "k"), *((k + 0.5, str(k)) for k in range(W.nnz))):
        where = {"ha": "center" if number != "k" else "right", "va": "bottom"}
        ax.text(left + place, -0.2, number, size="small", color=gray(ax), gid="number", **where)
    if follow is not None:
        _follow_connection(ax, (W.cols[follow], W.rows[follow]), left + follow)
    ax.text(0, top + 0.1, title, va="top", weight="bold", color=ink)
    ax.set(xlim=(-1, width + 0.3), ylim=(bottom, top), aspect="equal")
    ax.set_axis_off()
    return ax


def _follow_connection(ax, cell, x):
    """Frame a cell of the grid and, at `x`, its column of the three arrays, and draw a line from one to the other."""
    frame = {"facecolor": "none", "edgecolor": ORANGE, "lw": 3, "zorder": 4, "gid": "follow"}
    ax.add_patch(Rectangle(cell, 1, 1, **frame))
    ax.add_patch(Rectangle((x, 0), 1, 4.2, **frame))
    ax.plot([cell[0] + 1, x], [cell[1] + 0.5, 1.3], color=ORANGE, lw=1.6, zorder=1, gid="follow")


def plot_carry(topology, step, state, ax=None, *, name="state"):
    """Draw how what is stored per connection follows a SET step: the old array above, the new one beneath.

    Parameters
    ----------
    topology : Topology
        Before the step; at most 40 connections.
    step : SetStep
    state : ndarray of shape (nnz,)
        A number per connection before the step, such as a momentum.
    ax : matplotlib.axes.Axes, optional
    name : str, default "state"
        What these numbers are called.

    Returns
    -------
    matplotlib.axes.Axes
        A line leads from each survivor's old place to its new one. The cell (row, column) stands beside each place.

    Raises
    ------
    ValueError
        If there are too many connections, or not a number for each.

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
    _check_few(step.nnz)
    carried, after = step.carry(state), step.apply(topology)
    if ax is None:
        ax = Figure(figsize=(9, 3)).add_axes((0, 0, 1, 1))
    ink, bottom = ax.xaxis.label.get_color(), 4.0
    pruned, grown = np.isin(np.arange(step.nnz), step.pruned), np.isin(np.arange(step.nnz), step.grown)
    for place in range(step.nnz):
        old = ("none", gray(ax), gray(ax)) if pruned[place] else (blue(ax), ink, _ink_on_blue(ax))
        _draw_cell(ax, place, 0, old[0], old[1], f"{state[place]:.2g}", old[2], gid="old", dashed=pruned[place])
        face, letters = (ORANGE, "black") if grown[place] else (blue(ax), _ink_on_blue(ax))
        _draw_cell(ax, place, bottom, face, ink, f"{carried[place]:.2g}", letters, gid="new")
        for cells, y, va in ((topology, -0.15, "bottom"), (after, bottom + 1.15, "top")):
            where = f"{cells.rows[place]},{cells.cols[place]}"
            ax.text(place + 0.5, y, where, ha="center", va=va, size="small", color=ink)
    for old, new in zip(step.kept, step.survivors, strict=True):
        ax.plot([old + 0.5, new + 0.5], [1, bottom], color=blue(ax), lw=1.6, zorder=1)
    ax.plot(step.pruned + 0.5, np.full(len(step.pruned), 1.45), "x", color=gray(ax), ms=8, mew=2)
    for y, text in ((0.5, f"{name} before"), (bottom + 0.5, f"{name} after")):
        ax.text(-0.3, y, text, ha="right", va="center", color=ink)
    ax.set(xlim=(-0.3 - 0.24 * step.nnz, step.nnz + 0.2), ylim=(bottom + 2, -1))
    ax.set_axis_off()
    return ax


def _check_few(nnz):
    if nnz > MAX_CELLS:
        raise ValueError(
            f"{nnz} connections are too many to be written out, at most {MAX_CELLS}: take a smaller matrix"
        )


def _ink_on_blue(ax):
    """Letters on a blue cell: the blue of a dark page is light."""
    return "white" if blue(ax) == "#0072B2" else "black"


def _draw_cell(ax, x, y, face, edge, text, ink, *, gid=None, dashed=False):
    """A square with a number in it."""
    ax.add_patch(Rectangle((x, y), 1, 1, facecolor=face, edgecolor=edge, lw=0.8, ls="--" if dashed else "-", zorder=2))
    if text:
        ax.text(x + 0.5, y + 0.5, text, ha="center", va="center", size="small", color=ink, gid=gid, zorder=3)
