"""Readout, a small dense layer: from a hidden state to class probabilities, and the loss to minimize."""

from typing import NamedTuple

import numpy as np

from numpy_setlstm.checks import array, cache, checked

__all__ = ["cross_entropy_forward"]


class LinearCache(NamedTuple):
    """What :func:`linear_backward` needs: h (N, H), W (H, C)."""

    h: np.ndarray
    W: np.ndarray


class CrossEntropyCache(NamedTuple):
    """What :func:`cross_entropy_backward` needs: logarithms of the probabilities (N, C), labels (N,), weights (N,)."""

    log_p: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


@checked(h=array("N H"), W=array("rows C"), b=array("classes"), finite=False)
def linear_forward(h, W, b):
    """Logits of the classes, (N, C), and the cache, for h (N, H), W (H, C) and b (C,): :math:`y = h W + b`."""
    if h.shape[1] != W.shape[0] or b.shape != W.shape[1:]:
        raise ValueError(f"h {h.shape}, W {W.shape} and b {b.shape} do not fit; expected (N, H), (H, C) and (C,)")
    return h @ W + b, LinearCache(h, W)


@checked(cache=cache(LinearCache, "linear_forward"), dlogits=array(), finite=False)
def linear_backward(dlogits, cache):
    """Gradients dh (N, H), dW (H, C) and db (C,) from dlogits (N, C): :eq:`readout-backward`."""
    h, W = cache
    if dlogits.shape != (len(h), W.shape[1]):
        raise ValueError(f"dlogits has shape {dlogits.shape}; expected that of the logits, {(len(h), W.shape[1])}")
    return dlogits @ W.T, h.T @ dlogits, dlogits.sum(axis=0)  # logits = h @ W + b


@checked(logits=array("N C"), finite=False)
def softmax(logits):
    """Probabilities (N, C) of the classes, in [0, 1]; rows sum to 1. Logits may have any size."""
    return np.exp(_log_softmax(logits))


@checked(logits=array("N C"), labels=array(kinds="iu"), weights=array(kinds="biuf"), finite=False)
def cross_entropy_forward(logits, labels, weights=None):
    r"""Mean cross-entropy of the softmax of the logits, each row times its weight.

    Parameters
    ----------
    logits : ndarray of shape (N, C)
    labels : ndarray of shape (N,), int
        The true class of each row, from 0 to C - 1.
    weights : ndarray of shape (N,), optional
        How much each row counts, at least 0; 1 by default. The sum is divided by N, not by the sum of the weights: so
        the gradient of a minibatch, whatever rows it has, is on average that of all rows.

    Returns
    -------
    loss : scalar
        In nats; log(C) for equal probabilities and no weights.
    cache : CrossEntropyCache

    Raises
    ------
    ValueError
        If there is not one label and one weight per row, a label lies outside 0 to C - 1, or a weight is below 0.

    Notes
    -----
    .. math:: L = -\frac{1}{N} \sum_n w_n \log \frac{e^{y_{n, k_n}}}{\sum_j e^{y_{nj}}}

    Equations :eq:`log-softmax` and :eq:`cross-entropy` in docs/derivations/softmax_cross_entropy.md. Source: J. Bridle
    (1990), "Probabilistic Interpretation of Feedforward Classification Network Outputs".

    Examples
    --------
    >>> loss, cache = cross_entropy_forward(np.zeros((3, 2)), np.array([0, 1, 1]))
    >>> round(float(loss), 4)
    0.6931
    >>> loss, cache = cross_entropy_forward(np.zeros((3, 2)), np.array([0, 1, 1]), weights=np.array([2.0, 0.5, 0.5]))
    >>> round(float(loss), 4)
    0.6931
    """
    N, C = logits.shape
    if labels.shape != (N,):
        raise ValueError(f"labels have shape {labels.shape}; expected ({N},), one per row of the logits {logits.shape}")
    if N == 0:
        raise ValueError(
            f"logits have shape {logits.shape}; expected at least one row, as the loss is a mean over rows"
        )
    if labels.min() < 0 or labels.max() >= C:
        raise ValueError(f"labels range from {labels.min()} to {labels.max()}; {C} classes are numbered 0 to {C - 1}")
    log_p = _log_softmax(logits)  # (N, C)
    weights = _check_weights(weights, N).astype(log_p.real.dtype)
    loss = -(weights * log_p[np.arange(N), labels]).sum() / N
    return loss, CrossEntropyCache(log_p, labels, weights)


@checked(cache=cache(CrossEntropyCache, "cross_entropy_forward"), finite=False)
def cross_entropy_backward(cache):
    """Gradient of the loss with respect to the logits, ndarray of shape (N, C); undoes :func:`cross_entropy_forward`.

    It is :math:`w_n (p_{nj} - [j = k_n]) / N`: :eq:`cross-entropy-gradient` in
    docs/derivations/softmax_cross_entropy.md.
    """
    log_p, labels, weights = cache
    N = len(labels)
    dlogits = np.exp(log_p)  # the softmax
    dlogits[np.arange(N), labels] -= 1
    return weights[:, None] * dlogits / N  # the loss is a mean over the batch


def _check_weights(weights, N):
    weights = np.ones(N) if weights is None else weights
    if weights.shape != (N,):
        raise ValueError(f"weights have shape {weights.shape}; expected ({N},), one per row of the logits")
    bad = weights[~(np.isfinite(weights) & (weights >= 0))]
    if len(bad):
        raise ValueError(f"{len(bad)} weights are no weights, the first is {bad[0]}; expected finite numbers from 0 on")
    return weights


def _log_softmax(logits):
    if not logits.shape[1]:
        raise ValueError(f"logits have shape {logits.shape}; expected at least one class")
    # Subtracting the largest logit of a row only limits the range of exp. Its real part, so that a complex step along
    # the logits is not subtracted as well.
    shifted = logits - logits.real.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
