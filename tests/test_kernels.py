"""The ways to multiply: the plain one, gather, scratch and dense arrays have to agree.

Weights and inputs are small whole numbers, so that every order of summation gives the same bits and the
comparisons need no tolerance.
"""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from numpy_setlstm.fast import kernels
from numpy_setlstm.fast.products import DenseProduct, GatherProduct, ScratchProduct, lists_of, make_product
from numpy_setlstm.sparse import SparseMatrix, weight_gradient

steady = settings(derandomize=True, deadline=None, max_examples=50)

DTYPES = [np.float32, np.float64, np.complex128]

TOPOLOGIES = {
    "every cell": np.ones((4, 5)),
    "no cell": np.zeros((4, 5)),
    "one cell in the first corner": np.array([[1, 0, 0], [0, 0, 0]]),
    "one cell in the last corner": np.array([[0, 0, 0], [0, 0, 1]]),
    "first row empty": np.array([[0, 0, 0], [1, 0, 1], [0, 1, 1]]),
    "middle row empty": np.array([[1, 0, 1], [0, 0, 0], [0, 1, 1]]),
    "last row empty": np.array([[1, 0, 1], [0, 1, 1], [0, 0, 0]]),
    "first column empty": np.array([[0, 1, 1], [0, 0, 1], [0, 1, 0]]),
    "middle column empty": np.array([[1, 0, 1], [1, 0, 0], [0, 0, 1]]),
    "last column empty": np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]]),
    "two neighbouring columns empty": np.array([[1, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 1]]),
    "one row": np.array([[0, 1, 1, 0, 1]]),
    "one column": np.array([[0], [1], [1], [0], [1]]),
}


