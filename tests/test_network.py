"""The whole network: its gradients, its padding, what it counts."""

import numpy as np
import pytest

from numpy_setlstm import network as network_module
from numpy_setlstm.gradcheck import check_gradients
from numpy_setlstm.initialization import NetworkSizes, init_network
from numpy_setlstm.layers.lstm import lstm_backward, lstm_forward
from numpy_setlstm.layers.readout import cross_entropy_forward, softmax
from numpy_setlstm.measures import connection_counts
from numpy_setlstm.network import Network, gate_counts, make_engine, trim_padding
from numpy_setlstm.sparse import SparseMatrix, weights_of

SIZES = NetworkSizes(n_words=11, embedding_dim=5, hidden_size=4, n_classes=3)
TOKENS = np.array([[0, 0, 3, 3, 7, 10], [2, 5, 3, 9, 9, 1], [0, 0, 0, 0, 0, 4]])
LABELS = np.array([2, 0, 2])


def network_of(er_epsilon, seed=0, dtype=np.float64, **settings):
    return init_network(
        SIZES,
        np.random.default_rng(seed),
        np.random.default_rng(seed + 100),
        er_epsilon=er_epsilon,
        dtype=dtype,
        **settings,
    )


@pytest.mark.parametrize("er_epsilon", [None, 1.2, 0.7], ids=["dense", "sparse", "sparser"])
@pytest.mark.parametrize("order", ["padding before", "padding after"])
@pytest.mark.parametrize("dropout", [0.0, 0.4], ids=["", "with dropout"])
def test_gradients_of_every_parameter(er_epsilon, order, dropout):
    network = network_of(er_epsilon, embedding_dropout=dropout, dropout=dropout)
    tokens = TOKENS if order == "padding before" else TOKENS[:, ::-1]

    def loss(parameters):
        logits, _ = network.forward(tokens, np.random.default_rng(3), parameters)
        return cross_entropy_forward(logits, LABELS)[0]

    _, gradients = network.loss_and_gradients(tokens, LABELS, np.random.default_rng(3))
    assert isinstance(network.parameters["E"], np.ndarray if er_epsilon is None else SparseMatrix)
    check_gradients(loss, network.parameters, gradients, method="complex", limit=1e-12)


@pytest.mark.parametrize("er_epsilon", [None, 1.2], ids=["dense", "sparse"])
def test_padding_changes_neither_logits_nor_gradients(er_epsilon):
    network = network_of(er_epsilon)
    words = [[3, 3, 7, 10], [2, 5, 3, 9, 9, 1], [4]]
    alone = [network.loss_and_gradients(np.array([w]), LABELS[n : n + 1]) for n, w in enumerate(words)]
    for before, after in [(0, 0), (3, 0), (0, 2), (2, 5)]:
        T = 6 + before + after
        padded = np.zeros((3, T), int)
        for n, w in enumerate(words):
            first = before + (6 - len(w) if after == 0 else 0)
            padded[n, first : first + len(w)] = w
        loss, gradients = network.loss_and_gradients(padded, LABELS)
        np.testing.assert_allclose(loss, np.mean([a[0] for a in alone]), rtol=1e-13)
        for name, gradient in gradients.items():
            expected = np.mean([a[1][name] for a in alone], axis=0)
            np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-14, err_msg=name)


def test_a_text_of_padding_only_has_the_logits_of_the_state_before_any_word():
    network = network_of(1.2)
    network.parameters["b_out"][:] = [1.0, 2.0, 3.0]
    logits, _ = network.forward(np.zeros((2, 5), int))
    assert logits.tolist() == [[1.0, 2.0, 3.0]] * 2
    logits, _ = network.forward(np.array([[0, 0], [3, 4]]))
    assert logits[0].tolist() == [1.0, 2.0, 3.0]


def test_probabilities_do_not_depend_on_the_batch_size():
    network = network_of(1.2)
    tokens = np.random.default_rng(0).integers(0, 11, (13, 6))
    whole = network.predict_proba(tokens, batch_size=100)
    np.testing.assert_allclose(network.predict_proba(tokens, batch_size=4), whole, rtol=0, atol=1e-15)
    np.testing.assert_allclose(whole.sum(axis=1), 1, rtol=1e-15)


