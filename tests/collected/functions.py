"""Pairs of functions ``forward(x, w, b, settings) -> out, cache`` and ``backward(dout, cache)``, as in exercises.

Sources: I. Goodfellow, Y. Bengio, A. Courville (2016), "Deep Learning", chapters 6, 9 and 10, and where named.
"""

import numpy as np

from .base import draw, layer, of_functions, sigmoid

COURSE = "course exercise: functions, cache a tuple"


def affine_forward(x, w, b):
    rows = x.reshape(x.shape[0], -1)
    return rows.dot(w) + b, (x, w, b)


def affine_backward(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(x.shape[0], -1).T.dot(dout)
    db = dout.sum(axis=0)
    return dx, dw, db


@layer("affine, flattened images", COURSE, affine_forward, affine_backward)
def affine(rng):
    x, w, b = draw(rng, (4, 2, 3), (6, 5), (5,))
    return of_functions(affine_forward, affine_backward, x=x, w=w, b=b)


def relu_forward(x):
    out = np.maximum(0, x)
    cache = x
    return out, cache


def relu_backward(dout, cache):
    x = cache
    dx = np.array(dout, copy=True)
    dx[x <= 0] = 0
    return dx


@layer("ReLU", COURSE + "; the cache is the input itself", relu_forward, relu_backward)
def relu(rng):
    (x,) = draw(rng, (4, 7))
    return of_functions(relu_forward, relu_backward, x=x)


def leaky_relu_forward(x, alpha=0.1):
    return np.where(x > 0, x, alpha * x), (x, alpha)


def leaky_relu_backward(dout, cache):
    x, alpha = cache
    dout[x < 0] *= alpha
    return dout


@layer("leaky ReLU", COURSE + "; changes dout in place", leaky_relu_forward, leaky_relu_backward)
def leaky_relu(rng):
    (x,) = draw(rng, (4, 7))
    return of_functions(leaky_relu_forward, leaky_relu_backward, x=x)


def affine_relu_forward(x, w, b):
    a, fc_cache = affine_forward(x, w, b)
    out, relu_cache = relu_forward(a)
    return out, (fc_cache, relu_cache)


def affine_relu_backward(dout, cache):
    fc_cache, relu_cache = cache
    da = relu_backward(dout, relu_cache)
    dx, dw, db = affine_backward(da, fc_cache)
    return dx, dw, db


@layer("affine and ReLU", COURSE + " of caches", affine_relu_forward, affine_relu_backward)
def affine_relu(rng):
    x, w, b = draw(rng, (4, 3), (3, 5), (5,))
    return of_functions(affine_relu_forward, affine_relu_backward, x=x, w=w, b=b)


def two_layer_forward(X, params):
    Z1 = X @ params["W1"] + params["b1"]
    A1 = np.tanh(Z1)
    Z2 = A1 @ params["W2"] + params["b2"]
    return Z2, {"X": X, "A1": A1, "W2": params["W2"]}


def two_layer_backward(dZ2, cache):
    grads = {}
    grads["dW2"] = cache["A1"].T @ dZ2
    grads["db2"] = np.sum(dZ2, axis=0, keepdims=True)
    dZ1 = dZ2 @ cache["W2"].T * (1 - np.power(cache["A1"], 2))
    grads["dW1"] = cache["X"].T @ dZ1
    grads["db1"] = np.sum(dZ1, axis=0, keepdims=True)
    return grads


@layer(
    "two-layer network",
    "a dict of parameters, gradients in a dict, (1, D) biases",
    two_layer_forward,
    two_layer_backward,
)
def two_layer(rng):
    X, W1, b1, W2, b2 = draw(rng, (5, 4), (4, 3), (1, 3), (3, 2), (1, 2))
    params = dict(W1=W1, b1=b1, W2=W2, b2=b2)
    case = of_functions(
        two_layer_forward,
        two_layer_backward,
        _X=X,
        params=params,
        pick=lambda grads: [grads["d" + name] for name in params],
        check=lambda check_layer, **options: check_layer(
            two_layer_forward, two_layer_backward, {"X": X}, params, skip=("X",), **options
        ),
    )
    case.arrays.update(params)
    return case


def dropout_forward(x, dropout_param):
    p, mode = dropout_param["p"], dropout_param["mode"]
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])  # noqa: NPY002
    mask = None
    if mode == "train":
        mask = (np.random.rand(*x.shape) < p) / p  # noqa: NPY002
        out = x * mask
    else:
        out = x
    return out.astype(x.dtype, copy=False), (dropout_param, mask)


def dropout_backward(dout, cache):
    dropout_param, mask = cache
    if dropout_param["mode"] == "train":
        dx = dout * mask
    else:
        dx = dout
    return dx


@layer("dropout", COURSE + ", a dict of settings with the seed", dropout_forward, dropout_backward)
def dropout(rng):
    (x,) = draw(rng, (5, 6))
    return of_functions(dropout_forward, dropout_backward, x=x, _settings={"p": 0.6, "mode": "train", "seed": 3})


