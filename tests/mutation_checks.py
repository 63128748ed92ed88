"""What the package has to do, in checks that are quick enough to be run a thousand times.

Every check takes the package as an object (``package.layers.lstm.lstm_forward``) and raises if something is wrong, so
that the mutation test can hand over copies with a mistake in them. The references are loops over single numbers, or
dense NumPy where that is obviously right, and use nothing of the package; the gradient checks are the package's own,
from `numpy_setlstm.gradcheck` itself and never from a copy.
"""

import itertools
import math
import unittest.mock
import warnings

import numpy as np
import numpy.ma  # noqa: F401  np.median imports it when first called, and it must not meet the np.empty below

from numpy_setlstm.gradcheck import check_gradients

FORCED = ("gather", "scratch")


def run(package):
    """Run all checks; an AssertionError names the first that fails, and what it says.

    Warnings are errors, and ``np.empty`` is full of NaN: an entry that is never written may hold the right number by
    chance, where an array that was freed held it before.
    """
    with warnings.catch_warnings(), unittest.mock.patch.object(np, "empty", full_of_nan):
        warnings.simplefilter("error")
        for check in CHECKS:
            try:
                check(package)
            except Exception as error:
                raise AssertionError(f"{check.__name__}: {type(error).__name__}: {error}") from error


def full_of_nan(shape, dtype=float, **layout):
    """Return what ``np.empty`` might return at worst."""
    return np.full(shape, np.nan if np.dtype(dtype).kind in "fc" else 77, dtype, **layout)


def close(actual, expected):
    """Equal up to rounding, of one shape."""
    assert np.shape(actual) == np.shape(expected), f"shape {np.shape(actual)}, expected {np.shape(expected)}"
    differences(actual, expected, 1e-11, 1e-13)


