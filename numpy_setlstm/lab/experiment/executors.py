"""Where runs are computed: in processes on this machine, on a Dask cluster, or by any executor."""

import contextlib
import os
import signal
import sys
import threading
import time
import warnings
from collections import deque
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, wait

from numpy_setlstm.blas import THREAD_VARIABLES
from numpy_setlstm.lab.experiment.runs import BUSY, describe_error, execute, failed

REFRESH_SECONDS = 1.0
SAFE_PATH = "PYTHONSAFEPATH"
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
_OF_WORKERS = (
    "argparse",
    "pkgutil",
    "runpy",
    "sitecustomize",
    "usercustomize",
)  # that this process may not have imported


def run_tasks(tasks, make_executor, *, at_once=None, find_document=lambda task: None, compute=execute):
    """Yield (task, document, model) as each task ends, and None at least every second.

    A task that another process is computing, so that its document is "busy", comes again after the others. A task is
    skipped if `find_document` has its document by then, from another process. If a process dies, each task
    submitted to its executor, up to `at_once`, runs again alone, and fails if its process dies again.
    """
    waiting, running, crashed, executor = deque(tasks), {}, set(), None
    at_once = at_once or len(tasks)
    try:
        while waiting or running:
            while waiting and len(running) < at_once and not (running and crashed & {waiting[0], *running.values()}):
                task = waiting.popleft()
                document = find_document(task)
                if document is not None:
                    yield task, document, None
                    continue
                executor = executor or make_executor()
                try:
                    running[executor.submit(compute, task)] = task
                except BrokenExecutor:  # the running tasks will report it too
                    waiting.appendleft(task)
                    executor = None
                    break
            for future in wait(running, REFRESH_SECONDS, FIRST_COMPLETED).done:
                task = running.pop(future)
                try:
                    outcome = task, *future.result()
                except BrokenExecutor:
                    executor = None
                    if task not in crashed:
                        crashed.add(task)
                        waiting.appendleft(task)
                        continue
                    outcome = task, failed(task, "its process died twice: it may have run out of memory"), None
                except CancelledError:
                    continue
                except Exception as error:  # of the executor: execute() puts its own errors into the document
                    outcome = task, failed(task, describe_error(error)), None
                if outcome[1]["status"] == BUSY:
                    waiting.append(task)
                yield outcome
            yield None
    finally:
        for future in running:
            future.cancel()


@contextlib.contextmanager
def local_processes(workers):
    """A function that makes an executor of processes on this machine, with one BLAS thread each if there are several.

    At the end, runs that are unfinished save their checkpoints and stop.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*joblib will operate in serial mode")  # an error will say it, below
            from joblib.externals.loky import ProcessPoolExecutor  # unlike the standard library's: no __main__ guard
    except ImportError:
        raise ImportError("comparing in processes needs joblib: pip install 'numpy-setlstm[compare]'") from None
    pools = []

    def make_executor():
        check_current_folder()
        environment = dict.fromkeys(THREAD_VARIABLES, "1") if workers > 1 else None
        start = {"initializer": _start_worker, "initargs": (os.getpid(),)}
        try:
            with _environment(), _ignoring_interrupts():  # which the processes inherit, until _start_worker
                pools.append(ProcessPoolExecutor(workers, env=environment, **start))
                pools[-1].submit(int)  # starts them
        except OSError as error:
            why = "processes could not be started; they need memory, and semaphores, which Linux keeps in /dev/shm"
            raise OSError(error.errno, f"{error.strerror}: {why}") from error
        return pools[-1]

    try:
        yield make_executor
    finally:
        _stop(pools)


def _stop(pools):
    """Let unfinished runs save their checkpoints; a second Ctrl-C kills them instead."""
    try:
        for pool in pools:
            for pid in list(pool._processes):
                with contextlib.suppress(ProcessLookupError):
                    started = not hasattr(os, "getpgid") or os.getpgid(pid) == pid
                    os.kill(pid, signal.SIGINT if started else _KILL)  # one that starts has nothing to save
            pool.shutdown()
    except KeyboardInterrupt:
        with _ignoring_interrupts():
            for pid in [pid for pool in pools for pid in list(pool._processes or ())]:
                with contextlib.suppress(OSError):
                    os.kill(pid, _KILL)  # or Python, when it ends, would wait for them forever
        raise


def check_current_folder():
    """ImportError if processes of Python 3.10 would import a file of the current folder in the place of a module.

    They are started with ``python -m``, which looks there first; newer ones obey PYTHONSAFEPATH.
    """
    if sys.version_info >= (3, 11):
        return
    here = os.path.realpath(os.getcwd())
    for name in sorted(os.listdir(here)):
        module, dot, _ = name.partition(".")
        found = sys.modules.get(module)
        theirs = os.path.realpath(getattr(found, "__file__", None) or "")
        is_module = name.endswith((".py", ".pyc", ".so", ".pyd")) or os.path.isfile(os.path.join(name, "__init__.py"))
        if is_module and (found or module in _OF_WORKERS) and not theirs.startswith(os.path.join(here, "")):
            raise ImportError(
                f"the current folder has {name}, which the processes of compare would import in the place of the "
                f"module {module}: rename it, call compare from another folder, or use Python 3.11"
            )


@contextlib.contextmanager
def _environment():
    """That of processes to start: without imports from the current folder, without words about what is cleaned up."""
    before = {name: os.environ.get(name) for name in (SAFE_PATH, "PYTHONWARNINGS")}
    os.environ[SAFE_PATH] = "1"
    filters = [before["PYTHONWARNINGS"], "ignore:resource_tracker"]  # as when Ctrl-C is pressed twice
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, filters))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@contextlib.contextmanager
def _ignoring_interrupts():
    """Ignore Ctrl-C for some milliseconds, in the main thread; other threads cannot, and need not."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_stop_requested = threading.Event()  # in a worker


def _start_worker(parent):
    """Let Ctrl-C reach a worker only from the process that started it, and end both together."""
    signal.signal(signal.SIGINT, lambda *_: _stop_requested.set())
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()


def _end_with_parent(parent):
    while os.getppid() == parent:
        time.sleep(REFRESH_SECONDS)
    os._exit(1)


def execute_in_worker(task, execute=execute):
    """`execute`, which Ctrl-C interrupts; between runs Ctrl-C prevents the next one."""
    between_runs = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if _stop_requested.is_set():
            raise KeyboardInterrupt
        return execute(task)
    finally:
        signal.signal(signal.SIGINT, between_runs)


@contextlib.contextmanager
def dask_cluster(address):
    """The workers of a Dask cluster as an executor; the scheduler's address is such as ``tcp://127.0.0.1:8786``.

    When a worker dies, Dask gives its run to another one.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ImportError("--scheduler needs dask.distributed: pip install 'numpy-setlstm[cluster]'") from None
    with Client(address) as client:
        yield client.get_executor(pure=False)
