"""The results of a grid as tables: in the terminal, in Markdown, as CSV."""

import csv
import io
import json
from dataclasses import dataclass, field

import numpy as np

from numpy_setlstm.estimator import SetLSTMClassifier
from numpy_setlstm.files import replacing
from numpy_setlstm.lab.experiment.grid import (
    DATA_SETTINGS,
    DENSE,
    GRID_CONNECTIVITIES,
    GRID_DATASETS,
    TABLE_SETTINGS,
    TFIDF,
)
from numpy_setlstm.lab.experiment.runs import DONE, unpack_bits
from numpy_setlstm.lab.experiment.statistics import METRICS, confusion_counts, mean_and_spread, paired_difference
from numpy_setlstm.lab.formatting import MISSING, markdown_table, percent, text_table

DEFAULTS = SetLSTMClassifier().get_params()
READING_SETTINGS = (
    *DATA_SETTINGS,
    *TABLE_SETTINGS,
    "max_length",
    "vocabulary_size",
    "padding",
    "truncating",
)  # which words are read
N_LEFT = 2  # columns of text
NOTE = (
    "Accuracies on the test texts in percent, mean ± standard deviation over seeds; balanced: mean over both labels. "
    "Differences to dense in points, with the same seed and on the same texts, and their 95 % bootstrap interval over "
    "seeds and test texts; * one seed, texts only. Share: of the dense network's parameters. Times, epochs: mean of "
    "a run."
)
MARKDOWN_NOTE = NOTE.replace("*", r"\*")


@dataclass
class Row:
    """One line of the table: runs that differ in their seed only.

    `documents` has the runs that succeeded, by seed; `values` has a list by metric, one number per document;
    `differences` has a Difference by metric, and is empty without a dense row to compare with.
    """

    dataset: str
    connectivity: str
    settings: dict
    documents: list = field(default_factory=list)
    n_failed: int = 0
    values: dict = field(default_factory=dict)
    differences: dict = field(default_factory=dict)
    share: float | None = None

    def by_seed(self):
        """Documents by seed."""
        return {document["spec"]["seed"]: document for document in self.documents}

    def mean(self, key):
        """Mean over the runs of a number in their results; None if there is none."""
        numbers = [document["result"][key] for document in self.documents]
        return None if not numbers or None in numbers else float(np.mean(numbers))


def make_rows(documents):
    """Group the documents of runs into rows, in the order of data sets and connectivities, compared with dense ones."""
    rows = {}
    for document in documents:
        spec = document["spec"]
        key = spec["dataset"], spec["connectivity"], json.dumps(spec["settings"], sort_keys=True)
        row = rows.setdefault(key, Row(spec["dataset"], spec["connectivity"], spec["settings"]))
        if document["status"] == DONE:
            row.documents.append(document)
        else:
            row.n_failed += 1
    for row in rows.values():
        row.documents.sort(key=lambda document: document["spec"]["seed"])
        counts = [confusion_counts(*bits_of(document)) for document in row.documents]
        row.values = {name: [float(metric(count)) for count in counts] for name, metric in METRICS.items()}
    for row in rows.values():
        compare_with(row, find_reference(row, rows.values()))
    order = {name: k for names in (GRID_DATASETS, GRID_CONNECTIVITIES) for k, name in enumerate(names)}
    last = len(order)  # tables, by name
    return [rows[key] for key in sorted(rows, key=lambda key: (order.get(key[0], last), key[0], order[key[1]], key[2]))]


def bits_of(document):
    """Predictions and labels of the test texts, two ndarrays of shape (n_test_texts,), bool."""
    packed = document["predictions"]
    return tuple(unpack_bits(packed[name], packed["count"]) for name in ("predicted", "labels"))


def find_reference(row, rows):
    """The dense row that reads the same words with the most similar settings; None if it is not unique."""

    def reading(one):
        return [one.settings.get(name, DEFAULTS.get(name)) for name in READING_SETTINGS]

    def n_differing(one):
        shared = row.settings.keys() & one.settings.keys()
        return sum(row.settings[name] != one.settings[name] for name in shared)

    dense = [
        one
        for one in rows
        if one.connectivity == DENSE and one.dataset == row.dataset and one.documents and reading(one) == reading(row)
    ]
    if row.connectivity == DENSE or not dense:
        return None
    fewest = min(map(n_differing, dense))
    nearest = [one for one in dense if n_differing(one) == fewest]
    return nearest[0] if len(nearest) == 1 else None


def compare_with(row, reference):
    """Fill in `share` and `differences` of a row; `reference` is the dense row or None."""
    parameters = row.mean("parameters")
    if reference is None:
        row.share = row.mean("share")
        return
    row.share = None if parameters is None or row.connectivity == TFIDF else parameters / reference.mean("parameters")
    row.differences = differences_between(row, reference)


def differences_between(row, reference):
    """Differences of a row to another, for the same seeds and texts: dict of metric to Difference."""
    ours, theirs = row.by_seed(), reference.by_seed()
    if row.connectivity == TFIDF and row.documents:  # its one run draws no random numbers, and pairs with every seed
        ours = dict.fromkeys(theirs, row.documents[0])
    pairs = [
        (ours[seed], theirs[seed])
        for seed in sorted(ours.keys() & theirs.keys())
        if ours[seed].get("data") == theirs[seed].get("data")
    ]
    if not pairs:
        return {}
    labels = bits_of(pairs[0][0])[1]
    predicted, references = (np.array([bits_of(pair[k])[0] for pair in pairs]) for k in (0, 1))
    return {name: paired_difference(predicted, references, labels, metric) for name, metric in METRICS.items()}


