"""Choosing cells of a matrix, numbered row by row: at random, or by their scores. Time is linear in what is chosen."""

import numpy as np

from numpy_setlstm.checks import as_array


def distinct_integers(high, count, rng):
    """`count` distinct integers below `high`, (count,) int64 in no particular order, every set equally likely.

    Drawing one at a time and ignoring repetitions is uniform over all sets; drawing as many at once as are still
    missing is the same, since it never overshoots. (``Generator.choice`` would make an array of `high` numbers.)
    """
    if count > high:
        raise ValueError(f"cannot draw {count} distinct integers below {high}")
    if count > high // 2:  # draw the ones to leave out
        return np.delete(np.arange(high), distinct_integers(high, high - count, rng))
    drawn = np.empty(0, np.int64)
    while len(drawn) < count:
        drawn = united(drawn, rng.integers(high, size=count - len(drawn)))
    return drawn


def united(cells, others):
    """All cells that are among either, sorted; like np.union1d, several times as fast."""
    both = np.sort(np.concatenate([cells, others]))
    return both[np.diff(both, prepend=-1) > 0]


def draw_free_cells(occupied, n_cells, count, rng):
    """`count` distinct cells below `n_cells` that are not in the sorted array `occupied`, sorted.

    Draws ranks among the free cells, then turns ranks into cells: occupied[k] - k free cells come before the k-th
    occupied one, so the number of occupied cells before the free cell of rank r is the number of k with occupied[k] - k
    <= r. No draw is ever rejected, however few cells are free. (:eq:`regrow-rank` in docs/derivations/set.md.)
    """
    ranks = np.sort(distinct_integers(n_cells - len(occupied), count, rng))
    return ranks + np.searchsorted(occupied - np.arange(len(occupied)), ranks, side="right")


def spread_over_rows(count, weights, n_cols, least, rng):
    """How many of `count` connections each row gets, (n_rows,): in proportion to `weights`, from `least` to `n_cols`.

    A row's share is rounded up or down at random, so that its expected value is exact, and so is the sum: shares are
    laid end to end on a line, and a row gets as many as there are points u, u + 1, u + 2, ... in its part of it.
    """
    room, left = n_cols - least, count - least * len(weights)
    share, is_open = np.full(len(weights), float(room)), np.ones(len(weights), bool)
    while is_open.any():
        fair = weights * ((left - room * np.count_nonzero(~is_open)) / weights[is_open].sum())
        if (fair[is_open] <= room).all():
            share[is_open] = fair[is_open]
            break
        is_open = fair <= room  # the others are full
    ends = np.floor(np.round(np.cumsum(share), 6) + rng.random())
    return least + np.diff(ends, prepend=0).astype(int)


def draw_in_rows(counts, n_cols, rng):
    """Distinct cells, `counts` (n_rows,) of them in each row, every set equally likely; sorted."""
    cells = np.empty(0, int)
    while True:
        missing = counts - np.bincount(cells // n_cols, minlength=len(counts))
        rows = np.repeat(np.arange(len(counts)), missing)
        if not len(rows):
            return cells
        cells = united(cells, rows * n_cols + rng.integers(n_cols, size=len(rows)))  # see distinct_integers


def scored_cells(growth_scores, shape):
    """The cells (k,), sorted, with a score above 0, and their scores (k,); of an array, or of a SparseMatrix.

    Rejects scores of another shape, below 0 or not finite.
    """
    is_sparse = hasattr(growth_scores, "topology")
    scores = as_array("growth_scores", growth_scores.values if is_sparse else growth_scores, "iuf")
    found = growth_scores.shape if is_sparse else scores.shape
    if found != tuple(shape):
        raise ValueError(f"growth_scores have shape {found}; expected {tuple(shape)}, one number per cell")
    scores = scores.ravel()
    cells = growth_scores.topology.keys if is_sparse else np.arange(scores.size)
    bad = np.flatnonzero(~(np.isfinite(scores) & (scores >= 0)))
    if len(bad):
        row, col = divmod(cells[bad[0]].item(), shape[1])
        raise ValueError(
            f"{len(bad)} growth_scores are negative, NaN or infinite, the first is {scores[bad[0]]} at "
            f"({row}, {col}); expected magnitudes of gradients, np.abs(gradient): if training has diverged, lower the "
            "learning rate"
        )
    chosen = np.flatnonzero(scores)
    return cells[chosen], scores[chosen]


def best_free_cells(occupied, cells, scores, count):
    """Those up to `count` of the sorted `cells` that are not `occupied`, sorted, with the largest scores; sorted."""
    free = ~np.isin(cells, occupied, assume_unique=True)
    cells, scores = cells[free], scores[free]
    return np.sort(cells[smallest(-scores, min(count, len(cells)))])


def smallest(sizes, count):
    """Positions of the `count` smallest numbers, of equal ones the first; in linear time, unlike sorting."""
    if count == 0:
        return np.arange(0)
    limit = np.partition(sizes, count - 1)[count - 1]  # the largest of them
    below, equal = np.flatnonzero(sizes < limit), np.flatnonzero(sizes == limit)
    return np.concatenate([below, equal[: count - len(below)]])
