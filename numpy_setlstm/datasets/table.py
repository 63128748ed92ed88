"""Labeled texts of your own: a CSV or TSV file with a text and its label in each row."""

import itertools
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from numpy_setlstm.datasets.files import first_lines, read_rows, to_path
from numpy_setlstm.datasets.limits import Limits, get_limits
from numpy_setlstm.datasets.reviews import DatasetError, shown
from numpy_setlstm.datasets.splitting import split_reviews

MAX_LABELS = 50
#: Endings of the files that the command line takes for tables.
EXTENSIONS = (".csv", ".tsv", ".tab", ".txt")

_DELIMITERS = {".csv": ",;\t", ".tsv": "\t", ".tab": "\t"}  # in the order of preference
_SNIFFED = "\t,;"
_SNIFFED_LINES = 20
_LONGEST_LABEL = 40  # characters, of a label that is recognized without a header
_LISTED_FIELDS = 20
_TEXT, _LABEL = "text", "label"
_NAMES = {  # words in the names of columns, in lower case; a known name has no others, and the last one decides
    **dict.fromkeys(("text", "texts", "review", "reviews", "sentence", "sentences", "tweet", "content"), _TEXT),
    **dict.fromkeys(("comment", "message", "document", "phrase", "headline", "body"), _TEXT),
    **dict.fromkeys(("label", "labels", "sentiment", "class", "target", "score"), _LABEL),
    **dict.fromkeys(("category", "polarity", "rating", "stars"), _LABEL),
}
_PASS = "pass text= and label= (--text-column, --label-column), names or positions from 0"


def is_table(name):
    """Whether a name of a data set is that of a file with labeled texts, by its ending."""
    return isinstance(name, str) and name.lower().removesuffix(".gz").endswith(EXTENSIONS)


def table_name(path):
    """Return the name of a table in results: that of the file without its endings."""
    return re.sub(r"(?i)(?<=.)\.(?:csv|tsv|tab|txt)$", "", re.sub(r"(?i)\.gz$", "", path.name))


def load_table(
    path,
    *,
    text=None,
    label=None,
    delimiter=None,
    header=None,
    quoted=None,
    test_fraction=0.2,
    seed=0,
    max_bytes=None,
    max_review_bytes=None,
):
    r"""Load labeled texts from a CSV or TSV file.

    Parameters
    ----------
    path : str or Path
        A file in UTF-8, plain or gzipped (".gz"), with a text and its label in each row.
    text, label : str or int, optional
        Their columns, by name or by position from 0. By default those with names such as "text", "review", "sentence",
        "tweet", "content", and "label", "sentiment", "class", "target", "score"; without a header the column of two
        with fewer different values, all of them short, has the labels.
    delimiter : str, optional
        The character between two fields. By default a tab in a ".tsv" file, and a comma in a ".csv" file; if the first
        lines tell otherwise, or for other files, a comma, a tab or a semicolon.
    header : bool, optional
        Whether the first row has the names of the columns. By default it does if `text` or `label` is a name, or if it
        has known names for both.
    quoted : bool, optional
        Whether quotation marks are those of CSV, around a field. If not, they are part of the text, and each line is a
        row. By default they are, but for a file with tabs in which they do not fit.
    test_fraction, seed
        See :func:`load_dataset`.
    max_bytes, max_review_bytes : int, optional
        See :func:`load_dataset`.

    Returns
    -------
    Reviews
        Its `name` is that of the file without its extension. `label_names` are the labels of the file without
        surrounding spaces, at least 2 and at most 50, sorted as numbers if all of them are.

    Raises
    ------
    DatasetError
        If the file is missing, damaged, not UTF-8, larger than a limit or has rows of different lengths (the message
        names the line); a column does not exist or is not known; there is only one label, or more than 50, or more than
        half as many as texts; or no text can be held out.
    ValueError
        If `test_fraction` is no number in [0, 1), or `seed` no seed.

    Notes
    -----
    The split is ours: stratified, with all copies of a text on one side. Texts whose copies have different labels are
    dropped; `rule` says how many.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "hotels.csv"
    ...     _ = path.write_text('stars,review\n5,"clean, quiet"\n1,noisy\n5,lovely\n1,"so ""cosy"" a room"\n')
    ...     load_table(path, test_fraction=0.5)
    Reviews(hotels: train 2, test 2, labels 1, 5)
    """
    for name, value in (("header", header), ("quoted", quoted)):
        if not (value is None or isinstance(value, bool)):
            raise DatasetError(f"{name} is {shown(value)}; expected True, False or None")
    path, limits = to_path(path, "path", "a file"), get_limits(max_bytes, max_review_bytes)
    table = _Table(path, limits, _find_form(path, limits, delimiter, quoted))
    table = _find_columns(table, {_TEXT: text, _LABEL: label}, header)
    texts, labels = _read(table, may_have_header=header is None)
    names = _sorted_labels(set(labels))
    index_of = {name: k for k, name in enumerate(names)}
    indices = [index_of[name] for name in labels]
    rule = f"Labels are those of column {table.shown(table.label)}"
    how = {"source": path, "label_names": names}
    reviews = split_reviews(table_name(path), texts, indices, rule, test_fraction, seed, **how)
    _check_split(reviews, path, test_fraction)
    n_dropped = len(texts) - len(reviews.train_texts) - len(reviews.test_texts)
    dropped = f"; texts whose copies have different labels are omitted, {n_dropped:,} in all" if n_dropped else ""
    return replace(reviews, rule=f"{rule}{dropped}.")


