"""Model files: what goes in comes out, nothing runs when one is opened, and a damaged one is refused."""

import io
import json
import os
import pickle
import re
import signal
import stat
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from attack_model_files import attack, format_counts, read, write

from numpy_setlstm import SetLSTMClassifier, checkpoint, files
from numpy_setlstm.checkpoint import FORMAT_VERSION, CheckpointError, load_arrays, pack_state, save_arrays
from numpy_setlstm.files import locked, make_folder
from numpy_setlstm.lab.experiment import demo_reviews, run_training
from numpy_setlstm.sparse import weights_of

WORDS = "plot actor scene music camera ending script joke hero villain".split()


def reviews(n=40, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    texts = [" ".join([*rng.choice(WORDS, 3), ("bad", "good")[label], *rng.choice(WORDS, 2)]) for label in labels]
    return texts, labels


TEXTS, LABELS = reviews()


def classifier(**parameters):
    small = {"embedding_dim": 6, "hidden_size": 5, "parameter_share": 0.4, "max_length": 6}
    return SetLSTMClassifier(**small | {"n_epochs": 2, "batch_size": 16, "random_state": 0} | parameters)


@pytest.fixture(scope="module")
def fitted():
    return classifier().fit(TEXTS, LABELS)


@pytest.fixture
def path(fitted, tmp_path):
    """A whole model file, alone in its folder."""
    fitted.save(tmp_path / "model.npz")
    return tmp_path / "model.npz"


def raw_contents(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


# There and back


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("connectivity", ["set", "static", "dense"])
def test_a_loaded_model_predicts_the_same_bits(connectivity, optimizer, tmp_path):
    clf = classifier(connectivity=connectivity, optimizer=optimizer).fit(TEXTS, LABELS)
    clf.save(tmp_path / "model.npz")
    loaded = SetLSTMClassifier.load(tmp_path / "model.npz")
    assert np.array_equal(loaded.predict_proba(TEXTS), clf.predict_proba(TEXTS))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("connectivity", ["set", "static", "dense"])
def test_every_array_comes_back_with_its_type_its_shape_and_its_bits(connectivity, optimizer, tmp_path):
    clf = classifier(connectivity=connectivity, optimizer=optimizer).fit(TEXTS, LABELS)
    clf.save(tmp_path / "model.npz")
    header, arrays = pack_state(clf.training_state_)
    loaded_header, loaded_arrays = pack_state(SetLSTMClassifier.load(tmp_path / "model.npz").training_state_)
    assert json.dumps(loaded_header, sort_keys=True) == json.dumps(header, sort_keys=True)
    assert loaded_arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        loaded = loaded_arrays[name]
        assert (loaded.dtype, loaded.shape) == (array.dtype, array.shape), name
        assert loaded.tobytes() == array.tobytes(), name


def test_what_readers_see_comes_back(fitted, path):
    loaded = SetLSTMClassifier.load(path)
    assert loaded.get_params() == fitted.get_params() | {"random_state": None}
    assert loaded.vocabulary_ == fitted.vocabulary_
    assert loaded.classes_.tolist() == fitted.classes_.tolist()
    assert (loaded.n_parameters_, loaded.n_dense_parameters_) == (fitted.n_parameters_, fitted.n_dense_parameters_)
    assert loaded.best_epoch_ == fitted.best_epoch_
    for key in fitted.history_.keys() - {"set_steps"}:
        assert loaded.history_[key] == fitted.history_[key], key
    assert [set(steps) for steps in loaded.history_["set_steps"]] == [{"E", "W_x", "W_h"}]


@pytest.mark.parametrize(
    "labels", [LABELS, LABELS == 1, np.where(LABELS, "größer", "kleiner"), LABELS + 1.0], ids=lambda y: y.dtype.kind
)
def test_labels_of_any_kind_come_back(labels, tmp_path):
    clf = classifier().fit(TEXTS, labels)
    clf.save(tmp_path / "model.npz")
    loaded = SetLSTMClassifier.load(tmp_path / "model.npz")
    assert loaded.classes_.dtype == clf.classes_.dtype
    assert loaded.predict(TEXTS).tolist() == clf.predict(TEXTS).tolist()


def test_words_of_any_script_come_back(tmp_path):
    texts = [f"{text} фильм 映画 {'très' if label else '😀'}" for text, label in zip(TEXTS, LABELS, strict=True)]
    clf = classifier().fit(texts, LABELS)
    clf.save(tmp_path / "model.npz")
    assert SetLSTMClassifier.load(tmp_path / "model.npz").vocabulary_ == clf.vocabulary_


def test_a_model_of_word_ids_comes_back_without_a_vocabulary(tmp_path):
    ids = np.random.default_rng(0).integers(2, 9, size=(40, 5))
    clf = classifier().fit(ids, LABELS)
    clf.save(tmp_path / "model.npz")
    loaded = SetLSTMClassifier.load(tmp_path / "model.npz")
    assert loaded.vocabulary_ is None
    assert np.array_equal(loaded.predict_proba(ids), clf.predict_proba(ids))


def test_saving_changes_nothing_and_saving_a_loaded_model_gives_the_same_contents(fitted, path, tmp_path):
    SetLSTMClassifier.load(path).save(tmp_path / "again.npz")
    header, arrays = load_arrays(path)
    again_header, again_arrays = load_arrays(tmp_path / "again.npz")
    assert again_header == header
    assert all(np.array_equal(again_arrays[name], array) for name, array in arrays.items())


@pytest.mark.parametrize(
    "parameters",
    [{"n_epochs": np.int64(2)}, {"parameter_share": np.float32(0.4)}, {"hidden_size": np.int32(5)}],
    ids=lambda parameters: next(iter(parameters)),
)
def test_parameters_that_are_numpy_numbers_can_be_saved(parameters, tmp_path):
    clf = classifier(**parameters).fit(TEXTS, LABELS)
    clf.save(tmp_path / "model.npz")
    assert SetLSTMClassifier.load(tmp_path / "model.npz").get_params() == clf.get_params() | {"random_state": None}


@pytest.mark.parametrize("bit_generator", [np.random.PCG64, np.random.Philox, np.random.MT19937, np.random.SFC64])
def test_any_of_numpys_generators_can_be_saved_and_goes_on_exactly(bit_generator, tmp_path):
    at_once = classifier(random_state=np.random.Generator(bit_generator(0)), n_epochs=3).fit(TEXTS, LABELS)
    clf = classifier(random_state=np.random.Generator(bit_generator(0)), n_epochs=2).fit(TEXTS, LABELS)
    clf.save(tmp_path / "model.npz")
    clf = SetLSTMClassifier.load(tmp_path / "model.npz").set_params(n_epochs=3).fit(TEXTS, LABELS, resume=True)
    for name, W in at_once.training_state_.network.parameters.items():
        assert np.array_equal(weights_of(W), weights_of(clf.training_state_.network.parameters[name])), name


@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "Path"])
def test_the_file_has_exactly_the_name_that_was_given(kind, fitted, tmp_path):
    fitted.save(kind(tmp_path / "my model"))
    assert [file.name for file in tmp_path.iterdir()] == ["my model"]
    SetLSTMClassifier.load(kind(tmp_path / "my model"))


