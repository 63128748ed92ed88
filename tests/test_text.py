"""Tests of the tokenizer, the vocabulary and the padding."""

import pickle
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpy_setlstm import SetLSTMClassifier
from numpy_setlstm.checkpoint import CheckpointError
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
        ("co\u00adoperate", ["cooperate"]),
        # only HTML's own tags vanish
        ("<grin> so <Sigh> sad <a cooking tip>", ["grin", "so", "sigh", "sad", "a", "cooking", "tip"]),
        ("<H1 class='big'>Title</H1 ><hr/><br\n/>", ["title"]),
        ("<http://x.org> <b", ["<url>", "b"]),
        # marks stay with their letters
        ("naïve Œuvre", ["naïve", "œuvre"]),
        ("cafe\u0301, café", ["café", "café"]),
        ("İSTANBUL I\u0307stanbul istanbul ISTANBUL", ["istanbul"] * 4),
        ("अच्छी फ़िल्म।", ["अच्छी", unicodedata.normalize("NFC", "फ़िल्म")]),
        ("বাংলা ছবি, తెలుగు సినిమా", ["বাংলা", "ছবি", "తెలుగు", "సినిమా"]),
        ("فِيلْمٌ جَيِّدٌ؟", [*map(lambda word: unicodedata.normalize("NFC", word), ("فِيلْمٌ", "جَيِّدٌ")), "?"]),
        ("می\u200cخواهم میخواهم", ["میخواهم"] * 2),
        ("@ह\u093fन्द\u0940_1 d'अच्छी", ["<user>", "d'अच्छी"]),
        # scripts without spaces: Thai by spaces, Chinese and Japanese by characters
        ("หนังดีมาก ดีที่สุด", ["หนังดีมาก", "ดีที่สุด"]),
        ("北京很好！すごい映画・テレビ", [*"北京很好", "!", *"すごい映画テレビ"]),
        ("좋은 영화 ㅋㅋㅋ", ["좋은", "영화", "ㅋㅋㅋ"]),
        # emoji
        ("\u2b50\u2b50\u2b50 \u2605\u2606", ["\u2b50", "\u2b50", "\u2b50", "\u2605", "\u2606"]),
        ("\u203c\ufe0f \u2049 \u2753", ["\u203c", "\u2049", "\u2753"]),
        ("\u2764\ufe0f\u2764", ["\u2764", "\u2764"]),
        ("\U0001f44d\U0001f3fd\U0001f44d good", ["\U0001f44d", "\U0001f44d", "good"]),
        ("\U0001f469\U0001f3fd\u200d\U0001f680\u2764\ufe0f\u200d\U0001f525",
            ["\U0001f469\u200d\U0001f680", "\u2764\u200d\U0001f525"]),
        ("\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", ["\U0001f1e9\U0001f1ea", "\U0001f1eb\U0001f1f7"]),
        ("\U0001f3f4\U000e0067\U000e0062\U000e007f!", ["\U0001f3f4\U000e0067\U000e0062\U000e007f", "!"]),
        ("5\ufe0f\u20e3 #\ufe0f\u20e3", ["5\u20e3", "#\u20e3"]),
        ("\u00a9\u2122 \u2022 \U0001f3fd", []),
    ],
)  # fmt: skip
def test_tokenize(text, tokens):
    assert tokenize(text) == tokens


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_texts_read_alike_among_others(text):
    """They have a pattern of their own, for speed."""
    assert tokenize(text + " é")[:-1] == tokenize(text + " e")[:-1]


