"""Embeddings of words, positions and times, as objects.

Sources: T. Mikolov et al. (2013), "Distributed Representations of Words and Phrases"; S. Kazemi et al. (2019),
"Time2Vec", equation 1.
"""

import numpy as np

from .base import draw, layer, of_object
from .normalizations import Tensor


class Embedding:
    """Integers only; backward returns nothing, and fills the gradient with np.add.at."""

    def __init__(self, W):
        self.params = [W]
        self.grads = [np.zeros_like(W)]
        self.idx = None

    def forward(self, idx):
        (W,) = self.params
        self.idx = idx
        return W[idx]

    def backward(self, dout):
        (dW,) = self.grads
        dW[...] = 0
        np.add.at(dW, self.idx, dout)
        return None


@layer("embedding", "object; lists; backward returns None; repeated words", Embedding)
def embedding(rng):
    (W,) = draw(rng, (5, 3))
    words = Embedding(W)
    return of_object(words, dict(W=W), lambda: words.grads, idx=np.array([0, 3, 3, 1, 4, 2, 3]))


class EmbeddingDot:
    """The score of a word is the product of h and its row; one layer in another."""

    def __init__(self, W):
        self.embed = Embedding(W)
        self.params = self.embed.params
        self.grads = self.embed.grads
        self.cache = None

    def forward(self, h, idx):
        target_W = self.embed.forward(idx)
        out = np.sum(target_W * h, axis=1)
        self.cache = (h, target_W)
        return out

    def backward(self, dout):
        h, target_W = self.cache
        dout = dout.reshape(dout.shape[0], 1)
        dtarget_W = dout * h
        self.embed.backward(dtarget_W)
        dh = dout * target_W
        return dh


@layer("score of words", "object; lists shared with a layer inside", EmbeddingDot, Embedding)
def embedding_dot(rng):
    h, W = draw(rng, (4, 3), (5, 3))
    dot = EmbeddingDot(W)
    return of_object(dot, dict(W=W), lambda: dot.grads, h=h, idx=np.array([0, 4, 4, 2]))


class Time2Vec:
    """Linear in time in the first number, periodic in all others; dw, db kept as attributes; column-major (D, N)."""

    def __init__(self, w, b):
        self.w, self.b = w, b

    def forward(self, tau):
        self.tau = tau
        z = self.w * tau + self.b
        self.z = z
        return np.concatenate([z[:1], np.sin(z[1:])])

    def backward(self, dout):
        dz = np.concatenate([dout[:1], dout[1:] * np.cos(self.z[1:])])
        self.dw = np.sum(dz * self.tau, axis=1, keepdims=True)
        self.db = np.sum(dz, axis=1, keepdims=True)
        return np.sum(dz * self.w, axis=0, keepdims=True)


@layer("time embedding", "object; attributes w, dw; columns: (D, 1) weights, (1, N) times", Time2Vec)
def time2vec(rng):
    tau, w, b = draw(rng, (1, 5), (4, 1), (4, 1))
    embed = Time2Vec(w, b)
    return of_object(embed, dict(w=w, b=b), lambda: [embed.dw, embed.db], tau=tau)


class LearnedPositions:
    """Word rows plus position rows; nested weights, whose gradients are added to."""

    def __init__(self, words, positions):
        self.wte, self.wpe = Tensor(words), Tensor(positions)

    def forward(self, ids):
        self.ids = ids
        return self.wte.data[ids] + self.wpe.data[: ids.shape[1]]

    def backward(self, dout):
        np.add.at(self.wte.grad, self.ids, dout)
        self.wpe.grad[: self.ids.shape[1]] += dout.sum(axis=0)


@layer("words and positions", "object; wte.data, wte.grad; rows that are not used", LearnedPositions, Tensor)
def learned_positions(rng):
    words, positions = draw(rng, (5, 3), (6, 3))
    embed = LearnedPositions(words, positions)
    grads = lambda: [embed.wte.grad, embed.wpe.grad]  # noqa: E731
    return of_object(embed, dict(wte=words, wpe=positions), grads, ids=np.array([[0, 4, 4, 2], [1, 4, 0, 3]]))


class OneHotEmbedding:
    """Looks up by a product with one-hot rows, and returns a gradient of these rows, which nobody needs."""

    def __init__(self, weights):
        self.weights = weights

    def forward(self, inputs, training=True):
        self.inputs = np.eye(len(self.weights))[inputs]
        return self.inputs @ self.weights

    def __call__(self, *args, **kwds):
        return self.forward(*args, **kwds)

    def backward(self, dvalues):
        rows, size = self.weights.shape
        self.dweights = self.inputs.reshape(-1, rows).T @ dvalues.reshape(-1, size)
        self.dinputs = dvalues @ self.weights.T
        return self.dinputs

    @property
    def params(self):
        return [self.weights]

    @property
    def grads(self):
        return [self.dweights]


@layer(
    "embedding, one-hot rows",
    "object; properties params, grads; backward returns a gradient of one-hot rows",
    OneHotEmbedding,
)
def one_hot_embedding(rng):
    (weights,) = draw(rng, (6, 3))
    words = OneHotEmbedding(weights)
    return of_object(words, dict(weights=weights), lambda: words.grads, inputs=np.array([[0, 1, 1], [5, 4, 2]]))
