"""Arguments are checked at the entrance: a refusal says why in one line, and what is accepted is computed right."""

import doctest
import warnings

import numpy as np
import pytest
from attack_calls import BAD
from attack_calls import run as run_attack

from numpy_setlstm import checks, text
from numpy_setlstm.layers import lstm
from numpy_setlstm.layers.dropout import dropout_backward, dropout_forward
from numpy_setlstm.layers.embedding import embedding_backward, embedding_forward
from numpy_setlstm.layers.trace import trace_states
from numpy_setlstm.measures import degree_counts, ever_tried, expected_degrees, gates_of, surviving_fraction, turnover
from numpy_setlstm.optimizers import SGD, Adam, adam_update, clip_by_norm, sgd_update
from numpy_setlstm.sparse import SparseMatrix, Topology, weight_gradient
from numpy_setlstm.topology import erdos_renyi, erdos_renyi_count, prune, regrow, set_step


def test_a_short_attack():
    """Odd arguments, drawn at random; `python tests/attack_calls.py` makes more calls."""
    rooms = ("lstm", "embedding", "dropout", "sparse", "topology", "optimizers", "text", "measures")
    bad = [result for result in run_attack(600, seed=0) if result[1] in (*rooms, "unknown") and result[2] in BAD]
    assert not bad, "\n".join(map(str, bad))


# Specs


class Unshowable:
    def __repr__(self):
        raise RuntimeError


def test_any_value_is_shown_on_one_short_line():
    for value in ("x" * 5000, "a\nb" * 99, np.ones((9, 9)), [1] * 999, Unshowable(), 10**5000, None):
        shown = checks.short(value)
        assert 0 < len(shown) <= 60 and "\n" not in shown


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        ("[0, 1]", [0, 1, 0.5, np.float32(1), np.int8(1)], [-1e-9, 1.1]),
        ("[0, 1)", [0, 0.999], [1, 1.0]),
        ("(0, inf)", [1e-300, 1e300], [0, -0.0, np.inf, 10**400]),
        ("(0, inf]", [np.inf], [-np.inf]),
    ],
)
def test_numbers_in_an_interval(interval, inside, outside):
    spec = checks.number(interval, "such a number")
    for value in inside:
        assert type(spec("x", value)) is float and spec("x", value) == value
    for value in [*outside, np.nan, True, np.timedelta64(1), "1", None, 1j, np.array(0.5), [0.5]]:
        with pytest.raises(ValueError, match="^x is .*; expected such a number$"):
            spec("x", value)


def test_minus_zero_is_zero():
    assert str(checks.number("[0, 1]", "")("x", -0.0)) == "0.0"


def test_whole_numbers_become_those_of_python_which_do_not_wrap():
    assert type(checks.whole()("n", np.uint8(3))) is int
    for value in (-1, 2.0, True, np.bool_(True), np.timedelta64(1), 2**63, None, "1", np.array(1)):
        with pytest.raises(ValueError, match="^n is .*; expected a whole number from 0 to 9223372036854775807$"):
            checks.whole()("n", value)


def test_what_is_like_an_array_is_read_as_one():
    for value in ([1.5, 2.5], (1.5, 2.5), np.array([[1.5], [2.5]]).view(np.matrix), np.ma.MaskedArray([1.5, 2.5])):
        array = checks.as_array("x", value)
        assert type(array) is np.ndarray and array.ravel().tolist() == [1.5, 2.5]
    with pytest.raises(ValueError, match="x has 1 masked entries; expected numbers: fill or drop them"):
        checks.as_array("x", np.ma.MaskedArray([1.0, 2.0], [True, False]))
    for value in (None, "text", [[1], [1, 2]], {}, np.array(["a"]), np.array([None]), np.zeros(2, "M8[D]")):
        with pytest.raises(TypeError, match="^x is .*; expected an array of numbers$"):
            checks.as_array("x", value)
    assert checks.as_array("x", [], "iu").dtype.kind == "i"


@checks.checked(a=checks.array("N 4H"), b=checks.array("H"), n=checks.whole(1))
def example(a, b=None, *, n=1):
    """Do nothing much.

    >>> example([[1, 2, 3, 4]], [5])
    (array([[1., 2., 3., 4.]]), array([5.]), 1)
    """
    return a, b, n


