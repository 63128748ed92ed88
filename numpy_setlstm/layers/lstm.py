r"""Long short-term memory, and backpropagation through time.

At each step four gates look at the word's vector x and at the previous hidden state h. Their order is the same
everywhere in this package, and they stand side by side in one matrix, so that one product computes all four:

.. math::

    z &= x W_x + h_{prev} W_h + b  \qquad  z = [z_i, z_f, z_o, z_g] \\
    i &= \sigma(z_i) \quad f = \sigma(z_f) \quad o = \sigma(z_o) \quad g = \tanh(z_g) \\
    c &= f \odot c_{prev} + i \odot g \\
    h &= o \odot \tanh(c)

Derived in docs/derivations/lstm.md: :eq:`lstm-z`, :eq:`lstm-gates`, :eq:`lstm-g`, :eq:`lstm-c`, :eq:`lstm-h`.

The input gate i decides how much of the candidate g is written into the memory c, the forget gate f how much of the old
memory stays, the output gate o how much of it is shown. Gradients flow back along the same lines; along c they are
multiplied by f only, which is why an LSTM remembers for longer than a plain recurrent network.

A padded position is skipped: h and c pass through it unchanged, and so do their gradients. The result therefore does
not depend on where, or how much, a text was padded.

Sources: S. Hochreiter and J. Schmidhuber (1997), "Long Short-Term Memory"; F. Gers, J. Schmidhuber and F. Cummins
(2000), "Learning to Forget", which added f; P. Werbos (1990) for backpropagation through time. No peepholes.
"""

from typing import NamedTuple

import numpy as np

from numpy_setlstm.checks import array, cache, checked, matrix
from numpy_setlstm.sparse import SparseMatrix, weight_gradient

__all__ = ["GATES", "LSTMGradients", "lstm_backward", "lstm_forward", "lstm_step_backward", "lstm_step_forward"]

#: The order of the gates in the columns of W_x, W_h and b: input, forget and output gate, candidate.
GATES = ("i", "f", "o", "g")


class LSTMStepCache(NamedTuple):
    """What :func:`lstm_step_backward` needs: arrays of shape (N, H)."""

    i: np.ndarray
    f: np.ndarray
    o: np.ndarray
    g: np.ndarray
    c_prev: np.ndarray
    tanh_c: np.ndarray


class LSTMCache(NamedTuple):
    """What :func:`lstm_backward` needs: x (N, T, D), weights, mask (N, T), h before each step (N, T, H), the steps.

    And the memory after the last step, `c_last` (N, H), which a text that goes on begins with.
    """

    x: np.ndarray
    W_x: SparseMatrix | np.ndarray
    W_h: SparseMatrix | np.ndarray
    mask: np.ndarray
    h_prev: np.ndarray
    steps: list
    c_last: np.ndarray


class LSTMGradients(NamedTuple):
    """Gradients of the loss with respect to everything that :func:`lstm_forward` takes."""

    dx: np.ndarray  #: Of shape (N, T, D)
    dW_x: np.ndarray  #: Of shape (D, 4H), or (nnz,) aligned with ``W_x.values``
    dW_h: np.ndarray  #: Of shape (H, 4H), or (nnz,) aligned with ``W_h.values``
    db: np.ndarray  #: Of shape (4H,)
    dh0: np.ndarray  #: Of shape (N, H)
    dc0: np.ndarray  #: Of shape (N, H)


def sigmoid(z):
    r"""Logistic function :math:`1 / (1 + e^{-z})`, in (0, 1), for real and complex z.

    Written as :math:`(1 + \tanh(z/2)) / 2`, which is the same and cannot overflow: :eq:`lstm-sigmoid`.
    """
    return 0.5 * (1 + np.tanh(0.5 * z))


@checked(c_prev=array("N H"), z=array("N 4H"))
def lstm_step_forward(z, c_prev):
    """One time step, given the input of the gates.

    Parameters
    ----------
    z : ndarray of shape (N, 4H)
        ``x @ W_x + h_prev @ W_h + b`` of this step.
    c_prev : ndarray of shape (N, H)
        Memory after the previous step.

    Returns
    -------
    h, c : ndarray of shape (N, H)
    cache : LSTMStepCache

    Examples
    --------
    >>> h, c, cache = lstm_step_forward(np.array([[1000.0, 1000.0, 0.0, 0.0]]), np.array([[2.0]]))
    >>> c.item(), round(h.item(), 3)  # input and forget gate open, g = 0: the memory stays
    (2.0, 0.482)
    """
    H = c_prev.shape[1]
    i, f, o = np.split(sigmoid(z[:, : 3 * H]), 3, axis=1)  # (N, H) each
    g = np.tanh(z[:, 3 * H :])  # (N, H)
    c = f * c_prev + i * g  # (N, H)
    tanh_c = np.tanh(c)  # (N, H)
    h = o * tanh_c  # (N, H)
    return h, c, LSTMStepCache(i, f, o, g, c_prev, tanh_c)


