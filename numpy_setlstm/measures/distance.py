r"""Distance between the connections of two networks, after their units are matched.

Two networks may differ only in the order of their hidden units and embedding dimensions. So the units of one are first
matched with those of the other, to have as many inputs in common as possible. The share of inputs that still differ is
the topological distance: 0 for a shuffled copy, and close to 1 for unrelated sparse networks. (Not 1: some inputs are
shared by chance, and matching finds them; :func:`~numpy_setlstm.measures.distance_baselines` measures how many.)

Source: S. Liu et al. (2020), "Topological Insights into Sparse Neural Networks", arXiv:2006.14085, who define the
distance NNSTD for layers of perceptrons. Our extension to the LSTM: one matching of the hidden units holds for all four
gates and, since hidden units are also inputs of hidden units, for the rows of the recurrent matrix. The two LSTMs of a
bidirectional network are matched each for itself, over the same embedding dimensions, and count alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from numpy_setlstm.checks import checked, flag, instance
from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.measures.adjacency import as_topology, dense_blocks
from numpy_setlstm.parameters import DIRECTIONS, SPARSE_PARAMETERS, directions_of
from numpy_setlstm.sparse import Topology

MAX_ROUNDS = 20  # of matching the hidden units; a few suffice


@dataclass(frozen=True, eq=False)
class Matching:
    """How the units of two networks are matched, and the distances that remain.

    Attributes
    ----------
    dimensions : ndarray of shape (D,), int
        The embedding dimension of the second network matched with each one of the first.
    units : ndarray of shape (H,), int
        The same for the hidden units; (2H,) if bidirectional, first those that read from the start.
    embedding : float or None
        Mean distance between the sets of words of matched dimensions; None for dense embeddings.
    lstm : float
        Mean distance between the sets of inputs of matched hidden units, in all gates and both matrices together.
    input_matrix, recurrent_matrix : float
        The same for the inputs in W_x alone, and in W_h alone, of both directions if there are two.

    Examples
    --------
    >>> same = np.arange(2)
    >>> Matching(same, same, embedding=0.25, lstm=0.75, input_matrix=0.7, recurrent_matrix=0.8).distance
    0.5
    """

    dimensions: np.ndarray
    units: np.ndarray
    embedding: float | None
    lstm: float
    input_matrix: float
    recurrent_matrix: float

    @property
    def distance(self):
        """Float in [0, 1]: the mean of `embedding` and `lstm`; `lstm` alone if the embeddings are dense."""
        return self.lstm if self.embedding is None else (self.embedding + self.lstm) / 2


@checked(matched=flag)
def topological_distance(a, b, *, matched=True):
    r"""Match the units of two LSTMs and measure how much their connections differ.

    Parameters
    ----------
    a, b : dict of str to Topology or SparseMatrix
        "W_x" (D, 4H), "W_h" (H, 4H) and, unless dense, "E" (V, D); if bidirectional, "W_x_reverse" and "W_h_reverse".
        Other entries, such as biases, are ignored, so the `parameters` of a :class:`~numpy_setlstm.network.Network` can
        be passed.
    matched : bool, default True
        False compares unit k with unit k, which is fair if both networks started from the same connections.

    Returns
    -------
    Matching

    Raises
    ------
    ValueError
        If the shapes differ, or W_x or W_h is missing or dense.
    ImportError
        If SciPy is not installed and `matched` is true.

    Notes
    -----
    1. Rows of E are the same words in both, so embedding dimensions are matched by their sets of words. Dimensions of
       dense embeddings are indistinguishable and keep their order.
    2. The inputs of a hidden unit are pairs (gate, input). Units are first matched by their inputs in W_x.
    3. This matching makes inputs in W_h comparable, so units are matched again by all their inputs, which changes the
       matching in turn; repeat while the distance falls. A second search starts from the given order of the units,
       which is better for networks with the same start; the smaller distance counts.

    Optimal matching of graphs is a hard problem (quadratic assignment). This search may miss the optimum, so the
    distance is an upper bound. It recognizes a shuffled copy unless many units have the same inputs in W_x.

    Examples
    --------
    >>> from numpy_setlstm import erdos_renyi
    >>> rng = np.random.default_rng(0)
    >>> a, b = ({name: erdos_renyi((16, 64), rng, density=0.2) for name in ("W_x", "W_h")} for _ in range(2))
    >>> topological_distance(a, a).distance, round(topological_distance(a, b).distance, 2)
    (0.0, 0.84)
    """
    a, b = sparse_parts(a, "first"), sparse_parts(b, "second")
    for name in sorted(a.keys() | b.keys()):
        shape_a, shape_b = (network[name].shape if name in network else "dense" for network in (a, b))
        if shape_a != shape_b:
            raise ValueError(f"{name} is {shape_a} in the first network and {shape_b} in the second; expected the same")
    check_fit(a)
    D, H = a["W_x"].shape[0], a["W_h"].shape[0]
    dimensions, embedding = np.arange(D), None
    if "E" in a:
        costs = jaccard_distances(a["E"], b["E"])
        dimensions = match(costs) if matched else dimensions
        embedding = float(costs[np.arange(D), dimensions].mean())
    units, per_unit = [], []
    for one, other in zip(_by_direction(a), _by_direction(b), strict=True):
        own = _match_units(one, other, dimensions) if matched else np.arange(H)
        aligned = permuted(other, dimensions, own)
        per_unit.append(
            [
                np.diag(jaccard_distances(inputs_of(one, names), inputs_of(aligned, names))).mean()
                for names in (("W_x", "W_h"), ("W_x",), ("W_h",))
            ]
        )
        units.append(own + len(units) * H)
    return Matching(dimensions, np.concatenate(units), embedding, *np.mean(per_unit, axis=0).tolist())


def _by_direction(network):
    """The topologies of each LSTM of a network, which has one or two, under the names W_x and W_h."""
    return [{"W_x": network[W_x], "W_h": network[W_h]} for W_x, W_h, _ in directions_of(network).values()]


def _match_units(a, b, dimensions):
    """Steps 2 and 3 of :func:`topological_distance`: the hidden unit of b for each one of a, (H,)."""
    H, everything, aligned_W_x = a["W_h"].shape[0], ("W_x", "W_h"), _reordered(b["W_x"], dimensions)
    inputs_a = inputs_of(a, everything)
    first = match(jaccard_distances(inputs_of(a, ("W_x",)), inputs_of({"W_x": aligned_W_x}, ("W_x",))))
    best, least = None, np.inf
    for units in (first, np.arange(H)):
        before = np.inf
        for _ in range(MAX_ROUNDS):
            aligned = {"W_x": aligned_W_x, "W_h": _reordered(b["W_h"], units)}  # inputs are named as in a
            costs = jaccard_distances(inputs_a, inputs_of(aligned, everything))
            total = costs[np.arange(H), units].sum()
            if total < least:
                best, least = units, total
            if total >= before:
                break
            before, units = total, match(costs)
    return best


def match(costs):
    """The column matched with each row of costs (n, n), a permutation (n,), so that the costs sum to the minimum."""
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        message = "matching units needs SciPy, which is not installed: pip install 'numpy-setlstm[topology]'"
        raise ImportError(message) from error
    return linear_sum_assignment(costs)[1]


def jaccard_distances(a, b):
    r"""Distances (p, q) between the sets of inputs of the columns of a (n, p) and of b (n, q), in [0, 1].

    :math:`1 - |A \cap B| \,/\, |A \cup B|`, after P. Jaccard (1901); 0 for two empty sets. The inputs of a column are
    the rows of its connections.
    """
    if a.shape[0] != b.shape[0]:
        raise ValueError(f"the matrices have {a.shape[0]} and {b.shape[0]} rows; expected the same inputs for both")
    shared = np.zeros((a.shape[1], b.shape[1]))
    for block_a, block_b in zip(dense_blocks(a), dense_blocks(b), strict=True):
        shared += block_a.T @ block_b  # sums of ones, exact in float32
    sizes_a, sizes_b = np.bincount(a.cols, minlength=a.shape[1]), np.bincount(b.cols, minlength=b.shape[1])
    united = sizes_a[:, None] + sizes_b - shared
    return 1 - np.divide(shared, united, out=np.ones_like(shared), where=united > 0)


def sparse_parts(network, which="given"):
    """The topologies of E, each W_x and each W_h, without a dense E; ValueError unless the others are sparse."""
    instance(Mapping, "a dict of W_x, W_h and perhaps E")(f"the {which} network", network)
    sparse = {name: as_topology(network[name], name) for name in SPARSE_PARAMETERS
              if name in network and not isinstance(network[name], np.ndarray)}  # fmt: skip
    reverse = [name for name in SPARSE_PARAMETERS[3:] if any(other in network for other in SPARSE_PARAMETERS[3:])]
    for name in ("W_x", "W_h", *reverse):
        if name not in sparse:
            raise ValueError(f"the {which} network has no sparse {name}; expected a Topology or a SparseMatrix")
    return sparse


def check_fit(network):
    """Reject topologies of E, each W_x and each W_h that are not those of one network."""
    shapes = {name: topology.shape for name, topology in network.items()}
    D, H = shapes["W_x"][0], shapes["W_h"][0]
    fitting = {"E": (shapes.get("E", (0,))[0], D)}
    for W_x, W_h, _ in DIRECTIONS.values():
        fitting |= {W_x: (D, 4 * H), W_h: (H, 4 * H)}
    if any(shape != fitting[name] for name, shape in shapes.items()):
        raise ValueError(f"a network has the shapes {shapes}; expected E (V, D), W_x (D, 4H) and W_h (H, 4H)")


def inputs_of(network, names):
    """The inputs of each hidden unit: a Topology with one column per unit and one row per input and gate.

    `names` lists the matrices whose rows count as inputs, W_x (D, 4H) or W_h (H, 4H) or both; the result has shape
    (4D, H), (4H, H) or (4D + 4H, H).
    """
    rows, cols, offset, H = [], [], 0, network[names[0]].shape[1] // len(GATES)
    for name in names:
        topology = network[name]
        gate, unit = np.divmod(topology.cols.astype(np.int64), H)
        rows.append(topology.rows * len(GATES) + gate + offset)
        cols.append(unit)
        offset += topology.shape[0] * len(GATES)
    return _sorted_topology((offset, H), np.concatenate(rows), np.concatenate(cols))


def permuted(network, dimensions, units):
    """The network whose embedding dimension k was ``dimensions[k]`` and whose hidden unit k was ``units[k]``.

    Hidden units are columns of all gates, and rows of W_h; those of a bidirectional network have numbers up to 2H - 1.
    Returns a dict of str to Topology.
    """
    orders, H = {"E": (None, dimensions)}, network["W_h"].shape[0]
    for k, (W_x, W_h, _) in enumerate(DIRECTIONS.values()):
        own = units[k * H : (k + 1) * H] - k * H
        columns = np.concatenate([gate * H + own for gate in range(len(GATES))])
        orders |= {W_x: (dimensions, columns), W_h: (own, columns)}
    return {name: _reordered(topology, *orders[name]) for name, topology in sparse_parts(network).items()}


def _reordered(topology, row_order=None, col_order=None):
    """The topology whose row k was ``row_order[k]``, and column k ``col_order[k]``; None keeps the order."""
    rows = topology.rows if row_order is None else np.argsort(row_order)[topology.rows]
    cols = topology.cols if col_order is None else np.argsort(col_order)[topology.cols]
    return _sorted_topology(topology.shape, rows, cols)


def _sorted_topology(shape, rows, cols):
    order = np.lexsort((cols, rows))
    return Topology(shape, rows[order], cols[order])
