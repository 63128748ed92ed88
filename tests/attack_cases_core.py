"""Cases for `attack_calls.py`, with their references: layers, sparse matrices, topology, optimizers."""

import copy
import math
from fractions import Fraction

import numpy as np
from attack_cases import (
    array_of,
    at_connections,
    case,
    floats_of,
    generator_of,
    matrix_of,
    number_in,
    require,
    same_cache,
    topology_of,
    whole,
)

from numpy_setlstm import cells, optimizers, sparse, topology
from numpy_setlstm.layers import dropout, embedding, lstm, readout, trace
from numpy_setlstm.sparse import SparseMatrix, Topology

# LSTM


def sigmoid(z):
    z = np.asarray(z)
    return np.where(z.real >= 0, 1 / (1 + np.exp(-z)), 1 - 1 / (1 + np.exp(z)))


def times(vector, W):
    """vector @ W, over the connections only."""
    A, present = W
    return np.where(present, vector[:, None] * A, 0).sum(axis=0)


def read_lstm(x, W_x, W_h, b, mask=None, h0=None, c0=None):
    x, W_x, W_h, b = floats_of(x, 3), matrix_of(W_x), matrix_of(W_h), floats_of(b, 1)
    N, T, D = x.shape
    H = W_h[0].shape[0]
    require(W_h[0].shape == (H, 4 * H) and W_x[0].shape == (D, 4 * H) and b.shape == (4 * H,), "shapes")
    mask = np.ones((N, T), bool) if mask is None else array_of(mask, 2, "b")
    h0, c0 = (np.zeros((N, H)) if state is None else floats_of(state, 2) for state in (h0, c0))
    require(mask.shape == (N, T) and h0.shape == c0.shape == (N, H), "shapes")
    return x, W_x, W_h, b, mask, h0, c0


def reference_lstm(**arguments):
    """h of every step, and per text what its backward pass needs."""
    x, W_x, W_h, b, mask, h0, c0 = read_lstm(**arguments)
    (N, T, _), H = x.shape, h0.shape[1]
    states, tape = np.zeros((N, T, H), complex), []
    for n in range(N):
        h, c, steps = h0[n], c0[n], []
        for t in range(T):
            gates = None
            h_before, c_before = h, c
            if mask[n, t]:
                z = times(x[n, t], W_x) + b + times(h, W_h)
                gates = i, f, o, g = *sigmoid(z[: 3 * H]).reshape(3, H), np.tanh(z[3 * H :])
                c = f * c + i * g
                h = o * np.tanh(c)
            states[n, t] = h
            steps.append((h_before, c_before, gates, c))
        tape.append(steps)
    is_complex = any(np.iscomplexobj(a) for a in (x, W_x[0], W_h[0], b, h0, c0))
    return (states if is_complex else states.real), tape


def reference_lstm_backward(dh, arguments):
    x, W_x, W_h, b, mask, h0, c0 = read_lstm(**arguments)
    h, tape = reference_lstm(**arguments)
    dh = floats_of(dh, 3)
    require(dh.shape == h.shape, "dh")
    (N, T, H), kind = h.shape, np.result_type(dh, h)
    dx, dW_x, dW_h, db = (np.zeros(a.shape, kind) for a in (x, W_x[0], W_h[0], b))
    dh0, dc0 = np.zeros((N, H), kind), np.zeros((N, H), kind)
    for n in range(N):
        d_h, d_c = np.zeros(H, kind), np.zeros(H, kind)
        for t in reversed(range(T)):
            h_before, c_before, gates, c = tape[n][t]
            d_h = d_h + dh[n, t]
            if gates is None:
                continue
            i, f, o, g = gates
            d_c = d_c + d_h * o * (1 - np.tanh(c) ** 2)
            d_o = d_h * np.tanh(c)
            dz = np.concatenate(
                [d_c * g * i * (1 - i), d_c * c_before * f * (1 - f), d_o * o * (1 - o), d_c * i * (1 - g**2)]
            )
            d_c = d_c * f
            dx[n, t] = np.where(W_x[1], W_x[0] * dz, 0).sum(axis=1)
            d_h = np.where(W_h[1], W_h[0] * dz, 0).sum(axis=1)
            dW_x += np.outer(x[n, t], dz)
            dW_h += np.outer(h_before, dz)
            db += dz
        dh0[n], dc0[n] = d_h, d_c
    return dx, at_connections(dW_x, arguments["W_x"]), at_connections(dW_h, arguments["W_h"]), db, dh0, dc0


def draw_lstm(draw, sizes=None):
    N, T, D, H = sizes or (draw.size(), draw.size(), draw.size(), draw.size())
    arguments = {"x": draw.floats(N, T, D), "W_x": draw.matrix(D, 4 * H), "W_h": draw.matrix(H, 4 * H)}
    arguments["b"] = draw.floats(4 * H)
    if draw.chance(0.5):
        arguments["mask"] = draw.rng.random((N, T)) < 0.6
        if draw.chance(0.5):
            arguments["x"][~arguments["mask"]] = draw.pick([np.nan, np.inf, 7, 1e4])
    if draw.chance(0.3):
        arguments |= {"h0": draw.floats(N, H), "c0": draw.floats(N, H)}
    return arguments


def owners_of(draw, make):
    """Valid forward arguments with their cache, of this call and of another one; the first may be the wrong one."""
    owners = []
    for _ in range(2):
        arguments = make()
        cache = arguments.pop("forward")(**arguments)[-1]
        owners.append((cache, arguments))
    return owners


