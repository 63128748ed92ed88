"""From texts to arrays of word ids: a tokenizer, a vocabulary, and padding.

``tokenize`` splits a text into words, a ``Vocabulary`` turns them into ids, ``pad_sequences`` makes one (N, T) array.
"""

import html
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from numpy_setlstm.checks import as_array, as_list, short

PADDING_ID = 0
UNKNOWN_ID = 1
SPECIAL_WORDS = ("<pad>", "<unk>")  # their positions are PADDING_ID and UNKNOWN_ID

_CATEGORIES = "".join(map(unicodedata.category, map(chr, range(0x1F000))))  # two letters each, "Mn" for an accent
_MARKS = "".join(f"{chr(m.start() // 2)}-{chr(m.end() // 2 - 1)}" for m in re.finditer("(?:M.)+", _CATEGORIES))
_LONG_RUN = re.compile(rf"([{_MARKS}]{{30}})[{_MARKS}]+")  # no letter has more, and to sort them takes quadratic time
_CHARACTERS = str.maketrans("\u2019\u00b4`\x92\uff01\uff1f\u061f", "'" * 4 + "!??")  # other forms of "'", "!", "?"
_CHARACTERS |= dict.fromkeys([0xAD, 0x200C, 0x2060, 0xFEFF, *range(0xFE00, 0xFE10), *range(0x1F3FB, 0x1F400)])
_ELEMENTS = r"""[abipqsu]|abbr|article|aside|audio|big|blockquote|body|br|button|canvas|caption|center|cite|code|col|
d[dlt]|del|details|div|em|embed|figure|font|footer|form|h[1-6r]|head|header|html|iframe|img|input|ins|kbd|label|li|link|
main|map|mark|marquee|meta|nav|noscript|object|[ou]l|option|param|picture|pre|script|section|select|small|source|span|
strike|strong|style|su[bp]|svg|table|tbody|textarea|thead|time|title|t[dhrt]|var|video|wbr"""
_TAG = re.compile(rf"</?(?:{_ELEMENTS})(?:\s[^<>=]*=[^<>]*|\s*/?)>", re.VERBOSE)  # not "<sigh>", "<a good film>"
_LINK = re.compile(r"(?:https?://|www\.)\S+")
_USER = re.compile(rf"(?<![\w{_MARKS}])@[\w{_MARKS}]+")  # not the "@" inside an e-mail address
_TOKEN = r"""
      <url>|<user>
    | </?3(?!\d)                        # a heart, a broken heart
    | [:;=]['^-]?(?:[()\[\]|*/\\]+|[dpo](?!\w))   # :-)  ;)  =(  :/  :d, but not the ":d" of "starring:danny"
    | \d+(?:[.,/:]\d+)+                 # 3.5  1,000  10/10  20:15
    | LETTERS(?:'LETTERS)*              # film  don't  80s; underscores and hyphens separate words
    | !(?!!) | \?(?!\?)                 # "!!!" counts once"""
_ASCII_TOKEN = re.compile(_TOKEN.replace("LETTERS", r"[^\W_]+"), re.VERBOSE)  # twice as fast
_HAN_OR_KANA = r"\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_LETTERS = rf"[^\W_{_HAN_OR_KANA}]+(?:(?![\0-\x7f])[{_MARKS}\u200d]+[^\W_{_HAN_OR_KANA}]*)*"
_EMOJI = r"[‼⁇-⁉↔-↙↩↪⌚⌛⌨⏏⏩-⏺Ⓜⓜ▪▫▶◀◻-◾☀-➿⤴⤵⬀-⯿〰〽㊗㊙\U0001f000-\U0001f1e5\U0001f200-\U0001faff]"
_WORLD_TOKEN = re.compile(rf"""(?x)
      [0-9#*]\u20e3 | [\U0001f1e6-\U0001f1ff]{{1,2}}         # a keycap, a flag
    | {_EMOJI}[\U000e0020-\U000e007f]*(?:\u200d{_EMOJI})*    # an emoji, tagged or joined
    | (?=\w)[{_HAN_OR_KANA}][{_MARKS}]* | {_TOKEN.replace("LETTERS", _LETTERS)}""")


def tokenize(text):
    """Split a text into lower-case words.

    Parameters
    ----------
    text : str
        With or without HTML, in any script.

    Returns
    -------
    list of str
        Words; numbers and ratings such as "10/10" in one piece; "!", "?", emoticons and emoji, because they carry
        sentiment. All other punctuation is dropped.

    Raises
    ------
    TypeError
        If `text` is no str.

    Notes
    -----
    HTML tags such as ``<br />`` vanish, entities such as ``&amp;`` are decoded. A link becomes "<url>" and a user name
    "<user>": only their presence matters. A hashtag keeps its word. "don't" stays one word, because its halves no
    longer say "not". Text is in Unicode's form NFC; marks stay with their letters, and "İ" becomes "i". Each emoji is a
    token, without its skin tone, and so is each Chinese or Japanese character; Thai is split at spaces only.

    Examples
    --------
    >>> tokenize("I DON'T get it...<br />10/10, @anna says &quot;wow&quot;!!! :-) #film http://t.co/x")
    ['i', "don't", 'get', 'it', '10/10', '<user>', 'says', 'wow', '!', ':-)', 'film', '<url>']
    """
    if not isinstance(text, str):
        raise TypeError(f"a text is {type(text).__name__} {str(text)[:40]!r}; expected str: decode bytes first")
    if "&" in text:
        text = html.unescape(text)
    text = text.lower()
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", _LONG_RUN.sub(r"\1", text))
    text = text.replace("i\u0307", "i").translate(_CHARACTERS)  # lower() turns "İ" into two characters
    if "<" in text:
        text = _TAG.sub(" ", text)
    text = _LINK.sub(" <url> ", text)
    if "@" in text:
        text = _USER.sub(" <user> ", text)
    return (_ASCII_TOKEN if text.isascii() else _WORLD_TOKEN).findall(text)


