"""The check of every entry of every array."""

import warnings

import numpy as np

from .arguments import gradient_entries, require_loss, require_names, require_params
from .compare import Probes, compare_all, largest_of
from .diagnosis import GATES, diagnose
from .numeric import EPS, LossAt, NotComplexError, entries, is_sparse
from .report import GradientMismatchError, GradientReport, is_mismatch
from .slopes import SlopeMeter, eps_of

LIMITS = {"complex": 1e-12, "lifted": 1e-12, "central": 1e-9}
DIGITS = 6  # a remark says how many digits were checked if they are fewer


def check_gradients(
    loss, params, grads, method="complex", *, limit=None, complex_step=1e-20, fd_step=1e-5, gates=GATES,
    tokens=None, raises=True, strict=False,
):  # fmt: skip
    r"""Compare a hand-written gradient with the measured one, entry by entry.

    Parameters
    ----------
    loss : callable
        ``loss(params) -> float``, in double precision; it must not change the arrays of `params`.
    params : dict of str to ndarray or sparse matrix
        Where to check, real floating-point numbers. A sparse matrix is any object with `values`, `rows`, `cols`
        (each of shape (nnz,)), `shape` and ``with_values(values)``; it is checked at its connections.
    grads : dict of str to ndarray
        The gradient of each parameter, of its shape. For a sparse parameter either (nnz,), in the order of
        `values`, or dense and exactly zero where there is no connection.
    method : {"complex", "central", "auto"}
        Complex step or central differences. "complex" and "auto" (a synonym) hide the imaginary part from code that
        does not expect it (abs, var, buffers of floats); if that fails, they warn, and use central differences.
    limit : float, optional
        Largest error that passes; by default 1e-12 for the complex step, 1e-9 for central differences. What rounding
        leaves uncertain widens it, array by array.
    complex_step, fd_step : float
        Step sizes of the two methods; the second grows with the rounding of the loss.
    gates : sequence of str
        Order of the gates' blocks in a recurrent layer's arrays; used by the diagnoses only.
    tokens : ndarray of shape (N, T), int, optional
        The embedding rows that are looked up; used by the diagnoses only.
    raises : bool
        If False, return the report even if a gradient is wrong.
    strict : bool
        If True, remarks are failures too.

    Returns
    -------
    GradientReport

    Raises
    ------
    GradientMismatchError
        If a gradient is wrong and `raises` is true. It is an AssertionError that names the worst entry first and
        has the report as its attribute `report`.
    TypeError
        If an array holds anything but floating-point numbers.
    ValueError
        If shapes or names do not match, if `limit` is not positive, or if the loss is not a scalar, not finite,
        random, or changes its parameters in place.

    Warns
    -----
    UserWarning
        If central differences replaced the complex step.

    Notes
    -----
    The error of an array is :math:`\max_k |a_k - n_k| / s` for the analytic gradient a and the numeric gradient
    n. The scale s is the largest :math:`|a_k|` or :math:`|n_k|` of the array, because an entry near zero is often
    a sum of large terms that cancel, and keeps their rounding. Before an entry is called wrong, its slope and the
    effect of rounding on it are measured more carefully. Differences up to that effect, or up to the rounding of
    the loss or of the largest gradient of all arrays (about 1e-15 of them), are not errors.

    Source: J. R. R. A. Martins, P. Sturdza, J. J. Alonso (2003), "The Complex-Step Derivative Approximation".

    Examples
    --------
    >>> W = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> report = check_gradients(lambda params: np.sum(params["W"] ** 3), {"W": W}, {"W": 3 * W**2})
    >>> report.ok, report["W"].error < 1e-12
    (True, True)
    """
    __tracebackhide__ = is_mismatch
    require_params(params)
    require_names(params, grads)
    remarks = []
    probes = [entry_probes(name, p, *gradient_entries(name, p, grads, remarks)) for name, p in params.items()]
    options = dict(limit=limit, complex_step=complex_step, fd_step=fd_step, gates=gates, tokens=tokens)
    options |= dict(eps=eps_of_all(params, grads), remarks=remarks, strict=strict)
    report = run_check(loss, params, probes, method, **options)
    if raises and not report.ok:
        raise GradientMismatchError(report)
    return report


