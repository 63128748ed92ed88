"""The language model: gradients, twins, the truncation, streams, exact resume, files, what it writes, bad input."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numpy_setlstm import SetLSTMClassifier, check_gradients, cli, training
from numpy_setlstm.checkpoint import CheckpointError, load_arrays, save_arrays
from numpy_setlstm.datasets import make_reviews
from numpy_setlstm.language import sampling, softmax
from numpy_setlstm.language.estimator import SetLSTMLanguageModel
from numpy_setlstm.language.initialization import LanguageSizes, init_language_network
from numpy_setlstm.language.sampling import probabilities
from numpy_setlstm.language.task import Prediction
from numpy_setlstm.language.text import BORDER_ID, build_vocabulary, make_streams
from numpy_setlstm.optimizers import Adam
from numpy_setlstm.sparse import SparseMatrix, weights_of
from numpy_setlstm.training import TrainingSettings, TrainingState, split_streams

N, T, V = 3, 5, 7
EVERYTHING_SPARSE = ("E", "W_x", "W_h", "W_out")
NETWORKS = {
    "one layer": {"sparse": ("W_x", "W_h")},
    "two layers": {"n_layers": 2, "sparse": ("W_x", "W_h")},
    "dense": {"n_layers": 2},
    "all sparse": {"sparse": EVERYTHING_SPARSE},
    "tied": {"tied": True, "embedding_dim": 4, "sparse": ("W_x", "W_h")},
    "tied and sparse": {"tied": True, "embedding_dim": 4, "n_layers": 2, "sparse": ("E", "W_x", "W_h")},
    "labels": {"n_labels": 2, "sparse": ("W_x", "W_h")},
}
TEXT = "the cat sat on the mat, and the dog sat on the cat. " * 12
SMALL = {"embedding_dim": 6, "hidden_size": 8, "density": 0.4, "batch_size": 4, "n_steps": 9, "n_epochs": 3}
SMALL |= {"learning_rate": 0.02, "random_state": 0}
OPTIONS = {"embedding-dim": 6, "hidden-size": 8, "density": 0.4, "batch-size": 2, "steps": 5, "epochs": 2}


def network_of(engine="plain", *, n_labels=0, dropout=0.0, **options):
    """A small network with weights of all parameters, in double precision."""
    sizes = {name: options.pop(name) for name in ("embedding_dim", "n_layers", "tied") if name in options}
    sizes = LanguageSizes(V, **{"embedding_dim": 3, "hidden_size": 4, "n_labels": n_labels} | sizes)
    generators = np.random.default_rng(0).spawn(2)
    rates = {"embedding_dropout": dropout, "dropout": dropout}
    options |= {"density": 0.5, "dtype": np.float64, "engine": engine}
    network = init_language_network(sizes, *generators, **rates, **options)
    rng = np.random.default_rng(5)
    for W in network.parameters.values():
        weights_of(W)[...] += rng.normal(size=weights_of(W).shape) * 0.3
    return network


def data_of(network, seed=0):
    """Inputs, targets, state and labels."""
    rng = np.random.default_rng(seed)
    words = rng.integers(1, V, (N, T + 1))
    words[0, 1:4] = 3  # a word that repeats
    state = {name: rng.normal(size=(N, *shape)) * 0.5 for name, shape in network.carried_shapes.items()}
    labels = rng.integers(0, 2, (N, T)) if "E_label" in network.parameters else None
    return words[:, :-1], words[:, 1:], state, labels


@pytest.mark.parametrize("engine", ["plain", "fast"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_gradients_of_every_parameter_and_of_the_carried_state(kind, engine, monkeypatch):
    monkeypatch.setattr(softmax, "MOST_CELLS", 4 * V)  # blocks of 4, 4, 4, 3 rows
    network = network_of(engine, **NETWORKS[kind])
    inputs, targets, state, labels = data_of(network)
    names = set(network.parameters)

    def loss(p):
        before = {name: p[name] for name in state}
        parameters = {name: p[name] for name in names}
        log_p, *_ = network.forward(inputs, targets, before, labels, parameters=parameters)
        return -log_p.mean()

    log_p, _, _, cache = network.forward(inputs, targets, state, labels)
    gradients, before = network.backward(np.full((N, T), -1 / (N * T)), cache)
    assert gradients.keys() == names and before.keys() == state.keys()
    check_gradients(loss, network.parameters | state, gradients | before, method="complex")


@pytest.mark.parametrize("kernel", ["gather", "scratch"])
@pytest.mark.parametrize("kind", NETWORKS)
def test_the_fast_engine_equals_the_plain_one(kind, kernel):
    options = NETWORKS[kind] | {"dropout": 0.3}
    plain, fast = network_of(**options), network_of("fast", kernel=kernel, **options)
    inputs, targets, state, labels = data_of(plain)
    one, two = (
        network.backpropagate(inputs, targets, state, labels, np.random.default_rng(3)) for network in (plain, fast)
    )
    assert abs(one[0] - two[0]) < 1e-14 and one[2] == two[2]
    for mine, other in ((one[1], two[1]), (one[3], two[3])):
        assert mine.keys() == other.keys()
        for name, array in mine.items():
            np.testing.assert_allclose(other[name], array, rtol=1e-12, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_two_minibatches_with_the_carried_state_have_the_loss_of_one_that_is_longer(engine):
    network = network_of(engine, **NETWORKS["two layers"])
    inputs, targets, state, _ = data_of(network)
    whole, _, at_the_end, _ = network.forward(inputs, targets, state)
    first, _, between, _ = network.forward(inputs[:, :2], targets[:, :2], state)
    second, _, after, _ = network.forward(inputs[:, 2:], targets[:, 2:], between)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, rtol=1e-13)
    for name, array in at_the_end.items():
        np.testing.assert_allclose(after[name], array, rtol=1e-13, err_msg=name)


def test_the_truncated_gradient_lacks_what_goes_through_the_carried_state_and_nothing_else():
    """The exact gradient of the second minibatch's loss is the truncated one, and that through the state."""
    network = network_of(**NETWORKS["two layers"])
    inputs, targets, state, _ = data_of(network)
    cut, names = 2, list(network.parameters)

    def through_both(p):
        _, _, between, _ = network.forward(inputs[:, :cut], targets[:, :cut], state, parameters=p)
        return -network.forward(inputs[:, cut:], targets[:, cut:], between, parameters=p)[0].mean()

    _, _, between, _ = network.forward(inputs[:, :cut], targets[:, :cut], state)
    log_p, _, _, cache = network.forward(inputs[:, cut:], targets[:, cut:], between)
    truncated, dstate = network.backward(np.full(log_p.shape, -1 / log_p.size), cache)
    step = 1e-30

    def slope(loss, name, place):
        p = {key: W for key, W in network.parameters.items()}
        W = p[name]
        moved = weights_of(W).astype(complex)
        moved.flat[place] += 1j * step
        p[name] = W.with_values(moved) if isinstance(W, SparseMatrix) else moved
        return loss(p).imag / step

    def state_moves(p):
        _, _, moved, _ = network.forward(inputs[:, :cut], targets[:, :cut], state, parameters=p)
        return sum((dstate[name] * moved[name]).sum() for name in dstate)

    left_out = 0.0
    for name in names:
        exact, through_state = (slope(loss, name, 1) for loss in (through_both, state_moves))
        np.testing.assert_allclose(exact, truncated[name].flat[1] + through_state, rtol=1e-10, atol=1e-15, err_msg=name)
        left_out = max(left_out, abs(through_state))
    assert left_out > 1e-4  # the truncation does leave out something


