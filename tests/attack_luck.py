"""Attack training, and everything else that saves, by bad luck: kills at random moments, full disks, two at once.

    python tests/attack_luck.py --moments 100 --seed 0

A process is killed or interrupted (a *kill*), finds no room on the disk or another thing in the place of its file (a
*disk*), or meets another process at the same work (a *pair*). Then it is run again until it is done, and what it made
is compared with what an undisturbed run made: models bitwise, pictures bytewise, results but for the times. Each moment
is a kill; after every third comes a disk, and after every sixth a pair. The script ends with 1 if anything is bad.

Needs Linux. A small file system is mounted where the system lets a process have one of its own (``unshare``); elsewhere
only the other ways to fill a disk are tried.
"""

import argparse
import contextlib
import ctypes
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
SECONDS = 180  # after which a process hangs
BAD = (
    "model lost",
    "model altered",
    "result lost or altered",
    "half-written file left",
    "traceback",
    "error of several lines",
    "error without a clear word",
    "exit code",
    "hang",
    "process left",
)
EPOCHS, SEED = 6, 3
SIZES = {"embedding_dim": 8, "hidden_size": 8, "parameter_share": 0.3, "max_length": 30}
SMALL = [f"--{name.replace('_', '-')}={value}" for name, value in SIZES.items()]
GRID = "--datasets demo --connectivities dense,set --seeds 2 --set hidden_size=4 --set embedding_dim=4".split()
GRID += "--set er_epsilon=2 --set n_epochs=6 --set batch_size=8 --set train_texts=200 --set test_texts=20".split()
TIMES = ("seconds", "seconds_per_epoch", "peak_memory_mib")
SIGNALS = {
    "SIGKILL": [signal.SIGKILL],
    "SIGTERM": [signal.SIGTERM],
    "SIGINT": [signal.SIGINT],
    "SIGINT twice": [signal.SIGINT, signal.SIGINT],
    "SIGHUP": [signal.SIGHUP],
    "SIGQUIT": [signal.SIGQUIT],
}
STARTED = []  # processes
REFUSALS = ("is being written by", "exists: continue with --resume", "was trained by another process")

# A script as a user writes it: it trains a model that is saved after each epoch, or goes on with the one that is there.
FIT = f"""
import os, sys
import numpy as np
from numpy_setlstm import SetLSTMClassifier
from numpy_setlstm.datasets import make_reviews

path, n_epochs = sys.argv[1], int(sys.argv[2])
texts, labels = make_reviews(60, np.random.default_rng(0))

def fit():
    if os.path.exists(path):
        clf = SetLSTMClassifier.load(path).set_params(n_epochs=n_epochs, n_jobs=1)
    else:
        clf = SetLSTMClassifier(**{SIZES}, n_epochs=n_epochs, n_jobs=1, batch_size=16, random_state={SEED})
    return clf.fit(texts, labels, resume=os.path.exists(path), checkpoint_path=path)

"""
FIT_ONCE = """
try:
    fit()
except OSError as error:
    sys.exit(f"{type(error).__name__}: {error}")
except KeyboardInterrupt:
    sys.exit(130)
"""
# The same, but something happens at one of the lines of files.py or zipfile.py that run while it saves. The process is
# killed there, or Ctrl-C interrupts that line, and the same process fits again, as in a notebook.
SAVING = """
import signal
from numpy_setlstm import files

target, action, count = int(sys.argv[3]), sys.argv[4], 0

def trace(frame, event, argument):
    return at_line if frame.f_code.co_filename.endswith(("files.py", "zipfile.py", "contextlib.py")) else None

def at_line(frame, event, argument):
    global count
    count += event == "line"
    if count == target and event == "line":
        sys.settrace(None)
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise KeyboardInterrupt
    return at_line

sys.settrace(trace)
try:
    fit()
    sys.settrace(None)
    print(count)
except KeyboardInterrupt:
    sys.settrace(None)
    if os.path.exists(path):
        SetLSTMClassifier.load(path)
    fit()
"""
# A disk that is full after some bytes, or breaks when they are to be made permanent; it stands before main().
FULL = """
import errno, io, os
room, fails_at = {room}, {fails_at!r}

class Disk(io.FileIO):
    def write(self, data):
        global room
        if len(memoryview(data).cast("B")) > room:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = super().write(data)
        room -= written
        return written

def fdopen(descriptor, mode="r", *arguments, **options):
    if mode == "wb":
        return io.BufferedWriter(Disk(descriptor, "wb"))
    return io.open(descriptor, mode, *arguments, **options)

def broken(*arguments):
    raise OSError(errno.EIO, "Input/output error")

os.fdopen = fdopen
if fails_at == "fsync":
    os.fsync = broken
elif fails_at == "lock":
    os.write = lambda *arguments: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device"))
"""


