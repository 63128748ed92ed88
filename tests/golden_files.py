"""What PyTorch computed, from the files in tests/golden: how to load it, convert it and compare with it.

tests/golden/make_golden.py says what is in the files and how to make them again.
"""

import json
from pathlib import Path

import numpy as np

from numpy_setlstm.converters import from_torch
from numpy_setlstm.optimizers import OPTIMIZERS
from numpy_setlstm.sparse import SparseMatrix, weights_of

FOLDER = Path(__file__).parent / "golden"
LIMIT = 1e-10


def golden_names(prefix=""):
    """Names of the files that begin with `prefix`, such as "lstm", "embedding" or "network"."""
    return sorted(path.stem for path in FOLDER.glob(f"{prefix}*.npz"))


def load_golden(name):
    """Arrays of one file by name; names with a slash, such as "weights/weight_ih_l0", as dicts within the dict."""
    golden = {}
    with np.load(FOLDER / f"{name}.npz") as arrays:
        for key in arrays.files:
            *groups, last = key.split("/")
            place = golden
            for group in groups:
                place = place.setdefault(group, {})
            place[last] = arrays[key]
    return golden | {"masks": golden.get("masks", {})}


def lstm_in_our_layout(weights, masks, prefix=""):
    """W_x, W_h and b of anything that is stored like an LSTM's weights, such as its gradients."""
    return from_torch(weights, prefix=prefix, sparse=masks or False)


def lstm_gradients_in_our_layout(golden):
    """Gradients of W_x, W_h and b. Each of PyTorch's two biases has the gradient that b has, so one counts as 0."""
    gradients = golden["gradients"]
    if "bias_hh_l0" in gradients:
        assert_parity("PyTorch's other bias gradient", gradients["bias_hh_l0"], gradients["bias_ih_l0"])
        gradients = gradients | {"bias_hh_l0": 0 * gradients["bias_hh_l0"]}
    return lstm_in_our_layout(gradients, golden["masks"])


def network_in_our_layout(arrays, masks, bias_hh):
    """Parameters of a Network from anything that is stored like the weights of PyTorch's.

    `bias_hh` is the bias that is not trained: that of the weights, or 0 for gradients.
    """
    arrays = arrays | {"lstm.bias_hh_l0": bias_hh} if bias_hh is not None else arrays
    return {
        **from_torch(arrays, prefix="embedding", sparse=masks or False),
        **lstm_in_our_layout(arrays, masks, prefix="lstm"),
        "W_out": arrays["readout.weight"].T.copy(),
        "b_out": arrays["readout.bias"].copy(),
    }


def network_parameters(golden):
    """Parameters of the network of one file, in arrays of their own."""
    weights = golden["weights"]
    return network_in_our_layout(weights, golden["masks"], weights["lstm.bias_hh_l0"])


def network_gradients(golden):
    """Gradients of the network of one file, in our layout: a SparseMatrix for each that is one."""
    return network_in_our_layout(
        golden["gradients"], golden["masks"], np.zeros_like(golden["weights"]["lstm.bias_hh_l0"])
    )


def network_after_steps(golden, optimizer):
    """One dict of parameters per update."""
    history = {name: array for name, array in golden["steps"][optimizer].items() if name != "losses"}
    for k in range(len(golden["steps"][optimizer]["losses"])):
        weights = {name: array[k] for name, array in history.items()}
        yield network_in_our_layout(weights, golden["masks"], golden["weights"]["lstm.bias_hh_l0"])


def optimizer_of(golden, label, parameters, optimizers=OPTIMIZERS):
    """Our optimizer with the hyperparameters that PyTorch's had."""
    settings = json.loads(str(golden["optimizers"]))[label]
    return optimizers[settings.pop("rule").lower()](parameters, **settings)


def assert_parity(name, ours, theirs, limit=LIMIT):
    """Compare one array with PyTorch's: largest difference, relative to PyTorch's largest number, within the limit.

    A SparseMatrix of PyTorch's numbers may be compared with a SparseMatrix or with the (nnz,) array of its values.

    Returns
    -------
    float
        The largest relative difference.
    """
    entries = None
    if isinstance(theirs, SparseMatrix):
        entries = np.stack([theirs.rows, theirs.cols], axis=1)
        if isinstance(ours, SparseMatrix):
            np.testing.assert_array_equal(np.stack([ours.rows, ours.cols], axis=1), entries, err_msg=name)
    ours, theirs = np.asarray(weights_of(ours)), np.asarray(weights_of(theirs))
    assert ours.shape == theirs.shape, f"{name} has shape {ours.shape}, PyTorch's has {theirs.shape}"
    if theirs.size == 0:
        return 0.0
    difference = np.abs(ours - theirs) / (np.abs(theirs).max() or 1.0)
    worst = np.unravel_index(np.argmax(difference), difference.shape)  # a NaN counts as the largest
    entry = tuple(int(index) for index in (worst if entries is None else entries[worst]))
    assert difference[worst] <= limit, (
        f"{name} at {entry} is {ours[worst]!r}, PyTorch's is {theirs[worst]!r}: "
        f"a difference of {difference[worst]:.1e} of its largest number, above {limit:.0e}"
    )
    return float(difference[worst])
