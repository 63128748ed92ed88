r"""Weights from and to PyTorch, without needing PyTorch.

Both LSTMs compute the same and store their weights differently. Here an input is a row, :math:`z = x W_x + h W_h + b`,
and the gates stand side by side in the order i, f, o, g. In PyTorch an input is a column, so the matrices are
transposed and the gates stand one below the other, in the order i, f, g, o; and there are two biases, whose sum is all
that matters.

Source: the documentation of ``torch.nn.LSTM`` and ``torch.nn.Embedding``, PyTorch 2.13.
"""

import re
from collections.abc import Mapping

import numpy as np

from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.sparse import SparseMatrix

TORCH_GATES = ("i", "f", "g", "o")
LSTM_WEIGHTS = ("weight_ih_l0", "weight_hh_l0")
LSTM_BIASES = ("bias_ih_l0", "bias_hh_l0")
EMBEDDING_WEIGHT = "weight"


def from_torch(state_dict, *, prefix="", sparse=False):
    r"""Our parameters from the weights of a ``torch.nn.LSTM`` or a ``torch.nn.Embedding``.

    Parameters
    ----------
    state_dict : mapping of str to array_like or tensor
        PyTorch's names and weights, such as ``lstm.state_dict()``. Of an LSTM of one layer and one direction:
        ``weight_ih_l0`` (4H, D), ``weight_hh_l0`` (4H, H), ``bias_ih_l0`` (4H,) and ``bias_hh_l0`` (4H,), without the
        last two if it has ``bias=False``. Of an Embedding: ``weight`` (V, D).
    prefix : str, default ""
        Which part of a larger model to take: "lstm" takes the names that start with "lstm.", and no others.
    sparse : bool or mapping of str to array_like or tensor, default False
        False: the matrices are dense. True: they are sparse, and every weight that is not 0 is a connection. A mapping
        of masks, under the same names as the weights: a matrix with a mask is sparse, and every weight whose mask is
        not 0 is a connection, even a weight of 0; a matrix without a mask is dense.

    Returns
    -------
    dict of str to SparseMatrix or ndarray
        Of an LSTM: W_x (D, 4H), W_h (H, 4H) and b (4H,). Of an Embedding: E (V, D). Copies, in the data type of the
        tensors.

    Raises
    ------
    ValueError
        If a weight is missing or has the wrong shape, or if there are others: those of a second layer, of the backward
        direction, of a projection, of another kind of layer. The message names the first of them.
    TypeError
        If `state_dict` is not a mapping, or a weight is not made of floating point numbers that NumPy has.

    Notes
    -----
    The matrices keep every bit. :math:`b = b_{ih} + b_{hh}` is rounded once, and what each of the two was is lost. With
    ``bias=False``, b is 0.

    An Embedding's ``padding_idx`` is not among its weights. Here word 0 is padding, and its row changes no result; for
    another ``padding_idx``, move the rows first.

    Examples
    --------
    >>> state_dict = {
    ...     "weight_ih_l0": [[1.0], [2.0], [3.0], [0.0]],  # i, f, g, o
    ...     "weight_hh_l0": [[5.0], [6.0], [7.0], [8.0]],
    ...     "bias_ih_l0": [0.0, 1.0, 0.0, 0.0],
    ...     "bias_hh_l0": [0.5, 0.5, 0.5, 0.5],
    ... }
    >>> parameters = from_torch(state_dict)
    >>> parameters["W_x"], parameters["b"]  # i, f, o, g
    (array([[1., 2., 0., 3.]]), array([0.5, 1.5, 0.5, 0.5]))
    >>> from_torch(state_dict, sparse=True)["W_x"]
    SparseMatrix(shape=(1, 4), nnz=3, density=0.7500, dtype=float64)
    >>> from_torch({"embedding.weight": np.eye(2), "readout.weight": np.ones((1, 2))}, prefix="embedding")
    {'E': array([[1., 0.],
           [0., 1.]])}
    """
    weights = _under_prefix(state_dict, prefix)
    is_embedding = EMBEDDING_WEIGHT in weights
    _refuse_other_names(weights, (EMBEDDING_WEIGHT,) if is_embedding else LSTM_WEIGHTS + LSTM_BIASES)
    weights = {name: _as_floats(name, tensor) for name, tensor in weights.items()}
    masks = _masks(weights, _under_prefix(sparse, prefix) if isinstance(sparse, Mapping) else sparse)
    if is_embedding:
        _check_embedding_shape(EMBEDDING_WEIGHT, weights[EMBEDDING_WEIGHT])
        return {"E": _connections(weights[EMBEDDING_WEIGHT], masks.get(EMBEDDING_WEIGHT))}
    return _lstm_from_torch(weights, masks)


