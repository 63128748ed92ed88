"""Both engines behind one interface: the plain one that is read, and the fast one, which has to equal it."""

from dataclasses import replace

import numpy as np
import pytest

from numpy_setlstm.fast import engine as fast_engine
from numpy_setlstm.fast.engine import FastEngine
from numpy_setlstm.gradcheck import check_gradients
from numpy_setlstm.initialization import NetworkSizes, init_network
from numpy_setlstm.layers.lstm import lstm_backward, lstm_forward
from numpy_setlstm.layers.readout import cross_entropy_backward, cross_entropy_forward
from numpy_setlstm.network import Network, PlainEngine
from numpy_setlstm.parameters import SPARSE_PARAMETERS
from numpy_setlstm.sparse import SparseMatrix, weights_of
from numpy_setlstm.training import TrainingSettings, TrainingState, split_streams, train

SIZES = NetworkSizes(n_words=23, embedding_dim=7, hidden_size=5, n_classes=3)
ENGINES = {
    "plain": {"engine": "plain"},
    "gather": {"kernel": "gather"},
    "scratch": {"kernel": "scratch"},
    "auto": {},
}
CONNECTIVITIES = {
    "dense": {"er_epsilon": None},
    "sparse": {"er_epsilon": 1.5},
    "few connections": {"er_epsilon": 0.5},
    "dense, both ends": {"er_epsilon": None, "bidirectional": True},
    "sparse, both ends": {"er_epsilon": 1.5, "bidirectional": True},
}
DROPOUT = {"no dropout": {}, "dropout": {"embedding_dropout": 0.3, "dropout": 0.4}}
LABELS = np.array([0, 2, 1, 1])


def tokens_with(padding):
    """(4, 9) word ids, words repeated, one text of a single word."""
    tokens = np.random.default_rng(7).integers(1, SIZES.n_words, (4, 9))
    lengths = np.array([9, 4, 1, 6])[:, None]
    if padding == "before":
        tokens[np.arange(9) < 9 - lengths] = 0
    if padding == "after":
        tokens[np.arange(9) >= lengths] = 0
    if padding == "between":
        tokens[np.random.default_rng(8).random((4, 9)) < 0.4] = 0
    if padding == "only":
        tokens[1] = 0
    return tokens


PADDING = ("none", "before", "after", "between", "only")


def network_of(er_epsilon, dtype=np.float64, bidirectional=False, **settings):
    rngs, sizes = (np.random.default_rng(0), np.random.default_rng(1)), replace(SIZES, bidirectional=bidirectional)
    network = init_network(sizes, *rngs, er_epsilon=er_epsilon, dtype=dtype, **settings)
    for name in ("b", "b_reverse", "b_out")[:: 1 if bidirectional else 2]:
        network.parameters[name] += np.random.default_rng(2).normal(size=network.parameters[name].shape).astype(dtype)
    return network


def outcome_of(network, tokens, seed=3):
    """Logits, loss and gradients, with everything that dropout has drawn."""
    rng = np.random.default_rng(seed)
    logits, cache = network.forward(tokens, rng)
    loss, loss_cache = cross_entropy_forward(logits, LABELS)
    gradients = network.backward(cross_entropy_backward(loss_cache), cache)
    prediction, no_cache = network.forward(tokens, keep=False)
    assert no_cache is None
    return {"logits": logits, "loss": loss, "prediction": prediction, "next draw": rng.random(), **gradients}


def assert_equal(ours, plain, limit):
    """Equal up to `limit` of the largest number of each array."""
    assert ours.keys() == plain.keys()
    for name, expected in plain.items():
        assert np.asarray(ours[name]).dtype == np.asarray(expected).dtype, name
        scale = np.abs(expected).max(initial=0)
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=limit * scale, err_msg=name)


@pytest.mark.parametrize("dtype, limit", [(np.float64, 1e-12), (np.float32, 1e-5)], ids=["float64", "float32"])
@pytest.mark.parametrize("dropout", DROPOUT)
@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
@pytest.mark.parametrize("engine", ["gather", "scratch", "auto"])
def test_the_fast_engine_equals_the_plain_one(engine, connectivity, padding, dropout, dtype, limit):
    settings = {**CONNECTIVITIES[connectivity], "dtype": dtype, **DROPOUT[dropout]}
    plain = outcome_of(network_of(**settings, **ENGINES["plain"]), tokens_with(padding))
    fast = outcome_of(network_of(**settings, **ENGINES[engine]), tokens_with(padding))
    assert plain["logits"].dtype == dtype
    assert_equal(fast, plain, limit)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_many_texts_equal_the_plain_engine(bidirectional):
    """150 texts: one step in each group."""
    rng = np.random.default_rng(0)
    tokens, labels = rng.integers(0, SIZES.n_words, (150, 9)), rng.integers(0, 3, 150)
    settings = {"embedding_dropout": 0.3, "dropout": 0.3, "bidirectional": bidirectional}
    plain = network_of(0.5, **settings, engine="plain")
    fast = network_of(0.5, **settings, kernel="gather")
    ours, theirs = (net.backpropagate(tokens, labels, np.random.default_rng(1)) for net in (fast, plain))
    assert_equal({"logits": ours[2], **ours[1]}, {"logits": theirs[2], **theirs[1]}, 1e-12)


