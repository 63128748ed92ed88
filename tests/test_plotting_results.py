"""Pictures of experiments' results and of the measures of a topology: these tests count what is drawn."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text
from test_plotting import STYLES, labels_of

from numpy_setlstm import measures, plotting
from numpy_setlstm.measures import null_evolution, replay
from numpy_setlstm.topology import erdos_renyi


@pytest.fixture(scope="module")
def W():
    return erdos_renyi((16, 64), np.random.default_rng(0), density=0.1)


@pytest.fixture(scope="module")
def steps(W):
    return null_evolution(W, 4, 0.3, np.random.default_rng(1))


@pytest.fixture(scope="module")
def described(W, steps):
    return measures.describe({"W_h": W}, [{"W_h": step} for step in steps], n_nulls=4)["W_h"]


RUNS = {
    ("IMDB", "dense"): [0.84, 0.85],
    ("IMDB", "set"): [0.85, 0.87],
    ("Yelp", "dense"): [0.88, 0.88],
    ("Yelp", "static"): [0.87],
}
ROWS = [
    {"dataset": dataset, "connectivity": connectivity, "test_accuracy": value}
    for (dataset, connectivity), values in RUNS.items()
    for value in values
]
DIFFERENCES = [
    {"dataset": "IMDB", "connectivity": "static", "difference": 0.002, "low": -0.001, "high": 0.005},
    {"dataset": "IMDB", "connectivity": "set", "difference": 0.015, "low": 0.01, "high": 0.02},
    {"dataset": "Yelp", "connectivity": "set", "difference": -0.01, "low": -0.02, "high": -0.005},
    {"dataset": "Yelp", "connectivity": "small dense", "difference": -0.01, "low": None, "high": None},
]


def named_lines(ax):
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def test_turnover_is_drawn_with_the_widest_null(described, ax):
    turnover = described["turnover"]
    assert plotting.plot_turnover(turnover, ax) is ax
    lines = named_lines(ax)
    assert list(lines) == [*(plotting.GATE_NAMES[gate] for gate in "ifog"), "null model: without training"]
    for gate in "ifog":
        line = lines[plotting.GATE_NAMES[gate]]
        assert line.get_xdata().tolist() == [1, 2, 3, 4] and line.get_ydata().tolist() == turnover[gate]["pruned"]
    band = ax.collections[0].get_paths()[0].vertices
    for k in range(4):
        edges = band[band[:, 0] == k + 1, 1]
        assert edges.min() == min(turnover[gate]["null"]["low"][k] for gate in "ifog")
        assert edges.max() == max(turnover[gate]["null"]["high"][k] for gate in "ifog")
    styles = [(line.get_color(), line.get_marker()) for line in lines.values()]
    assert len(set(styles)) == 5 and len({marker for _, marker in styles[:4]}) == 4


def test_a_panel_of_turnover_rings_the_steps_outside_the_band_of_its_group(ax):
    null = {"mean": [0.3, 0.3, 0.3], "low": [0.25, 0.25, 0.25], "high": [0.35, 0.35, 0.35]}
    plotting.plot_turnover({"f": {"pruned": [0.2, 0.3, 0.4], "null": null}}, ax, panel=True)
    (rings,) = [line for line in ax.lines if line.get_label() == "_outside"]
    assert rings.get_xydata().tolist() == [[1, 0.2], [3, 0.4]]
    assert ax.get_title(loc="left") == "forget gate f" and ax.get_legend() is None


def test_turnover_omits_a_group_without_connections(ax):
    nothing = {"pruned": [None], "null": {"mean": [None], "low": [None], "high": [None]}}
    some = {"pruned": [0.3], "null": {"mean": [0.3], "low": [0.2], "high": [0.4]}}
    plotting.plot_turnover({"words 1 to 100": some, "words beyond 1000": nothing}, ax)
    assert list(named_lines(ax)) == ["words 1 to 100", "null model: without training"]
    plotting.plot_turnover({"i": {"pruned": [], "null": None}}).figure.draw_without_rendering()


def test_ever_tried_is_drawn_with_its_expectation(described, ax):
    shares = described["ever_tried"]
    assert plotting.plot_ever_tried({"W_h": shares}, ax) is ax
    observed, expected = ax.lines
    assert observed.get_ydata().tolist() == shares["observed"] and expected.get_ydata().tolist() == shares["expected"]
    assert (observed.get_linestyle(), expected.get_linestyle()) == ("-", "--")


def test_degrees_are_drawn_with_both_nulls(W, steps, ax):
    rng = np.random.default_rng(2)
    nulls = [replay(W.topology, measures.matched_null(W.topology, steps, rng))[-1] for _ in range(5)]
    plotting.plot_degrees(W, ax, nulls=nulls)
    counts = np.array([measures.degree_counts(null, 0) for null in nulls])
    untrained = next(line for label, line in named_lines(ax).items() if label.startswith("evolved without training"))
    np.testing.assert_allclose(untrained.get_ydata(), counts.mean(axis=0))
    ranges = [segment[:, 1].tolist() for segment in ax.collections[0].get_segments()]
    np.testing.assert_allclose(ranges, np.percentile(counts, (2.5, 97.5), axis=0).T)
    assert len(labels_of(ax.get_legend())) == 3


def test_degrees_omit_reserved_rows(ax):
    E = erdos_renyi((20, 8), np.random.default_rng(0), density=0.3, reserved_rows=1)
    plotting.plot_degrees(E, ax, axis=1, reserved_rows=1)
    heights = [bar.get_height() for bar in ax.patches]
    assert sum(heights) == 19 and heights == measures.degree_counts(E, 1, reserved_rows=1).tolist()


def distances(n):
    values = np.random.default_rng(0).uniform(0.9, 0.95, (n, n))
    return (values + values.T) / 2 * (1 - np.eye(n))


BASELINES = {"shuffled copy": 0.0, "start and end": 0.9, "same start, no training": 0.955, "independent random": 0.957}


def test_distances_are_drawn_with_their_numbers_and_baselines(ax):
    matrix = distances(3)
    assert plotting.plot_distances(matrix, ["a", "b", "c"], BASELINES, ax) is ax
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array().filled(0), matrix)
    assert image.get_array().mask.tolist() == np.eye(3, dtype=bool).tolist()
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written == {(k, j): f"{matrix[j, k]:.2f}" for j in range(3) for k in range(3) if j != k}
    (bar,) = ax.child_axes
    expected = [f"{name}: {value:.3f}" for name, value in BASELINES.items()]
    assert [text.get_text() for text in bar.texts] == [expected[0] + " (below)", *expected[1:]]
    marks = [line.get_ydata()[0] for line in bar.lines]
    np.testing.assert_allclose(marks[1:], list(BASELINES.values())[1:])
    assert marks[0] == image.get_clim()[0] < matrix[matrix > 0].min()


@pytest.mark.parametrize("n", [2, 4, 14])
def test_the_baseline_labels_stay_apart_and_within_the_picture(n):
    ax = plotting.plot_distances(distances(n), [f"seed {k}, shuffled" for k in range(n)], BASELINES)
    figure = ax.figure
    figure.draw_without_rendering()
    names = [Text.get_window_extent(text) for text in ax.child_axes[0].texts]  # without their lines
    ticks = [label.get_window_extent() for label in ax.child_axes[0].get_yticklabels()]
    picture = ax.get_window_extent()
    assert not any(a.overlaps(b) for k, a in enumerate(names) for b in names[:k])
    assert all(name.x1 <= figure.bbox.x1 for name in names) and all(tick.x0 > picture.x1 for tick in ticks)
    assert (len(ax.texts) > 0) == (n <= 12)


def test_nearly_equal_distances_have_three_decimals_and_the_bar_has_exact_labels():
    nearly = 0.9 + distances(3) / 50 * (1 - np.eye(3))
    ax = plotting.plot_distances(nearly, ["a", "b", "c"], BASELINES | {"start and end": 0.75})
    ax.figure.draw_without_rendering()
    assert {text.get_text() for text in ax.texts} == {f"{value:.3f}" for value in nearly[np.triu_indices(3, 1)]}
    bar = ax.child_axes[0]
    for tick, label in zip(bar.get_yticks(), bar.get_yticklabels(), strict=True):
        assert float(label.get_text()) == pytest.approx(tick)


def test_ranges_of_distances_are_drawn_with_their_baselines(ax):
    without = {name: value for name, value in BASELINES.items() if name != "start and end"}
    entries = [
        {"label": name, "distances": distances(3), "baselines": baselines}
        for name, baselines in (("demo", BASELINES), ("imdb", without))
    ]
    plotting.plot_distance_ranges(entries, ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["demo", "imdb"]
    assert [len(line.get_xdata()) for line in ax.lines] == [3, 3]
    assert labels_of(ax.get_legend()) == ["two trained networks", *BASELINES]
    strokes = {collection.get_label(): len(collection.get_segments()) for collection in ax.collections}
    assert strokes == {name: 1 if name == "start and end" else 2 for name in BASELINES}
    with pytest.raises(ValueError, match="at least one group"):
        plotting.plot_distance_ranges([])


def test_distances_reject_inconsistent_labels():
    with pytest.raises(ValueError, match=r"shape \(2, 2\) and there are 3 labels"):
        plotting.plot_distances(np.zeros((2, 2)), ["a", "b", "c"])
    with pytest.raises(ValueError, match="n >= 2"):
        plotting.plot_distances(np.zeros((1, 1)), ["a"])


def test_equal_distances_can_be_drawn():
    plotting.plot_distances(1 - np.eye(3), list("abc")).figure.draw_without_rendering()
    plotting.plot_distances(np.zeros((3, 3)), list("abc"), {"shuffled copy": 0.0}).figure.draw_without_rendering()


def test_expansion_is_drawn_in_multiples_of_the_bound(described, ax):
    spectrum = described["expansion"]
    assert plotting.plot_expansion(spectrum, ax) is ax
    lines = named_lines(ax)
    for label, k in (("before the first SET step", 0), ("after the last one", 1)):
        ratios = [part["sigma_2"][k] / part["bound"][k] for part in spectrum.values()]
        np.testing.assert_allclose(lines[label].get_ydata(), ratios)
    for container, key in zip(ax.containers, ("random", "same_degrees"), strict=True):
        segments = np.array(container[2][0].get_segments())[:, :, 1]
        expected = [[part[key][edge] / part["bound"][1] for edge in ("low", "high")] for part in spectrum.values()]
        np.testing.assert_allclose(segments, expected)
    assert [label.get_text() for label in ax.get_xticklabels()][0] == "all"


def test_accuracies_are_drawn_run_by_run():
    axes = plotting.plot_accuracies(ROWS)
    assert [ax.get_title(loc="left") for ax in axes] == ["IMDB", "Yelp"]
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["dense", "set", "static"]
    for ax in axes:
        dataset = ax.get_title(loc="left")
        for place, name in enumerate(["dense", "set", "static"]):
            here = [line for line in ax.lines if round(np.mean(line.get_ydata())) == place and line.get_ls() != "--"]
            if (dataset, name) not in RUNS:
                assert not here
                continue
            dots, mean = here
            assert list(dots.get_xdata()) == RUNS[dataset, name]
            np.testing.assert_allclose(mean.get_xdata(), np.mean(RUNS[dataset, name]))
        (reference,) = [line for line in ax.lines if line.get_ls() == "--"]
        np.testing.assert_allclose(reference.get_xdata(), np.mean(RUNS[dataset, "dense"]))


def test_accuracies_have_a_legend_of_their_marks():
    axes = plotting.plot_accuracies(ROWS, legend=True)
    assert axes[0].get_legend() is None
    assert labels_of(axes[-1].get_legend()) == ["one run", "mean of the runs", "mean of dense"]
    (ax,) = plotting.plot_accuracies(ROWS[:2], legend=True, reference="none")
    assert labels_of(ax.get_legend()) == ["one run", "mean of the runs"]
    dots, mean = ax.lines
    assert dots.get_zorder() > mean.get_zorder()  # a single run is not hidden by its own mean


def test_several_metrics_are_drawn_one_below_the_other():
    rows = [row | {"balanced accuracy": row["test_accuracy"] - 0.1} for row in ROWS]
    axes = plotting.plot_accuracies(rows, metric=("test_accuracy", "balanced accuracy"))
    assert [[ax.get_xlabel() for ax in row] for row in axes] == [["test accuracy"] * 2, ["balanced accuracy"] * 2]
    for row in axes:
        named, unnamed = ([label.get_text() for label in ax.get_yticklabels()] for ax in row)
        assert named == ["dense", "set", "static"] and not any(unnamed)


def test_evolution_is_drawn_matrix_by_matrix(described):
    undescribed = {"turnover": None, "ever_tried": None}
    axes = plotting.plot_evolution({"W_x": described, "W_h": described, "E": undescribed})
    titles = [ax.get_title(loc="left") for ax in axes]
    assert titles[:2] == ["W_x: pruned in the step", "W_h: pruned in the step"]
    assert titles[2] == "possible connections that have ever existed"


def test_accuracies_reject_inconsistent_input(ax):
    with pytest.raises(ValueError, match="no runs"):
        plotting.plot_accuracies([])
    with pytest.raises(ValueError, match=r"1 axes for 2 data sets \(IMDB, Yelp\) and 1 metrics"):
        plotting.plot_accuracies(ROWS, [ax])


def test_differences_are_drawn_with_their_intervals(ax):
    assert plotting.plot_differences(DIFFERENCES, ax) is ax
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [dot.get_xdata()[0] for dot in dots] == [100 * row["difference"] for row in DIFFERENCES]
    background = to_hex(ax.get_facecolor())
    hollow = [to_hex(dot.get_markerfacecolor()) == background for dot in dots]
    assert hollow == [True, False, False, True]  # contains 0; above; below; no interval
    known = [row for row in DIFFERENCES if row["low"] is not None]
    bars = [line.get_xdata() for line in ax.lines if line.get_lw() == 1.6]
    np.testing.assert_allclose(bars, [[100 * row["low"], 100 * row["high"]] for row in known])
    assert [text.get_text() for text in ax.texts] == ["IMDB", "Yelp"]
    assert [label.get_text() for label in ax.get_yticklabels()] == [row["connectivity"] for row in DIFFERENCES]
    with pytest.raises(ValueError, match="no differences"):
        plotting.plot_differences([])


@pytest.mark.parametrize("style", STYLES)
def test_every_picture_of_results_can_be_drawn_in_every_style(described, W, style):
    with plt.style.context(style):
        axes = [
            plotting.plot_turnover(described["turnover"]),
            plotting.plot_ever_tried({"W_h": described["ever_tried"]}),
            plotting.plot_degrees(W, nulls=[W.topology]),
            plotting.plot_distances(distances(3), list("abc"), BASELINES),
            plotting.plot_distance_ranges([{"label": "a", "distances": distances(3), "baselines": BASELINES}]),
            plotting.plot_expansion(described["expansion"]),
            plotting.plot_accuracies(ROWS)[0],
            plotting.plot_differences(DIFFERENCES),
        ]
        for ax in axes:
            ax.figure.draw_without_rendering()
    assert plt.get_fignums() == []
