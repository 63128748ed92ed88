"""Dense layers and small networks in many layouts of objects.

Sources: I. Goodfellow, Y. Bengio, A. Courville (2016), "Deep Learning", section 6.5; K. He et al. (2016), "Deep
Residual Learning", equation 1; R. Srivastava et al. (2015), "Highway Networks", equation 3.
"""

import numpy as np

from .base import Case, draw, layer, of_object, sigmoid
from .normalizations import GradientDescent, Recorder


class MatMul:
    """params, grads are lists; the gradients are written into the arrays that are there."""

    def __init__(self, W):
        self.params = [W]
        self.grads = [np.zeros_like(W)]
        self.x = None

    def forward(self, x):
        (W,) = self.params
        out = np.dot(x, W)
        self.x = x
        return out

    def backward(self, dout):
        (W,) = self.params
        dx = np.dot(dout, W.T)
        dW = np.dot(self.x.T, dout)
        self.grads[0][...] = dW
        return dx


@layer("matrix product", "object; params, grads are lists; grads[0][...] = dW", MatMul)
def matmul(rng):
    x, W = draw(rng, (4, 3), (3, 3))
    product = MatMul(W)
    return of_object(product, dict(W=W), lambda: product.grads, x=x)


class TimeAffine:
    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]
        self.x = None

    def forward(self, x):
        N, T, D = x.shape
        W, b = self.params
        rx = x.reshape(N * T, -1)
        out = np.dot(rx, W) + b
        self.x = x
        return out.reshape(N, T, -1)

    def backward(self, dout):
        x = self.x
        N, T, D = x.shape
        W, b = self.params
        dout = dout.reshape(N * T, -1)
        rx = x.reshape(N * T, -1)
        db = np.sum(dout, axis=0)
        dW = np.dot(rx.T, dout)
        dx = np.dot(dout, W.T).reshape(*x.shape)
        self.grads[0][...] = dW
        self.grads[1][...] = db
        return dx


@layer("affine over time, lists", "object; params, grads are lists", TimeAffine)
def time_affine(rng):
    x, W, b = draw(rng, (2, 4, 3), (3, 2), (2,))
    affine = TimeAffine(W, b)
    return of_object(affine, dict(W=W, b=b), lambda: affine.grads, x=x)


class FullyConnected:
    """Weights drawn in the first forward pass, from the global random numbers; lists of batches; retain_derived."""

    def __init__(self, n_out, act_fn=None):
        self.n_in, self.n_out, self.act_fn = None, n_out, act_fn
        self.parameters = {"W": None, "b": None}
        self.gradients, self.derived_variables = {}, {}
        self.X, self.trainable, self.is_initialized = [], True, False

    def _init_params(self):
        W = np.random.normal(size=(self.n_in, self.n_out))  # noqa: NPY002
        self.parameters = {"W": W, "b": np.random.normal(size=(1, self.n_out))}  # noqa: NPY002
        self.gradients = {"W": np.zeros((self.n_in, self.n_out)), "b": np.zeros((1, self.n_out))}
        self.derived_variables = {"Z": []}
        self.is_initialized = True

    def flush_gradients(self):
        self.X, self.derived_variables["Z"] = [], []
        for k, v in self.gradients.items():
            self.gradients[k] = np.zeros_like(v)

    def forward(self, X, retain_derived=True):
        if not self.is_initialized:
            self.n_in = X.shape[1]
            self._init_params()
        Z = X @ self.parameters["W"] + self.parameters["b"]
        if retain_derived:
            self.X.append(X)
            self.derived_variables["Z"].append(Z)
        return np.tanh(Z)

    def backward(self, dLdy, retain_grads=True):
        assert self.trainable, "Layer is frozen"
        if not isinstance(dLdy, list):
            dLdy = [dLdy]
        dX = []
        for dy, x in zip(dLdy, self.X, strict=True):
            dx, dw, db = self._bwd(dy, x)
            dX.append(dx)
            if retain_grads:
                self.gradients["W"] += dw
                self.gradients["b"] += db
        return dX[0] if len(self.X) == 1 else dX

    def _bwd(self, dLdy, X):
        W, b = self.parameters["W"], self.parameters["b"]
        dZ = dLdy * (1 - np.tanh(X @ W + b) ** 2)
        return dZ @ W.T, X.T @ dZ, dZ.sum(axis=0, keepdims=True)


