r"""The running mean of the weights, which is validated, kept and used in their place.

The weights after a minibatch wander around a good place; their mean over the last minibatches is nearer to it, and
costs one copy of the weights. Training itself goes on from the weights, and does not see the mean.

Sources: B. Polyak and A. Juditsky (1992), "Acceleration of Stochastic Approximation by Averaging", for the mean; A.
Tarvainen and H. Valpola (2017), "Mean teachers are better role models", for one that forgets exponentially; S. Merity,
N. Keskar and R. Socher (2018), "Regularizing and Optimizing LSTM Language Models", arXiv:1708.02182, algorithm 1, for
one that begins when the validation loss has stopped falling (NT-ASGD); S. Liu, D. C. Mocanu, Y. Pei and M. Pechenizkiy
(2021), "Selfish Sparse RNN Training", arXiv:2101.09048, for one that begins anew for each grown connection (SNT-ASGD).
"""

import numpy as np

from numpy_setlstm.sparse import SparseMatrix, weights_of

SNT_ASGD = "snt-asgd"


def is_triggered(losses, interval):
    r"""Whether the last of the validation `losses` of all epochs so far lets the averages of SNT-ASGD begin.

    It does if it is above the lowest one of at least n = `interval` epochs before it, :math:`t > n` and
    :math:`v_t > \min(v_0, \dots, v_{t-n-1})`: equation :eq:`snt-trigger` in docs/derivations/adam.md.

    >>> [is_triggered([3, 1, 2, 2], interval) for interval in (1, 2, 3)]
    [True, False, False]
    """
    t = len(losses) - 1
    return t > interval and losses[t] > min(losses[: t - interval])


def update_average(state, averaging, interval=5):
    r"""Let the averages of a TrainingState follow its weights after a minibatch; with `averaging` 0 there are none.

    After k minibatches with the weights :math:`w_1, \dots, w_k`,

    .. math:: a_k = a_{k-1} + r_k (w_k - a_{k-1}), \qquad r_k = \frac{1 - \alpha}{1 - \alpha^k}

    which is :math:`\alpha a_{k-1} + (1 - \alpha) w_k` corrected for its beginning: the shares of all weights add up to
    1, and :math:`a_1 = w_1`. Equation :eq:`average` in docs/derivations/adam.md.

    "snt-asgd" instead of a number: there are none until :func:`is_triggered`; from then on :math:`r_k = 1 / k`, the
    plain mean, where k counts the minibatches in which a connection has existed since: :eq:`snt-average`.
    """
    parameters = state.network.parameters
    is_waiting = averaging == SNT_ASGD and not state.n_averaged
    if averaging == 0 or (is_waiting and not is_triggered(state.history["validation_loss"], interval)):
        state.average, state.averaged_from, state.n_averaged = {}, {}, 0
        return
    if state.n_averaged == 0:
        state.average = {name: np.zeros_like(weights_of(W)) for name, W in parameters.items()}
        sparse = {name: W for name, W in parameters.items() if isinstance(W, SparseMatrix) and averaging == SNT_ASGD}
        state.averaged_from = {name: np.zeros(W.nnz, np.int32) for name, W in sparse.items()}
    state.n_averaged += 1
    for name, average in state.average.items():
        if averaging == SNT_ASGD:
            rate = 1 / (state.n_averaged - state.averaged_from.get(name, 0))
        else:
            rate = (1 - averaging) / (1 - averaging**state.n_averaged)
        average += rate * (weights_of(parameters[name]) - average)


def carry_average(state, name, set_step):
    """Let the averages of the parameter `name` follow a SetStep; grown connections begin with their weights."""
    if state.n_averaged:
        state.average[name] = set_step.carry(state.average[name])
        state.average[name][set_step.grown] = state.network.parameters[name].values[set_step.grown]
    if name in state.averaged_from:
        state.averaged_from[name] = set_step.carry(state.averaged_from[name])
        state.averaged_from[name][set_step.grown] = state.n_averaged


def averaged_network(state):
    """A network with the averaged weights; the current network itself if there are none."""
    if state.n_averaged == 0:
        return state.network
    network = state.network.copy()
    for name, average in state.average.items():
        weights_of(network.parameters[name])[...] = average
    return network
