"""The language model in parts: how text becomes streams, what the loop of training asks for, what a user asks for."""

import importlib
import inspect
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

from numpy_setlstm.evolution import GRADIENT_BATCHES, evolve_network
from numpy_setlstm.files import locked
from numpy_setlstm.lab.experiment.page import fill_blocks
from numpy_setlstm.language.estimator import SetLSTMLanguageModel
from numpy_setlstm.language.initialization import LanguageSizes, init_language_network
from numpy_setlstm.language.sampling import draw_ids
from numpy_setlstm.language.task import Prediction, evaluate
from numpy_setlstm.language.text import (
    BORDER_ID,
    build_vocabulary,
    check_known,
    check_text,
    count_units,
    encode,
    join_units,
    make_streams,
    split_units,
)
from numpy_setlstm.optimizers import Adam
from numpy_setlstm.sparse import SparseMatrix, weights_of
from numpy_setlstm.text import Vocabulary
from numpy_setlstm.training import TrainingSettings, TrainingState, split_streams

V = 9
TEXTS = [np.array(ids) for ids in ([3, 4, 5], [6], [7, 8, 3, 3, 5], [4, 4, 6, 7])]
LABELS = np.array([0, 1, 1, 0])
TEXT = "the cat sat on the mat, and the dog sat on the cat. " * 12
SMALL = {"embedding_dim": 4, "hidden_size": 5, "density": 0.4, "batch_size": 4, "n_steps": 9, "n_epochs": 2}
SMALL |= {"learning_rate": 0.02, "random_state": 0}


# Text


def test_text_is_joined_in_order_and_cut_into_streams():
    streams = make_streams(TEXTS, 2, labels=LABELS)
    assert streams.inputs.tolist() == [[3, 4, 5, 6, 7, 8], [3, 3, 5, 4, 4, 6]]
    assert streams.targets.tolist() == [[4, 5, 6, 7, 8, 3], [3, 5, 4, 4, 6, 7]]
    assert streams.labels.tolist() == [[0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0]]
    assert streams.inputs.dtype == streams.targets.dtype == np.int32
    assert make_streams([text.astype(np.int64) for text in TEXTS], 2).inputs.dtype == np.int32
    bordered = make_streams(TEXTS[:2], 1, np.array([1, 0]), LABELS[:2], bordered=True)
    assert bordered.inputs.tolist() == [[BORDER_ID, 6, BORDER_ID, 3, 4, 5]]
    assert bordered.targets.tolist() == [[6, BORDER_ID, 3, 4, 5, BORDER_ID]]
    assert bordered.labels.tolist() == [[1, 1, 0, 0, 0, 0]]


@pytest.mark.parametrize("bordered", [False, True])
def test_text_has_as_many_units_as_its_one_stream(bordered):
    streams = make_streams(TEXTS, 1, bordered=bordered)
    assert count_units(TEXTS, bordered=bordered) == streams.inputs.size + 1 == (18 if bordered else 13)


@pytest.mark.parametrize("labels", [None, LABELS])
def test_text_is_cut_into_minibatches_of_which_the_last_may_be_short(labels):
    streams = make_streams(TEXTS, 2, labels=labels)
    assert [streams.count_cuts(n) for n in (1, 4, 5, 6, 7)] == [6, 2, 2, 1, 1]
    parts = streams.cut(1, 4)
    assert parts.inputs.tolist() == [[7, 8], [4, 6]] and parts.targets.tolist() == [[8, 3], [6, 7]]
    assert parts.labels is None if labels is None else parts.labels.tolist() == [[1, 1], [0, 0]]


