"""Models on disk: one ``.npz`` file of plain arrays and a header in JSON.

Nothing is pickled, so opening a file never runs code from it. A file is written under another name and then moved into
place, so that there is always a complete one. A digest of everything detects accidental changes.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np

from numpy_setlstm.network import Network
from numpy_setlstm.optimizers import weights_of
from numpy_setlstm.sparse import SparseMatrix, Topology
from numpy_setlstm.topology import SetStep
from numpy_setlstm.training import STREAMS, TrainingState

__all__ = ["CheckpointError", "load_arrays", "save_arrays"]

FORMAT_VERSION = 2
_HEADER = "header"
_STATE_KEYS = ("epoch", "batch", "sums", "best_epoch", "first_weights", "notes", "interrupted", "inconsistent")
_STEP_ARRAYS = ("pruned", "grown", "pruned_cells", "grown_cells")


class CheckpointError(ValueError):
    """A model file cannot be read; the message says what is wrong with it."""


def save_arrays(path, header, arrays):
    """Write a header and arrays to one ``.npz`` file, atomically.

    Parameters
    ----------
    path : str or Path
        The folder must exist; an existing file is replaced only when the new one is complete.
    header : dict
        Anything that JSON can hold.
    arrays : dict of str to ndarray
        No object arrays.

    Raises
    ------
    TypeError
        If an array holds Python objects or the header something that JSON cannot.
    OSError
        If the file cannot be written; an existing one is untouched.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_arrays(Path(folder) / "model.npz", {"name": "first"}, {"W": np.arange(3)})
    ...     header, arrays = load_arrays(Path(folder) / "model.npz")
    >>> header["name"], arrays["W"]
    ('first', array([0, 1, 2]))
    """
    path = Path(path)
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise TypeError(f"{name} holds Python objects; expected plain numbers or text, which need no pickle")
    text = json.dumps({"format_version": FORMAT_VERSION, **header, "digest": ""}, sort_keys=True, default=_plain)
    document = json.loads(text)
    document["digest"] = _digest(text, arrays)
    encoded = np.frombuffer(json.dumps(document, sort_keys=True).encode(), np.uint8)
    with replacing(path) as file:
        np.savez(file, **{_HEADER: encoded}, **arrays)


@contextlib.contextmanager
def replacing(path):
    """Open a file for writing bytes that replaces `path` when it is complete; if anything fails, nothing changes."""
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} to write {path.name} into: make it first")
    umask = os.umask(0)
    os.umask(umask)
    file = tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name + ".", suffix=".part", delete=False)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(file.name, 0o666 & ~umask)  # a temporary file is private; this one gets the usual permissions
        os.replace(file.name, path)
    except BaseException:
        os.unlink(file.name)
        raise


def load_arrays(path):
    """Read what :func:`save_arrays` wrote, by this version of the format or an older one.

    Parameters
    ----------
    path : str or Path

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
        If the file is cut short, altered, holds pickled objects, has a newer format, or is not a model file.

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
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            contents = {name: file[name] for name in file.files}
        header = json.loads(contents.pop(_HEADER).tobytes().decode())
        version = header["format_version"]
        if not all(isinstance(array, np.ndarray) for array in contents.values()):
            raise ValueError("it contains files that are not arrays")
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no model file {path}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, MemoryError) as error:
        raise CheckpointError(
            f"{path} is not a complete .npz file, it may be cut short or altered ({error}): save it again"
        ) from None
    except (ValueError, KeyError, AttributeError, TypeError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{path} is not a model of numpy_setlstm, or holds pickled objects, which are never loaded ({error})"
        ) from None
    if version not in range(1, FORMAT_VERSION + 1):
        hint = "upgrade numpy_setlstm" if isinstance(version, int) and version > FORMAT_VERSION else "save it again"
        raise CheckpointError(
            f"{path} has format version {version}; this package reads versions 1 to {FORMAT_VERSION}: {hint}"
        )
    if header.get("digest") != _digest(json.dumps({**header, "digest": ""}, sort_keys=True), contents):
        raise CheckpointError(f"{path} was altered after it was saved: its contents do not match its digest")
    return header, contents


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
    header = {name: getattr(network, name) for name in ("scales", "embedding_dropout", "dropout")}
    header["shapes"] = {name: W.shape for name, W in network.parameters.items() if isinstance(W, SparseMatrix)}
    header["names"] = list(network.parameters)
    arrays = {}
    for name, W in network.parameters.items():
        if isinstance(W, SparseMatrix):
            arrays[f"{prefix}/{name}/rows"], arrays[f"{prefix}/{name}/cols"] = W.rows, W.cols
        arrays[f"{prefix}/{name}/values"] = weights_of(W)
    return header, arrays


