"""The computation graph of one LSTM step: forward and backward, and grown gate by gate."""

from matplotlib.figure import Figure

from numpy_setlstm.plotting.style import ORANGE, VERMILLION, axes_or_new, ink

# Position and text of each node; from left to right: inputs, gates, memory, outputs.
NODES = {
    "c_prev": (0.0, 4.0, "$c_{prev}$"),
    "h_prev": (0.0, 0.7, "$h_{prev}$"),
    "x": (0.0, -0.5, "$x$"),
    "weights": (0.9, 2.5, "$W_x,\\; W_h,\\; b$"),
    "z": (1.9, 0.7, "$z$"),
    "f": (4.3, 2.9, "$f$"),
    "i": (4.3, 1.8, "$i$"),
    "g": (4.3, 0.7, "$g$"),
    "o": (4.3, -0.5, "$o$"),
    "forget": (6.4, 4.0, "×"),
    "write": (6.4, 1.25, "×"),
    "sum": (7.6, 4.0, "+"),
    "c": (8.8, 4.0, "$c$"),
    "tanh": (8.8, 1.9, "tanh"),
    "show": (8.8, -0.5, "×"),
    "h": (10.1, -0.5, "$h$"),
    "c_next": (11.7, 4.0, ""),
    "h_next": (11.7, -0.5, ""),
}
# Text of a node in the backward pass, where it differs.
BACKWARD_WORDS = {"weights": "$dW_x = x^T dz$\n$dW_h = h_{prev}^T\\, dz$\n$db = \\sum_n dz_n$"}
# From, to, text of the arrow forward and backward, and its height above the arrow's middle (0: on the arrow).
EDGES = (
    ("x", "z", "$W_x$", "$dz\\,W_x^T$", 0),
    ("h_prev", "z", "$W_h$", "$dz\\,W_h^T$", 0.32),
    ("weights", "z", "", "", 0),
    ("z", "f", "$\\sigma$", "$df \\cdot f(1-f)$", 0),
    ("z", "i", "$\\sigma$", "$di \\cdot i(1-i)$", 0),
    ("z", "g", "tanh", "$dg \\cdot (1-g^2)$", 0),
    ("z", "o", "$\\sigma$", "$do \\cdot o(1-o)$", 0),
    ("c_prev", "forget", "", "$dc_{prev} = dc\\,f$", 0),
    ("f", "forget", "", "$df = dc\\,c_{prev}$", 0),
    ("i", "write", "", "$di = dc\\,g$", 0),
    ("g", "write", "", "$dg = dc\\,i$", 0),
    ("forget", "sum", "", "$dc$", 0.28),
    ("write", "sum", "", "$dc$", 0),
    ("sum", "c", "", "$dc$", 0.28),
    ("c", "tanh", "", "$dh\\,o\\,(1-\\tanh^2 c)$", 0),
    ("tanh", "show", "", "$dh\\,o$", 0),
    ("o", "show", "", "$do = dh\\,\\tanh c$", 0),
    ("show", "h", "", "$dh$", 0.28),
    ("c", "c_next", "to the next step", "$dc$ from the next step", 0.28),
    ("h", "h_next", "to the next step\nand to the loss", "$dh$ from the next\nstep and the loss", -0.62),
)
# The cell as it grows: what each stage is called, and which nodes it adds.
STAGES = (
    ("1. A memory, passed on as it is", ("c_prev", "c", "c_next")),
    ("2. The forget gate: how much is kept", ("x", "h_prev", "weights", "z", "f", "forget")),
    ("3. Input gate and candidate: what is added", ("i", "g", "write", "sum")),
    ("4. The output gate: what is shown", ("o", "tanh", "show", "h", "h_next")),
)
# Arrows past nodes that a stage has not got yet.
SHORT_CUTS = ((("c_prev", "c", "", "", 0),), (("forget", "c", "", "", 0),), (), ())


