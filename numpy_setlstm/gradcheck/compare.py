"""Comparison of analytic with measured slopes; what looks wrong is measured again before it is called wrong."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .numeric import EPS
from .report import ArrayReport

UNSURE = 1e-3  # the largest uncertainty, over the scale of an array, with which it can be called right
ROUNDINGS = 16  # a gradient in single precision may be off by this many units of its relative rounding


@dataclass(frozen=True)
class Probes:
    """The slopes of the loss along K directions that are compared for one parameter."""

    name: str
    shape: tuple  # of the parameter
    analytic: np.ndarray  # (K,): the slopes according to the gradient that is checked
    scale: Callable  # scale(numeric): the size of slope that differences are divided by
    direction: Callable  # direction(k): an array of the shape of the parameter's entries
    place: Callable  # place(k): where that is, an index or words
    coordinates: tuple = ()  # the index of each slope along each axis, (K,) each; empty unless directions are entries
    elsewhere: np.ndarray | None = None  # a dense gradient of a sparse parameter, off its connections


def compare_all(meter, probes, limit):
    """Measure and compare all arrays; return a list of ArrayReport."""
    measured = []
    for probe in probes:
        if meter.method != "central":
            meter.require_valid_complex_step(probe.name)
        slopes = [meter.slope(probe.name, probe.direction(k)) for k in range(probe.analytic.size)]
        measured.append(np.array(slopes, dtype=np.float64))
    largest = max(largest_of(numeric) for numeric in measured)
    return [compare(meter, p, numeric, limit, largest) for p, numeric in zip(probes, measured, strict=True)]


def largest_of(numbers):
    """Return the largest finite magnitude, 0 if there is none."""
    return float(np.max(np.abs(numbers), where=np.isfinite(numbers), initial=0.0))


def compare(meter, probe, numeric, limit, largest):
    """Compare the slopes of one array; `largest` is the largest measured slope of all arrays."""
    stray = 0 if probe.elsewhere is None else np.count_nonzero(probe.elsewhere)
    common = dict(name=probe.name, shape=probe.shape, coordinates=probe.coordinates, stray=stray)
    scale = probe.scale(numeric)
    rounds_to_zero = bool(np.all(np.abs(probe.analytic) <= 64 * EPS * largest))
    if not numeric.any() and rounds_to_zero and not stray:
        return ArrayReport(
            **common, index=probe.place(0) if numeric.size else "(empty)", analytic=0.0, numeric=0.0, limit=limit,
            error=0.0, scale=scale, status="no effect", analytic_all=probe.analytic, numeric_all=numeric,
        )  # fmt: skip
    # Where units saturate, 1 - p or 1 - tanh² rounds the analytic gradient itself, which no measurement shows:
    # whatever is as small as the rounding of the largest gradient, or of the loss, is no evidence.
    noise_floor = 8 * max(meter.eps * largest, EPS * meter.size, meter.rounding)
    unsure = ROUNDINGS * meter.eps if meter.eps > EPS else 0.0
    limit = max(limit, unsure)
    numeric, errors, passed, kinks = careful_errors(meter, probe, numeric, limit, scale, noise_floor)
    worst = int(np.argmax(errors / np.maximum(limit, passed))) if errors.size else None
    unsure = max(unsure, float(np.max(passed, initial=0.0)))
    limit = max(limit, unsure)
    wrong = worst is not None and errors[worst] > max(limit, passed[worst])
    if stray and not wrong:
        place = np.unravel_index(np.argmax(np.abs(probe.elsewhere)), probe.shape)
        found = dict(index=place, analytic=float(probe.elsewhere[place]), numeric=0.0)
        found["error"] = abs(found["analytic"]) / max(scale, abs(found["analytic"]))
    else:
        found = dict(index=probe.place(worst), analytic=float(probe.analytic[worst]))
        found.update(numeric=float(numeric[worst]), error=float(errors[worst]))
    status = "ok" if unsure <= UNSURE and scale > 8 * EPS * largest else "unsure"
    if status == "unsure" and scale <= 8 / UNSURE * EPS * max(largest, meter.size):
        status = "too small"
    status = "WRONG" if wrong or stray else status
    return ArrayReport(
        **common, **found, limit=limit, scale=scale, status=status, kinks=kinks,
        analytic_all=probe.analytic, numeric_all=numeric,
    )  # fmt: skip


def careful_errors(meter, probe, numeric, limit, scale, noise_floor):
    """Return slopes, errors, uncertainties (all (K,)) and the number of kinks, after measuring again beyond the limit.

    The largest differences come first, and the first confirmed one ends the search, so a wrong array costs little
    more than a correct one. Differences up to the uncertainty pass; it is 0 where nothing had to be measured again.
    """
    numeric, passed, kinks = numeric.copy(), np.zeros(numeric.size), 0
    scale = max(scale, np.finfo(np.float64).tiny)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        errors = np.nan_to_num(np.abs(probe.analytic - numeric) / scale, nan=np.inf)
    for k in np.argsort(-errors)[: np.count_nonzero(errors > limit)]:
        if not np.isfinite(probe.analytic[k]):
            break
        direction = probe.direction(k)
        numeric[k], uncertainty = meter.careful_slope(probe.name, direction, target=limit * scale / 4)
        if meter.method != "central" and uncertainty > UNSURE * scale:
            uncertainty = 0.0  # too large for rounding: the slope jumps here, which is examined below
        errors[k] = abs(probe.analytic[k] - numeric[k]) / scale
        passed[k] = max(uncertainty, noise_floor) / scale
        if errors[k] <= max(limit, passed[k]):
            passed[k] = passed[k] if errors[k] > limit else 0.0
            continue
        if not meter.allows_at_kink(probe.name, direction, probe.analytic[k], scale):
            meter.confirm(probe.name, direction, probe.analytic[k], numeric[k], scale)
            passed[k] = 0.0
            break
        numeric[k], errors[k], passed[k], kinks = probe.analytic[k], 0.0, 0.0, kinks + 1
    return numeric, errors, passed, kinks
