"""Tests of loaders of labeled texts from files with a row for each: anybody's, and the labelled sentences of UCI."""

import gzip
import itertools
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_datasets import REAL_DATA, check_error, csv_text, needs_real_data, write

from numpy_setlstm.datasets import DATASETS, load_dataset, load_sentences, load_table
from numpy_setlstm.datasets.table import is_table, table_name

PAIRS = [("good, so good", "pos"), ('a "dull" film', "neg"), ("fine\x85 film", "pos"), ("bad\n\nfilm", "neg")]
PAIRS += [("superb \u2028film", "pos"), ("awful; film", "neg"), ("चलचित्र", "pos"), ("film\twith tab", "neg")]
PLAIN = [(text.replace("\n", " ").replace("\t", " "), label) for text, label in PAIRS]  # one line, no tab


def loaded(path, **options):
    """What is in a file, by load_table: a list of (text, label name) in the file's order."""
    reviews = load_table(path, test_fraction=0, **options)
    names = [reviews.label_names[k] for k in reviews.train_labels]
    return list(zip(reviews.train_texts, names, strict=True))


# Forms of files


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t"), ("a.txt", "\t")])
@pytest.mark.parametrize("header", [[], [("text", "label")]])
def test_csv_in_all_its_forms(tmp_path, name, delimiter, header, end, start, suffix):
    rows = csv_text([*header, *PAIRS], delimiter=delimiter, lineterminator=end)
    path = write(tmp_path / (name + suffix), start + rows)
    assert loaded(path) == PAIRS


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("header", ["", "label\ttext\n"])
def test_quotation_marks_of_texts_with_tabs_are_kept(tmp_path, header, order):
    pairs = [*PLAIN, ("\"You'll love it!", "pos"), ('he said "no"', "neg"), ('"', "pos"), ('" and "', "neg")]
    header = "\t".join(header.strip().split("\t")[::-order]) + "\n" if header else ""
    rows = "".join("\t".join(pair[::order]) + "\n" for pair in pairs)
    assert loaded(write(tmp_path / "a.tsv", header + rows)) == pairs


def test_whole_fields_in_quotation_marks_with_tabs_are_csv(tmp_path):
    path = write(tmp_path / "a.tsv", '"good ""film"""\tpos\n"bad"\tneg\nfine\tpos\ndull\tneg\n')
    assert loaded(path) == [('good "film"', "pos"), ("bad", "neg"), ("fine", "pos"), ("dull", "neg")]
    assert loaded(path, quoted=False)[1] == ('"bad"', "neg")


def test_the_form_can_be_told(tmp_path):
    path = write(tmp_path / "a.csv", "good, so|1\nbad, so|0\nfine, so|1\ndull, so|0\n")
    assert loaded(path, delimiter="|")[0] == ("good, so", "1")
    path = write(tmp_path / "b.csv", "a,x\nb,y\na,x\nb,y\na,x\n")
    check_error(lambda: loaded(path), "both columns look like labels", "pass text= and label=")
    assert loaded(path, label=1) == loaded(path, text=0) == [("a", "x"), ("b", "y"), ("a", "x"), ("b", "y"), ("a", "x")]
    assert loaded(path, text="x", label="a") == [("y", "b"), ("x", "a"), ("y", "b"), ("x", "a")]


def test_blank_lines_and_spaces_around_labels(tmp_path):
    path = write(tmp_path / "a.csv", "\n\ngood ,1 \n \n bad, 0\nfine,1\n\ndull,0\n\n")
    assert loaded(path) == [("good ", "1"), (" bad", "0"), ("fine", "1"), ("dull", "0")]


# Columns


@pytest.mark.parametrize(
    ("header", "text", "label"),
    [
        ("text,label,id", 0, 1),
        ("id,Sentiment,TweetText", 2, 1),
        ("ID,review,sentiment", 1, 2),
        ("class,sentence,n", 1, 0),
        ("score,when,Content", 2, 0),
        ("target,ids,text", 2, 0),
        (" Review Text ,Review-Id,review_score", 0, 2),
    ],
)
def test_columns_are_found_by_their_names(tmp_path, header, text, label):
    rows = [[f"{k}"] * 3 for k in range(6)]
    for k, row in enumerate(rows):
        row[text], row[label] = f"text {k}", "ab"[k % 2]
    path = write(tmp_path / "a.csv", header + "\n" + csv_text(rows))
    assert loaded(path) == [(f"text {k}", "ab"[k % 2]) for k in range(6)]


