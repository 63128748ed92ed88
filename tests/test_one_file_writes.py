"""one_file_writes.py: its limits, its gradients, its numbers beside the package's, and that it learns to write."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

from numpy_setlstm import one_file, one_file_writes, sparse
from numpy_setlstm.language.network import LanguageNetwork
from numpy_setlstm.language.sampling import draw_ids
from numpy_setlstm.language.text import make_streams
from numpy_setlstm.network import BaseNetwork

FILE = Path(one_file_writes.__file__)
V = 7
er_epsilons = pytest.mark.parametrize("er_epsilon", [1.5, None], ids=["sparse", "dense"])


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def random_model(rng, er_epsilon=1.5):
    """A model whose parameters are all different from 0."""
    parameters = one_file_writes.init_language_model(V, 3, 5, rng, er_epsilon)
    for W in parameters.values():
        weights = one_file.weights_of(W)
        weights[...] = rng.normal(size=weights.shape)
    return parameters


def random_state(rng):
    return rng.normal(size=(2, 5)), rng.normal(size=(2, 5))


def order_of(W):
    """The positions of the connections in the package's order."""
    return np.lexsort((W.cols, W.rows))


def to_package(W):
    """The same matrix as one of the package's."""
    if isinstance(W, np.ndarray):
        return W.copy()
    order = order_of(W)
    return sparse.SparseMatrix(W.shape, W.rows[order], W.cols[order], W.values[order])


def assert_equal(ours, theirs, name=""):
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * max(1, np.abs(theirs).max()), err_msg=name)


def test_it_is_short_and_says_what_each_function_does():
    lines = FILE.read_text(encoding="utf8").splitlines()
    assert len(lines) <= 150 and max(map(len, lines)) <= 100
    tree = ast.parse("\n".join(lines), feature_version=(3, 10))
    imports = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imports == {"pathlib", "numpy_setlstm.one_file"}, "the rest of the package is not needed"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert len(ast.get_docstring(node).splitlines()) <= 3, node.name


@er_epsilons
def test_every_gradient_by_the_complex_step(er_epsilon, rng):
    """Of every parameter, with a word that repeats and a state that is carried."""
    parameters, before = random_model(rng, er_epsilon), random_state(rng)
    tokens = np.array([[3, 0, 3, 3, 6, 1], [5, 2, 4, 0, 1, 1]])
    loss, gradients, _ = one_file_writes.loss_and_gradients(parameters, tokens, before)
    assert gradients.keys() == parameters.keys()
    for name, W in parameters.items():
        numeric = np.zeros(one_file.weights_of(W).shape)
        for k in np.ndindex(numeric.shape):
            nudged = one_file.weights_of(W).astype(complex)
            nudged[k] += 1e-20j
            nudged = nudged if isinstance(W, np.ndarray) else one_file.replace(W, values=nudged)
            logits, *_ = one_file_writes.language_forward(parameters | {name: nudged}, tokens[:, :-1], before)
            value = one_file.cross_entropy(logits, tokens[:, 1:].ravel())[0]
            assert abs(value.real - loss) < 1e-12
            numeric[k] = value.imag / 1e-20
        assert_equal(gradients[name], numeric, name)


@er_epsilons
def test_loss_gradients_and_state_are_those_of_the_package_for_two_minibatches(er_epsilon, rng):
    parameters, ids = random_model(rng, er_epsilon), rng.integers(V, size=2 * 9 + 1)
    network = LanguageNetwork({name: to_package(W) for name, W in parameters.items()}, engine="plain")
    assert isinstance(network, BaseNetwork)
    streams, package_streams = one_file_writes.cut_into_streams(ids, 2), make_streams([ids], 2)
    before, package_state = None, network.start(2)
    for number, first in enumerate((0, 5)):  # of five steps, and of the four that are left
        inputs, targets, _ = package_streams.cut(number, 5)
        tokens = streams[:, first : first + 6]
        np.testing.assert_array_equal(tokens, np.column_stack([inputs, targets[:, -1]]))
        loss, gradients, before = one_file_writes.loss_and_gradients(parameters, tokens, before)
        expected, theirs, _, package_state = network.backpropagate(inputs, targets, package_state)
        assert_equal(loss, expected)
        assert_equal(before[0], package_state["h"])
        assert_equal(before[1], package_state["c"])
        assert gradients.keys() == theirs.keys()
        for name, W in parameters.items():
            mine = gradients[name] if isinstance(W, np.ndarray) else gradients[name][order_of(W)]
            assert_equal(mine, theirs[name], name)


