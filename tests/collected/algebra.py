"""Products, sums and lookups without weights, as pairs of functions.

Source: I. Goodfellow, Y. Bengio, A. Courville (2016), "Deep Learning", chapter 2 and section 6.5.6.
"""

import numpy as np

from .base import draw, layer, of_functions


def cosine_forward(u, v):
    nu = np.linalg.norm(u, axis=1, keepdims=True)
    nv = np.linalg.norm(v, axis=1, keepdims=True)
    s = np.sum(u * v, axis=1, keepdims=True) / (nu * nv)
    return s, (u, v, nu, nv, s)


def cosine_backward(ds, cache):
    u, v, nu, nv, s = cache
    du = ds * (v / (nu * nv) - s * u / nu**2)
    dv = ds * (u / (nu * nv) - s * v / nv**2)
    return du, dv


@layer("cosine similarity", "functions; np.linalg.norm, which no complex step passes", cosine_forward, cosine_backward)
def cosine(rng):
    u, v = draw(rng, (4, 3), (4, 3))
    return of_functions(cosine_forward, cosine_backward, u=u, v=v)


def outer_forward(a, b):
    return a[:, :, None] * b[:, None, :], (a, b)


def outer_backward(dout, cache):
    a, b = cache
    return np.sum(dout * b[:, None, :], axis=2), np.sum(dout * a[:, :, None], axis=1)


@layer("outer product", "functions; two inputs, no weights", outer_forward, outer_backward)
def outer(rng):
    a, b = draw(rng, (3, 4), (3, 4))
    return of_functions(outer_forward, outer_backward, a=a, b=b)


def cumsum_forward(x):
    return np.cumsum(x, axis=1), x.shape


def cumsum_backward(dout, shape):
    return np.flip(np.cumsum(np.flip(dout, axis=1), axis=1), axis=1)


@layer("cumulative sum", "functions; the cache is only a shape", cumsum_forward, cumsum_backward)
def cumsum(rng):
    (x,) = draw(rng, (3, 5))
    return of_functions(cumsum_forward, cumsum_backward, x=x)


def gather_forward(x, index):
    return np.take_along_axis(x, index, axis=1), (x.shape, index)


def gather_backward(dout, cache):
    shape, index = cache
    dx = np.zeros(shape)
    rows = np.arange(shape[0])[:, None]
    np.add.at(dx, (rows, index), dout)
    return dx


@layer("gather along an axis", "functions; repeated indices", gather_forward, gather_backward)
def gather(rng):
    (x,) = draw(rng, (3, 5))
    return of_functions(
        gather_forward, gather_backward, x=x, index=np.array([[0, 4, 4, 1], [2, 2, 2, 3], [1, 0, 3, 0]])
    )


def scatter_forward(src, index, n_rows):
    out = np.zeros((n_rows, src.shape[1]))
    np.add.at(out, index, src)
    return out, index


def scatter_backward(dout, index):
    return dout[index]


@layer(
    "scatter-add of rows",
    "functions; buffer np.zeros of float64; an integer setting",
    scatter_forward,
    scatter_backward,
)
def scatter(rng):
    (src,) = draw(rng, (5, 3))
    return of_functions(scatter_forward, scatter_backward, src=src, index=np.array([2, 0, 2, 3, 2]), n_rows=4)
