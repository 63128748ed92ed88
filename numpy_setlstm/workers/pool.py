"""Worker processes: how many, how they start, what they are asked, how they end.

Each is a fresh Python interpreter, so a script needs no ``if __name__ == "__main__"``, and no process with threads is
forked. BLAS has as many threads there as the environment says, and as here, if it said so when NumPy was imported: the
last bits of its products depend on their number. The connection to a worker closes when this process ends, whatever the
reason, and then it ends as well. Workers that are idle remain for the next training or prediction for a while, as
starting one takes a third of a second.
"""

import atexit
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from multiprocessing.reduction import send_handle
from pathlib import Path

import numpy as np

from numpy_setlstm.interrupt import InterruptFlag
from numpy_setlstm.workers.memory import find_in_memory, put_in_memory

MARK = "NUMPY_SETLSTM_WORKER"  # set in the environment of a worker, which has none of its own
# The first path is the current folder, where an importlib.py may be that is not Python's. The package is that of the
# parent, from wherever that has it.
START = (
    "import sys; sys.path[:] = filter(None, sys.path); import importlib; parent, root, *path = sys.argv[1:]; "
    "sys.path.insert(0, root); import numpy_setlstm; sys.path[:] = path; "
    "from numpy_setlstm.workers.process import main; main(int(parent))"
)
NOT_READY = "before it was ready: n_jobs=1 does without workers"
AT_WORK = (
    "in a minibatch. The model is as it was before that: fit(..., resume=True) goes on, with n_jobs=1 without workers"
)


class WorkerError(ChildProcessError):
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
    no_python = not sys.executable or getattr(sys, "frozen", False)  # but a program that contains it
    if n_jobs is None or inside or os.name != "posix" or no_python:
        return 1
    if multiprocessing.current_process().name.startswith("Loky"):  # joblib's, which have no parent_process
        return 1
    return n_jobs if n_jobs > 0 else max(1, available_cores() + 1 + n_jobs)


def import_path():
    """Where a worker finds modules: as here, but Python's own first, which a file beside a script may hide by now."""
    library = os.path.dirname(os.__file__)
    own = library, os.path.join(library, "lib-dynload")
    return sorted((folder for folder in sys.path if isinstance(folder, str)), key=lambda folder: folder not in own)


@contextmanager
def needed_to_start():
    """Tell an error of the system, such as too many processes or open files, as a WorkerError that says what it is."""
    try:
        yield
    except OSError as error:
        reason = f"a worker process could not be started: {error}"
        raise WorkerError(f"{reason}; n_jobs=1 does without workers") from error


@contextmanager
def without_interrupts():
    """Let Ctrl-C wait until the end; a process that is started meanwhile never hears of it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Worker:
    """A process, and the connection to it, which is its standard input."""

    def __init__(self):
        self.connection, theirs = multiprocessing.Pipe()
        root = str(Path(__file__).resolve().parents[2])
        command = [sys.executable, "-c", START, str(os.getpid()), root, *import_path()]
        with theirs, without_interrupts():
            self.process = subprocess.Popen(
                command, env=os.environ | {MARK: "1"}, stdin=theirs.fileno(), stdout=subprocess.DEVNULL
            )

    def send(self, *message):
        """Ask for something; a worker that has ended is noticed when it should answer."""
        with suppress(OSError):
            self.connection.send(message)

    def receive(self, when):
        """Its answer, or what it raised; a WorkerError that says `when` if it has ended."""
        try:
            error, answer = self.connection.recv()
        except (EOFError, OSError):
            raise WorkerError(f"worker process {self.process.pid} {self._how_it_ended()} {when}") from None
        if error is not None:
            raise error
        return answer

    def _how_it_ended(self):
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        code = self.process.poll()
        if code is None or code >= 0:
            return f"ended with code {code}"
        cause = ", as the system does when memory is short," if -code == signal.SIGKILL else ""
        return f"was killed by signal {-code}{cause}"

    def end(self):
        """Kill it, whatever it is doing."""
        self.connection.close()
        self.process.kill()
        self.process.wait()


class Pool:
    """Some workers that have the same job in shared memory."""

    def __init__(self):
        self.workers, self.lock = [], threading.Lock()
        self.kept = None, None, 0  # what the job that the workers have is of, its twin, and how many have it

    def load(self, job, n_workers, of=None):
        """Give `n_workers` workers a job; returns its twin, whose arrays are those that the workers have.

        If they have one already that is of the same, a tuple, they keep it.
        """
        kept, twin, n_having = self.kept
        if of is not None and kept == of and n_having >= n_workers == len(worker_processes(self, n_workers)):
            return twin
        self.workers = [worker for worker in self.workers if worker.process.poll() is None]
        try:
            twin = self._load(job, n_workers)
        except WorkerError:  # one that was idle for too long has just ended
            twin = self._load(job, n_workers)
        self.kept = of, twin, n_workers
        return twin

    def _load(self, job, n_workers):
        self.kept = None, None, 0  # whatever happens from here on
        with needed_to_start():
            memory, where = put_in_memory(job)
        try:
            with self._ending_on_errors():
                while len(self.workers) < n_workers:
                    with needed_to_start():
                        self.workers.append(Worker())
                for worker in self.workers[:n_workers]:
                    worker.send("load", where)
                    with suppress(OSError, RuntimeError):  # macOS has both for one that has ended
                        send_handle(worker.connection, memory, worker.process.pid)
                for worker in self.workers[:n_workers]:
                    worker.receive(NOT_READY)
            return find_in_memory(memory, where)
        finally:
            os.close(memory)

    def ask(self, name, shares, own):
        """Call a method of the job with each worker's share as the argument, and `own()` here meanwhile.

        Returns the result of `own` and a list of theirs. NumPy treats overflows and the like there as it does here.
        """
        used, errors = self.workers[: len(shares)], np.geterr()
        with self._ending_on_errors():
            for worker, share in zip(used, shares, strict=True):
                worker.send(name, errors, share)
            return own(), [worker.receive(AT_WORK) for worker in used]

    @contextmanager
    def _ending_on_errors(self):
        """On any error, Ctrl-C included, all workers end: what they would still answer is not wanted any more."""
        try:
            yield
        except BaseException:
            self.end()
            raise

    def forget(self):
        """Let the workers forget their job, and with it the shared memory."""
        self.kept = None, None, 0
        with self._ending_on_errors():
            for worker in self.workers:
                worker.send("forget")

    def end(self):
        """End all workers."""
        (workers, self.workers), self.kept = (self.workers, []), (None, None, 0)
        for worker in workers:
            worker.end()


_pool = Pool()


@contextmanager
def borrow_pool():
    """The pool of this process; None if another thread has it."""
    pool = _pool
    if not pool.lock.acquire(blocking=False):
        yield None
        return
    try:
        yield pool
    finally:
        pool.lock.release()


def worker_processes(pool=None, most=None):
    """The process numbers of the workers of this process, or the first ones of a pool, that have not ended."""
    workers = (pool or _pool).workers[:most]
    return [worker.process.pid for worker in workers if worker.process.poll() is None]


@atexit.register
def end_workers():
    """End the idle workers of this process, which otherwise end by themselves after two minutes."""
    with InterruptFlag():  # whoever presses Ctrl-C has what he wants
        _pool.end()


def leave_workers():
    """Let a forked process have a pool of its own, and neither end the workers of its parent nor keep them alive."""
    global _pool
    for worker in _pool.workers:
        worker.connection.close()
        worker.process.returncode = 0  # nobody waits for it here
    _pool = Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=leave_workers)
