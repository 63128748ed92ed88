"""The package's own sparse network as it is used in training: a minibatch shared by processes, and Adam."""

from contextlib import ExitStack

import numpy as np

from numpy_setlstm.classification import Classification
from numpy_setlstm.evolution import evolve
from numpy_setlstm.lab.benchmark.costs import nbytes_within
from numpy_setlstm.lab.benchmark.work import draw_network
from numpy_setlstm.minibatches import add_up, cut_minibatch
from numpy_setlstm.network import make_engine
from numpy_setlstm.sparse import weights_of
from numpy_setlstm.training import TrainingSettings, TrainingState
from numpy_setlstm.workers.jobs import predict_shared, shared


class OursSparse:
    """The network of :func:`~numpy_setlstm.lab.benchmark.work.draw_network`, with the fast engine."""

    PARTS = [
        ("numpy_setlstm.fast.engine:fast_embedding_forward", "input projection"),
        ("numpy_setlstm.fast.lstm:_read_words", "input projection"),
        ("numpy_setlstm.fast.engine:fast_lstm_forward", "recurrence forward"),
        ("numpy_setlstm.fast.engine:fast_lstm_backward", "recurrence backward"),
        ("numpy_setlstm.fast.lstm:_flow_back", "gradients"),
        ("numpy_setlstm.fast.engine:fast_embedding_backward", "gradients"),
        *(
            (f"numpy_setlstm.fast.products:{way}Product.gradient", "gradients")
            for way in ("Dense", "Scratch", "Gather")
        ),
        ("numpy_setlstm.optimizers:Optimizer.update", "optimizer"),
    ]
    FORMS = {}
    EVOLVES = True

    def __init__(self, work, threads, form=None):
        self.network = self._make_network(work)
        self.network.engine = make_engine("fast")
        self.n_jobs, self._sharing, self._task, self._batches = threads, ExitStack(), None, []
        make_optimizer = self.network.engine.optimizers["adam"]
        self.optimizer = make_optimizer(self.network.parameters, work.learning_rate)
        self._streams = {"topology": np.random.default_rng([work.seed, 2])}

    def _make_network(self, work):
        return draw_network(work)

    def prepare(self, batches):
        """Remember the minibatches that will come, as workers have their texts in shared memory."""
        self._batches = batches

    def train_step(self, tokens, labels):
        """One update; the loss before it."""
        number = next((k for k, batch in enumerate(self._batches) if batch[0] is tokens), None)
        if number is None:
            self.close()
            self._batches, number = [(tokens, labels)], 0
        if self._task is None:
            self._share()
        texts = np.arange(number * len(labels), (number + 1) * len(labels))
        pieces = cut_minibatch(texts, self.network.parameters, np.random.default_rng(0))  # there is no dropout
        if self._task.workers is None:
            minibatch = add_up([self._task.backpropagate_piece(self.network, piece) for piece in pieces])
        else:
            minibatch = add_up(self._task.workers.backpropagate(self.network, pieces))
        self.optimizer.update(self.network.parameters, minibatch.gradients)
        return minibatch.loss

    def _share(self):
        tokens, labels = (np.concatenate(parts) for parts in zip(*self._batches, strict=True))
        settings = TrainingSettings(n_epochs=10**6, batch_size=len(self._batches[0][0]))  # it pays to start workers
        task = Classification(tokens, labels)
        self._task = self._sharing.enter_context(shared(task, self.network, settings, self.n_jobs))

    def close(self):
        """End sharing minibatches; the workers remain."""
        self._sharing.close()
        self._task = None

    def predict(self, tokens):
        """Probabilities, ndarray of shape (N, C)."""
        self.close()
        return predict_shared(self.network, tokens, self.n_jobs)

    def set_step(self):
        """Replace connections in E, W_x and W_h; the optimizer's state follows."""
        state = TrainingState.start(self.network, self.optimizer, self._streams)
        steps = evolve(state, TrainingSettings(zeta=0.3))
        if self._task is not None and self._task.workers is not None:
            self._task.workers.evolve(steps)

    def held_bytes(self):
        """Bytes of the weights, of everything else that the parameters hold (indices), and of Adam's state."""
        parameters = self.network.parameters
        weights = sum(weights_of(W).nbytes for W in parameters.values())
        return {
            "parameters": weights,
            "indices": nbytes_within(parameters) - weights,
            "optimizer": nbytes_within(self.optimizer.state),
        }
