"""The mean of the weights that begins when the validation loss has stopped falling, and anew for a grown connection."""

import os
import signal

import numpy as np
import pytest
from test_averaging import edit, state_of
from test_language import SMALL, TEXT
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

from numpy_setlstm import SetLSTMClassifier, SetLSTMLanguageModel, classification, training
from numpy_setlstm.averaging import averaged_network, is_triggered, update_average
from numpy_setlstm.checkpoint import CheckpointError
from numpy_setlstm.evolution import evolve
from numpy_setlstm.sparse import SparseMatrix, weights_of
from numpy_setlstm.training import TrainingSettings

# Its validation losses are 0.716, 0.721, 0.719, ...: the third is above the first, so 12 of 24 minibatches are averaged
RISING = {"embedding_learning_rate": 0.3, "random_state": 1, "n_epochs": 6, "evolve_every": 3}
SNT = {"averaging": "snt-asgd", "averaging_interval": 1}


# When it begins


@pytest.mark.parametrize(
    ("losses", "interval", "expected"),
    [
        ([3, 1, 2], 1, False),  # 2 > 3 is wrong; the loss of 1, in the epoch before, is not looked at yet
        ([3, 1, 2, 2], 1, True),
        ([3, 1, 2, 1], 1, False),  # as low is low enough
        ([3, 1, 2, 0.5], 1, False),
        ([1, 2], 1, False),  # there have to be more epochs before than the interval
        ([1, 2, 2], 1, True),
        ([1, 2, 2], 2, False),
        ([5, 1, 1, 1, 1, 1, 4], 5, False),  # 4 > 5 is wrong
        ([5, 1, 1, 1, 1, 1, 4, 4], 5, True),
        ([1, 9, 9, 9, 9, 9], 5, False),
        ([1, 9, 9, 9, 9, 9, 9], 5, True),
        ([1], 1, False),
        ([], 1, False),
    ],
)
def test_the_mean_begins_when_the_loss_is_above_the_lowest_of_long_before(losses, interval, expected):
    assert is_triggered(losses, interval) == expected


def test_the_mean_waits_and_is_then_that_of_all_weights_since():
    state, rng, found = state_of(), np.random.default_rng(2), []
    for losses in ([], [2.0], [2.0, 2.5]):
        state.history["validation_loss"] = losses
        update_average(state, "snt-asgd", 1)
        assert (state.average, state.averaged_from, state.n_averaged) == ({}, {}, 0)
        assert averaged_network(state) is state.network
    for losses in ([2.0, 2.5, 2.5], [2.0, 2.5, 2.5], [2.0, 2.5, 2.5, 0.1]):  # once begun, it goes on
        state.history["validation_loss"] = losses
        for W in state.network.parameters.values():
            weights_of(W)[...] = rng.normal(size=weights_of(W).shape)
        found.append({name: weights_of(W).copy() for name, W in state.network.parameters.items()})
        update_average(state, "snt-asgd", 1)
    assert state.n_averaged == 3
    for name, average in state.average.items():
        np.testing.assert_allclose(average, np.mean([weights[name] for weights in found], axis=0), rtol=0, atol=1e-14)
    sparse = [name for name, W in state.network.parameters.items() if isinstance(W, SparseMatrix)]
    assert list(state.averaged_from) == sparse and not any(a.any() for a in state.averaged_from.values())
    update_average(state, 0)
    assert (state.average, state.averaged_from, state.n_averaged) == ({}, {}, 0)
    update_average(state, 0.5)  # a mean that forgets exponentially counts nothing
    assert state.averaged_from == {} and state.n_averaged == 1


def test_by_default_the_interval_is_five_epochs():
    state = state_of()
    for losses, expected in (([1, 2, 2, 2, 2, 2], 0), ([1, 2, 2, 2, 2, 2, 2], 1)):
        state.history["validation_loss"] = losses
        update_average(state, "snt-asgd")
        assert state.n_averaged == expected
    assert TrainingSettings().averaging_interval == SetLSTMClassifier().averaging_interval == 5


