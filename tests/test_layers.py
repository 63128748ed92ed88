"""The layers by hand: every parameter and input against the complex step, to 1e-12, dense and sparse."""

import warnings

import numpy as np
import pytest

from numpy_setlstm.gradcheck import check_gradients
from numpy_setlstm.layers.dropout import dropout_backward, dropout_forward
from numpy_setlstm.layers.embedding import embedding_backward, embedding_forward
from numpy_setlstm.layers.lstm import (
    GATES,
    lstm_backward,
    lstm_forward,
    lstm_step_backward,
    lstm_step_forward,
    sigmoid,
)
from numpy_setlstm.layers.readout import (
    cross_entropy_backward,
    cross_entropy_forward,
    linear_backward,
    linear_forward,
    softmax,
)
from numpy_setlstm.layers.trace import trace_states
from numpy_setlstm.sparse import SparseMatrix

N, T, D, H = 3, 5, 4, 6


def sparse(rng, shape, density=0.4):
    A = rng.normal(size=shape) * (rng.random(shape) < density)
    return SparseMatrix.from_array(A)


def lstm_parameters(rng, connectivity):
    draw = sparse if connectivity == "sparse" else lambda rng, shape: rng.normal(size=shape)
    return {
        "x": rng.normal(size=(N, T, D)),
        "W_x": draw(rng, (D, 4 * H)),
        "W_h": draw(rng, (H, 4 * H)),
        "b": rng.normal(size=4 * H),
        "h0": rng.normal(size=(N, H)),
        "c0": rng.normal(size=(N, H)),
    }


MASKS = {
    "no padding": np.ones((N, T), bool),
    "padding before": np.array([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]], bool),
    "padding after": np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]], bool),
    "padding in between": np.array([[1, 0, 1, 0, 1], [0, 1, 1, 0, 0], [1, 1, 0, 1, 1]], bool),
    "one text of padding only": np.array([[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 1, 0, 1]], bool),
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("connectivity", ["dense", "sparse"])
def test_lstm_gradients_of_everything_that_goes_in(connectivity, mask):
    rng = np.random.default_rng(1)
    p = lstm_parameters(rng, connectivity)
    dh = rng.normal(size=(N, T, H))  # every step is read by the loss

    def loss(p):
        return np.sum(dh * lstm_forward(**p, mask=mask)[0])

    _, cache = lstm_forward(**p, mask=mask)
    g = lstm_backward(dh, cache)
    gradients = {"x": g.dx, "W_x": g.dW_x, "W_h": g.dW_h, "b": g.db, "h0": g.dh0, "c0": g.dc0}
    check_gradients(loss, p, gradients, method="complex", limit=1e-12)


@pytest.mark.parametrize("connectivity", ["dense", "sparse"])
def test_embedding_gradient_with_repeated_words(connectivity):
    rng = np.random.default_rng(2)
    E = sparse(rng, (7, D)) if connectivity == "sparse" else rng.normal(size=(7, D))
    tokens = np.array([[3, 3, 0, 6, 3], [6, 6, 1, 2, 2], [5, 5, 5, 5, 5]])  # word 4 does not occur
    dx = rng.normal(size=(N, T, D))
    dE = embedding_backward(dx, embedding_forward(tokens, E)[1])
    check_gradients(lambda p: np.sum(dx * embedding_forward(tokens, p["E"])[0]), {"E": E}, {"E": dE})


def test_readout_and_loss_gradients():
    rng = np.random.default_rng(3)
    p = {"h": rng.normal(size=(N, H)), "W": rng.normal(size=(H, 4)), "b": rng.normal(size=4)}
    labels = np.array([3, 0, 3])

    def loss(p):
        return cross_entropy_forward(linear_forward(**p)[0], labels)[0]

    logits, cache = linear_forward(**p)
    dlogits = cross_entropy_backward(cross_entropy_forward(logits, labels)[1])
    dh, dW, db = linear_backward(dlogits, cache)
    check_gradients(loss, p, {"h": dh, "W": dW, "b": db})
    check_gradients(lambda p: cross_entropy_forward(p["y"], labels)[0], {"y": logits}, {"y": dlogits})