def test_text_of_words_keeps_the_most_frequent_and_text_of_characters_keeps_all():
    units = [[str(k) for k in range(20_100)]]
    assert len(build_vocabulary(units, "word")) == 20_000
    assert len(build_vocabulary(units, "word", bordered=True)) == 20_000
    assert len(build_vocabulary(units, "character")) == 2 + 20_100
    assert len(build_vocabulary(units, "character", bordered=True)) == 3 + 20_100
    assert len(build_vocabulary(units, "character", 7)) == len(build_vocabulary(units, "word", 7, bordered=True)) == 7
    with pytest.raises(ValueError, match="vocabulary_size is 3, which leaves room for 1 word: raise it"):
        build_vocabulary(units, "word", 3)
    with pytest.raises(ValueError, match="the text has no word: there is nothing to predict"):
        build_vocabulary([[]], "word")
    with pytest.raises(ValueError, match="the text has one character only, 'a': there is nothing to predict"):
        build_vocabulary([["a", "a"], ["a"]], "character")


def test_text_becomes_units_and_units_text():
    assert split_units("A cat, a dog", "character") == list("A cat, a dog")
    assert split_units("A cat, a dog", "word") == ["a", "cat", "a", "dog"]
    assert join_units(["a", "cat"], "character") == "acat" and join_units(["a", "cat"], "word") == "a cat"
    vocabulary = Vocabulary(("<pad>", "<unk>", "b", "a"))
    ids = encode(["a", "x", "b"], vocabulary)
    assert ids.tolist() == [3, 1, 2] and ids.dtype == np.int32


def test_text_that_is_unknown_is_named_with_what_is_known():
    words = Vocabulary(("<pad>", "<unk>", "<end>", *"klmabcdefghij"))
    assert check_known(["a", "k"], [6, 3], "word", words) is None
    message = "the prompt has the character 'x', which the model never read; it knows 'abcdefghijklm'"
    with pytest.raises(ValueError, match=f"^{message}$"):
        check_known(["a", "x", "y"], [5, 1, 1], "character", words)
    with pytest.raises(ValueError, match="has the word 'x', .* knows 'k, l, m, a, b, c, d, e, f, g'$"):
        check_known(["x"], [1], "word", words)


def test_text_may_be_one_or_several():
    assert check_text("a b") == (["a b"], False) and check_text(["a", "b c"]) == (["a", "b c"], True)
    assert check_text(iter(["a", "b"])) == (["a", "b"], True) and check_text(np.array(["a"])) == (["a"], True)
    for bad, message in (
        (b"a", "text is bytes; expected str: decode them first"),
        (3, "text is 3; expected a str, or a list of str"),
        ({"a"}, "text is a set, which has no order"),
        (frozenset("a"), "text is a frozenset, which has no order"),
        ({"a": 1}, "text is a dict, which has no order"),
        (["a", 3], "text 1 is 3, of type int; expected str"),
        ([b"a"], "text 0 is b'a', of type bytes; expected str"),
        ([], "text is an empty list; expected at least one text"),
        ("", "text is empty; expected some text"),
        (" \n", "text is empty; expected some text"),
        (["a", " "], "text 1 is empty: leave it out"),
    ):
        with pytest.raises((TypeError, ValueError), match=f"^{message}"):
            check_text(bad)


# The task


def network_of(n_labels=0, **options):
    """A small network with weights of all parameters, in double precision."""
    sizes = LanguageSizes(V, options.pop("embedding_dim", 3), 4, tied=options.pop("tied", False), n_labels=n_labels)
    generators = np.random.default_rng(0).spawn(2)
    options = {"sparse": ("E", "W_h"), "density": 0.5, "dtype": np.float64, "engine": "plain"} | options
    network, rng = init_language_network(sizes, *generators, **options), np.random.default_rng(5)
    for W in network.parameters.values():
        weights_of(W)[...] += rng.normal(size=weights_of(W).shape) * 0.3
    return network


def state_of(network, order, batch=0):
    """A state of training at a minibatch, with states that are carried if it is not the first."""
    state = TrainingState.start(network, Adam(network.parameters, 0.01), split_streams(np.random.default_rng(1)))
    state.order, state.batch = order, batch
    if batch:
        rng = np.random.default_rng(2)
        state.carried = {name: rng.normal(size=(2, *shape)) for name, shape in network.carried_shapes.items()}
    return state


