"""Tests of the loaders, on small files in the public formats, and on the real files where available."""

import csv
import gc
import gzip
import hashlib
import http.server
import io
import json
import os
import re
import sys
import tarfile
import threading
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from attack_data_files import GOOD, sparse_tar
from attack_data_files import run as run_attack
from hypothesis import given
from hypothesis import strategies as st

from numpy_setlstm.datasets import (
    DatasetError,
    imdb,
    load_amazon,
    load_dataset,
    load_imdb,
    load_sanders,
    load_yelp,
    sanders,
    split_by_text,
)
from numpy_setlstm.datasets.reviews import label_from_stars
from numpy_setlstm.datasets.splitting import split_reviews, text_key, tweet_key
from numpy_setlstm.text import Vocabulary

REAL_DATA = os.environ.get("NUMPY_SETLSTM_DATA")
needs_real_data = pytest.mark.skipif(
    not REAL_DATA, reason="needs the real data: set NUMPY_SETLSTM_DATA to their folder"
)

# Small files in the public formats


def write(path, content):
    """Write text or bytes, gzipped if the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = content.encode("utf-8") if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content) if path.suffix in (".gz", ".tgz") else content)
    return path


def csv_text(rows, **options):
    file = io.StringIO()
    csv.writer(file, **options).writerows(rows)
    return file.getvalue()


SANDERS_HEADER = ["Topic", "Sentiment", "TweetId", "TweetDate", "TweetText"]
YELP_HEADER = "business_id,date,review_id,stars,text,type,user_id,cool,useful,funny".split(",")
AMAZON_HEADER = (
    "Id,ProductId,UserId,ProfileName,HelpfulnessNumerator,HelpfulnessDenominator,Score,Time,Summary,Text"
).split(",")


def sanders_csv(tweets):
    rows = [["apple", label, str(k), "Tue Oct 18 2011", text] for k, (label, text) in enumerate(tweets)]
    return csv_text([SANDERS_HEADER, *rows], quoting=csv.QUOTE_ALL)


def yelp_csv(reviews):
    rows = [["b", "2011-01-26", str(k), stars, text, "review", "u", 0, 0, 0] for k, (stars, text) in enumerate(reviews)]
    return csv_text([YELP_HEADER, *rows], lineterminator="\n")


def yelp_json(reviews):
    return "".join(json.dumps({"review_id": "r", "stars": stars, "text": text}) + "\n" for stars, text in reviews)


def amazon_csv(reviews):
    rows = [[k, "p", "u", "n", 0, 0, stars, 1, "Nice", text] for k, (stars, text) in enumerate(reviews, start=1)]
    return csv_text([AMAZON_HEADER, *rows], lineterminator="\n")


STARS = [(1 + k % 5, f"review {k}, it says:\n\n<br />\x85 “stars”") for k in range(50)]
TWEETS = [(("positive", "negative", "neutral", "irrelevant")[k % 4], f"tweet number {k}\nby @me") for k in range(60)]

WRITERS = {
    "sanders": ("sanders/full-corpus.csv", sanders_csv(TWEETS), load_sanders),
    "yelp": ("yelp/yelp.csv", yelp_csv(STARS), load_yelp),
    "yelp json": ("yelp/yelp_academic_dataset_review.json", yelp_json(STARS), load_yelp),
    "amazon": ("amazon_fine_foods/Reviews.csv", amazon_csv(STARS), load_amazon),
}
IMDB_FILES = {
    f"{part}/{sentiment}/{number}_{rating}.txt": f"{part} {sentiment} {number}\x85 <br />é"
    for part in ("train", "test")
    for sentiment, rating in (("neg", 2), ("pos", 9))
    for number in (0, 1, 10)
}
IMDB_OTHERS = {
    "README": "read me",
    "imdb.vocab": "the",
    "train/unsup/0_0.txt": "nobody knows",
    "train/labeledBow.feat": "9 0:9",
    "train/urls_pos.txt": "http://www.imdb.com",
    "train/pos/._0_9.txt": "left by a file manager",
}


def add(archive, name, content=b"", **attributes):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in attributes.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(content))


def imdb_tar(files=None, root="aclImdb/", **extra):
    """Return the bytes of a tar file with the reviews and, optionally, an extra member at the end."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, text in (IMDB_FILES | IMDB_OTHERS if files is None else files).items():
            add(archive, root + name, text.encode("utf-8"))
        if extra:
            add(archive, **extra)
    return file.getvalue()


# The rules of the labels


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("name", WRITERS)
def test_labels_texts_and_split(tmp_path, name, suffix):
    file_name, content, load = WRITERS[name]
    write(tmp_path / (file_name + suffix), content)
    reviews = load(tmp_path)
    source = TWEETS if name == "sanders" else STARS
    rule = {"positive": 1, "negative": 0, 4: 1, 5: 1, 1: 0, 2: 0}
    expected = {text: rule[mark] for mark, text in source if mark in rule}
    texts = reviews.train_texts + reviews.test_texts
    labels = np.concatenate([reviews.train_labels, reviews.test_labels])
    assert dict(zip(texts, labels.tolist(), strict=True)) == expected
    assert len(texts) == len(expected)
    assert reviews.train_labels.dtype == reviews.test_labels.dtype == np.int64
    assert len(reviews.test_texts) == len(texts) // 5
    assert reviews.test_labels.mean() == reviews.train_labels.mean() == 0.5  # stratified
    assert reviews.label_names == ("negative", "positive")
    assert reviews.rule.endswith("omitted.")
    assert reviews.name in repr(reviews)


