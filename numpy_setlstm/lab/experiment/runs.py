"""One run of a grid, wherever it is computed: data in, a document of plain values out."""

import base64
import functools
import os
import platform
import re
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from numpy_setlstm.checkpoint import CheckpointError
from numpy_setlstm.datasets import load_dataset, load_table
from numpy_setlstm.files import locked
from numpy_setlstm.inputs import fingerprint
from numpy_setlstm.lab.experiment.baseline import fit_tfidf, tfidf_result
from numpy_setlstm.lab.experiment.demo import demo_reviews
from numpy_setlstm.lab.experiment.grid import DATA_SETTINGS, DEMO, TABLE_SETTINGS, TFIDF, RunSpec
from numpy_setlstm.lab.experiment.results import MODEL_FILE, initial_topologies, result_of
from numpy_setlstm.lab.rivals import fit_rival, pretraining_of
from numpy_setlstm.measures import describe

FORMAT_VERSION = 1
# Raised when the same settings give other results; results with another number are shown, but their runs are repeated.
# 1: version 0.1.0, which wrote no number. 2: texts are split into words by Unicode's rules.
# 3: a large minibatch is cut into pieces, each with a dropout of its own.
COMPUTES_LIKE = 3
N_NULLS = 5  # null models per run; few, as every seed has its own
DONE, FAILED = "done", "failed"
BUSY = "busy"  # another process is computing the run; never saved
BUSY_SECONDS = 1.0  # until it is tried again
_NAME = r"[^\\/:,'\"<>|?*]+"  # of a folder
_PATH = re.compile(
    r"(?<=['\"])(?:~|\.{0,2})/[^'\"]+/"  # '/home/ada l/data/' in quotation marks, perhaps with spaces
    r"|(?<![\w:/])(?:~|\.{0,2})(?:/[^\s/:,'\"]+)+/"  # ~/data/, but not https://host/
    rf"|(?<![\w\\/])(?:[A-Za-z]:[\\/]+(?:{_NAME}[\\/]+)*"  # C:\Users\ada l\data\ or C:/data/, perhaps as repr
    rf"|\\{{2,}}(?:{_NAME}[\\/]+)+"  # \\host\share\
    r"|(?:~|\.{0,2})\\(?:[^\s\\/:,'\"<>|?*]+[\\/]+)+)"  # ..\data\
)


@dataclass(frozen=True)
class Task:
    """A run, and the circumstances that do not change its result.

    Without `data_home`, an environment variable where the run is computed names the folder of the data sets. A run
    saves its model at `checkpoint_path` after each epoch and resumes from there. `keep_model` returns the model too.
    """

    spec: RunSpec
    data_home: str | None = None
    checkpoint_path: str | None = None
    keep_model: bool = False


