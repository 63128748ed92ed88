"""Pictures that grow: a network unrolled over words, and the LSTM's cell gate by gate."""

import pytest
from matplotlib.patches import FancyArrowPatch

from numpy_setlstm.plotting import plot_index_arrays, plot_lstm_growing, plot_lstm_step, plot_unrolled
from numpy_setlstm.plotting.style import VERMILLION
from numpy_setlstm.sparse import SparseMatrix


def texts(ax):
    return [text.get_text() for text in ax.texts]


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("n_words", [1, 4, 12])
def test_there_is_a_cell_for_each_word_and_one_with_a_loop(n_words, memory):
    ax = plot_unrolled(["word"] * n_words, memory=memory)
    assert texts(ax).count(" cell ") == n_words + 1 and texts(ax).count("word") == n_words
    assert (f"$c_{{{n_words}}}$" in texts(ax)) == memory
    assert f"$h_{{{n_words}}}$" in texts(ax)


def test_backward_all_arrows_are_those_of_gradients_and_begin_at_the_loss():
    ax = plot_unrolled(["not", "good"], memory=True, backward=True)
    assert {"loss", "$dc_{1}$", "$dh_{1}$"} <= set(texts(ax)) and "$dc_{2}$" not in texts(ax)
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    assert len(arrows) == 2 + 2 + 1  # to two words, along two lines, from the loss
    assert {arrow.get_edgecolor() for arrow in arrows} == {
        (0xD5 / 255, 0x5E / 255, 0.0, 1.0)
    } and VERMILLION == "#D55E00"


@pytest.mark.parametrize("n_words", [0, 13])
def test_too_few_or_too_many_words_are_rejected(n_words):
    with pytest.raises(ValueError, match=f"there are {n_words} words; expected from 1 to 12"):
        plot_unrolled(["word"] * n_words)


def test_the_cell_grows_to_the_whole_step():
    axes = plot_lstm_growing().ravel()
    counts = [len(texts(ax)) for ax in axes]
    assert counts == sorted(counts) and set(texts(axes[0])) < set(texts(axes[3]))
    assert sorted(texts(axes[3])) == sorted(texts(plot_lstm_step()))


@pytest.mark.parametrize("follow", range(4))
def test_the_line_of_a_followed_connection_crosses_no_array(follow):
    W = SparseMatrix((4, 3), [0, 1, 2, 3], [2, 0, 1, 2], [1.0, 2.0, 3.0, 4.0])
    ax = plot_index_arrays(W, follow=follow)
    (line,) = [line for line in ax.lines if line.get_gid() == "follow"]
    x, y = line.get_data()
    assert y[1] == y[2] and not 0 <= y[1] <= 4.2  # the long part is above or below both
    low, high = sorted(ax.get_ylim())
    assert low < y.min() and y.max() < high
