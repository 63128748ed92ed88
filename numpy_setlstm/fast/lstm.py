r"""The LSTM of :mod:`numpy_setlstm.layers.lstm`, made fast; the equations and their order are the same.

What is different, and why:

- Units come first, then texts: h is (H, N), the gates are (4H, N). The rows that a sparse product gathers are
  contiguous, and so is the block of each gate.
- The words' part of the gates, :math:`W_x^T x + b`, and the gradient that flows back to the words, are computed for a
  *group* of steps at once: fewer calls of NumPy, on wider arrays. In prediction it is computed once per distinct
  word, where they repeat: see :mod:`numpy_setlstm.fast.words`.
- The products know their matrix and keep between steps what can be kept: see :mod:`numpy_setlstm.fast.products`.
- The slopes of c and h with respect to the input of the gates are known as soon as the gates are, and computed for a
  group of steps at once. They replace gates and cell states in the cache, and leave the backward pass little more than
  multiplications. Prediction keeps nothing.
- Results are written to existing arrays (``out=``), because allocating an array takes as long as filling it. Large
  arrays come from `empty`, which may reuse memory: see :mod:`numpy_setlstm.fast.memory`.
- A step without padding skips the treatment of padding.

Only the state after the last step is returned, and only its gradient flows back: a classifier needs no more. Or what a
*pool* makes of the states as they come: see :mod:`numpy_setlstm.fast.pooling`.
"""

from typing import NamedTuple

import numpy as np

from numpy_setlstm.layers.lstm import GATES

GROUP, GROUP_COLUMNS = 4, 256  # the most steps in a group; the most steps times texts, unless that leaves no step


class FastLSTMCache(NamedTuple):
    """x (n_groups, D, S, N), the products, mask (N, T), slopes (T, 6, H, N), h (T + 1, H, N), the pool or None.

    And `c_last`, the memory (H, N) after the last step.
    """

    x: np.ndarray
    product_x: object
    product_h: object
    mask: np.ndarray
    slopes: np.ndarray
    h: np.ndarray
    pool: object
    c_last: np.ndarray