def to_torch(parameters, *, prefix=""):
    r"""Weights for a ``torch.nn.LSTM`` or a ``torch.nn.Embedding`` from our parameters.

    Parameters
    ----------
    parameters : mapping of str to SparseMatrix or ndarray
        W_x (D, 4H), W_h (H, 4H) and b (4H,) of an LSTM, without b for one with ``bias=False``; or E (V, D).
    prefix : str, default ""
        Where the layer stands in a larger model: "lstm" puts "lstm." before each name.

    Returns
    -------
    dict of str to ndarray
        ``weight_ih_l0`` (4H, D), ``weight_hh_l0`` (4H, H), ``bias_ih_l0`` (4H,), which is b, and ``bias_hh_l0`` (4H,),
        which is 0; or ``weight`` (V, D). Contiguous copies in the data type of the parameters; absent connections are
        0. Ready for ``lstm.load_state_dict({name: torch.from_numpy(array) for name, array in state_dict.items()})``.

    Raises
    ------
    ValueError
        If there are other parameters than those of one layer, or their shapes do not fit together.
    TypeError
        If a parameter is not made of floating point numbers.

    Notes
    -----
    ``from_torch(to_torch(parameters))`` gives back the same bits (a bias of -0.0 becomes 0.0). With ``sparse=True`` it
    also gives back the same connections, except those whose weight is exactly 0, such as new ones that start at 0.
    Masks keep these too; :func:`to_torch` makes masks from matrices whose connections all have the weight 1, see below.

    To train the same connections in PyTorch, multiply the gradients by the masks. And train one of the two biases only,
    with ``lstm.bias_hh_l0.requires_grad_(False)``: each of them gets the gradient of b, so that their sum would move
    twice as far.

    Examples
    --------
    >>> W_x = SparseMatrix((1, 4), [0, 0], [0, 3], [1.0, 0.0])  # into the gates i and g; the second weight is 0
    >>> W_h = np.array([[5.0, 6.0, 8.0, 7.0]])
    >>> state_dict = to_torch({"W_x": W_x, "W_h": W_h, "b": np.zeros(4)})
    >>> state_dict["weight_hh_l0"].tolist()  # i, f, g, o
    [[5.0], [6.0], [7.0], [8.0]]
    >>> masks = to_torch({"W_x": W_x.with_values(np.ones(2)), "W_h": np.ones((1, 4))})
    >>> masks["weight_ih_l0"].tolist()
    [[1.0], [0.0], [1.0], [0.0]]
    >>> from_torch(state_dict, sparse=masks)["W_x"].nnz
    2
    """
    if set(parameters) not in ({"W_x", "W_h", "b"}, {"W_x", "W_h"}, {"E"}):
        raise ValueError(
            f"the parameters are {', '.join(parameters)}; expected those of one layer, W_x, W_h and b of an LSTM or E "
            "of an Embedding: convert one layer at a time, as in to_torch({'E': parameters['E']})"
        )
    full = {name: _full(name, W) for name, W in parameters.items()}
    if "E" in full:
        _check_embedding_shape("E", full["E"])
        return {_with_dot(prefix) + EMBEDDING_WEIGHT: full["E"]}
    H, D = [*full["W_h"].shape, 0][0], [*full["W_x"].shape, 0][0]
    _check_lstm_shapes(full, H, {"W_h": (H, 4 * H), "W_x": (D, 4 * H), "b": (4 * H,)})
    order = _gate_positions(H, stored=GATES, wanted=TORCH_GATES)  # (4H,)
    state_dict = {
        "weight_ih_l0": np.ascontiguousarray(full["W_x"].T[order]),
        "weight_hh_l0": np.ascontiguousarray(full["W_h"].T[order]),
    }
    if "b" in full:
        state_dict |= {"bias_ih_l0": full["b"][order], "bias_hh_l0": np.zeros_like(full["b"])}
    return {_with_dot(prefix) + name: array for name, array in state_dict.items()}


def _lstm_from_torch(weights, masks):
    W_ih, W_hh = (weights[name] for name in LSTM_WEIGHTS)
    H, D = [0, *W_hh.shape][-1], [0, *W_ih.shape][-1]
    matrices = {"weight_hh_l0": (4 * H, H), "weight_ih_l0": (4 * H, D)}
    _check_lstm_shapes(weights, H, matrices | dict.fromkeys(LSTM_BIASES, (4 * H,)))
    order = _gate_positions(H, stored=TORCH_GATES, wanted=GATES)  # (4H,)
    masks = {name: mask[order].T for name, mask in masks.items()}
    has_bias = LSTM_BIASES[0] in weights
    b = weights["bias_ih_l0"] + weights["bias_hh_l0"] if has_bias else np.zeros(4 * H, W_hh.dtype)  # (4H,)
    return {
        "W_x": _connections(W_ih[order].T, masks.get("weight_ih_l0")),  # (D, 4H)
        "W_h": _connections(W_hh[order].T, masks.get("weight_hh_l0")),  # (H, 4H)
        "b": b[order],
    }


