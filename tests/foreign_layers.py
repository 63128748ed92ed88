"""Layers in the layout of other projects, each with a mistake that its users reported, and repaired.

Written from the formulas of those projects and the text of the reports; no code is copied. `bug=None` is the repaired
version. docs/gradient_checking.md shows what the check reports for each.
"""

import numpy as np


def sigmoid(z):
    return (1 + np.tanh(z / 2)) / 2


# Column vectors, z = [h; x], one matrix per gate, a list of steps.
# https://github.com/CaptainE/RNN-LSTM-in-numpy/issues/1


def column_lstm_forward(x, h_prev, C_prev, W_f, W_i, W_g, W_o, b_f, b_i, b_g, b_o):
    """Run over x (T, D, 1) with states (H, 1), weights (H, H + D) and biases (H, 1); return all h (T, H, 1)."""
    steps, h, C = [], h_prev, C_prev
    for x_t in x:
        z = np.concatenate([h, x_t])  # (H + D, 1)
        f, i, o = sigmoid(W_f @ z + b_f), sigmoid(W_i @ z + b_i), sigmoid(W_o @ z + b_o)
        g = np.tanh(W_g @ z + b_g)
        steps.append((z, C, f, i, g, o))
        C = f * C + i * g
        h = o * np.tanh(C)
        steps[-1] += (C, h)
    return np.stack([step[-1] for step in steps]), (steps, W_f, W_i, W_g, W_o)


def column_lstm_backward(dout, cache, bug=None):
    """Undo it; bugs: "no slope of f" (its sigmoid instead), "not passed on" (dh, dC to the previous step)."""
    steps, *weights = cache
    H = len(weights[0])
    dW, db = [np.zeros(W.shape) for W in weights], [np.zeros((H, 1)) for _ in weights]
    dx, dh_next, dC_next = [], np.zeros((H, 1)), np.zeros((H, 1))
    for (z, C_prev, f, i, g, o, C, _), dh in zip(steps[::-1], dout[::-1], strict=True):
        dh = dh + dh_next
        dC = dC_next + dh * o * (1 - np.tanh(C) ** 2)
        slope_f = sigmoid(f) if bug == "no slope of f" else f * (1 - f)
        inner = [
            dC * C_prev * slope_f,
            dC * g * i * (1 - i),
            dC * i * (1 - g**2),
            dh * np.tanh(C) * o * (1 - o),
        ]
        dz = sum(W.T @ d for W, d in zip(weights, inner, strict=True))
        for k, d in enumerate(inner):
            dW[k] += d @ z.T
            db[k] += d
        dx.append(dz[H:])
        dh_prev, dC_prev = dz[:H], f * dC
        if bug != "not passed on":
            dh_next, dC_next = dh_prev, dC_prev
    return np.stack(dx[::-1]), dh_prev, dC_prev, *dW, *db


# Column vectors, two matrices per gate, loss on the last state only, error terms "delta" per gate.
# https://github.com/hanbt/learn_dl/issues/53


def delta_lstm_forward(x, Wfh, Wfx, bf, Wih, Wix, bi, Woh, Wox, bo, Wch, Wcx, bc):
    """Run over x (T, D, 1); return the last h (H, 1)."""
    h = c = np.zeros(bf.shape)
    steps = []
    for x_t in x:
        f = sigmoid(Wfh @ h + Wfx @ x_t + bf)
        i = sigmoid(Wih @ h + Wix @ x_t + bi)
        o = sigmoid(Woh @ h + Wox @ x_t + bo)
        ct = np.tanh(Wch @ h + Wcx @ x_t + bc)
        steps.append((x_t, h, c, f, i, o, ct))
        c = f * c + i * ct
        h = o * np.tanh(c)
        steps[-1] += (np.tanh(c),)
    return h, (steps, Wfh, Wih, Woh, Wch)


def delta_lstm_backward(delta_h, cache, bug=None):
    """Undo it; bugs: "bias deltas" (bi, bo get the forget gate's), "no c carry" (only delta_h goes back in time)."""
    steps, *recurrent = cache
    grads = {}
    delta_c = np.zeros(delta_h.shape)
    for x_t, h_prev, c_prev, f, i, o, ct, tanh_c in steps[::-1]:
        delta_c = delta_c + delta_h * o * (1 - tanh_c**2)
        deltas = {
            "f": delta_c * c_prev * f * (1 - f),
            "i": delta_c * ct * i * (1 - i),
            "o": delta_h * tanh_c * o * (1 - o),
            "c": delta_c * i * (1 - ct**2),
        }
        for gate, delta in deltas.items():
            of_bias = deltas["f"] if bug == "bias deltas" and gate in "io" else delta
            for name, grad in ((f"W{gate}h", delta @ h_prev.T), (f"W{gate}x", delta @ x_t.T), (f"b{gate}", of_bias)):
                grads[name] = grads.get(name, 0) + grad
        delta_h = sum(W.T @ delta for W, delta in zip(recurrent, deltas.values(), strict=True))
        delta_c = 0 * delta_c if bug == "no c carry" else delta_c * f
    return grads


# A cell on plain vectors, [x, h] concatenated, state s output without a tanh.
# https://github.com/nicodjimenez/lstm/pull/49, a proposal that the owner doubted, and issue 33 of that repository


def vector_cell_forward(x, s_prev, h_prev, wg, wi, wf, wo, bg, bi, bf, bo):
    """One step for x (D,), s and h (H,), weights (H, D + H); return h and s."""
    xc = np.concatenate([x, h_prev])
    g, i, f, o = np.tanh(wg @ xc + bg), sigmoid(wi @ xc + bi), sigmoid(wf @ xc + bf), sigmoid(wo @ xc + bo)
    s = g * i + s_prev * f
    return s * o, s, (xc, s_prev, g, i, f, o, s, wg, wi, wf, wo)


