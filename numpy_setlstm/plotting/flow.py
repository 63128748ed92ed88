"""How gradients fare on their way back through time."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure

from numpy_setlstm.plotting.style import blue, line_colors

DECADES = 8  # powers of ten between the strongest colour and the background


def plot_gradient_flow(gradients, ax=None, *, words=None, strongest=None):
    r"""Draw how large the gradient is at each unit and each step: a heat map.

    Parameters
    ----------
    gradients : ndarray of shape (T, H)
        Such as dh or dc of one text, a row per step.
    ax : matplotlib.axes.Axes, optional
    words : sequence of T str, optional
        Written below the steps.
    strongest : float, optional
        The size that has the strongest colour, so that several pictures can be compared; by default the largest here.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If `gradients` is not two-dimensional, or there is not one word for each step.

    Notes
    -----
    The colours are logarithmic: each of the eight powers of ten below the strongest is one step paler, and what is
    smaller still, or 0, is the background. The sign is not drawn.

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
        raise ValueError(f"there are {len(words)} words and {T} steps; expected one word for each step")
    if ax is None:
        ax = Figure(figsize=(9, 2.8), layout="constrained").subplots()
    sizes = np.abs(gradients).T  # (H, T)
    strongest = float(sizes.max(initial=0)) if strongest is None else strongest
    strongest = strongest or 1.0  # all gradients are 0: everything is background
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

    Parameters
    ----------
    norms : dict of str to ndarray of shape (T,)
        From a label to the size of the gradient at each step, first step first. The loss is at the last step.
    ax : matplotlib.axes.Axes, optional
    predictions : dict of str to float, optional
        From a label of `norms` to a factor per step: drawn as a dashed line from the same starting point.
    prediction_label : str, optional
        What the legend says of the dashed lines; by default they are not in it.

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    The axis of sizes is logarithmic, so a constant factor per step is a straight line. Sizes are drawn as shares of
    the size at the last step. A size of 0 has no logarithm and is not drawn.

    Examples
    --------
    >>> ax = plot_gradient_norms({"half per step": 0.5 ** np.arange(10.0)[::-1]}, predictions={"half per step": 0.5})
    >>> [len(line.get_xdata()) for line in ax.lines]
    [10, 2]
    """
    if ax is None:
        ax = Figure(figsize=(7.5, 4), layout="constrained").subplots()
    for (label, sizes), color in zip(norms.items(), line_colors(ax, norms), strict=True):
        shares = sizes[::-1] / sizes[-1]
        ax.plot(np.where(shares > 0, shares, np.nan), color=color, lw=2, label=label)
        if label in (predictions or {}):
            last = len(sizes) - 1
            ax.plot([0, last], [1, predictions[label] ** last], color=color, lw=1.2, ls="--")
    if prediction_label is not None:
        ax.plot([], [], color=ax.xaxis.label.get_color(), lw=1.2, ls="--", label=prediction_label)
    ax.set_yscale("log")
    ax.set(xlabel="steps back from the loss", ylabel="gradient, as a share of the last step's")
    ax.legend()
    return ax
