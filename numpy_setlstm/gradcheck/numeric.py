"""Derivatives measured from the loss alone: by a complex step or by finite differences."""

import traceback
import warnings
from math import comb

import numpy as np

from .tracer import users_frame

EPS = np.finfo(np.float64).eps


class NotComplexError(Exception):
    """The loss cannot take a complex step; the message names the line or operation responsible."""


def is_sparse(param):
    """Return whether a parameter is a sparse matrix: it has rows, cols, values and `with_values`."""
    return hasattr(param, "with_values")


def entries(param):
    """Return the numbers of a parameter: the array itself, or the stored values of a sparse matrix."""
    return param.values if is_sparse(param) else param


def with_entries(param, numbers):
    """Return the parameter with other numbers in the same places."""
    return param.with_values(numbers) if is_sparse(param) else numbers


class LossAt:
    """A loss near one point, `params`, which is copied in double precision.

    Every call passes `loss` a new dict, and a new array for the parameter that moves.
    """

    def __init__(self, loss, params):
        self.loss = loss
        self.params = {name: with_entries(p, np.array(entries(p), np.float64)) for name, p in params.items()}

    def __call__(self, name=None, step=0.0, wrap=None):
        """Return the loss with `step` added to the parameter `name`, and `wrap` applied to the sum."""
        params = dict(self.params)
        if name is not None:
            moved = entries(params[name]) + step
            params[name] = with_entries(params[name], wrap(moved) if wrap else moved)
        return self.loss(params)

    def perturbed_by_rounding(self, rng):
        """Return the same loss at parameters that differ in their last digits, those of numbers of at least 1."""
        moved = {}
        for name, param in self.params.items():
            numbers = entries(param)
            last_digit = EPS * np.maximum(1, np.abs(numbers))  # 1: small weights soon meet gates around 1
            moved[name] = with_entries(param, numbers + last_digit * rng.integers(-4, 5, numbers.shape))
        return LossAt(self.loss, moved)

    def along_random_ray(self, rng, step, n_steps):
        """Return the losses at 0, 1, ..., n_steps steps of this length in a random direction, (n_steps + 1,)."""
        directions = {name: rng.standard_normal(entries(p).shape) for name, p in self.params.items()}
        length = max(EPS, np.sqrt(sum(np.sum(direction**2) for direction in directions.values())))
        losses = []
        for k in range(n_steps + 1):
            move = k * step / length
            moved = {n: with_entries(p, entries(p) + move * directions[n]) for n, p in self.params.items()}
            losses.append(float(self.loss(moved)))
        return np.array(losses)


def noise(losses, order=5):
    """Return the standard deviation of the irregular part of equally spaced values of a function.

    Source: J. Moré and S. Wild (2011), "Estimating Computational Noise"; there with a mean.
    """
    # Differences of order k remove the polynomial part of a smooth function and multiply the variance of the noise
    # by (2k)! / (k!)². Their median ignores a kink, which affects only k of them.
    typical = np.median(np.abs(np.diff(losses, order)))
    return float(typical / 0.6745 / np.sqrt(comb(2 * order, order)))  # 0.6745: the median of |normal numbers|


def complex_slope(loss_at, name, direction, step=1e-20):
    """Return the slope of the loss along a direction v by a complex step: Im L(θ + i s v) / s, exact up to O(s²).

    Nothing is subtracted, so nothing cancels, and s can be so small that only rounding is left.
    Source: W. Squire and G. Trapp (1998), "Using Complex Variables to Estimate Derivatives of Real Functions".
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
    """Return the forward difference, (L(θ + s v) - L(θ)) / s + O(s): used only to show how inaccurate it is."""
    return (float(loss_at(name, step * direction)) - float(loss_at())) / step


def central_slope(loss_at, name, direction, step=1e-5):
    """Return the central difference, (L(θ + s v) - L(θ - s v)) / 2s + O(s²).

    A large step leaves the tangent, a small one loses digits to cancellation.
    """
    return (float(loss_at(name, step * direction)) - float(loss_at(name, -step * direction))) / (2 * step)


def extrapolated_slope(loss_at, name, direction, step=1e-5):
    """Return the central difference without its largest error term (Richardson's extrapolation)."""
    coarse = central_slope(loss_at, name, direction, step)
    fine = central_slope(loss_at, name, direction, step / 2)
    return (4 * fine - coarse) / 3


def describe_failure(error):
    """Return one line that says where the user's code failed, and how."""
    frame = users_frame(traceback.extract_tb(error.__traceback__))
    return f"{frame}: {type(error).__name__}: {error}" if frame else f"{type(error).__name__}: {error}"
