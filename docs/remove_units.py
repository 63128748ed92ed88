"""Print the tables of docs/using.md: evolved networks without their weakest units, and without random ones.

Each network is trained as "set", loses a fraction of its hidden units and embedding dimensions, and is trained on for
half as many epochs. Beside it is a network that had the smaller sizes, and as many parameters, from the start. It needs
the data sets in the folder NUMPY_SETLSTM_DATA, and a quarter of an hour of one core. From the top of the repository::

    python docs/remove_units.py
"""

import sys

import numpy as np

from numpy_setlstm.datasets import load_dataset
from numpy_setlstm.initialization import NetworkSizes
from numpy_setlstm.lab.experiment.grid import Grid
from numpy_setlstm.lab.formatting import markdown_table, percent
from numpy_setlstm.lab.rivals import fit_rival
from numpy_setlstm.units import Units, remove_units, unit_importance

DATASETS = ("sentences-yelp", "sanders")
SEEDS = (0, 1, 2)
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
HEADINGS = ("removed", *("weakest: parameters", "after", "trained on"), *("random: parameters", "after", "trained on"))
HEADINGS += ("small from the start",)


def accuracy(clf, texts):
    """Return the accuracy on the test texts of a data set."""
    return clf.score(texts.test_texts, np.array(texts.label_names)[texts.test_labels])


def measure(clf, small, texts):
    """Return parameters, accuracy right after removal, and after training on: a list of three numbers."""
    clf = clf.with_network(small, n_epochs=-(-clf.n_epochs // 2))
    found = [small.count_parameters(), accuracy(clf, texts)]
    clf.fit(texts.train_texts, np.array(texts.label_names)[texts.train_labels], resume=True)
    return [*found, accuracy(clf, texts)]


def measure_from_the_start(small, texts, settings):
    """Return the accuracy of a network that is trained with as many units and parameters as a small one has."""
    sizes = NetworkSizes.of(small)
    sizes = {
        "hidden_size": sizes.hidden_size,
        "embedding_dim": sizes.embedding_dim,
        "parameter_share": small.count_parameters() / sizes.dense_parameters,
    }
    labels = np.array(texts.label_names)[texts.train_labels]
    return accuracy(fit_rival("set", texts.train_texts, labels, **settings | sizes), texts)


def measure_seed(dataset, seed):
    """Return a row of numbers for each share: for the weakest units and for random ones, and from the start."""
    texts = load_dataset(dataset)
    (run,) = Grid((dataset,), ("set",), (seed,)).runs()
    settings = run.settings | {"random_state": seed, "n_jobs": 1, "without_known_words": "accept"}
    labels = np.array(texts.label_names)[texts.train_labels]
    clf = fit_rival("set", texts.train_texts, labels, **settings)
    rng, strength = np.random.default_rng(seed), unit_importance(clf.network_)
    rows = []
    for share in SHARES:
        chance = Units(*(rng.random(len(units)) for units in strength))
        shares = {"hidden": share, "embedding": share}
        weakest, random = (remove_units(clf.network_, **shares, importance=one)[0] for one in (strength, chance))
        row = [*measure(clf, weakest, texts), *measure(clf, random, texts)]
        rows.append([*row, measure_from_the_start(weakest, texts, settings)])
        print(f"{dataset}, seed {seed}, {share:.0%} removed", file=sys.stderr)
    return rows


def main():
    """Print a table for each data set: means and standard deviations over seeds."""
    for dataset in DATASETS:
        found = np.array([measure_seed(dataset, seed) for seed in SEEDS])  # (seeds, shares, 7)
        rows = []
        for share, means, deviations in zip(SHARES, found.mean(axis=0), found.std(axis=0, ddof=1), strict=True):
            cells = [f"{100 * mean:.1f} ± {100 * std:.1f}" for mean, std in zip(means, deviations, strict=True)]
            cells[0], cells[3] = f"{means[0]:,.0f}", f"{means[3]:,.0f}"
            rows.append([percent(share, digits=0), *cells])
        print(f"{dataset}\n\n{markdown_table(HEADINGS, rows, n_left=0)}\n")


if __name__ == "__main__":
    main()
