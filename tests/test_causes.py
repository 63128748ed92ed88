"""The causes that check_layer names: each mistake gets its own, or none, and never another."""

import numpy as np
import pytest

from numpy_setlstm.gradcheck import check_layer


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def norm_forward(x, gamma):
    d = x - x.mean(axis=0)
    s = np.sqrt(d.var(axis=0) + 1e-3)
    return gamma * d / s, (d / s, s, gamma)


def norm_backward(dout, cache, bug):
    z, s, gamma = cache
    dz = dout if bug == "gamma" else gamma * dout
    mean = 0 if bug == "mean" else dz.mean(axis=0)
    variance = 0 if bug == "variance" else z * (dz * z).mean(axis=0)
    return (dz - mean - variance) / s, (dout * z).sum(axis=0)


def softmax_backward(dout, y, bug):
    return y * (1 - y) * dout if bug == "diagonal" else y * (dout - (dout * y).sum(axis=-1, keepdims=True))


def affine_backward(dout, cache, bug):
    x, W = cache
    return dout @ (W if bug == "transpose" else W.T), x.T @ dout


def einsum_backward(dout, cache, bug):
    a, b, W = cache
    order = "nk,ni,nj->kji" if bug == "indices" else "nk,ni,nj->kij"
    return np.einsum("nk,kij,nj->ni", dout, W, b), np.einsum("nk,kij,ni->nj", dout, W, a), np.einsum(order, dout, a, b)


def tanh_backward(dout, cache, bug):
    x, y = cache
    return dout * (1 - (x if bug == "slope" else y) ** 2)


def relu_backward(dout, x, bug):
    if bug == "inverted":
        return dout * (x <= 0)
    return dout * np.where(x > 0, 1, {"positive slope": 0, "no mask": 1}.get(bug, 0.1))


def dropout_backward(dout, mask, bug):
    return dout * (0.5 if bug == "kept" else mask)


def gather_backward(dout, cache, bug):
    shape, rows, index = cache
    dx = np.zeros(shape)
    if bug == "once":
        dx[rows, index] += dout
    else:
        np.add.at(dx, (rows, index), dout)
    return dx


def conv_forward(x, w):
    """Three taps along the middle axis, padded by one."""
    padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))
    return sum(w[k] * padded[:, k : k + x.shape[1]] for k in range(3)), (padded, w)


def conv_backward(dout, cache, bug):
    padded, w = cache
    dx = np.zeros(padded.shape)
    for k in range(3):
        dx[:, k : k + dout.shape[1]] += w[k] * dout
    dw = np.array([np.sum(padded[:, k : k + dout.shape[1]] * dout) for k in range(3)])
    return (dx[:, :-2] if bug == "padding" else dx[:, 1:-1]), dw


def log_backward(dout, p, bug):
    return -dout / (p if bug == "guard" else p + 1e-7)


def rnn_forward(x, h0, W, U, handed_on=True):
    hs = [h0]
    for t in range(x.shape[1]):
        hs.append(np.tanh(x[:, t] @ W + (hs[-1] if handed_on else h0) @ U))
    return np.stack(hs[1:], axis=1), (x, W, U, hs)


def rnn_backward(dout, cache, bug):
    x, W, U, hs = cache
    dx, dW, dU, dh = np.zeros(x.shape), np.zeros(W.shape), np.zeros(U.shape), 0
    for t in reversed(range(x.shape[1])):
        dz = (dout[:, t] + dh) * (1 - hs[t + 1] ** 2)
        own = dout[:, t] * (1 - hs[t + 1] ** 2)
        dx[:, t] = (own if bug == "x only" else dz) @ W.T
        dW = x[:, t].T @ dz + (0 if bug == "accumulated" else dW)
        dU = hs[t].T @ dz + dU
        dh = 0 if bug == "carry" else dz @ U.T
    return dx, dz @ U.T, dW, dU


def take(x, index):
    rows = np.arange(len(x))[:, None]
    return x[rows, index], (x.shape, rows, index)


