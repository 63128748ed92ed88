"""Alter small data files at random, load them, and count what happens.

python tests/attack_data_files.py --calls 2472 --seed 0

Each call writes a valid file or folder in one of the public formats, alters it, and loads it in a child process with a
limit on its memory. What was loaded is compared with a slow reader below, which shares no parser with the package but
Python's json. The table counts the outcomes; the exit status is 1 if one of BAD occurred. `--only NUMBER` repeats a
call that failed, with its traceback.
"""

import argparse
import csv
import gzip
import io
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import traceback
import tracemalloc
from collections import Counter
from pathlib import Path, PurePosixPath

import numpy as np

from numpy_setlstm.datasets import load_dataset, load_table
from numpy_setlstm.datasets.splitting import text_key, tweet_key

MEMORY = 64 * 2**20  # bytes that a call may take
SECONDS = 60  # after which a call hangs
CALLS_PER_CHILD = 250

GOOD = ("clear error", "loaded, rightly")
BAD = ("foreign exception", "unclear error", "hang", "silently wrong", "wrongly refused", "above 64 MB")
REFUSED = "refused"

# Valid files


def reviews(rng):
    """Return (mark, text) pairs: marks from 0 to 4, different texts, odd characters."""
    pieces = [
        "good",
        "bad",
        'a "quoted" word',
        "comma, comma",
        "line\nbreak",
        "<br />",
        "é",
        "🎬",
        "नमस्ते",
        "\u2028",
        "don't",
    ]
    return [
        (k % 5, f"{k} " + " ".join(rng.choice(pieces, size=rng.integers(1, 6)))) for k in range(rng.integers(5, 16))
    ]


def csv_bytes(rows):
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue().encode("utf-8")


def sanders(rng):
    sentiments = ["negative", "irrelevant", "neutral", "positive", "positive"]
    rows = [["apple", sentiments[mark], k, "today", text] for k, (mark, text) in enumerate(reviews(rng))]
    return csv_bytes([["Topic", "Sentiment", "TweetId", "TweetDate", "TweetText"], *rows])


def yelp(rng):
    return csv_bytes([["id", "stars", "text", "cool"], *[["r", mark + 1, text, 0] for mark, text in reviews(rng)]])


def amazon(rng):
    return csv_bytes([["Id", "Score", "Summary", "Text"], *[[7, mark + 1, "s", text] for mark, text in reviews(rng)]])


def yelp_json(rng):
    rows = [{"id": "r", "stars": mark + 1, "text": text, "cool": 0} for mark, text in reviews(rng)]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8")


def table(rng):
    rows = [[k, ("negative", "positive")[mark % 2], text] for k, (mark, text) in enumerate(reviews(rng))]
    return csv_bytes([["id", "label", "text"], *rows])


def lines_of(rng, labels):
    """Return lines of a text, a tab and a label, with quotation marks that are no quoting."""
    return "".join(f"{' '.join(text.split())}\t{labels[mark % 2]}\n" for mark, text in reviews(rng)).encode("utf-8")


def imdb_files(rng):
    places = itertools.product(("train", "test"), (("neg", 2), ("pos", 9)), range(rng.integers(1, 4)))
    texts = iter(text for _ in range(9) for _, text in reviews(rng))
    return {f"{part}/{s}/{k}_{rating}.txt": next(texts).encode("utf-8") for part, (s, rating), k in places}


