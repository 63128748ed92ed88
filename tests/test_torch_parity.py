"""The same numbers as PyTorch, to ten digits and more, from files that PyTorch wrote: these tests do not need it."""

import json
import re

import numpy as np
import pytest
from golden_files import (
    FOLDER,
    assert_parity,
    golden_names,
    load_golden,
    lstm_gradients_in_our_layout,
    lstm_in_our_layout,
    network_after_steps,
    network_gradients,
    network_in_our_layout,
    network_parameters,
    optimizer_of,
)

from numpy_setlstm.converters import from_torch
from numpy_setlstm.layers.embedding import embedding_backward, embedding_forward
from numpy_setlstm.layers.lstm import lstm_backward, lstm_forward, lstm_step_forward
from numpy_setlstm.layers.readout import cross_entropy_backward, cross_entropy_forward, softmax
from numpy_setlstm.network import Network
from numpy_setlstm.sparse import SparseMatrix, weights_of

ENGINES = {"plain": {"engine": "plain"}, "gather": {"kernel": "gather"}, "scratch": {"kernel": "scratch"}}
CELLS = golden_names("lstm")
NETWORKS = [
    (name, engine) for name in golden_names("network") for engine in ENGINES if "sparse" in name or engine != "scratch"
]
OPTIMIZERS = list(json.loads(str(load_golden("optimizers")["optimizers"])))
TRAININGS = [(name, engine, label) for name, engine in NETWORKS for label in load_golden(name).get("steps", {})]


def lstm_inputs(golden):
    parameters = lstm_in_our_layout(golden["weights"], golden["masks"])
    return {name: golden[name] for name in ("x", "h0", "c0")} | {"mask": golden["words"]} | parameters


# Layers


@pytest.mark.parametrize("name", CELLS)
def test_lstm_and_all_its_gradients(name):
    golden = load_golden(name)
    inputs = lstm_inputs(golden)
    assert isinstance(inputs["W_h"], SparseMatrix if "sparse" in name else np.ndarray)
    h, cache = lstm_forward(**inputs)
    assert_parity("h", h, golden["h"])
    gradients = lstm_backward(golden["dh"], cache)
    for quantity in ("dx", "dh0", "dc0"):
        assert_parity(quantity, getattr(gradients, quantity), golden[quantity])
    for parameter, theirs in lstm_gradients_in_our_layout(golden).items():
        if parameter != "b" or "bias_ih_l0" in golden["weights"]:
            assert_parity("d" + parameter, getattr(gradients, "d" + parameter), theirs)


@pytest.mark.parametrize("name", golden_names("lstm"))
def test_memory_after_the_last_word(name):
    golden = load_golden(name)
    p = lstm_inputs(golden)
    h, c = p["h0"], p["c0"]
    for t in range(p["x"].shape[1]):
        h_t, c_t, _ = lstm_step_forward(p["x"][:, t] @ p["W_x"] + h @ p["W_h"] + p["b"], c)
        word = p["mask"][:, t, None]
        h, c = np.where(word, h_t, h), np.where(word, c_t, c)
    assert_parity("c_last", c, golden["c_last"])
    assert_parity("h_last", h, golden["h"][:, -1])


@pytest.mark.parametrize("name", golden_names("embedding"))
def test_embedding_and_its_gradient(name):
    golden = load_golden(name)
    masks = golden["masks"] or False
    E = from_torch(golden["weights"], sparse=masks)["E"]
    x, cache = embedding_forward(golden["tokens"], E)
    np.testing.assert_array_equal(x, golden["x"])
    assert_parity("dE", embedding_backward(golden["dx"], cache), from_torch(golden["gradients"], sparse=masks)["E"])


def test_cross_entropy_and_softmax():
    golden = load_golden("cross_entropy")
    loss, cache = cross_entropy_forward(golden["logits"], golden["labels"])
    assert_parity("loss", loss, golden["loss"])
    assert_parity("probabilities", softmax(golden["logits"]), golden["probabilities"])
    assert_parity("dlogits", cross_entropy_backward(cache), golden["dlogits"])


# The whole network


@pytest.mark.parametrize("name, engine", NETWORKS)
def test_network_its_loss_and_all_its_gradients(name, engine):
    golden = load_golden(name)
    network = Network(network_parameters(golden), **ENGINES[engine])
    x, _ = embedding_forward(golden["tokens"], network.parameters["E"])
    np.testing.assert_array_equal(x, golden["x"])
    lstm = [network.parameters[parameter] for parameter in ("W_x", "W_h", "b")]
    assert_parity("h", lstm_forward(x, *lstm, mask=golden["tokens"] != 0)[0], golden["h"])
    assert_parity("logits", network.forward(golden["tokens"])[0], golden["logits"])
    assert_parity("probabilities", network.predict_proba(golden["tokens"]), golden["probabilities"])
    loss, gradients = network.loss_and_gradients(golden["tokens"], golden["labels"])
    assert_parity("loss", loss, golden["loss"])
    theirs = network_gradients(golden)
    assert gradients.keys() == theirs.keys()
    for parameter, gradient in gradients.items():
        assert_parity("d" + parameter, gradient, theirs[parameter])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", golden_names("bidirectional"))
