"""The rivals: how they differ, how large they are, and that resuming changes no bit."""

import os
import signal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from numpy_setlstm import SetLSTMClassifier, SparseMatrix, classification, training
from numpy_setlstm.initialization import NetworkSizes, init_network
from numpy_setlstm.lab.rivals import RIVALS, fit_rival, pretraining_of, prune_to_counts, small_dense_sizes
from numpy_setlstm.recipe import DENSE_RECIPE, SPARSE_RECIPE
from numpy_setlstm.sparse import weights_of
from numpy_setlstm.units import remove_units

SPARSE = ("E", "W_x", "W_h")
OF_THE_PAPERS_SIZE = NetworkSizes(n_words=20_000, embedding_dim=256, hidden_size=256, n_classes=2)
SIZES = {"embedding_dim": 8, "hidden_size": 6, "parameter_share": 0.4}
SMALL = SIZES | {"max_length": 8, "batch_size": 16, "random_state": 0}
N_EPOCHS = 3
TWO_STAGES = ("dense-pruned", "set-units")
repeatable = settings(derandomize=True, deadline=None, max_examples=50)


class OnlyParameters:
    """A network for what reads nothing but its parameters, which may then be any."""

    def __init__(self, parameters):
        self.parameters = parameters

    def copy(self):
        return OnlyParameters({name: W.copy() for name, W in self.parameters.items()})


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


TEXTS, LABELS = reviews()


def fit(name, **keywords):
    return fit_rival(name, TEXTS, LABELS, **SMALL | {"n_epochs": N_EPOCHS} | keywords)


def static_network(**parameters):
    return SetLSTMClassifier("static", n_epochs=1, **SMALL | parameters).fit(TEXTS, LABELS).network_


def connections(network):
    return {name: W.nnz for name, W in network.parameters.items() if isinstance(W, SparseMatrix)}


def bits(array):
    return array.dtype.str, np.ascontiguousarray(array).tobytes()


def everything(clf):
    """Every result of training except times, in a form that can be compared."""
    state = clf.training_state_
    networks = [network for network in (state.network, state.best_network, clf.network_) if network is not None]
    optimizer = {name: {q: bits(a) for q, a in state.optimizer.state[name].items()} for name in state.optimizer.state}
    steps = [{name: bits(step.grown_cells) for name, step in steps.items()} for steps in clf.history_["set_steps"]]
    histories = [clf.history_, (pretraining_of(clf) or {}).get("history", {})]
    return {
        "parameters": clf.get_params(),
        "weights": [{name: bits(weights_of(W)) for name, W in network.parameters.items()} for network in networks],
        "cells": [{k: bits(W.topology.keys) for k, W in n.parameters.items() if k in connections(n)} for n in networks],
        "optimizer": optimizer,
        "rates": state.optimizer.learning_rates,
        "streams": {name: rng.bit_generator.state for name, rng in state.streams.items()},
        "steps": steps,
        "histories": [{k: v for k, v in h.items() if k not in ("seconds", "set_steps")} for h in histories],
        "pretraining": {k: v for k, v in (pretraining_of(clf) or {}).items() if k != "history"},
        "best_epoch": clf.best_epoch_,
    }


# How they differ


def test_the_rivals_are_listed_in_order_under_their_names():
    assert list(RIVALS) == [
        "dense",
        "static",
        "static-words",
        "static-frequent",
        "set",
        "set-magnitude",
        "set-gradient",
        "set-cosine",
        "set-guided",
        "dense-small",
        "dense-pruned",
        "set-units",
    ]
    for name, rival in RIVALS.items():
        assert rival.name == name and rival.description and "\n" not in rival.description


def test_set_is_the_estimators_default():
    defaults = SetLSTMClassifier().get_params()
    assert RIVALS["set"].parameters.items() <= defaults.items()


@pytest.mark.parametrize("name", ["set-magnitude", "set-gradient", "set-cosine"])
def test_a_variant_of_set_differs_from_it_in_one_parameter(name):
    assert len(RIVALS[name].parameters.items() - RIVALS["set"].parameters.items()) == 1


@pytest.mark.parametrize("name", [name for name in RIVALS if name not in ("dense-small", *TWO_STAGES)])
def test_a_rival_of_one_stage_is_the_estimator_with_its_parameters(name):
    own = RIVALS[name].defaults | RIVALS[name].parameters
    by_hand = SetLSTMClassifier(**SMALL | {"n_epochs": N_EPOCHS} | own).fit(TEXTS, LABELS)
    assert everything(fit(name)) == everything(by_hand)