TWO = TrainingSettings(batch_size=2, n_epochs=5)


@pytest.mark.parametrize("bordered", [False, True])
@pytest.mark.parametrize("n_steps", [1, 4, 8, 9])
def test_task_counts_minibatches_and_targets(n_steps, bordered):
    task = Prediction(TEXTS, n_steps, bordered=bordered)
    streams = make_streams(TEXTS, 2, bordered=bordered)
    assert task.count_batches(TWO) == streams.count_cuts(n_steps) and task.count(TWO) == streams.targets.size
    order = task.draw_order(TWO, np.random.default_rng(3))
    assert order.tolist() == np.random.default_rng(3).permutation(4).tolist()


def test_task_has_a_rate_that_stays_or_falls_as_half_a_cosine():
    state = state_of(network_of(), np.arange(4))
    for state.n_updates in (0, 7, 29):
        assert Prediction(TEXTS, 1).rate_share(state, TWO) == 1
        share = Prediction(TEXTS, 1, rate_schedule="cosine").rate_share(state, TWO)  # of 5 epochs of 6 minibatches
        np.testing.assert_allclose(share, (1 + np.cos(np.pi * state.n_updates / 30)) / 2, rtol=1e-12)


@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("labels", [None, LABELS])
def test_task_reads_the_minibatch_at_which_training_stands(labels, batch):
    network = network_of(0 if labels is None else 2, dropout=0.3)
    order = np.array([2, 0, 3, 1])
    task, state = Prediction(TEXTS, 4, labels, bordered=True), state_of(network, order, batch)
    before = {name: array.copy() for name, array in state.carried.items()} if batch else network.start(2)
    inputs, targets, of_inputs = make_streams(TEXTS, 2, order, labels, bordered=True).cut(batch, 4)
    loss, gradients, right, after = network.backpropagate(
        inputs, targets, before, of_inputs, split_streams(np.random.default_rng(1))["dropout"]
    )
    found = task.backpropagate(state, TWO)
    assert (found.loss, found.count, found.right) == (loss, inputs.size, right) and found.count == 8
    assert found.gradients.keys() == gradients.keys() and found.carried.keys() == after.keys()
    for mine, other in ((found.gradients, gradients), (found.carried, after)):
        for name, array in other.items():
            np.testing.assert_array_equal(mine[name], array, err_msg=name)
            assert mine is not found.carried or mine[name].base is None, "a copy, not a view of all steps"
    for name, array in state.carried.items():
        np.testing.assert_array_equal(array, before[name])


def test_task_cuts_the_texts_anew_when_their_order_changes():
    task, state = Prediction(TEXTS, 4, bordered=True), state_of(network_of(), np.array([2, 0, 3, 1]))
    first = task.backpropagate(state, TWO).loss
    cut = task._cut[1]
    assert task.backpropagate(state, TWO).loss == first and task._cut[1] is cut, "cut once in an epoch"
    state.order = np.array([0, 1, 2, 3])
    assert task.backpropagate(state, TWO).loss != first


@pytest.mark.parametrize("n_steps", [1, 3, 6, 50])
@pytest.mark.parametrize("labels", [None, LABELS])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_task_is_judged_by_the_mean_over_all_targets(n_steps, labels, dtype):
    network = network_of(0 if labels is None else 2, dtype=dtype)
    streams, start, kept = make_streams(TEXTS, 2, labels=labels), network.start(2), []
    log_p = [network.forward(streams.inputs, np.full((2, 6), k), start, streams.labels)[0] for k in range(V)]
    most, half = np.argmax(log_p, axis=0), np.arange(6) % 3 > 0
    streams = streams._replace(targets=np.where(half, most, (most + 1) % V))  # two of three are the most probable
    forward = network.forward
    network.forward = lambda *of, keep=True: kept.append(keep) or forward(*of, keep=keep)
    loss, accuracy = evaluate(network, streams, n_steps)
    assert not any(kept), "nothing is kept for a way back that is not taken"
    expected, *_ = forward(streams.inputs, streams.targets, start, streams.labels)
    np.testing.assert_allclose(loss, -expected.mean(dtype=np.float64), rtol=1e-12 if n_steps == 50 else 1e-6)
    assert accuracy == 8 / 12 and type(loss) is type(accuracy) is float
    assert Prediction(TEXTS, n_steps, validation=streams).validate(network) == (loss, accuracy)
    assert Prediction(TEXTS, n_steps).validate(network) == (None, None)


