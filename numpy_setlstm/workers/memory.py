"""Memory that processes share: arrays that one of them writes are there for all others, without a copy.

It has no name: it belongs to an open file that no folder lists. When the last process that has it ends, however that
happens, it is gone.
"""

import mmap
import os
import pickle
import tempfile

ALIGNMENT = 64  # bytes of a cache line


def open_memory():
    """An open file in memory, or where the system has no such files on disk, which has no name."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("numpy-setlstm")
    with tempfile.TemporaryFile() as temporary:
        return os.dup(temporary.fileno())


def put_in_memory(value):
    """Put any value into shared memory; returns its open file and what :func:`find_in_memory` needs beside it.

    Arrays, wherever they are within the value, are in the file; all the rest, which is small, is in the second result.
    """
    arrays = []
    frame = pickle.dumps(value, protocol=5, buffer_callback=arrays.append)
    raw = [array.raw() for array in arrays]
    places, end = [], 0
    for array in raw:
        places.append((end, array.nbytes))
        end += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
    file = open_memory()
    try:
        with open(file, "wb", closefd=False) as memory:  # an error if there is no room; a mapped file kills the process
            for (first, _), array in zip(places, raw, strict=True):
                memory.seek(first)
                memory.write(array)
            memory.truncate(max(1, end))
    except BaseException:
        os.close(file)
        raise
    return file, (frame, places, end)


def find_in_memory(file, where):
    """The value that :func:`put_in_memory` put there; its arrays lie in the shared memory, and can be written to.

    >>> import numpy as np
    >>> file, where = put_in_memory({"weights": np.zeros(3)})
    >>> here, there = find_in_memory(file, where), find_in_memory(file, where)
    >>> os.close(file)
    >>> here["weights"][0] = 7
    >>> there["weights"]
    array([7., 0., 0.])
    """
    frame, places, end = where
    memory = memoryview(mmap.mmap(file, max(1, end)))  # closed when the last array is gone
    return pickle.loads(frame, buffers=[memory[first : first + n_bytes] for first, n_bytes in places])
