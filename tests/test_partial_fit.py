"""More texts for a model that has learnt: `partial_fit` and `warm_start`."""

import os
import signal

import numpy as np
import pytest

from numpy_setlstm import SetLSTMClassifier, classification, training
from numpy_setlstm.sparse import weights_of

WORDS = "plot actor scene music camera ending script joke hero villain".split()


def reviews(n=64, seed=0, words=WORDS):
    rng = np.random.default_rng(seed)
    labels = np.array(["neg", "pos"])[np.arange(n) % 2]
    opinion = {"neg": "bad", "pos": "good"}
    return [" ".join([*rng.choice(words, 3), opinion[label], *rng.choice(words, 2)]) for label in labels], labels


TEXTS, LABELS = reviews()
OTHERS, THEIR_LABELS = reviews(40, seed=1)


def classifier(**parameters):
    small = {"embedding_dim": 6, "hidden_size": 5, "parameter_share": 0.4, "max_length": 6, "n_epochs": 2}
    return SetLSTMClassifier(**small | {"batch_size": 16, "random_state": 0} | parameters)


def assert_same(a, b):
    """The same network, its optimizer's state and its generators, bit for bit."""
    for one, other in ((a.network_, b.network_), (a.training_state_.network, b.training_state_.network)):
        for name, W in one.parameters.items():
            np.testing.assert_array_equal(weights_of(other.parameters[name]), weights_of(W), err_msg=name)
    for name, quantities in a.training_state_.optimizer.state.items():
        for quantity, array in quantities.items():
            np.testing.assert_array_equal(b.training_state_.optimizer.state[name][quantity], array, err_msg=name)
    for name, rng in a.training_state_.streams.items():
        assert b.training_state_.streams[name].bit_generator.state == rng.bit_generator.state, name


# partial_fit


@pytest.mark.parametrize("connectivity", ["set", "static", "dense"])
def test_calls_with_the_same_texts_are_epochs_of_fit(connectivity):
    """SET steps included: one comes before each epoch but the first."""
    whole = classifier(connectivity=connectivity, n_epochs=3, validation_fraction=0).fit(TEXTS, LABELS)
    parts = classifier(connectivity=connectivity)
    for _ in range(3):
        assert parts.partial_fit(TEXTS, LABELS) is parts
    assert_same(whole, parts)
    assert parts.history_["train_loss"] == whole.history_["train_loss"]
    assert len(parts.history_["set_steps"]) == (2 if connectivity == "set" else 0)
    assert parts.best_epoch_ == 2


def test_other_texts_may_be_of_another_number_and_have_weights():
    clf = classifier().partial_fit(TEXTS, LABELS)
    before = clf.predict_proba(OTHERS)
    clf.partial_fit(OTHERS, THEIR_LABELS).partial_fit(TEXTS[:20], LABELS[:20], sample_weight=np.arange(20))
    assert not np.array_equal(clf.predict_proba(OTHERS), before)
    assert len(clf.history_["train_loss"]) == 3


def test_a_saved_model_continues_bit_for_bit(tmp_path):
    clf = classifier().partial_fit(TEXTS, LABELS).partial_fit(OTHERS, THEIR_LABELS)
    clf.save(tmp_path / "model.npz")
    again = SetLSTMClassifier.load(tmp_path / "model.npz")
    assert_same(clf.partial_fit(TEXTS, LABELS), again.partial_fit(TEXTS, LABELS))


def test_after_fit_it_starts_from_the_best_network_with_a_new_history():
    clf = classifier(n_epochs=3).fit(TEXTS, LABELS)
    clf.set_params(learning_rate=0.0, embedding_learning_rate=0.0, connectivity="set")
    before = clf.predict_proba(OTHERS)
    clf.partial_fit(OTHERS, THEIR_LABELS)
    np.testing.assert_array_equal(clf.predict_proba(OTHERS), before)
    assert len(clf.history_["train_loss"]) == 1 and clf.history_["validation_loss"] == [None]
    clf.partial_fit(OTHERS, THEIR_LABELS)  # now there is a SET step
    assert len(clf.history_["set_steps"]) == 1


