"""Attention in several layouts.

Sources: A. Vaswani et al. (2017), "Attention Is All You Need", equation 1 and section 3.2.2; T. Luong et al. (2015),
"Effective Approaches to Attention-based Neural Machine Translation", equation 7; D. Bahdanau et al. (2015), "Neural
Machine Translation by Jointly Learning to Align and Translate", equation 6.
"""

import numpy as np

from .base import draw, layer, of_functions, of_object


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(dp, p):
    return p * (dp - np.sum(dp * p, axis=-1, keepdims=True))


def attention_forward(Q, K, V):
    scale = 1 / np.sqrt(Q.shape[-1])
    A = softmax(Q @ K.swapaxes(-1, -2) * scale)
    return A @ V, (Q, K, V, A, scale)


def attention_backward(dO, cache):
    Q, K, V, A, scale = cache
    dV = A.swapaxes(-1, -2) @ dO
    dA = dO @ V.swapaxes(-1, -2)
    dS = softmax_backward(dA, A) * scale
    dQ = dS @ K
    dK = dS.swapaxes(-1, -2) @ Q
    return dQ, dK, dV


@layer(
    "scaled dot-product attention", "functions; three inputs", attention_forward, attention_backward, softmax_backward
)
def attention(rng):
    Q, K, V = draw(rng, (2, 4, 3), (2, 5, 3), (2, 5, 2))
    return of_functions(attention_forward, attention_backward, Q=Q, K=K, V=V)


class DotProductAttention:
    """One head, lists kept of all inputs, three gradients returned."""

    def __init__(self, scale=True):
        self.scale = scale
        self.parameters, self.gradients = {}, {}
        self.X = []
        self.derived_variables = {"attention_weights": []}

    def forward(self, Q, K, V, retain_derived=True):
        factor = 1 / np.sqrt(Q.shape[-1]) if self.scale else 1
        weights = softmax(factor * (Q @ K.swapaxes(-2, -1)))
        if retain_derived:
            self.X.append((Q, K, V))
            self.derived_variables["attention_weights"].append(weights)
        return weights @ V

    def backward(self, dLdy, retain_grads=True):
        if not isinstance(dLdy, list):
            dLdy = [dLdy]
        dQ, dK, dV = [], [], []
        weights = self.derived_variables["attention_weights"]
        for dy, (q, k, v), w in zip(dLdy, self.X, weights, strict=True):
            factor = 1 / np.sqrt(q.shape[-1]) if self.scale else 1
            dlogits = softmax_backward(dy @ v.swapaxes(-2, -1), w)
            dQ.append(factor * dlogits @ k)
            dK.append(factor * dlogits.swapaxes(-2, -1) @ q)
            dV.append(w.swapaxes(-2, -1) @ dy)
        if len(self.X) == 1:
            dQ, dK, dV = dQ[0], dK[0], dV[0]
        return dQ, dK, dV


@layer(
    "attention, lists of batches",
    "object; parameters, gradients empty; retain_derived",
    DotProductAttention,
    softmax_backward,
)
def dot_product_attention(rng):
    Q, K, V = draw(rng, (4, 3), (5, 3), (5, 2))
    head = DotProductAttention()

    def flush():
        head.X.clear()
        head.derived_variables["attention_weights"].clear()

    return of_object(head, before=flush, Q=Q, K=K, V=V)


