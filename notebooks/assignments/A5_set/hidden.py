"""The hidden tests of A5, and what its typical mistakes compute. Students never get this file."""

from itertools import combinations

import numpy as np

from numpy_setlstm.grading import Task, Wrong
from numpy_setlstm.grading.process import as_array
from numpy_setlstm.topology import floor_share

TITLE = "A5: Prune and regrow"
MINUTES = 120
ALLOWED = ("matplotlib",)  # besides the standard library, NumPy and what students check with
SEEDS = 50
ZETAS = (0.3, 0.5, 0.25, 0.1, 0.8, 0.0, 1.0)
DRAWS = 600  # for the test of the places
FEWEST_WORDS = 6  # of a reason


def judge_prune(submission, rng):
    """Fifty lists of weights, with ties, zeros, and one sign alone."""
    cases = [prune_case(rng, number) for number in range(SEEDS)]
    got = [submission.call("prune", *case) for case in cases]
    compare_all("pruned", cases, got, prune, PRUNE_MISTAKES, about_pruned)


def judge_regrow(submission, rng):
    """Fifty seeds: exactly so many free cells, sorted; then how often each set of cells is drawn."""
    problems = set()
    for number in range(SEEDS):
        shape, rows, cols, count = regrow_case(rng, number)
        seeds = rng.integers(2**31, size=2)
        for grown in submission.call("regrow_with_seeds", seeds, shape, rows, cols, count):
            problems |= problems_of(grown, shape, rows, cols, count)
    for problem, report in REGROW_PROBLEMS.items():
        if problem in problems:
            raise Wrong(problem, report)
    judge_places(submission, rng)


def judge_carry(submission, rng):
    """Steps in which some connections come back, and some are grown before all others."""
    cases = [carry_case(rng, number) for number in range(20)]
    got = [submission.call("carry", *case) for case in cases]
    for answer in got:
        if not isinstance(answer, tuple | list) or len(answer) != 3:
            raise Wrong(
                "not three things returned", f"carry returns {type(answer).__name__}; expected rows, cols, state"
            )
    compare_all("carried", cases, got, carry, CARRY_MISTAKES, about_carried)


def judge_own(submission, rng):
    """A rule is right if it removes as many as it should, whatever their order, and is neither of the two known."""
    like = {"SET's own rule": prune, "the smallest |w|": smallest}
    for number, zeta in enumerate((0.3, 0.3, 0.5, 0.1)):
        values, m, age = rng.normal(size=60), rng.normal(size=60), 5.0 * rng.permutation(60)
        if number % 2:  # as in training, where most have the same age
            age = np.where(age < 60, 25.0 * (1 + age % 2), 1000.0)
        chosen = own(submission, values, m, age, zeta)
        if not np.array_equal(chosen, own(submission, values, m, age, zeta)):
            raise Wrong("drawn at random", "own_rule gives two answers for the same input; a rule draws nothing.")
        order = rng.permutation(60)
        again = own(submission, values[order], m[order], age[order], zeta)
        if not np.array_equal(np.sort(order[again]), chosen):
            words = "If the same connections are numbered in another order, own_rule removes others"
            cause = "about positions, where ages are equal" if number % 2 else "about positions, not connections"
            raise Wrong(cause, f"{words}{' of the same age' * (number % 2)}.")
        like = {name: rule for name, rule in like.items() if np.array_equal(rule(values, zeta), chosen)}
    for name in like:
        raise Wrong(f"no rule of their own: {name}", f"own_rule removes the same connections as {name}.")
    if len(str(submission.call("reason_of_own_rule") or "").split()) < FEWEST_WORDS:
        raise Wrong(
            "no reason in the docstring", "The docstring of own_rule does not say why the rule could be better."
        )


TASKS = [
    Task("prune", 10, judge_prune),
    Task("regrow", 10, judge_regrow),
    Task("carry", 5, judge_carry),
    Task("own", 5, judge_own),
]