def test_a_network_that_reads_from_both_ends_with_a_weight_for_each_text(name, engine):
    golden = load_golden(name)
    parameters = network_in_our_layout(golden["weights"], golden["masks"], None)
    network = Network(parameters, **ENGINES[engine])
    assert_parity("logits", network.forward(golden["tokens"])[0], golden["logits"])
    batch = golden["tokens"], golden["labels"]
    loss, gradients = network.loss_and_gradients(*batch, weights=golden["text_weights"])
    assert_parity("loss", loss, golden["loss"])
    other_bias = {key: 0 * array for key, array in golden["gradients"].items() if "bias_hh" in key}
    theirs = network_in_our_layout(golden["gradients"] | other_bias, golden["masks"], None)
    assert gradients.keys() == theirs.keys() and "W_h_reverse" in gradients
    for parameter, gradient in gradients.items():
        assert_parity("d" + parameter, gradient, theirs[parameter])


@pytest.mark.parametrize("name, engine, label", TRAININGS)
def test_five_updates_of_the_whole_network(name, engine, label):
    golden = load_golden(name)
    network = Network(network_parameters(golden), **ENGINES[engine])
    optimizer = optimizer_of(golden, label, network.parameters, network.engine.optimizers)
    for k, theirs in enumerate(network_after_steps(golden, label)):
        others = np.arange(len(golden["tokens"])) != k
        loss, gradients = network.loss_and_gradients(golden["tokens"][others], golden["labels"][others])
        assert_parity(f"loss before update {k + 1}", loss, golden["steps"][label]["losses"][k])
        optimizer.update(network.parameters, gradients)
        for parameter, W in network.parameters.items():
            assert_parity(f"{parameter} after update {k + 1}", W, theirs[parameter])
    assert k == 4


@pytest.mark.parametrize("label", OPTIMIZERS)
@pytest.mark.parametrize("connectivity", ["dense", "sparse"])
def test_updates_with_given_gradients(label, connectivity):
    golden = load_golden("optimizers")
    W = golden["weights"].copy()
    if connectivity == "sparse":
        W = SparseMatrix((3, 5), *np.divmod(np.arange(9), 5), W)
    optimizer = optimizer_of(golden, label, {"W": W})
    for k, gradient in enumerate(golden["gradients"]):
        optimizer.update({"W": W}, {"W": gradient})
        assert_parity(f"W after update {k + 1}", weights_of(W), golden["steps"][label][k])


# The files, and the comparison


def test_the_files_are_what_they_should_be():
    assert len(CELLS) == 10 and len(NETWORKS) == 13 and len(TRAININGS) == 30
    for path in FOLDER.glob("*.npz"):
        with np.load(path) as arrays:
            assert re.match(r"\d+\.\d+\.\d+", str(arrays["torch_version"])), path.name
            for key, array in arrays.items():
                assert array.dtype.kind in "ibU" or array.dtype == np.float64, f"{key} in {path.name} is {array.dtype}"
        golden = load_golden(path.stem)
        for key, mask in golden["masks"].items():
            absent = mask == 0
            assert not golden["weights"][key][absent].any() and not golden["gradients"][key][absent].any()
            assert (golden["weights"][key][~absent] == 0).sum() == 1, "a connection whose weight is 0"
            for steps in golden.get("steps", {}).values():
                assert not steps[key][:, absent].any(), "a weight that does not exist has moved"
    sizes = {kind: sum(path.stat().st_size for path in FOLDER.glob(f"{kind}*.npz")) for kind in ("", "language")}
    assert sizes[""] - sizes["language"] < 300_000 and sizes["language"] < 120_000


@pytest.mark.parametrize("name", golden_names("network"))
def test_words_repeat_and_sizes_differ(name):
    """Equal sizes would hide a wrong axis, and words that occur once a lost update."""
    golden = load_golden(name)
    words = golden["tokens"][golden["tokens"] != 0]
    assert len(np.unique(words)) < len(words)
    (V, D), H = golden["weights"]["embedding.weight"].shape, golden["weights"]["lstm.weight_hh_l0"].shape[1]
    assert len({V, D, H}) == 3 and golden["tokens"].shape[1] >= 4


def test_a_difference_is_named_with_array_and_entry():
    theirs = np.array([[1.0, 200.0], [3.0, 4.0]])
    ours = theirs + [[0, 0], [1e-6, 0]]
    with pytest.raises(
        AssertionError, match=r"dW at \(1, 0\) is .*3\.000001.*, PyTorch's is .*3\.0.* of 5.0e-09 of its"
    ):
        assert_parity("dW", ours, theirs)
    assert assert_parity("dW", ours, theirs, limit=1e-8) == pytest.approx(5e-9)
    W = SparseMatrix((4, 5), [1, 3], [2, 4], [1.0, 2.0])
    with pytest.raises(AssertionError, match=r"dW at \(3, 4\)"):
        assert_parity("dW", np.array([1.0, 2.1]), W)
    with pytest.raises(AssertionError, match=r"dW at \(1, 2\) is .*nan"):
        assert_parity("dW", np.array([np.nan, 2.0]), W)
    with pytest.raises(AssertionError, match=r"dW has shape \(3,\), PyTorch's has \(2,\)"):
        assert_parity("dW", np.ones(3), W)
