"""What two curves, or one, on logarithmic axes say: where they cross, and the power of the best fit."""

import numpy as np


def crossing(x, a, b):
    r"""Where two curves cross, by interpolation between their points on logarithmic axes.

    Parameters
    ----------
    x : sequence of float
        Increasing, positive.
    a, b : sequence of float
        Positive.

    Returns
    -------
    float or None
        The smallest x at which a is no longer below b, or no longer above it; None if they do not cross.

    Examples
    --------
    >>> round(crossing([0.01, 1.0], [1.0, 100.0], [10.0, 10.0]), 3)
    0.1
    >>> crossing([1, 2], [1, 2], [3, 4]) is None
    True
    """
    log_x, difference = np.log(x), np.log(a) - np.log(b)
    for k in range(len(log_x) - 1):
        before, after = difference[k], difference[k + 1]
        if before == 0 or before * after < 0:
            return float(np.exp(log_x[k] + (log_x[k + 1] - log_x[k]) * before / (before - after)))
    return None


def exponent(connections, amounts):
    r"""The :math:`\alpha` of :math:`y \propto n^\alpha` that fits best, by least squares on logarithms.

    Parameters
    ----------
    connections, amounts : sequence of float
        Positive.

    Returns
    -------
    float
        NaN for fewer than two points.

    Examples
    --------
    >>> round(exponent([1, 10, 100], [5, 50, 500]), 6)
    1.0
    """
    if len(connections) < 2:
        return float("nan")
    return float(np.polyfit(np.log(connections), np.log(amounts), 1)[0])
