"""Where runs are computed: in processes on this machine, on a Dask cluster, or by any executor that is handed in."""

import _thread
import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter, deque
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, ProcessPoolExecutor, wait

from numpy_setlstm.lab.experiment.runs import FAILED, FORMAT_VERSION, INTERRUPTED, describe_error, execute, versions

MOST_CRASHES = 2  # how often a run is tried again after its process died
THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_WATCH_SECONDS = 0.5


class Crew:
    """Hands tasks to an executor, takes the documents back, and starts anew when a process has died.

    Parameters
    ----------
    tasks : sequence of Task
    make_executor : callable
        Makes the executor, also a fresh one in place of one that broke.
    most_at_once : int, optional
        Tasks that are handed over at a time; all of them by default.
    stop : callable, optional
        Tells processes of this machine to stop after their minibatch.
    function : callable
        What is done with a task: :func:`~numpy_setlstm.lab.experiment.runs.execute`, or a wrapper of it.
    finished : callable, optional
        Takes a task; its document if it was computed elsewhere in the meantime, or None.
    """

    def __init__(
        self, tasks, make_executor, *, most_at_once=None, stop=None, function=execute, finished=lambda task: None
    ):
        self.waiting, self.running, self.crashes = deque(tasks), {}, Counter()
        self._make_executor, self._executor, self._function = make_executor, None, function
        self._most_at_once, self._stop, self._finished = most_at_once or max(len(tasks), 1), stop, finished

    def __bool__(self):
        """Whether there is something left to do."""
        return bool(self.waiting or self.running)

    def take(self, timeout=None):
        """Wait until something is done, or `timeout` seconds are over.

        Parameters
        ----------
        timeout : float, optional

        Returns
        -------
        list of (Task, dict, bytes or None)
            What was done: document and model.

        Raises
        ------
        BrokenExecutor
            If an executor that was handed in broke.
        """
        outcomes = self._hand_over()
        done, _ = wait(self.running, timeout=0 if outcomes else timeout, return_when=FIRST_COMPLETED)
        dead = []
        for future in done:
            task = self.running.pop(future)
            try:
                outcomes.append((task, *future.result()))
            except BrokenExecutor:
                dead.append(task)
            except (CancelledError, KeyboardInterrupt):
                pass
            except Exception as error:  # of the executor: execute() tells its own in the document
                outcomes.append((task, failed(task, describe_error(error)), None))
        return outcomes + (self._start_anew(dead) if dead else [])

    def _hand_over(self):
        """Submit what may run now; the outcomes of tasks that turn out to be done already."""
        outcomes = []
        while self.waiting and len(self.running) < self._most_at_once:
            # Whoever saw a process die twice runs alone: so it is certain whose fault a third time is.
            alone = any(self.crashes[task] == MOST_CRASHES for task in (self.waiting[0], *self.running.values()))
            if alone and self.running:
                break
            task = self.waiting.popleft()
            document = self._finished(task)
            if document is not None:
                outcomes.append((task, document, None))
                continue
            if self._executor is None:
                self._executor = self._make_executor()
            try:
                self.running[self._executor.submit(self._function, task)] = task
            except BrokenExecutor:  # died since; the tasks that run are told of it as well
                self.waiting.appendleft(task)
                if not self.running:
                    self._executor = None
                break
        return outcomes

    def _start_anew(self, dead):
        """A fresh executor in place of the broken one, and the runs again that were under way."""
        wait(self.running)  # all of them break, or have just ended
        outcomes = []
        for future, task in self.running.items():
            if future.exception() is None:
                outcomes.append((task, *future.result()))
            else:
                dead.append(task)
        self.running, self._executor = {}, None
        for task in reversed(dead):
            self.crashes[task] += 1
            if self.crashes[task] > MOST_CRASHES:
                message = f"its process died {self.crashes[task]} times: it may have been killed for want of memory"
                outcomes.append((task, failed(task, message), None))
            else:
                self.waiting.appendleft(task)
        return outcomes

    def stop(self):
        """Hand over nothing more, have what runs on this machine save its checkpoint, and wait for it.

        Returns
        -------
        list of (Task, dict, bytes or None)
            What was done all the same.
        """
        self.waiting.clear()
        if self._stop is not None:
            self._stop()
        for future in self.running:
            future.cancel()
        outcomes = []
        while self.running:
            outcomes += [outcome for outcome in self.take() if outcome[1]["status"] != INTERRUPTED]
            self.waiting.clear()
        return outcomes