def test_the_seed_decides_the_split(tmp_path):
    write(tmp_path / "yelp/yelp.csv", yelp_csv(STARS))
    assert load_yelp(tmp_path).test_texts == load_yelp(tmp_path, seed=0).test_texts
    assert load_yelp(tmp_path, seed=np.random.default_rng(0)).test_texts == load_yelp(tmp_path).test_texts
    assert load_yelp(tmp_path, seed=1).test_texts != load_yelp(tmp_path).test_texts
    assert len(load_yelp(tmp_path, test_fraction=0.5).test_texts) == 20
    assert load_yelp(tmp_path, test_fraction=0).test_texts == []


def test_yelp_stars_may_be_written_as_floats(tmp_path):
    write(tmp_path / "yelp/yelp_academic_dataset_review.json", yelp_json([(4.0, "good"), (1.0, "bad"), (3.0, "so")]))
    assert sorted(load_yelp(tmp_path, test_fraction=0).train_texts) == ["bad", "good"]


def test_yelp_file_can_be_chosen(tmp_path):
    write(tmp_path / "yelp/yelp.csv", yelp_csv([(5, "csv"), (1, "csv too")]))
    write(tmp_path / "yelp/yelp_academic_dataset_review.json.gz", yelp_json([(5, "json"), (1, "json too")]))
    assert load_yelp(tmp_path, test_fraction=0).train_texts == ["csv", "csv too"]
    chosen = load_yelp(tmp_path, test_fraction=0, file_name="yelp_academic_dataset_review.json")
    assert chosen.train_texts == ["json", "json too"]
    with pytest.raises(DatasetError, match="file_name is 'other.csv'"):
        load_yelp(tmp_path, file_name="other.csv")


@pytest.mark.parametrize("form", ["folder", "aclImdb.tar", "aclImdb_v1.tar.gz", "small.tgz", "./ tar"])
def test_imdb(tmp_path, form):
    if form == "folder":
        for name, text in (IMDB_FILES | IMDB_OTHERS).items():
            write(tmp_path / "imdb/aclImdb" / name, text)
    elif form == "./ tar":
        write(tmp_path / "imdb/a.tar", imdb_tar(root="./aclImdb/"))
    else:
        write(tmp_path / "imdb" / form, imdb_tar())
    reviews = load_imdb(tmp_path)
    for part, texts, labels in (
        ("train", reviews.train_texts, reviews.train_labels),
        ("test", reviews.test_texts, reviews.test_labels),
    ):
        order = [(sentiment, number) for number in (0, 1, 10) for sentiment in ("neg", "pos")]
        assert texts == [f"{part} {sentiment} {number}\x85 <br />é" for sentiment, number in order]
        assert labels.tolist() == [0, 1] * 3


# Splits without copies on both sides


def test_copies_stay_on_one_side():
    texts = ["Good  film", "good film ", "GOOD\nFILM", "bad", "Bad", "fine", "dull", "so"]
    labels = [1, 1, 1, 0, 0, 1, 0, 0]
    for seed in range(20):
        kept, held_out = split_by_text(texts, labels, 0.4, np.random.default_rng(seed))
        assert sorted([*kept, *held_out]) == list(range(8))
        assert not {text_key(texts[k]) for k in kept} & {text_key(texts[k]) for k in held_out}
        assert {labels[k] for k in held_out} == {labels[k] for k in kept} == {0, 1}


@given(
    labels=st.lists(st.sampled_from("abc"), max_size=60),
    fraction=st.floats(0, 1, exclude_max=True),
    seed=st.integers(0, 9),
)
def test_split_of_different_texts_is_exact(labels, fraction, seed):
    texts = [f"text {k}" for k in range(len(labels))]
    kept, held_out = split_by_text(texts, labels, fraction, np.random.default_rng(seed))
    assert sorted([*kept, *held_out]) == list(range(len(texts)))
    assert (np.diff(kept) > 0).all() and (np.diff(held_out) > 0).all()
    for label in set(labels):
        count = labels.count(label)
        held = sum(labels[k] == label for k in held_out)
        if fraction == 0 or count == 1:
            assert held == 0
        else:
            assert held == min(max(round(fraction * count), 1), count - 1)


def test_rows_of_ids_are_texts_too():
    ids = np.array([[0, 2, 3], [0, 2, 3], [4, 5, 6], [7, 8, 9], [0, 2, 3]], dtype=np.int32)
    for seed in range(10):
        kept, held_out = split_by_text(ids, [1, 1, 1, 0, 1], 0.3, np.random.default_rng(seed))
        assert held_out.tolist() in ([2], [0, 1, 4])
        assert len(kept) + len(held_out) == 5


@pytest.mark.parametrize(
    ("texts", "labels", "fraction", "message"),
    [
        (["a"], [0], 1, "fraction is 1; expected"),
        (["a"], [0], -0.1, "fraction is -0.1; expected"),
        (["a"], [0], "half", "fraction is 'half'; expected"),
        ("ab", [0, 1], 0.5, "2 texts and labels of shape \\(2,\\); expected a list of texts"),
        (["a"], [[0]], 0.5, "labels of shape \\(1, 1\\)"),
        (["a"], [0, 1], 0.5, "1 texts and labels of shape \\(2,\\); expected"),
    ],
)
def test_split_rejects(texts, labels, fraction, message):
    with pytest.raises(ValueError, match=message):
        split_by_text(texts, labels, fraction, np.random.default_rng(0))


