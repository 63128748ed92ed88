"""Sparse evolutionary training: random graphs with an exact count, pruning, regrowth, what follows them."""

import tracemalloc
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from numpy_setlstm.cells import distinct_integers, smallest
from numpy_setlstm.measures import connection_counts, dispersion, null_evolution, replay, turnover
from numpy_setlstm.sparse import SparseMatrix, Topology
from numpy_setlstm.topology import erdos_renyi, erdos_renyi_count, prune, regrow, reserved_rows_of, set_step

steady = settings(derandomize=True, deadline=None, max_examples=50)

RULES = ("sign", "magnitude")
seeds = st.integers(0, 2**32 - 1)
# Two decimals, as people type them; 0 and 1 included.
zetas = st.integers(0, 100).map(lambda percent: percent / 100)
# Whole numbers, so that ties and zeros of both signs occur often.
weights = st.one_of(st.integers(-3, 3).map(float), st.just(-0.0), st.floats(-1, 1, allow_subnormal=False))


@st.composite
def matrices(draw, max_side=7, dtype=np.float64):
    """A SparseMatrix of any small shape, 0 included: empty, full, one sign only, with ties."""
    shape = draw(st.tuples(st.integers(0, max_side), st.integers(0, max_side)))
    rows, cols = np.nonzero(draw(hnp.arrays(bool, shape)))
    values = draw(hnp.arrays(np.float64, len(rows), elements=weights))
    return SparseMatrix(shape, rows, cols, values.astype(dtype))


def row_of(values):
    """A matrix of one row that holds these weights."""
    n = len(values)
    return SparseMatrix((1, n), np.zeros(n, int), np.arange(n), np.asarray(values, float))


def cells(rows, cols):
    return list(zip(np.asarray(rows).tolist(), np.asarray(cols).tolist(), strict=True))


def bits(array):
    """Every number as the bytes it consists of, so that -0.0 is not 0.0, and NaN equals itself."""
    return [number.tobytes() for number in np.asarray(array)]


def strictly_increasing(pairs):
    return all(a < b for a, b in zip(pairs, pairs[1:], strict=False))


def chi_square(counts):
    """Of counts that should all be equal: about their number minus one if they are."""
    counts = np.asarray(list(counts))
    return ((counts - counts.mean()) ** 2 / counts.mean()).sum()


# Exceeded by a chi-square of so many degrees of freedom in one of a thousand cases.
CHI_SQUARE_LIMIT = {9: 27.88, 14: 36.12, 19: 43.82}


# Drawing distinct integers


@steady
@given(high=st.integers(0, 40), data=st.data(), seed=seeds)
def test_distinct_integers_are_distinct_and_in_range(high, data, seed):
    count = data.draw(st.integers(0, high))
    drawn = distinct_integers(high, count, np.random.default_rng(seed)).tolist()
    assert len(set(drawn)) == len(drawn) == count
    assert all(0 <= number < high for number in drawn)


@pytest.mark.parametrize(("high", "count", "freedom"), [(5, 2, 9), (6, 2, 14), (6, 4, 14), (6, 3, 19)])
def test_every_set_of_distinct_integers_is_equally_likely(high, count, freedom):
    """4 of 6 is more than half, where the ones to leave out are drawn."""
    rng = np.random.default_rng(0)
    sets = Counter(tuple(sorted(distinct_integers(high, count, rng).tolist())) for _ in range(4000))
    assert set(sets) == set(combinations(range(high), count)), "some set never came up"
    assert chi_square(sets.values()) < CHI_SQUARE_LIMIT[freedom], sets


def test_distinct_integers_far_beyond_memory():
    drawn = distinct_integers(2**62, 1000, np.random.default_rng(0))
    assert drawn.dtype == np.int64
    assert len(np.unique(drawn)) == 1000
    assert drawn.min() >= 0
    assert drawn.max() > 2**61


def test_more_distinct_integers_than_there_are():
    with pytest.raises(ValueError, match="cannot draw 4 distinct integers below 3"):
        distinct_integers(3, 4, np.random.default_rng(0))


# Erdős–Rényi graphs


@steady
@given(
    shape=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    percent=st.integers(0, 100),
    seed=seeds,
)
def test_erdos_renyi_has_exactly_the_count_that_the_density_asks_for(shape, percent, seed):
    W = erdos_renyi(shape, np.random.default_rng(seed), density=percent / 100)
    assert W.shape == shape
    assert W.nnz == round(percent / 100 * shape[0] * shape[1])
    assert strictly_increasing(cells(W.rows, W.cols))


@steady
@given(shape=st.tuples(st.integers(0, 12), st.integers(0, 12)), er_epsilon=st.floats(0, 8), seed=seeds)
def test_erdos_renyi_has_exactly_the_count_that_epsilon_asks_for(shape, er_epsilon, seed):
    """ε(n_in + n_out), and where that is more than there are cells, the layer is dense."""
    W = erdos_renyi(shape, np.random.default_rng(seed), er_epsilon=er_epsilon)
    assert W.nnz == min(round(er_epsilon * sum(shape)), shape[0] * shape[1])
    assert strictly_increasing(cells(W.rows, W.cols))


def test_erdos_renyi_count_of_an_embedding_and_of_fused_kernels():
    """ε = 10: 3.96 % of a 20,000 × 256 embedding, 4.88 % of a 256 × 1024 kernel."""
    assert erdos_renyi_count((20_000, 256), 10) == 202_560
    assert round(100 * 202_560 / (20_000 * 256), 2) == 3.96
    assert erdos_renyi_count((256, 1024), 10) == 12_800
    assert round(100 * 12_800 / (256 * 1024), 2) == 4.88
    assert erdos_renyi_count((3, 4), 10) == 12, "more than there are cells: dense"


def test_the_count_does_not_vary_with_the_seed():
    """Drawing with replacement, or tossing a coin per cell, would make it vary."""
    counts = {erdos_renyi((50, 40), np.random.default_rng(seed), er_epsilon=5).nnz for seed in range(50)}
    assert counts == {450}


def test_every_random_graph_is_equally_likely():
    rng = np.random.default_rng(0)
    graphs = Counter()
    for _ in range(4000):
        W = erdos_renyi((2, 3), rng, density=0.5)
        graphs[tuple(W.topology.keys.tolist())] += 1
    assert set(graphs) == set(combinations(range(6), 3))
    assert chi_square(graphs.values()) < CHI_SQUARE_LIMIT[19], graphs


