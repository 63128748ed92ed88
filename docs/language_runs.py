"""Ask whether evolution pays in a sparse LSTM that learns to spell: kinds of networks, with as many trials each.

The characters of Shakespeare: nine tenths to learn from, the first half of the rest chooses the epoch and the recipe,
the second half tests. Every kind has the same number of random trials, of fewer epochs, in which trial number k draws
the same values of what all kinds have in common; then its best recipe is trained with several seeds. Each network is
a line of JSON in docs/language/runs.jsonl; what is there is not run again, and Ctrl-C loses only networks that are
being trained. The tables and the picture of docs/language.md are made from that file. With these recipes some kinds are
trained for more epochs as well, and so are two seeds of a network with 1,024 units and of dense ones beside it. It
needs the folder NUMPY_SETLSTM_DATA, and some five hours of one core. From the top of the repository::

    python docs/language_runs.py [--workers 2] [--kinds static,set-cosine] [--only long] [--report-only]
"""

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from numpy_setlstm import SetLSTMLanguageModel
from numpy_setlstm.files import make_folder
from numpy_setlstm.lab.experiment.page import fill_blocks
from numpy_setlstm.lab.experiment.statistics import mean_and_spread
from numpy_setlstm.lab.files import write_picture
from numpy_setlstm.lab.formatting import MISSING, markdown_table
from numpy_setlstm.lab.rivals import prune_to_counts
from numpy_setlstm.lab.shares.statistics import KIND_NAMES, STUDENT
from numpy_setlstm.lab.writing import read_text
from numpy_setlstm.language.initialization import LanguageSizes
from numpy_setlstm.language.preparation import prepare
from numpy_setlstm.plotting import plot_shares
from numpy_setlstm.recipe import training_settings
from numpy_setlstm.training import TrainingState

HERE = Path(__file__).parent
RUNS, PICTURE, PAGE = HERE / "language" / "runs.jsonl", HERE / "language" / "bits.png", HERE / "language.md"
COMMON = {
    "embedding_dim": 64,
    "hidden_size": 256,
    "batch_size": 32,
    "n_steps": 50,
    "learning_rate_schedule": "cosine",
    "validation_fraction": 1 / 19,  # of the first 95 %: a twentieth of the text
}
_EVOLVED = {"connectivity": "set", "zeta_schedule": "cosine"}
_REDISTRIBUTED = _EVOLVED | {"prune_rule": "magnitude"}
_AVERAGED = {"averaging": "snt-asgd", "averaging_interval": 1, "learning_rate_schedule": "constant"}
KINDS = {
    "dense": {"connectivity": "dense"},
    "dense-pruned": {"connectivity": "dense"},
    "dense-small": {"connectivity": "dense"},
    "static": {"connectivity": "static"},
    "set-cosine": _EVOLVED,
    "set-guided": _EVOLVED | {"growth": "gradient", "candidates": 10},
    "set-magnitude": _REDISTRIBUTED,
    "set-snt": _REDISTRIBUTED | _AVERAGED,
}
# Longer trainings, with the recipes of the short ones; the null model of a mean is the same training without one.
LONG_EPOCHS, LONG_DENSITY, LONG_KINDS = 10, 0.05, ("static", "set-cosine", "set-snt", "set-constant")
LONG_PAIRS = (
    ("set-cosine", "static"), ("set-snt", "set-constant"), ("set-snt", "set-cosine"), ("set-snt", "static"),
)  # fmt: skip
ALL_KINDS = KINDS | {"set-constant": _REDISTRIBUTED | {"learning_rate_schedule": "constant"}}
NAMES = KIND_NAMES | {
    "set-magnitude": "evolved, by magnitude",
    "set-snt": "evolved, SNT-ASGD",
    "set-constant": "evolved, the same without the mean",
    "dense-units": "dense, 130 units",
}
LARGEST, PRUNED = "dense", "dense-pruned"
RECIPE_OF = {"dense-units": "dense-small", "set-constant": "set-snt"}  # kinds without trials of their own
# A large network: W_x and W_h have 89,129 connections, those of a dense one of 130 units 100,880 weights.
LARGE_H, LARGE_DENSITY, LARGE_SEEDS, UNITS = 1024, 0.02, range(2), 130
LARGE_KINDS = ("set-cosine", "static", "dense-small", "dense-units")
SEARCHED = [kind for kind in KINDS if kind != PRUNED]
SPACE = {"learning_rate": ("log", 2e-3, 2e-2), "embedding_scale": ("one of", 0.3, 1.0), "dropout": ("one of", 0.0, 0.1)}
SPACE_OF_EVOLUTION = {
    "zeta": ("one of", 0.1, 0.2, 0.3, 0.5),
    "evolve_every": ("one of", 50, 100, 200),
    "evolve_until": ("one of", 0.6, 1.0),  # as a share of the epochs
}
N_TRIALS, TRIAL_EPOCHS, N_EPOCHS, FINETUNE_EPOCHS = 6, 2, 5, 3
TRIAL_DENSITY, DENSITIES, SEEDS = 0.05, (0.02, 0.05), range(5)
PAIRS = (
    ("set-cosine", "static"), ("set-guided", "static"), ("set-guided", "set-cosine"),
    ("set-cosine", "dense-small"), ("set-guided", "dense-small"), ("static", "dense-small"),
    ("set-guided", "dense"), ("set-guided", "dense-pruned"),
    ("set-magnitude", "set-cosine"), ("set-magnitude", "static"), ("set-snt", "set-magnitude"),
)  # fmt: skip


