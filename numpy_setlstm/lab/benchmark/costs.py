"""The least work that the parts of a step need, the limits of this machine, and the memory that objects hold."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

BANDWIDTH_BYTES = 2**27  # per array: far more than any cache holds
GEMM_SIZE = 2048
SPARSE_STORAGE = ("sparse", "scipy")
DENSE_COPIES = 6  # weights, gradients, two means, a mask, one temporary: a rough count for a dense peer


def nbytes_within(thing):
    """Bytes of all arrays reachable through containers and attributes, each counted once; a view counts as its base."""
    seen, total, waiting = set(), 0, [thing]
    while waiting:
        item = waiting.pop()
        while isinstance(item, np.ndarray) and isinstance(item.base, np.ndarray):
            item = item.base
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, np.ndarray):
            total += item.nbytes
        elif isinstance(item, dict):
            waiting += item.values()
        elif isinstance(item, (list, tuple, set)):
            waiting += item
        elif hasattr(item, "__dict__") and not isinstance(item, type):
            waiting += vars(item).values()
    return total


def bytes_by_formula(work, *, sparse):
    """Bytes of parameters and Adam's state, computed without arrays.

    Sparse storage has, per connection, its value, its row and column (4 bytes each), two means and an age; dense
    storage has, per parameter, its value and two means.
    """
    item = np.dtype(work.dtype).itemsize
    if not sparse:
        return 3 * item * work.sizes.dense_parameters
    connections = sum(work.connections.values())
    return 3 * item * work.n_parameters + (8 + 4) * connections


def fits(name, work, memory):
    """Whether a peer is likely to fit into `memory` bytes; one that does not might take others down with it."""
    return name in SPARSE_STORAGE or bytes_by_formula(work, sparse=False) / 3 * DENSE_COPIES < memory


def part_costs(work):
    """Floating-point operations and bytes that each part of a sparse step needs at least: dict of str to (int, int).

    A connection costs a multiplication and an addition per text; elementwise functions are left out. Each operand and
    result crosses memory once: only the connections' own arrays stay in the caches.
    """
    item, (T, N, H) = np.dtype(work.dtype).itemsize, (work.length, work.batch_size, work.hidden_size)
    nnz, D = work.connections, work.embedding_dim
    positions = T * N
    states = positions * H
    return {
        "input projection": (2 * nnz["W_x"] * positions, item * positions * (D + 4 * H)),  # x in, z out
        "recurrence forward": (2 * nnz["W_h"] * positions, item * states * (4 + 6)),  # z in; i, f, o, g, c, h out
        "recurrence backward": (
            4 * nnz["W_h"] * positions,
            item * states * (6 + 4),
        ),  # all of it in, dz out; with the gradient of W_h
        "gradients": (4 * nnz["W_x"] * positions, item * positions * (4 * H + 2 * D)),  # dz and x in, dx out
        "optimizer": (12 * work.n_parameters, item * 7 * work.n_parameters),  # w, g, m, v read; w, m, v written
    }


def machine_limits(threads, *, n_bytes=BANDWIDTH_BYTES, size=GEMM_SIZE, repeats=5):
    """Measure copying, a = b + c (bytes read and written) and float32 products by BLAS; the best of several repeats.

    `threads` share the copying; BLAS reads its number of threads from the environment.
    """
    n = n_bytes // 4 // threads
    arrays = [tuple(np.ones(n, np.float32) for _ in range(3)) for _ in range(threads)]
    x = np.random.default_rng(0).normal(size=(size, size)).astype(np.float32)
    product = np.empty_like(x)
    with ThreadPoolExecutor(threads) as pool:
        copy = _best_seconds(lambda: list(pool.map(lambda abc: np.copyto(abc[0], abc[1]), arrays)), repeats)
        triad = _best_seconds(lambda: list(pool.map(lambda abc: np.add(abc[1], abc[2], out=abc[0]), arrays)), repeats)
    gemm = _best_seconds(lambda: np.matmul(x, x, out=product), repeats)
    return {
        "copy_bytes_per_second": 2 * 4 * n * threads / copy,
        "triad_bytes_per_second": 3 * 4 * n * threads / triad,
        "gemm_flops_per_second": 2 * size**3 / gemm,
    }


def distances_from_limits(work, parts, limits):
    """Rates of the parts of a step, given their seconds, and their shares of the limits: dict of dict by part.

    ``times_the_limit`` is the time relative to what the tighter of the two limits would allow.
    """
    costs, result = part_costs(work), {}
    for part, seconds in parts.items():
        if part in costs and seconds > 0:
            flops, n_bytes = costs[part]
            least = max(flops / limits["gemm_flops_per_second"], n_bytes / limits["triad_bytes_per_second"])
            result[part] = {
                "seconds": seconds,
                "flops_per_second": flops / seconds,
                "bytes_per_second": n_bytes / seconds,
                "of_gemm": flops / seconds / limits["gemm_flops_per_second"],
                "of_bandwidth": n_bytes / seconds / limits["triad_bytes_per_second"],
                "times_the_limit": seconds / least,
            }
    return result


def _best_seconds(function, repeats):
    function()
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best
