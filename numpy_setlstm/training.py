r"""Training: epochs of minibatches, an evolution between two epochs, the best epoch kept.

Everything that training needs in order to go on stands in one :class:`TrainingState`: weights, optimizer, generators,
the place within the epoch. So training that was interrupted, saved and resumed gives bit for bit what it would have
given in one go.
"""

import math
import signal
import threading
import time
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

from numpy_setlstm.layers.readout import cross_entropy_backward, cross_entropy_forward
from numpy_setlstm.network import SPARSE_PARAMETERS, Network, reserved_rows_of
from numpy_setlstm.optimizers import SGD, Adam, Optimizer, clip_by_norm
from numpy_setlstm.sparse import SparseMatrix
from numpy_setlstm.text import PADDING_ID
from numpy_setlstm.topology import set_step

POOL_BATCHES = 32  # minibatches that are sorted by length together: see batch_order
#: The names of the random streams of a training, one for each purpose.
STREAMS = ("topology", "values", "batches", "dropout")
OPTIMIZERS = {"adam": Adam, "sgd": SGD}
GROWTHS = ("zero", "random", "gradient")
ZETA_SCHEDULES = ("constant", "cosine")
GRADIENT_BATCHES = 8  #: Minibatches whose texts give the gradient that growth="gradient" goes by
#: The columns of a history: one list each, with a number per epoch.
HISTORY_KEYS = (
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "gate_counts",
    "seconds",
    "set_steps",
    "validation_loss_evolved",
)


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Attributes
    ----------
    n_epochs : int
        Epochs in all, those already trained included.
    batch_size : int
        Texts per minibatch; the last one of an epoch may be smaller and counts like the others, per text.
    max_norm : float
        Gradients are clipped to this joint norm.
    learning_rate_decay : float
        In epoch k, counted from 0, the learning rates are divided by 1 + decay · k.
    evolve : bool
        Whether a SET step is taken between two epochs.
    zeta : float in [0, 1]
        Fraction of the connections that each SET step replaces.
    prune_rule : {"sign", "magnitude"}
        See :func:`numpy_setlstm.topology.prune`.
    growth : {"zero", "random", "gradient"}
        Whether new connections are at random places and start at 0, or there and are drawn like the initial ones, or
        are where the gradient is largest and start at 0: see :func:`gradient_sizes`.
    zeta_schedule : {"constant", "cosine"}
        Whether every SET step replaces the fraction `zeta`, or fewer and fewer: see :func:`zeta_of`.

    Examples
    --------
    >>> settings = TrainingSettings(n_epochs=3, evolve=False)
    >>> settings.batch_size
    64
    """

    n_epochs: int = 8
    batch_size: int = 64
    max_norm: float = 1.0
    learning_rate_decay: float = 0.0
    evolve: bool = True
    zeta: float = 0.3
    prune_rule: str = "sign"
    growth: str = "zero"
    zeta_schedule: str = "constant"


@dataclass
class TrainingState:
    """All that training has reached so far, and all that it needs to go on.

    Attributes
    ----------
    network : Network
        As it is now.
    optimizer : Optimizer
    streams : dict of str to numpy.random.Generator
        One generator each for :data:`STREAMS`.
    initial_topologies : dict of str to Topology
        The connections of each sparse matrix before the first epoch: with the SET steps of the history they give the
        connections of any epoch.
    epoch : int
        Number of finished epochs.
    batch : int
        Number of finished minibatches of the unfinished epoch.
    order : ndarray of shape (n_texts,), int, or None
        The order of the texts in the unfinished epoch; None between two epochs.
    sums : dict of str to float
        Loss, right answers and seconds of the unfinished epoch so far, added up.
    history : dict of str to list
        One entry per finished epoch (:data:`HISTORY_KEYS`); ``set_steps`` and ``validation_loss_evolved`` have one
        per evolution, the k-th between epochs k and k + 1.
    best_network : Network or None
        Copy of the network after the best epoch, topology and weights together.
    best_epoch : int
        Index of that epoch; -1 before the first one has ended, and while pretrained weights are better than any since.
    pretraining : dict of str to value, or None
        Where the first weights came from, unless they were drawn at random: ``history`` (of that training, per epoch,
        without its SET steps) and ``best_epoch``. As soon as training begins also ``validation_loss`` and
        ``validation_accuracy`` of these weights, which are the best ones until an epoch gives better ones.
    interrupted : bool
        Whether training was told to stop, by Ctrl-C.
    torn : bool
        Whether it was stopped in the middle of a minibatch or an evolution, so that it cannot go on from here.

    Examples
    --------
    >>> from numpy_setlstm.network import NetworkSizes, init_network
    >>> network = init_network(NetworkSizes(20, 4, 4, 2), *np.random.default_rng(0).spawn(2), er_epsilon=1)
    >>> state = TrainingState.start(network, Adam(network.parameters, 0.01), split_streams(np.random.default_rng(1)))
    >>> state.epoch, sorted(state.initial_topologies)
    (0, ['E', 'W_h', 'W_x'])
    """

    network: Network
    optimizer: Optimizer
    streams: dict
    initial_topologies: dict
    epoch: int = 0
    batch: int = 0
    order: np.ndarray | None = None
    sums: dict = field(default_factory=dict)
    history: dict = field(default_factory=lambda: {key: [] for key in HISTORY_KEYS})
    best_network: Network | None = None
    best_epoch: int = -1
    pretraining: dict | None = None
    interrupted: bool = False
    torn: bool = False

    @classmethod
    def start(cls, network, optimizer, streams):
        """State before the first epoch.

        Parameters
        ----------
        network : Network
            Will be changed by training.
        optimizer : Optimizer
            Made for the network's parameters.
        streams : dict of str to numpy.random.Generator
            From :func:`split_streams`.

        Returns
        -------
        TrainingState
            With an empty history.
        """
        sparse = {name: W.topology for name, W in network.parameters.items() if isinstance(W, SparseMatrix)}
        return cls(network, optimizer, streams, sparse)


def split_streams(rng):
    """Give each of :data:`STREAMS` a generator of its own, so that what one draws never changes the others.

    Parameters
    ----------
    rng : numpy.random.Generator

    Returns
    -------
    dict of str to numpy.random.Generator

    Examples
    --------
    >>> sorted(split_streams(np.random.default_rng(0)))
    ['batches', 'dropout', 'topology', 'values']
    """
    return {
        stream: np.random.default_rng(seed)
        for stream, seed in zip(STREAMS, rng.integers(2**63, size=len(STREAMS)), strict=True)
    }


def train(state, settings, tokens, labels, validation=None, *, progress=False, after_epoch=None, label=None):
    """Train until `settings.n_epochs` are done, or until interrupted.

    Parameters
    ----------
    state : TrainingState
        Where to start or to go on; changed in place.
    settings : TrainingSettings
    tokens : ndarray of shape (n_texts, T), int
    labels : ndarray of shape (n_texts,), int
    validation : tuple of (tokens, labels), optional
        Chooses the best epoch: the highest accuracy, among equals the lowest loss. Without it the last epoch is best.
        Weights that were trained before compete too.
    progress : bool, default False
        Show a bar with the time left, if standard error is a terminal.
    after_epoch : callable, optional
        Called with the state after each epoch.
    label : str, optional
        What the bar says is trained.

    Returns
    -------
    TrainingState
        The given one.

    Raises
    ------
    FloatingPointError
        If the loss is no longer finite; the state is that of before the minibatch in question.
    ValueError
        If training was interrupted in the middle of a step, so that the state cannot go on.

    Notes
    -----
    Ctrl-C stops training after the minibatch that is under way, with a state from which it can go on exactly; pressed
    twice, it stops at once. An evolution takes place before each epoch but the first: so there is none after the last,
    and training for more epochs later is the same as having asked for them at once.

    Examples
    --------
    >>> from numpy_setlstm.network import NetworkSizes, init_network
    >>> network = init_network(NetworkSizes(20, 4, 4, 2), *np.random.default_rng(0).spawn(2), er_epsilon=1)
    >>> state = TrainingState.start(network, Adam(network.parameters, 0.01), split_streams(np.random.default_rng(1)))
    >>> tokens, labels = np.array([[1, 2, 3], [4, 5, 6]]), np.array([0, 1])
    >>> state = train(state, TrainingSettings(n_epochs=3), tokens, labels)
    >>> state.epoch, len(state.history["set_steps"])  # there is no SET step after the last epoch
    (3, 2)
    """
    per_epoch = -(-len(tokens) // settings.batch_size)
    if state.torn:
        raise ValueError(
            "training was interrupted in the middle of a step and cannot go on: load a saved model, or start anew"
        )
    bar = tqdm(
        total=settings.n_epochs * per_epoch,
        initial=state.epoch * per_epoch + state.batch,
        unit="batch",
        desc=label,
        disable=None if progress else True,
    )
    # A loss that is no longer finite is told as an error, so NumPy need not warn of it as well.
    with bar, InterruptFlag() as interrupt, np.errstate(over="ignore", invalid="ignore"):
        state.interrupted, state.torn = False, True
        while state.epoch < settings.n_epochs:
            if state.order is None:
                _begin_epoch(state, settings, tokens, labels, validation)
            while state.batch < per_epoch:
                if interrupt.requested:
                    state.interrupted, state.torn = True, False
                    return state
                _train_minibatch(state, settings, tokens, labels)
                bar.update()
            _end_epoch(state, validation)
            bar.set_postfix_str(_summary(state.history))
            if after_epoch is not None:
                state.torn = False
                after_epoch(state)
                state.torn = True
        state.interrupted, state.torn = interrupt.requested, False
    return state


def batch_order(lengths, batch_size, rng):
    """Draw the order of the texts for one epoch; texts of similar length share a minibatch.

    Parameters
    ----------
    lengths : ndarray of shape (n_texts,), int
        Words of each text.
    batch_size : int
        Texts per minibatch.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of shape (n_texts,), int
        A permutation; each run of `batch_size` texts is a minibatch.

    Notes
    -----
    A minibatch takes as many steps as its longest text has words. So a random permutation is cut into pools of
    several minibatches, each pool is sorted by length, and then the minibatches are shuffled: who meets whom stays
    random, and fewer steps are spent on padding.

    Examples
    --------
    >>> order = batch_order(np.array([9, 1, 8, 2, 3]), 2, np.random.default_rng(0))
    >>> sorted(order.tolist())
    [0, 1, 2, 3, 4]
    """
    order = rng.permutation(len(lengths))
    pools = np.split(order, np.arange(POOL_BATCHES * batch_size, len(order), POOL_BATCHES * batch_size))
    order = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
    in_full_batches = len(order) // batch_size * batch_size
    batches = rng.permutation(order[:in_full_batches].reshape(-1, batch_size))
    return np.concatenate([batches.ravel(), order[in_full_batches:]])


def _begin_epoch(state, settings, tokens, labels, validation):
    start = time.perf_counter()
    if state.pretraining is not None and state.epoch == 0:
        loss, accuracy = evaluate(state.network, *validation) if validation else (None, None)
        state.pretraining |= {"validation_loss": loss, "validation_accuracy": accuracy}
        state.best_network = state.network.copy()
    if settings.evolve and state.epoch > 0:
        state.history["set_steps"].append(evolve(state, settings, tokens, labels))
        loss = evaluate(state.network, *validation)[0] if validation else None
        state.history["validation_loss_evolved"].append(loss)
    lengths = (tokens != PADDING_ID).sum(axis=1)
    state.order = batch_order(lengths, settings.batch_size, state.streams["batches"])
    state.sums = {"loss": 0.0, "right": 0, "seconds": time.perf_counter() - start}


def _train_minibatch(state, settings, tokens, labels):
    start = time.perf_counter()
    dropout_before = state.streams["dropout"].bit_generator.state
    chosen = state.order[state.batch * settings.batch_size :][: settings.batch_size]
    logits, cache = state.network.forward(tokens[chosen], state.streams["dropout"])
    loss, loss_cache = cross_entropy_forward(logits, labels[chosen])
    gradients = state.network.backward(cross_entropy_backward(loss_cache), cache)
    gradients, norm = clip_by_norm(gradients, settings.max_norm)
    if not np.isfinite(loss) or not np.isfinite(norm):
        state.streams["dropout"].bit_generator.state = dropout_before
        state.torn = False  # nothing has been changed yet
        raise FloatingPointError(
            f"the loss is {loss} and the gradient's norm {norm} in minibatch {state.batch + 1} of epoch "
            f"{state.epoch + 1}: training has diverged; lower the learning rates"
        )
    rate_factor = 1 / (1 + settings.learning_rate_decay * state.epoch)
    state.optimizer.update(state.network.parameters, gradients, rate_factor)
    state.sums["loss"] += float(loss) * len(chosen)
    state.sums["right"] += int((logits.argmax(axis=1) == labels[chosen]).sum())
    state.sums["seconds"] += time.perf_counter() - start
    state.batch += 1


def _end_epoch(state, validation):
    start = time.perf_counter()
    n_texts, history = len(state.order), state.history
    history["train_loss"].append(state.sums["loss"] / n_texts)
    history["train_accuracy"].append(state.sums["right"] / n_texts)
    history["gate_counts"].append(state.network.gate_counts())
    loss, accuracy = evaluate(state.network, *validation) if validation else (None, None)
    history["validation_loss"].append(loss)
    history["validation_accuracy"].append(accuracy)
    history["seconds"].append(state.sums["seconds"] + time.perf_counter() - start)
    if validation is None or _is_best(state):
        state.best_network, state.best_epoch = state.network.copy(), state.epoch
    state.epoch, state.batch, state.order = state.epoch + 1, 0, None


def _is_best(state):
    """Whether the epoch that has just ended gave the best network so far."""
    accuracies, losses = state.history["validation_accuracy"], state.history["validation_loss"]
    if state.best_epoch >= 0:
        best = accuracies[state.best_epoch], -losses[state.best_epoch]
    elif state.pretraining is not None:
        best = state.pretraining["validation_accuracy"], -state.pretraining["validation_loss"]
    else:
        return True
    return (accuracies[-1], -losses[-1]) > best


def evolve(state, settings, tokens=None, labels=None):
    """Take one SET step in every sparse matrix; the optimizer's state follows.

    Parameters
    ----------
    state : TrainingState
        Changed in place.
    settings : TrainingSettings
    tokens, labels : ndarray of shape (n_texts, T), and (n_texts,), int, optional
        As in :func:`train`; needed for ``growth="gradient"`` only.

    Returns
    -------
    dict of str to SetStep
        One per sparse matrix; a matrix that is dense does not evolve.

    Examples
    --------
    >>> from numpy_setlstm.network import NetworkSizes, init_network
    >>> network = init_network(NetworkSizes(20, 4, 4, 2), *np.random.default_rng(0).spawn(2), er_epsilon=1)
    >>> state = TrainingState.start(network, Adam(network.parameters, 0.01), split_streams(np.random.default_rng(1)))
    >>> steps = evolve(state, TrainingSettings(zeta=0.5))
    >>> {name: (len(step.pruned), len(step.grown)) for name, step in steps.items()}
    {'E': (12, 12), 'W_x': (9, 9), 'W_h': (10, 10)}
    """
    zeta = zeta_of(settings, len(state.history["set_steps"]))
    scores = gradient_sizes(state, settings, tokens, labels) if settings.growth == "gradient" else {}
    steps = {}
    for name in SPARSE_PARAMETERS:
        W = state.network.parameters[name]
        if isinstance(W, SparseMatrix):
            state.network.parameters[name], steps[name] = set_step(
                W,
                zeta,
                state.streams["topology"],
                prune_rule=settings.prune_rule,
                scale=state.network.scales[name] if settings.growth == "random" else 0.0,
                reserved_rows=reserved_rows_of(name),
                growth_scores=scores.get(name),
            )
            state.optimizer.carry(name, steps[name])
    return steps


def zeta_of(settings, evolution):
    r"""The fraction of the connections that one evolution replaces.

    Parameters
    ----------
    settings : TrainingSettings
    evolution : int
        Its index k, from 0 on; :math:`n` epochs have :math:`n - 1` evolutions, the last of which has
        :math:`k = n - 2`.

    Returns
    -------
    float in [0, 1]

    Notes
    -----
    .. math:: \zeta_k = \frac{\zeta}{2} \left(1 + \cos \frac{\pi k}{n - 1}\right)

    for "cosine": the first evolution replaces all of :math:`\zeta`, the last one some :math:`2.5 \, \zeta / (n - 1)^2`,
    and only one after that, which does not take place, would replace nothing.

    Equation :eq:`zeta-cosine` in docs/derivations/set.md.

    Source: U. Evci et al. (2020), arXiv:1911.11134, section 3, :math:`f_{decay}`, with the evolutions as the unit of
    time and all of training as :math:`T_{end}`; RigL itself stops its updates some time before training ends.

    Examples
    --------
    >>> settings = TrainingSettings(n_epochs=5, zeta=0.3, zeta_schedule="cosine")
    >>> [round(zeta_of(settings, k), 3) for k in range(4)]
    [0.3, 0.256, 0.15, 0.044]
    """
    if settings.zeta_schedule == "constant":
        return settings.zeta
    return settings.zeta / 2 * (1 + math.cos(math.pi * evolution / (settings.n_epochs - 1)))


def gradient_sizes(state, settings, tokens, labels):
    """How large the gradient of the loss is at every cell of the sparse matrices, connection or not.

    Parameters
    ----------
    state : TrainingState
        Its "topology" stream draws the texts; nothing else changes.
    settings : TrainingSettings
    tokens, labels : ndarray of shape (n_texts, T), and (n_texts,), int
        As in :func:`train`.

    Returns
    -------
    dict of str to ndarray
        One array of the full shape per sparse matrix, of numbers of at least 0. In E a word that occurs in none of the
        drawn texts has only zeros, and so has the padding.

    Notes
    -----
    The gradient is that of the mean loss over the texts of :data:`GRADIENT_BATCHES` minibatches, without dropout, and
    with the network as it is before the SET step.

    Source: U. Evci et al. (2020), "Rigging the Lottery: Making All Tickets Winners" (RigL), arXiv:1911.11134. This is
    RigL's growth rule within SET, not all of RigL. RigL updates its connections every so many steps (some hundred)
    and goes by the gradient of one minibatch; here, as in SET, there is one update between two epochs, so that a mean
    over more texts is affordable. RigL prunes by magnitude, here `prune_rule` decides; RigL lets the fraction decay by
    a cosine and stops before the end of training, here `zeta_schedule` decides; and RigL gives each layer its share of
    connections by the Erdős–Rényi(-kernel) rule or equally, here it is the Erdős–Rényi rule for all three matrices.

    Time and memory are those of a dense network: this is a rival to measure against, not a way to save either.

    Examples
    --------
    >>> from numpy_setlstm.network import NetworkSizes, init_network
    >>> network = init_network(NetworkSizes(20, 4, 4, 2), *np.random.default_rng(0).spawn(2), er_epsilon=1)
    >>> state = TrainingState.start(network, Adam(network.parameters, 0.01), split_streams(np.random.default_rng(1)))
    >>> tokens, labels = np.array([[1, 2, 3], [4, 5, 6]]), np.array([0, 1])
    >>> sizes = gradient_sizes(state, TrainingSettings(), tokens, labels)
    >>> sizes["W_h"].shape, bool((sizes["E"][7:] == 0).all())  # words that do not occur
    ((4, 16), True)
    """
    count = min(len(tokens), GRADIENT_BATCHES * settings.batch_size)
    chosen = state.streams["topology"].permutation(len(tokens))[:count]
    network = state.network
    sparse = [name for name in SPARSE_PARAMETERS if isinstance(network.parameters[name], SparseMatrix)]
    dense = network.parameters | {name: network.parameters[name].toarray() for name in sparse}
    sums = {name: np.zeros_like(dense[name]) for name in sparse}
    for first in range(0, count, settings.batch_size):
        batch = chosen[first : first + settings.batch_size]
        logits, cache = network.forward(tokens[batch], parameters=dense)
        _, loss_cache = cross_entropy_forward(logits, labels[batch])
        gradients = network.backward(cross_entropy_backward(loss_cache), cache)
        for name in sparse:
            sums[name] += gradients[name] * (len(batch) / count)  # of the mean over all texts, not over this minibatch
    sizes = {name: np.abs(gradient) for name, gradient in sums.items()}
    for name in sparse:
        sizes[name][: reserved_rows_of(name)] = 0
    return sizes


def evaluate(network, tokens, labels, batch_size=256):
    """Mean cross-entropy and accuracy over all texts; neither depends on `batch_size`.

    Parameters
    ----------
    network : Network
    tokens : ndarray of shape (n_texts, T), int
    labels : ndarray of shape (n_texts,), int
    batch_size : int
        Texts at a time; the result does not depend on it.

    Returns
    -------
    loss : float
        At least 0.
    accuracy : float
        In [0, 1].

    Examples
    --------
    >>> from numpy_setlstm.network import NetworkSizes, init_network
    >>> network = init_network(NetworkSizes(20, 4, 4, 2), *np.random.default_rng(0).spawn(2), er_epsilon=1)
    >>> loss, accuracy = evaluate(network, np.array([[1, 2, 3], [4, 5, 6]]), np.array([0, 1]))
    >>> 0 < loss < 5, accuracy in (0, 0.5, 1)
    (True, True)
    """
    loss = right = 0
    for first in range(0, len(tokens), batch_size):
        batch = slice(first, first + batch_size)
        logits, _ = network.forward(tokens[batch], keep=False)
        loss += float(cross_entropy_forward(logits, labels[batch])[0]) * len(logits)
        right += int((logits.argmax(axis=1) == labels[batch]).sum())
    return loss / len(tokens), right / len(tokens)


class InterruptFlag:
    """Turns Ctrl-C into a flag while it is open, so that work can stop where its state is whole.

    The second Ctrl-C raises KeyboardInterrupt as usual. Signals reach the main thread only; in other threads, and
    where somebody else handles them already, nothing is changed.

    Examples
    --------
    >>> import signal
    >>> with InterruptFlag() as interrupt:
    ...     signal.raise_signal(signal.SIGINT)  # as Ctrl-C does
    ...     print("the minibatch ends")
    the minibatch ends
    >>> interrupt.requested
    True
    """

    def __enter__(self):
        self.requested = False
        self._installed = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self._installed:
            signal.signal(signal.SIGINT, self._request)
        return self

    def _request(self, signum, frame):
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True

    def __exit__(self, *exception):
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _summary(history):
    accuracy = history["validation_accuracy"][-1]
    text = f"loss {history['train_loss'][-1]:.3f}"
    return text if accuracy is None else f"{text}, validation accuracy {accuracy:.3f}"
