"""Cases for `attack_calls.py`, with their references: text, networks, conversion, measures, checks, classifier."""

import copy
import json
import math
import re
from collections import Counter
from fractions import Fraction

import numpy as np
from attack_cases import (
    Unknown,
    array_of,
    at_connections,
    case,
    floats_of,
    generator_of,
    matrix_of,
    number_in,
    require,
    topology_of,
    whole,
)
from attack_cases_core import (
    draw_real_sparse,
    read_entropy,
    read_shape,
    reference_embedding,
    reference_entropy,
    reference_entropy_gradient,
    reference_linear,
    reference_lstm,
    reference_lstm_backward,
)

from numpy_setlstm import SetLSTMClassifier, check_gradients, check_layer, converters, export, measures, text
from numpy_setlstm.gradcheck import GradientMismatchError, check_directions
from numpy_setlstm.initialization import NetworkSizes
from numpy_setlstm.initialization import init_network as make_network
from numpy_setlstm.layers.lstm import lstm_backward, lstm_forward
from numpy_setlstm.measures.degrees import expected_dispersion as mean_dispersion
from numpy_setlstm.network import Network
from numpy_setlstm.sparse import SparseMatrix, Topology
from numpy_setlstm.topology import erdos_renyi, set_step
from numpy_setlstm.units import remove_units

# Text

WORDS = ["good", "bad", "film", "a", "the", "awful", "ok"]


def words_of(value, as_tokens=True):
    """The tokens of a text of ASCII letters and spaces, or of a list of str."""
    if isinstance(value, str):
        if not re.fullmatch(r"[a-zA-Z\s]*", value):
            raise Unknown
        return value.lower().split()
    require(as_tokens and isinstance(value, list | tuple | np.ndarray) and np.ndim(value) == 1 or value in ([], ()))
    require(all(isinstance(token, str) for token in value), "tokens")
    return [str(token) for token in value]


def draw_text(draw):
    words = [draw.pick(WORDS) for _ in range(draw.rng.integers(6))]
    return words if draw.chance(0.3) else draw.pick([" ", "  ", "\n"]).join(words)


@case("text")
def tokenize(draw):
    some = draw_text(draw)
    reference = lambda text: words_of(text, False)  # noqa: E731
    return text.tokenize, {"text": some if isinstance(some, str) else " ".join(some)}, reference


@case("text")
def any_text(draw):
    alphabets = ["abc <>/&;#@!?.'", "é́İßσς", "नमस्ते", "日本語", "🎬🏽‍", "\0\u2028\ud800\x92", ":)(=-"]
    some = "".join(draw.pick(draw.pick(alphabets)) for _ in range(draw.rng.integers(30)))

    def reference(text):
        require(isinstance(text, str), "no str")
        return lambda tokens: None if all(type(token) is str and token for token in tokens) else repr(tokens)

    return text.tokenize, {"text": some}, reference


@case("text", share=2)
def vocabulary(draw):
    def reference(words):
        words = list(copy.copy(words)) if hasattr(words, "__next__") else words
        require(isinstance(words, list | tuple | np.ndarray), "no list")
        found = words_of(words)
        require(found[:2] == ["<pad>", "<unk>"] and len(set(found)) == len(found), "words")
        return tuple(found)

    words = ["<pad>", "<unk>", *WORDS[: draw.rng.integers(len(WORDS))]]
    return lambda words: text.Vocabulary(words).words, {"words": words}, reference


@case("text", share=2)
def vocabulary_build(draw):
    arguments = {"texts": [draw_text(draw) for _ in range(draw.rng.integers(5))]}
    if draw.chance(0.5):
        arguments |= {"max_size": int(draw.rng.integers(2, 7)), "min_count": int(draw.rng.integers(0, 3))}

    def reference(texts, max_size=20_000, min_count=1):
        require(isinstance(texts, list | tuple | set | np.ndarray) or hasattr(texts, "__next__"), "texts")
        require(not isinstance(texts, str | bytes | dict), "texts")
        max_size, min_count = whole(max_size, 2, 2**31 - 1), whole(min_count, 0, 2**31 - 1)
        counts = Counter(word for one in copy.copy(texts) for word in words_of(one))
        words = sorted((w for w in counts if counts[w] >= min_count), key=lambda w: (-counts[w], w))
        return ("<pad>", "<unk>", *words)[:max_size]

    return lambda **a: text.Vocabulary.build(**a).words, arguments, reference


VOCABULARY = ["<pad>", "<unk>", *WORDS[:4]]


@case("text", share=2)
def encode(draw):
    def reference(text):
        return [VOCABULARY.index(word) if word in VOCABULARY else 1 for word in words_of(text)]

    return lambda text: list(made.encode(text)), {"text": draw_text(draw)}, reference


made = text.Vocabulary(VOCABULARY)


def whole_ids(ids, highest):
    if not isinstance(ids, list | tuple):
        require(not np.ma.is_masked(ids) and (np.ndim(ids) == 1 or not np.size(ids) and np.ndim(ids)))
        ids = np.asarray(ids).tolist()
    return [whole(k, 0, highest) for k in ids if require(not isinstance(k, float)) is None]


@case("text", share=2)
def decode(draw):
    ids = draw.ids(draw.size(), high=len(VOCABULARY))

    def reference(ids):
        return [VOCABULARY[k] for k in whole_ids(ids, len(VOCABULARY) - 1)]

    return made.decode, {"ids": ids.tolist() if draw.chance(0.5) else ids}, reference


