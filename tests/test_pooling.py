"""What the readout reads: the last state, the mean or the maximum of the states; in both engines, forward and back."""

import numpy as np
import pytest
from test_engines import (
    CONNECTIVITIES,
    DROPOUT,
    ENGINES,
    LABELS,
    PADDING,
    SIZES,
    assert_equal,
    network_of,
    outcome_of,
    tokens_with,
)

from numpy_setlstm.fast.pooling import make_pool
from numpy_setlstm.gradcheck import check_gradients
from numpy_setlstm.layers.lstm import lstm_backward, lstm_forward
from numpy_setlstm.layers.pooling import POOLINGS, pool_backward, pool_forward
from numpy_setlstm.layers.readout import cross_entropy_forward
from numpy_setlstm.network import Network
from numpy_setlstm.sparse import SparseMatrix

H = np.array(
    [
        [[0.1, -0.2], [0.5, -0.4], [0.5, -0.1]],
        [[0.9, 0.9], [0.3, -0.8], [0.3, -0.8]],
        [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]],
    ]
)  # (N, T, H)
MASK = np.array([[True, True, True], [False, True, False], [False, False, False]])
EXPECTED = {
    "last": [[0.5, -0.1], [0.3, -0.8], [0.0, 0.0]],
    "mean": [[1.1 / 3, -0.7 / 3], [0.3, -0.8], [0.0, 0.0]],
    "max": [[0.5, -0.1], [0.3, -0.8], [0.0, 0.0]],
}
DPOOLED = np.array([[3.0, 6.0], [1.0, 2.0], [5.0, 7.0]])
DH = {
    "last": [[[0, 0], [0, 0], [3, 6]], [[0, 0], [0, 0], [1, 2]], [[0, 0], [0, 0], [5, 7]]],
    "mean": [[[1, 2], [1, 2], [1, 2]], [[0, 0], [1, 2], [0, 0]], [[0, 0], [0, 0], [0, 0]]],
    "max": [[[0, 0], [3, 0], [0, 6]], [[0, 0], [1, 2], [0, 0]], [[0, 0], [0, 0], [0, 0]]],  # the first of equal ones
}
DTYPES = [np.float32, np.float64, np.complex128]


