"""Embedding: a look-up that equals a product with one-hot rows, forward and backward."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from numpy_setlstm.layers.embedding import embedding_backward, embedding_forward, sum_per_word
from numpy_setlstm.measures import connection_counts
from numpy_setlstm.sparse import SparseMatrix
from numpy_setlstm.topology import erdos_renyi, set_step

steady = settings(derandomize=True, deadline=None, max_examples=50)

# Words 1 and 4 repeat, within a text and across texts; 0 is padding; 2 and 6 never occur.
TOKENS = np.array([[0, 1, 4, 4], [1, 1, 5, 3], [4, 1, 0, 0]])


def one_hot(tokens, n_words):
    """The rows u of shape (N, T, V) with which the look-up is a product."""
    return (np.asarray(tokens)[..., None] == np.arange(n_words)).astype(float)


def sparse_embedding(dtype=np.float64, seed=0):
    """7 words, 5 dimensions: whole-number weights, row 0 (padding) and row 3 without a connection."""
    rng = np.random.default_rng(seed)
    mask = rng.random((7, 5)) < 0.5
    mask[[0, 3]] = False
    rows, cols = np.nonzero(mask)
    return SparseMatrix(mask.shape, rows, cols, rng.integers(1, 9, len(rows)).astype(dtype))


@st.composite
def batches(draw):
    """Tokens and an embedding of any small sizes; whole numbers, so that sums are exact in any order."""
    n_words, n_dims = draw(st.integers(1, 6)), draw(st.integers(0, 4))
    shape = draw(st.tuples(st.integers(0, 3), st.integers(0, 5)))
    tokens = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, n_words - 1)))
    rows, cols = np.nonzero(draw(hnp.arrays(bool, (n_words, n_dims))))
    E = SparseMatrix((n_words, n_dims), rows, cols, np.arange(1.0, len(rows) + 1))
    dx = draw(hnp.arrays(np.float64, (*shape, n_dims), elements=st.integers(-3, 3).map(float)))
    return tokens, E, dx


@steady
@given(batches())
def test_sparse_and_dense_equal_the_product_with_one_hot_rows(batch):
    """Also without texts, without words in them, without dimensions."""
    tokens, E, dx = batch
    u = one_hot(tokens, E.shape[0])
    for matrix in (E, E.toarray()):
        x, _cache = embedding_forward(tokens, matrix)
        assert x.shape == (*tokens.shape, E.shape[1])
        np.testing.assert_array_equal(x, u @ E.toarray())


@steady
@given(batches())
def test_the_gradient_is_the_one_of_the_product_with_one_hot_rows(batch):
    tokens, E, dx = batch
    u = one_hot(tokens, E.shape[0])
    expected = np.einsum("ntv,ntd->vd", u, dx)
    _x, cache = embedding_forward(tokens, E.toarray())
    np.testing.assert_array_equal(embedding_backward(dx, cache), expected)
    _x, cache = embedding_forward(tokens, E)
    dE = embedding_backward(dx, cache)
    assert dE.shape == (E.nnz,)
    np.testing.assert_array_equal(dE, expected[E.rows, E.cols])


@pytest.mark.parametrize("dense", [False, True])
def test_a_repeated_word_gets_the_sum_of_all_its_places(dense):
    """``dE[tokens] += dx`` would keep one place of each word and lose the others."""
    E = sparse_embedding()
    dx = np.ones((3, 4, 5))
    _x, cache = embedding_forward(TOKENS, E.toarray() if dense else E)
    dE = embedding_backward(dx, cache)
    times = np.array([3, 4, 0, 1, 3, 1, 0.0])  # how often each of the seven words occurs
    expected = np.repeat(times[:, None], 5, axis=1)
    np.testing.assert_array_equal(dE, expected if dense else expected[E.rows, E.cols])

    lossy = np.zeros((7, 5))
    lossy[TOKENS] += dx
    assert (lossy != expected).any(), "this example would not notice the loss"


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_forward_and_backward_keep_the_type(dtype):
    E = sparse_embedding(dtype)
    for matrix in (E, E.toarray()):
        x, cache = embedding_forward(TOKENS, matrix)
        assert x.dtype == dtype
        assert embedding_backward(x, cache).dtype == dtype


@pytest.mark.parametrize("dense", [False, True])
def test_every_weight_by_complex_step(dense):
    """L = sum of c · x², to 1e-12."""
    E = sparse_embedding()
    E = E.with_values(np.random.default_rng(1).normal(size=E.nnz))
    c = np.random.default_rng(2).normal(size=(3, 4, 5))
    weights = E.toarray() if dense else E.values

    def loss(weights):
        x, _cache = embedding_forward(TOKENS, weights if dense else E.with_values(weights))
        return (c * x**2).sum()

    x, cache = embedding_forward(TOKENS, E.toarray() if dense else E)
    dE = embedding_backward(2 * c * x, cache)
    step = 1e-30
    units = np.eye(weights.size).reshape(-1, *weights.shape)
    numeric = np.array([loss(weights + 1j * step * unit).imag / step for unit in units])
    numeric = numeric.reshape(weights.shape)
    assert np.abs(numeric).max() > 0.1
    np.testing.assert_allclose(dE, numeric, rtol=0, atol=1e-12 * np.abs(numeric).max())


def test_the_padding_row_is_zero_and_has_no_gradient():
    E = sparse_embedding()
    x, cache = embedding_forward(TOKENS, E)
    assert (x[TOKENS == 0] == 0).all()
    dx = np.zeros_like(x)
    dx[TOKENS == 0] = 5.0  # whatever arrives at padded places
    assert (embedding_backward(dx, cache) == 0).all()


def test_the_padding_row_has_no_connection_after_evolution_either():
    rng = np.random.default_rng(0)
    E = erdos_renyi((20, 8), rng, density=0.3, reserved_rows=1)
    for _ in range(20):
        E, _step = set_step(E, 0.5, rng, scale=1.0, reserved_rows=1)
    assert connection_counts(E, axis=1)[0] == 0
    x, _cache = embedding_forward(np.zeros((2, 3), int), E)
    assert (x == 0).all()


def test_words_without_connections_are_zero_wherever_they_stand():
    """First, middle and last row empty: a running sum must not hand them their neighbour's."""
    E = SparseMatrix((5, 2), [1, 1, 3], [0, 1, 1], [1.0, 2.0, 3.0])
    x, cache = embedding_forward(np.array([[4, 3, 2, 1, 0]]), E)
    np.testing.assert_array_equal(x[0], [[0, 0], [0, 3], [0, 0], [1, 2], [0, 0]])
    dx = np.arange(10.0).reshape(1, 5, 2)
    np.testing.assert_array_equal(embedding_backward(dx, cache), [6.0, 7.0, 3.0])


