"""The mutation test: does a mistake anywhere in the hand-written passes make the checks fail?

Every mutant of the files in TARGETS (see :mod:`mutants`) is put in place of the original in a copy of the package, and
the checks (see :mod:`mutation_checks`) are run on that copy. By hand, from the top of the repository::

    .venv/bin/python tests/mutation.py                       # the table
    .venv/bin/python tests/mutation.py --list survived       # or: wrong, crashed, ended, all
    .venv/bin/python tests/mutation.py layers/lstm.py        # one file
"""

import argparse
import builtins
import contextlib
import importlib.util
import json
import multiprocessing
import os
import resource
import select
import signal
import sys
import time
import types
import unittest.mock
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path

import mutation_checks
from mutants import KINDS, mutants_of

import numpy_setlstm

PACKAGE = Path(numpy_setlstm.__file__).parent

# One line per file that computes; `mutation_checks.CHECKS` has to cover it.
TARGETS = (
    "optimizers.py",
    "fast/kernels.py",
    "sparse.py",
    "fast/products.py",
    "fast/threads.py",
    "layers/dropout.py",
    "layers/embedding.py",
    "fast/embedding.py",
    "layers/readout.py",
    "layers/lstm.py",
    "fast/lstm.py",
    "layers/trace.py",
)

EQUIVALENTS = Path(__file__).with_name("mutation_equivalents.txt")

CPU_SECONDS = 2  # the checks need a tenth of it; a mutant that needs more is in an endless loop
WALL_SECONDS = 20  # for a mutant that waits instead, as for a lock
BYTES = 4 * 2**30  # of address space


# A copy of the package


class PackageCopy:
    """A copy of the package's modules, apart from those in `sys.modules`, with other text in one of its files.

    Attributes lead to the modules of TARGETS: ``copy.layers.lstm``. An ``import`` in one of them loads another module
    of the copy, and `sys.modules` is never touched.

    Parameters
    ----------
    file, source : str, optional
        Which file of the package has another text, and the text.
    """

    def __init__(self, file=None, source=None):
        self.file, self.source = file, source
        self.modules = {"numpy_setlstm": types.ModuleType("numpy_setlstm")}
        for target in TARGETS:
            self.module("numpy_setlstm." + target.removesuffix(".py").replace("/", "."))

    def __getattr__(self, name):
        """Return a module of the package."""
        return getattr(self.modules["numpy_setlstm"], name)

    def module(self, name):
        """Load a module by its full name, and what it imports."""
        if name in self.modules:
            return self.modules[name]
        parent, _, last = name.rpartition(".")
        package = self.module(parent)
        file = "/".join(name.split(".")[1:]) + ".py"
        if not (PACKAGE / file).exists():
            file = file.removesuffix(".py") + "/__init__.py"
        module = self.modules[name] = types.ModuleType(name)
        module.__package__ = name if file.endswith("__init__.py") else parent
        module.__builtins__ = {**vars(builtins), "__import__": self.import_}
        code = compile(self.source, file, "exec") if file == self.file else compiled(file)
        exec(code, module.__dict__)
        setattr(package, last, module)
        return module

    def import_(self, name, globals=None, locals=None, fromlist=(), level=0):
        """Stand in for the built-in ``__import__`` within the copy."""
        if level:
            name = importlib.util.resolve_name("." * level + name, globals["__package__"])
        if name.split(".")[0] != "numpy_setlstm":
            return builtins.__import__(name, globals, locals, fromlist)
        module = self.module(name)
        for part in fromlist or ():
            if not hasattr(module, part):
                self.module(f"{name}.{part}")
        return module if fromlist else self.modules["numpy_setlstm"]


@lru_cache
def compiled(file):
    """Return the code of one of the package's own files."""
    return compile((PACKAGE / file).read_text(encoding="utf-8"), file, "exec")


# One mutant


def attempt(file, source, *, checks=mutation_checks.run, cpu_seconds=CPU_SECONDS, wall_seconds=WALL_SECONDS):
    """Run the checks on the package with one file replaced, in a process of its own.

    A mutant may loop forever, ask for all memory, start threads or spoil NumPy: it does so in a fork, whose end is the
    end of it all.

    Returns
    -------
    outcome : {"survived", "wrong", "crashed", "ended"}
        "wrong": a check found a wrong result; "crashed": an exception or a warning came first; "ended": it had to be
        ended.
    reason : str
        What the checks said.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            set_limits(cpu_seconds)
            os.write(writer, json.dumps(outcome_of(file, source, checks)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    try:
        ready, _, _ = select.select([reader], [], [], wall_seconds)
        answer = os.read(reader, 2**16) if ready else b""
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    if answer:
        return tuple(json.loads(answer))
    if not ready or os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL):
        return "ended", "it did not end by itself"
    return "crashed", f"the process died of signal {os.WTERMSIG(status)}"


def set_limits(cpu_seconds):
    """Limit the time and the memory of this process, and let it leave no core file."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    with contextlib.suppress(ValueError, OSError):  # macOS knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))


