"""Pretrained word vectors: files as they are published, damaged files, and what an embedding takes of them."""

import gzip
import os
import re
import struct
import sys
import tracemalloc
from fractions import Fraction
from io import StringIO

import numpy as np
import pytest
from attack_data_files import altered
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_setlstm import SetLSTMClassifier, SparseMatrix, Vocabulary, erdos_renyi, set_step
from numpy_setlstm.datasets import DatasetError
from numpy_setlstm.initialization import NetworkSizes, init_network
from numpy_setlstm.word_vectors import load_word_vectors, set_word_vectors


def write(path, content):
    """Write text or bytes, gzipped if the name says so; return the path."""
    content = content.encode("utf-8") if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def load(folder, content, words=None, name="vectors.txt"):
    """What is loaded from a file with this content: dict of str to list of float."""
    loaded = load_word_vectors(write(folder / name, content), words)
    assert all(vector.dtype == np.float32 and vector.ndim == 1 for vector in loaded.values())
    return {word: vector.tolist() for word, vector in loaded.items()}


def refusal(folder, content, words=None, name="vectors.txt"):
    """The message with which a file is refused; it has one line and names the file."""
    path = write(folder / name, content)
    with pytest.raises(DatasetError) as caught:
        load_word_vectors(path, words)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message.replace(str(path), "FILE")


# Files that are right


GLOVE = "the 0.5 -1.5 2\nfilm .25 1e-2 -3.\n"


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.vec", "vectors.txt.gz"])
@pytest.mark.parametrize("header", ["", "2 3\n", "2 3 \r\n"])
def test_glove_word2vec_and_fasttext_plain_or_compressed(tmp_path, name, header):
    expected = {"the": [0.5, -1.5, 2], "film": [0.25, np.float32(0.01), -3]}
    assert load(tmp_path, header + GLOVE, name=name) == expected


def test_only_the_words_asked_for_are_kept_in_the_order_of_the_file(tmp_path):
    words = (word for word in ["film", "unseen", "the", "film"])
    assert list(load(tmp_path, "a 1 2\nthe 3 4\nb 5 6\nfilm 7 8\n", words)) == ["the", "film"]
    assert load(tmp_path, "a 1 2\n", []) == {}


def test_numbers_of_other_words_are_not_parsed(tmp_path):
    assert load(tmp_path, "the 1 2\nfilm x nan\n", ["the"]) == {"the": [1, 2]}


def test_words_with_spaces_as_in_gloves_largest_file(tmp_path):
    content = "the 1 2\n. . . 3 4\nat name@domain.com 5 6\n. 7 8\n"
    assert load(tmp_path, content) == {"the": [1, 2], ". . .": [3, 4], "at name@domain.com": [5, 6], ".": [7, 8]}
    assert load(tmp_path, content, [".", ". . ."]) == {". . .": [3, 4], ".": [7, 8]}
    assert load(tmp_path, content, ["at", "name@domain.com"]) == {}
    assert load(tmp_path, ". . . 3 4\nthe 1 2\n") == {". . .": [3, 4], "the": [1, 2]}
    assert load(tmp_path, "2 2\n. . . 3 4\nthe 1 2\n") == {". . .": [3, 4], "the": [1, 2]}


@pytest.mark.parametrize(
    "character", ["\u00a0", "\u0085", "\u2028", "\u2029", "\u3000", "\u1680", "\x0b", "\x0c", "\x1c"]
)
def test_what_only_unicode_takes_for_a_space_or_a_line_end_is_part_of_a_word(tmp_path, character):
    words = [character, f"a{character}b", f"{character}{character}", f"end{character}"]
    content = "".join(f"{word} {k} 0.5\n" for k, word in enumerate(words))
    assert load(tmp_path, content) == {word: [k, 0.5] for k, word in enumerate(words)}
    assert load(tmp_path, content, words[1:2]) == {words[1]: [1, 0.5]}


@pytest.mark.parametrize("header", ["", "2 2\n"])
@pytest.mark.parametrize("end", ["\n", " \n", "\r\n", " \r\n", "\n\n", "\n \r\n"])
def test_line_ends_trailing_spaces_blank_lines_and_a_byte_order_mark(tmp_path, header, end):
    content = "\ufeff" + (header + "é 1 2\nb 3 4\n").replace("\n", end)
    for text in (content, content.removesuffix(end)):
        assert load(tmp_path, text) == {"é": [1, 2], "b": [3, 4]}


