"""The classifier: texts or word ids in, labels out, in the shape of a scikit-learn estimator."""

import copy
import inspect
import warnings
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from numpy_setlstm.checkpoint import (
    CheckpointError,
    load_arrays,
    pack_state,
    save_arrays,
    unpack_state,
)
from numpy_setlstm.datasets.splitting import split_by_text
from numpy_setlstm.inputs import check_classes, check_known_words, check_parameters, check_X, check_y, fingerprint, take
from numpy_setlstm.layers.embedding import check_tokens
from numpy_setlstm.network import Network, NetworkSizes, init_network
from numpy_setlstm.text import Vocabulary, pad_sequences
from numpy_setlstm.training import OPTIMIZERS, TrainingSettings, TrainingState, split_streams, train

DEFAULT_VOCABULARY_SIZE = 20_000
PREDICT_BATCH = 256  # texts that are predicted together; changes the memory, not the result
RESUME_WITH_OTHER = ("n_epochs", "progress", "kernel", "n_threads", "without_known_words", "random_state")


@dataclass(frozen=True)
class Recipe:
    """Settings that a network needs in order to learn well, found on validation data; docs/recipe.md tells how.

    Attributes
    ----------
    embedding_scale : float
        Standard deviation of the initial word vectors' entries.
    learning_rate, embedding_learning_rate : float
        Of all parameters but the embedding, and of the embedding.

    Examples
    --------
    >>> SPARSE_RECIPE.embedding_learning_rate / SPARSE_RECIPE.learning_rate
    10.0
    """

    embedding_scale: float
    learning_rate: float
    embedding_learning_rate: float


#: Of a sparse network. A sparse embedding has few entries per word, so each has to move faster than a dense one's.
SPARSE_RECIPE = Recipe(embedding_scale=0.1, learning_rate=1e-3, embedding_learning_rate=1e-2)
#: Of a dense network.
DENSE_RECIPE = Recipe(embedding_scale=0.1, learning_rate=1e-3, embedding_learning_rate=1e-3)


class NotFittedError(ValueError, AttributeError):
    """A model is used before it was fitted."""