def tar_bytes(members):
    """Return a tar file of (name, content or None for a header alone, attributes)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content, attributes in members:
            member = tarfile.TarInfo(f"aclImdb/{name}")
            member.size = len(content or b"")
            for key, value in attributes.items():
                setattr(member, key, value)
            if content is None:
                archive.fileobj.write(member.tobuf(tarfile.GNU_FORMAT))
                archive.offset += 512
            else:
                archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def imdb_members(rng):
    return [("README", b"read me", {}), *((name, text, {}) for name, text in imdb_files(rng).items())]


CSV_COLUMNS = {  # format -> columns that the loader needs, the one of the label, the one of the text
    "sanders": (["Topic", "Sentiment", "TweetId", "TweetDate", "TweetText"], "Sentiment", "TweetText"),
    "yelp": (["stars", "text"], "stars", "text"),
    "amazon": (["Id", "Score", "Summary", "Text"], "Score", "Text"),
    "table": (["label", "text"], "label", "text"),
}
FILES = {  # format -> file in the folder of the data sets, writer
    "sanders": ("sanders/full-corpus.csv", sanders),
    "yelp": ("yelp/yelp.csv", yelp),
    "yelp json": ("yelp/yelp_academic_dataset_review.json", yelp_json),
    "amazon": ("amazon_fine_foods/Reviews.csv", amazon),
    "table": ("tables/table.csv", table),
    "lines": ("tables/lines.tsv", lambda rng: lines_of(rng, ["bad", "good"])),
    "sentences": ("uci_sentences/yelp_labelled.txt", lambda rng: lines_of(rng, "01")),
    "imdb tar": ("imdb/aclImdb.tar", lambda rng: tar_bytes(imdb_members(rng))),
}


class Case:
    """A data set on the disk: one file with its content, compressed or not, or the folder of IMDB."""

    def __init__(self, home, rng):
        self.home, self.rng, self.demand, self.altered = home, rng, None, False
        self.format = str(rng.choice([*FILES, "imdb folder"]))
        self.compressed = bool(rng.integers(2)) and self.format != "imdb folder"
        if self.format == "imdb folder":
            self.path = home / "imdb" / "aclImdb"
            for name, content in imdb_files(rng).items():
                write(self.path / name, content)
        else:
            name, writer = FILES[self.format]
            self.path = home / (name + ".gz" * self.compressed)
            self.write(writer(rng))
        self.named = self.path  # what an error has to name

    @property
    def is_tar(self):
        return self.format == "imdb tar"

    @property
    def is_text(self):
        return not self.format.startswith("imdb")

    def write(self, content):
        write(self.path, gzip.compress(content, 1) if self.compressed else content)

    def read(self):
        content = self.path.read_bytes()
        return gzip.decompress(content) if self.compressed else content

    def any_file(self):
        """Return the file, or one of the folder's."""
        return self.path if self.path.is_file() else self.pick(sorted(self.path.rglob("*.txt")))

    def pick(self, options):
        return options[self.rng.integers(len(options))]

    def load(self):
        if self.format == "table":
            return load_table(self.path, text="text", label="label", delimiter=",", test_fraction=0.25)
        if self.format == "lines":
            return load_table(self.path, test_fraction=0.25)
        name = "sentences-yelp" if self.format == "sentences" else self.format.split()[0]
        return load_dataset(name, self.home, test_fraction=0.25)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


# Alterations: each changes a case, and sets `demand` to REFUSED if the reference reader need not be asked, or returns
# False if it is not for this format

ODD_BYTES = [
    b'"',
    b"\0",
    b"\n\n",
    b"\xff",
    b"\r",
    b"\xef\xbb\xbf",
    b"{",
    b"[",
    b",",
    b"\\",
    b"\xed\xa0\x80",
    b"\x1a",
    b'""',
]


def altered(content, rng):
    """Return bytes with one random damage."""
    content, kind = bytearray(content), rng.integers(5)
    start = int(rng.integers(len(content)))
    stop = start + int(rng.integers(1, 40))
    if kind == 0:
        for k in rng.integers(len(content), size=rng.integers(1, 9)):
            content[k] ^= int(rng.integers(1, 256))
    elif kind == 1:
        del content[start:]
    elif kind == 2:
        del content[start:stop]
    elif kind == 3:
        content[start:start] = ODD_BYTES[rng.integers(len(ODD_BYTES))]
    else:
        content[start:start] = content[start:stop]
    return bytes(content)


def nothing(case):
    pass


def bytes_of_the_content(case):
    if case.format == "imdb folder":
        path = case.any_file()
        path.write_bytes(altered(path.read_bytes(), case.rng))
    else:
        case.write(altered(case.read(), case.rng))


def bytes_of_the_compressed_file(case):
    if not case.compressed:
        return False
    case.path.write_bytes(altered(case.path.read_bytes(), case.rng))


def lines(case):
    """Remove, double, swap or blank a line, or change all line ends."""
    if not case.is_text:
        return False
    rows, kind = case.read().split(b"\n"), case.rng.integers(5)
    k = int(case.rng.integers(len(rows)))
    if kind == 0:
        del rows[k]
    elif kind == 1:
        rows.insert(k, rows[k])
    elif kind == 2:
        rows[k], rows[-2] = rows[-2], rows[k]
    elif kind == 3:
        rows.insert(k, case.pick([b"", b" ", b"\t", b"\r"]))
    case.write((case.pick([b"\r\n", b"\r"]) if kind == 4 else b"\n").join(rows))


