"""Causes of a layer's wrong gradients that show when it runs again with other upstream gradients."""

from dataclasses import dataclass, field

import numpy as np

from .arguments import gradient_entries
from .check import entry_probes, run_check
from .diagnosis import Diagnosis, lost_carry, significant
from .numeric import entries, in_double, is_sparse
from .patterns import pattern_causes
from .slopes import eps_of

STEP_AXES = {2: (0, 1), 3: (1, 0, 2)}  # possible time axes by the number of an output's axes, likely ones first


@dataclass
class Case:
    """A layer at one point, and how it is checked there."""

    layer: object
    points: dict
    douts: list
    grad_names: object
    method: str
    options: dict = field(default_factory=dict)

    def gradients(self, douts):
        """Return what a fresh backward pass gives for other upstream gradients."""
        _, cache = self.layer.forward({**self.layer.arguments, **in_double(self.points)})
        grads = self.layer.backward([dout.copy() for dout in douts], cache, self.points, self.grad_names)
        return {name: np.array(entries(grads[name])) for name in self.points if name in grads}

    def ignores_upstream(self, grads):
        """Return whether twice the upstream gradient gives the same gradients, and they are not all zero."""
        if not any(np.any(grad) for grad in grads.values()):
            return False
        twice = self.gradients([2 * dout for dout in self.douts])
        return all(np.array_equal(grads[name], twice[name], equal_nan=True) for name in grads)

    def report(self, douts):
        """Return the report with other upstream gradients."""
        return check_upstream(self.layer, self.points, douts, self.gradients(douts), self.method, **self.options)


def check_upstream(layer, points, douts, grads, method, remarks=(), strict=False, **options):
    """Return the report on the gradients of a layer for the given upstream gradients, one per output."""

    def loss(params):
        outs, _ = layer.forward({**layer.arguments, **params})
        terms = zip(outs, douts, strict=False)  # one vector, whose sum is the loss
        return np.concatenate([np.reshape(np.asarray(out) * dout, -1) for out, dout in terms])

    remarks = list(remarks)
    probes = [entry_probes(name, p, *gradient_entries(name, p, grads, remarks)) for name, p in points.items()]
    outs, _ = layer.forward({**layer.arguments, **in_double(points)})
    eps = max(eps_of(np.asarray(array).dtype) for array in [*outs, *grads.values()])
    options |= dict(remarks=remarks, strict=strict, eps=eps, scalar=False, stacklevel=5)
    return run_check(loss, points, probes, method, **options)


def causes_of(report, case):
    """Return the causes that the first run shows, or, if there are none, those that further runs show."""
    if any(d.ndim for d in case.douts) and not case.layer.ignores_upstream:
        if case.ignores_upstream(case.gradients(case.douts)):
            text = "backward ignores dout: with 2·dout it gives the same gradients; each must be multiplied by dout."
            return (Diagnosis("ignored", tuple(case.points), text),)
    if not case.layer.repeatable and not hasattr(case.layer, "paths"):  # backward may add to what outlives it
        return report.diagnoses
    carry = carry_causes(report, case)
    if carry or report.diagnoses:
        return carry + report.diagnoses
    further = step_causes(report, case) or first_step_causes(case) or output_causes(case)
    return further or pattern_causes(report, case)


def masked(douts, axis, index):
    """Return upstream gradients that are zero but at one index of an axis of the first output."""
    place = (slice(None),) * axis + (index,)
    kept = [np.zeros_like(dout) for dout in douts]
    kept[0][place] = douts[0][place]
    return kept


def step_axes(dout):
    """Return the axes of an output that may be time."""
    return [axis for axis in STEP_AXES.get(dout.ndim, ()) if dout.shape[axis] > 1]


def first_step_causes(case):
    """Return diagnoses of which gate is wrong, from the first step of a sequence layer.

    With the upstream gradient at the first step only, no wrong gradient comes back from later ones.
    """
    for axis in step_axes(case.douts[0]):
        report = case.report(masked(case.douts, axis, 0))
        gates = tuple(cause for cause in report.diagnoses if cause.kind in ("gate", "gate order"))
        if gates:
            seen = f"Seen with the upstream gradient only at index 0 of axis {axis} (the first step, if that is time): "
            return tuple(Diagnosis(cause.kind, cause.arrays, seen + cause.text) for cause in gates)
    return ()


