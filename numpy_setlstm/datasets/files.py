"""Reading data files, plain or gzipped, row by row; any damage is raised as one clear DatasetError."""

import csv
import gzip
import json
import os
import tarfile
import zlib
from contextlib import contextmanager
from pathlib import Path

from numpy_setlstm.datasets.reviews import DatasetError

#: The environment variable with the folder of the data sets.
DATA_HOME_VARIABLE = "NUMPY_SETLSTM_DATA"


def find_data_home(data_home=None):
    """Return the folder of the data sets, by default that of the environment variable NUMPY_SETLSTM_DATA."""
    data_home = data_home or os.environ.get(DATA_HOME_VARIABLE)
    if not data_home:
        raise DatasetError(
            "the folder of the data sets is not known: pass data_home, or set the environment variable "
            f"{DATA_HOME_VARIABLE}"
        )
    return Path(data_home).expanduser()


def find_file(folder, names):
    """Return the first of the files `names` in a folder, plain or with ".gz" added, or None."""
    candidates = [folder / (name + suffix) for name in names for suffix in ("", ".gz")]
    return next((path for path in candidates if path.is_file()), None)


@contextmanager
def damage_explained(path):
    """Raise the errors of reading a damaged file as a DatasetError that names the file."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as error:
        raise DatasetError(f"{path} is damaged or truncated ({error}): delete it and get it again") from error
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise DatasetError(
            f"{path} is not UTF-8 text (invalid byte 0x{byte:02x}): save it as UTF-8, or get the original file"
        ) from error


def open_text(path):
    """Open a UTF-8 text file, gzipped if its name ends in ".gz"."""
    opener = gzip.open if path.suffix == ".gz" else open
    return opener(path, "rt", encoding="utf-8-sig", newline="")  # newline="": as the csv reader requires


def read_csv(path, columns):
    """Yield each row of a CSV file whose header has at least these columns: where it is (for errors), and a dict.

    Raises a DatasetError for a wrong header, a malformed row, or a damaged file.
    """
    with damage_explained(path), open_text(path) as file:
        reader = csv.reader(file, strict=True)
        header = next(reader, [])
        missing = [column for column in columns if column not in header]
        if missing:
            raise DatasetError(
                f"{path} has the header {_shorten(','.join(header))!r}; expected one with the columns "
                f"{', '.join(columns)}: is it the right file?"
            )
        number = 0
        try:
            for number, fields in enumerate(reader, start=1):
                where = f"{path}, row {number} (line {reader.line_num})"
                if len(fields) != len(header):
                    raise DatasetError(
                        f"{where} has {len(fields)} fields; expected {len(header)}: fix the row or get the file again"
                    )
                yield where, dict(zip(header, fields, strict=True))
        except csv.Error as error:
            raise DatasetError(
                f"{path}, row {number + 1} (line {reader.line_num}) is not valid CSV ({error}): "
                "fix the row or get the file again"
            ) from error


def read_json_lines(path, keys):
    """Yield each line of a file with one JSON object per line: where it is (for errors), and a dict with these keys.

    Raises a DatasetError for a malformed line or a damaged file.
    """
    with damage_explained(path), open_text(path) as file:
        for number, line in enumerate(file, start=1):
            where = f"{path}, line {number}"
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise DatasetError(
                    f"{where} is not valid JSON ({error.msg}): fix the line or get the file again"
                ) from error
            missing = [key for key in keys if not isinstance(row, dict) or key not in row]
            if missing:
                raise DatasetError(f"{where} is {_shorten(line)!r}; expected an object with {', '.join(keys)}")
            yield where, row


def _shorten(text):
    text = text.strip()
    return text if len(text) <= 60 else text[:60] + "..."