# Processes


class Ended:
    """How a process ended: its exit code (None if it hung), what it wrote, and whether processes of it remained."""

    def __init__(self, code, out, err, remained=0):
        self.code, self.out, self.err, self.remained = code, out, err, remained


def command(before=""):
    """What the console script of an installed package does, after the code `before`."""
    code = f"import sys; sys.path[:] = [p for p in sys.path if p] + [{str(ROOT)!r}]; sys.argv[0] = 'numpy-setlstm'\n"
    return [sys.executable, "-c", f"{code}{before}\nfrom numpy_setlstm.__main__ import main; sys.exit(main())"]


def script(code, *arguments):
    return [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}", *map(str, arguments)]


def start(line, folder, *, file_size=None, powerless=False, stdout=subprocess.PIPE):
    """Start a process in a session of its own; limit the size of its files, or let root be an ordinary user."""

    def arrange():
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if file_size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
        if powerless:
            ctypes.CDLL(None).prctl(24, 1)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE: permissions count for root, too

    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"OPENBLAS_NUM_THREADS": "1", "TMPDIR": str(folder), "MPLBACKEND": "agg"}
    process = subprocess.Popen(
        line, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True,
        errors="replace", preexec_fn=arrange, start_new_session=True,
    )  # fmt: skip
    STARTED.append(process)
    return process


def finish(process, signals=(), moments=(), *, patient=True):
    """Send signals at moments, seconds from now; wait for the end; if `patient`, also for processes it started."""
    begin = time.monotonic()
    for number, moment in zip(signals, moments, strict=True):
        while process.poll() is None and time.monotonic() < begin + moment:
            time.sleep(0.002)
        if process.poll() is None:
            process.send_signal(number)
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        return Ended(None, out or "", err or "")
    end = time.monotonic() + 15
    while patient and session_of(process.pid) and time.monotonic() < end:
        time.sleep(0.05)
    remained = session_of(process.pid) if patient else []
    for pid in remained:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return Ended(process.returncode, out or "", err or "", len(remained))