def name_of(row, rows):
    """Connectivity of a row, with the settings that distinguish it from others of its data set, str."""
    others = [one.settings for one in rows if (one.dataset, one.connectivity) == (row.dataset, row.connectivity)]
    names = sorted({name for settings in others for name in settings})
    differing = [name for name in names if any(one.get(name) != others[0].get(name) for one in others)]
    return " ".join([row.connectivity, *(f"{name}={row.settings.get(name, 'default')}" for name in differing)])


def format_row(row, rows):
    """The cells of a row, dict of column to str."""
    seeds = str(len(row.documents)) if row.connectivity != TFIDF else MISSING
    cells = {
        "data set": row.dataset,
        "connectivity": name_of(row, rows),
        "parameters": _number(row.mean("parameters"), ",.0f"),
        "share": percent(row.share),
        "seeds": seeds + (f" ({row.n_failed} failed)" if row.n_failed else ""),
    }
    cells |= {metric.removesuffix(" accuracy"): spread_shown(values) for metric, values in row.values.items()}
    cells["difference to dense"] = difference_shown(row.differences.get("accuracy"))
    cells["balanced difference"] = difference_shown(row.differences.get("balanced accuracy"))
    return cells | {key: _number(row.mean(key), ".0f") for key in ("seconds", "epochs")}


def _number(value, form):
    return MISSING if value is None else f"{value:{form}}"


def spread_shown(values):
    """Mean ± standard deviation of fractions, in percent, str."""
    if not values:
        return MISSING
    mean, spread = mean_and_spread(values)
    return f"{100 * mean:.1f}" + ("" if spread is None else f" ± {100 * spread:.1f}")


def difference_shown(difference):
    """A difference and its interval, in points, str."""
    if difference is None:
        return MISSING
    mean, low, high = (100 * value for value in (difference.mean, difference.low, difference.high))
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]" + ("*" if difference.n_seeds == 1 else "")


def format_terminal(rows):
    """The table for the terminal, str."""
    cells = [format_row(row, rows) for row in rows]
    columns = [name for name in cells[0] if name != "balanced difference"]  # which would not fit on a line
    return text_table(columns, [[row[name] for name in columns] for row in cells], N_LEFT)


def format_markdown(rows):
    """The table in Markdown, with the note that explains its numbers, str."""
    cells = [format_row(row, rows) for row in rows]
    return f"{markdown_table(list(cells[0]), [list(row.values()) for row in cells], N_LEFT)}\n\n{MARKDOWN_NOTE}\n"


def format_csv(rows):
    """The table with all digits, as CSV, str; accuracies and differences as fractions."""
    records = []
    for row in rows:
        record = {
            "dataset": row.dataset,
            "connectivity": row.connectivity,
            "settings": json.dumps(row.settings, sort_keys=True),
            "parameters": row.mean("parameters"),
            "share": row.share,
            "seeds": len(row.documents),
            "failed": row.n_failed,
        }
        for metric, values in row.values.items():
            name = metric.replace(" ", "_")
            record[name], record[f"{name}_sd"] = mean_and_spread(values) if values else (None, None)
            difference = row.differences.get(metric)
            for part in ("mean", "low", "high", "n_seeds"):
                record[f"{name}_difference_{part}"] = difference and getattr(difference, part)
        records.append(record | {key: row.mean(key) for key in ("seconds", "epochs")})
    return _to_csv(records)


def format_runs_csv(documents):
    """One line per run, failed ones included, as CSV, str."""
    records = []
    for document in documents:
        spec, result = document["spec"], document.get("result", {})
        record = {key: spec[key] for key in ("dataset", "connectivity", "seed")}
        record |= {"settings": json.dumps(spec["settings"], sort_keys=True), "status": document["status"]}
        metrics = METRICS if document["status"] == DONE else {}
        counts = confusion_counts(*bits_of(document)) if metrics else None
        record |= {name.replace(" ", "_"): float(metric(counts)) for name, metric in metrics.items()}
        keys = (
            "parameters",
            "share",
            "validation_accuracy",
            "best_epoch",
            "epochs",
            "seconds",
            "words_without_connection",
        )
        record |= {key: result.get(key) for key in keys} if metrics else {}
        records.append(record | {"error": document.get("error")})
    return _to_csv(records)


def _to_csv(records):
    stream = io.StringIO()
    columns = list(max(records, key=len, default={}))
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue()


def write_tables(store):
    """Write ``table.md``, ``table.csv`` and ``runs.csv``; return the table for the terminal, and the files."""
    documents = store.documents()
    if not documents:
        return "there is no result yet", []
    rows = make_rows(documents)
    texts = {
        "table.md": format_markdown(rows),
        "table.csv": format_csv(rows),
        "runs.csv": format_runs_csv(documents),
    }
    for name, text in texts.items():
        with replacing(store.output / name) as file:
            file.write(text.encode())
    return format_terminal(rows), [store.output / name for name in texts]
