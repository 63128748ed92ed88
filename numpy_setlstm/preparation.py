"""From what a user gives to what trains: texts, labels and weights checked and read, and the state to train from."""

from typing import NamedTuple

import numpy as np

from numpy_setlstm.checks import instance
from numpy_setlstm.initialization import NetworkSizes
from numpy_setlstm.inputs import (
    check_classes,
    check_known_labels,
    check_known_words,
    check_parameters,
    check_resumable,
    check_warm_start,
    check_X,
    check_y,
    fingerprint,
    read,
    split,
    take,
)
from numpy_setlstm.layers.embedding import check_tokens
from numpy_setlstm.network import Network
from numpy_setlstm.recipe import engine_of, initial_state, restart, writable
from numpy_setlstm.text import Vocabulary, pad_sequences
from numpy_setlstm.training import TrainingState
from numpy_setlstm.weighting import check_sample_weight, text_weights

DEFAULT_VOCABULARY_SIZE = 20_000
SPEED = ("engine", "kernel", "n_jobs")  # parameters that change nothing but the speed
#: Parameters that may differ when training is resumed.
RESUME_WITH_OTHER = (
    "n_epochs",
    "patience",
    "progress",
    *SPEED,
    "check",
    "without_known_words",
    "warm_start",
    "word_vectors",
    "random_state",
)


class Prepared(NamedTuple):
    """What :func:`prepare` returns; a part is a tuple (tokens (n, T), targets (n,), weights (n,) or None)."""

    classes: np.ndarray  # (C,)
    vocabulary: Vocabulary | None
    fingerprint: str  # of texts, labels and weights
    state: TrainingState
    training: tuple
    validation: tuple | None


def prepare(clf, X, y, sample_weight=None, *, start="anew", classes=None, validation_fraction=0.0):
    """Check all inputs, and set up the state of training; nothing of the classifier changes.

    `start` is "anew"; "resume", with the state that training has reached; "warm", with the weights of `network_` and
    all else anew; or "more", with the state that `partial_fit` has reached. `classes` are those to expect.
    """
    check_parameters(clf.get_params())
    texts_or_ids, labels, weights = check_texts(clf, X, y, sample_weight)
    digest = fingerprint(texts_or_ids, labels, weights)
    if start == "resume":
        check_resumable(clf.get_params(), clf._trained_with, RESUME_WITH_OTHER)
        if digest != clf._fingerprint:
            raise ValueError(
                "texts, labels or weights differ from those training began with; resume needs the same ones"
            )
    elif start != "anew":
        check_warm_start(clf.get_params(), clf._trained_with)
    if start != "anew":
        classes = clf.classes_
    classes = check_classes(labels) if classes is None else check_known_labels(labels, classes)
    training, validation = split(texts_or_ids, labels, validation_fraction)
    vocabulary = build_vocabulary(clf, take(texts_or_ids, training)) if start == "anew" else clf.vocabulary_
    sequences = read(texts_or_ids, vocabulary)
    check_known_words(sequences, texts_or_ids, clf.without_known_words, may_be_unknown=validation)
    tokens, targets = pad(clf, sequences), np.searchsorted(classes, labels)
    weights = text_weights(clf.class_weight, weights, classes, targets)
    state = _state(clf, start, tokens, tokens[training], vocabulary, len(classes))
    of_training, of_validation = (_part(tokens, targets, weights, part) for part in (training, validation))
    return Prepared(classes, vocabulary, digest, state, of_training, of_validation if len(validation) else None)


def check_texts(clf, X, y, sample_weight=None):
    """Texts or ids, labels (n,) and weights (n,) or None, checked, without the texts that count for nothing."""
    texts_or_ids = check_X(X, clf.tokenizer)
    labels = check_y(y, len(texts_or_ids))
    weights = check_sample_weight(sample_weight, len(labels))
    if weights is None or weights.all():
        return texts_or_ids, labels, weights
    kept = np.flatnonzero(weights)
    return take(texts_or_ids, kept), labels[kept], weights[kept]


def read_texts(clf, X):
    """Word ids (n_texts, T) of texts to predict."""
    texts_or_ids = check_X(X, clf.tokenizer)
    sequences = read(texts_or_ids, clf.vocabulary_)
    check_known_words(sequences, texts_or_ids, clf.without_known_words)
    return pad(clf, sequences)


def find_sizes(clf, X, y):
    """The NetworkSizes that training on these texts would give."""
    check_parameters(clf.get_params())
    texts_or_ids, labels, _ = check_texts(clf, X, y)
    training, _ = split(texts_or_ids, labels, clf.validation_fraction)
    vocabulary = build_vocabulary(clf, take(texts_or_ids, training))
    n_words = count_words(clf, texts_or_ids) if vocabulary is None else len(vocabulary)
    return NetworkSizes(n_words, clf.embedding_dim, clf.hidden_size, len(check_classes(labels)), clf.bidirectional)


def sizes_given_by(clf, network, given):
    """The parameters of a classifier that a network to start from decides: its sizes, and whether it reads twice.

    ValueError if it is for other words or classes, or a parameter that is `given`, a dict, says otherwise.
    """
    instance(Network, "a Network, such as that of a classifier, clf.network_")("network", network)
    sizes, own = NetworkSizes.of(network), NetworkSizes.of(clf.network_)
    for name, what in (("n_words", "words"), ("n_classes", "classes")):
        found, expected = getattr(sizes, name), getattr(own, name)
        if found != expected:
            raise ValueError(f"the network has {found} {what}; expected {expected}, as this classifier has learnt them")
    decided = {name: getattr(sizes, name) for name in ("embedding_dim", "hidden_size", "bidirectional")}
    for name, value in decided.items():
        if given.get(name, value) != value:
            raise ValueError(f"{name} is {given[name]!r}, but the network has {value!r}: leave it out")
    return decided


def _state(clf, start, tokens, to_learn_from, vocabulary, n_classes):
    n_words = count_words(clf, tokens) if vocabulary is None else len(vocabulary)
    if start == "anew":
        check_tokens(tokens, n_words)
        return initial_state(clf, n_words, n_classes, vocabulary, to_learn_from)
    check_tokens(tokens, clf.network_.parameters["E"].shape[0])
    if start == "warm":
        return restart(clf, clf.network_, clf.training_state_.streams)
    state = writable(clf.training_state_)
    if any(getattr(clf, name) != clf._trained_with[name] for name in SPEED):
        state.use_engine(engine_of(clf))
    return state


def _part(tokens, targets, weights, chosen):
    if weights is None:
        return tokens[chosen], targets[chosen], None
    return tokens[chosen], targets[chosen], weights[chosen] / weights[chosen].mean() if len(chosen) else None


def build_vocabulary(clf, texts_or_ids):
    """The vocabulary of the texts to learn from, without the validation texts; None for word ids."""
    if isinstance(texts_or_ids, np.ndarray):
        return None
    return Vocabulary.build(texts_or_ids, max_size=clf.vocabulary_size or DEFAULT_VOCABULARY_SIZE)


def count_words(clf, ids):
    """V, for word ids."""
    return int(ids.max()) + 1 if clf.vocabulary_size is None else clf.vocabulary_size


def pad(clf, sequences):
    """Word ids of shape (n_texts, T), int."""
    if isinstance(sequences, np.ndarray):
        return sequences
    return pad_sequences(sequences, clf.max_length, padding=clf.padding, truncating=clf.truncating)
