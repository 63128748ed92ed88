"""Worker processes: the same bits with any number of them, and nothing lost or left when they, or all, are killed."""

import gc
import importlib.util
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from multiprocessing.reduction import send_handle
from pathlib import Path

import numpy as np
import pytest

from numpy_setlstm import SetLSTMClassifier
from numpy_setlstm.blas import THREAD_VARIABLES, has_one_thread
from numpy_setlstm.fast.engine import FastEngine
from numpy_setlstm.layers.lstm import lstm_backward, lstm_forward
from numpy_setlstm.network import Network
from numpy_setlstm.workers import jobs, memory, pool
from numpy_setlstm.workers.memory import find_in_memory, put_in_memory
from numpy_setlstm.workers.pool import AT_WORK, NOT_READY, Pool, Worker, WorkerError, count_jobs

ROOT = Path(__file__).parent.parent
spec = importlib.util.spec_from_file_location("kill_workers", ROOT / "docs" / "kill_workers.py")
kill_workers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kill_workers)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="on Windows there are no workers")
linux_only = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads the /proc of Linux")

TOKENS, LABELS = kill_workers.data()  # half of the 600 texts are for validation: three batches; minibatches of 64, 44
TEXTS = [" ".join(f"word{k}" for k in ids) for ids in TOKENS]
KINDS = {
    "set": {},
    "static, max": {"connectivity": "static", "pooling": "max"},
    "dense, balanced": {"connectivity": "dense", "class_weight": "balanced"},
    "both directions, float64": {"bidirectional": True, "dtype": "float64", "pooling": "mean"},
    "gradient": {"growth": "gradient", "evolve_every": 2, "candidates": 2},
    "average, plain": {"averaging": 0.9, "engine": "plain", "optimizer": "sgd"},
    "snt-asgd, scratch": {"averaging": "snt-asgd", "averaging_interval": 1, "kernel": "scratch"},
}


@pytest.fixture(autouse=True)
def small_jobs_are_shared(monkeypatch):
    kill_workers.share_small_jobs(monkeypatch.setattr)


@pytest.fixture
def asked(monkeypatch):
    """The names of the requests to workers, as they are made."""
    names, ask = [], Pool.ask
    monkeypatch.setattr(Pool, "ask", lambda pool, name, *rest: (names.append(name), ask(pool, name, *rest))[1])
    return names


@pytest.fixture
def before_request(monkeypatch):
    """Lets something happen right before the k-th request of a name to the workers."""

    def arrange(name, k, action):
        left, ask = [k], Pool.ask

        def disturbed(self, asked_for, *rest):
            left[0] -= asked_for == name
            if left[0] < 0:
                left[0] = 10**9
                action(self.workers)
            return ask(self, asked_for, *rest)

        monkeypatch.setattr(Pool, "ask", disturbed)

    return arrange


def classifier(n_jobs=2, **settings):
    sizes = {"embedding_dim": 8, "hidden_size": 8, "vocabulary_size": 40, "parameter_share": 0.3, "random_state": 3}
    return SetLSTMClassifier(**sizes | {"n_epochs": 3, "validation_fraction": 0.5, "n_jobs": n_jobs} | settings)


def bits(clf, folder):
    """All that its file says, but for times and n_jobs; and its predictions."""
    clf.save(folder / "model.npz")
    return *kill_workers.bits_of(folder / "model.npz"), clf.predict_proba(TOKENS).tobytes()


@pytest.fixture
def expected(tmp_path):
    """What one process learns in three epochs."""
    return bits(classifier(1).fit(TOKENS, LABELS), tmp_path)


def kill(number):
    def kill_them(workers):
        for worker in workers:
            os.kill(worker.process.pid, number)

    return kill_them


def wait_until_gone(numbers):
    """Wait for processes to end, zombies aside; an endless wait ends in the assertion."""
    end = time.monotonic() + 60
    while (alive := [number for number in numbers if is_alive(number)]) and time.monotonic() < end:
        time.sleep(0.02)
    assert not alive, f"processes left: {alive}"


