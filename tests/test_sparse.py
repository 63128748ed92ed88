"""SparseMatrix: index arrays and values, in one strict order, and never an array of the full size."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from numpy_setlstm.sparse import SparseMatrix, Topology, dtype_of, weight_gradient, weights_of

steady = settings(derandomize=True, deadline=None, max_examples=50)


@st.composite
def matrices(draw, max_side=6):
    """A SparseMatrix of any small shape, 0 included; some of its weights are exactly 0."""
    shape = draw(st.tuples(st.integers(0, max_side), st.integers(0, max_side)))
    rows, cols = np.nonzero(draw(hnp.arrays(bool, shape)))
    values = draw(hnp.arrays(np.float64, len(rows), elements=st.integers(-3, 3).map(float)))
    return SparseMatrix(shape, rows, cols, values)


def cell_by_cell(W):
    """``W.toarray()``, written as a loop."""
    A = np.zeros(W.shape, W.dtype)
    for row, col, value in zip(W.rows, W.cols, W.values, strict=True):
        A[row, col] = value
    return A


@pytest.fixture
def W():
    """Rows 0 and 3 are empty, and so is column 1."""
    return SparseMatrix((4, 3), [1, 1, 2], [0, 2, 2], [5.0, 0.0, 7.0])


# What is stored


@steady
@given(matrices())
def test_toarray_and_back(W):
    np.testing.assert_array_equal(W.toarray(), cell_by_cell(W))
    again = SparseMatrix.from_array(W.toarray())
    np.testing.assert_array_equal(again.toarray(), W.toarray())
    assert again.nnz == np.count_nonzero(W.values)


def test_a_weight_of_exactly_zero_stays_a_connection(W):
    assert W.nnz == 3
    assert W.T.nnz == 3
    assert W.copy().nnz == 3
    assert W.density == 3 / 12


def test_from_array_keeps_values_type_and_what_is_not_a_number():
    W = SparseMatrix.from_array(np.array([[0, np.nan], [-np.inf, -0.0]], np.float32))
    np.testing.assert_array_equal(W.values, np.array([np.nan, -np.inf], np.float32))
    assert W.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_values_keep_their_type(dtype):
    W = SparseMatrix((2, 2), [0, 1], [1, 0], np.array([1, 2], dtype))
    assert W.dtype == W.toarray().dtype == W.T.dtype == W.take_rows(np.array([0])).dtype == dtype


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_a_matrix_without_cells(shape):
    W = SparseMatrix(shape, [], [], np.zeros(0))
    assert (W.nnz, W.size, W.density) == (0, 0, 0.0)
    assert W.toarray().shape == shape
    assert W.T.shape == shape[::-1]


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_multiplying_by_a_matrix_without_cells_gives_zeros(shape):
    W = SparseMatrix(shape, [], [], np.zeros(0))
    np.testing.assert_array_equal(np.ones((2, shape[0])) @ W, np.zeros((2, shape[1])))
    np.testing.assert_array_equal(np.ones(shape[0]) @ W, np.zeros(shape[1]))


def test_index_arrays_count_as_memory():
    """Three connections: two int32 indices and one float32 each."""
    W = SparseMatrix((4, 3), [1, 1, 2], [0, 2, 2], np.ones(3, np.float32))
    assert W.nbytes == 3 * (4 + 4 + 4)


def test_index_arrays_are_read_only_copies():
    rows, cols = np.array([0, 1]), np.array([1, 0])
    W = SparseMatrix((2, 2), rows, cols, [1.0, 2.0])
    rows[0] = 1  # still the caller's own
    assert W.rows.tolist() == [0, 1]
    for index in (W.rows, W.cols, W.T.rows, W.T.cols):
        with pytest.raises(ValueError, match="read-only"):
            index[0] = 1


@pytest.mark.parametrize(("size", "dtype"), [(2**31 - 1, np.int32), (2**31, np.int64)])
def test_an_index_has_four_bytes_as_long_as_they_suffice(size, dtype):
    for shape in ((size, 2), (2, size)):
        topology = Topology(shape, [0, shape[0] - 1], [1, shape[1] - 1])
        assert topology.rows.dtype == topology.cols.dtype == dtype
        assert topology.cols[1] == shape[1] - 1


def test_lists_do_as_well_as_arrays(W):
    np.testing.assert_array_equal(SparseMatrix.from_array([[0.0, 2.0]]).toarray(), [[0.0, 2.0]])
    np.testing.assert_array_equal([1.0, 2.0, 3.0, 4.0] @ W, [10.0, 0.0, 21.0])
    assert [array.tolist() for array in W.connections_of_rows([2, 1])] == [[0, 1, 1], [2, 0, 1]]
    np.testing.assert_array_equal(W.take_rows([2, 0]), [[0.0, 0.0, 7.0], [0.0, 0.0, 0.0]])


# What can be derived


@steady
@given(matrices())
def test_the_transpose_has_the_same_weights_in_the_other_order(W):
    np.testing.assert_array_equal(W.T.toarray(), W.toarray().T)
    assert (np.diff(W.T.topology.keys) > 0).all()
    np.testing.assert_array_equal(W.T.T.rows, W.rows)
    np.testing.assert_array_equal(W.T.T.cols, W.cols)
    np.testing.assert_array_equal(W.T.T.values, W.values)


def test_the_transpose_is_not_conjugated():
    A = np.array([[0, 1 + 2j], [3 - 1j, 0]])
    np.testing.assert_array_equal(SparseMatrix.from_array(A).T.toarray(), A.T)


def test_the_transpose_follows_values_that_were_changed_in_place(W):
    """Only the order is remembered, never the values: an optimizer changes those in place."""
    assert W.T.toarray()[0, 1] == 5.0
    W.values[0] = 50.0
    assert W.T.toarray()[0, 1] == 50.0
    assert (np.array([0.0, 1.0, 0.0, 0.0]) @ W)[0] == 50.0


def test_with_values_shares_the_topology_and_leaves_the_old_values(W):
    other = W.with_values(np.array([1.0, 2.0, 3.0], np.float32))
    assert other.topology is W.topology
    assert other.values.tolist() == [1.0, 2.0, 3.0]
    assert other.dtype == np.float32
    assert W.values.tolist() == [5.0, 0.0, 7.0]


def test_a_copy_can_be_changed_alone(W):
    copy = W.copy()
    copy.values[:] = -1.0
    assert W.values.tolist() == [5.0, 0.0, 7.0]
    assert copy.topology is W.topology


@steady
@given(W=matrices(), data=st.data())
def test_take_rows_is_fancy_indexing_with_repeats_and_empty_rows(W, data):
    n_rows = W.shape[0]
    rows = data.draw(st.lists(st.integers(0, n_rows - 1), max_size=8) if n_rows else st.just([]))
    rows = np.array(rows, np.int64)
    np.testing.assert_array_equal(W.take_rows(rows), W.toarray()[rows])


@steady
@given(W=matrices(), data=st.data())
def test_connections_of_rows_names_each_connection_of_each_asked_row(W, data):
    n_rows = W.shape[0]
    rows = data.draw(st.lists(st.integers(0, n_rows - 1), max_size=8) if n_rows else st.just([]))
    which, positions = W.connections_of_rows(np.array(rows, np.int64))
    expected = [(k, p) for k, row in enumerate(rows) for p in range(W.nnz) if W.rows[p] == row]
    assert list(zip(which.tolist(), positions.tolist(), strict=True)) == expected


def test_a_row_starts_where_the_one_before_ends(W):
    assert W.topology.row_starts.tolist() == [0, 0, 2, 3, 3]


def test_rows_in_two_dimensions_are_taken_in_two_dimensions(W):
    rows = np.array([[2, 1, 1], [0, 3, 2]])
    np.testing.assert_array_equal(W.take_rows(rows), W.toarray()[rows])


def test_the_weights_of_a_matrix_are_the_array_that_training_changes(W):
    assert weights_of(W) is W.values
    A = W.toarray()
    assert weights_of(A) is A


def test_the_gradient_of_a_dense_matrix_is_dense():
    x, dy = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([[1.0], [10.0], [100.0]])
    np.testing.assert_array_equal(weight_gradient(x, dy, np.ones((2, 1))), [[531.0], [642.0]])


def test_rows_without_connections_first_in_the_middle_and_last():
    W = SparseMatrix((5, 2), [1, 1, 3], [0, 1, 1], [1.0, 2.0, 3.0])
    every_row = np.arange(5)
    which, positions = W.connections_of_rows(every_row)
    assert which.tolist() == [1, 1, 3]
    assert positions.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(W.take_rows(every_row), [[0, 0], [1, 2], [0, 0], [0, 3], [0, 0]])
    np.testing.assert_array_equal(W.take_rows(np.array([0, 2, 4])), np.zeros((3, 2)))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64])
def test_the_largest_row_that_an_integer_type_can_name(dtype):
    """The end of row r is the start of row r + 1, and r + 1 does not fit into an int8 for r = 127."""
    last = min(np.iinfo(dtype).max, 70_000)
    n_rows = last + 10
    W = SparseMatrix((n_rows, 2), np.arange(n_rows), np.arange(n_rows) % 2, np.arange(1.0, n_rows + 1))
    np.testing.assert_array_equal(W.take_rows(np.array([last], dtype)), W.toarray()[[last]])


# Large matrices


def test_keys_do_not_overflow_past_two_to_the_31():
    """100,000 × 50,000 is 5 · 10⁹ cells: an int32 would wrap, and the order would break."""
    n_rows, n_cols = 100_000, 50_000
    rows = np.array([0, 42_949, 42_950, 99_999], np.int32)
    cols = np.array([7, 49_999, 0, 49_999], np.int32)
    topology = Topology((n_rows, n_cols), rows, cols)
    expected = [row * n_cols + col for row, col in zip(rows.tolist(), cols.tolist(), strict=True)]
    assert topology.keys.tolist() == expected
    assert topology.keys.dtype == np.int64
    W = SparseMatrix.from_topology(topology, np.array([1.0, 2.0, 3.0, 4.0]))
    assert W.size == 5_000_000_000
    assert list(zip(W.T.rows.tolist(), W.T.cols.tolist(), W.T.values.tolist(), strict=True)) == [
        (0, 42_950, 3.0),
        (7, 0, 1.0),
        (49_999, 42_949, 2.0),
        (49_999, 99_999, 4.0),
    ]


def test_indices_past_two_to_the_31_are_stored_as_they_are():
    W = SparseMatrix((2**40, 2), [2**31 - 1, 2**31, 2**40 - 1], [0, 1, 1], [1.0, 2.0, 3.0])
    assert W.rows.tolist() == [2**31 - 1, 2**31, 2**40 - 1]
    assert W.T.cols.tolist() == [2**31 - 1, 2**31, 2**40 - 1]


def test_keys_up_to_two_to_the_62_are_exact():
    side = 2**31
    topology = Topology((side, side), [0, side - 2, side - 1], [side - 1, side - 1, side - 1])
    assert topology.keys.tolist() == [side - 1, (side - 2) * side + side - 1, side * side - 1]


def test_a_shape_whose_cells_cannot_be_numbered_is_an_error():
    """2⁶⁴ cells: row · n_cols + column would wrap around silently."""
    side = 2**32
    with pytest.raises(ValueError, match="shape"):
        SparseMatrix((side, side), [1, side // 2], [0, 1], [1.0, 2.0])


def test_a_million_rows_without_an_array_of_the_full_size():
    """1,000,000 × 512: a mask of one byte per cell would be 512 MB."""
    n_rows, n_cols = 1_000_000, 512
    rows = np.arange(0, n_rows, 100)
    tracemalloc.start()
    try:
        W = SparseMatrix((n_rows, n_cols), rows, rows % n_cols, np.ones(len(rows), np.float32))
        taken = W.take_rows(np.array([0, 1, 100, 999_900]))
        product = np.ones((1, n_rows), np.float32) @ W
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert taken.sum(axis=1).tolist() == [1.0, 0.0, 1.0, 1.0]
    assert product.sum() == len(rows)
    assert peak < 512_000_000 / 10


# Bad input: the message says what was got and what is expected

BAD_MATRICES = {
    "row too large": ((2, 3), [0, 2], [0, 0], [1.0, 1.0], r"rows ranges from 0 to 2;.*\(2, 3\) has .* 0 to 1"),
    "row negative": ((2, 3), [-1, 0], [0, 0], [1.0, 1.0], r"rows ranges from -1 to 0;.*\(2, 3\) has .* 0 to 1"),
    "column too large": (
        (2, 3),
        [0, 1],
        [0, 3],
        [1.0, 1.0],
        r"cols ranges from 0 to 3;.*\(2, 3\) has .* 0 to 2",
    ),
    "column negative": (
        (2, 3),
        [0, 1],
        [-2, 0],
        [1.0, 1.0],
        r"cols ranges from -2 to 0;.*\(2, 3\) has .* 0 to 2",
    ),
    "rows out of order": (
        (2, 3),
        [1, 0],
        [0, 0],
        [1.0, 1.0],
        r"connection 1 is \(0, 0\) after \(1, 0\).*sort",
    ),
    "columns out of order": (
        (2, 3),
        [0, 0],
        [2, 1],
        [1.0, 1.0],
        r"connection 1 is \(0, 1\) after \(0, 2\).*sort",
    ),
    "the same cell twice": (
        (2, 3),
        [0, 1, 1],
        [0, 2, 2],
        [1.0] * 3,
        r"\(1, 2\) after \(1, 2\).*remove duplicates",
    ),
    "rows are not integers": (
        (2, 3),
        [0.0, 1.0],
        [0, 0],
        [1.0, 1.0],
        r"rows has .*float64; expected .*integers",
    ),
    "rows in two dimensions": (
        (2, 3),
        [[0, 1]],
        [[0, 0]],
        [1.0, 1.0],
        r"rows has shape \(1, 2\).*expected \(nnz,\)",
    ),
    "fewer columns than rows": ((2, 3), [0, 1], [0], [1.0, 1.0], r"lengths 2 and 1; expected one of each"),
    "fewer values": ((2, 3), [0, 1], [0, 0], [1.0], r"values have shape \(1,\); expected \(2,\)"),
    "values in two dimensions": ((2, 3), [0], [0], [[1.0]], r"values have shape \(1, 1\); expected \(1,\)"),
    "shape is one number": (5, [], [], np.zeros(0), r"shape is 5; expected two whole numbers"),
    "shape has three sizes": (
        (1, 2, 3),
        [],
        [],
        np.zeros(0),
        r"shape is \(1, 2, 3\); expected two whole numbers",
    ),
    "shape is negative": ((-1, 3), [], [], np.zeros(0), r"shape is \(-1, 3\); expected two whole numbers"),
    "shape is fractional": (
        (1.5, 3),
        [],
        [],
        np.zeros(0),
        r"shape is \(1.5, 3\); expected two whole numbers",
    ),
}


@pytest.mark.parametrize("case", BAD_MATRICES)
def test_a_bad_matrix_is_described(case):
    *arguments, message = BAD_MATRICES[case]
    with pytest.raises(ValueError, match=message):
        SparseMatrix(*arguments)


@pytest.mark.parametrize("values", [[1, 2], [True, False], ["a", "b"], np.array([1, 2], object)])
def test_weights_that_are_not_floating_point(values):
    with pytest.raises(TypeError, match=r"values have dtype .*; expected floating point"):
        SparseMatrix((2, 2), [0, 1], [0, 0], values)


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2), ()])
def test_from_array_wants_two_dimensions(shape):
    with pytest.raises(ValueError, match=r"shape \(.*\); expected two dimensions"):
        SparseMatrix.from_array(np.ones(shape))


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 4, 5)])
def test_a_product_that_does_not_fit_names_both_shapes(W, shape):
    with pytest.raises(ValueError) as error:
        np.ones(shape) @ W
    assert str(shape) in str(error.value)
    assert "(4, 3)" in str(error.value)
    assert "last size to be 4" in str(error.value)


def test_a_number_is_no_row_vector(W):
    with pytest.raises(ValueError, match=r"x has shape \(\)"):
        np.array(2.0) @ W


@pytest.mark.parametrize("row", [-1, -2, 4])
def test_a_row_that_does_not_exist_is_an_error_and_not_another_row(W, row):
    with pytest.raises((IndexError, ValueError), match="row"):
        W.take_rows(np.array([row]))


@pytest.mark.parametrize("length", [2, 4])
def test_with_values_wants_one_value_per_connection(W, length):
    with pytest.raises(ValueError, match=rf"values have shape \({length},\); expected \(3,\), one per connection"):
        W.with_values(np.ones(length))


def test_the_representation_tells_shape_count_density_and_type(W):
    assert repr(W) == "SparseMatrix(shape=(4, 3), nnz=3, density=0.2500, dtype=float64)"


def test_rows_are_read_along_one_axis():
    W = SparseMatrix((3, 2), [0, 0, 2], [0, 1, 1], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"rows have shape \(1, 2\) and range from 0 to 2; expected \(U,\)"):
        W.connections_of_rows(np.array([[0, 2]]))
    assert W.take_rows([]).shape == (0, 2) and W.take_rows(np.uint64(2)).tolist() == [0.0, 3.0]


def test_masked_values_and_sets_of_sizes_are_refused():
    with pytest.raises(ValueError, match="values has 1 masked entries"):
        SparseMatrix((1, 2), [0, 0], [0, 1], np.ma.MaskedArray([1.0, 2.0], [True, False]))
    for shape in ({2, 3}, {2: 0, 3: 0}, (True, 3), "23", None, np.ones((3, 3))):
        with pytest.raises(ValueError, match="shape is .*; expected two whole numbers"):
            Topology(shape, [], [])
    with pytest.raises(TypeError, match="topology is .*; expected a Topology"):
        SparseMatrix.from_topology((2, 3), [1.0])


def test_a_gradient_needs_matching_factors():
    W = SparseMatrix((2, 2), [0, 1], [1, 1], [2.0, 3.0])
    with pytest.raises(ValueError, match=r"dy has shape \(1, 2\); expected \(N, n_cols\) with N = 3"):
        weight_gradient(np.ones((3, 2)), np.ones((1, 2)), W)
    with pytest.raises(ValueError, match="W has shape"):
        weight_gradient(np.ones((3, 3)), np.ones((3, 2)), W)


def test_the_type_of_what_is_computed_is_that_of_all_weights_together():
    W = SparseMatrix((2, 2), [0], [1], np.ones(1, np.float32))
    assert dtype_of({"W": W, "b": np.zeros(2, np.float32)}) == np.float32
    assert dtype_of({"W": W, "b": np.zeros(2)}) == dtype_of({"W": W.toarray().astype(np.float64)}) == np.float64
