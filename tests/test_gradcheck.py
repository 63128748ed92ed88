"""Tests of the gradient checks: planted bugs, correct code, unusual layers, bad input."""

import inspect
import math
import re
import warnings
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest

from numpy_setlstm.gradcheck import (
    GradientMismatchError,
    check_directions,
    check_gradients,
    check_layer,
    detection_probability,
)
from numpy_setlstm.gradcheck.check import unit_direction
from numpy_setlstm.gradcheck.diagnosis import families_of
from numpy_setlstm.gradcheck.numeric import LossAt, extrapolated_slope, noise

# A network independent of the package: sparse embedding, masked LSTM with padding, readout, softmax cross-entropy.


@dataclass
class Connections:
    """The minimal sparse matrix that the checks accept."""

    values: np.ndarray
    rows: np.ndarray
    cols: np.ndarray
    shape: tuple

    @property
    def nnz(self):
        return self.values.size

    def with_values(self, values):
        return Connections(values, self.rows, self.cols, self.shape)

    def toarray(self):
        dense = np.zeros(self.shape, self.values.dtype)
        dense[self.rows, self.cols] = self.values
        return dense


def sigmoid(z):
    return (1 + np.tanh(z / 2)) / 2


def lstm_forward(x, h0, c0, W_x, W_h, b, mask):
    """Run a masked LSTM; x (N, T, D), h (N, T, H), gates i, f, o, g; a padded step passes its state on."""
    h, c, hs, steps, H = h0, c0, [], [], len(W_h)
    for t in range(x.shape[1]):
        z = x[:, t] @ W_x + h @ W_h + b  # (N, 4H)
        ifo, g = sigmoid(z[:, : 3 * H]), np.tanh(z[:, 3 * H :])
        i, f, o = ifo[:, :H], ifo[:, H : 2 * H], ifo[:, 2 * H :]
        m = mask[:, t, None]  # (N, 1)
        h_prev, c_prev = h, c
        c_new = f * c_prev + i * g
        h_new = o * np.tanh(c_new)
        c, h = np.where(m, c_new, c_prev), np.where(m, h_new, h_prev)
        steps.append((x[:, t], h_prev, c_prev, i, f, o, g, c_new, m))
        hs.append(h)
    return np.stack(hs, axis=1), (steps, W_x, W_h)


def lstm_backward(dout, cache, bug=None):
    """Backward pass of `lstm_forward`, with a planted bug."""
    steps, W_x, W_h = cache
    dx, dW_x, dW_h, db = [], np.zeros(W_x.shape), np.zeros(W_h.shape), np.zeros(W_h.shape[1])
    dh, dc = np.zeros(dout[:, 0].shape), np.zeros(dout[:, 0].shape)
    for t in reversed(range(len(steps))):
        x, h_prev, c_prev, i, f, o, g, c_new, m = steps[t]
        dh = dh + dout[:, t]
        dh_new, tanh_c = dh * m, np.tanh(c_new)
        do = dh_new * tanh_c
        dc_new = dc * m + dh_new * o * (1 - tanh_c**2)
        di, df, dg = dc_new * g, dc_new * c_prev, dc_new * i
        slopes = [i * (1 - i), f * (1 - f), o * (1 - o), 1 - g**2]
        if bug in ("no slope of i", "no slope of f", "no slope of o", "no slope of g"):
            slopes["ifog".index(bug[-1])] = 1
        dz = [d * slope for d, slope in zip((di, df, do, dg), slopes, strict=True)]
        if bug == "gate order":
            dz[0], dz[1] = dz[1], dz[0]
        dz = np.concatenate(dz, axis=1)
        dx.append(dz @ W_x.T)
        dW_x += x.T @ dz
        dW_h += h_prev.T @ dz
        db += dz.sum(axis=0)
        dh = dh * ~m + (0 if bug == "no dh carry" else dz @ W_h.T)
        dc = dc * ~m + (0 if bug == "no dc carry" else dc_new * f)
        if bug == "truncated" and t == len(steps) - 2:
            dh, dc = 0 * dh, 0 * dc
    dx = np.stack(dx[::-1], axis=1)
    if bug == "scaled":
        dW_h *= 1.01
    if bug == "one sign":
        dW_h[-1, -1] *= -1
    if bug == "all signs":
        dW_x *= -1
    if bug == "transposed":
        dW_h[:, : len(dW_h)] = dW_h[:, : len(dW_h)].T
    if bug == "bias of f":
        db[len(W_h) : 2 * len(W_h)] = dh.sum(axis=0)
    if bug == "never":
        db = 0 * db
    if bug == "exchanged":
        dh, dc = dc, dh
    return dx, dh, dc, dW_x, dW_h, db


