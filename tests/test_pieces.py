"""The pieces of a large minibatch: together they are the minibatch, and it makes no difference who computes them."""

import copy
import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from numpy_setlstm import minibatches
from numpy_setlstm.classification import (
    Classification,
    cut_texts,
    evaluate,
    evaluate_batch,
    mean_over,
)
from numpy_setlstm.evolution import evolve
from numpy_setlstm.initialization import NetworkSizes, init_network
from numpy_setlstm.layers.readout import cross_entropy_forward
from numpy_setlstm.minibatches import (
    LEAST_CELLS,
    LEAST_TEXTS,
    Minibatch,
    add_up,
    batch_order,
    connections_read,
    count_pieces,
)
from numpy_setlstm.minibatches import cut_minibatch as cut
from numpy_setlstm.optimizers import Adam
from numpy_setlstm.sparse import weights_of
from numpy_setlstm.training import TrainingSettings, TrainingState, split_streams, train, train_task

V, D, H, C, N, T = 30, 6, 5, 3, 43, 7
KINDS = {
    "dense": {"er_epsilon": None},
    "sparse": {"er_epsilon": 1.5},
    "dense, both ends": {"er_epsilon": None, "bidirectional": True},
    "sparse, both ends": {"er_epsilon": 1.5, "bidirectional": True},
}
DROPOUT = {"embedding_dropout": 0.3, "dropout": 0.4}
WHOLE = TrainingSettings(n_epochs=1, batch_size=N)  # one minibatch with all texts


def allow_small_pieces(monkeypatch):
    """Let the minibatches of these small networks be cut as those of large ones are: 43 texts into eight pieces."""
    monkeypatch.setattr(minibatches, "LEAST_TEXTS", 5)
    monkeypatch.setattr(minibatches, "LEAST_CELLS", 1)


def network_of(er_epsilon=1.5, bidirectional=False, seed=0, dtype=np.float64, **settings):
    sizes = NetworkSizes(V, D, H, C, bidirectional=bidirectional)
    streams = np.random.default_rng(seed).spawn(2)
    return init_network(sizes, *streams, er_epsilon=er_epsilon, dtype=dtype, **settings)


def texts_and_labels(seed=5):
    """(43, 7) word ids with padding before them, and labels."""
    rng = np.random.default_rng(seed)
    tokens, labels = rng.integers(1, V, (N, T)), rng.integers(0, C, N)
    tokens[np.arange(T) < rng.integers(0, T, N)[:, None]] = 0
    return tokens, labels


def text_weights():
    return np.random.default_rng(6).uniform(0, 3, N)


def state_of(network, seed=7):
    """The state of training before the first minibatch, with the texts in a random order."""
    state = TrainingState.start(network, Adam(network.parameters, 0.01), split_streams(np.random.default_rng(seed)))
    state.order = np.random.default_rng(8).permutation(N)
    return state


def position(rng):
    """Where a generator stands."""
    return rng.bit_generator.state


def assert_same_bits(ours, theirs):
    assert (ours.loss, ours.count, ours.right) == (theirs.loss, theirs.count, theirs.right)
    assert ours.gradients.keys() == theirs.gradients.keys()
    for name, gradient in ours.gradients.items():
        np.testing.assert_array_equal(gradient, theirs.gradients[name], err_msg=name)


# Which texts share a minibatch


@pytest.mark.parametrize("n_texts", [0, 5, 6, 7, 3 * 32, 3 * 32 + 1, 3 * 64, 3 * 64 + 5])
def test_texts_of_similar_length_share_a_minibatch(n_texts):
    """In pools of 32 minibatches, of three texts here; the last minibatch may be smaller, and stays the last."""
    lengths = np.random.default_rng(0).integers(1, 9, n_texts)
    order = batch_order(lengths, 3, np.random.default_rng(1)).tolist()
    drawn = np.random.default_rng(1).permutation(n_texts).tolist()
    pools = [sorted(drawn[k : k + 3 * 32], key=lengths.__getitem__) for k in range(0, n_texts, 3 * 32)]
    expected = [text for pool in pools for text in pool]
    full = n_texts // 3 * 3
    assert order[full:] == expected[full:]
    found, wanted = ([texts[k : k + 3] for k in range(0, full, 3)] for texts in (order, expected))
    assert sorted(found) == sorted(wanted)
    assert found != wanted or n_texts < 3 * 32, "minibatches of long texts do not come last"


# How a minibatch is cut


