"""A small layer as what it is: units on two sides, and a line for each connection."""

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from numpy_setlstm.plotting.style import ORANGE, blue, gray

MAX_LINES = 300  #: Connections, beyond which nobody can follow a line any more


def plot_bipartite(topology, step=None, ax=None, *, row_names=None, col_names=None):
    """Draw a small layer as a graph: its rows on the left, its columns on the right, a line for each connection.

    Parameters
    ----------
    topology : Topology or SparseMatrix of shape (n_rows, n_cols)
        At most 300 connections. Before the step, if there is one.
    step : SetStep, optional
        Shown by colours: what it kept, pruned (dashed) and regrew.
    ax : matplotlib.axes.Axes, optional
    row_names, col_names : sequence of str, optional
        Names of the units; their numbers without them.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there are too many connections for lines, or not as many names as units.

    Notes
    -----
    A connection that was pruned and by chance grew again counts, and is drawn, as regrown, as in
    :func:`~numpy_setlstm.plotting.plot_set_step`.

    Examples
    --------
    >>> from numpy_setlstm.sparse import SparseMatrix
    >>> ax = plot_bipartite(SparseMatrix((2, 3), [0, 1], [2, 0], [5.0, 7.0]), row_names=["good", "bad"])
    >>> [text.get_text() for text in ax.texts]
    ['good', 'bad', '0', '1', '2']
    """
    if len(topology.rows) > MAX_LINES:
        raise ValueError(
            f"{len(topology.rows)} connections are too many for lines, at most {MAX_LINES}: use plot_connectivity"
        )
    sides = [
        _unit_places(side, size, names)
        for side, size, names in zip(("row", "column"), topology.shape, (row_names, col_names), strict=True)
    ]
    if ax is None:
        ax = Figure(figsize=(6, 0.9 + 0.32 * max(topology.shape)), layout="constrained").subplots()
    for label, (cells, color, dash) in _line_groups(ax, topology, step).items():
        ends = np.stack([np.column_stack([np.full(cells.shape[1], x), sides[x][0][cells[x]]]) for x in (0, 1)], axis=1)
        ax.add_collection(LineCollection(ends, colors=color, linestyles=dash, lw=1.6, label=label))
    for x, (heights, names) in enumerate(sides):
        ax.plot(np.full(len(heights), x), heights, "o", ms=9, color=ax.xaxis.label.get_color(), zorder=3)
        for height, name in zip(heights, names, strict=True):
            ax.annotate(
                name, (x, height), ((-10, 10)[x], 0), textcoords="offset points", ha=("right", "left")[x], va="center"
            )
    ax.set(xlim=(-0.35, 1.35), ylim=(1.08, -0.08))
    ax.set_axis_off()
    if step is not None:
        _key_of_lines(ax)
    return ax


def _unit_places(side, size, names):
    """Heights of the units of one side, from 0 to 1, and their names."""
    names = [str(k) for k in range(size)] if names is None else list(names)
    if len(names) != size:
        raise ValueError(f"there are {len(names)} names for {size} {side}s; expected one for each")
    return np.linspace(0, 1, size) if size > 1 else np.full(size, 0.5), names


def _line_groups(ax, topology, step):
    """By label, the cells of a group, ndarray of shape (2, n), with the colour and the style of its lines."""
    cells = np.stack([topology.rows, topology.cols])
    if step is None:
        return {"connections": (cells, blue(ax), "-")}
    came_back = np.isin(_keys(step.pruned_cells, topology), _keys(step.grown_cells, topology))
    back = f", {came_back.sum()} of them regrown" if came_back.any() else ""
    return {
        f"pruned ({len(step.pruned)}{back})": (step.pruned_cells[:, ~came_back], gray(ax), (0, (3, 2))),
        f"kept ({len(step.kept)})": (cells[:, step.kept], blue(ax), "-"),
        f"regrown ({len(step.grown)})": (step.grown_cells, ORANGE, "-"),
    }


def _keys(cells, topology):
    return cells[0].astype(np.int64) * topology.shape[1] + cells[1]


def _key_of_lines(ax):
    """Legend beneath, in the order kept, pruned, regrown."""
    pruned, kept, regrown = ax.collections
    handles = [
        Line2D([], [], color=lines.get_colors()[0], ls=dash, lw=2, label=lines.get_label())
        for lines, dash in ((kept, "-"), (pruned, (0, (3, 2))), (regrown, "-"))
        if len(lines.get_colors())
    ]
    ax.legend(handles=handles, ncols=3, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0))