@pytest.mark.parametrize("batch", [0, 3])
@pytest.mark.parametrize("labels", [None, LABELS])
def test_task_gives_growth_the_mean_gradient_at_few_cells_or_at_all(labels, batch):
    """Of the next eight minibatches, from the carried state on; after the last of the epoch comes the first."""
    texts = [np.random.default_rng(k).integers(3, V, 5) for k in range(4)]
    network = network_of(0 if labels is None else 2, dropout=0.5)
    task, state = Prediction(texts, 1, labels), state_of(network, np.array([1, 0, 3, 2]), batch)
    n_batches = task.count_batches(TWO)
    assert n_batches == 9 > GRADIENT_BATCHES
    names, streams = ["E", "W_h", "W_x"], make_streams(texts, 2, state.order, labels)
    dense = {name: W.toarray() if isinstance(W, SparseMatrix) else W for name, W in network.parameters.items()}
    sums, before = dict.fromkeys(names, 0.0), state.carried or network.start(2)
    for k in range(batch, batch + GRADIENT_BATCHES):
        inputs, targets, of_inputs = streams.cut(k % n_batches, 1)
        before = network.start(2) if k % n_batches == 0 else before
        _, gradients, _, before = network.backpropagate(inputs, targets, before, of_inputs, parameters=dense)
        sums = {name: sums[name] + gradients[name] / GRADIENT_BATCHES for name in names}
    names.remove("W_x")  # it is dense
    all_cells = task.gradient_sizes(state, TWO, names)
    few = task.gradient_sizes(state, TWO, names, lambda W: W)
    assert all_cells.keys() == few.keys() == set(names)
    for name in names:
        W, expected = network.parameters[name], np.abs(sums[name])
        np.testing.assert_allclose(few[name].values, expected[W.rows, W.cols], rtol=1e-11, atol=1e-18)
        expected[0] *= name != "E"  # the row of the padding, in which nothing may grow
        np.testing.assert_allclose(all_cells[name], expected, rtol=1e-11, atol=1e-18)
        assert all_cells[name].dtype == np.float64


def test_task_lets_nothing_grow_at_the_padding_of_an_embedding_that_is_the_readout():
    network = network_of(tied=True, embedding_dim=4)
    task, state = Prediction(TEXTS, 4), state_of(network, np.arange(4))
    sizes = task.gradient_sizes(state, TWO, ["E"])["E"]
    assert (sizes[0] == 0).all() and (sizes[1:] > 0).all()
    assert task.gradient_sizes(state, TWO, ["W_h"]).keys() == {"W_h"}


@pytest.mark.parametrize("candidates", [None, 2])
def test_task_evolves_where_the_gradient_is_largest(candidates):
    settings = TrainingSettings(batch_size=2, n_epochs=5, growth="gradient", candidates=candidates, zeta=0.5)
    task, order = Prediction(TEXTS, 4), np.array([1, 0, 3, 2])
    one, two = (state_of(network_of(), order, batch=1) for _ in range(2))

    def sizes(names, probe):
        return task.gradient_sizes(two, settings, names, probe)

    task.evolve(one, settings)
    evolve_network(two, settings, task.count_batches(settings), sizes)
    for name in ("E", "W_h"):
        before, W, expected = (state.network.parameters[name] for state in (state_of(network_of(), order), one, two))
        np.testing.assert_array_equal(W.topology.keys, expected.topology.keys)
        assert not np.array_equal(W.topology.keys, before.topology.keys), f"{name} has evolved"