def test_a_word_that_does_not_occur_has_no_gradient():
    E = sparse_embedding()
    _x, cache = embedding_forward(TOKENS, E)
    dE = embedding_backward(np.ones((3, 4, 5)), cache)
    absent = np.isin(E.rows, [2, 6])
    assert absent.any()
    assert (dE[absent] == 0).all()
    assert (dE[~absent] != 0).all()


@pytest.mark.parametrize("dense", [False, True])
def test_two_backward_passes_give_the_same_and_a_second_forward_does_no_harm(dense):
    E = sparse_embedding().toarray() if dense else sparse_embedding()
    dx = np.random.default_rng(0).normal(size=(3, 4, 5))
    _x, cache = embedding_forward(TOKENS, E)
    first = embedding_backward(dx, cache)
    kept = first.copy()
    embedding_forward(TOKENS[::-1] * 0 + 1, E)
    np.testing.assert_array_equal(embedding_backward(dx, cache), kept)
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("dense", [False, True])
def test_no_input_is_changed_and_the_output_is_no_view_of_one(dense):
    E = sparse_embedding().toarray() if dense else sparse_embedding()
    weights = E if dense else E.values
    tokens, before, dx = TOKENS.copy(), weights.copy(), np.ones((3, 4, 5))
    x, cache = embedding_forward(tokens, E)
    embedding_backward(dx, cache)
    x[:] = -1.0
    np.testing.assert_array_equal(weights, before)
    np.testing.assert_array_equal(tokens, TOKENS)
    np.testing.assert_array_equal(dx, np.ones((3, 4, 5)))


