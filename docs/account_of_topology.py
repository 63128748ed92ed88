"""Ask what an evolved network has that a static one has not: its connections, its degrees, or its weights.

At 1 % of the parameters a network is evolved by the gradient. Its connections are then trained anew from fresh weights,
as they are, with every degree kept but all else shuffled, and replaced by random ones; and it is measured which words
and units they belong to. The results are written to docs/shares/topology.json, a run at a time, and the table into
docs/shares.md. It needs the data sets in the folder NUMPY_SETLSTM_DATA, and some ten minutes of one core. From the top
of the repository::

    python docs/account_of_topology.py
"""

import json
import sys
from pathlib import Path

import numpy as np

from numpy_setlstm import SetLSTMClassifier
from numpy_setlstm.datasets import load_dataset
from numpy_setlstm.initialization import NetworkSizes, init_network
from numpy_setlstm.lab.experiment.page import fill_blocks
from numpy_setlstm.lab.files import write_json
from numpy_setlstm.lab.formatting import markdown_table
from numpy_setlstm.lab.shares.records import read_records
from numpy_setlstm.lab.shares.search import best_settings
from numpy_setlstm.measures import connection_counts, dispersion, rewired
from numpy_setlstm.measures.expansion import random_graph
from numpy_setlstm.network import Network
from numpy_setlstm.recipe import SPARSE_RECIPE
from numpy_setlstm.sparse import SparseMatrix
from numpy_setlstm.topology import reserved_rows_of

HERE = Path(__file__).parent
RESULTS, PAGE, TRIALS = HERE / "shares" / "topology.json", HERE / "shares.md", HERE / "shares" / "trials.jsonl"
DATASETS = ("sentences-amazon", "sentences-imdb", "sentences-yelp")
SEEDS = range(5)
SETTINGS = {"embedding_dim": 128, "hidden_size": 128, "n_epochs": 20, "parameter_share": 0.01, "n_jobs": 1}
EVOLVED = {"growth": "gradient", "candidates": 10, "zeta_schedule": "cosine"}
FREQUENT = 200  # words
WAYS = {
    "as it was trained": None,
    "its connections": lambda name, W, rng: W.topology,
    "its degrees": lambda name, W, rng: rewired(W.topology, rng),
    "its number": lambda name, W, rng: random_graph(W.topology, rng, reserved_rows=reserved_rows_of(name)),
}


def with_fresh_weights(clf, way, seed):
    """Return a network of the sizes of a fitted one, with connections chosen by `way` and weights drawn anew."""
    topology_rng, values_rng = np.random.default_rng([seed, 1]).spawn(2)
    network = clf.network_
    sizes = NetworkSizes.of(network)
    fresh = init_network(sizes, topology_rng, values_rng, er_epsilon=sizes.er_epsilon_for(clf.parameter_share))
    parameters = dict(fresh.parameters)
    for name, W in network.parameters.items():
        if isinstance(W, SparseMatrix):
            topology = way(name, W, topology_rng)
            scale = (clf.embedding_scale or SPARSE_RECIPE.embedding_scale) if name == "E" else fresh.scales[name]
            values = values_rng.normal(0, scale, len(topology.rows)).astype(W.dtype)
            parameters[name] = SparseMatrix.from_topology(topology, values)
    return Network(parameters, fresh.scales)


def describe(network):
    """Return what can be said of the connections: which words have them, how unequal the degrees of units are."""
    E, W_x, W_h = (network.parameters[name] for name in ("E", "W_x", "W_h"))
    of_words = connection_counts(E, axis=1)[1:]
    into = sum(connection_counts(W, axis=0).reshape(4, -1).sum(axis=0) for W in (W_x, W_h))  # of the four gates
    return {
        "words with a connection": float((of_words > 0).mean()),
        "connections of frequent words": float(of_words[1 : 1 + FREQUENT].sum() / E.nnz),
        "dispersion of words": dispersion(of_words),
        "dispersion of dimensions": dispersion(connection_counts(E, axis=0)),
        "dispersion of units, in": dispersion(into),
        "dispersion of units, out": dispersion(connection_counts(W_h, axis=1)),
    }


def measure(dataset, seed, recipe):
    """Return the accuracies of all ways, and the descriptions of the first and the last connections."""
    texts = load_dataset(dataset)
    labels, expected = (np.array(texts.label_names)[of] for of in (texts.train_labels, texts.test_labels))
    settings = SETTINGS | {"batch_size": 16, "without_known_words": "accept"} | recipe | {"random_state": seed}
    evolved = SetLSTMClassifier("set", **settings | EVOLVED).fit(texts.train_texts, labels)
    found = {"dataset": dataset, "seed": seed, "accuracies": {}}
    for way, topology_of in WAYS.items():
        clf = evolved
        if topology_of is not None:
            clf = evolved.with_network(with_fresh_weights(evolved, topology_of, seed), connectivity="static")
            clf.training_state_.first_weights = None  # they know nothing
            clf.fit(texts.train_texts, labels, resume=True)
        found["accuracies"][way] = clf.score(texts.test_texts, expected)
    first = SetLSTMClassifier("static", **settings | {"n_epochs": 1}).fit(texts.train_texts, labels)
    return found | {"first": describe(first.network_), "evolved": describe(evolved.network_)}


def format_accuracies(runs):
    """Return a table: a line per data set, a column per way; mean and standard deviation over seeds."""
    lines = []
    for dataset in DATASETS:
        accuracies = [[run["accuracies"][way] for run in runs if run["dataset"] == dataset] for way in WAYS]
        lines.append([dataset, *(f"{100 * np.mean(one):.1f} ± {100 * np.std(one, ddof=1):.1f}" for one in accuracies)])
    return markdown_table(["data set", "evolved, as it was trained", *list(WAYS)[1:]], lines)


def format_descriptions(runs):
    """Return a table: what is measured, before and after evolution, as means over all runs."""
    lines = []
    for name in runs[0]["first"]:
        means = [np.mean([run[when][name] for run in runs]) for when in ("first", "evolved")]
        shown = [f"{100 * mean:.0f} %" if mean <= 1 and "dispersion" not in name else f"{mean:.2f}" for mean in means]
        lines.append([name, *shown])
    return markdown_table(["", "random, as it begins", "evolved"], lines)


def main():
    """Measure what is missing, and write the tables."""
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    recipes = best_settings(read_records(TRIALS), shared=[DATASETS])
    for seed in SEEDS:
        for dataset in DATASETS:
            if not any((run["dataset"], run["seed"]) == (dataset, seed) for run in runs):
                recipe = recipes.get((dataset, "set-guided"), {"settings": {}})["settings"]
                runs.append(measure(dataset, seed, recipe))
                write_json(RESULTS, runs)
                print(dataset, seed, runs[-1]["accuracies"], file=sys.stderr)
    blocks = {"accuracies": format_accuracies, "descriptions": format_descriptions}
    fill_blocks(PAGE, "topology", lambda name: blocks[name](runs))


if __name__ == "__main__":
    main()
