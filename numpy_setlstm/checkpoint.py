"""Models on disk: one ``.npz`` file of plain arrays and a header in JSON.

Nothing is pickled, so that opening a file never runs code from it. A file is written under another name and then
moved into place, so that there is always a whole one. A digest of everything tells a file that was altered by accident.
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
from numpy_setlstm.optimizers import SGD, Adam, weights_of
from numpy_setlstm.sparse import SparseMatrix, Topology
from numpy_setlstm.topology import SetStep
from numpy_setlstm.training import STREAMS, TrainingState

FORMAT_VERSION = 1
_HEADER = "header"
_STATE_KEYS = ("epoch", "batch", "sums", "best_epoch", "interrupted", "torn")
_STEP_ARRAYS = ("pruned", "grown", "pruned_cells", "grown_cells")


class CheckpointError(ValueError):
    """A model file cannot be read; the message says what is wrong with it."""


def save_arrays(path, header, arrays):
    """Write a header and arrays to one ``.npz`` file, atomically.

    Parameters
    ----------
    path : str or Path
        The folder must exist; a file that is there is replaced only when the new one is whole.
    header : dict
        Anything that JSON can hold.
    arrays : dict of str to ndarray
        No object arrays.

    Raises
    ------
    TypeError
        If an array holds Python objects or the header something that JSON cannot.
    OSError
        If the file cannot be written; the old one, if any, is untouched.

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
    """Open a file that takes the place of `path` when it is whole; if anything fails, nothing has changed.

    Parameters
    ----------
    path : str or Path
        The folder must exist.

    Yields
    ------
    file
        Open for writing bytes.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "result.txt") as file:
    ...         _ = file.write(b"whole")
    ...     (Path(folder) / "result.txt").read_text()
    'whole'
    """
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
        os.chmod(file.name, 0o666 & ~umask)  # a temporary file is private; this one is to be like any other
        os.replace(file.name, path)
    except BaseException:
        os.unlink(file.name)
        raise


