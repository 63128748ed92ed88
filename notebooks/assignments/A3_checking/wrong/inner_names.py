"""The arrays named are those within the backward pass, not those that it returns.

Scores: words 4, readout 0, step 0, time 4, attention 0
Cause of readout: names that are no gradients of the layer
Cause of step: names that are no gradients of the layer
Cause of attention: names that are no gradients of the layer
"""


def answer(arrays, kind, line, code):
    return {"arrays": arrays, "kind": kind, "line": line, "mended": code}


def words_mistake():
    return answer(["E"], "repeated rows", 4, "np.add.at(dE, tokens, w[tokens][:, :, None] * dx)")


def readout_mistake():
    return answer("dy", "wrong size", 4, "dy = dloss * dy / len(labels)")


def step_mistake():
    return answer(["dc"], "wrong variable", 3, "dc = dc + dh * o * (1 - tanh_c**2)")


def time_mistake():
    return answer(["x", "W_x", "W_h", "b"], "factor missing", 14, "dh_next, dc_next = dz @ W_h.T, dc * f")


def attention_mistake():
    return answer(["ds", "dh", "dv"], "wrong axis", 3, "ds = a * (da - (a * da).sum(axis=1, keepdims=True))")