def test_blocks_have_every_row_once_and_few_logits(monkeypatch):
    monkeypatch.setattr(softmax, "MOST_CELLS", 10)
    assert softmax.blocks_of(7, 3) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert softmax.blocks_of(6, 3) == [slice(0, 3), slice(3, 6)]
    assert softmax.blocks_of(2, 11) == [slice(0, 1), slice(1, 2)]
    monkeypatch.undo()
    assert softmax.blocks_of(1000, 2**12) == [slice(0, 1000)] and softmax.blocks_of(1, 2**23) == [slice(0, 1)]
    assert softmax.blocks_of(1025, 2**12)[1] == slice(1024, 1025)


def test_right_are_the_targets_that_are_the_most_probable():
    h, W = np.eye(3), np.array([[0.0, 2.0], [3.0, 0.0], [1.0, 4.0]])
    log_p, right, _ = softmax.log_prob_forward(h, W, np.zeros(2), np.array([1, 1, 1]))
    assert right.tolist() == [True, False, True]
    np.testing.assert_allclose(np.exp(log_p), [1 / (1 + np.exp(-2)), 1 / (1 + np.exp(3)), 1 / (1 + np.exp(-3))])


def test_dropout_is_of_the_vectors_and_of_the_states_that_are_read_not_of_those_carried():
    network = network_of(**NETWORKS["two layers"])
    inputs, targets, state, _ = data_of(network)
    plain, _, after, _ = network.forward(inputs, targets, state, rng=np.random.default_rng(0))
    network.embedding_dropout = 0.5
    assert not np.array_equal(network.forward(inputs, targets, state, rng=np.random.default_rng(0))[0], plain)
    network.embedding_dropout, network.dropout = 0.0, 0.5
    dropped, _, after_dropped, _ = network.forward(inputs, targets, state, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(after_dropped["h"], after["h"])
    assert not np.array_equal(after_dropped["h_2"], after["h_2"]) and not np.array_equal(dropped, plain)
    np.testing.assert_array_equal(network.forward(inputs, targets, state)[0], plain)
    assert network.copy().dropout == 0.5 and network.copy().engine is network.engine


def test_dropout_draws_the_same_in_the_gradients():
    """With dropout, too, a gradient is the slope of the loss: all generators begin at the same place."""
    network = network_of(**NETWORKS["two layers"], dropout=0.4)
    inputs, targets, state, _ = data_of(network)

    def loss(p):
        return -network.forward(inputs, targets, state, rng=np.random.default_rng(3), parameters=p)[0].mean()

    value, gradients, _, _ = network.backpropagate(inputs, targets, state, rng=np.random.default_rng(3))
    assert value == loss(network.parameters) > 0
    check_gradients(loss, network.parameters, gradients, method="complex")


@pytest.mark.parametrize("kind", ["two layers", "tied"])
def test_a_network_foresees_what_its_losses_say(kind, monkeypatch):
    """Logits of what comes next, which targets are right, and nothing kept where nothing is needed."""
    monkeypatch.setattr(softmax, "MOST_CELLS", 4 * V)
    network = network_of(**NETWORKS[kind])
    inputs, targets, state, _ = data_of(network)
    logits, after = network.next_logits(inputs, state)
    assert logits.shape == (N, V) and after.keys() == state.keys()
    assert max(abs(array).max() for array in state.values()) > 0.5  # so that a state that is lost shows
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    all_targets = [np.full((N, T), word) for word in range(V)]
    every = [network.forward(inputs, words, state) for words in all_targets]
    np.testing.assert_allclose(log_p, np.stack([one[0][:, -1] for one in every], axis=1), rtol=1e-12)
    most = np.argmax([one[0] for one in every], axis=0)  # (N, T)
    found, right, then, cache = network.forward(inputs, targets, state, keep=False)
    assert cache is None and right.shape == found.shape == (N, T)
    np.testing.assert_array_equal(right, most == targets)
    np.testing.assert_array_equal(network.forward(inputs, most, state)[1], True)
    for name, array in after.items():
        np.testing.assert_array_equal(array, then[name])
    assert network.backpropagate(inputs, most, state)[2] == N * T


@pytest.mark.parametrize("way", ["forward", "next_logits"])
def test_a_network_that_only_reads_keeps_nothing(way, monkeypatch):
    network, kept = network_of(**NETWORKS["two layers"]), []
    run = network.engine.run_lstm
    monkeypatch.setattr(
        network.engine, "run_lstm", lambda *arrays, keep: kept.append(keep) or run(*arrays, keep=keep), raising=False
    )
    inputs, targets, state, _ = data_of(network)
    if way == "forward":
        network.forward(inputs, targets, state, keep=False)
        assert kept == [False, False]
        network.read(inputs, state)
        assert kept[2:] == [True, True]
    else:
        network.next_logits(inputs, state)
        assert kept == [False, False]


def test_a_network_begins_counts_and_is_copied_as_it_should():
    network = network_of("fast", kernel="scratch", **NETWORKS["two layers"])
    network.embedding_dropout, network.dropout = 0.1, 0.2
    start = network.start(3)
    assert list(start) == ["h", "c", "h_2", "c_2"]
    for state in start.values():
        assert state.shape == (3, 4) and state.dtype == np.float64 and not state.any()
    counts = network.gate_counts()
    assert list(counts) == ["W_x", "W_h", "W_x_2", "W_h_2"]
    assert all(sum(counts[name].values()) == network.parameters[name].nnz for name in counts)
    other = network.with_parameters(dict(network.parameters))
    assert (other.embedding_dropout, other.dropout) == (0.1, 0.2) and other.engine is network.engine
    assert other.scales == network.scales and network.scales and other.parameters is not network.parameters
    assert network.engine.kernel == "scratch"


def test_one_target_is_right_beside_others():
    """Rows are judged one by one; the real part counts in a complex step."""
    h, W = np.eye(3), np.array([[1.0, 3, 2], [6, 0, 6], [7, 0, 9]])
    _, right, _ = softmax.log_prob_forward(h, W, np.zeros(3), np.array([1, 1, 2]))
    assert right.tolist() == [True, False, True]
    _, right, _ = softmax.log_prob_forward(h, W + np.array([0, 0, 1e-30j]), np.zeros(3), np.array([1, 0, 2]))
    assert right.all()


@pytest.mark.parametrize("piece", [1, 2, 256])
def test_log_probabilities_are_those_of_one_pass(piece, monkeypatch):
    monkeypatch.setattr(sampling, "PIECE", piece)
    network, ids = network_of(**NETWORKS["labels"]), np.array([3, 4, 6, 5, 3])
    start = network.start(1)
    expected = network.forward(ids[None, :-1], ids[None, 1:], start, np.ones((1, 4), int))[0][0]
    np.testing.assert_allclose(sampling.log_probabilities(network, ids, 1), expected, rtol=1e-12)
    longer = np.array([BORDER_ID, *ids, BORDER_ID])
    expected = network.forward(longer[None, :-1], longer[None, 1:], start, np.zeros((1, 6), int))[0][0]
    np.testing.assert_allclose(sampling.log_probabilities(network, ids, 0, bordered=True), expected, rtol=1e-12)


def test_log_probabilities_and_drawing_without_labels_and_borders():
    network, ids = network_of(**NETWORKS["one layer"]), np.array([3, 4, 6, 5, 3])
    expected = network.forward(ids[None, :-1], ids[None, 1:], network.start(1))[0][0]
    np.testing.assert_allclose(sampling.log_probabilities(network, ids), expected, rtol=1e-12)
    drawn = sampling.draw_ids(network, ids, 60, 1.0, np.random.default_rng(1))
    assert len(drawn) == 60 and set(drawn) == set(range(2, V))


@pytest.mark.parametrize("bordered", [False, True])
def test_drawing_is_by_the_probabilities_and_ends_at_a_border(bordered):
    network, ids = network_of(**NETWORKS["labels"]), [3, 4]
    found = sampling.draw_ids(network, ids, 40, 0.7, np.random.default_rng(1), 1, bordered=bordered)
    rng, read, expected = np.random.default_rng(1), list(ids), []
    while len(expected) < 40:
        logits, _ = network.next_logits(np.array([read]), network.start(1), np.ones((1, len(read)), int))
        k = int(rng.choice(V, p=probabilities(logits[0], 0.7)))
        if bordered and k == BORDER_ID:
            break
        expected.append(k)
        read.append(k)
    assert found == expected and (len(found) < 40) == bordered


def test_drawing_lays_weights_out_once_and_reads_these(monkeypatch):
    """A product of one row by a sparse matrix takes longer than by the dense one."""
    network, laid_out, read = network_of("fast", **NETWORKS["two layers"]), [], []
    lay_out, run = network.engine.lay_out, network.engine.run_lstm
    monkeypatch.setattr(network.engine, "lay_out", lambda W: laid_out.append(W) or lay_out(W), raising=False)
    monkeypatch.setattr(network.engine, "run_lstm", lambda x, *W, keep: read.append(W[1]) or run(x, *W, keep=keep),
                        raising=False)  # fmt: skip
    sampling.draw_ids(network, [3, 4], 5, 1.0, np.random.default_rng(0))
    assert len(laid_out) == len(network.parameters) and len(read) == 2 * 5
    assert isinstance(network.parameters["W_h"], SparseMatrix)
    np.testing.assert_array_equal(read[0], network.parameters["W_h"].toarray())


def test_a_network_that_is_laid_out_computes_the_same():
    network = network_of("fast", **NETWORKS["two layers"])
    inputs, _, state, _ = data_of(network)
    np.testing.assert_allclose(
        network.laid_out().next_logits(inputs, state)[0], network.next_logits(inputs, state)[0], rtol=1e-12
    )


# Streams


@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.integers(1, 4), st.booleans(), st.integers(0, 9))
def test_streams_are_the_text_cut_in_order(lengths, n_streams, bordered, seed):
    rng = np.random.default_rng(seed)
    texts = [rng.integers(3, 99, length) for length in lengths]
    order, labels = rng.permutation(len(texts)), np.arange(len(texts))
    border = [BORDER_ID] * bordered
    long = border + [k for t in order for k in [*texts[t], *border]]
    of_long = [t for t in order for _ in range(len(texts[t]) + bordered)]
    length = (len(long) - 1) // n_streams
    streams = make_streams(texts, n_streams, order, labels, bordered=bordered)
    for part, expected in ((streams.inputs, long), (streams.targets, long[1:]), (streams.labels, of_long)):
        np.testing.assert_array_equal(part.ravel(), expected[: n_streams * length])
    if length:
        pieces = [streams.cut(k, 3).inputs for k in range(streams.count_cuts(3))]
        np.testing.assert_array_equal(np.concatenate(pieces, axis=1), streams.inputs)


