"""A class of a hundred: grade it, then grade it again with the grader killed in the middle.

    python tests/class_of_a_hundred.py A1 --submissions 100 --seed 0

Solution, blank version, wrong answers and cheats of an assignment are handed in, each about equally often. Another run
of the command is killed at a random moment with SIGKILL and started again; its grades.csv has to be the same, byte for
byte. The script prints minutes, memory (a sample each tenth of a second, what processes share counted once) and what is
wrong: submissions lost, points other than those that a file states, folders of submissions left behind. It ends with 1
if anything is. Needs Linux.
"""

import argparse
import contextlib
import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
from test_assignments import ANSWERS, FOLDER, stated  # noqa: E402

from numpy_setlstm.grading import Limits, load_assignment, release  # noqa: E402

SAMPLE = 0.1  # seconds between two looks at the memory
PATIENCE = 60  # seconds in which the processes of a killed grader end by themselves


def hand_in(folder, assignment, number, draw):
    """Write so many submissions; return the points by task that each must get, and how many there are of each kind."""
    blank, maxima = folder.parent / "blank.ipynb", {task.name: task.points for task in assignment.tasks}
    release(assignment.folder, blank)
    deck = [("solution", assignment.notebook, maxima), ("blank", blank, dict.fromkeys(maxima, 0))]
    mine = [path for path in ANSWERS if path.parts[-3] == assignment.folder.name]
    deck += [({"wrong": "wrong answer", "cheats": "cheat"}[p.parts[-2]], p, stated(p)[0]) for p in mine]
    folder.mkdir()
    expected, kinds, hand = {}, Counter(), []
    for k in range(number):
        hand = hand or draw.sample(deck, len(deck))
        kind, path, points = hand.pop()
        shutil.copy(path, folder / f"student_{k:03}{path.suffix}")
        expected[f"student_{k:03}"] = points
        kinds[kind] += 1
    return expected, kinds


class Grader:
    """A run of `numpy-setlstm grade`, with the memory of all its processes."""

    def __init__(self, assignment, submitted, output, seconds):
        self.records, self.temporary = output / "students", output.with_name(f"{output.name} temporary")
        self.temporary.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "numpy_setlstm", "grade", assignment.folder, submitted, "--output", output]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(self.temporary)}
        self.started, self.bytes, options = time.monotonic(), 0, ["--seed", "1", "--seconds", str(seconds)]
        self.printed = output.with_name(f"{output.name}.txt")
        with open(self.printed, "wb") as stream:
            streams = {"stdout": stream, "stderr": subprocess.STDOUT, "cwd": ROOT, "env": environment}
            self.process = subprocess.Popen([*map(str, command), *options], **streams)

    def watch(self, until=lambda: False):
        """Look at the memory until the run has ended or something holds; whether it has ended."""
        while self.process.poll() is None:
            if until():
                return False
            self.bytes = max(self.bytes, memory_of(self.process.pid))
            time.sleep(SAMPLE)
        assert self.process.returncode == 0, self.printed.read_text(encoding="utf8")
        return True

    def done(self):
        """How many submissions are graded."""
        return len(list(self.records.glob("*/record.json")))

    def kill(self):
        """Kill the grader alone; what it has started has to notice by itself."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def minutes(self):
        """Since it was started."""
        return (time.monotonic() - self.started) / 60

    def left_behind(self):
        """How many folders of submissions are there when all has ended."""
        until = time.monotonic() + PATIENCE
        while any(self.temporary.iterdir()) and time.monotonic() < until:
            time.sleep(SAMPLE)
        return len(list(self.temporary.iterdir()))


def memory_of(number):
    """Bytes of a process and all that it started; what some of them share is counted once."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    family = {number}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    total = 0
    for member in family:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{member}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def graded_at_once(assignment, submitted, output, seconds):
    """Grade a class undisturbed."""
    grader = Grader(assignment, submitted, output, seconds)
    grader.watch()
    print(f"undisturbed: {grader.minutes():.1f} minutes, {grader.bytes / 2**30:.2f} GB", flush=True)
    return grader


def graded_with_a_kill(assignment, submitted, output, seconds, draw, number):
    """Grade a class with a grader that is killed when some are graded, and started again."""
    enough, pause = draw.randrange(number - 1), draw.random()
    killed = Grader(assignment, submitted, output, seconds)
    assert not killed.watch(lambda: killed.done() > enough), "it ended before it could be killed"
    time.sleep(pause)
    assert killed.process.poll() is None, "it ended before it could be killed"
    killed.kill()
    assert not (output / "grades.csv").exists(), "there are grades of a class that is not graded"
    print(f"killed after {killed.minutes():.1f} minutes with {killed.done()} graded", flush=True)
    grader = Grader(assignment, submitted, output, seconds)
    grader.watch()
    print(f"started again: {grader.minutes():.1f} minutes, {grader.bytes / 2**30:.2f} GB", flush=True)
    return grader


def faults(expected, graders, outputs):
    """What is wrong, as a count for each fault."""
    texts = [(output / "grades.csv").read_bytes() for output in outputs]
    rows = list(csv.DictReader(texts[0].decode("utf8").splitlines()))
    lost = expected.keys() - {row["student"] for row in rows}
    lost |= {row["student"] for row in rows if row["cause"] == "the grader failed"}
    other = {row["student"] for row in rows if float(row["points"]) != expected[row["student"]][row["task"]]}
    return {
        "submissions lost": len(lost),
        "with points other than stated": len(other - lost),
        "folders left behind": sum(grader.left_behind() for grader in graders),
        "bytes of grades.csv that differ": differing(*texts),
    }


def differing(one, two):
    """How many bytes differ."""
    return sum(a != b for a, b in zip(one, two, strict=False)) + abs(len(one) - len(two))


def main(arguments=None):
    """Grade, kill, grade again; print figures and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("assignment", nargs="?", default="A1")
    parser.add_argument("--submissions", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the choice and of the moment")
    parser.add_argument("--seconds", type=int, default=Limits().seconds, help="of computing, as for grade")
    options = parser.parse_args(arguments)
    draw, assignment = random.Random(options.seed), load_assignment(options.assignment, FOLDER)
    with tempfile.TemporaryDirectory() as folder:
        submitted, outputs = Path(folder) / "submitted", [Path(folder) / "whole", Path(folder) / "killed"]
        expected, kinds = hand_in(submitted, assignment, options.submissions, draw)
        print(f"{options.submissions} submissions of {assignment.id}: {dict(kinds)}", flush=True)
        graders = [graded_at_once(assignment, submitted, outputs[0], options.seconds)]
        chance = draw, options.submissions
        graders.append(graded_with_a_kill(assignment, submitted, outputs[1], options.seconds, *chance))
        found = faults(expected, graders, outputs)
    print(*(f"{name:<32} {number:4d}" for name, number in found.items()), sep="\n")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main())
