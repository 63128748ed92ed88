r"""All pictures of the package: connections, their evolution, learning curves, gates, gradients, and speed.

The functions draw into the axes that they are given, or into a new figure, and return the axes; the figure is
``ax.figure``. New figures do not belong to pyplot, so none stays open: in a notebook, end the cell with ``.figure``;
in a script, save with ``ax.figure.savefig``. Background, fonts and grids follow the current matplotlib style. The
colors are from M. Okabe and K. Ito (2008), "Color Universal Design", and can be distinguished with any color vision.
Blue is for what existed from the start, orange for what has grown, gray for what is gone.

Evolution by chance alone also looks busy. So the pictures of an evolution can show a null model too: the same matrix,
pruned and regrown as often without training (:func:`~numpy_setlstm.measures.null_evolution`).
"""

from numpy_setlstm.measures.degrees import expected_degrees
from numpy_setlstm.measures.evolution import surviving_fraction
from numpy_setlstm.plotting.animation import animate_evolution, plot_evolution_frame
from numpy_setlstm.plotting.animation_files import animation_page, save_animation
from numpy_setlstm.plotting.arrays import plot_carry, plot_index_arrays
from numpy_setlstm.plotting.benchmark import (
    PART_STYLES,
    plot_benchmark,
    plot_scaling,
    plot_step_parts,
    plot_time_against_density,
)
from numpy_setlstm.plotting.bipartite import MAX_LINES, plot_bipartite
from numpy_setlstm.plotting.chain import plot_unrolled
from numpy_setlstm.plotting.checks import COMPRESSED_BELOW, plot_check_errors, plot_precision, plot_step_sizes
from numpy_setlstm.plotting.comparison import plot_accuracies, plot_differences
from numpy_setlstm.plotting.connectivity import MAX_DOTS, plot_connectivity, plot_connectivity_change, plot_set_step
from numpy_setlstm.plotting.degrees import plot_degrees, plot_empty_rows, plot_weight_histogram
from numpy_setlstm.plotting.evolution import (
    plot_ever_tried,
    plot_evolution,
    plot_gate_counts,
    plot_survival,
    plot_turnover,
)
from numpy_setlstm.plotting.flow import plot_gradient_flow, plot_gradient_norms
from numpy_setlstm.plotting.gates import plot_gates
from numpy_setlstm.plotting.learning import plot_learning_curves
from numpy_setlstm.plotting.reading import MAX_PAGE_BYTES, MAX_UNITS, MAX_WORDS, ReadingPage, reading_page
from numpy_setlstm.plotting.shares import plot_shares
from numpy_setlstm.plotting.step_graph import plot_lstm_growing, plot_lstm_step
from numpy_setlstm.plotting.structure import plot_distance_ranges, plot_distances, plot_expansion
from numpy_setlstm.plotting.style import BLUE, GATE_NAMES, GREEN, ORANGE, PURPLE, SKY_BLUE, VERMILLION
from numpy_setlstm.plotting.words import plot_opinion, plot_word_connections

__all__ = [
    "BLUE",
    "COMPRESSED_BELOW",
    "GATE_NAMES",
    "GREEN",
    "MAX_DOTS",
    "MAX_LINES",
    "MAX_PAGE_BYTES",
    "MAX_UNITS",
    "MAX_WORDS",
    "ORANGE",
    "PART_STYLES",
    "PURPLE",
    "ReadingPage",
    "SKY_BLUE",
    "VERMILLION",
    "animate_evolution",
    "animation_page",
    "expected_degrees",
    "plot_accuracies",
    "plot_benchmark",
    "plot_bipartite",
    "plot_carry",
    "plot_check_errors",
    "plot_connectivity",
    "plot_connectivity_change",
    "plot_degrees",
    "plot_differences",
    "plot_distance_ranges",
    "plot_distances",
    "plot_empty_rows",
    "plot_ever_tried",
    "plot_evolution",
    "plot_evolution_frame",
    "plot_expansion",
    "plot_gate_counts",
    "plot_gates",
    "plot_gradient_flow",
    "plot_gradient_norms",
    "plot_index_arrays",
    "plot_learning_curves",
    "plot_lstm_growing",
    "plot_lstm_step",
    "plot_opinion",
    "plot_precision",
    "plot_scaling",
    "plot_set_step",
    "plot_shares",
    "plot_step_parts",
    "plot_step_sizes",
    "plot_survival",
    "plot_time_against_density",
    "plot_turnover",
    "plot_unrolled",
    "plot_weight_histogram",
    "plot_word_connections",
    "reading_page",
    "save_animation",
    "surviving_fraction",
]
