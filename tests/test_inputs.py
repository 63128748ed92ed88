"""Bad input: each has an error that names what was handed in and what is expected."""

import re

import numpy as np
import pytest

from numpy_setlstm import SetLSTMClassifier
from numpy_setlstm.evolution import evolve
from numpy_setlstm.inputs import check_parameters, check_X, check_y, fingerprint
from numpy_setlstm.training import TrainingSettings

TEXTS = ["a good film", "a bad film", "so good", "so bad"] * 8
LABELS = np.array([1, 0, 1, 0] * 8)
IDS = np.tile([[0, 2, 3, 4], [0, 2, 5, 4], [0, 0, 6, 3], [0, 0, 6, 5]], (8, 1))


def classifier(**parameters):
    small = {
        "embedding_dim": 6,
        "hidden_size": 5,
        "parameter_share": 0.4,
        "max_length": 6,
        "n_epochs": 2,
        "batch_size": 8,
    }
    strict = {"random_state": 0, "validation_fraction": 0, "without_known_words": "error"}
    return SetLSTMClassifier(**small | strict | parameters)


@pytest.fixture(scope="module")
def of_texts():
    return classifier().fit(TEXTS, LABELS)


@pytest.fixture(scope="module")
def of_ids():
    return classifier().fit(IDS, LABELS)


def raises(error, *pieces):
    """Expect an error whose message holds all pieces, in this order."""
    return pytest.raises(error, match=".*".join(map(re.escape, pieces)))


# Parameters

CHOICES = {
    "connectivity": ("sparse", "'set', 'static', 'dense'"),
    "prune_rule": ("random", "'sign', 'magnitude'"),
    "growth": ("largest", "'zero', 'random', 'gradient'"),
    "zeta_schedule": ("linear", "'constant', 'cosine'"),
    "kernel": ("cuda", "'auto', 'gather', 'scratch'"),
    "optimizer": ("rmsprop", "'adam', 'sgd'"),
    "padding": ("left", "'pre', 'post'"),
    "truncating": ("left", "'pre', 'post'"),
    "without_known_words": ("ignore", "'warn', 'accept', 'error'"),
    "dtype": ("float16", "'float32', 'float64'"),
}


@pytest.mark.parametrize("name", CHOICES)
def test_an_unknown_choice_lists_the_known_ones(name):
    wrong, known = CHOICES[name]
    with raises(ValueError, f"{name} is '{wrong}'", "expected one of", known):
        classifier(**{name: wrong}).fit(TEXTS, LABELS)


OUTSIDE = {
    "zeta": ([-0.1, 1.1, float("nan"), "0.3", True], "[0, 1]"),
    "parameter_share": ([0, -0.1, 1.5, float("nan"), "all"], "(0, 1]"),
    "er_epsilon": ([0, -1.0, float("inf"), float("nan")], "(0, inf)"),
    "dropout": ([-0.1, 1.0, 2, float("nan")], "[0, 1)"),
    "embedding_dropout": ([-0.1, 1.0, 2, float("nan")], "[0, 1)"),
    "validation_fraction": ([-0.1, 1.0, float("nan")], "[0, 1)"),
    "learning_rate": ([-1e-3, float("inf"), float("nan")], "[0, inf)"),
    "embedding_learning_rate": ([-1e-3, float("inf"), float("nan")], "[0, inf)"),
    "embedding_scale": ([-1.0, float("inf"), float("nan")], "[0, inf)"),
    "max_norm": ([0, -1.0, float("nan")], "(0, inf]"),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in OUTSIDE for value in OUTSIDE[name][0]])
def test_a_number_outside_its_range_names_the_range(name, value):
    with raises(ValueError, f"{name} is {value!r}", f"expected a number in {OUTSIDE[name][1]}"):
        classifier(**{name: value}).fit(TEXTS, LABELS)


AT_THE_ENDS = [
    ("zeta", 0), ("zeta", 1), ("parameter_share", 1), ("dropout", 0), ("validation_fraction", 0), ("learning_rate", 0),
    ("embedding_scale", 0), ("max_norm", float("inf")), ("zeta", np.float32(0.5)), ("n_epochs", np.int64(3)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), AT_THE_ENDS)
def test_the_ends_of_a_range_and_numpys_numbers_are_accepted(name, value):
    check_parameters({name: value})


