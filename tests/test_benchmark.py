"""The benchmark: all peers do the same work, the statistics are correct, and no result is lost.

No assertion depends on speed: clocks are simulated.
"""

import importlib
import json
import math
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from numpy_setlstm import cli, plotting
from numpy_setlstm.fast import products
from numpy_setlstm.lab.benchmark import costs, harness, peers, report, run, sweeps, timing, worker
from numpy_setlstm.lab.benchmark.harness import Budget, PeerError, Worker, paired_ratios, spread, take_turns
from numpy_setlstm.lab.benchmark.language_work import LanguageWork, draw_language_batches
from numpy_setlstm.lab.benchmark.peers import LANGUAGE_PEERS, PART_LABELS, PEERS, load_peer, missing_library
from numpy_setlstm.lab.benchmark.work import Work, draw_batches, draw_network
from numpy_setlstm.lab.experiment.page import fill_blocks
from numpy_setlstm.lab.formatting import markdown_table, text_table
from numpy_setlstm.lab.machine import machine_facts, peak_bytes
from numpy_setlstm.measures import curves
from numpy_setlstm.sparse import SparseMatrix

TINY = Work(n_words=50, embedding_dim=7, hidden_size=9, n_classes=3, length=6, batch_size=5, share=0.2)
TINY_OPTIONS = (
    "--vocabulary 50 --embedding-dim 7 --hidden 9 --length 6 --batch 5 --parameter-share 0.2 --threads 1".split()
)


def peer_class(name):
    if missing_library(name):
        pytest.skip(f"{missing_library(name)} is not installed")
    return load_peer(name)


def steps(name, work, n_steps=6, form=None, n_batches=3):
    """Losses of some training steps, and predictions after them."""
    peer = peer_class(name)(work, 1, form)
    batches = draw_batches(work, n_batches)
    losses = [peer.train_step(*batches[k % n_batches]) for k in range(n_steps)]
    return np.array(losses), peer.predict(batches[0][0])


# The language model

TINY_LANGUAGE = LanguageWork(n_words=9, embedding_dim=4, hidden_size=6, n_steps=5, batch_size=3, density=0.4)


def test_minibatches_of_the_language_model_follow_one_another():
    batches = draw_language_batches(TINY_LANGUAGE, 3)
    inputs, targets = (np.concatenate(parts, axis=1) for parts in zip(*batches, strict=True))
    assert [part.shape for part in batches[1]] == [(3, 5), (3, 5)] and inputs.dtype == np.int64
    np.testing.assert_array_equal(inputs[:, 1:], targets[:, :-1])
    assert inputs.min() >= 2 and inputs.max() < 9


@pytest.mark.parametrize("name", LANGUAGE_PEERS)
def test_the_language_models_train_alike_and_draw(name):
    """Dense ones have the same losses; a sparse one learns the four minibatches by heart as well as it can."""
    if missing := LANGUAGE_PEERS[name].needs:
        pytest.importorskip(missing)
    peer, dense = (load_peer(f"language-{kind}")(TINY_LANGUAGE, 1) for kind in (name, "dense"))
    batches = draw_language_batches(TINY_LANGUAGE, 4)
    losses = np.array([[one.train_step(*batch) for batch in batches * 20] for one in (peer, dense)])
    if LANGUAGE_PEERS[name].group == "dense":
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert losses[0, -4:].mean() < losses[0, :4].mean()
    drawn = peer.sample(40)
    assert len(drawn) == 40 and set(drawn) <= set(range(9))


@pytest.mark.parametrize("peer_names", [["dense"], ["textbook"]])
def test_the_language_row_has_tokens_per_second_without_pytorch(peer_names, tmp_path, limits, monkeypatch):
    monkeypatch.setattr(run, "DRAWN", 20)
    texts = []
    settings = {"threads": 1, "repeats": 2, "pause": 0, "sweeps": False, "report": texts.append}
    results = run.run_benchmark(tmp_path, peer_names, {"row language": TINY_LANGUAGE}, **settings)
    (row,) = results["language"]
    assert results["finished"] and not results["rows"] and LanguageWork(**row["work"]) == TINY_LANGUAGE
    assert list(row["peers"]) == ["sparse", *(name for name in peer_names if name == "dense")]
    for name, peer in row["peers"].items():
        assert len(peer["train_turns"]) == len(peer["sample_turns"]) == 2 and ("train_ratio" in peer) == (
            name == "dense"
        )
    assert "row language: a language model, V 9, D 4, H 6, T 5, N 3, 40 % density" in "\n".join(texts)
    table = report.as_text(results)
    assert "tokens per second" in table and "drawn per second" in table
    tokens = f"{15 / row['peers']['sparse']['train']['median']:,.0f}"
    assert tokens in table and (tmp_path / "report.md").read_text(encoding="utf8").count("tokens per second") == 1


