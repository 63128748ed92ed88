"""What the measures share: the 0/1 matrix of the connections, in blocks of rows."""

import numpy as np

from numpy_setlstm.checks import as_list, instance, short, whole
from numpy_setlstm.sparse import SparseMatrix, Topology
from numpy_setlstm.topology import SetStep

BLOCK = 1024  # rows of the 0/1 matrix in memory at a time


def as_topology(matrix, name="topology"):
    """The Topology of a SparseMatrix; a Topology itself."""
    matrix = instance(SparseMatrix | Topology, "a Topology or a SparseMatrix")(name, matrix)
    return matrix if isinstance(matrix, Topology) else matrix.topology


# Specs of arguments, for :func:`numpy_setlstm.checks.checked`


def topology(name, value, sizes):
    """Of a Topology or SparseMatrix, made a Topology; the next two have to fit it."""
    sizes["topology"] = as_topology(value, name)
    return sizes["topology"]


def reserved_rows(name, value, sizes):
    """Of the number of leading rows without connections."""
    before, n = sizes["topology"], whole()(name, value)
    if n > before.shape[0] or (len(before.rows) and before.rows[0] < n):
        raise ValueError(f"{name} is {n}; expected that many leading rows without connections in {before.shape}")
    return n


def set_steps(name, value, sizes):
    """Of SET steps of the topology, made a list."""
    before = sizes["topology"]
    steps = as_list(name, value, "SetSteps")
    for k, step in enumerate(steps):
        if not isinstance(step, SetStep):
            raise TypeError(f"{name}[{k}] is {short(step)}; expected SetSteps of one matrix, in a list")
        if step.nnz != len(before.rows) or (np.array(before.shape)[:, None] <= step.grown_cells).any():
            raise ValueError(
                f"{name}[{k}] is a step of {step.nnz} connections, to cells up to {step.grown_cells.max(initial=0)}; "
                f"expected steps of {len(before.rows)} connections in a matrix of shape {before.shape}"
            )
    return steps


def dense_blocks(topology):
    """Yield the matrix that is 1 at each connection and 0 elsewhere, in float32 arrays (up to BLOCK, n_cols)."""
    n_rows, n_cols = topology.shape
    for first in range(0, n_rows, BLOCK):
        start, stop = np.searchsorted(topology.rows, [first, first + BLOCK])
        block = np.zeros((min(BLOCK, n_rows - first), n_cols), np.float32)
        block[topology.rows[start:stop] - first, topology.cols[start:stop]] = 1
        yield block