# What is in the file


def test_the_file_holds_no_objects_and_needs_no_pickle(path):
    contents = raw_contents(path)  # allow_pickle=False
    assert len(contents) > 10
    assert all(array.dtype.kind in "biufU" for array in contents.values())


def test_the_header_is_readable_json_with_a_format_version(path):
    header = json.loads(raw_contents(path)["header"].tobytes())
    assert header["format_version"] == FORMAT_VERSION
    assert header["parameters"]["connectivity"] == "set" and "good" in header["vocabulary"]


def test_nothing_of_the_size_of_the_full_matrix_is_stored(tmp_path):
    clf = classifier(parameter_share=0.1, vocabulary_size=1000, embedding_dim=16, validation_fraction=0)
    clf.fit(np.random.default_rng(0).integers(2, 1000, size=(40, 5)), LABELS)
    clf.save(tmp_path / "model.npz")
    connections = clf.network_.parameters["E"].nnz
    assert connections < 1000 * 16 / 5
    assert max(array.size for name, array in raw_contents(tmp_path / "model.npz").items() if "E" in name) == connections


def test_objects_are_refused_when_writing(tmp_path):
    with pytest.raises(TypeError, match="things holds Python objects; expected plain numbers or text"):
        save_arrays(tmp_path / "model.npz", {}, {"things": np.array([{}], dtype=object)})
    with pytest.raises(TypeError):
        save_arrays(tmp_path / "model.npz", {"things": {1, 2}}, {})
    assert not list(tmp_path.iterdir())


# Written at once or not at all


class DiskFull(OSError):
    pass


@pytest.mark.parametrize("error", [DiskFull, KeyboardInterrupt])
@pytest.mark.parametrize("function", ["savez", "fsync", "replace"])
def test_a_failure_while_writing_leaves_the_old_file_and_no_leftovers(function, error, path, monkeypatch):
    before = path.read_bytes()
    other = classifier(random_state=1).fit(TEXTS, LABELS)

    def fail(file, *_, **__):
        if function == "savez":
            file.write(b"PK half of a model")
        raise error

    monkeypatch.setattr(checkpoint.np if function == "savez" else files.os, function, fail)
    with pytest.raises(error):
        other.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["model.npz"]