def test_a_vocabulary_of_characters_has_all_and_one_of_words_the_most_frequent():
    assert build_vocabulary([list("abba a")], "character").words == ("<pad>", "<unk>", "a", "b", " ")
    words = build_vocabulary([["a", "b", "b", "c"]], "word", 5, bordered=True).words
    assert words == ("<pad>", "<unk>", "<end>", "b", "a")


@pytest.mark.parametrize("batch", [0, 1])
def test_growth_scores_are_the_mean_gradient_of_the_next_minibatches_from_the_carried_state(batch):
    network = network_of(**NETWORKS["all sparse"])
    text = np.random.default_rng(2).integers(1, V, 2 * 7 + 1)
    task, settings = Prediction([text], 3), TrainingSettings(batch_size=2)  # 3, 3 and 1 steps
    state = TrainingState.start(network, Adam(network.parameters, 0.01), split_streams(np.random.default_rng(1)))
    state.order, state.batch, streams = np.arange(1), batch, make_streams([text], 2)
    start = network.start(2)
    if batch:
        _, _, state.carried, _ = network.forward(*streams.cut(0, 3)[:2], start)
    names = list(EVERYTHING_SPARSE)
    found = task.gradient_sizes(state, settings, names)
    dense = {name: W.toarray() if isinstance(W, SparseMatrix) else W for name, W in network.parameters.items()}
    sums, before = dict.fromkeys(names, 0), state.carried or start
    for k in (0, 1, 2) if batch == 0 else (1, 2, 0):
        inputs, targets, _ = streams.cut(k, 3)
        before = start if k == 0 else before
        _, gradients, _, before = network.backpropagate(inputs, targets, before, parameters=dense)
        sums = {name: sums[name] + gradients[name] * inputs.size for name in names}
    sums["E"][0] = 0  # the row of the padding
    sums = {name: gradient / (2 * 7) for name, gradient in sums.items()}
    for name in names:
        np.testing.assert_allclose(found[name], np.abs(sums[name]), rtol=1e-12, err_msg=name)


