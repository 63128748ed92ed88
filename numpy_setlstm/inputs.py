"""User input, checked: parameters, texts or word ids, labels. Every message says how to mend it."""

import hashlib
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from numpy_setlstm.averaging import SNT_ASGD
from numpy_setlstm.checks import choice, number, short, whole
from numpy_setlstm.datasets.splitting import split_by_text
from numpy_setlstm.evolution import GROWTHS, ZETA_SCHEDULES
from numpy_setlstm.layers.pooling import POOLINGS
from numpy_setlstm.network import ENGINES, KERNELS
from numpy_setlstm.optimizers import OPTIMIZERS
from numpy_setlstm.scikit_learn import as_in_scikit_learn
from numpy_setlstm.text import PADDING_ID, UNKNOWN_ID
from numpy_setlstm.topology import PRUNE_RULES
from numpy_setlstm.weighting import check_class_weight

CONNECTIVITIES = ("set", "static", "dense")
_CHOICES = {
    "connectivity": CONNECTIVITIES,
    "prune_rule": PRUNE_RULES,
    "zeta_schedule": ZETA_SCHEDULES,
    "padding": ("pre", "post"),
    "truncating": ("pre", "post"),
    "pooling": POOLINGS,
    "optimizer": tuple(OPTIMIZERS),
    "without_known_words": ("warn", "accept", "error"),
    "engine": ENGINES,
    "kernel": KERNELS,
    "dtype": ("float32", "float64"),
}
_WHOLE_NUMBERS = {
    "embedding_dim": 1,
    "hidden_size": 1,
    "max_length": 1,
    "n_epochs": 1,
    "batch_size": 1,
    "patience": 1,
    "averaging_interval": 1,
    "vocabulary_size": 3,  # padding, unknown, and a word
    "candidates": 1,
    "evolve_every": 1,
}
_OPTIONAL = (
    "candidates",
    "evolve_every",
    "evolve_until",
    "patience",
    "er_epsilon",
    "vocabulary_size",
    "tokenizer",
    "word_vectors",
    "n_jobs",
    "learning_rate",
    "embedding_learning_rate",
    "embedding_scale",
    "random_state",
)
_JOBS = "1 or more processes, or -1 for as many as there are cores"
_SWITCHES = ("bidirectional", "check", "every_word", "keep_gate_counts", "progress", "warm_start")
_RANGES = {  # lowest and highest, and whether each is allowed itself
    "zeta": "[0, 1]",
    "evolve_from": "[0, inf)",
    "frequency_exponent": "[0, 4]",
    "evolve_until": "[0, inf)",
    "parameter_share": "(0, 1]",
    "er_epsilon": "(0, inf)",
    "embedding_dropout": "[0, 1)",
    "dropout": "[0, 1)",
    "validation_fraction": "[0, 1)",
    "learning_rate": "[0, inf)",
    "embedding_learning_rate": "[0, inf)",
    "learning_rate_decay": "[0, inf)",
    "embedding_scale": "[0, inf)",
    "max_norm": "(0, inf]",
}
#: Parameters that are built into a network, which a warm start keeps.
_OF_THE_NETWORK = (
    "connectivity",
    "embedding_dim",
    "hidden_size",
    "bidirectional",
    "pooling",
    "parameter_share",
    "er_epsilon",
    "every_word",
    "frequency_exponent",
    "vocabulary_size",
    "tokenizer",
    "lstm",
    "dtype",
)


