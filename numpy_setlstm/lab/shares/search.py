"""A fair search for recipes: as many random trials for every kind of network, judged on validation texts alone.

Kind by kind, trial number k draws the same values of what all kinds have in common: no kind is luckier in its draws.
Source: J. Bergstra and Y. Bengio (2012), "Random Search for Hyper-Parameter Optimization", JMLR 13.
"""

from pathlib import Path

import numpy as np

from numpy_setlstm.lab.experiment.grid import Grid, GridError, RunSpec, check_names
from numpy_setlstm.lab.formatting import text_table
from numpy_setlstm.lab.rivals import RIVALS
from numpy_setlstm.lab.shares.records import read_records, run_all

TRIALS_FILE = "trials.jsonl"
N_TRIALS = 20
#: What is drawn, by name: ("log", low, high) is log-uniform, ("one of", ...) one of several values.
SPACE = {
    "learning_rate": ("log", 5e-4, 1e-2),
    "embedding_learning_rate": ("log", 1e-3, 1e-1),
    "embedding_scale": ("log", 0.05, 1.0),
    "learning_rate_decay": ("one of", 0.0, 0.2, 0.5),
    "embedding_dropout": ("one of", 0.0, 0.3, 0.5, 0.7),
    "dropout": ("one of", 0.0, 0.3, 0.5, 0.7),
    "batch_size": ("one of", 16, 32, 64),
}
#: What is drawn beside it for networks that evolve, and for those whose first connections follow the words.
SPACE_OF_EVOLUTION = {"zeta": ("one of", 0.1, 0.2, 0.3, 0.5), "evolve_until": ("one of", None, 8)}
SPACE_OF_FREQUENCY = {"frequency_exponent": ("one of", 0.25, 0.5, 0.75, 1.0)}
DRAWN = (*SPACE, *SPACE_OF_EVOLUTION, *SPACE_OF_FREQUENCY)


def draw_settings(connectivity, number, seed=0):
    """The settings of trial `number` of a kind of network, dict; `seed` is that of the whole search."""
    spaces = [SPACE]
    if connectivity.startswith("set"):
        spaces.append(SPACE_OF_EVOLUTION)
    if connectivity == "static-frequent":
        spaces.append(SPACE_OF_FREQUENCY)
    settings = {}
    for k, space in enumerate(spaces):
        rng = np.random.default_rng([seed, number, k])
        for name, (way, *values) in space.items():
            if way == "log":
                drawn = np.exp(rng.uniform(*np.log(values)))
                settings[name] = float(f"{drawn:.3g}")
            else:
                settings[name] = values[rng.integers(len(values))]
    return settings


def specs_of(datasets, connectivities, *, trials=N_TRIALS, seeds=(0,), share=0.01, settings=None, seed=0):
    """All runs of a search, list of RunSpec: of each kind as many trials, of each trial as many seeds."""
    check_names("connectivities", connectivities, tuple(RIVALS))
    specs = []
    for number in range(trials):
        for dataset in datasets:
            for connectivity in connectivities:
                drawn = draw_settings(connectivity, number, seed)
                common = {} if connectivity == "dense" else {"parameter_share": share}
                grid = Grid((dataset,), (connectivity,), seeds, common | drawn | (settings or {}))
                specs += grid.runs()
    return specs


def best_settings(records, shared=()):
    """The trial of each kind with the best mean validation accuracy, among equals the lowest loss.

    Parameters
    ----------
    records : dict of str to dict
        As :func:`~numpy_setlstm.lab.shares.records.read_records` gives them.
    shared : sequence of sequence of str, optional
        Data sets for which a kind has one recipe together, the best by the mean over those with trials.

    Returns
    -------
    dict of (str, str) to dict
        By data set and kind: ``settings`` that were drawn, ``accuracy``, ``loss``, ``trials``, and ``searched``, the
        data sets of the trials. Trials that lack a seed or data set that others have do not count.
    """
    groups = {dataset: tuple(group) for group in shared for dataset in group}
    trials = {}  # by data sets that share a recipe and kind, by what was drawn, by data set and seed
    for record in records.values():
        spec = RunSpec(**record["spec"])
        drawn = tuple((name, spec.settings[name]) for name in DRAWN if name in spec.settings)
        group = groups.get(spec.dataset, (spec.dataset,)), spec.connectivity
        trials.setdefault(group, {}).setdefault(drawn, {})[spec.dataset, spec.seed] = record
    best = {}
    for group, by_settings in trials.items():
        wanted = set().union(*by_settings.values())
        whole = {drawn: list(runs.values()) for drawn, runs in by_settings.items() if runs.keys() == wanted}
        scores = {
            drawn: [float(np.mean([run[f"validation_{key}"] for run in runs])) for key in ("accuracy", "loss")]
            for drawn, runs in whole.items()
        }
        if scores:
            drawn, (accuracy, loss) = max(scores.items(), key=lambda item: (item[1][0], -item[1][1]))
            entry = {"settings": dict(drawn), "accuracy": accuracy, "loss": loss, "trials": len(whole)}
            entry["searched"] = sorted({dataset for dataset, _ in wanted})
            best |= {(dataset, group[1]): entry for dataset in group[0]}
    return best


def search(
    datasets, connectivities, output, *, trials=N_TRIALS, seeds=(0,), share=0.01, settings=None, shared=(),
    report=print, **running
):  # fmt: skip
    """Search for the recipe of each kind of network on each data set.

    Parameters
    ----------
    datasets, connectivities : sequence of str
        As in :class:`~numpy_setlstm.lab.experiment.Grid`.
    output : str or Path
        Folder for the trials, ``trials.jsonl``: a line of JSON each, without any test result. What is there is kept.
    trials : int, default 20
        Of each kind.
    seeds : sequence of int, default (0,)
        Of the networks; a trial is judged by its mean over them.
    share : float, default 0.01
        Parameters of all but the dense network as a share of the dense one's.
    settings : dict, optional
        That all trials have, in the place of what is drawn.
    shared : sequence of sequence of str, optional
        Data sets that share one recipe per kind.
    report : callable
        Called with each line of text to show.
    **running
        Of :func:`~numpy_setlstm.lab.shares.records.run_all`: `workers`, `data_home`, `progress`.

    Returns
    -------
    bool
        Whether Ctrl-C interrupted it; the same call goes on.

    Raises
    ------
    ValueError
        If a name, a number or a setting is none that a grid accepts.
    """
    if not isinstance(trials, int) or isinstance(trials, bool) or trials < 1:
        raise GridError(f"trials is {trials!r}; expected a whole number of at least 1")
    specs = specs_of(datasets, connectivities, trials=trials, seeds=seeds, share=share, settings=settings)
    path = Path(output) / TRIALS_FILE
    interrupted = run_all(specs, path, blind=True, report=report, **running)
    names = {spec.name for spec in specs}
    records = {name: record for name, record in read_records(path).items() if name in names}
    report(format_best(best_settings(records, shared)))
    return interrupted


def format_best(best):
    """A table for the terminal: the best trial of each kind on each data set."""
    rows = []
    for (dataset, connectivity), entry in best.items():
        shown = ", ".join(f"{name}={value}" for name, value in entry["settings"].items() if value is not None)
        rows.append((dataset, connectivity, str(entry["trials"]), f"{100 * entry['accuracy']:.1f} %", shown))
    return text_table(("data set", "kind", "trials", "validation", "settings of the best"), rows)