def test_a_size_given_as_a_32_bit_number_does_not_overflow():
    """100,000 · 50,000 is more than an int32 holds."""
    shape = (np.int32(100_000), np.int32(50_000))
    W = erdos_renyi(shape, np.random.default_rng(0), density=1e-8)
    assert W.nnz == 50


def test_the_padding_row_has_no_connection_and_counts_in_the_density():
    W = erdos_renyi((10, 8), np.random.default_rng(0), density=0.5, reserved_rows=1)
    assert W.nnz == 40, "half of all ten rows, in nine of them"
    assert connection_counts(W, axis=1)[0] == 0
    full = erdos_renyi((10, 8), np.random.default_rng(0), density=0.9, reserved_rows=1)
    assert connection_counts(full, axis=1).tolist() == [0] + [8] * 9


def test_the_reserved_rows_leave_the_others_uniform():
    rng = np.random.default_rng(0)
    graphs = Counter()
    for _ in range(4000):
        W = erdos_renyi((3, 3), rng, density=3 / 9, reserved_rows=1)
        graphs[tuple(W.topology.keys.tolist())] += 1
    assert set(graphs) == set(combinations(range(3, 9), 3))
    assert chi_square(graphs.values()) < CHI_SQUARE_LIMIT[19], graphs


@pytest.mark.parametrize(("er_epsilon", "expected"), [(1, 0.363), (5, 0.0063), (10, 0.00004)])
def test_how_many_words_a_random_embedding_leaves_without_a_connection(er_epsilon, expected):
    """P(empty row) is about exp(-ε(1 + D/V)): a third of the words at ε = 1, hardly one at 10."""
    W = erdos_renyi((20_000, 256), np.random.default_rng(0), er_epsilon=er_epsilon)
    empty = (connection_counts(W, axis=1) == 0).mean()
    assert expected == pytest.approx(np.exp(-er_epsilon * (1 + 256 / 20_000)), rel=0.05)
    spread = np.sqrt(expected * (1 - expected) / 20_000)
    assert abs(empty - expected) < 4 * spread, f"{empty:.2%} of the rows are empty, not {expected:.2%}"


@steady
@given(
    n_rows=st.integers(1, 12),
    n_cols=st.integers(1, 6),
    reserved_rows=st.integers(0, 2),
    data=st.data(),
    seed=seeds,
)
def test_one_per_row_leaves_no_word_without_a_connection(n_rows, n_cols, reserved_rows, data, seed):
    reserved_rows = min(reserved_rows, n_rows)
    usable = n_rows - reserved_rows
    count = data.draw(st.integers(usable, usable * n_cols))
    density = count / (n_rows * n_cols)
    W = erdos_renyi(
        (n_rows, n_cols),
        np.random.default_rng(seed),
        density=density,
        reserved_rows=reserved_rows,
        one_per_row=True,
    )
    assert W.nnz == count
    per_row = connection_counts(W, axis=1)
    assert (per_row[:reserved_rows] == 0).all()
    assert (per_row[reserved_rows:] >= 1).all()


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
@pytest.mark.parametrize("reserved_rows", [0, "all"])
def test_a_random_graph_without_cells(shape, reserved_rows):
    reserved_rows = shape[0] if reserved_rows == "all" else 0
    one_per_row = shape[0] == reserved_rows  # no row is left that would have to get one
    for options in ({"density": 0.0}, {"er_epsilon": 2.0}):
        W = erdos_renyi(
            shape, np.random.default_rng(0), reserved_rows=reserved_rows, one_per_row=one_per_row, **options
        )
        assert (W.shape, W.nnz) == (shape, 0)


def test_weights_are_normal_with_the_given_scale_and_type():
    W = erdos_renyi((200, 100), np.random.default_rng(0), density=0.5, scale=0.25, dtype=np.float32)
    assert W.dtype == np.float32
    assert abs(W.values.mean()) < 4 * 0.25 / np.sqrt(W.nnz)
    assert W.values.std() == pytest.approx(0.25, rel=0.05)


def test_weights_have_a_scale_of_one_and_single_precision_by_default():
    plain = erdos_renyi((30, 20), np.random.default_rng(0), density=0.2)
    explicit = erdos_renyi((30, 20), np.random.default_rng(0), density=0.2, scale=1.0, dtype=np.float32)
    assert bits(plain.values) == bits(explicit.values)
    assert plain.dtype == np.float32


def test_the_connection_that_each_row_is_given_may_be_in_any_column():
    columns = Counter()
    for seed in range(100):
        W = erdos_renyi((4, 3), np.random.default_rng(seed), density=4 / 12, one_per_row=True)
        assert W.rows.tolist() == [0, 1, 2, 3]
        columns.update(W.cols.tolist())
    assert set(columns) == {0, 1, 2} and min(columns.values()) > 90, columns


def test_only_the_embedding_has_a_reserved_row_that_of_the_padding():
    assert {name: reserved_rows_of(name) for name in ("E", "W_x", "W_h")} == {"E": 1, "W_x": 0, "W_h": 0}


def test_the_same_seed_gives_the_same_bits_and_other_seeds_other_topologies():
    def network(seed):
        return erdos_renyi((30, 20), np.random.default_rng(seed), density=0.2)

    one, again, other = network(1), network(1), network(2)
    assert cells(one.rows, one.cols) == cells(again.rows, again.cols)
    assert bits(one.values) == bits(again.values)
    assert cells(one.rows, one.cols) != cells(other.rows, other.cols)


def test_weights_can_have_a_random_stream_of_their_own():
    """Another scale or seed of the weights must not move a connection."""
    graphs = [
        erdos_renyi((30, 20), np.random.default_rng(1), density=0.2, values_rng=np.random.default_rng(seed))
        for seed in (2, 3)
    ]
    assert cells(graphs[0].rows, graphs[0].cols) == cells(graphs[1].rows, graphs[1].cols)
    assert (graphs[0].values != graphs[1].values).all()


