"""Conversion of weights; test_torch_parity.py shows that the converted weights compute the same as PyTorch."""

from collections import OrderedDict

import numpy as np
import pytest
from golden_files import golden_names, load_golden

from numpy_setlstm.converters import from_torch, to_torch
from numpy_setlstm.sparse import SparseMatrix
from numpy_setlstm.topology import erdos_renyi, set_step

D, H, V = 3, 2, 5


class Tensor:
    """Like a torch.Tensor on another device that requires a gradient: NumPy alone cannot read it."""

    def __init__(self, array, is_read=False):
        self.array, self.is_read = array, is_read

    def detach(self):
        return Tensor(self.array)

    def cpu(self):
        return Tensor(self.array, is_read=True)

    def numpy(self):
        if not self.is_read:
            raise AssertionError("numpy() without cpu()")
        if self.array is None:
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.array

    def __array__(self, *args, **kwargs):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")


def torch_lstm(dtype=np.float64):
    rng = np.random.default_rng(0)
    shapes = {"weight_ih_l0": (4 * H, D), "weight_hh_l0": (4 * H, H), "bias_ih_l0": (4 * H,), "bias_hh_l0": (4 * H,)}
    return OrderedDict((name, rng.normal(size=shape).astype(dtype)) for name, shape in shapes.items())


def our_lstm(connectivity="dense", dtype=np.float32):
    rng = np.random.default_rng(1)
    p = {"W_x": rng.normal(size=(D, 4 * H)), "W_h": rng.normal(size=(H, 4 * H)), "b": rng.normal(size=4 * H)}
    p = {name: array.astype(dtype) for name, array in p.items()}
    if connectivity == "sparse":
        p["W_x"] = erdos_renyi((D, 4 * H), rng, density=0.5, dtype=dtype)
        p["W_h"] = erdos_renyi((H, 4 * H), rng, density=0.5, dtype=dtype)
    return p


