"""Parts of a minibatch: complete, in order, and the same bits however many threads there are."""

import threading
import time

import numpy as np
import pytest

from numpy_setlstm.fast import engine
from numpy_setlstm.fast.threads import Background, available_cores, run_parts, split_batch
from numpy_setlstm.initialization import NetworkSizes, init_network


@pytest.mark.parametrize("n_texts", [0, 1, 63, 64, 65, 100, 256, 1000])
@pytest.mark.parametrize("most_texts", [1, 64, 128])
def test_the_parts_are_the_minibatch(n_texts, most_texts):
    parts = split_batch(n_texts, most_texts)
    assert [n for part in parts for n in range(part.start, part.stop)] == list(range(n_texts))
    widths = [part.stop - part.start for part in parts]
    assert max(widths) - min(widths) <= 1
    assert max(widths) <= most_texts
    assert len(parts) == max(1, -(-n_texts // most_texts))


def test_results_come_in_the_order_of_the_parts_whichever_ends_first():
    def late_if_first(k):
        time.sleep(0.05 if k == 0 else 0)
        return k, threading.get_ident()

    results = run_parts(late_if_first, [0, 1, 2, 3], n_threads=4)
    assert [k for k, _ in results] == [0, 1, 2, 3]
    assert len({ident for _, ident in results}) > 1


def test_one_thread_or_one_part_stays_in_the_callers_thread():
    here = threading.get_ident()
    assert run_parts(lambda k: threading.get_ident(), [0, 1], n_threads=1) == [here, here]
    assert run_parts(lambda k: threading.get_ident(), [0], n_threads=4) == [here]
    assert available_cores() >= 1


def test_an_error_in_a_part_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        run_parts(lambda k: 1 / k, [1, 0], n_threads=2)


def test_the_background_does_things_in_order_and_beside_the_caller():
    done = []
    with Background(active=True) as background:
        for k in range(20):
            background.submit(lambda k: done.append((k, threading.get_ident())), k)
        background.submit(len, done).result()
        assert [k for k, _ in done] == list(range(20))
        assert {ident for _, ident in done}.isdisjoint({threading.get_ident()})


def test_without_a_second_thread_things_are_done_at_once():
    background = Background(active=False)
    assert background.submit(threading.get_ident).result() == threading.get_ident()
    assert background.ahead == 0


@pytest.mark.parametrize("active", [False, True])
def test_an_error_in_the_background_reaches_the_caller(active):
    with Background(active) as background, pytest.raises(ZeroDivisionError):
        background.submit(lambda: 1 / 0).result()


def test_how_numpy_treats_floating_point_errors_is_the_callers_choice_in_every_thread():
    huge = np.array([1e38], np.float32)
    with np.errstate(over="ignore"):
        run_parts(lambda k: huge * huge, [0, 1], n_threads=2)
        with Background(active=True) as background:
            background.submit(lambda: huge * huge).result()
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        run_parts(lambda k: huge * huge, [0, 1], n_threads=2)


@pytest.mark.parametrize("kernel", ["gather", "scratch"])
def test_logits_and_gradients_are_the_same_bits_with_any_number_of_threads(kernel, monkeypatch):
    """One thread; a second one in the background; three parts at once; three with one in the background each."""
    monkeypatch.setattr(engine, "BACKGROUND_CELLS", 0)
    sizes = NetworkSizes(n_words=500, embedding_dim=32, hidden_size=64, n_classes=2)
    rng = np.random.default_rng(2)
    tokens, labels = rng.integers(0, 500, (150, 9)), rng.integers(0, 2, 150)
    outcomes = []
    for n_threads in (1, 2, 3, 6, 1, 2, 3, 6):
        network = init_network(
            sizes,
            np.random.default_rng(0),
            np.random.default_rng(1),
            er_epsilon=3,
            embedding_dropout=0.3,
            dropout=0.3,
            kernel=kernel,
            n_threads=n_threads,
        )
        loss, gradients = network.loss_and_gradients(tokens, labels, np.random.default_rng(5))
        outcomes.append({"loss": loss, "probabilities": network.predict_proba(tokens), **gradients})
    for outcome in outcomes[1:]:
        for name, expected in outcomes[0].items():
            np.testing.assert_array_equal(outcome[name], expected, err_msg=name)


def test_the_gradient_of_a_minibatch_in_parts_is_that_of_its_texts_one_by_one():
    sizes = NetworkSizes(n_words=50, embedding_dim=8, hidden_size=16, n_classes=2)
    network = init_network(sizes, *map(np.random.default_rng, (0, 1)), er_epsilon=1, dtype=np.float64, kernel="gather")
    rng = np.random.default_rng(2)
    tokens, labels = rng.integers(0, 50, (70, 5)), rng.integers(0, 2, 70)
    assert len(split_batch(70)) == 2
    _, together = network.loss_and_gradients(tokens, labels)
    alone = [network.loss_and_gradients(tokens[n : n + 1], labels[n : n + 1])[1] for n in range(70)]
    for name, gradient in together.items():
        expected = np.mean([a[name] for a in alone], axis=0)
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-15, err_msg=name)
