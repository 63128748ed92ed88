"""Curves on logarithmic axes: where two of them cross, and the power law that fits one best."""

import numpy as np


def crossing(x, a, b):
    """The smallest x at which two positive curves cross, interpolated on logarithmic axes; None if they do not.

    >>> round(crossing([0.01, 1.0], [1.0, 100.0], [10.0, 10.0]), 3)
    0.1
    """
    log_x, difference = np.log(x), np.log(a) - np.log(b)
    for k in range(len(log_x) - 1):
        before, after = difference[k], difference[k + 1]
        if before == 0 or before * after < 0:
            return float(np.exp(log_x[k] + (log_x[k + 1] - log_x[k]) * before / (before - after)))
    return None


def exponent(connections, amounts):
    r"""The :math:`\alpha` of :math:`y \propto n^\alpha` by least squares on logarithms; NaN for fewer than two points.

    >>> round(exponent([1, 10, 100], [5, 50, 500]), 6)
    1.0
    """
    if len(connections) < 2:
        return float("nan")
    return float(np.polyfit(np.log(connections), np.log(amounts), 1)[0])