# The work


def test_the_first_row_of_the_table_has_less_than_four_percent():
    work = run.ROWS["1"]
    assert (work.n_words, work.embedding_dim, work.hidden_size) == (20_000, 256, 256)
    assert (work.length, work.batch_size) == (100, 64)
    assert draw_network(work).count_parameters() == work.n_parameters < 0.04 * work.sizes.dense_parameters
    assert run.ROWS["2"].n_words == 100_000
    third = run.ROWS["3"]
    assert (third.embedding_dim, third.hidden_size, third.batch_size) == (256, 1024, 32)
    assert third.connections["W_h"] == round(0.01 * 1024 * 4096)


@pytest.mark.parametrize("density", [{"share": 0.3}, {"recurrent_density": 0.5}, {"density": 0.25}, {"density": 1.0}])
def test_a_network_has_the_connections_that_the_work_says(density):
    work = TINY.with_density(**density)
    network = draw_network(work)
    for name, count in work.connections.items():
        assert isinstance(network.parameters[name], SparseMatrix) and network.parameters[name].nnz == count
    assert network.count_parameters() == work.n_parameters
    assert Work(**json.loads(json.dumps(work.to_json()))) == work


def test_the_seed_determines_the_work():
    for a, b in zip(draw_batches(TINY, 2), draw_batches(TINY, 2), strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])
    other = Work(**TINY.to_json() | {"seed": 1})
    assert (draw_batches(TINY, 1)[0][0] != draw_batches(other, 1)[0][0]).any()
    assert (draw_network(TINY).parameters["E"].values != draw_network(other).parameters["E"].values).any()


def test_words_follow_zipf_and_are_never_padding():
    work = Work(n_words=1002, length=1000, batch_size=100)
    (tokens, _), *_ = draw_batches(work, 1)
    counts = np.bincount(tokens.ravel(), minlength=1002)
    assert counts[:2].tolist() == [0, 0] and len(counts) == 1002
    harmonic = (1 / np.arange(1, 1001)).sum()
    np.testing.assert_allclose(counts[[2, 3, 11]] / 1e5, np.array([1, 1 / 2, 1 / 10]) / harmonic, rtol=0.1)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"length": 0}, "length is 0; expected at least 1"),
        ({"n_words": 2}, "n_words is 2; expected at least 3"),
        ({"density": 0.1}, "give one of share, recurrent_density and density"),
        ({"share": None}, "no density; give one of"),
        ({"share": 1.5}, "share is 1.5; expected a fraction"),
        ({"share": 1e-6}, "but biases and readout alone have"),
    ],
)
def test_impossible_work_is_rejected(settings, message):
    with pytest.raises(ValueError, match=message):
        Work(**settings)


# The peers do the same work


@pytest.mark.parametrize(("dtype", "rtol"), [("float32", 1e-4), ("float64", 1e-10)])
@pytest.mark.parametrize("name", [name for name in PEERS if name != "sparse"])
def test_peers_learn_the_same(name, dtype, rtol):
    work = Work(**TINY.to_json() | {"dtype": dtype, "learning_rate": 0.01})
    twin = next(other for other in PEERS if PEERS[other].group == PEERS[name].group and other != name)
    losses, probabilities = steps(name, work)
    expected_losses, expected_probabilities = steps(twin, work)
    assert len(set(losses.tolist())) == len(losses)  # it does learn
    np.testing.assert_allclose(losses, expected_losses, rtol=rtol)
    np.testing.assert_allclose(probabilities, expected_probabilities, rtol=10 * rtol)
    assert probabilities.shape == (5, 3)


@pytest.mark.parametrize("name", [name for name in PEERS if name != "sparse"])
def test_with_every_connection_sparse_and_dense_are_equal(name):
    work = Work(**TINY.with_density(density=1.0).to_json() | {"dtype": "float64"})
    losses, probabilities = steps(name, work)
    expected_losses, expected_probabilities = steps("sparse", work)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-10)
    np.testing.assert_allclose(probabilities, expected_probabilities, rtol=1e-9)


def test_dense_peers_start_from_the_sparse_weights():
    assert steps("dense", TINY, 1)[0] == pytest.approx(steps("sparse", TINY, 1)[0], rel=1e-6)


def test_every_form_of_torch_computes_the_same():
    forms = peer_class("torch").FORMS
    expected = steps("torch", TINY)[0]
    for name, choices in forms.items():
        for choice in choices[1:]:
            np.testing.assert_allclose(steps("torch", TINY, form={name: choice})[0], expected, rtol=1e-5)