def is_alive(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


# The same bits


@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_processes_gives_the_same_bits(kind, asked, tmp_path):
    found = []
    for n_jobs in (1, 2, 3, 7):
        del asked[:]
        found.append(bits(classifier(n_jobs, **KINDS[kind]).fit(TOKENS, LABELS), tmp_path))
        assert set(asked) == ({"backpropagate", "evaluate", "predict"} if n_jobs > 1 else set())
    for header, arrays, probabilities in found[1:]:
        assert header == found[0][0]
        assert [name for name in arrays if arrays[name] != found[0][1][name]] == []
        assert probabilities == found[0][2]


def test_partial_fit_and_a_warm_start_give_the_same_bits(asked, tmp_path):
    found = []
    for n_jobs in (1, 3):
        clf = classifier(n_jobs, warm_start=True, validation_fraction=0).fit(TOKENS, LABELS).fit(TOKENS, LABELS)
        found.append(bits(clf.partial_fit(TOKENS, LABELS).partial_fit(TOKENS, LABELS), tmp_path))
    assert found[0] == found[1] and asked


@pytest.mark.parametrize(("layout", "is_shared"), [("by columns", True), ("scattered", False)])
def test_weights_in_another_layout_give_the_same_bits(layout, is_shared, asked, tmp_path):
    found = []
    for n_jobs in (1, 2):
        clf = classifier(1).fit(TOKENS, LABELS)
        parameters = clf.training_state_.network.parameters
        W = parameters["W_out"]
        parameters["W_out"] = np.asfortranarray(W) if is_shared else np.repeat(W, 2, axis=1)[:, ::2]
        clf.n_jobs = clf._trained_with["n_jobs"] = n_jobs
        found.append(bits(clf.set_params(n_epochs=5).fit(TOKENS, LABELS, resume=True), tmp_path))
    assert found[0] == found[1] and ("backpropagate" in asked) == is_shared


def test_several_threads_of_blas_change_no_bit():
    """The last bits of a product depend on the number of threads: so workers have as many as their parent."""
    script = """
rng = np.random.default_rng(0)
X, y = rng.integers(1, 500, (120, 6)), rng.integers(0, 3, 120)
sizes = {"embedding_dim": 100, "hidden_size": 150, "vocabulary_size": 500, "batch_size": 100, "n_epochs": 1}
clf = SetLSTMClassifier("dense", **sizes, random_state=0)
weights = [clf.set_params(n_jobs=n).fit(X, y).network_.parameters["W_h"] for n in (1, 2)]
print(np.array_equal(*weights), len(pool._pool.workers))
"""
    assert run_script(script, OPENBLAS_NUM_THREADS="2").stdout.split() == ["True", "1"]


def test_where_blas_has_several_threads_dense_networks_stay_in_one_process(monkeypatch):
    monkeypatch.setattr(jobs, "has_one_thread", lambda: False)
    found = {}
    for kind in ({"connectivity": "dense"}, {"connectivity": "dense", "engine": "plain"}, {"kernel": "scratch"}, {},
                 {"engine": "plain"}):  # fmt: skip
        network = classifier(1, n_epochs=1, **{"kernel": "gather"} | kind).fit(TOKENS, LABELS).network_
        found[tuple(kind.values())] = jobs._count_useful_jobs(network, 2)
    assert found == {("dense",): 1, ("dense", "plain"): 1, ("scratch",): 1, (): 2, ("plain",): 2}


def test_blas_has_one_thread_if_the_environment_says_so(monkeypatch):
    for variable in THREAD_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    assert not has_one_thread()
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    assert not has_one_thread()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert not has_one_thread(), "the environment contradicts itself"
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "")
    assert has_one_thread()


