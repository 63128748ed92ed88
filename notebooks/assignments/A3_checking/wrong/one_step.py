"""Time was checked with one step.

Scores: words 4, readout 4, step 4, time 0, attention 4
Cause of time: nothing found, as if checked at T = 1
"""


def answer(arrays, kind, line, code):
    return {"arrays": arrays, "kind": kind, "line": line, "mended": code}


def words_mistake():
    return answer(["E"], "repeated rows", 4, "np.add.at(dE, tokens, w[tokens][:, :, None] * dx)")


def readout_mistake():
    return answer(["h", "W", "b"], "wrong size", 4, "dy = dloss * dy / len(labels)")


def step_mistake():
    return answer(
        ["x", "h_prev", "c_prev", "W_x", "W_h", "b"], "wrong variable", 3, "dc = dc + dh * o * (1 - tanh_c**2)"
    )


def time_mistake():
    return answer([], "none", None, "")


def attention_mistake():
    return answer(["h", "v"], "wrong axis", 3, "ds = a * (da - (a * da).sum(axis=1, keepdims=True))")
