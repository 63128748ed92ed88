r"""The whole network: embedding, LSTM, readout. Its parameters, its loss, its gradients.

.. math:: \text{tokens} \to x = E_w \to h_T = \mathrm{LSTM}(x; W_x, W_h, b) \to y = h_T W_{out} + b_{out} \to L

E, W_x and W_h are sparse, or all dense; the biases and the small readout are dense in either case. A *bidirectional*
network has a second LSTM, with parameters of its own, that reads the text from its end; the last states of both stand
side by side in front of the readout. Source: M. Schuster and K. Paliwal (1997), "Bidirectional Recurrent Neural
Networks". By *pooling*, the readout reads the mean or the maximum of the states of the words instead of the last state.

An *engine* runs the network: :class:`PlainEngine` calls the layers as they are written in :mod:`numpy_setlstm.layers`;
the fast one, in :mod:`numpy_setlstm.fast`, gives the same results.
"""

from typing import NamedTuple

import numpy as np

from numpy_setlstm.checks import array, checked, choice, generator, instance, matrix, number, short, whole
from numpy_setlstm.fast.engine import FastEngine
from numpy_setlstm.layers.dropout import dropout_backward, dropout_forward
from numpy_setlstm.layers.embedding import EmbeddingCache, check_tokens, embedding_backward, embedding_forward
from numpy_setlstm.layers.lstm import GATES, lstm_backward, lstm_forward
from numpy_setlstm.layers.pooling import POOLINGS, pool_backward, pool_forward
from numpy_setlstm.layers.readout import (
    LinearCache,
    cross_entropy_backward,
    cross_entropy_forward,
    linear_backward,
    linear_forward,
    softmax,
)
from numpy_setlstm.optimizers import OPTIMIZERS
from numpy_setlstm.own_lstm import adapt, check_own
from numpy_setlstm.parameters import DIRECTIONS, SPARSE_PARAMETERS, directions_of
from numpy_setlstm.sparse import SparseMatrix, weights_of
from numpy_setlstm.text import PADDING_ID

__all__ = ["Network"]

ENGINES = ("fast", "plain")
KERNELS = FastEngine.kernels  # ways to compute sparse products in the fast engine


class NetworkCache(NamedTuple):
    """What :meth:`PlainEngine.backward` needs."""

    embedding: EmbeddingCache
    x_keep: np.ndarray | None
    lstm: dict  # by direction
    shares: dict  # of the pooling, by direction
    h_keep: np.ndarray | None
    readout: LinearCache


class PlainEngine:
    """Runs the network with the layers as you read them; `lstm` may be a pair (forward, backward) of your own."""

    name = "plain"
    optimizers = OPTIMIZERS

    def __init__(self, lstm=None):
        self.lstm = lstm
        self.lstm_forward, self.lstm_backward = (lstm_forward, lstm_backward) if lstm is None else adapt(lstm)

    def forward(self, parameters, tokens, embedding_dropout=0.0, dropout=0.0, rng=None, *, keep=True, pooling="last"):
        """Logits (N, C) of tokens (N, T), and the cache, or None without `keep`. `rng` draws dropout in training."""
        p = parameters
        x, embedding = embedding_forward(tokens, p["E"])  # (N, T, D)
        x, x_keep = dropout_forward(x, embedding_dropout, rng)
        mask, pooled = tokens != PADDING_ID, []
        lstm = {}
        shares = {}
        for step, weights in directions_of(p).items():  # from the start; if bidirectional, from the end as well
            W_x, W_h, b = (p[name] for name in weights)
            h, lstm[step] = self.lstm_forward(x[:, ::step], W_x, W_h, b, mask[:, ::step])  # (N, T, H)
            h_pooled, shares[step] = pool_forward(h, mask[:, ::step], pooling)  # (N, H)
            pooled.append(h_pooled)
        h_read, h_keep = dropout_forward(np.concatenate(pooled, axis=1), dropout, rng)  # (N, H), or (N, 2H)
        logits, readout = linear_forward(h_read, p["W_out"], p["b_out"])  # (N, C)
        return logits, NetworkCache(embedding, x_keep, lstm, shares, h_keep, readout) if keep else None

    def run_lstm(self, x, W_x, W_h, b, h0, c0, *, keep):
        """States h (N, T, H) after each step, memory c (N, H) after the last, cache: what a language model needs."""
        h, cache = self.lstm_forward(x, W_x, W_h, b, None, h0, c0)
        return h, cache.c_last, cache if keep else None

    def run_lstm_back(self, dh, cache):
        """The LSTMGradients from dh (N, T, H); undoes :meth:`run_lstm`."""
        return self.lstm_backward(dh, cache)

    def lay_out(self, W):
        """A matrix as the products of a language model shall read it: as it is."""
        return W

    def uses_blas(self, W):
        """Whether BLAS multiplies by a matrix: by those that are dense."""
        return not isinstance(W, SparseMatrix)

    def backward(self, dlogits, cache):
        """Gradients of all parameters, by name, from dlogits (N, C); undoes :meth:`forward`, last line first."""
        dh_read, dW_out, db_out = linear_backward(dlogits, cache.readout)
        dpooled = np.split(dropout_backward(dh_read, cache.h_keep), len(cache.lstm), axis=1)  # (N, H) each
        dx, of_lstms = 0, {}
        for (step, lstm), of_direction in zip(cache.lstm.items(), dpooled, strict=True):
            dh = pool_backward(of_direction, cache.shares[step])  # (N, T, H)
            dx_t, dW_x, dW_h, db, *_ = self.lstm_backward(dh, lstm)
            of_lstms |= zip(DIRECTIONS[step], (dW_x, dW_h, db), strict=True)
            dx = dx + dx_t[:, ::step]  # each word is read in both directions
        dE = embedding_backward(dropout_backward(dx, cache.x_keep), cache.embedding)
        return {"E": dE, **of_lstms, "W_out": dW_out, "b_out": db_out}


