"""Choosing cells: distinct integers, free cells, the smallest numbers; each against what it is by definition."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from numpy_setlstm import SparseMatrix
from numpy_setlstm.cells import (
    best_free_cells,
    distinct_integers,
    draw_free_cells,
    draw_in_rows,
    scored_cells,
    smallest,
    spread_over_rows,
)


class Draws:
    """Stands in for a generator: hands out the numbers it was given, and keeps a record of what was requested."""

    def __init__(self, *draws):
        self.draws, self.requests = list(draws), []

    def integers(self, high, size):
        self.requests.append((high, size))
        draw = self.draws.pop(0) if self.draws else range(size)
        return np.array(draw, np.int64)


@pytest.mark.parametrize("first", [0, 1])
def test_what_is_drawn_twice_is_drawn_again_and_only_as_many_as_are_missing(first):
    rng = Draws([7, first, 7], [first], [8])
    assert sorted(distinct_integers(10, 3, rng)) == [first, 7, 8]
    assert rng.requests == [(10, 3), (10, 1), (10, 1)]


def test_of_more_than_half_the_ones_to_leave_out_are_drawn():
    rng = Draws([4, 0])
    assert distinct_integers(6, 4, rng).tolist() == [1, 2, 3, 5]
    assert rng.requests == [(6, 2)]
    assert sorted(distinct_integers(6, 3, Draws([4, 0, 2]))) == [0, 2, 4]  # exactly half
    assert sorted(distinct_integers(7, 4, Draws([4, 0, 2]))) == [1, 3, 5, 6]


@pytest.mark.parametrize("count", [0, 1, 5, 6])
def test_the_integers_have_eight_bytes(count):
    assert distinct_integers(6, count, np.random.default_rng(0)).dtype == np.int64


@pytest.mark.parametrize("n_cells", [1, 2, 5])
def test_ranks_of_free_cells_become_cells(n_cells):
    """For every set of occupied cells, and every set of ranks that may be drawn."""
    for n_occupied in range(n_cells + 1):
        for occupied in combinations(range(n_cells), n_occupied):
            free = [cell for cell in range(n_cells) if cell not in occupied]
            for count in range(len(free) // 2 + 1):
                for ranks in combinations(range(len(free)), count):
                    rng = Draws(ranks[::-1])
                    cells = draw_free_cells(np.array(occupied, int), n_cells, count, rng)
                    assert cells.tolist() == [free[rank] for rank in ranks]
                    assert rng.requests == [(len(free), count)] * (count > 0)


def test_the_best_free_cells_are_those_with_the_largest_scores_above_zero():
    scores = np.array([[0.0, 9.0, 3.0, 0.0], [1.0, 3.0, 2.0, 0.0]])
    before = scores.copy()
    cells, sizes = scored_cells(scores, (2, 4))
    assert cells.tolist() == [1, 2, 4, 5, 6] and sizes.tolist() == [9.0, 3.0, 1.0, 3.0, 2.0]
    expected = {0: [], 1: [2], 2: [2, 5], 3: [2, 5, 6], 4: [2, 4, 5, 6], 5: [2, 4, 5, 6]}
    for count, best in expected.items():
        assert best_free_cells(np.array([1]), cells, sizes, count).tolist() == best
    assert best_free_cells(np.array([0, 6, 7]), cells, sizes, 5).tolist() == [1, 2, 4, 5]  # 0 and 7 have no score
    assert best_free_cells(np.array([], int), cells, sizes, 2).tolist() == [1, 2]
    np.testing.assert_array_equal(scores, before)


def test_scores_of_a_sparse_matrix_are_those_of_its_array():
    scores = SparseMatrix((3, 4), [0, 1, 1, 2], [3, 0, 2, 1], [2.0, 0.0, 1.0, 5.0])
    for found, expected in zip(scored_cells(scores, (3, 4)), scored_cells(scores.toarray(), (3, 4)), strict=True):
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match=r"growth_scores have shape \(3, 4\); expected \(4, 3\), one number per cell"):
        scored_cells(scores, (4, 3))
    with pytest.raises(ValueError, match=r"2 growth_scores are .* the first is -1.0 at \(1, 2\)"):
        scored_cells(scores.with_values(np.array([2.0, 0.0, -1.0, np.nan])), (3, 4))


@pytest.mark.parametrize("sizes", [[], [3.0], [2.0, -1.0, 2.0, 5.0, -1.0, 2.0], [1.0] * 4])
def test_the_smallest_numbers_and_of_equal_ones_the_first(sizes):
    for count in range(len(sizes) + 1):
        chosen = smallest(np.array(sizes), count)
        assert sorted(chosen) == sorted(sorted(range(len(sizes)), key=sizes.__getitem__)[:count])
        assert chosen.dtype == np.arange(0).dtype


@pytest.mark.parametrize("count", [1, 2, 300, 999, 1000])
def test_the_smallest_of_so_many_numbers_that_partitioning_does_not_sort_them(count):
    sizes = np.random.default_rng(0).normal(size=1000)
    assert sorted(smallest(sizes, count)) == sorted(np.argsort(sizes)[:count])


class Offset:
    """A generator that draws one number."""

    def __init__(self, number):
        self.number = number

    def random(self):
        return self.number


@pytest.mark.parametrize(
    ("count", "weights", "n_cols", "least", "offset", "expected"),
    [
        (6, [1.0, 2.0, 3.0], 9, 0, 0.5, [1, 2, 3]),
        (4, [1.0, 1.0, 1.0], 9, 0, 0.0, [1, 1, 2]),  # ends of the parts at 1.33, 2.67, 4
        (4, [1.0, 1.0, 1.0], 9, 0, 0.5, [1, 2, 1]),  # ends, moved, at 1.83, 3.17, 4.5
        (4, [1.0, 1.0, 1.0], 9, 0, 0.9, [2, 1, 1]),
        (9, [1.0, 1.0, 8.0], 5, 0, 0.0, [2, 2, 5]),  # the last one is full; the others share what is left
        (9, [1.0, 3.0, 40.0], 4, 0, 0.0, [1, 4, 4]),  # and then another one is
        (9, [1.0, 1.0, 8.0], 5, 1, 0.0, [2, 2, 5]),
        (6, [1.0, 1.0, 8.0], 9, 1, 0.0, [1, 1, 4]),  # 0.3, 0.3 and 2.4 more than one each
        (6, [1.0, 1.0, 8.0], 9, 1, 0.8, [2, 1, 3]),
        (15, [1.0, 1.0, 8.0], 5, 0, 0.9, [5, 5, 5]),
        (0, [1.0, 2.0], 5, 0, 0.9, [0, 0]),
    ],
)
def test_connections_are_spread_over_rows_as_their_weights_say(count, weights, n_cols, least, offset, expected):
    counts = spread_over_rows(count, np.array(weights), n_cols, least, Offset(offset))
    assert counts.dtype.kind == "i" and counts.tolist() == expected


def test_the_expected_connections_of_a_row_are_in_proportion_to_its_weight():
    weights = np.array([1.0, 2.0, 5.0, 0.5])
    mean = np.mean([spread_over_rows(10, weights, 8, 0, np.random.default_rng(k)) for k in range(2000)], axis=0)
    np.testing.assert_allclose(mean, 10 * weights / weights.sum(), atol=0.05)


def test_cells_in_rows_are_as_many_as_asked_for_and_every_set_is_equally_likely():
    rng = np.random.default_rng(0)
    drawn = Counter(tuple(draw_in_rows(np.array([2, 0, 3, 1]), 3, rng).tolist()) for _ in range(3000))
    assert all(cells == tuple(sorted(cells)) for cells in drawn)
    rows = np.array(list(drawn)) // 3
    assert (rows == [0, 0, 2, 2, 2, 3]).all() and len(drawn) == 9  # pairs of three columns, and one of three
    counts = np.array(list(drawn.values()))
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 26.12  # chi square with 8 degrees of freedom, 0.1 %
    assert draw_in_rows(np.array([0, 0]), 3, rng).tolist() == []
