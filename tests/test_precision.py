"""What a gradient check sees of code in less than double precision: "ok" is never said of what cannot be seen."""

import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest

from numpy_setlstm.gradcheck import GradientMismatchError, check_gradients, check_layer

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(DOCS / "draw_precision.py"))


@pytest.mark.parametrize("precision", ["float64", "mixed", "float32", "float16"])
@pytest.mark.parametrize("method", ["complex", "central"])
@pytest.mark.parametrize("size", [1e-8, 1e-4, 1.0, 1e8])
def test_right_code_is_never_called_wrong_and_wrong_code_never_right(script, precision, method, size):
    verdicts = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for error in (0.0, 0.01, 0.1, 1.0):
            verdicts.append(script["verdict_or_refusal"](*script["PRECISIONS"][precision], size, error, method))
    assert verdicts[0] != "WRONG" and "ok" not in verdicts[1:]
    if precision != "float16":
        assert verdicts == ["ok", "WRONG", "WRONG", "WRONG"]
    elif size == 1:
        assert verdicts == ["not seen", "not seen", "WRONG", "WRONG"]


def rnn_forward(x, W, U, dtype):
    h = np.zeros((x.shape[0], x.shape[1] + 1, len(U)), dtype=dtype)
    for t in range(x.shape[1]):
        h[:, t + 1] = np.tanh(x[:, t] @ W + h[:, t] @ U)
    return h[:, 1:], (x, W, U, h)


def rnn_backward(dout, cache, carried=1.0):
    x, W, U, h = cache
    dx, dW, dU, dh = np.zeros(x.shape), np.zeros(W.shape), np.zeros(U.shape), 0
    for t in reversed(range(x.shape[1])):
        dz = (dout[:, t] + carried * dh) * (1 - h[:, t + 1].astype(float) ** 2)
        dx[:, t], dh = dz @ W.T, dz @ U.T
        dW += x[:, t].T @ dz
        dU += h[:, t].T.astype(float) @ dz
    return dx, dW, dU


@pytest.mark.parametrize("method", ["complex", "central"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_rnn_in_single_precision_whose_carried_gradient_is_10_percent_too_large(method, dtype):
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(2, 5, 3)), rng.normal(size=(3, 4)) / 2, rng.normal(size=(4, 4)) / 2

    def check(carried):
        def backward(dout, cache):
            return rnn_backward(dout, cache, carried)

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return check_layer(
                lambda x, W, U: rnn_forward(x, W, U, dtype), backward, arrays, method=method, raises=False
            )

    right, wrong = check(1.0), check(1.1)
    assert right.ok, right.message()
    assert {array.name for array in wrong.failures} == {"x", "W", "U"}
    few = [remark for remark in right.remarks if "digits of a gradient can be checked" in remark]
    assert bool(few) == (dtype == np.float32)


def half(x):
    return np.tanh(x).astype(np.float16), x


@pytest.mark.parametrize("method", ["complex", "central"])
def test_half_precision_is_unsure_and_says_so(method):
    x = np.random.default_rng(0).normal(size=(3, 4))

    def backward(dout, x):
        return dout * (1 - np.tanh(x) ** 2)

    with pytest.raises(GradientMismatchError, match="unsure") as caught:
        check_layer(half, backward, x, method=method)
    report = caught.value.report
    assert report["x"].status == "unsure" and not report["x"].wrong.any()
    assert "1 of 1 array unsure" in str(report) and "wrong" not in str(report)
    assert "something is computed in float16: only" in report.remarks[0]


def test_the_uncertainty_is_part_of_the_limit():
    """A loss that is a staircase, with steps of 1e-7 or of 0.01."""
    x = np.random.default_rng(0).normal(size=5)
    for step, status, seen in ((1e-7, "ok", 1e-3), (0.01, "unsure", 0.5)):

        def loss(params, step=step):
            return float(np.floor(np.sum(params["x"] ** 2) / step)) * step

        report = check_gradients(loss, {"x": x}, {"x": 2 * x}, "central", raises=False)
        assert report["x"].status == status and step < report["x"].limit < 300 * step
        assert ("digits of a gradient can be checked" if status == "ok" else "not a single digit") in str(report)
        assert not check_gradients(loss, {"x": x}, {"x": (2 + 4 * seen) * x}, "central", raises=False)["x"].ok


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_central_differences_reach_1e_9(size, offset):
    """Terms of the output that do not change leave no rounding, and a larger step finds what rounding leaves."""
    rng = np.random.default_rng(0)
    x, W = 10 * rng.normal(size=(6, 3)), rng.normal(size=3)

    def forward(x, W):
        d = x - x.mean(axis=0)
        return (
            size * np.concatenate([(W * d / np.sqrt((d * d).mean(axis=0) + 1e-5)).ravel(), [offset]]),
            (d, W),
        )

    def backward(dout, cache, eps=1e-5):
        d, W = cache
        dy = size * dout[:-1].reshape(d.shape)
        s = np.sqrt((d * d).mean(axis=0) + eps)
        z = d / s
        dz = W * dy
        return (dz - dz.mean(axis=0) - z * (dz * z).mean(axis=0)) / s, (dy * z).sum(axis=0)

    assert check_layer(forward, backward, (x, W), method="central").ok
    forgotten = check_layer(forward, lambda d, c: backward(d, c, eps=0.0), (x, W), method="central", raises=False)
    assert forgotten["x"].status == "WRONG" and forgotten["x"].error < 1e-6