@checked(cache=cache(LSTMStepCache, "lstm_step_forward", c_prev="N H"), dh=array("N H"), dc=array("N H"))
def lstm_step_backward(dh, dc, cache):
    r"""Gradients of one time step; undoes :func:`lstm_step_forward`, last line first.

    Parameters
    ----------
    dh, dc : ndarray of shape (N, H)
        Gradients with respect to h and c of this step, from everything that uses them later.
    cache : LSTMStepCache

    Returns
    -------
    dz : ndarray of shape (N, 4H)
    dc_prev : ndarray of shape (N, H)

    Notes
    -----
    :math:`\sigma' = \sigma (1 - \sigma)` and :math:`\tanh' = 1 - \tanh^2`, in terms of the outputs. Derived in
    docs/derivations/lstm_step_backward.md: :eq:`step-do`, :eq:`step-dc`, :eq:`step-df` to :eq:`step-dc-prev`, and
    :eq:`step-dz-gates` with :eq:`step-dz-g` for dz.

    Examples
    --------
    >>> h, c, cache = lstm_step_forward(np.array([[1000.0, 1000.0, 0.0, 0.0]]), np.array([[2.0]]))
    >>> dz, dc_prev = lstm_step_backward(np.array([[0.0]]), np.array([[1.0]]), cache)
    >>> dz.tolist(), dc_prev.tolist()  # the memory's gradient passes the open forget gate undiminished
    ([[0.0, 0.0, 0.0, 1.0]], [[1.0]])
    """
    i, f, o, g, c_prev, tanh_c = cache
    do = dh * tanh_c  # h = o * tanh_c
    dc = dc + dh * o * (1 - tanh_c**2)  # h = o * tanh(c); the next step uses c, too
    df = dc * c_prev  # c = f * c_prev + i * g
    di = dc * g
    dg = dc * i
    dc_prev = dc * f
    dz = [di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)]
    return np.concatenate(dz, axis=1), dc_prev  # (N, 4H), (N, H)


@checked(
    x=array(), W_x=matrix(), W_h=matrix("H columns"), b=array(), mask=array(kinds=None), h0=array(), c0=array(),
    trusting=True,
)  # fmt: skip
def lstm_forward(x, W_x, W_h, b, mask=None, h0=None, c0=None):
    """Run an LSTM over N sequences of T steps.

    Parameters
    ----------
    x : ndarray of shape (N, T, D)
    W_x : SparseMatrix or ndarray of shape (D, 4H)
        From the input to the gates, in the order :data:`GATES`.
    W_h : SparseMatrix or ndarray of shape (H, 4H)
        From the previous hidden state to the gates.
    b : ndarray of shape (4H,)
    mask : ndarray of shape (N, T), bool, optional
        True for a word, False for padding, which is skipped. All True by default.
    h0, c0 : ndarray of shape (N, H), optional
        State before the first step; 0 by default.

    Returns
    -------
    h : ndarray of shape (N, T, H)
        Hidden state after each step, in (-1, 1). ``h[:, -1]`` is that after the last word, wherever the padding is.
    cache : LSTMCache

    Raises
    ------
    ValueError
        If the shapes do not fit together; the message names both.

    Notes
    -----
    The equations and their sources are at the top of this module; a padded step is :eq:`lstm-mask` in
    docs/derivations/lstm.md. The words' part of z does not depend on the recurrence: all steps are computed at once.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, W_x, W_h = rng.normal(size=(2, 5, 3)), rng.normal(size=(3, 16)), rng.normal(size=(4, 16))
    >>> h, cache = lstm_forward(x, W_x, W_h, np.zeros(16))
    >>> h.shape
    (2, 5, 4)
    """
    _check_shapes(x, W_x, W_h, b, mask, h0, c0)
    (N, T, _), H = x.shape, W_h.shape[0]
    mask = np.ones((N, T), bool) if mask is None else mask
    x = np.where(mask[..., None], x, 0.0)  # a padded step is as if it were not there, whatever x holds
    z_x = x @ W_x + b  # (N, T, 4H)
    dtype = np.result_type(z_x, W_h.dtype, *(state for state in (h0, c0) if state is not None))
    h_t = np.zeros((N, H), dtype) if h0 is None else h0
    c_t = np.zeros((N, H), dtype) if c0 is None else c0
    h = np.empty((N, T, H), dtype)
    h_prev = np.empty_like(h)  # the state before each step
    steps = []
    for t in range(T):
        h_prev[:, t] = h_t
        h_new, c_new, step = lstm_step_forward(z_x[:, t] + h_t @ W_h, c_t)
        word = mask[:, t, None]  # (N, 1)
        h_t = np.where(word, h_new, h_t)  # a padded step is skipped
        c_t = np.where(word, c_new, c_t)
        h[:, t] = h_t
        steps.append(step)
    return h, LSTMCache(x, W_x, W_h, mask, h_prev, steps, c_t)