def execute(task):
    """Compute a run: its document, ready for JSON, and the bytes of its model file if the task asks for it, or None.

    The document has the ``status`` "done", with ``result``, ``predictions`` and, for a sparse network, ``topology``; or
    "failed", with ``error``; or "busy", if another process has locked the checkpoint. Ctrl-C raises KeyboardInterrupt
    once the checkpoint is saved.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "training was interrupted")  # reported by the process that runs the grid
            outcome, model = _compute(task)
    except BlockingIOError as error:
        time.sleep(BUSY_SECONDS)
        return _header(task) | {"status": BUSY, "error": describe_error(error)}, None
    except Exception as error:  # the other runs continue, whatever it is
        if isinstance(error, ValueError | TypeError | ArithmeticError):
            _discard_checkpoint(task)  # resuming would fail again
        return failed(task, describe_error(error)), None
    return _header(task) | {"status": DONE} | outcome, model


def failed(task, message):
    """The document of a run that failed."""
    return _header(task) | {"status": FAILED, "error": message}


def _header(task):
    from numpy_setlstm import __version__  # not defined yet while the package is being imported

    versions = {"numpy_setlstm": __version__, "numpy": np.__version__, "python": platform.python_version()}
    document = {"format_version": FORMAT_VERSION, "computes_like": COMPUTES_LIKE}
    return document | {"spec": task.spec.to_json(), "versions": versions}


def _compute(task):
    spec = task.spec
    reviews, digest = load_reviews(task.data_home, spec)
    compute = _compute_baseline if spec.connectivity == TFIDF else _compute_network
    predicted, result, others, model = compute(task, reviews)
    predictions = {
        "count": len(reviews.test_labels),
        "predicted": pack_bits(predicted == reviews.label_names[1]),
        "labels": pack_bits(reviews.test_labels),
    }
    result |= {"connectivity": spec.connectivity}
    return {"data": digest, "result": result, "predictions": predictions, **others}, model


def _compute_baseline(task, reviews):
    start = time.perf_counter()
    model = fit_tfidf(reviews, **network_settings(task.spec))
    predicted = model.predict(reviews)
    return predicted, tfidf_result(model, reviews, predicted, time.perf_counter() - start), {}, None


def _compute_network(task, reviews):
    clf = fit_run(task, reviews)
    clf.set_params(random_state=task.spec.seed)
    predicted = clf.predict(reviews.test_texts)
    result = result_of(clf, reviews, predicted)
    result.pop("peak_memory_mib")  # the peak of all runs in this process
    pretraining = pretraining_of(clf)
    if pretraining is not None:
        result |= pretraining_result(pretraining, result)
    topology = describe_topology(clf, task.spec.seed)
    return predicted, result, topology, _pack_model(clf) if task.keep_model else None


def describe_topology(clf, seed):
    """The key ``topology`` of a document: :func:`~numpy_setlstm.measures.describe` of the sparse matrices, if any."""
    state = clf.training_state_
    if not state.initial_topologies:
        return {}
    return {"topology": describe(initial_topologies(clf), state.history["set_steps"], seed=seed, n_nulls=N_NULLS)}


def pretraining_result(pretraining, result):
    """The entries that change in the result of fine-tuning alone: time and epochs now include those of pretraining.

    The share is that of the dense counterpart of the first network, even if the second one has fewer units.
    """
    seconds = pretraining["history"]["seconds"]
    dense_parameters = pretraining.get("dense_parameters", result["dense_parameters"])
    changed = {
        "dense_parameters": dense_parameters,
        "share": result["parameters"] / dense_parameters,
        "seconds": result["seconds"] + sum(seconds),
        "epochs": result["epochs"] + len(seconds),
        "pretraining": pretraining,
    }
    if result["best_epoch"] == 0:  # no epoch of fine-tuning improved on its start
        changed["validation_accuracy"] = pretraining["validation_accuracy"]
    return changed


def fit_run(task, reviews):
    """A fitted classifier, resumed from its checkpoint if there is a usable one; KeyboardInterrupt after Ctrl-C."""
    clf = _fit(task, reviews)
    if clf.training_state_.interrupted:
        raise KeyboardInterrupt
    return clf


def _fit(task, reviews):
    labels = np.array(reviews.label_names)[reviews.train_labels]
    parameters = network_settings(task.spec) | {
        "random_state": task.spec.seed,
        "without_known_words": "accept",
    }
    path = task.checkpoint_path and Path(task.checkpoint_path)
    if path:
        with locked(path):  # if another process has it, there is no point in reading what it will replace
            pass
    fit = functools.partial(
        fit_rival, task.spec.connectivity, reviews.train_texts, labels, checkpoint_path=path, **parameters
    )
    if path and path.exists():
        try:
            return fit(resume=True)
        except (CheckpointError, FileNotFoundError):  # damaged, or another process has just finished this run
            _discard_checkpoint(task)
    return fit()


def _discard_checkpoint(task):
    if task.checkpoint_path:
        Path(task.checkpoint_path).unlink(missing_ok=True)


def _pack_model(clf):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MODEL_FILE
        clf.save(path)
        return path.read_bytes()


def network_settings(spec):
    """The settings of a run that are parameters of the model, dict."""
    return {name: value for name, value in spec.settings.items() if name not in (*DATA_SETTINGS, *TABLE_SETTINGS)}


def load_reviews(data_home, spec):
    """The reviews of a run, cached for the next one, and a digest of all texts and labels.

    Results can be compared text by text only if their digests are equal.
    """
    settings = tuple((name, spec.settings[name]) for name in (*DATA_SETTINGS, *TABLE_SETTINGS) if name in spec.settings)
    home = None if data_home is None else str(data_home)
    return _load_reviews(spec.dataset, home, settings, spec.path, _time_of(spec.path))


def _time_of(path):
    """When a table was changed, and its size, so that one that changed is read again; None without a table."""
    try:
        return path and (os.stat(path).st_mtime_ns, os.stat(path).st_size)
    except (OSError, ValueError):  # reading it will say why
        return None


@functools.lru_cache(maxsize=2)
def _load_reviews(dataset, data_home, settings, path, _):
    settings = dict(settings)
    if path is not None:
        reviews = load_table(path, text=settings.get("text_column"), label=settings.get("label_column"))
        if len(reviews.label_names) > 2:
            names = ", ".join(reviews.label_names)
            raise ValueError(f"{path} has {len(reviews.label_names)} labels, {names:.60}; compare needs two: use train")
    else:
        reviews = demo_reviews(0, **settings) if dataset == DEMO else load_dataset(dataset, data_home)
    train = fingerprint(reviews.train_texts, reviews.train_labels)
    test = fingerprint(reviews.test_texts, reviews.test_labels)
    return reviews, f"{train[:8]}-{test[:8]}"


def describe_error(error):
    """Kind and message of an error in one line, without folder names, which are private."""
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {_PATH.sub('', message)}".removesuffix(": ")


def pack_bits(bits):
    """Base64 text of array_like `bits` of shape (n,): eight to a byte, the first one highest."""
    return base64.b64encode(np.packbits(np.asarray(bits, dtype=bool)).tobytes()).decode()


def unpack_bits(text, count):
    """Undo :func:`pack_bits`: ndarray of shape (count,), bool; ValueError if the number of bytes is wrong."""
    packed = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    if len(packed) != -(-count // 8):
        raise ValueError(f"there are {8 * len(packed)} bits; expected {count}")
    return np.unpackbits(packed, count=count).astype(bool)
