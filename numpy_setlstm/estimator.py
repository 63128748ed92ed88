"""The classifier: texts or word ids in, labels out, in the form of a scikit-learn estimator."""

import contextlib
import copy
import warnings

import numpy as np
from tqdm import tqdm

from numpy_setlstm.checkpoint import check_names, explained, load_model, pack_state, save_model, unpack_state
from numpy_setlstm.files import locked
from numpy_setlstm.initialization import NetworkSizes
from numpy_setlstm.inputs import (
    check_classes,
    check_known_words,
    check_parameters,
    check_resumable,
    check_tokenizer,
    check_X,
    check_y,
    fingerprint,
    read,
    split,
    take,
)
from numpy_setlstm.layers.embedding import check_tokens
from numpy_setlstm.network import Network
from numpy_setlstm.recipe import begin, engine_of, initial_state, network_settings, training_settings, writable
from numpy_setlstm.scikit_learn import Estimator
from numpy_setlstm.text import Vocabulary, pad_sequences
from numpy_setlstm.training import TrainingSettings, train

__all__ = ["SetLSTMClassifier"]

DEFAULT_VOCABULARY_SIZE = 20_000
PREDICT_BATCH = 256  # texts that are predicted together; changes the memory, not the result
SPEED = ("engine", "kernel", "n_threads")  # parameters that change nothing but the speed
RESUME_WITH_OTHER = ("n_epochs", "patience", "progress", *SPEED, "check", "without_known_words", "random_state")