def check_parameters(parameters):
    """Check the parameters of a SetLSTMClassifier, given by name; those whose default is None may be None.

    >>> check_parameters({"zeta": 1.5})
    Traceback (most recent call last):
    ValueError: zeta is 1.5; expected a number in [0, 1]
    """
    for name, value in parameters.items():
        if isinstance(value, np.ndarray):
            raise ValueError(f"{name} is an array of shape {value.shape}; expected a single value: value.item()")
        if name in _CHOICES and value not in _CHOICES[name]:
            raise ValueError(f"{name} is {short(value)}; expected one of {', '.join(map(repr, _CHOICES[name]))}")
        if value is None and name in _OPTIONAL:
            continue
        if name == "word_vectors" and not isinstance(value, str | Path | Mapping):
            raise ValueError(f"word_vectors is {value!r:.60}; expected a file's path, or a dict of words to vectors")
        if name == "tokenizer" and not callable(value):
            raise ValueError(f"tokenizer is {short(value)}; expected a function from str to list of str, or None")
        if name in _WHOLE_NUMBERS:
            low = _WHOLE_NUMBERS[name]
            whole(low, np.inf, f"a whole number of at least {low}")(name, value)
        if name == "n_jobs" and whole(-np.inf, np.inf, _JOBS)(name, value) == 0:
            raise ValueError(f"n_jobs is 0; expected {_JOBS}")
        if name in _RANGES:
            number(_RANGES[name], f"a number in {_RANGES[name]}")(name, value)
        if name in _SWITCHES and not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name} is {short(value)}; expected True or False")
        if name == "class_weight":
            check_class_weight(value)
        if name == "growth":
            check_growth(value)
        if name == "averaging" and not (isinstance(value, str) and value == SNT_ASGD):
            number("[0, 1)", f"a number in [0, 1), or {SNT_ASGD!r}")(name, value)
        if name == "patience" or (name == "averaging" and value == SNT_ASGD):
            if parameters.get("validation_fraction") == 0:
                raise ValueError(f"{name} is {value}, and validation_fraction 0 leaves no texts to judge epochs by")
        if name == "random_state" and not isinstance(value, np.random.Generator):
            if not isinstance(value, int | np.integer) or value < 0:
                raise ValueError(
                    f"random_state is {short(value)}; expected a whole number of at least 0, or a Generator"
                )


def check_growth(growth):
    """Reject rules of growth that do not exist, for all matrices or by name."""
    rules = {"growth": growth}
    if isinstance(growth, Mapping):
        rules = {f"growth[{name!r}]": rule for name, rule in growth.items()}
        if not growth.keys() <= {"E", "W_x", "W_h"}:
            raise ValueError(f"growth has rules for {short(list(growth))}; expected E, W_x and W_h at most")
    for name, rule in rules.items():
        choice(GROWTHS)(name, rule)


def check_X(X, tokenizer=None):
    """Accept an iterable of str or of lists of str (tokens), as a list; or word ids, an (n_texts, T) integer array.

    A `tokenizer` that is not None makes a list of tokens of each str.

    >>> check_X("one text")
    Traceback (most recent call last):
    TypeError: X is a single text, 'one text'; expected a list of texts: [text]
    """
    if isinstance(X, str | bytes):
        raise TypeError(f"X is a single text, {X[:40]!r}; expected a list of texts: [text]")
    if hasattr(X, "columns") or hasattr(X, "tocsr"):
        kind = type(X).__name__
        hint = "one column of texts, such as df['text']" if hasattr(X, "columns") else "texts, or word ids: X.toarray()"
        raise TypeError(f"X is a {kind}; expected {hint}")
    if isinstance(X, set | frozenset | dict):
        raise TypeError(f"X is a {type(X).__name__}, which has no order to match labels to; expected a list of texts")
    if isinstance(X, np.ndarray) and X.dtype.kind not in "OUST":
        if X.dtype.kind not in "iu":
            raise TypeError(f"X has dtype {X.dtype}; expected integer word ids: X.astype(np.int32), or a list of str")
        if X.ndim != 2:
            raise ValueError(f"X has shape {X.shape}; expected (n_texts, T) word ids: see pad_sequences")
        if X.size == 0:
            raise ValueError(f"X has shape {X.shape}; expected at least one text and one word")
        if X.min() < 0:
            raise ValueError(f"X has the word id {X.min()}; expected 0 for padding, 1 for unknown, then the words")
        return X
    try:
        texts = list(X)
    except (TypeError, NotImplementedError):
        raise TypeError(f"X is {type(X).__name__}; expected a list of str, or an array of word ids") from None
    if not texts:
        raise ValueError("X is empty; expected at least one text")
    for k, text in enumerate(texts):
        if isinstance(text, str) or _is_tokens(text):
            continue
        hint = "; for lists of word ids use pad_sequences" if isinstance(text, list | tuple | np.ndarray) else ""
        raise TypeError(f"text {k} is {type(text).__name__} {str(text)[:40]!r}; expected str or a list of str{hint}")
    return texts if tokenizer is None else _tokenized(texts, tokenizer)


def _tokenized(texts, tokenizer):
    words = {}  # each word once in memory, not once per text
    token_lists = []
    for text in texts:
        tokens = tokenizer(text) if isinstance(text, str) else text
        if not _is_tokens(tokens):
            got = f"{type(tokens).__name__} {str(tokens)[:40]!r}"
            raise TypeError(f"the tokenizer made {got} of the text {text[:40]!r}; expected a list of str")
        token_lists.append([words.setdefault(token, token) for token in tokens])
    return token_lists


