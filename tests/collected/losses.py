"""Losses: the last layer of a network, whose backward pass often takes no upstream gradient at all.

Sources: C. Bishop (2006), "Pattern Recognition and Machine Learning", chapters 3 and 4; P. Huber (1964), "Robust
Estimation of a Location Parameter"; T. Mikolov et al. (2013), "Distributed Representations of Words and Phrases",
equation 4.
"""

import numpy as np

from .base import Case, draw, layer, of_functions, of_object, sigmoid


class SoftmaxWithLoss:
    """forward(x, t) returns the loss, backward(dout=1) starts the chain; labels or one-hot rows."""

    def __init__(self):
        self.params, self.grads = [], []
        self.y = None
        self.t = None

    def forward(self, x, t):
        self.t = t
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y = e / e.sum(axis=1, keepdims=True)
        if self.t.size == self.y.size:
            self.t = self.t.argmax(axis=1)
        batch_size = self.y.shape[0]
        return -np.sum(np.log(self.y[np.arange(batch_size), self.t] + 1e-7)) / batch_size

    def backward(self, dout=1):
        batch_size = self.t.shape[0]
        p = self.y[np.arange(batch_size), self.t]
        d = p / (p + 1e-7)
        dx = self.y.copy()
        dx[np.arange(batch_size), self.t] -= 1
        dx *= dout * d[:, None]
        dx = dx / batch_size
        return dx


@layer("softmax with cross-entropy", "object; backward(dout=1); log(p + 1e-7)", SoftmaxWithLoss)
def softmax_with_loss(rng):
    x, t = draw(rng, (4, 3))[0], np.array([2, 0, 1, 1])
    x[3] += [9, -4, 0]  # surely wrong: the probability of the right class is as small as the 1e-7
    return of_object(SoftmaxWithLoss(), x=x, t=t)


class SigmoidWithLoss:
    def __init__(self):
        self.params, self.grads = [], []

    def forward(self, x, t):
        self.t = t
        self.y = 1 / (1 + np.exp(-x))
        both = np.c_[1 - self.y, self.y]
        return -np.mean(np.log(both[np.arange(len(t)), t]))

    def backward(self, dout=1):
        batch_size = self.t.shape[0]
        dx = (self.y - self.t) * dout / batch_size
        return dx


@layer("sigmoid with cross-entropy", "object; backward(dout=1); vectors", SigmoidWithLoss)
def sigmoid_with_loss(rng):
    return of_object(SigmoidWithLoss(), x=draw(rng, (5,))[0], t=np.array([1, 0, 0, 1, 1]))


class TimeSoftmaxWithLoss:
    """Over (N, T, V); steps with the label -1 do not count."""

    def __init__(self):
        self.params, self.grads = [], []
        self.cache = None
        self.ignore_label = -1

    def forward(self, xs, ts):
        N, T, V = xs.shape
        mask = (ts != self.ignore_label).reshape(N * T)
        xs, ts = xs.reshape(N * T, V), ts.reshape(N * T)
        e = np.exp(xs - xs.max(axis=1, keepdims=True))
        ys = e / e.sum(axis=1, keepdims=True)
        ls = np.log(ys[np.arange(N * T), ts])
        ls *= mask
        loss = -np.sum(ls)
        loss /= mask.sum()
        self.cache = (ts, ys, mask, (N, T, V))
        return loss

    def backward(self, dout=1):
        ts, ys, mask, (N, T, V) = self.cache
        dx = ys
        dx[np.arange(N * T), ts] -= 1
        dx *= dout
        dx /= mask.sum()
        dx *= mask[:, np.newaxis]
        dx = dx.reshape((N, T, V))
        return dx


@layer(
    "cross-entropy over time", "object; backward(dout=1) overwrites its cache; label -1 is ignored", TimeSoftmaxWithLoss
)
def time_softmax(rng):
    ts = np.array([[0, 2, 4, 3], [1, -1, -1, 0]])
    return of_object(TimeSoftmaxWithLoss(), xs=draw(rng, (2, 4, 5))[0], ts=ts)


class MSELoss:
    """Called like a function; backward() takes no argument at all."""

    def __call__(self, prediction, target):
        return self.forward(prediction, target)

    def forward(self, prediction, target):
        self.difference = prediction - target
        return np.mean(self.difference**2)

    def backward(self):
        return 2 * self.difference / self.difference.size


@layer("mean squared error", "object with __call__; backward() without an argument", MSELoss)
def mse(rng):
    p, t = draw(rng, (4, 3), (4, 3))
    loss = MSELoss()
    case = of_object(loss, prediction=p, _target=t, skip=("target",))
    return Case(case.arrays, case.forward, lambda dout: [loss.backward()], case.check)


class SquaredError:
    """loss(y, y_pred) for each number, and gradient(y, y_pred); the layer before takes the gradient."""

    def loss(self, y, y_pred):
        return 0.5 * np.power((y - y_pred), 2)

    def gradient(self, y, y_pred):
        return -(y - y_pred)


class CrossEntropyOfProbabilities:
    def loss(self, y, p):
        p = np.clip(p, 1e-15, 1 - 1e-15)
        return -y * np.log(p) - (1 - y) * np.log(1 - p)

    def gradient(self, y, p):
        p = np.clip(p, 1e-15, 1 - 1e-15)
        return -(y / p) + (1 - y) / (1 - p)