def test_of_a_word_that_is_there_twice_the_first_vector_counts(tmp_path):
    assert load(tmp_path, "the 1 2\na 3 4\nthe 5 6\n") == {"the": [1, 2], "a": [3, 4]}
    assert load(tmp_path, "3 2\nthe 1 2\na 3 4\nthe 5 6\n", ["the"]) == {"the": [1, 2]}


def test_markers_of_other_tools_numbers_and_the_empty_word_are_words(tmp_path):
    words = ["</s>", "<unk>", "2014", "1.5", "nan", "inf", "", "1e5", "#", "''", "1_000"]
    content = "".join(f"{word} {k} 0.5\n" for k, word in enumerate(words))
    for header in ("", f"{len(words)} 2\n"):
        assert load(tmp_path, header + content) == {word: [k, 0.5] for k, word in enumerate(words)}
    for word in words:
        assert load(tmp_path, f"{word} 1 0.5\nthe 2 0.5\n", [word, "the"]) == {word: [1, 0.5], "the": [2, 0.5]}


def test_two_whole_numbers_in_the_first_line_are_a_header(tmp_path):
    """So a file with one entry per vector that begins with such a word needs a header."""
    assert load(tmp_path, "1 1\n7 3\n") == {"7": [3]}
    assert load(tmp_path, "7 3.\n8 4\n") == {"7": [3], "8": [4]}
    assert "line 2 ends in 1 number; expected 3 after the word, as the header has" in refusal(tmp_path, "7 3\n8 4\n")


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters=" \n\r\t\0"), max_size=8),
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
        min_size=1,
    ),
    st.booleans(),
    st.data(),
)
@settings(max_examples=60)
def test_what_was_written_is_read(tmp_path_factory, vectors, has_header, data):
    lines = [f"{len(vectors)} 3"] * has_header + [f"{word} {a!r} {b!r} {c!r}" for word, (a, b, c) in vectors.items()]
    if not has_header and lines[0][0] == "\ufeff":
        lines[0] = "\ufeff" + lines[0]  # the first would be taken for a byte order mark
    content = "\n".join(lines) + "\n"
    folder = tmp_path_factory.mktemp("vectors")
    assert load(folder, content) == vectors
    chosen = data.draw(st.lists(st.sampled_from([*vectors, "unseen word"])))
    assert load(folder, content, chosen) == {word: vectors[word] for word in vectors if word in chosen}


# Files that are wrong


@pytest.mark.parametrize("header", ["", "3 2\n"])
@pytest.mark.parametrize("words", [None, ["other"]], ids=["all words", "other words"])
@pytest.mark.parametrize(
    "line, what",
    [
        ("b 3", "ends in 1 number; expected 2"),
        ("b", "ends in 0 numbers; expected 2"),
        ("3 4", "ends in 1 number; expected 2"),
        ("b 3 4 5", "ends in 3 numbers; expected 2"),
        ("b nan 4 5", "ends in 3 numbers; expected 2"),
        ("b b 3 4 5", "ends in 3 numbers; expected 2"),
        ("b 3 4  5", "ends in 1 number; expected 2"),
        ("b  3 4", "has two spaces before its 2 last fields; expected one between all"),
        ("b\t3\t4", "has a tab; expected UTF-8 text, fields separated by spaces"),
        ("b 3 4\rc 5 6", "has a carriage return before its end; expected UTF-8 text"),
        ("b\0 3 4", "has a NUL character; expected UTF-8 text"),
    ],
)
def test_a_line_that_is_no_word_with_its_numbers(tmp_path, header, words, line, what):
    """Also if it is the line of a word that was not asked for."""
    message = refusal(tmp_path, f"{header}a 1 2\n{line}\nc 5 6\n", words)
    assert f"FILE, line {3 if header else 2} {what}" in message
    if "numbers; expected" in what:
        assert ("the header" if header else "the first line") in message


@pytest.mark.parametrize(
    "number", ["nan", "-inf", "1e999", "1e39", "x", "1_0", "0x1", "1,5", "٥", "1e", "\x0b1", "Infinity"]
)
def test_what_is_no_finite_number(tmp_path, number):
    message = refusal(tmp_path, f"a 1 2\nb 3 {number}\n", ["b"])
    assert message.startswith(f"FILE, line 2: number 2 of 2 is {number!r}; expected a finite number that float32 can")


def test_numbers_that_float32_rounds(tmp_path):
    assert load(tmp_path, "a 3.4028234e38 1e-60 -0.1\n") == {"a": [3.4028234663852886e38, 0, -0.10000000149011612]}
    assert load(tmp_path, f"a {'1' * 30} 0.{'3' * 100_000}\n")["a"][1] == np.float32(1 / 3)


