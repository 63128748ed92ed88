"""The results of a grid written into a Markdown page, between marks, so that the page cannot drift from them."""

import re
from pathlib import Path

import numpy as np

from numpy_setlstm.checkpoint import replacing
from numpy_setlstm.lab.experiment.distances import known_distances
from numpy_setlstm.lab.experiment.grid import GRID_DATASETS, TFIDF, GridError
from numpy_setlstm.lab.experiment.tables import (
    NONE,
    NOTE,
    difference_shown,
    differences_between,
    find_reference,
    make_rows,
    name_of,
    spread_shown,
)

EVOLVED = "set"
SUMMARY = ("dense", "static", EVOLVED, TFIDF)
BLOCK = re.compile(r"(<!-- results: ([\w ]+) -->\n).*?(<!-- end of results -->)", re.DOTALL)


def fill_page(page, store):
    """Write the results in a folder into a page.

    Parameters
    ----------
    page : str or Path
        Markdown. What stands between ``<!-- results: NAME -->`` and ``<!-- end of results -->`` is replaced. NAME is
        one of `BLOCKS`, or "table" and a data set, as in ``table imdb``.
    store : Store

    Returns
    -------
    Path
        The page, which is written whole or not at all.

    Raises
    ------
    GridError
        If a name is unknown, or there is no such mark.
    """
    page = Path(page)
    text = page.read_text(encoding="utf8")
    rows = [row for row in make_rows(store.documents()) if row.documents]

    def fill(match):
        start, name, end = match.groups()
        return start + _make_block(name, rows, store) + "\n" + end

    filled, n_blocks = BLOCK.subn(fill, text)
    if not n_blocks:
        raise GridError(f"{page} has no line <!-- results: NAME -->, so there is no place for results")
    with replacing(page) as file:
        file.write(filled.encode())
    return page


def _make_block(name, rows, store):
    kind, _, dataset = name.partition(" ")
    if kind == "table" and dataset in GRID_DATASETS:
        return format_dataset([row for row in rows if row.dataset == dataset])
    if name not in BLOCKS:
        names = ", ".join([*BLOCKS, *(f"table {dataset}" for dataset in GRID_DATASETS)])
        raise GridError(f"results: {name!r} is unknown; expected one of {names}")
    return BLOCKS[name](rows, store)


def markdown_table(columns, lines, n_left=1):
    """A table in Markdown, str; the first `n_left` columns are text, the others are numbers."""
    rules = ["---"] * n_left + ["---:"] * (len(columns) - n_left)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [columns, rules, *lines])


def format_dataset(rows):
    """The networks of one data set, a line each, with their differences to the dense one."""
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
        differences = [difference_shown(row.differences.get(name)) for name in ("accuracy", "balanced accuracy")]
        share = NONE if row.share is None else f"{row.share:.1%}".replace("%", " %")
        spreads = [spread_shown(row.values[name]) for name in ("accuracy", "balanced accuracy")]
        minutes = f"{row.mean('seconds') / 60:.1f}"
        lines.append([name_of(row, rows), f"{row.mean('parameters'):,.0f}", share, *spreads, *differences, minutes])
    return markdown_table(columns, lines)


def format_verdict(rows, store):
    """For each data set, whether the evolved network is as good as the dense one, and in how many."""
    pairs = [(row, find_reference(row, rows)) for row in rows if row.connectivity == EVOLVED]
    pairs = [(row, dense) for row, dense in pairs if dense is not None]
    differences = [row.differences["accuracy"] for row, _ in pairs]
    lines = []
    for (row, dense), difference in zip(pairs, differences, strict=True):
        judged = "better" if difference.low > 0 else "worse" if difference.high < 0 else "not to be told apart"
        ours, theirs = (spread_shown(one.values["accuracy"]) for one in (row, dense))
        balanced = difference_shown(row.differences["balanced accuracy"])
        lines.append(
            f"- **{row.dataset}**, {len(row.documents)} seeds: {ours} % evolved, {theirs} % dense. Difference "
            f"{difference_shown(difference)} points (balanced {balanced}): {judged}."
        )
    at_least, better, worse = (
        sum(holds(difference) for difference in differences)
        for holds in (lambda one: one.mean >= 0, lambda one: one.low > 0, lambda one: one.high < 0)
    )
    ending = (
        f"The mean of the evolved network is at least that of the dense one on {at_least} of {len(pairs)} data sets. "
        f"By the intervals, it is better on {better}, worse on {worse}, and not to be told apart on "
        f"{len(pairs) - better - worse}."
    )
    return "\n".join([*lines, "", ending])


def format_summary(rows, store):
    """A line per data set: accuracies of dense, static and evolved networks and of the tf-idf model."""
    columns = ["data set", "seeds", *SUMMARY, "evolved − dense"]
    names = {"set": "evolved"}
    lines = []
    for row in (row for row in rows if row.connectivity == EVOLVED and row.differences):
        cells = []
        for connectivity in SUMMARY:
            others = [one for one in rows if (one.dataset, one.connectivity) == (row.dataset, connectivity)]
            shown = row if connectivity == EVOLVED else others[0] if len(others) == 1 else None
            cells.append(NONE if shown is None else f"{spread_shown(shown.values['accuracy'])} %")
        difference = difference_shown(row.differences["accuracy"])
        lines.append([row.dataset, str(len(row.documents)), *cells, difference])
    return markdown_table([names.get(column, column) for column in columns], lines)