class MultiHeadSelfAttention:
    """Causal; Wq, Wk, Wv, Wo in a dict `weights`, `dweights` beside it; a call is a forward pass."""

    def __init__(self, Wq, Wk, Wv, Wo, n_heads):
        self.weights = {"Wq": Wq, "Wk": Wk, "Wv": Wv, "Wo": Wo}
        self.dweights = {}
        self.n_heads = n_heads

    def split(self, x):
        N, T, D = x.shape
        return x.reshape(N, T, self.n_heads, D // self.n_heads).transpose(0, 2, 1, 3)

    def merge(self, x):
        N, heads, T, size = x.shape
        return x.transpose(0, 2, 1, 3).reshape(N, T, heads * size)

    def __call__(self, x):
        w = self.weights
        q, k, v = (self.split(x @ w[name]) for name in ("Wq", "Wk", "Wv"))
        scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
        T = x.shape[1]
        scores = np.where(np.tril(np.ones((T, T), bool)), scores, -1e9)
        p = softmax(scores)
        merged = self.merge(p @ v)
        self.cache = x, q, k, v, p, merged
        return merged @ w["Wo"]

    def backward(self, dout):
        x, q, k, v, p, merged = self.cache
        w, rows = self.weights, (0, 1)
        self.dweights["Wo"] = np.tensordot(merged, dout, axes=(rows, rows))
        dheads = self.split(dout @ w["Wo"].T)
        dv = p.transpose(0, 1, 3, 2) @ dheads
        dp = dheads @ v.transpose(0, 1, 3, 2)
        ds = softmax_backward(dp, p) / np.sqrt(q.shape[-1])
        dq, dk = ds @ k, ds.transpose(0, 1, 3, 2) @ q
        dx = 0
        for name, d in (("Wq", dq), ("Wk", dk), ("Wv", dv)):
            d = self.merge(d)
            self.dweights[name] = np.tensordot(x, d, axes=(rows, rows))
            dx = dx + d @ w[name].T
        return dx


@layer(
    "causal multi-head attention",
    "object with __call__ and no forward; dicts weights, dweights",
    MultiHeadSelfAttention,
    softmax_backward,
)
def multi_head(rng):
    x, *weights = draw(rng, (2, 3, 4), (4, 4), (4, 4), (4, 4), (4, 4))
    names = ("Wq", "Wk", "Wv", "Wo")
    heads = MultiHeadSelfAttention(*weights, n_heads=2)
    grads = lambda: [heads.dweights[name] for name in names]  # noqa: E731
    return of_object(heads, dict(zip(names, weights, strict=True)), grads, forward="__call__", x=x)


class WeightSum:
    """The context as a weighted sum of encoder states; lists."""

    def __init__(self):
        self.params, self.grads = [], []
        self.cache = None

    def forward(self, hs, a):
        N, T, H = hs.shape
        ar = a.reshape(N, T, 1).repeat(H, axis=2)
        t = hs * ar
        c = np.sum(t, axis=1)
        self.cache = (hs, ar)
        return c

    def backward(self, dc):
        hs, ar = self.cache
        N, T, H = hs.shape
        dt = dc.reshape(N, 1, H).repeat(T, axis=1)
        dar = dt * hs
        dhs = dt * ar
        da = np.sum(dar, axis=2)
        return dhs, da


@layer("weighted sum of states", "object; lists; two inputs, two gradients returned", WeightSum)
def weight_sum(rng):
    hs, a = draw(rng, (2, 4, 3), (2, 4))
    return of_object(WeightSum(), hs=hs, a=a)


class AdditiveAttention:
    """v tanh(W h + U s): the weights of encoder states; gradients returned in one dict with those of the inputs."""

    def __init__(self, W, U, v):
        self.W, self.U, self.v = W, U, v

    def forward(self, h, s):
        self.h, self.s = h, s
        self.t = np.tanh(h @ self.W + (s @ self.U)[:, None])
        self.a = softmax(self.t @ self.v)
        return self.a

    def backward(self, da):
        de = softmax_backward(da, self.a)
        dt = de[:, :, None] * self.v * (1 - self.t**2)
        return {
            "dh": dt @ self.W.T,
            "ds": dt.sum(1) @ self.U.T,
            "dW": np.einsum("ntd,nth->dh", self.h, dt),
            "dU": self.s.T @ dt.sum(1),
            "dv": np.einsum("nt,nth->h", de, self.t),
        }


@layer(
    "additive attention", "object; attributes; all gradients returned in a dict", AdditiveAttention, softmax_backward
)
def additive(rng):
    h, s, W, U, v = draw(rng, (2, 4, 3), (2, 5), (3, 2), (5, 2), (2,))
    scorer = AdditiveAttention(W, U, v)
    case = of_object(scorer, dict(W=W, U=U, v=v), h=h, s=s)
    names = [f"d{name}" for name in case.arrays]

    def undo(da):
        grads = scorer.backward(da)
        return [grads[name] for name in names]

    return type(case)(case.arrays, case.forward, undo, case.check)