def whole_numbers(shape, dtype, seed):
    """Numbers from -4 to 4 as `dtype`, with an imaginary part if it has one."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(-4, 5, shape).astype(dtype)
    if np.issubdtype(dtype, np.complexfloating):
        numbers += 1j * rng.integers(-4, 5, shape)
    return numbers


def sparse_and_dense(mask, dtype, seed=0):
    """The same matrix in both forms; the sparse one keeps weights that happen to be 0."""
    rows, cols = np.nonzero(mask)
    W = SparseMatrix(mask.shape, rows, cols, whole_numbers(len(rows), dtype, seed))
    dense = np.zeros(mask.shape, dtype)
    for row, col, value in zip(rows, cols, W.values, strict=True):
        dense[row, col] = value
    return W, dense


WAYS = ("plain", "gather", "scratch")


def multiply(x, W, dy, way):
    """``x @ W``, ``dy @ W.T`` and the gradient of W for x (N, n_rows) and dy (N, n_cols), in one of the ways."""
    if way == "plain":
        return x @ W, dy @ W.T, weight_gradient(x, dy, W)
    dtype = np.result_type(x, dy, W.dtype)
    product = make_product(W, way, dtype, len(x))
    y, dx = np.full((W.shape[1], len(x)), 99, dtype), np.full((W.shape[0], len(x)), 99, dtype)
    x, dy = (np.ascontiguousarray(array.T, dtype) for array in (x, dy))
    product.forward(x, y)
    product.begin_backward()
    product.backward(dy, x, dx)
    return y.T, dx.T, product.gradient()


def assert_right(x, W, dy, dense, way):
    y, dx, dW = multiply(x, W, dy, way)
    with np.errstate(invalid="ignore"):  # a BLAS may compute with what lies behind a small array, and drop it
        expected_y, expected_dx = x @ dense, dy @ dense.T
    np.testing.assert_array_equal(y, expected_y)
    np.testing.assert_array_equal(dx, expected_dx)
    np.testing.assert_array_equal(dW, (x.T @ dy)[W.rows, W.cols])
    assert y.dtype == dx.dtype == dW.dtype == np.result_type(x, dy, dense)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TOPOLOGIES)
def test_every_way_equals_the_dense_product(name, dtype, way):
    W, dense = sparse_and_dense(TOPOLOGIES[name], dtype)
    x, dy = whole_numbers((6, W.shape[0]), dtype, seed=1), whole_numbers((6, W.shape[1]), dtype, seed=2)
    assert_right(x, W, dy, dense, way)


@pytest.mark.parametrize("way", WAYS)
@steady
@given(data=st.data())
def test_any_topology_any_number_of_texts(data, way):
    """Also matrices without rows, without columns, without connections; also an empty batch."""
    n_rows, n_cols, n = data.draw(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 4)))
    mask = data.draw(hnp.arrays(bool, (n_rows, n_cols)))
    W, dense = sparse_and_dense(mask, np.float64)
    assert_right(whole_numbers((n, n_rows), float, 1), W, whole_numbers((n, n_cols), float, 2), dense, way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 200])
def test_products_of_many_texts(n, way):
    W, dense = sparse_and_dense(np.random.default_rng(0).random((8, 5)) < 0.4, np.float64)
    assert_right(whole_numbers((n, 8), np.float64, seed=1), W, whole_numbers((n, 5), np.float64, seed=2), dense, way)


@pytest.mark.parametrize("which", ["first", "middle", "last"])
@pytest.mark.parametrize("way", WAYS)
def test_units_without_connections_give_zero_and_not_their_neighbors_sum(which, way):
    """``np.add.reduceat`` returns the next element for an empty run."""
    row, column = {"first": (0, 0), "middle": (1, 2), "last": (3, 4)}[which]
    dense = np.arange(1.0, 21.0).reshape(4, 5)
    dense[:, column] = dense[row] = 0
    y, dx, _ = multiply(np.ones((1, 4)), SparseMatrix.from_array(dense), np.ones((1, 5)), way)
    assert y[0, column] == dx[0, row] == 0
    np.testing.assert_array_equal(y[0], dense.sum(axis=0))
    np.testing.assert_array_equal(dx[0], dense.sum(axis=1))


@pytest.mark.parametrize("way", ["gather", "scratch"])
@pytest.mark.parametrize("cells", [1, 2, 5, 6, 7, 11, 12, 13, 23, 24, 25, 1000])
def test_the_border_of_a_block_or_slice_loses_and_repeats_nothing(cells, way, monkeypatch):
    """12 connections, 6 texts, 8 rows and 5 columns of W: borders on, before and after each of these.

    An entry that is never filled may hold the right number by chance, where a freed array held it before; so
    here ``np.empty`` is full of NaN.
    """
    monkeypatch.setattr(kernels, "CHUNK_CELLS", cells)
    monkeypatch.setattr(kernels, "SLICE_CELLS", cells)
    mask = np.zeros((8, 5), bool)
    mask.flat[[1, 2, 5, 9, 15, 16, 17, 18, 19, 30, 33, 34]] = True  # rows 2, 4, 5 and 7 are empty
    W, dense = sparse_and_dense(mask, np.float64)
    monkeypatch.setattr(
        np, "empty", lambda shape, dtype=float: np.full(shape, np.nan if np.dtype(dtype).kind == "f" else -1, dtype)
    )
    assert_right(whole_numbers((6, 8), np.float64, seed=1), W, whole_numbers((6, 5), np.float64, seed=2), dense, way)


@pytest.mark.parametrize("shape", [(4,), (6, 4), (2, 3, 4), (0, 4), (2, 0, 4)])
def test_x_may_have_one_two_or_three_dimensions(shape):
    W, dense = sparse_and_dense(np.eye(4, 5) + np.eye(4, 5, k=2), np.float64)
    x = whole_numbers(shape, np.float64, seed=1)
    y = x @ W
    assert y.shape == (*shape[:-1], 5)
    np.testing.assert_array_equal(y, x @ dense)


NOT_CONTIGUOUS = {
    "every second row": lambda x: x[::2],
    "rows and columns backwards": lambda x: x[::-1, ::-1],
    "Fortran order": np.asfortranarray,
    "a transpose": lambda x: np.ascontiguousarray(x.T).T,
    "one row, broadcast": lambda x: np.broadcast_to(x[0], x.shape),
    "part of a larger array": lambda x: np.pad(x, 2)[2:-2, 2:-2],
}


@pytest.mark.parametrize("view", NOT_CONTIGUOUS)
def test_x_and_dy_need_not_be_contiguous(view):
    W, dense = sparse_and_dense(np.eye(4, 5) + np.eye(4, 5, k=2), np.float64)
    x = NOT_CONTIGUOUS[view](whole_numbers((6, 4), np.float64, seed=1))
    dy = NOT_CONTIGUOUS[view](whole_numbers((6, 5), np.float64, seed=2))
    assert_right(x, W, dy, dense, "plain")
    swapped = whole_numbers((3, 2, 4), np.float64, seed=1).swapaxes(0, 1)
    np.testing.assert_array_equal(swapped @ W, swapped @ dense)


@pytest.mark.parametrize(
    ("x_dtype", "W_dtype"),
    [(np.float32, np.float64), (np.float64, np.float32), (np.complex128, np.float64), (np.float64, np.complex128)],
)
@pytest.mark.parametrize("way", WAYS)
def test_mixed_types_give_the_wider_one(x_dtype, W_dtype, way):
    """A complex step goes through an input or through a weight; neither may be cast to real."""
    W, dense = sparse_and_dense(TOPOLOGIES["middle column empty"], W_dtype)
    dy = whole_numbers((6, 3), np.result_type(x_dtype, W_dtype), seed=2)
    assert_right(whole_numbers((6, 3), x_dtype, seed=1), W, dy, dense, way)


@pytest.mark.parametrize("way", WAYS)
def test_the_gradients_are_the_complex_step_derivatives(way):
    """L = sum of c · (x @ W)²: every weight and every input, to 1e-12."""
    W, _ = sparse_and_dense(TOPOLOGIES["two neighbouring columns empty"], np.float64, seed=3)
    rng = np.random.default_rng(0)
    W = W.with_values(rng.normal(size=W.nnz))
    x, c = rng.normal(size=(5, 3)), rng.normal(size=(5, 4))

    def loss(x, values):
        return (c * multiply(x, W.with_values(values), c, way)[0] ** 2).sum()

    _, dx, dW = multiply(x, W, 2 * c * (x @ W), way)
    step = 1e-30
    by_weight = [loss(x, W.values + 1j * step * unit).imag / step for unit in np.eye(W.nnz)]
    by_input = [loss(x + 1j * step * unit.reshape(x.shape), W.values).imag / step for unit in np.eye(x.size)]
    np.testing.assert_allclose(dW, by_weight, rtol=0, atol=1e-12 * np.abs(dW).max())
    np.testing.assert_allclose(dx.ravel(), by_input, rtol=0, atol=1e-12 * np.abs(dx).max())


def peak_bytes(function):
    """Largest amount of memory that was in use at once while `function` ran."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("way", ["plain", "auto"])