@dataclass
class Network:
    """Random sizes, weights and sentences; a loss, and its gradient, optionally with a planted bug."""

    tokens: np.ndarray
    mask: np.ndarray
    labels: np.ndarray
    connected: np.ndarray
    params: dict

    @classmethod
    def random(cls, rng, sizes=None):
        ranges = {"N": (2, 4), "T": (3, 4), "V": (4, 7), "D": (1, 3), "H": (2, 3), "C": (2, 3)}
        N, T, V, D, H, C = sizes or (int(rng.integers(low, high + 1)) for low, high in ranges.values())
        tokens = rng.integers(1, V, size=(N, T))
        mask = np.arange(T) < rng.integers(0, T + 1, size=(N, 1))
        mask[0] = True
        kept = rng.random((V, D)) < 0.7
        kept[0], kept[1:, 0] = False, True  # padding has no connection, every word has at least one
        rows, cols = np.nonzero(kept)
        connected = rng.random((H, 4 * H)) < 0.6
        params = {
            "E": Connections(rng.normal(size=rows.size), rows, cols, (V, D)),
            "W_x": rng.normal(size=(D, 4 * H)),
            "W_h": rng.normal(size=(H, 4 * H)) * connected,
            "b": rng.normal(size=4 * H),
            "R": rng.normal(size=(H, C)),
            "r": rng.normal(size=C),
        }
        return cls(np.where(mask, tokens, 0), mask, rng.integers(0, C, size=N), connected, params)

    def forward(self, params):
        x = params["E"].toarray()[self.tokens]
        start = np.zeros((len(x), len(params["W_h"])))
        W_h = params["W_h"] * self.connected
        h, cache = lstm_forward(x, start, start, params["W_x"], W_h, params["b"], self.mask)
        logits = h[:, -1] @ params["R"] + params["r"]
        p = np.exp(logits - np.max(logits.real, axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True), h, cache

    def loss(self, params):
        return -np.mean(np.log(self.forward(params)[0][np.arange(len(self.labels)), self.labels]))

    def gradient(self, bug=None):
        p, h, cache = self.forward(self.params)
        dlogits = p.copy()
        dlogits[np.arange(len(p)), self.labels] -= 1
        dlogits /= 1 if bug == "no mean" else len(p)
        dout = np.zeros(h.shape)
        dout[:, -1] = dlogits @ self.params["R"].T
        dx, _, _, dW_x, dW_h, db = lstm_backward(dout, cache, bug)
        E = self.params["E"]
        dE = np.zeros(E.shape)
        if bug == "repeated":
            dE[self.tokens] += dx
        else:
            np.add.at(dE, self.tokens, dx)
        dW_h = dW_h if bug == "unmasked" else dW_h * self.connected
        grads = {"E": dE[E.rows, E.cols], "W_x": dW_x, "W_h": dW_h, "b": db}
        return {**grads, "R": h[:, -1].T @ dlogits, "r": dlogits.sum(axis=0)}


def kinds(report):
    return {diagnosis.kind for diagnosis in report.diagnoses}


# No false alarms, no missed bugs.


@pytest.mark.parametrize(
    ("check", "method", "options"),
    [
        (check_gradients, "complex", {}),
        (check_gradients, "auto", {}),
        (check_gradients, "central", {}),
        (check_directions, "complex", {"directions": 2, "entries": 1}),
        (check_directions, "auto", {"directions": 2, "entries": 1}),
        (check_directions, "central", {"directions": 2, "entries": 1}),
    ],
)
def test_200_correct_networks_raise_no_alarm(check, method, options):
    for seed in range(200):
        network = Network.random(np.random.default_rng(seed))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert check(network.loss, network.params, network.gradient(), method, **options).ok


@pytest.mark.parametrize("method", ["complex", "auto", "central"])
def test_200_correct_layers_raise_no_alarm(method):
    for seed in range(200):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            report = check_lstm(np.random.default_rng(seed), None, method)
        assert report.ok and not report.diagnoses


# The diagnoses allowed for each bug in a whole network; the empty set means none.
EIGHT_BUGS = {
    "no slope of f": {"gate"},
    "no dc carry": set(),
    "truncated": set(),
    "scaled": {"factor"},
    "one sign": {"sign"},
    "unmasked": {"no effect"},
    "repeated": {"repeated"},
    "no mean": {"factor"},
}


@pytest.mark.parametrize("bug", EIGHT_BUGS)
@pytest.mark.parametrize(("method", "visible", "networks"), [("complex", 1e-11, 40), ("central", 1e-8, 40)])
def test_eight_bugs_are_caught_wherever_they_change_anything(bug, method, visible, networks):
    effective, diagnosed = 0, 0
    for seed in range(networks):
        network = Network.random(np.random.default_rng(1000 + seed))
        right, wrong = network.gradient(), network.gradient(bug)
        changed = {n for n in right if np.max(np.abs(wrong[n] - right[n])) > visible * np.max(np.abs(right[n]))}
        report = check_gradients(network.loss, network.params, wrong, method, tokens=network.tokens, raises=False)
        assert {array.name for array in report.failures} == changed
        assert kinds(report) <= EIGHT_BUGS[bug], report.message()
        effective += bool(changed)
        diagnosed += bool(kinds(report))
    assert effective >= networks / 2
    assert diagnosed >= effective / 3 or EIGHT_BUGS[bug] in (set(), {"gate"})


def test_a_dense_gradient_of_a_sparse_parameter_must_be_zero_off_the_connections():
    network = Network.random(np.random.default_rng(0))
    grads = network.gradient()
    grads["E"] = network.params["E"].with_values(grads["E"]).toarray()
    assert check_gradients(network.loss, network.params, grads).ok
    grads["E"][0, 0] = 1e-300
    with pytest.raises(GradientMismatchError, match=r"^E\[0, 0\]: analytic 1e-300, numeric 0") as caught:
        check_gradients(network.loss, network.params, grads)
    assert kinds(caught.value.report) == {"off-connection"}


@pytest.mark.parametrize(("method", "per_entry"), [("complex", 1), ("central", 2)])
def test_the_time_goes_into_one_evaluation_of_the_loss_per_entry_or_two(method, per_entry):
    """The other costs do not grow with the network: the loss, its rounding, the test of the complex step."""
    network = Network.random(np.random.default_rng(0), sizes=(3, 6, 7, 4, 5, 3))
    evaluations = 0

    def loss(params):
        nonlocal evaluations
        evaluations += 1
        return network.loss(params)

    report = check_gradients(loss, network.params, network.gradient(), method)
    checked = sum(array.checked for array in report.arrays)
    assert checked >= 220
    assert per_entry * checked <= evaluations <= per_entry * checked + 40 + 3 * len(report.arrays)

    evaluations = 0
    check_directions(loss, network.params, network.gradient(), method, directions=2, entries=1)
    assert evaluations <= 3 * per_entry * len(report.arrays) + 40 + 3 * len(report.arrays)


def test_one_wrong_entry_of_10_000_is_found_and_named():
    W = np.random.default_rng(0).normal(size=(100, 100))
    wrong = 3 * W**2
    wrong[40, 60] += 1e-10
    with pytest.raises(GradientMismatchError, match=r"^W\[40, 60\]"):
        check_gradients(lambda p: np.sum(p["W"] * p["W"] * p["W"]), {"W": W}, {"W": wrong})


# Numbers for which other checks raise false alarms.


@pytest.mark.parametrize("method", ["complex", "central"])
class TestNoFalseAlarm:
    def test_where_a_gradient_is_zero_except_for_rounding(self, method):
        """A bias that every logit shares has no effect on a softmax."""
        rng = np.random.default_rng(0)
        x, W, shared = rng.normal(size=(5, 4)), rng.normal(size=(4, 3)), rng.normal(size=())

        def probabilities(params):
            e = np.exp(x @ params["W"] + params["shared"])
            return e / e.sum(axis=1, keepdims=True)

        params = {"W": W, "shared": shared}
        dlogits = probabilities(params) - np.eye(3)[[0, 1, 2, 0, 1]]
        grads = {"W": x.T @ dlogits, "shared": dlogits.sum() + 1e-16}

        def loss(params):
            return -np.sum(np.log(probabilities(params)[np.arange(5), [0, 1, 2, 0, 1]]))

        assert check_gradients(loss, params, grads, method).ok

    def test_where_gradients_differ_by_many_orders_of_magnitude(self, method):
        a, b = np.array([1.5, -2.0]), np.array([0.3, 0.7])
        grads = {"a": np.cos(a), "b": 1e-9 * np.exp(b)}
        params = {"a": a, "b": b}
        assert check_gradients(
            lambda p: np.sum(np.sin(p["a"])) + 1e-9 * np.sum(np.exp(p["b"])), params, grads, method
        ).ok

    def test_where_a_large_constant_swallows_digits(self, method):
        a = np.array([1.5, -2.0])
        assert check_gradients(lambda p: 1e6 + np.sum(np.sin(p["a"])), {"a": a}, {"a": np.cos(a)}, method).ok

    def test_where_the_loss_bends_sharply(self, method):
        a = np.array([1e-3, 2e-3])
        assert check_gradients(
            lambda p: np.sum(np.sin(300 * p["a"])), {"a": a}, {"a": 300 * np.cos(300 * a)}, method
        ).ok

    def test_at_the_kink_of_a_relu(self, method):
        """Any slope between 0 and 1 is right at 0, and 2 is wrong."""
        b = np.array([0.0, 1.0, -1.0])

        def loss(params):
            return np.sum(np.maximum(params["b"], 0))

        for slope in (0.0, 0.5, 1.0):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert check_gradients(loss, {"b": b}, {"b": np.array([slope, 1.0, 0.0])}, method)["b"].kinks <= 1
        with warnings.catch_warnings(), pytest.raises(GradientMismatchError, match=r"^b\[0\]"):
            warnings.simplefilter("ignore")
            check_gradients(loss, {"b": b}, {"b": np.array([2.0, 1.0, 0.0])}, method)

    def test_near_the_kinks_of_many_relus_where_errors_are_still_found(self, method):
        """Some of these units are so close to 0 that the step of a finite difference crosses their kink."""
        for seed in range(20):
            rng = np.random.default_rng(seed)
            x, y = rng.normal(size=(30, 3)), rng.normal(size=(30, 1))
            params = {"W": rng.normal(size=(3, 20)), "b": rng.normal(size=20), "V": rng.normal(size=(20, 1)) / 4.5}

            def loss(p, x=x, y=y):
                return np.mean((np.maximum(x @ p["W"] + p["b"], 0) @ p["V"] - y) ** 2)

            a = np.maximum(x @ params["W"] + params["b"], 0)
            d = 2 * (a @ params["V"] - y) / 30
            dz = d @ params["V"].T * (a > 0)
            grads = {"W": x.T @ dz, "b": dz.sum(axis=0), "V": a.T @ d}
            assert check_gradients(loss, params, grads, method).ok
            grads["V"][np.argmax(np.abs(grads["V"]))] *= 1 + (1e-9 if method == "complex" else 1e-5)
            report = check_gradients(loss, params, grads, method, raises=False)
            assert [array.name for array in report.failures] == ["V"]

    def test_for_a_parameter_without_effect_unless_it_has_a_gradient(self, method):
        params = {"W": np.ones(3), "unused": np.ones(2)}
        report = check_gradients(
            lambda p: np.sum(p["W"] ** 2), params, {"W": 2 * np.ones(3), "unused": np.zeros(2)}, method
        )
        assert report["unused"].status == "no effect"
        with pytest.raises(GradientMismatchError, match=r"^unused\[1\]"):
            wrong = {"W": 2 * np.ones(3), "unused": np.array([0.0, 1e-3])}
            check_gradients(lambda p: np.sum(p["W"] ** 2), params, wrong, method)

    def test_for_empty_arrays(self, method):
        params = {"W": np.ones(3), "none": np.ones((0, 4))}
        assert check_gradients(
            lambda p: np.sum(p["W"] ** 2), params, {"W": 2 * np.ones(3), "none": np.ones((0, 4))}, method
        ).ok


def test_small_gradients_are_checked_down_to_rounding():
    params = {"a": np.array([1.0, 2.0]), "b": np.array([1.0, 2.0])}

    def check(size, factor):
        grads = {"a": 2 * params["a"], "b": factor * size * params["b"]}
        return check_gradients(lambda p: np.sum(p["a"] ** 2) + size * np.sum(p["b"] ** 2), params, grads, raises=False)

    assert check(1e-12, 2).ok
    assert [array.name for array in check(1e-12, 2.1).failures] == ["b"]
    assert check(1e-18, 2.1)["b"].status == "too small"


def test_a_report_without_a_cause_says_how_to_look_and_a_cause_takes_its_place():
    G = np.random.default_rng(0).normal(size=(8, 8))
    unknown, known = diagnose_matrix(G + np.sin(50 * G), G), diagnose_matrix(2 * G, G)
    assert "No likely cause" in unknown.message() and "No likely cause" in unknown._repr_html_()
    assert "No likely cause" not in known.message() and "too large" in known.message()


def test_words_of_the_table_are_explained_below_it_and_only_those_it_has():
    parameters = {"used": np.ones(3), "unused": np.ones(3)}
    report = check_gradients(
        lambda p: (p["used"] ** 2).sum(), parameters, {"used": 2 * np.ones(3), "unused": np.zeros(3)}
    )
    assert "no effect: the loss does not depend on this array" in str(report)
    assert "unsure" not in str(report) and "corner" not in str(report)


def test_noise_ignores_what_is_smooth_and_a_kink():
    line = np.linspace(-1, 1, 300)
    assert noise(line**2 + np.abs(line)) < 1e-15
    assert 0.8 < noise(line**2 + np.random.default_rng(0).normal(size=300)) < 1.2


# Code that does not accept complex numbers.


def smooth_abs(w):
    return np.sum(np.abs(w) * np.array([1.0, 2.0]))


def compares(w):
    return sum(x * k if x > 0 else -x * k for x, k in zip(w.tolist(), (1.0, 2.0), strict=True))


def casts(w):
    return sum(float(x) * k for x, k in zip(np.abs(w.real), (1.0, 2.0), strict=True))


def buffers(w):
    buffer = np.zeros(2)
    buffer[:] = w
    return np.sum(np.sqrt(buffer**2) * np.array([1.0, 2.0]))


def has_no_complex_version(w):
    return math.sqrt(w[0] ** 2) + 2 * np.sum(np.hypot(w[1], 0.0))


def conjugates(w):
    return np.sum(np.sqrt(w * w.conj()) * np.array([1.0, 2.0])).real


def drops_part_of_the_imaginary_part(w):
    return np.sum(np.sqrt(w**2) * np.array([1.0, 2.0])) + 1e-3 * np.sum(w.astype(complex).real - w)


def squares_of_float32(w):
    buffer = np.empty(2, dtype="f")
    buffer[:] = w
    return np.sum(np.sqrt(buffer.astype(np.float64) ** 2) * np.array([1.0, 2.0]))


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (compares, r"line \d+ of test_gradcheck.py, `return sum\(x \* k if x > 0.*'>' not supported"),
        (casts, r"line \d+ of test_gradcheck.py, `return sum\(float.*float\(\) keeps only the real part"),
        (has_no_complex_version, r"line \d+ of test_gradcheck.py, `return math.sqrt"),
    ],
)
@pytest.mark.parametrize("method", ["complex", "auto"])
def test_falls_back_to_central_differences_and_names_the_line(loss, reason, method):
    w = np.array([1.5, -0.5])
    with pytest.warns(UserWarning, match="central differences instead of a complex step: .*" + reason) as caught:
        report = check_gradients(lambda params: loss(params["w"]), {"w": w}, {"w": np.array([1.0, -2.0])}, method)
    assert caught[0].filename == __file__
    assert report.method == "central"
    assert report.fallback
    with pytest.warns(UserWarning), pytest.raises(GradientMismatchError):
        check_gradients(lambda params: loss(params["w"]), {"w": w}, {"w": np.array([1.0, -2.0 - 1e-8])}, method)


