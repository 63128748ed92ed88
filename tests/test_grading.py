"""The grader: its channel, its processes, a class graded, killed and graded again, and what it says of mistakes."""

import csv
import io
import json
import re
import shutil
import sys
from pathlib import Path

import class_of_a_hundred
import numpy as np
import pytest

from numpy_setlstm.cli import main
from numpy_setlstm.grading import Limits, Submission, Wrong, grade, grade_submission, judge_here, load_assignment, pages
from numpy_setlstm.grading import notebook as files
from numpy_setlstm.grading.static import findings
from numpy_setlstm.grading.wire import LENGTHS, Handle, WireError, pack, receive

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "notebooks" / "assignments"
A1 = FOLDER / "A1_forward"
LIMITS = Limits(seconds=4)
MANY = ("gate_order", "overflow", "padding_read", "in_place", "h_for_c", "last_state_only")

# The channel


def sent(value):
    return receive(io.BytesIO(pack(value)))


@pytest.mark.parametrize(
    "array",
    [np.arange(6).reshape(2, 3), np.array(2.5), np.zeros((0, 3)), np.array([1j]), np.array([True]), np.float32(1)],
)
def test_arrays_come_back_with_shape_and_type(array):
    got = sent([array])[0]
    assert got.dtype == array.dtype and got.shape == np.shape(array) and np.array_equal(got, array)


def test_nests_and_handles_come_back():
    got = sent({"a": (1, None, "text", [True, 2.5]), "b": Handle(7)})
    assert got["a"] == (1, None, "text", [True, 2.5]) and got["b"].number == 7


@pytest.mark.parametrize(
    "value", [object(), np.array([object()]), np.array(["text"]), {"f": len}, np.datetime64("2020")]
)
def test_nothing_but_numbers_and_text_is_sent(value):
    with pytest.raises(WireError, match="not an array of numbers"):
        pack(value)


@pytest.mark.parametrize(
    "header",
    [b"{", b"[]x", b'{"array": ["O", [1]]}', b'{"array": ["<f8", [-1]]}', b'{"array": ["<f8", [9]]}', b'{"other": []}',
     b'{"array": ["<f8", [1e9]]}', b'{"list": 3}', b"{}", b"[" * 10_000, b'{"array": ["<f8", [99999999999999999]]}'],
)  # fmt: skip
def test_a_damaged_message_is_an_error_and_nothing_else(header):
    with pytest.raises(WireError):
        value = receive(io.BytesIO(LENGTHS.pack(len(header), 8) + header + b"\0" * 8))
        assert value == header, value


def test_a_message_of_absurd_length_takes_no_memory():
    with pytest.raises(WireError, match="too large"):
        receive(io.BytesIO(LENGTHS.pack(5, 2**60) + b"x"))


# A submission in its process


def submission(code, **options):
    return Submission([("cell 1", "import numpy as np\n" + code)], limits=LIMITS, **options)


def test_a_cache_stays_in_the_process_and_may_be_used_again():
    with submission("def f(x): return 2 * x, {'x': x, 'f': f}\ndef g(d, c): return d * c['x']") as student:
        out, cache = student.call("f", np.arange(3.0), keep=[1])
        assert isinstance(cache, Handle) and out.tolist() == [0, 2, 4]
        assert student.call("g", np.array(3.0), cache).tolist() == [0, 3, 6]
        assert student.call("g", np.array(1.0), cache).tolist() == [0, 1, 2]


