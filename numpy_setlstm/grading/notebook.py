"""Notebooks and Python files: the cells of a submission, and the student version of an assignment."""

import ast
import contextlib
import json
import re
from pathlib import Path

SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION[^\n]*\n(.*?)^ *### END SOLUTION[^\n]*\n?", re.MULTILINE | re.DOTALL)
HIDDEN = re.compile(r"^ *### BEGIN HIDDEN TESTS[^\n]*\n(.*?)^ *### END HIDDEN TESTS[^\n]*\n?", re.MULTILINE | re.DOTALL)
MARKS = re.compile(r"^ *### (BEGIN|END) (SOLUTION|HIDDEN TESTS)", re.MULTILINE)
FUNCTION = re.compile(r"^ *def (\w+)", re.MULTILINE)
FOR_READERS = ("check-", "test-", "picture-")  # cells that are not run for points, by the begin of their grade_id
MAX_BYTES = 2**25


class NotReadableError(ValueError):
    """A file is no notebook and no Python; the message continues a sentence that begins with its name."""


def read_notebook(path):
    """A notebook as it is stored; NotReadableError if it is none."""
    path = Path(path)
    if path.stat().st_size > MAX_BYTES:
        raise NotReadableError(f"has {path.stat().st_size:,} bytes; the limit is {MAX_BYTES:,}: clear its outputs")
    try:
        notebook = json.loads(path.read_text(encoding="utf8"))
        assert all({"cell_type", "source"} <= cell.keys() for cell in notebook["cells"])
    except (ValueError, KeyError, TypeError, AttributeError, AssertionError, RecursionError):
        raise NotReadableError("is no notebook; expected an .ipynb file as Jupyter saves it") from None
    return notebook


def source_of(cell):
    """The source of a cell, which is stored as a string or as its lines."""
    return cell["source"] if isinstance(cell["source"], str) else "".join(map(str, cell["source"]))


def grade_id(cell):
    """The name of a cell, or an empty one if a student made it."""
    return str(cell.get("metadata", {}).get("nbgrader", {}).get("grade_id", ""))


def is_given(cell):
    """Whether a cell is code that the assignment gives: locked, and run for points."""
    locked = cell.get("metadata", {}).get("nbgrader", {}).get("locked", False)
    return cell["cell_type"] == "code" and locked and not grade_id(cell).startswith(FOR_READERS)


def code_cells(notebook):
    """The code cells of a notebook that are run for points, as (number, cell); cells are counted from 1."""
    cells = [(n, cell) for n, cell in enumerate(notebook["cells"], 1) if cell["cell_type"] == "code"]
    return [(n, cell) for n, cell in cells if not grade_id(cell).startswith(FOR_READERS)]


def given_cells(notebook):
    """What an assignment gives, as (label, source): it is run first, also for those who have changed or lost it."""
    return [("the given code", plain_python(source_of(cell))) for _, cell in code_cells(notebook) if is_given(cell)]


def check_cells(notebook):
    """The visible checks of an assignment, as (label, source)."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and grade_id(cell).startswith("check-")]
    return [(grade_id(cell), source_of(cell)) for cell in cells]


def read_submission(path, given_ids=()):
    """The parts of a submission, list of (label, source): the cells of a notebook, or the statements of a Python file.

    Cells with the names `given_ids` are left out. NotReadableError if the file is neither.
    """
    path = Path(path)
    if path.suffix == ".ipynb":
        own = [(n, cell) for n, cell in code_cells(read_notebook(path)) if grade_id(cell) not in given_ids]
        return [(f"cell {n}", plain_python(source_of(cell))) for n, cell in own]
    if path.suffix != ".py":
        raise NotReadableError("is neither a notebook (.ipynb) nor Python (.py)")
    if path.stat().st_size > MAX_BYTES:
        raise NotReadableError(f"has {path.stat().st_size:,} bytes; the limit is {MAX_BYTES:,}")
    try:
        source = plain_python(path.read_text(encoding="utf8"))
        nodes = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f" in line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise NotReadableError(f"is no Python: {type(error).__name__}{where}") from None
    lines, parts = source.splitlines(), []
    for node in nodes:
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        parts.append(("the file", "\n" * (first - 1) + "\n".join(lines[first - 1 : node.end_lineno])))
    return parts


def plain_python(source):
    """A cell without what only Jupyter understands: lines that begin with % or !, and cells in other languages."""
    with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        ast.parse(source)
        return source
    first = source.lstrip().split("\n", 1)[0]
    if first.startswith("%%"):
        if first.split()[0] not in ("%%time", "%%timeit", "%%capture", "%%prun"):
            return ""
        source = source.replace(first, "#", 1)
    return re.sub(r"^( *)[%!?].*$", r"\1pass", source, flags=re.MULTILINE)


def student_version(notebook):
    """A notebook without solutions, hidden tests and outputs; ValueError if a mark has no partner."""
    cells = []
    for number, cell in enumerate(notebook["cells"], 1):
        cell, source = dict(cell), source_of(cell)
        if cell["cell_type"] == "code":
            source = HIDDEN.sub("", SOLUTION.sub(stub, source))
            cell |= {"outputs": [], "execution_count": None}
            if mark := MARKS.search(source):
                raise ValueError(f"cell {number} has {mark[0].strip()!r} without its partner")
        cell["source"] = source.rstrip("\n").splitlines(keepends=True)
        cells.append(cell)
    return notebook | {"cells": cells}


def stub(match):
    """What stands in place of a solution."""
    names = FUNCTION.findall(match.string[: match.start()])
    what = f"{names[-1]} is not implemented yet" if names else "not implemented yet"
    return f'{match[1]}# Your code here, in place of the next line.\n{match[1]}raise NotImplementedError("{what}")\n'