def session_of(leader):
    """Ids of the living processes of a session."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader and fields[0] not in "ZX":
                found.append(int(entry.name))
    return found


def run(line, folder, **settings):
    return finish(start(line, folder, **settings))


def judge_end(ended, *, codes, interrupted=False, names=()):
    """What is bad about how a process ended; an error has to name one of `names`, if any."""
    lines = [line for line in ended.err.splitlines() if line.strip()]
    found = {
        "hang": ended.code is None,
        "process left": ended.remained > 0,
        "traceback": any(sign in ended.err for sign in ("Traceback", "Exception ignored", "Fatal Python error")),
        "exit code": ended.code is not None and ended.code not in codes,
        "error of several lines": len(lines) > (4 if interrupted else 1),
    }
    if ended.code == 2:
        found["error without a clear word"] = bool(names) and not any(name in ended.err for name in names)
    if interrupted and "Traceback" in ended.err and f"{ROOT / 'numpy_setlstm'}{os.sep}" not in ended.err:
        return {"hang"} if found["hang"] else set()  # Python was still starting; nobody can do anything about it
    return {name for name, is_so in found.items() if is_so}


# What undisturbed runs made


class World:
    """A data set, and what undisturbed runs of each kind make of it and how many seconds they take."""

    def __init__(self, folder):
        self.folder, self.home = folder, folder / "data"
        self._make_data()
        self._known = {}

    def files(self, name):
        """Contents of the files that an undisturbed run makes, by name."""
        return self._undisturbed(name)[0]

    def seconds(self, name):
        return self._undisturbed(name)[1]

    def lines(self):
        """How many lines run while a model is saved three times."""
        if "lines" not in self._known:
            folder = self.folder / "lines"
            folder.mkdir()
            self._known["lines"] = int(run(script(FIT + SAVING, folder / "model.npz", 3, 0, "count"), folder).out)
        return self._known["lines"]

    def _undisturbed(self, name):
        if name not in self._known:
            place = self.folder / name.replace(" ", "_")
            output = place / "run"
            place.mkdir()
            kind, *numbers = name.split()
            if kind == "fit":
                output.mkdir()
                line = script(FIT + FIT_ONCE, output / "model.npz", EPOCHS)
            else:
                line = getattr(self, kind)(output, *map(int, numbers))
            begin = time.monotonic()
            ended = run(line, place)
            assert ended.code == 0 and not ended.err, (name, ended.code, ended.err)
            self._known[name] = files_of(output), time.monotonic() - begin
        return self._known[name]

    def _make_data(self):
        import numpy as np

        from numpy_setlstm.datasets import make_reviews

        texts, labels = make_reviews(60, np.random.default_rng(0))
        (self.home / "sanders").mkdir(parents=True)
        rows = ['"Topic","Sentiment","TweetId","TweetDate","TweetText"']
        for k, (text, label) in enumerate(zip(texts, labels, strict=True)):
            rows.append(f'"a","{("negative", "positive")[label]}","{k}","Tue Oct 18 21:53:25 +0000 2011","{text}"')
        (self.home / "sanders" / "full-corpus.csv").write_text("\r\n".join(rows) + "\r\n", newline="")

    def train(self, output, epochs=EPOCHS, seed=SEED, before=""):
        """The command line that trains, or goes on if there is a model."""
        line = [*command(before), "train", "--dataset", "sanders", "--data-home", str(self.home), *SMALL]
        line += ["--epochs", str(epochs), "--jobs", "1", "--output", str(output), "--batch-size", "16"]
        return line + (["--resume"] if (Path(output) / "model.npz").is_file() else ["--seed", str(seed)])

    def compare(self, output, before="", workers=2):
        return [*command(before), "compare", *GRID, "--workers", str(workers), "--output", str(output)]

    def demo(self, output):
        tiny = "from numpy_setlstm.lab.experiment import demo as d; d.DEMO_TRAIN, d.DEMO_TEST = 300, 50; "
        tiny += "d.DEMO_PARAMETERS.update(embedding_dim=8, hidden_size=8, n_epochs=4); print('ready', flush=True)"
        return [*command(tiny), "demo", "--output", str(output)]

    def judge(self, name, output, story):
        """What is bad about the files that are there in the end; the story tells which."""
        wanted, there = self.files(name), files_of(output)
        found = set()
        if there.keys() - wanted.keys():
            found.add("half-written file left")
            story.append(f"left: {sorted(there.keys() - wanted.keys())}")
        for path, contents in wanted.items():
            if path.endswith(".npz"):
                bad = {"model lost"} if there.get(path) is None else {"model altered"}
            else:
                bad = {"result lost or altered"}
            if there.get(path) != contents:
                found |= bad
                story.append(f"bad: {path}")
        return found


def files_of(folder):
    """Contents of all files below a folder, by name: models and results without times, others as bytes."""
    return {str(path.relative_to(folder)): contents_of(path) for path in folder.rglob("*") if path.is_file()}


def contents_of(path):
    """Contents that can be compared; None if they cannot be read."""
    try:
        if path.suffix == ".npz":
            return model_of(path)
        if path.suffix == ".json":  # a model that was loaded does not know its seed
            return without_times(json.loads(re.sub(r", random_state=\d+", "", path.read_text())))
        if path.suffix in (".md", ".csv"):
            return len(path.read_text().splitlines())  # the tables have times
        return path.read_bytes()
    except (ValueError, OSError):
        return None


def model_of(path):
    from numpy_setlstm import SetLSTMClassifier
    from numpy_setlstm.checkpoint import load_arrays

    SetLSTMClassifier.load(path)
    header, arrays = load_arrays(path)
    header = without_times({name: value for name, value in header.items() if name not in ("digest", "interrupted")})
    return json.dumps(header, sort_keys=True), {name: array.tobytes() for name, array in arrays.items()}


def without_times(document):
    if isinstance(document, dict):
        return {key: without_times(value) for key, value in document.items() if key not in (*TIMES, "versions")}
    return [without_times(part) for part in document] if isinstance(document, list) else document


def epochs_in(path):
    """How many epochs the model at a path was trained, 0 if there is none; None if it cannot be read."""
    if not path.is_file():
        return 0
    contents = contents_of(path)
    return None if contents is None else json.loads(contents[0])["epoch"]


# Kills


def draw_signals(draw, seconds, *, first=0.0):
    name = draw.choice(list(SIGNALS))
    moments = sorted(draw.uniform(first, seconds) for _ in SIGNALS[name])
    if len(moments) == 2 and draw.random() < 0.5:  # an impatient user
        moments[1] = moments[0] + draw.uniform(0, 0.05)
    text = f"{name} at {', '.join(f'{moment:.3f}' for moment in moments)} s"
    return text, SIGNALS[name], moments


def codes_after(signals):
    return (0, 130) if signals[0] == signal.SIGINT else (0, -signals[0])


def kill_train(draw, world, folder):
    """`train`, killed up to three times, goes on to the same model, results and pictures."""
    output, name = folder / "run", f"train {EPOCHS} {SEED}"
    found, story, done = set(), [], 0
    for _ in range(draw.choice([1, 1, 2, 3])):
        text, signals, moments = draw_signals(draw, world.seconds(name))
        ended = finish(start(world.train(output), folder), signals, moments)
        story.append(f"{text}: {ended.code} {ended.err!r}")
        found |= judge_end(ended, codes=codes_after(signals), interrupted=signals[0] == signal.SIGINT)
        epochs = epochs_in(output / "model.npz")
        if epochs is None or epochs < done:
            found.add("model lost")
        done = epochs or 0
    ended = run(world.train(output), folder)
    story.append(f"then {ended.code} {ended.err!r}")
    return found | judge_end(ended, codes=[0]) | world.judge(name, output, story), story


def kill_fit(draw, world, folder):
    """A script that calls fit(checkpoint_path=...)."""
    output = folder / "run"
    output.mkdir()
    line = script(FIT + FIT_ONCE, output / "model.npz", EPOCHS)
    text, signals, moments = draw_signals(draw, world.seconds("fit"), first=0.3)
    ended = finish(start(line, folder), signals, moments)
    interrupted = signals[0] == signal.SIGINT
    codes = (*codes_after(signals), *([1, -signal.SIGINT] if interrupted else []))
    found = judge_end(ended, codes=codes, interrupted=interrupted)
    if interrupted and ended.err.rstrip().endswith("KeyboardInterrupt"):
        found -= {"traceback", "error of several lines"}  # of the script, while it imported or loaded
    again = run(line, folder)
    story = [f"{text}: {ended.code} {ended.err!r}", f"then {again.code} {again.err!r}"]
    return found | judge_end(again, codes=[0]) | world.judge("fit", output, story), story


def kill_saving(draw, world, folder):
    """fit(checkpoint_path=...), killed or interrupted at a line of the code that writes the model."""
    output, target, action = folder / "run", draw.randrange(1, world.lines()), draw.choice(["kill", "interrupt"])
    output.mkdir()
    ended = run(script(FIT + SAVING, output / "model.npz", 3, target, action), folder)
    found = judge_end(ended, codes=(0, -signal.SIGKILL))
    again = run(script(FIT + FIT_ONCE, output / "model.npz", EPOCHS), folder)
    story = [
        f"{action} at line {target} of {world.lines()}: {ended.code} {ended.err!r}",
        f"then {again.code} {again.err!r}",
    ]
    return found | judge_end(again, codes=[0]) | world.judge("fit", output, story), story


def kill_compare(draw, world, folder):
    """`compare`, killed, and started again at once."""
    output = folder / "run"
    text, signals, moments = draw_signals(draw, world.seconds("compare"))
    wait = draw.random() < 0.3
    ended = finish(start(world.compare(output), folder), signals, moments, patient=wait)
    found = judge_end(ended, codes=codes_after(signals), interrupted=signals[0] == signal.SIGINT)
    again = run(world.compare(output), folder)
    story = [f"{text}: {ended.code} {ended.err!r}", f"then {again.code} {again.out[-1500:]!r} {again.err!r}"]
    return found | judge_end(again, codes=[0]) | world.judge("compare", output, story), story


def kill_demo(draw, world, folder):
    """`demo`, killed, and run again into the same folder."""
    output = folder / "run"
    process = start(world.demo(output), folder)
    process.stdout.readline()
    text, signals, moments = draw_signals(draw, world.seconds("demo"))
    ended = finish(process, signals, moments)
    found = judge_end(ended, codes=codes_after(signals), interrupted=signals[0] == signal.SIGINT)
    again = run(world.demo(output), folder)
    story = [f"{text}: {ended.code} {ended.err!r}", f"then {again.code} {again.err!r}"]
    return found | judge_end(again, codes=[0]) | world.judge("demo", output, story), story


# Disks


def check_disk(world, folder, ended, output, story, *, before, names=("model.npz", "run")):
    """An error in one line, the old model as it was, nothing half-written; and with room again, all goes on."""
    found = judge_end(ended, codes=(0, 2), names=names)
    if before is not None:
        there = contents_of(output / "model.npz") if output.is_dir() else None
        epochs = json.loads(there[0])["epoch"] if there else -1
        if there is None or (epochs == json.loads(before[0])["epoch"] and there != before):
            found.add("model lost")
    if any(".part" in path.name or path.suffix == ".lock" for path in folder.rglob("*")):
        found.add("half-written file left")
    found |= {"result lost or altered" for path in folder.rglob("*.json") if contents_of(path) is None}
    again = run(world.train(output), folder)
    story.append(f"then {again.code} {again.err!r}")
    return found | judge_end(again, codes=[0]) | world.judge(f"train {EPOCHS} {SEED}", output, story)


def begin_training(draw, world, output):
    """Sometimes there is a model of some epochs already; return its contents."""
    if draw.random() < 0.3:
        return None
    line = world.train(output)
    line[line.index("--epochs") + 1] = str(draw.randrange(1, EPOCHS))
    ended = run(line, output.parent)
    assert ended.code == 0, ended.err
    return contents_of(output / "model.npz")


def disk_limit(draw, world, folder):
    """No file may be larger than some bytes."""
    output = folder / "run"
    before = begin_training(draw, world, output)
    size = draw.choice([0, 10, draw.randrange(2000), draw.randrange(40_000), draw.randrange(200_000)])
    ended = run(world.train(output), folder, file_size=size)
    story = [f"{size} bytes: {ended.code} {ended.err!r}"]
    return check_disk(world, folder, ended, output, story, before=before), story


def disk_injected(draw, world, folder):
    """Writing fails after some bytes, or making them permanent does, or writing into the lock."""
    output, fails_at = folder / "run", draw.choice(["write", "write", "write", "fsync", "lock"])
    before = begin_training(draw, world, output)
    room = draw.randrange(400_000) if fails_at == "write" else 10**9
    ended = run(world.train(output, before=FULL.format(room=room, fails_at=fails_at)), folder)
    story = [f"{fails_at} fails after {room} bytes: {ended.code} {ended.err!r}"]
    found = {"exit code"} if ended.code == 0 and fails_at == "fsync" else set()
    return found | check_disk(world, folder, ended, output, story, before=before), story


def disk_small(draw, world, folder):
    """A file system of some kilobytes."""
    disk, saved = folder / "disk", folder / "run"
    disk.mkdir(), saved.mkdir()
    before = begin_training(draw, world, saved)
    used = 4 * sum(path.stat().st_size // 4096 + 2 for path in saved.iterdir())
    kilobytes = used + 8 + draw.choice([0, 4, 16, draw.randrange(60), draw.randrange(300)])
    arrange = f'place="$0"; saved="$1"; shift; mount -t tmpfs -o size={kilobytes}k none "$place" || exit 77; '
    arrange += 'cp -a "$saved"/. "$place"/ || exit 77; "$@"; code=$?; '
    arrange += 'rm -rf "$saved"; mkdir "$saved"; cp -a "$place"/. "$saved"/; exit $code'
    line = world.train(disk)
    if before is not None:
        seed = line.index("--seed")
        line[seed : seed + 2] = ["--resume"]
    ended = run(["unshare", "-rm", "sh", "-c", arrange, str(disk), str(saved), *line], folder)
    story = [f"{kilobytes} kB: {ended.code} {ended.err!r}"]
    if ended.code == 77 or "unshare" in ended.err:
        return set(), ["not possible: " + story[0]]
    return check_disk(world, folder, ended, saved, story, before=before, names=[str(disk)]), story


def disk_read_only(draw, world, folder):
    """The folder, or the one above it, may not be written into."""
    output = folder / "run"
    before = begin_training(draw, world, output)
    closed = output if output.exists() and draw.random() < 0.7 else folder
    closed.chmod(0o555)
    ended = run(world.train(output), folder, powerless=True)
    closed.chmod(0o755)
    story = [f"{closed.name} is read-only: {ended.code} {ended.err!r}"]
    found = {"exit code"} if closed == output and ended.code == 0 else set()
    return found | check_disk(world, folder, ended, output, story, before=before), story


def disk_vanishes(draw, world, folder):
    """The folder is moved away or removed while training goes on, and perhaps there is a new one."""
    output, away = folder / "run", folder / "away"
    process = start(world.train(output, epochs=100_000), folder)
    await_file(output / "model.npz", process)
    time.sleep(draw.uniform(0, 0.1))
    way = draw.choice(["moved", "moved", "removed", "replaced"])
    for _ in range(100):
        with contextlib.suppress(OSError):
            shutil.rmtree(output) if way == "removed" else output.rename(away)
            break
    if way == "replaced":
        output.mkdir()
        time.sleep(draw.uniform(0.1, 0.3))
        process.send_signal(signal.SIGINT)
    ended = finish(process)
    words = ["there is no folder", "it was not written", f"directory: '{output}'"]
    found = judge_end(ended, codes=(130, 2), interrupted=way == "replaced", names=words)
    if away.exists() and contents_of(away / "model.npz") is None:
        found.add("model lost")
    if away.exists() and way == "moved":  # what was being written when it was moved is removed by the next training
        found |= judge_end(run(resumed(world.train(away), world, away), folder), codes=(0, 2))
    found |= {"half-written file left" for path in folder.rglob("*") if ".part" in path.name}
    return found, [f"{way}: {ended.code} {ended.err!r}"]


def resumed(line, world, output):
    """The line, for one epoch more than the model at `output` has."""
    line[line.index("--epochs") + 1] = str((epochs_in(output / "model.npz") or 0) + 1)
    return line


def disk_other_thing(draw, world, folder):
    """There is a folder, a device or a dangling link where a file is to be written."""
    output = folder / "run"
    before = begin_training(draw, world, output)
    output.mkdir(exist_ok=True)
    names = ["results.json", "learning_curves.png", "connections.png", "evolution.gif", "model.npz.lock"]
    name, kind = (
        draw.choice([*names, "model.npz"] if before is None else names),
        draw.choice(["folder", "device", "link"]),
    )
    place = output / name
    place.unlink(missing_ok=True)
    if kind == "folder":
        place.mkdir()
    else:
        place.symlink_to("/dev/full" if kind == "device" else folder / "nowhere" / "file")
    ended = run(world.train(output), folder)
    found = judge_end(ended, codes=(0, 2) if kind == "link" else [2], names=[name, "nowhere"])
    place.rmdir() if kind == "folder" else place.unlink(missing_ok=True)
    story = [f"{name} is a {kind}: {ended.code} {ended.err!r}"]
    return found | check_disk(world, folder, ended, output, story, before=before, names=[name, "nowhere"]), story


def disk_becomes_folder(draw, world, folder):
    """During training the model is moved away and a folder takes its place."""
    output = folder / "run"
    process = start(world.train(output, epochs=100_000), folder)
    await_file(output / "model.npz", process)
    time.sleep(draw.uniform(0, 0.1))
    (output / "model.npz").rename(output / "kept.npz")
    for _ in range(1000):
        try:
            (output / "model.npz").mkdir()
            break
        except FileExistsError:
            (output / "model.npz").unlink()
    ended = finish(process)
    found = judge_end(ended, codes=[2], names=["model.npz"])
    if contents_of(output / "kept.npz") is None:
        found.add("model lost")
    found |= {"half-written file left" for path in folder.rglob("*") if ".part" in path.name or path.suffix == ".lock"}
    return found, [f"model.npz became a folder: {ended.code} {ended.err!r}"]


def disk_compare(draw, world, folder):
    """`compare` on a full disk, then with room and --retry-failed."""
    output, size = folder / "run", draw.choice([0, draw.randrange(3000), draw.randrange(30_000)])
    ended = run(world.compare(output), folder, file_size=size)
    found = judge_end(ended, codes=(0, 2), names=["run", ".json", ".npz", "processes could not be started"])
    found |= {"half-written file left" for path in folder.rglob("*") if ".part" in path.name}
    again = run([*world.compare(output), "--retry-failed"], folder)
    story = [f"{size} bytes: {ended.code} {ended.err!r}", f"then {again.code} {again.out[-1500:]!r} {again.err!r}"]
    return found | judge_end(again, codes=[0]) | world.judge("compare", output, story), story


def disk_output(draw, world, folder):
    """Standard output is full: the model is there all the same."""
    output = folder / "run"
    with open("/dev/full", "w") as full:
        ended = run(world.train(output), folder, stdout=full)
    story = [f"{ended.code} {ended.err!r}"]
    found = judge_end(ended, codes=[2])
    return found | check_disk(world, folder, ended, output, story, before=None, names=()), story


def await_file(path, process):
    end = time.monotonic() + SECONDS
    while not path.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)


# Pairs


def start_pair(draw, first, second, folder, seconds):
    """Start two processes, the second some time after the first; return how both ended."""
    delay = draw.choice([0.0, draw.uniform(0, 0.1), draw.uniform(0, seconds)])
    processes = [start(first, folder)]
    time.sleep(delay)
    processes.append(start(second, folder))
    ends = [finish(process) for process in processes]
    return ends, [f"after {delay:.3f} s"] + [f"{ended.code} {ended.out[-700:]!r} {ended.err!r}" for ended in ends]


def pair_train(draw, world, folder):
    """Two `train` with different seeds into one folder: one of them makes its model, the other is refused."""
    output, epochs = folder / "run", draw.choice([1, 1, EPOCHS])
    lines = [world.train(output, epochs, seed) for seed in (SEED, SEED + 1)]
    ends, story = start_pair(draw, *lines, folder, world.seconds(f"train {epochs} {SEED}"))
    found = set().union(*(judge_end(ended, codes=(0, 2), names=REFUSALS) for ended in ends))
    winners = [seed for seed, ended in zip((SEED, SEED + 1), ends, strict=True) if ended.code == 0]
    if len(winners) != 1:
        found.add("model lost")
    return found | world.judge(f"train {epochs} {winners[0] if winners else SEED}", output, story), story


def pair_resume(draw, world, folder):
    """Two `train --resume` of one model, to different numbers of epochs: what either has trained is not lost."""
    output, few = folder / "run", draw.choice([2, 3, EPOCHS - 1])
    ended = run(world.train(output, 1), folder)
    assert ended.code == 0, ended.err
    lines = [world.train(output, epochs) for epochs in draw.sample([few, EPOCHS], 2)]
    ends, story = start_pair(draw, *lines, folder, world.seconds(f"train {EPOCHS} {SEED}"))
    found = set().union(*(judge_end(ended, codes=(0, 2), names=REFUSALS) for ended in ends))
    reached = max(
        int(line[line.index("--epochs") + 1]) for line, ended in zip(lines, ends, strict=True) if ended.code == 0
    )
    if epochs_in(output / "model.npz") != reached:
        found.add("model lost")
    ended = run(world.train(output), folder)
    story += [f"then {ended.code} {ended.err!r}"]
    return found | judge_end(ended, codes=[0]) | world.judge(f"train {EPOCHS} {SEED}", output, story), story


def pair_fit(draw, world, folder):
    """Two scripts with fit(checkpoint_path=the same)."""
    output = folder / "run"
    output.mkdir()
    line = script(FIT + FIT_ONCE, output / "model.npz", EPOCHS)
    ends, story = start_pair(draw, line, line, folder, world.seconds("fit"))
    found = set().union(*(judge_end(ended, codes=(0, 1)) for ended in ends))
    for ended in ends:
        if ended.code == 1 and "is being written by" not in ended.err:
            found.add("error without a clear word")
    return found | world.judge("fit", output, story), story


def pair_compare(draw, world, folder):
    """Two `compare` share a folder, as docs/comparing.md allows: both end well, with all results."""
    output = folder / "run"
    lines = [world.compare(output, workers=draw.choice([1, 2])) for _ in range(2)]
    ends, story = start_pair(draw, *lines, folder, world.seconds("compare"))
    found = set().union(*(judge_end(ended, codes=[0]) for ended in ends))
    if any(" failed" in ended.out for ended in ends):
        found.add("result lost or altered")
    return found | world.judge("compare", output, story), story


def pair_predict(draw, world, folder):
    """`predict`, and loading in a loop, of a model that a training replaces all the time."""
    output = folder / "run"
    training = start(world.train(output, epochs=100_000), folder)
    await_file(output / "model.npz", training)
    loads = "from numpy_setlstm import SetLSTMClassifier\nfor _ in range(50): SetLSTMClassifier.load(sys.argv[1])"
    reader = start(script(loads, output / "model.npz"), folder)
    lines = [[*command(), "predict", str(output / "model.npz"), "the soup was awful"] for _ in range(2)]
    ends = [run(line, folder) for line in lines] + [finish(reader)]
    training.send_signal(signal.SIGINT)
    ended = finish(training)
    found = set().union(*(judge_end(end, codes=[0]) for end in ends))
    found |= judge_end(ended, codes=[130], interrupted=True)
    if contents_of(output / "model.npz") is None:
        found.add("model lost")
    found |= {"half-written file left" for path in folder.rglob("*") if ".part" in path.name or path.suffix == ".lock"}
    return found, [f"{end.code} {end.out[-200:]!r} {end.err!r}" for end in [*ends, ended]]


KILLS = [kill_train] * 9 + [kill_saving] * 5 + [kill_fit] * 3 + [kill_compare] * 4 + [kill_demo]
DISKS = [disk_limit, disk_injected, disk_small, disk_read_only, disk_vanishes, disk_other_thing, disk_becomes_folder]
DISKS += [disk_compare, disk_output]
PAIRS = [pair_train, pair_resume, pair_fit, pair_compare, pair_predict]


def schedule(draw, moments):
    """The kinds of bad luck in turn: each as often as in its list, in random order."""
    decks = {"kill": [], "disk": [], "pair": []}

    def deal(name, cards):
        if not decks[name]:
            decks[name] = draw.sample(cards, len(cards))
        return decks[name].pop()

    for k in range(moments):
        yield deal("kill", KILLS)
        if k % 3 == 2:
            yield deal("disk", DISKS)
        if k % 6 == 5:
            yield deal("pair", PAIRS)


def main():
    """Attack, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="the kinds with this in their name, as in compare")
    parser.add_argument("--show", action="store_true", help="what each one did")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        stack.callback(lambda: [process.kill() for process in STARTED])
        return attack(Path(folder).resolve(), options)


