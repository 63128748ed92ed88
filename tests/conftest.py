"""What all tests need."""

import importlib.util
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# A shell that starts tests in the background makes them ignore Ctrl-C, and their subprocesses too; the tests that press
# it need the handler that a terminal's Python has.
signal.signal(signal.SIGINT, signal.default_int_handler)

collect_ignore = ["golden/make_golden.py"]  # a script, and the only file that imports PyTorch

ROOT = Path(__file__).parent.parent
BUILDS_THE_SITE = ("sphinx", "myst_nb", "numpydoc", "furo", "sphinx_copybutton", "sphinx-mathjax-offline")


@pytest.fixture
def ax():
    """Axes of a figure that pyplot does not know of."""
    from matplotlib.figure import Figure

    return Figure().subplots()


@pytest.fixture(autouse=True)
def no_figure_is_left_open():
    """A picture of the package is the caller's: pyplot keeps none of them open."""
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMIUM_FLAGS = """--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync""".split()
NO_NETWORK = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"  # this machine is all that pages can reach


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium, driven by Playwright."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="driving a browser needs playwright: the extra 'browser'"
    )
    if CHROMIUM is None:
        pytest.skip("no Chromium: install Debian's package chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*CHROMIUM_FLAGS, NO_NETWORK])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The documentation site, built by the command that stands in CONTRIBUTING.md, into a folder of its own."""
    missing = [name for name in BUILDS_THE_SITE if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"building the site needs {', '.join(missing)}: the extra 'docs'")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf8")
    options = re.search(r"python (-m sphinx -W .*) docs docs/_build/html$", contributing, re.MULTILINE)[1]
    folder = tmp_path_factory.mktemp("site").resolve()
    build = subprocess.run(
        [sys.executable, *shlex.split(options), "docs", str(folder)], cwd=ROOT, capture_output=True, text=True
    )
    assert build.returncode == 0, build.stderr
    return folder