def test_split_rejects_what_is_no_text():
    with pytest.raises(TypeError, match="text 1 is None; expected a str"):
        split_by_text(["a", None], [0, 1], 0.5, np.random.default_rng(0))


def test_retweets_are_copies():
    tweet = "Just registered as an @apple developer... Here's hoping I can actually do it http://t.co/abc"
    assert tweet_key(f"RT @somebody: {tweet[:-12]} ...") == tweet_key(tweet)
    assert tweet_key("RT @anna: Great phone, @apple! http://t.co/x") == tweet_key("Great phone @apple")
    assert tweet_key("@a nice http://t.co/1") == tweet_key("Nice!") != tweet_key("not nice")
    assert tweet_key("rtx 4090") == "rtx 4090"


def test_three_stars_have_no_label():
    assert [label_from_stars(stars, "row 1") for stars in (1, 2, "3", "4", 5.0)] == [0, 0, None, 1, 1]


def test_texts_with_both_labels_are_dropped():
    texts = ["fine", "Fine ", "good", "bad", "good"]
    reviews = split_reviews("demo", texts, [1, 0, 1, 0, 1], "by hand", 0, 0)
    assert reviews.train_texts == ["good", "bad", "good"]
    assert reviews.train_labels.tolist() == [1, 0, 1]


# Errors in files are reported in one line that says how to fix them


def check_error(load, *parts):
    """Loading must fail with a one-line message that contains all parts."""
    with pytest.raises(DatasetError) as caught:
        load()
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, message


def test_unknown_name(tmp_path):
    check_error(lambda: load_dataset("imbd", tmp_path), "'imbd'", "imdb, sanders, yelp, amazon")


def test_no_data_home(monkeypatch, tmp_path):
    monkeypatch.delenv("NUMPY_SETLSTM_DATA", raising=False)
    check_error(lambda: load_dataset("yelp"), "pass data_home", "NUMPY_SETLSTM_DATA")
    write(tmp_path / "yelp/yelp.csv", yelp_csv(STARS))
    monkeypatch.setenv("NUMPY_SETLSTM_DATA", str(tmp_path))
    assert load_dataset("yelp").name == "yelp"


@pytest.mark.parametrize("name", ["imdb", "sanders", "yelp", "amazon"])
def test_missing_files(tmp_path, name):
    check_error(lambda: load_dataset(name, tmp_path / "nowhere"), "nowhere", "get it from http")


@pytest.mark.parametrize(("name", "reason"), [("yelp", "terms"), ("amazon", "login")])
def test_data_sets_that_cannot_be_downloaded(tmp_path, name, reason):
    check_error(lambda: load_dataset(name, tmp_path, download=True), "cannot be downloaded", reason, "get it from http")


@pytest.mark.parametrize("name", WRITERS)
def test_truncated_gzip(tmp_path, name):
    file_name, content, load = WRITERS[name]
    path = write(tmp_path / (file_name + ".gz"), content)
    path.write_bytes(path.read_bytes()[:-20])
    check_error(lambda: load(tmp_path), str(path), "truncated", "get it again")


@pytest.mark.parametrize("name", WRITERS)
def test_altered_gzip(tmp_path, name):
    file_name, content, load = WRITERS[name]
    path = write(tmp_path / (file_name + ".gz"), content)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    path.write_bytes(damaged)
    check_error(lambda: load(tmp_path), str(path))


@pytest.mark.parametrize("name", WRITERS)
def test_not_gzipped_despite_its_name(tmp_path, name):
    file_name, content, load = WRITERS[name]
    path = write(tmp_path / file_name, content)
    path.rename(path.with_name(path.name + ".gz"))
    check_error(lambda: load(tmp_path), "Not a gzipped file")


@pytest.mark.parametrize("name", WRITERS)
def test_not_utf8(tmp_path, name):
    file_name, content, load = WRITERS[name]
    write(tmp_path / file_name, content.encode("utf-8") + b"caf\xe9")
    check_error(lambda: load(tmp_path), file_name, "not UTF-8", "0xe9")


@pytest.mark.parametrize("name", WRITERS)
def test_empty_file(tmp_path, name):
    file_name, _, load = WRITERS[name]
    write(tmp_path / file_name, "")
    check_error(lambda: load(tmp_path))


@pytest.mark.parametrize("name", ["sanders", "yelp", "amazon"])
def test_wrong_header(tmp_path, name):
    file_name, content, load = WRITERS[name]
    write(tmp_path / file_name, content.split("\n", 1)[1])
    check_error(lambda: load(tmp_path), file_name, "has the header", "is it the right file?")


