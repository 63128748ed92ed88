"""The peers in turn, and what their times say.

A machine does other things too, now and then, and its clock rate changes. So the peers work alternately, A B C A B C,
and not one after the other has finished: what disturbs one round disturbs all peers alike, and ratios are taken within
a round.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, suppress

import numpy as np

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
PAUSE = 0.1  # seconds for the last peer's threads to fall asleep: they look for work for a while before they do
LEAST_ROUNDS = 3


class PeerError(RuntimeError):
    """A peer could not do its work; the message says why."""


class Worker:
    """A process in which one peer works; its methods are those of :class:`~numpy_setlstm.lab.benchmark.worker.Tasks`.

    Parameters
    ----------
    name : str or None
        Of the peer; None for what needs none.
    threads : int
        That BLAS may use, and the peer.

    Raises
    ------
    PeerError
        By every call, if the task failed or the process died.
    """

    def __init__(self, name, threads):
        self.name, self.threads = name, threads
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "numpy_setlstm.lab.benchmark.worker"],
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
        """Have a task done, and wait for the answer."""
        try:
            self._process.stdin.write(json.dumps([task, *arguments]) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            code = self._process.wait()
            raise PeerError(f"{self.name or 'worker'} died in {task!r} with code {code}; perhaps it ran out of memory")
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


class Budget:
    """A time limit.

    Parameters
    ----------
    seconds : float
        Infinite for none.
    clock : callable, optional
    """

    def __init__(self, seconds, clock=time.monotonic):
        self._clock, self._start = clock, clock()
        self._end = self._start + seconds

    @property
    def spent(self):
        """Seconds since the beginning."""
        return self._clock() - self._start

    @property
    def left(self):
        """Seconds until the limit, at least 0."""
        return max(0.0, self._end - self._clock())

    def part(self, fraction):
        """A budget of a fraction of what is left."""
        return Budget(self.left * fraction, self._clock)


def take_turns(jobs, repeats, budget, *, least=LEAST_ROUNDS, pause=PAUSE, after_round=None):
    """Let several jobs work alternately, round by round.

    Parameters
    ----------
    jobs : dict of str to callable
        Each does some work and returns the seconds that it took, a list of float; the median is the turn's time.
    repeats : int
        Rounds, at most.
    budget : Budget
        No new round begins when it is used up, except for the first ones.
    least : int
        So many rounds take place in any case, unless `repeats` is less.
    pause : float
        Seconds before each turn.
    after_round : callable, optional
        Called with the turns so far after each round.

    Returns
    -------
    dict of str to list of float
        By job: the time of each turn.

    Examples
    --------
    >>> take_turns({"a": lambda: [1.0, 3.0, 2.0], "b": lambda: [4.0]}, 2, Budget(60), pause=0)
    {'a': [2.0, 2.0], 'b': [4.0, 4.0]}
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
    """Median and quartiles.

    Parameters
    ----------
    numbers : sequence of float

    Returns
    -------
    dict
        ``median``, ``low`` and ``high`` (the quartiles), ``least`` and ``n``.

    Examples
    --------
    >>> spread([4.0, 1.0, 2.0, 3.0, 5.0])
    {'median': 3.0, 'low': 2.0, 'high': 4.0, 'least': 1.0, 'n': 5}
    """
    low, median, high = np.percentile(numbers, (25, 50, 75)).tolist()
    return {"median": median, "low": low, "high": high, "least": min(numbers), "n": len(numbers)}


def paired_ratios(turns, ours):
    """How many times as long as ours each peer took, round by round.

    Parameters
    ----------
    turns : dict of str to list of float
        From :func:`take_turns`.
    ours : str

    Returns
    -------
    dict of str to dict
        By peer, ours left out: the :func:`spread` of its ratios.

    Examples
    --------
    >>> paired_ratios({"ours": [1.0, 2.0], "peer": [3.0, 6.0]}, "ours")["peer"]["median"]  # in step
    3.0
    """
    return {
        name: spread(np.divide(seconds, turns[ours]).tolist())
        for name, seconds in turns.items()
        if name != ours and seconds
    }


def fastest_form(worker, work, steps=3, passes=1):
    """Find the fastest of the forms that a peer has, one setting after the other.

    Parameters
    ----------
    worker : Worker
    work : Work
    steps : int
        Timed steps per form; the best one counts.
    passes : int
        How often to go through the choices of a setting, in turn.

    Returns
    -------
    form : dict of str to str
        The fastest choice of each setting.
    seconds : dict of str to float
        The best step of each form that was tried, by its choices.
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
    """Start one worker per peer.

    Parameters
    ----------
    names : list of str
    threads : int

    Returns
    -------
    stack : contextlib.ExitStack
        Ends them when it is left.
    workers : dict of str to Worker
    """
    stack, workers = ExitStack(), {}
    try:
        for name in names:
            workers[name] = stack.enter_context(Worker(name, threads))
    except BaseException:
        stack.close()
        raise
    return stack, workers
