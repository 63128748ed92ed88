r"""The readout of every step and its softmax, by blocks of rows.

A language model of V words has V logits at each of N · T places. For V = 20,000 and 32 texts of 50 steps these are 32
million numbers, and several arrays of that size would be needed. But no row needs another one: so only
:data:`MOST_CELLS` logits exist at a time, and the way back computes those of a block once more.

.. math:: y = h W_{out} + b_{out} \qquad \log p_m = y_{m k_m} - \log \sum_j e^{y_{mj}}

Derived in docs/language.md: :eq:`language-loss`, :eq:`language-dlogits`.
"""

from typing import NamedTuple

import numpy as np

from numpy_setlstm.layers.readout import _log_softmax
from numpy_setlstm.sparse import SparseMatrix, weight_gradient

MOST_CELLS = 2**22  # logits that exist at once, rows times words: 16 MiB in single precision


class LogProbCache(NamedTuple):
    """What :func:`log_prob_backward` needs: h (M, H), the readout, the targets (M,), the blocks and how it is used."""

    h: np.ndarray
    W: SparseMatrix | np.ndarray
    b: np.ndarray
    targets: np.ndarray
    blocks: list
    tied: bool


def log_prob_forward(h, W, b, targets, tied=False):
    """Logarithms of the probabilities of the targets, and which of them are the most probable.

    h is (M, H), W (H, V), or the embedding (V, H) if `tied`, b (V,), targets (M,), from 0 to V - 1. Returns log_p (M,),
    right (M,) bool, and the cache.
    """
    blocks = blocks_of(len(h), len(b))
    log_p, right = [], []
    for rows in blocks:
        logits = _logits(h[rows], W, b, tied)  # (m, V)
        log_p.append(_log_softmax(logits)[np.arange(len(logits)), targets[rows]])
        right.append(logits.real.argmax(axis=1) == targets[rows])
    return np.concatenate(log_p), np.concatenate(right), LogProbCache(h, W, b, targets, blocks, tied)


def log_prob_backward(dlog_p, cache):
    """Gradients dh (M, H), dW, of the shape of the weights, and db (V,), from dlog_p (M,)."""
    h, W, b, targets, blocks, tied = cache
    dh, dW, db = np.empty(h.shape, np.result_type(h, dlog_p)), 0, 0
    for rows in blocks:
        p = np.exp(_log_softmax(_logits(h[rows], W, b, tied)))  # (m, V), once more
        dlogits = -dlog_p[rows, None] * p  # log_p = y_k - log sum_j exp(y_j)
        dlogits[np.arange(len(p)), targets[rows]] += dlog_p[rows]
        dh[rows] = dlogits @ (W if tied else W.T)  # logits = h @ W + b
        dW = dW + (weight_gradient(dlogits, h[rows], W) if tied else weight_gradient(h[rows], dlogits, W))
        db = db + dlogits.sum(axis=0)
    return dh, dW, db


def blocks_of(n_rows, n_words):
    """Slices of the rows, such that each has at most :data:`MOST_CELLS` logits, or one row.

    >>> blocks_of(500, 20_000)
    [slice(0, 209, None), slice(209, 418, None), slice(418, 500, None)]
    """
    at_once = max(1, MOST_CELLS // n_words)
    return [slice(first, min(first + at_once, n_rows)) for first in range(0, n_rows, at_once)]


def _logits(h, W, b, tied):
    return h @ (W.T if tied else W) + b
