#!/usr/bin/env python3
"""Run notebooks as a reader would play with them: with other values, with blanks filled in, with the solutions.

.. code-block:: sh

    python tests/notebook_runs.py            # all notebooks with all values of CHANGED, one value at a time
    python tests/notebook_runs.py 06 --show  # one, and print what its cells print, to read whether it is still true

What holds for the values as committed, and for no others, is in ``notebook_claims.py``: a cell must not assert it.
"""

import re
import sys
import textwrap
import time
from pathlib import Path

import nbformat

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "notebooks"))

import refresh  # noqa: E402

HANGS = 1800  # seconds after which a notebook is stopped
OTHER_SENTENCES = ("a good movie", "Not bad at all, but I have seen better!", "The soup was not awful.")

#: By notebook, values to try one after the other: names and the code to write in place of theirs.
CHANGED = {
    "00": [
        *({"CONNECTIVITY": repr(kind)} for kind in ("static", "dense")),
        *({"ZETA": value} for value in ("0.05", "0.5")),
        *({"SEED": value} for value in ("1", "2", "3")),
        *({"HIDDEN": value} for value in ("32",)),
        *({"SENTENCE": repr(text)} for text in OTHER_SENTENCES),
    ],
    "01": [
        *({"SENTENCE": repr(text)} for text in OTHER_SENTENCES),
        {"SENTENCES": '["a good soup", "not a good soup", "an awful film but good music"]'},
        *({"SEED": value} for value in ("1", "2", "3")),
    ],
    "02": [
        *({"HIDDEN": value} for value in ("16", "64")),
        *({"SEED": value} for value in ("1", "2", "3")),
        {"BIASES": "(0.5, 2, 5)"},
        {"STEPS": "50"},
    ],
    "03": [*({"SEED": value} for value in ("1", "2", "3")), {"HIDDEN": "6"}, {"W": "-1.3"}],
    "04": [*({"SEED": value} for value in ("1", "2", "3")), *({"HIDDEN": value} for value in ("32", "128"))],
    "05": [
        *({"SEED": value} for value in ("1", "2", "3")),
        *({"ZETA": value} for value in ("0.05", "0.5")),
        *({"EPSILON": value} for value in ("1", "12")),
        {"TEXTS": '["what a dull film", "not dull"]'},
        {"WORDS, DIMENSIONS": "2_000, 32"},
    ],
    "06": [
        *({"ZETA": value} for value in ("0.05", "0.5")),
        *({"SEED": value} for value in ("1", "2", "3")),
        *({"HIDDEN": value} for value in ("64", "128")),
    ],
    "07": [
        *({"ZETA": value} for value in ("0.05", "0.5")),
        {"SEEDS": "(3, 4)"},
        *({"HIDDEN": value} for value in ("32", "128")),
        *({"SENTENCE": repr(text)} for text in OTHER_SENTENCES),
    ],
    "08": [*({"ZETA": value} for value in ("0.05", "0.5")), {"SEEDS": "(1, 2, 3)"}, {"HIDDEN": "32"}],
    "09": [{"HIDDEN": "128"}, {"DENSITY": "0.2"}],
    "10": [
        *({"SEEDS": value} for value in ("(1,)", "(2,)", "(3,)")),
        *({"HIDDEN": value} for value in ("32", "128")),
        *({"ZETA": value} for value in ("0.05", "0.5")),
        *({"CONNECTIVITY": repr(kind)} for kind in ("static", "dense")),
    ],
}
#: By notebook, values that are changed together in the tests, and make it short.
TOGETHER = {
    "00": [
        {"ZETA": "0.5", "HIDDEN": "32", "REVIEWS": "1500", "SEED": "3", "SENTENCE": "'Good movie!'"},
        {"CONNECTIVITY": "'dense'", "HIDDEN": "32", "REVIEWS": "1500", "SEED": "2"},
    ],
    "01": [{"SENTENCE": "'never seen'", "SENTENCES": CHANGED["01"][3]["SENTENCES"], "SEED": "3"}],
    "02": [{"HIDDEN": "16", "SEED": "2", "BIASES": "(0.5, 2, 5)", "STEPS": "50"}],
    "03": [{"SEED": "2", "HIDDEN": "6", "W": "-1.3"}],
    "04": [{"SEED": "2", "HIDDEN": "32"}],
    "05": [{"SEED": "2", "ZETA": "0.5", "EPSILON": "1", "TEXTS": CHANGED["05"][7]["TEXTS"]}],
    "06": [{"ZETA": "0.05", "SEED": "1", "HIDDEN": "128", "REVIEWS": "900"}],
    "07": [
        {"ZETA": "0.5", "SEEDS": "(3,)", "HIDDEN": "32", "REVIEWS": "900", "EPOCHS": "3", "SENTENCE": "'Good movie!'"}
    ],
    "10": [
        {"CONNECTIVITY": "'dense'", "SEEDS": "(3,)", "HIDDEN": "16", "REVIEWS": "100", "EPOCHS": "1", "ORDERS": "2"},
    ],
}


