"""The pictures show the numbers that they are given: these tests count dots, bins, curves and frames."""

import math
import os

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import EllipseCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from numpy_setlstm import plotting
from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.measures import null_evolution, replay
from numpy_setlstm.plotting import (
    animate_evolution,
    animation,
    checks,
    connectivity,
    expected_degrees,
    plot_connectivity,
    plot_connectivity_change,
    plot_degrees,
    plot_learning_curves,
    plot_set_step,
    plot_step_sizes,
    plot_survival,
    plot_weight_histogram,
    save_animation,
    surviving_fraction,
)
from numpy_setlstm.sparse import SparseMatrix, Topology
from numpy_setlstm.topology import SetStep, erdos_renyi, prune

pytestmark = pytest.mark.filterwarnings("error")
STYLES = ("default", "dark_background", "ggplot", "fivethirtyeight", "grayscale", "seaborn-v0_8-poster")


@pytest.fixture
def W():
    return erdos_renyi((12, 40), np.random.default_rng(0), density=0.2)


@pytest.fixture
def steps(W):
    return null_evolution(W, 5, 0.3, np.random.default_rng(1))


def cells_by_color(ax):
    """Return, by color, the set of cells (row, column) of each collection of dots."""
    cells = {}
    for dots in ax.collections:
        assert isinstance(dots, EllipseCollection)
        color = dots.get_facecolor() if len(dots.get_facecolor()) else dots.get_edgecolor()
        cells[to_hex(color[0]).upper()] = {(int(row), int(col)) for col, row in dots.get_offsets()}
    return cells


def cells_of(topology):
    return set(zip(topology.rows.tolist(), topology.cols.tolist(), strict=True))


def labels_of(legend):
    return [text.get_text() for text in legend.get_texts()]


def hand_made_step():
    """On the cells 0 to 7 of one row: 0, 1, 2 exist; 1 and 2 are pruned; 2 and 5 grow. So cell 2 comes back."""
    step = SetStep(
        nnz=3,
        pruned=np.array([1, 2]),
        grown=np.array([1, 2]),
        pruned_cells=np.array([[0, 0], [1, 2]]),
        grown_cells=np.array([[0, 0], [2, 5]]),
    )
    return Topology((1, 8), np.array([0, 0, 0]), np.array([0, 1, 2])), step


# Connectivity


def test_connectivity_draws_a_dot_per_connection(W, ax):
    assert plot_connectivity(W, ax) is ax
    assert cells_by_color(ax) == {plotting.BLUE: cells_of(W)}
    names = [label.get_text() for label in ax.child_axes[0].get_xticklabels()]
    assert names == ["input gate i", "forget gate f", "output gate o", "candidate g"]
    assert [line.get_xdata()[0] for line in ax.lines] == [9.5, 19.5, 29.5]


def ticks_of(ax):
    """Return the label of each tick by its column."""
    return dict(zip(ax.get_xticks().tolist(), [label.get_text() for label in ax.get_xticklabels()], strict=True))


def test_each_gates_units_are_numbered_from_zero():
    W = erdos_renyi((3, 12), np.random.default_rng(0), density=0.5)
    for ax in (plot_connectivity(W), plot_connectivity_change(W.topology, W.topology)):
        assert ticks_of(ax) == {column: str(column % 3) for column in range(12)}
        assert ax.get_xlabel() == "to unit (column of each gate)"
    large = ticks_of(plot_connectivity(Topology((128, 512), np.empty(0, int), np.empty(0, int))))
    assert large == {128 * gate + unit: str(unit) for gate in range(4) for unit in (0, 50, 100)}
    without = plot_connectivity(Topology((5000, 7), np.empty(0, int), np.empty(0, int)), gates=())
    assert without.get_xlabel() == "to unit (column)"


@pytest.mark.parametrize("H", [1, 2, 5, 16, 48, 50, 100, 256, 1000, 1024])
def test_numbers_of_units_stay_clear_of_the_next_gate(H):
    ticks = connectivity._unit_ticks(H)
    assert ticks[0] == 0 and ticks[-1] < H and len(ticks) <= 5 and ticks[-1] >= 0.45 * (H - 1)
    assert len(set(np.diff(ticks))) <= 1
    assert H - ticks[-1] >= 0.4 * np.diff(ticks).max(initial=1)