def test_the_variants_of_set_start_equal_and_end_different():
    fitted = {name: fit(name) for name in RIVALS if name.startswith("set") and name not in TWO_STAGES}
    first_epochs = [clf.history_["train_loss"][0] for clf in fitted.values()]
    assert len(set(first_epochs)) == 1
    last = {name: bits(clf.training_state_.network.parameters["E"].topology.keys) for name, clf in fitted.items()}
    assert len(set(last.values())) == len(fitted)


@pytest.mark.parametrize("name", RIVALS)
def test_every_rival_learns(name):
    texts, labels = reviews(120)
    rates = {"learning_rate": 0.02, "embedding_learning_rate": 0.05}
    without = {"dropout": 0, "embedding_dropout": 0}
    clf = fit_rival(name, texts, labels, **SMALL | rates | without | {"n_epochs": 20, "hidden_size": 12})
    assert clf.score(texts, labels) > 0.95


# How large


@pytest.mark.parametrize("name", RIVALS)
def test_rivals_have_as_many_connections_or_parameters_as_the_static_network(name):
    clf, sparse = fit(name), static_network()
    if name == "dense":
        assert clf.n_parameters_ == clf.n_dense_parameters_
    elif name == "dense-small":
        assert clf.n_parameters_ == clf.n_dense_parameters_ <= sparse.count_parameters()
    elif name == "set-units":
        assert (clf.hidden_size, clf.embedding_dim) == (5, 6)  # of 6 and 8
        assert clf.n_parameters_ < sparse.count_parameters() and len(connections(clf.network_)) == 3
    else:
        assert connections(clf.network_) == connections(sparse) and len(connections(sparse)) == 3
        assert clf.n_parameters_ == sparse.count_parameters()


def test_at_the_papers_size_rivals_have_less_than_4_percent_and_the_small_one_at_most_1_percent_less():
    er_epsilon = OF_THE_PAPERS_SIZE.er_epsilon_for(SetLSTMClassifier().parameter_share)
    rngs = np.random.default_rng(0), np.random.default_rng(1)
    sparse = init_network(OF_THE_PAPERS_SIZE, *rngs, er_epsilon=er_epsilon)
    dense = init_network(OF_THE_PAPERS_SIZE, *rngs)
    pruned = prune_to_counts(dense, OF_THE_PAPERS_SIZE.connection_counts(er_epsilon))
    n_parameters = sparse.count_parameters()
    assert n_parameters == pruned.count_parameters() < 0.04 * dense.count_parameters()
    share = sparse.parameters["E"].nnz / n_parameters
    small = NetworkSizes(20_000, *small_dense_sizes(20_000, n_parameters, 2, embedding_share=share), 2)
    assert 0.99 * n_parameters < small.dense_parameters <= n_parameters
    assert small.dense_parameters == init_network(small, *rngs).count_parameters()


@repeatable
@given(
    n_words=st.integers(3, 3000),
    n_parameters=st.integers(100, 300_000),
    n_classes=st.integers(2, 6),
    share=st.floats(0.05, 0.95),
)
def test_the_small_network_fits_and_one_more_unit_would_not(n_words, n_parameters, n_classes, share):
    if NetworkSizes(n_words, 1, 1, n_classes).dense_parameters > n_parameters:
        with pytest.raises(ValueError, match=f"only {n_parameters} are allowed: raise parameter_share"):
            small_dense_sizes(n_words, n_parameters, n_classes, embedding_share=share)
        return
    D, H = small_dense_sizes(n_words, n_parameters, n_classes, embedding_share=share)
    assert D >= 1 and H >= 1
    assert NetworkSizes(n_words, D, H, n_classes).dense_parameters <= n_parameters
    assert NetworkSizes(n_words, D, H + 1, n_classes).dense_parameters > n_parameters


def test_the_embeddings_share_decides_its_size():
    sizes = [small_dense_sizes(100, 10_000, 2, embedding_share=share)[0] for share in (0.1, 0.5, 0.9)]
    assert sizes == [10, 50, 90]


