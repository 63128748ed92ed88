"""The output folder of a grid: one JSON file per run, and checkpoints of unfinished ones."""

import json
import math
import os
import warnings
from pathlib import Path

from numpy_setlstm.files import make_folder, replacing
from numpy_setlstm.lab.experiment.grid import GRID_CONNECTIVITIES, GridError, RunSpec
from numpy_setlstm.lab.experiment.runs import COMPUTES_LIKE, DONE, FAILED, FORMAT_VERSION, unpack_bits

NUMBERS = ("parameters", "share", "seconds", "epochs", "best_epoch", "validation_accuracy")  # used from each result
TOPOLOGY = ("turnover", "survival", "degrees", "expansion", "ever_tried")  # used of each sparse matrix


class Store:
    """Results in a folder: ``runs``, ``checkpoints``, and ``models`` if models are kept."""

    def __init__(self, output):
        self.output = Path(output) if os.fspath(output) else make_folder(output)  # which refuses an empty name
        self.runs, self.models = self.output / "runs", self.output / "models"
        self.checkpoints = self.output / "checkpoints"

    def prepare(self):
        """Make the folders."""
        for folder in (self.runs, self.checkpoints):
            folder.mkdir(parents=True, exist_ok=True)

    def path(self, spec):
        """Where the result of a run is."""
        return self.runs / f"{spec.name}.json"

    def model_path(self, name):
        """Where the model of a run is kept."""
        return self.models / f"{name}.npz"

    def checkpoint_path(self, spec):
        """Where an unfinished run saves its model."""
        return self.checkpoints / f"{spec.name}_{COMPUTES_LIKE}.npz"  # one begun by another version is not continued

    def load(self, spec):
        """The document of a run; None if it is missing, damaged, or of an older package that computes otherwise.

        GridError if the file holds another run's, or is of a newer package.
        """
        path = self.path(spec)
        try:
            document = read_document(path)
        except (FileNotFoundError, DamagedError):
            return None
        if document["spec"] != spec.to_json():
            raise GridError(
                f"{path.name} holds the result of another run, {json.dumps(document['spec'])}; expected "
                f"{json.dumps(spec.to_json())}: choose another output folder, or delete the file"
            )
        number = computes_like(document)
        if number > COMPUTES_LIKE:
            raise GridError(
                f"{path.name} is {_made_by(document)}: upgrade this package, or choose another output folder"
            )
        if number < COMPUTES_LIKE:
            warnings.warn(f"{path.name} is {_made_by(document)}: its run is repeated", stacklevel=2)
            return None
        return document

    def save(self, spec, document, model=None):
        """Write the result of a run, and its model if given; a run that is done needs no checkpoint.

        A run that failed here is done if another process has its result.
        """
        if document["status"] == FAILED and (self.load(spec) or document)["status"] == DONE:
            return
        if model is not None:
            self.models.mkdir(exist_ok=True)
            with replacing(self.model_path(spec.name)) as file:
                file.write(model)
        with replacing(self.path(spec)) as file:
            file.write(format_document(document).encode())
        if document["status"] == DONE:
            self.checkpoint_path(spec).unlink(missing_ok=True)

    def documents(self):
        """All results, list of dict, by file name; GridError if there is no folder of results.

        Those that cannot be compared with the newest, because another version computed otherwise, and damaged ones are
        left out with a warning.
        """
        if not self.runs.is_dir():
            raise GridError(f"there are no results in {self.output}: run compare without --report-only first")
        documents = []
        for path in sorted(self.runs.glob("*.json")):
            try:
                documents.append(read_document(path))
            except DamagedError as error:
                warnings.warn(f"{error}; it is left out of the tables", stacklevel=2)
        newest = max(map(computes_like, documents), default=None)
        comparable = [document for document in documents if computes_like(document) == newest]
        if len(comparable) < len(documents):
            warnings.warn(
                f"{len(documents) - len(comparable)} of {len(documents)} results are of an older numpy_setlstm, which "
                "computed otherwise; they are left out of the tables: the same grid again repeats their runs",
                stacklevel=2,
            )
        return comparable

    def damaged(self):
        """File names of results that cannot be read, list of str."""
        return [path.name for path in sorted(self.runs.glob("*.json")) if _is_damaged(path)]


class DamagedError(ValueError):
    """A file is not the result of a run."""


def _is_damaged(path):
    try:
        read_document(path)
    except DamagedError:
        return True
    except FileNotFoundError:
        pass
    return False


def read_document(path):
    """Read the result of a run; DamagedError if the file is incomplete, GridError if its format is newer."""
    try:
        document = json.loads(path.read_text(encoding="utf8"))
        version = document["format_version"]
        if version == FORMAT_VERSION:
            _check_document(document)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else error
        raise DamagedError(f"{path.name} is not a complete result ({reason}): delete it to repeat the run") from None
    if version != FORMAT_VERSION:
        raise GridError(f"{path.name} has format version {version}; this package reads {FORMAT_VERSION}: upgrade it")
    return document


def _check_document(document):
    """An error of any kind unless a document has all that tables and pictures use."""
    spec, number = RunSpec(**document["spec"]), computes_like(document)
    if not (isinstance(spec.dataset, str) and spec.dataset) or spec.connectivity not in GRID_CONNECTIVITIES:
        raise ValueError(f"it is of {spec.dataset!r} and {spec.connectivity!r}, which no grid has")
    if type(spec.seed) is not int or not isinstance(spec.settings, dict) or type(number) is not int:
        raise ValueError("its seed or computes_like is no whole number, or its settings are no table")
    status = document["status"]
    if status == FAILED:
        document["error"].split()
    elif status != DONE:
        raise ValueError(f"its status is {status!r}; expected {DONE!r} or {FAILED!r}")
    else:
        _check_result(document)


def _check_result(document):
    """As :func:`_check_document`, for a run that succeeded."""
    result, packed = document["result"], document["predictions"]
    for name in ("predicted", "labels"):
        unpack_bits(packed[name], packed["count"])
    numbers = [result[key] for key in NUMBERS]
    for number in numbers:
        if number is not None and not math.isfinite(number):
            raise ValueError(f"it has {number} for a number")
    for matrix in result.get("connections", {}):
        for key in TOPOLOGY:
            document["topology"][matrix][key].items()


def computes_like(document):
    """The number of the package that wrote a document; see :data:`COMPUTES_LIKE`."""
    return document.get("computes_like", 1)


def _made_by(document):
    version = document.get("versions", {}).get("numpy_setlstm", "an unknown version")
    return f"of numpy_setlstm {version}, which computes otherwise than this one"


def format_document(document):
    """JSON with one line per key of the document and per key of its dicts, such as the result."""

    def lines(mapping, indent, format_value):
        inner = ",\n".join(f"{indent}{json.dumps(key)}: {format_value(value)}" for key, value in mapping.items())
        return "{\n" + inner + "\n}"

    def format_value(value):
        return lines(value, " ", json.dumps) if isinstance(value, dict) else json.dumps(value)

    return lines(document, "", format_value) + "\n"