WHOLE = {"embedding_dim": 1, "hidden_size": 1, "max_length": 1, "n_epochs": 1, "batch_size": 1, "vocabulary_size": 3}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("value", [0, -3, 2.5, 8.0, "8", True])
def test_a_size_that_is_no_whole_number_or_too_small_names_the_least(name, value):
    with raises(ValueError, f"{name} is {value!r}", f"expected a whole number of at least {WHOLE[name]}"):
        classifier(**{name: value}).fit(TEXTS, LABELS)


@pytest.mark.parametrize("value", [0, 2.5, 8.0, "8", True, np.array([2])])
def test_a_number_of_processes_that_is_none_is_refused_in_training_and_prediction(value):
    with raises(ValueError, "n_jobs is"):
        classifier(n_jobs=value).fit(TEXTS, LABELS)
    clf = classifier().fit(TEXTS, LABELS).set_params(n_jobs=value)
    with raises(ValueError, "n_jobs is"):
        clf.predict(TEXTS)


@pytest.mark.parametrize("value", [None, 1, -1, -1000, np.int64(1)])
def test_numbers_of_processes(value):
    check_parameters({"n_jobs": value})
    with raises(ValueError, "n_jobs is 0; expected 1 or more processes, or -1 for as many as there are cores"):
        check_parameters({"n_jobs": 0})


NEEDED = [
    "zeta", "parameter_share", "dropout", "embedding_dropout", "validation_fraction", "max_norm", "embedding_dim",
    "hidden_size", "max_length", "n_epochs", "batch_size",
]  # fmt: skip


@pytest.mark.parametrize("name", NEEDED)
def test_none_where_a_number_is_needed_is_refused_by_name(name):
    with raises(ValueError, f"{name} is None", "expected"):
        classifier(**{name: None}).fit(TEXTS, LABELS)


@pytest.mark.parametrize("seed", ["abc", -1, 1.5, np.random.RandomState(0)], ids=["text", "-1", "1.5", "RandomState"])
def test_a_seed_that_is_none_is_refused_by_name(seed):
    with pytest.raises((ValueError, TypeError), match="random_state.*expected"):
        classifier(random_state=seed).fit(TEXTS, LABELS)


def test_a_density_too_small_for_biases_and_readout_says_how_many_they_are():
    with raises(ValueError, "parameter_share 0.01 allows", "biases and readout alone have 32", "raise parameter_share"):
        classifier(parameter_share=0.01).fit(TEXTS, LABELS)  # 4 * 5 biases, 5 * 2 + 2 of the readout


# Texts and word ids


@pytest.mark.parametrize("method", ["fit", "predict", "predict_proba", "score"])
def test_a_single_text_is_not_taken_for_a_list_of_letters(method, of_texts):
    arguments = ("a good film", [1]) if method in ("fit", "score") else ("a good film",)
    with raises(TypeError, "X is a single text, 'a good film'", "expected a list of texts"):
        getattr(of_texts, method)(*arguments)


@pytest.mark.parametrize("method", ["fit", "predict", "predict_proba", "score"])
def test_an_empty_list_is_refused(method, of_texts):
    arguments = ([], []) if method in ("fit", "score") else ([],)
    with raises(ValueError, "X is empty", "expected at least one text"):
        getattr(of_texts, method)(*arguments)


@pytest.mark.parametrize("shape", [(0, 4), (3, 0)])
def test_an_empty_array_is_refused(shape, of_ids):
    with raises(ValueError, f"X has shape {shape}", "expected at least one text and one word"):
        of_ids.predict(np.zeros(shape, int))


@pytest.mark.parametrize(
    ("wrong", "what"),
    [(3, "int '3'"), (None, "NoneType"), (b"good", "bytes"), (float("nan"), "float 'nan'")],
    ids=["int", "None", "bytes", "nan"],
)
def test_something_that_is_no_text_is_named_with_its_place(wrong, what, of_texts):
    with raises(TypeError, "text 1 is", what, "expected str"):
        of_texts.predict(["a good film", wrong])


@pytest.mark.parametrize("wrong", [None, 3, np.array("good")], ids=["None", "int", "array of rank 0"])
def test_something_that_cannot_be_gone_through_is_refused(wrong, of_texts):
    with raises(TypeError, f"X is {type(wrong).__name__}", "expected a list of str, or an array of word ids"):
        of_texts.predict(wrong)


def test_lists_of_lists_of_ids_are_pointed_to_pad_sequences(of_ids):
    with raises(TypeError, "text 0 is list '[0, 2, 3, 4]'", "expected str", "use pad_sequences"):
        of_ids.predict(IDS.tolist())
    with raises(TypeError, "text 0 is list '[2]'", "use pad_sequences"):
        classifier().fit([[2], [2, 3]], [0, 1])


