"""Which texts share a minibatch, and what one gives."""

from typing import NamedTuple

import numpy as np

POOL_BATCHES = 32  # minibatches that are sorted by length together


def batch_order(lengths, batch_size, rng):
    """Draw the order (n_texts,) of the texts for one epoch; texts of similar length share a minibatch.

    A random permutation is cut into pools of several minibatches, each pool is sorted by length, and minibatches are
    shuffled: their composition remains random, and fewer steps are spent on padding.
    """
    order = rng.permutation(len(lengths))
    pools = np.split(order, np.arange(POOL_BATCHES * batch_size, len(order), POOL_BATCHES * batch_size))
    order = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
    in_full_batches = len(order) // batch_size * batch_size
    batches = rng.permutation(order[:in_full_batches].reshape(-1, batch_size))
    return np.concatenate([batches.ravel(), order[in_full_batches:]])


class Minibatch(NamedTuple):
    """What one minibatch gave."""

    loss: float  # mean, in nats
    gradients: dict
    count: int  # of what the loss is a mean over
    right: float  # how many were predicted right
    carried: dict  # for the next minibatch
