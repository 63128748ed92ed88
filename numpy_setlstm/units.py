"""Units of a network, removed for good: how important each one is, and the smaller network without the weakest.

A *unit* is a hidden unit of the LSTM, or a dimension of the embedding. SET keeps the number of connections; here they
become fewer, with their units. Each unit has a *strength*, the sum of the absolute weights of its connections, and the
weakest are removed. What is left is really smaller, E (V, D'), W_x (D', 4H'), W_h (H', 4H'), and can be trained on.

Source: S. Curci, D. C. Mocanu and M. Pechenizkiy (2021), "Truly Sparse Neural Networks at Scale", arXiv:2102.01732,
whose importance pruning takes the connections into the weakest units of a perceptron, by their incoming weights. Ours
are the LSTM, where one unit has four gates and reads itself, the outgoing weights, and that units are really gone.
"""

from typing import NamedTuple

import numpy as np

from numpy_setlstm.cells import smallest
from numpy_setlstm.checks import as_array, checked, instance, number, short
from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.network import Network
from numpy_setlstm.parameters import directions_of
from numpy_setlstm.sparse import SparseMatrix
from numpy_setlstm.topology import floor_share, reserved_rows_of

__all__ = ["Units", "keep_units", "remove_units", "unit_importance"]

_NETWORK = instance(Network, "a Network, such as that of a classifier, clf.network_")
SHARE = number("[0, 1)", "the fraction of the units to remove, at least 0 and below 1, such as 0.3")


class Units(NamedTuple):
    """Something about each unit of a network, such as its importance; or the numbers of some of them.

    Attributes
    ----------
    hidden : ndarray of shape (H,)
        Of the hidden units; (2H,) if bidirectional, first those that read from the start.
    embedding : ndarray of shape (D,)
        Of the dimensions of the embedding.
    """

    hidden: np.ndarray
    embedding: np.ndarray


@checked(network=_NETWORK)
def unit_importance(network):
    r"""The strength of each unit: the sum of the absolute weights of its connections, incoming and outgoing.

    Parameters
    ----------
    network : Network

    Returns
    -------
    Units
        Of float64, at least 0. Those of hidden units and of dimensions are not to be compared with each other.

    Notes
    -----
    Into hidden unit j lead column j of each gate in W_x and W_h, out of it row j of W_h and of W_out; into dimension d
    leads column d of E, out of it row d of W_x, and of W_x_reverse. The row of the padding does not count, nor do
    biases.

    Source: the code that belongs to S. Curci, D. C. Mocanu and M. Pechenizkiy (2021), arXiv:2102.01732, sums the
    incoming weights only. But what nobody reads has no effect, however strong its inputs; the outgoing weights alone,
    on the other hand, say nothing of a dimension that no word has. Both together were as good as the incoming ones on
    validation texts, and better than the outgoing ones: docs/using.md.

    Examples
    --------
    >>> from numpy_setlstm.initialization import NetworkSizes, init_network
    >>> network = init_network(NetworkSizes(50, 8, 6, 2), *np.random.default_rng(0).spawn(2), er_epsilon=2)
    >>> importance = unit_importance(network)
    >>> importance.hidden.round(1)
    array([ 8.4, 10.6,  8. ,  7.1, 14.5, 13.4])
    """
    p = network.parameters
    hidden, outgoing = [], _strengths(p["W_out"], axis=1)  # (H,), or (2H,)
    embedding = _strengths(p["E"], axis=0, reserved_rows=reserved_rows_of("E"))  # (D,)
    for W_x, W_h, _ in directions_of(p).values():
        incoming = _strengths(p[W_x], axis=0) + _strengths(p[W_h], axis=0)  # (4H,)
        hidden.append(incoming.reshape(len(GATES), -1).sum(axis=0) + _strengths(p[W_h], axis=1))
        embedding = embedding + _strengths(p[W_x], axis=1)
    return Units(np.concatenate(hidden) + outgoing, embedding)