@case("lstm", share=4)
def lstm_forward(draw):
    arguments = draw_lstm(draw)
    return lambda **a: lstm.lstm_forward(**a)[0], arguments, lambda **a: reference_lstm(**a)[0]


@case("lstm", share=4)
def lstm_backward(draw):
    owners = owners_of(draw, lambda: draw_lstm(draw) | {"forward": lstm.lstm_forward})
    (N, T, _), H = owners[0][1]["x"].shape, owners[0][1]["W_h"].shape[0]
    arguments = {"dh": draw.floats(N, T, H), "cache": owners[draw.odd(0.2)][0]}
    return (
        lambda dh, cache: tuple(lstm.lstm_backward(dh, cache)),
        arguments,
        lambda dh, cache: reference_lstm_backward(dh, same_cache(cache, owners)),
    )


def draw_step(draw):
    N, H = draw.size(), draw.size()
    return {"z": draw.floats(N, 4 * H, scale=2), "c_prev": draw.floats(N, H)}


def reference_step(z, c_prev):
    z, c = floats_of(z, 2), floats_of(c_prev, 2)
    (N, H) = c.shape
    require(z.shape == (N, 4 * H), "shapes")
    i, f, o = (sigmoid(z[:, k * H : (k + 1) * H]) for k in range(3))
    c = f * c + i * np.tanh(z[:, 3 * H :])
    return o * np.tanh(c), c


@case("lstm", share=2)
def lstm_step_forward(draw):
    return lambda **a: lstm.lstm_step_forward(**a)[:2], draw_step(draw), reference_step


@case("lstm", share=2)
def lstm_step_backward(draw):
    owners = owners_of(draw, lambda: draw_step(draw) | {"forward": lstm.lstm_step_forward})
    shape = owners[0][1]["c_prev"].shape

    def reference(dh, dc, cache):
        forward = same_cache(cache, owners)
        z, c_prev = floats_of(forward["z"], 2), floats_of(forward["c_prev"], 2)
        dh, dc, H = floats_of(dh, 2), floats_of(dc, 2), c_prev.shape[1]
        require(dh.shape == dc.shape == c_prev.shape, "shapes")
        i, f, o = (sigmoid(z[:, k * H : (k + 1) * H]) for k in range(3))
        g = np.tanh(z[:, 3 * H :])
        tanh_c = np.tanh(f * c_prev + i * g)
        d = dc + dh * o * (1 - tanh_c**2)
        parts = [d * g * i * (1 - i), d * c_prev * f * (1 - f), dh * tanh_c * o * (1 - o), d * i * (1 - g**2)]
        return np.concatenate(parts, axis=1), d * f

    arguments = {"dh": draw.floats(*shape), "dc": draw.floats(*shape), "cache": owners[draw.odd(0.15)][0]}
    return lstm.lstm_step_backward, arguments, reference


@case("lstm", share=2, shares=True)
def trace_states(draw):
    owners = owners_of(draw, lambda: draw_lstm(draw) | {"forward": lstm.lstm_forward})
    cache, forward = owners[0]
    h = lstm.lstm_forward(**forward)[0]

    def reference(h, cache):
        forward = same_cache(cache, owners)
        expected, tape = reference_lstm(**forward)
        require(array_of(h).shape == expected.shape, "h")
        nothing = np.full(expected.shape[2], np.nan)
        states = {name: np.zeros(expected.shape, expected.dtype) for name in "ifogc"}
        for n, steps in enumerate(tape):
            for t, (_, _, gates, c) in enumerate(steps):
                for k, name in enumerate("ifog"):
                    states[name][n, t] = nothing if gates is None else gates[k]
                states["c"][n, t] = c
        return states | {"h": floats_of(h)}

    return trace.trace_states, {"h": h, "cache": owners[draw.odd(0.15)][0]}, reference


# Embedding, dropout, readout


def draw_embedding(draw):
    N, T, V, D = draw.size(), draw.size(), draw.size(1, 4), draw.size()
    return {"tokens": draw.ids(N, T, high=V), "E": draw.matrix(V, D)}


def reference_embedding(tokens, E):
    tokens, (A, _) = array_of(tokens, 2, "iu"), matrix_of(E)
    require(all(0 <= k < len(A) for k in tokens.ravel().tolist()), "ids")
    return np.array([[A[k] for k in row] for row in tokens.tolist()], A.dtype).reshape(*tokens.shape, A.shape[1])


@case("embedding", share=3)
def embedding_forward(draw):
    return lambda **a: embedding.embedding_forward(**a)[0], draw_embedding(draw), reference_embedding


@case("embedding", share=3)
def embedding_backward(draw):
    owners = owners_of(draw, lambda: draw_embedding(draw) | {"forward": embedding.embedding_forward})
    forward = owners[0][1]

    def reference(dx, cache):
        forward = same_cache(cache, owners)
        dx, (A, _), tokens = floats_of(dx, 3), matrix_of(forward["E"]), forward["tokens"]
        require(dx.shape == (*tokens.shape, A.shape[1]), "dx")
        dE = np.zeros(A.shape, dx.dtype)
        for n, row in enumerate(tokens.tolist()):
            for t, k in enumerate(row):
                dE[k] += dx[n, t]
        return at_connections(dE, forward["E"])

    arguments = {"dx": draw.floats(*forward["tokens"].shape, forward["E"].shape[1])}
    return embedding.embedding_backward, arguments | {"cache": owners[draw.odd(0.15)][0]}, reference