# Training


def assert_same(a, b):
    """Two models have reached the same state, bit for bit."""
    one, two = a.training_state_, b.training_state_
    for mine, other in ((one.network, two.network), (one.best_network, two.best_network)):
        for name, W in mine.parameters.items():
            np.testing.assert_array_equal(weights_of(W), weights_of(other.parameters[name]), err_msg=name)
            if isinstance(W, SparseMatrix):
                np.testing.assert_array_equal(W.topology.keys, other.parameters[name].topology.keys, err_msg=name)
    assert one.carried.keys() == two.carried.keys()
    for name, array in one.carried.items():
        np.testing.assert_array_equal(array, two.carried[name], err_msg=name)
    for key in one.history.keys() - {"seconds", "set_steps"}:
        assert one.history[key] == two.history[key], key
    assert (one.epoch, one.batch, one.best_epoch) == (two.epoch, two.batch, two.best_epoch)


VARIANTS = {
    "evolved within epochs": {"evolve_every": 4, "growth": "gradient", "averaging": 0.9},
    "with candidates": {"evolve_every": 4, "growth": "gradient", "candidates": 2, "sparse": EVERYTHING_SPARSE},
    "two layers and dropout": {"n_layers": 2, "dropout": 0.2, "embedding_dropout": 0.1},
    "tied": {"tied": True, "embedding_dim": 8, "connectivity": "dense"},
    "words": {"unit": "word", "batch_size": 2, "n_steps": 5, "sparse": ("E", "W_x")},
    "plain": {"engine": "plain", "n_epochs": 2},
    "a rate that falls": {"learning_rate_schedule": "cosine", "zeta_schedule": "cosine"},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_interrupted_in_an_epoch_saved_loaded_and_resumed_is_training_in_one_go(variant, tmp_path, monkeypatch):
    settings = SMALL | VARIANTS[variant]
    expected = SetLSTMLanguageModel(**settings).fit(TEXT)
    clip, count = training.clip_by_norm, [0]

    def interrupted(*arguments):
        count[0] += 1
        if count[0] == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return clip(*arguments)

    monkeypatch.setattr(training, "clip_by_norm", interrupted)
    with pytest.warns(UserWarning, match=r"interrupted in epoch 1 of \d; .* fit\(text, resume=True\) continues"):
        SetLSTMLanguageModel(**settings).fit(TEXT, checkpoint_path=tmp_path / "model.npz")
    monkeypatch.undo()
    model = SetLSTMLanguageModel.load(tmp_path / "model.npz")
    assert model.training_state_.batch == 3 and model.training_state_.carried
    assert_same(model.fit(TEXT, resume=True), expected)


def test_more_epochs_later_are_the_same_as_at_once():
    texts, labels = ["a bad film", "a good film", "bad, bad", "good, good"] * 10, ["neg", "pos"] * 20
    expected = SetLSTMLanguageModel(**SMALL).fit(texts, labels)
    model = SetLSTMLanguageModel(**SMALL | {"n_epochs": 1}).fit(texts, labels)
    assert_same(model.set_params(n_epochs=3).fit(texts, labels, resume=True), expected)


def test_a_cosine_lowers_the_rate_from_1_to_nearly_0(monkeypatch):
    factors, update = [], Adam.update
    monkeypatch.setattr(Adam, "update", lambda self, p, g, factor: factors.append(factor) or update(self, p, g, factor))
    model = SetLSTMLanguageModel(**SMALL | {"learning_rate_schedule": "cosine"}).fit(TEXT)
    n = len(factors)
    np.testing.assert_allclose(factors, (1 + np.cos(np.pi * np.arange(n) / n)) / 2, rtol=1e-12)
    with pytest.raises(ValueError, match="n_epochs was 3 when training began and is 5 now"):
        model.set_params(n_epochs=5).fit(TEXT, resume=True)


def test_the_engines_train_alike_and_count_the_same_history():
    fast, plain = (
        SetLSTMLanguageModel(**SMALL | {"dtype": "float64", "engine": engine}).fit(TEXT) for engine in ("fast", "plain")
    )
    np.testing.assert_allclose(fast.history_["validation_loss"], plain.history_["validation_loss"], rtol=1e-9)
    assert fast.best_epoch_ == int(np.argmin(fast.history_["validation_loss"]))
    assert len(fast.history_["set_steps"]) == 2 and fast.history_["evolved_at"] == [[1, 0], [2, 0]]


def test_what_it_learns_is_what_it_says():
    model = SetLSTMLanguageModel(**SMALL | {"n_epochs": 25, "validation_fraction": 0}).fit(TEXT)
    assert model.bits_per_character(TEXT) < 1.0
    log_p = model.log_prob("the cat sat")
    assert log_p.shape == (10,) and (log_p < 0).all()
    np.testing.assert_allclose(model.perplexity("the cat sat"), np.exp(-log_p.mean()), rtol=1e-6)
    np.testing.assert_allclose(model.bits_per_character("the cat sat"), -log_p.mean() / np.log(2), rtol=1e-6)
    np.testing.assert_allclose(model.score("the cat sat"), log_p.mean(), rtol=1e-6)
    assert model.sample("the ", 60, 0.05).startswith("the ")
    assert model.sample("the ", 30, 2.0) == model.sample("the ", 30, 2.0)
    assert model.sample("the ", 30, 2.0, np.random.default_rng(1)) != model.sample("the ", 30, 2.0)


@pytest.mark.parametrize("kind", ["one text", "several", "labels", "words"])
def test_a_list_of_texts_is_judged_as_one_by_one(kind):
    texts, labels = ["a bad film", "a good film", "bad", "so good"] * 10, ["neg", "pos"] * 20
    settings = SMALL | {"n_epochs": 2, "unit": "word" if kind == "words" else "character"}
    settings |= {"batch_size": 2, "n_steps": 3, "dtype": "float64"}
    learn = {"one text": (TEXT,), "several": (texts,), "words": (texts,), "labels": (texts, labels)}[kind]
    model = SetLSTMLanguageModel(**settings).fit(*learn)
    some, of_some = (
        ["a bad, bad film", "good film", "a film"],
        ["neg", "pos", "neg"] if kind == "labels" else [None] * 3,
    )
    one_by_one = [model.log_prob(text, label) for text, label in zip(some, of_some, strict=True)]
    labels = np.array(of_some) if kind == "labels" else None
    found = model.log_prob(some, labels)
    assert isinstance(found, list) and len(found) == 3
    for mine, alone in zip(found, one_by_one, strict=True):
        np.testing.assert_array_equal(mine, alone)
    every = np.concatenate(one_by_one)
    assert model.score(some, labels) == every.mean()
    assert model.perplexity(some, labels) == np.exp(-every.mean())
    if kind != "words":
        assert model.bits_per_character(some, labels) == -every.mean() / np.log(2)
    (alone,) = model.log_prob(some[:1], None if labels is None else labels[:1])
    np.testing.assert_array_equal(alone, one_by_one[0])
    if kind == "labels":
        np.testing.assert_array_equal(model.log_prob(some, "pos")[1], one_by_one[1])
        np.testing.assert_array_equal(model.log_prob(some, "pos")[0], model.log_prob(some[0], "pos"))


def test_with_labels_it_writes_a_text_of_a_label_to_its_end():
    texts, labels = ["what a lovely film", "what a dull film"] * 40, ["pos", "neg"] * 40
    model = SetLSTMLanguageModel(**SMALL | {"n_epochs": 40, "hidden_size": 16, "validation_fraction": 0})
    model.fit(texts, labels)
    for label, text in (("pos", texts[0]), ("neg", texts[1])):
        assert model.sample(temperature=0.05, label=label) == text
        other = "neg" if label == "pos" else "pos"
        assert model.score(text, label) > model.score(text, other)
    assert model.log_prob("what", "pos").shape == (5,)  # four characters and the end


def test_probabilities_leave_out_padding_and_unknown():
    p = probabilities(np.array([9.0, 9.0, 0.0, np.log(3.0)]), 1.0)
    np.testing.assert_allclose(p, [0, 0, 0.25, 0.75], atol=1e-15)
    np.testing.assert_allclose(probabilities(np.array([9.0, 9.0, 0.0, np.log(3.0)]), 0.5), [0, 0, 0.1, 0.9], atol=1e-15)
    for large in (2000.0, -2000.0):  # of which exp overflows, or is 0
        np.testing.assert_allclose(probabilities(np.array([0, 0, large, large + 1.0]), 1.0)[3], 1 / (1 + np.exp(-1)))
    with np.errstate(over="raise"):  # a tiny temperature is no reason to warn
        assert probabilities(np.array([9.0, 9.0, 0.0, 1.0]), 1e-320).tolist() == [0, 0, 0, 1]
    logits = np.array([0, 0, 1, 2], np.float32)
    assert probabilities(logits, 1.0).dtype == np.float64 and logits.tolist() == [0, 0, 1, 2]


# Files


def test_a_file_says_of_which_kind_its_model_is(tmp_path):
    path, other = tmp_path / "language.npz", tmp_path / "classifier.npz"
    SetLSTMLanguageModel(**SMALL | {"n_epochs": 1}).fit(TEXT).save(path)
    sizes = {"hidden_size": 8, "embedding_dim": 8, "parameter_share": 0.5, "n_epochs": 1, "validation_fraction": 0}
    SetLSTMClassifier(**sizes).fit(["good film", "bad film"] * 9, [1, 0] * 9).save(other)
    with pytest.raises(CheckpointError, match="is a language model: load it with SetLSTMLanguageModel.load"):
        SetLSTMClassifier.load(path)
    with pytest.raises(CheckpointError, match="is a classifier: load it with SetLSTMClassifier.load"):
        SetLSTMLanguageModel.load(other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocabulary": None}, "vocabulary is missing"),
        ({"parameters": {"hidden_size": 9}}, "expected"),
        ({"parameters": {"sparse": ["E"]}}, "sparse is"),
        ({"batch": 2}, "batch is 2 between two epochs"),
    ],
)
def test_an_altered_file_is_refused(change, message, tmp_path):
    SetLSTMLanguageModel(**SMALL | {"n_epochs": 1}).fit(TEXT).save(tmp_path / "model.npz")
    header, arrays = load_arrays(tmp_path / "model.npz")
    if isinstance(change.get("parameters"), dict):
        change = {"parameters": header["parameters"] | change["parameters"]}
    save_arrays(tmp_path / "altered.npz", header | change, arrays)
    with pytest.raises(CheckpointError, match=message):
        SetLSTMLanguageModel.load(tmp_path / "altered.npz")