@pytest.mark.parametrize("loss", [smooth_abs, buffers, conjugates, drops_part_of_the_imaginary_part])
@pytest.mark.filterwarnings("error")
def test_the_complex_step_passes_through_code_for_real_numbers(loss):
    w = np.array([1.5, -0.5])
    for slope, right in ((-2.0, True), (-2.0 - 1e-11, False)):
        grads = {"w": np.array([1.0, slope])}
        report = check_gradients(lambda params: loss(params["w"]), {"w": w}, grads, raises=False)
        assert report.method == "complex" and report.fallback == "" and report.ok == right


A, B = np.random.default_rng(1).normal(size=(2, 3, 4))


@pytest.mark.parametrize(
    "loss",
    [
        lambda w: np.sum(A * np.maximum(w, 0.3 * B) + B * np.minimum(w, B)),
        lambda w: np.sum(A * np.where(w > w.mean(axis=0), w, -(w**2))),
        lambda w: np.var(w) + w.std(axis=1) @ A[:, 0] + np.std(w, axis=0, ddof=1) @ A[0] + w.var(),
        lambda w: np.sum(A * (w - w.mean(0)) / np.sqrt(w.var(axis=0, keepdims=True) + 1e-5)),
        lambda w: np.linalg.norm(w) + np.linalg.norm(w, axis=1) @ A[:, 0] + abs(w).sum(),
        lambda w: w.max() + np.max(w, axis=0) @ A[0] + w[np.arange(3), w.argmax(axis=1)] @ A[:, 1],
        lambda w: np.sum(A * np.clip(w, -0.5, 0.5)) + max(w[0, 0], 0) + max(w[1, 1], 0),
        lambda w: np.sum(np.hypot(w, B) + np.cbrt(w) + np.sign(w) * w),
        lambda w: fills_buffers(w),
        lambda w: np.correlate(w.ravel(), A.ravel(), "same").sum() + np.vdot(w, B) + w.real.dot(A.T)[0, 0],
        lambda w: np.einsum("ij,ik->jk", w, np.abs(w)).sum() + np.stack([w, w]).std() + np.pad(w, 1)[1].sum(),
        lambda w: sum(x * abs(x) for row in w for x in row) + np.add.reduce(np.abs(w), axis=None),
        lambda w: np.sum(A * np.round(w)) + np.sum(w // 1 * w) + np.sum(w % 0.7),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_the_complex_step_is_exact_in_real_code(loss):
    """Against extrapolated differences, which know nothing of complex numbers."""
    w = np.random.default_rng(0).normal(size=(3, 4))
    loss_at = LossAt(lambda p: loss(np.abs(p["w"] + 9) - 9), {"w": w})
    plain = [extrapolated_slope(loss_at, "w", unit_direction(w.shape, k), 1e-15)[0] for k in range(12)]
    report = check_gradients(loss_at.loss, {"w": w}, {"w": np.reshape(plain, w.shape)}, limit=1e-9)
    assert report.method == "complex" and report.ok


def fills_buffers(w):
    out, by_row, weights = np.empty((2, 3, 4)), np.zeros_like(A), np.full(4, 0.5)
    out[0] = w**2
    np.multiply(w, A, out=out[1])
    for k in range(3):
        by_row[k] += out[0, k] * out[1, k]
    np.add.at(weights, [0, 0, 1], w[0, :3])
    listed = np.array([row.sum() for row in np.abs(w)], dtype=np.float64)
    return by_row.sum() + weights @ weights + listed @ listed + np.asarray([w[0, 0], w[1, 1]]).std()


def test_numpy_is_as_before_after_a_lifted_loss_even_if_that_fails():
    before = {name: getattr(np, name) for name in ("zeros", "array", "full_like", "asarray")}

    def fails(params):
        if np.iscomplexobj(np.zeros(1)):
            raise RuntimeError("complex")
        return float(np.sum(np.abs(params["w"])))

    with pytest.warns(UserWarning, match="RuntimeError: complex|float"):
        check_gradients(fails, {"w": np.ones(2)}, {"w": np.ones(2)})
    assert all(getattr(np, name) is function for name, function in before.items())


# Diagnoses: each bug gets its own, and no other.

LAYER_BUGS = {
    "no slope of i": {"gate"},
    "no slope of f": {"gate"},
    "no slope of o": {"gate"},
    "no slope of g": {"gate"},
    "bias of f": {"gate"},
    "gate order": {"gate order"},
    "no dh carry": {"carry", "zero"},
    "no dc carry": {"carry", "zero"},
    "truncated": {"carry"},
    "scaled": {"factor"},
    "one sign": {"sign"},
    "all signs": {"sign"},
    "never": {"zero"},
    "exchanged": {"exchanged"},
}


def check_lstm(rng, bug, method="complex", padded=True):
    N, T, D, H = 3, 4, 3, 2
    mask = np.arange(T) < rng.integers(2, T + 1, size=(N, 1)) if padded else np.ones((N, T), bool)
    mask[0] = True
    inputs = {"x": rng.normal(size=(N, T, D)), "h0": rng.normal(size=(N, H)), "c0": rng.normal(size=(N, H))}
    params = {
        "W_x": rng.normal(size=(D, 4 * H)),
        "W_h": rng.normal(size=(H, 4 * H)),
        "b": rng.normal(size=4 * H),
    }

    def forward(x, h0, c0, mask, W_x, W_h, b):
        return lstm_forward(x, h0, c0, W_x, W_h, b, mask)

    def backward(dout, cache):
        return lstm_backward(dout, cache, bug)

    return check_layer(forward, backward, {**inputs, "mask": mask}, params, method, raises=False)


@pytest.mark.parametrize("bug", LAYER_BUGS)
@pytest.mark.parametrize("padded", [False, True])
def test_diagnoses_of_a_layer_are_correct(bug, padded):
    given = [kinds(check_lstm(np.random.default_rng(seed), bug, padded=padded)) for seed in range(5)]
    assert all(kinds <= LAYER_BUGS[bug] for kinds in given)
    assert all(given) or padded
    assert any(given)


@pytest.mark.parametrize("bug", ["no slope of o", "no dc carry", "scaled", "one sign"])
def test_diagnoses_by_central_differences(bug):
    report = check_lstm(np.random.default_rng(0), bug, "central")
    assert kinds(report) <= LAYER_BUGS[bug]
    assert kinds(report)


def test_the_gate_is_named():
    for gate in "ifog":
        report = check_lstm(np.random.default_rng(0), f"no slope of {gate}")
        assert f"that is gate {gate};" in report.diagnoses[0].text


def diagnose_matrix(analytic, numeric, **options):
    """Return the report on a made-up gradient against the gradient `numeric` of a linear loss."""
    report = check_gradients(
        lambda p: np.sum(p["W"] * numeric),
        {"W": np.ones(numeric.shape)},
        {"W": analytic},
        raises=False,
        **options,
    )
    return report


@pytest.mark.parametrize(
    ("spoil", "kind", "words"),
    [
        (lambda G: 4 * G, "factor", "4 times too large"),
        (lambda G: G / 3, "factor", "3 times too small"),
        (lambda G: G / np.sqrt(3), "factor", "√3 times too small"),
        (lambda G: np.sqrt(8) * G, "factor", "√8 times too large"),
        (lambda G: 1.01 * G, "factor", "1.01 times what it should be"),
        (lambda G: -G, "sign", "correct except for the sign, in every entry"),
        (lambda G: np.where(G == G[0, 0], -G, G), "sign", "1 entry correct except for the sign"),
        (lambda G: G.T, "transposed", "rows and columns are exchanged"),
        (lambda G: 0 * G, "zero", "zero everywhere"),
        (lambda G: np.where(G == G[0, 0], np.nan, G), "nan", "NaN or infinity"),
        (
            lambda G: np.roll(G, 2, axis=1),
            "gate order",
            "in the order 4, 1, 2, 3 (of the gates i, f, o, g: g, i, f, o)",
        ),
        (lambda G: np.where(np.arange(8) // 2 == 1, G**2, G), "gate", "that is gate f"),
    ],
)
def test_diagnoses_of_one_matrix(spoil, kind, words):
    G = np.random.default_rng(0).normal(size=(8, 8))
    report = diagnose_matrix(spoil(G), G)
    assert not report.ok
    assert kinds(report) == {kind}
    assert words in report.diagnoses[0].text


@pytest.mark.parametrize(
    "spoil",
    [
        lambda G, rng: G + 1e-3 * rng.normal(size=G.shape),  # wrong everywhere, without a pattern
        lambda G, rng: G + 1e-3 * (G == G[3, 3]),  # one entry
        lambda G, rng: G + 1e-3 * (np.arange(8) == 5),  # one column, half of a gate
        lambda G, rng: (
            G + 1e-3 * (np.arange(8)[:, None] // 2 == 1)
        ),  # rows of only one array: may be sequences of the batch
        lambda G, rng: rng.permutation(G.ravel()).reshape(G.shape),
        lambda G, rng: np.where(np.arange(8) < 4, 2 * G, 3 * G),
    ],
)
def test_no_diagnosis_without_certainty(spoil):
    rng = np.random.default_rng(0)
    G = rng.normal(size=(8, 8))
    report = diagnose_matrix(spoil(G, rng), G, tokens=np.array([1, 1, 2]))
    assert not report.ok
    assert kinds(report) == set()


def test_a_gate_whose_blocks_are_rows_is_named_when_two_arrays_agree():
    G = np.random.default_rng(0).normal(size=(8, 3))
    spoiled = np.where(np.arange(8)[:, None] // 2 == 3, G**2, G)
    params = {"W": np.ones((8, 3)), "U": np.ones((8, 3))}
    report = check_gradients(
        lambda p: np.sum(p["W"] * G) + np.sum(p["U"] * G**3), params,
        {"W": spoiled, "U": spoiled**3}, raises=False,
    )  # fmt: skip
    assert [d.arrays for d in report.diagnoses] == [("W", "U")]
    assert "gate g" in report.diagnoses[0].text


GATED = {f"{kind}_{gate}": (2, 3) if kind == "W" else (2,) for kind in "Wb" for gate in "ifog"} | {"R": (3, 3)}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("W_f", "b_f"), "W_f, b_f are wrong, their counterparts for g, i, o correct: look only at the lines of f."),
        (("W_f", "b_f", "R"), "W_f, b_f are wrong"),
        (("W_f", "b_f", "W_i", "b_i"), "W_f, b_f, W_i, b_i are wrong, their counterparts for g, o correct"),
        (("W_f",), None),  # the bias is correct, so it is not the gate
        (("W_f", "b_i"), None),
        (("W_f", "b_f", "W_i"), None),
        (("W_f", "b_f", "W_i", "b_i", "W_o", "b_o"), None),  # only one gate is correct: the cause is unclear
        (("R",), None),
    ],
)
def test_a_gate_with_separate_arrays_is_named(wrong, said):
    rng = np.random.default_rng(0)
    params = {name: rng.normal(size=shape) for name, shape in GATED.items()}
    right = {name: rng.normal(size=shape) for name, shape in GATED.items()}
    grads = {name: G + 1e-3 * G**2 if name in wrong else G for name, G in right.items()}
    report = check_gradients(
        lambda p: sum(np.sum(p[name] * G) for name, G in right.items()), params, grads, raises=False
    )  # fmt: skip
    assert [diagnosis.kind for diagnosis in report.diagnoses] == ["gate"] * bool(said)
    assert not said or said in report.message()


def test_families_of_names_differ_in_the_same_letters():
    names = ["Wf", "Wi", "Wo", "bf", "bi", "bo", "x", "h"]
    assert families_of(names) == [{"f": "Wf", "i": "Wi", "o": "Wo"}, {"f": "bf", "i": "bi", "o": "bo"}]


def test_a_copied_gradient_is_distinguished_from_other_errors():
    rng = np.random.default_rng(0)
    right = {name: rng.normal(size=3) for name in ("a", "b", "c")}

    def check(**wrong):
        return check_gradients(
            lambda p: sum(np.sum(p[name] * G) for name, G in right.items()),
            {name: np.ones(3) for name in right}, right | wrong, raises=False,
        )  # fmt: skip

    assert kinds(check(a=right["b"])) == {"copied"}
    assert check(a=right["b"], c=right["b"]).diagnoses[0].arrays == ("a", "c")
    assert kinds(check(a=right["b"], b=right["a"])) == {"exchanged"}
    assert kinds(check(a=right["b"] + 1e-6)) == set()
    assert kinds(check(a=np.append(right["b"][:2], right["a"][2]))) == set()


def test_a_gradient_of_an_unused_parameter_is_diagnosed():
    x, b = np.ones(3), {"b_used": np.ones(3), "b_forgotten": np.ones(3)}
    given = {"b_used": 2 * x, "b_forgotten": x}
    report = check_gradients(lambda p: np.sum(x * p["b_used"] ** 2), b, given, raises=False)
    assert kinds(report) == {"no effect"}
    assert "the loss does not depend on b_forgotten at all" in report.message()


def test_the_output_whose_upstream_gradient_is_lost_is_named():
    rng = np.random.default_rng(0)

    def forward(x, W):
        return np.tanh(x @ W), x @ W**2, (x, W)

    def backward(da, db, cache, lost=0, shifted=0):
        x, W = cache
        da = (0 if lost == 1 else 1) * da * (1 - np.tanh(x @ W) ** 2)
        db = (0 if lost == 2 else 1) * db
        return da @ W.T + db @ (W**2).T, x.T @ da + 2 * W * (x.T @ db) + shifted

    arrays = (rng.normal(size=(4, 3)),), (rng.normal(size=(3, 2)),)
    for lost in (1, 2):
        report = check_layer(forward, lambda *a, lost=lost: backward(*a, lost=lost), *arrays, raises=False)
        assert kinds(report) == {"output"}
        assert f"wrong with that of output {lost} alone" in report.message()
    assert check_layer(forward, backward, *arrays).ok
    assert not check_layer(forward, lambda *a: backward(*a, shifted=0.1), *arrays, raises=False).diagnoses


def test_repeated_words_are_distinguished_from_other_wrong_rows():
    rng = np.random.default_rng(0)
    tokens = np.array([1, 2, 1, 3, 5, 3])

    def forward(tokens, E):
        return E[tokens], (tokens, E.shape)

    def assigns(dout, cache):
        tokens, shape = cache
        dE = np.zeros(shape)
        dE[tokens] = dout
        return dE

    def forgets_word_2(dout, cache):
        tokens, shape = cache
        dE = np.zeros(shape)
        np.add.at(dE, tokens, dout)
        dE[2] *= 1.5
        return dE

    E = rng.normal(size=(6, 3))
    assert kinds(check_layer(forward, assigns, (tokens,), (E,), raises=False)) == {"repeated"}
    assert kinds(check_layer(forward, forgets_word_2, (tokens,), (E,), raises=False)) == set()


# Layers in the layouts of other projects.


def affine_forward(x, W, b):
    return x @ W + b, (x, W)


def affine_backward(dout, cache):
    x, W = cache
    return dout @ W.T, x.T @ dout, dout.sum(axis=0)


Gradients = namedtuple("Gradients", "dx dW db")


@dataclass
class GradientsRecord:
    db: np.ndarray
    dW: np.ndarray
    dx: np.ndarray


class Affine:
    """A layer in the style of many courses."""

    def __init__(self, W, b):
        self.W, self.b, self.dW = W, b, np.zeros(W.shape)
        self.grads = {"b": np.zeros(b.shape)}

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW += self.x.T @ dout
        self.grads["b"] += dout.sum(axis=0)
        return dout @ self.W.T


class AffineOfDicts:
    """The same with its parameters in a dict, and a cache."""

    def __init__(self, W, b):
        self.params, self.grads = {"W": W, "b": b}, {}

    def forward(self, x):
        return x @ self.params["W"] + self.params["b"], x

    def backward(self, dout, cache):
        self.grads = {"dW": cache.T @ dout, "db": 2 * dout.sum(axis=0)}
        return dout @ self.params["W"].T


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(4, 3)), "W": rng.normal(size=(3, 2)), "b": rng.normal(size=2)}


class TestLayer:
    @pytest.mark.parametrize(
        "wrap",
        [
            tuple,
            list,
            lambda g: Gradients(*g),
            lambda g: GradientsRecord(*g[::-1]),
            lambda g: dict(zip(("x", "W", "b"), g, strict=True)),
            lambda g: (g[0], {"dW": g[1], "db": g[2]}),
        ],
    )
    def test_gradients_may_come_in_a_tuple_or_by_name(self, arrays, wrap):
        x, W, b = arrays.values()
        report = check_layer(affine_forward, lambda *a: wrap(affine_backward(*a)), x, {"b": b, "W": W})
        assert {array.name: array.checked for array in report.arrays} == {"x": 12, "W": 6, "b": 2}

    def test_arrays_may_be_given_by_position(self, arrays):
        x, W, b = arrays.values()
        assert [a.name for a in check_layer(affine_forward, affine_backward, (x,), (W, b)).arrays] == [
            "x",
            "W",
            "b",
        ]

    def test_single_precision_is_converted_to_double(self, arrays):
        x, W, b = (array.astype(np.float32) for array in arrays.values())
        assert check_layer(affine_forward, affine_backward, (x, W, b)).ok

    def test_parameters_may_be_passed_as_one_dict(self, arrays):
        def forward(x, weights):
            return affine_forward(x, **weights)

        def backward(dout, cache):
            dx, dW, db = affine_backward(dout, cache)
            return dx, {"W": dW, "b": db}

        x, W, b = arrays.values()
        assert check_layer(forward, backward, (x,), {"W": W, "b": b}).ok

    def test_two_outputs_get_two_upstream_gradients(self, arrays):
        def forward(x, W):
            return x @ W, np.sum(x**2), (x, W)

        def backward(dy, ds, cache):
            x, W = cache
            return dy @ W.T + 2 * x * ds, x.T @ dy

        assert check_layer(forward, backward, (arrays["x"], arrays["W"])).ok

    def test_other_orders_and_arguments_without_gradient_can_be_named(self, arrays):
        x, W, b = arrays.values()

        def backward(dout, cache):
            return affine_backward(dout, cache)[:0:-1]

        report = check_layer(affine_forward, backward, (x,), (W, b), grad_names=("b", "W"), skip=("x",))
        assert [array.name for array in report.arrays] == ["W", "b"]
        with pytest.raises(ValueError, match=r"2 gradients for 3 arguments \['x', 'W', 'b'\].*grad_names="):
            check_layer(affine_forward, backward, (x,), (W, b))

    def test_classes(self, arrays):
        x, W, b = arrays.values()
        layer = Affine(W, b)
        assert check_layer(layer, inputs=x, params=["W", "b"]).ok
        assert layer.W is W
        assert not layer.dW.any()
        report = check_layer(AffineOfDicts(W, b), inputs=x, params=["W", "b"], raises=False)
        assert [array.name for array in report.failures] == ["b"]
        assert "2 times too large" in report.diagnoses[0].text

    def test_sparse_parameters(self, arrays):
        W = Connections(np.array([1.0, -2.0, 0.5]), np.array([0, 1, 2]), np.array([1, 0, 1]), (3, 2))

        def forward(x, W):
            return x @ W.toarray(), (x, W)

        def backward(dout, cache):
            x, W = cache
            return {"dx": dout @ W.toarray().T, "dW": (x.T @ dout)[W.rows, W.cols]}

        assert check_layer(forward, backward, {"x": arrays["x"]}, {"W": W})["W"].checked == 3


class TestBadLayers:
    def test_no_cache(self, arrays):
        with pytest.raises(TypeError, match=r"forward returned a ndarray; expected \(out, cache\)"):
            check_layer(lambda x: x, affine_backward, arrays["x"])

    def test_no_backward(self):
        with pytest.raises(TypeError, match="a function was given without a backward function"):
            check_layer(affine_forward)

    def test_no_gradient(self, arrays):
        with pytest.raises(ValueError, match=r"no gradient of \['b'\].*skip=\['b'\]"):
            check_layer(affine_forward, lambda d, c: dict(zip("xW", affine_backward(d, c), strict=False)), arrays)

    def test_integers_among_the_parameters(self, arrays):
        with pytest.raises(TypeError, match=r"params\['W'\] holds int64"):
            check_layer(
                affine_forward,
                affine_backward,
                arrays["x"],
                {"W": np.ones((3, 2), np.int64), "b": arrays["b"]},
            )

    def test_unknown_parameter_of_a_class(self, arrays):
        with pytest.raises(ValueError, match="the Affine has no parameter 'V'"):
            check_layer(Affine(arrays["W"], arrays["b"]), inputs=arrays["x"], params=["V"])

    def test_gradients_that_are_none(self, arrays):
        with pytest.raises(ValueError, match="backward returned None for x, W, b: not implemented yet"):
            check_layer(affine_forward, lambda dout, cache: None, arrays)
        with pytest.raises(
            ValueError, match=r"backward returned None for W, b: not implemented yet.*skip=\['W', 'b'\]"
        ):
            check_layer(affine_forward, lambda dout, cache: (affine_backward(dout, cache)[0], None, None), arrays)

    def test_gradient_of_another_shape(self, arrays):
        def backward(dout, cache):
            dx, dW, db = affine_backward(dout, cache)
            return dx, dW.T, db

        with pytest.raises(ValueError, match=r"grads\['W'\] has shape \(2, 3\).*is it transposed"):
            check_layer(affine_forward, backward, arrays)

    def test_output_that_is_not_finite(self, arrays):
        with np.errstate(all="ignore"), pytest.raises(ValueError, match="the loss is nan"):
            check_layer(lambda x, W, b: (np.log(x @ W - 100), (x, W)), affine_backward, arrays)


def changes_dout(dout, cache):
    dout *= 2
    return affine_backward(dout / 2, cache)


def changes_an_input(dout, cache):
    grads = affine_backward(dout, cache)
    cache[1][:] = 0
    return grads


def centers_in_place(x, W, b):
    x -= x.mean()
    return affine_forward(x, W, b)


def centered_backward(dout, cache):
    dx, dW, db = affine_backward(dout, cache)
    return dx - dx.mean(), dW, db


def pops_its_cache(dout, cache):
    x, W = cache.pop()
    return affine_backward(dout, (x, W))


def resizes_its_cache(dout, cache):
    cache.append(dout)
    (x, W), _ = cache
    return affine_backward(dout, (x, W))


def changes_its_cache(dout, cache):
    x, W = cache[0]
    cache[0] = (2 * x, W)
    return affine_backward(dout, (x, W))


def in_a_list(x, W, b):
    out, cache = affine_forward(x, W, b)
    return out, [cache]


UNTIDY = {
    "dout in place": (affine_forward, changes_dout, "backward changes its upstream gradient dout in place"),
    "input in place": (affine_forward, changes_an_input, "the layer changes W in place"),
    "forward in place": (centers_in_place, centered_backward, "the layer changes x in place"),
    "popped cache": (in_a_list, pops_its_cache, "backward cannot be called twice on one cache"),
    "resized cache": (in_a_list, resizes_its_cache, "backward cannot be called twice on one cache"),
    "changed cache": (in_a_list, changes_its_cache, "backward cannot be called twice on one cache"),
    "single precision": (
        affine_forward,
        lambda dout, cache: tuple(np.float32(grad) for grad in affine_backward(dout, cache)),
        "the gradient of W holds float32, too coarse for a strict check",
    ),
    "shape (1, D)": (
        affine_forward,
        lambda dout, cache: (*affine_backward(dout, cache)[:2], dout.sum(axis=0, keepdims=True)),
        r"the gradient of b has shape \(1, 2\), b itself \(2,\)",
    ),
}


@pytest.mark.parametrize("name", UNTIDY)
@pytest.mark.parametrize("method", ["complex", "central"])
@pytest.mark.filterwarnings("error")
def test_an_untidy_layer_gets_its_verdict_on_the_values_and_a_remark(arrays, name, method):
    forward, backward, remark = UNTIDY[name]
    before = {key: array.copy() for key, array in arrays.items()}
    report = check_layer(forward, backward, arrays, method=method)
    assert report.ok and any(re.search(remark, found) for found in report.remarks), report.remarks
    assert len(report.remarks) == {"single precision": 4, "input in place": 2}.get(name, 1)
    with pytest.raises(GradientMismatchError, match="the gradients are right, but `strict` allows no remarks"):
        check_layer(forward, backward, arrays, method=method, strict=True)

    def wrong(dout, cache):
        dx, dW, db = backward(dout, cache)
        return dx, 1.1 * dW, db

    report = check_layer(forward, wrong, arrays, method=method, raises=False)
    assert [array.name for array in report.failures] == ["W"]
    assert "1.1 times what it should be" in report.message()
    assert all(np.array_equal(arrays[key], before[key]) for key in arrays)


def test_backward_that_accumulates_beyond_the_call(arrays):
    total = np.zeros(2)

    def backward(dout, cache):
        nonlocal total
        total = total + dout.sum(axis=0)
        return *affine_backward(dout, cache)[:2], total

    report = check_layer(affine_forward, backward, arrays)
    assert (
        "other gradients of b when it runs again; does it add to an array that outlives the call" in report.remarks[0]
    )


# Directions.


@pytest.mark.parametrize(("relative_error", "directions"), [(0.05, 1), (0.1, 1), (0.1, 2), (0.4, 2)])
def test_directions_detect_as_often_as_stated(relative_error, directions):
    """With the coarse limit 0.1, misses are frequent enough to count."""
    rng = np.random.default_rng(0)
    G = rng.normal(size=30)
    tries, caught = 500, 0
    for _ in range(tries):
        error = rng.normal(size=30) * (rng.random(30) < 0.2)
        error[0] = 1.0
        error *= relative_error * np.linalg.norm(G) / np.linalg.norm(error)
        report = check_directions(
            lambda p: p["w"] @ G, {"w": np.ones(30)}, {"w": G + error}, limit=0.1, rng=rng,
            directions=directions, entries=0, raises=False,
        )  # fmt: skip
        caught += not report.ok
    stated = detection_probability(relative_error, directions, limit=0.1)
    assert abs(caught / tries - stated) < 0.07


@pytest.mark.parametrize("bug", EIGHT_BUGS)
def test_directions_find_the_eight_bugs(bug):
    for seed in range(10):
        network = Network.random(np.random.default_rng(seed))
        right, wrong = network.gradient(), network.gradient(bug)
        changed = {n for n in right if np.max(np.abs(wrong[n] - right[n])) > 1e-8 * np.max(np.abs(right[n]))}
        report = check_directions(network.loss, network.params, wrong, raises=False)
        assert {array.name for array in report.failures} == changed


def test_directions_find_and_locate_gradients_off_the_connections():
    network = Network.random(np.random.default_rng(0))
    grads = network.gradient()
    grads["E"] = network.params["E"].with_values(grads["E"]).toarray()
    grads["E"][0, 0] = 1.0
    report = check_directions(network.loss, network.params, grads, raises=False)
    assert report.worst.place == "E[0, 0]"
    with pytest.raises(ValueError, match="directions is 0 and entries is 0"):
        check_directions(network.loss, network.params, grads, directions=0, entries=0)


# Bad input: the message says what was given, what is expected, and how to fix it.


def square(params):
    return np.sum(params["W"] ** 2)


ONES = np.ones((2, 3))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((square, {"W": np.ones(2, np.int64)}, {"W": ONES}), TypeError, r"params\['W'\] holds int64.*astype"),
        ((square, {"W": [1.0, 2.0]}, {"W": ONES}), TypeError, r"params\['W'\] is a list; make it an array"),
        ((square, {"W": ONES + 1j}, {"W": ONES}), TypeError, r"params\['W'\] holds complex128"),
        ((square, ONES, {"W": ONES}), TypeError, r"params is a ndarray; give a dict"),
        ((square, {}, {}), ValueError, "nothing to check"),
        ((square, {"W": ONES}, {"W": np.ones((2, 3), np.int64)}), TypeError, r"grads\['W'\] holds int64"),
        ((square, {"W": ONES}, {"W": ONES.T}), ValueError, r"\(3, 2\).*\(2, 3\); is it transposed"),
        ((square, {"W": ONES}, {"W": ONES[0]}), ValueError, r"\(3,\), params\['W'\] has shape \(2, 3\)$"),
        ((square, {"W": ONES}, {}), ValueError, r"there is no grads\['W'\]"),
        ((square, {"W": ONES}, {"W": ONES, "V": ONES}), ValueError, r"grads has \['V'\], which params"),
        ((square, {"W": ONES}, {"W": ONES}, ONES), TypeError, r"method is a ndarray of shape \(2, 3\); choose"),
        ((square, {"W": ONES}, {"W": ONES}, "forward"), ValueError, "method is 'forward'; choose 'complex'"),
        ((lambda p: p["W"][0], {"W": ONES}, {"W": ONES}), ValueError, r"the loss has shape \(3,\); it must"),
        ((lambda p: None, {"W": ONES}, {"W": ONES}), TypeError, "the loss is None"),
        ((lambda p: np.sum(p["W"] * np.inf), {"W": ONES}, {"W": ONES}), ValueError, "the loss is inf;"),
        ((lambda p: np.nan, {"W": ONES}, {"W": ONES}), ValueError, "the loss is nan;"),
        ((lambda p: np.sum(p["W"]) + 0j, {"W": ONES}, {"W": ONES}), TypeError, "must be one real number"),
        ((square, {"W": ONES}, {"W": np.ones((4, 2, 3))}), ValueError, "a sum over axis 0 missing"),
    ],
)  # fmt: skip
def test_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        check_gradients(*arguments)