@case("text", share=3)
def pad_sequences(draw):
    arguments = {"sequences": [draw.ids(draw.size(0, 5), high=9) for _ in range(draw.size())]}
    arguments["sequences"] = [ids.tolist() if draw.chance(0.6) else ids for ids in arguments["sequences"]]
    arguments["length"] = draw.size(1, 4)
    if draw.chance(0.5):
        arguments |= {"padding": draw.pick(["pre", "post"]), "truncating": draw.pick(["pre", "post"])}

    def reference(sequences, length, padding="pre", truncating="pre"):
        require(isinstance(padding, str) and isinstance(truncating, str))
        require(padding in ("pre", "post") and truncating in ("pre", "post"), "side")
        length, rows = whole(length, 1, 2**20), []
        sequences = list(copy.copy(sequences)) if hasattr(sequences, "__next__") else sequences
        require(not isinstance(sequences, str | bytes | dict | set), "sequences")
        for sequence in sequences:
            ids = whole_ids(sequence, 2**31 - 1)
            ids = ids[-length:] if truncating == "pre" else ids[:length]
            zeros = [0] * (length - len(ids))
            rows.append(zeros + ids if padding == "pre" else ids + zeros)
        return np.array(rows, int).reshape(len(rows), length)

    return text.pad_sequences, arguments, reference


# Networks

PARAMETERS = ("E", "W_x", "W_h", "b", "W_out", "b_out")


def draw_network(draw):
    draw.dtype = draw.real = draw.pick([np.float64, np.float32])
    V, D, H, C = draw.size(2, 5), draw.size(1), draw.size(1), draw.size(2)
    kind = draw.sparse if draw.chance(0.6) else draw.floats
    shapes = {"E": (V, D), "W_x": (D, 4 * H), "W_h": (H, 4 * H)}
    parameters = {name: kind(*shape) for name, shape in shapes.items()}
    parameters |= {"b": draw.floats(4 * H), "W_out": draw.floats(H, C), "b_out": draw.floats(C)}
    if draw.chance(0.4):  # read from both ends
        parameters |= {"W_x_reverse": kind(D, 4 * H), "W_h_reverse": kind(H, 4 * H), "b_reverse": draw.floats(4 * H)}
        parameters["W_out"] = draw.floats(2 * H, C)
    return parameters, draw.ids(draw.size(0), draw.size(1, 4), high=V)


def reference_network(parameters, tokens):
    """Logits, and what the backward pass needs."""
    require(isinstance(parameters, dict) and set(PARAMETERS) <= set(parameters), "parameters")
    p = parameters
    x = reference_embedding(tokens, p["E"])
    tokens = array_of(tokens)
    require(tokens.shape[1] > 0, "no steps")
    lstms, last = [], []
    for step, end in ((1, ""), (-1, "_reverse"))[: 2 if any("_reverse" in str(name) for name in p) else 1]:
        require(all(name + end in p for name in ("W_x", "W_h", "b")), "half a direction")
        weights = {name: p[name + end] for name in ("W_x", "W_h", "b")}
        lstms.append({"x": x[:, ::step], **weights, "mask": tokens[:, ::step] != 0})
        last.append(reference_lstm(**lstms[-1])[0][:, -1])
    h = np.concatenate(last, axis=1)
    logits = reference_linear(h, p["W_out"], p["b_out"])
    require(logits.shape[1] > 0)
    return logits, lstms, h


def reference_gradients(parameters, tokens, labels, weights=None):
    logits, lstms, h = reference_network(parameters, tokens)
    d = reference_entropy_gradient(logits, labels, weights)
    dh_last, dx, grads = d @ floats_of(parameters["W_out"]).T, 0, {}
    H = h.shape[1] // len(lstms)
    for k, (lstm, end) in enumerate(zip(lstms, ("", "_reverse"), strict=False)):
        dh = np.zeros((*np.shape(tokens), H), d.dtype)
        dh[:, -1] = dh_last[:, k * H : (k + 1) * H]
        dx_t, dW_x, dW_h, db, *_ = reference_lstm_backward(dh, lstm)
        grads |= {"W_x" + end: dW_x, "W_h" + end: dW_h, "b" + end: db}
        dx = dx + dx_t[:, :: (1, -1)[k]]
    dE = np.zeros(matrix_of(parameters["E"])[0].shape, dx.dtype)
    for n, row in enumerate(np.asarray(tokens).tolist()):
        for t, k in enumerate(row):
            dE[k] += dx[n, t]
    grads |= {"E": at_connections(dE, parameters["E"]), "W_out": h.T @ d, "b_out": d.sum(axis=0)}
    return reference_entropy(logits, labels, weights), grads, logits


def engine_of(draw):
    return draw.pick([{"engine": "plain"}, {"engine": "fast"}, {"engine": "fast", "kernel": "gather"}])


@case("network", share=2)
def network_forward(draw):
    parameters, tokens = draw_network(draw)
    options = engine_of(draw)
    function = lambda parameters, tokens: Network(parameters, **options).forward(tokens)[0]  # noqa: E731
    return function, {"parameters": parameters, "tokens": tokens}, lambda **a: reference_network(**a)[0]


@case("network", share=3)
def network_tokens(draw):
    parameters, tokens = draw_network(draw)
    network = Network(parameters, **engine_of(draw))
    reference = lambda tokens: reference_network(parameters, tokens)[0]  # noqa: E731
    return lambda tokens: network.forward(tokens)[0], {"tokens": tokens}, reference


@case("network", share=3, fixed=("weights",))
def backpropagate(draw):
    parameters, tokens = draw_network(draw)
    tokens = tokens if len(tokens) else np.ones((1, 2), int)
    network = Network(parameters, **engine_of(draw))
    labels = draw.ids(len(tokens), high=len(parameters["b_out"]))

    def reference(tokens, labels, weights=None):
        logits = reference_network(parameters, tokens)[0]
        read_entropy(logits, labels, weights)
        return reference_gradients(parameters, tokens, labels, weights)

    weights = {"weights": np.abs(draw.floats(len(tokens)))} if draw.chance(0.4) else {}
    return network.backpropagate, {"tokens": tokens, "labels": labels, **weights}, reference