@checked(network=_NETWORK, hidden=SHARE, embedding=SHARE)
def remove_units(network, *, hidden=0.0, embedding=0.0, importance=None):
    r"""A smaller network, without the weakest hidden units and dimensions of the embedding.

    Parameters
    ----------
    network : Network
        Is not changed.
    hidden, embedding : float in [0, 1), default 0.0
        The fraction of the hidden units, and of the dimensions, to remove: :math:`\lfloor s n \rfloor` of n, so that
        one remains at least. A bidirectional network loses as many hidden units in each direction, its own weakest.
    importance : Units, optional
        What decides which units are the weakest; by default :func:`unit_importance`. Random numbers remove random ones.

    Returns
    -------
    network : Network
        The smaller one: see :func:`keep_units`.
    kept : Units
        The numbers that its units had before, increasing.

    Raises
    ------
    TypeError
        If `network` is no Network, or `importance` not numbers.
    ValueError
        If a fraction is not in [0, 1), or `importance` is of another shape, NaN or infinite; of equal ones, the first
        are removed.

    Examples
    --------
    >>> from numpy_setlstm.initialization import NetworkSizes, init_network
    >>> network = init_network(NetworkSizes(50, 8, 6, 2), *np.random.default_rng(0).spawn(2), er_epsilon=2)
    >>> small, kept = remove_units(network, hidden=0.5, embedding=0.25)
    >>> small.parameters["W_x"].shape, kept.hidden, network.count_parameters(), small.count_parameters()
    ((6, 12), array([1, 4, 5]), 278, 166)
    >>> rng = np.random.default_rng(0)
    >>> remove_units(network, hidden=0.5, importance=Units(rng.random(6), rng.random(8)))[1].hidden
    array([0, 4, 5])
    """
    importance = unit_importance(network) if importance is None else importance
    importance = _check_importance(importance, network)
    directions = np.split(importance.hidden, len(directions_of(network.parameters)))  # (H,) each
    kept = [k * len(own) + _strongest(own, hidden) for k, own in enumerate(directions)]
    kept = Units(np.concatenate(kept), _strongest(importance.embedding, embedding))
    return keep_units(network, kept), kept


