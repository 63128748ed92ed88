"""Time against density, with the crossings; time and memory against size, with the exponents."""

import time
from dataclasses import replace
from functools import partial
from importlib.util import find_spec

import numpy as np

from numpy_setlstm.fast.products import make_product
from numpy_setlstm.lab.benchmark.costs import bytes_by_formula, fits
from numpy_setlstm.lab.benchmark.harness import (
    Budget,
    PeerError,
    Worker,
    peak_above_idle,
    spread,
    start_workers,
    take_turns,
)
from numpy_setlstm.lab.benchmark.peers import OURS, PEERS
from numpy_setlstm.lab.benchmark.work import draw_network
from numpy_setlstm.measures.curves import crossing, exponent

# Ends first, then between: a sweep that is cut short covers the whole range coarsely.
DENSITIES = (0.001, 1.0, 0.03, 0.3, 0.01, 0.1, 0.003, 0.5, 0.05, 0.2, 0.02, 0.002, 0.005)
SMALLEST_HIDDEN = 256
WORDS_PER_UNIT = 16  # the vocabulary grows with the hidden size: a million words at H = 65,536
CONNECTIONS_PER_UNIT = 8  # into each unit of each gate, in the sweep over sizes
KERNEL_REPEATS = 30
KERNEL_SECONDS = 2.0  # a kernel that has taken this long is not timed again


def product_kernels(W, n_texts, rng):
    """Ways to multiply by W_h (H, 4H) in a time step: dict of name to function without arguments.

    What is made once per minibatch, such as the scratch array, is made here.
    """
    h = _random((W.shape[0], n_texts), W, rng)

    def forward(product, z):
        product.forward(h, z)
        return z

    kernels = {
        kernel: partial(forward, product, np.empty((W.shape[1], n_texts), W.dtype))
        for kernel, product in _products(W, n_texts).items()
    }
    if find_spec("scipy"):
        from scipy import sparse

        W_T = sparse.csr_array((W.values, (W.cols, W.rows)), shape=W.shape[::-1])
        kernels["scipy.sparse"] = lambda: W_T @ h
    return kernels


def gradient_kernels(W, n_texts, n_steps, rng):
    """Backward passes of W_h (H, 4H) over all steps of a minibatch, with its gradient: dict as above."""
    h, dz = (_random((n_steps, size, n_texts), W, rng) for size in W.shape)
    dh = np.empty_like(h[0])

    def all_steps(product):
        product.begin_backward()
        for h_t, dz_t in zip(h, dz, strict=True):
            product.backward(dz_t, h_t, dh)
        return product.gradient()

    return {kernel: partial(all_steps, product) for kernel, product in _products(W, n_texts).items()}


def _products(W, n_texts):
    return {kernel: make_product(W, kernel, W.dtype, n_texts) for kernel in ("gather", "scratch")}


def _random(shape, W, rng):
    return rng.standard_normal(shape, np.float32).astype(W.dtype)


def time_kernels(work, repeats):
    """Seconds of the fastest call of each kernel, in turn: dict of "product" and "gradient" to dict by name.

    The calls are so short that other work on the machine would distort a mean.
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
    """Time kernels and training steps of peers at several densities, the same in E, W_x and W_h.

    Returns a list of dict by increasing ``density``, with ``product``, ``gradient`` and ``step`` by name, which `after`
    receives after each density. `forms` has the form of each peer with several; the budget limits the densities.
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
                # The time of dense weights does not depend on the density; they are built once, but timed each time.
                if name not in built or name in (OURS, "scipy"):
                    worker.call("build", at.to_json(), threads, forms.get(name))
                    built.add(name)
            turns = take_turns(_train_jobs(workers, 1), repeats, budget, least=2, pause=pause)
            row = {"density": density, "step": {name: spread(column)["median"] for name, column in turns.items()}}
            rows.append(row | kernel_worker.call("kernels", at.to_json(), KERNEL_REPEATS))
            last = budget.spent - start
            if after is not None:
                after(sorted(rows, key=lambda row: row["density"]))
    return sorted(rows, key=lambda row: row["density"])


def _train_jobs(workers, warm):
    return {name: lambda worker=worker: worker.call("train", warm, 1)["seconds"] for name, worker in workers.items()}


def crossings(rows, kind):
    """Densities at which the first name of a kind and another are equally fast: dict by pair, as in "gather, scratch".

    The kind is "product", "gradient" or "step".
    """
    x, result = [row["density"] for row in rows], {}
    names = list(rows[0][kind]) if rows else []
    for other in names[1:]:
        at = crossing(x, [row[kind][names[0]] for row in rows], [row[kind][other] for row in rows])
        if at is not None:
            result[f"{names[0]}, {other}"] = at
    return result


def hidden_sizes(largest):
    """Hidden sizes of the sweep, doubling from 256 up to `largest`."""
    sizes = [SMALLEST_HIDDEN]
    while 2 * sizes[-1] <= largest:
        sizes.append(2 * sizes[-1])
    return sizes


def work_of_size(work, hidden_size):
    """The work at one size: N 8, T 20, 16 words per hidden unit, and 8 connections into each unit of each gate.

    All matrices grow in proportion: the number of all connections measures the size.
    """
    density = min(1.0, CONNECTIONS_PER_UNIT / hidden_size)
    sizes = {"n_words": WORDS_PER_UNIT * hidden_size, "hidden_size": hidden_size, "length": 20, "batch_size": 8}
    return replace(work, **sizes).with_density(recurrent_density=density)


def size_sweep(names, work, sizes, forms, threads, repeats, budget, memory, *, pause=0.1, after=None):
    """Time and peak memory of training at growing hidden sizes; arguments as in :func:`density_sweep`.

    Returns a list of dict: ``hidden_size``, ``connections``, ``dense_bytes`` by formula, and ``peers`` by name, with
    ``seconds`` and ``bytes`` above idle, or ``error``. Dense weights that exceed `memory` bytes are left out.
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
        turns = take_turns(_train_jobs(workers, 0), repeats, Budget(np.inf), pause=pause)
        for name, worker in workers.items():
            above = peak_above_idle(worker.call("memory"))
            result[name] = {"seconds": spread(turns[name])["median"], "bytes": above}
    return result


def exponents(rows, quantity):
    """Exponent of the "seconds" or "bytes" of each peer against the number of connections, dict by name."""
    result = {}
    for name in PEERS:
        points = [(row["connections"], row["peers"].get(name, {}).get(quantity)) for row in rows]
        points = [(n, amount) for n, amount in points if amount]
        if len(points) >= 2:
            result[name] = exponent(*zip(*points, strict=True))
    return result
