r"""The package checks itself: the gradients of a whole network, dense and sparse, on a minibatch with every difficulty.

The minibatch holds padding before, after and on both sides of the words, a text of padding only, and words that occur
more than once; the biases are not zero, where zeros would hide mistakes; and dropout is on, with the same mask in every
call. The loss is measured in double precision, by the complex step and by central differences.
"""

import time
from pathlib import Path

import numpy as np

from numpy_setlstm.checkpoint import replacing
from numpy_setlstm.gradcheck import check_gradients
from numpy_setlstm.gradcheck.numeric import LossAt, central_slope, complex_slope, entries, forward_slope
from numpy_setlstm.layers.readout import cross_entropy_forward
from numpy_setlstm.network import NetworkSizes, init_network
from numpy_setlstm.text import PADDING_ID

METHODS = ("complex", "central")
DIRECTIONS = 20  # the error at a step is the root mean square over this many directions: a calm curve
STEPS = {
    "forward difference": 10.0 ** -np.arange(1, 18.1, 0.5),
    "central difference": 10.0 ** -np.arange(1, 18.1, 0.5),
    "complex step": 10.0 ** -np.concatenate([np.arange(1, 20, 0.5), np.arange(20, 301, 10)]),
}
SLOPES = {"forward difference": forward_slope, "central difference": central_slope, "complex step": complex_slope}
PICTURE_FILE = "step_sizes.png"


def make_minibatch(rng, n_texts, length, n_words, n_classes):
    """Texts in which a wrong gradient has nowhere to hide.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_texts, length : int
        N and T.
    n_words : int
        V, the padding included.
    n_classes : int
        C.

    Returns
    -------
    tokens : ndarray of shape (N, T), int
        The first text is full and ends with its first word; the next ones have padding before, after, on both sides,
        and nothing but padding; and so on in turn.
    labels : ndarray of shape (N,), int

    Raises
    ------
    ValueError
        If there are fewer than 5 texts, 4 steps, 3 words or 2 classes.

    Examples
    --------
    >>> tokens, labels = make_minibatch(np.random.default_rng(0), n_texts=5, length=4, n_words=9, n_classes=2)
    >>> tokens != 0
    array([[ True,  True,  True,  True],
           [False,  True,  True,  True],
           [ True,  True,  True, False],
           [False,  True,  True, False],
           [False, False, False, False]])
    """
    for name, number, least in (
        ("texts", n_texts, 5), ("length", length, 4), ("words", n_words, 3), ("classes", n_classes, 2),
    ):  # fmt: skip
        if number < least:
            raise ValueError(f"{name} is {number}; expected at least {least}, so that every difficulty has its place")
    tokens = rng.integers(PADDING_ID + 1, n_words, size=(n_texts, length))
    tokens[0, -1] = tokens[0, 0]
    padding = 1 + (length - 4) // 3
    for text, kind in enumerate(np.arange(n_texts) % 5):
        if kind in (1, 3):
            tokens[text, :padding] = PADDING_ID
        if kind in (2, 3):
            tokens[text, -padding:] = PADDING_ID
        if kind == 4:
            tokens[text] = PADDING_ID
    return tokens, rng.integers(0, n_classes, size=n_texts)


def make_network(seed, sizes, density=None, kernel="auto"):
    """Draw a network in double precision, with dropout and with biases that are not zero.

    Parameters
    ----------
    seed : int
    sizes : NetworkSizes
    density : float, optional
        Share of the dense network's parameters; None for the dense network.
    kernel : {"auto", "gather", "scratch"}

    Returns
    -------
    Network

    Raises
    ------
    ValueError
        If the sizes or the density allow no such network.

    Examples
    --------
    >>> make_network(0, NetworkSizes(9, 3, 4, 3), density=0.6).parameters["W_h"]
    SparseMatrix(shape=(4, 16), nnz=28, density=0.4375, dtype=float64)
    """
    for name, number in vars(sizes).items():
        if number < 1:
            raise ValueError(f"{name} is {number}; expected at least 1")
    er_epsilon = None if density is None else sizes.er_epsilon_for(density)
    topology_rng, values_rng = np.random.default_rng(seed).spawn(2)
    network = init_network(
        sizes, topology_rng, values_rng,
        er_epsilon=er_epsilon, dtype=np.float64, embedding_dropout=0.25, dropout=0.25, kernel=kernel,
    )  # fmt: skip
    for name in ("b", "b_out"):
        network.parameters[name] += values_rng.normal(0, 0.5, network.parameters[name].shape)
    return network


def loss_with_fixed_dropout(network, tokens, labels, seed):
    """Make the loss as a function of the parameters; the dropout mask is drawn anew, and the same, in every call.

    Returns
    -------
    callable
        ``loss(parameters) -> scalar``, complex for complex parameters.
    """

    def loss(parameters):
        logits, _ = network.forward(tokens, np.random.default_rng(seed), parameters)
        return cross_entropy_forward(logits, labels)[0]

    return loss