@pytest.mark.parametrize(
    ("n_texts", "n_pieces"), [(0, 1), (1, 1), (31, 1), (32, 2), (64, 2), (127, 2), (128, 4), (255, 4), (1000, 16)]
)
def test_there_are_two_pieces_or_more_of_at_least_thirty_two_texts_and_their_number_is_a_power_of_two(
    n_texts, n_pieces
):
    assert LEAST_TEXTS == 32
    assert count_pieces(n_texts, connections=10**9) == n_pieces


@pytest.mark.parametrize(("cells", "n_pieces"), [(-1, 1), (0, 2), (1, 2)])
def test_a_piece_has_enough_to_compute(cells, n_pieces):
    """Below, at and above what two pieces need. Another number would be other bits of all trained networks."""
    assert LEAST_CELLS == 524_288
    n_texts = 2 * LEAST_TEXTS
    assert count_pieces(n_texts, (2 * LEAST_CELLS + cells) / n_texts) == n_pieces
    assert count_pieces(n_texts, 0) == 1


def test_the_connections_that_are_read_are_those_of_the_lstms():
    """A cell of a dense matrix takes about a sixteenth of the time of a connection; the embedding is no part."""
    sparse, dense = (network_of(er_epsilon).parameters for er_epsilon in (1.5, None))
    assert connections_read(sparse) == sparse["W_x"].nnz + sparse["W_h"].nnz
    assert connections_read(dense) == (D + H) * 4 * H / 16
    assert connections_read(sparse | {"W_h": dense["W_h"]}) == sparse["W_x"].nnz + H * 4 * H / 16
    both = network_of(bidirectional=True).parameters
    names = ("W_x", "W_h", "W_x_reverse", "W_h_reverse")
    assert connections_read(both) == sum(both[name].nnz for name in names)


@pytest.mark.parametrize("n_texts", [1, 4, 9, 10, 11, 43, 80])
def test_the_pieces_are_the_minibatch(n_texts, monkeypatch):
    allow_small_pieces(monkeypatch)
    texts, parameters = np.random.default_rng(0).permutation(100)[:n_texts], network_of().parameters
    pieces = cut(texts, parameters, np.random.default_rng(1))
    assert len(pieces) == count_pieces(n_texts, connections_read(parameters))
    np.testing.assert_array_equal(np.concatenate([piece.texts for piece in pieces]), texts)
    widths = [len(piece.texts) for piece in pieces]
    assert max(widths) - min(widths) <= 1 and min(widths) >= min(n_texts, 4)
    assert [piece.share for piece in pieces] == [width / n_texts for width in widths]


def test_the_pieces_depend_on_sizes_only(monkeypatch):
    """Other weights, another engine, other texts of the same number, another generator: cut at the same places."""
    allow_small_pieces(monkeypatch)
    widths = set()
    for seed, engine in ((0, "fast"), (1, "plain"), (2, "fast")):
        network, rng = network_of(seed=seed, engine=engine, **DROPOUT), np.random.default_rng(seed)
        widths.add(tuple(len(piece.texts) for piece in cut(rng.permutation(N), network.parameters, rng)))
    assert widths == {(6, 6, 6, 5, 5, 5, 5, 5)}


# What the pieces give


