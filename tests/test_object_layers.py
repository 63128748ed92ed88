"""Layers that are objects: their parameters and gradients are found in every layout, and none is passed over."""

import numpy as np
import object_layers
import pytest
from object_layers import LAYOUTS, Attributes, Base, Lists, OddNames

from numpy_setlstm.gradcheck import GradientMismatchError, check_layer


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", ["complex", "central"])
@pytest.mark.filterwarnings("error")
def test_parameters_are_found_and_checked_without_being_named(arrays, layout, method):
    x, W, b = arrays
    layer = layout(W, b)
    report = check_layer(layer, inputs=(x,), method=method)
    assert [array.checked for array in report.arrays] == [12, 6, 2] and report.unchecked == ()
    assert layer.__dict__.keys() == layout(W, b).__dict__.keys(), "the object itself must not change"
    report = check_layer(layout(W, b, factor=1.1), inputs=(x,), method=method, raises=False)
    assert [array.shape for array in report.failures] == [(3, 2)]
    assert "1.1 times what it should be" in report.message()


def test_the_object_may_have_been_used_before(arrays):
    x, W, b = arrays
    for layout in LAYOUTS:
        if layout not in (object_layers.MadeInForward, object_layers.TrainedByRate):
            layer = layout(W, b)
            out = getattr(layer, "forward", getattr(layer, "forward_pass", layer))(x)
            out = layer.output if out is None else out
            getattr(layer, "backward", getattr(layer, "backward_pass", None))(np.ones(out.shape))
            report = check_layer(layer, inputs=(x,))
            assert [array.checked for array in report.arrays] == [12, 6, 2], layout


def test_what_is_returned_for_integers_is_no_gradient_of_a_parameter(arrays):
    _, W, b = arrays
    for factor, ok in ((1.0, True), (1.1, False)):
        report = check_layer(object_layers.OneHot(W, b, factor), inputs=(np.array([0, 2, 2, 1]),), raises=False)
        assert [array.name for array in report.arrays] == ["W", "b"] and report.ok == ok


def test_two_methods_of_an_object_may_be_given(arrays):
    class Odd(Attributes):
        def compute(self, x):
            return self.forward(x)

        def differentiate(self, dout):
            return self.backward(dout)

    x, W, b = arrays
    layer = Odd(W, b, factor=1.1)
    report = check_layer(layer.compute, layer.differentiate, inputs=(x,), raises=False)
    assert [array.name for array in report.failures] == ["W"] and report["b"].checked == 2


def test_functions_say_where_parameters_and_gradients_are(arrays):
    x, W, b = arrays
    places = {
        "get_params": lambda layer: {"W": layer.theta1, "b": layer.theta2},
        "get_grads": lambda layer: [layer.first, layer.second],
    }
    assert [a.name for a in check_layer(OddNames(W, b), inputs=(x,), **places).arrays] == ["x", "W", "b"]
    report = check_layer(OddNames(W, b, factor=1.1), inputs=(x,), raises=False, **places)
    assert [array.name for array in report.failures] == ["W"]
    with pytest.raises(ValueError, match="get_grads returned 1 gradients for 2 parameters"):
        check_layer(OddNames(W, b), inputs=(x,), **places | {"get_grads": lambda layer: [layer.first]})
    with pytest.raises(ValueError, match=r"get_params returned an array \('W'\) that the OddNames does not hold"):
        check_layer(OddNames(W, b), inputs=(x,), get_params=lambda layer: {"W": layer.theta1.copy()}, get_grads=list)


def test_what_changes_the_output_and_is_not_checked_is_named(arrays):
    class Shifted(Attributes):
        def __init__(self, *args):
            super().__init__(*args)
            self.table, self.unused = np.ones(2), np.ones(5)

        def forward(self, x):
            return super().forward(x) + self.table

    x, W, b = arrays
    report = check_layer(Shifted(W, b), inputs=(x,))
    assert report.ok and report.unchecked == ("table",)
    assert "all right, NOT CHECKED: table" in str(report) and "table: no gradient was found" in report.remarks[0]
    with pytest.raises(GradientMismatchError, match="table: no gradient was found"):
        check_layer(Shifted(W, b), inputs=(x,), strict=True)
    assert check_layer(Attributes(W, b), inputs=(x,), params=["W"]).unchecked == ("b",)


def test_a_parameter_without_a_gradient_is_refused(arrays):
    class Forgets(Attributes):
        def backward(self, dout):
            self.dW = self.x.T @ dout
            return dout @ self.W.T

    x, W, b = arrays
    with pytest.raises(ValueError, match=r"no gradient of b: not implemented yet\? If it needs none, skip=\['b'\]"):
        check_layer(Forgets(W, b), inputs=(x,))
    assert check_layer(Forgets(W, b), inputs=(x,), skip=("b",))["W"].ok


def test_backward_of_an_object_that_returns_nothing(arrays):
    class Unfinished(Base):
        def backward(self, dout):
            return None

    x, W, b = arrays
    with pytest.raises(ValueError, match="backward returned None for x: not implemented yet"):
        check_layer(Unfinished(W, b), inputs=(x,))


def test_a_parameter_that_forward_forgets_is_reported(arrays):
    class NoBias(Attributes):
        def forward(self, x):
            self.x = x
            return x @ self.W

    x, W, b = arrays
    with pytest.raises(GradientMismatchError, match="the loss does not depend on b at all"):
        check_layer(NoBias(W, b), inputs=(x,))


