r"""Embedding: word w becomes row w of E.

With one-hot rows :math:`u_{nt}` the layer is a product, :math:`x_{nt} = u_{nt} E`, so its gradient is the one of a
product, :math:`dE = \sum_{nt} u_{nt}^T \, dx_{nt}`: each word's row gets the **sum** of the gradients of all places
where the word stands. In a sparse E each word owns a few of the D dimensions only and is 0 in the others. Derived in
docs/derivations/embedding.md: :eq:`embedding-gradient`, and :eq:`embedding-gradient-sparse` at the connections.
"""

import numpy as np

from numpy_setlstm.sparse import SparseMatrix


def embedding_forward(tokens, E):
    r"""Look up each word's vector.

    Parameters
    ----------
    tokens : ndarray of shape (N, T), int
        Word ids from 0 to V - 1.
    E : SparseMatrix or ndarray of shape (V, D)

    Returns
    -------
    x : ndarray of shape (N, T, D)
    cache : tuple
        What :func:`embedding_backward` needs.

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
    words, places = np.unique(tokens, return_inverse=True)  # (U,) distinct words; which of them stands in each place
    vectors = E.take_rows(words) if isinstance(E, SparseMatrix) else E[words]  # (U, D)
    x = vectors[places.reshape(tokens.shape)]  # (N, T, D)
    return x, (words, places, E)


def embedding_backward(dx, cache):
    """Gradient with respect to E; undoes :func:`embedding_forward`.

    Parameters
    ----------
    dx : ndarray of shape (N, T, D)
    cache : tuple
        From the forward pass.

    Returns
    -------
    dE : ndarray
        Of shape (V, D) where E is an ndarray; of shape (nnz,), aligned with ``E.values``, where it is a SparseMatrix.

    Examples
    --------
    >>> E = SparseMatrix((3, 2), rows=[1, 2], cols=[0, 1], values=[5.0, 7.0])
    >>> x, cache = embedding_forward(np.array([[2, 1, 2]]), E)
    >>> embedding_backward(np.ones((1, 3, 2)), cache)
    array([1., 2.])
    """
    words, places, E = cache
    dvectors = sum_per_word(
        dx.reshape(places.size, dx.shape[-1]), places.reshape(-1), len(words)
    )  # (U, D)  x = vectors[places]
    if not isinstance(E, SparseMatrix):
        dE = np.zeros(E.shape, dx.dtype)  # (V, D)
        dE[words] = dvectors  # vectors = E[words], each word once
        return dE
    dE = np.zeros(E.nnz, dx.dtype)  # (nnz,)
    which, positions = E.connections_of_rows(words)
    dE[positions] = dvectors[which, E.cols[positions]]  # vectors = E.take_rows(words), each connection once
    return dE


def sum_per_word(dx, places, n_words):
    """Add up the rows of `dx` that belong to one word: a fast twin of ``np.add.at(sums, places, dx)``.

    Parameters
    ----------
    dx : ndarray of shape (M, D)
    places : ndarray of shape (M,), int
        Word of each row, from 0 to n_words - 1; every word occurs.
    n_words : int
        U, the number of sums.

    Returns
    -------
    ndarray of shape (n_words, D)

    Notes
    -----
    ``sums[places] += dx`` would be wrong: where a word repeats, all but one of its rows would be lost.

    Examples
    --------
    >>> sum_per_word(np.array([[1.0], [2.0], [4.0]]), np.array([0, 1, 0]), 2)
    array([[5.],
           [2.]])
    """
    order = np.argsort(places, kind="stable")  # the places of one word side by side
    starts = np.searchsorted(places[order], np.arange(n_words))
    return np.add.reduceat(dx[order], starts, axis=0)


def check_tokens(tokens, n_words):
    """Refuse what are no word ids.

    Parameters
    ----------
    tokens : ndarray of shape (N, T), int
        Word ids.
    n_words : int
        V: ids have to be at least 0 and below it.

    Raises
    ------
    TypeError
        If `tokens` are no integer array.
    ValueError
        If they have another number of axes, or an id is out of range.

    Examples
    --------
    >>> check_tokens(np.array([[0, 3, 1]]), 4)
    >>> check_tokens(np.array([0, 3, 1]), 4)
    Traceback (most recent call last):
    ValueError: tokens have shape (3,); expected (N, T): N texts of T word ids, see pad_sequences
    """
    if not isinstance(tokens, np.ndarray) or tokens.dtype.kind not in "iu":
        kind = getattr(tokens, "dtype", type(tokens).__name__)
        raise TypeError(f"tokens are {kind}; expected an integer array of word ids: np.asarray(ids, dtype=np.int32)")
    if tokens.ndim != 2:
        raise ValueError(f"tokens have shape {tokens.shape}; expected (N, T): N texts of T word ids, see pad_sequences")
    if tokens.size and (tokens.min() < 0 or tokens.max() >= n_words):
        raise ValueError(
            f"word ids run from {tokens.min()} to {tokens.max()}; a vocabulary of {n_words} words has ids 0 to "
            f"{n_words - 1}: use the vocabulary that the network was made for, or raise its size"
        )
