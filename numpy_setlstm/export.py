"""A trained network as plain JSON, for programs that know nothing of NumPy: such as a page in a browser.

The document says everything that is needed to read a text as the classifier does, and can hold the weights of every
epoch, and which connections each SET step pruned and grew. :func:`to_json` describes its keys.
"""

import json

import numpy as np

from numpy_setlstm.averaging import averaged_network
from numpy_setlstm.checks import as_list, number, short, whole
from numpy_setlstm.estimator import SetLSTMClassifier, task_of
from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.network import Network
from numpy_setlstm.preparation import prepare
from numpy_setlstm.recipe import training_settings
from numpy_setlstm.sparse import SparseMatrix, weights_of

__all__ = ["fit_recorded", "to_json"]

FORMAT, VERSION = "numpy_setlstm networks", 1
MAX_NUMBERS = 2_000_000  # weights in a document: some 40 MB of text
READING = ("max_length", "truncating", "pooling")  # parameters that say how a text is read


def fit_recorded(clf, X, y, sample_weight=None):
    """Train a classifier as `fit` does, and keep its network as it was before training and after each epoch.

    Parameters
    ----------
    clf : SetLSTMClassifier
        Trained anew, in place. With the same `random_state` it gets the same weights as from `fit`, bit for bit.
    X, y, sample_weight
        As in :meth:`numpy_setlstm.SetLSTMClassifier.fit`.

    Returns
    -------
    list of Network
        With averaged weights if there is `averaging`. Ctrl-C ends training, and the list, early.

    Raises
    ------
    TypeError
        If `clf` is no SetLSTMClassifier.
    ValueError, FloatingPointError
        As in :meth:`numpy_setlstm.SetLSTMClassifier.fit`.

    Examples
    --------
    >>> sizes = {"hidden_size": 8, "embedding_dim": 8, "parameter_share": 0.3}
    >>> clf = SetLSTMClassifier(**sizes, n_epochs=3, validation_fraction=0, random_state=0)
    >>> networks = fit_recorded(clf, ["what a lovely film", "a dull film"] * 20, ["good", "bad"] * 20)
    >>> len(networks), networks[0].parameters["W_h"]
    (4, SparseMatrix(shape=(8, 32), nnz=57, density=0.2227, dtype=float32))
    """
    _check_classifier("clf", clf)
    prepared = prepare(clf, X, y, sample_weight, validation_fraction=clf.validation_fraction)
    networks = [prepared.state.network.copy()]
    state, task = clf._take_over(prepared), task_of(prepared)
    clf._run(state, training_settings(clf), task, lambda state: networks.append(averaged_network(state).copy()))
    return networks


