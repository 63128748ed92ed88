"""What a data set is here: texts with labels, in a training part and a test part."""

from dataclasses import dataclass

import numpy as np

NEGATIVE, POSITIVE = 0, 1


class DatasetError(ValueError):
    """A data file is missing, damaged or not in the expected format; the message says how to mend it."""


@dataclass(frozen=True, eq=False, repr=False)
class Reviews:
    """Texts and their labels, split into a part to train on and a part to test on.

    Attributes
    ----------
    name : str
        "imdb", "sanders", "yelp" or "amazon".
    train_texts, test_texts : list of str
        As they stand in the file, with all their HTML, line breaks and so on.
    train_labels, test_labels : ndarray of shape (N,), int64
        Positions in `label_names`: 0 negative, 1 positive.
    label_names : tuple of str
    rule : str
        One sentence that says how the labels were made.

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
    """Turn one to five stars into a label.

    Parameters
    ----------
    stars : str, int or float
        From 1 to 5; "4" and 4.0 mean the same.
    where : str
        The place in the file, for the error message.

    Returns
    -------
    int or None
        0 for one or two stars, 1 for four or five, None for three, which say neither.

    Raises
    ------
    DatasetError
        If `stars` is not a whole number from 1 to 5.

    Examples
    --------
    >>> [label_from_stars(stars, "row 1") for stars in (1, 2, "3", "4", 5.0)]
    [0, 0, None, 1, 1]
    """
    try:
        number = float(stars)
    except (TypeError, ValueError):
        number = None
    if number not in (1, 2, 3, 4, 5):
        raise DatasetError(f"{where}: the stars are {stars!r}, expected a whole number from 1 to 5")
    if number == 3:
        return None
    return POSITIVE if number > 3 else NEGATIVE
