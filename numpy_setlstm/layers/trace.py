"""What happened inside an LSTM: its gates, its memory and its hidden state, step by step, to look at."""

import numpy as np

from numpy_setlstm.checks import array, cache, checked
from numpy_setlstm.layers.lstm import GATES, LSTMCache


@checked(cache=cache(LSTMCache, "lstm_forward", h_prev="N T H"), h=array("N T H"), finite=False)
def trace_states(h, cache):
    """Read gates, memory and hidden state of every step from a forward pass.

    Parameters
    ----------
    h, cache : ndarray of shape (N, T, H), and LSTMCache
        From :func:`~numpy_setlstm.layers.lstm.lstm_forward`.

    Returns
    -------
    dict of str to ndarray of shape (N, T, H)
        "i", "f", "o", "g", "c" and "h". At a padded step, which is skipped, the gates are NaN, and c and h are
        those of the step before.

    Examples
    --------
    >>> from numpy_setlstm.layers.lstm import lstm_forward
    >>> x = np.ones((1, 2, 1))
    >>> states = trace_states(*lstm_forward(x, np.full((1, 4), 100.0), np.zeros((1, 4)), np.zeros(4)))
    >>> states["c"][0, :, 0]  # all gates open, g = 1: the memory counts the steps
    array([1., 2.])
    """
    states = {gate: np.full(h.shape, np.nan, cache.h_prev.dtype) for gate in GATES}
    c = np.empty_like(cache.h_prev)  # (N, T, H)
    for t, step in enumerate(cache.steps):
        word = cache.mask[:, t, None]  # (N, 1)
        for gate in GATES:
            states[gate][:, t] = np.where(word, getattr(step, gate), np.nan)
        c[:, t] = np.where(word, step.f * step.c_prev + step.i * step.g, step.c_prev)
    return {**states, "c": c, "h": h}
