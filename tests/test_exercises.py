"""Blanks of the notebooks: a right answer is called right, a known mistake by its name, others by their numbers."""

import numpy as np
import pytest

from numpy_setlstm.lab.exercises import check_answer

X = np.array([1.0, -2.0, 3.0])


def said(capsys, function, right=X**2, **others):
    check_answer(function, (X,), right, "y", **others)
    return capsys.readouterr().out.strip()


def not_filled_in(x):
    y = ...
    return y


def blank_that_is_used(x):
    y = ...
    return y * x


@pytest.mark.parametrize("function", [not_filled_in, blank_that_is_used])
def test_a_blank_is_not_called_a_mistake(function, capsys):
    assert said(capsys, function).startswith("Not filled in yet")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x * x, "Right: y"),
        (lambda x: x + x, "y is wrong: doubled, not squared."),
        (lambda x: x**2 + [0, 1, 0], "y is wrong: it is 5 at 1 where 4 is right."),
        (lambda x: x[:2] ** 2, "y has the shape (2,); expected (3,)."),
        (lambda x: None, "y has the shape (); expected (3,)."),
        (lambda x: x / np.array([]), "It stops with ValueError: operands could not be broadcast"),
        (lambda x: (x, x), "It returns 2 results; expected 1: y."),
        (lambda x: x[..., :2] ** 2, "y has the shape (2,); expected (3,)."),
    ],
)
def test_what_it_says(function, message, capsys):
    assert said(capsys, function, mistakes={"doubled, not squared": 2 * X}).startswith(message)


def test_of_several_parts_the_first_wrong_one_is_named(capsys):
    mistakes = {"the sign": (None, X), "both signs": (-X, X)}
    for answer, message in [
        ((X, -X), "Right: a, b"),
        ((X, X), "b is wrong: the sign."),
        ((-X, X), "a is wrong: both signs."),
        ((-X, -X), "a is wrong: it is -1 at 0 where 1 is right."),
    ]:
        check_answer(lambda answer=answer: answer, (), (X, -X), "a, b", mistakes)
        assert capsys.readouterr().out.strip() == message
