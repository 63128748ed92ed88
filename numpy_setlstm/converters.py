r"""Conversion of weights from and to PyTorch, without needing PyTorch.

Both LSTMs compute the same but store their weights differently. Here inputs are rows, :math:`z = x W_x + h W_h + b`,
with the gates side by side in the order i, f, o, g. In PyTorch inputs are columns, so the matrices are transposed, with
the gates one below the other in the order i, f, g, o; and there are two biases, of which only the sum matters.

Source: the documentation of ``torch.nn.LSTM`` and ``torch.nn.Embedding``, PyTorch 2.13.
"""

import re
from collections.abc import Mapping

import numpy as np

from numpy_setlstm.checks import as_array, instance
from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.sparse import SparseMatrix

TORCH_GATES = ("i", "f", "g", "o")
LSTM_WEIGHTS = ("weight_ih_l0", "weight_hh_l0")
LSTM_BIASES = ("bias_ih_l0", "bias_hh_l0")
REVERSE = "_reverse"  # ends the names of the second direction, there as here
EMBEDDING_WEIGHT = "weight"


def from_torch(state_dict, *, prefix="", sparse=False):
    r"""Convert the weights of a ``torch.nn.LSTM`` or a ``torch.nn.Embedding`` to the parameters of this package.

    Parameters
    ----------
    state_dict : mapping of str to array_like or tensor
        Weights by PyTorch's names, such as ``lstm.state_dict()``. For an LSTM of one layer: ``weight_ih_l0`` (4H, D),
        ``weight_hh_l0`` (4H, H) and, unless it has ``bias=False``, ``bias_ih_l0`` (4H,) and ``bias_hh_l0`` (4H,); with
        ``bidirectional=True`` also those that end in ``_reverse``. For an Embedding: ``weight`` (V, D).
    prefix : str, default ""
        The part of a larger model to convert: "lstm" selects the names that start with "lstm.".
    sparse : bool or mapping of str to array_like or tensor, default False
        False: the matrices are dense. True: they are sparse, with a connection for every nonzero weight. A mapping of
        masks by the names of the weights: a matrix with a mask is sparse, with a connection for every nonzero entry of
        the mask, even if its weight is 0; a matrix without a mask is dense.

    Returns
    -------
    dict of str to SparseMatrix or ndarray
        For an LSTM: W_x (D, 4H), W_h (H, 4H) and b (4H,), and if it is bidirectional W_x_reverse, W_h_reverse and
        b_reverse. For an Embedding: E (V, D). Copies, with the data type of the tensors.

    Raises
    ------
    ValueError
        If a weight is missing or has the wrong shape, or if there are others, such as those of a second layer, of a
        projection or of another kind of layer; the message names the first of them.
    TypeError
        If `state_dict` is not a mapping, or a weight does not have a floating-point type that NumPy has.

    Notes
    -----
    The matrices keep every bit. :math:`b = b_{ih} + b_{hh}` is rounded once, and the two terms are lost. With
    ``bias=False``, b is 0.

    An Embedding's ``padding_idx`` is not in its weights. Here word 0 is padding, and its row affects no result; for
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
    lstm_names = LSTM_WEIGHTS + LSTM_BIASES
    if any(name.removesuffix(REVERSE) in lstm_names for name in weights if name.endswith(REVERSE)):
        lstm_names += tuple(name + REVERSE for name in lstm_names)
    _check_names(weights, (EMBEDDING_WEIGHT,) if is_embedding else lstm_names)
    weights = {name: _as_floats(name, tensor) for name, tensor in weights.items()}
    masks = _masks(weights, _under_prefix(sparse, prefix) if isinstance(sparse, Mapping) else sparse)
    if is_embedding:
        _check_embedding_shape(EMBEDDING_WEIGHT, weights[EMBEDDING_WEIGHT])
        return {"E": _connections(weights[EMBEDDING_WEIGHT], masks.get(EMBEDDING_WEIGHT))}
    return _lstm_from_torch(weights, masks)


def to_torch(parameters, *, prefix=""):
    r"""Convert parameters of this package to weights of a ``torch.nn.LSTM`` or a ``torch.nn.Embedding``.

    Parameters
    ----------
    parameters : mapping of str to SparseMatrix or ndarray
        W_x (D, 4H), W_h (H, 4H) and b (4H,) of an LSTM, without b for ``bias=False``, and W_x_reverse, W_h_reverse and
        b_reverse of a bidirectional one; or E (V, D).
    prefix : str, default ""
        Name of the layer in a larger model: "lstm" puts "lstm." before each name.

    Returns
    -------
    dict of str to ndarray
        ``weight_ih_l0`` (4H, D), ``weight_hh_l0`` (4H, H), ``bias_ih_l0`` (4H,), which is b, and ``bias_hh_l0`` (4H,),
        which is 0; for ``bidirectional=True`` also those that end in ``_reverse``; or ``weight`` (V, D). Contiguous
        copies with the data type of the parameters; absent connections are
        0. Load them by ``lstm.load_state_dict({name: torch.from_numpy(array) for name, array in state_dict.items()})``.

    Raises
    ------
    ValueError
        If the parameters are not those of one layer, or their shapes do not fit together.
    TypeError
        If a parameter does not consist of floating-point numbers.

    Notes
    -----
    ``from_torch(to_torch(parameters))`` returns the same bits (but -0.0 in b becomes 0.0). With ``sparse=True`` it also
    returns the same connections, except those whose weight is exactly 0, such as new ones that start at 0. Masks keep
    these too: :func:`to_torch` makes masks from matrices whose weights are all 1, as below.

    To train the same connections in PyTorch, multiply the gradients by the masks, and train only one bias, with
    ``lstm.bias_hh_l0.requires_grad_(False)``: both have the gradient of b, so their sum would move twice as far.

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
    instance(Mapping, "a dict of W_x, W_h and b, or of E")("parameters", parameters)
    one_direction = ({"W_x", "W_h", "b"}, {"W_x", "W_h"})
    if set(parameters) not in (
        *one_direction,
        *(names | {n + REVERSE for n in names} for names in one_direction),
        {"E"},
    ):
        raise ValueError(
            f"the parameters are {', '.join(map(str, parameters))}; expected those of one layer, W_x, W_h and b of an "
            "LSTM or E of an Embedding: convert one layer at a time, as in to_torch({'E': parameters['E']})"
        )
    full = {name: _full(name, W) for name, W in parameters.items()}
    if "E" in full:
        _check_embedding_shape("E", full["E"])
        return {_with_dot(prefix) + EMBEDDING_WEIGHT: full["E"]}
    state_dict = _lstm_to_torch(full)
    if "W_x_reverse" in full:
        reverse = {name.removesuffix(REVERSE): W for name, W in full.items() if name.endswith(REVERSE)}
        if reverse["W_x"].shape != full["W_x"].shape:
            raise ValueError(
                f"'W_x_reverse' has shape {reverse['W_x'].shape}; expected that of W_x, {full['W_x'].shape}"
            )
        state_dict |= {name + REVERSE: array for name, array in _lstm_to_torch(reverse).items()}
    return {_with_dot(prefix) + name: array for name, array in state_dict.items()}


