"""The rivals of SET: the networks that one with evolving connections is compared with.

A dense network, a static sparse one, and the variants of SET are parameters of
:class:`~numpy_setlstm.estimator.SetLSTMClassifier`. Three rivals need more than that: a *smaller* dense network, with
as many parameters as the sparse one; the dense network *pruned* after training to as many connections; and the evolved
network without its weakest *units*. :func:`fit_rival` trains each of them by name.
"""

import warnings
from dataclasses import dataclass, field
from math import isqrt
from pathlib import Path

import numpy as np

from numpy_setlstm.cells import smallest
from numpy_setlstm.checks import whole
from numpy_setlstm.estimator import SetLSTMClassifier
from numpy_setlstm.initialization import NetworkSizes
from numpy_setlstm.inputs import check_parameters, check_X
from numpy_setlstm.recipe import SPARSE_RECIPE, recipe_of
from numpy_setlstm.sparse import SparseMatrix
from numpy_setlstm.topology import floor_share, reserved_rows_of
from numpy_setlstm.units import SHARE, remove_units

__all__ = ["RIVALS", "fit_rival"]


@dataclass(frozen=True)
class Rival:
    """A name, a description in one line, and the parameters of SetLSTMClassifier that make the rival what it is.

    `defaults` may be replaced by other values.
    """

    name: str
    description: str
    parameters: dict = field(default_factory=dict)
    defaults: dict = field(default_factory=dict)


_SET = {"connectivity": "set", "prune_rule": "sign", "growth": "zero", "zeta_schedule": "constant"}

#: The rivals by name, each with a `description` in one line and the `parameters` of SetLSTMClassifier that it fixes.
RIVALS = {
    rival.name: rival
    for rival in (
        Rival("dense", "fully connected", {"connectivity": "dense"}),
        Rival("static", "sparse, random connections that never change", {"connectivity": "static"}),
        Rival(
            "static-words",
            "as static, but every word begins with a connection, as far as they suffice",
            {"connectivity": "static", "every_word": True},
        ),
        Rival(
            "static-frequent",
            "as static, but words have connections in proportion to their frequency to the power frequency_exponent",
            {"connectivity": "static"},
            {"frequency_exponent": 0.5},
        ),
        Rival("set", "sparse, evolved: pruned sign by sign, random cells regrown at 0, constant zeta", _SET),
        Rival("set-magnitude", "as set, but pruned by magnitude", _SET | {"prune_rule": "magnitude"}),
        Rival("set-gradient", "as set, but grown where the gradient is largest (RigL)", _SET | {"growth": "gradient"}),
        Rival("set-cosine", "as set, but zeta falls along a cosine", _SET | {"zeta_schedule": "cosine"}),
        Rival(
            "set-guided",
            "as set-cosine, but grown where the gradient is largest among candidates, sparse throughout",
            _SET | {"growth": "gradient", "candidates": 10, "zeta_schedule": "cosine"},
        ),
        Rival("dense-small", "fully connected, as many parameters as the sparse ones", {"connectivity": "dense"}),
        Rival(
            "dense-pruned",
            "trained fully connected, pruned by magnitude to the connections of the sparse ones, fine-tuned",
            {"connectivity": "dense"},
        ),
        Rival("set-units", "as set, then its weakest units are removed for good, and it is trained on", _SET),
    )
}

#: What can be set for the rivals that are trained in two stages, with another network in the second one.
STAGE_SETTINGS = {"dense-pruned": ("finetune_epochs",), "set-units": ("finetune_epochs", "removed_units")}
STAGE_CHECKS = {"finetune_epochs": whole(1, expected="a whole number of at least 1"), "removed_units": SHARE}
REMOVED_UNITS = 0.3  # by default