def test_columns_by_name_and_by_position(tmp_path):
    rows = csv_text([("Titel", "Urteil", "label"), *[(f"text {k}", "ab"[k % 2], k) for k in range(6)]])
    path = write(tmp_path / "a.csv", rows)
    expected = [(f"text {k}", "ab"[k % 2]) for k in range(6)]
    for text, label in itertools.product(("Titel", 0), ("Urteil", 1)):
        assert loaded(path, text=text, label=label, header=True) == expected
    assert loaded(path, text="Titel", label=1) == expected
    assert "labels of" not in load_table(path, text="Titel", label=1).rule
    assert load_table(path, text="Titel", label=1).rule == "Labels are those of column 'Urteil'."
    check_error(lambda: load_table(path, text=0, label=1), "is the first row a header?", "'Urteil'", "header=True")


def test_without_a_header_the_labels_are_few_and_short(tmp_path):
    long = [(f"text {k}", "a label that has more than forty characters") for k in range(6)]
    check_error(lambda: loaded(write(tmp_path / "a.csv", csv_text(long))), "6 different labels in column 0 for 6 texts")
    many = [(f"text {k}", str(k % 60)) for k in range(240)]
    check_error(lambda: loaded(write(tmp_path / "b.csv", csv_text(many))), "neither of two columns")
    few = [(str(k % 21), str(k % 3)) for k in range(240)]
    assert loaded(write(tmp_path / "c.csv", csv_text(few))) == few


@pytest.mark.parametrize(
    ("content", "options", "parts"),
    [
        ("text,label\na,1\n", {"text": "txt"}, ["the column 'txt' is missing; there are 'text', 'label'"]),
        ("text,text,label\na,b,1\n", {"text": "text"}, ["the column 'text' is twice"]),
        ("text,review,label\na,b,1\n", {}, ["which column has the texts? 'text' and 'review' may both have", "text="]),
        ("a,b,c\nd,e,f\n", {}, ["which column has the texts? the first row is 'a', 'b', 'c'", "text= and label="]),
        ("text,b,c\nd,e,f\n", {"label": "d"}, ["the column 'd' is missing"]),
        ("text,b,c\nd,e,f\n", {"text": 0}, ["which column has the labels?"]),
        ("text,label\na,1\n", {"label": 2}, ["has no column 2; expected a position from 0 to 1"]),
        ("text,label\na,1\n", {"label": -1}, ["has no column -1"]),
        ("text,label\na,1\n", {"label": True}, ["label is True; expected the name of a column"]),
        ("text,label\na,1\n", {"text": 0, "label": "text"}, ["text and label are both column 'text'"]),
        ("text,label\na,1\n", {"text": "text", "header": False}, ["'text' cannot be, with header=False"]),
        ("text,label\na,1\n", {"header": 1}, ["header is 1; expected True, False or None"]),
        ("text,label\na,1\n", {"quoted": "no"}, ["quoted is 'no'; expected True"]),
        ("text,label\na,1\n", {"delimiter": ",,"}, ["delimiter is ',,'; expected one character"]),
        ("text,label\na,1\n", {"delimiter": "\n"}, ["delimiter is '\\n'"]),
    ],
)
def test_columns_that_are_not_there(tmp_path, content, options, parts):
    check_error(lambda: load_table(write(tmp_path / "a.csv", content), **options), *parts)


# Labels


def test_labels_are_sorted_and_those_of_the_file(tmp_path):
    rows = [(f"text {k}", ("10", "9", "-1")[k % 3]) for k in range(30)]
    reviews = load_table(write(tmp_path / "stars.csv", csv_text(rows)), seed=3)
    assert reviews.name == "stars" and reviews.label_names == ("-1", "9", "10")
    assert repr(reviews) == "Reviews(stars: train 24, test 6, labels -1, 9, 10)"
    pairs = {text: reviews.label_names[k] for text, k in zip(reviews.train_texts, reviews.train_labels, strict=True)}
    assert pairs.items() <= set(rows) and reviews.train_labels.dtype == np.int64
    assert Counter(reviews.test_labels.tolist()) == {0: 2, 1: 2, 2: 2}  # stratified
    again = load_table(tmp_path / "stars.csv", seed=3)
    assert again.test_texts == reviews.test_texts != load_table(tmp_path / "stars.csv", seed=4).test_texts


