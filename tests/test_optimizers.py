"""SGD with momentum and Adam: the update rules, and a state that follows the connections."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_setlstm.fast import adam
from numpy_setlstm.fast.adam import FastAdam, adam_in_place
from numpy_setlstm.optimizers import SGD, Adam, adam_update, clip_by_norm, sgd_update
from numpy_setlstm.sparse import SparseMatrix
from numpy_setlstm.topology import erdos_renyi, set_step

steady = settings(derandomize=True, deadline=None, max_examples=50)

OPTIMIZERS = [SGD, Adam, FastAdam]


# The plain twins: one weight, Python numbers, the textbook's lines


def sgd_with_one_weight(weight, gradients, learning_rate, momentum):
    velocity = 0.0
    for gradient in gradients:
        velocity = momentum * velocity + gradient
        weight = weight - learning_rate * velocity
    return weight


def adam_with_one_weight(weight, gradients, learning_rate, beta1, beta2, adam_eps):
    mean = square = 0.0
    for t, gradient in enumerate(gradients, start=1):
        mean = beta1 * mean + (1 - beta1) * gradient
        square = beta2 * square + (1 - beta2) * gradient * gradient
        corrected_mean = mean / (1 - beta1**t)
        corrected_square = square / (1 - beta2**t)
        weight = weight - learning_rate * corrected_mean / (math.sqrt(corrected_square) + adam_eps)
    return weight


CASES = {
    "SGD": (SGD, sgd_with_one_weight, {"momentum": 0.9}),
    "SGD without momentum": (SGD, sgd_with_one_weight, {"momentum": 0.0}),
    "Adam": (Adam, adam_with_one_weight, {"beta1": 0.9, "beta2": 0.999, "adam_eps": 1e-8}),
    "Adam, other constants": (Adam, adam_with_one_weight, {"beta1": 0.5, "beta2": 0.9, "adam_eps": 1e-2}),
    "Adam without means": (Adam, adam_with_one_weight, {"beta1": 0.0, "beta2": 0.0, "adam_eps": 1e-8}),
}


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_fifty_updates_equal_a_loop_over_single_weights(case, sparse):
    optimizer_class, one_weight, constants = CASES[case]
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=12), rng.normal(size=(50, 12)) * 10.0 ** rng.integers(-4, 4, 12)
    gradients[:, 0] = 0.0
    cells = np.divmod(np.arange(12) * 2, 6)
    W = SparseMatrix((4, 6), *cells, start.copy()) if sparse else start.copy()
    optimizer = optimizer_class({"W": W}, 0.01, **constants)
    for gradient in gradients:
        optimizer.update({"W": W}, {"W": gradient})
    per_weight = zip(start.tolist(), gradients.T.tolist(), strict=True)
    expected = [one_weight(w, g, 0.01, **constants) for w, g in per_weight]
    np.testing.assert_allclose(W.values if sparse else W, expected, rtol=1e-12, atol=0)


def test_the_first_update_of_adam_has_the_size_of_the_learning_rate():
    """The correction by the step count makes up for means that start at 0."""
    zero = np.zeros(4)
    gradient = np.array([1e-3, -1.0, 1e3, 0.0])
    change, _m, _v, age = adam_update(gradient, zero, zero, np.zeros(4, np.int32), learning_rate=0.01)
    np.testing.assert_allclose(change, [-0.01, 0.01, -0.01, 0.0], rtol=1e-4)
    assert age.tolist() == [1, 1, 1, 1]


def test_the_rate_stands_outside_the_velocity():
    """So that changing it takes effect at once: v = μv + g, and the change is -ηv."""
    change, velocity = sgd_update(np.array([1.0]), np.array([10.0]), learning_rate=0.5, momentum=0.9)
    assert velocity.tolist() == [10.0]
    assert change.tolist() == [-5.0]


@pytest.mark.parametrize("update", [sgd_update, adam_update])
def test_the_update_rules_are_pure(update):
    arrays = [np.array([1.0, 2.0]), np.array([3.0, 4.0])]  # gradient, velocity
    if update is adam_update:
        arrays += [np.array([5.0, 6.0]), np.array([7, 8], np.int32)]  # gradient, m, v, age
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.flags.writeable = False
    update(*arrays, learning_rate=0.1)
    for array, old in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, old)


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_an_all_connections_matrix_is_trained_like_the_dense_array(optimizer_class):
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(5, 7))
    sparse = SparseMatrix.from_array(dense)
    parameters = {"sparse": sparse, "dense": dense}
    optimizer = optimizer_class(parameters, 0.01)
    for _ in range(30):
        gradient = rng.normal(size=(5, 7))
        optimizer.update(parameters, {"sparse": gradient.ravel(), "dense": gradient})
    np.testing.assert_array_equal(sparse.toarray(), dense)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_weights_and_state_keep_their_type(optimizer_class, dtype, sparse):
    A = np.ones((2, 3), dtype)
    W = SparseMatrix.from_array(A) if sparse else A
    weights = W.values if sparse else W
    optimizer = optimizer_class({"W": W}, 0.1)
    for _ in range(3):
        optimizer.update({"W": W}, {"W": np.ones_like(weights)})
    assert weights.dtype == dtype
    for quantity, array in optimizer.state["W"].items():
        assert array.dtype == (np.int32 if quantity == "age" else dtype), quantity


@pytest.mark.parametrize(
    ("optimizer_class", "constants"),
    [(SGD, {"momentum": 0.9}), (Adam, {"beta1": 0.9, "beta2": 0.999, "adam_eps": 1e-8})],
)
def test_numbers_of_numpy_as_settings_give_the_same_bits_as_numbers_of_python(optimizer_class, constants):
    """A grid from ``np.logspace`` holds float64 scalars; they must not turn float32 state into float64."""
    results = []
    for number in (float, np.float64):
        W = np.linspace(-1, 1, 9, dtype=np.float32)
        optimizer = optimizer_class({"W": W}, number(0.01), **{k: number(c) for k, c in constants.items()})
        for k in range(5):
            optimizer.update({"W": W}, {"W": np.cos(np.arange(9, dtype=np.float32) + k)})
        results.append((W, optimizer.state["W"]))
    (W, state), (other_W, other_state) = results
    np.testing.assert_array_equal(other_W, W)
    for quantity, array in state.items():
        assert other_state[quantity].dtype == array.dtype, quantity
        np.testing.assert_array_equal(other_state[quantity], array, err_msg=quantity)


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_weights_are_changed_in_place_and_gradients_are_not_changed(optimizer_class):
    W, b = SparseMatrix((2, 2), [0, 1], [1, 0], [1.0, 2.0]), np.array([3.0])
    values, topology = W.values, W.topology
    gradients = {"W": np.array([0.5, -0.5]), "b": np.array([1.0])}
    for gradient in gradients.values():
        gradient.flags.writeable = False
    optimizer_class({"W": W, "b": b}, 0.1).update({"W": W, "b": b}, gradients)
    assert W.values is values
    assert W.topology is topology
    assert values.tolist() != [1.0, 2.0]
    assert b.tolist() != [3.0]


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_each_parameter_has_its_own_rate_and_its_own_state(optimizer_class):
    together = {"a": np.array([1.0, 2.0]), "b": np.array([3.0])}
    alone = {name: array.copy() for name, array in together.items()}
    rates = {"a": 0.1, "b": 0.001}
    joint = optimizer_class(together, rates)
    single = {name: optimizer_class({name: alone[name]}, rate) for name, rate in rates.items()}
    for k in range(4):
        gradients = {"a": np.array([1.0, -k]), "b": np.array([k - 2.0])}
        joint.update(together, gradients)
        for name, optimizer in single.items():
            optimizer.update(alone, {name: gradients[name]})
    for name in together:
        np.testing.assert_array_equal(together[name], alone[name], err_msg=name)


def test_a_learning_rate_of_zero_changes_nothing():
    W = np.array([1.0, -2.0])
    Adam({"W": W}, 0.0).update({"W": W}, {"W": np.array([5.0, 5.0])})
    assert W.tolist() == [1.0, -2.0]


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_a_matrix_without_connections_is_trained_without_complaint(optimizer_class):
    W = SparseMatrix((3, 2), [], [], np.zeros(0))
    optimizer = optimizer_class({"W": W}, 0.1)
    optimizer.update({"W": W}, {"W": np.zeros(0)})
    assert W.nnz == 0


# The state follows the connections


def trained_and_evolved(optimizer_class, seed, zeta=0.4):
    """Seven updates, one SET step, and what was there before it."""
    rng = np.random.default_rng(seed)
    W = erdos_renyi((6, 9), rng, density=0.5, dtype=np.float64)
    optimizer = optimizer_class({"W": W}, 0.01)
    for _ in range(7):
        optimizer.update({"W": W}, {"W": rng.normal(size=W.nnz)})
    old = W.copy(), dict(optimizer.state["W"])
    new, step = set_step(W, zeta, rng, scale=0.5)
    optimizer.carry("W", step)
    return optimizer, old, new, step


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
@steady
@given(seed=st.integers(0, 2**32 - 1))
def test_the_state_of_survivors_is_kept_bit_for_bit_and_the_grown_start_at_zero(optimizer_class, seed):
    optimizer, (_W, old_state), _new, step = trained_and_evolved(optimizer_class, seed)
    assert optimizer.state["W"].keys() == old_state.keys()
    for quantity, array in optimizer.state["W"].items():
        np.testing.assert_array_equal(array[step.survivors], old_state[quantity][step.kept], err_msg=quantity)
        assert (array[step.grown] == 0).all(), quantity
        assert array.dtype == old_state[quantity].dtype, quantity


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_a_regrown_connections_first_updates_equal_those_of_a_fresh_optimizer_bit_for_bit(optimizer_class):
    """Adam's step count too: with the count of the others its means would hardly be corrected."""
    rng = np.random.default_rng(1)
    optimizer, _old, W, step = trained_and_evolved(optimizer_class, seed=0)
    fresh_W = W.copy()
    fresh = optimizer_class({"W": fresh_W}, 0.01)
    assert len(step.grown) > 5
    for _ in range(3):
        gradient = rng.normal(size=W.nnz)
        optimizer.update({"W": W}, {"W": gradient})
        fresh.update({"W": fresh_W}, {"W": gradient})
        np.testing.assert_array_equal(W.values[step.grown], fresh_W.values[step.grown])
        assert (W.values[step.survivors] != fresh_W.values[step.survivors]).all(), "survivors have a memory"


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_survivors_are_updated_as_if_no_evolution_had_taken_place(optimizer_class):
    optimizer, (old_W, old_state), W, step = trained_and_evolved(optimizer_class, seed=0)
    undisturbed = optimizer_class({"W": old_W}, 0.01)
    undisturbed.state["W"] = old_state
    gradient = np.random.default_rng(1).normal(size=W.nnz)
    old_gradient = np.zeros(W.nnz)
    old_gradient[step.kept] = gradient[step.survivors]
    optimizer.update({"W": W}, {"W": gradient})
    undisturbed.update({"W": old_W}, {"W": old_gradient})
    np.testing.assert_array_equal(W.values[step.survivors], old_W.values[step.kept])


