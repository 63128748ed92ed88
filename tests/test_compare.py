"""Running grids: by any executor, interrupted, damaged, failing, twice at once; always with the same results."""

import importlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest

from numpy_setlstm import cli
from numpy_setlstm.files import locked
from numpy_setlstm.inputs import split
from numpy_setlstm.lab.experiment import Grid, GridError, baseline, compare, demo_reviews, executors, runs
from numpy_setlstm.lab.experiment.compare import run_grid
from numpy_setlstm.lab.experiment.executors import check_current_folder, local_processes, run_tasks
from numpy_setlstm.lab.experiment.grid import RunSpec
from numpy_setlstm.lab.experiment.runs import Task, describe_error, execute, failed
from numpy_setlstm.lab.experiment.store import Store

TINY = {
    "train_texts": 60,
    "test_texts": 20,
    "n_epochs": 2,
    "hidden_size": 4,
    "embedding_dim": 4,
    "parameter_share": 0.5,
    "max_length": 20,
}
GRID = Grid(("demo",), ("dense", "set", "tfidf"), (0, 1), TINY)
LONG = TINY | {"train_texts": 800, "n_epochs": 6, "batch_size": 8}  # some seconds, long enough to interrupt
LONG_GRID = Grid(("demo",), ("set",), (0, 1), LONG)


ROOT_ON_PATH = {"PYTHONPATH": str(Path(__file__).parent.parent)}


def silent(line):
    """A replacement for print."""


def run(grid, output, **options):
    """Run a grid, by default in this process."""
    with ThreadPoolExecutor(1) as executor:
        return run_grid(grid, output, **{"executor": executor, "report": silent} | options)


def results(output):
    """All results in a folder by file name, without times."""
    documents = {}
    for path in sorted((output / "runs").iterdir()):
        document = json.loads(path.read_text())
        for key in ("seconds", "seconds_per_epoch"):
            document.get("result", {}).pop(key, None)
        document.get("result", {}).get("history", {}).pop("seconds", None)
        documents[path.name] = document
    return documents


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    output = tmp_path_factory.mktemp("expected")
    assert run(GRID, output) is False
    return results(output)


@pytest.fixture(scope="module")
def expected_long(tmp_path_factory):
    output = tmp_path_factory.mktemp("long")
    run(LONG_GRID, output)
    return results(output)


