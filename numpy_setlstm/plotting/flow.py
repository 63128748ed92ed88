"""Gradients on their way back through time."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, LogNorm

from numpy_setlstm.plotting.style import axes_or_new, blue, ink, line_colors

DECADES = 8  # powers of ten between the strongest color and the background


def plot_gradient_flow(gradients, ax=None, *, words=None, strongest=None):
    """Draw the magnitude of the gradient at each unit and step as a heat map.

    Colors are logarithmic: they fade over the eight powers of ten below the strongest to the background, which also
    shows smaller gradients and 0. The sign is not drawn.

    Parameters
    ----------
    gradients : ndarray of shape (T, H)
        Such as dh or dc of one text.
    ax : matplotlib.axes.Axes, optional
    words : sequence of T str, optional
        Labels of the steps.
    strongest : float, optional
        The magnitude with the strongest color, to make several pictures comparable; by default the largest here.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If `gradients` is not two-dimensional, or the number of words is not that of the steps.

    Examples
    --------
    >>> ax = plot_gradient_flow(10.0 ** -np.arange(6)[::-1, None] * np.ones(3))
    >>> ax.get_xlabel(), ax.images[0].get_array().shape
    ('step', (3, 6))
    """
    if np.ndim(gradients) != 2:
        raise ValueError(f"gradients have shape {np.shape(gradients)}; expected (T, H), that of one text: dh[0]")
    T, H = gradients.shape
    if words is not None and len(words) != T:
        raise ValueError(f"there are {len(words)} words and {T} steps; expected one word per step")
    ax = axes_or_new(ax, (9, 2.8))
    sizes = np.abs(gradients).T  # (H, T)
    strongest = float(sizes.max(initial=0)) if strongest is None else strongest
    strongest = strongest or 1.0  # all gradients are 0
    norm = LogNorm(strongest * 10.0**-DECADES, strongest, clip=True)
    cmap = LinearSegmentedColormap.from_list("sizes", [ax.get_facecolor(), blue(ax)])
    image = ax.imshow(np.maximum(sizes, norm.vmin), norm=norm, cmap=cmap, aspect="auto", interpolation="nearest")
    ax.set(xlabel="step", ylabel="unit")
    ax.grid(False)
    if words is not None:
        ax.set_xticks(range(T), words, rotation=60, ha="right", rotation_mode="anchor")
        ax.set_xlabel("")
    ax.figure.colorbar(image, ax=ax, label="size of the gradient", pad=0.02, aspect=12)
    return ax


def plot_gradient_norms(norms, ax=None, *, predictions=None, prediction_label=None):
    """Draw how the gradient shrinks or grows with the distance from the loss.

    Norms are drawn relative to that of the last step, on a logarithmic axis: a constant factor per step is a straight
    line, and a norm of 0 is not drawn.

    Parameters
    ----------
    norms : dict of str to ndarray of shape (T,)
        From a label to the norm of the gradient at each step; the loss is at the last step.
    ax : matplotlib.axes.Axes, optional
    predictions : dict of str to float, optional
        From a label of `norms` to a factor per step, drawn as a dashed line from the same starting point.
    prediction_label : str, optional
        Legend entry of the dashed lines; by default they have none.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> ax = plot_gradient_norms({"half per step": 0.5 ** np.arange(10.0)[::-1]}, predictions={"half per step": 0.5})
    >>> [len(line.get_xdata()) for line in ax.lines]
    [10, 2]
    """
    ax = axes_or_new(ax, (7.5, 4))
    for (label, sizes), color in zip(norms.items(), line_colors(ax, norms), strict=True):
        relative = sizes[::-1] / sizes[-1]
        ax.plot(np.where(relative > 0, relative, np.nan), color=color, lw=2, label=label)
        if label in (predictions or {}):
            last = len(sizes) - 1
            ax.plot([0, last], [1, predictions[label] ** last], color=color, lw=1.2, ls="--")
    if prediction_label is not None:
        ax.plot([], [], color=ink(ax), lw=1.2, ls="--", label=prediction_label)
    ax.set_yscale("log")
    ax.set(xlabel="steps back from the loss", ylabel="gradient relative to the last step")
    ax.legend()
    return ax