def _lstm_to_torch(full):
    """The weights of one direction in PyTorch's form, by its names."""
    H, D = [*full["W_h"].shape, 0][0], [*full["W_x"].shape, 0][0]
    _check_lstm_shapes(full, H, {"W_h": (H, 4 * H), "W_x": (D, 4 * H), "b": (4 * H,)})
    order = _gate_positions(H, stored=GATES, wanted=TORCH_GATES)  # (4H,)
    state_dict = {
        "weight_ih_l0": np.ascontiguousarray(full["W_x"].T[order]),
        "weight_hh_l0": np.ascontiguousarray(full["W_h"].T[order]),
    }
    if "b" in full:
        state_dict |= {"bias_ih_l0": full["b"][order], "bias_hh_l0": np.zeros_like(full["b"])}
    return state_dict


def _lstm_from_torch(weights, masks):
    """The parameters of an LSTM of one or two directions, which have equal shapes."""
    W_ih, W_hh = (weights[name] for name in LSTM_WEIGHTS)
    H, D = [0, *W_hh.shape][-1], [0, *W_ih.shape][-1]
    shapes = {"weight_hh_l0": (4 * H, H), "weight_ih_l0": (4 * H, D)} | dict.fromkeys(LSTM_BIASES, (4 * H,))
    _check_lstm_shapes(weights, H, shapes | {name + REVERSE: shape for name, shape in shapes.items()})
    order = _gate_positions(H, stored=TORCH_GATES, wanted=GATES)  # (4H,)
    parameters = {}
    for end in ("", REVERSE)[: 1 + (LSTM_WEIGHTS[0] + REVERSE in weights)]:
        for name, matrix in zip(("W_x", "W_h"), LSTM_WEIGHTS, strict=True):
            mask = masks.get(matrix + end)
            parameters[name + end] = _connections(
                weights[matrix + end][order].T, None if mask is None else mask[order].T
            )
        has_bias = LSTM_BIASES[0] in weights
        b = weights["bias_ih_l0" + end] + weights["bias_hh_l0" + end] if has_bias else np.zeros(4 * H, W_hh.dtype)
        parameters["b" + end] = b[order]
    return parameters