def test_two_pieces_have_the_loss_of_the_whole(rng):
    parameters, tokens = random_model(rng), rng.integers(V, size=(2, 9))
    whole, _, at_the_end = one_file_writes.loss_and_gradients(parameters, tokens)
    first, _, between = one_file_writes.loss_and_gradients(parameters, tokens[:, :5])
    second, _, after = one_file_writes.loss_and_gradients(parameters, tokens[:, 4:], between)
    assert_equal((first + second) / 2, whole)
    assert_equal(np.array(after), np.array(at_the_end))
    forgetful, *_ = one_file_writes.loss_and_gradients(parameters, tokens[:, 4:])
    assert abs(forgetful - second) > 1e-3, "the state that is carried matters"


def test_it_draws_what_the_package_draws(rng):
    """From the third id on, as the package never draws its first two, padding and unknown."""
    parameters = random_model(rng)
    parameters["b_out"][:2] = -1e9
    network = LanguageNetwork({name: to_package(W) for name, W in parameters.items()}, engine="plain")
    ours = one_file_writes.write(parameters, [3, 4], 60, np.random.default_rng(0), temperature=0.7)
    assert ours == draw_ids(network, [3, 4], 60, 0.7, np.random.default_rng(0))
    assert set(ours) == set(range(2, V))


def test_training_takes_set_steps_between_epochs_and_reads_every_character(rng):
    parameters, ids = random_model(rng), rng.integers(V, size=40)
    before = {name: parameters[name] for name in ("W_x", "W_h")}
    losses = one_file_writes.train(
        parameters, one_file_writes.cut_into_streams(ids, 3), rng, n_epochs=3, zeta=0.5, n_steps=5, learning_rate=0
    )
    loss, *_ = one_file_writes.loss_and_gradients(parameters, one_file_writes.cut_into_streams(ids, 3))
    assert_equal(next(losses), loss)  # that of the whole, as nothing was learnt
    assert all(parameters[name] is W for name, W in before.items()), "no SET step before the first epoch"
    next(losses)
    for name, W in before.items():
        evolved = parameters[name]
        assert len(evolved.values) == len(W.values) and (evolved.values == 0).sum() == len(one_file.prune(W, 0.5)) > 0
    assert len(list(losses)) == 1


def test_it_learns_to_spell(capsys, tmp_path):
    """What it writes after six epochs has hardly a word that the text has not; what it begins with has."""
    (tmp_path / "cat.txt").write_text("the cat sat on the mat. the dog sat on the cat. " * 60, encoding="utf8")
    one_file_writes.main(tmp_path / "cat.txt", n_epochs=6, H=32, N=8)
    printed = capsys.readouterr().out
    assert "2,880 characters, 13 different ones" in printed
    by_frequency = float(re.search(r"([\d.]+) bits per character, knowing only", printed)[1])
    bits = [float(number) for number in re.findall(r"epoch \d: ([\d.]+) bits per character", printed)]
    assert len(bits) == 6 and bits[-1] < 0.5 < by_frequency / 2 and by_frequency > bits[1]
    words = printed.splitlines()[-1].strip("'").split()[1:-1]
    known = {"the", "cat", "sat", "on", "mat.", "dog", "cat."}
    assert len(words) > 20 and np.mean([word in known for word in words]) > 0.9
