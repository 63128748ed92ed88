"""A common interface to pairs of functions: arguments by name in, outputs and cache out, gradients by name."""

import copy
import inspect
from contextlib import contextmanager

import numpy as np

from .numeric import is_sparse
from .paths import flatten, rebuild
from .returned import gradients_by_name, require

RATES = ("lr", "learning_rate", "learn_rate", "eta", "alpha", "rate", "step_size")  # arguments, or attributes


def signature_of(function):
    """Return (names, required, known): the positional arguments, those without a default, whether these are all."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return (), (), False
    positional = [p for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = tuple(p.name for p in positional if p.default is p.empty)
    return tuple(p.name for p in positional), required, not any(p.kind == p.VAR_POSITIONAL for p in found)


def as_dict(values, names, word):
    """Return values as a dict, and whether they were one; a tuple is named after the signature."""
    if isinstance(values, np.ndarray) or is_sparse(values):
        values = (values,)
    if hasattr(values, "items"):
        return dict(values), True
    names = list(names[: len(values)]) + [f"{word} {k + 1}" for k in range(len(names), len(values))]
    return dict(zip(names, values, strict=True)), False


@contextmanager
def same_random_numbers():
    """Within it, NumPy's global random numbers are always the same ones; after it, as if nothing had happened."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def own_copy(value):
    """Return a copy of a setting, which the layer may change; arrays are shared."""
    return value if isinstance(value, np.ndarray) or is_sparse(value) or callable(value) else copy.deepcopy(value)


class FunctionLayer:
    """A pair of functions ``forward(...) -> (out, cache)`` and ``backward(dout, cache) -> gradients``.

    `arguments` holds those of `forward`, nests taken apart. Without `backward`, `forward` returns (loss, gradients).
    """

    repeatable = True  # backward must return the same gradients again for the same cache
    unchecked = ()

    def __init__(self, forward, backward, inputs, params):
        self.forward_function, self.backward_function = forward, backward
        self.ignores_upstream = backward is None
        names = signature_of(forward)[0]
        inputs, inputs_by_name = as_dict(inputs, names, "input")
        free = [name for name in names if name not in inputs]
        params, params_by_name = as_dict(params, free, "param")
        both = sorted(set(inputs) & set(params))
        require(not both, f"{both} is in both inputs and params; give each array once")
        whole = params_by_name and params and free and not set(params) & set(names)
        self.dict_argument = free[0] if whole else None  # the one argument that takes the dict of all parameters
        self.top_params = list(params)
        self.positional = ([] if inputs_by_name else list(inputs)) + ([] if params_by_name else list(params))
        given = {**inputs, **params}
        in_order = [name for name in names if name in given] + [name for name in given if name not in names]
        self.given = {name: given[name] for name in in_order}
        self.arguments = {leaf: v for name, value in self.given.items() for leaf, v in flatten(name, value).items()}
        self.param_names = [leaf for name in params for leaf in flatten(name, params[name])]

    def forward(self, arguments):
        """Call the forward function; return the list of its outputs, and the cache."""
        given = {name: own_copy(rebuild(name, value, arguments)) for name, value in self.given.items()}
        keywords = {name: value for name, value in given.items() if name not in self.positional}
        if self.dict_argument:
            keywords[self.dict_argument] = {name: keywords.pop(name) for name in self.top_params}
        with same_random_numbers():
            result = self.forward_function(*(given[name] for name in self.positional), **keywords)
        if not isinstance(result, tuple) or len(result) < 2:
            raise TypeError(
                f"forward returned a {type(result).__name__}; expected (out, cache): the output, and what "
                "backward needs. For a function without a cache use check_gradients"
            )
        if self.backward_function is None and np.ndim(result[0]):
            raise TypeError(
                f"{getattr(self.forward_function, '__name__', 'forward')} was given without a backward function and "
                f"returns first an array of shape {np.shape(result[0])}; give both functions, or one that returns "
                "(loss, gradients)"
            )
        if self.backward_function is None:
            return [result[0]], result[1] if len(result) == 2 else result[1:]
        return list(result[:-1]), result[-1]

    def backward(self, douts, cache, arguments, grad_names):
        """Call the backward function; return the gradients by argument name."""
        result = cache if self.backward_function is None else self.backward_function(*douts, cache)
        return gradients_by_name(result, arguments, grad_names)

    def n_upstream(self, n_outs):
        """Return of how many outputs backward takes the gradient."""
        return n_outs
