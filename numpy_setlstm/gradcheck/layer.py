"""The check of a layer: a pair of forward and backward functions, or a class with both."""

from dataclasses import replace

import numpy as np

from .adapters import FunctionLayer, ObjectLayer, require
from .arguments import gradient_entries, require_params
from .check import entry_probes, run_check
from .diagnosis import GATES, Diagnosis
from .numeric import entries, is_sparse, with_entries
from .report import GradientMismatchError, is_mismatch


def check_layer(
    forward, backward=None, inputs=(), params=(), method="complex", *, grad_names=None, skip=(), rng=None,
    limit=None, complex_step=1e-20, fd_step=1e-5, gates=GATES, raises=True, strict=False,
):  # fmt: skip
    r"""Check a layer's backward pass against its forward pass.

    Parameters
    ----------
    forward : callable, or object
        ``forward(...)`` returns ``(out, cache)``, or ``(out_1, out_2, ..., cache)``. Or an object with methods
        ``forward(*inputs)``, which returns the output, and ``backward(dout)``, which returns the gradient of the
        inputs and stores that of a parameter `W` as `dW`, `grads["W"]` or a similar name.
    backward : callable, optional
        ``backward(dout, cache)`` returns the gradients as a tuple, in the order of `forward`'s arguments, or as a
        dict, named tuple or dataclass. Omit it if `forward` is an object.
    inputs : tuple of ndarray, dict of str to ndarray, or ndarray
        Arguments of `forward`: a tuple by position, a dict by name. Arrays of floats are checked; anything else
        (token ids, masks, settings) is passed on as it is.
    params : tuple or dict; for an object, a list of the names of its parameters
        As `inputs`, which come first. May hold sparse matrices, as in :func:`check_gradients`. A dict is passed
        whole if `forward` takes one argument for all parameters.
    method, limit, complex_step, fd_step, gates, raises
        See :func:`check_gradients`.
    grad_names : sequence of str, optional
        The arguments that the gradients belong to, if they come as a tuple in another order.
    skip : sequence of str
        Arguments that have no gradient.
    rng : numpy.random.Generator, optional
        Draws the upstream gradient; by default ``np.random.default_rng(0)``.

    Returns
    -------
    GradientReport

    Raises
    ------
    GradientMismatchError
        If a gradient is wrong and `raises` is true.
    TypeError
        If `forward` returns no cache, or the arrays are not what :func:`check_gradients` takes.
    ValueError
        If gradients are missing or too many, if a pass changes its arguments in place, or if a second backward
        pass with the same cache gives another result.

    Notes
    -----
    The loss is :math:`L = \sum \mathrm{out} \odot \mathrm{dout}` with a random dout, which is its gradient with
    respect to out. If a gradient is wrong and the cause is not clear, the check runs again with dout nonzero only at
    the first time step, where later steps cannot hide which gate is wrong, and with the dout of one output at a time.

    Examples
    --------
    >>> def forward(x, W):
    ...     return x @ W, (x, W)
    >>> def backward(dout, cache):
    ...     x, W = cache
    ...     return dout @ W.T, x.T @ dout
    >>> rng = np.random.default_rng(0)
    >>> check_layer(forward, backward, (rng.normal(size=(3, 4)),), (rng.normal(size=(4, 2)),)).ok
    True
    """
    __tracebackhide__ = is_mismatch
    if backward is None:
        layer = ObjectLayer(forward, inputs, params)
    else:
        layer = FunctionLayer(forward, backward, inputs, params)
    require_params({name: layer.arguments[name] for name in layer.param_names if name not in skip})
    points = {name: in_double(value) for name, value in layer.arguments.items() if is_checked(value)}
    points = {name: value for name, value in points.items() if name not in skip}
    rng = np.random.default_rng(0) if rng is None else rng
    outs, _ = layer.forward({**layer.arguments, **points})
    douts = [rng.standard_normal(np.shape(out)) for out in outs]
    options = dict(limit=limit, complex_step=complex_step, fd_step=fd_step, gates=gates)
    options["tokens"] = next((v for v in layer.arguments.values() if is_tokens(v)), None)

    report = check_upstream(layer, points, douts, grad_names, method, **options)
    if not report.ok and not report.diagnoses:
        arguments = (layer, points, douts, grad_names, report.method)
        causes = first_step_causes(*arguments, **options) or output_causes(*arguments, **options)
        report = replace(report, diagnoses=causes)
    if raises and not report.ok:
        raise GradientMismatchError(report)
    return report