class _Table(NamedTuple):
    """A file and what is known of it: how its fields are delimited, its header or None, and the two columns."""

    path: Path
    limits: Limits
    form: dict
    header: list | None = None
    text: int | None = None
    label: int | None = None

    def rows(self):
        """Yield where each row is, and its fields; not the header."""
        rows = read_rows(self.path, self.limits, **self.form)
        return itertools.islice(rows, 0 if self.header is None else 1, None)

    def shown(self, column):
        """A column as messages show it, by its name or its position."""
        return str(column) if self.header is None else shown(self.header[column])


# How the fields are delimited


def _find_form(path, limits, delimiter, quoted):
    """Return the arguments of :func:`read_rows` that say how the fields of a file are delimited."""
    delimiter = _find_delimiter(path, limits) if delimiter is None else delimiter
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n \0':
        raise DatasetError(f"delimiter is {shown(delimiter)}; expected one character, such as ','")
    if quoted is None:
        quoted = delimiter != "\t" or _has_quoted_fields(path, limits)
    return {"delimiter": delimiter, "quoted": quoted}


def _find_delimiter(path, limits):
    """Return the likeliest delimiter that is in each of the first rows as often, or at least in the first line."""
    lines = first_lines(path, limits, _SNIFFED_LINES)
    likely = _DELIMITERS.get(Path(path.name.lower().removesuffix(".gz")).suffix, _SNIFFED)
    present = [one for one in likely if lines and one in _unquoted(lines[0])]
    rows = re.split(r"[\r\n]+", _unquoted("".join(lines)).rstrip("\r\n"))
    rows = rows if len(lines) < _SNIFFED_LINES else rows[:-1]  # the last one may go on
    equal = [one for one in present if len({row.count(one) for row in rows}) == 1]
    return [*equal, *present, likely[0]][0]


def _unquoted(text):
    return re.sub(r'"[^"]*(?:"|$)', "", text)


def _has_quoted_fields(path, limits):
    """Whether quotation marks in a file with tabs are those of CSV, and not just a part of texts of one line each."""
    try:
        rows = read_rows(path, limits, delimiter="\t", quoted=False)
        return all(_may_be_quoted(field) for _, fields in rows for field in fields)
    except DatasetError:  # lines have different numbers of fields: line breaks in quoted fields, or damage
        pass
    try:
        return all(True for _ in read_rows(path, limits, delimiter="\t"))
    except DatasetError:
        return False


def _may_be_quoted(field):
    if '"' not in field:
        return True
    return len(field) > 1 and field[0] == field[-1] == '"' and '"' not in field[1:-1].replace('""', "")


# Which columns


def _find_columns(table, given, header):
    """Return the table with its header, if it has one, and the positions of its columns, by those that are given."""
    _, first = next(table.rows(), (None, None))
    if first is None:
        raise DatasetError(f"{table.path} is empty; expected rows with a text and a label each")
    if len(first) == 1:
        raise DatasetError(
            f"{table.path} has one column, which begins with {shown(first[0])}; expected a text and a label in each "
            "row, separated by a comma, a tab or a semicolon: or pass delimiter="
        )
    kinds = [_kind_of_name(name) for name in first]
    if header is None:
        header = any(isinstance(column, str) for column in given.values()) or {_TEXT, _LABEL} <= set(kinds)
    table = table._replace(header=first if header else None)
    found = {kind: _position(table, kind, column, first) for kind, column in given.items()}
    if header:
        found = {kind: _known_column(table, kind, kinds, found) for kind in found}
    elif len(first) == 2 and set(found.values()) == {None}:
        found[_LABEL] = _guess_label(table)
    missing = [kind for kind, column in found.items() if column is None]
    if len(first) == 2 and len(missing) == 1:
        (other,) = found.keys() - missing
        found[missing.pop()] = 1 - found[other]
    if missing:
        raise DatasetError(f"{table.path}: which column has the {missing[0]}s? {_listed(table, first)}: {_PASS}")
    if found[_TEXT] == found[_LABEL]:
        raise DatasetError(f"text and label are both column {table.shown(found[_TEXT])}; expected two columns")
    return table._replace(**found)


