"""Right, though untidy: the weights and the state are changed in place, and lists are returned. That costs nothing.

Scores: prune 10, regrow 10, carry 5, own 5
"""

import numpy as np


def prune(values, zeta):
    pruned = []
    for sign in (1, -1):
        group = [k for k, value in enumerate(values) if (value >= 0) == (sign > 0)]
        pruned += sorted(group, key=lambda k: abs(values[k]))[: int(zeta * len(group))]
    values[pruned] = 0
    return sorted(pruned)


def regrow(shape, rows, cols, count, rng):
    taken, new = set(zip(rows.tolist(), cols.tolist(), strict=True)), set()
    while len(new) < count:
        cell = int(rng.integers(shape[0])), int(rng.integers(shape[1]))
        if cell not in taken:
            new.add(cell)
    return [i for i, _ in sorted(new)], [j for _, j in sorted(new)]


def carry(rows, cols, pruned, new_rows, new_cols, state):
    places = list(zip(rows.tolist(), cols.tolist(), strict=True))
    state[:, pruned] = 0
    for position, place in zip(pruned.tolist(), zip(new_rows.tolist(), new_cols.tolist(), strict=True), strict=True):
        places[position] = place
    order = sorted(range(len(places)), key=places.__getitem__)
    return [places[k][0] for k in order], [places[k][1] for k in order], state[:, order]


def own_rule(values, m, age, zeta):
    """A weight that its gradient pulls back to zero is on its way out."""
    strength = np.abs(values) - 0.1 * m * np.sign(values)
    return np.sort(np.argsort(strength, kind="stable")[: int(zeta * len(values))])
