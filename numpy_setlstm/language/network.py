r"""The network of a language model: embedding, one or two LSTMs, a readout at every step.

.. math::

    \text{inputs} \to x = E_w \, (+ E_{label}) \to h = \mathrm{LSTM}(x; W_x, W_h, b) \to y_t = h_t W_{out} + b_{out}
    \to L = -\frac{1}{N T} \sum_{n,t} \log p_{n,t}(\text{target}_{n,t})

The LSTM begins with the state in which it left the minibatch before: a text is read in pieces, in their order. The
gradient stops there. What this leaves out is derived in docs/language.md, :eq:`truncation`.

Source: T. Mikolov et al. (2010), "Recurrent neural network based language model"; W. Zaremba, I. Sutskever and O.
Vinyals (2014), arXiv:1409.2329, for layers with dropout between them; O. Press and L. Wolf (2017), arXiv:1608.05859,
for the embedding as a readout.
"""

from typing import NamedTuple

import numpy as np

from numpy_setlstm.language.softmax import LogProbCache, log_prob_backward, log_prob_forward
from numpy_setlstm.layers.dropout import dropout_backward, dropout_forward
from numpy_setlstm.layers.embedding import embedding_backward, embedding_forward
from numpy_setlstm.network import BaseNetwork, gate_counts, make_engine
from numpy_setlstm.parameters import LAYERS, layers_of
from numpy_setlstm.sparse import SparseMatrix


class LanguageCache(NamedTuple):
    """What :meth:`LanguageNetwork.backward` needs; two lists with an entry per layer."""

    embeddings: dict  # by name
    x_keep: np.ndarray | None
    lstms: list
    h_keeps: list
    W: SparseMatrix | np.ndarray  # of the readout, as it is stored
    readout: LogProbCache


