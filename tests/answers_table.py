"""The table of all answers to the assignments: what each does, its points, and the causes that the grader names.

    python tests/answers_table.py

writes it to notebooks/assignments/answers.md. A test holds the file to the heads of the answers, and others hold these
heads to what the grader finds.
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent)]
from test_assignments import ANSWERS, FOLDER, NAMES, stated  # noqa: E402

from numpy_setlstm.grading import load_assignment  # noqa: E402
from numpy_setlstm.lab.formatting import markdown_table  # noqa: E402

PAGE = FOLDER / "answers.md"
HEAD = f"""# All answers, and what they get

{len(ANSWERS)} files, made by `python tests/answers_table.py`. Tests grade each of them and find these points and
causes; blank versions get nothing, solutions everything. *Wrong* answers have typical mistakes, or are right in an
unusual way; *cheats* try to earn points without the work.
"""


def sentence_of(path):
    """What an answer does, in its own words."""
    return path.read_text(encoding="utf8").split('"""')[1].split("\n\n")[0].replace("\n", " ").replace("|", "\\|")


def table_of(name):
    """The table of one assignment."""
    assignment, rows = load_assignment(name, FOLDER), []
    for path in (path for path in ANSWERS if path.parts[-3] == assignment.folder.name):
        points, causes, _ = stated(path)
        named = "; ".join(f"{task}: {cause}" for task, cause in causes.items())
        rows.append([f"`{'/'.join(path.parts[-2:])}`", sentence_of(path), named, f"{sum(points.values()):g}"])
    columns = ["file", "what it does", "cause of the lost points", f"points of {assignment.maximum:g}"]
    return f"## {assignment.title}\n\n{markdown_table(columns, rows, n_left=3)}\n"


def make_page():
    """The whole page."""
    return "\n".join([HEAD, *map(table_of, NAMES)])


if __name__ == "__main__":
    PAGE.write_text(make_page(), encoding="utf8")
    print(f"wrote {PAGE.relative_to(Path.cwd())}" if PAGE.is_relative_to(Path.cwd()) else f"wrote {PAGE}")