BAD_GRAPHS = {
    "neither epsilon nor density": ((3, 4), {}, "er_epsilon is None and density is None; give exactly one"),
    "both": ((3, 4), {"er_epsilon": 1, "density": 0.5}, "er_epsilon is 1.0 and density is 0.5; give exactly"),
    "density above 1": ((3, 4), {"density": 1.5}, "density is 1.5; expected a fraction from 0 to 1"),
    "density below 0": ((3, 4), {"density": -0.1}, "density is -0.1; expected a fraction from 0 to 1"),
    "density not a number": ((3, 4), {"density": np.nan}, "density is nan; expected a fraction from 0 to 1"),
    "epsilon below 0": ((3, 4), {"er_epsilon": -1}, "er_epsilon is -1; expected a number of at least"),
    "epsilon infinite": ((3, 4), {"er_epsilon": np.inf}, "er_epsilon is inf; expected a number of at least"),
    "epsilon not a number": (
        (3, 4),
        {"er_epsilon": np.nan},
        "er_epsilon is nan; expected a number of at least",
    ),
    "scale not a number": ((3, 4), {"density": 0.5, "scale": np.nan}, "scale is nan; expected a standard deviation"),
    "scale below 0": ((3, 4), {"density": 0.5, "scale": -1.0}, "scale is -1.0; expected a standard deviation"),
    "no room beside the reserved rows": (
        (3, 4),
        {"density": 1.0, "reserved_rows": 1},
        "12 connections do not fit: with 1 of 3 rows reserved, 8 cells",
    ),
    "more reserved rows than rows": ((3, 4), {"density": 0.0, "reserved_rows": 4}, "4 of 3 rows"),
    "reserved rows below 0": ((3, 4), {"density": 0.5, "reserved_rows": -1}, "-1 of 3 rows"),
    "too few for one per row": (
        (9, 4),
        {"density": 0.2, "reserved_rows": 1, "one_per_row": True},
        "7 connections are too few for one in each of 8 rows",
    ),
    "negative size": ((-3, 4), {"density": 0.5}, r"shape is \(-3, 4\); expected two whole numbers"),
    "fractional size": ((3.5, 4), {"density": 0.5}, r"shape is \(3.5, 4\); expected two whole numbers"),
    "three sizes": ((3, 4, 5), {"density": 0.5}, r"shape is \(3, 4, 5\); expected two whole numbers"),
    "more cells than int64 numbers": ((2**40, 2**40), {"er_epsilon": 1e-11}, "shape"),
}


@pytest.mark.parametrize("case", BAD_GRAPHS)
def test_a_random_graph_that_cannot_be_drawn_is_described(case):
    shape, options, message = BAD_GRAPHS[case]
    with pytest.raises(ValueError, match=message):
        erdos_renyi(shape, np.random.default_rng(0), **options)


# Pruning


@steady
@given(W=matrices(), zeta=zetas)
def test_sign_wise_pruning_takes_exactly_the_floor_of_each_sign_nearest_zero(W, zeta):
    pruned = prune(W, zeta, "sign")
    assert strictly_increasing(pruned.tolist())
    percent = round(100 * zeta)
    for name, group in {"positive": W.values >= 0, "negative": W.values < 0}.items():
        gone = np.isin(np.arange(W.nnz), pruned) & group
        assert gone.sum() == percent * group.sum() // 100, f"{name} weights"
        stays = group & ~gone
        if gone.any() and stays.any():
            assert np.abs(W.values[gone]).max() <= np.abs(W.values[stays]).min(), f"{name} weights"


@steady
@given(W=matrices(), zeta=zetas)
def test_magnitude_pruning_takes_exactly_the_floor_of_all_nearest_zero(W, zeta):
    pruned = prune(W, zeta, "magnitude")
    assert strictly_increasing(pruned.tolist())
    assert len(pruned) == round(100 * zeta) * W.nnz // 100
    stays = np.delete(W.values, pruned)
    if len(pruned) and len(stays):
        assert np.abs(W.values[pruned]).max() <= np.abs(stays).min()


def test_the_two_rules_differ_where_the_signs_are_unbalanced():
    """900 large positive and 100 tiny negative weights, zeta 0.3: one rule takes all the tiny ones."""
    values = np.concatenate([np.linspace(1, 2, 900), np.linspace(-0.02, -0.01, 100)])
    by_sign, by_magnitude = (values[prune(row_of(values), 0.3, rule)] for rule in RULES)
    assert ((by_sign > 0).sum(), (by_sign < 0).sum()) == (270, 30)
    assert ((by_magnitude > 0).sum(), (by_magnitude < 0).sum()) == (200, 100)
    assert by_sign[by_sign < 0].min() > -0.013, "of the negative weights, those nearest zero"


def published_rule(values, zeta):
    """What SET's published index arithmetic removes: everything between two thresholds, both included."""
    ordered = np.sort(values)
    distance = np.abs(ordered)
    first_zero = distance.argmin()
    last_zero = len(ordered) - distance[::-1].argmin()
    lower = ordered[int((1 - zeta) * first_zero)]
    upper = ordered[int(min(len(ordered) - 1, last_zero + zeta * (len(ordered) - last_zero)))]
    return np.flatnonzero((values >= lower) & (values <= upper))


def test_sets_published_index_arithmetic_removes_about_two_more():
    """Its thresholds are themselves removed, and it looks for a zero among weights that have none."""
    values = np.array([-5.0, -4, -3, -2, -1, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5])
    ours = prune(row_of(values), 0.4)  # floor(0.4 · 5) negative and floor(0.4 · 10) positive weights
    assert values[ours].tolist() == [-2.0, -1.0, 1.5, 2.5, 3.5, 4.5]
    assert values[published_rule(values, 0.4)].tolist() == [-3.0, -2.0, -1.0, 1.5, 2.5, 3.5, 4.5, 5.5]

    rng = np.random.default_rng(0)
    more = Counter()
    for _ in range(300):
        values = rng.normal(size=rng.integers(50, 400))
        ours, theirs = prune(row_of(values), 0.3), published_rule(values, 0.3)
        assert set(ours) <= set(theirs)
        more[len(theirs) - len(ours)] += 1
    assert set(more) <= {1, 2, 3}, more
    assert 2 <= sum(n * times for n, times in more.items()) / 300 <= 3, more


def drops_the_largest_negatives(values, zeta):
    """Wrong: ascending order puts the negative weights *farthest* from zero first."""
    ascending = np.argsort(values)
    negative, positive = ascending[values[ascending] < 0], ascending[values[ascending] >= 0]
    return np.concatenate([negative[: int(zeta * len(negative))], positive[: int(zeta * len(positive))]])


def drops_everything_below_a_threshold(values, zeta):
    """Wrong: ``w < threshold`` without an absolute value takes every negative weight."""
    return np.flatnonzero(values < np.quantile(np.abs(values), zeta))


def drops_the_fraction_of_all_from_each_sign(values, zeta):
    """Wrong: counting the fraction of *all* weights for each sign takes about twice too many."""
    by_size = np.argsort(np.abs(values))
    count = int(zeta * len(values))
    return np.concatenate([by_size[values[by_size] >= 0][:count], by_size[values[by_size] < 0][:count]])


