"""Colours that everybody can tell apart, on a light page and on a dark one, and the styles of lines."""

import numpy as np
from matplotlib.colors import to_rgb

#: A colour of M. Okabe and K. Ito (2008), "Color Universal Design".
ORANGE, SKY_BLUE, GREEN = "#E69F00", "#56B4E9", "#009E73"
#: A colour of M. Okabe and K. Ito (2008), "Color Universal Design".
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
#: What a picture calls each gate.
GATE_NAMES = {"i": "input gate i", "f": "forget gate f", "o": "output gate o", "g": "candidate g"}


def _is_dark(ax):
    return np.dot(to_rgb(ax.get_facecolor()), (0.2126, 0.7152, 0.0722)) < 0.4


def blue(ax):
    """Blue that stands out from the background of the axes."""
    return SKY_BLUE if _is_dark(ax) else BLUE


def gray(ax):
    """Grey for null models and for what is gone."""
    return "#A0A0A0" if _is_dark(ax) else "#707070"


def faint(ax):
    """A grey nearer the background."""
    return "#5A5A5A" if _is_dark(ax) else "#BEBEBE"


def line_colors(ax, labels):
    """A colour for each label: always the same for the three kinds of networks, grey for a null model."""
    fixed = {"dense": VERMILLION, "static": ORANGE, "set": blue(ax)}
    others = iter([blue(ax), GREEN, VERMILLION, ORANGE, PURPLE] * len(labels))
    return [gray(ax) if label.startswith("null") else fixed.get(label) or next(others) for label in labels]


def dashes(label):
    """Line style of a label: dashed for a null model."""
    return "--" if label.startswith("null") else "-"
