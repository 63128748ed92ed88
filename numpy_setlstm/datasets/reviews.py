"""The class of a data set: texts with labels, in a training part and a test part."""

from dataclasses import dataclass

import numpy as np

NEGATIVE, POSITIVE = 0, 1


class DatasetError(ValueError):
    """A data file is missing, damaged or not in the expected format; the message says how to fix it."""


@dataclass(frozen=True, eq=False, repr=False)
class Reviews:
    """Texts and their labels, split into a training part and a test part.

    Attributes
    ----------
    name : str
        "imdb", "sanders", "yelp" or "amazon".
    train_texts, test_texts : list of str
        As in the files, including HTML and line breaks.
    train_labels, test_labels : ndarray of shape (N,), int64
        Indices into `label_names`: 0 negative, 1 positive.
    label_names : tuple of str
    rule : str
        How the labels were assigned, in one sentence.

    Examples
    --------
    >>> texts, labels = ["good", "bad"], np.array([1, 0])
    >>> Reviews("mine", texts, labels, texts[:1], labels[:1], "I said so")
    Reviews(mine: train 2 (50% positive), test 1 (100% positive))
    """

    name: str
    train_texts: list
    train_labels: np.ndarray
    test_texts: list
    test_labels: np.ndarray
    rule: str
    label_names: tuple = ("negative", "positive")

    def __repr__(self):
        sizes = [
            f"{part} {len(labels):,} ({np.mean(labels):.0%} positive)"
            for part, labels in (("train", self.train_labels), ("test", self.test_labels))
        ]
        return f"Reviews({self.name}: {', '.join(sizes)})"


def label_from_stars(stars, where):
    """Return 0 for one or two stars, 1 for four or five, None for three; `where` is for the error message."""
    try:
        number = float(stars)
    except (TypeError, ValueError):
        number = None
    if number not in (1, 2, 3, 4, 5):
        raise DatasetError(f"{where}: the stars are {stars!r}; expected a whole number from 1 to 5")
    if number == 3:
        return None
    return POSITIVE if number > 3 else NEGATIVE


def label_by_stars(rows, stars, text):
    """Return the texts and labels of rows (where, dict), without those of three stars, given the two column names."""
    texts, labels = [], []
    for where, row in rows:
        label = label_from_stars(row[stars], where)
        if label is not None:
            texts.append(row[text])
            labels.append(label)
    return texts, labels
