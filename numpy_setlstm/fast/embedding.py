"""The embedding of :mod:`numpy_setlstm.layers.embedding` in the layout of the fast LSTM, with its dropout.

A sparse embedding writes the few dimensions that a word owns, and gathers the gradient there: its cost is linear in the
connections of the words that occur, not in D.
"""

from typing import NamedTuple

import numpy as np

from numpy_setlstm.layers.dropout import dropout_backward
from numpy_setlstm.sparse import SparseMatrix


class SparseCache(NamedTuple):
    """For K places where a word owns a dimension: its connection (K,), the place in x.ravel() (K,), dropout factor."""

    positions: np.ndarray
    places: np.ndarray
    keep: np.ndarray | None


class DenseCache(NamedTuple):
    """Tokens of shape (N, T), and dropout factors of shape (N, T, D) or None."""

    tokens: np.ndarray
    keep: np.ndarray | None


def fast_embedding_forward(tokens, E, steps, dtype=None, keep=None, *, empty=np.empty):
    """Look up the vectors of tokens (N, T) in E (V, D), times the dropout factors `keep` of shape (N, T, D) or None.

    Returns x of shape (n_groups, D, S, N) with S = `steps`, and the cache: step t is ``x[t // S, :, t % S]``, and the
    rest of the last group is 0. `empty` makes large arrays, like ``numpy.empty``.

    >>> E = SparseMatrix((3, 2), rows=[1, 2], cols=[0, 1], values=[5.0, 7.0])
    >>> x, cache = fast_embedding_forward(np.array([[2, 1, 2]]), E, steps=2)
    >>> x[..., 0].tolist()
    [[[0.0, 5.0], [7.0, 0.0]], [[0.0, 0.0], [7.0, 0.0]]]
    """
    (N, T), D = tokens.shape, E.shape[1]
    x = empty((-(-T // steps), D, steps, N), E.dtype if dtype is None else dtype)
    x.fill(0)
    if not isinstance(E, SparseMatrix):
        put_in_groups(E[tokens] if keep is None else E[tokens] * keep, x)
        return x, DenseCache(tokens, keep)
    which, positions = E.connections_of_rows(tokens.T.ravel())  # (K,) each: whose connection, and where it is stored
    (t, n), cols = np.divmod(which, N), E.cols[positions]
    group, s = np.divmod(t, steps)
    places = ((group * D + cols) * steps + s) * N + n  # in x.ravel(): one index is faster than four
    values = E.values[positions]
    if keep is not None:
        keep = keep.reshape(-1)[(n * T + t) * D + cols]  # (K,)
        values = values * keep
    x.reshape(-1)[places] = values
    return x, SparseCache(positions, places, keep)


def put_in_groups(vectors, x):
    """Write vectors (N, T, D) to x of shape (n_groups, D, S, N), for a fast LSTM; the rest of the last group stays."""
    steps = x.shape[2]
    for t in range(vectors.shape[1]):
        x[t // steps, :, t % steps] = vectors[:, t].T


def out_of_groups(x, n_steps):
    """The vectors (N, T, D) that :func:`put_in_groups` wrote, of T = `n_steps` steps."""
    S = x.shape[2]
    return np.stack([x[t // S, :, t % S].T for t in range(n_steps)], axis=1)


def fast_embedding_backward(dx, caches, E):
    """Gradient with respect to E, (V, D) or (nnz,), from the dx and the caches of all directions."""
    if not isinstance(E, SparseMatrix):
        return sum(_backward_dense(d, cache, E.shape) for d, cache in zip(dx, caches, strict=True))
    dE = np.zeros(E.nnz, dx[0].dtype)
    for d, (positions, places, keep) in zip(dx, caches, strict=True):
        # add.at adds up where a word repeats; += would keep only one of the terms
        np.add.at(dE, positions, dropout_backward(d.reshape(-1)[places], keep))
    return dE


def _backward_dense(dx, cache, shape):
    """Sum the gradients of each word: like ``np.add.at(dE, tokens, dx)``, by sorting the places by word."""
    (n_texts, T), D = cache.tokens.shape, dx.shape[1]
    by_text = out_of_groups(dx, T)  # (N, T, D)
    by_text = dropout_backward(by_text, cache.keep).reshape(n_texts * T, D)
    dE = np.zeros(shape, dx.dtype)  # (V, D)
    words, places = np.unique(cache.tokens.ravel(), return_inverse=True)
    order = np.argsort(places, kind="stable")  # the places of one word side by side
    starts = np.searchsorted(places[order], np.arange(len(words)))
    dE[words] = np.add.reduceat(by_text[order], starts, axis=0)
    return dE