def _is_tokens(text):
    return isinstance(text, list | tuple) and all(isinstance(token, str) for token in text)


def check_y(y, n_texts):
    """Accept one label per text, whole numbers or str, as an ndarray of shape (n_texts,)."""
    if y is None:
        raise ValueError("training requires y to be passed, but the target y is None: give one label per text")
    if isinstance(y, set | frozenset | dict):
        raise TypeError(f"y is a {type(y).__name__}, which has no order to match texts to; expected a list of labels")
    if np.ma.is_masked(y):
        raise ValueError(f"{np.ma.count_masked(y)} labels are masked; leave those texts out")
    try:
        labels = np.asarray(y)
    except Exception:  # such as lists of different lengths, and what cannot be made an array
        raise ValueError("y has entries of different lengths; expected one number or str per text") from None
    if labels.dtype.kind in "UOT":
        labels = _check_text_labels(labels, np.asarray(y, object))
    if labels.ndim == 2 and labels.shape[1] == 1:
        message = f"A column-vector y was passed when a 1d array was expected: {labels.shape} is read as y.ravel()"
        warn(message, as_in_scikit_learn("DataConversionWarning", UserWarning))
        labels = labels.ravel()
    if labels.ndim != 1 or labels.dtype.kind not in "biufU":
        got = f"y has shape {labels.shape} and dtype {labels.dtype}"
        raise ValueError(f"Unknown label type: {got}; expected one number or str per text")
    if len(labels) != n_texts:
        raise ValueError(f"there are {n_texts} texts and {len(labels)} labels; expected as many labels as texts")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        raise ValueError("y has labels that are NaN or infinite; leave those texts out")
    fractions = labels[labels != np.floor(labels)] if labels.dtype.kind == "f" else labels[:0]
    if len(fractions):
        raise ValueError(f"y has the label {fractions[0]}; which is continuous; expected classes: whole numbers or str")
    return labels


def _check_text_labels(labels, given):
    """Labels as an array of str, if all of the `given` objects are; NumPy must have dropped nothing of them."""
    if all(isinstance(label, str) for label in given.ravel()):
        if any(label.endswith("\0") for label in given.ravel()):
            raise ValueError(r"a label ends with the character '\0', which NumPy drops: rename it")
        return given.astype(str)
    if labels.dtype.kind != "O":
        raise ValueError("y mixes text with something else, such as NaN; expected labels of one kind")
    return labels


def check_classes(labels):
    """The different labels, sorted, ndarray of shape (C,), of which there have to be two."""
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(
            f"all {len(labels)} labels are {classes[0].item()!r}, one class; expected at least two classes"
        )
    return classes


def check_known_labels(labels, classes):
    """The `classes` (C,), sorted, ndarray, if all labels are among them."""
    classes = check_classes(check_y(classes, len(classes)))
    unknown = labels[~np.isin(labels, classes)]
    if (labels.dtype.kind == "U") != (classes.dtype.kind == "U") or unknown.size:
        first = (unknown if unknown.size else labels)[0].item()
        raise ValueError(f"there is the label {first!r}; expected one of the classes {str(classes.tolist()):.200}")
    return classes


def check_known_words(sequences, texts_or_ids, action, may_be_unknown=()):
    """Find texts that are empty or have no known word; those at the positions `may_be_unknown` only if empty.

    `sequences` are the word ids of each text before any are cut off; `texts_or_ids` are for the message. The `action`
    is "warn", "accept" or "error".
    """
    if action == "accept":
        return
    lowest = np.full(len(sequences), UNKNOWN_ID + 1)
    lowest[list(may_be_unknown)] = UNKNOWN_ID
    unreadable = np.flatnonzero(
        [max(words, default=PADDING_ID) < low for words, low in zip(sequences, lowest, strict=True)]
    )
    if unreadable.size:
        k = unreadable[0]
        text = texts_or_ids[k]
        content = str(text[:8].tolist()) if isinstance(text, np.ndarray) else repr(text[:40])
        reason = "is empty" if all(word == PADDING_ID for word in sequences[k]) else "has no known word"
        which = f"text {k}, {content}, {reason} ({unreadable.size} of {len(sequences)} texts are like this)"
        if action == "error":
            raise ValueError(f"{which}: leave them out, or set without_known_words='warn' or 'accept'")
        warn(f"{which}; the network classifies them without having read a word")


