r"""The running mean of the weights, which is validated, kept and used in their place.

The weights after a minibatch wander around a good place; their mean over the last minibatches is nearer to it, and
costs one copy of the weights. Training itself goes on from the weights, and does not see the mean.

Sources: B. Polyak and A. Juditsky (1992), "Acceleration of Stochastic Approximation by Averaging", for the mean; A.
Tarvainen and H. Valpola (2017), "Mean teachers are better role models", for one that forgets exponentially.
"""

import numpy as np

from numpy_setlstm.sparse import weights_of


def update_average(state, averaging):
    r"""Let the averages of a TrainingState follow its weights after a minibatch; with `averaging` 0 there are none.

    After k minibatches with the weights :math:`w_1, \dots, w_k`,

    .. math:: a_k = a_{k-1} + r_k (w_k - a_{k-1}), \qquad r_k = \frac{1 - \alpha}{1 - \alpha^k}

    which is :math:`\alpha a_{k-1} + (1 - \alpha) w_k` corrected for its beginning: the shares of all weights add up to
    1, and :math:`a_1 = w_1`. Equation :eq:`average` in docs/derivations/adam.md.
    """
    if averaging == 0:
        state.average, state.n_averaged = {}, 0
        return
    if state.n_averaged == 0:
        state.average = {name: np.zeros_like(weights_of(W)) for name, W in state.network.parameters.items()}
    state.n_averaged += 1
    rate = (1 - averaging) / (1 - averaging**state.n_averaged)
    for name, average in state.average.items():
        average += rate * (weights_of(state.network.parameters[name]) - average)


def carry_average(state, name, set_step):
    """Let the averages of the parameter `name` follow a SetStep; grown connections begin with their weights."""
    if state.n_averaged:
        state.average[name] = set_step.carry(state.average[name])
        state.average[name][set_step.grown] = state.network.parameters[name].values[set_step.grown]


def averaged_network(state):
    """A network with the averaged weights; the current network itself if there are none."""
    if state.n_averaged == 0:
        return state.network
    network = state.network.copy()
    for name, average in state.average.items():
        weights_of(network.parameters[name])[...] = average
    return network
