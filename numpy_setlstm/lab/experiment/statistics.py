"""What the numbers of several seeds say: means, spreads, and paired differences with an interval."""

from dataclasses import dataclass

import numpy as np

REPLICATES = 4000
LEVEL = 0.95
N_CELLS = 4  # of a confusion table of two labels: (label, predicted) = (0, 0), (0, 1), (1, 0), (1, 1)


def confusion_counts(predicted, labels):
    """How often each pair of label and prediction occurs.

    Parameters
    ----------
    predicted, labels : array_like of shape (n_texts,)
        0 or 1.

    Returns
    -------
    ndarray of shape (4,), int
        Of (label, predicted) = (0, 0), (0, 1), (1, 0), (1, 1).

    Examples
    --------
    >>> confusion_counts([0, 1, 1, 1], [0, 0, 1, 1]).tolist()
    [1, 1, 0, 2]
    """
    return np.bincount(_cells(predicted, labels), minlength=N_CELLS)


def _cells(predicted, labels):
    return 2 * np.asarray(labels, dtype=int) + np.asarray(predicted, dtype=int)


def accuracy(counts):
    """Share of the texts that are right; `counts` of shape (..., 4)."""
    return (counts[..., 0] + counts[..., 3]) / counts.sum(axis=-1)


def balanced_accuracy(counts):
    """Mean over the labels of the share that is right; a label that does not occur does not count.

    Examples
    --------
    >>> float(balanced_accuracy(np.array([1, 1, 0, 2])))
    0.75
    """
    negatives, positives = counts[..., 0] + counts[..., 1], counts[..., 2] + counts[..., 3]
    shares = _ratio(counts[..., 0], negatives) + _ratio(counts[..., 3], positives)
    return shares / ((negatives > 0).astype(int) + (positives > 0))


def macro_f1(counts):
    """Mean over the labels of F1 = 2 · right / (predicted + there); 0 for a label that nobody predicts or has.

    Examples
    --------
    >>> round(float(macro_f1(np.array([1, 1, 0, 2]))), 4)
    0.7333
    """
    wrong = counts[..., 1] + counts[..., 2]
    negative = _ratio(2 * counts[..., 0], 2 * counts[..., 0] + wrong)
    positive = _ratio(2 * counts[..., 3], 2 * counts[..., 3] + wrong)
    return (negative + positive) / 2


def _ratio(part, whole):
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=np.asarray(whole) > 0)


METRICS = {"accuracy": accuracy, "balanced accuracy": balanced_accuracy, "macro F1": macro_f1}


def mean_and_spread(values):
    """Mean and standard deviation over seeds.

    Parameters
    ----------
    values : sequence of float
        One per seed.

    Returns
    -------
    mean : float
    spread : float or None
        With n - 1 in the denominator; None for one seed, which has none.

    Examples
    --------
    >>> mean_and_spread([1.0, 3.0])
    (2.0, 1.4142135623730951)
    """
    values = np.asarray(values, dtype=float)
    return float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None


@dataclass(frozen=True)
class Difference:
    """A paired difference between two kinds of networks.

    Attributes
    ----------
    mean : float
        Mean over seeds of (metric of the one - metric of the other).
    low, high : float
        Ends of the interval.
    n_seeds : int
        Pairs that it rests on. With one, the interval knows nothing of the spread over seeds.
    """

    mean: float
    low: float
    high: float
    n_seeds: int


def paired_difference(predicted, reference, labels, metric=accuracy, *, seed=0, replicates=REPLICATES, level=LEVEL):
    """Difference of a metric between two kinds of networks on the same texts, with a bootstrap interval.

    Parameters
    ----------
    predicted, reference : ndarray of shape (n_seeds, n_texts), bool
        What the networks predict for each test text; row k of both has the same seed.
    labels : ndarray of shape (n_texts,)
        0 or 1.
    metric : callable
        One of :data:`METRICS`.
    seed : int
        Of the resampling, so that a table comes out the same each time.
    replicates : int
    level : float in (0, 1)

    Returns
    -------
    Difference

    Notes
    -----
    Each replicate draws as many seeds as there are, with replacement, and as many test texts as there are, with
    replacement; the same texts for all seeds and for both networks, so that what makes a text hard cancels. The
    interval is that of the percentiles (B. Efron and R. J. Tibshirani (1993), "An Introduction to the Bootstrap",
    chapter 13).

    It covers two sources of chance: which seeds were used, and which texts are in the test set. It covers neither the
    choice of the training texts (all networks learn from the same ones) nor that of the settings. With n seeds it
    understates their part, by a factor of about sqrt((n - 1) / n): with five or fewer, take it for a hint. With one
    seed only the texts are resampled: the interval then is about these two networks.

    Texts with the same label and the same predictions are exchangeable; so their numbers are drawn from a multinomial
    distribution, instead of the texts one by one.

    Examples
    --------
    >>> labels = np.array([0, 1] * 50)
    >>> difference = paired_difference(labels[None] > 0, np.zeros((1, 100), bool), labels)
    >>> difference.mean, difference.n_seeds
    (0.5, 1)
    """
    predicted, reference, labels = (np.asarray(array, dtype=bool) for array in (predicted, reference, labels))
    if predicted.shape != reference.shape or predicted.shape[1:] != labels.shape:
        raise ValueError(
            f"predicted has shape {predicted.shape}, reference {reference.shape} and labels {labels.shape}; expected "
            "(n_seeds, n_texts) twice and (n_texts,)"
        )
    n_seeds, n_texts = predicted.shape
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
