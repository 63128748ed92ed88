"""What student notebooks call: checks that say what is wrong, and never stop a notebook."""

import contextlib
import hashlib
import inspect
import linecache
import os
import re
import sys
import traceback
from itertools import zip_longest

import numpy as np

from numpy_setlstm.gradcheck import check_layer

__all__ = ["account", "compare", "found", "gradients", "judged", "mended", "picture", "trying"]

verdicts = []  # of all checks so far, for the command line


@contextlib.contextmanager
def trying(name):
    """Run a block; what stops it is said in a line or two and is a failed check, and the notebook goes on.

    Parameters
    ----------
    name : str
        Of what is tried, for the message.

    Yields
    ------
    None
        Nothing.

    Examples
    --------
    >>> with trying("sigmoid"):
    ...     raise NotImplementedError("sigmoid is not implemented yet")
    sigmoid: not implemented yet.
    """
    place = len(verdicts)
    verdicts.append(False)
    with telling(name):
        yield
        verdicts[place] = True  # not the last one: the block may have checks


@contextlib.contextmanager
def telling(name):
    """Say in a line or two what stops a block; it is no verdict."""
    try:
        yield
    except NotImplementedError:
        print(f"{name}: not implemented yet.")
    except Exception as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if __file__ not in frame.filename]
        where = f" in line {frames[-1].lineno} of {frames[-1].name}: {frames[-1].line}" if frames else ""
        print(f"{name}: it stops with {type(error).__name__}: {error}{where}")


@contextlib.contextmanager
def picture(name):
    """Draw in a block; without the code that it needs, a line says so instead.

    Parameters
    ----------
    name : str
        Of the function that must work first.

    Yields
    ------
    None
        Nothing.

    Examples
    --------
    >>> with picture("lstm_forward"):
    ...     raise NotImplementedError
    lstm_forward: not implemented yet.
    A picture appears here when lstm_forward works.
    """
    drawn = []
    with telling(name):
        yield
        drawn.append(True)
    if not drawn:
        print(f"A picture appears here when {name} works.")


def compare(name, compute, expected, tolerance=1e-6, hints=()):
    """Compare what a function returns with the right numbers, and print the verdict.

    Parameters
    ----------
    name : str
        Of what is compared.
    compute : callable
        Called without arguments; returns an array, or a tuple of as many as `expected`.
    expected : array_like, or dict of str to array_like
        The right numbers; a dict has the names of several arrays.
    tolerance : float, default 1e-6
        Largest difference that is accepted.
    hints : dict of str to array_like, optional
        What typical mistakes give in the first array that is wrong.

    Examples
    --------
    >>> compare("the sum", lambda: np.ones(3).sum(), 3.0)
    the sum: right.
    >>> compare("y", lambda: np.array([1.0, 2.0]), [1.0, 3.0])
    y: wrong in 1 of 2 entries. The first is at [1]: yours is 2, expected 3.
    """
    verdicts.append(False)
    with telling(name):
        got = compute()
        if not isinstance(expected, dict):
            got, expected = (got,), {name: expected}
        elif not isinstance(got, tuple | list) or len(got) != len(expected):
            print(f"{name}: expected {len(expected)} arrays, {', '.join(expected)}; got {type(got).__name__}.")
            return
        for (label, right), array in zip(expected.items(), got, strict=True):
            words = difference(label, array, right, tolerance)
            if words:
                print(f"{name}: {words}" if label != name else words)
                same = [h for h, numbers in dict(hints).items() if difference(label, array, numbers, tolerance) is None]
                print("".join(f"- {hint}\n" for hint in same), end="")
                return
        print(f"{name}: right.")
        verdicts[-1] = True


def difference(name, got, expected, tolerance):
    """What differs, in a sentence; None if nothing does."""
    if got is None:
        return f"{name}: nothing is returned; is there a return?"
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape:
        return f"{name}: has shape {got.shape}, expected {expected.shape}."
    wrong = ~(np.abs(got - expected) <= tolerance)
    if not wrong.any():
        return None
    first = tuple(int(k) for k in np.argwhere(wrong)[0])
    numbers = f"yours is {got[first]:.6g}, expected {expected[first]:.6g}."
    return (
        f"{name}: wrong in {np.count_nonzero(wrong)} of {wrong.size} entries. The first is at {list(first)}: {numbers}"
    )


