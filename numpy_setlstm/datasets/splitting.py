"""Splits that keep all copies of a text on one side.

Reviews have copies: a review listed under several products, a tweet that many people retweeted. A copy of a training
text in the test part would be recognized instead of judged, and the accuracy would be too high.
"""

import numbers
import re

import numpy as np

from numpy_setlstm.datasets.reviews import DatasetError, Reviews, shown

_LINK_OR_USER = re.compile(r"(?:https?://|www\.)\S+|@\w+")
_NO_WORD = re.compile(r"[\W_]+")
_TWEET_KEY_LENGTH = 60


def text_key(text):
    """Return a key that is equal for texts that differ only in case and whitespace."""
    return " ".join(text.lower().split())


def tweet_key(text):
    """Return a key that ignores links, user names, punctuation and a leading "RT".

    It has the first 60 characters only, because retweets were truncated: to 140 characters, including the user name.
    """
    words = _NO_WORD.sub(" ", _LINK_OR_USER.sub(" ", text.lower())).strip()
    return words.removeprefix("rt ")[:_TWEET_KEY_LENGTH]


def split_by_text(texts, labels, fraction, rng, *, key=text_key):
    """Hold out a fraction of the texts of each label, with all copies of a text on one side.

    Parameters
    ----------
    texts : sequence of str, or of sequences of int
        N texts, or lists or rows of word ids.
    labels : array_like of shape (N,)
    fraction : float
        Fraction to hold out, in [0, 1).
    rng : numpy.random.Generator
    key : callable, optional
        Texts with equal keys are copies. Not used for word ids, which are compared directly.

    Returns
    -------
    kept_indices, held_out_indices : ndarray of shape (n,), int64
        Increasing; together they are 0, ..., N - 1.

    Raises
    ------
    ValueError
        If `fraction` is no number in [0, 1), `texts` is a str, or `texts` and `labels` differ in length.
    TypeError
        If a text is neither a str nor a sequence.

    Notes
    -----
    If `fraction` is above 0, each label with at least two different texts is on both sides. Copies with different
    labels have the label of the first.

    Examples
    --------
    >>> texts = ["good", "bad", "Good ", "fine", "dull", "awful"]
    >>> kept, held_out = split_by_text(texts, [1, 0, 1, 1, 0, 0], 1 / 3, np.random.default_rng(0))
    >>> [texts[k] for k in kept], [texts[k] for k in held_out]
    (['good', 'bad', 'Good ', 'dull'], ['fine', 'awful'])
    """
    labels = np.asarray(labels)
    check_fraction(fraction)
    if labels.ndim != 1 or isinstance(texts, str) or len(texts) != len(labels):
        raise ValueError(
            f"there are {len(texts)} texts and labels of shape {labels.shape}; expected a list of texts and one label "
            "per text"
        )
    copies_of = {}  # key -> positions of all copies of that text
    for position, text in enumerate(texts):
        try:
            copies_of.setdefault(key(text) if isinstance(text, str) else tuple(text), []).append(position)
        except TypeError:
            raise TypeError(f"text {position} is {shown(text)}; expected a str or a sequence of word ids") from None
    groups = list(copies_of.values())
    group_labels = labels[[group[0] for group in groups]]
    held_out = []
    for label in np.unique(group_labels):
        members = np.flatnonzero(group_labels == label)
        held_out += _draw_groups([groups[k] for k in rng.permutation(members)], fraction)
    is_held_out = np.zeros(len(texts), dtype=bool)
    is_held_out[held_out] = True
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def check_fraction(fraction, name="fraction"):
    """Raise a ValueError for a fraction that is no number in [0, 1)."""
    if not isinstance(fraction, numbers.Real) or isinstance(fraction, bool) or not 0 <= fraction < 1:
        raise ValueError(f"{name} is {shown(fraction)}; expected a number in [0, 1)")


def _draw_groups(groups, fraction):
    """Return the members of the groups that fit, in order, into a fraction of all members."""
    if fraction == 0 or len(groups) < 2:
        return []
    size = sum(map(len, groups))
    wanted = min(max(round(fraction * size), 1), size - 1)  # at least one on each side
    drawn = []
    for group in groups:
        if len(drawn) + len(group) <= wanted:
            drawn += group
    return drawn or min(groups, key=len)


def split_reviews(
    name, texts, labels, rule, test_fraction, seed, key=text_key, source=None, label_names=("negative", "positive")
):
    """Return the Reviews of texts without an official split; texts whose copies have different labels are dropped."""
    check_fraction(test_fraction, "test_fraction")
    label_of = {}  # key -> the label of all its texts, or None if they have several
    for text, label in zip(texts, labels, strict=True):
        k = key(text)
        label_of[k] = label if label_of.get(k, label) == label else None
    clear = [position for position, text in enumerate(texts) if label_of[key(text)] is not None]
    del label_of
    if not clear:
        source = source or f"the file of {name}"
        raise DatasetError(
            f"{source} holds no labeled review without a copy that has another label: is it the right file?"
        )
    texts, labels = [texts[k] for k in clear], np.array([labels[k] for k in clear], dtype=np.int64)
    try:
        rng = np.random.default_rng(seed)
    except (TypeError, ValueError):
        raise ValueError(f"seed is {shown(seed)}; expected a whole number of at least 0, or a Generator") from None
    train, test = split_by_text(texts, labels, test_fraction, rng, key=key)
    return Reviews(
        name=name,
        train_texts=[texts[k] for k in train],
        train_labels=labels[train],
        test_texts=[texts[k] for k in test],
        test_labels=labels[test],
        rule=rule,
        label_names=label_names,
    )