@checked(network=_NETWORK)
def keep_units(network, units):
    """The network that some units of another one make: its weights, dropout, engine, and nothing of the other units.

    Parameters
    ----------
    network : Network
        Is not changed.
    units : Units
        The numbers of the units to keep, increasing; of a bidirectional network as many hidden ones of either
        direction.

    Returns
    -------
    Network
        E (V, D'), each W_x (D', 4H'), each W_h (H', 4H'), each b (4H',), W_out (H', C) or (2H', C), b_out (C,). A
        sparse matrix stays sparse: no array of its full size is made.

    Raises
    ------
    TypeError
        If `network` is no Network, or `units` not whole numbers.
    ValueError
        If `units` do not increase, are out of range, none, or not as many in both directions.

    Notes
    -----
    Its logits are those of the other network with the outgoing connections of all other units set to 0, up to rounding:
    a unit without outgoing connections, or with nothing but zeros, is removed without a trace.

    Examples
    --------
    >>> from numpy_setlstm.initialization import NetworkSizes, init_network
    >>> network = init_network(NetworkSizes(50, 8, 6, 2), *np.random.default_rng(0).spawn(2), er_epsilon=2)
    >>> small = keep_units(network, Units([1, 2, 5], [0, 3, 4, 7]))
    >>> small.parameters["W_h"].shape, small.parameters["E"].shape
    ((3, 12), (50, 4))
    """
    units = _check_kept(units, network)
    p, H = network.parameters, network.parameters["W_h"].shape[0]
    parts = {"E": (None, units.embedding), "W_out": (units.hidden,)}
    for k, (W_x, W_h, b) in enumerate(directions_of(p).values()):
        own = units.hidden[units.hidden // H == k] - k * H
        columns = (np.arange(len(GATES))[:, None] * H + own).ravel()  # of all gates
        parts |= {W_x: (units.embedding, columns), W_h: (own, columns), b: (columns,)}
    return network.with_parameters({name: _part(W, *parts.get(name, ())) for name, W in p.items()})


def _strengths(W, axis, reserved_rows=0):
    """Sums of the absolute weights of the columns (axis=0) or rows (axis=1) of W, float64, but of reserved rows."""
    if not isinstance(W, SparseMatrix):
        return np.abs(W[reserved_rows:]).sum(axis=axis, dtype=np.float64)
    sizes = np.abs(W.values) * (W.rows >= reserved_rows)
    return np.bincount(W.cols if axis == 0 else W.rows, sizes, minlength=W.shape[1 - axis])


def _strongest(importance, share):
    """The numbers of the units that are left without a share of the weakest, increasing."""
    n = len(importance)
    return np.delete(np.arange(n), smallest(importance, floor_share(share, n)))


def _part(W, rows=None, cols=None):
    """A copy of the rows and columns of W, or of the entries of an array (n,), that are given; None: of all."""
    if not isinstance(W, SparseMatrix):
        W = W.copy() if rows is None else W.take(rows, axis=0)
        return W if cols is None else W.take(cols, axis=1)
    (rows, new_row), (cols, new_col) = (_renumbered(*pair) for pair in zip((rows, cols), W.shape, strict=True))
    new_rows, new_cols = new_row[W.rows], new_col[W.cols]
    exists = (new_rows >= 0) & (new_cols >= 0)
    return SparseMatrix((len(rows), len(cols)), new_rows[exists], new_cols[exists], W.values[exists])


def _renumbered(kept, n):
    """The numbers that are kept of 0 to n - 1 (None: all), and the new number of each one, (n,), or -1."""
    kept = np.arange(n) if kept is None else kept
    new = np.full(n, -1)
    new[kept] = np.arange(len(kept))
    return kept, new


def _arrays_of(name, units, network, kinds):
    """The two fields of Units as arrays, by full name, each with the number of such units that the network has."""
    instance(Units, "Units(hidden, embedding)")(name, units)
    p = network.parameters
    counts = Units(len(directions_of(p)) * p["W_h"].shape[0], p["W_x"].shape[0])
    for field, count in counts._asdict().items():
        full = f"{name}.{field}"
        yield full, as_array(full, getattr(units, field), kinds), count


def _check_importance(importance, network):
    """The Units as arrays, one finite number for each unit."""
    arrays = []
    for name, scores, count in _arrays_of("importance", importance, network, "biuf"):
        if scores.shape != (count,):
            raise ValueError(f"{name} has shape {scores.shape}; expected ({count},), a number for each unit")
        if not np.isfinite(scores).all():
            raise ValueError(
                f"{name} has numbers that are NaN or infinite: if training has diverged, lower the learning rates"
            )
        arrays.append(scores)
    return Units(*arrays)


def _check_kept(units, network):
    """The Units as arrays of int64, if they are such as :func:`keep_units` expects."""
    arrays, H = [], network.parameters["W_h"].shape[0]
    for name, numbers, count in _arrays_of("units", units, network, "iu"):
        numbers = numbers.astype(np.int64)  # differences of unsigned numbers wrap
        increases = numbers.ndim == 1 and numbers.size and (np.diff(numbers, prepend=-1) > 0).all()
        if not increases or numbers[-1] >= count:
            raise ValueError(
                f"{name} is {short(numbers.tolist())}; expected one or more numbers from 0 to {count - 1}, increasing"
            )
        arrays.append(numbers)
    per_direction = np.bincount(arrays[0] // H, minlength=len(directions_of(network.parameters)))
    if len(set(per_direction.tolist())) > 1:
        raise ValueError(
            f"units.hidden has {per_direction[0]} units that read from the start and {per_direction[1]} from the end; "
            "expected as many of either"
        )
    return Units(*arrays)
