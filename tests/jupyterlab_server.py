"""A JupyterLab of its own for the tests that open notebooks in a real browser."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from importlib.util import find_spec

import pytest

SECONDS = 300  # after which a test stops waiting
TOKEN = "for-this-test-only"
needs_jupyterlab = pytest.mark.skipif(find_spec("jupyterlab") is None, reason="needs jupyterlab: the extra 'notebooks'")


@contextlib.contextmanager
def serving(folder, home, *options):
    """The address of a JupyterLab that shows `folder`; settings, workspaces and log are in `home`."""
    settings = {
        "notebook-extension/tracker": {"windowingMode": "none"},  # cells outside the window exist for the test, too
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},  # no network
    }
    for name, values in settings.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR")
    environment = {name: str(home / name.lower()) for name in names}
    environment["JUPYTERLAB_SETTINGS_DIR"] = str(home / "settings")
    arguments = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    arguments += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder}", *options]
    with open(home / "lab.log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *arguments], stdout=log, stderr=log, env=os.environ | environment
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: server.poll() is not None or answers(address))
        assert server.poll() is None, (home / "lab.log").read_text()
        yield address
    finally:
        server.terminate()  # its kernels with it
        server.wait(60)


def answers(address):
    """Whether the server is there."""
    try:
        with urllib.request.urlopen(f"{address}/api/status?token={TOKEN}", timeout=10) as answer:
            return answer.status == 200
    except OSError:
        return False


def wait_for(condition, sleep=time.sleep):
    """Wait until a condition holds; fail after SECONDS."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, f"the condition did not hold within {SECONDS:g} seconds"
        sleep(0.2)