def test_adams_age_is_counted_per_connection():
    optimizer, _old, W, step = trained_and_evolved(Adam, seed=0)
    age = optimizer.state["W"]["age"]
    assert set(age[step.survivors]) == {7}
    assert set(age[step.grown]) == {0}
    optimizer.update({"W": W}, {"W": np.ones(W.nnz)})
    age = optimizer.state["W"]["age"]
    assert set(age[step.survivors]) == {8}
    assert set(age[step.grown]) == {1}


def test_a_connection_that_was_pruned_and_came_back_has_no_memory():
    """A full row: the only free cells are those that were just pruned."""
    W = SparseMatrix((1, 4), [0] * 4, range(4), [0.1, 2.0, 3.0, 4.0])
    optimizer = SGD({"W": W}, 0.0)
    optimizer.update({"W": W}, {"W": np.array([10.0, 20.0, 30.0, 40.0])})
    W, step = set_step(W, 0.25, np.random.default_rng(0))
    optimizer.carry("W", step)
    assert optimizer.state["W"]["velocity"].tolist() == [0.0, 20.0, 30.0, 40.0]


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
def test_carrying_one_parameter_leaves_the_others(optimizer_class):
    rng = np.random.default_rng(0)
    parameters = {"W": erdos_renyi((4, 5), rng, density=0.5), "V": erdos_renyi((4, 5), rng, density=0.5)}
    optimizer = optimizer_class(parameters, 0.1)
    optimizer.update(parameters, {"W": np.ones(10), "V": np.ones(10)})
    before = {quantity: array.copy() for quantity, array in optimizer.state["V"].items()}
    _W, step = set_step(parameters["W"], 0.5, rng)
    optimizer.carry("W", step)
    for quantity, array in optimizer.state["V"].items():
        np.testing.assert_array_equal(array, before[quantity], err_msg=quantity)