@checked(cache=cache(LSTMCache, "lstm_forward"), dh=array(), trusting=True)
def lstm_backward(dh, cache):
    r"""Backpropagation through time; undoes :func:`lstm_forward`, last step first.

    Parameters
    ----------
    dh : ndarray of shape (N, T, H)
        Gradient of the loss with respect to the hidden state after each step; for a loss on the last state alone, 0
        everywhere but in ``dh[:, -1]``.
    cache : LSTMCache
        May be used any number of times.

    Returns
    -------
    LSTMGradients
        ``.dx, .dW_x, .dW_h, .db, .dh0, .dc0``.

    Raises
    ------
    ValueError
        If `dh` does not have the shape of h.

    Notes
    -----
    The state of a step is used twice: by the loss, and by the next step. So its gradient is a sum of two parts, the
    given ``dh[:, t]`` and what the next step hands back. The weights are used in every step, so their gradients are
    sums over all steps, computed at once at the end: :math:`dW_h = \sum_t h_{t-1}^T \, dz_t`. Derived in
    docs/derivations/bptt.md: :eq:`bptt-dh`, :eq:`bptt-dW`, and :eq:`bptt-mask-h`, :eq:`bptt-mask-c` for padding.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, W_x, W_h = rng.normal(size=(2, 5, 3)), rng.normal(size=(3, 16)), rng.normal(size=(4, 16))
    >>> h, cache = lstm_forward(x, W_x, W_h, np.zeros(16))
    >>> gradients = lstm_backward(np.ones_like(h), cache)
    >>> gradients.dW_h.shape, gradients.dx.shape
    ((4, 16), (2, 5, 3))
    """
    x, W_x, W_h, mask, h_prev, steps, _ = cache
    (N, T, D), H = x.shape, h_prev.shape[2]
    if dh.shape != h_prev.shape:
        raise ValueError(f"dh has shape {dh.shape}; expected that of h, {h_prev.shape}")
    dz = np.empty((N, T, 4 * H), np.result_type(dh, h_prev))
    dh_next = np.zeros((N, H), dz.dtype)  # what the later steps hand back
    dc_next = np.zeros((N, H), dz.dtype)
    for t in reversed(range(T)):
        word = mask[:, t, None]  # (N, 1)
        dh_t = dh[:, t] + dh_next  # h_t is used by the loss and by the next step
        # h_t = where(word, h_new, h_t): the gradient goes to the one that was chosen
        dh_word, dc_word = np.where(word, dh_t, 0), np.where(word, dc_next, 0)
        dz[:, t], dc_prev = lstm_step_backward(dh_word, dc_word, steps[t])
        dh_next = np.where(word, 0, dh_t) + dz[:, t] @ W_h.T  # z = ... + h_t @ W_h
        dc_next = np.where(word, 0, dc_next) + dc_prev
    dz_flat = dz.reshape(N * T, 4 * H)
    return LSTMGradients(
        dx=dz @ W_x.T,  # z_x = x @ W_x + b
        dW_x=weight_gradient(x.reshape(N * T, D), dz_flat, W_x),
        dW_h=weight_gradient(h_prev.reshape(N * T, H), dz_flat, W_h),
        db=dz_flat.sum(axis=0),  # b was added in every step of every sequence
        dh0=dh_next,
        dc0=dc_next,
    )


def _check_shapes(x, W_x, W_h, b, mask, h0, c0):
    if x.ndim != 3:
        raise ValueError(f"x has shape {x.shape}; expected (N, T, D): N sequences of T steps of D features")
    (N, T, D), H = x.shape, W_h.shape[0]
    if W_h.shape != (H, 4 * H):
        raise ValueError(
            f"W_h has shape {W_h.shape}; expected (H, 4H), such as {(H, 4 * H)}: the gates i, f, o, g side by side"
        )
    if W_x.shape != (D, 4 * H):
        raise ValueError(f"x has {D} features and W_h has H = {H}, so W_x should be {(D, 4 * H)}; it is {W_x.shape}")
    if b.shape != (4 * H,):
        raise ValueError(f"b has shape {b.shape}; W_h {W_h.shape} needs {(4 * H,)}")
    if mask is not None and (mask.shape != (N, T) or mask.dtype != bool):
        raise ValueError(f"mask has shape {mask.shape} and dtype {mask.dtype}; x {x.shape} needs {(N, T)} and bool")
    for name, state in (("h0", h0), ("c0", c0)):
        if state is not None and state.shape != (N, H):
            raise ValueError(f"{name} has shape {state.shape}; expected (N, H) = {(N, H)}")