def test_a_decorated_function():
    assert example(np.ones((2, 0)))[1:] == (None, 1)
    with pytest.raises(ValueError, match=r"b has shape \(2,\); expected \(H\) with H = 1, N = 2|with N = 2, H = 1"):
        example(np.ones((2, 4)), np.ones(2))
    with pytest.raises(ValueError, match=r"a has shape \(2, 3\); expected \(N, 4H\)"):
        example(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"a has shape \(3,\); expected \(N, 4H\)$"):
        example(np.ones(3))
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'a'"):
        example(b=[1])
    with pytest.raises(TypeError, match="unexpected keyword argument 'c'"):
        example(np.ones((1, 4)), c=1)
    with pytest.raises(TypeError, match="takes from 1 to 2 positional arguments but 3"):
        example(np.ones((1, 4)), np.ones(1), 1)
    with pytest.raises(FloatingPointError, match=r"result of example\(a\) is NaN or infinite: there are such .* in a;"):
        example(np.full((1, 4), np.nan))


def test_doctest_finds_the_examples_of_decorated_functions():
    found = doctest.DocTestFinder().find(lstm, "lstm")
    assert "lstm.lstm_forward" in [test.name for test in found if test.examples]


# Layers


def test_small_whole_numbers_lose_no_digits():
    """NumPy's tanh of int8 is float16."""
    z, c = np.array([[1, 1, 1, 1]], np.int8), np.array([[2]], np.int8)
    for got, expected in zip(lstm.lstm_step_forward(z, c), lstm.lstm_step_forward(z * 1.0, c * 1.0), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_states_of_another_size_are_not_broadcast():
    with pytest.raises(ValueError, match=r"z has shape \(1, 8\); expected \(N, 4H\) with N = 3, H = 2"):
        lstm.lstm_step_forward(np.zeros((1, 8)), np.zeros((3, 2)))
    cache = lstm.lstm_step_forward(np.zeros((3, 8)), np.zeros((3, 2)))[-1]
    with pytest.raises(ValueError, match=r"dc has shape \(1, 2\); expected \(N, H\) with N = 3, H = 2"):
        lstm.lstm_step_backward(np.zeros((3, 2)), np.zeros((1, 2)), cache)
    y, keep = dropout_forward(np.ones((3, 2)), 0.5, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"keep has shape \(3, 2\); expected \(1, 2\)"):
        dropout_backward(np.ones((1, 2)), keep)


def test_the_cache_of_another_layer_is_refused():
    x, cache = embedding_forward(np.array([[1, 0]]), np.eye(2))
    with pytest.raises(TypeError, match="cache is EmbeddingCache.*expected the cache that lstm_forward returned"):
        lstm.lstm_backward(np.zeros((1, 2, 2)), cache)
    with pytest.raises(TypeError, match="cache is None, of type NoneType; expected the cache that embedding_forward"):
        embedding_backward(x, None)


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_what_overflows_is_one_clear_error_without_warnings(odd):
    weights = np.array([[1.0, -1.0, 1.0, -1.0], [-1.0, 1.0, -1.0, 1.0]])
    with warnings.catch_warnings(), pytest.raises(FloatingPointError, match="lower the learning rates"):
        warnings.simplefilter("error")
        lstm.lstm_forward(np.full((1, 1, 2), odd), weights, np.zeros((1, 4)), np.zeros(4))


def test_hidden_ids_are_refused():
    with pytest.raises(TypeError, match="tokens are MaskedArray; expected an integer array"):
        embedding_forward(np.ma.MaskedArray([[1, 0]], [[True, False]]), np.eye(2))


def test_states_are_traced_in_the_type_of_the_cache():
    arguments = np.ones((1, 2, 1)), np.full((1, 4), 1j), np.zeros((1, 4)), np.zeros(4)
    h, cache = lstm.lstm_forward(*arguments)
    traced, expected = trace_states(h.real, cache), trace_states(h, cache)
    np.testing.assert_array_equal(traced["c"], expected["c"])


# Matrices and topology


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


def test_narrow_numbers_of_numpy_do_not_wrap():
    rng = np.random.default_rng(0)
    W = erdos_renyi((200, 200), rng, density=np.float16(0.5), reserved_rows=np.int8(100))
    assert W.nnz == 20_000 and W.rows.min() >= 100  # 100 · 200 does not fit into int8
    assert erdos_renyi_count((np.uint8(200), np.uint8(200)), np.float16(10)) == 4000
    rows, cols = regrow((300, 2), [], [], np.uint8(200), rng, reserved_rows=np.uint8(200))
    assert len(rows) == 200 and rows.min() >= 200


def test_a_generator_is_a_generator():
    W = SparseMatrix((1, 2), [0], [0], [1.0])
    for rng in (None, 0, np.random, np.random.RandomState(0), np.random.SeedSequence(0)):
        for call in (lambda rng: set_step(W, 0.5, rng), lambda rng: erdos_renyi((2, 2), rng, density=0.5)):
            with pytest.raises(TypeError, match="rng is .*; expected a numpy.random.Generator, such as"):
                call(rng)


def test_complex_weights_have_no_order_to_prune_by():
    with pytest.raises(TypeError, match="weights is .*complex128"):
        prune(SparseMatrix((1, 2), [0, 0], [0, 1], [1j, 2.0]), 0.5)


def test_a_step_belongs_to_one_topology():
    W = SparseMatrix((2, 2), [0, 1], [0, 1], [0.1, 0.2])
    step = set_step(W, 0.5, np.random.default_rng(0), prune_rule="magnitude")[1]
    with pytest.raises(ValueError, match="lacks the pruned connections; expected the topology before this step"):
        step.apply(Topology((2, 2), [0, 1], [1, 0]))
    with pytest.raises(TypeError, match=r"topology is \(2, 2\), of type tuple; expected a Topology"):
        step.apply((2, 2))
    assert sum(step.carry([7.0, 8.0])) == 8.0


# Optimizers


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


def test_the_largest_gradients_are_clipped_to_the_norm():
    """Squares of 1e200 are infinite in double precision, too."""
    clipped, norm = clip_by_norm({"a": np.array([3e200]), "b": np.array([4e200])}, 1.0)
    assert norm == pytest.approx(5e200) and clipped["a"][0] == pytest.approx(0.6)


# Texts and measures


def test_an_unsigned_length_does_not_wrap():
    """-np.uint8(3) is 253, after which no ids are left."""
    expected = text.pad_sequences([[5, 6, 7, 8]], 3)
    assert text.pad_sequences([[5, 6, 7, 8]], np.uint8(3)).tolist() == expected.tolist() == [[6, 7, 8]]


def test_texts_that_have_no_order_or_are_none():
    for words in ({"<pad>", "<unk>"}, 5, None):
        with pytest.raises(TypeError, match="words are .*; expected a list of str"):
            text.Vocabulary(words)
    for sequences in ("12", 5, None):
        with pytest.raises(TypeError, match="sequences are .*; expected a list of sequences of ids"):
            text.pad_sequences(sequences, 3)


def test_measures_say_what_does_not_fit():
    W = SparseMatrix((2, 4), [0, 1], [0, 1], [0.1, 0.2])
    _, step = set_step(W, 0.5, np.random.default_rng(0))
    with pytest.raises(TypeError, match="topology is .*; expected a Topology or a SparseMatrix"):
        degree_counts(np.eye(2), 0)
    with pytest.raises(ValueError, match="reserved_rows is 1; expected that many leading rows without connections"):
        degree_counts(W, 1, reserved_rows=1)
    with pytest.raises(TypeError, match=r"steps\[0\] is 5; expected SetSteps of one matrix"):
        surviving_fraction(W.topology, [5])
    with pytest.raises(ValueError, match=r"steps\[0\] is a step of 2 connections.*expected steps of 1 connections"):
        ever_tried(Topology((2, 4), [0], [0]), [step])
    with pytest.raises(ValueError, match="nnz is 5; expected a number from 0 to 4, the cells of"):
        expected_degrees((2, 2), 5)
    with pytest.raises(ValueError, match="3 columns are not divisible by 4 gates"):
        gates_of((2, 3))
    with pytest.raises(ValueError, match="group_of gives the group 1; expected 0 to 0"):
        turnover(W.topology, [], gates_of((2, 4)), 1)
