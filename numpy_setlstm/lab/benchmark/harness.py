"""The peers in turn, and statistics of their times.

Other work on the machine, and its varying clock rate, disturb measurements. The peers therefore alternate, A B C A B C:
a disturbance affects all of them alike, and ratios are taken within a round.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np

from numpy_setlstm.blas import THREAD_VARIABLES

PAUSE = 0.1  # seconds until idle threads of the last peer stop spinning
LEAST_ROUNDS = 9
OURS_SHARED = ("sparse", "dense")  # peers that share their work among processes, each with one thread


class PeerError(RuntimeError):
    """A peer could not do its work; the message says why."""


# Python's -m and -c look for modules in the current folder first; with -I they do not.
START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from numpy_setlstm.lab.benchmark.worker import main; main()"
)


def safe_path():
    """Where a worker looks for modules: where this process does, except in the current folder.

    The folder of this package comes last, so that a package imported from the current folder is found.
    """
    here, package = os.path.realpath(os.getcwd()), Path(__file__).resolve().parents[3]
    return [entry for entry in sys.path if os.path.realpath(entry or here) != here] + [str(package)]


class Worker:
    """A process in which one peer works with some threads; without a peer's name, one for other measurements."""

    def __init__(self, name, threads):
        self.name, self.threads = name, threads
        blas_threads = 1 if name in OURS_SHARED else threads  # the others are processes
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(blas_threads))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", START, json.dumps(safe_path())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,  # out of reach of the terminal's Ctrl-C
        )
        self.forms, self.evolves = {}, False
        if name is not None:
            try:
                self.forms, self.evolves = self.call("load", name).values()
            except BaseException:
                self.close()
                raise

    def call(self, task, *arguments):
        """The answer of a task in :class:`~numpy_setlstm.lab.benchmark.worker.Tasks`; PeerError if it fails."""
        try:
            self._process.stdin.write(json.dumps([task, *arguments]) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self._process.wait()
            raise PeerError(f"{self.name or 'worker'} died in {task!r} with code {code}; it may have run out of memory")
        result = json.loads(line)
        if "error" in result:
            raise PeerError(f"{self.name or 'worker'} failed in {task!r}: {result['error']}")
        return result["answer"]

    def close(self):
        """End the process."""
        self._process.kill()
        self._process.wait()
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


@contextmanager
def busy_processes(number):
    """Keep so many processes busy meanwhile, as on a machine that others use too."""
    with ExitStack() as stack:
        for _ in range(number):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            stack.callback(process.kill)  # before it is waited for
        yield


def peak_above_idle(memory):
    """Bytes that the work of a worker took at its peak, from its report of memory; None if that has no peak."""
    return None if memory["peak"] is None else memory["peak"] - memory["idle"]


class Budget:
    """A time limit in seconds, which may be infinite."""

    def __init__(self, seconds, clock=time.monotonic):
        self._clock, self._start = clock, clock()
        self._end = self._start + seconds

    @property
    def spent(self):
        """Seconds since the start."""
        return self._clock() - self._start

    @property
    def left(self):
        """Seconds until the limit, at least 0."""
        return max(0.0, self._end - self._clock())

    def part(self, fraction):
        """A budget of a fraction of what is left."""
        return Budget(self.left * fraction, self._clock)


def take_turns(jobs, repeats, budget, *, least=LEAST_ROUNDS, pause=PAUSE, after_round=None):
    """Alternate between jobs for up to `repeats` rounds; return the times of their turns, dict of str to list.

    A job returns a list of seconds, whose median is the time of its turn. The budget can end it after `least` rounds.
    There is a pause before each turn; `after_round` is called with the turns so far.
    """
    turns = {name: [] for name in jobs}
    for done in range(repeats):
        if done >= least and budget.left == 0:
            break
        round_turns = {}
        for name, job in jobs.items():
            time.sleep(pause)
            round_turns[name] = float(np.median(job()))
        for name, seconds in round_turns.items():  # whole rounds only
            turns[name].append(seconds)
        if after_round is not None:
            after_round(turns)
    return turns


def spread(numbers):
    """Median, quartiles (``low``, ``high``), minimum (``least``) and number (``n``)."""
    low, median, high = np.percentile(numbers, (25, 50, 75)).tolist()
    return {"median": median, "low": low, "high": high, "least": min(numbers), "n": len(numbers)}


def paired_ratios(turns, ours):
    """The :func:`spread` of the time of each peer relative to ours, round by round, dict by peer."""
    return {
        name: spread(np.divide(seconds, turns[ours]).tolist())
        for name, seconds in turns.items()
        if name != ours and seconds
    }


def fastest_form(worker, work, steps=3, passes=1):
    """The fastest choice of each setting of a peer, found one after another, and the best step of each form tried.

    The choices of a setting take turns, `passes` times, with `steps` timed steps each.
    """
    form, best = {name: choices[0] for name, choices in worker.forms.items()}, {}
    for name, choices in worker.forms.items():
        candidates = [{**form, name: choice} for choice in choices]
        for _ in range(passes):
            for candidate in candidates:
                worker.call("build", work.to_json(), worker.threads, candidate)
                seconds = min(worker.call("train", 1, steps)["seconds"])
                key = ", ".join(candidate.values())
                best[key] = min(seconds, best.get(key, np.inf))
        form = min(candidates, key=lambda candidate: best[", ".join(candidate.values())])
    return form, best


def start_workers(names, threads):
    """Start one worker per peer; return an ExitStack that ends them, and a dict of them by name."""
    stack, workers = ExitStack(), {}
    try:
        for name in names:
            workers[name] = stack.enter_context(Worker(name, threads))
    except BaseException:
        stack.close()
        raise
    return stack, workers
