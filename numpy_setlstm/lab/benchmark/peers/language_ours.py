"""The package's own language model as it is used in training, sparse and dense, with the fast engine."""

import numpy as np

from numpy_setlstm.lab.benchmark.language_work import FIRST, draw_language_network
from numpy_setlstm.language.sampling import draw_ids
from numpy_setlstm.network import make_engine
from numpy_setlstm.optimizers import clip_by_norm


class LanguageSparse:
    """The network of :func:`~numpy_setlstm.lab.benchmark.language_work.draw_language_network`, and Adam."""

    FORMS = {}
    EVOLVES = False
    SPARSE = True

    def __init__(self, work, threads, form=None):
        self.work, self.network = work, draw_language_network(work, sparse=self.SPARSE)
        self.network.engine = make_engine("fast")
        self.optimizer = self.network.engine.optimizers["adam"](self.network.parameters, work.learning_rate)
        self.state = self.network.start(work.batch_size)

    def train_step(self, inputs, targets):
        """One update, from the state where the last one ended; the loss before it."""
        loss, gradients, _, after = self.network.backpropagate(inputs, targets, self.state)
        self.state = {name: np.array(array) for name, array in after.items()}
        self.optimizer.update(self.network.parameters, clip_by_norm(gradients, self.work.max_norm)[0])
        return float(loss)

    def sample(self, length):
        """Draw so many ids, one after another."""
        return draw_ids(self.network, [FIRST], length, 1.0, np.random.default_rng(0))


class LanguageDense(LanguageSparse):
    """The same with dense matrices."""

    SPARSE = False