# Bad input


@pytest.mark.parametrize(
    ("text", "labels", "settings", "message"),
    [
        ("", None, {}, "text is empty"),
        ("aaaa" * 50, None, {}, "the text has one character only, 'a': there is nothing to predict"),
        ("abc" * 10, None, {}, "needs 37: give more text, or lower batch_size or n_steps"),
        ([], None, {}, "an empty list"),
        (["a b", ""], None, {}, "text 1 is empty"),
        (b"abc", None, {}, "text is bytes"),
        (["ab", 3], None, {}, "text 1 is 3, of type int"),
        ("abc" * 99, [1], {}, "the text is a single str"),
        (["abc"] * 99, [1] * 99, {}, "one class; expected at least two"),
        (TEXT, None, {"tied": True}, "needs embedding_dim = hidden_size, 8"),
        (TEXT, None, {"n_layers": 3}, "n_layers is 3"),
        (TEXT, None, {"sparse": "W_x"}, "sparse is 'W_x'"),
        (TEXT, None, {"unit": "byte"}, "unit is 'byte'; expected one of 'character', 'word'"),
        (TEXT, None, {"density": 0.0001}, "leaves W_x without a connection: raise it"),
        (TEXT, None, {"n_steps": 0}, "n_steps is 0"),
        (TEXT, None, {"learning_rate": float("nan")}, "learning_rate is nan"),
    ],
)
def test_bad_input_gets_one_clear_line(text, labels, settings, message):
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        SetLSTMLanguageModel(**SMALL | settings).fit(text, labels)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def model():
    return SetLSTMLanguageModel(**SMALL | {"n_epochs": 1}).fit(TEXT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompt": "Ünknown"}, "the prompt has the character 'Ü', which the model never read; it knows"),
        ({"prompt": 3}, "prompt is 3, of type int"),
        ({"temperature": 0}, "temperature is 0; expected a number above 0"),
        ({"temperature": -1}, "temperature is -1"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"length": 0}, "length is 0"),
        ({"rng": 3}, "rng is 3"),
        ({"label": "pos"}, "the model was trained without labels"),
    ],
)
def test_bad_requests_to_write_get_one_clear_line(model, arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        model.sample(**arguments)


def test_a_model_that_is_not_fitted_says_how_to():
    with pytest.raises(ValueError, match=r"this SetLSTMLanguageModel is not fitted yet: call fit\(text\)"):
        SetLSTMLanguageModel().sample("a")


def test_it_is_cloned_by_its_parameters():
    model = SetLSTMLanguageModel(**SMALL)
    assert type(model)(**model.get_params()).get_params() == model.get_params()
    assert repr(SetLSTMLanguageModel(n_layers=2)) == "SetLSTMLanguageModel(n_layers=2)"


# The command line


def write(*arguments):
    """Run ``numpy-setlstm write``."""
    return cli.main(["write", *map(str, arguments)])


def small_options():
    return [f"--{name}={value}" for name, value in OPTIONS.items()]


def test_write_trains_saves_and_writes_after_each_epoch(tmp_path, capsys):
    (tmp_path / "cat.txt").write_text(TEXT, encoding="utf8")
    train = ["--text", tmp_path / "cat.txt", "--output", tmp_path / "run", "--length", 30, *small_options()]
    assert write(*train, "--prompt", "the ") == 0
    said = capsys.readouterr().out
    assert said.count("bits per character") == 4 and said.count("\nthe ") == 3  # once before training
    model = tmp_path / "run" / "model.npz"
    assert write("--model", model, "--prompt", "the cat", "--length", 20) == 0
    first = capsys.readouterr().out
    assert first.startswith("the cat") and len(first) == len("the cat") + 20 + 1
    assert write("--model", model, "--prompt", "the cat", "--length", 20) == 0
    assert capsys.readouterr().out == first, "the same seed writes the same"
    assert write(*train) == 2
    assert "exists: continue with --resume" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        write(*train, "--averaging", "asgd")
    assert "'asgd' is not a finite number, nor snt-asgd" in capsys.readouterr().err
    assert write(*train, "--resume", "--epochs", 3) == 0
    assert "epoch 3: training" in capsys.readouterr().out


def test_write_learns_from_labeled_texts(tmp_path, capsys):
    texts, labels = make_reviews(60, np.random.default_rng(0))
    rows = "\n".join(f'{("negative", "positive")[k]},"{text}"' for text, k in zip(texts, labels, strict=True))
    (tmp_path / "reviews.csv").write_text(f"label,text\n{rows}\n", encoding="utf8")
    train = ["--dataset", tmp_path / "reviews.csv", "--output", tmp_path / "run", "--unit", "word", *small_options()]
    assert write(*train) == 0
    said = capsys.readouterr().out
    assert said.count("--- negative") == said.count("--- positive") == 3 and said.count("perplexity") == 4
    assert write("--model", tmp_path / "run" / "model.npz", "--label", "positive", "--length", 5) == 0
    assert write("--model", tmp_path / "run" / "model.npz", "--label", "good") == 2
    assert "label is 'good'; expected one of ['negative', 'positive']" in capsys.readouterr().err


def test_write_learns_from_a_part(tmp_path, capsys):
    """The first characters of a file, or some texts of a data set: the same ones again when training is resumed."""
    (tmp_path / "cat.txt").write_text("#" + TEXT[:99] + "Q" * 300, encoding="utf8")
    part = ["--text", tmp_path / "cat.txt", "--limit", 100, "--validation-fraction", 0, "--output", tmp_path / "file"]
    assert write(*part, *small_options()) == 0
    words = SetLSTMLanguageModel.load(tmp_path / "file" / "model.npz").vocabulary_.words
    assert "#" in words and "Q" not in words
    rows = "\n".join(f"{('bad', 'good')[k % 2]},a word{k} for each film" for k in range(200))
    (tmp_path / "reviews.csv").write_text(f"label,text\n{rows}\n", encoding="utf8")
    part = ["--dataset", tmp_path / "reviews.csv", "--unit", "word", "--validation-fraction", 0, "--limit", 20]
    assert write(*part, "--output", tmp_path / "table", *small_options()) == 0
    words = SetLSTMLanguageModel.load(tmp_path / "table" / "model.npz").vocabulary_.words
    assert sum(word.startswith("word") for word in words) == 20
    assert write(*part, "--output", tmp_path / "table", *small_options(), "--resume", "--epochs", 3, "--seed", 5) == 0
    assert "epoch 3: training" in capsys.readouterr().out


def test_write_says_which_epoch_writes_if_it_is_not_the_last(tmp_path, capsys):
    """What is held out is unlike what is learnt: the more is learnt, the worse it is foreseen."""
    (tmp_path / "cat.txt").write_text(TEXT + "tac eht no tas god " * 5, encoding="utf8")
    train = ["--text", tmp_path / "cat.txt", "--output", tmp_path / "run", *small_options()]
    assert write(*train, "--learning-rate", 0.5, "--epochs", 4) == 0
    said = capsys.readouterr().out
    losses = [float(line.split("validation ")[1].split()[0]) for line in said.splitlines() if line.startswith("epoch ")]
    best = int(np.argmin(losses)) + 1
    assert best < 4, "the last epoch is not the best one"
    assert f"; epoch {best} is still the best, and writes" in said.split("\nepoch 4:")[1].splitlines()[0]
    assert "still" not in said.split("\nepoch 1:")[1].splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give one of --text FILE, --dataset NAME, or --model FILE"),
        (["--text", "{tmp}/a.txt", "--model", "{tmp}/m"], "give one of"),
        (["--text", "{tmp}/a.txt"], "--output is missing"),
        (["--text", "{tmp}/none.txt", "--output", "{tmp}/x"], "none.txt"),
        (["--text", "{tmp}/empty.txt", "--output", "{tmp}/x"], "empty.txt is empty"),
        (["--text", "{tmp}/bytes.txt", "--output", "{tmp}/x"], "is not UTF-8: byte 3 is 0xff; convert it"),
        (["--text", "{tmp}/one.txt", "--output", "{tmp}/x"], "the text has one character only, 'a'"),
        (["--text", "{tmp}/a.txt", "--output", "{tmp}/x"], "needs 1601: give more text"),
        (["--text", "{tmp}/a.txt", "--output", "{tmp}/x", "--density", "nan"], "--density: 'nan' is not a finite"),
        (["--text", "{tmp}/a.txt", "--output", "{tmp}/x", "--sparse", "W_y"], "sparse is ('W_y',)"),
        (["--model", "{tmp}/none.npz"], "there is no model file"),
        (["--model", "{tmp}/none.npz", "--epochs", "3"], "--model only writes"),
    ],
)
def test_write_reports_bad_input_in_one_line(arguments, message, tmp_path, capsys):
    for name, content in (("a", b"some text" * 9), ("empty", b" \n"), ("bytes", b"abc\xff"), ("one", b"a" * 5000)):
        (tmp_path / f"{name}.txt").write_bytes(content)
    try:
        code = write(*(argument.format(tmp=tmp_path) for argument in arguments))
    except SystemExit as exit_of_parser:
        code = exit_of_parser.code
    error = capsys.readouterr().err
    assert code == 2 and message in error and error.count("\n") == 1
    assert not (tmp_path / "x" / "model.npz").exists()


