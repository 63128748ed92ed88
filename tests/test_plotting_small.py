"""Pictures of small layers, index arrays and carried state, and pages: these tests count what is drawn."""

import base64
import io
import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image
from test_plotting import STYLES

from numpy_setlstm import plotting
from numpy_setlstm.measures import null_evolution
from numpy_setlstm.plotting import (
    animate_evolution,
    animation_page,
    plot_bipartite,
    plot_carry,
    plot_connectivity,
    plot_connectivity_change,
    plot_empty_rows,
    plot_evolution_frame,
    plot_index_arrays,
    plot_set_step,
    plot_survival,
)
from numpy_setlstm.sparse import SparseMatrix, Topology
from numpy_setlstm.topology import SetStep, erdos_renyi, set_step

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
def W():
    return erdos_renyi((5, 7), np.random.default_rng(4), density=0.4, dtype=np.float64)


def lines_of(ax):
    """Return, by label of a group of lines, the pairs of heights at their ends."""
    return {
        lines.get_label(): {(float(a[1]), float(b[1])) for a, b in lines.get_segments()} for lines in ax.collections
    }


def texts_of(ax, gid):
    return [text.get_text() for text in ax.texts if text.get_gid() == gid]


# Bipartite graph


def test_bipartite_draws_a_line_per_connection(W, ax):
    assert plot_bipartite(W, ax=ax) is ax
    heights = [np.linspace(0, 1, size) for size in W.shape]
    expected = {(heights[0][row], heights[1][col]) for row, col in zip(W.rows, W.cols, strict=True)}
    assert lines_of(ax) == {"connections": expected} and len(expected) == W.nnz
    assert [len(line.get_xdata()) for line in ax.lines] == list(W.shape)


def test_bipartite_draws_kept_pruned_and_regrown_connections(W, ax):
    new, step = set_step(W, 0.3, np.random.default_rng(4))
    plot_bipartite(W, step, ax)
    pruned, back, kept, regrown = lines_of(ax).values()
    at = [np.linspace(0, 1, size) for size in W.shape]
    after = {(at[0][row], at[1][col]) for row, col in zip(new.rows, new.cols, strict=True)}
    before = {(at[0][row], at[1][col]) for row, col in zip(W.rows, W.cols, strict=True)}
    assert kept | regrown == after and not kept & regrown and len(kept) == len(step.kept)
    assert pruned == before - after and back == (before & after) - kept and len(back) == 1
    labels = [text.get_text().split()[0] for text in ax.get_legend().get_texts()]
    assert labels == ["kept", "pruned", "regrown"]


def test_a_connection_that_comes_back_is_drawn_twice_side_by_side(ax):
    step = SetStep(2, np.array([0, 1]), np.array([0, 1]), np.array([[0, 0], [0, 1]]), np.array([[0, 0], [1, 2]]))
    plot_bipartite(Topology((1, 3), [0, 0], [0, 1]), step, ax)
    assert lines_of(ax) == {
        "pruned (2, 1 of them grown again)": {(0.5, 0.0)},
        "_pruned and regrown": {(0.5, 0.5)},
        "kept (0)": set(),
        "regrown (2)": {(0.5, 0.5), (0.5, 1.0)},
    }
    ax.figure.draw_without_rendering()
    pruned, back, _, regrown = ax.collections
    heights = [lines.get_transform().transform((0, 0.5))[1] for lines in (pruned, back, regrown)]
    assert heights[0] == heights[2] and abs(heights[1] - heights[0]) > 3


def test_bipartite_shows_the_size_and_the_sign_of_the_weights(W, ax):
    plot_bipartite(W, ax=ax, values=W.values, sides=("from", "to"))
    for lines, values in zip(ax.collections, (W.values[W.values >= 0], W.values[W.values < 0]), strict=True):
        assert np.argsort(lines.get_linewidths()).tolist() == np.argsort(np.abs(values)).tolist()
        assert len(lines.get_segments()) == len(values)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["negative weight", "weight of 0 or more"]
    assert [text.get_text() for text in ax.texts if not text.get_text().isdigit()] == ["from", "to"]
    new, step = set_step(W, 0.3, np.random.default_rng(4))
    pruned, _, kept, _ = plot_bipartite(W, step, values=W.values).collections
    assert max(pruned.get_linewidths()) < max(kept.get_linewidths())
    plot_bipartite(W, values=np.zeros(W.nnz)).figure.draw_without_rendering()


def test_bipartite_rejects_illegible_and_inconsistent_input(W):
    with pytest.raises(
        ValueError, match="there are 400 connections; at most 300 can be drawn as lines: use plot_connectivity"
    ):
        plot_bipartite(erdos_renyi((20, 20), np.random.default_rng(0), density=1.0))
    with pytest.raises(ValueError, match="there are 2 names for 7 columns; expected one for each"):
        plot_bipartite(W, col_names=["good", "bad"])
    with pytest.raises(ValueError, match=r"values have shape \(3,\); expected \(14,\), one per connection"):
        plot_bipartite(W, values=np.ones(3))


