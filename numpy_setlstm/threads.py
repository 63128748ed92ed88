"""Parts of a minibatch at the same time, on the cores that there are.

NumPy lets go of Python's lock while it computes, so threads do run at the same time. How a minibatch is split depends
on its size and the network's only, and the parts are put together in their order: the result is the same, bit for bit,
however many threads there are and whichever ends first.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

CELLS_PER_PART = 2**13  # texts times hidden units; with fewer, handing over costs more than it brings
FEWEST_TEXTS, MOST_TEXTS = 16, 64  # per part: with fewer, a product has too little to do; more do not fit the cache


def available_cores():
    """Number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def split_batch(n_texts, hidden_size):
    """Cut a minibatch into parts of equal size, as nearly as possible.

    Parameters
    ----------
    n_texts, hidden_size : int

    Returns
    -------
    list of slice
        At least one.

    Examples
    --------
    >>> split_batch(64, 256)
    [slice(0, 32, None), slice(32, 64, None)]
    >>> len(split_batch(64, 1024)), len(split_batch(32, 64)), len(split_batch(256, 64))
    (4, 1, 4)
    """
    wanted = max(n_texts * hidden_size // CELLS_PER_PART, -(-n_texts // MOST_TEXTS))
    n_parts = max(1, min(wanted, n_texts // FEWEST_TEXTS))
    borders = [n_texts * k // n_parts for k in range(n_parts + 1)]
    return [slice(first, last) for first, last in zip(borders[:-1], borders[1:], strict=True)]


def run_parts(function, parts, n_threads=None):
    """Call a function for each part, at the same time where there are threads.

    Parameters
    ----------
    function : callable
        Takes one element of `parts`.
    parts : list
    n_threads : int, optional
        By default as many as there are cores.

    Returns
    -------
    list
        The results in the order of the parts.

    Examples
    --------
    >>> run_parts(lambda k: k * k, [1, 2, 3], n_threads=2)
    [1, 4, 9]
    """
    n_threads = min(len(parts), n_threads or available_cores())
    if n_threads == 1:
        return [function(part) for part in parts]
    handling = np.geterr()  # each thread has its own; let it be the caller's

    def run(part):
        with np.errstate(**handling):
            return function(part)

    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(run, parts))
