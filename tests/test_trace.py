"""What is read from an LSTM's forward pass is what the equations say."""

import numpy as np

from numpy_setlstm.layers.lstm import lstm_forward, sigmoid
from numpy_setlstm.layers.trace import trace_states


def drawn_layer(seed=0, N=3, T=5, D=2, H=4):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N, T, D)), rng.normal(size=(D, 4 * H)), rng.normal(size=(H, 4 * H)), rng.normal(size=4 * H)


def test_the_states_satisfy_the_equations():
    x, W_x, W_h, b = drawn_layer()
    states = trace_states(*lstm_forward(x, W_x, W_h, b))
    before = {name: np.concatenate([np.zeros((3, 1, 4)), states[name][:, :-1]], axis=1) for name in "ch"}
    z_i, z_f, z_o, z_g = np.split(x @ W_x + before["h"] @ W_h + b, 4, axis=2)
    for gate, z in (("i", z_i), ("f", z_f), ("o", z_o)):
        np.testing.assert_allclose(states[gate], sigmoid(z), atol=1e-14)
    np.testing.assert_allclose(states["g"], np.tanh(z_g), atol=1e-14)
    np.testing.assert_allclose(states["c"], states["f"] * before["c"] + states["i"] * states["g"], atol=1e-14)
    np.testing.assert_allclose(states["h"], states["o"] * np.tanh(states["c"]), atol=1e-14)


def test_the_states_of_a_padded_text_are_those_without_padding_and_stand_still_at_the_padding():
    x, W_x, W_h, b = drawn_layer()
    mask = np.array([[True] * 5, [False, False, True, True, True], [True, True, False, False, False]])
    states = trace_states(*lstm_forward(x, W_x, W_h, b, mask))
    for n, words in enumerate(mask):
        alone = trace_states(*lstm_forward(x[n : n + 1, words], W_x, W_h, b))
        for name in "ifogch":
            np.testing.assert_allclose(states[name][n, words], alone[name][0], atol=1e-14)
    assert np.isnan(states["f"][~mask]).all()
    assert (states["c"][1, :2] == 0).all() and (states["c"][2, 2:] == states["c"][2, 1]).all()


def test_the_last_memory_and_hidden_state_continue_the_text():
    x, W_x, W_h, b = drawn_layer()
    whole, _ = lstm_forward(x, W_x, W_h, b)
    first = trace_states(*lstm_forward(x[:, :3], W_x, W_h, b))
    rest, _ = lstm_forward(x[:, 3:], W_x, W_h, b, h0=first["h"][:, -1], c0=first["c"][:, -1])
    np.testing.assert_allclose(rest, whole[:, 3:], atol=1e-14)
