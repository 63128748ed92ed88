"""Arguments are checked at the entrance: a refusal says why in one line, and what is accepted is computed right."""

import doctest

import numpy as np
import pytest
from attack_calls import BAD
from attack_calls import run as run_attack

from numpy_setlstm import checks
from numpy_setlstm.layers import lstm


def test_a_short_attack():
    """Odd arguments, drawn at random; `python tests/attack_calls.py` makes more calls."""
    bad = [result for result in run_attack(600, seed=0) if result[2] in BAD]
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
