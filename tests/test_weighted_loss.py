"""The weighted loss: its value, its gradients in both engines, and what follows the gradient."""

import numpy as np
import pytest

from numpy_setlstm.classification import evaluate
from numpy_setlstm.evolution import gradient_sizes
from numpy_setlstm.gradcheck import check_gradients
from numpy_setlstm.initialization import NetworkSizes, init_network
from numpy_setlstm.layers.readout import cross_entropy_backward, cross_entropy_forward


def test_a_weight_counts_like_that_many_copies():
    rng = np.random.default_rng(0)
    logits, labels, weights = rng.normal(size=(4, 3)), np.array([0, 2, 1, 1]), np.array([2.0, 0.0, 3.0, 1.0])
    loss, cache = cross_entropy_forward(logits, labels, weights)
    copies = np.repeat(np.arange(4), weights.astype(int))
    expected, its_cache = cross_entropy_forward(logits[copies], labels[copies])
    assert loss * 4 == pytest.approx(expected * 6, rel=1e-14)
    summed = np.zeros((4, 3))
    np.add.at(summed, copies, cross_entropy_backward(its_cache))
    np.testing.assert_allclose(cross_entropy_backward(cache) * 4, summed * 6, rtol=1e-14, atol=1e-15)


def test_weights_of_one_change_no_bit():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(5, 3)).astype(np.float32), np.array([0, 2, 1, 1, 0])
    loss, cache = cross_entropy_forward(logits, labels)
    with_ones, its_cache = cross_entropy_forward(logits, labels, np.ones(5))
    assert loss == with_ones and with_ones.dtype == np.float32
    gradient = cross_entropy_backward(its_cache)
    np.testing.assert_array_equal(gradient, cross_entropy_backward(cache))
    assert gradient.dtype == np.float32


def test_the_gradient_of_the_weighted_loss():
    rng = np.random.default_rng(1)
    logits, labels, weights = rng.normal(size=(6, 3)), rng.integers(3, size=6), rng.uniform(0, 3, 6)
    _, cache = cross_entropy_forward(logits, labels, weights)
    check_gradients(
        lambda arrays: cross_entropy_forward(arrays["y"], labels, weights)[0],
        {"y": logits},
        {"y": cross_entropy_backward(cache)},
    )


@pytest.mark.parametrize("weights", [np.ones(2), np.ones((3, 1)), np.array([1, -1, 1.0]), np.array([1, np.nan, 1])])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(
        ValueError, match=r"weights have shape .*; expected \(3,\)|the first is (-1.0|nan); expected fin"
    ):
        cross_entropy_forward(np.zeros((3, 2)), np.array([0, 1, 1]), weights)


@pytest.mark.parametrize("er_epsilon", [None, 2])
@pytest.mark.parametrize("engine", ["plain", "fast"])
def test_the_gradients_of_a_network_with_weights(engine, er_epsilon):
    network, tokens, labels = network_and_texts(engine, er_epsilon)
    weights = np.array([0.5, 3.0, 0.0, 1.0])
    loss, gradients = network.loss_and_gradients(tokens, labels, weights=weights)
    singles = [network.loss_and_gradients(tokens[[n]], labels[[n]]) for n in range(4)]
    assert loss == pytest.approx(
        sum(w * single for w, (single, _) in zip(weights, singles, strict=True)) / 4, rel=1e-12
    )
    for name, gradient in gradients.items():
        expected = sum(w * single[name] for w, (_, single) in zip(weights, singles, strict=True)) / 4
        np.testing.assert_allclose(gradient, expected, rtol=1e-10, atol=1e-14, err_msg=name)


def network_and_texts(engine, er_epsilon):
    rng = np.random.default_rng(3)
    sizes = NetworkSizes(n_words=9, embedding_dim=3, hidden_size=4, n_classes=3)
    network = init_network(sizes, rng, rng, er_epsilon=er_epsilon, dtype=np.float64, engine=engine)
    return network, rng.integers(1, 9, size=(4, 5)), np.array([0, 2, 1, 1])


def test_growth_follows_the_weighted_gradient():
    network, tokens, labels = network_and_texts("fast", er_epsilon=1)
    weights = np.array([0.0, 1.0, 0.0, 0.0])
    sizes = gradient_sizes(network, tokens, labels, 4, np.random.default_rng(0), weights)
    expected = gradient_sizes(network, tokens[[1]], labels[[1]], 4, np.random.default_rng(0))
    for name, gradient in sizes.items():
        np.testing.assert_allclose(gradient, expected[name] / 4, rtol=1e-12, atol=1e-16, err_msg=name)


def test_loss_and_accuracy_are_weighted_means():
    network, tokens, labels = network_and_texts("fast", None)
    weights = np.array([0.5, 3.0, 0.0, 1.0])
    right = network.forward(tokens)[0].argmax(axis=1) == labels
    losses = [evaluate(network, tokens[[n]], labels[[n]])[0] for n in range(4)]
    loss, accuracy = evaluate(network, tokens, labels, weights, batch_size=3)
    assert loss == pytest.approx(np.average(losses, weights=weights), rel=1e-12)
    assert accuracy == pytest.approx(np.average(right, weights=weights), rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_weights_change_no_type(dtype):
    logits, labels = np.zeros((3, 2), dtype), np.array([0, 1, 1])
    loss, cache = cross_entropy_forward(logits, labels, np.array([2.0, 0.5, 0.5]))
    assert loss.dtype == dtype and cross_entropy_backward(cache).dtype == dtype
    assert cache.weights.dtype == np.zeros(0, dtype).real.dtype
