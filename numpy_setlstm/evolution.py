r"""Evolution of a network: when connections are replaced, how many, and where new ones grow.

Between two epochs, or every so many minibatches, every sparse matrix takes one
:func:`~numpy_setlstm.topology.set_step`, and the state of the optimizer and the averages follow.
"""

import math

import numpy as np

from numpy_setlstm.averaging import carry_average
from numpy_setlstm.cells import draw_free_cells, united
from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.parameters import EVOLVING, first_of
from numpy_setlstm.sparse import SparseMatrix, weights_of
from numpy_setlstm.text import PADDING_ID
from numpy_setlstm.topology import prune, reserved_rows_of, set_step

__all__ = ["evolve"]

GROWTHS = ("zero", "random", "gradient")
ZETA_SCHEDULES = ("constant", "cosine")
GRADIENT_BATCHES = 8  #: Minibatches whose texts give the gradient that growth="gradient" uses
GRADIENT_STATES = 2**24  #: The most hidden states, texts times steps times H, that it keeps at once: about a gigabyte


def evolve(state, settings, tokens=None, labels=None, weights=None):
    """Take one SET step in every sparse matrix; the optimizer's state and the averages follow.

    Parameters
    ----------
    state : TrainingState, changed in place
    settings : TrainingSettings
    tokens, labels : ndarray of shape (n_texts, T), and (n_texts,), int, optional
        Training data; only ``growth="gradient"`` and `evolve_every` need them.
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
    per_epoch = 1 if tokens is None else -(-len(tokens) // settings.batch_size)

    def sizes(names, probe):
        return gradient_sizes(network, tokens, labels, settings.batch_size, rng, weights, names, probe)

    return evolve_network(state, settings, per_epoch, sizes)


def evolve_network(state, settings, per_epoch, sizes):
    """Do :func:`evolve` for any task: `per_epoch` minibatches; ``sizes(names, probe)`` gives the growth scores."""
    network, rng = state.network, state.streams["topology"]
    zeta = zeta_of(settings, len(state.history["set_steps"]), count_evolutions(settings, per_epoch))
    rules = {name: growth_of(settings.growth, name) for name in sparse_names(network)}
    scores, steps = {}, {}
    names = [name for name, rule in rules.items() if rule == "gradient"]
    if names:
        probe = None if settings.candidates is None else with_candidates(settings, zeta, rng)
        scores = sizes(names, probe)
    for name, rule in rules.items():
        network.parameters[name], steps[name] = set_step(
            network.parameters[name],
            zeta,
            rng,
            prune_rule=settings.prune_rule,
            scale=network.scales[name] if rule == "random" else 0.0,
            reserved_rows=reserved_rows_of(name),
            growth_scores=scores.get(name),
            n_blocks=len(GATES) if settings.keep_gate_counts and first_of(name) in ("W_x", "W_h") else 1,
        )
        state.optimizer.carry(name, steps[name])
        carry_average(state, name, steps[name])
    return steps


def sparse_names(network):
    """The names of a network's sparse matrices."""
    return [name for name in EVOLVING if isinstance(network.parameters.get(name), SparseMatrix)]


def growth_of(growth, name):
    """The rule by which the parameter `name` grows: `growth`, or its entry there; a second LSTM's as the first's."""
    return growth if isinstance(growth, str) else growth.get(first_of(name), GROWTHS[0])


def evolution_is_due(state, settings, per_epoch):
    """Whether an evolution takes place before the next minibatch, of an epoch of so many."""
    now, evolved_at = [state.epoch, state.batch], state.history["evolved_at"]
    if not settings.evolve or evolved_at[-1:] == [now]:
        return False
    if settings.evolve_every is None:
        due = state.batch == 0 and state.epoch > 0
    else:
        due = state.n_updates > 0 and state.n_updates % settings.evolve_every == 0
    first, last = _limits(settings, per_epoch)
    return due and first <= state.epoch * per_epoch + state.batch <= last


def count_evolutions(settings, per_epoch):
    """Number of evolutions of a whole training, of `n_epochs` epochs of so many minibatches each."""
    every = settings.evolve_every or per_epoch
    first, last = _limits(settings, per_epoch)
    return sum(first <= n <= last for n in range(every, settings.n_epochs * per_epoch, every))


def _limits(settings, per_epoch):
    """The first and the last minibatch before which an evolution may take place."""
    until = math.inf if settings.evolve_until is None else settings.evolve_until
    return settings.evolve_from * per_epoch, until * per_epoch


