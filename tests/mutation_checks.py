"""What the package has to do, in checks that are quick enough to be run a thousand times.

Every check takes the package as an object (``package.layers.lstm.lstm_forward``) and raises if something is wrong, so
that the mutation test can hand over copies with a mistake in them. The references are loops over single numbers, or
dense NumPy where that is obviously right, and use nothing of the package; the gradient checks of single layers are the
package's own, from `numpy_setlstm.gradcheck` itself and never from a copy. Where a rule exists twice, plain and fast,
and both have to give the same bits, the plain one is checked by itself, and the fast one against it.
"""

import itertools
import math
import threading
import types
import unittest.mock
import warnings
from functools import lru_cache

import numpy as np
import numpy.ma  # noqa: F401  np.median imports it when first called, and it must not meet the np.empty below

from numpy_setlstm.gradcheck import check_gradients

FORCED = ("gather", "scratch")
SECONDS = 5  # for what a thread does at once, if it does it at all


def run(package):
    """Run all checks, those of the file with the mistake first; an AssertionError names the first that fails, and why.

    Warnings are errors, and ``np.empty`` is full of NaN: an entry that is never written may hold the right number by
    chance, where an array that was freed held it before.
    """
    with warnings.catch_warnings(), unittest.mock.patch.object(np, "empty", full_of_nan):
        warnings.simplefilter("error")
        for check in dict.fromkeys((*CHECKS.get(package.file, ()), *itertools.chain(*CHECKS.values()))):
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
    change, *_ = optimizers.adam_update(*np.ones((3, 2), np.float32), np.ones(2, np.int32), learning_rate=0.1)
    assert change.dtype == np.float32