class Recorder:
    """An engine that records what it is given; the logits are the first word ids."""

    def __init__(self):
        self.calls = []

    def forward(self, parameters, tokens, embedding_dropout, dropout, rng=None, *, keep=True, pooling="last"):
        self.calls.append((embedding_dropout, dropout, rng, keep, tokens.shape))
        return np.repeat(tokens[:, :1], 3, axis=1) * np.arange(3.0), None


def test_each_rate_of_dropout_reaches_the_engine_also_of_a_copy():
    network = network_of(1.2, embedding_dropout=0.1, dropout=0.2, engine=Recorder())
    rng = np.random.default_rng(0)
    network.forward(TOKENS, rng)
    network.copy().forward(TOKENS)
    assert network.engine.calls == [(0.1, 0.2, rng, True, (3, 6)), (0.1, 0.2, None, True, (3, 6))]
    assert network.copy().scales == network.scales == network_of(1.2).scales
    assert set(network.scales) == {"E", "W_x", "W_h"}


@pytest.mark.parametrize(("n_texts", "sizes"), [(0, [0]), (127, [127]), (128, [128]), (129, [128, 1])])
def test_predictions_are_made_for_128_texts_at_a_time_and_keep_nothing(n_texts, sizes):
    network = network_of(1.2, engine=Recorder())
    tokens = np.arange(n_texts)[:, None] % 11
    np.testing.assert_array_equal(network.predict_proba(tokens), softmax(tokens * np.arange(3.0)))
    assert [call[-1] for call in network.engine.calls] == [(size, 1) for size in sizes]
    assert not any(call[3] for call in network.engine.calls)


def test_one_text_is_one_batch_also_of_one_text():
    network = network_of(1.2, engine=Recorder())
    network.predict_proba(np.array([[3]]), batch_size=1)
    assert [call[-1] for call in network.engine.calls] == [(1, 1)]


def test_options_of_the_fast_engine_reach_it():
    engine = network_of(1.2, kernel="gather").engine
    assert (engine.name, engine.kernel) == ("fast", "gather")


@pytest.mark.parametrize("er_epsilon", [None, 1.2], ids=["dense", "sparse"])
@pytest.mark.parametrize("engine", ["fast", "plain"])
def test_a_pair_of_your_own_runs_whatever_the_engine_and_is_checked_unless_told_not_to(engine, er_epsilon, monkeypatch):
    checked, calls = [], []
    monkeypatch.setattr(network_module, "check_own", lambda pair, sparse: checked.append((pair, sparse)))
    ours = network_of(er_epsilon)
    pair = lambda *arguments: calls.append(len(arguments)) or lstm_forward(*arguments), lstm_backward
    own = Network(ours.parameters, lstm=pair, engine=engine)
    assert own.engine.name == "plain" and own.engine.lstm is pair
    assert checked == [((own.engine.lstm_forward, own.engine.lstm_backward), er_epsilon is not None)]
    Network(ours.parameters, lstm=pair, engine=engine, check=False)
    make_engine(lstm=pair, check=False)
    assert len(checked) == 1
    make_engine(lstm=pair)
    assert checked[1][1] is False
    assert calls == []
    np.testing.assert_allclose(own.forward(TOKENS)[0], ours.forward(TOKENS)[0], rtol=1e-12)
    assert calls == [5]


def test_trim_padding_leaves_out_columns_of_padding_only():
    assert trim_padding(np.array([[0, 0, 5, 0], [0, 7, 0, 0]])).tolist() == [[0, 5], [7, 0]]
    assert trim_padding(np.zeros((2, 3), int)).shape == (2, 1)


def test_the_reference_sizes_stay_under_four_percent_everything_counted():
    sizes = NetworkSizes(n_words=20_000, embedding_dim=256, hidden_size=256, n_classes=2)
    assert sizes.dense_parameters == 20_000 * 256 + 2 * 256 * 1024 + 1024 + 256 * 2 + 2
    rngs = np.random.default_rng(0), np.random.default_rng(1)
    network = init_network(sizes, *rngs, er_epsilon=sizes.er_epsilon_for(0.039))
    counted = sum(weights_of(W).size for W in network.parameters.values())
    assert network.count_parameters() == counted
    assert abs(counted - 0.039 * sizes.dense_parameters) <= 2  # three counts were rounded
    assert counted < 0.04 * sizes.dense_parameters


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 1.0])
def test_a_small_network_has_the_parameters_that_were_asked_for(share):
    er_epsilon = SIZES.er_epsilon_for(share)
    counted = network_of(er_epsilon).count_parameters()
    # a matrix that comes out full is dense and has its padding row too
    assert abs(counted - share * SIZES.dense_parameters) <= 2


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0])
def test_where_one_matrix_is_full_the_others_share_the_rest(share):
    """E, of 3 x 40, is full first, then W_h, of 10 x 40."""
    sizes = NetworkSizes(n_words=3, embedding_dim=40, hidden_size=10, n_classes=2)
    er_epsilon = sizes.er_epsilon_for(share)
    connections = {
        name: min(er_epsilon * sum(sizes.shapes[name]), np.prod(sizes.shapes[name])) for name in "E W_x W_h".split()
    }
    dense = 40 + 10 * 2 + 2
    np.testing.assert_allclose(sum(connections.values()) + dense, share * sizes.dense_parameters, rtol=1e-12)