def test_scipy_computes_the_same_gradient_by_gathering(monkeypatch):
    peer_class("scipy")
    from numpy_setlstm.lab.benchmark.peers import scipy_sparse

    expected = steps("scipy", TINY)[0]
    monkeypatch.setattr(scipy_sparse, "GATHER_BELOW_DENSITY", 2.0)
    monkeypatch.setattr(scipy_sparse, "GATHER_CHUNK", 64)
    np.testing.assert_allclose(steps("scipy", TINY)[0], expected, rtol=1e-5)


def test_a_set_step_keeps_the_count_and_training_continues():
    peer = load_peer("sparse")(TINY, 1)
    before = {name: W.topology for name, W in peer.network.parameters.items() if isinstance(W, SparseMatrix)}
    (batch,) = draw_batches(TINY, 1)
    peer.train_step(*batch)
    peer.set_step()
    for name, topology in before.items():
        assert peer.network.parameters[name].nnz == len(topology.rows)
        assert (peer.network.parameters[name].topology.keys != topology.keys).any()
    assert math.isfinite(peer.train_step(*batch))


@pytest.mark.parametrize("name", PEERS)
def test_the_parts_of_a_step_are_called_in_it(name):
    peer = peer_class(name)(TINY, 1)
    (batch,) = draw_batches(TINY, 1)
    with timing.timed_functions(peer.PARTS) as parts:
        peer.train_step(*batch)
    assert set(parts.seconds()) == {label for _, label in peer.PARTS} <= set(PART_LABELS)


def test_the_gradient_of_each_kind_of_product_is_a_part_of_a_step():
    """At any density: one that is left out would be counted as "other"."""
    classes = {name: kind for name, kind in vars(products).items() if isinstance(kind, type)}
    kinds = [name for name, kind in classes.items() if "gradient" in vars(kind)]
    functions = {function for function, label in load_peer("sparse").PARTS if label == "gradients"}
    assert {f"{products.__name__}:{kind}.gradient" for kind in kinds} <= functions


def test_held_bytes_agree_with_the_formula():
    (batch,) = draw_batches(TINY, 1)
    held = {}
    for name in ("sparse", "dense", "textbook"):
        peer = load_peer(name)(TINY, 1)
        peer.train_step(*batch)
        held[name] = peer.held_bytes()
    assert sum(held["textbook"].values()) == costs.bytes_by_formula(TINY, sparse=False)
    assert sum(held["dense"].values()) - costs.bytes_by_formula(TINY, sparse=False) == 6 * 4  # ages of six arrays
    assert held["sparse"]["parameters"] == 4 * TINY.n_parameters
    # Arrays derived from rows and columns take memory too, which the formula does not count.
    assert sum(held["sparse"].values()) >= costs.bytes_by_formula(TINY, sparse=True)
    assert held["sparse"]["indices"] >= 8 * sum(TINY.connections.values())
    dense, sparse = (costs.bytes_by_formula(Work(), sparse=sparse) for sparse in (False, True))
    assert dense / sparse == pytest.approx(12.8, abs=0.1)


def test_peers_with_dense_weights_need_memory_for_them():
    assert costs.fits("torch", Work(), 2**30) and costs.fits("scipy", Work(), 0)
    assert not costs.fits("torch", Work(hidden_size=65_536), 2**35)


def test_the_optimizer_is_limited_by_bandwidth():
    limits = {"gemm_flops_per_second": 1e11, "triad_bytes_per_second": 1e10}
    (found,) = costs.distances_from_limits(Work(), {"optimizer": 0.01, "other": 1.0}, limits).values()
    assert found["bytes_per_second"] == pytest.approx(4 * 7 * Work().n_parameters / 0.01)
    assert found["times_the_limit"] == pytest.approx(1 / found["of_bandwidth"]) == pytest.approx(16.2, abs=0.1)


def test_an_array_counts_once_however_many_references_it_has():
    class Holder:
        def __init__(self, array):
            self.array, self.itself, self.text, self.kind = array, self, "text", Holder

    a = np.zeros(10)
    assert costs.nbytes_within([a, a[2:4], {"x": (a.reshape(2, 5), Holder(a))}, None]) == 80


# Peers by name


def test_unknown_and_missing_peers(monkeypatch):
    with pytest.raises(ValueError, match="there is no peer 'keras'; there are torch, scipy, dense, textbook"):
        peers.check_peers(["keras"])
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    present, skipped = peers.check_peers(["torch", "dense", "scipy"])
    assert present == ["sparse", "dense"] and skipped == {"torch": "torch", "scipy": "scipy"}


# The clock for named functions


class Stage:
    """Functions to time, and a clock that only they advance."""

    now = 0.0

    @classmethod
    def outer(cls):
        cls.now += 1
        cls.inner()
        cls.now += 2

    @classmethod
    def inner(cls):
        cls.now += 4


