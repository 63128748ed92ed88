"""Causes in the relation of a layer's wrong gradients to its arguments, its output and its upstream gradient.

As in :mod:`~numpy_setlstm.gradcheck.diagnosis`, a rule says nothing unless its pattern holds for all entries.
"""

from itertools import combinations, product

import numpy as np

from .diagnosis import Diagnosis, significant
from .numeric import is_sparse


class Pattern:
    """A wrong array in its own shape: `a` analytic, `n` numeric, `x` its values; and the layer that it belongs to."""

    def __init__(self, array, case, outs):
        self.array, self.case, self.outs, self.name = array, case, outs, array.name
        self.x = np.asarray(case.points[array.name])
        self.a, self.n = array.analytic_all.reshape(self.x.shape), array.numeric_all.reshape(self.x.shape)
        self.wrong, self.matters = array.wrong.reshape(self.x.shape), significant(array).reshape(self.x.shape)
        self.given = np.abs(self.a) > 1e-6 * array.scale

    def same(self, one, two):
        """Return whether two gradients of the array agree to the precision of the check."""
        return bool(np.all(np.abs(one - two) <= 20 * self.array.limit * self.array.scale))

    def change(self, x):
        """Return how much the outputs change, over their size, if the array is replaced."""
        outs, _ = self.case.layer.forward({**self.case.layer.arguments, **self.case.points, self.name: x})
        changes = sum(np.abs(np.asarray(new) - old).sum() for new, old in zip(outs, self.outs, strict=True))
        return changes / sum(np.abs(out).sum() for out in self.outs)


def one_sign(p):
    """Find entries that are wrong exactly where the input has one sign."""
    for word, place in (("negative", p.x < 0), ("positive", p.x > 0)):
        right = np.array_equal(p.wrong, place & (p.matters | p.given))
        if p.outs[0].shape == p.x.shape and place.any() and not place.all() and right:
            return f"wrong exactly where {p.name} is {word}: look at the slope (or mask) that backward uses there."
    return None


def lost_mask(p):
    """Find gradients that are zero where they must not be, or the reverse, and right (or a factor off) elsewhere."""
    zero = p.n == 0
    if zero.any() and not zero.all() and np.array_equal(p.given, zero):
        return "zero where they must not be and not zero where they must be: the mask is inverted."
    off, kept = p.wrong & zero, ~zero & p.matters
    ratio = p.a[kept] / p.n[kept] if kept.any() else np.zeros(0)
    if off.any() and ratio.size > 1 and np.ptp(ratio) < 1e-9 * abs(ratio[0]) and not p.same(ratio[0], 1.0):
        return (f"not zero where the output does not depend on {p.name}, and {ratio[0]:.6g} times the true gradient "
                "elsewhere: look at the mask (of dropout, or a maximum), which forward applies.")  # fmt: skip
    if p.wrong.sum() > 1 and np.array_equal(p.wrong, p.matters & ~p.given) and not p.wrong.all():
        return "zero at entries whose gradient is not zero, and correct elsewhere: is a mask wrong, or a part left out?"
    return None


def shifted(p):
    """Find a gradient that is moved by one or two entries along one or two axes."""
    for axes in [(k,) for k in range(p.x.ndim)] + list(combinations(range(p.x.ndim), 2)):
        for steps in product((-2, -1, 1, 2), repeat=len(axes)):
            ours, theirs = [slice(None)] * p.x.ndim, [slice(None)] * p.x.ndim
            for axis, step in zip(axes, steps, strict=True):
                ours[axis] = slice(max(step, 0), min(step, 0) or None)
                theirs[axis] = slice(max(-step, 0), min(-step, 0) or None)
            a, n = p.a[tuple(ours)], p.n[tuple(theirs)]
            if a.size > 3 and np.count_nonzero(np.abs(n) > 1e-6 * p.array.scale) > 3 and p.same(a, n):
                by = " and ".join(f"{step:+d} along axis {axis}" for axis, step in zip(axes, steps, strict=True))
                return f"shifted by {by}: look at the stride, the offset of the padding, and the slices of backward."
    return None


def sum_to_zero(p):
    """Find gradients that must sum to zero along an axis, because a constant added there changes nothing."""
    axes = [(k,) for k in range(p.x.ndim)] + [tuple(range(1, p.x.ndim - 1)), tuple(range(1, p.x.ndim))]
    for axis in axes if p.x.ndim > 1 else axes[:1]:
        rest = np.abs(p.n.sum(axis=axis)).max() if axis else np.inf
        if rest > 100 * p.array.limit * p.array.scale or np.abs(p.a.sum(axis=axis)).max() < 1e-6 * p.array.scale:
            continue
        constants = np.sin(np.arange(p.x.size)).reshape(p.x.shape).mean(axis=axis, keepdims=True) + 3.0
        if p.change(p.x + constants) > 1e-6:
            continue
        where, out = f"axis {axis[0]}" if len(axis) == 1 else f"the axes {axis}", p.outs[0]
        cause = "the path through what forward subtracts there, such as a mean, is missing or wrong"
        if out.shape == p.x.shape and np.allclose(out.sum(axis=axis), 1):
            cause = "is it only the diagonal of softmax's Jacobian, or the wrong axis?"
        return f"must sum to 0 along {where}, as a constant added to {p.name} changes nothing; yours does not: {cause}."
    return None


