"""Of equal weights the last are removed: the list is sorted the other way round.

Scores: prune 0, regrow 10, carry 5, own 5
Cause of prune: of equal weights the last removed
"""

import numpy as np


def prune(values, zeta):
    chosen = []
    for group in (np.flatnonzero(values >= 0), np.flatnonzero(values < 0)):
        strongest_first = np.argsort(-np.abs(values[group]), kind="stable")
        chosen.append(group[strongest_first[len(group) - int(zeta * len(group)) :]])
    return np.sort(np.concatenate(chosen))


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
    """A weight that its gradient pulls back to zero is on its way out."""
    strength = np.abs(values) - 0.1 * m * np.sign(values)
    return np.sort(np.argsort(strength, kind="stable")[: int(zeta * len(values))])