def compare_all(name, cases, got, right, mistakes, about):
    """Whether all answers are right; if not, which mistake gives all of them."""
    pairs = [(answer, right(*case)) for answer, case in zip(got, cases, strict=True)]
    wrong = [number for number, (answer, expected) in enumerate(pairs) if not equal(answer, expected)]
    if not wrong:
        return
    for mistake in mistakes:
        if all(equal(answer, right(*case, mistake)) for answer, case in zip(got, cases, strict=True)):
            cause = mistake
            break
    else:
        cause = about([pairs[number] for number in wrong], [cases[number] for number in wrong])
    report = f"{name}: wrong for {len(wrong)} of {len(cases)} matrices."
    raise Wrong(cause, f"{report} {cause[0].upper()}{cause[1:]}.", [f"{name} {wrong}"])


def equal(got, right):
    """Whether one array, or each of a tuple, is the right one."""
    if isinstance(right, tuple):
        return len(got) == len(right) and all(map(equal, got, right))
    return np.array_equal(as_array(got), right)


# Prune


PRUNE_MISTAKES = (
    "wrong end of the negatives",
    "rounded to the nearest",
    "rounded up",
    "rounded down for both signs together",
    "signs not told apart",
    "zeros not pruned",
    "zeros counted as negative",
    "of equal weights the last removed",
    "of equal negative weights the last removed",
    "positions of what is kept",
    "positions not increasing",
    "largest removed",
)


def prune_case(rng, number):
    """Weights and zeta: some with ties and zeros, some of one sign; zeta n is never a matter of rounding errors."""
    while True:
        n, zeta = int(rng.integers(5, 60)), ZETAS[number % len(ZETAS)]
        values = rng.normal(size=n)
        if number % 2:
            values = np.round(values) if number % 4 == 1 else np.round(values, 1)
            values[rng.integers(n, size=2)] = 0
        if number % 10 > 7:
            values = np.abs(values) if number % 10 == 8 else -np.abs(values) - 0.1
        counts = [n, *(np.count_nonzero(part) for part in (values >= 0, values > 0, values < 0, values <= 0))]
        if all(int(zeta * count) == floor_share(zeta, count) for count in counts):
            return values, zeta


def prune(values, zeta, mistake=""):
    """SET's own rule, with a typical mistake."""
    zeros = {"zeros not pruned": (values > 0, values < 0), "zeros counted as negative": (values > 0, values <= 0)}
    groups = [np.flatnonzero(part) for part in zeros.get(mistake, (values >= 0, values < 0))]
    if mistake == "signs not told apart":
        groups = [np.arange(len(values))]
    rounds = {"rounded to the nearest": round, "rounded up": lambda number: int(np.ceil(number))}.get(mistake)
    chosen = []
    for position, group in enumerate(groups):
        sizes = np.abs(values[group])
        if mistake == "largest removed" or (mistake == "wrong end of the negatives" and position):
            sizes = -sizes
        count = rounds(zeta * len(group)) if rounds else floor_share(zeta, len(group))
        if mistake == "rounded down for both signs together" and position:
            count = floor_share(zeta, len(values)) - len(chosen[0])
        order = np.argsort(sizes, kind="stable")
        if {"of equal weights the last removed": True, "of equal negative weights the last removed": position}.get(
            mistake
        ):
            order = len(group) - 1 - np.argsort(sizes[::-1], kind="stable")
        chosen.append(group[order[:count]])
    chosen = np.concatenate(chosen)
    if mistake == "positions of what is kept":
        return np.delete(np.arange(len(values)), chosen)
    return chosen if mistake == "positions not increasing" else np.sort(chosen)


def smallest(values, zeta):
    """The smallest weights, whatever their sign."""
    return prune(values, zeta, "signs not told apart")


