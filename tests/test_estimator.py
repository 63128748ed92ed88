"""SetLSTMClassifier: texts or word ids in, labels out; how many parameters; what a failing fit leaves behind."""

import numpy as np
import pytest

from numpy_setlstm import SetLSTMClassifier, pad_sequences
from numpy_setlstm.initialization import NetworkSizes
from numpy_setlstm.inputs import split
from numpy_setlstm.recipe import DENSE_RECIPE, SPARSE_RECIPE, initial_state, recipe_of
from numpy_setlstm.topology import erdos_renyi_count

OPINIONS = {"bad": ("bad", "awful"), "good": ("good", "lovely"), "so-so": ("mixed", "passable")}


def reviews(n=60, opinions=("bad", "good"), seed=0):
    """Short texts of made-up words with one opinion each, and the opinion as a label."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for k in range(n):
        words = [f"word{w}" for w in rng.integers(20, size=rng.integers(2, 6))]
        labels.append(opinions[k % len(opinions)])
        words.insert(rng.integers(len(words) + 1), str(rng.choice(OPINIONS[labels[-1]])))
        texts.append(" ".join(words))
    return texts, labels


TEXTS, OPINION = reviews()


def classifier(**parameters):
    small = {"embedding_dim": 8, "hidden_size": 6, "parameter_share": 0.3, "max_length": 8}
    return SetLSTMClassifier(**small | {"n_epochs": 2, "batch_size": 16, "random_state": 0} | parameters)


# Texts, word ids, labels


@pytest.mark.parametrize("connectivity", ["set", "static", "dense"])
def test_it_learns_which_words_are_good(connectivity):
    texts, labels = reviews(80)
    rates = {"learning_rate": 0.02, "embedding_learning_rate": 0.05}
    sizes = {"embedding_dim": 16, "hidden_size": 8}
    clf = classifier(connectivity=connectivity, n_epochs=20, dropout=0, embedding_dropout=0, **rates, **sizes)
    clf.fit(texts, labels)
    assert clf.score(texts, labels) > 0.95
    assert clf.predict(["lovely", "awful"]).tolist() == ["good", "bad"]


def test_padded_ids_give_the_same_network_as_the_texts_they_come_from():
    of_texts = classifier(validation_fraction=0).fit(TEXTS, OPINION)
    ids = pad_sequences([of_texts.vocabulary_.encode(text) for text in TEXTS], 8)
    of_ids = classifier(validation_fraction=0).fit(ids, OPINION)
    assert of_ids.vocabulary_ is None
    assert np.array_equal(of_ids.predict_proba(ids), of_texts.predict_proba(TEXTS))


@pytest.mark.parametrize(
    "values",
    [("bad", "good"), (0, 1), (-1, 1), (False, True), (1.0, 5.0), (7, 3)],
    ids=["texts", "0 and 1", "-1 and 1", "booleans", "floats", "7 and 3"],
)
@pytest.mark.parametrize("container", [list, np.array], ids=["list", "ndarray"])
def test_predictions_are_labels_of_the_kind_that_was_given(values, container):
    labels = container([values[opinion == "good"] for opinion in OPINION])
    clf = classifier().fit(TEXTS, labels)
    assert clf.classes_.tolist() == sorted(values)
    predicted = clf.predict(TEXTS)
    assert predicted.dtype == np.asarray(labels).dtype and set(predicted.tolist()) <= set(values)
    assert clf.score(TEXTS, labels) == np.mean(predicted == np.asarray(labels))


def test_the_names_of_the_labels_do_not_change_what_is_learnt():
    as_texts = classifier().fit(TEXTS, OPINION).predict_proba(TEXTS)
    as_numbers = classifier().fit(TEXTS, [int(opinion == "good") for opinion in OPINION]).predict_proba(TEXTS)
    assert np.array_equal(as_texts, as_numbers)


def test_three_classes():
    texts, labels = reviews(90, ("bad", "good", "so-so"))
    clf = classifier().fit(texts, labels)
    probabilities = clf.predict_proba(texts)
    assert clf.classes_.tolist() == ["bad", "good", "so-so"]
    assert probabilities.shape == (90, 3) and probabilities.min() > 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert clf.predict(texts).tolist() == [clf.classes_[k] for k in probabilities.argmax(axis=1)]
    assert clf.network_.parameters["W_out"].shape == (6, 3)


def test_a_texts_probabilities_do_not_depend_on_the_other_texts():
    clf = classifier(dtype="float64").fit(TEXTS, OPINION)
    together = clf.predict_proba(TEXTS)
    alone = np.concatenate([clf.predict_proba([text]) for text in TEXTS])
    np.testing.assert_allclose(alone, together, rtol=1e-12)


@pytest.mark.parametrize("connectivity", ["set", "dense"])
def test_padding_before_or_after_the_words_gives_the_same_predictions(connectivity):
    clf = classifier(connectivity=connectivity, dtype="float64").fit(TEXTS, OPINION)
    before = clf.predict_proba(TEXTS)
    after = clf.set_params(padding="post").predict_proba(TEXTS)
    np.testing.assert_allclose(after, before, rtol=1e-12)


def test_training_with_padding_after_the_words_learns_the_same():
    parameters = {"dtype": "float64", "embedding_dropout": 0, "dropout": 0}
    pre, post = (classifier(padding=padding, **parameters).fit(TEXTS, OPINION) for padding in ("pre", "post"))
    np.testing.assert_allclose(post.predict_proba(TEXTS), pre.predict_proba(TEXTS), rtol=1e-9)


def test_more_padding_changes_nothing():
    clf = classifier(dtype="float64").fit(TEXTS, OPINION)
    expected = clf.predict_proba(TEXTS)
    np.testing.assert_allclose(clf.set_params(max_length=30).predict_proba(TEXTS), expected, rtol=1e-12)


@pytest.mark.parametrize(("truncating", "read"), [("pre", "word2 good"), ("post", "word1 word2")])
def test_truncating_decides_which_words_are_read(truncating, read):
    clf = classifier(max_length=2, truncating=truncating).fit(TEXTS, OPINION)
    assert np.array_equal(clf.predict_proba(["word1 word2 good"]), clf.predict_proba([read]))


def test_upper_case_makes_no_difference():
    clf = classifier().fit(TEXTS, OPINION)
    assert np.array_equal(clf.predict_proba([text.upper() for text in TEXTS]), clf.predict_proba(TEXTS))


def test_both_kernels_train_the_same_network():
    gather, scratch = (classifier(kernel=k, dtype="float64").fit(TEXTS, OPINION) for k in ("gather", "scratch"))
    np.testing.assert_allclose(gather.predict_proba(TEXTS), scratch.predict_proba(TEXTS), rtol=1e-9)


def test_inputs_are_not_changed():
    ids = np.tile([[0, 2, 3], [0, 2, 4]], (20, 1))
    labels = np.tile([1, 0], 20)
    before = ids.copy(), labels.copy()
    clf = classifier(validation_fraction=0).fit(ids, labels)
    clf.predict(ids)
    assert np.array_equal(ids, before[0]) and np.array_equal(labels, before[1])


# Parameters


def test_the_default_sizes_have_less_than_four_percent_of_the_dense_parameters():
    network = initial_state(SetLSTMClassifier(random_state=0), 20_000, 2).network
    dense = 20_000 * 256 + 2 * 256 * 1024 + 1024 + 256 * 2 + 2
    stored = sum(network.parameters[name].values.size for name in ("E", "W_x", "W_h")) + 1024 + 256 * 2 + 2
    assert network.count_parameters() == stored
    assert 0.0385 < stored / dense < 0.04


def test_parameters_are_counted_by_what_is_stored():
    clf = classifier().fit(TEXTS, OPINION)
    V, p = len(clf.vocabulary_), clf.network_.parameters
    biases_and_readout = 4 * 6 + 6 * 2 + 2
    assert clf.n_parameters_ == p["E"].nnz + p["W_x"].nnz + p["W_h"].nnz + biases_and_readout
    assert clf.n_dense_parameters_ == V * 8 + 8 * 24 + 6 * 24 + biases_and_readout


def test_a_dense_network_has_all_parameters():
    clf = classifier(connectivity="dense").fit(TEXTS, OPINION)
    assert clf.n_parameters_ == clf.n_dense_parameters_
    assert all(isinstance(W, np.ndarray) for W in clf.network_.parameters.values())


def test_evolved_and_static_have_equally_many_parameters():
    evolved, static = (classifier(connectivity=c).fit(TEXTS, OPINION) for c in ("set", "static"))
    assert evolved.n_parameters_ == static.n_parameters_ < evolved.n_dense_parameters_


@pytest.mark.parametrize("density", [0.05, 0.1, 0.2, 0.35, 0.5, 0.75])
@pytest.mark.parametrize("sizes", [(500, 16, 16, 2), (300, 7, 12, 3), (60, 16, 5, 2)], ids=str)
def test_the_density_is_that_of_everything_counted(density, sizes):
    n_words, embedding_dim, hidden_size, n_classes = sizes
    clf = classifier(parameter_share=density, embedding_dim=embedding_dim, hidden_size=hidden_size)
    network = initial_state(clf, n_words, n_classes).network
    wanted = density * NetworkSizes(*sizes).dense_parameters
    assert abs(network.count_parameters() - wanted) <= 3 * 0.5  # each of three matrices has a whole number


@pytest.mark.parametrize("hidden_size", [6, 8, 11])
@pytest.mark.parametrize("embedding_dim", [3, 6, 8, 11])
@pytest.mark.parametrize("connectivity", ["set", "static"])
def test_density_one_is_a_full_network(connectivity, embedding_dim, hidden_size):
    clf = classifier(
        connectivity=connectivity, parameter_share=1.0, embedding_dim=embedding_dim, hidden_size=hidden_size
    )
    network = initial_state(clf, 30, 2).network
    assert network.count_parameters() == NetworkSizes(30, embedding_dim, hidden_size, 2).dense_parameters


def test_more_density_never_means_fewer_connections():
    sizes = NetworkSizes(30, 8, 8, 2)
    counts = [
        sum(erdos_renyi_count(sizes.shapes[name], sizes.er_epsilon_for(density)) for name in ("E", "W_x", "W_h"))
        for density in np.linspace(0.2, 1, 81)
    ]
    assert counts == sorted(counts)


def test_er_epsilon_gives_each_matrix_its_erdos_renyi_count_and_overrides_density():
    p = initial_state(classifier(er_epsilon=2.5, parameter_share=0.9), 100, 2).network.parameters
    assert {name: p[name].nnz for name in ("E", "W_x", "W_h")} == {"E": 270, "W_x": 80, "W_h": 75}


def test_the_recipe_depends_on_the_connectivity_and_gives_way_to_what_is_set():
    assert recipe_of(classifier()) == recipe_of(classifier(connectivity="static")) == SPARSE_RECIPE
    assert recipe_of(classifier(connectivity="dense")) == DENSE_RECIPE
    rates = initial_state(classifier(learning_rate=0.5), 30, 2).optimizer.learning_rates
    assert rates == dict.fromkeys(("W_x", "W_h", "b", "W_out", "b_out"), 0.5) | {"E": 1e-2}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_and_probabilities_have_the_dtype_asked_for(dtype):
    clf = classifier(dtype=dtype).fit(TEXTS, OPINION)
    assert {W.dtype for W in clf.network_.parameters.values()} == {np.dtype(dtype)}
    assert clf.predict_proba(TEXTS).dtype == dtype


def test_vocabulary_size_counts_padding_and_unknown():
    clf = classifier(vocabulary_size=10, without_known_words="accept").fit(TEXTS, OPINION)
    assert len(clf.vocabulary_) == clf.network_.parameters["E"].shape[0] == 10


def test_vocabulary_size_of_word_ids_is_one_more_than_the_largest_unless_given():
    ids = np.tile([[0, 2, 3], [0, 2, 4]], (20, 1))
    labels = np.tile([1, 0], 20)
    assert classifier(validation_fraction=0).fit(ids, labels).network_.parameters["E"].shape[0] == 5
    clf = classifier(validation_fraction=0, vocabulary_size=9).fit(ids, labels)
    assert clf.network_.parameters["E"].shape[0] == 9
    assert clf.predict(np.array([[2, 8]])).shape == (1,)


# The validation split


def test_no_copy_of_a_training_text_is_held_out():
    texts = [*TEXTS, *(text.upper() for text in TEXTS[:30]), *(f" {text}  " for text in TEXTS[20:50])]
    labels = [*OPINION, *OPINION[:30], *OPINION[20:50]]
    training, validation = split(texts, np.array(labels), 0.3)
    assert sorted([*training, *validation]) == list(range(120))
    kept, held_out = ({" ".join(texts[k].lower().split()) for k in part} for part in (training, validation))
    assert kept and held_out and not kept & held_out


def test_no_copy_of_a_training_row_of_ids_is_held_out():
    ids = np.random.default_rng(0).integers(2, 5, size=(100, 3))  # 27 different rows
    training, validation = split(ids, np.arange(100) % 2, 0.3)
    kept, held_out = ({tuple(ids[k]) for k in part} for part in (training, validation))
    assert kept and held_out and not kept & held_out


def test_networks_with_different_seeds_share_the_validation_split():
    a, b = (classifier(random_state=seed, n_epochs=1).fit(TEXTS, OPINION) for seed in (0, 1))
    assert a.vocabulary_ == b.vocabulary_
    np.testing.assert_array_equal(split(TEXTS, np.array(OPINION), 0.1)[1], split(TEXTS, np.array(OPINION), 0.1)[1])


def test_validation_holds_out_the_fraction_of_each_label():
    _, validation = split(TEXTS, np.array(OPINION), 0.2)
    assert sorted(np.array(OPINION)[validation].tolist()) == ["bad"] * 6 + ["good"] * 6


def test_the_vocabulary_is_that_of_the_texts_learnt_from():
    clf = classifier().fit(TEXTS, OPINION)
    training, validation = split(TEXTS, np.array(OPINION), clf.validation_fraction)
    assert set(clf.vocabulary_.words[2:]) == {word for k in training for word in TEXTS[k].split()}
    extra = [f"{text} only{k}" if k in validation else text for k, text in enumerate(TEXTS)]
    assert not any(word.startswith("only") for word in classifier().fit(extra, OPINION).vocabulary_.words)


# Fitting again


def everything(clf):
    return {name: value for name, value in vars(clf).items() if name not in clf.get_params()}


FAILING = {
    "an unknown connectivity": ({"connectivity": "sparse"}, TEXTS, OPINION),
    "a density too small": ({"parameter_share": 0.001}, TEXTS, OPINION),
    "an empty list": ({}, [], []),
    "one class only": ({}, TEXTS, ["good"] * 60),
    "labels missing": ({}, TEXTS, OPINION[:-1]),
    "an empty text": ({"without_known_words": "error"}, [*TEXTS, ""], [*OPINION, "good"]),
    "ids out of range": ({"vocabulary_size": 3}, np.full((60, 2), 3), OPINION),
    "too few to hold out": ({}, TEXTS[:2], OPINION[:2]),
    "a seed that is none": ({"random_state": "abc"}, TEXTS, OPINION),
}


@pytest.mark.parametrize("case", FAILING)
def test_a_failing_fit_leaves_a_fitted_model_unchanged(case):
    parameters, X, y = FAILING[case]
    clf = classifier().fit(TEXTS, OPINION)
    before, probabilities = everything(clf), clf.predict_proba(TEXTS)
    with pytest.raises((ValueError, TypeError)):
        clf.set_params(**parameters).fit(X, y)
    after = everything(clf)
    assert before.keys() == after.keys() and all(before[name] is after[name] for name in before)
    assert np.array_equal(clf.predict_proba(TEXTS), probabilities)


@pytest.mark.parametrize("case", FAILING)
def test_a_failing_fit_leaves_a_new_model_unfitted(case):
    parameters, X, y = FAILING[case]
    clf = classifier(**parameters)
    with pytest.raises((ValueError, TypeError)):
        clf.fit(X, y)
    assert not everything(clf)


def test_fit_returns_the_model_and_starts_anew_each_time():
    clf = classifier()
    assert clf.fit(*reviews(40, ("good", "so-so"), seed=1)) is clf
    clf.fit(TEXTS, OPINION)
    assert np.array_equal(clf.predict_proba(TEXTS), classifier().fit(TEXTS, OPINION).predict_proba(TEXTS))
    assert clf.classes_.tolist() == ["bad", "good"] and len(clf.history_["train_loss"]) == 2


def test_a_generator_as_random_state_gives_a_different_network_each_time():
    rng = np.random.default_rng(0)
    first = classifier(random_state=rng).fit(TEXTS, OPINION).predict_proba(TEXTS)
    second = classifier(random_state=rng).fit(TEXTS, OPINION).predict_proba(TEXTS)
    again = classifier(random_state=np.random.default_rng(0)).fit(TEXTS, OPINION).predict_proba(TEXTS)
    assert not np.array_equal(first, second) and np.array_equal(first, again)


def test_without_random_state_each_network_is_different():
    first, second = (classifier(random_state=None).fit(TEXTS, OPINION).predict_proba(TEXTS) for _ in range(2))
    assert not np.array_equal(first, second)


def test_numpys_global_generator_is_not_touched():
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    classifier(random_state=None).fit(TEXTS, OPINION).predict(TEXTS)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


CHANGES = {"embedding_dim": 5, "validation_fraction": 0.3, "optimizer": "sgd", "batch_size": 7}


@pytest.mark.parametrize("name", CHANGES)
def test_resuming_with_another_network_split_optimizer_or_batch_size_is_refused(name):
    clf = classifier().fit(TEXTS, OPINION)
    clf.set_params(n_epochs=3, **{name: CHANGES[name]})
    with pytest.raises(ValueError, match=name):
        clf.fit(TEXTS, OPINION, resume=True)