@case("dropout", share=2, shares=True)
def dropout_forward(draw):
    arguments = {"x": draw.floats(draw.size(), draw.size()), "rate": draw.pick([0.0, 0.5, 0.25, 0])}
    if draw.chance(0.8):
        arguments["rng"] = draw.generator()

    def reference(x, rate, rng=None):
        x, rate = floats_of(x), number_in(rate, 0, 1, open_above=True)
        require(rng is None or generator_of(rng))

        def fault(result):
            y, keep = result
            if rng is None or rate == 0:
                return None if keep is None and np.array_equal(y, x, equal_nan=True) else "not the same x"
            if np.shape(y) != x.shape or np.shape(keep) != x.shape:
                return f"shapes {np.shape(y)}, {np.shape(keep)}"
            factor = 1 / (1 - float(rate))
            known = np.isclose(keep, factor, rtol=1e-2) | (keep == 0)
            right = np.isclose(y, np.where(keep == 0, 0, x * factor), rtol=1e-2, equal_nan=True)
            right |= ~np.isfinite(x) | (np.abs(x) * factor > np.finfo(y.dtype).max)
            return None if known.all() and right.all() else f"y {y}, keep {keep}"

        return fault

    return dropout.dropout_forward, arguments, reference


@case("dropout", shares=True)
def dropout_backward(draw):
    shape = draw.size(), draw.size()
    keep = None if draw.chance(0.2) else (2 * (draw.rng.random(shape) < 0.5)).astype(draw.real)

    def reference(dy, keep):
        dy = floats_of(dy)
        if keep is None:
            return dy
        keep = floats_of(keep)
        require(keep.shape == dy.shape, "shapes")
        return dy * keep

    return dropout.dropout_backward, {"dy": draw.floats(*shape), "keep": keep}, reference


def draw_linear(draw):
    N, H, C = draw.size(), draw.size(), draw.size()
    return {"h": draw.floats(N, H), "W": draw.floats(H, C), "b": draw.floats(C)}


def reference_linear(h, W, b):
    h, W, b = floats_of(h, 2), floats_of(W, 2), floats_of(b, 1)
    require(h.shape[1] == W.shape[0] and W.shape[1:] == b.shape, "shapes")
    return np.stack([(row[:, None] * W).sum(axis=0) + b for row in h]) if len(h) else np.zeros((0, len(b)))


@case("readout", share=2)
def linear_forward(draw):
    return lambda **a: readout.linear_forward(**a)[0], draw_linear(draw), reference_linear


@case("readout", share=2)
def linear_backward(draw):
    owners = owners_of(draw, lambda: draw_linear(draw) | {"forward": readout.linear_forward})
    forward = owners[0][1]

    def reference(dlogits, cache):
        forward = same_cache(cache, owners)
        d, h, W = floats_of(dlogits, 2), floats_of(forward["h"]), floats_of(forward["W"])
        require(d.shape == (len(h), W.shape[1]), "dlogits")
        dh = (d[:, None, :] * W[None]).sum(axis=2)
        return dh, (h[:, :, None] * d[:, None, :]).sum(axis=0), d.sum(axis=0)

    arguments = {"dlogits": draw.floats(len(forward["h"]), forward["W"].shape[1])}
    return readout.linear_backward, arguments | {"cache": owners[draw.odd(0.15)][0]}, reference


def reference_log_softmax(logits):
    logits = floats_of(logits, 2)
    require(logits.shape[1] > 0, "no classes")
    shifted = logits - logits.real.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


@case("readout", share=2)
def softmax(draw):
    arguments = {"logits": draw.floats(draw.size(), draw.size(1), scale=draw.pick([1, 1, 30]))}
    return readout.softmax, arguments, lambda logits: np.exp(reference_log_softmax(logits))


def draw_entropy(draw):
    N, C = draw.size(1), draw.size(1)
    weights = {"weights": np.abs(draw.floats(N))} if draw.chance(0.4) else {}
    return {"logits": draw.floats(N, C), "labels": draw.ids(N, high=C), **weights}


def read_entropy(logits, labels, weights=None):
    log_p, labels = reference_log_softmax(logits), array_of(labels, 1, "iu")
    N, C = log_p.shape
    require(N > 0 and labels.shape == (N,) and all(0 <= k < C for k in labels.tolist()), "labels")
    weights = np.ones(N) if weights is None else floats_of(weights, 1)
    require(weights.shape == (N,) and weights.dtype.kind == "f" and (np.isfinite(weights) & (weights >= 0)).all())
    return log_p, labels.tolist(), weights


def reference_entropy(logits, labels, weights=None):
    log_p, labels, weights = read_entropy(logits, labels, weights)
    return np.asarray(-sum(weights[n] * log_p[n, k] for n, k in enumerate(labels)) / len(labels))


def reference_entropy_gradient(logits, labels, weights=None):
    log_p, labels, weights = read_entropy(logits, labels, weights)
    return weights[:, None] * (np.exp(log_p) - np.eye(log_p.shape[1])[labels]) / len(labels)


@case("readout", share=2)
def cross_entropy_forward(draw):
    return lambda **a: readout.cross_entropy_forward(**a)[0], draw_entropy(draw), reference_entropy


@case("readout")
def cross_entropy_backward(draw):
    owners = owners_of(draw, lambda: draw_entropy(draw) | {"forward": readout.cross_entropy_forward})
    reference = lambda cache: reference_entropy_gradient(**same_cache(cache, owners))  # noqa: E731
    return readout.cross_entropy_backward, {"cache": owners[0][0]}, reference


# Sparse matrices


def read_shape(shape):
    shape = list(copy.copy(shape)) if hasattr(shape, "__next__") else shape
    require(np.ndim(shape) == 1 and len(shape) == 2 and not isinstance(shape, dict | set | str | bytes), "shape")
    shape = tuple(whole(size) for size in shape)
    require(shape[0] * shape[1] < 2**63, "shape")
    return shape


