"""How many connections each word begins with: alike, one at least, or more for frequent words."""

import numpy as np
import pytest

from numpy_setlstm import SetLSTMClassifier
from numpy_setlstm.initialization import NetworkSizes, init_network

SIZES = NetworkSizes(n_words=101, embedding_dim=20, hidden_size=4, n_classes=2)
TEXTS = ["often often often seldom", "often often never", "often once"] * 10
LABELS = [0, 1, 1] * 10


def connections(er_epsilon=2.0, **options):
    """Of each word but the padding, and the embedding."""
    E = init_network(SIZES, *np.random.default_rng(0).spawn(2), er_epsilon=er_epsilon, **options).parameters["E"]
    counts = np.bincount(E.rows, minlength=101)
    assert counts[0] == 0 and E.nnz == round(er_epsilon * 121)
    return counts[1:]


def test_every_word_has_a_connection_if_there_are_enough():
    assert connections().min() == 0
    assert set(connections(every_word=True)) == {2, 3}  # 242 connections for 100 words


def test_if_they_do_not_suffice_the_words_of_larger_weight_have_one_each():
    assert connections(0.5, every_word=True).tolist() == [1] * 60 + [0] * 40  # 60.5 rounds to 60
    weights = np.where(np.arange(101) % 2, 1.0, 5.0)
    found = connections(0.5, every_word=True, word_weights=weights)  # the even ones first: 50 of them
    assert found[1::2].tolist() == [1] * 50 and found[0::2].tolist() == [1] * 10 + [0] * 40


def test_connections_follow_the_weights_and_the_padding_has_none():
    weights = np.r_[1e9, np.full(50, 1.0), np.full(50, 4.0)]
    counts = connections(word_weights=weights)
    assert (counts[:50].sum(), counts[50:].sum()) in ((48, 194), (49, 193))  # 242, one to four
    full = connections(word_weights=np.r_[1.0, 1e6, np.full(99, 1.0)])
    assert full[0] == 20


def test_few_connections_follow_the_weights_too_and_these_may_be_a_list():
    counts = connections(0.5, word_weights=[1.0] * 51 + [0.01] * 50)
    assert counts[:50].sum() == 59 or counts[:50].sum() == 60


def test_first_weights_of_words_have_the_scale_and_the_type_that_are_asked_for():
    rngs = np.random.default_rng(0).spawn(2)
    network = init_network(SIZES, *rngs, er_epsilon=8.0, every_word=True, embedding_scale=0.1, dtype=np.float32)
    E = network.parameters["E"]
    assert E.dtype == np.float32 and abs(E.values.mean()) < 0.01 and 0.09 < E.values.std() < 0.11


@pytest.mark.parametrize("weights", [np.ones(100), np.zeros(101), np.r_[np.ones(100), np.nan], -np.ones(101)])
def test_weights_of_words_that_cannot_be_are_refused(weights):
    with pytest.raises(ValueError, match=r"word_weights have shape .*; expected \(101,\), and finite numbers above 0"):
        connections(word_weights=weights)


@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_a_classifier_counts_words_in_the_texts_to_learn_from(exponent):
    small = {"embedding_dim": 40, "hidden_size": 4, "er_epsilon": 0.7, "n_epochs": 1, "validation_fraction": 0}
    clf = SetLSTMClassifier("static", frequency_exponent=exponent, random_state=0, **small).fit(TEXTS, LABELS)
    E = clf.network_.parameters["E"]
    counts = dict(zip(clf.vocabulary_.words, np.bincount(E.rows, minlength=6), strict=True))
    occurrences = {"often": 60, "seldom": 10, "never": 10, "once": 10, "<unknown>": 1}
    total = sum(n**exponent for n in occurrences.values())
    for word, n in occurrences.items():
        assert abs(counts.get(word, counts[clf.vocabulary_.words[1]]) - min(40, E.nnz * n**exponent / total)) <= 1, word


def test_a_dense_embedding_is_as_it_was():
    networks = [
        SetLSTMClassifier("dense", embedding_dim=4, hidden_size=4, n_epochs=1, random_state=0, **options)
        .fit(TEXTS, LABELS).network_.parameters["E"]
        for options in ({}, {"every_word": True, "frequency_exponent": 1.0})
    ]  # fmt: skip
    np.testing.assert_array_equal(*networks)
