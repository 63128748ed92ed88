"""A language model has the numbers of PyTorch's: the loss of every step, gradients, five steps of Adam, the state."""

import json

import numpy as np
import pytest
from golden_files import assert_parity, golden_names, load_golden, lstm_in_our_layout

from numpy_setlstm.converters import from_torch
from numpy_setlstm.language.network import LanguageNetwork
from numpy_setlstm.network import make_engine
from numpy_setlstm.parameters import LAYERS

ENGINES = {"plain": {"engine": "plain"}, "gather": {"kernel": "gather"}, "scratch": {"kernel": "scratch"}}
CASES = [(name, engine) for name in golden_names("language") for engine in ENGINES]


def in_our_layout(arrays, golden, bias_hh):
    """Parameters from anything that is stored like PyTorch's weights; `bias_hh` has the biases that are not trained."""
    masks, parameters = golden["masks"], {}
    parameters |= from_torch(
        {"embedding.weight": arrays["embedding.weight"]}, prefix="embedding", sparse=masks or False
    )
    for k, names in enumerate(LAYERS[: len(golden["h0"])]):
        layer = {
            name.replace(f"_l{k}", "_l0"): array
            for name, array in (arrays | bias_hh).items()
            if name.startswith("lstm.") and name.endswith(f"_l{k}")
        }
        of_layer = {name.replace(f"_l{k}", "_l0"): mask for name, mask in masks.items() if name.endswith(f"_l{k}")}
        ours = lstm_in_our_layout(layer, of_layer, prefix="lstm")
        parameters |= zip(names, (ours[name] for name in LAYERS[0]), strict=True)
    return parameters | {"W_out": arrays["readout.weight"].T.copy(), "b_out": arrays["readout.bias"].copy()}


def untrained(golden, factor=1):
    return {name: factor * array for name, array in golden["weights"].items() if "bias_hh" in name}


def begin(golden, engine):
    """The network of a file, the words of its minibatches, and its state."""
    parameters = in_our_layout(golden["weights"], golden, untrained(golden))
    network = LanguageNetwork(parameters, engine=make_engine(**ENGINES[engine]))
    words, n_updates = golden["words"], len(golden["steps"]["adam"]["losses"])
    T = (words.shape[1] - 1) // n_updates
    minibatches = [(words[:, k * T : (k + 1) * T], words[:, k * T + 1 : (k + 1) * T + 1]) for k in range(n_updates)]
    names = [("h", "c"), ("h_2", "c_2")][: len(golden["h0"])]
    state = {name: golden[part][k] for k, of in enumerate(names) for name, part in zip(of, ("h0", "c0"), strict=True)}
    return network, minibatches, state, names


def test_there_are_files():
    assert len(golden_names("language")) == 3


@pytest.mark.parametrize(("name", "engine"), CASES)
def test_the_loss_of_every_step_and_all_gradients(name, engine):
    golden = load_golden(name)
    network, ((inputs, targets), *_), state, names = begin(golden, engine)
    log_p, _, _, cache = network.forward(inputs, targets, state)
    assert_parity("losses", -log_p, golden["losses"])
    gradients, before = network.backward(np.full(log_p.shape, -1 / log_p.size), cache)
    theirs = in_our_layout(golden["gradients"], golden, untrained(golden, 0))
    for parameter, expected in theirs.items():
        assert_parity("d" + parameter, gradients[parameter], expected)
    for k, (h, c) in enumerate(names):
        assert_parity("d" + h, before[h], golden["dh0"][k])
        assert_parity("d" + c, before[c], golden["dc0"][k])


@pytest.mark.parametrize(("name", "engine"), CASES)
def test_five_steps_of_adam_that_carry_the_state(name, engine):
    golden = load_golden(name)
    network, minibatches, state, names = begin(golden, engine)
    settings = json.loads(str(golden["settings"]))
    optimizer = network.engine.optimizers[settings.pop("rule").lower()](network.parameters, **settings)
    history = {key: array for key, array in golden["steps"]["adam"].items() if key != "losses"}
    for k, (inputs, targets) in enumerate(minibatches):
        losses = -network.forward(inputs, targets, state)[0]
        assert_parity(f"losses of update {k}", losses, golden["steps"]["adam"]["losses"][k])
        _, gradients, _, state = network.backpropagate(inputs, targets, state)
        optimizer.update(network.parameters, gradients)
        theirs = in_our_layout({key: array[k] for key, array in history.items()}, golden, untrained(golden))
        for parameter, expected in theirs.items():
            assert_parity(f"{parameter} after update {k}", network.parameters[parameter], expected)
    for k, (h, c) in enumerate(names):
        assert_parity(h, state[h], golden["h_last"][k])
        assert_parity(c, state[c], golden["c_last"][k])