class LanguageNetwork(BaseNetwork):
    """Parameters of a language model, and how they work together.

    `parameters` has E (V, D), W_x (D, 4H), W_h (H, 4H), b (4H,), for a second layer W_x_2 (H, 4H), W_h_2 and b_2, then
    W_out (H, V), which is missing if E is the readout as well, b_out (V,), and for labels E_label (C, D).
    """

    saved_settings = ("scales", "embedding_dropout", "dropout")  # which a saved one has

    def __init__(self, parameters, scales=None, *, embedding_dropout=0.0, dropout=0.0, engine="fast", **speed):
        self.parameters, self.scales = parameters, dict(scales or {})
        self.embedding_dropout, self.dropout = embedding_dropout, dropout
        self.engine = make_engine(engine, **speed)

    @property
    def carried_shapes(self):
        """For each state, its shape without the texts: h and c of each layer."""
        H = self.parameters["W_h"].shape[0]
        return {name: (H,) for k in range(len(layers_of(self.parameters))) for name in _state_names(k)}

    def start(self, n_streams):
        """The state before the first step: zeros (N, H) by name."""
        dtype = self.parameters["b"].dtype
        return {name: np.zeros((n_streams, *shape), dtype) for name, shape in self.carried_shapes.items()}

    def read(self, inputs, state, labels=None, rng=None, parameters=None, *, keep=True):
        """What the readout reads, (N, T, H), the state after the last step, and the cache so far, a list.

        `inputs` and `labels` are (N, T), int; `rng` draws dropout.
        """
        p, after, lstms, keeps = self.parameters if parameters is None else parameters, {}, [], []
        x, of_words = embedding_forward(inputs, p["E"])  # (N, T, D)
        embeddings = {"E": of_words}
        if labels is not None:
            x_label, embeddings["E_label"] = embedding_forward(labels, p["E_label"])
            x = x + x_label  # the label is part of every input
        x, x_keep = dropout_forward(x, self.embedding_dropout, rng)
        for k, names in enumerate(layers_of(p)):
            h_name, c_name = _state_names(k)
            weights = (p[name] for name in names)
            h, c_last, lstm = self.engine.run_lstm(x, *weights, state[h_name], state[c_name], keep=keep)
            after |= {h_name: h[:, -1], c_name: c_last}  # (N, H) each
            x, h_keep = dropout_forward(h, self.dropout, rng)  # read by the next layer, or by the readout
            lstms.append(lstm)
            keeps.append(h_keep)
        return x, after, [embeddings, x_keep, lstms, keeps]

    def forward(self, inputs, targets, state, labels=None, rng=None, parameters=None, *, keep=True):
        """Logarithms of the probabilities of the targets (N, T), which are right (N, T), the state after, the cache."""
        p = self.parameters if parameters is None else parameters
        read, after, cache = self.read(inputs, state, labels, rng, parameters, keep=keep)
        N, T, H = read.shape
        tied = "W_out" not in p
        W = p["E" if tied else "W_out"]
        laid_out = self.engine.lay_out(W)
        log_p, right, readout = log_prob_forward(read.reshape(N * T, H), laid_out, p["b_out"], targets.ravel(), tied)
        return log_p.reshape(N, T), right.reshape(N, T), after, LanguageCache(*cache, W, readout) if keep else None

    def next_logits(self, inputs, state, labels=None):
        """Logits (N, V) of what comes after inputs (N, T), and the state after them."""
        read, after, _ = self.read(inputs, state, labels, keep=False)
        p = self.parameters
        return read[:, -1] @ (p["W_out"] if "W_out" in p else p["E"].T) + p["b_out"], after

    def backward(self, dlog_p, cache):
        """Gradients of all parameters, and of the state before the first step, by name, from dlog_p (N, T)."""
        (N, T), W, readout = dlog_p.shape, cache.W, cache.readout
        dread, dW, db_out = log_prob_backward(dlog_p.reshape(N * T), readout)
        if isinstance(W, SparseMatrix) and dW.ndim == 2:  # it was laid out
            dW = dW[W.rows, W.cols]
        dx = dread.reshape(N, T, -1)
        of_lstms, before = {}, {}
        for k in reversed(range(len(cache.lstms))):
            dx, dW_x, dW_h, db, dh0, dc0 = self.engine.run_lstm_back(
                dropout_backward(dx, cache.h_keeps[k]), cache.lstms[k]
            )
            of_lstms |= zip(LAYERS[k], (dW_x, dW_h, db), strict=True)
            before |= zip(_state_names(k), (dh0, dc0), strict=True)
        dx = dropout_backward(dx, cache.x_keep)
        of_embeddings = {name: embedding_backward(dx, part) for name, part in cache.embeddings.items()}
        gradients = of_embeddings | of_lstms | {"b_out": db_out}
        if readout.tied:
            gradients["E"] = gradients["E"] + dW  # E was used twice: as embedding and as readout
        else:
            gradients["W_out"] = dW
        return gradients, before

    def backpropagate(self, inputs, targets, state, labels=None, rng=None, parameters=None):
        """Mean loss in nats, gradients by parameter, how many targets are the most probable, and the state after.

        The state before is given, a constant: its gradient is dropped. This truncates backpropagation through time.
        """
        log_p, right, after, cache = self.forward(inputs, targets, state, labels, rng, parameters)
        gradients, _ = self.backward(np.full(log_p.shape, -1 / log_p.size, log_p.dtype), cache)
        return -log_p.mean(), gradients, int(right.sum()), after

    def laid_out(self):
        """Return a network that computes the same, to read step by step: as :meth:`FastEngine.lay_out` decides."""
        return self.with_parameters({name: self.engine.lay_out(W) for name, W in self.parameters.items()})

    def gate_counts(self):
        """Connections of W_x and W_h of each layer into each gate."""
        matrices = [name for names in layers_of(self.parameters) for name in names[:2]]
        return {name: gate_counts(self.parameters[name]) for name in matrices}

    def with_parameters(self, parameters):
        """Return a network with other parameters, which are not copied; all else is the same."""
        rates = {"embedding_dropout": self.embedding_dropout, "dropout": self.dropout}
        return LanguageNetwork(parameters, self.scales, **rates, engine=self.engine)


def _state_names(layer):
    return ("h", "c") if layer == 0 else (f"h_{layer + 1}", f"c_{layer + 1}")
