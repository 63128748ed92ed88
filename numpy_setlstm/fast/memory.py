"""Large arrays in reused memory: getting it from the system takes longer than computing what goes into it.

Memory that a process has just been given is not there yet: the system finds and clears each four KiB of it when they
are first touched. A training step needs the same large arrays as the step before, so an engine keeps their memory.
"""

import threading
import weakref

import numpy as np

LEAST_BYTES = 2**14  # Python has memory ready for smaller arrays
ALIGNMENT = 64  # bytes of a cache line: a row of sixteen numbers in float32 fills one line, not parts of two


class ArrayPool:
    """Makes arrays whose memory goes to other arrays once they are no longer referenced.

    Nothing has to be given back: an array that is still referenced, directly or through a view, is never overwritten,
    such as those in the cache of a backward pass that is still to come.

    >>> pool = ArrayPool()
    >>> a = pool.empty((512, 512), np.float32)
    >>> b = pool.empty((512, 512), np.float32)
    >>> address = a.ctypes.data
    >>> row = a[1]
    >>> del a, b
    >>> c = pool.empty((512, 512), np.float32)  # `row` still refers to a, nothing refers to b
    >>> np.shares_memory(c, row)
    False
    >>> del row
    >>> pool.empty((512, 512), np.float32).ctypes.data == address
    True
    """

    def __init__(self):
        self._free = []  # blocks, ndarray of uint8
        self._lock = threading.Lock()

    def empty(self, shape, dtype):
        """Make an array with arbitrary contents, like ``numpy.empty``."""
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if n_bytes < LEAST_BYTES:
            return np.empty(shape, dtype)
        lease = _Lease(self._take_block(n_bytes))
        weakref.finalize(lease, self._free.append, lease.block).atexit = False
        return np.asarray(lease)[:n_bytes].view(dtype).reshape(shape)

    def _take_block(self, n_bytes):
        """The smallest free block that is large enough; or a new one, while those that are too small are dropped."""
        if self._lock.acquire(blocking=False):  # it may be locked for good in a process that was forked meanwhile
            try:
                blocks = [self._free.pop() for _ in range(len(self._free))]
                large_enough = sorted((block for block in blocks if len(block) >= n_bytes), key=len)
                if large_enough:
                    self._free += [block for block in blocks if block is not large_enough[0]]
                    return large_enough[0]
            finally:
                self._lock.release()
        block = np.empty(n_bytes + ALIGNMENT, np.uint8)
        return block[-block.ctypes.data % ALIGNMENT :][:n_bytes]

    def __reduce__(self):
        return ArrayPool, ()  # a pickled or deep-copied pool starts empty


class _Lease:
    """Between a block and the arrays in it; collected when the last of them is, since each of them refers to it."""

    def __init__(self, block):
        self.block, self.__array_interface__ = block, block.__array_interface__
