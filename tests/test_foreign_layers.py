"""The check on layers as other projects write them: the reported mistake is caught, the repaired layer passes."""

from functools import partial
from pathlib import Path

import foreign_layers as foreign
import numpy as np
import pytest

from numpy_setlstm.gradcheck import check_gradients, check_layer

T, D, H, N = 4, 3, 2, 3


def normal(rng, **shapes):
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def column_lstm(rng, bug, method):
    inputs = normal(rng, x=(T, D, 1), h_prev=(H, 1), C_prev=(H, 1))
    params = normal(rng, **{f"W_{gate}": (H, H + D) for gate in "figo"}, **{f"b_{gate}": (H, 1) for gate in "figo"})
    backward = partial(foreign.column_lstm_backward, bug=bug)
    return check_layer(foreign.column_lstm_forward, backward, inputs, params, method, raises=False)


def delta_lstm(rng, bug, method):
    shapes = {"W{}h": (H, H), "W{}x": (H, D), "b{}": (H, 1)}
    params = normal(rng, **{name.format(gate): shape for gate in "fioc" for name, shape in shapes.items()})
    backward = partial(foreign.delta_lstm_backward, bug=bug)
    x = rng.normal(size=(T, D, 1))
    return check_layer(foreign.delta_lstm_forward, backward, {"x": x}, params, method, skip=("x",), raises=False)


def vector_cell(rng, bug, method):
    inputs = normal(rng, x=(D,), s_prev=(H,), h_prev=(H,))
    params = normal(rng, **{f"w{gate}": (H, D + H) for gate in "gifo"}, **{f"b{gate}": (H,) for gate in "gifo"})
    backward = partial(foreign.vector_cell_backward, bug=bug)
    return check_layer(foreign.vector_cell_forward, backward, inputs, params, method, raises=False)


def last_axis_lstm(rng, bug, method):
    inputs = normal(rng, X=(N, D, T), A0=(N, H), C0=(N, H))
    params = normal(rng, **{f"W{gate}": (H + D, H) for gate in "fuco"}, **{f"b{gate}": (H,) for gate in "fuco"})
    backward = partial(foreign.last_axis_lstm_backward, bug=bug)
    return check_layer(foreign.last_axis_lstm_forward, backward, inputs, params, method, raises=False)


def lookup(rng, bug, method):
    Xb = np.array([[1, 1, 2], [3, 4, 1], [5, 5, 5]])
    backward = partial(foreign.lookup_backward, bug=bug)
    return check_layer(foreign.lookup_forward, backward, {"Xb": Xb}, normal(rng, C=(6, 2)), method, raises=False)


def column_network(rng, bug, method):
    X, Y = rng.normal(size=(4, 5)), rng.integers(0, 2, size=(1, 5))
    params = normal(rng, W1=(5, 4), b1=(5, 1), W2=(3, 5), b2=(3, 1), W3=(1, 3), b3=(1, 1))
    grads = foreign.column_network_gradient(params, X, Y, bug)
    return check_gradients(
        lambda p: foreign.column_network_loss(p, X, Y)[0], params, grads, method, raises=False
    )  # fmt: skip


# Layer, mistake, kinds of diagnosis, text: verbatim as in docs/gradient_checking.md.
REPORTED = {
    "slope": (
        column_lstm,
        "no slope of f",
        {"gate"},
        "W_f, b_f are wrong, their counterparts for g, i, o correct: look only at the lines of f.",
    ),
    "carry": (column_lstm, "not passed on", {"carry"}, "x is correct in the last step and wrong in all earlier ones: "),
    "bias": (
        delta_lstm,
        "bias deltas",
        {"copied"},
        "bi, bo: given the gradient of bf; a copied line that was only partly changed?",
    ),
    "c carry": (delta_lstm, "no c carry", set(), None),
    "top_diff_s": (
        vector_cell,
        "no top_diff_s",
        {"output"},
        "look at what backward does with the gradient of output 2.",
    ),
    "bias of o": (
        last_axis_lstm,
        "bias of o",
        {"gate"},
        "Wf, bf, Wu, bu are wrong, their counterparts for c, o correct: look only at the lines of f and u.",
    ),
    "repeated": (lookup, "+=", {"repeated"}, "C is wrong only in the rows of words that occur more than once"),
    "factors": (column_network, "factors", {"factor"}, " times too large in every entry"),
}


@pytest.mark.parametrize("name", REPORTED)
@pytest.mark.parametrize("method", ["complex", "central"])
def test_the_reported_mistake_is_caught_and_explained_correctly_or_not_at_all(name, method):
    layer, bug, kinds, words = REPORTED[name]
    explained = 0
    for seed in range(10):
        report = layer(np.random.default_rng(seed), bug, method)
        assert not report.ok and report.method == method
        found = {diagnosis.kind for diagnosis in report.diagnoses}
        assert found <= kinds, report.message()
        explained += bool(found)
        assert not found or words in report.message()
    assert explained >= 8 or not kinds


@pytest.mark.parametrize("layer", [column_lstm, delta_lstm, vector_cell, last_axis_lstm, lookup, column_network])
@pytest.mark.parametrize("method", ["complex", "central"])
def test_the_repaired_layer_passes(layer, method):
    for seed in range(10):
        report = layer(np.random.default_rng(seed), None, method)
        assert report.ok and not report.diagnoses, report.message()


@pytest.mark.parametrize("method", ["complex", "central"])
@pytest.mark.filterwarnings("error")
def test_a_probability_near_1_that_has_lost_its_digits_raises_no_alarm(method):
    """log(1 - p) turns the last digit of p into noise: for these networks the loss is a staircase."""
    for seed in (2, 15, 26, 29, 61, 74, 78, 80, 83, 110, 134, 170, 172, 213, 221):
        assert column_network(np.random.default_rng(seed), None, method).ok


def test_the_page_says_what_the_reports_say():
    page = (Path(__file__).parent.parent / "docs" / "gradient_checking.md").read_text(encoding="utf8")
    for layer, bug, kinds, _ in REPORTED.values():
        report = layer(np.random.default_rng(0), bug, "complex")
        assert not kinds or report.diagnoses[0].text in page, bug
    first_line = delta_lstm(np.random.default_rng(0), "no c carry", "complex").message().split(":")[0]
    assert f"| {first_line.split('[')[0]}[" in page
