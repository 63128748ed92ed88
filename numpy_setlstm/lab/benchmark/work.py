r"""The work that all peers do: sizes, word ids, labels and first weights, the same for each of them.

Texts are sequences of T words without padding, drawn independently from Zipf's law, :math:`P(r) \propto 1 / r` for the
word of rank r: natural language comes close to it (G. K. Zipf, 1949, "Human Behavior and the Principle of Least
Effort"). Labels are drawn at random; there is nothing to learn, for it is the time that is measured.
"""

from dataclasses import asdict, dataclass, replace

import numpy as np

from numpy_setlstm.network import SPARSE_PARAMETERS, Network, NetworkSizes, reserved_rows_of
from numpy_setlstm.topology import erdos_renyi, erdos_renyi_count

N_BATCHES = 4  # different minibatches, used one after the other and over again
FIRST_WORD = 2  # ids 0 and 1 are padding and unknown


@dataclass(frozen=True)
class Work:
    """What is to be done, and with how many connections.

    Attributes
    ----------
    n_words, embedding_dim, hidden_size, n_classes : int
        V, D, H and C.
    length, batch_size : int
        T words in each of the N texts of a minibatch.
    share : float in (0, 1], or None
        Parameters of the sparse network as a share of the dense one's, biases and readout counted.
    recurrent_density : float in (0, 1], or None
        Of W_h. As with `share`, E and W_x get connections in the same proportion to n_in + n_out.
    density : float in (0, 1], or None
        The same for E, W_x and W_h. Exactly one of the three is to be given.
    learning_rate : float
        Of Adam, for all parameters.
    dtype : str
    seed : int

    Raises
    ------
    ValueError
        If a size is below 1, a density is outside its range, or not exactly one is given.

    Examples
    --------
    >>> Work().connections
    {'E': 194116, 'W_x': 12266, 'W_h': 12266}
    >>> Work(hidden_size=1024, recurrent_density=0.01, share=None).connections["W_h"]
    41943
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
        given = {name: getattr(self, name) for name in ("share", "recurrent_density", "density")}
        given = {name: value for name, value in given.items() if value is not None}
        if len(given) != 1:
            raise ValueError(f"given are {given or 'no density'}; give one of share, recurrent_density and density")
        for name, value in given.items():
            if not 0 < value <= 1:
                raise ValueError(f"{name} is {value}; expected a fraction above 0 and at most 1, such as 0.04 for 4 %")
        self.connections  # noqa: B018  raises if the share cannot be had

    @property
    def sizes(self):
        """The shapes of the network."""
        return NetworkSizes(self.n_words, self.embedding_dim, self.hidden_size, self.n_classes)

    @property
    def connections(self):
        """Dict of str to int: the number of connections of E, W_x and W_h."""
        shapes = self.sizes.shapes
        most = {name: (shapes[name][0] - reserved_rows_of(name)) * shapes[name][1] for name in SPARSE_PARAMETERS}
        if self.density is not None:
            return {name: max(1, round(self.density * cells)) for name, cells in most.items()}
        er_epsilon = self._er_epsilon()
        return {name: min(erdos_renyi_count(shapes[name], er_epsilon), cells) for name, cells in most.items()}

    def _er_epsilon(self):
        if self.share is not None:
            return self.sizes.er_epsilon_for(self.share)
        n_in, n_out = self.sizes.shapes["W_h"]
        return self.recurrent_density * n_in * n_out / (n_in + n_out)

    @property
    def n_parameters(self):
        """Number of parameters of the sparse network: connections, biases, readout."""
        others = [shape for name, shape in self.sizes.shapes.items() if name not in SPARSE_PARAMETERS]
        return sum(self.connections.values()) + sum(int(np.prod(shape)) for shape in others)

    def with_density(self, **density):
        """The same work with another of the three densities.

        Examples
        --------
        >>> Work().with_density(density=0.1).share is None
        True
        """
        return replace(self, **{"share": None, "recurrent_density": None, "density": None} | density)

    def to_json(self):
        """Dict of plain values, from which ``Work(**...)`` makes the same work."""
        return asdict(self)

    def __str__(self):
        kind = next(name for name in ("share", "recurrent_density", "density") if getattr(self, name) is not None)
        words = {"share": "of the dense network's parameters", "recurrent_density": "recurrent", "density": "density"}
        return (
            f"V {self.n_words:,}, D {self.embedding_dim}, H {self.hidden_size}, T {self.length}, N {self.batch_size}, "
            f"{100 * getattr(self, kind):.3g} % {words[kind]}"
        )


def draw_network(work):
    """The network that all peers start from, with the initial scales of :func:`~numpy_setlstm.network.init_network`.

    Parameters
    ----------
    work : Work

    Returns
    -------
    Network
        With sparse E, W_x and W_h, also where every cell is a connection.

    Examples
    --------
    >>> draw_network(Work(n_words=100, embedding_dim=4, hidden_size=4, share=0.5)).count_parameters()
    277
    """
    rng, dtype = np.random.default_rng([work.seed, 0]), np.dtype(work.dtype)
    parameters, scales = {}, {}
    for name, count in work.connections.items():
        shape = work.sizes.shapes[name]
        scales[name] = 1.0 if name == "E" else float(1 / np.sqrt(3 * max(1, count / shape[1])))
        parameters[name] = erdos_renyi(
            shape,
            rng,
            density=count / (shape[0] * shape[1]),
            scale=scales[name],
            dtype=dtype,
            reserved_rows=reserved_rows_of(name),
        )
    H, C = work.hidden_size, work.n_classes
    parameters["b"] = np.zeros(4 * H, dtype)
    parameters["b"][H : 2 * H] = 1
    parameters["W_out"] = rng.normal(0, np.sqrt(2 / (H + C)), (H, C)).astype(dtype)
    parameters["b_out"] = np.zeros(C, dtype)
    return Network(parameters, scales)


def draw_batches(work, n_batches):
    """Minibatches of word ids and labels.

    Parameters
    ----------
    work : Work
    n_batches : int

    Returns
    -------
    list of (tokens, labels)
        tokens (N, T) int64, labels (N,) int64.

    Examples
    --------
    >>> [(tokens, labels)] = draw_batches(Work(batch_size=3, length=5), 1)
    >>> tokens.shape, bool(tokens.min() >= 2), labels.shape
    ((3, 5), True, (3,))
    """
    rng = np.random.default_rng([work.seed, 1])
    cumulative = np.cumsum(1 / np.arange(1, work.n_words - FIRST_WORD + 1))
    batches = []
    for _ in range(n_batches):
        u = rng.random((work.batch_size, work.length)) * cumulative[-1]
        tokens = np.minimum(np.searchsorted(cumulative, u, side="right"), len(cumulative) - 1) + FIRST_WORD
        batches.append((tokens, rng.integers(work.n_classes, size=work.batch_size)))
    return batches