def test_a_loss_that_changes_its_parameters_gets_its_verdict_and_a_remark():
    def loss(params):
        params["W"] *= 1.1
        return np.sum(params["W"] ** 2)

    W = np.ones(3)
    report = check_gradients(loss, {"W": W}, {"W": 2.42 * W})
    assert report.remarks == ("the loss changes W in place (as `W += ...` does)",)
    assert not check_gradients(loss, {"W": W}, {"W": 2.43 * W}, raises=False).ok
    assert (W == 1).all()
    with pytest.raises(GradientMismatchError, match=r"the gradients are right, but `strict` allows no remarks"):
        check_gradients(loss, {"W": W}, {"W": 2.42 * W}, strict=True)


@pytest.mark.parametrize(
    ("spoil", "remark"),
    [
        (lambda G: G.astype("f4"), "the gradient of W holds float32"),
        (lambda G: G[None], r"the gradient of W has shape \(1, 2, 3\), W itself \(2, 3\)"),
    ],
)
def test_untidy_gradients_are_judged_by_their_values(spoil, remark):
    W = np.random.default_rng(0).normal(size=(2, 3))
    report = check_gradients(square, {"W": W}, {"W": spoil(2 * W)})
    assert re.search(remark, report.remarks[0]) and report.remarks[0] in str(report) + report._repr_html_()
    assert not check_gradients(square, {"W": W}, {"W": spoil(2.01 * W)}, raises=False).ok