def _gate_positions(H, stored, wanted):
    """Where to find, in gates stored in one order, the 4H units of the gates in another: ndarray of shape (4H,)."""
    return np.concatenate([stored.index(gate) * H + np.arange(H) for gate in wanted])


def _connections(A, mask):
    """`A` as it is, in a copy of its own; or, with a mask, the SparseMatrix of the entries whose mask is not 0."""
    if mask is None:
        return np.array(A, order="C")
    rows, cols = np.nonzero(mask)
    return SparseMatrix(A.shape, rows, cols, A[rows, cols])


def _masks(weights, sparse):
    """Masks by name, of those weights that become a SparseMatrix."""
    matrices = [name for name in weights if name not in LSTM_BIASES]
    if isinstance(sparse, bool):
        return {name: weights[name] != 0 for name in matrices} if sparse else {}
    if not isinstance(sparse, Mapping):
        raise TypeError(f"sparse is a {type(sparse).__name__}; expected True, False or a mapping of names to masks")
    masks = {name: _as_array(name, mask) for name, mask in sparse.items() if name not in LSTM_BIASES}
    for name, mask in masks.items():
        if name not in matrices:
            raise ValueError(f"there is a mask for {name!r}; the matrices here are {', '.join(matrices)}")
        if mask.shape != weights[name].shape:
            raise ValueError(
                f"the mask of {name!r} has shape {mask.shape}; expected the weight's, {weights[name].shape}"
            )
    return masks


def _with_dot(prefix):
    return prefix if prefix == "" or prefix.endswith(".") else prefix + "."


def _under_prefix(state_dict, prefix):
    """Weights of one part of a model, by their names within this part."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"the weights are a {type(state_dict).__name__}; expected a mapping of PyTorch's names to tensors or "
            "arrays, such as lstm.state_dict()"
        )
    prefix = _with_dot(prefix)
    weights = {name[len(prefix) :]: tensor for name, tensor in state_dict.items() if name.startswith(prefix)}
    if not weights:
        raise ValueError(f"no name starts with {prefix!r}; the names are {list(state_dict)}")
    return weights


def _refuse_other_names(weights, expected):
    """Raise a ValueError if a weight is missing, or there is one that no layer of ours has."""
    parts = sorted({name.rpartition(".")[0] for name in weights if "." in name})
    for name in weights:
        if name not in expected:
            raise ValueError(f"cannot convert {name!r}: {_reason_against(name, parts)}")
    has_bias = any(name in weights for name in LSTM_BIASES)
    required = expected if has_bias or expected == (EMBEDDING_WEIGHT,) else LSTM_WEIGHTS
    for name in required:
        if name not in weights:
            raise ValueError(f"{name!r} is missing; an LSTM has {', '.join(required)}, here are {', '.join(weights)}")


def _reason_against(name, parts):
    if "." in name:
        return f"it is part of a larger model; say which part to convert, prefix={' or '.join(map(repr, parts))}"
    if name.endswith(("_orig", "_mask")):
        weight = name[: -len("_orig")]
        return f"the pruning is not finished; call torch.nn.utils.prune.remove(module, {weight!r}) and use sparse=True"
    if name.endswith("_reverse"):
        return "it is the backward direction of a bidirectional LSTM; expected bidirectional=False"
    if name.startswith("weight_hr"):
        return "it is a projection of the hidden state; expected an LSTM with proj_size=0"
    if re.fullmatch(r"(weight|bias)_(ih|hh)_l\d+", name):
        return (
            "the LSTM has more than one layer; expected num_layers=1. To convert one layer alone, pass its weights "
            "under the names that end in _l0"
        )
    return "expected an LSTM's weight_ih_l0, weight_hh_l0, bias_ih_l0 and bias_hh_l0, or an Embedding's weight alone"


def _as_array(name, tensor):
    if not hasattr(tensor, "detach"):
        return np.asarray(tensor)
    try:
        return tensor.detach().cpu().numpy()
    except TypeError as error:  # bfloat16, which NumPy does not have
        raise TypeError(f"{name!r} is no NumPy array ({error}); convert it first, as in tensor.float()") from error


def _as_floats(name, tensor):
    array = _as_array(name, tensor)
    if array.dtype.kind != "f":
        raise TypeError(f"{name!r} has dtype {array.dtype}; expected floating point numbers, such as float32")
    return array


def _full(name, W):
    """Parameter of ours, written out in full, in an array of its own, so that training one side leaves the other."""
    return _as_floats(name, W.toarray() if isinstance(W, SparseMatrix) else np.array(W, order="C"))


def _check_embedding_shape(name, E):
    if E.ndim != 2:
        raise ValueError(f"{name!r} has shape {E.shape}; expected (V, D), one row per word")


def _check_lstm_shapes(arrays, H, expected):
    for name, shape in expected.items():
        if name in arrays and arrays[name].shape != shape:
            raise ValueError(f"{name!r} has shape {arrays[name].shape}; expected {shape}: four gates of H = {H} units")
