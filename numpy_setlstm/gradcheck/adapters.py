"""A common interface to other people's layers: arguments by name in, outputs and cache out, gradients by name."""

import copy
import inspect
from dataclasses import fields, is_dataclass

import numpy as np

from .numeric import is_sparse


def require(condition, message):
    """Raise a ValueError with the message unless the condition holds."""
    if not condition:
        raise ValueError(message)


def positional_names(function):
    """Return the names of a function's positional arguments, or () if its signature is not available."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return ()
    return tuple(p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))


def as_dict(values, names, word):
    """Return values as a dict, and whether they were one; a tuple is named after the signature."""
    if isinstance(values, np.ndarray) or is_sparse(values):
        values = (values,)
    if hasattr(values, "items"):
        return dict(values), True
    names = list(names[: len(values)]) + [f"{word} {k + 1}" for k in range(len(names), len(values))]
    return dict(zip(names, values, strict=True)), False


class FunctionLayer:
    """A pair of functions ``forward(...) -> (out, cache)`` and ``backward(dout, cache) -> gradients``.

    `arguments` holds all arguments of `forward` by name, in the order of its signature.
    """

    repeatable = True  # backward must return the same gradients again for the same cache

    def __init__(self, forward, backward, inputs, params):
        self.forward_function, self.backward_function = forward, backward
        names = positional_names(forward)
        inputs, inputs_by_name = as_dict(inputs, names, "input")
        free = [name for name in names if name not in inputs]
        params, params_by_name = as_dict(params, free, "param")
        both = sorted(set(inputs) & set(params))
        require(not both, f"{both} is in both inputs and params; give each array once")
        whole = params_by_name and params and free and not set(params) & set(names)
        self.dict_argument = free[0] if whole else None  # the one argument that takes the dict of all parameters
        self.param_names = list(params)
        self.positional = ([] if inputs_by_name else list(inputs)) + ([] if params_by_name else list(params))
        given = {**inputs, **params}
        in_order = [name for name in names if name in given] + [name for name in given if name not in names]
        self.arguments = {name: given[name] for name in in_order}

    def forward(self, arguments):
        """Call the forward function; return the list of its outputs, and the cache."""
        keywords = {name: value for name, value in arguments.items() if name not in self.positional}
        if self.dict_argument:
            keywords[self.dict_argument] = {name: keywords.pop(name) for name in self.param_names}
        result = self.forward_function(*(arguments[name] for name in self.positional), **keywords)
        if not isinstance(result, tuple) or len(result) < 2:
            raise TypeError(
                f"forward returned a {type(result).__name__}; expected (out, cache): the output, and what "
                "backward needs. For a function without a cache use check_gradients"
            )
        return list(result[:-1]), result[-1]

    def backward(self, douts, cache, names, grad_names):
        """Call the backward function; return the gradients by argument name."""
        return gradients_by_name(self.backward_function(*douts, cache), names, grad_names)


class ObjectLayer:
    """An object with methods `forward` and `backward` that stores its parameters and their gradients.

    Every forward pass runs on a copy, so the object itself never changes.
    """

    repeatable = False  # such a layer may accumulate gradients until they are reset

    def __init__(self, layer, inputs, params):
        if not (hasattr(layer, "forward") and hasattr(layer, "backward")):
            raise TypeError(
                f"a {type(layer).__name__} was given without a backward function; give both functions, or an "
                "object with methods forward and backward"
            )
        self.layer = layer
        inputs, self.by_keyword = as_dict(inputs, positional_names(layer.forward), "input")
        self.input_names = list(inputs)
        if not hasattr(params, "items"):
            params = {name: parameter_store(layer, name)[name] for name in params}
        self.param_names = list(params)
        self.arguments = {**inputs, **params}

    def forward(self, arguments):
        """Run `forward` on a copy of the object with the given parameters; the copy is part of the cache."""
        layer = copy.deepcopy(self.layer)
        for name in self.param_names:
            parameter_store(layer, name)[name] = arguments[name]
        inputs = {name: arguments[name] for name in self.input_names}
        result = layer.forward(**inputs) if self.by_keyword else layer.forward(*inputs.values())
        outs = list(result) if isinstance(result, tuple) else [result]
        takes_cache = "cache" in " ".join(positional_names(layer.backward))
        cache = [outs.pop()] if takes_cache and len(outs) > 1 else []
        return outs, (layer, cache)

    def backward(self, douts, cache, names, grad_names):
        """Run the method `backward`; return its result and the gradients stored in the object, by name."""
        layer, more = cache
        result = layer.backward(*douts, *more)
        stored = {name: stored_gradient(layer, name) for name in names if name in self.param_names}
        stored = {name: grad for name, grad in stored.items() if grad is not None}
        return {**stored, **gradients_by_name(result, [name for name in names if name not in stored], grad_names)}


def parameter_store(layer, name):
    """Return the dict that holds a layer's parameter: its attributes, or its `params`."""
    for store in (vars(layer), getattr(layer, "params", {})):
        if name in store:
            return store
    raise ValueError(f"the {type(layer).__name__} has no parameter {name!r}, and neither has its `params`")


def gradient_spellings(name):
    """Return the names that the gradient of `name` may have."""
    return (f"d{name}", f"d_{name}", f"grad_{name}", f"{name}_grad", f"{name}.grad", name)


def stored_gradient(layer, name):
    """Return the gradient of a parameter that a layer stores, or None."""
    found = {key: value for key, value in vars(layer).items() if key != name}
    for store in (found, *(vars(layer).get(key, {}) for key in ("grads", "gradients", "dparams", "grad"))):
        for spelling in gradient_spellings(name):
            if isinstance(store, dict) and spelling in store:
                return store[spelling]
    return None


def gradients_by_name(result, names, grad_names):
    """Return the result of a backward pass as a dict from the arguments in `names` to their gradients.

    `grad_names` is the order of an unnamed tuple if it is not that of `names`.
    """
    given, unnamed = split_result(result)
    grads = {}
    for name in names:
        for spelling in gradient_spellings(name):
            if given.get(spelling) is not None:
                grads[name] = given[spelling]
                break
    wanted = list(grad_names) if grad_names else [name for name in names if name not in grads]
    if unnamed:
        require(
            len(unnamed) == len(wanted),
            f"backward returned {len(unnamed)} gradients for {len(wanted)} arguments {wanted}, in this order "
            "(integer arrays have none); return one for each, or name them: grad_names=('x', 'W')",
        )
        grads.update((name, grad) for name, grad in zip(wanted, unnamed, strict=True) if name in names)
    missing = [name for name in names if grads.get(name) is None]
    require(
        not missing,
        f"backward returned no gradient of {missing}; it returned {list(given) or len(unnamed)}. Name each gradient "
        f"d + the name of its argument, or leave the argument out of the check: skip={missing}",
    )
    return grads


def split_result(result):
    """Return the named gradients (dict) and the unnamed ones (list); a tuple may end in a dict, as in (dx, grads)."""
    if hasattr(result, "_asdict"):
        result = result._asdict()
    elif is_dataclass(result) and not is_sparse(result):
        result = {field.name: getattr(result, field.name) for field in fields(result)}
    if result is None:
        result = ()
    elif not isinstance(result, tuple | list):
        result = (result,)
    named = {key: grad for part in result if isinstance(part, dict) for key, grad in part.items()}
    return named, [part for part in result if not isinstance(part, dict)]
