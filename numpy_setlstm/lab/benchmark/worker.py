"""A process in which one peer works, controlled through its standard input.

Peers therefore share nothing: neither threads nor memory, whose peak is measured separately, and one that runs out of
it does not end the others. Each line of the standard input is a JSON list, the name of a task of :class:`Tasks` and its
arguments; each line of the standard output is the answer. The process ends with its input.
"""

import gc
import json
import os
import signal
import sys
import time
from contextlib import contextmanager

import numpy as np

from numpy_setlstm.lab.benchmark.costs import machine_limits
from numpy_setlstm.lab.benchmark.language_work import LanguageWork, draw_language_batches
from numpy_setlstm.lab.benchmark.peers import load_peer
from numpy_setlstm.lab.benchmark.sweeps import time_kernels
from numpy_setlstm.lab.benchmark.timing import timed_functions
from numpy_setlstm.lab.benchmark.work import N_BATCHES, Work, draw_batches
from numpy_setlstm.lab.machine import peak_bytes, resident_bytes
from numpy_setlstm.workers.pool import Pool, worker_processes


class Tasks:
    """The tasks of a worker; arguments and answers are plain values."""

    def __init__(self):
        self.peer, self.peer_class, self.idle_bytes = None, None, None
        self._batches, self._next, self._way = [], 0, None

    def load(self, name):
        """Import a peer and everything it needs; the process is idle from here on, and its memory is recorded."""
        self.peer_class = load_peer(name)
        gc.collect()
        self.idle_bytes = resident_bytes()
        return {"forms": self.peer_class.FORMS, "evolves": self.peer_class.EVOLVES}

    def build(self, work, threads, form=None):
        """Make the peer's network, and the minibatches."""
        is_language = "n_steps" in work
        work = LanguageWork(**work) if is_language else Work(**work)
        if hasattr(self.peer, "close"):
            self.peer.close()
        self.peer, self._next, self._way = None, 0, None  # the old network is freed before the new one is made
        self._batches = (draw_language_batches if is_language else draw_batches)(work, N_BATCHES)
        self.peer = self.peer_class(work, threads, form)
        if hasattr(self.peer, "prepare"):
            self.peer.prepare(self._batches)

    def train(self, warm, steps):
        """Some steps without the clock, then some with it."""
        losses = [self.peer.train_step(*self._batch()) for _ in range(warm)]
        seconds = []
        with garbage_collection_paused():
            for _ in range(steps):
                batch = self._batch()
                start = time.perf_counter()
                losses.append(self.peer.train_step(*batch))
                seconds.append(time.perf_counter() - start)
        return {"seconds": seconds, "losses": losses}

    def predict(self, warm, steps):
        """The same for predicting all minibatches, either together or in turn: whichever is faster for the peer."""
        batches = [tokens for tokens, _ in self._batches]
        ways = {"all texts at once": [np.concatenate(batches)], "by minibatch": batches}
        for _ in range(warm if self._way else max(warm, 1)):
            trial = {name: self._predict_seconds(parts) for name, parts in ways.items() if self._way in (None, name)}
        self._way = self._way or min(trial, key=trial.get)
        with garbage_collection_paused():
            return {"seconds": [self._predict_seconds(ways[self._way]) for _ in range(steps)], "way": self._way}

    def _predict_seconds(self, parts):
        start = time.perf_counter()
        for tokens in parts:
            self.peer.predict(tokens)
        return time.perf_counter() - start

    def sample(self, length):
        """Drawing ids one after another."""
        self.peer.sample(2)
        with garbage_collection_paused():
            start = time.perf_counter()
            self.peer.sample(length)
            return {"seconds": [time.perf_counter() - start]}

    def evolve(self):
        """One SET step, and the training step after it, which rebuilds what depends on the topology."""
        with garbage_collection_paused():
            start = time.perf_counter()
            self.peer.set_step()
            evolved = time.perf_counter()
            self.peer.train_step(*self._batch())
            return {"seconds": [evolved - start], "next_step_seconds": [time.perf_counter() - evolved]}

    def parts(self, steps):
        """Mean seconds of each part of a training step; "other" is the rest."""
        self.peer.train_step(*self._batch())
        with timed_functions(self.peer.PARTS) as parts, garbage_collection_paused():
            start = time.perf_counter()
            for _ in range(steps):
                self.peer.train_step(*self._batch())
            total = time.perf_counter() - start
        seconds = parts.seconds()
        seconds["other"] = max(0.0, total - sum(seconds.values()))
        return {label: value / steps for label, value in seconds.items()}

    def memory(self):
        """Bytes: the peak so far, what was resident when idle, and what the peer holds by kind.

        Those of its workers are added; memory that they share counts once for each.
        """
        peak, idle, workers = peak_bytes(), self.idle_bytes, worker_processes()
        held = self.peer.held_bytes() if hasattr(self.peer, "held_bytes") else {}
        if workers:
            idle += len(workers) * idle_worker_bytes()
            peak = None if peak is None else peak + sum(map(peak_bytes, workers))
        return {"peak": peak, "idle": idle, "held": held}

    def limits(self, threads):
        """See :func:`~numpy_setlstm.lab.benchmark.costs.machine_limits`."""
        return machine_limits(threads)

    def kernels(self, work, repeats):
        """See :func:`~numpy_setlstm.lab.benchmark.sweeps.time_kernels`."""
        return time_kernels(Work(**work), repeats)

    def _batch(self):
        self._next += 1
        return self._batches[(self._next - 1) % len(self._batches)]


def idle_worker_bytes():
    """Resident memory of a worker that has just started."""
    pool = Pool()
    pool.load(None, 1)
    idle = resident_bytes(pool.workers[0].process.pid)
    pool.end()
    return idle


@contextmanager
def garbage_collection_paused():
    """Keep the garbage collector from running at arbitrary moments."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def answer(tasks, line):
    """The answer to one line: ``{"answer": ...}``, or ``{"error": ...}`` as one line of text."""
    try:
        name, *arguments = json.loads(line)
        return {"answer": getattr(tasks, name)(*arguments)}
    except MemoryError as error:
        return {"error": f"out of memory: {error}"}
    except Exception as error:  # noqa: BLE001  the process that asked reports it
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}


def main():
    """Answer until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keeps what libraries print out of the answers
    tasks = Tasks()
    for line in sys.stdin:
        print(json.dumps(answer(tasks, line)), file=answers, flush=True)
