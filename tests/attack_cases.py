"""What the cases of `attack_calls.py` share: how arguments are drawn, read by the references, and results compared."""

import math
import numbers
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from numpy_setlstm.sparse import SparseMatrix, Topology

DTYPES = [np.float64] * 6 + [np.float32] * 4 + [np.complex128, np.longdouble, np.float16]
CASES = []


class Refused(Exception):
    """The reference does not accept the arguments."""


class Unknown(Exception):
    """The reference has no opinion on the arguments."""


@dataclass
class Case:
    """A kind of call; `make(draw)` returns a function, its arguments by name, and the reference for the result."""

    name: str
    room: str
    make: object
    share: float = 1
    fixed: tuple = ()  # arguments that are never spoilt
    shares: bool = False  # whether a result may share memory with an argument
    changes: bool = False  # whether arguments may be changed
    valid_only: bool = False


def case(room, **options):
    """Register a function that draws a call as a :class:`Case`."""

    def register(make):
        CASES.append(Case(make.__name__, room, make, **options))
        return make

    return register


class Draw:
    """Draws valid arguments, small ones, of one data type per call."""

    def __init__(self, rng, valid):
        self.rng, self.valid = rng, valid
        self.dtype = self.pick(DTYPES)
        self.real = np.float64 if self.dtype == np.complex128 else self.dtype

    def pick(self, options):
        return options[self.rng.integers(len(options))]

    def chance(self, probability):
        return bool(self.rng.random() < probability)

    def odd(self, probability):
        """Whether to draw something that is not valid."""
        return not self.valid and self.chance(probability)

    def size(self, least=0, most=3):
        """A small size, seldom 0."""
        return least if self.chance(0.06) else int(self.rng.integers(max(least, 1), most + 1))

    def floats(self, *shape, scale=1.0):
        array = self.rng.normal(0, scale, shape)
        if self.dtype == np.complex128:
            array = array + 1j * self.rng.normal(0, scale, shape)
        return array.astype(self.dtype)

    def sparse(self, n_rows, n_cols, density=0.5, values=None):
        mask = self.rng.random((n_rows, n_cols)) < density
        rows, cols = np.nonzero(mask)
        return SparseMatrix(
            (n_rows, n_cols), rows, cols, self.floats(len(rows)) if values is None else values(len(rows))
        )

    def matrix(self, n_rows, n_cols):
        """A sparse matrix or a dense one."""
        return self.sparse(n_rows, n_cols) if self.chance(0.6) else self.floats(n_rows, n_cols)

    def ids(self, *shape, high, dtypes=(np.int32, np.int64, np.uint8, np.int16)):
        return self.rng.integers(0, max(high, 1), shape if high else (0,) * len(shape)).astype(self.pick(dtypes))

    def generator(self):
        return np.random.default_rng(int(self.rng.integers(2**31)))


# Reading arguments: plain arrays in double precision, or Refused


def require(condition, why=""):
    if not condition:
        raise Refused(why)


def array_of(value, ndim=None, kinds="biufc"):
    """Any array-like thing of numbers as a plain array in double precision."""
    require(not isinstance(value, SparseMatrix | str | bytes), "no array")
    require(not np.ma.is_masked(value), "hidden entries")
    try:
        array = np.array(value.tocoo().toarray() if hasattr(value, "tocoo") else value)
    except Exception:
        raise Refused("no array") from None
    require(array.dtype.kind in kinds, f"dtype {array.dtype}")
    require(ndim is None or array.ndim == ndim, f"{array.ndim} axes")
    if array.dtype.kind in "biu":
        return array
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def floats_of(value, ndim=None):
    array = array_of(value, ndim)
    return array if array.dtype.kind == "c" else array.astype(np.float64)


def matrix_of(value):
    """A matrix as a dense array, and where its connections are."""
    if isinstance(value, SparseMatrix):
        A = np.zeros(value.shape, complex if value.dtype.kind == "c" else float)
        present = np.zeros(value.shape, bool)
        for row, col, weight in zip(value.rows.tolist(), value.cols.tolist(), array_of(value.values), strict=True):
            A[row, col], present[row, col] = weight, True
        return A, present
    A = floats_of(value, 2)
    return A, np.ones(A.shape, bool)


def at_connections(gradient, W):
    """A dense gradient, at the connections of a SparseMatrix."""
    if not isinstance(W, SparseMatrix):
        return gradient
    return np.array([gradient[r, c] for r, c in zip(W.rows.tolist(), W.cols.tolist(), strict=True)], gradient.dtype)


def number(value):
    """A real number; bool is none."""
    if isinstance(value, np.ndarray | np.generic) and np.ndim(value) == 0 and np.asarray(value).dtype.kind in "iuf":
        value = np.asarray(value).item()
    is_number = isinstance(value, numbers.Real | Decimal) and not isinstance(value, bool | np.timedelta64)
    require(is_number, "no number")
    return value


