"""Distances between the trained networks of a grid: do different seeds find different, equally good connections?"""

import json

import numpy as np

from numpy_setlstm.checkpoint import CheckpointError
from numpy_setlstm.estimator import SetLSTMClassifier
from numpy_setlstm.lab.experiment.grid import RunSpec
from numpy_setlstm.lab.experiment.tables import name_of
from numpy_setlstm.lab.files import write_json
from numpy_setlstm.measures import distance_baselines, distance_matrix
from numpy_setlstm.sparse import SparseMatrix

DISTANCES_FILE = "distances.json"


def topological_distances(store, rows):
    """Distances and baselines for each row with at least two sparse models kept, list of dict, also written to a file.

    An entry of an earlier call is reused, as each pair of networks with 20,000 words takes about half a second. It
    stays when the models are deleted.
    """
    known, entries = known_distances(store), []
    for row in rows:
        names = {document["spec"]["seed"]: RunSpec(**document["spec"]).name for document in row.documents}
        kept = [name for name in names.values() if store.model_path(name).exists()]
        reusable = [entry for entry in known if set(entry["runs"]) <= set(names.values())]
        found = max(reusable, key=lambda entry: len(entry["runs"]), default=None)
        if len(kept) > 1 and "topology" in row.documents[0] and (found is None or found["runs"] != kept):
            computed = _compute([store.model_path(name) for name in kept])
            found = computed and {"runs": kept, **computed}
        if found:
            seeds = [seed for seed, name in names.items() if name in found["runs"]]
            entries.append(found | {"dataset": row.dataset, "connectivity": name_of(row, rows), "seeds": seeds})
    if entries:
        write_json(store.output / DISTANCES_FILE, {"distances": entries})
    return entries


def known_distances(store):
    """The entries that :func:`topological_distances` wrote, list of dict."""
    try:
        return json.loads((store.output / DISTANCES_FILE).read_text(encoding="utf8"))["distances"]
    except (FileNotFoundError, ValueError, KeyError):
        return []


def _compute(paths):
    """Distances and baselines of models; None if one is not sparse or cannot be read."""
    try:
        classifiers = [SetLSTMClassifier.load(path) for path in paths]
    except CheckpointError:
        return None
    networks = [
        {name: W for name, W in clf.network_.parameters.items() if isinstance(W, SparseMatrix)} for clf in classifiers
    ]
    if not all({"W_x", "W_h"} <= network.keys() for network in networks):
        return None
    state = classifiers[0].training_state_
    steps = state.history["set_steps"]
    baselines = distance_baselines(state.initial_topologies, steps, np.random.default_rng(0))
    return {"distances": np.round(distance_matrix(networks), 4).tolist(), "baselines": baselines}