def test_byte_order_mark_before_the_header(tmp_path):
    write(tmp_path / "yelp/yelp.csv", "\ufeff" + yelp_csv(STARS))
    assert len(load_yelp(tmp_path).train_texts) == 32


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ("only,three,fields", ["row 2 (line 3) has 3 fields; expected 10"]),
        ('b,d,r,5,"good" film,review,u,0,0,0', ["row 2 (line 3) is not valid CSV"]),
        ('b,d,r,5,"never closed,review,u,0,0,0', ["row 2", "not valid CSV"]),
        ("b,d,r,6,text,review,u,0,0,0", ["row 2 (line 3): the stars are '6'; expected a whole number from 1 to 5"]),
        ("b,d,r,many,text,review,u,0,0,0", ["row 2", "'many'"]),
        ("b,d,r,nan,text,review,u,0,0,0", ["row 2", "'nan'"]),
    ],
)
def test_malformed_csv_row(tmp_path, row, parts):
    content = yelp_csv([(5, "good")]) + row + "\n"
    write(tmp_path / "yelp/yelp.csv", content)
    check_error(lambda: load_yelp(tmp_path), "yelp.csv", *parts)


def test_line_numbers_count_line_breaks_within_fields(tmp_path):
    write(tmp_path / "amazon_fine_foods/Reviews.csv", amazon_csv([(5, "a\nb\nc"), (1, "d")]) + "oops\n")
    check_error(lambda: load_amazon(tmp_path), "row 3 (line 6) has 1 fields")


def test_unknown_sentiment(tmp_path):
    write(tmp_path / "sanders/full-corpus.csv", sanders_csv([("positive", "a"), ("angry", "b")]))
    check_error(lambda: load_sanders(tmp_path), "row 2 (line 3)", "'angry'", "positive, neutral")


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ('{"stars": 5, "text": "cut', ["line 2 is not valid JSON"]),
        ("[5]", ["line 2 is '[5]'", "stars, text"]),
        ('{"stars": 5}', ["line 2", "stars, text"]),
        ('{"stars": 2.5, "text": "a"}', ["line 2", "the stars are 2.5"]),
        ('{"stars": null, "text": "a"}', ["line 2", "the stars are None"]),
    ],
)
def test_malformed_json_line(tmp_path, line, parts):
    write(tmp_path / "yelp/yelp_academic_dataset_review.json", yelp_json([(5, "good")]) + line + "\n")
    check_error(lambda: load_yelp(tmp_path), "review.json", *parts)


def test_no_clear_review_left(tmp_path):
    write(tmp_path / "yelp/yelp.csv", yelp_csv([(3, "so so")]))
    check_error(lambda: load_yelp(tmp_path), "no labeled review")


# The tar file of IMDB


@pytest.mark.parametrize(
    ("extra", "what"),
    [
        ({"name": "../evil.txt"}, "leaves its folder"),
        ({"name": "aclImdb/train/pos/../../../../0_9.txt"}, "leaves its folder"),
        ({"name": "/etc/passwd"}, "leaves its folder"),
        ({"name": "C:\\evil.txt"}, "leaves its folder"),
        ({"name": "aclImdb\\..\\..\\evil.txt"}, "leaves its folder"),
        ({"name": "aclImdb/link", "type": tarfile.SYMTYPE, "linkname": "/etc"}, "a link or a device"),
        ({"name": "aclImdb/link", "type": tarfile.LNKTYPE, "linkname": "aclImdb/README"}, "a link or a device"),
        ({"name": "aclImdb/null", "type": tarfile.CHRTYPE}, "a link or a device"),
        ({"name": "aclImdb/pipe", "type": tarfile.FIFOTYPE}, "a link or a device"),
    ],
)
def test_malicious_tar(tmp_path, extra, what):
    write(tmp_path / "imdb/a.tar.gz", imdb_tar(**extra))
    before = sorted(tmp_path.rglob("*"))
    check_error(lambda: load_imdb(tmp_path), repr(extra["name"]), what)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.8])
def test_truncated_tar(tmp_path, name, share):
    rng = np.random.default_rng(0)
    files = {review: "".join(map(chr, rng.integers(33, 126, 3000))) for review in IMDB_FILES}
    path = write(tmp_path / "imdb" / name, imdb_tar(files))
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    check_error(lambda: load_imdb(tmp_path), str(path), "again")


def test_gzip_truncated_within_its_checksum(tmp_path):
    path = write(tmp_path / "imdb/a.tar.gz", imdb_tar())
    path.write_bytes(path.read_bytes()[:-4])
    check_error(lambda: load_imdb(tmp_path), "truncated")


def test_not_a_tar(tmp_path):
    write(tmp_path / "imdb/a.tar.gz", "<html>not found</html>" * 100)
    check_error(lambda: load_imdb(tmp_path), "a.tar.gz", "damaged")


def test_half_unpacked_folder(tmp_path):
    for name in list(IMDB_FILES)[:-2]:
        write(tmp_path / "imdb/aclImdb" / name, "text")
    check_error(lambda: load_imdb(tmp_path), "incomplete", "1 in test/pos", "expected 12,500 in each")


