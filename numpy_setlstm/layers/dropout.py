"""Dropout: during training, numbers are left out at random, so that none is relied on too much."""

import numpy as np


def dropout_forward(x, rate, rng=None):
    r"""Set a random part of `x` to 0 and scale the rest up, so that the expected value stays.

    Parameters
    ----------
    x : ndarray of any shape
    rate : float in [0, 1)
        Probability with which a number is left out.
    rng : numpy.random.Generator, optional
        None outside training: then `x` is returned as it is.

    Returns
    -------
    y : ndarray of the shape of `x`
    keep : ndarray of the shape of `x`, or None
        The cache: 0 where a number was left out, 1 / (1 - rate) elsewhere; None if nothing was.

    Raises
    ------
    ValueError
        If `rate` is outside [0, 1).

    Notes
    -----
    .. math:: y = x \odot m / (1 - p), \qquad m \sim \mathrm{Bernoulli}(1 - p)

    Source: N. Srivastava et al. (2014), "Dropout", in its inverted form, which needs no scaling when predicting.

    Examples
    --------
    >>> y, keep = dropout_forward(np.ones(8), 0.5, np.random.default_rng(0))
    >>> sorted(set(y.tolist()))
    [0.0, 2.0]
    """
    keep = dropout_mask(x.shape, rate, rng, x.real.dtype)
    return (x, None) if keep is None else (x * keep, keep)


def dropout_mask(shape, rate, rng, dtype):
    """Draw what :func:`dropout_forward` multiplies by.

    Parameters
    ----------
    shape : tuple of int
    rate : float in [0, 1)
    rng : numpy.random.Generator or None
    dtype : dtype
        A real one.

    Returns
    -------
    ndarray of shape `shape`, or None
        0 where a number is left out, 1 / (1 - rate) elsewhere; None if nothing is.

    Raises
    ------
    ValueError
        If `rate` is outside its range.

    Examples
    --------
    >>> sorted(set(dropout_mask((8,), 0.5, np.random.default_rng(0), np.float32).tolist()))
    [0.0, 2.0]
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout rate is {rate}; expected a probability of at least 0 and below 1")
    if rng is None or rate == 0:
        return None
    keep = (rng.random(shape, dtype=np.float32) >= rate).astype(dtype)
    keep *= 1 / (1 - rate)
    return keep


def dropout_backward(dy, keep):
    """Gradient with respect to x; undoes :func:`dropout_forward`.

    Parameters
    ----------
    dy : ndarray of any shape
        Gradient of the loss with respect to the output.
    keep : ndarray of the shape of `dy`, or None
        The cache of the forward pass.

    Returns
    -------
    ndarray of the shape of `dy`

    Examples
    --------
    >>> dropout_backward(np.ones(3), np.array([2.0, 0.0, 2.0]))
    array([2., 0., 2.])
    """
    return dy if keep is None else dy * keep  # y = x * keep
