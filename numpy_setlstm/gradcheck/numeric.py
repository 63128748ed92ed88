"""Derivatives measured from the loss alone: by a complex step or by a central difference."""

import traceback
import warnings
from math import comb

import numpy as np

from .tracer import users_frame

EPS = np.finfo(np.float64).eps


class NotComplexError(Exception):
    """The loss cannot take a complex step; the message says which line or operation is the reason."""


def is_sparse(param):
    """Tell whether a parameter stores its connections only: it has rows, cols, values and `with_values`."""
    return hasattr(param, "with_values")


def entries(param):
    """Return the numbers of a parameter: the array itself, or the stored values of a sparse matrix."""
    return param.values if is_sparse(param) else param


def with_entries(param, numbers):
    """Return the parameter with other numbers in the same places."""
    return param.with_values(numbers) if is_sparse(param) else numbers


class LossAt:
    """A loss at one point: call it with a direction to step away from there.

    Parameters
    ----------
    loss : callable
        Takes a dict of parameters, returns one number.
    params : dict of str to ndarray or sparse matrix
        The point. It is copied, in double precision.

    Notes
    -----
    Every call hands `loss` a new dict and a new array for the parameter that moves.
    """

    def __init__(self, loss, params):
        self.loss = loss
        self.params = {name: with_entries(p, np.array(entries(p), np.float64)) for name, p in params.items()}

    def __call__(self, name=None, step=0.0, wrap=None):
        """Return the loss with `step` added to the parameter `name`, and `wrap` applied to it."""
        params = dict(self.params)
        if name is not None:
            moved = entries(params[name]) + step
            params[name] = with_entries(params[name], wrap(moved) if wrap else moved)
        return self.loss(params)

    def a_rounding_away(self, rng):
        """Return the same loss at parameters that differ by rounding, that of numbers from 1 upwards."""
        moved = {}
        for name, param in self.params.items():
            numbers = entries(param)
            last_digit = EPS * np.maximum(1, np.abs(numbers))  # 1: small weights soon meet gates around 1
            moved[name] = with_entries(param, numbers + last_digit * rng.integers(-4, 5, numbers.shape))
        return LossAt(self.loss, moved)

    def along_a_ray(self, rng, step, n_steps):
        """Return the loss here and at each of `n_steps` steps of that length in one random direction."""
        directions = {name: rng.standard_normal(entries(p).shape) for name, p in self.params.items()}
        length = max(EPS, np.sqrt(sum(np.sum(direction**2) for direction in directions.values())))
        losses = []
        for k in range(n_steps + 1):
            move = k * step / length
            moved = {n: with_entries(p, entries(p) + move * directions[n]) for n, p in self.params.items()}
            losses.append(float(self.loss(moved)))
        return np.array(losses)


def noise(losses, order=5):
    r"""Standard deviation of what is irregular in equally spaced values of a function.

    Notes
    -----
    Differences of differences wipe out a smooth function's polynomial part and leave its noise, whose variance
    they multiply by :math:`(2k)! / (k!)^2` for the order k. Their median does not see a kink, which only k of
    them meet.

    Source: J. Moré and S. Wild (2011), "Estimating Computational Noise"; there with a mean.

    Examples
    --------
    >>> line = np.linspace(-1, 1, 300)
    >>> noise(line**2 + np.abs(line)) < 1e-15
    True
    >>> bool(0.8 < noise(line**2 + np.random.default_rng(0).normal(size=300)) < 1.2)
    True
    """
    typical = np.median(np.abs(np.diff(losses, order)))
    return float(typical / 0.6745 / np.sqrt(comb(2 * order, order)))  # 0.6745: the median of |normal numbers|


def complex_slope(loss_at, name, direction, step=1e-20):
    r"""Slope of the loss along a direction, by a complex step.

    Parameters
    ----------
    loss_at : LossAt
    name : str
        The parameter that moves.
    direction : ndarray
        Of the shape of the parameter's entries.
    step : float
        Small enough that its square vanishes beside 1.

    Returns
    -------
    float

    Raises
    ------
    NotComplexError
        If the loss fails with complex numbers, or its imaginary part is not finite.

    Notes
    -----
    .. math:: \frac{\partial L}{\partial v} = \frac{\operatorname{Im} L(\theta + i s v)}{s} + O(s^2)

    Nothing is subtracted, so nothing cancels: the step can be so small that only rounding is left.

    Source: W. Squire and G. Trapp (1998), "Using Complex Variables to Estimate Derivatives of Real
    Functions".
    """
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            value = loss_at(name, 1j * step * direction)
    except Exception as error:
        raise NotComplexError(describe_failure(error)) from error
    slope = float(np.imag(value)) / step
    if not np.isfinite(slope):
        raise NotComplexError("with complex numbers the loss is infinite or NaN (an exp that overflows?)")
    return slope


def forward_slope(loss_at, name, direction, step=1e-8):
    r"""Slope of the loss along a direction, by a forward difference: for the picture of why nobody should use it.

    Notes
    -----
    .. math:: \frac{\partial L}{\partial v} = \frac{L(\theta + s v) - L(\theta)}{s} + O(s)
    """
    return (float(loss_at(name, step * direction)) - float(loss_at())) / step


def central_slope(loss_at, name, direction, step=1e-5):
    r"""Slope of the loss along a direction, by a central difference.

    Notes
    -----
    .. math:: \frac{\partial L}{\partial v} = \frac{L(\theta + s v) - L(\theta - s v)}{2 s} + O(s^2)

    A large step bends away from the tangent, a small one loses digits to cancellation.
    """
    return (float(loss_at(name, step * direction)) - float(loss_at(name, -step * direction))) / (2 * step)


def extrapolated_slope(loss_at, name, direction, step=1e-5):
    """Return the central difference without its largest error term (Richardson's extrapolation)."""
    coarse = central_slope(loss_at, name, direction, step)
    fine = central_slope(loss_at, name, direction, step / 2)
    return (4 * fine - coarse) / 3


def describe_failure(error):
    """Say in one line where somebody's code failed, and how."""
    frame = users_frame(traceback.extract_tb(error.__traceback__))
    return f"{frame}: {type(error).__name__}: {error}" if frame else f"{type(error).__name__}: {error}"