def gradients(name, forward, backward, inputs, params, **options):
    """Check a backward pass against its forward pass, and print what is wrong; see :func:`numpy_setlstm.check_layer`.

    Parameters
    ----------
    name : str
        Of what is checked.
    forward, backward : callable
        The layer.
    inputs, params : dict of str to ndarray
        Where it is checked.
    **options : object
        As for :func:`numpy_setlstm.check_layer`.

    Examples
    --------
    >>> def forward(x):
    ...     return x**2, x
    >>> gradients("square", forward, lambda dout, x: 2 * x * dout, {"x": np.ones(3)}, {})
    square: right, in all 3 entries.
    """
    verdicts.append(False)
    with telling(name):
        report = check_layer(forward, backward, inputs, params, raises=False, **options)
        if report.ok:
            print(f"{name}: right, in all {sum(array.checked for array in report.arrays)} entries.")
            verdicts[-1] = True
            return
        worst = report.worst
        print(f"{name}: wrong. {worst.place} is {worst.analytic:.6g}, expected {worst.numeric:.6g}.")
        for diagnosis in report.diagnoses:
            print("-", diagnosis.text)
        print(report)


def judged(name, judge):
    """Print what is wrong with an answer, in the words of a function that knows.

    Parameters
    ----------
    name : str
        Of the answer.
    judge : callable
        Called without arguments; returns a few words, or None if nothing is wrong.

    Examples
    --------
    >>> judged("runs", lambda: "fewer than three seeds")
    runs: wrong. It looks like this: fewer than three seeds.
    """
    verdicts.append(False)
    with telling(name):
        words = judge()
        print(f"{name}: wrong. It looks like this: {words}." if words else f"{name}: right.")
        verdicts[-1] = not words


def account(answer, kinds):
    """What a student says about a planted mistake, in one form.

    Parameters
    ----------
    answer : dict
        With "arrays" (names in a list, or in a text with commas; dW is W), "kind" (a text) and "line" (a number).
    kinds : dict of str to sequence of str
        The kinds of mistakes, each with its other names.

    Returns
    -------
    arrays : frozenset of str
        Without the d of gradients.
    kind : str or None
        A key of `kinds`; None if there is no such kind.
    line : int or None
        None if there is no number.

    Raises
    ------
    ValueError
        If the answer is no dictionary with these keys.

    Examples
    --------
    >>> arrays, kind, line = account({"arrays": "dW, b", "kind": "Minus", "line": 3}, {"sign": ["minus"]})
    >>> sorted(arrays), kind, line
    (['W', 'b'], 'sign', 3)
    """
    if not isinstance(answer, dict) or not {"arrays", "kind", "line"} <= answer.keys():
        got = f"a dictionary with {', '.join(map(str, answer))}" if isinstance(answer, dict) else type(answer).__name__
        raise ValueError(f"got {got[:100]}; expected a dictionary with arrays, kind and line")
    arrays = answer["arrays"]
    words = arrays.replace(",", " ").split() if isinstance(arrays, str) else [str(name).strip() for name in arrays]
    said = " ".join(str(answer["kind"]).lower().split())
    kind = next((kind for kind, others in kinds.items() if said in (kind, *others)), None)
    number = re.fullmatch(r"(?:line )?(\d{1,3})(?:\.0)?", str(answer["line"]).strip().lower())
    return frozenset(word.removeprefix("d") for word in words), kind, int(number[1]) if number else None


