"""What student notebooks call: checks that say what is wrong, and never stop a notebook."""

import contextlib
import hashlib
import inspect
import os
import re
import sysconfig
import traceback

import numpy as np

from numpy_setlstm.gradcheck import check_layer

__all__ = ["account", "compare", "found", "gradients", "judged", "mended", "picture", "trying"]

verdicts = []  # of all checks so far, for the command line
latest = {}  # the last verdict on each name
FOLDERS = [*map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")), *np.__path__]
LIBRARIES = tuple(os.path.join(folder, "") for folder in [*FOLDERS, os.path.dirname(os.path.dirname(__file__))])


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
    with judging(name) as verdict:
        yield
        verdict.append(True)


@contextlib.contextmanager
def telling(name):
    """Say in a line or two what stops a block, and where in the code of a student; it is no verdict."""
    files = (frame.f_code.co_filename for frame, _ in traceback.walk_stack(inspect.currentframe()))
    cell = next((file for file in files if not file.startswith(LIBRARIES)), "no file")  # that calls the check
    try:
        yield
    except NotImplementedError:
        print(f"{name}: not implemented yet.")
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != cell]
        frames = [frame for frame in frames if not frame.filename.startswith(LIBRARIES)]
        where = f" in line {frames[-1].lineno} of {frames[-1].name}: {frames[-1].line}" if frames else ""
        print(f"{name}: it stops with {type(error).__name__}: {str(error).strip()}{where}")


@contextlib.contextmanager
def judging(name):
    """The verdict on a block: right if the block appends something to the list that it gets."""
    right = []
    with telling(name):
        yield right
    latest[name] = bool(right)
    verdicts.append(latest[name])


def explain(hints, after=None):
    """Print what may be the cause, a line for each hint; a function that was wrong before comes first."""
    if latest.get(after) is False:
        hints = [f"The check of {after} failed, and this builds on it: mend that first, then run both checks again."]
    for hint in hints:
        print("-", hint)


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
    with telling(name):
        yield
        return
    print(f"A picture appears here when {name} works.")