@pytest.mark.parametrize("dtype", [float, bool, complex, "datetime64[s]"])
def test_ids_of_a_wrong_dtype_are_refused(dtype, of_ids):
    with raises(TypeError, f"X has dtype {np.dtype(dtype)}", "expected integer word ids"):
        of_ids.predict(IDS.astype(dtype))


@pytest.mark.parametrize("shape", [(), (4,), (2, 2, 4)])
def test_ids_of_a_wrong_rank_are_refused(shape, of_ids):
    with raises(ValueError, f"X has shape {shape}", "expected (n_texts, T) word ids"):
        of_ids.predict(np.full(shape, 2))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_ids_of_any_integer_type_are_accepted(dtype, of_ids):
    assert np.array_equal(of_ids.predict_proba(IDS.astype(dtype)), of_ids.predict_proba(IDS))


def test_negative_ids_are_refused(of_ids):
    wrong = IDS.copy()
    wrong[3, 2] = -1
    with raises(ValueError, "word id -1", "expected"):
        of_ids.predict(wrong)
    with raises(ValueError, "word id -1", "expected"):
        classifier().fit(wrong, LABELS)


def test_ids_beyond_the_vocabulary_are_refused_by_predict(of_ids):
    with raises(ValueError, "word ids range from 0 to 7", "a vocabulary of 7 words has ids 0 to 6"):
        of_ids.predict(np.array([[0, 2, 3, 7]]))


def test_ids_beyond_a_given_vocabulary_size_are_refused_by_fit():
    with raises(ValueError, "word ids range from 0 to 6", "a vocabulary of 5 words has ids 0 to 4"):
        classifier(vocabulary_size=5).fit(IDS, LABELS)


def test_ids_for_a_model_of_texts_and_texts_for_a_model_of_ids(of_texts, of_ids):
    with raises(TypeError, "trained on texts; got an array of int64", "give a list of str"):
        of_texts.predict(IDS.astype(np.int64))
    with raises(TypeError, "trained on word ids; got texts", "give an integer array"):
        of_ids.predict(TEXTS)


@pytest.mark.parametrize("empty", ["", "   \n", "...", "<br />"], ids=["nothing", "white space", "marks", "a tag"])
def test_a_text_without_words_is_refused_as_empty(empty, of_texts):
    with raises(ValueError, f"text 1, {empty!r}, is empty (1 of 2 texts", "set without_known_words='warn'"):
        of_texts.predict(["a good film", empty])
    with raises(ValueError, f"text 32, {empty!r}, is empty (1 of 33 texts"):
        classifier().fit([*TEXTS, empty], [*LABELS, 0])


def test_a_text_of_unknown_words_is_refused_as_such(of_texts, of_ids):
    with raises(ValueError, "text 1, 'xylophone zebra', has no known word (2 of 3 texts", "='warn' or 'accept'"):
        of_texts.predict(["a good film", "xylophone zebra", "zebra"])
    with raises(ValueError, "text 0, [0, 0, 1, 1], has no known word (1 of 1 texts"):
        of_ids.predict(np.array([[0, 0, 1, 1]]))
    with raises(ValueError, "text 0, [0, 0, 0, 0], is empty (1 of 1 texts"):
        of_ids.predict(np.zeros((1, 4), int))


def test_known_words_that_are_cut_off_count_as_known(of_texts):
    text = "good" + " zebra" * 20  # "good" is not among the last six words
    assert of_texts.predict([text]).shape == (1,)


def test_accepted_texts_without_known_words_have_a_defined_answer():
    clf = classifier(without_known_words="accept").fit(TEXTS, LABELS)
    probabilities = clf.predict_proba(["", "a good film", "..."])
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert np.array_equal(probabilities[0], probabilities[2])
    assert clf.predict(["zebra"]).shape == (1,)
    b_out = clf.network_.parameters["b_out"]  # an empty text leaves the state at 0, so that only this bias speaks
    np.testing.assert_allclose(probabilities[0], np.exp(b_out) / np.exp(b_out).sum(), rtol=1e-6)


def test_an_accepted_empty_text_can_be_trained_on():
    clf = classifier(without_known_words="accept").fit([*TEXTS, ""], [*LABELS, 0])
    assert clf.predict([*TEXTS, ""]).shape == (33,)


# Labels


def test_one_class_only_is_refused():
    with raises(ValueError, "all 32 labels are 1, one class;", "expected at least two classes"):
        classifier().fit(TEXTS, [1] * 32)
    with raises(ValueError, "all 32 labels are 'good', one class;", "expected at least two classes"):
        classifier().fit(TEXTS, ["good"] * 32)


