"""Answers of a submission compared with the right numbers; a typical mistake is recognized by what it gives."""

import functools
import hashlib

import numpy as np

from numpy_setlstm.gradcheck import check_gradients, check_layer
from numpy_setlstm.grading.process import Wrong, as_array

TOLERANCE = 1e-9  # of the largest number of an array


def expect(name, got, expected, causes=(), tolerance=TOLERANCE):
    """Compare an array of a submission with the right one.

    Parameters
    ----------
    name : str
        Of the array, for the report.
    got : object
        What the submission returned.
    expected : array_like
        The right numbers.
    causes : dict of str to array_like, optional
        What typical mistakes give; if the numbers are those, the cause is named.
    tolerance : float, default 1e-9
        As a part of the largest number of `expected`.

    Raises
    ------
    Wrong
        With the first wrong entry, and the cause if it is known.

    Examples
    --------
    >>> expect("h", np.ones(2), [1, 1])
    >>> expect("h", np.ones(2), [1, 2], {"only ones": [1, 1]})
    Traceback (most recent call last):
        ...
    numpy_setlstm.grading.process.Wrong: only ones
    """
    array, expected = as_array(got), np.asarray(expected, float)
    if array.shape != expected.shape:
        shapes = f"{name} has shape {array.shape}, expected {expected.shape}"
        raise Wrong(f"wrong shape of {name}", shapes, [f"{name} {array.shape}"])
    limit = tolerance * max(np.abs(expected).max(initial=0), 1e-30)
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(array - expected) <= limit)
    if not wrong.any():
        return
    same = (c for c, n in dict(causes).items() if np.shape(n) == array.shape and np.abs(array - n).max() <= limit)
    finite = "wrong" if np.isfinite(array).all() else "not finite"
    cause = next(same, f"{name} is {finite}")
    first = tuple(int(k) for k in np.argwhere(wrong)[0])
    place = f"{name}[{', '.join(map(str, first))}]" if first else name
    report = (
        f"{name} is wrong in {np.count_nonzero(wrong)} of {wrong.size} entries; the first is {place}: "
        f"{array[first]:.6g}, expected {expected[first]:.6g}"
    )
    raise Wrong(cause, report, [signature(name, array, wrong)])


def signature(name, array, wrong):
    """What two submissions share if they have the same wrong numbers in the same entries."""
    numbers = [f"{number:.5g}" for number in array[wrong].ravel()[:200]]
    return (
        f"{name} {hashlib.sha256(' '.join([*numbers, str(np.flatnonzero(wrong).tolist())]).encode()).hexdigest()[:16]}"
    )


def expect_gradients(forward, ask, inputs, params, causes=None, rng=None):
    """Compare gradients of a submission with those that the complex step measures on a forward pass of the grader.

    Parameters
    ----------
    forward : callable
        The right forward pass: ``forward(**inputs, **params)`` returns an array or a tuple of arrays, and takes complex
        numbers.
    ask : callable
        ``ask(arguments, *douts)`` asks the submission for the gradients, a dict of arrays by name; `arguments` has
        the inputs and parameters by name, `douts` an upstream gradient for each output.
    inputs, params : dict of str to ndarray
        The point at which they are compared.
    causes : callable, optional
        ``causes(grads, arguments, *douts)`` returns a cause that it recognizes in the gradients, or None. Then
        :func:`numpy_setlstm.check_layer` looks for one.
    rng : numpy.random.Generator, optional
        Draws the upstream gradients.

    Raises
    ------
    Wrong
        With the report of all arrays and the likely cause.

    Examples
    --------
    >>> def square(x):
    ...     return x**2
    >>> expect_gradients(square, lambda arguments, dout: {"x": 3 * dout}, {"x": np.ones(2)}, {})
    Traceback (most recent call last):
        ...
    numpy_setlstm.grading.process.Wrong: factor: x
    """
    point, rng = {**inputs, **params}, np.random.default_rng() if rng is None else rng

    @functools.wraps(forward)
    def with_arguments(**arguments):
        outs = forward(**arguments)
        return (*outs, arguments) if isinstance(outs, tuple) else (outs, arguments)

    def asked(*douts_and_arguments):
        *douts, arguments = douts_and_arguments
        return {name: as_array(grad) for name, grad in ask(arguments, *douts).items()}

    douts = [rng.normal(size=np.shape(out)) for out in with_arguments(**point)[:-1]]

    def loss(arguments):
        return sum((out * dout).sum() for out, dout in zip(with_arguments(**arguments), douts, strict=False))

    try:
        grads = asked(*douts, point)
        report = check_gradients(loss, point, grads, raises=False)
        if report.ok or all(array.status == "WRONG" and array.error < TOLERANCE for array in report.failures):
            return  # right to nine digits, as where an eps guards a division
        cause = causes(grads, point, *douts) if causes else None
        report = report if cause else check_layer(with_arguments, asked, inputs, params, raises=False)
    except (ValueError, TypeError) as error:
        raise Wrong("gradients of a wrong shape", " ".join(str(error).split()), [str(error)]) from None
    named = [f"{diagnosis.kind}: {', '.join(diagnosis.arrays)}" for diagnosis in report.diagnoses]
    wrong = [array for array in report.arrays if not array.ok]
    cause = cause or (named or [f"wrong gradient of {', '.join(array.name for array in wrong)}"])[0]
    texts = [f"- {diagnosis.text}" for diagnosis in report.diagnoses]
    signatures = [signature(array.name, array.analytic_all, array.wrong) for array in wrong]
    raise Wrong(cause, "\n".join([str(report), *texts]), signatures)


def obvious_kind(function, x):
    """What a function of one array obviously is, where a gated layer is asked for.

    Parameters
    ----------
    function : callable
        Asks the submission: an array from an array of floats.
    x : ndarray of any shape
        Random numbers.

    Returns
    -------
    str or None
        "the same whatever the input", "linear in its input", or None.

    Examples
    --------
    >>> obvious_kind(lambda x: 2 * x + 1, np.ones(3))
    'linear in its input'
    """
    try:
        zero, one, two = (as_array(function(factor * x)) for factor in (0.0, 1.0, 2.0))
        if np.array_equal(one, zero) and np.array_equal(one, two):
            return "the same whatever the input"
        return "linear in its input" if np.allclose(two - zero, 2 * (one - zero), rtol=1e-9, atol=0) else None
    except (Wrong, ValueError, IndexError, TypeError):
        return None
