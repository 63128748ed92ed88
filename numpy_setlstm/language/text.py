"""From text to streams of characters or words: units, a vocabulary, and N parallel streams cut from one long one."""

from typing import NamedTuple

import numpy as np

from numpy_setlstm.checks import short
from numpy_setlstm.text import SPECIAL_WORDS, UNKNOWN_ID, Vocabulary, tokenize

UNITS = ("character", "word")
BORDER = "<end>"  # between the texts of a list: read before each of them, predicted after each
BORDER_ID = len(SPECIAL_WORDS)
MOST_WORDS = 20_000


def check_text(text, name="text"):
    """Accept a str, or a list of str, none of them empty; return a list, and whether it was a list."""
    if isinstance(text, bytes):
        raise TypeError(f"{name} is bytes; expected str: decode them first, as in data.decode('utf-8')")
    is_list = not isinstance(text, str)
    try:
        texts = list(text) if is_list else [text]
    except TypeError:
        raise TypeError(f"{name} is {short(text)}; expected a str, or a list of str") from None
    if isinstance(text, set | frozenset | dict):
        raise TypeError(f"{name} is a {type(text).__name__}, which has no order; expected a str, or a list of str")
    if not texts:
        raise ValueError(f"{name} is an empty list; expected at least one text")
    for k, one in enumerate(texts):
        which = f"{name} {k}" if is_list else name
        if not isinstance(one, str):
            raise TypeError(f"{which} is {short(one)}, of type {type(one).__name__}; expected str")
        if not one.strip():
            raise ValueError(f"{which} is empty: leave it out" if is_list else f"{which} is empty; expected some text")
    return texts, is_list


def split_units(text, unit):
    """The characters of a text, or its words, a list of str."""
    return list(text) if unit == "character" else tokenize(text)


def join_units(units, unit):
    """Undo :func:`split_units`, as far as that is possible: words are separated by spaces."""
    return ("" if unit == "character" else " ").join(units)


def build_vocabulary(texts, unit, max_size=None, *, bordered=False):
    """The Vocabulary of texts, lists of units; with the border between them, which comes first.

    >>> build_vocabulary([["b", "a", "a"]], "character").words
    ('<pad>', '<unk>', 'a', 'b')
    """
    found = {one for text in texts for one in text}
    if max_size is None:
        max_size = MOST_WORDS if unit == "word" else len(SPECIAL_WORDS) + bordered + len(found)
    if len(found) < 2:
        which = f"no {unit}" if not found else f"one {unit} only, {found.pop()!r}"
        raise ValueError(f"the text has {which}: there is nothing to predict; give other text")
    words = Vocabulary.build(texts, max_size=max_size - bordered).words[len(SPECIAL_WORDS) :]
    if len(words) < 2:
        raise ValueError(f"vocabulary_size is {max_size}, which leaves room for {len(words)} {unit}: raise it")
    return Vocabulary((*SPECIAL_WORDS, *((BORDER,) if bordered else ()), *words))


def encode(units, vocabulary):
    """The ids of some units, ndarray of shape (n,), int32; UNKNOWN_ID for those that the vocabulary lacks."""
    return np.array(vocabulary.encode(units), np.int32)


def check_known(units, ids, unit, vocabulary, what="the prompt"):
    """ValueError if a unit is not in the vocabulary."""
    unknown = [one for one, k in zip(units, ids, strict=True) if k == UNKNOWN_ID]
    if unknown:
        words = [word for word in vocabulary.words[len(SPECIAL_WORDS) :] if word != BORDER]
        known = "".join(sorted(words)) if unit == "character" else ", ".join(words[:10])
        raise ValueError(f"{what} has the {unit} {unknown[0]!r}, which the model never read; it knows {known!r:.90}")


class Streams(NamedTuple):
    """Parallel streams of one long text; each goes on in the next minibatch where it was cut in the one before."""

    inputs: np.ndarray  #: (N, L)
    targets: np.ndarray  #: (N, L): what comes next
    labels: np.ndarray | None  #: (N, L): of the text that an input belongs to

    def cut(self, number, n_steps):
        """The minibatch of that number: the streams of at most `n_steps` steps."""
        steps = slice(number * n_steps, (number + 1) * n_steps)
        return Streams(*(None if part is None else part[:, steps] for part in self))

    def count_cuts(self, n_steps):
        """Number of minibatches."""
        return -(-self.inputs.shape[1] // n_steps)


def count_units(texts, *, bordered):
    """Number of units in the long text that :func:`make_streams` makes of texts, lists of ids."""
    return sum(map(len, texts)) + (len(texts) + 1) * bordered


def make_streams(texts, n_streams, order=None, labels=None, *, bordered=False):
    """Join texts (n_k,) of ids in an `order` to one, and cut it into N streams of the same length; a rest is dropped.

    With `labels` (n_texts,) each input has that of its text; a border has that of the text after it.

    >>> make_streams([np.array([3, 4, 5, 6, 7, 8])], 2)[:2]
    (array([[3, 4],
           [5, 6]], dtype=int32), array([[4, 5],
           [6, 7]], dtype=int32))
    """
    order = np.arange(len(texts)) if order is None else order
    border = np.full(int(bordered), BORDER_ID)
    long = np.concatenate([part for k in order for part in (border, texts[k])] + [border]).astype(np.int32)
    length = (len(long) - 1) // n_streams
    inputs, targets = (long[shift:][: n_streams * length].reshape(n_streams, length) for shift in (0, 1))
    if labels is not None:
        lengths = [len(texts[k]) + len(border) for k in order]
        labels = np.repeat(labels[order], lengths)[: n_streams * length].reshape(n_streams, length)
    return Streams(inputs, targets, labels)
