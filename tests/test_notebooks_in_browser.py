"""A notebook in a real JupyterLab in a real browser: run by its menu, its slider moved, its animation played."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
WITH_CONTROLS, WITHOUT = NOTEBOOKS / "06_prune_and_regrow.ipynb", NOTEBOOKS / "00_quick_start.ipynb"
PATH = WITH_CONTROLS if WITH_CONTROLS.exists() else WITHOUT
SECONDS = float(os.environ.get("NUMPY_SETLSTM_NOTEBOOK_SECONDS", 90))  # as in test_notebooks.py
TOKEN = "for-this-test-only"
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --window-size=1400,1100""".split()
NO_NETWORK = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def missing():
    """What this test needs and this machine lacks."""
    lacks = [f"the library {name} (extra {extra!r})" for name, extra in NEEDED.items() if find_spec(name) is None]
    if not any(map(shutil.which, BROWSERS)):
        lacks.append("Chromium")
    if not shutil.which("chromedriver"):
        lacks.append("chromedriver (on Debian the package chromium-driver)")
    return lacks


NEEDED = {"selenium": "browser", "jupyterlab": "notebooks", "ipywidgets": "notebooks", "nbformat": "test"}
pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=f"a notebook in a browser needs {', '.join(missing())}"),
    pytest.mark.filterwarnings("default"),  # sockets of the browser's driver are closed by the garbage collector
]


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab with a copy of the notebook without its outputs, and with settings of its own."""
    import nbformat

    notebook = nbformat.read(PATH, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata.pop("widgets", None)
    folder = tmp_path / "notebooks"
    folder.mkdir()
    nbformat.write(notebook, folder / PATH.name)
    settings = {
        "notebook-extension/tracker": {"windowingMode": "none"},  # cells outside the window are there for the test too
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},  # no network
    }
    for name, values in settings.items():
        file = tmp_path / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")
    environment = {name: str(tmp_path / name.lower()) for name in names}
    environment["JUPYTERLAB_SETTINGS_DIR"] = str(tmp_path / "settings")
    arguments = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    arguments += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}"]
    with open(tmp_path / "lab.log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *arguments], stdout=log, stderr=log, env=os.environ | environment
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: server.poll() is not None or answers(address), SECONDS)
        assert server.poll() is None, (tmp_path / "lab.log").read_text()
        yield address
    finally:
        server.terminate()  # its kernels with it
        server.wait(60)


def answers(address):
    try:
        with urllib.request.urlopen(f"{address}/api/status?token={TOKEN}", timeout=10) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.fixture
def browser(tmp_path):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, BROWSERS)))
    for flag in [*FLAGS, NO_NETWORK, f"--user-data-dir={tmp_path / 'chromium'}"]:
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    driver.set_page_load_timeout(SECONDS)
    yield driver
    driver.quit()


def wait_for(condition, seconds, every=0.2):
    """Wait until a condition holds, and return what it gives; fail with its name if it does not in time."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < end, f"waited {seconds:g} seconds in vain for {condition.__name__}"
        time.sleep(every)


def find(browser, selector):
    return browser.find_elements("css selector", selector)


def choose_from_menu(browser, menu, entry):
    """Click an entry of a menu, as a reader does."""

    def labelled(selector, text):
        return next((element for element in find(browser, selector) if element.text == text), None)

    wait_for(lambda: labelled(".lm-MenuBar-itemLabel", menu), 60).click()
    wait_for(lambda: labelled(".lm-Menu-itemLabel", entry), 60).click()


def kernel_is_ready(lab):
    """Whether the page is connected to a kernel that waits for work."""
    with urllib.request.urlopen(f"{lab}/api/kernels?token={TOKEN}", timeout=10) as answer:
        return [(k["execution_state"], k["connections"]) for k in json.load(answer)] == [("idle", 1)]


def prompts(browser):
    return [element.text for element in find(browser, ".jp-CodeCell .jp-InputArea-prompt")]


def pictures(browser, selector):
    """What the pictures at a place show, as addresses of data."""
    return [image.get_attribute("src") for image in find(browser, selector)]


def move_slider(browser):
    """Move the first slider with the keyboard; the number beside it and the picture below it must change."""
    from selenium.webdriver.common.keys import Keys

    handle = find(browser, ".widget-slider .noUi-handle")[0]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", handle)
    readout, shown = (
        ".widget-slider .widget-readout",
        ".jupyter-widgets img, .jp-OutputArea-output .widget-interact img",
    )
    before = find(browser, readout)[0].text, wait_for(lambda: pictures(browser, shown), 60)
    key = (
        Keys.ARROW_LEFT
        if handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
        else Keys.ARROW_RIGHT
    )
    handle.send_keys(key)
    wait_for(lambda: find(browser, readout)[0].text != before[0], 60)
    wait_for(lambda: pictures(browser, shown) not in ([], before[1]), 60)


def play_animation(browser):
    """Start the first animation; its frames must go by."""
    button = find(browser, ".anim-buttons button[title='Play']")[0]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    frame = "img[id^='_anim_img']"
    first = wait_for(lambda: pictures(browser, frame), 60)
    button.click()
    wait_for(lambda: pictures(browser, frame) != first, 60)


def test_a_notebook_runs_by_its_menu_and_its_controls_work(lab, browser, tmp_path):
    browser.get(f"{lab}/lab/tree/{PATH.name}?token={TOKEN}")
    wait_for(
        lambda: kernel_is_ready(lab) and "[ ]:" in prompts(browser), SECONDS
    )  # Lab drops what it is told to run before its kernel is there
    n_cells = len(prompts(browser))
    choose_from_menu(browser, "Run", "Run All Cells")
    expected = [f"[{number}]:" for number in range(1, n_cells + 1)]
    wait_for(
        lambda: prompts(browser) == expected or find(browser, "[data-mime-type='application/vnd.jupyter.error']"),
        SECONDS,
    )
    assert prompts(browser) == expected
    for kind in ("application/vnd.jupyter.error", "application/vnd.jupyter.stderr"):
        assert [element.text for element in find(browser, f"[data-mime-type='{kind}']")] == []
    if PATH == WITH_CONTROLS:
        move_slider(browser)
        play_animation(browser)
    else:
        browser.execute_script(
            "arguments[0].scrollIntoView({block: 'center'})", find(browser, ".jp-OutputArea img")[-1]
        )
    screenshot = tmp_path / "screenshot.png"
    browser.save_screenshot(str(screenshot))
    with Image.open(screenshot) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[:2] >= (900, 1300) and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 100