@pytest.mark.parametrize("temperature", ["0", "-1"])
def test_write_refuses_a_temperature_that_is_none(temperature, model, tmp_path, capsys):
    model.save(tmp_path / "model.npz")
    assert write("--model", tmp_path / "model.npz", "--temperature", temperature) == 2
    assert "expected a number above 0" in capsys.readouterr().err


# Files of older versions

OLD_TEXT = "the cat sat on the mat, and the dog sat on the cat. " * 12
OLD_TEXTS = [f"a {word} film, {k}" for k in range(20) for word in ("bad", "good")]
GOLDEN = Path(__file__).parent / "golden" / "models"


def test_a_file_of_a_language_model_that_an_older_version_saved_is_read_and_trained_on(tmp_path):
    """Saved in format 4 after ten minibatches of the second epoch: two layers, averages, SET steps within epochs."""
    model = SetLSTMLanguageModel.load(GOLDEN / "format_4_language.npz")
    state = model.training_state_
    assert (state.epoch, state.batch, model.n_layers, model.evolve_every) == (1, 10, 2, 8)
    assert list(state.carried) == ["h", "c", "h_2", "c_2"]
    assert (model.keep_gate_counts, model.averaging_interval) == (False, 5)  # which format 4 did not have
    np.testing.assert_allclose(model.score("the dog sat."), -2.6813115, rtol=1e-5)
    assert model.sample("the ", 20) == "the da  ,mosnm, , st,nae"
    model.fit(OLD_TEXT, resume=True)
    np.testing.assert_allclose(model.history_["train_loss"], [2.6100820, 2.2916404, 2.0422783], rtol=1e-5)
    np.testing.assert_allclose(model.score("the dog sat."), -2.5102326, rtol=1e-5)
    model.save(tmp_path / "model.npz")
    assert SetLSTMLanguageModel.load(tmp_path / "model.npz").score("the dog sat.") == model.score("the dog sat.")


def test_a_file_of_a_language_model_with_labels_that_an_older_version_saved_is_read():
    """Saved in format 4 after two epochs: words, a tied readout that is sparse, two labels."""
    model = SetLSTMLanguageModel.load(GOLDEN / "format_4_language_labels.npz")
    assert model.tied and "W_out" not in model.network_.parameters and model.classes_.tolist() == ["neg", "pos"]
    scores = [model.score("a good film", label) for label in ("neg", "pos")]
    np.testing.assert_allclose(scores, [-2.0376399, -2.0757866], rtol=1e-5)
    model.set_params(n_epochs=3).fit(OLD_TEXTS, ["neg", "pos"] * 20, resume=True)
    assert len(model.history_["train_loss"]) == 3
