r"""The whole network: embedding, LSTM, readout. Its parameters, its loss, its gradients.

.. math:: \text{tokens} \to x = E_w \to h_T = \mathrm{LSTM}(x; W_x, W_h, b) \to y = h_T W_{out} + b_{out} \to L

E, W_x and W_h are sparse, or all dense; the biases and the small readout are dense in either case.
"""

from dataclasses import dataclass, field

import numpy as np

from numpy_setlstm.fast.embedding import fast_embedding_backward, fast_embedding_forward
from numpy_setlstm.fast.kernels import choose_kernel
from numpy_setlstm.fast.lstm import fast_lstm_backward, fast_lstm_forward, steps_per_group
from numpy_setlstm.fast.memory import ArrayPool
from numpy_setlstm.fast.products import GatherProduct, make_products
from numpy_setlstm.fast.threads import (
    MOST_TEXTS,
    MOST_TEXTS_PREDICTING,
    Background,
    available_cores,
    run_parts,
    split_batch,
)
from numpy_setlstm.layers.dropout import dropout_backward, dropout_forward, dropout_mask
from numpy_setlstm.layers.embedding import check_tokens
from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.layers.readout import (
    cross_entropy_backward,
    cross_entropy_forward,
    linear_backward,
    linear_forward,
    softmax,
)
from numpy_setlstm.sparse import SparseMatrix, weights_of
from numpy_setlstm.text import PADDING_ID
from numpy_setlstm.topology import erdos_renyi, erdos_renyi_count

SPARSE_PARAMETERS = ("E", "W_x", "W_h")
BACKGROUND_CELLS = 2**19  # connections times texts of a product, below which a second thread costs more than it brings


