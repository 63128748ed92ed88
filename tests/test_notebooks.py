"""The notebooks run from top to bottom, are committed as run in that order, and are readable."""

import ast
import base64
import inspect
import io
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from numpy_setlstm.layers.lstm import lstm_step_backward

nbclient = pytest.importorskip("nbclient", reason="running notebooks needs nbclient and ipykernel: the extra 'test'")
nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "notebooks"))

import notebook_runs  # noqa: E402
import refresh  # noqa: E402
import thumbnails  # noqa: E402
from notebook_claims import CLAIMS  # noqa: E402
from notebook_runs import TOGETHER  # noqa: E402
from slow_part import part_of  # noqa: E402

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
HANGS = 900  # seconds after which a notebook is stopped
TRAINS_LONG = ("07", "08", "09", "10")  # one to four minutes each
SOLVED_LATER = ("00", "06")  # whose solutions train
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
each_notebook_run = pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, marks=pytest.mark.slow if path.stem[:2] in TRAINS_LONG else ())
        for path in NOTEBOOKS
        if path.stem[:2] not in TRAINS_LONG or path.stem[:2] in part_of(TRAINS_LONG)
    ],
    ids=lambda path: path.stem,
)
runs_a_kernel = pytest.mark.filterwarnings("default")  # for the kernel's libraries; those in cells are still errors


