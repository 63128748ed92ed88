"""The task of predicting what comes next: what the loop of :mod:`numpy_setlstm.training` asks, for a language model."""

import math

import numpy as np

from numpy_setlstm.evolution import GRADIENT_BATCHES, evolve_network
from numpy_setlstm.language.text import count_units, make_streams
from numpy_setlstm.minibatches import Minibatch
from numpy_setlstm.topology import reserved_rows_of


class Prediction:
    """Texts to read, lists of ids, their labels or None, and Streams to validate on, or None.

    Several texts are shuffled in each epoch; one alone is read in its order. In either case the state is carried from
    each minibatch to the next, and begins an epoch with 0.
    """

    judged_by = "loss"  # on validation data: the lowest chooses the best epoch

    def __init__(self, texts, n_steps, labels=None, validation=None, *, bordered=False, rate_schedule="constant"):
        self.rate_schedule, self.texts, self.n_steps, self.labels = rate_schedule, texts, n_steps, labels
        self.validation, self.bordered = validation, bordered
        self._cut = None, None  # an order, and the streams in that order

    def count_batches(self, settings):
        """Minibatches of an epoch; the last may have fewer steps."""
        return -(-self._length(settings) // self.n_steps)

    def count(self, settings):
        """How much an epoch's loss is a mean over: the targets."""
        return self._length(settings) * settings.batch_size

    def rate_share(self, state, settings):
        """By what the learning rates are multiplied in this minibatch: 1, or half a cosine from 1 to 0."""
        if self.rate_schedule == "constant":
            return 1.0
        return (1 + math.cos(math.pi * state.n_updates / (settings.n_epochs * self.count_batches(settings)))) / 2

    def draw_order(self, settings, rng):
        """The order of the texts in an epoch, (n_texts,)."""
        return rng.permutation(len(self.texts))

    def backpropagate(self, state, settings):
        """The Minibatch at which a state of training stands; the state does not change, but for its dropout stream."""
        inputs, targets, labels = self._streams(state, settings).cut(state.batch, self.n_steps)
        before = state.carried or state.network.start(len(inputs))
        loss, gradients, right, after = state.network.backpropagate(
            inputs, targets, before, labels, state.streams["dropout"]
        )
        return Minibatch(loss, gradients, inputs.size, right, {name: np.array(a) for name, a in after.items()})

    def evolve(self, state, settings):
        """The SET steps of all matrices."""

        def sizes(names, probe):
            return self.gradient_sizes(state, settings, names, probe)

        return evolve_network(state, settings, self.count_batches(settings), sizes)

    def gradient_sizes(self, state, settings, names, probe=None):
        """Magnitude of the gradient at the cells of the matrices `names`: a dict of growth scores.

        It is that of the mean loss of the next :data:`GRADIENT_BATCHES` minibatches, from the carried state on, without
        dropout; after the last minibatch of the epoch the first one follows. A ``probe(W)`` gives a sparse matrix with
        more connections, at which the gradient is computed; without it, all cells are.
        """
        network, streams = state.network, self._streams(state, settings)
        probes = {name: probe(W) if probe else W.toarray() for name, W in network.parameters.items() if name in names}
        parameters, sums, after = network.parameters | probes, dict.fromkeys(names, 0.0), state.carried
        n_batches, total = self.count_batches(settings), 0
        for number in range(state.batch, state.batch + min(GRADIENT_BATCHES, n_batches)):
            inputs, targets, labels = streams.cut(number % n_batches, self.n_steps)
            before = network.start(len(inputs)) if number % n_batches == 0 else after
            _, gradients, _, after = network.backpropagate(inputs, targets, before, labels, parameters=parameters)
            for name in names:
                sums[name] = sums[name] + gradients[name] * inputs.size
            total += inputs.size
        sizes = {name: np.abs(sums[name] / total) for name in names}
        if probe:
            return {name: W.with_values(sizes[name]) for name, W in probes.items()}
        if "E" in names:
            sizes["E"][: reserved_rows_of("E")] = 0
        return sizes

    def validate(self, network):
        """Mean loss and share of right predictions on validation data, None without."""
        return evaluate(network, self.validation, self.n_steps) if self.validation else (None, None)

    def _length(self, settings):
        return (count_units(self.texts, bordered=self.bordered) - 1) // settings.batch_size

    def _streams(self, state, settings):
        if self._cut[0] is not state.order:
            options = {"labels": self.labels, "bordered": self.bordered}
            self._cut = state.order, make_streams(self.texts, settings.batch_size, state.order, **options)
        return self._cut[1]


def evaluate(network, streams, n_steps):
    """Mean loss in nats and share of right predictions on Streams, which are read in pieces of `n_steps` steps."""
    state, loss, n_right = network.start(len(streams.inputs)), 0.0, 0
    for number in range(streams.count_cuts(n_steps)):
        inputs, targets, labels = streams.cut(number, n_steps)
        log_p, right, state, _ = network.forward(inputs, targets, state, labels, keep=False)
        loss -= float(log_p.sum(dtype=np.float64))
        n_right += int(right.sum())
    return loss / streams.inputs.size, n_right / streams.inputs.size
