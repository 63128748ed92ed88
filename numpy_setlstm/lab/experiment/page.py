"""The results of a grid written into marked blocks of a Markdown page, which therefore always agrees with them."""

import re
from pathlib import Path

import numpy as np

from numpy_setlstm.files import replacing
from numpy_setlstm.lab.experiment.distances import known_distances
from numpy_setlstm.lab.experiment.grid import EVOLVED, GRID_DATASETS, TFIDF, GridError
from numpy_setlstm.lab.experiment.tables import (
    MARKDOWN_NOTE,
    difference_shown,
    differences_between,
    find_reference,
    make_rows,
    name_of,
    spread_shown,
)
from numpy_setlstm.lab.formatting import MISSING, markdown_table, percent

SUMMARY = ("dense", "static", EVOLVED, TFIDF)
BOTH = ("accuracy", "balanced accuracy")


def fill_page(page, store):
    """Replace the blocks of a page between ``<!-- results: NAME -->`` and ``<!-- end of results -->``; return its path.

    NAME is one of `BLOCKS`, or "table" and a data set, as in ``table imdb``. GridError if one is unknown, or there is
    no such mark.
    """
    rows = [row for row in make_rows(store.documents()) if row.documents]
    return fill_blocks(page, "results", lambda name: _make_block(name, rows, store))


def fill_blocks(page, mark, make_block):
    """Replace what is between ``<!-- MARK: NAME -->`` and ``<!-- end of MARK -->`` by ``make_block(NAME)``."""
    page = Path(page)
    text = page.read_text(encoding="utf8")
    block = re.compile(rf"(<!-- {mark}: ([^\n]+?) -->\n).*?(<!-- end of {mark} -->)", re.DOTALL)

    def fill(match):
        start, name, end = match.groups()
        return start + make_block(name) + "\n" + end

    filled, n_blocks = block.subn(fill, text)
    if not n_blocks:
        raise GridError(f"{page} has no line <!-- {mark}: NAME -->, and therefore no place for results")
    with replacing(page) as file:
        file.write(filled.encode())
    return page


def _make_block(name, rows, store):
    kind, _, dataset = name.partition(" ")
    known = dict.fromkeys([*GRID_DATASETS, *(row.dataset for row in rows)])
    if kind == "table" and dataset in known:
        return format_dataset([row for row in rows if row.dataset == dataset])
    if name not in BLOCKS:
        names = ", ".join([*BLOCKS, *(f"table {dataset}" for dataset in known)])
        raise GridError(f"results: {name!r} is unknown; expected one of {names}")
    return BLOCKS[name](rows, store)


def _compared(rows):
    """The evolved rows that have a difference to a dense one."""
    return [row for row in rows if row.connectivity == EVOLVED and row.differences]


def _only_row(rows, dataset, connectivity):
    """The row of a data set and a connectivity, or None if it is not unique."""
    found = [row for row in rows if (row.dataset, row.connectivity) == (dataset, connectivity)]
    return found[0] if len(found) == 1 else None


def _shown(differences):
    return [difference_shown(differences.get(name)) for name in BOTH]


def format_dataset(rows):
    """The networks of one data set, one per line, with their differences to the dense one."""
    columns = [
        "network",
        "parameters",
        "share",
        "accuracy",
        "balanced",
        "to dense",
        "balanced, to dense",
        "min per run",
    ]
    lines = []
    for row in rows:
        size = [f"{row.mean('parameters'):,.0f}", percent(row.share)]
        spreads = [spread_shown(row.values[name]) for name in BOTH]
        minutes = f"{row.mean('seconds') / 60:.1f}"
        lines.append([name_of(row, rows), *size, *spreads, *_shown(row.differences), minutes])
    return markdown_table(columns, lines)


def format_verdict(rows, store):
    """For each data set, whether the evolved network is as good as the dense one; then the counts."""
    pairs = [(row, find_reference(row, rows)) for row in rows if row.connectivity == EVOLVED]
    pairs = [(row, dense) for row, dense in pairs if dense is not None]
    differences = [row.differences["accuracy"] for row, _ in pairs]
    lines = []
    for (row, dense), difference in zip(pairs, differences, strict=True):
        judged = "better" if difference.low > 0 else "worse" if difference.high < 0 else "not distinguishable"
        ours, theirs = (spread_shown(one.values["accuracy"]) for one in (row, dense))
        shown, balanced = _shown(row.differences)
        lines.append(
            f"- **{row.dataset}**, {len(row.documents)} seeds: {ours} % evolved, {theirs} % dense. Difference "
            f"{shown} points (balanced {balanced}): {judged}."
        )
    at_least = sum(difference.mean >= 0 for difference in differences)
    better = sum(difference.low > 0 for difference in differences)
    worse = sum(difference.high < 0 for difference in differences)
    ending = (
        f"The mean of the evolved network is at least that of the dense one on {at_least} of {len(pairs)} data sets. "
        f"By the intervals, it is better on {better}, worse on {worse}, and not distinguishable on "
        f"{len(pairs) - better - worse}."
    )
    return "\n".join([*lines, "", ending])


def format_summary(rows, store):
    """A line per data set: accuracies of dense, static and evolved networks and of the tf-idf model."""
    columns = ["data set", "seeds", *("evolved" if name == EVOLVED else name for name in SUMMARY), "evolved − dense"]
    lines = []
    for row in _compared(rows):
        shown = [row if name == EVOLVED else _only_row(rows, row.dataset, name) for name in SUMMARY]
        cells = [MISSING if one is None else f"{spread_shown(one.values['accuracy'])} %" for one in shown]
        lines.append([row.dataset, str(len(row.documents)), *cells, difference_shown(row.differences["accuracy"])])
    return markdown_table(columns, lines)