def cells_of(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def outputs_of(path):
    return [output for cell in cells_of(path, "code") for output in cell.outputs]


def missing_imports(code):
    """The names that `from numpy_setlstm... import name` does not find."""
    lines = [line for line in code.splitlines() if not line.startswith("%") and "%pip" not in line]
    missing = []
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "numpy_setlstm":
            for name in node.names:
                try:
                    exec(f"from {node.module} import {name.name}", {})
                except ImportError:
                    missing.append(f"{node.module}.{name.name}")
    return missing


# The notebooks themselves


@each_notebook_run
@runs_a_kernel
def test_a_fresh_copy_runs_and_what_its_text_claims_is_true(path):
    """With the blanks filled in. No time limit here, as it would measure the machine; `refresh.py` prints the time."""
    notebook, number = nbformat.read(path, as_version=4), path.stem[:2]
    blanks = notebook_runs.fill_in_blanks(notebook)
    notebook_runs.check_mistakes(notebook)
    ends = [CLAIMS[number]] if number in CLAIMS else []
    if number not in SOLVED_LATER:
        ends += notebook_runs.solutions(notebook)
    notebook.cells += [nbformat.v4.new_code_cell(end) for end in ends]
    refresh.run(notebook, HANGS)
    for cell in blanks:
        assert cell.outputs[0].text.startswith("Right: "), cell.outputs[0].text


@pytest.mark.slow
@runs_a_kernel
@pytest.mark.parametrize("number", part_of(SOLVED_LATER))
def test_the_solutions_of_exercises_that_train_run(number):
    notebook = nbformat.read(notebook_runs.find(number), as_version=4)
    notebook.cells += [nbformat.v4.new_code_cell(end) for end in notebook_runs.solutions(notebook)]
    refresh.run(notebook, HANGS)


@pytest.mark.slow
@runs_a_kernel
@pytest.mark.parametrize(
    ("number", "values"), part_of([(number, values) for number, several in TOGETHER.items() for values in several])
)
def test_other_values_break_no_cell(number, values):
    """One value at a time, and in full size: ``python tests/notebook_runs.py``."""
    notebook = notebook_runs.with_values(nbformat.read(notebook_runs.find(number), as_version=4), values)
    refresh.run(notebook, HANGS)


@each_notebook
def test_every_exercise_has_a_solution_that_can_be_run(path):
    codes = notebook_runs.solutions(nbformat.read(path, as_version=4))
    assert len(codes) >= 2
    for code in codes:
        compile(code, path.name, "exec")


@each_notebook
def test_every_name_that_is_imported_from_the_package_is_there(path):
    """In cells, in solutions and in what is run after the cells; quickly, as long notebooks are not run each time."""
    notebook = nbformat.read(path, as_version=4)
    codes = [cell.source for cell in notebook.cells if cell.cell_type == "code"] + notebook_runs.solutions(notebook)
    codes.append(CLAIMS.get(path.stem[:2], ""))
    missing = [name for code in codes for name in missing_imports(code)]
    assert not missing, f"{path.name} imports what is not there: {', '.join(missing)}"


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.py")), ids=lambda path: path.stem)
def test_every_name_that_a_program_of_the_docs_imports_is_there(path):
    missing = missing_imports(path.read_text(encoding="utf8"))
    assert not missing, f"{path.name} imports what is not there: {', '.join(missing)}"


@each_notebook
def test_every_assert_says_what_it_means_and_hides_no_picture(path):
    for cell in cells_of(path, "code"):
        lines = [line for line in cell.source.splitlines() if not line.startswith("%") and "%pip" not in line]
        tree = ast.parse("\n".join(lines))
        asserts = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
        assert all(node.msg is not None for node in asserts), f"an assert without a message in {cell.source!r}"
        shows = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        assert not (asserts and shows), f"a failing assert would hide a picture of {cell.source!r}"


@each_notebook
def test_code_is_read_without_scrolling(path):
    for cell in cells_of(path, "code"):
        for line in cell.source.splitlines():
            assert len(line) <= 88, line
        if "getsource" in cell.source:  # which prints code of the package
            for line in "".join(output.text for output in cell.outputs).splitlines():
                assert len(line) <= 88, line


@pytest.mark.parametrize("path", [*NOTEBOOKS[1:7], NOTEBOOKS[10]], ids=lambda path: path.stem)
def test_it_has_a_blank_to_fill_in_and_questions_with_folded_answers(path):
    notebook = nbformat.read(path, as_version=4)
    assert len(notebook_runs.fill_in_blanks(notebook)) >= 1
    folded = re.findall(r"<details><summary>(.*?)</summary>", "\n".join(cell.source for cell in notebook.cells))
    assert folded.count("Answer") >= 1 and sum(text.endswith("?") for text in folded) >= 2


def test_the_table_of_real_reviews_in_07_is_that_of_readme():
    rows = [
        line for cell in cells_of(NOTEBOOKS[7], "markdown") for line in cell.source.splitlines() if line[:2] == "| "
    ]
    readme = (ROOT / "README.md").read_text(encoding="utf8").splitlines()
    assert len(rows) == 6 and all(row in readme for row in rows)


def test_a_value_is_written_in_its_one_place():
    cell = nbformat.v4.new_code_cell('SIZE = 3  # units\nTEXTS = [\n    "a",\n]\nA, B = 1, 2')
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook_runs.with_values(notebook, {"SIZE": "4", "TEXTS": "['b']", "A, B": "3, 4"})
    assert cell.source == "SIZE = 4  # units\nTEXTS = ['b']\nA, B = 3, 4"
    with pytest.raises(ValueError, match="OTHER gets a value in 0 cells"):
        notebook_runs.with_values(notebook, {"OTHER": "4"})


@each_notebook
def test_it_is_committed_as_run_as_a_whole_with_its_present_code(path):
    assert refresh.complaints(path) == [], f"run: python notebooks/refresh.py {path.stem}"


@each_notebook
def test_notebooks_and_outputs_are_small(path):
    assert path.stat().st_size < 3_000_000
    for output in outputs_of(path):
        assert len(json.dumps(output)) < 1_000_000


@each_notebook
def test_outputs_name_no_folder_of_the_machine(path):
    for output in outputs_of(path):
        text = output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
        assert not re.search(r"site-packages|(^|[\s'\"])(/(home|root|tmp|Users)/|[A-Z]:\\)", text), text


@each_notebook
def test_cells_fit_on_a_screen(path):
    for cell in cells_of(path, "code"):
        lines = 40 if "whole-method" in cell.metadata.get("tags", []) else 20
        assert len(cell.source.splitlines()) <= lines, cell.source


@each_notebook
def test_it_begins_with_what_it_is_about(path):
    title = cells_of(path, "markdown")[0]
    assert title.source.startswith(f"# {path.stem[:2]} ")
    for part in ("**What you'll do.**", "**What you'll learn.**", "**What you need.**"):
        assert part in title.source


@each_notebook
@pytest.mark.parametrize("repository", [refresh.REPOSITORY, None, "someone/somewhere"])
def test_buttons_lead_to_the_address_and_without_one_there_are_none(path, repository, monkeypatch):
    monkeypatch.setattr(refresh, "REPOSITORY", repository)
    notebook = nbformat.read(path, as_version=4)
    if repository != refresh.REPOSITORY:
        notebook.cells = notebook.cells[:4]
    refresh.put_in_common_cells(notebook, path.name)
    text = "\n".join(cell.source for cell in notebook.cells)
    if repository is None:
        assert not re.search(r"colab|mybinder|git\+", text)
    else:
        assert text.count(repository) == 3
        assert notebook.cells[1].id == "buttons" and notebook.cells[1].source.count(path.name) == 2  # Colab and Binder


@each_notebook
def test_it_ends_with_three_exercises_their_solutions_folded_and_a_link_to_the_next(path):
    *_, exercises, last = cells_of(path, "markdown")
    match = re.search(
        r"## Exercises\n(.*)<details><summary>Solutions</summary>\n\n(.*)</details>", exercises.source, re.DOTALL
    )
    assert match, "the second last Markdown cell needs '## Exercises', and an empty line after '<details>...</summary>'"
    for part in match.groups():
        assert re.findall(r"^(\d)\. ", part, re.MULTILINE) == ["1", "2", "3"]
    following = list(thumbnails.TITLES)[(int(path.stem[:2]) + 1) % len(thumbnails.TITLES)]
    assert last.source.startswith("Back to [" if following.startswith("00") else "Next: [")
    assert re.search(r"\]\(([^)#]+)\)", last.source)[1] == f"{following}.ipynb"


@each_notebook
def test_its_links_lead_somewhere(path):
    for cell in cells_of(path, "markdown"):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", cell.source):
            in_series = Path(target).stem in thumbnails.TITLES
            assert in_series or target.startswith("http") or (path.parent / target).exists(), target


@each_notebook
def test_readme_has_it_in_its_table_with_a_small_picture(path):
    row = f"[![{thumbnails.TITLES[path.stem]}](docs/images/notebooks/{path.stem}.png)](notebooks/{path.name})"
    assert row in (ROOT / "README.md").read_text(encoding="utf8")
    assert 1000 < (thumbnails.FOLDER / f"{path.stem}.png").stat().st_size <= 40_000


def test_the_lines_derived_in_02_are_those_of_the_package():
    code = "\n".join(cell.source for cell in cells_of(NOTEBOOKS[2], "code"))
    code = "".join(line.split("  #")[0] for line in code.splitlines()).replace(" ", "")  # lines may be broken
    packaged = [line.split("  #")[0].strip() for line in inspect.getsource(lstm_step_backward).splitlines()]
    first, last = packaged.index("do = dh * tanh_c"), packaged.index("return np.concatenate(dz, axis=1), dc_prev")
    *lines, gates = packaged[first:last]
    assert len(lines) == 6
    for line in [*lines, gates.removeprefix("dz = ")]:
        assert line.replace(" ", "") in code


# The command that runs them and writes them back


@pytest.fixture
def folder(tmp_path):
    """A function that writes a small notebook with a given second cell to an empty folder."""

    def write(second_cell, name="00_small.ipynb"):
        code = ["a = 6", second_cell, "print(a)"]
        cells = [nbformat.v4.new_markdown_cell("# 00 Small"), *map(nbformat.v4.new_code_cell, code)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / name)
        return tmp_path / name

    return write


@runs_a_kernel
def test_refresh_writes_what_was_run_and_a_second_time_changes_nothing(folder, capsys):
    path = folder("a *= 7")
    assert refresh.main([], path.parent) == 0
    assert re.fullmatch(r"00_small +\.{4} \d+\.\d s\n", capsys.readouterr().out)
    notebook = nbformat.read(path, as_version=4)
    assert [cell.get("id") for cell in notebook.cells].count("install") == 1
    assert notebook.cells[-1].outputs[0].text == "42\n"
    assert all(cell.metadata == {} for cell in notebook.cells), "timings stayed"
    assert refresh.complaints(path) == [] and refresh.main(["--check"], path.parent) == 0
    first = path.read_bytes()
    assert refresh.main(["00"], path.parent) == 0 and path.read_bytes() == first
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@runs_a_kernel
@pytest.mark.parametrize(
    ("second_cell", "message"),
    [
        ("a / 0", "raised ZeroDivisionError: division by zero"),
        ("import warnings\nwarnings.warn('old')", "wrote to stderr: .*UserWarning: old"),
        pytest.param("while True:\n    pass", "was still running after 10 seconds", marks=pytest.mark.slow),
    ],
)
def test_refresh_leaves_a_notebook_with_a_mistake_unchanged_and_names_the_cell(folder, second_cell, message, capsys):
    path = folder(second_cell)
    before = path.read_bytes()
    assert refresh.main(["00", "--time-limit", "10" if "while" in second_cell else "600"], path.parent) == 1
    first_line = re.escape(repr(second_cell.splitlines()[0]))
    assert re.search(rf"left unchanged: cell 4 of 5 \({first_line}\) {message}", capsys.readouterr().out, re.DOTALL)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def as_run(path):
    """What refresh would make of a notebook without outputs, but without a kernel."""
    notebook = nbformat.read(path, as_version=4)
    refresh.put_in_common_cells(notebook, path.name)
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = number
    refresh.clean(notebook)
    return notebook


def out_of_order(notebook):
    notebook.cells[-1].execution_count = 9


def edited(notebook):
    notebook.cells[-1].source += "  # more"


def without_buttons(notebook):
    del notebook.cells[1]


def with_a_warning(notebook):
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", name="stderr", text="careful")]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (out_of_order, "not run one after the other"),
        (edited, "its code has changed"),
        (without_buttons, "buttons"),
        (with_a_warning, "a warning"),
    ],
)
def test_check_notices(folder, change, complaint, capsys, monkeypatch):
    monkeypatch.setattr(refresh, "REPOSITORY", "someone/somewhere")
    path = folder("a *= 7")
    notebook = as_run(path)
    nbformat.write(notebook, path)
    assert refresh.complaints(path) == []
    change(notebook)
    nbformat.write(notebook, path)
    assert refresh.main(["--check"], path.parent) == 1
    [line] = capsys.readouterr().out.splitlines()
    assert complaint in line and ";" not in line