def unpack_network(prefix, header, arrays, engine):
    """Undo :func:`pack_network`; every index and every weight is checked on the way."""
    header = dict(header)
    shapes, names = header.pop("shapes"), header.pop("names")
    parameters = {}
    for name in names:
        values = arrays[f"{prefix}/{name}/values"]
        if not np.isfinite(values).all():
            raise CheckpointError(f"{name} has weights that are NaN or infinite; a model that diverged cannot be used")
        if name in shapes:
            indices = arrays[f"{prefix}/{name}/rows"], arrays[f"{prefix}/{name}/cols"]
            values = SparseMatrix(shapes[name], *indices, values)
        parameters[name] = values
    return Network(parameters, **header, engine=engine)


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
    for name, quantities in optimizer.state.items():
        arrays |= {f"optimizer/{name}/{quantity}": array for quantity, array in quantities.items()}
    for name, topology in state.initial_topologies.items():
        arrays |= {f"initial/{name}/rows": topology.rows, f"initial/{name}/cols": topology.cols}
    for k, steps in enumerate(state.history["set_steps"]):
        for name, step in steps.items():
            arrays |= {f"set_steps/{k}/{name}/{part}": getattr(step, part) for part in _STEP_ARRAYS}
    return header, arrays


def unpack_state(header, arrays, engine):
    """Undo :func:`pack_state`: a state from which training continues bitwise as if it had not stopped."""
    network = unpack_network("network", header["network"], arrays, engine)
    kind, rates, constants = (header["optimizer"][name] for name in ("kind", "learning_rates", "constants"))
    optimizer = network.engine.optimizers[kind](network.parameters, rates, **constants)
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
        best_network = unpack_network("best", header["best"], arrays, network.engine)
    return TrainingState(
        network=network,
        optimizer=optimizer,
        streams=streams,
        initial_topologies={
            name: Topology(shape, arrays[f"initial/{name}/rows"], arrays[f"initial/{name}/cols"])
            for name, shape in header["initial_shapes"].items()
        },
        order=arrays.get("order"),
        history=header["history"] | {"set_steps": set_steps},
        best_network=best_network,
        **{key: header[key] for key in _STATE_KEYS},
    )


def load_model(path, lstm=None):
    """Header, in today's format, and arrays of a model; it needs the same kind of `lstm` that it was trained with."""
    header, arrays = load_arrays(path)
    header = upgrade(header)
    own = header["own_lstm"]
    if (own is None) != (lstm is None):
        trained_with = "the package's LSTM" if own is None else " and ".join(own)
        raise CheckpointError(
            f"{path} was trained with {trained_with}: load it {'without' if own is None else 'with'} "
            "lstm=(forward, backward)"
        )
    return header, arrays


def upgrade(header):
    """The header of a model in today's format, from any version of it."""
    if header["format_version"] >= 2:
        return header
    header = dict(header)
    parameters = dict(header["parameters"])
    parameters["parameter_share"] = parameters.pop("density")
    pretraining = header.pop("pretraining", None)
    keys = ("validation_loss", "validation_accuracy")
    first = {key.split("_")[1]: pretraining[key] for key in keys if key in pretraining} if pretraining else None
    networks = {name: dict(header[name]) for name in ("network", "best") if name in header}
    for network in networks.values():
        network.pop("kernel"), network.pop("n_threads", None)
        network.setdefault("shapes", {})
    return header | networks | {
        "parameters": parameters | {"engine": "fast", "lstm": None, "check": True},
        "optimizer": header["optimizer"] | {"kind": header["optimizer"]["kind"].lower()},
        "inconsistent": header.pop("torn"),
        "first_weights": first,
        "notes": {"pretraining": pretraining} if pretraining else {},
        "own_lstm": None,
    }  # fmt: skip