def draw(kind, number):
    """Return the settings of a trial of a kind."""
    settings = {}
    for k, space in enumerate([SPACE, SPACE_OF_EVOLUTION] if kind.startswith("set") else [SPACE]):
        rng = np.random.default_rng([number, k])
        for name, (way, *values) in space.items():
            if way == "log":
                settings[name] = float(f"{np.exp(rng.uniform(*np.log(values))):.3g}")
            else:
                settings[name] = values[rng.integers(len(values))]
    return settings


def trials(kinds):
    """Return the specifications of all trials, trial by trial."""
    common = {"trial": True, "seed": 0, "density": TRIAL_DENSITY, "n_epochs": TRIAL_EPOCHS}
    return [common | {"kind": kind, "recipe": draw(kind, k)} for k in range(N_TRIALS) for kind in kinds]


def recipes(records):
    """Return the settings of each kind's best trial, on validation text."""
    best = {}
    for record in records:
        kind, loss = record["spec"]["kind"], record["validation_bits"]
        if record["spec"]["trial"] and loss < best.get(kind, (np.inf, None))[0]:
            best[kind] = loss, record["spec"]["recipe"]
    return {kind: recipe for kind, (_, recipe) in best.items()}


def runs(kinds, found):
    """Return the specifications of all runs with the recipes that were found, seed by seed."""
    specs = []
    for seed in SEEDS:
        for kind in kinds:
            recipe = found.get(LARGEST if kind == PRUNED else kind)
            for density in (1.0,) if kind == LARGEST else DENSITIES:
                spec = {"trial": False, "seed": seed, "density": density, "n_epochs": N_EPOCHS, "kind": kind}
                if recipe is not None:
                    specs.append(spec | {"recipe": recipe})
    return specs


def long_runs(found):
    """Return the specifications of the longer trainings, with the recipes that were found for short ones."""
    common = {"trial": False, "n_epochs": LONG_EPOCHS, "density": LONG_DENSITY}
    return [
        common | {"kind": kind, "seed": seed, "recipe": found[RECIPE_OF.get(kind, kind)]}
        for kind in LONG_KINDS
        for seed in SEEDS
    ]


def large_runs(found):
    """Return the specifications of the large networks, with the recipes that were found for small ones."""
    common = {"trial": False, "density": LARGE_DENSITY, "n_epochs": N_EPOCHS, "units": LARGE_H}
    return [
        common | {"kind": kind, "seed": seed, "recipe": found[RECIPE_OF.get(kind, kind)]}
        for seed in LARGE_SEEDS
        for kind in LARGE_KINDS
    ]