def test_imdb_not_utf8(tmp_path):
    for name in IMDB_FILES:
        write(tmp_path / "imdb/aclImdb" / name, b"caf\xe9")
    check_error(lambda: load_imdb(tmp_path), "0_2.txt", "not UTF-8", "0xe9")


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ('{"stars": true, "text": "a"}', ["line 2: the stars are True; expected a whole number from 1 to 5"]),
        ('{"stars": "4e0", "text": "a"}', ["line 2: the stars are '4e0'"]),
        ('{"stars": "٤", "text": "a"}', ["line 2: the stars are '٤'"]),
        ('{"stars": %s, "text": "a"}' % ("5" * 400), ["line 2: the stars are 555", "..."]),
        ('{"stars": %s, "text": "a"}' % ("5" * 5000), ["line 2 is not valid JSON (a number has too many digits)"]),
        ('{"stars": 5, "text": null}', ["line 2: the field 'text' is None; expected a string"]),
        ('{"stars": 3, "text": ["a"]}', ["line 2: the field 'text' is ['a']; expected a string"]),
        (r'{"stars": 5, "text": "\ud83c"}', ["line 2: the field 'text' has half a character, \\ud83c"]),
        (r'{"stars": 5, "text": "\u0000"}', ["line 2: the field 'text' has a NUL character"]),
        ('{"stars": 5, "stars": 1, "text": "a"}', ["line 2 is not valid JSON (the key 'stars' is repeated)"]),
        ("[" * 100_000, ["line 2 is not valid JSON (nested too deeply)"]),
    ],
)
def test_odd_values_in_json(tmp_path, line, parts):
    path = write(tmp_path / "yelp/yelp_academic_dataset_review.json", yelp_json([(5, "good")]) + line + "\n")
    check_error(lambda: load_yelp(tmp_path), str(path), *parts)


@pytest.mark.parametrize("name", WRITERS)
def test_blank_lines_are_skipped_and_counted(tmp_path, name):
    file_name, content, load = WRITERS[name]
    if name == "sanders":
        blank = "\n\r\n" + content.replace("\r\n", "\r\n\r\n") + "\n\n"
    else:
        blank = "\n" + re.sub(r'\n(?=(\d+,p|b,2011|\{"))', "\n\n", content) + "\n\n"
    write(tmp_path / "plain" / file_name, content)
    path = write(tmp_path / "blank" / file_name, blank)
    expected, loaded = load(tmp_path / "plain"), load(tmp_path / "blank")
    assert loaded.train_texts == expected.train_texts and loaded.test_texts == expected.test_texts
    path.write_text(blank + "[", encoding="utf-8", newline="")
    lines = len(re.findall("\r\n|\r|\n", blank)) + 1
    check_error(lambda: load(tmp_path / "blank"), f"line {lines}")


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        ('Topic,"Sentiment"x,TweetId', ["header (line 1) is not valid CSV (',' expected after '\"')"]),
        ("Topic,Sentiment,Sentiment,TweetId,TweetDate,TweetText", ["each once (Sentiment is repeated)"]),
        ('Topic,"Sentiment', ["header (line 1) is not valid CSV (unexpected end of data)"]),
    ],
)
def test_malformed_header(tmp_path, header, parts):
    path = write(tmp_path / "sanders/full-corpus.csv", header + "\n")
    check_error(lambda: load_sanders(tmp_path), str(path), *parts)


def test_the_line_that_is_not_utf8(tmp_path):
    write(tmp_path / "yelp/yelp.csv", yelp_csv([(5, "good")] * 5000).encode("utf-8") + b"b,d,r,5,caf\xe9,r,u,0,0,0\n")
    check_error(lambda: load_yelp(tmp_path), "yelp.csv, line 5002 is not UTF-8 text (invalid byte 0xe9)")


def test_nul_characters(tmp_path):
    write(tmp_path / "yelp/yelp.csv", yelp_csv([(5, "good"), (1, "b\0d")]))
    check_error(lambda: load_yelp(tmp_path), "yelp.csv, line 3 has a NUL character")


# What is not a file


needs_posix = pytest.mark.skipif(os.name != "posix", reason="needs named pipes and links")


@needs_posix
@pytest.mark.parametrize("name", [*WRITERS, "imdb"])
@pytest.mark.parametrize("kind", ["a named pipe", "a folder", "a device", "a link to nothing"])
def test_no_file(tmp_path, name, kind):
    file_name, load = ("imdb/a.tar", load_imdb) if name == "imdb" else WRITERS[name][::2]
    path = tmp_path / file_name
    path.parent.mkdir()
    make = {"a named pipe": os.mkfifo, "a folder": Path.mkdir}
    make |= {"a device": lambda path: path.symlink_to("/dev/zero")}
    make.get(kind, lambda path: path.symlink_to("nowhere"))(path)
    check_error(lambda: load(tmp_path), f"{path} is {kind}; expected")


@needs_posix
def test_links_in_a_circle(tmp_path):
    (tmp_path / "yelp").symlink_to("yelp")
    check_error(lambda: load_yelp(tmp_path), str(tmp_path / "yelp"), "cannot be read")


@needs_posix
def test_a_link_to_the_file_is_fine(tmp_path):
    (tmp_path / "yelp").mkdir()
    (tmp_path / "yelp/yelp.csv").symlink_to(write(tmp_path / "elsewhere/yelp.csv", yelp_csv(STARS)))
    assert len(load_yelp(tmp_path).train_texts) == 32


@pytest.mark.parametrize("data_home", [5, b"data", ["data"], "~no such user/data"])
def test_data_home_is_a_path(data_home):
    check_error(lambda: load_yelp(data_home), "data_home is", "expected")


# The files of IMDB


def write_imdb(home, form, files):
    """Write the reviews as a folder or as a tar file."""
    if form == "tar":
        return write(home / "imdb/a.tar", imdb_tar(files))
    for name, text in files.items():
        write(home / "imdb/aclImdb" / name, text)
    return home / "imdb/aclImdb"


