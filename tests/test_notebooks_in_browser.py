"""A notebook in a real JupyterLab in a real browser: run from the menu, its sliders moved, its animations played."""

import json
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from jupyterlab_server import SECONDS, TOKEN, needs_jupyterlab, serving, wait_for
from PIL import Image

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
PATH = NOTEBOOKS / "06_prune_and_regrow.ipynb"
pytestmark = needs_jupyterlab


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab with its own settings and a copy of the notebook without outputs."""
    import nbformat

    notebook = nbformat.read(PATH, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    folder = tmp_path / "notebooks"
    folder.mkdir()
    nbformat.write(notebook, folder / PATH.name)
    with serving(folder, tmp_path) as address:
        yield address


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1400, "height": 1100})
    page.set_default_timeout(SECONDS * 1000)
    yield page
    page.close()


def choose_from_menu(page, menu, entry):
    """Click an entry of a menu, like a reader."""
    page.locator(".lm-MenuBar-itemLabel").get_by_text(menu, exact=True).click()
    page.locator(".lm-Menu-itemLabel").get_by_text(entry, exact=True).click()


def kernel_is_ready(lab):
    """Whether the page is connected to an idle kernel."""
    with urllib.request.urlopen(f"{lab}/api/kernels?token={TOKEN}", timeout=10) as answer:
        return [(k["execution_state"], k["connections"]) for k in json.load(answer)] == [("idle", 1)]


def wait_in(page, condition):
    """Like :func:`wait_for`, but the page keeps running."""
    wait_for(condition, lambda seconds: page.wait_for_timeout(1000 * seconds))


def prompts(page):
    return [text.strip() for text in page.locator(".jp-CodeCell .jp-InputArea-prompt").all_inner_texts()]


def outputs(page, kind):
    return page.locator(f"[data-mime-type='application/vnd.jupyter.{kind}']").all_inner_texts()


def pictures(page, selector):
    """The pictures that match a selector, as data addresses."""
    return page.locator(selector).evaluate_all("images => images.map(image => image.src)")


def move_slider(page):
    """Move the slider of the first player by keyboard; its picture must change."""
    slider, frame = page.locator("input.anim-slider").first, page.locator("img[id^='_anim_img']").first
    slider.evaluate("slider => slider.scrollIntoView()")
    before = frame.get_attribute("src")
    at_the_end = slider.evaluate("slider => slider.value === slider.max")
    slider.press("ArrowLeft" if at_the_end else "ArrowRight")
    wait_in(page, lambda: frame.get_attribute("src") != before)


def play_animation(page):
    """Start the first animation; its frame must change."""
    button = page.locator(".anim-buttons button[title='Play']").first
    frame = "img[id^='_anim_img']"
    page.locator(frame).first.evaluate("frame => frame.scrollIntoView()")
    first = pictures(page, frame)
    button.click()
    wait_in(page, lambda: pictures(page, frame) != first)


def test_a_notebook_runs_from_the_menu_and_its_controls_work(lab, page, tmp_path):
    page.goto(f"{lab}/lab/tree/{PATH.name}?token={TOKEN}")
    # JupyterLab drops commands to run cells before its kernel is ready
    wait_in(page, lambda: kernel_is_ready(lab) and "[ ]:" in prompts(page))
    n_cells = len(prompts(page))
    choose_from_menu(page, "Run", "Run All Cells")
    expected = [f"[{number}]:" for number in range(1, n_cells + 1)]
    wait_in(page, lambda: prompts(page) == expected or outputs(page, "error"))
    assert outputs(page, "error") == outputs(page, "stderr") == []
    assert prompts(page) == expected
    move_slider(page)
    page.screenshot(path=tmp_path / "slider.png")
    play_animation(page)
    page.screenshot(path=tmp_path / "animation.png")
    for name in ("slider.png", "animation.png"):
        with Image.open(tmp_path / name) as image:
            pixels = np.asarray(image.convert("RGB"))
        assert pixels.shape[:2] == (1100, 1400) and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100, name
