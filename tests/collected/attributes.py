"""Layers that return nothing, that are given a learning rate, or that return their gradients in nested lists.

Source: I. Goodfellow, Y. Bengio, A. Courville (2016), "Deep Learning", sections 6.2, 6.5 and 7.12.
"""

import numpy as np

from .base import Case, draw, layer, of_object

STORED = "object; forward stores self.output, backward stores self.dinputs; nothing is returned"


def of_attributes(instance, params=(), grads=(), *extra, **inputs):
    """Return the case of a layer that stores what it computes; `extra` are further arguments of forward."""

    def run():
        instance.forward(*inputs.values(), *extra)
        return instance.output

    def undo(dvalues):
        instance.backward(dvalues)
        return [instance.dinputs, *(getattr(instance, name) for name in grads)]

    def check(check_layer, **options):
        return check_layer(instance, inputs=(*inputs.values(), *extra), **options)

    return Case(dict(inputs) | dict(params), run, undo, check)


class LayerDense:
    """weights, biases (1, D); dweights, dbiases, dinputs."""

    def __init__(self, weights, biases, weight_regularizer_l2=0):
        self.weights, self.biases = weights, biases
        self.weight_regularizer_l2 = weight_regularizer_l2

    def forward(self, inputs, training):
        self.inputs = inputs
        self.output = np.dot(inputs, self.weights) + self.biases

    def backward(self, dvalues):
        self.dweights = np.dot(self.inputs.T, dvalues)
        self.dbiases = np.sum(dvalues, axis=0, keepdims=True)
        if self.weight_regularizer_l2 > 0:
            self.dweights += 2 * self.weight_regularizer_l2 * self.weights
        self.dinputs = np.dot(dvalues, self.weights.T)

    def get_parameters(self):
        return self.weights, self.biases

    def set_parameters(self, weights, biases):
        self.weights, self.biases = weights, biases


@layer("dense, nothing returned", STORED + "; forward(inputs, training)", LayerDense)
def layer_dense(rng):
    inputs, weights, biases = draw(rng, (4, 3), (3, 5), (1, 5))
    dense = LayerDense(weights, biases)
    params = dict(weights=weights, biases=biases)
    return of_attributes(dense, params, ("dweights", "dbiases"), True, inputs=inputs)


class ActivationReLU:
    def forward(self, inputs):
        self.inputs = inputs
        self.output = np.maximum(0, inputs)

    def backward(self, dvalues):
        self.dinputs = dvalues.copy()
        self.dinputs[self.inputs <= 0] = 0


@layer("ReLU, nothing returned", STORED, ActivationReLU)
def activation_relu(rng):
    return of_attributes(ActivationReLU(), inputs=draw(rng, (4, 5))[0])


class ActivationSoftmax:
    def forward(self, inputs):
        e = np.exp(inputs - np.max(inputs, axis=1, keepdims=True))
        self.output = e / np.sum(e, axis=1, keepdims=True)

    def backward(self, dvalues):
        self.dinputs = np.empty_like(dvalues)
        for index, (output, dvalue) in enumerate(zip(self.output, dvalues, strict=True)):
            output = output.reshape(-1, 1)
            jacobian = np.diagflat(output) - np.dot(output, output.T)
            self.dinputs[index] = np.dot(jacobian, dvalue)


@layer("softmax, nothing returned", STORED, ActivationSoftmax)
def activation_softmax(rng):
    return of_attributes(ActivationSoftmax(), inputs=draw(rng, (4, 3))[0])


class LossCategoricalCrossentropy:
    """forward returns a loss for each example; backward(y_pred, y_true) is given the predictions, not a gradient."""

    def forward(self, y_pred, y_true):
        clipped = np.clip(y_pred, 1e-7, 1 - 1e-7)
        return -np.log(clipped[range(len(y_pred)), y_true])

    def calculate(self, output, y):
        return np.mean(self.forward(output, y))

    def backward(self, dvalues, y_true):
        one_hot = np.eye(dvalues.shape[1])[y_true]
        self.dinputs = -one_hot / dvalues / len(dvalues)


@layer(
    "cross-entropy, nothing returned",
    "object; backward(predictions, labels) stores self.dinputs and takes no gradient",
    LossCategoricalCrossentropy,
    adapter="check_layer(lambda p: (loss.calculate(p, y), p), lambda _, p: loss.backward(p, y) or loss.dinputs, (p,))",
)
def loss_categorical_crossentropy(rng):
    p = np.exp(draw(rng, (4, 3))[0])
    p /= p.sum(axis=1, keepdims=True)
    y = rng.integers(0, 3, 4)
    loss = LossCategoricalCrossentropy()

    def check(check_layer, **options):
        return check_layer(
            lambda p: (loss.calculate(p, y), p), lambda _, p: loss.backward(p, y) or loss.dinputs, (p,), **options
        )

    return Case({"p": p}, lambda: loss.calculate(p, y), lambda _: [loss.backward(p, y) or loss.dinputs], check)


