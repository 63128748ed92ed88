"""The running mean of the weights: what it is, that training does not see it, and that nothing of it is lost."""

from types import SimpleNamespace

import numpy as np
import pytest
from test_training import (
    LABELS,
    TEXTS,
    assert_same_network,
    assert_same_training,
    classifier,
    fit_interrupted,
    press_ctrl_c,
    reloaded,
)

from numpy_setlstm import SetLSTMClassifier, SparseMatrix, classification
from numpy_setlstm.averaging import averaged_network, carry_average, update_average
from numpy_setlstm.checkpoint import CheckpointError, load_arrays, save_arrays
from numpy_setlstm.classification import evaluate
from numpy_setlstm.evolution import evolve
from numpy_setlstm.initialization import NetworkSizes, init_network
from numpy_setlstm.optimizers import Adam
from numpy_setlstm.sparse import weights_of
from numpy_setlstm.topology import set_step
from numpy_setlstm.training import TrainingSettings, TrainingState, split_streams

SIZES = NetworkSizes(20, 4, 4, 2)


def state_of(dtype=np.float64):
    """The state of a small network before training."""
    rngs = np.random.default_rng(0).spawn(2)
    network = init_network(SIZES, *rngs, er_epsilon=1, dtype=dtype, dropout=0.2, pooling="mean")
    return TrainingState.start(network, Adam(network.parameters, 0.01), split_streams(np.random.default_rng(1)))


def weights_after(state, rng, count):
    """Give the network other weights `count` times, and return those of W_x, (count, nnz), after each."""
    found = []
    for _ in range(count):
        for W in state.network.parameters.values():
            weights_of(W)[...] = rng.normal(size=weights_of(W).shape)
        found.append(weights_of(state.network.parameters["W_x"]).copy())
        yield np.array(found)


# The mean


@pytest.mark.parametrize("averaging", [0.1, 0.9, 0.999])
def test_the_share_of_weights_falls_exponentially_with_their_age(averaging):
    state = state_of()
    for k, weights in enumerate(weights_after(state, np.random.default_rng(2), 9)):
        update_average(state, averaging)
        shares = averaging ** np.arange(k, -1, -1)
        np.testing.assert_allclose(
            state.average["W_x"], np.average(weights, axis=0, weights=shares), rtol=0, atol=1e-12
        )
        assert state.n_averaged == k + 1
    assert state.average.keys() == state.network.parameters.keys()


def test_the_first_mean_is_the_weights_and_each_has_their_type():
    state = state_of(np.float32)
    update_average(state, 0.99)
    for name, W in state.network.parameters.items():
        np.testing.assert_array_equal(state.average[name], weights_of(W))
    update_average(state, 0.99)
    for name, W in state.network.parameters.items():
        np.testing.assert_array_equal(state.average[name], weights_of(W))
        assert state.average[name].dtype == np.float32
        assert not np.shares_memory(state.average[name], weights_of(W))


def test_without_averaging_there_is_no_mean_and_one_is_forgotten():
    state = state_of()
    update_average(state, 0)
    assert state.average == {} and averaged_network(state) is state.network
    update_average(state, 0.5)
    update_average(state, 0)
    assert state.average == {} and state.n_averaged == 0


def test_the_averaged_network_is_a_copy_with_the_mean_and_all_else_alike():
    state = state_of()
    for _ in weights_after(state, np.random.default_rng(2), 3):
        update_average(state, 0.5)
    before = {name: weights_of(W).copy() for name, W in state.network.parameters.items()}
    network = averaged_network(state)
    assert (network.dropout, network.pooling, network.engine) == (0.2, "mean", state.network.engine)
    for name, W in network.parameters.items():
        np.testing.assert_array_equal(weights_of(W), state.average[name])
        assert isinstance(W, SparseMatrix) == (name in ("E", "W_x", "W_h"))
        weights_of(W)[...] = 7
        np.testing.assert_array_equal(weights_of(state.network.parameters[name]), before[name])
        assert not (state.average[name] == 7).any()


