"""Models on disk: one ``.npz`` file of plain arrays and a header in JSON.

Nothing is pickled, so opening a file never runs code from it. A digest of everything detects accidental changes; and
since anybody can compute a digest, what a file says is checked before it is used: every size against the others, every
number against its range. The same checks come before a file is written, so that a good one is not lost to a bad one.
"""

import contextlib
import hashlib
import json
from pathlib import Path

import numpy as np

from numpy_setlstm.files import UnreadableError, read_npz, replacing
from numpy_setlstm.model_check import check_evolution, check_gate_counts, check_model, check_optimizer_state
from numpy_setlstm.network import Network
from numpy_setlstm.optimizers import weights_of
from numpy_setlstm.sparse import SparseMatrix, Topology
from numpy_setlstm.topology import SetStep
from numpy_setlstm.training import STREAMS, TrainingState
from numpy_setlstm.weighting import as_pairs, from_pairs

__all__ = ["CheckpointError", "load_arrays", "save_arrays"]

FORMAT_VERSION = 6
SMALL_HEADER = 2**20
_HEADER = "header"
_STATE_KEYS = (
    "epoch", "batch", "n_updates", "n_averaged", "sums", "best_epoch", "first_weights", "notes", "interrupted",
    "inconsistent",
)  # fmt: skip
_MODEL_KEYS = (
    "model", "parameters", "own_lstm", "own_tokenizer", "fingerprint", "vocabulary", "format_version", "digest",
)  # fmt: skip
_STEP_ARRAYS = ("pruned", "grown", "pruned_cells", "grown_cells")


class CheckpointError(ValueError):
    """A model cannot be read, or must not be saved; the message says what is wrong with it."""


def save_arrays(path, header, arrays):
    """Write a header and arrays to one ``.npz`` file, atomically.

    Parameters
    ----------
    path : str or Path
        The folder must exist. An existing file is replaced only when the new one is complete; permissions are kept.
    header : dict
        Anything that JSON can hold.
    arrays : dict of str to ndarray
        No object arrays.

    Raises
    ------
    TypeError
        If an array holds Python objects or the header something that JSON cannot.
    OSError
        If the file, which the message names, cannot be written; an existing one is untouched.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_arrays(Path(folder) / "model.npz", {"name": "first"}, {"W": np.arange(3)})
    ...     header, arrays = load_arrays(Path(folder) / "model.npz")
    >>> header["name"], arrays["W"]
    ('first', array([0, 1, 2]))
    """
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise TypeError(f"{name} holds Python objects; expected plain numbers or text, which need no pickle")
        arrays[name] = array.astype(array.dtype.newbyteorder("<"), copy=False)
    text = json.dumps({"format_version": FORMAT_VERSION, **header, "digest": ""}, sort_keys=True, default=_plain)
    document = json.loads(text)
    document["digest"] = _digest(text, arrays)
    encoded = np.frombuffer(json.dumps(document, sort_keys=True).encode(), np.uint8)
    with replacing(path) as file:
        np.savez(file, **{_HEADER: encoded}, **arrays)


def load_arrays(path, max_bytes=None):
    """Read what :func:`save_arrays` wrote, by this version of the format or an older one.

    Parameters
    ----------
    path : str or Path
    max_bytes : int, optional
        Limit on the size of all arrays together. By default 4 GiB, and for a compressed file 16 times its size, which
        no file of this package reaches.

    Returns
    -------
    header : dict
        With ``format_version`` and ``digest``.
    arrays : dict of str to ndarray
        By the names under which they were saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    CheckpointError
        If the file is cut short, altered, holds pickled objects, has a newer format, is not a model file, or is larger
        than `max_bytes` when decompressed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     (Path(folder) / "model.npz").write_bytes(b"no model")
    ...     load_arrays(Path(folder) / "model.npz")
    Traceback (most recent call last):
    numpy_setlstm.checkpoint.CheckpointError: ...
    """
    path = Path(path)
    try:
        contents = read_npz(path, max_bytes)
        header, text = _parse_header(contents.pop(_HEADER, None), max(SMALL_HEADER, path.stat().st_size))
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no model file {path}") from None
    except UnreadableError as error:
        raise CheckpointError(f"{path} {error}") from None
    version = header["format_version"]
    if type(version) is not int or version not in range(1, FORMAT_VERSION + 1):
        hint = "upgrade numpy_setlstm" if isinstance(version, int) and version > FORMAT_VERSION else "save it again"
        raise CheckpointError(
            f"{path} has format version {str(version):.40}; this package reads versions 1 to {FORMAT_VERSION}: {hint}"
        )
    if header.get("digest") != _digest(text, contents):
        raise CheckpointError(f"{path} was altered after it was saved: its contents do not match its digest")
    return header, {name: array.astype(array.dtype.newbyteorder("="), copy=False) for name, array in contents.items()}