@pytest.mark.parametrize("engine", [PlainEngine(), FastEngine("gather"), FastEngine("scratch")])
def test_an_engine_by_itself_keeps_its_cache_and_drops_nothing(engine):
    parameters, tokens = network_of(1.5).parameters, tokens_with("before")
    logits, cache = engine.forward(parameters, tokens)
    np.testing.assert_array_equal(logits, engine.forward(parameters, tokens, rng=np.random.default_rng(0))[0])
    assert engine.backward(np.ones_like(logits), cache)["E"].shape == (parameters["E"].nnz,)


def test_large_arrays_of_a_minibatch_come_from_the_pool(monkeypatch):
    network, sizes = network_of(1.5, kernel="gather"), []
    monkeypatch.setattr(network.engine._pool, "empty", lambda *of: sizes.append(of[0]) or np.empty(*of))
    network.backpropagate(tokens_with("none"), LABELS)
    D, H, N, T, S = 7, 5, 4, 9, 4
    for shape in [(3, D, S, N), (T, 6, H, N), (T, 4 * H, N), (T + 1, H, N), (4 * H, S, N), (4 * H, N), (3, D, S, N)]:
        assert shape in sizes, f"{shape} is made elsewhere"
        sizes.remove(shape)
    sizes.clear()
    network.predict_proba(tokens_with("none"))
    assert (2, H, N) in sizes and (T, 6, H, N) not in sizes, "a prediction keeps only what its next step needs"


def lstm_arguments(n_texts):
    """What an LSTM reads in 9 steps: x, its weights, and the states before the first step."""
    parameters, rng = network_of(1.5).parameters, np.random.default_rng(4)
    weights = (parameters[name] for name in ("W_x", "W_h", "b"))
    return rng.normal(size=(n_texts, 9, 7)), *weights, *rng.normal(size=(2, n_texts, 5))


def run_lstm(engine, n_texts, *, keep):
    """States, memory and cache of the LSTM alone, as a language model runs it."""
    return engine.run_lstm(*lstm_arguments(n_texts), keep=keep)


@pytest.mark.parametrize("engine", [PlainEngine(), FastEngine("gather"), FastEngine("scratch")])
def test_an_lstm_by_itself_equals_the_layer_whether_its_cache_is_kept_or_not(engine):
    """Within rounding; PlainEngine is the layer."""
    h, c, cache = run_lstm(engine, 4, keep=True)
    h_alone, c_alone, nothing = run_lstm(engine, 4, keep=False)
    assert nothing is None
    x, W_x, W_h, b, h0, c0 = lstm_arguments(4)
    expected, of_layer = lstm_forward(x, W_x, W_h, b, None, h0, c0)
    for ours, theirs in ((h, expected), (h_alone, expected), (c, of_layer.c_last), (c_alone, of_layer.c_last)):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-14)
    dh = np.random.default_rng(5).normal(size=h.shape)
    gradients = zip(engine.run_lstm_back(dh, cache), lstm_backward(dh, of_layer), strict=True)
    for ours, theirs in gradients:
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n_texts", "S", "n_groups"), [(4, 4, 3), (100, 2, 5), (200, 1, 9)])
def test_large_arrays_of_an_lstm_by_itself_come_from_the_pool_for_as_many_groups_as_its_steps_fill(
    n_texts, S, n_groups, monkeypatch
):
    engine, sizes = FastEngine("gather"), []
    monkeypatch.setattr(engine._pool, "empty", lambda *of: sizes.append(of[0]) or np.empty(*of))
    h, _, cache = run_lstm(engine, n_texts, keep=True)
    assert cache.x.shape == (n_groups, 7, S, n_texts)
    sizes.clear()
    engine.run_lstm_back(np.ones_like(h), cache)
    assert (n_groups, 7, S, n_texts) in sizes, "the gradient of x is made elsewhere"


