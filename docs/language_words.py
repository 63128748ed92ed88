"""Let sparse and small dense language models write reviews by words, and let a classifier say what it takes them for.

Some labeled reviews of IMDB, 20,000 words. All four matrices of the sparse networks have a tenth of their cells as
connections; the small dense network has as many parameters. Every kind has the same trials, one for each learning rate,
of one epoch on fewer reviews; validation reviews choose. Each network is a line of JSON in docs/language/words.jsonl;
what is there is not trained again. A classifier of this package, trained on all reviews to learn from, judges what each
writes for each label with the seeds 0, 1, ..., and real reviews of the same length. Tables and texts of the pages are
made from that file. It needs the folder NUMPY_SETLSTM_DATA, and about an hour of one core. From the top of the
repository::

    python docs/language_words.py [--report-only]
"""

import argparse
import json
import time
from functools import lru_cache
from pathlib import Path

import numpy as np

from numpy_setlstm import SetLSTMClassifier, SetLSTMLanguageModel
from numpy_setlstm.datasets import load_dataset
from numpy_setlstm.files import make_folder
from numpy_setlstm.lab.experiment.page import fill_blocks
from numpy_setlstm.lab.formatting import MISSING, markdown_table
from numpy_setlstm.language.initialization import LanguageSizes
from numpy_setlstm.text import tokenize

HERE = Path(__file__).parent
RUNS, PAGE, TEXTS = HERE / "language" / "words.jsonl", HERE / "language.md", HERE / "reviews_written.md"
N_REVIEWS, N_TRIAL_REVIEWS, N_TEST = 3_000, 600, 500
V, SIZE, DENSITY, MATRICES = 20_000, 128, 0.1, ("E", "W_x", "W_h", "W_out")
COMMON = {"unit": "word", "vocabulary_size": V, "batch_size": 32, "n_steps": 35, "learning_rate_schedule": "cosine",
          "sparse": MATRICES, "density": DENSITY, "validation_fraction": 0.05,
          "random_state": 0}  # fmt: skip
KINDS = {
    "set-cosine": {"connectivity": "set", "zeta": 0.2, "zeta_schedule": "cosine", "evolve_every": 200},
    "static": {"connectivity": "static"},
    "dense-small": {"connectivity": "dense"},
}
NAMES = {"set-cosine": "evolved, at random (SET)", "static": "static", "dense-small": "small dense"}
RATES, N_EPOCHS, EVOLVING_SHARE = (0.002, 0.005, 0.01), 3, 0.6
LENGTH, TEMPERATURE, N_SHOWN, N_JUDGED = 60, 0.8, 10, 100


@lru_cache(maxsize=1)
def reviews():
    """Return IMDB, with line breaks as in text."""
    data = load_dataset("imdb")
    labels = np.array(data.label_names)
    learn, test = ([text.replace("<br />", "\n") for text in texts] for texts in (data.train_texts, data.test_texts))
    return learn, labels[np.asarray(data.train_labels)], test, labels[np.asarray(data.test_labels)]


def some_of(texts, labels, number, seed):
    """Return so many of the texts, and their labels."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(texts))[:number])
    return [texts[k] for k in chosen], labels[chosen]


def small_size():
    """Return the largest D = H of a dense network that has at most as many parameters as the sparse ones."""
    shapes = LanguageSizes(V, SIZE, SIZE, n_labels=2).shapes
    sparse = sum(int(np.prod(shape)) * (DENSITY if name in MATRICES else 1) for name, shape in shapes.items())
    fits = (h for h in range(1, SIZE) if LanguageSizes(V, h, h, n_labels=2).dense_parameters <= sparse)
    return max(fits)


def train(kind, rate, n_reviews, n_epochs):
    """Return a fitted model."""
    settings = COMMON | KINDS[kind] | {"learning_rate": rate, "n_epochs": n_epochs}
    if kind.startswith("set"):
        settings["evolve_until"] = EVOLVING_SHARE * n_epochs
    size = small_size() if kind == "dense-small" else SIZE
    model = SetLSTMLanguageModel(embedding_dim=size, hidden_size=size, **settings)
    learn, labels, *_ = reviews()
    return model.fit(*some_of(learn, labels, n_reviews, 0))


@lru_cache(maxsize=1)
def judge():
    """Return the classifier: the package's own, with its defaults, on all reviews to learn from."""
    learn, labels, *_ = reviews()
    return SetLSTMClassifier(random_state=0, progress=True).fit(learn, labels)


def agreement(texts, labels):
    """Return for how many texts the judge says their label."""
    return int((judge().predict(texts) == labels).sum())


def write(model):
    """Return the reviews that a model writes, by label and seed."""
    draw = lambda label, seed: model.sample("", LENGTH, TEMPERATURE, np.random.default_rng(seed), label)  # noqa: E731
    return {label: [draw(label, seed) for seed in range(N_JUDGED)] for label in model.classes_.tolist()}


