"""Activation functions as layers: objects that remember their output, or have a method for the slope.

Sources: D. Hendrycks, K. Gimpel (2016), "Gaussian Error Linear Units", equation 2; D. Clevert et al. (2016),
"Exponential Linear Units", equation 15; G. Klambauer et al. (2017), "Self-Normalizing Neural Networks", equation 2;
P. Ramachandran et al. (2017), "Searching for Activation Functions".
"""

import numpy as np

from .base import draw, layer, of_functions, of_object, sigmoid


class Sigmoid:
    """The output is remembered; `params` and `grads` are empty lists."""

    def __init__(self):
        self.params, self.grads = [], []
        self.out = None

    def forward(self, x):
        out = 1 / (1 + np.exp(-x))
        self.out = out
        return out

    def backward(self, dout):
        dx = dout * (1.0 - self.out) * self.out
        return dx


class Tanh:
    def __init__(self):
        self.params, self.grads = [], []

    def forward(self, x):
        self.out = np.tanh(x)
        return self.out

    def backward(self, dout):
        return dout * (1 - self.out**2)


class MaskedRelu:
    """The mask is remembered, and applied to dout in place."""

    def __init__(self):
        self.mask = None

    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dout[self.mask] = 0
        return dout


class Softmax:
    """Along the last axis; the sum of all products goes back."""

    def forward(self, x):
        x = x - x.max(axis=-1, keepdims=True)
        self.out = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
        return self.out

    def backward(self, dout):
        dx = self.out * dout
        dx -= self.out * dx.sum(axis=-1, keepdims=True)
        return dx


class SoftmaxByJacobian:
    """One Jacobian per row, in a buffer of np.empty."""

    def forward(self, X):
        e = np.exp(X - np.max(X, axis=1, keepdims=True))
        self.Y = e / np.sum(e, axis=1, keepdims=True)
        return self.Y

    def backward(self, dY):
        dX = np.empty_like(dY)
        for n, (y, dy) in enumerate(zip(self.Y, dY, strict=True)):
            y = y.reshape(-1, 1)
            jacobian = np.diagflat(y) - np.dot(y, y.T)
            dX[n] = np.dot(jacobian, dy)
        return dX


LISTS = "object; params, grads are lists"


@layer("sigmoid", LISTS + " and empty", Sigmoid)
def sigmoid_case(rng):
    return of_object(Sigmoid(), x=draw(rng, (3, 4))[0])


@layer("tanh", LISTS + " and empty", Tanh)
def tanh_case(rng):
    return of_object(Tanh(), x=draw(rng, (3, 4))[0])


@layer("ReLU with a remembered mask", "object; dout changed in place", MaskedRelu)
def masked_relu(rng):
    return of_object(MaskedRelu(), x=draw(rng, (3, 5))[0])


@layer("softmax", "object; remembers its output", Softmax)
def softmax_case(rng):
    return of_object(Softmax(), x=draw(rng, (3, 2, 4))[0])


@layer("softmax by its Jacobian", "object; a loop over rows into np.empty_like", SoftmaxByJacobian)
def softmax_jacobian(rng):
    return of_object(SoftmaxByJacobian(), X=draw(rng, (3, 4))[0])


# A base class whose subclasses have a function and a slope, with the gradient as their product


class Activation:
    def __init__(self):
        self.inputs = None

    def forward(self, inputs):
        self.inputs = inputs
        return self.func(inputs)

    def backward(self, grad):
        return self.derivative(self.inputs) * grad


class ELU(Activation):
    def __init__(self, alpha=1.3):
        super().__init__()
        self._alpha = alpha

    def func(self, x):
        return np.where(x > 0, x, self._alpha * (np.exp(x) - 1))

    def derivative(self, x):
        return np.where(x > 0, 1.0, self._alpha * np.exp(x))


class SELU(Activation):
    alpha, scale = 1.6732632423543772, 1.0507009873554805

    def func(self, x):
        return self.scale * np.where(x >= 0.0, x, self.alpha * (np.exp(x) - 1))

    def derivative(self, x):
        return self.scale * np.where(x >= 0.0, 1, self.alpha * np.exp(x))