class SetLSTMClassifier:
    r"""Classify texts with a sparse LSTM that chooses its connections while it learns.

    Parameters
    ----------
    connectivity : {"set", "static", "dense"}
        "set": sparse, evolved by SET between two epochs. "static": the same random connections, never changed.
        "dense": fully connected.
    embedding_dim, hidden_size : int, default 256
        D and H.
    density : float in (0, 1], default 0.039
        Parameters of the sparse network as a share of the dense one's, everything counted: connections, biases,
        readout. The three sparse matrices get connections in proportion to n_in + n_out. Not used if `er_epsilon`
        is given.
    er_epsilon : float, optional
        :math:`\varepsilon` of the Erdős–Rényi graphs: each sparse matrix gets :math:`\varepsilon (n_{in} + n_{out})`
        connections.
    zeta : float in [0, 1], default 0.1
        Fraction of the connections that each SET step replaces.
    prune_rule : {"sign", "magnitude"}
        Which connections a SET step removes: see :func:`numpy_setlstm.topology.prune`.
    growth : {"zero", "random", "gradient"}
        "zero", "random": new connections are at random places, and start at 0 or are drawn like the initial ones.
        "gradient": they are where the gradient of the loss is largest, and start at 0, as in RigL. That takes a dense
        network's memory and, at each SET step, time: see :func:`numpy_setlstm.training.gradient_sizes`.
    zeta_schedule : {"constant", "cosine"}
        Whether each SET step replaces the fraction `zeta`, or the first one does and the others fewer and fewer, down
        to almost none at the last: see :func:`numpy_setlstm.training.zeta_of`. The cosine depends on `n_epochs`, so
        with it, `n_epochs` cannot be changed any more when training is resumed.
    vocabulary_size : int, optional
        V. For texts: the most frequent words that are known, padding and unknown included, at most 20,000 by default.
        For word ids: ids run from 0 to V - 1; by default V is the largest id of the training data plus one.
    max_length : int, default 100
        Words of a text that are read. Arrays of word ids are read as they are, whatever their length.
    padding, truncating : {"pre", "post"}
        Where short texts are filled up, and where long ones are cut: "pre" reads the last words. For texts only.
    n_epochs : int, default 8
        How often training goes through the texts.
    batch_size : int, default 64
        Texts per minibatch.
    optimizer : {"adam", "sgd"}
    learning_rate, embedding_learning_rate, embedding_scale : float, optional
        By default those of the recipe for the connectivity, which was found with Adam. `embedding_scale` is the
        standard deviation of the initial word vectors' entries.
    learning_rate_decay : float, default 0.0
        In epoch k, counted from 0, the learning rates are divided by 1 + decay · k.
    embedding_dropout, dropout : float in [0, 1), default 0.5
        For the words' vectors, and for the last hidden state.
    max_norm : float, default 1.0
        Gradients are clipped to this joint norm.
    validation_fraction : float in [0, 1), default 0.1
        Part of the training texts that chooses the best epoch instead of being learnt from; which ones depends on the
        texts only, so that networks with different seeds share them. 0: the last epoch is used.
    without_known_words : {"error", "accept"}
        What to do with a text that is empty or has no known word: refuse it, or answer from what the network thinks
        before it has read anything known.
    kernel : {"auto", "gather", "scratch"}
        How sparse products are computed: see :mod:`numpy_setlstm.fast.kernels`. Changes the speed only.
    n_threads : int, optional
        Threads that share a minibatch; by default as many as there are cores. Changes the speed only.
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
        Index of the epoch that `network_` is from; -1 if training was interrupted before the first one had ended, or
        began with pretrained weights and no epoch has been better than these.
    vocabulary_ : Vocabulary or None
        None if trained on word ids.
    n_parameters_, n_dense_parameters_ : int
        Of this network, and of its dense counterpart.
    pretraining_ : dict or None
        For a network whose first weights come from another training (see :meth:`with_network`): that one's ``history``
        and ``best_epoch``, and ``validation_loss`` and ``validation_accuracy`` of the weights to begin with.
    training_state_ : TrainingState
        What is needed to go on training.

    Notes
    -----
    Source: S. Liu, D. C. Mocanu and M. Pechenizkiy (2019), "Intrinsically Sparse Long Short-Term Memory Networks",
    arXiv:1901.09208. The defaults are this package's own; they are not known to be the paper's.

    Examples
    --------
    >>> texts, labels = ["what a lovely film", "a dull and awful film"] * 20, ["pos", "neg"] * 20
    >>> clf = SetLSTMClassifier(hidden_size=16, embedding_dim=16, density=0.3, random_state=0, validation_fraction=0)
    >>> clf.fit(texts, labels).predict(["lovely film", "awful"])
    array(['pos', 'neg'], dtype='<U3')
    """

    _estimator_type = "classifier"  # read by scikit-learn before 1.6

    def __init__(
        self,
        connectivity="set",
        *,
        embedding_dim=256,
        hidden_size=256,
        density=0.039,
        er_epsilon=None,
        zeta=0.1,
        prune_rule="sign",
        growth="zero",
        zeta_schedule="constant",
        vocabulary_size=None,
        max_length=100,
        padding="pre",
        truncating="pre",
        n_epochs=8,
        batch_size=64,
        optimizer="adam",
        learning_rate=None,
        embedding_learning_rate=None,
        embedding_scale=None,
        learning_rate_decay=0.0,
        embedding_dropout=0.5,
        dropout=0.5,
        max_norm=1.0,
        validation_fraction=0.1,
        without_known_words="error",
        kernel="auto",
        n_threads=None,
        dtype="float32",
        progress=False,
        random_state=None,
    ):
        arguments = locals()
        for name in self._parameter_names():  # as scikit-learn expects: stored as given, checked in fit
            setattr(self, name, arguments[name])

    def fit(self, X, y, *, resume=False, checkpoint_path=None):
        """Train.

        Parameters
        ----------
        X : list of str, or ndarray of shape (n_texts, T), int
            Texts, or padded word ids with 0 for padding and 1 for unknown words.
        y : array_like of shape (n_texts,)
            Labels; at least two different ones.
        resume : bool, default False
            Go on with training that was interrupted or that is to have more epochs, on the same texts and labels. The
            result is bit for bit that of training in one go.
        checkpoint_path : str or Path, optional
            Save the model there after every epoch and when interrupted.

        Returns
        -------
        SetLSTMClassifier
            Itself. Ctrl-C ends training early, with a warning, and leaves a fitted model.

        Raises
        ------
        ValueError, TypeError
            If a parameter, a text or a label is not as expected; the message says how to mend it.
        FloatingPointError
            If training diverges. The best epoch before that is kept.
        """
        training, validation = self._prepare(X, y, resume)
        state = self.training_state_

        def after_epoch(state):
            self._publish(state)
            if checkpoint_path is not None:
                self.save(checkpoint_path)

        try:
            train(
                state,
                self._settings(),
                *training,
                validation,
                progress=self.progress,
                after_epoch=after_epoch,
                label=self.connectivity,
            )
        finally:
            self._publish(state)  # whatever happened, what was learnt is there
        if state.interrupted and state.epoch < self.n_epochs:
            if checkpoint_path is not None:
                self.save(checkpoint_path)
            warnings.warn(
                f"training was interrupted in epoch {state.epoch + 1} of {self.n_epochs}; the model is usable, and "
                "fit(X, y, resume=True) goes on",
                stacklevel=2,
            )
        return self

    def predict_proba(self, X):
        """Probabilities of the classes.

        Parameters
        ----------
        X : list of str, or ndarray of shape (n_texts, T), int
            As in :meth:`fit`.

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
        texts_or_ids = check_X(X)
        sequences = self._read(texts_or_ids, self.vocabulary_)
        if self.without_known_words == "error":
            check_known_words(sequences, texts_or_ids)
        tokens = self._pad(sequences)
        starts = tqdm(
            range(0, len(tokens), PREDICT_BATCH),
            desc="predicting",
            unit="batch",
            disable=None if self.progress else True,
        )
        probabilities = np.concatenate([self.network_.predict_proba(tokens[k : k + PREDICT_BATCH]) for k in starts])
        if not np.isfinite(probabilities).all():
            raise ValueError("the network has weights that are NaN or infinite: load a saved model, or fit anew")
        return probabilities

    def predict(self, X):
        """The most probable class of each text.

        Parameters
        ----------
        X : list of str, list of list of str, or ndarray of shape (n_texts, T), int
            As in :meth:`fit`.

        Returns
        -------
        ndarray of shape (n_texts,)
            Of the labels in `classes_`.
        """
        most_probable = self.predict_proba(X).argmax(axis=1)
        return self.classes_[most_probable]

    def score(self, X, y):
        """Accuracy on texts whose labels are known.

        Parameters
        ----------
        X : list of str, list of list of str, or ndarray of shape (n_texts, T), int
            As in :meth:`fit`.
        y : sequence of length n_texts
            The labels.

        Returns
        -------
        float
            The fraction, in [0, 1], that is predicted right.

        Raises
        ------
        ValueError
            If the labels are text and those learnt are not, or the other way round.
        """
        predicted = self.predict(X)
        labels = check_y(y, len(predicted))
        if (labels.dtype.kind == "U") != (self.classes_.dtype.kind == "U"):
            raise ValueError(f"the labels are {labels.dtype}, but the model learnt {self.classes_.dtype} ones")
        return float((predicted == labels).mean())

    def network_sizes(self, X, y):
        """Sizes of the network that :meth:`fit` would train on these texts; counts parameters ahead of training.

        Parameters
        ----------
        X, y
            As in :meth:`fit`.

        Returns
        -------
        NetworkSizes

        Examples
        --------
        >>> sizes = SetLSTMClassifier(validation_fraction=0).network_sizes(["good film", "bad film"], [1, 0])
        >>> sizes.n_words, sizes.n_classes  # padding, unknown, and three words
        (5, 2)
        """
        check_parameters(self.get_params())
        texts_or_ids = check_X(X)
        labels = check_y(y, len(texts_or_ids))
        classes = check_classes(labels)
        training, _ = self._split(texts_or_ids, labels)
        vocabulary = self._build_vocabulary(take(texts_or_ids, training))
        n_words = self._count_words(texts_or_ids) if vocabulary is None else len(vocabulary)
        return NetworkSizes(n_words, self.embedding_dim, self.hidden_size, len(classes))

    def with_network(self, network, **parameters):
        """A classifier for the same texts and labels whose training begins with given weights, and has not begun.

        ``fit(X, y, resume=True)``, on the texts and labels of this one, trains it: for `n_epochs` epochs, with an
        optimizer that starts anew, with generators that go on from where this one's are. The given weights are the best
        ones until an epoch is better on validation.

        Parameters
        ----------
        network : Network
            Such as this one's, pruned. Is not changed.
        **parameters
            Of the constructor, in place of this one's; they have to suit the network.

        Returns
        -------
        SetLSTMClassifier
            Usable for prediction at once.

        Examples
        --------
        >>> texts, labels = ["a lovely film", "a dull film"] * 20, [1, 0] * 20
        >>> clf = SetLSTMClassifier("dense", hidden_size=8, embedding_dim=8, validation_fraction=0).fit(texts, labels)
        >>> tuned = clf.with_network(clf.network_, n_epochs=2).fit(texts, labels, resume=True)
        >>> len(tuned.history_["train_loss"]), len(tuned.pretraining_["history"]["train_loss"])
        (2, 8)
        """
        self._check_fitted()
        clf = type(self)(**self.get_params() | parameters)
        check_parameters(clf.get_params())
        network = Network(
            network.copy().parameters, network.scales, clf.embedding_dropout, clf.dropout, clf.kernel, clf.n_threads
        )
        state = clf._begin(network, copy.deepcopy(self.training_state_.streams))
        history = {key: list(column) for key, column in self.history_.items() if key != "set_steps"}
        state.pretraining = {"history": history, "best_epoch": self.best_epoch_}
        clf.classes_, clf.vocabulary_, clf.training_state_ = self.classes_, self.vocabulary_, state
        clf._fingerprint, clf._trained_with = self._fingerprint, clf.get_params()
        clf._publish(state)
        return clf

    def save(self, path):
        """Write the model, and all that is needed to go on training, to one ``.npz`` file.

        Parameters
        ----------
        path : str or Path
            The folder must exist. A file that is there is replaced, but only by a whole one.
        """
        self._check_fitted()
        header, arrays = pack_state(self.training_state_)
        header["parameters"] = self.get_params() | {"random_state": None}
        header["fingerprint"] = self._fingerprint
        header["vocabulary"] = None if self.vocabulary_ is None else list(self.vocabulary_.words)
        save_arrays(path, header, arrays | {"classes": self.classes_})

    @classmethod
    def load(cls, path):
        """Read a model that :meth:`save` wrote.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        SetLSTMClassifier
            Its `random_state` is None; the generators' states are restored, so that ``fit(X, y, resume=True)`` goes on
            as if it had never stopped.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        CheckpointError
            If the file is cut short, altered, pickled or of a newer format.
        """
        header, arrays = load_arrays(path)
        try:
            clf = cls(**header["parameters"])
            clf.classes_ = arrays["classes"]
            clf.vocabulary_ = None if header["vocabulary"] is None else Vocabulary(header["vocabulary"])
            clf._fingerprint, clf._trained_with = header["fingerprint"], clf.get_params()
            clf.training_state_ = unpack_state(header, arrays)
            clf._publish(clf.training_state_)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise CheckpointError(f"{path} is no model of SetLSTMClassifier: {error}") from error
        return clf

    # What scikit-learn's tools ask for.

    @classmethod
    def _parameter_names(cls):
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep=True):
        """The constructor's parameters.

        Parameters
        ----------
        deep : bool, default True
            There for scikit-learn; has no effect.

        Returns
        -------
        dict of str to value
            All of them, also those left at their default.
        """
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **parameters):
        """Set parameters of the constructor.

        Parameters
        ----------
        **parameters
            By name; they are checked when `fit` is called.

        Returns
        -------
        SetLSTMClassifier
            This one.

        Raises
        ------
        ValueError
            If a name is unknown.
        """
        for name, value in parameters.items():
            if name not in self._parameter_names():
                raise ValueError(f"{name!r} is no parameter; expected one of {', '.join(self._parameter_names())}")
            setattr(self, name, value)
        return self

    def __sklearn_is_fitted__(self):
        return hasattr(self, "network_")

    def __sklearn_tags__(self):
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(string=True, two_d_array=True),
        )

    def __repr__(self):
        defaults = inspect.signature(type(self).__init__).parameters
        changed = [f"{name}={value!r}" for name, value in self.get_params().items() if value != defaults[name].default]
        return f"SetLSTMClassifier({', '.join(changed)})"

    # The steps of fit and predict.

    def _prepare(self, X, y, resume):
        """Check all that was handed in, and set up the state of training.

        Returns (tokens, targets) to learn from, and (tokens, targets) to choose the best epoch by, or None. Nothing of
        this object changes before everything has proved usable.
        """
        check_parameters(self.get_params())
        texts_or_ids = check_X(X)
        labels = check_y(y, len(texts_or_ids))
        if resume:
            self._check_resumable(texts_or_ids, labels)
        classes = self.classes_ if resume else check_classes(labels)
        training, validation = self._split(texts_or_ids, labels)
        vocabulary = self.vocabulary_ if resume else self._build_vocabulary(take(texts_or_ids, training))
        sequences = self._read(texts_or_ids, vocabulary)
        if self.without_known_words == "error":
            check_known_words(sequences, texts_or_ids, may_be_unknown=validation)
        tokens, targets = self._pad(sequences), np.searchsorted(classes, labels)
        if resume:
            state = self.training_state_
            for network in filter(None, (state.network, state.best_network)):
                network.kernel, network.n_threads = self.kernel, self.n_threads
        else:
            n_words = self._count_words(tokens) if vocabulary is None else len(vocabulary)
            check_tokens(tokens, n_words)
            state = self._initial_state(n_words, len(classes))

        self.classes_, self.vocabulary_, self.training_state_ = classes, vocabulary, state
        self._fingerprint, self._trained_with = fingerprint(texts_or_ids, labels), self.get_params()
        held_out = (tokens[validation], targets[validation]) if len(validation) else None
        return (tokens[training], targets[training]), held_out

    def _check_resumable(self, texts_or_ids, labels):
        self._check_fitted()
        if fingerprint(texts_or_ids, labels) != self._fingerprint:
            raise ValueError(
                "the texts or labels differ from those that training began with; resume needs the same ones"
            )
        for name, value in self.get_params().items():
            if name not in RESUME_WITH_OTHER and value != self._trained_with[name]:
                raise ValueError(
                    f"{name} was {self._trained_with[name]!r} when training began and is {value!r} now; resume can "
                    f"change {', '.join(RESUME_WITH_OTHER)} only: set {name} back, or fit anew"
                )
        before = self._trained_with["n_epochs"]
        if self.zeta_schedule == "cosine" and self.connectivity == "set" and self.n_epochs != before:
            raise ValueError(
                f"n_epochs was {before} when training began and is {self.n_epochs} now; with zeta_schedule='cosine' it "
                "decides how much each SET step replaces, so training would not be that of one go: set n_epochs back, "
                "or fit anew"
            )

    def _check_fitted(self):
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(
                "this SetLSTMClassifier is not fitted yet: call fit(texts, labels), or load a saved model"
            )

    def _split(self, texts_or_ids, labels):
        """Positions of the texts to learn from and of those that choose the best epoch; the same whenever resumed."""
        if self.validation_fraction == 0:
            return np.arange(len(labels)), np.arange(0)
        split_rng = np.random.default_rng(0)  # not random_state: networks with different seeds share the split
        training, validation = split_by_text(texts_or_ids, labels, self.validation_fraction, split_rng)
        missing = np.setdiff1d(labels, labels[training])
        if missing.size or not validation.size:
            raise ValueError(
                f"{len(labels)} texts are too few to hold out {self.validation_fraction} for validation, with all "
                "copies of a text on one side: give more different texts, or validation_fraction=0"
            )
        return training, validation

    def _build_vocabulary(self, texts_or_ids):
        """The vocabulary of the texts to learn from, those of the validation left out; None for word ids."""
        if isinstance(texts_or_ids, np.ndarray):
            return None
        return Vocabulary.build(texts_or_ids, max_size=self.vocabulary_size or DEFAULT_VOCABULARY_SIZE)

    def _count_words(self, ids):
        return int(ids.max()) + 1 if self.vocabulary_size is None else self.vocabulary_size

    def _initial_state(self, n_words, n_classes):
        """Network, optimizer and generators before the first epoch."""
        streams = split_streams(np.random.default_rng(self.random_state))
        recipe = self.recipe()
        sizes = NetworkSizes(n_words, self.embedding_dim, self.hidden_size, n_classes)
        er_epsilon = None
        if self.connectivity != "dense":
            er_epsilon = self.er_epsilon if self.er_epsilon is not None else sizes.er_epsilon_for(self.density)
        network = init_network(
            sizes,
            streams["topology"],
            streams["values"],
            er_epsilon=er_epsilon,
            embedding_scale=recipe.embedding_scale,
            dtype=np.dtype(self.dtype),
            embedding_dropout=self.embedding_dropout,
            dropout=self.dropout,
            kernel=self.kernel,
            n_threads=self.n_threads,
        )
        return self._begin(network, streams)

    def _begin(self, network, streams):
        """The state of training before its first epoch."""
        recipe = self.recipe()
        rates = dict.fromkeys(network.parameters, recipe.learning_rate) | {"E": recipe.embedding_learning_rate}
        return TrainingState.start(network, OPTIMIZERS[self.optimizer](network.parameters, rates), streams)

    def recipe(self):
        """The recipe for the connectivity, with the settings that were given in place of its own.

        Returns
        -------
        Recipe
            What training will use.
        """
        default = DENSE_RECIPE if self.connectivity == "dense" else SPARSE_RECIPE
        given = {name: getattr(self, name) for name in vars(default) if getattr(self, name) is not None}
        return Recipe(**(vars(default) | given))

    def _settings(self):
        return TrainingSettings(
            n_epochs=self.n_epochs,
            batch_size=self.batch_size,
            max_norm=self.max_norm,
            learning_rate_decay=self.learning_rate_decay,
            evolve=self.connectivity == "set",
            zeta=self.zeta,
            prune_rule=self.prune_rule,
            growth=self.growth,
            zeta_schedule=self.zeta_schedule,
        )

    def _read(self, texts_or_ids, vocabulary):
        """Word ids of each text, of any length: a list of lists of int, or the array that was given."""
        if isinstance(texts_or_ids, np.ndarray):
            if vocabulary is not None:
                kind = texts_or_ids.dtype
                raise TypeError(f"the model was trained on texts; got an array of {kind}: give a list of str")
            return texts_or_ids
        if vocabulary is None:
            raise TypeError("the model was trained on word ids; got texts: give an integer array of shape (n_texts, T)")
        return [vocabulary.encode(text) for text in texts_or_ids]

    def _pad(self, sequences):
        """Word ids of shape (n_texts, T), int."""
        if isinstance(sequences, np.ndarray):
            return sequences
        return pad_sequences(sequences, self.max_length, padding=self.padding, truncating=self.truncating)

    def _publish(self, state):
        """Offer what was learnt so far under the names that users read."""
        self.network_ = state.best_network if state.best_network is not None else state.network
        self.history_, self.best_epoch_, self.pretraining_ = state.history, state.best_epoch, state.pretraining
        self.n_parameters_ = self.network_.count_parameters()
        shapes = {name: W.shape for name, W in self.network_.parameters.items()}
        self.n_dense_parameters_ = sum(int(np.prod(shape)) for shape in shapes.values())
