"""Measure what one evolution by the gradient costs: time and memory against size, beside its dense form.

Every measurement is a process of its own, so that its peak memory is its own; the two forms take turns. The results are
written to docs/shares/cost.json, and the table into docs/shares.md. Some ten minutes. From the top of the repository::

    python docs/cost_of_growth.py
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from numpy_setlstm.evolution import evolve
from numpy_setlstm.initialization import NetworkSizes, init_network
from numpy_setlstm.lab.experiment.page import fill_blocks
from numpy_setlstm.lab.files import write_json
from numpy_setlstm.lab.formatting import MISSING, markdown_table
from numpy_setlstm.lab.machine import peak_bytes
from numpy_setlstm.optimizers import Adam
from numpy_setlstm.training import TrainingSettings, TrainingState, split_streams

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "shares" / "cost.json", HERE / "shares.md"
TURNS, N, T, MINIBATCHES = 3, 8, 25, 8
# Words, embedding, hidden units, connections per row and column; and the forms that fit into memory.
SIZES = [
    (20_000, 128, 128, 1.26, ("sparse", "dense")),
    (20_000, 256, 256, 2.45, ("sparse", "dense")),
    (20_000, 256, 1024, 3.3, ("sparse", "dense")),
    (20_000, 256, 4096, 3.3, ("sparse",)),
    (20_000, 256, 65_536, 2.0, ("sparse",)),
    (1_000_000, 256, 256, 1.0, ("sparse",)),
]


def measure(n_words, embedding_dim, hidden_size, er_epsilon, form):
    """Return seconds of one evolution, and the bytes of its peak above what the network and Adam take."""
    sizes = NetworkSizes(n_words, embedding_dim, hidden_size, 2)
    network = init_network(sizes, *np.random.default_rng(0).spawn(2), er_epsilon=er_epsilon)
    state = TrainingState.start(network, Adam(network.parameters, 0.01), split_streams(np.random.default_rng(1)))
    tokens = np.random.default_rng(2).zipf(1.3, size=(MINIBATCHES * N, T)) % (n_words - 1) + 1  # as words are
    candidates = 10 if form == "sparse" else None
    settings = TrainingSettings(growth="gradient", candidates=candidates, batch_size=N, zeta=0.3)
    idle, start = peak_bytes(), time.perf_counter()
    evolve(state, settings, tokens, np.arange(len(tokens)) % 2)
    seconds = time.perf_counter() - start
    connections = sum(W.nnz for W in network.parameters.values() if hasattr(W, "nnz"))
    return {"seconds": seconds, "bytes": peak_bytes() - idle, "connections": connections}


def measure_in_turns(number):
    """Return the measurements of a size: a list per form, an entry per turn, each from a process of its own."""
    forms = SIZES[number][-1]
    found = {form: [] for form in forms}
    for _ in range(TURNS):
        for form in forms:
            command = [sys.executable, __file__, str(number), form]
            found[form].append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
            print(SIZES[number][:3], form, found[form][-1], file=sys.stderr)
    return found


def format_cost(measured):
    """Return a table: a line per size; medians of the turns, and the range of their paired ratios."""
    lines = []
    for size, found in zip(SIZES, measured, strict=True):
        cells = [f"{number:,}" for number in (*size[:3], found["sparse"][0]["connections"])]
        for form in ("sparse", "dense"):
            turns = found.get(form, ())
            seconds, peaks = [turn["seconds"] for turn in turns], [turn["bytes"] / 2**20 for turn in turns]
            cells += [f"{np.median(seconds):.2f} s", f"{np.median(peaks):,.0f} MiB"] if turns else [MISSING] * 2
        ratios = [b["seconds"] / a["seconds"] for a, b in zip(found["sparse"], found.get("dense", ()), strict=False)]
        shown = f"{np.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})" if ratios else MISSING
        lines.append([*cells, shown])
    names = ["words", "D", "H", "connections", "time", "memory", "dense: time", "dense: memory", "times as long"]
    return markdown_table(names, lines, n_left=0)


def main():
    """Measure what is missing, and write the table; with a size and a form, measure that here."""
    if len(sys.argv) > 1:
        number, form = int(sys.argv[1]), sys.argv[2]
        print(json.dumps(measure(*SIZES[number][:-1], form)))
        return
    measured = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    while len(measured) < len(SIZES):
        measured.append(measure_in_turns(len(measured)))
        write_json(RESULTS, measured)
    fill_blocks(PAGE, "growth", lambda _: format_cost(measured))


if __name__ == "__main__":
    main()
