"""A network before training: the sizes of its parameters, how many connections each has, the first weights."""

from dataclasses import dataclass

import numpy as np

from numpy_setlstm.cells import draw_in_rows, spread_over_rows
from numpy_setlstm.checks import checked, flag, float_type, generator, instance, number, whole
from numpy_setlstm.network import Network
from numpy_setlstm.parameters import DIRECTIONS, SPARSE_PARAMETERS, directions_of
from numpy_setlstm.sparse import SparseMatrix
from numpy_setlstm.topology import erdos_renyi, erdos_renyi_count, reserved_rows_of


@dataclass(frozen=True)
class NetworkSizes:
    """The sizes that determine the shape of every parameter.

    Examples
    --------
    >>> sizes = NetworkSizes(n_words=20_000, embedding_dim=256, hidden_size=256, n_classes=2)
    >>> sizes.shapes["W_x"], sizes.dense_parameters
    ((256, 1024), 5645826)
    """

    n_words: int  #: V, padding and unknown included
    embedding_dim: int  #: D
    hidden_size: int  #: H
    n_classes: int  #: C
    bidirectional: bool = False  #: Whether a second LSTM reads from the end

    def __post_init__(self):
        for name in ("n_words", "embedding_dim", "hidden_size", "n_classes"):
            object.__setattr__(self, name, whole(1, 2**31 - 1)(name, getattr(self, name)))  # the dataclass is frozen
        flag("bidirectional", self.bidirectional)

    @classmethod
    def of(cls, network):
        """Read the sizes of a network off its parameters."""
        p = network.parameters
        return cls(*p["E"].shape, p["W_h"].shape[0], len(p["b_out"]), len(directions_of(p)) > 1)

    @property
    def shapes(self):
        """Dict of str to tuple of int: the shape of each parameter."""
        V, D, H, C = self.n_words, self.embedding_dim, self.hidden_size, self.n_classes
        directions = list(DIRECTIONS.values())[: 1 + self.bidirectional]
        shapes = {"E": (V, D)}
        for W_x, W_h, _ in directions:
            shapes |= {W_x: (D, 4 * H), W_h: (H, 4 * H)}
        return shapes | {b: (4 * H,) for *_, b in directions} | {"W_out": (len(directions) * H, C), "b_out": (C,)}

    @property
    def sparse_shapes(self):
        """The shapes of the parameters that are sparse in a sparse network."""
        return {name: shape for name, shape in self.shapes.items() if name in SPARSE_PARAMETERS}

    @property
    def dense_parameters(self):
        """Number of parameters of the dense network, everything counted, including the row of the padding."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    def connection_counts(self, er_epsilon):
        """Number of weights of E, of each W_x and each W_h in a network with this er_epsilon (None: dense), a dict.

        A matrix that the Erdős–Rényi count fills is dense: it has all cells, including the row of the padding.

        >>> sizes = NetworkSizes(n_words=20_000, embedding_dim=256, hidden_size=256, n_classes=2)
        >>> sizes.connection_counts(10)
        {'E': 202560, 'W_x': 12800, 'W_h': 12800}
        """
        counts = {}
        for name, (n_rows, n_cols) in self.sparse_shapes.items():
            count = n_rows * n_cols if er_epsilon is None else erdos_renyi_count((n_rows, n_cols), er_epsilon)
            usable = (n_rows - reserved_rows_of(name)) * n_cols
            counts[name] = n_rows * n_cols if count >= usable else count
        return counts

    def er_epsilon_for(self, parameter_share):
        r"""The :math:`\varepsilon` that gives the network this share, in (0, 1], of the dense network's parameters.

        All sparse matrices have it, so that each gets connections in proportion to n_in + n_out; biases and
        readout, which stay dense, count. Equation :eq:`er-epsilon-for` in docs/derivations/erdos_renyi.md.

        >>> sizes = NetworkSizes(n_words=20_000, embedding_dim=256, hidden_size=256, n_classes=2)
        >>> round(sizes.er_epsilon_for(0.039), 2)
        9.58
        """
        if not 0 < parameter_share <= 1:
            raise ValueError(f"parameter_share is {parameter_share}; expected a number above 0 and at most 1")
        shapes = self.shapes
        kept_dense = sum(int(np.prod(shape)) for name, shape in shapes.items() if name not in SPARSE_PARAMETERS)
        budget = parameter_share * self.dense_parameters - kept_dense
        if budget <= 0:
            raise ValueError(
                f"parameter_share {parameter_share} allows {parameter_share * self.dense_parameters:.0f} parameters, "
                f"but biases and readout alone have {kept_dense}: raise parameter_share, or enlarge the network"
            )
        # A full matrix takes no more connections; the others share the rest.
        open_shapes = list(self.sparse_shapes.values())
        while True:
            er_epsilon = budget / sum(sum(shape) for shape in open_shapes)
            full = [shape for shape in open_shapes if er_epsilon * sum(shape) > shape[0] * shape[1]]
            if not full or len(full) == len(open_shapes):
                return er_epsilon
            budget -= sum(shape[0] * shape[1] for shape in full)
            open_shapes = [shape for shape in open_shapes if shape not in full]


@checked(
    sizes=instance(NetworkSizes, "NetworkSizes"), topology_rng=generator, values_rng=generator, dtype=float_type,
    embedding_scale=number("[0, inf)", "a standard deviation of at least 0"),
    forget_bias=number("(-inf, inf)", "a number, often 1"),
)  # fmt: skip
def init_network(
    sizes,
    topology_rng,
    values_rng,
    *,
    er_epsilon=None,
    embedding_scale=1.0,
    forget_bias=1.0,
    every_word=False,
    word_weights=None,
    dtype=np.float32,
    **settings,
):
    r"""Draw a network at random.

    Parameters
    ----------
    sizes : NetworkSizes
    topology_rng, values_rng : numpy.random.Generator
        One draws the connections, the other the weights.
    er_epsilon : float, optional
        Each sparse matrix gets :math:`\varepsilon (n_{in} + n_{out})` connections; one that this fills is
        dense and does not evolve. None: all are dense.
    embedding_scale : float, default 1.0
        Standard deviation of the entries of E.
    forget_bias : float, default 1.0
        Initial bias of the forget gate; the other biases start at 0.
    every_word : bool, default False
        Whether each word has a connection in a sparse E, as far as they suffice: words of larger weight first.
    word_weights : array_like of shape (V,), optional
        Numbers above 0 to which the expected connections of each word in a sparse E are in proportion, as far as it has
        room; equal for all by default.
    dtype : dtype, default numpy.float32
    **settings
        Of :class:`~numpy_setlstm.network.Network`: dropout and engine.

    Returns
    -------
    Network

    Notes
    -----
    Weights of the LSTM have the standard deviation :math:`1 / \sqrt{3 k}`, where :math:`k` is the mean number of
    connections into a unit: the input of a gate then has the same scale at any density (:eq:`er-scale` in
    docs/derivations/erdos_renyi.md). Scaling by :math:`1 / \sqrt{k}` is the rule of Y. LeCun et al. (1998), "Efficient
    BackProp", section 4.6; :math:`1 / \sqrt{3}` is that of PyTorch's uniform distribution between :math:`\pm 1 /
    \sqrt{H}`. The readout has :math:`\sqrt{2 / (H + C)}`, as proposed by X. Glorot and Y. Bengio (2010). A forget bias
    of 1 is the advice of R. Jozefowicz, W. Zaremba and I. Sutskever (2015).

    Examples
    --------
    >>> sizes = NetworkSizes(n_words=1000, embedding_dim=32, hidden_size=32, n_classes=2)
    >>> network = init_network(sizes, np.random.default_rng(0), np.random.default_rng(1), er_epsilon=2)
    >>> network.parameters["W_h"]
    SparseMatrix(shape=(32, 128), nnz=320, density=0.0781, dtype=float32)
    """
    parameters, scales = {}, {}
    for name, count in sizes.connection_counts(er_epsilon).items():
        shape, reserved_rows = sizes.shapes[name], reserved_rows_of(name)
        connections_per_unit = max(1, count / shape[1])  # into each unit of each gate, on average
        scales[name] = scale = embedding_scale if name == "E" else float(1 / np.sqrt(3 * connections_per_unit))
        if count == shape[0] * shape[1]:
            parameters[name] = values_rng.normal(0, scale, shape).astype(dtype)
            parameters[name][:reserved_rows] = 0
        elif name == "E" and (every_word or word_weights is not None):
            cells = _cells_by_word(shape, count, every_word, word_weights, topology_rng)
            values = values_rng.normal(0.0, scale, count).astype(dtype)
            parameters[name] = SparseMatrix(shape, *np.divmod(cells, shape[1]), values)
        else:
            parameters[name] = erdos_renyi(
                shape,
                topology_rng,
                er_epsilon=er_epsilon,
                scale=scale,
                dtype=dtype,
                reserved_rows=reserved_rows,
                values_rng=values_rng,
            )
    H = sizes.hidden_size
    for name in ("b", "b_reverse")[: 1 + sizes.bidirectional]:
        parameters[name] = np.zeros(4 * H, dtype)
        parameters[name][H : 2 * H] = forget_bias
    n_in, C = sizes.shapes["W_out"]
    parameters["W_out"] = values_rng.normal(0, np.sqrt(2 / (n_in + C)), (n_in, C)).astype(dtype)
    parameters["b_out"] = np.zeros(C, dtype)
    return Network(parameters, scales, **settings)


def _cells_by_word(shape, count, every_word, word_weights, rng):
    """Draw `count` cells of an embedding (V, D), each word's in proportion to its weight; the padding has none."""
    n_words, D = shape
    weights = np.ones(n_words - 1) if word_weights is None else np.asarray(word_weights, float)[1:]
    if len(weights) != n_words - 1 or not (np.isfinite(weights) & (weights > 0)).all():
        raise ValueError(
            f"word_weights have shape {np.shape(word_weights)} and numbers from {weights.min(initial=np.inf)} to "
            f"{weights.max(initial=0)}; expected ({n_words},), and finite numbers above 0"
        )
    if every_word and count < len(weights):
        counts = np.zeros(len(weights), int)
        counts[np.argsort(-weights, kind="stable")[:count]] = 1
    else:
        counts = spread_over_rows(count, weights, D, int(every_word), rng)
    return draw_in_rows(counts, D, rng) + D
