"""Time against density, with the crossovers; time and memory against size, with the exponents."""

import time
from dataclasses import replace
from functools import partial
from importlib.util import find_spec

import numpy as np

from numpy_setlstm.fast.products import make_products
from numpy_setlstm.lab.benchmark.costs import bytes_by_formula, fits
from numpy_setlstm.lab.benchmark.harness import Budget, PeerError, Worker, spread, start_workers, take_turns
from numpy_setlstm.lab.benchmark.peers import OURS, PEERS
from numpy_setlstm.lab.benchmark.work import draw_network
from numpy_setlstm.measures.curves import crossing, exponent

# Ends first, then between: so that a sweep that is cut short covers the whole range, coarsely.
DENSITIES = (0.001, 1.0, 0.03, 0.3, 0.01, 0.1, 0.003, 0.5, 0.05, 0.2, 0.02, 0.002, 0.005)
SMALLEST_HIDDEN = 256
WORDS_PER_UNIT = 16  # the vocabulary grows with the hidden size: a million words at H = 65,536
CONNECTIONS_PER_UNIT = 8  # into each unit of each gate, in the sweep over sizes
KERNEL_REPEATS = 30
KERNEL_SECONDS = 2.0  # a kernel that has taken this long is not timed again


def product_kernels(W, n_texts, rng):
    """The ways to multiply by the recurrent matrix in a time step, by name: functions without arguments.

    Parameters
    ----------
    W : SparseMatrix of shape (H, 4H)
    n_texts : int
    rng : numpy.random.Generator

    Returns
    -------
    dict of str to callable

    Notes
    -----
    What is made once per minibatch, such as the scratch array, is made beforehand.
    """
    h = _random((W.shape[0], n_texts), W, rng)

    def forward(product, z):
        product.forward(h, z)
        return z

    products = {kernel: make_products(W, kernel, W.dtype, [n_texts])[0] for kernel in ("gather", "scratch")}
    kernels = {
        kernel: partial(forward, product, np.empty((W.shape[1], n_texts), W.dtype))
        for kernel, product in products.items()
    }
    if find_spec("scipy"):
        from scipy import sparse

        W_T = sparse.csr_array((W.values, (W.cols, W.rows)), shape=W.shape[::-1])
        kernels["scipy.sparse"] = lambda: W_T @ h
    return kernels


def gradient_kernels(W, n_texts, n_steps, rng):
    """The ways back through the recurrent matrix in all steps of a minibatch, and to the gradient at the connections.

    Parameters and result are like those of :func:`product_kernels`.
    """
    h, dz = (_random((n_steps, size, n_texts), W, rng) for size in W.shape)
    dh = np.empty_like(h[0])

    def all_steps(product):
        product.begin_backward()
        for h_t, dz_t in zip(h, dz, strict=True):
            product.backward(dz_t, h_t, dh)
        return product.gradient()

    products = {kernel: make_products(W, kernel, W.dtype, [n_texts])[0] for kernel in ("gather", "scratch")}
    return {kernel: partial(all_steps, product) for kernel, product in products.items()}


def _random(shape, W, rng):
    return rng.standard_normal(shape, np.float32).astype(W.dtype)


def time_kernels(work, repeats):
    """Time each kernel on the recurrent matrix of some work, alternately.

    Parameters
    ----------
    work : Work
    repeats : int

    Returns
    -------
    dict of str to dict of str to float
        ``product`` and ``gradient``: by kernel the seconds of its fastest call. They are so short that whatever else
        the machine does shows in any average, and never makes them shorter.
    """
    W, rng = draw_network(work).parameters["W_h"], np.random.default_rng(0)
    result = {}
    for kind, kernels in (
        ("product", product_kernels(W, work.batch_size, rng)),
        ("gradient", gradient_kernels(W, work.batch_size, work.length, rng)),
    ):
        seconds = {name: [] for name in kernels}
        for _ in range(repeats):
            for name, kernel in kernels.items():
                if sum(seconds[name]) < KERNEL_SECONDS:
                    start = time.perf_counter()
                    kernel()
                    seconds[name].append(time.perf_counter() - start)
        result[kind] = {name: min(column) for name, column in seconds.items()}
    return result


def density_sweep(names, work, forms, threads, repeats, budget, densities=DENSITIES, *, pause=0.1, after=None):
    """Time kernels and training steps at several densities, the same in E, W_x and W_h.

    Parameters
    ----------
    names : list of str
        Peers.
    work : Work
        Its density is replaced.
    forms : dict of str to dict
        The form of each peer that has several.
    threads, repeats : int
    budget : Budget
        When it is used up, the densities that are left are left out.
    densities : sequence of float
    pause : float
    after : callable, optional
        Called with the rows so far after each density.

    Returns
    -------
    list of dict
        One per density, in increasing order: ``density``, ``product``, ``gradient``, ``step``, each by name.

    Notes
    -----
    The time of a peer with dense weights does not depend on the density, so its network is made only once; but it is
    timed again at each, in turn with the others.
    """
    rows, built, last = [], set(), 0.0
    stack, workers = start_workers(names, threads)
    with stack:
        kernel_worker = stack.enter_context(Worker(None, threads))
        for density in densities:
            start = budget.spent
            if rows and budget.left <= last:
                break
            at = work.with_density(density=density)
            for name, worker in workers.items():
                if name not in built or name in (OURS, "scipy"):
                    worker.call("build", at.to_json(), threads, forms.get(name))
                    built.add(name)
            jobs = {
                name: lambda worker=worker: worker.call("train", 1, 1)["seconds"] for name, worker in workers.items()
            }
            turns = take_turns(jobs, repeats, budget, least=2, pause=pause)
            row = {"density": density, "step": {name: spread(column)["median"] for name, column in turns.items()}}
            rows.append(row | kernel_worker.call("kernels", at.to_json(), KERNEL_REPEATS))
            last = budget.spent - start
            if after is not None:
                after(sorted(rows, key=lambda row: row["density"]))
    return sorted(rows, key=lambda row: row["density"])


