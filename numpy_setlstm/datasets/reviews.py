"""The class of a data set: texts with labels, in a training part and a test part."""

import re
import reprlib
import textwrap
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
        Of :data:`DATASETS`, or that of the file, without its extension.
    train_texts, test_texts : list of str
        As in the files, including HTML and line breaks.
    train_labels, test_labels : ndarray of shape (N,), int64
        Indices into `label_names`: 0 negative, 1 positive.
    label_names : tuple of str
        ("negative", "positive"), or the labels of a file of your own, sorted.
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
        if self.label_names != ("negative", "positive"):
            names = textwrap.shorten(", ".join(self.label_names), 60, placeholder=" ...")
            sizes = f"train {len(self.train_labels):,}, test {len(self.test_labels):,}"
            return f"Reviews({self.name}: {sizes}, labels {names})"
        sizes = [
            f"{part} {len(labels):,} ({np.mean(labels):.0%} positive)"
            for part, labels in (("train", self.train_labels), ("test", self.test_labels))
        ]
        return f"Reviews({self.name}: {', '.join(sizes)})"


def shown(value):
    """Return a value as an error message shows it: on one line, and not longer than a line."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    return short.repr(value)


def label_from_stars(stars, where):
    """Return 0 for one or two stars, 1 for four or five, None for three; `where` is for the error message."""
    number = stars
    if isinstance(stars, str) and re.fullmatch(r"\s*[1-5](\.0*)?\s*", stars):
        number = float(stars)
    if isinstance(number, (bool, str)) or number not in (1, 2, 3, 4, 5):
        raise DatasetError(f"{where}: the stars are {shown(stars)}; expected a whole number from 1 to 5")
    if number == 3:
        return None
    return POSITIVE if number > 3 else NEGATIVE


def check_text(text, where):
    """Return the text of a review, or raise a DatasetError if it is none; `where` is for the error message."""
    if not isinstance(text, str):
        raise DatasetError(f"{where} is {shown(text)}; expected a string: fix the line or get the file again")
    if "\0" in text:
        raise DatasetError(f"{where} has a NUL character: save the file as UTF-8, or get the original file")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            half = f"\\u{ord(text[error.start]):04x}"
            raise DatasetError(f"{where} has half a character, {half}: fix the line or get the file again") from error
    return text


def label_by_stars(rows, stars, text):
    """Return the texts and labels of rows (where, dict), without those of three stars, given the two column names."""
    texts, labels = [], []
    for where, row in rows:
        label = label_from_stars(row[stars], where)
        content = check_text(row[text], f"{where}: the field {text!r}")
        if label is not None:
            texts.append(content)
            labels.append(label)
    return texts, labels
