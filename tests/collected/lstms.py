"""LSTMs in several gate orders and layouts.

Sources: S. Hochreiter, J. Schmidhuber (1997), "Long Short-Term Memory"; F. Gers et al. (2000), "Learning to Forget";
K. Greff et al. (2017), "LSTM: A Search Space Odyssey", section II (peepholes).
"""

import numpy as np

from .base import Case, draw, layer, of_functions, of_object, sigmoid
from .normalizations import Tensor

COURSE = "course exercise: functions, cache a tuple"


def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    """Gates i, f, o, g."""
    H = prev_h.shape[1]
    a = x @ Wx + prev_h @ Wh + b
    i, f, o = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H]), sigmoid(a[:, 2 * H : 3 * H])
    g = np.tanh(a[:, 3 * H :])
    next_c = f * prev_c + i * g
    tanh_c = np.tanh(next_c)
    next_h = o * tanh_c
    return next_h, next_c, (x, prev_h, prev_c, Wx, Wh, i, f, o, g, tanh_c)


def lstm_step_backward(dnext_h, dnext_c, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, tanh_c = cache
    dc = dnext_c + dnext_h * o * (1 - tanh_c**2)
    do = dnext_h * tanh_c
    di, df, dg = dc * g, dc * prev_c, dc * i
    dprev_c = dc * f
    da = np.hstack((di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)))
    dx = da @ Wx.T
    dprev_h = da @ Wh.T
    return dx, dprev_h, dprev_c, x.T @ da, prev_h.T @ da, da.sum(axis=0)


@layer("LSTM, one step", COURSE + "; two outputs; gates i, f, o, g", lstm_step_forward, lstm_step_backward)
def lstm_step(rng):
    x, h, c, Wx, Wh, b = draw(rng, (3, 2), (3, 4), (3, 4), (2, 16), (4, 16), (16,))
    return of_functions(lstm_step_forward, lstm_step_backward, x=x, prev_h=h, prev_c=c, Wx=Wx, Wh=Wh, b=b)


def lstm_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    h, c, cache = h0, np.zeros_like(h0), []
    out = np.empty((N, T, h0.shape[1]), dtype=np.result_type(x, h0, Wx, Wh, b))
    for t in range(T):
        h, c, step = lstm_step_forward(x[:, t], h, c, Wx, Wh, b)
        out[:, t] = h
        cache.append(step)
    return out, cache


def lstm_backward(dh, cache):
    N, T, H = dh.shape
    D = cache[0][0].shape[1]
    dx, dWx, dWh, db = np.zeros((N, T, D)), np.zeros((D, 4 * H)), np.zeros((H, 4 * H)), np.zeros(4 * H)
    dprev_h, dprev_c = np.zeros((N, H)), np.zeros((N, H))
    for t in reversed(range(T)):
        dnext_h = dh[:, t] + dprev_h
        dx[:, t], dprev_h, dprev_c, dWx_t, dWh_t, db_t = lstm_step_backward(dnext_h, dprev_c, cache[t])
        dWx += dWx_t
        dWh += dWh_t
        db += db_t
    return dx, dprev_h, dWx, dWh, db


LSTM = (lstm_forward, lstm_backward, lstm_step_forward, lstm_step_backward)


@layer("LSTM, sequence", COURSE + "; gates i, f, o, g; c0 is zero", *LSTM)
def lstm(rng):
    x, h0, Wx, Wh, b = draw(rng, (2, 4, 3), (2, 2), (3, 8), (2, 8), (8,))
    return of_functions(lstm_forward, lstm_backward, x=x, h0=h0, Wx=Wx, Wh=Wh, b=b)


class LSTMCell:
    """Gates f, g, i, o in one matrix; lists."""

    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.cache = None

    def forward(self, x, h_prev, c_prev):
        Wx, Wh, b = self.params
        A = np.dot(x, Wx) + np.dot(h_prev, Wh) + b
        f, g, i, o = np.split(A, 4, axis=1)
        f, g, i, o = sigmoid(f), np.tanh(g), sigmoid(i), sigmoid(o)
        c_next = f * c_prev + g * i
        h_next = o * np.tanh(c_next)
        self.cache = (x, h_prev, c_prev, i, f, g, o, c_next)
        return h_next, c_next

    def backward(self, dh_next, dc_next):
        Wx, Wh, b = self.params
        x, h_prev, c_prev, i, f, g, o, c_next = self.cache
        tanh_c_next = np.tanh(c_next)
        ds = dc_next + (dh_next * o) * (1 - tanh_c_next**2)
        dc_prev = ds * f
        di = ds * g
        df = ds * c_prev
        do = dh_next * tanh_c_next
        dg = ds * i
        di *= i * (1 - i)
        df *= f * (1 - f)
        do *= o * (1 - o)
        dg *= 1 - g**2
        dA = np.hstack((df, dg, di, do))
        self.grads[0][...] = np.dot(x.T, dA)
        self.grads[1][...] = np.dot(h_prev.T, dA)
        self.grads[2][...] = dA.sum(axis=0)
        return np.dot(dA, Wx.T), np.dot(dA, Wh.T), dc_prev