def test_all_classes_can_be_named_before_they_come():
    clf = classifier().partial_fit(TEXTS[::2], LABELS[::2], classes=["pos", "neg", "none"])
    assert clf.classes_.tolist() == ["neg", "none", "pos"]
    clf.partial_fit(TEXTS, LABELS).partial_fit(["no plot"] * 4, ["none"] * 4)
    assert clf.predict_proba(TEXTS).shape == (64, 3)


def test_new_words_are_unknown():
    clf = classifier().partial_fit(TEXTS, LABELS)
    words = clf.vocabulary_.words
    with pytest.warns(UserWarning, match=r"text 1, 'brandnew', has no known word \(1 of 2 texts are like this\)"):
        clf.partial_fit(["good plot", "brandnew"], ["pos", "neg"])
    assert clf.vocabulary_.words == words


def test_word_ids_can_come_in_parts_too():
    tokens, labels = np.random.default_rng(0).integers(1, 9, (32, 5)), np.arange(32) % 2
    clf = classifier(vocabulary_size=12).partial_fit(tokens, labels).partial_fit(tokens[:8] + 2, labels[:8])
    with pytest.raises(ValueError, match="12"):
        clf.partial_fit(tokens + 5, labels)


REFUSED = {
    "a label that was not named": ({}, {"y": ["good"] * 64}, "there is the label 'good'; expected one of the classes"),
    "other classes": ({}, {"classes": ["neg", "good"]}, "classes are ['neg', 'good'], and were ['neg', 'pos'] in the"),
    "another size": ({"hidden_size": 9}, {}, "hidden_size was 5 when training began and is 9 now"),
    "balanced": ({"class_weight": "balanced"}, {}, "class_weight is 'balanced', which needs to know how many texts"),
    "a cosine": ({"zeta_schedule": "cosine"}, {}, "zeta_schedule is 'cosine', which needs to know the last epoch"),
    "a bad text": ({}, {"X": [1] * 64}, "text 0 is int"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_changes_nothing(what):
    parameters, arguments, message = REFUSED[what]
    clf, same = (classifier().partial_fit(TEXTS, LABELS) for _ in range(2))
    clf.set_params(**parameters)
    with pytest.raises((ValueError, TypeError)) as caught:
        clf.partial_fit(**{"X": TEXTS, "y": LABELS} | arguments)
    assert message in str(caught.value)
    assert_same(clf.set_params(**{name: getattr(same, name) for name in parameters}), same)


@pytest.mark.parametrize("minibatch", [0, 1, 2])
def test_ctrl_c_ends_the_epoch_early_and_keeps_what_was_learnt(minibatch, monkeypatch, tmp_path):
    clf = classifier().partial_fit(OTHERS, THEIR_LABELS)
    before = clf.predict_proba(TEXTS)
    press_ctrl_c(monkeypatch, minibatch)
    with pytest.warns(UserWarning, match="training was interrupted: this epoch has 64 texts, of which some were read"):
        clf.partial_fit(TEXTS, LABELS)
    monkeypatch.undo()
    assert not np.array_equal(clf.predict_proba(TEXTS), before)
    assert len(clf.history_["train_loss"]) == 2
    clf.save(tmp_path / "model.npz")
    again = SetLSTMClassifier.load(tmp_path / "model.npz")
    assert_same(clf.partial_fit(OTHERS, THEIR_LABELS), again.partial_fit(OTHERS, THEIR_LABELS))


def test_ctrl_c_in_a_set_step_ends_the_epoch_after_one_minibatch(monkeypatch, tmp_path):
    clf, evolve = classifier().partial_fit(OTHERS, THEIR_LABELS), classification.evolve
    monkeypatch.setattr(classification, "evolve", lambda *of: os.kill(os.getpid(), signal.SIGINT) or evolve(*of))
    with pytest.warns(UserWarning, match="training was interrupted"):
        clf.partial_fit(TEXTS, LABELS)
    monkeypatch.undo()
    assert len(clf.history_["set_steps"]) == 1
    clf.save(tmp_path / "model.npz")
    SetLSTMClassifier.load(tmp_path / "model.npz").partial_fit(OTHERS, THEIR_LABELS)


def press_ctrl_c(monkeypatch, minibatch):
    """Send a real SIGINT in a minibatch, counted from 0."""
    function, count = training.clip_by_norm, [0]

    def interrupted(*arguments):
        if count[0] == minibatch:
            os.kill(os.getpid(), signal.SIGINT)
        count[0] += 1
        return function(*arguments)

    monkeypatch.setattr(training, "clip_by_norm", interrupted)


# warm_start


def test_a_warm_start_begins_with_the_weights_of_the_last_fit():
    clf = classifier(warm_start=True).fit(TEXTS, LABELS)
    before = clf.predict_proba(OTHERS)
    still = {"learning_rate": 0.0, "embedding_learning_rate": 0.0, "zeta": 0.0}
    clf.set_params(**still).fit(OTHERS, THEIR_LABELS)
    np.testing.assert_array_equal(clf.predict_proba(OTHERS), before)
    assert len(clf.history_["train_loss"]) == 2  # a new history


def test_without_it_fit_begins_anew():
    clf = classifier().fit(OTHERS, THEIR_LABELS)
    assert_same(clf.fit(TEXTS, LABELS), classifier().fit(TEXTS, LABELS))


def test_the_first_warm_start_is_a_cold_one():
    assert_same(classifier(warm_start=True).fit(TEXTS, LABELS), classifier().fit(TEXTS, LABELS))


def test_a_warm_start_keeps_vocabulary_and_classes():
    clf = classifier(warm_start=True).fit(TEXTS, LABELS)
    words = clf.vocabulary_.words
    texts, labels = reviews(40, seed=2, words=["lamp", "dragon"])
    clf.fit(texts, labels)
    assert clf.vocabulary_.words == words
    with pytest.raises(ValueError, match="there is the label 'good'; expected one of the classes"):
        clf.fit(TEXTS, np.where(LABELS == "pos", "good", "neg"))
    with pytest.raises(ValueError, match="embedding_dim was 6 when training began and is 7 now; a warm start"):
        clf.set_params(embedding_dim=7).fit(TEXTS, LABELS)
    clf.set_params(warm_start=False).fit(TEXTS, LABELS)
    assert clf.network_.parameters["E"].shape[1] == 7


def test_the_old_network_stays_the_best_until_an_epoch_is_better():
    clf = classifier(warm_start=True, n_epochs=6, learning_rate=0.02, embedding_learning_rate=0.05).fit(TEXTS, LABELS)
    before = clf.predict_proba(OTHERS)
    clf.set_params(learning_rate=10.0, n_epochs=1).fit(TEXTS, LABELS)
    if clf.best_epoch_ == -1:
        np.testing.assert_array_equal(clf.predict_proba(OTHERS), before)
    assert clf.training_state_.first_weights.keys() == {"loss", "accuracy"}


def test_a_warm_start_that_was_interrupted_resumes_bit_for_bit(monkeypatch, tmp_path):
    whole = classifier(warm_start=True).fit(TEXTS, LABELS).fit(OTHERS, THEIR_LABELS)
    clf = classifier(warm_start=True).fit(TEXTS, LABELS)
    press_ctrl_c(monkeypatch, 1)
    with pytest.warns(UserWarning, match="training was interrupted in epoch 1 of 2"):
        clf.fit(OTHERS, THEIR_LABELS, checkpoint_path=tmp_path / "model.npz")
    monkeypatch.undo()
    again = SetLSTMClassifier.load(tmp_path / "model.npz")
    assert_same(whole, again.fit(OTHERS, THEIR_LABELS, resume=True))
