"""What a gradient check found, for several backward passes side by side."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from numpy_setlstm.plotting.style import VERMILLION


def plot_check_errors(reports, ax=None):
    r"""Draw which gradients are wrong, and how much: a row per report, a column per array.

    Parameters
    ----------
    reports : dict of str to GradientReport
        From a label to what :func:`numpy_setlstm.gradcheck.check_layer` returns with ``raises=False``.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Notes
    -----
    In each cell stands the error of the array, and "all" or "k of n" for how many of its entries are wrong. The more
    of them, the stronger the colour; right arrays have the colour of the background. An array that a report does not
    have stays empty.

    Examples
    --------
    >>> from numpy_setlstm.gradcheck import check_gradients
    >>> W = np.array([1.0, 2.0])
    >>> report = check_gradients(lambda p: np.sum(p["W"] ** 2), {"W": W}, {"W": 2 * W * [1, 1.5]}, raises=False)
    >>> [text.get_text() for text in plot_check_errors({"a wrong factor": report}).texts]
    ['3e-01\n1 of 2']
    """
    names = list(dict.fromkeys(array.name for report in reports.values() for array in report.arrays))
    if ax is None:
        ax = Figure(figsize=(0.95 * len(names) + 3, 0.5 * len(reports) + 0.6), layout="constrained").subplots()
    shares = np.full((len(reports), len(names)), np.nan)
    for row, report in enumerate(reports.values()):
        for array in report.arrays:
            col, n_wrong = names.index(array.name), int(np.count_nonzero(array.wrong))
            shares[row, col] = n_wrong / array.checked
            many = "all" if n_wrong == array.checked else f"{n_wrong} of {array.checked}"
            words = "right" if array.ok else f"{array.error:.0e}\n{many}"
            ink = "black" if n_wrong else ax.xaxis.label.get_color()
            ax.text(col, row, words, ha="center", va="center", size="small", color=ink)
    cmap = LinearSegmentedColormap.from_list("wrong", [ax.get_facecolor(), VERMILLION])
    ax.imshow(np.where(shares > 0, 0.3 + 0.5 * shares, shares), cmap=cmap, vmin=0, vmax=1, aspect="auto")
    ax.set_xticks(range(len(names)), names)
    ax.set_yticks(range(len(reports)), reports)
    for row in range(1, len(reports)):
        ax.axhline(row - 0.5, color=ax.get_facecolor(), lw=2)
    for col in range(1, len(names)):
        ax.axvline(col - 0.5, color=ax.get_facecolor(), lw=2)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.grid(False)
    return ax
