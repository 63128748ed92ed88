"""Modules in modules: a transformer's encoder, whose weights lie deep in lists of objects.

Sources: A. Vaswani et al. (2017), "Attention Is All You Need", section 3; J. Ba et al. (2016), "Layer Normalization".
"""

import numpy as np

from .base import Case, draw, layer, of_object

NESTED = "objects in lists in objects; W.data, W.grad added to"


class Parameter:
    def __init__(self, data):
        self.data = data
        self.grad = np.zeros_like(data)


def parameters_of(item):
    """Return everything with a grad inside an object or a list, in order."""
    if hasattr(item, "grad"):
        return [item]
    inside = item if isinstance(item, list) else vars(item).values() if hasattr(item, "__dict__") else []
    return [parameter for part in inside for parameter in parameters_of(part)]


class Linear:
    def __init__(self, rng, n_in, n_out):
        self.W = Parameter(rng.normal(size=(n_in, n_out)))
        self.input = None

    def __call__(self, input):
        self.input = input
        return input @ self.W.data

    def backward(self, next):
        self.W.grad += (self.input.swapaxes(-1, -2) @ next).sum(axis=0)
        return next @ self.W.data.T


class Head:
    """One head of attention; input is a list [query, key, value]."""

    def __init__(self, rng, d_model, d_hidden):
        self.lin_Q, self.lin_K, self.lin_V = (Linear(rng, d_model, d_hidden) for _ in range(3))
        self.scale = d_hidden**0.5

    def __call__(self, input):
        q, k, v = self.lin_Q(input[0]), self.lin_K(input[1]), self.lin_V(input[2])
        x = q @ k.swapaxes(-1, -2) / self.scale
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        p = e / e.sum(axis=-1, keepdims=True)
        self.saved = q, k, v, p
        return p @ v

    def backward(self, next):
        q, k, v, p = self.saved
        dp = next @ v.swapaxes(-1, -2)
        dx = p * (dp - (dp * p).sum(axis=-1, keepdims=True)) / self.scale
        return (
            self.lin_Q.backward(dx @ k),
            self.lin_K.backward(dx.swapaxes(-1, -2) @ q),
            self.lin_V.backward(p.swapaxes(-1, -2) @ next),
        )


class MultiHead:
    """Heads in a list; the gradients of the three inputs come back in one array."""

    def __init__(self, rng, n_heads, d_model, d_hidden):
        self.heads = [Head(rng, d_model, d_hidden) for _ in range(n_heads)]
        self.lin = Linear(rng, n_heads * d_hidden, d_model)

    def __call__(self, input):
        return self.forward(input)

    def forward(self, input):
        return self.lin(np.concatenate([head(input) for head in self.heads], axis=-1))

    def backward(self, next):
        pieces = np.split(self.lin.backward(next), len(self.heads), axis=-1)
        return np.sum([head.backward(d) for head, d in zip(self.heads, pieces, strict=True)], axis=0)


class SelfAttention(MultiHead):
    def forward(self, input):
        return super().forward([input, input, input])

    def backward(self, next):
        return np.sum(super().backward(next), axis=0)


class Normalise:
    def __call__(self, x):
        self.sigma = x.std(axis=-1, keepdims=True)
        self.z = (x - x.mean(axis=-1, keepdims=True)) / self.sigma
        return self.z

    def backward(self, d):
        return (d - d.mean(-1, keepdims=True) - self.z * (d * self.z).mean(-1, keepdims=True)) / self.sigma


class FeedForward:
    def __init__(self, rng, d_model, d_ff):
        self.layers = [Linear(rng, d_model, d_ff), Linear(rng, d_ff, d_model)]

    def __call__(self, x):
        self.hidden = self.layers[0](x)
        return self.layers[1](np.maximum(self.hidden, 0))

    def backward(self, d):
        return self.layers[0].backward(self.layers[1].backward(d) * (self.hidden > 0))


class SubBlock:
    def __init__(self, sublayer):
        self.sublayer, self.norm = sublayer, Normalise()

    def __call__(self, x):
        return self.norm(x + self.sublayer(x))

    def backward(self, d):
        d = self.norm.backward(d)
        return d + self.sublayer.backward(d)


class EncoderBlock:
    def __init__(self, rng, d_model, d_hidden, d_ff):
        attention = SelfAttention(rng, 2, d_model, d_hidden)
        self.layers = [SubBlock(attention), SubBlock(FeedForward(rng, d_model, d_ff))]

    def forward(self, input):
        for sub in self.layers:
            input = sub(input)
        return input

    def backward(self, next):
        for sub in reversed(self.layers):
            next = sub.backward(next)
        return next


MODULES = (Parameter, Linear, Head, MultiHead, SelfAttention, Normalise, FeedForward, SubBlock, EncoderBlock)


@layer("encoder block", NESTED + "; five levels deep", *MODULES)
def encoder_block(rng):
    block = EncoderBlock(rng, 4, 3, 5)
    weights = parameters_of(block)
    params = {f"W{k}": weight.data for k, weight in enumerate(weights)}
    return of_object(block, params, lambda: [weight.grad for weight in weights], input=draw(rng, (2, 3, 4))[0])


@layer(
    "multi-head attention of a list",
    NESTED + "; forward([q, k, v]); gradients in one array",
    Parameter,
    Linear,
    Head,
    MultiHead,
)
def multi_head_of_list(rng):
    heads, inputs = MultiHead(rng, 2, 4, 3), list(draw(rng, *[(2, 5, 4)] * 3))
    weights = parameters_of(heads)

    def undo(d):
        return [*heads.backward(d), *(weight.grad for weight in weights)]

    arrays = dict(zip("qkv", inputs, strict=True)) | {f"W{k}": weight.data for k, weight in enumerate(weights)}
    return Case(
        arrays,
        lambda: heads.forward(inputs),
        undo,
        lambda check, **options: check(heads, inputs=(inputs,), **options),
    )
