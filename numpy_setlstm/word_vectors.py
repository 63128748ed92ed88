"""Pretrained word vectors: read from a text file, put into an embedding.

:func:`load_word_vectors` reads the text formats of GloVe, word2vec and fastText; :func:`set_word_vectors` replaces rows
of an initial embedding matrix by what was read, and leaves a sparse one as sparse as it was.

Sources: J. Pennington, R. Socher and C. D. Manning (2014), "GloVe: Global Vectors for Word Representation", EMNLP;
T. Mikolov, K. Chen, G. Corrado and J. Dean (2013), "Efficient Estimation of Word Representations in Vector Space",
arXiv:1301.3781.
"""

import os
import re
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from numpy_setlstm.cells import smallest
from numpy_setlstm.datasets import DatasetError, shown
from numpy_setlstm.datasets.files import not_utf8, open_bytes
from numpy_setlstm.datasets.limits import get_limits
from numpy_setlstm.sparse import SparseMatrix, Topology
from numpy_setlstm.text import SPECIAL_WORDS, Vocabulary
from numpy_setlstm.topology import reserved_rows_of

__all__ = ["load_word_vectors", "set_word_vectors"]

MAX_LINE_BYTES = 2**20  # a word with 300 numbers has 3,000 bytes
_BEGINNINGS = {  # of files in other formats: what they are, what to do
    b"\x1f\x8b": ("compressed by gzip", "decompress it, or give it a name that ends in .gz"),
    b"PK\x03\x04": ("a zip archive", "unpack it, and give the path of a file in it"),
    b"\xba\x16\x4f\x2f": ("in fastText's binary format", "use the .vec file that is published beside it"),
}
_NUMBER = re.compile(rb"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf)", re.IGNORECASE)
_CHARACTERS_OF_NUMBERS = b"0123456789+-.eE "
_CONTROL_CHARACTERS = bytes({*range(32)} - {*b"\t\n\r"})
_UNEXPECTED = {b"\0": "a NUL character", b"\t": "a tab", b"\r": "a carriage return before its end"}  # in a line


# Reading


def load_word_vectors(path, words=None, *, max_bytes=None, progress=False):
    r"""Read word vectors from a text file of GloVe, word2vec or fastText.

    Parameters
    ----------
    path : str or Path
        A text file in UTF-8, compressed by gzip if its name ends in ".gz": a line per word, with the word and its D
        numbers, separated by single spaces. word2vec and fastText have a line "count D" before.
    words : iterable of str, optional
        Keep only these words, such as ``vocabulary.words``, looked up exactly as they are. The numbers of other words
        are not parsed. Default: all words.
    max_bytes : int, optional
        Largest decompressed size of the file. Default: the environment variable NUMPY_SETLSTM_MAX_BYTES, or 8 GiB, but
        for a compressed file at most 4 MiB and 20 times its size. A line may always have at most 1 MiB.
    progress : bool, default False
        Show a progress bar, if standard error is a terminal.

    Returns
    -------
    dict of str to ndarray of shape (D,), float32
        In the order of the file; if a word occurs more than once, its first vector.

    Raises
    ------
    DatasetError
        If the file is missing, damaged, larger than a limit or not in this format, or `words` are no words.

    Notes
    -----
    The published files hold surprises, which these rules settle:

    - Some words of GloVe's largest file contain spaces, such as ". . .". So the last D fields of a line are its
      numbers, and the word is what comes before. If its last part is a number too, the line has too many numbers, which
      is an error.
    - A first line of two whole numbers is the header "count D". A file of vectors with a single entry that begins with
      a line such as "7 3" would need a header.
    - Without a header, D is the number of fields at the end of the first line that are numbers, not counting its first
      field, which belongs to a word: "2014 0.5 1.5" has two.
    - Lines end at a line feed, fields at a space. Other characters that Unicode counts as spaces or line ends, such as
      U+00A0 or U+2028, are parts of words.
    - A space or carriage return at the end of a line, a byte order mark, and blank lines are ignored.

    Source: J. Pennington, R. Socher and C. D. Manning (2014) for GloVe; T. Mikolov et al. (2013) for word2vec.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "tiny.txt")
    ...     _ = path.write_text("good 0.5 -1.5\nbad -0.5 1.25\n")
    ...     load_word_vectors(path, words=["good", "unseen"])
    {'good': array([ 0.5, -1.5], dtype=float32)}
    """
    wanted = None if words is None else _encode(words)
    path, vectors, n_lines = _path_of(path), {}, 0
    with open_bytes(path, get_limits(max_bytes)) as stream, _progress_bar(path, progress) as bar:
        lines = _read_lines(stream, path, bar)
        count, D, lines = _read_format(lines, stream, path)
        source = "the first line" if count is None else "the header"
        for where, line in lines:
            n_lines += 1
            word = _word_of(line, D, where, source)
            if wanted is None or word in wanted:
                vector = _parse_numbers(line[len(word) + 1 :], where)
                vectors.setdefault(word.decode(), vector)
    if count not in (None, n_lines):
        raise DatasetError(
            f"{path} has vectors of {n_lines:,} words, its header says {count:,}: it may be cut short; get it again"
        )
    return vectors


