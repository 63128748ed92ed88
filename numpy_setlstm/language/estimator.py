"""The language model as an estimator: text in, text out."""

import contextlib

import numpy as np

from numpy_setlstm.checks import generator, number, short, whole
from numpy_setlstm.files import locked
from numpy_setlstm.language.preparation import prepare
from numpy_setlstm.language.sampling import draw_ids, log_probabilities
from numpy_setlstm.language.saving import is_bordered, load, save
from numpy_setlstm.language.text import BORDER_ID, check_known, check_text, encode, join_units, split_units
from numpy_setlstm.recipe import training_settings
from numpy_setlstm.trainable import Trainable
from numpy_setlstm.training import TrainingSettings

__all__ = ["SetLSTMLanguageModel"]


class SetLSTMLanguageModel(Trainable):
    r"""Learn which character or word comes next, with a sparse LSTM that chooses its connections while it learns.

    Parameters
    ----------
    connectivity : {"set", "static", "dense"}
        "set": sparse, evolved by SET. "static": the same random connections, never changed. "dense": fully connected.
    unit : {"character", "word"}
        What is predicted: characters as they are, or words as :func:`numpy_setlstm.tokenize` makes them.
    embedding_dim, hidden_size : int, default 64 and 256
        D and H.
    n_layers : int, 1 or 2
        LSTMs on one another.
    tied : bool, default False
        Whether the embedding is the readout as well; this needs `embedding_dim` = `hidden_size`.
    sparse : tuple of {"E", "W_x", "W_h", "W_out"}
        Which matrices are sparse: embedding, LSTM (of both layers), readout. All others are dense.
    density : float in (0, 1], default 0.05
        The share of its cells that are connections, in each sparse matrix.
    zeta, prune_rule, keep_gate_counts, growth, candidates, zeta_schedule, evolve_every, evolve_from, evolve_until
        As in :class:`~numpy_setlstm.SetLSTMClassifier`. ``growth="gradient"`` looks at the next 8 minibatches.
    vocabulary_size : int, optional
        V, all special ones included; by default all characters, or the 20,000 most frequent words.
    n_epochs : int, default 8
        Passes through the text.
    batch_size, n_steps : int, default 32 and 50
        N and T: the text is cut into N parallel streams, of which each minibatch reads the next T steps. Gradients flow
        back through these steps; the state goes on.
    optimizer : {"adam", "sgd"}
    learning_rate : float, default 0.003
        Of all parameters; by the schedule it is multiplied by numbers from 1 down.
    learning_rate_schedule : {"constant", "cosine"}
        Whether the learning rate stays, or falls to 0 at the end of training, as half a cosine: with the number of all
        minibatches, so that `n_epochs` can then not be changed when training is resumed.
    learning_rate_decay : float, default 0.0
        In epoch k, counted from 0, the learning rate is divided by 1 + decay · k.
    embedding_scale : float, optional
        Standard deviation of the initial vectors' entries; by default 1, or :math:`1 / \sqrt{H}` if tied.
    embedding_dropout, dropout : float in [0, 1), default 0.0
        Of the vectors that are read, and of the states that the second layer and the readout read.
    averaging, averaging_interval, max_norm
        As in :class:`~numpy_setlstm.SetLSTMClassifier`.
    validation_fraction : float in [0, 1), default 0.1
        Share that is held out to choose the best epoch: the end of one text, some of several. 0: the last epoch.
    patience, engine, kernel, dtype, progress, random_state
        As in :class:`~numpy_setlstm.SetLSTMClassifier`.

    Attributes
    ----------
    network_ : LanguageNetwork
        That of the best epoch, the one with the lowest validation loss.
    history_ : dict of str to list
        As in :class:`~numpy_setlstm.SetLSTMClassifier`; losses are in nats per unit, accuracies the share of units that
        were the most probable ones.
    best_epoch_ : int
    vocabulary_ : Vocabulary
    classes_ : ndarray of shape (C,) or None
        The labels, sorted, if there were any.
    n_parameters_, n_dense_parameters_ : int
        Of this network, and of its dense counterpart.
    training_state_ : TrainingState
        What is needed to continue training.

    Notes
    -----
    The equations are derived in docs/language.md. Source: T. Mikolov et al. (2010), "Recurrent neural network based
    language model"; A. Graves (2013), arXiv:1308.0850, for characters.

    Examples
    --------
    >>> model = SetLSTMLanguageModel(embedding_dim=8, hidden_size=16, density=0.5, batch_size=4, n_steps=10,
    ...                              learning_rate=0.03, n_epochs=20, validation_fraction=0, random_state=0)
    >>> model.fit("tick tock, " * 40).sample("tick", 18, temperature=0.1, rng=np.random.default_rng(0))
    'tick tock, tick tock, '
    """

    how_to_fit = "fit(text)"

    def __init__(
        self, connectivity="set", *, unit="character", embedding_dim=64, hidden_size=256, n_layers=1, tied=False,
        sparse=("W_x", "W_h"), density=0.05, zeta=TrainingSettings.zeta, prune_rule="sign", keep_gate_counts=False,
        growth="zero", candidates=None, zeta_schedule="constant", evolve_every=None, evolve_from=0.0, evolve_until=None,
        vocabulary_size=None, n_epochs=8, batch_size=32, n_steps=50, optimizer="adam", learning_rate=0.003,
        learning_rate_schedule="constant", learning_rate_decay=0.0, embedding_scale=None, embedding_dropout=0.0,
        dropout=0.0, averaging=0.0, averaging_interval=5, max_norm=1.0, validation_fraction=0.1, patience=None,
        engine="fast", kernel="auto", dtype="float32", progress=False, random_state=None,
    ):  # fmt: skip
        arguments = locals()
        for name in self._parameter_names():  # as scikit-learn expects: stored as given, checked in fit
            setattr(self, name, arguments[name])

    def fit(
        self, text, labels=None, *, resume=False, checkpoint_path=None, before_training=None, after_epoch=None
    ):  # fmt: skip
        """Train.

        Parameters
        ----------
        text : str or list of str
            One text, read from its beginning to its end; or several, in another order in each epoch. The model learns
            where a text of a list ends.
        labels : array_like of shape (n_texts,), optional
            A label for each of several texts, which becomes part of every input: the model then writes for a label.
        resume : bool, default False
            Continue training that was interrupted, or for more epochs, on the same text, as if in one go.
        checkpoint_path : str or Path, optional
            Save the model there after every epoch and when interrupted. The file is locked meanwhile.
        before_training : callable, optional
            Called with the model once all is checked; it can write already, though not well.
        after_epoch : callable, optional
            Called with the model after each epoch, once it is saved, as to let it write something.

        Returns
        -------
        SetLSTMLanguageModel
            Itself. Ctrl-C ends training early, with a warning, and leaves a fitted model.

        Raises
        ------
        ValueError, TypeError
            If a parameter or a text is invalid, or the text is too short; the message says how to mend it.
        FloatingPointError
            If training diverges. The best epoch before that is kept.
        BlockingIOError
            If another training saves to `checkpoint_path`: one of the two models would be lost.
        """
        with contextlib.nullcontext() if checkpoint_path is None else locked(checkpoint_path):
            if resume:
                self._check_fitted()
            prepared = prepare(self, text, labels, resume=resume)
            self.classes_, self.vocabulary_, self._fingerprint, state, task = prepared
            if before_training is not None:
                self.training_state_, self._trained_with = state, self.get_params()
                self._publish(state)
                before_training(self)
            how = {"again": "fit(text, resume=True)", "checkpoint_path": checkpoint_path, "after_epoch": after_epoch}
            self._run_and_save(state, training_settings(self), task, **how)
        return self

    def log_prob(self, text, label=None):
        """Logarithm of the probability of each character or word, given those before it, in nats.

        Parameters
        ----------
        text : str or list of str
            At least two units, or one for a model of several texts. Each text of a list is read by itself.
        label : optional
            One of `classes_`, if the model was trained with labels; for a list, one for each text, or one for all.

        Returns
        -------
        ndarray of shape (n - 1,) or (n + 1,), or a list of them
            For each of the n units but the first, which nothing precedes. A model of several texts has a number for the
            first one too, and one for the end of the text.

        Raises
        ------
        NotFittedError
            If the model was not fitted.
        ValueError, TypeError
            If the text is empty or too short, or the label missing or unknown. An unknown unit counts as "<unk>".
        """
        self._check_fitted()
        texts, is_list = check_text(text)
        label_ids, bordered = self._label_ids(label, len(texts), is_list), is_bordered(self.vocabulary_)
        all_ids = [encode(split_units(one, self.unit), self.vocabulary_) for one in texts]
        for k, ids in enumerate(all_ids):
            if len(ids) + bordered < 2:
                which, n = k if is_list else repr(text[:40]), len(ids)
                units = f"{n} {self.unit}{'s' * (n != 1)}"
                raise ValueError(f"text {which} has {units}; expected at least {2 - bordered}")
        pairs = zip(all_ids, label_ids, strict=True)
        found = [log_probabilities(self.network_, ids, label, bordered=bordered) for ids, label in pairs]
        return found if is_list else found.pop()

    def perplexity(self, text, label=None):
        """The number of equally likely units among which the model is as uncertain: e to the mean loss of `text`.

        Of several texts, the mean is over all their units, so that long texts count more. See :meth:`log_prob`.
        """
        return float(np.exp(-self.score(text, label)))

    def bits_per_character(self, text, label=None):
        """How many bits of each character of `text` the model could not foresee, on average; for characters only.

        Of several texts, the mean is over all their characters. See :meth:`log_prob`.
        """
        self._check_fitted()
        if self.unit != "character":
            raise ValueError("unit is 'word', and words leave out characters: use perplexity(text)")
        return float(-self.score(text, label) / np.log(2))

    def score(self, text, label=None):
        """The mean of :meth:`log_prob` over all units: minus the loss, in nats; higher is better."""
        found = self.log_prob(text, label)
        return float(np.concatenate(found if isinstance(found, list) else [found]).mean(dtype=np.float64))

    def sample(self, prompt="", length=200, temperature=1.0, rng=None, label=None):
        """Write.

        Parameters
        ----------
        prompt : str, default ""
            What the text begins with. Without it, a model of one text begins as after its most frequent unit.
        length : int, default 200
            How many units to write at most; the end of a text comes earlier if the model of several texts says so.
        temperature : float, default 1.0
            Above 0: logits are divided by it. Low: the most probable; 1: as learnt; high: anything.
        rng : numpy.random.Generator, optional
            Draws; by default one that gives the same text each time.
        label : optional
            One of `classes_`, if the model was trained with labels.

        Returns
        -------
        str
            The prompt, and what was written.

        Raises
        ------
        NotFittedError
            If the model was not fitted.
        ValueError, TypeError
            If the prompt has a unit that the model does not know, or another argument is out of its range.
        """
        self._check_fitted()
        if not isinstance(prompt, str):
            raise TypeError(f"prompt is {short(prompt)}, of type {type(prompt).__name__}; expected str")
        length = whole(1)("length", length)
        temperature = number("(0, inf)", "a number above 0, such as 0.8")("temperature", temperature)
        rng = np.random.default_rng(0) if rng is None else generator("rng", rng)
        units, bordered = split_units(prompt, self.unit), is_bordered(self.vocabulary_)
        ids = encode(units, self.vocabulary_)
        check_known(units, ids, self.unit, self.vocabulary_)
        before = [BORDER_ID, *ids] if bordered or not len(ids) else ids  # without borders, the most frequent unit
        label_id = self._label_id(label)
        drawn = draw_ids(self.network_, before, length, temperature, rng, label_id, bordered=bordered)
        written = self.vocabulary_.decode(drawn)
        return join_units([prompt, *written] if prompt else written, self.unit)

    def save(self, path):
        """Write the model, and all that is needed to continue training, to one ``.npz`` file, which is replaced whole.

        See :meth:`SetLSTMClassifier.save`.
        """
        self._check_fitted()
        save(self, path)

    @classmethod
    def load(cls, path, max_bytes=None):
        """Read a model that :meth:`save` wrote; ``fit(text, resume=True)`` continues exactly.

        FileNotFoundError if there is no such file; CheckpointError if it is cut short, altered, larger than
        `max_bytes`, of a newer format, or a classifier.
        """
        return load(cls, path, max_bytes)

    def _label_id(self, label):
        """The number of a label, or None for a model without labels."""
        if self.classes_ is None:
            if label is not None:
                raise ValueError(f"label is {short(label)}, but the model was trained without labels: leave it out")
            return None
        known = self.classes_.tolist()
        if not np.isscalar(label) or label not in known:
            given = "missing" if label is None else short(label)
            raise ValueError(f"label is {given}; expected one of {str(known):.200}")
        return known.index(label)

    def _label_ids(self, labels, n_texts, is_list):
        """The numbers of the labels of some texts, given one for all, or for a list one for each."""
        one_for_all = not is_list or labels is None or np.isscalar(labels)
        labels = [labels] * n_texts if one_for_all else list(labels)
        if len(labels) != n_texts:
            raise ValueError(f"there are {len(labels)} labels for {n_texts} texts; expected as many, or one for all")
        return [self._label_id(label) for label in labels]