@pytest.mark.parametrize("n_labels", [0, 31, 33])
def test_as_many_labels_as_texts_are_needed(n_labels, of_texts):
    labels = np.arange(n_labels) % 2
    for method in (classifier().fit, of_texts.score):
        with raises(ValueError, f"32 texts and {n_labels} labels", "expected as many labels as texts"):
            method(TEXTS, labels)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_labels_that_are_not_finite_are_refused(wrong):
    with raises(ValueError, "labels that are NaN or infinite", "leave those texts out"):
        classifier().fit(TEXTS, [wrong, *LABELS[1:]])


def test_nan_among_labels_that_are_texts_is_no_class_of_its_own():
    with pytest.raises((ValueError, TypeError), match="(?i)nan"):
        classifier().fit(TEXTS, [float("nan"), *["good", "bad"] * 15, "good"])


@pytest.mark.parametrize("labels", [[None, *LABELS[1:]], LABELS + 1j], ids=["None", "complex"])
def test_labels_of_another_type_are_refused(labels):
    with raises(ValueError, "y has shape (32,) and dtype", "expected one number or str per text"):
        classifier().fit(TEXTS, labels)


def test_labels_of_another_rank_are_rejected():
    with raises(ValueError, "y has shape (16, 2)", "expected one number or str per text"):
        classifier().fit(TEXTS, LABELS.reshape(16, 2))


def test_a_column_of_labels_is_read_as_such_with_a_warning():
    with pytest.warns(UserWarning, match=r"A column-vector y was passed .*: \(32, 1\) is read as y\.ravel\(\)"):
        column = classifier().fit(TEXTS, LABELS[:, None])
    assert np.array_equal(column.predict(TEXTS), classifier().fit(TEXTS, LABELS).predict(TEXTS))


def test_labels_that_are_lists_of_unequal_lengths_are_refused():
    with raises(ValueError, "expected one number or str per text"):
        classifier().fit(TEXTS, [[1], [0, 1]] * 16)


def test_too_few_texts_for_a_validation_split_are_refused():
    with raises(ValueError, "2 texts are too few to hold out 0.1 for validation", "validation_fraction=0"):
        classifier(validation_fraction=0.1).fit(["good", "bad"], [1, 0])


# A model that is not there, or is broken


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score", "save", "resume"])
def test_using_a_model_before_fit_says_what_to_do(method, tmp_path):
    clf = classifier()
    calls = {
        "predict": lambda: clf.predict(TEXTS),
        "predict_proba": lambda: clf.predict_proba(TEXTS),
        "score": lambda: clf.score(TEXTS, LABELS),
        "save": lambda: clf.save(tmp_path / "model.npz"),
        "resume": lambda: clf.fit(TEXTS, LABELS, resume=True),
    }
    with raises(ValueError, "not fitted yet", "call fit(texts, labels), or load a saved model"):
        calls[method]()
    assert not list(tmp_path.iterdir())


def test_resuming_with_other_texts_or_labels_is_refused(of_texts):
    for texts, labels in (([*TEXTS[:-1], "so good"], LABELS), (TEXTS, 1 - LABELS), (TEXTS[:-1], LABELS[:-1])):
        with raises(ValueError, "differ from those training began with", "resume needs the same ones"):
            of_texts.fit(texts, labels, resume=True)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["E", "W_x", "W_h"])
def test_weights_that_are_not_finite_stop_the_evolution(name, wrong):
    state = classifier().fit(TEXTS, LABELS).training_state_
    W = state.network.parameters[name]
    W.values[1] = wrong
    where = f"({W.rows[1]}, {W.cols[1]})"
    with raises(ValueError, f"1 of {W.nnz} weights are not finite, the first is {wrong} at {where}", "lower the"):
        evolve(state, TrainingSettings())


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_weights_that_are_not_finite_give_no_prediction(wrong):
    clf = classifier().fit(TEXTS, LABELS)
    clf.network_.parameters["b_out"][0] = wrong
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="NaN|finite"):
        clf.predict(TEXTS)


# What is accepted


@pytest.mark.parametrize("kind", [list, tuple, np.array, iter], ids=["list", "tuple", "ndarray", "iterator"])
def test_texts_may_come_in_any_sequence(kind):
    assert check_X(kind(["good film", "bad"])) == ["good film", "bad"]


def test_an_object_array_of_texts_is_accepted():
    assert check_X(np.array(["good film", "bad"], dtype=object)) == ["good film", "bad"]


