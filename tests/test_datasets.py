"""Tests of the loaders, on small files in the public formats, and on the real files where available."""

import csv
import gc
import gzip
import hashlib
import http.server
import io
import json
import os
import sys
import tarfile
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
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
        (["a"], [0, 1], 0.5, "1 texts and labels of shape \\(2,\\); expected"),
    ],
)
def test_split_rejects(texts, labels, fraction, message):
    with pytest.raises(ValueError, match=message):
        split_by_text(texts, labels, fraction, np.random.default_rng(0))


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
    check_error(lambda: load_yelp(tmp_path), "no positive or negative review")


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
