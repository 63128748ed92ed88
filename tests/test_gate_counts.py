"""Connections that move from gate to gate, or do not: SET steps by blocks of columns, counts per gate, their null."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_language import SMALL, TEXT
from test_topology import cells, matrices, seeds, steady, zetas
from test_training import LABELS, TEXTS, begin, classifier

from numpy_setlstm import SetLSTMLanguageModel, SparseMatrix, erdos_renyi, measures, plotting
from numpy_setlstm.evolution import evolve, with_candidates
from numpy_setlstm.network import gate_counts
from numpy_setlstm.topology import floor_share, prune, set_step
from numpy_setlstm.training import TrainingSettings

ALL_CELLS = 10**6  # candidates per connection to grow: more than there are cells


def split(W, n_blocks):
    """The matrices that stand side by side in a SparseMatrix, dense, with NaN where there is no connection."""
    A = np.full(W.shape, np.nan)
    A[W.rows, W.cols] = W.values
    return np.split(A, n_blocks, axis=1)


# By hand


def test_together_the_weakest_of_all_gates_are_pruned_and_in_blocks_those_of_each():
    W = SparseMatrix.from_array(np.array([[0.1, 1.1], [0.2, 1.2], [0.3, 1.3], [0.4, 1.4]]))  # the first gate is small
    weights = W.values.tolist()
    for n_blocks, expected in ((1, [0.1, 0.2, 0.3, 0.4]), (2, [0.1, 0.2, 1.1, 1.2])):
        for rule in ("sign", "magnitude"):
            pruned = prune(W, 0.5, rule, n_blocks=n_blocks)
            assert sorted(weights[k] for k in pruned) == expected and (np.diff(pruned) > 0).all()


def test_in_blocks_each_sign_of_each_gate_loses_its_floor():
    W = SparseMatrix((1, 8), [0] * 8, range(8), [-4.0, -1.0, 3.0, 2.0, 9.0, 8.0, 7.0, -5.0])
    assert prune(W, 0.5, "sign", n_blocks=2).tolist() == [1, 3, 6]  # floor(0.5 · 1) of one negative weight is 0
    assert prune(W, 0.5, "magnitude", n_blocks=2).tolist() == [1, 3, 6, 7]
    assert prune(W, 0.5, "magnitude").tolist() == [0, 1, 2, 3]
    assert prune(W, 1, n_blocks=8).tolist() == list(range(8)) and not prune(W, 0.9, n_blocks=8).size


def test_in_blocks_the_largest_scores_of_each_gate_grow():
    W = SparseMatrix((2, 4), [0, 0, 0, 0], [0, 1, 2, 3], [0.1, 5.0, 0.2, 5.0])
    scores = np.array([[0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 30.0, 20.0]])
    options = {"prune_rule": "magnitude", "scale": 0.0}
    for growth_scores in (scores, scores.astype(int), SparseMatrix.from_array(scores)):
        given = options | {"growth_scores": growth_scores}
        together, _ = set_step(W, 0.5, np.random.default_rng(0), **given)
        apart, step = set_step(W, 0.5, np.random.default_rng(0), **given, n_blocks=2)
        assert cells(together.rows, together.cols) == [(0, 1), (0, 3), (1, 2), (1, 3)]
        assert cells(apart.rows, apart.cols) == [(0, 1), (0, 3), (1, 1), (1, 2)]
        assert apart.values.tolist() == [5.0, 5.0, 0.0, 0.0] and step.grown.tolist() == [2, 3]


def test_a_matrix_without_columns_is_one_block():
    W = SparseMatrix((3, 0), [], [], np.zeros(0))
    assert prune(W, 0.5, n_blocks=1).tolist() == []
    for n_blocks in (2, 10**9):
        with pytest.raises(ValueError, match=f"n_blocks is {n_blocks}; expected a divisor of the 0 columns, such as 1"):
            prune(W, 0.5, n_blocks=n_blocks)


@pytest.mark.parametrize("n_blocks", [0, -1, 3, 5, 8])
def test_columns_that_are_not_those_of_so_many_blocks_are_refused(n_blocks):
    W = erdos_renyi((3, 4), np.random.default_rng(0), density=0.5)
    message = f"n_blocks is {n_blocks}; expected a divisor of the 4 columns, such as 1"
    for call in (
        lambda: prune(W, 0.5, n_blocks=n_blocks),
        lambda: set_step(W, 0.5, np.random.default_rng(0), n_blocks=n_blocks),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    scores = np.ones((3, 8))
    with pytest.raises(ValueError, match=r"growth_scores have shape \(3, 8\); expected \(3, 4\)"):
        set_step(W, 0.5, np.random.default_rng(0), growth_scores=scores, n_blocks=2)


# For any matrix


@steady
@given(W=matrices(), zeta=zetas, rule=st.sampled_from(["sign", "magnitude"]), seed=seeds, data=st.data())
def test_each_block_takes_a_step_of_its_own(W, zeta, rule, seed, data):
    divisors = [n for n in range(1, W.shape[1] + 1) if W.shape[1] % n == 0] or [1]
    n_blocks = data.draw(st.sampled_from(divisors))
    new, step = set_step(W, zeta, np.random.default_rng(seed), prune_rule=rule, scale=1.0, n_blocks=n_blocks)
    assert cells(step.apply(W.topology).rows, step.apply(W.topology).cols) == cells(new.rows, new.cols)
    pruned = set(cells(*step.pruned_cells))
    width = W.shape[1] // n_blocks
    for k, (before, after) in enumerate(zip(split(W, n_blocks), split(new, n_blocks), strict=True)):
        had, has = np.isfinite(before), np.isfinite(after)
        assert had.sum() == has.sum()
        alone = SparseMatrix(before.shape, *np.nonzero(had), before[had])
        expected = prune(alone, zeta, rule)
        gone = cells(alone.rows[expected], alone.cols[expected] + k * width)
        assert set(gone) == {cell for cell in pruned if cell[1] // max(width, 1) == k}
        sizes = [np.sum(alone.values >= 0), np.sum(alone.values < 0)] if rule == "sign" else [alone.nnz]
        assert len(gone) == sum(floor_share(zeta, int(size)) for size in sizes)


def test_every_free_cell_of_a_gate_is_equally_likely():
    W = SparseMatrix((3, 4), [0, 0], [0, 2], [1.0, 2.0])
    rng, counts = np.random.default_rng(0), np.zeros((3, 4))
    for _ in range(3000):
        new, _ = set_step(W, 1.0, rng, n_blocks=2)
        counts[new.rows, new.cols] += 1
    assert counts[:, :2].sum() == counts[:, 2:].sum() == 3000
    assert np.abs(counts - 500).max() < 5 * np.sqrt(500 * 5 / 6)


def test_the_padding_row_stays_empty_in_blocks():
    rng = np.random.default_rng(0)
    W = erdos_renyi((3, 4), rng, density=0.5, reserved_rows=1)
    for _ in range(20):
        W, _ = set_step(W, 1.0, rng, reserved_rows=1, n_blocks=2)
        assert W.rows.min() == 1


# In training


@pytest.mark.parametrize("growth", ["zero", "random", "gradient"])
@pytest.mark.parametrize("prune_rule", ["sign", "magnitude"])
def test_a_network_keeps_the_counts_of_its_gates_or_does_not(prune_rule, growth):
    options = {"zeta": 0.5, "growth": growth, "prune_rule": prune_rule, "n_epochs": 4, "bidirectional": True}
    for keep in (True, False):
        clf = classifier(**options, keep_gate_counts=keep).fit(TEXTS, LABELS)
        history = clf.history_["gate_counts"]
        assert list(history[0]) == ["W_x", "W_h", "W_x_reverse", "W_h_reverse"]
        for name in history[0]:
            assert all(entry[name] == history[0][name] for entry in history) == keep
        assert all(len(step.grown) > 0 for steps in clf.history_["set_steps"] for step in steps.values())


def test_the_embedding_is_replaced_as_ever():
    steps = []
    for keep in (False, True):
        state, tokens, labels = begin()
        steps.append(evolve(state, TrainingSettings(zeta=0.5, keep_gate_counts=keep), tokens, labels))
    for part in ("pruned_cells", "grown_cells"):
        np.testing.assert_array_equal(getattr(steps[0]["E"], part), getattr(steps[1]["E"], part))
    assert steps[0]["W_h"].pruned_cells.tolist() != steps[1]["W_h"].pruned_cells.tolist()


def test_with_all_cells_as_candidates_the_same_cells_grow_as_without():
    grown = []
    for candidates in (None, ALL_CELLS):
        state, tokens, labels = begin()
        before = state.network.gate_counts()
        settings = TrainingSettings(growth="gradient", candidates=candidates, zeta=0.3, keep_gate_counts=True)
        steps = evolve(state, settings, tokens, labels)
        grown.append({name: step.grown_cells.tolist() for name, step in steps.items()})
        assert state.network.gate_counts() == before
    assert grown[0] == grown[1]
    assert with_candidates(settings, 0.3, np.random.default_rng(0))(state.network.parameters["W_h"]).nnz > 0


@pytest.mark.parametrize("keep", [False, True])
def test_a_language_model_keeps_the_counts_of_its_gates_or_does_not(keep, tmp_path):
    everything = ("E", "W_x", "W_h", "W_out")
    model = SetLSTMLanguageModel(**SMALL, n_layers=2, sparse=everything, keep_gate_counts=keep, zeta=0.5).fit(TEXT)
    history = model.history_["gate_counts"]
    assert list(history[0]) == ["W_x", "W_h", "W_x_2", "W_h_2"]
    for name in history[0]:
        assert all(entry[name] == history[0][name] for entry in history) == keep
    model.save(tmp_path / "model.npz")
    assert SetLSTMLanguageModel.load(tmp_path / "model.npz").keep_gate_counts is keep


# Counted, and drawn


def evolved(n_steps=4, n_blocks=1):
    rng = np.random.default_rng(0)
    W = first = erdos_renyi((12, 32), rng, density=0.3)
    steps, found = [], [gate_counts(W)]
    for _ in range(n_steps):
        W, step = set_step(W, 0.4, rng, scale=1.0, n_blocks=n_blocks)
        steps.append(step)
        found.append(gate_counts(W))
    return first, steps, np.array([list(counts.values()) for counts in found])


@pytest.mark.parametrize("n_blocks", [1, 4])
def test_counts_of_the_gates_after_each_step(n_blocks):
    W, steps, expected = evolved(n_blocks=n_blocks)
    found = measures.group_counts(W.topology, steps, measures.gates_of(W.shape), 4)
    assert found.tolist() == expected.tolist() and (len(np.unique(found, axis=0)) == 1) == (n_blocks == 4)
    assert measures.group_counts(W.topology, [], measures.gates_of(W.shape), 5).tolist() == [[*expected[0], 0]]


def test_counts_need_a_function_and_enough_groups():
    W, steps, _ = evolved()
    with pytest.raises(TypeError, match="group_of is str; expected a function"):
        measures.group_counts(W.topology, steps, "gates", 4)
    with pytest.raises(ValueError, match="group_of gives the group 3; expected 0 to 2"):
        measures.group_counts(W.topology, steps, measures.gates_of(W.shape), 3)


def test_counts_are_drawn_with_the_middle_of_evolutions_without_training():
    W, steps, expected = evolved()
    rng, group_of = np.random.default_rng(1), measures.gates_of(W.shape)
    nulls = [measures.matched_null(W.topology, steps, rng) for _ in range(40)]
    ax = plotting.plot_gate_counts(W.topology, steps, nulls)
    assert [line.get_label() for line in ax.lines] == [plotting.GATE_NAMES[gate] for gate in "ifog"]
    assert np.array([line.get_ydata() for line in ax.lines]).T.tolist() == expected.tolist()
    counts = np.array([measures.group_counts(W.topology, null, group_of, 4) for null in nulls])
    low, high = np.percentile(counts, [2.5, 97.5], axis=0)
    (band,) = ax.collections
    vertices = band.get_paths()[0].vertices
    for k in range(5):
        edges = vertices[vertices[:, 0] == k, 1]
        assert (edges.min(), edges.max()) == (low[k].min(), high[k].max())
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[-1] == "null model: without training" and len(labels) == 5
    alone = plotting.plot_gate_counts(W.topology, [], ax=plotting.plot_gate_counts(W.topology, []))
    assert not alone.collections


def test_without_training_unequal_gates_become_more_equal():
    """Gates are pruned in proportion to what they have, and regrown alike: a move is no sign of learning."""
    rng = np.random.default_rng(0)
    start = erdos_renyi((40, 40), rng, density=0.4)
    W = SparseMatrix((40, 160), start.rows, start.cols, start.values)  # all connections in the first gate
    steps = measures.matched_null(W.topology, [set_step(W, 0.3, rng)[1]] * 12, rng)
    counts = measures.group_counts(W.topology, steps, measures.gates_of(W.shape), 4)
    assert counts[0].tolist() == [640, 0, 0, 0] and (np.diff(counts[:4, 0]) < 0).all()
    assert counts[-1, 0] < 0.5 * 640 and counts[-1, 1:].min() > 0.15 * 640