# Arrays


def test_index_arrays_are_written_out_and_the_grid_has_a_cell_for_each(W, ax):
    assert plot_index_arrays(W, ax) is ax
    numbers = [f"{number:.2g}" for array in (W.rows, W.cols, W.values) for number in array]
    assert [text for text in texts_of(ax, "array") if text not in ("rows", "cols", "values")] == numbers
    assert len(ax.patches) == W.size + W.nnz + 3 * W.nnz
    filled = [patch for patch in ax.patches if patch.get_facecolor()[3] and patch.get_x() < W.shape[1]]
    assert {(patch.get_y(), patch.get_x()) for patch in filled} == set(zip(W.rows, W.cols, strict=True))


def test_index_arrays_accept_other_numbers(W, ax):
    plot_index_arrays(W, ax, values=np.arange(W.nnz), values_name="dv")
    assert texts_of(ax, "array")[-W.nnz - 1 :] == ["dv", *map(str, range(W.nnz))]
    with pytest.raises(ValueError, match=r"values have shape \(3,\); expected \(14,\)"):
        plot_index_arrays(W, values=np.arange(3))
    assert texts_of(ax, "number") == ["k", *map(str, range(W.nnz))]
    with pytest.raises(ValueError, match="there are 100 connections, at most 40 can be written out"):
        plot_index_arrays(erdos_renyi((10, 10), np.random.default_rng(0), density=1.0))


def test_index_arrays_follow_one_connection_from_its_cell_to_its_column(W, ax):
    plot_index_arrays(W, ax, follow=3, title="W")
    cell, column = [patch for patch in ax.patches if patch.get_gid() == "follow"]
    assert cell.get_xy() == (W.cols[3], W.rows[3])
    numbers = [
        text for text in ax.texts if text.get_gid() == "array" and text.get_text() not in ("rows", "cols", "values")
    ]
    in_column = [text.get_text() for text in numbers if 0 < text.get_position()[0] - column.get_x() < 1]
    assert in_column == [f"{number:.2g}" for number in (W.rows[3], W.cols[3], W.values[3])]
    assert "W" in [text.get_text() for text in ax.texts]
    with pytest.raises(ValueError, match="follow is 14; expected the index of a connection, from 0 to 13"):
        plot_index_arrays(W, follow=14)


def test_carry_connects_the_old_and_the_new_place_of_each_survivor(W, ax):
    new, step = set_step(W, 0.3, np.random.default_rng(4))
    state = np.arange(1.0, W.nnz + 1)
    assert plot_carry(W.topology, step, state, ax, name="momentum") is ax
    assert texts_of(ax, "old") == [f"{number:.2g}" for number in state]
    assert texts_of(ax, "new") == [f"{number:.2g}" for number in step.carry(state)]
    ends = [(line.get_xdata()[0] - 0.5, line.get_xdata()[1] - 0.5) for line in ax.lines[:-1]]
    assert ends == list(zip(step.kept, step.survivors, strict=True))
    assert (ax.lines[-1].get_xdata() - 0.5).tolist() == step.pruned.tolist()


def test_empty_rows_are_drawn_with_the_poisson_law(ax):
    assert plot_empty_rows([1, 2, 10], [0.36, 0.13, 0.0], (100, 50), ax) is ax
    law, counted = ax.lines
    np.testing.assert_allclose(law.get_ydata()[[0, -1]], np.exp([-1.5, -15]))
    np.testing.assert_array_equal(counted.get_ydata(), [0.36, 0.13, np.nan])
    ax.figure.draw_without_rendering()


# Matrices of thousands of units


@pytest.mark.parametrize("plot", ["connectivity", "change", "step"])
def test_thousands_of_units_are_drawn_as_one_small_image(plot):
    W = erdos_renyi((2048, 4 * 2048), np.random.default_rng(0), density=0.04)
    new, step = set_step(W, 0.3, np.random.default_rng(1))
    ax = {
        "connectivity": lambda: plot_connectivity(W),
        "change": lambda: plot_connectivity_change(W.topology, new.topology),
        "step": lambda: plot_set_step(W.topology, step),
    }[plot]()
    (image,) = ax.images
    assert W.nnz > 600_000 and image.get_array().shape[:2] == (128, 256)
    assert not ax.collections


# Animation


@pytest.fixture
def evolution():
    W = erdos_renyi((12, 40), np.random.default_rng(0), density=0.2)
    return W.topology, null_evolution(W, 4, 0.3, np.random.default_rng(1))


