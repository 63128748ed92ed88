"""What a trained language model says: the probability of a text, and text of its own."""

import numpy as np

from numpy_setlstm.language.text import BORDER_ID, make_streams
from numpy_setlstm.text import UNKNOWN_ID

PIECE = 256  # steps that are read at once; changes the memory, not the result


def log_probabilities(network, ids, label=None, *, bordered=False):
    """Logarithm of the probability of each id of a text (n,), given those before it; (n - 1,) if not `bordered`.

    With borders, the first id is given the border, and the last of n + 1 numbers is that of the border at the end.
    """
    labels = None if label is None else np.array([label])
    streams = make_streams([ids], 1, labels=labels, bordered=bordered)
    state, parts = network.start(1), []
    for number in range(streams.count_cuts(PIECE)):
        inputs, targets, of_inputs = streams.cut(number, PIECE)
        log_p, _, state, _ = network.forward(inputs, targets, state, of_inputs, keep=False)
        parts.append(log_p.ravel())
    return np.concatenate(parts)


def draw_ids(network, ids, length, temperature, rng, label=None, *, bordered=False):
    r"""Up to `length` ids after those given: each is drawn with probability :math:`p_j \propto e^{y_j / \tau}`.

    Padding and unknown are never drawn; a border ends the text.
    """
    network, state = network.laid_out(), network.start(1)
    drawn, inputs = [], np.array([ids])  # (1, n)
    for _ in range(length):
        labels = None if label is None else np.full(inputs.shape, label)
        logits, state = network.next_logits(inputs, state, labels)
        p = probabilities(logits[0], temperature)
        k = int(rng.choice(len(p), p=p))
        if bordered and k == BORDER_ID:
            break
        drawn.append(k)
        inputs = np.array([[k]])
    return drawn


def probabilities(logits, temperature):
    """Probabilities (V,) at a temperature: below 1 the likely becomes likelier; 0 for padding and unknown.

    >>> probabilities(np.array([9.0, 9.0, 0.0, 1.0]), 0.5).round(3).tolist()
    [0.0, 0.0, 0.119, 0.881]
    """
    scaled = logits.astype(np.float64)
    scaled[: UNKNOWN_ID + 1] = -np.inf
    with np.errstate(over="ignore"):  # at a tiny temperature it is -inf, and p is 0
        p = np.exp((scaled - scaled.max()) / temperature)
    return p / p.sum()