def test_what_is_sent_is_a_copy():
    x = np.ones(3)
    with submission("def f(x):\n    x += 1\n    return x") as student:
        assert student.call("f", x).tolist() == [2, 2, 2] and x.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("code", "cause", "report"),
    [
        ("def f(x): return x.nothing", "f stops with AttributeError", "line 2 of cell 1"),
        ("def f(x): raise NotImplementedError", "not implemented yet", "not implemented"),
        ("g = 1", "f is missing", "There is no function f"),
        ("f = 1", "f is missing", "There is no function f"),
        ("def f(x): return object()", "f returns no numbers", "not an array of numbers"),
        (
            "def f(x): return [0.5 + 1e-9 * k for k in range(100_000)]",
            "f returns too much",
            "got lists with 100,000 entries, 1,289,009 bytes; at most 1,048,576 bytes of lists are sent: return a Nu",
        ),
        ("def f(x): return np.zeros(2**25 + 1)", "f returns too much", "got arrays of 268,435,464 bytes; at most 268,"),
        ("import os\ndef f(x): os.kill(os.getppid(), 9)", "not allowed: os.kill", "not allowed"),
        ("import ctypes\ndef f(x): return ctypes.CDLL(None).getpid()", "not allowed: ctypes.dlopen", "not allowed"),
        (
            "def f(x): return open('/etc/passwd').read()",
            "not allowed: a file outside of its folder",
            "cannot be opened",
        ),
        ("def f(x): return __import__('scipy').__version__", "not allowed: import scipy", "cannot be imported"),
        ("import os\ndef f(x): os.symlink('/', 'root')", "not allowed: os.symlink", "not allowed"),
        ("import socket\ndef f(x): socket.socket()", "not allowed: socket.__new__", "not allowed"),
        ("import sys\ndef f(x): sys.settrace(None)", "not allowed: sys.settrace", "not allowed"),
    ],
)
def test_what_a_call_ends_with_is_named(code, cause, report):
    with submission(code) as student:
        with pytest.raises(Wrong) as caught:
            student.call("f", 1.0)
        assert caught.value.cause == cause and report in caught.value.report


def test_the_own_folder_is_empty_and_may_be_written():
    code = "import os\ndef f(): open('a.txt', 'w').write('1'); return len(os.listdir('.'))"
    with submission(code) as student:
        assert student.call("f") == 1
        folder = Path(student.folder)
        assert (folder / "a.txt").exists()
    assert not folder.exists()


def test_an_environment_of_the_grader_is_not_seen(monkeypatch):
    monkeypatch.setenv("NUMPY_SETLSTM_ASSIGNMENTS", "secret")
    with submission("import os\ndef f(): return sorted(os.environ.values())") as student:
        assert not any("secret" in value or "assignments" in value for value in student.call("f"))


def test_a_cell_that_ends_the_process_costs_that_cell_alone():
    cells = [("cell 1", "import os\na = 1"), ("cell 2", "os._exit(0)"), ("cell 3", "def f(): return a")]
    with Submission(cells, limits=LIMITS) as student:
        assert student.call("f") == 1 and student.remarks == ["cell 2: the process ended"]


def test_a_forged_answer_is_one_more_answer():
    """Whoever finds the channel can say no more than a function could return."""
    code = """
import os
from numpy_setlstm.grading.wire import pack
def f():
    for number in range(3, 12):
        try:
            os.write(number, pack({"value": 3, "lines": "many", "refused": 5, "points": 20}))
        except OSError:
            pass
    return 4
"""
    with submission(code) as student:
        value, answer = student.measure("f")
        assert value == 3 and answer["lines"] == 0 and answer["refused"] == [] and "points" not in answer


def test_warnings_and_lines_are_told():
    with submission("def f(x):\n    for k in range(50):\n        y = k\n    return 1 / (1 + np.exp(x))") as student:
        _, answer = student.measure("f", np.array([1e4]))
        assert answer["warnings"] == ["overflow encountered in exp"] and 100 < answer["lines"] < 200


def test_time_that_passes_without_computing_ends_too():
    student = Submission([("cell 1", "import time\ndef f(): time.sleep(600)")], limits=Limits(wall_seconds=1.5))
    with student, pytest.raises(Wrong) as caught:
        student.call("f")
    assert caught.value.cause == "no answer in time"


# What is read