def differences(actual, expected, rtol, atol):
    """Raise if numbers differ by more than their rounding; quicker than NumPy's own."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    right = np.abs(actual - expected) <= atol + rtol * np.abs(expected)
    assert right.all(), f"{actual[~right][:3]}, expected {expected[~right][:3]}"


def equal(actual, expected):
    """Equal in every bit, of one shape and one type."""
    assert np.shape(actual) == np.shape(expected), f"shape {np.shape(actual)}, expected {np.shape(expected)}"
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype, f"type {actual.dtype}, expected {expected.dtype}"
    right = actual == expected
    assert right.all(), f"{actual[~right][:3]}, expected {expected[~right][:3]}"


def close_in_single_precision(actual, expected):
    """Of type float32, and equal up to its rounding."""
    assert np.asarray(actual).dtype == np.float32, f"type {np.asarray(actual).dtype}, expected float32"
    assert np.shape(actual) == np.shape(expected), f"shape {np.shape(actual)}, expected {np.shape(expected)}"
    differences(actual, expected, 2e-5, 2e-6)


# Optimizers


def sgd_by_scalars(weight, gradients, rates, momentum):
    velocity = 0.0
    for gradient, rate in zip(gradients, rates, strict=True):
        velocity = momentum * velocity + gradient
        weight = weight - rate * velocity
    return weight, velocity


def adam_by_scalars(weight, gradients, rates, beta1, beta2, adam_eps, age=0):
    mean = square = 0.0
    for gradient, rate in zip(gradients, rates, strict=True):
        age += 1
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient * gradient
        step = (mean / (1 - beta1**age)) / (math.sqrt(square / (1 - beta2**age)) + adam_eps)
        weight = weight - rate * step
    return weight, mean, square


def sgd_rule(package):
    gradient, velocity = np.array([1.0, -2.0, 0.5]), np.array([0.3, 4.0, -1.0])
    for settings, momentum in (({}, 0.9), ({"momentum": 0.25}, 0.25)):
        change, after = package.optimizers.sgd_update(gradient, velocity, learning_rate=0.1, **settings)
        close(after, [momentum * v + g for v, g in zip(velocity, gradient, strict=True)])
        close(change, [-0.1 * v for v in after])


def adam_rule(package):
    gradient, m, v = np.array([3.0, -0.2, 0.0]), np.array([0.5, 0.1, -2.0]), np.array([0.4, 0.0, 3.0])
    age = np.array([0, 3, 40])  # becomes int32
    for settings, (beta1, beta2, adam_eps) in (
        ({}, (0.9, 0.999, 1e-8)),
        ({"beta1": 0.6, "beta2": 0.7, "adam_eps": 0.5}, (0.6, 0.7, 0.5)),
    ):
        change, m_after, v_after, age_after = package.optimizers.adam_update(
            gradient, m, v, age, learning_rate=0.1, **settings
        )
        close(m_after, beta1 * m + (1 - beta1) * gradient)
        close(v_after, beta2 * v + (1 - beta2) * gradient * gradient)
        equal(age_after, np.array([1, 4, 41], np.int32))
        for k in range(3):
            m_hat = m_after[k] / (1 - beta1 ** int(age_after[k]))
            v_hat = v_after[k] / (1 - beta2 ** int(age_after[k]))
            close(change[k], -0.1 * m_hat / (math.sqrt(v_hat) + adam_eps))
    # What Adam's epsilon is for, with its own default: a gradient as small as that.
    zero = np.zeros(1)
    change, *_ = package.optimizers.adam_update(np.array([1e-8]), zero, zero, zero.astype(int), learning_rate=1)
    close(change, [-0.5])


def optimizers_over_several_steps(package):
    rng = np.random.default_rng(0)
    rates = {"sparse": 0.1, "dense": 0.03}
    factors = (1.0, 0.5, 2.0, 0.25)
    optimizers = package.optimizers
    cases = (
        (optimizers.SGD, {}, sgd_by_scalars, (0.9,)),
        (optimizers.SGD, {"momentum": 0.3}, sgd_by_scalars, (0.3,)),
        (optimizers.Adam, {}, adam_by_scalars, (0.9, 0.999, 1e-8)),
        (optimizers.Adam, {"beta1": 0.5, "beta2": 0.75, "adam_eps": 0.01}, adam_by_scalars, (0.5, 0.75, 0.01)),
    )
    for (optimizer_class, settings, by_scalars, constants), rate in itertools.product(cases, (rates, 0.2)):
        start = rng.normal(size=4), rng.normal(size=(2, 3))
        W = package.sparse.SparseMatrix((3, 5), [0, 0, 1, 2], [1, 4, 0, 2], start[0].copy())
        A, values = start[1].copy(), W.values
        parameters = {"sparse": W, "dense": A}
        optimizer = optimizer_class(parameters, rate, **settings)
        check_ages(optimizer, 0)
        gradients = [{"sparse": rng.normal(size=4), "dense": rng.normal(size=(2, 3))} for _ in factors]
        for factor, gradient in zip(factors, gradients, strict=True):
            given = {name: array.copy() for name, array in gradient.items()}
            # A factor of 1 is the default.
            optimizer.update(parameters, gradient, *(() if factor == 1.0 else (factor,)))
            for name, array in gradient.items():
                equal(array, given[name])
        assert W.values is values and parameters["dense"] is A, "weights are changed in place"
        for name, before, after in (("sparse", start[0], W.values), ("dense", start[1], A)):
            one_rate = rate[name] if isinstance(rate, dict) else rate
            state = [optimizer.state[name][key] for key in ("velocity", "m", "v") if key in optimizer.state[name]]
            expected = [
                by_scalars(before[k], [g[name][k] for g in gradients], [one_rate * f for f in factors], *constants)
                for k in np.ndindex(before.shape)
            ]
            close(np.stack([after.ravel(), *map(np.ravel, state)], axis=1), expected)
        check_ages(optimizer, len(factors))


def check_ages(optimizer, age):
    """One age per connection, one for a dense array, in an array of int32 all the same."""
    for name, shape in (("sparse", (4,)), ("dense", ())):
        if "age" in optimizer.state[name]:
            equal(optimizer.state[name]["age"], np.full(shape, age, np.int32))
            assert isinstance(optimizer.state[name]["age"], np.ndarray)


def state_follows_the_connections(package):
    """A connection that is grown is treated as one of age 0, beside others of age 2."""
    optimizers, SparseMatrix = package.optimizers, package.sparse.SparseMatrix
    rng = np.random.default_rng(1)
    W, b = SparseMatrix((2, 2), [0, 0, 1], [0, 1, 0], np.zeros(3)), np.zeros(2)
    optimizer = optimizers.Adam({"W": W, "b": b}, 0.1)
    before = [{"W": rng.normal(size=3), "b": rng.normal(size=2)} for _ in range(2)]
    for gradients in before:
        optimizer.update({"W": W, "b": b}, gradients)

    class SecondIsReplaced:
        """As a SetStep in which the second connection was pruned, and one grown after the third."""

        @staticmethod
        def carry(array):
            return np.array([array[0], array[2], 0], array.dtype)

    optimizer.carry("W", SecondIsReplaced)
    assert optimizer.state["b"]["age"].shape == ()
    moved = SparseMatrix((2, 2), [0, 1, 1], [0, 0, 1], np.zeros(3))
    after = rng.normal(size=3)
    optimizer.update({"W": moved, "b": b}, {"W": after})
    histories = [[before[0]["W"][k], before[1]["W"][k]] for k in (0, 2)]
    for k, history in enumerate([*histories, []]):
        rates = [0.0] * len(history) + [0.1]  # the weights start anew here, the means do not
        close(moved.values[k], adam_by_scalars(0.0, [*history, after[k]], rates, 0.9, 0.999, 1e-8)[0])
    equal(optimizer.state["W"]["age"], np.array([3, 3, 1], np.int32))


def optimizers_keep_single_precision(package):
    """Also if the settings are NumPy's numbers."""
    optimizers, number = package.optimizers, np.float64
    settings = {"momentum": number(0.9)}, {"beta1": number(0.9), "beta2": number(0.99), "adam_eps": number(1e-8)}
    for optimizer_class, constants in zip((optimizers.SGD, optimizers.Adam), settings, strict=True):
        W = package.sparse.SparseMatrix((2, 2), [0, 1], [1, 0], np.ones(2, np.float32))
        parameters = {"W": W, "b": np.ones(3, np.float32)}
        for rate in (number(0.1), {"W": number(0.1), "b": number(0.2)}):
            optimizer = optimizer_class(parameters, rate, **constants)
            numbers = [*optimizer.constants.values(), *optimizer.learning_rates.values()]
            assert all(type(number) is float for number in numbers), "NumPy 2 would turn float32 into float64"
            for _ in range(2):
                optimizer.update(parameters, {"W": np.ones(2, np.float32), "b": np.ones(3, np.float32)})
            for state in optimizer.state.values():
                for quantity, array in state.items():
                    assert array.dtype == (np.int32 if quantity == "age" else np.float32), quantity
            change, _ = optimizer.step(np.ones(3, np.float32), optimizer.state["b"], optimizer.learning_rates["b"])
            assert change.dtype == np.float32
    change, *_ = optimizers.adam_update(*np.ones((3, 2), np.float32), np.ones(2, np.int32), learning_rate=0.1)
    assert change.dtype == np.float32


