"""How long does it take to label the 25,000 test reviews of IMDB, beside PyTorch?

The network of the recipe, with the same weights in both, and the words of the reviews as numbers: reading is left out.
This package takes the reviews as they come; PyTorch is at its best: sorted by length, and of batches of 64, 128 and
256, with one thread or as many as there are cores, what is fastest in a first turn. It prints the median of the ratios
turn by turn, with quartiles. It needs NUMPY_SETLSTM_DATA, PyTorch, and a machine that is idle for some minutes. From
the top of the repository::

    OPENBLAS_NUM_THREADS=1 python docs/imdb_prediction.py [--turns 9]
"""

import argparse
import itertools
import os
import time

import numpy as np
import torch
from torch import nn
from torch_race import TorchClassifier

from numpy_setlstm import SetLSTMClassifier
from numpy_setlstm.datasets import load_dataset
from numpy_setlstm.preparation import prepare, read_texts
from numpy_setlstm.recipe import recipe_of
from numpy_setlstm.workers.jobs import predict_shared

CORES = len(os.sched_getaffinity(0))


def prepared_network():
    """Return the untrained network of the recipe, its recipe, and the word ids of the test reviews."""
    reviews = load_dataset("imdb")
    clf = SetLSTMClassifier(random_state=0)
    prepared = prepare(clf, reviews.train_texts, reviews.train_labels)
    clf.vocabulary_ = prepared.vocabulary
    return prepared.state.network, recipe_of(clf), read_texts(clf, reviews.test_texts)


def seconds_of(predict):
    """Return how long a prediction takes, and the probabilities."""
    start = time.perf_counter()
    probabilities = predict()
    return time.perf_counter() - start, probabilities


@torch.inference_mode()
def predict_in_torch(model, tokens, batch_size, n_threads):
    """Return probabilities (n_texts, C)."""
    torch.set_num_threads(n_threads)
    order = np.argsort((tokens != 0).sum(axis=1), kind="stable")
    probabilities = np.empty((len(tokens), model.readout.out_features), np.float32)
    for first in range(0, len(tokens), batch_size):
        n = order[first : first + batch_size]
        probabilities[n] = nn.functional.softmax(model(tokens[n]), dim=1).numpy()
    return probabilities


def main():
    """Take turns, and print times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=9, help="of each")
    turns = parser.parse_args().turns
    network, recipe, tokens = prepared_network()
    model = TorchClassifier(network, recipe, masked=False, max_norm=1.0).eval()
    forms = list(itertools.product((64, 128, 256), sorted({1, CORES})))
    firsts = {}
    for form in forms:
        firsts[form], theirs = seconds_of(lambda form=form: predict_in_torch(model, tokens, *form))
        print("PyTorch, batch size {}, threads {}:".format(*form), f"{firsts[form]:.1f} s", flush=True)
    fastest = min(forms, key=firsts.get)
    _, ours = seconds_of(lambda: predict_shared(network, tokens, CORES))  # the workers start
    print(f"largest difference of the probabilities: {np.abs(ours - theirs).max():.1e}")
    pairs = [
        (
            seconds_of(lambda: predict_shared(network, tokens, CORES))[0],
            seconds_of(lambda: predict_in_torch(model, tokens, *fastest))[0],
        )
        for _ in range(turns)
    ]
    print("seconds here: {:.1f}; PyTorch: {:.1f}".format(*np.median(pairs, axis=0)))
    low, median, high = np.quantile([theirs / ours for ours, theirs in pairs], (0.25, 0.5, 0.75))
    print(f"ahead {median:.2f} times ({low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
