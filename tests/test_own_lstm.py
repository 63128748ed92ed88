"""Training with an LSTM of your own: checked first, adapted, and as good as the package's if it is the same."""

import numpy as np
import pytest

from numpy_setlstm import SetLSTMClassifier, lstm_backward, lstm_forward
from numpy_setlstm.checkpoint import CheckpointError
from numpy_setlstm.gradcheck import GradientMismatchError
from numpy_setlstm.initialization import NetworkSizes, init_network
from numpy_setlstm.network import Network

TEXTS = ["a lovely film", "a dull film", "not dull at all", "not lovely at all"] * 8
OPINION = ["pos", "neg", "pos", "neg"] * 8
SMALL = {"embedding_dim": 6, "hidden_size": 5, "parameter_share": 0.5, "max_length": 4, "n_epochs": 3, "batch_size": 8}


def classifier(**parameters):
    return SetLSTMClassifier(**SMALL | {"random_state": 0, "validation_fraction": 0} | parameters)


# A student's LSTM: its own layout of the cache, an explicit loop over the gates, dense gradients, a tuple.


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def student_forward(x, W_x, W_h, b, mask=None):
    N, T, _ = x.shape
    H = W_h.shape[0]
    mask = np.ones((N, T), bool) if mask is None else mask
    h, c, hs, cache = np.zeros((N, H)), np.zeros((N, H)), [], []
    for t in range(T):
        z = x[:, t] @ W_x + h @ W_h + b
        i, f, o, g = sigmoid(z[:, :H]), sigmoid(z[:, H : 2 * H]), sigmoid(z[:, 2 * H : 3 * H]), np.tanh(z[:, 3 * H :])
        m = mask[:, t : t + 1]
        c_new = f * c + i * g
        cache.append({"i": i, "f": f, "o": o, "g": g, "c": c, "c_new": c_new, "h": h, "m": m, "x": x[:, t]})
        h, c = np.where(m, o * np.tanh(c_new), h), np.where(m, c_new, c)
        hs.append(h)
    return np.stack(hs, axis=1), (cache, W_x, W_h)


def student_backward(dh, cache, forget="dc_prev"):
    steps, W_x, W_h = cache
    H = W_h.shape[0]
    dx, dW_x, dW_h, db = [], np.zeros(W_x.shape), np.zeros(W_h.shape), np.zeros(4 * H)
    dh_next = dc_next = np.zeros(dh[:, 0].shape)
    for t in reversed(range(len(steps))):
        s = steps[t]
        dh_t = dh[:, t] + dh_next
        dh_word, dc_word = np.where(s["m"], dh_t, 0), np.where(s["m"], dc_next, 0)
        tanh_c = np.tanh(s["c_new"])
        dc = dc_word + dh_word * s["o"] * (1 - tanh_c**2)
        i, f, o, g = s["i"], s["f"], s["o"], s["g"]
        dz = np.hstack(
            [dc * g * i * (1 - i), dc * s["c"] * f * (1 - f), dh_word * tanh_c * o * (1 - o), dc * i * (1 - g**2)]
        )
        dW_x += s["x"].T @ dz
        dW_h += s["h"].T @ dz
        db += dz.sum(axis=0)
        dx.append(dz @ W_x.T)
        dh_next = np.where(s["m"], 0, dh_t) + dz @ W_h.T
        dc_next = np.where(s["m"], 0, dc_next) + (dc * f if forget != "dc" else 0)
    return np.stack(dx[::-1], axis=1), dW_x, dW_h, db


def forgetful_backward(dh, cache):
    return student_backward(dh, cache, forget="dc")


@pytest.mark.parametrize("connectivity", ["set", "static", "dense"])
def test_a_students_lstm_trains_like_the_packages(connectivity):
    """With dense gradients, which are read at the connections."""
    own = classifier(connectivity=connectivity, lstm=(student_forward, student_backward), dtype="float64")
    ours = classifier(connectivity=connectivity, engine="plain", dtype="float64")
    own.fit(TEXTS, OPINION), ours.fit(TEXTS, OPINION)
    np.testing.assert_allclose(own.history_["train_loss"], ours.history_["train_loss"], rtol=1e-10)
    np.testing.assert_allclose(own.predict_proba(TEXTS), ours.predict_proba(TEXTS), rtol=1e-8)


