"""The check of a layer: a pair of forward and backward functions, or a class with both."""

import inspect
from contextlib import suppress
from dataclasses import replace

import numpy as np

from .adapters import FunctionLayer
from .arguments import require_params
from .causes import Case, causes_of, check_upstream
from .diagnosis import GATES
from .numeric import entries, in_double
from .objects import ObjectLayer
from .paths import SHORT, is_floats
from .report import GradientMismatchError, is_mismatch
from .returned import require

NEARLY = 1e-9  # a smaller error is a remark


def check_layer(
    forward, backward=None, inputs=(), params=(), method="complex", *, grad_names=None, skip=(), rng=None,
    limit=None, complex_step=1e-20, fd_step=1e-5, gates=GATES, raises=True, strict=False, dout=None,
    get_params=None, get_grads=None,
):  # fmt: skip
    r"""Check a layer's backward pass against its forward pass.

    Parameters
    ----------
    forward : callable, or object
        ``forward(...)`` returns ``(out, cache)``, or ``(out_1, out_2, ..., cache)``. Or an object with methods
        ``forward(*inputs)`` and ``backward(dout)``, or of similar names (``forward_pass``, ``__call__``), whose
        parameters and gradients lie where they may: `W` and `dW`, lists `params` and `grads`, dicts, ``weight.data``
        and ``weight.grad``, in layers inside, returned, or handed to an optimizer. Or a function that returns
        ``(loss, gradients)``.
    backward : callable, optional
        ``backward(dout, cache)`` returns the gradients as a tuple, in the order of `forward`'s arguments, or as a
        dict, named tuple or dataclass. Omit it if `forward` is an object; two methods of one object are taken as such.
    inputs : tuple of ndarray, dict of str to ndarray, or ndarray
        Arguments of `forward`: a tuple by position, a dict by name. Arrays of floats are checked, also those in lists
        and dicts; anything else (token ids, masks, settings) is passed on as it is.
    params : tuple or dict; for an object, a list of the names of its parameters
        As `inputs`, which come first. May hold sparse matrices, as in :func:`check_gradients`. A dict is passed
        whole if `forward` takes one argument for all parameters. Those of an object are found if none is named.
    method, limit, complex_step, fd_step, gates, raises, strict
        See :func:`check_gradients`.
    grad_names : sequence of str, optional
        The arguments that the gradients belong to, if they come as a tuple in another order.
    skip : sequence of str
        Arguments that have no gradient.
    rng : numpy.random.Generator, optional
        Draws the upstream gradient; by default ``np.random.default_rng((0, 1))``.
    dout : ndarray of the shape of out, or tuple of ndarray, optional
        The upstream gradient, one array for each output; by default random, and 1 for a loss whose backward pass
        takes none or ignores it.
    get_params, get_grads : callable, optional
        ``get_params(layer)`` returns the arrays of an object's parameters themselves, ``get_grads(layer)`` their
        gradients after a backward pass, both as a list or a dict, if they are not found.

    Returns
    -------
    GradientReport
        Also says which arrays of an object change its output and were not checked (`unchecked`), and what is untidy
        although the values are right (`remarks`).

    Raises
    ------
    GradientMismatchError
        If a gradient is wrong and `raises` is true.
    TypeError
        If `forward` returns no cache, or the arrays are not what :func:`check_gradients` takes.
    ValueError
        If gradients are missing or too many, or have shapes that do not fit.

    Notes
    -----
    The loss is :math:`L = \sum \mathrm{out} \odot \mathrm{dout}` with a random dout, which is its gradient with
    respect to out. A gradient that is right to nine digits passes with a remark, unless a `limit` is given: an eps that
    guards a division is often left out. If a gradient is wrong and the cause is not clear, the check runs again with
    dout nonzero only at the first time step, where later steps cannot hide which gate is wrong, and with the dout of
    one output at a time.

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
    layer = layer_of(forward, backward, inputs, params, get_params, get_grads)
    require_params({name: layer.arguments[name] for name in layer.param_names if name not in skip})
    points = in_double(checked_arguments(layer, skip))
    outs, _ = layer.forward({**layer.arguments, **points})
    douts = upstream_gradients(layer, outs, dout, rng)
    grads, remarks = gradients(layer, points, douts, grad_names)
    case = Case(layer, points, douts, grad_names, method)
    if len(douts) == 1 and douts[0].ndim == 0 and not layer.ignores_upstream and case.ignores_upstream(grads):
        case.douts = douts = [np.ones(())]
        remarks.append("backward ignores dout, the gradient of the loss that it is given: it was checked for dout = 1")
    points = {name: value for name, value in points.items() if name in grads}
    lacking = [name for name in layer.unchecked if name not in skip and looks_learned(name)]
    require(
        not lacking or layer.named or not any(name in layer.param_names for name in grads),
        f"backward left no gradient of {', '.join(lacking)}: not implemented yet? If it needs none, skip={lacking}",
    )
    unchecked = [*layer.unchecked, *(name for name in checked_arguments(layer, skip) if name not in grads)]
    remarks += [f"{', '.join(unchecked)}: no gradient was found, so this was not checked"] if unchecked else []
    options = dict(limit=limit, complex_step=complex_step, fd_step=fd_step, gates=gates)
    options["tokens"] = next((v for v in layer.arguments.values() if is_tokens(v)), None)
    report = check_upstream(layer, points, douts, grads, method, remarks=remarks, strict=strict, **options)
    if limit is None and report.failures and all(a.status == "WRONG" and a.error < NEARLY for a in report.failures):
        digits = int(-np.log10(max(array.error for array in report.failures)))
        names = ", ".join(array.name for array in report.failures)
        remarks.append(f"{names}: right to {digits} digits, no more; does backward leave out a small eps of forward?")
        options["limit"] = NEARLY
        report = check_upstream(layer, points, douts, grads, method, remarks=remarks, strict=strict, **options)
    report = replace(report, unchecked=tuple(unchecked))
    if report.failures:
        case.points, case.method, case.options = points, report.method, options
        with suppress(Exception):  # the layer may fail with other upstream gradients, or with fewer steps
            report = replace(report, diagnoses=causes_of(report, case))
    if raises and not report.ok:
        raise GradientMismatchError(report)
    return report


def layer_of(forward, backward, inputs, params, get_params, get_grads):
    """Return the layer behind what :func:`check_layer` was given."""
    owner = getattr(forward, "__self__", None)
    of_object = {"get_params": get_params, "get_grads": get_grads}
    if backward is not None and owner is not None and owner is getattr(backward, "__self__", None):
        return ObjectLayer(owner, inputs, params, (forward.__name__, backward.__name__), **of_object)
    if backward is not None or (inspect.isroutine(forward) and len(inputs)):
        return FunctionLayer(forward, backward, inputs, params)
    return ObjectLayer(forward, inputs, params, **of_object)


def checked_arguments(layer, skip):
    """Return the arguments that are arrays of floats, apart from those in `skip`."""
    floats = {name: value for name, value in layer.arguments.items() if is_floats(value)}
    return {name: value for name, value in floats.items() if not {name, name.split("[")[0]} & set(skip)}


def is_tokens(value):
    """Return whether an argument may be the embedding rows that are looked up."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "iu"


