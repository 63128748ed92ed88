"""The pooling of :mod:`numpy_setlstm.layers.pooling`, made fast: step by step, so that no state has to be kept.

A pool is shown the states (H, N) of every step; after the last one it has the vector that the readout reads. The way
back goes from the last step to the first. The last state needs no pool.
"""

import numpy as np


def make_pool(pooling, mask, n_units, dtype, empty=np.empty):
    """The pool of texts with the mask (N, T), True for a word; None for "last"."""
    shape = (n_units, len(mask))
    return None if pooling == "last" else POOLS[pooling](mask, shape, dtype, empty)


class MeanPool:
    """The mean over the words, added up in shares."""

    def __init__(self, mask, shape, dtype, empty):
        share = mask / np.maximum(1, mask.sum(axis=1, keepdims=True))
        self.share = share.T.astype(np.finfo(dtype).dtype)  # (T, N)
        self.part = empty(shape, dtype)  # (H, N)
        self.pooled = empty(shape, dtype)  # (H, N)
        self.pooled[...] = 0

    def see(self, t, h):
        """Add the states after step t."""
        np.multiply(h, self.share[t], out=self.part)
        self.pooled += self.part

    def give_back(self, t, dpooled, dh):
        """Add the gradient of the states after step t to dh (H, N)."""
        dh += dpooled * self.share[t]


class MaxPool:
    """The largest state of each unit, and the step at which it is, -1 for a text without words."""

    def __init__(self, mask, shape, dtype, empty):
        self.words = mask.T  # (T, N)
        self.pooled = empty(shape, dtype)  # (H, N)
        self.pooled[...] = 0
        self.step = empty(shape, np.int32)  # (H, N)
        self.step[...] = -1

    def see(self, t, h):
        """Keep the states after step t that are larger than all before, or the first, or NaN, which has to show."""
        chosen = ((self.step < 0) | ~(h.real <= self.pooled.real)) & self.words[t]
        np.copyto(self.pooled, h, where=chosen)
        np.copyto(self.step, t, where=chosen)

    def give_back(self, t, dpooled, dh):
        """Add the gradient of the states after step t to dh (H, N)."""
        np.add(dh, dpooled, out=dh, where=self.step == t)


class AllStates:
    """No pooling: a language model reads the states of every step, (T, H, N)."""

    def __init__(self, mask, shape, dtype, empty):
        self.pooled = empty((mask.shape[1], *shape), dtype)

    def see(self, t, h):
        """Keep the states after step t."""
        self.pooled[t] = h

    def give_back(self, t, dpooled, dh):
        """Add the gradient of the states after step t to dh (H, N)."""
        dh += dpooled[t]


POOLS = {"mean": MeanPool, "max": MaxPool, "all": AllStates}
