"""Training: what it does between two epochs, what it keeps, and that stopping and going on changes no bit."""

import copy
import io
import os
import signal
import threading
import tracemalloc

import numpy as np
import pytest

from numpy_setlstm import SetLSTMClassifier, SparseMatrix, classification, training
from numpy_setlstm.classification import evaluate
from numpy_setlstm.evolution import (
    GRADIENT_BATCHES,
    count_evolutions,
    evolve,
    gradient_sizes,
    with_candidates,
    zeta_of,
)
from numpy_setlstm.fast.adam import FastAdam
from numpy_setlstm.initialization import NetworkSizes, init_network
from numpy_setlstm.inputs import split
from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.layers.readout import cross_entropy_forward
from numpy_setlstm.measures import replay
from numpy_setlstm.optimizers import SGD, Adam, clip_by_norm
from numpy_setlstm.recipe import initial_state
from numpy_setlstm.sparse import weights_of
from numpy_setlstm.topology import prune
from numpy_setlstm.training import TrainingSettings, TrainingState, split_streams, train

SPARSE = ("E", "W_x", "W_h")
EVERY_KIND = [(c, o) for c in ("set", "static", "dense") for o in ("adam", "sgd")]


def reviews(n=60, seed=0):
    """Short texts of made-up words, one of them good or bad, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    texts = []
    for label in labels:
        words = [f"word{k}" for k in rng.integers(20, size=rng.integers(2, 7))]
        words.insert(rng.integers(len(words) + 1), ("bad", "good")[label])
        texts.append(" ".join(words))
    return texts, labels


TEXTS, LABELS = reviews()  # 6 of the 60 are held out, so an epoch has minibatches of 16, 16, 16 and 6


def classifier(**parameters):
    small = {"embedding_dim": 8, "hidden_size": 6, "parameter_share": 0.3, "max_length": 8}
    return SetLSTMClassifier(**small | {"n_epochs": 3, "batch_size": 16, "random_state": 0} | parameters)


def network_and_data(n_texts=10, connectivity="set", seed=0, **settings):
    """A network of float64 that has not been trained, with random texts of ids and their labels."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(2, 12, size=(n_texts, 5))
    tokens[::3, :2] = 0
    sizes = NetworkSizes(n_words=12, embedding_dim=7, hidden_size=5, n_classes=2)
    er_epsilon = None if connectivity == "dense" else 2.0
    streams = split_streams(rng)
    network = init_network(
        sizes, streams["topology"], streams["values"], er_epsilon=er_epsilon, dtype=np.float64, **settings
    )
    return network, streams, tokens, np.arange(n_texts) % 2


def begin(optimizer=Adam, learning_rate=0.05, **parameters):
    """The state before the first epoch, and data to train it on."""
    network, streams, tokens, labels = network_and_data(**parameters)
    return TrainingState.start(network, optimizer(network.parameters, learning_rate), streams), tokens, labels


def bits(array):
    return array.dtype.str, np.ascontiguousarray(array).tobytes()


def assert_same_network(a, b):
    assert list(a.parameters) == list(b.parameters)
    for name, W in a.parameters.items():
        other = b.parameters[name]
        assert type(W) is type(other), name
        if isinstance(W, SparseMatrix):
            assert bits(W.rows) == bits(other.rows) and bits(W.cols) == bits(other.cols), f"topology of {name}"
        assert bits(weights_of(W)) == bits(weights_of(other)), f"weights of {name}"


def assert_same_training(a, b):
    """Equal bit for bit: networks, optimizer, generators, histories (all but the seconds), place in the epoch."""
    a, b = a.training_state_, b.training_state_
    assert_same_network(a.network, b.network)
    assert (a.best_network is None) == (b.best_network is None)
    if a.best_network is not None:
        assert_same_network(a.best_network, b.best_network)
    for name, quantities in a.optimizer.state.items():
        assert quantities.keys() == b.optimizer.state[name].keys()
        for quantity, array in quantities.items():
            assert bits(array) == bits(b.optimizer.state[name][quantity]), f"{quantity} of {name}"
    assert (a.n_averaged, a.average.keys()) == (b.n_averaged, b.average.keys())
    for name, average in a.average.items():
        assert bits(average) == bits(b.average[name]), f"average of {name}"
    for name, rng in a.streams.items():
        assert rng.bit_generator.state == b.streams[name].bit_generator.state, name
    assert a.history.keys() == b.history.keys()
    for key in a.history.keys() - {"seconds", "set_steps"}:
        assert a.history[key] == b.history[key], key
    assert len(a.history["set_steps"]) == len(b.history["set_steps"])
    for steps, others in zip(a.history["set_steps"], b.history["set_steps"], strict=True):
        assert steps.keys() == others.keys()
        for name, step in steps.items():
            for part in ("pruned", "grown", "pruned_cells", "grown_cells"):
                assert bits(getattr(step, part)) == bits(getattr(others[name], part)), f"{part} of {name}"
    assert (a.epoch, a.batch, a.best_epoch, a.interrupted) == (b.epoch, b.batch, b.best_epoch, b.interrupted)
    assert (a.order is None) == (b.order is None)


def press_ctrl_c(monkeypatch, function_name, calls, times=1):
    """Send a real SIGINT at the end of the k-th call, for k in `calls`, of one function of the training."""
    module = training if hasattr(training, function_name) else classification
    function, count = getattr(module, function_name), [0]

    def interrupted(*arguments, **keywords):
        result = function(*arguments, **keywords)
        if count[0] in calls:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        count[0] += 1
        return result

    monkeypatch.setattr(module, function_name, interrupted)


def fit_interrupted(clf, **keywords):
    with pytest.warns(UserWarning, match=r"interrupted in epoch \d of \d; the model is usable"):
        return clf.fit(TEXTS, LABELS, **keywords)


def reloaded(clf, path):
    clf.save(path)
    return SetLSTMClassifier.load(path)


# Interrupted and resumed, or in one go: the same bits

PLACES = {
    "before the first minibatch": ("_begin_epoch", [0]),
    "in the first minibatch": ("clip_by_norm", [0]),
    "in the middle of the first epoch": ("clip_by_norm", [1]),
    "in the last minibatch of an epoch": ("clip_by_norm", [3]),
    "at the end of an epoch": ("_end_epoch", [0]),
    "while evolving": ("evolve", [0]),
    "in the middle of the last epoch": ("clip_by_norm", [9]),
}


