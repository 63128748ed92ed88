"""What every model that is trained has in common: training that loses nothing."""

import numpy as np

from numpy_setlstm.averaging import averaged_network
from numpy_setlstm.inputs import warn
from numpy_setlstm.scikit_learn import Estimator
from numpy_setlstm.training import train_task


class Trainable(Estimator):
    """A model with a `training_state_`; `fit` prepares what :meth:`_run` needs, `save` and `load` are its own."""

    def _run(self, state, settings, task, after_epoch=None):
        """Train until the settings' epochs are done, or until interrupted."""
        self.training_state_, self._trained_with = state, self.get_params()
        options = {"progress": self.progress, "after_epoch": after_epoch, "label": self.connectivity}
        try:
            return train_task(state, settings, task, **options)
        finally:
            self._publish(state)  # whatever happens, what was learnt is not lost

    def _run_and_save(self, state, settings, task, checkpoint_path, again, after_epoch=None):
        """Do :meth:`_run`, and save after each epoch, and if interrupted; `again` is the call that continues.

        `after_epoch` is called with the model, once it is saved.
        """

        def keep(state):
            self._publish(state)
            if checkpoint_path is not None:
                self.save(checkpoint_path)

        def end_epoch(state):
            keep(state)
            if after_epoch is not None:
                after_epoch(self)

        state = self._run(state, settings, task, end_epoch)
        if state.interrupted and state.epoch < settings.n_epochs:
            keep(state)
            warn(
                f"training was interrupted in epoch {state.epoch + 1} of {settings.n_epochs}; the model is usable, and "
                f"{again} continues"
            )

    def _publish(self, state):
        """Offer what was learnt so far under the names that users read."""
        self.network_ = state.best_network if state.best_network is not None else averaged_network(state)
        self.history_, self.best_epoch_ = state.history, state.best_epoch
        self.n_parameters_ = self.network_.count_parameters()
        self.n_dense_parameters_ = sum(int(np.prod(W.shape)) for W in self.network_.parameters.values())