@pytest.mark.parametrize(("shape", "gates"), [((300, 1200), GATES), ((301, 1204), GATES), ((5000, 7), ())])
def test_a_large_matrix_is_a_binned_image_that_counts_every_connection(shape, gates, monkeypatch):
    monkeypatch.setattr(connectivity, "MAX_DOTS", 1000)
    W = erdos_renyi(shape, np.random.default_rng(0), density=0.05)
    ax = plot_connectivity(W, gates=gates)
    (image,) = ax.images
    counts, cells = connectivity._bin((W.rows, W.cols), shape, gates)
    np.testing.assert_allclose(image.get_array() * cells, counts)
    assert counts.sum() == W.nnz and cells.sum() == W.size
    assert counts.shape[0] <= 128 and counts.shape[1] <= 256
    assert not ax.collections


def test_bins_never_cross_the_border_of_a_gate():
    shape = (100, 4 * 130)  # 130 columns in 64 bins of unequal size
    for gate in range(4):
        every_cell_of_the_gate = np.meshgrid(np.arange(100), np.arange(130) + gate * 130, indexing="ij")
        counts, cells = connectivity._bin([index.ravel() for index in every_cell_of_the_gate], shape, GATES)
        columns = slice(gate * 64, (gate + 1) * 64)
        np.testing.assert_array_equal(counts[:, columns], cells[:, columns])
        assert counts.sum() == 100 * 130


def test_connectivity_rejects_a_number_of_columns_not_divisible_by_the_gates(W):
    with pytest.raises(ValueError, match="10 columns are not divisible by 4 gates"):
        plot_connectivity(erdos_renyi((10, 10), np.random.default_rng(0), density=0.5))


def test_a_matrix_without_connections_can_be_drawn():
    nothing = Topology((1, 4), np.empty(0, int), np.empty(0, int))
    plot_connectivity(nothing).figure.draw_without_rendering()
    plot_connectivity_change(nothing, nothing).figure.draw_without_rendering()
    plot_degrees(nothing).figure.draw_without_rendering()
    assert surviving_fraction(nothing, []).tolist() == [1.0]


# What changed


def test_set_step_draws_what_was_kept_pruned_and_regrown(W, steps, ax):
    step, before = steps[0], W.topology
    assert plot_set_step(before, step, ax) is ax
    drawn = cells_by_color(ax)
    kept, regrown, gone = drawn[plotting.BLUE], drawn[plotting.ORANGE], drawn["#707070"]
    assert (len(kept), len(regrown)) == (len(step.kept), len(step.grown))
    assert kept | regrown == cells_of(step.apply(before)) and not kept & regrown
    assert kept | gone <= cells_of(before) and not gone & regrown


def test_a_connection_that_comes_back_is_drawn_as_regrown(ax):
    topology, step = hand_made_step()
    plot_set_step(topology, step, ax)
    drawn = {plotting.BLUE: {(0, 0)}, "#707070": {(0, 1)}, plotting.ORANGE: {(0, 2), (0, 5)}}
    assert cells_by_color(ax) == drawn
    assert labels_of(ax.get_legend()) == ["kept (1)", "pruned (2, 1 of them grown again)", "regrown (2)"]


def test_change_compares_two_topologies_any_number_of_steps_apart(W, steps, ax):
    before, after = W.topology, replay(W.topology, steps)[-1]
    assert plot_connectivity_change(before, after, ax) is ax
    a, b = cells_of(before), cells_of(after)
    assert cells_by_color(ax) == {plotting.BLUE: a & b, "#707070": a - b, plotting.ORANGE: b - a}
    labels = [f"kept ({len(a & b)})", f"pruned ({len(a - b)})", f"regrown ({len(b - a)})"]
    assert labels_of(ax.get_legend()) == labels


