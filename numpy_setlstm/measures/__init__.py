"""Measures of a topology, each compared with chance.

Degrees and expansion are compared with random graphs; turnover, survival and the connections ever tried with the null
model, an evolution without training; the distance between two networks with that of two random ones. :func:`describe`
collects what can be measured in a single run.
"""

from numpy_setlstm.measures.baselines import distance_baselines, distance_matrix, random_like, shuffled_copy
from numpy_setlstm.measures.degrees import (  # noqa: F401  names that are not in __all__ are building blocks
    connection_counts,
    degree_counts,
    degree_dispersion,
    dispersion,
    expected_degrees,
    expected_dispersion,
    random_dispersions,
)
from numpy_setlstm.measures.distance import (  # noqa: F401
    Matching,
    inputs_of,
    jaccard_distances,
    match,
    permuted,
    topological_distance,
)
from numpy_setlstm.measures.evolution import (
    WORD_BAND_NAMES,
    WORD_BANDS,
    ever_tried,
    expected_ever_tried,
    gates_of,
    group_counts,
    matched_null,
    null_evolution,
    replay,
    surviving_fraction,
    turnover,
    word_bands,
)
from numpy_setlstm.measures.expansion import Expansion, expansion, gate_of, rewired, singular_values  # noqa: F401
from numpy_setlstm.measures.summary import describe

__all__ = [
    "Expansion",
    "Matching",
    "WORD_BANDS",
    "WORD_BAND_NAMES",
    "connection_counts",
    "degree_counts",
    "degree_dispersion",
    "describe",
    "dispersion",
    "distance_baselines",
    "distance_matrix",
    "ever_tried",
    "expansion",
    "expected_degrees",
    "expected_ever_tried",
    "gate_of",
    "gates_of",
    "group_counts",
    "matched_null",
    "null_evolution",
    "random_like",
    "replay",
    "rewired",
    "shuffled_copy",
    "surviving_fraction",
    "topological_distance",
    "turnover",
    "word_bands",
]
