"""One affine layer, y = x W + b, as an object in the layouts of public NumPy code, each a class.

Written from the formula; `factor` multiplies the gradient of W, so 1 is right.
"""

import numpy as np


class Formula:
    """The gradients, which all layouts share."""

    def grads_of(self, dout):
        return self.factor * self.x.T @ dout, dout.sum(axis=0)


class Base(Formula):
    """W and b in an attribute each."""

    def __init__(self, W, b, factor=1.0):
        self.W, self.b, self.factor = W.copy(), b.copy(), factor

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b


class Attributes(Base):
    """W, b and dW, db."""

    def backward(self, dout):
        self.dW, self.db = self.grads_of(dout)
        return dout @ self.W.T


class LongNames(Formula):
    """weights, bias and weights_gradient, bias_gradient; forward_pass, backward_pass."""

    def __init__(self, W, b, factor=1.0):
        self.weights, self.bias, self.factor = W.copy(), b.copy(), factor

    def forward_pass(self, X, training=True):
        self.x = X
        return X @ self.weights + self.bias

    def backward_pass(self, accum_grad):
        self.weights_gradient, self.bias_gradient = self.grads_of(accum_grad)
        return accum_grad @ self.weights.T


class Lists(Base):
    """params = [W, b], grads = [dW, db], filled in place."""

    def __init__(self, W, b, factor=1.0):
        self.params, self.factor = [W.copy(), b.copy()], factor
        self.grads = [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        W, b = self.params
        self.x = x
        return x @ W + b

    def backward(self, dout):
        for grad, new in zip(self.grads, self.grads_of(dout), strict=True):
            grad[...] = new
        return dout @ self.params[0].T


class ListsBesideAttributes(Attributes):
    """The same arrays as attributes and in lists."""

    def __init__(self, W, b, factor=1.0):
        super().__init__(W, b, factor)
        self.params = [self.W, self.b]

    def backward(self, dout):
        dx = super().backward(dout)
        self.grads = [self.dW, self.db]
        return dx


class Pairs(Base):
    """A tuple of tuples: (W, dW), (b, db)."""

    def __init__(self, W, b, factor=1.0):
        self.pairs, self.factor = ([W.copy(), np.zeros_like(W)], [b.copy(), np.zeros_like(b)]), factor

    def forward(self, x):
        self.x = x
        return x @ self.pairs[0][0] + self.pairs[1][0]

    def backward(self, dout):
        self.pairs[0][1], self.pairs[1][1] = self.grads_of(dout)
        return dout @ self.pairs[0][0].T


class Dicts(Lists):
    """p = {"W": W}, g = {"dW": dW}."""

    def __init__(self, W, b, factor=1.0):
        self.p, self.g, self.factor = {"W": W.copy(), "b": b.copy()}, {}, factor

    def forward(self, x):
        self.x = x
        return x @ self.p["W"] + self.p["b"]

    def backward(self, dout):
        self.g["dW"], self.g["db"] = self.grads_of(dout)
        return dout @ self.p["W"].T


class Tensor:
    def __init__(self, data):
        self.data, self.grad = data.copy(), None


class Tensors(Formula):
    """weight.data, weight.grad in a layer inside; a call is a forward pass."""

    def __init__(self, W, b, factor=1.0):
        self.weight, self.bias, self.factor = Tensor(W), Tensor(b), factor

    def __call__(self, x):
        self.x = x
        return x @ self.weight.data + self.bias.data

    def backward(self, dout):
        self.weight.grad, self.bias.grad = self.grads_of(dout)
        return dout @ self.weight.data.T


class Inside:
    """A layer in a list in a layer."""

    def __init__(self, W, b, factor=1.0):
        self.layers = [Tensors(W, b, factor)]

    def forward(self, x):
        return self.layers[0](x)

    def backward(self, dout):
        return self.layers[0].backward(dout)


class Returned(Base):
    """All gradients are returned."""

    def backward(self, dout):
        return dout @ self.W.T, *self.grads_of(dout)


class ReturnedNested(Base):
    """dx, [dW, db]."""

    def backward(self, dout):
        return dout @ self.W.T, list(self.grads_of(dout))


class ReturnedNamed(Base):
    """A dict of all."""

    def backward(self, dout):
        return dict(zip(("dx", "dW", "db"), (dout @ self.W.T, *self.grads_of(dout)), strict=True))


class SGD:
    def update(self, w, grad):
        return w - 0.01 * grad


class Trained(Base):
    """Gradients go to an optimizer."""

    def __init__(self, W, b, factor=1.0):
        super().__init__(W, b, factor)
        self.optimizers = [SGD(), SGD()]

    def backward(self, dout):
        dx, (dW, db) = dout @ self.W.T, self.grads_of(dout)
        self.W, self.b = self.optimizers[0].update(self.W, dW), self.optimizers[1].update(self.b, db)
        return dx


class TrainedByRate(Base):
    """backward(output_gradient, learning_rate) changes W and b in place."""

    def backward(self, output_gradient, learning_rate):
        dx = output_gradient @ self.W.T
        dW, db = self.grads_of(output_gradient)
        self.W -= learning_rate * dW
        self.b -= learning_rate * db
        return dx


class NothingReturned(Base):
    """self.output, self.dinputs."""

    def forward(self, inputs):
        self.output = super().forward(inputs)

    def backward(self, dvalues):
        self.dW, self.db = self.grads_of(dvalues)
        self.dinputs = dvalues @ self.W.T


class MadeInForward(Dicts):
    """Weights drawn from the global random numbers in the first forward pass; a list keeps every input."""

    def __init__(self, W, b, factor=1.0):
        self.p, self.g, self.factor, self.shape, self.inputs = {"W": None, "b": None}, {}, factor, W.shape, []

    def forward(self, x):
        if self.p["W"] is None:
            self.p = {"W": np.random.normal(size=self.shape), "b": np.random.normal(size=self.shape[1])}  # noqa: NPY002
        self.inputs.append(x)
        return super().forward(x)

    def backward(self, dout):
        assert len(self.inputs) == 1, "one backward pass for one forward pass"
        return super().backward(dout)


class GradientsApart(Base):
    """backward gives dx, compute_gradients the rest."""

    def backward(self, dout):
        self.dout = dout
        return dout @ self.W.T

    def compute_gradients(self):
        self.dW, self.db = self.grads_of(self.dout)


class OneHot(Base):
    """Rows of W for integers, by a product with one-hot rows, whose gradient is returned for nobody."""

    def forward(self, ids):
        return super().forward(np.eye(len(self.W))[ids])

    def backward(self, dout):
        self.dW, self.db = self.grads_of(dout)
        return dout @ self.W.T


class OddNames(Base):
    """Names from which nothing can be guessed."""

    def __init__(self, W, b, factor=1.0):
        self.factor, self.theta1, self.theta2 = factor, W.copy(), b.copy()

    def forward(self, x):
        self.x = x
        return x @ self.theta1 + self.theta2

    def backward(self, dout):
        self.first, self.second = self.grads_of(dout)
        return dout @ self.theta1.T


LAYOUTS = (
    Attributes, LongNames, Lists, ListsBesideAttributes, Pairs, Dicts, Tensors, Inside, Returned, ReturnedNested,
    ReturnedNamed, Trained, TrainedByRate, NothingReturned, MadeInForward, GradientsApart,
)  # fmt: skip
