"""Networks that read from both ends: what they compute, count, evolve, save and convert.

That both engines agree on them, and that their gradients are right, is in test_engines.py.
"""

import json
from dataclasses import replace

import numpy as np
import pytest

from numpy_setlstm import SetLSTMClassifier, from_torch, lstm_forward, measures, to_torch
from numpy_setlstm.checkpoint import CheckpointError, load_arrays, save_arrays
from numpy_setlstm.initialization import NetworkSizes, init_network
from numpy_setlstm.lab.rivals import fit_rival
from numpy_setlstm.lab.selfcheck import check_network
from numpy_setlstm.layers.lstm import lstm_backward
from numpy_setlstm.network import Network
from numpy_setlstm.parameters import SPARSE_PARAMETERS
from numpy_setlstm.sparse import SparseMatrix, weights_of

SIZES = NetworkSizes(n_words=9, embedding_dim=3, hidden_size=4, n_classes=3, bidirectional=True)
WORDS = "plot actor scene music camera ending script joke hero villain".split()
TEXTS = [f"{WORDS[k % 10]} was {'good' if k % 2 else 'bad'} {WORDS[k // 3 % 10]}" for k in range(60)]
LABELS = np.array(["neg", "pos"])[np.arange(60) % 2]


def network_of(er_epsilon=1.0, **settings):
    rngs = np.random.default_rng(0), np.random.default_rng(1)
    return init_network(SIZES, *rngs, er_epsilon=er_epsilon, dtype=np.float64, **settings)


def classifier(**parameters):
    small = {"embedding_dim": 6, "hidden_size": 5, "parameter_share": 0.4, "max_length": 6, "n_epochs": 2}
    return SetLSTMClassifier(bidirectional=True, **small | {"batch_size": 16, "random_state": 0} | parameters)


# What they compute


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_the_last_states_of_both_directions_stand_side_by_side(engine):
    network = network_of(engine=engine)
    p = {name: W.toarray() if isinstance(W, SparseMatrix) else W for name, W in network.parameters.items()}
    words = np.array([3, 8, 1, 5])
    x = p["E"][words][None]
    forward = lstm_forward(x, p["W_x"], p["W_h"], p["b"])[0][0, -1]
    backward = lstm_forward(x[:, ::-1], p["W_x_reverse"], p["W_h_reverse"], p["b_reverse"])[0][0, -1]
    expected = np.concatenate([forward, backward]) @ p["W_out"] + p["b_out"]
    logits, _ = network.forward(words[None])
    np.testing.assert_allclose(logits[0], expected, rtol=1e-12)
    padded = np.array([[0, 3, 0, 0, 8, 1, 5, 0]])
    np.testing.assert_allclose(network.forward(padded)[0][0], expected, rtol=1e-12)


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_a_text_read_backwards_by_exchanged_parameters_gives_the_same_answer(engine):
    network, H = network_of(engine=engine), SIZES.hidden_size
    p = network.parameters
    exchanged = {name: p[name.removesuffix("_reverse") if "_reverse" in name else name + "_reverse"]
                 for name in p if "W_x" in name or "W_h" in name or name in ("b", "b_reverse")}  # fmt: skip
    exchanged["W_out"] = np.roll(p["W_out"], H, axis=0)
    tokens = np.random.default_rng(2).integers(0, 9, (5, 6))
    other = Network({**p, **exchanged}, engine=engine)
    np.testing.assert_allclose(other.forward(tokens[:, ::-1])[0], network.forward(tokens)[0], rtol=1e-12)


def test_a_direction_of_your_own_runs_both_ways():
    own = Network(network_of().parameters, lstm=(lstm_forward, lstm_backward))
    tokens, labels = np.random.default_rng(2).integers(0, 9, (5, 6)), np.array([0, 1, 2, 1, 0])
    loss, gradients = own.loss_and_gradients(tokens, labels)
    expected_loss, expected = network_of(engine="plain").loss_and_gradients(tokens, labels)
    assert loss == expected_loss
    for name, gradient in expected.items():
        np.testing.assert_array_equal(gradients[name], gradient, err_msg=name)


@pytest.mark.parametrize("method", ["complex", "central"])
def test_every_gradient_is_checked_under_its_name(method):
    tokens, labels = np.random.default_rng(2).integers(0, 9, (4, 5)), np.array([0, 1, 2, 1])
    network = network_of(embedding_dropout=0.2, dropout=0.2)
    report = check_network(network, tokens, labels, method)
    assert report.ok, report
    assert all(f"\n{name} " in str(report) for name in SIZES.shapes), report


# What is counted


def test_all_parameters_are_counted():
    V, D, H, C = 9, 3, 4, 3
    by_hand = V * D + 2 * (D * 4 * H + H * 4 * H + 4 * H) + 2 * H * C + C
    assert SIZES.dense_parameters == by_hand
    assert network_of(None).count_parameters() == by_hand
    assert {name: W.shape for name, W in network_of(None).parameters.items()} == SIZES.shapes