def test_copies_stay_together_and_contradictions_are_counted(tmp_path):
    rows = [("Good film", "1"), ("good  film", "1"), ("so", "1"), ("So ", "0"), ("bad", "0"), ("dull", "0")]
    reviews = load_table(write(tmp_path / "a.csv", csv_text(rows)), test_fraction=0.5)
    assert sorted(reviews.train_texts + reviews.test_texts) == ["Good film", "bad", "dull", "good  film"]
    assert reviews.rule == (
        "Labels are those of column 1; texts whose copies have different labels are omitted, 2 in all."
    )


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        ([("a", "1"), ("b", "1"), ("c", "1")], ["has one label only, '1', in column 1; expected at least two"]),
        ([("a b", "1"), ("b c", "0"), ("c d", "2"), ("d e", "3")], ["both columns look like labels"]),
        ([("text", "label"), *[(f"text {k}", k) for k in range(60)]], ["line 52", "'label' has more than 50"]),
        ([("text", "label"), ("a", "1"), ("b", "0"), ("c", "2"), ("d", "1")], ["3 different labels", "for 4 texts"]),
        ([("text", "label")], ["has a header and no other row"]),
        ([("text", "label"), ("a", "1"), ("b", " "), ("c", "2")], ["line 3 has no label in column 'label': add it"]),
        ([("text", "label"), ("a", "1"), ("b",), ("c", "2")], ["line 3 has 1 fields; expected 2"]),
        ([("text", "label"), ("a\nb\nc", "1"), ("b",), ("c", "2")], ["line 5 has 1 fields; expected 2"]),
        ([("text", "label"), ("a", "1", "2"), ("c", "2")], ["line 2 has 3 fields; expected 2"]),
        ([("text", "label"), ("a", "1"), ("A", "0"), ("a", "1")] * 2, ["no labeled review without a copy"]),
        ([("text", "label"), ("a", "1"), ("A", "0"), ("b", "1"), ("c", "1")], ["one label only, without those"]),
        ([("text", "label"), *[("a", "1"), ("b", "0")] * 3], ["no label with two different texts", "test_fraction=0"]),
    ],
)
def test_labels_that_are_no_classes(tmp_path, rows, parts):
    rows = [row for k, row in enumerate(rows) if k == 0 or row != rows[0]]
    path = write(tmp_path / "a.csv", csv_text(rows, lineterminator="\n"))
    check_error(lambda: load_table(path), str(path), *parts)


# Files that are none


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["is empty"]),
        (b"\n \n", ["is empty"]),
        (b"good\nbad\n", ["has one column, which begins with 'good'", "delimiter="]),
        ("text,label\nfine,1\ncafé,0\n".encode("latin-1"), ["line 3 is not UTF-8 text (invalid byte 0xe9)"]),
        ("text,label\nfine,1\n".encode("utf-16"), ["line 1 is not UTF-8 text (invalid byte 0xff)"]),
        (b"\x89PNG\r\n\x1a\n\0\0", ["is not UTF-8 text (invalid byte 0x89)"]),
        (b"PK\3\4\0\0,\n", ["NUL character"]),
        (gzip.compress(b"text,label\n"), ["is not UTF-8", "0x8b"]),
        (b'text,label\n"good,1\nbad,0\n', ["is not valid CSV"]),
        (b'text,label\n"good" film,1\nbad,0\n', ["line 2 is not valid CSV"]),
    ],
)
def test_a_file_that_is_no_table(tmp_path, content, parts):
    path = write(tmp_path / "a.csv", content)
    check_error(lambda: load_table(path), str(path), *parts)
    check_error(lambda: load_table(write(tmp_path / "a.csv.gz", content)), "a.csv.gz", *parts)


def test_no_file(tmp_path):
    check_error(lambda: load_table(tmp_path / "a.csv"), f"{tmp_path / 'a.csv'} is missing; expected a file")
    check_error(lambda: load_table(tmp_path), "is a folder; expected a file")
    check_error(lambda: load_table(5), "path is 5; expected a str or a Path")
    check_error(lambda: load_table(b"a.csv"), "path is b'a.csv'; expected a str or a Path")


def test_limits(tmp_path):
    rows = [("word " * 50_000, "1"), ("b", "0"), ("c", "1"), ("d", "0")]
    path = write(tmp_path / "a.tsv", csv_text(rows, delimiter="\t"))
    assert loaded(path) == rows
    check_error(lambda: load_table(path, max_review_bytes=200_000), "200,000 bytes, the limit for one")
    check_error(lambda: load_table(path, max_bytes=200_000), f"{path} holds more than 200,000 bytes")
    rows = [("word " * 20_000 + str(k), str(k % 2)) for k in range(20)]  # each below the limit, not all together
    assert loaded(write(tmp_path / "b.csv", csv_text(rows))) == rows


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(
        st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])), min_size=4, max_size=9
    ),
    delimiter=st.sampled_from(",;\t"),
)
def test_any_text_that_is_written_is_read(tmp_path_factory, texts, delimiter):
    pairs = [(f"{k} {text}", "ab"[k % 2]) for k, text in enumerate(texts)]
    path = tmp_path_factory.mktemp("any") / "a.txt"
    write(path, csv_text([("text", "label"), *pairs], delimiter=delimiter, lineterminator="\n"))
    assert loaded(path, delimiter=delimiter, quoted=True) == pairs