@pytest.mark.parametrize("labels", [["a", "b"], [1, 2], [True, False], [1.0, 2.0], np.array(["a", "b"], dtype=object)])
def test_labels_may_be_numbers_or_texts_and_are_kept_as_such(labels):
    checked = check_y(labels, 2)
    assert checked.tolist() == list(labels) and checked.dtype.kind != "O"


def test_equal_training_data_have_equal_fingerprints_whatever_their_container():
    assert fingerprint(["a", "b"], np.array([0, 1])) == fingerprint(list(np.array(["a", "b"])), np.array([0, 1]))
    assert fingerprint(IDS.astype(np.int16), LABELS) == fingerprint(np.asfortranarray(IDS), LABELS)


def test_different_training_data_have_different_fingerprints():
    data = [(["ab", "c"], [0, 1]), (["a", "bc"], [0, 1]), (["c", "ab"], [0, 1]), (["ab", "c"], [1, 0])]
    data += [(IDS[:2], [0, 1]), (IDS[:2].reshape(4, 2), [0, 1]), (IDS[1::-1], [0, 1])]
    assert len({fingerprint(texts_or_ids, np.array(labels)) for texts_or_ids, labels in data}) == len(data)


# What NumPy and others would silently take for something else


class Frame:
    """What makes a DataFrame one, as far as it matters here: iterating gives the names of its columns."""

    columns = ["text", "stars"]

    def __iter__(self):
        return iter(self.columns)


@pytest.mark.parametrize(
    "X, message",
    [
        (Frame(), "X is a Frame; expected one column of texts, such as df['text']"),
        ({"good film", "bad film"}, "X is a set, which has no order to match labels to"),
        ({"good film": 1}, "X is a dict, which has no order"),
        (b"good film", "X is a single text"),
    ],
    ids=["data frame", "set", "dict", "bytes"],
)
def test_what_is_no_sequence_of_texts_is_rejected(X, message):
    with raises(TypeError, message):
        classifier().fit(X, [1, 0])


def test_a_sparse_matrix_of_scipy_is_rejected():
    scipy_sparse = pytest.importorskip("scipy.sparse", reason="the message about SciPy's matrices needs SciPy")
    with raises(TypeError, "X is a csr_", "X.toarray()"):
        classifier().fit(scipy_sparse.csr_matrix(IDS), LABELS)


@pytest.mark.parametrize(
    "y, error, message",
    [
        (np.linspace(0, 1, 32), ValueError, "y has the label 0.03"),
        (np.ma.masked_equal(LABELS, 1), ValueError, "16 labels are masked"),
        (["a\0", "a"] * 16, ValueError, "ends with the character"),
        ({0, 1}, TypeError, "y is a set, which has no order"),
    ],
    ids=["measurements", "masked", "trailing NUL", "set"],
)
def test_labels_that_would_be_taken_for_others_are_rejected(y, error, message):
    with pytest.raises(error, match=message):
        classifier().fit(TEXTS, y)


def test_labels_of_numpys_variable_width_strings():
    StringDType = getattr(np.dtypes, "StringDType", None)
    if StringDType is None:
        pytest.skip("NumPy before 2.0 has no StringDType")
    labels = np.array(["neg", "positive"], dtype=StringDType())
    assert check_y(labels, 2).tolist() == ["neg", "positive"]
    assert check_X(np.array(["good", "bad film"], dtype=StringDType())) == ["good", "bad film"]


def test_an_array_in_place_of_a_number_is_named():
    with raises(ValueError, "zeta is an array of shape (1,); expected a single value"):
        classifier(zeta=np.array([0.1])).fit(TEXTS, LABELS)


def test_a_network_without_connections_is_rejected():
    with raises(ValueError, "er_epsilon leaves E and W_x and W_h without a connection (er_epsilon is 1e-09)"):
        classifier(er_epsilon=1e-9).fit(TEXTS, LABELS)


def test_texts_without_a_known_word_are_counted_and_classified_unless_told_otherwise(of_texts):
    texts = ["good film", "", "xylophone"]
    assert SetLSTMClassifier().without_known_words == "warn"
    of_texts.set_params(without_known_words="warn")
    with pytest.warns(UserWarning, match="text 1, '', is empty .2 of 3 texts are like this.; the network classifies"):
        warned = of_texts.predict_proba(texts)
    accepting = of_texts.set_params(without_known_words="accept")
    np.testing.assert_array_equal(accepting.predict_proba(texts), warned)
    with raises(ValueError, "text 1, '', is empty"):
        of_texts.set_params(without_known_words="error").predict(texts)
    of_texts.set_params(without_known_words="error")