def carry_causes(report, case):
    """Return a diagnosis if what a step passes back to the previous one is lost, or forward passes nothing on.

    Both show at the last steps alone: with the upstream gradient there only, are the gradients of earlier steps right?
    """
    found = [(array, text) for array in report.failures for text in [lost_carry(array)] if text]
    others = [array for array in report.arrays if array.name not in [a.name for a, _ in found]]
    if not found or (others and all(array.ok for array in others)):
        return ()
    names, text = [array.name for array, _ in found], found[0][1]
    for axis in step_axes(case.douts[0]):
        last = case.report(masked(case.douts, axis, -1))
        numeric = [earlier_steps(last[name], case.douts[0].shape[axis]) for name in names]
        if None in numeric or any(last[name].ok for name in names):
            continue
        if min(numeric) > 1e-6:
            return (Diagnosis("carry", tuple(names), text.format(which=", ".join(names), are=be(names))),)
        if max(numeric) == 0:
            text = (
                "forward passes nothing on from one step to the next: the last output does not depend on earlier "
                f"{' and '.join(names)}, although backward passes gradients back; look at what forward does with h."
            )
            return (Diagnosis("carry", tuple(names), text),)
    return ()


def step_causes(report, case):
    """Return a diagnosis if arrays are wrong only with several steps, while those with a time axis are right."""
    wrong = [array.name for array in report.failures]
    for axis in step_axes(case.douts[0]):
        length = case.douts[0].shape[axis]
        cut = {name: x.take([0], axis) for name, x in case.points.items()
               if not is_sparse(x) and x.ndim == case.douts[0].ndim and x.shape[axis] == length}  # fmt: skip
        if not cut or any(name in wrong for name in cut):
            continue
        try:
            short = Case(case.layer, {**case.points, **cut}, [case.douts[0].take([0], axis), *case.douts[1:]],
                         case.grad_names, case.method, case.options)  # fmt: skip
            one_step = short.report(short.douts)
        except Exception:  # a layer whose other arguments have that axis too
            continue
        enough = all(np.all(significant(one_step[n])[report[n].wrong]) for n in wrong if n not in cut)
        if not one_step.failures and one_step.ok and enough:
            words = f"{', '.join(wrong)} {be(wrong)} wrong, but correct for a single entry along axis {axis}"
            text = f"{words}, as {', '.join(cut)} {be(list(cut))} always: the contributions of all must be added up, "
            text += "by a sum over that axis, or by += and not =."
            return (Diagnosis("accumulated", tuple(wrong), text),)
    return ()


def be(names):
    """Return the verb for some names."""
    return "are" if names[1:] else "is"


def earlier_steps(array, length):
    """Return the largest measured gradient before the last step, over the scale of the array, or None."""
    values = np.abs(array.numeric_all.reshape(array.shape))
    axes = [axis for axis in range(values.ndim) if values.shape[axis] == length]
    if not axes or not array.scale:
        return None
    return min(float(values.take(range(length - 1), axis).max(initial=0.0)) for axis in axes) / array.scale


def output_causes(case):
    """Return a diagnosis if backward is correct for the upstream gradients of some outputs alone, and not of others."""
    douts, reports = case.douts, []
    for k in range(len(douts) if len(douts) > 1 else 0):
        reports.append(case.report([dout if j == k else np.zeros_like(dout) for j, dout in enumerate(douts)]))
    right = [str(k) for k, report in enumerate(reports, start=1) if not report.failures]
    wrong = [k for k, report in enumerate(reports, start=1) if report.failures]
    if not right or not wrong:
        return ()
    words = " and ".join(map(str, wrong))
    text = (
        f"Correct with the upstream gradient of output {' and '.join(right)} alone, wrong with that of output {words} "
        f"alone: look at what backward does with the gradient of output {words}."
    )
    return (Diagnosis("output", tuple(array.name for k in wrong for array in reports[k - 1].failures), text),)
