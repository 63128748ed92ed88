"""The classifier: texts or word ids in, labels out, in the form of a scikit-learn estimator."""

import contextlib

import numpy as np
from tqdm import tqdm

from numpy_setlstm.classification import Classification
from numpy_setlstm.classifier_file import ClassifierFile
from numpy_setlstm.files import locked
from numpy_setlstm.inputs import check_parameters, check_partial_fit, check_y, warn
from numpy_setlstm.preparation import find_sizes, prepare, read_texts, sizes_given_by
from numpy_setlstm.recipe import restart, training_settings
from numpy_setlstm.scikit_learn import ClassifierTags
from numpy_setlstm.trainable import Trainable
from numpy_setlstm.training import TrainingSettings, end_early
from numpy_setlstm.weighting import check_sample_weight
from numpy_setlstm.workers.jobs import predict_shared, shared

__all__ = ["SetLSTMClassifier"]


class SetLSTMClassifier(ClassifierFile, ClassifierTags, Trainable):
    r"""Classify texts with a sparse LSTM that chooses its connections while it learns.

    Parameters
    ----------
    connectivity : {"set", "static", "dense"}
        "set": sparse, evolved by SET, by default between two epochs. "static": the same random connections, never
        changed. "dense": fully connected.
    embedding_dim, hidden_size : int, default 256
        D and H.
    bidirectional : bool, default False
        Whether a second LSTM reads each text from its end; the last states of both stand side by side.
    pooling : {"last", "mean", "max"}
        What the readout reads of a text: the last hidden state, or the mean or the maximum, unit by unit, of the hidden
        states of its words; of each direction if there are two.
    parameter_share : float in (0, 1], default 0.039
        Parameters of the sparse network as a share of the dense network's, everything counted: connections, biases,
        readout. The three sparse matrices get connections in proportion to n_in + n_out. Ignored with `er_epsilon`.
    er_epsilon : float, optional
        :math:`\varepsilon` of the Erdős–Rényi graphs: each sparse matrix gets :math:`\varepsilon (n_{in} + n_{out})`
        connections.
    every_word : bool, default False
        Whether each word begins with a connection at least in a sparse embedding, and unless `frequency_exponent` says
        otherwise with as many as the others; if there are too few, the most frequent words have one each.
    frequency_exponent : float, default 0.0
        The connections that a word begins with are in proportion to its number of occurrences in the texts to learn
        from, to this power; 0: all alike.
    zeta : float in [0, 1], default 0.1
        Fraction of the connections that each SET step replaces.
    prune_rule : {"sign", "magnitude"}
        Which connections a SET step removes: see :func:`numpy_setlstm.topology.prune`.
    keep_gate_counts : bool, default False
        Whether each gate of W_x and W_h is pruned and regrown on its own, and so keeps its number of connections. By
        default all gates of a matrix are ranked together, and connections move from gate to gate: docs/variants.md.
    growth : {"zero", "random", "gradient"} or dict
        "zero", "random": new connections are in random cells, and start at 0 or are drawn like the initial ones.
        "gradient": they are where the gradient of the loss is largest, and start at 0. A dict has one rule for each of
        "E", "W_x" and "W_h"; "zero" for those that it lacks.
    candidates : int, optional
        How many random cells of W_x and W_h, per connection to grow, are compared for ``growth="gradient"``, and all
        cells of the words read in E: a SET step stays as sparse as the network. By default all cells of all matrices
        are, as in RigL, at the time and memory of a dense network.
    zeta_schedule : {"constant", "cosine"}
        Whether each SET step replaces the fraction `zeta`, or the first one does and later ones fewer and fewer. The
        cosine depends on `n_epochs`, which can then not be changed when training is resumed.
    evolve_every : int, optional
        Minibatches from one SET step to the next; by default an epoch.
    evolve_from, evolve_until : float, default 0.0 and None
        Epochs before which, and after which, there is no SET step; None: they go on to the end.
    vocabulary_size : int, optional
        V. For texts: the most frequent words, padding and unknown included, at most 20,000 by default. For word ids:
        ids range from 0 to V - 1; by default V is the largest id of the training data plus one.
    max_length : int, default 100
        Words of a text that are read. Arrays of word ids are read as they are.
    padding, truncating : {"pre", "post"}
        Where short texts are padded, and where long ones are cut: "pre" reads the last words. For texts only.
    tokenizer : callable, optional
        Splits each str into a list of str; by default :func:`numpy_setlstm.tokenize`. Lists of tokens are not split.
    word_vectors : str, Path or dict of str to array, optional
        Pretrained vectors of `embedding_dim` entries, or the file that has them: see
        :func:`numpy_setlstm.word_vectors.load_word_vectors`. A sparse embedding keeps the largest entries of each word.
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
        Of the word vectors, and of the hidden state that the readout reads.
    averaging : float in [0, 1) or "snt-asgd", default 0.0
        After each minibatch, average ← averaging · average + (1 − averaging) · weights, corrected for its beginning;
        the averaged weights are those that are validated, kept and used. 0: the weights themselves. Training goes on
        from the weights, and is the same with any averaging. :eq:`average` in docs/derivations/adam.md. "snt-asgd": the
        plain mean of all weights since the validation loss has stopped falling, and of each connection since it exists.
    averaging_interval : int, default 5
        For "snt-asgd": the mean begins after the first epoch whose validation loss is above the lowest one of this many
        epochs or more before it.
    max_norm : float, default 1.0
        Gradients are clipped to this joint norm.
    validation_fraction : float in [0, 1), default 0.1
        Share of the training texts that is held out to choose the best epoch; which ones depends on the texts only, not
        on the seed. 0: the last epoch is used.
    patience : int, optional
        Stop after this many epochs without a better one on the validation texts.
    class_weight : dict or "balanced", optional
        How much the texts of each label count, in the loss and in the accuracies of `history_`, which choose the best
        epoch; labels that a dict lacks have 1. "balanced" gives each class the same weight in all.
    warm_start : bool, default False
        Whether `fit` starts from the weights of the last fit, with its vocabulary and classes, and all else anew.
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
    n_jobs : int, optional
        Processes that share minibatches and predictions, this one included: None is 1, -1 as many as there are cores,
        -2 one less. Changes the speed only: the bits are the same with any number. Small jobs stay in one process, as
        do those within other workers, such as those of joblib, and dense networks where BLAS has several threads.
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
        ``gate_counts`` and ``seconds``; per evolution ``set_steps`` (dict of str to SetStep), ``evolved_at`` (epochs
        finished before it, and minibatches of the next one), ``validation_loss_evolved`` (None within an epoch).
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
        self, connectivity="set", *, embedding_dim=256, hidden_size=256, bidirectional=False, pooling="last",
        parameter_share=0.039, er_epsilon=None, every_word=False, frequency_exponent=0.0, zeta=TrainingSettings.zeta,
        prune_rule="sign", keep_gate_counts=False, growth="zero", candidates=None, zeta_schedule="constant",
        evolve_every=None, evolve_from=0.0, evolve_until=None, vocabulary_size=None, max_length=100, padding="pre",
        truncating="pre", tokenizer=None, word_vectors=None, n_epochs=8, batch_size=64, optimizer="adam",
        learning_rate=None, embedding_learning_rate=None, embedding_scale=None, learning_rate_decay=0.0,
        embedding_dropout=0.5, dropout=0.5, averaging=0.0, averaging_interval=5, max_norm=1.0, validation_fraction=0.1,
        patience=None, class_weight=None, warm_start=False, without_known_words="warn", engine="fast", lstm=None,
        check=True, kernel="auto", n_jobs=None, dtype="float32", progress=False, random_state=None,
    ):  # fmt: skip
        arguments = locals()
        for name in self._parameter_names():  # as scikit-learn expects: stored as given, checked in fit
            setattr(self, name, arguments[name])

    def fit(self, X, y, sample_weight=None, *, resume=False, checkpoint_path=None):
        """Train.

        Parameters
        ----------
        X : list of str, list of list of str, or ndarray of shape (n_texts, T), int
            Texts, or texts as lists of tokens, or padded word ids with 0 for padding and 1 for unknown words.
        y : array_like of shape (n_texts,)
            Labels; at least two different ones.
        sample_weight : array_like of shape (n_texts,), optional
            How much each text counts, times its class's weight; only relations matter. A text of weight 0 is as if it
            were not there.
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
        WorkerError
            If a worker process is killed. What was learnt before that minibatch is kept.
        BlockingIOError
            If another training saves to `checkpoint_path`: one of the two models would be lost.
        """
        with contextlib.nullcontext() if checkpoint_path is None else locked(checkpoint_path):
            if resume:
                self._check_fitted()
            start = "resume" if resume else "warm" if self.warm_start and self.__sklearn_is_fitted__() else "anew"
            prepared = prepare(self, X, y, sample_weight, start=start, validation_fraction=self.validation_fraction)
            settings = training_settings(self)
            with shared(task_of(prepared), prepared.state.network, settings, self.n_jobs) as task:
                state = self._take_over(prepared)
                self._run_and_save(state, settings, task, checkpoint_path, "fit(X, y, resume=True)")
        return self

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one more epoch, on these texts alone; all are learnt from, and none chooses an epoch.

        A SET step comes before each call but the first. After `fit`, the first call starts from `network_`, with a new
        optimizer and history. Ctrl-C ends the epoch early, with a warning.

        Parameters
        ----------
        X, y
            As in :meth:`fit`. Words that are not in the texts of the first call remain unknown.
        classes : array_like of shape (C,), optional
            All labels that will ever come; only the first call needs it, and takes those in `y` by default.
        sample_weight : array_like of shape (n_texts,), optional
            As in :meth:`fit`.

        Returns
        -------
        SetLSTMClassifier
            Itself.

        Raises
        ------
        ValueError, TypeError, FloatingPointError
            As in :meth:`fit`; and if a parameter needs to know of all texts or epochs, such as
            ``class_weight="balanced"``.

        Examples
        --------
        >>> sizes = {"hidden_size": 16, "embedding_dim": 16, "parameter_share": 0.3}
        >>> clf = SetLSTMClassifier(**sizes, random_state=0)
        >>> for _ in range(8):
        ...     clf = clf.partial_fit(["what a lovely film", "a dull and awful film"] * 20, ["pos", "neg"] * 20)
        >>> clf.predict(["lovely film", "awful"])
        array(['pos', 'neg'], dtype='<U3')
        """
        is_first = not self.__sklearn_is_fitted__()
        check_partial_fit(self.get_params(), None if is_first else self.classes_, classes)
        start = "anew" if is_first else "more" if "partial" in self.training_state_.notes else "warm"
        prepared = prepare(self, X, y, sample_weight, start=start, classes=classes)
        prepared.state.notes["partial"] = True
        one_epoch = training_settings(self, n_epochs=1)
        with shared(task_of(prepared), prepared.state.network, one_epoch, self.n_jobs) as task:
            state = self._take_over(prepared)
            self._run(state, training_settings(self, n_epochs=state.epoch + 1), task)
        if state.interrupted and state.order is not None:
            end_early(state, training_settings(self), *prepared.training)
            warn(f"training was interrupted: this epoch has {len(prepared.training[0])} texts, of which some were read")
            self._publish(state)
        return self

    def _take_over(self, prepared):
        """Make what was prepared this model's own; return the state to train from."""
        self.classes_, self.vocabulary_, self._fingerprint, state, *_ = prepared
        return state

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
            If a text is empty or has no known word and ``without_known_words="error"``, weights are NaN or infinite, or
            `n_jobs` is invalid.
        """
        self._check_fitted()
        check_parameters({"n_jobs": self.n_jobs})
        tokens = read_texts(self, X)

        def show(batches):
            return tqdm(batches, desc="predicting", unit="batch", disable=None if self.progress else True)

        probabilities = predict_shared(self.network_, tokens, self.n_jobs, show)
        if not np.isfinite(probabilities).all():
            raise ValueError("the network has weights that are NaN or infinite: load a saved model, or fit anew")
        return probabilities

    def predict(self, X):
        """The most probable class of each text, ndarray of shape (n_texts,); see :meth:`predict_proba`."""
        most_probable = self.predict_proba(X).argmax(axis=1)
        return self.classes_[most_probable]

    def score(self, X, y, sample_weight=None):
        """Accuracy, in [0, 1], on texts X with the labels y, weighted with `sample_weight`; see :meth:`fit`."""
        predicted = self.predict(X)
        labels = check_y(y, len(predicted))
        weights = check_sample_weight(sample_weight, len(predicted))
        if (labels.dtype.kind == "U") != (self.classes_.dtype.kind == "U"):
            raise ValueError(f"the labels are {labels.dtype}, but the model has learnt {self.classes_.dtype} labels")
        return float(np.average(predicted == labels, weights=weights))

    def network_sizes(self, X, y):
        """NetworkSizes of the network that :meth:`fit` would train on these texts, to count parameters in advance.

        >>> sizes = SetLSTMClassifier(validation_fraction=0).network_sizes(["good film", "bad film"], [1, 0])
        >>> sizes.n_words, sizes.n_classes  # padding, unknown, and three words
        (5, 2)
        """
        return find_sizes(self, X, y)

    def with_network(self, network, **parameters):
        """A classifier for the same texts and labels whose training starts from given weights, and has not begun.

        ``fit(X, y, resume=True)``, on the same texts and labels, trains it for `n_epochs` epochs, with a new optimizer.
        The given weights are the best ones until an epoch is better on validation texts. `network`, for example a
        pruned copy of this one's, is not changed; `parameters` of the constructor replace this one's. Its sizes may be
        others, after :func:`numpy_setlstm.remove_units`: they become the classifier's `embedding_dim`, `hidden_size`
        and `bidirectional`. ValueError if it is for other words or classes.

        >>> texts, labels = ["a lovely film", "a dull film"] * 20, [1, 0] * 20
        >>> clf = SetLSTMClassifier("dense", hidden_size=8, embedding_dim=8, validation_fraction=0).fit(texts, labels)
        >>> tuned = clf.with_network(clf.network_, n_epochs=2).fit(texts, labels, resume=True)
        >>> len(tuned.history_["train_loss"])
        2
        """
        self._check_fitted()
        clf = type(self)(**self.get_params() | parameters | sizes_given_by(self, network, parameters))
        check_parameters(clf.get_params())
        state = restart(clf, network, self.training_state_.streams)
        clf.classes_, clf.vocabulary_, clf.training_state_ = self.classes_, self.vocabulary_, state
        clf._fingerprint, clf._trained_with = self._fingerprint, clf.get_params()
        clf._publish(state)
        return clf


def task_of(prepared):
    """What to train on, and what chooses the best epoch."""
    return Classification(*prepared.training, prepared.validation)
