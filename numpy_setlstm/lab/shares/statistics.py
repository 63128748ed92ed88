"""Runs of a sweep put together: means over seeds with their intervals, and paired differences."""

import json

import numpy as np

from numpy_setlstm.lab.experiment.grid import RunSpec
from numpy_setlstm.lab.experiment.runs import unpack_bits
from numpy_setlstm.lab.experiment.statistics import mean_and_spread, paired_difference

PAIRS = (
    ("set-guided", "dense"), ("set-guided", "static"), ("set-guided", "dense-small"),
    ("set-cosine", "static"), ("set-cosine", "dense"),
)  # fmt: skip
LARGEST = "dense"  # the kind that has all parameters, whatever the share
#: What the kinds are called in figures and tables.
KIND_NAMES = {
    "set-guided": "evolved, by the gradient", "set-cosine": "evolved, at random (SET)", "static": "static",
    "static-words": "static, every word connected", "static-frequent": "static, more for frequent words",
    "dense-small": "small dense", "dense-pruned": "dense, pruned", "dense": "dense, all parameters",
}  # fmt: skip
# 97.5 % points of Student's t, by degrees of freedom; beyond them about 2.
STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def rows_of(records):
    """Runs that differ in the seed alone, together: a list of dicts, by data set, kind and share.

    Each has ``dataset``, ``connectivity``, ``share`` (as asked for; 1 of the dense network), ``parameters``, ``mean``
    and ``spread`` of the accuracy, the ends ``low`` and ``high`` of the mean's 95 % interval over seeds (Student's t;
    None for one seed), ``accuracies`` by seed, ``seconds`` in all, ``predicted`` (n_seeds, n_texts) and ``labels``.
    """
    groups = {}
    for record in records.values():
        spec = RunSpec(**record["spec"])
        share = 1.0 if spec.connectivity == LARGEST else spec.settings.get("parameter_share")
        others = {name: value for name, value in spec.settings.items() if name != "parameter_share"}
        key = (spec.dataset, spec.connectivity, share, json.dumps(others, sort_keys=True))
        groups.setdefault(key, {})[spec.seed] = record
    rows = []
    for (dataset, connectivity, share, _), by_seed in groups.items():
        found = [by_seed[seed] for seed in sorted(by_seed)]
        predictions = [one["predictions"] for one in found]
        accuracies = {seed: by_seed[seed]["test_accuracy"] for seed in sorted(by_seed)}
        mean, spread = mean_and_spread(list(accuracies.values()))
        margin = None if spread is None else STUDENT.get(len(found) - 1, 2.0) * spread / np.sqrt(len(found))
        rows.append({
            "dataset": dataset, "connectivity": connectivity, "share": share, "parameters": found[0]["parameters"],
            "seconds": sum(one["seconds"] for one in found),
            "mean": mean, "spread": spread, "accuracies": accuracies,
            "low": None if margin is None else mean - margin, "high": None if margin is None else mean + margin,
            "predicted": np.array([unpack_bits(one["predicted"], one["count"]) for one in predictions]),
            "labels": unpack_bits(predictions[0]["labels"], predictions[0]["count"]),
        })  # fmt: skip
    order = {name: k for k, name in enumerate(KIND_NAMES)}
    return sorted(rows, key=lambda row: (row["dataset"], row["share"], order.get(row["connectivity"], len(order))))


def difference(rows, dataset, share, one, other):
    """The paired difference in accuracy of two kinds, a Difference, over the seeds that both have; None if none."""
    found = []
    for kind in (one, other):
        at = 1.0 if kind == LARGEST else share
        found += [row for row in rows if (row["dataset"], row["connectivity"], row["share"]) == (dataset, kind, at)][:1]
    if len(found) < 2:
        return None
    seeds = [list(row["accuracies"]) for row in found]
    both = [seed for seed in seeds[0] if seed in seeds[1]]
    if not both:
        return None
    predicted = [row["predicted"][[of.index(seed) for seed in both]] for row, of in zip(found, seeds, strict=True)]
    return paired_difference(*predicted, found[0]["labels"])
