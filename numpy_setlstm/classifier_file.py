"""A classifier to a file, and back."""

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
from numpy_setlstm.recipe import engine_of
from numpy_setlstm.text import Vocabulary


class ClassifierFile:
    """The methods `save` and `load` of a classifier."""

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
