"""Blanks to fill in: whether a reader's lines are right, and if not, what is wrong."""

import inspect
import re

import numpy as np

NOT_YET = "Not filled in yet: replace ... by your formula, and run the cell again."


def check_answer(function, arguments, right, names="the result", mistakes=None):
    """Say whether a function returns what it should, and if not, which well-known mistake it makes.

    Parameters
    ----------
    function : callable
        With the reader's lines; those that are still ``...`` make it "not filled in yet".
    arguments : tuple
        To call it with.
    right : array_like, or tuple of array_like
        What it should return.
    names : str
        What each part of the result is called, separated by commas.
    mistakes : dict of str to array_like or tuple, optional
        By what to say: the result of a known mistake, with None for a part that the mistake does not concern.

    Examples
    --------
    >>> check_answer(lambda x: ..., (3,), 9, "y")
    Not filled in yet: replace ... by your formula, and run the cell again.
    >>> check_answer(lambda x: x * x, (3,), 9, "y")
    Right: y
    >>> check_answer(lambda x: x + x, (3,), 9, "y", {"doubled, not squared": 6})
    y is wrong: doubled, not squared.
    >>> check_answer(lambda x: x + 1, (3,), 9, "y")
    y is wrong: it is 4 where 9 is right.
    """
    names = [name.strip() for name in names.split(",")]
    right = _parts(right)
    try:
        answers = _parts(function(*arguments))
    except Exception as error:  # whatever the reader's lines do
        print(NOT_YET if _has_blank(function) else f"It stops with {type(error).__name__}: {error}.")
        return
    if any(answer is ... for answer in answers):
        print(NOT_YET)
    elif len(answers) != len(right):
        print(f"It returns {len(answers)} results; expected {len(right)}: {', '.join(names)}.")
    else:
        print(_verdict(answers, right, names, mistakes or {}))


def _has_blank(function):
    """Whether a line of the function still is ``name = ...``."""
    try:
        return re.search(r"= *\.\.\. *(#.*)?$", inspect.getsource(function), re.MULTILINE) is not None
    except (OSError, TypeError):  # no source
        return False


def _parts(value):
    return value if isinstance(value, tuple) else (value,)


def _verdict(answers, right, names, mistakes):
    """What to say of answers of the right number: of the first wrong one, unless it is a known mistake."""
    wrong = [k for k, pair in enumerate(zip(answers, right, strict=True)) if not _equal(*pair)]
    if not wrong:
        return f"Right: {', '.join(names)}"
    first = wrong[0]
    for text, results in mistakes.items():
        concerned = [(answers[k], result) for k, result in enumerate(_parts(results)) if result is not None]
        if _parts(results)[first] is not None and all(_equal(*pair) for pair in concerned):
            return f"{names[first]} is wrong: {text}."
    answer, expected = np.asarray(answers[first]), np.asarray(right[first])
    if answer.shape != expected.shape:
        return f"{names[first]} has the shape {answer.shape}; expected {expected.shape}."
    if answer.dtype.kind not in "bifc":
        return f"{names[first]} is {answers[first]!r}; expected numbers."
    place = np.unravel_index(np.argmax(~np.isclose(answer, expected)), answer.shape)
    at = f" at {', '.join(map(str, place))}" if place else ""
    return f"{names[first]} is wrong: it is {answer[place]:.4g}{at} where {expected[place]:.4g} is right."


def _equal(answer, expected):
    answer, expected = np.asarray(answer), np.asarray(expected)
    return answer.shape == expected.shape and answer.dtype.kind in "bifc" and bool(np.allclose(answer, expected))
