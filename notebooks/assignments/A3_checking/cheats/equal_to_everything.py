"""Answers that call themselves equal to everything; and one that is a text.

Scores: words 0, readout 0, step 0, time 0, attention 0
Cause of words: words_mistake returns no numbers
Cause of readout: readout_mistake returns no numbers
Cause of step: no dictionary with arrays, kind and line
Cause of time: no dictionary with arrays, kind and line
Cause of attention: no dictionary with arrays, kind and line
"""


class Equal(str):
    def __eq__(self, other):
        return True

    __hash__ = str.__hash__


def words_mistake():
    return {"arrays": [Equal("anything")], "kind": Equal("anything"), "line": Equal("4")}


def readout_mistake():
    return {"arrays": ["h", "W", "b"], "kind": Equal("anything"), "line": 4}


def step_mistake():
    return {"arrays": None, "kind": "wrong variable", "line": 3}


def time_mistake():
    return {"kind": "factor missing", "line": 14}


def attention_mistake():
    return "h and v, wrong axis, line 3"