def test_of_nested_functions_the_inner_one_has_the_time(monkeypatch):
    monkeypatch.setattr(Stage, "now", 0.0)
    originals = dict(vars(Stage))
    names = [(f"{__name__}:Stage.outer", "outer"), (f"{__name__}:Stage.inner", "inner")]
    with timing.timed_functions(names, lambda: Stage.now) as timed:
        Stage.outer()
        Stage.now += 8  # in no function
        Stage.inner()
    assert timed.seconds() == {"outer": 3.0, "inner": 8.0}
    assert vars(Stage)["outer"] is originals["outer"] and vars(Stage)["inner"] is originals["inner"]


def test_time_is_divided_among_threads(monkeypatch):
    moments = iter([0.0, 1.0, 3.0, 4.0])
    thread = "first"
    monkeypatch.setattr(threading, "get_ident", lambda: thread)
    parts = timing.Parts(lambda: next(moments))
    parts.enter("a")  # at 0
    thread = "second"
    parts.enter("b")  # at 1
    thread = "first"
    parts.leave()  # at 3
    thread = "second"
    parts.leave()  # at 4
    assert parts.seconds() == {"a": 2.0, "b": 2.0}


def test_functions_are_restored_after_an_error_and_a_wrong_name_is_reported():
    original = vars(Stage)["outer"]
    with pytest.raises(AttributeError, match="there is no function 'Stage.nothing' in"):
        with timing.timed_functions([(f"{__name__}:Stage.outer", "a"), (f"{__name__}:Stage.nothing", "b")]):
            pass
    with pytest.raises(AttributeError, match="there is no function 'Nobody.nothing'"):
        with timing.timed_functions([(f"{__name__}:Nobody.nothing", "b")]):
            pass
    assert vars(Stage)["outer"] is original


# Turns and statistics


def test_jobs_take_turns_and_only_whole_rounds_count():
    log = []

    def job(name, seconds):
        def work():
            log.append(name)
            return [next(seconds), 0.0, 9.0]  # the median is the first

        return work

    a, b = iter([1.0, 2.0, 3.0]), iter([4.0, 5.0, 6.0])
    seen = []
    jobs = {"a": job("a", a), "b": job("b", b)}
    turns = take_turns(jobs, 3, Budget(60), pause=0, after_round=lambda turns: seen.append(len(turns["a"])))
    assert turns == {"a": [1.0, 2.0, 3.0], "b": [4.0, 5.0, 6.0]}
    assert "".join(log) == "ababab" and seen == [1, 2, 3]


def test_an_interruption_keeps_the_rounds_before_it():
    def interrupted():
        if len(kept["a"]) == 1:
            raise KeyboardInterrupt
        return [2.0]

    kept = {"a": []}
    with pytest.raises(KeyboardInterrupt):
        take_turns({"a": lambda: [1.0], "b": interrupted}, 5, Budget(60), pause=0, after_round=kept.update)
    assert kept == {"a": [1.0], "b": [2.0]}


@pytest.mark.parametrize(("seconds", "rounds"), [(0.0, 9), (10.5, 11), (100.0, 12)])
def test_rounds_end_with_the_budget_except_for_the_first_ones(seconds, rounds):
    now = 0.0
    budget = Budget(seconds, lambda: now)

    def job():
        nonlocal now
        now += 1
        return [1.0]

    assert len(take_turns({"a": job}, 12, budget, pause=0)["a"]) == rounds


def test_a_part_of_a_budget():
    now = 0.0
    budget = Budget(10.0, lambda: now)
    now = 2.0
    half = budget.part(0.5)
    assert (budget.left, half.left) == (8.0, 4.0)
    now = 7.0
    assert (budget.left, half.left) == (3.0, 0.0)
    assert Budget(math.inf).part(0.1).left == math.inf


def test_ratios_are_taken_within_a_round():
    turns = {"sparse": [1.0, 10.0, 2.0], "torch": [3.0, 20.0, 6.0], "lost": []}
    assert paired_ratios(turns, "sparse") == {"torch": spread([3.0, 2.0, 3.0])}
    assert spread([3.0, 2.0, 3.0]) == {"median": 3.0, "low": 2.5, "high": 3.0, "least": 2.0, "n": 3}


def test_the_fastest_form_is_found_one_setting_at_a_time():
    class FakeWorker:
        forms = {"adam": ("fused", "foreach"), "layout": ("batch", "time")}
        threads = 1
        seconds = {"fused": 3.0, "foreach": 1.0, "batch": 2.0, "time": 0.5}

        def call(self, task, *arguments):
            if task == "build":
                self.form = arguments[2]
                return None
            return {"seconds": [9.0, sum(self.seconds[choice] for choice in self.form.values())]}

    form, tried = harness.fastest_form(FakeWorker(), TINY, passes=2)
    assert form == {"adam": "foreach", "layout": "time"}
    assert tried == {"fused, batch": 5.0, "foreach, batch": 3.0, "foreach, time": 1.5}