def _gate_positions(H, stored, wanted):
    """Return the indices (4H,) that reorder the gates from the stored to the wanted order."""
    return np.concatenate([stored.index(gate) * H + np.arange(H) for gate in wanted])


def _connections(A, mask):
    """Return a copy of `A` or, given a mask, the SparseMatrix of the entries where it is not 0."""
    if mask is None:
        return np.array(A, order="C")
    rows, cols = np.nonzero(mask)
    return SparseMatrix(A.shape, rows, cols, A[rows, cols])


def _masks(weights, sparse):
    """Return, by name, the masks of the weights that become a SparseMatrix."""
    matrices = [name for name in weights if name.removesuffix(REVERSE) not in LSTM_BIASES]
    if isinstance(sparse, bool):
        return {name: weights[name] != 0 for name in matrices} if sparse else {}
    if not isinstance(sparse, Mapping):
        raise TypeError(f"sparse is a {type(sparse).__name__}; expected True, False or a mapping of names to masks")
    masks = {name: _as_array(name, mask) for name, mask in sparse.items()}
    masks = {name: mask for name, mask in masks.items() if name.removesuffix(REVERSE) not in LSTM_BIASES}
    for name, mask in masks.items():
        if name not in matrices:
            raise ValueError(f"there is a mask for {name!r}; the matrices are {', '.join(matrices)}")
        if mask.shape != weights[name].shape:
            raise ValueError(
                f"the mask of {name!r} has shape {mask.shape}; expected the weight's, {weights[name].shape}"
            )
    return masks


def _with_dot(prefix):
    instance(str, "the name of a layer, such as 'lstm'")("prefix", prefix)
    return prefix if prefix == "" or prefix.endswith(".") else prefix + "."


def _under_prefix(state_dict, prefix):
    """Return the weights of one part of a model, by their names within that part."""
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


def _check_names(weights, expected):
    """Raise a ValueError if a weight is missing, or there is any other."""
    parts = sorted({name.rpartition(".")[0] for name in weights if "." in name})
    for name in weights:
        if name not in expected:
            raise ValueError(f"cannot convert {name!r}: {_why_unexpected(name, parts)}")
    has_bias = any(name.removesuffix(REVERSE) in LSTM_BIASES for name in weights)
    required = expected if has_bias else [name for name in expected if name.removesuffix(REVERSE) not in LSTM_BIASES]
    for name in required:
        if name not in weights:
            raise ValueError(f"{name!r} is missing; expected {', '.join(required)}, got {', '.join(weights)}")


def _why_unexpected(name, parts):
    if "." in name:
        return f"it is part of a larger model; name the part to convert, prefix={' or '.join(map(repr, parts))}"
    if name.endswith(("_orig", "_mask")):
        weight = name[: -len("_orig")]
        return f"the pruning is not permanent; call torch.nn.utils.prune.remove(module, {weight!r}) and use sparse=True"
    if name.startswith("weight_hr"):
        return "it is a projection of the hidden state; expected an LSTM with proj_size=0"
    if re.fullmatch(r"(weight|bias)_(ih|hh)_l\d+", name):
        return (
            "the LSTM has more than one layer; expected num_layers=1. To convert a single layer, pass its weights "
            "under the names that end in _l0"
        )
    return "expected an LSTM's weight_ih_l0, weight_hh_l0, bias_ih_l0 and bias_hh_l0, or an Embedding's weight alone"


def _as_array(name, tensor):
    if not hasattr(tensor, "detach"):
        return as_array(name, tensor, None)
    try:
        return tensor.detach().cpu().numpy()
    except TypeError as error:  # bfloat16, which NumPy does not have
        raise TypeError(f"{name!r} is not a NumPy array ({error}); convert it first, as in tensor.float()") from error


def _as_floats(name, tensor):
    array = _as_array(name, tensor)
    if array.dtype.kind != "f":
        raise TypeError(f"{name!r} has dtype {array.dtype}; expected floating-point numbers, such as float32")
    return array


def _full(name, W):
    """Return a parameter as a dense copy, so that training one side does not change the other."""
    return _as_floats(name, W.toarray() if isinstance(W, SparseMatrix) else as_array(name, W, None).copy("C"))


def _check_embedding_shape(name, E):
    if E.ndim != 2:
        raise ValueError(f"{name!r} has shape {E.shape}; expected (V, D), one row per word")


def _check_lstm_shapes(arrays, H, expected):
    for name, shape in expected.items():
        if name in arrays and arrays[name].shape != shape:
            raise ValueError(f"{name!r} has shape {arrays[name].shape}; expected {shape}: four gates of H = {H} units")
