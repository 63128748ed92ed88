"""Arguments, checked at the entrance of a function: one line above it says what each has to be.

A *spec* is a function from the name of an argument and its value to the value to use, such as ``number("[0, 1]",
"a fraction")``; it raises an error of one line if the value does not fit. :func:`checked` applies specs by name.
"""

import functools
import inspect
import numbers
import threading
import types

import numpy as np

NUMBERS = "biufc"  # kinds of data types
_NO_NUMBERS = bool | np.timedelta64  # though both are instances of numbers.Integral


def short(value):
    """A value on one line of at most 60 characters, for a message."""
    try:
        if np.ndim(value) and hasattr(value, "shape"):
            return f"{type(value).__name__} of shape {value.shape}" + f" and dtype {value.dtype}" * hasattr(
                value, "dtype"
            )
        text = " ".join((str if isinstance(value, numbers.Number) else repr)(value).split())
    except Exception:  # a value that cannot be shown
        text = f"{type(value).__name__} object"
    return text if len(text) <= 60 else f"{text[:57]}..."


def number(interval, expected):
    """Spec of a real number in an interval such as "[0, 1)", made a float; `expected` is for the message."""
    low, high = (float(end) for end in interval[1:-1].split(","))

    def check(name, value, sizes=None):
        try:
            x = float(value) if isinstance(value, numbers.Real) and not isinstance(value, _NO_NUMBERS) else np.nan
        except OverflowError:
            x = np.nan
        above, below = low < x or (interval[0] == "[" and low == x), x < high or (interval[-1] == "]" and x == high)
        if not (above and below):
            raise ValueError(f"{name} is {short(value)}; expected {expected}")
        return x + 0.0  # 0.0 for -0.0, which NumPy takes for a negative number

    return check


def whole(low=0, high=2**63 - 1, expected=None):
    """Spec of a whole number in a range, made an int."""
    expected = f"a whole number from {low} to {high}" if expected is None else expected

    def check(name, value, sizes=None):
        is_whole = isinstance(value, numbers.Integral) and not isinstance(value, _NO_NUMBERS)
        if not (is_whole and low <= value <= high):
            raise ValueError(f"{name} is {short(value)}; expected {expected}")
        return int(value)

    return check


integer = whole(-(2**63))  # of either sign: a range that depends on other arguments is checked by the function


def choice(options):
    """Spec of one of several str."""

    def check(name, value, sizes=None):
        if not isinstance(value, str) or value not in options:
            raise ValueError(f"{name} is {short(value)}; expected one of {', '.join(map(repr, options))}")
        return value

    return check


def instance(kind, expected):
    """Spec of an instance of a class; `expected` is for the message."""

    def check(name, value, sizes=None):
        if not isinstance(value, kind):
            raise TypeError(f"{name} is {short(value)}, of type {type(value).__name__}; expected {expected}")
        return value

    return check


def having(method, expected):
    """Spec of something that has a method; `expected` is for the message."""

    def check(name, value, sizes=None):
        if not callable(getattr(value, method, None)):
            raise TypeError(f"{name} is {short(value)}; expected {expected}")
        return value

    return check


flag = instance(bool | np.bool_, "True or False")
generator = instance(np.random.Generator, "a numpy.random.Generator, such as np.random.default_rng(0)")


def float_type(name, value, sizes=None):
    """Spec of a floating-point or complex data type, made a numpy.dtype."""
    try:
        dtype = np.dtype(value)
    except Exception:  # NumPy raises several kinds
        dtype = None
    if dtype is None or dtype.kind not in "fc":
        raise TypeError(f"{name} is {short(value)}; expected a floating-point type, such as np.float32")
    return dtype


def as_array(name, value, kinds=NUMBERS):
    """An ndarray of something array-like, of one of the `kinds` of data types, or of any if None."""
    if np.ma.is_masked(value):
        raise ValueError(f"{name} has {np.ma.count_masked(value)} masked entries; expected numbers: fill or drop them")
    try:
        array = np.asarray(value)
    except Exception:  # such as lists of different lengths
        array = None
    if kinds == "iu" and array is not None and array.size == 0 and array.dtype.kind == "f":
        array = array.astype(int)  # NumPy makes floats of an empty list
    if array is None or (kinds is not None and array.dtype.kind not in kinds):
        got = f"{short(value)}, of type {type(value).__name__}"
        raise TypeError(f"{name} is {got}; expected an array of {'whole ' * (kinds == 'iu')}numbers")
    return array


def as_list(name, value, of):
    """A list of something that has entries in an order; `of` says what they have to be."""
    try:
        if not isinstance(value, str | bytes | set | dict):
            return list(value)
    except Exception:  # it cannot be iterated
        pass
    raise TypeError(f"{name} are {short(value)}; expected a list of {of}")


def array(shape="...", *, kinds=NUMBERS, or_sparse=False):
    """Spec of an array of numbers; whole numbers become floats. With `or_sparse` a SparseMatrix will do as well.

    `shape` names the axes, as in "N 4H", or is "..." for any shape, or "same" for that of all others that are "same";
    a name has one size in all arguments of a call.
    """
    axes = _parse_axes(shape)

    def check(name, value, sizes=None):
        is_float = type(value) is np.ndarray and value.dtype.kind in "fc" and kinds == NUMBERS  # most are
        if not (is_float or (or_sparse and hasattr(value, "topology"))):
            value = as_array(name, value, kinds)
            value = value.astype(float) if kinds == NUMBERS and value.dtype.kind in "biu" else value
        if shape == "same":
            if value.shape != sizes.setdefault("same", value.shape):
                raise ValueError(f"{name} has shape {value.shape}; expected {sizes['same']}, as all others have")
        elif shape != "...":
            _check_axes(name, value.shape, axes, sizes)
        return value

    return check


