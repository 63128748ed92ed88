"""Metrics compared with scikit-learn's, and the bootstrap with results by hand and by brute force."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from numpy_setlstm.lab.experiment.statistics import METRICS, confusion_counts, mean_and_spread, paired_difference

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_metrics_agree_with_scikit_learn(share):
    labels, predicted = RNG.random(300) < share, RNG.random(300) < 0.6
    counts = confusion_counts(predicted, labels)
    assert METRICS["accuracy"](counts) == pytest.approx(accuracy_score(labels, predicted))
    assert METRICS["balanced accuracy"](counts) == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert METRICS["macro F1"](counts) == pytest.approx(f1_score(labels, predicted, average="macro"))


def test_metrics_where_a_label_is_missing():
    assert METRICS["balanced accuracy"](confusion_counts([1, 0], [1, 1])) == 0.5
    assert METRICS["macro F1"](confusion_counts([1, 1], [1, 1])) == 0.5  # F1 of the absent label is 0


def test_mean_and_spread_by_hand():
    assert mean_and_spread([0.8, 0.9, 1.0]) == (pytest.approx(0.9), pytest.approx(0.1))
    assert mean_and_spread([0.8]) == (0.8, None)


def test_a_network_does_not_differ_from_itself():
    predicted, labels = RNG.random((3, 50)) < 0.5, RNG.random(50) < 0.5
    for metric in METRICS.values():
        difference = paired_difference(predicted, predicted, labels, metric)
        assert (difference.mean, difference.low, difference.high) == (0, 0, 0)


def test_one_seed_gives_the_interval_of_the_binomial_distribution():
    """All labels are 1, the reference is always wrong, ours is correct on half: the difference is binomial."""
    n = 400
    labels, predicted = np.ones(n, bool), (np.arange(n) % 2 == 0)[None]
    difference = paired_difference(predicted, np.zeros((1, n), bool), labels, replicates=20_000)
    half_width = 1.96 * np.sqrt(0.25 / n)
    assert difference.mean == 0.5 and difference.n_seeds == 1
    assert difference.low == pytest.approx(0.5 - half_width, abs=0.004)
    assert difference.high == pytest.approx(0.5 + half_width, abs=0.004)


def test_seeds_are_resampled_too():
    """Two seeds that differ, on identical texts: the mean is 0, 1/2 or 1 with probabilities 1/4, 1/2, 1/4."""
    labels = np.ones(20, bool)
    predicted = np.array([np.zeros(20, bool), np.ones(20, bool)])
    difference = paired_difference(predicted, np.zeros((2, 20), bool), labels)
    assert (difference.mean, difference.low, difference.high, difference.n_seeds) == (0.5, 0.0, 1.0, 2)
    middle = paired_difference(predicted, np.zeros((2, 20), bool), labels, level=0.4)  # quantiles 0.3 and 0.7
    assert (middle.low, middle.high) == (0.5, 0.5)


@pytest.mark.parametrize("name", METRICS)
def test_the_interval_equals_that_of_drawing_texts_one_by_one(name):
    rng, metric = np.random.default_rng(1), METRICS[name]
    labels = rng.random(80) < 0.7
    predicted, reference = (np.where(rng.random((3, 80)) < right, labels, ~labels) for right in (0.85, 0.7))
    means = []
    for _ in range(4000):
        texts, seeds = rng.integers(80, size=80), rng.integers(3, size=3)
        values = [
            metric(confusion_counts(predicted[k][texts], labels[texts]))
            - metric(confusion_counts(reference[k][texts], labels[texts]))
            for k in seeds
        ]
        means.append(np.mean(values))
    difference = paired_difference(predicted, reference, labels, metric)
    np.testing.assert_allclose([difference.low, difference.high], np.quantile(means, [0.025, 0.975]), atol=0.012)
    by_seed = [
        metric(confusion_counts(p, labels)) - metric(confusion_counts(r, labels))
        for p, r in zip(predicted, reference, strict=True)
    ]
    assert difference.mean == pytest.approx(np.mean(by_seed))


def test_pairing_makes_the_interval_narrower_than_independent_texts_would():
    """Two networks that are wrong on nearly the same texts differ by little."""
    labels = np.ones(500, bool)
    ours = np.arange(500)[None] >= 150
    theirs = np.arange(500)[None] >= 155
    difference = paired_difference(ours, theirs, labels)
    assert difference.mean == pytest.approx(0.01) and difference.high - difference.low < 0.02


def test_the_same_seed_gives_the_same_interval():
    labels, predicted, reference = RNG.random(60) < 0.5, RNG.random((2, 60)) < 0.5, RNG.random((2, 60)) < 0.5
    assert paired_difference(predicted, reference, labels) == paired_difference(predicted, reference, labels)
    assert paired_difference(predicted, reference, labels) != paired_difference(predicted, reference, labels, seed=1)


def test_inconsistent_shapes_are_rejected():
    with pytest.raises(ValueError, match=r"predicted has shape \(2, 3\), reference \(1, 3\)"):
        paired_difference(np.zeros((2, 3)), np.zeros((1, 3)), np.zeros(3))
