"""The command line and the experiments behind it, on a data set of a few made-up reviews."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from numpy_setlstm import SetLSTMClassifier, __main__, cli, network, plotting
from numpy_setlstm.blas import THREAD_VARIABLES
from numpy_setlstm.datasets import make_reviews
from numpy_setlstm.files import locked
from numpy_setlstm.lab.experiment import demo
from numpy_setlstm.lab.experiment.demo import DEMO_PARAMETERS, run_demo
from numpy_setlstm.lab.experiment.results import format_table
from numpy_setlstm.lab.files import write_json

SMALL = [
    "--embedding-dim",
    "8",
    "--hidden-size",
    "8",
    "--parameter-share",
    "0.3",
    "--epochs",
    "2",
    "--max-length",
    "30",
]


@pytest.fixture
def data_home(tmp_path):
    """A folder with a data set in the format of Sanders' corpus, made of synthetic reviews."""
    texts, labels = make_reviews(60, np.random.default_rng(0))
    folder = tmp_path / "data" / "sanders"
    folder.mkdir(parents=True)
    rows = [
        f'"apple","{("negative", "positive")[label]}","{k}","Tue Oct 18 21:53:25 +0000 2011","{text}"'
        for k, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    header = '"Topic","Sentiment","TweetId","TweetDate","TweetText"'
    (folder / "full-corpus.csv").write_text("\r\n".join([header, *rows]) + "\r\n", newline="")
    return folder.parent


def run(capsys, *arguments):
    code = cli.main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def train(data_home, output, *more):
    return ["train", "--dataset", "sanders", "--data-home", data_home, "--output", output, *SMALL, *more]


def standard_input(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


@pytest.mark.parametrize("connectivity", ["set", "static", "dense"])
def test_train_then_predict(capsys, data_home, tmp_path, connectivity):
    output = tmp_path / "runs" / "sanders"  # is made, with its parent
    code, out, err = run(capsys, *train(data_home, output, "--connectivity", connectivity))
    assert code == 0 and err == ""  # quiet when not on a terminal
    assert "connectivity  parameters  share of dense  test accuracy  seconds" in out
    result = json.loads((output / "results.json").read_text())["runs"][0]
    assert result["connectivity"] == connectivity and result["dataset"] == "sanders"
    assert result["epochs"] == 2 and 0 <= result["test_accuracy"] <= 1
    assert result["share"] == 1 if connectivity == "dense" else result["share"] == pytest.approx(0.3, abs=0.005)
    pictures = {path.name for path in output.glob("*.*")} - {"model.npz", "results.json"}
    evolved = {"connections.png", "evolution.gif"} if connectivity == "set" else set()
    assert pictures == {"learning_curves.png"} | evolved

    code, out, _ = run(capsys, "predict", output / "model.npz", "the soup was awful", "the soup was superb")
    lines = [line.split("\t") for line in out.splitlines()]
    assert code == 0 and [line[2] for line in lines] == ["the soup was awful", "the soup was superb"]
    assert {line[0] for line in lines} <= {"negative", "positive"}
    assert all(0.5 <= float(line[1]) <= 1 for line in lines)


def test_the_same_seed_gives_the_same_result(capsys, data_home, tmp_path):
    results = []
    for name in ("a", "b"):
        assert run(capsys, *train(data_home, tmp_path / name))[0] == 0
        clf = SetLSTMClassifier.load(tmp_path / name / "model.npz")
        results.append(clf.network_.parameters["W_h"])
    np.testing.assert_array_equal(results[0].values, results[1].values)
    np.testing.assert_array_equal(results[0].cols, results[1].cols)


def test_resume_trains_on_to_the_weights_of_one_go(capsys, data_home, tmp_path):
    assert run(capsys, *train(data_home, tmp_path / "one", "--epochs", "4"))[0] == 0
    assert run(capsys, *train(data_home, tmp_path / "two"))[0] == 0
    assert run(capsys, *train(data_home, tmp_path / "two", "--epochs", "4", "--resume"))[0] == 0
    one, two = (SetLSTMClassifier.load(tmp_path / name / "model.npz").training_state_ for name in ("one", "two"))
    assert one.epoch == two.epoch == 4
    np.testing.assert_array_equal(one.network.parameters["E"].values, two.network.parameters["E"].values)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send Ctrl-C to one process")
def test_ctrl_c_saves_the_model_and_resume_goes_on(data_home, tmp_path):
    output = tmp_path / "run"
    command = [sys.executable, "-m", "numpy_setlstm", *map(str, train(data_home, output, "--epochs", "100000"))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while not (output / "model.npz").exists():  # written after the first epoch
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "--resume continues" in err and "Traceback" not in err
    epoch = SetLSTMClassifier.load(output / "model.npz").training_state_.epoch
    assert epoch >= 1
    assert cli.main([*map(str, train(data_home, output, "--resume")), "--epochs", str(epoch + 1)]) == 0


# The process: streams, locales, Ctrl-C

MAIN = "import sys; from numpy_setlstm import __main__ as process; "
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
CP1252 = {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}


def start(*arguments, before="", python=(), env=(), **settings):
    """The command line in a process of its own, after the code `before`."""
    code = f"{MAIN}{before}\nsys.exit(process.main())"
    command = [sys.executable, *python, "-c", code, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | settings
    return subprocess.Popen(command, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"} | dict(env), **pipes)


def finish(*arguments, **settings):
    """Exit code, standard output and standard error of :func:`start`."""
    process = start(*arguments, **settings)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model file."""
    texts, labels = make_reviews(40, np.random.default_rng(0))
    path = tmp_path_factory.mktemp("model") / "model.npz"
    sizes = {"embedding_dim": 8, "hidden_size": 8, "er_epsilon": 2, "n_epochs": 1}
    SetLSTMClassifier(**sizes, progress=True, random_state=0).fit(texts, labels).save(path)
    return path


@pytest.mark.parametrize("env", [ASCII, CP1252, {}], ids=["ascii", "cp1252", "default"])
def test_any_text_can_be_predicted_and_help_read_in_any_locale(model, env):
    text = "the soup was awful, \U0001f600 é अच्छी"
    code, out, err = finish("predict", "--accept-unknown", model, text, env=env)
    assert (code, err) == (0, b"")
    if env is CP1252:
        assert "awful, \\U0001f600 é \\u0905" in out.decode("cp1252")
    elif env is ASCII:
        assert "awful, \\U0001f600 \\xe9 \\u0905" in out.decode("ascii")
    code, out, err = finish("train", "--help", env=env)
    assert (code, err) == (0, b"") and b"--er-epsilon" in out


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell's closed streams")
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_streams_may_be_closed(model, closed):
    def close():
        for number in closed:
            os.close(number)

    code, out, err = finish("predict", model, "the soup was awful", preexec_fn=close)
    assert code == 0 and err == b"" and (out == b"") == (1 in closed)
    code, out, err = finish("predict", model, preexec_fn=close)  # reads standard input, which has no line
    assert code == 2 and out == b"" and (2 in closed or err.count(b"\n") == 1 and b"at least one text" in err)


def test_a_reader_that_has_seen_enough_does_not_stop_the_work(tmp_path):
    process = start("gradcheck", "--output", tmp_path)
    first = process.stdout.readline()
    process.stdout.close()
    assert first.startswith(b"dense network") and process.wait(timeout=120) == 0 and process.stderr.read() == b""
    process.stderr.close()
    assert (tmp_path / "step_sizes.png").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["gradcheck", "--method", "complex"]], ids=" ".join)
def test_output_that_cannot_be_written_is_an_error_in_one_line(arguments):
    with open("/dev/full", "w") as full:
        code, _, err = finish(*arguments, stdout=full)
    assert code == 2 and err.count(b"\n") == 1 and b"No space left on device; standard output cannot be" in err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send Ctrl-C to one process")
@pytest.mark.parametrize(
    "before",
    [
        "sys.meta_path.insert(0, type('', (), {'find_spec': lambda self, name, *_: signal.raise_signal(2)})())",
        "import numpy_setlstm.cli as cli; cli.build_parser = lambda: signal.raise_signal(2)",
        "import numpy_setlstm.cli as cli; cli.main = lambda: signal.raise_signal(2)",
        "import numpy_setlstm.cli as cli; cli.main = lambda: atexit.register(signal.raise_signal, 2) and None",
        """
import numpy_setlstm.cli as cli, time
class Lost:
    def __del__(self):
        signal.raise_signal(2)
def main():
    lost = Lost()
    del lost
    time.sleep(60)
cli.main = main
""",
    ],
    ids=["while importing", "in the parser", "anywhere", "while Python ends", "in a destructor"],
)
def test_ctrl_c_ends_the_process_quietly(before):
    code, out, err = finish("--version", before=f"import atexit, signal\n{before}")
    assert code == 130 and out == b"" and err in (b"", b"numpy-setlstm: interrupted\n")


def test_a_mistake_of_the_package_is_one_line_too(capsys, monkeypatch):
    monkeypatch.setattr(cli, "run_demo", lambda *_, **__: {}["nothing"])
    code, _, err = run(capsys, "demo")
    assert code == 2 and err.count("\n") == 1 and "KeyError: 'nothing'; this is a bug" in err
    broken = "import numpy_setlstm.cli as cli; cli.run_demo = None"
    code, _, err = finish("demo", before=broken, python=["-X", "dev"])
    assert code == 2 and b"not callable" in err
    broken = "import numpy_setlstm.cli as cli; cli.run_demo = lambda *_, **__: {}[0]"
    assert b"Traceback" in finish("demo", before=broken, python=["-X", "dev"])[2]


def test_python_m_imports_nothing_from_the_current_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    monkeypatch.chdir(tmp_path)
    __main__.prepare_path()
    assert str(tmp_path) not in sys.path
    root = str(Path(cli.__file__).parent.parent)
    monkeypatch.setattr(sys, "path", [root, "elsewhere"])
    monkeypatch.chdir(root)
    __main__.prepare_path()
    assert sys.path == ["elsewhere", root]  # where the package itself is


def test_without_a_command_the_first_steps_come_first_and_the_help_after_them(capsys):
    code, out, err = run(capsys)
    assert code == 2 and out == "" and "usage: numpy-setlstm" in err
    first_steps = err.split("usage:")[0]
    commands = [
        line.split("  ")[0] for line in first_steps.replace("\n  ", "\n").splitlines() if "numpy-setlstm " in line
    ]
    assert len(commands) == 3
    for command in commands:
        cli.build_parser().parse_args(command.split()[1:])  # exits if the command is wrong


def test_a_missing_library_is_reported_in_one_line_that_says_what_to_do():
    code = "import sys; sys.modules['numpy'] = None; from numpy_setlstm.__main__ import main; sys.exit(main())"
    ran = subprocess.run([sys.executable, "-c", code, "demo"], capture_output=True, text=True)
    assert ran.returncode == 2 and ran.stderr.count("\n") == 1
    assert "numpy" in ran.stderr and "pip install ." in ran.stderr


def test_a_room_whose_library_is_missing_is_not_called_unknown(monkeypatch):
    code = "import sys; sys.modules['matplotlib'] = None; from numpy_setlstm import plotting"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ModuleNotFoundError" in ran.stderr and "matplotlib" in ran.stderr.splitlines()[-1]


@pytest.mark.parametrize(("environment", "command", "expected"), [
    ({}, "demo", "1"),
    ({}, "train", "1"),
    ({"OMP_NUM_THREADS": "2"}, "demo", None),
    ({}, "compare", None),
])  # fmt: skip
def test_demo_and_train_give_blas_one_thread_unless_told_otherwise(environment, command, expected):
    code = (
        "import os, sys; from numpy_setlstm import __main__; __main__.main(); "
        "print(os.environ.get('OPENBLAS_NUM_THREADS'), file=sys.stderr)"
    )
    others = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}
    arguments = [sys.executable, "-c", code, command, "--help"]
    ran = subprocess.run(arguments, capture_output=True, text=True, env=others | environment)
    assert ran.stderr.split() == [str(expected)]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX's signals and limits")
def test_odd_command_lines_end_as_they_should():
    script = Path(__file__).parent / "attack_command_line.py"
    command = [sys.executable, str(script), "--lines", "12", "--seed", "3"]
    attack = subprocess.run(command, capture_output=True, text=True)
    assert attack.returncode == 0, attack.stdout + attack.stderr


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's /proc and signals")
def test_bad_luck_loses_nothing():
    """A short form of ``python tests/attack_luck.py``."""
    script = Path(__file__).parent / "attack_luck.py"
    attack = subprocess.run([sys.executable, str(script), "--moments", "4"], capture_output=True, text=True)
    assert attack.returncode == 0, attack.stdout + attack.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        *(
            ([*command, value], message)
            for command in (["demo", "--seed"], ["gradcheck", "--seed"])
            for value, message in [
                ("-1", "--seed: -1 is negative; expected a whole number of at least 0"),
                ("9" * 5000, "is not a whole number that fits into 64 bits"),
                ("1e400", "'1e400' is not a whole number"),
            ]
        ),
        (["gradcheck", "--parameter-share", "1e400"], "'1e400' is not a finite number"),
        (["train", "--dataset", "sanders", "--output", "x", "--zeta", "nan"], "--zeta: 'nan' is not a finite number"),
        (["train", "--dataset", "sanders", "--output", ""], "--output: '' is empty; expected a file or folder"),
        (["train", "--dataset", "sanders", "--output", "x", "--data-home", " "], "--data-home: ' ' is empty"),
        (["predict", "", "good"], "MODEL: '' is empty"),
        (
            ["compare", "--output", "{tmp}/x", "--datasets", "demo", "--connectivities", "set", "--seeds", "100000000"],
            "there are 100000000 seeds; expected at most 10000",
        ),
        (["train", "--dataset", "netflix", "--output", "{tmp}/x"], "'netflix' is no data set; expected one of imdb"),
        (["train", "--dataset", "sanders"], "required: --output"),
        (["train", "--dataset", "yelp", "--data-home", "{home}", "--output", "{tmp}/x"], "yelp.csv"),
        (["train", "--dataset", "sanders", "--data-home", "{tmp}/nowhere", "--output", "{tmp}/x"], "nowhere"),
        (
            ["train", "--dataset", "sanders", "--data-home", "{home}", "--output", "{tmp}/x", "--zeta", "2"],
            "zeta is 2.0",
        ),
        (
            ["train", "--dataset", "sanders", "--data-home", "{home}", "--output", "{tmp}/x", "--parameter-share", "0"],
            "parameter_share is 0.0",
        ),
        (
            ["train", "--dataset", "sanders", "--data-home", "{home}", "--output", "{tmp}/x", "--resume"],
            "no model file",
        ),
        (["predict", "{tmp}/none.npz", "good"], "there is no model file"),
        (["predict", "{home}/sanders/full-corpus.csv", "good"], "full-corpus.csv is "),
        (["shares", "--output", "{tmp}/x"], "give one of --datasets, --quick and --report-only"),
        (["shares", "--output", "{tmp}/x", "--datasets", "demo", "--shares", "0.1,2"], "parameter_share is 2.0"),
        (["shares", "--output", "{tmp}/x", "--datasets", "demo", "--shares", "x"], "'x' is not a finite number"),
        (["shares", "--output", "{tmp}/x", "--datasets", "demo", "--workers", "0"], "workers is 0"),
        (["shares", "--output", "{tmp}/x", "--report-only", "--page", "{tmp}/none.md"], "none.md"),
        *(
            (["search", "--output", "{tmp}/x", "--datasets", "demo", "--connectivities", *options], message)
            for options, message in [
                (["set", "--trials", "0"], "trials is 0; expected a whole number of at least 1"),
                (["set", "--share", "0"], "parameter_share is 0.0; expected a number in (0, 1]"),
                (["tfidf"], "connectivities has 'tfidf'; expected some of dense, static"),
                (["set", "--seeds", "-1"], "--seeds is '-1'; expected their number"),
                (["set", "--set", "zeta"], "'zeta'"),
            ]
        ),
        (["gradcheck", "--texts", "2"], "texts is 2; expected at least 5"),
        (["gradcheck", "--parameter-share", "0.01"], "parameter_share 0.01 allows"),
        (["gradcheck", "--hidden-size", "four"], "'four' is not a whole number"),
        (["gradcheck", "--seed", "-1"], "--seed: -1 is negative"),
        (["gradcheck", "--method", "forward"], "invalid choice: 'forward'"),
        (["gradcheck", "--method", "complex", "--output", "{home}/sanders/full-corpus.csv"], "full-corpus.csv"),
    ],
)
def test_an_error_is_one_line_and_a_non_zero_exit(capsys, data_home, tmp_path, arguments, message):
    arguments = [argument.format(home=data_home, tmp=tmp_path) for argument in arguments]
    try:
        code, _, err = run(capsys, *arguments)
    except SystemExit as stop:  # told by the parser
        code, err = stop.code, capsys.readouterr().err
    assert code == 2
    assert err.startswith("numpy-setlstm") and ": error: " in err and err.count("\n") == 1 and message in err
    assert not (tmp_path / "x" / "model.npz").exists()


def test_a_trained_model_is_never_overwritten_by_accident(capsys, data_home, tmp_path):
    assert run(capsys, *train(data_home, tmp_path / "run"))[0] == 0
    before = (tmp_path / "run" / "model.npz").read_bytes()
    code, _, err = run(capsys, *train(data_home, tmp_path / "run"))
    assert code == 2 and "--resume" in err
    assert (tmp_path / "run" / "model.npz").read_bytes() == before


def test_resume_refuses_other_settings_than_those_that_training_began_with(capsys, data_home, tmp_path):
    assert run(capsys, *train(data_home, tmp_path / "run"))[0] == 0
    again = ["train", "--dataset", "sanders", "--data-home", data_home, "--output", tmp_path / "run", "--resume"]
    code, _, err = run(capsys, *again, "--zeta", "0.25")
    assert code == 2 and "zeta was 0.1 when training began and is 0.25 now" in err
    code, _, err = run(capsys, *again, "--seed", "3")
    assert code == 2 and "--seed" in err


def test_results_tell_turnover_words_without_connection_and_the_time_of_all_epochs(capsys, data_home, tmp_path):
    assert run(capsys, *train(data_home, tmp_path / "run"))[0] == 0
    assert run(capsys, *train(data_home, tmp_path / "run", "--epochs", "4", "--resume"))[0] == 0
    result = json.loads((tmp_path / "run" / "results.json").read_text())["runs"][0]
    assert result["seconds"] == pytest.approx(sum(result["history"]["seconds"])) and result["epochs"] == 4
    assert list(result["turnover"]["W_h"]) == ["i", "f", "o", "g"]
    assert [len(column) for column in result["turnover"]["W_h"].values()] == [3] * 4
    E = SetLSTMClassifier.load(tmp_path / "run" / "model.npz").network_.parameters["E"]
    assert result["words_without_connection"] == sum(word not in E.rows for word in range(1, E.shape[0]))


def test_a_matrix_too_large_to_film_is_drawn_all_the_same(capsys, data_home, tmp_path, monkeypatch):
    monkeypatch.setattr(plotting, "MAX_DOTS", 5)
    code, out, _ = run(capsys, *train(data_home, tmp_path / "run"))
    assert code == 0 and "test accuracy" in out
    assert (tmp_path / "run" / "connections.png").exists() and not (tmp_path / "run" / "evolution.gif").exists()


def test_predict_reads_standard_input_and_refuses_what_it_cannot_read(capsys, data_home, tmp_path, monkeypatch):
    assert run(capsys, *train(data_home, tmp_path / "run"))[0] == 0
    model = tmp_path / "run" / "model.npz"
    standard_input(monkeypatch, b"the soup was awful\r\nthe plot was superb \xc3\xa9\n")
    code, out, _ = run(capsys, "predict", model)
    assert code == 0 and len(out.splitlines()) == 2
    for text, reason in [("", "is empty"), ("zzzz qqqq", "has no known word")]:
        code, _, err = run(capsys, "predict", "--reject-unknown", model, text)
        assert code == 2 and reason in err
        with pytest.warns(UserWarning, match="1 of 1 texts|1 text"):
            assert run(capsys, "predict", model, text)[0] == 0
        assert run(capsys, "predict", model, text, "--accept-unknown")[::2] == (0, "")
    standard_input(monkeypatch, b"good\ncaf\xe9\n")
    code, _, err = run(capsys, "predict", model)
    assert code == 2 and "line 2 of standard input is not UTF-8" in err
    standard_input(monkeypatch, b"")
    code, _, err = run(capsys, "predict", model)
    assert code == 2 and "expected at least one text" in err


def test_the_demo_writes_its_table_and_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "DEMO_TRAIN", 120)
    monkeypatch.setattr(demo, "DEMO_TEST", 40)
    lines = []
    results = run_demo(
        tmp_path / "demo",
        seed=1,
        report=lines.append,
        embedding_dim=12,
        hidden_size=12,
        n_epochs=3,
        parameter_share=0.1,
    )
    assert [result["connectivity"] for result in results] == ["dense", "static", "set"]
    saved = json.loads((tmp_path / "demo" / "results.json").read_text())["runs"]
    assert saved == results
    for result in saved:
        assert {"connectivity", "parameters", "dense_parameters", "test_accuracy", "seconds"} <= result.keys()
    assert saved[2]["parameters"] / saved[2]["dense_parameters"] == pytest.approx(0.1, abs=0.001)
    for name in ("learning_curves.png", "connections.png"):
        with Image.open(tmp_path / "demo" / name) as picture:
            assert picture.size[0] > 800
    with Image.open(tmp_path / "demo" / "evolution.gif") as film:
        assert film.n_frames == 3  # before, and after each of two SET steps
    assert format_table(results) in "\n".join(lines)


def test_a_second_demo_into_one_folder_is_refused(tmp_path):
    with locked(tmp_path / "results.json"):
        with pytest.raises(BlockingIOError, match=r"results\.json is being written by process"):
            run_demo(tmp_path, report=lambda line: None)
    assert list(tmp_path.iterdir()) == []


def test_the_demo_has_less_than_four_percent_of_the_parameters():
    settings = DEMO_PARAMETERS | {"n_epochs": 1}
    reviews = demo.demo_reviews(0)
    clf = SetLSTMClassifier("set", random_state=0, **settings).fit(
        reviews.train_texts[:200], reviews.train_labels[:200]
    )
    counted = sum(getattr(W, "values", W).size for W in clf.network_.parameters.values())
    assert clf.n_parameters_ == counted < 0.04 * clf.n_dense_parameters_


def test_gradcheck_prints_a_table_per_network_and_draws_the_step_sizes(capsys, tmp_path):
    code, out, err = run(capsys, "gradcheck", "--seed", "1", "--output", tmp_path / "new" / "pictures")
    assert code == 0 and err == ""
    assert out.count(": all right\n") == 10 and "all gradients are right" in out
    with Image.open(tmp_path / "new" / "pictures" / "step_sizes.png") as picture:
        assert picture.size[0] > 800
    code, out, _ = run(capsys, "gradcheck", "--method", "complex", "--hidden-size", "2", "--classes", "2")
    assert code == 0 and out.count("gradient check by complex step") == 5


def test_gradcheck_ends_with_1_if_a_gradient_is_wrong(capsys, monkeypatch):
    backward = network.linear_backward
    monkeypatch.setattr(network, "linear_backward", lambda *a: tuple(1.01 * part for part in backward(*a)))
    code, out, err = run(capsys, "gradcheck", "--method", "central")
    assert code == 1 and err == ""
    assert "1.01 times what it should be" in out and "at least one gradient is WRONG" in out


def test_a_json_file_is_written_whole_or_not_at_all(tmp_path):
    write_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"new": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_version_and_help(capsys):
    for arguments in (
        ["--version"],
        ["--help"],
        ["train", "--help"],
        ["compare", "--help"],
        ["predict", "--help"],
        ["demo", "--help"],
        ["gradcheck", "--help"],
    ):
        with pytest.raises(SystemExit) as stop:
            cli.main(arguments)
        assert stop.value.code == 0
    assert "numpy-setlstm" in capsys.readouterr().out