def check_network(network, tokens, labels, method="complex", seed=0):
    """Check every gradient of a network on one minibatch.

    Parameters
    ----------
    network : Network
        In double precision.
    tokens : ndarray of shape (N, T), int
    labels : ndarray of shape (N,), int
    method : {"complex", "central"}
    seed : int
        Of the dropout mask.

    Returns
    -------
    GradientReport

    Examples
    --------
    >>> network = make_network(0, NetworkSizes(9, 3, 4, 3))
    >>> check_network(network, *make_minibatch(np.random.default_rng(0), 5, 6, 9, 3)).ok
    True
    """
    loss = loss_with_fixed_dropout(network, tokens, labels, seed)
    _, gradients = network.loss_and_gradients(tokens, labels, np.random.default_rng(seed))
    return check_gradients(loss, network.parameters, gradients, method, tokens=tokens, raises=False)


def step_size_errors(network, tokens, labels, name="W_h", seed=0):
    """Measure how wrong each way of measuring a slope is, step size by step size.

    Parameters
    ----------
    network : Network
        In double precision; its gradient is taken for the truth.
    tokens : ndarray of shape (N, T), int
    labels : ndarray of shape (N,), int
    name : str
        The parameter along which the slopes are.
    seed : int
        Of the dropout mask and of the directions.

    Returns
    -------
    dict of str to tuple of ndarray
        From "forward difference", "central difference" and "complex step" to the step sizes and the errors there, for
        :func:`~numpy_setlstm.plotting.plot_step_sizes`. An error is the root mean square over random directions, as a
        share of that of the slopes themselves.
    """
    loss_at = LossAt(loss_with_fixed_dropout(network, tokens, labels, seed), network.parameters)
    gradient = network.loss_and_gradients(tokens, labels, np.random.default_rng(seed))[1][name]
    directions = np.random.default_rng(seed).normal(size=(DIRECTIONS, *entries(network.parameters[name]).shape))
    directions /= np.sqrt(gradient.size)
    true = np.array([np.sum(gradient * direction) for direction in directions])

    def error(slope, step):
        measured = np.array([slope(loss_at, name, direction, step) for direction in directions])
        return np.sqrt(np.mean((measured - true) ** 2) / np.mean(true**2))

    return {label: (STEPS[label], np.array([error(slope, step) for step in STEPS[label]]))
            for label, slope in SLOPES.items()}  # fmt: skip


def run_selfcheck(
    *, seed=0, n_texts=5, length=6, n_words=9, embedding_dim=3, hidden_size=4, n_classes=3, density=0.6,
    methods=METHODS, output=None, report=print,
):  # fmt: skip
    """Check a dense network and a sparse one, the latter with both kernels; tell what was found.

    Parameters
    ----------
    seed : int
        Of everything.
    n_texts, length, n_words, embedding_dim, hidden_size, n_classes : int
        N, T, V, D, H and C.
    density : float
        Parameters of the sparse network as a share of the dense one's.
    methods : sequence of {"complex", "central"}
    output : str or Path, optional
        Folder for the picture of the error against the step size; made if it does not exist.
    report : callable
        Takes lines of text to show.

    Returns
    -------
    bool
        Whether every gradient is right.

    Raises
    ------
    ValueError
        If the seed is negative, the sizes are too small, or the density allows no such network.

    Examples
    --------
    >>> run_selfcheck(methods=["complex"], report=lambda text: None)
    True
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; expected 0 or more")
    tokens, labels = make_minibatch(np.random.default_rng(seed), n_texts, length, n_words, n_classes)
    sizes = NetworkSizes(n_words, embedding_dim, hidden_size, n_classes)
    networks = {
        "dense network": make_network(seed, sizes),
        "sparse network, gather kernel": make_network(seed, sizes, density, "gather"),
        "sparse network, scratch kernel": make_network(seed, sizes, density, "scratch"),
    }
    all_right = True
    for name, network in networks.items():
        for method in methods:
            start = time.perf_counter()
            found = check_network(network, tokens, labels, method, seed)
            seconds = time.perf_counter() - start
            report(f"{name}, {network.count_parameters():,} parameters, {seconds:.2f} seconds")
            report(f"{found if found.ok else found.message()}\n")
            all_right &= found.ok
    report("all gradients are right" if all_right else "at least one gradient is WRONG")
    if output is not None:
        report(f"wrote {save_picture(networks['dense network'], tokens, labels, Path(output), seed)}")
    return all_right


def save_picture(network, tokens, labels, output, seed=0):
    """Draw the error against the step size.

    Parameters
    ----------
    network, tokens, labels, seed
        See :func:`step_size_errors`.
    output : Path
        A folder; made if it does not exist.

    Returns
    -------
    Path
        The file that was written, whole or not at all.
    """
    from numpy_setlstm import plotting  # importing matplotlib takes a second, and the checks need none of it

    output.mkdir(parents=True, exist_ok=True)
    ax = plotting.plot_step_sizes(step_size_errors(network, tokens, labels, seed=seed))
    with replacing(output / PICTURE_FILE) as file:
        ax.figure.savefig(file, format="png", dpi=150)
    return output / PICTURE_FILE
