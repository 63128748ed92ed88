"""The other names of the kinds, arrays in one text, with the d of gradients, lines as texts: full marks.

Scores: words 4, readout 4, step 4, time 4, attention 4
"""


def answer(arrays, kind, line, code):
    return {"arrays": arrays, "kind": kind, "line": line, "mended": code}


def words_mistake():
    return answer("dE", "Rows not added up", "4", "np.add.at(dE, tokens, w[tokens][:, :, None] * dx)")


def readout_mistake():
    return answer("db, dW, dh", "divided by the wrong size", 4, "dy = dloss * dy / len(labels)")


def step_mistake():
    return answer(
        ("b", "W_h", "W_x", "c_prev", "h_prev", "x"), "wrong array", "line 3", "dc = dc + dh * o * (1 - tanh_c**2)"
    )


def time_mistake():
    return answer(["x", "W_x", "W_h", "b"], "slope missing", 14, "dc_next = dc * f; dh_next = dz @ W_h.T")


def attention_mistake():
    return answer(["v", "h"], "axis", 3.0, "ds = a * (da - (a * da).sum(axis=1, keepdims=True))")
