"""The mutation test: the mutants, the copies of the package, and the verdict: do the tests notice every mistake?"""

import multiprocessing
import sys
import textwrap
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("resource", reason="mutants are run in forks with limited time and memory, which Windows has not")

import mutation  # noqa: E402
from mutants import KINDS, mutants_of  # noqa: E402
from slow_part import part_of  # noqa: E402


def mutants(code):
    return mutants_of(textwrap.dedent(code).lstrip("\n"))


def changes(code, kind):
    """What becomes of a piece of code, by mutations of one kind."""
    return {mutant.after for mutant in mutants(code) if mutant.kind == kind}


# The engine

EXAMPLES = {
    "sign": (
        "def function(a, b):\n    c = np.add(a * b, b)\n    return a + -b",
        {"np.subtract(a * b, b)", "np.add(a / b, b)", "np.add(-(a * b), b)", "a - -b", "a + b"},
    ),
    "dropped": (
        "def function(a, b):\n    c = max(a, b) if a and b else b\n    return a + b**2 / a",
        {"a", "b", "a + b ** 2", "a + a", "b ** 2 / a", "a + b / a", "max(a, b) if a else b", "max(a, b)",
         "max(a, b) if b else b", "a if a and b else b", "b if a and b else b"},
    ),
    "gates": (
        "def function(z):\n    i, f = split(z)\n    return f * z",
        {"(f, i)", "i * z"},
    ),
    "names": (
        "def function(rows, cols):\n    n = W.rows\n    return rows + 1",
        {"W.cols", "cols + 1"},
    ),
    "exchanged": (
        "def function(x, i, j):\n    y = x[i, j] + where(i, j, y)\n    return x @ y - i",
        {"x[j, i] + where(i, j, y)", "x[i, j] + where(j, i, y)", "x[i, j] + where(i, y, j)", "y @ x - i", "i - x @ y"},
    ),
    "off by one": (
        "def function(x, n):\n    for t in reversed(range(n)):\n        y = x[t] + x[: n - 1]",
        {"range(n)", "reversed(range(0 + 1, n))", "reversed(range(0, n - 1))", "reversed(range(0, n + 1))",
         "x[t - 1] + x[:n - 1]", "x[t] + x[1:n - 1]", "x[t] + x[:n - 1 - 1]", "x[t] + x[:n - 1 + 1]"},
    ),
    "axes": (
        "def function(x):\n    return x.sum(axis=1)",
        {"x.sum(axis=0)", "x.sum(axis=2)"},
    ),
    "updates": (
        "def function(x, y):\n    x += y\n    return x",
        {"x = y", "x -= y"},
    ),
    "transposed": (
        "def function(x):\n    y = x.T\n    return x.transpose(1, 0, 2)",
        {"x", "x.transpose(0, 1, 2)", "x.transpose(0, 2, 1)", "x.transpose(1, 2, 0)", "x.transpose(2, 0, 1)",
         "x.transpose(2, 1, 0)"},
    ),
    "constants": (
        "def function(x, flag=True):\n    y = 0.5 * x\n    return x[3]",
        {"False", "0.505 * x", "x[4]", "x[2]"},
    ),
    "types": (
        "def function(x):\n    return x.astype(np.float32)",
        {"x.astype(np.float64)"},
    ),
    "compared": (
        "def function(x):\n    y = x < 1 or not x\n    return 0 == x <= 2",
        {"x <= 1 or not x", "x >= 1 or not x", "x < 1 and (not x)", "x < 1 or x", "0 != x <= 2", "0 == x < 2",
         "0 == x > 2"},
    ),
    "statements": (
        "def function(x, y):\n    x.append(y)\n    y += 1\n    x[0] = y",
        {"pass"},
    ),
    "calls": (
        "def function(x):\n    y = np.tanh(x.real)\n    return x.copy().sum(keepdims=True)",
        {"x.real", "np.tanh(x)", "x.sum(keepdims=True)", "x.copy().sum()"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_mutation(kind):
    code, expected = EXAMPLES[kind]
    assert changes(code, kind) == expected


def test_a_mutant_is_the_source_with_one_change():
    code = '"""Größe."""\ndef function(a):  # σ\n    return (a + 1) * 2  # doubled\n'
    source = next(m.source for m in mutants_of(code) if m.after == "(a + 1) / 2")
    assert source == code.replace("(a + 1) * 2", "((a + 1) / 2)")


@pytest.mark.parametrize("file", mutation.TARGETS)
def test_mutants_are_distinct_and_can_be_compiled(file):
    found = mutation.mutants_in(file)
    assert len({m.name for m in found}) == len({m.source for m in found}) == len(found) > 20
    for mutant in found[::20]:
        compile(mutant.source, file, "exec")


def test_the_names_survive_edits_elsewhere():
    code = "def second(a, b):\n    return a * b\n"
    edited = "def first(a):\n    return -a\n\n\ndef second(a, b):\n    '''New.'''\n    return a * b  # more\n"
    names = {mutant.name for mutant in mutants_of(code)}
    assert "example.py:second: return a * b | a * b -> a / b" in names
    assert names == {mutant.name for mutant in mutants_of(edited) if mutant.function == "second"}


def test_the_same_line_twice_is_numbered():
    names = [m.name for m in mutants("def function(a):\n    a = -a\n    a = -a\n    return a") if m.kind == "sign"]
    assert names == [
        "example.py:function: a = -a | -a -> a",
        "example.py:function: a = -a | -a -> a (no. 2)",
    ]


def test_what_is_no_computation_is_left_out():
    code = '''
        """Adds 1 + 1."""
        import numpy as np

        __all__ = ["function", "Thing"]

        def check_numbers(a):
            return a + 1

        def function(a: 1 + 1, b) -> 2 + 2:
            """Adds 3 + 3."""
            check_numbers(a)
            for name, size in (("a", a), ("b", b)):
                limit = size + 5
                if size < limit - 1:
                    raise ValueError(f"{size - 1}")
            wrong = a + 7
            if wrong > 8:
                if b:
                    raise ValueError("9")

        class Thing:
            def __repr__(self):
                return "1" + "2"
    '''
    assert mutants(code) == []


def test_the_strictness_of_a_zip_is_left_out_and_other_keywords_are_not():
    code = "def function(a, b):\n    return other(zip(a, b, strict=True), strong=True)"
    assert changes(code, "calls") == {"other(zip(a, b, strict=True))"}
    assert changes(code, "constants") == {"other(zip(a, b, strict=True), strong=False)"}


def test_a_constant_of_the_module_is_computation():
    assert changes("COLUMNS = 64", "constants") == {"65", "63"}


def test_a_condition_that_does_more_than_raise_is_computation():
    code = """
        def function(a, b):
            if a > 8:
                raise ValueError
            else:
                b = a
            return b
    """
    assert changes(code, "compared") == {"a >= 8", "a <= 8"}


# The copies of the package, and the processes


def sigmoids_of_zero():
    """Of the package, and of a copy with a mistake; in a process of its own, as the package is imported anew."""
    sigmoids = []
    for change in ("1", "2"):
        source = (mutation.PACKAGE / "layers/lstm.py").read_text(encoding="utf-8")
        mutation.load_copy("layers/lstm.py", source.replace("return 0.5 * (1 +", f"return 0.5 * ({change} +"))
        from numpy_setlstm import SparseMatrix, lstm_forward
        from numpy_setlstm.layers import lstm, trace
        from numpy_setlstm.sparse import SparseMatrix as also

        assert lstm_forward is lstm.lstm_forward and trace.GATES is lstm.GATES and SparseMatrix is also
        sigmoids.append(float(lstm.sigmoid(np.zeros(1))[0]))
    return sigmoids


def test_a_copy_has_the_mistake_and_the_package_has_not():
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(sigmoids_of_zero).result() == [0.5, 1.0]


def test_what_does_not_end_is_ended_and_what_crashes_is_reported():
    """An endless loop, a wait, an allocation of 64 GB, a crash of the interpreter, and code that is right."""
    planted = {
        "wait": "import time; time.sleep(1000)",
        "loop": "while True: pass",
        "memory": "import numpy; numpy.ones(2**33)",
        "crash": "import os, signal; os.kill(os.getpid(), signal.SIGABRT)",
        "exit": "raise SystemExit",
        "right": "",
    }
    one = mutation.mutants_in("layers/trace.py")[0]
    source = (mutation.PACKAGE / "layers/trace.py").read_text(encoding="utf-8")
    jobs = [replace(one, line=name, source=f"{source}\n{code}\n") for name, code in planted.items()]
    outcomes = mutation.run(jobs, wall_seconds=6)
    by_name = {name: outcomes[job.name] for name, job in zip(planted, jobs, strict=True)}
    assert {name: outcome for name, (outcome, _) in by_name.items()} == {
        "wait": "ended",
        "loop": "ended",
        "memory": "crashed",
        "crash": "crashed",
        "exit": "crashed",
        "right": "survived",
    }
    assert "MemoryError" in by_name["memory"][1]


# The tests without pytest


runs = []


@pytest.fixture
def three():
    return 3


@pytest.mark.parametrize(("a", "b"), [(1, 2), pytest.param(4, 5, id="large")])
@pytest.mark.parametrize("c", [6, 7])
def example(a, b, c, three, monkeypatch):
    monkeypatch.setattr(sys, "argv", [])
    runs.append((a, b, three, c))


def test_a_test_runs_for_each_case_with_its_fixtures():
    arguments = list(sys.argv)
    mutation.run_test(__name__, "example")
    assert sorted(runs) == [(1, 2, 3, 6), (1, 2, 3, 7), (4, 5, 3, 6), (4, 5, 3, 7)]
    assert sys.argv == arguments != []


def test_of_many_cases_some_run_always_the_same():
    @pytest.mark.parametrize("n", range(1000))
    def function(n):
        pass

    cases = mutation.cases_of(function)
    assert len({case["n"] for case in cases}) == len(cases) == mutation.MOST_CASES
    assert cases == mutation.cases_of(function)


# The list of equivalents, and the verdict


def test_complaints_name_the_mutant():
    outcomes = {"a": ("survived", ""), "b": ("survived", ""), "c": ("wrong", "products: 5, expected 4")}
    assert mutation.complaints("abcd", outcomes, {"b": "why", "c": "why", "d": "why", "e": "why"}) == [
        "survives, so the tests are too weak or it is equivalent: a",
        "listed as equivalent, but no such mutant exists: e",
        "listed as equivalent, but caught (products: 5, expected 4): c",
    ]


def test_an_equivalent_needs_a_reason_and_is_listed_once():
    text = "# a comment\n\nname\nother\n    one line\n    and another\n\nthird\n    why\n"
    assert mutation.read_equivalents(text) == {
        "name": "one line and another",
        "other": "one line and another",
        "third": "why",
    }
    with pytest.raises(ValueError, match="without a reason.*: other"):
        mutation.read_equivalents("name\n    why\n\nother\n")
    with pytest.raises(ValueError, match="twice.*: name"):
        mutation.read_equivalents("name\n    why\n\nname\n    why\n")


def test_every_layer_and_everything_fast_is_a_target():
    """Memory is left out, which computes nothing."""
    files = {
        f"{room}/{path.name}" for room in ("layers", "fast") for path in (mutation.PACKAGE / room).glob("[!_]*.py")
    }
    assert files - {"fast/memory.py"} <= mutation.TARGETS.keys()


def assert_noticed(mutants):
    """Each of the mutants is noticed, or listed as equivalent."""
    outcomes = mutation.run(mutants)
    equivalents = mutation.read_equivalents(mutation.EQUIVALENTS.read_text(encoding="utf-8"))
    print(mutation.table(mutants, outcomes, equivalents))
    names = {mutant.name for file in mutation.TARGETS for mutant in mutation.mutants_in(file)}
    assert outcomes.keys() <= names and len(outcomes) == len(mutants)
    complaints = mutation.complaints(names, outcomes, equivalents)
    assert not complaints, "\n".join(complaints)


def test_some_mistakes_of_each_file_are_noticed():
    assert_noticed(mutation.sample(per_file=3))


@pytest.mark.slow
def test_every_mistake_is_noticed():
    """Or, with SLOW_PART=1/6, every sixth of them."""
    assert_noticed(part_of([mutant for file in mutation.TARGETS for mutant in mutation.mutants_in(file)]))


@pytest.mark.slow
def test_the_package_itself_passes():
    first = [mutation.mutants_in(file)[0] for file in mutation.TARGETS]
    package = [replace(m, line="itself", source=(mutation.PACKAGE / m.file).read_text(encoding="utf-8")) for m in first]
    assert mutation.run(package) == {mutant.name: ("survived", "") for mutant in package}