def attack(folder, options):
    """Attack in a folder; return the exit code."""
    draw, wrong, kinds, started = random.Random(options.seed), Counter(), Counter(), time.monotonic()
    world = World(folder)
    for k, kind in enumerate(schedule(draw, options.moments)):
        luck, place = random.Random(f"{options.seed} {k}"), world.folder / str(k)
        if options.only and options.only not in kind.__name__:
            continue
        place.mkdir()
        found, story = kind(luck, world, place)
        kinds[kind.__name__ if not story[0].startswith("not possible") else "not possible here"] += 1
        wrong.update(found)
        if options.show or found:
            print(f"{k}: {kind.__name__}: {', '.join(sorted(found)) or 'well'}", *story, sep="\n   ", flush=True)
        shutil.rmtree(place, ignore_errors=True)
    print("\n".join(f"{name.replace('_', ' '):<26} {n:4d}" for name, n in sorted(kinds.items())))
    print(*(f"{name:<26} {wrong[name]:4d}" for name in BAD), sep="\n")
    minutes = (time.monotonic() - started) / 60
    print(f"{sum(kinds.values())} times bad luck, in {minutes:.1f} minutes: {sum(wrong.values())} faults")
    return int(sum(wrong.values()) > 0)


if __name__ == "__main__":
    sys.exit(main())
