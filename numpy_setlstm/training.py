r"""Training: epochs of minibatches, evolutions between them, the best epoch kept.

Everything that training needs to continue is in one :class:`TrainingState`: weights, optimizer, generators, the
position within the epoch. So training that was interrupted, saved and resumed gives bitwise the same result as training
in one go.
"""

import time
from dataclasses import dataclass, field, replace

import numpy as np
from tqdm import tqdm

from numpy_setlstm.averaging import averaged_network, update_average
from numpy_setlstm.classification import Classification
from numpy_setlstm.evolution import evolution_is_due
from numpy_setlstm.interrupt import InterruptFlag
from numpy_setlstm.network import Network
from numpy_setlstm.optimizers import Optimizer, clip_by_norm
from numpy_setlstm.sparse import SparseMatrix, weights_of

__all__ = ["HISTORY_KEYS", "STREAMS", "TrainingSettings", "TrainingState", "train"]

#: The names of the random streams of a training, one for each purpose.
STREAMS = ("topology", "values", "batches", "dropout")
#: The columns of a history: one list each.
HISTORY_KEYS = (
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "gate_counts",
    "seconds",
    "set_steps",
    "evolved_at",
    "validation_loss_evolved",
)


@dataclass(frozen=True)
class TrainingSettings:
    """How to train.

    Examples
    --------
    >>> TrainingSettings(n_epochs=3, evolve=False).zeta
    0.1
    """

    n_epochs: int = 8  #: Epochs in all, including those already trained
    batch_size: int = 64  #: Texts per minibatch; the last one of an epoch may be smaller
    max_norm: float = 1.0  #: Gradients are clipped to this joint norm
    learning_rate_decay: float = 0.0  #: In epoch k, counted from 0, learning rates are divided by 1 + decay · k
    averaging: float | str = 0.0  #: See :func:`numpy_setlstm.averaging.update_average`
    averaging_interval: int = 5  #: See :func:`numpy_setlstm.averaging.is_triggered`
    evolve: bool = True  #: Whether to take SET steps
    zeta: float = 0.1  #: Fraction of the connections that each SET step replaces, in [0, 1]
    prune_rule: str = "sign"  #: See :func:`numpy_setlstm.topology.prune`
    keep_gate_counts: bool = False  #: Whether connections do not move from gate to gate
    #: In random cells, from 0 ("zero") or drawn ("random"); or where the "gradient" is largest; a dict: by parameter
    growth: str | dict = "zero"
    candidates: int | None = None  #: See :func:`numpy_setlstm.evolution.with_candidates`
    zeta_schedule: str = "constant"  #: Or "cosine": see :func:`numpy_setlstm.evolution.zeta_of`
    evolve_every: int | None = None  #: Minibatches from one SET step to the next; None: an epoch
    evolve_from: float = 0.0  #: Epochs before the first SET step may take place
    evolve_until: float | None = None  #: Epochs after which none takes place any more; None: the end
    patience: int | None = None  #: Stop after so many epochs without a better one on validation texts; None: never

    def __post_init__(self):
        for name, value in vars(self).items():
            if isinstance(value, np.generic):  # arithmetic of NumPy's small and unsigned integers wraps
                object.__setattr__(self, name, value.item())


@dataclass
class TrainingState:
    """All that training has reached so far, and all that it needs to continue.

    Examples
    --------
    >>> from numpy_setlstm.initialization import NetworkSizes, init_network
    >>> from numpy_setlstm.optimizers import Adam
    >>> network = init_network(NetworkSizes(20, 4, 4, 2), *np.random.default_rng(0).spawn(2), er_epsilon=1)
    >>> state = TrainingState.start(network, Adam(network.parameters, 0.01), split_streams(np.random.default_rng(1)))
    >>> state.epoch, sorted(state.initial_topologies)
    (0, ['E', 'W_h', 'W_x'])
    """

    network: Network  #: The current one
    optimizer: Optimizer  #: Its state follows the network's connections
    streams: dict  #: A generator for each of :data:`STREAMS`
    initial_topologies: dict  #: Before the first epoch; with the SET steps, they give the connections of any epoch
    epoch: int = 0  #: Number of finished epochs
    batch: int = 0  #: Number of finished minibatches of the current epoch
    n_updates: int = 0  #: Number of finished minibatches in all
    order: np.ndarray | None = None  #: Of the texts in the current epoch, (n_texts,); None between two epochs
    sums: dict = field(default_factory=dict)  #: Loss, correct answers and seconds of the current epoch so far
    #: What a task hands from one minibatch to the next, arrays by name, such as the states of a language model
    carried: dict = field(default_factory=dict)
    #: One entry per finished epoch (:data:`HISTORY_KEYS`); ``set_steps``, ``evolved_at`` (epochs finished before, and
    #: minibatches of the next one) and ``validation_loss_evolved`` (if between epochs) have one per evolution
    history: dict = field(default_factory=lambda: {key: [] for key in HISTORY_KEYS})
    average: dict = field(default_factory=dict)  #: By parameter, of its weights; see :mod:`numpy_setlstm.averaging`
    n_averaged: int = 0  #: Number of minibatches in the averages; without any there are none
    averaged_from: dict = field(default_factory=dict)  #: By sparse matrix, `n_averaged` when each connection grew
    #: Copy of the network after the best epoch, topology and weights, or averaged weights, together
    best_network: Network | None = None
    best_epoch: int = -1  #: Its index; -1 before an epoch has ended, and as long as the first weights are better
    #: Validation loss and accuracy of first weights that were given, not drawn: the best ones until an epoch is better
    first_weights: dict | None = None
    notes: dict = field(default_factory=dict)  #: Anything else to save with the state, as JSON
    interrupted: bool = False  #: Whether training was stopped by Ctrl-C
    inconsistent: bool = False  #: Whether it was stopped within a minibatch or an evolution, and cannot continue

    @classmethod
    def start(cls, network, optimizer, streams):
        """State before the first epoch, for an optimizer of the network and streams of :func:`split_streams`."""
        sparse = {name: W.topology for name, W in network.parameters.items() if isinstance(W, SparseMatrix)}
        return cls(network, optimizer, streams, sparse)

    def use_engine(self, engine):
        """Continue with another engine; the optimizer of that engine takes over the state."""
        old = self.optimizer
        self.optimizer = engine.optimizers[old.kind](self.network.parameters, old.learning_rates, **old.constants)
        self.optimizer.state = old.state
        for network in filter(None, (self.network, self.best_network)):
            network.engine = engine


