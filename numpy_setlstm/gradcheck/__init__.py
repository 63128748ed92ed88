"""Gradient checks for any NumPy code: strict, without false alarms, and able to name the likely mistake.

:func:`check_gradients` compares every entry of every array, :func:`check_layer` tests a pair of forward and
backward functions, and :func:`check_directions` handles networks too large for either. Nothing here depends on
the rest of the package.
"""

from .check import check_gradients
from .diagnosis import GATES, Diagnosis
from .directions import check_directions, detection_probability
from .layer import check_layer
from .report import ArrayReport, GradientMismatchError, GradientReport

__all__ = [
    "GATES",
    "ArrayReport",
    "Diagnosis",
    "GradientMismatchError",
    "GradientReport",
    "check_directions",
    "check_gradients",
    "check_layer",
    "detection_probability",
]