def test_the_largest_difference_is_within_groups():
    losses = {"sparse": [2.0, 1.0], "scipy": [2.0, 1.1], "dense": [2.0, 5.0], "textbook": [2.0, 5.0]}
    assert run.largest_difference(losses) == pytest.approx(0.1)


def test_a_peer_that_does_not_fit_into_memory_is_skipped_with_a_message(tmp_path, limits, monkeypatch):
    monkeypatch.setattr(run, "total_memory", lambda: 400)
    texts = []
    settings = {"threads": 1, "repeats": 1, "pause": 0, "sweeps": False, "report": texts.append}
    results = run.run_benchmark(tmp_path, ["dense"], {"tiny": TINY}, **settings)
    assert results["finished"] and set(results["rows"][0]["peers"]["dense"]) == {"error"}
    assert "tiny: dense does not fit: weights and Adam's state take" in texts[0]


# Sweeps


def test_crossing_between_two_densities():
    assert curves.crossing([0.01, 0.1, 1.0], [1, 10, 100], [50, 50, 50]) == pytest.approx(0.5)
    assert curves.crossing([0.01, 0.1], [5, 5], [1, 1]) is None
    rows = [{"density": d, "step": {"sparse": 10 * d, "dense": 1.0, "torch": 20.0}} for d in (0.01, 1.0)]
    assert sweeps.crossings(rows, "step") == {"sparse, dense": pytest.approx(0.1)}


def test_exponents_of_the_measured_peers():
    rows = [
        {"connections": n, "peers": {"sparse": {"seconds": 2e-6 * n, "bytes": n**1.5}, "dense": {"error": "too large"}}}
        for n in (10, 1000, 10_000)
    ]
    assert sweeps.exponents(rows, "seconds") == {"sparse": pytest.approx(1.0)}
    assert sweeps.exponents(rows, "bytes") == {"sparse": pytest.approx(1.5)}
    assert math.isnan(curves.exponent([1], [1]))


def test_a_sweep_without_time_has_only_its_first_point():
    settings = {"forms": {}, "threads": 1, "repeats": 1, "budget": Budget(0.0), "pause": 0}
    (row,) = sweeps.density_sweep(["sparse"], TINY, densities=(0.5, 0.1), **settings)
    assert row["density"] == 0.5 and set(row) == {"density", "step", "product", "gradient"}
    (row,) = sweeps.size_sweep(["sparse", "dense"], TINY, [8, 16], memory=0, **settings)
    assert row["hidden_size"] == 8 and set(row["peers"]) == {"sparse"}  # no memory for dense weights


def test_sizes_double_and_keep_eight_connections_per_unit_and_gate():
    assert sweeps.hidden_sizes(1023) == [256, 512] and sweeps.hidden_sizes(100) == [256]
    for hidden_size in (256, 65_536):
        work = sweeps.work_of_size(Work(), hidden_size)
        assert work.connections["W_h"] == 8 * 4 * hidden_size and (work.length, work.batch_size) == (20, 8)


def test_kernels_of_the_sweep_agree():
    W = draw_network(TINY).parameters["W_h"]
    product, *others = [f() for f in sweeps.product_kernels(W, 5, np.random.default_rng(0)).values()]
    for other in others:
        np.testing.assert_allclose(other, product, rtol=1e-4, atol=1e-5)
    gather, scratch = (f() for f in sweeps.gradient_kernels(W, 5, 6, np.random.default_rng(0)).values())
    np.testing.assert_allclose(gather, scratch, rtol=1e-4, atol=1e-5)
    timed = sweeps.time_kernels(TINY, 2)
    assert {"gather", "scratch"} <= set(timed["product"]) and set(timed["gradient"]) == {"gather", "scratch"}


# Workers


def test_a_worker_answers_and_reports_its_memory():
    with Worker("sparse", 1) as process:
        assert process.evolves and process.forms == {}
        process.call("build", TINY.to_json(), 1)
        answer = process.call("train", 2, 3)
        np.testing.assert_allclose(answer["losses"], steps("sparse", TINY, 5, n_batches=worker.N_BATCHES)[0], rtol=1e-5)
        assert len(answer["seconds"]) == 3 and len(process.call("predict", 1, 2)["seconds"]) == 2
        assert set(process.call("parts", 1)) == {label for _, label in load_peer("sparse").PARTS} | {"other"}
        assert set(process.call("evolve")) == {"seconds", "next_step_seconds"}
        memory = process.call("memory")
        assert memory["peak"] is None or memory["peak"] > memory["idle"] > 0
        with pytest.raises(PeerError, match="sparse failed in 'build': ValueError: length is 0"):
            process.call("build", TINY.to_json() | {"length": 0}, 1)
        process.call("train", 1, 0)  # it still works


