"""Complex arrays that pass for real ones: the complex step through abs, var, comparisons and buffers of floats.

Every rule here is the real function, continued along the direction of the step. What comes out is compared with plain
differences before it is trusted (:mod:`~numpy_setlstm.gradcheck.slopes`).
"""

import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np

NOT_CHECKED = (str(Path(np.__file__).parent), str(Path(__file__).parent))  # folders whose code makes its own arrays
LOCK = threading.RLock()  # only one thread at a time replaces NumPy's functions
ACTIVE = threading.local()


class Lifted(np.ndarray):
    """A complex array whose imaginary part is the derivative along a step; everything else sees the real part."""

    __array_priority__ = 100

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        """Compute with complex numbers, by the rule of `RULES` if the function knows only real ones."""
        inputs = [lower(x) for x in inputs]
        if np.dtype(kwargs.get("dtype") or complex).kind == "f":
            note_precision(kwargs.pop("dtype"))
        rule = RULES.get(ufunc.__name__) if method == "__call__" else None
        if rule is not None:
            result = rule(ufunc, *inputs)
            if out is not None:
                np.copyto(lower(out[0]), result, where=kwargs.get("where", True))
        else:
            if out is not None:
                kwargs["out"] = tuple(lower(x) for x in out)
            result = getattr(ufunc, method)(*inputs, **kwargs)
        if out is not None:
            return out[0] if len(out) == 1 else out
        return lift(result)

    def __array_function__(self, func, types, args, kwargs):
        """Compute with complex arrays, by the rule of `FUNCTIONS` if the function would look at the imaginary part."""
        args, kwargs = lower_all(args), lower_all(kwargs)
        if np.dtype(kwargs.get("dtype") or complex).kind == "f":
            note_precision(kwargs.pop("dtype"))
        return lift(FUNCTIONS.get(func, func)(*args, **kwargs))

    def __getitem__(self, index):
        """Return an entry as an array without axes, which keeps the derivative."""
        return lift(lower(self)[lower_all(index)])

    def __setitem__(self, index, value):
        """Write complex numbers."""
        lower(self)[lower_all(index)] = lower_all(value)

    def __float__(self):
        """Refuse: a float cannot keep the derivative."""
        if np.any(lower(self).imag):
            raise TypeError("float() keeps only the real part")
        return float(lower(self).real)

    def __int__(self):
        """Return the real part as an int, which has no derivative."""
        return int(lower(self).real)

    @property
    def real(self):
        """The array itself, which stands for a real one."""
        return self

    @property
    def imag(self):
        """Zero, as of a real array."""
        return np.zeros(self.shape)

    def astype(self, dtype, *args, **kwargs):
        """Stay complex instead of float; note the precision; convert the real part to anything else."""
        if np.dtype(dtype).kind in "fc":
            note_precision(dtype)
            return self.copy()
        return lower(self).real.astype(dtype, *args, **kwargs)


def lower(x):
    """Return a Lifted array as an ordinary complex one that shares its memory; anything else as it is."""
    return x.view(np.ndarray) if isinstance(x, Lifted) else x


def lower_all(values):
    """Apply `lower` inside of tuples, lists and dicts."""
    if isinstance(values, list) or type(values) is tuple:
        return type(values)(lower_all(value) for value in values)
    if isinstance(values, dict):
        return {key: lower_all(value) for key, value in values.items()}
    return lower(values)


def lift(result):
    """Return complex numbers as Lifted arrays, also inside of tuples and lists; anything else as it is."""
    if isinstance(result, list) or type(result) is tuple:
        return type(result)(lift(value) for value in result)
    if isinstance(result, np.complexfloating) or (isinstance(result, np.ndarray) and result.dtype.kind == "c"):
        return np.asarray(result, np.complex128).view(Lifted)
    return result


def lift_floats(value):
    """Return an array of floats as a Lifted copy; anything else as it is."""
    is_float = type(value) is np.ndarray and value.dtype.kind == "f"
    return value.astype(np.complex128).view(Lifted) if is_float else value


def real_of(x):
    """Return the real part of a number or an array."""
    return x.real if np.iscomplexobj(x) else x


def variance(x, axis=None, dtype=None, out=None, ddof=0, keepdims=False, **kwargs):
    """Return the variance, with squares instead of squared magnitudes."""
    squares = (x - x.mean(axis=axis, keepdims=True)) ** 2
    n = squares.size / max(1, squares.sum(axis=axis).size)
    return squares.sum(axis=axis, keepdims=keepdims) / (n - ddof)


def norm(x, ord=None, axis=None, keepdims=False):
    """Return the norm as of real numbers."""
    if ord is None or (ord == 2 and (np.ndim(x) == 1 or isinstance(axis, int))):
        return np.sqrt((x * x).sum(axis=axis, keepdims=keepdims))
    raise TypeError(f"norm with ord={ord!r} is known for real numbers only")