def test_the_small_network_makes_room_for_one_unit():
    # Two columns of 1,000 words are nearest to the share, but leave no room for a unit of 4 (2 + 1 + 1) + 4.
    assert small_dense_sizes(1000, 2005, 2, embedding_share=0.99)[0] == 1


# Pruning


def test_pruning_keeps_the_largest_weights_of_each_matrix_as_by_hand():
    rng = np.random.default_rng(0)
    network = init_network(NetworkSizes(9, 4, 3, 2), rng, rng, dtype=np.float64)
    counts = {"E": 11, "W_x": 7, "W_h": 36}
    pruned = prune_to_counts(network, counts)
    for name in ("E", "W_x"):
        W = network.parameters[name]
        limit = np.sort(np.abs(W).ravel())[-counts[name]]
        assert np.array_equal(pruned.parameters[name].toarray(), np.where(np.abs(W) >= limit, W, 0))
    for name in ("W_h", "b", "W_out", "b_out"):  # W_h keeps all
        assert np.array_equal(pruned.parameters[name], network.parameters[name])


@repeatable
@given(
    W=hnp.arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=st.integers(-3, 3).map(float)),
    data=st.data(),
    name=st.sampled_from(["E", "W_h"]),
)
def test_kept_weights_are_never_smaller_than_pruned_ones_and_never_in_the_padding_row(W, data, name):
    padding = 1 if name == "E" else 0
    count = data.draw(st.integers(0, W[padding:].size))
    before = W.copy()
    pruned = prune_to_counts(OnlyParameters({name: W}), {name: count}).parameters[name]
    assert np.array_equal(W, before)
    if count == W.size:
        assert np.array_equal(pruned, W)
        return
    assert pruned.nnz == count and not (pruned.rows < padding).any()
    assert np.array_equal(pruned.values, W[pruned.rows, pruned.cols])
    gone = np.ones(W.shape, bool)
    gone[pruned.rows, pruned.cols] = gone[:padding] = False
    assert np.abs(W[gone]).max(initial=0) <= np.abs(pruned.values).min(initial=np.inf)


def test_of_equal_weights_the_last_are_kept():
    pruned = prune_to_counts(OnlyParameters({"W_h": np.array([[1.0, -1.0, 1.0, 0.5]])}), {"W_h": 2}).parameters["W_h"]
    assert pruned.cols.tolist() == [1, 2]


def test_a_sparse_matrix_is_pruned_among_its_connections():
    W = SparseMatrix((3, 2), [0, 1, 2], [1, 0, 1], [0.5, 0.0, -2.0])
    pruned = prune_to_counts(OnlyParameters({"W_h": W}), {"W_h": 2}).parameters["W_h"]
    assert (pruned.rows.tolist(), pruned.cols.tolist(), pruned.values.tolist()) == ([0, 2], [1, 1], [0.5, -2.0])


def test_changing_the_original_network_does_not_change_the_pruned_one():
    network = OnlyParameters({"W_h": np.ones((2, 2)), "b": np.ones(2)})
    pruned = prune_to_counts(network, {"W_h": 4})
    network.parameters["W_h"][:] = network.parameters["b"][:] = 5
    assert pruned.parameters["W_h"].max() == pruned.parameters["b"].max() == 1


@pytest.mark.parametrize(
    ("W", "counts", "message"),
    [
        (np.ones((2, 2)), {"W_h": 5}, r"counts\['W_h'\] is 5; expected a number from 0 to 4"),
        (np.ones((2, 2)), {"W_h": -1}, r"counts\['W_h'\] is -1; expected"),
        (np.ones((2, 2)), {"W": 1}, "counts has 'W'; expected some of W_h"),
        (np.array([[np.nan, 1.0]]), {"W_h": 1}, "W_h has weights that are NaN or infinite: training has diverged"),
    ],
)
def test_impossible_counts_are_rejected(W, counts, message):
    with pytest.raises(ValueError, match=message):
        prune_to_counts(OnlyParameters({"W_h": W}), counts)


# The pruned network


def test_the_pruned_network_comes_from_the_dense_one():
    dense, pruned = fit("dense"), fit("dense-pruned")
    history = {key: column for key, column in pretraining_of(pruned)["history"].items() if key != "seconds"}
    assert history == {key: dense.history_[key] for key in history}
    assert pretraining_of(pruned)["best_epoch"] == dense.best_epoch_
    expected = prune_to_counts(dense.network_, connections(static_network()))
    for name in SPARSE:
        before = expected.parameters[name].topology.keys
        assert np.array_equal(pruned.training_state_.initial_topologies[name].keys, before)
        assert np.array_equal(pruned.network_.parameters[name].topology.keys, before)


