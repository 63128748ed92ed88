"""What the command line reads and says: values of options, standard input, results, errors."""

import argparse
import contextlib
import errno
import math
import os
import sys

from numpy_setlstm.averaging import SNT_ASGD
from numpy_setlstm.datasets import DATASETS
from numpy_setlstm.datasets.table import EXTENSIONS, is_table

LARGEST = 2**63 - 1
_NO_READER = errno.EINVAL if sys.platform == "win32" else errno.EPIPE  # what writing to a closed pipe gives


# Types of options, for argparse


def whole(text):
    """A whole number that fits into 64 bits."""
    try:
        if abs(number := int(text)) <= LARGEST:
            return number
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a whole number that fits into 64 bits")


def seed_number(text):
    """A whole number of at least 0."""
    if (number := whole(text)) < 0:
        raise argparse.ArgumentTypeError(f"{number} is negative; expected a whole number of at least 0")
    return number


def finite(text):
    """A number that is not NaN or infinite."""
    try:
        if math.isfinite(number := float(text)):
            return number
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a finite number")


def growth(text):
    """A rule of growth, or a dict of rules by matrix, written E=RULE,W_x=RULE."""
    if "=" not in text:
        return text
    return dict(rule.split("=", 1) if "=" in rule else (rule, "") for rule in text.split(","))


def averaging(text):
    """A finite number, or the name of a rule."""
    if text == SNT_ASGD:
        return text
    try:
        return finite(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, nor {SNT_ASGD}") from None


def path(text):
    """A file or folder; an empty name would be the current folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError(f"{text!r} is empty; expected a file or folder, such as runs/imdb")
    return text


def names(text):
    """Split "torch,scipy" at its commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def dataset_name(text):
    """The name of a data set, or the path of a file with labeled texts."""
    if text in DATASETS or is_table(text):
        return text
    files = f"a file in {', '.join(EXTENSIONS)}"
    raise argparse.ArgumentTypeError(f"{text!r} is no data set; expected one of {', '.join(DATASETS)}, or {files}")


def column(text):
    """A column of a file, by its name or its position."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text


def as_text(argument):
    """An argument; if it has bytes that the locale cannot decode, all of it is read as UTF-8."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return os.fsencode(argument).decode("utf-8", "replace")
    return argument


def read_lines(stream):
    """Texts from standard input, which is UTF-8 in every locale."""
    texts = []
    for number, line in enumerate(stream, 1):
        try:
            texts.append(line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n"))
        except UnicodeDecodeError as error:
            raise ValueError(f"line {number} of standard input is not UTF-8 ({error.reason}): convert it") from None
    return texts


# Streams


def in_one_line(error):
    """The message of an error."""
    return " ".join(str(error).split()) or ("out of memory" if isinstance(error, MemoryError) else type(error).__name__)


def say(text):
    """Print a result now; if nobody reads any more (``| head -1``), the work goes on without a word."""
    try:
        print(text, flush=True)
    except OSError as error:
        discard(sys.stdout)  # or it would fail again when the process ends
        if error.errno != _NO_READER:
            raise OSError(error.errno, f"{error.strerror}; standard output cannot be written") from error


def complain(text):
    """Print a line on standard error, if it can be written to."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def discard(stream):
    """Lead what a stream still holds, and all that follows, to the null device."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def flush_streams(code):
    """Write what the streams of this process still hold; return the exit code, which is 2 if that fails."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            discard(stream)
            if stream is sys.stdout and error.errno != _NO_READER:
                complain(f"numpy-setlstm: error: standard output cannot be written: {in_one_line(error)}")
                code = 2
    return code
