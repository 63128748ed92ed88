"""The assignments in nbgrader itself: its commands on solutions, blank versions and wrong answers.

Wrong answers state their points, and tests/test_assignments.py holds this package's grader to the same statements.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from test_assignments import ANSWERS, FOLDER, NAMES, named, stated

from numpy_setlstm.grading import load_assignment
from numpy_setlstm.grading.notebook import grade_id, read_notebook, source_of

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nbgrader") is None, reason="nbgrader is not installed: the extra 'course'"
)
ROOT = FOLDER.parent.parent
WRONG = [path for path in ANSWERS if path.parts[-2] == "wrong"]
AT_ONCE = 2  # courses
MEMORY = 8_000_000  # of a process, in kilobytes: for arrays of terabytes, which some systems promise


class Course:
    """The folder of a course with one assignment, as docs/teaching.md describes it."""

    def __init__(self, folder, name):
        self.folder, self.assignment = folder, load_assignment(name, FOLDER)
        self.name, self.printed = self.assignment.folder.name, {}
        shutil.copytree(self.assignment.folder, folder / "source" / self.name)  # more than is asked for
        shutil.copy(FOLDER / "nbgrader_config.py", folder)
        self.run("generate_assignment")
        self.blank = read_notebook(folder / "release" / self.name / f"{self.name}.ipynb")

    def run(self, command, *options):
        """Run a command of nbgrader; what it prints is kept."""
        environment = os.environ | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),  # has alembic
            "PYTHONPATH": str(ROOT),
            "NUMPY_SETLSTM_ASSIGNMENTS": str(FOLDER),
            "OPENBLAS_NUM_THREADS": "1",
            "JUPYTER_CONFIG_DIR": str(self.folder),
            "IPYTHONDIR": str(self.folder / "ipython"),
        }
        command_line = ["nbgrader", command, self.name, *options]
        if sys.platform.startswith("linux"):
            command_line = ["bash", "-c", f'ulimit -v {MEMORY} && exec "$@"', "bash", *command_line]
        options = {"cwd": self.folder, "env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(command_line, text=True, encoding="utf8", **options)
        assert done.returncode == 0, done.stdout
        self.printed[command] = done.stdout

    def hand_in(self, student, sources):
        """Hand in the released notebook with other sources of its solution cells, by their names."""
        cells = [cell | {"source": sources.get(grade_id(cell), cell["source"])} for cell in self.blank["cells"]]
        folder = self.folder / "submitted" / student / self.name
        folder.mkdir(parents=True)
        (folder / f"{self.name}.ipynb").write_text(json.dumps(self.blank | {"cells": cells}), encoding="utf8")

    def hand_in_python(self, student, code):
        """Hand in a whole answer in the first cell for it, and nothing in the others."""
        first, *others = solution_cells(self.blank)
        self.hand_in(student, {first: code} | dict.fromkeys(others, "# It stands above."))

    def hand_in_all(self):
        """Hand in the blank version, the solution and all wrong answers."""
        self.hand_in("blank", {})
        self.hand_in("solution", solution_cells(read_notebook(self.assignment.notebook)))
        for path in WRONG:
            if path.parts[-3] == self.name:
                self.hand_in_python(path.stem, path.read_text(encoding="utf8"))

    def points(self):
        """The points that nbgrader has given, by student and task."""
        from nbgrader.api import Gradebook

        with Gradebook(f"sqlite:///{self.folder / 'gradebook.db'}", "lstm") as gradebook:
            return {
                submission.student.id: {
                    grade.name.removeprefix("test-"): grade.score
                    for book in submission.notebooks
                    for grade in book.grades
                }
                for submission in gradebook.assignment_submissions(self.name)
            }

    def errors(self, student):
        """The errors that a student's cells stopped with."""
        notebook = read_notebook(self.folder / "autograded" / student / self.name / f"{self.name}.ipynb")
        outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
        return [output["evalue"] for output in outputs if output["output_type"] == "error"]

    def feedback(self, student):
        """What a student reads."""
        return (self.folder / "feedback" / student / self.name / f"{self.name}.html").read_text(encoding="utf8")


def solution_cells(notebook):
    """The sources of the cells for answers, by name."""
    ours = [cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("solution")]
    return {grade_id(cell): source_of(cell) for cell in ours}


@pytest.fixture(scope="module")
def courses(tmp_path_factory):
    """The courses of all assignments, with everything handed in and graded, by number."""

    def graded(name):
        course = Course(tmp_path_factory.mktemp(name), name)
        course.hand_in_all()
        course.run("autograde", "--ExecutePreprocessor.timeout=900")  # on a busy machine
        course.run("generate_feedback")
        return course, course.points()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(NAMES[::-1], pool.map(graded, NAMES[::-1]), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("path", WRONG, ids=named)
def test_nbgrader_gives_an_answer_the_points_that_its_file_states(path, courses):
    course, points = courses[path.parts[-3].split("_")[0]]
    assert points[path.stem] == stated(path)[0], course.errors(path.stem)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_nbgrader_gives_the_solution_all_points_and_the_blank_version_none(name, courses):
    course, points = courses[name]
    maxima = {task.name: task.points for task in course.assignment.tasks}
    assert points["solution"] == maxima, course.errors("solution")
    assert points["blank"] == dict.fromkeys(maxima, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_what_students_get_of_nbgrader_has_nothing_of_solutions_and_hidden_tests(name, courses):
    course, points = courses[name]
    assert [path.name for path in course.folder.glob("release/**/*") if path.is_file()] == [f"{course.name}.ipynb"]
    assert set(solution_cells(course.blank)) == set(solution_cells(read_notebook(course.assignment.notebook)))
    assert "SOLUTION" not in json.dumps(course.blank)
    shown = {student: course.feedback(student) for student in points}
    for text in (json.dumps(course.blank), *shown.values()):
        assert "judge_here" not in text and "HIDDEN" not in text and "hidden.py" not in text
        assert "tests run here" in text, "the cells with points are there"
    assert "is not implemented yet" in shown["blank"] and course.errors("solution") == []
    assert len(course.errors("blank")) == len(course.assignment.tasks)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_nbgrader_stumbles_over_nothing(name, courses):
    """In its own lines: a kernel that ends may write others."""
    printed = courses[name][0].printed
    for words in ("App | ERROR", "App | CRITICAL", "partial credit", "not exist in the database", "unknown notebook"):
        assert not [line for text in printed.values() for line in text.splitlines() if words in line]
