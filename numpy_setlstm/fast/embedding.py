r"""The embedding of :mod:`numpy_setlstm.layers.embedding` once more, in the layout of the fast LSTM.

A sparse embedding writes the few dimensions that a word owns, and gathers the gradient there: its cost is linear in the
connections of the words that occur, not in D.
"""

import numpy as np

from numpy_setlstm.layers.embedding import embedding_backward, embedding_forward
from numpy_setlstm.sparse import SparseMatrix


def fast_embedding_forward(tokens, E, steps, dtype=None, *, empty=np.empty):
    """Look up each word's vector; a fast twin of :func:`numpy_setlstm.layers.embedding.embedding_forward`.

    Parameters
    ----------
    tokens : ndarray of shape (N, T), int
        Word ids from 0 to V - 1.
    E : SparseMatrix or ndarray of shape (V, D)
    steps : int
        S, the number of time steps in a group.
    dtype : dtype, optional
        Of the result; by default that of E.
    empty : callable
        Makes large arrays, as ``numpy.empty`` does.

    Returns
    -------
    x : ndarray of shape (n_groups, D, S, N)
        Step t stands at ``x[t // S, :, t % S]``; what is left of the last group is 0.
    cache : tuple

    Examples
    --------
    >>> E = SparseMatrix((3, 2), rows=[1, 2], cols=[0, 1], values=[5.0, 7.0])
    >>> x, cache = fast_embedding_forward(np.array([[2, 1, 2]]), E, steps=2)
    >>> x[..., 0].tolist()
    [[[0.0, 5.0], [7.0, 0.0]], [[0.0, 0.0], [7.0, 0.0]]]
    """
    (N, T), D = tokens.shape, E.shape[1]
    x = empty((-(-T // steps), D, steps, N), E.dtype if dtype is None else dtype)
    x.fill(0)
    if not isinstance(E, SparseMatrix):
        vectors, cache = embedding_forward(tokens, E)  # (N, T, D)
        for t in range(T):
            x[t // steps, :, t % steps] = vectors[:, t].T
        return x, (T, cache)
    which, positions = E.connections_of_rows(tokens.T.ravel())  # (K,) each: whose connection, and where it is stored
    t, n = np.divmod(which, N)
    group, s = np.divmod(t, steps)
    places = ((group * D + E.cols[positions]) * steps + s) * N + n  # in x.ravel(): one index is quicker than four
    x.reshape(-1)[places] = E.values[positions]
    return x, (positions, places)


def fast_embedding_backward(dx, caches, E):
    """Gradient with respect to E; undoes :func:`fast_embedding_forward`.

    Parameters
    ----------
    dx : list of ndarray of shape (n_groups, D, S, N)
        One per part of the minibatch.
    caches : list of tuple
        From the forward passes of the same parts.
    E : SparseMatrix or ndarray of shape (V, D)

    Returns
    -------
    dE : ndarray
        Of shape (V, D) where E is an ndarray; of shape (nnz,), aligned with ``E.values``, where it is a SparseMatrix.

    Examples
    --------
    >>> E = SparseMatrix((3, 2), rows=[1, 2], cols=[0, 1], values=[5.0, 7.0])
    >>> x, cache = fast_embedding_forward(np.array([[2, 1, 2]]), E, steps=2)
    >>> fast_embedding_backward([np.ones((2, 2, 2, 1))], [cache], E)
    array([1., 2.])
    """
    if not isinstance(E, SparseMatrix):
        return sum(_backward_dense(d, *cache) for d, cache in zip(dx, caches, strict=True))
    dE = np.zeros(E.nnz, dx[0].dtype)
    for d, (positions, places) in zip(dx, caches, strict=True):
        np.add.at(dE, positions, d.reshape(-1)[places])  # adds up where a word repeats; += would lose all but one
    return dE


def _backward_dense(dx, T, cache):
    steps = dx.shape[2]
    by_text = np.stack([dx[t // steps, :, t % steps].T for t in range(T)], axis=1)  # (N, T, D)
    return embedding_backward(by_text, cache)
