"""Units: how important they are, and that a network without some of them computes what is left of it."""

import re

import numpy as np
import pytest

from numpy_setlstm import SetLSTMClassifier, SparseMatrix, Units, keep_units, remove_units, unit_importance
from numpy_setlstm.initialization import NetworkSizes, init_network
from numpy_setlstm.layers.lstm import lstm_backward, lstm_forward
from numpy_setlstm.network import Network
from numpy_setlstm.parameters import DIRECTIONS, directions_of
from numpy_setlstm.sparse import weights_of

V, D, H, C = 11, 6, 5, 3
KINDS = {"dense": (None, False), "sparse": (1.2, False), "dense, both ends": (None, True), "both ends": (1.2, True)}
TOKENS = np.array([[0, 0, 3, 3, 7, 10], [2, 5, 3, 9, 9, 1], [0, 0, 0, 0, 8, 4], [6, 6, 10, 1, 2, 2]])
TEXTS = [f"{noun} was {'good' if k % 2 else 'bad'}" for k in range(30) for noun in ("plot", "end", "song", "hero")]
LABELS = np.arange(30).repeat(4) % 2
SMALL = {"embedding_dim": 8, "hidden_size": 6, "parameter_share": 0.5, "batch_size": 16, "random_state": 0}
all_kinds = pytest.mark.parametrize("kind", KINDS)


def network_of(kind, **settings):
    er_epsilon, bidirectional = KINDS[kind]
    rngs = np.random.default_rng(0), np.random.default_rng(1)
    network = init_network(
        NetworkSizes(V, D, H, C, bidirectional), *rngs, er_epsilon=er_epsilon, dtype=np.float64, **settings
    )
    for name in ("b", "b_reverse", "b_out"):
        if name in network.parameters:
            network.parameters[name][:] = rngs[1].normal(size=len(network.parameters[name]))
    return network


def full(network):
    """The parameters as full arrays."""
    return {name: W.toarray() if isinstance(W, SparseMatrix) else W for name, W in network.parameters.items()}


def some_units(kind):
    """Some of the units; in each direction others."""
    hidden = [0, 2, 3] if not KINDS[kind][1] else [0, 2, 3, 5 + 1, 5 + 2, 5 + 4]
    return Units(np.array(hidden), np.array([1, 2, 5]))


