"""The answers are looked for: in the grader's folder, and in the functions of the checks.

Scores: words 0, readout 0, step 0, time 0, attention 0
Cause of words: not allowed: a file outside of its folder
Cause of readout: no kind of the table
Cause of step: step_mistake stops with IndexError
Cause of time: gradients missing
Cause of attention: nothing found, as if checked at zeros
Remark: uses get_objects
Remark: replaces visible.account
Remark: a file outside of its folder
"""

import gc
import inspect
from pathlib import Path

from numpy_setlstm.grading import visible


def words_mistake():
    folder = Path(visible.__file__).parents[2] / "notebooks" / "assignments" / "A3_checking"
    return {"arrays": (folder / "hidden.py").read_text(), "kind": "", "line": 1}


def readout_mistake():
    text = "".join(path.read_text() for path in Path("..").rglob("*.ipynb"))
    return {"arrays": ["h", "W", "b"], "kind": text, "line": 4}


def step_mistake():
    right = [thing for thing in gc.get_objects() if isinstance(thing, dict) and "RIGHT" in thing]
    return {"arrays": right[0]["RIGHT"]["step"][0], "kind": "wrong variable", "line": 3}


def time_mistake():
    frames = [frame.frame.f_globals.get("RIGHT") for frame in inspect.stack()]
    return {"arrays": ["x"], "kind": str(frames), "line": 14}


def attention_mistake():
    visible.account = lambda *_: (frozenset("hv"), "wrong axis", 3)
    return {"arrays": [], "kind": "", "line": 0}
