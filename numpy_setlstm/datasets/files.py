"""Reading data files, plain or gzipped, row by row; any damage is raised as one clear DatasetError."""

import csv
import gzip
import io
import itertools
import json
import os
import stat
import tarfile
import zlib
from collections import Counter
from contextlib import closing, contextmanager
from pathlib import Path

from numpy_setlstm.datasets.limits import LimitedStream, Limits, check_total
from numpy_setlstm.datasets.reviews import DatasetError, shown

#: The environment variable with the folder of the data sets.
DATA_HOME_VARIABLE = "NUMPY_SETLSTM_DATA"

_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def find_data_home(data_home=None):
    """Return the folder of the data sets, by default that of the environment variable NUMPY_SETLSTM_DATA."""
    data_home = data_home or os.environ.get(DATA_HOME_VARIABLE)
    if not data_home:
        raise DatasetError(
            "the folder of the data sets is not known: pass data_home, or set the environment variable "
            f"{DATA_HOME_VARIABLE}"
        )
    return to_path(data_home, "data_home", "a folder")


def to_path(value, name, kind):
    """Return the path that a caller gave as the argument `name`, which is to lead to `kind`, such as "a folder"."""
    if not isinstance(value, (str, os.PathLike)):
        raise DatasetError(f"{name} is {shown(value)}; expected a str or a Path")
    try:
        return Path(value).expanduser()
    except (RuntimeError, TypeError) as error:  # "~nobody"; a path of bytes
        raise DatasetError(f"{name} is {shown(value)}; expected the path of {kind} ({error})") from error


def kind_of(path):
    """Return what a path leads to, such as "a file" or "a folder"; None if there is nothing."""
    try:
        return _KINDS.get(stat.S_IFMT(os.stat(path).st_mode), "no file")
    except (FileNotFoundError, NotADirectoryError):
        return "a link to nothing" if os.path.islink(path) else None
    except (OSError, ValueError) as error:  # no permission, links in a circle, a name too long or with a NUL
        raise _unreadable(path, error) from error


def find_file(folder, names):
    """Return the first of the files `names` in a folder, plain or with ".gz" added, or None."""
    kinds = {folder / (name + suffix): None for name in names for suffix in ("", ".gz")}
    for path in kinds:
        kinds[path] = kind_of(path)
        if kinds[path] == "a file":
            return path
    for path, kind in kinds.items():
        if kind is not None:
            raise DatasetError(f"{path} is {kind}; expected a file: put the data file there")
    return None


def _unreadable(path, error):
    reason = getattr(error, "strerror", None) or error
    return DatasetError(f"{path} cannot be read ({reason}): check the path, its permissions and the disk")


