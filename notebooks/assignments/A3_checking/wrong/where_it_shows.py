"""The lines named are those where a wrong number is used, not those where it is made.

Scores: words 4, readout 0, step 0, time 0, attention 0
Cause of readout: a line that passes the mistake on
Cause of step: a line that passes the mistake on
Cause of time: a line that passes the mistake on
Cause of attention: a line that passes the mistake on
"""


def answer(arrays, kind, line, code):
    return {"arrays": arrays, "kind": kind, "line": line, "mended": code}


def words_mistake():
    return answer(["E"], "repeated rows", 4, "np.add.at(dE, tokens, w[tokens][:, :, None] * dx)")


def readout_mistake():
    return answer(["h", "W", "b"], "wrong size", 5, "dW = h.T @ dy * W.shape[1] / len(labels)")


def step_mistake():
    return answer(["x", "h_prev", "c_prev", "W_x", "W_h", "b"], "wrong variable", 8, "dz_g = dc * i * (1 - g**2)")


def time_mistake():
    return answer(["x", "W_x", "W_h", "b"], "factor missing", 7, "dc = f * dc_next + dh_t * o * (1 - tanh_c**2)")


def attention_mistake():
    return answer(["h", "v"], "wrong axis", 4, "dv = (ds[:, :, None] * h).sum(axis=0).sum(axis=0)")