def test_old_gradients_are_not_added_to(arrays):
    class Adds(Lists):
        def backward(self, dout):
            for grad, new in zip(self.grads, self.grads_of(dout), strict=True):
                grad += new
            return dout @ self.params[0].T

    x, W, b = arrays
    layer = Adds(W, b)
    layer.forward(x), layer.backward(np.ones((4, 2)))
    assert check_layer(layer, inputs=(x,)).ok
    assert layer.grads[0].any()


def test_names_of_parameters_in_lists_and_inside(arrays):
    x, W, b = arrays
    for layer, names in ((Lists(W, b), ["params[1]"]), (object_layers.Inside(W, b), ["layers[0].bias.data"])):
        report = check_layer(layer, inputs=(x,), params=names)
        assert [array.name for array in report.arrays] == ["x", *names]
        assert report.unchecked in (("params[0]",), ("layers[0].weight.data",))


class TestLosses:
    """A loss is the last layer: its backward pass often takes no gradient, or does not use it."""

    x, t = np.random.default_rng(0).normal(size=(2, 4, 3))

    def layer(self, backward):
        def forward(layer, x, t):
            layer.d = x - t
            return np.sum(layer.d**2) / 2

        return type("Loss", (), {"forward": forward, "backward": backward})()

    @pytest.mark.parametrize("backward", [lambda layer: layer.d, lambda layer, dout=1: layer.d * dout])
    def test_without_an_upstream_gradient_it_is_1(self, backward):
        report = check_layer(self.layer(backward), inputs=(self.x, self.t), skip=("t",))
        assert report.ok and report.remarks == ()
        wrong = self.layer(lambda layer: 2 * backward(layer))
        assert "2 times too large" in check_layer(wrong, inputs=(self.x, self.t), skip=("t",), raises=False).message()

    def test_one_that_ignores_its_upstream_gradient_is_told_so(self):
        report = check_layer(self.layer(lambda layer, dout: layer.d), inputs=(self.x, self.t))
        assert "backward ignores dout" in report.remarks[0] and report.ok and report.unchecked == ("t",)
        wrong = self.layer(lambda layer, dout: 3 * layer.d)
        assert "3 times too large" in check_layer(wrong, inputs=(self.x, self.t), raises=False).message()

    def test_a_layer_that_ignores_it_is_wrong(self):
        def ignores(dout, x):
            return 1 - np.tanh(x) ** 2

        report = check_layer(lambda x: (np.tanh(x), x), ignores, self.x, raises=False)
        assert [diagnosis.kind for diagnosis in report.diagnoses] == ["ignored"]
        assert "with 2·dout it gives the same gradients" in report.message()

    def test_a_function_that_returns_loss_and_gradients(self):
        def loss(x, t):
            return np.sum((x - t) ** 2), (2 * (x - t), -2 * (x - t))

        assert [a.checked for a in check_layer(loss, inputs=(self.x, self.t)).arrays] == [12, 12]
        assert not check_layer(lambda x, t: (loss(x, t)[0], self.x), inputs=(self.x, self.t), skip="t", raises=False).ok


def test_arguments_may_be_nests_of_arrays(arrays):
    def forward(x, layers):
        caches = []
        for layer in layers:
            caches.append((x, layer["W"]))
            x = x @ layer["W"] + layer["b"]
        return x, caches

    def backward(dout, caches, factor=1.0):
        grads = []
        for x, W in caches[::-1]:
            grads.insert(0, {"b": dout.sum(axis=0), "W": factor * x.T @ dout})
            dout = dout @ W.T
        return dout, grads

    x, W, b = arrays
    layers = [{"W": W, "b": b}, {"W": W.T, "b": np.ones(3)}]
    names = [array.name for array in check_layer(forward, backward, (x, layers)).arrays]
    assert names == ["x", "layers[0].W", "layers[0].b", "layers[1].W", "layers[1].b"]
    report = check_layer(forward, lambda d, c: backward(d, c, 1.1), (x, layers), raises=False)
    assert {array.name for array in report.failures} == {"layers[0].W", "layers[1].W"}
    report = check_layer(lambda pair: (pair[0] * pair[1], pair), lambda d, c: [d * c[1], d * c[0]], ([x, x + 1],))
    assert [array.name for array in report.arrays] == ["pair[0]", "pair[1]"]


def test_layers_that_draw_from_the_global_random_numbers_draw_the_same_ones(arrays):
    def forward(x):
        mask = np.random.random(x.shape) < 0.5  # noqa: NPY002
        return x * mask, mask

    np.random.seed(5)  # noqa: NPY002
    assert check_layer(forward, lambda dout, mask: dout * mask, arrays[0]).ok
    after = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    assert after == np.random.random()  # noqa: NPY002


def test_the_upstream_gradient_may_be_given(arrays):
    x, W, b = arrays
    report = check_layer(Attributes(W, b), inputs=(x,), dout=np.ones((4, 2)))
    np.testing.assert_allclose(report["b"].numeric_all, 4)
    with pytest.raises(ValueError, match=r"dout has the shapes \[\(2,\)\], the outputs of forward have \[\(4, 2\)\]"):
        check_layer(Attributes(W, b), inputs=(x,), dout=np.ones(2))