def wait_for(condition, seconds=60):
    """Wait until a condition holds; fail if it does not."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def test_each_run_has_a_file_with_everything_the_tables_need(expected, tmp_path):
    assert [name.rsplit("_", 1)[0] for name in expected] == [
        "demo_dense_seed0",
        "demo_dense_seed1",
        "demo_set_seed0",
        "demo_set_seed1",
        "demo_tfidf_seed0",
    ]
    for document in expected.values():
        assert document["status"] == "done" and set(document["versions"]) == {"numpy_setlstm", "numpy", "python"}
        assert {"parameters", "test_accuracy", "test_balanced_accuracy", "validation_accuracy"} <= set(
            document["result"]
        )
        assert "set_steps" not in document["result"].get("history", {})
        assert len(json.dumps(document)) < 20_000 and str(tmp_path.parent) not in json.dumps(document)


def test_processes_give_the_same_bits(expected, tmp_path):
    assert run(GRID, tmp_path, executor=None, workers=2) is False
    assert results(tmp_path) == expected
    assert list((tmp_path / "checkpoints").iterdir()) == []
    assert multiprocessing.active_children() == []


def test_a_script_needs_no_main_guard(expected, tmp_path):
    script = tmp_path / "script.py"
    grid = f"Grid(('demo',), ('set',), (0,), {TINY})"
    script.write_text(
        "from numpy_setlstm.lab.experiment import Grid, compare\n"
        f"print(compare({grid}, {str(tmp_path / 'out')!r}, workers=2, report=lambda line: None))\n"
    )
    found = subprocess.run([sys.executable, script], capture_output=True, text=True, env=os.environ | ROOT_ON_PATH)
    assert (found.stdout, found.stderr) == ("False\n", "")
    (name,) = results(tmp_path / "out")
    assert results(tmp_path / "out")[name] == expected[name]


def test_workers_have_one_thread_each_if_there_are_several():
    for workers, value in ((1, os.environ.get("OMP_NUM_THREADS")), (2, "1")):
        with local_processes(workers) as make_executor:
            assert make_executor().submit(os.getenv, "OMP_NUM_THREADS").result() == value


def test_a_grid_runs_only_what_is_missing(expected, tmp_path):
    run(Grid(("demo",), ("dense",), (1,), TINY), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()}
    lines = []
    run(GRID, tmp_path, report=lines.append)
    assert lines == ["5 runs: 1 have results, 4 to do"]
    assert results(tmp_path) == expected
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    run(GRID, tmp_path, report=lines.append)
    assert lines[1:] == ["5 runs: 5 have results, 0 to do"]


@pytest.mark.parametrize("text", ["", '{"spec": {', "[]", '{"format_version": 1, "spec": {}}', "\0"])
def test_a_damaged_file_is_reported_and_its_run_repeated(expected, tmp_path, text):
    run(GRID, tmp_path)
    path = sorted((tmp_path / "runs").iterdir())[2]
    path.write_text(text)
    lines = []
    run(GRID, tmp_path, report=lines.append)
    assert lines[0] == f"{path.name} is damaged; if it belongs to this grid, its run is repeated"
    assert results(tmp_path) == expected


def test_a_file_with_the_result_of_another_run_is_rejected(expected, tmp_path):
    run(GRID, tmp_path)
    first, second = sorted((tmp_path / "runs").iterdir())[:2]
    second.write_bytes(first.read_bytes())
    with pytest.raises(GridError, match="holds the result of another run.*delete the file"):
        run(GRID, tmp_path)
    first.write_text(first.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(GridError, match="has format version 2; this package reads 1"):
        run(GRID, tmp_path)


def test_a_run_that_fails_is_recorded_and_the_others_continue(expected, tmp_path):
    grid = Grid(("demo",), ("dense", "set"), (0,), TINY, {"dense": {"learning_rate": 1e38}})
    lines = []
    assert run(grid, tmp_path, report=lines.append) is False
    dense, evolved = results(tmp_path).values()
    assert dense["status"] == "failed" and dense["error"].startswith("FloatingPointError: the loss is ")
    assert evolved == expected[Store(tmp_path).path(grid.runs()[1]).name]
    assert "demo_dense_seed0_" in lines[-1] and "training has diverged" in lines[-1]
    run(grid, tmp_path, report=lines.append)
    assert lines[-1] == "1 failed before and are skipped; --retry-failed repeats them"
    run(grid, tmp_path, retry_failed=True, report=lines.append)
    assert "2 runs: 1 have results, 1 to do" in lines and "failed: FloatingPointError" in lines[-1]


def test_models_are_kept_on_request(tmp_path):
    run(Grid(("demo",), ("set", "tfidf"), (0,), TINY), tmp_path, save_models=True)
    (path,) = (tmp_path / "models").iterdir()
    clf = cli.SetLSTMClassifier.load(path)
    (document,) = (d for d in results(tmp_path).values() if d["spec"]["connectivity"] == "set")
    assert path.stem + ".json" in results(tmp_path) and clf.n_parameters_ == document["result"]["parameters"]


def test_two_grids_can_share_a_folder(expected, tmp_path):
    threads = [threading.Thread(target=run, args=(GRID, tmp_path)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results(tmp_path) == expected
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "checkpoints"}


def test_a_run_that_another_process_computes_is_waited_for_and_not_recorded_as_failed(expected, tmp_path, monkeypatch):
    """So it is for a second too if a grid was killed and is started again while its workers still end."""
    monkeypatch.setattr(runs, "BUSY_SECONDS", 0.01)
    store, lines = Store(tmp_path), []
    store.prepare()
    grid = Grid(("demo",), ("dense", "set"), (0,), TINY)
    checkpoint = store.checkpoint_path(grid.runs()[0])
    with locked(checkpoint):
        thread = threading.Thread(target=run, args=(grid, tmp_path), kwargs={"report": lines.append})
        thread.start()
        wait_for(lambda: len(results(tmp_path)) == 1 and len(lines) == 2)
    thread.join()
    assert lines[1] == f"{grid.runs()[0].name} is being computed by another process; its result is waited for"
    assert len(lines) == 2 and results(tmp_path) == {name: expected[name] for name in results(tmp_path)}
    assert len(results(tmp_path)) == 2 and list((tmp_path / "checkpoints").iterdir()) == []


def test_a_run_that_failed_does_not_replace_its_result_by_another_process(tmp_path):
    run(Grid(("demo",), ("set",), (0,), TINY), tmp_path)
    before = results(tmp_path)
    spec = Grid(("demo",), ("set",), (0,), TINY).runs()[0]
    Store(tmp_path).save(spec, failed(Task(spec), "its process died twice"))
    assert results(tmp_path) == before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send Ctrl-C to one process")
def test_a_second_ctrl_c_ends_the_program_at_once(expected_long, tmp_path):
    settings = [f"--set={name}={value}" for name, value in (LONG | {"n_epochs": 1000}).items()]
    arguments = [
        "compare",
        "--datasets",
        "demo",
        "--connectivities",
        "set",
        "--seeds",
        "2",
        "--workers",
        "2",
        *settings,
    ]
    command = [sys.executable, "-m", "numpy_setlstm", *arguments, "--output", str(tmp_path)]
    process = subprocess.Popen(
        command, start_new_session=True, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        wait_for(lambda: len(list((tmp_path / "checkpoints").glob("*.npz"))) == 2)
        process.send_signal(signal.SIGINT)
        assert process.stderr.readline() + process.stderr.readline() == (
            "\nstopping: unfinished runs save their checkpoints\n"
        )
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and err in (
        "numpy-setlstm: interrupted\n",
        "interrupted; the same command continues\n",  # if the runs had stopped before
    )


DYING = """
import os, signal
from numpy_setlstm.lab.experiment.executors import local_processes

