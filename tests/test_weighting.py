"""Class weights and sample weights: in training, in the score, and in scikit-learn.

The weighted loss and its gradient are in test_weighted_loss.py.
"""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.metrics import accuracy_score, recall_score
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.class_weight import compute_sample_weight

from numpy_setlstm import SetLSTMClassifier
from numpy_setlstm.weighting import text_weights

WORDS = "plot actor scene music camera ending script joke hero villain".split()


def reviews(n=60, share=0.5, seed=0):
    """Texts of which a share is good, told from the bad ones by one word."""
    rng = np.random.default_rng(seed)
    labels = np.where(np.arange(n) < share * n, "pos", "neg")
    opinion = {"neg": "bad", "pos": "good"}
    texts = [" ".join([*rng.choice(WORDS, 3), opinion[label], *rng.choice(WORDS, 2)]) for label in labels]
    return texts, labels


TEXTS, LABELS = reviews()
WEIGHTS = np.random.default_rng(0).uniform(0.5, 2, len(TEXTS))


def classifier(**parameters):
    small = {"embedding_dim": 6, "hidden_size": 5, "parameter_share": 0.4, "max_length": 6, "n_epochs": 2}
    return SetLSTMClassifier(**small | {"batch_size": 16, "random_state": 0} | parameters)


def weights_of(clf):
    return {name: np.asarray(getattr(W, "values", W)) for name, W in clf.training_state_.network.parameters.items()}


def assert_same_network(a, b):
    for name, values in weights_of(a).items():
        np.testing.assert_array_equal(weights_of(b)[name], values, err_msg=name)


# From a user's weights to those of the texts


@pytest.mark.parametrize("class_weight", ["balanced", {"neg": 1.0, "pos": 5}, {"pos": 0.25}])
@pytest.mark.parametrize("sample_weight", [None, WEIGHTS])
def test_the_weights_are_those_of_scikit_learn(class_weight, sample_weight):
    labels = np.where(np.arange(60) % 5 == 0, "pos", "neg")
    classes, targets = np.unique(labels, return_inverse=True)
    if class_weight == "balanced" and sample_weight is not None:  # each class the same in all
        totals = [sample_weight[targets == k].sum() for k in range(2)]
        expected = sample_weight / np.array(totals)[targets]
    else:
        expected = compute_sample_weight(class_weight, labels) * (1 if sample_weight is None else sample_weight)
    found = text_weights(class_weight, sample_weight, classes, targets)
    np.testing.assert_allclose(found / found.mean(), expected / expected.mean(), rtol=1e-12)


def test_balanced_classes_have_equal_weights_which_change_no_bit():
    plain, balanced = (classifier(class_weight=weight).fit(TEXTS, LABELS) for weight in (None, "balanced"))
    assert_same_network(plain, balanced)
    assert plain.history_["train_loss"] == balanced.history_["train_loss"]


@pytest.mark.parametrize("factor", [1.0, 4.0, 0.3])
def test_equal_sample_weights_are_as_none(factor):
    plain = classifier().fit(TEXTS, LABELS)
    assert_same_network(plain, classifier().fit(TEXTS, LABELS, sample_weight=np.full(len(TEXTS), factor)))


def test_only_the_relations_of_sample_weights_matter():
    first = classifier().fit(TEXTS, LABELS, sample_weight=WEIGHTS)
    assert_same_network(first, classifier().fit(TEXTS, LABELS, sample_weight=WEIGHTS * 1024))
    assert not np.array_equal(first.predict_proba(TEXTS), classifier().fit(TEXTS, LABELS).predict_proba(TEXTS))


@pytest.mark.parametrize("connectivity", ["set", "dense"])
def test_a_text_of_weight_0_is_as_if_it_were_not_there(connectivity):
    weights = np.where(np.arange(len(TEXTS)) % 3 == 0, 0.0, WEIGHTS)
    kept = np.flatnonzero(weights)
    with_zeros = classifier(connectivity=connectivity).fit(TEXTS, LABELS, weights)
    without = classifier(connectivity=connectivity).fit([TEXTS[k] for k in kept], LABELS[kept], weights[kept])
    assert with_zeros.vocabulary_.words == without.vocabulary_.words
    assert_same_network(with_zeros, without)


