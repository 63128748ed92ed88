"""docs/gradient_checking.md shows what pytest prints for the homework of docs/examples/grading."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
MISTAKE, REPAIRED = "dc = dh * o * (1 - tanh_c**2)", "dc = dc_next + dh * o * (1 - tanh_c**2)"


@pytest.fixture
def homework(tmp_path):
    return Path(shutil.copytree(DOCS / "examples" / "grading", tmp_path / "homework"))


def grade(folder):
    """Run pytest on a folder, without the settings of this run; return the exit code and the output."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider"]
    # As on a student's computer: with CI or BUILD_NUMBER set, pytest prints the lines of its summary in full.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    for name in ("CI", "BUILD_NUMBER"):
        environment.pop(name, None)
    environment |= {"COLUMNS": "80", "NO_COLOR": "1"}
    process = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return process.returncode, process.stdout


def words_and_numbers(output):
    """Split into words, which must be equal, and numbers, whose last digits rounding may change."""
    output = re.sub(r"in \d+\.\d+s", "in some time", output)
    number = r"-?\d+\.\d+(?:e[-+]\d+)?"
    return re.sub(number, "#", output).split(), [float(found) for found in re.findall(number, output)]


def test_the_page_shows_what_the_student_sees(homework):
    page = (DOCS / "gradient_checking.md").read_text(encoding="utf8")
    shown = next(block for block in re.findall(r"```text\n(.*?)```", page, re.DOTALL) if "FAILURES" in block)
    code, output = grade(homework)
    assert code == 1
    words, numbers = words_and_numbers(output)
    shown_words, shown_numbers = words_and_numbers(shown)
    assert words == shown_words
    assert numbers == pytest.approx(shown_numbers, rel=1e-6)


def test_the_repaired_homework_passes(homework):
    page = (DOCS / "gradient_checking.md").read_text(encoding="utf8")
    handed_in = homework / "lstm_layer.py"
    code = handed_in.read_text()
    assert code.count(MISTAKE) == 1 and f"        {REPAIRED}\n" in page
    handed_in.write_text(code.replace(MISTAKE, REPAIRED))
    code, output = grade(homework)
    assert code == 0 and "2 passed" in output