# Learning rates that are no learning rates


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
@pytest.mark.parametrize("rate", [-0.1, np.nan, np.inf])
def test_a_bad_learning_rate_is_named_with_its_parameter(optimizer_class, rate):
    message = f"the learning rate of b is {rate}; expected a number of at least 0"
    with pytest.raises(ValueError, match=message):
        optimizer_class({"a": np.ones(2), "b": np.ones(2)}, {"a": 0.1, "b": rate})


@pytest.mark.parametrize(
    ("optimizer_class", "constant", "value", "expected"),
    [
        (SGD, "momentum", 1.0, "at least 0 and below 1"),
        (SGD, "momentum", np.nan, "at least 0 and below 1"),
        (Adam, "beta1", 2.0, "at least 0 and below 1"),
        (FastAdam, "beta2", -0.1, "at least 0 and below 1"),
        (Adam, "adam_eps", np.nan, "a small positive number, often 1e-8"),
        (FastAdam, "adam_eps", 0.0, "a small positive number, often 1e-8"),
    ],
)
def test_a_bad_constant_is_named(optimizer_class, constant, value, expected):
    with pytest.raises(ValueError, match=f"{constant} is {value}; expected {expected}"):
        optimizer_class({"a": np.ones(2)}, 0.1, **{constant: value})


