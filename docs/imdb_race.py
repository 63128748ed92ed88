"""How long does it take to learn IMDB: an evolved and a dense network of this package, beside PyTorch's?

The same reviews, minibatches, first weights and recipe for each, with all cores: sparse with 3.9 % of the parameters,
and dense with the recipe of dense networks. PyTorch's sparse network has dense weights and a mask, and does not evolve.
It reads the padding before a short review; this package skips it. Kinds take turns, seed by seed; a network is a line
of JSON in docs/speed/race.jsonl, and what is there is not trained again. Table and picture of docs/speed.md, validation
accuracy over seconds, are made from that file. It needs NUMPY_SETLSTM_DATA, PyTorch, and a machine that is idle for
most of an hour. This package's processes share the cores, so NumPy's BLAS gets one thread. From the top of the
repository::

    OPENBLAS_NUM_THREADS=1 python docs/imdb_race.py [--seeds 3] [--epochs 4] [--report-only]
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from numpy_setlstm import SetLSTMClassifier
from numpy_setlstm.datasets import load_dataset
from numpy_setlstm.estimator import task_of
from numpy_setlstm.files import make_folder
from numpy_setlstm.lab.experiment.page import fill_blocks
from numpy_setlstm.lab.files import write_picture
from numpy_setlstm.lab.formatting import MISSING, markdown_table
from numpy_setlstm.preparation import prepare
from numpy_setlstm.recipe import recipe_of, training_settings

HERE = Path(__file__).parent
RUNS, PICTURE, PAGE = HERE / "speed" / "race.jsonl", HERE / "speed" / "race.png", HERE / "speed.md"
NAMES = {
    "evolved": "evolved, here",
    "dense": "dense, here",
    "torch-masked": "masked, PyTorch",
    "torch-dense": "dense, PyTorch",
}
GOAL = 0.85


def classifier(kind, seed, n_epochs):
    """Return the classifier that has the recipe."""
    connectivity = "dense" if kind.endswith("dense") else "static" if kind.startswith("torch") else "set"
    return SetLSTMClassifier(connectivity, n_epochs=n_epochs, random_state=seed, n_jobs=-1, progress=True)


def train_here(kind, seed, n_epochs, texts, labels):
    """Return seconds and validation accuracies after each epoch."""
    clf = classifier(kind, seed, n_epochs).fit(texts, labels)
    return np.cumsum(clf.history_["seconds"]).tolist(), clf.history_["validation_accuracy"]


def train_in_torch(kind, seed, n_epochs, texts, labels):
    """Return the same of PyTorch, from the first weights of this package's network, with its minibatches."""
    from torch_race import TorchClassifier  # PyTorch is needed for this alone

    clf = classifier(kind, seed, n_epochs)
    prepared = prepare(clf, texts, labels, validation_fraction=clf.validation_fraction)
    (tokens, y, _), validation, state = prepared.training, prepared.validation, prepared.state
    task, settings = task_of(prepared), training_settings(clf)
    model = TorchClassifier(state.network, recipe_of(clf), masked=kind == "torch-masked", max_norm=settings.max_norm)
    seconds, accuracies, spent = [], [], 0.0
    for _ in range(n_epochs):
        start = time.perf_counter()
        order = task.draw_order(settings, state.streams["batches"])
        for first in range(0, len(order), settings.batch_size):
            n = order[first : first + settings.batch_size]
            model.train_step(tokens[n], y[n])
        accuracies.append(model.accuracy(*validation[:2]))
        spent += time.perf_counter() - start
        seconds.append(spent)
        print(f"{kind}, seed {seed}: {spent:.1f} s, {accuracies[-1]:.3f}", flush=True)
    return seconds, accuracies


def read_records():
    """Return the records of the file."""
    return [json.loads(line) for line in RUNS.read_text("utf8").splitlines()] if RUNS.exists() else []


def compute(seeds, n_epochs):
    """Train what has no record."""
    reviews = load_dataset("imdb")
    labels = np.array(reviews.label_names)[np.asarray(reviews.train_labels)]
    make_folder(RUNS.parent)
    done = {(record["kind"], record["seed"]) for record in read_records()}
    for seed in range(seeds):
        for kind in NAMES:
            if (kind, seed) not in done:
                train = train_in_torch if kind.startswith("torch") else train_here
                seconds, accuracies = train(kind, seed, n_epochs, reviews.train_texts, labels)
                record = {"kind": kind, "seed": seed, "seconds": seconds, "accuracies": accuracies}
                with RUNS.open("a", encoding="utf8") as file:
                    file.write(json.dumps(record | {"cores": len(os.sched_getaffinity(0))}) + "\n")


def seconds_to_goal(record):
    """Return the seconds after which the accuracy was first reached; None if it was not."""
    pairs = zip(record["seconds"], record["accuracies"], strict=True)
    return next((seconds for seconds, accuracy in pairs if accuracy >= GOAL), None)


def as_range(values, form):
    """Return "median (least to most)" of the values that are not None, and how many these are if some are."""
    known = [value for value in values if value is not None]
    if not known:
        return MISSING
    number = "" if len(known) == len(values) else f", {len(known)} of {len(values)} seeds"
    return f"{form(np.median(known))} ({form(min(known))} to {form(max(known))}{number})"


def format_race(records):
    """Return a table: seconds of the first epoch, how many times as long as ours, seconds to the goal."""
    by_kind = {kind: {one["seed"]: one for one in records if one["kind"] == kind} for kind in NAMES}
    lines = []
    for kind, of_kind in by_kind.items():
        seeds = sorted(of_kind.keys() & by_kind["evolved"].keys())
        first = [of_kind[seed]["seconds"][0] for seed in seeds]
        ratios = [of_kind[seed]["seconds"][0] / by_kind["evolved"][seed]["seconds"][0] for seed in seeds]
        goal = [seconds_to_goal(of_kind[seed]) for seed in seeds]
        best = [max(of_kind[seed]["accuracies"]) for seed in seeds]
        whole, times = "{:.0f} s".format, "{:.2f}".format
        relative = MISSING if kind == "evolved" else as_range(ratios, times)
        lines.append(
            [NAMES[kind], as_range(first, whole), relative, as_range(goal, whole), as_range(best, "{:.3f}".format)]
        )
    header = [
        "network",
        "first epoch",
        "evolved is ahead",
        f"to {100 * GOAL:.0f} % on validation reviews",
        "best accuracy",
    ]
    return markdown_table(header, lines)


def draw(records):
    """Draw the accuracy over seconds."""
    figure = Figure((7.5, 4.2), layout="constrained")
    ax = figure.subplots()
    colors = dict(zip(NAMES, ("#0072B2", "#D55E00", "#56B4E9", "#E69F00"), strict=True))
    for record in records:
        style = "--" if record["kind"].startswith("torch") else "-"
        label = NAMES[record["kind"]] if record["seed"] == 0 else None
        ax.plot(
            record["seconds"], record["accuracies"], style, marker="o", ms=4, color=colors[record["kind"]], label=label
        )
    ax.axhline(GOAL, color="gray", lw=0.8)
    ax.set(xlabel="seconds of training", ylabel="validation accuracy", xlim=(0, None))
    ax.legend(frameon=False)
    write_picture(PICTURE, figure)


def main():
    """Train what is missing, and make table and picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--epochs", type=int, default=4, help="of each network")
    parser.add_argument("--report-only", action="store_true", help="no training")
    options = parser.parse_args()
    if not options.report_only:
        compute(options.seeds, options.epochs)
    records = read_records()
    draw(records)
    fill_blocks(PAGE, "race", lambda name: format_race(records))


if __name__ == "__main__":
    main()
