"""Tests of the tokenizer, the vocabulary and the padding."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpy_setlstm.text import PADDING_ID, UNKNOWN_ID, Vocabulary, pad_sequences, tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", []),
        (" \n\t\x85 ", []),
        ("The FILM, the film.", ["the", "film", "the", "film"]),
        # HTML
        ("dull.<br /><br />Very dull<br>indeed", ["dull", "very", "dull", "indeed"]),
        ('a <a href="http://a.b/c?d=1">link</a>', ["a", "link"]),
        ("Tom &amp; Jerry&#39;s &quot;caf&eacute;&quot;", ["tom", "jerry's", "café"]),
        ("AT&T &#65;&rsquo;s", ["at", "t", "a's"]),
        ("1 < 2 and b > a", ["1", "2", "and", "b", "a"]),
        # negations, however the apostrophe is written
        ("don't DON\u2019T don\x92t don`t don\u00b4t", ["don't"] * 5),
        ("I wasn't 'fooled', the boys' rock'n'roll", ["i", "wasn't", "fooled", "the", "boys", "rock'n'roll"]),
        # tweets
        ("RT @Anna_1: yes http://t.co/aB1c", ["rt", "<user>", "yes", "<url>"]),
        ("see https://x.org/a(b)?c, www.y.com", ["see", "<url>", "<url>"]),
        ("mail me@home.org @ noon", ["mail", "me", "home", "org", "noon"]),
        ("#NotBad #iPhone4S", ["notbad", "iphone4s"]),
        (".@apple,@google", ["<user>", "<user>"]),
        # numbers
        ("10/10, 3.5 stars, 1,000 times at 20:15", ["10/10", "3.5", "stars", "1,000", "times", "at", "20:15"]),
        ("the 80s, 2nd, 100%, $5, 7.", ["the", "80s", "2nd", "100", "5", "7"]),
        # marks that carry sentiment
        ("What?!! Great!!!", ["what", "?", "!", "great", "!"]),
        ("nice:) sad :-( wink ;) :D :'( =) :/", ["nice", ":)", "sad", ":-(", "wink", ";)", ":d", ":'(", "=)", ":/"]),
        ("I &lt;3 it, </3", ["i", "<3", "it", "</3"]),
        ("starring:Danny", ["starring", "danny"]),
        ("love \u2665 \U0001f600", ["love", "\u2665", "\U0001f600"]),
        # what parts words
        ("well-made _great_ snake_case and/or...", ["well", "made", "great", "snake", "case", "and", "or"]),
        ("naïve Œuvre 北京", ["naïve", "œuvre", "北京"]),
    ],
)
def test_tokenize(text, tokens):
    assert tokenize(text) == tokens


@given(st.text())
def test_tokens_are_lower_case_and_hold_no_space(text):
    for token in tokenize(text):
        assert token and token == token.lower()
        assert not any(character.isspace() for character in token)


@pytest.mark.parametrize("piece", ["<a", "'a", "1/", "!", ":(", "&amp"])
def test_tokenizing_odd_texts_comes_to_an_end(piece):
    """In quadratic time a text of this length would take an hour."""
    tokenize(piece * 500_000)


# The vocabulary


def test_words_are_ordered_by_frequency_then_by_the_alphabet():
    vocabulary = Vocabulary.build(["b a c", "c b", "c d"])
    assert vocabulary.words == ("<pad>", "<unk>", "c", "b", "a", "d")
    assert vocabulary == Vocabulary.build(["c d", "c b", "a b c"])  # the order of the texts does not matter


def test_max_size_counts_the_special_words():
    texts = ["a a a b b c"]
    assert Vocabulary.build(texts, max_size=4).words == ("<pad>", "<unk>", "a", "b")
    assert Vocabulary.build(texts, max_size=2).words == ("<pad>", "<unk>")
    assert len(Vocabulary.build(texts, max_size=100)) == 5


def test_min_count():
    assert Vocabulary.build(["a a b"], min_count=2).words == ("<pad>", "<unk>", "a")


def test_build_takes_texts_or_tokens_or_a_generator():
    texts = ["Not bad!", "bad"]
    expected = Vocabulary.build(texts)
    assert Vocabulary.build([tokenize(text) for text in texts]) == expected
    assert Vocabulary.build(text for text in texts) == expected


def test_encode_and_decode():
    vocabulary = Vocabulary.build(["good film"])
    assert vocabulary.encode("A good FILM") == vocabulary.encode(["a", "good", "film"]) == [UNKNOWN_ID, 3, 2]
    assert vocabulary.decode([PADDING_ID, UNKNOWN_ID, 3, 2]) == ["<pad>", "<unk>", "good", "film"]
    assert vocabulary.decode(np.array([3, 2], dtype=np.int32)) == ["good", "film"]
    assert vocabulary.encode("") == vocabulary.decode([]) == []
    assert "film" in vocabulary and "a" not in vocabulary


@given(st.lists(st.text(min_size=1).filter(lambda word: word not in ("<pad>", "<unk>")), max_size=20))
def test_known_words_survive_the_round_trip(tokens):
    vocabulary = Vocabulary.build([tokens])
    assert vocabulary.decode(vocabulary.encode(tokens)) == tokens


def test_special_words_within_tokens_are_not_counted():
    assert Vocabulary.build([["<pad>", "<unk>", "a"]]).words == ("<pad>", "<unk>", "a")


def test_a_vocabulary_cannot_be_changed():
    words = ["<pad>", "<unk>", "a"]
    vocabulary = Vocabulary(words)
    words.append("b")
    assert vocabulary.words == ("<pad>", "<unk>", "a")
    with pytest.raises(AttributeError):
        vocabulary.words = ()


def test_a_vocabulary_can_be_rebuilt_from_an_array_of_words_and_pickled():
    vocabulary = Vocabulary.build(["good film", "naïve"])
    rebuilt = Vocabulary(np.array(vocabulary.words))
    assert rebuilt == vocabulary and hash(rebuilt) == hash(vocabulary)
    assert type(rebuilt.words[2]) is str
    assert pickle.loads(pickle.dumps(vocabulary)).encode("film") == vocabulary.encode("film")
    assert repr(vocabulary).startswith("Vocabulary(5 words: <pad>, <unk>, film")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Vocabulary([]), "begins with"),
        (lambda: Vocabulary(["<unk>", "<pad>"]), "begins with"),
        (lambda: Vocabulary(["<pad>", "<unk>", "a", "b", "a"]), "'a' occurs more than once"),
        (lambda: Vocabulary.build("a single text"), "a single str"),
        (lambda: Vocabulary.build(["a"], max_size=1), "at least 2, got 1"),
        (lambda: Vocabulary.build(["a"]).decode([3]), "id 3 is outside the vocabulary of 3 words"),
        (lambda: Vocabulary.build(["a"]).decode([-1]), "id -1 is outside"),
    ],
)
def test_vocabulary_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# Padding


@pytest.mark.parametrize(
    ("padding", "truncating", "expected"),
    [
        ("pre", "pre", [[0, 5, 6], [8, 9, 10], [0, 0, 0], [1, 2, 3]]),
        ("pre", "post", [[0, 5, 6], [7, 8, 9], [0, 0, 0], [1, 2, 3]]),
        ("post", "pre", [[5, 6, 0], [8, 9, 10], [0, 0, 0], [1, 2, 3]]),
        ("post", "post", [[5, 6, 0], [7, 8, 9], [0, 0, 0], [1, 2, 3]]),
    ],
)
def test_padding_and_truncating(padding, truncating, expected):
    sequences = [[5, 6], [7, 8, 9, 10], [], np.array([1, 2, 3])]
    padded = pad_sequences(sequences, 3, padding=padding, truncating=truncating)
    assert padded.dtype == np.int32
    np.testing.assert_array_equal(padded, expected)


def test_no_sequences_give_an_empty_array():
    assert pad_sequences([], 4).shape == (0, 4)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (([[1]], 0), "length must be at least 1, got 0"),
        (([[1]], 3, "left"), "padding must be"),
        (([[1]], 3, "pre", "both"), "truncating must be"),
        (([[1], [0.5]], 3), "sequence 1 holds float64"),
        (([["a"]], 3), "expected integer ids"),
    ],
)
def test_padding_refuses(args, message):
    with pytest.raises(ValueError, match=message):
        pad_sequences(*args)
