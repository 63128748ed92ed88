"""Call the public functions with odd arguments, drawn at random, and count what happens.

python tests/attack_calls.py --calls 16000 --seed 0

Two calls in three have one or two arguments spoilt: another type, shape, size, order of memory, or range. They must
give a clear error, or what a slow reference in `attack_cases_*.py` gives, which shares no code with the package.
One in three is valid but unusual, and must not be refused. The table counts the outcomes by room; the exit status is 1
if one of BAD occurred. `--only NUMBER` repeats a call that failed, with its traceback.
"""

import argparse
import ast
import copy
import functools
import json
import os
import re
import signal
import subprocess
import sys
import traceback
import tracemalloc
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from attack_arguments import spoilt, varied
from attack_cases import CASES, Draw, Refused, Unknown, differs

import numpy_setlstm

PACKAGE = Path(numpy_setlstm.__file__).parent
MEMORY = 64 * 2**20  # bytes that a call may take
SECONDS = 20  # of processor time, after which a call hangs: a busy machine changes nothing
CALLS_PER_CHILD = 1000

GOOD = ("right", "clear error")
BAD = ("unclear error", "wrong", "argument changed", "memory shared", "warning", "valid refused", "hang", "64 MB")
# Python's own messages, which are clear
ARITY = r"missing \d+ required|unexpected keyword|positional argument|multiple values for|operand type\(s\) for @"


class Hang(BaseException):
    """A call took too long."""


def on_alarm(*_):
    raise Hang


# What a clear error is


@functools.cache
def raising_lines(filename):
    """The lines of a file that belong to a ``raise`` statement."""
    tree = ast.parse(Path(filename).read_text(encoding="utf-8"))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    return {line for node in nodes for line in range(node.lineno, node.end_lineno + 1)}


def is_clear(error, arguments):
    """Whether an error was raised on purpose, in one line that names an argument or shows a value."""
    message = str(error)
    if isinstance(error, TypeError) and re.search(ARITY, message):
        return True
    *_, (frame, line) = traceback.walk_tb(error.__traceback__)
    filename = frame.f_code.co_filename
    if not Path(filename).is_relative_to(PACKAGE) or line not in raising_lines(filename):
        return False
    says_what = any(name in message for name in arguments) or re.search(r"[\d'(]|expected|; ", message)
    return bool(20 < len(message) <= 500 and "\n" not in message and says_what)


# One call


def arrays_in(value):
    """All arrays in an argument or result, also in what it is made of."""
    if isinstance(value, np.ndarray | np.generic):
        yield np.asarray(value)
    elif isinstance(value, dict):
        for entry in value.values():
            yield from arrays_in(entry)
    elif isinstance(value, tuple | list):
        for entry in value:
            yield from arrays_in(entry)
    elif hasattr(value, "topology") and hasattr(value, "values"):
        yield from (np.array(value.shape), value.rows, value.cols, value.values)
    elif hasattr(value, "pruned_cells"):
        yield from (value.pruned, value.grown, value.pruned_cells, value.grown_cells)
    elif type(value).__name__ == "Topology":
        yield from (value.rows, value.cols)


def same_bytes(before, after):
    return before.shape == after.shape and (before.dtype.hasobject or before.tobytes() == after.tobytes())


def prepare(number, seed):
    """Draw a call: the case, its arguments, whether they are valid, and what was done to them."""
    rng = np.random.default_rng([seed, number])
    shares = np.array([case.share for case in CASES])
    case = CASES[rng.choice(len(CASES), p=shares / shares.sum())]
    valid = bool(rng.random() < 1 / 3) or case.valid_only
    function, arguments, reference = case.make(Draw(rng, valid))
    done = []
    names = [name for name in arguments if name not in case.fixed]
    for name in rng.permutation(names)[: rng.integers(1, 3) if names else 0]:
        change = varied if valid else spoilt
        arguments[name], what = change(rng, arguments[name])
        done.append(f"{name}: {what}")
    if not valid and rng.random() < 0.04 and names:
        name = str(rng.choice(names))
        if rng.random() < 0.5:
            del arguments[name]
        else:
            arguments["other"] = 1
        done.append(f"without {name}, or with another argument")
    return case, function, arguments, reference, valid, ", ".join(done)


def attack(number, seed):
    """Make one call; return the room, the outcome, and a description."""
    case, function, arguments, reference, valid, done = prepare(number, seed)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = reference(**copy.copy(arguments))
        except (Refused, Unknown) as refused:
            expected = refused
        except Exception:
            if valid:
                raise
            expected = Refused("the reference cannot read it")
    if valid and isinstance(expected, Refused):
        raise AssertionError(f"call {number}: {case.name}, {done}: the reference refuses a valid call: {expected}")
    before = [array.copy() for array in arrays_in(arguments)]
    tracemalloc.start()
    try:
        outcome, message = outcome_of(case, function, arguments, expected, valid)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    after = list(arrays_in(arguments))
    if len(before) != len(after) or not all(map(same_bytes, before, after)):
        if not case.changes:
            outcome, message = "argument changed", message
    if peak > MEMORY and outcome != "hang":
        outcome, message = "64 MB", f"{peak:,} bytes, then: {message}"
    return case.room, outcome, f"{case.name}, {'valid' if valid else 'odd'}, {done}: {message}"