# The layer, and its fast twin


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pooling", POOLINGS)
def test_states_are_pooled_over_the_words_and_gradients_go_back_to_them(pooling, dtype):
    pooled, share = pool_forward(H.astype(dtype), MASK, pooling)
    assert pooled.dtype == dtype and share.dtype == H.astype(dtype).real.dtype
    np.testing.assert_allclose(pooled, EXPECTED[pooling], rtol=0, atol=1e-7 if dtype == np.float32 else 1e-15)
    dh = pool_backward(DPOOLED.astype(dtype), share)
    assert dh.dtype == dtype and dh.shape == H.shape
    np.testing.assert_allclose(dh, DH[pooling], rtol=1e-7 if dtype == np.float32 else 1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_the_fast_pool_equals_the_layer_step_by_step(pooling, dtype):
    h, memory = H.astype(dtype), []
    pool = make_pool(pooling, MASK, 2, dtype, lambda *of: memory.append(of) or np.full(of[0], 7, of[1]))
    for t in range(3):
        pool.see(t, h[:, t].T)
    np.testing.assert_allclose(pool.pooled.T, EXPECTED[pooling], rtol=0, atol=1e-7 if dtype == np.float32 else 1e-15)
    assert pool.pooled.dtype == dtype and memory == [
        ((2, 3), of) for of in ((dtype, dtype) if pooling == "mean" else (dtype, np.int32))
    ]
    for t in reversed(range(3)):
        dh = np.ones((2, 3), dtype)
        pool.give_back(t, DPOOLED.T.astype(dtype), dh)
        np.testing.assert_allclose(dh.T - 1, np.array(DH[pooling])[:, t], rtol=1e-6, atol=1e-6)
        assert dh.dtype == dtype


def test_of_states_that_are_equal_but_for_a_complex_step_the_first_is_the_largest():
    h = np.array([[[0.25], [0.5 - 1e-9j], [0.5 + 1e-9j]]])
    pool = make_pool("max", MASK[:1], 1, complex)
    for t in range(3):
        pool.see(t, h[:, t].T)
    assert pool.pooled.item() == pool_forward(h, MASK[:1], "max")[0].item() == 0.5 - 1e-9j


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_shares_of_a_mean_have_the_type_of_the_states(dtype):
    assert make_pool("mean", MASK, 2, dtype).share.dtype == dtype


def test_the_last_state_needs_no_pool():
    assert make_pool("last", MASK, 2, np.float64) is None


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_a_state_that_is_no_number_is_not_hidden(pooling, at):
    """As when training diverges; from then on, all states of an LSTM are NaN."""
    h = np.full((1, 3, 1), 0.5)
    h[:, at:] = np.nan
    pool = make_pool(pooling, MASK[:1], 1, np.float64)
    for t in range(3):
        pool.see(t, h[:, t].T)
    assert np.isnan(pool.pooled).all() and np.isnan(pool_forward(h, MASK[:1], pooling)[0]).all()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_gradients_of_the_pooling_by_complex_step(pooling):
    rng = np.random.default_rng(0)
    h, mask, dpooled = rng.normal(size=(5, 6, 4)), rng.random((5, 6)) < 0.6, rng.normal(size=(5, 4))
    _, share = pool_forward(h, mask, pooling)
    gradients = {"h": pool_backward(dpooled, share)}
    check_gradients(lambda p: (dpooled * pool_forward(p["h"], mask, pooling)[0]).sum(), {"h": h}, gradients)


# The network


@pytest.mark.parametrize("engine", ["plain", "gather", "scratch"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_readout_reads_what_each_direction_pools(pooling, engine):
    network = network_of(1.5, bidirectional=True, pooling=pooling, **ENGINES[engine])
    p = {name: W.toarray() if isinstance(W, SparseMatrix) else W for name, W in network.parameters.items()}
    words = np.array([3, 8, 1, 5])
    x = p["E"][words][None]
    forward = lstm_forward(x, p["W_x"], p["W_h"], p["b"])[0][0]
    backward = lstm_forward(x[:, ::-1], p["W_x_reverse"], p["W_h_reverse"], p["b_reverse"])[0][0]
    reduce = {"last": lambda h: h[-1], "mean": lambda h: h.mean(axis=0), "max": lambda h: h.max(axis=0)}[pooling]
    expected = np.concatenate([reduce(forward), reduce(backward)]) @ p["W_out"] + p["b_out"]
    for tokens in (words[None], np.array([[0, 3, 0, 0, 8, 1, 5, 0], [2, 2, 2, 2, 2, 2, 2, 2]])):
        np.testing.assert_allclose(network.forward(tokens)[0][0], expected, rtol=1e-12)
        np.testing.assert_allclose(network.forward(tokens, keep=False)[0][0], expected, rtol=1e-12)


@pytest.mark.parametrize("dtype, limit", [(np.float64, 1e-12), (np.float32, 1e-5)], ids=["float64", "float32"])
@pytest.mark.parametrize("dropout", DROPOUT)
@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize("connectivity", ["dense", "sparse", "sparse, both ends"])
@pytest.mark.parametrize("engine", ["gather", "scratch"])
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_the_fast_engine_equals_the_plain_one(pooling, engine, connectivity, padding, dropout, dtype, limit):
    settings = {**CONNECTIVITIES[connectivity], "dtype": dtype, "pooling": pooling, **DROPOUT[dropout]}
    plain = outcome_of(network_of(**settings, **ENGINES["plain"]), tokens_with(padding))
    fast = outcome_of(network_of(**settings, **ENGINES[engine]), tokens_with(padding))
    assert plain["logits"].dtype == dtype
    assert_equal(fast, plain, limit)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_many_texts_equal_the_plain_engine(pooling, bidirectional):
    rng = np.random.default_rng(0)
    tokens, labels = rng.integers(0, SIZES.n_words, (150, 9)), rng.integers(0, 3, 150)
    settings = {"embedding_dropout": 0.3, "dropout": 0.3, "bidirectional": bidirectional, "pooling": pooling}
    plain = network_of(0.5, **settings, engine="plain")
    fast = network_of(0.5, **settings, kernel="gather")
    ours, theirs = (net.backpropagate(tokens, labels, np.random.default_rng(1)) for net in (fast, plain))
    assert_equal({"logits": ours[2], **ours[1]}, {"logits": theirs[2], **theirs[1]}, 1e-12)


@pytest.mark.parametrize("padding", ["before", "between", "only"])
@pytest.mark.parametrize("connectivity", ["dense", "sparse", "sparse, both ends"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_gradients_by_complex_step(pooling, engine, connectivity, padding):
    dropout = {"embedding_dropout": 0.3, "dropout": 0.4}
    network = network_of(**CONNECTIVITIES[connectivity], pooling=pooling, **dropout, **ENGINES[engine])
    tokens = tokens_with(padding)

    def loss(parameters):
        logits, _ = network.forward(tokens, np.random.default_rng(3), parameters)
        return cross_entropy_forward(logits, LABELS)[0]

    _, gradients, _ = network.backpropagate(tokens, LABELS, np.random.default_rng(3))
    check_gradients(loss, network.parameters, gradients, method="complex", limit=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_two_backward_passes_give_the_same_gradients(pooling, engine):
    network, tokens = network_of(1.5, pooling=pooling, dropout=0.3, **ENGINES[engine]), tokens_with("before")
    logits, cache = network.forward(tokens, np.random.default_rng(0))
    dlogits = np.random.default_rng(1).normal(size=logits.shape)
    first = network.backward(dlogits, cache)
    network.forward(tokens[::-1].copy(), np.random.default_rng(2))
    for name, gradient in network.backward(dlogits, cache).items():
        np.testing.assert_array_equal(gradient, first[name], err_msg=name)


@pytest.mark.parametrize("engine", ["plain", "gather"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_text_of_padding_only_has_the_logits_of_the_state_before_any_word(pooling, engine):
    network = network_of(1.5, pooling=pooling, **ENGINES[engine])
    for tokens in (np.zeros((2, 5), int), np.array([[0, 0], [3, 4]])):
        np.testing.assert_array_equal(network.forward(tokens)[0][0], network.parameters["b_out"])


@pytest.mark.parametrize("pooling", POOLINGS)
def test_an_lstm_of_your_own_is_pooled_too(pooling):
    settings, tokens = {"pooling": pooling, "dropout": 0.2, "bidirectional": True}, tokens_with("between")
    own = network_of(1.5, lstm=(lstm_forward, lstm_backward), **settings)
    expected = outcome_of(network_of(1.5, engine="plain", **settings), tokens)
    for name, array in outcome_of(own, tokens).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


def test_a_copy_pools_alike_and_an_unknown_pooling_is_refused():
    network = network_of(1.5, pooling="max")
    assert network.copy().pooling == "max" and network_of(1.5).pooling == "last"
    with pytest.raises(ValueError, match="pooling is 'sum'; expected one of 'last', 'mean', 'max'"):
        Network(network.parameters, pooling="sum")