def test_the_pruned_network_is_fine_tuned_with_its_connections_and_the_rate_of_a_sparse_embedding():
    clf = fit("dense-pruned")
    assert clf.connectivity == "static" and clf.history_["set_steps"] == []
    rates = dict.fromkeys(clf.network_.parameters, DENSE_RECIPE.learning_rate)
    assert clf.training_state_.optimizer.learning_rates == rates | {"E": SPARSE_RECIPE.embedding_learning_rate}
    given = fit("dense-pruned", learning_rate=0.25, embedding_learning_rate=0.0)
    assert given.training_state_.optimizer.learning_rates == dict.fromkeys(rates, 0.25) | {"E": 0.0}


@pytest.mark.parametrize(
    ("n_epochs", "finetune_epochs", "expected"), [(4, None, 2), (3, None, 2), (1, None, 1), (1, 3, 3)]
)
def test_how_long_it_is_fine_tuned(n_epochs, finetune_epochs, expected):
    clf = fit("dense-pruned", n_epochs=n_epochs, finetune_epochs=finetune_epochs)
    assert len(clf.history_["train_loss"]) == clf.n_epochs == expected
    assert len(pretraining_of(clf)["history"]["train_loss"]) == n_epochs


def test_the_optimizer_is_fresh_after_pruning():
    clf = fit("dense-pruned")
    n_minibatches = 4 * clf.n_epochs
    assert clf.training_state_.optimizer.state["b"]["age"] == n_minibatches
    assert (clf.training_state_.optimizer.state["W_x"]["age"] == n_minibatches).all()


@pytest.mark.parametrize(
    ("epochs", "best"),
    [
        ([(0.6, 0.8), (0.4, 0.7), (0.3, 0.75)], -1),
        ([(0.5, 0.8), (0.5, 0.8), (0.5, 0.8)], -1),
        ([(0.6, 0.8), (0.49, 0.8), (0.5, 0.8)], 1),
        ([(0.9, 0.7), (0.8, 0.7), (0.7, 0.9)], 2),
    ],
    ids=["only worse", "equal", "a lower loss", "a higher accuracy"],
)
def test_the_network_right_after_pruning_is_the_result_unless_an_epoch_is_better(epochs, best, monkeypatch, tmp_path):
    dense = fit("dense")
    pruned = prune_to_counts(dense.network_, connections(static_network()))
    clf = dense.with_network(pruned, connectivity="static", n_epochs=3, learning_rate=0.1)
    scores = iter([(0.5, 0.8), *epochs])  # loss and accuracy, first those of the network right after pruning
    monkeypatch.setattr(classification, "evaluate", lambda network, *validation: next(scores))
    clf.fit(TEXTS, LABELS, resume=True)
    assert clf.training_state_.first_weights == {"loss": 0.5, "accuracy": 0.8}
    assert clf.best_epoch_ == best
    unchanged = all(
        bits(weights_of(clf.network_.parameters[k])) == bits(weights_of(W)) for k, W in pruned.parameters.items()
    )
    assert unchanged == (best == -1)
    clf.save(tmp_path / "model.npz")
    loaded = SetLSTMClassifier.load(tmp_path / "model.npz")
    assert loaded.best_epoch_ == best and np.array_equal(loaded.predict_proba(TEXTS), clf.predict_proba(TEXTS))


def test_fine_tuning_that_helps_is_kept():
    texts, labels = reviews(300)
    rates = {"learning_rate": 0.02, "embedding_learning_rate": 0.05, "dropout": 0, "embedding_dropout": 0}
    clf = fit_rival("dense-pruned", texts, labels, **SMALL | rates | {"n_epochs": 6})
    assert clf.best_epoch_ >= 0
    best = clf.history_["validation_accuracy"][clf.best_epoch_], -clf.history_["validation_loss"][clf.best_epoch_]
    assert best > (pretraining_of(clf)["validation_accuracy"], -pretraining_of(clf)["validation_loss"])


def test_without_validation_the_last_epoch_of_fine_tuning_is_the_result():
    clf = fit("dense-pruned", validation_fraction=0)
    assert clf.best_epoch_ == clf.n_epochs - 1
    assert pretraining_of(clf)["validation_loss"] is pretraining_of(clf)["validation_accuracy"] is None


