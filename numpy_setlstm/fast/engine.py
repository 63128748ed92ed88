"""The fast engine: the same interface, and the same results, as :class:`numpy_setlstm.network.PlainEngine`.

A minibatch goes through the fast embedding and the fast LSTM; the readout, which is small, is the plain one.
"""

from typing import NamedTuple

import numpy as np

from numpy_setlstm.checks import choice
from numpy_setlstm.fast.adam import FastAdam
from numpy_setlstm.fast.embedding import (
    fast_embedding_backward,
    fast_embedding_forward,
    out_of_groups,
    put_in_groups,
)
from numpy_setlstm.fast.kernels import KERNELS, SCRATCH_MAX_CELLS, choose_kernel
from numpy_setlstm.fast.lstm import fast_lstm_backward, fast_lstm_forward, steps_per_group
from numpy_setlstm.fast.memory import ArrayPool
from numpy_setlstm.fast.pooling import make_pool
from numpy_setlstm.fast.products import make_product
from numpy_setlstm.fast.words import make_word_table
from numpy_setlstm.layers.dropout import dropout_backward, dropout_forward, dropout_mask
from numpy_setlstm.layers.lstm import LSTMGradients
from numpy_setlstm.layers.readout import LinearCache, linear_backward, linear_forward
from numpy_setlstm.optimizers import OPTIMIZERS
from numpy_setlstm.parameters import directions_of
from numpy_setlstm.sparse import SparseMatrix, dtype_of, weights_of
from numpy_setlstm.text import PADDING_ID


class FastCache(NamedTuple):
    """What :meth:`FastEngine.backward` needs; the lists after `readings` have an entry per direction."""

    E: SparseMatrix | np.ndarray
    readings: dict
    embedding: list
    lstm: list
    h_keep: np.ndarray | None
    readout: LinearCache


class FastEngine:
    """Runs the network fast.

    `kernel`, one of "auto", "gather" and "scratch", chooses how to multiply by sparse matrices, which changes the speed
    only.
    """

    name = "fast"
    kernels = KERNELS
    optimizers = OPTIMIZERS | {"adam": FastAdam}

    def __init__(self, kernel="auto"):
        self.kernel = choice(KERNELS)("kernel", kernel)
        self._pool = ArrayPool()  # for the large arrays of a minibatch, which the next one needs again

    def forward(self, parameters, tokens, embedding_dropout=0.0, dropout=0.0, rng=None, *, keep=True, pooling="last"):
        """Logits (N, C) of tokens (N, T), and the cache, which is None without `keep`: that saves memory and time."""
        p = parameters
        N, T = tokens.shape
        dtype, readings, empty = dtype_of(p), directions_of(p), self._pool.empty
        x_keep = dropout_mask((N, T, p["E"].shape[1]), embedding_dropout, rng, np.finfo(dtype).dtype)
        embedding, lstm, pooled = [], [], []
        for step, (W_x, W_h, b) in readings.items():
            words, of_step = tokens[:, ::step], None if x_keep is None else x_keep[:, ::step]
            x, product_x, embedding_cache = self._look_up(words, p["E"], p[W_x], dtype, of_step, keep=keep)
            product_h = make_product(p[W_h], self.kernel, dtype, N, empty)
            mask = words != PADDING_ID
            pool = make_pool(pooling, mask, p["W_h"].shape[0], dtype, empty)
            options = {"keep": keep, "pool": pool, "dtype": dtype, "empty": empty}
            h, cache = fast_lstm_forward(x, product_x, product_h, p[b], mask, **options)
            embedding.append(embedding_cache)
            lstm.append(cache)
            pooled.append(h)  # (H, N)
        h_read, h_keep = dropout_forward(np.concatenate(pooled).T, dropout, rng)  # (N, H), or (N, 2H)
        logits, readout = linear_forward(h_read, p["W_out"], p["b_out"])  # (N, C)
        return logits, FastCache(p["E"], readings, embedding, lstm, h_keep, readout) if keep else None

    def _look_up(self, tokens, E, W_x, dtype, dropout_factors, *, keep):
        """What the LSTM reads of tokens (N, T): x and the product with W_x; and the cache of the embedding."""
        steps, empty = steps_per_group(len(tokens)), self._pool.empty
        if not keep and dropout_factors is None:
            x, table = make_word_table(tokens, E, W_x, self.kernel, dtype, empty)
            if table is not None:
                return x, table, None
        x, cache = fast_embedding_forward(tokens, E, steps, dtype, dropout_factors, empty=empty)
        return x, make_product(W_x, self.kernel, dtype, steps * len(tokens), empty), cache

    def backward(self, dlogits, cache):
        """Gradients of all parameters, by name; undoes :meth:`forward`."""
        E, readings, embedding, lstm, h_keep, readout = cache
        dh_read, dW_out, db_out = linear_backward(dlogits, readout)
        dpooled = np.split(dropout_backward(dh_read, h_keep).T, len(readings))  # (H, N) each
        dx, of_lstms = [], {}
        for (W_x, W_h, b), dh, of_lstm in zip(readings.values(), dpooled, lstm, strict=True):
            dx_t, of_lstms[b], *_ = fast_lstm_backward(dh, of_lstm, empty=self._pool.empty)
            of_lstms |= {W_x: of_lstm.product_x.gradient(), W_h: of_lstm.product_h.gradient()}
            dx.append(dx_t)
        dE = fast_embedding_backward(dx, embedding, E)
        return {"E": dE, **of_lstms, "W_out": dW_out, "b_out": db_out}

    def run_lstm(self, x, W_x, W_h, b, h0, c0, *, keep):
        """States h (N, T, H) after each step, memory c (N, H) after the last, cache: what a language model needs."""
        (N, T, D), H, empty = x.shape, W_h.shape[0], self._pool.empty
        dtype = np.result_type(x, h0, c0, b, weights_of(W_x), weights_of(W_h))
        steps = steps_per_group(N)
        groups = np.zeros((-(-T // steps), D, steps, N), dtype)
        put_in_groups(x, groups)
        product_x = make_product(W_x, self.kernel, dtype, steps * N, empty)
        product_h = make_product(W_h, self.kernel, dtype, N, empty)
        mask = np.ones((N, T), bool)
        options = {"keep": keep, "pool": make_pool("all", mask, H, dtype, empty), "state": (h0.T, c0.T), "empty": empty}
        h, cache = fast_lstm_forward(groups, product_x, product_h, b, mask, **options)
        return h.transpose(2, 0, 1), cache.c_last.T, cache if keep else None

    def run_lstm_back(self, dh, cache):
        """The LSTMGradients from dh (N, T, H); undoes :meth:`run_lstm`."""
        dx, db, dh0, dc0 = fast_lstm_backward(dh.transpose(1, 2, 0), cache, empty=self._pool.empty)
        dW_x, dW_h = cache.product_x.gradient(), cache.product_h.gradient()
        return LSTMGradients(out_of_groups(dx, dh.shape[1]), dW_x, dW_h, db, dh0.T, dc0.T)

    def lay_out(self, W):
        """A sparse matrix as an ndarray, if there is room, for BLAS: faster for very many rows, or for a single one."""
        is_small = isinstance(W, SparseMatrix) and W.size <= SCRATCH_MAX_CELLS
        return W.toarray() if is_small and self.kernel != "gather" else W

    def uses_blas(self, W):
        """Whether BLAS multiplies by a matrix: by those that are dense, or written out as if they were."""
        return not isinstance(W, SparseMatrix) or choose_kernel(W.shape, W.nnz, self.kernel) == "scratch"
