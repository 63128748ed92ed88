"""From the settings of a classifier to what trains: engine, network, optimizer; and the recipe behind the defaults."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from numpy_setlstm.initialization import NetworkSizes, init_network
from numpy_setlstm.network import Network, make_engine
from numpy_setlstm.sparse import weights_of
from numpy_setlstm.training import TrainingSettings, TrainingState, split_streams
from numpy_setlstm.word_vectors import load_word_vectors, set_word_vectors

__all__ = ["DENSE_RECIPE", "SPARSE_RECIPE", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """Settings whose best values depend on whether the network is sparse, found on validation data: docs/recipe.md.

    Examples
    --------
    >>> SPARSE_RECIPE.embedding_learning_rate
    0.01
    """

    embedding_scale: float  #: Standard deviation of the initial word vectors' entries
    learning_rate: float  #: Of everything but the embedding
    embedding_learning_rate: float  #: Of the embedding


#: Of a sparse network. A sparse embedding has few entries per word, so each has to move faster than a dense one's.
SPARSE_RECIPE = Recipe(embedding_scale=0.1, learning_rate=1e-3, embedding_learning_rate=1e-2)
#: Of a dense network.
DENSE_RECIPE = Recipe(embedding_scale=0.1, learning_rate=1e-3, embedding_learning_rate=1e-3)


def recipe_of(clf):
    """The recipe of a classifier's connectivity, with the settings that were given instead of its own."""
    default = DENSE_RECIPE if clf.connectivity == "dense" else SPARSE_RECIPE
    given = {name: getattr(clf, name) for name in vars(default) if getattr(clf, name) is not None}
    return Recipe(**(vars(default) | given))


def training_settings(clf, **others):
    """The TrainingSettings of a classifier; `others` replace its own."""
    names = (name for name in vars(TrainingSettings()) if name != "evolve")
    settings = {name: getattr(clf, name) for name in names} | {"evolve": clf.connectivity == "set"}
    return TrainingSettings(**settings | others)


def network_settings(clf):
    """Dropout, pooling and engine of a classifier's network."""
    names = ("embedding_dropout", "dropout", "pooling", "engine", "lstm", "check", "kernel")
    return {name: getattr(clf, name) for name in names}


def engine_of(clf):
    """The engine of a classifier, whose own LSTM, if any, has been checked."""
    return make_engine(clf.engine, clf.lstm, check=False, kernel=clf.kernel)


def initial_state(clf, n_words, n_classes, vocabulary=None, tokens=None):
    """Network, optimizer and generators of a classifier before the first epoch.

    Word vectors need the vocabulary, a `frequency_exponent` the `tokens` of the texts to learn from.
    """
    streams = split_streams(np.random.default_rng(clf.random_state))
    sizes = NetworkSizes(n_words, clf.embedding_dim, clf.hidden_size, n_classes, clf.bidirectional)
    er_epsilon = None if clf.connectivity == "dense" else clf.er_epsilon
    if clf.connectivity != "dense" and er_epsilon is None:
        er_epsilon = sizes.er_epsilon_for(clf.parameter_share)
    empty = [name for name, count in sizes.connection_counts(er_epsilon).items() if count == 0]
    if empty:
        raise ValueError(
            f"{'parameter_share' if clf.er_epsilon is None else 'er_epsilon'} leaves {' and '.join(empty)} without a "
            f"connection (er_epsilon is {er_epsilon:g}): raise it"
        )
    network = init_network(
        sizes,
        streams["topology"],
        streams["values"],
        er_epsilon=er_epsilon,
        embedding_scale=recipe_of(clf).embedding_scale,
        every_word=bool(clf.every_word),
        word_weights=_word_weights(clf, tokens, n_words),
        dtype=np.dtype(clf.dtype),
        **network_settings(clf),
    )
    if clf.word_vectors is not None:
        network.parameters["E"] = set_word_vectors(network.parameters["E"], vocabulary, _word_vectors(clf, vocabulary))
    return begin(clf, network, streams)


def _word_weights(clf, tokens, n_words):
    """How often each word occurs, (V,), to the power `frequency_exponent`; a word that is missing counts as once."""
    if not clf.frequency_exponent or clf.connectivity == "dense":
        return None
    return np.maximum(np.bincount(tokens.ravel(), minlength=n_words), 1.0) ** clf.frequency_exponent


def _word_vectors(clf, vocabulary):
    """The vectors of the words that are known, a mapping of str to ndarray."""
    if vocabulary is None:
        raise TypeError("word_vectors are given, and X has word ids, whose words are not known; expected texts")
    if isinstance(clf.word_vectors, Mapping):
        return clf.word_vectors
    return load_word_vectors(clf.word_vectors, vocabulary.words, progress=clf.progress)


def restart(clf, network, streams):
    """The state of training from given weights, which are the best ones until an epoch is better."""
    network = Network(network.copy().parameters, network.scales, **network_settings(clf))
    state = begin(clf, network, copy.deepcopy(streams))
    state.first_weights = {}
    return state


def writable(state):
    """The state, or a copy if its arrays are read-only, as the memory maps of joblib are."""
    weights = (weights_of(W) for W in state.network.parameters.values())
    return state if all(array.flags.writeable for array in weights) else copy.deepcopy(state)


def begin(clf, network, streams):
    """The state of training a network, before its first epoch."""
    recipe = recipe_of(clf)
    rates = dict.fromkeys(network.parameters, recipe.learning_rate) | {"E": recipe.embedding_learning_rate}
    optimizer = network.engine.optimizers[clf.optimizer](network.parameters, rates)
    return TrainingState.start(network, optimizer, streams)