ODD_STARS = 'true|false|null|0|6|-1|2.5|nan|Infinity|1e400|"5"|"five"|""|[]|{}|[5]|5.0|3.0|"5.0"|" 4 "|"4e0"|"٥"|+5|05'
ODD_STARS = [*ODD_STARS.split("|"), "5" * 400, "1" + "0" * 5000, '"' + "5" * 400 + '"', "[" * 100_000, '{"a":' * 50_000]
ODD_TEXTS = [
    "null",
    "5",
    "true",
    "[]",
    "{}",
    '"\\ud800"',
    '"\\u0000"',
    '""',
    '" "',
    '"' + "word " * 40_000 + '"',
    '"ok"',
]


def a_field(case):
    """Replace the label or the text of a row by an odd value."""
    is_label = bool(case.rng.integers(2))
    value = case.pick(ODD_STARS if is_label else ODD_TEXTS)
    if case.format == "yelp json":
        rows = case.read().decode("utf-8").split("\n")
        k = int(case.rng.integers(len(rows) - 1))
        row = json.loads(rows[k])
        fields = {key: json.dumps(content) for key, content in row.items()} | {"stars" if is_label else "text": value}
        rows[k] = "{" + ", ".join(f'"{key}": {content}' for key, content in fields.items()) + "}"
        case.write("\n".join(rows).encode("utf-8"))
    elif case.format in CSV_COLUMNS:
        rows = list(csv.reader(io.StringIO(case.read().decode("utf-8"), newline="")))
        _, label, text = CSV_COLUMNS[case.format]
        value = value.strip('"').replace("\\u0000", "\0")
        rows[case.rng.integers(1, len(rows))][rows[0].index(label if is_label else text)] = value
        case.write(csv_bytes(rows))
    elif case.is_text:
        rows = [line.split("\t") for line in case.read().decode("utf-8").splitlines() if "\t" in line]
        rows[case.rng.integers(len(rows))][int(is_label)] = case.pick([value, value.strip('"')])
        case.write("".join("\t".join(row) + "\n" for row in rows).encode("utf-8"))
    else:
        return False


def the_columns(case):
    """Drop, repeat or rename a column or key, in one row or in all; or quote it wrongly."""
    kind = case.rng.integers(4)
    if case.format == "yelp json":
        key = case.pick(["stars", "text", "cool"]).encode()
        odd = [b'"x"', b'"%s": 1, "%s"' % (key, key), b'"%s"' % key.upper(), b'"%s"x' % key][kind]
        case.write(case.read().replace(b'"%s"' % key, odd, int(case.rng.integers(1, 3))))
    elif case.format in CSV_COLUMNS:
        content = case.read()
        header, rest = content.split(b"\n", 1)
        columns = header.split(b",")
        k = int(case.rng.integers(len(columns)))
        columns[k : k + 1] = [[], [columns[k]] * 2, [columns[k - 1]], [b'"%s"x' % columns[k]]][kind]
        case.write(b",".join(columns) + b"\n" + rest)
    elif case.is_text:
        odd = [b"", b"\t\t", b'\t"', b'"\t'][kind]
        case.write(case.read().replace(b"\t", odd, int(case.rng.integers(1, 3))))
    else:
        return False


def kind_of_the_file(case):
    """Replace a file by something else."""
    path = case.any_file()
    outside = case.home / "elsewhere" / path.name
    case.named = path
    kind = case.pick(["folder", "pipe", "socket", "no link", "circle", "zeros", "link", "empty", "missing"])
    case.demand = REFUSED
    write(outside, path.read_bytes())
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as connection:
            here = os.getcwd()
            os.chdir(path.parent)  # the path of a socket must be short
            connection.bind(path.name)
            os.chdir(here)
    elif kind == "no link":
        path.symlink_to("nowhere")
    elif kind == "circle":
        path.symlink_to(path.name)
    elif kind == "zeros":
        path.symlink_to("/dev/zero")
    elif kind == "link":  # to a valid file: fine, unless it is one of the reviews of a folder
        path.symlink_to(outside)
        case.demand = None if case.format != "imdb folder" else REFUSED
    elif kind == "missing":
        case.named = case.path.parent
    elif kind == "empty":
        path.write_bytes(b"")
        case.demand = None if case.format == "imdb folder" else REFUSED