def mended(function, line, code):
    """A function with another line of code in place of one that is numbered.

    Parameters
    ----------
    function : callable
        Whose lines end with comments such as ``# 3``.
    line : int
        The number of the line.
    code : str
        Its new code; how it is indented does not matter.

    Returns
    -------
    callable
        The mended function.

    Raises
    ------
    ValueError
        If there is no such line.

    Examples
    --------
    >>> def double(x):
    ...     return 3 * x  # 1
    >>> mended(double, 1, "return 2 * x")(5)  # doctest: +SKIP
    10
    """
    lines = inspect.getsource(function).splitlines()
    places = [k for k, text in enumerate(lines) if re.search(rf"# {line}$", text)]
    if not places:
        raise ValueError(f"{function.__name__} has no line {line}")
    old = lines[places[0]]
    lines[places[0]] = old[: len(old) - len(old.lstrip())] + str(code).strip()
    names = dict(function.__globals__)
    exec("\n".join(lines), names)
    return names[function.__name__]


def found(name, answer, layer, point, kinds, digest):
    """Try what a student says about a planted mistake, and print whether it holds.

    The line that mends the layer is the proof: no answer stands in the notebook, but a digest of kind, number of the
    line and right gradients, which nobody can compute who has not mended the layer.

    Parameters
    ----------
    name : str
        Of the layer.
    answer : callable
        Called without arguments; returns what :func:`account` takes, with the line of code that mends the layer as
        "mended".
    layer : (callable, callable)
        The forward pass, and the backward pass with the mistake, its lines numbered as for :func:`mended`.
    point : dict of str to ndarray
        Where it is checked.
    kinds : dict of str to sequence of str
        As for :func:`account`.
    digest : str
        What :func:`digest_of` gives for the right answer.

    Examples
    --------
    >>> found("double", lambda: {"arrays": [], "kind": "", "line": None}, (), {}, {}, "")
    double: wrong. Nothing is found; the mistake shows at other sizes or other numbers.
    """
    verdicts.append(False)
    with telling(name):
        said = answer()
        arrays, kind, line = account(said, kinds)
        if not arrays or line is None:
            print(f"{name}: wrong. Nothing is found; the mistake shows at other sizes or other numbers.")
            return
        forward, backward = layer
        right = mended(backward, line, said.get("mended", ""))
        if not check_layer(forward, right, point, {}, raises=False).ok:
            print(f"{name}: wrong. With your code in line {line} the gradients are still wrong.")
            return
        shown = {array.name for array in check_layer(forward, backward, point, {}, raises=False).failures}
        if arrays != shown:
            print(f"{name}: wrong. Your code mends the layer, and it changes other arrays than those that you name.")
        elif digest_of(kind, line, forward, right, point) != digest:
            print(f"{name}: wrong. Your code mends the layer; the kind, or the number of the line, is another one.")
        else:
            print(f"{name}: right.")
            verdicts[-1] = True


def digest_of(kind, line, forward, backward, point):
    """Text that tells whether kind and line are right, to somebody who has the right gradients."""
    *outs, cache = forward(**point)
    rng = np.random.default_rng(0)
    grads = backward(*(rng.normal(size=np.shape(out)) for out in outs), cache)
    size = sum(float(np.abs(grads[key]).sum()) for key in sorted(grads))
    return hashlib.sha256(f"{kind} {line} {size:.6g}".encode()).hexdigest()[:16]


def run(job):
    """Run the code of a submission in silence, then the checks; end with 0 if they found everything right."""
    names = {"__name__": "submission", "display": print}
    for part, silent in (("code", True), ("checks", False)):
        verdicts.clear()  # those of a student's own cells
        for label, source in job[part]:
            known = linecache.cache.get(label, (0, None, []))[2]
            lines = [
                one if one.strip() else two for one, two in zip_longest(source.splitlines(True), known, fillvalue="")
            ]
            linecache.cache[label] = (len(lines), None, lines, label)
            silence = open(os.devnull, "w", encoding="utf8") if silent else contextlib.nullcontext(sys.stdout)
            with silence as stream, contextlib.redirect_stdout(stream):
                try:
                    exec(compile(source, label, "exec"), names)
                    continue
                except NotImplementedError:
                    pass
                except (Exception, SystemExit) as error:
                    print(f"{label} stops with {type(error).__name__}: {error}", file=sys.stderr)
            verdicts.append(False)
    sys.exit(0 if verdicts and all(verdicts) else 1)
