"""The process of a submission: runs its code, calls its functions, and answers with arrays. It knows no right answer.

Nothing that is computed here is trusted. The limits and the guard below keep mistakes and tricks from doing harm; they
are no prison for somebody who means it.
"""

import contextlib
import itertools
import os
import shutil
import sys
import sysconfig
import threading
import time
import traceback
import types
import warnings

import numpy  # noqa: F401  before the guard: it loads libraries

from numpy_setlstm.grading.wire import Handle, TooLongError, WireError, pack, receive

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OPEN_TO_ALL = ("gradcheck", "grading.visible")  # the rooms of this package that any submission may import
OWN_FILES = ("__init__", "grading.__init__", "grading.worker", "grading.wire")  # for tracebacks
FOREIGN = frozenset(  # libraries that would do the work; the first two write files without an event
    "_dbm _gdbm autograd cupy flax jax keras mxnet numba paddle scipy sklearn sympy tensorflow torch".split()
)
FORBIDDEN = tuple(  # the beginnings of what Python's audit events are called
    (
        "ctypes. ftplib. http. os.exec os.fork os.kill os.link os.posix_spawn os.putenv os.spawn os.startfile "
        "os.symlink os.system pty. resource. signal.pthread_kill socket. sqlite3. subprocess. sys.setprofile "
        "sys.settrace urllib."
    ).split()
)
PATHS = frozenset(
    "os.chmod os.chown os.mkdir os.remove os.rename os.rmdir os.truncate os.utime shutil.copyfile shutil.move".split()
)
LISTING = ("os.listdir", "os.scandir")
DEVICES = ("/dev/null", "/dev/urandom", "/dev/zero")