def reviews_of_imdb(case):
    """Double, rename, add, drop or link a review."""
    odd = [
        "0_10.txt",
        "8_7.txt",
        "00_9.txt",
        "0_1.txt",
        "5_0.txt",
        "x.txt",
        "0_9.TXT",
        "._0_9.txt",
        "1_9_9.txt",
        "9" * 99 + "_9.txt",
        "7_8.txt",
    ]
    name = "train/pos/" + case.pick(odd)
    balanced = bool(case.rng.integers(2))
    if case.format == "imdb folder":
        write(case.path / name, b"one more")
        if balanced:
            write(case.path / "train/neg/12_2.txt", b"and one more")
        if case.rng.integers(4) == 0:
            shutil.move(case.path / "train/neg", case.home / "neg")
            (case.path / "train/neg").symlink_to(case.home / "neg")
            case.demand = REFUSED
    elif case.is_tar:
        odd_member = case.pick(
            [
                (name, b"one more", {}),
                ("train/pos/0_9.txt", b"twice", {}),
                ("../0_9.txt", b"", {}),
                ("l", b"", {"type": b"2"}),
            ]
        )
        others = [("train/neg/12_2.txt", b"and one more", {})] if balanced else []
        case.write(tar_bytes([*imdb_members(case.rng), odd_member, *others]))
    else:
        return False


