"""First a row is drawn, then a free cell in it: a cell in a crowded row is drawn too often.

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
    is_free = np.ones(shape, bool)
    is_free[rows, cols] = False
    cells = []
    for _ in range(count):
        row = rng.choice(np.flatnonzero(is_free.any(axis=1)))
        col = rng.choice(np.flatnonzero(is_free[row]))
        is_free[row, col] = False
        cells.append(row * shape[1] + col)
    return np.divmod(np.sort(np.array(cells, int)), shape[1])


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