def test_both_forget_gates_start_open():
    for name in ("b", "b_reverse"):
        np.testing.assert_array_equal(network_of().parameters[name], np.repeat([0.0, 1.0, 0.0, 0.0], 4), err_msg=name)


@pytest.mark.parametrize("share", [0.039, 0.2, 0.7, 1.0])
def test_the_share_of_parameters_is_met(share):
    sizes = NetworkSizes(n_words=2000, embedding_dim=30, hidden_size=40, n_classes=2, bidirectional=True)
    counts = sizes.connection_counts(sizes.er_epsilon_for(share))
    assert list(counts) == list(SPARSE_PARAMETERS) and counts["W_x"] == counts["W_x_reverse"]
    kept_dense = sizes.dense_parameters - sum(int(np.prod(sizes.shapes[name])) for name in SPARSE_PARAMETERS)
    assert kept_dense + sum(counts.values()) == pytest.approx(share * sizes.dense_parameters, abs=len(counts))


def test_gates_are_counted_in_both_directions():
    network = network_of()
    counts = network.gate_counts()
    assert list(counts) == ["W_x", "W_h", "W_x_reverse", "W_h_reverse"]
    for name, by_gate in counts.items():
        assert sum(by_gate.values()) == network.parameters[name].nnz


def test_one_direction_has_the_weights_that_it_always_had():
    """The second direction is drawn after E, W_x and W_h."""
    both, one = network_of(), init_network(
        replace(SIZES, bidirectional=False), np.random.default_rng(0), np.random.default_rng(1), er_epsilon=1.0,
        dtype=np.float64,
    )  # fmt: skip
    for name in ("E", "W_x", "W_h"):
        np.testing.assert_array_equal(both.parameters[name].values, one.parameters[name].values)
    assert "W_x_reverse" not in one.parameters and one.parameters["W_out"].shape == (4, 3)


# Training


def test_all_five_matrices_evolve_and_keep_their_size():
    clf = classifier(n_epochs=4, zeta=0.3).fit(TEXTS, LABELS)
    initial = clf.training_state_.initial_topologies
    assert list(initial) == list(SPARSE_PARAMETERS)
    assert all(list(steps) == list(SPARSE_PARAMETERS) for steps in clf.history_["set_steps"])
    for name, topology in initial.items():
        W = clf.training_state_.network.parameters[name]
        assert W.nnz == topology.nnz if hasattr(topology, "nnz") else len(topology.rows)
        assert not np.array_equal(W.topology.keys, topology.keys), f"{name} has not evolved"
    assert clf.n_parameters_ == sum(weights_of(W).size for W in clf.network_.parameters.values())


def test_it_learns_what_the_first_word_of_a_long_text_says():
    rng = np.random.default_rng(0)
    texts = [" ".join(["good" if k % 2 else "bad", *rng.choice(WORDS, 40)]) for k in range(200)]
    labels, rates = np.arange(200) % 2, {"learning_rate": 0.01, "embedding_learning_rate": 0.02}
    options = {"max_length": 41, "n_epochs": 4, "dropout": 0, "embedding_dropout": 0, "validation_fraction": 0}
    clf = classifier(hidden_size=16, embedding_dim=16, **rates, **options).fit(texts, labels)
    assert clf.score(texts, labels) == 1


@pytest.mark.parametrize("connectivity", ["set", "dense"])
def test_training_continues_bit_for_bit_after_saving(connectivity, tmp_path):
    whole = classifier(connectivity=connectivity, n_epochs=4).fit(TEXTS, LABELS)
    classifier(connectivity=connectivity).fit(TEXTS, LABELS).save(tmp_path / "model.npz")
    clf = SetLSTMClassifier.load(tmp_path / "model.npz").set_params(n_epochs=4).fit(TEXTS, LABELS, resume=True)
    assert clf.bidirectional
    for name, W in whole.training_state_.network.parameters.items():
        np.testing.assert_array_equal(weights_of(clf.training_state_.network.parameters[name]), weights_of(W))
    np.testing.assert_array_equal(clf.predict_proba(TEXTS), whole.predict_proba(TEXTS))


def test_a_file_that_says_otherwise_is_refused(tmp_path):
    path = tmp_path / "model.npz"
    classifier().fit(TEXTS, LABELS).save(path)
    header, arrays = load_arrays(path)
    header["parameters"]["bidirectional"] = False
    save_arrays(path, json.loads(json.dumps(header)), arrays)
    with pytest.raises(CheckpointError, match=r"network has \['E', 'W_x', .*; expected E, W_x, W_h, b, W_out, b_out"):
        SetLSTMClassifier.load(path)


