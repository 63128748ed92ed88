"""The whole benchmark, within a time limit; results are saved as they come."""

import math
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from numpy_setlstm.files import replacing
from numpy_setlstm.lab.benchmark.costs import bytes_by_formula, distances_from_limits, fits
from numpy_setlstm.lab.benchmark.harness import (
    Budget,
    PeerError,
    Worker,
    busy_processes,
    fastest_form,
    paired_ratios,
    peak_above_idle,
    spread,
    start_workers,
    take_turns,
)
from numpy_setlstm.lab.benchmark.language_work import LanguageWork
from numpy_setlstm.lab.benchmark.peers import LANGUAGE, LANGUAGE_PEERS, OURS, PEERS, check_peers
from numpy_setlstm.lab.benchmark.report import as_markdown, as_text, format_bytes, skipped_line
from numpy_setlstm.lab.benchmark.sweeps import DENSITIES, SMALLEST_HIDDEN, density_sweep, hidden_sizes, size_sweep
from numpy_setlstm.lab.benchmark.work import N_BATCHES, Work
from numpy_setlstm.lab.files import write_json, write_picture
from numpy_setlstm.lab.machine import available_cores, machine_facts, total_memory

QUICK_SECONDS = 180
REPEATS = 11
STEPS_PER_TURN = 2
SET_STEPS = 3
ROWS = {  # by their names on the command line
    "1": Work(),
    "2": Work(n_words=100_000),
    "3": Work(hidden_size=1024, batch_size=32, share=None, recurrent_density=0.01),
    "large": Work(
        n_words=1_000_000, hidden_size=65_536, length=20, batch_size=8, share=None, recurrent_density=8 / 65_536
    ),
    "language": LanguageWork(),
    "language-large": LanguageWork(hidden_size=1024, density=0.02),
}
DRAWN = 300  # ids that a language model draws in a turn


def run_benchmark(
    output,  # a folder, made if missing
    peers=(),  # names of PEERS; those not installed are skipped
    works=None,  # dict of name to Work; by default one of the paper's size
    *,
    threads=None,  # of each peer; by default as many as cores
    repeats=REPEATS,  # rounds at most
    time_limit=QUICK_SECONDS,  # in seconds, roughly; None for no limit
    sweeps=True,
    max_hidden=4096,
    busy=0,  # other processes that never rest
    pause=0.1,
    progress=False,
    report=print,
):
    """Measure this package and peers; write and return ``results.json``, and write ``report.md`` and pictures.

    Sweeps over densities and sizes use the first work. What exceeds the time limit is left out or repeated less often.
    """
    present, skipped = check_peers(peers)
    works = {"work": Work()} if works is None else works
    threads = available_cores() if threads is None else threads
    limit = math.inf if time_limit is None else time_limit
    for name, number, least in (
        ("threads", threads, 1),
        ("repeats", repeats, 1),
        ("max_hidden", max_hidden, SMALLEST_HIDDEN),
        ("time_limit", limit, 0),
        ("busy", busy, 0),
    ):
        if not number >= least:
            raise ValueError(f"{name} is {number}; expected at least {least}")
    run = Run(output, present, threads, repeats, pause, progress)
    run.results |= {"skipped": skipped, "time_limit": time_limit, "busy": busy}
    for name, library in skipped.items():
        report(skipped_line(name, library))
    try:
        with busy_processes(busy):
            run.measure(works, Budget(limit), sweeps, max_hidden)
        run.results["finished"] = True
    except KeyboardInterrupt:
        run.results["interrupted"] = True
    run.save()
    report(as_text(run.results))
    for path in run.write_report():
        report(f"wrote {path}")
    return run.results