@pytest.mark.parametrize("optimizer_class", OPTIMIZERS)
@pytest.mark.parametrize("rates", [{"a": 0.1}, {"a": 0.1, "b": 0.1, "c": 0.1}, {"a": 0.1, "B": 0.1}])
def test_rates_for_other_parameters_than_there_are(optimizer_class, rates):
    with pytest.raises(ValueError) as error:
        optimizer_class({"a": np.ones(2), "b": np.ones(2)}, rates)
    assert str(sorted(rates)) in str(error.value)
    assert "the parameters are ['a', 'b']" in str(error.value)


# Clipping


def joint_norm(gradients):
    return math.sqrt(sum(float(abs(number)) ** 2 for g in gradients.values() for number in np.ravel(g)))


def test_gradients_are_scaled_together_to_the_norm():
    gradients = {"a": np.array([[3.0, 0.0]]), "b": np.array([4.0])}
    clipped, norm = clip_by_norm(gradients, 2.5)
    assert norm == 5.0
    np.testing.assert_allclose(clipped["a"], [[1.5, 0.0]], rtol=1e-15)
    np.testing.assert_allclose(clipped["b"], [2.0], rtol=1e-15)
    assert gradients["a"].tolist() == [[3.0, 0.0]], "the input is not changed"


@pytest.mark.parametrize("max_norm", [5.0, 5.1, np.inf])
def test_gradients_within_the_norm_stay_the_same_arrays(max_norm):
    """Also where the norm is exactly the largest that is allowed."""
    gradients = {"a": np.array([3.0]), "b": np.array([4.0])}
    clipped, norm = clip_by_norm(gradients, max_norm)
    assert norm == 5.0
    assert all(clipped[name] is gradients[name] for name in gradients)