@case("network", share=2)
def network_options(draw):
    parameters, tokens = draw_network(draw)
    arguments = {"dropout": draw.pick([0.0, 0.5]), "embedding_dropout": draw.pick([0.0, 0.5]), "rng": draw.generator()}
    arguments |= {"engine": draw.pick(["fast", "plain"]), "kernel": draw.pick(["auto", "gather", "scratch"])}

    def function(rng, engine, kernel="auto", **rates):
        speed = {"kernel": kernel} if str(engine) == "fast" else {}
        return Network(parameters, engine=engine, **speed, **rates).forward(tokens, rng)[0]

    def reference(rng, engine, kernel="auto", dropout=0.0, embedding_dropout=0.0):
        for rate in (dropout, embedding_dropout):
            number_in(rate, 0, 1, open_above=True)
        require(rng is None or generator_of(rng))
        require(isinstance(engine, str) and engine in ("fast", "plain"), "engine")
        if engine == "fast":
            require(kernel in ("auto", "gather", "scratch"), "kernel")
        shape = (len(tokens), len(parameters["b_out"]))
        return lambda y: None if y.shape == shape and np.isfinite(y).all() else f"logits {y}"

    return function, arguments, reference


@case("network", share=2)
def network_predict_proba(draw):
    parameters, tokens = draw_network(draw)
    network = Network(parameters, **engine_of(draw))

    def reference(tokens, batch_size=256):
        whole(batch_size, 1, math.inf)
        logits = reference_network(parameters, tokens)[0]
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    return network.predict_proba, {"tokens": tokens, "batch_size": draw.size(1)}, reference


@case("network", share=2)
def units_of_a_network(draw):
    parameters, tokens = draw_network(draw)
    p = {name: matrix_of(W)[0] if np.ndim(W) != 1 else floats_of(W) for name, W in parameters.items()}
    network = Network({name: type(parameters[name]).from_array(W) if isinstance(parameters[name], SparseMatrix) else W
                       for name, W in p.items()}, **engine_of(draw))  # fmt: skip
    (D, H), ends = (len(p["W_x"]), len(p["W_h"])), ("", "_reverse")[: 1 + ("b_reverse" in p)]

    def reference(hidden, embedding):
        for share in (hidden, embedding):
            number_in(share, 0, 1, open_above=True)
        kept, rest = [], [*range(D)]
        strength = [abs(p["E"][1:, d]).sum() + sum(abs(p["W_x" + end][d]).sum() for end in ends) for d in range(D)]
        rest = sorted(sorted(rest, key=lambda d: strength[d])[int(Fraction(repr(float(embedding))) * D) :])
        smaller = {"E": p["E"][:, rest], "b_out": p["b_out"]}
        for k, end in enumerate(ends):
            W_x, W_h, out = abs(p["W_x" + end]), abs(p["W_h" + end]), abs(p["W_out"][k * H : (k + 1) * H])
            into = [W_x[:, unit::H].sum() + W_h[:, unit::H].sum() for unit in range(H)]
            strength = [into[unit] + W_h[unit].sum() + out[unit].sum() for unit in range(H)]
            own = sorted(sorted(range(H), key=lambda unit: strength[unit])[int(Fraction(repr(float(hidden))) * H) :])
            columns = [gate * H + unit for gate in range(4) for unit in own]
            smaller |= {"W_x" + end: p["W_x" + end][rest][:, columns], "W_h" + end: p["W_h" + end][own][:, columns]}
            smaller["b" + end] = p["b" + end][columns]
            kept += [k * H + unit for unit in own]
        return reference_network(smaller | {"W_out": p["W_out"][kept]}, tokens)[0]

    def function(hidden, embedding):
        return remove_units(network, hidden=hidden, embedding=embedding)[0].forward(tokens)[0]

    return function, {"hidden": draw.pick([0.0, 0.3, 0.5, 0.7]), "embedding": draw.pick([0.0, 0.4, 0.6])}, reference


@case("network", share=2)
def init_network(draw):
    arguments = {"n_words": draw.size(3, 9), "embedding_dim": draw.size(1), "hidden_size": draw.size(1), "n_classes": 2}
    arguments |= {
        "topology_rng": draw.generator(),
        "values_rng": draw.generator(),
        "er_epsilon": draw.pick([None, 1, 0.5]),
    }
    if draw.chance(0.4):
        arguments |= {"embedding_scale": 0.5, "forget_bias": 1.5, "dtype": draw.pick([np.float32, np.float64])}

    def function(n_words, embedding_dim, hidden_size, n_classes, **rest):
        return make_network(NetworkSizes(n_words, embedding_dim, hidden_size, n_classes), **rest).parameters

    def reference(
        n_words, embedding_dim, hidden_size, n_classes, topology_rng, values_rng, er_epsilon=None, embedding_scale=1.0,
        forget_bias=1.0, dtype=np.float32,
    ):  # fmt: skip
        V, D, H, C = (whole(size, 1, 10**6) for size in (n_words, embedding_dim, hidden_size, n_classes))
        generator_of(topology_rng), generator_of(values_rng)
        require(er_epsilon is None or number_in(er_epsilon, 0, math.inf, open_above=True) >= 0)
        number_in(embedding_scale, 0, math.inf, open_above=True)
        bias, kind = number_in(forget_bias, -math.inf, math.inf, True, True), np.dtype(dtype)
        require(kind.kind == "f")
        shapes = {"E": (V, D), "W_x": (D, 4 * H), "W_h": (H, 4 * H), "b": (4 * H,), "W_out": (H, C), "b_out": (C,)}

        def fault(parameters):
            if {name: W.shape for name, W in parameters.items()} != shapes:
                return f"shapes {parameters}"
            if any(W.dtype != kind for W in parameters.values()):
                return f"dtypes {parameters}"
            is_right = np.allclose(parameters["b"], [0] * H + [float(bias)] * H + [0] * 2 * H)
            return None if is_right or abs(bias) > 6e4 else f"b {parameters['b']}"

        return fault

    return function, arguments, reference


# Conversion


def gate_rows(A, order):
    """The four blocks of rows of A in another order."""
    require(len(A) % 4 == 0, "gates")
    H = len(A) // 4
    return np.concatenate([A[k * H : (k + 1) * H] for k in order])