def load_arrays(path):
    """Read what :func:`save_arrays` wrote.

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
        If the file is cut short, altered, holds pickled objects, is of a newer format, or is no model file at all.

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
            raise ValueError("it holds files that are no arrays")
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no model file {path}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, MemoryError) as error:
        raise CheckpointError(
            f"{path} is no whole .npz file, it may be cut short or altered ({error}): save it anew"
        ) from None
    except (ValueError, KeyError, AttributeError, TypeError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{path} is no model of numpy_setlstm, or holds pickled objects, which are never loaded ({error})"
        ) from None
    if version != FORMAT_VERSION:
        hint = "upgrade numpy_setlstm" if isinstance(version, int) and version > FORMAT_VERSION else "save it anew"
        raise CheckpointError(
            f"{path} has format version {version}; this package reads version {FORMAT_VERSION}: {hint}"
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
    """Split a network into a header and arrays whose names begin with `prefix`.

    Parameters
    ----------
    prefix : str
        What the names of the arrays begin with.
    network : Network
        Is not changed.

    Returns
    -------
    header : dict
        Settings, shapes and names; all that JSON can hold.
    arrays : dict of str to ndarray
        Index arrays and values.

    Examples
    --------
    >>> from numpy_setlstm.network import NetworkSizes, init_network
    >>> network = init_network(NetworkSizes(20, 4, 4, 2), *np.random.default_rng(0).spawn(2), er_epsilon=1)
    >>> header, arrays = pack_network("network", network)
    >>> header["names"], sorted(arrays)[:3]
    (['E', 'W_x', 'W_h', 'b', 'W_out', 'b_out'], ['network/E/cols', 'network/E/rows', 'network/E/values'])
    """
    header = {key: value for key, value in vars(network).items() if key != "parameters" and key[0] != "_"}
    arrays = {}
    for name, W in network.parameters.items():
        if isinstance(W, SparseMatrix):
            header.setdefault("shapes", {})[name] = W.shape
            arrays[f"{prefix}/{name}/rows"], arrays[f"{prefix}/{name}/cols"] = W.rows, W.cols
        arrays[f"{prefix}/{name}/values"] = weights_of(W)
    header["names"] = list(network.parameters)
    return header, arrays


def unpack_network(prefix, header, arrays):
    """Undo :func:`pack_network`; every index and every weight is checked on the way.

    Parameters
    ----------
    prefix : str
        What the names of the arrays begin with.
    header : dict
        From :func:`pack_network`.
    arrays : dict of str to ndarray
        Others may be among them.

    Returns
    -------
    Network
        Bit for bit what was packed.

    Raises
    ------
    CheckpointError
        If a weight is NaN or infinite.
    ValueError
        If the connections of a matrix are out of order or out of range.

    Examples
    --------
    >>> from numpy_setlstm.network import NetworkSizes, init_network
    >>> network = init_network(NetworkSizes(20, 4, 4, 2), *np.random.default_rng(0).spawn(2), er_epsilon=1)
    >>> again = unpack_network("network", *pack_network("network", network))
    >>> np.array_equal(again.parameters["E"].values, network.parameters["E"].values)
    True
    """
    header = dict(header)
    shapes, names = header.pop("shapes", {}), header.pop("names")
    parameters = {}
    for name in names:
        values = arrays[f"{prefix}/{name}/values"]
        if not np.isfinite(values).all():
            raise CheckpointError(f"{name} has weights that are NaN or infinite; a model that diverged cannot be used")
        if name in shapes:
            values = SparseMatrix(
                shapes[name], arrays[f"{prefix}/{name}/rows"], arrays[f"{prefix}/{name}/cols"], values
            )
        parameters[name] = values
    return Network(parameters, **header)


def pack_state(state):
    """Split a :class:`~numpy_setlstm.training.TrainingState` into a header and arrays.

    Parameters
    ----------
    state : TrainingState
        Is not changed.

    Returns
    -------
    header : dict
        All that JSON can hold.
    arrays : dict of str to ndarray
        The rest.

    Examples
    --------
    >>> from numpy_setlstm.network import NetworkSizes, init_network
    >>> from numpy_setlstm.training import split_streams
    >>> network = init_network(NetworkSizes(20, 4, 4, 2), *np.random.default_rng(0).spawn(2), er_epsilon=1)
    >>> streams = split_streams(np.random.default_rng(1))
    >>> state = TrainingState.start(network, Adam(network.parameters, 0.01), streams)
    >>> header, arrays = pack_state(state)
    >>> header["epoch"], sorted(name for name in arrays if name.startswith("optimizer/W_h"))
    (0, ['optimizer/W_h/age', 'optimizer/W_h/m', 'optimizer/W_h/v'])
    """
    network_header, arrays = pack_network("network", state.network)
    header = {
        "network": network_header,
        "optimizer": {"kind": type(state.optimizer).__name__, "learning_rates": state.optimizer.learning_rates}
        | {"constants": state.optimizer.constants},
        "streams": {name: rng.bit_generator.state for name, rng in state.streams.items()},
        "initial_shapes": {name: topology.shape for name, topology in state.initial_topologies.items()},
        "history": {key: column for key, column in state.history.items() if key != "set_steps"},
        "set_steps": [{name: step.nnz for name, step in steps.items()} for steps in state.history["set_steps"]],
        "has_best": state.best_network is not None,
        "pretraining": state.pretraining,
    }
    header |= {key: getattr(state, key) for key in _STATE_KEYS}
    if state.best_network is not None:
        header["best"], best_arrays = pack_network("best", state.best_network)
        arrays |= best_arrays
    if state.order is not None:
        arrays["order"] = state.order
    for name, quantities in state.optimizer.state.items():
        arrays |= {f"optimizer/{name}/{quantity}": array for quantity, array in quantities.items()}
    for name, topology in state.initial_topologies.items():
        arrays |= {f"initial/{name}/rows": topology.rows, f"initial/{name}/cols": topology.cols}
    for k, steps in enumerate(state.history["set_steps"]):
        for name, step in steps.items():
            arrays |= {f"set_steps/{k}/{name}/{part}": getattr(step, part) for part in _STEP_ARRAYS}
    return header, arrays


def unpack_state(header, arrays):
    """Undo :func:`pack_state`.

    Parameters
    ----------
    header : dict
        From :func:`pack_state`.
    arrays : dict of str to ndarray
        From :func:`pack_state`.

    Returns
    -------
    TrainingState
        From which training goes on as if it had not stopped, bit for bit.

    Raises
    ------
    CheckpointError
        If a weight is NaN or infinite.

    Examples
    --------
    >>> from numpy_setlstm.network import NetworkSizes, init_network
    >>> from numpy_setlstm.training import split_streams
    >>> network = init_network(NetworkSizes(20, 4, 4, 2), *np.random.default_rng(0).spawn(2), er_epsilon=1)
    >>> streams = split_streams(np.random.default_rng(1))
    >>> state = TrainingState.start(network, Adam(network.parameters, 0.01), streams)
    >>> again = unpack_state(*pack_state(state))
    >>> again.streams["batches"].random() == state.streams["batches"].random()
    True
    """
    network = unpack_network("network", header["network"], arrays)
    kind = {"Adam": Adam, "SGD": SGD}[header["optimizer"]["kind"]]
    optimizer = kind(network.parameters, header["optimizer"]["learning_rates"], **header["optimizer"]["constants"])
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
        best_network=unpack_network("best", header["best"], arrays) if header["has_best"] else None,
        pretraining=header.get("pretraining"),  # models from before there was any do not have it
        **{key: header[key] for key in _STATE_KEYS},
    )