@pytest.mark.parametrize("first", ["", "{here}", None], ids=["notebook", "python -m", "console script"])
def test_a_worker_executes_no_file_of_the_current_folder(tmp_path, monkeypatch, first):
    for name in ("json", "scipy", "numpy", "struct", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w').write({name!r})")
    monkeypatch.chdir(tmp_path)
    if first is not None:
        monkeypatch.setattr(sys, "path", [first.format(here=tmp_path), *sys.path])
    with Worker("scipy" if not missing_library("scipy") else "sparse", 1) as process:
        process.call("build", TINY.to_json(), 1)
    assert not (tmp_path / "executed").exists()


def test_a_worker_finds_a_package_that_is_imported_from_the_current_folder(monkeypatch):
    root = Path(harness.__file__).resolve().parents[3]
    monkeypatch.chdir(root)
    assert harness.safe_path()[-1] == str(root) and harness.safe_path().count(str(root)) == 1
    with Worker(None, 1) as process:
        assert process.call("memory")["idle"] is None


def test_the_peak_is_that_of_the_worker_and_not_of_its_parent():
    mine = np.ones(2**26)  # half a gigabyte in this process
    with Worker(None, 1) as process:
        peak = process.call("memory")["peak"]
    assert peak is None or peak < mine.nbytes < peak_bytes()


def test_the_death_of_a_worker_is_reported():
    with Worker(None, 1) as process:
        process._process.kill()
        process._process.wait()
        with pytest.raises(PeerError, match="worker died in 'limits' with code -9"):
            process.call("limits", 1)


def test_a_worker_ends_with_its_input():
    process = Worker(None, 1)
    process._process.stdin.close()
    assert process._process.wait(timeout=30) == 0
    process._process.stdout.close()


def test_running_out_of_memory_is_reported():
    class Hungry(worker.Tasks):
        def eat(self):
            raise MemoryError("no 5 TiB")

    assert worker.answer(Hungry(), '["eat"]') == {"error": "out of memory: no 5 TiB"}


# The whole


@pytest.fixture
def limits(monkeypatch):
    """Simulated limits of the machine."""
    made_up = {"copy_bytes_per_second": 2e10, "triad_bytes_per_second": 1e10, "gemm_flops_per_second": 1e11}
    monkeypatch.setattr(run.Run, "measure_limits", lambda self: self.results.__setitem__("limits", made_up))


def test_the_machine_has_limits():
    measured = costs.machine_limits(2, n_bytes=2**16, size=32, repeats=1)
    assert len(measured) == 3 and all(number > 0 for number in measured.values())


def test_a_whole_run(tmp_path, limits, monkeypatch):
    monkeypatch.setattr(sweeps, "SMALLEST_HIDDEN", 8)
    monkeypatch.setattr(run, "SMALLEST_HIDDEN", 8)
    monkeypatch.setattr(run.Run, "sweep_densities", _two_densities)
    texts = []
    results = run.run_benchmark(
        tmp_path / "a" / "b",
        ["textbook"],
        {"tiny": TINY},
        threads=1,
        repeats=2,
        max_hidden=16,
        pause=0,
        report=texts.append,
    )
    assert results["finished"] and not results["interrupted"]
    document = (tmp_path / "a" / "b" / "results.json").read_text()
    assert json.loads(document) == json.loads(json.dumps(results))
    for private in (str(tmp_path), "/usr", "/home", "site-packages"):
        assert private not in document
    (row,) = results["rows"]
    assert row["agreement"] < 1e-5 and np.mean(row["last_losses"]) < np.mean(row["peers"]["sparse"]["losses"])
    assert Work(**row["work"]) == TINY
    for name in results["peers"]:
        peer = row["peers"][name]
        assert len(peer["train_turns"]) == len(peer["predict_turns"]) == 2
        assert peer["train"]["n"] == 2 and ("train_ratio" in peer) == (name != "sparse")
    assert [r["density"] for r in results["density"]["rows"]] == [0.1, 1.0]
    assert [r["hidden_size"] for r in results["sizes"]["rows"]] == [8, 16]
    printed = "\n".join(texts)
    for text in ("time of the parts of a training step", "training step against density", "connections^", "a SET step"):
        assert text in printed
    markdown = (tmp_path / "a" / "b" / "report.md").read_text()
    pictures = {path.name for path in (tmp_path / "a" / "b").glob("*.png")}
    assert pictures == {f"{name}.png" for name in plotting.plot_benchmark(results)}
    assert all(f"![{name}]({name})" in markdown for name in pictures) and len(pictures) == 6


def _two_densities(self, work, budget, *, full):
    section = self.results["density"] = {"description": str(work), "rows": []}
    section["rows"] = sweeps.density_sweep(self.peers, work, {}, 1, 2, budget, (1.0, 0.1), pause=0)


def test_an_interruption_keeps_results_and_a_report(tmp_path, limits, monkeypatch):
    def interrupt(self, row, workers):
        raise KeyboardInterrupt

    monkeypatch.setattr(run.Run, "_evolve", interrupt)
    results = run.run_benchmark(tmp_path, [], {"tiny": TINY}, threads=1, repeats=1, pause=0, report=lambda text: None)
    saved = json.loads((tmp_path / "results.json").read_text())
    assert results["interrupted"] and saved["interrupted"] and not saved["finished"]
    assert saved["rows"][0]["peers"]["sparse"]["train"]["n"] == 1
    assert "numpy_setlstm, sparse" in (tmp_path / "report.md").read_text()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send Ctrl-C to one process")
def test_ctrl_c_ends_the_command_and_its_workers(tmp_path):
    command = [sys.executable, "-m", "numpy_setlstm", "benchmark", "--output", str(tmp_path), "--peers", ""]
    process = subprocess.Popen(
        [*command, *TINY_OPTIONS, "--repeats", "1000000", "--full"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not _has_turns(tmp_path / "results.json"):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and "Traceback" not in err
    assert "numpy_setlstm, sparse" in out and json.loads((tmp_path / "results.json").read_text())["interrupted"]


def _has_turns(path):
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    return bool(rows) and "train" in rows[0]["peers"]["sparse"]


def test_the_command_skips_peers_that_are_not_installed(capsys, tmp_path, limits, monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    monkeypatch.setattr(run.Run, "sweep_densities", lambda *_, **__: None)
    monkeypatch.setattr(run.Run, "sweep_sizes", lambda *_, **__: None)
    options = ["--peers", "torch", "--repeats", "1", "--output", str(tmp_path), *TINY_OPTIONS]
    assert cli.main(["benchmark", *options]) == 0
    out = capsys.readouterr().out
    assert out.startswith("skipped torch: torch is not installed\n") and "numpy_setlstm, sparse" in out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--peers", "keras"], "there is no peer 'keras'"),
        (["--rows", "4"], "there is no row '4'; there are 1, 2, 3, large, language, language-large"),
        (["--rows", "1", "--hidden", "8"], "--rows names whole works; leave out --hidden"),
        (["--hidden", "0"], "hidden_size is 0; expected at least 1"),
        (["--parameter-share", "1.5"], "share is 1.5"),
        (
            ["--parameter-share", "0.1", "--recurrent-density", "0.1"],
            "give one of share, recurrent_density and density",
        ),
        (["--threads", "-1"], "threads is -1"),
        (["--repeats", "-2"], "repeats is -2"),
        (["--time-limit", "-5"], "time_limit is -5.0"),
        (["--max-hidden", "10"], "max_hidden is 10; expected at least 256"),
        (["--vocabulary", "many"], "'many' is not a whole number"),
    ],
)
def test_an_error_is_one_line(capsys, tmp_path, arguments, message):
    try:
        code = cli.main(["benchmark", "--output", str(tmp_path / "x"), *arguments])
    except SystemExit as stop:
        code = stop.code
    err = capsys.readouterr().err
    assert code == 2 and err.count("\n") == 1 and message in err
    assert not (tmp_path / "x").exists()


# Reports and pictures


def test_a_busy_machine_is_reported():
    results = {"machine": machine_facts(1) | {"load": 3.25}, "skipped": {"torch": "torch"}, "rows": []}
    _, busy, skipped = report.summary_lines(results)
    assert "load 3.2" in busy and skipped == "skipped torch: torch is not installed"
    results["machine"]["load"] = 0.1
    assert len(report.summary_lines(results)) == 2


def test_numbers_are_written_with_three_digits():
    assert [report.format_seconds(s) for s in (123.4, 0.5, 0.0009996)] == ["123 s", "500 ms", "1000 µs"]
    assert [report.format_seconds(s) for s in (0.01234, 2.5, 3.2e-05)] == ["12.3 ms", "2.50 s", "32.0 µs"]
    assert [report.format_bytes(n) for n in (512, 3 * 2**20, 250 * 2**30)] == ["0.50 KiB", "3.00 MiB", "250 GiB"]


def test_a_table_as_text_and_in_markdown():
    header, rows = ("peer", "step"), [("sparse", "1 s"), ("dense", "12 s")]
    assert text_table(header, rows).splitlines() == ["peer    step", "sparse   1 s", "dense   12 s"]
    assert markdown_table(header, rows).splitlines() == [
        "| peer | step |",
        "| --- | ---: |",
        "| sparse | 1 s |",
        "| dense | 12 s |",
    ]


def test_lines_show_the_numbers_and_circles_the_crossings():
    ax = Figure().subplots()
    curves = {"sparse": [1e-4, 1e-3, 1e-2], "dense": [5e-3] * 3, "torch": [1.0] * 3}
    assert plotting.plot_time_against_density([0.01, 0.1, 1.0], curves, ax) is ax
    drawn = {line.get_label(): line.get_ydata().tolist() for line in ax.lines if line.get_label() in curves}
    assert drawn == curves and ax.get_xscale() == ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.texts] == ["50 %"]
    (circle,) = [line for line in ax.lines if line.get_label() not in curves]
    np.testing.assert_allclose(circle.get_xydata(), [[0.5, 5e-3]])
    assert len({line.get_color() for line in ax.lines}) == 4


def test_curves_can_be_compared_with_another_than_the_first():
    curves = {"gather": [1.0, 10.0, 100.0], "scratch": [10.0, 10.0, 10.0], "scipy": [0.1, 1.0, 20.0]}
    ax = plotting.plot_time_against_density([0.01, 0.1, 1.0], curves, reference="scratch")
    assert [text.get_text() for text in ax.texts] == ["10 %", "59 %"]
    ax.figure.draw_without_rendering()
    first, last = (text.get_window_extent() for text in ax.texts)
    assert not first.overlaps(last) and last.x1 < ax.get_window_extent().x1


def test_labels_of_neighboring_crossings_do_not_overlap():
    curves = {"gather": [1.0, 8.0, 100.0], "scratch": [10.0, 10.0, 10.0], "scipy": [0.5, 5.0, 70.0]}
    ax = plotting.plot_time_against_density([0.01, 0.1, 1.0], curves, reference="scratch")
    ax.figure.draw_without_rendering()
    first, second = (text.get_window_extent() for text in ax.texts)
    assert [text.get_text() for text in ax.texts] == ["12 %", "18 %"] and not first.overlaps(second)


def test_scaling_leaves_out_what_was_not_measured():
    ax = plotting.plot_scaling([10, 100, 1000], {"sparse": [1, 10, 100], "dense": [1, None, None], "torch": [None] * 3})
    assert [len(line.get_xdata()) for line in ax.lines] == [3, 1, 0]
    assert ax.get_legend().get_texts()[0].get_text() == "sparse, exponent 1.00"
    ax = plotting.plot_scaling([10, 100], {"sparse": [2.0**20, 2.0**31]}, "bytes")
    ax.figure.draw_without_rendering()
    assert {"MiB", "GiB"} == {label.get_text().split()[1] for label in ax.get_yticklabels()}
    ax = plotting.plot_scaling([1, 2, 4], {"sparse": [1, 3, 8], "dense": [2, 3, None]}, guides={"dense": 2})
    guide, line = ax.lines[1:]
    assert guide.get_ls() == ":" and guide.get_color() == line.get_color()
    np.testing.assert_allclose(guide.get_xydata(), [[1, 0.75], [2, 3]])
    assert [text.get_text().split(" (")[1:] for text in ax.get_legend().get_texts()] == [[], ["dotted: 2)"]]
    with pytest.raises(ValueError, match="quantity is 'watts'"):
        plotting.plot_scaling([1], {"sparse": [1]}, "watts")


def test_bars_add_up_to_the_step():
    parts = {"sparse": {"gradients": 1.0, "optimizer": 2.0, "other": 0.5}, "torch": {"backward": 4.0}}
    ax = plotting.plot_step_parts(parts)
    ends = {}
    for bar in (patch for container in ax.containers for patch in container):
        row = round(bar.get_y() + bar.get_height() / 2)
        ends[row] = max(ends.get(row, 0), bar.get_x() + bar.get_width())
    assert ends == {0: 3.5, 1: 4.0}
    assert [container.get_label() for container in ax.containers] == ["backward", "gradients", "optimizer", "other"]
    assert set(plotting.PART_STYLES) == {*PART_LABELS, "other"}


@pytest.mark.parametrize("style", ["dark_background", "grayscale"])
def test_pictures_follow_the_style(style):
    from matplotlib import style as styles

    with styles.context(style):
        plotting.plot_time_against_density([0.1, 1.0], {"sparse": [1, 2], "a": [2, 1]}).figure.draw_without_rendering()
        plotting.plot_step_parts({"sparse": {"other": 1.0}}).figure.draw_without_rendering()


# The page


def test_the_race_of_the_page_is_the_one_that_was_measured(tmp_path, monkeypatch):
    docs = Path(__file__).parent.parent / "docs"
    monkeypatch.syspath_prepend(docs)
    script = importlib.import_module("imdb_race")
    page, records = Path(shutil.copy(docs / "speed.md", tmp_path)), script.read_records()
    fill_blocks(page, "race", lambda name: script.format_race(records))
    assert page.read_text("utf8") == (docs / "speed.md").read_text("utf8"), "run python docs/imdb_race.py --report-only"
    assert sorted((record["kind"], record["seed"]) for record in records) == sorted(
        (kind, seed) for kind in script.NAMES for seed in range(3)
    )
