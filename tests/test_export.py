"""Networks as JSON: what the document says is what the classifier is, and what cannot be said is refused."""

import json

import numpy as np
import pytest

from numpy_setlstm import SetLSTMClassifier, SparseMatrix, pad_sequences
from numpy_setlstm.export import MAX_NUMBERS, fit_recorded, to_json
from numpy_setlstm.network import Network
from numpy_setlstm.scikit_learn import NotFittedError

TEXTS = ["what a lovely film", "a dull film", "not a dull film", "not lovely"] * 12
LABELS = [1, 0, 1, 0] * 12
SIZES = {"embedding_dim": 6, "hidden_size": 5, "parameter_share": 0.5, "n_epochs": 3, "zeta": 0.4}
SETTINGS = SIZES | {"validation_fraction": 0, "random_state": 0, "dtype": "float64"}


def fitted(connectivity="set", **settings):
    return SetLSTMClassifier(connectivity, **SETTINGS | settings).fit(TEXTS, LABELS)


def network_of(document, name=None, epoch=-1):
    """The network that a document describes."""
    network = next(network for network in document["networks"] if name in (None, network["name"]))
    parameters = {}
    for key, W in network["epochs"][epoch]["parameters"].items():
        shape, values = tuple(W["shape"]), np.array(W["values"])
        if "cells" in W:
            parameters[key] = SparseMatrix(shape, *np.divmod(np.array(W["cells"], int), shape[1]), values)
        else:
            parameters[key] = values.reshape(shape)
    return Network(parameters, pooling=document["pooling"])


def tokens_of(document, texts):
    """Word ids of texts of lower-case words, as a document says that they are read."""
    ids = {word: k for k, word in enumerate(document["words"])}
    return pad_sequences(
        [[ids.get(word, 1) for word in text.split()] for text in texts],
        document["max_length"],
        truncating=document["truncating"],
    )


@pytest.mark.parametrize("connectivity", ["set", "static", "dense"])
@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_the_network_of_the_document_predicts_what_the_classifier_predicts(connectivity, pooling):
    clf = fitted(connectivity, pooling=pooling, max_length=3)
    document = json.loads(to_json(clf))
    assert document["classes"] == [0, 1] and document["networks"][0]["name"] == connectivity
    texts = ["a lovely film", "dull dull dull lovely", "not a martian film"]
    predicted = network_of(document).predict_proba(tokens_of(document, texts))
    np.testing.assert_allclose(predicted, clf.predict_proba(texts), rtol=0, atol=1e-14)


def test_a_bidirectional_network_is_written_with_the_weights_of_both_directions():
    clf = fitted(bidirectional=True)
    document = json.loads(to_json(clf))
    predicted = network_of(document).predict_proba(tokens_of(document, TEXTS[:4]))
    np.testing.assert_allclose(predicted, clf.predict_proba(TEXTS[:4]), rtol=0, atol=1e-14)


def test_training_recorded_is_training():
    clf = SetLSTMClassifier(**SETTINGS, averaging=0.9)
    networks = fit_recorded(clf, TEXTS, LABELS)
    expected = fitted(averaging=0.9)
    assert clf.history_["train_loss"] == expected.history_["train_loss"] and len(networks) == 4
    for name, W in expected.network_.parameters.items():
        for found in (networks[-1].parameters[name], clf.network_.parameters[name]):
            assert np.array_equal(getattr(found, "values", found), getattr(W, "values", W)), name


def test_the_set_steps_lead_from_each_epoch_to_the_next():
    clf = SetLSTMClassifier(**SETTINGS)
    networks = fit_recorded(clf, TEXTS, LABELS)
    (network,) = json.loads(to_json(clf, epochs=networks))["networks"]
    assert [epoch["epoch"] for epoch in network["epochs"]] == [0, 1, 2, 3]
    assert [(step["epoch"], step["batch"]) for step in network["set_steps"]] == [(1, 0), (2, 0)]
    cells = [
        {name: set(epoch["parameters"][name]["cells"]) for name in ("E", "W_x", "W_h")} for epoch in network["epochs"]
    ]
    assert cells[0] == cells[1]  # the first step comes after the first epoch
    for step in network["set_steps"]:
        before, after = cells[step["epoch"]], cells[step["epoch"] + 1]
        for name, changes in step["matrices"].items():
            assert len(changes["pruned"]) == len(changes["grown"]) > 0
            assert (before[name] - set(changes["pruned"])) | set(changes["grown"]) == after[name]