def test_a_page_has_all_frames_with_a_palette_and_stays_small(evolution):
    animation = animate_evolution(*evolution, null_steps=evolution[1])
    page = animation_page(animation, fps=4)
    pictures = re.findall(r'frames\[(\d+)\] = "data:image/png;base64,([A-Za-z0-9+/=]+)"', page)
    assert [int(number) for number, _ in pictures] == [0, 1, 2, 3, 4]
    frames = [Image.open(io.BytesIO(base64.b64decode(data))) for _, data in pictures]
    width, height = (animation._fig.get_size_inches() * 100).round().astype(int)
    for frame in frames:
        assert frame.mode == "P" and abs(frame.width - width) <= 2 and abs(frame.height - height) <= 2
    assert len({frame.tobytes() for frame in frames}) == 5
    colors = {
        tuple(color) for frame in frames for color in np.unique(np.asarray(frame.convert("RGB")).reshape(-1, 3), axis=0)
    }
    named = (plotting.BLUE, plotting.ORANGE, plotting.PURPLE, "#FFFFFF")
    assert {tuple((255 * np.array(to_rgb(color))).round().astype(int)) for color in named} <= colors
    assert max(len(data) for _, data in pictures) < 80_000


def test_a_page_plays_without_a_network(evolution):
    page = animation_page(animate_evolution(*evolution))
    assert "http" not in re.sub(r"base64,[^\"]*", "", page) and "fa-" not in re.sub(r"base64,[^\"]*", "", page)
    for name, sign in (("Play", "▶"), ("Pause", "❚❚"), ("Next frame", "▶|"), ("Last frame", "▶▶|")):
        assert re.search(rf'<button title="{name}"[^>]*>\s*{re.escape(sign)}</button>', page)
    assert page.count("<button") == 9


def test_a_page_rejects_a_speed_of_0(evolution):
    with pytest.raises(ValueError, match="fps is 0; expected a number above 0"):
        animation_page(None, fps=0)


def test_a_single_frame_equals_that_of_the_animation(evolution):
    topology, steps = evolution
    axes = plot_evolution_frame(topology, steps, 3, null_steps=steps)
    animation = animate_evolution(topology, steps, null_steps=steps)
    animation._init_draw()
    animation._draw_frame(3)
    for single, animated in zip(axes, animation._fig.axes, strict=True):
        for a, b in zip(single.collections, animated.collections, strict=True):
            np.testing.assert_array_equal(a.get_offsets(), b.get_offsets())
    assert axes[0].figure.texts[0].get_text() == "after 3 of 4 SET steps"
    with pytest.raises(ValueError, match="k is 5; expected a number of steps from 0 to 4"):
        plot_evolution_frame(topology, steps, 5)


def test_the_legend_of_an_animations_survival_does_not_cover_its_curves(evolution):
    topology, steps = evolution
    *_, ax = plot_evolution_frame(topology, steps, 4, null_steps=steps)
    ax.figure.draw_without_rendering()
    legend = ax.get_legend().get_window_extent()
    title = ax._left_title.get_window_extent()
    assert legend.y0 >= ax.bbox.y1 - 3 and not legend.overlaps(title) and legend.x1 <= ax.figure.bbox.x1


def test_two_null_models_have_two_markers_and_two_kinds_of_dashes(evolution, ax):
    topology, steps = evolution
    plot_survival(topology, {"with training": steps, "null model: a": steps, "null model: b": steps}, ax)
    assert len({line.get_marker() for line in ax.lines}) == 3
    assert [line.get_linestyle() for line in ax.lines] == ["-", "--", ":"]


def test_several_evolutions_are_drawn_as_their_mean_and_their_range(ax):
    W = erdos_renyi((12, 40), np.random.default_rng(0), density=0.2)
    several = [null_evolution(W, 4, 0.3, np.random.default_rng(seed)) for seed in (1, 2, 3)]
    plot_survival(W.topology, {"null model": several}, ax)
    fractions = np.array([plotting.surviving_fraction(W.topology, steps) for steps in several])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), fractions.mean(axis=0))
    edges = ax.collections[0].get_paths()[0].vertices
    last = edges[edges[:, 0] == 4, 1]
    assert (last.min(), last.max()) == (fractions[:, -1].min(), fractions[:, -1].max())


@pytest.mark.parametrize("style", STYLES)
def test_every_picture_can_be_drawn_in_every_style(W, style):
    new, step = set_step(W, 0.3, np.random.default_rng(4))
    with plt.style.context(style):
        axes = [
            plot_bipartite(W, step),
            plot_index_arrays(W),
            plot_carry(W.topology, step, W.values),
            plot_empty_rows([1, 2], [0.3, 0.1], (10, 5)),
        ]
    for ax in axes:
        ax.figure.draw_without_rendering()


def test_text_contrasts_with_the_blue_of_a_dark_background(W):
    with plt.style.context("dark_background"):
        ax = plot_index_arrays(SparseMatrix((1, 1), [0], [0], [2.0]))
    assert {text.get_color() for text in ax.texts if text.get_text() == "2"} == {"black"}
    assert plotting.SKY_BLUE != plotting.BLUE