@dataclass(frozen=True, repr=False)
class Vocabulary:
    """The words a network knows, each with its id: its position in `words`.

    Parameters
    ----------
    words : sequence of str
        All different; the first is "<pad>", the second "<unk>".

    Raises
    ------
    ValueError, TypeError
        If `words` does not begin with "<pad>", "<unk>", a word occurs twice, or one is no str.

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
        words = tuple(map(str, _as_tokens(as_list("words", self.words, "str"))))
        ids = {word: k for k, word in enumerate(words)}
        if words[:2] != SPECIAL_WORDS:
            raise ValueError(f"a vocabulary begins with the words {SPECIAL_WORDS}, this one with {words[:2]}")
        if len(ids) < len(words):
            raise ValueError(f"{Counter(words).most_common(1)[0][0]!r} occurs more than once in the vocabulary")
        object.__setattr__(self, "words", words)  # the dataclass is frozen; this is its constructor
        object.__setattr__(self, "_ids", ids)

    @classmethod
    def build(cls, texts, max_size=20_000, min_count=1):
        """Collect the most frequent words of texts, or of lists of tokens.

        At most `max_size` words, "<pad>" and "<unk>" included, that occur at least `min_count` times, ordered by
        frequency and then alphabetically, so that the same texts always give the same ids.
        """
        if not hasattr(texts, "__iter__") or isinstance(texts, str | bytes | dict) or getattr(texts, "ndim", 1) != 1:
            raise ValueError(f"texts must be a list of texts, got a single {type(texts).__name__}")
        _check_whole([max_size], "max_size, which counts '<pad>' and '<unk>', is", len(SPECIAL_WORDS))
        _check_whole([min_count], "min_count is")
        counts = Counter()
        for text in texts:
            counts.update(_as_tokens(text))
        frequent = [word for word in counts if counts[word] >= min_count and word not in SPECIAL_WORDS]
        frequent.sort(key=lambda word: (-counts[word], word))
        return cls(SPECIAL_WORDS + tuple(frequent[: max_size - len(SPECIAL_WORDS)]))

    def encode(self, text):
        """Return the ids of the words of a text, or of a list of tokens; UNKNOWN_ID for words not in the vocabulary."""
        ids = self._ids
        return [ids.get(token, UNKNOWN_ID) for token in _as_tokens(text)]

    def decode(self, ids):
        """Return the words of some ids."""
        return [self.words[k] for k in _check_whole(ids, "the vocabulary was given ids", 0, len(self) - 1)]

    def __len__(self):
        return len(self.words)

    def __contains__(self, word):
        return word in self._ids

    def __repr__(self):
        return f"Vocabulary({len(self.words):,} words: {', '.join(self.words[:5])}, ...)"


def _as_tokens(text):
    if isinstance(text, str):
        return tokenize(text)
    n_axes = getattr(text, "ndim", int(isinstance(text, list | tuple)))
    if n_axes != 1 or not all(isinstance(token, str) for token in text):
        raise TypeError(f"got {type(text).__name__} {str(text)[:40]!r}; expected a text, or a list of str")
    return text


def _check_whole(values, what, lowest=0, highest=2**31 - 1):
    """The values as a list or tuple, which has whole numbers in a range only; `what` begins the message."""
    values = values if isinstance(values, list | tuple) else as_array("what should be ids", values, None).tolist()
    kinds = set(map(type, values)) if isinstance(values, list | tuple) else {str}
    are_whole = all(issubclass(kind, int | np.integer) and kind not in (bool, np.timedelta64) for kind in kinds)
    if not are_whole or values and not lowest <= min(values) <= max(values) <= highest:
        raise ValueError(f"{what} {short(values)}; expected whole numbers from {lowest} to {highest}")
    return values


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
        If `padding`, `truncating` or `length` is invalid, or an id is no whole number from 0 to 2**31 - 1.

    Examples
    --------
    >>> pad_sequences([[5, 6], [7, 8, 9, 10]], length=3)
    array([[ 0,  5,  6],
           [ 8,  9, 10]], dtype=int32)
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if not isinstance(side, str) or side not in ("pre", "post"):
            raise ValueError(f'{name} must be "pre" or "post", got {short(side)}')
    length = int(*_check_whole([length], "length is", 1))  # -length would wrap in an unsigned type
    sequences = as_list("sequences", sequences, "sequences of ids")
    padded = np.full((len(sequences), length), PADDING_ID, dtype=np.int32)  # (N, T)
    for row, sequence in enumerate(sequences):
        ids = _check_whole(sequence, f"sequence {row} has the ids")
        ids = ids[-length:] if truncating == "pre" else ids[:length]
        start = length - len(ids) if padding == "pre" else 0
        padded[row, start : start + len(ids)] = ids
    return padded