def test_the_mean_of_a_grown_connection_begins_anew():
    state = state_of()
    state.history["validation_loss"] = [1.0, 2.0, 2.0]

    def go_to(value):
        for W in state.network.parameters.values():
            weights_of(W)[...] = value
        update_average(state, "snt-asgd", 1)

    go_to(1.0), go_to(4.0)  # the mean is 2.5
    steps = evolve(state, TrainingSettings(zeta=0.5))
    for name, step in steps.items():
        assert set(state.average[name][step.survivors]) == {2.5} and set(state.average[name][step.grown]) == {0.0}
        assert set(state.averaged_from[name][step.survivors]) == {0} and set(state.averaged_from[name][step.grown]) == {
            2
        }
        assert state.averaged_from[name].dtype == np.int32
    go_to(10.0)  # (1 + 4 + 10) / 3 of survivors and dense weights, 10 of what has just grown
    for name, average in state.average.items():
        grown = steps[name].grown if name in steps else []
        np.testing.assert_allclose(np.delete(average, grown), 5.0, rtol=1e-14)
        assert set(average[grown]) <= {10.0}
    go_to(13.0)  # (1 + 4 + 10 + 13) / 4, and (10 + 13) / 2
    for name, average in state.average.items():
        grown = steps[name].grown if name in steps else []
        np.testing.assert_allclose(np.delete(average, grown), 7.0, rtol=1e-14)
        np.testing.assert_allclose(average[grown], 11.5, rtol=1e-14)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_in_training_each_weight_has_the_mean_of_its_own_life(optimizer, monkeypatch):
    seen, born = [], {}  # by minibatch that is averaged, the weights of each cell; and the one before which it grew

    def watched(state, *arguments):
        update_average(state, *arguments)
        if state.n_averaged:
            cells = {
                name: W.topology.keys.tolist()
                for name, W in state.network.parameters.items()
                if name in ("E", "W_x", "W_h")
            }
            seen.append({(n, c): w for n, keys in cells.items()
                         for c, w in zip(keys, state.network.parameters[n].values, strict=True)})  # fmt: skip

    def evolving(state, *arguments):
        steps = evolve(state, *arguments)
        for name, step in steps.items():
            rows, cols = step.grown_cells
            n_cols = state.network.parameters[name].shape[1]
            born.update({(name, r * n_cols + c): len(seen) for r, c in zip(rows.tolist(), cols.tolist(), strict=True)})
        return steps

    monkeypatch.setattr(training, "update_average", watched)
    monkeypatch.setattr(classification, "evolve", evolving)
    clf = classifier(**RISING | SNT | {"optimizer": optimizer, "dtype": "float64"})
    if optimizer == "sgd":
        clf.set_params(learning_rate=0.5, embedding_learning_rate=5.0)
    state = clf.fit(TEXTS, LABELS).training_state_
    assert len(seen) == state.n_averaged and 0 < len(seen) < state.n_updates
    assert len(set(born.values())) > 2
    for name in ("E", "W_x", "W_h"):
        for cell, average in zip(
            state.network.parameters[name].topology.keys.tolist(), state.average[name], strict=True
        ):
            life = [weights[name, cell] for weights in seen[born.get((name, cell), 0) :]]
            expected = np.mean(life) if life else 0.0
            np.testing.assert_allclose(average, expected, rtol=1e-9, atol=1e-12)


# Training


def test_training_is_bit_for_bit_that_without_it():
    plain, averaged = (classifier(**RISING | extra).fit(TEXTS, LABELS) for extra in ({}, SNT))
    a, b = averaged.training_state_, plain.training_state_
    assert_same_network(a.network, b.network)
    assert a.history["validation_loss"][:3] == b.history["validation_loss"][:3]
    assert a.history["validation_loss"][3:] != b.history["validation_loss"][3:]
    assert (a.n_averaged, a.n_updates) == (12, 24)


def test_the_averaged_network_of_the_best_epoch_is_kept(monkeypatch):
    monkeypatch.setattr(training, "_is_best", lambda *arguments: True)
    clf = classifier(**RISING | SNT).fit(TEXTS, LABELS)
    assert clf.best_epoch_ == 5
    assert_same_network(clf.network_, averaged_network(clf.training_state_))
    assert not np.array_equal(clf.network_.parameters["W_out"], clf.training_state_.network.parameters["W_out"])


