r"""Readout: from the last hidden state to class probabilities, and the loss that training makes small.

The layer is small (H × C) and stays dense.
"""

import numpy as np


def linear_forward(h, W, b):
    r"""Logits of the classes, :math:`y = h W + b`.

    Parameters
    ----------
    h : ndarray of shape (N, H)
    W : ndarray of shape (H, C)
    b : ndarray of shape (C,)

    Returns
    -------
    logits : ndarray of shape (N, C)
    cache : tuple
        What :func:`linear_backward` needs.

    Raises
    ------
    ValueError
        If the shapes do not fit together.

    Examples
    --------
    >>> linear_forward(np.array([[1.0, 2.0]]), np.eye(2), np.array([0.5, 0.0]))[0]
    array([[1.5, 2. ]])
    """
    if h.shape[1] != W.shape[0] or b.shape != W.shape[1:]:
        raise ValueError(f"h {h.shape}, W {W.shape} and b {b.shape} do not fit; expected (N, H), (H, C) and (C,)")
    return h @ W + b, (h, W)


def linear_backward(dlogits, cache):
    """Gradients of :func:`linear_forward`: :eq:`readout-backward` in docs/derivations/softmax_cross_entropy.md.

    Parameters
    ----------
    dlogits : ndarray of shape (N, C)
    cache : tuple
        From the forward pass.

    Returns
    -------
    dh : ndarray of shape (N, H)
    dW : ndarray of shape (H, C)
    db : ndarray of shape (C,)

    Examples
    --------
    >>> _, cache = linear_forward(np.array([[1.0, 2.0]]), np.eye(2), np.zeros(2))
    >>> linear_backward(np.array([[1.0, -1.0]]), cache)[1]
    array([[ 1., -1.],
           [ 2., -2.]])
    """
    h, W = cache
    return dlogits @ W.T, h.T @ dlogits, dlogits.sum(axis=0)  # logits = h @ W + b


def softmax(logits):
    """Probabilities of the classes.

    Parameters
    ----------
    logits : ndarray of shape (N, C)
        Of any size: the largest of each row is taken away first.

    Returns
    -------
    ndarray of shape (N, C)
        In [0, 1]; rows sum to 1.

    Examples
    --------
    >>> softmax(np.array([[1000.0, 1000.0]]))
    array([[0.5, 0.5]])
    """
    return np.exp(_log_softmax(logits))


def cross_entropy_forward(logits, labels):
    r"""Mean cross-entropy of the softmax of the logits.

    Parameters
    ----------
    logits : ndarray of shape (N, C)
    labels : ndarray of shape (N,), int
        The right class of each row, from 0 to C - 1.

    Returns
    -------
    loss : scalar
        In nats; log(C) for a guess without any knowledge.
    cache : tuple
        What :func:`cross_entropy_backward` needs.

    Raises
    ------
    ValueError
        If there is not one label per row, or a label lies outside 0 to C - 1.

    Notes
    -----
    .. math:: L = -\frac{1}{N} \sum_n \log \frac{e^{y_{n, k_n}}}{\sum_j e^{y_{nj}}}

    Equations :eq:`log-softmax` and :eq:`cross-entropy` in docs/derivations/softmax_cross_entropy.md.

    Source: J. Bridle (1990), "Probabilistic Interpretation of Feedforward Classification Network Outputs".

    Examples
    --------
    >>> loss, cache = cross_entropy_forward(np.zeros((3, 2)), np.array([0, 1, 1]))
    >>> round(float(loss), 4)
    0.6931
    """
    N, C = logits.shape
    if labels.shape != (N,):
        raise ValueError(f"labels have shape {labels.shape}; expected ({N},), one per row of the logits {logits.shape}")
    if N and (labels.min() < 0 or labels.max() >= C):
        raise ValueError(f"labels run from {labels.min()} to {labels.max()}; {C} classes take 0 to {C - 1}")
    log_p = _log_softmax(logits)  # (N, C)
    loss = -log_p[np.arange(N), labels].sum() / N
    return loss, (log_p, labels)


def cross_entropy_backward(cache):
    r"""Gradient of the loss with respect to the logits; undoes :func:`cross_entropy_forward`.

    Parameters
    ----------
    cache : tuple
        From the forward pass.

    Returns
    -------
    dlogits : ndarray of shape (N, C)

    Notes
    -----
    .. math:: dy_{nj} = (p_{nj} - [j = k_n]) / N

    Derived in docs/derivations/softmax_cross_entropy.md: :eq:`cross-entropy-gradient`.

    Examples
    --------
    >>> loss, cache = cross_entropy_forward(np.zeros((1, 2)), np.array([1]))
    >>> cross_entropy_backward(cache)
    array([[ 0.5, -0.5]])
    """
    log_p, labels = cache
    N = len(labels)
    dlogits = np.exp(log_p)  # the softmax
    dlogits[np.arange(N), labels] -= 1
    return dlogits / N  # the loss is a mean over the batch


def _log_softmax(logits):
    # Subtracting the row's largest logit changes nothing but the range of exp; its real part, so that a complex step
    # along the logits stays where it is.
    shifted = logits - logits.real.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