def vector_cell_backward(dh, ds, cache, bug=None):
    """Undo it; bug "no top_diff_s": the gradient that comes along s is omitted, as in the proposal."""
    xc, s_prev, g, i, f, o, s, wg, wi, wf, wo = cache
    ds = o * dh if bug == "no top_diff_s" else o * dh + ds
    inner = ds * i * (1 - g**2), ds * g * i * (1 - i), ds * s_prev * f * (1 - f), s * dh * o * (1 - o)
    dxc = sum(w.T @ d for w, d in zip((wg, wi, wf, wo), inner, strict=True))
    D = len(xc) - len(s)
    return dxc[:D], ds * f, dxc[D:], *(np.outer(d, xc) for d in inner), *inner


# Row vectors, Z = [A, X], time on the last axis; backward recomputes the gates' inputs.
# https://github.com/ddbourgin/numpy-ml/issues/42


def last_axis_lstm_forward(X, A0, C0, Wf, Wu, Wc, Wo, bf, bu, bc, bo):
    """Run over X (N, D, T); return all A (N, H, T)."""
    A, C, steps = A0, C0, []
    for t in range(X.shape[2]):
        Z = np.hstack([A, X[:, :, t]])  # (N, H + D)
        f, u, o, c = sigmoid(Z @ Wf + bf), sigmoid(Z @ Wu + bu), sigmoid(Z @ Wo + bo), np.tanh(Z @ Wc + bc)
        steps.append((Z, C, f, u, o, c))
        C = f * C + u * c
        A = o * np.tanh(C)
        steps[-1] += (C, A)
    return np.dstack([step[-1] for step in steps]), (steps, Wf, Wu, Wc, Wo, bf, bu, bc, bo)


def last_axis_lstm_backward(dA, cache, bug=None):
    """Undo it; bug "bias of o": the inputs of f and u are recomputed with the bias of o, as in a copied line."""
    steps, Wf, Wu, Wc, Wo, bf, bu, bc, bo = cache
    if bug == "bias of o":
        bf = bu = bo
    H = Wf.shape[1]
    dA_next, dC_next, dX = 0, 0, []
    dW, db = [np.zeros(Wf.shape) for _ in range(4)], [np.zeros(H) for _ in range(4)]
    for t in reversed(range(len(steps))):
        Z, C_prev, f, u, o, c, C, _ = steps[t]
        dA_t = dA[:, :, t] + dA_next
        dC = dC_next + dA_t * o * (1 - np.tanh(C) ** 2)
        slope_f, slope_u = (s * (1 - s) for s in (sigmoid(Z @ Wf + bf), sigmoid(Z @ Wu + bu)))
        inner = [dC * C_prev * slope_f, dC * c * slope_u, dC * u * (1 - c**2), dA_t * np.tanh(C) * o * (1 - o)]
        for k, d in enumerate(inner):
            dW[k] += Z.T @ d
            db[k] += d.sum(axis=0)
        dZ = sum(d @ W.T for d, W in zip(inner, (Wf, Wu, Wc, Wo), strict=True))
        dA_next, dC_next = dZ[:, :H], dC * f
        dX.append(dZ[:, H:])
    return np.dstack(dX[::-1]), dA_next, dC_next, *dW, *db


# An embedding of several words per example.
# https://github.com/karpathy/nn-zero-to-hero/issues/57


def lookup_forward(Xb, C):
    """Look up the rows C[Xb]; Xb (N, T) int, C (V, D)."""
    return C[Xb], (Xb, C.shape)


def lookup_backward(demb, cache, bug=None):
    """Undo it; bug "+=": a word that occurs twice in one example counts once."""
    Xb, shape = cache
    dC = np.zeros(shape)
    for words, demb_n in zip(Xb, demb, strict=True):
        if bug == "+=":
            dC[words] += demb_n
        else:
            np.add.at(dC, words, demb_n)
    return dC


# Three layers, examples as columns, from a course's exercise on gradient checking, with its mistakes.
# https://github.com/bighuang624/Andrew-Ng-Deep-Learning-notes/issues/10


def column_network_loss(params, X, Y):
    """Cross-entropy of ReLU, ReLU, sigmoid on X (n, m); returns the loss and what the gradient needs."""
    A1 = np.maximum(params["W1"] @ X + params["b1"], 0)
    A2 = np.maximum(params["W2"] @ A1 + params["b2"], 0)
    A3 = sigmoid(params["W3"] @ A2 + params["b3"])
    return -np.mean(Y * np.log(A3) + (1 - Y) * np.log(1 - A3)), (A1, A2, A3)


def column_network_gradient(params, X, Y, bug=None):
    """Its gradient; bug "factors": dW2 is 2 times and db1 4 times too large."""
    _, (A1, A2, A3) = column_network_loss(params, X, Y)
    m = X.shape[1]
    dZ3 = (A3 - Y) / m
    dZ2 = params["W3"].T @ dZ3 * (A2 > 0)
    dZ1 = params["W2"].T @ dZ2 * (A1 > 0)
    grads = {"W3": dZ3 @ A2.T, "W2": dZ2 @ A1.T, "W1": dZ1 @ X.T}
    grads |= {f"b{k}": dZ.sum(axis=1, keepdims=True) for k, dZ in ((1, dZ1), (2, dZ2), (3, dZ3))}
    if bug == "factors":
        grads["W2"], grads["b1"] = 2 * grads["W2"], 4 * grads["b1"]
    return grads