@pytest.mark.parametrize(
    "port",
    [
        drops_the_largest_negatives,
        drops_everything_below_a_threshold,
        drops_the_fraction_of_all_from_each_sign,
    ],
)
def test_pruning_is_none_of_the_well_known_wrong_ports(port):
    values = np.array([-9.0, 0.3, -0.1, 8.0, 0.2, -7.0, -0.4, 6.0, 0.5, 4.0])
    expected = {-0.1, -0.4, 0.2, 0.3, 0.5}  # half of four negative and half of six positive weights
    assert set(values[prune(row_of(values), 0.5, "sign")]) == expected
    assert set(values[port(values, 0.5)]) != expected, "the wrong port has to be told apart by this example"


def test_the_fraction_is_the_decimal_that_was_typed():
    """0.29 · 100 is 28.999999999999996 in floating point; 29 weights are meant."""
    assert 0.29 * 100 < 29
    W = row_of(np.arange(1.0, 101.0))
    for percent in range(101):
        for rule in RULES:
            assert len(prune(W, percent / 100, rule)) == percent


def test_the_fraction_may_be_any_kind_of_float():
    W = row_of(np.arange(1.0, 101.0))
    for number in (np.float64, type("Number", (float,), {"__repr__": lambda self: "Number()"})):
        assert len(prune(W, number(0.29))) == 29


@pytest.mark.parametrize("rule", RULES)
def test_of_equal_weights_the_first_go_first(rule):
    W = row_of([2.0, 2.0, 2.0, 2.0, 2.0])
    assert prune(W, 0.4, rule).tolist() == [0, 1]
    assert prune(row_of([-2.0] * 5), 0.4, rule).tolist() == [0, 1]
    assert prune(row_of([2.0, -2.0] * 3), 0.4, rule).tolist() == [0, 1]
    # a sort that is not stable shows only where there are more than some sixteen numbers
    values = np.random.default_rng(0).integers(1, 5, 1000).astype(float)
    expected = sorted(sorted(range(1000), key=lambda k: values[k])[:400])
    assert prune(row_of(values), 0.4, rule).tolist() == expected


def test_a_weight_of_exactly_zero_counts_as_positive_whatever_its_sign():
    W = row_of([-0.0, 0.0, 1.0, 2.0, -1.0, -2.0])
    assert prune(W, 0.5, "sign").tolist() == [0, 1, 4]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_one_sign_only_makes_the_two_rules_the_same(sign):
    W = row_of(sign * np.array([5.0, 1.0, 4.0, 2.0, 3.0, 6.0, 9.0, 8.0, 7.0, 10.0]))
    assert prune(W, 0.3, "sign").tolist() == prune(W, 0.3, "magnitude").tolist() == [1, 3, 4]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("values", "expected"), [([], []), ([3.0], []), ([-3.0], []), ([3.0, 1.0], [1])])
def test_none_one_or_two_connections_at_one_half(values, expected, rule):
    assert prune(row_of(values), 0.5, rule).tolist() == expected


@pytest.mark.parametrize("rule", RULES)
def test_zeta_zero_prunes_nothing_and_zeta_one_everything(rule):
    W = row_of([0.5, -0.5, 0.0, -0.1, 7.0])
    assert prune(W, 0, rule).tolist() == prune(W, 0.0, rule).tolist() == []
    assert prune(W, 1, rule).tolist() == prune(W, 1.0, rule).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("zeta", [-0.1, 1.1, np.nan, np.inf])
