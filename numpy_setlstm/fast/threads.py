"""Two ways to use several cores, with bitwise equal results for any number of threads.

NumPy releases Python's lock while it computes, so threads do run at the same time; but threads that share the lock
delay each other at every call, by some microseconds. So many threads gain little on a small minibatch. What pays is a
second thread for work that is not urgent (:class:`Background`), and further ones for further parts of a large minibatch
(:func:`run_parts`). How a minibatch is split depends on its size only, and the parts are joined in their order, so
neither the number of threads nor which of them ends first changes anything.
"""

import os
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

# Texts per part of a minibatch. More do not fit into the processor's cache; but in prediction, where the parts have a
# thread each, fewer and longer calls of NumPy count for more.
MOST_TEXTS, MOST_TEXTS_PREDICTING = 64, 128


def available_cores():
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def split_batch(n_texts, most_texts=MOST_TEXTS):
    """Cut a minibatch into at least one part, of about equal size, each of at most `most_texts` texts: a list of slice.

    >>> split_batch(130)
    [slice(0, 43, None), slice(43, 86, None), slice(86, 130, None)]
    """
    n_parts = max(1, -(-n_texts // most_texts))
    borders = [n_texts * k // n_parts for k in range(n_parts + 1)]
    return [slice(first, last) for first, last in zip(borders[:-1], borders[1:], strict=True)]


def run_parts(function, parts, n_threads):
    """Call a function for each part, in up to `n_threads` threads at the same time; a list of results, in order.

    >>> run_parts(lambda k: k * k, [1, 2, 3], n_threads=2)
    [1, 4, 9]
    """
    n_threads = min(len(parts), n_threads)
    if n_threads <= 1:
        return [function(part) for part in parts]
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(_with_our_errstate(function), parts))


class Background:
    """A thread that does the work it is given in order, beside the caller's; if not `active`, the caller does it.

    `ahead` is how many pieces of work are worth handing in before they are needed.

    >>> with Background(active=True) as background:
    ...     pieces = [background.submit(pow, 2, k) for k in range(3)]
    ...     print([piece.result() for piece in pieces])
    [1, 2, 4]
    """

    def __init__(self, active):
        self.pool = ThreadPoolExecutor(1) if active else None
        self.ahead = 2 if active else 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.pool:
            self.pool.shutdown(cancel_futures=True)

    def submit(self, function, *arguments):
        """Hand in work; returns a Future, whose result waits for it and raises what it raised."""
        if self.pool:
            return self.pool.submit(_with_our_errstate(function), *arguments)
        done = Future()
        done.set_result(function(*arguments))
        return done


def _with_our_errstate(function):
    """NumPy's handling of floating-point errors is set per thread; use the caller's."""
    handling = np.geterr()

    def run(*arguments):
        with np.errstate(**handling):
            return function(*arguments)

    return run
