"""The mutation test: do the tests notice a mistake in the code that computes?

Each mutant of a file in TARGETS (see :mod:`mutants`) replaces that file in a copy of the package, on which the tests
that TARGETS names are run until one fails. By hand, from the top of the repository::

    .venv/bin/python tests/mutation.py                       # the table
    .venv/bin/python tests/mutation.py --list survived       # or: wrong, crashed, ended, all
    .venv/bin/python tests/mutation.py layers/lstm.py        # one file

The tests are not run by pytest, which takes longer to start than most of them take, but by :func:`run_test`; and in a
quick form: a few of their cases, few examples of hypothesis, gradients along one random direction.
"""

import argparse
import contextlib
import importlib.abc
import importlib.util
import inspect
import itertools
import json
import multiprocessing
import os
import random
import resource
import signal
import sys
import time
import unittest.mock
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

import hypothesis
import hypothesis.extra.numpy  # here and in the next lines: imported once, not in every fork
import numpy as np
import numpy.ma  # noqa: F401
import pytest
from mutants import KINDS, mutants_of
from tqdm import tqdm

from numpy_setlstm import gradcheck

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "numpy_setlstm"

# Each file that computes, and the tests that have to notice a mistake in it: all of a module, or those whose names
# begin as given. What no other test asserts is in `mutation_checks`.
TARGETS = {
    "optimizers.py": ("test_optimizers", "mutation_checks.test_optimizers"),
    "sparse.py": ("test_sparse", "test_kernels"),
    "cells.py": ("test_cells",),
    "topology.py": ("test_topology", "test_gate_counts"),
    "initialization.py": (
        "test_network", "test_bidirectional.test_all_parameters", "test_bidirectional.test_both",
        "test_bidirectional.test_one_direction", "test_word_connections", "mutation_checks.test_sizes",
    ),
    "evolution.py": (
        "test_training.test_growth", "test_training.test_gradient", "test_training.test_the_optimizers_state",
        "test_training.test_a_cosine_falls", "test_weighted_loss.test_growth", "mutation_checks.test_evolution",
        "test_averaging.test_the_mean_follows", "test_gate_counts.test_the_embedding", "test_gate_counts.test_with_all",
    ),
    "minibatches.py": ("test_pieces",),
    "classification.py": ("test_pieces", "test_training.test_loss_and_accuracy", "test_weighted_loss.test_loss_and"),
    "workers/jobs.py": ("mutation_checks.test_jobs",),
    "workers/memory.py": ("mutation_checks.test_memory",),
    "averaging.py": (
        "test_averaging.test_the", "test_averaging.test_without_averaging_there", "test_averaging.test_survivors",
        "test_snt_asgd.test_the_mean", "test_snt_asgd.test_by_default", "test_snt_asgd.test_in_training",
    ),
    "network.py": (
        "test_network", "test_engines", "test_weighted_loss.test_the_gradients", "test_bidirectional.test_gates",
        "test_pooling",
    ),
    "units.py": ("test_units",),
    "layers/dropout.py": ("test_layers", "mutation_checks.test_dropout"),
    "layers/embedding.py": ("test_embedding", "test_layers"),
    "layers/pooling.py": ("test_pooling",),
    "layers/readout.py": ("test_layers", "test_weighted_loss", "mutation_checks.test_readout"),
    "layers/lstm.py": ("test_layers", "mutation_checks.test_lstm", "test_language.test_two_minibatches"),
    "own_lstm.py": (
        "test_own_lstm.test_a_network", "test_own_lstm.test_gradients", "test_own_lstm.test_what",
        "mutation_checks.test_own",
    ),
    "layers/trace.py": ("test_trace",),
    "fast/kernels.py": ("test_kernels",),
    "fast/products.py": ("test_kernels",),
    "fast/lstm.py": (
        "test_fast_layers", "test_engines.test_the_fast", "test_engines.test_large", "mutation_checks.test_fast_lstm",
        "test_pooling", "test_language.test_the_fast", "test_language.test_gradients",
    ),
    "fast/embedding.py": (
        "test_fast_layers", "test_engines.test_the_fast", "test_engines.test_gradients",
        "mutation_checks.test_fast_embedding", "test_language.test_the_fast",
    ),
    "fast/words.py": ("test_fast_layers",),
    "fast/adam.py": ("test_optimizers", "mutation_checks.test_adam"),
    "fast/pooling.py": ("test_pooling", "test_language.test_the_fast"),
    "fast/engine.py": (
        "test_engines", "test_network", "test_pooling", "test_language.test_the_fast", "test_language.test_gradients",
        "test_fast_layers",
    ),
    "language/softmax.py": (
        "test_language.test_gradients", "test_language.test_one_target", "test_language.test_blocks",
        "test_language_parity",
    ),
    "language/network.py": (
        "test_language.test_gradients", "test_language.test_the_fast", "test_language.test_two_minibatches",
        "test_language.test_dropout", "test_language.test_a_network", "test_language_parity",
    ),
    "language/sampling.py": (
        "test_language.test_probabilities", "test_language.test_log", "test_language.test_drawing",
    ),
    "language/text.py": (
        "test_language_parts.test_text", "test_language.test_streams", "test_language.test_a_vocabulary",
        "test_language.test_bad_input",
    ),
    "language/task.py": (
        "test_language_parts.test_task", "test_language.test_growth_scores", "test_language.test_more_epochs",
        "test_language.test_a_cosine",
    ),
    "language/estimator.py": (
        "test_language_parts.test_estimator", "test_language.test_bad_input", "test_language.test_a_list",
        "test_language.test_more_epochs",
    ),
}  # fmt: skip

