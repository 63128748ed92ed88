r"""What the readout reads of a text: the last hidden state, or the mean or the maximum of the states of its words.

Each is a sum of the states, :math:`p = \sum_t s_t \odot h_t`, with the *shares* s: 1 for the last step, 1/n for each of
n words, or 1 for the step at which a unit is largest. The gradient comes back in the same shares. Padding has none, and
a text of padding only has the initial state, 0.

Derived in docs/derivations/pooling.md: :eq:`pool-sum` to :eq:`pool-backward`.
"""

import numpy as np

from numpy_setlstm.checks import array, checked, choice

POOLINGS = ("last", "mean", "max")


@checked(h=array("N T H"), mask=array("N T", kinds="b"), pooling=choice(POOLINGS), finite=False)
def pool_forward(h, mask, pooling):
    """One vector per text, (N, H), of its states h (N, T, H) at the words, where mask (N, T) is True; and the shares.

    >>> h = np.array([[[0.0, 0.0], [0.25, -0.5], [0.75, -0.5]]])
    >>> mask = np.array([[False, True, True]])
    >>> {pooling: pool_forward(h, mask, pooling)[0].tolist() for pooling in POOLINGS}
    {'last': [[0.75, -0.5]], 'mean': [[0.5, -0.5]], 'max': [[0.75, -0.5]]}
    """
    if pooling == "last":
        share = np.zeros((*mask.shape, 1))
        share[:, -1] = 1  # whatever is there: padding keeps the state after the last word
    elif pooling == "mean":
        share = (mask / np.maximum(1, mask.sum(axis=1, keepdims=True)))[..., None]  # (N, T, 1)
    else:
        first = np.where(mask[..., None], h.real, -np.inf).argmax(axis=1)  # (N, H)  of equal ones the first
        share = (np.arange(h.shape[1])[:, None] == first[:, None]) & mask[..., None]  # (N, T, H)
    share = share.astype(h.real.dtype)
    return (share * h).sum(axis=1), share


@checked(dpooled=array("N H"), share=array("N T ones"), finite=False)
def pool_backward(dpooled, share):
    """Gradient of the states, (N, T, H), from dpooled (N, H); undoes :func:`pool_forward`: :eq:`pool-backward`."""
    return share * dpooled[:, None]  # pooled = sum of share * h over the steps
