"""The checks of gradients, values and storage are checked themselves: do they notice every mistake?"""

import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("resource", reason="mutants are run in forks with limited time and memory, which Windows has not")

import mutation  # noqa: E402
import mutation_checks  # noqa: E402
from mutants import KINDS, mutants_of  # noqa: E402


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
    found = mutation.all_mutants([file])
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


def test_a_copy_has_the_mistake_and_the_package_has_not():
    before = dict(sys.modules)
    source = (mutation.PACKAGE / "layers/lstm.py").read_text(encoding="utf-8")
    copy = mutation.PackageCopy("layers/lstm.py", source.replace("return 0.5 * (1 +", "return 0.5 * (2 +"))
    assert copy.layers.lstm.sigmoid(np.zeros(1)) == 1.0
    assert copy.module("numpy_setlstm.network").fast_lstm_forward is copy.fast.lstm.fast_lstm_forward
    assert copy.layers.lstm.weight_gradient is copy.sparse.weight_gradient
    assert {name: module for name, module in sys.modules.items() if name in before} == before
    real = sys.modules["numpy_setlstm.layers.lstm"]
    assert real.sigmoid(np.zeros(1)) == 0.5
    assert real is not copy.layers.lstm
    assert sys.modules["numpy_setlstm.sparse"] is not copy.sparse
    assert mutation.PackageCopy().layers.lstm.sigmoid(np.zeros(1)) == 0.5


def test_what_does_not_end_is_ended_and_what_crashes_is_reported():
    """An endless loop, a wait, an allocation of 64 GB, a crash of the interpreter, and code that is right."""
    planted = {
        "loop": "while True: pass",
        "wait": "import time; time.sleep(1000)",
        "memory": "import numpy; numpy.ones(2**33)",
        "crash": "import os, signal; os.kill(os.getpid(), signal.SIGABRT)",
        "exit": "raise SystemExit",
        "right": "",
    }
    one = mutation.all_mutants(["fast/kernels.py"])[0]
    source = (mutation.PACKAGE / "fast/kernels.py").read_text(encoding="utf-8")
    jobs = [replace(one, line=name, source=f"{source}\n{code}\n") for name, code in planted.items()]
    outcomes = mutation.run(jobs, cpu_seconds=3, wall_seconds=6)
    by_name = {name: outcomes[job.name] for name, job in zip(planted, jobs, strict=True)}
    assert {name: outcome for name, (outcome, _) in by_name.items()} == {
        "loop": "ended",
        "wait": "ended",
        "memory": "crashed",
        "crash": "crashed",
        "exit": "crashed",
        "right": "survived",
    }
    assert by_name["memory"][1].startswith("MemoryError")


# The list of equivalents, and the verdict


def test_complaints_name_the_mutant():
    outcomes = {
        "kernels.py:a: 1 -> 2": ("survived", ""),
        "kernels.py:b: 1 -> 2": ("survived", ""),
        "kernels.py:c: 1 -> 2": ("wrong", "products: 5, expected 4"),
        "kernels.py:d: 1 -> 2": ("ended", "it did not end by itself"),
    }
    reasons = dict.fromkeys(["kernels.py:b: 1 -> 2", "kernels.py:c: 1 -> 2", "kernels.py:e: 1 -> 2", "x.py:f"], "why")
    found = mutation.complaints(outcomes, reasons, ["fast/kernels.py"])
    assert [complaint.split(":")[0] for complaint in found] == [
        "survives, so the checks are too weak or it is equivalent",
        "listed as equivalent, but there is no such mutant any more",
        "listed as equivalent, but it is caught (products",
    ]
    assert [complaint[-len("kernels.py:a: 1 -> 2") :] for complaint in found] == [
        "kernels.py:a: 1 -> 2",
        "kernels.py:e: 1 -> 2",
        "kernels.py:c: 1 -> 2",
    ]


def test_an_equivalent_needs_a_reason_and_is_listed_once():
    assert mutation.read_equivalents("# a comment\n\nname\n    one line\n    and another\n") == {
        "name": "one line and another"
    }
    with pytest.raises(ValueError, match="without a reason.*: other"):
        mutation.read_equivalents("name\n    why\nother\n")
    with pytest.raises(ValueError, match="twice.*: name"):
        mutation.read_equivalents("name\n    why\nname\n    why\n")


def test_every_file_of_layers_is_a_target():
    files = {f"layers/{path.name}" for path in (mutation.PACKAGE / "layers").glob("[!_]*.py")}
    assert files <= set(mutation.TARGETS)


def test_every_target_has_checks_of_its_own():
    assert set(mutation_checks.CHECKS) == set(mutation.TARGETS)
    assert all(mutation_checks.CHECKS.values())


def test_the_package_passes_the_checks():
    mutation_checks.run(mutation.PackageCopy())


def test_every_mistake_is_noticed():
    found = mutation.all_mutants()
    outcomes = mutation.run(found)
    equivalents = mutation.read_equivalents(mutation.EQUIVALENTS.read_text(encoding="utf-8"))
    print(mutation.table(found, outcomes, equivalents))
    assert len(outcomes) == len(found) >= 150
    complaints = mutation.complaints(outcomes, equivalents)
    assert not complaints, "\n".join(complaints)
