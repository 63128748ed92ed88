"""Measures of a topology, compared with brute force on small graphs, numbers by hand, and permuted copies."""

import itertools
import json
import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_setlstm import measures
from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.measures import adjacency, connection_counts, dispersion, null_evolution, replay
from numpy_setlstm.measures.degrees import expected_dispersion, random_dispersions
from numpy_setlstm.measures.distance import inputs_of, jaccard_distances, match, permuted
from numpy_setlstm.measures.evolution import births
from numpy_setlstm.measures.expansion import singular_values
from numpy_setlstm.sparse import SparseMatrix, Topology
from numpy_setlstm.topology import SetStep, erdos_renyi, set_step


def topology_of(array):
    return SparseMatrix.from_array(np.asarray(array, float)).topology


def array_of(topology):
    array = np.zeros(topology.shape)
    array[topology.rows, topology.cols] = 1
    return array


def all_graphs(shape, nnz):
    """Every set of nnz cells, as a 0/1 matrix."""
    for cells in itertools.combinations(range(shape[0] * shape[1]), nnz):
        array = np.zeros(shape[0] * shape[1])
        array[list(cells)] = 1
        yield array.reshape(shape)


@st.composite
def evolutions(draw):
    """A random matrix and a few SET steps of different sizes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 9)), 4 * draw(st.integers(1, 5))
    reserved_rows = draw(st.integers(0, shape[0] - 1))
    W = erdos_renyi(shape, rng, density=draw(st.floats(0, (shape[0] - reserved_rows) / shape[0])) * 0.99,
                    reserved_rows=reserved_rows)  # fmt: skip
    initial, steps = W.topology, []
    for zeta in draw(st.lists(st.floats(0, 1), max_size=4)):
        W, step = set_step(W, zeta, rng, scale=1.0, reserved_rows=reserved_rows)
        steps.append(step)
    return initial, steps, reserved_rows


# Degrees


@pytest.mark.parametrize(("axis", "reserved_rows"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_degree_distribution_and_dispersion_are_exact(axis, reserved_rows):
    shape, nnz = (3, 3), 4
    graphs = [np.vstack([np.zeros((reserved_rows, 3)), a]) for a in all_graphs((3 - reserved_rows, 3), nnz)]
    counts = np.mean(
        [measures.degree_counts(topology_of(a), axis, reserved_rows=reserved_rows) for a in graphs], axis=0
    )
    n_units = 3 if axis == 0 else 3 - reserved_rows
    expected = measures.expected_degrees(shape, nnz, axis, reserved_rows=reserved_rows)
    np.testing.assert_allclose(counts / n_units, expected, atol=1e-12)
    found = np.mean([measures.degree_dispersion(topology_of(a), axis, reserved_rows=reserved_rows) for a in graphs])
    assert math.isclose(found, expected_dispersion(shape, nnz, axis, reserved_rows=reserved_rows))


def test_degrees_exclude_the_padding_row():
    topology = topology_of([[0, 0, 0], [1, 1, 0], [1, 0, 0]])
    assert measures.degree_counts(topology, 1).tolist() == [1, 1, 1, 0]
    assert measures.degree_counts(topology, 1, reserved_rows=1).tolist() == [0, 1, 1, 0]
    assert measures.degree_counts(topology, 0, reserved_rows=1).tolist() == [1, 1, 1]
    assert measures.degree_dispersion(topology, 1, reserved_rows=1) == 0.25 / 1.5


def test_random_dispersions_are_those_of_random_graphs():
    rng = np.random.default_rng(0)
    graphs = [dispersion(connection_counts(erdos_renyi((40, 30), rng, density=0.2), 0)) for _ in range(2000)]
    draws = random_dispersions((40, 30), 240, 0, rng, n_draws=2000)
    assert abs(np.mean(draws) - np.mean(graphs)) < 4 * np.std(graphs) / np.sqrt(1000)
    np.testing.assert_allclose(np.percentile(draws, (5, 95)), np.percentile(graphs, (5, 95)), rtol=0.06)


def test_measures_of_a_topology_without_connections():
    nothing = Topology((2, 4), np.empty(0, int), np.empty(0, int))
    assert expected_dispersion((2, 4), 0) == 0 and measures.degree_dispersion(nothing, 0) == 0
    assert measures.surviving_fraction(nothing, []).tolist() == [1] and measures.ever_tried(nothing, []).tolist() == [0]
    found = measures.expansion(nothing)
    assert (found.sigma_1, found.sigma_2, found.bound) == (0, 0, 0) and math.isnan(found.ratio)
    json.dumps(measures.describe({"W_h": nothing}, []))


# Evolution


@given(evolutions())
def test_survival_and_ever_tried_against_sets_of_cells(evolution):
    initial, steps, reserved_rows = evolution
    ever = alive = set(initial.keys.tolist())
    survived, tried = [len(alive)], [len(ever)]
    for topology, step in zip(replay(initial, steps)[1:], steps, strict=True):
        alive = alive - set((step.pruned_cells[0] * initial.shape[1] + step.pruned_cells[1]).tolist())
        ever = ever | set(topology.keys.tolist())
        survived.append(len(alive))
        tried.append(len(ever))
    n_cells = (initial.shape[0] - reserved_rows) * initial.shape[1]
    np.testing.assert_allclose(
        measures.ever_tried(initial, steps, reserved_rows=reserved_rows), np.array(tried) / n_cells
    )
    if survived[0]:
        np.testing.assert_allclose(measures.surviving_fraction(initial, steps), np.array(survived) / survived[0])


@given(evolutions())
def test_turnover_of_each_step_against_a_count(evolution):
    initial, steps, _ = evolution
    group_of = measures.gates_of(initial.shape)
    pruned, grown = measures.turnover(initial, steps, group_of, 4)
    for k, (before, step) in enumerate(zip(replay(initial, steps)[:-1], steps, strict=True)):
        expected = np.full((2, 4), np.nan)
        had = np.bincount(group_of(before.rows, before.cols), minlength=4)
        for row, cells in zip(expected, (step.pruned_cells, step.grown_cells), strict=True):
            for gate in np.flatnonzero(had):
                row[gate] = np.count_nonzero(group_of(*cells) == gate) / had[gate]
        had = had > 0
        np.testing.assert_allclose(np.array([pruned[k], grown[k]])[:, had], expected[:, had])
        assert np.isnan(pruned[k, ~had]).all()


@given(evolutions(), st.integers(0, 2**32 - 1))
def test_matched_null_prunes_as_many_in_each_step_and_keeps_reserved_rows_empty(evolution, seed):
    initial, steps, reserved_rows = evolution
    null = measures.matched_null(initial, steps, np.random.default_rng(seed), reserved_rows=reserved_rows)
    assert [len(step.pruned) for step in null] == [len(step.pruned) for step in steps]
    assert all((topology.rows >= reserved_rows).all() for topology in replay(initial, null))


def test_matched_null_equals_the_null_evolution_with_the_same_fraction_and_weights():
    W = erdos_renyi((30, 40), np.random.default_rng(0), density=0.2)
    rng = np.random.default_rng(1)
    drawn = W.with_values(np.random.default_rng(1).normal(size=W.nnz))
    rng.normal(size=W.nnz)
    expected = null_evolution(drawn.with_values(drawn.values), 1, 0.3, rng, prune_rule="magnitude")
    (found,) = measures.matched_null(W.topology, expected, np.random.default_rng(1))
    np.testing.assert_array_equal(found.pruned, expected[0].pruned)
    np.testing.assert_array_equal(found.grown_cells, expected[0].grown_cells)


def test_as_many_connections_survive_a_matched_null_as_a_null_evolution():
    rng = np.random.default_rng(0)
    W = erdos_renyi((60, 80), rng, density=0.2)
    steps = null_evolution(W, 6, 0.3, rng)
    ours = [measures.surviving_fraction(W.topology, measures.matched_null(W.topology, steps, rng)) for _ in range(40)]
    theirs = [measures.surviving_fraction(W.topology, null_evolution(W, 6, 0.3, rng)) for _ in range(40)]
    np.testing.assert_allclose(np.mean(ours, axis=0), np.mean(theirs, axis=0), atol=0.012)


def test_births_name_the_step_that_grew_each_connection():
    topology = Topology((1, 8), np.array([0, 0, 0]), np.array([0, 1, 2]))
    step = SetStep(3, np.array([1, 2]), np.array([1, 2]), np.array([[0, 0], [1, 2]]), np.array([[0, 0], [2, 5]]))
    (_, before), (after, born) = births(topology, [step])
    assert before.tolist() == [0, 0, 0] and after.cols.tolist() == [0, 2, 5] and born.tolist() == [0, 1, 1]


def test_random_growth_tries_as_many_cells_as_expected_whatever_is_pruned():
    rng, n = np.random.default_rng(0), 300
    W = erdos_renyi((6, 8), rng, density=0.3)

    def tried(always_prune_the_first):
        V, steps = W, []
        for _ in range(4):
            if always_prune_the_first:  # as unlike the null model as possible
                V = V.with_values(np.arange(1.0, V.nnz + 1))
            V, step = set_step(V, 0.4, rng, prune_rule="magnitude", scale=1.0)
            steps.append(step)
        return measures.ever_tried(W.topology, steps), measures.expected_ever_tried(W.topology, steps)

    for always_prune_the_first in (False, True):
        found, expected = np.array([tried(always_prune_the_first) for _ in range(n)]).transpose(1, 0, 2)
        error = found.std(axis=0) / np.sqrt(n)
        assert (abs(found.mean(axis=0) - expected[0]) <= 4 * error + 1e-12).all()


# Expansion


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_singular_values_are_those_of_the_dense_matrix(n_rows, n_cols, seed):
    topology = erdos_renyi((n_rows, n_cols), np.random.default_rng(seed), density=0.4).topology
    expected = np.linalg.svd(array_of(topology), compute_uv=False)
    np.testing.assert_allclose(singular_values(topology), expected, atol=1e-6)


def test_singular_values_do_not_depend_on_the_blocks(monkeypatch):
    topology = erdos_renyi((50, 7), np.random.default_rng(0), density=0.3).topology
    whole = singular_values(topology)
    monkeypatch.setattr(adjacency, "BLOCK", 8)
    np.testing.assert_allclose(singular_values(topology), whole)
    np.testing.assert_allclose(singular_values(topology.transposed), whole)


def test_expansion_of_known_graphs():
    cycle = topology_of(np.eye(6) + np.roll(np.eye(6), 1, axis=1))  # a cycle of 12 units: 2 |cos(pi k / 6)|
    found = measures.expansion(cycle)
    assert math.isclose(found.sigma_1, 2) and math.isclose(found.sigma_2, math.sqrt(3)) and found.bound == 2
    assert found.is_expander_like and math.isclose(found.ratio, math.sqrt(3) / 2)
    separate = measures.expansion(topology_of(np.kron(np.eye(2), np.ones((3, 3)))))  # two unconnected blocks
    assert math.isclose(separate.sigma_1, 3) and math.isclose(separate.sigma_2, 3) and not separate.is_expander_like
    padded = measures.expansion(topology_of(np.vstack([np.zeros(3), np.ones((2, 3))])), reserved_rows=1)
    assert (padded.mean_row_degree, padded.mean_column_degree) == (3, 2)


def test_gates_partition_a_matrix():
    topology = erdos_renyi((5, 12), np.random.default_rng(0), density=0.4).topology
    parts = [array_of(measures.gate_of(topology, k)) for k in range(4)]
    np.testing.assert_array_equal(np.hstack(parts), array_of(topology))
    with pytest.raises(ValueError, match="6 columns are not divisible by 4"):
        measures.gate_of(topology_of(np.ones((2, 6))), 0)


@given(st.integers(1, 8), st.integers(1, 8), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_rewired_graphs_have_the_same_degrees(n_rows, n_cols, density, seed):
    rng = np.random.default_rng(seed)
    topology = erdos_renyi((n_rows, n_cols), rng, density=density).topology
    other = measures.rewired(topology, rng)
    for axis in (0, 1):
        np.testing.assert_array_equal(connection_counts(topology, axis), connection_counts(other, axis))


def test_rewiring_reaches_every_graph_about_equally_often():
    start, rng, n = topology_of([[1, 1, 0], [1, 0, 0], [0, 0, 1]]), np.random.default_rng(0), 3000
    same = [a for a in all_graphs((3, 3), 4) if (a.sum(0) == [2, 1, 1]).all() and (a.sum(1) == [2, 1, 1]).all()]
    found = [tuple(measures.rewired(start, rng).keys) for _ in range(n)]
    counts = [found.count(tuple(topology_of(a).keys)) for a in same]
    assert sum(counts) == n and len(same) == 5
    assert min(counts) > 0.85 * n / 5 and max(counts) < 1.15 * n / 5  # the standard deviation is 0.04 of the mean


def test_rewiring_moves_most_connections():
    topology = erdos_renyi((100, 200), np.random.default_rng(0), density=0.05).topology
    other = measures.rewired(topology, np.random.default_rng(1))
    assert np.isin(other.keys, topology.keys).mean() < 0.1


# Distance


@given(st.integers(1, 9), st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_jaccard_distances_against_sets(n, p, q, seed):
    rng = np.random.default_rng(seed)
    a, b = (erdos_renyi((n, m), rng, density=0.3).topology for m in (p, q))
    sets_a, sets_b = ([set(np.flatnonzero(column)) for column in array_of(t).T] for t in (a, b))
    expected = [[1 - len(s & t) / len(s | t) if s | t else 0.0 for t in sets_b] for s in sets_a]
    np.testing.assert_allclose(jaccard_distances(a, b), expected)


def test_jaccard_distances_do_not_depend_on_the_blocks(monkeypatch):
    a, b = (erdos_renyi((50, m), np.random.default_rng(m), density=0.3).topology for m in (4, 6))
    whole = jaccard_distances(a, b)
    monkeypatch.setattr(adjacency, "BLOCK", 8)
    np.testing.assert_array_equal(jaccard_distances(a, b), whole)
    with pytest.raises(ValueError, match="50 and 4 rows"):
        jaccard_distances(a, a.transposed)


def network(seed, D=7, H=5, V=60, density=0.3):
    rng = np.random.default_rng(seed)
    shapes = {"E": (V, D), "W_x": (D, 4 * H), "W_h": (H, 4 * H)}
    return {
        name: erdos_renyi(shape, rng, density=density, reserved_rows=int(name == "E")) for name, shape in shapes.items()
    }


def test_permuted_networks_have_their_units_in_another_order():
    a, dimensions, units = network(0), np.random.default_rng(1).permutation(7), np.random.default_rng(2).permutation(5)
    b = {name: array_of(topology) for name, topology in permuted(a, dimensions, units).items()}
    E, W_x, W_h = (array_of(a[name].topology) for name in ("E", "W_x", "W_h"))
    np.testing.assert_array_equal(b["E"], E[:, dimensions])
    for gate in range(4):
        here = slice(5 * gate, 5 * gate + 5)
        np.testing.assert_array_equal(b["W_x"][:, here], W_x[:, here][np.ix_(dimensions, units)])
        np.testing.assert_array_equal(b["W_h"][:, here], W_h[:, here][np.ix_(units, units)])


def test_inputs_of_different_gates_differ():
    W_h = topology_of(np.eye(3, 12, k=4))  # inputs 0, 1 into gate f of units 1, 2; input 2 into gate o of unit 0
    rows, cols = inputs_of({"W_h": W_h}, ("W_h",)).rows, inputs_of({"W_h": W_h}, ("W_h",)).cols
    named = {(int(row) // 4, GATES[row % 4], int(col)) for row, col in zip(rows, cols, strict=True)}
    assert named == {(0, "f", 1), (1, "f", 2), (2, "o", 0)}


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=25)
def test_a_shuffled_copy_is_recognized(seed):
    pytest.importorskip("scipy")
    a, rng = network(seed, D=12, H=10), np.random.default_rng(seed)
    dimensions, units = rng.permutation(12), rng.permutation(10)
    found = measures.topological_distance(a, permuted(a, dimensions, units))
    assert found.distance == found.lstm == found.embedding == found.input_matrix == found.recurrent_matrix == 0
    np.testing.assert_array_equal(dimensions[found.dimensions], np.arange(12))
    np.testing.assert_array_equal(units[found.units], np.arange(10))


def distance_of(a, b, units):
    """Mean Jaccard distance of matched units, with Python sets of (gate, kind, input)."""
    H, total = a["W_h"].shape[0], 0.0

    def inputs(network, unit, name_of):
        return {
            (int(col) // H, name, name_of(int(row)) if name == "W_h" else int(row))
            for name in ("W_x", "W_h")
            for row, col in zip(network[name].rows, network[name].cols, strict=True)
            if col % H == unit
        }

    renamed = {int(partner): unit for unit, partner in enumerate(units)}
    for unit in range(H):
        s, t = inputs(a, unit, lambda row: row), inputs(b, int(units[unit]), renamed.get)
        total += 1 - len(s & t) / len(s | t) if s | t else 0.0
    return total / H


@pytest.mark.parametrize("seed", range(5))
def test_the_distance_against_every_permutation_of_few_units(seed):
    pytest.importorskip("scipy")
    a, b = ({name: W for name, W in network(s, D=6, H=5).items() if name != "E"} for s in (seed, 100 + seed))
    found = measures.topological_distance(a, b)
    best = min(distance_of(a, b, units) for units in itertools.permutations(range(5)))
    assert math.isclose(found.lstm, distance_of(a, b, found.units))  # the distance is that of the units returned
    assert best <= found.lstm + 1e-12 <= measures.topological_distance(a, b, matched=False).lstm + 1e-9
    assert found.lstm <= best + 0.06  # the search may miss the optimum
    assert found.embedding is None and found.distance == found.lstm


def test_embedding_dimensions_are_matched_by_their_words():
    pytest.importorskip("scipy")
    a, b = network(0), network(1)
    found = measures.topological_distance(a, b)
    costs = jaccard_distances(a["E"], b["E"])
    best = min(costs[np.arange(7), list(order)].mean() for order in itertools.permutations(range(7)))
    assert math.isclose(found.embedding, best) and math.isclose(found.distance, (best + found.lstm) / 2)


def test_distances_reject_networks_that_do_not_fit():
    a = network(0)
    with pytest.raises(ValueError, match=r"W_x is \(7, 20\) in the first network and \(8, 20\) in the second"):
        measures.topological_distance(a, a | {"W_x": topology_of(np.ones((8, 20)))})
    with pytest.raises(ValueError, match=r"E is \(60, 7\) in the first network and dense in the second"):
        measures.topological_distance(a, a | {"E": np.ones((60, 7))})
    with pytest.raises(ValueError, match="second network has no sparse W_h"):
        measures.topological_distance(a, a | {"W_h": np.ones((5, 20))})


def test_error_without_scipy_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r"pip install 'numpy-setlstm\[topology\]'"):
        match(np.eye(2))
    assert measures.topological_distance(network(0), network(0), matched=False).distance == 0


def test_baselines_are_ordered():
    pytest.importorskip("scipy")
    a, rng = network(0, D=24, H=24, V=400, density=0.08), np.random.default_rng(0)
    steps = {name: null_evolution(W, 2, 0.3, rng, reserved_rows=int(name == "E")) for name, W in a.items()}
    by_step = [{name: its[k] for name, its in steps.items()} for k in range(2)]
    found = measures.distance_baselines(a, by_step, rng)
    assert found["shuffled copy"] == 0
    assert found["shuffled copy"] < found["start and end"] < found["same start, no training"]
    assert found["same start, no training"] < found["independent random"] < 1
    matrix = measures.distance_matrix([a, network(1, D=24, H=24, V=400, density=0.08), measures.shuffled_copy(a, rng)])
    np.testing.assert_array_equal(matrix, matrix.T)
    assert matrix[0, 2] == 0 and min(matrix[0, 1], matrix[1, 2]) > 0.8 and (np.diag(matrix) == 0).all()


# Everything together


def test_describe_is_json_and_agrees_with_the_measures():
    a, rng = network(0, D=8, H=8), np.random.default_rng(0)
    steps = {name: null_evolution(W, 3, 0.3, rng, reserved_rows=int(name == "E")) for name, W in a.items()}
    by_step = [{name: its[k] for name, its in steps.items()} for k in range(3)]
    found = measures.describe(a | {"b": np.zeros(32)}, by_step, n_nulls=4)
    assert json.loads(json.dumps(found)) == found == measures.describe(a, by_step, n_nulls=4)
    assert found != measures.describe(a, by_step, n_nulls=4, seed=1)
    for name, W in a.items():
        reserved, last = int(name == "E"), replay(W.topology, steps[name])[-1]
        its = found[name]
        survival = measures.surviving_fraction(W.topology, steps[name])
        np.testing.assert_allclose(its["survival"]["observed"], survival, atol=1e-4)
        tried = measures.ever_tried(W.topology, steps[name], reserved_rows=reserved)
        np.testing.assert_allclose(its["ever_tried"]["observed"], tried, atol=1e-4)
        for side, axis in (("columns", 0), ("rows", 1)):
            degrees = its["degrees"][side]
            after = measures.degree_dispersion(last, axis, reserved_rows=reserved)
            assert degrees["after"] == round(after, 4) and degrees["null"]["low"] <= degrees["null"]["high"]
        spectrum = its["expansion"]["all"]
        assert spectrum["sigma_2"][1] == round(measures.expansion(last).sigma_2, 4)
        assert list(its["expansion"]) == ["all"] + (list(GATES) if name != "E" else [])
    assert list(found["E"]["turnover"]) == list(measures.WORD_BAND_NAMES)
    assert found["E"]["turnover"]["words 101 to 1000"]["pruned"] == [None] * 3  # of only 60 words


def test_describe_of_a_network_that_did_not_evolve():
    its = measures.describe({"W_h": network(0)["W_h"]}, [])["W_h"]
    assert its["survival"] == {"observed": [1.0], "null": None} and its["degrees"]["rows"]["null"] is None
    assert its["turnover"]["i"] == {"pruned": [], "null": None}


def test_a_description_does_not_depend_on_the_order_of_the_matrices():
    rng = np.random.default_rng(0)
    matrices = {name: erdos_renyi(shape, rng, density=0.3) for name, shape in (("W_x", (4, 16)), ("W_h", (4, 16)))}
    steps = [{name: set_step(W, 0.3, rng)[1] for name, W in matrices.items()}]
    backwards = dict(reversed(matrices.items()))
    assert measures.describe(matrices, steps, n_nulls=3) == measures.describe(backwards, steps, n_nulls=3)


def test_measures_say_what_does_not_fit():
    W = SparseMatrix((2, 4), [0, 1], [0, 1], [0.1, 0.2])
    _, step = set_step(W, 0.5, np.random.default_rng(0))
    with pytest.raises(TypeError, match="topology is .*; expected a Topology or a SparseMatrix"):
        measures.degree_counts(np.eye(2), 0)
    with pytest.raises(ValueError, match="reserved_rows is 1; expected that many leading rows without connections"):
        measures.degree_counts(W, 1, reserved_rows=1)
    with pytest.raises(TypeError, match=r"steps\[0\] is 5; expected SetSteps of one matrix"):
        measures.surviving_fraction(W.topology, [5])
    with pytest.raises(ValueError, match=r"steps\[0\] is a step of 2 connections.*expected steps of 1 connections"):
        measures.ever_tried(Topology((2, 4), [0], [0]), [step])
    with pytest.raises(ValueError, match="nnz is 5; expected a number from 0 to 4, the cells of"):
        measures.expected_degrees((2, 2), 5)
    with pytest.raises(ValueError, match="3 columns are not divisible by 4 gates"):
        measures.gates_of((2, 3))
    with pytest.raises(ValueError, match="group_of gives the group 1; expected 0 to 0"):
        measures.turnover(W.topology, [], measures.gates_of((2, 4)), 1)
