"""The work of the language model that peers do: sizes, minibatches of ids and first weights, the same for each."""

from dataclasses import asdict, dataclass

import numpy as np

from numpy_setlstm.language.initialization import LanguageSizes, init_language_network

FIRST = 2  # ids 0 and 1 are padding and unknown


@dataclass(frozen=True)
class LanguageWork:
    """Sizes of a language model of characters and of a minibatch, and the density of W_x and W_h.

    >>> print(LanguageWork())
    a language model, V 65, D 64, H 256, T 50, N 32, 5 % density
    """

    n_words: int = 65
    embedding_dim: int = 64
    hidden_size: int = 256
    n_steps: int = 50
    batch_size: int = 32
    density: float = 0.05
    learning_rate: float = 0.003
    max_norm: float = 1.0
    seed: int = 0

    @property
    def n_tokens(self):
        """Number of tokens in a minibatch."""
        return self.batch_size * self.n_steps

    def to_json(self):
        """Dict of plain values; ``LanguageWork(**document)`` undoes it."""
        return asdict(self)

    def __str__(self):
        return (
            f"a language model, V {self.n_words}, D {self.embedding_dim}, H {self.hidden_size}, T {self.n_steps}, "
            f"N {self.batch_size}, {100 * self.density:.3g} % density"
        )


def draw_language_network(work, *, sparse):
    """The LanguageNetwork that all sparse, or all dense, peers start from."""
    sizes = LanguageSizes(work.n_words, work.embedding_dim, work.hidden_size)
    topology_rng, values_rng = np.random.default_rng([work.seed, 0]).spawn(2)
    names = ("W_x", "W_h") if sparse else ()
    return init_language_network(sizes, topology_rng, values_rng, sparse=names, density=work.density)


def draw_language_batches(work, n_batches):
    """Minibatches of inputs and targets, (N, T) int64 each, list of tuple: pieces of one long text, drawn at random."""
    rng = np.random.default_rng([work.seed, 1])
    ids = rng.integers(FIRST, work.n_words, (work.batch_size, n_batches * work.n_steps + 1))
    inputs, targets = (np.split(part, n_batches, axis=1) for part in (ids[:, :-1], ids[:, 1:]))
    return [tuple(map(np.ascontiguousarray, pair)) for pair in zip(inputs, targets, strict=True)]
