"""Measures of a topology, each beside what chance does.

Degrees beside those of a random graph; turnover, survival and the connections that were ever tried beside an evolution
without any training; expansion beside random graphs; the distance between two networks beside that of two random ones.
:func:`describe` puts all that a single run allows into a small dict.
"""

from numpy_setlstm.measures.baselines import distance_baselines, distance_matrix, random_like, shuffled_copy
from numpy_setlstm.measures.degrees import (
    connection_counts,
    degree_counts,
    degree_dispersion,
    dispersion,
    expected_degrees,
    expected_dispersion,
    random_dispersions,
)
from numpy_setlstm.measures.distance import (
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
    matched_null,
    null_evolution,
    replay,
    surviving_fraction,
    turnover,
    word_bands,
)
from numpy_setlstm.measures.expansion import Expansion, expansion, gate_of, rewired, singular_values
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
    "expected_dispersion",
    "expected_ever_tried",
    "gate_of",
    "gates_of",
    "inputs_of",
    "jaccard_distances",
    "match",
    "matched_null",
    "null_evolution",
    "permuted",
    "random_dispersions",
    "random_like",
    "replay",
    "rewired",
    "shuffled_copy",
    "singular_values",
    "surviving_fraction",
    "topological_distance",
    "turnover",
    "word_bands",
]
