"""The collection that the gradient check is tried on: about a hundred layers as other people write them.

Each is written from published formulas in a layout found in public teaching code, and verified by central differences
that know nothing of the package (`true_error`). ``python tests/layer_collection.py --table`` prints the tables of
docs/gradient_checking.md.
"""

import argparse
import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
from collected import (  # noqa: F401  (each import enters its layers into LAYERS)
    activations,
    algebra,
    attention,
    attributes,
    caches,
    convolutions,
    dense,
    embeddings,
    functions,
    grus,
    losses,
    lstms,
    modules,
    normalizations,
    norms,
    pooling,
    recurrent,
)
from collected.base import LAYERS, gradient_error, in_double, variant
from planted_bugs import ADDED_LATER, BUGS, KINDS


@dataclass(frozen=True)
class Verdict:
    """What the check made of a layer."""

    outcome: str  # "passed", "refused" (an exception), "called wrong" or "incomplete" (an entry was not checked)
    text: str  # what it said


def true_error(entry):
    """Return the largest relative error of a layer's gradient, in double precision, and the array it is in."""
    return gradient_error(in_double(entry))


def true_error_of_bug(bug):
    """Return the same of a planted mistake."""
    right, wrong = LAYERS[bug.layer], variant(LAYERS[bug.layer], *bug.changes)
    cases = [entry.make(np.random.default_rng(0)) for entry in (right, wrong)]
    assert cases[0].arrays.keys() == cases[1].arrays.keys()
    return gradient_error(wrong)


def verdict_on(entry, check_layer, seed=0):
    """Check a layer by its own call."""
    case = entry.make(np.random.default_rng(seed))
    np.random.seed(seed)  # noqa: NPY002  (some of the layers draw from it)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # central differences instead of a complex step
        try:
            report = case.check(check_layer, raises=False)
        except Exception as error:
            return Verdict("refused", f"{type(error).__name__}: {error}")
    if not report.ok:
        return Verdict("called wrong", " ".join(diagnosis.text for diagnosis in report.diagnoses))
    checked = sum(array.checked for array in report.arrays)
    if checked != case.n_entries:
        arrays = ", ".join(f"{array.name} {array.checked}" for array in report.arrays)
        return Verdict("incomplete", f"{checked} of {case.n_entries} entries checked: {arrays}")
    return Verdict("passed", "")


def verdict_on_bug(bug, check_layer):
    """Return "missed", "named", "named wrongly", "not named" or "refused", and what the check said of a mistake.

    An error that the check raises counts as a catch, and its text as the diagnosis, but not if the layer without the
    mistake is refused too.
    """
    found = verdict_on(variant(LAYERS[bug.layer], *bug.changes), check_layer)
    if found.outcome in ("passed", "incomplete"):
        return Verdict("missed", found.text)
    if found.outcome == "refused" and verdict_on(LAYERS[bug.layer], check_layer).outcome == "refused":
        return found
    if not found.text:
        return Verdict("not named", "")
    return Verdict("named" if names(bug, found.text) else "named wrongly", found.text)


def names(bug, text):
    """Return whether a text contains one of the words of a right diagnosis."""
    words = bug.words | ADDED_LATER.get((bug.layer, bug.kind), set())
    return any(word in (text.lower() if word.islower() else text) for word in words)


def table_of_layers(verdicts):
    """Return the Markdown table of all layers."""
    lines = ["| layer | style | without an adapter |", "| --- | --- | --- |"]
    for name, verdict in verdicts.items():
        entry = LAYERS[name]
        line = f" with one line: `{entry.adapter}`".replace("|", r"\|") if entry.adapter else ""
        lines.append(f"| {name} | {entry.style} | {verdict.outcome}{line} |")
    return "\n".join(lines)


def table_of_bugs(verdicts):
    """Return the Markdown table of the kinds of planted mistakes; `verdicts` is a list of (bug, verdict)."""
    counts = defaultdict(Counter)
    for bug, verdict in verdicts:
        counts[bug.kind][verdict.outcome] += 1
    counts["all"] = sum(counts.values(), Counter())
    lines = ["| kind of mistake | planted | caught | named | not named | named wrongly |", "| --- | " + "--: | " * 5]
    for kind in (*KINDS, "all"):
        c = counts[kind]
        caught = c["named"], c["not named"], c["named wrongly"]
        numbers = (sum(c.values()), sum(caught), *caught)
        lines.append(f"| {kind} | " + " | ".join(map(str, numbers)) + " |")
    return "\n".join(line.rstrip() for line in lines)


def main():
    parser = argparse.ArgumentParser(description="Try the gradient check on the collection of layers.")
    parser.add_argument("--table", action="store_true", help="print the tables of docs/gradient_checking.md")
    arguments = parser.parse_args()
    from numpy_setlstm import check_layer

    layers = {name: verdict_on(entry, check_layer) for name, entry in LAYERS.items()}
    bugs = [(bug, verdict_on_bug(bug, check_layer)) for bug in BUGS]
    if arguments.table:
        print(table_of_layers(layers), table_of_bugs(bugs), sep="\n\n")
        return
    for name, verdict in layers.items():
        if verdict.outcome != "passed":
            print(f"{verdict.outcome}: {name}: {verdict.text}")
    for bug, verdict in bugs:
        if verdict.outcome != "named":
            print(f"{verdict.outcome}: {bug.layer}, {bug.kind}: {verdict.text}")
    print(Counter(verdict.outcome for verdict in layers.values()))
    print(Counter(verdict.outcome for _, verdict in bugs))


if __name__ == "__main__":
    main()