@pytest.mark.parametrize("saved", [False, True], ids=["in memory", "saved and loaded"])
@pytest.mark.parametrize("place", PLACES)
def test_interrupted_and_resumed_is_bit_for_bit_training_in_one_go(place, saved, monkeypatch, tmp_path):
    in_one_go = classifier().fit(TEXTS, LABELS)
    with monkeypatch.context() as patch:
        press_ctrl_c(patch, *PLACES[place])
        clf = fit_interrupted(classifier())
    assert clf.training_state_.interrupted and clf.training_state_.epoch < 3
    if saved:
        clf = reloaded(clf, tmp_path / "model.npz")
    clf.fit(TEXTS, LABELS, resume=True)
    assert_same_training(clf, in_one_go)
    assert_same_network(clf.network_, in_one_go.network_)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("connectivity", "optimizer"), EVERY_KIND)
def test_resuming_is_exact_for_every_connectivity_and_optimizer(connectivity, optimizer, dtype, monkeypatch, tmp_path):
    parameters = {"connectivity": connectivity, "optimizer": optimizer, "dtype": dtype, "growth": "random"}
    in_one_go = classifier(**parameters).fit(TEXTS, LABELS)
    with monkeypatch.context() as patch:
        press_ctrl_c(patch, "clip_by_norm", [5])  # the second minibatch of the second epoch
        clf = fit_interrupted(classifier(**parameters))
    assert (clf.training_state_.epoch, clf.training_state_.batch) == (1, 2)
    clf = reloaded(clf, tmp_path / "model.npz").fit(TEXTS, LABELS, resume=True)
    assert_same_training(clf, in_one_go)


@pytest.mark.parametrize("saved", [False, True], ids=["in memory", "saved and loaded"])
def test_interrupted_twice_and_resumed_twice_is_exact(saved, monkeypatch, tmp_path):
    in_one_go = classifier().fit(TEXTS, LABELS)
    with monkeypatch.context() as patch:
        press_ctrl_c(patch, "clip_by_norm", [1, 6])
        clf = fit_interrupted(classifier())
        if saved:
            clf = reloaded(clf, tmp_path / "model.npz")
        clf = fit_interrupted(clf, resume=True)
        assert (clf.training_state_.epoch, clf.training_state_.batch) == (1, 3)
    if saved:
        clf = reloaded(clf, tmp_path / "model.npz")
    assert_same_training(clf.fit(TEXTS, LABELS, resume=True), in_one_go)


def test_resuming_is_exact_without_a_validation_split(monkeypatch, tmp_path):
    in_one_go = classifier(validation_fraction=0).fit(TEXTS, LABELS)
    with monkeypatch.context() as patch:
        press_ctrl_c(patch, "clip_by_norm", [5])
        clf = fit_interrupted(classifier(validation_fraction=0))
    clf = reloaded(clf, tmp_path / "model.npz").fit(TEXTS, LABELS, resume=True)
    assert_same_training(clf, in_one_go)


@pytest.mark.parametrize("saved", [False, True], ids=["in memory", "saved and loaded"])
@pytest.mark.parametrize("connectivity", ["set", "static", "dense"])
def test_more_epochs_asked_for_later_are_the_same_as_all_at_once(connectivity, saved, tmp_path):
    at_once = classifier(connectivity=connectivity, n_epochs=4).fit(TEXTS, LABELS)
    clf = classifier(connectivity=connectivity, n_epochs=2).fit(TEXTS, LABELS)
    if saved:
        clf = reloaded(clf, tmp_path / "model.npz")
    clf.set_params(n_epochs=4).fit(TEXTS, LABELS, resume=True)
    assert_same_training(clf, at_once)


def test_resuming_a_finished_training_changes_nothing():
    clf = classifier().fit(TEXTS, LABELS)
    assert_same_training(clf.fit(TEXTS, LABELS, resume=True), classifier().fit(TEXTS, LABELS))


# Seeds


@pytest.mark.parametrize(("connectivity", "optimizer"), EVERY_KIND)
def test_the_same_seed_gives_the_same_bits(connectivity, optimizer):
    first, second = (classifier(connectivity=connectivity, optimizer=optimizer).fit(TEXTS, LABELS) for _ in range(2))
    assert_same_training(first, second)


def test_different_seeds_give_different_topologies():
    states = [classifier(random_state=seed, n_epochs=1).fit(TEXTS, LABELS).training_state_ for seed in (0, 1)]
    for name in SPARSE:
        a, b = (state.initial_topologies[name].keys for state in states)
        assert len(a) == len(b) and not np.array_equal(a, b), name


@pytest.mark.parametrize("change", ["order of the texts", "batch size", "dropout", "growth"])
def test_the_initial_topology_depends_on_nothing_but_the_seed(change):
    clf, texts, labels = classifier(validation_fraction=0, n_epochs=1), TEXTS, LABELS
    expected = clf.fit(texts, labels).training_state_.initial_topologies
    if change == "order of the texts":
        order = np.random.default_rng(5).permutation(len(texts))
        texts, labels = [texts[k] for k in order], labels[order]
    else:
        name, value = {"batch size": ("batch_size", 7), "dropout": ("dropout", 0.0), "growth": ("growth", "random")}[
            change
        ]
        clf.set_params(**{name: value})
    topologies = clf.fit(texts, labels).training_state_.initial_topologies
    for name in SPARSE:
        assert np.array_equal(topologies[name].keys, expected[name].keys), name


@pytest.mark.parametrize("change", [{"batch_size": 7}, {"learning_rate": 0.1}, {"dropout": 0.5}], ids=lambda c: [*c][0])
def test_what_evolution_draws_depends_on_nothing_but_the_seed(change):
    expected = classifier(zeta=1.0).fit(TEXTS, LABELS).training_state_  # every connection is replaced
    state = classifier(zeta=1.0, **change).fit(TEXTS, LABELS).training_state_
    for name in SPARSE:
        keys, others = (s.network.parameters[name].topology.keys for s in (state, expected))
        assert np.array_equal(keys, others), name


# What is measured