@layer(
    "dense with tanh, lists of batches",
    "object; parameters, gradients; weights drawn in the first forward pass",
    FullyConnected,
)
def fully_connected(rng):
    (X,) = draw(rng, (4, 3))
    dense, fresh = FullyConnected(5), FullyConnected(5)
    np.random.seed(0)  # noqa: NPY002
    dense.forward(X)
    grads = lambda: [dense.gradients["W"], dense.gradients["b"]]  # noqa: E731
    check = lambda check_layer, **options: check_layer(fresh, inputs=(X,), **options)  # noqa: E731
    return of_object(dense, dense.parameters, grads, before=lambda: (dense.X.clear(), None), check=check, X=X)


class Multiply:
    """The product of a list of inputs; a list of gradients comes back."""

    def __init__(self):
        self.X, self.parameters, self.gradients = [], {}, {}

    def forward(self, X, retain_derived=True):
        out = X[0].copy()
        for i in range(1, len(X)):
            out = out * X[i]
        if retain_derived:
            self.X.append(X)
        return out

    def backward(self, dLdY, retain_grads=True):
        X = self.X[-1]
        grads = []
        for i in range(len(X)):
            others = np.prod([x for j, x in enumerate(X) if j != i], axis=0)
            grads.append(dLdY * others)
        return grads


@layer("product of inputs", "object; forward takes a list, backward returns a list", Multiply)
def multiply(rng):
    a, b, c = draw(rng, (4, 3), (4, 3), (4, 3))
    product = Multiply()
    check = lambda check_layer, **options: check_layer(product, inputs=([a, b, c],), **options)  # noqa: E731
    return Case(dict(a=a, b=b, c=c), lambda: product.forward([a, b, c]), product.backward, check)


class Dense:
    """params, grads are dicts; weights made in the first forward pass from initializers; is_init, is_training."""

    def __init__(self, num_out, seed=4):
        self.params, self.grads, self.ctx = {p: None for p in self.param_names}, {}, {}
        self.shapes = {"w": [None, num_out], "b": [num_out]}
        self.seed, self.is_init, self.is_training = seed, False, True

    @property
    def param_names(self):
        return "w", "b"

    @property
    def name(self):
        return self.__class__.__name__

    def _init_params(self):
        rng = np.random.default_rng(self.seed)
        for name in self.param_names:
            self.params[name] = rng.normal(size=self.shapes[name])
        self.is_init = True

    def forward(self, inputs):
        if not self.is_init:
            self.shapes["w"][0] = inputs.shape[1]
            self._init_params()
        self.ctx = {"X": inputs}
        return inputs @ self.params["w"] + self.params["b"]

    def backward(self, grad):
        self.grads["w"] = self.ctx["X"].T @ grad
        self.grads["b"] = np.sum(grad, axis=0)
        return grad @ self.params["w"].T


@layer("dense, dicts", "object; params, grads are dicts; weights drawn in the first forward pass", Dense)
def dense_of_dicts(rng):
    (x,) = draw(rng, (4, 3))
    dense, fresh = Dense(3), Dense(3)
    dense.forward(x)
    check = lambda check_layer, **options: check_layer(fresh, inputs=(x,), **options)  # noqa: E731
    return of_object(dense, dense.params, lambda: [dense.grads["w"], dense.grads["b"]], check=check, inputs=x)


class DensePass:
    """forward_pass, backward_pass; the gradients go to copies of an optimizer, which change the weights at once."""

    def __init__(self, W, w0):
        self.trainable = True
        self.W, self.w0 = W, w0
        self.layer_input = None

    def initialize(self, optimizer):
        self.W_opt, self.w0_opt = optimizer(), optimizer()

    def parameters(self):
        return np.prod(self.W.shape) + np.prod(self.w0.shape)

    def forward_pass(self, X, training=True):
        self.layer_input = X
        return X.dot(self.W) + self.w0

    def backward_pass(self, accum_grad):
        W = self.W
        if self.trainable:
            grad_w = self.layer_input.T.dot(accum_grad)
            grad_w0 = np.sum(accum_grad, axis=0, keepdims=True)
            self.W = self.W_opt.update(self.W, grad_w)
            self.w0 = self.w0_opt.update(self.w0, grad_w0)
        accum_grad = accum_grad.dot(W.T)
        return accum_grad