@contextmanager
def damage_explained(path):
    """Raise the errors of reading a damaged file as a DatasetError that names the file."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as error:
        reason = " ".join(str(error).split())
        raise DatasetError(f"{path} is damaged or truncated ({reason}): delete it and get it again") from error
    except UnicodeDecodeError as error:
        raise not_utf8(path, error.object[error.start]) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def not_utf8(where, byte):
    """Return the DatasetError for a file or line with a byte that is not part of UTF-8 text."""
    return DatasetError(
        f"{where} is not UTF-8 text (invalid byte 0x{byte:02x}): save it as UTF-8, or get the original file"
    )


@contextmanager
def open_bytes(path, limits):
    """Open a file, gzipped if its name ends in ".gz" or ".tgz", as a stream of bytes that ends at the limit."""
    is_compressed = path.suffix in (".gz", ".tgz")
    if kind_of(path) != "a file":  # opening a named pipe would wait for ever
        raise DatasetError(f"{path} is {kind_of(path) or 'missing'}; expected a file: put the data file there")
    with damage_explained(path), (gzip.open if is_compressed else open)(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        limit = limits.of_file(size, is_compressed)
        check_total(0 if is_compressed else size, limit, path)
        yield io.BufferedReader(LimitedStream(file, limit, path), 1 << 16)


class _Lines:
    """Lines of UTF-8 text in rows of one or more lines, with at most as many bytes as a review may have.

    Blank lines between rows are skipped.
    """

    def __init__(self, stream, path, limits):
        # newline="": as the csv reader requires. Invalid bytes become surrogates, so that their line is known.
        self._text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._path, self._limits = path, limits
        self.number = 0  # of lines read
        self.row_bytes = 0  # in the lines since a row began

    def __iter__(self):
        return self

    def __next__(self):
        line = self._read()
        while self.row_bytes == 0 and line.isspace() and len(line) <= self._limits.review:  # blank, between rows
            line = self._read()
        if not line:
            raise StopIteration
        where = f"{self._path}, line {self.number}"
        try:
            self.row_bytes += len(line) if line.isascii() else len(line.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise not_utf8(where, ord(line[error.start]) & 0xFF) from error
        self._limits.check_review(self.row_bytes, where)
        if "\0" in line:
            raise DatasetError(f"{where} has a NUL character: save the file as UTF-8, or get the original file")
        return line

    def _read(self):
        line = self._text.readline(self._limits.review + 1)
        self.number += bool(line)
        return line


def read_csv(path, columns, limits=None):
    """Yield each row of a CSV file whose header has at least these columns: where it is (for errors), and a dict.

    Blank lines are skipped. Raises a DatasetError for a wrong header, a malformed row, or a damaged file.
    """
    with closing(read_rows(path, limits, has_header=True)) as rows:
        _, header = next(rows, (None, []))
        missing = [column for column in columns if header.count(column) != 1]
        if missing:
            twice = [column for column in missing if column in header]
            raise DatasetError(
                f"{path} has the header {_shorten(','.join(header))!r}; expected one with the columns "
                f"{', '.join(columns)}{f', each once ({twice[0]} is repeated)' if twice else ''}: is it the right file?"
            )
        for where, fields in rows:
            yield where, dict(zip(header, fields, strict=True))


def read_rows(path, limits=None, *, delimiter=",", quoted=True, has_header=False):
    """Yield each row of a file with delimited fields: where it is (for errors), and its fields, in all rows as many.

    Blank lines are skipped. Quotation marks are those of CSV; if not `quoted`, they are characters like others, and a
    row is a line. Raises a DatasetError for a malformed row or a damaged file.
    """
    limits = limits or Limits()
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    with open_bytes(path, limits) as stream:
        lines, size = _Lines(stream, path, limits), None
        for where, fields in _csv_rows(lines, path, limits, has_header, delimiter=delimiter, quoting=quoting):
            size = size or len(fields)
            if len(fields) != size:
                raise DatasetError(
                    f"{where} has {len(fields)} fields; expected {size}: fix the row or get the file again"
                )
            yield where, fields


def first_lines(path, limits, number):
    """Return at most so many lines from the beginning of a file, without blank ones."""
    found = []
    with open_bytes(path, limits) as stream:
        lines = _Lines(stream, path, limits)
        for line in itertools.islice(lines, number):
            lines.row_bytes = 0
            found.append(line)
    return found


def _csv_rows(lines, path, limits, has_header, **dialect):
    """Yield where a row is, and its fields; row 0 is the header, if the file has one."""
    reader = csv.reader(lines, strict=True, **dialect)
    number = 0
    while True:
        lines.row_bytes = 0
        previous = csv.field_size_limit(min(limits.review, 2**31 - 1))  # a setting of the process: leave it as it was
        try:
            fields = next(reader, None)
        except csv.Error as error:
            name = f"row {number}" if number else "header"
            where = f"{path}, {name} (line {lines.number})" if has_header else f"{path}, line {lines.number}"
            raise DatasetError(f"{where} is not valid CSV ({error}): fix the row or get the file again") from error
        finally:
            csv.field_size_limit(previous)
        if fields is None:
            return
        yield f"{path}, row {number} (line {lines.number})" if has_header else f"{path}, line {lines.number}", fields
        number += 1


def read_json_lines(path, keys, limits=None):
    """Yield each line of a file with one JSON object per line: where it is (for errors), and a dict with these keys.

    Blank lines are skipped. Raises a DatasetError for a malformed line or a damaged file.
    """
    limits = limits or Limits()
    with open_bytes(path, limits) as stream:
        lines = _Lines(stream, path, limits)
        for line in lines:
            lines.row_bytes = 0
            where = f"{path}, line {lines.number}"
            row = _parse_json(line, where)
            missing = [key for key in keys if not isinstance(row, dict) or key not in row]
            if missing:
                raise DatasetError(f"{where} is {_shorten(line)!r}; expected an object with {', '.join(keys)}")
            yield where, row


def _parse_json(line, where):
    try:
        return json.loads(line, object_pairs_hook=_object)
    except RecursionError:
        reason = "nested too deeply"
    except json.JSONDecodeError as error:
        reason = error.msg
    except ValueError:
        reason = "a number has too many digits"
    raise DatasetError(f"{where} is not valid JSON ({reason}): fix the line or get the file again")


def _object(pairs):
    row = dict(pairs)
    if len(row) < len(pairs):
        repeated = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise json.JSONDecodeError(f"the key {shown(repeated)} is repeated", "", 0)
    return row


def _shorten(text):
    text = text.strip()
    return text if len(text) <= 60 else text[:60] + "..."