with local_processes(1) as make_executor:
    print(*make_executor()._processes, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc to tell a process that has ended")
def test_a_worker_ends_though_its_parent_died_before_it_began():
    def is_alive():
        try:
            return Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False

    ended = subprocess.run([sys.executable, "-c", DYING], stdout=subprocess.PIPE, env=os.environ | ROOT_ON_PATH)
    worker = int(ended.stdout)
    wait_for(lambda: not is_alive())


@pytest.mark.skipif(sys.platform == "win32", reason="the full disk is simulated by a limit of POSIX")
def test_without_room_for_semaphores_the_error_is_one_line(tmp_path):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); from numpy_setlstm import cli; "
    arguments = ["compare", "--datasets", "demo", "--connectivities", "set", "--output", str(tmp_path)]
    command = [sys.executable, "-c", f"{limit} print(cli.main({arguments}))"]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | ROOT_ON_PATH)
    assert ended.stdout.endswith("2\n") and ended.stderr.count("\n") == 1, ended.stderr
    assert "File too large: processes could not be started; they need memory, and semaphores" in ended.stderr


@pytest.mark.parametrize("name", ["json.py", "numpy/__init__.py", "runpy.pyc", "tqdm.cpython-310-x86_64-linux-gnu.so"])
def test_on_python_3_10_a_file_that_workers_would_import_is_refused(monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "helpers.py").write_text("")
    monkeypatch.setattr(executors.sys, "version_info", (3, 10, 13))
    check_current_folder()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    shown, module = name.partition("/")[0], name.replace("/", ".").partition(".")[0]
    with pytest.raises(
        ImportError, match=rf"the current folder has {shown}, .* in the place of the module {module}: re"
    ):
        check_current_folder()
    monkeypatch.setattr(executors.sys, "version_info", (3, 11, 0))
    check_current_folder()