def test_dropout_gradient():
    rng = np.random.default_rng(4)
    x, dy = rng.normal(size=(N, D)), rng.normal(size=(N, D))

    def forward(x):
        return dropout_forward(x, 0.5, np.random.default_rng(5))

    dx = dropout_backward(dy, forward(x)[1])
    assert (dx == 0).any() and (dx != 0).any()
    check_gradients(lambda p: np.sum(dy * forward(p["x"])[0]), {"x": x}, {"x": dx})


def test_dropout_keeps_the_expected_value_and_is_off_without_a_generator():
    x = np.ones(200_000, np.float32)
    y, _ = dropout_forward(x, 0.3, np.random.default_rng(0))
    assert y.dtype == np.float32
    assert abs(y.mean() - 1) < 0.01 and abs((y == 0).mean() - 0.3) < 0.01
    assert dropout_forward(x, 0.3)[0] is x
    for rate in (-0.1, 1.0):
        with pytest.raises(ValueError, match=f"{rate}; expected a probability"):
            dropout_forward(x, rate, np.random.default_rng(0))


# The LSTM against the equations written down once more, one number at a time.


def lstm_by_numbers(x, W_x, W_h, b, mask, h, c):
    N, T, D = x.shape
    H = h.shape[1]
    h, c, outputs = h.copy(), c.copy(), np.zeros((N, T, H))
    for n in range(N):
        for t in range(T):
            if mask[n, t]:
                new_h, new_c = np.zeros(H), np.zeros(H)
                for k in range(H):
                    z = {}
                    for block, gate in enumerate(GATES):
                        column = block * H + k
                        z[gate] = b[column]
                        z[gate] += sum(x[n, t, d] * W_x[d, column] for d in range(D))
                        z[gate] += sum(h[n, j] * W_h[j, column] for j in range(H))
                    i, f, o = (1 / (1 + np.exp(-z[gate])) for gate in "ifo")
                    new_c[k] = f * c[n, k] + i * np.tanh(z["g"])
                    new_h[k] = o * np.tanh(new_c[k])
                h[n], c[n] = new_h, new_c
            outputs[n, t] = h[n]
    return outputs


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_lstm_equals_the_equations_one_number_at_a_time(mask):
    p = lstm_parameters(np.random.default_rng(6), "dense")
    expected = lstm_by_numbers(p["x"], p["W_x"], p["W_h"], p["b"], mask, p["h0"], p["c0"])
    np.testing.assert_allclose(lstm_forward(**p, mask=mask)[0], expected, rtol=0, atol=1e-13)


def test_sigmoid_at_the_extremes_without_a_warning():
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        assert sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist() == [0.0, 0.5, 1.0]
        assert softmax(np.array([[-1000.0, 1000.0]])).tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("connectivity", ["dense", "sparse"])
def test_lstm_keeps_the_data_type(dtype, connectivity):
    p = lstm_parameters(np.random.default_rng(7), connectivity)
    p = {
        k: v.with_values(v.values.astype(dtype)) if isinstance(v, SparseMatrix) else v.astype(dtype)
        for k, v in p.items()
    }
    h, cache = lstm_forward(**p, mask=MASKS["padding before"])
    assert h.dtype == dtype
    assert {g.dtype for g in lstm_backward(np.ones_like(h), cache)} == {np.dtype(dtype)}