def sparse_parameters(n_words, density, hidden_size=COMMON["hidden_size"]):
    """Return how many parameters the sparse network has, everything counted, and the connections of its matrices."""
    shapes = LanguageSizes(n_words, COMMON["embedding_dim"], hidden_size).shapes
    counts = {name: round(density * np.prod(shapes[name])) for name in ("W_x", "W_h")}
    rest = sum(int(np.prod(shape)) for name, shape in shapes.items() if name not in counts)
    return rest + sum(counts.values()), counts


def small_hidden_size(n_words, density, hidden_size):
    """Return the H of the largest dense network with at most as many parameters, and the same vectors."""
    most, _ = sparse_parameters(n_words, density, hidden_size)
    fits = (h for h in range(1, 257) if LanguageSizes(n_words, COMMON["embedding_dim"], h).dense_parameters <= most)
    return max(fits)


def make_model(spec, n_words):
    """Return the model of a specification."""
    size = {"hidden_size": spec.get("units", COMMON["hidden_size"]), "n_epochs": spec["n_epochs"]}
    settings = COMMON | ALL_KINDS.get(spec["kind"], KINDS[LARGEST]) | spec["recipe"] | size
    if "evolve_until" in settings:
        settings["evolve_until"] *= spec["n_epochs"]
    if spec["kind"] == "dense-small":
        settings["hidden_size"] = small_hidden_size(n_words, spec["density"], settings["hidden_size"])
    if spec["kind"] == "dense-units":
        settings["hidden_size"] = UNITS
    return SetLSTMLanguageModel(density=spec["density"], random_state=spec["seed"], **settings)


def prune_and_tune(model, text, spec):
    """Return the dense model pruned to the connections of the sparse one, and trained on."""
    _, counts = sparse_parameters(len(model.vocabulary_), spec["density"])
    tuned = SetLSTMLanguageModel(**model.get_params() | {"connectivity": "static", "n_epochs": FINETUNE_EPOCHS})
    prepared = prepare(tuned, text)
    network = prune_to_counts(model.network_, counts)  # a copy
    optimizer = network.engine.optimizers[tuned.optimizer](network.parameters, tuned.learning_rate)
    state = TrainingState.start(network, optimizer, prepared.state.streams)
    tuned.classes_, tuned.vocabulary_ = prepared.classes, prepared.vocabulary
    tuned._run(state, training_settings(tuned), prepared.task)
    return tuned


@lru_cache(maxsize=1)
def fit(spec, text):
    """Return the fitted model of a specification, given as JSON; the dense one before it is pruned, once for all."""
    spec = json.loads(spec)
    return make_model(spec, len(set(text[: round(len(text) * 18 / 19)])) + 2).fit(text)


def measure(spec, text):
    """Return the record of a network; a trial does not look at the test text."""
    cut = round(0.95 * len(text))
    start = time.process_time()
    first = spec | {"kind": LARGEST, "density": 1.0} if spec["kind"] == PRUNED else spec
    model = fit(json.dumps(first, sort_keys=True), text[:cut])
    if spec["kind"] == PRUNED:
        model = prune_and_tune(model, text[:cut], spec)
    history, best = model.history_, model.best_epoch_
    record = {
        "spec": spec,
        "parameters": model.n_parameters_,
        "hidden_size": model.hidden_size,
        "validation_bits": history["validation_loss"][best] / np.log(2),
        "best_epoch": best + 1,
        "gate_counts": history["gate_counts"],
        "averaged": model.training_state_.n_averaged,  # minibatches
        "minibatches": model.training_state_.n_updates,
        "seconds": round(time.process_time() - start, 1),
    }
    return record if spec["trial"] else record | {"test_bits": model.bits_per_character(text[cut:])}


def read_records():
    """Return the records of the file, without a last line that was cut short."""
    if not RUNS.exists():
        return []
    return [json.loads(line) for line in RUNS.read_text(encoding="utf8").split("\n")[:-1]]


def compute(specs, text, workers):
    """Measure what has no record, and append each record as it ends."""
    done = [json.dumps(record["spec"], sort_keys=True) for record in read_records()]
    todo = [spec for spec in specs if json.dumps(spec, sort_keys=True) not in done]
    print(f"{len(specs)} networks, {len(todo)} to train", flush=True)
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool, RUNS.open("a", encoding="utf8") as file:
        for future in as_completed([pool.submit(measure, spec, text) for spec in todo]):
            record = future.result()
            file.write(json.dumps(record, sort_keys=True) + "\n")
            file.flush()
            spec = record["spec"]
            print(spec["kind"], spec["density"], spec["seed"], spec["recipe"], record["validation_bits"],
                  record.get("test_bits"), record["seconds"], flush=True)  # fmt: skip


