"""The hidden tests of A1, and what its typical mistakes compute. Students never get this file."""

from itertools import permutations

import numpy as np

from numpy_setlstm import lstm_forward
from numpy_setlstm.grading import Task, Wrong, expect, obvious_kind
from numpy_setlstm.layers.lstm import sigmoid

TITLE = "A1: An LSTM, forward"
MINUTES = 90
ALLOWED = ("matplotlib",)  # besides the standard library, NumPy and what students check with
STEP_SIZES = ((3, 5, 4), (1, 1, 1), (2, 3, 6))  # N, D, H
SIZES = ((4, 7, 3, 5), (1, 1, 2, 3), (2, 5, 4, 2))  # N, T, D, H


def judge_sigmoid(submission, rng):
    """Moderate numbers of several shapes; then ±1000, without a warning."""
    for shape in ((7,), (2, 3, 4), ()):
        z = 3 * rng.normal(size=shape)
        causes = {"another slope": sigmoid(2 * z), "tanh instead": np.tanh(z), "sign of z": sigmoid(-z)}
        expect("sigmoid(z)", submission.call("sigmoid", z), sigmoid(z), causes)
    z = rng.permutation([-1000.0, 1000.0, *rng.uniform(-1000, 1000, size=18)])
    value, answer = submission.measure("sigmoid", z, count=False)
    expect("sigmoid(z), z up to 1000", value, sigmoid(z), {"clipped": np.clip(sigmoid(z), 1e-7, 1 - 1e-7)})
    if answer["warnings"]:
        raise Wrong("overflow", f"sigmoid is right, but NumPy warns for z up to 1000: {answer['warnings'][0]}")


def judge_step(submission, rng):
    """One step from a random state."""
    for N, D, H in STEP_SIZES:
        x, h_prev, c_prev, (W_x, W_h, b) = rng.normal(size=(N, D)), *rng.normal(size=(2, N, H)), weights(rng, D, H)
        got = submission.call("lstm_step", x, h_prev, c_prev, W_x, W_h, b)
        if not isinstance(got, tuple | list) or len(got) != 2:
            raise Wrong("lstm_step returns not h and c", f"lstm_step returns {type(got).__name__}; expected (h, c)")
        right = step(x, h_prev, c_prev, W_x, W_h, b)
        wrong = {name: step(x, h_prev, c_prev, W_x, W_h, b, name) for name in MISTAKES} | {
            "h and c exchanged": right[::-1]
        }
        try:
            expect("h", got[0], right[0], {name: states[0] for name, states in wrong.items()})
            expect("c", got[1], right[1], {name: states[1] for name, states in wrong.items()})
        except Wrong as found:
            about_layer(found, lambda x: submission.call("lstm_step", x, h_prev, c_prev, W_x, W_h, b)[0], x)  # noqa: B023
            raise


def judge_sequence(submission, rng):
    """Sequences with padding before, within and after the words, and one of padding only."""
    for N, T, D, H in SIZES:
        x, (W_x, W_h, b) = rng.normal(size=(N, T, D)), weights(rng, D, H)
        mask = rng.random((N, T)) < 0.6
        mask[0], mask[-1, : T // 2] = True, False
        if N > 2:
            mask[1], mask[2, 1], mask[2, -1] = False, True, False
        right = lstm_forward(x, W_x, W_h, b, mask)[0]
        wrong = {name: sequence(x, W_x, W_h, b, mask, name) for name in SEQUENCE_MISTAKES}
        wrong |= {f"in each step: {name}": sequence(x, W_x, W_h, b, mask, name) for name in MISTAKES}
        try:
            expect("h", submission.call("lstm_forward", x, W_x, W_h, b, mask), right, wrong)
        except Wrong as found:
            about_layer(found, lambda x: submission.call("lstm_forward", x, W_x, W_h, b, mask), x)  # noqa: B023
            raise


TASKS = [Task("sigmoid", 4, judge_sigmoid), Task("step", 8, judge_step), Task("sequence", 8, judge_sequence)]

ORDERS = ["".join(order) for order in permutations("ifog")][1:]
MISTAKES = [f"gate order {order}" for order in ORDERS] + [
    "c instead of tanh c",
    "h instead of c",
    "bias left out",
    "sigmoid for the candidate",
    "no W_h",
]
SEQUENCE_MISTAKES = ["padding read", "padding set to 0", "only h kept at padding", "state not carried", "c not carried",
                     "h carried in place of c", "c returned", "h set to 0 at padding"]  # fmt: skip


def weights(rng, D, H):
    """Weights large enough for every gate to matter."""
    return rng.normal(size=(D, 4 * H)), rng.normal(size=(H, 4 * H)), rng.normal(size=4 * H)


def step(x, h_prev, c_prev, W_x, W_h, b, mistake=""):
    """One step, with a typical mistake."""
    z = x @ W_x + h_prev @ W_h * (mistake != "no W_h") + b * (mistake != "bias left out")
    order = mistake.split()[-1] if mistake.startswith("gate order") else "ifog"
    parts = dict(zip(order, np.split(z, 4, axis=1), strict=True))
    i, f, o = (sigmoid(parts[name]) for name in "ifo")
    g = sigmoid(parts["g"]) if mistake == "sigmoid for the candidate" else np.tanh(parts["g"])
    c = f * (h_prev if mistake == "h instead of c" else c_prev) + i * g
    return o * (c if mistake == "c instead of tanh c" else np.tanh(c)), c


def sequence(x, W_x, W_h, b, mask, mistake=""):
    """All steps, with a typical mistake."""
    h = c = np.zeros((len(x), len(W_h)))
    states, zero = [], ("padding set to 0", "h set to 0 at padding")
    for t in range(x.shape[1]):
        old = {"h carried in place of c": h}.get(mistake, c * (mistake not in ("c not carried", "state not carried")))
        h_word, c_word = step(x[:, t], h * (mistake != "state not carried"), old, W_x, W_h, b, mistake)
        word = mask[:, t, None] | (mistake == "padding read")
        h_pad, c_pad = h * (mistake not in zero), c * (mistake != zero[0])
        h = np.where(word, h_word, h_pad)
        c = c_word if mistake == "only h kept at padding" else np.where(word, c_word, c_pad)
        states.append(c if mistake == "c returned" else h)
    return np.stack(states, axis=1)


def about_layer(found, function, x):
    """If no mistake was recognized, say whether the layer is obviously something else."""
    if found.cause == "h is wrong" and (kind := obvious_kind(function, x)):
        raise Wrong(f"not an LSTM: {kind}", found.report, found.signature)
