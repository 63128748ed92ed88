"""A submission in a process of its own, seen from outside: its functions are called with arrays and return arrays."""

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass

import numpy as np

from numpy_setlstm.grading.wire import Handle, WireError, pack, receive
from numpy_setlstm.grading.worker import PACKAGE

START = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("numpy_setlstm", sys.argv[1], submodule_search_locations=[sys.argv[2]])
sys.modules["numpy_setlstm"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
sys.argv[1:] = []
from numpy_setlstm.grading.worker import main
main()
"""
TOO_LONG = "no answer in time", "There is no answer in time: an endless loop, or far too slow?"
DIED = "the process ended", "The process ended without an answer: os._exit, a crash, or too much memory?"
MAX_REPORT = 10_000  # characters
TOO_MANY_DEATHS = 8  # cells that stop the process, after which the rest of the submission is given up


@dataclass(frozen=True)
class Limits:
    """Of the process of a submission. On Windows only the times by the clock hold; macOS ignores `memory`.

    Attributes
    ----------
    seconds : int
        Of computing, for the whole life of a process.
    wall_seconds, all_seconds : float
        By the clock: for one answer, and for all of a submission together.
    memory, file_bytes : int
        In bytes: of the process, and of the largest file it may write.
    processes, files : int
        That it may have; the first counts for all of a user's processes, and not for root.

    Examples
    --------
    >>> Limits(seconds=5).wall_seconds
    60
    """

    seconds: int = 30
    wall_seconds: float = 60
    all_seconds: float = 600
    memory: int = 3 * 2**30
    file_bytes: int = 2**20
    processes: int = 0
    files: int = 64


class Wrong(Exception):
    """A task is not solved.

    Parameters
    ----------
    cause : str
        In a few words, for the list of the class.
    report : str
        What the student reads.
    signature : sequence of str
        What two submissions have in common if they fail in the same entries with the same numbers.
    """

    def __init__(self, cause, report="", signature=()):
        super().__init__(cause)
        self.cause, self.report, self.signature = cause[:200], (report or cause)[:MAX_REPORT], tuple(signature)


class Submission:
    """The code of one student; a process that dies is started again for the next call.

    Parameters
    ----------
    cells : list of (str, str)
        Name and source of each part of the code, in their order.
    allowed : sequence of str
        What may be imported besides the standard library and NumPy: other libraries, and rooms of this package;
        "numpy_setlstm" is all of it.
    limits : Limits, optional
        Of its process.

    Attributes
    ----------
    remarks : list of str
        What a person should look at: errors in cells, imports that were refused.

    Examples
    --------
    >>> with Submission([("cell 1", "def double(x): return 2 * x")]) as submission:
    ...     submission.call("double", np.arange(3.0))
    array([0., 2., 4.])
    """

    def __init__(self, cells, allowed=(), limits=None):
        self.cells, self.allowed, self.limits = list(cells), list(allowed), limits or Limits()
        self.process, self.folder, self.remarks, self.skipped = None, None, [], set()
        self.until = time.monotonic() + self.limits.all_seconds

    def __enter__(self):
        """Return the submission; its process starts with the first call."""
        return self

    def __exit__(self, *_):
        """End its process."""
        self.stop()

    def call(self, name, *args, keep=(), **kwargs):
        """Call a function of the submission.

        Parameters
        ----------
        name : str
            Of the function.
        *args : object
            Numbers, arrays, lists and dicts of these, and what was kept of earlier calls.
        keep : sequence of int
            Positions in the returned tuple of what is not sent, such as a cache; it may be handed to later calls.
        **kwargs : object
            As `args`.

        Returns
        -------
        object
            What the function returned, as arrays and plain numbers.

        Raises
        ------
        Wrong
            If there is no such function, if it raises an error, or if its process ends.
        """
        return self.measure(name, *args, keep=keep, count=False, **kwargs)[0]

    def measure(self, name, *args, keep=(), count=True, **kwargs):
        """Call a function; also return the answer with `warnings`, and `lines`: how many lines of Python it ran."""
        self.start()
        request = {"name": name, "args": list(args), "kwargs": kwargs, "keep": list(keep), "count": count}
        answer = self.ask({"do": "call"} | request)
        if "error" in answer:
            raise wrong_call(name, **answer)
        return answer["value"], answer

    def start(self):
        """Start the process, if it is not running, and run all cells but those that have stopped one."""
        while self.process is None:
            self.launch()
            for number, (label, source) in enumerate(self.cells):
                if number in self.skipped or (len(self.skipped) >= TOO_MANY_DEATHS):
                    continue
                try:
                    answer = self.ask({"do": "run", "source": source, "label": label})
                except Wrong as stopped:
                    self.skipped.add(number)
                    self.remark(f"{label}: {stopped.cause}")
                    break
                if "error" in answer and answer["kind"] != "NotImplementedError":
                    self.remark(f"{label}: {answer['error']}")

    def remark(self, text):
        """Note something for a person, once."""
        if text not in self.remarks:
            self.remarks.append(text)

    def launch(self):
        """Start a process in an empty folder, with nothing of this one's environment."""
        self.folder = tempfile.mkdtemp(prefix="submission-")
        kept = {name: os.environ[name] for name in ("SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
        threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        kept |= threads | {"MPLBACKEND": "Agg", "MPLCONFIGDIR": self.folder, "HOME": self.folder, "TMPDIR": self.folder}
        command = [sys.executable, "-I", "-B", "-c", START, os.path.join(PACKAGE, "__init__.py"), PACKAGE]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(
            command, cwd=self.folder, env=kept, start_new_session=True, close_fds=True, **pipes
        )
        self.answers = queue.Queue()
        threading.Thread(target=listen, args=(self.process.stdout, self.answers), daemon=True).start()
        self.send({"limits": asdict(self.limits), "allowed": self.allowed})

    def send(self, message):
        """Write a message; a process that has ended, or does not read it, is noticed when it should answer."""
        timer = threading.Timer(self.limits.wall_seconds, kill, (self.process,))
        timer.start()
        with contextlib.suppress(OSError):
            self.process.stdin.write(pack(message))
            self.process.stdin.flush()
        timer.cancel()

    def ask(self, request):
        """Send a request and wait for the answer; Wrong if the process dies, hangs, or answers something odd."""
        self.send(request)
        try:
            answer = self.answers.get(timeout=max(0, min(self.limits.wall_seconds, self.until - time.monotonic())))
        except queue.Empty:
            self.stop()
            raise Wrong(*TOO_LONG) from None
        if not isinstance(answer, dict):
            spent = self.stop() == SPENT
            noise = "no readable answer", str(answer)
            raise Wrong(*(TOO_LONG if spent else noise if isinstance(answer, WireError) else DIED))
        answer = plain_answer(answer)
        for what in answer["refused"]:
            self.remark(f"refused: {what}")
        return answer

    def stop(self):
        """End the process and all that it started; return its exit code."""
        if self.process is None:
            return None
        process, self.process = self.process, None
        with contextlib.suppress(OSError):
            process.stdin.close()  # which it takes for the end
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
        kill(process)
        code = process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        return code


SPENT = -getattr(signal, "SIGXCPU", 0)  # how a process ends that has used up its time


def plain_answer(answer):
    """An answer with all its fields, and each of its type, whoever wrote it."""
    fields = {"kind": "", "refused": [], "warnings": [], "lines": 0} | ({"error": ""} if "error" in answer else {})
    plain = {
        name: answer[name] if type(answer.get(name)) is type(default) else default for name, default in fields.items()
    }
    plain |= {name: [str(text)[:200] for text in plain[name]] for name in ("refused", "warnings")}
    return plain | {"value": answer.get("value")}


def wrong_call(name, error, kind, refused, **_):
    """Why a call gave no answer."""
    words = {
        "MemoryError": "needs too much memory",
        "SystemExit": "ends the program",
        "WireError": "returns no numbers",
        "TooLongError": "returns too much",
    }
    if kind == "NotImplementedError":
        return Wrong("not implemented yet", f"{name} is not implemented yet.")
    if error == f"there is no function {name}":
        return Wrong(f"{name} is missing", f"There is no function {name}; was its cell stopped by an error?")
    imports = [what for what in refused if what.startswith("import ")]
    cause = f"{name} {words.get(kind, f'stops with {kind}')}"
    if kind == "NameError" and imports:
        cause = f"not allowed: {imports[-1]}"
    elif kind in ("PermissionError", "ImportError") and refused:
        cause = f"not allowed: {refused[-1]}"
    return Wrong(cause, f"{name} stops: {error}")


def kill(process):
    """End a process and its group."""
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def listen(stream, answers):
    """Put all messages of a stream into a queue, and at last what ended it."""
    with stream:
        try:
            while True:
                answers.put(receive(stream))
        except (EOFError, WireError, OSError, ValueError, MemoryError) as error:
            answers.put(error)


def as_array(value):
    """What a function returned as an array of numbers; Wrong if it is none."""
    if isinstance(value, Handle) or value is None or isinstance(value, str | dict):
        raise Wrong("no array returned", f"it returns {'nothing' if value is None else type(value).__name__}, no array")
    try:
        array = np.asarray(value)
    except ValueError:
        raise Wrong("no array returned", "it returns lists of different lengths, no array") from None
    if array.dtype.kind not in "biufc":
        raise Wrong("no array returned", "it returns something that is no array of numbers")
    return array
