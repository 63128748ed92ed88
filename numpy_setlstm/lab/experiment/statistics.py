"""Statistics over seeds: means, spreads, and paired differences with a bootstrap interval.

Each bootstrap replicate draws seeds and test texts with replacement, the same texts for all seeds and both networks:
what makes a text hard cancels. The interval is that of the percentiles (B. Efron and R. J. Tibshirani (1993), "An
Introduction to the Bootstrap", chapter 13). It covers two sources of chance, the seeds used and the texts in the test
set; it does not cover the choice of the training texts, which all networks share, or of the settings. With n seeds it
understates their part by a factor of about sqrt((n - 1) / n): with five or fewer, it is only indicative. With one seed
only the texts are resampled, and the interval is about these two networks.
"""

from dataclasses import dataclass

import numpy as np

REPLICATES = 4000
LEVEL = 0.95
N_CELLS = 4  # of the confusion table of two labels: (label, predicted) = (0, 0), (0, 1), (1, 0), (1, 1)


def confusion_counts(predicted, labels):
    """Counts of (label, predicted) = (0, 0), (0, 1), (1, 0), (1, 1), shape (4,), for two arrays of 0 and 1."""
    return np.bincount(_cells(predicted, labels), minlength=N_CELLS)


def _cells(predicted, labels):
    return 2 * np.asarray(labels, dtype=int) + np.asarray(predicted, dtype=int)


def accuracy(counts):
    """Fraction of the texts predicted correctly; `counts` of shape (..., 4)."""
    return (counts[..., 0] + counts[..., 3]) / counts.sum(axis=-1)


def balanced_accuracy(counts):
    """Mean of the accuracies per label, over the labels that occur."""
    negatives, positives = counts[..., 0] + counts[..., 1], counts[..., 2] + counts[..., 3]
    shares = _ratio(counts[..., 0], negatives) + _ratio(counts[..., 3], positives)
    return shares / ((negatives > 0).astype(int) + (positives > 0))


def macro_f1(counts):
    """Mean over the labels of F1 = 2 · correct / (predicted + actual); 0 for a label neither predicted nor actual."""
    wrong = counts[..., 1] + counts[..., 2]
    negative = _ratio(2 * counts[..., 0], 2 * counts[..., 0] + wrong)
    positive = _ratio(2 * counts[..., 3], 2 * counts[..., 3] + wrong)
    return (negative + positive) / 2


def _ratio(part, whole):
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) > 0)


METRICS = {"accuracy": accuracy, "balanced accuracy": balanced_accuracy, "macro F1": macro_f1}


def mean_and_spread(values):
    """Mean and standard deviation (n - 1 in the denominator) over seeds; the latter is None for one seed."""
    values = np.asarray(values, dtype=float)
    return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None


@dataclass(frozen=True)
class Difference:
    """Mean over seeds of a metric of one network minus that of another, with the ends of its interval."""

    mean: float
    low: float
    high: float
    n_seeds: int


def paired_difference(predicted, reference, labels, metric=accuracy, *, seed=0, replicates=REPLICATES, level=LEVEL):
    """Bootstrap the difference of a metric between two networks.

    `predicted` and `reference`, of shape (n_seeds, n_texts), are bool, with the same seed in row k; `labels`, of shape
    (n_texts,), are 0 or 1. `seed` is that of the resampling.
    """
    predicted, reference, labels = (np.asarray(array, dtype=bool) for array in (predicted, reference, labels))
    if predicted.shape != reference.shape or predicted.shape[1:] != labels.shape:
        raise ValueError(
            f"predicted has shape {predicted.shape}, reference {reference.shape} and labels {labels.shape}; expected "
            "(n_seeds, n_texts) twice and (n_texts,)"
        )
    n_seeds, n_texts = predicted.shape
    # Texts with the same label and predictions are exchangeable: their numbers follow a multinomial distribution.
    patterns, counts = np.unique(np.vstack([labels, predicted, reference]), axis=1, return_counts=True)  # (1+2S, U)
    cells = _cells(patterns[1:], patterns[0])  # (2S, U)
    in_cell = (cells[..., None] == np.arange(N_CELLS)).transpose(1, 0, 2).reshape(len(counts), -1)  # (U, 2S·4)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n_texts, counts / n_texts, size=replicates)  # (R, U)

    def differences(weights):
        values = metric((weights @ in_cell).reshape(-1, 2, n_seeds, N_CELLS))  # (R, 2, S)
        return values[:, 0] - values[:, 1]  # (R, S)

    chosen = rng.integers(n_seeds, size=(replicates, n_seeds))  # (R, S)
    means = np.take_along_axis(differences(drawn), chosen, axis=1).mean(axis=1)  # (R,)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Difference(float(differences(counts[None]).mean()), float(low), float(high), n_seeds)