def test_the_pruned_network_is_saved_with_the_history_of_the_dense_one(tmp_path):
    clf = fit("dense-pruned")
    clf.save(tmp_path / "model.npz")
    loaded = SetLSTMClassifier.load(tmp_path / "model.npz")
    assert pretraining_of(loaded) == pretraining_of(clf)
    assert np.array_equal(loaded.predict_proba(TEXTS), clf.predict_proba(TEXTS))
    assert connections(loaded.network_) == connections(clf.network_)


def test_a_matrix_that_is_full_in_the_sparse_network_stays_dense():
    parameters = {"er_epsilon": 4.5}  # W_x has 8 x 24 cells, and 4.5 (8 + 24) = 144; W_h 6 x 24, and 4.5 (6 + 24) = 135
    assert connections(fit("dense-pruned", **parameters).network_) == connections(static_network(**parameters))
    parameters = {"er_epsilon": 5}  # 150 of 144
    clf, sparse = fit("dense-pruned", **parameters), static_network(**parameters)
    assert connections(clf.network_) == connections(sparse) and "W_h" not in connections(sparse)


def test_with_network_does_not_change_the_original():
    dense = fit("dense")
    before = everything(dense)
    dense.with_network(dense.network_, n_epochs=2).fit(TEXTS, LABELS, resume=True)
    assert everything(dense) == before


# The network without its weakest units


def test_the_network_without_its_weakest_units_comes_from_the_evolved_one_and_evolves_on():
    evolved, clf = fit("set"), fit("set-units", removed_units=0.5)
    history = {key: column for key, column in pretraining_of(clf)["history"].items() if key != "seconds"}
    assert history == {key: evolved.history_[key] for key in history}
    expected, _ = remove_units(evolved.network_, hidden=0.5, embedding=0.5)
    for name in SPARSE:
        before = expected.parameters[name].topology
        assert np.array_equal(clf.training_state_.initial_topologies[name].keys, before.keys)
        assert clf.network_.parameters[name].shape == before.shape
    assert connections(clf.network_) == connections(expected)
    assert (clf.hidden_size, clf.embedding_dim, clf.connectivity) == (3, 4, "set")
    assert len(clf.history_["set_steps"]) == 1  # between the two epochs of the second stage


def test_another_number_of_removed_units_cannot_be_resumed(tmp_path):
    path = tmp_path / "model.npz"
    fit("set-units", removed_units=0.5, checkpoint_path=path)
    with pytest.raises(ValueError, match="was 4 when training began and is 6 now"):
        fit("set-units", removed_units=0.25, checkpoint_path=path, resume=True)


# Interrupted and resumed, or uninterrupted: the same bits


def press_ctrl_c(monkeypatch, call):
    """Send a real SIGINT at the end of one minibatch, counted from 0 over all that is trained."""
    function, count = training.clip_by_norm, [0]

    def interrupted(*arguments):
        count[0] += 1
        if count[0] == call + 1:
            os.kill(os.getpid(), signal.SIGINT)
        return function(*arguments)

    monkeypatch.setattr(training, "clip_by_norm", interrupted)


# An epoch has four minibatches, so the first stage has twelve, and fine-tuning eight.
PLACES = [(name, minibatch) for name in RIVALS for minibatch in (5, 9)]
PLACES += [(name, minibatch) for name in TWO_STAGES for minibatch in (0, 3, 11, 12, 13, 15, 16, 18)]


@pytest.mark.parametrize(("name", "minibatch"), PLACES)
def test_interrupted_and_resumed_training_equals_uninterrupted_training(name, minibatch, monkeypatch, tmp_path):
    uninterrupted = fit(name)
    path = tmp_path / "model.npz"
    with monkeypatch.context() as patch:
        press_ctrl_c(patch, minibatch)
        with pytest.warns(UserWarning, match="interrupted"):
            stopped = fit(name, checkpoint_path=path)
    assert stopped.training_state_.interrupted
    stopped.predict(TEXTS)
    assert everything(fit(name, checkpoint_path=path, resume=True)) == everything(uninterrupted)