def split_streams(rng):
    """Give each of :data:`STREAMS` its own generator, so that the draws of one never change the others."""
    seeds = rng.integers(2**63, size=len(STREAMS))
    return {stream: np.random.default_rng(seed) for stream, seed in zip(STREAMS, seeds, strict=True)}


def train(
    state, settings, tokens, labels, validation=None, *, weights=None, progress=False, after_epoch=None, label=None
):
    """Train until `settings.n_epochs` are done, or until interrupted.

    Parameters
    ----------
    state : TrainingState, changed in place
    settings : TrainingSettings
    tokens : ndarray of shape (n_texts, T), int
    labels : ndarray of shape (n_texts,), int
    validation : tuple of (tokens, labels) or (tokens, labels, weights), optional
        Chooses the best epoch: the highest accuracy, among equals the lowest loss. Without it, the last epoch.
    weights : ndarray of shape (n_texts,), optional
        How much each text counts, in the loss and in the accuracy, with a mean of 1.
    progress : bool, default False
        Show a progress bar, if standard error is a terminal.
    after_epoch : callable, optional
        Called with the state after each epoch.
    label : str, optional
        Description in the progress bar.

    Returns
    -------
    TrainingState
        The given one.

    Raises
    ------
    FloatingPointError
        If the loss is no longer finite; the state is that before the minibatch in question.
    ValueError
        If training was interrupted within a step, so that the state cannot continue.

    Notes
    -----
    Ctrl-C stops training after the current minibatch, in a state from which it can continue exactly; pressed twice, it
    stops at once. An evolution takes place before each epoch but the first, or before a minibatch: so there is none at
    the end, and training for more epochs later is the same as having asked for them at once.

    Examples
    --------
    >>> from numpy_setlstm.initialization import NetworkSizes, init_network
    >>> from numpy_setlstm.optimizers import Adam
    >>> network = init_network(NetworkSizes(20, 4, 4, 2), *np.random.default_rng(0).spawn(2), er_epsilon=1)
    >>> state = TrainingState.start(network, Adam(network.parameters, 0.01), split_streams(np.random.default_rng(1)))
    >>> tokens, labels = np.array([[1, 2, 3], [4, 5, 6]]), np.array([0, 1])
    >>> state = train(state, TrainingSettings(n_epochs=3), tokens, labels)
    >>> state.epoch, len(state.history["set_steps"])  # there is no SET step after the last epoch
    (3, 2)
    """
    task = Classification(tokens, labels, weights, validation)
    return train_task(state, settings, task, progress=progress, after_epoch=after_epoch, label=label)


def train_task(state, settings, task, *, progress=False, after_epoch=None, label=None):
    """The loop of :func:`train`, for any task: one with the attribute and methods of :class:`Classification`."""
    if state.inconsistent:
        stopped = "training was interrupted within a step and cannot continue"
        raise ValueError(f"{stopped}: load a saved model, or start anew")
    per_epoch = task.count_batches(settings)
    total, done = settings.n_epochs * per_epoch, state.epoch * per_epoch + state.batch
    bar = tqdm(total=total, initial=done, unit="batch", desc=label, disable=None if progress else True)
    # A loss that is no longer finite is raised as an error, so NumPy need not warn of it as well.
    with bar, InterruptFlag() as interrupt, np.errstate(over="ignore", invalid="ignore"):
        state.interrupted, state.inconsistent = False, True
        while state.epoch < settings.n_epochs and not _out_of_patience(state, settings):
            if state.order is None:
                _begin_epoch(state, settings, task)
            while state.batch < per_epoch:
                if interrupt.requested:
                    state.interrupted, state.inconsistent = True, False
                    return state
                if evolution_is_due(state, settings, per_epoch):
                    _evolve(state, settings, task)
                _train_minibatch(state, settings, task)
                bar.update()
            _end_epoch(state, settings, task)
            bar.set_postfix_str(_summary(state.history, task.judged_by))
            if after_epoch is not None:
                state.inconsistent = False
                after_epoch(state)
                state.inconsistent = True
        state.interrupted, state.inconsistent = interrupt.requested, False
    return state


