"""The threads of BLAS, the library with which NumPy multiplies dense matrices."""

import os
import sys

# Read by BLAS when NumPy is imported.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def has_one_thread():
    """Whether BLAS has one thread in this process, as far as the environment says; if it contradicts itself, no.

    >>> from unittest.mock import patch
    >>> with patch.dict(os.environ, dict.fromkeys(THREAD_VARIABLES, "2")):
    ...     has_one_thread()
    False
    """
    return {os.environ[name] for name in THREAD_VARIABLES if os.environ.get(name)} == {"1"}


def one_blas_thread():
    """Give BLAS one thread in this process, unless the environment says how many.

    Call it before NumPy is imported; later it does nothing, as BLAS has its threads by then.

    The threads of BLAS wait for each other several times in each minibatch. Where other processes are at work, one of
    them is always late, and training a small dense network takes many times as long.
    """
    if "numpy" not in sys.modules and not any(variable in os.environ for variable in THREAD_VARIABLES):
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
