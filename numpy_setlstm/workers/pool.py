"""Worker processes: how many, how they start, what they are asked, how they end.

Each is a fresh Python interpreter, so a script needs no ``if __name__ == "__main__"``, and no process with threads is
forked. It works with one thread of BLAS. The connection to it closes when this process ends, whatever the reason, and
then it ends as well. Workers that are idle remain for the next training or prediction for a while, as starting one
takes a third of a second.
"""

import atexit
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from multiprocessing.reduction import send_handle
from pathlib import Path

from numpy_setlstm.blas import THREAD_VARIABLES
from numpy_setlstm.workers.memory import find_in_memory, put_in_memory

MARK = "NUMPY_SETLSTM_WORKER"  # set in the environment of a worker, which has none of its own
START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from numpy_setlstm.workers.process import main; main(int(sys.argv[2]), int(sys.argv[3]))"
)
ANSWER = 20.0  # seconds within which a new worker is ready


class WorkerError(RuntimeError):
    """A worker process ended before its work was done."""


def available_cores():
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_jobs(n_jobs):
    """How many processes `n_jobs` stands for, as in scikit-learn: None is 1, -1 all cores, -2 all but one.

    Always 1 within another worker, this package's or one of joblib or multiprocessing, and on Windows, where open files
    cannot be handed to other processes like this.

    >>> count_jobs(None), count_jobs(3)
    (1, 3)
    """
    inside = MARK in os.environ or multiprocessing.parent_process() is not None
    if n_jobs is None or inside or os.name != "posix" or not sys.executable:
        return 1
    if multiprocessing.current_process().name.startswith("Loky"):  # joblib's, which have no parent_process
        return 1
    return n_jobs if n_jobs > 0 else max(1, available_cores() + 1 + n_jobs)


class Worker:
    """A process, and the connection to it."""

    def __init__(self):
        self.connection, theirs = multiprocessing.Pipe()
        root = str(Path(__file__).resolve().parents[2])  # last, where a package in the current folder is found as well
        arguments = [json.dumps([*sys.path, root]), str(theirs.fileno()), str(os.getpid())]
        environment = os.environ | dict.fromkeys(THREAD_VARIABLES, "1") | {MARK: "1"}
        # -P, of Python 3.11, keeps the current folder out of the path until it is set.
        isolated = ["-P"] if sys.version_info >= (3, 11) else []
        command = [sys.executable, *isolated, "-c", START, *arguments]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "pass_fds": (theirs.fileno(),)}
        self.process = subprocess.Popen(command, env=environment, **pipes)
        theirs.close()

    def send(self, *message):
        """Ask for something; a worker that has ended is noticed when it should answer."""
        with suppress(OSError):
            self.connection.send(message)

    def receive(self):
        """Its answer; WorkerError if it has ended, and what it raised if it has."""
        try:
            error, answer = self.connection.recv()
        except (EOFError, OSError):
            raise WorkerError(self._why()) from None
        if error is not None:
            raise error
        return answer

    def _why(self):
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        code = self.process.poll()
        how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
        cause = "; the system does so when memory is short" if code == -9 else ""
        return (
            f"worker process {self.process.pid} {how}{cause}. The model is as it was before this minibatch: "
            "fit(..., resume=True) goes on, with n_jobs=1 without workers"
        )

    def end(self):
        """Kill it, whatever it is doing."""
        self.connection.close()
        self.process.kill()
        self.process.wait()


class Pool:
    """Some workers that have the same job in shared memory."""

    def __init__(self):
        self.workers, self.parent, self.lock = [], os.getpid(), threading.Lock()

    def load(self, job, n_workers):
        """Give `n_workers` workers a job; returns its twin, whose arrays are those that the workers have."""
        self.workers = [worker for worker in self.workers if worker.process.poll() is None]
        try:
            return self._load(job, n_workers)
        except WorkerError:  # one that was idle for too long has just ended
            self.end()
            return self._load(job, n_workers)

    def _load(self, job, n_workers):
        while len(self.workers) < n_workers:
            self.workers.append(Worker())
        memory, where = put_in_memory(job)
        try:
            for worker in self.workers[:n_workers]:
                worker.send("load", where)
                with suppress(OSError):
                    send_handle(worker.connection, memory, worker.process.pid)
            twin = find_in_memory(memory, where)
        finally:
            os.close(memory)
        for worker in self.workers[:n_workers]:
            worker.receive()
        return twin

    def ask(self, name, shares, own=None):
        """Call a method of the job with each worker's share as the argument, and `own()` here meanwhile.

        Returns the result of `own` and a list of theirs. On any error, Ctrl-C included, all workers end: what they
        would still answer is not wanted any more.
        """
        used = self.workers[: len(shares)]
        try:
            for worker, share in zip(used, shares, strict=True):
                worker.send(name, share)
            return own() if own else None, [worker.receive() for worker in used]
        except BaseException:
            self.end()
            raise

    def forget(self):
        """Let the workers forget their job, and with it the shared memory."""
        for worker in self.workers:
            worker.send("forget")

    def end(self):
        """End all workers."""
        workers, self.workers = self.workers, []
        for worker in workers:
            worker.end()


_pool = Pool()


@contextmanager
def borrow_pool():
    """The pool of this process; None if another thread has it. A forked process does not touch its parent's."""
    global _pool
    if _pool.parent != os.getpid():
        _pool = Pool()
    pool = _pool
    if not pool.lock.acquire(blocking=False):
        yield None
        return
    try:
        yield pool
    finally:
        pool.forget()
        pool.lock.release()


def worker_processes():
    """The process numbers of the workers that have been started and have not ended."""
    return [worker.process.pid for worker in _pool.workers if worker.process.poll() is None]


@atexit.register
def end_workers():
    """End the idle workers of this process, which otherwise end by themselves after two minutes."""
    if _pool.parent == os.getpid():
        _pool.end()