def test_where_all_matrices_are_full_rounding_does_no_harm():
    """The last matrix may count as full by a rounding error; then nothing is left to divide the rest among."""
    for embedding_dim in range(1, 15):
        sizes = NetworkSizes(n_words=2, embedding_dim=embedding_dim, hidden_size=3, n_classes=2)
        assert sizes.er_epsilon_for(1.0) >= embedding_dim * 12 / (embedding_dim + 12) * (1 - 1e-12)


def test_a_matrix_is_dense_from_the_count_on_that_fills_all_rows_but_the_padding():
    """E has 11 x 5 cells, 50 of them beside the padding."""
    counts = {count: SIZES.connection_counts(count / 16)["E"] for count in (48, 49, 50, 51, 54, 55, 60)}
    assert counts == {48: 48, 49: 49, 50: 55, 51: 55, 54: 55, 55: 55, 60: 55}
    assert SIZES.connection_counts(None) == {"E": 55, "W_x": 80, "W_h": 64}


def test_a_share_too_small_for_biases_and_readout_is_rejected():
    with pytest.raises(ValueError, match="biases and readout alone have 31"):
        SIZES.er_epsilon_for(0.01)
    for share in (0, 1.1, -1, float("nan")):
        with pytest.raises(ValueError, match="above 0 and at most 1"):
            SIZES.er_epsilon_for(share)


def test_a_layer_whose_count_exceeds_its_cells_is_dense():
    network = network_of(er_epsilon=100)
    assert not any(isinstance(W, SparseMatrix) for W in network.parameters.values())
    assert network.parameters["E"][0].tolist() == [0.0] * 5  # the padding word's vector


def test_the_padding_word_has_no_connection():
    assert connection_counts(network_of(1.2).parameters["E"], axis=1)[0] == 0


def test_sparse_weights_are_larger_so_that_signals_keep_their_size():
    sizes = NetworkSizes(n_words=50, embedding_dim=256, hidden_size=256, n_classes=2)
    rng = np.random.default_rng
    dense, thin = (init_network(sizes, rng(0), rng(1), er_epsilon=e) for e in (None, 10))
    h = rng(2).normal(size=(500, 256))
    sizes_of_products = [np.std(h @ network.parameters["W_h"]) for network in (dense, thin)]
    assert sizes_of_products[0] == pytest.approx(np.sqrt(1 / 3), abs=0.03)
    assert sizes_of_products[1] == pytest.approx(np.sqrt(1 / 3), abs=0.06)


class Normal(np.random.Generator):
    """A generator that draws the standard deviation itself, in the last column its opposite, and keeps a record."""

    def __init__(self):
        super().__init__(np.random.PCG64(0))
        self.record = []

    def normal(self, mean, std, shape):
        self.record.append((mean, std))
        numbers = np.full(shape, std)
        numbers[..., -1] *= -1
        return numbers