def test_views_that_are_not_contiguous():
    E = sparse_embedding()
    tokens = np.repeat(TOKENS, 2, axis=1)[::-1, ::2]
    dx = np.random.default_rng(0).integers(-3, 4, (5, 4, 3)).astype(float).T
    x, cache = embedding_forward(tokens, E)
    u = one_hot(tokens, 7)
    np.testing.assert_array_equal(x, u @ E.toarray())
    expected = np.einsum("ntv,ntd->vd", u, dx)[E.rows, E.cols]
    np.testing.assert_array_equal(embedding_backward(dx, cache), expected)


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_every_integer_type_can_name_its_largest_word(dtype, dense):
    """127 + 1 does not fit into an int8, 255 + 1 not into a uint8."""
    last = min(np.iinfo(dtype).max, 70_000)
    n_words = last + 10
    E = SparseMatrix((n_words, 2), np.arange(n_words), np.arange(n_words) % 2, np.arange(1.0, n_words + 1))
    tokens = np.array([[last, 0, last]], dtype)
    x, cache = embedding_forward(tokens, E.toarray() if dense else E)
    np.testing.assert_array_equal(x, E.toarray()[[[last, 0, last]]])
    dE = embedding_backward(np.ones((1, 3, 2)), cache)
    assert dE.sum() == (6 if dense else 3)


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (0, 0)])
@pytest.mark.parametrize("dense", [False, True])
def test_no_texts_or_texts_without_words(shape, dense):
    E = sparse_embedding().toarray() if dense else sparse_embedding()
    x, cache = embedding_forward(np.zeros(shape, int), E)
    assert x.shape == (*shape, 5)
    dE = embedding_backward(np.zeros((*shape, 5)), cache)
    assert dE.shape == (E if dense else E.values).shape
    assert (dE == 0).all()


def test_sum_per_word_equals_its_plain_twin():
    rng = np.random.default_rng(0)
    places = np.concatenate([rng.integers(0, 6, 30), np.arange(6)])
    dx = rng.integers(-5, 6, (36, 3)).astype(float)
    plain = np.zeros((6, 3))
    np.add.at(plain, places, dx)
    np.testing.assert_array_equal(sum_per_word(dx, places, 6), plain)


def test_a_million_words_without_an_array_of_the_full_size():
    """1,000,000 × 512: one byte per cell is 512 MB; only the distinct words of a batch are written out."""
    rows = np.arange(0, 1_000_000, 50)
    E = SparseMatrix((1_000_000, 512), rows, rows % 512, np.ones(len(rows), np.float32))
    tokens = np.array([[0, 50, 51, 999_950], [50, 50, 50, 0]])
    tracemalloc.start()
    try:
        x, cache = embedding_forward(tokens, E)
        dE = embedding_backward(np.ones_like(x), cache)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert x.sum() == 7
    assert dE[[0, 1, -1]].tolist() == [2.0, 4.0, 1.0]
    assert dE.sum() == 7
    assert peak < 512_000_000 / 10


# Bad input: the message says what was got and what is expected


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize(("tokens", "range_"), [([[0, 7]], "0 to 7"), ([[-1, 3]], "-1 to 3"), ([[99, 2]], "2 to 99")])
def test_an_id_out_of_range_is_named_with_the_range(tokens, range_, dense):
    """A negative id must not count from the end."""
    E = sparse_embedding().toarray() if dense else sparse_embedding()
    with pytest.raises(ValueError, match=f"ids range from {range_};.* 7 words .*ids 0 to 6"):
        embedding_forward(np.array(tokens), E)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3, 4)])
def test_tokens_of_the_wrong_rank(shape):
    with pytest.raises(ValueError) as error:
        embedding_forward(np.zeros(shape, int), sparse_embedding())
    assert f"tokens have shape {shape}; expected (N, T)" in str(error.value)


@pytest.mark.parametrize(
    ("tokens", "kind"),
    [
        (np.array([[1.0, 2.0]]), "float64"),
        (np.array([[True, False]]), "bool"),
        (np.array([["good", "bad"]]), "<U4"),
        ([[1, 2]], "list"),
        ("good film", "str"),
    ],
)
def test_tokens_that_are_no_integer_array(tokens, kind):
    with pytest.raises(TypeError, match=f"tokens are {kind}; expected an integer array of word ids"):
        embedding_forward(tokens, sparse_embedding())