def test_the_history_has_weighted_accuracies():
    clf = classifier(learning_rate=0.0, embedding_learning_rate=0.0, dropout=0.0, embedding_dropout=0.0, n_epochs=1)
    clf.set_params(class_weight={"pos": 7.0}, validation_fraction=0.0, connectivity="static").fit(TEXTS, LABELS)
    weights = np.where(LABELS == "pos", 7.0, 1.0)
    assert clf.history_["train_accuracy"][0] == pytest.approx(clf.score(TEXTS, LABELS, weights), rel=1e-12)


def test_the_score_is_that_of_scikit_learn():
    clf = classifier().fit(TEXTS, LABELS)
    predicted = clf.predict(TEXTS)
    assert clf.score(TEXTS, LABELS, WEIGHTS) == pytest.approx(
        accuracy_score(LABELS, predicted, sample_weight=WEIGHTS), rel=1e-12
    )


@pytest.mark.parametrize("connectivity", ["set", "dense"])
def test_balanced_weights_find_the_rare_class(connectivity):
    """One text in ten is good, and says so four times in five; a bad one says so one time in five.

    So most texts that say "good" are bad, and without weights the best guess is always "bad".
    """
    labels = np.where(np.arange(400) % 10 == 0, "pos", "neg")
    says_good = (np.arange(400) // 10 % 5 == 0) != (labels == "pos")
    texts = [f"it was {'good' if good else 'bad'}" for good in says_good]
    recalls = {}
    for weight in (None, "balanced"):
        clf = classifier(connectivity=connectivity, class_weight=weight, n_epochs=6, dropout=0, embedding_dropout=0)
        clf.set_params(learning_rate=0.01, embedding_learning_rate=0.02, hidden_size=16, embedding_dim=16)
        predicted = clf.set_params(validation_fraction=0.0).fit(texts, labels).predict(texts)
        recalls[weight] = recall_score(labels, predicted, average=None).tolist()  # of "neg" and of "pos"
    assert recalls == {None: [1.0, 0.0], "balanced": [pytest.approx(0.8), pytest.approx(0.8)]}


# Continuing, saving


@pytest.mark.parametrize("labels", [LABELS, np.where(LABELS == "pos", 1, 0), np.where(LABELS == "pos", 1.0, -1.0)])
def test_a_model_with_class_weights_continues_bit_for_bit_after_saving(labels, tmp_path):
    class_weight = dict.fromkeys(np.unique(labels)[:1].tolist(), 3.0)
    whole = classifier(class_weight=class_weight, n_epochs=4).fit(TEXTS, labels, WEIGHTS)
    classifier(class_weight=class_weight).fit(TEXTS, labels, WEIGHTS).save(tmp_path / "model.npz")
    clf = SetLSTMClassifier.load(tmp_path / "model.npz")
    assert clf.class_weight == class_weight
    assert_same_network(whole, clf.set_params(n_epochs=4).fit(TEXTS, labels, WEIGHTS, resume=True))


def test_training_continues_with_the_same_weights_only():
    clf = classifier().fit(TEXTS, LABELS, WEIGHTS)
    with pytest.raises(ValueError, match="texts, labels or weights differ from those training began with"):
        clf.set_params(n_epochs=3).fit(TEXTS, LABELS, resume=True)
    with pytest.raises(ValueError, match="class_weight was None when training began and is 'balanced' now"):
        clf.set_params(class_weight="balanced").fit(TEXTS, LABELS, WEIGHTS, resume=True)


# What is refused

WRONG_CLASS_WEIGHTS = {
    "a word": ("equal", "class_weight is 'equal'; expected None, 'balanced' or a dict"),
    "a number": (2.0, "class_weight is 2.0; expected None, 'balanced' or a dict"),
    "0": ({"pos": 0}, "class_weight of 'pos' is 0; expected a number above 0"),
    "less than 0": ({"pos": -1}, "class_weight of 'pos' is -1; expected a number above 0"),
    "NaN": ({"pos": float("nan")}, "class_weight of 'pos' is nan; expected a number above 0"),
    "a text": ({"pos": "2"}, "class_weight of 'pos' is '2'; expected a number above 0"),
    "an unknown label": ({"good": 2}, "class_weight has the label 'good'; expected some of ['neg', 'pos']"),
    "1e-40": ({"pos": 1e-40}, "one text weighs 1.0e-40 times as much as another; expected at least 1e-30"),
}


@pytest.mark.parametrize("what", WRONG_CLASS_WEIGHTS)
def test_a_wrong_class_weight_is_named(what):
    class_weight, message = WRONG_CLASS_WEIGHTS[what]
    with pytest.raises(ValueError) as caught:
        classifier(class_weight=class_weight).fit(TEXTS, LABELS)
    assert message in str(caught.value)


WRONG_SAMPLE_WEIGHTS = {
    "too few": (np.ones(3), "sample_weight has shape (3,); expected (60,), one number per text"),
    "a column": (np.ones((60, 1)), "sample_weight has shape (60, 1); expected (60,)"),
    "one below 0": ([1.0] * 59 + [-1.0], "sample_weight of text 59 is -1.0; expected a finite number of at least 0"),
    "NaN": ([float("nan")] + [1.0] * 59, "sample_weight of text 0 is nan; expected a finite number of at least 0"),
    "texts": (["heavy"] * 60, "sample_weight has entries that are no numbers"),
    "all 0": (np.zeros(60), "sample_weight is 0 for every text"),
    "one class": (np.where(LABELS == "pos", 1.0, 0.0), "all 30 labels are 'pos', one class"),
}


@pytest.mark.parametrize("what", WRONG_SAMPLE_WEIGHTS)
def test_a_wrong_sample_weight_is_named(what):
    sample_weight, message = WRONG_SAMPLE_WEIGHTS[what]
    with pytest.raises(ValueError) as caught:
        classifier().fit(TEXTS, LABELS, sample_weight)
    assert message in str(caught.value)


# scikit-learn's tools


def test_a_grid_search_hands_each_part_its_weights():
    search = GridSearchCV(classifier(validation_fraction=0), {"class_weight": [None, "balanced"]}, cv=2)
    assert search.fit(TEXTS, LABELS, sample_weight=WEIGHTS).best_estimator_.classes_.tolist() == ["neg", "pos"]


def test_a_pipeline_hands_weights_on():
    steps = [("as is", FunctionTransformer()), ("clf", classifier())]
    pipeline = Pipeline(steps).fit(TEXTS, LABELS, clf__sample_weight=WEIGHTS)
    assert_same_network(pipeline["clf"], classifier().fit(TEXTS, LABELS, WEIGHTS))


def test_metadata_routing():
    with sklearn.config_context(enable_metadata_routing=True):
        clf = classifier(validation_fraction=0).set_fit_request(sample_weight=True)
        clf.set_score_request(sample_weight=True).set_partial_fit_request(sample_weight=False)
        assert clone(clf).get_metadata_routing().fit.requests == {"sample_weight": True}
        assert clone(clf).get_metadata_routing().partial_fit.requests == {"sample_weight": False}
        parts = cross_validate(clf, TEXTS, LABELS, params={"sample_weight": WEIGHTS}, cv=2, return_estimator=True)
        with pytest.raises(ValueError, match="sample_weight"):
            cross_validate(classifier(), TEXTS, LABELS, params={"sample_weight": WEIGHTS}, cv=2, error_score="raise")
        halves = cross_validate(clf, TEXTS, LABELS, params={"sample_weight": np.ones(60)}, cv=2, return_estimator=True)
    of_weights, of_ones = (result["estimator"][0].predict_proba(TEXTS) for result in (parts, halves))
    assert not np.array_equal(of_weights, of_ones)