def make_engine(engine="fast", lstm=None, check=True, sparse=False, **speed):
    """Choose the code that runs, as :class:`Network` does: the one place that knows of both engines."""
    name = engine if isinstance(engine, str) else None
    if lstm is not None or name == "plain":
        plain = PlainEngine(lstm)
        if lstm is not None and check:
            check_own((plain.lstm_forward, plain.lstm_backward), sparse=sparse)
        return plain
    if name == "fast":
        return FastEngine(**speed)
    if name is not None:
        raise ValueError(f"engine is {engine!r}; expected one of {', '.join(map(repr, ENGINES))}")
    if not hasattr(engine, "forward"):
        raise TypeError(f"engine is {short(engine)}; expected {' or '.join(map(repr, ENGINES))}, or an engine")
    return engine


class BaseNetwork:
    """What networks have in common: `parameters` by name, which :meth:`with_parameters` replaces."""

    def count_parameters(self):
        """Count all parameters: connections, biases, readout."""
        return sum(weights_of(W).size for W in self.parameters.values())

    def copy(self):
        """Return a network with its own weights; topologies and engine are shared."""
        return self.with_parameters({name: W.copy() for name, W in self.parameters.items()})


class Network(BaseNetwork):
    """Parameters, and how they work together.

    Parameters
    ----------
    parameters : dict of str to SparseMatrix or ndarray
        E (V, D), W_x (D, 4H), W_h (H, 4H), b (4H,), W_out (H, C), b_out (C,). A bidirectional network also has
        W_x_reverse, W_h_reverse and b_reverse, and W_out is (2H, C).
    scales : dict of str to float, optional
        Standard deviation of the initial weights of each sparse matrix.
    embedding_dropout, dropout : float in [0, 1)
        Of the word vectors, and of what the readout reads.
    pooling : {"last", "mean", "max"}
        What the readout reads: the last hidden state, or the mean or the maximum of the states of the words.
    engine : {"fast", "plain"} or engine
        Which code runs; the results are equal.
    lstm : tuple of (forward, backward), optional
        An LSTM of your own, with the signatures of :func:`~numpy_setlstm.layers.lstm.lstm_forward` and
        :func:`~numpy_setlstm.layers.lstm.lstm_backward`. It runs in the plain engine, whatever `engine` is.
    check : bool, default True
        Whether to check the gradients of `lstm` first, on a small random case: GradientMismatchError with a report.
    **speed
        Options of the fast engine: `kernel`.

    Raises
    ------
    ValueError
        If there is no such engine.

    Examples
    --------
    >>> from numpy_setlstm.initialization import NetworkSizes, init_network
    >>> sizes = NetworkSizes(n_words=50, embedding_dim=8, hidden_size=8, n_classes=2)
    >>> network = init_network(sizes, np.random.default_rng(0), np.random.default_rng(1), er_epsilon=2)
    >>> logits, cache = network.forward(np.array([[0, 3, 7], [4, 4, 9]]))
    >>> gradients = network.backward(np.ones_like(logits), cache)
    >>> logits.shape, gradients["E"].shape == network.parameters["E"].values.shape
    ((2, 2), True)
    """

    saved_settings = ("scales", "embedding_dropout", "dropout", "pooling")  # which a saved one has
    carried_shapes = {}  # each text is read whole: no state goes from one minibatch to the next

    def __init__(
        self,
        parameters,
        scales=None,
        *,
        embedding_dropout=0.0,
        dropout=0.0,
        pooling="last",
        engine="fast",
        lstm=None,
        check=True,
        **speed,
    ):
        rate = number("[0, 1)", "a probability of at least 0 and below 1")
        dropout, embedding_dropout = rate("dropout", dropout), rate("embedding_dropout", embedding_dropout)
        self.parameters, self.scales = parameters, dict(scales or {})
        self.embedding_dropout, self.dropout = embedding_dropout, dropout
        self.pooling = choice(POOLINGS)("pooling", pooling)
        instance(dict, "a dict of E, W_x, W_h, b, W_out and b_out")("parameters", parameters)
        sparse = any(isinstance(W, SparseMatrix) for W in parameters.values())
        self.engine = make_engine(engine, lstm, check, sparse, **speed)
        check_parameters(parameters)

    @checked(rng=generator, finite=False)
    def forward(self, tokens, rng=None, parameters=None, *, keep=True):
        """Logits of the classes.

        Parameters
        ----------
        tokens : ndarray of shape (N, T), int
            Word ids; 0 is padding, before or after the words.
        rng : numpy.random.Generator, optional
            For dropout; None outside training.
        parameters : dict, optional
            To use instead of the network's own, as a gradient check does.
        keep : bool, default True
            Whether to keep what :meth:`backward` needs; without it the cache is None, which saves memory and time.

        Returns
        -------
        logits : ndarray of shape (N, C)
            A text of padding only has the logits of the initial state, h = 0.
        cache : NamedTuple or None

        Raises
        ------
        TypeError, ValueError
            If `tokens` is not an (N, T) integer array of ids below V, or has no time step.
        """
        p = self.parameters if parameters is None else parameters
        check_tokens(tokens, p["E"].shape[0])
        if tokens.shape[1] == 0:
            raise ValueError(f"tokens have shape {tokens.shape}; expected at least one step, which may be padding")
        options = {"keep": keep, "pooling": self.pooling}
        return self.engine.forward(p, trim_padding(tokens), self.embedding_dropout, self.dropout, rng, **options)

    def backward(self, dlogits, cache):
        """Gradients of all parameters, by name, from dlogits (N, C); of shape (nnz,) for each SparseMatrix."""
        return self.engine.backward(dlogits, cache)

    def backpropagate(self, tokens, labels, rng=None, parameters=None, weights=None):
        """Mean cross-entropy of a minibatch in nats, its gradients by parameter, and the logits (N, C).

        `tokens` is (N, T) and `labels` (N,); `rng` draws dropout; `parameters` replace the network's own; `weights`
        (N,) say how much each text counts.
        """
        logits, cache = self.forward(tokens, rng, parameters)
        loss, loss_cache = cross_entropy_forward(logits, labels, weights)
        return loss, self.backward(cross_entropy_backward(loss_cache), cache), logits

    def loss_and_gradients(self, tokens, labels, rng=None, weights=None):
        """Loss and gradients of :meth:`backpropagate`."""
        return self.backpropagate(tokens, labels, rng, weights=weights)[:2]

    def predict_proba(self, tokens, batch_size=128):
        """Probabilities (N, C) of the classes for tokens (N, T), `batch_size` texts at a time."""
        batch_size = whole(1)("batch_size", batch_size)
        check_tokens(tokens, self.parameters["E"].shape[0])
        starts = range(0, max(1, len(tokens)), batch_size)  # no text at all is a batch as well
        parts = [softmax(self.forward(tokens[i : i + batch_size], keep=False)[0]) for i in starts]
        return np.concatenate(parts)

    def gate_counts(self):
        """Connections of "W_x" and "W_h", and of their reverse ones, into each gate: see :func:`gate_counts`."""
        matrices = (names[:2] for names in directions_of(self.parameters).values())
        return {name: gate_counts(self.parameters[name]) for names in matrices for name in names}

    def with_parameters(self, parameters):
        """Return a network with other parameters, which are not copied; dropout, scales and engine are the same."""
        rates = {"embedding_dropout": self.embedding_dropout, "dropout": self.dropout}
        return Network(parameters, self.scales, **rates, pooling=self.pooling, engine=self.engine)


