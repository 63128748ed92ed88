r"""Optimizers whose state follows the connections.

An optimizer keeps numbers per weight: a momentum, a mean square, an age. When a SET step replaces connections, these
move along: unchanged for survivors, forgotten for pruned connections, fresh for grown ones. A grown connection is then
treated exactly as if the optimizer had started with it.

The update rules (:func:`sgd_update`, :func:`adam_update`) are pure functions; the classes hold the state.
"""

import math

import numpy as np

from numpy_setlstm.checks import ages, array, as_array, check_addend, checked, choice, having, instance, number
from numpy_setlstm.sparse import SparseMatrix, weights_of

__all__ = ["OPTIMIZERS", "SGD", "Adam", "adam_update", "clip_by_norm", "sgd_update"]


_RATE = number("[0, inf)", "a number of at least 0, such as 0.001")
_SHARE = number("[0, 1)", "at least 0 and below 1")
_CONSTANTS = {"momentum": _SHARE, "beta1": _SHARE, "beta2": _SHARE}
_CONSTANTS["adam_eps"] = number("(0, inf)", "a small positive number, often 1e-8")
_BY_NAME = instance(dict, "a dict of arrays by name")


@checked(gradient=array("same"), velocity=array("same"), learning_rate=_RATE, **_CONSTANTS)
def sgd_update(gradient, velocity, *, learning_rate, momentum=0.9):
    r"""One update of stochastic gradient descent with momentum.

    Parameters
    ----------
    gradient, velocity : ndarray of one shape
    learning_rate : float
        At least 0.
    momentum : float in [0, 1)

    Returns
    -------
    change, velocity : ndarray of the same shape
        What to add to the weights, and the state after the update.

    Notes
    -----
    .. math:: u \leftarrow \mu u + g, \qquad \Delta w = -\eta u

    Equation :eq:`sgd` in docs/derivations/adam.md; the rate is outside u, the velocity, as in PyTorch. Source:
    B. Polyak (1964), "Some methods of speeding up the convergence of iteration methods".

    Examples
    --------
    >>> sgd_update(np.array([1.0]), np.array([10.0]), learning_rate=0.1)
    (array([-1.]), array([10.]))
    """
    velocity = momentum * velocity + gradient
    return -learning_rate * velocity, velocity


@checked(gradient=array("same"), m=array("same"), v=array("same"), age=ages, learning_rate=_RATE, **_CONSTANTS)
def adam_update(gradient, m, v, age, *, learning_rate, beta1=0.9, beta2=0.999, adam_eps=1e-8):
    r"""One update of Adam.

    Parameters
    ----------
    gradient, m, v : ndarray of one shape
        With the running means m of the gradient and v of its square.
    age : ndarray of int, of the same shape or of shape ()
        Number of earlier updates of each weight.
    learning_rate : float
        At least 0; the approximate size of the first steps.
    beta1, beta2 : float in [0, 1)
    adam_eps : float
        Above 0; keeps the division finite.

    Returns
    -------
    change, m, v, age : ndarray of unchanged shape
        What to add to the weights, and the state after the update.

    Notes
    -----
    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g, \qquad v \leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        \Delta w &= -\eta \, \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon}

    Derived in docs/derivations/adam.md: :eq:`adam-m` to :eq:`adam-update`. Source: D. Kingma and J. Ba (2015),
    algorithm 1. The step count t is kept per connection: the correction by :math:`1 - \beta^t` compensates for means
    that start at 0, and a grown connection starts its means late.

    Examples
    --------
    >>> zero = np.zeros(2)
    >>> change, *_ = adam_update(np.array([3.0, -0.2]), zero, zero, np.array([0, 0]), learning_rate=0.01)
    >>> change.round(6)  # the first update has the size of the learning rate, whatever the gradient's
    array([-0.01,  0.01])
    """
    age = np.asarray(np.add(age, 1, dtype=np.int32))
    m = beta1 * m + (1 - beta1) * gradient
    v = beta2 * v + (1 - beta2) * gradient**2
    m_hat = m / (1 - beta1**age).astype(m.dtype)
    v_hat = v / (1 - beta2**age).astype(v.dtype)
    return -learning_rate * m_hat / (np.sqrt(v_hat) + adam_eps), m, v, age


