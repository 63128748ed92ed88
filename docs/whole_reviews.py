"""Ask how well a sparse network of 220,186 parameters reads whole reviews of IMDB, and what each part of it brings.

Each network has one part more than the one before. A tenth of the training reviews, held out, chooses the epoch, and
chose the parts; test reviews chose nothing. The results are written to docs/shares/whole.json, a run at a time, and the
table into docs/shares.md. It needs the reviews in the folder NUMPY_SETLSTM_DATA, and about two hours of one core. From
the top of the repository::

    python docs/whole_reviews.py
"""

import json
import sys
from pathlib import Path

import numpy as np

from numpy_setlstm import SetLSTMClassifier
from numpy_setlstm.datasets import load_imdb
from numpy_setlstm.lab.experiment.page import fill_blocks
from numpy_setlstm.lab.files import write_json
from numpy_setlstm.lab.formatting import markdown_table

HERE = Path(__file__).parent
RESULTS, PAGE = HERE / "shares" / "whole.json", HERE / "shares.md"
FIRST = {
    "embedding_dim": 64,
    "hidden_size": 64,
    "parameter_share": 0.164,
    "vocabulary_size": 20_000,
    "max_length": 100,
    "n_epochs": 4,
    "embedding_learning_rate": 0.005,
    "learning_rate_decay": 0.2,
    "embedding_dropout": 0.7,
}
PARTS = {  # what is new in each network
    "the last 100 words, the last state": {},
    "the last 400 words": {"max_length": 400},
    "the mean of all states": {"pooling": "mean"},
    "both directions": {"bidirectional": True, "parameter_share": 0.155},
    "averaged weights": {"averaging": 0.998},
    "a quarter of the connections, grown by the gradient": {
        "parameter_share": 0.0419,  # 1 % of the parameters of the dense network with D = H = 256
        "growth": "gradient",
        "candidates": 10,
        "zeta": 0.3,
        "zeta_schedule": "cosine",
        "evolve_every": 100,
    },
}


SEEDS = {part: range(2) for part in PARTS} | {part: range(3) for part in list(PARTS)[-2:]}


def settings_of(part):
    """Return the settings of a network: all parts up to its own."""
    names = list(PARTS)
    settings = dict(FIRST)
    for name in names[: names.index(part) + 1]:
        settings |= PARTS[name]
    return settings


def measure(reviews, part, seed):
    """Return parameters and accuracies of a network."""
    clf = SetLSTMClassifier("set", random_state=seed, **settings_of(part))
    clf.fit(reviews.train_texts, reviews.train_labels)
    return {
        "part": part,
        "seed": seed,
        "parameters": clf.n_parameters_,
        "validation": clf.history_["validation_accuracy"][clf.best_epoch_],
        "test": clf.score(reviews.test_texts, reviews.test_labels),
    }


def format_parts(runs):
    """Return the table: a line per network, means and standard deviations over seeds."""
    lines = []
    for part in PARTS:
        found = [run for run in runs if run["part"] == part]
        scores = [[100 * run[kind] for run in found] for kind in ("validation", "test")]
        shown = [f"{np.mean(of_kind):.1f} ± {np.std(of_kind, ddof=1):.1f}" for of_kind in scores]
        lines.append([part, f"{max(run['parameters'] for run in found):,}", *shown, str(len(found))])
    return markdown_table(["with, in addition", "parameters", "validation, %", "test, %", "seeds"], lines)


def main():
    """Measure what is missing, and write the table."""
    reviews = load_imdb()
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for part, seed in ((part, seed) for part, seeds in SEEDS.items() for seed in seeds):
        if not any((run["part"], run["seed"]) == (part, seed) for run in runs):
            runs.append(measure(reviews, part, seed))
            write_json(RESULTS, runs)
            print(runs[-1], file=sys.stderr)
    fill_blocks(PAGE, "whole", lambda _: format_parts(runs))


if __name__ == "__main__":
    main()