def test_the_engines_average_alike():
    one, two = (
        classifier(**RISING | SNT | {"engine": engine, "dtype": "float64"}).fit(TEXTS, LABELS).training_state_
        for engine in ("plain", "fast")
    )
    assert one.n_averaged == two.n_averaged == 12
    for name, average in one.average.items():
        np.testing.assert_allclose(two.average[name], average, rtol=1e-8, atol=1e-10, err_msg=name)
    for name, counts in one.averaged_from.items():
        np.testing.assert_array_equal(two.averaged_from[name], counts, err_msg=name)


@pytest.mark.parametrize("saved", [False, True], ids=["in memory", "saved and loaded"])
@pytest.mark.parametrize("minibatch", [9, 12, 14, 17, 20])  # the mean begins with number 12, counted from 0
def test_interrupted_and_resumed_is_bit_for_bit_training_in_one_go(minibatch, saved, monkeypatch, tmp_path):
    settings = RISING | SNT
    in_one_go = classifier(**settings).fit(TEXTS, LABELS)
    with monkeypatch.context() as patch:
        press_ctrl_c(patch, "clip_by_norm", [minibatch])
        clf = fit_interrupted(classifier(**settings))
    assert clf.training_state_.n_averaged == max(0, minibatch + 1 - 12)
    clf = reloaded(clf, tmp_path / "model.npz") if saved else clf
    clf.fit(TEXTS, LABELS, resume=True)
    assert_same_training(clf, in_one_go)
    assert_same_network(clf.network_, in_one_go.network_)
    assert_same_means(clf, in_one_go)


def assert_same_means(one, two):
    a, b = one.training_state_, two.training_state_
    assert a.n_averaged == b.n_averaged and a.n_averaged > 0
    for part in ("average", "averaged_from"):
        found, expected = getattr(a, part), getattr(b, part)
        assert found.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array, err_msg=f"{part} of {name}")


def test_a_language_model_is_interrupted_while_it_averages(monkeypatch, tmp_path):
    settings = SMALL | SNT | {"n_epochs": 6, "learning_rate": 0.4, "evolve_every": 5}
    expected = SetLSTMLanguageModel(**settings).fit(TEXT)
    state = expected.training_state_
    assert 0 < state.n_averaged < state.n_updates and state.averaged_from["W_h"].any()
    clip, count, stop = training.clip_by_norm, [0], state.n_updates - 3

    def interrupted(*arguments):
        count[0] += 1
        if count[0] == stop:
            os.kill(os.getpid(), signal.SIGINT)
        return clip(*arguments)

    monkeypatch.setattr(training, "clip_by_norm", interrupted)
    with pytest.warns(UserWarning, match="interrupted in epoch 6 of 6"):
        SetLSTMLanguageModel(**settings).fit(TEXT, checkpoint_path=tmp_path / "model.npz")
    monkeypatch.undo()
    model = SetLSTMLanguageModel.load(tmp_path / "model.npz")
    assert model.training_state_.n_averaged == state.n_averaged - 3
    model.fit(TEXT, resume=True)
    assert_same_network(model.network_, expected.network_)
    assert_same_network(model.training_state_.network, state.network)
    assert_same_means(model, expected)
    assert model.history_["validation_loss"] == expected.history_["validation_loss"]


# What cannot be