def test_a_zeta_out_of_range_is_named(zeta):
    with pytest.raises(ValueError, match=f"zeta is {zeta}; expected the fraction to replace, from 0 to 1"):
        prune(row_of([1.0]), zeta)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("zeta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_raise_and_the_first_is_named(bad, zeta, rule):
    W = SparseMatrix((4, 5), [0, 2, 3], [1, 3, 4], [1.0, bad, bad])
    message = rf"2 of 3 weights are not finite, the first is {bad} at \(2, 3\): training has diverged"
    with pytest.raises(ValueError, match=message):
        prune(W, zeta, rule)
    with pytest.raises(ValueError, match=message):
        set_step(W, zeta, np.random.default_rng(0), prune_rule=rule)


def test_an_unknown_rule_is_named_together_with_the_known_ones():
    with pytest.raises(ValueError, match="prune_rule is 'random'; expected one of 'sign', 'magnitude'"):
        prune(row_of([1.0]), 0.3, "random")


# Regrowing


def test_every_set_of_free_cells_is_equally_likely_to_be_regrown():
    """Free cells before, between and after the occupied ones."""
    rng = np.random.default_rng(0)
    rows, cols = np.array([0, 1, 1, 2]), np.array([1, 0, 1, 0])
    free = [(0, 0), (0, 2), (1, 2), (2, 1), (2, 2)]
    sets = Counter(tuple(cells(*regrow((3, 3), rows, cols, 2, rng))) for _ in range(4000))
    assert set(sets) == set(combinations(free, 2))
    assert chi_square(sets.values()) < CHI_SQUARE_LIMIT[9], sets


def test_regrowth_is_uniform_also_when_few_cells_are_free():
    rng = np.random.default_rng(0)
    occupied = np.delete(np.arange(100), [0, 13, 14, 50, 77, 99])  # six of 100 are free
    sets = Counter()
    for _ in range(4000):
        rows, cols = regrow((10, 10), *np.divmod(occupied, 10), 4, rng)
        sets[tuple((10 * rows + cols).tolist())] += 1
    assert set(sets) == set(combinations([0, 13, 14, 50, 77, 99], 4))
    assert chi_square(sets.values()) < CHI_SQUARE_LIMIT[14], sets


def test_regrowth_beside_a_reserved_row_is_uniform():
    rng = np.random.default_rng(0)
    rows, cols = np.array([1, 2, 2]), np.array([1, 0, 2])
    free = [(1, 0), (1, 2), (2, 1), (3, 0), (3, 1), (3, 2)]
    sets = Counter(tuple(cells(*regrow((4, 3), rows, cols, 2, rng, reserved_rows=1))) for _ in range(4000))
    assert set(sets) == set(combinations(free, 2))
    assert chi_square(sets.values()) < CHI_SQUARE_LIMIT[14], sets


@steady
@given(W=matrices(), data=st.data(), seed=seeds)
def test_regrown_cells_are_free_distinct_and_in_order(W, data, seed):
    free = W.size - W.nnz
    count = data.draw(st.integers(0, free))
    grown = cells(*regrow(W.shape, W.rows, W.cols, count, np.random.default_rng(seed)))
    assert len(grown) == count
    assert strictly_increasing(grown)
    assert not set(grown) & set(cells(W.rows, W.cols))


def test_regrowing_the_very_last_free_cell():
    rows, cols = np.divmod(np.delete(np.arange(12), 7), 4)
    assert cells(*regrow((3, 4), rows, cols, 1, np.random.default_rng(0))) == [(1, 3)]


def test_more_connections_than_free_cells_is_an_error():
    with pytest.raises(ValueError, match="cannot add 3 connections: 2 cells are free"):
        regrow((2, 2), np.array([0, 1]), np.array([0, 1]), 3, np.random.default_rng(0))
    with pytest.raises(ValueError, match="cannot add 3 connections: 2 cells are free"):
        regrow((3, 2), np.array([1, 2]), np.array([0, 1]), 3, np.random.default_rng(0), reserved_rows=1)


# Regrowing where a score is largest


def test_growth_by_score_computed_by_hand():
    # Connected are (0, 0), which has the largest score of all, and (1, 2). Of the free cells (0, 2) and (1, 0) have the
    # largest scores, 5 and 4.
    scores = np.array([[9.0, 1.0, 5.0], [4.0, 3.0, 8.0]])
    grown = regrow((2, 3), np.array([0, 1]), np.array([0, 2]), 2, np.random.default_rng(0), growth_scores=scores)
    assert cells(*grown) == [(0, 2), (1, 0)]


def test_of_equal_scores_the_first_grow():
    grown = regrow((2, 3), *np.zeros((2, 0), int), 2, np.random.default_rng(0), growth_scores=np.full((2, 3), 0.5))
    assert cells(*grown) == [(0, 0), (0, 1)]


@steady
@given(W=matrices(), data=st.data(), seed=seeds)
def test_growth_by_score_takes_what_sorting_all_cells_would(W, data, seed):
    reserved = data.draw(st.integers(0, min(W.rows, default=W.shape[0])))
    scores = data.draw(hnp.arrays(np.float64, W.shape, elements=st.sampled_from([0.0, 0.5, 1.0, 2.0, 7.5])))
    free = [cell for cell in np.ndindex(W.shape) if cell not in cells(W.rows, W.cols) and cell[0] >= reserved]
    count = data.draw(st.integers(0, len(free)))
    before = scores.copy()
    grown = cells(
        *regrow(
            W.shape,
            W.rows,
            W.cols,
            count,
            np.random.default_rng(seed),
            reserved_rows=reserved,
            growth_scores=scores,
        )
    )
    assert np.array_equal(scores, before)
    assert len(grown) == count and strictly_increasing(grown) and set(grown) <= set(free)
    in_order = sorted((cell for cell in free if scores[cell] > 0), key=lambda cell: -scores[cell])  # stable
    assert set(in_order[:count]) == {cell for cell in grown if scores[cell] > 0}


def test_cells_without_a_score_are_drawn_at_random_when_the_others_do_not_suffice():
    scores = np.zeros((3, 4))
    scores[0, 0], scores[1, 1], scores[2, 3] = 9.0, 0.1, 0.2  # the first is in the reserved row, the second connected
    drawn = Counter()
    for seed in range(1400):
        rng = np.random.default_rng(seed)
        rows, cols = np.array([1, 1]), np.array([0, 1])
        grown = cells(*regrow((3, 4), rows, cols, 3, rng, reserved_rows=1, growth_scores=scores))
        assert (2, 3) in grown
        drawn[tuple(cell for cell in grown if cell != (2, 3))] += 1
    assert len(drawn) == 10  # pairs of the five other free cells
    assert chi_square(drawn.values()) < CHI_SQUARE_LIMIT[9]


def test_growth_by_score_draws_nothing_where_the_scores_decide():
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    regrow((2, 3), np.array([0]), np.array([0]), 3, rng, growth_scores=np.arange(6.0).reshape(2, 3))
    assert rng.bit_generator.state == before


@pytest.mark.parametrize("rule", RULES)
def test_a_step_by_score_brings_back_what_it_pruned_if_that_scores_highest(rule):
    W = SparseMatrix((1, 4), [0, 0], [1, 2], [0.1, 5.0])
    scores = np.array([[1.0, 9.0, 0.0, 2.0]])
    new, step = set_step(W, 0.5, np.random.default_rng(0), prune_rule=rule, growth_scores=scores)
    assert step.pruned.tolist() == [0]
    assert cells(new.rows, new.cols) == [(0, 1), (0, 2)] and new.values.tolist() == [0.0, 5.0]


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_a_score_that_is_no_size_is_named(wrong):
    scores = np.ones((2, 3))
    scores[1, 2] = wrong
    with pytest.raises(ValueError, match=rf"1 growth_scores are .* the first is {wrong} at \(1, 2\)"):
        regrow((2, 3), np.array([0]), np.array([0]), 1, np.random.default_rng(0), growth_scores=scores)


def test_scores_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"growth_scores have shape \(3, 2\); expected \(2, 3\), one number per cell"):
        regrow((2, 3), np.array([0]), np.array([0]), 1, np.random.default_rng(0), growth_scores=np.ones((3, 2)))


@steady
@given(sizes=hnp.arrays(np.float64, st.integers(0, 12), elements=st.integers(-3, 3).map(float)), data=st.data())
def test_the_smallest_are_those_of_a_stable_sort(sizes, data):
    count = data.draw(st.integers(0, len(sizes)))
    assert sorted(smallest(sizes, count)) == sorted(np.argsort(sizes, kind="stable")[:count])


@pytest.mark.parametrize("count", [1, 2, 300, 999, 1000])
def test_the_smallest_of_so_many_that_they_are_not_simply_sorted(count):
    sizes = np.random.default_rng(0).normal(size=1000)
    assert sorted(smallest(sizes, count)) == sorted(np.argsort(sizes)[:count])


# A whole step


steps = {
    "W": matrices(),
    "zeta": zetas,
    "rule": st.sampled_from(RULES),
    "scale": st.sampled_from([0.0, 0.5]),
    "seed": seeds,
}


@steady
@given(**steps)
def test_a_step_keeps_the_count_the_order_and_the_shape(W, zeta, rule, scale, seed):
    new, step = set_step(W, zeta, np.random.default_rng(seed), prune_rule=rule, scale=scale)
    assert new.shape == W.shape
    assert new.dtype == W.dtype
    assert new.nnz == W.nnz == step.nnz
    assert len(step.pruned) == len(step.grown)
    assert strictly_increasing(cells(new.rows, new.cols))