# The estimator


def test_estimator_has_the_defaults_that_its_page_names():
    defaults = {name: p.default for name, p in inspect.signature(SetLSTMLanguageModel).parameters.items()}
    assert defaults == SetLSTMLanguageModel().get_params() == {
        "connectivity": "set", "unit": "character", "embedding_dim": 64, "hidden_size": 256, "n_layers": 1,
        "tied": False, "sparse": ("W_x", "W_h"), "density": 0.05, "zeta": 0.1, "prune_rule": "sign",
        "keep_gate_counts": False, "growth": "zero", "candidates": None,
        "zeta_schedule": "constant", "evolve_every": None, "evolve_from": 0.0,
        "evolve_until": None, "vocabulary_size": None, "n_epochs": 8, "batch_size": 32, "n_steps": 50,
        "optimizer": "adam", "learning_rate": 0.003, "learning_rate_schedule": "constant",
        "learning_rate_decay": 0.0, "embedding_scale": None, "embedding_dropout": 0.0, "dropout": 0.0,
        "averaging": 0.0, "averaging_interval": 5, "max_norm": 1.0, "validation_fraction": 0.1,
        "patience": None, "engine": "fast",
        "kernel": "auto", "dtype": "float32", "progress": False, "random_state": None,
    }  # fmt: skip


def test_estimator_calls_back_before_training_and_after_each_epoch_when_the_model_is_saved():
    with tempfile.TemporaryDirectory() as folder:
        path, told, training = Path(folder) / "model.npz", [], True

        def tell(model):
            if training:
                with pytest.raises(BlockingIOError, match="is being written by"), locked(path):
                    pass
            loss = model.history_["train_loss"]
            saved = len(SetLSTMLanguageModel.load(path).history_["train_loss"]) if path.exists() else None
            told.append((len(loss), saved, model.training_state_.epoch, len(model.sample("t", 3))))

        model = SetLSTMLanguageModel(**SMALL)
        assert model.fit(TEXT, checkpoint_path=path, before_training=tell, after_epoch=tell) is model
        assert told == [(0, None, 0, 4), (1, 1, 1, 4), (2, 2, 2, 4)]
        assert os.listdir(folder) == ["model.npz"]
        again = SetLSTMLanguageModel.load(path)
        assert again.get_params() == model.get_params() | {"random_state": None}
        training = False
        again.set_params(n_epochs=3).fit(TEXT, resume=True, before_training=tell)
        assert told[3][0] == 2, "what continues has a history"
        model.set_params(n_epochs=3).fit(TEXT, resume=True)
        assert model.score(TEXT) == again.score(TEXT)


@pytest.fixture
def one_text():
    return SetLSTMLanguageModel(**SMALL).fit(TEXT)


@pytest.fixture
def labeled():
    texts = [f"a {word} film, {k}" for k in range(9) for word in ("bad", "good")]
    return SetLSTMLanguageModel(**SMALL).fit(texts, [7, 8] * 9)


def test_estimator_refuses_to_continue_what_has_not_begun(one_text):
    with pytest.raises(ValueError, match=r"is not fitted yet: call fit\(text\)"):
        SetLSTMLanguageModel().fit(TEXT, resume=True)
    for call in (lambda m: m.log_prob("the"), lambda m: m.bits_per_character("the"), lambda m: m.sample()):
        with pytest.raises(ValueError, match="is not fitted yet"):
            call(SetLSTMLanguageModel())
    with pytest.raises(ValueError, match="is not fitted yet"):
        SetLSTMLanguageModel().save("model.npz")
    assert not os.path.exists("model.npz")
    with pytest.raises(ValueError, match="unit is 'word', and words leave out characters: use perplexity"):
        one_text.set_params(unit="word").bits_per_character("the cat")