def crossings(rows, kind):
    """The densities at which the quickest of a kind changes places with the others.

    Parameters
    ----------
    rows : list of dict
        From :func:`density_sweep`.
    kind : {"product", "gradient", "step"}

    Returns
    -------
    dict of str to float
        For each pair of names, as in "gather, scratch", of which the first is a sparse way: see :func:`crossing`.
    """
    x, result = [row["density"] for row in rows], {}
    names = list(rows[0][kind]) if rows else []
    for other in names[1:]:
        at = crossing(x, [row[kind][names[0]] for row in rows], [row[kind][other] for row in rows])
        if at is not None:
            result[f"{names[0]}, {other}"] = at
    return result


def hidden_sizes(largest):
    """The sizes of the sweep: doubling from 256.

    Examples
    --------
    >>> hidden_sizes(2000)
    [256, 512, 1024]
    """
    sizes = [SMALLEST_HIDDEN]
    while 2 * sizes[-1] <= largest:
        sizes.append(2 * sizes[-1])
    return sizes


def work_of_size(work, hidden_size):
    """The work of one size: N 8, T 20, 16 words per hidden unit, and 8 connections into each unit of each gate.

    All matrices grow in the same proportion, so that the number of all connections measures the size.

    Examples
    --------
    >>> from numpy_setlstm.lab.benchmark.work import Work
    >>> [work_of_size(Work(), H).connections for H in (4096, 8192)]  # doctest: +NORMALIZE_WHITESPACE
    [{'E': 421069, 'W_x': 106496, 'W_h': 131072}, {'E': 840499, 'W_x': 211354, 'W_h': 262144}]
    """
    density = min(1.0, CONNECTIONS_PER_UNIT / hidden_size)
    sizes = {"n_words": WORDS_PER_UNIT * hidden_size, "hidden_size": hidden_size, "length": 20, "batch_size": 8}
    return replace(work, **sizes).with_density(recurrent_density=density)


def size_sweep(names, work, sizes, forms, threads, repeats, budget, memory, *, pause=0.1, after=None):
    """Time and peak memory of training at growing hidden sizes.

    Parameters
    ----------
    names : list of str
        Peers; one with dense weights takes part as long as these are likely to fit.
    work : Work
        The embedding's dimension, the classes and the seed are taken from it: see :func:`work_of_size`.
    sizes : list of int
    forms, threads, repeats, budget, pause, after
        As in :func:`density_sweep`.
    memory : int
        Bytes that a process may take.

    Returns
    -------
    list of dict
        One per size: ``hidden_size``, ``connections``, ``dense_bytes`` (by formula) and ``peers``, by name:
        ``seconds`` and ``bytes`` (the peak above idle), or ``error``.
    """
    rows, last = [], 0.0
    for hidden_size in sizes:
        start = budget.spent
        if rows and budget.left <= 2 * last:  # the next size has twice the connections
            break
        at = work_of_size(work, hidden_size)
        row = {
            "hidden_size": hidden_size,
            "connections": sum(at.connections.values()),
            "dense_bytes": bytes_by_formula(at, sparse=False),
            "peers": _train_at(at, [n for n in names if fits(n, at, memory)], forms, threads, repeats, pause),
        }
        rows.append(row)
        last = budget.spent - start
        if after is not None:
            after(rows)
    return rows


def _train_at(work, names, forms, threads, repeats, pause):
    result = {}
    stack, workers = start_workers(names, threads)
    with stack:
        for name, worker in list(workers.items()):
            try:
                worker.call("build", work.to_json(), threads, forms.get(name))
                worker.call("train", 1, 1)
            except PeerError as error:
                result[name] = {"error": str(error)}
                del workers[name]
        jobs = {name: lambda worker=worker: worker.call("train", 0, 1)["seconds"] for name, worker in workers.items()}
        turns = take_turns(jobs, repeats, Budget(np.inf), pause=pause)
        for name, worker in workers.items():
            memory = worker.call("memory")
            above = None if memory["peak"] is None else memory["peak"] - memory["idle"]
            result[name] = {"seconds": spread(turns[name])["median"], "bytes": above}
    return result


def exponents(rows, quantity):
    """The exponent of each peer's seconds or bytes against the number of connections.

    Parameters
    ----------
    rows : list of dict
        From :func:`size_sweep`.
    quantity : {"seconds", "bytes"}

    Returns
    -------
    dict of str to float
    """
    result = {}
    for name in PEERS:
        points = [(row["connections"], row["peers"].get(name, {}).get(quantity)) for row in rows]
        points = [(n, amount) for n, amount in points if amount]
        if len(points) >= 2:
            result[name] = exponent(*zip(*points, strict=True))
    return result
