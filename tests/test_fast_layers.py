"""The fast LSTM and embedding equal their plain twins, for every kernel, type and kind of padding."""

import numpy as np
import pytest

from numpy_setlstm.fast import words
from numpy_setlstm.fast.embedding import fast_embedding_backward, fast_embedding_forward
from numpy_setlstm.fast.engine import FastEngine
from numpy_setlstm.fast.lstm import fast_lstm_backward, fast_lstm_forward
from numpy_setlstm.fast.products import make_product
from numpy_setlstm.fast.words import make_word_table
from numpy_setlstm.gradcheck import check_gradients
from numpy_setlstm.layers.embedding import embedding_backward, embedding_forward
from numpy_setlstm.layers.lstm import lstm_backward, lstm_forward
from numpy_setlstm.sparse import SparseMatrix

N, T, D, H = 5, 6, 7, 4
MASKS = {
    "no padding": np.ones((N, T), bool),
    "padding before": np.arange(T) >= np.array([0, 2, 5, 1, 3])[:, None],
    "padding after": np.arange(T) < np.array([6, 2, 5, 1, 3])[:, None],
    "padding in between": np.random.default_rng(0).random((N, T)) < 0.6,
    "one text of padding only": np.arange(N)[:, None] * np.ones(T) > 0,
}
WAYS = ["dense", "gather", "scratch", "auto"]
# Sums are taken in another order, so the last digits may differ: a few hundred roundings of numbers up to about 10.
TOLERANCES = {np.float32: 1e-5, np.float64: 2e-14}


def matrix(rng, shape, way, dtype=np.float64, density=0.3):
    A = rng.normal(size=shape)
    if way != "dense":
        A *= rng.random(shape) < density
        A[:, 3], A[2] = 0, 0  # a column and a row without connections
    return A.astype(dtype) if way == "dense" else SparseMatrix.from_array(A.astype(dtype))


def products_of(W_x, W_h, way, S, dtype=np.float64):
    kernel = "auto" if way == "dense" else way
    return make_product(W_x, kernel, dtype, S * N), make_product(W_h, kernel, dtype, N)