def assert_same_bits(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, W in ours.items():
        assert type(W) is type(theirs[name]) and W.dtype == theirs[name].dtype and W.shape == theirs[name].shape, name
        if isinstance(W, SparseMatrix):
            np.testing.assert_array_equal(W.rows, theirs[name].rows, err_msg=name)
            np.testing.assert_array_equal(W.cols, theirs[name].cols, err_msg=name)
            assert W.values.tobytes() == theirs[name].values.tobytes(), name
        else:
            assert W.tobytes() == theirs[name].tobytes(), name


# Order of the weights


def test_every_weight_goes_to_its_gate():
    """Looks up PyTorch's weights one by one, by gate, unit and source."""
    state_dict = torch_lstm()
    p = from_torch(state_dict)
    for ours, theirs in [(0, 0), (1, 1), (2, 3), (3, 2)]:  # i, f, o, g here; i, f, g, o there
        for k in range(H):
            row, column = theirs * H + k, ours * H + k
            assert p["W_x"][:, column].tolist() == state_dict["weight_ih_l0"][row].tolist()
            assert p["W_h"][:, column].tolist() == state_dict["weight_hh_l0"][row].tolist()
            assert p["b"][column] == state_dict["bias_ih_l0"][row] + state_dict["bias_hh_l0"][row]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("sparse", [False, True])
def test_data_types_are_kept_and_arrays_are_contiguous(dtype, sparse):
    p = from_torch(torch_lstm(dtype), sparse=sparse) | from_torch({"weight": np.ones((V, D), dtype)}, sparse=sparse)
    assert {W.dtype for W in p.values()} == {np.dtype(dtype)}
    assert {type(W) for W in p.values()} == ({SparseMatrix, np.ndarray} if sparse else {np.ndarray})
    assert all(W.flags.c_contiguous for W in p.values() if isinstance(W, np.ndarray))
    for parameters in ({name: p[name] for name in ("W_x", "W_h", "b")}, {"E": p["E"]}):
        for array in to_torch(parameters).values():
            assert array.dtype == dtype and array.flags.c_contiguous and array.flags.writeable


def test_tensors_lists_and_arrays_are_read():
    state_dict = torch_lstm()
    expected = from_torch(state_dict)
    assert_same_bits(from_torch({name: Tensor(array) for name, array in state_dict.items()}), expected)
    assert_same_bits(from_torch({name: array.tolist() for name, array in state_dict.items()}), expected)


@pytest.mark.parametrize("connectivity", ["dense", "sparse"])
def test_neither_side_changes_the_other(connectivity):
    """A tensor's array is the tensor's own memory, and torch.from_numpy shares it too."""
    state_dict = torch_lstm() if connectivity == "dense" else {"weight": np.ones((V, D))}
    before = {name: array.copy() for name, array in state_dict.items()}
    p = from_torch({name: Tensor(array) for name, array in state_dict.items()})
    kept = {name: array.copy() for name, array in p.items()}
    for array in p.values():
        array += 1
    for name, array in state_dict.items():
        np.testing.assert_array_equal(array, before[name])
    for array in to_torch(p).values():
        array += 1
    for name, array in p.items():
        np.testing.assert_array_equal(array, kept[name] + 1)


# Round trips


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("connectivity", ["dense", "sparse"])
def test_our_parameters_survive_a_round_trip_bit_for_bit(connectivity, dtype):
    p = our_lstm(connectivity, dtype)
    assert_same_bits(from_torch(to_torch(p), sparse=connectivity == "sparse"), p)
    E = p["W_x"]
    assert_same_bits(from_torch(to_torch({"E": E}), sparse=connectivity == "sparse"), {"E": E})


def test_pytorchs_weights_survive_a_round_trip_with_one_bias():
    state_dict = torch_lstm()
    back = to_torch(from_torch(state_dict))
    assert list(back) == list(state_dict)
    for name in ("weight_ih_l0", "weight_hh_l0"):
        assert back[name].tobytes() == state_dict[name].tobytes()
    np.testing.assert_array_equal(back["bias_ih_l0"], state_dict["bias_ih_l0"] + state_dict["bias_hh_l0"])
    assert not back["bias_hh_l0"].any()
    assert_same_bits(to_torch(from_torch(back)), back)


@pytest.mark.parametrize("name", golden_names("lstm_sparse") + golden_names("embedding_sparse"))
def test_masked_weights_from_pytorch_survive_a_round_trip(name):
    golden = load_golden(name)
    p = from_torch(golden["weights"], sparse=golden["masks"])
    back = to_torch(p)
    for key in golden["masks"]:
        assert back[key].tobytes() == golden["weights"][key].tobytes()
    matrices = [W for W in p.values() if isinstance(W, SparseMatrix)]
    assert sum(W.nnz for W in matrices) == sum(mask.sum() for mask in golden["masks"].values())
    nonzero = from_torch(golden["weights"], sparse=True)
    assert [W.nnz - 1 for W in matrices] == [W.nnz for W in nonzero.values() if isinstance(W, SparseMatrix)]


def test_only_masks_keep_new_connections_that_start_at_zero():
    p = our_lstm("sparse")
    p["W_h"], step = set_step(p["W_h"], 0.5, np.random.default_rng(2))
    assert len(step.grown) > 0
    ones = {name: p[name].with_values(np.ones_like(p[name].values)) for name in ("W_x", "W_h")}
    assert_same_bits(from_torch(to_torch(p), sparse=to_torch(ones)), p)
    assert from_torch(to_torch(p), sparse=True)["W_h"].nnz == p["W_h"].nnz - len(step.grown)


def test_a_mask_omits_nonzero_weights_like_a_product_with_it():
    state_dict = torch_lstm()
    mask = np.random.default_rng(3).random((4 * H, H)) < 0.5
    p = from_torch(state_dict, sparse={"weight_hh_l0": Tensor(mask)})
    assert isinstance(p["W_x"], np.ndarray)
    expected = from_torch(state_dict | {"weight_hh_l0": state_dict["weight_hh_l0"] * mask})["W_h"]
    np.testing.assert_array_equal(p["W_h"].toarray(), expected)


def test_an_lstm_without_biases():
    state_dict = {name: array for name, array in torch_lstm(np.float32).items() if "bias" not in name}
    p = from_torch(state_dict)
    assert p["b"].dtype == np.float32 and p["b"].tolist() == [0.0] * (4 * H)
    assert_same_bits(to_torch({"W_x": p["W_x"], "W_h": p["W_h"]}), state_dict)


# A part of a larger model


@pytest.mark.parametrize("prefix", ["encoder.lstm", "encoder.lstm."])
def test_a_part_of_a_model_is_selected_by_its_name(prefix):
    lstm = torch_lstm()
    model = {"embedding.weight": np.ones((V, D)), "readout.weight": np.ones((4, H)), "readout.bias": np.ones(4)}
    model |= {"encoder.lstm." + name: array for name, array in lstm.items()}
    model |= {"encoder.lstm2." + name: array + 1 for name, array in lstm.items()}
    assert_same_bits(from_torch(model, prefix=prefix), from_torch(lstm))
    masks = {name: array > 0 for name, array in model.items()}
    expected = from_torch(lstm, sparse={name: array > 0 for name, array in lstm.items()})
    assert_same_bits(from_torch(model, prefix=prefix, sparse=masks), expected)
    back = to_torch(from_torch(model, prefix=prefix), prefix=prefix)
    assert list(back) == [name for name in model if name.startswith("encoder.lstm.")]
    assert list(to_torch({"E": np.ones((V, D))}, prefix="embedding")) == ["embedding.weight"]


# Invalid input


def with_weights(**others):
    state_dict = torch_lstm() | {name.replace("__", "."): array for name, array in others.items()}
    return {name: array for name, array in state_dict.items() if array is not None}


MATRIX, BIAS = np.ones((4 * H, H)), np.ones(4 * H)


@pytest.mark.parametrize(
    "state_dict, message",
    [
        (with_weights(weight_ih_l1=MATRIX), "'weight_ih_l1': the LSTM has more than one layer; expected num_layers=1"),
        (with_weights(bias_hh_l12=BIAS), "'bias_hh_l12': the LSTM has more than one layer"),
        (with_weights(weight_ih_l0_reverse=MATRIX), "'weight_hh_l0_reverse' is missing"),
        (with_weights(weight_hr_l0=np.ones((1, H))), "'weight_hr_l0': it is a projection .* proj_size=0"),
        (
            with_weights(weight_hh_l0=None, weight_hh_l0_orig=MATRIX, weight_hh_l0_mask=MATRIX),
            r"'weight_hh_l0_orig': the pruning is not permanent; call .*remove\(module, 'weight_hh_l0'\)",
        ),
        (
            with_weights(embedding__weight=np.ones((V, D))),
            "'embedding.weight': it is part of a larger model; .*prefix=",
        ),
        ({"a.weight": MATRIX, "b.c.weight": MATRIX}, "prefix='a' or 'b.c'"),
        ({"weight": MATRIX, "bias": BIAS}, "'bias': expected an LSTM's .* or an Embedding's weight alone"),
        ({"weight_ih": MATRIX, "weight_hh": MATRIX}, "'weight_ih': expected an LSTM's weight_ih_l0"),
        (
            with_weights(weight_hh_l0=None),
            "'weight_hh_l0' is missing; .* got weight_ih_l0, bias_ih_l0, bias_hh_l0",
        ),
        (with_weights(weight_ih_l0=None), "'weight_ih_l0' is missing"),
        (with_weights(bias_hh_l0=None), "'bias_hh_l0' is missing"),
        (with_weights(bias_ih_l0=None), "'bias_ih_l0' is missing"),
        (with_weights(weight_hh_l0=np.ones((3 * H, H))), r"'weight_hh_l0' has shape \(6, 2\); expected \(8, 2\): four"),
        (with_weights(weight_hh_l0=MATRIX.T), r"'weight_hh_l0' has shape \(2, 8\); expected \(32, 8\)"),
        (with_weights(weight_hh_l0=np.float64(1)), r"'weight_hh_l0' has shape \(\)"),
        (with_weights(weight_ih_l0=np.ones((D, 4 * H))), r"'weight_ih_l0' has shape \(3, 8\); expected \(8, 8\): four"),
        (with_weights(weight_ih_l0=BIAS), r"'weight_ih_l0' has shape \(8,\)"),
        (with_weights(bias_ih_l0=np.ones(H)), r"'bias_ih_l0' has shape \(2,\); expected \(8,\): four gates of H = 2"),
        (with_weights(bias_hh_l0=np.ones((1, 4 * H))), r"'bias_hh_l0' has shape \(1, 8\)"),
        ({"weight": BIAS}, r"'weight' has shape \(8,\); expected \(V, D\), one row per word"),
        ({}, r"no name starts with ''; the names are \[\]"),
    ],
)
def test_other_weights_are_rejected_by_name(state_dict, message):
    with pytest.raises(ValueError, match=message):
        from_torch(state_dict)


def test_a_prefix_that_does_not_occur():
    with pytest.raises(ValueError, match=r"no name starts with 'lstm\.'; the names are \['rnn.weight'\]"):
        from_torch({"rnn.weight": MATRIX}, prefix="lstm")


@pytest.mark.parametrize(
    "state_dict, sparse, message",
    [
        ([MATRIX], False, "the weights are a list; expected a mapping .* such as lstm.state_dict"),
        ({"weight": np.ones((V, D), int)}, False, "'weight' has dtype int64; expected floating-point"),
        ({"weight": np.ones((V, D), complex)}, False, "'weight' has dtype complex128"),
        (
            {"weight": Tensor(None)},
            False,
            r"'weight' is not a NumPy array \(Got unsupported.*\); .* tensor.float\(\)",
        ),
        ({"weight": MATRIX}, MATRIX, "sparse is a ndarray; expected True, False or a mapping of names to masks"),
        ({"weight": MATRIX}, None, "sparse is a NoneType"),
    ],
)
def test_other_types_are_rejected(state_dict, sparse, message):
    with pytest.raises(TypeError, match=message):
        from_torch(state_dict, sparse=sparse)


@pytest.mark.parametrize(
    "masks, message",
    [
        (
            {"weight_hh_l1": MATRIX},
            "there is a mask for 'weight_hh_l1'; the matrices are weight_ih_l0, weight_hh_l0",
        ),
        ({"weight_hh_l0": MATRIX.T}, r"the mask of 'weight_hh_l0' has shape \(2, 8\); expected the weight's, \(8, 2\)"),
        ({}, "no name starts with ''"),
    ],
)
def test_masks_that_do_not_fit(masks, message):
    with pytest.raises(ValueError, match=message):
        from_torch(torch_lstm(), sparse=masks)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"E": np.ones((V, D))}, "the parameters are W_x, W_h, b, E; expected those of one layer"),
        ({"W_h": np.ones((4 * H, H))}, r"'W_h' has shape \(8, 2\); expected \(8, 32\): four gates of H = 8 units"),
        ({"W_x": np.ones((D, 3 * H))}, r"'W_x' has shape \(3, 6\); expected \(3, 8\)"),
        ({"W_x": SparseMatrix((D, 9), [], [], np.zeros(0))}, r"'W_x' has shape \(3, 9\); expected \(3, 8\)"),
        ({"b": np.ones(H)}, r"'b' has shape \(2,\); expected \(8,\)"),
    ],
)
def test_parameters_of_ours_that_do_not_fit(wrong, message):
    with pytest.raises(ValueError, match=message):
        to_torch(our_lstm() | wrong)


def test_parameters_of_ours_that_are_no_layer():
    with pytest.raises(ValueError, match="the parameters are W_x; expected those of one layer"):
        to_torch({"W_x": np.ones((D, 4 * H))})
    with pytest.raises(ValueError, match=r"'E' has shape \(3,\); expected \(V, D\)"):
        to_torch({"E": np.ones(3)})
    with pytest.raises(TypeError, match="'E' has dtype int64; expected floating-point"):
        to_torch({"E": np.ones((V, D), int)})


@pytest.mark.parametrize("sizes", [(1, 1), (3, 0), (0, 2)])
def test_odd_sizes(sizes):
    D, H = sizes
    p = {"W_x": np.ones((D, 4 * H)), "W_h": np.ones((H, 4 * H)), "b": np.ones(4 * H)}
    assert_same_bits(from_torch(to_torch(p)), p)