def test_blas_gets_one_thread_before_numpy_is_imported_and_keeps_its_threads_later():
    code = (
        "import sys; from numpy_setlstm.blas import has_one_thread, one_blas_thread\n"
        "sys.argv[1:] and __import__('numpy'); one_blas_thread(); print(has_one_thread())"
    )
    environment = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}
    for argument, expected in (([], "True"), (["numpy"], "False")):
        ran = subprocess.run([sys.executable, "-c", code, *argument], env=environment, capture_output=True, text=True)
        assert ran.stdout.split() == [expected], ran.stderr


def test_a_tokenizer_stays_here(asked):
    found = [classifier(n, tokenizer=lambda text: text.split()).fit(TEXTS, LABELS).predict_proba(TEXTS) for n in (1, 2)]
    assert np.array_equal(*found) and asked


# Who uses workers


def test_small_jobs_stay_in_one_process(monkeypatch, asked):
    monkeypatch.undo()
    classifier(2).fit(TOKENS, LABELS).predict(TOKENS)
    assert asked == []


@pytest.mark.parametrize("own", ["lstm", "engine", "subclass", "network"])
def test_code_of_ones_own_stays_in_one_process(own, asked):
    class Own(FastEngine):
        pass

    class OwnNetwork(Network):
        pass

    class Forwarding:
        def __getattr__(self, name):
            return getattr(FastEngine(), name)

    if own == "lstm":
        classifier(2, lstm=(lstm_forward, lstm_backward)).fit(TOKENS, LABELS).predict(TOKENS)
    else:
        clf = classifier(1).fit(TOKENS, LABELS)
        for network in (clf.network_, clf.training_state_.network):
            if own == "network":
                network.__class__ = OwnNetwork
            else:
                network.engine = Own() if own == "subclass" else Forwarding()
        clf.n_jobs = clf._trained_with["n_jobs"] = 2
        clf.set_params(n_epochs=4).fit(TOKENS, LABELS, resume=True).predict(TOKENS)
    assert asked == []


@pytest.mark.parametrize("n_jobs", [0, 1.5, "2", True])
def test_a_wrong_number_of_jobs_is_refused(n_jobs):
    with pytest.raises(ValueError, match=r"^n_jobs is .*; expected 1 or more processes, or -1 for"):
        classifier(n_jobs).fit(TOKENS, LABELS)
    clf = classifier(1, n_epochs=1).fit(TOKENS, LABELS).set_params(n_jobs=n_jobs)
    with pytest.raises(ValueError, match=r"^n_jobs is .*; expected 1 or more processes, or -1 for"):
        clf.predict(TOKENS)


def test_negative_numbers_count_from_all_cores(monkeypatch):
    monkeypatch.setattr(pool, "available_cores", lambda: 4)
    assert [count_jobs(n) for n in (None, 1, 9, -1, -2, -4, -100)] == [1, 1, 9, 4, 3, 1, 1]
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert count_jobs(9) == 1


def test_there_are_no_workers_inside_workers():
    script = """
from concurrent.futures import ProcessPoolExecutor
from joblib import Parallel, delayed
from sklearn.model_selection import GridSearchCV, cross_val_score

for backend in ("loky", "multiprocessing", "threading"):
    print(backend, Parallel(n_jobs=2, backend=backend)(delayed(pool.count_jobs)(3) for _ in range(2)))
with ProcessPoolExecutor(1) as executor:
    print("futures", list(executor.map(pool.count_jobs, [3])))
X, y = kill_workers.data(200)
searches = [GridSearchCV(clf.set_params(n_epochs=1, n_jobs=n), {"zeta": [0.1, 0.2]}, cv=2, n_jobs=2) for n in (1, 3)]
print("search", len({tuple(search.fit(X, y).cv_results_["mean_test_score"]) for search in searches}))
print("scores", len({tuple(cross_val_score(clf.set_params(n_jobs=n), X, y, cv=2)) for n in (1, 3)}))
"""
    lines = run_script(script, "-W", "ignore").stdout.splitlines()
    assert lines == ["loky [1, 1]", "multiprocessing [1, 1]", "threading [3, 3]", "futures [1]", "search 1", "scores 1"]