MASK = (np.random.default_rng(5).random((4, 3)) < 0.6) / 0.6
INDEX = np.array([[0, 2, 2], [1, 1, 0], [2, 0, 1], [1, 2, 2]])
# Forward and backward pass, shapes of the arguments, and for each mistake the kind and some words of its cause.
LAYERS = {
    "norm": (norm_forward, norm_backward, [(6, 3), (3,)], {
        "mean": ("path", "x: must sum to 0 along axis 0"),
        "variance": ("path", "the path through the variance is missing or wrong"),
        "gamma": ("forgotten", "backward forgets this factor"),
    }),
    "softmax": (lambda x: (softmax(x),) * 2, softmax_backward, [(4, 3)], {
        "diagonal": ("path", "only the diagonal of softmax's Jacobian"),
    }),
    "affine": (lambda x, W: (x @ W, (x, W)), affine_backward, [(4, 3), (3, 3)], {
        "transpose": ("transposed", "x: correct with the transpose of W"),
    }),
    "bilinear": (lambda a, b, W: (np.einsum("ni,kij,nj->nk", a, W, b), (a, b, W)), einsum_backward,
                 [(4, 3), (4, 3), (2, 3, 3)], {"indices": ("transposed", "axes 1 and 2 are exchanged")}),
    "tanh": (lambda x: (np.tanh(x), (x, np.tanh(x))), tanh_backward, [(4, 3)], {
        "slope": ("slope", "is it taken of the wrong quantity"),
    }),
    "leaky": (lambda x: (np.where(x > 0, x, 0.1 * x), x), relu_backward, [(4, 3)], {
        "positive slope": ("mask", "wrong exactly where x is negative"), "no mask": ("mask", "where x is negative"),
    }),
    "relu": (lambda x: (np.maximum(x, 0), x), lambda d, x, bug: relu_backward(d, x, bug or "positive slope"),
             [(4, 3)], {
        "no mask": ("no effect", "omits what removes these entries"), "inverted": ("mask", "the mask is inverted"),
    }),
    "dropout": (lambda x: (x * MASK, MASK), dropout_backward, [(4, 3)], {"kept": ("mask", "look at the mask")}),
    "gather": (lambda x: take(x, INDEX), gather_backward, [(4, 3)], {"once": ("repeated", "is used more than once")}),
    "convolution": (conv_forward, conv_backward, [(2, 5, 3), (3,)], {
        "padding": ("shifted", "shifted by +1 along axis 1"),
    }),
    "logarithm": (lambda x: (-np.log(x + 1e-7), x), log_backward, [(4, 3)], {
        "guard": ("guard", "forward takes log(p + 1e-07)"),
    }),
    "rnn": (rnn_forward, rnn_backward, [(2, 4, 3), (2, 3), (3, 3), (3, 3)], {
        "carry": ("carry", "what each step passes back to the previous one"),
        "accumulated": ("accumulated", "W is wrong, but correct for a single entry along axis 1"),
        "x only": (None, ""),
    }),
}  # fmt: skip


def check(name, bug, seed=0, forward=None):
    its_forward, backward, shapes, _ = LAYERS[name]
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=shape) for shape in shapes]
    arrays = [np.abs(a) + 0.1 for a in arrays] if name == "logarithm" else arrays
    return check_layer(forward or its_forward, lambda d, cache: backward(d, cache, bug), tuple(arrays), raises=False)


@pytest.mark.parametrize("name", LAYERS)
def test_the_right_layer_passes(name):
    for seed in range(5):
        assert check(name, None, seed).ok


@pytest.mark.parametrize(("name", "bug"), [(name, bug) for name in LAYERS for bug in LAYERS[name][3]])
def test_each_mistake_gets_its_cause(name, bug):
    kind, words = LAYERS[name][3][bug]
    named = 0
    for seed in range(5):
        report = check(name, bug, seed)
        assert report.failures and {cause.kind for cause in report.diagnoses} <= {kind}, report.message()
        named += bool(report.diagnoses)
        assert not report.diagnoses or words in report.message(), report.message()
    assert named == 0 if kind is None else named >= 4


def test_a_forward_pass_that_hands_nothing_on_is_told_from_a_backward_pass_that_does_not():
    for seed in range(5):
        report = check("rnn", None, seed, forward=lambda x, h0, W, U: rnn_forward(x, h0, W, U, handed_on=False))
        assert report.failures and "lost" not in report.message()
        assert all("forward passes nothing on" in cause.text for cause in report.diagnoses)
        assert len(report.diagnoses) == 1


def test_no_cause_where_nothing_is_certain():
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    report = check_layer(
        lambda x, W: (x @ W, (x, W)), lambda d, c: (d @ c[1].T + noise * d.sum(), c[0].T @ d), (x, x[:3]), raises=False
    )
    assert report.failures and report.diagnoses == ()


def test_a_layer_that_fails_with_other_upstream_gradients_keeps_its_verdict():
    def backward(dout, x):
        assert np.all(dout)
        return dout * x

    report = check_layer(lambda x: (x**2, x), backward, np.random.default_rng(0).normal(size=(2, 3, 4)), raises=False)
    assert "2 times too small" in report.message()
    report = check_layer(lambda x: (np.sin(x), x), backward, np.ones((2, 3, 4)) * [1, 2, 3, 4], raises=False)
    assert report.failures