def loss_of_pairs(name, loss_class, probabilities):
    @layer(
        name,
        "loss(y, p) of each number, gradient(y, p) without dout",
        loss_class,
        adapter="check_layer(lambda p: (loss.loss(y, p), p), lambda dout, p: dout * loss.gradient(y, p), (p,))",
    )
    def case(rng):
        loss = globals()[loss_class.__name__]()
        y, p = draw(rng, (4, 3), (4, 3))
        if probabilities:
            y, p = (y > 0).astype(float), sigmoid(p)

        def check(check_layer, **options):
            return check_layer(
                lambda p: (loss.loss(y, p), p), lambda dout, p: dout * loss.gradient(y, p), (p,), **options
            )

        return Case({"p": p}, lambda: loss.loss(y, p), lambda dout: [dout * loss.gradient(y, p)], check)


loss_of_pairs("squared error, number by number", SquaredError, False)
loss_of_pairs("cross-entropy of probabilities", CrossEntropyOfProbabilities, True)


class HuberLoss:
    def __init__(self, delta=0.7):
        self.delta = delta

    def forward(self, predicted, actual):
        error = predicted - actual
        self.error = error
        small = np.abs(error) <= self.delta
        return np.mean(np.where(small, 0.5 * error**2, self.delta * (np.abs(error) - 0.5 * self.delta)))

    def backward(self, dout=1.0):
        slope = np.clip(self.error, -self.delta, self.delta)
        return dout * slope / self.error.size


@layer("Huber loss", "object; backward(dout=1.0)", HuberLoss)
def huber(rng):
    p, t = draw(rng, (4, 3), (4, 3))
    return of_object(HuberLoss(), predicted=p, _actual=t, skip=("actual",))


def bce_with_logits(z, y):
    loss = np.mean(np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z))))
    return loss, (z, y)


def bce_with_logits_backward(dloss, cache):
    z, y = cache
    return dloss * (1 / (1 + np.exp(-z)) - y) / z.size


@layer("binary cross-entropy of logits", "functions; np.abs, a float target", bce_with_logits, bce_with_logits_backward)
def bce(rng):
    z, y = draw(rng, (4, 2), (4, 2))
    return of_functions(bce_with_logits, bce_with_logits_backward, skip=("y",), z=z, _y=(y > 0).astype(float))


class HingeLoss:
    """For labels -1 and 1; backward ignores what it is given."""

    def forward(self, scores, labels):
        self.labels, self.margins = labels, 1 - labels * scores
        return np.maximum(0, self.margins).mean()

    def backward(self, dout=None):
        return np.where(self.margins > 0, -self.labels, 0) / self.margins.size


@layer("hinge loss", "object; backward(dout=None) ignores dout", HingeLoss)
def hinge(rng):
    return of_object(HingeLoss(), scores=draw(rng, (7,))[0], labels=np.array([1, -1, 1, 1, -1, -1, 1]))


class NegativeSampling:
    """Word2vec: one right word and K wrong ones for each context; two embeddings, gradients added into arrays."""

    def __init__(self, W_in, W_out):
        self.params = [W_in, W_out]
        self.grads = [np.zeros_like(W_in), np.zeros_like(W_out)]

    def forward(self, contexts, words, signs):
        W_in, W_out = self.params
        self.h = W_in[contexts].mean(axis=1)
        self.rows = W_out[words]
        self.scores = signs * np.einsum("nd,nkd->nk", self.h, self.rows)
        self.index = contexts, words, signs
        return -np.log(sigmoid(self.scores)).sum() / len(contexts)

    def backward(self, dout=1):
        contexts, words, signs = self.index
        dscores = dout * signs * (sigmoid(self.scores) - 1) / len(contexts)
        drows = dscores[:, :, None] * self.h[:, None, :]
        dh = np.einsum("nk,nkd->nd", dscores, self.rows)
        dh = dh / contexts.shape[1]
        dW_in, dW_out = self.grads
        dW_in[...] = 0
        dW_out[...] = 0
        np.add.at(dW_in, contexts, dh[:, None, :])
        np.add.at(dW_out, words, drows)
        return None


@layer(
    "word2vec by negative sampling", "object; lists; grads[0][...] filled; ints only, returns None", NegativeSampling
)
def negative_sampling(rng):
    loss = NegativeSampling(*draw(rng, (7, 3), (7, 3)))
    contexts, words = np.array([[0, 2], [2, 2], [5, 0], [6, 3]]), np.array([[1, 4, 0], [3, 3, 5], [2, 1, 6], [1, 0, 4]])
    signs = np.array([[1, -1, -1]] * 4)
    params = dict(zip(("W_in", "W_out"), loss.params, strict=True))
    return of_object(loss, params, lambda: loss.grads, contexts=contexts, words=words, signs=signs)


def cross_entropy_and_delta(logits, labels):
    """Columns are examples: logits (K, N), one-hot labels (K, N)."""
    e = np.exp(logits - logits.max(axis=0))
    P = e / e.sum(axis=0)
    m = labels.shape[1]
    cost = -np.sum(labels * np.log(P)) / m
    return cost, (P, labels, m)


def delta_backward(_, cache):
    P, labels, m = cache
    dZ = (P - labels) / m
    return dZ


@layer(
    "cross-entropy, columns",
    "functions; examples are columns; backward ignores dout",
    cross_entropy_and_delta,
    delta_backward,
)
def columns_cross_entropy(rng):
    labels = np.eye(3)[:, rng.integers(0, 3, 5)]
    return of_functions(
        cross_entropy_and_delta, delta_backward, logits=draw(rng, (3, 5))[0], _labels=labels, skip=("labels",)
    )