def test_the_reported_model_is_the_evaluated_one():
    state, tokens, labels = begin(n_texts=20)
    validation = tokens[14:], labels[14:]
    measured = []
    train(
        state,
        TrainingSettings(n_epochs=4, batch_size=4),
        tokens[:14],
        labels[:14],
        validation,
        after_epoch=lambda state: measured.append(evaluate(state.network, *validation)),
    )
    reported = zip(state.history["validation_loss"], state.history["validation_accuracy"], strict=True)
    assert measured == list(reported)
    assert evaluate(state.best_network, *validation) == measured[state.best_epoch]


def test_no_evolution_takes_place_after_the_last_epoch():
    state, tokens, labels = begin()
    seen = []
    train(
        state,
        TrainingSettings(n_epochs=2, batch_size=4),
        tokens,
        labels,
        after_epoch=lambda state: seen.append(state.network.parameters["W_h"].topology.keys),
    )
    assert np.array_equal(state.network.parameters["W_h"].topology.keys, seen[-1])
    assert np.array_equal(state.best_network.parameters["W_h"].topology.keys, seen[-1])


def test_the_score_of_a_fitted_model_is_that_of_its_best_epoch():
    clf = classifier(n_epochs=4).fit(TEXTS, LABELS)
    _, validation = split(TEXTS, LABELS, clf.validation_fraction)
    score = clf.score([TEXTS[k] for k in validation], LABELS[validation])
    assert score == clf.history_["validation_accuracy"][clf.best_epoch_] == max(clf.history_["validation_accuracy"])


def test_the_last_smaller_minibatch_counts_per_text():
    state, tokens, labels = begin(n_texts=10, learning_rate=0.0)
    expected_loss, expected_accuracy = evaluate(state.network, tokens, labels)
    train(state, TrainingSettings(n_epochs=1, batch_size=4), tokens, labels)  # 4 + 4 + 2 texts
    np.testing.assert_allclose(state.history["train_loss"], [expected_loss], rtol=1e-12)
    assert state.history["train_accuracy"] == [expected_accuracy]


def test_each_text_is_learnt_from_once_per_epoch(monkeypatch):
    sizes = []
    state, tokens, labels = begin(n_texts=10)
    step = state.network.backpropagate
    state.network.backpropagate = lambda tokens, *rest, **more: (
        sizes.append(len(tokens)),
        step(tokens, *rest, **more),
    )[1]
    orders = []
    begin_epoch = training._begin_epoch

    def begin_and_record(state, *arguments):
        begin_epoch(state, *arguments)
        orders.append(state.order)

    monkeypatch.setattr(training, "_begin_epoch", begin_and_record)
    train(state, TrainingSettings(n_epochs=2, batch_size=4), tokens, labels)
    assert sizes == [4, 4, 2] * 2
    assert [sorted(order) for order in orders] == [list(range(10))] * 2
    assert not np.array_equal(*orders)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 20, 1000])
def test_loss_and_accuracy_do_not_depend_on_the_evaluation_batch_size(batch_size):
    network, _, tokens, labels = network_and_data(n_texts=20)
    loss, accuracy = evaluate(network, tokens, labels, batch_size=batch_size)
    expected_loss, expected_accuracy = evaluate(network, tokens, labels)
    assert accuracy == expected_accuracy
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-12)


def test_evaluation_is_without_dropout():
    network, _, tokens, labels = network_and_data(embedding_dropout=0.5, dropout=0.5)
    without, *_ = network_and_data()
    assert evaluate(network, tokens, labels) == evaluate(without, tokens, labels)


# The best epoch


@pytest.mark.parametrize(
    ("loss_and_accuracy", "best"),
    [
        ([(0.5, 0.5), (0.5, 0.8), (0.5, 0.7), (0.5, 0.6)], 1),
        ([(0.1, 0.5), (0.9, 0.8), (0.1, 0.7), (0.1, 0.6)], 1),
        ([(0.5, 0.8), (0.4, 0.8), (0.6, 0.8), (0.5, 0.1)], 1),
        ([(0.5, 0.8), (0.5, 0.8), (0.5, 0.8), (0.5, 0.8)], 0),
        ([(0.5, 0.1), (0.5, 0.2), (0.5, 0.3), (0.5, 0.4)], 3),
    ],
    ids=["highest accuracy", "accuracy before loss", "equal accuracy, lowest loss", "all equal, the first", "last"],
)
def test_topology_and_weights_of_the_best_epoch_are_kept_together(loss_and_accuracy, best, monkeypatch):
    evolved = [(0.0, 1.0)] * 3  # what is measured right after an evolution must not count
    answers = iter([x for pair in zip(loss_and_accuracy, [*evolved, None], strict=True) for x in pair][:-1])
    monkeypatch.setattr(classification, "evaluate", lambda *_: next(answers))
    state, tokens, labels = begin()
    after = []
    train(
        state,
        TrainingSettings(n_epochs=4, batch_size=4),
        tokens,
        labels,
        (tokens, labels),
        after_epoch=lambda state: after.append(state.network.copy()),
    )
    assert state.best_epoch == best
    assert_same_network(state.best_network, after[best])


def test_without_a_validation_split_the_last_epoch_is_best():
    clf = classifier(validation_fraction=0).fit(TEXTS, LABELS)
    assert clf.best_epoch_ == 2
    assert_same_network(clf.network_, clf.training_state_.network)
    assert clf.history_["validation_loss"] == clf.history_["validation_accuracy"] == [None] * 3


# The history