@pytest.mark.parametrize("limit", [0, -1e-9, np.nan])
def test_a_limit_that_nothing_can_meet_is_refused(limit):
    with pytest.raises(ValueError, match="limit is .*; it must be positive"):
        check_gradients(square, {"W": ONES}, {"W": 2 * ONES}, limit=limit)


def test_if_no_array_has_an_effect_nothing_was_checked():
    unused = {"W": np.ones(2), "b": np.ones(3)}
    zeros = {name: 0 * array for name, array in unused.items()}
    with pytest.raises(GradientMismatchError, match="^nothing was checked: the loss does not depend on any") as caught:
        check_gradients(lambda p: 3.0, unused, zeros)
    assert caught.value.report.without_effect == ("W", "b")
    report = check_gradients(lambda p: np.sum(p["b"]), unused, {**zeros, "b": np.ones(3)})
    assert report.ok and report.without_effect == ("W",)


def test_a_random_loss_is_rejected():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="does it use dropout"):
        check_gradients(lambda p: np.sum(p["W"]) + rng.random(), {"W": ONES}, {"W": ONES})


def test_a_gradient_of_the_wrong_length_for_a_sparse_parameter_is_rejected():
    W = Connections(np.ones(2), np.array([0, 1]), np.array([1, 1]), (2, 2))
    with pytest.raises(ValueError, match=r"shape \(3,\); the sparse params\['W'\] needs \(2,\)"):
        check_gradients(lambda p: np.sum(p["W"].values), {"W": W}, {"W": np.ones(3)})


