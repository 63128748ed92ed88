"""The new connections take over the places and the state of those that were pruned.

Scores: prune 10, regrow 10, carry 0, own 5
Cause of carry: grown with the state of the pruned
"""

import numpy as np


def prune(values, zeta):
    positive, negative = np.flatnonzero(values >= 0), np.flatnonzero(values < 0)
    smallest = positive[np.argsort(values[positive], kind="stable")][: int(zeta * len(positive))]
    largest = negative[np.argsort(-values[negative], kind="stable")][: int(zeta * len(negative))]
    return np.sort(np.append(smallest, largest))


def regrow(shape, rows, cols, count, rng):
    is_free = np.ones(shape, bool)
    is_free[rows, cols] = False
    free = np.flatnonzero(is_free)
    return np.divmod(np.sort(rng.permutation(free)[:count]), shape[1])


def carry(rows, cols, pruned, new_rows, new_cols, state):
    rows, cols = rows.copy(), cols.copy()
    rows[pruned], cols[pruned] = new_rows, new_cols
    order = np.lexsort((cols, rows))
    return rows[order], cols[order], state[:, order]


def own_rule(values, m, age, zeta):
    """A weight that its gradient pulls back to zero is on its way out."""
    strength = np.abs(values) - 0.1 * m * np.sign(values)
    return np.sort(np.argsort(strength, kind="stable")[: int(zeta * len(values))])
