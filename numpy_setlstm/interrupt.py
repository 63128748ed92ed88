"""Ctrl-C as a flag, so that work can stop at a point from which it can continue."""

import signal
import threading


class InterruptFlag:
    """Turns Ctrl-C into a flag within a ``with`` block; a second Ctrl-C raises KeyboardInterrupt as usual.

    Signals reach the main thread only; in other threads, and where somebody else handles them, nothing is changed.

    >>> with InterruptFlag() as interrupt:
    ...     signal.raise_signal(signal.SIGINT)  # like Ctrl-C
    ...     print("the minibatch ends")
    the minibatch ends
    >>> interrupt.requested
    True
    """

    def __enter__(self):
        self.requested = False
        self._installed = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self._installed:
            signal.signal(signal.SIGINT, self._request)
        return self

    def _request(self, signum, frame):
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __exit__(self, *exception):
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
