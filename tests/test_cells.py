"""Choosing cells: distinct integers, free cells, the smallest numbers; each against what it is by definition."""

from itertools import combinations

import numpy as np
import pytest

from numpy_setlstm import SparseMatrix
from numpy_setlstm.cells import best_free_cells, distinct_integers, draw_free_cells, scored_cells, smallest


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