def _kind_of_name(name):
    """Return "text" or "label" for the name of a column such as "TweetText" or "review_score"; None for others."""
    words = re.split(r"[\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.strip()).lower())
    return _NAMES[words[-1]] if all(word in _NAMES for word in words) else None


def _listed(table, first):
    """The fields of the first row, for a message."""
    names = ", ".join(map(shown, first[:_LISTED_FIELDS])) + (", ..." if len(first) > _LISTED_FIELDS else "")
    return f"the first row is {names}" if table.header is None else f"there are {names}"


def _position(table, kind, column, first):
    """Return the position of the column that is given for the texts or the labels; None if none is."""
    if column is None:
        return None
    if isinstance(column, int) and not isinstance(column, bool):
        if 0 <= column < len(first):
            return column
        raise DatasetError(
            f"{table.path} has no column {shown(column)}; expected a position from 0 to {len(first) - 1}"
        )
    if not isinstance(column, str):
        raise DatasetError(f"{kind} is {shown(column)}; expected the name of a column or its position, from 0")
    names = [] if table.header is None else [name.strip() for name in first]
    if names.count(column.strip()) != 1:
        how = "is twice" if names else "cannot be, with header=False"
        how = how if not names or column.strip() in names else "is missing"
        raise DatasetError(f"{table.path}: the column {shown(column)} {how}; {_listed(table, first)}")
    return names.index(column.strip())


def _known_column(table, kind, kinds, found):
    """Return the column that is found already, or the only one with a name that is known for it; None without one."""
    known = [k for k, one in enumerate(kinds) if one == kind and k not in found.values()]
    if found[kind] is not None or not known:
        return found[kind]
    if len(known) > 1:
        names = " and ".join(table.shown(k) for k in known)
        raise DatasetError(f"{table.path}: which column has the {kind}s? {names} may both have: pass {kind}=")
    return known[0]


def _guess_label(table):
    """Return which of two columns has few different values, all of them short; without the other one, or fewer."""
    values = [set(), set()]
    for _, fields in table.rows():
        for k, field in enumerate(fields):
            if values[k] is not None:
                values[k].add(field.strip())
                if len(values[k]) > MAX_LABELS or len(field) > _LONGEST_LABEL:
                    values[k] = None
        if values == [None, None]:
            break
    sizes = [np.inf if one is None else len(one) for one in values]
    if sizes[0] == sizes[1]:
        which = "neither of two columns looks" if values[0] is None else "both columns look"
        raise DatasetError(f"{table.path}: {which} like labels, few and short: {_PASS}")
    return int(np.argmin(sizes))


# Texts and labels


def _read(table, may_have_header):
    """Return the texts and their labels, two lists of str."""
    texts, labels, known = [], [], {}
    column = f"column {table.shown(table.label)}"
    for where, fields in table.rows():
        label = fields[table.label].strip()
        if not label:
            raise DatasetError(f"{where} has no label in {column}: add it, or remove the row")
        texts.append(fields[table.text])
        labels.append(known.setdefault(label, label))  # one str for all that are equal
        if len(known) > MAX_LABELS:
            raise DatasetError(
                f"{where}: {column} has more than {MAX_LABELS} different labels, such as {shown(label)}; expected "
                "classes: is it the right column? If not, pass label="
            )
    if len(known) < 2:
        what = f"has one label only, {shown(labels[0])}, in {column}" if labels else "has a header and no other row"
        raise DatasetError(f"{table.path} {what}; expected at least two labels")
    if may_have_header and table.header is None:
        _check_first(table, labels)
    if 2 * len(known) > len(labels):
        raise DatasetError(
            f"{table.path} has {len(known)} different labels in {column} for {len(labels)} texts; expected at least "
            "two texts for each on average: is it the right column? If not, pass label="
        )
    return texts, labels


def _check_first(table, labels):
    """Raise a DatasetError if the first label is the only one that is there once, as the name of a column is."""
    counts = Counter(labels)
    if [label for label, count in counts.items() if count == 1] == labels[:1]:
        raise DatasetError(
            f"{table.path}: is the first row a header? Its label, {shown(labels[0])}, is nowhere else: pass "
            "header=True or False, or text= and label= as names of the header"
        )


def _sorted_labels(labels):
    """Return labels as a sorted tuple, by number if all of them are numbers."""
    are_numbers = all(re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", label) for label in labels)
    return tuple(sorted(labels, key=(lambda label: (float(label), label)) if are_numbers else None))


def _check_split(reviews, path, test_fraction):
    """Raise a DatasetError if what is left of a file is too little to train on, or to test with."""
    if len(np.unique(reviews.train_labels)) < 2:
        raise DatasetError(f"{path} has texts of one label only, without those whose copies have different labels")
    if test_fraction and not reviews.test_texts:
        raise DatasetError(
            f"{path} has no label with two different texts, so none can be held out for the test: add texts, or pass "
            "test_fraction=0"
        )
