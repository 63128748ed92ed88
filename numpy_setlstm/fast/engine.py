"""The fast engine: the same interface, and the same results, as :class:`numpy_setlstm.network.PlainEngine`.

A minibatch is cut into parts that fit into the processor's cache. Each part goes through the fast embedding and the
fast LSTM; the readout, which is small, is the plain one.
"""

from typing import NamedTuple

import numpy as np

from numpy_setlstm.checks import choice, whole
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
from numpy_setlstm.layers.lstm import LSTMGradients
from numpy_setlstm.layers.readout import LinearCache, linear_backward, linear_forward
from numpy_setlstm.optimizers import OPTIMIZERS
from numpy_setlstm.parameters import directions_of
from numpy_setlstm.sparse import SparseMatrix, weights_of
from numpy_setlstm.text import PADDING_ID

BACKGROUND_CELLS = 2**19  # connections times texts of a product; with fewer, a second thread costs more than it gains


class FastCache(NamedTuple):
    """What :meth:`FastEngine.backward` needs; the lists after `readings` have an entry per direction and part."""

    E: SparseMatrix | np.ndarray
    parts: list
    readings: dict
    products: list
    embedding: tuple
    lstm: tuple
    h_keep: np.ndarray | None
    readout: LinearCache


class FastEngine:
    """Runs the network fast.

    `kernel`, one of "auto", "gather" and "scratch", chooses how to multiply by sparse matrices; `n_threads` threads
    share a minibatch, by default as many as there are cores. Both change the speed only.
    """

    name = "fast"
    kernels = KERNELS
    optimizers = OPTIMIZERS | {"adam": FastAdam}

    def __init__(self, kernel="auto", n_threads=None):
        self.kernel = choice(KERNELS)("kernel", kernel)
        self.n_threads = n_threads if n_threads is None else whole(1)("n_threads", n_threads)
        self._pool = ArrayPool()  # for the large arrays of a minibatch, which the next one needs again

    def forward(self, parameters, tokens, embedding_dropout=0.0, dropout=0.0, rng=None, *, keep=True, pooling="last"):
        """Logits (N, C) of tokens (N, T), and the cache, which is None without `keep`: that saves memory and time."""
        p = parameters
        N, T = tokens.shape
        dtype = np.result_type(*(weights_of(W) for W in p.values()))
        readings = directions_of(p)
        parts = self._parts(N, p["W_h"], MOST_TEXTS if keep else MOST_TEXTS_PREDICTING)
        widths = [part.stop - part.start for part in parts]
        steps, empty = steps_per_group(max(widths)), self._pool.empty
        jobs, products = [(n, step) for step in readings for n in parts], []
        for W_x, W_h, _ in readings.values():
            products_x = make_products(p[W_x], self.kernel, dtype, [steps * width for width in widths], empty)
            products_h = make_products(p[W_h], self.kernel, dtype, widths, empty)
            products += zip(products_x, products_h, strict=True)
        x_keep = dropout_mask((N, T, p["E"].shape[1]), embedding_dropout, rng, np.finfo(dtype).dtype)

        def forward_part(k):
            n, step = jobs[k]
            part_keep = None if x_keep is None else x_keep[n, ::step]
            words, b = tokens[n, ::step], p[readings[step][2]]
            x, embedding_cache = fast_embedding_forward(words, p["E"], steps, dtype, part_keep, empty=empty)
            mask = words != PADDING_ID
            options = {"keep": keep, "pool": make_pool(pooling, mask, p["W_h"].shape[0], dtype, empty), "empty": empty}
            with self._background(products) as background:
                h, lstm_cache = fast_lstm_forward(x, *products[k], b, mask, background, **options)
            return h, embedding_cache, lstm_cache  # h (H, part of N)

        h, embedding, lstm = zip(*run_parts(forward_part, range(len(jobs)), self._threads), strict=True)
        h = np.concatenate(h, axis=1)  # (H, N), or (H, 2N) if bidirectional
        h_read, h_keep = dropout_forward(np.concatenate(np.split(h, len(readings), axis=1)).T, dropout, rng)  # (N, ·)
        logits, readout = linear_forward(h_read, p["W_out"], p["b_out"])  # (N, C)
        return logits, FastCache(p["E"], parts, readings, products, embedding, lstm, h_keep, readout) if keep else None

    def backward(self, dlogits, cache):
        """Gradients of all parameters, by name; undoes :meth:`forward`."""
        E, parts, readings, products, embedding, lstm, h_keep, readout = cache
        dh_read, dW_out, db_out = linear_backward(dlogits, readout)
        dpooled = np.split(dropout_backward(dh_read, h_keep).T, len(readings))  # (H, N) each
        dh = [of_direction[:, n] for of_direction in dpooled for n in parts]

        def backward_part(k):
            with self._background(products) as background:
                dx, db, *_ = fast_lstm_backward(dh[k], lstm[k], background, empty=self._pool.empty)
            return dx, *(product.gradient() for product in products[k]), db

        dx, *of_weights = zip(*run_parts(backward_part, range(len(dh)), self._threads), strict=True)
        gradients = {"E": fast_embedding_backward(dx, embedding, E)}
        for k, names in enumerate(readings.values()):
            of_direction = slice(k * len(parts), (k + 1) * len(parts))
            gradients |= {name: sum(of[of_direction]) for name, of in zip(names, of_weights, strict=True)}
        return gradients | {"W_out": dW_out, "b_out": db_out}

    def run_lstm(self, x, W_x, W_h, b, h0, c0, *, keep):
        """States h (N, T, H) after each step, memory c (N, H) after the last, cache: what a language model needs."""
        (N, T, D), H, empty = x.shape, W_h.shape[0], self._pool.empty
        dtype = np.result_type(x, h0, c0, b, weights_of(W_x), weights_of(W_h))
        steps = steps_per_group(N)
        groups = np.zeros((-(-T // steps), D, steps, N), dtype)
        put_in_groups(x, groups)
        (product_x,) = make_products(W_x, self.kernel, dtype, [steps * N], empty)
        (product_h,) = make_products(W_h, self.kernel, dtype, [N], empty)
        mask = np.ones((N, T), bool)
        options = {"keep": keep, "pool": make_pool("all", mask, H, dtype, empty), "state": (h0.T, c0.T), "empty": empty}
        with self._background([(product_x, product_h)]) as background:
            h, cache = fast_lstm_forward(groups, product_x, product_h, b, mask, background, **options)
        return h.transpose(2, 0, 1), cache.c_last.T, cache if keep else None

    def run_lstm_back(self, dh, cache):
        """The LSTMGradients from dh (N, T, H); undoes :meth:`run_lstm`."""
        products = cache.product_x, cache.product_h
        with self._background([products]) as background:
            dx, db, dh0, dc0 = fast_lstm_backward(dh.transpose(1, 2, 0), cache, background, empty=self._pool.empty)
        dW_x, dW_h = (product.gradient() for product in products)
        return LSTMGradients(out_of_groups(dx, dh.shape[1]), dW_x, dW_h, db, dh0.T, dc0.T)

    def lay_out(self, W):
        """A sparse matrix as an ndarray, if there is room, for BLAS: faster for very many rows, or for a single one."""
        is_small = isinstance(W, SparseMatrix) and W.size <= SCRATCH_MAX_CELLS
        return W.toarray() if is_small and self.kernel != "gather" else W

    @property
    def _threads(self):
        return self.n_threads or available_cores()

    def _parts(self, N, W_h, most_texts):
        """The parts of a minibatch; with BLAS, which splits the work itself, only one."""
        gathers = isinstance(W_h, SparseMatrix) and choose_kernel(W_h.shape, W_h.nnz, self.kernel) == "gather"
        return split_batch(N, most_texts) if gathers else [slice(0, N)]

    def _background(self, products):
        """A second thread for each part, unless all cores are busy, BLAS uses them, or there is too little to do."""
        gathers = all(isinstance(product, GatherProduct) for product in products[0])
        return Background(gathers and self._threads > len(products) and products[0][1].n_cells >= BACKGROUND_CELLS)