@pytest.mark.parametrize("weighted", [False, True], ids=["equal weights", "weighted"])
@pytest.mark.parametrize("engine", ["plain", "fast"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_sum_over_the_pieces_is_the_gradient_of_the_minibatch(kind, engine, weighted, monkeypatch):
    allow_small_pieces(monkeypatch)
    network, (tokens, labels) = network_of(**KINDS[kind], engine=engine), texts_and_labels()
    weights = text_weights() if weighted else None
    state = state_of(network)
    pieces = []
    network.backpropagate, whole = lambda *of, **more: pieces.append(1) or whole(*of, **more), network.backpropagate
    together = Classification(tokens, labels, weights).backpropagate(state, WHOLE)
    assert len(pieces) == 8
    loss, gradients, logits = whole(tokens, labels, weights=weights)
    right = logits.argmax(axis=1) == labels
    assert together.loss == pytest.approx(loss, rel=1e-14)
    assert together.right == pytest.approx(weights[right].sum() if weighted else right.sum(), rel=1e-14)
    assert (together.count, together.carried, 0 < right.sum() < N) == (N, {}, True)
    assert type(together.loss) is float and type(together.right) is (float if weighted else int)
    assert together.gradients.keys() == gradients.keys()
    for name, expected in gradients.items():
        scale = np.abs(expected).max()
        np.testing.assert_allclose(together.gradients[name], expected, rtol=0, atol=1e-14 * scale, err_msg=name)


def test_the_gradient_of_a_minibatch_in_pieces_is_that_of_its_texts_one_by_one(monkeypatch):
    allow_small_pieces(monkeypatch)
    network, (tokens, labels) = network_of(), texts_and_labels()
    together = Classification(tokens, labels).backpropagate(state_of(network), WHOLE)
    alone = [network.loss_and_gradients(tokens[[n]], labels[[n]])[1] for n in range(N)]
    for name, gradient in together.gradients.items():
        expected = np.mean([a[name] for a in alone], axis=0)
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-15, err_msg=name)


def test_pieces_are_added_up_and_none_of_them_changes():
    a, b = ({"W": np.array([1.0, 2.0]), "b": np.array([k])} for k in (3.0, 4.0))
    pieces = [Minibatch(0.25, a, 3, 2.0, {}), Minibatch(0.5, b, 2, 1.5, {})]
    before = copy.deepcopy(pieces)
    total = add_up(pieces)
    assert_same_bits(total, Minibatch(0.75, {"W": np.array([2.0, 4.0]), "b": np.array([7.0])}, 5, 3.5, {}))
    for piece, expected in zip(pieces, before, strict=True):
        assert_same_bits(piece, expected)
    assert_same_bits(add_up(pieces[:1]), before[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_keep_the_type_of_the_weights(dtype, weighted, monkeypatch):
    allow_small_pieces(monkeypatch)
    network, (tokens, labels) = network_of(dtype=dtype), texts_and_labels()
    task = Classification(tokens, labels, text_weights() if weighted else None)
    gradients = task.backpropagate(state_of(network), WHOLE).gradients
    assert {gradient.dtype for gradient in gradients.values()} == {np.dtype(dtype)}


# Dropout


def test_each_piece_has_dropout_of_its_own_whoever_computes_it_and_in_whichever_order(monkeypatch):
    """Forwards, backwards, and in a process that gets everything by a connection: the same bits."""
    allow_small_pieces(monkeypatch)
    network, (tokens, labels) = network_of(**DROPOUT), texts_and_labels()
    task, outcomes = Classification(tokens, labels), []
    for order in (1, -1):
        pieces = cut(np.arange(N), network.parameters, np.random.default_rng(3))
        done = [task.backpropagate_piece(network, piece) for piece in pieces[::order]]
        outcomes.append(done[::order])
    sent = pickle.loads(pickle.dumps((network, task, cut(np.arange(N), network.parameters, np.random.default_rng(3)))))
    outcomes.append([sent[1].backpropagate_piece(sent[0], piece) for piece in sent[2]])
    for outcome in outcomes[1:]:
        for ours, theirs in zip(outcome, outcomes[0], strict=True):
            assert_same_bits(ours, theirs)
    other = cut(np.arange(N), network.parameters, np.random.default_rng(4))
    assert task.backpropagate_piece(network, other[0]).loss != outcomes[0][0].loss, "dropout comes from the generator"


def test_no_two_pieces_share_what_dropout_draws(monkeypatch):
    allow_small_pieces(monkeypatch)
    parameters, rng = network_of().parameters, np.random.default_rng(0)
    pieces = [piece for _ in range(3) for piece in cut(np.arange(N), parameters, rng)]  # of three minibatches
    assert len({piece.rng.random() for piece in pieces}) == len(pieces) == 24


def test_several_pieces_take_one_number_from_the_stream(monkeypatch):
    allow_small_pieces(monkeypatch)
    rng, other = np.random.default_rng(0), np.random.default_rng(0)
    pieces = cut(np.arange(N), network_of().parameters, rng)
    key = other.integers(2**63)
    assert position(rng) == position(other)
    for k, piece in enumerate(pieces):
        assert position(piece.rng) == position(np.random.default_rng([key, k])), f"piece {k}"


@pytest.mark.parametrize("weighted", [False, True])
def test_one_piece_draws_from_the_stream_itself(weighted):
    """As networks that are too small for pieces always did."""
    network, (tokens, labels) = network_of(**DROPOUT), texts_and_labels()
    weights, rng = text_weights() if weighted else None, np.random.default_rng(0)
    (piece,) = cut(np.arange(N), network.parameters, rng)
    assert piece.rng is rng and piece.share == 1 and position(rng) == position(np.random.default_rng(0))
    state = state_of(network)
    stream, n = copy.deepcopy(state.streams["dropout"]), state.order
    minibatch = Classification(tokens, labels, weights).backpropagate(state, WHOLE)
    weights = None if weights is None else weights[n]
    loss, gradients, logits = network.backpropagate(tokens[n], labels[n], stream, weights=weights)
    right = logits.argmax(axis=1) == labels[n]
    assert_same_bits(minibatch, Minibatch(loss, gradients, N, weights[right].sum() if weighted else right.sum(), {}))
    assert position(state.streams["dropout"]) == position(stream)


# In training


def test_a_minibatch_has_its_texts_of_the_order_and_the_last_one_may_be_smaller(monkeypatch):
    allow_small_pieces(monkeypatch)
    network, (tokens, labels) = network_of(), texts_and_labels()
    seen, state = [], state_of(network)
    task = SimpleNamespace(backpropagate=lambda _, pieces: [seen.append(p.texts) or empty for p in pieces])
    empty = Minibatch(0.0, {}, 0, 0, {})
    for state.batch in (0, 1, 2):
        Classification(tokens, labels, workers=task).backpropagate(state, TrainingSettings(batch_size=16))
    read = np.concatenate(seen)
    np.testing.assert_array_equal(read, state.order)


@pytest.mark.parametrize("settings", [{}, DROPOUT], ids=["no dropout", "dropout"])
def test_training_in_pieces_is_deterministic_and_without_dropout_equals_training_without_pieces(settings, monkeypatch):
    """Over two SET steps: the same connections, weights equal up to rounding."""
    tokens, labels = texts_and_labels()

    def trained():
        network = network_of(**settings)
        state = TrainingState.start(network, Adam(network.parameters, 0.01), split_streams(np.random.default_rng(7)))
        epochs = TrainingSettings(n_epochs=3, batch_size=20, zeta=0.3)
        return train(state, epochs, tokens, labels, (tokens, labels)).network.parameters

    whole = trained()
    allow_small_pieces(monkeypatch)
    pieces, again = trained(), trained()
    for name, W in whole.items():
        np.testing.assert_array_equal(weights_of(pieces[name]), weights_of(again[name]), err_msg=name)
        if not settings:
            np.testing.assert_allclose(weights_of(pieces[name]), weights_of(W), rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("error", [FloatingPointError, RuntimeError, MemoryError])
@pytest.mark.parametrize(
    ("kind", "call"), [("one piece", 4), ("one piece", 6), ("several", 2), ("several", 6), ("of workers", 6)]
)
def test_an_error_in_a_minibatch_leaves_the_state_as_before_it(kind, call, error, monkeypatch):
    """The dropout stream too: training goes on as if nothing had happened."""
    if kind != "one piece":
        allow_small_pieces(monkeypatch)
    task = Classification(*texts_and_labels())
    task = task._replace(workers=Recorder(task) if kind == "of workers" else None)
    settings = TrainingSettings(n_epochs=2, batch_size=20, zeta=0.3)

    def start():
        network = network_of(**DROPOUT)
        return TrainingState.start(network, Adam(network.parameters, 0.01), split_streams(np.random.default_rng(7)))

    undisturbed = train_task(start(), settings, task)
    state, calls = start(), []
    backpropagate = state.network.backpropagate

    def failing(*arguments, **options):
        calls.append(1)
        result = backpropagate(*arguments, **options)  # draws dropout first
        if len(calls) == call:  # also right after a SET step, and not in the first piece
            raise error("made up")
        return result

    state.network.backpropagate = failing
    with pytest.raises(error, match="made up"):
        train_task(state, settings, task)
    assert not state.inconsistent and state.n_updates < undisturbed.n_updates
    state = train_task(state, settings, task)
    assert position(state.streams["dropout"]) == position(undisturbed.streams["dropout"])
    for name, W in undisturbed.network.parameters.items():
        np.testing.assert_array_equal(weights_of(state.network.parameters[name]), weights_of(W), err_msg=name)
    for key in ("train_loss", "train_accuracy"):
        assert state.history[key] == undisturbed.history[key]


# Workers


class Recorder:
    """Stands for worker processes: it answers in this process, and keeps what it was asked."""

    def __init__(self, task):
        self.task, self.asked = task, []

    def backpropagate(self, network, pieces):
        self.asked.append(("backpropagate", len(pieces)))
        return [self.task.backpropagate_piece(network, piece) for piece in pieces]

    def evaluate(self, network, n_texts):
        self.asked.append(("evaluate", n_texts))
        return [evaluate_batch(network, *self.task.validation, batch=batch) for batch in cut_texts(n_texts)]

    def evolve(self, steps):
        self.asked.append(("evolve", sorted(steps)))


def test_workers_are_asked_for_several_pieces_for_validation_and_told_of_each_evolution(monkeypatch):
    allow_small_pieces(monkeypatch)
    tokens, labels = texts_and_labels()
    task = Classification(tokens, labels, text_weights(), (tokens[:9], labels[:9], text_weights()[:9]))
    workers = Recorder(task)
    shared = task._replace(workers=workers)
    ours, theirs = state_of(network_of(**DROPOUT)), state_of(network_of(**DROPOUT))
    assert_same_bits(shared.backpropagate(ours, WHOLE), task.backpropagate(theirs, WHOLE))
    assert shared.validate(ours.network) == task.validate(theirs.network)
    assert shared.evolve(ours, WHOLE).keys() == task.evolve(theirs, WHOLE).keys()
    assert workers.asked == [("backpropagate", 8), ("evaluate", 9), ("evolve", ["E", "W_h", "W_x"])]
    shared.backpropagate(ours, TrainingSettings(batch_size=4))  # a single piece
    assert len(workers.asked) == 3
    assert shared._replace(validation=None).validate(ours.network) == (None, None)


# The rest of the task


def test_an_epoch_has_all_texts_those_of_similar_length_together_and_full_rates():
    tokens, labels = texts_and_labels()
    task = Classification(tokens, labels)
    lengths = [np.count_nonzero(text) for text in tokens]
    expected = batch_order(np.array(lengths), 4, np.random.default_rng(0))
    settings = TrainingSettings(batch_size=4)
    np.testing.assert_array_equal(task.draw_order(settings, np.random.default_rng(0)), expected)
    assert (task.count_batches(settings), task.count(settings), task.rate_share(None, settings)) == (11, N, 1.0)


def test_growth_by_gradient_reads_the_texts_their_labels_and_weights():
    (tokens, labels), weights, settings = texts_and_labels(), text_weights(), replace(WHOLE, growth="gradient")
    ours, theirs = state_of(network_of()), state_of(network_of())
    steps = Classification(tokens, labels, weights).evolve(ours, settings)
    expected = evolve(theirs, settings, tokens, labels, weights)
    for name in ("E", "W_x", "W_h"):
        np.testing.assert_array_equal(steps[name].grown_cells, expected[name].grown_cells, err_msg=name)


# Evaluation


@pytest.mark.parametrize("weighted", [False, True])
def test_evaluation_is_cross_entropy_and_accuracy_of_all_texts(weighted):
    network, (tokens, labels) = network_of(), texts_and_labels()
    weights, keeping = text_weights() if weighted else None, []
    watched = SimpleNamespace(forward=lambda *of, keep=True: keeping.append(keep) or network.forward(*of, keep=keep))
    loss, accuracy = evaluate(watched, tokens, labels, weights, batch_size=10)
    logits, _ = network.forward(tokens)
    expected = cross_entropy_forward(logits, labels, weights)[0] / (1 if weights is None else weights.mean())
    assert loss == pytest.approx(expected, rel=1e-14)
    assert accuracy == pytest.approx(np.average(logits.argmax(axis=1) == labels, weights=weights), rel=1e-14)
    assert keeping == [False] * 5, "nothing is kept for a backward pass"
    assert type(loss) is float and type(accuracy) is float, "numbers that JSON can have"


def test_means_are_over_all_texts_and_no_accuracy_exceeds_one():
    assert mean_over([(6.0, 1, 4), (2.0, 1, 1)]) == (1.6, 0.4)
    assert mean_over([(0.5, 1.0000001, 1.0)]) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("n_texts", "widths"),
    [(1, [1]), (64, [64]), (65, [64, 1]), (128, [64, 64]), (201, [101, 100]), (257, [128, 128, 1])],
)
def test_an_evaluation_has_a_batch_for_each_of_two_processes_unless_they_are_small_or_large(n_texts, widths):
    batches = cut_texts(n_texts)
    assert [batch.stop - batch.start for batch in batches] == widths
    assert [n for batch in batches for n in range(batch.start, batch.stop)] == list(range(n_texts))
