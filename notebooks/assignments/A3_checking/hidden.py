"""The hidden tests of A3: the right names, and what a check at an unlucky point shows. Students never get this file."""

import functools
from pathlib import Path

import numpy as np

from numpy_setlstm.gradcheck import check_layer
from numpy_setlstm.grading import Task, Wrong
from numpy_setlstm.grading.notebook import given_cells, read_notebook
from numpy_setlstm.grading.visible import account

TITLE = "A3: Find the mistake"
MINUTES = 70
ALLOWED = ("matplotlib",)  # besides the standard library, NumPy and what students check with
RIGHT = {  # gradients that can be wrong, kind and line of the mistake, and the lines that pass it on
    "words": ({"E"}, "repeated rows", 4, {6}),
    "readout": ({"h", "W", "b"}, "wrong size", 4, {5, 6, 7, 8}),
    "step": ({"x", "h_prev", "c_prev", "W_x", "W_h", "b"}, "wrong variable", 3, set(range(4, 13))),
    "time": ({"x", "W_x", "W_h", "b"}, "factor missing", 14, set(range(7, 14)) | {15}),
    "attention": ({"h", "v"}, "wrong axis", 3, {4, 5, 6}),
}
UNLUCKY = {  # points at which a check shows less than there is: changes of sizes, or of numbers
    "without repeated words": {"repeated": False},
    "at square sizes": {"N": 3, "C": 3, "D": 3, "H": 3},
    "at T = 1": {"T": 1},
    "at T = 2": {"T": 2},
    "at zeros": {"scale": 0},
    "with weights of zero": {"weights": 0},
}


def judge(layer):
    """Compare arrays, line and kind with the right ones."""

    def judge_layer(submission, rng):
        try:
            arrays, kind, line = account(submission.call(f"{layer}_mistake"), given()["KINDS"])
        except (ValueError, TypeError) as error:
            raise Wrong("no dictionary with arrays, kind and line", f"{layer}_mistake: {error}") from None
        signature = [f"{layer} {sorted(arrays)} {kind} {line}"]
        right_arrays, right_kind, right_line, later = RIGHT[layer]
        if arrays != right_arrays:
            cause = cause_of(layer, arrays)
            raise Wrong(cause, f"{layer}: the wrong gradients are others than those named ({cause})", signature)
        if line != right_line:
            where = "a line that passes the mistake on" if line in later else "another line"
            raise Wrong(where, f"{layer}: the gradients are those; the line is another one", signature)
        if kind != right_kind:
            cause = "no kind of the table" if kind is None else f"another kind: {kind}"
            raise Wrong(cause, f"{layer}: gradients and line are right; the kind is another one ({cause})", signature)

    return judge_layer


TASKS = [Task(layer, 4, judge(layer)) for layer in RIGHT]


def cause_of(layer, arrays):
    """Why other gradients are named than those that are wrong."""
    known = RIGHT[layer][0] | set(at(layer, np.random.default_rng(0))[1])
    if arrays - known:
        return "names that are no gradients of the layer"
    unlucky = [point for point in UNLUCKY if shown(layer, point) == arrays]
    what = "nothing found" if not arrays else "gradients missing" if arrays < RIGHT[layer][0] else "other gradients"
    return f"{what}, as if checked {' or '.join(unlucky)}" if unlucky else what


@functools.cache
def given():
    """The names of the notebook's given code, such as the layers."""
    names = {"__name__": "given"}
    for _, code in given_cells(read_notebook(Path(__file__).with_name("A3_checking.ipynb"))):
        exec(code, names)
    return names


@functools.cache
def shown(layer, point):
    """The gradients that a check at an unlucky point calls wrong."""
    forward, arrays = at(layer, np.random.default_rng(1), **UNLUCKY[point])
    report = check_layer(forward, given()[f"{layer}_backward"], arrays, {}, raises=False)
    return frozenset(array.name for array in report.failures)


def at(layer, rng, N=4, T=5, D=3, H=2, C=5, scale=1, weights=1, repeated=True):
    """A forward pass, and arrays of certain sizes; inputs and weights can be zeros."""
    tokens = rng.integers(3, size=(N, T)) if repeated else rng.permutation(N * T).reshape(N, T)
    fixed = {"words": {"tokens": tokens}, "readout": {"labels": np.arange(N) % C}}.get(layer, {})
    of_lstm = {"W_x": (D, 4 * H), "W_h": (H, 4 * H), "b": (4 * H,)}
    sizes = {
        "words": ({}, {"E": (max(3, N * T), D), "w": (max(3, N * T),)}),
        "readout": ({"h": (N, H)}, {"W": (H, C), "b": (C,)}),
        "step": ({"x": (N, D), "h_prev": (N, H), "c_prev": (N, H)}, of_lstm),
        "time": ({"x": (N, T, D)}, of_lstm),
        "attention": ({"h": (N, T, H)}, {"v": (H,)}),
    }[layer]
    arrays = {name: scale * rng.normal(size=size) for name, size in sizes[0].items()}
    arrays |= {name: scale * weights * rng.normal(size=size) for name, size in sizes[1].items()}
    return functools.partial(given()[f"{layer}_forward"], **fixed), arrays
