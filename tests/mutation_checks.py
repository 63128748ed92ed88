"""Tests for the mutation test alone: details that no other test asserts, or that it would need chance or time for.

`TARGETS` of :mod:`mutation` says by the beginning of their names which files they are for.
"""

import contextlib
import inspect
import itertools
import math
import os
import pickle
import types
from dataclasses import replace

import numpy as np
import pytest

from numpy_setlstm import evolution, minibatches
from numpy_setlstm.cells import draw_free_cells
from numpy_setlstm.classification import Classification, cut_texts
from numpy_setlstm.fast import adam
from numpy_setlstm.fast.embedding import fast_embedding_backward, fast_embedding_forward
from numpy_setlstm.fast.lstm import fast_lstm_forward, steps_per_group
from numpy_setlstm.fast.products import make_product
from numpy_setlstm.initialization import NetworkSizes, init_network
from numpy_setlstm.layers.dropout import dropout_backward, dropout_forward
from numpy_setlstm.layers.lstm import lstm_backward, lstm_forward
from numpy_setlstm.layers.readout import cross_entropy_forward, softmax
from numpy_setlstm.optimizers import SGD, Adam, adam_update, clip_by_norm, sgd_update
from numpy_setlstm.own_lstm import adapt
from numpy_setlstm.sparse import SparseMatrix, weights_of
from numpy_setlstm.topology import prune
from numpy_setlstm.training import TrainingSettings, TrainingState, split_streams, train_task
from numpy_setlstm.workers import jobs, memory
from numpy_setlstm.workers.memory import find_in_memory, put_in_memory
from numpy_setlstm.workers.pool import WorkerError

# Optimizers

ADAM = {"beta1": 0.9, "beta2": 0.999, "adam_eps": 1e-8}


def assert_defaults(function, expected):
    parameters = inspect.signature(function).parameters.values()
    assert {p.name: p.default for p in parameters if p.default is not p.empty} == expected


def test_optimizers_have_the_usual_constants():
    for rule in (sgd_update, SGD):
        assert_defaults(rule, {"momentum": 0.9})
    for rule in (adam_update, Adam):
        assert_defaults(rule, ADAM)


@pytest.mark.parametrize("optimizer_class", [SGD, Adam])
def test_optimizers_multiply_their_rates_by_a_factor(optimizer_class):
    once, twice = {"W": np.zeros(2)}, {"W": np.zeros(2)}
    optimizer_class(once, 0.5).update(once, {"W": np.array([1.0, -2.0])})
    optimizer_class(twice, 0.25).update(twice, {"W": np.array([1.0, -2.0])}, 2.0)
    np.testing.assert_array_equal(once["W"], twice["W"])


def test_optimizers_count_the_age_of_a_dense_array_once():
    parameters = {"sparse": SparseMatrix((2, 2), [0, 1], [1, 0], [0.5, -2.0]), "dense": np.ones((2, 3))}
    optimizer = Adam(parameters, 0.1)
    for updates in range(3):
        for name, shape in (("sparse", (2,)), ("dense", ())):
            age = optimizer.state[name]["age"]
            assert isinstance(age, np.ndarray) and age.dtype == np.int32 and age.shape == shape
            assert (age == updates).all()
        optimizer.update(parameters, {"sparse": np.ones(2), "dense": np.ones((2, 3))})
    assert adam_update(*np.ones((3, 1)), np.array([1]), learning_rate=0.1)[3].dtype == np.int32  # from int64


class TimesPythonsNumber(np.ndarray):
    """An array that may not be multiplied by a number of NumPy's: NumPy 2 would turn float32 into float64."""

    def __mul__(self, factor):
        assert type(factor) is float, f"{type(factor)}, expected float"
        return super().__mul__(factor)


def test_optimizers_turn_numbers_of_numpy_into_those_of_python():
    constants = {name: np.float64(constant) for name, constant in ADAM.items()}
    for optimizer in (
        Adam({"W": np.ones(2)}, np.float64(0.1), **constants),
        SGD({"W": np.ones(2)}, 0.1, np.float64(0.9)),
    ):
        numbers = [*optimizer.constants.values(), *optimizer.learning_rates.values()]
        assert {type(number) for number in numbers} == {float}
    clip_by_norm({"a": np.ones(3).view(TimesPythonsNumber)}, np.float64(1.0))


# Adam in place


def test_adam_in_place_has_the_usual_constants():
    assert_defaults(adam.adam_in_place, ADAM)


