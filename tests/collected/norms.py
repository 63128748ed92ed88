"""Normalisations by a length, and of weights.

Sources: B. Zhang, R. Sennrich (2019), "Root Mean Square Layer Normalization", equation 4; T. Salimans, D. Kingma
(2016), "Weight Normalization", equations 2 and 3; J. Ba et al. (2016), "Layer Normalization", equation 4.
"""

import numpy as np

from .base import draw, layer, of_functions, of_object


def rms_norm_forward(x, weight, eps=0.03):
    rms = np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + eps)
    return x / rms * weight, (x, weight, rms)


def rms_norm_backward(dout, cache):
    x, weight, rms = cache
    D = x.shape[-1]
    dn = dout * weight
    dx = dn / rms - x * np.sum(dn * x, axis=-1, keepdims=True) / (D * rms**3)
    dweight = np.sum(dout * x / rms, axis=tuple(range(x.ndim - 1)))
    return dx, dweight


@layer("RMS normalisation", "functions; eps is a default argument", rms_norm_forward, rms_norm_backward)
def rms_norm(rng):
    x, weight = draw(rng, (2, 3, 5), (5,))
    return of_functions(rms_norm_forward, rms_norm_backward, x=x, weight=weight)


def l2_normalize_forward(x):
    norm = np.sqrt(np.sum(x * x, axis=1, keepdims=True))
    y = x / norm
    return y, (y, norm)


def l2_normalize_backward(dy, cache):
    y, norm = cache
    return (dy - y * np.sum(y * dy, axis=1, keepdims=True)) / norm


@layer("L2 normalisation of rows", "functions; the cache holds the output", l2_normalize_forward, l2_normalize_backward)
def l2_normalize(rng):
    return of_functions(l2_normalize_forward, l2_normalize_backward, x=draw(rng, (4, 3))[0])


class WeightNormLinear:
    """The weights of a unit are g v / |v|; gradients as attributes grad_g, grad_v, grad_bias."""

    def __init__(self, v, g, bias):
        self.v, self.g, self.bias = v, g, bias

    def forward(self, x):
        self.x = x
        self.norm = np.sqrt((self.v**2).sum(axis=1, keepdims=True))
        self.w = self.g * self.v / self.norm
        return x @ self.w.T + self.bias

    def backward(self, grad_out):
        grad_w = grad_out.T @ self.x
        self.grad_bias = grad_out.sum(0)
        self.grad_g = (grad_w * self.v / self.norm).sum(axis=1, keepdims=True)
        self.grad_v = self.g / self.norm * grad_w - self.g * self.grad_g / self.norm**2 * self.v
        return grad_out @ self.w


@layer("weight normalisation", "object; attributes v and grad_v; g is (D, 1)", WeightNormLinear)
def weight_norm(rng):
    x, v, g, bias = draw(rng, (4, 3), (2, 3), (2, 1), (2,))
    linear = WeightNormLinear(v, g, bias)
    grads = lambda: [linear.grad_v, linear.grad_g, linear.grad_bias]  # noqa: E731
    return of_object(linear, dict(v=v, g=g, bias=bias), grads, x=x)


class LayerNormBesideStd:
    """eps is added to the standard deviation; the gradient takes the two as one, which is right to ten digits."""

    def __init__(self, gamma, beta, eps=1e-10):
        self.gamma, self.beta, self.eps = gamma, beta, eps

    def forward(self, inputs, training=True):
        self.std = inputs.std(axis=-1, keepdims=True) + self.eps
        self.centered = inputs - inputs.mean(axis=-1, keepdims=True)
        return self.gamma * self.centered / self.std + self.beta

    def backward(self, dvalues):
        dim = dvalues.shape[-1]
        self.dgamma = np.sum((dvalues * self.centered / self.std).reshape(-1, dim), axis=0)
        self.dbeta = np.sum(dvalues.reshape(-1, dim), axis=0)
        dhat = dvalues * self.gamma
        dvar = -0.5 * np.sum(dhat * self.centered * self.std ** (-3), axis=-1, keepdims=True)
        dcentered = dhat / self.std + 2 * self.centered * dvar / dim
        return dcentered - np.mean(dcentered, axis=-1, keepdims=True)


@layer(
    "layer normalisation, eps beside std",
    "object; gamma, dgamma; a gradient that is right to ten digits",
    LayerNormBesideStd,
)
def layernorm_beside_std(rng):
    x, gamma, beta = draw(rng, (2, 3, 4), (4,), (4,))
    norm = LayerNormBesideStd(gamma, beta)
    return of_object(norm, dict(gamma=gamma, beta=beta), lambda: [norm.dgamma, norm.dbeta], inputs=x)