def test_the_pair_is_what_runs_and_is_checked_once():
    calls = []

    def forward(*arguments):
        calls.append(arguments[0].shape)
        return lstm_forward(*arguments)

    clf = classifier(lstm=(forward, lstm_backward)).fit(TEXTS, OPINION)
    checked = [shape for shape in calls if shape[0] == 3]
    assert len(calls) > len(checked) > 0
    before = len(calls)
    clf.predict(TEXTS)
    assert len(calls) > before
    assert clf.network_.engine.name == "plain"


@pytest.mark.parametrize("connectivity", ["set", "dense"])
def test_a_wrong_gradient_raises_with_its_report_before_the_first_step(connectivity):
    clf = classifier(connectivity=connectivity, lstm=(student_forward, forgetful_backward))
    with pytest.raises(GradientMismatchError, match="W_h") as error:
        clf.fit(TEXTS, OPINION)
    assert not error.value.report.ok
    assert not hasattr(clf, "network_")


def test_without_the_check_a_wrong_gradient_trains():
    clf = classifier(lstm=(student_forward, forgetful_backward), check=False).fit(TEXTS, OPINION)
    assert len(clf.history_["train_loss"]) == 3


def test_a_network_takes_a_pair_too():
    sizes = NetworkSizes(n_words=9, embedding_dim=3, hidden_size=4, n_classes=2)
    rngs = np.random.default_rng(0), np.random.default_rng(1)
    ours = init_network(sizes, *rngs, er_epsilon=1, dtype=np.float64, engine="plain")
    own = Network(ours.parameters, ours.scales, lstm=(student_forward, student_backward))
    tokens, labels = np.array([[0, 3, 5], [4, 4, 8]]), np.array([0, 1])
    for gradient, expected in zip(*(n.backpropagate(tokens, labels)[1].values() for n in (own, ours)), strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-14)
    with pytest.raises(GradientMismatchError):
        Network(ours.parameters, lstm=(student_forward, forgetful_backward))


def named(gradients):
    return dict(zip(("dx", "dW_x", "dW_h", "db"), gradients, strict=True))


@pytest.mark.parametrize(
    "form",
    [named, list, lambda gradients: type("Gradients", (), named(gradients))],
    ids=["dict", "list", "object"],
)
def test_gradients_may_come_in_several_forms(form):
    def backward(dh, cache):
        return form(student_backward(dh, cache))

    assert classifier(lstm=(student_forward, backward)).fit(TEXTS, OPINION).predict(TEXTS[:2]).shape == (2,)


WRONG = {
    "no pair": (lstm_forward, TypeError, "expected a pair of functions"),
    "no cache": (
        (lambda *a: lstm_forward(*a)[0], lstm_backward),
        ValueError,
        r"ndarray; expected \(h, cache\)",
    ),
    "last state only": (
        (lambda *a: (lstm_forward(*a)[0][:, -1], None), lstm_backward),
        ValueError,
        r"returned h of shape \(3, 2\); expected .*\(N, T, H\) = \(3, 5, 2\)",
    ),
    "nothing": ((student_forward, lambda dh, cache: None), ValueError, "returned NoneType without dx, dW_x, dW_h, db"),
    "too few": ((student_forward, lambda dh, cache: {"dx": dh}), ValueError, "returned dict without dW_x, dW_h, db"),
    "another shape": (
        (student_forward, lambda dh, cache: [g.T for g in student_backward(dh, cache)]),
        ValueError,
        r"returned dx of shape \(4, 5, 3\); expected \(3, 5, 4\)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_lstm_is_described(case):
    lstm, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        classifier(lstm=lstm).fit(TEXTS, OPINION)


def test_a_saved_model_needs_its_lstm_again(tmp_path):
    """The file holds no code; silently taking the package's LSTM could give other answers."""
    path, pair = tmp_path / "model.npz", (student_forward, student_backward)
    clf = classifier(lstm=pair).fit(TEXTS, OPINION)
    clf.save(path)
    with pytest.raises(CheckpointError, match="student_forward and student_backward: load it with lstm="):
        SetLSTMClassifier.load(path)
    again = SetLSTMClassifier.load(path, lstm=pair)
    np.testing.assert_array_equal(again.predict_proba(TEXTS), clf.predict_proba(TEXTS))
    more = again.set_params(n_epochs=5).fit(TEXTS, OPINION, resume=True)
    whole = classifier(lstm=pair, n_epochs=5).fit(TEXTS, OPINION)
    np.testing.assert_array_equal(more.predict_proba(TEXTS), whole.predict_proba(TEXTS))
    classifier().fit(TEXTS, OPINION).save(path)
    with pytest.raises(CheckpointError, match="the package's LSTM: load it without lstm="):
        SetLSTMClassifier.load(path, lstm=pair)
