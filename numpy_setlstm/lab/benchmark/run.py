"""The whole benchmark, within a time limit; results are saved as they come."""

import json
import math
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from numpy_setlstm.checkpoint import replacing
from numpy_setlstm.lab.benchmark.costs import bytes_by_formula, distances_from_limits, fits
from numpy_setlstm.lab.benchmark.harness import (
    Budget,
    PeerError,
    Worker,
    fastest_form,
    paired_ratios,
    spread,
    start_workers,
    take_turns,
)
from numpy_setlstm.lab.benchmark.peers import OURS, PEERS, check_peers
from numpy_setlstm.lab.benchmark.report import (
    as_markdown,
    as_text,
    available_cores,
    format_bytes,
    machine_facts,
    total_memory,
)
from numpy_setlstm.lab.benchmark.sweeps import DENSITIES, SMALLEST_HIDDEN, density_sweep, hidden_sizes, size_sweep
from numpy_setlstm.lab.benchmark.work import N_BATCHES, Work

QUICK_SECONDS = 180
REPEATS = 11
STEPS_PER_TURN = 2
SET_STEPS = 3
ROWS = {  # by the name that the command line has for them
    "1": Work(),
    "2": Work(n_words=100_000),
    "3": Work(hidden_size=1024, batch_size=32, share=None, recurrent_density=0.01),
    "large": Work(
        n_words=1_000_000, hidden_size=65_536, length=20, batch_size=8, share=None, recurrent_density=8 / 65_536
    ),
}


def run_benchmark(
    output,
    peers=(),
    works=None,
    *,
    threads=None,
    repeats=REPEATS,
    time_limit=QUICK_SECONDS,
    sweeps=True,
    max_hidden=4096,
    pause=0.1,
    progress=False,
    report=print,
):
    """Measure this package against peers; write ``results.json``, ``report.md`` and pictures.

    Parameters
    ----------
    output : str or Path
        Folder; made if it does not exist.
    peers : iterable of str
        Names from :data:`~numpy_setlstm.lab.benchmark.peers.PEERS`. One that is not installed is left out, with a word.
    works : dict of str to Work, optional
        By name; that of the paper's size without it.
    threads : int, optional
        For each peer; as many as there are cores without it.
    repeats : int
        Rounds, at most.
    time_limit : float or None
        Seconds, roughly; what does not fit is left out or done less often. None: no limit.
    sweeps : bool
        Whether to measure time against density and against size, on the first work.
    max_hidden : int
        Up to which hidden size.
    pause : float
        Seconds before each turn.
    progress : bool, default False
        Show bars, if standard error is a terminal.
    report : callable
        Takes text to show.

    Returns
    -------
    dict
        What ``results.json`` holds; ``interrupted`` if Ctrl-C ended it early.

    Raises
    ------
    ValueError
        If there is no peer of a name, or a number is out of range.
    """
    present, skipped = check_peers(peers)
    works = {"work": Work()} if works is None else works
    threads = available_cores() if threads is None else threads
    least = {"threads": (threads, 1), "repeats": (repeats, 1), "max_hidden": (max_hidden, SMALLEST_HIDDEN)}
    for name, (number, smallest) in (
        least | {"time_limit": (math.inf if time_limit is None else time_limit, 0)}
    ).items():
        if not number >= smallest:
            raise ValueError(f"{name} is {number}; expected at least {smallest}")
    run = Run(output, present, threads, repeats, pause, progress)
    run.results |= {"skipped": skipped, "time_limit": time_limit}
    for name, library in skipped.items():
        report(f"skipped {name}: {library} is not installed")
    budget = Budget(math.inf if time_limit is None else time_limit)
    try:
        run.measure_limits()
        share = 0.4 if sweeps else 1.0
        for k, (name, work) in enumerate(works.items()):
            run.measure_row(name, work, budget.part(share / (len(works) - k)))
        if sweeps:
            first = next(iter(works.values()))
            run.sweep_densities(first, budget.part(0.55), full=time_limit is None)
            run.sweep_sizes(first, max_hidden, budget)
        run.results["finished"] = True
    except KeyboardInterrupt:
        run.results["interrupted"] = True
    run.save()
    report(as_text(run.results))
    for path in run.write_report():
        report(f"wrote {path}")
    return run.results


