"""Colors that everybody can distinguish, on a light and on a dark background, and what several pictures share."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

#: A color of M. Okabe and K. Ito (2008), "Color Universal Design".
ORANGE, SKY_BLUE, GREEN = "#E69F00", "#56B4E9", "#009E73"
#: A color of M. Okabe and K. Ito (2008), "Color Universal Design".
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
#: Names of the gates in the pictures.
GATE_NAMES = {"i": "input gate i", "f": "forget gate f", "o": "output gate o", "g": "candidate g"}


def axes_or_new(ax, figsize):
    """Return the axes, or those of a new figure if `ax` is None."""
    return Figure(figsize=figsize, layout="constrained").subplots() if ax is None else ax


def legend_beside(ax, **options):
    """Draw a legend without a frame to the right of the axes."""
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, **options)


def _is_dark(ax):
    return np.dot(to_rgb(ax.get_facecolor()), (0.2126, 0.7152, 0.0722)) < 0.4


def ink(ax):
    """Return the color of the text of the axes."""
    return ax.xaxis.label.get_color()


def blue(ax):
    """Return a blue that contrasts with the background of the axes."""
    return SKY_BLUE if _is_dark(ax) else BLUE


def gray(ax):
    """Return the gray of null models and of pruned connections."""
    return "#A0A0A0" if _is_dark(ax) else "#707070"


def faint(ax):
    """Return a gray closer to the background."""
    return "#5A5A5A" if _is_dark(ax) else "#BEBEBE"


def line_colors(ax, labels):
    """Return a color per label: fixed for the three kinds of networks, gray for a null model."""
    fixed = {"dense": VERMILLION, "static": ORANGE, "set": blue(ax)}
    others = iter([blue(ax), GREEN, VERMILLION, ORANGE, PURPLE] * len(labels))
    return [gray(ax) if label.startswith("null") else fixed.get(label) or next(others) for label in labels]


def dashes(label):
    """Return the line style of a label: dashed for a null model."""
    return "--" if label.startswith("null") else "-"
