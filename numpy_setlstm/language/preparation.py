"""From what a user gives to what trains: texts and labels checked, read and split."""

from typing import NamedTuple

import numpy as np

from numpy_setlstm.inputs import check_classes, check_resumable, check_y, split
from numpy_setlstm.inputs import fingerprint as of_texts_and_labels
from numpy_setlstm.language.settings import (
    RESUME_WITH_OTHER,
    SPEED,
    check_language_parameters,
    engine_of,
    initial_state,
)
from numpy_setlstm.language.task import Prediction
from numpy_setlstm.language.text import build_vocabulary, check_text, count_units, encode, make_streams, split_units
from numpy_setlstm.recipe import writable
from numpy_setlstm.text import Vocabulary
from numpy_setlstm.training import TrainingState


class Prepared(NamedTuple):
    """What :func:`prepare` returns."""

    classes: np.ndarray | None  # (C,)
    vocabulary: Vocabulary
    fingerprint: str
    state: TrainingState
    task: Prediction


def prepare(model, text, labels=None, *, resume=False):
    """Check all inputs, and set up the state of training; nothing of the model changes."""
    check_language_parameters(model.get_params())
    texts, bordered = check_text(text)
    labels = None if labels is None else check_y(labels, len(texts))
    if labels is not None and not bordered:
        raise ValueError("there are labels, and the text is a single str; expected a list of texts, one for each label")
    digest = fingerprint(texts, labels)
    if resume:
        check_resumable(model.get_params(), model._trained_with, RESUME_WITH_OTHER)
        if model.learning_rate_schedule == "cosine" and model.n_epochs != model._trained_with["n_epochs"]:
            raise ValueError(
                f"n_epochs was {model._trained_with['n_epochs']} when training began and is {model.n_epochs} now; with "
                "learning_rate_schedule='cosine' it decides the learning rates: set n_epochs back, or fit anew"
            )
        if digest != model._fingerprint:
            raise ValueError("text or labels differ from those training began with; resume needs the same ones")
    classes = None if labels is None else check_classes(labels)
    targets = np.zeros(len(texts), int) if labels is None else np.searchsorted(classes, labels)
    learn, validate = split_texts(texts, model.unit, targets, model.validation_fraction, bordered=bordered)
    if resume:
        vocabulary = model.vocabulary_
    else:
        vocabulary = build_vocabulary(learn.units, model.unit, model.vocabulary_size, bordered=bordered)
    task = make_task(model, learn, validate, vocabulary, labels is not None, bordered=bordered)
    state = state_of(model, len(vocabulary), 0 if classes is None else len(classes), resume=resume)
    return Prepared(classes, vocabulary, digest, state, task)


class Part(NamedTuple):
    """Some of the texts: the units of each, and the positions of their labels (n,)."""

    units: list
    targets: np.ndarray


def split_texts(texts, unit, targets, validation_fraction, *, bordered):
    """The Part to learn from, and the one to validate on: of one text the end, of several some; or None."""
    units = [split_units(text, unit) for text in texts]
    if validation_fraction == 0:
        return Part(units, targets), None
    if bordered:
        parts = split(texts, targets, validation_fraction)
        return [Part([units[k] for k in part], targets[part]) for part in parts]
    n = len(units[0])
    first = max(1, round(n * (1 - validation_fraction)))
    if n > 1 and n - first < 2:  # of one alone, there is nothing to predict
        raise ValueError(
            f"the text has {n} {unit}s, too few to hold out {validation_fraction} for validation: give more text, or "
            "validation_fraction=0"
        )
    return Part([units[0][:first]], targets), Part([units[0][first:]], targets)


def make_task(model, learn, validate, vocabulary, has_labels, *, bordered):
    """The Prediction of a model on the Part to learn from, judged by the one to validate on."""
    texts, N, T = [encode(units, vocabulary) for units in learn.units], model.batch_size, model.n_steps
    n_units = count_units(texts, bordered=bordered)
    if n_units - 1 < N * T:
        raise ValueError(
            f"the text to learn from has {n_units} {model.unit}s; a minibatch of batch_size={N} streams of n_steps={T} "
            f"needs {N * T + 1}: give more text, or lower batch_size or n_steps"
        )
    held_out = None
    if validate is not None:
        ids = [encode(units, vocabulary) for units in validate.units]
        n_streams = min(N, max(1, (count_units(ids, bordered=bordered) - 1) // T))
        labels = validate.targets if has_labels else None
        held_out = make_streams(ids, n_streams, labels=labels, bordered=bordered)
    options = {"bordered": bordered, "rate_schedule": model.learning_rate_schedule}
    return Prediction(texts, T, learn.targets if has_labels else None, held_out, **options)


def state_of(model, n_words, n_labels, *, resume):
    """The state to train from: a new one, or that which training has reached."""
    if not resume:
        return initial_state(model, n_words, n_labels)
    state = writable(model.training_state_)
    if any(getattr(model, name) != model._trained_with[name] for name in SPEED):
        state.use_engine(engine_of(model))
    return state


def fingerprint(texts, labels):
    """A digest of training data, str of 64 hexadecimal digits; equal data have equal digests."""
    return of_texts_and_labels(texts, np.arange(0) if labels is None else labels)