def _encode(words):
    """The words as a set of bytes, as they are in a file."""
    example = "expected an iterable of str, such as vocabulary.words"
    if isinstance(words, str | bytes) or not isinstance(words, Iterable):
        raise DatasetError(f"words are a single {type(words).__name__}, {shown(words)}; {example}")
    words = list(words)
    for word in words:
        if not isinstance(word, str):
            raise DatasetError(f"words contain {shown(word)}; {example}")
    return {word.encode("utf-8", "surrogatepass") for word in words}


def _path_of(path):
    try:
        return Path(path).expanduser()
    except (TypeError, RuntimeError) as error:  # no path; "~nobody"
        raise DatasetError(f"path is {shown(path)}; expected the path of a file of word vectors ({error})") from error


def _progress_bar(path, progress):
    """A bar of the bytes read; those of a compressed file have no known end."""
    total = None if path.suffix == ".gz" else os.stat(path).st_size
    hidden = None if progress else True
    return tqdm(total=total, desc=path.name, unit="B", unit_scale=True, disable=hidden)


def _read_lines(stream, path, bar):
    """Yield each line that is not blank: where it is (for errors), and its bytes without the end."""
    beginning = stream.peek(4)[:4]
    for start, (what, remedy) in _BEGINNINGS.items():
        if beginning.startswith(start):
            raise DatasetError(f"{path} is {what}; expected a text file of word vectors: {remedy}")
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        where = f"{path}, line {number}"
        bar.update(len(line))
        if len(line) > MAX_LINE_BYTES:
            raise DatasetError(
                f"{where} has more than {MAX_LINE_BYTES:,} bytes; expected a word and its numbers: is it "
                "a text file of word vectors?"
            )
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        line = line.rstrip(b" \r\n")
        if not line.isascii():
            _check_utf8(line, where)
        if b"\0" in line or b"\t" in line or b"\r" in line:
            what = next(_UNEXPECTED[character] for character in _UNEXPECTED if character in line)
            raise DatasetError(
                f"{where} has {what}; expected UTF-8 text, fields separated by spaces, lines by line feeds"
            )
        if line:
            yield where, line


def _check_utf8(line, where):
    try:
        line.decode()
    except UnicodeDecodeError as error:
        raise not_utf8(where, line[error.start]) from error


def _read_format(lines, stream, path):
    """The number of words, or None without a header; D; the lines that hold vectors."""
    where, first = next(lines, (None, b""))
    if where is None:
        raise DatasetError(f"{path} is empty; expected a text file of word vectors: get it again")
    fields = first.split(b" ")
    if len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit():
        if len(first) > 30 or not 0 < int(fields[1]) <= MAX_LINE_BYTES // 2:
            raise DatasetError(
                f"{path} has the header {shown(first.decode())}; expected two numbers, those of its words and of the "
                f"entries of a vector, from 1 to {MAX_LINE_BYTES // 2:,}"
            )
        count, D = map(int, fields)
        _reject_binary(stream, D, path)
        return count, D, lines
    D = _count_numbers(fields)
    if D == 0:
        raise DatasetError(
            f"{where} is {shown(first.decode())}; expected a word and its numbers, separated by single "
            "spaces: is it a text file of word vectors?"
        )
    return None, D, chain([(where, first)], lines)


