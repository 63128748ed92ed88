"""Derivatives measured from the loss alone: by a complex step or by finite differences."""

import traceback
import warnings
from math import comb
from pathlib import Path

import numpy as np

from .lifted import lift_floats, lifting, lower

EPS = np.finfo(np.float64).eps
OURS, NUMPYS = Path(__file__).parent, Path(np.__file__).parent


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


def in_double(params):
    """Return copies in double precision."""
    return {name: with_entries(p, np.array(entries(p), np.float64)) for name, p in params.items()}


class LossAt:
    """A loss near one point, `params`, which is copied in double precision.

    Every call passes `loss` a new dict, and a new array for the parameter that moves, or new ones for all parameters
    if the loss changed those in `changed` in place.
    """

    def __init__(self, loss, params):
        self.loss = loss
        self.params, given = in_double(params), in_double(params)
        self.base = loss(given)  # the loss at the point itself
        self.varying = np.zeros(np.shape(self.base), bool)  # which terms a random ray was seen to change
        self.changed = [
            name
            for name, p in self.params.items()
            if not np.array_equal(entries(given[name]), entries(p), equal_nan=True)
        ]

    def __call__(self, name=None, step=0.0):
        """Return the loss, or the terms of which it is the sum, with `step` added to the parameter `name`."""
        params = in_double(self.params) if self.changed else dict(self.params)
        if name is not None:
            params[name] = with_entries(params[name], entries(params[name]) + step)
        return self.loss(params)

    def lifted(self, name=None, step=0.0):
        """Return the same by arrays that hide their imaginary part, and the float types that the loss asked for."""
        params = {n: with_entries(p, lift_floats(entries(p))) for n, p in self.params.items()}
        if name is not None:
            params[name] = with_entries(params[name], entries(params[name]) + step)
        with lifting() as notes:
            terms = lower(self.loss(params))
        return terms, notes

    def change(self, name, from_step=None, to_step=None):
        """Return how the loss changes between two steps (None: no step); terms that stay leave no rounding."""
        start, end = (self.base if step is None else self(name, step) for step in (from_step, to_step))
        return float(np.sum(np.asarray(end) - np.asarray(start)))

    def perturbed_by_rounding(self, rng):
        """Return the same loss at parameters that differ in their last digits, those of numbers of at least 1."""
        moved = {}
        for name, param in self.params.items():
            numbers = entries(param)
            last_digit = EPS * np.maximum(1, np.abs(numbers))  # 1: small weights soon meet gates around 1
            moved[name] = with_entries(param, numbers + last_digit * rng.integers(-4, 5, numbers.shape))
        return LossAt(self.loss, moved)

    def along_random_ray(self, rng, step, n_steps):
        """Return how the loss changes after 0, 1, ..., n_steps steps in a random direction, (n_steps + 1,)."""
        directions = {name: rng.standard_normal(entries(p).shape) for name, p in self.params.items()}
        length = max(EPS, np.sqrt(sum(np.sum(direction**2) for direction in directions.values())))
        start, losses = np.asarray(self.base), [0.0]
        for k in range(1, n_steps + 1):
            move = k * step / length
            moved = {n: with_entries(p, entries(p) + move * directions[n]) for n, p in self.params.items()}
            change = np.asarray(self.loss(moved)) - start
            losses.append(float(np.sum(change)))
        self.varying = self.varying | (change != 0)
        return np.array(losses)


def noise(losses, order=5):
    """Return the standard deviation of the irregular part of equally spaced values of a function.

    Source: J. Moré and S. Wild (2011), "Estimating Computational Noise"; there with a mean.
    """
    # Differences of order k remove the polynomial part of a smooth function and multiply the variance of the noise
    # by (2k)! / (k!)². Their median ignores a kink, which affects only k of them.
    typical = np.median(np.abs(np.diff(losses, order)))
    return float(typical / 0.6745 / np.sqrt(comb(2 * order, order)))  # 0.6745: the median of |normal numbers|


def complex_slope(loss_at, name, direction, step=1e-20, lifted=False):
    """Return the slope of the loss along a direction v by a complex step: Im L(θ + i s v) / s, exact up to O(s²).

    Nothing is subtracted, so nothing cancels, and s can be so small that only rounding is left. `lifted` hides the
    imaginary part from the code. Source: W. Squire and G. Trapp (1998), "Using Complex Variables to Estimate
    Derivatives of Real Functions".
    """
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            move = 1j * step * direction
            value = np.sum(loss_at.lifted(name, move)[0] if lifted else loss_at(name, move))
    except Exception as error:
        raise NotComplexError(describe_failure(error)) from error
    slope = float(np.imag(value)) / step
    if not np.isfinite(slope):
        raise NotComplexError("with complex numbers the loss is infinite or NaN (an exp that overflows?)")
    return slope


def forward_slope(loss_at, name, direction, step=1e-8):
    """Return the forward difference, (L(θ + s v) - L(θ)) / s + O(s): used only to show how inaccurate it is."""
    return loss_at.change(name, None, step * direction) / step


def central_slope(loss_at, name, direction, step=1e-5):
    """Return the central difference, (L(θ + s v) - L(θ - s v)) / 2s + O(s²).

    A large step leaves the tangent, a small one loses digits to cancellation.
    """
    return loss_at.change(name, -step * direction, step * direction) / (2 * step)


def extrapolated_slope(loss_at, name, direction, rounding, step=1e-5, target=0.0, levels=15):
    """Return the slope by central differences with steps from 1000 `step` down, extrapolated to 0, and its error.

    `rounding` is that of the loss. It stops where the error is at most `target`, unless the smallest step disagrees,
    because of a kink within the larger ones; then smaller steps count more than larger ones.
    Source: C. Ridders (1982), "Accurate computation of F'(x) and F'(x)F''(x)".
    """
    length = max(1.0, float(np.max(np.abs(direction), initial=0.0)))
    smallest = central_slope(loss_at, name, direction, step / length)
    slack = 4 * rounding * length / step
    best, error, row = smallest, np.inf, []
    for level in range(levels):
        h = min(1000 * step, 0.3) / 2**level
        previous, row = row, [central_slope(loss_at, name, direction, h / length)]
        for k, coarse in enumerate(previous):
            row.append((4 ** (k + 1) * row[k] - coarse) / (4 ** (k + 1) - 1))
            doubt = 4 * max(abs(row[k + 1] - row[k]), abs(row[k + 1] - coarse)) + 4 * rounding * length / h
            if doubt < error or abs(row[k + 1] - best) > doubt + error:
                best, error = row[k + 1], doubt
        if error <= target and abs(best - smallest) <= slack + 1e-6 * abs(best):
            break
    return best, error


def describe_failure(error):
    """Return one line that says where the user's code failed, and how."""
    frame = users_frame(traceback.extract_tb(error.__traceback__))
    return f"{frame}: {type(error).__name__}: {error}" if frame else f"{type(error).__name__}: {error}"


def users_frame(frames):
    """Describe the deepest frame that belongs neither to NumPy nor to this package, or return ''."""
    for frame in reversed(frames):
        path = Path(frame.filename)
        if not {OURS, NUMPYS} & set(path.parents):
            code = f", `{frame.line}`" if frame.line else ""
            return f"line {frame.lineno} of {path.name}{code}"
    return ""
