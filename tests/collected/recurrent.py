"""Recurrent layers: one step and whole sequences, rows and columns, time on every axis.

Sources: J. Elman (1990), "Finding Structure in Time"; I. Goodfellow, Y. Bengio, A. Courville (2016), "Deep Learning",
equations 10.8 to 10.28; M. Schuster, K. Paliwal (1997), "Bidirectional Recurrent Neural Networks".
"""

import numpy as np

from .base import Case, draw, layer, of_functions, of_object
from .normalizations import GradientDescent, Recorder

COURSE = "course exercise: functions, cache a tuple"


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h = np.tanh(x.dot(Wx) + prev_h.dot(Wh) + b)
    return next_h, (x, prev_h, Wx, Wh, next_h)


def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    da = dnext_h * (1 - next_h**2)
    dx = da.dot(Wx.T)
    dprev_h = da.dot(Wh.T)
    dWx = x.T.dot(da)
    dWh = prev_h.T.dot(da)
    db = da.sum(axis=0)
    return dx, dprev_h, dWx, dWh, db


@layer("RNN, one step", COURSE, rnn_step_forward, rnn_step_backward)
def rnn_step(rng):
    x, prev_h, Wx, Wh, b = draw(rng, (4, 3), (4, 5), (3, 5), (5, 5), (5,))
    return of_functions(rnn_step_forward, rnn_step_backward, x=x, prev_h=prev_h, Wx=Wx, Wh=Wh / 2, b=b)


def rnn_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    h, cache = np.zeros((N, T, h0.shape[1])), []
    prev_h = h0
    for t in range(T):
        prev_h, step = rnn_step_forward(x[:, t], prev_h, Wx, Wh, b)
        h[:, t] = prev_h
        cache.append(step)
    return h, cache


def rnn_backward(dh, cache):
    N, T, H = dh.shape
    D = cache[0][0].shape[1]
    dx, dWx, dWh, db = np.zeros((N, T, D)), np.zeros((D, H)), np.zeros((H, H)), np.zeros(H)
    dprev_h = np.zeros((N, H))
    for t in reversed(range(T)):
        dx[:, t], dprev_h, dWx_t, dWh_t, db_t = rnn_step_backward(dh[:, t] + dprev_h, cache[t])
        dWx += dWx_t
        dWh += dWh_t
        db += db_t
    dh0 = dprev_h
    return dx, dh0, dWx, dWh, db


@layer("RNN, sequence", COURSE + "; float64 buffers", rnn_forward, rnn_backward, rnn_step_forward, rnn_step_backward)
def rnn(rng):
    x, h0, Wx, Wh, b = draw(rng, (2, 5, 3), (2, 4), (3, 4), (4, 4), (4,))
    return of_functions(rnn_forward, rnn_backward, x=x, h0=h0, Wx=Wx / 2, Wh=Wh / 2, b=b)


class RNNCell:
    """One step; params, grads are lists; grads[k][...] = dW."""

    def __init__(self, Wx, Wh, b):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.cache = None

    def forward(self, x, h_prev):
        Wx, Wh, b = self.params
        t = np.dot(h_prev, Wh) + np.dot(x, Wx) + b
        h_next = np.tanh(t)
        self.cache = (x, h_prev, h_next)
        return h_next

    def backward(self, dh_next):
        Wx, Wh, b = self.params
        x, h_prev, h_next = self.cache
        dt = dh_next * (1 - h_next**2)
        db = np.sum(dt, axis=0)
        dWh = np.dot(h_prev.T, dt)
        dh_prev = np.dot(dt, Wh.T)
        dWx = np.dot(x.T, dt)
        dx = np.dot(dt, Wx.T)
        self.grads[0][...] = dWx
        self.grads[1][...] = dWh
        self.grads[2][...] = db
        return dx, dh_prev


class TimeRNN:
    """Steps are layers made in forward; h is kept between calls if stateful; the state's gradient is an attribute."""

    def __init__(self, Wx, Wh, b, stateful=False):
        self.params = [Wx, Wh, b]
        self.grads = [np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(b)]
        self.layers = None
        self.h, self.dh = None, None
        self.stateful = stateful

    def set_state(self, h):
        self.h = h

    def reset_state(self):
        self.h = None

    def forward(self, xs):
        Wx, Wh, b = self.params
        N, T, D = xs.shape
        D, H = Wx.shape
        self.layers = []
        hs = np.empty((N, T, H), dtype=np.float32)
        if not self.stateful or self.h is None:
            self.h = np.zeros((N, H), dtype=np.float32)
        for t in range(T):
            step = RNNCell(*self.params)
            self.h = step.forward(xs[:, t, :], self.h)
            hs[:, t, :] = self.h
            self.layers.append(step)
        return hs

    def backward(self, dhs):
        Wx, Wh, b = self.params
        N, T, H = dhs.shape
        D, H = Wx.shape
        dxs = np.empty((N, T, D), dtype=np.float32)
        dh = 0
        grads = [0, 0, 0]
        for t in reversed(range(T)):
            step = self.layers[t]
            dx, dh = step.backward(dhs[:, t, :] + dh)
            dxs[:, t, :] = dx
            for i, grad in enumerate(step.grads):
                grads[i] = grads[i] + grad
        for i, grad in enumerate(grads):
            self.grads[i][...] = grad
        self.dh = dh
        return dxs


