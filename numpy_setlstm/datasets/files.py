"""Reading data files, plain or gzipped, so that every damage ends in one clear line.

The readers are generators: a file of any size passes through row by row.
"""

import csv
import gzip
import json
import os
import tarfile
import zlib
from contextlib import contextmanager
from pathlib import Path

from numpy_setlstm.datasets.reviews import DatasetError

#: The environment variable that says in which folder the data sets lie.
DATA_HOME_VARIABLE = "NUMPY_SETLSTM_DATA"


def find_data_home(data_home=None):
    """Return the folder that holds the data sets.

    Parameters
    ----------
    data_home : str or Path, optional
        If None, the environment variable NUMPY_SETLSTM_DATA says where it is.

    Returns
    -------
    Path

    Raises
    ------
    DatasetError
        If neither `data_home` nor the environment variable is given.
    """
    data_home = data_home or os.environ.get(DATA_HOME_VARIABLE)
    if not data_home:
        raise DatasetError(
            "no folder of data sets given: pass data_home, or set the environment variable "
            f"{DATA_HOME_VARIABLE} to the folder"
        )
    return Path(data_home).expanduser()


def find_file(folder, names):
    """Return the first of the files `names` that `folder` holds, plain or with ".gz" added; None if there is none."""
    candidates = [folder / (name + suffix) for name in names for suffix in ("", ".gz")]
    return next((path for path in candidates if path.is_file()), None)


@contextmanager
def damage_explained(path):
    """Turn whatever a damaged file raises while it is read into a DatasetError that names the file."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as error:
        raise DatasetError(f"{path} is damaged or cut short ({error}): delete it and get it once more") from error
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise DatasetError(
            f"{path} is not UTF-8 text (byte 0x{byte:02x} makes no sense there): save it as UTF-8, "
            "or get the original file"
        ) from error


def open_text(path):
    """Open a UTF-8 text file, gunzipping it on the way if its name ends in ".gz"."""
    opener = gzip.open if path.suffix == ".gz" else open
    return opener(path, "rt", encoding="utf-8-sig", newline="")  # newline="": the csv reader wants them as they are


def read_csv(path, columns):
    """Read the rows of a CSV file with a header.

    Parameters
    ----------
    path : Path
    columns : sequence of str
        Columns that the header must have; there may be others.

    Yields
    ------
    where : str
        File, row and line, for error messages; row 1 is the first after the header.
    row : dict of str to str

    Raises
    ------
    DatasetError
        If a column is missing, if a row has more or fewer fields than the header or broken quotation marks, if the
        file is not UTF-8, or if it is gzipped and damaged.
    """
    with damage_explained(path), open_text(path) as file:
        reader = csv.reader(file, strict=True)
        header = next(reader, [])
        missing = [column for column in columns if column not in header]
        if missing:
            raise DatasetError(
                f"{path} has the header {_shorten(','.join(header))!r}, expected one with the columns "
                f"{', '.join(columns)}: is it the right file?"
            )
        number = 0
        try:
            for number, fields in enumerate(reader, start=1):
                where = f"{path}, row {number} (line {reader.line_num})"
                if len(fields) != len(header):
                    raise DatasetError(
                        f"{where} has {len(fields)} fields, expected {len(header)}: mend the row or get the file anew"
                    )
                yield where, dict(zip(header, fields, strict=True))
        except csv.Error as error:
            raise DatasetError(
                f"{path}, row {number + 1} (line {reader.line_num}) is not valid CSV ({error}): "
                "mend the row or get the file anew"
            ) from error


def read_json_lines(path, keys):
    """Read a file with one JSON object per line.

    Parameters
    ----------
    path : Path
    keys : sequence of str
        Keys that each object must have.

    Yields
    ------
    where : str
        File and line, for error messages.
    row : dict

    Raises
    ------
    DatasetError
        If a line is not a JSON object or lacks a key, if the file is not UTF-8, or if it is gzipped and damaged.
    """
    with damage_explained(path), open_text(path) as file:
        for number, line in enumerate(file, start=1):
            where = f"{path}, line {number}"
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise DatasetError(
                    f"{where} is not valid JSON ({error.msg}): mend the line or get the file anew"
                ) from error
            missing = [key for key in keys if not isinstance(row, dict) or key not in row]
            if missing:
                raise DatasetError(f"{where} is {_shorten(line)!r}, expected an object with {', '.join(keys)}")
            yield where, row


def _shorten(text):
    text = text.strip()
    return text if len(text) <= 60 else text[:60] + "..."
