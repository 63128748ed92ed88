"""Embedding: word w becomes row w of E.

With one-hot rows :math:`u_{nt}` the layer is a product, :math:`x_{nt} = u_{nt} E`, and its gradient is that of a
product: the row of a word receives the **sum** of the gradients of all places where the word occurs. In a sparse E each
word owns a few of the D dimensions and is 0 in the others. Derived in docs/derivations/embedding.md:
:eq:`embedding-gradient`, and :eq:`embedding-gradient-sparse` at the connections.
"""

from typing import NamedTuple

import numpy as np

from numpy_setlstm.checks import array, cache, checked, matrix
from numpy_setlstm.sparse import SparseMatrix

__all__ = ["embedding_backward", "embedding_forward"]


class EmbeddingCache(NamedTuple):
    """What :func:`embedding_backward` needs: tokens of shape (N, T), and E of shape (V, D)."""

    tokens: np.ndarray
    E: SparseMatrix | np.ndarray


@checked(E=matrix("V D"))
def embedding_forward(tokens, E):
    r"""Look up the vector of each word.

    Parameters
    ----------
    tokens : ndarray of shape (N, T), int
        Word ids from 0 to V - 1.
    E : SparseMatrix or ndarray of shape (V, D)

    Returns
    -------
    x : ndarray of shape (N, T, D)
    cache : EmbeddingCache

    Raises
    ------
    TypeError
        If the ids are not integers.
    ValueError
        If `tokens` is not two-dimensional, or an id lies outside 0 to V - 1.

    Notes
    -----
    .. math:: x_{nt} = E_{w_{nt}}

    Source: Y. Bengio et al. (2003), "A Neural Probabilistic Language Model"; with sparse rows: Liu et al. (2019).

    Examples
    --------
    >>> E = SparseMatrix((3, 2), rows=[1, 2], cols=[0, 1], values=[5.0, 7.0])
    >>> x, cache = embedding_forward(np.array([[2, 1, 2]]), E)
    >>> x
    array([[[0., 7.],
            [5., 0.],
            [0., 7.]]])
    """
    check_tokens(tokens, E.shape[0])
    x = E.take_rows(tokens) if isinstance(E, SparseMatrix) else E[tokens]  # (N, T, D)
    return x, EmbeddingCache(tokens, E)


@checked(dx=array(), cache=cache(EmbeddingCache, "embedding_forward"))
def embedding_backward(dx, cache):
    """Gradient with respect to E; undoes :func:`embedding_forward`.

    Parameters
    ----------
    dx : ndarray of shape (N, T, D)
    cache : EmbeddingCache

    Returns
    -------
    dE : ndarray of shape (V, D), or (nnz,) aligned with ``E.values``

    Raises
    ------
    ValueError
        If `dx` does not have the shape of x.

    Examples
    --------
    >>> E = SparseMatrix((3, 2), rows=[1, 2], cols=[0, 1], values=[5.0, 7.0])
    >>> x, cache = embedding_forward(np.array([[2, 1, 2]]), E)
    >>> embedding_backward(np.ones((1, 3, 2)), cache)
    array([1., 2.])
    """
    tokens, E = cache
    n_words, D = E.shape
    if dx.shape != (*tokens.shape, D):
        raise ValueError(f"dx has shape {dx.shape}; expected that of x, {(*tokens.shape, D)}")
    places, dx = tokens.ravel(), dx.reshape(tokens.size, D)  # (N·T,), (N·T, D)
    if not isinstance(E, SparseMatrix):
        return sum_per_word(dx, places, n_words)  # x = E[tokens]
    which, positions = E.connections_of_rows(places)  # x = E.take_rows(tokens)
    return sum_per_word(dx[which, E.cols[positions]], positions, E.nnz)


def sum_per_word(dx, places, n_words):
    """Sum the entries of dx (M, ...) that have the same number in places (M,): an ndarray of shape (n_words, ...).

    ``sums[places] += dx`` would be wrong: for a repeated word it keeps only one of the terms.
    """
    sums = np.zeros((n_words, *dx.shape[1:]), dx.dtype)
    np.add.at(sums, places, dx)
    return sums


def check_tokens(tokens, n_words):
    """Reject tokens that are not an (N, T) integer array of ids from 0 to n_words - 1."""
    is_odd = isinstance(tokens, np.ma.MaskedArray | np.matrix)  # which have rules of their own
    if not isinstance(tokens, np.ndarray) or tokens.dtype.kind not in "iu" or is_odd:
        kind = type(tokens).__name__ if is_odd else getattr(tokens, "dtype", type(tokens).__name__)
        raise TypeError(f"tokens are {kind}; expected an integer array of word ids: np.asarray(ids, dtype=np.int32)")
    if tokens.ndim != 2:
        raise ValueError(f"tokens have shape {tokens.shape}; expected (N, T): N texts of T word ids, see pad_sequences")
    if tokens.size and (tokens.min() < 0 or tokens.max() >= n_words):
        raise ValueError(
            f"word ids range from {tokens.min()} to {tokens.max()}; a vocabulary of {n_words} words has ids 0 to "
            f"{n_words - 1}: use the vocabulary that the network was made for, or raise its size"
        )
