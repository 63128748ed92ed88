"""``numpy-setlstm`` and ``python -m numpy_setlstm``: put the process in order, then run the command line.

Whatever the streams, the locale, the current folder and the moment of a Ctrl-C, the process ends with a code and at
most one line on standard error, never with a traceback.
"""

import atexit
import os
import signal
import sys

ERROR, INTERRUPTED = 2, 130


def main():
    """Run the command line on this process's arguments; return the exit code."""
    quiet = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not where Ctrl-C is ignored: nohup, &
    if quiet:
        signal.signal(signal.SIGINT, _leave)  # an interrupted import cannot be caught cleanly
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # Python ends by restoring every other handler
        sys.unraisablehook = _repeat_lost_interrupt
    prepare_streams()
    prepare_path()
    if sys.argv[1:2] in (["demo"], ["train"]):
        from numpy_setlstm.blas import one_blas_thread

        one_blas_thread()
    try:
        from numpy_setlstm import cli
    except ModuleNotFoundError as error:
        return _say_what_is_missing(error)

    try:
        if quiet:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = cli.main()
    except SystemExit as stop:  # of the parser: --help, --version, a wrong option
        code = stop.code
    except KeyboardInterrupt:  # a second one, while the first was dealt with
        code = INTERRUPTED
    finally:
        if quiet:
            signal.signal(signal.SIGINT, _leave)  # nothing is left to save
    return cli.flush_streams(code or 0)


def prepare_streams():
    """Open closed streams on the null device; escape characters that the terminal's encoding lacks."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, "w" if number else "r", encoding="utf-8")
            os.set_inheritable(stream.fileno(), True)  # it has the number of the closed one, for workers too
            setattr(sys, name, stream)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def prepare_path():
    """Never import from the current folder, here or in processes that this one starts.

    ``python -m`` puts it first. If the package itself is there, the folder goes last.
    """
    os.environ.setdefault("PYTHONSAFEPATH", "1")  # read by processes of Python 3.11 or newer
    try:
        here = os.path.realpath(os.getcwd())
    except OSError:  # it was deleted
        return
    if sys.path and os.path.realpath(sys.path[0] or here) == here:
        first = sys.path.pop(0)
        if os.path.realpath(os.path.join(__file__, "..", "..")) == here:
            sys.path.append(first)


def _say_what_is_missing(error):
    """A library is not installed: usually this is not the Python that the package was installed into."""
    mend = "use the Python of the folder in which you installed it, such as .venv/bin/python, or pip install . there"
    print(f"numpy-setlstm: error: {error}; {mend}", file=sys.stderr)
    return ERROR


def _leave(signum, frame):
    try:
        os.write(2, b"numpy-setlstm: interrupted\n")
    finally:
        os._exit(INTERRUPTED)


def _repeat_lost_interrupt(unraisable):
    """Ctrl-C in a callback that cannot raise, such as ``__del__``, comes again a moment later."""
    import threading  # not above: every import there is one more moment without the handler

    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        main_thread = [threading.main_thread().ident] if hasattr(signal, "pthread_kill") else []
        again = signal.pthread_kill if main_thread else signal.raise_signal  # the first one also ends a sleep
        timer = threading.Timer(0.05, again, [*main_thread, signal.SIGINT])
        timer.daemon = True
        timer.start()
    else:
        sys.__unraisablehook__(unraisable)


if __name__ == "__main__":
    sys.exit(main())
