"""Words: how many connections each has won or lost, and what a network makes of them as it reads."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from numpy_setlstm.plotting.style import ORANGE, VERMILLION, blue, gray


def plot_word_connections(words, before, after, null_range, ax=None):
    """Draw how many connections words had and have, beside how many chance would have left them.

    Parameters
    ----------
    words : sequence of n str
        Words, or names of groups of words; the first is at the top.
    before, after : array_like of shape (n,)
        Connections of each word, or their mean over a group, before the first SET step and after the last.
    null_range : tuple of two array_like of shape (n,)
        The lowest and the highest number that is usual after an evolution without training, such as the percentiles
        2.5 and 97.5 of many.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
        A row per word: a hollow dot before; after, an orange triangle upwards where there are more than in the null
        model's range, a red one downwards where there are fewer, a full blue dot within; a grey bar for that range.

    Raises
    ------
    ValueError
        If there is no word, or not a number of each kind for each word.

    Notes
    -----
    Whoever picks the words with the largest changes out of many picks those that chance has favoured too: of any 100
    words, about 5 lie outside the middle 95 % of the null model without a reason. Compare their number, or the means
    of groups that were named beforehand.

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
            f"there are {len(words)} words, and before, after and the null's range have the shapes {shapes}; expected "
            "at least one word and a number of each kind for each"
        )
    if ax is None:
        ax = Figure(figsize=(8, 1.2 + 0.25 * len(words)), layout="constrained").subplots()
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
    ax.set_xlim(left=-0.03 * ax.get_xlim()[1])  # room for the marker of a word that has lost all
    ax.set_xlabel("connections of a word")
    ax.grid(False, axis="y")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return ax


def plot_opinion(words, probabilities, ax=None, *, marked=()):
    """Draw what a network would answer if it had to after each word.

    Parameters
    ----------
    words : sequence of T str
    probabilities : array_like of shape (T,)
        Of the positive class, in [0, 1].
    ax : matplotlib.axes.Axes, optional
    marked : collection of str, optional
        Words to watch: each gets a grey band behind its bar, and its name in bold.

    Returns
    -------
    matplotlib.axes.Axes
        A bar per word, upwards from 50 % where the answer would be positive, downwards where it would be negative.

    Raises
    ------
    ValueError
        If there is not a probability for each word, or one is outside [0, 1].

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
            "expected one in [0, 1] for each word"
        )
    if ax is None:
        ax = Figure(figsize=(9, 2.6), layout="constrained").subplots()
    colors = [blue(ax) if probability >= 0.5 else VERMILLION for probability in probabilities]
    ax.bar(range(len(words)), probabilities - 0.5, 0.8, 0.5, color=colors)
    ax.axhline(0.5, color=ax.xaxis.label.get_color(), lw=0.8)
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
