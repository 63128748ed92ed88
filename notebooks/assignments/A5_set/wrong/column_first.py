"""The list is sorted by column, then by row, since np.lexsort sorts by its last key first. And no reason for the rule.

Scores: prune 10, regrow 10, carry 0, own 0
Cause of carry: sorted by column, then by row
Cause of own: no reason in the docstring
"""

import numpy as np


def prune(values, zeta):
    positive, negative = np.flatnonzero(values >= 0), np.flatnonzero(values < 0)
    smallest = positive[np.argsort(values[positive], kind="stable")][: int(zeta * len(positive))]
    largest = negative[np.argsort(-values[negative], kind="stable")][: int(zeta * len(negative))]
    return np.sort(np.append(smallest, largest))


def regrow(shape, rows, cols, count, rng):
    free = np.setdiff1d(np.arange(shape[0] * shape[1]), rows * shape[1] + cols)
    return np.divmod(np.sort(rng.permutation(free)[:count]), shape[1])


def carry(rows, cols, pruned, new_rows, new_cols, state):
    kept = np.delete(np.arange(len(rows)), pruned)
    all_rows, all_cols = np.append(rows[kept], new_rows), np.append(cols[kept], new_cols)
    order = np.lexsort((all_rows, all_cols))
    carried = np.append(state[:, kept], np.zeros((len(state), len(new_rows))), axis=1)
    return all_rows[order], all_cols[order], carried[:, order]


def own_rule(values, m, age, zeta):
    strength = np.abs(values) - 0.1 * m * np.sign(values)
    return np.sort(np.argsort(strength, kind="stable")[: int(zeta * len(values))])
