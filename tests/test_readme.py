"""README and docs: their code runs, their commands parse, and every file they link to exists."""

import graphlib
import re
import runpy
import shlex
import sys
import textwrap
import types
from pathlib import Path

import pytest

from numpy_setlstm.cli import build_parser
from numpy_setlstm.lab.experiment import read_grid
from numpy_setlstm.lab.experiment.grid_files import tomllib

ROOT = Path(__file__).parent.parent
DOCS = [page for page in sorted((ROOT / "docs").rglob("*.md")) if "_build" not in page.parts]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS]
PYTHON_AND_OUTPUT = re.compile(r"^```python\n(.*?)^```\n(?:\n*```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)


def python_blocks():
    """Each block of Python, with the block of text directly after it, or None."""
    for page in PAGES:
        for k, (code, output) in enumerate(
            match.groups() for match in PYTHON_AND_OUTPUT.finditer(page.read_text(encoding="utf8"))
        ):
            yield pytest.param(code, output, id=f"{page.relative_to(ROOT)}-{k}")


def what_does_not_vary(output):
    """The lines of an output, without the digits of a gradient check's rows that are ok."""
    rows = re.sub(r"^(\S+ +\S+ +\d+) .* (\S+ +ok)$", r"\1 \2", output.rstrip(), flags=re.MULTILINE)
    return [" ".join(row.split()) for row in rows.splitlines()]


def agrees(output, shown):
    """Whether an output is what a page shows, where a line of three dots matches any number of lines."""
    pattern = "".join(r"(?:.*\n)*" if line == "..." else re.escape(line) + r"\n" for line in what_does_not_vary(shown))
    return re.fullmatch(pattern, "".join(line + "\n" for line in what_does_not_vary(output))) is not None


@pytest.mark.parametrize("code, shown", list(python_blocks()))
def test_python_on_the_pages_runs(code, shown, capsys):
    exec(compile(code, "page", "exec"), {})
    output = capsys.readouterr().out
    assert output
    if shown is not None:
        assert agrees(output, shown), f"the page shows a different output; the new one is:\n{output}"


def shell_commands():
    """Each command of this package in a block of shell, with the variables that lines such as NAME="..." set there."""
    for page in PAGES:
        for block in re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(encoding="utf8"), re.DOTALL | re.MULTILINE):
            for name, value in reversed(re.findall(r'^([A-Z]+)="?([^"\n]*)"?$', block, re.MULTILINE)):
                block = block.replace(f"${name}", value)
            for command in re.findall(r"numpy-setlstm (\S.*)", block):
                yield pytest.param(command, id=f"{page.name}: {' '.join(shlex.split(command, comments=True))}")


@pytest.mark.parametrize("command", list(shell_commands()))
def test_the_command_line_knows_the_commands_on_the_pages(command):
    """They take minutes, so they are parsed and not run."""
    build_parser().parse_args(shlex.split(command, comments=True))  # exits if something is wrong


@pytest.mark.skipif(tomllib is None, reason="needs Python 3.11, which reads TOML")
def test_the_grid_on_the_page_can_be_read(tmp_path):
    page = (ROOT / "docs" / "comparing.md").read_text(encoding="utf8")
    (block,) = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    (tmp_path / "grid.toml").write_text(block, encoding="utf8")
    assert read_grid(tmp_path / "grid.toml").runs()


def test_an_output_is_compared_up_to_rounding_and_cuts():
    table = "x      2x3    6        x[0, 0]  -1.5e-01  -1.5e-01  {}  1e-12  {}\n"
    assert agrees(table.format("5.6e-17", "ok"), table.format("3.1e-16", "ok"))
    assert not agrees(table.format("5.6e-03", "WRONG"), table.format("3.1e-16", "ok"))
    assert not agrees(table.format("5.6e-03", "WRONG"), table.format("3.1e-03", "WRONG"))
    assert agrees("1\n2\n3\n4\n", "1\n...\n4\n") and agrees("1\n", "1\n...\n")
    assert not agrees("1\n2\n", "1\n") and not agrees("1\n", "1\n2\n") and not agrees("a\n", ".\n")