def small_dense_sizes(n_words, n_parameters, n_classes, *, embedding_share, n_directions=1):
    """The embedding_dim and hidden_size of the largest dense network with at most `n_parameters` parameters.

    The embedding gets a share of them as near as possible to `embedding_share`, which should be the sparse network's:
    the small network is then the sparse one scaled down.
    """
    if not 0 <= embedding_share <= 1:
        raise ValueError(f"embedding_share is {embedding_share}; expected a fraction from 0 to 1")
    # A column of the embedding costs V parameters, so D is chosen first; then the largest H with
    # V D + 4 H (D + H + 1) + (H + 1) C <= n_parameters, and a smaller D if there is no such H. Of a bidirectional
    # network, everything that has an H counts twice.
    embedding_dim = max(1, round(embedding_share * n_parameters / n_words))
    while embedding_dim:
        room = (n_parameters - n_words * embedding_dim - n_classes) // n_directions  # for 4 H² + per_unit H
        per_unit = 4 * (embedding_dim + 1) + n_classes
        hidden_size = (isqrt(per_unit**2 + 16 * room) - per_unit) // 8 if room > 0 else 0
        if hidden_size:
            return embedding_dim, hidden_size
        embedding_dim -= 1
    least = NetworkSizes(n_words, 1, 1, n_classes, n_directions == 2).dense_parameters
    raise ValueError(
        f"a dense network for {n_words} words and {n_classes} classes has at least {least} parameters, and only "
        f"{n_parameters} are allowed: raise parameter_share (or er_epsilon), or make the sparse network larger"
    )


def prune_to_counts(network, counts):
    """A network with only the largest weights of E, W_x and W_h, as many as `counts` has by name; the original stays.

    Of equal weights the last are kept, as in :func:`numpy_setlstm.topology.prune`; the padding row of E is left out.
    Source: S. Han et al. (2015), "Learning both Weights and Connections for Efficient Neural Networks".
    """
    pruned = network.copy()
    for name, count in counts.items():
        if name not in pruned.parameters:
            raise ValueError(f"counts has {name!r}; expected some of {', '.join(pruned.parameters)}")
        pruned.parameters[name] = _keep_largest(name, pruned.parameters[name], count)
    return pruned


def _keep_largest(name, W, count):
    n_cols = W.shape[1]
    if isinstance(W, SparseMatrix):
        keys, values = W.topology.keys, W.values
    else:
        first = reserved_rows_of(name) * n_cols
        keys, values = np.arange(first, W.size), W.ravel()[first:]
    if count == W.size:
        return W
    if not 0 <= count <= len(values):
        raise ValueError(f"counts[{name!r}] is {count}; expected a number from 0 to {len(values)}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has weights that are NaN or infinite: training has diverged, lower the learning rate")
    kept = np.delete(np.arange(len(values)), smallest(np.abs(values), len(values) - count))
    return SparseMatrix(W.shape, *np.divmod(keys[kept], n_cols), values[kept])