def _reject_binary(stream, D, path):
    """Raise a DatasetError if 4-byte numbers follow the header, among which control characters are frequent."""
    numbers = stream.peek().partition(b" ")[2][: 4 * D]
    n_control = len(numbers) - len(numbers.translate(None, _CONTROL_CHARACTERS))
    if n_control > max(3, len(numbers) / 50):
        raise DatasetError(
            f"{path} is in the binary format of word2vec; expected its text format: convert it, for instance with "
            "gensim: KeyedVectors.load_word2vec_format(path, binary=True).save_word2vec_format(new_path)"
        )


def _word_of(line, D, where, source):
    """The word of a line that ends in D numbers, as bytes."""
    n_spaces = line.count(b" ")
    if n_spaces == D:
        return line[: line.index(b" ")]
    fields = line.split(b" ")
    if n_spaces < D or _is_number(fields[-D - 1]):
        n = _count_numbers(fields)
        raise DatasetError(
            f"{where} ends in {n} number{'s' * (n != 1)}; expected {D} after the word, as {source} has: fix the line "
            "or get the file again"
        )
    if not fields[-D - 1]:
        raise DatasetError(f"{where} has two spaces before its {D} last fields; expected one between all: fix the line")
    return line.rsplit(b" ", D)[0]


def _count_numbers(fields):
    """How many fields at the end are numbers; the first field is left out."""
    for n, field in enumerate(reversed(fields)):
        if not _is_number(field):
            return n
    return len(fields) - 1


def _is_number(field):
    """Whether a field has the form of a number, possibly NaN or infinite."""
    return _NUMBER.fullmatch(field) is not None


def _parse_numbers(text, where):
    """The vector that a text has, an ndarray of shape (D,), float32."""
    fields = text.split(b" ")
    try:
        numbers = list(map(float, fields))  # also reads 1_5 as 15, and others that are in no such file
    except ValueError:
        numbers = [float(field) if _is_number(field) else np.nan for field in fields]
    with np.errstate(over="ignore"):
        vector = np.array(numbers, np.float32)
    if np.isfinite(vector).all() and not text.translate(None, _CHARACTERS_OF_NUMBERS):
        return vector
    k = next(k for k in range(len(fields)) if not np.isfinite(vector[k]) or not _is_number(fields[k]))
    raise DatasetError(
        f"{where}: number {k + 1} of {len(fields)} is {shown(fields[k].decode())}; expected a finite number that "
        "float32 can hold: fix the line or get the file again"
    )


# Use


def set_word_vectors(E, vocabulary, vectors):
    """Put pretrained vectors into an initial embedding matrix, without a single connection more or less.

    Parameters
    ----------
    E : SparseMatrix or ndarray of shape (V, D)
        Floating point; not changed.
    vocabulary : Vocabulary
        Of V words, the most frequent ones first.
    vectors : mapping of str to array_like of shape (D,)
        As from :func:`load_word_vectors`; words are looked up exactly as they are in the vocabulary.

    Returns
    -------
    SparseMatrix or ndarray of shape (V, D)
        Of the type and dtype of `E`; a SparseMatrix has as many connections as `E`.

    Raises
    ------
    TypeError
        If `E` is no matrix of floating point numbers, `vocabulary` no Vocabulary, or `vectors` no mapping.
    ValueError
        If `E` has not one row per word, a vector has another length than D or is not finite, or no word has a vector.

    Notes
    -----
    Row 0, the padding's, and the rows of words without a vector stay as they are. In an ndarray, the row of each other
    word becomes its vector. In a SparseMatrix the n connections of these k words are shared out anew: n // k for each,
    and one more for each of the n % k words that come first. A word is connected where its vector has the largest
    magnitudes, among equal ones at the lowest dimensions, and these entries are the values.

    Of all vectors with that many entries, this one is the closest to the whole vector, by the Euclidean distance.

    Examples
    --------
    >>> from numpy_setlstm import Vocabulary
    >>> vocabulary = Vocabulary.build(["good film", "bad film"])  # <pad>, <unk>, film, bad, good
    >>> E = SparseMatrix((5, 3), rows=[2, 2, 3, 4], cols=[0, 1, 0, 2], values=[1.0, 1.0, 1.0, 1.0])
    >>> set_word_vectors(E, vocabulary, {"bad": [0.2, -0.9, 0.1], "good": [-0.3, 0.9, 0.4]}).toarray()
    array([[ 0. ,  0. ,  0. ],
           [ 0. ,  0. ,  0. ],
           [ 1. ,  1. ,  0. ],
           [ 0. , -0.9,  0. ],
           [ 0. ,  0.9,  0. ]])
    """
    _check_embedding(E, vocabulary, vectors)
    found = _find_vectors(E, vocabulary, vectors)
    if not found:
        return E.copy()
    ids = np.array(list(found))
    if not isinstance(E, SparseMatrix):
        new = E.copy()
        new[ids] = list(found.values())
        return new
    stays = ~np.isin(E.rows, ids)
    share, remainder = divmod(E.nnz - np.count_nonzero(stays), len(ids))
    counts = share + (np.arange(len(ids)) < remainder)
    chosen = [np.sort(smallest(-abs(v), count)) for v, count in zip(found.values(), counts, strict=True)]
    values = [v[cols] for v, cols in zip(found.values(), chosen, strict=True)]
    rows = np.concatenate([E.rows[stays], np.repeat(ids, counts)])
    order = np.argsort(rows, kind="stable")  # columns are in order within each row
    topology = Topology(E.shape, rows[order], np.concatenate([E.cols[stays], *chosen])[order])
    return SparseMatrix.from_topology(topology, np.concatenate([E.values[stays], *values])[order])


