r"""How far apart the connections of two networks are, once their units are matched.

Two networks may be the same but for the order of their hidden units, and of their embedding dimensions. So before they
are compared, the units of one are matched with those of the other, such that matched units have as many inputs in
common as possible. What is left is the topological distance: 0 for a network and its shuffled copy, and close to 1 for
sparse networks that have nothing to do with each other. (Not 1: a few inputs are shared by chance, and matching finds
them. :func:`~numpy_setlstm.measures.baselines.distance_baselines` says how many.)

Source: S. Liu et al. (2020), "Topological Insights into Sparse Neural Networks", arXiv:2006.14085, whose distance NNSTD
is defined for layers of perceptrons. What is added here is the LSTM: one matching of the hidden units for all four
gates and, since hidden units are also inputs of hidden units, for the rows of the recurrent matrix.
"""

from dataclasses import dataclass

import numpy as np

from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.measures.evolution import as_topology
from numpy_setlstm.sparse import Topology

BLOCK = 4096  # rows that are written out in full at a time
MOST_ROUNDS = 20  # of matching hidden units anew; a few suffice


def jaccard_distances(a, b):
    r"""Distance between the sets of inputs of every unit of one matrix and every unit of another.

    Parameters
    ----------
    a : Topology or SparseMatrix of shape (n, p)
        The inputs of unit k are the rows of the connections in column k.
    b : Topology or SparseMatrix of shape (n, q)

    Returns
    -------
    ndarray of shape (p, q), float64
        In [0, 1]: 0 for equal sets, also for two empty ones; 1 for sets with nothing in common.

    Raises
    ------
    ValueError
        If the numbers of rows differ.

    Notes
    -----
    .. math:: 1 - |A \cap B| \,/\, |A \cup B|

    after P. Jaccard (1901). The sizes of all intersections are one product of 0/1 matrices, block of rows by block of
    rows; they are sums of ones, exact in float32.

    Examples
    --------
    >>> a = Topology((3, 2), np.array([0, 1, 2]), np.array([0, 0, 1]))  # {0, 1} and {2}
    >>> b = Topology((3, 2), np.array([1, 1, 2]), np.array([0, 1, 1]))  # {1} and {1, 2}
    >>> jaccard_distances(a, b).round(2)
    array([[0.5 , 0.67],
           [1.  , 0.5 ]])
    """
    if a.shape[0] != b.shape[0]:
        raise ValueError(f"the matrices have {a.shape[0]} and {b.shape[0]} rows; expected the same inputs for both")
    shared = np.zeros((a.shape[1], b.shape[1]))
    for first in range(0, a.shape[0], BLOCK):
        shared += _block(a, first).T @ _block(b, first)
    sizes_a, sizes_b = np.bincount(a.cols, minlength=a.shape[1]), np.bincount(b.cols, minlength=b.shape[1])
    united = sizes_a[:, None] + sizes_b - shared
    return 1 - np.divide(shared, united, out=np.ones_like(shared), where=united > 0)


def _block(topology, first):
    """Some rows of the 0/1 matrix written out in full, ndarray of shape (up to BLOCK, n_cols)."""
    start, stop = np.searchsorted(topology.rows, [first, first + BLOCK])
    block = np.zeros((min(BLOCK, topology.shape[0] - first), topology.shape[1]), np.float32)
    block[topology.rows[start:stop] - first, topology.cols[start:stop]] = 1
    return block


