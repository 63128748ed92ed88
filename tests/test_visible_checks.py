"""What the visible checks of assignments say: in words, about the code of a student, and what comes first."""

import json
import linecache
import re
from pathlib import Path

import numpy as np
import pytest

from numpy_setlstm.cli import main
from numpy_setlstm.grading import visible
from numpy_setlstm.grading.notebook import check_cells, given_cells, read_notebook

FOLDER = Path(__file__).parent.parent / "notebooks" / "assignments"


@pytest.fixture(autouse=True)
def nothing_before(monkeypatch):
    monkeypatch.setattr(visible, "latest", {})


def cell(source, label):
    """The names that a cell defines, whose lines tracebacks can show as in Jupyter."""
    linecache.cache[label] = (len(source), None, source.splitlines(True), label)
    names = {"np": np, "visible": visible}
    exec(compile(source, label, "exec"), names)
    return names


@pytest.mark.parametrize(
    ("code", "place"),
    [
        ("return np.max([])", " in line 2 of f: return np.max([])"),  # not a line of NumPy, where it stops
        ("return 1 / 0", " in line 2 of f: return 1 / 0"),
        ("return np.ones(2), None", ""),  # a line of the checker is no help
    ],
)
def test_an_error_names_lines_of_the_student_alone(code, place, capsys):
    f = cell(f"def f():\n    {code}", "the student's cell")["f"]
    visible.compare("f", lambda: f()[0] + f()[1], 1.0)
    assert re.search(rf"^f: it stops with \w+Error: .*{re.escape(place)}$", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("got", "words"),
    [
        (2.0, "sum: wrong, yours is 2, expected 1."),
        ([2.0], "sum: has shape (1,), expected ()."),
        (None, "sum: nothing is returned; is there a return?"),
    ],
)
def test_a_number_is_compared_in_words(got, words, capsys):
    visible.compare("sum", lambda: got, 1.0)
    assert capsys.readouterr().out == words + "\n"


@pytest.mark.parametrize(("got", "words"), [((1, 2), "got 2."), (np.ones(3), "got one ndarray.")])
def test_too_few_arrays_are_counted(got, words, capsys):
    visible.compare("f", lambda: got, {"a": 1, "b": 2, "c": 3})
    assert capsys.readouterr().out == f"f: wrong. It has to return 3 things, a, b, c; {words}\n"


def square(x):
    return x**2, x


def test_what_a_function_calls_has_to_be_mended_first(capsys):
    """No hint on the function itself, which may be right."""
    visible.compare("step", lambda: 1.0, 2.0)
    visible.compare("steps", lambda: 1.0, 2.0, hints={"never said": 1.0}, after="step")
    visible.gradients("back", square, lambda dy, x: dy * x, {"x": np.ones(3)}, {}, after="step")
    printed = capsys.readouterr().out
    assert printed.count("The check of step failed") == 2 and "never said" not in printed and "array" not in printed
    visible.compare("step", lambda: 2.0, 2.0)
    visible.compare("steps", lambda: 1.0, 2.0, hints={"said now": 1.0}, after="step")
    assert "- said now\n" in capsys.readouterr().out


def test_gradients_know_typical_mistakes_and_the_names_of_the_notebook(capsys):
    def two(x):
        return x**2, 3 * x, x

    def one_forgotten(dh, dc, x):
        return 2 * x * dh

    def backward(dh, dc, x):
        return -2 * x * dh - 3 * dc

    report = visible.check_layer(two, backward, {"x": np.ones(3)}, {}, raises=False)
    hints = {"both signs": visible.fingerprint(report), "another": 1.0}
    visible.gradients("layer", two, backward, {"x": np.ones(3)}, {}, douts=("dh", "dc"), hints=hints)
    printed = capsys.readouterr().out
    assert re.match(r"layer: wrong. The gradient of x at \[\d\] is \S+, not \S+\.\n- both signs\ngradient", printed)
    visible.gradients("layer", two, one_forgotten, {"x": np.ones(3)}, {}, douts=("dh", "dc"), hints=hints)
    printed = capsys.readouterr().out
    assert "- Correct with dh alone, wrong with dc alone: look at what backward does with dc." in printed


RIGHT = {
    "arrays": ["E"],
    "kind": "overwritten",
    "line": 4,
    "mended": "np.add.at(dE, tokens, w[tokens][:, :, None] * dx)",
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "words: right."),
        ({"mended": None}, 'needs the number of the line, and your code for it as "mended"'),
        ({"line": None}, "needs the number of the line"),
        ({"kind": "duplicate"}, "The kind 'duplicate' is not in the table."),
        ({"kind": "sign"}, "Your code mends the layer; the kind is another one."),
        ({"arrays": ["E", "w"]}, "changes other arrays than those that you name"),
        ({"mended": "np.add.at(dE, tokens"}, "Your code for line 4 is no Python: '(' was never closed."),
        ({"mended": "dE[tokens] = dx"}, "With your code in line 4 the gradients are still wrong."),
        ({"line": 6, "mended": "return {'E': right(dx, cache), 'w': dw}"}, "but the mistake is in another line"),
        ({"arrays": []}, "Nothing is found"),
    ],
)
def test_a_found_mistake_is_answered_in_words(changes, words, capsys):
    source = read_notebook(FOLDER / "A3_checking" / "A3_checking.ipynb")
    names = cell("\n".join(code for _, code in given_cells(source)), "the given code")
    exec(
        "def right(dx, cache):\n    E, w, tokens = cache\n    dE = np.zeros(E.shape)\n"
        "    np.add.at(dE, tokens, w[tokens][:, :, None] * dx)\n    return dE",
        names,
    )
    names["words_mistake"] = lambda: RIGHT | changes
    exec(dict(check_cells(source))["check-words"], names)
    assert words in capsys.readouterr().out


def test_a_cell_that_is_no_python_is_named_by_its_first_line(tmp_path, capfd):
    cells = [
        {"cell_type": "markdown", "source": "# A0", "metadata": {}},
        {"cell_type": "code", "source": "\ndef f(:\n    pass", "metadata": {}},
        {"cell_type": "code", "source": "f()", "metadata": {"nbgrader": {"grade_id": "check-f"}}},
    ]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf8")
    assert main(["check", "A1", str(tmp_path / "a.ipynb"), "--assignments", str(tmp_path)]) == 1
    assert "The cell that begins with 'def f(:' stops with SyntaxError" in capfd.readouterr().err


def test_a_loop_over_columns_does_not_pass_for_one_over_connections(tmp_path, capfd):
    """With few connections in a vast matrix it would end within a minute, right."""
    (tmp_path / "a.py").write_text(
        "import numpy as np\n"
        "def sparse_product(x, rows, cols, values, shape):\n"
        "    of = lambda j: x[:, rows[cols == j]] @ values[cols == j]\n"
        "    return np.stack([of(j) for j in range(shape[1])], axis=1)\n",
        encoding="utf8",
    )
    assert main(["check", "A4", str(tmp_path / "a.py"), "--assignments", str(FOLDER)]) == 1
    printed = capfd.readouterr().out
    assert "sparse_product: right." in printed
    assert "far more lines run than there are connections" in printed
