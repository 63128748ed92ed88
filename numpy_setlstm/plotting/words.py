"""Words: the connections each has gained or lost, and the prediction of a network after each word."""

import numpy as np
from matplotlib.ticker import PercentFormatter

from numpy_setlstm.plotting.style import ORANGE, VERMILLION, axes_or_new, blue, gray, ink, legend_beside


def plot_word_connections(words, before, after, null_range, ax=None):
    """Draw the number of connections of words before and after an evolution, compared with a null model.

    Words selected for their large changes are partly selected by chance: of any 100 words, about 5 are outside the
    middle 95 % of the null model for no reason. Compare the number of such words, or the means of groups chosen
    beforehand.

    Parameters
    ----------
    words : sequence of n str
        Words, or names of groups of words, from top to bottom.
    before, after : array_like of shape (n,)
        Connections of each word, or their mean over a group, before the first SET step and after the last.
    null_range : tuple of two array_like of shape (n,)
        Lowest and highest usual number after evolution without training, such as the percentiles 2.5 and 97.5.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        A row per word. A hollow dot is the number before; the number after is an upward orange triangle if above the
        null model's range, a downward red one if below, a blue dot if within. The range is a gray bar.

    Raises
    ------
    ValueError
        If there are no words, or an array does not have one number per word.

    Examples
    --------
    >>> ax = plot_word_connections(["awful", "ducks"], [3, 4], [9, 4], ([1, 2], [6, 7]))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['awful', 'ducks']
    """
    before, after, low, high = (np.asarray(values, float) for values in (before, after, *null_range))
    shapes = [values.shape for values in (before, after, low, high)]
    if len(words) == 0 or any(shape != (len(words),) for shape in shapes):
        raise ValueError(
            f"there are {len(words)} words, and before, after and the null range have the shapes {shapes}; expected "
            "at least one word, and one number per word in each"
        )
    ax = axes_or_new(ax, (8, 1.2 + 0.25 * len(words)))
    places = np.arange(len(words))
    ax.barh(places, high - low, 0.7, low, color=gray(ax), alpha=0.3, label="null model: without training")
    ax.hlines(places, before, after, color=gray(ax), lw=1)
    ax.plot(before, places, "o", ms=6, mfc="none", mew=1.4, color=blue(ax), label="before")
    for label, chosen, color, marker in (
        ("after, more than usual by chance", after > high, ORANGE, "^"),
        ("after, within the null model's range", (low <= after) & (after <= high), blue(ax), "o"),
        ("after, fewer than usual by chance", after < low, VERMILLION, "v"),
    ):
        if chosen.any():
            ax.plot(after[chosen], places[chosen], marker, ms=7, mew=0, color=color, label=label)
    ax.set_yticks(places, words)
    ax.set_ylim(len(words) - 0.4, -0.6)
    ax.set_xlim(left=-0.03 * ax.get_xlim()[1])  # room for the marker of a word without connections
    ax.set_xlabel("connections of a word")
    ax.grid(False, axis="y")
    legend_beside(ax)
    return ax


def plot_opinion(words, probabilities, ax=None, *, marked=()):
    """Draw what a network would predict after each word.

    Parameters
    ----------
    words : sequence of T str
    probabilities : array_like of shape (T,)
        Of the positive class, in [0, 1].
    ax : matplotlib.axes.Axes, optional
    marked : collection of str, optional
        Words to highlight with a gray band and a bold label.

    Returns
    -------
    matplotlib.axes.Axes
        A bar per word, up from 50 % if the prediction is positive, down if it is negative.

    Raises
    ------
    ValueError
        If there is not one probability per word, or one is outside [0, 1].

    Examples
    --------
    >>> ax = plot_opinion(["the", "soup", "was", "lovely"], [0.5, 0.55, 0.6, 0.9])
    >>> len(ax.patches)
    4
    """
    probabilities = np.asarray(probabilities, float)
    if probabilities.shape != (len(words),) or not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise ValueError(
            f"there are {len(words)} words, and probabilities of shape {probabilities.shape}: {probabilities}; "
            "expected one in [0, 1] per word"
        )
    ax = axes_or_new(ax, (9, 2.6))
    colors = [blue(ax) if probability >= 0.5 else VERMILLION for probability in probabilities]
    ax.bar(range(len(words)), probabilities - 0.5, 0.8, 0.5, color=colors)
    ax.axhline(0.5, color=ink(ax), lw=0.8)
    ax.set_xticks(range(len(words)), words, rotation=45, ha="right", rotation_mode="anchor")
    for place, (word, label) in enumerate(zip(words, ax.get_xticklabels(), strict=True)):
        if word in marked:
            ax.axvspan(place - 0.5, place + 0.5, color=gray(ax), alpha=0.3, lw=0, zorder=0)
            label.set_weight("bold")
    ax.set(ylim=(0, 1), xlim=(-0.6, len(words) - 0.4))
    ax.set_yticks([0, 0.5, 1])
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    ax.set_ylabel("positive")
    ax.grid(False)
    return ax