def test_names_of_files():
    assert all(map(is_table, ["a.csv", "~/b/a.TSV.gz", "a.txt", "a.tab"]))
    assert not any(map(is_table, ["imdb", "sentences-imdb", "a.json", "csv", "a.csv.zip", None, Path("a.csv")]))
    names = {"a/b.c.csv.gz": "b.c", "hotels.TSV": "hotels", "x.csv.csv": "x.csv", "data": "data", ".csv": ".csv"}
    assert {path: table_name(Path(path)) for path in names} == names


# The labelled sentences

SENTENCES = {"amazon": "amazon_cells_labelled.txt", "imdb": "imdb_labelled.txt", "yelp": "yelp_labelled.txt"}
SOME = [(f"sentence {k}  ", k % 2) for k in range(20)] + [('"Wow', 1), ('so "bad"', 0), ("a\x85 b", 1), ("c", 0)]


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("site", SENTENCES)
def test_sentences(tmp_path, site, suffix):
    content = "".join(f"{text}\t{label}\n" for text, label in SOME)
    write(tmp_path / "uci_sentences" / (SENTENCES[site] + suffix), content)
    reviews = load_dataset(f"sentences-{site}", tmp_path, test_fraction=0.25)
    assert reviews.name == f"sentences-{site}" and f"sentences-{site}" in DATASETS
    assert reviews.label_names == ("negative", "positive")
    found = zip(reviews.train_texts + reviews.test_texts, [*reviews.train_labels, *reviews.test_labels], strict=True)
    assert sorted(found) == sorted(SOME) and len(reviews.test_texts) == 6
    assert load_sentences(site, tmp_path, test_fraction=0.25).test_texts == reviews.test_texts


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("no label", ["line 2 has 1 fields; expected 2"]),
        ("a\tb\t1", ["line 2 has 3 fields"]),
        ("good\t2", ["line 2: the fields are ['good', '2']; expected a sentence, a tab, and 0 or 1"]),
        ("good\tpositive", ["line 2: the fields are"]),
    ],
)
def test_malformed_sentences(tmp_path, line, parts):
    write(tmp_path / "uci_sentences/yelp_labelled.txt", f"fine\t1\n{line}\n")
    check_error(lambda: load_sentences("yelp", tmp_path), "yelp_labelled.txt", *parts)


def test_sentences_that_are_not_there(tmp_path):
    load = partial(load_dataset, "sentences-imdb", tmp_path)
    check_error(load, "no imdb_labelled.txt in", "uci_sentences", "get it from https://archive.ics.uci.edu")
    check_error(partial(load, download=True), "cannot be downloaded by itself", "get it from http")
    check_error(
        lambda: load_sentences("imbd", tmp_path), "no sentences from 'imbd'; expected one of amazon, imdb, yelp"
    )
    check_error(lambda: load_dataset("sentences", tmp_path), "there is no data set 'sentences'", "sentences-yelp")


@needs_real_data
@pytest.mark.parametrize(("site", "distinct"), [("amazon", 990), ("imdb", 997), ("yelp", 996)])
def test_the_real_sentences_are_all_there(site, distinct):
    reviews = load_dataset(f"sentences-{site}", test_fraction=0)
    assert Counter(reviews.train_labels.tolist()) == {0: 500, 1: 500}
    assert len(set(reviews.train_texts)) == distinct
    lines = (Path(REAL_DATA) / "uci_sentences" / SENTENCES[site]).read_bytes().decode("utf-8").split("\n")
    pairs = [tuple(line.rsplit("\t", 1)) for line in lines[:-1]]
    assert list(zip(reviews.train_texts, map(str, reviews.train_labels), strict=True)) == pairs
    assert loaded(Path(REAL_DATA) / "uci_sentences" / SENTENCES[site]) == pairs  # the columns and the form are found
    assert sum("\x85" in text for text in reviews.train_texts) == (2 if site == "imdb" else 0)


@needs_real_data
def test_real_files_of_other_sets_are_tables_too():
    assert load_table(Path(REAL_DATA) / "yelp/yelp.csv.gz").label_names == ("1", "2", "3", "4", "5")
    tweets = load_table(Path(REAL_DATA) / "sanders/full-corpus.csv", test_fraction=0)
    assert len(tweets.train_texts) == 5113 and len(tweets.label_names) == 4
