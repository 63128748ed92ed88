"""The assignments as a student opens them: in JupyterLab, in a real browser, with stubs and with the solution."""

from pathlib import Path

import pytest
from jupyterlab_server import SECONDS, TOKEN, needs_jupyterlab, serving

from numpy_setlstm.grading import load_assignment, release
from numpy_setlstm.grading.notebook import grade_id, read_notebook

FOLDER = Path(__file__).parent.parent / "notebooks" / "assignments"
NAMES = sorted(path.parent.name.split("_")[0] for path in FOLDER.glob("*/hidden.py"))
pytestmark = needs_jupyterlab

RUN_ALL = """async () => {
    const app = window.jupyterapp, panel = app.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    await app.commands.execute("notebook:run-all-cells");
    return panel.content.widgets.map(cell => cell.model.sharedModel.toJSON());
}"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Student versions and solutions of all assignments, as A1_student.ipynb and A1_solution.ipynb."""
    folder = tmp_path_factory.mktemp("assignments")
    for name in NAMES:
        release(name, folder / f"{name}_student.ipynb", FOLDER)
        source = load_assignment(name, FOLDER).notebook
        (folder / f"{name}_solution.ipynb").write_bytes(source.read_bytes())
    return folder


@pytest.fixture(scope="module")
def lab(folder, tmp_path_factory):
    """The address of a JupyterLab that shows the folder."""
    with serving(folder, tmp_path_factory.mktemp("jupyter"), "--expose-app-in-browser") as address:
        yield address


@pytest.fixture
def run(browser, lab):
    """A function that opens a notebook, runs all cells, and gives them back with their outputs."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})

    def run(name):
        page = context.new_page()
        page.set_default_timeout(SECONDS * 1000)
        page.goto(f"{lab}/lab/tree/{name}.ipynb?reset&token={TOKEN}")
        page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel")
        return page.evaluate(RUN_ALL)

    yield run
    context.close()


def printed(cell):
    """What a cell printed, as one text."""
    outputs = cell.get("outputs", ())
    return "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")


def errors(cells):
    """Where a cell failed: its name and the error."""
    return {
        grade_id(cell) or str(k): output["evalue"]
        for k, cell in enumerate(cells)
        for output in cell.get("outputs", ())
        if output["output_type"] == "error"
    }


def checks(cells):
    """What each visible check printed, by its name."""
    return {grade_id(cell): printed(cell) for cell in cells if (grade_id(cell) or "").startswith("check-")}


def pictures(cells):
    """Names of the picture cells that show a picture."""
    return {
        grade_id(cell)
        for cell in cells
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", ()))
    }


@pytest.mark.parametrize("name", NAMES)
def test_with_stubs_nothing_crashes_and_each_check_says_what_is_missing(name, run):
    cells = run(f"{name}_student")
    assert errors(cells) == {}
    for check, text in checks(cells).items():
        assert "not implemented yet" in text, f"{check} prints {text!r}"


@pytest.mark.parametrize("name", NAMES)
def test_with_the_solution_each_check_is_right_and_each_picture_appears(name, run):
    cells = run(f"{name}_solution")
    assert errors(cells) == {}
    for check, text in checks(cells).items():
        assert "right" in text and not any(bad in text for bad in ("wrong", "not implemented", "stops")), (check, text)
    source = read_notebook(load_assignment(name, FOLDER).notebook)["cells"]
    code = (grade_id(cell) or "" for cell in source if cell["cell_type"] == "code")
    expected = {name for name in code if name.startswith("picture-")}
    assert expected <= pictures(cells)
