"""The rivals of SET: what a network that evolves its connections has to be measured against.

A dense network, a sparse one that never changes, and SET in its variants are parameters of
:class:`~numpy_setlstm.estimator.SetLSTMClassifier`. Two rivals need more than that, and are left out most often: a
dense network that is simply *smaller*, with as many parameters as the sparse one; and the dense network *pruned* after
training to as many connections. :func:`fit_rival` trains any of them by its name.
"""

import warnings
from dataclasses import dataclass, field
from math import isqrt
from pathlib import Path

import numpy as np

from numpy_setlstm.estimator import SPARSE_RECIPE, SetLSTMClassifier
from numpy_setlstm.inputs import check_parameters, check_X
from numpy_setlstm.network import NetworkSizes, reserved_rows_of
from numpy_setlstm.sparse import SparseMatrix
from numpy_setlstm.topology import smallest


@dataclass(frozen=True)
class Rival:
    """One way to train a network.

    Attributes
    ----------
    name : str
    description : str
        In one line, for a table.
    parameters : dict of str to value
        Of SetLSTMClassifier: how it differs from the others. These cannot be chosen for it.

    Examples
    --------
    >>> RIVALS["static"].parameters["connectivity"]
    'static'
    """

    name: str
    description: str
    parameters: dict = field(default_factory=dict)


_SET = {"connectivity": "set", "prune_rule": "sign", "growth": "zero", "zeta_schedule": "constant"}

#: The rivals by name; each is described in its :class:`Rival`.
RIVALS = {
    rival.name: rival
    for rival in (
        Rival("dense", "fully connected", {"connectivity": "dense"}),
        Rival("static", "sparse, random connections that never change", {"connectivity": "static"}),
        Rival("set", "sparse, evolved: pruned sign by sign, random cells regrown at 0, constant zeta", _SET),
        Rival("set-magnitude", "as set, but pruned by magnitude", _SET | {"prune_rule": "magnitude"}),
        Rival("set-gradient", "as set, but grown where the gradient is largest (RigL)", _SET | {"growth": "gradient"}),
        Rival("set-cosine", "as set, but zeta falls by a cosine", _SET | {"zeta_schedule": "cosine"}),
        Rival("dense-small", "fully connected, as many parameters as the sparse ones", {"connectivity": "dense"}),
        Rival(
            "dense-pruned",
            "trained fully connected, pruned by magnitude to the connections of the sparse ones, fine-tuned",
            {"connectivity": "dense"},
        ),
    )
}


def small_dense_sizes(n_words, n_parameters, n_classes, *, embedding_share):
    r"""Sizes of a dense network with at most a given number of parameters, and as near to it as can be.

    Parameters
    ----------
    n_words : int
        V, padding and unknown included.
    n_parameters : int
        Those of the sparse network, everything counted.
    n_classes : int
        C.
    embedding_share : float in [0, 1]
        Which part of them should be in the embedding: that of the sparse network, so that the small network is the
        sparse one squeezed, not one that is built for another purpose.

    Returns
    -------
    embedding_dim, hidden_size : int
        D and H, at least 1.

    Raises
    ------
    ValueError
        If not even one number per word and one unit fit, or `embedding_share` is outside its range.

    Notes
    -----
    A column of the embedding costs V parameters, so D comes first: the number of columns that is nearest to the share.
    Then H is the largest for which everything fits,

    .. math:: V D + 4 H (D + H + 1) + (H + 1) C \le n,

    and as one unit of H costs little, n is nearly reached. (If D columns leave no room for a unit, D is made smaller.)

    Source: our own count of the parameters.

    Examples
    --------
    >>> small_dense_sizes(20_000, 220_186, 2, embedding_share=0.88)
    (10, 65)
    >>> NetworkSizes(20_000, 10, 65, 2).dense_parameters
    219892
    """
    if not 0 <= embedding_share <= 1:
        raise ValueError(f"embedding_share is {embedding_share}; expected a fraction from 0 to 1")
    embedding_dim = max(1, round(embedding_share * n_parameters / n_words))
    while embedding_dim:
        room = n_parameters - n_words * embedding_dim - n_classes  # for 4 H² + per_unit H
        per_unit = 4 * (embedding_dim + 1) + n_classes
        hidden_size = (isqrt(per_unit**2 + 16 * room) - per_unit) // 8 if room > 0 else 0
        if hidden_size:
            return embedding_dim, hidden_size
        embedding_dim -= 1
    least = NetworkSizes(n_words, 1, 1, n_classes).dense_parameters
    raise ValueError(
        f"a dense network for {n_words} words and {n_classes} classes has at least {least} parameters, and only "
        f"{n_parameters} are allowed: raise density (or er_epsilon), or make the sparse network larger"
    )