def number_in(value, low, high, open_below=False, open_above=False):
    value = number(value)
    require((low < value if open_below else low <= value) and (value < high if open_above else value <= high), "range")
    return value


def whole(value, low=0, high=2**63 - 1):
    value = number_in(value, low, high)
    require(value == int(value), "not whole")
    return int(value)


def generator_of(value):
    require(isinstance(value, np.random.Generator), "no Generator")
    return value


def topology_of(value):
    require(isinstance(value, SparseMatrix | Topology), "no topology")
    return list(zip(value.rows.tolist(), value.cols.tolist(), strict=True)), value.shape


def same_cache(cache, owners):
    """The forward arguments that belong to a cache; `owners` is a list of (cache, arguments)."""
    from attack_calls import arrays_in

    for own, arguments in owners:
        if isinstance(cache, tuple | list) and len(cache) == len(own):
            some, others = list(arrays_in(tuple(cache))), list(arrays_in(tuple(own)))
            pairs = zip(some, others, strict=False)
            if len(some) == len(others) and all(
                a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in pairs
            ):
                return arguments
    raise Refused("not a cache of this layer")


# Comparing


def precision(arguments):
    """The rounding to expect: that of the coarsest floating-point argument, of double precision at most."""
    from attack_calls import arrays_in

    kinds = [array.dtype for array in arrays_in(arguments) if array.dtype.kind in "fc"]
    if not kinds:
        return 1e-7
    return max(*(np.finfo(kind).eps for kind in kinds), 2.3e-16)


def size_of(arguments):
    """A bound on products of one entry of each argument."""
    from attack_calls import arrays_in

    size = math.prod(max(1.0, abs(float(value))) for value in arguments.values() if type(value) in (int, float))
    size = size if size < math.inf else 1.0
    for array in arrays_in(arguments):
        array = np.asarray(array)
        if array.dtype.kind in "iufc" and array.size:
            finite = np.abs(array[np.isfinite(array)]).astype(np.longdouble)
            size *= max(1.0, float(min(finite.max(initial=0), 1e300)))
    return size


def differs(got, expected, arguments):
    """What is wrong with a result, or None; `expected` may be a function that says so itself."""
    with np.errstate(all="ignore"):
        if callable(expected):
            return expected(got)
        return _difference(got, expected, precision(arguments), size_of(arguments))


def _difference(got, expected, eps, size, where="result"):
    if isinstance(expected, dict):
        if not isinstance(got, dict) or got.keys() != expected.keys():
            return f"{where} is {got!r:.200}, expected the keys {list(expected)}"
        pairs = [(got[key], expected[key], f"{where}[{key!r}]") for key in expected]
    elif isinstance(expected, tuple | list) and not isinstance(expected, str):
        if not isinstance(got, tuple | list) or len(got) != len(expected):
            return f"{where} is {got!r:.200}, expected {expected!r:.200}"
        pairs = [(g, e, f"{where}[{k}]") for k, (g, e) in enumerate(zip(got, expected, strict=True))]
    elif isinstance(expected, np.ndarray | np.number | float):
        return _difference_of_arrays(got, np.asarray(expected), eps, size, where)
    else:
        return None if type(got) is type(expected) and got == expected else f"{where} is {got!r}, expected {expected!r}"
    return next(filter(None, (_difference(g, e, eps, size, place) for g, e, place in pairs)), None)


def _difference_of_arrays(got, expected, eps, size, where):
    if isinstance(got, np.ndarray) and type(got) not in (np.ndarray, np.memmap) and type(got).__name__ != "Subclass":
        return f"{where} is a {type(got).__name__}"
    got = np.asarray(got)
    if got.shape != expected.shape or got.dtype.kind not in "biufc":
        return f"{where} has shape {got.shape} and dtype {got.dtype}, expected {expected.shape} and {expected.dtype}"
    if expected.dtype.kind in "biu":
        equal = got == expected
    else:
        largest = np.finfo(got.dtype).max if got.dtype.kind in "fc" else np.inf
        must_be_finite = np.abs(expected) < largest
        finite = np.isfinite(expected)
        scale = np.abs(expected[finite]).max(initial=0.0) + size
        close = np.abs(got - np.where(finite, expected, 0)) <= 30 * eps * scale
        equal = np.where(must_be_finite, close, ~np.isfinite(got) | (finite & close))
    if np.all(equal):
        return None
    k = tuple(np.argwhere(~np.asarray(equal))[0].tolist()) if got.ndim else ()
    return f"{where}{list(k)} is {got[k]}, expected {expected[k]}"


from attack_cases_core import *  # noqa: E402, F403  registers the cases
from attack_cases_more import *  # noqa: E402, F403