def to_json(models, *, epochs=None, test_accuracy=None, decimals=None):
    """Write one or several trained classifiers as plain JSON.

    Parameters
    ----------
    models : SetLSTMClassifier or dict of str to SetLSTMClassifier
        Fitted on texts, with the same words and classes; with names if there are several.
    epochs : list of Network, or dict of str to list of Network, optional
        Networks at several times, such as :func:`fit_recorded` returns; by default `network_` alone.
    test_accuracy : list of float, or dict of str to list of float, optional
        In [0, 1], one per network of `epochs`; it is only passed on.
    decimals : int, optional
        Round the weights to so many decimals, at most 17. The document then holds other networks, if only slightly, and
        is shorter; by default the weights are exact.

    Returns
    -------
    str
        JSON without line breaks: see below.

    Raises
    ------
    NotFittedError
        If a model was not fitted.
    TypeError
        If `models` or `epochs` hold something else.
    ValueError
        If a model was trained on word ids, or with a tokenizer or an LSTM of its own, which are code; if models differ
        in words or classes; if `epochs` do not belong to the models; if weights are NaN or infinite, or so many that
        this is the wrong form: `save` writes any model.

    Notes
    -----
    The keys of the document:

    - ``format``, ``version``: "numpy_setlstm networks" and 1.
    - ``words``: the word with id k is ``words[k]``; id 0 is padding, 1 any unknown word. ``classes``: the labels.
    - ``max_length``, ``truncating``: how many words of a text are read, and which are left out ("pre": the first).
    - ``pooling``: what the readout reads of the states: "last", "mean" or "max". ``gates``: their order in W_x, W_h, b.
    - ``networks``: a list with, for each model,

      - ``name``, ``connectivity``, ``n_parameters``, ``n_dense_parameters``;
      - ``epochs``: a list of ``epoch``, the number of epochs before; ``test_accuracy``, or null; and ``parameters``, by
        name: ``shape``, ``values`` and, of a sparse matrix only, ``cells``: its connections, row · n_cols + column in
        increasing order, each with its value. Other arrays have all values, row by row;
      - ``set_steps``: a list of ``epoch``, ``batch`` (the epochs finished before it, and minibatches of the next one)
        and ``matrices``, by name: the cells ``pruned`` and ``grown``.

    A network computes what :func:`numpy_setlstm.lstm_forward` says, from h = c = 0; then logits = h W_out + b_out.

    Examples
    --------
    >>> clf = SetLSTMClassifier(hidden_size=8, embedding_dim=8, parameter_share=0.3, validation_fraction=0)
    >>> document = json.loads(to_json(clf.fit(["what a lovely film", "a dull film"] * 20, ["good", "bad"] * 20)))
    >>> document["words"], document["classes"], document["gates"]
    (['<pad>', '<unk>', 'a', 'film', 'dull', 'lovely', 'what'], ['bad', 'good'], ['i', 'f', 'o', 'g'])
    >>> network = document["networks"][0]
    >>> network["epochs"][0]["parameters"]["W_h"]["shape"], len(network["set_steps"])
    ([8, 32], 7)
    """
    models = models if isinstance(models, dict) else {_name_of(models): models}
    decimals = None if decimals is None else whole(0, 17)("decimals", decimals)
    _check_models(models)
    epochs, test_accuracy = (
        _by_name(*given, models) for given in (("epochs", epochs), ("test_accuracy", test_accuracy))
    )
    networks = {name: _networks_of(name, clf, epochs) for name, clf in models.items()}
    _check_count(networks)
    first = next(iter(models.values()))
    document = {
        "format": FORMAT,
        "version": VERSION,
        "words": list(first.vocabulary_.words),
        "classes": first.classes_.tolist(),
        "gates": list(GATES),
        **{name: getattr(first, name) for name in READING},
        "networks": [
            _describe(name, clf, networks[name], test_accuracy.get(name), decimals) for name, clf in models.items()
        ],
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def _name_of(clf):
    _check_classifier("models", clf)
    return clf.connectivity


def _check_classifier(name, clf):
    if not isinstance(clf, SetLSTMClassifier):
        raise TypeError(f"{name} is {short(clf)}, of type {type(clf).__name__}; expected a SetLSTMClassifier")


def _check_models(models):
    """Reject what is not fitted, holds code, or does not belong together."""
    if not models:
        raise ValueError("models is an empty dict; expected one fitted SetLSTMClassifier at least")
    for name, clf in models.items():
        if not isinstance(name, str):
            raise TypeError(f"models has the name {short(name)}; expected a str for each")
        _check_classifier(f"models[{name!r}]", clf)
        clf._check_fitted()
        if clf.vocabulary_ is None:
            raise ValueError(f"{name!r} was trained on word ids; expected a model that has words: fit it on texts")
        for own in ("tokenizer", "lstm"):
            if getattr(clf, own) is not None:
                raise ValueError(f"{name!r} has a {own} of its own, which is code, not data; expected one without")
    first, *others = models.values()
    for clf in others:
        differing = [name for name in READING if getattr(clf, name) != getattr(first, name)]
        differing += ["words"] * (clf.vocabulary_ != first.vocabulary_)
        differing += ["classes"] * (clf.classes_.tolist() != first.classes_.tolist())
        if differing:
            raise ValueError(f"the models differ in {', '.join(differing)}: fit them alike, on the same texts")


def _by_name(what, given, models):
    """An option as a dict by the names of models; it may be None, a dict, or the value for the only model."""
    given = {} if given is None else given if isinstance(given, dict) else dict.fromkeys(models, given)
    unknown = [name for name in given if name not in models]
    if unknown:
        raise ValueError(f"{what} has the name {short(unknown[0])}; expected those of models: {', '.join(models)}")
    return given


def _networks_of(name, clf, epochs):
    """The networks of a model to write, by the number of epochs before."""
    if name not in epochs:
        return {clf.best_epoch_ + 1: clf.network_}
    networks = as_list(f"the epochs of {name!r}", epochs[name], "Networks")
    expected = {key: W.shape for key, W in clf.network_.parameters.items()}
    for k, network in enumerate(networks):
        if not isinstance(network, Network):
            raise TypeError(f"epoch {k} of {name!r} is {short(network)}; expected a Network")
        if {key: W.shape for key, W in network.parameters.items()} != expected:
            raise ValueError(f"epoch {k} of {name!r} is a network of other sizes; expected one of this classifier")
    if not networks:
        raise ValueError(f"the epochs of {name!r} are an empty list; expected one Network at least")
    return dict(enumerate(networks))


def _check_count(networks):
    """Reject networks that are too large for text, or have weights that JSON has no word for."""
    weights = [weights_of(W) for by_epoch in networks.values() for network in by_epoch.values()
               for W in network.parameters.values()]  # fmt: skip
    count = sum(array.size for array in weights)
    if count > MAX_NUMBERS:
        raise ValueError(f"the models have {count:,} weights; expected at most {MAX_NUMBERS:,}: save writes any model")
    if not all(np.isfinite(array).all() for array in weights):
        raise ValueError("the models have weights that are NaN or infinite; expected finite ones: fit anew")


def _describe(name, clf, networks, test_accuracy, decimals):
    """One model, as the document has it."""
    accuracies = [None] * len(networks)
    if test_accuracy is not None:
        share = number("[0, 1]", "an accuracy from 0 to 1")
        given = as_list(f"the test accuracies of {name!r}", test_accuracy, "numbers")
        accuracies = [share(f"a test accuracy of {name!r}", accuracy) for accuracy in given]
    if len(accuracies) != len(networks):
        raise ValueError(f"{name!r} has {len(networks)} epochs and {len(accuracies)} test accuracies; expected as many")
    epochs = []
    for (epoch, network), accuracy in zip(networks.items(), accuracies, strict=True):
        parameters = {key: _array(W, decimals) for key, W in network.parameters.items()}
        epochs.append({"epoch": epoch, "test_accuracy": accuracy, "parameters": parameters})
    evolutions = zip(clf.history_["evolved_at"], clf.history_["set_steps"], strict=True)
    return {
        "name": name,
        "connectivity": clf.connectivity,
        "n_parameters": clf.n_parameters_,
        "n_dense_parameters": clf.n_dense_parameters_,
        "epochs": epochs,
        "set_steps": [
            {"epoch": int(epoch), "batch": int(batch), "matrices": _changes(steps, clf.network_.parameters)}
            for (epoch, batch), steps in evolutions
        ],
    }


def _array(W, decimals):
    values = weights_of(W).astype(float).ravel().tolist()
    if decimals is not None:
        values = [round(value, decimals) + 0.0 for value in values]  # no "-0.0"
    cells = {"cells": W.topology.keys.tolist()} if isinstance(W, SparseMatrix) else {}
    return {"shape": list(W.shape), **cells, "values": values}


def _changes(steps, parameters):
    """The cells that each matrix lost and got in an evolution, from its dict of SetSteps."""
    changes = {}
    for name, step in steps.items():
        as_key = [[parameters[name].shape[1]], [1]]  # row * n_cols + column
        lost, got = ((cells * as_key).sum(axis=0) for cells in (step.pruned_cells, step.grown_cells))
        changes[name] = {"pruned": lost.tolist(), "grown": got.tolist()}
    return changes
