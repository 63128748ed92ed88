"""Tests of the synthetic reviews: the rules of the grammar classify all of them correctly, word counts do not."""

import re
from collections import Counter

import numpy as np
import pytest

from numpy_setlstm.datasets import make_reviews
from numpy_setlstm.datasets.synthetic import ADJECTIVES, MIX
from numpy_setlstm.text import Vocabulary, tokenize

NEGATORS = {"not", "wasn't", "never", "hardly", "far", "nobody"}


def classify(text):
    """Classify a review by nothing but the four rules at the top of synthetic.py."""
    opinion, is_negated, is_conceded = 0, False, False
    for word in tokenize(text):
        polarity = 1 if word in ADJECTIVES[1] else -1 if word in ADJECTIVES[0] else 0
        if polarity:
            if not is_conceded:
                opinion = -polarity if is_negated else polarity
            is_negated = is_conceded = False
        elif word in NEGATORS:
            is_negated = True
        elif word in ("although", "though"):
            is_conceded = True
        elif word == "wrong":
            opinion = -opinion
    return int(opinion > 0)


def test_the_four_rules_classify_every_review_correctly():
    texts, labels = make_reviews(3000, np.random.default_rng(0), max_fillers=3)
    assert [classify(text) for text in texts] == labels.tolist()


def test_the_same_generator_state_gives_the_same_reviews():
    first, second = (make_reviews(50, np.random.default_rng(3)) for _ in range(2))
    assert first[0] == second[0]
    np.testing.assert_array_equal(first[1], second[1])
    assert make_reviews(50, np.random.default_rng(4))[0] != first[0]


@pytest.mark.parametrize("n", [0, 1, 7, 100])
def test_the_labels_are_balanced(n):
    texts, labels = make_reviews(n, np.random.default_rng(n))
    assert len(texts) == n
    assert labels.shape == (n,) and labels.dtype == np.int64
    assert labels.sum() == n // 2


def test_size_of_the_vocabulary_and_of_the_reviews():
    texts, _ = make_reviews(4000, np.random.default_rng(0))
    lengths = [len(tokenize(text)) for text in texts]
    assert 8 <= min(lengths) and max(lengths) <= 48
    assert np.percentile(lengths, 99) <= 40
    assert 300 <= len(Vocabulary.build(texts)) <= 600
    assert len(set(texts)) > 3980  # almost no duplicates


def test_adjectives_have_one_polarity():
    assert not set(ADJECTIVES[0]) & set(ADJECTIVES[1])
    assert len(ADJECTIVES[0]) == len(ADJECTIVES[1])


@pytest.mark.parametrize("max_fillers", [1, 4])
def test_fillers_come_between_an_opinion_and_the_verdict_on_it(max_fillers):
    texts, _ = make_reviews(300, np.random.default_rng(0), mix={"verdict": 1}, max_fillers=max_fillers)
    counts = Counter()
    for text in texts:
        sentences = text.split(". ")
        claim = next(k for k, s in enumerate(sentences) if re.search("swore that|told everyone|promised me", s))
        verdict = next(k for k, s in enumerate(sentences) if re.search("was (right|wrong)", s))
        assert claim + 2 <= verdict
        counts[len(sentences) - 2] += 1
    assert set(counts) == set(range(1, max_fillers + 1))


def test_each_kind_of_review_can_be_generated_alone():
    marks = {
        "negation": "|".join(NEGATORS),
        "contrast": "but",
        "concession": "although|even though",
        "verdict": "right|wrong",
    }
    for kind, pattern in marks.items():
        texts, _ = make_reviews(50, np.random.default_rng(0), mix={kind: 1})
        assert all(re.search(rf"\b({pattern})\b", text, re.IGNORECASE) for text in texts), kind


def test_a_contrast_is_between_two_things():
    texts, _ = make_reviews(500, np.random.default_rng(0), mix={"contrast": 1, "concession": 1})
    adjectives = ADJECTIVES[0] + ADJECTIVES[1]
    for text in texts:
        assert sum(word in adjectives for word in tokenize(text)) == 2
        assert classify(text) in (0, 1)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"mix": {}}, "mix is {}; expected a dict"),
        ({"mix": {"sonnet": 1}}, "mix is {'sonnet': 1}; expected"),
        ({"mix": ["plain"]}, "mix is ['plain']; expected a dict"),
        ({"mix": {"plain": -1, "verdict": 2}}, "mix['plain'] is -1; expected a finite number"),
        ({"mix": {"plain": np.nan}}, "mix['plain'] is nan; expected"),
        ({"mix": {"plain": "much"}}, "mix['plain'] is 'much'; expected"),
        ({"mix": {"plain": 0}}, "the sum 0; expected"),
        ({"max_fillers": 0}, "max_fillers is 0; expected a whole number of at least 1"),
        ({"max_fillers": 1.5}, "max_fillers is 1.5; expected"),
        ({"n": -1}, "n is -1; expected a whole number of at least 0"),
        ({"n": 2.5}, "n is 2.5; expected"),
        ({"n": True}, "n is True; expected"),
    ],
)
def test_unusable_settings_are_rejected(kwargs, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make_reviews(**{"n": 3, "rng": np.random.default_rng(0)} | kwargs)


def test_a_seed_is_no_generator():
    with pytest.raises(TypeError, match="rng is 0; expected a Generator, such as numpy.random.default_rng"):
        make_reviews(3, 0)


def bag_of_ngrams_accuracy(longest, mix=None):
    """Return the accuracy of a logistic regression on the counts of sequences of up to `longest` words."""
    text_features = pytest.importorskip("sklearn.feature_extraction.text", reason="needs scikit-learn")
    from sklearn.linear_model import LogisticRegression

    texts, labels = make_reviews(5000, np.random.default_rng(0), mix=mix)
    counter = text_features.CountVectorizer(tokenizer=tokenize, token_pattern=None, ngram_range=(1, longest))
    counts = counter.fit_transform(texts[:4000])
    classifier = LogisticRegression(max_iter=1000).fit(counts, labels[:4000])
    return classifier.score(counter.transform(texts[4000:]), labels[4000:])


def test_word_counts_are_of_little_use():
    assert bag_of_ngrams_accuracy(1) < 0.65
    assert 0.7 < bag_of_ngrams_accuracy(2) < 0.9


def test_the_difficulty_is_the_order_of_the_words():
    assert bag_of_ngrams_accuracy(1, mix={"plain": 1}) > 0.99
    for kind in set(MIX) - {"plain", "negation"}:
        assert bag_of_ngrams_accuracy(1, mix={kind: 1}) < 0.6, kind