@pytest.mark.parametrize("er_epsilon", [None, 0.2, 1.2], ids=["dense", "fewer than one per unit", "sparse"])
def test_each_matrix_has_the_standard_deviation_that_the_notes_say(er_epsilon):
    H, C = 4, 3
    counts = SIZES.connection_counts(er_epsilon)
    expected = {"E": 1.0}
    expected |= {name: 1 / np.sqrt(3 * max(1, counts[name] / (4 * H))) for name in ("W_x", "W_h")}
    values = Normal()
    network = init_network(SIZES, np.random.default_rng(0), values, er_epsilon=er_epsilon)
    np.testing.assert_allclose(
        values.record, [(0, std) for std in [*expected.values(), np.sqrt(2 / (H + C))]], rtol=1e-15
    )
    assert network.scales == pytest.approx(expected, rel=1e-15)
    assert {type(scale) for scale in network.scales.values()} == {float}
    for name, std in (*expected.items(), ("W_out", np.sqrt(2 / (H + C)))):
        W = network.parameters[name]
        weights = weights_of(W)
        assert weights.dtype == network.parameters["b"].dtype == np.float32
        filled = weights[1:] if name == "E" and er_epsilon is None else weights
        np.testing.assert_array_equal(np.abs(filled), np.float32(std))
    assert {name: W.shape for name, W in network.parameters.items()} == SIZES.shapes
    other = init_network(SIZES, np.random.default_rng(0), Normal(), er_epsilon=er_epsilon, embedding_scale=0.5)
    assert other.scales["E"] == np.abs(weights_of(other.parameters["E"])).max() == 0.5


def test_the_forget_gate_starts_open():
    b = network_of(1.2).parameters["b"]
    assert b.tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8


def test_gate_counts_of_sparse_and_dense_matrices():
    network = network_of(1.2)
    W = network.parameters["W_h"]
    assert sum(gate_counts(W).values()) == W.nnz
    assert gate_counts(W)["f"] == np.count_nonzero(W.toarray()[:, 4:8])
    assert gate_counts(W.toarray()) == dict.fromkeys("ifog", 16)


def test_a_copy_is_independent_of_the_original():
    network = network_of(1.2)
    copy = network.copy()
    for W in network.parameters.values():
        weights_of(W)[...] = 0
    assert all(weights_of(W).any() for name, W in copy.parameters.items() if name != "b_out")


@pytest.mark.parametrize(
    "tokens, error, message",
    [
        (np.array([[1, 11]]), ValueError, "word ids range from 1 to 11; a vocabulary of 11 words has ids 0 to 10"),
        (np.array([[-1, 3]]), ValueError, "word ids range from -1 to 3"),
        (np.array([1, 2]), ValueError, r"tokens have shape \(2,\); expected \(N, T\)"),
        (np.array([[1.0, 2.0]]), TypeError, "tokens are float64; expected an integer array"),
        ([[1, 2]], TypeError, "tokens are list; expected an integer array"),
        (np.zeros((2, 0), int), ValueError, r"tokens have shape \(2, 0\); expected at least one"),
    ],
)
def test_bad_word_ids_are_refused(tokens, error, message):
    with pytest.raises(error, match=message):
        network_of(1.2).forward(tokens)


# What is checked at the entrance


SIZES_BY_NAME = ("n_words", "embedding_dim", "hidden_size", "n_classes")


@pytest.mark.parametrize("k", range(4))
@pytest.mark.parametrize("wrong", [0, 2**31, 2.5, True, "3"])
def test_a_size_that_is_none_is_named_the_first_one_first(wrong, k):
    sizes = [3] * k + [wrong] * (4 - k)
    with pytest.raises(ValueError, match=rf"^{SIZES_BY_NAME[k]} is .*; expected a whole number from 1 to 2147483647"):
        NetworkSizes(*sizes)


def test_sizes_of_numpy_become_those_of_python():
    sizes = NetworkSizes(*map(np.uint8, (200, 200, 200, 2)))
    assert all(type(getattr(sizes, name)) is int for name in SIZES_BY_NAME) and sizes.dense_parameters > 255
    assert NetworkSizes(2**31 - 1, 1, 1, 1).n_words == 2**31 - 1


def test_bidirectional_is_true_or_false():
    with pytest.raises(TypeError, match="bidirectional is 2"):
        NetworkSizes(3, 3, 3, 2, 2)


def test_parameters_have_to_be_a_dict():
    with pytest.raises(TypeError, match="parameters is .*; expected a dict of E, W_x, W_h, b, W_out and b_out"):
        Network([("E", np.ones((2, 2)))])


def test_texts_are_predicted_one_at_a_time_at_least():
    sizes = NetworkSizes(5, 3, 3, 2)
    network = init_network(sizes, np.random.default_rng(0), np.random.default_rng(1))
    tokens = np.array([[1, 2], [3, 4], [2, 2]])
    np.testing.assert_allclose(network.predict_proba(tokens, batch_size=1), network.predict_proba(tokens), rtol=1e-6)
    with pytest.raises(ValueError, match="batch_size is 0; expected a whole number from 1 to"):
        network.predict_proba(tokens, batch_size=0)