def without_outgoing(network, units):
    """A copy in which all other units have outgoing connections of 0."""
    network = network.copy()
    kept = {"W_out": units.hidden}
    for k, (W_x, W_h, _) in enumerate(DIRECTIONS.values()):
        kept |= {W_x: units.embedding, W_h: units.hidden[units.hidden // H == k] - k * H}
    for name, rows in kept.items():
        W = network.parameters.get(name)
        if isinstance(W, SparseMatrix):
            W.values[~np.isin(W.rows, rows)] = 0
        elif W is not None:
            W[~np.isin(np.arange(len(W)), rows)] = 0
    return network


# How important they are


@all_kinds
def test_the_importance_is_the_sum_of_absolute_weights_unit_by_unit(kind):
    network = network_of(kind)
    p, importance = full(network), unit_importance(network)
    for k, (W_x, W_h, _) in enumerate(directions_of(p).values()):
        for unit in range(H):
            incoming = sum(np.abs(p[name][:, gate * H + unit]).sum() for name in (W_x, W_h) for gate in range(4))
            outgoing = np.abs(p[W_h][unit]).sum() + np.abs(p["W_out"][k * H + unit]).sum()
            np.testing.assert_allclose(importance.hidden[k * H + unit], incoming + outgoing, rtol=1e-14)
    for dimension in range(D):
        outgoing = sum(np.abs(p[W_x][dimension]).sum() for W_x, _, _ in directions_of(p).values())
        expected = np.abs(p["E"][1:, dimension]).sum() + outgoing
        np.testing.assert_allclose(importance.embedding[dimension], expected, rtol=1e-14)
    assert [scores.shape for scores in importance] == [(H * (1 + KINDS[kind][1]),), (D,)]


def test_the_row_of_the_padding_does_not_count():
    network = network_of("dense")
    before = unit_importance(network).embedding
    network.parameters["E"][0] = 1000
    np.testing.assert_array_equal(unit_importance(network).embedding, before)
    W = SparseMatrix((V, D), [0, 2], [1, 1], [1000.0, 3.0])
    outgoing = np.abs(network.parameters["W_x"][1]).sum()
    embedding = unit_importance(Network(network.parameters | {"E": W})).embedding
    np.testing.assert_allclose(embedding[1], 3 + outgoing, rtol=1e-14)


def test_the_importance_of_float32_weights_is_summed_in_float64():
    network = network_of("dense")
    single = Network({name: W.astype(np.float32) for name, W in network.parameters.items()})
    for scores, exact in zip(unit_importance(single), unit_importance(network), strict=True):
        assert scores.dtype == np.float64
        np.testing.assert_allclose(scores, exact, rtol=1e-6)


# The smaller network


@all_kinds
def test_each_array_is_the_part_of_the_full_one(kind):
    network, units = network_of(kind), some_units(kind)
    small, p = keep_units(network, units), full(network)
    expected = {"E": p["E"][:, units.embedding], "W_out": p["W_out"][units.hidden], "b_out": p["b_out"]}
    for k, (W_x, W_h, b) in enumerate(directions_of(p).values()):
        own = units.hidden[3 * k : 3 * k + 3] - k * H
        columns = [gate * H + unit for gate in range(4) for unit in own]
        expected |= {W_x: p[W_x][units.embedding][:, columns], W_h: p[W_h][own][:, columns], b: p[b][columns]}
    assert list(small.parameters) == list(network.parameters)
    for name, W in full(small).items():
        np.testing.assert_array_equal(W, expected[name], err_msg=name)
        assert type(small.parameters[name]) is type(network.parameters[name])
        assert weights_of(small.parameters[name]).flags.c_contiguous


@all_kinds
@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_its_logits_are_those_of_the_large_one_without_the_outgoing_connections(kind, engine):
    network, units = network_of(kind, engine=engine), some_units(kind)
    expected, _ = without_outgoing(network, units).forward(TOKENS)
    logits, _ = keep_units(network, units).forward(TOKENS)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-14)
    assert np.abs(logits - network.forward(TOKENS)[0]).max() > 0.01  # the others had an effect


@all_kinds
def test_units_without_connections_are_the_weakest_and_leave_no_trace(kind):
    network, units = without_outgoing(network_of(kind), some_units(kind)), some_units(kind)
    for name, W in network.parameters.items():  # nor incoming ones
        if name in ("E", *(W for names in DIRECTIONS.values() for W in names[:2])):
            kept = units.embedding
            if name != "E":
                k = int(name.endswith("_reverse"))
                kept = np.arange(4)[:, None] * H + units.hidden[3 * k : 3 * k + 3] - k * H
            gone = np.setdiff1d(np.arange(W.shape[1]), kept)
            if isinstance(W, SparseMatrix):
                W.values[np.isin(W.cols, gone)] = 0
            else:
                W[:, gone] = 0
    small, kept = remove_units(network, hidden=0.4, embedding=0.5)
    for found, expected in zip(kept, units, strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(small.forward(TOKENS)[0], network.forward(TOKENS)[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize(("share", "n_hidden", "n_dimensions"), [(0, 5, 6), (0.2, 4, 5), (0.29, 4, 5), (0.99, 1, 1)])
def test_how_many_remain(share, n_hidden, n_dimensions):
    small, kept = remove_units(network_of("sparse"), hidden=share, embedding=share)
    assert (len(kept.hidden), len(kept.embedding)) == (n_hidden, n_dimensions)
    sizes = NetworkSizes.of(small)
    assert sizes == NetworkSizes(V, n_dimensions, n_hidden, C)
    assert {name: W.shape for name, W in small.parameters.items()} == sizes.shapes


def test_a_fraction_is_the_decimal_that_was_typed():
    network = init_network(NetworkSizes(V, 2, 100, C), *np.random.default_rng(0).spawn(2))
    assert len(remove_units(network, hidden=0.29)[1].hidden) == 71  # 0.29 · 100 is 28.999... in binary


def test_the_weakest_are_removed_or_those_of_least_importance_given():
    network = network_of("sparse")
    _, kept = remove_units(network, hidden=0.6, embedding=0.5)
    for numbers, scores in zip(kept, unit_importance(network), strict=True):
        np.testing.assert_array_equal(numbers, np.sort(np.argsort(scores)[-len(numbers) :]))
    _, kept = remove_units(network, hidden=0.6, importance=Units([3, 1, 2, 2, 0.5], np.zeros(D)))
    assert kept.hidden.tolist() == [0, 3] and kept.embedding.tolist() == [0, 1, 2, 3, 4, 5]  # of equal ones, the first


def test_each_direction_loses_its_own_weakest():
    importance = Units([9, 1, 8, 2, 7, *[0.1, 0.5, 0.2, 0.4, 0.3]], np.ones(D))
    _, kept = remove_units(network_of("both ends"), hidden=0.4, importance=importance)
    assert kept.hidden.tolist() == [0, 2, 4, 6, 8, 9]


def test_what_belongs_to_the_network_is_kept_and_the_large_one_is_not_changed():
    own = lambda *arguments: lstm_forward(*arguments), lstm_backward
    network = network_of("sparse", embedding_dropout=0.1, dropout=0.2, lstm=own)
    before = {name: W.copy() for name, W in network.parameters.items()}
    small, _ = remove_units(network, hidden=0.4)
    assert (small.embedding_dropout, small.dropout, small.engine) == (0.1, 0.2, network.engine)
    assert small.scales == network.scales
    for name, W in small.parameters.items():
        weights_of(W)[...] = 5
        np.testing.assert_array_equal(weights_of(network.parameters[name]), weights_of(before[name]), err_msg=name)


def test_a_matrix_without_any_connection_left_is_one():
    network = network_of("dense")
    W = SparseMatrix((D, 4 * H), [0], [0], [1.0])
    small = keep_units(Network(network.parameters | {"W_x": W}), Units([1, 2], [0, 3]))
    assert small.parameters["W_x"].nnz == 0 and small.parameters["W_x"].shape == (2, 8)
    assert np.isfinite(small.forward(TOKENS)[0]).all()


# Trained on


def fit(**parameters):
    return SetLSTMClassifier(**SMALL | {"n_epochs": 3} | parameters).fit(TEXTS, LABELS)


@pytest.mark.parametrize("parameters", [{}, {"bidirectional": True}, {"connectivity": "dense"}, {"growth": "random"}])
def test_the_smaller_network_is_trained_on_saved_and_resumed_to_the_same_bits(parameters, tmp_path):
    clf = fit(**parameters)
    small, _ = remove_units(clf.network_, hidden=0.5, embedding=0.25)
    tuned = clf.with_network(small, n_epochs=4)
    assert (tuned.get_params()["hidden_size"], tuned.get_params()["embedding_dim"]) == (3, 6)
    assert clf.hidden_size == 6  # the original is not changed
    assert tuned.n_parameters_ == small.count_parameters() < clf.n_parameters_
    tuned.fit(TEXTS, LABELS, resume=True)
    connections = {name: weights_of(W).shape for name, W in small.parameters.items()}
    assert {name: weights_of(W).shape for name, W in tuned.network_.parameters.items()} == connections
    assert len(tuned.history_["set_steps"]) == (0 if tuned.connectivity == "dense" else 3)
    path = tmp_path / "model.npz"
    clf.with_network(small, n_epochs=2).fit(TEXTS, LABELS, resume=True).save(path)
    resumed = SetLSTMClassifier.load(path).set_params(n_epochs=4).fit(TEXTS, LABELS, resume=True)
    for name, W in tuned.training_state_.network.parameters.items():
        again = resumed.training_state_.network.parameters[name]
        np.testing.assert_array_equal(weights_of(again), weights_of(W), err_msg=name)
        assert not isinstance(W, SparseMatrix) or np.array_equal(again.topology.keys, W.topology.keys)
    np.testing.assert_array_equal(resumed.predict_proba(TEXTS), tuned.predict_proba(TEXTS))


@pytest.mark.parametrize("sizes", [{"n_words": 5}, {"n_classes": 3}])
def test_a_network_for_other_words_or_classes_is_rejected(sizes):
    clf = fit(n_epochs=1)
    own = {"n_words": len(clf.vocabulary_), "n_classes": 2}
    other = init_network(
        NetworkSizes(embedding_dim=4, hidden_size=4, **own | sizes), *np.random.default_rng(0).spawn(2)
    )
    name, count = next(iter(sizes.items()))
    expected = f"the network has {count} {name[2:]}; expected {own[name]}, as this classifier has learnt them"
    with pytest.raises(ValueError, match=re.escape(expected)):
        clf.with_network(other)


def test_sizes_that_are_not_the_networks_are_rejected():
    clf = fit(n_epochs=1)
    with pytest.raises(ValueError, match="hidden_size is 7, but the network has 6: leave it out"):
        clf.with_network(clf.network_, hidden_size=7)
    assert clf.with_network(clf.network_, hidden_size=6).hidden_size == 6
    with pytest.raises(TypeError, match="network is .* expected a Network, such as that of a classifier"):
        clf.with_network(clf.network_.parameters)


# Errors


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"hidden": 1.0},
            ValueError,
            "hidden is 1.0; expected the fraction of the units to remove, at least 0",
        ),
        ({"embedding": -0.1}, ValueError, "embedding is -0.1; expected the fraction"),
        ({"hidden": [0, 1]}, ValueError, "hidden is [0, 1]; expected the fraction"),
        ({"importance": np.ones(5)}, TypeError, "importance is ndarray of shape (5,)"),
        ({"importance": Units(np.ones(4), np.ones(6))}, ValueError, "importance.hidden has shape (4,); expected (5,)"),
        (
            {"importance": Units(np.ones(5), np.full(6, np.nan))},
            ValueError,
            "importance.embedding has numbers that",
        ),
        ({"importance": Units(list("abcde"), np.ones(6))}, TypeError, "importance.hidden is ['a', 'b', 'c', 'd', 'e']"),
        ({"network": {}}, TypeError, "network is {}, of type dict; expected a Network"),
    ],
)
def test_what_cannot_be_removed(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        remove_units(**{"network": network_of("sparse")} | arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("units", "error", "message"),
    [
        (([0, 0], [1]), ValueError, "units.hidden is [0, 0]; expected one or more numbers from 0 to 9, increasing"),
        (([2, 1], [1]), ValueError, "units.hidden is [2, 1]; expected one or more"),
        (([-1, 5], [1]), ValueError, "units.hidden is [-1, 5]; expected"),
        (([0, 10], [1]), ValueError, "units.hidden is [0, 10]; expected"),
        (([0, 5], [6]), ValueError, "units.embedding is [6]; expected one or more numbers from 0 to 5"),
        (([0, 5], []), ValueError, "units.embedding is []; expected"),
        (([0, 5], [[1, 2]]), ValueError, "units.embedding is [[1, 2]]; expected"),
        (([0, 5], 3), ValueError, "units.embedding is 3; expected"),
        (([0, 5], [True, False, True]), TypeError, "units.embedding is [True, False, True]"),
        (([0, 1, 5], [1]), ValueError, "units.hidden has 2 units that read from the start and 1 from the end"),
        (([0, 1], [1]), ValueError, "units.hidden has 2 units that read from the start and 0 from the end"),
    ],
)
def test_units_that_cannot_be_kept(units, error, message):
    with pytest.raises(error, match=re.escape(message)):
        keep_units(network_of("both ends"), Units(*units))


def test_a_network_that_has_diverged_is_rejected():
    network = network_of("dense")
    network.parameters["W_h"][0, 0] = np.nan
    with pytest.raises(ValueError, match="importance.hidden has numbers that are NaN or infinite: if training has div"):
        remove_units(network, hidden=0.5)
