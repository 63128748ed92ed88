r"""Evolution of a network: when connections are replaced, how many, and where new ones grow.

Between two epochs every sparse matrix takes one :func:`~numpy_setlstm.topology.set_step`, and the state of the
optimizer follows.
"""

import math

import numpy as np

from numpy_setlstm.parameters import SPARSE_PARAMETERS
from numpy_setlstm.sparse import SparseMatrix
from numpy_setlstm.topology import reserved_rows_of, set_step

__all__ = ["evolve"]

GROWTHS = ("zero", "random", "gradient")
ZETA_SCHEDULES = ("constant", "cosine")
GRADIENT_BATCHES = 8  #: Minibatches whose texts give the gradient that growth="gradient" uses


def evolve(state, settings, tokens=None, labels=None, weights=None):
    """Take one SET step in every sparse matrix; the optimizer's state follows.

    Parameters
    ----------
    state : TrainingState, changed in place
    settings : TrainingSettings
    tokens, labels : ndarray of shape (n_texts, T), and (n_texts,), int, optional
        Training data; only ``growth="gradient"`` needs them.
    weights : ndarray of shape (n_texts,), optional
        How much each text counts.

    Returns
    -------
    dict of str to SetStep
        One per sparse matrix; a dense matrix does not evolve.

    Examples
    --------
    >>> from numpy_setlstm.initialization import NetworkSizes, init_network
    >>> from numpy_setlstm.optimizers import Adam
    >>> from numpy_setlstm.training import TrainingSettings, TrainingState, split_streams
    >>> network = init_network(NetworkSizes(20, 4, 4, 2), *np.random.default_rng(0).spawn(2), er_epsilon=1)
    >>> state = TrainingState.start(network, Adam(network.parameters, 0.01), split_streams(np.random.default_rng(1)))
    >>> steps = evolve(state, TrainingSettings(zeta=0.5))
    >>> {name: (len(step.pruned), len(step.grown)) for name, step in steps.items()}
    {'E': (12, 12), 'W_x': (9, 9), 'W_h': (10, 10)}
    """
    network, rng = state.network, state.streams["topology"]
    zeta = zeta_of(settings, len(state.history["set_steps"]))
    scores = {}
    if settings.growth == "gradient":
        scores = gradient_sizes(network, tokens, labels, settings.batch_size, rng, weights)
    steps = {}
    for name in SPARSE_PARAMETERS:
        W = network.parameters.get(name)
        if isinstance(W, SparseMatrix):
            network.parameters[name], steps[name] = set_step(
                W,
                zeta,
                rng,
                prune_rule=settings.prune_rule,
                scale=network.scales[name] if settings.growth == "random" else 0.0,
                reserved_rows=reserved_rows_of(name),
                growth_scores=scores.get(name),
            )
            state.optimizer.carry(name, steps[name])
    return steps


def zeta_of(settings, evolution):
    r"""The fraction of the connections that evolution number k = `evolution`, counted from 0, replaces.

    For "cosine", :math:`\zeta_k = \frac{\zeta}{2} (1 + \cos \frac{\pi k}{n - 1})` with n epochs: the first of the n - 1
    evolutions replaces :math:`\zeta`, the last about :math:`2.5 \, \zeta / (n - 1)^2`. Equation :eq:`zeta-cosine` in
    docs/derivations/set.md. Source: U. Evci et al. (2020), arXiv:1911.11134, section 3, :math:`f_{decay}`, with
    evolutions as the unit of time and all of training as :math:`T_{end}`; RigL itself stops before training ends.

    >>> from numpy_setlstm.training import TrainingSettings
    >>> settings = TrainingSettings(n_epochs=5, zeta=0.3, zeta_schedule="cosine")
    >>> [round(zeta_of(settings, k), 3) for k in range(4)]
    [0.3, 0.256, 0.15, 0.044]
    """
    if settings.zeta_schedule == "constant":
        return settings.zeta
    return settings.zeta / 2 * (1 + math.cos(math.pi * evolution / (settings.n_epochs - 1)))


def gradient_sizes(network, tokens, labels, batch_size, rng, weights=None):
    """Magnitude of the gradient of the loss at every cell of the sparse matrices: a dict of full arrays.

    It is that of the mean loss over the texts of :data:`GRADIENT_BATCHES` minibatches, drawn by `rng`, without dropout.
    The rows of the padding and of words that occur in none of these texts are 0. Time and memory are those of a dense
    network: a rival to compare with, not a way to save either.

    Source: U. Evci et al. (2020), "Rigging the Lottery: Making All Tickets Winners" (RigL), arXiv:1911.11134. This is
    RigL's growth rule within SET, not all of RigL, which updates its connections every few hundred steps by the
    gradient of one minibatch, prunes by magnitude, lets the fraction decay by a cosine, stops before training ends, and
    gives each layer its share of connections by the Erdős–Rényi(-kernel) rule or equally.
    """
    count = min(len(tokens), GRADIENT_BATCHES * batch_size)
    chosen = rng.permutation(len(tokens))[:count]
    sparse = [name for name in SPARSE_PARAMETERS if isinstance(network.parameters.get(name), SparseMatrix)]
    dense = network.parameters | {name: network.parameters[name].toarray() for name in sparse}
    sums = {name: np.zeros_like(dense[name]) for name in sparse}
    for first in range(0, count, batch_size):
        batch = chosen[first : first + batch_size]
        of_batch = None if weights is None else weights[batch]
        _, gradients, _ = network.backpropagate(tokens[batch], labels[batch], parameters=dense, weights=of_batch)
        for name in sparse:
            sums[name] += gradients[name] * (len(batch) / count)  # of the mean over all texts, not over this minibatch
    sizes = {name: np.abs(gradient) for name, gradient in sums.items()}
    for name in sparse:
        sizes[name][: reserved_rows_of(name)] = 0
    return sizes