def zeta_of(settings, evolution, n_evolutions=None):
    r"""The fraction of the connections that evolution number k = `evolution`, counted from 0, replaces.

    For "cosine", :math:`\zeta_k = \frac{\zeta}{2} (1 + \cos \frac{\pi k}{m})` with m = `n_evolutions`, by default one
    between two epochs: the first one replaces :math:`\zeta`, the last about :math:`2.5 \, \zeta / m^2`. Equation
    :eq:`zeta-cosine` in docs/derivations/set.md. Source: U. Evci et al. (2020), arXiv:1911.11134, section 3,
    :math:`f_{decay}`, with evolutions as the unit of time and all of training as :math:`T_{end}`.

    >>> from numpy_setlstm.training import TrainingSettings
    >>> settings = TrainingSettings(n_epochs=5, zeta=0.3, zeta_schedule="cosine")
    >>> [round(zeta_of(settings, k), 3) for k in range(4)]
    [0.3, 0.256, 0.15, 0.044]
    """
    if settings.zeta_schedule == "constant":
        return settings.zeta
    return settings.zeta / 2 * (1 + math.cos(math.pi * evolution / (n_evolutions or settings.n_epochs - 1)))


def gradient_sizes(network, tokens, labels, batch_size, rng, weights=None, names=None, probe=None):
    """Magnitude of the gradient of the loss at cells of the sparse matrices, or of `names`: a dict of growth scores.

    It is that of the mean loss over the texts of :data:`GRADIENT_BATCHES` minibatches, drawn by `rng`, without dropout.
    By default it is computed at all cells, at the time and memory of a dense network, as in RigL. A ``probe(W)`` gives
    a sparse matrix with more connections instead, as :func:`with_candidates` does; then E is written out for the words
    that occur, whose gradients come with that of x. The rows of the padding and of other words are 0.

    Source: U. Evci et al. (2020), "Rigging the Lottery: Making All Tickets Winners" (RigL), arXiv:1911.11134. This is
    RigL's growth rule within SET, not all of RigL, which updates its connections every few hundred steps by the
    gradient of one minibatch, prunes by magnitude, lets the fraction decay by a cosine, stops before training ends, and
    gives each layer its share of connections by the Erdős–Rényi(-kernel) rule or equally.
    """
    chosen = rng.permutation(len(tokens))[: GRADIENT_BATCHES * batch_size]
    tokens, labels, weights = tokens[chosen], labels[chosen], None if weights is None else weights[chosen]
    names = sparse_names(network) if names is None else names
    words, E = np.union1d(tokens, [PADDING_ID]), network.parameters["E"]
    probes = {name: probe(network.parameters[name]) if probe else network.parameters[name].toarray()
              for name in names if name != "E" or not probe}  # fmt: skip
    if probe and "E" in names:
        probes["E"], tokens = E.take_rows(words), np.searchsorted(words, tokens)  # the words, numbered anew
    sums = {name: np.zeros_like(weights_of(W)) for name, W in probes.items()}
    at_once = max(1, min(batch_size, GRADIENT_STATES // (tokens.shape[1] * network.parameters["W_h"].shape[0])))
    for first in range(0, len(tokens), at_once):
        batch = slice(first, first + at_once)
        share, of_batch = len(labels[batch]) / len(labels), None if weights is None else weights[batch]
        parameters = network.parameters | probes
        _, gradients, _ = network.backpropagate(tokens[batch], labels[batch], parameters=parameters, weights=of_batch)
        for name in names:
            sums[name] += gradients[name] * share  # of the mean over all texts, not over this minibatch
    sizes = {name: np.abs(sums[name]) for name in names}
    if probe:
        sizes = {name: W.with_values(sizes[name]) if name != "E" else _rows(E.shape, words[1:], sizes[name][1:])
                 for name, W in probes.items()}  # fmt: skip
    elif "E" in names:
        sizes["E"][: reserved_rows_of("E")] = 0
    return sizes


def _rows(shape, rows, values):
    """A SparseMatrix with all cells of some `rows` (U,), whose values are (U, n_cols)."""
    cols = np.tile(np.arange(shape[1]), len(rows))
    return SparseMatrix(shape, np.repeat(rows, shape[1]), cols, values.ravel())


def with_candidates(settings, zeta, rng):
    """The probe of :func:`gradient_sizes` that stays sparse: a matrix, and candidates as connections of weight 0.

    The candidates are `settings.candidates` times as many cells as will be pruned, drawn from those that are free then.
    Source: M. Heddes et al. (2024), "Always-Sparse Training by Growing Connections with Guided Stochastic Exploration",
    arXiv:2401.06898.
    """

    def probe(W):
        keys, pruned = W.topology.keys, prune(W, zeta, settings.prune_rule)
        kept = np.delete(keys, pruned)
        count = min(settings.candidates * len(pruned), W.size - len(kept))
        cells = united(keys, draw_free_cells(kept, W.size, count, rng))
        values = np.zeros(len(cells), W.dtype)
        values[np.searchsorted(cells, keys)] = W.values
        return SparseMatrix(W.shape, *np.divmod(cells, W.shape[1]), values)

    return probe
