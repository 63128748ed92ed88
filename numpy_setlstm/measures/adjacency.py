"""What the measures share: the 0/1 matrix of the connections, in blocks of rows."""

import numpy as np

from numpy_setlstm.sparse import Topology

BLOCK = 1024  # rows of the 0/1 matrix in memory at a time


def as_topology(matrix):
    """The Topology of a SparseMatrix; a Topology itself."""
    return matrix if isinstance(matrix, Topology) else matrix.topology


def dense_blocks(topology):
    """Yield the matrix that is 1 at each connection and 0 elsewhere, in float32 arrays (up to BLOCK, n_cols)."""
    n_rows, n_cols = topology.shape
    for first in range(0, n_rows, BLOCK):
        start, stop = np.searchsorted(topology.rows, [first, first + BLOCK])
        block = np.zeros((min(BLOCK, n_rows - first), n_cols), np.float32)
        block[topology.rows[start:stop] - first, topology.cols[start:stop]] = 1
        yield block