def match(costs):
    """Match each row with one column such that the sum of the costs is as small as can be.

    Parameters
    ----------
    costs : ndarray of shape (n, n)

    Returns
    -------
    ndarray of shape (n,), int
        The column of each row; a permutation.

    Raises
    ------
    ImportError
        If SciPy is not installed, which the package needs for this alone.

    Examples
    --------
    >>> match(np.array([[1.0, 0.0], [0.5, 1.0]]))
    array([1, 0])
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        message = "matching units needs SciPy, which is not installed: pip install 'numpy-setlstm[topology]'"
        raise ImportError(message) from error
    return linear_sum_assignment(costs)[1]


@dataclass(frozen=True, eq=False)
class Matching:
    """How the units of two networks were matched, and how far apart they are then.

    Attributes
    ----------
    dimensions : ndarray of shape (D,), int
        The embedding dimension of the second network that is matched with each one of the first.
    units : ndarray of shape (H,), int
        The same of the hidden units.
    embedding : float or None
        Mean distance between the sets of words of matched dimensions; None where the embedding is dense.
    lstm : float
        Mean distance between the sets of inputs of matched hidden units, all gates and both matrices together.
    input_matrix, recurrent_matrix : float
        The same for the inputs in W_x alone, and in W_h alone.

    Examples
    --------
    >>> same = np.arange(2)
    >>> Matching(same, same, embedding=0.2, lstm=0.4, input_matrix=0.3, recurrent_matrix=0.5).distance
    0.30000000000000004
    """

    dimensions: np.ndarray
    units: np.ndarray
    embedding: float | None
    lstm: float
    input_matrix: float
    recurrent_matrix: float

    @property
    def distance(self):
        """Float in [0, 1]: the mean of `embedding` and `lstm`, two layers; `lstm` alone with a dense embedding."""
        return self.lstm if self.embedding is None else (self.embedding + self.lstm) / 2


def topological_distance(a, b, *, matched=True):
    r"""Match the units of two LSTMs, and measure how different their connections are.

    Parameters
    ----------
    a, b : dict of str to Topology or SparseMatrix
        "W_x" (D, 4H), "W_h" (H, 4H) and, unless it is dense, "E" (V, D). Other entries, such as biases, are ignored:
        the `parameters` of a :class:`~numpy_setlstm.network.Network` will do.
    matched : bool, default True
        False compares unit k with unit k, which is fair where both started from the same connections.

    Returns
    -------
    Matching

    Raises
    ------
    ValueError
        If the shapes of the two differ, or W_x or W_h is missing or dense.
    ImportError
        If SciPy is not installed and `matched` is true.

    Notes
    -----
    1. The rows of E are words, the same in both. So embedding dimensions are matched by the sets of words that own
       them. If E is dense nothing tells one dimension from another, and they are taken in the order they stand in.
    2. A hidden unit's set of inputs is that of pairs (gate, input). Units are matched by their inputs in W_x, with the
       dimensions named as in the first network.
    3. Now that each unit has a partner, the inputs in W_h can be compared too; units are matched by all their inputs.
       That changes partners, so it is repeated as long as the distance falls. A second search starts from the order in
       which the units stand, which is the better one for networks that had the same start; the nearer result counts.

    The best matching of graphs is a hard problem (quadratic assignment), and this is a search that may stop short of
    it: the distance is an upper bound. It finds a shuffled copy, unless many units have the same inputs in W_x.

    Examples
    --------
    >>> from numpy_setlstm.topology import erdos_renyi
    >>> rng = np.random.default_rng(0)
    >>> shapes = {"E": (500, 16), "W_x": (16, 64), "W_h": (16, 64)}
    >>> a = {name: erdos_renyi(shape, rng, density=0.2).topology for name, shape in shapes.items()}
    >>> b = permuted(a, rng.permutation(16), rng.permutation(16))
    >>> topological_distance(a, b).distance
    0.0
    """
    a, b = sparse_parts(a, "first"), sparse_parts(b, "second")
    for name in sorted(a.keys() | b.keys()):
        shape_a, shape_b = (network[name].shape if name in network else "dense" for network in (a, b))
        if shape_a != shape_b:
            raise ValueError(f"{name} is {shape_a} in the first network and {shape_b} in the second; expected the same")
    D, H = a["W_x"].shape[0], a["W_h"].shape[0]
    dimensions, units, embedding = np.arange(D), np.arange(H), None
    if "E" in a:
        costs = jaccard_distances(a["E"], b["E"])
        dimensions = match(costs) if matched else dimensions
        embedding = float(costs[np.arange(D), dimensions].mean())
    if matched:
        units = _match_units(a, b, dimensions)
    aligned = permuted(b, dimensions, units)
    per_unit = [
        np.diag(jaccard_distances(inputs_of(a, names), inputs_of(aligned, names))).mean()
        for names in (("W_x", "W_h"), ("W_x",), ("W_h",))
    ]
    return Matching(dimensions, units, embedding, *map(float, per_unit))


def sparse_parts(network, which="given"):
    """The topologies of E, W_x and W_h, of those that are sparse; ValueError without W_x or W_h."""
    sparse = {name: as_topology(network[name]) for name in ("E", "W_x", "W_h")
              if name in network and not isinstance(network[name], np.ndarray)}  # fmt: skip
    for name in ("W_x", "W_h"):
        if name not in sparse:
            raise ValueError(f"the {which} network has no sparse {name}; expected a Topology or a SparseMatrix")
    return sparse


def _match_units(a, b, dimensions):
    """Steps 2 and 3 of :func:`topological_distance`: the hidden unit of b for each one of a."""
    everything, H = ("W_x", "W_h"), a["W_h"].shape[0]
    inputs_a = inputs_of(a, everything)

    def costs_with(units):
        """Costs of matching a's units with b's, if the inputs of b that are hidden units are named by `units`."""
        renamed = {"W_x": _permute_rows(b["W_x"], dimensions), "W_h": _permute_rows(b["W_h"], units)}
        return jaccard_distances(inputs_a, inputs_of(renamed, everything))

    by_inputs = inputs_of({"W_x": _permute_rows(b["W_x"], dimensions)}, ("W_x",))
    best, least = None, np.inf
    for candidate in (match(jaccard_distances(inputs_of(a, ("W_x",)), by_inputs)), np.arange(H)):
        before = np.inf
        for _ in range(MOST_ROUNDS):
            costs = costs_with(candidate)
            total = costs[np.arange(H), candidate].sum()
            if total < least:
                best, least = candidate, total
            if total >= before:
                break
            before, candidate = total, match(costs)
    return best


def inputs_of(network, names):
    """The inputs of each hidden unit, gate by gate, as a matrix with a column per unit.

    Parameters
    ----------
    network : dict of str to Topology
    names : sequence of str
        Of W_x (D, 4H) and W_h (H, 4H): whose rows count as inputs.

    Returns
    -------
    Topology of shape (4D, H), (4H, H), or (4D + 4H, H)
        With one row per gate and input.

    Examples
    --------
    >>> W_x = Topology((2, 8), np.array([0, 1]), np.array([1, 6]))  # input 0 into i of unit 1, input 1 into g of unit 0
    >>> inputs = inputs_of({"W_x": W_x}, ("W_x",))
    >>> inputs.rows, inputs.cols
    (array([0, 7], dtype=int32), array([1, 0], dtype=int32))
    """
    rows, cols, offset, H = [], [], 0, network[names[0]].shape[1] // len(GATES)
    for name in names:
        topology = network[name]
        gate, unit = np.divmod(topology.cols.astype(np.int64), H)
        rows.append(topology.rows * len(GATES) + gate + offset)
        cols.append(unit)
        offset += topology.shape[0] * len(GATES)
    return _sorted_topology((offset, H), np.concatenate(rows), np.concatenate(cols))


def _sorted_topology(shape, rows, cols):
    order = np.lexsort((cols, rows))
    return Topology(shape, rows[order], cols[order])


def _permute_rows(topology, order):
    """The matrix whose k-th row is the row ``order[k]`` of this one."""
    return _sorted_topology(topology.shape, np.argsort(order)[topology.rows], topology.cols)


def permuted(network, dimensions, units):
    """The same network with its embedding dimensions and its hidden units in another order.

    Parameters
    ----------
    network : dict of str to Topology or SparseMatrix
        As in :func:`topological_distance`.
    dimensions : ndarray of shape (D,), int
        The k-th dimension of the result is ``dimensions[k]`` of `network`.
    units : ndarray of shape (H,), int
        The same for the hidden units: columns of all gates, and rows of W_h.

    Returns
    -------
    dict of str to Topology

    Examples
    --------
    >>> W = Topology((2, 8), np.array([0]), np.array([2]))  # from unit 0 to unit 0 of the forget gate
    >>> other = permuted({"W_x": W, "W_h": W}, np.arange(2), np.array([1, 0]))["W_h"]
    >>> other.rows.tolist(), other.cols.tolist()  # both are unit 1 now
    ([1], [3])
    """
    network, H = sparse_parts(network), len(units)
    columns = np.concatenate([gate * H + units for gate in range(len(GATES))])
    orders = {"E": (None, dimensions), "W_x": (dimensions, columns), "W_h": (units, columns)}
    result = {}
    for name, topology in network.items():
        row_order, col_order = orders[name]
        rows = topology.rows if row_order is None else np.argsort(row_order)[topology.rows]
        result[name] = _sorted_topology(topology.shape, rows, np.argsort(col_order)[topology.cols])
    return result
