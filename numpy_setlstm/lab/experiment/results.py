"""One network trained and tested: its result as plain values, ready for JSON."""

import numpy as np

from numpy_setlstm.lab.formatting import percent, text_table
from numpy_setlstm.lab.machine import peak_bytes
from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.measures import WORD_BAND_NAMES, connection_counts, gates_of, turnover, word_bands
from numpy_setlstm.sparse import SparseMatrix

MODEL_FILE = "model.npz"  # a trained network, in its output folder


def run(clf, reviews, *, resume=False, checkpoint_path=None):
    """Train a classifier on a data set, with the names of its labels, and test it; see :func:`result_of`."""
    labels = np.array(reviews.label_names)[reviews.train_labels]
    clf.fit(reviews.train_texts, labels, resume=resume, checkpoint_path=checkpoint_path)
    return result_of(clf, reviews, clf.predict(reviews.test_texts))


def result_of(clf, reviews, predicted):
    """The result of a fitted classifier, given the label names it predicts for the test texts, shape (n_test_texts,).

    Accuracies are those of the best epoch. Seconds include evaluations, SET steps and everything before an
    interruption.
    """
    history, state, E = clf.history_, clf.training_state_, clf.network_.parameters["E"]
    unfinished = state.sums["seconds"] if state.order is not None else 0.0
    unconnected = (connection_counts(E, axis=1)[1:] == 0).sum() if isinstance(E, SparseMatrix) else 0
    peak = peak_bytes()
    return {
        "dataset": reviews.name,
        "connectivity": clf.connectivity,
        "parameters": clf.n_parameters_,
        "dense_parameters": clf.n_dense_parameters_,
        "share": clf.n_parameters_ / clf.n_dense_parameters_,
        "connections": {name: W.nnz for name, W in clf.network_.parameters.items() if isinstance(W, SparseMatrix)},
        "words_without_connection": int(unconnected),
        **accuracies_of(reviews, predicted),
        "validation_accuracy": history["validation_accuracy"][clf.best_epoch_] if clf.best_epoch_ >= 0 else None,
        "best_epoch": clf.best_epoch_ + 1,
        "epochs": len(history["seconds"]),
        "interrupted": state.interrupted,
        "seconds": sum(history["seconds"]) + unfinished,
        "seconds_per_epoch": float(np.mean(history["seconds"])) if history["seconds"] else None,
        "peak_memory_mib": None if peak is None else peak / 2**20,
        "history": {key: column for key, column in history.items() if key != "set_steps"},
        "turnover": _turnover(clf),
        "model": repr(clf),
    }


def accuracies_of(reviews, predicted):
    """Accuracies on the test texts, and how many texts there are."""
    labels = reviews.test_labels
    right = predicted == np.array(reviews.label_names)[labels]
    return {
        "test_accuracy": float(right.mean()),
        "test_balanced_accuracy": float(np.mean([right[labels == label].mean() for label in np.unique(labels)])),
        "train_texts": len(reviews.train_texts),
        "test_texts": len(reviews.test_texts),
    }


def initial_topologies(clf):
    """Those of the sparse matrices before training, dict by name, in the order of the network also after loading."""
    found = clf.training_state_.initial_topologies
    return {name: found[name] for name in clf.network_.parameters if name in found}


def _turnover(clf):
    """Fraction of its connections that each gate, or band of words in E, lost in each SET step: dict of dict."""
    result = {}
    for name, topology in initial_topologies(clf).items():
        steps = [steps[name] for steps in clf.training_state_.history["set_steps"]]
        group_of, names = (word_bands, WORD_BAND_NAMES) if name == "E" else (gates_of(topology.shape), GATES)
        pruned, _ = turnover(topology, steps, group_of, len(names))
        result[name] = {
            group: [None if np.isnan(share) else round(float(share), 4) for share in pruned[:, k]]
            for k, group in enumerate(names)
        }
    return result


def format_table(results):
    """A table for the terminal, one line per result."""
    columns = ("connectivity", "parameters", "share of dense", "test accuracy", "seconds")
    rows = [
        (
            result["connectivity"],
            f"{result['parameters']:,}",
            percent(result["share"]),
            percent(result["test_accuracy"]),
            f"{result['seconds']:.1f}",
        )
        for result in results
    ]
    return text_table(columns, rows)
