r"""The LSTM of :mod:`numpy_setlstm.layers.lstm` once more, made fast; the equations and their order are the same.

What is different, and why:

- Units come first, then texts: h is (H, N), the gates (4H, N). So the rows that a sparse product gathers lie in one
  piece, and so does each gate's block.
- What the words say to the gates, :math:`W_x^T x + b`, waits for no step, and no step waits for what flows back to
  them. A second thread computes it for a *group* of steps at once, ahead of the recurrence or behind it. (To compute it
  once per distinct word, as one would for a dense matrix, does not pay: to hand the result to the places where the word
  stands takes as long as the sparse product.)
- The products know their matrix and keep what can be kept between steps: see :mod:`numpy_setlstm.fast.products`.
- How steeply c and h answer to what enters the gates is known as soon as the gates are, so the second thread computes
  these slopes in the forward pass. They are what is kept for the backward pass, in place of gates and cell states, and
  leave it little to do but to multiply by them. When only predicting, nothing is kept.
- Results are written to arrays that exist already (``out=``): making new ones takes as long as filling them. Large
  arrays come from `empty`, which may use memory again: see :mod:`numpy_setlstm.fast.memory`.
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


def fast_lstm_forward(x, product_x, product_h, b, mask, background, *, keep=True, empty=np.empty):
    """Run an LSTM over N sequences of T steps; a fast twin of :func:`numpy_setlstm.layers.lstm.lstm_forward`.

    Parameters
    ----------
    x : ndarray of shape (n_groups, D, S, N)
        Step t stands at ``x[t // S, :, t % S]``; what is left of the last group after T steps changes nothing.
    product_x, product_h : GatherProduct, ScratchProduct or DenseProduct
        Products with W_x (D, 4H), for S · N columns, and with W_h (H, 4H), for N columns: see
        :func:`numpy_setlstm.fast.products.make_products`.
    b : ndarray of shape (4H,)
    mask : ndarray of shape (N, T), bool
        True where there is a word, False where there is padding, which is stepped over.
    background : Background
        Where the products with x, and the slopes, are computed.
    keep : bool, default True
        Whether to keep what :func:`fast_lstm_backward` needs.
    empty : callable
        Makes large arrays, as ``numpy.empty`` does.

    Returns
    -------
    h : ndarray of shape (H, N)
        Hidden state after the last step.
    cache : tuple

    Examples
    --------
    >>> from numpy_setlstm.fast.products import DenseProduct
    >>> from numpy_setlstm.fast.threads import Background
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
    slopes = empty((T, 6, H, N), x.dtype) if keep else None  # see _slopes
    gates = empty((steps, 4 * H, N), x.dtype)
    h, c = (empty((steps + 1, H, N), x.dtype) for _ in range(2))  # before each step, and after the last
    h[0] = c[0] = 0
    z_x, ig = empty((background.ahead + 1, 4 * H, S, N), x.dtype), empty((H, N), x.dtype)
    reading, sloping = [], []
    for t in range(T):
        group, s = divmod(t, S)
        if s == 0:
            for ahead in range(len(reading), min(n_groups, group + background.ahead + 1)):
                reading.append(background.submit(_read_words, x[ahead], product_x, b, z_x[ahead % len(z_x)]))
            reading[group].result()
        k = t if keep else 0
        z = gates[k]  # (4H, N)
        product_h.forward(h[k], z)  # z = W_hᵀ h_prev + ...
        z += z_x[group % len(z_x), :, s]  # ... + W_xᵀ x + b
        _activate(z, H)
        i, f, o, g = z.reshape(4, H, N)  # (H, N) each
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
        elif s == S - 1 or t == T - 1:
            first = t - s  # step of the group
            of_group = gates[first : t + 1], c[first : t + 2], slopes[first : t + 1]
            sloping.append(background.submit(_slopes, *of_group))
    for piece in sloping:
        piece.result()
    return h[-1], (x, product_x, product_h, mask, slopes, h)


def fast_lstm_backward(dh, cache, background, *, empty=np.empty):
    """Backpropagation through time; undoes :func:`fast_lstm_forward`, last step first.

    Parameters
    ----------
    dh : ndarray of shape (H, N)
        Gradient of the loss with respect to the hidden state after the last step.
    cache : tuple
    background : Background
        Where dx and the gradient of W_x are computed.
    empty : callable
        Makes large arrays, as ``numpy.empty`` does.

    Returns
    -------
    dx : ndarray of shape (n_groups, D, S, N)
        0 in what is left of the last group.
    db : ndarray of shape (4H,)
        The gradients of W_x and W_h are in the products: ``product_x.gradient()``.

    Examples
    --------
    >>> from numpy_setlstm.fast.products import DenseProduct
    >>> from numpy_setlstm.fast.threads import Background
    >>> rng = np.random.default_rng(0)
    >>> W_x, W_h = (DenseProduct(rng.normal(size=shape)) for shape in ((3, 16), (4, 16)))
    >>> x, mask, background = rng.normal(size=(3, 3, 2, 2)), np.ones((2, 5), bool), Background(active=False)
    >>> h, cache = fast_lstm_forward(x, W_x, W_h, np.zeros(16), mask, background)
    >>> dx, db = fast_lstm_backward(np.ones_like(h), cache, background)
    >>> dx.shape, db.shape, W_h.gradient().shape
    ((3, 3, 2, 2), (16,), (4, 16))
    """
    x, product_x, product_h, mask, slopes, h = cache
    S, N = x.shape[2:]
    T, H = mask.shape[1], h.shape[1]
    padded = (~mask).any(axis=0)  # (T,)
    dx = empty(x.shape, np.result_type(x, dh))
    dh, dc, through_h = dh.astype(dx.dtype), np.zeros((H, N), dx.dtype), empty((H, N), dx.dtype)
    db = np.zeros(4 * H, dx.dtype)
    product_x.begin_backward()
    product_h.begin_backward()

    submitted, dz_of_group = [], {}
    for t in reversed(range(T)):
        if padded[t]:  # what belongs to a padded step passes it by
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


def _slopes(gates, c, out):
    """Write how steeply c and h answer to a step's inputs to `out`, for a group of steps.

    Parameters
    ----------
    gates : ndarray of shape (S, 4H, N)
    c : ndarray of shape (S + 1, H, N)
        Before each step, and after the last.
    out : ndarray of shape (S, 6, H, N)
        Slope of c with respect to what enters i, the same for f, that of h for o, of c for g; of h with respect to c;
        of c with respect to c_prev.
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
