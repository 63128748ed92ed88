"""A language model to a file, and back; and whether the parts of such a file fit each other."""

from types import SimpleNamespace

import numpy as np

from numpy_setlstm.checkpoint import (
    CheckpointError,
    explained,
    load_arrays,
    pack_state,
    save_model,
    unpack_state,
    upgrade,
)
from numpy_setlstm.language.network import LanguageNetwork
from numpy_setlstm.language.settings import BUILT_IN, check_language_parameters, engine_of, sizes_of
from numpy_setlstm.language.text import BORDER, BORDER_ID
from numpy_setlstm.model_check import (
    check_classes_array,
    check_fields,
    check_networks,
    check_position,
    check_records,
    check_settings,
    count_words,
    expect_array,
)
from numpy_setlstm.text import Vocabulary

KIND = "SetLSTMLanguageModel"


def save(model, path):
    """Write a model to a file: see :meth:`SetLSTMLanguageModel.save`."""
    header, arrays = pack_state(model.training_state_)
    header |= {
        "model": KIND,
        "parameters": model.get_params() | {"random_state": None, "sparse": list(model.sparse)},
        "own_lstm": None,
        "own_tokenizer": None,
        "fingerprint": model._fingerprint,
        "vocabulary": list(model.vocabulary_.words),
    }
    if model.classes_ is not None:
        arrays["classes"] = model.classes_
    save_model(path, header, arrays, check_language_model)


def load(cls, path, max_bytes=None):
    """Read a model of the class `cls`: see :meth:`SetLSTMLanguageModel.load`."""
    header, arrays = load_arrays(path, max_bytes)
    if header.get("model") != KIND:
        raise CheckpointError(f"{path} is a classifier: load it with SetLSTMClassifier.load")
    with explained(f"{path} cannot be loaded as a {KIND}"):
        header = upgrade(header)
        check_language_model(header, arrays)
        model = cls(**header["parameters"] | {"sparse": tuple(header["parameters"]["sparse"])})
        missing = model.get_params().keys() - header["parameters"].keys()
        if missing:
            raise ValueError(f"it has no parameter {', '.join(sorted(missing))}")
        model.classes_ = arrays.get("classes")
        model.vocabulary_ = Vocabulary(header["vocabulary"])
        model._fingerprint, model._trained_with = header["fingerprint"], model.get_params()
        model.training_state_ = unpack_state(header, arrays, engine_of(model), LanguageNetwork)
        model._publish(model.training_state_)
    return model


def check_language_model(header, arrays):
    """Check a header, as JSON gives it, and the arrays of a language model, as `check_model` does a classifier's."""
    check_fields(header, arrays)
    parameters, order = header["parameters"], arrays.get("order")
    check_language_parameters(parameters)
    check_settings(header, ("progress", "keep_gate_counts"), BUILT_IN, list(header["network"]["shapes"]))
    if "classes" in arrays:
        check_classes_array(arrays["classes"])
    if header["vocabulary"] is None:
        raise ValueError("vocabulary is missing; expected a list")
    n_words, n_labels = count_words(header, arrays), len(arrays.get("classes", ()))
    sizes = sizes_of(SimpleNamespace(**parameters), n_words, n_labels)
    check_networks(header, arrays, sizes.shapes)
    sparse = () if parameters["connectivity"] == "dense" else parameters["sparse"]
    if set(header["network"]["shapes"]) != set(sizes.sparse_names(sparse)):
        raise ValueError(f"sparse is {sparse}, but the network has sparse {', '.join(header['network']['shapes'])}")
    check_position(header, order, None)
    _check_carried(header, arrays, sizes)
    check_records(header)


def _check_carried(header, arrays, sizes):
    """Check the states that the next minibatch begins with: there are some within an epoch."""
    names = [name for k in ("", "_2")[: sizes.n_layers] for name in (f"carried/h{k}", f"carried/c{k}")]
    found = sorted(name for name in arrays if name.startswith("carried/"))
    within = "order" in arrays and header["batch"] > 0
    if not header["inconsistent"] and found != sorted(names if within else []):
        raise ValueError(f"the states {found} are carried; expected {sorted(names if within else [])}")
    for name in found:
        shape = (header["parameters"]["batch_size"], sizes.hidden_size)
        expect_array(name, arrays, np.dtype(header["parameters"]["dtype"]), shape)


def is_bordered(vocabulary):
    """Whether a model was trained on several texts."""
    return vocabulary.words[BORDER_ID : BORDER_ID + 1] == (BORDER,)
