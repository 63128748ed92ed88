"""Grids from files and command-line options, and the quick one."""

import json
from pathlib import Path

from numpy_setlstm.lab.experiment.grid import Grid, GridError

try:
    import tomllib
except ImportError:  # Python 3.10
    tomllib = None

_KEYS = ("datasets", "connectivities", "seeds", "settings", "only")

# The small dense network and the tf-idf model too; each run takes a minute at most.
QUICK = {
    "datasets": ["demo", "sanders"],
    "connectivities": ["dense", "static", "set", "dense-small", "tfidf"],
    "seeds": [0, 1, 2],
    "only": {},
}


def read_grid(path):
    """Read a grid from a file.

    Parameters
    ----------
    path : str or Path
        A ``.toml`` file, which needs Python 3.11, or a ``.json`` file, with the attributes of
        :class:`~numpy_setlstm.lab.experiment.Grid` as keys.

    Returns
    -------
    Grid

    Raises
    ------
    GridError
        If the file is neither, cannot be parsed, or does not hold a grid.
    FileNotFoundError
        If the file does not exist.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "grid.json"
    ...     _ = path.write_text('{"datasets": ["sanders"], "connectivities": ["dense", "set"], "seeds": 3}')
    ...     print(len(read_grid(path).runs()))
    6
    """
    path = Path(path)
    if path.suffix not in (".toml", ".json"):
        raise GridError(f"{path.name} ends in {path.suffix!r}; expected a grid file in .toml or .json")
    if path.suffix == ".toml" and tomllib is None:
        raise GridError(f"{path.name} is TOML, which needs Python 3.11: write the same keys as JSON, in a .json file")
    if not path.is_file():
        raise FileNotFoundError(f"there is no grid file {path}")
    try:
        text = path.read_text(encoding="utf8")
        document = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except ValueError as error:  # a syntax error, or not UTF-8
        raise GridError(f"{path.name} is not valid {path.suffix[1:].upper()}: {error}") from None
    return grid_from(document, path.name)


def grid_from(document, where="the grid"):
    """A checked Grid from the keys and values of a grid file; error messages name `where`."""
    if not isinstance(document, dict):
        raise GridError(f"{where} holds {type(document).__name__}; expected the keys {', '.join(_KEYS)}")
    for key in document:
        if key not in _KEYS:
            raise GridError(f"{where} has the key {key!r}; expected some of {', '.join(_KEYS)}")
    for key in ("datasets", "connectivities"):
        if key not in document:
            raise GridError(f"{where} has no {key}; expected a list: {key} = [...]")
    return Grid(**{"seeds": (0,)} | document)


def parse_seeds(text):
    """Seeds from the option ``--seeds``: "5" is their number, "0,1,2" is a list."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() for part in parts):
        raise GridError(f"--seeds is {text!r}; expected their number, as in 5, or a list, as in 0,1,2")
    return int(parts[0]) if "," not in text else [int(part) for part in parts]


def parse_setting(text):
    """Name and value of the option ``--set``, such as "zeta=0.1,0.3"; a single value is not a list."""
    name, equals, values = text.partition("=")
    if not equals or not name.strip() or not values.strip():
        raise GridError(f"--set is {text!r}; expected name=value or name=value,value")
    parsed = [_parse_value(value.strip()) for value in values.split(",")]
    return name.strip(), parsed if len(parsed) > 1 else parsed[0]


def _parse_value(text):
    if text.lower() in ("none", "true", "false"):
        return {"none": None, "true": True, "false": False}[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