def eps_of_all(params, grads):
    """Return the relative rounding of the coarsest gradient."""
    return max((eps_of(np.asarray(entries(grads[name])).dtype) for name in params), default=EPS)


def entry_probes(name, param, analytic, elsewhere):
    """Return the probes along every entry of a parameter, given what `gradient_entries` returns."""
    shape = tuple(param.shape)
    if is_sparse(param):
        coordinates = (np.asarray(param.rows), np.asarray(param.cols))
    else:
        coordinates = tuple(axis.ravel() for axis in np.indices(shape))
    return Probes(
        name=name,
        shape=shape,
        analytic=analytic.ravel(),
        scale=lambda numeric: max(largest_of(analytic), largest_of(numeric)),
        direction=lambda k: unit_direction(analytic.shape, k),
        place=lambda k: tuple(int(axis[k]) for axis in coordinates),
        coordinates=coordinates,
        elsewhere=elsewhere,
    )


def unit_direction(shape, k):
    """Return the array that is 1 at its k-th entry and 0 elsewhere."""
    direction = np.zeros(shape)
    direction.flat[k] = 1.0
    return direction


def run_check(
    loss, params, probes, method, *, limit, complex_step, fd_step, stacklevel=3, eps=EPS, remarks=(), strict=False,
    scalar=True, **hints,
):  # fmt: skip
    """Measure and compare the probes, by the complex step if the loss allows it; return the GradientReport.

    `stacklevel` counts the calls up to the user's line, which a warning names; `eps` is the relative rounding of the
    gradients; `scalar` is False if the loss returns the terms of which it is the sum; `hints` go to `diagnose`.
    """
    require_options(params, method, limit)
    loss_at = LossAt(loss, params)
    value = require_loss(loss_at, scalar)
    remarks = list(remarks)
    if scalar:  # of a layer, the forward pass is remarked on already
        remarks += [f"the loss changes {n} in place (as `{n} += ...` does)" for n in loss_at.changed]
    fallback = ""
    methods = ("central",) if method == "central" else ("complex", "lifted", "central")
    for method in methods:
        try:
            meter = SlopeMeter(loss_at, method, complex_step, fd_step, eps)
            arrays = compare_all(meter, probes, LIMITS[method] if limit is None else limit)
            fallback = fallback if method == "central" else ""
            break
        except NotComplexError as error:
            fallback = str(error)
            if method == "lifted":
                warnings.warn(f"central differences instead of a complex step: {fallback}", stacklevel=stacklevel)
    remarks += precision_remarks(arrays, meter.eps, max(limit or 0.0, 10.0**-DIGITS))
    causes = diagnose(arrays, **hints)
    method = "central" if method == "central" else "complex"
    return GradientReport(tuple(arrays), method, fallback, causes, value, tuple(remarks), strict=strict)


def require_options(params, method, limit):
    """Raise a ValueError unless the options make sense and there is something to check."""
    if not isinstance(method, str):
        got = f"{type(method).__name__} of shape {np.shape(method)}"
        raise TypeError(f"method is a {got}; choose 'complex' or 'central'. Several parameters are one tuple, (W, b)")
    if method not in ("complex", "central", "auto"):
        raise ValueError(f"method is {method!r}; choose 'complex', 'central' or 'auto'")
    if limit is not None and not limit > 0:
        raise ValueError(f"limit is {limit}; it must be positive, since rounding alone makes errors of about 1e-16")
    if not params:
        raise ValueError("there is nothing to check: no array of floats was given")


def precision_remarks(arrays, eps, expected):
    """Return a remark if errors up to more than the expected limit pass."""
    limit = max((array.limit for array in arrays if array.status in ("ok", "unsure")), default=0.0)
    if limit <= expected:
        return []
    digits = max(0, int(-np.log10(limit)))
    name = {float(np.finfo(kind).eps): f"something is computed in {kind}" for kind in ("float32", "float16")}
    cause = name.get(eps, "rounding changes the loss")
    many = f"only {digits} digit{'s' * (digits != 1)} of a gradient" if digits else "not a single digit"
    return [f"{cause}: {many} can be checked"]
