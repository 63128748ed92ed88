"""Splits into two parts where no text stands on both sides.

Reviews come in copies: one review listed under several products, one tweet passed on by many. A copy of a training
text in the test part would be recognised, not judged, and the accuracy would come out too high.
"""

import re

import numpy as np

from numpy_setlstm.datasets.reviews import DatasetError, Reviews

_LINK_OR_USER = re.compile(r"(?:https?://|www\.)\S+|@\w+")
_NO_WORD = re.compile(r"[\W_]+")
_TWEET_KEY_LENGTH = 60


def text_key(text):
    """Reduce a text so that its copies get the same key: case and whitespace do not count.

    Examples
    --------
    >>> text_key("Great  film!") == text_key("great film! ")
    True
    """
    return " ".join(text.lower().split())


def tweet_key(text):
    """Reduce a tweet so that its copies get the same key.

    Links, user names, punctuation and a leading "RT" do not count. Only the first 60 characters do, because
    Twitter cut off the end of a tweet when it was passed on: at 140 characters, user name included.

    Examples
    --------
    >>> tweet_key("RT @anna: Great phone, @apple! http://t.co/x") == tweet_key("Great phone @apple")
    True
    """
    words = _NO_WORD.sub(" ", _LINK_OR_USER.sub(" ", text.lower())).strip()
    return words.removeprefix("rt ")[:_TWEET_KEY_LENGTH]


def split_by_text(texts, labels, fraction, rng, *, key=text_key):
    """Hold out a fraction of the texts, the same fraction of each label, with all copies of a text on one side.

    Parameters
    ----------
    texts : sequence of str, or of sequences of int
        N texts, or lists or rows of word ids.
    labels : array_like of shape (N,)
    fraction : float
        How much to hold out, in [0, 1).
    rng : numpy.random.Generator
    key : callable, optional
        Texts with equal keys are copies of each other. Not used for word ids, which are compared as they are.

    Returns
    -------
    kept_indices, held_out_indices : ndarray of shape (n,), int64
        Each in increasing order; together they are 0 ... N-1.

    Raises
    ------
    ValueError
        If `fraction` is outside [0, 1), or `texts` and `labels` differ in length.

    Notes
    -----
    If `fraction` is above 0, a label with at least two different texts has at least one on each side. Copies with
    different labels count for the label of the first.

    Examples
    --------
    >>> texts = ["good", "bad", "Good ", "fine", "dull", "awful"]
    >>> kept, held_out = split_by_text(texts, [1, 0, 1, 1, 0, 0], 1 / 3, np.random.default_rng(0))
    >>> [texts[k] for k in kept], [texts[k] for k in held_out]
    (['good', 'bad', 'Good ', 'dull'], ['fine', 'awful'])
    """
    labels = np.asarray(labels)
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction must be in [0, 1), got {fraction}")
    if len(texts) != len(labels):
        raise ValueError(f"got {len(texts)} texts and {len(labels)} labels")
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
    """Take groups in their order as long as they fit, until a fraction of all their members is reached."""
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
    """Make a Reviews out of texts that come without an official split.

    Parameters
    ----------
    name : str
    texts : list of str
    labels : list of int
    rule : str
        How the labels were made.
    test_fraction : float
        In [0, 1).
    seed : int or numpy.random.Generator
    key : callable
        As in :func:`split_by_text`. Texts whose copies carry both labels are dropped.

    Returns
    -------
    Reviews

    Raises
    ------
    DatasetError
        If no text is left.
    """
    label_sets = {}
    for text, label in zip(texts, labels, strict=True):
        label_sets.setdefault(key(text), set()).add(label)
    clear = [k for k, text in enumerate(texts) if len(label_sets[key(text)]) == 1]
    if not clear:
        raise DatasetError(f"the files of {name} hold no positive or negative review")
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