def fit_rival(
    name, texts, labels, *, checkpoint_path=None, resume=False, finetune_epochs=None, removed_units=None, **parameters
):
    """Train one of the rivals.

    Parameters
    ----------
    name : str
        One of :data:`RIVALS`.
    texts, labels
        As in :meth:`SetLSTMClassifier.fit <numpy_setlstm.estimator.SetLSTMClassifier.fit>`.
    checkpoint_path : str or Path, optional
        Where to save the model after every epoch and on interruption.
    resume : bool, default False
        Continue from `checkpoint_path` if a model is saved there; the result is bit for bit that of uninterrupted
        training.
    finetune_epochs : int, optional
        Epochs after pruning, for "dense-pruned" and "set-units" only; half of `n_epochs`, rounded up, by default.
    removed_units : float in [0, 1), optional
        Fraction of the hidden units, and of the dimensions of the embedding, that "set-units" loses; 0.3 by default.
    **parameters
        Parameters of :class:`~numpy_setlstm.estimator.SetLSTMClassifier`, except those that the rival fixes. For a
        dense rival they also describe the sparse network whose number of parameters or connections it gets.

    Returns
    -------
    SetLSTMClassifier
        Fitted. After Ctrl-C there is a warning, and ``training_state_.interrupted`` is True; "dense-pruned" and
        "set-units" may then still be the network before pruning.

    Raises
    ------
    ValueError
        If the name is unknown, a parameter is out of range or fixed for this rival, or the saved model is of another.
    FloatingPointError
        If training diverges.

    Notes
    -----
    *dense-small* has at most as many parameters as the sparse network, and the embedding's share of them is the same.

    *dense-pruned* is trained as "dense"; then each matrix keeps as many of the best epoch's largest weights as the
    sparse network has connections (S. Han et al. (2015)), and these are trained on with a fresh optimizer and the dense
    recipe's learning rates, except that the embedding has the sparse recipe's. The result has
    ``connectivity="static"``; `history_` is that of fine-tuning, and ``training_state_.notes["pretraining"]`` has the
    dense network's. If no epoch of fine-tuning improves on the pruned network, that is the result, and `best_epoch_` is
    -1; without validation the last epoch is the result.

    *set-units* is trained as "set"; then :func:`numpy_setlstm.remove_units` makes a smaller network of the best
    epoch's, which is trained on in the same way, SET steps included, with a fresh optimizer. History and best epoch are
    as for "dense-pruned"; `hidden_size` and `embedding_dim` are the smaller ones.

    Examples
    --------
    >>> texts, labels = ["what a lovely film", "a dull and awful film"] * 20, ["pos", "neg"] * 20
    >>> settings = {"embedding_dim": 16, "hidden_size": 16, "er_epsilon": 4, "learning_rate": 0.01, "random_state": 0}
    >>> clf = fit_rival("dense-pruned", texts, labels, n_epochs=20, validation_fraction=0, **settings)
    >>> len(clf.training_state_.notes["pretraining"]["history"]["train_loss"]), len(clf.history_["train_loss"])
    (20, 10)
    >>> clf.predict(texts[:2])
    array(['pos', 'neg'], dtype='<U3')
    """
    rival = _check_rival(name, parameters)
    if resume and checkpoint_path is None:
        raise ValueError("resume needs the checkpoint_path at which the interrupted training was saved")
    _check_stage_settings(name, finetune_epochs=finetune_epochs, removed_units=removed_units)
    texts = check_X(texts)
    saved = SetLSTMClassifier.load(checkpoint_path) if resume and Path(checkpoint_path).exists() else None
    if name == "dense-small":
        parameters = parameters | _small_dense_parameters(texts, labels, parameters)
    clf = SetLSTMClassifier(**rival.defaults | parameters | rival.parameters)
    if name not in STAGE_SETTINGS:
        return _continue(saved, clf, texts, labels, checkpoint_path)
    second, shrink = _prune_weights(clf) if name == "dense-pruned" else _prune_units(clf, removed_units)
    second["n_epochs"] = -(-clf.n_epochs // 2) if finetune_epochs is None else finetune_epochs
    return _fit_twice(saved, texts, labels, checkpoint_path, clf, second, shrink)


def pretraining_of(clf):
    """The first network's ``history``, ``best_epoch`` and ``dense_parameters``, if a version noted them, and the
    validation scores after pruning; None before it.
    """
    state = clf.training_state_
    if "pretraining" not in state.notes:
        return None
    scores = {f"validation_{key}": value for key, value in (state.first_weights or {}).items()}
    return state.notes["pretraining"] | scores


def _check_rival(name, parameters):
    if name not in RIVALS:
        raise ValueError(f"there is no rival {name!r}; expected one of {', '.join(RIVALS)}")
    rival = RIVALS[name]
    for parameter in parameters:
        if parameter in rival.parameters:
            raise ValueError(
                f"{parameter} is given, but {name!r} always has {parameter}={rival.parameters[parameter]!r}: leave it "
                "out, or choose another rival"
            )
    known = SetLSTMClassifier().get_params()
    for parameter in parameters:
        if parameter not in known:
            raise ValueError(
                f"{parameter!r} is not a parameter of SetLSTMClassifier; expected some of {', '.join(known)}"
            )
    check_parameters(known | parameters)
    return rival


def _check_stage_settings(name, **settings):
    for setting, value in settings.items():
        if value is None:
            continue
        if setting not in STAGE_SETTINGS.get(name, ()):
            rivals = " and ".join(repr(rival) for rival, names in STAGE_SETTINGS.items() if setting in names)
            raise ValueError(f"{setting} is given for {name!r}, which is not fine-tuned so; only {rivals} can have it")
        STAGE_CHECKS[setting](setting, value)


def _continue(saved, clf, texts, labels, checkpoint_path):
    """Fit `clf`, starting from the saved model if there is one."""
    if saved is not None:
        clf = saved.set_params(**clf.get_params())
    return clf.fit(texts, labels, resume=saved is not None, checkpoint_path=checkpoint_path)


def _sparse_counts(sizes, clf):
    """Connections per matrix of the sparse network that a classifier's parameters describe."""
    er_epsilon = sizes.er_epsilon_for(clf.parameter_share) if clf.er_epsilon is None else clf.er_epsilon
    return sizes.connection_counts(er_epsilon)


def _small_dense_parameters(texts, labels, parameters):
    clf = SetLSTMClassifier("static", **parameters)
    sizes = clf.network_sizes(texts, labels)
    sparse, dense = _sparse_counts(sizes, clf), sizes.connection_counts(None)
    n_parameters = sizes.dense_parameters - sum(dense.values()) + sum(sparse.values())  # biases and readout stay dense
    share = sparse["E"] / n_parameters
    n_directions = 1 + sizes.bidirectional
    small = small_dense_sizes(
        sizes.n_words, n_parameters, sizes.n_classes, embedding_share=share, n_directions=n_directions
    )
    return dict(zip(("embedding_dim", "hidden_size"), small, strict=True))


def _prune_weights(dense):
    """What "dense-pruned" is in its second stage: parameters, and the network that a fitted classifier's becomes."""
    # The weights are as large as the dense network's, so its rates apply; but the embedding is sparse now, and learns
    # better at a sparse embedding's rate unless the user has chosen one.
    rates = vars(recipe_of(dense))
    if dense.embedding_learning_rate is None:
        rates = rates | {"embedding_learning_rate": SPARSE_RECIPE.embedding_learning_rate}

    def shrink(clf):
        return prune_to_counts(clf.network_, _sparse_counts(NetworkSizes.of(clf.network_), clf))

    return {"connectivity": "static", **rates}, shrink


def _prune_units(evolved, removed_units):
    """The same for "set-units", without a fraction of the units."""
    share = REMOVED_UNITS if removed_units is None else float(removed_units)
    sizes = {name: getattr(evolved, name) for name in ("hidden_size", "embedding_dim")}
    sizes = {name: size - floor_share(share, size) for name, size in sizes.items()}
    return sizes, lambda clf: remove_units(clf.network_, hidden=share, embedding=share)[0]


def _fit_twice(saved, texts, labels, checkpoint_path, first, second, shrink):
    """Train the classifier `first`, and then, with the parameters `second`, what ``shrink`` makes of its network."""
    if saved is not None and pretraining_of(saved) is not None:
        n_epochs = len(pretraining_of(saved)["history"]["train_loss"])
        if n_epochs != first.n_epochs:
            raise ValueError(
                f"the network was trained for {n_epochs} epochs and has been pruned; n_epochs is {first.n_epochs} "
                "now: change it back, or start again"
            )
        return _continue(saved, SetLSTMClassifier(**first.get_params() | second), texts, labels, checkpoint_path)
    clf = _continue(saved, first, texts, labels, checkpoint_path)
    if clf.training_state_.interrupted:
        if clf.training_state_.epoch >= clf.n_epochs:  # otherwise fit has warned
            warnings.warn(
                "training was interrupted between the network's last epoch and pruning; the model is usable, and "
                "fit_rival(..., resume=True) continues",
                stacklevel=3,
            )
        return clf
    pruned = clf.with_network(shrink(clf), **second)
    history = {key: list(column) for key, column in clf.history_.items() if key != "set_steps"}
    notes = {"history": history, "best_epoch": clf.best_epoch_, "dense_parameters": clf.n_dense_parameters_}
    pruned.training_state_.notes["pretraining"] = notes
    return pruned.fit(texts, labels, resume=True, checkpoint_path=checkpoint_path)