def outcome_of(case, function, arguments, expected, valid):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            result = function(**arguments)
        except Hang:
            return "hang", f"{SECONDS} s"
        except Exception as error:
            signal.setitimer(signal.ITIMER_PROF, 0)
            text = f"{type(error).__name__}: {error}"
            if not is_clear(error, arguments):
                return "unclear error", "".join(traceback.format_exception(error))[-1800:]
            return ("valid refused" if valid else "clear error"), text
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    escaped = [w for w in caught if not (issubclass(w.category, UserWarning) and case.room == "estimator")]
    if escaped:
        return "warning", f"{escaped[0].category.__name__}: {escaped[0].message} ({escaped[0].filename})"
    if isinstance(expected, Unknown):
        return "right", "the reference does not know"
    if isinstance(expected, Refused):
        return "wrong", f"got {result!r:.300}, expected an error: {expected}"
    difference = differs(result, expected, arguments)
    if difference:
        return "wrong", difference
    if not case.shares:
        for array in arrays_in(result):
            if any(np.may_share_memory(array, other) for other in arrays_in(arguments) if array.size):
                return "memory shared", "a result shares its memory with an argument"
    return "right", ""


# Children


def limit_memory():
    """Let this process take 1 GB more than it has."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    limit = pages * resource.getpagesize() + 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def run_child(first, stop, seed):
    """Make the calls first, ..., stop - 1; a line of JSON for each."""
    signal.signal(signal.SIGPROF, on_alarm)
    limit_memory()
    out, sys.stdout = sys.stdout, sys.stderr
    for number in range(first, stop):
        print(json.dumps([number, *attack(number, seed)]), flush=True, file=out)


def run(calls, seed, per_child=CALLS_PER_CHILD):
    """Return [number, room, outcome, description] of each call; the child is replaced when it dies or hangs."""
    results, first = [], 0
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PACKAGE.parent)}
    while first < calls:
        stop = min(first + per_child, calls)
        command = [sys.executable, __file__, "--child", str(first), str(stop), "--seed", str(seed)]
        try:
            limit = 30 * SECONDS + stop - first  # for what waits without computing
            child = subprocess.run(command, capture_output=True, text=True, timeout=limit, env=environment)
            output, ending = child.stdout, f"the child ended with {child.returncode}: {child.stderr[-2000:]}"
        except subprocess.TimeoutExpired as error:
            output, ending = (error.stdout or b"").decode(), "the child hung"
        results += map(json.loads, output.splitlines())
        first += len(output.splitlines())
        if first < stop:
            results.append([first, "unknown", "hang" if ending == "the child hung" else "unclear error", ending])
            first += 1
    return results


def report(results, examples=20, only=None):
    """Print the table; return whether all outcomes are good."""
    columns = [*GOOD, *BAD]
    counts = Counter((room, outcome) for _, room, outcome, _ in results)
    rows = [*dict.fromkeys([*(case.room for case in CASES), *(result[1] for result in results)])]
    print(f"{'room':14}{'calls':>7}" + "".join(f"{column:>{max(len(column), 6) + 2}}" for column in columns))
    for row in [*rows, "all"]:
        some = [sum(counts[r, column] for r in (rows if row == "all" else [row])) for column in columns]
        numbers = (f"{number:{max(len(column), 6) + 2},}" for column, number in zip(columns, some, strict=True))
        print(f"{row:14}{sum(some):7,}" + "".join(numbers))
    failures = [result for result in results if result[2] in BAD and only in (None, result[1])]
    for number, _, outcome, description in failures[:examples]:
        print(f"\ncall {number}, {outcome}: {description[:2000]}")
    return not failures


def main():
    parser = argparse.ArgumentParser(
        description="Call the public functions with odd arguments, and count what happens."
    )
    parser.add_argument("--calls", type=int, default=16_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--room", help="print failures in this room only")
    parser.add_argument("--examples", type=int, default=20, help="failures to print")
    parser.add_argument("--only", type=int, metavar="NUMBER", help="make this call alone, in this process")
    parser.add_argument("--child", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        return run_child(*options.child, options.seed)
    if options.only is not None:
        signal.signal(signal.SIGPROF, on_alarm)
        print(prepare(options.only, options.seed)[2:])
        return print(*attack(options.only, options.seed), sep="\n")
    return 0 if report(run(options.calls, options.seed), options.examples, options.room) else 1


if __name__ == "__main__":
    sys.exit(main())
