"""Docstrings of public names: numpydoc's checks, shapes and units, errors, sources; exceptions have reasons.

Functions and classes need every section, methods a summary; a section that a method has is held to the same rules.
"""

import ast
import dataclasses
import inspect
import operator
import re
import textwrap
from pathlib import Path

import pytest
from public_names import public_names, with_methods

docscrape = pytest.importorskip("numpydoc.docscrape", reason="numpydoc checks docstrings: the extra 'docs'")
from numpydoc.validate import ERROR_MSGS, validate  # noqa: E402

PACKAGE = Path(__file__).parent.parent / "numpy_setlstm"
PUBLIC = public_names()
NAMES = with_methods(PUBLIC)
METHODS_WITH_SECTIONS = tuple(f"numpy_setlstm.SetLSTMClassifier.{name}" for name in ("fit", "predict_proba", "load"))
NOT_REQUIRED = {
    "ES01": "a second sentence is written where the first does not say all",
    "SA01": "a page of the reference shows related names together",
    "SS05": 'the check takes every first word in "s" for a verb, as in "Gradients of one time step"',
    "RT02": "a single result may have its symbol as its name, as in `dE`",
}
MISSING_SECTIONS = {"PR01": "Parameters", "RT01": "Returns", "YD01": "Yields"}
GROUPED_OPTIONS = ("numpy_setlstm.check_layer", "numpy_setlstm.check_directions")
# Types that leave open what a value means. Others say it by a shape or a class: "W_x : SparseMatrix of shape (D, 4H)".
BARE = re.compile(r"(int|float|bool|str|dict|list|tuple|callable|object|ndarray|scalar)?(, (optional|default .*))?")
# "shape, nnz, axis" that "See :func:`expected_degrees`", which has their types
ELSEWHERE = re.compile(r"(See|As in) :(func|meth|class):")


def thing_of(name):
    """The function, class, method or property of that name."""
    public = max((p for p in PUBLIC if name == p or name.startswith(p + ".")), key=len)
    return PUBLIC[public] if name == public else operator.attrgetter(name[len(public) + 1 :])(PUBLIC[public])


def fields_of(thing):
    """The public fields of a dataclass or a NamedTuple."""
    names = [field.name for field in dataclasses.fields(thing)] if dataclasses.is_dataclass(thing) else ()
    return {name for name in names or getattr(thing, "_fields", ()) if not name.startswith("_")}


def is_brief(name):
    """Whether a name is a method, which needs no sections."""
    return name not in PUBLIC and name not in METHODS_WITH_SECTIONS


def names_in(section):
    return {name.strip() for entry in section for name in entry.name.split(",")}


def is_excused(name, code, message, document):
    """Whether a complaint of numpydoc is one of the exceptions."""
    thing = thing_of(name)
    if code in NOT_REQUIRED:
        return True
    if code in MISSING_SECTIONS and is_brief(name):
        return not document[MISSING_SECTIONS[code]]
    if code == "EX01":  # a class's example shows its methods; what raises an error or returns a NamedTuple shows it
        return name not in PUBLIC or (inspect.isclass(thing) and issubclass(thing, Exception | tuple))
    if code == "PR01":  # fields are described as attributes: test_fields_are_described
        return bool(inspect.isclass(thing) and fields_of(thing))
    if code == "PR03":  # those of check_gradients are one entry, whatever comes between them
        return name in GROUPED_OPTIONS
    if code in ("PR04", "PR07"):
        parameter = re.search('"(.*?)"', message)[1]
        entry = next(entry for entry in document["Parameters"] if parameter in names_in([entry]))
        return bool(ELSEWHERE.match(" ".join(entry.desc)) if code == "PR04" else not BARE.fullmatch(entry.type))
    if code == "RT03":
        return all(entry.desc or not BARE.fullmatch(entry.type) for entry in document["Returns"])
    return False


@pytest.mark.parametrize("name", NAMES)
def test_numpydoc_has_nothing_to_say(name):
    thing = thing_of(name)
    document = docscrape.get_doc_object(thing)
    errors = validate(name if isinstance(thing, property) else document)["errors"]
    complaints = [f"{code}: {message}" for code, message in errors if not is_excused(name, code, message, document)]
    assert not complaints, f"{name}\n" + "\n".join(complaints)


def test_every_exception_is_one_of_numpydocs_checks():
    assert {*NOT_REQUIRED, *MISSING_SECTIONS} <= set(ERROR_MSGS)
    assert {*METHODS_WITH_SECTIONS, *GROUPED_OPTIONS} <= set(NAMES)


@pytest.mark.parametrize(
    "name", [name for name in NAMES if inspect.isclass(thing_of(name)) and fields_of(thing_of(name))]
)
def test_fields_are_described(name):
    """In the docstring, or where the field stands: by a ``#:`` behind it or on the line above."""
    thing = thing_of(name)
    document = docscrape.get_doc_object(thing)
    source = inspect.getsource(thing)

    def has_comment(field):
        return re.search(rf"#: [^\n]*\n    {field}:|\n    {field}:.*#: ", source)

    commented = set(filter(has_comment, fields_of(thing)))
    assert names_in(document["Attributes"]) | commented >= fields_of(thing)
    assert not [
        entry.name for entry in document["Attributes"] if entry.name in fields_of(thing) - commented and not entry.type
    ]


@pytest.mark.parametrize("name", NAMES)
def test_arrays_have_a_shape(name):
    document = docscrape.get_doc_object(thing_of(name))
    for entry in [*document["Parameters"], *document["Returns"], *document["Attributes"]]:
        text = entry.type + " ".join(entry.desc)
        assert not entry.type.startswith("ndarray") or "shape" in text, f"{name}: {entry.name} has no shape"


def errors_raised_by(thing):
    """Names of the errors that a function raises itself; those within a ``try`` may not leave it."""
    source = textwrap.dedent(inspect.getsource(thing))
    tree = ast.parse(source)
    caught = {id(node) for attempt in ast.walk(tree) if isinstance(attempt, ast.Try) for part in attempt.body
              for node in ast.walk(part)}  # fmt: skip
    raised = [
        node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc and id(node) not in caught
    ]
    return {ast.unparse(error.func if isinstance(error, ast.Call) else error) for error in raised}


@pytest.mark.parametrize("name", [name for name in NAMES if not isinstance(thing_of(name), property)])
def test_errors_are_named(name):
    thing = thing_of(name)
    code = [thing] if not inspect.isclass(thing) else [vars(thing).get(key) for key in ("__init__", "__post_init__")]
    document = docscrape.get_doc_object(thing)
    if is_brief(name) and not document["Raises"]:
        return
    named = {error for entry in document["Raises"] for error in entry.type.split(", ")}
    for function in filter(inspect.isroutine, code):
        if "<string>" not in function.__code__.co_filename:  # of a dataclass, written by Python
            assert errors_raised_by(inspect.unwrap(function)) <= named, name


@pytest.mark.parametrize("name", NAMES)
def test_equations_have_a_source(name):
    thing = thing_of(name)
    text = inspect.getdoc(thing)
    if ".. math::" in text:
        assert re.search(r"Source|\(\d{4}\)|:eq:", text + (inspect.getmodule(thing).__doc__ or "")), name


def test_no_section_has_lost_its_line():
    for path in PACKAGE.rglob("*.py"):
        assert not re.search(r"^ *[A-Z]\w+ -{3,}", path.read_text(encoding="utf8"), re.MULTILINE), path.name