def test_adam_of_the_fast_engine_uses_its_constants():
    plain, fast = {"W": np.zeros(3)}, {"W": np.zeros(3)}
    for optimizer_class, parameters in ((Adam, plain), (adam.FastAdam, fast)):
        optimizer = optimizer_class(parameters, 0.1, beta1=0.5, beta2=0.6, adam_eps=0.5)
        for k in range(2):
            optimizer.update(parameters, {"W": np.array([1.0, -2.0, k])})
    np.testing.assert_array_equal(plain["W"], fast["W"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("chunk", [1, 4, 6, 100])
@pytest.mark.parametrize("fortran", ["nothing", "weights", "m", "v"])
def test_adam_in_place_takes_an_age_per_weight_in_any_layout(fortran, chunk, dtype, monkeypatch):
    monkeypatch.setattr(adam, "CHUNK", chunk)
    rng = np.random.default_rng(0)
    arrays = {name: rng.random((2, 3)).astype(dtype) for name in ("weights", "m", "v")}
    arrays["weights"] *= 0  # so that every bit of the change counts
    if fortran in arrays:
        arrays[fortran] = np.asfortranarray(arrays[fortran])
    arrays["age"] = np.array([[0, 3, 7], [1, 3, 0]], np.int32)
    gradient = rng.normal(size=(2, 3)).astype(dtype)
    change, *state = adam_update(gradient, *(arrays[name].copy() for name in ("m", "v", "age")), learning_rate=0.1)
    adam.adam_in_place(gradient=gradient, **arrays, learning_rate=0.1)
    for array, expected in zip(arrays.values(), (change, *state), strict=True):
        np.testing.assert_array_equal(array, expected)


# Layers


class Uniform(np.random.Generator):
    """A generator of given numbers."""

    def __init__(self, numbers):
        super().__init__(np.random.PCG64(0))
        self.numbers = np.array(numbers)

    def random(self, shape, dtype):
        assert shape == self.numbers.shape and dtype == np.float32
        return self.numbers.astype(dtype)


def test_dropout_drops_numbers_below_the_rate():
    x = np.array([1.0, -2.0, 3.0])
    y, keep = dropout_forward(x, 0.25, Uniform([0.25, 0.24, 0.99]))
    np.testing.assert_array_equal(keep, np.array([1, 0, 1]) * (1 / 0.75))
    np.testing.assert_array_equal(y, x * keep)
    assert dropout_forward(x + 1j, 0.25, Uniform([0.25, 0.24, 0.99]))[1].dtype == np.float64


@pytest.mark.parametrize("nothing", [(0.5,), (0.0, Uniform([0.0, 0.0])), (0, Uniform([0.0, 0.0]))])
def test_dropout_of_nothing_returns_its_input(nothing):
    x = np.array([1.0, -2.0])
    y, keep = dropout_forward(x, *nothing)
    assert y is x and keep is None and dropout_backward(x, keep) is x


def test_readout_takes_rows_with_logits_far_apart():
    far = np.array([[1000.0, 0.0, 998.0], [-1000.0, -1000.0, -1000.0]])  # exp of either overflows or vanishes
    small = math.exp(-2) / (1 + math.exp(-2))
    np.testing.assert_allclose(softmax(far), [[1 - small, 0, small], [1 / 3] * 3], rtol=1e-14)
    loss, _ = cross_entropy_forward(far, np.array([1, 0]))
    np.testing.assert_allclose(loss, (1000 + math.log1p(math.exp(-2)) + math.log(3)) / 2, rtol=1e-14)


def test_lstm_takes_one_of_the_two_states_alone():
    rng = np.random.default_rng(0)
    x, W_x, W_h, b = (rng.normal(size=shape) for shape in ((2, 3, 2), (2, 12), (3, 12), (12,)))
    zero, state = np.zeros((2, 3)), rng.normal(size=(2, 3))
    for alone, both in (({"h0": state}, {"h0": state, "c0": zero}), ({"c0": state}, {"h0": zero, "c0": state})):
        (h, cache), (expected, expected_cache) = (lstm_forward(x, W_x, W_h, b, **given) for given in (alone, both))
        np.testing.assert_array_equal(h, expected)
        for gradient, right in zip(lstm_backward(h, cache), lstm_backward(h, expected_cache), strict=True):
            np.testing.assert_array_equal(gradient, right)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_sizes_are_read_off_a_network(bidirectional):
    sizes = NetworkSizes(11, 4, 3, 2, bidirectional)
    network = init_network(sizes, *map(np.random.default_rng, (0, 1)), er_epsilon=1.0)
    assert NetworkSizes.of(network) == sizes


# Evolution


def network_and_state(er_epsilon=0.5, **settings):
    sizes = NetworkSizes(n_words=9, embedding_dim=4, hidden_size=3, n_classes=2)
    network = init_network(sizes, *map(np.random.default_rng, (0, 1)), er_epsilon=er_epsilon, dtype=np.float64)
    tokens = np.random.default_rng(2).integers(1, 9, (10, 5))
    streams = split_streams(np.random.default_rng(3))
    return network, TrainingState.start(network, Adam(network.parameters, 0.1), streams), tokens, tokens[:, 0] % 2


@pytest.mark.parametrize(("batch_size", "batches", "n_texts"), [(3, 2, 6), (3, 8, 10), (4, 2, 8)])
def test_evolution_by_the_gradient_takes_whole_minibatches_or_all_texts(batch_size, batches, n_texts, monkeypatch):
    monkeypatch.setattr(evolution, "GRADIENT_BATCHES", batches)
    network, _, tokens, labels = network_and_state()
    sizes = evolution.gradient_sizes(network, tokens, labels, batch_size, np.random.default_rng(5))
    chosen = np.random.default_rng(5).permutation(10)[:n_texts]
    sparse = [name for name, W in network.parameters.items() if isinstance(W, SparseMatrix)]
    dense = network.parameters | {name: network.parameters[name].toarray() for name in sparse}
    gradients = network.backpropagate(tokens[chosen], labels[chosen], parameters=dense)[1]
    assert sizes.keys() == set(sparse)
    for name in sparse:
        np.testing.assert_allclose(sizes[name], np.abs(gradients[name]), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize(("states", "at_once"), [(0, 1), (14, 1), (30, 2), (1000, 4)])
def test_evolution_by_the_gradient_bounds_the_states_at_once(states, at_once, monkeypatch):
    monkeypatch.setattr(evolution, "GRADIENT_STATES", states)  # texts have 5 steps, and there are 3 hidden units
    network, _, tokens, labels = network_and_state()
    seen, forward = [], network.engine.forward
    monkeypatch.setattr(
        network.engine,
        "forward",
        lambda p, tokens, *others, **kw: seen.append(len(tokens)) or forward(p, tokens, *others, **kw),
    )
    evolution.gradient_sizes(network, tokens, labels, 4, np.random.default_rng(5))
    assert max(seen) == at_once and sum(seen) == 10


def test_evolution_prunes_by_the_rule_that_is_set():
    network, state, *_ = network_and_state(er_epsilon=0.8)
    E = network.parameters["E"]
    E.values[:] = np.where(np.arange(E.nnz) < 5, 0.1, -1.0) + np.arange(E.nnz) / 1000
    steps = evolution.evolve(state, TrainingSettings(prune_rule="magnitude", zeta=0.4))
    assert steps["E"].pruned.tolist() == [0, 1, 2, 3] != prune(E, 0.4, "sign").tolist()


@pytest.mark.parametrize("growth", ["zero", "random"])
def test_evolution_leaves_the_row_of_the_padding_empty(growth):
    network, state, *_ = network_and_state()
    for _ in range(30):
        evolution.evolve(state, TrainingSettings(growth=growth, zeta=0.9))
        assert network.parameters["E"].rows.min() > 0


@pytest.mark.parametrize(("candidates", "zeta"), [(1, 0.5), (2, 0.3), (100, 0.3)])
@pytest.mark.parametrize("name", ["W_x", "W_h"])
def test_evolution_among_free_cells_of_weight_zero(name, candidates, zeta):
    W = network_and_state()[0].parameters[name]
    settings = TrainingSettings(candidates=candidates, prune_rule="magnitude")
    probed = evolution.with_candidates(settings, zeta, np.random.default_rng(0))(W)
    kept = np.delete(W.topology.keys, prune(W, zeta, "magnitude"))
    count = min(candidates * (W.nnz - len(kept)), W.size - len(kept))
    candidates = draw_free_cells(kept, W.size, count, np.random.default_rng(0))
    assert probed.topology.keys.tolist() == np.union1d(W.topology.keys, candidates).tolist()
    np.testing.assert_array_equal(probed.toarray(), W.toarray())


@pytest.mark.parametrize("names", [["E", "W_x", "W_h"], ["E"], ["W_h"]])
def test_evolution_with_a_probe_has_the_scores_of_all_cells_at_some(names):
    network, _, tokens, labels = network_and_state(er_epsilon=1.0)
    tokens, weights = np.where((tokens > 4) | (tokens == 1), tokens, 0), np.linspace(0.5, 1.5, 10)
    given = tokens, labels, 3, np.random.default_rng(5), weights
    dense = evolution.gradient_sizes(network, *given)
    assert all(scores.any() for scores in dense.values())
    given = tokens, labels, 3, np.random.default_rng(5), weights, names, lambda W: W
    sizes = evolution.gradient_sizes(network, *given)
    assert list(sizes) == [name for name in ("W_x", "W_h", "E") if name in names]
    for name, scores in sizes.items():
        np.testing.assert_allclose(scores.values, dense[name][scores.rows, scores.cols], rtol=1e-10, atol=1e-15)
        at = np.repeat(np.unique(tokens)[1:], 4) if name == "E" else network.parameters[name].rows
        assert scores.rows.tolist() == at.tolist()
    if "E" in names:
        assert sizes["E"].cols.tolist() == [0, 1, 2, 3] * (len(np.unique(tokens)) - 1)


@pytest.mark.parametrize(
    ("n_epochs", "every", "first", "last"),
    [(1, None, 0, None), (3, None, 0, None), (3, None, 1, 1.5), (3, None, 1.5, 2), (1, 1, 0, None), (3, 1, 0.5, 1.5),
     (3, 3, 0, None), (3, 4, 1, 2), (3, 5, 0, None)],
)  # fmt: skip
def test_evolution_is_due_as_often_as_it_is_counted(n_epochs, every, first, last):
    settings = TrainingSettings(n_epochs=n_epochs, evolve_every=every, evolve_from=first, evolve_until=last)
    state = types.SimpleNamespace(history={"evolved_at": []}, n_updates=0)
    updates = []
    assert not evolution.evolution_is_due(types.SimpleNamespace(**vars(state), epoch=0, batch=0), settings, 4)
    for state.epoch in range(n_epochs):
        for state.batch in range(4):
            assert not evolution.evolution_is_due(state, replace(settings, evolve=False), 4)
            if evolution.evolution_is_due(state, settings, 4):
                state.history["evolved_at"].append([state.epoch, state.batch])
                updates.append(state.n_updates)
            assert not evolution.evolution_is_due(state, settings, 4)  # once it took place
            state.n_updates += 1
    step, until = every or 4, math.inf if last is None else 4 * last
    assert updates == [n for n in range(step, 4 * n_epochs, step) if 4 * first <= n <= until]
    assert len(updates) == evolution.count_evolutions(settings, 4)


def test_evolution_by_a_cosine_of_as_many_evolutions_as_there_are():
    network, state, tokens, labels = network_and_state(er_epsilon=2)
    settings = TrainingSettings(n_epochs=3, batch_size=5, evolve_every=1, zeta=0.8, zeta_schedule="cosine")
    for k in range(5):  # before minibatches 1 to 5 of 6
        zeta = 0.4 * (1 + math.cos(math.pi * k / 5))
        expected = {name: len(prune(network.parameters[name], zeta)) for name in ("E", "W_x", "W_h")}
        steps = evolution.evolve(state, settings, tokens, labels)
        assert {name: len(step.pruned) for name, step in steps.items()} == expected
        state.history["set_steps"].append(steps)
    assert evolution.zeta_of(settings, 1) == 0.4 * (1 + math.cos(math.pi / 2))  # between three epochs there are two


def test_evolution_gives_a_matrix_read_in_reverse_the_rule_of_its_twin():
    rules = {"W_x": "gradient"}
    names = ("E", "W_x", "W_h", "W_x_reverse", "W_h_reverse")
    assert [evolution.growth_of(rules, name) for name in names] == ["zero", "gradient", "zero", "gradient", "zero"]
    assert evolution.growth_of("random", "W_x_reverse") == "random"


# An LSTM of your own


def test_own_gradients_of_a_sparse_matrix_are_read_at_its_connections():
    x, b, dense_x, dense_h = np.ones((2, 3, 2)), np.ones(8), np.arange(16.0).reshape(2, 8), np.ones((2, 8))
    W_x, W_h = SparseMatrix.from_array(dense_x % 3), SparseMatrix.from_array(dense_x % 2)
    full = [x, dense_x, dense_h, b]
    at_the_connections = [x, dense_x[W_x.rows, W_x.cols], dense_h[W_h.rows, W_h.cols], b]
    for given in (full, at_the_connections):
        forward, backward = adapt((lstm_forward, lambda dh, cache, given=given: given))
        for gradient, expected in zip(backward(*forward(x, W_x, W_h, b)), at_the_connections, strict=False):
            np.testing.assert_array_equal(gradient, expected)


def test_own_gradients_may_be_lists_but_not_too_few():
    x, W_x, W_h, b = np.ones((2, 3, 1)), np.ones((1, 8)), np.ones((2, 8)), np.ones(8)
    forward, backward = adapt((lstm_forward, lambda dh, cache: [g.tolist() for g in lstm_backward(dh, cache)[:4]]))
    h, cache = forward(x, W_x, W_h, b)
    for gradient, expected in zip(backward(h, cache)[:4], lstm_backward(*lstm_forward(x, W_x, W_h, b)), strict=False):
        np.testing.assert_array_equal(gradient, expected)
    forward, backward = adapt((lstm_forward, lambda dh, cache: lstm_backward(dh, cache)[:3]))
    with pytest.raises(ValueError, match="without dx, dW_x, dW_h, db"):
        backward(*forward(x, W_x, W_h, b))


# The fast embedding


def test_fast_embedding_takes_the_inverse_in_one_dimension_from_any_numpy(monkeypatch):
    def unique(array, return_inverse, original=np.unique):
        values, inverse = original(array, return_inverse=return_inverse)
        return values, inverse.reshape(array.shape)  # as NumPy 2 does

    monkeypatch.setattr(np, "unique", unique)
    tokens, E, dx = np.array([[3, 1, 3], [0, 3, 1]]), np.ones((4, 2)), np.arange(12.0).reshape(1, 2, 3, 2)
    _, cache = fast_embedding_forward(tokens, E, 3)
    expected = np.zeros((4, 2))
    for n, t in np.ndindex(2, 3):
        expected[tokens[n, t]] += dx[0, :, t, n]
    np.testing.assert_array_equal(fast_embedding_backward([dx], [cache], E), expected)


# The fast LSTM

N, T, D, H = 3, 7, 2, 5


def test_fast_lstm_groups_of_steps():
    assert [steps_per_group(n) for n in (0, 1, 64, 65, 128, 129, 256, 257)] == [4, 4, 4, 3, 2, 1, 1, 1]


@pytest.mark.parametrize("way", ["gather", "dense"])
@pytest.mark.parametrize("S", [1, 2, 3, 7, 9])
def test_fast_lstm_keeps_nothing_when_it_predicts(S, way):
    rng = np.random.default_rng(0)
    W_x, W_h = rng.normal(size=(D, 4 * H)), rng.normal(size=(H, 4 * H))
    if way == "gather":
        W_x, W_h = (SparseMatrix.from_array(W * (rng.random(W.shape) < 0.6)) for W in (W_x, W_h))
    x, b, mask = rng.normal(size=(math.ceil(T / S), D, S, N)), rng.normal(size=4 * H), rng.random((N, T)) < 0.8
    products = [make_product(W, "gather", np.float64, n) for W, n in ((W_x, S * N), (W_h, N))]
    h, _ = fast_lstm_forward(x, *products, b, mask)
    predicted, cache = fast_lstm_forward(x, *products, b, mask, keep=False)
    np.testing.assert_array_equal(predicted, h)
    assert cache.slopes is None and len(cache.h) == 2


# Workers, without processes: the mutation test could not reach what runs in others


class Here:
    """Stands for a Pool: its workers are in this process, each with its own view of the shared memory."""

    def __init__(self):
        self.asked, self.views, self.of = [], [], None

    def load(self, job, n_workers, of=None):
        if of is None or of != self.of or n_workers != len(self.views):
            file, where = put_in_memory(job)
            self.twin, *self.views = (find_in_memory(file, where) for _ in range(1 + n_workers))
            os.close(file)
        self.of = of
        return self.twin

    def forget(self):
        self.asked.append("forget")

    def ask(self, name, shares, own=None):
        self.asked.append(name)
        sent = pickle.loads(pickle.dumps(shares))
        results = [getattr(view, name)(share) for view, share in zip(self.views, sent, strict=True)]
        return own() if own else None, results


def use_pool_here(monkeypatch):
    """Let small jobs be shared within this process; returns the pool."""
    pool = Here()
    monkeypatch.setattr(jobs, "borrow_pool", lambda: contextlib.nullcontext(pool))
    monkeypatch.setattr(jobs, "count_jobs", lambda n_jobs: n_jobs)
    monkeypatch.setattr(jobs, "has_one_thread", lambda: True)
    monkeypatch.setattr(jobs, "worker_processes", list)
    monkeypatch.setattr(minibatches, "LEAST_TEXTS", 5)
    monkeypatch.setattr(minibatches, "LEAST_CELLS", 1)
    monkeypatch.setattr(jobs, "LEAST_TRAINING", 0)
    monkeypatch.setattr(jobs, "LEAST_PREDICTION", 0)
    monkeypatch.setattr(jobs, "LEAST_PREDICTION_STARTED", 0)
    return pool


WORKERS_SIZES = NetworkSizes(n_words=30, embedding_dim=6, hidden_size=5, n_classes=3)


def texts_to_share(n_texts=43):
    rng = np.random.default_rng(5)
    return rng.integers(1, 30, (n_texts, 7)), rng.integers(0, 3, n_texts)


def network_to_share(**settings):
    rngs = np.random.default_rng(0).spawn(2)
    return init_network(WORKERS_SIZES, *rngs, er_epsilon=1.5, embedding_dropout=0.3, dropout=0.3, **settings)


@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize("growth", ["zero", "gradient"])
def test_jobs_share_training_and_change_no_bit(growth, validated, monkeypatch):
    """Two SET steps; validation, if any, in three batches."""
    pool, (tokens, labels) = use_pool_here(monkeypatch), texts_to_share()
    monkeypatch.setattr(jobs, "cut_texts", lambda n_texts: cut_texts(n_texts, 6))
    task = Classification(tokens, labels, np.linspace(0.5, 1.5, 43), (tokens[:17], labels[:17]) if validated else None)
    settings = TrainingSettings(n_epochs=3, batch_size=32, zeta=0.3, growth=growth)  # four pieces, then two
    outcomes = []
    for n_jobs in (1, 2, 3, 4, 9):
        network = network_to_share()
        state = TrainingState.start(network, Adam(network.parameters, 0.01), split_streams(np.random.default_rng(7)))
        with jobs.shared(task, network, settings, n_jobs) as shared:
            assert (shared.workers is None) == (n_jobs == 1)
            assert n_jobs == 1 or len(pool.views) == min(n_jobs, 4) - 1
            train_task(state, settings, shared)
        assert pool.asked[-1:] == ["forget"] * (n_jobs > 1), "the memory is free"
        outcomes.append(state)
    for state in outcomes[1:]:
        for key in ("train_loss", "train_accuracy", "validation_accuracy"):
            assert state.history[key] == outcomes[0].history[key]
        if validated:
            losses = (s.history["validation_loss"] for s in (state, outcomes[0]))
            np.testing.assert_allclose(*losses, rtol=1e-6)  # batches of 6 texts and of 128
        for name, W in outcomes[0].network.parameters.items():
            np.testing.assert_array_equal(weights_of(state.network.parameters[name]), weights_of(W), err_msg=name)
    assert pool.asked.count("backpropagate") == 4 * 6 and pool.asked.count("evaluate") == 4 * 5 * validated


def test_jobs_return_gradients_in_memory_only():
    def overflow(*_, **options):
        assert options.get("keep") is not True
        huge = np.float32(3e38)
        return huge * huge - huge * huge

    network = types.SimpleNamespace(
        backpropagate=lambda *of, **options: (overflow(), {"W": np.array([1.0, 2.0])}, np.zeros((len(of[0]), 3))),
        forward=lambda tokens, keep: (overflow(keep=keep) + 0 * np.ones((len(tokens), 3)), None),
    )
    tokens, labels = texts_to_share()
    memory = [None, {"W": np.zeros(2)}]
    job = jobs.TrainingJob(network, Classification(tokens, labels, None, (tokens, labels)), memory)
    with np.errstate(over="ignore", invalid="ignore"):
        (minibatch,) = job.backpropagate(([], [(1, minibatches.Piece(np.arange(4), 0.5, None))]))
        ((loss, _, total),) = job.evaluate(([], [slice(0, 9)]))
    assert minibatch.gradients == {} and minibatch.count == 4 and memory[1]["W"].tolist() == [1, 2]
    assert np.isnan(loss) and total == 9


def test_jobs_are_shared_where_that_pays(monkeypatch):
    pool, (tokens, labels), network = use_pool_here(monkeypatch), texts_to_share(), network_to_share()
    tokens[:20, :3] = 0
    words = np.count_nonzero(tokens) * (network.parameters["W_x"].nnz + network.parameters["W_h"].nnz)
    for more, is_shared in ((0, True), (1, False)):
        monkeypatch.setattr(jobs, "LEAST_TRAINING", 3 * words + more)
        with jobs.shared(Classification(tokens, labels), network, TrainingSettings(n_epochs=3), 2) as shared:
            assert (shared.workers is not None) == is_shared
        pool.asked.clear()
        monkeypatch.setattr(jobs, "LEAST_PREDICTION", words + more)
        monkeypatch.setattr(jobs, "cut_texts", lambda n_texts: cut_texts(n_texts, 6))
        jobs.predict_shared(network, tokens, 2)
        assert (pool.asked == ["predict"]) == is_shared
    for started, is_shared in ((1, False), (2, True), (3, True)):  # of the two that three processes need
        pool.asked.clear()
        monkeypatch.setattr(jobs, "LEAST_PREDICTION_STARTED", words)
        monkeypatch.setattr(jobs, "worker_processes", lambda started=started: list(range(started)))
        jobs.predict_shared(network, tokens, 3)
        assert (pool.asked == ["predict"]) == is_shared


@pytest.mark.parametrize("n_texts", [1, 6, 7, 43])
def test_jobs_share_predictions_and_change_no_bit(n_texts, monkeypatch):
    pool, (tokens, _), network = use_pool_here(monkeypatch), texts_to_share(n_texts), network_to_share()
    monkeypatch.setattr(jobs, "cut_texts", lambda n_texts: cut_texts(n_texts, 6))
    expected = jobs.predict_shared(network, tokens, 1)
    np.testing.assert_array_equal(expected, network.predict_proba(tokens, batch_size=6))
    assert not pool.asked
    for n_jobs in (2, 3, 20):
        shown = []
        show = lambda batches, shown=shown: shown.append(batches) or batches  # noqa: E731
        probabilities = jobs.predict_shared(network, tokens, n_jobs, show)
        np.testing.assert_array_equal(probabilities, expected)
        assert probabilities.dtype == expected.dtype and probabilities.flags.owndata
        n_batches = -(-n_texts // 6)
        assert [len(batches) for batches in shown] == [-(-n_batches // min(n_jobs, n_batches))]
    assert len(pool.asked) == (3 if n_texts > 6 else 0)


def test_jobs_that_pay_are_a_choice():
    chosen = jobs.LEAST_TRAINING, jobs.LEAST_PREDICTION, jobs.LEAST_PREDICTION_STARTED
    assert chosen == (3_000_000_000, 10_000_000_000, 200_000_000)


def test_jobs_of_prediction_say_what_they_are_of(monkeypatch):
    """All that is in the workers' network but its weights."""
    pool, (tokens, _) = use_pool_here(monkeypatch), texts_to_share()
    monkeypatch.setattr(jobs, "cut_texts", lambda n_texts: cut_texts(n_texts, 6))

    def of(network):
        jobs.predict_shared(network, tokens, 2)
        return pool.of

    network = network_to_share(kernel="gather")
    same = of(network)
    network.parameters["W_h"].values += 1
    network.parameters["b"] += 1
    expected = jobs.predict_shared(network, tokens, 1)
    assert of(network) == same
    np.testing.assert_array_equal(jobs.predict_shared(network, tokens, 2), expected)
    sparse, kinds = network.parameters, [same]
    changed = ({"W_h": sparse["W_h"].toarray()}, {"W_x": network_to_share().parameters["W_x"]})
    kinds += [of(network.with_parameters(sparse | some)) for some in changed]
    kinds.append(of(network.with_parameters(sparse | {"b": sparse["b"].astype(np.float64)})))
    kinds.append(of(network.with_parameters(sparse | {"W_out": np.asfortranarray(sparse["W_out"])})))
    for settings in ({"kernel": "scratch"}, {"engine": "plain"}, {"pooling": "mean", "kernel": "gather"}):
        other = network_to_share(**settings)
        other.parameters = sparse
        kinds.append(of(other))
    assert all(a != b for a, b in itertools.combinations(kinds, 2))


def test_jobs_predict_in_one_process_what_went_wrong_in_others(monkeypatch):
    pool, (tokens, _), network = use_pool_here(monkeypatch), texts_to_share(), network_to_share()
    monkeypatch.setattr(jobs, "cut_texts", lambda n_texts: cut_texts(n_texts, 6))
    expected = jobs.predict_shared(network, tokens, 1)
    pool.ask = lambda *_: 1 / 0
    np.testing.assert_array_equal(jobs.predict_shared(network, tokens, 2), expected)


def test_jobs_are_shared_beside_several_threads_of_blas_only_if_blas_has_nothing_to_do(monkeypatch):
    use_pool_here(monkeypatch)
    monkeypatch.setattr(jobs, "has_one_thread", lambda: False)
    parameters = network_to_share(kernel="gather").parameters
    dense = {name: parameters[name].toarray() for name in ("W_x", "W_h")}
    column = np.asfortranarray(np.ones((5, 6)))[:, ::2]
    for changed, n_jobs in (({}, 3), ({"W_x": dense["W_x"]}, 1), ({"W_h": dense["W_h"]}, 1), ({"W_out": column}, 1)):
        network = network_to_share(kernel="gather").with_parameters(parameters | changed)
        assert jobs._count_useful_jobs(network, 3) == n_jobs, changed.keys()
    monkeypatch.setattr(jobs, "has_one_thread", lambda: True)
    network = network_to_share(kernel="gather")
    assert jobs._count_useful_jobs(network.with_parameters(parameters | dense), 3) == 3
    assert jobs._count_useful_jobs(network.with_parameters(parameters | {"W_out": column}), 3) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no file that is always full")
def test_memory_that_is_full_is_given_back(monkeypatch):
    full = os.open("/dev/full", os.O_RDWR)
    monkeypatch.setattr(memory, "open_memory", lambda: full)
    with pytest.raises(OSError, match="No space left"):
        put_in_memory(np.zeros(3))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(full)


def test_jobs_stay_in_one_process_with_an_lstm_or_an_engine_of_ones_own_or_if_another_thread_has_the_pool(monkeypatch):
    pool, (tokens, labels) = use_pool_here(monkeypatch), texts_to_share()
    monkeypatch.setattr(jobs, "cut_texts", lambda n_texts: cut_texts(n_texts, 6))
    task, settings = Classification(tokens, labels), TrainingSettings()
    own = network_to_share(lstm=(lstm_forward, lstm_backward), check=False)
    strange = network_to_share(engine=types.SimpleNamespace(forward=network_to_share().engine.forward))
    another = network_to_share()
    another.__class__ = type("Another", (type(another),), {})
    for network in (own, strange, another):
        with jobs.shared(task, network, settings, 2) as shared:
            assert shared is task
        jobs.predict_shared(network, tokens, 2)
    with jobs.shared(task, network_to_share(engine="plain"), settings, 2) as shared:
        assert shared.workers is not None
    monkeypatch.setattr(jobs, "borrow_pool", lambda: contextlib.nullcontext(None))
    with jobs.shared(task, network_to_share(), settings, 2) as shared:
        assert shared is task
    expected = jobs.predict_shared(network_to_share(), tokens, 1)
    np.testing.assert_array_equal(jobs.predict_shared(network_to_share(), tokens, 2), expected)
    assert set(pool.asked) <= {"forget"}


def test_jobs_of_validation_are_done_here_when_a_worker_has_died(monkeypatch):
    pool, (tokens, labels), network = use_pool_here(monkeypatch), texts_to_share(), network_to_share()
    monkeypatch.setattr(jobs, "cut_texts", lambda n_texts: cut_texts(n_texts, 6))
    with jobs.shared(Classification(tokens, labels, None, (tokens, labels)), network, TrainingSettings(), 2) as shared:
        expected = shared.validate(network)

        def die(*_):
            raise WorkerError("killed")

        monkeypatch.setattr(pool, "ask", die)
        assert shared.validate(network) == expected
        monkeypatch.setattr(pool, "ask", lambda name, shares, own: (own(), [1 / 0 for _ in shares]))
        pieces = minibatches.cut_minibatch(np.arange(43), network.parameters, np.random.default_rng(0))
        assert len(shared.workers.backpropagate(network, pieces)) == 8, "training goes on without workers"


@pytest.mark.parametrize("memfd", [True, False])
def test_memory_of_values_with_arrays_anywhere(memfd, monkeypatch):
    if not memfd:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    value = {"a": np.arange(3.0), "b": [np.zeros((0, 4)), (np.arange(20, dtype=np.int8), "text")], "c": np.ones(1)}
    file, where = put_in_memory(value)
    here, there = find_in_memory(file, where), find_in_memory(file, where)
    size = os.fstat(file).st_size
    os.close(file)
    assert size == where[2] == 3 * 64, "each begins in a cache line of its own"
    for found in (here, there):
        np.testing.assert_array_equal(found["a"], value["a"])
        np.testing.assert_array_equal(found["b"][1][0], value["b"][1][0])
        assert found["b"][0].shape == (0, 4) and found["b"][1][1] == "text" and found["c"][0] == 1
    here["b"][1][0][7] = 77
    assert there["b"][1][0][7] == 77 and value["b"][1][0][7] == 7
    empty, where = put_in_memory("no array")
    assert find_in_memory(empty, where) == "no array" and os.fstat(empty).st_size == 1
    os.close(empty)
