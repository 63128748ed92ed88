#!/usr/bin/env python3
"""Run notebooks from top to bottom, and write them back as run.

.. code-block:: sh

    python notebooks/refresh.py              # all of them
    python notebooks/refresh.py 00 06        # some, by their numbers or names
    python notebooks/refresh.py --check      # runs nothing: names those that are not as this command leaves them

A notebook is written only if every cell ran without an error or a warning; otherwise its file stays unchanged, and the
cell is named. Each notebook gets a first cell that says what to do if the package is missing, and a digest of its code,
which tells later whether the outputs come from this code. Once the address of the repository is set, it also gets
buttons for Colab and Binder, and its first cell installs the package on Colab.
"""

import argparse
import copy
import hashlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

FOLDER = Path(__file__).resolve().parent
REPOSITORY = None  # on GitHub, such as "owner/name"; None as long as there is no address: then there are no buttons
BRANCH = "main"
TIME_LIMIT = 600  # seconds for a whole notebook: only stops one that hangs, since machines may be slow and busy
OUR_METADATA = "numpy_setlstm"  # key of the digest in a notebook's metadata
CELL_METADATA = ("tags", "jupyter")  # what a cell keeps: "jupyter" says whether its code is folded
LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python", "pygments_lexer": "ipython3"}

BUTTONS = """\
[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]\
(https://colab.research.google.com/github/{repository}/blob/{branch}/notebooks/{file}) \
[![Open in Binder](https://mybinder.org/badge_logo.svg)]\
(https://mybinder.org/v2/gh/{repository}/{branch}?labpath={labpath})"""
INSTALL = """\
import sys
if "google.colab" in sys.modules:  # on Colab only
    %pip install -q git+https://github.com/{repository}
"""
FIRST = """\
try:
    from numpy_setlstm.blas import one_blas_thread
except ModuleNotFoundError as missing:
    mend = "run pip install '.[notebooks]' in the project's folder, and choose"
    raise ModuleNotFoundError(f"{missing}: {mend} its Python as kernel") from None
one_blas_thread()  # several wait for each other wherever the machine is busy"""


class NotebookError(Exception):
    """A notebook did not run from top to bottom; the message names the cell."""


