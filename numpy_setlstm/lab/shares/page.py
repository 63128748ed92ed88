"""Results of a sweep and of its search, as tables for Markdown pages, which therefore always agree with them."""

import functools

from numpy_setlstm.lab.experiment.grid import GridError
from numpy_setlstm.lab.formatting import MISSING, markdown_table, percent
from numpy_setlstm.lab.shares.search import DRAWN
from numpy_setlstm.lab.shares.statistics import KIND_NAMES, LARGEST, PAIRS, difference


def accuracy_shown(row):
    """Mean and spread in per cent, as in "75.7 ± 1.0"."""
    return f"{100 * row['mean']:.1f}" + ("" if row["spread"] is None else f" ± {100 * row['spread']:.1f}")


def difference_shown(found):
    """A difference in points with its 95 % interval; bold if that leaves out 0."""
    if found is None:
        return MISSING
    text = f"{100 * found.mean:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    return f"**{text}**" if found.low > 0 or found.high < 0 else text


def format_accuracies(rows, trials):
    """A line per data set and share, a column per kind: mean ± standard deviation over seeds, in per cent."""
    kinds = list(dict.fromkeys(row["connectivity"] for row in rows))
    lines = []
    for dataset, share in sorted({(row["dataset"], row["share"]) for row in rows}):
        found = {row["connectivity"]: row for row in rows if (row["dataset"], row["share"]) == (dataset, share)}
        cells = [accuracy_shown(found[kind]) if kind in found else MISSING for kind in kinds]
        seeds = sorted({len(row["accuracies"]) for row in found.values()})
        lines.append([dataset, f"{100 * share:g} %", *cells, "–".join(map(str, seeds))])
    names = [KIND_NAMES.get(kind, kind) for kind in kinds]
    return markdown_table(["data set", "share", *names, "seeds"], lines)


def format_differences(rows, trials):
    """A line per data set and share: the differences of :data:`PAIRS` in points, with 95 % intervals."""
    lines = []
    for dataset, share in sorted({(row["dataset"], row["share"]) for row in rows if row["share"] < 1}):
        found = [difference(rows, dataset, share, *pair) for pair in PAIRS]
        lines.append([dataset, f"{100 * share:g} %", *map(difference_shown, found)])
    names = [f"{KIND_NAMES[one]} − {KIND_NAMES[other]}" for one, other in PAIRS]
    return markdown_table(["data set", "share", *names], lines)


def format_recipes(rows, trials):
    """The best trial of each kind, and how many there were: a line per data set, or for those that share one.

    A data set with a star had no trials of its own.
    """
    found = {}
    for (dataset, kind), entry in sorted(trials.items()):
        found.setdefault((kind, repr(entry["settings"])), ([], entry))[0].append(dataset)
    names = [name for name in DRAWN if any(name in entry["settings"] for _, entry in found.values())]
    lines = []
    for (kind, _), (datasets, entry) in sorted(found.items(), key=lambda item: (item[1][0], item[0])):
        drawn = [str(entry["settings"].get(name, MISSING)).replace("None", "end") for name in names]
        searched = [f"{dataset}*" if dataset not in entry["searched"] else dataset for dataset in datasets]
        shown = [KIND_NAMES.get(kind, kind), ", ".join(searched), str(entry["trials"]), percent(entry["accuracy"])]
        lines.append([*shown, *drawn])
    return markdown_table(["kind", "data sets", "trials", "validation", *names], lines, n_left=2)


def format_cost(rows, trials):
    """How many runs there were, and the hours of one core that they took."""
    seconds, runs = sum(row["seconds"] for row in rows), sum(len(row["accuracies"]) for row in rows)
    return f"{runs:,} runs, {seconds / 3600:.1f} hours of one core, the search aside."


def format_at(share, rows, trials):
    """A line per data set at one share: the kinds that matter most, and what evolution by the gradient adds."""
    names = {"set-guided": "by the gradient", "set-cosine": "at random (SET)", "static": "static"}
    names |= {"dense-small": "small dense", LARGEST: "dense, 100 %"}
    lines = []
    for dataset in sorted({row["dataset"] for row in rows if row["share"] == share}):
        found = {row["connectivity"]: row for row in rows if row["dataset"] == dataset and row["share"] in (share, 1)}
        cells = [accuracy_shown(found[kind]) if kind in found else MISSING for kind in names]
        added = [difference(rows, dataset, share, "set-guided", other) for other in ("static", LARGEST)]
        lines.append([dataset, *cells, *map(difference_shown, added)])
    return markdown_table(["data set", *names.values(), "gradient − static", "gradient − dense"], lines)


BLOCKS = {
    "accuracies": format_accuracies,
    "differences": format_differences,
    "recipes": format_recipes,
    "cost": format_cost,
    "at 1 %": functools.partial(format_at, 0.01),
}


def make_block(name, rows, trials):
    """The block of a page by its name, one of :data:`BLOCKS`; GridError if there is none."""
    if name not in BLOCKS:
        raise GridError(f"shares: {name!r} is unknown; expected one of {', '.join(BLOCKS)}")
    return BLOCKS[name](rows, trials)