def format_evolution(rows, store):
    """The effects of evolution and of sparsity: differences to static and to small dense networks."""
    rivals = {"static": "evolved − static", "dense-small": "evolved − small dense"}
    columns = ["data set", *(f"{title}{kind}" for title in rivals.values() for kind in ("", ", balanced"))]
    lines = []
    for row in _compared(rows):
        others = [_only_row(rows, row.dataset, name) for name in rivals]
        differences = [{} if other is None else differences_between(row, other) for other in others]
        lines.append([row.dataset, *(cell for difference in differences for cell in _shown(difference))])
    return markdown_table(columns, lines)


def format_distances(rows, store):
    """Distances between the networks of different seeds, with their baselines and the range of accuracies."""
    baselines = ["independent random", "same start, no training", "shuffled copy"]
    columns = ["data set", "network", "seeds", "accuracies", "between seeds", *baselines]
    lines = []
    for entry in known_distances(store):
        (row,) = [one for one in rows if (one.dataset, name_of(one, rows)) == (entry["dataset"], entry["connectivity"])]
        distances = np.array(entry["distances"])
        between = distances[np.triu_indices(len(distances), 1)]
        accuracies = [f"{100 * value:.1f}" for value in (min(row.values["accuracy"]), max(row.values["accuracy"]))]
        expected = [entry["baselines"].get(name) for name in baselines]
        lines.append(
            [entry["dataset"], entry["connectivity"], str(len(entry["seeds"])), " to ".join(accuracies)]
            + [f"{between.min():.3f} to {between.max():.3f}"]
            + [MISSING if value is None else f"{value:.3f}" for value in expected]
        )
    return markdown_table(columns, lines, n_left=2)


def format_topology(rows, store):
    """What SET did to the connections, mean over the seeds, with its null models."""
    columns = ["data set", "matrix", "initial connections left", "without training", "unevenness of columns"]
    columns += ["without training", "σ₂ of a random graph's", "ever tried", "expected"]
    lines = []
    for row in (row for row in rows if row.connectivity == EVOLVED):
        documents = [document["topology"] for document in row.documents if document.get("topology")]
        for matrix in documents[0]:
            if not documents[0][matrix]["turnover"]:
                continue
            found = [document[matrix] for document in documents]
            lines.append([_dataset_of(row, rows), matrix, *_topology_cells(found)])
    return markdown_table(columns, lines, n_left=2)


def _dataset_of(row, rows):
    """The data set of an evolved row, with the settings that distinguish it, str."""
    return name_of(row, rows).replace(EVOLVED, row.dataset, 1)


def _topology_cells(found):
    """The numbers of one matrix in several networks, list of str."""

    def mean(read):
        return float(np.mean([read(one) for one in found]))

    return [
        percent(mean(lambda one: one["survival"]["observed"][-1])),
        percent(mean(lambda one: one["survival"]["null"]["mean"][-1])),
        f"{mean(lambda one: one['degrees']['columns']['after']):.2f}",
        f"{mean(lambda one: one['degrees']['columns']['null']['mean']):.2f}",
        f"{mean(lambda one: one['expansion']['all']['sigma_2'][1] / one['expansion']['all']['random']['mean']):.3f}",
        percent(mean(lambda one: one["ever_tried"]["observed"][-1]), 2),
        percent(mean(lambda one: one["ever_tried"]["expected"][-1]), 2),
    ]


def format_word_turnover(rows, store):
    """The share of its connections that each band of words loses per SET step, mean over steps and seeds."""
    evolved = [row for row in rows if row.connectivity == EVOLVED]
    bands = list(evolved[0].documents[0]["topology"]["E"]["turnover"]) if evolved else []
    lines = []
    for row in evolved:
        groups = [document["topology"]["E"]["turnover"] for document in row.documents]
        lines.append([_dataset_of(row, rows), *(_turnover_cell([group[band] for group in groups]) for band in bands)])
    return markdown_table(["data set", *bands], lines)


def _turnover_cell(bands):
    """Mean share that was pruned, and without training; a dash for a band that a small vocabulary does not reach."""
    observed = np.array([band["pruned"] for band in bands], float)
    expected = np.array([band["null"]["mean"] for band in bands if band["null"]], float)
    if np.isnan(observed).any() or not expected.size:
        return MISSING
    return f"{percent(observed.mean())} ({percent(expected.mean())})"


def format_cost(rows, store):
    """Hours of training, by data set and in total."""
    lines, total = [], 0.0
    for dataset in dict.fromkeys(row.dataset for row in rows):
        runs = [document for row in rows if row.dataset == dataset for document in row.documents]
        hours = sum(document["result"]["seconds"] for document in runs) / 3600
        total += hours
        lines.append([dataset, str(len(runs)), f"{hours:.1f}"])
    n_runs = sum(len(row.documents) for row in rows)
    lines.append(["all", str(n_runs), f"{total:.1f}"])
    ending = f"Each run had one core, and two ran at a time: some {total / 2:.1f} hours on two cores."
    return markdown_table(["data set", "runs", "core hours"], lines) + "\n\n" + ending


BLOCKS = {
    "verdict": format_verdict,
    "summary": format_summary,
    "evolution": format_evolution,
    "note": lambda rows, store: MARKDOWN_NOTE,
    "distances": format_distances,
    "topology": format_topology,
    "word turnover": format_word_turnover,
    "cost": format_cost,
}