def steps_per_group(n_texts):
    """How many time steps make a group.

    >>> steps_per_group(8), steps_per_group(64), steps_per_group(128), steps_per_group(1000)
    (4, 4, 2, 1)
    """
    return max(1, min(GROUP, GROUP_COLUMNS // max(1, n_texts)))


def fast_lstm_forward(
    x, product_x, product_h, b, mask, *, keep=True, pool=None, state=(0, 0), dtype=None, empty=np.empty
):
    """Run an LSTM over x of shape (n_groups, D, S, N): step t is ``x[t // S, :, t % S]``; the rest is ignored.

    The products, from :func:`~numpy_setlstm.fast.products.make_product`, are those with W_x for S · N columns and with
    W_h for N columns; mask is (N, T), True for a word. `state` has h and c, (H, N) each, before the first step. With
    `keep`, the cache holds what :func:`fast_lstm_backward` needs; without, x and its product may be those of
    :func:`~numpy_setlstm.fast.words.make_word_table`. `dtype`, by default that of x, is the one of the states. Returns
    h of shape (H, N), the hidden state after the last step or what the `pool` makes of all, and the cache.
    """
    (S, N), dtype = x.shape[2:], x.dtype if dtype is None else dtype
    T, H = mask.shape[1], len(b) // len(GATES)
    padded = (~mask).any(axis=0)  # (T,)
    steps = T if keep else 1  # without a backward pass each step writes over the one before
    slopes = empty((T, 6, H, N), dtype) if keep else None  # see _slopes
    gates = empty((steps, 4 * H, N), dtype)
    h, c = (empty((steps + 1, H, N), dtype) for _ in range(2))  # before each step, and after the last
    h[0], c[0] = state
    z_x, ig = empty((4 * H, S, N), dtype), empty((H, N), dtype)
    for t in range(T):
        group, s = divmod(t, S)
        if s == 0:
            _read_words(x[group], product_x, b, z_x)
        k = t if keep else 0
        z = gates[k]  # (4H, N)
        product_h.forward(h[k], z)  # z = W_hᵀ h_prev + ...
        z += z_x[:, s]  # ... + W_xᵀ x + b
        _activate(z, H)
        i, f, o, g = z.reshape(4, H, N)  # (H, N) each
        c_t, h_t = c[k + 1], h[k + 1]
        np.multiply(f, c[k], out=c_t)  # c = f * c_prev + i * g
        np.multiply(i, g, out=ig)
        c_t += ig
        np.tanh(c_t, out=h_t)  # h = o * tanh(c)
        h_t *= o
        if padded[t]:  # a padded step is skipped
            np.copyto(c_t, c[k], where=~mask[:, t])
            np.copyto(h_t, h[k], where=~mask[:, t])
        if pool is not None:
            pool.see(t, h_t)
        if not keep:
            c[0], h[0] = c_t, h_t
        elif s == S - 1 or t == T - 1:
            _slopes(gates[t - s : t + 1], c[t - s : t + 2], slopes[t - s : t + 1])  # of a group, from t - s on
    pooled = h[-1] if pool is None else pool.pooled  # (H, N)
    return pooled, FastLSTMCache(x, product_x, product_h, mask, slopes, h, pool, c[-1].copy())


def fast_lstm_backward(dh, cache, *, empty=np.empty):
    """Backpropagation through time from dh of shape (H, N); undoes :func:`fast_lstm_forward`, last step first.

    Returns dx of shape (n_groups, D, S, N), 0 in the rest of the last group, db of shape (4H,), and the gradients of
    the state before the first step, (H, N) each. Those of W_x and W_h are in the products: ``product_x.gradient()``.
    """
    x, product_x, product_h, mask, slopes, h, pool, _ = cache
    S, N = x.shape[2:]
    T, H = mask.shape[1], h.shape[1]
    padded = (~mask).any(axis=0)  # (T,)
    dx = empty(x.shape, np.result_type(x, dh))
    dh, dc, through_h = dh.astype(dx.dtype), np.zeros((H, N), dx.dtype), empty((H, N), dx.dtype)
    db = np.zeros(4 * H, dx.dtype)
    product_x.begin_backward()
    product_h.begin_backward()

    dz_of_group = {}
    dpooled, dh = dh, dh if pool is None else np.zeros((H, N), dx.dtype)
    for t in reversed(range(T)):
        if pool is not None:
            pool.give_back(t, dpooled, dh)
        if padded[t]:  # gradients pass a padded step unchanged
            word = mask[:, t]
            dh_past, dc_past = np.where(word, 0, dh), np.where(word, 0, dc)
            dh, dc = np.where(word, dh, 0), np.where(word, dc, 0)
        c_i, c_f, h_o, c_g, h_c, c_c = slopes[t]  # (H, N) each, see _slopes
        dz = empty((4 * H, N), dx.dtype)
        dz_i, dz_f, dz_o, dz_g = dz.reshape(4, H, N)
        np.multiply(dh, h_o, out=dz_o)  # h = o * tanh(c)
        np.multiply(dh, h_c, out=through_h)
        dc += through_h
        np.multiply(dc, c_i, out=dz_i)  # c = f * c_prev + i * g
        np.multiply(dc, c_f, out=dz_f)
        np.multiply(dc, c_g, out=dz_g)
        dc *= c_c  # dc_prev
        product_h.backward(dz, h[t], dh)  # z = ... + W_hᵀ h_prev
        group, s = divmod(t, S)
        dz_of_group[s] = dz
        if s == 0:
            _flow_back(dz_of_group, x[group], product_x, dx[group], db)
            dz_of_group = {}
        if padded[t]:
            dh += dh_past
            dc += dc_past
    return dx, db, dh, dc


def _read_words(x, product_x, b, z_x):
    """Write the words' part of the gates to z_x of shape (4H, S, N), for a group of steps with x of shape (D, S, N)."""
    product_x.forward(_columns(x), _columns(z_x))
    z_x += b[:, None, None]


def _flow_back(dz_of_group, x, product_x, dx, db):
    """Undo :func:`_read_words`; `dz_of_group` has a gradient (4H, N) by the place of its step in the group."""
    dz_x = np.zeros((len(db), *x.shape[1:]), dx.dtype)  # (4H, S, N)
    for s, dz in dz_of_group.items():
        dz_x[:, s] = dz
    product_x.backward(_columns(dz_x), _columns(x), _columns(dx))
    db += dz_x.sum(axis=(1, 2))


def _columns(array):
    """View (rows, S, N) as (rows, S · N)."""
    return array.reshape(len(array), -1)


def _activate(z, H):
    """Turn the input of the gates into the gates, in place: one tanh for all, as sigmoid(z) = (1 + tanh(z/2)) / 2."""
    sigmoids = z[: 3 * H]
    sigmoids *= 0.5
    np.tanh(z, out=z)
    sigmoids += 1
    sigmoids *= 0.5


def _slopes(gates, c, out):
    """Write the slopes of c and h to `out`, of shape (S, 6, H, N), for a group of steps.

    In this order: c by the input of i, c by that of f, h by that of o, c by that of g; h by c; c by c_prev. `gates` is
    (S, 4H, N); `c` is (S + 1, H, N), before each step and after the last.
    """
    S, (H, N) = len(gates), c.shape[1:]
    i, f, o, g = gates.reshape(S, 4, H, N).swapaxes(0, 1)  # (S, H, N) each
    c_i, c_f, h_o, c_g, h_c, c_c = out.swapaxes(0, 1)
    tanh_c = np.tanh(c[1:])
    for sigmoid, slope in ((i, c_i), (f, c_f), (o, h_o)):
        np.subtract(1, sigmoid, out=slope)  # s (1 - s)
        slope *= sigmoid
    for tanh, slope in ((g, c_g), (tanh_c, h_c)):
        np.multiply(tanh, tanh, out=slope)  # 1 - tanh²
        np.subtract(1, slope, out=slope)
    c_i *= g  # c = f * c_prev + i * g
    c_f *= c[:-1]
    c_g *= i
    c_c[...] = f
    h_o *= tanh_c  # h = o * tanh_c
    h_c *= o
