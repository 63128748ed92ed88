"""Whether the parts of a model fit each other: asked before one is saved, and of a file before anything in it is used.

Every check raises a ValueError that says what was found and what was expected; the caller adds the name of the file.
"""

import re
from itertools import pairwise

import numpy as np

from numpy_setlstm.averaging import SNT_ASGD, is_triggered
from numpy_setlstm.initialization import NetworkSizes
from numpy_setlstm.inputs import check_parameters
from numpy_setlstm.parameters import SPARSE_PARAMETERS
from numpy_setlstm.sparse import SparseMatrix, weights_of
from numpy_setlstm.training import HISTORY_KEYS, STREAMS
from numpy_setlstm.weighting import from_pairs

FLOAT32_MAX = float(np.finfo(np.float32).max)
_DIGEST = re.compile("[0-9a-f]{64}")
_SWITCHES = ("progress", "check", "warm_start", "bidirectional", "every_word", "keep_gate_counts")


def check_model(header, arrays):
    """Check a header, as JSON gives it, and the arrays of a classifier: types, ranges, all sizes against each other."""
    check_fields(header, arrays)
    parameters = header["parameters"]
    check_parameters(parameters | {"class_weight": from_pairs(parameters["class_weight"])})
    sparse = [name for name in SPARSE_PARAMETERS if name in header["network"]["names"]]
    check_settings(header, _SWITCHES, ("embedding_dropout", "dropout", "pooling"), sparse)
    check_classes_array(arrays["classes"])
    n_words = count_words(header, arrays)
    sizes = (parameters[name] for name in ("embedding_dim", "hidden_size"))
    sizes = NetworkSizes(n_words, *sizes, len(arrays["classes"]), parameters["bidirectional"])
    check_networks(header, arrays, sizes.shapes)
    order = arrays.get("order")
    check_position(header, order, None if order is None else -(-len(order) // parameters["batch_size"]))
    check_records(header)


def check_fields(header, arrays):
    """Check that numbers are finite, and each field of a header of its kind."""
    for name, array in arrays.items():
        if name != "classes" and array.dtype.kind in "fc" and not np.isfinite(array).all():
            raise ValueError(
                f"{name} has numbers that are NaN or infinite: training diverged; lower the learning rates"
            )
    for name, (expected, holds) in _FIELDS.items():
        if not holds(header[name]):
            raise ValueError(f"{name} is {_short(header[name])}; expected {expected}")


def check_records(header):
    """Check what a header records of the training."""
    _check_history(header)
    _check_averages(header)


def _short(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _is_number(value, low=0.0, high=FLOAT32_MAX):
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _is_whole(value, low=0):
    return type(value) is int and low <= value < 2**62


def _is_share(value):
    return _is_number(value, 0, 1)


def _is_scores(scores):
    """Whether a dict has validation scores, which are None without validation texts."""
    if not isinstance(scores, dict) or (scores and scores.keys() != {"loss", "accuracy"}):
        return False
    return all(value is None for value in scores.values()) or (
        _is_number(scores["loss"]) and _is_share(scores["accuracy"])
    )


def _is_sums(sums):
    known = sums == {} or (isinstance(sums, dict) and {"loss", "right", "seconds"} <= sums.keys())
    return known and all(map(_is_number, sums.values()))


def _is_notes(notes):
    if not isinstance(notes, dict) or not isinstance(notes.get("pretraining", {}), dict):
        return False
    if notes.get("partial", True) is not True:
        return False
    if "pretraining" not in notes:
        return True
    history, best = notes["pretraining"].get("history"), notes["pretraining"].get("best_epoch")
    if not _is_whole(notes["pretraining"].get("dense_parameters", 1), 1):
        return False
    if not isinstance(history, dict) or not all(isinstance(column, list) for column in history.values()):
        return False
    n_epochs = len(history.get("train_loss", ()))
    return all(map(_is_number, history.get("train_loss", ()))) and _is_whole(best, -1) and best < n_epochs


def _is_texts(value, count=None):
    return isinstance(value, list) and all(isinstance(text, str) for text in value) and count in (None, len(value))


def _is_steps(steps):
    return isinstance(steps, list) and all(
        isinstance(sizes, dict) and all(map(_is_whole, sizes.values())) for sizes in steps
    )


def _is_streams(streams):
    """Whether there is a state of each generator, with numbers in their ranges, which not every NumPy checks."""
    known = isinstance(streams, dict) and streams.keys() == set(STREAMS)
    return known and all(
        _is_below(state["has_uint32"], 2) and all(_is_below(state["state"][part], 2**128) for part in ("state", "inc"))
        for state in streams.values()
    )


def _is_below(value, high):
    return type(value) is int and 0 <= value < high


_BOOLEAN = ("true or false", lambda value: isinstance(value, bool))
_TABLE = ("a table", lambda value: isinstance(value, dict))
_COUNT = ("a whole number of at least 0", _is_whole)
# What the fields of a header may be, apart from their relations.
_FIELDS = {
    "parameters": _TABLE,
    "network": _TABLE,
    "optimizer": _TABLE,
    "initial_shapes": _TABLE,
    "epoch": _COUNT,
    "batch": _COUNT,
    "n_updates": _COUNT,
    "n_averaged": _COUNT,
    "best_epoch": ("a whole number of at least -1", lambda value: _is_whole(value, -1)),
    "has_best": _BOOLEAN,
    "interrupted": _BOOLEAN,
    "inconsistent": _BOOLEAN,
    "sums": ("loss, right and seconds, at least 0", _is_sums),
    "first_weights": ("nothing, or loss and accuracy", lambda value: value is None or _is_scores(value)),
    "notes": ("a table, with numbers in any pretraining, and true for partial", _is_notes),
    "history": ("lists: " + ", ".join(HISTORY_KEYS), lambda value: isinstance(value, dict)),
    "set_steps": ("a list of tables of whole numbers", _is_steps),
    "streams": ("states of the generators " + ", ".join(STREAMS), _is_streams),
    "fingerprint": ("64 hexadecimal digits", lambda value: isinstance(value, str) and bool(_DIGEST.fullmatch(value))),
    "vocabulary": ("nothing, or a list of words", lambda value: value is None or _is_texts(value)),
    "own_tokenizer": ("nothing, or a name", lambda value: value is None or isinstance(value, str)),
    "own_lstm": ("nothing, or the names of two functions", lambda value: value is None or _is_texts(value, 2)),
}


def check_settings(header, switches, built_in, sparse):
    """Check the parameters that are `switches`, and that networks and optimizer are those that others describe.

    The networks have a setting for each of those that are `built_in`, and a scale for each matrix that may be `sparse`.
    """
    parameters = header["parameters"]
    for name in switches:
        if not isinstance(parameters[name], int) or parameters[name] not in (0, 1):
            raise ValueError(f"{name} is {_short(parameters[name])}; expected true or false")
    optimizer = header["optimizer"]
    found = {"optimizer": optimizer["kind"]}
    for prefix in ["network", "best"][: 1 + header["has_best"]]:
        found |= {name: header[prefix][name] for name in built_in}
        for name, value in found.items():
            if type(value) is not type(parameters[name]) or value != parameters[name]:
                raise ValueError(
                    f"{name} is {_short(parameters[name])}, but the network was made with {_short(value)}: set it back"
                )
        scales = header[prefix]["scales"]
        if (scales and scales.keys() != set(sparse)) or not all(map(_is_number, scales.values())):
            raise ValueError(f"scales are {_short(scales)}; expected numbers for {', '.join(sparse)}, or none")
    if not all(map(_is_number, optimizer["constants"].values())):
        raise ValueError(f"the optimizer has {_short(optimizer['constants'])}; expected numbers of at least 0")


def check_classes_array(classes):
    """Check the labels of a model: different ones, sorted."""
    if classes.ndim != 1 or classes.dtype.kind not in "biufU" or len(classes) < 2:
        raise ValueError(f"classes are {classes.dtype} of shape {classes.shape}; expected two labels or more")
    labels = classes.tolist()  # ValueError if a text is none
    if labels[-1] != labels[-1] or any(not low < high for low, high in zip(labels, labels[1:], strict=False)):
        raise ValueError(f"classes are {_short(labels)}; expected different labels in increasing order")


def count_words(header, arrays):
    """Check that there is a row of the embedding for each word, and count them."""
    shapes, vocabulary = header["network"]["shapes"], header["vocabulary"]
    n_words = shapes["E"][0] if "E" in shapes else len(arrays["network/E/values"])
    if vocabulary is not None and len(vocabulary) != n_words:
        raise ValueError(f"the vocabulary has {len(vocabulary)} words, but the embedding has {n_words} rows")
    return n_words


def check_networks(header, arrays, shapes):
    """Check shape and type of all weights, in the current network and the best one, by the `shapes` of a dense one."""
    parameters = header["parameters"]
    for prefix in ["network", "best"][: 1 + header["has_best"]]:
        if set(header[prefix]["names"]) != shapes.keys() or len(header[prefix]["names"]) != len(shapes):
            raise ValueError(f"{prefix} has {_short(header[prefix]['names'])}; expected {', '.join(shapes)}")
        if header[prefix]["shapes"].keys() != header["initial_shapes"].keys():
            raise ValueError(f"sparse in {prefix} are {_short(header[prefix]['shapes'])}; expected those of the start")
        for name, shape in shapes.items():
            if name in header[prefix]["shapes"]:
                said = (f"{size}={parameters[size]}" for size in ("embedding_dim", "hidden_size"))
                made = f"{shape}, as {' and '.join(said)} say"
                _expect(f"the shape of {name}", tuple(header[prefix]["shapes"][name]), shape, made)
                shape = arrays[f"network/{name}/rows"].shape  # noqa: PLW2901  every matrix keeps its connections
            expect_array(f"{prefix}/{name}/values", arrays, parameters["dtype"], shape)
            if header["n_averaged"]:
                expect_array(f"average/{name}", arrays, parameters["dtype"], shape)
    if header["n_averaged"] and parameters["averaging"] == SNT_ASGD:
        for name in header["initial_shapes"]:
            counts, most = arrays[f"averaged_from/{name}"], header["n_averaged"]
            expect_array(f"averaged_from/{name}", arrays, np.int32, arrays[f"network/{name}/rows"].shape)
            if counts.size and not 0 <= counts.min() <= counts.max() <= most:
                raise ValueError(f"averaged_from/{name} has numbers outside 0 to {most}, the minibatches averaged")
    elif any(name.startswith("averaged_from/") for name in arrays):
        raise ValueError(f"averaging is {parameters['averaging']}, but there are arrays averaged_from: set it back")


def _expect(what, found, expected, said=None):
    if found != expected:
        raise ValueError(f"{what} is {_short(found)}; expected {said or expected}")


def expect_array(name, arrays, dtype, shape):
    """Check the data type and the shape of an array."""
    found, expected = (arrays[name].dtype, arrays[name].shape), (np.dtype(dtype), tuple(shape))
    if found != expected:
        raise ValueError(f"{name} is {found[0]} of shape {found[1]}; expected {expected[0]} of shape {expected[1]}")


def check_position(header, order, most):
    """Check where training stands: whole epochs, minibatches of the current one, `most` at most, and the best epoch."""
    epoch, best_epoch, batch = header["epoch"], header["best_epoch"], header["batch"]
    last = epoch if header["inconsistent"] else epoch - 1
    if best_epoch > last or (not header["has_best"] and (best_epoch >= 0 or epoch)):
        raise ValueError(f"best_epoch is {best_epoch} after {epoch} epochs; expected one of them, and its network")
    if header["has_best"] and best_epoch < 0 and header["first_weights"] is None and not header["inconsistent"]:
        raise ValueError("there is a best network, but best_epoch is -1; expected its epoch")
    if order is None:
        if batch and not header["inconsistent"]:
            raise ValueError(f"batch is {batch} between two epochs; expected 0")
        return
    if order.ndim != 1 or order.dtype.kind != "i" or not np.array_equal(np.sort(order), np.arange(len(order))):
        raise ValueError("order is not a permutation of the texts")
    if (most is not None and batch > most) or not header["sums"]:
        raise ValueError(f"batch is {batch}, in an epoch of {len(order)} texts; expected fewer, and the sums so far")


def _check_averages(header):
    """Check that minibatches are averaged if the parameters say so, and not more than there were."""
    averaging, n_averaged, n_updates = header["parameters"]["averaging"], header["n_averaged"], header["n_updates"]
    if averaging == SNT_ASGD:
        losses, interval = header["history"]["validation_loss"], header["parameters"]["averaging_interval"]
        before = [k for k in range(1, len(losses) + 1) if is_triggered(losses[:k], interval)][:1]  # so many epochs
        is_due = bool(before) and [header["epoch"], header["batch"]] > [before[0], 0]
    else:
        is_due = averaging > 0 and n_updates > 0
    is_expected = bool(n_averaged) == is_due
    if not header["inconsistent"] and not (is_expected and n_averaged <= n_updates):
        raise ValueError(
            f"averaging is {averaging}, but {n_averaged} of {n_updates} minibatches are averaged: set it back"
        )


def _check_history(header):
    """Check that the history has one entry per epoch or evolution, each of the right kind."""
    history, epoch = header["history"], header["epoch"]
    of_evolution = dict.fromkeys(("set_steps", "evolved_at", "validation_loss_evolved"), len(header["set_steps"]))
    lengths = dict.fromkeys(HISTORY_KEYS, epoch) | of_evolution
    columns = history | {"set_steps": header["set_steps"]}
    if columns.keys() != lengths.keys():
        raise ValueError(f"history has {', '.join(map(str, columns))}; expected {', '.join(lengths)}")
    for name, column in columns.items():
        if not isinstance(column, list) or abs(len(column) - lengths[name]) > header["inconsistent"]:
            count = f"{len(column)} entries" if isinstance(column, list) else type(column).__name__
            raise ValueError(f"history has {count} for {name}; expected {lengths[name]}, after {epoch} epochs")
        holds = _is_share if name.endswith("accuracy") else _is_number
        is_optional = name.startswith("validation") and all(entry is None for entry in column)
        if name not in ("gate_counts", "set_steps", "evolved_at") and not is_optional and not all(map(holds, column)):
            raise ValueError(f"history has {_short(column)} for {name}; expected finite numbers")
    _check_evolved_at(header)


def _check_evolved_at(header):
    """Check the places of the evolutions: they increase, and are those that the parameters lead to."""
    now, places, parameters = [header["epoch"], header["batch"]], header["history"]["evolved_at"], header["parameters"]
    known = all(isinstance(place, list) and len(place) == 2 and all(map(_is_whole, place)) for place in places)
    if not known or any(one >= two for one, two in pairwise([*places, [now[0], now[1] + 1]])):
        raise ValueError(f"history has {_short(places)} for evolved_at; expected pairs that increase up to {now}")
    if parameters["evolve_every"] is None and not header["inconsistent"]:
        until = np.inf if parameters["evolve_until"] is None else parameters["evolve_until"]
        epochs = range(1, now[0] + 1) if parameters["connectivity"] == "set" else ()
        expected = [[k, 0] for k in epochs if parameters["evolve_from"] <= k <= until]
        if places != expected and [*places, now] != expected:  # the one of now may be still to come
            raise ValueError(f"history has {_short(places)} for evolved_at; expected {_short(expected)}")


def check_optimizer_state(state, arrays, own_lstm):
    """Check the arrays of an optimizer against a fresh one's `state`: its types and shapes, no negative ages.

    After gradients of an LSTM of the user's own the state may have double precision.
    """
    for name, quantities in state.items():
        for quantity, fresh in quantities.items():
            key = f"optimizer/{name}/{quantity}"
            is_double = own_lstm and fresh.dtype.kind == arrays[key].dtype.kind == "f"
            expect_array(key, arrays, arrays[key].dtype if is_double else fresh.dtype, fresh.shape)
            if quantity in ("age", "v") and arrays[key].size and arrays[key].min() < 0:
                raise ValueError(f"{key} has {arrays[key].min()}; expected numbers of at least 0")


def check_evolution(state):
    """Replay all SET steps: each has to fit the connections before it, and the last ones have to be the network's."""
    before = state.initial_topologies
    found = [before]
    for k, steps in enumerate(state.history["set_steps"]):
        _expect(f"set_steps/{k}", sorted(steps), sorted(before))
        for name, step in steps.items():
            _check_step(f"set_steps/{k}/{name}", step, before[name])
        before = {name: step.apply(before[name]) for name, step in steps.items()}
        found.append(before)
    if state.inconsistent:
        return
    reached = {"network": (state.network, -1)}
    if state.best_network is not None:
        evolutions = sum(epoch <= state.best_epoch for epoch, _ in state.history["evolved_at"])
        reached["best"] = (state.best_network, evolutions)
    for prefix, (network, k) in reached.items():
        for name, topology in found[k].items():
            if not np.array_equal(network.parameters[name].topology.keys, topology.keys):
                raise ValueError(f"the connections {prefix}/{name} are not those that the SET steps lead to")


def _check_step(where, step, topology):
    _expect(f"{where}/nnz", step.nnz, len(topology.rows))
    count = step.pruned.shape
    for part in ("pruned", "grown", "pruned_cells", "grown_cells"):
        shape = (2, *count) if part.endswith("cells") else count
        expect_array(f"{where}/{part}", {f"{where}/{part}": getattr(step, part)}, topology.rows.dtype, shape)
    for part in ("pruned", "grown"):
        positions = getattr(step, part)
        if positions.ndim != 1 or (np.diff(positions) <= 0).any() or ((positions < 0) | (positions >= step.nnz)).any():
            raise ValueError(f"{where}/{part} is not increasing from 0 to {step.nnz - 1} at most")
    if not np.array_equal(step.pruned_cells, [topology.rows[step.pruned], topology.cols[step.pruned]]):
        raise ValueError(f"{where}/pruned_cells are not the connections at the positions pruned")


def check_gate_counts(state):
    """Check that the counts of the history add up to the connections, and that the last ones are the network's."""
    parameters, now = state.network.parameters, state.network.gate_counts()
    for k, entry in enumerate(state.history["gate_counts"]):
        for name, counts in now.items():
            sizes = entry[name]
            if entry.keys() != now.keys() or sizes.keys() != counts.keys() or not all(map(_is_whole, sizes.values())):
                raise ValueError(f"gate_counts of epoch {k + 1} are {_short(entry)}; expected counts as in {counts}")
            W = parameters[name]
            _expect(f"the sum of gate_counts of {name} in epoch {k + 1}", sum(sizes.values()), weights_of(W).size)
    sparse = any(isinstance(parameters[name], SparseMatrix) for name in now)
    between_epochs = state.order is None and state.epoch > 0 and not state.inconsistent
    if sparse and between_epochs:
        _expect("the last entry of gate_counts", state.history["gate_counts"][-1], now)
