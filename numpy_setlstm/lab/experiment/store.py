"""The output folder of a grid: one JSON file per run, and checkpoints of unfinished ones."""

import json
from pathlib import Path

from numpy_setlstm.checkpoint import replacing
from numpy_setlstm.lab.experiment.grid import GridError, RunSpec
from numpy_setlstm.lab.experiment.runs import DONE, FAILED, FORMAT_VERSION


class Store:
    """Results in a folder: ``runs``, ``checkpoints``, and ``models`` if models are kept."""

    def __init__(self, output):
        self.output = Path(output)
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
        return self.checkpoints / f"{spec.name}.npz"

    def load(self, spec):
        """The document of a run; None if it is missing or damaged; GridError if the file holds another run's."""
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
        return document

    def save(self, spec, document, model=None):
        """Write the result of a run, and its model if given; a run that is done needs no checkpoint."""
        if model is not None:
            self.models.mkdir(exist_ok=True)
            with replacing(self.model_path(spec.name)) as file:
                file.write(model)
        with replacing(self.path(spec)) as file:
            file.write(format_document(document).encode())
        if document["status"] == DONE:
            self.checkpoint_path(spec).unlink(missing_ok=True)

    def documents(self):
        """All undamaged results, list of dict, by file name; GridError if there is no folder of results."""
        if not self.runs.is_dir():
            raise GridError(f"there are no results in {self.output}: run compare without --report-only first")
        documents = []
        for path in sorted(self.runs.glob("*.json")):
            try:
                documents.append(read_document(path))
            except DamagedError:  # reported, and run again, by the process that runs the grid
                continue
        return documents

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
        RunSpec(**document["spec"])
        version, status = document["format_version"], document["status"]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{path.name} is not a complete result ({error}): delete it to repeat the run") from None
    if version != FORMAT_VERSION:
        raise GridError(f"{path.name} has format version {version}; this package reads {FORMAT_VERSION}: upgrade it")
    wanted = {DONE: ("result", "predictions"), FAILED: ("error",)}
    if status not in wanted or not all(key in document for key in wanted[status]):
        raise DamagedError(f"{path.name} is not a complete result: delete it to repeat the run")
    return document


def format_document(document):
    """JSON with one line per key of the document and per key of its dicts, such as the result."""

    def lines(mapping, indent, format_value):
        inner = ",\n".join(f"{indent}{json.dumps(key)}: {format_value(value)}" for key, value in mapping.items())
        return "{\n" + inner + "\n}"

    def format_value(value):
        return lines(value, " ", json.dumps) if isinstance(value, dict) else json.dumps(value)

    return lines(document, "", format_value) + "\n"
