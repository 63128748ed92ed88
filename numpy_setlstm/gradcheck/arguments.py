"""Validation of what the checks are given."""

import numpy as np

from .numeric import entries, is_sparse
from .paths import fits


def require_params(params):
    """Raise a TypeError unless `params` is a dict of arrays or sparse matrices of real floating-point numbers."""
    if not hasattr(params, "items"):
        raise TypeError(f"params is a {type(params).__name__}; give a dict such as {{'W': W, 'b': b}}")
    for name, param in params.items():
        require_floats(f"params[{name!r}]", entries(param))


def require_floats(what, array):
    """Raise a TypeError unless `array` is an ndarray of real floating-point numbers."""
    if not isinstance(array, np.ndarray | np.floating):
        raise TypeError(f"{what} is a {type(array).__name__}; make it an array: np.array(..., dtype=float)")
    if array.dtype.kind in "iub":
        raise TypeError(
            f"{what} holds {array.dtype}, which cannot take a small step; convert it: .astype(float). "
            "Indices and labels are not parameters: let the loss close over them instead"
        )
    if array.dtype.kind != "f":
        raise TypeError(f"{what} holds {array.dtype}; it needs real floating-point numbers (float64)")


def gradient_entries(name, param, grads, remarks):
    """Return the analytic gradient at the entries of a parameter, float64, and the gradient elsewhere.

    What is untidy, though its values can be checked, is added to the list `remarks`.

    The second is None unless a sparse parameter came with a dense gradient; then it is that gradient, with zeros
    at the connections.
    """
    what = f"grads[{name!r}]"
    if name not in grads or grads[name] is None:
        raise ValueError(f"there is no {what}; grads has {sorted(map(str, grads))} and needs the same names as params")
    grad = entries(grads[name])
    require_floats(what, grad)
    if grad.dtype.itemsize < 8:
        remarks.append(f"the gradient of {name} holds {grad.dtype}, too coarse for a strict check")
    if not is_sparse(param):
        if grad.shape != param.shape:
            if not fits(grad, param.shape):
                raise ValueError(f"{what} has shape {grad.shape}, params[{name!r}] has shape {param.shape}"
                                 f"{shape_hint(grad, param)}")  # fmt: skip
            remarks.append(f"the gradient of {name} has shape {grad.shape}, {name} itself {param.shape}")
        return np.asarray(grad, dtype=np.float64).reshape(param.shape), None
    if grad.shape == param.values.shape:
        return grad.astype(np.float64), None
    if grad.shape != tuple(param.shape):
        raise ValueError(
            f"{what} has shape {grad.shape}; the sparse params[{name!r}] needs {param.values.shape}, one "
            f"number per connection, or the dense shape {tuple(param.shape)}"
        )
    elsewhere = grad.astype(np.float64)  # (n_rows, n_cols)
    elsewhere[param.rows, param.cols] = 0.0
    return grad[param.rows, param.cols].astype(np.float64), elsewhere


def shape_hint(grad, param):
    """Return in words what a gradient of another shape may lack."""
    if grad.shape == param.shape[::-1]:
        return "; is it transposed?"
    for axis in range(grad.ndim):
        if grad.shape[:axis] + grad.shape[axis + 1 :] == param.shape:
            return f"; is a sum over axis {axis} missing?"
    return ""


def require_names(params, grads):
    """Raise a ValueError if `grads` holds a gradient of something that is not a parameter."""
    unknown = [name for name in grads if name not in params]
    if unknown:
        raise ValueError(
            f"grads has {unknown}, which params does not have ({list(params)}); "
            "name each gradient like its parameter, or leave it out"
        )


def require_loss(loss_at, scalar=True):
    """Return the loss; raise unless it is finite, real and twice the same; one number, or its terms if not `scalar`."""
    value = loss_at.base
    if scalar and np.shape(value) != ():
        raise ValueError(f"the loss has shape {np.shape(value)}; it must be one number: return its sum or mean")
    if np.asarray(value).dtype.kind not in "fiu":
        raise TypeError(f"the loss is {value!r} of type {np.asarray(value).dtype}; it must be one real number")
    total = float(np.sum(value))
    if not np.isfinite(total):
        raise ValueError(f"the loss is {total}; choose parameters and inputs at which it is finite")
    again = float(np.sum(loss_at()))
    if again != total:
        raise ValueError(
            f"the loss is {total} and, at the same parameters, {again} the second time; does it use dropout or "
            "another random draw? Create the generator with a fixed seed inside every call"
        )
    return total
