"""The hidden tests of A4, and what its typical mistakes compute. Students never get this file."""

import numpy as np

from numpy_setlstm.grading import Task, Wrong, expect

TITLE = "A4: A matrix that stores its connections"
MINUTES = 90
ALLOWED = ("matplotlib",)  # besides the standard library, NumPy and what students check with
SIZES = ((3, 6, 5), (2, 5, 7), (1, 2, 2), (2, 150, 6))  # N, n_rows, n_cols
AS_IN_A_NETWORK = (2, 20_000, 256, 51_200, 1)  # N, n_rows, n_cols, connections: 1 %; every row may have some
VAST = (1, 2_000_000, 2_000_000, 200_000, 400)  # every 400th row and column; a full matrix has 32 TB, a mask 4 TB

FEW = 8_000  # at most so many connections where the answer has a number for each: it may be a list, which takes long


def judge_product(submission, rng):
    """Small matrices with empty rows and columns; one without connections; two that are large."""
    for x, _, W in cases(rng, VAST[3]):
        right = product(x, *W)
        wrong = {name: product(x, *W, name) for name in known(PRODUCT_MISTAKES, W)}
        expect("y", submission.call("sparse_product", x, *W), right, wrong)


def judge_transpose(submission, rng):
    """The lists of the transpose, in their order, with weights of 0."""
    for _, _, W in cases(rng, FEW):
        got = submission.call("sparse_transpose", *W)
        if not isinstance(got, tuple | list) or len(got) != 4:
            raise Wrong(
                "not four things returned",
                f"sparse_transpose returns {type(got).__name__}; expected (rows, cols, values, shape)",
            )
        right = transpose(*W)
        wrong = {mistake: transpose(*W, mistake) for mistake in known(TRANSPOSE_MISTAKES, W)}
        for position, name in enumerate(("rows", "cols", "values", "shape")):
            try:
                expect(name, got[position], right[position], {m: lists[position] for m, lists in wrong.items()})
            except Wrong as found:
                if cause := about_lists(got, right):
                    raise Wrong(cause, found.report, found.signature) from None
                raise
            wrong = {m: lists for m, lists in wrong.items() if np.array_equal(lists[position], right[position])}


def judge_gradient(submission, rng):
    """The gradient at the connections, and nowhere else."""
    for x, dy, W in cases(rng, FEW):
        rows, cols = W[:2]
        wrong = {name: gradient(x, dy, rows, cols, name) for name in known(GRADIENT_MISTAKES, W)}
        expect("dw", submission.call("weight_gradient", x, dy, rows, cols), gradient(x, dy, rows, cols), wrong)


TASKS = [
    Task("product", 8, judge_product),
    Task("transpose", 6, judge_transpose),
    Task("gradient", 6, judge_gradient),
]

PRODUCT_MISTAKES = (
    "only the last of repeated columns",
    "only the first of repeated columns",
    "empty columns have a neighbor's number",
    "sums of neighbors in the lists, unsorted",
    "weights left out",
)
TRANSPOSE_MISTAKES = (
    "only exchanged, not sorted",
    "weights not reordered",
    "rows and columns not exchanged",
    "shape not exchanged",
)
GRADIENT_MISTAKES = ("product of sums over the texts", "mean over the texts", "only the last text", "first text only")