# The report.


def test_the_report_prints_as_a_table_and_shows_in_a_notebook():
    G = np.random.default_rng(0).normal(size=(3, 4))
    params = {"W<1>": np.ones((3, 4)), "b": np.ones(4)}

    def loss(p):
        return np.sum(p["W<1>"] * G) + np.sum(p["b"] ** 2)

    with pytest.raises(GradientMismatchError) as caught:
        check_gradients(loss, params, {"W<1>": 2 * G, "b": 2 * np.ones(4)})
    report, message = caught.value.report, str(caught.value)
    first, cause, headline, header, *rows = message.splitlines()
    assert first.startswith(f"{report.worst.place}: analytic {report.worst.analytic:.10g}, numeric ")
    assert "limit 1e-12" in first
    assert cause.startswith("- W<1>: the gradient is 2 times too large")
    assert headline == "gradient check by complex step, 16 entries: 1 of 2 arrays wrong"
    assert header.split()[:2] == ["array", "shape"]
    assert [row.split()[0] for row in rows] == ["W<1>", "b"]
    assert "WRONG (12 wrong)" in rows[0]
    html = report._repr_html_()
    assert "W&lt;1&gt;" in html
    assert html.count("<tr") == 3
    assert not report.ok
    assert report["b"].ok
    with pytest.raises(KeyError, match="'c' was not checked"):
        report["c"]


def test_it_imports_nothing_from_the_rest_of_the_package():
    package = inspect.getmodule(check_layer).__package__
    for function in (check_gradients, check_layer, check_directions):
        source = inspect.getsource(inspect.getmodule(function))
        assert "from .." not in source
        assert f"import {package.split('.')[0]}" not in source
