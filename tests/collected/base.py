"""What a collected layer is, its wrong variants, and its true gradient, measured without the package."""

import inspect
import linecache
import textwrap
import types
from dataclasses import dataclass

import numpy as np

LAYERS = {}


@dataclass(frozen=True)
class Case:
    """A layer at one point. `arrays` are live: changing them in place changes what `forward` returns."""

    arrays: dict  # name -> ndarray of float64: what has a gradient
    forward: callable  # forward() -> the output, or a tuple of outputs
    backward: callable  # backward(dout, ...) -> the gradients, in the order of `arrays`
    check: callable  # check(check_layer, **options) -> the report, by the call that a teacher writes

    @property
    def n_entries(self):
        return sum(array.size for array in self.arrays.values())


@dataclass(frozen=True)
class Layer:
    """An entry of the collection."""

    name: str
    style: str  # one line: the layout and the habit
    code: tuple  # the functions and classes that it consists of
    make: callable  # make(rng) -> Case
    adapter: str = ""  # the one line needed, if it cannot work without
    kind: str = ""  # the module of the collection


def layer(name, style, *code, adapter=""):
    """Enter the decorated function, which makes a Case, into the collection."""

    def enter(make):
        assert name not in LAYERS, name
        LAYERS[name] = Layer(name, style, code, make, adapter, make.__module__.split(".")[-1])
        return make

    return enter


def source_of(entry):
    """Return the source text of a layer's functions and classes."""
    return "\n\n".join(textwrap.dedent(inspect.getsource(piece)) for piece in entry.code)


def variant(entry, *changes):
    """Return the layer with its source text changed: each change is a pair (old, new), and old occurs once."""
    text = source_of(entry)
    for old, new in changes:
        assert text.count(old) == 1, f"{entry.name}: {old!r} occurs {text.count(old)} times"
        text = text.replace(old, new)
    return recompiled(entry, text)


def in_double(entry):
    """Return the layer with float64 wherever its source says float32."""
    text = source_of(entry)
    return recompiled(entry, text.replace("float32", "float64")) if "float32" in text else entry


def recompiled(entry, text):
    """Return the layer with another source text, in a module of its own."""
    file = f"<{entry.name} {abs(hash(text)):x}>"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)  # for tracebacks
    namespace = dict(entry.make.__globals__)
    exec(compile(text, file, "exec"), namespace)
    code, closure = entry.make.__code__, entry.make.__closure__
    make = types.FunctionType(code, namespace, code.co_name, entry.make.__defaults__, closure)
    return Layer(entry.name, entry.style, entry.code, make, entry.adapter, entry.kind)


# The true gradient


def as_list(outs):
    return list(outs) if isinstance(outs, tuple | list) else [outs]


def upstream(outs):
    """Return an upstream gradient for every output: random, but 1 for a loss."""
    rng = np.random.default_rng(1)
    return [rng.normal(size=np.shape(out)) if np.ndim(out) else np.float64(1) for out in as_list(outs)]


def analytic_gradient(case):
    """Return what the layer's backward pass gives: dict name -> ndarray, or None where it gives nothing."""
    douts = upstream(case.forward())
    grads = case.backward(*(dout.copy() for dout in douts))
    return {
        name: None if g is None else np.array(g, np.float64) for name, g in zip(case.arrays, grads, strict=True)
    }  # fmt: skip


def measured_gradient(case, step=5e-5):
    """Return the gradient by extrapolated central differences: dict name -> ndarray."""
    douts = upstream(case.forward())

    def loss():
        return sum(np.sum(np.asarray(out, np.float64) * d) for out, d in zip(as_list(case.forward()), douts))  # noqa: B905

    grads = {}
    for name, array in case.arrays.items():
        grads[name] = np.zeros(array.shape)
        for place in np.ndindex(array.shape):
            middle, slopes = array[place], []
            for h in (step, step / 2):
                array[place] = middle + h
                above = loss()
                array[place] = middle - h
                slopes.append((above - loss()) / (2 * h))
                array[place] = middle
            grads[name][place] = (4 * slopes[1] - slopes[0]) / 3
    return grads


def gradient_error(entry, seed=0):
    """Return the largest error of the layer's gradient, relative to the largest gradient of the array, and its name.

    A gradient that is missing, of another shape or not finite counts as an infinite error.
    """
    analytic, measured = analytic_gradient(entry.make(np.random.default_rng(seed))), None
    measured = measured_gradient(entry.make(np.random.default_rng(seed)))
    errors = {}
    for name, true in measured.items():
        given = analytic[name]
        if given is None or given.shape != true.shape or not np.isfinite(given).all():
            errors[name] = np.inf
            continue
        scale = max(np.abs(given).max(), np.abs(true).max())
        assert scale > 1e-3, f"{entry.name}: {name} has hardly any gradient at this point"
        errors[name] = float(np.abs(given - true).max() / scale)
    worst = max(errors, key=errors.get)
    return errors[worst], worst


# Cases of the usual forms


def draw(rng, *shapes):
    """Return random arrays."""
    return tuple(rng.normal(size=shape) for shape in shapes)


def floats(arguments):
    """Return the arrays of floats of a dict, except those whose name starts with _."""
    found = {}
    for name, value in arguments.items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and not name.startswith("_"):
            found[name] = value
    return found


def only(**options):
    """Return those options that are given."""
    return {name: value for name, value in options.items() if value}


def of_functions(forward, backward, *, check=None, pick=None, skip=(), **arguments):
    """Return the case of ``forward(*arguments) -> (out, cache)`` and ``backward(dout, cache) -> gradients``.

    Arguments without a gradient are integers, settings, or have names that start with _. `pick` brings the gradients
    into the order of the arguments.
    """
    state = {}

    def run():
        *outs, state["cache"] = forward(*arguments.values())
        return tuple(outs)

    def undo(*douts):
        result = backward(*douts, state["cache"])
        return pick(result) if pick else as_list(result)

    def plain(check_layer, **options):
        return check_layer(forward, backward, tuple(arguments.values()), **only(skip=skip), **options)

    return Case(floats(arguments), run, undo, check or plain)


def of_object(
    layer, params=(), grads=None, *, forward="forward", backward="backward", before=None, check=None, skip=(), **inputs
):  # fmt: skip
    """Return the case of a layer object.

    `params` are its weights as they lie in the object, a dict of names; `grads()` returns their gradients after the
    backward pass, in the same order; `before()` is called before each forward pass. Inputs whose names start with _
    have no gradient.
    """
    params = dict(params)

    def run():
        if before:
            before()
        return getattr(layer, forward)(*inputs.values())

    def undo(*douts):
        result = getattr(layer, backward)(*douts)
        return [*(as_list(result) if floats(inputs) else []), *(grads() if grads else [])]

    def plain(check_layer, **options):
        return check_layer(layer, inputs=tuple(inputs.values()), **only(skip=skip), **options)

    return Case(floats(inputs) | params, run, undo, check or plain)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))