@pytest.mark.parametrize("name", RIVALS)
def test_resuming_from_any_epoch_equals_uninterrupted_training(name, monkeypatch, tmp_path):
    uninterrupted = everything(fit(name))
    path, saved = tmp_path / "model.npz", []
    save = SetLSTMClassifier.save

    def keep(self, checkpoint_path):
        save(self, checkpoint_path)
        saved.append(path.read_bytes())

    with monkeypatch.context() as patch:
        patch.setattr(SetLSTMClassifier, "save", keep)
        fit(name, checkpoint_path=path)
    assert len(saved) == (5 if name in TWO_STAGES else 3)
    for content in saved:
        path.write_bytes(content)
        assert everything(fit(name, checkpoint_path=path, resume=True)) == uninterrupted


@pytest.mark.parametrize("name", ["set-gradient", "dense-pruned", "dense-small", "set-units"])
def test_the_same_seed_gives_the_same_bits_and_saving_changes_nothing(name, tmp_path):
    first = everything(fit(name))
    assert everything(fit(name, checkpoint_path=tmp_path / "model.npz")) == first
    assert everything(fit(name, random_state=1)) != first


def test_resume_starts_if_nothing_was_saved(tmp_path):
    assert everything(fit("set", checkpoint_path=tmp_path / "model.npz", resume=True)) == everything(fit("set"))


@pytest.mark.parametrize("name", TWO_STAGES)
def test_fine_tuning_extended_later_equals_fine_tuning_at_once(name, tmp_path):
    path = tmp_path / "model.npz"
    fit(name, finetune_epochs=1, checkpoint_path=path)
    more = fit(name, finetune_epochs=3, checkpoint_path=path, resume=True)
    assert everything(more) == everything(fit(name, finetune_epochs=3))


# Errors


@pytest.mark.parametrize(
    ("name", "keywords", "message"),
    [
        ("sparse", {}, "there is no rival 'sparse'; expected one of dense, static, static-words, "),
        ("set", {"growth": "random"}, "growth is given, but 'set' always has growth='zero': leave it out"),
        ("dense", {"connectivity": "set"}, "connectivity is given, but 'dense' always has connectivity='dense'"),
        ("set", {"epochs": 3}, "'epochs' is not a parameter of SetLSTMClassifier; expected some of connectivity"),
        ("set", {"zeta": 2}, "zeta is 2; expected a number in"),
        ("set", {"finetune_epochs": 2}, "finetune_epochs is given for 'set', which is not fine-tuned"),
        ("dense-pruned", {"finetune_epochs": 0}, "finetune_epochs is 0; expected a whole number of at least 1"),
        ("dense-pruned", {"finetune_epochs": 1.5}, "finetune_epochs is 1.5; expected a whole number"),
        ("dense-pruned", {"removed_units": 0.5}, "removed_units is given for 'dense-pruned', .* only 'set-units' can"),
        ("set-units", {"removed_units": 1}, "removed_units is 1; expected the fraction of the units to remove"),
        ("dense-pruned", {"resume": True}, "resume needs the checkpoint_path"),
        ("dense-small", {"er_epsilon": 0.01}, "a dense network for .* words and 2 classes has at least"),
        ("dense-small", {"parameter_share": 0.05}, "parameter_share 0.05 allows"),
    ],
)
def test_invalid_arguments_are_rejected(name, keywords, message):
    with pytest.raises(ValueError, match=message):
        fit(name, **keywords)


@pytest.mark.parametrize("share", [-0.5, 1.5, np.nan])
def test_an_embedding_share_out_of_range_is_rejected(share):
    with pytest.raises(ValueError, match="embedding_share is .*; expected a fraction from 0 to 1"):
        small_dense_sizes(100, 10_000, 2, embedding_share=share)


def test_a_saved_model_of_another_rival_is_rejected(tmp_path):
    path = tmp_path / "model.npz"
    fit("set", checkpoint_path=path)
    for name in ("static", "set-cosine", "dense-small", "dense-pruned"):
        with pytest.raises(ValueError, match=r"was .* when training began and is .* now"):
            fit(name, checkpoint_path=path, resume=True)


def test_after_pruning_the_dense_stage_cannot_be_made_longer(tmp_path):
    path = tmp_path / "model.npz"
    fit("dense-pruned", checkpoint_path=path)
    with pytest.raises(ValueError, match="trained for 3 epochs and has been pruned; n_epochs is 5 now: change it back"):
        fit("dense-pruned", n_epochs=5, checkpoint_path=path, resume=True)
