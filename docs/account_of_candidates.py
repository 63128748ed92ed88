"""Ask where, and among how many candidates, connections should grow by the gradient.

At 1 % of the parameters, with the recipe that was found for gradient growth, networks of three sets of sentences are
trained with growth by the gradient in some matrices only, and with more and more candidates in W_x and W_h. The
results are written to docs/shares/candidates.json, a run at a time, and the tables into docs/shares.md. It needs the
data sets in the folder NUMPY_SETLSTM_DATA, and some fifteen minutes of one core. From the top of the repository::

    python docs/account_of_candidates.py
"""

import itertools
import json
import sys
from pathlib import Path

import numpy as np
from account_of_topology import DATASETS, EVOLVED, PAGE, SEEDS, SETTINGS, TRIALS

from numpy_setlstm import SetLSTMClassifier
from numpy_setlstm.datasets import load_dataset
from numpy_setlstm.lab.experiment.page import fill_blocks
from numpy_setlstm.lab.files import write_json
from numpy_setlstm.lab.formatting import markdown_table
from numpy_setlstm.lab.shares.records import read_records
from numpy_setlstm.lab.shares.search import best_settings

RESULTS = Path(__file__).parent / "shares" / "candidates.json"
PLACES = {
    "nowhere (SET)": {"growth": "zero", "candidates": None},
    "in W_x and W_h": {"growth": {"W_x": "gradient", "W_h": "gradient"}},
    "in E": {"growth": {"E": "gradient"}},
    "everywhere": {},  # among 10 candidates
}
COUNTS = {
    **{f"k = {k}": {"candidates": k} for k in (1, 2, 5, 30)},
    "all free cells": {"candidates": None},
}


def measure(dataset, seed, recipe, way):
    """Return the test accuracy of a network that grows in the given way."""
    texts = load_dataset(dataset)
    labels, expected = (np.array(texts.label_names)[of] for of in (texts.train_labels, texts.test_labels))
    settings = SETTINGS | {"without_known_words": "accept"} | recipe | EVOLVED | way
    clf = SetLSTMClassifier("set", random_state=seed, **settings).fit(texts.train_texts, labels)
    return clf.score(texts.test_texts, expected)


def format_ways(runs, ways):
    """Return a table: a line per data set, a column per way; mean and standard deviation over seeds."""
    lines = []
    for dataset in DATASETS:
        found = [[run["accuracy"] for run in runs if (run["dataset"], run["way"]) == (dataset, way)] for way in ways]
        lines.append([dataset, *(f"{100 * np.mean(one):.1f} ± {100 * np.std(one, ddof=1):.1f}" for one in found)])
    return markdown_table(["data set", *ways], lines)


def main():
    """Measure what is missing, and write the tables."""
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    recipes = best_settings(read_records(TRIALS), shared=[DATASETS])
    for block, ways in {"places": PLACES, "counts": COUNTS}.items():
        for seed, dataset in itertools.product(SEEDS, DATASETS):
            recipe = recipes[dataset, "set-guided"]["settings"]
            for name, way in ways.items():
                if not any((run["dataset"], run["seed"], run["way"]) == (dataset, seed, name) for run in runs):
                    accuracy = measure(dataset, seed, recipe, way)
                    runs.append({"dataset": dataset, "seed": seed, "way": name, "accuracy": accuracy})
                    write_json(RESULTS, runs)
            print(f"{block}: {dataset}, seed {seed} done", file=sys.stderr)
        fill_blocks(PAGE, f"candidates {block}", lambda _, ways=ways: format_ways(runs, ways))


if __name__ == "__main__":
    main()
