"""Odd arguments for `attack_calls.py`: values that are valid in an unusual form, and values that are spoilt."""

import collections
import copy
import tempfile
from decimal import Decimal
from fractions import Fraction

import numpy as np

from numpy_setlstm.sparse import SparseMatrix, Topology

try:
    import scipy.sparse as scipy_sparse
except ImportError:
    scipy_sparse = None


class Subclass(np.ndarray):
    """An array of a class of its own, which does nothing else."""


class FakeFrame:
    """What looks like a DataFrame: it has columns, and arrays are made of it."""

    def __init__(self, array):
        self.array, self.columns, self.shape = array, ["a"], array.shape

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array, dtype)


class NoArray:
    """A thing of which no array can be made."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("this cannot become an array")


def pick(rng, options):
    return options[rng.integers(len(options))]


# Valid, but unusual


def negative_strides(a):
    return a[(slice(None, None, -1),) * a.ndim].copy()[(slice(None, None, -1),) * a.ndim]


def every_second(a):
    wide = np.zeros([2 * size for size in a.shape], a.dtype)
    view = wide[(slice(None, None, 2),) * a.ndim]
    view[...] = a
    return view


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def memory_mapped(a):
    if not a.size:
        return a
    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, a.dtype, "w+", shape=a.shape)
        mapped[...] = a
    return mapped


LAYOUTS = {
    "Fortran order": lambda a: np.asfortranarray(a) if a.ndim else a,
    "negative strides": negative_strides,
    "every second": every_second,
    "read-only": read_only,
    "memory-mapped": memory_mapped,
    "subclass": lambda a: a.copy().view(Subclass),
    "other byte order": lambda a: a.astype(a.dtype.newbyteorder()),
    "unaligned": lambda a: np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
}


def varied(rng, value):
    """Return a value that means the same in another form, and what it is."""
    if isinstance(value, np.ndarray) and value.ndim:
        name = pick(rng, [name for name in LAYOUTS if name != "unaligned" or value.size])
        return LAYOUTS[name](value), name
    if isinstance(value, SparseMatrix):
        values, name = varied(rng, value.values)
        return SparseMatrix.from_topology(value.topology, values), name
    if isinstance(value, np.random.Generator):
        bits = pick(rng, [np.random.MT19937, np.random.Philox, np.random.SFC64, np.random.PCG64DXSM])
        return np.random.Generator(bits(int(rng.integers(2**31)))), bits.__name__
    if isinstance(value, bool) or value is None or (isinstance(value, np.ndarray) and not value.ndim):
        return value, "as it is"
    if isinstance(value, int):
        kind = pick(rng, [np.int64, np.int32, np.uint64, int])
        return kind(value), kind.__name__
    if isinstance(value, float):
        kind = pick(rng, [np.float64, float] + [np.float32] * bool(float(np.float32(value)) == value))
        return kind(value), kind.__name__
    if isinstance(value, str):
        return np.str_(value), "str_"
    if type(value) is dict:
        return collections.OrderedDict(value), "OrderedDict"
    if type(value) is list:
        return tuple(value), "tuple"
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return copy.deepcopy(value), "copy"
    return value, "as it is"


# Spoilt

ANYTHING = [
    None,
    "text",
    "",
    b"bytes",
    {},
    [],
    (),
    {1, 2},
    0,
    1,
    -1,
    2.5,
    float("nan"),
    1j,
    True,
    object(),
    len,
    np.ndarray,
    np.float64(1.0),
    np.array(1.0),
    np.array("x"),
    [[1.0], [1.0, 2.0]],
    "line\nbreak " * 30,
    NoArray(),
]

NUMBERS = [
    -1, 0, 1, 2, 3, 7, 0.5, 1.0, 1.5, -0.0, -0.5, 1e-320, 1e308, -1e308, float("nan"), float("inf"), -float("inf"),
    2**31, 2**63, 2**64, 10**400, True, False, "1", "nan", None, 1j, b"1", [], [1], (1, 2), {}, object(),
    Fraction(1, 2), Decimal("0.5"), np.float32(0.5), np.float16(0.5), np.int8(1), np.uint8(40), np.longdouble(0.5),
    np.complex64(1), np.array(0.5), np.array(2), np.array([0.5]), np.array([0.1, 0.2]), np.ones((3, 3)), np.bool_(True),
    np.datetime64("2020-01-01"), np.timedelta64(1), np.float64("nan"), np.float64("inf"), np.ma.masked, "x" * 3000,
]  # fmt: skip

GENERATORS = [
    None, 0, 1, "0", np.random, np.random.default_rng, np.random.Generator, np.random.RandomState(0),
    np.random.SeedSequence(0), np.random.PCG64(0), [0], np.zeros(3), object(), 2**63, -1, float("nan"), True,
]  # fmt: skip


def as_kind(a, dtype):
    with np.errstate(all="ignore"):
        return np.asarray(a).astype(dtype)


def structured(a):
    made = np.zeros(a.shape, [("x", "f8"), ("y", "i4")])
    made["x"] = a.real
    return made


def with_entry(rng, a, entries):
    a = a.copy()
    if a.size and a.dtype.kind in "iufc":
        with np.errstate(all="ignore"):
            a.reshape(-1)[rng.integers(a.size)] = np.asarray(pick(rng, entries)).astype(a.dtype)
    return a


def masked(rng, a, anything_hidden):
    mask = rng.random(a.shape) < 0.4 if anything_hidden else np.zeros(a.shape, bool)
    return np.ma.MaskedArray(a, mask)


def ragged(a):
    return [*a.tolist(), [1.0, 2.0]] if a.ndim else [1, [2]]


ARRAYS = {
    "int64": lambda rng, a: as_kind(a.real, np.int64),
    "int8": lambda rng, a: as_kind(np.clip(a.real, -100, 100), np.int8),
    "uint8": lambda rng, a: as_kind(np.abs(np.clip(a.real, -100, 100)), np.uint8),
    "bool": lambda rng, a: as_kind(a, bool),
    "float16": lambda rng, a: as_kind(a.real, np.float16),
    "float32": lambda rng, a: as_kind(a.real, np.float32),
    "float64": lambda rng, a: as_kind(a.real, np.float64),
    "longdouble": lambda rng, a: as_kind(a.real, np.longdouble),
    "complex64": lambda rng, a: as_kind(a, np.complex64),
    "complex128": lambda rng, a: as_kind(a, np.complex128) + 1j * (a.dtype.kind in "fc"),
    "object": lambda rng, a: a.astype(object),
    "object of None": lambda rng, a: np.full(a.shape, None),
    "str": lambda rng, a: a.astype(str),
    "bytes": lambda rng, a: a.astype(str).astype("S8"),
    "datetime": lambda rng, a: as_kind(a.real, np.int64).astype("M8[D]"),
    "timedelta": lambda rng, a: as_kind(a.real, np.int64).astype("m8[D]"),
    "structured": lambda rng, a: structured(a),
    "one more axis before": lambda rng, a: a[None],
    "one more axis after": lambda rng, a: a[..., None],
    "flat": lambda rng, a: a.ravel(),
    "first row": lambda rng, a: a[0] if a.ndim and len(a) else a,
    "size 1 before": lambda rng, a: a[:1] if a.ndim else a,
    "size 1 after": lambda rng, a: a[..., :1] if a.ndim else a,
    "single entry": lambda rng, a: np.ones((1,) * a.ndim, a.dtype),
    "0-d": lambda rng, a: np.asarray(a.ravel()[0]) if a.size else np.asarray(0.0),
    "numpy scalar": lambda rng, a: a.ravel()[0] if a.size else np.float64(0),
    "transposed": lambda rng, a: a.T,
    "twice": lambda rng, a: np.concatenate([a, a]) if a.ndim else a,
    "twice as wide": lambda rng, a: np.concatenate([a, a], axis=-1) if a.ndim else a,
    "without rows": lambda rng, a: a[:0] if a.ndim else a,
    "without columns": lambda rng, a: a[..., :0] if a.ndim else a,
    "broadcast": lambda rng, a: np.broadcast_to(a, (2, *a.shape)),
    "broadcast from one": lambda rng, a: np.broadcast_to(a.ravel()[:1], a.shape) if a.size else a,
    "NaN": lambda rng, a: with_entry(rng, a, [np.nan, np.inf, -np.inf]),
    "all NaN": lambda rng, a: np.full_like(a, np.nan) if a.dtype.kind in "fc" else a,
    "huge": lambda rng, a: with_entry(rng, a, [1e300, -1e300, 1e38, -1e38, 1e154, 1e20, 2**31, 2**62]),
    "all huge": lambda rng, a: a * (1e300 if a.dtype.itemsize >= 8 else 1e38) if a.dtype.kind in "fc" else a,
    "denormal": lambda rng, a: with_entry(rng, a, [5e-324, 1e-310, 1e-45]),
    "negative": lambda rng, a: with_entry(rng, a, [-1, -2, -(2**31)]),
    "too large": lambda rng, a: with_entry(rng, a, [9, 100, 2**31 - 1, 2**31, 2**32, 2**62]),
    "shuffled": lambda rng, a: rng.permutation(a) if a.ndim else a,
    "repeated": lambda rng, a: np.repeat(a, 2, axis=0) if a.ndim else a,
    "masked, hiding": lambda rng, a: masked(rng, a, True),
    "masked, hiding nothing": lambda rng, a: masked(rng, a, False),
    "matrix": lambda rng, a: np.asmatrix(a) if a.ndim <= 2 else a,
    "record array": lambda rng, a: structured(a).view(np.recarray),
    "list": lambda rng, a: a.tolist(),
    "tuple": lambda rng, a: tuple(a.tolist()) if a.ndim else a,
    "ragged list": lambda rng, a: ragged(a),
    "iterator": lambda rng, a: iter(a.tolist()) if a.ndim else a,
    "SparseMatrix": lambda rng, a: SparseMatrix.from_array(a) if a.ndim == 2 and a.dtype.kind in "fc" else a,
    "data frame": lambda rng, a: FakeFrame(a),
    "memoryview": lambda rng, a: memoryview(np.ascontiguousarray(a)) if a.dtype in (np.float32, np.int32) else a,
    "scipy": lambda rng, a: scipy_sparse.csr_matrix(a) if scipy_sparse and a.ndim == 2 and a.size else a,
}
FORMS = [*ARRAYS, *LAYOUTS]


def spoilt_array(rng, a):
    name = pick(rng, FORMS)
    try:
        return (ARRAYS[name](rng, a) if name in ARRAYS else LAYOUTS[name](a)), name
    except (TypeError, ValueError, OverflowError, IndexError):  # this array has no such form
        return None, "None"


def spoilt_matrix(rng, W):
    """Another thing in place of a SparseMatrix, or one with other values, or of another size."""
    kind = rng.integers(8)
    if kind == 0:
        return spoilt_array(rng, W.toarray())
    if kind == 1:
        return W.T, "transposed"
    if kind == 2:
        return W.topology, "its Topology"
    if kind == 3 and scipy_sparse is not None and W.dtype != np.float16:
        return scipy_sparse.coo_matrix(W.toarray()), "scipy"
    if kind == 4:
        return SparseMatrix((W.shape[0] + 1, W.shape[1]), W.rows, W.cols, W.values), "one more row"
    if kind == 5:
        return SparseMatrix(W.shape, [], [], np.zeros(0, W.dtype)), "without connections"
    values, name = spoilt_array(rng, W.values)
    try:
        return SparseMatrix.from_topology(W.topology, values), f"values: {name}"
    except Exception:
        return W.values, "values alone"


def spoilt_dict(rng, value):
    value = dict(value)
    kind, name = rng.integers(4), pick(rng, sorted(value, key=str)) if value else "x"
    if kind == 0:
        value.pop(name, None)
        return value, f"without {name}"
    if kind == 1:
        value["other"] = copy.deepcopy(value.get(name))
        return value, "one more"
    if kind == 2:
        return pick(rng, [list(value.items()), list(value.values()), None, "text", np.zeros(3), 1]), "no dict"
    value[name], what = spoilt(rng, value.get(name))
    return value, f"{name}: {what}"


def spoilt_cache(rng, cache):
    kind = rng.integers(6)
    if kind == 0:
        return tuple(cache), "plain tuple"
    if kind == 1:
        return tuple(cache)[:-1], "shorter tuple"
    if kind == 2:
        return cache._asdict(), "dict"
    if kind == 3:
        return list(cache), "list"
    value = pick(rng, ANYTHING)
    return value, type(value).__name__


def spoilt(rng, value):
    """Return something odd in place of a valid value, and what it is."""
    if rng.random() < 0.12:
        odd = pick(rng, ANYTHING)
        return odd, f"{odd!r:.40}"
    if isinstance(value, np.ndarray):
        return spoilt_array(rng, value)
    if isinstance(value, SparseMatrix):
        return spoilt_matrix(rng, value)
    if isinstance(value, Topology):
        odd = pick(rng, [value.rows, value.shape, value.keys, value.transposed, None])
        return odd, "another thing than a Topology"
    if isinstance(value, np.random.Generator):
        odd = pick(rng, GENERATORS)
    elif isinstance(value, bool | int | float) or value is None:
        odd = pick(rng, NUMBERS)
    elif isinstance(value, dict):
        return spoilt_dict(rng, value)
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        return spoilt_cache(rng, value)
    elif isinstance(value, str):
        odd = pick(
            rng, [value.upper(), "", " ", 0, None, value + "x", b"sign", [value], np.array([value] * 2), "\n" * 99]
        )
    elif isinstance(value, list | tuple):
        return spoilt_list(rng, value)
    else:
        odd = pick(rng, ANYTHING)
    return odd, f"{odd!r:.40}"


def spoilt_list(rng, value):
    items, kind = list(value), rng.integers(8)
    if kind == 0:
        return items + items[:1], "first again"
    if kind == 1:
        return items[:-1], "without the last"
    if kind == 2:
        return np.asarray(items, object), "object array"
    if kind == 3:
        return set(map(str, items)), "set"
    if kind == 4:
        return iter(items), "iterator"
    if kind == 5 and items:
        k = rng.integers(len(items))
        items[k], what = spoilt(rng, items[k])
        return items, f"[{k}]: {what}"
    if kind == 6:
        return " ".join(map(str, items)), "one str"
    odd = pick(rng, ANYTHING)
    return odd, f"{odd!r:.40}"