def test_lines_for_jupyter_are_left_out():
    assert files.plain_python("%matplotlib inline\nx = 1\n!ls\n  %time f()") == "pass\nx = 1\npass\n  pass"
    assert files.plain_python("%%bash\nrm -r /") == "" and files.plain_python("%%time\nx = 1") == "#\nx = 1"
    assert files.plain_python("x = (7\n% 2)") == "x = (7\n% 2)"


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.ipynb", "{", "is no notebook"),
        ("a.ipynb", '{"cells": [{"cell_type": "code"}]}', "is no notebook"),
        ("a.ipynb", "[" * 100_000, "is no notebook"),
        ("a.py", "def f(:", "is no Python: SyntaxError in line 1"),
        ("a.py", "\0", "is no Python"),
        ("a.txt", "", "is neither a notebook"),
    ],
)
def test_a_file_that_cannot_be_read_has_no_points_and_a_reason(name, text, reason, tmp_path):
    (tmp_path / name).write_text(text, encoding="utf8")
    record = grade_submission(load_assignment("A1", FOLDER), tmp_path / name, 1, LIMITS)
    assert all(t["points"] == 0 and t["cause"] == "cannot be read" and reason in t["report"] for t in record["tasks"])


def test_given_cells_that_a_student_changed_or_lost_are_as_they_were(tmp_path):
    notebook = files.read_notebook(A1 / "A1_forward.ipynb")
    setup = next(k for k, cell in enumerate(notebook["cells"]) if files.grade_id(cell) == "setup")
    for change in ("del", "edit"):
        cells = list(notebook["cells"])
        cells[setup] = cells[setup] | {"source": "import nothing_at_all"}
        if change == "del":
            del cells[setup]
        (tmp_path / "a.ipynb").write_text(json.dumps(notebook | {"cells": cells}), encoding="utf8")
        record = grade_submission(load_assignment("A1", FOLDER), tmp_path / "a.ipynb", 1, LIMITS)
        assert [task["points"] for task in record["tasks"]] == [4, 8, 8]


def test_a_mark_without_partner_stops_the_release():
    cell = {"cell_type": "code", "source": "def f():\n    ### BEGIN SOLUTION\n    return 1\n", "metadata": {}}
    with pytest.raises(ValueError, match="cell 1 has '### BEGIN SOLUTION' without its partner"):
        files.student_version({"cells": [cell]})


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from numpy_setlstm import check_layer\nimport numpy_setlstm\nimport numpy as np", []),
        ("from numpy_setlstm.layers import lstm", ["cell 1, line 1: imports numpy_setlstm.layers.lstm"]),
        ("import torch.nn as n", ["cell 1, line 1: imports torch.nn"]),
        ("x = 'numpy_setlstm.one_file'", ["cell 1, line 1: has the text 'numpy_setlstm.one_file'"]),
        ("np.tanh = abs", ["cell 1, line 1: replaces np.tanh"]),
    ],
)
def test_the_source_says_what_a_person_should_look_at(code, found):
    assert findings([("cell 1", code)]) == found


# A class


@pytest.fixture
def submissions(tmp_path):
    """Some wrong answers, in the ways in which they are handed in."""
    folder = tmp_path / "submitted"
    (folder / "anna" / "A1_forward").mkdir(parents=True)
    (folder / "nobody").mkdir()
    shutil.copy(A1 / "A1_forward.ipynb", folder / "anna" / "A1_forward")
    shutil.copy(A1 / "wrong" / "gate_order.py", folder / "copy.py")
    for name in MANY:
        shutil.copy(A1 / "wrong" / f"{name}.py", folder)
    return folder


def points(path):
    """The points of grades.csv, by student and task."""
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf8"))))
    assert list(rows[0]) == ["student", "task", "points", "maximum", "cause"]
    return {(row["student"], row["task"]): float(row["points"]) for row in rows}


