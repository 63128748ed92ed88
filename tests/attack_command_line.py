"""Attack the command line: odd options, paths, streams, locales, folders, and Ctrl-C at random moments.

    python tests/attack_command_line.py --lines 230 --seed 0

Each line is a process. Counted are tracebacks, processes that do not end, exit codes other than 0, 1, 2 and 130, errors
longer than one line, and files of the current folder that were executed. The script ends with 1 if there is any.
"""

import argparse
import os
import random
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 120  # after which a process hangs
MEMORY = 6 * 2**30  # bytes of address space per process
CODES = (0, 1, 2, 130)
TRAPS = ("json", "scipy", "numpy", "joblib", "torch", "argparse", "struct", "random", "sitecustomize")

NUMBERS = ["-1", "0", "1", "3", "1e400", "-1e400", "nan", "inf", "9" * 30, "9" * 5000, "1.5", "abc", "", "٣", "1_0"]
PATHS = ["", " ", ".", "/dev/null", "/dev/full", "/proc", "a/b/c", "a_file", "a\nb", b"\xff\xfe", "x" * 300, "~", "é"]
TEXTS = ["the soup was awful", "", "zzzz qqqq", "\U0001f600 é अच्छी", b"caf\xe9", "a\nb", "-x", "\u2028", "good " * 2000]
CHOICES = ["set", "dense", "static", "nonsense", "", "é"]
STREAMS = ["", "", "", "<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", "| head -1", "2>&1 | head -1"]
LOCALES = {
    "": {},
    "ASCII": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "cp1252": {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
    "ascii streams": {"PYTHONIOENCODING": "ascii"},
}
SMALL = "--embedding-dim 8 --hidden-size 8 --parameter-share 0.3 --epochs 2 --max-length 30".split()
WORK = "--vocabulary 50 --embedding-dim 7 --hidden 9 --length 6 --batch 5 --repeats 1".split()
WORK += "--parameter-share 0.2 --time-limit 1 --threads 1".split()
GRID = "--datasets demo --connectivities static --set hidden_size=4 --set embedding_dim=4".split()
GRID += "--set er_epsilon=2 --set n_epochs=1 --set train_texts=40 --set test_texts=20 --workers 1".split()


class Line:
    """One command line: its arguments, streams, locale, standard input and moments of Ctrl-C, all drawn at random."""

    def __init__(self, draw, folder, *, early_signals):
        kinds = [nothing, help_, demo, train, train, predict, predict, gradcheck, benchmark, compare, shares]
        self.arguments = draw.choice(kinds)(draw, folder)
        self.streams = draw.choice(STREAMS)
        self.locale = draw.choice(list(LOCALES))
        self.input = draw.choice([b"", b"the soup was awful\n", b"caf\xe9\n", "\ufeffé\r\nx".encode(), b"\n" * 5])
        self.moments = []
        if self.arguments[:1] == ["demo"] and "2" in self.streams:
            self.streams = ""
        if "2" in self.streams:  # a traceback would not be seen
            return
        if draw.random() < 0.4 or self.arguments[:1] == ["demo"]:  # a demo takes long
            first, last = (0, draw.choice([1, 5])) if early_signals else (5, 7)
            self.moments = sorted(draw.uniform(first, last) for _ in range(draw.choice([1, 1, 2])))

    def __str__(self):
        words = " ".join(shlex.quote(os.fsdecode(word)) for word in self.arguments)
        extras = [self.streams, self.locale, *(f"Ctrl-C at {moment:.2f} s" for moment in self.moments)]
        return f"numpy-setlstm {words[:300]}   " + ", ".join(filter(None, extras))


def odd(draw, option, values, chance=0.15):
    """Sometimes an option with a strange value."""
    return [option, draw.choice(values)] if draw.random() < chance else []


def nothing(draw, folder):
    return draw.choice([[], ["--version"], ["nonsense"], ["--"], ["-x"], [""], ["@file"], [b"\xff"]])


def help_(draw, folder):
    return [*draw.choice([[], ["demo"], ["train"], ["compare"], ["benchmark"], ["predict"], ["shares"]]), "--help"]


def demo(draw, folder):
    return ["demo", *odd(draw, "--seed", NUMBERS, 0.4), *odd(draw, "--output", PATHS, 0.4)]


def train(draw, folder):
    table = str(folder / "data" / "sanders" / "full-corpus.csv")
    line = ["train", "--dataset", draw.choice(["sanders", "sanders", "sanders", table, "yelp", "a.csv", "nonsense"])]
    line += odd(draw, "--label-column", ["Sentiment", "1", "-1", "99", "", "é", "9" * 5000], 0.1)
    line += ["--data-home", draw.choice([*[str(folder / "data")] * 5, *PATHS]), *SMALL]
    line += ["--output", draw.choice([*["run"] * 5, *PATHS])]
    for option in ("--seed", "--epochs", "--zeta", "--hidden-size", "--jobs", "--learning-rate", "--dropout"):
        line += odd(draw, option, NUMBERS, 0.1)
    return line + odd(draw, "--connectivity", CHOICES) + draw.choice([[], [], ["--resume"]])


def predict(draw, folder):
    model = draw.choice([*[str(folder / "trained" / "model.npz")] * 5, *PATHS])
    texts = draw.sample(TEXTS, draw.randrange(4))
    return ["predict", *draw.choice([[], ["--accept-unknown"]]), model, *draw.choice([[], ["--"]]), *texts]


def gradcheck(draw, folder):
    options = ("--seed", "--texts", "--words", "--classes", "--parameter-share", "--hidden-size")
    line = [word for option in options for word in odd(draw, option, NUMBERS)]
    return ["gradcheck", *line, *odd(draw, "--method", ["complex", "nonsense", ""]), *odd(draw, "--output", PATHS, 0.3)]


def benchmark(draw, folder):
    line = ["benchmark", "--output", draw.choice([*["bench"] * 5, *PATHS]), *WORK, "--max-hidden", "256"]
    line += ["--peers", draw.choice(["", "scipy", "textbook", "nonsense"])]
    for option in ("--seed", "--repeats", "--threads", "--time-limit", "--max-hidden", "--rows", "--hidden"):
        line += odd(draw, option, NUMBERS, 0.07)
    return line


def compare(draw, folder):
    line = ["compare", "--output", draw.choice([*["grid"] * 5, *PATHS])]
    others = [["--report-only"], ["--grid", draw.choice(PATHS)], ["--quick", "--report-only"]]
    line += draw.choice([GRID, GRID, GRID, *others])
    line += odd(draw, "--seeds", ["1", "100000000", "0,0", "-1", "a", "", "9" * 5000, "٣"], 0.3)
    line += odd(draw, "--set", ["zeta=nan", "zeta", "=", "zeta=0.1,0.1", "é=1", "hidden_size=1e400", "n_epochs=-1"])
    return line + odd(draw, "--page", PATHS, 0.1) + odd(draw, "--workers", ["0", "-1", "nan"], 0.1)


def shares(draw, folder):
    line = [draw.choice(["search", "shares"]), "--output", draw.choice([*["shares"] * 5, *PATHS])]
    line += draw.choice(
        [["--report-only"], ["--datasets", "demo", "--connectivities", draw.choice(["", "sets", "tfidf"])]]
    )
    for option in ("--shares", "--share", "--trials", "--workers"):
        line += odd(draw, option, NUMBERS, 0.2)
    line += odd(draw, "--seeds", ["1", "100000000", "0,0", "-1", "a", ""], 0.2)
    line += odd(draw, "--set", ["zeta=nan", "zeta", "=", "hidden_size=1e400"], 0.2)
    return line + odd(draw, "--page", PATHS, 0.1)


def prepare(folder):
    """A data set, a model trained on it, and a folder whose files have the names of modules."""
    sys.path.insert(0, str(ROOT / "tests"))
    import numpy as np

    from numpy_setlstm.datasets import make_reviews

    texts, labels = make_reviews(60, np.random.default_rng(0))
    home = folder / "data" / "sanders"
    home.mkdir(parents=True)
    rows = ['"Topic","Sentiment","TweetId","TweetDate","TweetText"']
    for k, (text, label) in enumerate(zip(texts, labels, strict=True)):
        rows.append(f'"a","{("negative", "positive")[label]}","{k}","Tue Oct 18 21:53:25 +0000 2011","{text}"')
    (home / "full-corpus.csv").write_text("\r\n".join(rows) + "\r\n", newline="")
    options = ["--dataset", "sanders", "--data-home", home.parent, "--output", folder / "trained", *SMALL]
    subprocess.run([*command(), "train", *map(str, options)], cwd=ROOT, check=True, capture_output=True)


def set_traps(folder):
    """Make the current folder of a process: files that leave a trace when executed, and one that is no folder."""
    folder.mkdir()
    for name in TRAPS:
        (folder / f"{name}.py").write_text(f"open({str(folder / 'executed')!r}, 'a').write({name!r})\n")
    (folder / "a_file").write_text("a,b\n")


def command():
    """What the console script of an installed package does."""
    code = f"import sys; sys.path[:] = [p for p in sys.path if p] + [{str(ROOT)!r}]; sys.argv[0] = 'numpy-setlstm'; "
    return [sys.executable, "-c", code + "from numpy_setlstm.__main__ import main; sys.exit(main())"]


def run(line, folder):
    """Run a line; return what is wrong with how it ended, a set of str, and its standard error."""
    set_traps(folder)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"OPENBLAS_NUM_THREADS": "1", **LOCALES[line.locale]}
    closed = [number for number, sign in ((0, "<&-"), (1, ">&-"), (2, "2>&-")) if sign in line.streams.split()]

    def arrange():
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in closed:
            os.close(number)

    with open(folder / "err", "w+b") as err, open("/dev/full", "wb") as full, open(folder / "in", "w+b") as text:
        text.write(line.input), text.seek(0)
        head = line.streams.endswith("| head -1")
        stdout = subprocess.PIPE if head else full if line.streams == ">/dev/full" else subprocess.DEVNULL
        stderr = subprocess.STDOUT if "2>&1" in line.streams else full if line.streams == "2>/dev/full" else err
        start = time.monotonic()
        process = subprocess.Popen(
            [*command(), *line.arguments], cwd=folder, env=environment, stdin=text, stdout=stdout, stderr=stderr,
            preexec_fn=arrange, start_new_session=True,
        )  # fmt: skip
        first_line = b""
        try:
            for moment in line.moments:
                wait_until(process, start + moment)
                process.send_signal(signal.SIGINT)
            if head:
                first_line = process.stdout.readline()
                process.stdout.close()
            code = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        err.seek(0)
        message = (first_line if "2>&1" in line.streams else b"") + err.read()
    return judge(line, code, message.decode("utf8", "replace"), (folder / "executed").exists()), message