def test_text_may_be_edited_without_a_new_run(folder):
    path = folder("a *= 7")
    notebook = as_run(path)
    notebook.cells[0].source += ", and beautiful"
    nbformat.write(notebook, path)
    assert refresh.complaints(path) == []


@pytest.mark.parametrize(("name", "number"), [("07", "no notebook"), ("0", "several notebooks")])
def test_a_name_that_matches_no_single_notebook_is_rejected(folder, name, number, capsys):
    folder("1"), folder("2", "01_second.ipynb")
    with pytest.raises(SystemExit):
        refresh.main([name], folder("1").parent)
    assert f"{name!r} matches {number}; expected one of 00_small, 01_second" in capsys.readouterr().err


def test_the_cell_for_colab_does_nothing_elsewhere_and_uses_no_registry():
    assert "%pip install" in refresh.INSTALL and "pypi" not in refresh.INSTALL.lower()
    assert '\nif "google.colab" in sys.modules:' in refresh.INSTALL


def test_without_the_package_the_first_cell_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy_setlstm.blas", None)  # as if it were not installed
    with pytest.raises(ModuleNotFoundError, match=r"numpy_setlstm.*run pip install '\.\[notebooks\]'.*kernel"):
        exec(refresh.FIRST, {})


# Thumbnails


