"""The assignments: blank versions, solutions, wrong answers and cheats get the points that their files state."""

import contextlib
import json
import os
import re
from pathlib import Path

import pytest

from numpy_setlstm.grading import Limits, check, grade_submission, judge_here, load_assignment, release
from numpy_setlstm.grading.notebook import MARKS, given_cells, grade_id, read_notebook, read_submission, source_of

FOLDER = Path(__file__).parent.parent / "notebooks" / "assignments"
NAMES = sorted(path.parent.name.split("_")[0] for path in FOLDER.glob("*/hidden.py"))
ANSWERS = sorted(path for kind in ("wrong", "cheats") for path in FOLDER.glob(f"*/{kind}/*.py"))
LIMITS = Limits(seconds=4)  # of computing: enough for all answers but those that never end
SEED = 20


def named(path):
    """The name of a test."""
    return "/".join(path.parts[-3:]).removesuffix(".py")


def graded(name, path, limits=LIMITS):
    """Points and causes by task, and the remarks."""
    record = grade_submission(load_assignment(name, FOLDER), path, SEED, limits)
    points = {task["task"]: task["points"] for task in record["tasks"]}
    return points, {task["task"]: task["cause"] for task in record["tasks"]}, record["remarks"]


def stated(path):
    """What the head of an answer states: points by task, causes by task, and parts of remarks."""
    text = path.read_text(encoding="utf8").split('"""')[1]
    (scores,) = re.findall(r"^Scores: (.*)$", text, re.MULTILINE)
    points = {task: float(number) for task, number in (part.rsplit(" ", 1) for part in scores.split(", "))}
    causes = dict(re.findall(r"^Cause of (\S+): (.*)$", text, re.MULTILINE))
    return points, causes, re.findall(r"^Remark: (.*)$", text, re.MULTILINE)


@pytest.mark.parametrize("path", ANSWERS, ids=named)
def test_an_answer_scores_what_its_file_states(path):
    name = path.parts[-3].split("_")[0]
    points, causes, remarks = stated(path)
    maxima = {task.name: task.points for task in load_assignment(name, FOLDER).tasks}
    found_points, found_causes, found_remarks = graded(name, path)
    assert found_points == points
    assert causes.keys() == {task for task in points if points[task] < maxima[task]}, "each lost task states its cause"
    assert {task: cause for task, cause in found_causes.items() if cause} == causes
    for remark in remarks:
        assert any(remark in found for found in found_remarks), found_remarks


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_has_all_points_and_no_remarks(name):
    assignment = load_assignment(name, FOLDER)
    points, causes, remarks = graded(name, assignment.notebook)
    assert points == {task.name: task.points for task in assignment.tasks}, causes
    assert remarks == []


@pytest.mark.parametrize("name", NAMES)
def test_the_blank_version_has_no_points_and_no_solution(name, tmp_path):
    assignment = load_assignment(name, FOLDER)
    release(name, tmp_path / "blank.ipynb", FOLDER)
    points, causes, remarks = graded(name, tmp_path / "blank.ipynb")
    assert set(points.values()) == {0} and set(causes.values()) == {"not implemented yet"}
    text = (tmp_path / "blank.ipynb").read_text(encoding="utf8")
    assert not MARKS.search(text) and "SOLUTION" not in text and "HIDDEN" not in text
    source = read_notebook(assignment.notebook)
    solutions = re.findall(r"### BEGIN SOLUTION\n(.*?)### END", "\n".join(map(source_of, source["cells"])), re.DOTALL)
    blank = "\n".join(map(source_of, json.loads(text)["cells"]))
    assert solutions and not any(solution in blank for solution in solutions)


@pytest.mark.parametrize("name", NAMES)
def test_the_notebook_agrees_with_its_hidden_tests(name):
    """Each task has a cell for its answer, a visible check, and the cell with its points, for nbgrader."""
    assignment = load_assignment(name, FOLDER)
    cells = {grade_id(cell): cell for cell in read_notebook(assignment.notebook)["cells"]}
    points = {key: cell["metadata"]["nbgrader"]["points"] for key, cell in cells.items() if key.startswith("test-")}
    assert points == {f"test-{task.name}": task.points for task in assignment.tasks}
    assert {f"check-{task.name}" for task in assignment.tasks} <= cells.keys()
    tagged = {key for key, cell in cells.items() if "picture" in cell["metadata"].get("tags", ())}
    assert tagged == {key for key in cells if key.startswith("picture-")} - {"picture-text"}, "nbgrader leaves them out"
    assert (assignment.folder / "rubric.md").exists() and assignment.minutes > 0
    assert f"{assignment.minutes} minutes" in source_of(cells["intro"])
    assert f"{assignment.maximum:g} points" in source_of(cells["intro"])


def names_after(path):
    """The names of a notebook's kernel after the given code and an answer."""
    source = read_notebook(load_assignment(path.parts[-3].split("_")[0], FOLDER).notebook)
    names = {"__name__": "submission"}
    for _, code in [*given_cells(source), *read_submission(path)]:
        exec(code, names)
    return names


@pytest.fixture
def no_terabytes():
    """Refuse arrays of a terabyte and more, which some systems would promise and not have."""
    if os.name != "posix":  # Windows refuses them by itself
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (min(2**40, hard) if hard != resource.RLIM_INFINITY else 2**40, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.usefixtures("no_terabytes")
@pytest.mark.parametrize("path", [path for path in ANSWERS if path.parts[-2] == "wrong"], ids=named)
def test_nbgrader_and_the_visible_checks_agree(path, monkeypatch, capfd):
    """The cells that nbgrader runs give the same points; the student's checks see that something is wrong."""
    monkeypatch.setenv("NUMPY_SETLSTM_ASSIGNMENTS", str(FOLDER))
    name, (points, causes, _), names = path.parts[-3].split("_")[0], stated(path), names_after(path)
    found = dict.fromkeys(points, 0)
    for task in load_assignment(name).tasks:
        with contextlib.suppress(AssertionError):
            judge_here(name, task.name, names)
            found[task.name] = task.points
    assert found == points
    assert check(name, path) == (not causes)
    printed = capfd.readouterr().out
    assert ("wrong" in printed or "stops" in printed or "shape" in printed) == bool(causes), printed


def test_the_table_of_all_answers_is_as_they_state():
    import answers_table  # which imports this module

    expected = answers_table.make_page()
    assert answers_table.PAGE.read_text(encoding="utf8") == expected, "run python tests/answers_table.py"