def test_bytes_that_are_not_utf8(tmp_path):
    for words in (None, ["a"]):
        message = refusal(tmp_path, b"a 1 2\nb\xff 3 4\n", words)
        assert message.startswith("FILE, line 2 is not UTF-8 text (invalid byte 0xff)")
    assert "line 1 is not UTF-8" in refusal(tmp_path, "a 1 2\n".encode("utf-16"))
    assert "line 1 has a NUL character" in refusal(tmp_path, "a 1 2\n".encode("utf-16-le"))


def binary(vectors, end=b""):
    """A file in the binary format of word2vec."""
    D = len(next(iter(vectors.values())))
    parts = [f"{word} ".encode() + struct.pack(f"<{D}f", *numbers) + end for word, numbers in vectors.items()]
    return f"{len(vectors)} {D}\n".encode() + b"".join(parts)


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("D", [2, 100, 300])
@pytest.mark.parametrize("name", ["vectors.bin", "vectors.txt", "vectors.bin.gz"])
def test_the_binary_format_of_word2vec(tmp_path, end, D, name):
    for rng in map(np.random.default_rng, range(5)):
        numbers = rng.normal(0, 0.4, (20, D)) if D > 2 else rng.integers(-9, 9, (20, D)) / 4
        content = binary({"</s>": numbers[0], **{f"w{k}": row for k, row in enumerate(numbers)}}, end)
        message = refusal(tmp_path, content, name=name)
        assert "is in the binary format of word2vec; expected its text format" in message and "gensim" in message


def test_files_of_other_kinds(tmp_path):
    assert "is in fastText's binary format; expected a text file" in refusal(
        tmp_path, struct.pack("<ii", 793712314, 12) + b"\0" * 99
    )
    assert "is a zip archive; expected a text file" in refusal(tmp_path, b"PK\x03\x04" + b"\0" * 99)
    assert "is compressed by gzip; expected a text file" in refusal(tmp_path, gzip.compress(GLOVE.encode()))
    assert "Not a gzipped file" in refusal_of(write_as_is(tmp_path / "vectors.gz", GLOVE.encode()))
    for content in ("<!DOCTYPE html>\n<html>\n", '{"the": [1, 2]}\n', "the\t1\t2\n", "the,1,2\n"):
        assert "line 1" in refusal(tmp_path, content)


def write_as_is(path, content):
    path.write_bytes(content)
    return path


def refusal_of(path, words=None):
    with pytest.raises(DatasetError) as caught:
        load_word_vectors(path, words)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_files_without_a_vector(tmp_path):
    for content in ("", "\n \r\n", "\ufeff"):
        assert "FILE is empty; expected a text file of word vectors" in refusal(tmp_path, content)
    assert "has vectors of 0 words, its header says 3" in refusal(tmp_path, "3 2\n")


def test_headers_that_do_not_fit(tmp_path):
    assert "has vectors of 1 words, its header says 2: it may be cut short" in refusal(tmp_path, "2 2\na 1 2\n")
    assert "has vectors of 2 words, its header says 1" in refusal(tmp_path, "1 2\na 1 2\nb 1 2\n", ["a"])
    assert "line 2 ends in 1 number; expected 50" in refusal(tmp_path, "9 50\n" + "a 1\n" * 9)
    for header in ("3 0", "3 99999999", "3 " + "9" * 5000, "9" * 5000 + " 3"):
        assert "expected two numbers, those of its words and of the entries of a vector" in refusal(tmp_path, header)


def test_what_is_no_file(tmp_path):
    assert "is a folder; expected a file" in refusal_of(tmp_path)
    assert "is missing; expected a file" in refusal_of(tmp_path / "missing.txt")
    os.mkfifo(tmp_path / "pipe")
    assert "is a named pipe; expected a file" in refusal_of(tmp_path / "pipe")
    for path in (5, None, b"vectors.txt"):
        assert f"path is {path!r}; expected the path of a file of word vectors" in refusal_of(path)


@pytest.mark.parametrize(
    "words, what",
    [
        ("film", "words are a single str, 'film'; expected an iterable of str"),
        (5, "words are a single int, 5; expected an iterable of str"),
        (Vocabulary.build(["film"]), "expected an iterable of str, such as vocabulary.words"),
        (["film", 5], "words contain 5; expected an iterable of str"),
    ],
)
def test_words_that_are_none(tmp_path, words, what):
    assert what in refusal_of(write(tmp_path / "vectors.txt", GLOVE), words)


