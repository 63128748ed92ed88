"""Gated recurrent units.

Source: K. Cho et al. (2014), "Learning Phrase Representations using RNN Encoder-Decoder", equations 5 to 8.
"""

import numpy as np

from .base import draw, layer, of_object, sigmoid
from .caches import COMPUTE, of_caches


class GRUOfCaches:
    """p, g, fc, bc; names by gate; the last hidden state is the output; compute_gradients() apart."""

    def __init__(self, **parameters):
        self.p, self.g, self.fc, self.bc = parameters, {}, {}, {}

    def forward(self, A):
        p = self.p
        N, T, _ = A.shape
        h = np.zeros((N, p["bz"].shape[1]), dtype=A.dtype)
        self.fc = {key: [] for key in ("X", "hp", "z", "r", "hh")}
        for s in range(T):
            X = A[:, s]
            z = sigmoid(X @ p["Uz"] + h @ p["Vz"] + p["bz"])
            r = sigmoid(X @ p["Ur"] + h @ p["Vr"] + p["br"])
            hh = np.tanh(X @ p["Uh"] + (r * h) @ p["Vh"] + p["bh"])
            for key, value in zip(self.fc, (X, h, z, r, hh), strict=True):
                self.fc[key].append(value)
            h = z * hh + (1 - z) * h
        return h

    def backward(self, dX):
        p, fc, dh = self.p, self.fc, dX
        self.bc = {"dz_": [], "dr_": [], "dhh_": []}
        dX = []
        for hp, z, r, hh in zip(*(fc[key][::-1] for key in ("hp", "z", "r", "hh")), strict=True):
            dhh_ = dh * z * (1 - hh**2)
            dz_ = dh * (hh - hp) * z * (1 - z)
            drh = dhh_ @ p["Vh"].T
            dr_ = drh * hp * r * (1 - r)
            dh = dh * (1 - z) + drh * r + dz_ @ p["Vz"].T + dr_ @ p["Vr"].T
            dX.append(dz_ @ p["Uz"].T + dr_ @ p["Ur"].T + dhh_ @ p["Uh"].T)
            for key, value in zip(self.bc, (dz_, dr_, dhh_), strict=True):
                self.bc[key].append(value)
        return np.stack(dX[::-1], axis=1)

    def compute_gradients(self):
        for gate in "zrh":
            self.g.update({f"dU{gate}": 0, f"dV{gate}": 0, f"db{gate}": 0})
        steps = zip(*(self.fc[key][::-1] for key in ("X", "hp", "r")), *self.bc.values(), strict=True)
        for X, hp, r, dz_, dr_, dhh_ in steps:
            for gate, d, h in (("z", dz_, hp), ("r", dr_, hp), ("h", dhh_, r * hp)):
                self.g[f"dU{gate}"] += X.T @ d
                self.g[f"dV{gate}"] += h.T @ d
                self.g[f"db{gate}"] += d.sum(axis=0, keepdims=True)


@layer(
    "GRU, dicts of caches",
    "object; p, g, fc, bc; compute_gradients() apart from backward",
    GRUOfCaches,
    adapter=COMPUTE,
)
def gru_of_caches(rng):
    (A,) = draw(rng, (2, 4, 3))
    names = [f"{kind}{gate}" for gate in "zrh" for kind in "UVb"]
    p = dict(zip(names, draw(rng, *((3, 5), (5, 5), (1, 5)) * 3), strict=True))
    return of_caches(GRUOfCaches, p, A=A)


class TimeGRU:
    """The gates z, r and the candidate in one matrix; reset before the product; lists."""

    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]

    def forward(self, xs):
        Wx, Wh, b = self.params
        H = len(Wh)
        h = np.zeros((len(xs), H), dtype=xs.dtype)
        self.steps, hs = [], []
        for t in range(xs.shape[1]):
            x = xs[:, t]
            z = sigmoid(x @ Wx[:, :H] + h @ Wh[:, :H] + b[:H])
            r = sigmoid(x @ Wx[:, H : 2 * H] + h @ Wh[:, H : 2 * H] + b[H : 2 * H])
            h_hat = np.tanh(x @ Wx[:, 2 * H :] + (r * h) @ Wh[:, 2 * H :] + b[2 * H :])
            self.steps.append((x, h, z, r, h_hat))
            h = (1 - z) * h + z * h_hat
            hs.append(h)
        return np.stack(hs, axis=1)

    def backward(self, dhs):
        Wx, Wh, b = self.params
        H = len(Wh)
        dWx, dWh, db = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)
        dxs, dh = [], 0
        for t in reversed(range(dhs.shape[1])):
            x, h, z, r, h_hat = self.steps[t]
            dh = dhs[:, t] + dh
            dt = dh * z * (1 - h_hat**2)
            dhr = dt @ Wh[:, 2 * H :].T
            ds = dh * (h_hat - h) * z * (1 - z)
            du = dhr * h * r * (1 - r)
            d = np.hstack([ds, du, dt])
            dWx += x.T @ d
            dWh += np.hstack([h.T @ ds, h.T @ du, (r * h).T @ dt])
            db += d.sum(axis=0)
            dxs.append(d @ Wx.T)
            dh = dh * (1 - z) + dhr * r + ds @ Wh[:, :H].T + du @ Wh[:, H : 2 * H].T
        self.grads[0][...] = dWx
        self.grads[1][...] = dWh
        self.grads[2][...] = db
        return np.stack(dxs[::-1], axis=1)


@layer("GRU over time, lists", "object; lists; three gates in one matrix", TimeGRU)
def time_gru(rng):
    xs, Wx, Wh, b = draw(rng, (2, 4, 3), (3, 6), (2, 6), (6,))
    gru = TimeGRU(Wx, Wh, b)
    return of_object(gru, dict(Wx=Wx, Wh=Wh, b=b), lambda: gru.grads, xs=xs)