def test_whole_numbers_are_read_as_numbers_and_never_cut():
    whole = {"x": np.array([[[1], [2]]]), "W_x": np.ones((1, 4), int), "W_h": np.ones((1, 4), int)}
    whole |= {"b": np.zeros(4, int), "h0": np.array([[2]]), "c0": np.array([[3]])}
    h, cache = lstm_forward(whole["x"], whole["W_x"], whole["W_h"], whole["b"])
    assert h.ravel().round(4).tolist() == [0.3696, 0.8112]
    h, cache = lstm_forward(**whole)
    h_expected, cache_expected = lstm_forward(**{name: array.astype(float) for name, array in whole.items()})
    np.testing.assert_allclose(h, h_expected, rtol=1e-14)
    gradients = lstm_backward(np.ones((1, 2, 1), int), cache)
    for name, expected in lstm_backward(np.ones((1, 2, 1)), cache_expected)._asdict().items():
        np.testing.assert_allclose(getattr(gradients, name), expected, rtol=1e-14, err_msg=name)
    y, _ = dropout_forward(np.ones(8, int), 0.2, np.random.default_rng(0))
    assert set(y.tolist()) == {0.0, 1.25}


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("connectivity", ["dense", "sparse"])
def test_whatever_stands_in_a_padded_step_is_not_read(value, connectivity):
    p, mask = lstm_parameters(np.random.default_rng(11), connectivity), MASKS["padding in between"]
    h, cache = lstm_forward(**p, mask=mask)
    p["x"] = np.where(mask[..., None], p["x"], value)
    h_spoilt, cache_spoilt = lstm_forward(**p, mask=mask)
    assert np.array_equal(h, h_spoilt)
    gradients, spoilt = lstm_backward(np.ones_like(h), cache), lstm_backward(np.ones_like(h), cache_spoilt)
    for name in gradients._fields:
        assert np.array_equal(getattr(gradients, name), getattr(spoilt, name)), name


def test_an_all_connections_sparse_matrix_equals_the_dense_array():
    rng = np.random.default_rng(8)
    p = lstm_parameters(rng, "dense")
    q = p | {"W_x": SparseMatrix.from_array(p["W_x"]), "W_h": SparseMatrix.from_array(p["W_h"])}
    dh = rng.normal(size=(N, T, H))
    (h, cache), (h_sparse, cache_sparse) = lstm_forward(**p), lstm_forward(**q)
    np.testing.assert_allclose(h_sparse, h, rtol=0, atol=1e-14)
    for dense, sparse_one in zip(lstm_backward(dh, cache), lstm_backward(dh, cache_sparse), strict=True):
        np.testing.assert_allclose(sparse_one, dense.reshape(sparse_one.shape), rtol=0, atol=1e-13)


def test_the_sparse_gradient_is_the_dense_gradient_picked_at_the_connections():
    rng = np.random.default_rng(9)
    p = lstm_parameters(rng, "sparse")
    q = p | {"W_x": p["W_x"].toarray(), "W_h": p["W_h"].toarray()}
    dh = rng.normal(size=(N, T, H))
    g = lstm_backward(dh, lstm_forward(**p)[1])
    g_dense = lstm_backward(dh, lstm_forward(**q)[1])
    for name in ("W_x", "W_h"):
        W = p[name]
        picked = getattr(g_dense, "d" + name)[W.rows, W.cols]
        np.testing.assert_allclose(getattr(g, "d" + name), picked, rtol=0, atol=1e-13)


def test_two_backward_passes_agree_and_a_second_forward_leaves_the_first_cache_alone():
    rng = np.random.default_rng(10)
    p = lstm_parameters(rng, "sparse")
    dh = rng.normal(size=(N, T, H))
    before = {k: v.values.copy() if isinstance(v, SparseMatrix) else v.copy() for k, v in p.items()}
    _, cache = lstm_forward(**p)
    first = lstm_backward(dh, cache)
    lstm_forward(**p | {"x": rng.normal(size=(N, T, D))})
    second = lstm_backward(dh, cache)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    for name, value in p.items():  # inputs are never changed
        np.testing.assert_array_equal(value.values if isinstance(value, SparseMatrix) else value, before[name])


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (0, 3, 2, 2), (2, 0, 2, 2), (2, 3, 0, 2), (1, 1, 5, 3)])
def test_odd_sizes(sizes):
    N, T, D, H = sizes
    h, cache = lstm_forward(np.ones((N, T, D)), np.ones((D, 4 * H)), np.ones((H, 4 * H)), np.ones(4 * H))
    g = lstm_backward(np.ones((N, T, H)), cache)
    assert h.shape == (N, T, H) and g.dx.shape == (N, T, D) and g.dW_x.shape == (D, 4 * H)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"W_h": np.zeros((6, 20))}, r"W_h has shape \(6, 20\); expected \(H, 4H\), such as \(6, 24\)"),
        ({"W_x": np.zeros((5, 24))}, r"W_x should be \(4, 24\); it is \(5, 24\)"),
        ({"b": np.zeros(6)}, r"b has shape \(6,\); W_h \(6, 24\) needs \(24,\)"),
        ({"mask": np.ones((3, 5))}, "dtype float64; x .* needs .* and bool"),
        ({"mask": np.ones((5, 3), bool)}, r"mask has shape \(5, 3\)"),
        ({"h0": np.zeros((3, 5))}, r"h0 has shape \(3, 5\); expected \(N, H\) = \(3, 6\)"),
        ({"c0": np.zeros((2, 6))}, r"c0 has shape \(2, 6\)"),
        ({"x": np.zeros((3, 4))}, r"x has shape \(3, 4\); expected \(N, T, D\)"),
    ],
)
def test_lstm_names_the_shapes_that_do_not_fit(wrong, message):
    p = lstm_parameters(np.random.default_rng(0), "dense") | wrong
    with pytest.raises(ValueError, match=message):
        lstm_forward(**p)


