"""Slopes measured with a known uncertainty: the step, remeasurement, kinks, and doubts about the complex step."""

import numpy as np

from .numeric import EPS, NotComplexError, central_slope, complex_slope, entries, extrapolated_slope, noise

LOST = (
    "somewhere the loss drops the imaginary part (.imag, .view, a function for real numbers only?): the slope along "
    "{!r} is {:.6g} by the complex step, {:.6g} by plain differences"
)
STEPS = (1e-5, 1e-4, 1e-3, 1e-2)  # tried in turn until the loss is no staircase


def eps_of(dtype):
    """Return the relative rounding of a type of floats; that of double precision for anything else."""
    return float(np.finfo(dtype).eps) if np.dtype(dtype).kind == "f" and np.dtype(dtype).itemsize < 8 else EPS


class SlopeMeter:
    """Measures slopes of a loss at one point; `method` is "complex", "lifted" or "central".

    `rounding` is how much rounding alone changes the loss, estimated in two ways: by moving the point in its last
    digits, and by the irregularity of the loss along a ray: it may be a staircase, where a term such as 1 - p has lost
    its digits, or in single precision. `eps` is the relative rounding of the gradients; `fd_step` suits the rounding.
    """

    def __init__(self, loss_at, method, complex_step=1e-20, fd_step=1e-5, eps=EPS):
        self.loss_at, self.method, self.complex_step = loss_at, method, complex_step
        self.rng = np.random.default_rng(0)  # repeating a check gives the same report
        self.nearby = [loss_at.perturbed_by_rounding(self.rng) for _ in range(4)]
        self.terms = np.asarray(loss_at.base)
        tiny, irregular = np.finfo(np.float64).tiny, self.irregularity(fd_step)
        self.size = float(np.sqrt(np.sum(self.terms**2, where=loss_at.varying, dtype=np.float64)))
        nearby = (abs(float(np.sum(np.asarray(near.base) - self.terms))) for near in self.nearby)
        self.rounding = max(tiny, EPS * self.size, 3 * irregular, *nearby)
        self.eps = max(eps, eps_of(self.terms.dtype), self.eps_inside() if method == "lifted" else EPS)
        rounding = max(self.rounding, 0.1 * self.eps * self.size if self.eps > EPS else 0.0)
        suited = (rounding / max(self.size, rounding)) ** (1 / 3)
        self.fd_step = float(np.clip(suited, fd_step, max(fd_step, 0.05)))

    def irregularity(self, fd_step):
        """Return the noise of the loss along a ray, with a step that is wide enough to leave the tread of a stair."""
        for step in sorted({fd_step, *STEPS}):
            losses = self.loss_at.along_random_ray(self.rng, step, n_steps=30)
            found = noise(losses)
            if np.mean(np.diff(losses) == 0) < 0.2:
                break
        return found

    def eps_inside(self):
        """Return the relative rounding of the lowest precision in which the loss computes, if that shows in it."""
        try:
            terms, notes = self.loss_at.lifted()
        except Exception:  # the first slope says why
            return EPS
        lowest = max(map(eps_of, notes), default=EPS)
        lost = np.max(np.abs(np.asarray(terms) - self.terms), initial=0.0)
        return lowest if lost > 1e-3 * lowest * np.max(np.abs(self.terms), initial=0.0) else EPS

    def slope(self, name, direction):
        """Return the slope along a direction."""
        if self.method == "central":
            return central_slope(self.loss_at, name, direction, self.fd_step)
        return complex_slope(self.loss_at, name, direction, self.complex_step, self.method == "lifted")

    def careful_slope(self, name, direction, target=0.0):
        """Return a slope measured more carefully, and its uncertainty: smaller differences are only rounding."""
        if self.method == "central":
            return extrapolated_slope(self.loss_at, name, direction, self.rounding, self.fd_step, target)
        slope, lifted = self.slope(name, direction), self.method == "lifted"
        nearby = [complex_slope(near, name, direction, self.complex_step, lifted) for near in self.nearby]
        return slope, 16 * max(abs(near - slope) for near in nearby)

    def one_sided(self, name, direction, step):
        """Return the slopes to the left and to the right, which differ at a kink such as ReLU's at 0."""
        return (
            self.loss_at.change(name, -step * direction, None) / step,
            self.loss_at.change(name, None, step * direction) / step,
        )

    def allows_at_kink(self, name, direction, analytic, scale):
        """Return whether the loss has a kink here and `analytic` is one of the slopes that it allows."""
        wide, middle, narrow = self.fd_step, self.fd_step / 10, self.fd_step / 100
        jumps = [right - left for left, right in (self.one_sided(name, direction, s) for s in (wide, middle))]
        if abs(jumps[0] - 10 * jumps[1]) < 0.05 * abs(jumps[0]) + 100 * self.rounding / middle:
            return False  # a smooth loss: the difference of the two slopes shrinks in proportion to the step
        left, right = self.one_sided(name, direction, narrow)
        slack = 1e-6 * scale + 10 * self.rounding / narrow
        return min(left, right) - slack <= analytic <= max(left, right) + slack

    def require_valid_complex_step(self, name):
        """Raise a NotComplexError if the complex step disagrees with plain differences along a random direction.

        Code that takes a real part, an absolute value or a conjugate runs, but has a wrong complex derivative.
        """
        direction = self.rng.standard_normal(entries(self.loss_at.params[name]).shape)
        direction /= max(np.linalg.norm(direction), EPS)
        slope = self.slope(name, direction)
        step = self.fd_step / 10
        left, right = self.one_sided(name, direction, step)
        largest = max(abs(left), abs(right), abs(slope))
        noise = 10 * self.rounding / step
        if self.eps > EPS and noise > 0.5 * largest > 0:
            left, noise = extrapolated_slope(self.loss_at, name, direction, self.rounding, self.fd_step)
            right = left
        slack = 1e-4 * largest + noise
        if not min(left, right) - slack <= slope <= max(left, right) + slack:
            raise NotComplexError(LOST.format(name, slope, (left + right) / 2))

    def confirm(self, name, direction, analytic, slope, scale):
        """Raise a NotComplexError if plain differences agree with `analytic` and not with the complex slope."""
        if self.method != "central":
            plain, doubt = extrapolated_slope(self.loss_at, name, direction, self.rounding, self.fd_step)
            if abs(plain - slope) > 1e-6 * scale + doubt and abs(plain - analytic) < 0.1 * abs(plain - slope):
                raise NotComplexError(LOST.format(name, slope, plain))