@steady
@given(**steps)
def test_kept_and_pruned_part_the_old_connections_survivors_and_grown_the_new(W, zeta, rule, scale, seed):
    new, step = set_step(W, zeta, np.random.default_rng(seed), prune_rule=rule, scale=scale)
    assert sorted([*step.kept, *step.pruned]) == list(range(W.nnz))
    assert sorted([*step.survivors, *step.grown]) == list(range(new.nnz))
    assert step.pruned.tolist() == prune(W, zeta, rule).tolist()
    old_cells, new_cells = cells(W.rows, W.cols), cells(new.rows, new.cols)
    assert cells(*step.pruned_cells) == [old_cells[k] for k in step.pruned]
    assert cells(*step.grown_cells) == [new_cells[k] for k in step.grown]
    assert [old_cells[k] for k in step.kept] == [new_cells[k] for k in step.survivors]
    assert step.turnover == (len(step.pruned) / W.nnz if W.nnz else 0)


def test_what_a_step_says_about_a_larger_matrix():
    W = erdos_renyi((12, 10), np.random.default_rng(0), density=0.5)
    new, step = set_step(W, 0.3, np.random.default_rng(1))
    assert step.pruned.tolist() != step.grown.tolist()
    for matrix, positions, its_cells in ((W, step.pruned, step.pruned_cells), (new, step.grown, step.grown_cells)):
        assert cells(*its_cells) == cells(matrix.rows[positions], matrix.cols[positions])
        assert its_cells.dtype == positions.dtype == W.rows.dtype == np.int32
    assert cells(step.apply(W.topology).rows, step.apply(W.topology).cols) == cells(new.rows, new.cols)


@steady
@given(**steps)
def test_each_survivors_cell_keeps_its_value_and_state_bit_for_bit(W, zeta, rule, scale, seed):
    """Sorting after regrowth has to move the weights and everything stored beside them together."""
    rng = np.random.default_rng(seed)
    states = {
        "momentum": rng.normal(size=W.nnz).astype(np.float32),
        "age": rng.integers(0, 9, W.nnz).astype(np.int32),
        "complex": rng.normal(size=W.nnz) + 1j,
        "odd numbers": rng.choice([-0.0, np.nan, np.inf, 5e-324], W.nnz),
    }
    new, step = set_step(W, zeta, rng, prune_rule=rule, scale=scale)
    survivors = [cell for k, cell in enumerate(cells(W.rows, W.cols)) if k not in set(step.pruned.tolist())]

    def by_cell(matrix, array):
        return dict(zip(cells(matrix.rows, matrix.cols), bits(array), strict=True))

    before, after = by_cell(W, W.values), by_cell(new, new.values)
    assert {cell: before[cell] for cell in survivors} == {cell: after[cell] for cell in survivors}
    for name, state in states.items():
        carried = step.carry(state)
        assert carried.dtype == state.dtype, name
        before, after = by_cell(W, state), by_cell(new, carried)
        assert {cell: before[cell] for cell in survivors} == {cell: after[cell] for cell in survivors}, name
        assert bits(carried[step.grown]) == bits(np.zeros(len(step.grown), state.dtype)), f"grown: {name}"


@steady
@given(**steps)
def test_a_step_changes_none_of_its_inputs(W, zeta, rule, scale, seed):
    old_cells, old_bits = cells(W.rows, W.cols), bits(W.values)
    state = np.arange(float(W.nnz))
    new, step = set_step(W, zeta, np.random.default_rng(seed), prune_rule=rule, scale=scale)
    step.carry(state)
    new.values[:] = 99.0
    assert cells(W.rows, W.cols) == old_cells
    assert bits(W.values) == old_bits
    assert state.tolist() == list(range(W.nnz))


@steady
@given(W=matrices(), zeta=zetas, seed=seeds, n_steps=st.integers(0, 5))
def test_apply_and_replay_give_the_topologies_that_the_steps_gave(W, zeta, seed, n_steps):
    rng = np.random.default_rng(seed)
    history, records = [W.topology], []
    for _ in range(n_steps):
        W, step = set_step(W, zeta, rng, scale=1.0)
        history.append(W.topology)
        records.append(step)
    replayed = replay(history[0], records)
    assert len(replayed) == n_steps + 1
    for k, (expected, got) in enumerate(zip(history, replayed, strict=True)):
        assert cells(got.rows, got.cols) == cells(expected.rows, expected.cols), f"after {k} steps"
        assert got.shape == expected.shape
    for before, step, after in zip(history, records, history[1:], strict=False):
        assert cells(step.apply(before).rows, step.apply(before).cols) == cells(after.rows, after.cols)


@pytest.mark.parametrize("rule", RULES)
def test_the_count_is_constant_over_100_evolutions_also_when_weights_become_exactly_zero(rule):
    rng = np.random.default_rng(0)
    W = erdos_renyi((40, 30), rng, er_epsilon=3)
    count = W.nnz
    for _ in range(100):
        W.values[rng.integers(count, size=20)] = 0.0
        W.values[rng.integers(count, size=5)] = -0.0
        W, _step = set_step(W, 0.3, rng, prune_rule=rule, scale=0.0)  # new ones start at 0 too
        assert W.nnz == len(W.rows) == len(set(cells(W.rows, W.cols))) == count


def test_the_padding_row_never_gets_a_connection():
    rng = np.random.default_rng(0)
    W = erdos_renyi((5, 6), rng, density=0.6, reserved_rows=1)
    for _ in range(100):
        W, _step = set_step(W, 0.5, rng, scale=1.0, reserved_rows=1)
        assert connection_counts(W, axis=1)[0] == 0
    assert W.nnz == 18


@pytest.mark.parametrize("density", [0.98, 0.99, 1.0])
@pytest.mark.parametrize("rule", RULES)
def test_almost_no_free_cell_and_zeta_one_comes_to_an_end(density, rule):
    """Drawing until a free cell is hit would go on and on; in a full matrix the pruned come back."""
    rng = np.random.default_rng(0)
    W = erdos_renyi((40, 50), rng, density=density)
    new, step = set_step(W, 1.0, rng, prune_rule=rule, scale=1.0)
    assert new.nnz == W.nnz == round(density * 2000)
    assert len(step.grown) == W.nnz
    assert len(step.kept) == 0
    new, step = set_step(W, 0.3, rng, prune_rule=rule)
    assert new.nnz == W.nnz


