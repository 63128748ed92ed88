import pickle
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpy_setlstm.fast.memory import ALIGNMENT, LEAST_BYTES, ArrayPool

LARGE = LEAST_BYTES // 4


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=30))
def test_arrays_in_use_never_share_memory(requests):
    pool, held = ArrayPool(), []
    for k, (size, let_go) in enumerate(requests):
        if let_go and held:
            held.pop(0)
        array = pool.empty((size, LARGE), np.float32)
        array.fill(k)
        held.append(array[0, 1:].reshape(1, -1).T if k % 2 else array)  # what is left may be a view of a view
        values = [np.unique(array).tolist() for array in held]
        assert all(len(v) == 1 for v in values) and len({v[0] for v in values}) == len(held)


def test_memory_of_an_array_that_nobody_holds_is_used_again():
    pool = ArrayPool()
    array = pool.empty((3, LARGE), np.float64)
    address = array.ctypes.data
    del array
    assert pool.empty((LARGE, 2), np.complex64).ctypes.data == address


def test_a_smaller_array_takes_the_smallest_memory_that_is_large_enough():
    pool = ArrayPool()
    arrays = [pool.empty((size, LARGE), np.float32) for size in (9, 2, 5)]
    addresses = [array.ctypes.data for array in arrays]
    del arrays
    assert pool.empty((3, LARGE), np.float32).ctypes.data == addresses[2]


def test_memory_that_is_too_small_is_let_go():
    pool = ArrayPool()
    pool.empty((1, LARGE), np.float32)
    pool.empty((2, LARGE), np.float32)
    assert [len(block) for block in pool._free] == [8 * LARGE]


@pytest.mark.parametrize("shape", [(0,), (0, 5), (7,), (1, LARGE), (3, LARGE)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_shape_type_and_place(shape, dtype):
    array = ArrayPool().empty(shape, dtype)
    assert array.shape == shape and array.dtype == dtype and array.flags.writeable and array.flags.c_contiguous
    assert type(array) is np.ndarray
    if array.nbytes >= LEAST_BYTES:
        assert array.ctypes.data % ALIGNMENT == 0


def test_many_threads_get_different_memory():
    pool, wrong = ArrayPool(), []

    def work(k):
        for _ in range(200):
            array = pool.empty((1, LARGE), np.float32)
            array.fill(k)
            if (array != k).any():
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_copy_has_memory_of_its_own():
    pool = ArrayPool()
    pool.empty((1, LARGE), np.float32)
    assert pickle.loads(pickle.dumps(pool))._free == []


def test_a_lock_that_nobody_will_open_again_is_not_waited_for():
    """As in a process that was forked while another thread had it."""
    pool = ArrayPool()
    pool._lock.acquire()
    assert pool.empty((4, LARGE), np.float32).shape == (4, LARGE)