@case("converters", share=2)
def from_torch(draw):
    draw.dtype = draw.real
    D, H = draw.size(1), draw.size(1)
    weights = {"weight_ih_l0": draw.floats(4 * H, D), "weight_hh_l0": draw.floats(4 * H, H)}
    if draw.chance(0.7):
        weights |= {"bias_ih_l0": draw.floats(4 * H), "bias_hh_l0": draw.floats(4 * H)}
    arguments = {"state_dict": weights, "sparse": draw.chance(0.3)}

    def reference(state_dict, sparse=False, prefix=""):
        require(isinstance(state_dict, dict) and isinstance(sparse, bool) and prefix == "")
        require(set(state_dict) in (set(weights), {"weight_ih_l0", "weight_hh_l0"}), "names")
        arrays = {name: array_of(A, None, "f") for name, A in state_dict.items()}
        W_ih, W_hh = arrays["weight_ih_l0"], arrays["weight_hh_l0"]
        require(W_ih.ndim == W_hh.ndim == 2 and len(W_ih) == len(W_hh) == 4 * W_hh.shape[1], "shapes")
        b = arrays.get("bias_ih_l0", np.zeros(len(W_ih))) + arrays.get("bias_hh_l0", 0)
        require(b.shape == (len(W_ih),) and all(arrays[n].ndim == 1 for n in arrays if "bias" in n), "b")
        return {
            "W_x": gate_rows(W_ih, (0, 1, 3, 2)).T,
            "W_h": gate_rows(W_hh, (0, 1, 3, 2)).T,
            "b": gate_rows(b, (0, 1, 3, 2)),
        }

    def function(**a):
        made = converters.from_torch(**a)
        return {name: W.toarray() if isinstance(W, SparseMatrix) else W for name, W in made.items()}

    return function, arguments, reference


@case("converters", share=2)
def to_torch(draw):
    draw.dtype = draw.real
    D, H = draw.size(1), draw.size(1)
    parameters = {"W_x": draw.matrix(D, 4 * H), "W_h": draw.matrix(H, 4 * H)}
    if draw.chance(0.7):
        parameters["b"] = draw.floats(4 * H)

    def reference(parameters, prefix=""):
        require(isinstance(parameters, dict) and isinstance(prefix, str))
        require(set(parameters) in ({"W_x", "W_h", "b"}, {"W_x", "W_h"}), "names")
        dot = prefix if prefix == "" or prefix.endswith(".") else prefix + "."
        (W_x, _), (W_h, _) = (matrix_of(parameters[name]) for name in ("W_x", "W_h"))
        for name in parameters:
            W = parameters[name]
            array_of(W.values if isinstance(W, SparseMatrix) else W, None, "f")
        H = len(W_h)
        require(W_h.shape == (H, 4 * H) and W_x.shape[1] == 4 * H, "shapes")
        made = {"weight_ih_l0": gate_rows(W_x.T, (0, 1, 3, 2)), "weight_hh_l0": gate_rows(W_h.T, (0, 1, 3, 2))}
        if "b" in parameters:
            b = floats_of(parameters["b"], 1)
            require(len(b) == 4 * H, "b")
            made |= {"bias_ih_l0": gate_rows(b, (0, 1, 3, 2)), "bias_hh_l0": np.zeros(4 * H)}
        return {dot + name: array for name, array in made.items()}

    return converters.to_torch, {"parameters": parameters, "prefix": draw.pick(["", "lstm", "a.b."])}, reference


# Measures


def draw_topology(draw, least=1):
    W = draw_real_sparse(draw, draw.size(least), draw.size(least, 4))
    return W if draw.chance(0.5) else W.topology


def degrees_of(topology, axis, reserved_rows=0):
    pairs, shape = topology_of(topology)
    axis = whole(axis, 0, 1)
    reserved = whole(reserved_rows, 0, shape[0])
    counts = [0] * shape[1 - axis]
    for pair in pairs:
        counts[pair[1 - axis]] += 1
    return counts[reserved:] if axis == 1 else counts, (shape[1] if axis == 1 else shape[0] - reserved)


def dispersion_of(counts):
    if not all(map(math.isfinite, counts)):
        return math.nan
    counts = [Fraction(count) for count in counts]
    mean = sum(counts) / len(counts) if counts else 0
    return float(sum((count - mean) ** 2 for count in counts) / len(counts) / mean) if mean else 0.0


@case("measures")
def connection_counts(draw):
    arguments = {"W": draw_topology(draw, 0), "axis": draw.pick([0, 1])}
    return measures.connection_counts, arguments, lambda W, axis: np.array(degrees_of(W, axis)[0], int)


def draw_degrees(draw):
    arguments = {"topology": draw_topology(draw), "axis": draw.pick([0, 1])}
    return arguments | (
        {"reserved_rows": 1} if draw.chance(0.3) and not (arguments["topology"].rows == 0).any() else {}
    )


@case("measures")
def degree_counts(draw):
    def reference(**a):
        degrees, most = degrees_of(**a)
        return np.array([degrees.count(k) for k in range(most + 1)], int)

    return measures.degree_counts, draw_degrees(draw), reference


@case("measures")
def degree_dispersion(draw):
    return measures.degree_dispersion, draw_degrees(draw), lambda **a: np.asarray(dispersion_of(degrees_of(**a)[0]))


@case("measures")
def dispersion(draw):
    def reference(counts):
        counts = array_of(counts, 1, "biuf").tolist()
        require(all(count >= 0 for count in counts), "negative")
        return np.asarray(dispersion_of(counts))

    return measures.dispersion, {"counts": draw.ids(draw.size(), high=5, dtypes=(np.int64, np.int32))}, reference


def draw_expected(draw):
    shape = draw.size(1), draw.size(1, 4)
    arguments = {"shape": shape, "nnz": int(draw.rng.integers(shape[0] * shape[1] + 1)), "axis": draw.pick([0, 1])}
    if draw.chance(0.2) and shape[0] > 1:
        arguments |= {"reserved_rows": 1, "nnz": 1}
    return arguments


