"""The derivations: every equation has a label, every reference leads to one, and the lines of code shown exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [*sorted((ROOT / "docs" / "derivations").glob("*.md")), ROOT / "docs" / "language.md"]
DOCS = [page for page in sorted((ROOT / "docs").rglob("*.md")) if "_build" not in page.parts]
EQUATIONS = [
    (page, body) for page in PAGES for body in re.findall(r"```\{math\}\n(.*?)```", page.read_text("utf8"), re.S)
]
LABELS = [label for _, body in EQUATIONS for label in re.findall(r"^:label: (\S+)$", body, re.M)]
INCLUDES = [
    pytest.param(page, file, dict(re.findall(r"^:([\w-]+): *(.*)$", options, re.M)), id=f"{page.stem}-{k}")
    for page in PAGES
    for k, (file, options) in enumerate(
        re.findall(r"```\{literalinclude\} (\S+)\n(.*?)```", page.read_text("utf8"), re.S)
    )
]


def lines_of_object(source, name):
    """The lines of a function, class or method, as Sphinx's option ``pyobject`` selects them."""
    body = ast.parse(source).body
    for part in name.split("."):
        node = next(node for node in body if getattr(node, "name", None) == part)
        body = node.body if isinstance(node, ast.ClassDef) else []
    return source.splitlines()[node.lineno - 1 : node.end_lineno]


def test_every_equation_has_a_unique_label():
    assert len(LABELS) == len(EQUATIONS) == len(set(LABELS)) > 60
    for page in PAGES:
        assert not re.search(r"^\$\$", page.read_text("utf8"), re.M), f"{page.name} has an equation without a number"


@pytest.mark.parametrize(
    "path", [*DOCS, *sorted((ROOT / "numpy_setlstm").rglob("*.py"))], ids=lambda path: str(path.relative_to(ROOT))
)
def test_references_lead_to_an_equation(path):
    text = path.read_text("utf8")
    for label in re.findall(r"\{eq\}`([^`]*)`", text) + re.findall(r":eq:`([^`]*)`", text):
        assert label in LABELS, f"{path.name} refers to the equation {label}; there is none"
    for label, page in re.findall(r":eq:`([\w-]+)`[^`]{1,40}(docs/derivations/\w+\.md)", text):
        assert f":label: {label}\n" in (ROOT / page).read_text("utf8"), f"{label} is not in {page}"


@pytest.mark.parametrize("page, file, options", INCLUDES)
def test_lines_of_code_that_are_shown_exist_once(page, file, options):
    source = (page.parent / file).read_text("utf8")
    name = options.get("pyobject")
    lines = lines_of_object(source, name) if name else source.splitlines()
    start = options["start-at"]
    assert sum(start in line for line in lines) == 1, f"{start!r} should occur once in {name or file}"
    first = next(k for k, line in enumerate(lines) if start in line)
    if "end-at" in options:
        assert any(options["end-at"] in line for line in lines[first:]), f"{options['end-at']!r} does not follow"


def test_every_page_of_the_derivations_shows_code_and_computes():
    for page in PAGES:
        if page.stem != "index":
            text = page.read_text("utf8")
            assert "```{literalinclude}" in text and "```python" in text, page.name
            assert f"({page.name})" in (page.parent / "index.md").read_text("utf8")