def test_zeta_zero_changes_nothing():
    W = erdos_renyi((6, 7), np.random.default_rng(0), density=0.3)
    new, step = set_step(W, 0.0, np.random.default_rng(1), scale=1.0)
    assert cells(new.rows, new.cols) == cells(W.rows, W.cols)
    assert bits(new.values) == bits(W.values)
    assert (len(step.pruned), len(step.grown), step.turnover) == (0, 0, 0.0)


def test_zeta_one_forgets_every_weight():
    W = erdos_renyi((6, 7), np.random.default_rng(0), density=0.3)
    new, step = set_step(W, 1.0, np.random.default_rng(1))
    assert (new.values == 0).all()
    assert (step.carry(np.ones(W.nnz)) == 0).all()
    assert step.turnover == 1.0


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("zeta", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("values", [[], [1.0], [-1.0], [1.0, -1.0], [2.0, 1.0]])
def test_a_step_with_none_one_or_two_connections(values, zeta, rule):
    n = len(values)
    W = SparseMatrix((3, 3), np.arange(n), np.arange(n), np.array(values, float))
    new, step = set_step(W, zeta, np.random.default_rng(0), prune_rule=rule)
    assert new.nnz == n
    assert len(step.pruned) == len(step.grown) <= n
    if zeta == 1:
        assert len(step.pruned) == n


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_a_step_on_a_matrix_without_cells(shape):
    W = SparseMatrix(shape, [], [], np.zeros(0))
    new, step = set_step(W, 0.3, np.random.default_rng(0))
    assert (new.shape, new.nnz, step.turnover) == (shape, 0, 0.0)


def test_a_connection_that_was_just_pruned_may_come_back_and_then_is_a_new_one():
    W = row_of(np.arange(1.0, 11.0))  # no free cell but those that are being pruned
    new, step = set_step(W, 0.3, np.random.default_rng(0))
    assert cells(*step.grown_cells) == cells(*step.pruned_cells) == [(0, 0), (0, 1), (0, 2)]
    assert new.values.tolist() == [0, 0, 0, 4, 5, 6, 7, 8, 9, 10]
    assert step.carry(np.ones(10)).tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1, 1]


def test_new_weights_start_at_zero_or_are_drawn_like_initial_ones():
    W = erdos_renyi((100, 200), np.random.default_rng(0), density=0.5)
    at_zero, step = set_step(W, 0.5, np.random.default_rng(1))
    assert (at_zero.values[step.grown] == 0).all()
    drawn, step = set_step(W, 0.5, np.random.default_rng(1), scale=0.25)
    fresh = drawn.values[step.grown]
    assert abs(fresh.mean()) < 4 * 0.25 / np.sqrt(len(fresh))
    assert fresh.std() == pytest.approx(0.25, rel=0.05)


@pytest.mark.parametrize("scale", [np.nan, np.inf, -0.1])
def test_new_weights_need_a_scale_that_is_one(scale):
    W = erdos_renyi((4, 5), np.random.default_rng(0), density=0.5)
    with pytest.raises(ValueError, match=f"scale is {scale}; expected a standard deviation of at least 0"):
        set_step(W, 0.3, np.random.default_rng(1), scale=scale)


def test_the_same_seed_gives_the_same_step_bit_for_bit_and_other_seeds_another():
    W = erdos_renyi((30, 20), np.random.default_rng(0), density=0.2)
    one, again, other = (set_step(W, 0.3, np.random.default_rng(seed), scale=1.0)[0] for seed in (1, 1, 2))
    assert cells(one.rows, one.cols) == cells(again.rows, again.cols)
    assert bits(one.values) == bits(again.values)
    assert cells(one.rows, one.cols) != cells(other.rows, other.cols)


def test_ten_evolutions_without_any_training_already_change_the_picture():
    """The null model to show beside evolution: survival alone moves the weights away from zero.

    The median weight more than doubles and 19 % of the initial connections are left, yet nothing was learned.
    """
    rng = np.random.default_rng(0)
    W = erdos_renyi((300, 200), rng, density=0.04, scale=0.1)
    first = np.median(np.abs(W.values))
    initial = np.ones(W.nnz)
    for _ in range(10):
        W, step = set_step(W, 0.3, rng, scale=0.1)
        initial = step.carry(initial)
    assert first == pytest.approx(0.067, abs=0.004)
    assert np.median(np.abs(W.values)) == pytest.approx(0.153, abs=0.006)
    assert initial.mean() == pytest.approx(0.19, abs=0.02)


def test_state_of_another_length_is_refused():
    W = erdos_renyi((6, 5), np.random.default_rng(0), density=0.2)
    _, step = set_step(W, 0.5, np.random.default_rng(1))
    for state in (np.zeros(5), np.zeros(7), np.zeros((6, 1)), np.zeros(())):
        with pytest.raises(ValueError) as error:
            step.carry(state)
        assert f"state has shape {state.shape}; expected (6,)" in str(error.value)


# Large matrices


def test_a_million_rows_without_an_array_of_the_full_size():
    """1,000,000 × 512: a mask of one byte per cell would be 512 MB."""
    tracemalloc.start()
    try:
        rng = np.random.default_rng(0)
        W = erdos_renyi((1_000_000, 512), rng, density=1e-4)
        new, step = set_step(W, 0.3, rng, reserved_rows=0, scale=1.0)
        state = step.carry(np.ones(W.nnz))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 512_000_000 / 20
    assert W.nnz == new.nnz == 51_200
    assert (np.diff(new.topology.keys) > 0).all()
    assert state.sum() == len(step.kept)