def end_early(state, settings, tokens, labels, weights=None):
    """End the epoch in which training was interrupted after the texts read so far, or the first minibatch."""
    read = state.order[: max(1, state.batch) * settings.batch_size]
    state.order = np.arange(len(read))
    settings = replace(settings, n_epochs=state.epoch + 1)
    train(state, settings, tokens[read], labels[read], weights=None if weights is None else weights[read])


def _begin_epoch(state, settings, task):
    start = time.perf_counter()
    if state.first_weights is not None and state.epoch == 0:
        state.first_weights = dict(zip(("loss", "accuracy"), task.validate(state.network), strict=True))
        state.best_network = state.network.copy()
    state.order, state.carried = task.draw_order(settings, state.streams["batches"]), {}
    state.sums = {"loss": 0.0, "right": 0, "seconds": time.perf_counter() - start}


def _evolve(state, settings, task):
    start = time.perf_counter()
    history = state.history
    history["set_steps"].append(task.evolve(state, settings))
    history["evolved_at"].append([state.epoch, state.batch])
    between_epochs = settings.evolve_every is None
    loss = task.validate(averaged_network(state))[0] if between_epochs else None
    history["validation_loss_evolved"].append(loss)
    state.sums["seconds"] += time.perf_counter() - start


def _train_minibatch(state, settings, task):
    start = time.perf_counter()
    dropout_before = state.streams["dropout"].bit_generator.state
    try:
        loss, gradients, count, right, carried = task.backpropagate(state, settings)
    except Exception:  # such as one from a layer, which says what overflows, or from a worker that was killed
        state.streams["dropout"].bit_generator.state = dropout_before
        state.inconsistent = False  # nothing has been changed yet
        raise
    gradients, norm = clip_by_norm(gradients, settings.max_norm)
    if not np.isfinite(loss) or not np.isfinite(norm):
        state.streams["dropout"].bit_generator.state = dropout_before
        state.inconsistent = False  # nothing has been changed yet
        raise FloatingPointError(
            f"the loss is {loss} and the norm of the gradient {norm} in minibatch {state.batch + 1} of epoch "
            f"{state.epoch + 1}: training has diverged; lower the learning rates"
        )
    rate_factor = 1 / (1 + settings.learning_rate_decay * state.epoch) * task.rate_share(state, settings)
    state.optimizer.update(state.network.parameters, gradients, rate_factor)
    update_average(state, settings.averaging, settings.averaging_interval)
    state.sums["loss"] += float(loss) * count
    state.sums["right"] += right
    state.carried = carried
    state.sums["seconds"] += time.perf_counter() - start
    state.batch, state.n_updates = state.batch + 1, state.n_updates + 1


def _end_epoch(state, settings, task):
    start = time.perf_counter()
    _check_weights(state)
    count, history = task.count(settings), state.history
    network = averaged_network(state)
    loss, accuracy = task.validate(network)
    if _is_best(state, loss, accuracy, task.judged_by):
        state.best_network, state.best_epoch = network.copy(), state.epoch
    entries = {
        "train_loss": state.sums["loss"] / count,
        "train_accuracy": min(1.0, state.sums["right"] / count),  # weights add up to n_texts but for rounding
        "validation_loss": loss,
        "validation_accuracy": accuracy,
        "gate_counts": state.network.gate_counts(),
        "seconds": state.sums["seconds"] + time.perf_counter() - start,
    }
    for key, entry in entries.items():
        history[key].append(entry)
    state.epoch, state.batch, state.order, state.carried = state.epoch + 1, 0, None, {}


def _check_weights(state):
    """Before the network can become the best one: divergence in the last minibatch shows in no loss of this epoch."""
    for name, W in state.network.parameters.items():
        if not np.isfinite(weights_of(W)).all():
            raise FloatingPointError(
                f"{name} is no longer finite at the end of epoch {state.epoch + 1}: training has diverged; lower the "
                "learning rates"
            )


def _out_of_patience(state, settings):
    return settings.patience is not None and state.epoch - 1 - state.best_epoch >= settings.patience


def _is_best(state, loss, accuracy, judged_by):
    """Whether a network with these validation scores is the best so far; without validation, the latest is."""
    if loss is None or state.best_network is None:
        return True
    if state.best_epoch < 0:
        best = state.first_weights
    else:
        best = {key: state.history["validation_" + key][state.best_epoch] for key in ("loss", "accuracy")}
    if judged_by == "loss":
        return loss < best["loss"]
    return (accuracy, -loss) > (best["accuracy"], -best["loss"])


def _summary(history, judged_by):
    judged = history["validation_" + judged_by][-1]
    return f"loss {history['train_loss'][-1]:.3f}" + (
        "" if judged is None else f", validation {judged_by} {judged:.3f}"
    )
