"""The package's own functions.

Scores: prune 0, regrow 0, carry 5, own 0
Cause of prune: not allowed: numpy_setlstm/topology
Cause of regrow: not allowed: import numpy_setlstm.topology
Cause of own: not allowed: numpy_setlstm/sparse
Remark: imports numpy_setlstm.topology.regrow
Remark: numpy_setlstm/topology
Remark: import numpy_setlstm.topology
"""

import numpy as np

import numpy_setlstm


def prune(values, zeta):
    positions = np.arange(len(values))
    return numpy_setlstm.prune(numpy_setlstm.SparseMatrix((1, len(values)), 0 * positions, positions, values), zeta)


def regrow(shape, rows, cols, count, rng):
    from numpy_setlstm.topology import regrow

    return regrow(shape, rows, cols, count, rng)


def carry(rows, cols, pruned, new_rows, new_cols, state):
    kept = np.delete(np.arange(len(rows)), pruned)
    all_rows, all_cols = np.append(rows[kept], new_rows), np.append(cols[kept], new_cols)
    order = np.lexsort((all_cols, all_rows))
    carried = np.zeros(state.shape)
    carried[:, order < len(kept)] = state[:, kept]
    return all_rows[order], all_cols[order], carried


def own_rule(values, m, age, zeta):
    positions = np.arange(len(values))
    W = numpy_setlstm.SparseMatrix((1, len(values)), 0 * positions, positions, values * age)
    return numpy_setlstm.prune(W, zeta)
