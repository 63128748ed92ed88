"""Messages between the grader and a submission: a JSON header, then the bytes of arrays. Nothing is ever unpickled.

Numbers, strings, None, arrays of numbers, and lists, tuples and dicts of these are sent. Anything else stays where it
is: a :class:`Handle` is sent in its place, and may be sent back.
"""

import json
import math
import re
import struct

import numpy as np

LENGTHS = struct.Struct(">QQ")  # of the header and of the arrays, in bytes
MAX_HEADER = 2**20
MAX_BYTES = 2**28
DTYPE = re.compile(r"[<|>][biufc](1|2|4|8|16)")
PLAIN = (str, bool, int, float, type(None))


class WireError(ValueError):
    """A message is damaged, too large, or not of numbers."""


class TooLongError(WireError):
    """A value is too large to be sent."""


class Handle:
    """Something that stays in the process of the submission, such as a cache, by its number."""

    def __init__(self, number):
        self.number = number


def pack(value):
    """The bytes of a message; WireError if the value holds anything but numbers, text and handles, or too many."""
    arrays = []
    header = json.dumps(_plain(value, arrays)).encode()
    length = sum(array.nbytes for array in arrays)
    if len(header) > MAX_HEADER:
        got = f"lists with {entries(value):,} entries, {len(header):,} bytes"
        raise TooLongError(f"got {got}; at most {MAX_HEADER:,} bytes of lists are sent: return a NumPy array")
    if length > MAX_BYTES:
        raise TooLongError(f"got arrays of {length:,} bytes; at most {MAX_BYTES:,} are sent: is the shape right?")
    return b"".join([LENGTHS.pack(len(header), length), header, *(array.tobytes() for array in arrays)])


def entries(value, inside=False):
    """How many single numbers and texts are in lists; an array is none."""
    if isinstance(value, list | tuple):
        return sum(entries(part, True) for part in value)
    if isinstance(value, dict):
        return sum(entries(part, inside) for part in value.values())
    return int(inside and getattr(value, "ndim", 0) == 0)


def _plain(value, arrays):
    """A value as JSON; its arrays are appended to `arrays`."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, Handle):
        return {"handle": value.number}
    if isinstance(value, list | tuple):
        return {type(value).__name__ if type(value) in (list, tuple) else "tuple": [_plain(v, arrays) for v in value]}
    if isinstance(value, dict):
        return {"dict": [[str(key), _plain(v, arrays)] for key, v in value.items()]}
    array = np.asarray(value)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    if not DTYPE.fullmatch(array.dtype.str):
        raise WireError(f"{type(value).__name__} is not an array of numbers")
    arrays.append(array)
    return {"array": [array.dtype.str, list(array.shape)]}


def receive(stream):
    """The next message of a stream; EOFError at its end, WireError if it is no message."""
    header_length, body_length = LENGTHS.unpack(_read(stream, LENGTHS.size))
    if header_length > MAX_HEADER or body_length > MAX_BYTES:
        raise WireError("the answer is too large, or something else was written into the channel")
    header, body = _read(stream, header_length), _read(stream, body_length)
    try:
        value, used = _value(json.loads(header), body, 0)
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise WireError(f"the answer is damaged ({type(error).__name__})") from None
    if used != body_length:
        raise WireError("the answer is damaged (too many bytes)")
    return value


def _read(stream, count):
    data = stream.read(count)
    if len(data) < count:
        raise EOFError("the channel was closed")
    return data


def _value(plain, body, start):
    """A value from its JSON, and where in `body` the next array begins."""
    if not isinstance(plain, dict):
        return plain, start
    ((kind, content),) = plain.items()
    if kind == "array":
        dtype, shape = content
        if not DTYPE.fullmatch(dtype) or not all(type(size) is int and size >= 0 for size in shape):
            raise WireError("the answer is damaged (no array of numbers)")
        end = start + math.prod(shape) * np.dtype(dtype).itemsize
        return np.frombuffer(body[start:end], dtype).reshape(shape).copy(), end
    if kind == "handle":
        return Handle(int(content)), start
    values = []
    for part in content:
        key, part = part if kind == "dict" else (None, part)
        value, start = _value(part, body, start)
        values.append((key, value) if kind == "dict" else value)
    return {"dict": dict, "tuple": tuple, "list": list}[kind](values), start
