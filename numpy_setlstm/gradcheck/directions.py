"""The check for large networks: random directions, and the entries with the largest gradients."""

from math import erf, sqrt

import numpy as np

from .arguments import gradient_entries, require_names, require_params
from .check import eps_of_all, run_check, unit_direction
from .compare import Probes, largest_of
from .numeric import is_sparse
from .report import GradientMismatchError, is_mismatch


def detection_probability(relative_error, directions=5, limit=1e-12):
    r"""Return the probability that random directions detect a wrong gradient.

    Parameters
    ----------
    relative_error : float
        Norm of the gradient's error over the norm of the gradient.
    directions : int
        Number of directions.
    limit : float
        Largest error of a slope, over the norm of the gradient, that passes.

    Returns
    -------
    float
        In [0, 1].

    Notes
    -----
    Along a direction v of independent standard normal numbers, an error e of the gradient changes the slope by
    :math:`e \cdot v`, which is normal with standard deviation :math:`\|e\|`, whatever the number of entries and
    the place of the error. One direction misses it with probability :math:`\operatorname{erf}(l / (r\sqrt 2))` for
    the limit l and the relative error r, k directions with the k-th power of that.

    Examples
    --------
    >>> round(detection_probability(0.1, directions=1, limit=0.1), 4)
    0.3173
    >>> 1 - detection_probability(1e-6, directions=5) < 1e-29
    True
    """
    return 1 - erf(limit / (relative_error * sqrt(2))) ** directions


def check_directions(
    loss, params, grads, method="complex", *, directions=5, entries=10, rng=None, limit=None,
    complex_step=1e-20, fd_step=1e-5, raises=True, strict=False,
):  # fmt: skip
    r"""Compare slopes along random directions, and the entries with the largest gradients.

    The cost does not depend on the number of parameters: ``directions + entries`` evaluations of the loss per array
    (twice as many by central differences), while :func:`check_gradients` needs one per entry.

    Parameters
    ----------
    loss, params, grads, method, limit, complex_step, fd_step, raises, strict
        See :func:`check_gradients`.
    directions : int
        Random directions per array.
    entries : int
        Entries per array that are checked one by one, those with the largest analytic gradients.
    rng : numpy.random.Generator, optional
        Draws the directions; by default ``np.random.default_rng(0)``.

    Returns
    -------
    GradientReport
        A place is an entry, or "direction 3".

    Raises
    ------
    GradientMismatchError
        If a slope is wrong and `raises` is true.
    TypeError, ValueError
        As :func:`check_gradients`; also if `directions` or `entries` is negative, or both are 0.

    Notes
    -----
    Each array has its own directions, so a large matrix does not hide a small bias. Errors are divided by the norm
    of the array's gradient. By :func:`detection_probability`, k directions miss an error whose norm is r times the
    gradient's with probability :math:`(0.8\, l / r)^k` for :math:`r \gg l`. By complex step, l = 1e-12, five
    directions miss an error of one millionth once in 10³⁰ times. By central differences, l = 1e-9, they miss an
    error of one percent once in 10³⁵ times, one of a millionth once in 10¹⁵. Errors below `limit` times the norm
    of the gradient stay undetected here, while :func:`check_gradients` divides by the largest entry.

    Examples
    --------
    >>> W = np.linspace(-1, 1, 10_000).reshape(100, 100)
    >>> wrong = 3 * W**2
    >>> wrong[40, 40] *= 1.01
    >>> report = check_directions(lambda p: np.sum(p["W"] ** 3), {"W": W}, {"W": wrong}, raises=False)
    >>> report.ok, report["W"].checked
    (False, 15)
    """
    __tracebackhide__ = is_mismatch
    require_params(params)
    require_names(params, grads)
    if directions < 0 or entries < 0 or directions + entries == 0:
        raise ValueError(f"directions is {directions} and entries is {entries}; at least one must be positive")
    rng = np.random.default_rng(0) if rng is None else rng
    remarks = []
    probes = [
        sampled_probes(name, param, *gradient_entries(name, param, grads, remarks), directions, entries, rng)
        for name, param in params.items()
    ]
    options = dict(limit=limit, complex_step=complex_step, fd_step=fd_step, strict=strict, remarks=remarks)
    report = run_check(loss, params, probes, method, eps=eps_of_all(params, grads), **options)
    if raises and not report.ok:
        raise GradientMismatchError(report)
    return report


def sampled_probes(name, param, analytic, elsewhere, directions, entries, rng):
    """Return the probes of one parameter along random directions and its entries with the largest gradients."""
    random = [rng.standard_normal(analytic.shape) for _ in range(directions if analytic.size else 0)]
    top = np.argsort(-np.abs(analytic), axis=None)[:entries]

    def place(k):
        if k < len(random):
            return f"direction {k + 1}"
        index = np.unravel_index(top[k - len(random)], analytic.shape)
        index = (param.rows[index], param.cols[index]) if is_sparse(param) else index
        return tuple(int(axis) for axis in index)

    return Probes(
        name=name,
        shape=tuple(param.shape),
        analytic=np.array([np.sum(analytic * v) for v in random] + list(analytic.flat[top])),
        scale=lambda numeric: largest_of(np.linalg.norm(analytic)) or largest_of(numeric),
        direction=lambda k: random[k] if k < len(random) else unit_direction(analytic.shape, top[k - len(random)]),
        place=place,
        elsewhere=elsewhere,
    )
