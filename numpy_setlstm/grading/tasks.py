"""Assignments: a folder with a source notebook and hidden tests, and the judgment of one submission."""

import copy
import functools
import hashlib
import importlib.util
import os
import secrets
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from numpy_setlstm.gradcheck import check_gradients, check_layer
from numpy_setlstm.grading import notebook as files
from numpy_setlstm.grading.process import Submission, Wrong, as_array
from numpy_setlstm.grading.static import findings
from numpy_setlstm.grading.worker import PACKAGE, tracer

FOLDER_VARIABLE = "NUMPY_SETLSTM_ASSIGNMENTS"
IN_CHECKOUT = Path(PACKAGE).parent / "notebooks" / "assignments"
TOLERANCE = 1e-9  # of the largest number of an array
HIDDEN_FILE = "hidden.py"


@dataclass(frozen=True)
class Task:
    """A task of an assignment.

    Attributes
    ----------
    name : str
        As in the name of its cells and in the table of points.
    points : float
        For a right answer; a wrong one gets none.
    judge : callable
        ``judge(submission, rng)`` calls functions of the :class:`Submission` with inputs drawn from the generator, and
        raises :class:`Wrong` if an answer is wrong.

    Examples
    --------
    >>> Task("sum", 4, lambda submission, rng: expect("s", submission.call("total", np.ones(3)), 3)).points
    4
    """

    name: str
    points: float
    judge: Callable = field(repr=False)


@dataclass(frozen=True)
class Assignment:
    """An assignment, as its folder describes it.

    Attributes
    ----------
    id, title : str
        Such as "A1".
    folder : Path
        That has the source notebook, the hidden tests and the rubric.
    tasks : tuple of Task
        In the order of the notebook.
    allowed : tuple of str
        What may be imported, as for :class:`Submission`.
    minutes : int
        That it takes.

    Examples
    --------
    >>> Assignment("A0", "Nothing", Path("A0_nothing"), (), (), 5).maximum
    0
    """

    id: str
    title: str
    folder: Path
    tasks: tuple
    allowed: tuple
    minutes: int

    @property
    def notebook(self):
        """The path of the source notebook."""
        return self.folder / f"{self.folder.name}.ipynb"

    @property
    def maximum(self):
        """All points."""
        return sum(task.points for task in self.tasks)


def load_assignment(name, folder=None):
    """Load an assignment by its number or its folder.

    Parameters
    ----------
    name : str or Path
        Such as "A1", or the path of its folder.
    folder : str or Path, optional
        Where assignments are: by default the variable NUMPY_SETLSTM_ASSIGNMENTS, or notebooks/assignments of a copy of
        the repository.

    Returns
    -------
    Assignment
        Its hidden tests have been imported.

    Raises
    ------
    FileNotFoundError
        If there is no such assignment; it names those that there are.

    Examples
    --------
    >>> load_assignment("A1").title  # doctest: +SKIP
    'A1: An LSTM, forward'
    """
    folder = find_folder(name, folder)
    hidden = hidden_tests(folder / HIDDEN_FILE, *(path.stat().st_mtime_ns for path in sorted(folder.glob("*.*"))))
    number, tasks, allowed = folder.name.split("_")[0], tuple(hidden.TASKS), tuple(hidden.ALLOWED)
    return Assignment(number, hidden.TITLE, folder, tasks, allowed, hidden.MINUTES)


@functools.lru_cache(16)
def hidden_tests(path, *times):
    """The module with the hidden tests, imported once as long as no file beside it changes: what it trains is kept."""
    spec = importlib.util.spec_from_file_location(f"hidden_tests_of_{path.parent.name}", path)
    hidden = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hidden)
    return hidden


def find_folder(name, folder=None):
    """The folder of an assignment; FileNotFoundError says which assignments there are."""
    home = Path(folder or os.environ.get(FOLDER_VARIABLE) or IN_CHECKOUT)
    known = sorted(path.parent for path in home.glob(f"*/{HIDDEN_FILE}"))
    found = [path for path in known if str(name) in (path.name, path.name.split("_")[0])]
    if (Path(name) / HIDDEN_FILE).is_file():
        found = [Path(name).resolve()]
    if len(found) != 1:
        there_are = f"there are {', '.join(path.name.split('_')[0] for path in known)}" if known else "there are none"
        raise FileNotFoundError(f"there is no assignment {str(name)!r} in {home}; {there_are}: give --assignments DIR")
    return found[0]