def test_estimator_gives_a_number_to_each_unit_that_something_precedes(one_text, labeled):
    assert one_text.log_prob("the").shape == (2,) and labeled.log_prob("bad", 7).shape == (4,)
    assert one_text.log_prob("th").shape == (1,) and labeled.log_prob("b", 7).shape == (2,)
    with pytest.raises(ValueError, match="text 't' has 1 character; expected at least 2"):
        one_text.log_prob("t")
    with pytest.raises(ValueError, match="text 1 has 1 character; expected at least 2"):
        one_text.log_prob(["th", "t"])
    with pytest.raises(ValueError, match="text '-{40}' has 0 words; expected at least 1"):
        labeled.set_params(unit="word").log_prob("-" * 50, 7)
    assert (labeled.log_prob("bad", 7) != labeled.log_prob("bad", 8)).all()


def test_estimator_measures_the_mean_of_all_units_together(one_text):
    some = ["the cat", "on", "a dog sat"]
    every = np.concatenate([one_text.log_prob(text) for text in some]).astype(np.float64)
    for text, numbers in ((some, every), ("on", every[6:7]), (["on"], every[6:7])):
        assert {type(one_text.score(text)), type(one_text.perplexity(text))} == {float}
        assert type(one_text.bits_per_character(text)) is float
        np.testing.assert_allclose(one_text.score(text), numbers.mean(), rtol=1e-14)
        np.testing.assert_allclose(one_text.perplexity(text), np.exp(-numbers.mean()), rtol=1e-14)
        np.testing.assert_allclose(one_text.bits_per_character(text), -numbers.mean() / np.log(2), rtol=1e-14)


def test_estimator_takes_one_label_for_all_texts_or_one_for_each(labeled):
    texts = ["a bad film", "good"]
    for labels, of_each in ((8, (8, 8)), ([8, 7], (8, 7)), (np.array([7, 8]), (7, 8)), (np.int64(7), (7, 7))):
        for found, text, label in zip(labeled.log_prob(texts, labels), texts, of_each, strict=True):
            np.testing.assert_array_equal(found, labeled.log_prob(text, label))
    for labels, message in (
        ([7], "there are 1 labels for 2 texts; expected as many, or one for all"),
        ([7, 9], r"label is 9; expected one of \[7, 8\]"),
        (None, r"label is missing; expected one of \[7, 8\]"),
    ):
        with pytest.raises(ValueError, match=message):
            labeled.log_prob(texts, labels)
    with pytest.raises(ValueError, match=r"label is \[7\]; expected one of"):
        labeled.log_prob("good", [7])


def test_estimator_begins_with_the_prompt_and_writes_as_much_as_is_asked_for(one_text, labeled):
    assert one_text.sample("the ", 7).startswith("the ") and len(one_text.sample("the ", 7)) == 11
    assert len(one_text.sample()) == 200 and one_text.sample(length=1) == one_text.sample()[0]
    assert one_text.sample("t") != one_text.sample("t", temperature=0.3)
    assert one_text.sample("t") == one_text.sample("t", temperature=1.0, rng=np.random.default_rng(0))
    most_frequent = one_text.vocabulary_.words[2]
    assert one_text.sample(most_frequent, 9) == most_frequent + one_text.sample("", 9)
    drawn = [[labeled.sample("a", 9, rng=np.random.default_rng(k), label=label) for k in range(20)] for label in (7, 8)]
    assert drawn[0] != drawn[1], "a label changes what is written"
    with pytest.raises(ValueError, match="label is missing"):
        labeled.sample("a")
    with pytest.raises(ValueError, match="label is 7, but the model was trained without labels: leave it out"):
        one_text.sample("t", label=7)