# Tests that take longer than all others together, and catch no mutant that these miss.
LEFT_OUT = {
    "test_a_million_rows_without_an_array_of_the_full_size",
    "test_a_million_rows_with_one_connection_each",
    "test_every_set_of_distinct_integers_is_equally_likely",
    "test_every_random_graph_is_equally_likely",
    "test_the_reserved_rows_leave_the_others_uniform",
    "test_every_set_of_free_cells_is_equally_likely_to_be_regrown",
    "test_regrowth_is_uniform_also_when_few_cells_are_free",
    "test_regrowth_beside_a_reserved_row_is_uniform",
    "test_cells_without_a_score_are_drawn_at_random_when_the_others_do_not_suffice",
}
STAY = ("numpy_setlstm.gradcheck", "numpy_setlstm.text")  # modules that import no target, so they need no copy
HELPERS = ("golden_files",)  # of the tests, that use the package and so have to use its copy
MOST_CASES = 12  # of a parametrized test
MOST_EXAMPLES = 10  # of a hypothesis test

EQUIVALENTS = TESTS / "mutation_equivalents.txt"

# A test is ended after this many times the time that it takes on the package itself, or these seconds if that is more.
PATIENCE = 20
LEAST_CPU_SECONDS = 2  # for a mutant in an endless loop
LEAST_WALL_SECONDS = 20  # for a mutant that waits, as for a lock
BYTES = 4 * 2**30  # of address space

PARAMETER_SET = type(pytest.param())


# A copy of the package