def read_expected(shape, nnz, axis=0, reserved_rows=0):
    n_rows, n_cols = read_shape(shape)
    axis, reserved = whole(axis, 0, 1), whole(reserved_rows, 0, n_rows)
    N = (n_rows - reserved) * n_cols
    return (n_cols if axis == 1 else n_rows - reserved), N, whole(nnz, 0, N)


@case("measures")
def expected_degrees(draw):
    def reference(**a):
        m, N, nnz = read_expected(**a)
        ways = (
            [math.comb(m, k) * math.comb(N - m, nnz - k) if 0 <= nnz - k else 0 for k in range(m + 1)]
            if m <= N
            else [1]
        )
        return np.array([float(Fraction(way, math.comb(N, nnz))) for way in ways])

    return measures.expected_degrees, draw_expected(draw), reference


@case("measures", valid_only=True)
def expected_dispersion(draw):
    def reference(**a):
        m, N, nnz = read_expected(**a)
        return np.asarray(float((1 - Fraction(m, N)) * Fraction(N - nnz, N - 1))) if nnz and N > 1 else np.asarray(0.0)

    return mean_dispersion, draw_expected(draw), reference


def draw_steps(draw):
    """A topology and SET steps from it."""
    W = draw_real_sparse(draw, draw.size(1), 4 * draw.size(1, 2), 0.4)
    start, steps = W.topology, []
    for _ in range(draw.rng.integers(3)):
        W, step = set_step(W, 0.5, draw.generator(), scale=1.0)
        steps.append(step)
    return start, steps


def read_steps(topology, steps):
    """The connections before and after each step, as lists of pairs."""
    pairs, steps = read_steps_alone(topology, steps)
    states = [pairs]
    for step in steps:
        require(type(step).__name__ == "SetStep", "steps")
        gone = [tuple(cell) for cell in step.pruned_cells.T.tolist()]
        grown = [tuple(cell) for cell in step.grown_cells.T.tolist()]
        require(step.nnz == len(pairs), "steps")
        require(set(gone) <= set(pairs) and not set(grown) & (set(pairs) - set(gone)), "steps")
        pairs = sorted((set(pairs) - set(gone)) | set(grown))
        require(all(0 <= r < topology.shape[0] and 0 <= c < topology.shape[1] for r, c in pairs), "steps")
        states.append(pairs)
    return states


@case("measures")
def replay(draw):
    start, steps = draw_steps(draw)

    def reference(topology, steps):
        return [np.array(pairs, int).reshape(-1, 2) for pairs in read_steps(topology, steps)]

    def function(topology, steps):
        return [np.stack([t.rows, t.cols], axis=1) for t in measures.replay(topology, steps)]

    return function, {"topology": start, "steps": steps}, reference


def read_steps_alone(topology, steps):
    """Those of one matrix, in any order."""
    pairs, shape = topology_of(topology)
    require(
        isinstance(steps, list | tuple) or hasattr(steps, "__iter__") and not isinstance(steps, str | dict), "steps"
    )
    steps = list(copy.copy(steps))
    for step in steps:
        require(type(step).__name__ == "SetStep" and step.nnz == len(pairs), "steps")
        require(all(r < shape[0] and c < shape[1] for r, c in step.grown_cells.T.tolist()), "steps")
    return pairs, steps


@case("measures")
def surviving_fraction(draw):
    start, steps = draw_steps(draw)

    def reference(topology, steps):
        pairs, steps = read_steps_alone(topology, steps)
        alive, fractions = [True] * len(pairs), [1.0]
        for step in steps:
            kept = [a for k, a in enumerate(alive) if k not in step.pruned.tolist()]
            alive = [False if k in step.grown.tolist() else kept.pop(0) for k in range(len(pairs))]
            fractions.append(sum(alive) / len(pairs) if pairs else 1.0)
        return np.array(fractions)

    return measures.surviving_fraction, {"topology": start, "steps": steps}, reference


@case("measures", share=2)
def ever_tried(draw):
    start, steps = draw_steps(draw)
    arguments = {"initial": start if draw.chance(0.5) else SparseMatrix.from_topology(start, np.ones(len(start.rows)))}
    arguments["steps"] = steps
    if draw.chance(0.2) and not (start.rows == 0).any() and not any((step.grown_cells[0] == 0).any() for step in steps):
        arguments["reserved_rows"] = 1

    def cells_of(initial, reserved_rows):
        reserved = whole(reserved_rows, 0, initial.shape[0])
        require(all(row >= reserved for row in initial.rows.tolist()), "reserved")
        return (initial.shape[0] - reserved) * initial.shape[1]

    def reference(initial, steps, reserved_rows=0):
        pairs, steps = read_steps_alone(initial, steps)
        cells, tried = cells_of(initial, reserved_rows), set(pairs)
        shares = [len(tried)]
        for step in steps:
            tried |= {tuple(cell) for cell in step.grown_cells.T.tolist()}
            shares.append(len(tried))
        return np.array(shares) / max(cells, 1)

    def expected_reference(initial, steps, reserved_rows=0):
        pairs, steps = read_steps_alone(initial, steps)
        N, nnz = cells_of(initial, reserved_rows), len(pairs)
        tried = [Fraction(nnz)]
        for step in steps:
            n = len(step.grown)
            tried.append(tried[-1] + n * (N - tried[-1]) / max(N - nnz + n, 1))
        return np.array([float(t) for t in tried]) / max(N, 1)

    if draw.chance(0.5):
        return measures.ever_tried, arguments, reference
    return measures.expected_ever_tried, arguments, expected_reference


