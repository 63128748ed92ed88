"""Assignments: a folder with a source notebook and hidden tests, and the judgment of one submission."""

import copy
import functools
import importlib.util
import os
import secrets
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from numpy_setlstm.grading import notebook as files
from numpy_setlstm.grading.comparisons import expect, expect_gradients, obvious_kind  # noqa: F401
from numpy_setlstm.grading.process import Submission, Wrong, wrong_call
from numpy_setlstm.grading.static import findings
from numpy_setlstm.grading.worker import PACKAGE, kind_of, place_of, tracer

FOLDER_VARIABLE = "NUMPY_SETLSTM_ASSIGNMENTS"
IN_CHECKOUT = Path(PACKAGE).parent / "notebooks" / "assignments"
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
    note : str
        What students read below their points, such as of points that a person gives.

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
    note: str = ""

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
    return Assignment(number, hidden.TITLE, folder, tasks, allowed, hidden.MINUTES, getattr(hidden, "NOTE", ""))


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
        ``{"tasks": [{"task", "points", "maximum", "cause", "report", "signature"}], "remarks": [...], "seed": ...}``,
        and the assignment's "note" if the file can be read.

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
    return {"tasks": records, "remarks": remarks, "seed": seed, "note": assignment.note}


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
        if not callable(self.names.get(name)):
            raise wrong_call(name, f"there is no function {name}", "NameError", [])
        args, kwargs, lines, before = copy.deepcopy(args), copy.deepcopy(kwargs), [0], sys.gettrace()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            sys.settrace(tracer(lines) if count else before)
            try:
                value = self.names[name](*args, **kwargs)
            except (Exception, SystemExit) as error:
                raise wrong_call(name, place_of(error) + str(error)[:300], kind_of(error), []) from error
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