def test_survivors_keep_their_mean_and_grown_connections_begin_with_their_weights():
    rng = np.random.default_rng(0)
    W = SparseMatrix.from_array(rng.normal(size=(6, 7)) * (rng.random((6, 7)) < 0.5))
    means = dict(zip(zip(W.rows.tolist(), W.cols.tolist(), strict=True), rng.normal(size=W.nnz), strict=True))
    new, step = set_step(W, 0.5, rng, scale=1.0)
    state = SimpleNamespace(network=SimpleNamespace(parameters={"W": new}), average={}, n_averaged=0, averaged_from={})
    carry_average(state, "W", step)
    assert state.average == {}
    state.average, state.n_averaged = {"W": np.array(list(means.values()))}, 1
    carry_average(state, "W", step)
    grown = {tuple(cell) for cell in step.grown_cells.T.tolist()}
    cells = list(zip(new.rows.tolist(), new.cols.tolist(), strict=True))
    expected = [value if cell in grown else means[cell] for cell, value in zip(cells, new.values, strict=True)]
    assert state.average["W"].tolist() == expected and new.values[step.grown].all()


def test_the_mean_follows_an_evolution_of_the_whole_network():
    state = state_of()
    update_average(state, 0.5)
    before = {name: W.topology.keys for name, W in state.network.parameters.items() if isinstance(W, SparseMatrix)}
    evolve(state, TrainingSettings(zeta=0.5, growth="random"))
    for name, keys in before.items():  # the mean of one minibatch is its weights
        W = state.network.parameters[name]
        assert not np.array_equal(W.topology.keys, keys)
        np.testing.assert_array_equal(state.average[name], W.values)


# Training


@pytest.mark.parametrize("parameters", [{}, {"growth": "gradient"}, {"evolve_every": 3}, {"optimizer": "sgd"}], ids=str)
def test_training_is_bit_for_bit_that_without_averaging(parameters):
    plain, averaged = (classifier(averaging=averaging, **parameters).fit(TEXTS, LABELS) for averaging in (0, 0.9))
    a, b = averaged.training_state_, plain.training_state_
    assert_same_network(a.network, b.network)
    for key in ("train_loss", "train_accuracy", "gate_counts", "evolved_at"):
        assert a.history[key] == b.history[key], key
    assert a.history["validation_loss"] != b.history["validation_loss"]
    for name, rng in a.streams.items():
        assert rng.bit_generator.state == b.streams[name].bit_generator.state, name
    assert a.n_averaged == a.n_updates == 12 and b.n_averaged == 0


@pytest.mark.parametrize("connectivity", ["set", "dense"])
def test_the_mean_is_validated_kept_and_used(connectivity):
    clf = classifier(connectivity=connectivity, averaging=0.9, n_epochs=1).fit(TEXTS, LABELS)
    state = clf.training_state_
    assert_same_network(clf.network_, averaged_network(state))
    assert not np.array_equal(weights_of(clf.network_.parameters["E"]), weights_of(state.network.parameters["E"]))
    with_all = classifier(connectivity=connectivity, averaging=0.9, n_epochs=1, validation_fraction=0)
    with_all.fit(TEXTS, LABELS)
    assert_same_network(with_all.network_, averaged_network(with_all.training_state_))


def test_validation_after_an_epoch_and_after_a_set_step_is_of_the_mean(monkeypatch):
    seen = []
    record = lambda network, *data: seen.append(network) or evaluate(network, *data)  # noqa: E731
    monkeypatch.setattr(classification, "evaluate", record)
    clf = classifier(averaging=0.9, n_epochs=2).fit(TEXTS, LABELS)
    assert len(seen) == 3 and all(network is not clf.training_state_.network for network in seen)
    for name in ("W_out", "b"):  # nothing was learnt between the end of an epoch and the SET step
        np.testing.assert_array_equal(seen[1].parameters[name], seen[0].parameters[name])
    assert not np.array_equal(seen[1].parameters["W_h"].topology.keys, seen[0].parameters["W_h"].topology.keys)