def about_pruned(pairs, cases):
    """What is wrong, where no mistake is recognized."""
    sizes = [(np.size(got), len(right)) for got, right in pairs]
    if any(got != right for got, right in sizes):
        return "wrong number of connections pruned"
    if all(np.array_equal(np.sort(got), right) for got, right in pairs):
        return "positions not increasing"
    if all(same_weights(values, *pair) for pair, (values, _) in zip(pairs, cases, strict=True)):
        return "of equal weights not the first removed"
    return "other connections pruned"


def same_weights(values, got, right):
    """Whether other connections with the same weights were chosen."""
    got = as_array(got)
    inside = got.dtype.kind in "iu" and got.ndim == 1 and ((got >= 0) & (got < len(values))).all()
    return inside and np.array_equal(np.sort(values[got]), np.sort(values[right]))


# Regrow


REGROW_PROBLEMS = {
    "not two lists of cells": "regrow returns something else than two lists of whole numbers of one length.",
    "cells outside of the matrix": "Some rows or columns are outside of the matrix.",
    "occupied cells": "Some cells that are drawn have a connection already.",
    "a cell twice": "Some cells are drawn twice.",
    "wrong number of cells": "There are fewer or more new cells than asked for.",
    "not sorted": "The new cells are not sorted by row and then by column.",
}


def regrow_case(rng, number):
    """A shape, connections and a number of cells to draw: also none, and all that are free."""
    shape = tuple(int(size) for size in rng.integers(2, 9, size=2))
    n_cells = shape[0] * shape[1]
    occupied = np.sort(rng.choice(n_cells, int(rng.integers(1, n_cells)), replace=False))
    free = n_cells - len(occupied)
    count = {0: free, 1: 0}.get(number % 5, int(rng.integers(1, free + 1)))
    return shape, *np.divmod(occupied, shape[1]), count


def problems_of(grown, shape, rows, cols, count):
    """What is wrong with some new cells."""
    try:
        new_rows, new_cols = (as_array(part) for part in grown)
    except (Wrong, ValueError, TypeError):
        return {"not two lists of cells"}
    whole = all(np.array_equal(part, np.round(part)) for part in (new_rows, new_cols))
    if new_rows.ndim != 1 or new_rows.shape != new_cols.shape or not whole:
        return {"not two lists of cells"}
    inside = all(((part >= 0) & (part < size)).all() for part, size in zip((new_rows, new_cols), shape, strict=True))
    cells = new_rows * shape[1] + new_cols
    found = {
        "cells outside of the matrix": not inside,
        "occupied cells": np.isin(cells, rows * shape[1] + cols).any(),
        "a cell twice": len(np.unique(cells)) < len(cells),
        "wrong number of cells": len(cells) != count,
        "not sorted": (np.diff(cells) < 0).any(),
    }
    return {problem for problem, there in found.items() if there}


def judge_places(submission, rng):
    """Every pair of six free cells, one in the first row, three in the second, two in the third, equally often."""
    occupied = np.array([0, 2, 3, 4, 9, 11])
    rows, cols = np.divmod(occupied, 4)
    seeds = rng.integers(2**31, size=DRAWS)
    cells = [draw(submission, seeds, rows, cols) for _ in range(2)]
    if not np.array_equal(*cells):
        raise Wrong("not drawn with rng", "The same seed gives other cells the second time: use the generator rng.")
    pairs = list(combinations(np.delete(np.arange(12), occupied).tolist(), 2))
    found = [np.count_nonzero((cells[0] == pair).all(axis=1)) for pair in pairs]
    if np.count_nonzero(found) == 1:
        raise Wrong("the same cells whatever the generator", "All seeds give the same cells.")
    expected = DRAWS / len(pairs)
    if (np.subtract(found, expected) ** 2).sum() / expected > limit_of_chi_square(len(pairs) - 1):
        raise Wrong("places not equally likely", "Some sets of free cells are drawn far more often than others.")