def test_a_model_alone_has_its_best_epoch():
    clf = fitted()
    (network,) = json.loads(to_json({"mine": clf}))["networks"]
    (epoch,) = network["epochs"]
    assert network["name"] == "mine" and epoch["epoch"] == clf.best_epoch_ + 1 and epoch["test_accuracy"] is None
    assert (network["n_parameters"], network["n_dense_parameters"]) == (clf.n_parameters_, clf.n_dense_parameters_)


def test_weights_are_rounded_if_asked_for_and_the_model_is_not():
    clf = fitted()
    before = clf.network_.parameters["W_h"].values.copy()
    document = json.loads(to_json(clf, decimals=2, test_accuracy=[0.75]))
    values = document["networks"][0]["epochs"][0]["parameters"]["W_h"]["values"]
    assert values == [round(value, 2) for value in before.tolist()]
    assert np.array_equal(clf.network_.parameters["W_h"].values, before)
    assert document["networks"][0]["epochs"][0]["test_accuracy"] == 0.75


def test_what_the_document_cannot_say_is_refused():
    clf, ids = fitted(), SetLSTMClassifier(**SETTINGS).fit(np.array([[2, 3], [3, 2]] * 4), [0, 1] * 4)
    nan = fitted()
    nan.network_.parameters["b"][0] = np.nan
    for models, options, message in (
        ({}, {}, "empty dict"),
        ([clf], {}, "expected a SetLSTMClassifier"),
        ({1: clf}, {}, "the name 1; expected a str"),
        (ids, {}, "trained on word ids"),
        (fitted(tokenizer=str.split), {}, "a tokenizer of its own"),
        ({"a": clf, "b": fitted(max_length=7)}, {}, "differ in max_length"),
        (
            {"a": clf, "b": SetLSTMClassifier(**SETTINGS).fit(TEXTS + ["odd", "ode"], LABELS + [0, 1])},
            {},
            "differ in words",
        ),
        (clf, {"decimals": 20}, "decimals is 20"),
        (clf, {"epochs": []}, "empty list"),
        (clf, {"epochs": [clf]}, "expected a Network"),
        (clf, {"epochs": [fitted(hidden_size=4).network_]}, "other sizes"),
        (clf, {"epochs": {"evolved": [clf.network_]}}, "epochs has the name 'evolved'; expected those of models: set"),
        (clf, {"test_accuracy": [0.5, 0.5]}, "1 epochs and 2 test accuracies"),
        (clf, {"test_accuracy": [50]}, "is 50; expected an accuracy from 0 to 1"),
        (clf, {"test_accuracy": 0.5}, "expected a list of numbers"),
        (nan, {}, "NaN or infinite"),
    ):
        with pytest.raises((ValueError, TypeError), match=message) as caught:
            to_json(models, **options)
        assert "\n" not in str(caught.value)
    with pytest.raises(NotFittedError):
        to_json(SetLSTMClassifier())
    with pytest.raises(TypeError, match="expected a SetLSTMClassifier"):
        fit_recorded("set", TEXTS, LABELS)


def test_what_is_too_large_for_text_is_refused(monkeypatch):
    clf = fitted()
    monkeypatch.setattr("numpy_setlstm.export.MAX_NUMBERS", clf.n_parameters_)
    assert to_json(clf)
    monkeypatch.setattr("numpy_setlstm.export.MAX_NUMBERS", clf.n_parameters_ - 1)
    with pytest.raises(ValueError, match=r"expected at most .*: save writes any model"):
        to_json(clf)
    assert MAX_NUMBERS >= 1_000_000
