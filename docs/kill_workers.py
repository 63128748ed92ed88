"""Kill worker processes, or what started them, or press Ctrl-C, at random moments; print what is left or lost.

A small model is trained by three processes, and saved after each epoch. What a disturbed training leaves behind is
looked for, and the model that it saved is trained to the end by one process: it has to be the same bits as that of an
undisturbed training. It needs Linux, and ten minutes of one core. From the top of the repository::

    python docs/kill_workers.py --moments 50 --seed 0
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from numpy_setlstm import SetLSTMClassifier, minibatches
from numpy_setlstm.checkpoint import load_arrays
from numpy_setlstm.lab.formatting import text_table
from numpy_setlstm.workers import jobs
from numpy_setlstm.workers.pool import MARK, WorkerError

TAG = "NUMPY_SETLSTM_KILLS"  # in the environment of every process of a training, which finds them again
SETTINGS = {"embedding_dim": 8, "hidden_size": 8, "vocabulary_size": 40, "parameter_share": 0.3, "random_state": 3}
SETTINGS |= {"n_epochs": 12, "evolve_every": 2, "validation_fraction": 0.5, "averaging": 0.9, "n_jobs": 3}
LOST_A_WORKER, INTERRUPTED = 3, 130  # exit codes
PATIENCE = 60.0  # seconds after which a training hangs
GRACE = 5.0  # seconds within which workers end after their parent
DEADLY = (signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV)
FAULTS = ("processes left", "memory left", "corrupt models", "other bits", "tracebacks", "ended otherwise")


# The training


def share_small_jobs(setattr=setattr):
    """Let workers share what is too small to pay."""
    for name in [name for name in vars(jobs) if name.startswith("LEAST_")]:
        setattr(jobs, name, 1)
    setattr(minibatches, "LEAST_CELLS", 1)
    setattr(minibatches, "LEAST_TEXTS", 16)
    setattr(jobs, "has_one_thread", lambda: True)


def data(n_texts=600):
    """Return texts (n_texts, 8) of word ids, and labels that depend on them."""
    tokens = np.random.default_rng(0).integers(2, 40, (n_texts, 8))
    return tokens, (tokens[:, 3] > 20).astype(int)


def train(path):
    """Train, or go on, as a script of a user would; after the loss of a worker save what was learnt before."""
    share_small_jobs()
    exists = os.path.exists(path)
    clf = SetLSTMClassifier.load(path) if exists else SetLSTMClassifier(**SETTINGS)
    print("ready", flush=True)
    try:
        clf.fit(*data(), resume=exists, checkpoint_path=path)
    except WorkerError as error:
        clf.save(path)
        print(error, file=sys.stderr)
        sys.exit(LOST_A_WORKER)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def start(path, tag):
    """Start :func:`train` in a process group of its own, and wait until it begins."""
    environment = os.environ | {TAG: tag, "PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}
    environment["TMPDIR"] = os.path.dirname(path)
    process = subprocess.Popen(
        [sys.executable, __file__, "--train", path], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    process.stdout.readline()
    return process


# What is left


def processes_of(tag):
    """Return the living processes of a training: a dict of their numbers and environments."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            environment = (folder / "environ").read_bytes().decode(errors="replace").split("\0")  # a zombie has none
            if f"{TAG}={tag}" in environment:
                found[int(folder.name)] = environment
    return found


def workers_of(tag):
    """Return the numbers of the living workers of a training."""
    return [number for number, environment in processes_of(tag).items() if f"{MARK}=1" in environment]


def memory_of(number):
    """Return how many pieces of shared memory a process has."""
    with suppress(OSError):
        return (Path("/proc") / str(number) / "maps").read_text().count("memfd:numpy-setlstm")
    return 0


def look_around(tag):
    """Return how many processes are left after a while, with how many pieces of shared memory; end them."""
    end = time.monotonic() + GRACE
    while processes_of(tag) and time.monotonic() < end:
        time.sleep(0.05)
    left = processes_of(tag)
    memory = sum(map(memory_of, left))
    for number in left:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    return len(left), memory