def prune_to_counts(network, counts):
    r"""Keep the largest weights of each matrix.

    Parameters
    ----------
    network : Network
        Is not changed.
    counts : dict of str to int
        How many weights to keep, of some of E, W_x and W_h. A matrix that is to keep all stays as it is.

    Returns
    -------
    Network
        With a SparseMatrix for each matrix of which fewer weights are left. The kept ones are bit for bit the same.

    Raises
    ------
    ValueError
        If a count is negative or larger than the number of weights, a name is unknown, or a weight is NaN or infinite.

    Notes
    -----
    Those with the largest :math:`|w|` are kept, of equal ones the last, as in :func:`numpy_setlstm.topology.prune`. The
    row of the padding in E does not compete. Source: S. Han et al. (2015), "Learning both Weights and Connections for
    Efficient Neural Networks".

    Examples
    --------
    >>> from numpy_setlstm.network import Network
    >>> network = Network({"W_h": np.array([[0.1, -3.0], [2.0, 0.5]])})
    >>> prune_to_counts(network, {"W_h": 2}).parameters["W_h"].toarray()
    array([[ 0., -3.],
           [ 2.,  0.]])
    """
    pruned = network.copy()
    for name, count in counts.items():
        if name not in pruned.parameters:
            raise ValueError(f"counts name {name!r}; expected some of {', '.join(pruned.parameters)}")
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
        raise ValueError(f"{count} weights of {name} are to be kept; expected a number from 0 to {len(values)}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} has weights that are NaN or infinite: training has diverged, lower the learning rate")
    kept = np.delete(np.arange(len(values)), smallest(np.abs(values), len(values) - count))
    return SparseMatrix(W.shape, *np.divmod(keys[kept], n_cols), values[kept])


def fit_rival(name, texts, labels, *, checkpoint_path=None, resume=False, finetune_epochs=None, **parameters):
    """Train one of the rivals.

    Parameters
    ----------
    name : str
        One of :data:`RIVALS`.
    texts, labels
        As in :meth:`SetLSTMClassifier.fit <numpy_setlstm.estimator.SetLSTMClassifier.fit>`.
    checkpoint_path : str or Path, optional
        Save the model there after every epoch and when interrupted.
    resume : bool, default False
        Go on with the model that is saved at `checkpoint_path`; begin if there is none. The result is bit for bit that
        of training in one go. The seed was used up when training began.
    finetune_epochs : int, optional
        For "dense-pruned" only: epochs after pruning; half of `n_epochs`, rounded up, by default.
    **parameters
        Of :class:`~numpy_setlstm.estimator.SetLSTMClassifier`, except those that make the rival what it is.
        `embedding_dim`, `hidden_size` and `density` (or `er_epsilon`) are those of the sparse network, also where they
        say only how many parameters or connections a dense one is to have.

    Returns
    -------
    SetLSTMClassifier
        Fitted. If it was interrupted by Ctrl-C there was a warning, ``training_state_.interrupted`` is True, and for
        "dense-pruned" it may still be the dense network, with `pretraining_` None.

    Raises
    ------
    ValueError
        If the name is unknown, a parameter is out of its range or fixed for this rival, or a saved model is of another.
    FloatingPointError
        If training diverges.

    Notes
    -----
    *dense-small* has the sizes of :func:`small_dense_sizes`, for the number of parameters and the embedding's share of
    the sparse network, and learns by the dense recipe.

    *dense-pruned* is trained as "dense". The best epoch's weights are pruned by :func:`prune_to_counts` to as many
    connections per matrix as the sparse network has, and trained on with these connections: optimizer and schedule of
    learning rates start anew, the rates are those of the dense recipe, since that is how large these weights are; only
    the embedding, which is sparse now, has the rate of the sparse recipe. What is returned is a classifier with
    ``connectivity="static"``; its `history_` is that of fine-tuning, and `pretraining_` has the dense network's
    history, and what the network was worth right after pruning. If no epoch of fine-tuning is better than that, the
    network right after pruning is the result and `best_epoch_` is -1. (Without validation the last epoch is the
    result.) This rival costs a dense training on top of the sparse one.

    Examples
    --------
    >>> texts, labels = ["what a lovely film", "a dull and awful film"] * 20, ["pos", "neg"] * 20
    >>> sizes = {"embedding_dim": 16, "hidden_size": 16, "density": 0.3}
    >>> settings = {"n_epochs": 20, "learning_rate": 0.01, "validation_fraction": 0, "random_state": 0}
    >>> clf = fit_rival("dense-pruned", texts, labels, **sizes, **settings)
    >>> len(clf.pretraining_["history"]["train_loss"]), len(clf.history_["train_loss"])
    (20, 10)
    >>> clf.predict(texts[:2])
    array(['pos', 'neg'], dtype='<U3')
    """
    rival = _check_rival(name, parameters)
    if resume and checkpoint_path is None:
        raise ValueError("resume needs the checkpoint_path at which the interrupted training was saved")
    if finetune_epochs is not None:
        if name != "dense-pruned":
            raise ValueError(f"finetune_epochs is given for {name!r}, which is not fine-tuned; only 'dense-pruned' is")
        _check_finetune_epochs(finetune_epochs)
    texts = check_X(texts)
    saved = SetLSTMClassifier.load(checkpoint_path) if resume and Path(checkpoint_path).exists() else None
    if name == "dense-pruned":
        return _fit_dense_pruned(saved, texts, labels, checkpoint_path, finetune_epochs, parameters)
    if name == "dense-small":
        parameters = parameters | _small_dense_parameters(texts, labels, parameters)
    return _go_on(saved, SetLSTMClassifier(**parameters | rival.parameters), texts, labels, checkpoint_path)


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
            raise ValueError(f"{parameter!r} is no parameter of SetLSTMClassifier; expected some of {', '.join(known)}")
    check_parameters(known | parameters)
    return rival


