"""Draw the picture of docs/gradient_checking.md that shows in which precision a wrong gradient is caught.

A tanh layer is checked in several precisions, with losses from 1e-8 to 1e8 and a gradient that is right, or 1 %, 10 %
or 100 % too large. From the top of the repository::

    python docs/draw_precision.py
"""

import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from numpy_setlstm.gradcheck import check_layer
from numpy_setlstm.plotting.checks import plot_precision

PICTURE = Path(__file__).parent / "images" / "precision.png"
SIZES = 10.0 ** np.arange(-8, 9, 2)
ERRORS = (0.0, 0.01, 0.1, 1.0)
PRECISIONS = {"float64": (None, None), "mixed": ("float32", None), "float32": ("float32",) * 2,
              "float16": ("float16",) * 2}  # fmt: skip
METHODS = {"complex step": "complex", "central differences": "central"}


def check(forward_type, backward_type, size, error, method, seed=0):
    """Return the report on y = size * tanh(x W + b), computed in these types (None: that of its arguments).

    The gradient of W is too large by `error`, as a fraction.
    """
    rng = np.random.default_rng(seed)
    x, W, b = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)

    def forward(x, W, b):
        h = np.empty((4, 2), dtype=forward_type or np.result_type(x, W, b))
        h[...] = np.tanh(x @ W + b)
        y = h * size
        return (y.astype(forward_type) if backward_type else y), (x, W, h)

    def backward(dout, cache):
        x, W, h = cache
        dz = dout * size * (1 - h.astype(np.float64) ** 2)
        grads = dz @ W.T, x.T @ dz * (1 + error), dz.sum(axis=0)
        return tuple(grad.astype(backward_type or np.float64) for grad in grads)

    return check_layer(forward, backward, (x,), (W, b), method, raises=False)


def verdict(report):
    """Return "ok", "WRONG" or, if the gradient of W could not be seen, "not seen"."""
    return report["W"].status if report["W"].status in ("ok", "WRONG") else "not seen"


def measure():
    """Return dict of precision and method to verdicts by error and size, a list of lists."""
    found = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for precision, types in PRECISIONS.items():
            for words, method in METHODS.items():
                found[f"{precision}\n{words}"] = [
                    [verdict_or_refusal(*types, size, error, method) for size in SIZES] for error in ERRORS
                ]
    return found


def verdict_or_refusal(*arguments):
    """Return the verdict; "not seen" if the loss is infinite, which is an error."""
    try:
        return verdict(check(*arguments))
    except ValueError:
        return "not seen"


def main():
    """Measure and draw."""
    axes = plot_precision(measure(), SIZES, ERRORS)
    axes[0].figure.savefig(PICTURE, dpi=110, bbox_inches="tight")
    plt.close(axes[0].figure)
    print(f"wrote {PICTURE.name}")


if __name__ == "__main__":
    main()
