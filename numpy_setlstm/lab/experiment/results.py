"""One network trained and tested: what there is to say about it, ready for JSON."""

import json
import sys

import numpy as np

from numpy_setlstm.checkpoint import replacing
from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.measures import WORD_BAND_NAMES, gates_of, word_bands
from numpy_setlstm.measures import turnover as turnover_of_groups
from numpy_setlstm.sparse import SparseMatrix
from numpy_setlstm.topology import connection_counts

#: What the file of a trained network is called in its folder.
MODEL_FILE = "model.npz"


def run(clf, reviews, *, resume=False, checkpoint_path=None):
    """Train a classifier on a data set and test it.

    Parameters
    ----------
    clf : SetLSTMClassifier
        Learns the names of the labels.
    reviews : Reviews
    resume : bool, default False
        Go on with training that was interrupted.
    checkpoint_path : str or Path, optional
        Where to save the model after each epoch.

    Returns
    -------
    dict
        Of plain numbers and text, ready for JSON: see :func:`result_of`.

    Examples
    --------
    >>> from numpy_setlstm import SetLSTMClassifier
    >>> from numpy_setlstm.lab.experiment import demo_reviews
    >>> reviews = demo_reviews(train_texts=60, test_texts=20)
    >>> clf = SetLSTMClassifier(embedding_dim=8, hidden_size=8, density=0.3, n_epochs=2, random_state=0)
    >>> result = run(clf, reviews)
    >>> result["connectivity"], result["epochs"], 0 <= result["test_accuracy"] <= 1
    ('set', 2, True)
    """
    labels = np.array(reviews.label_names)[reviews.train_labels]
    clf.fit(reviews.train_texts, labels, resume=resume, checkpoint_path=checkpoint_path)
    return result_of(clf, reviews)


def result_of(clf, reviews, predicted=None):
    """What there is to say about a trained network.

    Parameters
    ----------
    clf : SetLSTMClassifier
        Fitted.
    reviews : Reviews
    predicted : ndarray of shape (n_test_texts,), optional
        Names of the labels that `clf` predicts for the test texts, if they are known already.

    Returns
    -------
    dict
        ``test_accuracy`` and ``test_balanced_accuracy`` (mean of the accuracies per class) of the best epoch;
        ``parameters``, ``dense_parameters`` and ``share``; ``words_without_connection``, which can say nothing;
        ``seconds`` of all epochs, evaluations and SET steps, also those before an interruption, and
        ``seconds_per_epoch``; ``peak_memory_mib`` of the process so far; ``turnover`` (see :func:`turnover`); the
        curves; the parameters of the classifier that differ from the default.

    Examples
    --------
    >>> from numpy_setlstm import SetLSTMClassifier
    >>> from numpy_setlstm.lab.experiment import demo_reviews
    >>> reviews = demo_reviews(train_texts=60, test_texts=20)
    >>> clf = SetLSTMClassifier(embedding_dim=8, hidden_size=8, density=0.3, n_epochs=2, random_state=0)
    >>> labels = np.array(reviews.label_names)[reviews.train_labels]
    >>> result = result_of(clf.fit(reviews.train_texts, labels), reviews)
    >>> result["parameters"] == clf.n_parameters_, result["train_texts"]
    (True, 60)
    """
    if predicted is None:
        predicted = clf.predict(reviews.test_texts)
    right = predicted == np.array(reviews.label_names)[reviews.test_labels]
    per_class = [right[reviews.test_labels == label].mean() for label in np.unique(reviews.test_labels)]
    history, state, E = clf.history_, clf.training_state_, clf.network_.parameters["E"]
    unfinished = state.sums["seconds"] if state.order is not None else 0.0
    return {
        "dataset": reviews.name,
        "connectivity": clf.connectivity,
        "parameters": clf.n_parameters_,
        "dense_parameters": clf.n_dense_parameters_,
        "share": clf.n_parameters_ / clf.n_dense_parameters_,
        "connections": {name: W.nnz for name, W in clf.network_.parameters.items() if isinstance(W, SparseMatrix)},
        "words_without_connection": int((connection_counts(E, axis=1)[1:] == 0).sum())
        if isinstance(E, SparseMatrix)
        else 0,
        "test_accuracy": float(right.mean()),
        "test_balanced_accuracy": float(np.mean(per_class)),
        "validation_accuracy": history["validation_accuracy"][clf.best_epoch_] if clf.best_epoch_ >= 0 else None,
        "best_epoch": clf.best_epoch_ + 1,
        "epochs": len(history["seconds"]),
        "interrupted": state.interrupted,
        "seconds": sum(history["seconds"]) + unfinished,
        "seconds_per_epoch": float(np.mean(history["seconds"])) if history["seconds"] else None,
        "peak_memory_mib": peak_memory_mib(),
        "train_texts": len(reviews.train_texts),
        "test_texts": len(reviews.test_texts),
        "history": {key: column for key, column in history.items() if key != "set_steps"},
        "turnover": turnover(state),
        "model": repr(clf),
    }