def plot_lstm_step(ax=None, *, backward=False):
    r"""Draw the computation graph of one LSTM step.

    The equations are those of :mod:`numpy_setlstm.layers.lstm`. Products are elementwise, except those with
    :math:`W_x` and :math:`W_h` and those in the box of the weights. In the backward pass that box has the gradients of
    the weights: the contribution of this step, summed over the texts n. "dc" at the arrows into the sum is the whole
    gradient of c: what comes from the next step plus what comes from h through tanh.

    Parameters
    ----------
    ax : matplotlib.axes.Axes, optional
    backward : bool, default False
        Whether to reverse the arrows and label each with the gradient that it carries.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> ax = plot_lstm_step(backward=True)
    >>> "$dc_{prev} = dc\\,f$" in [text.get_text() for text in ax.texts]
    True
    """
    ax = axes_or_new(ax, (9, 4.4))
    _draw(ax, NODES, EDGES, backward=backward)
    return ax


def plot_lstm_growing():
    """Draw the LSTM's cell four times, as it grows: memory, forget gate, input gate and candidate, output gate.

    Returns
    -------
    ndarray of shape (2, 2), matplotlib.axes.Axes
        What a stage adds is orange. The last one is :func:`plot_lstm_step`.

    Examples
    --------
    >>> axes = plot_lstm_growing()
    >>> axes[0, 1].get_title(loc="left")
    '2. The forget gate: how much is kept'
    """
    axes = Figure(figsize=(11, 6.4), layout="constrained").subplots(2, 2)
    present = set()
    for ax, (title, new), short_cuts in zip(axes.flat, STAGES, SHORT_CUTS, strict=True):
        present |= set(new)
        nodes = {name: node for name, node in NODES.items() if name in present}
        edges = [edge for edge in EDGES if {edge[0], edge[1]} <= present]
        _draw(ax, nodes, [*edges, *short_cuts], new=new, scale=0.8)
        ax.set_title(title, loc="left", size="medium")
    return axes


def _draw(ax, nodes, edges, *, backward=False, new=(), scale=1.0):
    """Draw nodes and the arrows between them; what is `new`, and arrows from or to it, in orange."""
    color, patches = VERMILLION if backward else ink(ax), {}
    for name, (x, y, words) in nodes.items():
        round_ = name in ("forget", "write", "sum", "tanh", "show")
        edge_color = ORANGE if name in new else ink(ax)
        box = {
            "boxstyle": "circle,pad=0.25" if round_ else "round,pad=0.35",
            "fc": ax.get_facecolor(),
            "ec": edge_color,
        }
        box |= {"lw": 2.0 if name in new else 1.0}
        words = BACKWARD_WORDS.get(name, words) if backward else words
        size = scale * {"tanh": 9, "weights": 10.5}.get(name, 12)
        if words:
            patches[name] = ax.text(
                x, y, words, ha="center", va="center", size=size, color=ink(ax), bbox=box
            ).get_bbox_patch()
    for start, end, *both_words, above in edges:
        (x0, y0, _), (x1, y1, _) = NODES[start], NODES[end]
        arrow_color = ORANGE if start in new or end in new else color
        arrow = {
            "arrowstyle": "<|-" if backward else "-|>",
            "color": arrow_color,
            "lw": 1.3,
            "shrinkA": 3,
            "shrinkB": 3,
        }
        ends = {"patchA": patches.get(start), "patchB": patches.get(end)}
        ax.annotate("", (x1, y1), (x0, y0), arrowprops=arrow | ends)
        if words := both_words[backward]:
            box = {"boxstyle": "round,pad=0.1", "fc": ax.get_facecolor(), "ec": "none"} if above == 0 else None
            middle = (x0 + x1) / 2, (y0 + y1) / 2 + above
            ax.text(*middle, words, ha="center", va="center", size=10 * scale, color=ink(ax), bbox=box)
    ax.set(xlim=(-0.5, 12.2), ylim=(-1.4, 4.6))
    ax.set_axis_off()
