"""The hidden tests of A6: the LSTM is right, and training gives the numbers of the report again."""

import functools
from pathlib import Path

from numpy_setlstm import lstm_backward, lstm_forward
from numpy_setlstm.grading import Task, Wrong, expect
from numpy_setlstm.grading.notebook import given_cells, read_notebook
from numpy_setlstm.grading.process import as_array

TITLE = "A6: A report on your own network"
MINUTES = 90
NOTE = "A person gives up to 4 more, for the sentence and for what stands below the picture."
ALLOWED = ("matplotlib",)  # besides the standard library, NumPy and what students check with


@functools.cache
def given():
    """The names of the notebook's given code, which trains once more and knows what is wrong."""
    names = {"__name__": "given"}
    for _, code in given_cells(read_notebook(Path(__file__).with_name("A6_report.ipynb"))):
        exec(code, names)
    return names


def judge_network(submission, rng):
    """States and gradients are those of the package, with padding, at two sizes; also if weights are no arrays."""
    for N, T, D, H in ((3, 5, 4, 2), (1, 7, 2, 3)):
        point = {
            "x": rng.normal(size=(N, T, D)),
            "W_x": rng.normal(size=(D, 4 * H)),
            "W_h": rng.normal(size=(H, 4 * H)),
        }
        point |= {"b": rng.normal(size=4 * H), "mask": rng.random((N, T)) < 0.7}
        point["mask"][:, :3], dh = (True, False, True), rng.normal(size=(N, T, H))
        states, cache = lstm_forward(**point)
        right = lstm_backward(dh, cache)._asdict()
        got = submission.call("lstm_forward", **point, keep=[1])
        if not isinstance(got, tuple | list) or len(got) != 2:
            raise Wrong("lstm_forward returns not h and a cache", "lstm_forward has to return h and a cache")
        expect("h", got[0], states)
        grads = submission.call("lstm_backward", dh, got[1])
        if not isinstance(grads, tuple | list) or len(grads) != 4:
            raise Wrong("wrong number of gradients", "lstm_backward has to return dx, dW_x, dW_h and db")
        for name, grad in zip(("dx", "dW_x", "dW_h", "db"), grads, strict=True):
            expect(name, grad, right[name])
        in_training(submission, point, dh, right)


def in_training(submission, point, dh, right):
    """The gradients again, with weights that are sparse matrices."""
    try:
        grads = submission.call("gradients_in_training", **point, dh=dh)
        for name, grad in zip(("dx", "dW_x", "dW_h", "db"), grads, strict=True):
            expect(name, as_array(grad), right[name])
    except Wrong as found:
        words = f"right with arrays, and not with sparse weights: {given()['ADVICE']}"
        raise Wrong("right with arrays only", f"{words}. {found.report}", ["right with arrays only"]) from None


def judge_choice(submission, rng):
    """Training gives the validation accuracies again, and they choose."""
    told("choice", lambda: given()["wrong_choice"](submission.call("choice")))


def judge_runs(submission, rng):
    """Training gives the test accuracies again, at the rate that the student has chosen."""
    told("runs", lambda: given()["wrong_runs"](submission.call("runs"), submission.call("choice")))


def judge_claim(submission, rng):
    """The claim follows from the numbers of the runs, and these hold."""
    told("claim", lambda: given()["wrong_claim"](*map(submission.call, ("claim", "runs", "choice"))))


TASKS = [
    Task("network", 3, judge_network),
    Task("choice", 3, judge_choice),
    Task("runs", 6, judge_runs),
    Task("claim", 4, judge_claim),
]


def told(name, judge):
    """Raise what a function finds wrong; the cause has no details, which stand in brackets."""
    try:
        words = judge()
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        text = f"{name}: {' '.join(str(error).split())[:200]}"
        raise Wrong("an answer that is not as asked for", text) from None
    if words:
        raise Wrong(words.split(" (")[0], f"{name}: {words}", [f"{name} {words}"])