class Run:
    """One benchmark: its settings, and its results so far."""

    def __init__(self, output, peers, threads, repeats, pause, progress):
        self.output, self.peers, self.threads = Path(output), peers, threads
        self.repeats, self.pause, self.progress = repeats, pause, progress
        self.forms = {}
        self.memory = (total_memory() or 2**32) // 4  # for one peer, as several run at the same time
        self.results = {"machine": machine_facts(threads), "peers": peers, "rows": [], "interrupted": False}
        self.results["finished"] = False
        self.output.mkdir(parents=True, exist_ok=True)

    def save(self):
        """Write the results so far."""
        write_json(self.output / "results.json", self.results)

    def measure(self, works, budget, sweeps, max_hidden):
        """Measure the machine's limits, each work, and the sweeps."""
        self.measure_limits()
        share = 0.4 if sweeps else 1.0
        for k, (name, work) in enumerate(works.items()):
            measure = self.measure_language if isinstance(work, LanguageWork) else self.measure_row
            measure(name, work, budget.part(share / (len(works) - k)))
        if sweeps:
            first = next(iter(works.values()))
            self.sweep_densities(first, budget.part(0.55), full=budget.left == math.inf)
            self.sweep_sizes(first, max_hidden, budget)

    def measure_limits(self):
        """Memory bandwidth and BLAS peak."""
        with Worker(None, self.threads) as worker:
            self.results["limits"] = worker.call("limits", self.threads)
        self.save()

    def measure_row(self, name, work, budget):
        """Time, parts and memory of all peers at one work."""
        row = {
            "name": name,
            "description": str(work),
            "work": work.to_json(),
            "parameters": work.n_parameters,
            "dense_parameters": work.sizes.dense_parameters,
            "connections": work.connections,
            "sparse_bytes": bytes_by_formula(work, sparse=True),
            "dense_bytes": bytes_by_formula(work, sparse=False),
            "peers": {peer: {} for peer in self.peers},
        }
        self.results["rows"].append(row)
        for peer in self.peers:
            if not fits(peer, work, self.memory):
                size = format_bytes(row["dense_bytes"])
                row["peers"][peer]["error"] = f"{peer} does not fit: weights and Adam's state take {size}"
        stack, workers = start_workers([p for p, numbers in row["peers"].items() if not numbers], self.threads)
        with stack:
            self._build(row, work, workers, passes=2 if budget.left == math.inf else 1)
            row["agreement"] = largest_difference({n: p["losses"] for n, p in row["peers"].items() if "losses" in p})
            for task, share in (("train", 0.6), ("predict", 0.5)):
                self._take_turns(row, task, workers, budget.part(share))
            self._evolve(row, workers)
            row["last_losses"] = workers[OURS].call("train", N_BATCHES, 0)["losses"]
            for peer, worker in workers.items():
                row["peers"][peer]["parts"] = worker.call("parts", 2)
        if "limits" in self.results:
            row["distances"] = distances_from_limits(work, row["peers"][OURS]["parts"], self.results["limits"])
        self.save()
        self._measure_memory(row, work)

    def measure_language(self, name, work, budget):
        """Time of training and of drawing, for the peers that have a language model."""
        row = {"name": name, "description": str(work), "work": work.to_json(), "n_drawn": DRAWN}
        row["peers"] = {peer: {} for peer in self.peers if peer in LANGUAGE_PEERS}
        self.results.setdefault("language", []).append(row)
        stack, started = start_workers([LANGUAGE + peer for peer in row["peers"]], self.threads)
        with stack:
            workers = {name.removeprefix(LANGUAGE): worker for name, worker in started.items()}
            for peer, worker in workers.items():
                worker.call("build", work.to_json(), self.threads)
                row["peers"][peer]["losses"] = worker.call("train", N_BATCHES, 0)["losses"]
            losses = {peer: numbers["losses"] for peer, numbers in row["peers"].items()}
            row["agreement"] = largest_difference(losses, LANGUAGE_PEERS)
            self._take_turns(row, "train", workers, budget.part(0.6))
            self._take_turns(row, "sample", workers, budget, (DRAWN,))
        self._measure_memory(row, work, LANGUAGE)

    def _build(self, row, work, workers, passes):
        """Find each peer's fastest form, make its network and take the first steps; drop a peer that fails."""
        for peer, worker in list(workers.items()):
            try:
                if worker.forms:
                    self.forms[peer], tried = fastest_form(worker, work, passes=passes)
                    row["peers"][peer] |= {"form": ", ".join(self.forms[peer].values()), "forms_tried": tried}
                worker.call("build", work.to_json(), self.threads, self.forms.get(peer))
                row["peers"][peer]["losses"] = worker.call("train", N_BATCHES, 0)["losses"]
            except PeerError as error:
                if peer == OURS:
                    raise
                row["peers"][peer]["error"] = str(error)
                del workers[peer]

    def _take_turns(self, row, task, workers, budget, arguments=(1, STEPS_PER_TURN)):
        def job(worker):
            return lambda: worker.call(task, *arguments)["seconds"]

        def after_round(turns):
            for peer, seconds in turns.items():
                row["peers"][peer] |= {task: spread(seconds), f"{task}_turns": seconds}
            for peer, ratio in paired_ratios(turns, OURS).items():
                row["peers"][peer][f"{task}_ratio"] = ratio
            self.save()
            bar.update()

        with self._bar(f"{row['name']}, {task}", self.repeats) as bar:
            jobs = {peer: job(worker) for peer, worker in workers.items()}
            take_turns(jobs, self.repeats, budget, pause=self.pause, after_round=after_round)

    def _evolve(self, row, workers):
        answers = [workers[OURS].call("evolve") for _ in range(SET_STEPS)]
        for key, answer in (("set_step", "seconds"), ("next_step", "next_step_seconds")):
            row[key] = spread([seconds for a in answers for seconds in a[answer]])

    def _measure_memory(self, row, work, kind=""):
        """Train each peer in a fresh process, and only train it."""
        for peer, numbers in row["peers"].items():
            if "error" not in numbers:
                with Worker(kind + peer, self.threads) as worker:
                    worker.call("build", work.to_json(), self.threads, self.forms.get(peer))
                    worker.call("train", 2, 0)  # Adam's state exists in the second step
                    memory = worker.call("memory")
                numbers["peak_bytes"] = peak_above_idle(memory)
                numbers |= {"idle_bytes": memory["idle"], "held_bytes": memory["held"]}
                self.save()

    def sweep_densities(self, work, budget, *, full):
        """Time against density; without `full`, with fewer words in fewer and shorter texts."""
        if not full:
            smaller = {"n_words": work.n_words // 10, "length": work.length // 4, "batch_size": work.batch_size // 2}
            work = replace(work, **{name: max(3, number) for name, number in smaller.items()})
        section = self.results["density"] = {"description": str(work).rpartition(", ")[0], "rows": []}
        with self._saving(section, "time against density", len(DENSITIES)) as after:
            repeats = self.repeats if full else 3
            settings = {"pause": self.pause, "after": after}
            density_sweep(self._swept, work, self.forms, self.threads, repeats, budget, **settings)

    def sweep_sizes(self, work, max_hidden, budget):
        """Time and memory against size."""
        sizes = hidden_sizes(max_hidden)
        section = self.results["sizes"] = {
            "description": f"V = 16 H, D {work.embedding_dim}, T 20, N 8, 8 connections per unit and gate",
            "rows": [],
        }
        with self._saving(section, "time and memory against size", len(sizes)) as after:
            settings = {"pause": self.pause, "after": after}
            size_sweep(self._swept, work, sizes, self.forms, self.threads, 3, budget, self.memory, **settings)

    @property
    def _swept(self):
        """The peers of the sweeps: without the textbook, which is slowest, and whose time is independent of density."""
        return [peer for peer in self.peers if peer != "textbook"]

    @contextmanager
    def _saving(self, section, description, total):
        with self._bar(description, total) as bar:

            def after(rows):
                section["rows"] = list(rows)
                self.save()
                bar.update()

            yield after

    def _bar(self, description, total):
        return tqdm(total=total, desc=description, leave=False, disable=None if self.progress else True)

    def write_report(self):
        """Write ``report.md`` and the pictures; return all files."""
        from numpy_setlstm import plotting  # importing matplotlib takes a second, and measuring does not need it

        paths = [
            write_picture(self.output / f"{name}.png", ax.figure)
            for name, ax in plotting.plot_benchmark(self.results).items()
        ]
        report = self.output / "report.md"
        with replacing(report) as file:
            file.write(as_markdown(self.results, [path.name for path in paths]).encode())
        return [self.output / "results.json", report, *paths]


def largest_difference(losses, peers=PEERS):
    """Largest relative difference between the losses, list by peer, of peers that compute the same numbers."""
    largest = 0.0
    for group in {peers[name].group for name in losses}:
        first, *others = [column for name, column in losses.items() if peers[name].group == group]
        for column in others:
            largest = max([largest, *(abs(b / a - 1) for a, b in zip(first, column, strict=True))])
    return largest