def grade_submission(assignment, path, seed, limits=None):
    """Judge one submission.

    Parameters
    ----------
    assignment : Assignment
        From :func:`load_assignment`.
    path : str or Path
        Of a notebook or a Python file.
    seed : int
        All inputs are drawn from it; keep it secret until all have handed in.
    limits : Limits, optional
        Of the process that runs the submission.

    Returns
    -------
    dict
        ``{"tasks": [{"task", "points", "maximum", "cause", "report", "signature"}], "remarks": [...], "seed": ...}``.

    Examples
    --------
    >>> grade_submission(load_assignment("A1"), "anna.ipynb", seed=7)["tasks"][0]["points"]  # doctest: +SKIP
    4
    """
    source = files.read_notebook(assignment.notebook)
    given_ids = {files.grade_id(cell) for cell in source["cells"] if files.is_given(cell)}
    try:
        cells = files.read_submission(path, given_ids)
    except (files.NotReadableError, OSError, UnicodeDecodeError) as error:
        why = error if isinstance(error, files.NotReadableError) else f"cannot be read ({type(error).__name__})"
        wrong = Wrong("cannot be read", f"{Path(path).name} {why}")
        return {"tasks": [record_of(task, wrong) for task in assignment.tasks], "remarks": [], "seed": seed}
    remarks = findings(cells, assignment.allowed)
    with Submission([*files.given_cells(source), *cells], assignment.allowed, limits) as submission:
        generators = [np.random.default_rng([seed, number]) for number in range(len(assignment.tasks))]
        records = [judged(task, submission, rng) for task, rng in zip(assignment.tasks, generators, strict=True)]
        remarks += submission.remarks
    return {"tasks": records, "remarks": remarks, "seed": seed}


def judged(task, submission, rng):
    """The record of one task."""
    try:
        task.judge(submission, rng)
    except Wrong as wrong:
        return record_of(task, wrong)
    except Exception as error:  # an answer that nobody thought of; or a mistake in the hidden tests
        what = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        submission.remark(f"{task.name}: the hidden test stopped with {what}")
        return record_of(task, Wrong("an answer of an unexpected kind", f"The answer cannot be judged: {what}"))
    return record_of(task, None)


def record_of(task, wrong):
    """A task's points, and why there are none."""
    told = {"cause": wrong.cause, "report": wrong.report, "signature": list(wrong.signature)} if wrong else {}
    points = {"task": task.name, "points": 0 if wrong else task.points, "maximum": task.points}
    return points | {"cause": "", "report": "", "signature": []} | told


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


class NotSolvedError(AssertionError):
    """A task is not solved; Jupyter shows the report and no lines of the hidden tests."""

    def _render_traceback_(self):
        return str(self).splitlines()


class InNotebook:
    """Functions of the notebook that runs, where :class:`Submission` has those of another process."""

    def __init__(self, names):
        self.names = names

    def measure(self, name, *args, keep=(), count=False, **kwargs):
        """Call a function with copies of the arguments, as :meth:`Submission.measure` does."""
        args, kwargs, lines, before = copy.deepcopy(args), copy.deepcopy(kwargs), [0], sys.gettrace()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            sys.settrace(tracer(lines) if count else before)
            try:
                value = self.names[name](*args, **kwargs)
            except Exception as error:
                raise Wrong(f"{name} stops with {type(error).__name__}") from error
            finally:
                sys.settrace(before)
        told = [str(w.message) for w in caught if issubclass(w.category, RuntimeWarning)]
        return value, {"warnings": told, "lines": lines[0]}

    def call(self, name, *args, keep=(), **kwargs):
        """Call a function, as :meth:`Submission.call` does."""
        return self.measure(name, *args, **kwargs)[0]


def judge_here(assignment, task, names):
    """Judge a task in the notebook that runs, for nbgrader: raises an error that shows no hidden test, or does nothing.

    Parameters
    ----------
    assignment : str
        Such as "A1"; its folder is found as by :func:`load_assignment`.
    task : str
        The name of the task.
    names : dict
        The notebook's ``globals()``.

    Raises
    ------
    NotSolvedError
        With the report that the student reads.

    Examples
    --------
    >>> judge_here("A1", "sigmoid", globals())  # doctest: +SKIP
    """
    number, judge = next((k, t.judge) for k, t in enumerate(load_assignment(assignment).tasks) if t.name == task)
    try:
        judge(InNotebook(names), np.random.default_rng([secrets.randbits(64), number]))
    except Wrong as wrong:
        raise NotSolvedError(wrong.report) from None
    except Exception as error:
        raise NotSolvedError(f"The answer cannot be judged: {type(error).__name__}: {error}") from None
