"""The commands of a course, `release`, `check` and `grade`: their options, and what they call."""

from pathlib import Path

from numpy_setlstm.grading import Limits, check, grade, release
from numpy_setlstm.grading.pages import points_of
from numpy_setlstm.lab.console import path, say, seed_number, whole


def run_release(options):
    """Write the student version of an assignment."""
    release(options.assignment, options.output, options.assignments)
    say(f"{options.output} has the tasks and no solutions")


def run_check(options):
    """Run the visible checks; True if they found everything right."""
    return check(options.assignment, options.file, options.assignments)


def run_grade(options):
    """Grade a folder of submissions and say where the results are."""
    limits = Limits(seconds=options.seconds)
    chosen = {"seed": options.seed, "folder": options.assignments, "limits": limits, "progress": True}
    records = grade(options.assignment, options.submissions, options.output, **chosen)
    mean = sum(points_of(record["tasks"]) for record in records.values()) / len(records)
    say(f"{len(records)} submissions, {mean:.1f} points on average: {Path(options.output) / 'class.html'}")


def add_release_options(parser):
    """Add the options of `release`."""
    _add_assignment(parser)
    parser.add_argument("--output", required=True, type=path, metavar="FILE", help="the notebook to write")


def add_check_options(parser):
    """Add the options of `check`."""
    _add_assignment(parser)
    parser.add_argument("file", type=path, metavar="FILE", help="a notebook (.ipynb) or Python (.py)")


def add_grade_options(parser):
    """Add the options of `grade`."""
    _add_assignment(parser)
    add = parser.add_argument
    add("submissions", type=path, metavar="SUBMISSIONS", help="folder with a file or a folder for each student")
    add("--output", required=True, type=path, metavar="DIR", help="for points and pages; continues there")
    add("--seed", type=seed_number, metavar="N", help="of all inputs (default: drawn, and kept in DIR)")
    seconds = f"of computing, for each submission (default: {Limits().seconds})"
    add("--seconds", type=whole, default=Limits().seconds, metavar="N", help=seconds)


def _add_assignment(parser):
    parser.add_argument("assignment", type=path, metavar="ASSIGNMENT", help="such as A1, or the folder of one")
    where = "folder of the assignments (default: notebooks/assignments of a copy of the repository)"
    parser.add_argument("--assignments", type=path, metavar="DIR", help=where)