def softmax_loss(x, y):
    shifted = x - x.max(axis=1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    N = x.shape[0]
    loss = -np.sum(log_probs[np.arange(N), y]) / N
    dx = np.exp(log_probs)
    dx[np.arange(N), y] -= 1
    dx /= N
    return loss, dx


def loss_and_gradient(function, x, y):
    """Return the case of ``function(x, y) -> (loss, dx)``."""
    return of_functions(
        function,
        lambda dout, dx: dx,
        x=x,
        y=y,
        check=lambda check, **options: check(function, inputs=(x, y), **options),
    )


@layer("softmax loss, one function", "returns loss and gradient together", softmax_loss)
def softmax_loss_case(rng):
    (x,) = draw(rng, (4, 3))
    return loss_and_gradient(softmax_loss, x, rng.integers(0, 3, 4))


def svm_loss(x, y):
    N = x.shape[0]
    correct = x[np.arange(N), y]
    margins = np.maximum(0, x - correct[:, np.newaxis] + 1.0)
    margins[np.arange(N), y] = 0
    loss = np.sum(margins) / N
    num_pos = np.sum(margins > 0, axis=1)
    dx = np.zeros_like(x)
    dx[margins > 0] = 1
    dx[np.arange(N), y] -= num_pos
    dx /= N
    return loss, dx


@layer("hinge loss of several classes, one function", "returns loss and gradient together", svm_loss)
def svm_loss_case(rng):
    (x,) = draw(rng, (5, 4))
    return loss_and_gradient(svm_loss, x, rng.integers(0, 4, 5))


def word_embedding_forward(x, W):
    out = W[x]
    return out, (x, W)


def word_embedding_backward(dout, cache):
    x, W = cache
    dW = np.zeros_like(W)
    np.add.at(dW, x, dout)
    return dW


@layer("word embedding", COURSE + "; repeated words", word_embedding_forward, word_embedding_backward)
def word_embedding(rng):
    (W,) = draw(rng, (6, 3))
    return of_functions(word_embedding_forward, word_embedding_backward, x=np.array([[0, 2, 2, 5], [4, 1, 3, 2]]), W=W)


def temporal_affine_forward(x, w, b):
    N, T, D = x.shape
    M = b.shape[0]
    out = x.reshape(N * T, D).dot(w).reshape(N, T, M) + b
    return out, (x, w, b, out)


def temporal_affine_backward(dout, cache):
    x, w, b, out = cache
    N, T, D = x.shape
    M = b.shape[0]
    dx = dout.reshape(N * T, M).dot(w.T).reshape(N, T, D)
    dw = dout.reshape(N * T, M).T.dot(x.reshape(N * T, D)).T
    db = dout.sum(axis=(0, 1))
    return dx, dw, db


@layer("affine over time", COURSE, temporal_affine_forward, temporal_affine_backward)
def temporal_affine(rng):
    x, w, b = draw(rng, (2, 4, 3), (3, 3), (3,))
    return of_functions(temporal_affine_forward, temporal_affine_backward, x=x, w=w, b=b)


def glu_forward(x, w, v):
    a, b = x @ w, x @ v
    gate = sigmoid(b)
    return a * gate, (x, w, v, a, gate)


def glu_backward(dout, cache):
    x, w, v, a, gate = cache
    da = dout * gate
    db = dout * a * gate * (1 - gate)
    return da @ w.T + db @ v.T, x.T @ da, x.T @ db


@layer("gated linear unit", COURSE + "; Dauphin et al. (2017)", glu_forward, glu_backward)
def glu(rng):
    x, w, v = draw(rng, (4, 3), (3, 2), (3, 2))
    return of_functions(glu_forward, glu_backward, x=x, w=w, v=v)


def bilinear_forward(x1, x2, W, b):
    out = np.einsum("ni,kij,nj->nk", x1, W, x2) + b
    return out, (x1, x2, W)


def bilinear_backward(dout, cache):
    x1, x2, W = cache
    dx1 = np.einsum("nk,kij,nj->ni", dout, W, x2)
    dx2 = np.einsum("nk,kij,ni->nj", dout, W, x1)
    dW = np.einsum("nk,ni,nj->kij", dout, x1, x2)
    return {"x1": dx1, "x2": dx2, "W": dW, "b": dout.sum(axis=0)}


@layer(
    "bilinear", "functions; einsum; gradients in a dict named like the arguments", bilinear_forward, bilinear_backward
)
def bilinear(rng):
    x1, x2, W, b = draw(rng, (4, 3), (4, 3), (2, 3, 3), (2,))
    return of_functions(
        bilinear_forward,
        bilinear_backward,
        x1=x1,
        x2=x2,
        W=W,
        b=b,
        pick=lambda g: [g[k] for k in ("x1", "x2", "W", "b")],
    )


def maxout_forward(x, W, b):
    z = np.einsum("nd,dhk->nhk", x, W) + b
    best = z.argmax(axis=2)
    out = z.max(axis=2)
    return out, (x, W, best)


def maxout_backward(dout, cache):
    x, W, best = cache
    mask = best[:, :, None] == np.arange(W.shape[2])
    dz = dout[:, :, None] * mask
    return np.einsum("nhk,dhk->nd", dz, W), np.einsum("nd,nhk->dhk", x, dz), dz.sum(axis=0)


@layer("maxout", "functions; Goodfellow et al. (2013)", maxout_forward, maxout_backward)
def maxout(rng):
    x, W, b = draw(rng, (5, 4), (4, 3, 2), (3, 2))
    return of_functions(maxout_forward, maxout_backward, x=x, W=W, b=b)


def prelu_forward(x, a):
    return np.where(x > 0, x, a * x), (x, a)


def prelu_backward(dout, cache):
    x, a = cache
    dx = np.where(x > 0, dout, a * dout)
    da = np.where(x > 0, 0, x * dout).sum(axis=0)
    return dx, da


@layer("PReLU with learned slopes", "functions; He et al. (2015)", prelu_forward, prelu_backward)
def prelu(rng):
    x, a = draw(rng, (6, 3), (3,))
    return of_functions(prelu_forward, prelu_backward, x=x, a=a)