def test_change_of_a_large_matrix_mixes_colors_and_leaves_empty_bins_transparent(W, steps, monkeypatch):
    monkeypatch.setattr(connectivity, "MAX_DOTS", 10)
    (image,) = plot_connectivity_change(W.topology, W.topology).images
    rgba = image.get_array()  # (12, 40, 4): a bin per cell, since the matrix is small
    np.testing.assert_array_equal(rgba[..., 3], W.toarray() != 0)
    assert {to_hex(pixel).upper() for pixel in rgba[rgba[..., 3] == 1]} == {plotting.BLUE}


def test_change_rejects_different_shapes(W):
    with pytest.raises(ValueError, match=r"the shapes differ, \(12, 40\) and \(40, 12\)"):
        plot_connectivity_change(W.topology, W.T.topology)


# Survival


def test_survival_equals_a_hand_computation(ax):
    topology, step = hand_made_step()
    again = SetStep(3, np.array([0]), np.array([0]), np.array([[0], [0]]), np.array([[0], [1]]))
    # 0 1 2 -> 0 2 5 -> 1 2 5. Cells 2 and 1 come back as new connections: 0 was the last initial one.
    assert surviving_fraction(topology, [step, again]).tolist() == [1, 1 / 3, 0]
    assert plot_survival(topology, {"with training": [step, again], "null model": [step]}, ax) is ax
    trained, null = ax.lines
    assert trained.get_ydata().tolist() == [1, 1 / 3, 0] and null.get_ydata().tolist() == [1, 1 / 3]
    assert (trained.get_linestyle(), null.get_linestyle()) == ("-", "--")


def test_survival_is_at_most_the_fraction_of_the_initial_cells(W, steps):
    fractions = surviving_fraction(W.topology, steps)
    remaining = [len(cells_of(W) & cells_of(topology)) / W.nnz for topology in replay(W.topology, steps)]
    assert fractions[0] == 1 and (np.diff(fractions) <= 0).all()
    assert (fractions <= remaining).all()  # which also counts cells that grew again


# The animation


def drawn_by(evolution, k):
    """Draw the frame after k steps; return the number of dots by color, for each matrix."""
    evolution._draw_frame(k)
    matrix_axes = [ax for ax in evolution._fig.axes if ax.collections]
    return [[len(dots.get_offsets()) for dots in ax.collections] for ax in matrix_axes]


def test_frames_draw_every_connection_once(W, steps):
    null_steps = null_evolution(W, 5, 0.3, np.random.default_rng(2))
    evolution = animate_evolution(W.topology, steps, null_steps=null_steps)
    evolution._init_draw()
    assert drawn_by(evolution, 0) == [[0, 0, 0, W.nnz]] * 2
    for k in range(1, 6):
        counts = drawn_by(evolution, k)
        for (pruned, just_grown, older, initial), its_steps in zip(counts, (steps, null_steps), strict=True):
            before, now = (cells_of(topology) for topology in replay(W.topology, its_steps)[k - 1 : k + 1])
            assert just_grown + older + initial == W.nnz
            assert (pruned, just_grown) == (len(before - now), len(its_steps[k - 1].grown))
            assert initial / W.nnz == surviving_fraction(W.topology, its_steps)[k]


def test_dots_are_in_the_square_of_their_gate():
    corners = Topology((2, 8), np.array([0, 0, 0, 0]), np.array([0, 2, 4, 6]))  # cell (0, 0) of each gate
    step = SetStep(4, *[np.empty(0, int)] * 2, *[np.empty((2, 0), int)] * 2)
    evolution = animate_evolution(corners, [step])
    evolution._init_draw()
    ax = next(ax for ax in evolution._fig.axes if ax.collections)
    squares = [patch.get_xy() for patch in ax.patches]
    dots = ax.collections[3].get_offsets().tolist()
    assert [[x + 0.5, y + 0.5] for x, y in squares] == dots
    assert [text.get_text()[-1] for text in ax.texts] == list(GATES)