def picture(width, height):
    """A picture of noise, which hardly compresses."""
    pixels, file = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8), io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def test_thumbnails_are_the_tagged_pictures_all_of_the_same_size_in_few_bytes(tmp_path):
    cells = [nbformat.v4.new_code_cell("1"), nbformat.v4.new_code_cell("2", metadata={"tags": ["thumbnail"]})]
    for cell, size in zip(cells, [(900, 540), (100, 500)], strict=True):
        cell.outputs = [nbformat.v4.new_output("display_data", {"image/png": picture(*size)})]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "00_two.ipynb")
    nbformat.write(nbformat.v4.new_notebook(cells=cells[:1]), tmp_path / "01_large.ipynb")
    assert thumbnails.main([], tmp_path, tmp_path / "images") == 0
    for name, white_at_the_left in [("00_two", True), ("01_large", False)]:
        path = tmp_path / "images" / f"{name}.png"
        assert path.stat().st_size <= thumbnails.MOST_BYTES
        with Image.open(path) as image:
            assert image.size == thumbnails.SIZE
            assert (np.asarray(image.convert("RGB"))[:, :50].min() == 255) == white_at_the_left


def test_a_notebook_without_a_picture_is_named(folder, capsys):
    path = folder("1")
    assert thumbnails.main([], path.parent, path.parent / "images") == 1
    assert "00_small" in capsys.readouterr().out