def test_half_a_character_among_the_words_is_in_no_file(tmp_path):
    assert load(tmp_path, GLOVE, ["\ud800", "the"]) == {"the": [0.5, -1.5, 2]}


# Limits


def test_a_line_without_an_end_takes_no_memory(tmp_path):
    path = tmp_path / "vectors.txt"
    for beginning in (b"the ", b"2 3\nthe "):
        path.write_bytes(beginning + b"0" * 100)
        os.truncate(path, 10**9)  # without taking the disk
        tracemalloc.start()
        assert "has more than 1,048,576 bytes; expected a word and its numbers" in refusal_of(path)
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
        tracemalloc.stop()


@pytest.mark.parametrize("unit", [b"a" * 1000 + b" 1 2\n", b" " * 1000 + b"\n", b"0"])
def test_a_gzip_bomb_takes_no_memory(tmp_path, unit):
    path = tmp_path / "vectors.gz"
    path.write_bytes(gzip.compress(b"a 1 2\n") + gzip.compress(unit * (2**20 // len(unit)), 9) * 99)
    tracemalloc.start()
    message = refusal_of(path, ["a"])
    assert "line 2 has more than 1,048,576 bytes" in message or "holds more than" in message
    assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    tracemalloc.stop()


def test_the_limit_of_the_file_can_be_set(tmp_path, monkeypatch):
    path = write(tmp_path / "vectors.txt", GLOVE)
    assert len(load_word_vectors(path, max_bytes=len(GLOVE))) == 2
    with pytest.raises(DatasetError, match="holds more than 20 bytes"):
        load_word_vectors(path, max_bytes=20)
    monkeypatch.setenv("NUMPY_SETLSTM_MAX_BYTES", "20")
    with pytest.raises(DatasetError, match="raise the limit with max_bytes or the environment variable"):
        load_word_vectors(path)


def test_a_compressed_file_that_was_cut_short(tmp_path):
    content = gzip.compress("".join(f"w{k} {k} 1\n" for k in range(5000)).encode())
    for size in (5, len(content) // 2, len(content) - 1):
        assert "is damaged or truncated" in refusal_of(write_as_is(tmp_path / "vectors.gz", content[:size]))


# The progress bar


class Terminal(StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.txt.gz"])
def test_a_bar_of_bytes_on_a_terminal_if_asked_for(tmp_path, monkeypatch, name):
    content = "".join(f"w{k} {k} 1\n" for k in range(200))
    path = write(tmp_path / name, content)
    monkeypatch.setattr(sys, "stderr", Terminal())
    load_word_vectors(path)
    assert sys.stderr.getvalue() == ""
    load_word_vectors(path, progress=True)
    shown = sys.stderr.getvalue()
    last = re.split("[\r\n]+", shown.strip())[-1]
    assert last.startswith(name) and f"{len(content) / 1000:.2f}k" in last and "B/s" in last
    assert ("100%" in last) == ("%" in shown) == (name == "vectors.txt")


def test_no_bar_where_there_is_no_terminal(tmp_path, capfd):
    load_word_vectors(write(tmp_path / "vectors.txt", GLOVE), progress=True)
    assert capfd.readouterr() == ("", "")


# A short attack


class Refused(Exception):
    """The slow reader does not accept a file."""


def require(condition):
    if not condition:
        raise Refused


def slow_number(field):
    """A float32 as a Python float, None if the field is no number; nan and inf are numbers."""
    if field.lower().lstrip("+-") in ("nan", "inf") and len(field) <= 4:
        return float(field)
    try:
        with np.errstate(over="ignore"):
            return float(np.float32(float(field))) if set(field) <= set("0123456789+-.eE") else None
    except ValueError:
        return None


def slow_reader(content, words):
    """What has to be loaded: character by character, line by line, with every field looked at."""
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise Refused from None
    lines = []
    for line in text.split("\n"):
        while line and line[-1] in " \r":
            line = line[:-1]
        require(not set(line) & set("\0\t\r"))
        if line:
            lines.append(line.split(" "))
    require(lines)
    count, first = None, lines[0]
    if len(first) == 2 and all(field and set(field) <= set("0123456789") for field in first):
        count, D = int(first[0]), int(first[1])
        require(D > 0 and len(lines) == count + 1)
        lines = lines[1:]
    else:
        D = 0
        while D < len(first) - 1 and slow_number(first[len(first) - 1 - D]) is not None:
            D += 1
        require(D > 0)
    vectors = {}
    for fields in lines:
        require(len(fields) > D)
        before, after = fields[: len(fields) - D], fields[len(fields) - D :]
        require(len(before) == 1 or (before[-1] and slow_number(before[-1]) is None))
        word = " ".join(before)
        if words is None or word in words:
            numbers = [slow_number(field) for field in after]
            require(all(number is not None and abs(number) < float("inf") for number in numbers))
            vectors.setdefault(word, numbers)
    return vectors


WORDS = ["the", "film", ". . .", "at name@domain.com", "2014", "naïve", "电影", "a\u00a0b", "\u2028", "</s>", "", "nan"]
ODD_FIELDS = ["nan", "inf", "1e999", "x", "", "1_0", "0x1", "1e39", "٥", "-", "1.5.2", "+3", ".5", "5.", "1e-400", "."]
ODD_FIRST_LINES = ["7 3", "0 0", "3 2", "2 3 4", "the", "\ufeff", "", "1 1000000000000", "a 1", "-1 3", "9.5 3", "١ 3"]


def random_file(rng):
    """The content of a valid file, in either format."""
    D = int(rng.integers(1, 5))
    words = [WORDS[k] for k in rng.permutation(len(WORDS))[: rng.integers(1, len(WORDS))]]
    lines = [" ".join([word, *(f"{x:.{rng.integers(1, 7)}g}" for x in rng.normal(size=D))]) for word in words]
    end = [" \n", "\n", "\r\n"][rng.integers(3)]
    return "".join(line + end for line in [f"{len(words)} {D}"] * int(rng.integers(2)) + lines).encode()


def alter(content, rng):
    """Change some bytes, a line, a field, the first line or the line ends."""
    kind = rng.integers(5)
    if kind == 0:
        return altered(content, rng)
    lines = content.decode().split("\n")
    k = int(rng.integers(len(lines)))
    if kind == 1:
        lines[k : k + 1] = [[], [lines[k]] * 2, ["", lines[k]], [lines[k] + " 5"], [lines[k][: len(lines[k]) // 2]]][
            rng.integers(5)
        ]
    elif kind == 2:
        fields = lines[k].split(" ")
        fields[rng.integers(len(fields))] = ODD_FIELDS[rng.integers(len(ODD_FIELDS))]
        lines[k] = " ".join(fields)
    elif kind == 3:
        lines[:1] = [ODD_FIRST_LINES[rng.integers(len(ODD_FIRST_LINES))], *lines[:1]][: rng.integers(1, 3)]
    else:
        return content.replace(b"\n", [b"\r", b"\r\n", b"\n\n", b" "][rng.integers(4)])
    return "\n".join(lines).encode()


def test_altered_files_give_the_right_vectors_or_one_clear_line(tmp_path):
    outcomes = {"loaded": 0, "refused": 0}
    for seed in range(300):
        rng = np.random.default_rng(seed)
        content = alter(random_file(rng), rng)
        words = None if rng.integers(2) else [WORDS[k] for k in rng.integers(len(WORDS), size=4)]
        name = ["vectors.txt", "vectors.gz"][rng.integers(2)]
        try:
            expected = slow_reader(content, words)
        except Refused:
            refusal(tmp_path, content, words, name)
            outcomes["refused"] += 1
        else:
            assert load(tmp_path, content, words, name) == expected, f"seed {seed}: {content!r}"
            outcomes["loaded"] += 1
    assert min(outcomes.values()) > 60, outcomes


def test_altered_compressed_files_give_the_right_vectors_or_one_clear_line(tmp_path):
    for seed in range(100):
        rng = np.random.default_rng(seed)
        content = random_file(rng)
        path = write_as_is(tmp_path / "vectors.gz", altered(gzip.compress(content), rng))
        try:
            loaded = load_word_vectors(path)
        except DatasetError as error:
            assert str(path) in str(error) and "\n" not in str(error)
        else:
            assert {word: vector.tolist() for word, vector in loaded.items()} == slow_reader(content, None)


# An embedding


def vocabulary_of(V):
    return Vocabulary(("<pad>", "<unk>", *(f"w{k}" for k in range(2, V))))


def random_embedding(rng, dtype=np.float32):
    """A vocabulary, a sparse embedding, and vectors of some of the words, with many ties and zeros."""
    V, D = int(rng.integers(3, 12)), int(rng.integers(1, 7))
    cells = np.flatnonzero(rng.random((V, D)) < rng.choice([0.05, 0.3, 0.9, 1.0]))
    cells = cells[cells >= D]  # the padding has none
    E = SparseMatrix((V, D), cells // D, cells % D, rng.normal(size=len(cells)).astype(dtype))
    vocabulary, share = vocabulary_of(V), rng.choice([0.1, 0.6, 1.0])
    chosen = [word for word in vocabulary.words if rng.random() < share] + [f"w{rng.integers(2, V)}", "elsewhere"]
    vectors = {word: rng.integers(-3, 4, D) / 2 for word in rng.permutation(chosen).tolist()}
    return vocabulary, E, vectors


def cells_of(E):
    """Dict of (row, column) to float."""
    return {(int(E.rows[k]), int(E.cols[k])): float(E.values[k]) for k in range(E.nnz)}


def slow_set_word_vectors(E, vocabulary, vectors):
    """The connections that a sparse embedding has to have: dict of (row, column) to float."""
    cells = cells_of(E)
    known = [k for k, word in enumerate(vocabulary.words) if word in vectors and k > 0]
    kept = {cell: value for cell, value in cells.items() if cell[0] not in known}
    n = len(cells) - len(kept)
    for place, k in enumerate(known):
        count = n // len(known) + (1 if place < n % len(known) else 0)
        entries = [Fraction(float(x)) for x in vectors[vocabulary.words[k]]]
        order = sorted(range(len(entries)), key=lambda dimension: (-abs(entries[dimension]), dimension))
        kept.update({(k, dimension): float(entries[dimension]) for dimension in order[:count]})
    return kept


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sparse_embedding_is_what_plain_loops_make_of_it(dtype):
    for seed in range(400):
        vocabulary, E, vectors = random_embedding(np.random.default_rng(seed), dtype)
        before = E.toarray()
        new = set_word_vectors(E, vocabulary, vectors)
        assert cells_of(new) == slow_set_word_vectors(E, vocabulary, vectors), f"seed {seed}"
        assert isinstance(new, SparseMatrix) and new.shape == E.shape and new.dtype == dtype and new.nnz == E.nnz
        assert np.array_equal(E.toarray(), before)
        again = set_word_vectors(new, vocabulary, vectors)
        assert np.array_equal(again.topology.keys, new.topology.keys) and np.array_equal(again.values, new.values)


def test_connections_are_shared_out_evenly_and_the_first_words_get_the_remainder():
    rng = np.random.default_rng(0)
    E = erdos_renyi((50, 20), rng, density=0.2, reserved_rows=1)
    ids = np.arange(2, 50, 3)  # 16 words
    vectors = {f"w{k}": rng.normal(size=20) for k in ids}
    new = set_word_vectors(E, vocabulary_of(50), vectors)
    counts, old = (np.bincount(matrix.rows, minlength=50) for matrix in (new, E))
    n = old[ids].sum()
    assert counts[ids].tolist() == [n // 16 + 1] * (n % 16) + [n // 16] * (16 - n % 16)
    others = np.setdiff1d(np.arange(50), ids)
    assert np.array_equal(new.toarray()[others], E.toarray()[others])
    for k in ids:
        magnitudes, taken = abs(vectors[f"w{k}"]), new.cols[new.rows == k]
        assert magnitudes[taken].min() > np.delete(magnitudes, taken).max()
        assert np.array_equal(new.values[new.rows == k], vectors[f"w{k}"][taken].astype(np.float32))


def test_ties_go_to_the_lower_dimensions_and_zeros_are_taken_last():
    for count, cols in ((1, [1]), (2, [1, 3]), (3, [1, 3, 4]), (4, [0, 1, 3, 4]), (5, [0, 1, 2, 3, 4])):
        E = SparseMatrix((3, 5), [2] * count, range(count), np.ones(count))
        new = set_word_vectors(E, vocabulary_of(3), {"w2": [0, -2, 0, 2, 1]})
        assert new.cols.tolist() == cols and new.nnz == count
        assert new.values.tolist() == [[0, -2, 0, 2, 1][col] for col in cols]


def test_fewer_connections_than_words():
    E = SparseMatrix((5, 2), [3, 4], [0, 0], [1.0, 1.0])
    new = set_word_vectors(E, vocabulary_of(5), {f"w{k}": [0.5, k] for k in (4, 3, 2)})
    assert new.toarray().tolist() == [[0, 0], [0, 0], [0, 2], [0, 3], [0, 0]]


def test_without_a_connection_there_is_none():
    E = SparseMatrix((3, 2), np.arange(0), np.arange(0), np.zeros(0))
    assert set_word_vectors(E, vocabulary_of(3), {"w2": [1, 2]}).nnz == 0


def test_in_a_dense_embedding_each_word_gets_its_whole_vector():
    E = np.arange(10, dtype=np.float32).reshape(5, 2)
    new = set_word_vectors(E, vocabulary_of(5), {"w4": [0.1, 0.2], "w2": np.array([7, 8]), "elsewhere": [5, 5]})
    assert new.tolist() == [[0, 1], [2, 3], [7, 8], [6, 7], [np.float32(0.1), np.float32(0.2)]]
    assert new.dtype == np.float32 and E[2].tolist() == [4, 5] and not np.shares_memory(new, E)


@pytest.mark.parametrize("is_sparse", [False, True])
def test_the_padding_stays_as_it_is_and_unk_is_a_word(is_sparse):
    E = np.array([[0, 0], [1, 1], [2, 0], [0, 3]], np.float32)
    vectors = {"<pad>": [9, 9], "<unk>": [4, 5], "w2": [6, 7]}
    new = set_word_vectors(SparseMatrix.from_array(E) if is_sparse else E, vocabulary_of(4), vectors)
    expected = [[0, 0], [4, 5], [0, 7], [0, 3]] if is_sparse else [[0, 0], [4, 5], [6, 7], [0, 3]]
    assert (new.toarray() if is_sparse else new).tolist() == expected


def test_words_are_looked_up_as_they_are():
    E, vectors = np.zeros((4, 1)), {"W2": [1], " w3": [2], "w3": [3]}
    assert set_word_vectors(E, vocabulary_of(4), vectors).tolist() == [[0], [0], [0], [3]]


def test_a_vocabulary_without_words_leaves_everything():
    E = np.ones((2, 3))
    new = set_word_vectors(E, vocabulary_of(2), {})
    assert np.array_equal(new, E) and new is not E


def test_a_network_with_pretrained_words_evolves_with_as_many_connections():
    sizes = NetworkSizes(n_words=30, embedding_dim=8, hidden_size=6, n_classes=2)
    network = init_network(sizes, np.random.default_rng(0), np.random.default_rng(1), er_epsilon=2)
    E, rng = network.parameters["E"], np.random.default_rng(2)
    new = set_word_vectors(E, vocabulary_of(30), {f"w{k}": rng.normal(size=8) for k in range(2, 20)})
    assert new.rows.min() > 0 and new.dtype == E.dtype
    evolved, _ = set_step(new, 0.3, rng, reserved_rows=1)
    assert evolved.nnz == new.nnz == E.nnz


FIVE = SparseMatrix((5, 3), [2, 3], [0, 0], [1.0, 1.0])


@pytest.mark.parametrize("E", [FIVE, FIVE.toarray()], ids=["sparse", "dense"])
@pytest.mark.parametrize(
    "vectors, what",
    [
        ({"w2": [1, 2]}, "the vectors have 2 entries and embedding_dim is 3: set embedding_dim=2"),
        ({"w2": [1, 2, 3], "w4": [1, 2]}, "the vector of 'w4' has 2 entries; expected 3 as the others have"),
        ({"w2": [[1, 2, 3]]}, "the vector of 'w2' is list [[1, 2, 3]]; expected numbers of shape (D,)"),
        ({"w2": "abc"}, "the vector of 'w2' is str 'abc'; expected numbers of shape (D,)"),
        ({"w2": [[1], [2, 3]]}, "the vector of 'w2' is list [[1], [2, 3]]; expected numbers of shape (D,)"),
        ({"w2": None}, "the vector of 'w2' is NoneType None; expected numbers of shape (D,)"),
        ({"w2": [1, np.nan, 2]}, "the vector of 'w2' has the entry nan at dimension 1; expected finite float64"),
        ({"W2": [1, 2, 3]}, "none of the 3 words has a vector, e.g. 'w2', 'w3', 'w4': is the file in another language"),
        ({"<unk>": [1, 2, 3]}, "none of the 3 words has a vector"),
        ({}, "none of the 3 words has a vector"),
    ],
)
def test_vectors_that_do_not_fit(E, vectors, what):
    with pytest.raises(ValueError, match=re.escape(what)) as caught:
        set_word_vectors(E, vocabulary_of(5), vectors)
    assert "\n" not in str(caught.value)


def test_a_vector_that_the_dtype_cannot_hold():
    with pytest.raises(ValueError, match="has the entry 1e[+]?39 at dimension 0; expected finite float32"):
        set_word_vectors(np.zeros((3, 1), np.float32), vocabulary_of(3), {"w2": [1e39]})


def test_arguments_of_other_types():
    with pytest.raises(ValueError, match="E has 5 rows and the vocabulary 4 words; expected as many"):
        set_word_vectors(FIVE, vocabulary_of(4), {"w2": [1, 2, 3]})
    with pytest.raises(TypeError, match="vocabulary is list .*; expected a Vocabulary"):
        set_word_vectors(FIVE, ["<pad>", "<unk>", "w2", "w3", "w4"], {"w2": [1, 2, 3]})
    for vectors in ("vectors.txt", [("w2", [1, 2, 3])]):
        with pytest.raises(TypeError, match="expected a mapping of words to vectors, as from load_word_vectors"):
            set_word_vectors(FIVE, vocabulary_of(5), vectors)
    for E in ([[1.0]], np.zeros((5, 3), int), np.zeros(5)):
        with pytest.raises(TypeError, match="expected a SparseMatrix or ndarray"):
            set_word_vectors(E, vocabulary_of(5), {"w2": [1, 2, 3]})


# In a classifier

TEXTS, LABELS = ["a good film", "a bad film", "good plot", "bad plot"] * 8, ["pos", "neg"] * 16
FILE = "film 0.1 -0.5 0.2 0.4\ngood 0.9 0.1 0.3 -0.6\nbad -0.8 0.1 0.4 0.5\nword 1 1 1 1\n"


def classifier(**parameters):
    small = {"embedding_dim": 4, "hidden_size": 5, "parameter_share": 0.5, "n_epochs": 1, "validation_fraction": 0}
    return SetLSTMClassifier(**small | {"random_state": 0, "learning_rate": 0.0} | parameters)


@pytest.mark.parametrize("connectivity", ["set", "dense"])
@pytest.mark.parametrize("given_as", ["path", "str", "dict"])
def test_a_classifier_starts_with_the_vectors(given_as, connectivity, tmp_path):
    path = write(tmp_path / "vectors.txt", FILE)
    vectors = {"path": path, "str": str(path), "dict": load_word_vectors(path)}[given_as]
    still = {"embedding_learning_rate": 0.0, "connectivity": connectivity}
    plain = classifier(**still).fit(TEXTS, LABELS)
    clf = classifier(word_vectors=vectors, **still).fit(TEXTS, LABELS)
    before, E = (model.network_.parameters["E"] for model in (plain, clf))
    expected = set_word_vectors(before, clf.vocabulary_, load_word_vectors(path))
    as_array = np.asarray if connectivity == "dense" else SparseMatrix.toarray
    np.testing.assert_array_equal(as_array(E), as_array(expected))
    assert clf.n_parameters_ == plain.n_parameters_


def test_a_classifier_with_vectors_evolves_and_continues_after_saving(tmp_path):
    path = write(tmp_path / "vectors.txt", FILE)
    settings = {"word_vectors": path, "learning_rate": 0.01, "zeta": 0.3}
    whole = classifier(n_epochs=4, **settings).fit(TEXTS, LABELS)
    classifier(n_epochs=2, **settings).fit(TEXTS, LABELS).save(tmp_path / "model.npz")
    path.unlink()
    clf = SetLSTMClassifier.load(tmp_path / "model.npz")
    assert clf.word_vectors is None
    clf.set_params(n_epochs=4).fit(TEXTS, LABELS, resume=True)
    np.testing.assert_array_equal(clf.predict_proba(TEXTS), whole.predict_proba(TEXTS))
    assert len(clf.history_["set_steps"]) == 3


WRONG = {
    "a number": (3, "word_vectors is 3; expected a file's path, or a dict of words to vectors"),
    "an array": (np.zeros((3, 4)), "word_vectors is an array of shape (3, 4)"),
    "another size": ({"film": [1.0, 2.0]}, "the vectors have 2 entries and embedding_dim is 4: set embedding_dim=2"),
    "no file": ("no_such_file.txt", "no_such_file.txt"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_vectors_are_named_and_nothing_is_fitted(what):
    vectors, message = WRONG[what]
    clf = classifier(word_vectors=vectors)
    with pytest.raises((ValueError, OSError)) as caught:
        clf.fit(TEXTS, LABELS)
    assert message in str(caught.value) and not hasattr(clf, "network_")


def test_word_ids_have_no_words():
    with pytest.raises(TypeError, match="word_vectors are given, and X has word ids"):
        classifier(word_vectors={"film": [1.0] * 4}).fit(np.full((4, 3), 2), [0, 1, 0, 1])
