"""What the parts of a step have to do at least, what this machine can do at most, and what is held in memory."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

BANDWIDTH_BYTES = 2**27  # of each array: far more than any cache holds
GEMM_SIZE = 2048
SPARSE_STORAGE = ("sparse", "scipy")
DENSE_COPIES = 6  # weights, gradients, two means, a mask, one temporary array: what a dense peer needs, roughly


def nbytes_within(thing):
    """Bytes of all arrays that can be reached from something, each counted once.

    Parameters
    ----------
    thing : object
        Arrays, containers of them, objects with attributes.

    Returns
    -------
    int
        A view counts as the array that it is a view of.

    Examples
    --------
    >>> a = np.zeros(10)
    >>> nbytes_within({"a": a, "half of a": a[:5], "others": [np.zeros(2), "text"]})
    96
    """
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
    """Bytes of parameters and Adam's state, by the formula and without any array.

    Parameters
    ----------
    work : Work
    sparse : bool
        Sparse storage: per connection its value, its row and column (4 bytes each), two means and an age. Dense: per
        parameter its value and two means. (The padding word's row of a dense embedding counts.)

    Returns
    -------
    int

    Examples
    --------
    >>> from numpy_setlstm.lab.benchmark.work import Work
    >>> bytes_by_formula(Work(), sparse=False) / bytes_by_formula(Work(), sparse=True)  # doctest: +ELLIPSIS
    12.8...
    """
    item = np.dtype(work.dtype).itemsize
    if not sparse:
        return 3 * item * work.sizes.dense_parameters
    connections = sum(work.connections.values())
    return 3 * item * work.n_parameters + (8 + 4) * connections


def fits(name, work, memory):
    """Whether a peer is likely to fit into memory; one that would not might take others down with it.

    Parameters
    ----------
    name : str
        Of the peer.
    work : Work
    memory : int
        Bytes.

    Returns
    -------
    bool
        Always true for peers with sparse storage.

    Examples
    --------
    >>> from numpy_setlstm.lab.benchmark.work import Work
    >>> fits("torch", Work(), 2**30), fits("torch", Work(hidden_size=65_536), 2**35), fits("scipy", Work(), 0)
    (True, False, True)
    """
    return name in SPARSE_STORAGE or bytes_by_formula(work, sparse=False) / 3 * DENSE_COPIES < memory


def part_costs(work):
    """What each part of a sparse training step has to do at least.

    Parameters
    ----------
    work : Work

    Returns
    -------
    dict of str to (float, float)
        By part: floating-point operations (a multiplication and an addition per connection and text; elementwise
        functions are left out) and bytes that go through memory if nothing but the connections' own arrays stays in
        the caches: each result once, each operand once.

    Notes
    -----
    "recurrence backward" has the products with W_h and the gradient at its connections, "gradients" the same for W_x,
    and the gradient of the embedding.
    """
    item, (T, N, H) = np.dtype(work.dtype).itemsize, (work.length, work.batch_size, work.hidden_size)
    nnz, D = work.connections, work.embedding_dim
    positions = T * N
    states = positions * H
    return {
        "input projection": (2 * nnz["W_x"] * positions, item * positions * (D + 4 * H)),  # x in, z out
        "recurrence forward": (2 * nnz["W_h"] * positions, item * states * (4 + 6)),  # z in; i, f, o, g, c, h out
        "recurrence backward": (4 * nnz["W_h"] * positions, item * states * (6 + 4)),  # all of it in, dz out
        "gradients": (4 * nnz["W_x"] * positions, item * positions * (4 * H + 2 * D)),  # dz and x in, dx out
        "optimizer": (12 * work.n_parameters, item * 7 * work.n_parameters),  # w, g, m, v read; w, m, v written
    }


def machine_limits(threads, *, n_bytes=BANDWIDTH_BYTES, size=GEMM_SIZE, repeats=5):
    """Measure what the machine can do at most: the best of several repeats.

    Parameters
    ----------
    threads : int
        For copying; BLAS takes its number from the environment.
    n_bytes : int
        Of each array that is copied.
    size : int
        Rows and columns of the matrices that BLAS multiplies, in float32.
    repeats : int

    Returns
    -------
    dict of str to float
        ``copy_bytes_per_second`` and ``triad_bytes_per_second`` (a = b + c; bytes read and written),
        ``gemm_flops_per_second``.
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
    """How far parts of a step are from what the machine could do.

    Parameters
    ----------
    work : Work
    parts : dict of str to float
        Seconds of each.
    limits : dict of str to float
        From :func:`machine_limits`.

    Returns
    -------
    dict of str to dict of str to float
        By part: ``seconds``, ``flops_per_second``, ``bytes_per_second``, their shares of the limits ``of_gemm`` and
        ``of_bandwidth``, and ``times_the_limit``: seconds over what the tighter of the two limits would allow.

    Examples
    --------
    >>> from numpy_setlstm.lab.benchmark.work import Work
    >>> limits = {"gemm_flops_per_second": 1e11, "triad_bytes_per_second": 1e10}
    >>> distances_from_limits(Work(), {"optimizer": 0.01}, limits)["optimizer"]["times_the_limit"]  # doctest: +ELLIPSIS
    16.2...
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