@steady
@given(seed=st.integers(0, 2**32 - 1), exponent=st.integers(-6, 6))
def test_clipping_keeps_the_direction_and_never_exceeds_the_norm(seed, exponent):
    rng = np.random.default_rng(seed)
    gradients = {"W": rng.normal(size=(3, 4)) * 10.0**exponent, "b": rng.normal(size=2)}
    clipped, norm = clip_by_norm(gradients, 1.0)
    assert norm == pytest.approx(joint_norm(gradients), rel=1e-13)
    assert joint_norm(clipped) == pytest.approx(min(norm, 1.0), rel=1e-13)
    for name in gradients:
        np.testing.assert_allclose(clipped[name] * max(norm, 1.0), gradients[name], rtol=1e-13)


def test_the_norm_of_complex_gradients_counts_both_parts():
    _clipped, norm = clip_by_norm({"a": np.array([3.0 + 4.0j])}, 10.0)
    assert norm == 5.0


@pytest.mark.parametrize("number", [float, np.float64])
def test_clipping_keeps_the_type(number):
    clipped, _norm = clip_by_norm({"a": np.full(3, 100.0, np.float32)}, number(1.0))
    assert clipped["a"].dtype == np.float32


def test_a_gradient_whose_square_overflows_is_still_clipped_to_the_norm():
    """10²⁰ is an ordinary float32, its square is not: an exploding gradient is what clipping is for."""
    clipped, norm = clip_by_norm({"a": np.full(4, 1e20, np.float32)}, 1.0)
    assert norm == pytest.approx(2e20, rel=1e-6)
    np.testing.assert_allclose(clipped["a"], 0.5, rtol=1e-6)


def test_a_gradient_that_is_not_a_number_is_not_hidden():
    clipped, norm = clip_by_norm({"a": np.array([np.nan, 1.0])}, 1.0)
    assert math.isnan(norm)
    assert np.isnan(clipped["a"]).any()


def test_zero_gradients_and_no_gradients():
    clipped, norm = clip_by_norm({"a": np.zeros(3), "b": np.zeros((0, 2))}, 1.0)
    assert norm == 0.0
    assert clipped["a"].tolist() == [0.0, 0.0, 0.0]
    assert clip_by_norm({}, 1.0) == ({}, 0.0)


@pytest.mark.parametrize("max_norm", [0, -1.0, np.nan])
def test_a_norm_that_is_not_positive(max_norm):
    with pytest.raises(ValueError, match=f"max_norm is {max_norm}; expected a positive number"):
        clip_by_norm({"a": np.ones(2)}, max_norm)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("chunk", [1, 7, 20, 21, 1000])
