"""All kinds, or all lines, are named at once.

Scores: words 0, readout 0, step 0, time 0, attention 0
Cause of words: no kind of the table
Cause of readout: no kind of the table
Cause of step: another line
Cause of time: another line
Cause of attention: names that are no gradients of the layer
"""


def answer(arrays, kind, line, code):
    return {"arrays": arrays, "kind": kind, "line": line, "mended": code}


def words_mistake():
    return answer(
        ["E"],
        "sign, factor missing, summand missing, wrong variable, wrong size, wrong axis, repeated rows",
        4,
        "np.add.at(dE, tokens, w[tokens][:, :, None] * dx)",
    )


def readout_mistake():
    return answer(["h", "W", "b"], ["wrong size", "wrong axis", "sign"], 4, "dy = dloss * dy / len(labels)")


def step_mistake():
    return answer(
        ["x", "h_prev", "c_prev", "W_x", "W_h", "b"],
        "wrong variable",
        "1, 2, 3, 4, 5",
        "dc = dc + dh * o * (1 - tanh_c**2)",
    )


def time_mistake():
    return answer(["x", "W_x", "W_h", "b"], "factor missing", list(range(16)), "dh_next, dc_next = dz @ W_h.T, dc * f")


def attention_mistake():
    return answer(["h", "v", "x", "W", "b"], "wrong axis", 3, "ds = a * (da - (a * da).sum(axis=1, keepdims=True))")
