"""Times of named functions within a step, measured from outside, without a line in them."""

import functools
import importlib
import threading
import time
from contextlib import contextmanager


class Parts:
    """Seconds by label, from the moments at which threads enter and leave named functions.

    Of nested functions the inner one has the time. Threads that are in named functions at once share each moment: the
    parts never add up to more than the elapsed time, whatever the number of threads.
    """

    def __init__(self, clock):
        self._clock = clock
        self._events = []  # (moment, thread, label, or None on leaving): appending is thread-safe

    def enter(self, label):
        """Record that this thread enters a function with this label."""
        self._events.append((self._clock(), threading.get_ident(), label))

    def leave(self):
        """Record that this thread leaves the function it entered last."""
        self._events.append((self._clock(), threading.get_ident(), None))

    def seconds(self):
        """Dict of str to float: the seconds of each label."""
        seconds, stacks, before = {}, {}, 0.0
        for moment, thread, label in sorted(self._events, key=lambda event: event[0]):
            running = [stack[-1] for stack in stacks.values() if stack]
            for name in running:
                seconds[name] += (moment - before) / len(running)
            before = moment
            if label is None:
                stacks[thread].pop()
            else:
                stacks.setdefault(thread, []).append(label)
                seconds.setdefault(label, 0.0)
        return seconds


@contextmanager
def timed_functions(functions, clock=time.perf_counter):
    """Time functions while the context is open: a list of (name, label), of which several may share a label.

    A name is "module:function" or "module:Class.method", of the module where the function is *looked up*: one that says
    ``from a import f`` has its own `f`. AttributeError if there is no such function.
    """
    parts, undo = Parts(clock), []
    try:
        for name, label in functions:
            owner, attribute = _find(name)
            undo.append((owner, attribute, vars(owner)[attribute]))
            setattr(owner, attribute, _timed(getattr(owner, attribute), label, parts))
        yield parts
    finally:
        for owner, attribute, original in reversed(undo):
            setattr(owner, attribute, original)


def _find(name):
    """The module or class that holds a function, and the function's name there."""
    module, _, path = name.partition(":")
    owner = importlib.import_module(module)
    *classes, attribute = path.split(".")
    for step in classes:
        owner = getattr(owner, step, None)
    if attribute not in getattr(owner, "__dict__", {}):
        raise AttributeError(f"there is no function {path!r} in {module}; expected 'module:name', as defined there")
    return owner, attribute


def _timed(function, label, parts):
    @functools.wraps(function)
    def timed(*args, **kwargs):
        parts.enter(label)
        try:
            return function(*args, **kwargs)
        finally:
            parts.leave()

    return timed
