"""The pictures of an LSTM at work, forward and backward, show the numbers that they are given."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba
from test_plotting import STYLES

from numpy_setlstm import plotting
from numpy_setlstm.gradcheck import check_gradients
from numpy_setlstm.plotting import (
    plot_check_errors,
    plot_gates,
    plot_gradient_flow,
    plot_gradient_norms,
    plot_lstm_step,
    plot_precision,
    step_graph,
)

pytestmark = pytest.mark.filterwarnings("error")
WORDS = ["the", "soup", "was", "good"]


def drawn_states(T=4, H=3):
    rng = np.random.default_rng(0)
    states = {gate: rng.random((T, H)) for gate in "ifo"}
    return {**states, "g": rng.uniform(-1, 1, (T, H)), "c": rng.normal(0, 3, (T, H)), "h": rng.uniform(-1, 1, (T, H))}


def reports():
    W, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([5.0])
    right = {"W": 3 * W**2, "b": 2 * b}
    wrong = {"W": 3 * W**2 * [[1, 1], [1, 1.5]], "b": -2 * b}

    def loss(params):
        return np.sum(params["W"] ** 3) + np.sum(params["b"] ** 2)

    found = {name: check_gradients(loss, {"W": W, "b": b}, grads, raises=False)
             for name, grads in (("right", right), ("wrong", wrong))}  # fmt: skip
    found["without b"] = check_gradients(lambda p: np.sum(p["W"] ** 3), {"W": W}, {"W": 3 * W**2}, raises=False)
    return found


# Gates along a sentence


def test_gates_are_drawn_block_by_block_with_their_numbers(ax):
    states = drawn_states()
    assert plot_gates(WORDS, states, ax, units=["a", "b", "c"]) is ax
    assert len(ax.images) == 6
    for (name, values), image in zip(states.items(), ax.images, strict=True):
        size = max(1, np.abs(values).max())
        assert (size > 1) == (name == "c")
        np.testing.assert_allclose(image.get_array(), values.T / size)
        assert (image.norm.vmin, image.norm.vmax) == (-1, 1)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names[:3] == ["input gate i", "forget gate f", "output gate o"] and names[5] == "hidden state h"
    assert names[4] == f"memory c\n(colors ÷ {np.abs(states['c']).max():.3g})"
    assert [label.get_text() for label in ax.get_xticklabels()] == WORDS
    assert [label.get_text() for label in ax.child_axes[0].get_yticklabels()] == ["a", "b", "c"] * 6
    written = [float(text.get_text().replace("\N{MINUS SIGN}", "-")) for text in ax.texts]
    true = np.concatenate([values.T.ravel() for values in states.values()])
    np.testing.assert_allclose(written, true, atol=0.0051)


def test_each_number_is_in_the_cell_that_has_its_color(ax):
    plot_gates(["a", "b"], {"i": np.array([[0.0, 1.0], [0.5, 0.25]]), "g": np.array([[0.0, 0.0], [0.0, -1.0]])}, ax)
    places = {text.get_text(): text.get_position() for text in ax.texts if text.get_text() != "0.00"}
    for text, (col, row) in places.items():
        image = next(im for im in ax.images if im.get_extent()[3] < row < im.get_extent()[2])
        line = int(row - (image.get_extent()[3] + 0.5) + 0.5)
        assert float(text.replace("\N{MINUS SIGN}", "-")) == image.get_array()[line, int(col)]
    image = ax.images[1]
    assert to_hex(image.cmap(image.norm(-1.0))).upper() == plotting.VERMILLION
    assert image.cmap(image.norm(0.0)) == pytest.approx(to_rgba("white"), abs=0.01)


def test_many_numbers_are_omitted_and_steps_without_a_word_stay_empty(ax):
    plot_gates(list("abcdefghij"), drawn_states(10, 5), ax)
    assert not ax.texts
    plot_gates(["a", "<pad>"], {"f": np.array([[0.5], [np.nan]])}).figure.draw_without_rendering()
    assert len(plot_gates(["a", "<pad>"], {"f": np.array([[0.5], [np.nan]])}).texts) == 1


def test_gates_of_the_wrong_shape_are_rejected():
    with pytest.raises(ValueError, match="there are 2 words and 4 steps"):
        plot_gates(["a", "b"], drawn_states())
    with pytest.raises(ValueError, match=r"expected \(T, H\) for all, such as states\['f'\]\[0\]"):
        plot_gates(WORDS, {"f": np.zeros((1, 4, 3))})
    with pytest.raises(ValueError, match="the blocks have the shapes"):
        plot_gates(WORDS, {"f": np.zeros((4, 3)), "c": np.zeros((4, 2))})


# Gradients on their way back


def test_gradient_flow_is_a_heat_map_of_sizes(ax):
    gradients = np.array([[1e-12, -1e-3], [0.0, 1e-1], [1.0, -1.0]])
    assert plot_gradient_flow(gradients, ax, words=["a", "b", "c"]) is ax
    (image,) = ax.images
    np.testing.assert_allclose(image.get_array(), [[1e-8, 1e-8, 1], [1e-3, 1e-1, 1]])
    assert (image.norm.vmin, image.norm.vmax) == (pytest.approx(1e-8), 1)
    assert to_hex(image.cmap(1.0)).upper() == plotting.BLUE
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b", "c"]


def test_gradient_flows_can_share_a_scale_and_may_be_zero(ax):
    assert plot_gradient_flow(np.full((2, 2), 1e-3), ax, strongest=10.0).images[0].norm.vmax == 10
    plot_gradient_flow(np.zeros((2, 2))).figure.draw_without_rendering()


def test_gradient_flow_of_the_wrong_shape_is_rejected():
    with pytest.raises(ValueError, match=r"expected \(T, H\), that of one text: dh\[0\]"):
        plot_gradient_flow(np.zeros((1, 2, 3)))
    with pytest.raises(ValueError, match="there are 1 words and 2 steps"):
        plot_gradient_flow(np.zeros((2, 3)), words=["a"])


def test_gradient_norms_are_relative_to_the_last_step(ax):
    norms = {"a": np.array([0.0, 2.0, 4.0]), "b": np.array([9.0, 3.0, 1.0])}
    assert plot_gradient_norms(norms, ax, predictions={"a": 0.5}) is ax
    a, prediction, b = ax.lines
    np.testing.assert_array_equal(a.get_ydata(), [1, 0.5, np.nan])
    np.testing.assert_array_equal(b.get_ydata(), [1, 3, 9])
    np.testing.assert_allclose([prediction.get_xdata(), prediction.get_ydata()], [[0, 2], [1, 0.25]])
    assert a.get_color() == prediction.get_color() != b.get_color()
    assert ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]


def test_the_legend_of_gradient_norms_can_name_the_predictions(ax):
    plot_gradient_norms({"a": np.array([1.0, 2.0])}, ax, predictions={"a": 0.5}, prediction_label="as predicted")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "as predicted"]
    assert [line.get_linestyle() for line in ax.get_legend().get_lines()] == ["-", "--"]


# The graph of a step, and what a check found


def test_the_graph_has_an_arrow_per_edge_and_reverses_them(ax):
    ends = {}
    for backward in (False, True):
        ax = plot_lstm_step(backward=backward)
        arrows = [text for text in ax.texts if getattr(text, "arrow_patch", None)]
        assert len(arrows) == len(step_graph.EDGES)
        ends[backward] = {type(arrow.arrow_patch.get_arrowstyle()).__name__ for arrow in arrows}
        words = [text.get_text() for text in ax.texts]
        assert {"$x$", "$z$", "$f$", "$c$", "$h$", "tanh"} <= set(words)
        assert ("$do = dh\\,\\tanh c$" in words) == backward
        (weights,) = [text for text in words if "W_x" in text and "b" in text]
        assert [f"d{name}" in weights for name in ("W_x", "W_h", "b")] == [backward] * 3
    assert ends[False].isdisjoint(ends[True])


@pytest.mark.parametrize("backward", [False, True])
def test_no_arrow_of_the_graph_reaches_into_a_box(backward):
    ax = plot_lstm_step(backward=backward)
    ax.figure.draw_without_rendering()
    places = {(x, y) for x, y, words in step_graph.NODES.values() if words}
    boxes = [text.get_bbox_patch() for text in ax.texts if text.get_text() and text.get_position() in places]
    assert len(boxes) == len(step_graph.NODES) - 2  # all but the two ends in the next step
    for text in ax.texts:
        if arrow := getattr(text, "arrow_patch", None):
            ends = arrow.get_path().transformed(arrow.get_transform()).vertices
            assert not any(box.contains_point(point) for point in ends for box in boxes)


def test_check_errors_show_how_many_entries_are_wrong(ax):
    assert plot_check_errors(reports(), ax) is ax
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written[0, 0] == written[1, 0] == written[0, 2] == "correct" and (1, 2) not in written
    assert written[0, 1].endswith("\n1 of 4") and written[1, 1] == "2e+00\nall"
    shares = ax.images[0].get_array()
    np.testing.assert_allclose(shares.filled(np.nan), [[0, 0], [0.3 + 0.5 / 4, 0.8], [0, np.nan]])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["right", "wrong", "without b"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["W", "b"]


def test_precision_has_a_cell_per_verdict():
    verdicts = {
        "float64": [["ok"] * 3, ["WRONG"] * 3],
        "float16": [["not seen"] * 3, ["not seen", "WRONG", "too small"]],
    }
    axes = plot_precision(verdicts, [1e-8, 1, 1e8], [0, 0.1])
    colors = [[patch.get_facecolor() for patch in ax.patches] for ax in axes]
    assert [len(set(cells)) for cells in colors] == [2, 2] and colors[1][4] == colors[0][3]
    assert colors[1][0] == colors[1][5] not in colors[0]
    assert [text.get_text() for text in axes[0].figure.legends[0].get_texts()] == ["ok", "WRONG", "not seen"]
    assert len(plot_precision(dict.fromkeys("abc", [["ok"]]), [1], [0])) == 3


@pytest.mark.parametrize("style", STYLES)
def test_every_picture_can_be_drawn_in_every_style(style):
    with plt.style.context(style):
        axes = [
            plot_gates(WORDS, drawn_states()),
            plot_gradient_flow(np.ones((3, 2))),
            plot_gradient_norms({"a": np.ones(3)}, predictions={"a": 0.5}),
            plot_lstm_step(),
            plot_lstm_step(backward=True),
            plot_check_errors(reports()),
            plot_precision({"a": [["ok"]]}, [1], [0])[0],
        ]
    for ax in axes:
        ax.figure.draw_without_rendering()
