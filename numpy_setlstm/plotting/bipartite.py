"""A small layer as a bipartite graph: units on two sides, and a line for each connection."""

import numpy as np
from matplotlib import rcParams
from matplotlib.collections import LineCollection
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.transforms import offset_copy

from numpy_setlstm.plotting.style import GREEN, ORANGE, VERMILLION, axes_or_new, blue, gray, ink

LEGEND_POINTS = 10
MAX_LINES = 300  #: Largest number of connections for which lines can still be followed
WIDTH, WIDTHS = 1.6, (0.8, 4.0)  # of lines, in points: without weights, and of a zero and the largest weight
DASHES = (0, (4, 2))  # of pruned connections
SHIFT = 4  # points between the lines of a connection that was pruned and regrown


def plot_bipartite(topology, step=None, ax=None, *, row_names=None, col_names=None, sides=None, values=None):
    """Draw a small layer as a graph: rows on the left, columns on the right, a line for each connection.

    A connection that was pruned and happened to grow again in the same cell is drawn as two lines side by side.

    Parameters
    ----------
    topology : Topology or SparseMatrix of shape (n_rows, n_cols)
        At most 300 connections; before `step`, if that is given.
    step : SetStep, optional
        Colors the lines: kept, pruned (dashed), regrown.
    ax : matplotlib.axes.Axes, optional
    row_names, col_names : sequence of str, optional
        Names of the units; by default their numbers.
    sides : tuple of str, optional
        Headings of the rows and the columns, such as ("words", "dimensions").
    values : ndarray of shape (nnz,), optional
        The weights, before `step`: the closer to zero, the thinner the line. Without `step`, negative weights have
        another color. Regrown connections have the default width.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there are more than 300 connections, or the number of names is not that of the units, or the number of
        weights not that of the connections.

    Examples
    --------
    >>> from numpy_setlstm.sparse import SparseMatrix
    >>> ax = plot_bipartite(SparseMatrix((2, 3), [0, 1], [2, 0], [5.0, 7.0]), row_names=["good", "bad"])
    >>> [text.get_text() for text in ax.texts]
    ['good', 'bad', '0', '1', '2']
    """
    if len(topology.rows) > MAX_LINES:
        raise ValueError(
            f"there are {len(topology.rows)} connections; at most {MAX_LINES} can be drawn as lines: "
            "use plot_connectivity"
        )
    if values is not None and np.shape(values) != (len(topology.rows),):
        raise ValueError(f"values have shape {np.shape(values)}; expected ({len(topology.rows)},), one per connection")
    places = [
        _unit_places(side, size, names)
        for side, size, names in zip(("row", "column"), topology.shape, (row_names, col_names), strict=True)
    ]
    ax = axes_or_new(ax, (6, 0.9 + 0.32 * max(topology.shape)))
    for label, (cells, widths, color, dash, shift) in _line_groups(ax, topology, step, values).items():
        ends = np.stack([np.column_stack([np.full(cells.shape[1], x), places[x][0][cells[x]]]) for x in (0, 1)], axis=1)
        place = {"transform": offset_copy(ax.transData, ax.figure, y=shift, units="points")}
        ax.add_collection(LineCollection(ends, colors=color, linestyles=dash, lw=widths, label=label, **place))
    for x, (heights, names) in enumerate(places):
        ax.plot(np.full(len(heights), x), heights, "o", ms=9, color=ink(ax), zorder=3)
        beside = {"textcoords": "offset points", "ha": ("right", "left")[x], "va": "center"}
        for height, name in zip(heights, names, strict=True):
            ax.annotate(name, (x, height), ((-10, 10)[x], 0), **beside)
        if sides is not None:
            ax.annotate(sides[x], (x, 0), ((5, -5)[x], 14), **beside | {"va": "bottom"}, color=gray(ax))
    ax.set(xlim=(-0.35, 1.35), ylim=(1.08, -0.08 if sides is None else -0.2))
    ax.set_axis_off()
    if step is not None or values is not None:
        _draw_legend(ax)
    return ax


def _unit_places(side, size, names):
    """Return the heights of the units of one side, from 0 to 1, and their names."""
    names = [str(k) for k in range(size)] if names is None else list(names)
    if len(names) != size:
        raise ValueError(f"there are {len(names)} names for {size} {side}s; expected one for each")
    return np.linspace(0, 1, size) if size > 1 else np.full(size, 0.5), names


def _line_groups(ax, topology, step, values):
    """Return, by label, the cells (2, n) of a group of lines, and their widths, color, dashes and shift.

    A label that starts with an underscore is not in the legend.
    """
    cells = np.stack([topology.rows, topology.cols])
    widths = np.full(cells.shape[1], WIDTH)
    if values is not None:
        widths = WIDTHS[0] + (WIDTHS[1] - WIDTHS[0]) * np.abs(values) / max(np.abs(values).max(initial=0), 1e-300)
    if step is None and values is None:
        return {"connections": (cells, widths, blue(ax), "-", 0)}
    if step is None:
        signs = {"weight of 0 or more": (values >= 0, GREEN), "negative weight": (values < 0, VERMILLION)}
        return {label: (cells[:, has], widths[has], color, "-", 0) for label, (has, color) in signs.items()}
    came_back = np.isin(_keys(step.pruned_cells, topology), _keys(step.grown_cells, topology))
    back = f", {came_back.sum()} of them grown again" if came_back.any() else ""
    dashed, gone = (gray(ax), DASHES), widths[step.pruned]
    return {
        f"pruned ({len(step.pruned)}{back})": (step.pruned_cells[:, ~came_back], gone[~came_back], *dashed, 0),
        "_pruned and regrown": (step.pruned_cells[:, came_back], gone[came_back], *dashed, SHIFT),
        f"kept ({len(step.kept)})": (cells[:, step.kept], widths[step.kept], blue(ax), "-", 0),
        f"regrown ({len(step.grown)})": (step.grown_cells, WIDTH, ORANGE, "-", 0),
    }


def _keys(cells, topology):
    return cells[0].astype(np.int64) * topology.shape[1] + cells[1]


def _draw_legend(ax):
    """Draw the legend below: kept, pruned, regrown, or the signs of the weights."""
    handles = []
    for lines in sorted(ax.collections, key=lambda lines: lines.get_label()):  # kept, pruned, regrown
        if len(lines.get_colors()) and not lines.get_label().startswith("_"):
            dash = DASHES if lines.get_label().startswith("pruned") else "-"
            handles.append(Line2D([], [], color=lines.get_colors()[0], ls=dash, lw=2, label=lines.get_label()))
    # Not larger than LEGEND_POINTS: a style for posters would leave no room for the picture
    size = min(FontProperties(size=rcParams["legend.fontsize"]).get_size_in_points(), LEGEND_POINTS)
    ax.legend(handles=handles, ncols=3, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0), fontsize=size)
