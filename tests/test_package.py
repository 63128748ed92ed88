"""What is handed out: the source distribution, the text where packages are shown, and README's commands on Windows."""

import configparser
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from email.parser import Parser
from pathlib import Path

import pytest
from test_readme import PYTHON_AND_OUTPUT, agrees

from numpy_setlstm.cli import build_parser

ROOT = Path(__file__).parent.parent
NEEDS_SETUPTOOLS = pytest.mark.skipif(importlib.util.find_spec("setuptools") is None, reason="needs setuptools")
BUILD = "from setuptools import build_meta; print(build_meta.build_{}({!r}))"
MADE_BY_THE_BUILD = ("PKG-INFO", "numpy_setlstm.egg-info/")
HANDFUL = ["test_readme.py", "test_text.py", "test_claim.py", "test_converters.py", "test_grading_example.py"]


def source_files():
    """The files of the project: those that git does not ignore, or all in an unpacked distribution."""
    if (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return {name for name in listed.split("\0") if name and (ROOT / name).exists()}
    found = {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file()}
    return {name for name in found if not re.search(r"egg-info|PKG-INFO|__pycache__|_cache/|^\.hypothesis", name)}


def build(kind, folder):
    """Build a distribution from a copy of the source, as pip does; return its file."""
    for name in source_files():
        (folder / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / "source" / name)
    code = BUILD.format(kind, str(folder))
    built = subprocess.run([sys.executable, "-c", code], cwd=folder / "source", capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder / built.stdout.split()[-1]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("package")
    with tarfile.open(build("sdist", folder)) as archive:
        archive.extractall(folder / "unpacked", **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (top,) = (folder / "unpacked").iterdir()
    return top


@NEEDS_SETUPTOOLS
@pytest.mark.slow
def test_the_source_distribution_has_every_file_of_the_project(unpacked):
    found = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert {name for name in found if not name.startswith(MADE_BY_THE_BUILD)} == source_files()


@NEEDS_SETUPTOOLS
@pytest.mark.slow
def test_the_tests_run_from_the_source_distribution(unpacked):
    environment = os.environ | {"PYTHONPATH": str(unpacked)}
    for arguments in (["--collect-only"], [f"tests/{name}" for name in HANDFUL]):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        tests = subprocess.run(command, cwd=unpacked, env=environment, capture_output=True, text=True)
        assert tests.returncode == 0, tests.stdout[-4000:]
    where = "import numpy_setlstm; print(numpy_setlstm.__file__)"
    found = subprocess.run([sys.executable, "-c", where], cwd=unpacked, env=environment, capture_output=True, text=True)
    assert found.stdout.startswith(str(unpacked))  # the tests saw this package, and no installed one


@NEEDS_SETUPTOOLS
@pytest.mark.slow
def test_the_description_that_goes_with_the_package_is_the_page(unpacked):
    metadata = Parser().parsestr((unpacked / "PKG-INFO").read_text(encoding="utf8"))
    description = metadata.get_payload() or metadata["Description"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert description.strip() == PAGE.read_text(encoding="utf8").strip()


PAGE = ROOT / "docs" / "package_page.txt"


def test_the_page_where_packages_are_shown_needs_no_file_beside_it():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf8")
    assert config["metadata"]["long_description"] == f"file: {PAGE.relative_to(ROOT).as_posix()}"
    text = PAGE.read_text(encoding="utf8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert target.startswith("https://"), f"{PAGE.name} links to {target}"
    assert "](" in text and "<img" not in text


def test_the_code_and_the_commands_of_that_page_work(capsys):
    text = PAGE.read_text(encoding="utf8")
    ((code, shown),) = PYTHON_AND_OUTPUT.findall(text)
    exec(compile(code, PAGE.name, "exec"), {})
    assert agrees(capsys.readouterr().out, shown)
    commands = re.findall(r"^numpy-setlstm (.*)$", text, re.MULTILINE)
    assert [build_parser().parse_args(shlex.split(command)).command.__name__ for command in commands] == [
        "demo",
        "gradcheck",
    ]


def test_the_commands_for_windows_are_those_for_linux():
    """One command per line, which PowerShell and cmd both understand: no &&, no single quotes."""
    readme = (ROOT / "README.md").read_text(encoding="utf8")
    (block,) = re.findall(r"^```bat\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    assert "'" not in block and "&&" not in block and "/" not in block
    windows = block.replace("py -mvenv", "python3 -m venv").replace(".venv\\Scripts\\", ".venv/bin/").splitlines()
    linux = [part for line in readme.splitlines() if line.startswith("python3 -m venv") for part in line.split(" && ")]
    assert [shlex.split(line) for line in windows] == [shlex.split(line) for line in dict.fromkeys(linux)]