class SetLSTMClassifier(Estimator):
    r"""Classify texts with a sparse LSTM that chooses its connections while it learns.

    Parameters
    ----------
    connectivity : {"set", "static", "dense"}
        "set": sparse, evolved by SET between two epochs. "static": the same random connections, never changed.
        "dense": fully connected.
    embedding_dim, hidden_size : int, default 256
        D and H.
    parameter_share : float in (0, 1], default 0.039
        Parameters of the sparse network as a share of the dense network's, everything counted: connections, biases,
        readout. The three sparse matrices get connections in proportion to n_in + n_out. Ignored with `er_epsilon`.
    er_epsilon : float, optional
        :math:`\varepsilon` of the Erdős–Rényi graphs: each sparse matrix gets :math:`\varepsilon (n_{in} + n_{out})`
        connections.
    zeta : float in [0, 1], default 0.1
        Fraction of the connections that each SET step replaces.
    prune_rule : {"sign", "magnitude"}
        Which connections a SET step removes: see :func:`numpy_setlstm.topology.prune`.
    growth : {"zero", "random", "gradient"}
        "zero", "random": new connections are in random cells, and start at 0 or are drawn like the initial ones.
        "gradient": they are where the gradient of the loss is largest, and start at 0, as in RigL. Each SET step then
        takes the time and memory of a dense network.
    zeta_schedule : {"constant", "cosine"}
        Whether each SET step replaces the fraction `zeta`, or the first one does and later ones fewer and fewer. The
        cosine depends on `n_epochs`, which can then not be changed when training is resumed.
    vocabulary_size : int, optional
        V. For texts: the most frequent words, padding and unknown included, at most 20,000 by default. For word ids:
        ids range from 0 to V - 1; by default V is the largest id of the training data plus one.
    max_length : int, default 100
        Words of a text that are read. Arrays of word ids are read as they are.
    padding, truncating : {"pre", "post"}
        Where short texts are padded, and where long ones are cut: "pre" reads the last words. For texts only.
    tokenizer : callable, optional
        Splits each str into a list of str; by default :func:`numpy_setlstm.tokenize`. Lists of tokens are not split.
    n_epochs : int, default 8
        Passes through the texts.
    batch_size : int, default 64
        Texts per minibatch.
    optimizer : {"adam", "sgd"}
    learning_rate, embedding_learning_rate, embedding_scale : float, optional
        By default those of the recipe for the connectivity, which was found with Adam. `embedding_scale` is the
        standard deviation of the initial word vectors' entries.
    learning_rate_decay : float, default 0.0
        In epoch k, counted from 0, the learning rates are divided by 1 + decay · k.
    embedding_dropout, dropout : float in [0, 1), default 0.5
        Of the word vectors, and of the last hidden state.
    max_norm : float, default 1.0
        Gradients are clipped to this joint norm.
    validation_fraction : float in [0, 1), default 0.1
        Share of the training texts that is held out to choose the best epoch; which ones depends on the texts only, not
        on the seed. 0: the last epoch is used.
    patience : int, optional
        Stop after this many epochs without a better one on the validation texts.
    without_known_words : {"warn", "accept", "error"}
        Whether texts that are empty or have no known word are classified by the initial state, with a warning that
        counts them or without, or are an error.
    engine : {"fast", "plain"}
        Which code runs: that made for speed, or the layers as you read them. The results are equal up to rounding.
    lstm : tuple of (forward, backward), optional
        An LSTM of your own, with the signatures of :func:`numpy_setlstm.lstm_forward` and
        :func:`numpy_setlstm.lstm_backward`. It runs in the plain engine, whatever `engine` is.
    check : bool, default True
        Whether to check the gradients of `lstm` before training, on a small random case.
    kernel : {"auto", "gather", "scratch"}
        How the fast engine computes sparse products: see :mod:`numpy_setlstm.fast.kernels`. Changes the speed only.
    n_threads : int, optional
        Threads of the fast engine; by default as many as there are cores. Changes the speed only.
    dtype : {"float32", "float64"}
    progress : bool, default False
        Show progress bars, if standard error is a terminal.
    random_state : int or numpy.random.Generator, optional
        The same seed gives the same bits.

    Attributes
    ----------
    classes_ : ndarray of shape (C,)
        The labels, sorted.
    network_ : Network
        That of the best epoch, topology and weights together.
    history_ : dict of str to list
        Per finished epoch ``train_loss``, ``train_accuracy``, ``validation_loss``, ``validation_accuracy``,
        ``gate_counts`` and ``seconds``; per evolution, the k-th between epochs k and k + 1, ``set_steps`` (dict of str
        to SetStep) and ``validation_loss_evolved``.
    best_epoch_ : int
        Index of the epoch of `network_`; -1 for the first weights, before an epoch has ended or if none is better.
    vocabulary_ : Vocabulary or None
        None if trained on word ids.
    n_parameters_, n_dense_parameters_ : int
        Of this network, and of its dense counterpart.
    training_state_ : TrainingState
        What is needed to continue training.

    Notes
    -----
    Source: S. Liu, D. C. Mocanu and M. Pechenizkiy (2019), "Intrinsically Sparse Long Short-Term Memory Networks",
    arXiv:1901.09208. The defaults are this package's own; they are not known to be the paper's.

    Examples
    --------
    >>> texts, labels = ["what a lovely film", "a dull and awful film"] * 20, ["pos", "neg"] * 20
    >>> sizes = {"hidden_size": 16, "embedding_dim": 16, "parameter_share": 0.3}
    >>> clf = SetLSTMClassifier(**sizes, random_state=0, validation_fraction=0)
    >>> clf.fit(texts, labels).predict(["lovely film", "awful"])
    array(['pos', 'neg'], dtype='<U3')
    """

    def __init__(
        self, connectivity="set", *, embedding_dim=256, hidden_size=256, parameter_share=0.039, er_epsilon=None,
        zeta=TrainingSettings.zeta, prune_rule="sign", growth="zero", zeta_schedule="constant", vocabulary_size=None,
        max_length=100, padding="pre", truncating="pre", tokenizer=None, n_epochs=8, batch_size=64, optimizer="adam",
        learning_rate=None, embedding_learning_rate=None, embedding_scale=None, learning_rate_decay=0.0,
        embedding_dropout=0.5, dropout=0.5, max_norm=1.0, validation_fraction=0.1, patience=None,
        without_known_words="warn", engine="fast", lstm=None, check=True, kernel="auto", n_threads=None,
        dtype="float32", progress=False, random_state=None,
    ):  # fmt: skip
        arguments = locals()
        for name in self._parameter_names():  # as scikit-learn expects: stored as given, checked in fit
            setattr(self, name, arguments[name])

    def fit(self, X, y, *, resume=False, checkpoint_path=None):
        """Train.

        Parameters
        ----------
        X : list of str, list of list of str, or ndarray of shape (n_texts, T), int
            Texts, or texts as lists of tokens, or padded word ids with 0 for padding and 1 for unknown words.
        y : array_like of shape (n_texts,)
            Labels; at least two different ones.
        resume : bool, default False
            Continue training that was interrupted, or for more epochs, on the same texts and labels, as if in one go.
        checkpoint_path : str or Path, optional
            Save the model there after every epoch and when interrupted. The file is locked meanwhile.

        Returns
        -------
        SetLSTMClassifier
            Itself. Ctrl-C ends training early, with a warning, and leaves a fitted model.

        Raises
        ------
        ValueError, TypeError
            If a parameter, a text or a label is invalid; the message says how to mend it.
        FloatingPointError
            If training diverges. The best epoch before that is kept.
        BlockingIOError
            If another training saves to `checkpoint_path`: one of the two models would be lost.
        """
        with contextlib.nullcontext() if checkpoint_path is None else locked(checkpoint_path):
            training, validation = self._prepare(X, y, resume)
            state = self.training_state_

            def keep(state):
                self._publish(state)
                if checkpoint_path is not None:
                    self.save(checkpoint_path)

            options = {"progress": self.progress, "after_epoch": keep, "label": self.connectivity}
            try:
                train(state, training_settings(self), *training, validation, **options)
            finally:
                self._publish(state)  # whatever happens, what was learnt is not lost
            if state.interrupted and state.epoch < self.n_epochs:
                keep(state)
                warnings.warn(
                    f"training was interrupted in epoch {state.epoch + 1} of {self.n_epochs}; the model is usable, and "
                    "fit(X, y, resume=True) continues",
                    stacklevel=2,
                )
        return self

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : list of str, list of list of str, or ndarray of shape (n_texts, T), int

        Returns
        -------
        ndarray of shape (n_texts, C), in the order of `classes_`; rows sum to 1

        Raises
        ------
        NotFittedError
            If the model was not fitted.
        ValueError
            If a text is empty or has no known word and ``without_known_words="error"``, or weights are NaN or infinite.
        """
        self._check_fitted()
        texts_or_ids = check_X(X, self.tokenizer)
        sequences = read(texts_or_ids, self.vocabulary_)
        check_known_words(sequences, texts_or_ids, self.without_known_words)
        tokens = self._pad(sequences)
        batches = range(0, len(tokens), PREDICT_BATCH)
        bar = tqdm(batches, desc="predicting", unit="batch", disable=None if self.progress else True)
        probabilities = np.concatenate([self.network_.predict_proba(tokens[k : k + PREDICT_BATCH]) for k in bar])
        if not np.isfinite(probabilities).all():
            raise ValueError("the network has weights that are NaN or infinite: load a saved model, or fit anew")
        return probabilities

    def predict(self, X):
        """The most probable class of each text, ndarray of shape (n_texts,); see :meth:`predict_proba`."""
        most_probable = self.predict_proba(X).argmax(axis=1)
        return self.classes_[most_probable]

    def score(self, X, y):
        """Accuracy, in [0, 1], on texts X with the labels y; see :meth:`fit`."""
        predicted = self.predict(X)
        labels = check_y(y, len(predicted))
        if (labels.dtype.kind == "U") != (self.classes_.dtype.kind == "U"):
            raise ValueError(f"the labels are {labels.dtype}, but the model has learnt {self.classes_.dtype} labels")
        return float((predicted == labels).mean())

    def network_sizes(self, X, y):
        """NetworkSizes of the network that :meth:`fit` would train on these texts, to count parameters in advance.

        >>> sizes = SetLSTMClassifier(validation_fraction=0).network_sizes(["good film", "bad film"], [1, 0])
        >>> sizes.n_words, sizes.n_classes  # padding, unknown, and three words
        (5, 2)
        """
        check_parameters(self.get_params())
        texts_or_ids = check_X(X, self.tokenizer)
        labels = check_y(y, len(texts_or_ids))
        training, _ = split(texts_or_ids, labels, self.validation_fraction)
        vocabulary = self._build_vocabulary(take(texts_or_ids, training))
        n_words = self._count_words(texts_or_ids) if vocabulary is None else len(vocabulary)
        return NetworkSizes(n_words, self.embedding_dim, self.hidden_size, len(check_classes(labels)))

    def with_network(self, network, **parameters):
        """A classifier for the same texts and labels whose training starts from given weights, and has not begun.

        ``fit(X, y, resume=True)``, on the same texts and labels, trains it for `n_epochs` epochs, with a new optimizer.
        The given weights are the best ones until an epoch is better on validation texts. `network`, for example a
        pruned copy of this one's, is not changed; `parameters` of the constructor replace this one's.

        >>> texts, labels = ["a lovely film", "a dull film"] * 20, [1, 0] * 20
        >>> clf = SetLSTMClassifier("dense", hidden_size=8, embedding_dim=8, validation_fraction=0).fit(texts, labels)
        >>> tuned = clf.with_network(clf.network_, n_epochs=2).fit(texts, labels, resume=True)
        >>> len(tuned.history_["train_loss"])
        2
        """
        self._check_fitted()
        clf = type(self)(**self.get_params() | parameters)
        check_parameters(clf.get_params())
        network = Network(network.copy().parameters, network.scales, **network_settings(clf))
        state = begin(clf, network, copy.deepcopy(self.training_state_.streams))
        state.first_weights = {}
        clf.classes_, clf.vocabulary_, clf.training_state_ = self.classes_, self.vocabulary_, state
        clf._fingerprint, clf._trained_with = self._fingerprint, clf.get_params()
        clf._publish(state)
        return clf

    def save(self, path):
        """Write the model, and all that is needed to continue training, to one ``.npz`` file, which is replaced whole.

        An `lstm` or `tokenizer` is code and not saved: hand it to :meth:`load`. If training diverged, or parameters
        were changed after `fit`, CheckpointError is raised, and an existing file remains. The best epoch can still be
        saved: ``clf.with_network(clf.network_).save(path)``.
        """
        self._check_fitted()
        header, arrays = pack_state(self.training_state_)
        header["parameters"] = self.get_params() | {"random_state": None, "lstm": None, "tokenizer": None}
        header["own_lstm"] = None if self.lstm is None else [getattr(part, "__qualname__", "?") for part in self.lstm]
        own_tokenizer = None if self.tokenizer is None else getattr(self.tokenizer, "__qualname__", "?")
        header |= {"own_tokenizer": own_tokenizer, "fingerprint": self._fingerprint}
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
            clf = cls(**header["parameters"] | {"lstm": lstm, "tokenizer": tokenizer})
            check_names(header, clf.get_params())
            clf.classes_ = arrays["classes"]
            clf.vocabulary_ = None if header["vocabulary"] is None else Vocabulary(header["vocabulary"])
            clf._fingerprint, clf._trained_with = header["fingerprint"], clf.get_params()
            clf.training_state_ = unpack_state(header, arrays, engine_of(clf))
            clf._publish(clf.training_state_)
        return clf

    def _prepare(self, X, y, resume):
        """Check all inputs, and set up the state of training.

        Returns (tokens, targets) to learn from, and (tokens, targets) to choose the best epoch by, or None. Nothing of
        this object changes before everything has proved usable.
        """
        check_parameters(self.get_params())
        texts_or_ids = check_X(X, self.tokenizer)
        labels = check_y(y, len(texts_or_ids))
        if resume:
            self._check_fitted()
            check_resumable(self.get_params(), self._trained_with, RESUME_WITH_OTHER)
            if fingerprint(texts_or_ids, labels) != self._fingerprint:
                raise ValueError("texts or labels differ from those training began with; resume needs the same ones")
        classes = self.classes_ if resume else check_classes(labels)
        training, validation = split(texts_or_ids, labels, self.validation_fraction)
        vocabulary = self.vocabulary_ if resume else self._build_vocabulary(take(texts_or_ids, training))
        sequences = read(texts_or_ids, vocabulary)
        check_known_words(sequences, texts_or_ids, self.without_known_words, may_be_unknown=validation)
        tokens, targets = self._pad(sequences), np.searchsorted(classes, labels)
        if resume:
            state = writable(self.training_state_)
            if any(getattr(self, name) != self._trained_with[name] for name in SPEED):
                state.use_engine(engine_of(self))
        else:
            n_words = self._count_words(tokens) if vocabulary is None else len(vocabulary)
            check_tokens(tokens, n_words)
            state = initial_state(self, n_words, len(classes))
        self.classes_, self.vocabulary_, self.training_state_ = classes, vocabulary, state
        self._fingerprint, self._trained_with = fingerprint(texts_or_ids, labels), self.get_params()
        held_out = (tokens[validation], targets[validation]) if len(validation) else None
        return (tokens[training], targets[training]), held_out

    def _build_vocabulary(self, texts_or_ids):
        """The vocabulary of the texts to learn from, without the validation texts; None for word ids."""
        if isinstance(texts_or_ids, np.ndarray):
            return None
        return Vocabulary.build(texts_or_ids, max_size=self.vocabulary_size or DEFAULT_VOCABULARY_SIZE)

    def _count_words(self, ids):
        return int(ids.max()) + 1 if self.vocabulary_size is None else self.vocabulary_size

    def _pad(self, sequences):
        """Word ids of shape (n_texts, T), int."""
        if isinstance(sequences, np.ndarray):
            return sequences
        return pad_sequences(sequences, self.max_length, padding=self.padding, truncating=self.truncating)

    def _publish(self, state):
        """Offer what was learnt so far under the names that users read."""
        self.network_ = state.best_network if state.best_network is not None else state.network
        self.history_, self.best_epoch_ = state.history, state.best_epoch
        self.n_parameters_ = self.network_.count_parameters()
        self.n_dense_parameters_ = sum(int(np.prod(W.shape)) for W in self.network_.parameters.values())
