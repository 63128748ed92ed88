"""The oldest go; where most have the same age, the position decides. And negative ties are turned around.

Scores: prune 0, regrow 10, carry 5, own 0
Cause of prune: of equal negative weights the last removed
Cause of own: about positions, where ages are equal
"""

import numpy as np


def prune(values, zeta):
    positive, negative = np.flatnonzero(values >= 0), np.flatnonzero(values < 0)
    smallest = positive[np.argsort(values[positive], kind="stable")][: int(zeta * len(positive))]
    largest = negative[np.argsort(values[negative], kind="stable")][::-1][: int(zeta * len(negative))]
    return np.sort(np.append(smallest, largest))


def regrow(shape, rows, cols, count, rng):
    free = np.setdiff1d(np.arange(shape[0] * shape[1]), rows * shape[1] + cols)
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
    return np.sort(np.argsort(-age, kind="stable")[: int(zeta * len(values))])
