"""A free cell is drawn, and its neighbors with it: each cell is equally likely, and few sets are.

Scores: prune 10, regrow 0, carry 5, own 5
Cause of regrow: places not equally likely
"""

import numpy as np


def prune(values, zeta):
    positive, negative = np.flatnonzero(values >= 0), np.flatnonzero(values < 0)
    smallest = positive[np.argsort(values[positive], kind="stable")][: int(zeta * len(positive))]
    largest = negative[np.argsort(-values[negative], kind="stable")][: int(zeta * len(negative))]
    return np.sort(np.append(smallest, largest))


def regrow(shape, rows, cols, count, rng):
    free = np.setdiff1d(np.arange(shape[0] * shape[1]), rows * shape[1] + cols)
    start = rng.integers(len(free)) if len(free) else 0
    return np.divmod(np.sort(np.roll(free, -start)[:count]), shape[1])


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