def test_on_python_3_10_a_module_that_is_used_from_the_current_folder_is_allowed(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_helpers.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("my_helpers")
    monkeypatch.setattr(executors.sys, "version_info", (3, 10, 13))
    check_current_folder()
    del sys.modules["my_helpers"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 has no PYTHONSAFEPATH, and compare refuses")
@pytest.mark.parametrize("before", [None, "", "1"])
def test_processes_import_nothing_from_the_current_folder(monkeypatch, tmp_path, before):
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False) if before is None else monkeypatch.setenv(
        "PYTHONSAFEPATH", before
    )
    monkeypatch.chdir(tmp_path)
    for name in ("json", "tqdm", "pickle", "runpy"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'a').write({name!r})\n")
    with local_processes(1) as make_executor:
        assert make_executor().submit(os.getpid).result() != os.getpid()
    assert not (tmp_path / "executed").exists() and os.environ.get("PYTHONSAFEPATH") == before


def test_a_process_that_is_killed_is_replaced_and_its_run_continues(expected_long, tmp_path):
    outcome = []
    options = {"executor": None, "workers": 2}
    thread = threading.Thread(target=lambda: outcome.append(run(LONG_GRID, tmp_path, **options)))
    thread.start()
    wait_for(lambda: any((tmp_path / "checkpoints").glob("*.npz")))
    for process in multiprocessing.active_children():
        os.kill(process.pid, signal.SIGKILL)
    thread.join()
    assert outcome == [False] and results(tmp_path) == expected_long


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send Ctrl-C to one process")
@pytest.mark.parametrize("whole_group", [False, True], ids=["to the program", "from the terminal"])
def test_ctrl_c_keeps_the_results_and_the_same_command_continues_to_the_same_bits(expected_long, tmp_path, whole_group):
    settings = [f"--set={name}={value}" for name, value in LONG.items()]
    arguments = [
        "compare",
        "--datasets",
        "demo",
        "--connectivities",
        "set",
        "--seeds",
        "2",
        "--workers",
        "1",
        *settings,
    ]
    arguments += ["--output", str(tmp_path)]
    command = [sys.executable, "-m", "numpy_setlstm", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, start_new_session=True, **pipes)
    try:
        wait_for(lambda: any((tmp_path / "checkpoints").glob("*.npz")))
        os.killpg(process.pid, signal.SIGINT) if whole_group else process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert err.startswith("\nstopping: unfinished runs save their checkpoints\ninterrupted; the same command ")
    assert err.count("\n") == 3
    assert any((tmp_path / "checkpoints").glob("*.npz")) and results(tmp_path) != expected_long
    run(LONG_GRID, tmp_path)
    assert results(tmp_path) == expected_long and list((tmp_path / "checkpoints").iterdir()) == []


def test_a_run_that_was_resumed_describes_its_matrices_in_the_same_order(expected, tmp_path):
    spec = Grid(("demo",), ("set",), (0,), TINY).runs()[0]
    task = Task(spec, checkpoint_path=str(tmp_path / "model.npz"))
    first, again = (execute(task)[0] for _ in range(2))  # the second one finds the first one's checkpoint
    for document in (first, again, expected[f"{spec.name}.json"]):
        assert list(document["topology"]) == list(document["result"]["turnover"]) == ["E", "W_x", "W_h"]


def test_a_network_that_lost_units_is_smaller_and_its_share_is_that_of_the_network_before():
    settings = {"demo/set-units": {"removed_units": 0.5}}
    specs = Grid(("demo",), ("set", "set-units"), (0,), TINY, settings).runs()
    before, after = (execute(Task(spec))[0]["result"] for spec in specs)
    assert after["parameters"] < before["parameters"] and after["dense_parameters"] == before["dense_parameters"]
    assert after["share"] == after["parameters"] / before["dense_parameters"]
    assert after["epochs"] == before["epochs"] + -(-TINY["n_epochs"] // 2)


def test_a_damaged_checkpoint_is_ignored(expected, tmp_path):
    store = Store(tmp_path)
    store.prepare()
    for spec in GRID.runs():
        store.checkpoint_path(spec).write_bytes(b"no model")
    run(GRID, tmp_path)
    assert results(tmp_path) == expected


class BreakingExecutor:
    """An executor whose process dies at some seeds."""

    def __init__(self, deadly):
        self.deadly, self.broken = deadly, False

    def submit(self, function, task):
        future = Future()
        self.broken = self.broken or task.spec.seed in self.deadly
        if self.broken:
            future.set_exception(BrokenProcessPool("died"))
        else:
            future.set_result(function(task))
        return future


def test_a_run_that_kills_its_process_twice_has_failed_and_no_other():
    made = []

    def make_executor():
        made.append(BreakingExecutor({1}))
        return made[-1]

    tasks = [Task(RunSpec("demo", "set", seed)) for seed in range(4)]
    outcomes = run_tasks(tasks, make_executor, at_once=2, compute=lambda task: ({"status": "done"}, None))
    documents = {outcome[0].spec.seed: outcome[1] for outcome in outcomes if outcome is not None}
    assert {seed: document["status"] for seed, document in sorted(documents.items())} == {
        0: "done",
        1: "failed",
        2: "done",
        3: "done",
    }
    assert documents[1]["error"].startswith("its process died twice") and len(made) == 3


def test_a_broken_executor_of_the_caller_is_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="the executor broke; the results so far are kept"):
        run(GRID, tmp_path, executor=BreakingExecutor({1}))
    assert {document["spec"]["seed"] for document in results(tmp_path).values()} == {0}


def test_an_error_of_the_executor_is_recorded(tmp_path):
    class Refusing:
        def submit(self, function, task):
            future = Future()
            future.set_exception(OSError("cannot reach /home/ada/worker-3"))
            return future

    run(Grid(("demo",), ("set",), (0,), TINY), tmp_path, executor=Refusing())
    (document,) = results(tmp_path).values()
    assert (document["status"], document["error"]) == ("failed", "OSError: cannot reach worker-3")


def test_a_dask_cluster_gives_the_same_bits_though_a_worker_is_killed(expected_long, tmp_path):
    distributed = pytest.importorskip("distributed", reason="dask.distributed is not installed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**options, silence_logs=50) as cluster, distributed.Client(cluster) as client:
        victim = list(cluster.workers.values())[0].pid

        def kill_when_busy():
            wait_for(lambda: sum(map(len, client.processing().values())) == 2)
            time.sleep(0.3)  # in the middle of the run
            os.kill(victim, signal.SIGKILL)

        killer = threading.Thread(target=kill_when_busy)
        killer.start()
        assert compare(LONG_GRID, tmp_path, scheduler=cluster.scheduler_address, report=silent) is False
        killer.join()
        pids = [worker.pid for worker in cluster.workers.values()]
    assert victim not in pids
    assert results(tmp_path) == expected_long


def test_without_dask_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install 'numpy-setlstm\[cluster\]'"):
        compare(GRID, tmp_path, scheduler="tcp://127.0.0.1:1", report=silent)


def test_without_joblib_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib.externals.loky", None)
    with pytest.raises(ImportError, match=r"needs joblib: pip install 'numpy-setlstm\[compare\]'"):
        compare(Grid(("demo",), ("set",), (0,), TINY), tmp_path, report=silent)


def test_without_scikit_learn_the_error_comes_before_the_first_run(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.pipeline", None)
    with pytest.raises(ImportError, match=r"pip install 'numpy-setlstm\[compare\]', or leave tfidf out"):
        run_grid(GRID, tmp_path, report=silent)
    assert results(tmp_path) == {}


def test_the_tfidf_model_is_chosen_on_the_texts_that_the_networks_hold_out():
    reviews = demo_reviews(0, train_texts=200, test_texts=50)
    model = baseline.fit_tfidf(reviews)
    labels = np.array(reviews.label_names)[reviews.train_labels]
    kept, held_out = split(reviews.train_texts, labels, 0.1)  # as SetLSTMClassifier.fit
    accuracies = {}
    for C in baseline.PENALTIES:
        pipeline = baseline.make_pipeline(C).fit([reviews.train_texts[k] for k in kept], labels[kept])
        accuracies[C] = pipeline.score([reviews.train_texts[k] for k in held_out], labels[held_out])
    assert model.validation_accuracy == accuracies[model.penalty] == max(accuracies.values())
    refit = baseline.make_pipeline(model.penalty).fit(reviews.train_texts, labels)
    np.testing.assert_array_equal(model.predict(reviews), refit.predict(reviews.test_texts))
    regression = model.pipeline[-1]
    assert model.n_parameters == (regression.coef_ != 0).sum() + 1


def test_an_error_in_a_run_names_no_folder_of_the_machine(tmp_path):
    error = FileNotFoundError("there is no folder /home/ada/data/imdb: make it")
    assert describe_error(error) == "FileNotFoundError: there is no folder imdb: make it"
    document, _ = execute(Task(RunSpec("sanders", "set", 0), data_home=str(tmp_path / "nowhere")))
    assert document["status"] == "failed" and str(tmp_path) not in document["error"]
    assert document["error"].startswith("DatasetError: no full-corpus.csv in sanders: pass download=True")
    assert "https://raw.githubusercontent.com/" in document["error"]


@pytest.mark.parametrize(
    "message, shown",
    [
        (r"there is no C:\Users\ada\data\x.csv", "there is no x.csv"),
        (r"no C:\Users\Ada L\data\x.csv, or D:\x.csv", "no x.csv, or x.csv"),
        ("no C:/Users/ada/data/x.csv", "no x.csv"),
        (r"[Errno 2] No such file: 'C:\\Users\\Ada L\\x.csv'", "[Errno 2] No such file: 'x.csv'"),
        (r"\\server\ada\data\x.csv is gone", "x.csv is gone"),
        (r"'\\\\server\\share of ada\\x.csv'", "'x.csv'"),
        (r"\Users\ada\x.csv, ..\ada\x.csv and ~\ada\x.csv", "x.csv, x.csv and x.csv"),
        ("[Errno 2] No such file: '/home/ada l/data/x.csv'", "[Errno 2] No such file: 'x.csv'"),
        ("no /home/ada/x.csv and ~/ada/y.csv", "no x.csv and y.csv"),
        ("see https://docs.python.org/3/x.html and/or 1 / 2", "see https://docs.python.org/3/x.html and/or 1 / 2"),
        (r"a text has '\t', '\u2028' and a ratio a/b of C: 3", r"a text has '\t', '\u2028' and a ratio a/b of C: 3"),
    ],
)
def test_folders_of_every_system_are_private(message, shown):
    assert describe_error(OSError(message)) == f"OSError: {shown}"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "give one of --grid FILE, --quick, --report-only, or --datasets"),
        (["--quick", "--report-only"], "give one of"),
        (["--quick", "--grid", "grid.json"], "give one of"),
        (["--grid", "grid.json", "--seeds", "3"], "give one of"),
        (["--grid", "none.json"], "there is no grid file none.json"),
        (["--datasets", "demo"], "has no connectivities"),
        (["--datasets", "demo", "--connectivities", "sparse"], "connectivities has 'sparse'"),
        (["--datasets", "demo", "--connectivities", "set", "--seeds", "a"], "--seeds is 'a'; expected their number"),
        (["--datasets", "demo", "--connectivities", "set", "--set", "zeta=2"], "zeta is 2"),
        (["--datasets", "demo", "--connectivities", "set", "--set", "zeta"], "--set is 'zeta'; expected name=value"),
        (["--datasets", "demo", "--connectivities", "set", "--workers", "0"], "workers is 0"),
        (["--datasets", "sanders", "--connectivities", "set", "--data-home", "nowhere"], "nowhere"),
        (["--report-only"], "there are no results in"),
    ],
)
def test_an_error_is_one_line_before_anything_runs(capsys, tmp_path, arguments, message):
    assert cli.main(["compare", "--output", str(tmp_path / "out"), *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith("numpy-setlstm: error: ") and err.count("\n") == 1 and message in err
    assert not list((tmp_path / "out").rglob("*.json"))


def test_the_command_runs_a_grid_and_can_rebuild_its_tables(capsys, tmp_path):
    settings = [f"--set={name}={value}" for name, value in TINY.items()]
    arguments = ["--datasets", "demo", "--connectivities", "static,set", *settings, "--set", "zeta=0.1,0.2"]
    assert cli.main(["compare", "--output", str(tmp_path), "--workers", "1", *arguments]) == 0
    out, err = capsys.readouterr()
    assert err == "" and "set zeta=0.2" in out and "3 runs: 0 have results, 3 to do" in out
    texts = {name: (tmp_path / name).read_text() for name in ("table.md", "table.csv", "runs.csv")}
    for name in texts:
        (tmp_path / name).unlink()
    assert cli.main(["compare", "--output", str(tmp_path), "--report-only"]) == 0
    assert {name: (tmp_path / name).read_text() for name in texts} == texts
