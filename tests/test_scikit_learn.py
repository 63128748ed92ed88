"""SetLSTMClassifier in scikit-learn's own tools, on lists of texts."""

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted, validate_data

from numpy_setlstm import SetLSTMClassifier, pad_sequences, scikit_learn
from numpy_setlstm.text import Vocabulary

WORDS = "plot actor scene music camera ending script joke hero villain".split()


def reviews(n=60, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.array(["neg", "pos"])[np.arange(n) % 2]
    opinion = {"neg": "bad", "pos": "good"}
    return [" ".join([*rng.choice(WORDS, 3), opinion[label], *rng.choice(WORDS, 2)]) for label in labels], labels


TEXTS, LABELS = reviews()


def classifier(**parameters):
    small = {"embedding_dim": 6, "hidden_size": 5, "parameter_share": 0.4, "max_length": 6}
    return SetLSTMClassifier(**small | {"n_epochs": 2, "batch_size": 16, "random_state": 0} | parameters)


def learner():
    """A network that has learnt after a few epochs that "good" is good."""
    rates = {"learning_rate": 0.02, "embedding_learning_rate": 0.05, "embedding_dropout": 0, "dropout": 0}
    return classifier(embedding_dim=16, hidden_size=8, n_epochs=15, batch_size=8, validation_fraction=0, **rates)


# scikit-learn's own checks, which know no texts


class OfNumbers(ClassifierMixin, BaseEstimator):
    """Makes one word of each number, which says its column and roughly its size."""

    def __init__(self, random_state=0):
        self.random_state = random_state

    def fit(self, X, y):
        X = validate_data(self, X)
        quick = {"learning_rate": 0.02, "embedding_learning_rate": 0.05, "embedding_dropout": 0, "dropout": 0}
        sizes = {"hidden_size": 16, "embedding_dim": 16, "er_epsilon": 4, "n_epochs": 30, "batch_size": 16}
        options = {"validation_fraction": 0, "without_known_words": "accept", "random_state": self.random_state}
        self.classifier_ = SetLSTMClassifier(**quick, **sizes, **options).fit(self.texts_of(X), y)
        self.classes_ = self.classifier_.classes_
        return self

    def predict(self, X):
        most_probable = self.predict_proba(X).argmax(axis=1)
        return self.classes_[most_probable]

    def predict_proba(self, X):
        check_is_fitted(self)
        return self.classifier_.predict_proba(self.texts_of(validate_data(self, X, reset=False)))

    def texts_of(self, X):
        return [[f"{column}:{np.floor(2 * number):.0f}" for column, number in enumerate(row)] for row in X]


def test_the_checks_of_scikit_learn_pass():
    """Those are skipped that need pandas or another array library, which these tests do not install."""
    checks = check_estimator(OfNumbers(), on_skip=None, on_fail=None)
    failed = [f"{check['check_name']}: {check['exception']}" for check in checks if check["status"] == "failed"]
    assert not failed, "\n".join(failed)
    assert sum(check["status"] == "passed" for check in checks) > 50


# Memory maps


@pytest.mark.parametrize("connectivity", ["set", "dense"])
def test_training_continues_from_the_read_only_memory_maps_of_joblib(connectivity, tmp_path):
    clf = classifier(connectivity=connectivity).fit(TEXTS, LABELS)
    joblib.dump(clf, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    assert not mapped.network_.parameters["b"].flags.writeable
    before = mapped.predict_proba(TEXTS)
    assert np.array_equal(before, clf.predict_proba(TEXTS))
    for model in (clf, mapped):
        model.set_params(n_epochs=4).fit(TEXTS, LABELS, resume=True)
    assert np.array_equal(mapped.predict_proba(TEXTS), clf.predict_proba(TEXTS))
    assert np.array_equal(joblib.load(tmp_path / "model", mmap_mode="r").predict_proba(TEXTS), before)


# Parameters


def test_get_params_and_set_params_are_a_round_trip():
    clf = classifier(connectivity="static", zeta=0.2)
    parameters = clf.get_params()
    assert parameters["connectivity"] == "static" and parameters["zeta"] == 0.2
    assert SetLSTMClassifier().set_params(**parameters).get_params() == parameters
    assert SetLSTMClassifier(**parameters).get_params() == parameters


def test_set_params_returns_the_model_and_refuses_unknown_names():
    clf = classifier()
    assert clf.set_params(zeta=0.5) is clf and clf.zeta == 0.5
    with pytest.raises(ValueError, match="'sparsity' is not a parameter; expected one of connectivity, embedding_dim"):
        clf.set_params(sparsity=0.9)


def test_parameters_are_stored_as_given_and_not_checked_before_fit():
    wrong = {"zeta": "many", "connectivity": None, "random_state": np.random.default_rng(0)}
    clf = SetLSTMClassifier(**wrong)
    assert all(getattr(clf, name) is value for name, value in wrong.items())


def test_clone_copies_the_parameters_and_nothing_that_was_learnt():
    clf = classifier(zeta=0.2).fit(TEXTS, LABELS)
    copy = clone(clf)
    assert copy is not clf and copy.get_params() == clf.get_params()
    assert not [name for name in vars(copy) if name not in copy.get_params()]
    assert np.array_equal(copy.fit(TEXTS, LABELS).predict_proba(TEXTS), clf.predict_proba(TEXTS))


def test_clone_copies_a_generator():
    clf = classifier(random_state=np.random.default_rng(3))
    copy = clone(clf)
    assert np.array_equal(copy.fit(TEXTS, LABELS).predict_proba(TEXTS), clf.fit(TEXTS, LABELS).predict_proba(TEXTS))


def test_the_repr_shows_what_differs_from_the_defaults():
    assert repr(SetLSTMClassifier()) == "SetLSTMClassifier()"
    assert repr(SetLSTMClassifier("static", zeta=0.2)) == "SetLSTMClassifier(connectivity='static', zeta=0.2)"
    shown = repr(classifier(zeta=0.2))
    assert eval(shown).get_params() == classifier(zeta=0.2).get_params()


# What scikit-learn takes it for


def test_it_is_a_classifier():
    assert is_classifier(SetLSTMClassifier()) and not is_regressor(SetLSTMClassifier())
    assert is_classifier(make_pipeline(SetLSTMClassifier()))


def test_scikit_learn_knows_whether_it_is_fitted():
    clf = classifier()
    with pytest.raises(NotFittedError):
        check_is_fitted(clf)
    for error in (NotFittedError, scikit_learn.NotFittedError):
        with pytest.raises(error, match="not fitted yet"):
            clf.predict(TEXTS)
    check_is_fitted(clf.fit(TEXTS, LABELS))


# Cross-validation


def test_cross_val_score_gives_the_accuracy_of_each_fold():
    scores = cross_val_score(classifier(), TEXTS, LABELS, cv=3)
    folds = StratifiedKFold(3).split(TEXTS, LABELS)  # what an integer cv means for a classifier
    by_hand = []
    for train, test in folds:
        clf = classifier().fit([TEXTS[k] for k in train], LABELS[train])
        by_hand.append(clf.score([TEXTS[k] for k in test], LABELS[test]))
    assert scores.tolist() == by_hand


def test_cross_val_score_of_a_network_that_learns():
    assert cross_val_score(learner(), TEXTS, LABELS, cv=3).mean() > 0.9


@pytest.mark.parametrize("scoring", ["accuracy", "balanced_accuracy", "neg_log_loss", "roc_auc"])
def test_scikit_learns_scorers_work(scoring):
    scores = cross_val_score(classifier(), TEXTS, LABELS, cv=2, scoring=scoring, error_score="raise")
    assert np.isfinite(scores).all() and len(scores) == 2


def test_cross_val_predict_gives_labels_and_probabilities():
    assert set(cross_val_predict(classifier(), TEXTS, LABELS, cv=2)) <= {"neg", "pos"}
    probabilities = cross_val_predict(classifier(), TEXTS, LABELS, cv=2, method="predict_proba")
    assert probabilities.shape == (60, 2)


def test_cross_validation_works_on_word_ids():
    vocabulary = Vocabulary.build(TEXTS)
    ids = pad_sequences([vocabulary.encode(text) for text in TEXTS], 6)
    clf = classifier(vocabulary_size=len(vocabulary))
    assert cross_val_score(clf, ids, LABELS, cv=2, error_score="raise").shape == (2,)


def test_cross_validation_works_on_an_object_array_of_texts():
    texts = np.array(TEXTS, dtype=object)
    expected = cross_val_score(classifier(), TEXTS, LABELS, cv=2)
    assert np.array_equal(cross_val_score(classifier(), texts, LABELS, cv=2, error_score="raise"), expected)


# Searches


def test_grid_search_finds_the_best_parameters_and_refits():
    grid = {"connectivity": ["set", "static", "dense"], "n_epochs": [1, 2]}
    search = GridSearchCV(classifier(), grid, cv=2, error_score="raise").fit(TEXTS, LABELS)
    assert len(search.cv_results_["params"]) == 6
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    best = search.best_estimator_
    assert {name: best.get_params()[name] for name in grid} == search.best_params_
    assert np.array_equal(search.predict(TEXTS), best.predict(TEXTS))


def test_grid_search_over_numpy_ranges_gives_a_model_that_can_be_saved(tmp_path):
    grid = {"n_epochs": np.arange(1, 3), "zeta": np.linspace(0.1, 0.3, 2, dtype=np.float32)}
    search = GridSearchCV(classifier(), grid, cv=2, error_score="raise").fit(TEXTS, LABELS)
    search.best_estimator_.save(tmp_path / "best.npz")
    loaded = SetLSTMClassifier.load(tmp_path / "best.npz")
    assert np.array_equal(loaded.predict_proba(TEXTS), search.predict_proba(TEXTS))


def test_grid_search_reports_parameters_out_of_range():
    search = GridSearchCV(classifier(), {"zeta": [0.3, 3.0]}, cv=2, error_score="raise")
    with pytest.raises(ValueError, match=r"zeta is 3\.0; expected a number in \[0, 1\]"):
        search.fit(TEXTS, LABELS)


# Pipelines


def shout(texts):
    return [text.upper() for text in texts]


def swap_words(texts):
    return [text.replace("good", "superb") for text in texts]


def test_it_works_as_the_last_step_of_a_pipeline():
    pipeline = Pipeline([("swap", FunctionTransformer(swap_words)), ("network", classifier())])
    pipeline.fit(TEXTS, LABELS)
    assert "superb" in pipeline["network"].vocabulary_ and "good" not in pipeline["network"].vocabulary_
    alone = classifier().fit(swap_words(TEXTS), LABELS)
    assert np.array_equal(pipeline.predict_proba(TEXTS), alone.predict_proba(swap_words(TEXTS)))
    assert pipeline.score(TEXTS, LABELS) == alone.score(swap_words(TEXTS), LABELS)
    assert pipeline.classes_.tolist() == ["neg", "pos"]


def test_a_pipeline_can_be_cloned_cross_validated_and_searched():
    pipeline = make_pipeline(FunctionTransformer(shout), classifier())
    assert cross_val_score(clone(pipeline), TEXTS, LABELS, cv=2, error_score="raise").shape == (2,)
    grid = {"setlstmclassifier__zeta": [0.1, 0.5]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(TEXTS, LABELS)
    assert search.best_params_["setlstmclassifier__zeta"] in (0.1, 0.5)


def test_a_pipeline_shows_itself_in_text_and_in_a_notebook():
    pipeline = make_pipeline(FunctionTransformer(shout), classifier(zeta=0.25))
    assert "SetLSTMClassifier" in repr(pipeline) and "zeta=0.25" in repr(pipeline)
    assert "SetLSTMClassifier" in pipeline._repr_html_()


def test_fit_parameters_reach_it_through_a_pipeline():
    pipeline = make_pipeline(FunctionTransformer(shout), classifier(n_epochs=1)).fit(TEXTS, LABELS)
    pipeline.set_params(setlstmclassifier__n_epochs=2).fit(TEXTS, LABELS, setlstmclassifier__resume=True)
    at_once = make_pipeline(FunctionTransformer(shout), classifier(n_epochs=2)).fit(TEXTS, LABELS)
    assert np.array_equal(pipeline.predict_proba(TEXTS), at_once.predict_proba(TEXTS))