def matrix(shape="..."):
    """Spec of a SparseMatrix or an array."""
    return array(shape, or_sparse=True)


def ages(name, value, sizes):
    """Spec of an array of ages: of the shape of the arrays that are "same", or ()."""
    value = as_array(name, value, "iu")
    if value.shape not in ((), sizes["same"]) or value.min(initial=0) < 0 or value.max(initial=0) >= 2**31 - 1:
        got = f"shape {value.shape} and numbers from {value.min(initial=0)} to {value.max(initial=0)}"
        raise ValueError(f"{name} has {got}; expected {sizes['same']} or (), and numbers from 0 to {2**31 - 2}")
    return value


def check_addend(name, value, target):
    """Reject an array that cannot be added in place to another one, `target`."""
    instance(np.ndarray, "an array")(f"what {name} changes", target)
    if instance(np.ndarray, "an array")(name, value).shape != target.shape:
        raise ValueError(f"{name} has shape {value.shape}; its weights have {target.shape}")
    if not np.can_cast(as_array(name, value).dtype, target.dtype, "same_kind"):
        raise TypeError(f"{name} is {value.dtype}; expected a type that can be added to {target.dtype}")
    if not target.flags.writeable:
        raise ValueError(f"{name} is to change read-only weights; expected writable ones: make a copy")


def or_none(spec):
    """Spec that also accepts None, without a default of the function."""
    return lambda name, value, sizes: None if value is None else spec(name, value, sizes)


def _parse_axes(shape):
    """The axes of a shape such as "N 4H": [(1, "N"), (4, "H")]."""
    names = [(axis, axis.lstrip("0123456789")) for axis in shape.split()]
    return [(int(axis[: -len(letters)] or 1), letters) for axis, letters in names]


def _check_axes(name, shape, axes, sizes):
    fits = len(shape) == len(axes)
    for (factor, letters), size in zip(axes, shape, strict=False):
        fits &= size == factor * sizes.setdefault(letters, size // factor)
    if not fits:
        expected = ", ".join(f"{factor}{letters}" if factor > 1 else letters for factor, letters in axes)
        known = ", ".join(f"{letters} = {size}" for letters, size in sizes.items() if len(shape) == len(axes))
        raise ValueError(f"{name} has shape {tuple(shape)}; expected ({expected})" + f" with {known}" * bool(known))


def cache(kind, source, **axes):
    """Spec of the cache that the function `source` returned; `axes` names the axes of some of its arrays."""
    is_cache = instance(kind, f"the cache that {source} returned")
    axes = {field: _parse_axes(shape) for field, shape in axes.items()}

    def check(name, value, sizes):
        is_cache(name, value)
        for field, field_axes in axes.items():
            _check_axes(f"{name}.{field}", getattr(value, field).shape, field_axes, sizes)
        return value

    return check


def checked(*, finite=True, trusting=False, **specs):
    """Decorate a function whose arguments have to fit `specs`, and whose result has to be finite, if `finite`.

    NumPy's warnings of overflows and invalid operations become one FloatingPointError, which names the cause. What a
    `trusting` function calls is not checked again: an LSTM has a checked function called at every time step.
    """

    def decorate(function):
        parameters = inspect.signature(function).parameters
        optional = {name for name, parameter in parameters.items() if parameter.default is None}
        named = {name: p for name, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        required = {name for name, parameter in named.items() if parameter.default is parameter.empty}
        names, run, whole_check = list(parameters), _run, (specs, required, optional, finite, trusting)

        def call(*args, **kwargs):
            return run(function, names, args, kwargs, *whole_check)

        # doctest reads from a function's globals which module it belongs to
        call = types.FunctionType(call.__code__, function.__globals__, closure=call.__closure__)
        return functools.update_wrapper(call, function)

    return decorate


class _Inside(threading.local):
    a_trusting_function = False


_inside = _Inside()


def _run(function, names, args, kwargs, specs, required, optional, finite, trusting):
    if _inside.a_trusting_function:
        return function(*args, **kwargs)
    arguments, sizes = dict(zip(names, args, strict=False)) | kwargs, {}
    if not required <= arguments.keys():
        return function(*args, **kwargs)  # Python says what is missing
    for name, spec in specs.items():
        if name in arguments and not (name in optional and arguments[name] is None):
            arguments[name] = spec(name, arguments[name], sizes)
    positional = (*list(arguments.values())[: len(args)], *args[len(names) :])
    _inside.a_trusting_function = trusting
    try:
        with np.errstate(all="ignore"):
            result = function(*positional, **{name: arguments[name] for name in kwargs})
    finally:
        _inside.a_trusting_function = False
    if finite and not _is_finite(result):
        names = {name: type(value).__name__ if name == "self" else name for name, value in arguments.items()}
        causes = [names[name] for name, value in arguments.items() if not _is_finite(value)]
        cause = f"there are such numbers in {' and '.join(causes)}" if causes else "it overflows or is undefined"
        raise FloatingPointError(
            f"the result of {function.__name__}({', '.join(names.values())}) is NaN or infinite: {cause}; if training "
            "has diverged, lower the learning rates"
        )
    return result


def _is_finite(value):
    if type(value) is np.ndarray:
        return value.dtype.kind not in "fc" or np.isfinite(value).all()
    if type(value) in (tuple, dict) or hasattr(value, "db"):  # caches need no check: results are computed from them
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    value = getattr(value, "values", value)  # of a SparseMatrix
    return _is_finite(np.asarray(value)) if isinstance(value, np.ndarray | np.generic) else True
