"""One run of a grid, wherever it is computed: data in, a document of plain values out."""

import base64
import functools
import platform
import re
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from numpy_setlstm.checkpoint import CheckpointError
from numpy_setlstm.datasets import load_dataset
from numpy_setlstm.inputs import fingerprint
from numpy_setlstm.lab.experiment.demo import demo_reviews
from numpy_setlstm.lab.experiment.grid import DATA_SETTINGS, DEMO, TFIDF, RunSpec
from numpy_setlstm.lab.experiment.results import result_of
from numpy_setlstm.lab.experiment.yardstick import fit_tfidf, tfidf_result
from numpy_setlstm.lab.rivals import fit_rival
from numpy_setlstm.measures import describe

FORMAT_VERSION = 1
N_NULLS = 5  # evolutions without training and random graphs beside each run, where every seed has its own
DONE, FAILED, INTERRUPTED = "done", "failed", "interrupted"
_PATH = re.compile(r"(?<![\w:/])(?:~|\.{0,2})(?:/[^\s/:,'\"]+)+/")


@dataclass(frozen=True)
class Task:
    """A run and the circumstances that do not change its result.

    Attributes
    ----------
    spec : RunSpec
    data_home : str or None
        Folder of the data sets, where the run is computed; None: the environment variable there says.
    checkpoint_path : str or None
        The model after each epoch, from which the run goes on if it is interrupted.
    n_threads : int or None
    keep_model : bool
        Whether the model travels back with the result.
    """

    spec: RunSpec
    data_home: str | None = None
    checkpoint_path: str | None = None
    n_threads: int | None = 1
    keep_model: bool = False


def execute(task):
    """Compute a run.

    Parameters
    ----------
    task : Task

    Returns
    -------
    document : dict
        Ready for JSON: ``spec``, ``versions``, ``status``, and with status "done" the ``result`` of
        :func:`~numpy_setlstm.lab.experiment.results.result_of`, the ``predictions`` and, for a sparse network, the
        ``topology`` of :func:`~numpy_setlstm.measures.describe`, with "failed" the ``error``. A run
        that is "interrupted" has saved its checkpoint.
    model : bytes or None
        The contents of the model's ``.npz`` file, if it was asked for.
    """
    document = {"format_version": FORMAT_VERSION, "spec": task.spec.to_json(), "versions": versions()}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "training was interrupted")  # told by whoever runs the grid
            outcome, model = _compute(task)
    except KeyboardInterrupt:
        return document | {"status": INTERRUPTED}, None
    except Exception as error:  # whatever it is, the other runs go on
        if isinstance(error, ValueError | TypeError | ArithmeticError):
            _forget_checkpoint(task)  # going on from there would fail again
        return document | {"status": FAILED, "error": describe_error(error)}, None
    return document | outcome, model


def _compute(task):
    spec = task.spec
    reviews, digest = load_reviews(task.data_home, spec)
    if spec.connectivity == TFIDF:
        start = time.perf_counter()
        model = fit_tfidf(reviews, **{"validation_fraction": 0.1} | network_settings(spec))
        predicted = model.predict(reviews)
        result, packed = tfidf_result(model, reviews, predicted, time.perf_counter() - start), None
        topology = None
    else:
        clf = _fit(task, reviews)
        if clf.training_state_.interrupted:
            return {"status": INTERRUPTED}, None
        clf.set_params(random_state=spec.seed, n_threads=None)
        predicted = clf.predict(reviews.test_texts)
        result, packed = result_of(clf, reviews, predicted), _pack_model(clf) if task.keep_model else None
        result.pop("peak_memory_mib")  # of all the runs of this process together
        topology = describe_topology(clf, spec.seed)
        if clf.pretraining_ is not None:
            result |= pretraining_result(clf.pretraining_, result)
    is_positive = predicted == reviews.label_names[1]
    predictions = {
        "count": len(reviews.test_labels),
        "predicted": pack_bits(is_positive),
        "labels": pack_bits(reviews.test_labels),
    }
    result |= {"connectivity": spec.connectivity}
    outcome = {"status": DONE, "data": digest, "result": result, "predictions": predictions}
    return outcome if topology is None else outcome | {"topology": topology}, packed


def describe_topology(clf, seed):
    """What :func:`~numpy_setlstm.measures.describe` says of a classifier's sparse matrices; None if all are dense."""
    state = clf.training_state_
    if not state.initial_topologies:
        return None
    return describe(state.initial_topologies, state.history["set_steps"], seed=seed, n_nulls=N_NULLS)