def read_connections(shape, rows, cols):
    """The shape, and the connections as a list of pairs."""
    (n_rows, n_cols), pairs = read_shape(shape), []
    rows, cols = (np.zeros(0, int) if np.shape(a) == (0,) else array_of(a, 1, "iu") for a in (rows, cols))
    require(len(rows) == len(cols), "lengths")
    for row, col in zip(rows.tolist(), cols.tolist(), strict=True):
        require(0 <= row < n_rows and 0 <= col < n_cols, "range")
        pairs.append((row, col))
    require(all(a < b for a, b in zip(pairs, pairs[1:], strict=False)), "order")
    return (n_rows, n_cols), pairs


def draw_connections(draw):
    W = draw.sparse(draw.size(), draw.size())
    rows, cols = W.rows.copy(), W.cols.copy()
    return {"shape": W.shape, "rows": rows, "cols": cols} if draw.chance(0.7) else {
        "shape": list(W.shape), "rows": rows.tolist(), "cols": cols.tolist()
    }  # fmt: skip


def topology_result(t):
    starts = t.row_starts if t.shape[0] < 1000 else np.zeros(0, int)  # a number per row, however few connections
    return tuple(t.shape), t.rows.astype(int), t.cols.astype(int), t.keys, starts, t.by_column


def reference_topology(shape, rows, cols):
    shape, pairs = read_connections(shape, rows, cols)
    rows, cols = (np.array([pair[k] for pair in pairs], int) for k in (0, 1))
    starts = np.array([sum(r < row for r, _ in pairs) for row in range(shape[0] + 1 if shape[0] < 1000 else 0)], int)
    by_column = np.array(sorted(range(len(pairs)), key=lambda k: pairs[k][::-1]), int)
    return shape, rows, cols, rows * shape[1] + cols, starts, by_column


@case("sparse", share=3)
def topology_of_connections(draw):
    return lambda **a: topology_result(Topology(**a)), draw_connections(draw), reference_topology


def reference_sparse(shape, rows, cols, values):
    shape, pairs = read_connections(shape, rows, cols)
    values = array_of(values, 1, "fc")
    require(len(values) == len(pairs), "values")
    if max(shape) > 1000:
        return len(pairs)
    A = np.zeros(shape, values.dtype)
    for pair, weight in zip(pairs, values, strict=True):
        A[pair] = weight
    return A, A.T, len(pairs)


@case("sparse", share=3)
def sparse_matrix(draw):
    arguments = draw_connections(draw)
    arguments["values"] = draw.floats(len(arguments["rows"]))

    def function(**a):
        W = SparseMatrix(**a)
        if max(W.shape) > 1000:
            return W.nnz
        return W.toarray(), W.T.toarray(), W.nnz

    return function, arguments, reference_sparse


@case("sparse", share=2)
def from_array(draw):
    A = draw.floats(draw.size(), draw.size())
    A[draw.rng.random(A.shape) < 0.5] = 0

    def reference(A):
        A = array_of(A, 2, "fc")
        return A, np.array([[r, c] for r in range(A.shape[0]) for c in range(A.shape[1]) if A[r, c] != 0]).reshape(
            -1, 2
        )

    def function(A):
        W = SparseMatrix.from_array(A)
        return W.toarray(), np.stack([W.rows, W.cols], axis=1)

    return function, {"A": A}, reference


@case("sparse", share=4, fixed=("W",))
def product(draw):
    W = draw.sparse(draw.size(), draw.size())
    lead = draw.pick([(), (2,), (3, 2), (0,), (1, 2, 2)])

    def reference(x, W):
        require(isinstance(W, SparseMatrix), "W")
        x, W = floats_of(x), matrix_of(W)
        require(x.ndim > 0 and x.shape[-1] == W[0].shape[0], "shapes")
        rows = [times(row, W) for row in x.reshape(math.prod(x.shape[:-1]), x.shape[-1])]
        kind = np.result_type(x, W[0])
        return np.array(rows, kind).reshape(*x.shape[:-1], W[0].shape[1])

    W = W.with_values(np.full(W.nnz, draw.pick([np.nan, np.inf, 1e4]), draw.dtype)) if draw.odd(0.2) else W
    return lambda x, W: x @ W, {"x": draw.floats(*lead, W.shape[0]), "W": W}, reference


@case("sparse", share=2, shares=True)
def with_values(draw):
    W = draw.sparse(draw.size(), draw.size())

    def reference(values):
        values = array_of(values, 1, "fc")
        require(values.shape == (W.nnz,), "values")
        return reference_sparse(W.shape, W.rows, W.cols, values)[0]

    return lambda values: W.with_values(values).toarray(), {"values": draw.floats(W.nnz)}, reference


@case("sparse", shares=True)
def from_topology(draw):
    W = draw.sparse(draw.size(), draw.size())

    def reference(topology, values):
        require(isinstance(topology, Topology), "topology")
        return reference_sparse(topology.shape, topology.rows, topology.cols, values)[0]

    function = lambda **a: SparseMatrix.from_topology(**a).toarray()  # noqa: E731
    return function, {"topology": W.topology, "values": draw.floats(W.nnz)}, reference


