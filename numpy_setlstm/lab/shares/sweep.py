"""Accuracy against the share of parameters: many kinds of networks, sizes and seeds, and the figure of them."""

import json
from pathlib import Path

import numpy as np

from numpy_setlstm.lab.experiment.grid import Grid, RunSpec
from numpy_setlstm.lab.experiment.runs import unpack_bits
from numpy_setlstm.lab.experiment.statistics import mean_and_spread, paired_difference
from numpy_setlstm.lab.formatting import text_table
from numpy_setlstm.lab.shares.records import read_records, run_all
from numpy_setlstm.lab.shares.search import TRIALS_FILE, best_settings

RUNS_FILE, PICTURE_FILE = "runs.jsonl", "shares.png"
SHARES = (0.0025, 0.005, 0.01, 0.02, 0.039, 0.1)
KINDS = (
    "dense", "dense-small", "static", "static-words", "static-frequent", "set-cosine", "set-guided", "dense-pruned"
)  # fmt: skip
PAIRS = (("set-guided", "dense"), ("set-guided", "static"), ("set-guided", "dense-small"), ("set-cosine", "static"))
LARGEST = "dense"  # the kind that has all parameters, whatever the share


def specs_of(datasets, connectivities=KINDS, *, shares=SHARES, seeds=range(5), recipes=None, settings=None):
    """All runs of a sweep, list of RunSpec: of every kind, at every share, with every seed.

    `recipes` are those of :func:`best_settings`, by data set and kind; `settings` replace theirs.
    """
    specs = {}
    for seed in seeds:
        for dataset in datasets:
            for connectivity in connectivities:
                recipe = (recipes or {}).get((dataset, connectivity), {}).get("settings", {})
                for share in (None,) if connectivity == LARGEST else shares:
                    own = {} if share is None else {"parameter_share": share}
                    grid = Grid((dataset,), (connectivity,), [seed], recipe | (settings or {}) | own)
                    specs |= {spec.name: spec for spec in grid.runs()}
    return list(specs.values())


def sweep(
    output, datasets=(), connectivities=KINDS, *, shares=SHARES, seeds=range(5), settings=None, report_only=False,
    report=print, **running
):  # fmt: skip
    """Run what a sweep has no results of yet, and write its figure.

    Parameters
    ----------
    output : str or Path
        Folder for the results, ``runs.jsonl``, a line of JSON per run, and the figure. The recipes of
        :func:`~numpy_setlstm.lab.shares.search` are used if they are there.
    datasets, connectivities : sequence of str
        As in :class:`~numpy_setlstm.lab.experiment.Grid`.
    shares : sequence of float in (0, 1]
        Parameters as a share of the dense network's.
    seeds : sequence of int
    settings : dict, optional
        That all runs have.
    report_only : bool, default False
        Run nothing.
    report : callable
        Called with each line of text to show.
    **running
        Of :func:`~numpy_setlstm.lab.shares.records.run_all`: `workers`, `data_home`, `progress`.

    Returns
    -------
    bool
        Whether Ctrl-C interrupted it; the same call goes on.

    Raises
    ------
    ValueError
        If a name, a number or a setting is none that a grid accepts.
    """
    output, interrupted = Path(output), False
    if not report_only:
        trials = read_records(output / TRIALS_FILE)
        recipes = best_settings(trials, sorted({record["spec"]["seed"] for record in trials.values()}))
        specs = specs_of(datasets, connectivities, shares=shares, seeds=seeds, recipes=recipes, settings=settings)
        interrupted = run_all(specs, output / RUNS_FILE, report=report, **running)
    rows = rows_of(read_records(output / RUNS_FILE))
    report(format_rows(rows))
    report(format_differences(rows))
    return interrupted


def rows_of(records):
    """Runs that differ in the seed alone, together: a list of dicts, by data set, kind and share.

    Each has ``dataset``, ``connectivity``, ``share`` (as asked for; 1 of the dense network), ``parameters``, ``mean``
    and ``spread`` of the accuracy, ``accuracies`` by seed and ``predicted`` (n_seeds, n_texts) with ``labels``.
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
        rows.append({
            "dataset": dataset, "connectivity": connectivity, "share": share, "parameters": found[0]["parameters"],
            "mean": mean, "spread": spread, "accuracies": accuracies,
            "predicted": np.array([unpack_bits(one["predicted"], one["count"]) for one in predictions]),
            "labels": unpack_bits(predictions[0]["labels"], predictions[0]["count"]),
        })  # fmt: skip
    order = {name: k for k, name in enumerate(KINDS)}
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


def format_rows(rows):
    """A table of all rows for the terminal."""
    cells = [
        (row["dataset"], f"{100 * row['share']:g} %", row["connectivity"], f"{row['parameters']:,}",
         f"{100 * row['mean']:.1f}" + ("" if row["spread"] is None else f" ± {100 * row['spread']:.1f}"),
         str(len(row["accuracies"])))
        for row in rows
    ]  # fmt: skip
    return text_table(("data set", "share", "kind", "parameters", "accuracy", "seeds"), cells)


def format_differences(rows, pairs=PAIRS):
    """A table of the differences that matter, in points with their 95 % intervals."""
    cells = []
    for dataset, share in sorted({(row["dataset"], row["share"]) for row in rows if row["share"] < 1}):
        found = [difference(rows, dataset, share, *pair) for pair in pairs]
        shown = ["–" if d is None else f"{100 * d.mean:+.1f} [{100 * d.low:+.1f}, {100 * d.high:+.1f}]" for d in found]
        cells.append((dataset, f"{100 * share:g} %", *shown))
    return text_table(("data set", "share", *(f"{one} − {other}" for one, other in pairs)), cells)
