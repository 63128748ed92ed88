"""Comparison of analytic with measured slopes; what looks wrong is measured again before it is called wrong."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .numeric import EPS
from .report import ArrayReport


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
        if meter.method == "complex":
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
    common = dict(name=probe.name, shape=probe.shape, limit=limit, coordinates=probe.coordinates, stray=stray)
    scale = max(probe.scale(numeric), meter.resolution / limit)
    rounds_to_zero = bool(np.all(np.abs(probe.analytic) <= 64 * EPS * largest))
    if not numeric.any() and rounds_to_zero and not stray:
        return ArrayReport(
            **common, index=probe.place(0) if numeric.size else "(empty)", analytic=0.0, numeric=0.0,
            error=0.0, scale=scale, status="no effect", analytic_all=probe.analytic, numeric_all=numeric,
        )  # fmt: skip
    # Where units saturate, 1 - p or 1 - tanh² rounds the analytic gradient itself, which no measurement shows:
    # whatever is as small as the rounding of the largest gradient, or of the loss, is no evidence.
    noise_floor = 8 * max(EPS * largest, meter.rounding)
    numeric, errors, kinks = careful_errors(meter, probe, numeric, limit, scale, noise_floor)
    worst = int(np.argmax(errors)) if errors.size else None
    wrong = worst is not None and errors[worst] > limit
    if stray and not wrong:
        place = np.unravel_index(np.argmax(np.abs(probe.elsewhere)), probe.shape)
        found = dict(index=place, analytic=float(probe.elsewhere[place]), numeric=0.0)
        found["error"] = abs(found["analytic"]) / max(scale, abs(found["analytic"]))
    else:
        found = dict(index=probe.place(worst), analytic=float(probe.analytic[worst]))
        found.update(numeric=float(numeric[worst]), error=float(errors[worst]))
    status = "WRONG" if wrong or stray else "too small" if scale <= noise_floor else "ok"
    return ArrayReport(
        **common, **found, scale=scale, status=status, kinks=kinks,
        analytic_all=probe.analytic, numeric_all=numeric,
    )  # fmt: skip


def careful_errors(meter, probe, numeric, limit, scale, noise_floor):
    """Return the slopes, the errors (both (K,)) and the number of kinks, after measuring again what exceeds the limit.

    The largest differences come first, and the first confirmed one ends the search, so a wrong array costs little
    more than a correct one. Differences up to `noise_floor` pass.
    """
    numeric = numeric.copy()
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = np.nan_to_num(np.abs(probe.analytic - numeric) / scale, nan=np.inf)
    kinks = 0
    for k in np.argsort(-errors)[: np.count_nonzero(errors > limit)]:
        if not np.isfinite(probe.analytic[k]):
            break
        direction = probe.direction(k)
        numeric[k], uncertainty = meter.careful_slope(probe.name, direction)
        if uncertainty > 1e-3 * scale:
            uncertainty = 0.0  # too large for rounding: the slope jumps here, which is examined below
        errors[k] = abs(probe.analytic[k] - numeric[k]) / max(scale, uncertainty / limit, noise_floor / limit)
        if errors[k] <= limit:
            continue
        if not meter.allows_at_kink(probe.name, direction, probe.analytic[k], scale):
            meter.confirm(probe.name, direction, probe.analytic[k], numeric[k], scale)
            break
        numeric[k], errors[k], kinks = probe.analytic[k], 0.0, kinks + 1
    return numeric, errors, kinks