def main():
    """Answer requests until the channel is closed."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    setup = receive(requests)
    folder = os.getcwd()
    threading.Thread(target=watch, args=(os.getppid(), folder), daemon=True).start()
    set_limits(setup["limits"])
    worker = Worker()
    with contextlib.suppress(ImportError):
        __import__("_posixsubprocess").fork_exec = None  # what no event tells of
    guard = Guard(setup["allowed"], folder)
    sys.addaudithook(guard)
    while True:
        try:
            request = receive(requests)
        except EOFError:
            leave(folder)
        answer = getattr(worker, f"do_{request.pop('do')}")(guard, **request)
        try:
            message = pack(answer | {"refused": guard.refused[:20]})
        except (WireError, RecursionError, TypeError, ValueError, MemoryError) as error:
            kind = "TooLongError" if isinstance(error, TooLongError) else "WireError"
            wrong = {"error": f"what it returns cannot be read: {error}", "kind": kind}
            message = pack(wrong | {"refused": guard.refused[:20]})
        try:
            answers.write(message)
            answers.flush()
        except OSError:  # nobody reads it any more
            leave(folder)


def watch(parent, folder):
    """End this process if the grader has ended, whatever the submission is doing."""
    while os.getppid() == parent:
        time.sleep(1)
    leave(folder)


def leave(folder):
    """End this process, and leave nothing behind."""
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def set_limits(limits):
    """Limit this process for good; Windows has no such limits."""
    try:
        import resource
    except ImportError:
        return
    wanted = {"CPU": "seconds", "AS": "memory", "FSIZE": "file_bytes", "NPROC": "processes", "NOFILE": "files"}
    for name, key in wanted.items():
        number = getattr(resource, f"RLIMIT_{name}", None)
        if number is not None:
            with contextlib.suppress(ValueError, OSError):  # some systems refuse some of them
                resource.setrlimit(number, (limits[key], limits[key] + 2 * (name == "CPU")))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Guard:
    """An audit hook: which files may be opened, what may be imported; no other programs, no network.

    Python tells it what is about to happen, whatever names the code uses; it cannot be removed.
    """

    def __init__(self, allowed, folder):
        self.rooms = (*OPEN_TO_ALL, *(name for name in allowed if name != "numpy_setlstm"))
        self.everything, self.foreign = "numpy_setlstm" in allowed, FOREIGN - set(allowed)
        ours = [os.path.join(PACKAGE, *name.split(".")) for name in (*OWN_FILES, *self.rooms)]
        self.ours = tuple(path + end for path in ours for end in (os.sep, "."))
        names = ("stdlib", "platstdlib", "purelib", "platlib")
        libraries = {os.path.realpath(sysconfig.get_path(name)) for name in names}
        self.libraries = tuple(path + os.sep for path in libraries)
        self.foreign_files = tuple(path + name for path in self.libraries for name in self.foreign)
        self.folder, self.refused, self.measuring = os.path.realpath(folder), [], False
        self.fspath, self.realpath = os.fspath, os.path.realpath

    def __call__(self, event, arguments):
        """Raise an error if what is about to happen is not allowed."""
        if event == "import":
            self.check_import(arguments[0])
        elif event in LISTING or (event in PATHS and isinstance(arguments[0], str | bytes | os.PathLike)):
            self.check_path(arguments[0] or ".", event)
        elif event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            self.check_path(arguments[0], "write" if writes(*arguments[1:]) else event)
        elif event.startswith(FORBIDDEN) and not self.measuring:
            harmless = arguments and arguments[0] == "fc-list"  # Matplotlib asks for fonts
            self.refuse(PermissionError(f"{event} is not allowed while grading"), None if harmless else event)

    def trace(self, function):
        """Set a trace function, which the submission itself may not do."""
        self.measuring = True
        sys.settrace(function)
        self.measuring = False

    def refuse(self, error, what):
        """Raise the error; `what` is told to the grader."""
        if what and what not in self.refused:
            self.refused.append(what)
        raise error

    def check_import(self, name):
        """Refuse other libraries, and rooms of this package that are not open."""
        top, _, room = name.partition(".")
        ours = top == "numpy_setlstm" and room not in ("", "grading") and not self.everything
        if top in self.foreign or (ours and not any(f"{room}.".startswith(f"{name}.") for name in self.rooms)):
            self.refuse(ImportError(f"{name} cannot be imported in this assignment"), f"import {name}")

    def check_path(self, path, event):
        """Allow libraries to be read, and the own folder to be written."""
        if isinstance(path, int):
            return
        real = self.realpath(os.fsdecode(self.fspath(path)))
        inside = f"{real}{os.sep}" if event in LISTING else real
        if real in (*DEVICES, self.folder) or real.startswith(self.folder + os.sep):
            return
        what = "a file outside of its folder"
        if real.startswith(PACKAGE + os.sep) and event == "open":
            source = real.replace(f"{os.sep}__pycache__", "")
            allowed = self.everything or source.startswith(self.ours)
            what = "numpy_setlstm" + source.removeprefix(PACKAGE).split(".")[0]
        elif real.startswith(self.foreign_files) and event == "open":
            allowed, what = False, "another library"
        else:
            allowed = event in (*LISTING, "open") and inside.startswith((*self.libraries, PACKAGE + os.sep))
        if not allowed:  # the search for a module lists folders, which is no trick
            error = PermissionError(f"{what} cannot be opened in this assignment")
            self.refuse(error, None if event in LISTING else what)


def writes(mode, flags):
    """Whether a file is opened for writing."""
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    return bool(set(mode or "") & set("wax+")) or bool(flags & writing)


class Worker:
    """What the grader may ask for."""

    def __init__(self):
        module = types.ModuleType("submission")
        module.__dict__["display"] = print  # notebooks have it without an import
        sys.modules["submission"] = module
        self.names, self.kept, self.numbers = module.__dict__, {}, itertools.count()

    def do_run(self, guard, source, label):
        """Run a cell."""
        return self.attempt(lambda: exec(compile(source, label, "exec"), self.names)) | {"result": None}

    def do_call(self, guard, name, args, kwargs, keep, count):
        """Call a function; the parts of a returned tuple at the positions `keep` stay here."""
        if not callable(self.names.get(name)):
            return {"error": f"there is no function {name}", "kind": "NameError"}
        args, kwargs, lines = self.given(args), self.given(kwargs), [0]

        def call():
            if not count:
                return self.names[name](*args, **kwargs)
            guard.trace(tracer(lines))
            try:
                return self.names[name](*args, **kwargs)
            finally:
                guard.trace(None)

        answer = self.attempt(call)
        value = answer.pop("result", None)
        return answer | {"value": self.shown(value, keep), "lines": lines[0]}

    def attempt(self, action):
        """What an action returns, or what stopped it, and the warnings of NumPy."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                answer = {"result": action()}
            except BaseException as error:  # also what sys.exit raises
                answer = {"error": place_of(error) + str(error)[:300], "kind": kind_of(error)}
        told = [str(w.message)[:100] for w in caught if issubclass(w.category, RuntimeWarning)]
        return answer | {"warnings": told[:5]}

    def given(self, value):
        """A value from the grader, with what its handles stand for."""
        if isinstance(value, Handle):
            return self.kept[value.number]
        if isinstance(value, dict):
            return {key: self.given(part) for key, part in value.items()}
        return type(value)(self.given(part) for part in value) if type(value) in (list, tuple) else value

    def shown(self, value, keep):
        """A value for the grader, with handles for what is kept."""
        if keep and isinstance(value, tuple | list):
            parts = list(value)
            for position in keep:
                if position < len(parts):
                    number = next(self.numbers)
                    self.kept[number], parts[position] = parts[position], Handle(number)
            return tuple(parts)
        return value


def tracer(lines):
    """A trace function that counts the lines of Python that are executed."""

    def trace(frame, event, argument):
        lines[0] += event == "line"
        return trace

    return trace


def kind_of(error):
    """The name of an error's class; NumPy has a class of its own for too little memory."""
    return "MemoryError" if isinstance(error, MemoryError) else type(error).__name__


def place_of(error):
    """Where in the submission an error was raised, such as "line 3 of cell 5: "."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(("cell ", "the file"))]
    if isinstance(error, SyntaxError) and str(error.filename).startswith(("cell ", "the file")):
        return f"line {error.lineno} of {error.filename}: {type(error).__name__}: "
    return f"{f'line {frames[-1].lineno} of {frames[-1].filename}: ' if frames else ''}{type(error).__name__}: "