@pytest.mark.parametrize("form", ["folder", "tar"])
def test_reviews_with_one_number_and_two_ratings(tmp_path, form):
    more = {"train/pos/0_10.txt": "ten", "train/neg/0_1.txt": "one"}
    write_imdb(tmp_path, form, IMDB_FILES | more)
    reviews = load_imdb(tmp_path)
    assert [text[-1] if text in more.values() else text.split("\x85")[0] for text in reviews.train_texts[:4]] == [
        *("e", "train neg 0", "train pos 0", "n")
    ]
    assert reviews.train_labels.tolist() == [0, 0, 1, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("form", ["folder", "tar"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("train/pos/00_9.txt", "'train/pos/0"),
        ("train/pos/5_1.txt", "'train/pos/5_1.txt'; expected reviews named NUMBER_RATING.txt with ratings from 7"),
        ("test/neg/x.txt", "'test/neg/x.txt'; expected reviews named NUMBER_RATING.txt with ratings from 1 to"),
    ],
)
def test_names_of_reviews(tmp_path, form, name, message):
    path = write_imdb(tmp_path, form, IMDB_FILES | {name: "text"})
    check_error(lambda: load_imdb(tmp_path), str(path), message, "get the original file")


def test_member_that_is_there_twice(tmp_path):
    path = write(tmp_path / "imdb/a.tar", imdb_tar(name="aclImdb/train/pos/0_9.txt", content=b"other"))
    check_error(lambda: load_imdb(tmp_path), f"{path} holds the review 'train/pos/0_9.txt' twice")


@needs_posix
@pytest.mark.parametrize("what", ["file", "folder"])
def test_links_to_a_place_outside(tmp_path, what):
    folder = write_imdb(tmp_path, "folder", IMDB_FILES)
    path = folder / "train/pos" / ("0_9.txt" if what == "file" else "")
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    check_error(lambda: load_imdb(tmp_path), f"{path} is a link to a place outside {folder}")


@needs_posix
def test_links_to_a_place_inside(tmp_path):
    folder = write_imdb(tmp_path, "folder", IMDB_FILES)
    (folder / "train/pos/0_9.txt").rename(folder / "first.txt")
    (folder / "train/pos/0_9.txt").symlink_to("../../first.txt")
    assert len(load_imdb(tmp_path).train_texts) == 6


@needs_posix
def test_a_review_that_is_a_link_to_itself(tmp_path):
    path = write_imdb(tmp_path, "folder", IMDB_FILES) / "train/pos/7_9.txt"
    path.symlink_to(path.name)
    check_error(lambda: load_imdb(tmp_path), f"{path} cannot be read")


@needs_posix
@pytest.mark.parametrize("kind", ["a named pipe", "a folder"])
def test_a_review_that_is_no_file(tmp_path, kind):
    path = write_imdb(tmp_path, "folder", IMDB_FILES) / "train/pos/7_9.txt"
    {"a named pipe": os.mkfifo, "a folder": os.mkdir}[kind](path)
    check_error(lambda: load_imdb(tmp_path), f"{path} is {kind}; expected a file")


@pytest.mark.parametrize("place", ["header", "end"])
def test_tar_that_ends_within(tmp_path, place):
    """A damaged header, or none, is not taken for the end of the archive."""
    content = bytearray(imdb_tar())
    if place == "header":
        content[1024 * 8] ^= 1  # each member takes two blocks
    else:
        del content[1024 * 12 :]
    path = write(tmp_path / "imdb/a.tar", bytes(content))
    check_error(lambda: load_imdb(tmp_path), f"{path} is damaged or truncated (bad header")


def test_tar_with_members_after_its_end(tmp_path):
    content = bytearray(imdb_tar())
    content[1024 * 8 : 1024 * 9] = bytes(1024)
    path = write(tmp_path / "imdb/a.tar", bytes(content))
    check_error(lambda: load_imdb(tmp_path), f"{path} is damaged (bytes follow the end of the archive)")


# Limits on sizes


def check_small_error(load, *parts):
    """Loading must fail with a one-line message, before it has taken 64 MB."""
    tracemalloc.start()
    try:
        check_error(load, *parts)
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


REVIEW_LIMIT = ("more than 1,048,576 bytes, the limit for one", "max_review_bytes", "NUMPY_SETLSTM_MAX_REVIEW_BYTES")


def test_sparse_member(tmp_path):
    path = write(tmp_path / "imdb/a.tar.gz", sparse_tar())
    assert path.stat().st_size < 400
    check_small_error(lambda: load_imdb(tmp_path), f"{path}", "'aclImdb/train/pos/0_9.txt' is a sparse file")


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_review_of_a_gibibyte(tmp_path, name):
    member = tarfile.TarInfo("aclImdb/train/pos/7_9.txt")
    member.size = 2**30
    path = write(tmp_path / "imdb" / name, member.tobuf() + bytes(2**20))
    check_small_error(lambda: load_imdb(tmp_path), f"{path}, train/pos/7_9.txt", *REVIEW_LIMIT)


@needs_posix
def test_review_of_a_gibibyte_in_a_folder(tmp_path):
    path = write_imdb(tmp_path, "folder", IMDB_FILES) / "train/pos/0_9.txt"
    os.truncate(path, 2**30)
    check_small_error(lambda: load_imdb(tmp_path), str(path), *REVIEW_LIMIT)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_header_of_a_gibibyte(tmp_path, kind):
    member = tarfile.TarInfo("long")
    member.type, member.size = kind, 2**30
    path = write(tmp_path / "imdb/a.tar", member.tobuf() + bytes(2**20))
    check_small_error(lambda: load_imdb(tmp_path), str(path), "a header declares 1,073,741,824 bytes")


@pytest.mark.parametrize("unit", [b"x", b" " * 63 + b"\n", b"text,", b'"'])
@pytest.mark.parametrize("name", ["sanders", "yelp json"])
def test_bombs(tmp_path, name, unit):
    file_name, content, load = WRITERS[name]
    path = tmp_path / (file_name + ".gz")
    path.parent.mkdir()
    path.write_bytes(gzip.compress(content.encode("utf-8")) + gzip.compress(unit * (2**20 // len(unit))) * 64)
    check_small_error(lambda: load(tmp_path), str(path))


def test_the_limit_of_a_compressed_file(tmp_path):
    path = tmp_path / "yelp/yelp.csv.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(yelp_csv(STARS).encode("utf-8")) + gzip.compress((b" " * 255 + b"\n") * 2**12) * 8)
    limit = 4 * 2**20 + 20 * path.stat().st_size
    parts = (str(path), f"{limit:,} bytes", "max_bytes", "NUMPY_SETLSTM_MAX_BYTES")
    check_small_error(lambda: load_yelp(tmp_path), *parts)
    assert len(load_dataset("yelp", tmp_path, max_bytes=2**24).train_texts) == 32


@pytest.mark.parametrize("name", [*WRITERS, "imdb"])
def test_limits_by_argument_and_by_environment(tmp_path, monkeypatch, name):
    long = "word " * 60_000
    if name == "imdb":
        load, path = load_imdb, write_imdb(tmp_path, "tar", IMDB_FILES | dict.fromkeys(IMDB_FILES, long))
    else:
        file_name, _, load = WRITERS[name]
        contents = {
            "sanders": lambda: sanders_csv([("positive", long), ("negative", "b")]),
            "yelp": lambda: yelp_csv([(5, long), (1, "b")]),
            "yelp json": lambda: yelp_json([(5, long), (1, "b")]),
            "amazon": lambda: amazon_csv([(5, long), (1, "b")]),
        }
        path = write(tmp_path / file_name, contents[name]())
    before = csv.field_size_limit()
    assert long in load(tmp_path).train_texts  # longer than the csv module takes by default
    check_error(lambda: load(tmp_path, max_review_bytes=200_000), str(path), "200,000 bytes, the limit for one")
    check_error(lambda: load(tmp_path, max_bytes=250_000), f"{path} holds more than 250,000 bytes")
    monkeypatch.setenv("NUMPY_SETLSTM_MAX_REVIEW_BYTES", "100000")
    check_error(lambda: load(tmp_path), str(path), "100,000 bytes, the limit for one")
    assert long in load(tmp_path, max_review_bytes=400_000).train_texts
    monkeypatch.setenv("NUMPY_SETLSTM_MAX_BYTES", "1000")
    check_error(lambda: load(tmp_path), f"{path} holds more than 1,000 bytes")
    assert csv.field_size_limit() == before


def test_limit_of_a_folder(tmp_path):
    folder = write_imdb(tmp_path, "folder", IMDB_FILES)
    size = sum(len(text.encode("utf-8")) for text in IMDB_FILES.values())
    assert load_imdb(tmp_path, max_bytes=size).name == "imdb"
    check_error(lambda: load_imdb(tmp_path, max_bytes=size - 1), f"{folder} holds more than {size - 1:,} bytes")


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "5", 2**70])
@pytest.mark.parametrize("name", ["max_bytes", "max_review_bytes"])
def test_limits_are_whole_numbers(tmp_path, name, value):
    check_error(lambda: load_dataset("yelp", tmp_path, **{name: value}), f"{name} is", "expected a positive whole")


def test_limits_in_the_environment_are_whole_numbers(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMPY_SETLSTM_MAX_BYTES", "8 GB")
    check_error(lambda: load_imdb(tmp_path), "NUMPY_SETLSTM_MAX_BYTES is '8 GB'; expected")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_fraction": "half"}, "test_fraction is 'half'; expected a number in"),
        ({"test_fraction": float("nan")}, "test_fraction is nan"),
        ({"test_fraction": True}, "test_fraction is True"),
        ({"seed": -1}, "seed is -1; expected"),
        ({"seed": "x"}, "seed is 'x'; expected"),
    ],
)
def test_options_of_the_split(tmp_path, options, message):
    write(tmp_path / "yelp/yelp.csv", yelp_csv(STARS))
    with pytest.raises(ValueError, match=message):
        load_yelp(tmp_path, **options)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: named pipes, alarms and limits on memory")
def test_a_short_attack():
    """Altered files give a clear error or what a slow reader reads; `python tests/attack_data_files.py` runs more."""
    results = run_attack(60, seed=0)
    assert len(results) == 60
    assert [result for result in results if result[2] not in GOOD] == []
    assert {result[2] for result in results} == set(GOOD)


# Downloads, from a server on this machine


@pytest.fixture
def server():
    """A web server that sends `server.content`, with `server.announced` as its Content-Length if set."""
    pytest.importorskip("pooch", reason="needs pooch")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.requests += 1
            self.send_response(self.server.status)
            self.send_header("Content-Length", str(self.server.announced or len(self.server.content)))
            self.end_headers()
            self.wfile.write(self.server.content)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.status, server.content, server.announced, server.requests = 200, b"", None, 0
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def serve(server, monkeypatch, module, content, file_name):
    """Let the server replace the public source of a data set."""
    server.content = content
    monkeypatch.setattr(module, "URL", f"{server.url}/{file_name}")
    monkeypatch.setattr(module, "SHA256", hashlib.sha256(content).hexdigest())


def test_download_imdb(tmp_path, server, monkeypatch):
    serve(server, monkeypatch, imdb, gzip.compress(imdb_tar()), "aclImdb_v1.tar.gz")
    assert len(load_dataset("imdb", tmp_path / "new", download=True).train_texts) == 6
    assert [path.name for path in (tmp_path / "new/imdb").iterdir()] == ["aclImdb_v1.tar.gz"]
    assert len(load_imdb(tmp_path / "new", download=True).test_texts) == 6
    assert server.requests == 1  # existing files are not downloaded again


def test_download_sanders(tmp_path, server, monkeypatch):
    serve(server, monkeypatch, sanders, sanders_csv(TWEETS).encode("utf-8"), "full-corpus.csv")
    assert len(load_sanders(tmp_path, download=True).train_texts) == 24
    assert (tmp_path / "sanders/full-corpus.csv").read_bytes() == server.content


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # pooch does not close the connection of a failed download
@pytest.mark.parametrize("damage", ["altered", "broken off", "not found"])
def test_failed_download_leaves_no_file(tmp_path, server, monkeypatch, damage):
    content = sanders_csv(TWEETS).encode("utf-8")
    serve(server, monkeypatch, sanders, content, "full-corpus.csv")
    if damage == "altered":
        server.content = content.replace(b"tweet", b"TWEET")
    elif damage == "broken off":
        server.content, server.announced = content[:1000], len(content)
    else:
        server.status = 404
    check_error(lambda: load_sanders(tmp_path, download=True), "could not download http://127.0.0.1", "try again")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    gc.collect()  # while this warning is ignored


def test_download_without_pooch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    check_error(lambda: load_sanders(tmp_path, download=True), "pip install '.[datasets]'")


# The real files


@pytest.fixture(scope="session")
def real_imdb():
    return load_imdb()


@needs_real_data
def test_real_imdb(real_imdb):
    assert real_imdb.train_labels.tolist() == real_imdb.test_labels.tolist() == [0, 1] * 12_500
    train, test = set(real_imdb.train_texts), set(real_imdb.test_texts)
    assert (len(train), len(test), len(train & test), len(train | test)) == (24_904, 24_801, 123, 49_582)
    texts = real_imdb.train_texts + real_imdb.test_texts
    assert sum("<br />" in text for text in texts) == 29_200
    assert sum("\x85" in text for text in texts) == 681
    assert not any("\n" in text for text in texts)
    words = [len(text.split()) for text in texts]
    assert (min(words), np.median(words), max(words)) == (4, 173, 2470)


@needs_real_data
def test_real_imdb_is_tokenized_well(real_imdb):
    vocabulary = Vocabulary.build(real_imdb.train_texts[:2000])
    for word in ("don't", "wasn't", "10/10", "!", "?", "the"):
        assert word in vocabulary
    for word in ("br", "<", "/>", "didn", "wasn", ".", ","):
        assert word not in vocabulary.words[:5000]
    known = [np.mean(np.array(vocabulary.encode(text)) != 1) for text in real_imdb.test_texts[:500]]
    assert np.mean(known) > 0.9


def count(reviews):
    """Return the numbers of negative and positive texts in both parts."""
    labels = Counter([*reviews.train_labels.tolist(), *reviews.test_labels.tolist()])
    return labels[0], labels[1]


@needs_real_data
@pytest.mark.parametrize(
    ("load", "expected"), [(load_sanders, (572, 519)), (load_yelp, (1_676, 6_863)), (load_amazon, (3_018, 16_799))]
)
def test_real_counts(load, expected):
    reviews = load()
    negative, positive = count(reviews)
    # A few texts occur with both labels and are dropped.
    assert expected[0] - 10 <= negative <= expected[0] and expected[1] - 10 <= positive <= expected[1]
    assert len(reviews.test_texts) == pytest.approx((negative + positive) / 5, abs=2)
    assert reviews.test_labels.mean() == pytest.approx(reviews.train_labels.mean(), abs=0.002)
    key = tweet_key if load is load_sanders else text_key
    assert not set(map(key, reviews.train_texts)) & set(map(key, reviews.test_texts))
    assert any("\n" in text for text in reviews.train_texts) or load is load_amazon


@needs_real_data
def test_real_yelp_json():
    reviews = load_yelp(file_name="yelp_academic_dataset_review.json")
    assert count(reviews) == (554 + 394, 1_152 + 1_952)


@needs_real_data
def test_the_list_of_ids_is_not_mistaken_for_the_corpus(tmp_path):
    ids_only = Path(REAL_DATA) / "sanders" / "corpus.csv"
    if not ids_only.is_file():
        pytest.skip(f"needs {ids_only.name}, the list of ids")
    write(tmp_path / "sanders/full-corpus.csv", ids_only.read_bytes())
    check_error(lambda: load_sanders(tmp_path), "has the header", "TweetText")