def pretraining_result(pretraining, result):
    """What changes in a result when the network was trained before, dense: time and epochs are those of both.

    Parameters
    ----------
    pretraining : dict
        Of :class:`~numpy_setlstm.estimator.SetLSTMClassifier`.
    result : dict
        Of the second training alone.

    Returns
    -------
    dict
        With ``pretraining`` too: the curves of the first, and what the network was worth when the second began.
    """
    seconds = pretraining["history"]["seconds"]
    changed = {
        "seconds": result["seconds"] + sum(seconds),
        "epochs": result["epochs"] + len(seconds),
        "pretraining": pretraining,
    }
    if result["best_epoch"] == 0:  # no epoch of the second was better than its beginning
        changed["validation_accuracy"] = pretraining["validation_accuracy"]
    return changed


def _fit(task, reviews):
    """A fitted classifier, from its checkpoint if there is a usable one."""
    labels = np.array(reviews.label_names)[reviews.train_labels]
    parameters = network_settings(task.spec) | {
        "random_state": task.spec.seed,
        "n_threads": task.n_threads,
        "without_known_words": "accept",
    }
    path = task.checkpoint_path and Path(task.checkpoint_path)
    fit = functools.partial(
        fit_rival, task.spec.connectivity, reviews.train_texts, labels, checkpoint_path=path, **parameters
    )
    if path and path.exists():
        try:
            return fit(resume=True)
        except (CheckpointError, FileNotFoundError):  # damaged, or another process has just ended this run
            _forget_checkpoint(task)
    return fit()


def _forget_checkpoint(task):
    if task.checkpoint_path:
        Path(task.checkpoint_path).unlink(missing_ok=True)


def _pack_model(clf):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.npz"
        clf.save(path)
        return path.read_bytes()


def network_settings(spec):
    """Those settings of a run that are the classifier's, dict."""
    return {name: value for name, value in spec.settings.items() if name not in DATA_SETTINGS}


def load_reviews(data_home, spec):
    """The reviews of a run, and a digest of them; kept for the next run.

    Parameters
    ----------
    data_home : str or None
    spec : RunSpec

    Returns
    -------
    reviews : Reviews
    digest : str
        Of all texts and labels: two results can be compared text by text only if theirs are equal.
    """
    sizes = tuple((name, spec.settings[name]) for name in DATA_SETTINGS if name in spec.settings)
    return _load_reviews(spec.dataset, None if data_home is None else str(data_home), sizes)


@functools.lru_cache(maxsize=2)
def _load_reviews(dataset, data_home, sizes):
    reviews = demo_reviews(0, **dict(sizes)) if dataset == DEMO else load_dataset(dataset, data_home)
    parts = [
        fingerprint(texts, labels)[:8]
        for texts, labels in (
            (reviews.train_texts, reviews.train_labels),
            (reviews.test_texts, reviews.test_labels),
        )
    ]
    return reviews, "-".join(parts)


def versions():
    """Versions of what a result depends on, dict of str to str."""
    from numpy_setlstm import __version__  # not known yet while the package is being imported

    return {"numpy_setlstm": __version__, "numpy": np.__version__, "python": platform.python_version()}


def describe_error(error):
    """Kind and message of an error in one line, without the folders of the machine that it came from.

    Examples
    --------
    >>> describe_error(FileNotFoundError("there is no folder /home/ada/data/imdb: make it"))
    'FileNotFoundError: there is no folder imdb: make it'
    """
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {_PATH.sub('', message)}".removesuffix(": ")


def pack_bits(bits):
    """Text that holds one bit per entry.

    Parameters
    ----------
    bits : array_like of shape (n,)
        Taken as true or false.

    Returns
    -------
    str
        Base64 of the bits, eight to a byte, the first one highest.

    Examples
    --------
    >>> pack_bits([1, 0, 1]), unpack_bits("oA==", 3)
    ('oA==', array([ True, False,  True]))
    """
    return base64.b64encode(np.packbits(np.asarray(bits, dtype=bool)).tobytes()).decode()


def unpack_bits(text, count):
    """Undo :func:`pack_bits`: ndarray of shape (count,), bool; ValueError if there are fewer."""
    packed = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    if len(packed) != -(-count // 8):
        raise ValueError(f"there are {8 * len(packed)} bits; expected {count}")
    return np.unpackbits(packed, count=count).astype(bool)
