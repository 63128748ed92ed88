"""What every model that is trained has in common: training that loses nothing, and files."""

import numpy as np

from numpy_setlstm.averaging import averaged_network
from numpy_setlstm.checkpoint import (
    check_names,
    explained,
    load_model,
    pack_parameters,
    pack_state,
    save_model,
    unpack_parameters,
    unpack_state,
)
from numpy_setlstm.inputs import check_tokenizer
from numpy_setlstm.recipe import engine_of, training_settings
from numpy_setlstm.scikit_learn import Estimator
from numpy_setlstm.text import Vocabulary
from numpy_setlstm.training import train


class Trainable(Estimator):
    """A model with a `training_state_`; `fit` prepares what :meth:`_train` needs."""

    def save(self, path):
        """Write the model, and all that is needed to continue training, to one ``.npz`` file, which is replaced whole.

        An `lstm` or `tokenizer` is code and not saved: hand it to :meth:`load`. If training diverged, or parameters
        were changed after `fit`, CheckpointError is raised, and an existing file remains. The best epoch can still be
        saved: ``clf.with_network(clf.network_).save(path)``.
        """
        self._check_fitted()
        header, arrays = pack_state(self.training_state_)
        header |= pack_parameters(self.get_params()) | {"fingerprint": self._fingerprint}
        header["vocabulary"] = None if self.vocabulary_ is None else list(self.vocabulary_.words)
        save_model(path, header, arrays | {"classes": self.classes_})

    @classmethod
    def load(cls, path, lstm=None, tokenizer=None, max_bytes=None):
        """Read a model that :meth:`save` wrote, by this version of the package or an older one.

        Parameters
        ----------
        path : str or Path
        lstm, tokenizer : optional
            Those of your own that the model was trained with, if it was.
        max_bytes : int, optional
            Limit on the size of all arrays: see :func:`numpy_setlstm.checkpoint.load_arrays`.

        Returns
        -------
        SetLSTMClassifier
            Its `random_state` is None; the generators are restored: ``fit(X, y, resume=True)`` continues exactly.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        CheckpointError
            If the file is cut short, altered, too large, pickled or of a newer format, or needs `lstm` or `tokenizer`.
        """
        with explained(f"{path} cannot be loaded as a SetLSTMClassifier"):
            header, arrays = load_model(path, lstm, max_bytes)
            check_tokenizer(header.get("own_tokenizer"), tokenizer)
            clf = cls(**unpack_parameters(header) | {"lstm": lstm, "tokenizer": tokenizer})
            check_names(header, clf.get_params())
            clf.classes_ = arrays["classes"]
            clf.vocabulary_ = None if header["vocabulary"] is None else Vocabulary(header["vocabulary"])
            clf._fingerprint, clf._trained_with = header["fingerprint"], clf.get_params()
            clf.training_state_ = unpack_state(header, arrays, engine_of(clf))
            clf._publish(clf.training_state_)
        return clf

    def _train(self, prepared, n_epochs, after_epoch=None):
        """Take over what was prepared, and train until `n_epochs` are done."""
        self.classes_, self.vocabulary_, self._fingerprint, state, training, validation = prepared
        tokens, targets, weights = training
        self.training_state_, self._trained_with = state, self.get_params()
        settings = training_settings(self, n_epochs=n_epochs)
        options = {"progress": self.progress, "after_epoch": after_epoch, "label": self.connectivity}
        try:
            return train(state, settings, tokens, targets, validation, weights=weights, **options)
        finally:
            self._publish(state)  # whatever happens, what was learnt is not lost

    def _publish(self, state):
        """Offer what was learnt so far under the names that users read."""
        self.network_ = state.best_network if state.best_network is not None else averaged_network(state)
        self.history_, self.best_epoch_ = state.history, state.best_epoch
        self.n_parameters_ = self.network_.count_parameters()
        self.n_dense_parameters_ = sum(int(np.prod(W.shape)) for W in self.network_.parameters.values())