def _check_finetune_epochs(finetune_epochs):
    is_whole = isinstance(finetune_epochs, int | np.integer) and not isinstance(finetune_epochs, bool)
    if not is_whole or finetune_epochs < 1:
        raise ValueError(f"finetune_epochs is {finetune_epochs!r}; expected a whole number of at least 1")


def _go_on(saved, clf, texts, labels, checkpoint_path):
    """Fit `clf`; from where the saved model stands, if there is one."""
    if saved is not None:
        clf = saved.set_params(**clf.get_params())
    return clf.fit(texts, labels, resume=saved is not None, checkpoint_path=checkpoint_path)


def _sparse_counts(sizes, clf):
    """Connections of each matrix in the sparse network of these sizes that a classifier's parameters ask for."""
    return sizes.connection_counts(sizes.er_epsilon_for(clf.density) if clf.er_epsilon is None else clf.er_epsilon)


def _small_dense_parameters(texts, labels, parameters):
    clf = SetLSTMClassifier("static", **parameters)
    sizes = clf.network_sizes(texts, labels)
    sparse, dense = _sparse_counts(sizes, clf), sizes.connection_counts(None)
    n_parameters = sizes.dense_parameters - sum(dense.values()) + sum(sparse.values())  # biases and readout stay dense
    share = sparse["E"] / n_parameters
    small = small_dense_sizes(sizes.n_words, n_parameters, sizes.n_classes, embedding_share=share)
    return dict(zip(("embedding_dim", "hidden_size"), small, strict=True))


def _fit_dense_pruned(saved, texts, labels, checkpoint_path, finetune_epochs, parameters):
    dense = SetLSTMClassifier(**parameters | RIVALS["dense-pruned"].parameters)
    epochs = -(-dense.n_epochs // 2) if finetune_epochs is None else finetune_epochs
    # The weights have the size of the dense network's, so its rates hold; but the embedding is sparse now, and learns
    # better at a sparse embedding's rate, if the user has not chosen one.
    rates = vars(dense.recipe())
    if dense.embedding_learning_rate is None:
        rates = rates | {"embedding_learning_rate": SPARSE_RECIPE.embedding_learning_rate}
    finetuning = {"connectivity": "static", "n_epochs": epochs, **rates}
    if saved is not None and saved.pretraining_ is not None:
        n_epochs = len(saved.pretraining_["history"]["train_loss"])
        if n_epochs != dense.n_epochs:
            raise ValueError(
                f"the dense network was trained for {n_epochs} epochs and has been pruned; n_epochs is "
                f"{dense.n_epochs} now: set it back, or begin anew"
            )
        return _go_on(saved, SetLSTMClassifier(**dense.get_params() | finetuning), texts, labels, checkpoint_path)
    clf = _go_on(saved, dense, texts, labels, checkpoint_path)
    if clf.training_state_.interrupted:
        if clf.training_state_.epoch >= clf.n_epochs:  # otherwise fit has said so
            warnings.warn(
                "training was interrupted between the dense network's last epoch and pruning; the model is usable, and "
                "fit_rival(..., resume=True) goes on",
                stacklevel=3,
            )
        return clf
    shapes = {parameter: W.shape for parameter, W in clf.network_.parameters.items()}
    sizes = NetworkSizes(*shapes["E"], *shapes["W_out"])
    pruned = clf.with_network(prune_to_counts(clf.network_, _sparse_counts(sizes, clf)), **finetuning)
    return pruned.fit(texts, labels, resume=True, checkpoint_path=checkpoint_path)
