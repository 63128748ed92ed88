"""The commands of docs/teaching.md, run in an empty folder as they stand there, print what stands there."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)


def commands_and_outputs(title):
    """The commands of a section of the page but those that install, and what it shows of their output."""
    page = (ROOT / "docs" / "teaching.md").read_text(encoding="utf8")
    (section,) = re.findall(rf"^### {title}.*?\n(.*?)^##", page, re.DOTALL | re.MULTILINE)
    blocks = BLOCK.findall(section)
    commands = [text for kind, text in blocks if kind == "sh" and "pip install" not in text]
    assert commands and len(commands) < len(blocks)
    return "".join(commands), [text for kind, text in blocks if kind == "text"]


def run(commands, folder):
    """Run commands in a folder that has the assignments; return what they print."""
    (folder / "notebooks").symlink_to(ROOT / "notebooks")
    variables = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),  # has alembic
        "PYTHONPATH": str(ROOT),
        "NUMPY_SETLSTM_ASSIGNMENTS": str(ROOT / "notebooks" / "assignments"),
        "OPENBLAS_NUM_THREADS": "1",
        "JUPYTER_CONFIG_DIR": str(folder / "nothing"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "encoding": "utf8"}
    done = subprocess.run(
        ["bash", "-uo", "pipefail", "-c", commands], cwd=folder, env=os.environ | variables, **streams
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.skipif(os.name != "posix", reason="the commands are for a POSIX shell")
def test_the_ten_minutes_from_nothing_to_points(tmp_path):
    commands, outputs = commands_and_outputs("Ten minutes")
    assert run(commands, tmp_path) == "".join(outputs)


@pytest.mark.skipif(os.name != "posix", reason="the commands are for a POSIX shell")
@pytest.mark.skipif(
    importlib.util.find_spec("nbgrader") is None, reason="nbgrader is not installed: the extra 'course'"
)
def test_the_commands_for_nbgrader_and_those_of_this_package_give_the_same_points(tmp_path):
    commands, (shown,) = commands_and_outputs("With nbgrader")
    assert run(commands, tmp_path).endswith(shown)
    page = (tmp_path / "course" / "feedback" / "ben" / "A1_forward" / "A1_forward.html").read_text(encoding="utf8")
    assert "lstm_step is not implemented yet." in page and "judge_here" not in page
    (tmp_path / "again").mkdir()
    points = run(
        f"numpy-setlstm grade A1 {tmp_path}/course/submitted --output out && cat out/grades.csv", tmp_path / "again"
    )
    totals = dict.fromkeys(("anna", "ben"), 0.0)
    for student, number in re.findall(r"^(\w+),\w+,(\d+),\d+,", points, re.MULTILINE):
        totals[student] += float(number)
    assert [f"{student},,,,{total}," for student, total in totals.items()] == re.findall(r"\w+,,,,[\d.]+,", shown)
