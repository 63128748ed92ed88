"""The process in which the command line runs the visible checks of an assignment."""

import contextlib
import linecache
import os
import sys
from itertools import zip_longest

from numpy_setlstm.grading.visible import verdicts


def run(job):
    """Run the code of a submission in silence, then the checks; end with 0 if they found everything right."""
    names = {"__name__": "submission", "display": print}
    for part, silent in (("code", True), ("checks", False)):
        verdicts.clear()  # those of a student's own cells
        for label, source in job[part]:
            remember(label, source)
            silence = open(os.devnull, "w", encoding="utf8") if silent else contextlib.nullcontext(sys.stdout)
            with silence as stream, contextlib.redirect_stdout(stream):
                try:
                    exec(compile(source, label, "exec"), names)
                    continue
                except NotImplementedError:
                    pass
                except (Exception, SystemExit) as error:
                    print(f"{in_words(label, source)} stops with {type(error).__name__}: {error}", file=sys.stderr)
            verdicts.append(False)
    sys.exit(0 if verdicts and all(verdicts) else 1)


def remember(label, source):
    """Let tracebacks show lines of the code; parts of one file have one label, each its own lines."""
    known = linecache.cache.get(label, (0, None, []))[2]
    lines = [one if one.strip() else two for one, two in zip_longest(source.splitlines(True), known, fillvalue="")]
    linecache.cache[label] = (len(lines), None, lines, label)


def in_words(label, source):
    """What a student calls a part of the code: numbers of cells are seen nowhere."""
    first = next((line.strip() for line in source.splitlines() if line.strip()), "")
    return f"The cell that begins with {first[:60]!r}" if label.startswith("cell ") else label