def test_a_failure_while_writing_leaves_nothing_where_nothing_was(fitted, tmp_path, monkeypatch):
    def fail(file, **_):
        raise DiskFull

    monkeypatch.setattr(checkpoint.np, "savez", fail)
    with pytest.raises(DiskFull):
        fitted.save(tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_is_replaced(path):
    other = classifier(random_state=1).fit(TEXTS, LABELS)
    other.save(path)
    assert np.array_equal(SetLSTMClassifier.load(path).predict_proba(TEXTS), other.predict_proba(TEXTS))
    assert [file.name for file in path.parent.iterdir()] == ["model.npz"]


def test_a_missing_folder_is_named(fitted, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        fitted.save(tmp_path / "no such folder" / "model.npz")


def test_a_model_file_may_be_read_by_whom_any_new_file_may_be(path):
    ordinary = path.parent / "ordinary"
    ordinary.write_bytes(b"")
    assert stat.filemode(path.stat().st_mode) == stat.filemode(ordinary.stat().st_mode)


# Saved while training


def test_checkpoint_path_holds_the_model_of_the_last_epoch_that_ended(tmp_path, monkeypatch):
    saved = []
    save = SetLSTMClassifier.save

    def save_and_look(clf, path):
        save(clf, path)
        saved.append(SetLSTMClassifier.load(path))

    monkeypatch.setattr(SetLSTMClassifier, "save", save_and_look)
    clf = classifier(n_epochs=3).fit(TEXTS, LABELS, checkpoint_path=tmp_path / "model.npz")
    assert [loaded.training_state_.epoch for loaded in saved] == [1, 2, 3]
    assert [len(loaded.history_["train_loss"]) for loaded in saved] == [1, 2, 3]
    assert np.array_equal(saved[-1].predict_proba(TEXTS), clf.predict_proba(TEXTS))


def test_training_goes_on_exactly_from_any_checkpoint(tmp_path):
    at_once = classifier(n_epochs=3).fit(TEXTS, LABELS)
    classifier(n_epochs=2).fit(TEXTS, LABELS, checkpoint_path=tmp_path / "model.npz")
    clf = SetLSTMClassifier.load(tmp_path / "model.npz").set_params(n_epochs=3)
    clf.fit(TEXTS, LABELS, resume=True, checkpoint_path=tmp_path / "model.npz")
    assert np.array_equal(clf.predict_proba(TEXTS), at_once.predict_proba(TEXTS))
    assert SetLSTMClassifier.load(tmp_path / "model.npz").training_state_.epoch == 3


def test_a_checkpoint_of_a_second_fit_is_of_the_second_fit(tmp_path):
    clf = classifier().fit(TEXTS, LABELS)
    texts, labels = reviews(60, seed=1)
    clf.set_params(n_epochs=1, hidden_size=7).fit(texts, labels, checkpoint_path=tmp_path / "model.npz")
    loaded = SetLSTMClassifier.load(tmp_path / "model.npz")
    assert np.array_equal(loaded.predict_proba(texts), clf.predict_proba(texts))
    assert loaded.network_.parameters["W_h"].shape == (7, 28)


# Files that are no whole model


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no model file .*nowhere\.npz"):
        SetLSTMClassifier.load(tmp_path / "nowhere.npz")


@pytest.mark.parametrize("kept", [0.0, 0.0001, 0.1, 0.5, 0.9, 0.99, 0.9999])
def test_a_file_that_is_cut_short_is_refused(kept, path):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(CheckpointError, match=r"model\.npz is no"):
        SetLSTMClassifier.load(path)


@pytest.mark.parametrize("mask", [0x01, 0x80, 0xFF])
def test_a_flipped_byte_is_refused_or_changes_nothing(mask, path, fitted):
    """Not all bytes of an archive are contents; the time of writing is none, for example."""
    whole = path.read_bytes()
    expected = fitted.predict_proba(TEXTS)
    refused = 0
    directory = whole.index(b"PK\x01\x02")  # where the archive's table of contents begins
    for place in [*range(0, directory, directory // 40), *range(directory, directory + 64)]:
        altered = bytearray(whole)
        altered[place] ^= mask
        path.write_bytes(altered)
        try:
            loaded = SetLSTMClassifier.load(path)
        except CheckpointError:
            refused += 1
        else:
            assert np.array_equal(loaded.predict_proba(TEXTS), expected), f"byte {place}"
    assert refused > 30


@pytest.mark.parametrize("name", ["network/E/values", "best/W_h/cols", "optimizer/W_x/m", "classes", "header"])
def test_a_whole_archive_with_one_array_replaced_is_refused(name, path):
    contents = raw_contents(path)
    if name == "header":
        text = contents["header"].tobytes().replace(b'"best_epoch": ', b'"best_epoch": 1')
        contents["header"] = np.frombuffer(text, np.uint8)
    else:
        contents[name] = contents[name] + 1
    np.savez(path, **contents)
    with pytest.raises(CheckpointError, match="was altered after it was saved"):
        SetLSTMClassifier.load(path)


@pytest.mark.parametrize("change", ["one array missing", "one array more", "two arrays exchanged", "another type"])
def test_a_whole_archive_with_other_arrays_is_refused(change, path):
    contents = raw_contents(path)
    if change == "one array missing":
        del contents["network/b/values"]
    elif change == "one array more":
        contents["more"] = np.zeros(3)
    elif change == "two arrays exchanged":
        m, v = "optimizer/W_h/m", "optimizer/W_h/v"
        contents[m], contents[v] = contents[v], contents[m]
    else:
        contents["network/b/values"] = contents["network/b/values"].astype(np.float64)
    np.savez(path, **contents)
    with pytest.raises(CheckpointError, match="was altered after it was saved"):
        SetLSTMClassifier.load(path)


def test_a_whole_archive_with_a_file_that_is_no_array_is_refused(path):
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointError, match=r"model\.npz"):
        SetLSTMClassifier.load(path)


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 99])
def test_a_newer_format_asks_for_a_newer_package(version, path):
    contents = raw_contents(path)
    header = json.loads(contents["header"].tobytes()) | {"format_version": version}
    contents["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **contents)
    with pytest.raises(CheckpointError, match=f"version {version}; .* reads versions 1 to {FORMAT_VERSION}: upgrade"):
        SetLSTMClassifier.load(path)


@pytest.mark.parametrize("version", [0, -1, "1.0", None])
def test_a_format_version_that_never_was_is_refused(version, path):
    contents = raw_contents(path)
    header = json.loads(contents["header"].tobytes()) | {"format_version": version}
    contents["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **contents)
    with pytest.raises(CheckpointError, match=f"format version {version}"):
        SetLSTMClassifier.load(path)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def header_of(document):
    return np.frombuffer(json.dumps(document).encode(), np.uint8)


NOT_OURS = {
    "a text": b"once upon a time",
    "random bytes": np.random.default_rng(0).bytes(1000),
    "one array": npy(np.arange(3)),
    "arrays of somebody else": npz(a=np.arange(3)),
    "an archive with nothing in it": npz(),
    "a header that is no JSON": npz(header=np.frombuffer(b"{", np.uint8)),
    "a header that is no text": npz(header=np.array([255, 254], np.uint8)),
    "a header that is a list": npz(header=header_of([1, 2])),
    "a header that is a number": npz(header=header_of(1)),
    "a header without a version": npz(header=header_of({})),
    "a header without a digest": npz(header=header_of({"format_version": FORMAT_VERSION})),
}


@pytest.mark.parametrize("what", NOT_OURS)
def test_a_file_that_is_not_ours_is_refused(what, tmp_path):
    (tmp_path / "model.npz").write_bytes(NOT_OURS[what])
    with pytest.raises(CheckpointError, match=r"model\.npz"):
        SetLSTMClassifier.load(tmp_path / "model.npz")


def test_a_whole_file_of_ours_that_holds_no_classifier_is_refused(tmp_path):
    save_arrays(tmp_path / "other.npz", {"title": "a topology"}, {"rows": np.arange(3)})
    with pytest.raises(CheckpointError, match="cannot be loaded as a SetLSTMClassifier: it has no"):
        SetLSTMClassifier.load(tmp_path / "other.npz")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises((CheckpointError, OSError), match=tmp_path.name):
        SetLSTMClassifier.load(tmp_path)


# Pickles


class Trap:
    """Unpickling one creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_the_trap_works(tmp_path):
    pickle.loads(pickle.dumps(Trap(tmp_path / "sprung"))).close()
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_refused_and_its_code_does_not_run(protocol, tmp_path):
    (tmp_path / "model.npz").write_bytes(pickle.dumps(Trap(tmp_path / "sprung"), protocol=protocol))
    with pytest.raises(CheckpointError, match="pickled objects, which are never loaded"):
        SetLSTMClassifier.load(tmp_path / "model.npz")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["header", "classes", "network/E/values", "extra"])
def test_a_pickled_array_in_a_model_is_refused_and_its_code_does_not_run(name, path):
    trap = np.empty(1, dtype=object)
    trap[0] = Trap(path.parent / "sprung")
    np.savez(path, **raw_contents(path) | {name: trap})
    with pytest.raises(CheckpointError, match="pickled objects, which are never loaded"):
        SetLSTMClassifier.load(path)
    assert not (path.parent / "sprung").exists()


# Weights that are no numbers


def unusable(path, change):
    """Alter a file, and give it a fresh digest, as if somebody had edited it."""
    header, arrays = read(path)
    change(header, arrays)
    write(path, header, arrays)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["E", "W_x", "W_h", "b", "W_out", "b_out"])
def test_a_model_with_weights_that_are_not_finite_is_not_loaded(name, wrong, path):
    unusable(path, lambda header, arrays: arrays[f"best/{name}/values"].flat.__setitem__(0, wrong))
    with pytest.raises(CheckpointError, match=rf"best/{name}/values has numbers that are NaN or infinite: .* diverged"):
        SetLSTMClassifier.load(path)


@pytest.mark.parametrize("which", ["network", "best_network"])
@pytest.mark.parametrize("name", ["E", "W_out"])
def test_a_model_that_diverged_does_not_replace_a_good_file(which, name, path):
    before = path.read_bytes()
    clf = SetLSTMClassifier.load(path)
    weights_of(getattr(clf.training_state_, which).parameters[name]).flat[0] = np.inf
    with pytest.raises(CheckpointError, match=rf"was not written, .*/{name}/values has numbers that are NaN or inf"):
        clf.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["model.npz"]


def test_the_best_epoch_of_training_that_diverged_can_be_saved(path, fitted):
    clf = SetLSTMClassifier.load(path)
    weights_of(clf.training_state_.network.parameters["E"])[:] = np.nan
    clf.with_network(clf.network_).save(path)
    assert np.array_equal(SetLSTMClassifier.load(path).predict_proba(TEXTS), fitted.predict_proba(TEXTS))


@pytest.mark.parametrize("parameters", [{"hidden_size": 7}, {"zeta": 5}, {"dropout": 0.1}, {"optimizer": "sgd"}])
def test_parameters_that_are_not_those_of_the_network_are_not_saved(parameters, path):
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match=f"was not written, .*{next(iter(parameters))}"):
        SetLSTMClassifier.load(path).set_params(**parameters).save(path)
    assert path.read_bytes() == before


# Files that somebody edited, with a fresh digest


def test_a_file_that_was_written_again_is_read(path, fitted):
    """The control of what follows: without an alteration it loads, even if it is compressed."""
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        write(path, *read(path), compression=compression)
        assert np.array_equal(SetLSTMClassifier.load(path).predict_proba(TEXTS), fitted.predict_proba(TEXTS))


EDITED = {
    "no class": (("classes",), np.arange(0), "classes are int64 of shape (0,); expected two labels or more"),
    "one class more": (("classes",), np.arange(3), "network/W_out/values is float32 of shape (5, 2); exp"),
    "a class twice": (
        ("classes",),
        np.array([1, 1]),
        "classes are [1, 1]; expected different labels in increasing order",
    ),
    "complex weights": (("network/b/values",), np.zeros(20, "c8"), "'network/b/values' that is not of plain numbers"),
    "dates": (("network/b/values",), np.zeros(20, "M8[s]"), "'network/b/values' that is not of plain numbers"),
    "a state of another shape": (
        ("optimizer/b/m",),
        np.zeros(21, "f4"),
        "optimizer/b/m is float32 of shape (21,); exp",
    ),
    "a state of another type": (
        ("optimizer/b/m",),
        np.zeros(20),
        "optimizer/b/m is float64 of shape (20,); expected flo",
    ),
    "a kernel": (("parameters", "kernel"), "bogus", "kernel is 'bogus'; expected one of 'auto'"),
    "a history that is no list": (("history", "train_loss"), 3, "history has int for train_loss; expected 2"),
    "a history that is too long": (("history", "train_loss"), [1.0] * 3, "history has 3 entries for train_loss; exp"),
    "a huge matrix": (("network", "shapes", "W_h"), [2**28, 8], "the shape of W_h is (268435456, 8); expected (5, 20)"),
    "an epoch more": (("epoch",), 3, "history has 2 entries for gate_counts; expected 3"),
    "a field more": (("more",), 1, "it has a field 'more', which no model has"),
    "a generator": (("streams", "dropout", "state"), {"state": -1, "inc": 1}, "cannot be loaded"),
    "progress": (("parameters", "progress"), "yes", "progress is 'yes'; expected True or False"),
}


@pytest.mark.parametrize("what", EDITED)
def test_a_file_that_contradicts_itself_is_refused_in_one_line(what, path):
    place, value, message = EDITED[what]
    header, arrays = read(path)
    target = arrays if isinstance(value, np.ndarray) else header
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    write(path, header, arrays)
    pattern = re.escape(message)
    with pytest.raises(CheckpointError, match=pattern) as caught:
        SetLSTMClassifier.load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_connections_that_set_did_not_lead_to_are_refused(path):
    header, arrays = read(path)
    for part in ("rows", "cols"):
        arrays[f"network/W_h/{part}"] = arrays[f"initial/W_h/{part}"]
    write(path, header, arrays)
    with pytest.raises(CheckpointError, match="the connections network/W_h are not those that the SET steps lead to"):
        SetLSTMClassifier.load(path)


@pytest.mark.parametrize("seed", [0])
def test_altered_files_are_refused_or_load_unchanged(seed, tmp_path):
    """A short form of ``python tests/attack_model_files.py``."""
    counts, bad = attack(60, seed, tmp_path)
    assert sum(map(sum, (outcomes.values() for outcomes in counts.values()))) == 60
    assert not bad, f"{bad}\n{format_counts(counts)}"


# Files that ask for too much memory


def peak_of(function):
    """The most memory that a call takes, in bytes."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_member_that_inflates_to_too_much_is_refused_before_it_takes_memory(path):
    header, arrays = read(path)
    arrays["network/E/values"] = np.zeros(25_000_000, np.float32)
    write(path, header, arrays, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**20

    def load():
        with pytest.raises(
            CheckpointError, match=r"has arrays of 100,0\d\d,\d\d\d bytes, more than the limit of 16,777,216:"
        ):
            SetLSTMClassifier.load(path)

    assert peak_of(load) < 2**24
    with pytest.raises(CheckpointError, match="network/E/values is float32 of shape"):
        SetLSTMClassifier.load(path, max_bytes=2**28)
    with pytest.raises(CheckpointError, match="load it with max_bytes="):
        SetLSTMClassifier.load(path, max_bytes=1000)


@pytest.mark.parametrize("max_bytes", [0, -1, True, float("nan")])
def test_a_limit_has_to_be_one(max_bytes, path):
    with pytest.raises(CheckpointError, match="max_bytes is .*; expected a number above 0"):
        SetLSTMClassifier.load(path, max_bytes=max_bytes)


HUGE = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({2**28}, 8), }}\n".encode()
NPY_HEADERS = {
    "a header of 1 GiB": (b"\x93NUMPY\x02\x00" + (2**30).to_bytes(4, "little"), "a header of 1,073,741,824 bytes"),
    "a huge matrix": (b"\x93NUMPY\x01\x00" + len(HUGE).to_bytes(2, "little") + HUGE, "8,589,934,592 bytes, but has"),
    "brackets": (b"\x93NUMPY\x01\x00" + (900).to_bytes(2, "little") + b"(" * 900, "not of plain numbers or text"),
}


@pytest.mark.parametrize("what", NPY_HEADERS)
def test_the_header_of_an_array_is_not_believed(what, path):
    beginning, message = NPY_HEADERS[what]
    write(path, *read(path), damage={"classes": lambda member: beginning + member[10:]})

    def load():
        with pytest.raises(CheckpointError, match=message):
            SetLSTMClassifier.load(path)

    assert peak_of(load) < 2**23


@pytest.mark.parametrize("text", [b"[" * 10**6, b'{"a":' * 10**5, b"9" * 10**5, b'{"format_version": 1e999}'])
def test_a_header_that_goes_too_deep_is_refused(text, path):
    write(path, text, {})
    with pytest.raises(CheckpointError, match=r"model\.npz"):
        SetLSTMClassifier.load(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_an_unusual_compression_is_refused(method, path):
    write(path, *read(path), compression=method)
    with pytest.raises(CheckpointError, match="compressed by an unusual method"):
        SetLSTMClassifier.load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with a name")
def test_a_pipe_is_neither_read_nor_replaced(fitted, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="is a device or a pipe; expected a regular file"):
        SetLSTMClassifier.load(tmp_path / "pipe")
    with pytest.raises(OSError, match="expected a regular file"):
        fitted.save(tmp_path / "pipe")


# The file that is replaced


def test_a_saved_file_keeps_the_permissions_of_the_one_it_replaces(path, fitted):
    for mode in (0o600, 0o640, 0o444):
        path.chmod(mode)
        before = stat.S_IMODE(path.stat().st_mode)
        fitted.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == before


@pytest.mark.parametrize("exists", [True, False])
def test_a_symlink_stays_one_and_its_target_is_replaced(exists, path, fitted):
    (path.parent / "elsewhere").mkdir()
    target, link = path.parent / "elsewhere" / "model.npz", path.parent / "link.npz"
    if exists:
        target.write_bytes(b"old")
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("this system does not let us make symbolic links")
    fitted.save(link)
    assert link.is_symlink() and np.array_equal(SetLSTMClassifier.load(target).predict(TEXTS), fitted.predict(TEXTS))
    assert [file.name for file in target.parent.iterdir()] == ["model.npz"]


def test_a_circle_of_symlinks_stays_one(tmp_path, fitted):
    try:
        (tmp_path / "model.npz").symlink_to(tmp_path / "model.npz")
    except OSError:
        pytest.skip("this system does not let us make symbolic links")
    with pytest.raises(OSError, match="a circle of links"):
        fitted.save(tmp_path / "model.npz")
    assert (tmp_path / "model.npz").is_symlink()


@pytest.mark.parametrize("name", ["", ".", "folder"])
def test_a_path_that_is_no_file_is_refused(name, tmp_path, monkeypatch, fitted):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises((ValueError, OSError), match="it is a folder" if name else "file to write is empty"):
        fitted.save(name)
    with pytest.raises(ValueError, match="the name of the output folder is empty; expected a folder"):
        make_folder("")
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


def test_a_full_disk_names_the_file(path, fitted, monkeypatch):
    before = path.read_bytes()

    def fail(file, **_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.np, "savez", fail)
    with pytest.raises(OSError, match=r"\[Errno 28\] No space left on device; it was not written: .*model\.npz"):
        fitted.save(path)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1


KILLED = """
import os, signal, sys
from numpy_setlstm.files import locked, replacing
with locked(sys.argv[1]), replacing(sys.argv[1]) as file:
    file.write(b"half of a model")
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writer(path):
    """Another process that is writing the model, and holds its lock."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], **pipes)
    assert process.stdout.readline() == "writing\n"
    yield process
    process.kill()
    process.communicate()


def parts(path):
    """The half-written files beside a model."""
    return [file.name for file in path.parent.iterdir() if file.suffix == ".part"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no file that is open")
def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(writer, path, fitted):
    assert len(parts(path)) == 1
    fitted.save(path)
    assert len(parts(path)) == 1
    os.kill(writer.pid, signal.SIGKILL)
    writer.communicate()
    assert len(parts(path)) == 1
    (path.parent / "film.part").write_bytes(b"of somebody else")
    fitted.save(path)
    assert parts(path) == ["film.part"]


def test_a_second_training_into_one_folder_is_refused_and_changes_nothing(writer, path):
    before = path.read_bytes()
    reviews = demo_reviews(train_texts=40, test_texts=20)
    with pytest.raises(BlockingIOError, match=rf"model\.npz is being written by process {writer.pid} on"):
        run_training(classifier(n_epochs=1), reviews, path.parent, report=lambda line: None)
    assert path.read_bytes() == before


def test_one_of_two_processes_gets_the_lock_and_the_other_is_told_of_it(writer, path):
    with pytest.raises(
        BlockingIOError, match=rf"model\.npz is being written by process {writer.pid} on .*: wait until"
    ):
        with locked(path):
            pass
    with pytest.raises(BlockingIOError, match=rf"model\.npz is being written by process {writer.pid} on"):
        classifier().fit(TEXTS, LABELS, checkpoint_path=path)
    writer.kill()
    writer.communicate()
    with locked(path):  # what a dead process left is taken over
        with pytest.raises(BlockingIOError, match=f"process {os.getpid()} on"):
            with locked(path):
                pass
    assert not Path(f"{path}.lock").exists()


def test_a_folder_that_vanished_takes_its_lock_along_and_the_first_error_is_told(path):
    with pytest.raises(FileNotFoundError, match="there is no folder .* to write model.npz into: make it first"):
        with locked(path):
            path.parent.rename(path.parent.with_name("away"))
            with files.replacing(path):
                pass
    path.parent.with_name("away").rename(path.parent)
    with locked(path):
        pass
    assert [file.name for file in path.parent.iterdir()] == ["model.npz"]


def test_a_lock_that_took_the_place_of_ours_stays(path):
    lock = Path(f"{path}.lock")
    with locked(path):
        lock.unlink()
        lock.write_text("of somebody else")
    assert lock.read_text() == "of somebody else"


@pytest.mark.skipif(sys.platform == "win32", reason="the full disk is simulated by a limit of POSIX")
def test_a_full_disk_has_room_for_a_lock(path):
    """Which process holds it is then unknown, but nothing else is."""
    code = f"""
import resource
from numpy_setlstm.files import locked
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
with locked({str(path)!r}):
    try:
        with locked({str(path)!r}):
            print("locked twice")
    except BlockingIOError as error:
        print(error)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stderr == "" and "model.npz is being written by another process: wait until" in ended.stdout
    assert [file.name for file in path.parent.iterdir()] == ["model.npz"]


def lines_of_saving(path, target=None):
    """Save with the lock, and count the lines of files.py that run; at line `target` Ctrl-C interrupts."""
    count = 0

    def at_line(frame, event, argument):
        nonlocal count
        count += event == "line"
        if count == target and event == "line":
            sys.settrace(None)
            raise KeyboardInterrupt
        return at_line

    before = sys.gettrace()
    sys.settrace(lambda frame, *_: at_line if frame.f_code.co_filename == files.__file__ else None)
    try:
        with locked(path), files.replacing(path) as file:
            file.write(b"new")
    finally:
        sys.settrace(before)
    return count


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of files closed by their destructors
def test_ctrl_c_at_any_line_leaves_no_lock_that_blocks_and_no_half_of_a_file(tmp_path):
    path = tmp_path / "model.npz"
    n_lines = lines_of_saving(path)
    assert n_lines > 30 and [file.name for file in tmp_path.iterdir()] == ["model.npz"]
    for target in range(1, n_lines + 1):
        path.write_bytes(b"old")
        with pytest.raises(KeyboardInterrupt):
            lines_of_saving(path, target)
        assert path.read_bytes() in (b"old", b"new"), f"after Ctrl-C at line {target}"
        with locked(path), files.replacing(path) as file:  # also removes what the interrupted one left
            file.write(b"next")
        assert [file.name for file in tmp_path.iterdir()] == ["model.npz"], f"after Ctrl-C at line {target}"


class Msvcrt:
    """Windows' locks of a range of bytes, by those of POSIX."""

    LK_NBLCK, LK_UNLCK = 2, 0

    def __init__(self):
        import fcntl

        self.fcntl, self.calls = fcntl, []

    def locking(self, descriptor, mode, n_bytes):
        self.calls.append(mode)
        assert (os.lseek(descriptor, 0, os.SEEK_CUR), n_bytes) == (2**30, 1)  # from the current position on
        try:
            operation = self.fcntl.LOCK_UN if mode == self.LK_UNLCK else self.fcntl.LOCK_EX | self.fcntl.LOCK_NB
            self.fcntl.flock(descriptor, operation)
        except BlockingIOError:
            raise PermissionError(13, "Permission denied") from None  # as the C library of Windows reports it


@pytest.fixture
def windows(monkeypatch):
    pytest.importorskip("fcntl", reason="on Windows its own locks are tested, by the other tests")
    monkeypatch.setattr(files, "fcntl", None)
    monkeypatch.setattr(files, "msvcrt", Msvcrt(), raising=False)
    return files.msvcrt


def test_the_lock_of_windows(windows, path):
    """A byte far behind the text is locked, so that the text can be read, and unlocked before the file is closed."""
    Path(f"{path}.lock").write_text("process 123456789 on a machine with a long name, which was killed\n")
    with locked(path):
        with pytest.raises(BlockingIOError, match=rf"being written by process {os.getpid()} on \S+: wait until"):
            with locked(path):
                pass
    assert windows.calls == [windows.LK_NBLCK, windows.LK_NBLCK, windows.LK_UNLCK]
    assert [file.name for file in path.parent.iterdir()] == ["model.npz"]


def test_on_windows_a_file_that_is_being_read_is_replaced_a_moment_later(windows, path, monkeypatch):
    attempts = []

    def replace(source, target, original=os.replace):
        attempts.append(source)
        if len(attempts) < 3:
            raise PermissionError(13, "Access is denied", str(source), 5, str(target))
        original(source, target)

    monkeypatch.setattr(files.os, "replace", replace)
    monkeypatch.setattr(files.time, "sleep", lambda seconds: None)
    with files.replacing(path) as file:
        file.write(b"new")
    assert len(attempts) == 3 and path.read_bytes() == b"new"
    monkeypatch.setattr(files, "PAUSES", (0,))
    attempts.clear()
    with pytest.raises(OSError, match="Access is denied; it was not written"):
        with files.replacing(path) as file:
            file.write(b"newer")
    assert path.read_bytes() == b"new" and parts(path) == []


def test_on_windows_only_an_old_part_is_a_leftover(windows, path):
    for name, age in (("model.npz.01234567.part", 10), ("model.npz.76543210.part", 10_000)):
        (path.parent / name).write_bytes(b"half of a model")
        os.utime(path.parent / name, (time.time() - age,) * 2)
    with files.replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new" and parts(path) == ["model.npz.01234567.part"]


# One folder for a training


def train_into(folder, clf=None, **options):
    """Train on a few reviews; `options` are those of `run_training`."""
    clf = classifier(random_state=3) if clf is None else clf
    return run_training(clf, demo_reviews(train_texts=40, test_texts=20), folder, report=lambda line: None, **options)


def test_a_training_that_begins_while_another_one_ends_does_not_replace_its_model(path):
    """The command line has looked for a model before, when there was none."""
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"model\.npz exists: continue with --resume, or choose another --output"):
        train_into(path.parent)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1


def test_a_model_that_was_trained_further_since_it_was_read_is_not_replaced(tmp_path):
    train_into(tmp_path, classifier(n_epochs=1))
    stale = SetLSTMClassifier.load(tmp_path / "model.npz").set_params(n_epochs=2)
    train_into(tmp_path, SetLSTMClassifier.load(tmp_path / "model.npz").set_params(n_epochs=3), resume=True)
    with pytest.raises(BlockingIOError, match=r"model\.npz was trained by another process since it was read: repeat"):
        train_into(tmp_path, stale, resume=True)
    assert SetLSTMClassifier.load(tmp_path / "model.npz").training_state_.epoch == 3


def test_a_resumed_training_makes_the_pictures_of_one_in_one_go(tmp_path):
    train_into(tmp_path / "one", classifier(n_epochs=3, random_state=3))
    train_into(tmp_path / "two", classifier(n_epochs=1, random_state=3))
    clf = SetLSTMClassifier.load(tmp_path / "two" / "model.npz").set_params(n_epochs=3)
    train_into(tmp_path / "two", clf, resume=True)  # which knows no seed
    pictures = [path.name for path in (tmp_path / "one").iterdir() if path.suffix in (".png", ".gif")]
    assert "evolution.gif" in pictures
    for name in pictures:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


# Files of older formats

SET_OF_FORMAT_1 = [0.5001339, 0.5019313, 0.5501407, 0.5479848]
PRUNED_OF_FORMAT_1 = [0.492631, 0.4927937, 0.4898684, 0.4884397]
SET_OF_FORMAT_2 = [0.5074188, 0.5056677, 0.4980263, 0.5021315]
BIDIRECTIONAL_OF_FORMAT_3 = [0.4836890, 0.4785547, 0.4786933, 0.4815067]
AVERAGED_OF_FORMAT_4 = [0.4793868, 0.4637973, 0.5130836, 0.5250828]
GATES_OF_FORMAT_5 = [0.5237105, 0.5264971, 0.4998122, 0.4980582]


@pytest.mark.parametrize(
    "what, expected",
    [
        ("1_set", SET_OF_FORMAT_1),
        ("1_pruned", PRUNED_OF_FORMAT_1),
        ("2_set", SET_OF_FORMAT_2),
        ("3_bidirectional", BIDIRECTIONAL_OF_FORMAT_3),
        ("4_averaged", AVERAGED_OF_FORMAT_4),
        ("5_gates", GATES_OF_FORMAT_5),
    ],
)
def test_a_file_of_an_older_format_is_read(what, expected, tmp_path):
    """Format 1 had `density` for the share of parameters, and a pretraining of its own; it knew no engines.

    Format 2 knew neither `class_weight` nor a second direction; format 3 evolved between two epochs only; in format 4
    the gates of a matrix were always pruned together; up to format 5 there was `n_threads`, and no `n_jobs`.
    """
    texts = ["a lovely film", "a dull film", "not dull at all", "not lovely at all"]
    clf = SetLSTMClassifier.load(Path(__file__).parent / "golden" / "models" / f"format_{what}.npz")
    assert (clf.parameter_share, clf.engine, clf.training_state_.inconsistent) == (0.5, "fast", False)
    assert clf.n_jobs is None and clf.keep_gate_counts == (what == "5_gates")
    np.testing.assert_allclose(clf.predict_proba(texts)[:, 0], expected, atol=1e-6)
    assert ("pretraining" in clf.training_state_.notes) == (what == "1_pruned")
    clf.set_params(n_epochs=clf.n_epochs + 1).fit(texts * 8, ["pos", "neg", "pos", "neg"] * 8, resume=True)
    assert len(clf.history_["train_loss"]) == clf.n_epochs
    clf.save(tmp_path / "model.npz")
    again = SetLSTMClassifier.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.predict_proba(texts), clf.predict_proba(texts))