@pytest.mark.parametrize(("max_frames", "n_frames"), [(40, 6), (3, 3)])
def test_the_gif_has_a_frame_per_step_and_holds_the_last_one(W, steps, tmp_path, max_frames, n_frames):
    path = tmp_path / "evolution.gif"
    path.write_text("something older")
    save_animation(animate_evolution(W.topology, steps, max_frames=max_frames), path, fps=5)
    assert os.listdir(tmp_path) == ["evolution.gif"]
    with Image.open(path) as gif:
        assert gif.n_frames == n_frames
        durations = []
        for k in range(gif.n_frames):
            gif.seek(k)
            durations.append(gif.info["duration"])
        assert durations == [200] * (n_frames - 1) + [2000]
        pixels = np.asarray(gif.convert("RGB")).reshape(-1, 3)
    colors = {to_hex(pixel / 255).upper() for pixel in np.unique(pixels, axis=0)}
    assert {"#FFFFFF", plotting.BLUE, plotting.ORANGE, plotting.PURPLE} <= colors


def test_an_animation_that_fails_leaves_the_older_file_and_nothing_else(W, steps, tmp_path, monkeypatch):
    path = tmp_path / "evolution.gif"
    path.write_text("something older")
    monkeypatch.setattr("matplotlib.animation.PillowWriter.finish", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_animation(animate_evolution(W.topology, steps[:1]), path)
    assert os.listdir(tmp_path) == ["evolution.gif"] and path.read_text() == "something older"


@pytest.mark.parametrize("frame", [0, 2])
def test_ctrl_c_while_a_frame_is_drawn_is_ctrl_c_and_no_film(W, steps, tmp_path, frame):
    film = animate_evolution(W.topology, steps)
    draw, drawn = film._func, []

    def interrupted(k):
        drawn.append(k)
        if len(drawn) > frame:
            raise KeyboardInterrupt
        return draw(k)

    film._func = interrupted
    with pytest.raises(KeyboardInterrupt):
        save_animation(film, tmp_path / "evolution.gif")
    assert os.listdir(tmp_path) == []


def test_the_gif_of_a_large_matrix_stays_small(tmp_path):
    W = erdos_renyi((128, 512), np.random.default_rng(0), density=0.045)
    steps = null_evolution(W, 3, 0.3, np.random.default_rng(1))
    save_animation(animate_evolution(W.topology, steps, null_steps=steps), tmp_path / "evolution.gif")
    assert os.path.getsize(tmp_path / "evolution.gif") < 4 * 62_500  # so sixteen frames are smaller than a megabyte


def test_impossible_animations_are_rejected(W, steps, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="there are no SET steps"):
        animate_evolution(W.topology, [])
    with pytest.raises(ValueError, match="null model has 2 steps; expected 5"):
        animate_evolution(W.topology, steps, null_steps=steps[:2])
    with pytest.raises(ValueError, match=r"shape \(2, 6\); expected \(n, 4H\)"):
        animate_evolution(Topology((2, 6), [], []), steps)
    monkeypatch.setattr(animation, "MAX_DOTS", 10)
    with pytest.raises(ValueError, match="there are 96 connections; at most 10 can be drawn as dots"):
        animate_evolution(W.topology, steps)
    with pytest.raises(ValueError, match="expected a name ending in .gif"):
        save_animation(None, tmp_path / "evolution.mp4")
    with pytest.raises(ValueError, match="a number above 0"):
        save_animation(None, tmp_path / "evolution.gif", fps=0)


# Curves and distributions


def history(losses, evolved=(), accuracies=None):
    return {
        "train_loss": [loss - 0.1 for loss in losses],
        "train_accuracy": [0.5] * len(losses),
        "validation_loss": list(losses),
        "validation_accuracy": accuracies or [0.6] * len(losses),
        "validation_loss_evolved": list(evolved),
        "set_steps": [{}] * len(evolved),
    }


def test_learning_curves_jump_at_each_evolution():
    axes = Figure().subplots(1, 2)
    histories = {"dense": history([0.7, 0.4]), "set": history([0.7, 0.6, 0.5], [0.8, 0.65])}
    assert list(plot_learning_curves(histories, axes)) == list(axes)
    curves = {line.get_label(): line for line in axes[0].lines}
    assert curves["dense"].get_xydata().tolist() == [[1, 0.7], [2, 0.4]]
    assert curves["set"].get_xydata().tolist() == [[1, 0.7], [1, 0.8], [2, 0.6], [2, 0.65], [3, 0.5]]
    assert axes[0].lines[-1].get_xydata().tolist() == [[1, 0.8], [2, 0.65]]  # the triangles
    assert labels_of(axes[0].get_legend()) == ["validation", "training", "after a SET step"]
    assert labels_of(axes[1].get_legend()) == ["dense", "set"]
    assert curves["dense"].get_color() == plotting.VERMILLION and curves["set"].get_color() == plotting.BLUE


def test_learning_curves_without_validation():
    without = history([0.7, 0.6], [None])
    without["validation_loss"] = without["validation_accuracy"] = [None, None]
    loss_ax, accuracy_ax = plot_learning_curves({"set": without})
    loss_ax.figure.draw_without_rendering()
    assert np.isnan(loss_ax.lines[1].get_ydata()).all() and np.isnan(accuracy_ax.lines[1].get_ydata()).all()


@pytest.mark.parametrize("axis", [0, 1])
def test_degrees_are_counted_and_compared_with_the_exact_distribution(W, ax, axis):
    assert plot_degrees(W, ax, axis=axis) is ax
    degrees = (W.toarray() != 0).sum(axis=axis)
    heights = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in ax.patches}
    assert heights == {k: np.count_nonzero(degrees == k) for k in heights} and sum(heights.values()) == len(degrees)
    k, expected = ax.lines[0].get_data()
    assert math.isclose(expected.sum(), len(degrees))
    assert math.isclose(expected @ k, W.nnz)