@pytest.mark.parametrize("connectivity", ["set", "static", "dense"])
def test_the_history_has_one_entry_per_epoch_and_one_per_evolution(connectivity):
    history = classifier(connectivity=connectivity, n_epochs=4).fit(TEXTS, LABELS).history_
    per_epoch = {"train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "gate_counts", "seconds"}
    per_evolution = {"set_steps", "evolved_at", "validation_loss_evolved"}
    assert history.keys() == per_epoch | per_evolution
    assert {len(history[key]) for key in per_epoch} == {4}
    assert {len(history[key]) for key in per_evolution} == {3 if connectivity == "set" else 0}


def test_the_history_holds_plain_finite_numbers_in_their_ranges():
    history = classifier().fit(TEXTS, LABELS).history_
    for key in ("train_loss", "validation_loss", "validation_loss_evolved", "seconds"):
        assert all(type(x) is float and 0 <= x < np.inf for x in history[key]), key
    for key in ("train_accuracy", "validation_accuracy"):
        assert all(type(x) is float and 0 <= x <= 1 for x in history[key]), key


def test_gate_counts_add_up_to_the_connections_of_each_epoch():
    state, tokens, labels = begin()
    cols = []
    train(
        state,
        TrainingSettings(n_epochs=3, batch_size=4),
        tokens,
        labels,
        after_epoch=lambda state: cols.append({name: state.network.parameters[name].cols for name in ("W_x", "W_h")}),
    )
    for counts, cols_of_epoch in zip(state.history["gate_counts"], cols, strict=True):
        for name in ("W_x", "W_h"):
            by_hand = {gate: int((cols_of_epoch[name] // 5 == k).sum()) for k, gate in enumerate(GATES)}
            assert counts[name] == by_hand


def test_gate_counts_of_a_dense_network_are_all_cells():
    history = classifier(connectivity="dense", n_epochs=1).fit(TEXTS, LABELS).history_
    assert history["gate_counts"] == [{"W_x": dict.fromkeys(GATES, 8 * 6), "W_h": dict.fromkeys(GATES, 6 * 6)}]


@pytest.mark.parametrize("saved", [False, True], ids=["in memory", "saved and loaded"])
def test_replaying_the_set_steps_from_the_initial_topologies_gives_the_final_ones(saved, tmp_path):
    clf = classifier(n_epochs=4).fit(TEXTS, LABELS)
    if saved:
        clf = reloaded(clf, tmp_path / "model.npz")
    state = clf.training_state_
    for name in SPARSE:
        steps = [step[name] for step in clf.history_["set_steps"]]
        topologies = replay(state.initial_topologies[name], steps)
        assert np.array_equal(topologies[-1].keys, state.network.parameters[name].topology.keys)
        assert np.array_equal(topologies[clf.best_epoch_].keys, clf.network_.parameters[name].topology.keys)


# Connections


@pytest.mark.parametrize("prune_rule", ["sign", "magnitude"])
@pytest.mark.parametrize("growth", ["zero", "random", "gradient"])
def test_the_number_of_connections_is_constant_over_the_whole_training(prune_rule, growth):
    state, tokens, labels = begin()
    expected = {name: state.network.parameters[name].nnz for name in SPARSE}
    seen = []
    settings = TrainingSettings(n_epochs=6, batch_size=4, zeta=0.5, prune_rule=prune_rule, growth=growth)
    train(
        state,
        settings,
        tokens,
        labels,
        after_epoch=lambda state: seen.append({name: state.network.parameters[name].nnz for name in SPARSE}),
    )
    assert seen == [expected] * 6


def test_every_epoch_between_the_first_and_the_last_changes_the_topology():
    state, tokens, labels = begin()
    seen = []
    train(
        state,
        TrainingSettings(n_epochs=4, batch_size=4),
        tokens,
        labels,
        after_epoch=lambda state: seen.append(state.network.parameters["W_h"].topology.keys),
    )
    assert all(not np.array_equal(before, after) for before, after in zip(seen, seen[1:], strict=False))


def test_the_padding_word_never_gets_a_connection():
    state, tokens, labels = begin()
    rows = []
    train(
        state,
        TrainingSettings(n_epochs=8, batch_size=4, zeta=1.0),
        tokens,
        labels,
        after_epoch=lambda state: rows.append(state.network.parameters["E"].rows.min()),
    )
    assert len(rows) == 8 and min(rows) > 0


def test_the_padding_word_of_a_dense_network_stays_zero():
    clf = classifier(connectivity="dense").fit(TEXTS, LABELS)
    assert not clf.network_.parameters["E"][0].any()


def test_static_never_changes_its_topology_but_learns_its_weights():
    clf = classifier(connectivity="static").fit(TEXTS, LABELS)
    state, untrained = clf.training_state_, initial_state(clf, len(clf.vocabulary_), 2).network
    for name in SPARSE:
        W = state.network.parameters[name]
        assert np.array_equal(W.topology.keys, state.initial_topologies[name].keys)
        assert not np.array_equal(W.values, untrained.parameters[name].values)


def test_set_and_static_start_from_the_same_network():
    evolved, static = (initial_state(classifier(connectivity=c), 30, 2).network for c in ("set", "static"))
    assert_same_network(evolved, static)


def test_zeta_zero_is_static():
    clf = classifier(zeta=0).fit(TEXTS, LABELS)
    static = classifier(connectivity="static").fit(TEXTS, LABELS)
    assert_same_network(clf.network_, static.network_)


@pytest.mark.parametrize("optimizer", [Adam, SGD])
def test_the_optimizers_state_follows_the_connections(optimizer):
    state, tokens, labels = begin(optimizer=optimizer)
    train(state, TrainingSettings(n_epochs=1, batch_size=4), tokens, labels)
    before = {name: dict(quantities) for name, quantities in state.optimizer.state.items()}
    keys_before = {name: state.network.parameters[name].topology.keys for name in SPARSE}
    steps = evolve(state, TrainingSettings())
    assert steps.keys() == set(SPARSE)
    for name in SPARSE:
        keys_after = state.network.parameters[name].topology.keys
        grown = np.zeros(len(keys_after), bool)
        grown[steps[name].grown] = True
        assert grown.any() and not grown.all()
        positions = np.searchsorted(keys_before[name], keys_after[~grown])  # by cell, not through SetStep
        assert np.array_equal(keys_before[name][positions], keys_after[~grown])
        for quantity, after in state.optimizer.state[name].items():
            assert bits(after[~grown]) == bits(before[name][quantity][positions]), f"{quantity} of {name}"
            assert not after[grown].any(), f"{quantity} of {name}"
    for name in ("b", "W_out", "b_out"):
        for quantity, after in state.optimizer.state[name].items():
            assert after is before[name][quantity]


@pytest.mark.parametrize("growth", ["zero", "random"])
def test_growth_decides_where_new_connections_start(growth):
    state, *_ = begin()
    steps = evolve(state, TrainingSettings(growth=growth))
    for name in SPARSE:
        new = state.network.parameters[name].values[steps[name].grown]
        assert len(new) and new.any() == (growth == "random")


# Growth by the gradient


def mean_loss(network, tokens, labels, parameters):
    logits, _ = network.forward(tokens, parameters=parameters, keep=False)
    return cross_entropy_forward(logits, labels)[0]


def test_gradient_sizes_are_those_of_the_dense_gradient_by_finite_differences():
    state, tokens, labels = begin(embedding_dropout=0.5, dropout=0.5)
    sizes = gradient_sizes(state.network, tokens, labels, 4, state.streams["topology"])  # of 4, 4 and 2 texts
    dense = {name: W.toarray() if name in SPARSE else W for name, W in state.network.parameters.items()}
    assert sizes.keys() == set(SPARSE)
    fd_step = 1e-5
    for name in SPARSE:
        assert sizes[name].shape == dense[name].shape
        expected = np.zeros_like(dense[name])
        for cell in np.ndindex(expected.shape):
            if name == "E" and cell[0] == 0:
                continue  # the padding word
            W = dense[name].copy()
            losses = []
            for sign in (1, -1):
                W[cell] = dense[name][cell] + sign * fd_step
                losses.append(mean_loss(state.network, tokens, labels, dense | {name: W}))
            expected[cell] = abs(losses[0] - losses[1]) / (2 * fd_step)
        np.testing.assert_allclose(sizes[name], expected, rtol=0, atol=1e-8 * expected.max())


def test_gradient_sizes_do_not_depend_on_how_many_texts_are_looked_at_at_once(monkeypatch):
    state, tokens, labels = begin()
    H, weights = state.network.parameters["W_h"].shape[0], np.linspace(0.5, 1.5, len(tokens))
    given = state.network, tokens, labels, 4
    expected = gradient_sizes(*given, np.random.default_rng(0), weights)
    looked_at = []
    forward = state.network.engine.forward
    monkeypatch.setattr(state.network.engine, "forward",
                        lambda p, t, *args, **kw: looked_at.append(len(t)) or forward(p, t, *args, **kw))  # fmt: skip
    monkeypatch.setattr("numpy_setlstm.evolution.GRADIENT_STATES", 3 * H * tokens.shape[1])
    found = gradient_sizes(*given, np.random.default_rng(0), weights)
    assert max(looked_at) == 3
    for name, sizes in found.items():
        np.testing.assert_allclose(sizes, expected[name], rtol=1e-10, atol=1e-15)


def test_gradient_sizes_of_words_that_do_not_occur_and_of_the_padding_are_zero():
    state, tokens, labels = begin()
    tokens[tokens == 7] = 8
    sizes = gradient_sizes(state.network, tokens, labels, 64, state.streams["topology"])["E"]
    assert not sizes[0].any() and not sizes[7].any() and sizes[8].all()


def test_gradient_growth_goes_by_as_many_texts_as_it_says():
    state, tokens, labels = begin(n_texts=40)
    seen = []
    step = state.network.backpropagate

    def recording(tokens, *rest, **options):
        seen.append(len(tokens))
        return step(tokens, *rest, **options)

    state.network.backpropagate = recording
    gradient_sizes(state.network, tokens, labels, 3, state.streams["topology"])
    assert seen == [3] * GRADIENT_BATCHES


@pytest.mark.parametrize("prune_rule", ["sign", "magnitude"])
def test_gradient_growth_takes_the_cells_that_sorting_would(prune_rule):
    state, tokens, labels = begin()
    settings = TrainingSettings(growth="gradient", prune_rule=prune_rule)
    topology_stream = copy.deepcopy(state.streams["topology"])
    sizes = gradient_sizes(state.network.copy(), tokens, labels, settings.batch_size, topology_stream)
    before = {name: state.network.parameters[name] for name in SPARSE}
    steps = evolve(state, settings, tokens, labels)
    for name in SPARSE:
        W, step = before[name], steps[name]
        kept = np.delete(W.topology.keys, prune(W, settings.zeta, prune_rule))
        order = np.argsort(-sizes[name].ravel(), kind="stable")
        free = order[~np.isin(order, kept)]
        keys = step.grown_cells[0].astype(int) * W.shape[1] + step.grown_cells[1]
        assert len(keys) and keys.tolist() == sorted(free[: len(keys)].tolist())
        assert not state.network.parameters[name].values[step.grown].any()
        assert state.network.parameters[name].nnz == W.nnz


def test_resuming_is_exact_with_gradient_growth_and_a_cosine(monkeypatch, tmp_path):
    parameters = {"growth": "gradient", "zeta_schedule": "cosine", "n_epochs": 4, "zeta": 0.5}
    in_one_go = classifier(**parameters).fit(TEXTS, LABELS)
    for call in (3, 5, 8, 13):
        with monkeypatch.context() as patch:
            press_ctrl_c(patch, "clip_by_norm", [call])
            clf = fit_interrupted(classifier(**parameters))
        clf = reloaded(clf, tmp_path / "model.npz").fit(TEXTS, LABELS, resume=True)
        assert_same_training(clf, in_one_go)


# Growth by the gradient among candidates


ALL_CELLS = 10**6  # candidates per connection to grow: more than there are cells


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_the_scores_of_candidates_are_those_of_the_dense_gradient(engine):
    state, tokens, labels = begin(embedding_dropout=0.5, dropout=0.5, engine=engine)
    tokens[tokens == 7] = 8  # a word that does not occur
    streams = [copy.deepcopy(state.streams["topology"]) for _ in range(2)]
    probe = with_candidates(TrainingSettings(candidates=2), 0.3, state.streams["topology"])
    sparse = gradient_sizes(state.network, tokens, labels, 4, streams[0], probe=probe)
    dense = gradient_sizes(state.network, tokens, labels, 4, streams[1])
    for name, scores in sparse.items():
        np.testing.assert_allclose(scores.values, dense[name][scores.rows, scores.cols], rtol=1e-10)
        W = state.network.parameters[name]
        candidates = np.setdiff1d(scores.topology.keys, W.topology.keys)
        if name == "E":
            words = np.unique(tokens[tokens != 0])
            assert scores.rows.tolist() == np.repeat(words, W.shape[1]).tolist()
        else:
            assert 0 < len(candidates) <= 2 * len(prune(W, 0.3)) < W.size - W.nnz


def test_with_all_cells_as_candidates_the_same_cells_grow_as_without():
    grown = []
    for candidates in (None, ALL_CELLS):
        state, tokens, labels = begin()
        steps = evolve(state, TrainingSettings(growth="gradient", candidates=candidates, zeta=0.3), tokens, labels)
        grown.append({name: step.grown_cells.tolist() for name, step in steps.items()})
    assert grown[0] == grown[1]


def test_of_more_candidates_those_with_larger_gradients_grow():
    sizes = {}
    for candidates in (1, 3, 10):
        for seed in range(20):
            state, tokens, labels = begin()
            state.streams["topology"] = np.random.default_rng(seed)
            dense = gradient_sizes(state.network.copy(), tokens, labels, 64, np.random.default_rng(0))["W_h"]
            step = evolve(state, TrainingSettings(growth="gradient", candidates=candidates, zeta=0.3), tokens, labels)
            sizes[candidates] = sizes.get(candidates, 0) + dense[tuple(step["W_h"].grown_cells)].sum()
    assert sizes[1] < sizes[3] < sizes[10]


def test_gradient_growth_among_candidates_needs_no_array_of_the_full_size():
    sizes = NetworkSizes(n_words=1_000_000, embedding_dim=64, hidden_size=64, n_classes=2)
    network = init_network(sizes, *np.random.default_rng(0).spawn(2), er_epsilon=0.05)
    streams = split_streams(np.random.default_rng(1))
    state = TrainingState.start(network, Adam(network.parameters, 0.01), streams)
    tokens = np.random.default_rng(2).integers(1, sizes.n_words, size=(20, 10))
    tracemalloc.start()
    evolve(state, TrainingSettings(growth="gradient", candidates=10, batch_size=10), tokens, np.arange(20) % 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * sizes.n_words * sizes.embedding_dim / 2, "half of a dense E"


def test_each_matrix_may_grow_by_a_rule_of_its_own():
    state, tokens, labels = begin()
    growth = {"E": "gradient", "W_x": "random"}
    steps = evolve(state, TrainingSettings(growth=growth, candidates=1, zeta=0.3), tokens, labels)
    values = {name: state.network.parameters[name].values[step.grown] for name, step in steps.items()}
    assert values["W_x"].all() and not values["E"].any() and not values["W_h"].any()
    assert np.isin(steps["E"].grown_cells[0], tokens).all()  # words that occur


def test_a_rule_of_growth_for_an_unknown_matrix_is_refused():
    with pytest.raises(ValueError, match=r"growth has rules for \['W'\]; expected E, W_x and W_h at most"):
        classifier(growth={"W": "zero"}).fit(TEXTS, LABELS)
    with pytest.raises(ValueError, match=r"growth\['E'\] is 'rigl'; expected one of 'zero', 'random', 'gradient'"):
        classifier(growth={"E": "rigl"}).fit(TEXTS, LABELS)


# When to evolve


def test_evolution_by_the_minibatch_counts_through_epochs_and_not_at_the_end():
    clf = classifier(n_epochs=3, evolve_every=3).fit(TEXTS, LABELS)
    per_epoch = clf.training_state_.n_updates // 3
    updates = [epoch * per_epoch + batch for epoch, batch in clf.history_["evolved_at"]]
    assert per_epoch % 3 and updates == list(range(3, 3 * per_epoch, 3))
    assert clf.history_["validation_loss_evolved"] == [None] * len(updates)
    assert len(clf.history_["set_steps"]) == len(updates)


def test_every_epoch_is_evolution_by_as_many_minibatches():
    by_epoch = classifier(n_epochs=3).fit(TEXTS, LABELS)
    per_epoch = by_epoch.training_state_.n_updates // 3
    by_minibatch = classifier(n_epochs=3, evolve_every=per_epoch).fit(TEXTS, LABELS)
    assert by_epoch.history_["evolved_at"] == by_minibatch.history_["evolved_at"] == [[1, 0], [2, 0]]
    np.testing.assert_array_equal(by_epoch.predict_proba(TEXTS), by_minibatch.predict_proba(TEXTS))


@pytest.mark.parametrize(
    "limits, evolved", [({"evolve_from": 2}, [2, 3, 4]), ({"evolve_until": 3}, [1, 2, 3]), ({"evolve_until": 0.9}, [])]
)
def test_evolution_begins_and_ends_when_it_is_told_to(limits, evolved):
    clf = classifier(n_epochs=5, **limits).fit(TEXTS, LABELS)
    assert clf.history_["evolved_at"] == [[epoch, 0] for epoch in evolved]


def test_a_cosine_ends_with_the_last_evolution():
    settings = TrainingSettings(n_epochs=4, zeta_schedule="cosine", evolve_every=5, evolve_from=1, evolve_until=3)
    n = count_evolutions(settings, per_epoch=10)
    assert n == 5  # before minibatches 10, 15, 20, 25 and 30
    clf = classifier(n_epochs=4, zeta=0.5, evolve_every=2, evolve_until=2, zeta_schedule="cosine").fit(TEXTS, LABELS)
    turnovers = [steps["W_h"].turnover for steps in clf.history_["set_steps"]]
    assert turnovers[0] == pytest.approx(0.5, abs=0.02) and turnovers == sorted(turnovers, reverse=True)
    assert turnovers[-1] < 0.5 / 4


def test_resuming_is_exact_when_evolution_goes_by_the_minibatch(monkeypatch, tmp_path):
    parameters = {"growth": "gradient", "candidates": 2, "evolve_every": 3, "n_epochs": 3, "zeta": 0.3}
    in_one_go = classifier(**parameters).fit(TEXTS, LABELS)
    for call in (2, 3, 4, 6, 9, 10):
        with monkeypatch.context() as patch:
            press_ctrl_c(patch, "clip_by_norm", [call])
            clf = fit_interrupted(classifier(**parameters))
        clf = reloaded(clf, tmp_path / "model.npz").fit(TEXTS, LABELS, resume=True)
        assert_same_training(clf, in_one_go)


def test_partial_fit_counts_minibatches_through_its_calls():
    clf = classifier(validation_fraction=0, evolve_every=4)
    for _ in range(3):
        clf.partial_fit(TEXTS[:20], LABELS[:20], classes=np.unique(LABELS))
    n = clf.training_state_.n_updates
    assert len(clf.history_["set_steps"]) == (n - 1) // 4


# The fraction that is replaced


def test_a_cosine_falls_from_zeta_to_almost_nothing():
    settings = TrainingSettings(n_epochs=9, zeta=0.4, zeta_schedule="cosine")
    zetas = [zeta_of(settings, k) for k in range(8)]
    assert zetas[0] == 0.4 and zetas[4] == pytest.approx(0.2) and zetas[7] == pytest.approx(0.01522, abs=1e-5)
    assert np.all(np.diff(zetas) < 0)
    assert zeta_of(TrainingSettings(n_epochs=2, zeta=0.4, zeta_schedule="cosine"), 0) == 0.4
    assert [zeta_of(TrainingSettings(n_epochs=9, zeta=0.4), k) for k in range(8)] == [0.4] * 8


def test_each_evolution_replaces_what_the_schedule_says():
    clf = classifier(n_epochs=5, zeta=0.5, zeta_schedule="cosine", prune_rule="magnitude").fit(TEXTS, LABELS)
    nnz = clf.network_.parameters["E"].nnz
    pruned = [len(steps["E"].pruned) for steps in clf.history_["set_steps"]]
    assert pruned == [int(nnz * 0.25 * (1 + np.cos(np.pi * k / 4))) for k in range(4)]


def test_with_a_cosine_the_number_of_epochs_is_settled_when_training_begins():
    clf = classifier(n_epochs=3, zeta_schedule="cosine").fit(TEXTS, LABELS)
    clf.set_params(n_epochs=4)
    with pytest.raises(
        ValueError, match="n_epochs was 3 when training began and is 4 now; with zeta_schedule='cosine'"
    ):
        clf.fit(TEXTS, LABELS, resume=True)
    static = classifier(connectivity="static", n_epochs=3, zeta_schedule="cosine").fit(TEXTS, LABELS)
    static.set_params(n_epochs=4).fit(TEXTS, LABELS, resume=True)  # which has nothing to replace
    assert len(static.history_["train_loss"]) == 4


# Divergence


def make_norm_nan(monkeypatch, minibatch):
    """Let the gradients' norm be NaN in one minibatch, counted from 0 over the whole training."""
    count = [0]

    def diverging(gradients, max_norm):
        clipped, norm = clip_by_norm(gradients, max_norm)
        count[0] += 1
        return clipped, np.nan if count[0] == minibatch + 1 else norm

    monkeypatch.setattr(training, "clip_by_norm", diverging)


def test_divergence_says_where_and_what_to_do(monkeypatch):
    make_norm_nan(monkeypatch, 5)
    with pytest.raises(FloatingPointError, match="gradient nan in minibatch 2 of epoch 2: .*lower the learning rates"):
        classifier().fit(TEXTS, LABELS)


def test_divergence_leaves_the_best_epoch_usable(monkeypatch):
    expected = classifier(n_epochs=1).fit(TEXTS, LABELS)
    clf = classifier()
    make_norm_nan(monkeypatch, 5)
    with pytest.raises(FloatingPointError):
        clf.fit(TEXTS, LABELS)
    assert clf.best_epoch_ == 0
    assert_same_network(clf.network_, expected.network_)
    assert np.array_equal(clf.predict(TEXTS), expected.predict(TEXTS))


@pytest.mark.parametrize("dropout", [0.0, 0.2], ids=["without dropout", "with dropout"])
def test_divergence_leaves_the_state_of_before_the_minibatch(dropout, monkeypatch):
    expected = classifier(dropout=dropout, embedding_dropout=dropout).fit(TEXTS, LABELS)
    clf = classifier(dropout=dropout, embedding_dropout=dropout)
    with monkeypatch.context() as patch:
        make_norm_nan(patch, 5)
        with pytest.raises(FloatingPointError):
            clf.fit(TEXTS, LABELS)
    assert_same_training(clf.fit(TEXTS, LABELS, resume=True), expected)


def test_divergence_in_the_last_minibatch_of_an_epoch_spares_the_best_network(monkeypatch):
    expected = classifier(n_epochs=1, validation_fraction=0).fit(TEXTS, LABELS)
    clf, update, updates = classifier(validation_fraction=0), FastAdam.update, [0]
    per_epoch = -(-len(TEXTS) // clf.batch_size)

    def diverging(optimizer, parameters, gradients, rate_factor):
        update(optimizer, parameters, gradients, rate_factor)
        updates[0] += 1
        if updates[0] == 2 * per_epoch:
            parameters["b"][0] = np.inf

    monkeypatch.setattr(FastAdam, "update", diverging)
    with pytest.raises(FloatingPointError, match="b is no longer finite at the end of epoch 2: .* lower the learning"):
        clf.fit(TEXTS, LABELS)
    assert clf.best_epoch_ == 0
    assert_same_network(clf.network_, expected.network_)


@pytest.mark.parametrize("connectivity", ["set", "dense"])
def test_learning_rates_that_are_far_too_high_end_in_an_error_that_says_so(connectivity):
    rates = {"learning_rate": 1e38, "embedding_learning_rate": 1e38, "max_norm": float("inf")}
    with pytest.raises(FloatingPointError, match="lower the learning rates"):
        classifier(connectivity=connectivity, optimizer="sgd", **rates).fit(TEXTS, LABELS)


# Ctrl-C


def test_ctrl_c_leaves_a_fitted_model_of_the_best_epoch_so_far(monkeypatch):
    after_one_epoch = classifier(n_epochs=1).fit(TEXTS, LABELS)
    press_ctrl_c(monkeypatch, "clip_by_norm", [5])
    clf = fit_interrupted(classifier())
    assert clf.best_epoch_ == 0 and len(clf.history_["train_loss"]) == 1
    assert np.array_equal(clf.predict_proba(TEXTS), after_one_epoch.predict_proba(TEXTS))


def test_ctrl_c_before_the_first_epoch_has_ended_leaves_a_usable_model(monkeypatch):
    press_ctrl_c(monkeypatch, "clip_by_norm", [1])
    clf = fit_interrupted(classifier())
    assert clf.best_epoch_ == -1 and clf.history_["train_loss"] == []
    assert set(clf.predict(TEXTS)) <= {0, 1}
    assert clf.n_parameters_ < clf.n_dense_parameters_


def test_the_warning_says_in_which_epoch_and_how_to_go_on(monkeypatch):
    press_ctrl_c(monkeypatch, "clip_by_norm", [5])
    with pytest.warns(UserWarning, match=r"epoch 2 of 3; .*fit\(X, y, resume=True\)") as record:
        classifier().fit(TEXTS, LABELS)
    assert record[0].filename == __file__  # the line of the reader's own that called fit


def test_ctrl_c_from_another_thread_stops_after_the_minibatch(monkeypatch):
    pressed = threading.Event()

    def press():
        os.kill(os.getpid(), signal.SIGINT)
        pressed.set()

    def clip(gradients, max_norm):
        if not pressed.is_set():
            thread = threading.Thread(target=press)
            thread.start()
            thread.join()
        return gradients, 1.0

    monkeypatch.setattr(training, "clip_by_norm", clip)
    clf = fit_interrupted(classifier())
    assert (clf.training_state_.epoch, clf.training_state_.batch) == (0, 1)


def test_a_second_ctrl_c_raises(monkeypatch):
    press_ctrl_c(monkeypatch, "clip_by_norm", [5], times=2)
    clf = classifier()
    with pytest.raises(KeyboardInterrupt):
        clf.fit(TEXTS, LABELS)
    assert clf.best_epoch_ == 0
    assert set(clf.predict(TEXTS)) <= {0, 1}


@pytest.mark.parametrize(("function", "call"), [("clip_by_norm", 5), ("evolve", 0), ("evaluate", 0)])
def test_after_a_second_ctrl_c_resuming_is_exact_or_refused(function, call, monkeypatch):
    in_one_go = classifier().fit(TEXTS, LABELS)
    clf = classifier()
    with monkeypatch.context() as patch:
        press_ctrl_c(patch, function, [call], times=2)
        with pytest.raises(KeyboardInterrupt):
            clf.fit(TEXTS, LABELS)
    try:
        clf.fit(TEXTS, LABELS, resume=True)
    except ValueError as error:
        assert "interrupted" in str(error)
    else:
        assert_same_training(clf, in_one_go)


@pytest.mark.parametrize("end", ["finished", "interrupted", "interrupted twice", "diverged"])
def test_the_signal_handler_is_restored(end, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    clf = classifier()
    if end == "finished":
        clf.fit(TEXTS, LABELS)
    elif end == "interrupted":
        press_ctrl_c(monkeypatch, "clip_by_norm", [1])
        fit_interrupted(clf)
    elif end == "interrupted twice":
        press_ctrl_c(monkeypatch, "clip_by_norm", [1], times=2)
        with pytest.raises(KeyboardInterrupt):
            clf.fit(TEXTS, LABELS)
    else:
        make_norm_nan(monkeypatch, 1)
        with pytest.raises(FloatingPointError):
            clf.fit(TEXTS, LABELS)
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_somebody_elses_signal_handler_is_left_alone(monkeypatch):
    received = []
    before = signal.signal(signal.SIGINT, lambda *_: received.append("theirs"))
    try:
        press_ctrl_c(monkeypatch, "clip_by_norm", [1])
        clf = classifier().fit(TEXTS, LABELS)
    finally:
        signal.signal(signal.SIGINT, before)
    assert received == ["theirs"] and not clf.training_state_.interrupted


def test_training_in_another_thread_gives_the_same_bits():
    clf = classifier()
    thread = threading.Thread(target=clf.fit, args=(TEXTS, LABELS))
    thread.start()
    thread.join()
    assert_same_training(clf, classifier().fit(TEXTS, LABELS))


# The progress bar


@pytest.mark.parametrize("progress", [False, True])
def test_nothing_is_printed_where_there_is_no_terminal(progress, capfd):
    classifier(progress=progress).fit(TEXTS, LABELS)
    assert capfd.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_the_bar_counts_minibatches_and_shows_loss_and_accuracy(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    clf = classifier(progress=True).fit(TEXTS, LABELS)
    assert "12/12" in terminal.getvalue()
    assert f"loss {clf.history_['train_loss'][-1]:.3f}, validation accuracy" in terminal.getvalue()


def test_on_a_terminal_without_progress_nothing_is_printed(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    classifier().fit(TEXTS, LABELS)
    assert terminal.getvalue() == ""


# Early stopping


def worse_after(monkeypatch, best):
    """Validation accuracies that rise until the epoch `best` and fall from then on."""
    epochs = iter(range(100))

    def made_up(network, tokens, labels, batch_size=256):
        epoch = next(epochs)
        return 1.0, 0.5 - 0.01 * abs(epoch - best)

    monkeypatch.setattr(classification, "evaluate", made_up)


@pytest.mark.parametrize("patience, n_trained", [(1, 4), (2, 5), (100, 8), (None, 8)])
def test_training_stops_after_as_many_epochs_without_a_better_one(monkeypatch, patience, n_trained):
    worse_after(monkeypatch, best=2)
    clf = classifier(n_epochs=8, patience=patience, connectivity="static").fit(TEXTS, LABELS)
    assert len(clf.history_["validation_accuracy"]) == n_trained and clf.best_epoch_ == 2


def test_more_patience_goes_on_where_less_had_stopped():
    def fit(**parameters):
        return classifier(n_epochs=6, learning_rate=0.0, embedding_learning_rate=0.0, **parameters).fit(TEXTS, LABELS)

    stopped = fit(connectivity="static", patience=2)  # without learning, no epoch is better than the first
    assert len(stopped.history_["train_loss"]) == 3
    whole = fit(connectivity="static", patience=5)
    stopped.set_params(patience=5).fit(TEXTS, LABELS, resume=True)
    assert stopped.history_["train_loss"] == whole.history_["train_loss"] and len(whole.history_["train_loss"]) == 6


def test_patience_needs_texts_to_judge_by():
    with pytest.raises(ValueError, match="patience is 3, and validation_fraction 0 leaves no texts"):
        classifier(patience=3, validation_fraction=0).fit(TEXTS, LABELS)
