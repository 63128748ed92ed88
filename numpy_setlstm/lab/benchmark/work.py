r"""The work that all peers do: sizes, word ids, labels and first weights, the same for each of them.

Texts are sequences of T words without padding, drawn independently from Zipf's law, :math:`P(r) \propto 1 / r` for the
word of rank r, which approximates natural language (G. K. Zipf, 1949, "Human Behavior and the Principle of Least
Effort"). Labels are random: there is nothing to learn, as only the time is measured.
"""

from dataclasses import asdict, dataclass, replace

import numpy as np

from numpy_setlstm.initialization import NetworkSizes, init_network
from numpy_setlstm.parameters import SPARSE_PARAMETERS
from numpy_setlstm.sparse import SparseMatrix
from numpy_setlstm.topology import erdos_renyi, reserved_rows_of

N_BATCHES = 4  # different minibatches, used in turn
FIRST_WORD = 2  # ids 0 and 1 are padding and unknown
DENSITIES = {  # ways to choose the number of connections, and how to describe them
    "share": "of the dense network's parameters",
    "recurrent_density": "recurrent",
    "density": "density",
}


@dataclass(frozen=True)
class Work:
    """Sizes of the network and of a minibatch, and one of three ways to choose the number of connections.

    These are `share`, of the dense network's parameters, biases and readout included; `recurrent_density`, of W_h, with
    E and W_x in proportion to n_in + n_out, as for `share`; and `density`, the same in E, W_x and W_h.
    """

    n_words: int = 20_000
    embedding_dim: int = 256
    hidden_size: int = 256
    n_classes: int = 2
    length: int = 100
    batch_size: int = 64
    share: float | None = 0.039
    recurrent_density: float | None = None
    density: float | None = None
    learning_rate: float = 1e-3
    dtype: str = "float32"
    seed: int = 0

    def __post_init__(self):
        names = ("embedding_dim", "hidden_size", "n_classes", "length", "batch_size")
        for name, least in {"n_words": FIRST_WORD + 1, **dict.fromkeys(names, 1)}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least {least}")
        given = {name: getattr(self, name) for name in DENSITIES if getattr(self, name) is not None}
        if len(given) != 1:
            raise ValueError(f"given are {given or 'no density'}; give one of share, recurrent_density and density")
        for name, value in given.items():
            if not 0 < value <= 1:
                raise ValueError(f"{name} is {value}; expected a fraction above 0 and at most 1, such as 0.04 for 4 %")
        self.connections  # noqa: B018  raises if the share is impossible

    @property
    def sizes(self):
        """The sizes that determine the shapes of the parameters."""
        return NetworkSizes(self.n_words, self.embedding_dim, self.hidden_size, self.n_classes)

    @property
    def er_epsilon(self):
        """The Erdős–Rényi epsilon of the three matrices; None if they have a density instead."""
        if self.share is not None:
            return self.sizes.er_epsilon_for(self.share)
        n_in, n_out = self.sizes.shapes["W_h"]
        return None if self.density is not None else self.recurrent_density * n_in * n_out / (n_in + n_out)

    @property
    def connections(self):
        """Dict of str to int: the number of connections of E, W_x and W_h."""
        shapes = self.sizes.sparse_shapes
        cells = {name: (n_rows - reserved_rows_of(name)) * n_cols for name, (n_rows, n_cols) in shapes.items()}
        if self.density is not None:
            return {name: max(1, round(self.density * count)) for name, count in cells.items()}
        counts = self.sizes.connection_counts(self.er_epsilon)
        return {name: min(count, cells[name]) for name, count in counts.items()}

    @property
    def n_parameters(self):
        """Number of parameters of the sparse network: connections, biases, readout."""
        others = [shape for name, shape in self.sizes.shapes.items() if name not in SPARSE_PARAMETERS]
        return sum(self.connections.values()) + sum(int(np.prod(shape)) for shape in others)

    def with_density(self, **density):
        """The same work with another density, given by the name of its kind."""
        return replace(self, **dict.fromkeys(DENSITIES) | density)

    def to_json(self):
        """Dict of plain values; ``Work(**document)`` undoes it."""
        return asdict(self)

    def __str__(self):
        kind = next(name for name in DENSITIES if getattr(self, name) is not None)
        return (
            f"V {self.n_words:,}, D {self.embedding_dim}, H {self.hidden_size}, T {self.length}, N {self.batch_size}, "
            f"{100 * getattr(self, kind):.3g} % {DENSITIES[kind]}"
        )


def draw_network(work):
    """The Network that all peers start from; E, W_x and W_h are sparse even if every cell is a connection."""
    topology_rng, values_rng = np.random.default_rng([work.seed, 0]).spawn(2)
    network = init_network(work.sizes, topology_rng, values_rng, er_epsilon=work.er_epsilon, dtype=np.dtype(work.dtype))
    for name, count in work.connections.items():
        W = network.parameters[name]
        if not isinstance(W, SparseMatrix):
            network.parameters[name] = erdos_renyi(
                W.shape,
                topology_rng,
                density=count / W.size,
                scale=network.scales[name],
                dtype=W.dtype,
                reserved_rows=reserved_rows_of(name),
                values_rng=values_rng,
            )
    return network


def draw_batches(work, n_batches):
    """Minibatches of word ids (N, T) and labels (N,), both int64, list of tuple."""
    rng = np.random.default_rng([work.seed, 1])
    cumulative = np.cumsum(1 / np.arange(1, work.n_words - FIRST_WORD + 1))
    batches = []
    for _ in range(n_batches):
        u = rng.random((work.batch_size, work.length)) * cumulative[-1]
        tokens = np.minimum(np.searchsorted(cumulative, u, side="right"), len(cumulative) - 1) + FIRST_WORD
        batches.append((tokens, rng.integers(work.n_classes, size=work.batch_size)))
    return batches