def changed(source, diff):
    """Apply a diff, each hunk of which must match the source in exactly one place."""
    for hunk in re.split(r"^@@.*\n", diff, flags=re.MULTILINE)[1:]:
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        assert source.count(before) == 1, f"the source does not have these lines once:\n{before}"
        source = source.replace(before, "".join(line[1:] for line in lines if line[0] in " +"))
    return source


def test_the_prune_rule_of_the_diff_works():
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf8")
    (block,) = re.findall(r"^ *```diff\n(.*?)^ *```\n", page, re.DOTALL | re.MULTILINE)
    file, diff = re.fullmatch(r"--- (\S+)\n(.*)", textwrap.dedent(block), re.DOTALL).groups()
    topology = types.ModuleType("topology")
    sys.modules["topology"] = topology  # where dataclasses look for their module
    exec(changed((ROOT / file).read_text(encoding="utf8"), diff), topology.__dict__)
    del sys.modules["topology"]
    W = topology.SparseMatrix((1, 4), [0] * 4, range(4), [0.1, -5.0, 2.0, -0.2])
    assert topology.prune(W, 0.5, "largest").tolist() == [1, 2]
    assert topology.prune(W, 0.5, "magnitude").tolist() == [0, 3]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_readme_has_the_two_commands_that_set_up_everything():
    commands = [line for line in (ROOT / "README.md").read_text(encoding="utf8").splitlines() if "-m venv" in line]
    assert len(commands) == 2
    assert "numpy-setlstm demo" in commands[0] and "pytest" in commands[1]
    assert all("pip install" in command for command in commands)


def test_no_placeholder_was_forgotten():
    for page in PAGES:
        assert not re.search(r"\b[A-Z]+_TABLE\b", page.read_text(encoding="utf8")), page.name


@pytest.fixture(scope="module")
def house():
    """What docs/draw_house.py defines."""
    return types.SimpleNamespace(**runpy.run_path(str(ROOT / "docs" / "draw_house.py")))


def test_a_room_imports_from_its_own_floor_and_from_lower_ones_only(house):
    for room, imported in house.find_imports().items():
        too_high = {other for other in imported if house.FLOOR_OF[other] > house.FLOOR_OF[room]}
        assert not too_high, f"{room} imports {too_high}"


def test_no_rooms_import_each_other_in_a_circle(house):
    graphlib.TopologicalSorter(house.find_imports()).prepare()  # CycleError names the rooms of a circle


def test_only_the_command_line_enters_the_laboratory_and_who_enters_the_fast_wing(house):
    for path in house.PACKAGE.rglob("*.py"):
        room, modules = house.room_of(path), house.modules_imported_by(path)
        fast = {module for module in modules if module.split(".")[0] == "fast"}
        lab = {module for module in modules if module.split(".")[0] == "lab"}
        assert not lab or room in ("cli", "lab"), f"{path} imports {lab}"
        assert room in ("fast", "lab") or fast == ({"fast.engine"} if room == "network" else set()), path
        workers = {module for module in modules if module.split(".")[0] == "workers"}
        assert room in ("workers", "lab") or workers == ({"workers.jobs"} if room == "estimator" else set()), path


def test_tools_and_the_one_file_know_nothing_of_the_rest_and_plotting_alone_imports_matplotlib(house):
    imports = house.find_imports()
    assert not imports["gradcheck"] | imports["datasets"] | imports["one_file"]
    assert imports["one_file_writes"] == {"one_file"}
    for path in house.PACKAGE.rglob("*.py"):
        if house.room_of(path) != "plotting":
            assert not re.search(r"^\s*(import|from) matplotlib", path.read_text(encoding="utf8"), re.MULTILINE), path


def test_the_drawing_of_the_house_and_its_table_are_up_to_date(house):
    again = "is out of date: run python docs/draw_house.py"
    assert house.DRAWING.read_text(encoding="utf8") == house.draw(), f"docs/images/house.svg {again}"
    page = house.PAGE.read_text(encoding="utf8")
    assert page == house.page_with_table(page), f"the table of docs/architecture.md {again}"
