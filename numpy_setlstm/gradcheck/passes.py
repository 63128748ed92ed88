"""Calling the forward and the backward method of an object: under which names, with which arguments."""

import numpy as np

from .adapters import RATES, as_dict, same_random_numbers, signature_of
from .paths import children, flatten, is_floats, put, rebuild
from .returned import require

FORWARD = ("forward", "forward_pass", "forward_propagation", "forward_prop", "fprop", "feedforward", "feed_forward",
           "propagate", "__call__")  # fmt: skip
BACKWARD = ("backward", "backward_pass", "backward_propagation", "back_propagation", "backward_prop", "backpropagation",
            "backprop", "back_prop", "bprop", "backpropagate", "gradient")  # fmt: skip
SEPARATE = ("compute_gradients", "compute_grads", "calculate_gradients", "calc_gradients", "accumulate_gradients")
OUTPUTS = ("output", "outputs", "out", "output_data", "y", "Y", "a", "A", "activation", "z", "Z")
CACHES = ("cache", "caches", "ctx", "context", "memory", "saved")
UPDATES = (
    "update",
    "step",
    "apply",
    "update_params",
    "apply_gradient",
    "apply_gradients",
    "optimize",
    "update_weights",
)


def method_of(layer, names):
    """Return the first of the names that is a method of a layer, or None."""
    return next((name for name in names if callable(getattr(layer, name, None))), None)


class Passes:
    """The two methods of a layer's class, and how their arguments are filled."""

    def __init__(self, layer, inputs, forward=None, backward=None):
        self.forward_name, self.backward_name = (
            forward or method_of(layer, FORWARD),
            backward or method_of(layer, BACKWARD),
        )
        if self.forward_name is None or self.backward_name is None or isinstance(layer, type):
            raise TypeError(
                f"a {type(layer).__name__} was given without a backward function; give both functions, or an object "
                f"with methods {FORWARD[0]} and {BACKWARD[0]} (or {FORWARD[1]} and {BACKWARD[1]}, ...)"
            )
        method = getattr(layer, self.forward_name)
        self.given, self.by_keyword = as_dict(inputs, signature_of(method)[0], "input")
        self.inputs = {leaf: v for name, value in self.given.items() for leaf, v in flatten(name, value).items()}
        method = getattr(layer, self.backward_name)
        self.names, self.required, self.known = signature_of(method)
        self.takes_cache = "cache" in " ".join(self.names)
        self.takes_rate = bool(set(self.names) & set(RATES))
        known = {*RATES, *CACHES, *(self.given if len(self.required) > 1 else ())}
        free = [name for name in self.names if name not in known and "cache" not in name]
        # Of several arguments with a default, such as dout=1 and retain=True, only the first is a gradient.
        self.upstream = [n for k, n in enumerate(free) if n in self.required or k == 0 or n.startswith(("d", "grad"))]

    def run_forward(self, layer, inputs):
        """Run the forward method; return the list of its outputs, or what it stored as its output."""
        leaves = {n: v.copy() if isinstance(v, np.ndarray) else v for n, v in inputs.items()}
        given = {name: rebuild(name, value, leaves) for name, value in self.given.items()}
        with same_random_numbers():
            method = getattr(layer, self.forward_name)
            result = method(**given) if self.by_keyword else method(*given.values())
        if result is None:
            stored = (vars(layer).get(name) for name in OUTPUTS)
            result = next((out for out in stored if isinstance(out, np.ndarray) and out.dtype.kind in "fc"), None)
            require(result is not None, f"{self.forward_name} returned None and stored nothing as {OUTPUTS[0]}")
        return list(result) if isinstance(result, tuple) else [result]

    def run_backward(self, layer, more, douts):
        """Run the backward method; return (result, log); log has the (parameter, gradient) handed to an optimizer."""
        douts, more, values = list(douts), list(more), {}
        for name in self.names:
            if name in RATES:
                values[name] = 1.0
            elif name in self.upstream and douts:
                values[name] = douts.pop(0)
            elif "cache" in name or name in CACHES:
                values |= {name: more.pop()} if more else {}
            elif name in self.given and name in self.required:
                values[name] = self.given[name]
        log = []
        replace_optimizers(layer, log, self.backward_name)
        method = getattr(layer, self.backward_name)
        with same_random_numbers():
            result = method(**values) if self.names or self.known else method(*douts, *more)
            for name in SEPARATE:
                if callable(getattr(layer, name, None)) and not signature_of(getattr(layer, name))[1]:
                    getattr(layer, name)()
        return result, log


class Recorder:
    """In the place of an optimizer: it logs parameters with their gradients, and changes nothing."""

    def __init__(self, log):
        self._log = log

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self._record

    def _record(self, *arguments, **keywords):
        """Log the first two arguments, arrays or nests of arrays, as parameters and gradients; return the first."""
        pair = [a for a in (*arguments, *keywords.values()) if isinstance(a, np.ndarray | list | tuple | dict)][:2]
        if len(pair) == 2:
            one, two = (list(flatten("", thing).values()) for thing in pair)
            self._log += zip(one, two, strict=False)
        return pair[0] if pair else None


def replace_optimizers(thing, log, backward_name, depth=3):
    """Put a Recorder in the place of every optimizer that an object holds."""
    for step, child in children(thing):
        if hasattr(child, "__dict__") and not hasattr(child, backward_name) and method_of(child, UPDATES):
            put(thing, (step,), Recorder(log))
        elif depth and not is_floats(child):
            replace_optimizers(child, log, backward_name, depth - 1)