def format_evolution(rows, store):
    """What evolving the connections brings, and what sparsity does: beside static and beside small dense networks."""
    rivals = {"static": "evolved − static", "dense-small": "evolved − small dense"}
    columns = ["data set", *(f"{title}{kind}" for title in rivals.values() for kind in ("", ", balanced"))]
    lines = []
    for row in (row for row in rows if row.connectivity == EVOLVED and row.differences):
        cells = []
        for connectivity in rivals:
            others = [one for one in rows if (one.dataset, one.connectivity) == (row.dataset, connectivity)]
            differences = differences_between(row, others[0]) if len(others) == 1 else {}
            cells += [difference_shown(differences.get(name)) for name in ("accuracy", "balanced accuracy")]
        lines.append([row.dataset, *cells])
    return markdown_table(columns, lines)


def format_distances(rows, store):
    """How far apart the networks of different seeds are, beside what one should compare that with, and how good."""
    columns = ["data set", "network", "seeds", "accuracies", "between seeds", "independent random"]
    columns += ["same start, no training", "shuffled copy"]
    lines = []
    for entry in known_distances(store):
        (row,) = [one for one in rows if (one.dataset, name_of(one, rows)) == (entry["dataset"], entry["connectivity"])]
        distances = np.array(entry["distances"])
        between = distances[np.triu_indices(len(distances), 1)]
        accuracies = [f"{100 * value:.1f}" for value in (min(row.values["accuracy"]), max(row.values["accuracy"]))]
        baselines = [entry["baselines"].get(name) for name in columns[-3:]]
        lines.append(
            [entry["dataset"], entry["connectivity"], str(len(entry["seeds"])), " to ".join(accuracies)]
            + [f"{between.min():.3f} to {between.max():.3f}"]
            + [NONE if value is None else f"{value:.3f}" for value in baselines]
        )
    return markdown_table(columns, lines, n_left=2)


def format_topology(rows, store):
    """What SET did to the connections, mean over the seeds, beside its null models."""
    columns = ["data set", "matrix", "initial connections left", "without training", "unevenness of columns"]
    columns += ["without training", "σ₂ of a random graph's", "ever tried", "expected"]
    lines = []
    for row in (row for row in rows if row.connectivity == EVOLVED):
        documents = [document["topology"] for document in row.documents if document.get("topology")]
        for matrix in documents[0]:
            if not documents[0][matrix]["turnover"]:
                continue
            found = [document[matrix] for document in documents]
            lines.append([name_of(row, rows).replace(EVOLVED, row.dataset, 1), matrix, *_topology_cells(found)])
    return markdown_table(columns, lines, n_left=2)


def _topology_cells(found):
    """The numbers of one matrix in several networks, list of str."""

    def mean(read):
        return float(np.mean([read(one) for one in found]))

    return [
        f"{mean(lambda one: one['survival']['observed'][-1]):.1%}".replace("%", " %"),
        f"{mean(lambda one: one['survival']['null']['mean'][-1]):.1%}".replace("%", " %"),
        f"{mean(lambda one: one['degrees']['columns']['after']):.2f}",
        f"{mean(lambda one: one['degrees']['columns']['null']['mean']):.2f}",
        f"{mean(lambda one: one['expansion']['all']['sigma_2'][1] / one['expansion']['all']['random']['mean']):.3f}",
        f"{mean(lambda one: one['ever_tried']['observed'][-1]):.2%}".replace("%", " %"),
        f"{mean(lambda one: one['ever_tried']['expected'][-1]):.2%}".replace("%", " %"),
    ]


def format_word_turnover(rows, store):
    """How much of its connections each band of words loses in a SET step, mean over steps and seeds."""
    evolved = [row for row in rows if row.connectivity == EVOLVED]
    bands = list(evolved[0].documents[0]["topology"]["E"]["turnover"]) if evolved else []
    lines = []
    for row in evolved:
        groups = [document["topology"]["E"]["turnover"] for document in row.documents]
        cells = [
            _shares_shown(*([group[band][key] for group in groups] for key in ("pruned", "null"))) for band in bands
        ]
        lines.append([name_of(row, rows).replace(EVOLVED, row.dataset, 1), *cells])
    return markdown_table(["data set", *bands], lines)


def _shares_shown(pruned, nulls):
    """Mean share that was pruned, and without training, str; a band beyond a small vocabulary has none."""
    observed, expected = (np.array(values, float) for values in (pruned, [null["mean"] for null in nulls if null]))
    if np.isnan(observed).any() or not expected.size:
        return NONE
    return f"{100 * observed.mean():.1f} % ({100 * expected.mean():.1f} %)"


def format_cost(rows, store):
    """Hours of training, by data set, and of the whole grid."""
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
    "note": lambda rows, store: NOTE.replace("*", r"\*"),
    "distances": format_distances,
    "topology": format_topology,
    "word turnover": format_word_turnover,
    "cost": format_cost,
}
