"""Distances of networks of which one knows how far apart they should be: by these, other distances are judged."""

import numpy as np

from numpy_setlstm.measures.distance import permuted, sparse_parts, topological_distance
from numpy_setlstm.measures.evolution import RESERVED_ROWS, matched_null, replay
from numpy_setlstm.topology import erdos_renyi


def shuffled_copy(network, rng):
    """The same network with its units in a random order: at a distance of 0.

    Parameters
    ----------
    network : dict of str to Topology or SparseMatrix
    rng : numpy.random.Generator

    Returns
    -------
    dict of str to Topology
        Embedding dimensions keep their order where E is dense, since nothing could find it again.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a = {name: erdos_renyi((16, 64), rng, density=0.2) for name in ("W_x", "W_h")}
    >>> topological_distance(a, shuffled_copy(a, rng)).distance
    0.0
    """
    network = sparse_parts(network)
    D, H = network["W_x"].shape[0], network["W_h"].shape[0]
    return permuted(network, rng.permutation(D) if "E" in network else np.arange(D), rng.permutation(H))


def random_like(network, rng):
    """Random connections, as many in each matrix as a network has.

    Parameters
    ----------
    network : dict of str to Topology or SparseMatrix
    rng : numpy.random.Generator

    Returns
    -------
    dict of str to Topology

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a = {name: erdos_renyi((16, 64), rng, density=0.2) for name in ("W_x", "W_h")}
    >>> len(random_like(a, rng)["W_h"].rows) == a["W_h"].nnz
    True
    """
    result = {}
    for name, topology in sparse_parts(network).items():
        density = len(topology.rows) / max(topology.shape[0] * topology.shape[1], 1)
        drawn = erdos_renyi(topology.shape, rng, density=density, reserved_rows=RESERVED_ROWS.get(name, 0))
        result[name] = drawn.topology
    return result


def distance_matrix(networks):
    """Topological distance between each two of several networks.

    Parameters
    ----------
    networks : sequence of dict of str to Topology or SparseMatrix

    Returns
    -------
    ndarray of shape (n, n), float64
        Symmetric, 0 on the diagonal.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a = {name: erdos_renyi((16, 64), rng, density=0.2) for name in ("W_x", "W_h")}
    >>> distance_matrix([a, shuffled_copy(a, rng)]).tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    distances = np.zeros((len(networks), len(networks)))
    for j in range(len(networks)):
        for k in range(j):
            distances[j, k] = distances[k, j] = topological_distance(networks[j], networks[k]).distance
    return distances


def distance_baselines(initial, steps, rng, *, n_pairs=3):
    """What distances mean: those of networks of which one knows how far apart they should be.

    Parameters
    ----------
    initial : dict of str to Topology or SparseMatrix
        A network before its first SET step.
    steps : sequence of dict of str to SetStep
        What happened to each matrix in each step, as in a history's ``set_steps``. Empty: without the last baseline.
    rng : numpy.random.Generator
    n_pairs : int, default 3
        How many pairs to average over.

    Returns
    -------
    dict of str to float
        "shuffled copy": should be 0. "independent random": two random networks with as many connections, or any two
        seeds' networks if learning did nothing to make them alike. With steps, "same start, no training": two
        evolutions without training from one start, and "start and end": the network before its first step and after its
        last.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a = {name: erdos_renyi((32, 128), rng, density=0.05) for name in ("W_x", "W_h")}
    >>> {name: round(distance, 2) for name, distance in distance_baselines(a, [], rng).items()}
    {'shuffled copy': 0.0, 'independent random': 0.92}
    """
    initial = sparse_parts(initial)

    def mean_distance(make_pair):
        return float(np.mean([topological_distance(*make_pair()).distance for _ in range(n_pairs)]))

    def evolve():
        evolved = {}
        for name, topology in initial.items():
            its_steps = [step[name] for step in steps]
            null = matched_null(topology, its_steps, rng, reserved_rows=RESERVED_ROWS.get(name, 0))
            evolved[name] = replay(topology, null)[-1]
        return evolved

    baselines = {
        "shuffled copy": mean_distance(lambda: (initial, shuffled_copy(initial, rng))),
        "independent random": mean_distance(lambda: (random_like(initial, rng), random_like(initial, rng))),
    }
    if steps:
        last = {name: replay(topology, [step[name] for step in steps])[-1] for name, topology in initial.items()}
        baselines["same start, no training"] = mean_distance(lambda: (evolve(), evolve()))
        baselines["start and end"] = topological_distance(initial, last).distance
    return baselines