@pytest.mark.parametrize("dropout", DROPOUT)
@pytest.mark.parametrize("padding", ["before", "between"])
@pytest.mark.parametrize("connectivity", CONNECTIVITIES)
@pytest.mark.parametrize("engine", ENGINES)
def test_gradients_by_complex_step(engine, connectivity, padding, dropout):
    network = network_of(**CONNECTIVITIES[connectivity], **DROPOUT[dropout], **ENGINES[engine])
    tokens = tokens_with(padding)

    def loss(parameters):
        logits, _ = network.forward(tokens, np.random.default_rng(3), parameters)
        return cross_entropy_forward(logits, LABELS)[0]

    _, gradients, _ = network.backpropagate(tokens, LABELS, np.random.default_rng(3))
    check_gradients(loss, network.parameters, gradients, method="complex", limit=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_two_backward_passes_give_the_same_gradients_and_leave_their_input_alone(engine):
    network = network_of(1.5, embedding_dropout=0.3, dropout=0.3, **ENGINES[engine])
    before = {name: weights_of(W).copy() for name, W in network.parameters.items()}
    tokens = tokens_with("before")
    logits, cache = network.forward(tokens, np.random.default_rng(0))
    dlogits = np.random.default_rng(1).normal(size=logits.shape)
    first, kept = network.backward(dlogits, cache), dlogits.copy()
    network.forward(tokens[::-1].copy(), np.random.default_rng(2))
    second = network.backward(dlogits, cache)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
        np.testing.assert_array_equal(weights_of(network.parameters[name]), before[name], err_msg=name)
    np.testing.assert_array_equal(dlogits, kept)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_training_by_either_engine_ends_with_the_same_network(kind, bidirectional):
    """Three epochs with dropout and two SET steps: the same connections, weights equal up to rounding."""
    rng = np.random.default_rng(0)
    tokens, labels = rng.integers(1, SIZES.n_words, (60, 8)), rng.integers(0, 3, 60)
    networks = []
    for options in (ENGINES["plain"], ENGINES["gather"]):
        network = network_of(0.5, bidirectional=bidirectional, embedding_dropout=0.2, dropout=0.2, **options)
        optimizer = network.engine.optimizers[kind](network.parameters, 0.01)
        state = TrainingState.start(network, optimizer, split_streams(np.random.default_rng(5)))
        networks.append(train(state, TrainingSettings(n_epochs=3, batch_size=16, zeta=0.3), tokens, labels).network)
    plain, fast = (network.parameters for network in networks)
    for name, W in plain.items():
        np.testing.assert_allclose(weights_of(fast[name]), weights_of(W), rtol=0, atol=1e-9, err_msg=name)
        if name in SPARSE_PARAMETERS:
            np.testing.assert_array_equal(fast[name].rows, W.rows)
            np.testing.assert_array_equal(fast[name].cols, W.cols)


@pytest.mark.parametrize("method", ["__init__", "forward", "backward"])
def test_both_engines_have_the_same_interface(method):
    def names(engine):
        code = getattr(engine, method).__code__
        return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]

    if method == "__init__":
        assert PlainEngine.optimizers.keys() == FastEngine.optimizers.keys()
    else:
        assert names(PlainEngine) == names(FastEngine)


def test_a_copy_runs_in_the_same_engine():
    network = network_of(1.5, engine="plain")
    assert network.copy().engine is network.engine


def test_an_unknown_engine_is_named_together_with_the_known_ones():
    with pytest.raises(ValueError, match="engine is 'quick'; expected one of 'fast', 'plain'"):
        Network({}, engine="quick")


def test_a_sparse_readout_is_laid_out_if_there_is_room(monkeypatch):
    W = SparseMatrix((2, 3), [0, 1], [2, 0], [5.0, 7.0])
    monkeypatch.setattr(fast_engine, "SCRATCH_MAX_CELLS", 6)
    np.testing.assert_array_equal(FastEngine().lay_out(W), W.toarray())
    assert FastEngine(kernel="gather").lay_out(W) is W and PlainEngine().lay_out(W) is W
    assert FastEngine().lay_out(W.toarray()).shape == (2, 3)
    monkeypatch.setattr(fast_engine, "SCRATCH_MAX_CELLS", 5)
    assert FastEngine().lay_out(W) is W


def test_blas_multiplies_by_what_is_dense_or_written_out():
    few, many = (
        SparseMatrix((10, 40), *np.divmod(np.arange(0, 400, step), 40), np.ones(400 // step)) for step in (50, 4)
    )
    for engine, expected in (
        (FastEngine("auto"), [False, True]),  # where a tenth of the cells are connections, BLAS is faster
        (FastEngine("gather"), [False, False]),
        (FastEngine("scratch"), [True, True]),
        (PlainEngine(), [False, False]),
    ):
        assert [engine.uses_blas(W) for W in (few, many)] == expected
        assert engine.uses_blas(many.toarray())