@pytest.mark.parametrize("layout", ["flat", "rows", "columns"])
def test_adam_in_place_equals_the_pure_rule_bit_for_bit(dtype, chunk, layout, monkeypatch):
    """Ages per weight, as after SET steps, or one for all; arrays in either order of memory."""
    monkeypatch.setattr(adam, "CHUNK", chunk)
    rng = np.random.default_rng(0)
    shape = (20,) if layout == "flat" else (4, 5)
    weights, m = (rng.normal(size=shape).astype(dtype) for _ in range(2))
    v = rng.random(shape).astype(dtype)
    age = rng.integers(0, 9, shape).astype(np.int32) if layout == "flat" else np.array(3, np.int32)
    if layout == "columns":
        weights, m, v = (np.asfortranarray(array) for array in (weights, m, v))
    constants = {"learning_rate": 0.01, "beta1": 0.8, "beta2": 0.99, "adam_eps": 1e-6}
    expected = weights.copy(), m.copy(), v.copy(), age.copy()
    for _ in range(3):
        gradient = rng.normal(size=shape).astype(dtype)
        kept = gradient.copy()
        change, *state = adam_update(gradient, *expected[1:], **constants)
        expected = expected[0] + change, *state
        adam_in_place(weights, gradient, m, v, age, **constants)
        np.testing.assert_array_equal(gradient, kept)
    for name, got, wanted in zip(("weights", "m", "v", "age"), (weights, m, v, age), expected, strict=True):
        np.testing.assert_array_equal(got, wanted, err_msg=name)
        assert got.dtype == wanted.dtype, name


def test_states_of_an_optimizer_are_not_broadcast():
    with pytest.raises(ValueError, match=r"velocity has shape \(1,\); expected \(3,\), as all others have"):
        sgd_update(np.ones(3), np.ones(1), learning_rate=0.1)
    with pytest.raises(ValueError, match=r"age has shape \(1,\) and numbers from 0 to 1; expected \(3,\) or \(\)"):
        adam_update(np.ones(3), np.ones(3), np.ones(3), np.array([1]), learning_rate=0.1)
    with pytest.raises(ValueError, match="numbers from -1 to"):
        adam_update(np.ones(1), np.ones(1), np.ones(1), np.array([-1]), learning_rate=0.1)


@pytest.mark.parametrize("optimizer_class", [SGD, Adam])
def test_nothing_is_updated_unless_all_gradients_fit(optimizer_class):
    W = {"a": np.zeros(2), "b": np.zeros(2)}
    optimizer = optimizer_class(W, 0.1)
    read_only = np.zeros(2)
    read_only.flags.writeable = False
    for parameters, odd in (
        (W, np.zeros((1, 2))),
        (W, np.zeros(2, complex)),
        (W, [0.0, 0.0]),
        (W | {"b": read_only}, np.zeros(2)),
        ({"a": W["a"]}, np.zeros(2)),
    ):
        with pytest.raises((ValueError, TypeError), match="b"):
            optimizer.update(parameters, {"a": np.ones(2), "b": odd})
    assert W["a"].tolist() == [0.0, 0.0]
    with pytest.raises(TypeError, match="set_step is None; expected a SetStep"):
        optimizer.carry("a", None)
    with pytest.raises(ValueError, match="name is 'c'; expected one of 'a', 'b'"):
        optimizer.carry("c", None)


def test_gradients_of_other_kinds_are_clipped_as_well():
    """Lists, and numbers of more than double precision."""
    for gradient in ([3.0, 4.0], np.array([3, 4], np.longdouble), np.array([3, 4], np.float16), np.array([3, 4])):
        clipped, norm = clip_by_norm({"a": gradient}, 1.0)
        assert norm == 5.0 and clipped["a"] == pytest.approx([0.6, 0.8], rel=1e-3)
    for optimizer_class in (SGD, Adam):
        with pytest.raises(TypeError, match="parameters is .*; expected a dict of arrays by name"):
            optimizer_class([np.ones(2)], {})


def test_the_smallest_gradients_have_a_norm():
    """The square of 1e-30 is 0 in single precision."""
    assert clip_by_norm({"a": np.array([1e-30], np.float32)}, 1.0)[1] == pytest.approx(1e-30, rel=1e-6, abs=0)


def test_the_largest_gradients_are_clipped_to_the_norm():
    """Squares of 1e200 are infinite in double precision, too."""
    clipped, norm = clip_by_norm({"a": np.array([3e200]), "b": np.array([4e200])}, 1.0)
    assert norm == pytest.approx(5e200) and clipped["a"][0] == pytest.approx(0.6)
