"""The task of labelling texts: the gradients of a minibatch, and how good a network is on other texts.

A large minibatch is cut into pieces, which are computed one after another, or at the same time by
:mod:`numpy_setlstm.workers`; the results are the same bits.
"""

from typing import NamedTuple

import numpy as np

from numpy_setlstm.evolution import evolve
from numpy_setlstm.layers.readout import cross_entropy_forward
from numpy_setlstm.minibatches import Minibatch, add_up, batch_order, cut_minibatch
from numpy_setlstm.text import PADDING_ID

# Texts in a batch of an evaluation or prediction: half of them, for two processes, within these limits. They change the
# time, and the last bits of a loss.
LEAST_BATCH, MOST_BATCH = 64, 128


class Classification(NamedTuple):
    """What :func:`~numpy_setlstm.training.train_task` asks of a task."""

    tokens: np.ndarray  # (n_texts, T)
    labels: np.ndarray  # (n_texts,)
    weights: np.ndarray | None = None  # (n_texts,)
    validation: tuple | None = None  # (tokens, labels) or (tokens, labels, weights)
    workers: object | None = None  # a SharedTraining, or None: all is computed in this process

    judged_by = "accuracy"  # on validation data: it chooses the best epoch, among equals the lowest loss

    def count_batches(self, settings):
        """Minibatches of an epoch."""
        return -(-len(self.tokens) // settings.batch_size)

    def count(self, settings):
        """How much an epoch's loss is a mean over: the texts."""
        return len(self.tokens)

    def rate_share(self, state, settings):
        """By what the learning rates are multiplied in this minibatch, beside their decay."""
        return 1.0

    def draw_order(self, settings, rng):
        """The order of the texts in an epoch, (n_texts,)."""
        return batch_order((self.tokens != PADDING_ID).sum(axis=1), settings.batch_size, rng)

    def backpropagate(self, state, settings):
        """The Minibatch at which a state of training stands; the state does not change, but for its dropout stream."""
        texts = state.order[state.batch * settings.batch_size :][: settings.batch_size]
        pieces = cut_minibatch(texts, state.network.parameters, state.streams["dropout"])
        if self.workers is not None and len(pieces) > 1:
            return add_up(self.workers.backpropagate(state.network, pieces))
        return add_up([self.backpropagate_piece(state.network, piece) for piece in pieces])

    def backpropagate_piece(self, network, piece):
        """The Minibatch of a Piece: its share of the loss, and of the gradients."""
        n = piece.texts
        labels, weights = self.labels[n], None if self.weights is None else self.weights[n]
        in_loss = weights
        if piece.share != 1:
            in_loss = np.full(len(n), piece.share) if weights is None else weights * piece.share
        loss, gradients, logits = network.backpropagate(self.tokens[n], labels, piece.rng, weights=in_loss)
        return Minibatch(float(loss), gradients, len(n), _weight_of(logits.argmax(axis=1) == labels, weights), {})

    def evolve(self, state, settings):
        """The SET steps of all matrices."""
        steps = evolve(state, settings, self.tokens, self.labels, self.weights)
        if self.workers is not None:
            self.workers.evolve(steps)
        return steps

    def validate(self, network):
        """Loss and accuracy on validation data, None without."""
        if self.validation is None:
            return None, None
        if self.workers is not None:
            return mean_over(self.workers.evaluate(network, len(self.validation[0])))
        return evaluate(network, *self.validation)


def evaluate(network, tokens, labels, weights=None, batch_size=None):
    """Mean cross-entropy and accuracy on tokens (n_texts, T) and labels (n_texts,); neither depends on `batch_size`.

    With `weights` (n_texts,) both are weighted means.
    """
    batches = cut_texts(len(tokens), batch_size)
    return mean_over([evaluate_batch(network, tokens, labels, weights, batch=batch) for batch in batches])


def cut_texts(n_texts, batch_size=None):
    """Slices of so many texts, `batch_size` each; by default the number with which an evaluation takes least time.

    >>> cut_texts(300, 200)
    [slice(0, 200, None), slice(200, 300, None)]
    """
    if batch_size is None:
        batch_size = min(MOST_BATCH, max(LEAST_BATCH, -(-n_texts // 2)))
    return [slice(first, min(first + batch_size, n_texts)) for first in range(0, n_texts, batch_size)]


def evaluate_batch(network, tokens, labels, weights=None, *, batch):
    """The loss of some texts, how many are right, and how many there are: what they weigh together, with weights."""
    of_batch = None if weights is None else weights[batch]
    logits, _ = network.forward(tokens[batch], keep=False)
    loss = float(cross_entropy_forward(logits, labels[batch], of_batch)[0]) * len(logits)
    right = _weight_of(logits.argmax(axis=1) == labels[batch], of_batch)
    return loss, right, _weight_of(np.ones(len(logits), bool), of_batch)


def mean_over(batches):
    """Mean loss and accuracy of all texts, from what :func:`evaluate_batch` gives for each batch."""
    loss, right, total = (sum(column) for column in zip(*batches, strict=True))
    return loss / total, min(1.0, right / total)


def _weight_of(chosen, weights):
    """How many texts are chosen, (N,) bool; with weights (N,), what they weigh together."""
    return int(chosen.sum()) if weights is None else float(weights[chosen].sum())
