"""An LSTM of your own instead of :mod:`numpy_setlstm.layers.lstm`: adapted to the network, and checked first."""

from collections.abc import Mapping

import numpy as np

from numpy_setlstm.gradcheck import check_layer
from numpy_setlstm.layers.lstm import LSTMGradients
from numpy_setlstm.sparse import SparseMatrix

N, T, D, H = 3, 5, 4, 2  # of the random case: unequal, so that no two axes can be confused
NAMES = ("dx", "dW_x", "dW_h", "db")


def adapt(lstm):
    """Make a pair (forward, backward) behave like ours: checked shapes, gradients as :class:`LSTMGradients`.

    `backward` may return an object with the attributes ``dx, dW_x, dW_h, db``, a dict with these keys, or a tuple that
    begins with these four. The gradient of a SparseMatrix may have its full shape: it is read at the connections.
    """
    try:
        forward, backward = lstm
    except (TypeError, ValueError):
        raise TypeError(f"lstm is {lstm!r}; expected a pair of functions, (lstm_forward, lstm_backward)") from None

    def own_forward(x, W_x, W_h, b, mask=None):
        out = forward(x, W_x, W_h, b, mask)
        expected = (*x.shape[:2], W_h.shape[0])
        is_pair = isinstance(out, tuple) and len(out) == 2
        if not is_pair or np.shape(out[0]) != expected:
            got = f"h of shape {np.shape(out[0])}" if is_pair else type(out).__name__
            raise ValueError(
                f"your lstm_forward returned {got}; expected (h, cache), with the hidden state after each step: h of "
                f"shape (N, T, H) = {expected}"
            )
        return out[0], (out[1], x, W_x, W_h, b)

    def own_backward(dh, cache):
        own_cache, x, W_x, W_h, b = cache
        gradients = _by_name(backward(dh, own_cache))
        for name, array in zip(NAMES, (x, W_x, W_h, b), strict=True):
            gradients[name] = _like(name, gradients[name], array)
        return LSTMGradients(**gradients, dh0=None, dc0=None)

    return own_forward, own_backward


def check_own(lstm, *, sparse):
    """Check an adapted pair on a small random case in double precision, with padding; raises with the report."""
    rng = np.random.default_rng(0)
    draw = _random_sparse if sparse else lambda rng, shape: rng.normal(size=shape)
    W_x, W_h = draw(rng, (D, 4 * H)), draw(rng, (H, 4 * H))
    x, b = rng.normal(size=(N, T, D)), rng.normal(size=4 * H)
    mask = np.arange(T) >= np.array([0, 1, 3])[:, None]  # (N, T)  padding before, of 0, 1 and 3 steps
    x[~mask] = 0  # the vector of the padding word
    forward, backward = lstm
    check_layer(
        lambda x, W_x, W_h, b: forward(x, W_x, W_h, b, mask),
        lambda dh, cache: dict(zip(("x", "W_x", "W_h", "b"), backward(dh, cache), strict=False)),
        inputs={"x": x},
        params={"W_x": W_x, "W_h": W_h, "b": b},
    )


def _random_sparse(rng, shape):
    A = rng.normal(size=shape) * (rng.random(shape) < 0.6)
    return SparseMatrix.from_array(A)


def _by_name(gradients):
    if isinstance(gradients, Mapping):
        found = {name: gradients.get(name) for name in NAMES}
    elif all(hasattr(gradients, name) for name in NAMES):
        found = {name: getattr(gradients, name) for name in NAMES}
    elif isinstance(gradients, tuple | list) and len(gradients) >= len(NAMES):
        found = dict(zip(NAMES, gradients, strict=False))
    else:
        found = dict.fromkeys(NAMES)
    missing = [name for name in NAMES if found[name] is None]
    if missing:
        raise ValueError(
            f"your lstm_backward returned {type(gradients).__name__} without {', '.join(missing)}; expected a tuple "
            "(dx, dW_x, dW_h, db, ...), or a dict or an object with these names"
        )
    return found


def _like(name, gradient, array):
    """The gradient of an array; of a SparseMatrix, at its connections."""
    gradient = np.asarray(gradient)
    if isinstance(array, SparseMatrix):
        if gradient.shape == array.shape:
            gradient = gradient[array.rows, array.cols]
        array = array.values
    if gradient.shape != array.shape:
        raise ValueError(f"your lstm_backward returned {name} of shape {gradient.shape}; expected {array.shape}")
    return gradient