class DenseWithRate:
    """Columns; backward(output_gradient, learning_rate) changes the weights at once and keeps no gradient."""

    def __init__(self, weights, bias):
        self.weights, self.bias = weights, bias

    def forward(self, input):
        self.input = input
        return np.dot(self.weights, self.input) + self.bias

    def backward(self, output_gradient, learning_rate):
        weights_gradient = np.dot(output_gradient, self.input.T)
        input_gradient = np.dot(self.weights.T, output_gradient)
        self.weights -= learning_rate * weights_gradient
        self.bias -= learning_rate * output_gradient
        return input_gradient


@layer(
    "dense, with a learning rate",
    "object; a column; backward(output_gradient, learning_rate) changes the weights in place",
    DenseWithRate,
)
def dense_with_rate(rng):
    x, weights, bias = draw(rng, (3, 1), (4, 3), (4, 1))
    dense, same = DenseWithRate(weights, bias), DenseWithRate(weights.copy(), bias.copy())

    def undo(dout):
        W, b = dense.weights.copy(), dense.bias.copy()
        dx = dense.backward(dout, 1.0)
        return [dx, W - dense.weights, b - dense.bias]

    return Case(
        dict(x=x, weights=weights, bias=bias),
        lambda: dense.forward(x),
        undo,
        lambda check, **options: check(same, inputs=(x,), **options),
    )


class ConvWithRate:
    """One image (H, W), 3x3 filters; a generator over regions; backprop(d_L_d_out, learn_rate) returns nothing."""

    def __init__(self, filters):
        self.filters = filters

    def iterate_regions(self, image):
        h, w = image.shape
        for i in range(h - 2):
            for j in range(w - 2):
                yield image[i : (i + 3), j : (j + 3)], i, j

    def forward(self, input):
        self.last_input = input
        h, w = input.shape
        output = np.zeros((h - 2, w - 2, len(self.filters)))
        for region, i, j in self.iterate_regions(input):
            output[i, j] = np.sum(region * self.filters, axis=(1, 2))
        return output

    def backprop(self, d_L_d_out, learn_rate):
        d_L_d_filters = np.zeros(self.filters.shape)
        for region, i, j in self.iterate_regions(self.last_input):
            for f in range(len(self.filters)):
                d_L_d_filters[f] += d_L_d_out[i, j, f] * region
        self.filters -= learn_rate * d_L_d_filters
        return None


@layer(
    "first convolution, with a learning rate",
    "object; forward, backprop(d_L_d_out, learn_rate); no gradient of the image",
    ConvWithRate,
)
def conv_with_rate(rng):
    image, filters = draw(rng, (5, 4), (2, 3, 3))
    conv, same = ConvWithRate(filters), ConvWithRate(filters.copy())

    def undo(dout):
        before = conv.filters.copy()
        conv.backprop(dout, 1.0)
        return [before - conv.filters]

    def check(check_layer, **options):
        return check_layer(same, inputs=(image,), skip=("input",), **options)

    return Case(dict(filters=filters), lambda: conv.forward(image), undo, check)


class FullyConnectedOfTuples:
    """params is a list beside the attributes; backward returns (dX, [dW, db]); b is (1, D), db is (D,)."""

    def __init__(self, W, b):
        self.W, self.b = W, b
        self.params = [self.W, self.b]

    def forward(self, X):
        self.X = X
        return self.X @ self.W + self.b

    def backward(self, dout):
        dW = self.X.T @ dout
        db = np.sum(dout, axis=0)
        dX = dout @ self.W.T
        return dX, [dW, db]


@layer(
    "dense, gradients in a list",
    "object; backward returns dX, [dW, db]; b is (1, D), db is (D,)",
    FullyConnectedOfTuples,
)
def fully_connected_of_tuples(rng):
    X, W, b = draw(rng, (4, 3), (3, 5), (1, 5))
    dense = FullyConnectedOfTuples(W, b)

    def undo(dout):
        dX, (dW, db) = dense.backward(dout)
        return [dX, dW, db.reshape(1, -1)]

    case = of_object(dense, dict(W=W, b=b), X=X)
    return Case(case.arrays, case.forward, undo, case.check)