def test_interrupted_before_an_epoch_has_ended_the_mean_is_used(monkeypatch):
    press_ctrl_c(monkeypatch, "clip_by_norm", [2])
    clf = fit_interrupted(classifier(averaging=0.9))
    assert clf.training_state_.best_network is not None or clf.best_epoch_ == -1
    assert_same_network(clf.network_, averaged_network(clf.training_state_))
    assert clf.training_state_.n_averaged == 3


@pytest.mark.parametrize("saved", [False, True], ids=["in memory", "saved and loaded"])
@pytest.mark.parametrize(
    "place", [("_begin_epoch", [0]), ("clip_by_norm", [1]), ("clip_by_norm", [9]), ("evolve", [0])], ids=str
)
@pytest.mark.parametrize("connectivity", ["set", "dense"])
def test_interrupted_and_resumed_is_bit_for_bit_training_in_one_go(connectivity, place, saved, monkeypatch, tmp_path):
    parameters = {"connectivity": connectivity, "averaging": 0.8, "growth": "random", "pooling": "max"}
    in_one_go = classifier(**parameters).fit(TEXTS, LABELS)
    if connectivity == "dense" and place[0] == "evolve":
        place = ("_end_epoch", [0])
    with monkeypatch.context() as patch:
        press_ctrl_c(patch, *place)
        clf = fit_interrupted(classifier(**parameters))
    if saved:
        clf = reloaded(clf, tmp_path / "model.npz")
        assert (clf.averaging, clf.network_.pooling, clf.pooling) == (0.8, "max", "max")
    clf.fit(TEXTS, LABELS, resume=True)
    assert_same_training(clf, in_one_go)
    assert_same_network(clf.network_, in_one_go.network_)


def test_partial_fit_goes_on_with_the_mean_and_begins_one_when_asked():
    clf = classifier(averaging=0.9)
    for k in (1, 2):
        clf.partial_fit(TEXTS, LABELS)
        assert clf.training_state_.n_averaged == clf.training_state_.n_updates == 4 * k
    clf.set_params(averaging=0).partial_fit(TEXTS, LABELS)
    assert clf.training_state_.n_averaged == 0
    assert_same_network(clf.network_, clf.training_state_.network)
    clf.set_params(averaging=0.5).partial_fit(TEXTS, LABELS)
    assert (clf.training_state_.n_averaged, clf.training_state_.n_updates) == (4, 16)


def test_a_warm_start_begins_a_mean_of_its_own():
    clf = classifier(averaging=0.9, n_epochs=1).fit(TEXTS, LABELS)
    first = clf.network_
    clf.set_params(warm_start=True, averaging=0.5).fit(TEXTS, LABELS)
    assert clf.training_state_.n_averaged == 4 and clf.network_ is not first


@pytest.mark.parametrize("parameters", [{"averaging": 0.5}, {"pooling": "mean"}])
def test_resuming_cannot_change_it(parameters):
    clf = classifier(n_epochs=1).fit(TEXTS, LABELS).set_params(**parameters, n_epochs=2)
    with pytest.raises(ValueError, match=f"{next(iter(parameters))} was .* when training began"):
        clf.fit(TEXTS, LABELS, resume=True)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"averaging": 1}, r"averaging is 1; expected a number in \[0, 1\)"),
        ({"averaging": -0.1}, r"averaging is -0.1; expected a number in \[0, 1\)"),
        ({"averaging": None}, r"averaging is None; expected a number in \[0, 1\)"),
        ({"pooling": "sum"}, "pooling is 'sum'; expected one of 'last', 'mean', 'max'"),
        ({"pooling": None}, "pooling is None; expected one of 'last', 'mean', 'max'"),
    ],
)
def test_what_cannot_be_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        classifier(**parameters).fit(TEXTS, LABELS)


def test_a_warm_start_keeps_the_pooling():
    clf = classifier(n_epochs=1, pooling="mean").fit(TEXTS, LABELS).set_params(pooling="max", warm_start=True)
    with pytest.raises(ValueError, match="pooling was 'mean' when training began and is 'max' now; a warm start keeps"):
        clf.fit(TEXTS, LABELS)


