"""The package's own sparse network as it is used in training: ``Network.loss_and_gradients`` and Adam."""

import numpy as np

from numpy_setlstm.evolution import evolve
from numpy_setlstm.lab.benchmark.costs import nbytes_within
from numpy_setlstm.lab.benchmark.work import draw_network
from numpy_setlstm.network import make_engine
from numpy_setlstm.sparse import weights_of
from numpy_setlstm.training import TrainingSettings, TrainingState


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
        make_optimizer = self.network.engine.optimizers["adam"]
        self.optimizer = make_optimizer(self.network.parameters, work.learning_rate)
        self._streams = {"topology": np.random.default_rng([work.seed, 2])}

    def _make_network(self, work):
        return draw_network(work)

    def train_step(self, tokens, labels):
        """One update; the loss before it."""
        loss, gradients = self.network.loss_and_gradients(tokens, labels)
        self.optimizer.update(self.network.parameters, gradients)
        return float(loss)

    def predict(self, tokens):
        """Probabilities, ndarray of shape (N, C)."""
        return self.network.predict_proba(tokens)

    def set_step(self):
        """Replace connections in E, W_x and W_h; the optimizer's state follows."""
        evolve(TrainingState.start(self.network, self.optimizer, self._streams), TrainingSettings(zeta=0.3))

    def held_bytes(self):
        """Bytes of the weights, of everything else that the parameters hold (indices), and of Adam's state."""
        parameters = self.network.parameters
        weights = sum(weights_of(W).nbytes for W in parameters.values())
        return {
            "parameters": weights,
            "indices": nbytes_within(parameters) - weights,
            "optimizer": nbytes_within(self.optimizer.state),
        }