@pytest.mark.parametrize("name", ["dense-small", "dense-pruned"])
def test_the_rivals_read_from_both_ends_too(name):
    settings = {"embedding_dim": 12, "hidden_size": 12, "parameter_share": 0.4, "n_epochs": 2, "random_state": 0}
    sparse = SetLSTMClassifier("static", bidirectional=True, **settings).fit(TEXTS, LABELS)
    rival = fit_rival(name, TEXTS, LABELS, bidirectional=True, **settings)
    assert "W_h_reverse" in rival.network_.parameters
    if name == "dense-pruned":
        assert rival.n_parameters_ == sparse.n_parameters_
    else:
        assert 0.8 * sparse.n_parameters_ < rival.n_parameters_ <= sparse.n_parameters_


# Measures


def test_distances_are_over_both_directions():
    rng = np.random.default_rng(0)
    sizes = NetworkSizes(200, 24, 24, 2, bidirectional=True)
    a, b = (init_network(sizes, rng, rng, er_epsilon=3).parameters for _ in range(2))
    copy = measures.shuffled_copy(a, rng)
    assert list(copy) == list(SPARSE_PARAMETERS)
    found = measures.topological_distance(a, copy)
    assert found.distance == 0 and sorted(found.units) == list(range(48))
    assert measures.topological_distance(a, b).distance > 0.6
    half = {**a, "W_x_reverse": b["W_x_reverse"], "W_h_reverse": b["W_h_reverse"]}  # one direction of two is the same
    one, other = (measures.topological_distance(a, n).lstm for n in (half, {**b, "E": a["E"]}))
    assert 0.2 < one < 0.6 * other
    baselines = measures.distance_baselines(a, [], rng)
    assert baselines["shuffled copy"] == 0 and baselines["independent random"] > 0.6


def test_a_network_with_half_a_second_direction_is_refused():
    network = network_of().parameters
    del network["W_h_reverse"]
    with pytest.raises(ValueError, match="the first network has no sparse W_h_reverse"):
        measures.topological_distance(network, network)


# PyTorch's weights


def torch_weights(seed=0, D=3, H=4):
    rng = np.random.default_rng(seed)
    shapes = {"weight_ih_l0": (4 * H, D), "weight_hh_l0": (4 * H, H), "bias_ih_l0": (4 * H,), "bias_hh_l0": (4 * H,)}
    return {name + end: rng.normal(size=shape) for end in ("", "_reverse") for name, shape in shapes.items()}


@pytest.mark.parametrize("sparse", [False, True])
def test_a_round_trip_through_pytorchs_weights(sparse):
    parameters = from_torch(torch_weights(), sparse=sparse)
    assert list(parameters) == ["W_x", "W_h", "b", "W_x_reverse", "W_h_reverse", "b_reverse"]
    again = from_torch(to_torch(parameters, prefix="lstm"), prefix="lstm", sparse=sparse)
    for name, W in parameters.items():
        np.testing.assert_array_equal(weights_of(again[name]), weights_of(W), err_msg=name)


def test_each_direction_is_converted_like_a_network_of_its_own():
    weights = torch_weights()
    reverse = {name.removesuffix("_reverse"): array for name, array in weights.items() if name.endswith("_reverse")}
    expected, parameters = from_torch(reverse), from_torch(weights)
    for name, W in expected.items():
        np.testing.assert_array_equal(parameters[name + "_reverse"], W)


def test_masks_have_both_directions():
    weights = torch_weights()
    masks = {name: np.random.default_rng(1).random(weights[name].shape) < 0.5 for name in weights if "weight" in name}
    parameters = from_torch(weights, sparse=masks)
    for name, mask in (("W_x", "weight_ih_l0"), ("W_h_reverse", "weight_hh_l0_reverse")):
        assert parameters[name].nnz == masks[mask].sum()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight_hh_l0_reverse": None}, "'weight_hh_l0_reverse' is missing; expected weight_ih_l0, "),
        ({"bias_hh_l0_reverse": None}, "'bias_hh_l0_reverse' is missing"),
        ({"weight_ih_l0": None}, "'weight_ih_l0' is missing"),
        ({"weight_ih_l0_reverse": np.ones((16, 2))}, r"'weight_ih_l0_reverse' has shape \(16, 2\); expected \(16, 3\)"),
        ({"weight_hh_l0_reverse": np.ones((12, 3))}, r"'weight_hh_l0_reverse' has shape \(12, 3\); expected \(16, 4\)"),
    ],
)
def test_half_a_direction_is_refused(change, message):
    weights = {name: array for name, array in (torch_weights() | change).items() if array is not None}
    with pytest.raises(ValueError, match=message):
        from_torch(weights)


def test_parameters_of_half_a_direction_are_refused():
    parameters = from_torch(torch_weights())
    parameters["W_x_reverse"] = parameters["W_x_reverse"][:2]
    with pytest.raises(ValueError, match=r"'W_x_reverse' has shape \(2, 16\); expected that of W_x, \(3, 16\)"):
        to_torch(parameters)
    del parameters["W_h_reverse"]
    with pytest.raises(
        ValueError, match="the parameters are W_x, W_h, b, W_x_reverse, b_reverse; expected those of one"
    ):
        to_torch(parameters)