class TimeLSTM:
    def __init__(self, Wx, Wh, b, stateful=False):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.layers = None
        self.h, self.c, self.dh = None, None, None
        self.stateful = stateful

    def forward(self, xs):
        N, T, D = xs.shape
        H = self.params[1].shape[0]
        self.layers = []
        hs = np.empty((N, T, H), dtype=xs.dtype)
        if not self.stateful or self.h is None:
            self.h = np.zeros((N, H))
        if not self.stateful or self.c is None:
            self.c = np.zeros((N, H))
        for t in range(T):
            step = LSTMCell(*self.params)
            self.h, self.c = step.forward(xs[:, t, :], self.h, self.c)
            hs[:, t, :] = self.h
            self.layers.append(step)
        return hs

    def backward(self, dhs):
        N, T, H = dhs.shape
        dxs = np.empty((N, T, self.params[0].shape[0]))
        dh, dc = 0, 0
        grads = [0, 0, 0]
        for t in reversed(range(T)):
            step = self.layers[t]
            dx, dh, dc = step.backward(dhs[:, t, :] + dh, dc)
            dxs[:, t, :] = dx
            for i, grad in enumerate(step.grads):
                grads[i] += grad
        for i, grad in enumerate(grads):
            self.grads[i][...] = grad
        self.dh = dh
        return dxs


@layer("LSTM, one step, lists", "object; lists; two outputs, three gradients returned; gates f, g, i, o", LSTMCell)
def lstm_cell(rng):
    x, h, c, Wx, Wh, b = draw(rng, (3, 2), (3, 4), (3, 4), (2, 16), (4, 16), (16,))
    cell = LSTMCell(Wx, Wh, b)
    return of_object(cell, dict(Wx=Wx, Wh=Wh, b=b), lambda: cell.grads, x=x, h_prev=h, c_prev=c)


@layer("LSTM over time, lists", "object; lists; layers made in forward; gates f, g, i, o", LSTMCell, TimeLSTM)
def time_lstm(rng):
    xs, Wx, Wh, b = draw(rng, (2, 4, 3), (3, 8), (2, 8), (8,))
    lstm = TimeLSTM(Wx, Wh, b)
    return of_object(lstm, dict(Wx=Wx, Wh=Wh, b=b), lambda: lstm.grads, xs=xs)


class LSTMLastAxis:
    """X (N, D, T), a matrix per gate for [h, x], row biases; weights drawn in the first forward pass."""

    def __init__(self, n_out, seed=3):
        self.n_out, self.seed, self.is_initialized = n_out, seed, False
        self.parameters, self.gradients = {}, {}
        self.derived_variables = {"n_timesteps": 0, "steps": []}

    def _init_params(self):
        rng = np.random.default_rng(self.seed)
        for gate in "fuco":
            self.parameters["W" + gate] = 0.7 * rng.normal(size=(self.n_in + self.n_out, self.n_out))
            self.parameters["b" + gate] = rng.normal(size=(1, self.n_out))
        self.gradients = {name: np.zeros_like(value) for name, value in self.parameters.items()}
        self.is_initialized = True

    def flush_gradients(self):
        self.derived_variables["steps"] = []
        for name, value in self.gradients.items():
            self.gradients[name] = np.zeros_like(value)

    def forward(self, X):
        if not self.is_initialized:
            self.n_in = X.shape[1]
            self._init_params()
        p = self.parameters
        A = C = np.zeros((len(X), self.n_out), dtype=X.dtype)
        outs = []
        for t in range(X.shape[2]):
            Z = np.hstack([A, X[:, :, t]])
            f, u, o = (sigmoid(Z @ p["W" + gate] + p["b" + gate]) for gate in "fuo")
            c = np.tanh(Z @ p["Wc"] + p["bc"])
            C_prev, C = C, f * C + u * c
            A = o * np.tanh(C)
            self.derived_variables["steps"].append((Z, C_prev, C, f, u, c, o))
            outs.append(A)
        return np.dstack(outs)

    def backward(self, dLdA):
        p, g, H = self.parameters, self.gradients, self.n_out
        dA_acc, dC_acc, dX = 0, 0, []
        for t in reversed(range(dLdA.shape[2])):
            Z, C_prev, C, f, u, c, o = self.derived_variables["steps"].pop()
            dA = dLdA[:, :, t] + dA_acc
            dC = dC_acc + dA * o * (1 - np.tanh(C) ** 2)
            d = {"f": dC * C_prev * f * (1 - f), "u": dC * c * u * (1 - u)}
            d |= {"c": dC * u * (1 - c**2), "o": dA * np.tanh(C) * o * (1 - o)}
            dZ = sum(d[gate] @ p["W" + gate].T for gate in d)
            for gate in d:
                g["W" + gate] += Z.T @ d[gate]
                g["b" + gate] += d[gate].sum(axis=0, keepdims=True)
            dA_acc, dC_acc = dZ[:, :H], dC * f
            dX.insert(0, dZ[:, H:])
        return np.dstack(dX)