def long_gzip(unit, size, first=b""):
    """Return a gzip file that inflates to about `size` bytes: many members, compressed once."""
    block = unit * (2**20 // len(unit))
    return gzip.compress(first) + gzip.compress(block, 9) * (size // len(block))


def bombs(case):
    """Write a small file that takes much memory if it is believed."""
    case.demand = REFUSED
    if case.is_tar:
        members, large = imdb_members(case.rng), {"size": int(case.rng.integers(2**28, 2**33))}
        huge = case.pick(
            [
                ("train/pos/77_9.txt", None, large),
                ("README2", None, large),
                ("train/pos/77_9.txt", None, large | {"type": tarfile.GNUTYPE_SPARSE}),
                ("long", None, large | {"type": tarfile.GNUTYPE_LONGNAME}),
                ("pax", None, large | {"type": tarfile.XHDTYPE}),
            ]
        )
        content = tar_bytes([*members, huge])[: 512 + 1024 * len(members)]
        if huge[2].get("type") == tarfile.GNUTYPE_SPARSE:
            content = sparse_tar()
        if case.compressed:
            case.path.write_bytes(long_gzip(b"\0", 2**29, content))
        else:
            case.write(content)
            os.truncate(case.path, 2**33 + 1 if huge[0] == "README2" else 2**32)  # without taking the disk
    elif case.compressed:
        unit = case.pick([b"\0", b"\n", b"[", b"word ", b'"', b",", b"a\n", b'"a\n",', None])
        size = 2**25 if unit is None else 2**29
        case.path.write_bytes(long_gzip(unit or case.read().split(b"\n", 1)[1], size, case.read()))
    elif case.is_text:
        if case.rng.integers(2):
            os.truncate(case.path, 2**33)
        else:
            case.write(case.read() + b'"' + case.pick([b"word ", b'","', b"\n"]) * 2**20)
    else:
        path = case.any_file()
        os.truncate(path, int(case.rng.integers(2**21, 2**33)))


def sparse_tar():
    """Return a tar file of 3 blocks with a review of 3 GB, almost all of it a hole."""
    member = tarfile.TarInfo("aclImdb/train/pos/0_9.txt")
    member.type, member.size = tarfile.GNUTYPE_SPARSE, 1
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[386:410] = b"%011o\0%011o\0" % (3 * 10**9 - 1, 1)  # where its only byte is
    header[483:495] = b"%011o\0" % (3 * 10**9)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + b"x".ljust(512, b"\0") + bytes(1024)


ALTERATIONS = {
    f.__name__.replace("_", " "): f
    for f in (
        nothing,
        bytes_of_the_content,
        bytes_of_the_compressed_file,
        lines,
        a_field,
        the_columns,
        kind_of_the_file,
        reviews_of_imdb,
        bombs,
    )
}
SHARES = np.array([1, 6, 3, 3, 6, 3, 3, 3, 1])

# The reference reader


class Refused(Exception):
    """The reference reader does not accept a file."""


def require(condition):
    if not condition:
        raise Refused


def utf8(content):
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused from None
    require("\0" not in text)
    return text


def reference(case):
    """Return what has to be loaded, as counts of (text, label), or for IMDB of (part, position, text, label).

    For "lines", of which only whoever wrote them knows whether fields are quoted, a list of what may be loaded.
    """
    if case.format == "imdb folder":
        found = {path.relative_to(case.path).as_posix(): path.read_bytes() for path in case.path.glob("*/*/*")}
        return reference_imdb(list(found.items()))
    try:
        content = case.read()
    except (OSError, EOFError, gzip.zlib.error):
        raise Refused from None
    if case.is_tar:
        return reference_imdb(list(tar_members(content)))
    text = utf8(content.removeprefix(b"\xef\xbb\xbf"))
    if case.format == "lines":
        return references_of_lines(text)
    if case.format == "table":
        return clear_pairs(table_pairs(csv_rows(text), "text", "label"), text_key, is_table=True)
    if case.format == "sentences":
        pairs = sentence_pairs(text)
    else:
        pairs = list(json_pairs(text) if case.format == "yelp json" else csv_pairs(text, *CSV_COLUMNS[case.format]))
    pairs = [(text, label) for text, label in pairs if label is not None]
    return clear_pairs(pairs, tweet_key if case.format == "sanders" else text_key)


def stars_label(stars):
    if isinstance(stars, str):
        text = stars.strip()
        require(text[:1] in tuple("12345") and (text[1:2] or ".") == "." and not text[2:].strip("0"))
        stars = int(text[0])
    require(type(stars) in (int, float) and stars in (1, 2, 3, 4, 5))
    return None if stars == 3 else int(stars > 3)


def csv_pairs(text, columns, label_column, text_column):
    rows = [row for row in csv_rows(text) if row]
    require(rows and all(rows[0].count(column) == 1 for column in columns))
    for row in rows[1:]:
        require(len(row) == len(rows[0]))
        label, content = row[rows[0].index(label_column)], row[rows[0].index(text_column)]
        if label_column == "Sentiment":
            labels = {"positive": 1, "negative": 0, "neutral": None, "irrelevant": None}
            require(label in labels)
            yield content, labels[label]
        else:
            yield content, stars_label(label)


def csv_rows(text, delimiter=","):
    """Return the rows of a CSV file, character by character."""
    rows, row, field, state, seen = [], [], "", "start", ""
    for character in text:
        is_end = state != "quoted" and character in "\r\n"
        seen += "" if is_end else character
        if state == "quoted":
            if character == '"':
                state = "quote in quoted"
            else:
                field += character
        elif state == "quote in quoted" and character == '"':
            field, state = field + '"', "quoted"
        elif is_end:
            if seen.strip():  # not blank
                rows.append([*row, field])
            row, field, state, seen = [], "", "start", ""
        elif character == delimiter:
            row, field, state = [*row, field], "", "start"
        elif state == "start" and character == '"':
            state = "quoted"
        else:
            require(state != "quote in quoted")
            field, state = field + character, "field"
    require(state != "quoted")
    if seen.strip():
        rows.append([*row, field])
    return rows


def plain_rows(text):
    """Return the rows of a file with tabs and without quoting."""
    return [line.split("\t") for line in re.split("\r\n|\r|\n", text) if line.strip()]


def sentence_pairs(text):
    rows = plain_rows(text)
    require(all(len(row) == 2 and row[1] in ("0", "1") for row in rows))
    return [(row[0], int(row[1])) for row in rows]


def table_pairs(rows, text_column, label_column):
    """Return (text, label name) of the rows of a table, below its header if the columns are names."""
    require(rows and all(len(row) == len(rows[0]) for row in rows))
    if isinstance(text_column, str):
        header, *rows = [[field.strip() for field in rows[0]], *rows[1:]]
        require(header.count(text_column) == header.count(label_column) == 1)
        text_column, label_column = header.index(text_column), header.index(label_column)
    require(all(len(row) > max(text_column, label_column) for row in rows))
    pairs = [(row[text_column], row[label_column].strip()) for row in rows]
    names = {label for _, label in pairs}
    require("" not in names and 2 <= len(names) <= 50 and 2 * len(names) <= len(pairs))
    return pairs


def references_of_lines(text):
    """Return what a file with tabs and without a header may be: as it stands, or with quoted fields."""
    found = []
    for read in (plain_rows, lambda text: csv_rows(text, "\t")):
        try:
            found.append(clear_pairs(table_pairs(read(text), 0, 1), text_key, is_table=True))
        except Refused:
            pass
    return found


def clear_pairs(pairs, key, is_table=False):
    """Return the counts of (text, label), without texts whose copies have different labels."""
    labels_of = {}
    for text, label in pairs:
        labels_of.setdefault(key(text), set()).add(label)
    clear = Counter((text, label) for text, label in pairs if len(labels_of[key(text)]) == 1)
    require(clear)
    if is_table:
        texts_of = Counter(next(iter(labels)) for labels in labels_of.values() if len(labels) == 1)
        require(len(texts_of) >= 2 and max(texts_of.values()) >= 2)  # one to hold out
    return clear


def json_pairs(text):
    def unique(pairs):
        require(len(dict(pairs)) == len(pairs))
        return dict(pairs)

    for line in re.split("\r\n|\r|\n", text):
        if line.strip():
            try:
                row = json.loads(line, object_pairs_hook=unique)
            except (ValueError, RecursionError):
                raise Refused from None
            require(isinstance(row, dict) and {"stars", "text"} <= set(row) and isinstance(row["text"], str))
            require("\0" not in row["text"] and not re.search("[\ud800-\udfff]", row["text"]))
            yield row["text"], stars_label(row["stars"])


def tar_members(content):
    """Yield name and content of each file in a tar file of plain files and folders."""
    position = 0
    while True:
        header = content[position : position + 512]
        require(len(header) == 512)
        if not any(header):
            require(not any(content[position:]))
            return
        try:
            checksum = int(header[148:156].split(b"\0")[0].decode("ascii").strip() or "0", 8)
            size = int(header[124:136].split(b"\0")[0].decode("ascii").strip() or "0", 8)
        except ValueError:
            raise Refused from None
        require(checksum == sum(header[:148]) + 256 + sum(header[156:]) and size >= 0 and header[156:157] in b"05\0")
        name = header[:100].split(b"\0")[0].decode("utf-8", "surrogateescape")
        require(".." not in name and not name.startswith("/"))
        position += 512
        if header[156:157] != b"5":
            require(position + size <= len(content))
            yield "/".join(PurePosixPath(name).parts[-3:]), content[position : position + size]
            position += -(-size // 512) * 512


def reference_imdb(found):
    by_key, sizes = {}, Counter()
    for name, content in found:
        parts = name.split("/")
        file_name = parts[-1]
        is_review = len(parts) == 3 and parts[0] in ("train", "test") and parts[1] in ("neg", "pos")
        if not is_review or not file_name.endswith(".txt") or file_name.startswith("."):
            continue
        numbers = file_name.removesuffix(".txt").split("_")
        require(len(numbers) == 2 and all(n.isascii() and n.isdigit() and len(n) < 10 for n in numbers))
        number, rating = map(int, numbers)
        require(rating in ((1, 2, 3, 4) if parts[1] == "neg" else (7, 8, 9, 10)))
        key = parts[0], number, int(parts[1] == "pos"), rating
        require(key not in by_key)
        by_key[key] = utf8(content)
        sizes[key[0], key[2]] += 1
    require(all(0 < sizes[part, 0] == sizes[part, 1] for part in ("train", "test")))
    result = Counter()
    for part in ("train", "test"):
        ordered = sorted(key for key in by_key if key[0] == part)
        result.update((part, k, by_key[key], key[2]) for k, key in enumerate(ordered))
    return result


# One call


class Hang(BaseException):
    """A call took too long."""


def on_alarm(*_):
    raise Hang


def attack(number, seed, folder):
    """Alter and load one data set; return the alteration, the outcome, and a description."""
    home = Path(folder, str(number))
    rng = np.random.default_rng([seed, number])
    name = str(rng.choice(list(ALTERATIONS), p=SHARES / SHARES.sum()))
    while True:
        case = Case(home, rng)
        if ALTERATIONS[name](case) is not False:
            break
        shutil.rmtree(home)
    case.altered = name != "nothing"
    case.description = f"{case.format}{', compressed' * case.compressed}: {name}"
    if case.demand == REFUSED:
        expected = None
    else:
        try:
            expected = reference(case)
        except Refused:
            expected = None
    tracemalloc.start()
    try:
        outcome, message = outcome_of(case, expected)
        if tracemalloc.get_traced_memory()[1] > MEMORY and outcome != "hang":
            outcome, message = "above 64 MB", f"{tracemalloc.get_traced_memory()[1]:,} bytes, then: {message}"
    finally:
        tracemalloc.stop()
        shutil.rmtree(home)
    return name, outcome, f"{case.description}: {message}"


def outcome_of(case, expected):
    try:
        signal.alarm(SECONDS)
        loaded = case.load()
    except ValueError as error:  # a DatasetError is one
        message = str(error)
        if type(error).__name__ != "DatasetError" or "\n" in message or str(case.named) not in message:
            return "unclear error", f"{type(error).__name__}: {message}"
        may_refuse = expected is None or (case.format == "lines" and case.altered)
        return ("clear error" if may_refuse else "wrongly refused"), message
    except Hang:
        return "hang", f"{SECONDS} s"
    except Exception:
        return "foreign exception", traceback.format_exc()
    finally:
        signal.alarm(0)
    parts = (("train", loaded.train_texts, loaded.train_labels), ("test", loaded.test_texts, loaded.test_labels))
    got = Counter()
    for part, texts, labels in parts:
        for k, (text, label) in enumerate(zip(texts, labels.tolist(), strict=True)):
            label = loaded.label_names[label] if case.format in ("table", "lines") else label
            got[(part, k, text, label) if loaded.name == "imdb" else (text, label)] += 1
    if case.format == "lines":
        expected = next((one for one in expected or () if one == got), None)
    if got == expected:
        return "loaded, rightly", ""
    return (
        "silently wrong",
        f"got {got - (expected or Counter())}, expected {(expected or Counter()) - got or 'an error'}",
    )


# Children


def limit_memory():
    """Let this process take 512 MB more than it has."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    limit = pages * resource.getpagesize() + 2**29
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def run_child(first, stop, seed):
    """Run the calls first, ..., stop - 1; a line of JSON for each."""
    signal.signal(signal.SIGALRM, on_alarm)
    limit_memory()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, stop):
            print(json.dumps([number, *attack(number, seed, folder)]), flush=True)


def run(calls, seed, per_child=CALLS_PER_CHILD):
    """Return [number, alteration, outcome, description] of each call; the child is replaced when it dies or hangs."""
    results, first = [], 0
    while first < calls:
        stop = min(first + per_child, calls)
        command = [sys.executable, __file__, "--child", str(first), str(stop), "--seed", str(seed)]
        try:
            child = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 2 * (stop - first))
            output, ending = child.stdout, f"the child ended with {child.returncode}: {child.stderr[-2000:]}"
        except subprocess.TimeoutExpired as error:
            output, ending = (error.stdout or b"").decode(), "the child hung"
        results += map(json.loads, output.splitlines())
        first += len(output.splitlines())
        if first < stop:
            results.append([first, "unknown", "hang" if ending == "the child hung" else "foreign exception", ending])
            first += 1
    return results


def report(results):
    """Print the table; return whether all outcomes are good."""
    columns = [*GOOD, *BAD]
    counts = Counter((alteration, outcome) for _, alteration, outcome, _ in results)
    rows = [*dict.fromkeys([*ALTERATIONS, *(result[1] for result in results)])]
    print(f"{'alteration':30}{'calls':>7}" + "".join(f"{column:>19}" for column in columns))
    for row in rows:
        numbers = [counts[row, column] for column in columns]
        print(f"{row:30}{sum(numbers):7,}" + "".join(f"{number:19,}" for number in numbers))
    totals = [sum(counts[row, column] for row in rows) for column in columns]
    print(f"{'all':30}{len(results):7,}" + "".join(f"{number:19,}" for number in totals))
    failures = [result for result in results if result[2] in BAD]
    for number, _, outcome, description in failures[:20]:
        print(f"\ncall {number}, {outcome}: {description[:2000]}")
    return not failures


def main():
    parser = argparse.ArgumentParser(description="Alter data files at random, load them, and count what happens.")
    parser.add_argument("--calls", type=int, default=2472)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, metavar="NUMBER", help="run this call alone, in this process")
    parser.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return run_child(*options.child, options.seed)
    if options.only is not None:
        signal.signal(signal.SIGALRM, on_alarm)
        with tempfile.TemporaryDirectory() as folder:
            return print(*attack(options.only, options.seed, folder), sep="\n")
    return 0 if report(run(options.calls, options.seed)) else 1


if __name__ == "__main__":
    sys.exit(main())