STEP_AXES = {2: (0, 1), 3: (1, 0, 2)}  # possible time axes by the number of an output's axes, likely ones first


def is_checked(value):
    """Return whether an argument is an array of floats."""
    return is_sparse(value) or (isinstance(value, np.ndarray | np.floating) and value.dtype.kind == "f")


def is_tokens(value):
    """Return whether an argument may be the embedding rows that are looked up."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "iu"


def in_double(value):
    """Return a copy of an array in double precision."""
    return with_entries(value, np.array(entries(value), dtype=np.float64))


def check_upstream(layer, points, douts, grad_names, method, **options):
    """Return the report on a layer with the given upstream gradients, one per output."""

    def loss(params):
        outs, _ = layer.forward({**layer.arguments, **params})
        return sum(np.sum(out * dout) for out, dout in zip(outs, douts, strict=True))

    grads = gradients(layer, points, douts, grad_names)
    probes = [entry_probes(name, p, *gradient_entries(name, p, grads, [])) for name, p in points.items()]
    return run_check(loss, points, probes, method, stacklevel=4, **options)


def gradients(layer, points, douts, grad_names):
    """Return the gradients of a layer; raise unless its backward pass is a pure function of its arguments."""
    arguments = {**layer.arguments, **{name: in_double(value) for name, value in points.items()}}
    _, cache = layer.forward(arguments)
    given = [dout.copy() for dout in douts]
    names = list(points)
    grads = {n: np.array(entries(g)) for n, g in layer.backward(given, cache, names, grad_names).items()}
    require(
        all(np.array_equal(a, b) for a, b in zip(given, douts, strict=True)),
        "backward changes its upstream gradient dout in place; work on a copy: `dout = dout.copy()`",
    )
    for name, value in points.items():
        require(
            np.array_equal(entries(arguments[name]), entries(value)),
            f"the layer changes its argument {name!r} in place (as `{name} += ...` does); use a new array",
        )
    if layer.repeatable:
        again = layer.backward(given, cache, names, grad_names)
        changed = [n for n in names if not np.array_equal(grads[n], entries(again[n]), equal_nan=True)]
        require(
            not changed,
            f"backward gives other gradients of {changed} when it runs again with the same cache; it must not change "
            "the cache in place, or add to an array that outlives the call",
        )
    return grads


def first_step_causes(layer, points, douts, grad_names, method, **options):
    """Return diagnoses of which gate is wrong, from the first step of a sequence layer.

    With the upstream gradient at the first step only, no wrong gradient comes back from later ones.
    """
    for axis in STEP_AXES.get(douts[0].ndim, ()):
        if douts[0].shape[axis] < 2:
            continue
        first = (slice(None),) * axis + (0,)
        masked = [np.zeros_like(dout) for dout in douts]
        masked[0][first] = douts[0][first]
        report = check_upstream(layer, points, masked, grad_names, method, **options)
        gates = tuple(cause for cause in report.diagnoses if cause.kind in ("gate", "gate order"))
        if gates:
            seen = f"Seen with the upstream gradient only at index 0 of axis {axis} (the first step, if that is time): "
            return tuple(Diagnosis(cause.kind, cause.arrays, seen + cause.text) for cause in gates)
    return ()


def output_causes(layer, points, douts, grad_names, method, **options):
    """Return a diagnosis if backward is correct for the upstream gradients of some outputs alone, and not of others."""
    reports = []
    for k in range(len(douts) if len(douts) > 1 else 0):
        alone = [dout if j == k else np.zeros_like(dout) for j, dout in enumerate(douts)]
        reports.append(check_upstream(layer, points, alone, grad_names, method, **options))
    right = [str(k) for k, report in enumerate(reports, start=1) if report.ok]
    wrong = [k for k, report in enumerate(reports, start=1) if not report.ok]
    if not right or not wrong:
        return ()
    words = " and ".join(map(str, wrong))
    text = (
        f"Correct with the upstream gradient of output {' and '.join(right)} alone, wrong with that of output {words} "
        f"alone: look at what backward does with the gradient of output {words}."
    )
    return (Diagnosis("output", tuple(array.name for k in wrong for array in reports[k - 1].failures), text),)
