"""How much each text counts: class weights and sample weights, checked and multiplied."""

from collections.abc import Mapping

import numpy as np

from numpy_setlstm.checks import number

LEAST = 1e-30  # the smallest weight as a share of the largest: less would be 0 in single precision


def check_class_weight(class_weight):
    """Accept None, "balanced", or a dict of labels to numbers above 0.

    >>> check_class_weight({"pos": 0})
    Traceback (most recent call last):
    ValueError: class_weight of 'pos' is 0; expected a number above 0: to leave a class out, leave out its texts
    """
    if class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced"):
        return
    if not isinstance(class_weight, Mapping):
        raise ValueError(f"class_weight is {class_weight!r}; expected None, 'balanced' or a dict of labels to weights")
    above_0 = number("(0, inf)", "a number above 0: to leave a class out, leave out its texts")
    for label, weight in class_weight.items():
        above_0(f"class_weight of {label!r}", weight)


def as_pairs(class_weight):
    """A dict as a list of pairs, which JSON can hold whatever the labels are; others as they are."""
    return (
        [[label, weight] for label, weight in class_weight.items()]
        if isinstance(class_weight, Mapping)
        else class_weight
    )


def from_pairs(pairs):
    """Undo :func:`as_pairs`; ValueError if pairs are none."""
    if not isinstance(pairs, list):
        return pairs
    is_label = (str, int, float, bool)
    if not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], is_label) for pair in pairs):
        raise ValueError(f"class_weight is {str(pairs):.60}; expected pairs of a label and a weight")
    return dict(pairs)


def check_sample_weight(sample_weight, n_texts):
    """Accept one finite number of at least 0 per text, not all 0, as float64 (n_texts,); None stays None."""
    if sample_weight is None:
        return None
    try:
        weights = np.asarray(sample_weight, np.float64)
    except (TypeError, ValueError):
        raise ValueError("sample_weight has entries that are no numbers; expected one number per text") from None
    if weights.ndim == 0:
        weights = np.full(n_texts, weights)
    if weights.shape != (n_texts,):
        raise ValueError(f"sample_weight has shape {weights.shape}; expected ({n_texts},), one number per text")
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if bad.size:
        raise ValueError(f"sample_weight of text {bad[0]} is {weights[bad[0]]}; expected a finite number of at least 0")
    if not weights.any():
        raise ValueError("sample_weight is 0 for every text; expected at least two texts, of two classes, above 0")
    return weights


def text_weights(class_weight, sample_weight, classes, targets):
    """The weight of each text (n_texts,), float64, of which the largest is 1; None if all are equal.

    `targets` (n_texts,) index `classes`. "balanced" gives each class the same weight in all: as in scikit-learn, a text
    has :math:`n / (C n_k)` with n texts, C classes and n_k texts of its class, here weighted with `sample_weight`.
    Source: G. King and L. Zeng (2001), "Logistic Regression in Rare Events Data".
    """
    weights = np.ones(len(targets)) if sample_weight is None else sample_weight
    if isinstance(class_weight, str):
        of_classes = np.bincount(targets, weights, minlength=len(classes))
        weights = weights / np.maximum(of_classes, np.finfo(float).tiny)[targets]
    elif class_weight is not None:
        labels = classes.tolist()
        unknown = [label for label in class_weight if label not in labels]
        if unknown:
            raise ValueError(f"class_weight has the label {unknown[0]!r}; expected some of {str(labels):.200}")
        weights = weights * np.array([class_weight.get(label, 1.0) for label in labels])[targets]
    weights = weights / weights.max()  # so that no sum can overflow
    if weights.min() < LEAST:
        raise ValueError(f"one text weighs {weights.min():.1e} times as much as another; expected at least {LEAST}")
    return None if (weights == weights[0]).all() else weights