def check_parameters(parameters):
    """Reject parameters that are not those of a network, by name and shape."""
    sizes, reverse = {}, DIRECTIONS[-1] if -1 in directions_of(parameters) else ()
    shapes = {"W_h": "H 4H", "W_x": "D 4H", "E": "V D", "b": "4H", "W_out": "2H C" if reverse else "H C", "b_out": "C"}
    shapes |= dict(zip(reverse, ("D 4H", "H 4H", "4H"), strict=False))
    for name, axes in shapes.items():
        if name not in parameters:
            raise ValueError(f"there is no {name} among the parameters; expected {', '.join(shapes)}")
        W = instance(np.ndarray | SparseMatrix, "an array or a SparseMatrix")(name, parameters[name])
        (matrix if name in SPARSE_PARAMETERS else array)(axes)(name, W, sizes)


def gate_counts(W):
    """Connections of W (n, 4H) into each gate, a dict by gate; every cell of an ndarray counts.

    >>> gate_counts(SparseMatrix((1, 8), [0, 0, 0], [0, 1, 6], [1.0, 1.0, 1.0]))
    {'i': 2, 'f': 0, 'o': 0, 'g': 1}
    """
    H = W.shape[1] // 4
    if not isinstance(W, SparseMatrix):
        return dict.fromkeys(GATES, W.shape[0] * H)
    counts = np.bincount(W.cols // H, minlength=4)
    return dict(zip(GATES, counts.tolist(), strict=True))


def trim_padding(tokens):
    """Remove time steps that are padding in every text, which change nothing; at least one remains."""
    used = np.flatnonzero((tokens != PADDING_ID).any(axis=0))
    return tokens[:, used] if len(used) else tokens[:, :1]