def test_a_class_is_graded_and_each_student_has_pages(submissions, tmp_path):
    grade("A1", submissions, tmp_path / "out", seed=5, folder=FOLDER, limits=LIMITS)
    found = points(tmp_path / "out" / "grades.csv")
    assert sum(found[("anna", task)] for task in ("sigmoid", "step", "sequence")) == 20
    assert {student for student, _ in found} == {"anna", "nobody", "copy", *MANY}
    assert sum(value for (student, _), value in found.items() if student == "nobody") == 0
    students = tmp_path / "out" / "students"
    page = (students / "overflow" / "report.md").read_text(encoding="utf8")
    assert "16 of 20 points" in page and "NumPy warns for z up to 1000" in page
    assert "<td>overflow</td>" in (students / "overflow" / "report.html").read_text(encoding="utf8")
    results = json.loads((students / "overflow" / "results.json").read_text(encoding="utf8"))
    assert results["score"] == 16 and [test["max_score"] for test in results["tests"]] == [4, 8, 8]
    whole = (tmp_path / "out" / "class.md").read_text(encoding="utf8")
    assert "| copy | gate_order | step, sequence |" in whole and "| 2 | step | gate order ifgo |" in whole
    assert (tmp_path / "out" / "pairs.csv").read_text(encoding="utf8").splitlines() == [
        "first,second,tasks", "copy,gate_order,\"step, sequence\"",
    ]  # fmt: skip


def test_what_is_graded_already_is_not_run_again_and_what_changed_is(submissions, tmp_path):
    options = {"folder": FOLDER, "limits": LIMITS}
    grade("A1", submissions, tmp_path / "out", **options)
    before = (tmp_path / "out" / "grades.csv").read_bytes()
    records = {path.parent.name: path.stat().st_mtime_ns for path in tmp_path.glob("out/students/*/record.json")}
    shutil.rmtree(tmp_path / "out" / "students" / "h_for_c")
    (tmp_path / "out" / "grades.csv").unlink()
    (submissions / "overflow.py").write_text("x = 1", encoding="utf8")
    seeds = {record["seed"] for record in grade("A1", submissions, tmp_path / "out", **options).values()}
    assert len(seeds) == 1
    after = (tmp_path / "out" / "grades.csv").read_bytes()
    assert [a for a, b in zip(before.splitlines(), after.splitlines(), strict=True) if a != b] == [
        b"overflow,sigmoid,0,4,overflow", b"overflow,step,8,8,", b"overflow,sequence,8,8,",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="choose another --output"):
        grade("A1", submissions, tmp_path / "out", seed=1, **options)
    assert records.keys() == {path.parent.name for path in tmp_path.glob("out/students/*/record.json")}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's /proc and signals")
def test_the_grader_killed_in_the_middle_and_started_again_gives_the_same_points(capsys):
    """A short form of ``python tests/class_of_a_hundred.py``."""
    code = class_of_a_hundred.main(["A1", "--submissions", "10", "--seconds", str(LIMITS.seconds)])
    assert code == 0, capsys.readouterr().out


def test_a_student_reads_of_points_that_a_person_gives():
    task = {"task": "runs", "points": 6, "maximum": 6, "cause": "", "report": ""}
    for note, expected in (
        ({"note": "A person gives 4 more."}, "6 of 6 points. A person gives 4 more."),
        ({}, "6 of 6 points"),
    ):
        assert pages.student_page("A6", "anna", {"tasks": [task]} | note)[1] == ("text", expected)


def test_a_student_page_has_nothing_of_the_hidden_tests(submissions, tmp_path):
    grade("A1", submissions, tmp_path / "out", folder=FOLDER, limits=LIMITS)
    pages = "".join(path.read_text(encoding="utf8") for path in tmp_path.glob("out/students/*/report.*"))
    hidden = (A1 / "hidden.py").read_text(encoding="utf8")
    lines = {line.strip() for line in hidden.splitlines() if len(line.strip()) > 30}
    assert not [line for line in lines if line in pages] and "rng" not in pages and str(ROOT) not in pages