@layer(
    "LSTM, time on the last axis",
    "object; parameters, gradients; popped steps; weights drawn in the first forward pass",
    LSTMLastAxis,
)
def lstm_last_axis(rng):
    (X,) = draw(rng, (2, 3, 4))
    lstm, fresh = LSTMLastAxis(2), LSTMLastAxis(2)
    lstm.forward(X)
    params = dict(lstm.parameters)
    grads = lambda: [lstm.gradients[name] for name in params]  # noqa: E731
    check = lambda check_layer, **options: check_layer(fresh, inputs=(X,), **options)  # noqa: E731
    return of_object(lstm, params, grads, before=lstm.flush_gradients, check=check, X=X)


class PeepholeLSTM:
    """Columns, one sequence: x (T, D), states (H,); nested tensors; gates z, i, f, o with peepholes."""

    def __init__(self, W, R, p, b):
        self.W, self.R, self.p, self.b = Tensor(W), Tensor(R), Tensor(p), Tensor(b)

    def forward(self, x):
        W, R, (p_i, p_f, p_o), b = self.W.data, self.R.data, self.p.data, self.b.data
        H = len(b) // 4
        y = c = np.zeros(H)
        self.cache, out = [], []
        for x_t in x:
            a_z, a_i, a_f, a_o = np.split(W @ x_t + R @ y + b, 4)
            z, i, f = np.tanh(a_z), sigmoid(a_i + p_i * c), sigmoid(a_f + p_f * c)
            c_prev, c = c, z * i + c * f
            o = sigmoid(a_o + p_o * c)
            self.cache.append((x_t, y, c_prev, c, z, i, f, o))
            y = np.tanh(c) * o
            out.append(y)
        return np.array(out)

    def backward(self, dy):
        W, R, (p_i, p_f, p_o) = self.W.data, self.R.data, self.p.data
        dx, dy_next, dc_next = np.zeros((len(dy), W.shape[1])), 0, 0
        for t in range(len(dy) - 1, -1, -1):
            x_t, y_prev, c_prev, c, z, i, f, o = self.cache[t]
            d = dy[t] + dy_next
            do = d * np.tanh(c) * o * (1 - o)
            dc = d * o * (1 - np.tanh(c) ** 2) + p_o * do + dc_next
            df, di, dz = dc * c_prev * f * (1 - f), dc * z * i * (1 - i), dc * i * (1 - z**2)
            delta = np.concatenate([dz, di, df, do])
            self.W.grad += np.outer(delta, x_t)
            self.R.grad += np.outer(delta, y_prev)
            self.b.grad += delta
            self.p.grad += np.stack([di * c_prev, df * c_prev, do * c])
            dc_next = dc * f + p_i * di + p_f * df
            dy_next = R.T @ delta
            dx[t] = W.T @ delta
        return dx


@layer("peephole LSTM", "object; W.data, W.grad; vectors, one sequence; gates z, i, f, o", PeepholeLSTM, Tensor)
def peephole(rng):
    x, W, R, p, b = draw(rng, (4, 3), (8, 3), (8, 2), (3, 2), (8,))
    cell = PeepholeLSTM(W, R, p, b)
    grads = lambda: [cell.W.grad, cell.R.grad, cell.p.grad, cell.b.grad]  # noqa: E731
    return of_object(cell, dict(W=W, R=R, p=p, b=b), grads, x=x)


def stacked_lstm_forward(x, layers):
    """Two layers: a list of dicts Wx, Wh, b."""
    caches = []
    for weights in layers:
        h0 = np.zeros((x.shape[0], weights["Wh"].shape[0]), dtype=x.dtype)
        x, cache = lstm_forward(x, h0, weights["Wx"], weights["Wh"], weights["b"])
        caches.append(cache)
    return x, caches


def stacked_lstm_backward(dout, caches):
    grads = []
    for cache in reversed(caches):
        dout, _, dWx, dWh, db = lstm_backward(dout, cache)
        grads.append({"Wx": dWx, "Wh": dWh, "b": db})
    return dout, grads[::-1]


@layer(
    "two LSTMs",
    "functions; parameters as a list of dicts, gradients likewise",
    stacked_lstm_forward,
    stacked_lstm_backward,
    *LSTM,
)
def stacked_lstm(rng):
    x, Wx1, Wh1, b1, Wx2, Wh2, b2 = draw(rng, (2, 3, 3), (3, 8), (2, 8), (8,), (2, 8), (2, 8), (8,))
    layers = [{"Wx": Wx1, "Wh": Wh1, "b": b1}, {"Wx": Wx2, "Wh": Wh2, "b": b2}]
    state = {}

    def run():
        out, state["caches"] = stacked_lstm_forward(x, layers)
        return out

    def undo(dout):
        dx, grads = stacked_lstm_backward(dout, state["caches"])
        return [dx, *(grad[name] for grad in grads for name in ("Wx", "Wh", "b"))]

    def check(check_layer, **options):
        return check_layer(stacked_lstm_forward, stacked_lstm_backward, (x, layers), **options)

    names = ("x", "Wx1", "Wh1", "b1", "Wx2", "Wh2", "b2")
    return Case(dict(zip(names, (x, Wx1, Wh1, b1, Wx2, Wh2, b2), strict=True)), run, undo, check)
