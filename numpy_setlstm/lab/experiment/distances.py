"""How far apart the trained networks of a grid are: many seeds, many good sets of connections?"""

import json

import numpy as np

from numpy_setlstm.checkpoint import CheckpointError
from numpy_setlstm.estimator import SetLSTMClassifier
from numpy_setlstm.lab.experiment.grid import RunSpec
from numpy_setlstm.lab.experiment.results import write_json
from numpy_setlstm.lab.experiment.runs import DONE
from numpy_setlstm.lab.experiment.tables import name_of
from numpy_setlstm.measures import distance_baselines, distance_matrix
from numpy_setlstm.sparse import SparseMatrix

DISTANCES_FILE = "distances.json"


def topological_distances(store, rows):
    """Distances between the networks of each row of a table whose models were kept.

    Parameters
    ----------
    store : Store
    rows : list of Row

    Returns
    -------
    list of dict
        ``dataset``, ``connectivity`` (with the settings that tell the row from others), ``seeds``, the names of the
        ``runs``, ``distances`` (a list of lists) and ``baselines`` of
        :func:`~numpy_setlstm.measures.distance_baselines`; one per row with at least two sparse models, written to
        ``distances.json`` too. What is there for the same runs is not computed again, for each pair of networks with
        20,000 words takes about half a second; it stays when the models are gone.

    Raises
    ------
    ImportError
        If there is something to compute and SciPy is not installed.
    """
    known, entries = known_distances(store), []
    for row in rows:
        names = dict(_runs_of(row))
        kept = [name for name in names.values() if (store.models / f"{name}.npz").exists()]
        found = max((entry for entry in known if set(entry["runs"]) <= set(names.values())), key=_n_runs, default=None)
        if len(kept) > 1 and "topology" in row.documents[0] and (found is None or found["runs"] != kept):
            computed = _compute([store.models / f"{name}.npz" for name in kept])
            found = computed and {"runs": kept, **computed}
        if found:
            seeds = [seed for seed, name in names.items() if name in found["runs"]]
            entries.append(found | {"dataset": row.dataset, "connectivity": name_of(row, rows), "seeds": seeds})
    if entries:
        write_json(store.output / DISTANCES_FILE, {"distances": entries})
    return entries


def _n_runs(entry):
    return len(entry["runs"])


def _runs_of(row):
    """Seed and name of each run of a row."""
    for document in row.documents:
        if document["status"] == DONE:
            yield document["spec"]["seed"], RunSpec(**document["spec"]).name


def known_distances(store):
    """What an earlier call of :func:`topological_distances` has written, list of dict."""
    try:
        return json.loads((store.output / DISTANCES_FILE).read_text(encoding="utf8"))["distances"]
    except (FileNotFoundError, ValueError, KeyError):
        return []


def _compute(paths):
    """Distances and baselines of some models; None if they are not sparse, or a model cannot be read."""
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