@given(st.text().map(lambda text: text.replace("&", "")))
def test_composed_and_decomposed_texts_are_read_alike(text):
    assert tokenize(unicodedata.normalize("NFD", text)) == tokenize(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize("text", [b"good", None, 5, ["good"]])
def test_what_is_no_text_is_refused(text):
    with pytest.raises(TypeError, match=f"a text is {type(text).__name__} .*; expected str"):
        tokenize(text)


@given(st.text())
def test_tokens_are_lower_case_and_hold_no_space(text):
    for token in tokenize(text):
        assert token and token == token.lower()
        assert not any(character.isspace() for character in token)


ODD = ["<a", "<a =", "'a", "1/", "!", ":(", "&amp", "a\u0301", "\u0301\u0323", "अ\u094d", "👩\u200d", "🇩", "@ह\u093f"]


@pytest.mark.parametrize("piece", ODD)
def test_tokenizing_odd_texts_comes_to_an_end(piece):
    """In quadratic time a text of this length would take an hour."""
    tokenize("a" + piece * 500_000)


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
        (lambda: Vocabulary.build(b"a single text"), "a single bytes"),
        (lambda: Vocabulary.build({"a text": 1}), "a single dict"),
        (lambda: Vocabulary.build(5), "a single int"),
        (lambda: Vocabulary.build(np.array([["a"], ["b"]])), "a single ndarray"),
        (lambda: Vocabulary.build(["a"], max_size=1), r"max_size.* is \[1\]; expected whole numbers from 2"),
        (lambda: Vocabulary.build(["a"], max_size=2.5), r"max_size.* is \[2.5\]"),
        (lambda: Vocabulary.build(["a"], min_count=float("nan")), r"min_count is \[nan\]"),
        (lambda: Vocabulary.build(["a"]).decode([3]), r"ids \[3\]; expected whole numbers from 0 to 2"),
        (lambda: Vocabulary.build(["a"]).decode([-1]), r"ids \[-1\]"),
        (lambda: Vocabulary.build(["a"]).decode([1.7]), r"ids \[1.7\]"),
        (lambda: Vocabulary.build(["a"]).decode([True, 2]), r"ids \[True, 2\]"),
        (lambda: Vocabulary.build(["a"]).decode(["2"]), r"ids \['2'\]"),
        (lambda: Vocabulary.build(["a"]).decode([[2]]), r"ids \[\[2\]\]"),
        (lambda: Vocabulary.build(["a"]).decode(2), "ids 2; expected"),
    ],
)
def test_vocabulary_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "text", [b"good", bytearray(b"good"), None, 5, ["good", 3], [b"good"], [["good"]], {"good": 1}, np.array("good")]
)
def test_encode_and_build_refuse_what_is_no_text_and_no_list_of_str(text):
    with pytest.raises(TypeError, match=f"got {type(text).__name__} .*; expected a text, or a list of str"):
        Vocabulary.build(["good"]).encode(text)
    with pytest.raises(TypeError, match="expected a text, or a list of str"):
        Vocabulary.build([text])


@pytest.mark.parametrize(
    "words", [["<pad>", "<unk>", 5], ["<pad>", "<unk>", b"a"], ["<pad>", "<unk>", ["a"]], b"<pad>"]
)
def test_words_that_are_no_str_are_refused(words):
    with pytest.raises(TypeError, match="expected (a text, or )?a list of str"):
        Vocabulary(words)


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
        (([[1]], 0), r"length is \[0\]; expected whole numbers from 1"),
        (([[1]], True), r"length is \[True\]"),
        (([[1]], 2.0), r"length is \[2.0\]"),
        (([[1]], "3"), r"length is \['3'\]"),
        (([[1]], 3, "left"), "padding must be"),
        (([[1]], 3, "pre", "both"), "truncating must be"),
        (([[1], [0.5]], 3), r"sequence 1 has the ids \[0.5\]; expected whole numbers from 0 to 2147483647"),
        (([["a"]], 3), "expected whole numbers"),
        (([[2**32 + 5]], 1), r"sequence 0 has the ids \[4294967301\]"),
        (([np.array([2**31])], 1), r"sequence 0 has the ids \[2147483648\]"),
        (([[2**64]], 1), "sequence 0"),
        (([[-1]], 1), r"sequence 0 has the ids \[-1\]"),
        (([[1, True]], 3), r"sequence 0 has the ids \[1, True\]"),
        (([np.array([True])], 3), r"sequence 0 has the ids \[True\]"),
        (([b"good"], 3), "sequence 0 has the ids b'good'"),
        (([1, 2], 3), "sequence 0 has the ids 1;"),
        (([[[1]]], 3), "sequence 0"),
        (([{1, 2}], 3), "sequence 0"),
    ],
)
def test_padding_refuses(args, message):
    with pytest.raises(ValueError, match=message):
        pad_sequences(*args)