def measure(spec):
    """Return the record of a network, or of real reviews."""
    start = time.process_time()
    _, _, test, labels = reviews()
    if spec["kind"] == "real":
        texts = [" ".join(tokenize(text)[:LENGTH]) for text in test]
        return {"spec": spec, "agreement": agreement(texts, labels) / len(texts)}
    n_reviews = N_TRIAL_REVIEWS if spec["trial"] else N_REVIEWS
    model = train(spec["kind"], spec["rate"], n_reviews, 1 if spec["trial"] else N_EPOCHS)
    record = {"spec": spec, "parameters": model.n_parameters_, "size": model.hidden_size}
    record["validation_perplexity"] = float(np.exp(model.history_["validation_loss"][model.best_epoch_]))
    record["train_perplexity"] = np.exp(model.history_["train_loss"]).tolist()
    record |= {"best_epoch": model.best_epoch_ + 1, "seconds": round(time.process_time() - start)}
    if spec["trial"]:
        return record
    texts = write(model)
    judged = {label: agreement(of_label, label) for label, of_label in texts.items()}
    judged_shown = {label: agreement(of_label[:N_SHOWN], label) for label, of_label in texts.items()}
    shown = {label: of_label[:N_SHOWN] for label, of_label in texts.items()}
    return record | {
        "test_perplexity": model.perplexity(*some_of(test, labels, N_TEST, 1)),
        "judged": judged,
        "judged_shown": judged_shown,
        "texts": shown,
    }


def read_records():
    """Return the records of the file, without a last line that was cut short."""
    if not RUNS.exists():
        return []
    return [json.loads(line) for line in RUNS.read_text(encoding="utf8").split("\n")[:-1]]


def compute(specs):
    """Measure what has no record, and append each record as it ends."""
    done = [record["spec"] for record in read_records()]
    for spec in specs:
        if spec not in done:
            record = measure(spec)
            with RUNS.open("a", encoding="utf8") as file:
                file.write(json.dumps(record, sort_keys=True) + "\n")
            print({name: value for name, value in record.items() if name != "texts"}, flush=True)


def best_rate(kind, records):
    """Return the learning rate of a kind's best trial."""
    trials = [one for one in records if one["spec"]["kind"] == kind and one["spec"]["trial"]]
    return min(trials, key=lambda one: one["validation_perplexity"])["spec"]["rate"]


def networks(records):
    """Return the records that are no trials, in the order of the kinds."""
    found = {one["spec"]["kind"]: one for one in records if not one["spec"]["trial"]}
    return [found[kind] for kind in KINDS if kind in found]


def format_words(records):
    """Return a table: perplexity, and what the judge says."""
    lines = []
    for one in networks(records):
        judged, n = sum(one["judged"].values()), N_JUDGED * len(one["judged"])
        shown = sum(one["judged_shown"].values())
        name, rate = NAMES[one["spec"]["kind"]], f"{one['spec']['rate']:g}"
        perplexities = [f"{one[which + '_perplexity']:.0f}" for which in ("validation", "test")]
        recognized = [f"{shown} of {N_SHOWN * len(one['judged'])}", f"{100 * judged / n:.0f} % of {n}"]
        lines.append([name, f"{one['size']}", f"{one['parameters']:,}", rate, *perplexities, *recognized])
    real = [one["agreement"] for one in records if one["spec"]["kind"] == "real"]
    if real:
        lines.append(["real test reviews", *[MISSING] * 6, f"{100 * real[0]:.0f} % of 25,000"])
    header = ["kind", "D = H", "parameters", "learning rate", "perplexity, validation", "test"]
    return markdown_table([*header, "label recognized", "with more seeds"], lines)


def format_texts(records):
    """Return what each kind wrote."""
    lines = []
    for one in networks(records):
        for label, texts in one["texts"].items():
            n = one["judged_shown"][label]
            lines += [f"## {NAMES[one['spec']['kind']]}: {label}", "", f"Judged {label}: {n} of {len(texts)}.", ""]
            lines += [f"{seed}. {escape(text)}" for seed, text in enumerate(texts)] + [""]
    return "\n".join(lines).rstrip()


def escape(text):
    """Return a text as Markdown that shows it as it is."""
    return "".join(f"\\{one}" if one in "\\*_<>[]`#" else one for one in text)


def report(records):
    """Write table and texts."""
    fill_blocks(PAGE, "words", lambda name: {"perplexity": format_words}[name](records))
    fill_blocks(TEXTS, "words", lambda name: {"texts": format_texts}[name](records))


def main():
    """Measure what is missing, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--report-only", action="store_true", help="tables of what there is")
    if not parser.parse_args().report_only:
        make_folder(RUNS.parent)
        compute([{"kind": kind, "trial": True, "rate": rate} for kind in KINDS for rate in RATES])
        found = read_records()
        compute([{"kind": kind, "trial": False, "rate": best_rate(kind, found)} for kind in KINDS])
        compute([{"kind": "real", "trial": False}])
    report(read_records())


if __name__ == "__main__":
    main()