def _parse_header(encoded, limit):
    """The header as a dict, from an array of the bytes of its JSON; and the text that its digest is made of."""
    if encoded is None or encoded.dtype != np.uint8:
        raise UnreadableError("is not a model of numpy_setlstm: it has no header")
    if encoded.size > limit:
        raise UnreadableError(f"has a header of {encoded.size:,} bytes; the limit for a file of its size is {limit:,}")
    try:
        header = json.loads(encoded.tobytes().decode())
        if not isinstance(header, dict) or "format_version" not in header:
            raise ValueError("it has no format version")
        return header, json.dumps(header | {"digest": ""}, sort_keys=True)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"is not a model of numpy_setlstm: its header cannot be used ({error})") from None


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is {type(value).__name__}; expected a plain number or text, which can be saved")


def _digest(header_text, arrays):
    digest = hashlib.sha256(header_text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def pack_network(prefix, network):
    """Split a network into a header and arrays whose names begin with `prefix`; its engine is not part of it."""
    header = {name: getattr(network, name) for name in network.saved_settings}
    header["shapes"] = {name: W.shape for name, W in network.parameters.items() if isinstance(W, SparseMatrix)}
    header["names"] = list(network.parameters)
    arrays = {}
    for name, W in network.parameters.items():
        if isinstance(W, SparseMatrix):
            arrays[f"{prefix}/{name}/rows"], arrays[f"{prefix}/{name}/cols"] = W.rows, W.cols
        arrays[f"{prefix}/{name}/values"] = weights_of(W)
    return header, arrays


def unpack_network(prefix, header, arrays, engine, network_class=Network):
    """Undo :func:`pack_network`; every index is checked on the way."""
    header = dict(header)
    shapes, names = header.pop("shapes"), header.pop("names")
    parameters = {}
    for name in names:
        values = arrays[f"{prefix}/{name}/values"]
        if name in shapes:
            indices = arrays[f"{prefix}/{name}/rows"], arrays[f"{prefix}/{name}/cols"]
            values = SparseMatrix(shapes[name], *indices, values)
        parameters[name] = values
    return network_class(parameters, **header, engine=engine)


def pack_state(state):
    """Split a :class:`~numpy_setlstm.training.TrainingState` into a header, which JSON can hold, and arrays."""
    network_header, arrays = pack_network("network", state.network)
    optimizer = state.optimizer
    header = {
        "network": network_header,
        "optimizer": {name: getattr(optimizer, name) for name in ("kind", "learning_rates", "constants")},
        "streams": {name: rng.bit_generator.state for name, rng in state.streams.items()},
        "initial_shapes": {name: topology.shape for name, topology in state.initial_topologies.items()},
        "history": {key: column for key, column in state.history.items() if key != "set_steps"},
        "set_steps": [{name: step.nnz for name, step in steps.items()} for steps in state.history["set_steps"]],
        "has_best": state.best_network is not None,
    }
    header |= {key: getattr(state, key) for key in _STATE_KEYS}
    if state.best_network is not None:
        header["best"], best_arrays = pack_network("best", state.best_network)
        arrays |= best_arrays
    if state.order is not None:
        arrays["order"] = state.order
    for part in ("average", "averaged_from", "carried"):
        arrays |= {f"{part}/{name}": array for name, array in getattr(state, part).items()}
    for name, quantities in optimizer.state.items():
        arrays |= {f"optimizer/{name}/{quantity}": array for quantity, array in quantities.items()}
    for name, topology in state.initial_topologies.items():
        arrays |= {f"initial/{name}/rows": topology.rows, f"initial/{name}/cols": topology.cols}
    for k, steps in enumerate(state.history["set_steps"]):
        for name, step in steps.items():
            arrays |= {f"set_steps/{k}/{name}/{part}": getattr(step, part) for part in _STEP_ARRAYS}
    return header, arrays


def unpack_state(header, arrays, engine, network_class=Network):
    """Undo :func:`pack_state`: a state from which training continues bitwise as if it had not stopped.

    `network_class` is that of its networks.
    """
    network = unpack_network("network", header["network"], arrays, engine, network_class)
    kind, rates, constants = (header["optimizer"][name] for name in ("kind", "learning_rates", "constants"))
    optimizer = network.engine.optimizers[kind](network.parameters, rates, **constants)
    check_optimizer_state(optimizer.state, arrays, header["own_lstm"])
    for name, quantities in optimizer.state.items():
        for quantity in quantities:
            quantities[quantity] = arrays[f"optimizer/{name}/{quantity}"]
    streams = {}
    for name in STREAMS:
        streams[name] = np.random.default_rng()
        streams[name].bit_generator.state = header["streams"][name]
    set_steps = [
        {
            name: SetStep(nnz, *(arrays[f"set_steps/{k}/{name}/{part}"] for part in _STEP_ARRAYS))
            for name, nnz in sizes.items()
        }
        for k, sizes in enumerate(header["set_steps"])
    ]
    best_network = None
    if header["has_best"]:
        best_network = unpack_network("best", header["best"], arrays, network.engine, network_class)
    shapes = header["initial_shapes"]
    state = TrainingState(
        network=network,
        optimizer=optimizer,
        streams=streams,
        initial_topologies={
            name: Topology(shapes[name], arrays[f"initial/{name}/rows"], arrays[f"initial/{name}/cols"])
            for name in header["network"]["names"]  # in their order, which JSON's tables do not keep
            if name in shapes
        },
        order=arrays.get("order"),
        average={name: arrays[f"average/{name}"] for name in network.parameters if header["n_averaged"]},
        averaged_from={name: arrays[f"averaged_from/{name}"] for name in shapes if f"averaged_from/{name}" in arrays},
        carried={name: arrays[f"carried/{name}"] for name in network.carried_shapes if f"carried/{name}" in arrays},
        history=header["history"] | {"set_steps": set_steps},
        best_network=best_network,
        **{key: header[key] for key in _STATE_KEYS},
    )
    check_evolution(state)
    check_gate_counts(state)
    _check_same(pack_state(state), header, arrays)
    return state


def _check_same(packed, header, arrays):
    """ValueError if a state would be saved otherwise than it was found: something is unknown, or was converted."""
    again, kept = json.loads(json.dumps(packed[0], default=_plain)), packed[1]
    for name in sorted(header.keys() - set(_MODEL_KEYS)):
        if name not in again:
            raise ValueError(f"it has a field {name!r}, which no model has")
        found, wanted = (json.dumps(part[name], sort_keys=True) for part in (header, again))
        if found != wanted:
            raise ValueError(f"{name} is {found:.60}; expected {wanted:.60}")
    for name in sorted((arrays.keys() | kept.keys()) - {"classes"}):
        found, wanted = (
            f"{part[name].dtype} of shape {part[name].shape}" if name in part else "nothing" for part in (arrays, kept)
        )
        if found != wanted:
            raise ValueError(f"the array {name} is {found}; expected {wanted}")


def pack_parameters(parameters):
    """The entries of a header for a classifier's parameters; what is code, or is in the network, is left out."""
    lstm, tokenizer = parameters["lstm"], parameters["tokenizer"]
    kept = parameters | dict.fromkeys(("random_state", "lstm", "tokenizer", "word_vectors"))
    return {
        "parameters": kept | {"class_weight": as_pairs(parameters["class_weight"])},
        "own_lstm": None if lstm is None else [getattr(part, "__qualname__", "?") for part in lstm],
        "own_tokenizer": None if tokenizer is None else getattr(tokenizer, "__qualname__", "?"),
    }


def unpack_parameters(header):
    """Undo :func:`pack_parameters`."""
    return header["parameters"] | {"class_weight": from_pairs(header["parameters"]["class_weight"])}


def save_model(path, header, arrays, check=check_model):
    """Write a model's header and arrays, unless they could not be loaded again; an old file then remains."""
    header = json.loads(json.dumps(header, default=_plain))
    with explained(f"{path} was not written, as this model could not be loaded again"):
        check(header, arrays)
    save_arrays(path, header, arrays)


@contextlib.contextmanager
def explained(what):
    """Turn any error about the parts of a model into a CheckpointError of one line that begins with `what`."""
    try:
        yield
    except CheckpointError:
        raise
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        raise CheckpointError(f"{what}: {' '.join(reason.split())}") from error


def load_model(path, lstm=None, max_bytes=None):
    """Header, in today's format, and arrays of a model; it needs the same kind of `lstm` that it was trained with."""
    header, arrays = load_arrays(path, max_bytes)
    if "model" in header:
        raise CheckpointError(f"{path} is a language model: load it with SetLSTMLanguageModel.load")
    with explained(f"{path} cannot be loaded as a SetLSTMClassifier"):
        header = upgrade(header)
        check_model(header, arrays)
    own = header["own_lstm"]
    if (own is None) != (lstm is None):
        trained_with = "the package's LSTM" if own is None else " and ".join(own)
        raise CheckpointError(
            f"{path} was trained with {trained_with}: load it {'without' if own is None else 'with'} "
            "lstm=(forward, backward)"
        )
    return header, arrays


def check_names(header, parameters):
    """ValueError if a file of today's format lacks one of the classifier's `parameters`; older ones have fewer."""
    missing = parameters.keys() - header["parameters"].keys()
    if missing and header["format_version"] == FORMAT_VERSION:
        raise ValueError(f"it has no parameter {', '.join(sorted(missing))}")


def upgrade(header):
    """The header of a model in today's format, from any version of it."""
    if header["format_version"] == FORMAT_VERSION:
        return header
    header = _from_format_3(header) if header["format_version"] < 4 else header
    added = {"keep_gate_counts": False, "averaging_interval": 5}  # in format 5
    added |= {} if "model" in header else {"n_jobs": None}  # in format 6, instead of `n_threads`
    return header | {"parameters": {k: v for k, v in (added | header["parameters"]).items() if k != "n_threads"}}


def _from_format_3(header):
    """The header of a model in format 4, from an older one."""
    header = _from_format_1(header) if header["format_version"] == 1 else header
    added = {"bidirectional": False, "class_weight": None, "warm_start": False}  # in format 3
    added |= {"candidates": None, "evolve_every": None, "evolve_from": 0.0, "evolve_until": None}  # in format 4
    added |= {"every_word": False, "frequency_exponent": 0.0, "pooling": "last", "averaging": 0.0}
    networks = {name: header[name] | {"pooling": "last"} for name in ("network", "best") if name in header}
    evolved_at = [[k + 1, 0] for k in range(len(header["set_steps"]))]  # between epochs: there was no other way
    return header | networks | {
        "parameters": added | header["parameters"],
        "history": header["history"] | {"evolved_at": evolved_at},
        "n_updates": 0,
        "n_averaged": 0,
    }  # fmt: skip


def _from_format_1(header):
    """The header of a model of version 0.1.0 in format 2."""
    header = dict(header)
    parameters = dict(header["parameters"])
    parameters["parameter_share"] = parameters.pop("density")
    pretraining = header.pop("pretraining", None)
    inconsistent = header.pop("torn")
    keys = ("validation_loss", "validation_accuracy")
    first = {key.split("_")[1]: pretraining[key] for key in keys if key in pretraining} if pretraining else None
    networks = {name: dict(header[name]) for name in ("network", "best") if name in header}
    for network in networks.values():
        network.pop("kernel"), network.pop("n_threads", None)
        network.setdefault("shapes", {})
    return header | networks | {
        "parameters": parameters | {"engine": "fast", "lstm": None, "check": True},
        "optimizer": header["optimizer"] | {"kind": header["optimizer"]["kind"].lower()},
        "inconsistent": inconsistent,
        "first_weights": first,
        "notes": {"pretraining": pretraining} if pretraining else {},
        "own_lstm": None,
        "own_tokenizer": None,
    }  # fmt: skip
