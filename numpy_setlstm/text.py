"""From texts to arrays of word ids: a tokenizer, a vocabulary, and padding.

``tokenize`` splits a text into words, a ``Vocabulary`` turns the words into ids, and ``pad_sequences`` brings the lists
of ids to one length, so that they fit into one array of shape (N, T).
"""

import html
import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

PADDING_ID = 0
UNKNOWN_ID = 1
SPECIAL_WORDS = ("<pad>", "<unk>")  # their positions are PADDING_ID and UNKNOWN_ID

_APOSTROPHES = str.maketrans("\u2019\u00b4`\x92", "''''")  # four more ways to write the one in "don't"
_TAG = re.compile(r"</?[a-z][^<>]*>")  # "<br />", "</a>", but not the heart "<3"
_LINK = re.compile(r"(?:https?://|www\.)\S+")
_USER = re.compile(r"(?<!\w)@\w+")  # not the "@" inside an e-mail address
_TOKEN = re.compile(
    r"""
      <url>|<user>
    | </?3(?!\d)                        # a heart, a broken heart
    | [:;=]['^-]?(?:[()\[\]|*/\\]+|[dpo](?!\w))   # :-)  ;)  =(  :/  :d, but not the ":d" of "starring:danny"
    | \d+(?:[.,/:]\d+)+                 # 3.5  1,000  10/10  20:15
    | [^\W_]+(?:'[^\W_]+)*              # film  don't  80s; underscores and hyphens separate words
    | !(?!!) | \?(?!\?)                 # "!!!" counts once
    | [\u2600-\u27bf\U0001f300-\U0001faff]        # a pictogram
    """,
    re.VERBOSE,
)


def tokenize(text):
    """Split a text into lower-case words.

    Parameters
    ----------
    text : str
        With or without HTML.

    Returns
    -------
    list of str
        Words; numbers and ratings such as "10/10" in one piece; "!", "?" and emoticons, because they carry
        sentiment. All other punctuation is dropped.

    Notes
    -----
    HTML tags such as ``<br />`` separate words and vanish, entities such as ``&amp;`` are decoded. A link becomes
    "<url>" and a user name "<user>": only their presence matters. A hashtag keeps its word. "don't" stays one word,
    because its halves "don" and "t" no longer say "not".

    Examples
    --------
    >>> tokenize("I DON'T get it...<br />10/10, @anna says &quot;wow&quot;!!! :-) #film http://t.co/x")
    ['i', "don't", 'get', 'it', '10/10', '<user>', 'says', 'wow', '!', ':-)', 'film', '<url>']
    """
    if "&" in text:
        text = html.unescape(text)
    text = text.lower().translate(_APOSTROPHES)
    if "<" in text:
        text = _TAG.sub(" ", text)
    text = _LINK.sub(" <url> ", text)
    if "@" in text:
        text = _USER.sub(" <user> ", text)
    return _TOKEN.findall(text)


@dataclass(frozen=True, repr=False)
class Vocabulary:
    """The words a network knows, each with its id: its position in `words`.

    Parameters
    ----------
    words : sequence of str
        All different; the first is "<pad>", the second "<unk>".

    Raises
    ------
    ValueError
        If `words` does not begin with "<pad>", "<unk>", or a word occurs twice.

    Examples
    --------
    >>> vocabulary = Vocabulary.build(["good film", "bad film"])
    >>> vocabulary.words
    ('<pad>', '<unk>', 'film', 'bad', 'good')
    >>> vocabulary.encode("a good film")
    [1, 4, 2]
    >>> "film" in vocabulary, len(vocabulary)
    (True, 5)
    """

    words: tuple  #: Of str; the word with id k is ``words[k]``
    _ids: dict = field(init=False, compare=False)

    def __post_init__(self):
        words = tuple(map(str, self.words))
        ids = {word: k for k, word in enumerate(words)}
        if words[:2] != SPECIAL_WORDS:
            raise ValueError(f"a vocabulary begins with the words {SPECIAL_WORDS}, this one with {words[:2]}")
        if len(ids) < len(words):
            twice = next(word for k, word in enumerate(words) if ids[word] != k)
            raise ValueError(f"the word {twice!r} occurs more than once in the vocabulary")
        object.__setattr__(self, "words", words)  # the dataclass is frozen; this is its constructor
        object.__setattr__(self, "_ids", ids)

    @classmethod
    def build(cls, texts, max_size=20_000, min_count=1):
        """Collect the most frequent words of texts, or of lists of tokens.

        At most `max_size` words, "<pad>" and "<unk>" included, that occur at least `min_count` times, ordered by
        frequency and then alphabetically, so that the same texts always give the same ids.
        """
        if isinstance(texts, str):
            raise ValueError("texts must be a list of texts, got a single str")
        if max_size < len(SPECIAL_WORDS):
            raise ValueError(f"max_size counts '<pad>' and '<unk>', so it is at least 2, got {max_size}")
        counts = Counter()
        for text in texts:
            counts.update(_as_tokens(text))
        for word in SPECIAL_WORDS:
            counts.pop(word, None)
        frequent = [word for word in counts if counts[word] >= min_count]
        frequent.sort(key=lambda word: (-counts[word], word))
        return cls(SPECIAL_WORDS + tuple(frequent[: max_size - len(SPECIAL_WORDS)]))

    def encode(self, text):
        """Return the ids of the words of a text, or of a list of tokens; UNKNOWN_ID for words not in the vocabulary."""
        ids = self._ids
        return [ids.get(token, UNKNOWN_ID) for token in _as_tokens(text)]

    def decode(self, ids):
        """Return the words of some ids."""
        ids = [int(k) for k in ids]
        for k in ids:
            if not 0 <= k < len(self.words):
                raise ValueError(f"id {k} is outside the vocabulary of {len(self.words)} words")
        return [self.words[k] for k in ids]

    def __len__(self):
        return len(self.words)

    def __contains__(self, word):
        return word in self._ids

    def __repr__(self):
        return f"Vocabulary({len(self.words):,} words: {', '.join(self.words[:5])}, ...)"


def _as_tokens(text):
    return tokenize(text) if isinstance(text, str) else text


def pad_sequences(sequences, length, padding="pre", truncating="pre"):
    """Bring N sequences of ids, which may be empty, to one length.

    Parameters
    ----------
    sequences : list of sequences of int
    length : int
        T, at least 1.
    padding, truncating : {"pre", "post"}
        Where a short sequence is padded with 0, and where a long one is cut, as in Keras. "pre" keeps the last words,
        in which reviews tend to reach their verdict.

    Returns
    -------
    ndarray of shape (N, T), int32

    Raises
    ------
    ValueError
        If `padding` or `truncating` is neither "pre" nor "post", `length` is less than 1, or an id is no integer.

    Examples
    --------
    >>> pad_sequences([[5, 6], [7, 8, 9, 10]], length=3)
    array([[ 0,  5,  6],
           [ 8,  9, 10]], dtype=int32)
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ValueError(f'{name} must be "pre" or "post", got {side!r}')
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    padded = np.full((len(sequences), length), PADDING_ID, dtype=np.int32)  # (N, T)
    for row, sequence in enumerate(sequences):
        ids = np.asarray(sequence[-length:] if truncating == "pre" else sequence[:length])
        if len(ids) == 0:
            continue
        if ids.dtype.kind not in "iu":
            raise ValueError(f"sequence {row} holds {ids.dtype} values, expected integer ids")
        if padding == "pre":
            padded[row, length - len(ids) :] = ids
        else:
            padded[row, : len(ids)] = ids
    return padded