class CopyImporter(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the package and the tests from code that is compiled once, with another text in one file of the package.

    The package's own `__init__` runs only if a test uses a name from there: it imports everything.
    """

    def __init__(self, file=None, source=None):
        self.mutated, self.source = PACKAGE / (file or ""), source

    def find_spec(self, name, path, target=None):
        """Find a module of the package or of the tests; see :class:`importlib.abc.MetaPathFinder`."""
        file = file_of(name)
        return file and importlib.util.spec_from_file_location(
            name, file, loader=self, submodule_search_locations=[] if file.stem == "__init__" else None
        )

    def create_module(self, spec):
        """Leave this to Python."""

    def exec_module(self, module):
        """Run the code of a module; see :class:`importlib.abc.Loader`."""
        file = Path(module.__file__)
        code = compile(self.source, file, "exec") if file == self.mutated else compiled(file)
        if module.__name__ == PACKAGE.name:
            module.__getattr__ = partial(first_attribute, module, code)
        else:
            exec(code, vars(module))


def first_attribute(module, code, name):
    """Run the code of a module when an attribute is needed."""
    del module.__getattr__
    exec(code, vars(module))
    return getattr(module, name)


@cache
def file_of(name):
    """Path of a module of the package or of the tests; None for other modules."""
    base = (PACKAGE.parent if is_ours(name) else TESTS).joinpath(*name.split("."))
    return next((file for file in (base / "__init__.py", base.with_suffix(".py")) if file.exists()), None)


@cache
def compiled(file):
    """Code of a file."""
    return compile(file.read_text(encoding="utf-8"), file, "exec")


def is_ours(name):
    """Whether a module belongs to the package."""
    return name.split(".")[0] == PACKAGE.name


def load_copy(file=None, source=None):
    """Let this process import the package and the tests anew, with another text in one file of the package."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, CopyImporter)]
    sys.meta_path.insert(0, CopyImporter(file, source))
    of_targets = {entry.split(".")[0] for entry in itertools.chain(*TARGETS.values())}.union(HELPERS)
    for name in list(sys.modules):
        if (is_ours(name) and not name.startswith(STAY)) or name in of_targets:
            del sys.modules[name]


# The tests


@cache
def tests_for(file):
    """The tests, as (module, name), that TARGETS names for a file; without those that need fixtures of pytest."""
    tests = []
    for entry in TARGETS[file]:
        module, _, prefix = entry.partition(".")
        namespace = vars(importlib.import_module(module))
        for name, function in namespace.items():
            if name.startswith(prefix or "test_") and inspect.isfunction(function) and name not in LEFT_OUT:
                if fixtures_of(function) <= namespace.keys() | {"monkeypatch"}:
                    tests.append((module, name))
    return tests


def run_test(module, name):
    """Run a test function, for some of its parameters."""
    namespace = vars(importlib.import_module(module))
    function = namespace[name]
    for case in cases_of(function):
        with pytest.MonkeyPatch.context() as monkeypatch:
            for fixture in fixtures_of(function):
                case[fixture] = inspect.unwrap(namespace[fixture])() if fixture in namespace else monkeypatch
            function(**case)


def fixtures_of(function):
    """Names of the fixtures that a test function takes."""
    return inspect.signature(function).parameters.keys() - cases_of(function)[0].keys()


def cases_of(function):
    """The arguments of a test as `pytest.mark.parametrize` sets them, a dict per case; a fixed sample if many."""
    axes = []
    for mark in getattr(function, "pytestmark", ()):
        if mark.name == "parametrize":
            names, values = mark.args
            names = [name.strip() for name in names.split(",")] if isinstance(names, str) else names
            values = (value.values if isinstance(value, PARAMETER_SET) else value for value in values)
            axes.append([dict(zip(names, value if len(names) > 1 else [value], strict=True)) for value in values])
    cases = [dict(itertools.chain(*map(dict.items, parts))) for parts in itertools.product(*axes)]
    return random.Random(function.__name__).sample(cases, min(MOST_CASES, len(cases)))


def few_examples(settings=hypothesis.settings, **options):
    """Settings of hypothesis as a test gives them, but for few examples; a failure is not simplified."""
    few = {"max_examples": MOST_EXAMPLES, "database": None, "suppress_health_check": list(hypothesis.HealthCheck)}
    return settings(**options | few, phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate])


