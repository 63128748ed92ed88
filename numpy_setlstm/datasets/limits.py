"""Limits on the size of data files: a file that breaks one is rejected before it takes memory."""

import io
import os
from typing import NamedTuple

from numpy_setlstm.datasets.reviews import DatasetError, shown

MAX_BYTES = 8 * 2**30  # of one file or folder, decompressed; the largest, Yelp's, has about 5e9
MAX_REVIEW_BYTES = 2**20  # of one review, with the other fields of its row; IMDB's longest has 1.4e4
SMALL = 4 * 2**20  # a compressed file may always hold so much,
EXPANSION = 20  # and so many bytes for each of its own; text is compressed to a third, seldom to a tenth

#: Environment variables that replace the defaults, as for the command line.
VARIABLES = {"max_bytes": "NUMPY_SETLSTM_MAX_BYTES", "max_review_bytes": "NUMPY_SETLSTM_MAX_REVIEW_BYTES"}


class Limits(NamedTuple):
    """The limits in bytes; without `total`, MAX_BYTES, and less for a small compressed file."""

    total: int | None = None
    review: int = MAX_REVIEW_BYTES

    def of_file(self, size, is_compressed):
        """Return the limit of the decompressed bytes of a file that has `size` bytes on the disk."""
        if self.total is not None:
            return self.total
        return min(MAX_BYTES, SMALL + EXPANSION * size) if is_compressed else MAX_BYTES

    def check_review(self, size, where):
        """Raise a DatasetError if a review, a row or a line is too long."""
        if size > self.review:
            raise DatasetError(
                f"{where}: this review has more than {self.review:,} bytes, the limit for one: get the original file, "
                f"or raise the limit with max_review_bytes or the environment variable {VARIABLES['max_review_bytes']}"
            )


def get_limits(max_bytes=None, max_review_bytes=None):
    """Return the Limits from the arguments of a loader, the environment variables, or the defaults."""
    total, review = _get("max_bytes", max_bytes), _get("max_review_bytes", max_review_bytes)
    return Limits(total, MAX_REVIEW_BYTES if review is None else review)


def _get(name, value):
    source = name
    if value is None:
        source, value = VARIABLES[name], os.environ.get(VARIABLES[name]) or None
        value = int(value) if value and value.isascii() and value.isdecimal() and len(value) < 19 else value
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**62):
        raise DatasetError(f"{source} is {shown(value)}; expected a positive whole number of bytes")
    return value


def check_total(size, limit, path):
    """Raise a DatasetError if the contents of a file or folder are larger than a limit."""
    if size > limit:
        raise DatasetError(
            f"{path} holds more than {limit:,} bytes, the limit for a file or folder of its size: get the original "
            f"file, or raise the limit with max_bytes or the environment variable {VARIABLES['max_bytes']}"
        )


class LimitedStream(io.RawIOBase):
    """The bytes of an open file, up to a limit."""

    def __init__(self, file, limit, path):
        self._file, self._limit, self._path, self._count = file, limit, path, 0

    def readable(self):  # noqa: D102
        return True

    def readinto(self, buffer):  # noqa: D102
        count = self._file.readinto(buffer)
        self._count += count
        check_total(self._count, self._limit, self._path)
        return count
