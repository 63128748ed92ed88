r"""The LSTM of :mod:`numpy_setlstm.layers.lstm` once more, made fast; the equations and their order are the same.

What is different, and why:

- Units come first, then texts: h is (H, N), the gates (4H, N). So the rows that a sparse product gathers lie in one
  piece, and so does each gate's block.
- What the words say to the gates, :math:`W_x^T x + b`, waits for no step, and no step waits for what flows back to
  them. A second thread computes it for a *group* of steps at once, ahead of the recurrence or behind it. (To compute it
  once per distinct word, as one would for a dense matrix, does not pay: to hand the result to the places where the word
  stands takes as long as the sparse product.)
- The products know their matrix and keep what can be kept between steps: see :mod:`numpy_setlstm.products`.
- Results are written to arrays that exist already (``out=``): making new ones takes as long as filling them.
- Nothing is kept for the backward pass that is not needed, and nothing at all when only predicting.
- A step without padding takes no notice of padding.

Only the state after the last step is returned, and only its gradient flows back: what a classifier needs.
"""

import numpy as np

from numpy_setlstm.layers.lstm import GATES

GROUP, GROUP_COLUMNS = 4, 256  # steps in a group at most; steps times texts, where that leaves more than one step


def steps_per_group(n_texts):
    """How many time steps make a group.

    Examples
    --------
    >>> steps_per_group(8), steps_per_group(64), steps_per_group(128), steps_per_group(1000)
    (4, 4, 2, 1)
    """
    return max(1, min(GROUP, GROUP_COLUMNS // max(1, n_texts)))


def fast_lstm_forward(x, product_x, product_h, b, mask, background, *, keep=True):
    """Run an LSTM over N sequences of T steps; a fast twin of :func:`numpy_setlstm.layers.lstm.lstm_forward`.

    Parameters
    ----------
    x : ndarray of shape (n_groups, D, S, N)
        Step t stands at ``x[t // S, :, t % S]``; what is left of the last group after T steps changes nothing.
    product_x, product_h : GatherProduct, ScratchProduct or DenseProduct
        Products with W_x (D, 4H), for S · N columns, and with W_h (H, 4H), for N columns: see
        :func:`numpy_setlstm.products.make_products`.
    b : ndarray of shape (4H,)
    mask : ndarray of shape (N, T), bool
        True where there is a word, False where there is padding, which is stepped over.
    background : Background
        Where the products with x are computed.
    keep : bool, default True
        Whether to keep what :func:`fast_lstm_backward` needs.

    Returns
    -------
    h : ndarray of shape (H, N)
        Hidden state after the last step.
    cache : tuple

    Examples
    --------
    >>> from numpy_setlstm.products import DenseProduct
    >>> from numpy_setlstm.threads import Background
    >>> rng = np.random.default_rng(0)
    >>> W_x, W_h = (DenseProduct(rng.normal(size=shape)) for shape in ((3, 16), (4, 16)))
    >>> x, mask = rng.normal(size=(3, 3, 2, 2)), np.ones((2, 5), bool)  # 3 groups of 2 steps, 5 of them used
    >>> h, cache = fast_lstm_forward(x, W_x, W_h, np.zeros(16), mask, Background(active=False))
    >>> h.shape
    (4, 2)
    """
    n_groups, D, S, N = x.shape
    T, H = mask.shape[1], len(b) // len(GATES)
    padded = (~mask).any(axis=0)  # (T,)
    steps = T if keep else 1  # without a backward pass each step writes over the one before
    gates = np.empty((steps, 4 * H, N), x.dtype)
    h, c = (np.zeros((steps + 1, H, N), x.dtype) for _ in range(2))  # before each step, and after the last
    z_x, ig = np.empty((background.ahead + 1, 4 * H, S, N), x.dtype), np.empty((H, N), x.dtype)
    submitted = []
    for t in range(T):
        group, s = divmod(t, S)
        if s == 0:
            for ahead in range(len(submitted), min(n_groups, group + background.ahead + 1)):
                submitted.append(background.submit(_read_words, x[ahead], product_x, b, z_x[ahead % len(z_x)]))
            submitted[group].result()
        k = t if keep else 0
        z = gates[k]  # (4H, N)
        product_h.forward(h[k], z)  # z = W_hᵀ h_prev + ...
        z += z_x[group % len(z_x), :, s]  # ... + W_xᵀ x + b
        _activate(z, H)
        i, f, o, g = z[:H], z[H : 2 * H], z[2 * H : 3 * H], z[3 * H :]  # (H, N) each
        c_t, h_t = c[k + 1], h[k + 1]
        np.multiply(f, c[k], out=c_t)  # c = f * c_prev + i * g
        np.multiply(i, g, out=ig)
        c_t += ig
        np.tanh(c_t, out=h_t)  # h = o * tanh(c)
        h_t *= o
        if padded[t]:  # a padded step is stepped over
            np.copyto(c_t, c[k], where=~mask[:, t])
            np.copyto(h_t, h[k], where=~mask[:, t])
        if not keep:
            c[0], h[0] = c_t, h_t
    return h[-1], (x, product_x, product_h, mask, gates, h, c)


def fast_lstm_backward(dh, cache, background):
    """Backpropagation through time; undoes :func:`fast_lstm_forward`, last step first.

    Parameters
    ----------
    dh : ndarray of shape (H, N)
        Gradient of the loss with respect to the hidden state after the last step.
    cache : tuple
    background : Background
        Where dx and the gradient of W_x are computed.

    Returns
    -------
    dx : ndarray of shape (n_groups, D, S, N)
        0 in what is left of the last group.
    db : ndarray of shape (4H,)
        The gradients of W_x and W_h are in the products: ``product_x.gradient()``.

    Examples
    --------
    >>> from numpy_setlstm.products import DenseProduct
    >>> from numpy_setlstm.threads import Background
    >>> rng = np.random.default_rng(0)
    >>> W_x, W_h = (DenseProduct(rng.normal(size=shape)) for shape in ((3, 16), (4, 16)))
    >>> x, mask, background = rng.normal(size=(3, 3, 2, 2)), np.ones((2, 5), bool), Background(active=False)
    >>> h, cache = fast_lstm_forward(x, W_x, W_h, np.zeros(16), mask, background)
    >>> dx, db = fast_lstm_backward(np.ones_like(h), cache, background)
    >>> dx.shape, db.shape, W_h.gradient().shape
    ((3, 3, 2, 2), (16,), (4, 16))
    """
    x, product_x, product_h, mask, gates, h, c = cache
    S, N = x.shape[2:]
    T, H = mask.shape[1], h.shape[1]
    padded = (~mask).any(axis=0)  # (T,)
    dx = np.empty(x.shape, np.result_type(x, dh))
    dh, dc = dh.astype(dx.dtype), np.zeros((H, N), dx.dtype)
    slope, tanh_c, part = (np.empty((rows, N), dx.dtype) for rows in (4 * H, H, H))
    db = np.zeros(4 * H, dx.dtype)
    product_x.begin_backward()
    product_h.begin_backward()

    submitted, dz_of_group = [], {}
    for t in reversed(range(T)):
        if padded[t]:  # what belongs to a padded step passes it by
            word = mask[:, t]
            dh_past, dc_past = np.where(word, 0, dh), np.where(word, 0, dc)
            dh, dc = np.where(word, dh, 0), np.where(word, dc, 0)
        i, f, o, g = gates[t, :H], gates[t, H : 2 * H], gates[t, 2 * H : 3 * H], gates[t, 3 * H :]
        dz = np.empty((4 * H, N), dx.dtype)
        np.tanh(c[t + 1], out=tanh_c)
        np.multiply(dh, tanh_c, out=dz[2 * H : 3 * H])  # do = dh * tanh_c
        np.multiply(tanh_c, tanh_c, out=part)  # dc += dh * o * (1 - tanh_c²)
        np.subtract(1, part, out=part)
        part *= o
        part *= dh
        dc += part
        np.multiply(dc, g, out=dz[:H])  # di = dc * g
        np.multiply(dc, c[t], out=dz[H : 2 * H])  # df = dc * c_prev
        np.multiply(dc, i, out=dz[3 * H :])  # dg = dc * i
        dc *= f  # dc_prev = dc * f
        _slopes(gates[t], H, slope)
        dz *= slope
        product_h.backward(dz, h[t], dh)  # z = ... + W_hᵀ h_prev
        group, s = divmod(t, S)
        dz_of_group[s] = dz
        if s == 0:
            submitted.append(background.submit(_flow_back, dz_of_group, x[group], product_x, dx[group], db))
            dz_of_group = {}
        if padded[t]:
            dh += dh_past
            dc += dc_past
    for piece in submitted:
        piece.result()
    return dx, db


def _read_words(x, product_x, b, z_x):
    """Write what the words of a group of steps, x of shape (D, S, N), say to the gates, z_x of shape (4H, S, N)."""
    product_x.forward(_columns(x), _columns(z_x))
    z_x += b[:, None, None]


def _flow_back(dz_of_group, x, product_x, dx, db):
    """Undo :func:`_read_words`; the gradients dz by the place of their step in the group, 0 where there is none."""
    dz_x = np.zeros((len(db), *x.shape[1:]), dx.dtype)  # (4H, S, N)
    for s, dz in dz_of_group.items():
        dz_x[:, s] = dz
    product_x.backward(_columns(dz_x), _columns(x), _columns(dx))
    db += dz_x.sum(axis=(1, 2))


def _columns(array):
    """(rows, S, N) seen as (rows, S · N)."""
    return array.reshape(len(array), -1)


def _activate(z, H):
    """Turn the gates' inputs into the gates, in place: one tanh for all, as sigmoid(z) = (1 + tanh(z/2)) / 2."""
    sigmoids = z[: 3 * H]
    sigmoids *= 0.5
    np.tanh(z, out=z)
    sigmoids += 1
    sigmoids *= 0.5


def _slopes(gates, H, out):
    """Write the derivative of each gate to `out`, from the gates: s (1 - s) of a sigmoid, 1 - g² of a tanh."""
    sigmoids, g = gates[: 3 * H], gates[3 * H :]
    np.subtract(1, sigmoids, out=out[: 3 * H])
    out[: 3 * H] *= sigmoids
    np.multiply(g, g, out=out[3 * H :])
    np.subtract(1, out[3 * H :], out=out[3 * H :])
