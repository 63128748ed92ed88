"""Reference distances: between networks for which it is known how far apart they should be."""

import numpy as np

from numpy_setlstm.checks import checked, generator, whole
from numpy_setlstm.measures.distance import check_fit, permuted, sparse_parts, topological_distance
from numpy_setlstm.measures.evolution import matched_null, replay
from numpy_setlstm.measures.expansion import random_graph
from numpy_setlstm.parameters import directions_of
from numpy_setlstm.topology import reserved_rows_of


@checked(rng=generator)
def shuffled_copy(network, rng):
    """The same network with its units in random order, at a distance of 0.

    Parameters
    ----------
    network : dict of str to Topology or SparseMatrix
    rng : numpy.random.Generator

    Returns
    -------
    dict of str to Topology
        Embedding dimensions keep their order if E is dense, since nothing could recover it.

    Examples
    --------
    >>> from numpy_setlstm import erdos_renyi
    >>> rng = np.random.default_rng(0)
    >>> a = {name: erdos_renyi((16, 64), rng, density=0.2) for name in ("W_x", "W_h")}
    >>> topological_distance(a, shuffled_copy(a, rng)).distance
    0.0
    """
    network = sparse_parts(network)
    check_fit(network)
    D, H = network["W_x"].shape[0], network["W_h"].shape[0]
    dimensions = rng.permutation(D) if "E" in network else np.arange(D)
    units = [k * H + rng.permutation(H) for k in range(len(directions_of(network)))]
    return permuted(network, dimensions, np.concatenate(units))


@checked(rng=generator)
def random_like(network, rng):
    """Random graphs, with as many connections in each matrix as a network has.

    Parameters
    ----------
    network : dict of str to Topology or SparseMatrix
    rng : numpy.random.Generator

    Returns
    -------
    dict of str to Topology

    Examples
    --------
    >>> from numpy_setlstm import erdos_renyi
    >>> rng = np.random.default_rng(0)
    >>> a = {name: erdos_renyi((16, 64), rng, density=0.2) for name in ("W_x", "W_h")}
    >>> len(random_like(a, rng)["W_h"].rows) == a["W_h"].nnz
    True
    """
    network = sparse_parts(network)
    check_fit(network)
    return {
        name: random_graph(topology, rng, reserved_rows=reserved_rows_of(name)) for name, topology in network.items()
    }


def distance_matrix(networks):
    """Topological distances between all pairs of networks.

    Parameters
    ----------
    networks : sequence of dict of str to Topology or SparseMatrix

    Returns
    -------
    ndarray of shape (n, n), float64
        Symmetric, 0 on the diagonal.

    Examples
    --------
    >>> from numpy_setlstm import erdos_renyi
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


@checked(rng=generator, n_pairs=whole(1))
def distance_baselines(initial, steps, rng, *, n_pairs=3):
    """Reference distances for networks of this shape and number of connections.

    Parameters
    ----------
    initial : dict of str to Topology or SparseMatrix
        A network before its first SET step.
    steps : sequence of dict of str to SetStep
        The SET steps of each matrix, as in a history's ``set_steps``; may be empty.
    rng : numpy.random.Generator
    n_pairs : int, default 3
        Pairs of networks to average over.

    Returns
    -------
    dict of str to float
        "shuffled copy": should be 0. "independent random": two random graphs with as many connections; two seeds'
        networks are as far apart if learning does not make them alike. With steps also "same start, no training": two
        null evolutions from `initial`; and "start and end": the network before its first step and after its last.

    Examples
    --------
    >>> from numpy_setlstm import erdos_renyi
    >>> rng = np.random.default_rng(0)
    >>> a = {name: erdos_renyi((32, 128), rng, density=0.05) for name in ("W_x", "W_h")}
    >>> {name: round(distance, 2) for name, distance in distance_baselines(a, [], rng).items()}
    {'shuffled copy': 0.0, 'independent random': 0.92}
    """
    initial = sparse_parts(initial)
    check_fit(initial)

    def mean_distance(make_pair):
        return float(np.mean([topological_distance(*make_pair()).distance for _ in range(n_pairs)]))

    def evolve_without_training():
        evolved = {}
        for name, topology in initial.items():
            its_steps = [step[name] for step in steps]
            null_steps = matched_null(topology, its_steps, rng, reserved_rows=reserved_rows_of(name))
            evolved[name] = replay(topology, null_steps)[-1]
        return evolved

    baselines = {
        "shuffled copy": mean_distance(lambda: (initial, shuffled_copy(initial, rng))),
        "independent random": mean_distance(lambda: (random_like(initial, rng), random_like(initial, rng))),
    }
    if steps:
        last = {name: replay(topology, [step[name] for step in steps])[-1] for name, topology in initial.items()}
        baselines["same start, no training"] = mean_distance(
            lambda: (evolve_without_training(), evolve_without_training())
        )
        baselines["start and end"] = topological_distance(initial, last).distance
    return baselines
