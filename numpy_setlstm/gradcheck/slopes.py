"""Slopes measured with a known uncertainty: remeasurement, kinks, and doubts about the complex step."""

import numpy as np

from .numeric import EPS, NotComplexError, central_slope, complex_slope, entries, extrapolated_slope, noise
from .tracer import where_lost

ONE_SIDED_STEP = 1e-6  # coarse, but one-sided slopes work for any loss


class SlopeMeter:
    """Measures slopes of a loss at one point, where it has the given value.

    `rounding` is how much rounding alone changes the loss, estimated in two ways: by moving the point in its last
    digits, and by the irregularity of the loss along a ray. (There it may be a staircase, where a term such as
    1 - p has lost its digits.) Slopes that differ by less than `resolution` are at first taken as equal.
    """

    def __init__(self, loss_at, value, method, complex_step=1e-20, fd_step=1e-5):
        self.loss_at, self.value, self.method = loss_at, value, method
        self.complex_step, self.fd_step = complex_step, fd_step
        self.rng = np.random.default_rng(0)  # repeating a check gives the same report
        self.nearby = [loss_at.perturbed_by_rounding(self.rng) for _ in range(4)]
        tiny = np.finfo(np.float64).tiny
        irregular = noise(loss_at.along_random_ray(self.rng, fd_step, n_steps=30))
        self.rounding = max(tiny, EPS * abs(value), 3 * irregular, *(abs(near() - value) for near in self.nearby))
        # The extrapolated slope, (4 fine - coarse) / 3, has up to three times the rounding; times four.
        self.resolution = 12 * self.rounding / fd_step if method == "central" else 0.0

    def slope(self, name, direction):
        """Return the slope along a direction."""
        if self.method == "complex":
            return complex_slope(self.loss_at, name, direction, self.complex_step)
        return central_slope(self.loss_at, name, direction, self.fd_step)

    def careful_slope(self, name, direction):
        """Return a slope measured more carefully, and its uncertainty: smaller differences are only rounding."""
        if self.method == "central":
            return extrapolated_slope(self.loss_at, name, direction, self.fd_step), self.resolution
        slope = self.slope(name, direction)
        nearby = [complex_slope(near, name, direction, self.complex_step) for near in self.nearby]
        return slope, 16 * max(abs(near - slope) for near in nearby)

    def one_sided(self, name, direction, step=ONE_SIDED_STEP):
        """Return the slopes to the left and to the right, which differ at a kink such as ReLU's at 0."""
        left = (self.value - float(self.loss_at(name, -step * direction))) / step
        right = (float(self.loss_at(name, step * direction)) - self.value) / step
        return left, right

    def allows_at_kink(self, name, direction, analytic, scale):
        """Return whether the loss has a kink here and `analytic` is one of the slopes that it allows."""
        jumps = [right - left for left, right in (self.one_sided(name, direction, s) for s in (1e-5, 1e-6))]
        if abs(jumps[0] - 10 * jumps[1]) < 0.05 * abs(jumps[0]) + 100 * self.rounding / 1e-6:
            return False  # a smooth loss: the difference of the two slopes shrinks in proportion to the step
        left, right = self.one_sided(name, direction, 1e-7)
        slack = 1e-6 * scale + 10 * self.rounding / 1e-7
        return min(left, right) - slack <= analytic <= max(left, right) + slack

    def require_valid_complex_step(self, name):
        """Raise a NotComplexError if the complex step disagrees with plain differences along a random direction.

        Code that takes a real part, an absolute value or a conjugate runs, but has a wrong complex derivative.
        """
        direction = self.rng.standard_normal(entries(self.loss_at.params[name]).shape)
        direction /= max(np.linalg.norm(direction), EPS)
        slope = self.slope(name, direction)
        left, right = self.one_sided(name, direction)
        slack = 1e-4 * max(abs(left), abs(right), abs(slope)) + 10 * self.rounding / ONE_SIDED_STEP
        if not min(left, right) - slack <= slope <= max(left, right) + slack:
            self.reject_complex_step(name, slope, (left + right) / 2)

    def confirm(self, name, direction, analytic, slope, scale):
        """Raise a NotComplexError if plain differences agree with `analytic` and not with the complex slope."""
        if self.method == "complex":
            plain = extrapolated_slope(self.loss_at, name, direction, self.fd_step)
            doubt = 1e-6 * scale + 12 * self.rounding / self.fd_step
            if abs(plain - slope) > doubt and abs(plain - analytic) < 0.1 * abs(plain - slope):
                self.reject_complex_step(name, slope, plain)

    def reject_complex_step(self, name, slope, plain):
        """Raise the NotComplexError, naming the operation that drops the imaginary part if it can be found."""
        raise NotComplexError(
            f"{where_lost(self.loss_at, name)} (the slope along {name!r} is {slope:.6g} by the complex step, "
            f"{plain:.6g} by plain differences)"
        )
