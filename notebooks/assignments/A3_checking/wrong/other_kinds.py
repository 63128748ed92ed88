"""Gradients and lines are right, the kinds are guessed.

Scores: words 0, readout 0, step 0, time 0, attention 0
Cause of words: another kind: summand missing
Cause of readout: another kind: factor missing
Cause of step: another kind: factor missing
Cause of time: no kind of the table
Cause of attention: another kind: index
"""


def answer(arrays, kind, line, code):
    return {"arrays": arrays, "kind": kind, "line": line, "mended": code}


def words_mistake():
    return answer(["E"], "summand missing", 4, "np.add.at(dE, tokens, w[tokens][:, :, None] * dx)")


def readout_mistake():
    return answer(["h", "W", "b"], "factor missing", 4, "dy = dloss * dy / len(labels)")


def step_mistake():
    return answer(
        ["x", "h_prev", "c_prev", "W_x", "W_h", "b"], "factor missing", 3, "dc = dc + dh * o * (1 - tanh_c**2)"
    )


def time_mistake():
    return answer(["x", "W_x", "W_h", "b"], "forgotten gate", 14, "dh_next, dc_next = dz @ W_h.T, dc * f")


def attention_mistake():
    return answer(["h", "v"], "index", 3, "ds = a * (da - (a * da).sum(axis=1, keepdims=True))")