def draw(submission, seeds, rows, cols):
    """Numbers of the cells for each seed."""
    grown = submission.call("regrow_with_seeds", seeds, (3, 4), rows, cols, 2)
    if any(problems_of(cells, (3, 4), rows, cols, 2) for cells in grown):
        raise Wrong("now and then wrong cells", "Now and then the cells are not free, or not two, or not sorted.")
    return np.array([as_array(new_rows) * 4 + as_array(new_cols) for new_rows, new_cols in grown])


def limit_of_chi_square(freedom, normal=6.0):
    """What right draws exceed once in a thousand million times (E. B. Wilson and M. M. Hilferty, 1931)."""
    part = 2 / (9 * freedom)
    return freedom * (1 - part + normal * np.sqrt(part)) ** 3


# Carry


CARRY_MISTAKES = (
    "state left behind",
    "state not moved with the connections",
    "grown at the end, not sorted in",
    "grown with the state of the pruned",
    "grown with the old state of their cell",
    "rows and columns left behind",
    "sorted by column, then by row",
)


def carry_case(rng, number):
    """Connections, a step, and the state; the first of the pruned comes back, and cell 0 is grown."""
    shape, n = (4, 6), 12
    keys = np.sort(rng.choice(np.arange(1, 24), n, replace=False))
    pruned = np.sort(rng.choice(n, 4, replace=False)) if number else np.array([0, 3, 7, 11])
    free = np.setdiff1d(np.arange(1, 24), np.delete(keys, pruned[1:]))
    others = rng.choice(np.setdiff1d(free, keys[pruned[:1]]), 2, replace=False)
    grown = np.sort(np.concatenate([[0], keys[pruned[:1]], others]))
    state = rng.normal(size=(3, n))
    state[2] = rng.integers(1, 1000, size=n)
    return *np.divmod(keys, shape[1]), pruned, *np.divmod(grown, shape[1]), state


def carry(rows, cols, pruned, new_rows, new_cols, state, mistake=""):
    """The list and the state after a step, with a typical mistake."""
    new = np.zeros((len(state), len(new_rows)))
    if mistake == "grown with the state of the pruned":
        new = state[:, pruned]
    if mistake == "grown with the old state of their cell":
        same = (rows[:, None] == new_rows) & (cols[:, None] == new_cols)
        new = np.where(same.any(axis=0), state[:, same.argmax(axis=0)], 0)
    all_rows = np.concatenate([np.delete(rows, pruned), new_rows])
    all_cols = np.concatenate([np.delete(cols, pruned), new_cols])
    carried = np.concatenate([np.delete(state, pruned, axis=1), new], axis=1)
    order = np.lexsort((all_rows, all_cols) if mistake == "sorted by column, then by row" else (all_cols, all_rows))
    if mistake == "grown at the end, not sorted in":
        order = np.arange(len(order))
    if mistake == "rows and columns left behind":
        return rows, cols, carried[:, order]
    moved = {"state left behind": state, "state not moved with the connections": carried}
    return all_rows[order], all_cols[order], moved.get(mistake, carried[:, order])


def about_carried(pairs, cases):
    """What is wrong, where no mistake is recognized."""
    for position, name in enumerate(("rows", "cols", "state")):
        if not all(equal(got[position], right[position]) for got, right in pairs):
            return f"{name} after the step is wrong" if name == "state" else f"{name} after the step are wrong"
    return "another list"


# A rule of their own


def own(submission, values, m, age, zeta):
    """The positions that a rule chooses; Wrong if they are no positions, or another number of them."""
    chosen, count = as_array(submission.call("own_rule", values, m, age, zeta)), floor_share(zeta, len(values))
    if chosen.shape != (count,):
        raise Wrong("wrong number of connections", f"own_rule returns an array of another shape than ({count},).")
    inside = np.array_equal(chosen, np.round(chosen)) and ((chosen >= 0) & (chosen < len(values))).all()
    if not inside or (np.diff(chosen) <= 0).any():
        raise Wrong("no increasing positions", "own_rule returns no list of different positions that increase.")
    return chosen.astype(int)
