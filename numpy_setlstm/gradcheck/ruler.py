"""Measuring with a known uncertainty: slopes, a second opinion on them, kinks, trust in the complex step."""

import numpy as np

from .numeric import EPS, NotComplexError, central_slope, complex_slope, entries, extrapolated_slope, noise
from .tracer import where_lost

BRACKET_STEP = 1e-6  # of one-sided slopes: coarse, but nothing in the loss can deceive them


class Ruler:
    """Measures slopes of a loss at one point.

    Parameters
    ----------
    loss_at : LossAt
    value : float
        The loss there.
    method : {"complex", "central"}
    complex_step, fd_step : float

    Attributes
    ----------
    rounding : float
        By how much rounding alone changes the loss, measured twice: the same point, written with other last
        digits, gives another loss; and along a ray it is no smooth curve, but irregular, or a staircase where
        something like 1 - p has lost its digits.
    resolution : float
        Slopes that differ by less than this cannot be told apart at a first look.
    """

    def __init__(self, loss_at, value, method, complex_step=1e-20, fd_step=1e-5):
        self.loss_at, self.value, self.method = loss_at, value, method
        self.complex_step, self.fd_step = complex_step, fd_step
        self.rng = np.random.default_rng(0)  # the same check twice gives the same report
        self.nearby = [loss_at.a_rounding_away(self.rng) for _ in range(4)]
        tiny = np.finfo(np.float64).tiny
        irregular = noise(loss_at.along_a_ray(self.rng, fd_step, n_steps=30))
        self.rounding = max(tiny, EPS * abs(value), 3 * irregular, *(abs(near() - value) for near in self.nearby))
        # The extrapolated slope, (4 fine - coarse) / 3, has up to three times the rounding; times four.
        self.resolution = 12 * self.rounding / fd_step if method == "central" else 0.0

    def slope(self, name, direction):
        """Return the slope along a direction."""
        if self.method == "complex":
            return complex_slope(self.loss_at, name, direction, self.complex_step)
        return central_slope(self.loss_at, name, direction, self.fd_step)

    def second_opinion(self, name, direction):
        """Measure a slope more carefully.

        Returns
        -------
        slope : float
        uncertainty : float
            Differences up to this much are rounding, not a wrong gradient.
        """
        if self.method == "central":
            return extrapolated_slope(self.loss_at, name, direction, self.fd_step), self.resolution
        slope = self.slope(name, direction)
        nearby = [complex_slope(near, name, direction, self.complex_step) for near in self.nearby]
        return slope, 16 * max(abs(near - slope) for near in nearby)

    def one_sided(self, name, direction, step=BRACKET_STEP):
        """Return the slopes to the left and to the right, which differ at a kink such as ReLU's at 0."""
        left = (self.value - float(self.loss_at(name, -step * direction))) / step
        right = (float(self.loss_at(name, step * direction)) - self.value) / step
        return left, right

    def allows_at_kink(self, name, direction, analytic, scale):
        """Tell whether the loss has a kink here and `analytic` is one of the slopes that it allows."""
        jumps = [right - left for left, right in (self.one_sided(name, direction, s) for s in (1e-5, 1e-6))]
        if abs(jumps[0] - 10 * jumps[1]) < 0.05 * abs(jumps[0]) + 100 * self.rounding / 1e-6:
            return False  # a smooth loss: the two slopes approach each other in proportion to the step
        left, right = self.one_sided(name, direction, 1e-7)
        slack = 1e-6 * scale + 10 * self.rounding / 1e-7
        return min(left, right) - slack <= analytic <= max(left, right) + slack

    def require_trust(self, name):
        """Raise a NotComplexError where the complex step disagrees with plain differences.

        Code that takes the real part, the absolute value or the conjugate on its way runs without complaint,
        and its complex derivative is wrong. One random direction tells: no two slopes agree in it by chance.
        """
        direction = self.rng.standard_normal(entries(self.loss_at.params[name]).shape)
        direction /= max(np.linalg.norm(direction), EPS)
        slope = self.slope(name, direction)
        left, right = self.one_sided(name, direction)
        slack = 1e-4 * max(abs(left), abs(right), abs(slope)) + 10 * self.rounding / BRACKET_STEP
        if not min(left, right) - slack <= slope <= max(left, right) + slack:
            self.distrust(name, slope, (left + right) / 2)

    def confirm(self, name, direction, analytic, slope, scale):
        """Raise a NotComplexError if plain differences side with `analytic` against the complex slope."""
        if self.method == "complex":
            plain = extrapolated_slope(self.loss_at, name, direction, self.fd_step)
            doubt = 1e-6 * scale + 12 * self.rounding / self.fd_step
            if abs(plain - slope) > doubt and abs(plain - analytic) < 0.1 * abs(plain - slope):
                self.distrust(name, slope, plain)

    def distrust(self, name, slope, plain):
        """Raise the NotComplexError, with the operation that loses the imaginary part if it can be found."""
        raise NotComplexError(
            f"{where_lost(self.loss_at, name)} (the slope along {name!r} is {slope:.6g} by the complex step, "
            f"{plain:.6g} by plain differences)"
        )