def outcome_of(file, source, checks):
    """Run the checks in this process; see :func:`attempt`."""
    try:
        checks(PackageCopy(file, source))
    except BaseException as error:  # also what is meant to get past `except Exception`
        kind = "wrong" if isinstance(error.__cause__, AssertionError) else "crashed"
        return kind, f"{type(error).__name__}: {error}"[:2000]
    return "survived", ""


def attempt_one(job, **limits):
    """Return the outcome of one job, (name, file, source); for a worker process."""
    name, file, source = job
    return name, attempt(file, source, **limits)


def warm_up():
    """Run the checks once in a worker, so that its forks find everything compiled and imported."""
    mutation_checks.run(PackageCopy())


# All mutants


def all_mutants(targets=TARGETS):
    """Return the mutants of some files of the package."""
    return [m for file in targets for m in mutants_of((PACKAGE / file).read_text(encoding="utf-8"), file)]


def run(mutants, workers=2, **limits):
    """Try mutants in worker processes; return a dict of name to (outcome, reason)."""
    jobs = [(mutant.name, mutant.file, mutant.source) for mutant in mutants]
    one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with unittest.mock.patch.dict(os.environ, one_thread):
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=warm_up) as pool:
            return dict(pool.map(partial(attempt_one, **limits), jobs, chunksize=4))


def read_equivalents(text):
    """Return the dict of name to reason that a text in the form of ``mutation_equivalents.txt`` holds."""
    reasons = {}
    for line in text.splitlines():
        if line.startswith(" "):
            name = list(reasons)[-1]
            reasons[name] = f"{reasons[name]} {line.strip()}".strip()
        elif line and not line.startswith("#"):
            if line in reasons:
                raise ValueError(f"listed twice as equivalent, once will do: {line}")
            reasons[line] = ""
    for name, reason in reasons.items():
        if not reason:
            raise ValueError(f"listed as equivalent without a reason; write it below, indented: {name}")
    return reasons


def complaints(outcomes, equivalents, targets=TARGETS):
    """What is wrong with the outcomes, in sentences; an empty list if every mutant is caught or known as equivalent.

    Parameters
    ----------
    outcomes : dict of str to (outcome, reason)
    equivalents : dict of str to str
        Names of mutants that may survive, and why.
    targets : sequence of str
        The files that were mutated.
    """
    listed = {name for name in equivalents if name.split(":")[0] in targets}
    survivors = {name for name, (outcome, _) in outcomes.items() if outcome == "survived"}
    return [
        *(f"survives, so the checks are too weak or it is equivalent: {n}" for n in sorted(survivors - listed)),
        *(f"listed as equivalent, but there is no such mutant any more: {n}" for n in sorted(listed - outcomes.keys())),
        *(
            f"listed as equivalent, but it is caught ({outcomes[n][1][:200]}): {n}"
            for n in sorted(listed & outcomes.keys() - survivors)
        ),
    ]


def table(mutants, outcomes, equivalents):
    """Return the score as lines of text: per kind, then per file, then in all."""
    heads = ("mutants", "caught", "wrong", "crashed", "ended", "equivalent", "unknown")
    lines = [f"{'':<20}" + "".join(f"{head:>11}" for head in heads)]
    groups = [(kind, [m for m in mutants if m.kind == kind]) for kind in KINDS]
    groups += [(file, [m for m in mutants if m.file == file]) for file in dict.fromkeys(m.file for m in mutants)]
    for name, group in [*groups, ("all", mutants)]:
        count = Counter(outcomes[m.name][0] for m in group)
        known = sum(outcomes[m.name][0] == "survived" and m.name in equivalents for m in group)
        how = [count[outcome] for outcome in ("wrong", "crashed", "ended")]
        row = (len(group), sum(how), *how, known, count["survived"] - known)
        lines.append(f"{name:<20}" + "".join(f"{number:>11}" for number in row))
    return "\n".join(lines)


def main():
    """Print the table, and what is asked for."""
    parser = argparse.ArgumentParser(description="Plant mistakes in the package and see whether the checks notice.")
    parser.add_argument("files", nargs="*", default=TARGETS, help="files of the package, such as layers/lstm.py")
    parser.add_argument(
        "--list", choices=("survived", "wrong", "crashed", "ended", "all"), help="print these mutants by name"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.files) - set(TARGETS):
        parser.error(f"{', '.join(sorted(unknown))}: expected some of {', '.join(TARGETS)}, or none for all")
    began = time.perf_counter()
    mutation_checks.run(PackageCopy())
    mutants = all_mutants(arguments.files)
    outcomes = run(mutants)
    for mutant in mutants:
        outcome, reason = outcomes[mutant.name]
        if arguments.list in ("all", outcome):
            print(f"{outcome}, {mutant.kind}: {mutant.name}" + (f"\n    {reason}" if reason else ""))
    equivalents = read_equivalents(EQUIVALENTS.read_text(encoding="utf-8"))
    print(table(mutants, outcomes, equivalents), f"\n{time.perf_counter() - began:.0f} s")
    found = complaints(outcomes, equivalents, arguments.files)
    print("\n".join(found) or "every mutant is caught, or listed as equivalent with its reason")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