def compare(name, compute, expected, tolerance=1e-6, hints=(), after=None):
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
    after : str, optional
        The name of an earlier check: of a function that this one calls, so it has to be right first.

    Examples
    --------
    >>> compare("the sum", lambda: np.ones(3).sum(), 3.0)
    the sum: right.
    >>> compare("y", lambda: np.array([1.0, 2.0]), [1.0, 3.0])
    y: wrong in 1 of 2 entries. The first is at [1]: yours is 2, expected 3.
    """
    with judging(name) as verdict:
        got = compute()
        if not isinstance(expected, dict):
            got, expected = (got,), {name: expected}
        elif not isinstance(got, tuple | list) or len(got) != len(expected):
            given = len(got) if isinstance(got, tuple | list) else f"one {type(got).__name__}"
            print(f"{name}: wrong. It has to return {len(expected)} things, {', '.join(expected)}; got {given}.")
            return
        for (label, right), array in zip(expected.items(), got, strict=True):
            words = difference(label, array, right, tolerance)
            if words:
                print(f"{name}: {words}" if label != name else words)
                numbers = dict(hints).items()
                explain([h for h, wrong in numbers if difference(label, array, wrong, tolerance) is None], after)
                return
        print(f"{name}: right.")
        verdict.append(True)


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
    if not first:
        return f"{name}: wrong, {numbers}"
    return (
        f"{name}: wrong in {np.count_nonzero(wrong)} of {wrong.size} entries. The first is at {list(first)}: {numbers}"
    )


def gradients(name, forward, backward, inputs, params, douts=(), hints=(), after=None, **options):
    """Check a backward pass against its forward pass, and print what is wrong; see :func:`numpy_setlstm.check_layer`.

    Parameters
    ----------
    name : str
        Of what is checked.
    forward, backward : callable
        The layer.
    inputs, params : dict of str to ndarray
        Where it is checked.
    douts : sequence of str, optional
        What the notebook calls the gradients of the outputs.
    hints : dict of str to float, optional
        The fingerprint of the gradients that typical mistakes give.
    after : str, optional
        As for :func:`compare`.
    **options : object
        As for :func:`numpy_setlstm.check_layer`.

    Examples
    --------
    >>> def forward(x):
    ...     return x**2, x
    >>> gradients("square", forward, lambda dout, x: 2 * x * dout, {"x": np.ones(3)}, {})
    square: right, in all 3 entries.
    """
    with judging(name) as verdict:
        report = check_layer(forward, backward, inputs, params, raises=False, **options)
        if report.ok:
            print(f"{name}: right, in all {sum(array.checked for array in report.arrays)} entries.")
            verdict.append(True)
            return
        worst = report.worst
        place = f" at {list(worst.index)}" if worst.index else ""
        print(f"{name}: wrong. The gradient of {worst.name}{place} is {worst.analytic:.6g}, not {worst.numeric:.6g}.")
        found = fingerprint(report)
        same = [hint for hint, number in dict(hints).items() if abs(found - number) <= 1e-6 * max(abs(number), 1)]
        explain(same or [in_words(diagnosis.text, douts) for diagnosis in report.diagnoses], after)
        if latest.get(after, True):
            print(report)


def fingerprint(report):
    """A number for all gradients of a report, which recognizes a mistake and tells no gradient."""
    entries = np.concatenate([np.ravel(array.analytic_all) for array in report.arrays])
    return float(entries @ np.cos(np.arange(len(entries))))


def in_words(text, douts):
    """A diagnosis with the notebook's names for the gradients of the outputs."""
    for number, dout in enumerate(douts, 1):
        text = re.sub(rf"(the upstream gradient|that|the gradient) of output {number}\b", dout, text)
    return text.replace("the upstream gradient", " and ".join(douts) or "the upstream gradient")


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
    runs: wrong: fewer than three seeds.
    """
    with judging(name) as verdict:
        words = judge()
        print(f"{name}: wrong: {words}." if words else f"{name}: right.")
        verdict += [] if words else [True]


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
    with judging(name) as verdict:
        said = answer()
        words = wrong_account(said, kinds) or tried(said, layer, point, kinds, digest)
        print(f"{name}: wrong. {words}" if words else f"{name}: right.")
        verdict += [] if words else [True]


def wrong_account(said, kinds):
    """What can be said of an answer without trying it; None if nothing."""
    arrays, kind, line = account(said, kinds)
    if not arrays:
        return "Nothing is found; the mistake shows at other sizes or other numbers."
    if kind is None:
        return f"The kind {str(said['kind'])[:40]!r} is not in the table."
    if line is None or not str(said.get("mended") or "").strip():
        return 'This check needs the number of the line, and your code for it as "mended". It has not tried the rest.'
    return None


def tried(said, layer, point, kinds, digest):
    """What is wrong with an answer, by running the layer with the line that is to mend it; None if nothing is."""
    (arrays, kind, line), (forward, backward) = account(said, kinds), layer
    try:
        right = mended(backward, line, said["mended"])
    except SyntaxError as error:
        return f"Your code for line {line} is no Python: {error.msg}."
    if not check_layer(forward, right, point, {}, raises=False).ok:
        return f"With your code in line {line} the gradients are still wrong."
    shown = {array.name for array in check_layer(forward, backward, point, {}, raises=False).failures}
    if arrays != shown:
        return "Your code mends the layer, and it changes other arrays than those that you name."
    if digest_of(kind, line, forward, right, point) == digest:
        return None
    here = any(digest_of(other, line, forward, right, point) == digest for other in kinds)
    return f"Your code mends the layer; {'the kind is another one' if here else 'but the mistake is in another line'}."


def digest_of(kind, line, forward, backward, point):
    """Text that tells whether kind and line are right, to somebody who has the right gradients."""
    *outs, cache = forward(**point)
    rng = np.random.default_rng(0)
    grads = backward(*(rng.normal(size=np.shape(out)) for out in outs), cache)
    size = sum(float(np.abs(grads[key]).sum()) for key in sorted(grads))
    return hashlib.sha256(f"{kind} {line} {size:.6g}".encode()).hexdigest()[:16]