class TimesPythonsNumber(np.ndarray):
    """An array that refuses to be multiplied by a number of NumPy's, whose type could be wider."""

    def __mul__(self, factor):
        assert type(factor) is float, f"{type(factor)}, expected float"
        return super().__mul__(factor)


def clipping(package):
    clip = package.optimizers.clip_by_norm
    gradients = {"a": np.array([[3.0, 0.0], [0.0, -4.0]]), "b": np.array([12.0])}
    for max_norm in (13.0, 20.0, math.inf):
        clipped, norm = clip(gradients, max_norm)
        assert clipped is gradients and norm == 13.0
    clipped, norm = clip(gradients, 6.5)
    assert norm == 13.0
    for name, gradient in {"a": [[1.5, 0.0], [0.0, -2.0]], "b": [6.0]}.items():
        close(clipped[name], gradient)
    equal(gradients["b"], np.array([12.0]))
    assert clip({"a": np.array([3.0 + 4.0j])}, 10.0)[1] == 5.0
    clip({"a": np.ones(3).view(TimesPythonsNumber)}, np.float64(1.0))
    # Squares of float32 numbers overflow soon.
    clipped, norm = clip({"a": np.array([3e30, 4e30], np.float32)}, np.float64(1.0))
    close_in_single_precision(clipped["a"], [0.6, 0.8])
    differences(norm, 5e30, 1e-6, 0)


# Sparse storage