def one_direction(loss, params, grads, **options):
    """Check gradients by the complex step, each along one random direction: a wrong entry changes almost any slope."""
    rng = np.random.default_rng(0)
    assert params.keys() == grads.keys()
    for name, param in params.items():
        values = getattr(param, "values", param)
        direction = rng.normal(size=values.shape)
        moved = values + 1e-30j * direction
        slope = loss(params | {name: moved if values is param else param.with_values(moved)}).imag / 1e-30
        assert grads[name].shape == values.shape, f"{name}: shape {grads[name].shape}, expected {values.shape}"
        error = abs(slope - np.sum(direction * grads[name]))
        assert error <= 1e-12 * np.linalg.norm(grads[name]), f"{name}: the slope is wrong by {error}"


def full_of_nan(shape, dtype=float, **layout):
    """What ``np.empty`` returns at worst: an array that was freed may hold the right numbers by chance."""
    return np.full(shape, np.nan if np.dtype(dtype).kind in "fc" else 77, dtype, **layout)


SECONDS = {}  # of processor time that each test takes on the package itself; filled by `warm_up`


def warm_up(targets=tuple(TARGETS)):
    """Prepare a worker process: make tests quick, compile all modules, run and time every test once."""
    warnings.simplefilter("error")
    np.empty, hypothesis.settings, gradcheck.check_gradients = full_of_nan, few_examples, one_direction
    tqdm.monitor_interval = 0  # progress bars start no thread: a process with threads should not fork
    load_copy()
    for test in dict.fromkeys(itertools.chain(*map(tests_for, targets))):
        began = time.process_time()
        with contextlib.suppress(RuntimeWarning):  # very rarely BLAS raises a flag for nothing; another test sees to it
            run_test(*test)
        SECONDS[test] = time.process_time() - began


# One mutant