def adam_in_place(package):
    """Equal to the rule in every bit: in chunks, for ages of each weight or of all, and in either order of memory."""
    optimizers = package.optimizers
    rng = np.random.default_rng(2)
    constants = {"learning_rate": 0.1, "beta1": 0.6, "beta2": 0.7, "adam_eps": 0.5}
    ages = np.array([0, 3, 7, 1, 3, 0], np.int32)
    cases = [(6, ages, ()), (0, ages[:0], ()), ((2, 3), ages.reshape(2, 3), ()), ((2, 3), np.array(2, np.int32), ())]
    cases += [((2, 3), np.array(2, np.int32), (name,)) for name in ("weights", "m", "v")]
    for (shape, age, fortran), chunk, dtype in itertools.product(cases, (1, 4, 6, 100), (np.float32, np.float64)):
        arrays = {name: rng.random(shape).astype(dtype) for name in ("weights", "m", "v")}
        arrays = {name: np.asfortranarray(a) if name in fortran else a for name, a in arrays.items()}
        gradient, age = rng.normal(size=shape).astype(dtype), age.copy()
        given = gradient.copy()
        expected = [a.copy() for a in (*arrays.values(), age)]
        for settings in (constants, {"learning_rate": 0.1}):
            change, *state = optimizers.adam_update(gradient, *expected[1:], **settings)
            assert isinstance(state[2], np.ndarray), "an age of all is an array too"
            expected = [expected[0] + change, *state]
            with unittest.mock.patch.object(optimizers, "CHUNK", chunk):
                optimizers.adam_in_place(arrays["weights"], gradient, arrays["m"], arrays["v"], age, **settings)
            for array, right in zip((*arrays.values(), age, gradient), (*expected, given), strict=True):
                equal(array, right)


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
            np.array([sum(row < r for row, _ in cells) for r in range(mask.shape[0] + 1)], np.int32),
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
        equal(np.asarray(topology.row_starts), np.array([0, 2, 3], dtype))
        targets = np.array([1, 0]).view(Long)
        targets.length = length
        equal(package.fast.kernels.PaddedLists(targets, 2).slices[0].positions, np.array([[1], [0]], dtype))
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
    kernels = package.fast.kernels
    few_columns = np.zeros((8, 5))
    few_columns.flat[[1, 2, 5, 9, 15, 16, 17, 18, 19, 30, 33, 34]] = 1  # rows 2, 4, 5 and 7 are empty
    sizes = (1, 2, 5, 6, 7, 11, 12, 13, 23, 24, 25, 1000)
    for n, mask in ((6, few_columns), (1, few_columns[:, 1:2])):
        W, dense = sparse_and_dense(package, mask, 0)
        x, dy = whole_numbers((n, 8), 1), whole_numbers((n, mask.shape[1]), 2)
        for cells in sizes:
            with unittest.mock.patch.object(kernels, "CHUNK_CELLS", cells):
                watched = x.view(Watched)
                equal(kernels.gradient_pairs(watched, dy, W.rows, W.cols), (x.T @ dy)[mask != 0])
                equal([cols for _, cols in watched.parts], in_chunks(W.nnz, max(1, cells // n)))
                watched = x.view(Watched)
                equal(kernels.gradient_blocks(watched, dy, W.rows, W.cols), (x.T @ dy)[mask != 0])
                equal([cols for _, cols in watched.parts], in_chunks(8, max(1, cells // mask.shape[1])))
        for columns in (1, 2, 5, 6, 7):
            widths = []

            def gather(arranged, x, out, buffers, widths=widths, original=kernels.product_gather):
                widths.append(x.shape[1])
                return original(arranged, x, out, buffers)

            with unittest.mock.patch.multiple(kernels, COLUMNS=columns, product_gather=gather):
                equal(x @ W, x @ dense)
            assert widths == in_chunks(n, columns)


def plain_kernels(package):
    kernels = package.fast.kernels
    for seed, mask in enumerate(TOPOLOGIES):
        for of_x, of_W in ((np.float32, np.float32), (np.float32, np.float64), (np.float64, np.float32)):
            W, dense = sparse_and_dense(package, mask, seed, of_W)
            x, dy = whole_numbers((mask.shape[0], 3), 1, of_x), whole_numbers((mask.shape[1], 3), 2, of_W)
            equal(kernels.product_plain(x, W.rows, W.cols, W.values, mask.shape[1]), dense.T @ x)
            equal(kernels.gradient_plain(x, dy, W.rows, W.cols), (x @ dy.T)[mask != 0])


@lru_cache
def cheapest_cut(lengths, call):
    """What the cheapest of all ways to cut a list into slices costs."""
    n = len(lengths)
    return min(
        sum((last - first) * lengths[last - 1] + call for first, last in itertools.pairwise([0, *borders, n]))
        for k in range(n)
        for borders in itertools.combinations(range(1, n), k)
    )


def cuts(package):
    """No way to cut is cheaper; and a slice that has too many cells is cut once more."""
    kernels = package.fast.kernels
    for lengths in ((1,), (1, 1, 2), (2, 2, 2, 2), (1, 2, 2, 9), (1, 1, 2, 3, 3, 7), (1, 2, 3, 4, 5, 6)):
        for call in (0, 1, 3, 8, 1000):
            with unittest.mock.patch.multiple(kernels, CELLS_OF_A_CALL=call, SLICE_CELLS=1000):
                slices = kernels._cut(np.array(lengths))
            assert [*(first for first, _ in slices), len(lengths)] == [0, *(last for _, last in slices)]
            cost = sum((last - first) * lengths[last - 1] + call for first, last in slices)
            assert cost == cheapest_cut(lengths, call), f"{lengths}, {call} a slice: cut to {slices}"
            for cells in (1, 4, 6):
                with unittest.mock.patch.multiple(kernels, CELLS_OF_A_CALL=call, SLICE_CELLS=cells):
                    pieces = kernels._cut(np.array(lengths))
                heights = [(s, max(1, cells // lengths[s[1] - 1])) for s in slices]
                assert pieces == [(k, min(s[1], k + height)) for s, height in heights for k in range(*s, height)]
    assert kernels._cut(np.array([], int)) == []


# One slice for all; one per length of the lists; slices cut once more.
WAYS_TO_CUT = ({"CELLS_OF_A_CALL": 1000}, {"CELLS_OF_A_CALL": 0}, {"CELLS_OF_A_CALL": 3, "SLICE_CELLS": 3})


def padded_lists(package):
    """Every connection stands once in the lists, at its target, and what fills up has the weight 0."""
    kernels = package.fast.kernels
    several = *TOPOLOGIES, np.ones((40, 3))  # short arrays are sorted stably, whatever one asks for
    for (seed, mask), way in itertools.product(enumerate(several), WAYS_TO_CUT):
        W, _ = sparse_and_dense(package, mask, seed)
        with unittest.mock.patch.multiple(kernels, **way):
            incoming, outgoing = kernels.PaddedLists(W.cols, mask.shape[1]), kernels.PaddedLists(W.rows, mask.shape[0])
        sides = (incoming, W.rows, W.cols, mask.shape[1]), (outgoing, W.cols, W.rows, mask.shape[0])
        for lists, sources, targets, n_targets in sides:
            counts = [int(np.count_nonzero(targets == target)) for target in range(n_targets)]
            order = sorted(range(len(counts)), key=lambda target, counts=counts: counts[target])
            assert lists.order.tolist() == order and lists.order[lists.rank].tolist() == list(range(len(counts)))
            assert (lists.nnz, lists.n_empty) == (W.nnz, counts.count(0))
            borders = [lists.n_empty, *(s.last for s in lists.slices)]
            assert [*(s.first for s in lists.slices), len(counts)] == borders
            assert lists.largest == max((s.positions.size for s in lists.slices), default=0)
            arranged = lists.arrange(sources, np.arange(1.0, W.nnz + 1))
            assert arranged.lists is lists
            for s, of_s, weights in zip(lists.slices, arranged.sources, arranged.weights, strict=True):
                assert s.positions.dtype == np.int32 and of_s.dtype == np.intp
                for row, target in enumerate(order[s.first : s.last]):
                    held = [k for k in range(W.nnz) if targets[k] == target]
                    fill = counts[order[s.last - 1]] - len(held)
                    equal(s.positions[row], np.array([*held, *[W.nnz] * fill], np.int32))
                    equal(of_s[row], np.array([*(sources[k] for k in held), *[0] * fill], np.intp))
                    equal(weights[row], np.array([[*(k + 1.0 for k in held), *[0.0] * fill]]))
            collected = lists.collect([w.transpose(0, 2, 1) for w in arranged.weights], np.float32)
            equal(collected, np.arange(1, W.nnz + 1, dtype=np.float32))
        equal(W.topology.incoming.order, incoming.order)
        equal(W.topology.outgoing.order, outgoing.order)
        assert W.topology.incoming is W.topology.incoming and W.topology.outgoing is W.topology.outgoing, "made once"


def gather_kernels(package):
    kernels = package.fast.kernels
    for (seed, mask), way in itertools.product(enumerate(TOPOLOGIES), WAYS_TO_CUT):
        dtype = (np.float32, np.float64)[seed % 2]
        W, dense = sparse_and_dense(package, mask, seed, dtype)
        with unittest.mock.patch.multiple(kernels, **way):
            incoming, outgoing = kernels.PaddedLists(W.cols, mask.shape[1]), kernels.PaddedLists(W.rows, mask.shape[0])
        for m in (3, 0):
            x, dy = whole_numbers((mask.shape[0], m), seed, dtype), whole_numbers((mask.shape[1], m), seed + 9, dtype)
            y, dx = np.empty(dy.shape, dtype), np.empty(x.shape, dtype)
            forward, backward = (kernels.GatherBuffers(lists, m, dtype) for lists in (incoming, outgoing))
            gradient = [np.zeros((*s.positions.shape, 1), dtype) for s in outgoing.slices]
            to_cols, to_rows = incoming.arrange(W.rows, W.values), outgoing.arrange(W.cols, W.values)
            for times in (1, 2):
                kernels.product_gather(to_cols, x, y, forward)
                equal(y, dense.T @ x)
                kernels.gradient_gather(to_rows, dy, x, dx, gradient, backward)
                equal(dx, dense @ dy)
                equal(outgoing.collect(gradient, dtype), times * (x @ dy.T)[mask != 0])
                x, dy, y[...], dx[...] = x.copy(), dy.copy(), np.nan, np.nan
    buffers = kernels.GatherBuffers(incoming, 2, np.float32)
    assert buffers.gathered.dtype == buffers.sorted.dtype == buffers.sorted_x.dtype == np.float32


def products_with_a_memory(package):
    """Products with one matrix over several steps, in two parts at once, and all of it twice."""
    products = package.fast.products
    kinds = {"dense": "DenseProduct", "gather": "GatherProduct", "scratch": "ScratchProduct"}
    for (seed, mask), (way, kind) in itertools.product(enumerate(TOPOLOGIES[:4]), kinds.items()):
        W, dense = sparse_and_dense(package, mask, seed, np.float32)
        if way == "dense":
            W = dense
        dtype = np.float64 if way == "gather" else np.float32
        parts = products.make_products(W, "gather" if way == "dense" else way, dtype, [2, 3])
        assert [type(part).__name__ for part in parts] == [kind, kind]
        if way == "gather":
            assert {weights.dtype for part in parts for weights in part.incoming.weights + part.outgoing.weights} <= {
                np.dtype(dtype)
            }
            assert [part.n_cells for part in parts] == [2 * W.nnz, 3 * W.nnz]
        for _ in range(2):
            expected = [np.zeros(mask.shape, dtype) for _ in parts]
            for part in parts:
                part.begin_backward()
            z, dz = ([np.empty((mask.shape[1], m), dtype) for m in (2, 3)] for _ in range(2))
            for step, (k, part) in itertools.product(range(2), enumerate(parts)):
                x = whole_numbers((mask.shape[0], 2 + k), seed + step, dtype)
                dx = np.empty(x.shape, dtype)
                part.forward(x, z[k])
                equal(z[k], dense.T.astype(dtype) @ x)
                dz[k][...] = whole_numbers(dz[k].shape, seed + step + 9)  # in an array that is used in every step
                part.backward(dz[k], x, dx)
                equal(dx, dense.astype(dtype) @ dz[k])
                expected[k] += x @ dz[k].T
            for part, right in zip(parts, expected, strict=True):
                equal(part.gradient(), right if way == "dense" else right[mask != 0])
    W, _ = sparse_and_dense(package, TOPOLOGIES[3], 0)
    one, other = products.make_products(W, "gather", np.float64, [1, 1])
    assert one.incoming is other.incoming and one.outgoing is other.outgoing, "made once for all parts"
    one_cell = package.sparse.SparseMatrix((100, 100), [3], [4], [5.0])
    for matrix, kind in ((W, products.ScratchProduct), (one_cell, products.GatherProduct)):
        assert type(products.make_products(matrix, "auto", np.float64, [1])[0]) is kind


def in_chunks(total, chunk):
    """Sizes of the chunks: all full but perhaps the last."""
    return [min(chunk, total - first) for first in range(0, total, chunk)]


def choice_of_kernel(package):
    kernels = package.fast.kernels
    with unittest.mock.patch.multiple(kernels, GATHER_BELOW_DENSITY=0.25, SCRATCH_MAX_CELLS=40):
        for shape, nnz, expected in (
            ((8, 5), 10, "scratch"), ((8, 5), 9, "gather"), ((8, 5), 11, "scratch"), ((41, 1), 41, "gather"),
            ((1, 41), 41, "gather"), ((3, 12), 9, "scratch"), ((12, 3), 8, "gather"), ((0, 3), 0, "scratch"),
        ):  # fmt: skip
            assert kernels.choose_kernel(shape, nnz) == kernels.choose_kernel(shape, nnz, "auto") == expected
            assert [kernels.choose_kernel(shape, nnz, kernel) for kernel in FORCED] == list(FORCED)
    assert kernels.choose_kernel((20_000, 256), 1_000_000) == "scratch", "20 % of an embedding: not too large a scratch"
    assert kernels.SCRATCH_MAX_CELLS * np.dtype(np.float32).itemsize <= 2**29, "half a gigabyte"
    assert kernels.SLICE_CELLS * kernels.COLUMNS * np.dtype(np.float32).itemsize <= 2**21, "two megabytes"


def kernels_in_force(package):
    """A kernel that is asked for is the one that works, in the LSTM too; and "auto" goes by the density."""
    kernels, sparse, lstm = package.fast.kernels, package.sparse, package.layers.lstm
    used = []
    rng = np.random.default_rng(0)
    W_x, W_h = (random_sparse(package, rng, shape)[0] for shape in ((3, 8), (2, 8)))

    def spy(name, function):
        return lambda *arguments: (used.append(name), function(*arguments))[1]

    with (
        unittest.mock.patch.multiple(
            kernels,
            product_gather=spy("gather", kernels.product_gather),
            gradient_pairs=spy("gather", kernels.gradient_pairs),
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


# Threads


def parts_of_a_minibatch(package):
    threads = package.fast.threads
    for n, most in itertools.product((0, 1, 2, 5, 6, 7), (1, 2, 3, 7)):
        parts = threads.split_batch(n, most)
        assert [k for part in parts for k in range(part.start, part.stop)] == list(range(n))
        assert len(parts) == max(1, math.ceil(n / most))
        assert max(part.stop - part.start for part in parts) == math.ceil(n / len(parts))
        assert min(part.stop - part.start for part in parts) == n // len(parts)
    assert len(threads.split_batch(threads.MOST_TEXTS)) == 1
    assert len(threads.split_batch(threads.MOST_TEXTS + 1)) == 2
    for cpu_count, expected in ((6, 6), (None, 1)):
        system = types.SimpleNamespace(cpu_count=lambda cpu_count=cpu_count: cpu_count)
        with unittest.mock.patch.object(threads, "os", system):
            assert threads.available_cores() == expected
            system.sched_getaffinity = {0: {3, 4, 9}}.get  # of process 0, which is this one
            assert threads.available_cores() == 3


def threads_side_by_side(package):
    threads = package.fast.threads
    here, sizes = threading.get_ident(), []

    def pool(n_threads, original=threads.ThreadPoolExecutor):
        sizes.append(n_threads)
        return original(n_threads)

    with unittest.mock.patch.object(threads, "ThreadPoolExecutor", pool):
        for parts, n_threads in (([], 3), ([5], 3), ([5, 6], 1), ([5, 6, 7], 0)):
            assert threads.run_parts(lambda k: (k, threading.get_ident()), parts, n_threads) == [
                (k, here) for k in parts
            ]
        assert sizes == []
        for n_threads in (2, 4):
            together = threading.Barrier(2)

            def meet(k, together=together):
                together.wait(SECONDS)
                return k

            assert threads.run_parts(meet, [5, 6], n_threads) == [5, 6]
        assert sizes == [2, 2]
    raises(ZeroDivisionError, lambda: threads.run_parts(lambda k: 1 / k, [1, 0], 2))
    with np.errstate(over="ignore", divide="raise"):
        assert [h["over"] for h in threads.run_parts(lambda k: np.geterr(), [0, 1], 2)] == ["ignore"] * 2
        with threads.Background(active=True) as background:
            assert background.submit(np.geterr).result(SECONDS)["over"] == "ignore"


def raises(kind, function):
    try:
        function()
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")


def background(package):
    """In this order, and beside the caller or at once; errors come with the result; in the end nothing is left."""
    here = threading.get_ident()
    for active in (False, True):
        with package.fast.threads.Background(active) as work:
            done = []
            pieces = [work.submit(lambda a, b: done.append(a) or (a, b), k, -k) for k in range(9)]  # noqa: B023
            assert [piece.result(SECONDS) for piece in pieces] == [(k, -k) for k in range(9)] and done == [*range(9)]
            assert (work.submit(threading.get_ident).result(SECONDS) == here) != active
            assert work.ahead > 0 if active else work.ahead == 0
            raises(ZeroDivisionError, lambda: work.submit(lambda: 1 / 0).result(SECONDS))  # noqa: B023
    begun, ended = threading.Event(), threading.Event()
    with package.fast.threads.Background(active=True) as work:
        running = work.submit(lambda: begun.set() or ended.wait(SECONDS))
        waiting = work.submit(len, "")
        waiting.add_done_callback(lambda _: ended.set())
        assert begun.wait(SECONDS)
    assert waiting.cancelled() and running.result(0), "what has not begun is not begun any more"


class WithoutThread:
    """In place of a Background: does what is handed in at once, or as late as possible.

    So the two ends of what a thread may do, without the chance.
    """

    def __init__(self, late, ahead):
        self.late, self.ahead, self.waiting = late, ahead, []
        self.handed_in = []  # how many pieces there were, each time that one was waited for

    def submit(self, function, *arguments):
        self.waiting.append((function, arguments))
        last = len(self.waiting)
        if not self.late:
            self.work(last)
        return types.SimpleNamespace(result=lambda: self.result(last))

    def result(self, last):
        self.handed_in.append(len(self.waiting))
        self.work(last)

    def work(self, last):
        for k in range(last):
            if self.waiting[k]:
                function, arguments = self.waiting[k]
                self.waiting[k] = None
                function(*arguments)


# Layers


def random_sparse(package, rng, shape, density=0.5):
    """A sparse matrix with about this density, and the same one dense."""
    dense = rng.normal(size=shape) * (rng.random(shape) < density)
    rows, cols = np.nonzero(dense)
    return package.sparse.SparseMatrix(shape, rows, cols, dense[rows, cols]), dense


def check(loss, params, grads):
    """Check gradients by the complex step; a fall back on differences is a warning, and so an error."""
    check_gradients(loss, params, grads)


def check_slopes(loss, params, grads):
    """Check gradients by the complex step, for each array along one direction in which every entry takes part.

    A wrong entry changes the slope, unless by a chance that has a probability of about the tolerance.
    """
    rng = np.random.default_rng(3)
    assert params.keys() == grads.keys()
    for name, param in params.items():
        values = getattr(param, "values", param)
        assert grads[name].shape == values.shape, f"{name}: shape {grads[name].shape}, expected {values.shape}"
        direction = rng.normal(size=values.shape)
        moved = values + 1e-30j * direction
        slope = loss(params | {name: moved if values is param else param.with_values(moved)}).imag / 1e-30
        error = abs(slope - np.sum(direction * grads[name]))
        assert error <= 1e-12 * np.linalg.norm(grads[name]), f"d{name}: the slope is wrong by {error}"


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
            if tokens is several:
                check(
                    lambda p, dx=dx: np.sum(dx * layer.embedding_forward(several, p["E"])[0]),
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


def fast_embedding(package):
    """Word by word; in one part and in two, of which one has no words that own anything."""
    layer, SparseMatrix = package.fast.embedding, package.sparse.SparseMatrix
    mask = np.array([[0, 0, 0], [1, 0, 1], [0, 1, 0], [1, 1, 1], [0, 0, 0]])
    dense = mask * whole_numbers(mask.shape, 0)
    rows, cols = np.nonzero(mask)
    E = SparseMatrix(mask.shape, rows, cols, dense[rows, cols])
    tokens = np.array([[3, 1, 3, 0, 2], [2, 2, 3, 4, 1]])  # repeated words
    N, T = tokens.shape
    for weights, dtype, S in itertools.product((dense, E), (None, np.float32, np.complex128), (1, 2, 5, 6)):
        x, cache = layer.fast_embedding_forward(tokens, weights, S, *([] if dtype is None else [dtype]))
        by_step = np.array([[[dense[tokens[n, t], d] for n in range(N)] for d in range(3)] for t in range(T)], x.dtype)
        equal(x, in_groups(by_step, S))
        assert x.dtype == (dtype or np.float64) and x.flags.c_contiguous, "a row of texts is in one piece"
        dx = whole_numbers((T, 3, N), 1, np.float32)
        expected = np.zeros(mask.shape, np.float32)
        for n, t in np.ndindex(N, T):
            expected[tokens[n, t]] += dx[t, :, n]
        caches = [layer.fast_embedding_forward(tokens[n : n + 1], weights, S)[1] for n in range(N)]
        in_parts = [in_groups(dx[..., n : n + 1], S, 7) for n in range(N)]
        whole = in_groups(dx, S, 7)
        for parts, of_parts in (([whole], [cache]), (in_parts, caches), ([whole], [cache])):
            gradient = layer.fast_embedding_backward(parts, of_parts, weights)
            equal(gradient, expected if weights is dense else expected[rows, cols])
    assert layer.fast_embedding_forward(tokens, E.with_values(E.values.astype(np.float32)), 2)[0].dtype == np.float32
    assert layer.fast_embedding_forward(tokens, dense.astype(np.float32), 2)[0].dtype == np.float32
    none, _ = layer.fast_embedding_forward(tokens[:0], E, 2)
    equal(none, np.zeros((3, 3, 2, 0)))


def in_groups(x, S, filling=0):
    """(T, D, N) in groups of S steps, (n_groups, D, S, N); what is left of the last group is filled."""
    T, D, N = x.shape
    groups = np.full((math.ceil(T / S), D, S, N), filling, x.dtype)
    for t in range(T):
        groups[t // S, :, t % S] = x[t]
    return groups


def out_of_groups(groups, T):
    """Undo :func:`in_groups`; what is left of the last group has to be 0."""
    S = groups.shape[2]
    equal(groups[-1][:, T - S * (len(groups) - 1) :], 0 * groups[-1][:, T - S * (len(groups) - 1) :])
    return np.array([groups[t // S, :, t % S] for t in range(T)])


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


def traced_states(package):
    """Gates, memory and hidden state of each step, beside the step itself; NaN in the gates where there is no word."""
    layer = package.layers.lstm
    parameters = lstm_parameters(package, "dense")[0]
    h, cache = layer.lstm_forward(**parameters, mask=MASK)
    states = package.layers.trace.trace_states(h, cache)
    assert set(states) == {*"ifogch"} and states["h"] is h
    c_prev, h_prev = parameters["c0"], parameters["h0"]
    U = parameters["x"] @ parameters["W_x"] + parameters["b"]  # (N, T, 4H)
    for t in range(T):
        gates = np.split(U[:, t] + h_prev @ parameters["W_h"], 4, axis=1)
        i, f, o = (1 / (1 + np.exp(-z)) for z in gates[:3])
        g, word = np.tanh(gates[3]), MASK[:, t, None]
        for name, gate in zip("ifog", (i, f, o, g), strict=True):
            close(np.nan_to_num(states[name][:, t], nan=9), np.where(word, gate, 9))
        c_prev = np.where(word, f * c_prev + i * g, c_prev)
        close(states["c"][:, t], c_prev)
        h_prev = h[:, t]
    single = {name: np.asarray(array, np.float32) for name, array in parameters.items()}
    states = package.layers.trace.trace_states(*layer.lstm_forward(**single, mask=MASK))
    assert all(array.dtype == np.float32 for array in states.values())


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
        check_slopes(
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


STEPS, WIDTH = 7, 2
FAST_MASKS = {
    "words": np.ones((N, STEPS), bool),
    # Before, after and between the words; beside steps in which all texts have a word.
    "padding": np.array([[0, 1, 1, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1, 0], [0, 1, 0, 1, 1, 1, 1]], bool),
    "no words": np.array([[0, 0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 1]], bool),
}


def fast_lstm_arrays(kind):
    """Parameters of an LSTM of the size WIDTH, as arrays; x is (T, D, N)."""
    rng = np.random.default_rng(9)
    arrays = {"x": rng.normal(size=(STEPS, D, N)), "b": rng.normal(size=4 * WIDTH), "dh": rng.normal(size=(WIDTH, N))}
    for name, shape in (("W_x", (D, 4 * WIDTH)), ("W_h", (WIDTH, 4 * WIDTH))):
        arrays[name] = rng.normal(size=shape)
        if kind != "dense":
            arrays[name] *= rng.random(shape) < 0.6
            arrays[name][:, 3] = 0
    return arrays


@lru_cache
def last_state_by_scalars(kind, padding):
    arrays = fast_lstm_arrays(kind)
    zero = np.zeros((N, WIDTH))
    hidden = lstm_by_scalars(
        arrays["x"].transpose(2, 0, 1), arrays["W_x"], arrays["W_h"], arrays["b"], FAST_MASKS[padding], zero, zero
    )
    return hidden[:, -1].T


class FastLSTM:
    """The fast LSTM with products that are made anew, as it is used for each minibatch."""

    def __init__(self, package, kind, padding, dtype=np.float64, background=None):
        arrays = fast_lstm_arrays(kind)
        self.package, self.kernel, self.mask = package, "auto" if kind == "dense" else kind, FAST_MASKS[padding]
        self.background = background or WithoutThread(late=False, ahead=0)
        self.S = 3  # steps in a group
        self.dh = arrays.pop("dh").astype(dtype)
        self.parameters = {name: array.astype(dtype) for name, array in arrays.items()}
        if kind != "dense":
            for name in ("W_x", "W_h"):
                self.parameters[name] = package.sparse.SparseMatrix.from_array(self.parameters[name])

    def forward(self, p, **settings):
        dtype = np.result_type(*(getattr(array, "values", array) for array in p.values()))
        self.products = [
            self.package.fast.products.make_products(p[name], self.kernel, dtype, [width])[0]
            for name, width in (("W_x", self.S * N), ("W_h", N))
        ]
        x = in_groups(p["x"].astype(dtype), self.S, 7)
        return self.package.fast.lstm.fast_lstm_forward(
            x, *self.products, p["b"], self.mask, self.background, **settings
        )

    def backward(self, cache):
        dx, db = self.package.fast.lstm.fast_lstm_backward(self.dh, cache, self.background)
        return {
            "x": out_of_groups(dx, STEPS),
            "b": db,
            **dict(zip(("W_x", "W_h"), (p.gradient() for p in self.products), strict=True)),
        }


def fast_lstm(package):
    """Its last state by scalars, its gradients by the complex step, twice from one cache."""
    for kind, padding in (
        ("gather", "padding"), ("dense", "padding"), ("scratch", "padding"), ("gather", "no words"), ("dense", "words")
    ):  # fmt: skip
        lstm = FastLSTM(package, kind, padding)
        x, dh = lstm.parameters["x"].copy(), lstm.dh.copy()
        h, cache = lstm.forward(lstm.parameters)
        close(h, last_state_by_scalars(kind, padding))
        before = h.copy()
        gradients = lstm.backward(cache)
        for name, gradient in lstm.backward(cache).items():
            equal(gradient, gradients[name])
        for array, right in ((lstm.parameters["x"], x), (lstm.dh, dh), (h, before)):
            equal(array, right)
        check_slopes(lambda p, lstm=lstm: np.sum(lstm.dh * lstm.forward(p)[0]), lstm.parameters, gradients)


def fast_lstm_beside_a_thread(package):
    """However late or early the other thread is, and however many steps it is given, the bits are the same."""
    for kind, padding in (("gather", "padding"), ("dense", "words")):
        lstm = FastLSTM(package, kind, padding)

        def outcome(lstm=lstm):
            h, cache = lstm.forward(lstm.parameters)
            return {"h": h, **lstm.backward(cache)}

        def same(expected, lstm=lstm, outcome=outcome):
            for name, array in outcome().items():
                equal(array, expected[name])
            predicted, cache = lstm.forward(lstm.parameters, keep=False)
            equal(predicted, expected["h"])
            return [len(part) for part in cache[1:] if getattr(part, "ndim", 0) >= 3]

        for lstm.S in (1, 2, 3, 7, 9):
            lstm.background = WithoutThread(late=False, ahead=0)
            expected = outcome()
            for late, ahead in ((False, 2), (True, 2), (True, 0)):
                lstm.background = WithoutThread(late, ahead)
                held = same(expected)
                pieces = math.ceil(STEPS / lstm.S)
                handed_in = [min(pieces, k + 1 + ahead) + k for k in range(pieces)]  # k: the slopes of those before
                assert lstm.background.handed_in[:pieces] == handed_in, "so many are handed in before they are needed"
                assert max(held) <= 2, f"{held} steps are kept, where nothing is to be kept"
        with package.fast.threads.Background(active=True) as lstm.background:
            same(expected)
    steps_per_group = package.fast.lstm.steps_per_group
    assert [steps_per_group(n) for n in (0, 1, 64, 65, 128, 129, 256, 257)] == [4, 4, 4, 3, 2, 1, 1, 1]


def fast_lstm_types(package):
    """Single precision stays; where dh is of double precision, so is what comes back."""
    for kind in ("dense", "gather", "scratch"):
        exact, single = (FastLSTM(package, kind, "padding", dtype) for dtype in (np.float64, np.float32))
        h, cache = exact.forward(exact.parameters)
        gradients = exact.backward(cache)
        h_single, cache = single.forward(single.parameters)
        close_in_single_precision(h_single, h)
        for name, gradient in single.backward(cache).items():
            close_in_single_precision(gradient, gradients[name])
    lstm = FastLSTM(package, "dense", "words", np.float32)
    _, cache = lstm.forward(lstm.parameters)
    lstm.dh = lstm.dh.astype(np.float64)
    assert lstm.backward(cache)["x"].dtype == lstm.backward(cache)["b"].dtype == np.float64


def whole_network(package):
    """Everything together by the complex step: parts of a minibatch, dropout, words that repeat, a text without any."""
    network_module = package.module("numpy_setlstm.network")
    rng = np.random.default_rng(0)
    arrays = {"b": rng.normal(size=8), "W_out": rng.normal(size=(2, 3)), "b_out": rng.normal(size=3)}
    tokens, labels = np.array([[0, 3, 3], [1, 0, 4], [0, 0, 0], [2, 4, 3], [4, 4, 1]]), np.array([2, 0, 1, 2, 1])
    for kernel in FORCED:
        parameters = {
            name: random_sparse(package, rng, shape)[0]
            for name, shape in (("E", (5, 3)), ("W_x", (3, 8)), ("W_h", (2, 8)))
        } | arrays
        given = {"embedding_dropout": 0.2, "dropout": 0.2, "kernel": kernel}
        with unittest.mock.patch.multiple(network_module, MOST_TEXTS=2, MOST_TEXTS_PREDICTING=3, BACKGROUND_CELLS=0):
            network = network_module.Network(parameters, n_threads=1, **given)
            _, gradients = network.loss_and_gradients(tokens, labels, np.random.default_rng(1))

            def loss(p, network=network):
                logits = network.forward(tokens, np.random.default_rng(1), p)[0]
                return network_module.cross_entropy_forward(logits, labels)[0]

            check_slopes(loss, parameters, gradients)
            many = network_module.Network(parameters, n_threads=9, **given)
            for name, gradient in many.loss_and_gradients(tokens, labels, np.random.default_rng(1))[1].items():
                equal(gradient, gradients[name])
            equal(many.predict_proba(tokens), network.predict_proba(tokens))
            close(network.predict_proba(tokens), package.layers.readout.softmax(network.forward(tokens)[0]))


# By the file that they are about: a mutant meets those of its own file first, and costs what it takes to find it. So
# the cheap ones come first, and before them the one that finds most.
CHECKS = {
    "optimizers.py": (
        sgd_rule, adam_rule, optimizers_over_several_steps, state_follows_the_connections,
        optimizers_keep_single_precision, clipping, adam_in_place,
    ),
    "fast/kernels.py": (choice_of_kernel, cuts, gather_kernels, plain_kernels, padded_lists, chunks),
    "sparse.py": (storage, large_shapes, rows_of_a_matrix, types_of_products, products),
    "fast/products.py": (products_with_a_memory,),
    "fast/threads.py": (parts_of_a_minibatch, background, threads_side_by_side),
    "layers/dropout.py": (dropout,),
    "layers/embedding.py": (embedding,),
    "fast/embedding.py": (fast_embedding,),
    "layers/readout.py": (readout,),
    "layers/lstm.py": (lstm_step, lstm_values, lstm_types, lstm_gradients, kernels_in_force),
    "layers/trace.py": (traced_states,),
    "fast/lstm.py": (fast_lstm, fast_lstm_beside_a_thread, fast_lstm_types, whole_network),
}  # fmt: skip