@dataclass(frozen=True)
class NetworkSizes:
    """The sizes that fix the shape of every parameter.

    Attributes
    ----------
    n_words : int
        V, padding and unknown included.
    embedding_dim, hidden_size, n_classes : int
        D, H and C.

    Examples
    --------
    >>> sizes = NetworkSizes(n_words=20_000, embedding_dim=256, hidden_size=256, n_classes=2)
    >>> sizes.shapes["W_x"], sizes.dense_parameters
    ((256, 1024), 5645826)
    """

    n_words: int
    embedding_dim: int
    hidden_size: int
    n_classes: int

    @property
    def shapes(self):
        """Dict of str to tuple of int: the shape of each parameter."""
        V, D, H, C = self.n_words, self.embedding_dim, self.hidden_size, self.n_classes
        return {"E": (V, D), "W_x": (D, 4 * H), "W_h": (H, 4 * H), "b": (4 * H,), "W_out": (H, C), "b_out": (C,)}

    @property
    def dense_parameters(self):
        """Number of parameters of the dense network, everything counted, the padding word's row too."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    def connection_counts(self, er_epsilon):
        """Number of weights of E, W_x and W_h in a network with this er_epsilon.

        Parameters
        ----------
        er_epsilon : float or None
            None for the dense network.

        Returns
        -------
        dict of str to int
            The Erdős–Rényi count; all cells, those of the padding row too, where that fills the matrix and it is dense.

        Examples
        --------
        >>> sizes = NetworkSizes(n_words=20_000, embedding_dim=256, hidden_size=256, n_classes=2)
        >>> sizes.connection_counts(10)
        {'E': 202560, 'W_x': 12800, 'W_h': 12800}
        """
        counts = {}
        for name in SPARSE_PARAMETERS:
            n_rows, n_cols = self.shapes[name]
            count = n_rows * n_cols if er_epsilon is None else erdos_renyi_count((n_rows, n_cols), er_epsilon)
            usable = (n_rows - reserved_rows_of(name)) * n_cols
            counts[name] = n_rows * n_cols if count >= usable else count
        return counts

    def er_epsilon_for(self, density):
        r"""The :math:`\varepsilon` at which the whole network has this share of the dense one's parameters.

        Parameters
        ----------
        density : float in (0, 1]
            Share of :attr:`dense_parameters`. Biases and readout, which stay dense, are part of it.

        Returns
        -------
        float
            For all three sparse matrices, so that each gets connections in proportion to n_in + n_out:
            :eq:`er-epsilon-for` in docs/derivations/erdos_renyi.md.

        Raises
        ------
        ValueError
            If `density` is outside its range, or biases and readout alone are more than that.

        Examples
        --------
        >>> sizes = NetworkSizes(n_words=20_000, embedding_dim=256, hidden_size=256, n_classes=2)
        >>> round(sizes.er_epsilon_for(0.039), 2)
        9.58
        """
        if not 0 < density <= 1:
            raise ValueError(f"density is {density}; expected the share of the dense parameters, above 0, at most 1")
        shapes = self.shapes
        kept_dense = sum(int(np.prod(shape)) for name, shape in shapes.items() if name not in SPARSE_PARAMETERS)
        budget = density * self.dense_parameters - kept_dense
        if budget <= 0:
            raise ValueError(
                f"density {density} allows {density * self.dense_parameters:.0f} parameters, but biases and readout "
                f"alone have {kept_dense}: raise density, or make the network larger"
            )
        # A matrix that is full takes no more; the others share what is left.
        open_shapes = [shapes[name] for name in SPARSE_PARAMETERS]
        while True:
            er_epsilon = budget / max(1, sum(sum(shape) for shape in open_shapes))
            full = [shape for shape in open_shapes if er_epsilon * sum(shape) > shape[0] * shape[1]]
            if not full or len(full) == len(open_shapes):
                return er_epsilon
            budget -= sum(shape[0] * shape[1] for shape in full)
            open_shapes = [shape for shape in open_shapes if shape not in full]


@dataclass
class Network:
    """Parameters, and how they work together.

    Attributes
    ----------
    parameters : dict of str to SparseMatrix or ndarray
        E (V, D), W_x (D, 4H), W_h (H, 4H), b (4H,), W_out (H, C), b_out (C,).
    scales : dict of str to float
        Standard deviation with which the connections of each sparse matrix were drawn.
    embedding_dropout, dropout : float in [0, 1)
        For the words' vectors, and for the last hidden state.
    kernel : {"auto", "gather", "scratch"}
        See :mod:`numpy_setlstm.fast.kernels`.
    n_threads : int or None
        How many threads share a minibatch; None for as many as there are cores. Changes the speed only.

    Examples
    --------
    >>> sizes = NetworkSizes(n_words=50, embedding_dim=8, hidden_size=8, n_classes=2)
    >>> network = init_network(sizes, np.random.default_rng(0), np.random.default_rng(1), er_epsilon=2)
    >>> logits, cache = network.forward(np.array([[0, 3, 7], [4, 4, 9]]))
    >>> gradients = network.backward(np.ones_like(logits), cache)
    >>> logits.shape, gradients["E"].shape == network.parameters["E"].values.shape
    ((2, 2), True)
    """

    parameters: dict
    scales: dict = field(default_factory=dict)
    embedding_dropout: float = 0.0
    dropout: float = 0.0
    kernel: str = "auto"
    n_threads: int | None = None

    def __post_init__(self):
        self._pool = ArrayPool()  # for the large arrays of a minibatch, which the next one needs again

    def forward(self, tokens, rng=None, parameters=None, *, keep=True):
        """Logits of the classes.

        Parameters
        ----------
        tokens : ndarray of shape (N, T), int
            Word ids; 0 is padding, before or after the words.
        rng : numpy.random.Generator, optional
            Draws what dropout leaves out; None outside training.
        parameters : dict, optional
            To be used instead of the network's own, as a gradient check does.
        keep : bool, default True
            Whether to keep what :meth:`backward` needs; without it the cache is None, and memory and time are saved.

        Returns
        -------
        logits : ndarray of shape (N, C)
            A text of padding only has the logits of the state before any word: those of h = 0.
        cache : tuple or None

        Raises
        ------
        TypeError, ValueError
            If `tokens` are no (N, T) integer array of ids below V, or have no time step.
        """
        p = self.parameters if parameters is None else parameters
        check_tokens(tokens, p["E"].shape[0])
        if tokens.shape[1] == 0:
            raise ValueError(f"tokens have shape {tokens.shape}; expected at least one step, which may be padding")
        tokens = trim_padding(tokens)
        N, T = tokens.shape
        dtype = np.result_type(*(weights_of(W) for W in p.values()))
        parts = self._parts(N, p, MOST_TEXTS if keep else MOST_TEXTS_PREDICTING)
        widths = [part.stop - part.start for part in parts]
        steps, empty = steps_per_group(max(widths)), self._pool.empty
        products_x = make_products(p["W_x"], self.kernel, dtype, [steps * width for width in widths], empty)
        products_h = make_products(p["W_h"], self.kernel, dtype, widths, empty)
        products = list(zip(products_x, products_h, strict=True))
        x_shape = (-(-T // steps), p["E"].shape[1], steps, N)
        x_keep = dropout_mask(x_shape, self.embedding_dropout, rng, np.finfo(dtype).dtype)

        def forward_part(k):
            n = parts[k]
            x, embedding_cache = fast_embedding_forward(
                tokens[n], p["E"], steps, dtype, empty=empty
            )  # (..., part of N)
            keep_part = None if x_keep is None else x_keep[..., n]
            if keep_part is not None:
                x *= keep_part
            mask = tokens[n] != PADDING_ID
            with self._background(products) as background:
                h, lstm_cache = fast_lstm_forward(x, *products[k], p["b"], mask, background, keep=keep, empty=empty)
            return h, (embedding_cache, keep_part, lstm_cache)  # (H, part of N)

        hs, caches = zip(*run_parts(forward_part, range(len(parts)), self._threads), strict=True)
        h_last = np.concatenate(hs, axis=1).T  # (N, H)
        h_last, h_keep = dropout_forward(h_last, self.dropout, rng)
        logits, readout_cache = linear_forward(h_last, p["W_out"], p["b_out"])  # (N, C)
        return logits, (p["E"], parts, products, caches, h_keep, readout_cache) if keep else None

    def backward(self, dlogits, cache):
        """Gradients of all parameters; undoes :meth:`forward`.

        Parameters
        ----------
        dlogits : ndarray of shape (N, C)
        cache : tuple
            From :meth:`forward`, with `keep` true.

        Returns
        -------
        dict of str to ndarray
            Of shape (nnz,) for each SparseMatrix.
        """
        E, parts, products, caches, h_keep, readout_cache = cache
        dh_last, dW_out, db_out = linear_backward(dlogits, readout_cache)
        dh_last = dropout_backward(dh_last, h_keep).T  # (H, N)

        def backward_part(k):
            _, keep_part, lstm_cache = caches[k]
            with self._background(products) as background:
                dx, db = fast_lstm_backward(dh_last[:, parts[k]], lstm_cache, background, empty=self._pool.empty)
            return dropout_backward(dx, keep_part), db, *(product.gradient() for product in products[k])

        dx, db, dW_x, dW_h = zip(*run_parts(backward_part, range(len(parts)), self._threads), strict=True)
        dE = fast_embedding_backward(dx, [embedding_cache for embedding_cache, *_ in caches], E)
        return {"E": dE, "W_x": sum(dW_x), "W_h": sum(dW_h), "b": sum(db), "W_out": dW_out, "b_out": db_out}

    @property
    def _threads(self):
        return self.n_threads or available_cores()

    def _parts(self, N, p, most_texts):
        """The parts of a minibatch; with BLAS, which splits the work itself, there is but one."""
        W = p["W_h"]
        gathers = isinstance(W, SparseMatrix) and choose_kernel(W.shape, W.nnz, self.kernel) == "gather"
        return split_batch(N, most_texts) if gathers else [slice(0, N)]

    def _background(self, products):
        """A second thread for each part, unless they have the cores, BLAS has them, or there is too little to do."""
        gathers = all(isinstance(product, GatherProduct) for product in products[0])
        return Background(gathers and self._threads > len(products) and products[0][1].n_cells >= BACKGROUND_CELLS)

    def loss_and_gradients(self, tokens, labels, rng=None):
        """Mean cross-entropy of a minibatch, and its gradients.

        Parameters
        ----------
        tokens : ndarray of shape (N, T), int
        labels : ndarray of shape (N,), int
        rng : numpy.random.Generator, optional
            For dropout.

        Returns
        -------
        loss : scalar
            In nats.
        gradients : dict of str to ndarray
            By parameter, of the shape of its weights: (nnz,) for a SparseMatrix.
        """
        logits, cache = self.forward(tokens, rng)
        loss, loss_cache = cross_entropy_forward(logits, labels)
        return loss, self.backward(cross_entropy_backward(loss_cache), cache)

    def predict_proba(self, tokens, batch_size=256):
        """Probabilities of the classes.

        Parameters
        ----------
        tokens : ndarray of shape (N, T), int
            Word ids; 0 is padding.
        batch_size : int, default 256
            Texts at a time; the result does not depend on it.

        Returns
        -------
        ndarray of shape (N, C)
            In [0, 1]; rows sum to 1.
        """
        parts = [np.empty((0, self.parameters["b_out"].size), self.parameters["b_out"].dtype)]
        parts += [
            softmax(self.forward(tokens[i : i + batch_size], keep=False)[0]) for i in range(0, len(tokens), batch_size)
        ]
        return np.concatenate(parts)

    def count_parameters(self):
        """Count the parameters.

        Returns
        -------
        int
            Everything counted: connections, biases, readout.
        """
        return sum(weights_of(W).size for W in self.parameters.values())

    def gate_counts(self):
        """Connections into each gate.

        Returns
        -------
        dict of str to dict of str to int
            Of "W_x" and "W_h", by gate: see :func:`gate_counts`.
        """
        return {name: gate_counts(self.parameters[name]) for name in ("W_x", "W_h")}

    def copy(self):
        """Return a network whose weights can change without changing this one's; topologies are shared.

        Returns
        -------
        Network
            With the same settings.
        """
        return Network(
            {name: W.copy() for name, W in self.parameters.items()},
            dict(self.scales),
            self.embedding_dropout,
            self.dropout,
            self.kernel,
            self.n_threads,
        )


def init_network(
    sizes,
    topology_rng,
    values_rng,
    *,
    er_epsilon=None,
    embedding_scale=1.0,
    forget_bias=1.0,
    dtype=np.float32,
    **settings,
):
    r"""Draw a network at random.

    Parameters
    ----------
    sizes : NetworkSizes
    topology_rng, values_rng : numpy.random.Generator
        One draws the connections, the other the weights.
    er_epsilon : float, optional
        Each of E, W_x and W_h gets :math:`\varepsilon (n_{in} + n_{out})` connections; a matrix for which that is all
        is dense and does not evolve. None: all three are dense.
    embedding_scale : float, default 1.0
        Standard deviation of the entries of E.
    forget_bias : float, default 1.0
        Where the bias of the forget gate starts; the other biases start at 0.
    dtype : dtype, default numpy.float32
    **settings
        `embedding_dropout`, `dropout` and `kernel` of :class:`Network`.

    Returns
    -------
    Network

    Notes
    -----
    Weights of the LSTM have the standard deviation :math:`1 / \sqrt{3 k}`, where :math:`k` is the mean number of
    connections into a unit: what reaches a gate then has the same size at any density (:eq:`er-scale` in
    docs/derivations/erdos_renyi.md). That a weight's size goes with
    :math:`1 / \sqrt{k}` is the rule of Y. LeCun et al. (1998), "Efficient BackProp", section 4.6; the factor
    :math:`1 / \sqrt{3}` is that of the uniform distribution between :math:`\pm 1 / \sqrt{H}`, from which PyTorch draws
    the weights of its LSTM. The readout starts like X. Glorot and Y. Bengio (2010) propose, with :math:`\sqrt{2 / (H +
    C)}`. A forget bias of 1 is the advice of R. Jozefowicz, W. Zaremba and I. Sutskever (2015).

    Examples
    --------
    >>> sizes = NetworkSizes(n_words=1000, embedding_dim=32, hidden_size=32, n_classes=2)
    >>> network = init_network(sizes, np.random.default_rng(0), np.random.default_rng(1), er_epsilon=2)
    >>> network.parameters["W_h"]
    SparseMatrix(shape=(32, 128), nnz=320, density=0.0781, dtype=float32)
    """
    parameters, scales = {}, {}
    counts = sizes.connection_counts(er_epsilon)
    for name in SPARSE_PARAMETERS:
        shape = sizes.shapes[name]
        reserved_rows = reserved_rows_of(name)
        connections_per_unit = max(1, counts[name] / shape[1])  # into each unit of each gate, on average
        scales[name] = embedding_scale if name == "E" else float(1 / np.sqrt(3 * connections_per_unit))
        if counts[name] == shape[0] * shape[1]:
            parameters[name] = values_rng.normal(0, scales[name], shape).astype(dtype)
            parameters[name][:reserved_rows] = 0
        else:
            parameters[name] = erdos_renyi(
                shape,
                topology_rng,
                er_epsilon=er_epsilon,
                scale=scales[name],
                dtype=dtype,
                reserved_rows=reserved_rows,
                values_rng=values_rng,
            )
    H, C = sizes.hidden_size, sizes.n_classes
    parameters["b"] = np.zeros(4 * H, dtype)
    parameters["b"][H : 2 * H] = forget_bias
    parameters["W_out"] = values_rng.normal(0, np.sqrt(2 / (H + C)), (H, C)).astype(dtype)
    parameters["b_out"] = np.zeros(C, dtype)
    return Network(parameters, scales, **settings)


def reserved_rows_of(name):
    """Rows of a parameter that have no connections and never get any.

    Parameters
    ----------
    name : str
        Of a parameter, such as "W_h".

    Returns
    -------
    int
        1 in E, the row of the padding; 0 elsewhere.

    Examples
    --------
    >>> reserved_rows_of("E"), reserved_rows_of("W_h")
    (1, 0)
    """
    return 1 if name == "E" else 0


def gate_counts(W):
    """Connections into each gate of an LSTM's matrix.

    Parameters
    ----------
    W : SparseMatrix or ndarray of shape (n, 4H)
        In a dense one every cell counts.

    Returns
    -------
    dict of str to int
        By the names of :data:`numpy_setlstm.GATES`.

    Examples
    --------
    >>> gate_counts(SparseMatrix((1, 8), [0, 0, 0], [0, 1, 6], [1.0, 1.0, 1.0]))
    {'i': 2, 'f': 0, 'o': 0, 'g': 1}
    """
    H = W.shape[1] // 4
    if not isinstance(W, SparseMatrix):
        return dict.fromkeys(GATES, W.shape[0] * H)
    counts = np.bincount(W.cols // H, minlength=4)
    return dict(zip(GATES, counts.tolist(), strict=True))


def trim_padding(tokens):
    """Leave out the time steps that are padding in every text: they change no state and no gradient.

    Parameters
    ----------
    tokens : ndarray of shape (N, T), int
        Word ids; 0 is padding.

    Returns
    -------
    ndarray of shape (N, T'), int
        In order; one step of padding if there is nothing else.

    Examples
    --------
    >>> trim_padding(np.array([[0, 0, 5, 6], [0, 7, 0, 8]]))
    array([[0, 5, 6],
           [7, 0, 8]])
    """
    used = np.flatnonzero((tokens != PADDING_ID).any(axis=0))
    return tokens[:, used] if len(used) else tokens[:, :1]