@case("measures", fixed=("group_of",))
def turnover(draw):
    start, steps = draw_steps(draw)
    arguments = {"initial": start, "steps": steps, "group_of": measures.gates_of(start.shape), "n_groups": 4}

    def reference(initial, steps, group_of, n_groups):
        require(group_of is arguments["group_of"], "group_of")
        (pairs, steps), groups = read_steps_alone(initial, steps), whole(n_groups, 1, 10**6)
        H, result = start.shape[1] // 4, {"pruned_cells": [], "grown_cells": []}
        before = Counter(col // H for _, col in pairs)
        require(max(before, default=0) < groups, "groups")
        for step in steps:
            changed = {cells: Counter(col // H for col in getattr(step, cells)[1].tolist()) for cells in result}
            for cells in result:
                require(max(changed[cells], default=0) < groups, "groups")
                share = [changed[cells][g] / before[g] if before[g] > 0 else np.nan for g in range(groups)]
                result[cells].append(share)
            for group in range(groups):
                before[group] += changed["grown_cells"][group] - changed["pruned_cells"][group]
        return tuple(np.array(rows).reshape(len(steps), groups) for rows in result.values())

    return measures.turnover, arguments, reference


@case("measures")
def null_models(draw):
    start, steps = draw_steps(draw)
    arguments = {"initial": start, "steps": steps, "rng": draw.generator()}

    def reference(initial, steps, rng):
        _, steps = read_steps_alone(initial, steps)
        generator_of(rng)

        def fault(nulls):
            counts = [len(step.grown) for step in nulls]
            read_steps(initial, nulls)
            return None if counts == [len(step.pruned) for step in steps] else f"{counts} connections replaced"

        return fault

    return measures.matched_null, arguments, reference


@case("measures")
def null_evolution(draw):
    W = draw_real_sparse(draw, draw.size(1), draw.size(1, 4), 0.4)
    arguments = {"W": W, "n_steps": draw.size(), "zeta": draw.pick([0.0, 0.3, 0.5]), "rng": draw.generator()}

    def reference(W, n_steps, zeta, rng):
        require(isinstance(W, SparseMatrix) and W.dtype.kind == "f" and np.isfinite(W.values).all(), "W")
        n, _, _ = whole(n_steps, 0, 10**4), number_in(zeta, 0, 1), generator_of(rng)

        def fault(steps):
            read_steps(W, steps)
            return None if len(steps) == n else f"{len(steps)} steps"

        return fault

    return measures.null_evolution, arguments, reference


@case("measures")
def word_bands(draw):
    arguments = {"rows": draw.ids(draw.size(), high=2000, dtypes=(np.int32, np.int64))}
    arguments["cols"] = np.zeros_like(arguments["rows"])

    def reference(rows, cols):
        rows = np.zeros(0, int) if np.shape(rows) == (0,) else array_of(rows, 1, "iu")
        return np.array([(r >= 102) + (r >= 1002) for r in rows.tolist()], int)

    return measures.word_bands, arguments, reference


@case("measures")
def gate_of(draw):
    topology = draw_real_sparse(draw, draw.size(1), 4 * draw.size(1, 2))
    arguments = {"topology": topology if draw.chance(0.5) else topology.topology, "k": int(draw.rng.integers(4))}

    def reference(topology, k):
        pairs, (_, n_cols) = topology_of(topology)
        k = whole(k, 0, 3)
        require(n_cols % 4 == 0, "gates")
        H = n_cols // 4
        return np.array([(r, c - k * H) for r, c in pairs if c // H == k], int).reshape(-1, 2)

    def function(**a):
        made = measures.gate_of(**a)
        return np.stack([made.rows, made.cols], axis=1)

    return function, arguments, reference


@case("measures")
def expansion(draw):
    arguments = {"topology": draw_topology(draw)}

    def reference(topology, reserved_rows=0):
        pairs, shape = topology_of(topology)
        reserved = whole(reserved_rows, 0, shape[0])
        A = np.zeros(shape)
        for pair in pairs:
            A[pair] = 1
        sigmas = np.append(np.linalg.svd(A, compute_uv=False), [0, 0])

        def fault(found):
            got = [found.sigma_1, found.sigma_2, found.mean_row_degree, found.mean_column_degree]
            expected = [*sigmas[:2], len(pairs) / max(shape[0] - reserved, 1), len(pairs) / max(shape[1], 1)]
            return None if np.allclose(got, expected, atol=1e-6) else f"{got}, expected {expected}"

        return fault

    return measures.expansion, arguments, reference


@case("measures")
def rewired(draw):
    def reference(topology, rng, n_rounds=10):
        pairs, shape = topology_of(topology)
        whole(n_rounds, 0, 10**4), generator_of(rng)

        def fault(made):
            after, same = topology_of(made)
            for axis in (0, 1):
                if Counter(p[axis] for p in after) != Counter(p[axis] for p in pairs) or same != shape:
                    return f"other degrees: {after} from {pairs}"
            return None

        return fault

    arguments = {"topology": draw_topology(draw), "rng": draw.generator(), "n_rounds": draw.size(0)}
    return measures.rewired, arguments, reference


def draw_networks(draw, n=2):
    D, H = draw.size(1), draw.size(1)
    shapes = {"W_x": (D, 4 * H), "W_h": (H, 4 * H)} | ({"E": (4, D)} if draw.chance(0.4) else {})
    return [{name: draw_real_sparse(draw, *shape).topology for name, shape in shapes.items()} for _ in range(n)]


def read_lstm_topologies(network):
    require(isinstance(network, dict) and {"W_x", "W_h"} <= network.keys(), "network")
    shapes = {name: topology_of(network[name])[1] for name in ("E", "W_x", "W_h") if name in network}
    (D, n), (H, m) = shapes["W_x"], shapes["W_h"]
    require(n == m == 4 * H and shapes.get("E", (0, D))[1] == D, "shapes")
    return shapes


@case("measures", share=2)
def topological_distance(draw):
    a, b = draw_networks(draw)

    def reference(a, b, matched=True):
        shapes = read_lstm_topologies(a)
        require(isinstance(matched, bool | np.bool_), "matched")
        require(read_lstm_topologies(b) == shapes, "shapes")
        (D, _), (H, _) = shapes["W_x"], shapes["W_h"]

        def jaccard(columns_a, columns_b):
            pairs = [(set(p), set(q)) for p, q in zip(columns_a, columns_b, strict=True)]
            return np.mean([1 - len(p & q) / len(p | q) if p | q else 0.0 for p, q in pairs])

        def inputs(network, dimensions, units):
            where = {"W_x": {d: k for k, d in enumerate(dimensions)}, "W_h": {u: k for k, u in enumerate(units)}}
            columns = [[] for _ in range(H)]
            for name in ("W_x", "W_h"):
                for row, col in topology_of(network[name])[0]:
                    columns[col % H].append((name, where[name][row], col // H))
            return [columns[unit] for unit in units]

        def fault(found):
            dimensions, units = found.dimensions.tolist(), found.units.tolist()
            if sorted(dimensions) != list(range(D)) or sorted(units) != list(range(H)):
                return f"no permutation: {dimensions}, {units}"
            if not matched and (dimensions != list(range(D)) or units != list(range(H))):
                return "matched"
            distance = jaccard(inputs(a, range(D), range(H)), inputs(b, dimensions, units))
            return None if np.isclose(distance, found.lstm) else f"{found}, expected {distance}"

        return fault

    return measures.topological_distance, {"a": a, "b": b, "matched": draw.chance(0.7)}, reference


@case("measures")
def other_graphs(draw):
    (network,) = draw_networks(draw, 1)
    function = draw.pick([measures.random_like, measures.shuffled_copy])

    def reference(network, rng):
        shapes = read_lstm_topologies(network)
        counts = {name: len(network[name].rows) for name in shapes}
        require("E" not in network or not (network["E"].rows == 0).any() or function is measures.shuffled_copy, "full")
        generator_of(rng)

        def fault(made):
            got = {name: (W.shape, len(W.rows)) for name, W in made.items()}
            return None if got == {name: (shapes[name], counts[name]) for name in shapes} else f"{got}"

        return fault

    if "E" in network:
        network["E"] = Topology((5, network["E"].shape[1]), network["E"].rows + 1, network["E"].cols)
    return function, {"network": network, "rng": draw.generator()}, reference


@case("measures", share=0.3)
def describe(draw):
    start, steps = draw_steps(draw)
    arguments = {"initial": {"W_h": start}, "steps": [{"W_h": step} for step in steps], "seed": 0, "n_nulls": 2}

    def reference(initial, steps, seed=0, n_nulls=20):
        if isinstance(steps, np.ndarray):
            raise Unknown  # an array of the steps will do
        require(isinstance(initial, dict) and isinstance(steps, list | tuple))
        whole(seed, 0, math.inf), whole(n_nulls, 1, 10**4)
        names = [name for name, W in initial.items() if not isinstance(W, np.ndarray)]
        for name in names:
            require(isinstance(name, str) and topology_of(initial[name])[1][1] % 4 == 0, "W")
            require(all(isinstance(step, dict) for step in steps), "steps")
            read_steps(initial[name], [step[name] for step in steps])
        return lambda made: None if list(made) == names else f"{made}"

    return measures.describe, arguments, reference


# Gradient checks: they belong to another room's tests, so these calls are valid


@case("gradcheck", share=0.3, valid_only=True, fixed=("p",))
def gradient_check(draw):
    p = {"x": draw.rng.normal(size=(2, 2, 1)), "W_x": draw.rng.normal(size=(1, 4))}
    rest = {"W_h": draw.rng.normal(size=(1, 4)), "b": np.zeros(4)}
    wrong = draw.chance(0.5)

    def loss(p):
        return lstm_forward(**p, **rest)[0].sum()

    def function(p):
        h, cache = lstm_forward(**p, **rest)
        g = lstm_backward(np.ones_like(h), cache)
        grads = {"x": g.dx, "W_x": g.dW_x * (1 + wrong)}
        check = draw.pick([check_gradients, lambda *a: check_directions(*a, rng=np.random.default_rng(0))])
        try:
            return {"ok": check(loss, p, grads).ok}
        except GradientMismatchError:
            return {"ok": False}

    return function, {"p": p}, lambda p: {"ok": not wrong}


@case("gradcheck", share=0.2, valid_only=True, fixed=("x",))
def layer_check(draw):
    def function(x):
        return {"ok": check_layer(lambda x: (x**2, x), lambda dy, x: {"x": 2 * x * dy}, inputs={"x": x}).ok}

    return function, {"x": draw.rng.normal(size=3)}, lambda x: {"ok": True}


# The classifier

TINY = {
    "embedding_dim": 2,
    "hidden_size": 2,
    "parameter_share": 0.6,
    "n_epochs": 2,
    "validation_fraction": 0,
    "batch_size": 4,
}


def draw_data(draw):
    texts = [draw_text(draw) or "film" for _ in range(8)]
    texts = [one if isinstance(one, str) else " ".join(one) or "film" for one in texts]
    if draw.chance(0.3):
        texts = draw.ids(8, 3, high=5)
        texts[0, 0] = 4
    labels = draw.pick([[0, 1] * 4, ["neg", "pos"] * 4, np.array([1.0, 2.0] * 4), np.array([True, False] * 4)])
    return texts, labels


def read_y(y, n):
    y = np.asarray(y)
    require(y.shape in ((n,), (n, 1)) and len(set(y.ravel().tolist())) > 1, "y")
    return y.ravel()


def read_X(X):
    if isinstance(X, np.ndarray) and X.dtype.kind in "iu":
        require(X.ndim == 2 and X.size and X.min() >= 0, "X")
        return X
    require(not isinstance(X, str | bytes | dict | set | frozenset), "X")
    return list(copy.copy(X))


@case("estimator", share=1)
def fit_predict(draw):
    X, y = draw_data(draw)

    def function(X, y):
        clf = SetLSTMClassifier(**TINY, random_state=0, without_known_words="accept").fit(X, y)
        return clf.predict_proba(X), clf.predict(X), clf.classes_, clf.score(X, y)

    def reference(X, y):
        X = read_X(X)
        n = len(X)
        labels = read_y(y, n)

        def fault(result):
            p, predicted, classes, score = result
            expected = np.unique(np.asarray(labels))
            if p.shape != (n, len(expected)) or not np.allclose(p.sum(axis=1), 1, atol=1e-5):
                return f"probabilities {p}"
            if classes.tolist() != expected.tolist() or predicted.tolist() != classes[p.argmax(axis=1)].tolist():
                return f"classes {classes}, predicted {predicted}"
            return None if np.isclose(score, np.mean(predicted == labels)) else f"score {score}"

        return fault

    return function, {"X": X, "y": y}, reference


PARAMETER_VALUES = {
    "connectivity": ("set", "static", "dense"), "embedding_dim": (1, 3), "hidden_size": (1, 3), "zeta": (0.0, 0.5, 1),
    "parameter_share": (0.7, 1.0), "er_epsilon": (None, 0.5), "prune_rule": ("sign", "magnitude"),
    "growth": ("zero", "random", "gradient"), "zeta_schedule": ("constant", "cosine"), "vocabulary_size": (None, 4),
    "max_length": (1, 5), "padding": ("pre", "post"), "truncating": ("pre", "post"), "n_epochs": (1, 2),
    "batch_size": (1, 100), "optimizer": ("adam", "sgd"), "learning_rate": (None, 0.0, 0.1),
    "embedding_learning_rate": (None, 0.1), "embedding_scale": (None, 1.0), "learning_rate_decay": (0.0, 0.5),
    "embedding_dropout": (0.0, 0.5), "dropout": (0.0, 0.5), "max_norm": (1.0, 0.1), "validation_fraction": (0,),
    "patience": (None,), "engine": ("fast", "plain"), "kernel": ("auto", "gather", "scratch"), "n_jobs": (None, 1),
    "dtype": ("float32", "float64"), "progress": (False,), "random_state": (None, 3),
}  # fmt: skip


@case("estimator", share=1.5, fixed=("n_epochs",))
def classifier_parameters(draw):
    arguments = {name: draw.pick(values) for name, values in PARAMETER_VALUES.items() if draw.chance(0.25)}
    texts, labels = ["good film", "bad film", "a good one", "so bad"] * 2, [1, 0, 1, 0] * 2

    def function(**parameters):
        clf = SetLSTMClassifier(**TINY | parameters, without_known_words="accept").fit(texts, labels)
        return clf.predict_proba(texts)

    def reference(**parameters):
        for name, value in parameters.items():
            valid = PARAMETER_VALUES[name]
            if isinstance(valid[-1], str):
                require(isinstance(value, str) and value in valid, name)
            elif isinstance(value, np.ndarray) and value.ndim:
                require(False, name)
        return lambda p: None if p.shape == (8, 2) and np.allclose(p.sum(axis=1), 1, atol=1e-5) else f"{p}"

    return function, arguments, reference


@case("estimator", share=1)
def predict(draw):
    clf, _ = fitted()
    X = draw.pick([["good film", "bad"], [["good"], ["so", "bad"]], ["", "unknown words"]])

    def reference(X):
        X = read_X(X)
        n = len(X)
        require(n > 0 and not isinstance(X, np.ndarray), "X")
        return lambda labels: None if labels.shape == (n,) and set(labels.tolist()) <= {0, 1} else f"{labels}"

    return clf.predict, {"X": X}, reference


def fitted(found=[]):  # noqa: B006  fitted once
    if not found:
        texts, labels = ["good film", "bad film", "a good one", "so bad"] * 2, [1, 0, 1, 0] * 2
        found.append(SetLSTMClassifier(**TINY, random_state=0, without_known_words="accept").fit(texts, labels))
    return found[0], None


@case("estimator", share=0.5)
def to_json(draw):
    clf, _ = fitted()
    n = draw.size(1)
    arguments = {"models": draw.pick([clf, {"mine": clf}])}
    if draw.chance(0.5):
        arguments |= {"epochs": [clf.network_] * n, "test_accuracy": draw.rng.random(n).tolist()}
    if draw.chance(0.5):
        arguments["decimals"] = int(draw.rng.integers(0, 18))

    def reference(models, epochs=None, test_accuracy=None, decimals=None):
        models = models if isinstance(models, dict) else {"set": models}
        require(len(models) > 0 and all(isinstance(name, str) for name in models), "names")
        require(all(isinstance(model, SetLSTMClassifier) for model in models.values()), "models")
        decimals = None if decimals is None else whole(decimals, 0, 17)
        if len(models) > 1 or not all(isinstance(given, list | type(None)) for given in (epochs, test_accuracy)):
            raise Unknown
        require(epochs is None or len(epochs) > 0, "epochs")
        networks = [clf.network_] if epochs is None else epochs
        require(all(isinstance(network, Network) for network in networks), "networks")
        if test_accuracy is not None:
            test_accuracy = [number_in(share, 0, 1) for share in test_accuracy]
            require(len(test_accuracy) == len(networks), "accuracies")

        def fault(text):
            (network,) = json.loads(text)["networks"]
            accuracies = [epoch["test_accuracy"] for epoch in network["epochs"]]
            if accuracies != (test_accuracy or [None] * len(networks)):
                return f"accuracies {accuracies}"
            for epoch, expected in zip(network["epochs"], networks, strict=True):
                for name, W in expected.parameters.items():
                    values = np.ravel(getattr(W, "values", W)).tolist()
                    rounded = values if decimals is None else [round(value, decimals) for value in values]
                    if not np.allclose(epoch["parameters"][name]["values"], rounded, rtol=0, atol=1e-15):
                        return f"the values of {name}"
            return None

        return fault

    return export.to_json, arguments, reference


@case("measures", share=0.3, valid_only=True, fixed=("rng",))
def distance_baselines(draw):
    network = {name: erdos_renyi((3, 12), draw.generator(), density=0.4) for name in ("W_x", "W_h")}

    def function(rng):
        return measures.distance_baselines(network, [], rng, n_pairs=1)

    def reference(rng):
        names = ["shuffled copy", "independent random"]
        return lambda found: None if list(found) == names and all(0 <= d <= 1 for d in found.values()) else f"{found}"

    return function, {"rng": draw.generator()}, reference