@case("sparse", share=2)
def take_rows(draw):
    W = draw.sparse(draw.size(1), draw.size())
    shape = [draw.size() for _ in range(draw.rng.integers(4))]

    def reference(rows):
        ids = np.zeros(np.shape(rows), int) if np.size(rows) == 0 else array_of(rows, None, "iu")
        require(all(0 <= k < W.shape[0] for k in ids.ravel().tolist()), "rows")
        A = matrix_of(W)[0]
        return np.array([A[k] for k in ids.ravel().tolist()], A.dtype).reshape(*ids.shape, A.shape[1])

    return W.take_rows, {"rows": draw.ids(*shape, high=W.shape[0])}, reference


@case("sparse", share=2)
def connections_of_rows(draw):
    W = draw.sparse(draw.size(1), draw.size())

    def reference(rows):
        ids = np.zeros(0, int) if np.shape(rows) == (0,) else array_of(rows, 1, "iu")
        require(all(0 <= k < W.shape[0] for k in ids.tolist()), "rows")
        found = [(u, k) for u, row in enumerate(ids.tolist()) for k, r in enumerate(W.rows.tolist()) if r == row]
        which, positions = np.array(found, int).reshape(-1, 2).T
        return which, positions

    return W.connections_of_rows, {"rows": draw.ids(draw.size(), high=W.shape[0])}, reference


@case("sparse", share=3)
def weight_gradient(draw):
    N, n_rows, n_cols = draw.size(), draw.size(), draw.size()
    arguments = {"x": draw.floats(N, n_rows), "dy": draw.floats(N, n_cols), "W": draw.matrix(n_rows, n_cols)}

    def reference(x, dy, W):
        x, dy, (A, _) = floats_of(x, 2), floats_of(dy, 2), matrix_of(W)
        require(len(x) == len(dy) and A.shape == (x.shape[1], dy.shape[1]), "shapes")
        return at_connections((x[:, :, None] * dy[:, None, :]).sum(axis=0), W)

    return sparse.weight_gradient, arguments, reference


# Topology


def erdos_renyi_count_of(shape, er_epsilon):
    share = float(number_in(er_epsilon, 0, math.inf, open_above=True)) * sum(shape)
    return round(min(share, shape[0] * shape[1]))


@case("topology")
def erdos_renyi_count(draw):
    arguments = {"shape": (draw.size(), draw.size()), "er_epsilon": draw.pick([0, 1, 0.3, 2.0, 10])}
    reference = lambda shape, er_epsilon: erdos_renyi_count_of(read_shape(shape), er_epsilon)  # noqa: E731
    return topology.erdos_renyi_count, arguments, reference


@case("topology", share=3)
def erdos_renyi(draw):
    shape = draw.size(), draw.size(0, 6)
    arguments = {"shape": shape, "rng": draw.generator()}
    arguments |= draw.pick([{"density": 0.5}, {"density": 0}, {"density": 0.3}, {"er_epsilon": 0.2}])
    if draw.chance(0.3):
        arguments |= {"scale": draw.pick([0.0, 1, 2.5]), "dtype": draw.pick([np.float64, "float32", np.complex64])}
    if draw.chance(0.3) and shape[0] > 1:
        arguments |= {"reserved_rows": 1, "density": 0.4, "er_epsilon": None}
    if draw.chance(0.3):
        arguments |= {"values_rng": draw.generator()}
    if draw.chance(0.2):
        arguments |= {"one_per_row": True, "density": 0.5, "er_epsilon": None, "shape": (3, 4), "reserved_rows": 0}

    def reference(
        shape, rng, er_epsilon=None, density=None, scale=1.0, dtype=np.float32, reserved_rows=0, one_per_row=False,
        values_rng=None,
    ):  # fmt: skip
        n_rows, n_cols = shape = read_shape(shape)
        generator_of(rng)
        require(values_rng is None or generator_of(values_rng))
        require((er_epsilon is None) != (density is None), "one of two")
        number_in(scale, 0, math.inf, open_above=True)
        reserved, kind = whole(reserved_rows, 0, n_rows), np.dtype(dtype)
        require(kind.kind in "fc", "dtype")
        require(isinstance(one_per_row, bool | np.bool_), "one_per_row")
        if density is None:
            count = erdos_renyi_count_of(shape, er_epsilon)
        else:
            count = round(number_in(density, 0, 1) * n_rows * n_cols)
        require(count <= (n_rows - reserved) * n_cols, "count")
        require(not one_per_row or count >= n_rows - reserved, "count")

        def fault(W):
            pairs, made = topology_of(W)
            ordered = sorted(set(pairs)) == pairs and all(reserved <= r < n_rows and 0 <= c < n_cols for r, c in pairs)
            full = not one_per_row or {r for r, _ in pairs} == set(range(reserved, n_rows))
            if (made, len(pairs), W.dtype) != (shape, count, kind) or not ordered or not full:
                return f"{W!r} with {pairs}, expected {count} connections of {kind}"
            return None if np.isfinite(W.values).all() or scale > 1e4 else "values are not finite"

        return fault

    return topology.erdos_renyi, arguments, reference