def along_itself(p):
    """Find a difference in proportion to the input, or to the input minus its mean, along an axis."""
    d, axes = p.a - p.n, [(k,) for k in range(p.x.ndim)] + [tuple(range(1, p.x.ndim - 1))]
    for axis in axes:
        for centered in (True, False):
            x = p.x - p.x.mean(axis=axis, keepdims=True) if centered else p.x
            if not axis or np.prod([p.x.shape[k] for k in axis]) < 3 or p.array.error < 1e-6:  # tiny: an eps, at most
                continue
            c = (d * x).sum(axis=axis, keepdims=True) / np.maximum((x * x).sum(axis=axis, keepdims=True), 1e-300)
            if p.same(d, c * x) and p.change(1.5 * p.x - 0.5 * (p.x - x)) < 0.2:
                what, path = (f"{p.name} minus its mean", "variance") if centered else (p.name, "norm")
                where = f"axis {axis[0]}" if len(axis) == 1 else f"the axes {axis}"
                return f"off by a multiple of {what} along {where}: the path through the {path} is missing or wrong."
    return None


def forgotten_factor(p):
    """Find a parameter by which backward forgets to multiply dout."""
    for name, value in p.case.points.items():
        if name == p.name or is_sparse(value) or value.size < 2 or value.ndim > p.case.douts[0].ndim:
            continue
        try:
            douts = [p.case.douts[0] * value, *p.case.douts[1:]]
            if douts[0].shape == p.case.douts[0].shape and p.same(p.case.gradients(douts)[p.name], p.n):
                return f"correct if dout is multiplied by {name} first: backward forgets this factor."
        except Exception:  # the shapes do not fit
            continue
    return None


def other_transpose(p):
    """Find a square matrix that stands where its transpose belongs."""
    for name, W in p.case.points.items():
        if is_sparse(W) or W.ndim != 2 or W.shape[0] != W.shape[1] or name == p.name or np.linalg.cond(W) > 1e6:
            continue
        for turn in (np.linalg.solve(W, W.T), np.linalg.solve(W.T, W)):  # from z W to z Wᵀ, and back
            right = p.x.shape[-1] == len(W) and p.same(p.a, p.n @ turn)
            if right or (p.x.ndim > 1 and p.x.shape[0] == len(W) and p.same(p.a, np.tensordot(turn.T, p.n, 1))):
                return f"correct with the transpose of {name}: look for a missing or extra .T."
    return None


def wrong_slope(p):
    """Find a wrong slope of a layer that treats each number for itself; name the quantity if it is a usual one."""
    y, dout = p.outs[0], p.case.douts[0]
    if y.shape != p.x.shape or len(p.case.points) > 1 or not y.size or not np.all(dout):
        return None
    half = np.arange(y.size).reshape(y.shape) % 2
    if np.any(p.case.report([dout * half])[p.name].numeric_all[half.ravel() == 0]):
        return None
    slope, right = p.a / dout, p.n / dout
    worst = np.unravel_index(np.argmax(np.abs(p.a - p.n)), y.shape)
    return (f"the slope is wrong: at {p.name} = {p.x[worst]:.4g} it is {slope[worst]:.4g}, the derivative of forward "
            f"{right[worst]:.4g}; is it taken of the wrong quantity (the output for the input)?")  # fmt: skip


def added_only_once(p):
    """Find entries that are wrong exactly where they go into the output more than once."""
    ones = p.case.report([np.ones_like(dout) for dout in p.case.douts])[p.name].numeric_all.reshape(p.x.shape)
    counts = np.round(ones)
    if np.abs(ones - counts).max() < 1e-9 and (counts == 1).any() and np.array_equal(p.wrong, (counts > 1) & p.matters):
        return (
            "wrong exactly where an entry is used more than once: all its gradients must be added (+=, or np.add.at)."
        )
    return None


def guard(p):
    """Find a small constant that is added to a probability under a logarithm, in the forward pass only."""
    with np.errstate(all="ignore"):
        off = p.a / p.n - 1
    e = np.exp(p.x - p.x.max(axis=-1, keepdims=True))
    arrays = [v for v in p.case.layer.arguments.values() if isinstance(v, np.ndarray)]
    labels = next((v for v in arrays if v.shape == p.x.shape[:-1] and v.ndim), None)
    probabilities = [p.x]
    if labels is not None and labels.dtype.kind in "iu" and labels.max(initial=0) < p.x.shape[-1]:
        picked = np.take_along_axis(e / e.sum(axis=-1, keepdims=True), labels[..., None], -1)
        probabilities.append(np.broadcast_to(picked, p.x.shape))
    for q in probabilities:
        constants = (off * q)[p.matters & (np.abs(off) > 1e-9)]
        if constants.size > 1 and 0 < constants.min() > 0.99 * constants.max() and constants.max() < 1e-3:
            return f"forward takes log(p + {constants.mean():.1g}); backward leaves out that small constant, a guard."
    return None


RULES = {
    guard: "guard", shifted: "shifted", one_sign: "mask", lost_mask: "mask", added_only_once: "repeated",
    other_transpose: "transposed", forgotten_factor: "forgotten", along_itself: "path",
    sum_to_zero: "path", wrong_slope: "slope",
}  # fmt: skip


def pattern_causes(report, case):
    """Return the diagnoses of all wrong arrays for which a rule holds."""
    outs, _ = case.layer.forward({**case.layer.arguments, **case.points})
    found = []
    for array in report.failures:
        if is_sparse(case.points.get(array.name, np.zeros(0))) or not np.isfinite(array.analytic_all).all():
            continue
        pattern = Pattern(array, case, [np.asarray(out) for out in outs])
        for rule, kind in RULES.items():
            text = rule(pattern)
            if text:
                found.append(Diagnosis(kind, (array.name,), f"{array.name}: {text}"))
                break
    return tuple(found)
