"""What the SET steps did, step by step, beside what they do without training."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from numpy_setlstm.plotting.style import dashes, line_colors


def surviving_fraction(topology, steps):
    """Fraction of the initial connections that have never been pruned, before and after each SET step.

    Parameters
    ----------
    topology : Topology
        Before the first step.
    steps : sequence of SetStep

    Returns
    -------
    ndarray of shape (n_steps + 1,)
        Starts at 1 and never rises: what grows in the cell of a pruned connection is a new connection.
    """
    return np.array([(born == 0).mean() if len(born) else 1.0 for _, born in births(topology, steps)])


def births(topology, steps):
    """Yield, before and after each step, the topology and the step that grew each connection (0: initial)."""
    born = np.zeros(len(topology.rows), int)
    yield topology, born
    for k, step in enumerate(steps, start=1):
        topology, born = step.apply(topology), step.carry(born)
        born[step.grown] = k
        yield topology, born


def plot_survival(topology, set_steps_by_label, ax=None):
    """Draw the fraction of the initial connections that are still there after each SET step.

    Parameters
    ----------
    topology : Topology
        Before the first step.
    set_steps_by_label : dict of str to list of SetStep
        Several evolutions of the same matrix, such as "with training" and "null model: without training". A
        label that starts with "null" is drawn grey and dashed.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    Survivors do not show by themselves that training protects connections: a weight that happened to start
    large is spared without any training too. Only the difference to the null model can be put down to
    training.
    """
    if ax is None:
        ax = Figure(figsize=(6, 3.6), layout="constrained").subplots()
    colors = line_colors(ax, set_steps_by_label)
    for color, (label, steps) in zip(colors, set_steps_by_label.items(), strict=True):
        fractions = surviving_fraction(topology, steps)
        ax.plot(fractions, dashes(label), color=color, lw=1.8, marker="o", ms=4, label=label)
    label_survival(ax)
    ax.legend()
    return ax


def label_survival(ax):
    """Axes and title of a picture of survival."""
    ax.set(xlabel="SET steps", ylim=(0, 1.04))
    ax.set_title("initial connections still there", loc="left", size="medium")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