def cases(rng, most):
    """Inputs, upstream gradients, matrices: first small ones, where mistakes are recognized; two large ones at last."""
    for N, n_rows, n_cols in SIZES:
        yield rng.normal(size=(N, n_rows)), rng.normal(size=(N, n_cols)), small_matrix(rng, n_rows, n_cols)
    nothing = np.arange(0)
    yield rng.normal(size=(2, 3)), rng.normal(size=(2, 4)), (nothing, nothing, np.zeros(0), (3, 4))
    for N, n_rows, n_cols, count, apart in (AS_IN_A_NETWORK, VAST):
        keys = np.unique(rng.integers(n_rows // apart * (n_cols // apart), size=min(count, most)))
        rows, cols = (apart * places + apart // 2 for places in np.divmod(keys, n_cols // apart))
        W = rows, cols, rng.normal(size=len(keys)), (n_rows, n_cols)
        yield rng.normal(size=(N, n_rows)), rng.normal(size=(N, n_cols)), W


def known(mistakes, W):
    """The mistakes to look for: none in a large matrix, since the small ones show them all."""
    return mistakes if len(W[0]) < 1000 else ()


def small_matrix(rng, n_rows, n_cols):
    """Half of the cells of the first rows, then column 0 alone; a row and a column are empty, and a weight is 0."""
    there = rng.random((n_rows, n_cols)) < 0.5
    if n_rows > 100:
        return *np.nonzero(there), rng.normal(size=np.count_nonzero(there)), there.shape
    there[:2, 0] = there[0, 1] = True
    if min(n_rows, n_cols) > 2:
        there[0, -1] = there[1, 2] = True
        there[2], there[:, n_cols // 2 + 1] = False, False
        there[3:], there[3:, 0] = False, True
    rows, cols = np.nonzero(there)
    values = rng.normal(size=len(rows))
    values[1] = 0
    return rows, cols, values, (n_rows, n_cols)


def product(x, rows, cols, values, shape, mistake=""):
    """Matrix product, with a typical mistake."""
    terms = x[:, rows] * (1 if mistake == "weights left out" else values)
    y = np.zeros((len(x), shape[1]))
    if mistake.startswith("only the "):
        last = slice(None) if mistake.startswith("only the last") else slice(None, None, -1)
        y[:, cols[last]] = terms[:, last]
    elif mistake == "empty columns have a neighbor's number":
        order = np.argsort(cols, kind="stable")
        starts = np.searchsorted(cols[order], np.arange(shape[1]))
        y = np.add.reduceat(np.pad(terms[:, order], ((0, 0), (0, 1))), starts, axis=1)
    elif mistake == "sums of neighbors in the lists, unsorted" and len(cols):
        starts = np.flatnonzero(np.diff(cols, prepend=-1))
        y[:, cols[starts]] = np.add.reduceat(terms, starts, axis=1)
    else:
        for n, row in enumerate(terms):
            y[n] = np.bincount(cols, row, shape[1])
    return y


def transpose(rows, cols, values, shape, mistake=""):
    """The transpose, with a typical mistake."""
    order = np.arange(len(rows)) if mistake == "only exchanged, not sorted" else np.argsort(cols, kind="stable")
    if mistake == "rows and columns not exchanged":
        return rows[order], cols[order], values[order], np.array(shape[::-1])
    new_values = values if mistake == "weights not reordered" else values[order]
    return cols[order], rows[order], new_values, np.array(shape if mistake == "shape not exchanged" else shape[::-1])


def about_lists(got, right):
    """What is wrong with lists whose numbers are those of no mistake, or None."""
    got, right = ([np.asarray(array) for array in lists] for lists in (got, right))
    if got[0].shape == (np.count_nonzero(right[2]),) != right[0].shape:
        return "connections of weight 0 dropped"
    if any(one.shape != two.shape for one, two in zip(got, right, strict=True)):
        return None
    orders = [np.lexsort((lists[1], lists[0])) for lists in (got, right)]
    pairs = zip(got[:3], right[:3], strict=True)
    same = all(np.array_equal(one[orders[0]], two[orders[1]]) for one, two in pairs)
    return "not sorted within a row" if same and np.array_equal(got[0], right[0]) else None


def gradient(x, dy, rows, cols, mistake=""):
    """The gradient at the connections, with a typical mistake."""
    if mistake == "product of sums over the texts":
        return x.sum(axis=0)[rows] * dy.sum(axis=0)[cols]
    terms = x[:, rows] * dy[:, cols]
    if mistake in ("only the last text", "first text only"):
        return terms[-1 if mistake == "only the last text" else 0]
    return terms.mean(axis=0) if mistake == "mean over the texts" else terms.sum(axis=0)
