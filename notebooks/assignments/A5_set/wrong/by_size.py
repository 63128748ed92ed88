"""The smallest weights whatever their sign; and a rule of their own that is the same.

Scores: prune 0, regrow 10, carry 5, own 0
Cause of prune: signs not told apart
Cause of own: no rule of their own: the smallest |w|
"""

import numpy as np


def prune(values, zeta):
    return np.sort(np.argsort(np.abs(values), kind="stable")[: int(zeta * len(values))])


def regrow(shape, rows, cols, count, rng):
    is_free = np.ones(shape, bool)
    is_free[rows, cols] = False
    free = np.flatnonzero(is_free)
    return np.divmod(np.sort(rng.permutation(free)[:count]), shape[1])


def carry(rows, cols, pruned, new_rows, new_cols, state):
    kept = np.delete(np.arange(len(rows)), pruned)
    all_rows, all_cols = np.append(rows[kept], new_rows), np.append(cols[kept], new_cols)
    order = np.lexsort((all_cols, all_rows))
    carried = np.zeros(state.shape)
    carried[:, order < len(kept)] = state[:, kept]
    return all_rows[order], all_cols[order], carried


def own_rule(values, m, age, zeta):
    return prune(values, zeta)