def test_two_threads_train_at_once(tmp_path, expected):
    models = [classifier(2), classifier(3)]
    threads = [threading.Thread(target=clf.fit, args=(TOKENS, LABELS)) for clf in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [bits(clf, tmp_path) for clf in models] == [expected, expected]


# Scripts


def run_script(code, *options, cwd=None, **environment):
    """Run a script that comes through standard input, with a small model `clf` that shares its work."""
    before = f"""
import sys, os, numpy as np
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "docs")!r}]
import kill_workers
from numpy_setlstm import SetLSTMClassifier
from numpy_setlstm.workers import pool
kill_workers.share_small_jobs()
clf = SetLSTMClassifier(**kill_workers.SETTINGS)
"""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"} | environment
    ended = subprocess.run(
        [sys.executable, *options, "-"], input=before + code, env=environment, cwd=cwd, capture_output=True, text=True
    )
    assert ended.returncode in (0, 1, -signal.SIGKILL), ended.stderr
    return ended


FIT = (
    "clf.fit(*kill_workers.data())\nnumbers = [worker.process.pid for worker in pool._pool.workers]\nprint(*numbers)\n"
)
OUTLIVING = """
child = os.fork()
if child == 0:
    for file in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), file)
    import time
    time.sleep(60)
    os._exit(0)
print(child, flush=True)
os._exit(0)
"""
ENDS = {
    "normal": "",
    "exception": "raise ValueError",
    "sys.exit": "sys.exit(1)",
    "os._exit": "sys.stdout.flush(); os._exit(0)",
    "kill -9": "sys.stdout.flush(); os.kill(os.getpid(), 9)",
    "a child outlives it": OUTLIVING,
}


@linux_only
@pytest.mark.parametrize("end", ENDS)
def test_workers_end_with_their_parent_however_it_ends(end):
    ended = run_script(FIT + ENDS[end], "-X", "dev", "-W", "error", "-W", "ignore::DeprecationWarning")
    workers, *children = ended.stdout.splitlines()
    assert len(workers.split()) == 2
    wait_until_gone(map(int, workers.split()))
    assert ended.stderr == "" or end == "exception"
    if end == "a child outlives it":
        assert is_alive(children[0])
        os.kill(int(children[0]), signal.SIGKILL)


@linux_only
def test_a_forked_child_has_workers_of_its_own_and_leaves_those_of_its_parent():
    script = """
child = os.fork()
clf.set_params(n_epochs=14).fit(*kill_workers.data(), resume=True)
if child == 0:
    assert not {worker.process.pid for worker in pool._pool.workers} & set(numbers)
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
assert [worker.process.pid for worker in pool._pool.workers] == numbers
"""
    ended = run_script(
        FIT + script, "-X", "dev", "-W", "ignore", "-W", "error::ResourceWarning"
    )  # Python 3.12 warns of forks
    assert (ended.returncode, ended.stderr) == (0, "")


def test_files_with_names_of_pythons_own_modules_do_not_hurt(tmp_path):
    for name in ("json", "random", "importlib", "pickle", "socket", "signal"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not that one')")
    ended = run_script(f"os.chdir({str(tmp_path)!r})\nsys.path.insert(0, '')\n{FIT}")
    assert len(ended.stdout.split()) == 2 and ended.stderr == ""


def test_the_package_is_that_of_the_parent_from_wherever_that_has_it(tmp_path):
    (tmp_path / "numpy_setlstm").mkdir()
    (tmp_path / "numpy_setlstm" / "__init__.py").write_text("raise SystemExit('not that one')")
    ended = run_script(f"os.chdir({str(tmp_path)!r})\nsys.path[:2] = ['', 7, {str(tmp_path)!r}]\n{FIT}")
    assert len(ended.stdout.split()) == 2 and ended.stderr == ""


def test_standard_streams_may_be_closed():
    ended = run_script("for file in (0, 2): os.close(file)\n" + FIT)
    assert len(ended.stdout.split()) == 2


# Nothing is left


def test_a_model_that_predicts_again_is_loaded_once_for_all(monkeypatch):
    loaded = []
    monkeypatch.setattr(pool, "put_in_memory", lambda job: (loaded.append(job), put_in_memory(job))[1])
    clf = classifier(2, n_epochs=2).fit(TOKENS, LABELS)
    loaded.clear()
    for n_texts in (300, 600, 257):
        np.testing.assert_array_equal(clf.predict_proba(TOKENS[:n_texts]), alone(clf, TOKENS[:n_texts]))
    clf.network_.parameters["b_out"] += [0.5, -0.5]
    np.testing.assert_array_equal(clf.predict_proba(TOKENS), alone(clf, TOKENS))
    assert len(loaded) == 1, "only the weights were copied anew"
    (pool._pool.workers[0]).process.kill()
    pool._pool.workers[0].process.wait()
    clf.predict_proba(TOKENS)
    assert len(loaded) == 2, "the worker that ended had the model"
    other = classifier(2, n_epochs=2, random_state=4).fit(TOKENS, LABELS, resume=False)
    np.testing.assert_array_equal(other.predict_proba(TOKENS), alone(other, TOKENS))
    clf.network_.pooling = "max"
    np.testing.assert_array_equal(clf.predict_proba(TOKENS), alone(clf, TOKENS))


def alone(clf, tokens):
    return jobs.predict_shared(clf.network_, tokens, 1)


def n_memories(number="self"):
    return Path(f"/proc/{number}/maps").read_text().count("memfd:numpy-setlstm")


@linux_only
def test_many_fits_leave_no_open_file_and_no_memory():
    counts = []
    for _ in range(5):
        classifier(3, n_epochs=2).fit(TOKENS, LABELS).predict(TOKENS)
        counts.append((len(os.listdir("/proc/self/fd")), n_memories()))
    assert counts == [(counts[0][0], 1)] * 5, "that of the last prediction is kept for the next one"
    classifier(3, n_epochs=2).fit(TOKENS, LABELS)
    assert n_memories() == 0
    for worker in pool._pool.workers:
        end = time.monotonic() + 60
        while n_memories(worker.process.pid) and time.monotonic() < end:
            time.sleep(0.01)
        assert n_memories(worker.process.pid) == 0


def test_what_is_in_shared_memory_comes_back():
    value = {"empty": np.zeros(0), "other order": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "rest": ["a", None]}
    file, where = put_in_memory(value)
    found = find_in_memory(file, where)
    os.close(file)
    assert pickle.dumps(found) == pickle.dumps(value)


# Workers that are killed


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
@pytest.mark.parametrize("saved", [False, True], ids=["in memory", "saved and loaded"])
def test_a_worker_killed_in_training_costs_no_bit(number, saved, before_request, tmp_path, expected):
    clf = classifier(2)
    before_request("backpropagate", 7, kill(number))
    with pytest.raises(WorkerError, match=rf"^worker process \d+ was killed by signal {number}\b.* {AT_WORK[:14]}"):
        clf.fit(TOKENS, LABELS)
    assert (clf.training_state_.epoch, clf.training_state_.batch) == (1, 2)  # of five minibatches
    if saved:
        clf.save(tmp_path / "model.npz")
        clf = SetLSTMClassifier.load(tmp_path / "model.npz")
    assert bits(clf.fit(TOKENS, LABELS, resume=True), tmp_path) == expected


@pytest.mark.parametrize("request_name", ["evaluate", "predict"])
def test_a_worker_killed_in_an_evaluation_or_a_prediction_costs_nothing(
    request_name, before_request, asked, tmp_path, expected
):
    before_request(request_name, 0, kill(signal.SIGKILL))
    assert bits(classifier(2).fit(TOKENS, LABELS), tmp_path) == expected
    assert asked.count("backpropagate") == 15 and asked.count("predict") == 1


def test_workers_killed_while_idle_are_replaced(tmp_path, expected):
    classifier(2, n_epochs=1).fit(TOKENS, LABELS)
    kill(signal.SIGKILL)(pool._pool.workers)
    assert bits(classifier(2).fit(TOKENS, LABELS), tmp_path) == expected


def test_a_worker_that_cannot_start_is_an_error_and_the_model_as_before(monkeypatch, tmp_path):
    pool.end_workers()
    clf = classifier(1).fit(TOKENS, LABELS)
    before = bits(clf, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(pool, "START", "raise SystemExit(3)")
        with pytest.raises(WorkerError, match=rf"ended with code 3 {NOT_READY}"):
            clf.set_params(n_jobs=2).fit(TOKENS, 1 - LABELS)
        assert len(clf.predict(TOKENS)) == len(TOKENS)
    assert bits(clf.set_params(n_jobs=1), tmp_path) == before


@linux_only
def test_a_system_that_starts_no_more_processes_is_an_error_that_says_so(monkeypatch):
    pool.end_workers()
    gc.collect()
    n_files = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(pool.subprocess, "Popen", refuse("Resource temporarily unavailable"))
        with pytest.raises(
            WorkerError, match=r"could not be started: .*temporarily unavailable; n_jobs=1 does without"
        ):
            classifier(2).fit(TOKENS, LABELS)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == n_files


@linux_only
def test_memory_that_does_not_suffice_is_an_error_and_is_given_back(monkeypatch):
    gc.collect()
    n_files = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(memory, "open", refuse("No space left on device"), raising=False)
        with pytest.raises(WorkerError, match=r"could not be started: .*No space left"):
            classifier(2).fit(TOKENS, LABELS)
    assert len(os.listdir("/proc/self/fd")) == n_files


def refuse(reason):
    def function(*_, **__):
        raise OSError(reason)

    return function


def test_a_worker_that_cannot_have_the_memory_says_why():
    worker = Worker()
    file, _ = put_in_memory(np.zeros(3))
    worker.send("load", (b"no pickle", [], 0))
    send_handle(worker.connection, file, worker.process.pid)
    os.close(file)
    with pytest.raises(pickle.UnpicklingError):
        worker.receive(NOT_READY)
    worker.end()


# Errors in workers


DIVERGING = ({}, {"connectivity": "dense"}, {"engine": "plain"}, {"optimizer": "sgd"})


@pytest.mark.parametrize("kind", DIVERGING, ids=["set", "dense", "plain", "sgd"])
def test_training_that_diverges_says_the_same(kind):
    """In the backward pass, in dropout, in the LSTM, or not before the loss."""
    found = []
    for n_jobs in (1, 2, 3):
        clf = classifier(n_jobs, learning_rate=1e38, embedding_learning_rate=1e38, **kind)
        with pytest.raises(FloatingPointError) as caught:
            clf.fit(TOKENS, LABELS)
        state = clf.training_state_
        found.append((str(caught.value), state.epoch, state.batch, state.streams["dropout"].bit_generator.state))
    assert found[0] == found[1] == found[2]


def test_what_cannot_be_read_is_refused_in_the_same_words():
    """By the first batch that has such an id, which is a worker's."""
    clf, tokens, found = classifier(1).fit(TOKENS, LABELS), TOKENS.copy(), set()
    tokens[[200, 300], 3] = 99, 77
    for n_jobs in (1, 2, 3):
        with pytest.raises(ValueError, match="word ids range from 2 to 99") as caught:
            clf.set_params(n_jobs=n_jobs).predict(tokens)
        found.add(str(caught.value))
    assert len(found) == 1


def test_the_first_piece_with_an_error_raises_it(monkeypatch):
    errors = [[ValueError("first"), ValueError("third")], [ValueError("second")]]
    monkeypatch.setattr(Pool, "ask", lambda self, *rest: (errors[0], errors[1:]))
    with pytest.raises(ValueError, match="first"):
        classifier(2).fit(TOKENS, LABELS)
    errors[0][0] = 5
    with pytest.raises(ValueError, match="second"):
        classifier(2).fit(TOKENS, LABELS)


# Ctrl-C


def test_ctrl_c_reaches_the_parent_only(before_request, tmp_path, expected):
    def press(workers):
        for number in (os.getpid(), *(worker.process.pid for worker in workers)):
            os.kill(number, signal.SIGINT)

    before_request("backpropagate", 5, press)
    with pytest.warns(UserWarning, match="interrupted in epoch 2 of 3"):
        clf = classifier(3).fit(TOKENS, LABELS)
    assert bits(clf.fit(TOKENS, LABELS, resume=True), tmp_path) == expected


@linux_only
def test_ctrl_c_twice_stops_at_once_and_leaves_no_process(before_request):
    numbers = []

    def press_twice(workers):
        numbers.extend(worker.process.pid for worker in workers)
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)

    before_request("backpropagate", 5, lambda workers: numbers.extend(worker.process.pid for worker in workers))
    own = jobs.SharedTraining._backpropagate_own

    def interrupted(self, *rest):
        if numbers:
            press_twice(pool._pool.workers)
        return own(self, *rest)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(jobs.SharedTraining, "_backpropagate_own", interrupted)
        classifier(3).fit(TOKENS, LABELS)
    assert pool._pool.workers == [] and len(numbers) >= 2
    wait_until_gone(numbers)


def test_ctrl_c_while_workers_start_does_not_reach_them(monkeypatch, tmp_path, expected):
    pool.end_workers()
    start = Worker.__init__

    def start_and_press(self):
        start(self)
        self.process.send_signal(signal.SIGINT)

    monkeypatch.setattr(Worker, "__init__", start_and_press)
    assert bits(classifier(2).fit(TOKENS, LABELS), tmp_path) == expected


def test_after_ctrl_c_while_workers_are_loaded_none_answers_out_of_turn(monkeypatch, tmp_path, expected):
    def interrupted(self, when):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Worker, "receive", interrupted)
        classifier(2).fit(TOKENS, LABELS)
    assert bits(classifier(2).fit(TOKENS, LABELS), tmp_path) == expected


def test_after_ctrl_c_at_the_end_of_loading_workers_have_no_other_model(monkeypatch):
    one, other = (classifier(1, random_state=seed).fit(TOKENS, LABELS).set_params(n_jobs=2) for seed in (0, 1))
    one.predict_proba(TOKENS)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pool, "find_in_memory", interrupt)
        with pytest.raises(KeyboardInterrupt):
            other.predict_proba(TOKENS)
    np.testing.assert_array_equal(one.predict_proba(TOKENS), alone(one, TOKENS))


def test_ctrl_c_while_python_ends_is_no_error():
    press = """
end = pool.Pool.end
pool.Pool.end = lambda self: (os.kill(os.getpid(), 2), end(self))
"""
    ended = run_script(FIT + press)
    assert (ended.returncode, ended.stderr) == (0, "")


# At random moments


@linux_only
def test_nothing_is_lost_or_left_at_random_moments():
    wanted, seconds = kill_workers.undisturbed()
    draw = random.Random(0)
    for name, disturbance in kill_workers.DISTURBANCES.items():
        for k in range(3):
            found = kill_workers.disturb(disturbance, seconds, draw, wanted)
            code = found.pop("code")
            assert found == dict.fromkeys(kill_workers.FAULTS, 0), f"{name}, {k}: ended with code {code}"