def test_nothing_has_the_size_of_the_full_matrix(way):
    n = 6000
    ends = np.array([0, n // 2, n - 1])
    W = SparseMatrix((n, n), ends, ends[::-1], np.ones(3))
    x, dy = np.ones((2, n)), np.ones((2, n))
    assert kernels.choose_kernel(W.shape, W.nnz) == "gather"
    assert peak_bytes(lambda: multiply(x, W, dy, way)) < n * n * 8 / 100


def test_the_gradient_by_blocks_never_makes_an_array_of_the_full_size():
    n = 6000
    ends = np.array([0, n // 2, n - 1])
    x, dy = np.ones((2, n)), np.ones((2, n))
    assert kernels.CHUNK_CELLS < n * n / 10
    assert peak_bytes(lambda: kernels.gradient_blocks(x, dy, ends, ends[::-1])) < n * n * 8 / 10


def test_the_choice_of_a_kernel_follows_density_and_size_and_can_be_forced():
    shape = (256, 1024)
    few = int(kernels.GATHER_BELOW_DENSITY * 256 * 1024)
    assert kernels.choose_kernel(shape, few) == "gather"
    assert kernels.choose_kernel(shape, few + 1) == "scratch"
    huge = (2**20, 2**20)  # dense enough, but a scratch array of this size would not fit in memory
    assert kernels.choose_kernel(huge, 2**39) == "gather"
    assert kernels.choose_kernel(shape, few, "scratch") == "scratch"
    assert kernels.choose_kernel(shape, 256 * 1024, "gather") == "gather"


@pytest.mark.parametrize(
    ("shape", "nnz", "kernel"),
    [((8, 5), 9, "gather"), ((8, 5), 10, "scratch"), ((8, 5), 11, "scratch"), ((41, 1), 41, "gather"),
     ((3, 12), 9, "scratch"), ((12, 3), 8, "gather"), ((0, 3), 0, "scratch")],
)  # fmt: skip
def test_the_borders_of_density_and_size(shape, nnz, kernel, monkeypatch):
    monkeypatch.setattr(kernels, "GATHER_BELOW_DENSITY", 0.25)
    monkeypatch.setattr(kernels, "SCRATCH_MAX_CELLS", 40)
    assert kernels.choose_kernel(shape, nnz) == kernels.choose_kernel(shape, nnz, "auto") == kernel


def test_the_memory_that_scratch_arrays_and_slices_may_take():
    """Half a gigabyte, enough for the embedding of 20,000 words; two megabytes for 64 texts, in single precision."""
    assert kernels.choose_kernel((20_000, 256), 1_000_000) == "scratch"
    assert kernels.SCRATCH_MAX_CELLS * 4 <= 2**29
    assert kernels.SLICE_CELLS * 64 * 4 <= 2**21


def test_an_unknown_kernel_is_named_together_with_the_known_ones():
    W = SparseMatrix((2, 2), [0], [1], [1.0])
    with pytest.raises(ValueError, match=r"kernel is 'fast'; expected one of 'auto', 'gather', 'scratch'"):
        make_product(W, "fast", np.float64, 1)


def test_which_product_is_made():
    sparse, dense = sparse_and_dense(TOPOLOGIES["middle row empty"], np.float64)
    for W, kernel, kind in [
        (dense, "gather", DenseProduct),
        (sparse, "gather", GatherProduct),
        (sparse, "scratch", ScratchProduct),
        (sparse, "auto", ScratchProduct),  # a density of 4 / 9
    ]:
        assert type(make_product(W, kernel, np.float64, 2)) is kind


def test_weights_are_prepared_in_the_type_of_the_product():
    sparse, _ = sparse_and_dense(TOPOLOGIES["middle row empty"], np.float32)
    product = make_product(sparse, "gather", np.float64, 2)
    assert {weights.dtype for weights in product.incoming.weights + product.outgoing.weights} == {np.dtype(np.float64)}


@pytest.mark.parametrize("way", ["dense", "gather", "scratch"])
def test_the_gradient_remembers_steps_whose_array_is_used_again(way):
    sparse, dense = sparse_and_dense(TOPOLOGIES["two neighbouring columns empty"], np.float64)
    product = make_product(dense if way == "dense" else sparse, way.replace("dense", "auto"), np.float64, 2)
    product.begin_backward()
    dz, dx, expected = np.empty((4, 2)), np.empty((3, 2)), np.zeros((3, 4))
    for seed in (1, 2):
        x = whole_numbers((3, 2), np.float64, seed)
        dz[...] = whole_numbers((4, 2), np.float64, seed + 10)
        product.backward(dz, x, dx)
        np.testing.assert_array_equal(dx, dense @ dz)
        expected += x @ dz.T
    expected = expected if way == "dense" else expected[sparse.rows, sparse.cols]
    np.testing.assert_array_equal(product.gradient(), expected)


@pytest.mark.parametrize("way", ["gather", "scratch"])
def test_the_gradient_adds_up_over_the_steps_and_begins_anew(way):
    W, _ = sparse_and_dense(TOPOLOGIES["first row empty"], np.float64)
    product = make_product(W, way, np.float64, 2)
    x, dy, dx = whole_numbers((3, 2), float, 1), whole_numbers((3, 2), float, 2), np.empty((3, 2))
    for _ in range(2):
        product.begin_backward()
        for times in (1, 2):
            product.backward(dy, x, dx)
            np.testing.assert_array_equal(product.gradient(), times * (x @ dy.T)[W.rows, W.cols])


@steady
@given(data=st.data())
def test_padded_lists_hold_each_connection_once(data):
    n_rows, n_cols = data.draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    mask = data.draw(hnp.arrays(bool, (n_rows, n_cols)))
    W, _ = sparse_and_dense(mask, np.float64)
    lists, _ = lists_of(W.topology)
    assert sorted(lists.order) == list(range(n_cols))
    assert [int(lists.order[lists.rank[c]]) for c in range(n_cols)] == list(range(n_cols))
    held = [
        (int(lists.order[s.first + b]), int(position))
        for s in lists.slices
        for b, positions in enumerate(s.positions)
        for position in positions
        if position < W.nnz
    ]
    assert sorted(held, key=lambda pair: pair[1]) == [(int(c), k) for k, c in enumerate(W.cols)]
    values = np.arange(1.0, W.nnz + 1)
    arranged = lists.arrange(W.rows, values)
    np.testing.assert_array_equal(lists.collect([w.transpose(0, 2, 1) for w in arranged.weights], float), values)
    for sources, weights, s in zip(arranged.sources, arranged.weights, lists.slices, strict=True):
        exists = s.positions < W.nnz
        np.testing.assert_array_equal(sources[exists], W.rows[s.positions[exists]])
        assert not sources[~exists].any() and not weights[:, 0][~exists].any()


def slices_of(counts, monkeypatch, cells, call):
    """Shapes (B, K) of the slices of lists of these lengths."""
    monkeypatch.setattr(kernels, "SLICE_CELLS", cells)
    monkeypatch.setattr(kernels, "CELLS_OF_A_CALL", call)
    lists = kernels.PaddedLists(np.repeat(np.arange(len(counts)), counts), len(counts))
    borders = [lists.n_empty, *(s.last for s in lists.slices)]
    assert [s.first for s in lists.slices] == borders[:-1]
    return [s.positions.shape for s in lists.slices]


def test_slices_are_cut_where_it_is_cheapest_and_so_that_they_fit(monkeypatch):
    counts = [2, 0, 9, 2, 3, 2]
    assert slices_of(counts, monkeypatch, cells=100, call=0) == [(3, 2), (1, 3), (1, 9)]
    assert slices_of(counts, monkeypatch, cells=100, call=4) == [(4, 3), (1, 9)]  # 12 + 4 is less than 6 + 3 + 4 + 4
    assert slices_of(counts, monkeypatch, cells=100, call=1000) == [(5, 9)]
    assert slices_of(counts, monkeypatch, cells=6, call=4) == [(2, 2), (2, 3), (1, 9)]  # a long list stays whole
    assert slices_of([0, 0], monkeypatch, cells=6, call=4) == []


@steady
@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=8), call=st.integers(0, 12))
def test_no_way_to_cut_is_cheaper(counts, call):
    lengths = np.sort(counts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "CELLS_OF_A_CALL", call)
        slices = kernels._cut(lengths)
    n = len(lengths)
    assert [first for first, _ in slices] + [n] == [0] + [last for _, last in slices]
    best = [0]
    for last in range(1, n + 1):
        best.append(min(best[first] + (last - first) * lengths[last - 1] + call for first in range(last)))
    assert sum((last - first) * lengths[last - 1] + call for first, last in slices) == best[n]


@pytest.mark.parametrize("lengths", [(1, 2, 3), (1, 3, 5), (1, 4, 7)])
@pytest.mark.parametrize(("call", "slices"), [(0, [(0, 1), (1, 2), (2, 3)]), (1000, [(0, 3)])])
def test_a_slice_for_each_length_if_slices_cost_nothing(call, slices, lengths, monkeypatch):
    monkeypatch.setattr(kernels, "CELLS_OF_A_CALL", call)
    assert kernels._cut(np.array(lengths)) == slices


@pytest.mark.parametrize("call", [0, 1, 3, 8, 1000])
@pytest.mark.parametrize("lengths", [(1, 1, 2), (1, 2, 2, 9), (1, 1, 2, 3, 3, 7), (1, 2, 3, 4, 5, 6)])
def test_slices_that_are_too_large_are_cut_into_pieces_that_fit(lengths, call, monkeypatch):
    monkeypatch.setattr(kernels, "CELLS_OF_A_CALL", call)
    whole = kernels._cut(np.array(lengths))
    for cells in (1, 4, 6):
        monkeypatch.setattr(kernels, "SLICE_CELLS", cells)
        heights = [max(1, cells // lengths[last - 1]) for _, last in whole]
        pieces = [
            (first, min(stop, first + height))
            for (start, stop), height in zip(whole, heights, strict=True)
            for first in range(start, stop, height)
        ]
        assert kernels._cut(np.array(lengths)) == pieces


class Watched(np.ndarray):
    """An array that records how many columns each part of it has."""

    def __getitem__(self, index):
        part = np.asarray(super().__getitem__(index))
        self.widths.append(part.shape[1])
        return part


@pytest.mark.parametrize(
    ("n_cols", "cells", "widths"),
    [
        (5, 1, [1] * 8),
        (5, 14, [2] * 4),
        (5, 20, [4, 4]),
        (5, 30, [6, 2]),
        (5, 99, [8]),
        (1, 3, [3, 3, 2]),
        (0, 6, [6, 2]),
    ],
)
def test_the_blocks_of_the_dense_gradient_have_as_many_cells_as_allowed(n_cols, cells, widths, monkeypatch):
    monkeypatch.setattr(kernels, "CHUNK_CELLS", cells)
    W, _ = sparse_and_dense(np.random.default_rng(0).random((8, n_cols)) < 0.4, np.float64)
    x, dy = whole_numbers((6, 8), np.float64, seed=1), whole_numbers((6, n_cols), np.float64, seed=2)
    watched = x.view(Watched)
    watched.widths = []
    np.testing.assert_array_equal(kernels.gradient_blocks(watched, dy, W.rows, W.cols), (x.T @ dy)[W.rows, W.cols])
    assert watched.widths == widths


class Long(np.ndarray):
    """An array that claims to have another length."""

    def __len__(self):
        return self.length


@pytest.mark.parametrize(("length", "dtype"), [(3, np.int32), (2**31 - 1, np.int32), (2**31, np.int64)])
def test_a_position_has_four_bytes_as_long_as_they_suffice(length, dtype):
    targets = np.array([1, 0]).view(Long)
    targets.length = length
    (only,) = kernels.PaddedLists(targets, 2).slices
    assert only.positions.tolist() == [[1], [0]]
    assert only.positions.dtype == dtype


def test_lists_without_connections_need_no_memory():
    lists = kernels.PaddedLists(np.array([], int), 3)
    assert (lists.largest, lists.n_empty, lists.slices) == (0, 3, [])


def test_lists_of_lengths_alike_waste_little():
    """A random graph's lists, 4.7 % of 256 x 1024: what fills up is less than a fifth."""
    rng = np.random.default_rng(0)
    rows, cols = np.divmod(np.sort(rng.choice(256 * 1024, 12_266, replace=False)), 1024)
    W = SparseMatrix((256, 1024), rows, cols, np.ones(12_266))
    for lists in lists_of(W.topology):
        assert sum(s.positions.size for s in lists.slices) < 1.2 * W.nnz
        assert lists.largest <= kernels.SLICE_CELLS