def test_estimator_reads_a_border_before_the_prompt_and_stops_at_one(labeled, one_text):
    words, lengths = labeled.vocabulary_.words, set()
    assert words[BORDER_ID] == "<end>" and one_text.vocabulary_.words[BORDER_ID] == " ", "the most frequent character"
    for prompt in ("", "of", "a good"):
        ids = [words.index(character) for character in prompt]
        for seed in range(9):
            drawn = draw_ids(
                labeled.network_, [BORDER_ID, *ids], 40, 1.0, np.random.default_rng(seed), 1, bordered=True
            )
            written = labeled.sample(prompt, 40, rng=np.random.default_rng(seed), label=8)
            assert written == prompt + "".join(words[k] for k in drawn)
            lengths.add(len(drawn))
    assert min(lengths) < 40, "some texts ended"


def test_estimator_asks_for_words_with_spaces_between():
    texts = ["a bad film", "a good film", "so bad", "so good a film"] * 5
    model = SetLSTMLanguageModel(**SMALL | {"unit": "word", "validation_fraction": 0}).fit(texts)
    written = model.sample("A bad", 3, rng=np.random.default_rng(5))
    assert written.startswith("A bad ") and set(written.lower().split()) <= {"a", "bad", "film", "good", "so"}
    first = model.sample(rng=np.random.default_rng(5))
    assert not first.startswith(" ") and model.sample("so", rng=np.random.default_rng(5)).startswith("so")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompt": 3}, "prompt is 3, of type int; expected str"),
        ({"length": 0}, "length is 0; expected a whole number from 1"),
        ({"temperature": 0}, "temperature is 0; expected a number above 0, such as 0.8"),
        ({"rng": 3}, "rng is 3"),
        ({"prompt": "Ü"}, "the prompt has the character 'Ü'"),
    ],
)
def test_estimator_names_what_cannot_be_asked_for(arguments, message, one_text):
    with pytest.raises((TypeError, ValueError), match=message):
        one_text.sample(**arguments)


# The page


def test_the_reviews_of_the_page_are_those_that_were_written(tmp_path, monkeypatch):
    docs = Path(__file__).parent.parent / "docs"
    monkeypatch.syspath_prepend(docs)
    script = importlib.import_module("language_words")
    records = script.read_records()
    for name in ("PAGE", "TEXTS"):
        monkeypatch.setattr(script, name, Path(shutil.copy(getattr(script, name), tmp_path)))
    script.report(records)
    for page in (script.PAGE, script.TEXTS):
        assert page.read_text("utf8") == (docs / page.name).read_text("utf8"), "run python docs/language_words.py"
    trials = [record["spec"]["kind"] for record in records if record["spec"]["trial"]]
    assert {trials.count(kind) for kind in script.KINDS} == {len(script.RATES)}, "as many trials for every kind"
    assert [record["spec"]["kind"] for record in script.networks(records)] == list(script.KINDS)
    for record in script.networks(records):
        assert {label: len(texts) for label, texts in record["texts"].items()} == {"negative": 10, "positive": 10}


def test_the_tables_of_the_page_agree_with_what_was_measured(tmp_path, monkeypatch):
    docs = Path(__file__).parent.parent / "docs"
    monkeypatch.syspath_prepend(docs)
    script = importlib.import_module("language_runs")
    page = Path(shutil.copy(docs / "language.md", tmp_path))
    records = script.read_records()
    fill_blocks(page, "language", lambda name: script.BLOCKS[name](records))
    assert page.read_text("utf8") == (docs / "language.md").read_text("utf8"), "run python docs/language_runs.py"
    trials = [record["spec"]["kind"] for record in records if record["spec"]["trial"]]
    assert {trials.count(kind) for kind in script.SEARCHED} == {script.N_TRIALS}, "as many trials for every kind"
    seeds = {key: len(by_seed) for key, by_seed in script.bits_of(records).items()}
    assert set(seeds.values()) == {len(script.SEEDS)}, "every kind has all seeds"
    longer = [record["spec"]["kind"] for record in script.long_records(records)]
    assert {kind: longer.count(kind) for kind in longer} == dict.fromkeys(script.LONG_KINDS, len(script.SEEDS))