def _check_embedding(E, vocabulary, vectors):
    if not isinstance(E, SparseMatrix | np.ndarray) or len(E.shape) != 2 or E.dtype.kind != "f":
        kind = getattr(E, "dtype", ""), getattr(E, "shape", "")
        raise TypeError(f"E is {type(E).__name__} {kind}; expected a SparseMatrix or ndarray (V, D) of floating point")
    if not isinstance(vocabulary, Vocabulary):
        raise TypeError(f"vocabulary is {type(vocabulary).__name__} {shown(vocabulary)}; expected a Vocabulary")
    if len(vocabulary) != E.shape[0]:
        raise ValueError(f"E has {E.shape[0]:,} rows and the vocabulary {len(vocabulary):,} words; expected as many")
    if not isinstance(vectors, Mapping):
        raise TypeError(
            f"vectors are {type(vectors).__name__} {shown(vectors)}; expected a mapping of words to vectors, as from "
            "load_word_vectors"
        )


def _find_vectors(E, vocabulary, vectors):
    """The vectors of the words that have one, in the dtype of E: a dict of word id to ndarray of shape (D,)."""
    first = reserved_rows_of("E")
    found, D = {}, E.shape[1]
    for k, word in enumerate(vocabulary.words[first:], first):
        if word in vectors:
            found[k] = vector = _as_vector(vectors[word], word, E.dtype)
            if len(vector) != D and len(found) == 1:
                raise ValueError(
                    f"the vectors have {len(vector)} entries and embedding_dim is {D}: set embedding_dim={len(vector)}"
                )
            if len(vector) != D:
                raise ValueError(f"the vector of {word!r} has {len(vector)} entries; expected {D} as the others have")
    words = vocabulary.words[len(SPECIAL_WORDS) :]
    if words and not any(k >= len(SPECIAL_WORDS) for k in found):
        raise ValueError(
            f"none of the {len(words):,} words has a vector, e.g. {', '.join(map(shown, words[:3]))}: is the file in "
            "another language, or in upper case?"
        )
    return found


def _as_vector(vector, word, dtype):
    """One vector as an ndarray of one axis, of finite numbers."""
    try:
        given = np.asarray(vector)
    except ValueError:  # a list of lists of different lengths
        given = np.asarray(None)
    if given.ndim != 1 or given.dtype.kind not in "fiu":
        raise ValueError(
            f"the vector of {word!r} is {type(vector).__name__} {shown(vector)}; expected numbers of shape (D,)"
        )
    with np.errstate(over="ignore"):
        given = given.astype(dtype)
    bad = np.flatnonzero(~np.isfinite(given))
    if bad.size:
        raise ValueError(
            f"the vector of {word!r} has the entry {vector[bad[0]]} at dimension {bad[0]}; expected finite {dtype}"
        )
    return given
