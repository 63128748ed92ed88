r"""Where a step's time goes: named functions under the clock, from outside, without a line in them.

.. code-block:: python

    with timed_functions([("numpy_setlstm.network:lstm_forward", "LSTM forward")]) as parts:
        network.loss_and_gradients(tokens, labels)
    parts.seconds()
"""

import functools
import importlib
import threading
import time
from contextlib import contextmanager


class Parts:
    """Seconds by label.

    Parameters
    ----------
    clock : callable
        Tells the seconds.

    Notes
    -----
    What is recorded are the moments at which a thread enters or leaves a named function. Of nested functions the inner
    one has the time. Where threads are in named functions at once, each moment is divided among them: so the parts add
    up to no more than the time that went by, whatever the number of threads.
    """

    def __init__(self, clock):
        self._clock = clock
        self._events = []  # (moment, thread, label, or None on leaving): appending is safe among threads

    def enter(self, label):
        """Note that this thread enters a function with this label."""
        self._events.append((self._clock(), threading.get_ident(), label))

    def leave(self):
        """Note that this thread leaves the function that it entered last."""
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
    """Put named functions under the clock while the context is open.

    Parameters
    ----------
    functions : list of (str, str)
        Name and label of each: the name is "module:function" or "module:Class.method", of the module in which the
        function is *looked up* (one that says ``from a import f`` has a name `f` of its own). Several functions may
        share a label.
    clock : callable, optional
        Tells the seconds.

    Yields
    ------
    Parts

    Raises
    ------
    AttributeError
        If there is no function of that name.

    Examples
    --------
    >>> import numpy_setlstm.layers.lstm as lstm
    >>> with timed_functions([("numpy_setlstm.layers.lstm:sigmoid", "gates")]) as parts:
    ...     half = lstm.sigmoid(0.0)
    >>> list(parts.seconds())
    ['gates']
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
    """The module or class that holds the function of this name, and its name there."""
    module, _, path = name.partition(":")
    owner = importlib.import_module(module)
    *classes, attribute = path.split(".")
    for step in classes:
        owner = getattr(owner, step, None)
    if attribute not in getattr(owner, "__dict__", {}):
        raise AttributeError(f"there is no function {path!r} in {module}: write 'module:function' as it stands there")
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