@layer(
    "dense, trained as it goes",
    "forward_pass, backward_pass; gradients go to optimizers; (1, D) bias",
    DensePass,
    GradientDescent,
)
def dense_pass(rng):
    X, W, w0 = draw(rng, (4, 3), (3, 5), (1, 5))
    dense, same = DensePass(W, w0), DensePass(W.copy(), w0.copy())
    dense.initialize(Recorder)
    same.initialize(GradientDescent)
    grads = lambda: [dense.W_opt.given, dense.w0_opt.given]  # noqa: E731
    check = lambda check_layer, **options: check_layer(same, inputs=(X,), **options)  # noqa: E731
    passes = dict(forward="forward_pass", backward="backward_pass")
    return of_object(dense, dict(W=W, w0=w0), grads, **passes, check=check, X=X)


class Parameter:
    def __init__(self, data):
        self.data = data
        self.grad = None


class Linear:
    """weight.data and weight.grad, which backward makes; (out, in)."""

    def __init__(self, weight, bias):
        self.weight, self.bias = Parameter(weight), Parameter(bias)

    def parameters(self):
        return [self.weight, self.bias]

    def zero_grad(self):
        for p in self.parameters():
            p.grad = None

    def __call__(self, x):
        return self.forward(x)

    def forward(self, x):
        self.input = x
        return x @ self.weight.data.T + self.bias.data

    def backward(self, grad_output):
        self.weight.grad = grad_output.T @ self.input
        self.bias.grad = grad_output.sum(axis=0)
        return grad_output @ self.weight.data


@layer("linear, tensors", "object with __call__; weight.data, weight.grad; (out, in)", Linear, Parameter)
def linear(rng):
    x, weight, bias = draw(rng, (4, 3), (3, 3), (3,))
    module = Linear(weight, bias)
    return of_object(module, dict(weight=weight, bias=bias), lambda: [module.weight.grad, module.bias.grad], x=x)


class Residual:
    """x + W2 relu(W1 x): layers in a list, each with its own weights."""

    def __init__(self, W1, b1, W2, b2):
        self.layers = [Linear(W1, b1), Linear(W2, b2)]

    def forward(self, x):
        self.z = self.layers[0](x)
        return x + self.layers[1](np.maximum(self.z, 0))

    def backward(self, dout):
        da = self.layers[1].backward(dout)
        dz = da * (self.z > 0)
        return dout + self.layers[0].backward(dz)


@layer("residual block", "object; a list of layers inside, each with weight.data", Residual, Linear, Parameter)
def residual(rng):
    x, W1, b1, W2, b2 = draw(rng, (4, 3), (5, 3), (5,), (3, 5), (3,))
    block = Residual(W1, b1, W2, b2)
    grads = lambda: [p.grad for inner in block.layers for p in inner.parameters()]  # noqa: E731
    return of_object(block, dict(W1=W1, b1=b1, W2=W2, b2=b2), grads, x=x)


class Highway:
    """Attributes W_h, b_h, W_t, b_t and grad_W_h, ...; a tuple of gradients is not returned."""

    def __init__(self, W_h, b_h, W_t, b_t):
        self.W_h, self.b_h, self.W_t, self.b_t = W_h, b_h, W_t, b_t

    def forward(self, x):
        h = np.tanh(x @ self.W_h + self.b_h)
        t = sigmoid(x @ self.W_t + self.b_t)
        self._saved = x, h, t
        return h * t + x * (1 - t)

    def backward(self, dy):
        x, h, t = self._saved
        dh = dy * t * (1 - h**2)
        dt = dy * (h - x) * t * (1 - t)
        self.grad_W_h, self.grad_b_h = x.T @ dh, dh.sum(0)
        self.grad_W_t, self.grad_b_t = x.T @ dt, dt.sum(0)
        return dy * (1 - t) + dh @ self.W_h.T + dt @ self.W_t.T


@layer("highway", "object; attributes W_h and grad_W_h", Highway)
def highway(rng):
    x, *weights = draw(rng, (4, 3), (3, 3), (3,), (3, 3), (3,))
    names = ("W_h", "b_h", "W_t", "b_t")
    way = Highway(*weights)
    grads = lambda: [getattr(way, "grad_" + name) for name in names]  # noqa: E731
    return of_object(way, dict(zip(names, weights, strict=True)), grads, x=x)