def find(number):
    """The file of a notebook, by its number."""
    (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    return path


def with_values(notebook, values):
    """Write other values into a notebook, in place; ValueError if a name is not given a value exactly once."""
    for name, value in values.items():
        place = re.compile(rf"^{re.escape(name)} = (\[\n.*?^\]|[^#\n]*?)(?=  #|$)", re.DOTALL | re.MULTILINE)
        found = [cell for cell in notebook.cells if cell.cell_type == "code" and place.search(cell.source)]
        if sum(len(place.findall(cell.source)) for cell in found) != 1:
            raise ValueError(f"{name} gets a value in {len(found)} cells; expected one place")
        before = place.search(found[0].source)
        found[0].source = found[0].source.replace(before[0], f"{name} = {value}")
    return notebook


def fill_in_blanks(notebook):
    """Write the folded answers into the cells with the tag "blank", in place; return these cells."""
    filled = []
    for cell, following in zip(notebook.cells, notebook.cells[1:], strict=False):
        if "blank" in cell.metadata.get("tags", []):
            answer = re.search(r"<summary>Answer</summary>\n\n```python\n(.*?)```", following.source, re.DOTALL)[1]
            for line in answer.splitlines():
                blank = re.compile(rf"{re.escape(line.split(' = ')[0])} = \.\.\..*")
                if not blank.search(cell.source):
                    raise ValueError(f"the answer {line!r} fits no blank of {cell.source!r}")
                cell.source = cell.source.replace(blank.search(cell.source)[0], line)
            filled.append(cell)
    return filled


STRICT = """
from numpy_setlstm.lab import exercises

def strict(function, arguments, right, names="the result", mistakes=None, check=exercises.check_answer):
    for text, results in (mistakes or {}).items():
        pairs = zip(exercises._parts(results), exercises._parts(right))
        same = all(wrong is None or exercises._equal(wrong, answer) for wrong, answer in pairs)
        assert not same, f"the mistake {text!r} gives the right answer, so the reader never hears of it"
    check(function, arguments, right, names, mistakes)

exercises.check_answer = strict
"""


def check_mistakes(notebook):
    """Let the checks of blanks, in place, refuse a known mistake that they would take for right."""
    notebook.cells.insert(0, nbformat.v4.new_code_cell(STRICT))


def solutions(notebook):
    """The code of the solutions of the exercises, list of str."""
    text = next(cell.source for cell in notebook.cells if "<summary>Solutions</summary>" in cell.source)
    text = text.split("<summary>Solutions</summary>")[1]
    return [textwrap.dedent(code) for code in re.findall(r"^ *```python\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)]


def printed(notebook):
    """What the cells print."""
    return "".join(
        output.get("text", "") for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    )


def main(arguments):
    """Run notebooks with changed values; return 1 if one fails."""
    numbers = [argument for argument in arguments if not argument.startswith("-")] or sorted(CHANGED)
    failed = 0
    for number in numbers:
        for values in CHANGED[number]:
            notebook = with_values(nbformat.read(find(number), as_version=4), values)
            start = time.perf_counter()
            try:
                refresh.run(notebook, HANGS)
                outcome = "ran"
            except refresh.NotebookError as error:
                outcome, failed = f"FAILED: {error}", 1
            print(f"{number} {values}: {outcome}, {time.perf_counter() - start:.0f} s", flush=True)
            if "--show" in arguments:
                print(textwrap.indent(printed(notebook), "    "), flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