def bits_of(records, units=None, n_epochs=N_EPOCHS):
    """Return the test bits of the runs with so many units and epochs: by kind and density, by seed."""
    bits = {}
    for record in records:
        spec = record["spec"]
        if not spec["trial"] and (spec.get("units"), spec["n_epochs"]) == (units, n_epochs):
            bits.setdefault((spec["kind"], spec["density"]), {})[spec["seed"]] = record["test_bits"]
    return bits


def interval(values):
    """Return mean, and the ends of its 95 % interval by Student's t."""
    mean, spread = mean_and_spread(values)
    margin = STUDENT[len(values) - 1] * spread / np.sqrt(len(values))
    return mean, mean - margin, mean + margin


def format_bits(records):
    """Return a table: a line per kind, a column per density; mean and standard deviation over seeds."""
    bits = bits_of(records)
    densities, lines = [*DENSITIES, 1.0], []
    for kind in [kind for kind in KINDS if any(kind in key for key in bits)]:
        cells = []
        for density in densities:
            found = list(bits.get((kind, density), {}).values())
            cells.append("{:.3f} ± {:.3f}".format(*mean_and_spread(found)) if len(found) > 1 else MISSING)
        parameters = {
            record["spec"]["density"]: record["parameters"]
            for record in records
            if record["spec"]["kind"] == kind and "units" not in record["spec"]
        }
        sizes = dict.fromkeys(f"{parameters[density]:,}" for density in densities if density in parameters)
        lines.append([NAMES[kind], *cells, " and ".join(sizes)])
    return markdown_table(["kind", *(f"{100 * density:g} %" for density in densities), "parameters"], lines)


def as_difference(values):
    """Return the mean of differences by seed and its 95 % interval, bold if it leaves out 0."""
    if len(values) < 2:
        return MISSING
    mean, low, high = interval(values)
    text = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
    return f"**{text}**" if low > 0 or high < 0 else text


def format_differences(records):
    """Return a table: the differences of :data:`PAIRS` by seed, with 95 % intervals; below 0 the first is better."""
    bits, lines = bits_of(records), []
    for one, other in PAIRS:
        cells = []
        for density in DENSITIES:
            of_one, of_other = (bits.get((kind, 1.0 if kind == LARGEST else density), {}) for kind in (one, other))
            seeds = sorted(of_one.keys() & of_other.keys())
            cells.append(as_difference([of_one[seed] - of_other[seed] for seed in seeds]))
        if set(cells) != {MISSING}:
            lines.append([f"{NAMES[one]} − {NAMES[other]}", *cells])
    return markdown_table(["bits per character", *(f"{100 * density:g} %" for density in DENSITIES)], lines)


def format_recipes(records):
    """Return a table: the best trial of each kind."""
    found, lines = recipes(records), []
    names = [*SPACE, *SPACE_OF_EVOLUTION]
    for kind in found:
        of_kind = [one for one in records if one["spec"]["trial"] and one["spec"]["kind"] == kind]
        drawn = [str(found[kind].get(name, MISSING)) for name in names]
        best = min(one["validation_bits"] for one in of_kind)
        lines.append([NAMES[kind], str(len(of_kind)), f"{best:.3f}", *drawn])
    return markdown_table(["kind", "trials", "validation", *names], lines)


def format_long(records):
    """Return a table of the longer trainings: bits of both held-out texts, and where the mean of the weights began."""
    lines = []
    for kind in LONG_KINDS:
        of_kind = [one for one in long_records(records) if one["spec"]["kind"] == kind]
        cells = [
            "{:.3f} ± {:.3f}".format(*mean_and_spread([one[f"{text}_bits"] for one in of_kind]))
            if len(of_kind) > 1
            else MISSING
            for text in ("validation", "test")
        ]
        shares = [one["averaged"] / one["minibatches"] for one in of_kind if one["averaged"]]
        began = sorted(LONG_EPOCHS - round(share * LONG_EPOCHS) for share in shares)
        lines.append([NAMES[kind], *cells, ", ".join(map(str, began)) or MISSING])
    return markdown_table(["kind", "validation", "test", "the mean began after epoch"], lines)


