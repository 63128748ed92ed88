"""The settings of a language model, checked, and what they lead to: engine, network, optimizer."""

import numpy as np

from numpy_setlstm.checks import choice, number, short, whole
from numpy_setlstm.inputs import check_parameters
from numpy_setlstm.language.initialization import SPARSE_CHOICES, LanguageSizes, init_language_network
from numpy_setlstm.language.text import UNITS
from numpy_setlstm.network import make_engine
from numpy_setlstm.sparse import SparseMatrix
from numpy_setlstm.training import TrainingState, split_streams

RATE_SCHEDULES = ("constant", "cosine")
SPEED = ("engine", "kernel")  # parameters that change nothing but the speed
#: Parameters that may differ when training is resumed.
RESUME_WITH_OTHER = ("n_epochs", "patience", "progress", *SPEED, "random_state")
_CHOICES = {"unit": UNITS, "learning_rate_schedule": RATE_SCHEDULES}
BUILT_IN = ("embedding_dropout", "dropout")


def check_language_parameters(parameters):
    """Check the parameters of a SetLSTMLanguageModel, given by name.

    >>> check_language_parameters({"tied": True, "embedding_dim": 64, "hidden_size": 256})
    Traceback (most recent call last):
    ValueError: tied is True, and embedding_dim is 64: the readout of states needs embedding_dim = hidden_size, 256
    """
    check_parameters(parameters)
    for name, value in parameters.items():
        if name in _CHOICES:
            choice(_CHOICES[name])(name, value)
        if name == "n_layers":
            whole(1, 2)(name, value)
        if name == "n_steps":
            whole(1, np.inf, "a whole number of at least 1")(name, value)
        if name == "density":
            number("(0, 1]", "a number in (0, 1]")(name, value)
        if name == "sparse":
            check_sparse(value, parameters.get("tied"))
        if name == "tied" and not isinstance(value, bool | np.bool_):
            raise ValueError(f"tied is {short(value)}; expected True or False")
    if parameters.get("tied") and parameters["embedding_dim"] != parameters["hidden_size"]:
        raise ValueError(
            f"tied is True, and embedding_dim is {parameters['embedding_dim']}: the readout of states needs "
            f"embedding_dim = hidden_size, {parameters['hidden_size']}"
        )


def check_sparse(sparse, tied=False):
    """Reject matrices that cannot be sparse."""
    if not isinstance(sparse, list | tuple) or not sparse or not all(name in SPARSE_CHOICES for name in sparse):
        raise ValueError(f"sparse is {short(sparse)}; expected some of {', '.join(map(repr, SPARSE_CHOICES))}, a tuple")
    if tied and "W_out" in sparse:
        raise ValueError("sparse has 'W_out', but with tied=True there is none: the readout is as sparse as 'E'")


def engine_of(model):
    """The engine of a language model."""
    return make_engine(model.engine, kernel=model.kernel)


def sizes_of(model, n_words, n_labels):
    """The LanguageSizes of a model."""
    return LanguageSizes(n_words, model.embedding_dim, model.hidden_size, model.n_layers, model.tied, n_labels)


def initial_state(model, n_words, n_labels):
    """Network, optimizer and generators of a model before the first epoch."""
    streams = split_streams(np.random.default_rng(model.random_state))
    scale = model.embedding_scale
    if scale is None:
        scale = 1 / np.sqrt(model.hidden_size) if model.tied else 1.0
    network = init_language_network(
        sizes_of(model, n_words, n_labels),
        streams["topology"],
        streams["values"],
        sparse=() if model.connectivity == "dense" else model.sparse,
        density=model.density,
        embedding_scale=scale,
        dtype=np.dtype(model.dtype),
        engine=engine_of(model),
        **{name: getattr(model, name) for name in BUILT_IN},
    )
    for name, W in network.parameters.items():
        if isinstance(W, SparseMatrix) and W.nnz == 0:
            raise ValueError(f"density {model.density} leaves {name} without a connection: raise it")
    optimizer = network.engine.optimizers[model.optimizer](network.parameters, model.learning_rate)
    return TrainingState.start(network, optimizer, streams)
