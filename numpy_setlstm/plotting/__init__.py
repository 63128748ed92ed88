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

from numpy_setlstm.measures.degrees import expected_degrees
from numpy_setlstm.measures.evolution import surviving_fraction
from numpy_setlstm.plotting.benchmark import (
    PART_STYLES,
    plot_benchmark,
    plot_scaling,
    plot_step_parts,
    plot_time_against_density,
)
from numpy_setlstm.plotting.checks import COMPRESSED_BELOW, plot_step_sizes
from numpy_setlstm.plotting.comparison import plot_accuracies, plot_differences
from numpy_setlstm.plotting.connectivity import MAX_DOTS, plot_connectivity, plot_connectivity_change, plot_set_step
from numpy_setlstm.plotting.degrees import plot_degrees, plot_weight_histogram
from numpy_setlstm.plotting.evolution import plot_ever_tried, plot_evolution, plot_survival, plot_turnover
from numpy_setlstm.plotting.film import GIF_COLORS, animate_evolution, save_animation
from numpy_setlstm.plotting.learning import plot_learning_curves
from numpy_setlstm.plotting.structure import plot_distance_ranges, plot_distances, plot_expansion
from numpy_setlstm.plotting.style import BLUE, GATE_NAMES, GREEN, ORANGE, PURPLE, SKY_BLUE, VERMILLION
from numpy_setlstm.plotting.words import plot_opinion, plot_word_connections

__all__ = [
    "BLUE",
    "COMPRESSED_BELOW",
    "GATE_NAMES",
    "GIF_COLORS",
    "GREEN",
    "MAX_DOTS",
    "ORANGE",
    "PART_STYLES",
    "PURPLE",
    "SKY_BLUE",
    "VERMILLION",
    "animate_evolution",
    "expected_degrees",
    "plot_accuracies",
    "plot_benchmark",
    "plot_connectivity",
    "plot_connectivity_change",
    "plot_degrees",
    "plot_differences",
    "plot_distance_ranges",
    "plot_distances",
    "plot_ever_tried",
    "plot_evolution",
    "plot_expansion",
    "plot_learning_curves",
    "plot_opinion",
    "plot_scaling",
    "plot_set_step",
    "plot_step_parts",
    "plot_step_sizes",
    "plot_survival",
    "plot_time_against_density",
    "plot_turnover",
    "plot_weight_histogram",
    "plot_word_connections",
    "save_animation",
    "surviving_fraction",
]