def turnover(state):
    """How large a part of the connections each SET step replaced, per gate and per band of word frequency.

    Parameters
    ----------
    state : TrainingState

    Returns
    -------
    dict of str to dict of str to list of float
        For W_x and W_h by gate, for E by band of words (ids are ranks of frequency): of the connections that the group
        had, the fraction that was pruned, one number per SET step. Rare words hardly train, so what they lose is luck.

    Examples
    --------
    >>> from numpy_setlstm import SetLSTMClassifier
    >>> from numpy_setlstm.lab.experiment import demo_reviews
    >>> reviews = demo_reviews(train_texts=60, test_texts=20)
    >>> clf = SetLSTMClassifier(embedding_dim=8, hidden_size=8, density=0.3, n_epochs=2, random_state=0)
    >>> labels = np.array(reviews.label_names)[reviews.train_labels]
    >>> shares = turnover(clf.fit(reviews.train_texts, labels).training_state_)
    >>> list(shares["W_h"]), len(shares["W_h"]["f"])  # one SET step between two epochs
    (['i', 'f', 'o', 'g'], 1)
    """
    result = {}
    for name, topology in state.initial_topologies.items():
        steps = [steps[name] for steps in state.history["set_steps"]]
        group_of, names = (word_bands, WORD_BAND_NAMES) if name == "E" else (gates_of(topology.shape), GATES)
        pruned, _ = turnover_of_groups(topology, steps, group_of, len(names))
        result[name] = {
            group: [None if np.isnan(share) else round(float(share), 4) for share in pruned[:, k]]
            for k, group in enumerate(names)
        }
    return result


def peak_memory_mib():
    """Largest resident memory of this process so far.

    Returns
    -------
    float or None
        In MiB; None where the system does not tell (Windows).

    Examples
    --------
    >>> peak = peak_memory_mib()
    >>> peak is None or peak > 10
    True
    """
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB elsewhere


def format_table(results):
    """One line per result, as text.

    Parameters
    ----------
    results : list of dict
        From :func:`result_of`.

    Returns
    -------
    str
        Connectivity, parameters, share of the dense count, test accuracy and seconds, below a line that says so.

    Examples
    --------
    >>> result = {"connectivity": "set", "parameters": 39, "dense_parameters": 1000, "share": 0.039}
    >>> print(format_table([result | {"test_accuracy": 0.9, "seconds": 12.3}]))
    connectivity  parameters  share of dense  test accuracy  seconds
    set                   39           3.9 %         90.0 %     12.3
    """
    header = ("connectivity", "parameters", "share of dense", "test accuracy", "seconds")
    rows = [
        (
            result["connectivity"],
            f"{result['parameters']:,}",
            f"{result['share']:.1%}".replace("%", " %"),
            f"{result['test_accuracy']:.1%}".replace("%", " %"),
            f"{result['seconds']:.1f}",
        )
        for result in results
    ]
    widths = [max(len(row[k]) for row in (header, *rows)) for k in range(len(header))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in (header, *rows)
    ]
    return "\n".join(lines)


def write_json(path, document):
    """Write JSON to a file, atomically: there is the old file or the whole new one.

    Parameters
    ----------
    path : str or Path
    document : dict
        Anything that JSON can hold.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_json(Path(folder) / "results.json", {"runs": []})
    ...     print((Path(folder) / "results.json").read_text())
    {
     "runs": []
    }
    """
    with replacing(path) as file:
        file.write(json.dumps(document, indent=1).encode())
