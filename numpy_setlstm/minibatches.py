"""Which texts share a minibatch, the pieces that are computed on their own, and what each gives."""

from typing import NamedTuple

import numpy as np

from numpy_setlstm.parameters import directions_of
from numpy_setlstm.sparse import SparseMatrix

POOL_BATCHES = 32  # minibatches that are sorted by length together
# Pieces have at least so many texts, but two may share that many; and so many connections times texts. With fewer, a
# minibatch in pieces takes more than about a tenth longer than a whole one, in one process: the calls of NumPy do.
LEAST_TEXTS, LEAST_CELLS = 32, 2**19
CELLS_PER_CONNECTION = 16  # cells of a dense matrix that take about as long as one connection


def batch_order(lengths, batch_size, rng):
    """Draw the order (n_texts,) of the texts for one epoch; texts of similar length share a minibatch.

    A random permutation is cut into pools of several minibatches, each pool is sorted by length, and minibatches are
    shuffled: their composition remains random, and fewer steps are spent on padding.
    """
    order = rng.permutation(len(lengths))
    pools = np.split(order, np.arange(POOL_BATCHES * batch_size, len(order), POOL_BATCHES * batch_size))
    order = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
    in_full_batches = len(order) // batch_size * batch_size
    batches = rng.permutation(order[:in_full_batches].reshape(-1, batch_size))
    return np.concatenate([batches.ravel(), order[in_full_batches:]])


class Minibatch(NamedTuple):
    """What one minibatch gave, or a piece of it."""

    loss: float  # mean, in nats; of a piece its share of the mean
    gradients: dict
    count: int  # of what the loss is a mean over
    right: float  # how many were predicted right
    carried: dict  # for the next minibatch


class Piece(NamedTuple):
    """Some texts of a minibatch, which are computed on their own."""

    texts: np.ndarray  # their numbers, (n,)
    share: float  # of the texts of the minibatch
    rng: np.random.Generator  # for dropout


def cut_minibatch(texts, parameters, rng):
    """Cut the texts (N,) of a minibatch into Pieces.

    How many there are depends on the sizes of the minibatch and of the network only, never on who computes them: so the
    sum over the pieces, in their order, is the same bits on any number of processes. A single one draws dropout from
    `rng`; each of several has a generator of its own, named by what `rng` draws for this minibatch, and by its number.
    """
    n_pieces = count_pieces(len(texts), connections_read(parameters))
    if n_pieces == 1:
        return [Piece(texts, 1.0, rng)]
    key = int(rng.integers(2**63))
    parts = np.array_split(texts, n_pieces)
    return [Piece(part, len(part) / len(texts), np.random.default_rng([key, k])) for k, part in enumerate(parts)]


def count_pieces(n_texts, connections):
    """Into how many pieces so many texts are cut, if each reads so many connections in a time step: a power of two.

    >>> [count_pieces(64, 25_000), count_pieces(64, 2_500), count_pieces(32, 80_000)]
    [2, 1, 2]
    """
    by_texts = max(2, n_texts // LEAST_TEXTS) if n_texts >= LEAST_TEXTS else 1
    most = max(1, min(by_texts, int(n_texts * connections / LEAST_CELLS)))
    return 2 ** (most.bit_length() - 1)  # of which 2, 4, 8 processes have equal shares


def connections_read(parameters):
    """How many connections the LSTMs of a network read in a time step; a dense matrix counts as fewer."""
    matrices = [parameters[name] for names in directions_of(parameters).values() for name in names[:2]]
    return sum(W.nnz if isinstance(W, SparseMatrix) else W.size / CELLS_PER_CONNECTION for W in matrices)


def add_up(pieces):
    """The Minibatch of its pieces, each a Minibatch."""
    gradients = pieces[0].gradients
    for piece in pieces[1:]:
        gradients = {name: gradient + piece.gradients[name] for name, gradient in gradients.items()}
    loss, right, count = (sum(getattr(piece, name) for piece in pieces) for name in ("loss", "right", "count"))
    return Minibatch(loss, gradients, count, right, {})