COMPARISONS = ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "logical_not", "logical_and",
               "logical_or", "logical_xor", "isnan", "isinf", "isfinite", "signbit")  # fmt: skip
RULES = (
    dict.fromkeys(COMPARISONS, lambda f, *x: f(*map(real_of, x)))
    | dict.fromkeys(
        ("sign", "floor", "ceil", "rint", "trunc", "heaviside", "floor_divide"), lambda f, *x: f(*map(real_of, x)) + 0j
    )
    | dict.fromkeys(("absolute", "fabs"), lambda _, x: np.where(real_of(x) < 0, -x, x))
    | dict.fromkeys(("maximum", "fmax"), lambda _, a, b: np.where(real_of(a) >= real_of(b), a, b) + 0j)
    | dict.fromkeys(("minimum", "fmin"), lambda _, a, b: np.where(real_of(a) <= real_of(b), a, b) + 0j)
    | {
        "conjugate": lambda _, x: x,
        "hypot": lambda _, a, b: np.sqrt(a * a + b * b),
        "cbrt": lambda _, x: np.cbrt(x.real) * (1 + 1j * x.imag / (3 * x.real)),
        "remainder": lambda _, a, b: a - b * np.floor(real_of(a) / real_of(b)),
        "expit": lambda _, x: (1 + np.tanh(x / 2)) / 2,
    }
)
FUNCTIONS = {
    np.var: variance,
    np.std: lambda *args, **kwargs: np.sqrt(variance(*args, **kwargs)),
    np.linalg.norm: norm,
    np.real: lambda x: x,
    np.imag: lambda x: np.zeros(np.shape(x)),
    np.iscomplexobj: lambda x: False,
    np.isrealobj: lambda x: True,
    np.vdot: lambda a, b: np.dot(np.ravel(a), np.ravel(b)),
    np.correlate: lambda a, v, mode="valid": np.correlate(a, np.conj(v), mode),
    np.round: lambda x, *args, **kwargs: np.round(real_of(x), *args, **kwargs) + 0j,
} | {
    function: lambda x, *args, function=function, **kwargs: function(real_of(x), *args, **kwargs)
    for function in (np.argmax, np.argmin, np.argsort, np.nonzero, np.count_nonzero, np.any, np.all)
}
METHODS = FUNCTIONS | {np.conj: lambda x: x, np.dot: lambda x, y: np.dot(x, lower(y))}
for function in (
    np.var,
    np.std,
    np.round,
    np.argmax,
    np.argmin,
    np.argsort,
    np.nonzero,
    np.any,
    np.all,
    np.dot,
    np.conj,
):
    keeps = lambda self, *args, f=METHODS[function], **keys: lift(f(lower(self), *args, **keys))  # noqa: E731
    setattr(Lifted, function.__name__, keeps)
Lifted.conj = Lifted.conjugate
MAKERS = ("zeros", "empty", "ones", "full", "zeros_like", "empty_like", "ones_like", "full_like", "array")
CONVERTERS = ("asarray", "asanyarray", "ascontiguousarray")


def note_precision(dtype):
    """Note a type of less than double precision that the checked code asked for."""
    if np.dtype(dtype).kind == "f" and getattr(ACTIVE, "notes", None) is not None:
        ACTIVE.notes.append(np.dtype(dtype))


def is_active():
    """Return whether this thread is inside of `lifting`."""
    return getattr(ACTIVE, "notes", None) is not None


@contextmanager
def lifting():
    """Within it, the arrays of floats that this thread makes (np.zeros, ...) are Lifted; yields noted float types."""
    originals = {name: getattr(np, name) for name in MAKERS + CONVERTERS}
    with LOCK:
        ACTIVE.notes = []
        try:
            for name, original in originals.items():
                setattr(np, name, replacement(original, copies=name in MAKERS))
            yield ACTIVE.notes
        finally:
            ACTIVE.notes = None
            for name, original in originals.items():
                setattr(np, name, original)


def replacement(original, copies):
    """Return a function like NumPy's, for the checked code in this thread only, that makes Lifted arrays."""

    def make(*args, **kwargs):
        if not is_active() or sys._getframe(1).f_code.co_filename.startswith(NOT_CHECKED):
            return original(*args, **kwargs)
        lowered = lower_all(args)
        try:
            result = original(*lowered, **kwargs)
        except (np.exceptions.ComplexWarning, TypeError):  # np.array(complex numbers, dtype=float)
            dtype = kwargs.pop("dtype", lowered[1] if lowered[1:] else float)
            note_precision(dtype)
            return lift(original(lowered[0], dtype=complex, **kwargs))
        if result.dtype.kind == "f" and copies:
            note_precision(result.dtype)
            return lift_floats(result)
        return lift(result)

    return make
