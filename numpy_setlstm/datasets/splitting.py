"""Splits that keep all copies of a text on one side.

Reviews have copies: a review listed under several products, a tweet that many people retweeted. A copy of a training
text in the test part would be recognized instead of judged, and the accuracy would be too high.
"""

import re

import numpy as np

from numpy_setlstm.datasets.reviews import DatasetError, Reviews

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
        If `fraction` is outside [0, 1), or `texts` and `labels` differ in length.

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
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction is {fraction}; expected a number in [0, 1)")
    if len(texts) != len(labels):
        raise ValueError(f"there are {len(texts)} texts and {len(labels)} labels; expected one label per text")
    copies_of = {}  # key -> positions of all copies of that text
    for position, text in enumerate(texts):
        copies_of.setdefault(key(text) if isinstance(text, str) else tuple(text), []).append(position)
    groups = list(copies_of.values())
    group_labels = labels[[group[0] for group in groups]]
    held_out = []
    for label in np.unique(group_labels):
        members = np.flatnonzero(group_labels == label)
        held_out += _draw_groups([groups[k] for k in rng.permutation(members)], fraction)
    is_held_out = np.zeros(len(texts), dtype=bool)
    is_held_out[held_out] = True
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


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


def split_reviews(name, texts, labels, rule, test_fraction, seed, key=text_key):
    """Return the Reviews of texts without an official split; texts whose copies have both labels are dropped."""
    label_sets = {}
    for text, label in zip(texts, labels, strict=True):
        label_sets.setdefault(key(text), set()).add(label)
    clear = [k for k, text in enumerate(texts) if len(label_sets[key(text)]) == 1]
    if not clear:
        raise DatasetError(f"the files of {name} hold no positive or negative review: are they the right files?")
    texts, labels = [texts[k] for k in clear], np.array([labels[k] for k in clear], dtype=np.int64)
    train, test = split_by_text(texts, labels, test_fraction, np.random.default_rng(seed), key=key)
    return Reviews(
        name=name,
        train_texts=[texts[k] for k in train],
        train_labels=labels[train],
        test_texts=[texts[k] for k in test],
        test_labels=labels[test],
        rule=rule,
    )