def attempt(file, source, wall_seconds=LEAST_WALL_SECONDS):
    """Run the tests on the package with one file replaced, in a process of its own.

    A mutant may loop forever, request all memory, start threads or damage NumPy: it does so in a fork.

    Returns
    -------
    outcome : {"survived", "wrong", "crashed", "ended"}
        "wrong": a test found a wrong result; "crashed": an exception or a warning came first; "ended": a test took too
        long.
    reason : str
        The test and its message.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            set_limits()
            os.write(writer, json.dumps(outcome_of(file, source, wall_seconds)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    try:
        answer = os.read(reader, 2**16)
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    if answer:
        return tuple(json.loads(answer))
    if os.WTERMSIG(status) in (signal.SIGPROF, signal.SIGALRM):
        return "ended", "it did not end by itself"
    return "crashed", f"the process died of signal {os.WTERMSIG(status)}"


def set_limits():
    """Limit the memory of this process; let timers end it, and let it leave no core file."""
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # macOS knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))


def set_timers(seconds, wall_seconds):
    """End this process if it takes much longer, from now on, than `seconds` of processor time."""
    signal.setitimer(signal.ITIMER_PROF, max(PATIENCE * seconds, LEAST_CPU_SECONDS))
    signal.setitimer(signal.ITIMER_REAL, max(PATIENCE**2 * seconds, wall_seconds))


def outcome_of(file, source, wall_seconds):
    """Run the tests in this process, the quick ones first; see :func:`attempt`."""
    tests = sorted(tests_for(file), key=SECONDS.get)  # of the package as it is: a mutant may not even be imported
    load_copy(file, source)
    for test in tests:
        set_timers(SECONDS[test], wall_seconds)
        try:
            run_test(*test)
        except BaseException as error:  # also what is meant to get past `except Exception`
            kind = "wrong" if isinstance(error, AssertionError | pytest.fail.Exception) else "crashed"
            return kind, f"{'.'.join(test)}: {type(error).__name__}: {error}"[:2000]
    return "survived", ""


def attempt_one(job, **limits):
    """Return the outcome of one job, (name, file, source); for a worker process."""
    name, file, source = job
    return name, attempt(file, source, **limits)


# All mutants


@cache
def mutants_in(file):
    """The mutants of a file of the package."""
    return mutants_of((PACKAGE / file).read_text(encoding="utf-8"), file)


def sample(per_file):
    """A fixed sample of the mutants of each target."""
    return [mutant for file in TARGETS for mutant in random.Random(file).sample(mutants_in(file), per_file)]


def run(mutants, workers=2, **limits):
    """Try mutants in worker processes; return a dict of name to (outcome, reason)."""
    jobs = [(mutant.name, mutant.file, mutant.source) for mutant in mutants]
    targets = tuple(dict.fromkeys(mutant.file for mutant in mutants))
    one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    with unittest.mock.patch.dict(os.environ, one_thread):
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, spawn, initializer=warm_up, initargs=(targets,)) as pool:
            return dict(pool.map(partial(attempt_one, **limits), jobs))


def read_equivalents(text):
    """Return the dict of name to reason that a text in the form of ``mutation_equivalents.txt`` holds."""
    reasons = {}
    for paragraph in text.split("\n\n"):
        lines = [line for line in paragraph.splitlines() if not line.startswith("#")]
        reason = " ".join(line.strip() for line in lines if line.startswith(" "))
        for name in (line for line in lines if not line.startswith(" ")):
            if name in reasons:
                raise ValueError(f"listed twice as equivalent, once is enough: {name}")
            if not reason:
                raise ValueError(f"listed as equivalent without a reason; write it below, indented: {name}")
            reasons[name] = reason
    return reasons


def complaints(mutants, outcomes, equivalents):
    """Sentences about what is wrong; none if every mutant is caught or known as equivalent.

    Parameters
    ----------
    mutants : iterable of str
        Names of all mutants.
    outcomes : dict of str to (outcome, reason)
        Of all mutants, or of some.
    equivalents : dict of str to str
        Names of mutants that may survive, and why.
    """
    survivors = {name for name, (outcome, _) in outcomes.items() if outcome == "survived"}
    listed = equivalents.keys()
    caught = listed & outcomes.keys() - survivors
    return [
        *(f"survives, so the tests are too weak or it is equivalent: {n}" for n in sorted(survivors - listed)),
        *(f"listed as equivalent, but no such mutant exists: {n}" for n in sorted(listed - set(mutants))),
        *(f"listed as equivalent, but caught ({outcomes[n][1][:200]}): {n}" for n in sorted(caught)),
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
    """Print the table, and the mutants that are requested."""
    parser = argparse.ArgumentParser(description="Plant mistakes in the package and see whether the tests notice.")
    parser.add_argument("files", nargs="*", default=TARGETS, help="files of the package, such as layers/lstm.py")
    parser.add_argument(
        "--list", choices=("survived", "wrong", "crashed", "ended", "all"), help="print these mutants by name"
    )
    arguments = parser.parse_args()
    if unknown := set(arguments.files) - set(TARGETS):
        parser.error(f"{', '.join(sorted(unknown))}: expected some of {', '.join(TARGETS)}, or none for all")
    began = time.perf_counter()
    mutants = [mutant for file in arguments.files for mutant in mutants_in(file)]
    outcomes = run(mutants)
    for mutant in mutants:
        outcome, reason = outcomes[mutant.name]
        if arguments.list in ("all", outcome):
            print(f"{outcome}, {mutant.kind}: {mutant.name}" + (f"\n    {reason}" if reason else ""))
    listed = read_equivalents(EQUIVALENTS.read_text(encoding="utf-8"))
    equivalents = {name: reason for name, reason in listed.items() if name.split(":")[0] in arguments.files}
    print(table(mutants, outcomes, equivalents), f"\n{time.perf_counter() - began:.0f} s")
    found = complaints([mutant.name for mutant in mutants], outcomes, equivalents)
    print("\n".join(found) or "every mutant is caught, or listed as equivalent with its reason")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