def test_degrees_of_a_large_vocabulary_are_drawn_without_empty_bars():
    E = erdos_renyi((20_000, 64), np.random.default_rng(0), density=0.02)
    ax = plot_degrees(E, axis=0)
    assert sum(bar.get_height() for bar in ax.patches) == 64
    assert len(ax.patches) < 500 and math.isclose(ax.lines[0].get_ydata().sum(), 64, rel_tol=1e-6)


def test_expected_degrees_equal_binomial_coefficients_and_survive_large_matrices():
    exact = [math.comb(6, k) * math.comb(48, 9 - k) / math.comb(54, 9) for k in range(7)]
    np.testing.assert_allclose(expected_degrees((6, 9), 9), exact)
    p = expected_degrees((20_000, 256), 200_000)
    k = np.arange(len(p))
    assert math.isclose(p.sum(), 1, rel_tol=1e-6) and math.isclose(k @ p, 200_000 / 256, rel_tol=1e-6)
    assert expected_degrees((3, 4), 12).tolist() == [0, 0, 0, 1]
    assert expected_degrees((3, 4), 0).tolist() == [1, 0, 0, 0]


def test_weight_histogram_stacks_pruned_on_kept_weights(W, ax):
    pruned = prune(W, 0.3)
    assert plot_weight_histogram(W.values, pruned, ax, n_bins=7) is ax
    heights = [sum(bar.get_height() for bar in group) for group in ax.containers]
    assert heights == [W.nnz - len(pruned), len(pruned)]
    assert labels_of(ax.get_legend()) == [f"kept ({W.nnz - len(pruned)})", f"pruned ({len(pruned)})"]
    curve = plot_weight_histogram(W.values, pruned, n_bins=7, scale=1.0).lines[0]
    width = np.ptp(W.values) / 7
    assert math.isclose(np.interp(0, *curve.get_data()), W.nnz * width / math.sqrt(2 * math.pi), rel_tol=1e-3)


# Styles


@pytest.mark.parametrize("style", STYLES)
def test_every_picture_can_be_drawn_in_every_style(W, steps, style):
    topology = W.topology
    with plt.style.context(style):
        axes = [
            plot_learning_curves({"set": history([0.7, 0.6], [0.8])})[0],
            plot_connectivity(W),
            plot_set_step(topology, steps[0]),
            plot_survival(topology, {"with training": steps, "null model": steps}),
            plot_degrees(W),
            plot_weight_histogram(W.values, prune(W, 0.3)),
        ]
        evolution = animate_evolution(topology, steps, null_steps=steps)
    for ax in axes:
        ax.figure.draw_without_rendering()
    evolution._init_draw()
    evolution._fig.draw_without_rendering()