def format_long_differences(records):
    """Return a table: the differences of pairs of kinds in longer trainings, on validation and test text."""
    lines = []
    for one, other in LONG_PAIRS:
        cells = []
        for text in ("validation", "test"):
            bits = {(r["spec"]["kind"], r["spec"]["seed"]): r[f"{text}_bits"] for r in long_records(records)}
            seeds = [seed for seed in SEEDS if {(one, seed), (other, seed)} <= bits.keys()]
            cells.append(as_difference([bits[one, seed] - bits[other, seed] for seed in seeds]))
        lines.append([f"{NAMES[one]} − {NAMES[other]}", *cells])
    return markdown_table(["bits per character", "validation", "test"], lines)


def long_records(records):
    """Return those of the longer trainings."""
    return [one for one in records if not one["spec"]["trial"] and one["spec"]["n_epochs"] == LONG_EPOCHS]


def format_large(records):
    """Return a table: the large network, and dense ones beside it."""
    bits, lines = bits_of(records, LARGE_H), []
    for kind in LARGE_KINDS:
        found = bits.get((kind, LARGE_DENSITY), {})
        if len(found) < 2:
            continue
        of_kind = [one for one in records if one["spec"]["kind"] == kind and one["spec"].get("units") == LARGE_H]
        units, parameters = of_kind[0]["hidden_size"], of_kind[0]["parameters"]
        lead = MISSING
        other = bits.get((LARGE_KINDS[0], LARGE_DENSITY), {})
        if kind != LARGE_KINDS[0] and found.keys() == other.keys():
            lead = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*interval([other[seed] - found[seed] for seed in found]))
        score = "{:.3f} ± {:.3f}".format(*mean_and_spread(list(found.values())))
        lines.append([NAMES[kind], f"{units:,}", f"{parameters:,}", score, lead])
    return markdown_table(["kind", "H", "parameters", "bits per character", f"{NAMES['set-cosine']} − it"], lines)


BLOCKS = {
    "bits": format_bits,
    "differences": format_differences,
    "long": format_long,
    "long differences": format_long_differences,
    "large": format_large,
    "recipes": format_recipes,
}


def report(records):
    """Write the tables and the picture."""
    rows = []
    for (kind, density), by_seed in bits_of(records).items():
        if len(by_seed) > 1:
            mean, low, high = interval(list(by_seed.values()))
            share = {"connectivity": kind, "share": density, "mean": mean, "low": low, "high": high}
            rows.append({"dataset": "characters of Shakespeare"} | share)
    (ax,) = plot_shares(
        rows, labels=NAMES, scale=1.0, ylabel="test, bits per character", xlabel="connections, % of W_x and W_h"
    )
    write_picture(PICTURE, ax.figure)
    fill_blocks(PAGE, "language", lambda name: BLOCKS[name](records))


PARTS = {
    "trials": lambda kinds: trials([kind for kind in kinds if kind in SEARCHED]),
    "runs": lambda kinds: runs(kinds, recipes(read_records())),
    "long": lambda kinds: long_runs(recipes(read_records())),
    "large": lambda kinds: large_runs(recipes(read_records())),
}


def main():
    """Measure what is missing, and write tables and picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--kinds", default=",".join(KINDS), help="some of " + ", ".join(KINDS))
    parser.add_argument("--only", choices=PARTS, help="one part of the work")
    parser.add_argument("--report-only", action="store_true", help="tables and picture of what there is")
    options = parser.parse_args()
    if not options.report_only:
        text = read_text(Path(os.environ["NUMPY_SETLSTM_DATA"]) / "shakespeare" / "input.txt")
        make_folder(RUNS.parent)
        for part in [options.only] if options.only else PARTS:
            compute(PARTS[part](options.kinds.split(",")), text, options.workers)
    report(read_records())


if __name__ == "__main__":
    main()