# Files


@pytest.fixture
def path(tmp_path):
    classifier(averaging=0.9, n_epochs=2, pooling="max").fit(TEXTS, LABELS).save(tmp_path / "model.npz")
    return tmp_path / "model.npz"


def test_what_is_kept_comes_back(path):
    clf, header = SetLSTMClassifier.load(path), load_arrays(path)[0]
    assert (clf.averaging, clf.pooling, header["n_averaged"], header["n_updates"]) == (0.9, "max", 8, 8)
    assert clf.network_.pooling == clf.training_state_.network.pooling == "max"
    again = classifier(averaging=0.9, n_epochs=2, pooling="max").fit(TEXTS, LABELS)
    np.testing.assert_array_equal(clf.predict_proba(TEXTS), again.predict_proba(TEXTS))


def edit(path, change):
    header, arrays = load_arrays(path)
    change(header, arrays)
    save_arrays(path, header, arrays)


EDITED = {
    "no average": (lambda h, a: a.pop("average/W_h"), "it has no 'average/W_h'"),
    "another shape": (lambda h, a: a.update({"average/b": a["average/b"][1:]}), "average/b is float32 of shape (23,)"),
    "another type": (lambda h, a: a.update({"average/b": a["average/b"].astype(float)}), "average/b is float64 of sh"),
    "no number": (lambda h, a: a["average/b"].__setitem__(0, np.nan), "average/b has numbers that are NaN or inf"),
    "an average more": (lambda h, a: a.update({"average/c": np.ones(2)}), "the array average/c is float64 of shape"),
    "none counted": (lambda h, a: h.update(n_averaged=0), "averaging is 0.9, but 0 of 8 minibatches are averaged: set"),
    "too many": (lambda h, a: h.update(n_averaged=9), "averaging is 0.9, but 9 of 8 minibatches are averaged: set it"),
    "below 0": (lambda h, a: h.update(n_averaged=-1), "n_averaged is -1; expected a whole number of at least 0"),
    "no count": (lambda h, a: h.pop("n_averaged"), "it has no 'n_averaged'"),
    "not averaging": (lambda h, a: h["parameters"].update(averaging=0.0), "averaging is 0.0, but 8 of 8 minibatches"),
    "too much": (lambda h, a: h["parameters"].update(averaging=1.0), "averaging is 1.0; expected a number in [0, 1)"),
    "another pooling": (lambda h, a: h["parameters"].update(pooling="mean"), "pooling is 'mean', but the network was"),
    "other networks": (lambda h, a: h["best"].update(pooling="last"), "pooling is 'max', but the network was made wi"),
    "no such pooling": (lambda h, a: h["parameters"].update(pooling="sum"), "pooling is 'sum'; expected one of"),
    "no pooling": (lambda h, a: h["network"].pop("pooling"), "it has no 'pooling'"),
}


@pytest.mark.parametrize("what", EDITED)
def test_a_file_that_contradicts_itself_is_refused_in_one_line(what, path):
    change, message = EDITED[what]
    edit(path, change)
    with pytest.raises(CheckpointError) as caught:
        SetLSTMClassifier.load(path)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"averaging": 0}, "averaging is 0, but 8 of 8 minibatches are averaged: set it back"),
        ({"pooling": "last"}, "pooling is 'last', but the network was made with 'max': set it back"),
    ],
)
def test_a_model_whose_parameters_were_changed_is_not_saved(parameters, message, path):
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=message):
        SetLSTMClassifier.load(path).set_params(**parameters).save(path)
    assert path.read_bytes() == before


def test_without_averaging_a_file_has_no_average(tmp_path):
    classifier(n_epochs=1).fit(TEXTS, LABELS).save(tmp_path / "model.npz")
    header, arrays = load_arrays(tmp_path / "model.npz")
    assert header["n_averaged"] == 0 and not any(name.startswith("average") for name in arrays)