def code_digest(notebook):
    """A digest, str, that changes with any character of a notebook's code and with nothing else."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return "sha256:" + hashlib.sha256(json.dumps(sources).encode("utf8")).hexdigest()


def put_in_common_cells(notebook, file):
    """Add or replace the cells that all notebooks share: a first code cell, and buttons after the title.

    The notebook is changed in place; `file` is its file name. Without an address, :data:`REPOSITORY`, no buttons.
    """
    notebook.cells = [cell for cell in notebook.cells if cell.get("id") not in ("buttons", "install")]
    address = {"repository": REPOSITORY, "branch": BRANCH, "file": quote(file)}
    kinds = [cell.cell_type for cell in notebook.cells]
    first_code = kinds.index("code") if "code" in kinds else len(kinds)
    install = (INSTALL.format(**address) if REPOSITORY else "") + FIRST
    notebook.cells.insert(first_code, nbformat.v4.new_code_cell(install, id="install"))
    if REPOSITORY:
        buttons = BUTTONS.format(**address, labpath=quote(f"notebooks/{file}", safe=""))
        notebook.cells.insert(min(1, first_code), nbformat.v4.new_markdown_cell(buttons, id="buttons"))


def run(notebook, time_limit=TIME_LIMIT, after_cell=None):
    """Run a notebook in a separate kernel, in an empty folder, and replace its outputs.

    `time_limit` is in seconds for all cells together, without the kernel's start; `after_cell` is called without
    arguments after each code cell. NotebookError at the first cell that raises an error, writes to stderr (where
    warnings and progress bars go), or exceeds the time limit.
    """
    running, began = [0], []

    def time_left(cell):
        began.append(time.monotonic())
        return max(0.1, began[0] + time_limit - began[-1])

    def start(cell, cell_index):
        running[0] = cell_index

    def end(cell, cell_index, execute_reply):
        for output in cell.outputs:
            if output.get("name") == "stderr":
                raise NotebookError(f"{name_of(notebook, cell_index)} wrote to stderr: {output.text.strip()}")
        if after_cell is not None:
            after_cell()

    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            timeout_func=time_left,
            resources={"metadata": {"path": folder}},
            record_timing=False,
            coalesce_streams=True,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],  # no messages of the kernel about itself
            on_cell_execute=start,
            on_cell_executed=end,
        )
        try:
            client.execute()
        except CellTimeoutError as error:
            reason = f"was still running after {time_limit:g} seconds, the time limit of a notebook"
            raise NotebookError(f"{name_of(notebook, running[0])} {reason}") from error
        except CellExecutionError as error:
            raise NotebookError(f"{name_of(notebook, running[0])} raised {error.ename}: {error.evalue}") from error
        except DeadKernelError as error:
            raise NotebookError(f"{name_of(notebook, running[0])} killed the kernel") from error


def name_of(notebook, index):
    """How to find a cell: its number among all cells, counted from 1, and its first line."""
    first_line = (notebook.cells[index].source.splitlines() or [""])[0]
    return f"cell {index + 1} of {len(notebook.cells)} ({first_line!r})"


def clean(notebook):
    """Drop the metadata that differ between machines, editors and runs, and store the digest of the code, in place.

    The state of sliders is kept: a page without a kernel draws them from it.
    """
    for cell in notebook.cells:
        cell.metadata = {key: cell.metadata[key] for key in CELL_METADATA if key in cell.metadata}
    kept = {"widgets": notebook.metadata["widgets"]} if "widgets" in notebook.metadata else {}
    notebook.metadata = nbformat.from_dict({
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": LANGUAGE,
        OUR_METADATA: {"code_digest": code_digest(notebook)},
        **kept,
    })  # fmt: skip


def refresh(path, time_limit=TIME_LIMIT, after_cell=None):
    """Run the notebook at `path` and write it back, whole or not at all; see :func:`run` for the other arguments.

    NotebookError if it does not run; its file is unchanged then.
    """
    notebook = nbformat.read(path, as_version=4)
    put_in_common_cells(notebook, path.name)
    run(notebook, time_limit, after_cell)
    clean(notebook)
    nbformat.validate(notebook)
    beside = path.with_name(f".{path.name}.new")  # in the same folder, so that one move replaces the file
    try:
        beside.write_text(nbformat.writes(notebook) + "\n", encoding="utf8")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def complaints(path):
    """What shows that the notebook at `path` is not as this command leaves it, list of str; nothing is run.

    The list is empty if the notebook was run as a whole, in order, with its present code and common cells.
    """
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    expected, found = copy.deepcopy(notebook), []
    put_in_common_cells(expected, path.name)
    if [cell.source for cell in expected.cells] != [cell.source for cell in notebook.cells]:
        found.append("its first code cell, or its buttons, are missing or out of date")
    if [cell.execution_count for cell in cells] != list(range(1, len(cells) + 1)):
        found.append("its cells were not run one after the other from top to bottom")
    if notebook.metadata.get(OUR_METADATA, {}).get("code_digest") != code_digest(notebook):
        found.append("its code has changed since it was run")
    outputs = [output for cell in cells for output in cell.outputs]
    if any(output.output_type == "error" or output.get("name") == "stderr" for output in outputs):
        found.append("it shows an error or a warning")
    return found


def find_notebooks(names, folder=FOLDER):
    """The files of notebooks, list of Path, by names such as "06", "06_prune_and_regrow" or a path; all without a name.

    ValueError if a name matches no notebook, or several.
    """
    existing, chosen = sorted(folder.glob("*.ipynb")), []
    for name in names:
        stem = Path(name).stem
        exact = [path for path in existing if path.stem == stem]
        matches = exact or [path for path in existing if path.stem.startswith(stem)]
        if len(matches) != 1:
            number = "several notebooks" if matches else "no notebook"
            raise ValueError(f"{name!r} matches {number}; expected one of {', '.join(path.stem for path in existing)}")
        chosen += matches
    return chosen or existing


def main(arguments=None, folder=FOLDER):
    """Refresh or check notebooks; return 0 if all is well, 1 if not. Exit with 2 if a name matches no notebook."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as 06 or 06_prune_and_regrow (default: all)")
    parser.add_argument("--check", action="store_true", help="run nothing; name the notebooks that must be run")
    about_time = f"time limit for a whole notebook (default {TIME_LIMIT})"
    parser.add_argument("--time-limit", type=float, default=TIME_LIMIT, metavar="SECONDS", help=about_time)
    chosen = parser.parse_args(arguments)
    try:
        paths = find_notebooks(chosen.names, folder)
    except ValueError as error:
        parser.error(str(error))
    return max((_report(path, chosen) for path in paths), default=0)


def _report(path, chosen):
    """Print a line: a dot per cell that has run, then the seconds or what went wrong; return 1 if anything did."""
    print(f"{path.stem:<30} ", end="", flush=True)
    start = time.perf_counter()
    try:
        if chosen.check:
            problems, fine = complaints(path), "as run"
        else:
            refresh(path, chosen.time_limit, lambda: print(".", end="", flush=True))
            problems, fine = [], f" {time.perf_counter() - start:.1f} s"
    except NotebookError as error:
        problems = [f" left unchanged: {error}"]
    print("; ".join(problems) or fine, flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
