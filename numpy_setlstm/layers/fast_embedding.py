r"""The embedding of :mod:`numpy_setlstm.layers.embedding` once more, for the fast LSTM: time first, texts last.

A sparse embedding writes the few dimensions that a word owns, and gathers the gradient there: its cost is linear in the
connections of the words that occur, not in D.
"""

import numpy as np

from numpy_setlstm.layers.embedding import embedding_backward, embedding_forward
from numpy_setlstm.sparse import SparseMatrix


def fast_embedding_forward(tokens, E, dtype=None):
    """Look up each word's vector; a fast twin of :func:`numpy_setlstm.layers.embedding.embedding_forward`.

    Parameters
    ----------
    tokens : ndarray of shape (N, T), int
        Word ids from 0 to V - 1.
    E : SparseMatrix or ndarray of shape (V, D)
    dtype : dtype, optional
        Of the result; by default that of E.

    Returns
    -------
    x : ndarray of shape (T, D, N)
    cache : tuple

    Examples
    --------
    >>> E = SparseMatrix((3, 2), rows=[1, 2], cols=[0, 1], values=[5.0, 7.0])
    >>> x, cache = fast_embedding_forward(np.array([[2, 1, 2]]), E)
    >>> x[:, :, 0].tolist()
    [[0.0, 7.0], [5.0, 0.0], [0.0, 7.0]]
    """
    N, T = tokens.shape
    dtype = E.dtype if dtype is None else dtype
    if not isinstance(E, SparseMatrix):
        x, cache = embedding_forward(tokens, E)  # (N, T, D)
        return np.ascontiguousarray(x.transpose(1, 2, 0), dtype), cache
    which, positions = E.connections_of_rows(tokens.T.ravel())  # (K,) each: whose connection, and where it is stored
    t, n = np.divmod(which, N)
    places = (t * E.shape[1] + E.cols[positions]) * N + n  # index into x.ravel(): one is quicker to follow than three
    x = np.zeros((T, E.shape[1], N), dtype)
    x.reshape(-1)[places] = E.values[positions]
    return x, (positions, places)


def fast_embedding_backward(dx, cache, E):
    """Gradient with respect to E; undoes :func:`fast_embedding_forward`.

    Parameters
    ----------
    dx : list of ndarray of shape (T, D, N)
        One per part of the minibatch.
    cache : list of tuple
        From the forward passes of the same parts.
    E : SparseMatrix or ndarray of shape (V, D)

    Returns
    -------
    dE : ndarray
        Of shape (V, D) where E is an ndarray; of shape (nnz,), aligned with ``E.values``, where it is a SparseMatrix.

    Examples
    --------
    >>> E = SparseMatrix((3, 2), rows=[1, 2], cols=[0, 1], values=[5.0, 7.0])
    >>> x, cache = fast_embedding_forward(np.array([[2, 1, 2]]), E)
    >>> fast_embedding_backward([np.ones((3, 2, 1))], [cache], E)
    array([1., 2.])
    """
    if not isinstance(E, SparseMatrix):
        return sum(embedding_backward(d.transpose(2, 0, 1), c) for d, c in zip(dx, cache, strict=True))
    dE = np.zeros(E.nnz, dx[0].dtype)
    for d, (positions, places) in zip(dx, cache, strict=True):
        np.add.at(dE, positions, d.reshape(-1)[places])  # adds up where a word repeats; += would lose all but one
    return dE
