"""The package checks its own gradients: whole networks, dense and sparse, on a minibatch with every difficulty.

The minibatch has padding before, after and on both sides of the words, a text of padding only, and repeated words; the
biases are not zero, as zeros would hide mistakes; dropout is on, with the same mask in every call. The loss is measured
in double precision, by the complex step and by central differences.
"""

import time

import numpy as np

from numpy_setlstm.files import make_folder
from numpy_setlstm.gradcheck import check_gradients
from numpy_setlstm.gradcheck.numeric import LossAt, central_slope, complex_slope, entries, forward_slope
from numpy_setlstm.initialization import NetworkSizes, init_network
from numpy_setlstm.lab.files import write_picture
from numpy_setlstm.layers.readout import cross_entropy_forward
from numpy_setlstm.text import PADDING_ID

METHODS = ("complex", "central")
DIRECTIONS = 20  # the error is the root mean square over this many directions, which makes a smooth curve
STEPS = {
    "forward difference": 10.0 ** -np.arange(1, 18.1, 0.5),
    "central difference": 10.0 ** -np.arange(1, 18.1, 0.5),
    "complex step": 10.0 ** -np.concatenate([np.arange(1, 20, 0.5), np.arange(20, 301, 10)]),
}
SLOPES = {"forward difference": forward_slope, "central difference": central_slope, "complex step": complex_slope}
PICTURE_FILE = "step_sizes.png"
ENGINES = {
    "plain engine": {"engine": "plain"},
    "fast engine, gather kernel": {"kernel": "gather"},
    "fast engine, scratch kernel": {"kernel": "scratch"},
}


def make_minibatch(rng, n_texts, length, n_words, n_classes):
    """Tokens (N, T) and labels (N,) on which a wrong gradient shows.

    The first text is full and ends with its first word; the next four have padding before, after, on both sides, and
    only padding; and so on.
    """
    for name, number, least in (
        ("texts", n_texts, 5), ("length", length, 4), ("words", n_words, 3), ("classes", n_classes, 2),
    ):  # fmt: skip
        if number < least:
            raise ValueError(f"{name} is {number}; expected at least {least}, to have room for every difficulty")
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


def make_network(seed, sizes, parameter_share=None, **settings):
    """A Network in double precision, with dropout and nonzero biases; dense without a `parameter_share`."""
    er_epsilon = None if parameter_share is None else sizes.er_epsilon_for(parameter_share)
    topology_rng, values_rng = np.random.default_rng(seed).spawn(2)
    network = init_network(
        sizes, topology_rng, values_rng,
        er_epsilon=er_epsilon, dtype=np.float64, embedding_dropout=0.25, dropout=0.25, **settings,
    )  # fmt: skip
    for name, bias in network.parameters.items():
        if name.startswith("b"):
            bias += values_rng.normal(0, 0.5, bias.shape)
    return network


def loss_with_fixed_dropout(network, tokens, labels, seed):
    """The loss as a function of the parameters; the dropout mask is drawn again in every call, from the same seed."""

    def loss(parameters):
        logits, _ = network.forward(tokens, np.random.default_rng(seed), parameters)
        return cross_entropy_forward(logits, labels)[0]

    return loss


def check_network(network, tokens, labels, method="complex", seed=0):
    """Check every gradient of a network on one minibatch; returns a GradientReport. `seed` is of the dropout mask."""
    loss = loss_with_fixed_dropout(network, tokens, labels, seed)
    _, gradients = network.loss_and_gradients(tokens, labels, np.random.default_rng(seed))
    return check_gradients(loss, network.parameters, gradients, method, tokens=tokens, raises=False)


def step_size_errors(network, tokens, labels, name="W_h", seed=0):
    """Step sizes and relative errors of each method, for :func:`~numpy_setlstm.plotting.plot_step_sizes`.

    Slopes are measured along random directions of the parameter `name`; the network's own gradient is the truth.
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
    *, seed=0, n_texts=5, length=6, n_words=9, embedding_dim=3, hidden_size=4, n_classes=3, parameter_share=0.6,
    bidirectional=False, pooling="last", methods=METHODS, output=None, report=print,
):  # fmt: skip
    """Check a dense and a sparse network in each engine, with each kernel; True if every gradient is correct.

    With `output`, a folder, also draw the error against the step size there.
    """
    if seed < 0:
        raise ValueError(f"seed is {seed}; expected 0 or more")
    tokens, labels = make_minibatch(np.random.default_rng(seed), n_texts, length, n_words, n_classes)
    sizes = NetworkSizes(n_words, embedding_dim, hidden_size, n_classes, bidirectional)
    networks = {
        f"{'dense' if share is None else 'sparse'} network, {name}": make_network(
            seed, sizes, share, pooling=pooling, **engine
        )
        for share in (None, parameter_share)
        for name, engine in ENGINES.items()
        if share is not None or name != "fast engine, scratch kernel"  # a dense matrix needs no kernel
    }
    all_correct = True
    for name, network in networks.items():
        for method in methods:
            start = time.perf_counter()
            found = check_network(network, tokens, labels, method, seed)
            seconds = time.perf_counter() - start
            report(f"{name}, {network.count_parameters():,} parameters, {seconds:.2f} seconds")
            report(f"{found if found.ok else found.message()}\n")
            all_correct &= found.ok
    report("all gradients are right" if all_correct else "at least one gradient is WRONG")
    if output is not None:
        report(f"wrote {save_picture(networks['dense network, plain engine'], tokens, labels, output, seed)}")
    return all_correct


def save_picture(network, tokens, labels, output, seed=0):
    """Draw the error against the step size into a folder, made if missing; return the file."""
    from numpy_setlstm import plotting  # importing matplotlib takes a second, and the checks do not need it

    output = make_folder(output)
    ax = plotting.plot_step_sizes(step_size_errors(network, tokens, labels, seed=seed))
    return write_picture(output / PICTURE_FILE, ax.figure)