def in_groups(x, S, filling=0.0):
    """(N, T, D) -> (n_groups, D, S, N); what is left of the last group is filled."""
    N, T, D = x.shape
    groups = np.full((-(-T // S), D, S, N), filling, x.dtype)
    for t in range(T):
        groups[t // S, :, t % S] = x[:, t].T
    return groups


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("S", [1, 4, 6, 7])
@pytest.mark.parametrize("way", WAYS)
def test_the_fast_lstm_equals_the_plain_one(way, S, mask, dtype):
    rng = np.random.default_rng(1)
    W_x, W_h = matrix(rng, (D, 4 * H), way, dtype), matrix(rng, (H, 4 * H), way, dtype)
    x, b, dh_last = (rng.normal(size=shape).astype(dtype) for shape in ((N, T, D), 4 * H, (N, H)))
    h, cache = lstm_forward(x, W_x, W_h, b, mask)
    dh = np.zeros_like(h)
    dh[:, -1] = dh_last
    plain = lstm_backward(dh, cache)

    product_x, product_h = products_of(W_x, W_h, way, S, dtype)
    fast_h, fast_cache = fast_lstm_forward(in_groups(x, S, filling=7.0), product_x, product_h, b, mask)
    dx, db, *_ = fast_lstm_backward(dh_last.T, fast_cache)
    pairs = {
        "h": (fast_h.T, h[:, -1]),
        "dx": (dx, in_groups(plain.dx, S)),
        "db": (db, plain.db),
        "dW_x": (product_x.gradient(), plain.dW_x),
        "dW_h": (product_h.gradient(), plain.dW_h),
    }
    for name, (fast, expected) in pairs.items():
        np.testing.assert_allclose(fast, expected, rtol=0, atol=TOLERANCES[dtype], err_msg=name)
        assert fast.dtype == dtype, f"{name} is {fast.dtype}"


@pytest.mark.parametrize("mask", [MASKS["no padding"], MASKS["padding in between"]], ids=["no padding", "padding"])
@pytest.mark.parametrize("way", WAYS)
def test_predicting_without_a_cache_gives_the_same_bits(way, mask):
    """Also over more steps than there are arrays to write to."""
    rng = np.random.default_rng(2)
    W_x, W_h = matrix(rng, (D, 4 * H), way), matrix(rng, (H, 4 * H), way)
    b, x, mask = rng.normal(size=4 * H), in_groups(rng.normal(size=(N, 7 * T, D)), 4), np.tile(mask, 7)
    kept, _ = fast_lstm_forward(x, *products_of(W_x, W_h, way, 4), b, mask)
    fleeting, _ = fast_lstm_forward(x, *products_of(W_x, W_h, way, 4), b, mask, keep=False)
    np.testing.assert_array_equal(fleeting, kept)


@pytest.mark.parametrize("mask", [MASKS["no padding"], MASKS["padding in between"]], ids=["no padding", "padding"])
@pytest.mark.parametrize("way", ["dense", "gather", "scratch"])
def test_gradients_of_the_fast_lstm_by_complex_step(way, mask):
    rng = np.random.default_rng(3)
    p = {
        "x": in_groups(rng.normal(size=(N, T, D)), 4),  # two steps of the second group are left over
        "W_x": matrix(rng, (D, 4 * H), way),
        "W_h": matrix(rng, (H, 4 * H), way),
        "b": rng.normal(size=4 * H),
    }
    dh = rng.normal(size=(H, N))

    def run(p):
        dtype = np.result_type(*(getattr(a, "values", a) for a in p.values()))
        products = products_of(p["W_x"], p["W_h"], way, 4, dtype)
        return products, *fast_lstm_forward(p["x"].astype(dtype), *products, p["b"], mask)

    (product_x, product_h), _, cache = run(p)
    dx, db, *_ = fast_lstm_backward(dh, cache)
    gradients = {"x": dx, "W_x": product_x.gradient(), "W_h": product_h.gradient(), "b": db}
    check_gradients(lambda p: np.sum(dh * run(p)[1]), p, gradients, method="complex", limit=1e-12)


@pytest.mark.parametrize("way", ["dense", "gather", "scratch"])
def test_two_backward_passes_give_the_same_gradients_and_leave_their_input_alone(way):
    rng = np.random.default_rng(4)
    products = products_of(matrix(rng, (D, 4 * H), way), matrix(rng, (H, 4 * H), way), way, 2)
    x, dh = in_groups(rng.normal(size=(N, T, D)), 2), rng.normal(size=(H, N))
    x_before, dh_before = x.copy(), dh.copy()
    _, cache = fast_lstm_forward(x, *products, rng.normal(size=4 * H), MASKS["padding before"])
    passes = []
    for _ in range(2):
        dx, db, *_ = fast_lstm_backward(dh, cache)
        passes.append([dx, db, *(product.gradient() for product in products)])
    for first, second in zip(*passes, strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(x, x_before)
    np.testing.assert_array_equal(dh, dh_before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("S", [1, 4, 6, 7])
@pytest.mark.parametrize("way", ["dense", "sparse"])
def test_the_fast_embedding_equals_the_plain_one(way, S, dtype):
    """Small whole numbers, so that every order of summation gives the same bits; words repeat."""
    rng = np.random.default_rng(6)
    E = rng.integers(-4, 5, (9, D)).astype(dtype)
    E[[0, 5]] = 0  # rows without connections: the padding, and a word that owns none
    if way == "sparse":
        E = SparseMatrix.from_array(E)
    tokens = np.array([[3, 3, 0, 8, 3, 5], [8, 8, 1, 2, 2, 0]])
    x, cache = embedding_forward(tokens, E)
    fast_x, fast_cache = fast_embedding_forward(tokens, E, S)
    np.testing.assert_array_equal(fast_x, in_groups(x, S))
    assert fast_x.dtype == dtype
    dx = rng.integers(-4, 5, x.shape).astype(np.float64)
    whole = fast_embedding_backward([in_groups(dx, S, filling=7.0)], [fast_cache], E)
    np.testing.assert_array_equal(whole, embedding_backward(dx, cache))
    parts = [fast_embedding_forward(tokens[n : n + 1], E, S)[1] for n in range(2)]
    in_parts = fast_embedding_backward([in_groups(dx[n : n + 1], S) for n in range(2)], parts, E)
    np.testing.assert_array_equal(in_parts, whole)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("n_words", [1, 7, 600])  # in one block of words, or in three
@pytest.mark.parametrize("way", WAYS)
def test_a_table_of_words_stands_in_for_vectors_and_product(way, n_words, dtype):
    """Small whole numbers, so that every order of summation gives the same bits."""
    rng = np.random.default_rng(7)
    E, W_x = rng.integers(-4, 5, (n_words + 1, D)).astype(dtype), rng.integers(-4, 5, (D, 4 * H)).astype(dtype)
    E[0], W_x[:, 2] = 0, 0  # the padding, and a column without connections
    if way != "dense":
        E, W_x = (SparseMatrix.from_array(A * (rng.random(A.shape) < 0.4)) for A in (E, W_x))
    tokens = rng.permutation(np.repeat(np.arange(n_words + 1), 3 * max(2, 400 // n_words))).reshape(3, -1)
    x, table = make_word_table(tokens, E, W_x, "auto" if way == "dense" else way, dtype)
    found = np.empty((tokens.shape[1], 4 * H, 3), dtype)
    for t, places in enumerate(x[:, :, 0]):
        table.forward(places, found[t])
    vectors, _ = embedding_forward(tokens, E)
    expected = vectors @ (W_x if way == "dense" else W_x.toarray())  # (N, T, 4H)
    np.testing.assert_array_equal(found, expected.transpose(1, 2, 0))
    assert table.table.dtype == dtype
    assert table.table.shape == (-(-(n_words + 1) // 256) * 256, 4 * H + 64 // np.dtype(dtype).itemsize)


def test_a_table_of_words_takes_the_inverse_in_one_or_two_dimensions_from_any_numpy(monkeypatch):
    tokens, E, W_x = np.arange(600).reshape(2, 300) % 7, np.ones((7, D)), np.ones((D, 4 * H))
    unique, found = np.unique, []
    for shape in ((2, 300), (600,)):

        def of_that_shape(array, return_inverse, shape=shape):
            values, inverse = unique(array, return_inverse=return_inverse)
            return values, inverse.reshape(shape)

        monkeypatch.setattr(np, "unique", of_that_shape)
        found.append(make_word_table(tokens, E, W_x, "auto", np.float64)[0])
    np.testing.assert_array_equal(found[0], tokens.T[:, None, None])
    np.testing.assert_array_equal(found[1], found[0])


def test_a_table_of_words_is_made_where_each_occurs_twice_on_average():
    E, W_x = np.ones((1000, D)), np.ones((D, 4 * H))
    for n_distinct, n_words, is_made in ((300, 600, True), (300, 599, False), (9, 512, True), (9, 511, False)):
        tokens = np.arange(n_words)[None] % n_distinct
        x, table = make_word_table(tokens, E, W_x, "auto", np.float64)
        assert (x is not None, table is not None) == (is_made, is_made)


def test_no_text_at_all_has_a_prediction():
    p = {"E": np.ones((9, D)), "W_x": np.ones((D, 4 * H)), "W_h": np.ones((H, 4 * H)), "b": np.ones(4 * H)}
    p |= {"W_out": np.ones((H, 2)), "b_out": np.ones(2)}
    logits, _ = FastEngine().forward(p, np.zeros((0, 5), int), keep=False)
    assert logits.shape == (0, 2)


@pytest.mark.parametrize("way", WAYS)
def test_prediction_with_a_table_equals_prediction_without(way, monkeypatch):
    rng = np.random.default_rng(8)
    p = {"W_x": matrix(rng, (D, 4 * H), way), "W_h": matrix(rng, (H, 4 * H), way), "b": rng.normal(size=4 * H)}
    p |= {"E": matrix(rng, (9, D), way), "W_out": rng.normal(size=(H, 2)), "b_out": rng.normal(size=2)}
    tokens = rng.integers(9, size=(N, 4 * T))  # 0 is padding
    engine = FastEngine("auto" if way == "dense" else way)
    asked = []
    monkeypatch.setattr(words, "pays", lambda *counts: asked.append(counts) or asked[1:] == [])
    with_table, _ = engine.forward(p, tokens, keep=False)
    without, _ = engine.forward(p, tokens, keep=False)
    assert asked == [(9, tokens.size)] * 2, "asked in prediction, and in prediction only"
    trained, _ = engine.forward(p, tokens)
    dropped, _ = engine.forward(p, tokens, embedding_dropout=0.5, rng=np.random.default_rng(0), keep=False)
    assert len(asked) == 2 and np.abs(dropped - with_table).max() > 1e-3, "with dropout there is no table"
    np.testing.assert_allclose(with_table, without, rtol=2e-14, atol=2e-14)
    np.testing.assert_array_equal(without, trained)