class Optimizer:
    """The common part of :class:`SGD` and :class:`Adam`: a state per parameter that follows the connections.

    Only shapes and types of the parameters matter; `learning_rate` is one rate for all, or a dict of one for each.
    """

    def __init__(self, parameters, learning_rate):
        _BY_NAME("parameters", parameters)
        rates = learning_rate if isinstance(learning_rate, dict) else dict.fromkeys(parameters, learning_rate)
        if rates.keys() != parameters.keys():
            names, given = sorted(map(str, parameters)), sorted(map(str, rates))
            raise ValueError(f"learning rates are given for {given}; the parameters are {names}")
        self.learning_rates = {name: _RATE(f"the learning rate of {name}", rate) for name, rate in rates.items()}
        self.constants = {name: _CONSTANTS[name](name, value) for name, value in self.constants.items()}
        weights = {name: as_array(name, weights_of(W), "fc") for name, W in parameters.items()}
        self.state = {name: self.initial_state(array) for name, array in weights.items()}

    @checked(parameters=_BY_NAME, gradients=_BY_NAME, rate_factor=_RATE)
    def update(self, parameters, gradients, rate_factor=1.0):
        """Change the weights of all parameters **in place** by one step.

        Gradients have the shape of the weights: (nnz,) for a SparseMatrix. `rate_factor` multiplies all learning rates.
        """
        for name, gradient in gradients.items():
            choice(self.state.keys() & parameters.keys())("the name of a gradient", name)
            check_addend(f"the gradient of {name}", gradient, weights_of(parameters[name]))
        for name, gradient in gradients.items():
            rate = rate_factor * self.learning_rates[name]
            self.step(weights_of(parameters[name]), gradient, self.state[name], rate)

    def carry(self, name, set_step):
        """Let the state of the parameter `name` follow a :class:`~numpy_setlstm.topology.SetStep`: :eq:`carry`."""
        choice(self.state)("name", name)
        having("carry", "a SetStep")("set_step", set_step)
        self.state[name] = {quantity: set_step.carry(array) for quantity, array in self.state[name].items()}


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, :func:`sgd_update`.

    Parameters
    ----------
    parameters : dict of str to SparseMatrix or ndarray
        Only their shapes and types matter.
    learning_rate : float or dict of str to float
        One rate for all, or one per parameter.
    momentum : float in [0, 1), default 0.9

    Examples
    --------
    >>> from numpy_setlstm.topology import set_step
    >>> W = SparseMatrix((2, 2), [0, 1], [1, 0], [0.5, -2.0])
    >>> optimizer = SGD({"W": W}, 0.1)
    >>> optimizer.update({"W": W}, {"W": np.array([1.0, 1.0])})
    >>> W, step = set_step(W, 0.5, np.random.default_rng(0), prune_rule="magnitude")
    >>> optimizer.carry("W", step)  # the new connection has no history
    >>> sorted(optimizer.state["W"]["velocity"].tolist())
    [0.0, 1.0]
    """

    kind = "sgd"

    def __init__(self, parameters, learning_rate, momentum=0.9):
        self.constants = {"momentum": momentum}
        super().__init__(parameters, learning_rate)

    def initial_state(self, weights):
        """State of weights that have never been updated: the velocity is 0."""
        return {"velocity": np.zeros_like(weights)}

    def step(self, weights, gradient, state, learning_rate):
        """Change weights and state **in place**."""
        change, state["velocity"] = sgd_update(
            gradient, state["velocity"], learning_rate=learning_rate, **self.constants
        )
        weights += change


class Adam(Optimizer):
    """Adam, :func:`adam_update`; the state of a SparseMatrix has an age per connection.

    Parameters
    ----------
    parameters, learning_rate
        As in :class:`SGD`.
    beta1, beta2, adam_eps
        As in :func:`adam_update`.

    Examples
    --------
    >>> weights = {"w": np.zeros(1)}
    >>> Adam(weights, learning_rate=0.1).update(weights, {"w": np.array([3.0])})
    >>> weights["w"]
    array([-0.1])
    """

    kind = "adam"

    def __init__(self, parameters, learning_rate, beta1=0.9, beta2=0.999, adam_eps=1e-8):
        self.constants = {"beta1": beta1, "beta2": beta2, "adam_eps": adam_eps}
        super().__init__(parameters, learning_rate)
        for name, W in parameters.items():
            if not isinstance(W, SparseMatrix):  # the weights of a dense array are all of one age
                self.state[name]["age"] = np.zeros((), np.int32)

    def initial_state(self, weights):
        """State of weights that have never been updated: `m`, `v` and `age` are 0."""
        return {"m": np.zeros_like(weights), "v": np.zeros_like(weights), "age": np.zeros(weights.shape, np.int32)}

    def step(self, weights, gradient, state, learning_rate):
        """Change weights and state **in place**."""
        change, state["m"], state["v"], state["age"] = adam_update(
            gradient, **state, learning_rate=learning_rate, **self.constants
        )
        weights += change


#: The optimizers by name; an engine may have faster ones.
OPTIMIZERS = {"adam": Adam, "sgd": SGD}


@checked(gradients=_BY_NAME, max_norm=number("(0, inf]", "a positive number"), finite=False)
def clip_by_norm(gradients, max_norm):
    """Scale down all gradients together if their joint norm is too large.

    Parameters
    ----------
    gradients : dict of str to ndarray
        Are not changed.
    max_norm : float
        Positive.

    Returns
    -------
    clipped : dict of str to ndarray
        The same arrays if the norm was at most `max_norm`.
    norm : float
        Euclidean norm over all gradients before clipping.

    Raises
    ------
    ValueError
        If `max_norm` is not positive.

    Notes
    -----
    Equation :eq:`clip` in docs/derivations/bptt.md. Source: R. Pascanu, T. Mikolov and Y. Bengio (2013), "On the
    difficulty of training recurrent neural networks".

    Examples
    --------
    >>> clipped, norm = clip_by_norm({"a": np.array([3.0]), "b": np.array([4.0])}, max_norm=1.0)
    >>> norm, clipped["a"].round(6)
    (5.0, array([0.6]))
    """
    gradients = {name: as_array(name, gradient) for name, gradient in gradients.items()}
    sizes = [np.abs(g).ravel() for g in gradients.values()]
    # Squares of float32 numbers above 1.8e19 are infinite in float32, so the sum is taken in double precision.
    norm = math.sqrt(sum(np.einsum("k,k->", size, size, dtype=np.float64, casting="same_kind") for size in sizes))
    if norm == np.inf:  # there, the squares of numbers above 1.3e154 are
        norm = math.hypot(*np.concatenate(sizes).tolist())
    if norm <= max_norm:
        return gradients, norm
    factor = max_norm / norm
    return {name: g * factor for name, g in gradients.items()}, norm
