"""Ask how well a sparse network of 220,186 parameters reads whole reviews of IMDB, and what each part of it brings.

Each network has one part more than the one before; the last two have their own part beside those of the fifth. A tenth
of the training reviews, held out, chooses the epoch, and chose the parts; test reviews chose nothing. The results are
written to docs/shares/whole.json, a run at a time, and the table into docs/shares.md. It needs the reviews in the
folder NUMPY_SETLSTM_DATA, and some three hours of one core. From the top of the repository::

    python docs/whole_reviews.py
"""

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from numpy_setlstm import SetLSTMClassifier, tokenize
from numpy_setlstm.datasets import load_imdb
from numpy_setlstm.inputs import split
from numpy_setlstm.lab.experiment.page import fill_blocks
from numpy_setlstm.lab.files import write_json
from numpy_setlstm.lab.formatting import markdown_table

HERE = Path(__file__).parent
LEAST_DIFFERENCE = 0.3  # between the log odds of a pair and those of each of its words
RESULTS, PAGE = HERE / "shares" / "whole.json", HERE / "shares.md"
FIRST = {
    "embedding_dim": 64,
    "hidden_size": 64,
    "parameter_share": 0.164,
    "vocabulary_size": 20_000,
    "max_length": 100,
    "n_epochs": 4,
    "embedding_learning_rate": 0.005,
    "learning_rate_decay": 0.2,
    "embedding_dropout": 0.7,
}
PARTS = {  # what is new in each network
    "the last 100 words, the last state": {},
    "the last 400 words": {"max_length": 400},
    "the mean of all states": {"pooling": "mean"},
    "both directions": {"bidirectional": True, "parameter_share": 0.155},
    "averaged weights": {"averaging": 0.998},
    "pairs of words": {"pairs": {"least_count": 15, "least_z": 2.5}, "n_epochs": 5},
    "no pairs, a quarter of the connections, grown by the gradient": {
        "parameter_share": 0.0419,  # 1 % of the parameters of the dense network with D = H = 256
        "growth": "gradient",
        "candidates": 10,
        "zeta": 0.3,
        "zeta_schedule": "cosine",
        "evolve_every": 100,
    },
}
N_COMMON = 5  # the networks after these have the parts of these, and their own
SEEDS = {part: range(2) for part in PARTS} | {part: range(3) for part in list(PARTS)[N_COMMON - 1 :]}


def settings_of(part):
    """Return the settings of a network: all parts up to its own, of the first few."""
    names = list(PARTS)
    settings = dict(FIRST)
    for name in [*names[: min(names.index(part), N_COMMON)], part]:
        settings |= PARTS[name]
    return settings


def telling_pairs(texts, labels, least_count, least_z):
    """Return the pairs of neighboring words, a set, that are in many texts, and say more of the label than their words.

    `texts` are lists of words, `labels` 0 or 1. In a texts of label 1 and b of label 0, a + b is at least
    `least_count`, |a - b| / sqrt(a + b) at least `least_z`, and the log odds are not near those of either word.
    """
    words, pairs = (Counter(), Counter()), (Counter(), Counter())  # by label: the number of texts
    for text, label in zip(texts, labels, strict=True):
        words[label].update(set(text))
        pairs[label].update(set(zip(text, text[1:], strict=False)))

    def odds(counts, one):
        return np.log((counts[1][one] + 1) / (counts[0][one] + 1))

    chosen = set()
    for pair in pairs[0].keys() | pairs[1].keys():
        a, b = pairs[1][pair], pairs[0][pair]
        if a + b < least_count or abs(a - b) / np.sqrt(a + b) < least_z:
            continue
        if min(abs(odds(pairs, pair) - odds(words, word)) for word in pair) >= LEAST_DIFFERENCE:
            chosen.add(pair)
    return chosen


def join_pairs(words, pairs):
    """Return the words, each one that ends a pair with the word before it.

    >>> join_pairs(["was", "not", "good"], {("not", "good")})
    ['was', 'not', 'not good']
    """
    return [
        f"{before} {word}" if (before, word) in pairs else word
        for before, word in zip([None, *words], words, strict=False)
    ]


def measure(reviews, part, seed):
    """Return parameters and accuracies of a network."""
    settings = settings_of(part)
    of_pairs = settings.pop("pairs", None)
    clf = SetLSTMClassifier("set", random_state=seed, **settings)
    texts, test_texts = reviews.train_texts, reviews.test_texts
    if of_pairs is not None:
        texts, test_texts = ([tokenize(text) for text in of] for of in (texts, test_texts))
        learn, _ = split(texts, reviews.train_labels, clf.validation_fraction)  # as fit does
        pairs = telling_pairs([texts[k] for k in learn], reviews.train_labels[learn], **of_pairs)
        texts, test_texts = ([join_pairs(text, pairs) for text in of] for of in (texts, test_texts))
    clf.fit(texts, reviews.train_labels)
    return {
        "part": part,
        "seed": seed,
        "parameters": clf.n_parameters_,
        "validation": clf.history_["validation_accuracy"][clf.best_epoch_],
        "test": clf.score(test_texts, reviews.test_labels),
    }


def format_parts(runs):
    """Return the table: a line per network, means and standard deviations over seeds."""
    lines = []
    for part in PARTS:
        found = [run for run in runs if run["part"] == part]
        scores = [[100 * run[kind] for run in found] for kind in ("validation", "test")]
        shown = [f"{np.mean(of_kind):.1f} ± {np.std(of_kind, ddof=1):.1f}" for of_kind in scores]
        lines.append([part, f"{max(run['parameters'] for run in found):,}", *shown, str(len(found))])
    return markdown_table(["with, in addition", "parameters", "validation, %", "test, %", "seeds"], lines)


def main():
    """Measure what is missing, and write the table."""
    reviews = load_imdb()
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for part, seed in ((part, seed) for part, seeds in SEEDS.items() for seed in seeds):
        if not any((run["part"], run["seed"]) == (part, seed) for run in runs):
            runs.append(measure(reviews, part, seed))
            write_json(RESULTS, runs)
            print(runs[-1], file=sys.stderr)
    fill_blocks(PAGE, "whole", lambda _: format_parts(runs))


if __name__ == "__main__":
    main()