@layer("RNN, one step, lists", "object; params, grads are lists; two gradients returned", RNNCell)
def rnn_cell(rng):
    x, h, Wx, Wh, b = draw(rng, (4, 3), (4, 5), (3, 5), (5, 5), (5,))
    cell = RNNCell(Wx, Wh / 2, b)
    return of_object(cell, dict(zip("xhb", cell.params, strict=True)), lambda: cell.grads, input=x, h_prev=h)


@layer(
    "RNN over time, lists", "object; lists; np.empty(..., dtype=np.float32); layers made in forward", RNNCell, TimeRNN
)
def time_rnn(rng):
    xs, Wx, Wh, b = draw(rng, (2, 4, 3), (3, 5), (5, 5), (5,))
    rnn = TimeRNN(Wx / 2, Wh / 2, b)
    return of_object(rnn, dict(zip(("Wx", "Wh", "b"), rnn.params, strict=True)), lambda: rnn.grads, xs=xs)


class RNNPass:
    """forward_pass over (N, T, D), gradients through the last steps of all; optimizers change the weights at once."""

    def __init__(self, U, V, W, bptt_trunc=10):
        self.U, self.V, self.W, self.bptt_trunc, self.trainable = U, V, W, bptt_trunc, True

    def initialize(self, optimizer):
        self.U_opt, self.V_opt, self.W_opt = optimizer(), optimizer(), optimizer()

    def forward_pass(self, X, training=True):
        self.layer_input = X
        N, T, D = X.shape
        self.state_input = np.zeros((N, T, len(self.U)))
        self.states = np.zeros((N, T + 1, len(self.U)))
        self.outputs = np.zeros((N, T, len(self.V)))
        for t in range(T):
            self.state_input[:, t] = X[:, t].dot(self.U.T) + self.states[:, t - 1].dot(self.W.T)
            self.states[:, t] = np.tanh(self.state_input[:, t])
            self.outputs[:, t] = self.states[:, t].dot(self.V.T)
        return self.outputs

    def backward_pass(self, accum_grad):
        _, T, _ = accum_grad.shape
        grad_U, grad_V, grad_W = np.zeros_like(self.U), np.zeros_like(self.V), np.zeros_like(self.W)
        accum_grad_next = np.zeros_like(self.layer_input)
        for t in reversed(range(T)):
            grad_V += accum_grad[:, t].T.dot(self.states[:, t])
            state_slope = 1 - np.tanh(self.state_input[:, t]) ** 2
            grad_state = accum_grad[:, t].dot(self.V) * state_slope
            for t_ in reversed(np.arange(max(0, t - self.bptt_trunc), t + 1)):
                accum_grad_next[:, t_] += grad_state.dot(self.U)
                grad_W += grad_state.T.dot(self.states[:, t_ - 1])
                grad_U += grad_state.T.dot(self.layer_input[:, t_])
                grad_state = grad_state.dot(self.W) * (1 - np.tanh(self.state_input[:, t_ - 1]) ** 2)
        self.U = self.U_opt.update(self.U, grad_U)
        self.V = self.V_opt.update(self.V, grad_V)
        self.W = self.W_opt.update(self.W, grad_W)
        return accum_grad_next


@layer(
    "RNN, trained as it goes",
    "forward_pass, backward_pass; gradients go to optimizers; a last state of zeros at index -1",
    RNNPass,
    GradientDescent,
)
def rnn_pass(rng):
    X, U, V, W = draw(rng, (2, 4, 3), (4, 3), (2, 4), (4, 4))
    U, W = U / 2, W / 2
    rnn, same = RNNPass(U, V, W), RNNPass(U.copy(), V.copy(), W.copy())
    rnn.initialize(Recorder)
    same.initialize(GradientDescent)
    grads = lambda: [rnn.U_opt.given, rnn.V_opt.given, rnn.W_opt.given]  # noqa: E731
    check = lambda check_layer, **options: check_layer(same, inputs=(X,), **options)  # noqa: E731
    passes = dict(forward="forward_pass", backward="backward_pass")
    return of_object(rnn, dict(U=U, V=V, W=W), grads, **passes, check=check, X=X)