def failed(task, message):
    """The document of a run that could not tell its error itself."""
    document = {"format_version": FORMAT_VERSION, "spec": task.spec.to_json(), "versions": versions()}
    return document | {"status": FAILED, "error": message}


@contextlib.contextmanager
def local_processes(workers):
    """Processes of this machine, started afresh (not forked), with one thread of BLAS each if there are several.

    Parameters
    ----------
    workers : int

    Yields
    ------
    make_executor : callable
        As :class:`Crew` takes it.
    stop : callable
        Makes the runs save their checkpoints and end.
    """
    context = multiprocessing.get_context("spawn")
    # A pipe that nobody writes to: its end tells all processes at once, also when this one is killed. (Not an Event,
    # whose locks stay locked for ever when a process that waits for it is killed.)
    reader, writer = context.Pipe(duplex=False)
    made = []

    def make_executor():
        for pool in made:
            pool.shutdown(wait=False, cancel_futures=True)
        made[:] = [ProcessPoolExecutor(workers, context, initializer=start_worker, initargs=(reader, os.getpid()))]
        return made[0]

    with thread_limit(workers):
        try:
            yield make_executor, writer.close
        finally:
            writer.close()
            for pool in made:
                pool.shutdown(wait=True, cancel_futures=True)
            reader.close()


@contextlib.contextmanager
def thread_limit(workers):
    """Have processes that are started in the meantime compute with one thread each, if there are several workers."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    if workers > 1:
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_stopping = threading.Event()  # of this process, if it is a worker
_busy = threading.Lock()


def start_worker(reader, parent):
    """Prepare a process for its runs: Ctrl-C reaches it through its parent only, which it does not outlive.

    Parameters
    ----------
    reader : multiprocessing.connection.Connection
        Ends when the runs are to stop, and when the parent ends.
    parent : int
        The process that started this one.
    """
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # the terminal's Ctrl-C would come on top of ours, and a second one stops at once
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(reader, parent), daemon=True).start()


def _watch(reader, parent):
    """Turn the end of the pipe into one Ctrl-C for the run of this process."""
    with contextlib.suppress(EOFError, OSError):
        reader.recv_bytes()
    _stopping.set()
    _thread.interrupt_main()  # training ends after its minibatch, with a checkpoint; no effect between two runs
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    with _busy:
        os._exit(1)  # nobody is left to take the result


def execute_in_worker(task):
    """Compute a run in a process of this machine, which may be told to stop; see :func:`execute`."""
    with _busy:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            if not _stopping.is_set():
                return execute(task)
        except KeyboardInterrupt:
            pass
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        return {"spec": task.spec.to_json(), "status": INTERRUPTED}, None


@contextlib.contextmanager
def dask_cluster(address):
    """The workers of a Dask cluster, as an executor.

    Parameters
    ----------
    address : str
        Of the scheduler, as in ``tcp://127.0.0.1:8786``.

    Yields
    ------
    concurrent.futures.Executor
        ``dask.distributed``'s own. When a worker dies, Dask gives its run to another one.

    Raises
    ------
    ImportError
        If dask.distributed is not installed; the message has the command that does it.
    OSError
        If no scheduler answers.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ImportError("--scheduler needs dask.distributed: pip install 'numpy-setlstm[cluster]'") from None
    with Client(address) as client:
        yield client.get_executor(pure=False)
