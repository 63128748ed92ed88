"""Grids out of files and options, and the quick one."""

import json
from pathlib import Path

from numpy_setlstm.lab.experiment.grid import Grid, GridError

try:
    import tomllib
except ImportError:  # Python 3.10
    tomllib = None

_KEYS = ("datasets", "connectivities", "seeds", "settings", "only")

#: A grid to try things with: dense, static and evolved networks, the small dense one and the tf-idf
#: model, where a run takes a minute at most.
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
        TOML if it ends in ``.toml``, which needs Python 3.11; JSON if it ends in ``.json``. The same keys in both:
        ``datasets``, ``connectivities``, ``seeds`` (a list, or how many), ``settings`` and ``only`` as in
        :class:`~numpy_setlstm.lab.experiment.grid.Grid`.

    Returns
    -------
    Grid

    Raises
    ------
    GridError
        If the file is neither, cannot be read, or does not hold a grid.
    FileNotFoundError
        If there is no such file.

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
        raise GridError(
            f"{path.name} is TOML, which Python reads from 3.11 on: write the same keys as JSON, in a .json"
        )
    if not path.is_file():
        raise FileNotFoundError(f"there is no grid file {path}")
    try:
        text = path.read_text(encoding="utf8")
        document = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except ValueError as error:  # of either format, or not UTF-8
        raise GridError(f"{path.name} is no valid {path.suffix[1:].upper()}: {error}") from None
    return grid_from(document, path.name)


def grid_from(document, where="the grid"):
    """Make a Grid out of plain values, as a grid file has them.

    Parameters
    ----------
    document : dict
        With the keys of :class:`~numpy_setlstm.lab.experiment.Grid`; ``seeds`` may also be how many, 1 by default.
    where : str, default "the grid"
        What an error calls them, such as the name of a file.

    Returns
    -------
    Grid
        Checked.

    Raises
    ------
    GridError
        If a key is unknown or missing, or a value is none that :class:`~numpy_setlstm.lab.experiment.Grid` takes.

    Examples
    --------
    >>> len(grid_from({"datasets": ["sanders"], "connectivities": ["dense", "set"], "seeds": 5}).runs())
    10
    """
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
    """Seeds of an option on the command line.

    Parameters
    ----------
    text : str
        "0,1,2" are these three, "5" is how many.

    Returns
    -------
    int or list of int
        How many, or which.

    Raises
    ------
    GridError
        If it is neither.

    Examples
    --------
    >>> parse_seeds("3"), parse_seeds("3,7")
    (3, [3, 7])
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() for part in parts):
        raise GridError(f"--seeds is {text!r}; expected how many, as in 5, or which, as in 0,1,2")
    return int(parts[0]) if "," not in text else [int(part) for part in parts]


def parse_setting(text):
    """Name and values of an option on the command line.

    Parameters
    ----------
    text : str
        Such as "zeta=0.1,0.3".

    Returns
    -------
    name : str
        As it stands there.
    values : number, str, bool, None, or list of these
        A single value is no list.

    Raises
    ------
    GridError
        If there is no name or no value.

    Examples
    --------
    >>> parse_setting("zeta=0.1,0.3"), parse_setting("prune_rule=sign"), parse_setting("er_epsilon=none")
    (('zeta', [0.1, 0.3]), ('prune_rule', 'sign'), ('er_epsilon', None))
    """
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