class ColumnRNN:
    """Columns: x (D, N, T), h (H, N, T); a dict of caches; sums over the batch by keepdims."""

    def __init__(self, Wax, Waa, ba):
        self.parameters = {"Wax": Wax, "Waa": Waa, "ba": ba}

    def forward(self, x, a0):
        p = self.parameters
        a, self.caches, a_next = [], [], a0
        for t in range(x.shape[2]):
            a_prev = a_next
            a_next = np.tanh(np.dot(p["Waa"], a_prev) + np.dot(p["Wax"], x[:, :, t]) + p["ba"])
            a.append(a_next)
            self.caches.append((a_next, a_prev, x[:, :, t]))
        return np.stack(a, axis=2)

    def backward(self, da):
        p = self.parameters
        self.gradients = {"dWax": 0, "dWaa": 0, "dba": 0}
        dx, da_prev = [], np.zeros(da.shape[:2])
        for t in reversed(range(da.shape[2])):
            a_next, a_prev, xt = self.caches[t]
            dtanh = (1 - a_next**2) * (da[:, :, t] + da_prev)
            dx.insert(0, np.dot(p["Wax"].T, dtanh))
            self.gradients["dWax"] += np.dot(dtanh, xt.T)
            self.gradients["dWaa"] += np.dot(dtanh, a_prev.T)
            self.gradients["dba"] += np.sum(dtanh, axis=1, keepdims=True)
            da_prev = np.dot(p["Waa"].T, dtanh)
        return np.stack(dx, axis=2), da_prev


@layer("RNN, columns", "object; features first, time last; parameters; gradients made by backward", ColumnRNN)
def column_rnn(rng):
    x, a0, Wax, Waa, ba = draw(rng, (3, 2, 4), (5, 2), (5, 3), (5, 5), (5, 1))
    rnn = ColumnRNN(Wax / 2, Waa / 2, ba)
    names = ("Wax", "Waa", "ba")
    grads = lambda: [rnn.gradients["d" + name] for name in names]  # noqa: E731
    return of_object(rnn, {name: rnn.parameters[name] for name in names}, grads, x=x, a0=a0)


def bidirectional_forward(x, forward_weights, backward_weights):
    """Time first: x (T, N, D); the two directions concatenated."""
    ahead, cache_ahead = one_direction(x, *forward_weights)
    back, cache_back = one_direction(x[::-1], *backward_weights)
    return np.concatenate([ahead, back[::-1]], axis=2), (cache_ahead, cache_back)


def one_direction(x, W, U, b):
    hs = [np.zeros((x.shape[1], len(b)), dtype=x.dtype)]
    for x_t in x:
        hs.append(np.tanh(x_t @ W + hs[-1] @ U + b))
    return np.stack(hs[1:]), (x, np.stack(hs), W, U)


def bidirectional_backward(dout, cache):
    cache_ahead, cache_back = cache
    H = dout.shape[2] // 2
    dx_ahead, *grads_ahead = one_direction_backward(dout[:, :, :H], cache_ahead)
    dx_back, *grads_back = one_direction_backward(dout[::-1, :, H:], cache_back)
    return dx_ahead + dx_back[::-1], grads_ahead, grads_back


def one_direction_backward(dout, cache):
    x, hs, W, U = cache
    dx, dW, dU, db = np.zeros(x.shape), np.zeros(W.shape), np.zeros(U.shape), np.zeros(len(U))
    dh_next = 0
    for t in range(len(x) - 1, -1, -1):
        dz = (dout[t] + dh_next) * (1 - hs[t + 1] ** 2)
        dx[t] = dz @ W.T
        dW += x[t].T @ dz
        dU += hs[t].T @ dz
        db += dz.sum(axis=0)
        dh_next = dz @ U.T
    return dx, dW, dU, db


@layer(
    "bidirectional RNN",
    "functions; time first; weights in tuples, their gradients in lists",
    bidirectional_forward,
    bidirectional_backward,
    one_direction,
    one_direction_backward,
)
def bidirectional(rng):
    x, *weights = draw(rng, (4, 2, 3), *((3, 3), (3, 3), (3,)) * 2)
    ahead, back = tuple(weights[:3]), tuple(weights[3:])
    state = {}

    def run():
        out, state["cache"] = bidirectional_forward(x, ahead, back)
        return out

    def undo(dout):
        dx, grads_ahead, grads_back = bidirectional_backward(dout, state["cache"])
        return [dx, *grads_ahead, *grads_back]

    def check(check_layer, **options):
        return check_layer(bidirectional_forward, bidirectional_backward, (x, ahead, back), **options)

    names = ("W_ahead", "U_ahead", "b_ahead", "W_back", "U_back", "b_back")
    return Case({"x": x} | dict(zip(names, weights, strict=True)), run, undo, check)
