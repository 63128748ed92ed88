"""The pictures of words show the numbers that they are given."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from test_plotting import STYLES, labels_of

from numpy_setlstm import plotting

pytestmark = pytest.mark.filterwarnings("error")
WORDS, BEFORE, AFTER = ["awful", "ducks", "lobby", "edge"], [3, 4, 10, 2], [9, 4, 0, 6]
NULL = [1, 2, 3, 1], [6, 7, 9, 6]
NAMES = {
    "above": "after, more than usual by chance",
    "within": "after, within the null model's range",
    "below": "after, fewer than usual by chance",
}


def test_each_word_has_its_numbers_before_and_after_and_the_null(ax):
    assert plotting.plot_word_connections(WORDS, BEFORE, AFTER, NULL, ax) is ax
    lines = {line.get_label(): line for line in ax.lines}
    assert lines["before"].get_xdata().tolist() == BEFORE and lines["before"].get_ydata().tolist() == [0, 1, 2, 3]
    drawn = {key: list(zip(*lines[name].get_data(), strict=True)) for key, name in NAMES.items()}
    assert drawn == {"above": [(9, 0)], "within": [(4, 1), (6, 3)], "below": [(0, 2)]}  # the range includes its ends
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches]
    assert bars == list(zip(*NULL, strict=True))
    assert [label.get_text() for label in ax.get_yticklabels()] == WORDS
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first word is at the top
    assert len({line.get_marker() for line in lines.values()}) == 3  # distinguishable without color


def test_only_what_occurs_is_in_the_legend(ax):
    plotting.plot_word_connections(WORDS[:2], BEFORE[:2], AFTER[:2], (NULL[0][:2], NULL[1][:2]), ax)
    expected = ["before", NAMES["above"], NAMES["within"], "null model: without training"]
    assert sorted(labels_of(ax.get_legend())) == sorted(expected)


def test_word_connections_reject_inconsistent_numbers(ax):
    with pytest.raises(ValueError, match=r"4 words.*\(4,\), \(3,\), \(4,\), \(4,\).*expected"):
        plotting.plot_word_connections(WORDS, BEFORE, AFTER[:3], NULL, ax)
    with pytest.raises(ValueError, match="at least one word"):
        plotting.plot_word_connections([], [], [], ([], []), ax)


def test_an_opinion_is_a_bar_from_the_middle(ax):
    probabilities = [0.5, 0.25, 1.0]
    assert plotting.plot_opinion(["the", "soup", "was"], probabilities, ax) is ax
    assert [bar.get_y() + bar.get_height() for bar in ax.patches] == probabilities
    colors = [to_hex(bar.get_facecolor()).upper() for bar in ax.patches]
    assert colors == [plotting.BLUE, plotting.VERMILLION, plotting.BLUE]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["the", "soup", "was"]


def test_marked_words_have_a_band_and_a_bold_label(ax):
    plotting.plot_opinion(["it", "was", "awful"], [0.5, 0.4, 0.1], ax, marked=["awful"])
    weights = [label.get_weight() for label in ax.get_xticklabels()]
    assert weights == ["normal", "normal", "bold"]
    (band,) = [patch for patch in ax.patches if patch.get_width() == 1]
    assert (band.get_x(), band.get_x() + band.get_width()) == (1.5, 2.5)


@pytest.mark.parametrize("probabilities", [[0.5], [0.5, 1.5], [0.5, -0.1], [0.5, np.nan]])
def test_an_opinion_needs_one_probability_per_word(probabilities):
    with pytest.raises(ValueError, match=r"2 words.*expected one in \[0, 1\] per word"):
        plotting.plot_opinion(["the", "soup"], probabilities)


@pytest.mark.parametrize("style", STYLES)
def test_every_picture_of_words_can_be_drawn_in_every_style(style):
    with plt.style.context(style):
        for ax in (
            plotting.plot_word_connections(WORDS, BEFORE, AFTER, NULL),
            plotting.plot_opinion(WORDS, [0.1, 0.5, 0.9, 1.0]),
        ):
            ax.figure.draw_without_rendering()
    assert plt.get_fignums() == []