BLUES = {"default": plotting.BLUE, "dark_background": plotting.SKY_BLUE}


@pytest.mark.parametrize(("style", "blue"), BLUES.items())
def test_blue_is_light_on_a_dark_background(W, steps, style, blue):
    with plt.style.context(style):
        ax = plot_set_step(W.topology, steps[0])
    assert blue in cells_by_color(ax)


def test_the_text_of_a_frame_stays_within_the_picture_and_does_not_overlap(steps, W):
    for H, null_steps in ((10, None), (10, steps), (100, None)):
        topology = W.topology if H == 10 else Topology((H, 4 * H), W.rows, W.cols)
        evolution = animate_evolution(topology, steps, null_steps=null_steps)
        evolution._init_draw()
        figure = evolution._fig
        figure.draw_without_rendering()
        title, about_axes = (text.get_window_extent() for text in figure.texts)
        legend = figure.legends[0].get_window_extent()
        headings = [ax.title.get_window_extent() for ax in figure.axes if ax.collections]
        assert not title.overlaps(legend) and not any(legend.overlaps(heading) for heading in headings)
        assert max(legend.x1, title.x1, about_axes.x1) < figure.bbox.x1
        assert not any(about_axes.overlaps(words) for words in (legend, title, *headings))


def test_a_sparse_matrix_is_drawn_like_its_topology(W):
    assert isinstance(W, SparseMatrix)
    assert cells_by_color(plot_connectivity(W)) == cells_by_color(plot_connectivity(W.topology))


# Step sizes


def step_size_curves():
    steps = 10.0 ** -np.arange(1, 19)
    tiny = 10.0 ** -np.concatenate([np.arange(1, 20), np.arange(20, 301, 40)])
    return {
        "forward difference": (steps, steps + 1e-16 / steps),
        "central difference": (steps, steps**2 + 1e-16 / steps),
        "complex step": (tiny, np.where(tiny > 1e-8, tiny**2, 0.0)),
    }


def test_step_sizes_are_drawn_as_given(ax):
    curves = step_size_curves()
    assert plot_step_sizes(curves, ax) is ax
    lines = {line.get_label().split(":")[0]: line for line in ax.lines if not line.get_label().startswith("_")}
    assert list(lines) == list(curves)
    for label, (steps, errors) in curves.items():
        np.testing.assert_array_equal(lines[label].get_xdata(), steps)
        np.testing.assert_array_equal(lines[label].get_ydata(), np.maximum(errors, 1e-17))  # 0 has no logarithm
    assert (
        len({line.get_color() for line in lines.values()}) == len({line.get_marker() for line in lines.values()}) == 3
    )
    assert labels_of(ax.get_legend())[1] == "central difference: at best 1e-10"
    slopes = [np.diff(np.log10(line.get_ydata())) / np.diff(np.log10(line.get_xdata())) for line in ax.lines
              if line.get_lw() < 1]  # fmt: skip
    np.testing.assert_allclose(np.concatenate(slopes), [1, 2])
    words = [text.get_text() for text in ax.texts]
    assert words == ["error ~ step", "error ~ step²", "rounding: 2·10⁻¹⁶", "axis compressed"]


def test_the_axis_of_step_sizes_is_increasing_and_fits_300_powers_of_ten(ax):
    plot_step_sizes(step_size_curves(), ax)
    ax.figure.canvas.draw()
    places = [ax.transData.transform((step, 1))[0] for step in 10.0 ** np.array([-300, -100, -20, -10, -1])]
    shares = (np.array(places) - ax.bbox.x0) / ax.bbox.width
    assert shares[0] == pytest.approx(0, abs=1e-9) and (np.diff(shares) > 0.05).all() and shares[-1] < 1
    powers = np.arange(-300.0, 0.0, 7.0)
    np.testing.assert_allclose(np.log10(checks._expand(checks._compress(10.0**powers))), powers)


@pytest.mark.parametrize("style", STYLES)
def test_step_sizes_in_any_style(style):
    with plt.style.context(style):
        plot_step_sizes(step_size_curves()).figure.canvas.draw()