def test_the_error_that_nbgrader_shows_has_no_line_of_the_hidden_tests(monkeypatch):
    monkeypatch.setenv("NUMPY_SETLSTM_ASSIGNMENTS", str(FOLDER))
    for broken in (lambda z: z, lambda z: {"a": {}}, lambda z: 1 / 0):
        with pytest.raises(AssertionError) as caught:
            judge_here("A1", "sigmoid", {"sigmoid": broken})
        shown = "\n".join(caught.value._render_traceback_())
        assert shown and "expect(" not in shown and caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("code", "report"),
    [
        ("def sigmoid(z): raise NotImplementedError", "sigmoid is not implemented yet."),
        ("sigmoid = 1", "There is no function sigmoid; was its cell stopped by an error?"),
        ("import sys\ndef sigmoid(z): sys.exit(0)", "sigmoid stops: SystemExit: 0"),
        ("def sigmoid(z): return 1 / 0", "sigmoid stops: ZeroDivisionError: division by zero"),
    ],
)
def test_in_nbgrader_students_read_what_they_read_elsewhere(code, report, monkeypatch):
    monkeypatch.setenv("NUMPY_SETLSTM_ASSIGNMENTS", str(FOLDER))
    names = {}
    exec(code, names)
    with pytest.raises(AssertionError) as here:
        judge_here("A1", "sigmoid", names)
    with submission(code) as student, pytest.raises(Wrong) as there:
        load_assignment("A1").tasks[0].judge(student, np.random.default_rng(0))
    assert str(here.value) == report == re.sub(r"line \d+ of cell 1: ", "", there.value.report)


# The command line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["release", "A99", "--output", "a.ipynb"], "there is no assignment 'A99'"),
        (["release", "A1", "--output", "nowhere/a.ipynb"], "there is no folder nowhere"),
        (["check", "A1", "missing.py"], "missing.py"),
        (["check", "A1", "text.txt"], "is neither a notebook"),
        (["grade", "A1", "missing", "--output", "out"], "there is no folder missing"),
        (["grade", "A1", "empty", "--output", "out"], "has no submissions"),
        (["grade", "A1", "empty", "--output", "out", "--seed", "-1"], "is negative"),
    ],
)
def test_an_error_is_one_line(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("x")
    try:
        assert main([*options, "--assignments", str(FOLDER)]) == 2
    except SystemExit as stop:  # of the parser
        assert stop.code == 2
    printed = capsys.readouterr()
    assert len(printed.err.splitlines()) == 1 and message in printed.err and printed.out == ""


@pytest.mark.parametrize(
    ("check", "code"),
    [
        ("with visible.trying('f'):\n    f()", 0),
        ("with visible.trying('f'):\n    g()", 1),
        ("with visible.trying('f'):\n    visible.compare('f', f, 2.0)", 1),
        ("visible.compare('f', f, 1.0)\nwith visible.picture('g'):\n    g()", 0),
        ("visible.compare('f', f, 1.0)\ng()", 1),
        ("visible.compare('f', f, 1.0)\nraise NotImplementedError", 1),
    ],
)
def test_whatever_stops_a_check_is_a_failed_check(check, code, tmp_path, capfd):
    """A picture is none, and neither is what students try for themselves."""
    own = "from numpy_setlstm.grading import visible\ndef f(): return 1.0\nwith visible.trying('own'):\n    g()"
    cells = [
        {"cell_type": "code", "source": source, "metadata": {"nbgrader": {"grade_id": name}}}
        for name, source in (("own", own), ("check-f", check))
    ]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf8")
    assert main(["check", "A1", str(tmp_path / "a.ipynb"), "--assignments", str(tmp_path)]) == code
    capfd.readouterr()


def test_the_command_says_where_the_results_are(tmp_path, capsys):
    options = ["--output", str(tmp_path / "out"), "--assignments", str(FOLDER)]
    assert main(["grade", "A1", str(A1 / "wrong" / "overflow.py"), *options]) == 0
    assert capsys.readouterr().out == f"1 submissions, 16.0 points on average: {tmp_path / 'out' / 'class.html'}\n"


def test_a_student_without_the_repository_runs_the_checks_of_the_notebook(tmp_path, capfd):
    assert main(["release", "A1", "--output", str(tmp_path / "a.ipynb"), "--assignments", str(FOLDER)]) == 0
    assert main(["check", "A1", str(tmp_path / "a.ipynb"), "--assignments", str(tmp_path)]) == 1
    assert "lstm_step: not implemented yet." in capfd.readouterr().out