def pruned_of(W, zeta, prune_rule="sign", n_blocks=1):
    require(isinstance(W, SparseMatrix) and W.dtype.kind == "f", "W")
    zeta = Fraction(repr(float(number_in(zeta, 0, 1))))
    require(isinstance(prune_rule, str) and prune_rule in ("sign", "magnitude"), "rule")
    values = [float(w) for w in W.values]
    require(all(map(math.isfinite, values)), "finite")
    n_blocks = whole(n_blocks, 1, 10**6)
    require(W.shape[1] % n_blocks == 0, "blocks")
    groups = {}
    for k, (w, col) in enumerate(zip(values, W.cols.tolist(), strict=True)):
        sign = w >= 0 if prune_rule == "sign" else None
        groups.setdefault((col * n_blocks // W.shape[1], sign), []).append(k)
    chosen = []
    for group in groups.values():
        chosen += sorted(group, key=lambda k: (abs(values[k]), k))[: math.floor(zeta * len(group))]
    return sorted(chosen)


def draw_real_sparse(draw, n_rows, n_cols, density=0.5):
    return draw.sparse(n_rows, n_cols, density, lambda n: draw.rng.normal(size=n).round(1).astype(draw.real))


@case("topology", share=3)
def prune(draw):
    W = draw_real_sparse(draw, draw.size(), draw.size(0, 6))
    arguments = {"W": W, "zeta": draw.pick([0.0, 0.3, 0.5, 1.0, 0.29, 1])}
    if draw.chance(0.7):
        arguments["prune_rule"] = draw.pick(["sign", "magnitude"])
    if draw.chance(0.3):
        arguments["n_blocks"] = draw.pick([1, 1, max(1, W.shape[1])])
    return topology.prune, arguments, lambda **a: np.array(pruned_of(**a), int)


def read_scores(growth_scores, shape):
    scores = array_of(growth_scores, 2, "biuf")
    require(scores.shape == shape and np.isfinite(scores).all() and (scores >= 0).all(), "scores")
    return scores


def fault_of_growth(taken, new, shape, count, reserved, scores):
    """What is wrong with new cells, given the taken ones."""
    n_rows, n_cols = shape
    free = [(r, c) for r in range(reserved, n_rows) for c in range(n_cols) if (r, c) not in taken]
    if sorted(set(new)) != new or len(new) != count or not set(new) <= set(free):
        return f"grown {new}, free {free}, expected {count}"
    if scores is not None:
        best = sorted((cell for cell in free if scores[cell] > 0), key=lambda cell: (-scores[cell], cell))[:count]
        if not set(best) <= set(new):
            return f"grown {new}, expected {best} among them"
    return None


@case("topology", share=3)
def regrow(draw):
    W = draw.sparse(draw.size(1), draw.size(1, 4), 0.4)
    reserved = int(draw.chance(0.2) and not (W.rows == 0).any())
    free = W.size - W.nnz - reserved * W.shape[1]
    arguments = {"shape": W.shape, "rows": W.rows.copy(), "cols": W.cols.copy()}
    arguments |= {"count": int(draw.rng.integers(free + 1)), "rng": draw.generator()}
    if draw.chance(0.5):
        arguments["reserved_rows"] = reserved
    elif reserved:
        arguments["reserved_rows"] = 1
    if draw.chance(0.4):
        arguments["growth_scores"] = np.abs(draw.rng.normal(size=W.shape).round(1)).astype(draw.real)

    def reference(shape, rows, cols, count, rng, reserved_rows=0, growth_scores=None):
        shape, pairs = read_connections(shape, rows, cols)
        generator_of(rng)
        reserved = whole(reserved_rows, 0, shape[0])
        require(all(r >= reserved for r, _ in pairs), "reserved")
        count = whole(count, 0, (shape[0] - reserved) * shape[1] - len(pairs))
        scores = None if growth_scores is None else read_scores(growth_scores, shape)

        def fault(result):
            new = list(zip(*(a.tolist() for a in result), strict=True))
            return fault_of_growth(pairs, new, shape, count, reserved, scores)

        return fault

    return topology.regrow, arguments, reference


@case("topology", share=3)
def set_step(draw):
    W = draw_real_sparse(draw, draw.size(1), draw.size(1, 5), 0.4)
    arguments = {"W": W, "zeta": draw.pick([0.0, 0.3, 0.5, 1.0]), "rng": draw.generator()}
    if draw.chance(0.4):
        arguments |= {"prune_rule": draw.pick(["sign", "magnitude"]), "scale": draw.pick([0.0, 0.1, 1])}
    if draw.chance(0.3) and not (W.rows == 0).any():
        arguments["reserved_rows"] = 1
    if draw.chance(0.3):
        arguments["growth_scores"] = np.abs(draw.rng.normal(size=W.shape).round(1)).astype(draw.real)
    if draw.chance(0.3):
        arguments["n_blocks"] = draw.pick([1, W.shape[1]])

    def reference(W, zeta, rng, prune_rule="sign", scale=0.0, reserved_rows=0, growth_scores=None, n_blocks=1):
        pruned = pruned_of(W, zeta, prune_rule, n_blocks)
        generator_of(rng)
        number_in(scale, 0, math.inf, open_above=True)
        reserved = whole(reserved_rows, 0, W.shape[0])
        pairs, shape = topology_of(W)
        kept = {pair: W.values[k] for k, pair in enumerate(pairs) if k not in pruned}
        require(all(r >= reserved for r, _ in kept), "reserved")
        require(len(pruned) <= (shape[0] - reserved) * shape[1] - len(kept), "no room")
        scores = None if growth_scores is None else read_scores(growth_scores, shape)

        def fault(result):
            new, step = result
            after = topology_of(new)[0]
            grown = [pair for k, pair in enumerate(after) if k in step.grown.tolist()]
            if step.pruned.tolist() != pruned or sorted(set(after)) != after or step.nnz != len(pairs):
                return f"pruned {step.pruned}, expected {pruned}"
            for k, pair in enumerate(after):
                if k not in step.grown.tolist() and not new.values[k] == kept.get(pair):
                    return f"{pair} has {new.values[k]}, expected {kept.get(pair)}"
                if k in step.grown.tolist() and scale == 0 and new.values[k] != 0:
                    return f"a grown weight is {new.values[k]}"
            if new.dtype != W.dtype or step.grown_cells.T.tolist() != [list(pair) for pair in grown]:
                return "dtype or cells"
            width = shape[1] // n_blocks
            for block in range(n_blocks):
                cells = [[c for c in part if c[1] // width == block] for part in (kept, grown, pairs)]
                first = [[(r, c - block * width) for r, c in part] for part in cells]
                count, of_block = len(first[2]) - len(first[0]), slice(block * width, (block + 1) * width)
                scores_of_block = None if scores is None else scores[:, of_block]
                wrong = fault_of_growth(set(first[0]), first[1], (shape[0], width), count, reserved, scores_of_block)
                if wrong:
                    return wrong
            return None

        return fault

    return topology.set_step, arguments, reference


def draw_step_of_set(draw):
    W = draw_real_sparse(draw, draw.size(1), draw.size(1, 5), 0.4)
    return W, topology.set_step(W, 0.5, draw.generator())[1]


@case("topology", share=2)
def carry(draw):
    W, step = draw_step_of_set(draw)

    def reference(state):
        require(not np.ma.is_masked(state))
        state = np.asarray(state)
        require(state.shape == (step.nnz,), "state")
        kept = [w for k, w in enumerate(state) if k not in step.pruned.tolist()]
        nothing = np.zeros(1, state.dtype)[0]
        after = [nothing if k in step.grown.tolist() else kept.pop(0) for k in range(step.nnz)]
        expected = np.array(after, state.dtype).reshape(step.nnz)
        return lambda got: None if got.dtype == expected.dtype and got.tolist() == expected.tolist() or not (
            expected == expected).all() else f"{got}, expected {expected}"  # fmt: skip

    return step.carry, {"state": draw.floats(W.nnz) if draw.chance(0.7) else np.arange(W.nnz)}, reference


@case("topology", share=2)
def apply(draw):
    W, step = draw_step_of_set(draw)

    def reference(topology):
        require(isinstance(topology, Topology), "another topology")
        pairs, _ = topology_of(topology)
        same = all(pairs[k] == tuple(c) for k, c in zip(step.pruned, step.pruned_cells.T.tolist(), strict=True))
        require(len(pairs) == step.nnz and same, "another topology")
        gone = {tuple(cell) for cell in step.pruned_cells.T.tolist()}
        after = sorted([pair for pair in pairs if pair not in gone] + [tuple(c) for c in step.grown_cells.T.tolist()])
        return np.array(after, int).reshape(-1, 2)

    function = lambda topology: np.stack([step.apply(topology).rows, step.apply(topology).cols], axis=1)  # noqa: E731
    return function, {"topology": W.topology}, reference


@case("topology", share=0.5, valid_only=True, fixed=("high", "count", "scores", "rng"))
def chosen_cells(draw):
    high = int(draw.rng.integers(1, 30))
    count = int(draw.rng.integers(high + 1))
    scores = draw.rng.random(high).round(1)

    def function(high, count, scores, rng):
        taken = np.sort(cells.distinct_integers(high, count, rng))
        free = cells.draw_free_cells(taken, high, high - count, rng)
        return np.sort(np.concatenate([taken, free])), np.sort(cells.smallest(scores, count))

    def reference(high, count, scores, rng):
        return np.arange(high), np.array(sorted(sorted(range(high), key=lambda k: (scores[k], k))[:count]), int)

    return function, {"high": high, "count": count, "scores": scores, "rng": draw.generator()}, reference


# Optimizers


def constants_of(constants, adam):
    ranges = {"beta1": (0, 1), "beta2": (0, 1)} if adam else {"momentum": (0, 1)}
    found = {name: float(number_in(constants[name], *ends, open_above=True)) for name, ends in ranges.items()}
    if adam:
        found["eps"] = float(number_in(constants["adam_eps"], 0, math.inf, open_below=True, open_above=True))
    return found


@case("optimizers", share=2)
def sgd_update(draw):
    shape = [draw.size() for _ in range(draw.rng.integers(3))]
    arguments = {"gradient": draw.floats(*shape), "velocity": draw.floats(*shape)}
    arguments |= {"learning_rate": draw.pick([0.1, 0, 1.5]), "momentum": draw.pick([0.9, 0.0, 0])}

    def reference(gradient, velocity, learning_rate, momentum=0.9):
        g, u = floats_of(gradient), floats_of(velocity)
        require(g.shape == u.shape, "shapes")
        rate = float(number_in(learning_rate, 0, math.inf, open_above=True))
        u = constants_of({"momentum": momentum}, False)["momentum"] * u + g
        return -rate * u, u

    return optimizers.sgd_update, arguments, reference


def adam_reference(g, m, v, age, rate, beta1, beta2, eps):
    age = age.astype(int) + 1
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    change = -rate * (m / (1 - beta1 ** age.astype(float))) / (np.sqrt(v / (1 - beta2 ** age.astype(float))) + eps)
    return change, m, v, age


@case("optimizers", share=2)
def adam_update(draw):
    draw.dtype = draw.real if draw.real != np.float16 else np.float64
    shape = [draw.size() for _ in range(draw.rng.integers(3))]
    arguments = {"gradient": draw.floats(*shape), "m": draw.floats(*shape), "v": np.abs(draw.floats(*shape))}
    arguments |= {"age": draw.rng.integers(0, 9, () if draw.chance(0.4) else shape, np.int32)}
    if not arguments["age"].shape:
        arguments["age"] = np.asarray(arguments["age"])
    arguments |= {"learning_rate": draw.pick([0.1, 0, 1e-3])}
    if draw.chance(0.4):
        arguments |= {"beta1": 0.8, "beta2": draw.pick([0.99, 0.0]), "adam_eps": 1e-6}

    def reference(gradient, m, v, age, learning_rate, beta1=0.9, beta2=0.999, adam_eps=1e-8):
        g, m, v = (floats_of(a) for a in (gradient, m, v))
        age = array_of(age, None, "iu")
        require(g.shape == m.shape == v.shape and age.shape in ((), g.shape), "shapes")
        require((age.ravel() >= 0).all() and (age.ravel() < 2**31 - 1).all(), "age")
        constants = constants_of({"beta1": beta1, "beta2": beta2, "adam_eps": adam_eps}, True)
        rate = float(number_in(learning_rate, 0, math.inf, open_above=True))
        return adam_reference(g, m, v, age, rate, *constants.values())

    return optimizers.adam_update, arguments, reference


def weights_in(parameters):
    require(isinstance(parameters, dict), "no dict")
    found = {}
    for name, W in parameters.items():
        require(isinstance(name, str), "name")
        found[name] = floats_of(W.values if isinstance(W, SparseMatrix) else W)
        kind = (W.values if isinstance(W, SparseMatrix) else np.asarray(W)).dtype.kind
        require(kind in "fc", "no floats")
    return found


@case("optimizers", share=4, changes=True)
def optimizer(draw):
    draw.dtype = draw.pick([np.float64, np.float32])
    W = draw.sparse(draw.size(1), draw.size(1))
    parameters = {"W": W, "b": draw.floats(draw.size())}
    gradients = {"W": draw.floats(W.nnz), "b": draw.floats(*parameters["b"].shape)}
    adam = draw.chance(0.5)
    kind = draw.pick([optimizers.Adam, optimizers.OPTIMIZERS["adam"]]) if adam else optimizers.SGD
    arguments = {"parameters": parameters, "learning_rate": draw.pick([0.1, 0, {"W": 0.1, "b": 0.2}])}
    arguments |= {"gradients": gradients, "rate_factor": draw.pick([1.0, 0.5, 1])}
    if draw.chance(0.4):
        arguments |= {"beta1": 0.8, "adam_eps": 1e-6} if adam else {"momentum": 0.5}

    def function(parameters, learning_rate, gradients, rate_factor, **constants):
        made = kind(parameters, learning_rate, **constants)
        made.update(parameters, gradients, rate_factor)
        made.update(parameters, gradients, rate_factor)
        return {name: np.array(sparse.weights_of(W)) for name, W in parameters.items()}

    def reference(parameters, learning_rate, gradients, rate_factor, **constants):
        weights = weights_in(parameters)
        constants = constants_of({"beta1": 0.9, "beta2": 0.999, "adam_eps": 1e-8, "momentum": 0.9} | constants, adam)
        rates = learning_rate if isinstance(learning_rate, dict) else dict.fromkeys(weights, learning_rate)
        require(rates.keys() == weights.keys() and isinstance(gradients, dict), "names")
        require(gradients.keys() <= weights.keys(), "names")
        for name, rate in rates.items():
            rate = float(number_in(rate, 0, math.inf, open_above=True)) * float(
                number_in(rate_factor, 0, math.inf, open_above=True)
            )
            if name not in gradients:
                continue
            g = floats_of(gradients[name])
            require(g.shape == weights[name].shape, "shapes")
            require(not (np.iscomplexobj(g) and not np.iscomplexobj(weights[name])), "complex")
            m, v, age = np.zeros_like(weights[name]), np.zeros_like(weights[name]), np.zeros((), int)
            for _ in range(2):
                if adam:
                    change, m, v, age = adam_reference(g, m, v, age, rate, **constants)
                else:
                    m = constants["momentum"] * m + g
                    change = -rate * m
                weights[name] = weights[name] + change
        return weights

    return function, arguments, reference


@case("optimizers", share=2)
def optimizer_carry(draw):
    W, step = draw_step_of_set(draw)
    made = optimizers.Adam({"W": W}, 0.1)
    state = {name: draw.rng.normal(size=W.nnz).astype(W.dtype) for name in ("m", "v")}
    made.state["W"] = state | {"age": np.arange(W.nnz, dtype=np.int32)}

    def function(name, set_step):
        made.carry(name, set_step)
        return made.state["W"]

    def reference(name, set_step):
        require(isinstance(name, str) and name == "W" and set_step is step, "name or step")
        expected = {}
        for key, array in (state | {"age": np.arange(W.nnz)}).items():
            kept = [w for k, w in enumerate(array.tolist()) if k not in step.pruned.tolist()]
            expected[key] = np.array(
                [0 if k in step.grown.tolist() else kept.pop(0) for k in range(W.nnz)], array.dtype
            )
        return expected

    return function, {"name": "W", "set_step": step}, reference


@case("optimizers", share=2, shares=True)
def clip_by_norm(draw):
    gradients = {"a": draw.floats(draw.size(), draw.size()), "b": draw.floats(draw.size())}

    def reference(gradients, max_norm):
        arrays = weights_or_ints(gradients)
        limit = number_in(max_norm, 0, math.inf, open_below=True)
        norm = math.sqrt(sum(float(np.sum(np.abs(g).astype(np.longdouble) ** 2)) for g in arrays.values()))
        if norm <= limit:
            return arrays, norm
        return {name: g * (float(limit) / norm) for name, g in arrays.items()}, norm

    return optimizers.clip_by_norm, {"gradients": gradients, "max_norm": draw.pick([1.0, 0.1, 100, np.inf])}, reference


def weights_or_ints(gradients):
    require(isinstance(gradients, dict), "no dict")
    return {name: floats_of(g) for name, g in gradients.items()}