class Softplus(Activation):
    def func(self, x):
        return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0.0)

    def derivative(self, x):
        return 1.0 / (1.0 + np.exp(-x))


class Swish(Activation):
    beta = 1.5

    def func(self, x):
        return x * sigmoid(self.beta * x)

    def derivative(self, x):
        s = sigmoid(self.beta * x)
        return s + self.beta * x * s * (1 - s)


class HardSigmoid(Activation):
    def func(self, x):
        return np.clip(0.2 * x + 0.5, 0.0, 1.0)

    def derivative(self, x):
        return np.where((x > -2.5) & (x < 2.5), 0.2, 0.0)


class GELU(Activation):
    def func(self, x):
        inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
        return 0.5 * x * (1 + np.tanh(inner))

    def derivative(self, x):
        t = np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))
        d_inner = np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x**2)
        return 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * d_inner


class Softsign(Activation):
    def func(self, x):
        return x / (1 + np.abs(x))

    def derivative(self, x):
        return 1 / (1 + np.abs(x)) ** 2


def enter_activation(name, function):
    @layer(name, "object; a base class multiplies by derivative(x)", Activation, function)
    def case(rng):
        return of_object(globals()[function.__name__](), inputs=2 * draw(rng, (3, 5))[0])


enter_activation("ELU", ELU)
enter_activation("SELU", SELU)
enter_activation("softplus", Softplus)
enter_activation("swish", Swish)
enter_activation("hard sigmoid", HardSigmoid)
enter_activation("GELU by tanh", GELU)
enter_activation("softsign", Softsign)


def log_softmax_forward(z, axis):
    shifted = z - np.amax(z, axis=axis, keepdims=True)
    out = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    return out, (out, axis)


def log_softmax_backward(dout, cache):
    out, axis = cache
    return dout - np.exp(out) * dout.sum(axis=axis, keepdims=True)


@layer(
    "log-softmax",
    "functions; np.amax; classes on axis 0, an integer setting",
    log_softmax_forward,
    log_softmax_backward,
)
def log_softmax(rng):
    return of_functions(log_softmax_forward, log_softmax_backward, z=draw(rng, (4, 3))[0], axis=0)


class ActivationPass:
    """An activation with its method `gradient(x)`, in a layer with forward_pass and backward_pass."""

    def __init__(self, function):
        self.activation_func = function
        self.trainable = True

    def layer_name(self):
        return f"Activation ({self.activation_func.__class__.__name__})"

    def forward_pass(self, X, training=True):
        self.layer_input = X
        return self.activation_func(X)

    def backward_pass(self, accum_grad):
        return accum_grad * self.activation_func.gradient(self.layer_input)


class ScaledTanh:
    def __call__(self, x):
        return 1.7159 * np.tanh(2 / 3 * x)

    def gradient(self, x):
        return 1.7159 * 2 / 3 * (1 - np.power(np.tanh(2 / 3 * x), 2))


@layer("scaled tanh", "forward_pass(X, training=True), backward_pass(accum_grad)", ActivationPass, ScaledTanh)
def scaled_tanh(rng):
    return of_object(
        ActivationPass(ScaledTanh()), forward="forward_pass", backward="backward_pass", X=draw(rng, (3, 4))[0]
    )


class SoftmaxWithEps:
    """A guard of 1e-10 in the sum, and the sum's gradient by its own line."""

    eps = 1e-10

    def forward(self, inputs, training=True):
        self.exp = np.exp(inputs - np.max(inputs, axis=-1, keepdims=True))
        self.sum = self.exp.sum(axis=-1, keepdims=True) + self.eps
        return self.exp / self.sum

    def backward(self, dvalues):
        dsum = -np.sum(dvalues * self.exp, axis=-1, keepdims=True) / self.sum**2
        self.dinputs = (dvalues / self.sum + dsum) * self.exp
        return self.dinputs


@layer(
    "softmax, with an eps in its sum", "object; a gradient that is right to ten digits, not to sixteen", SoftmaxWithEps
)
def softmax_with_eps(rng):
    return of_object(SoftmaxWithEps(), inputs=draw(rng, (4, 5))[0])