def test_readout_names_what_does_not_fit():
    with pytest.raises(ValueError, match=r"expected \(N, H\), \(H, C\) and \(C,\)"):
        linear_forward(np.zeros((2, 3)), np.zeros((4, 2)), np.zeros(2))
    with pytest.raises(ValueError, match="one per row"):
        cross_entropy_forward(np.zeros((2, 3)), np.array([0]))
    with pytest.raises(ValueError, match="3 classes are numbered 0 to 2"):
        cross_entropy_forward(np.zeros((2, 3)), np.array([0, 3]))


def test_small_whole_numbers_lose_no_digits():
    """NumPy's tanh of int8 is float16."""
    z, c = np.array([[1, 1, 1, 1]], np.int8), np.array([[2]], np.int8)
    for got, expected in zip(lstm_step_forward(z, c), lstm_step_forward(z * 1.0, c * 1.0), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_states_of_another_size_are_not_broadcast():
    with pytest.raises(ValueError, match=r"z has shape \(1, 8\); expected \(N, 4H\) with N = 3, H = 2"):
        lstm_step_forward(np.zeros((1, 8)), np.zeros((3, 2)))
    cache = lstm_step_forward(np.zeros((3, 8)), np.zeros((3, 2)))[-1]
    with pytest.raises(ValueError, match=r"dc has shape \(1, 2\); expected \(N, H\) with N = 3, H = 2"):
        lstm_step_backward(np.zeros((3, 2)), np.zeros((1, 2)), cache)
    y, keep = dropout_forward(np.ones((3, 2)), 0.5, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"keep has shape \(3, 2\); expected \(1, 2\)"):
        dropout_backward(np.ones((1, 2)), keep)


def test_the_cache_of_another_layer_is_refused():
    x, cache = embedding_forward(np.array([[1, 0]]), np.eye(2))
    with pytest.raises(TypeError, match="cache is EmbeddingCache.*expected the cache that lstm_forward returned"):
        lstm_backward(np.zeros((1, 2, 2)), cache)
    with pytest.raises(TypeError, match="cache is None, of type NoneType; expected the cache that embedding_forward"):
        embedding_backward(x, None)


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_what_overflows_is_one_clear_error_without_warnings(odd):
    weights = np.array([[1.0, -1.0, 1.0, -1.0], [-1.0, 1.0, -1.0, 1.0]])
    with warnings.catch_warnings(), pytest.raises(FloatingPointError, match="lower the learning rates"):
        warnings.simplefilter("error")
        lstm_forward(np.full((1, 1, 2), odd), weights, np.zeros((1, 4)), np.zeros(4))


def test_hidden_ids_are_refused():
    with pytest.raises(TypeError, match="tokens are MaskedArray; expected an integer array"):
        embedding_forward(np.ma.MaskedArray([[1, 0]], [[True, False]]), np.eye(2))


def test_states_are_traced_in_the_type_of_the_cache():
    arguments = np.ones((1, 2, 1)), np.full((1, 4), 1j), np.zeros((1, 4)), np.zeros(4)
    h, cache = lstm_forward(*arguments)
    traced, expected = trace_states(h.real, cache), trace_states(h, cache)
    np.testing.assert_array_equal(traced["c"], expected["c"])
