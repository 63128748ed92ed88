"""Print the tables of docs/using.md: evolved networks without their weakest units, and without random ones.

Each network is trained as "set", loses a fraction of its hidden units and embedding dimensions, and is trained on for
half as many epochs. It needs the data sets in the folder NUMPY_SETLSTM_DATA, and a quarter of an hour of one core. From
the top of the repository::

    python docs/remove_units.py
"""

import sys

import numpy as np

from numpy_setlstm.datasets import load_dataset
from numpy_setlstm.lab.experiment.grid import Grid
from numpy_setlstm.lab.formatting import markdown_table, percent
from numpy_setlstm.lab.rivals import fit_rival
from numpy_setlstm.units import Units, remove_units, unit_importance

DATASETS = ("sentences-yelp", "sanders")
SEEDS = (0, 1, 2)
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
HEADINGS = ("removed", "weakest: parameters", "after", "trained on", "random: parameters", "after", "trained on")


def measure(clf, reviews, share, importance):
    """Return parameters, test accuracy right after removal, and after training on: an ndarray of shape (3,)."""
    labels = np.array(reviews.label_names)
    small, _ = remove_units(clf.network_, hidden=share, embedding=share, importance=importance)
    clf = clf.with_network(small, n_epochs=-(-clf.n_epochs // 2))
    accuracies = [clf.score(reviews.test_texts, labels[reviews.test_labels])]
    clf.fit(reviews.train_texts, labels[reviews.train_labels], resume=True)
    accuracies.append(clf.score(reviews.test_texts, labels[reviews.test_labels]))
    return np.array([small.count_parameters(), *accuracies])


def measure_seed(dataset, seed):
    """Return what :func:`measure` finds by share, for the weakest and for random units, of shape (8, 2, 3)."""
    reviews = load_dataset(dataset)
    (run,) = Grid((dataset,), ("set",), (seed,)).runs()
    settings = run.settings | {"random_state": seed, "n_threads": 1, "without_known_words": "accept"}
    labels = np.array(reviews.label_names)[reviews.train_labels]
    clf = fit_rival("set", reviews.train_texts, labels, **settings)
    rng, strength = np.random.default_rng(seed), unit_importance(clf.network_)
    found = []
    for share in SHARES:
        chance = Units(*(rng.random(len(units)) for units in strength))
        found.append([measure(clf, reviews, share, importance) for importance in (strength, chance)])
        print(f"{dataset}, seed {seed}, {share:.0%} removed", file=sys.stderr)
    return np.array(found)


def main():
    """Print a table for each data set: means and standard deviations over seeds."""
    for dataset in DATASETS:
        found = np.array([measure_seed(dataset, seed) for seed in SEEDS])  # (seeds, shares, 2, 3)
        rows = []
        for share, means, deviations in zip(SHARES, found.mean(axis=0), found.std(axis=0, ddof=1), strict=True):
            cells = [percent(share, digits=0)]
            for mean, deviation in zip(means, deviations, strict=True):
                cells.append(f"{mean[0]:,.0f}")
                cells += [f"{100 * mean[k]:.1f} ± {100 * deviation[k]:.1f}" for k in (1, 2)]
            rows.append(cells)
        print(f"{dataset}\n\n{markdown_table(HEADINGS, rows, n_left=0)}\n")


if __name__ == "__main__":
    main()