def test_it_needs_validation_texts():
    with pytest.raises(ValueError, match="averaging is snt-asgd, and validation_fraction 0 leaves no texts to judge"):
        classifier(**SNT, validation_fraction=0).fit(TEXTS, LABELS)
    with pytest.raises(ValueError, match="averaging is snt-asgd, and validation_fraction 0 leaves no texts to judge"):
        SetLSTMLanguageModel(**SMALL | SNT | {"validation_fraction": 0}).fit(TEXT)
    with pytest.raises(ValueError, match="averaging is 'snt-asgd', which needs to know the loss on validation texts"):
        classifier(**SNT).partial_fit(TEXTS, LABELS)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"averaging": "asgd"}, r"averaging is 'asgd'; expected a number in \[0, 1\), or 'snt-asgd'"),
        ({"averaging": True}, r"averaging is True; expected a number in \[0, 1\), or 'snt-asgd'"),
        ({"averaging_interval": 0}, "averaging_interval is 0; expected a whole number of at least 1"),
        ({"averaging_interval": None}, "averaging_interval is None; expected a whole number of at least 1"),
        ({"keep_gate_counts": 1}, "keep_gate_counts is 1; expected True or False"),
    ],
)
def test_what_is_none_of_the_choices_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        classifier(**parameters).fit(TEXTS, LABELS)
    with pytest.raises(ValueError, match=message):
        SetLSTMLanguageModel(**SMALL | parameters).fit(TEXT)


@pytest.mark.parametrize("parameters", [{"averaging_interval": 2}, {"averaging": 0.5}, {"keep_gate_counts": True}])
def test_resuming_cannot_change_it(parameters):
    clf = classifier(**SNT, n_epochs=1).fit(TEXTS, LABELS).set_params(**parameters, n_epochs=2)
    with pytest.raises(ValueError, match=f"{next(iter(parameters))} was .* when training began"):
        clf.fit(TEXTS, LABELS, resume=True)


def test_a_warm_start_begins_a_mean_of_its_own():
    clf = classifier(**RISING | SNT).fit(TEXTS, LABELS)
    assert clf.training_state_.n_averaged == 12
    clf.set_params(warm_start=True, n_epochs=2).fit(TEXTS, LABELS)
    assert (clf.training_state_.n_averaged, clf.training_state_.averaged_from) == (0, {})


EDITED = {
    "no counts": (lambda h, a: a.pop("averaged_from/W_h"), "it has no 'averaged_from/W_h'"),
    "another shape": (
        lambda h, a: a.update({"averaged_from/W_h": a["averaged_from/W_h"][1:]}),
        "averaged_from/W_h is int",
    ),
    "another type": (
        lambda h, a: a.update({"averaged_from/E": a["averaged_from/E"] * 1.0}),
        "averaged_from/E is float64",
    ),
    "too many": (lambda h, a: a["averaged_from/E"].__setitem__(0, 13), "averaged_from/E has numbers outside 0 to 12"),
    "below 0": (lambda h, a: a["averaged_from/E"].__setitem__(0, -1), "averaged_from/E has numbers outside 0 to 12"),
    "of a dense array": (
        lambda h, a: a.update({"averaged_from/b": np.zeros(24, np.int32)}),
        "the array averaged_from/b",
    ),
    "by a number": (
        lambda h, a: h["parameters"].update(averaging=0.5),
        "averaging is 0.5, but there are arrays averaged",
    ),
    "none counted": (lambda h, a: h.update(n_averaged=0), "there are arrays averaged_from"),
    "later": (
        lambda h, a: h["parameters"].update(averaging_interval=5),
        "averaging is snt-asgd, but 12 of 24 minibatches",
    ),
    "no interval": (
        lambda h, a: h["parameters"].update(averaging_interval=0),
        "averaging_interval is 0; expected a whole",
    ),
    "no parameter": (lambda h, a: h["parameters"].pop("averaging_interval"), "it has no"),
    "no such rule": (
        lambda h, a: h["parameters"].update(averaging="asgd"),
        "averaging is 'asgd'; expected a number in",
    ),
}


@pytest.fixture
def path(tmp_path):
    classifier(**RISING | SNT).fit(TEXTS, LABELS).save(tmp_path / "model.npz")
    return tmp_path / "model.npz"


@pytest.mark.parametrize("what", EDITED)
def test_a_file_that_contradicts_itself_is_refused_in_one_line(what, path):
    change, message = EDITED[what]
    edit(path, change)
    with pytest.raises(CheckpointError) as caught:
        SetLSTMClassifier.load(path)
    assert message in str(caught.value) and "\n" not in str(caught.value)