def wait_until(process, moment):
    while process.poll() is None and time.monotonic() < moment:
        time.sleep(0.01)


def judge(line, code, message, executed):
    """What is wrong with the end of a process, a set of str."""
    stopped = "interrupted" in message or "stopping" in message  # it was the package that ended; a worker may complain
    if line.moments and not stopped and f"{ROOT / 'numpy_setlstm'}{os.sep}" not in message:
        if code == -signal.SIGINT or "Traceback" in message or "Fatal Python error" in message:
            return {"before Python ran a line of the package"}  # nobody can do anything about it
    found = {
        "traceback": any(sign in message for sign in ("Traceback", "Exception ignored", "Fatal Python error")),
        "hang": code is None,
        "exit code": code is not None and code not in CODES,
        "longer than a line": code == 2 and bool(line.arguments) and len(message.splitlines()) > 1 + bool(line.moments),
        "no message": code == 2 and not message and not line.streams,
        "executed a file": executed,
    }
    return {name for name, is_so in found.items() if is_so}


def main():
    """Attack, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, default=230)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-early-signals", action="store_true", help="Ctrl-C after five seconds at the earliest")
    parser.add_argument("--show", action="store_true", help="each line with its first words on standard error")
    options = parser.parse_args()
    draw, wrong, commands, failed = random.Random(options.seed), Counter(), Counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder).resolve()
        prepare(folder)
        for k in range(options.lines):
            line = Line(draw, folder, early_signals=not options.no_early_signals)
            found, message = run(line, folder / str(k))
            commands[os.fsdecode((line.arguments or ["(none)"])[0])[:20]] += 1
            wrong.update(found)
            if options.show or found:
                excerpt = message[-1500 if found else -300 :]
                print(f"{k}: {line}\n   {', '.join(sorted(found))}\n   {excerpt!r}", flush=True)
    print("lines:", ", ".join(f"{n} {name}" for name, n in commands.most_common()))
    for name in ("traceback", "hang", "exit code", "longer than a line", "no message", "executed a file"):
        failed += wrong[name]
        print(f"{name:<20} {wrong[name]:4d}")
    name = "before Python ran a line of the package"
    print(f"{options.lines} lines, of which {wrong[name]} were interrupted {name}: {failed} faults")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