TOPOLOGIES = (
    np.ones((2, 3)),
    np.zeros((2, 3)),
    np.array([[0, 0, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]),  # empty at both ends, and within
    np.array([[0, 1, 1, 0, 1], [0, 0, 0, 0, 0], [0, 1, 0, 0, 1]]),
    np.array([[1, 0, 1, 1, 0, 0], [0, 1, 1, 0, 0, 0]]),
    np.array([[0, 1, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 0]]),
    np.zeros((0, 3)),
    np.zeros((3, 0)),
)


def sparse_and_dense(package, mask, seed, dtype=np.float64):
    """The same matrix in both forms, of whole numbers, so that sums are exact in any order."""
    rng = np.random.default_rng(seed)
    cells = [(row, col) for row in range(mask.shape[0]) for col in range(mask.shape[1]) if mask[row, col]]
    values = rng.integers(-4, 5, len(cells)).astype(dtype)
    dense = np.zeros(mask.shape, dtype)
    for (row, col), value in zip(cells, values, strict=True):
        dense[row, col] = value
    rows, cols = [row for row, _ in cells], [col for _, col in cells]
    return package.sparse.SparseMatrix(mask.shape, rows, cols, values), dense


def whole_numbers(shape, seed, dtype=np.float64):
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def storage(package):
    sparse = package.sparse
    for seed, mask in enumerate(TOPOLOGIES):
        W, dense = sparse_and_dense(package, mask, seed)
        cells = np.argwhere(mask)
        equal(W.toarray(), dense)
        equal(W.T.toarray(), dense.T.copy())
        equal(W.T.T.toarray(), dense)
        equal(W.rows, cells[:, 0].astype(np.int32))
        equal(W.cols, cells[:, 1].astype(np.int32))
        assert (W.shape, W.nnz, W.size, W.dtype) == (mask.shape, len(cells), mask.size, np.float64)
        assert W.density == (len(cells) / mask.size if mask.size else 0.0)
        assert W.nbytes == 16 * len(cells)
        equal(W.topology.keys, np.array([row * mask.shape[1] + col for row, col in cells], np.int64))
        equal(
            W.topology.row_starts,
            np.array([sum(row < r for row, _ in cells) for r in range(mask.shape[0] + 1)], np.int64),
        )
        by_column = sorted(range(len(cells)), key=lambda k: (cells[k][1], cells[k][0]))
        equal(W.topology.by_column, np.array(by_column, np.int32))
        other = W.with_values(W.values + 1)
        assert other.topology is W.topology
        equal(other.toarray(), dense + np.where(mask, 1.0, 0.0))
        copy = W.copy()
        copy.values[:] = 0
        equal(W.toarray(), dense)
        equal(sparse.SparseMatrix.from_array(dense).toarray(), dense)
        assert sparse.SparseMatrix.from_array(dense).nnz == np.count_nonzero(dense)
        equal(sparse.weights_of(W), W.values)
        assert sparse.weights_of(dense) is dense
        assert not W.rows.flags.writeable and not W.cols.flags.writeable
    equal(sparse.SparseMatrix.from_array([[0.0, 2.0]]).toarray(), np.array([[0.0, 2.0]]))
    assert sparse.SparseMatrix((1, 1), [0], [0], [1.0]).values.dtype == np.float64, "a list is as good as an array"
    given = np.array([0, 1], np.int32), np.array([0, 1], np.int32), np.array([1.0, 2.0], np.float32)
    W = sparse.SparseMatrix((2, 2), *given)
    assert W.values is given[2] and W.nbytes == 24 and all(array.flags.writeable for array in given)
    assert W.toarray().dtype == np.float32


class Long(np.ndarray):
    """An array that claims to have another length."""

    def __len__(self):
        return self.length


def large_shapes(package):
    """Where the numbers of 32 bits end."""
    for length, dtype in ((3, np.int32), (2**31 - 1, np.int32), (2**31, np.int64)):
        topology = package.sparse.Topology((2, 3), [0, 0, 1], [1, 2, 0])
        topology.rows, topology.cols = topology.rows.view(Long), topology.cols.view(Long)
        topology.rows.length = topology.cols.length = length
        equal(np.asarray(topology.by_column), np.array([2, 0, 1], dtype))
    for n, dtype in ((2**31 - 1, np.int32), (2**31, np.int64)):
        for shape in ((n, 2), (2, n)):
            topology = package.sparse.Topology(shape, [0, shape[0] - 1], [1, shape[1] - 1])
            equal(topology.rows, np.array([0, shape[0] - 1], dtype))
            equal(topology.cols, np.array([1, shape[1] - 1], dtype))
            equal(topology.keys, np.array([1, shape[0] * shape[1] - 1], np.int64))


def rows_of_a_matrix(package):
    for seed, mask in enumerate(TOPOLOGIES):
        W, dense = sparse_and_dense(package, mask, seed)
        n_rows = mask.shape[0]
        for rows in (np.arange(n_rows)[::-1], np.arange(n_rows)[1::2], np.repeat(np.arange(n_rows), 2), np.arange(0)):
            equal(W.take_rows(rows), dense[rows])
            which, positions = W.connections_of_rows(rows)
            expected = [(u, k) for u, row in enumerate(rows) for k in range(W.nnz) if W.rows[k] == row]
            equal(np.stack([which, positions], axis=1).astype(int), np.array(expected, int).reshape(-1, 2))
        if n_rows:
            equal(W.connections_of_rows([0])[1], np.arange(int(mask[0].sum())))  # a list is as good as an array
    W, dense = sparse_and_dense(package, np.ones((256, 1)), 0, np.float32)
    equal(W.take_rows(np.array([255, 0], np.uint8)), dense[[255, 0]])


# Products


def products(package):
    """Every kernel against the dense product, both ways; x of one, two and three dimensions, and empty."""
    sparse = package.sparse
    for seed, mask in enumerate(TOPOLOGIES):
        W, dense = sparse_and_dense(package, mask, seed)
        for n in (0, 3):
            x, dy = whole_numbers((n, mask.shape[0]), seed), whole_numbers((n, mask.shape[1]), seed + 100)
            equal(x @ W, x @ dense)
            equal(sparse.weight_gradient(x, dy, dense), x.T @ dy)
            for kernel in (*FORCED, "auto"):
                equal(x @ sparse.multiplier(W, kernel), x @ dense)
                equal(dy @ sparse.multiplier(W.T, kernel), dy @ dense.T)
                equal(sparse.weight_gradient(x, dy, W, kernel), (x.T @ dy)[mask != 0])
                assert sparse.multiplier(dense, kernel) is dense
            equal(sparse.weight_gradient(x, dy, W), (x.T @ dy)[mask != 0])
            equal(x @ sparse.multiplier(W), x @ dense)
        for shape in ((), (2,), (3, 2), (0, 2), (2, 1, 3)):
            x = whole_numbers((*shape, mask.shape[0]), seed)
            equal(x @ W, x @ dense)
    W, dense = sparse_and_dense(package, TOPOLOGIES[3], 0)
    equal([1.0, 2.0, 3.0] @ W, np.array([1.0, 2.0, 3.0]) @ dense)


def types_of_products(package):
    """The wider of the two types: a complex step may go through an input or through a weight."""
    sparse, mask = package.sparse, TOPOLOGIES[3]
    for of_x, of_W in itertools.product((np.float32, np.float64, np.complex128), repeat=2):
        W, dense = sparse_and_dense(package, mask, 0, of_W)
        x, dy = whole_numbers((4, 3), 1, of_x), whole_numbers((4, 5), 2, of_W)
        if of_x is np.complex128:
            x = x + 1j * whole_numbers((4, 3), 3)
        if of_W is np.complex128:
            dy = dy + 1j * whole_numbers((4, 5), 4)
        for kernel in FORCED:
            equal(x @ sparse.multiplier(W, kernel), x @ dense)
            equal(sparse.weight_gradient(x, dy, W, kernel), (x.T @ dy)[mask != 0])


class Watched(np.ndarray):
    """An array that remembers the shapes of the parts that were taken from it."""

    def __array_finalize__(self, obj):
        self.parts = getattr(obj, "parts", [])

    def __getitem__(self, index):
        part = super().__getitem__(index)
        self.parts.append(part.shape)
        return np.asarray(part)


def chunks(package):
    """A border between chunks loses and repeats nothing, and a chunk has the promised size."""
    kernels = package.kernels
    few_columns = np.zeros((8, 5))
    few_columns.flat[[1, 2, 5, 9, 15, 16, 17, 18, 19, 30, 33, 34]] = 1  # rows 2, 4, 5 and 7 are empty
    sizes = (1, 2, 5, 6, 7, 11, 12, 13, 23, 24, 25, 1000)
    for (n, mask), cells in itertools.product(((6, few_columns), (1, few_columns[:, 1:2])), sizes):
        W, dense = sparse_and_dense(package, mask, 0)
        x, dy = whole_numbers((n, 8), 1), whole_numbers((n, mask.shape[1]), 2)
        by_column = np.argsort(W.cols, kind="stable")
        columnwise = W.rows[by_column], W.cols[by_column], W.values[by_column]
        with unittest.mock.patch.object(kernels, "CHUNK_CELLS", cells):
            watched = x.view(Watched)
            equal(kernels.product_gather(watched, *columnwise, mask.shape[1]), x @ dense)
            equal([rows for rows, _ in watched.parts], in_chunks(n, max(1, cells // W.nnz)))
            watched = x.view(Watched)
            equal(kernels.gradient_gather(watched, dy, W.rows, W.cols), (x.T @ dy)[mask != 0])
            equal([cols for _, cols in watched.parts], in_chunks(W.nnz, max(1, cells // n)))
            watched = x.view(Watched)
            equal(kernels.gradient_blocks(watched, dy, W.rows, W.cols), (x.T @ dy)[mask != 0])
            equal([cols for _, cols in watched.parts], in_chunks(8, max(1, cells // mask.shape[1])))


def in_chunks(total, chunk):
    """Sizes of the chunks: all full but perhaps the last."""
    return [min(chunk, total - first) for first in range(0, total, chunk)]


def choice_of_kernel(package):
    kernels = package.kernels
    with unittest.mock.patch.multiple(kernels, GATHER_BELOW_DENSITY=0.25, SCRATCH_MAX_CELLS=40):
        for shape, nnz, expected in (
            ((8, 5), 10, "scratch"), ((8, 5), 9, "gather"), ((8, 5), 11, "scratch"), ((41, 1), 41, "gather"),
            ((1, 41), 41, "gather"), ((3, 12), 9, "scratch"), ((12, 3), 8, "gather"), ((0, 3), 0, "scratch"),
        ):  # fmt: skip
            assert kernels.choose_kernel(shape, nnz) == kernels.choose_kernel(shape, nnz, "auto") == expected
            assert [kernels.choose_kernel(shape, nnz, kernel) for kernel in FORCED] == list(FORCED)
    assert kernels.choose_kernel((20_000, 256), 200_000) == "scratch", "an embedding of 4 % is large, but not too large"
    assert kernels.SCRATCH_MAX_CELLS * np.dtype(np.float32).itemsize <= 2**29, "half a gigabyte"


def kernels_in_force(package):
    """A kernel that is asked for is the one that works, in the LSTM too; and "auto" goes by the density."""
    kernels, sparse, lstm = package.kernels, package.sparse, package.layers.lstm
    used = []
    rng = np.random.default_rng(0)
    W_x, W_h = (random_sparse(package, rng, shape)[0] for shape in ((3, 8), (2, 8)))

    def spy(name, function):
        return lambda *arguments: (used.append(name), function(*arguments))[1]

    with (
        unittest.mock.patch.multiple(
            kernels,
            product_gather=spy("gather", kernels.product_gather),
            gradient_gather=spy("gather", kernels.gradient_gather),
            gradient_blocks=spy("scratch", kernels.gradient_blocks),
        ),
        unittest.mock.patch.object(sparse.SparseMatrix, "toarray", spy("scratch", sparse.SparseMatrix.toarray)),
    ):
        for kernel, expected in (("gather", "gather"), ("scratch", "scratch"), ("auto", "scratch"), (None, "scratch")):
            used.clear()
            x, forced = rng.normal(size=(2, 4, 3)), {} if kernel is None else {"kernel": kernel}
            h, cache = lstm.lstm_forward(x, W_x, W_h, np.zeros(8), **forced)
            lstm.lstm_backward(h, cache)
            assert set(used) == {expected}, f"kernel {kernel}: {used}"
    W = sparse.SparseMatrix((100, 100), [3], [4], [5.0])
    assert sparse.multiplier(W) is W


# Layers


def random_sparse(package, rng, shape, density=0.5):
    """A sparse matrix with about this density, and the same one dense."""
    dense = rng.normal(size=shape) * (rng.random(shape) < density)
    rows, cols = np.nonzero(dense)
    return package.sparse.SparseMatrix(shape, rows, cols, dense[rows, cols]), dense


def check(loss, params, grads):
    """Check gradients by the complex step; a fall back on differences is a warning, and so an error."""
    check_gradients(loss, params, grads)


class Uniform:
    """A generator of numbers that were chosen."""

    def __init__(self, numbers):
        self.numbers = numbers

    def random(self, shape, dtype):
        assert shape == self.numbers.shape
        return self.numbers.astype(dtype)


def dropout(package):
    forward, backward = package.layers.dropout.dropout_forward, package.layers.dropout.dropout_backward
    x = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])
    for nothing in ((0.5,), (0.5, None), (0.0, Uniform(np.zeros((2, 3)))), (0, Uniform(np.zeros((2, 3))))):
        y, keep = forward(x, *nothing)
        assert y is x and keep is None and backward(x, keep) is x
    chosen = Uniform(np.array([[0.25, 0.24, 0.26], [0.0, 0.75, 0.99]]))  # left out with probability 1/4: below 0.25
    y, keep = forward(x, 0.25, chosen)
    close(y, np.array([[1 / 0.75, 0.0, 3 / 0.75], [0.0, 5 / 0.75, -6 / 0.75]]))
    close(keep, np.array([[1, 0, 1], [0, 1, 1]]) / 0.75)
    dy = np.array([[7.0, 8.0, 9.0], [-1.0, -2.0, -3.0]])
    close(backward(dy, keep), np.array([[7 / 0.75, 0.0, 9 / 0.75], [0.0, -2 / 0.75, -3 / 0.75]]))
    check(lambda p: np.sum(dy * forward(p["x"], 0.25, chosen)[0] ** 2), {"x": x}, {"x": backward(2 * dy * y, keep)})
    assert forward(x + 1j, 0.25, chosen)[1].dtype == np.float64
    for dtype in (np.float32, np.float64):
        y, keep = forward(x.astype(dtype), 0.25, np.random.default_rng(0))
        equal(keep != 0, np.random.default_rng(0).random(x.shape, np.float32) >= 0.25)
        assert y.dtype == keep.dtype == backward(y, keep).dtype == dtype


def embedding(package):
    layer, SparseMatrix = package.layers.embedding, package.sparse.SparseMatrix
    rng = np.random.default_rng(0)
    mask = np.array([[0, 0, 0], [1, 0, 1], [0, 1, 0], [1, 1, 1], [1, 1, 0], [0, 0, 0], [0, 0, 1]])
    dense = mask * rng.normal(size=mask.shape)
    rows, cols = np.nonzero(mask)
    E = SparseMatrix(mask.shape, rows, cols, dense[rows, cols])
    several = np.array([[4, 1, 4, 0, 2], [2, 2, 4, 6, 1]])  # repeated words; 3 and 5 do not occur
    for tokens in (several, np.full((2, 3), 4), several[:0], several[:, :0]):
        dx = rng.normal(size=(*tokens.shape, 3))
        expected = np.zeros(mask.shape)
        for n, t in np.ndindex(tokens.shape):
            expected[tokens[n, t]] += dx[n, t]
        for weights, gradient in ((dense, expected), (E, expected[rows, cols])):
            x, cache = layer.embedding_forward(tokens, weights)
            equal(x, np.array([dense[word] for word in tokens.ravel()]).reshape(dx.shape))
            for _ in range(2):
                close(layer.embedding_backward(dx, cache), gradient)
            check(
                lambda p, tokens=tokens, dx=dx: np.sum(dx * layer.embedding_forward(tokens, p["E"])[0]),
                {"E": weights},
                {"E": layer.embedding_backward(dx, cache)},
            )
            single = weights.astype(np.float32) if weights is dense else E.with_values(E.values.astype(np.float32))
            x, cache = layer.embedding_forward(tokens, single)
            assert x.dtype == np.float32
            close_in_single_precision(layer.embedding_backward(dx.astype(np.float32), cache), gradient)
    dx = rng.normal(size=(2, 5, 3))
    gradient = np.zeros(mask.shape)
    np.add.at(gradient, several, dx)
    for shape in ((-1,), several.shape):  # what the inverse of np.unique has before NumPy 2, and since
        with unittest.mock.patch.object(np, "unique", unique_with_inverse_of(shape)):
            x, cache = layer.embedding_forward(several, dense)
            equal(x, dense[several])
            close(layer.embedding_backward(dx, cache), gradient)
    sums = layer.sum_per_word(dense[:5], np.array([2, 0, 1, 0, 2]), 3)
    close(sums, [dense[1] + dense[3], dense[2], dense[0] + dense[4]])


def unique_with_inverse_of(shape, original=np.unique):
    """Return ``np.unique`` as it is in another version of NumPy."""

    def unique(array, return_inverse):
        values, inverse = original(array, return_inverse=return_inverse)
        return values, inverse.reshape(shape)

    return unique


def readout(package):
    layer = package.layers.readout
    rng = np.random.default_rng(0)
    h, W, b = rng.normal(size=(4, 2)), rng.normal(size=(2, 3)), rng.normal(size=3)
    labels, dy = np.array([2, 0, 2, 1]), rng.normal(size=(4, 3))
    logits, cache = layer.linear_forward(h, W, b)
    close(logits, [[b[c] + sum(h[n, j] * W[j, c] for j in range(2)) for c in range(3)] for n in range(4)])
    params = {"h": h, "W": W, "b": b}
    for _ in range(2):
        grads = dict(zip(params, layer.linear_backward(dy, cache), strict=True))
        check(lambda p: np.sum(dy * layer.linear_forward(**p)[0]), params, grads)

    totals = [sum(math.exp(y) for y in row) for row in logits]
    close(layer.softmax(logits), [[math.exp(y) / totals[n] for y in logits[n]] for n in range(4)])
    loss, cache = layer.cross_entropy_forward(logits, labels)
    close(loss, -sum(math.log(math.exp(logits[n, labels[n]]) / totals[n]) for n in range(4)) / 4)
    for _ in range(2):
        check(
            lambda p: layer.cross_entropy_forward(p["y"], labels)[0],
            {"y": logits},
            {"y": layer.cross_entropy_backward(cache)},
        )
    far = np.array([[1000.0, 0.0, 998.0], [-1000.0, -1000.0, -1000.0]])  # exp of either end overflows or vanishes
    close(layer.softmax(far), [[1 / (1 + math.exp(-2)), 0, math.exp(-2) / (1 + math.exp(-2))], [1 / 3] * 3])
    close(layer.cross_entropy_forward(far, np.array([1, 0]))[0], (1000 + math.log1p(math.exp(-2)) + math.log(3)) / 2)

    single = [array.astype(np.float32) for array in (h, W, b)]
    y, cache = layer.linear_forward(*single)
    close_in_single_precision(y, logits)
    exact = logits @ W.T, h.T @ logits, logits.sum(axis=0)
    for gradient, expected in zip(layer.linear_backward(y, cache), exact, strict=True):
        close_in_single_precision(gradient, expected)
    dlogits = layer.cross_entropy_backward(layer.cross_entropy_forward(y, labels)[1])
    assert layer.softmax(y).dtype == dlogits.dtype == np.float32


def sigmoid(z):
    """Logistic function of one number."""
    return 1 / (1 + math.exp(-z)) if z > 0 else math.exp(z) / (1 + math.exp(z))


def lstm_by_scalars(x, W_x, W_h, b, mask, h0, c0):
    """Run an LSTM, number by number."""
    N, T, D = x.shape
    H = len(W_h)
    hidden = np.zeros((N, T, H))
    for n in range(N):
        h, c = list(h0[n]), list(c0[n])
        for t in range(T):
            if mask[n, t]:
                z = [
                    b[k] + sum(x[n, t, d] * W_x[d, k] for d in range(D)) + sum(h[j] * W_h[j, k] for j in range(H))
                    for k in range(4 * H)
                ]
                for j in range(H):
                    i, f, o = (sigmoid(z[gate * H + j]) for gate in range(3))
                    c[j] = f * c[j] + i * math.tanh(z[3 * H + j])
                    h[j] = o * math.tanh(c[j])
            hidden[n, t] = h
    return hidden


N, T, D, H = 3, 5, 2, 4
MASK = np.array([[0, 1, 1, 0, 1], [1, 1, 1, 1, 0], [0, 0, 1, 1, 1]], bool)  # before, after and between the words
PADDING_ONLY = np.array([[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]], bool)


def lstm_parameters(package, kind):
    """Parameters to be handed over, and the same ones as arrays."""
    rng = np.random.default_rng(7)
    arrays = {"x": rng.normal(size=(N, T, D)), "W_x": None, "W_h": None, "b": rng.normal(size=4 * H)}
    arrays |= {"h0": rng.normal(size=(N, H)), "c0": rng.normal(size=(N, H))}
    given = dict(arrays)
    for name, shape in (("W_x", (D, 4 * H)), ("W_h", (H, 4 * H))):
        given[name], arrays[name] = random_sparse(package, rng, shape)
        if kind == "dense":
            given[name] = arrays[name] = rng.normal(size=shape)
    return given, arrays


def lstm_step(package):
    layer = package.layers.lstm
    assert layer.GATES == ("i", "f", "o", "g")
    close(layer.sigmoid(np.array([-1e3, -2.0, 0.0, 0.3, 1e3])), [0, *map(sigmoid, (-2, 0, 0.3)), 1])
    rng = np.random.default_rng(0)
    z, c_prev, dh, dc = (rng.normal(size=(3, size)) for size in (8, 2, 2, 2))
    h, c, cache = layer.lstm_step_forward(z, c_prev)
    for n, j in np.ndindex(3, 2):
        i, f, o, g = (sigmoid(z[n, j]), sigmoid(z[n, 2 + j]), sigmoid(z[n, 4 + j]), math.tanh(z[n, 6 + j]))
        close(c[n, j], f * c_prev[n, j] + i * g)
        close(h[n, j], o * math.tanh(f * c_prev[n, j] + i * g))

    def loss(p):
        h, c, _ = layer.lstm_step_forward(**p)
        return np.sum(dh * h) + np.sum(dc * c)

    for _ in range(2):
        dz, dc_prev = layer.lstm_step_backward(dh, dc, cache)
        check(loss, {"z": z, "c_prev": c_prev}, {"z": dz, "c_prev": dc_prev})


def lstm_values(package):
    """The hidden states, for every kernel and kind of padding, with and without an initial state."""
    forward = package.layers.lstm.lstm_forward
    for kind in ("dense", "sparse"):
        given, arrays = lstm_parameters(package, kind)
        zero, full = np.zeros((N, H)), np.ones((N, T), bool)
        cases = {
            "everything": (given | {"mask": MASK}, arrays | {"mask": MASK}),
            "padding only": (given | {"mask": PADDING_ONLY}, arrays | {"mask": PADDING_ONLY}),
            "no mask": (given, arrays | {"mask": full}),
            "no state": (given | {"h0": None, "c0": None}, arrays | {"h0": zero, "c0": zero, "mask": full}),
            "no h0": (given | {"h0": None}, arrays | {"h0": zero, "mask": full}),
        }
        for parameters, plain in cases.values():
            expected = lstm_by_scalars(**plain)
            for kernel in FORCED if kind == "sparse" else ("auto",):
                close(forward(**parameters, kernel=kernel)[0], expected)


def lstm_gradients(package):
    layer = package.layers.lstm
    dh = np.random.default_rng(8).normal(size=(N, T, H))  # every step is read
    for kind, mask, kernel in (
        ("sparse", MASK, "gather"),
        ("dense", MASK, "auto"),
        ("sparse", MASK, "scratch"),
        ("sparse", PADDING_ONLY, "gather"),
    ):
        parameters = lstm_parameters(package, kind)[0]
        h, cache = layer.lstm_forward(**parameters, mask=mask, kernel=kernel)
        h_before = h.copy()
        others = parameters | {"x": parameters["x"] + 1}
        layer.lstm_forward(**others, mask=~mask, kernel=kernel)  # leaves the first cache alone
        gradients = [layer.lstm_backward(dh, cache) for _ in range(2)]
        equal(h, h_before)
        for first, second in zip(*gradients, strict=True):
            equal(first, second)
        named = {name.removeprefix("d"): gradient for name, gradient in gradients[0]._asdict().items()}
        check(
            lambda p, mask=mask, kernel=kernel: np.sum(dh * layer.lstm_forward(**p, mask=mask, kernel=kernel)[0]),
            parameters,
            named,
        )


def lstm_types(package):
    """Single precision stays; where a part is of double precision, so is the result."""
    layer = package.layers.lstm
    for kind, kernel in (("dense", "auto"), ("sparse", "gather"), ("sparse", "scratch")):
        given, arrays = lstm_parameters(package, kind)
        W_x, W_h = given["W_x"], given["W_h"]
        single = {name: array.astype(np.float32) for name, array in given.items() if isinstance(array, np.ndarray)}
        if kind == "sparse":
            single |= {name: W.with_values(W.values.astype(np.float32)) for name, W in (("W_x", W_x), ("W_h", W_h))}
        for state in ({}, {"h0": None, "c0": None}):
            h, cache = layer.lstm_forward(**(single | state), kernel=kernel)
            exact, exact_cache = layer.lstm_forward(**(given | state), kernel=kernel)
            close_in_single_precision(h, exact)
            pairs = zip(layer.lstm_backward(h, cache), layer.lstm_backward(exact, exact_cache), strict=True)
            for gradient, expected in pairs:
                close_in_single_precision(gradient, expected)
        assert layer.lstm_backward(exact, cache).dh0.dtype == np.float64, "dh decides as well"
        assert layer.lstm_backward(h, exact_cache).dh0.dtype == np.float64
        for name in ("W_h", "h0", "c0"):
            assert layer.lstm_forward(**(single | {name: given[name]}))[0].dtype == np.float64, name


# The cheap ones first, and before them the one that finds most: a mutant costs what it takes to find it.
CHECKS = (
    lstm_step,
    sgd_rule,
    adam_rule,
    optimizers_over_several_steps,
    state_follows_the_connections,
    optimizers_keep_single_precision,
    clipping,
    choice_of_kernel,
    large_shapes,
    storage,
    rows_of_a_matrix,
    types_of_products,
    chunks,
    products,
    dropout,
    lstm_values,
    kernels_in_force,
    lstm_types,
    embedding,
    readout,
    lstm_gradients,
)
