"""Model files: what goes in comes out, nothing runs when one is opened, and a damaged one is refused."""

import io
import json
import pickle
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest

from numpy_setlstm import SetLSTMClassifier, checkpoint
from numpy_setlstm.checkpoint import FORMAT_VERSION, CheckpointError, load_arrays, pack_state, save_arrays
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
    "labels", [LABELS, LABELS == 1, np.where(LABELS, "größer", "kleiner"), LABELS + 0.5], ids=lambda y: y.dtype.kind
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

    monkeypatch.setattr(checkpoint.np if function == "savez" else checkpoint.os, function, fail)
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


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["E", "W_x", "W_h", "b", "W_out", "b_out"])
def test_a_model_with_weights_that_are_not_finite_is_not_loaded(name, wrong, tmp_path):
    clf = classifier().fit(TEXTS, LABELS)
    weights_of(clf.network_.parameters[name]).flat[0] = wrong
    clf.save(tmp_path / "model.npz")
    with pytest.raises(CheckpointError, match=rf"{name} has weights that are NaN or infinite.*diverged"):
        SetLSTMClassifier.load(tmp_path / "model.npz")


# Files of older formats

SET_OF_FORMAT_1 = [0.5001339, 0.5019313, 0.5501407, 0.5479848]
PRUNED_OF_FORMAT_1 = [0.492631, 0.4927937, 0.4898684, 0.4884397]


@pytest.mark.parametrize("what, expected", [("set", SET_OF_FORMAT_1), ("pruned", PRUNED_OF_FORMAT_1)])
def test_a_file_of_the_first_format_is_read(what, expected, tmp_path):
    """Format 1 had `density` for the share of parameters, and a pretraining of its own; it knew no engines."""
    texts = ["a lovely film", "a dull film", "not dull at all", "not lovely at all"]
    clf = SetLSTMClassifier.load(Path(__file__).parent / "golden" / "models" / f"format_1_{what}.npz")
    assert (clf.parameter_share, clf.engine, clf.training_state_.inconsistent) == (0.5, "fast", False)
    np.testing.assert_allclose(clf.predict_proba(texts)[:, 0], expected, atol=1e-6)
    assert ("pretraining" in clf.training_state_.notes) == (what == "pruned")
    clf.set_params(n_epochs=clf.n_epochs + 1).fit(texts * 8, ["pos", "neg", "pos", "neg"] * 8, resume=True)
    assert len(clf.history_["train_loss"]) == clf.n_epochs
    clf.save(tmp_path / "model.npz")
    again = SetLSTMClassifier.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.predict_proba(texts), clf.predict_proba(texts))