def bits_of(path):
    """Return all that a model file says, but for times and what resuming may change."""
    header, arrays = load_arrays(path)
    for part, name in ((header["history"], "seconds"), (header["sums"], "seconds"), (header["parameters"], "n_jobs")):
        part.pop(name)
    for name in ("digest", "interrupted"):
        header.pop(name)
    return json.dumps(header, sort_keys=True), {name: array.tobytes() for name, array in arrays.items()}


def is_whole(path):
    """Return whether there is no model file, or one that can be loaded."""
    try:
        return not os.path.exists(path) or SetLSTMClassifier.load(path) is not None
    except ValueError:
        return False


def finish(path):
    """Train the model of a file to the end in this process, or a new one if there is no file; return its bits."""
    exists = os.path.exists(path)
    clf = SetLSTMClassifier.load(path) if exists else SetLSTMClassifier(**SETTINGS)
    clf.set_params(n_jobs=None).fit(*data(), resume=exists, checkpoint_path=path)
    return bits_of(path)


# Disturbances: each returns the exit codes that are right


def kill_a_worker(process, tag, draw):
    """Kill one worker, as soon as there is one; an evaluation goes on without it."""
    while process.poll() is None:
        if workers := workers_of(tag):
            os.kill(draw.choice(workers), draw.choice(DEADLY))
            break
        time.sleep(0.01)
    return 0, LOST_A_WORKER


def kill_the_parent(process, tag, draw):
    """Kill the process that trains, and no worker."""
    number = draw.choice(DEADLY)
    process.send_signal(number)
    return 0, -number


def press_ctrl_c(process, tag, draw):
    """Press Ctrl-C, which reaches all processes of a terminal, once or twice."""
    for _ in range(draw.choice([1, 2])):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        time.sleep(draw.uniform(0, 0.05))
    return 0, INTERRUPTED, -signal.SIGINT


DISTURBANCES = {"a worker killed": kill_a_worker, "the parent killed": kill_the_parent, "Ctrl-C": press_ctrl_c}


def disturb(disturbance, seconds, draw, wanted):
    """Train once, disturbed at a random moment, and to the end; return what is bad, a dict of numbers by fault."""
    tag = f"{os.getpid()}-{draw.random()}"
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.npz")
        process = start(path, tag)
        time.sleep(draw.uniform(0, seconds))
        codes = disturbance(process, tag, draw)
        try:
            _, errors = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            _, errors = process.communicate()
        left, memory = look_around(tag)
        whole = is_whole(path)
        same = whole and finish(path) == wanted and os.listdir(folder) == ["model.npz"]
    faults = left, memory, not whole, not same, "Traceback" in errors, process.returncode not in codes
    if any(faults):
        print(process.returncode, errors, file=sys.stderr)
    return {name: int(fault) for name, fault in zip(FAULTS, faults, strict=True)} | {"code": process.returncode}


def undisturbed():
    """Return the bits of an undisturbed training, and the seconds that it takes."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.npz")
        process, begin = start(path, "undisturbed"), time.monotonic()
        _, errors = process.communicate()
        if process.returncode != 0 or errors:
            raise RuntimeError(f"an undisturbed training ended with code {process.returncode}: {errors}")
        return bits_of(path), time.monotonic() - begin


def main():
    """Print a table: a line for each kind of disturbance."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--moments", type=int, default=50, metavar="N", help="of each kind (default: 50)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", metavar="PATH", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(options.train)
        return
    share_small_jobs()
    wanted, seconds = undisturbed()
    draw, rows = random.Random(options.seed), []
    for name, disturbance in DISTURBANCES.items():
        found = [disturb(disturbance, seconds, draw, wanted) for _ in range(options.moments)]
        ended = sum(one["code"] != 0 for one in found)
        rows.append([name, str(len(found)), str(ended), *(str(sum(one[fault] for one in found)) for fault in FAULTS)])
    print(text_table(["what", "times", "ended early", *FAULTS], rows))
    sys.exit(any(row[3:] != ["0"] * len(FAULTS) for row in rows))


if __name__ == "__main__":
    main()