# A tokenizer of your own

LINES = ["a lovely film", "a dull film", "not dull at all", "not lovely at all"] * 8
OPINION = ["pos", "neg", "pos", "neg"] * 8


def classifier(tokenizer, **parameters):
    small = {"embedding_dim": 6, "hidden_size": 5, "parameter_share": 0.5, "max_length": 4, "n_epochs": 2}
    return SetLSTMClassifier(**small, tokenizer=tokenizer, random_state=0, validation_fraction=0, **parameters)


def pairs(text):
    words = text.split()
    return list(map("_".join, zip(words[:-1], words[1:], strict=True)))


def test_a_tokenizer_is_as_if_the_texts_were_lists_of_its_tokens():
    own = classifier(pairs).fit(LINES, OPINION)
    lists = classifier(None).fit([pairs(line) for line in LINES], OPINION)
    assert "at_all" in own.vocabulary_ and "all" not in own.vocabulary_
    np.testing.assert_array_equal(own.predict_proba(LINES), lists.predict_proba([pairs(line) for line in LINES]))
    np.testing.assert_array_equal(own.predict_proba([pairs(line) for line in LINES]), own.predict_proba(LINES))
    assert own.network_sizes(LINES, OPINION) == lists.network_sizes([pairs(line) for line in LINES], OPINION)


def test_a_saved_model_needs_its_tokenizer_again(tmp_path):
    """The file holds no code; silently taking the package's tokenizer would give other answers."""
    path = tmp_path / "model.npz"
    own = classifier(pairs).fit(LINES, OPINION)
    own.save(path)
    with pytest.raises(CheckpointError, match="made with the tokenizer pairs: load it with tokenizer="):
        SetLSTMClassifier.load(path)
    again = SetLSTMClassifier.load(path, tokenizer=pairs)
    np.testing.assert_array_equal(again.predict_proba(LINES), own.predict_proba(LINES))
    again.set_params(n_epochs=4).fit(LINES, OPINION, resume=True)
    own.set_params(n_epochs=4).fit(LINES, OPINION, resume=True)
    np.testing.assert_array_equal(again.predict_proba(LINES), own.predict_proba(LINES))
    with pytest.raises(ValueError, match="tokenizer was .*pairs.* when training began and is None now"):
        own.set_params(tokenizer=None).fit(LINES, OPINION, resume=True)
    classifier(None).fit(LINES, OPINION).save(path)
    with pytest.raises(CheckpointError, match="made with the package's tokenizer: load it without tokenizer="):
        SetLSTMClassifier.load(path, tokenizer=pairs)


@pytest.mark.parametrize(
    ("tokenizer", "error", "message"),
    [
        ("split", ValueError, "tokenizer is 'split'; expected a function"),
        (len, TypeError, "made int '13' of the text 'a lovely film'; expected a list of str"),
        (str.lower, TypeError, "made str 'a lovely film' of"),
        (lambda text: [1, 2], TypeError, r"made list '\[1, 2\]' of"),
        (lambda text: map(str, text), TypeError, "made map"),
    ],
)
def test_what_is_no_tokenizer_is_described(tokenizer, error, message):
    with pytest.raises(error, match=message):
        classifier(tokenizer).fit(LINES, OPINION)


def test_an_unsigned_length_does_not_wrap():
    """-np.uint8(3) is 253, after which no ids are left."""
    expected = pad_sequences([[5, 6, 7, 8]], 3)
    assert pad_sequences([[5, 6, 7, 8]], np.uint8(3)).tolist() == expected.tolist() == [[6, 7, 8]]


def test_texts_that_have_no_order_or_are_none():
    for words in ({"<pad>", "<unk>"}, 5, None):
        with pytest.raises(TypeError, match="words are .*; expected a list of str"):
            Vocabulary(words)
    for sequences in ("12", 5, None):
        with pytest.raises(TypeError, match="sequences are .*; expected a list of sequences of ids"):
            pad_sequences(sequences, 3)