def looks_learned(name):
    """Return whether a parameter without a gradient, beside others that have one, is by its name surely learned."""
    last = name.split(".")[-1]
    return last in SHORT or last in ("gamma", "beta") or last[0] in "Wb" and last[1:2] in ("", "_", *"0123456789")


def upstream_gradients(layer, outs, dout, rng):
    """Return an upstream gradient for each output of which backward takes one: given, 1 for a loss, or random."""
    rng = np.random.default_rng((0, 1)) if rng is None else rng  # not 0: inputs are often drawn with that seed
    if dout is not None:
        given = list(dout) if isinstance(dout, tuple | list) else [dout]
        shapes = [[np.shape(value) for value in values] for values in (given, outs)]
        require(shapes[0] == shapes[1], f"dout has the shapes {shapes[0]}, the outputs of forward have {shapes[1]}")
        return [np.array(value, np.float64) for value in given]
    outs = outs[: layer.n_upstream(len(outs))]
    if layer.ignores_upstream:
        return [np.ones(np.shape(out)) for out in outs]
    return [np.array(rng.standard_normal(np.shape(out))) for out in outs]


def gradients(layer, points, douts, grad_names):
    """Return the gradients of a layer by name, and remarks on how its backward pass treats what it is given."""
    remarks = []
    arguments = {**layer.arguments, **in_double(points)}
    _, cache = layer.forward(arguments)
    given = [dout.copy() for dout in douts]
    grads = layer.backward(given, cache, points, grad_names)
    grads = {name: np.array(entries(grad)) for name, grad in grads.items()}
    if any(not np.array_equal(a, b) for a, b in zip(given, douts, strict=True)):
        remarks.append("backward changes its upstream gradient dout in place; work on a copy: `dout = dout.copy()`")
    changed = [n for n, v in points.items() if not np.array_equal(entries(arguments[n]), entries(v), equal_nan=True)]
    if changed:
        remarks.append(f"the layer changes {', '.join(changed)} in place (as `x += ...` does); use a new array")
    if layer.repeatable:
        remarks += remarks_on_repetition(layer, points, douts, grad_names, cache, grads)
    return grads, remarks


def remarks_on_repetition(layer, points, douts, grad_names, cache, grads):
    """Return a remark if backward cannot run twice on a cache, or returns something else the second time."""

    def changes(cache):
        again = layer.backward([dout.copy() for dout in douts], cache, points, grad_names)
        return [n for n in grads if not np.array_equal(grads[n], entries(again[n]), equal_nan=True)]

    try:
        changed = changes(cache)
    except Exception as error:
        changed = [f"nothing but {type(error).__name__}"]
    if not changed:
        return []
    layer.repeatable = False
    _, fresh = layer.forward({**layer.arguments, **in_double(points)})
    outlives = changes(fresh)
    if outlives:
        return [f"backward gives other gradients of {', '.join(outlives)} when it runs again; does it add to an array "
                "that outlives the call? The first run was checked"]  # fmt: skip
    return ["backward cannot be called twice on one cache: it changes the cache, or takes things out of it"]