class Run:
    """One benchmark: its settings, and its results so far.

    Parameters
    ----------
    output : str or Path
    peers : list of str
    threads, repeats : int
    pause : float
    progress : bool
    """

    def __init__(self, output, peers, threads, repeats, pause, progress):
        self.output, self.peers, self.threads = Path(output), peers, threads
        self.repeats, self.pause, self.progress = repeats, pause, progress
        self.forms = {}
        self.memory = (total_memory() or 2**32) // 4  # for one peer: they are there at the same time
        self.results = {"machine": machine_facts(threads), "peers": peers, "rows": [], "interrupted": False}
        self.results["finished"] = False
        self.output.mkdir(parents=True, exist_ok=True)

    def save(self):
        """Write what there is."""
        with replacing(self.output / "results.json") as file:
            file.write(json.dumps(self.results, indent=1).encode())

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
                row["peers"][peer]["error"] = f"{peer} has no room: weights and Adam's state take {size}"
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
        ours = row["peers"][OURS]
        if "limits" in self.results and "parts" in ours:
            row["distances"] = distances_from_limits(work, ours["parts"], self.results["limits"])
        self.save()
        self._measure_memory(row, work)

    def _build(self, row, work, workers, passes):
        """Find each peer's fastest form, make its network, take the first steps; a peer that cannot is left out."""
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

    def _take_turns(self, row, task, workers, budget):
        def job(worker):
            return lambda: worker.call(task, 1, STEPS_PER_TURN)["seconds"]

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

    def _measure_memory(self, row, work):
        """Each peer in a fresh process that trains and does nothing else."""
        for peer, numbers in row["peers"].items():
            if "error" not in numbers:
                with Worker(peer, self.threads) as worker:
                    worker.call("build", work.to_json(), self.threads, self.forms.get(peer))
                    worker.call("train", 2, 0)  # the second one has Adam's state beside it
                    memory = worker.call("memory")
                above = None if memory["peak"] is None else memory["peak"] - memory["idle"]
                numbers |= {"peak_bytes": above, "idle_bytes": memory["idle"], "held_bytes": memory["held"]}
                self.save()

    def sweep_densities(self, work, budget, *, full):
        """Time against density; without `full`, with fewer words in fewer and shorter texts."""
        if not full:
            smaller = {"n_words": work.n_words // 10, "length": work.length // 4, "batch_size": work.batch_size // 2}
            work = replace(work, **{name: max(3, number) for name, number in smaller.items()})
        peers = [peer for peer in self.peers if peer != "textbook"]  # its line is flat, and takes longest
        section = self.results["density"] = {"description": str(work).rpartition(", ")[0], "rows": []}
        with self._saving(section, "time against density", len(DENSITIES)) as after:
            repeats = self.repeats if full else 3
            density_sweep(peers, work, self.forms, self.threads, repeats, budget, pause=self.pause, after=after)

    def sweep_sizes(self, work, max_hidden, budget):
        """Time and memory against size."""
        sizes = hidden_sizes(max_hidden)
        peers = [peer for peer in self.peers if peer != "textbook"]
        section = self.results["sizes"] = {
            "description": f"V = 16 H, D {work.embedding_dim}, T 20, N 8, 8 connections per unit and gate",
            "rows": [],
        }
        with self._saving(section, "time and memory against size", len(sizes)) as after:
            settings = {"pause": self.pause, "after": after}
            size_sweep(peers, work, sizes, self.forms, self.threads, 3, budget, self.memory, **settings)

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
        """Write ``report.md`` and the pictures; return their paths."""
        from numpy_setlstm import plotting  # importing matplotlib takes a second, and measuring needs none of it

        paths = []
        for name, ax in plotting.plot_benchmark(self.results).items():
            paths.append(self.output / f"{name}.png")
            ax.figure.savefig(paths[-1], dpi=150)
        report = self.output / "report.md"
        report.write_text(as_markdown(self.results, [path.name for path in paths]), encoding="utf-8")
        return [self.output / "results.json", report, *paths]


def largest_difference(losses):
    """The largest relative difference between the losses of peers that compute the same numbers.

    Parameters
    ----------
    losses : dict of str to list of float
        By peer, of the first steps.

    Returns
    -------
    float

    Examples
    --------
    >>> round(largest_difference({"sparse": [2.0, 1.0], "torch": [2.0, 1.01], "dense": [2.0, 7.0]}), 3)
    0.01
    """
    largest = 0.0
    for group in {PEERS[name].group for name in losses}:
        first, *others = [column for name, column in losses.items() if PEERS[name].group == group]
        for column in others:
            largest = max([largest, *(abs(b / a - 1) for a, b in zip(first, column, strict=True))])
    return largest