class DenseOfArguments:
    """Parameters under a prefix; forward returns (y, cache), backward(x, cache, dout, gradients) fills a dict."""

    def __init__(self, W, b, name="Dense"):
        self.name = name
        self._parameters = {f"{name}/W": W, f"{name}/b": b}

    def forward(self, x):
        return x @ self._parameters[f"{self.name}/W"] + self._parameters[f"{self.name}/b"], {}

    def backward(self, x, cache, backwards_gradient, gradients):
        gradients[f"{self.name}/W"] = x.T @ backwards_gradient
        gradients[f"{self.name}/b"] = backwards_gradient.sum(axis=0)
        return backwards_gradient @ self._parameters[f"{self.name}/W"].T


@layer(
    "dense, gradients in an argument",
    "object; backward(x, cache, dout, gradients) fills a dict that is given",
    DenseOfArguments,
    adapter="check_layer(lambda x, W, b: (Dense(W, b).forward(x)[0], (x, W, b)), lambda d, c: "
    "[Dense(*c[1:]).backward(c[0], {}, d, g := {}), *g.values()], (x, W, b))",
)
def dense_of_arguments(rng):
    x, W, b = draw(rng, (4, 3), (3, 2), (2,))
    dense, grads = DenseOfArguments(W, b), {}

    def check(check_layer, **options):
        return check_layer(
            lambda x, W, b: (DenseOfArguments(W, b).forward(x)[0], (x, W, b)),
            lambda d, c: [DenseOfArguments(*c[1:]).backward(c[0], {}, d, g := {}), *g.values()],
            (x, W, b),
            **options,
        )

    def undo(dout):
        return [dense.backward(x, {}, dout, grads), grads["Dense/W"], grads["Dense/b"]]

    return Case(dict(x=x, W=W, b=b), lambda: dense.forward(x)[0], undo, check)


class DenseOfProperties:
    """params and grads are properties, which return tuples; options go through *args and **kwargs."""

    first_layer = False

    def __init__(self, W, b):
        self.W, self.b = W, b
        self.dW, self.db = None, None
        self.last_input = None

    def forward(self, input, *args, **kwargs):
        self.last_input = input
        return np.dot(input, self.W) + self.b

    def backward(self, pre_grad, *args, **kwargs):
        self.dW = np.dot(self.last_input.T, pre_grad)
        self.db = np.sum(pre_grad, axis=0)
        if not self.first_layer:
            return np.dot(pre_grad, self.W.T)

    @property
    def params(self):
        return self.W, self.b

    @property
    def grads(self):
        return self.dW, self.db

    @property
    def param_grads(self):
        return list(zip(self.params, self.grads, strict=True))


@layer("dense, properties", "object; params, grads are properties that return tuples", DenseOfProperties)
def dense_of_properties(rng):
    x, W, b = draw(rng, (4, 3), (3, 5), (5,))
    dense = DenseOfProperties(W, b)
    return of_object(dense, dict(W=W, b=b), lambda: dense.grads, input=x)


class DenseOfFloat32:
    """w, b in single precision, with the arrays of an optimizer beside them; grad_w, grad_b; three axes."""

    def __init__(self, w, b, data_type=np.float32):
        self.w, self.b = w.astype(data_type), b.astype(data_type)
        self.v, self.m = np.zeros_like(self.w), np.zeros_like(self.w)
        self.vb, self.mb = np.zeros_like(self.b), np.zeros_like(self.b)
        self.optimizer = None

    def forward(self, X, training=True):
        self.input_data = X
        self.output_data = np.dot(X, self.w) + self.b
        return self.output_data

    def backward(self, error):
        self.grad_w = np.sum(np.matmul(self.input_data.transpose(0, 2, 1), error), axis=0)
        self.grad_b = np.sum(error, axis=(0, 1))
        return np.dot(error, self.w.T)


class FeedForward:
    def __init__(self, w1, b1, w2, b2):
        self.fc_1, self.fc_2 = DenseOfFloat32(w1, b1), DenseOfFloat32(w2, b2)

    def forward(self, X, training=True):
        self.hidden = self.fc_1.forward(X)
        return self.fc_2.forward(np.maximum(self.hidden, 0), training)

    def backward(self, error):
        error = self.fc_2.backward(error)
        error = error * np.where(self.hidden <= 0, 0, 1).astype(self.hidden.dtype)
        return self.fc_1.backward(error)


@layer(
    "feed-forward block",
    "object; layers as attributes; float32 weights w, grad_w beside an optimizer's v, m",
    DenseOfFloat32,
    FeedForward,
)
def feed_forward(rng):
    X, *weights = draw(rng, (2, 4, 3), (3, 5), (5,), (5, 3), (3,))
    block = FeedForward(*weights)
    params = {f"{name}{k}": getattr(fc, name) for k, fc in enumerate((block.fc_1, block.fc_2)) for name in "wb"}
    grads = lambda: [getattr(fc, "grad_" + name) for fc in (block.fc_1, block.fc_2) for name in "wb"]  # noqa: E731
    return of_object(block, params, grads, X=X)