def warn(message, category=UserWarning):
    """Warn of what the caller outside this package does, wherever in the package it is noticed."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("numpy_setlstm."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def check_resumable(parameters, trained_with, changeable):
    """Reject parameters that differ from those that training began with, apart from the `changeable` ones."""
    for name, value in parameters.items():
        if name not in changeable and value != trained_with[name]:
            raise ValueError(
                f"{name} was {trained_with[name]!r} when training began and is {value!r} now; resume can change "
                f"{', '.join(changeable)} only: set {name} back, or fit anew"
            )
    n_epochs, before = parameters["n_epochs"], trained_with["n_epochs"]
    has_cosine = parameters["zeta_schedule"] == "cosine" and parameters["connectivity"] == "set"
    if has_cosine and n_epochs != before:
        raise ValueError(
            f"n_epochs was {before} when training began and is {n_epochs} now; with zeta_schedule='cosine' it decides "
            "how much each SET step replaces: set n_epochs back, or fit anew"
        )


def check_warm_start(parameters, trained_with):
    """Reject parameters that a network cannot have after it was trained with others."""
    for name in _OF_THE_NETWORK:
        if parameters[name] != trained_with[name]:
            raise ValueError(
                f"{name} was {trained_with[name]!r} when training began and is {parameters[name]!r} now; a warm start "
                "keeps the network: set it back, or fit anew"
            )


def check_partial_fit(parameters, known, classes):
    """Reject parameters that need all texts or epochs in advance, and other classes than the `known` ones, if any."""
    for name, value, needs in (
        ("class_weight", "balanced", "how many texts of each class there will be"),
        ("zeta_schedule", "cosine", "the last epoch"),
        ("averaging", SNT_ASGD, "the loss on validation texts"),
    ):
        if isinstance(parameters[name], str) and parameters[name] == value:
            raise ValueError(f"{name} is {value!r}, which needs to know {needs}; partial_fit does not: choose another")
    if known is not None and classes is not None and not np.array_equal(check_classes(np.asarray(classes)), known):
        raise ValueError(f"classes are {classes}, and were {known.tolist()} in the first call; leave them out")


def check_tokenizer(own, tokenizer):
    """Check that a model that has a tokenizer of its own, by the name `own`, is given one, and no other model is."""
    if (own is None) != (tokenizer is None):
        trained_with = "the package's tokenizer" if own is None else f"the tokenizer {own}"
        raise ValueError(f"it was made with {trained_with}: load it {'without' if own is None else 'with'} tokenizer=")


def take(texts_or_ids, chosen):
    """Some of the texts, or rows of ids, by their positions `chosen` of shape (k,), int."""
    return texts_or_ids[chosen] if isinstance(texts_or_ids, np.ndarray) else [texts_or_ids[k] for k in chosen]


def read(texts_or_ids, vocabulary):
    """Word ids of each text, of any length: a list of lists of int; an array of ids as it is."""
    if isinstance(texts_or_ids, np.ndarray):
        if vocabulary is not None:
            kind = texts_or_ids.dtype
            raise TypeError(f"the model was trained on texts; got an array of {kind}: give a list of str")
        return texts_or_ids
    if vocabulary is None:
        raise TypeError("the model was trained on word ids; got texts: give an integer array of shape (n_texts, T)")
    return [vocabulary.encode(text) for text in texts_or_ids]


def split(texts_or_ids, labels, validation_fraction):
    """Positions of the texts to learn from, and of those that choose the best epoch; depends on the texts only."""
    if validation_fraction == 0:
        return np.arange(len(labels)), np.arange(0)
    rng = np.random.default_rng(0)  # not the user's: networks with different seeds share the split
    training, validation = split_by_text(texts_or_ids, labels, validation_fraction, rng)
    if np.setdiff1d(labels, labels[training]).size or not validation.size:
        raise ValueError(
            f"{len(labels)} texts are too few to hold out {validation_fraction} for validation, with all copies of a "
            "text on one side: give more different texts, or validation_fraction=0"
        )
    return training, validation


def fingerprint(texts_or_ids, labels, weights=None):
    """A digest of training data, str of 64 hexadecimal digits; equal data have equal digests."""
    digest = hashlib.sha256(repr(labels.tolist()).encode() + (b"" if weights is None else weights.tobytes()))
    if isinstance(texts_or_ids, np.ndarray):
        digest.update(repr(texts_or_ids.shape).encode() + texts_or_ids.astype(np.int64).tobytes())
    else:
        for text in texts_or_ids:
            text = text if isinstance(text, str) else repr(list(text))
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()
