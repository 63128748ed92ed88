"""Dropout: during training, numbers are dropped at random, so that the network relies on none of them too much."""

import numpy as np

from numpy_setlstm.checks import array, checked, generator, number, or_none

__all__ = ["dropout_forward"]


@checked(x=array(), rng=generator)
def dropout_forward(x, rate, rng=None):
    r"""Set a random part of `x` to 0 and scale up the rest to preserve the expected value.

    Parameters
    ----------
    x : ndarray of any shape
    rate : float in [0, 1)
        Probability that a number is dropped.
    rng : numpy.random.Generator, optional
        None outside training: `x` is returned as it is.

    Returns
    -------
    y : ndarray of the shape of `x`
    keep : ndarray of the shape of `x`, or None
        The cache: 0 where a number was dropped, 1 / (1 - rate) elsewhere; None if nothing was.

    Notes
    -----
    :math:`y = x \odot m / (1 - p)` with :math:`m \sim \mathrm{Bernoulli}(1 - p)`. Source: N. Srivastava et al. (2014),
    "Dropout", in its inverted form, which needs no scaling for prediction.

    Examples
    --------
    >>> y, keep = dropout_forward(np.ones(8), 0.5, np.random.default_rng(0))
    >>> sorted(set(y.tolist()))
    [0.0, 2.0]
    """
    keep = dropout_mask(x.shape, rate, rng, np.result_type(x.real, np.float32))
    return (x, None) if keep is None else (x * keep, keep)


def dropout_mask(shape, rate, rng, dtype):
    """Draw the factors of :func:`dropout_forward`, of a real `dtype`; None if nothing is dropped."""
    rate = number("[0, 1)", "a probability of at least 0 and below 1")("dropout rate", rate)
    if rng is None or rate == 0:
        return None
    keep = (rng.random(shape, dtype=np.float32) >= rate).astype(dtype)
    keep *= 1 / (1 - rate)
    return keep


@checked(dy=array("same"), keep=or_none(array("same")))
def dropout_backward(dy, keep):
    """Gradient with respect to x, of the shape of `dy`; undoes :func:`dropout_forward`, whose cache is `keep`."""
    return dy if keep is None else dy * keep  # y = x * keep