def test_a_million_rows_with_one_connection_each():
    """ε = 1 gives 1,000,512 connections; memory is theirs, not that of the 512,000,000 cells."""
    tracemalloc.start()
    try:
        rng = np.random.default_rng(0)
        W = erdos_renyi((1_000_000, 512), rng, er_epsilon=1, one_per_row=True, reserved_rows=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert W.nnz == 1_000_512
    assert connection_counts(W, axis=1)[1:].min() >= 1
    assert connection_counts(W, axis=1)[0] == 0
    assert peak < 512_000_000 / 4


@pytest.mark.parametrize("shape", [(100_000, 50_000), (2**31, 2**31), (3, 2**61), (2**61, 3)])
def test_a_step_where_cell_numbers_do_not_fit_into_32_bits(shape):
    """row · n_cols + column past 2³¹ and up to nearly 2⁶³: connections at both ends survive unchanged."""
    n_rows, n_cols = shape
    rng = np.random.default_rng(0)
    rows, cols = [0, n_rows // 2, n_rows - 1, n_rows - 1], [n_cols - 1, 1, n_cols - 2, n_cols - 1]
    W = SparseMatrix(shape, rows, cols, [0.1, 7.0, 0.2, 9.0])
    new, step = set_step(W, 0.5, rng)
    after = dict(zip(cells(new.rows, new.cols), new.values.tolist(), strict=True))
    assert after[n_rows // 2, 1] == 7.0
    assert after[n_rows - 1, n_cols - 1] == 9.0
    assert len(after) == 4
    assert strictly_increasing(list(after))
    assert all(0 <= row < n_rows and 0 <= col < n_cols for row, col in after)
    assert cells(*step.pruned_cells) == [(0, n_cols - 1), (n_rows - 1, n_cols - 2)]


@pytest.mark.parametrize("shape", [(100_000, 50_000), (2**31, 2**31), (3, 2**61)])
def test_a_random_graph_where_cell_numbers_do_not_fit_into_32_bits(shape):
    W = erdos_renyi(shape, np.random.default_rng(0), density=1000 / (shape[0] * shape[1]))
    assert W.nnz == 1000
    assert strictly_increasing(cells(W.rows, W.cols))
    middle = np.mean(W.rows / shape[0]), np.mean(W.cols / shape[1])
    if shape[0] > 3:
        assert middle[0] == pytest.approx(0.5, abs=4 * 0.29 / np.sqrt(1000)), "rows are not spread evenly"
    assert middle[1] == pytest.approx(0.5, abs=4 * 0.29 / np.sqrt(1000)), "columns are not spread evenly"


# Statistics


@steady
@given(matrices())
def test_connection_counts_are_the_degrees_of_both_sides(W):
    mask = np.zeros(W.shape, int)
    mask[W.rows, W.cols] = 1
    assert connection_counts(W, axis=0).tolist() == mask.sum(axis=0).tolist()
    assert connection_counts(W, axis=1).tolist() == mask.sum(axis=1).tolist()


def test_dispersion_is_about_one_for_a_random_graph():
    W = erdos_renyi((4000, 300), np.random.default_rng(0), density=0.01)
    assert dispersion(connection_counts(W, axis=1)) == pytest.approx(1, abs=0.1)
    assert dispersion(np.array([5, 5, 5])) == 0
    assert dispersion(np.array([0, 0, 0])) == 0


# What evolution does by itself: the null model, and the words that hardly train


def test_without_any_training_evolution_alone_makes_weights_larger_and_replaces_most_connections():
    W = erdos_renyi((300, 400), np.random.default_rng(0), density=0.05, scale=0.1)
    steps = null_evolution(W, 10, 0.3, np.random.default_rng(1))
    survived = np.isin(W.topology.keys, replay(W.topology, steps)[-1].keys).mean()
    assert 0.15 < survived < 0.25  # so "only a fifth is left" is no sign of learning

    evolved, rng = W, np.random.default_rng(1)
    for _ in range(10):
        evolved, _ = set_step(evolved, 0.3, rng, scale=float(np.std(evolved.values)))
    assert np.median(np.abs(evolved.values)) > 2 * np.median(np.abs(W.values))  # nor are large weights


def test_the_commonest_words_get_their_share_of_the_cells_only():
    """The first 1,000 of 20,000 words are most of a text, and get one in twenty of the grown connections."""
    rng = np.random.default_rng(2)
    E = erdos_renyi((20_000, 64), rng, er_epsilon=5, reserved_rows=1)
    _, step = set_step(E, 0.3, rng, reserved_rows=1)
    common = np.count_nonzero(step.grown_cells[0] < 1000) / len(step.grown)
    assert abs(common - 0.05) < 0.005

    (pruned,), (grown,) = turnover(E.topology, [step], lambda rows, cols: (rows >= 1000).astype(int), 2)
    np.testing.assert_allclose(pruned, 0.3, atol=0.03)  # nothing was trained, so all words lose alike
    np.testing.assert_allclose(grown, 0.3, atol=0.03)


def test_turnover_tells_a_group_that_loses_connections_from_one_that_keeps_them():
    rng = np.random.default_rng(3)
    W = erdos_renyi((40, 80), rng, density=0.2)
    W.values[W.cols < 20] *= 0.01  # the first gate's weights are all small
    _, step = set_step(W, 0.25, rng)
    (pruned,), (grown,) = turnover(W.topology, [step], lambda rows, cols: cols // 20, 4)
    assert pruned[0] > 0.9 and (pruned[1:] < 0.1).all()
    np.testing.assert_allclose(grown, 0.25, atol=0.1)  # growth does not care


def test_narrow_numbers_of_numpy_do_not_wrap():
    rng = np.random.default_rng(0)
    W = erdos_renyi((200, 200), rng, density=np.float16(0.5), reserved_rows=np.int8(100))
    assert W.nnz == 20_000 and W.rows.min() >= 100  # 100 · 200 does not fit into int8
    assert erdos_renyi_count((np.uint8(200), np.uint8(200)), np.float16(10)) == 4000
    rows, cols = regrow((300, 2), [], [], np.uint8(200), rng, reserved_rows=np.uint8(200))
    assert len(rows) == 200 and rows.min() >= 200


def test_a_generator_is_a_generator():
    W = SparseMatrix((1, 2), [0], [0], [1.0])
    for rng in (None, 0, np.random, np.random.RandomState(0), np.random.SeedSequence(0)):
        for call in (lambda rng: set_step(W, 0.5, rng), lambda rng: erdos_renyi((2, 2), rng, density=0.5)):
            with pytest.raises(TypeError, match="rng is .*; expected a numpy.random.Generator, such as"):
                call(rng)


def test_complex_weights_have_no_order_to_prune_by():
    with pytest.raises(TypeError, match="weights is .*complex128"):
        prune(SparseMatrix((1, 2), [0, 0], [0, 1], [1j, 2.0]), 0.5)


def test_a_step_belongs_to_one_topology():
    W = SparseMatrix((2, 2), [0, 1], [0, 1], [0.1, 0.2])
    step = set_step(W, 0.5, np.random.default_rng(0), prune_rule="magnitude")[1]
    with pytest.raises(ValueError, match="lacks the pruned connections; expected the topology before this step"):
        step.apply(Topology((2, 2), [0, 1], [1, 0]))
    with pytest.raises(TypeError, match=r"topology is \(2, 2\), of type tuple; expected a Topology"):
        step.apply((2, 2))
    assert sum(step.carry([7.0, 8.0])) == 8.0
