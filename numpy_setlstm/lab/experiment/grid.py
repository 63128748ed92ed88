"""A grid of runs: data sets, connectivities, seeds and settings, all checked before anything runs."""

import hashlib
import inspect
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path

from numpy_setlstm.datasets import DATASETS
from numpy_setlstm.datasets.files import to_path
from numpy_setlstm.datasets.table import EXTENSIONS, is_table, table_name
from numpy_setlstm.estimator import SetLSTMClassifier
from numpy_setlstm.inputs import check_parameters
from numpy_setlstm.lab.experiment.demo import DEMO_PARAMETERS, DEMO_RATES
from numpy_setlstm.lab.rivals import RIVALS, STAGE_CHECKS, STAGE_SETTINGS

DEMO = "demo"
DENSE, EVOLVED, PRUNED, TFIDF = "dense", "set", "dense-pruned", "tfidf"
#: Names of the data sets that a grid accepts; "demo" stands for the synthetic reviews.
GRID_DATASETS = (DEMO, *DATASETS)
#: Names of the models that a grid accepts: all rivals, and a linear model on words and word pairs.
GRID_CONNECTIVITIES = (*RIVALS, TFIDF)
DATA_SETTINGS = ("train_texts", "test_texts")  # numbers of the demo's reviews
TABLE_SETTINGS = ("text_column", "label_column")  # of a file with labeled texts, by name or position
RESERVED = ("connectivity", "random_state", "progress", "n_jobs", "without_known_words")
MOST_SEEDS = 10_000  # each takes memory
LONGEST_NAME = 100  # characters, of a table: the names of results begin with it
TFIDF_SETTINGS = (*DATA_SETTINGS, *TABLE_SETTINGS, "validation_fraction")

SENTENCES = ("sentences-amazon", "sentences-imdb", "sentences-yelp")
# Settings of each data set, which the grid's own override: see docs/recipe.md.
DATASET_SETTINGS = {
    DEMO: DEMO_PARAMETERS,
    **dict.fromkeys(("yelp", "amazon"), {"n_epochs": 6}),
    "imdb": {"n_epochs": 6, "embedding_dropout": 0.7, "learning_rate_decay": 0.2},
    **dict.fromkeys(("sanders", *SENTENCES), {"n_epochs": 20, "batch_size": 16}),
}
# The same, for sparse networks ("set") and dense ones ("dense") separately.
DATASET_RATES = {
    DEMO: DEMO_RATES,
    "imdb": {"set": {"embedding_learning_rate": 0.005}, "dense": {}},
    **dict.fromkeys(("sanders", *SENTENCES), {"set": {"embedding_learning_rate": 0.03}, "dense": {}}),
}

# Settings without effect on a connectivity: sweeping them adds no runs of it.
_EVOLUTION = (
    "zeta", "zeta_schedule", "prune_rule", "keep_gate_counts", "growth", "candidates", "evolve_every", "evolve_from",
    "evolve_until",
)  # fmt: skip
_WORDS = ("every_word", "frequency_exponent")
UNUSED_SETTINGS = {
    DENSE: (*_EVOLUTION, *_WORDS, "parameter_share", "er_epsilon"),
    **dict.fromkeys(("static", "static-words", "static-frequent"), _EVOLUTION),
    **dict.fromkeys(("dense-small", PRUNED), (*_EVOLUTION, *_WORDS)),
}


class GridError(ValueError):
    """A grid, or a file of results, is not as expected; the message says how to mend it."""


@dataclass(frozen=True)
class RunSpec:
    """One run: everything that its result depends on.

    `seed` is the network's; the texts and their split are the same for all seeds. `settings` has what differs from the
    defaults of SetLSTMClassifier, the demo's `train_texts` and `test_texts`, and a table's `text_column` and
    `label_column`. `path` is where the table is, on this machine.
    """

    dataset: str
    connectivity: str
    seed: int
    settings: dict = field(default_factory=dict, hash=False)
    path: str | None = field(default=None, compare=False)

    @property
    def name(self):
        """Identifier and file name, as in "sanders_set_seed3_8b9754bb"; it ends in a digest of the settings."""
        return f"{self.dataset}_{self.connectivity}_seed{self.seed}_{digest_of(self.settings)}"

    def to_json(self):
        """Plain values, without the path; ``RunSpec(**document)`` undoes it."""
        values = {name: value for name, value in vars(self).items() if name != "path"}
        return values | {"settings": dict(sorted(self.settings.items()))}


def digest_of(settings):
    """Eight hexadecimal digits that identify settings in any order; 1 equals 1.0."""
    plain = {name: float(value) if type(value) is int else value for name, value in settings.items()}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Grid:
    """Data sets × connectivities × seeds × settings.

    Attributes
    ----------
    datasets : tuple of str
        Names from :data:`GRID_DATASETS`, and paths of files that :func:`~numpy_setlstm.datasets.load_table` reads, in
        ``.csv``, ``.tsv``, ``.tab`` or ``.txt``. The results, and `only`, name a file without its extension.
    connectivities : tuple of str
        Names from :data:`GRID_CONNECTIVITIES`.
    seeds : tuple of int
        Seeds of the networks; an int n stands for 0 to n - 1.
    settings : dict of str to value or list of values
        Parameters of SetLSTMClassifier, and for files ``text_column`` and ``label_column``; each value of a list is
        run.
    only : dict of str to dict
        Settings of a data set ("sanders"), a connectivity ("dense") or both ("sanders/dense") that override `settings`.
        The more specific one wins, a data set over a connectivity. A data set may also have its own ``seeds`` and
        ``connectivities``.

    Raises
    ------
    GridError
        If a name is unknown, a value is out of range, or a list has a duplicate.

    Examples
    --------
    >>> grid = Grid(("sanders",), ("dense", "set"), (0, 1), {"zeta": [0.1, 0.3]})
    >>> [f"{run.connectivity} {run.seed} {run.settings.get('zeta')}" for run in grid.runs()]
    ['dense 0 None', 'set 0 0.1', 'set 0 0.3', 'dense 1 None', 'set 1 0.1', 'set 1 0.3']
    """

    datasets: tuple
    connectivities: tuple
    seeds: tuple
    settings: dict = field(default_factory=dict)
    only: dict = field(default_factory=dict)

    def __post_init__(self):
        object.__setattr__(self, "datasets", check_datasets(self.datasets))
        connectivities = check_names("connectivities", self.connectivities, GRID_CONNECTIVITIES)
        object.__setattr__(self, "connectivities", connectivities)
        object.__setattr__(self, "seeds", check_seeds(self.seeds))
        check_settings("settings", self.settings)
        check_only(self.only, (*GRID_DATASETS, *paths_by_name(self.datasets)))
        for run in self.runs():
            check_run(run)

    def runs(self):
        """All runs, list, each with `name`, `dataset`, `connectivity`, `seed` and `settings`; seed by seed."""
        found, paths = {}, paths_by_name(self.datasets)
        plans = {dataset: self._plan(dataset) for dataset in paths}
        longest = max(len(seeds) for seeds, _ in plans.values())
        for k, (dataset, (seeds, connectivities)) in itertools.product(range(longest), plans.items()):
            for connectivity in connectivities if k < len(seeds) else ():
                for settings in self._settings_of(dataset, connectivity):
                    # The tf-idf model draws no random numbers: one seed is enough.
                    seed = 0 if connectivity == TFIDF else seeds[k]
                    run = RunSpec(dataset, connectivity, seed, settings, paths[dataset])
                    found.setdefault(run.name, run)
        return list(found.values())

    def _plan(self, dataset):
        """Seeds and connectivities of a data set."""
        own = self.only.get(dataset, {})
        seeds = check_seeds(own.get("seeds", self.seeds))
        return seeds, tuple(own.get("connectivities", self.connectivities))

    def _settings_of(self, dataset, connectivity):
        """Yield each combination of values for a data set and a connectivity, as a dict."""
        merged = dict(DATASET_SETTINGS.get(dataset, {}))
        if dataset in DATASET_RATES:
            merged |= DATASET_RATES[dataset]["dense" if connectivity.startswith("dense") else "set"]
        merged |= self.settings
        for key in (connectivity, dataset, f"{dataset}/{connectivity}"):
            merged |= self.only.get(key, {})
        unused = ("seeds", "connectivities", *UNUSED_SETTINGS.get(connectivity, ()))
        unused += tuple(STAGE_CHECKS.keys() - STAGE_SETTINGS.get(connectivity, ()))
        used = {
            name: _as_list(value)
            for name, value in merged.items()
            if name not in unused and (connectivity != TFIDF or name in TFIDF_SETTINGS)
        }
        for values in itertools.product(*used.values()):
            yield dict(zip(used, values, strict=True))

    def to_json(self):
        """The attributes as a dict of plain values, as in a grid file."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}


def _as_list(value):
    return value if isinstance(value, list | tuple) else [value]


def _is_whole(value, least):
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _check_unique(what, values):
    for value in values:
        if list(values).count(value) > 1:
            raise GridError(f"{what} has {value!r} twice; list it once")


def paths_by_name(datasets):
    """The names of data sets in the results, dict of str to the absolute path of a table, str; None for others."""
    paths = {}
    for dataset in datasets:
        path = to_path(dataset, "datasets", "a file") if is_table(dataset) else None
        paths[table_name(path) if path else dataset] = path and str(path.resolve())
    return paths


def check_datasets(datasets):
    """Names of data sets and paths of tables as a tuple; GridError if results could confuse two of them."""
    tables = [one for one in datasets if is_table(one)] if isinstance(datasets, list | tuple) else []
    datasets = check_names("datasets", datasets, GRID_DATASETS, tables, f", or files in {', '.join(EXTENSIONS)}")
    for path in tables:
        name = table_name(Path(path))
        if name in (*GRID_DATASETS, *GRID_CONNECTIVITIES):
            raise GridError(f"{path} would be {name!r} in the results, which means something else: rename the file")
        if len(name) > LONGEST_NAME or not name.isprintable() or not set(name).isdisjoint("/\\|<>`"):
            raise GridError(f"{path!r}: expected a name of at most {LONGEST_NAME} characters, without |, <, > or `")
    if len(paths_by_name(datasets)) < len(datasets):
        raise GridError(f"datasets has two files of one name, which results would confuse: {', '.join(datasets)}")
    return datasets


def check_names(what, names, allowed, others=(), or_what=""):
    """Names as a tuple; GridError if one is neither allowed nor among the others, or a duplicate, or there is none."""
    if not isinstance(names, list | tuple) or not names:
        raise GridError(f"{what} is {names!r}; expected a list of at least one of {', '.join(allowed)}{or_what}")
    for name in names:
        if name not in allowed and name not in others:
            raise GridError(f"{what} has {name!r}; expected some of {', '.join(allowed)}{or_what}")
    _check_unique(what, names)
    return tuple(names)


def check_seeds(seeds):
    """Seeds as a tuple, from a list or their number; GridError if one is invalid or a duplicate, or there is none."""
    if _is_whole(seeds, MOST_SEEDS + 1):
        raise GridError(
            f"there are {str(seeds)[:40]} seeds; expected at most {MOST_SEEDS}, or a list such as [0, 1, 2]"
        )
    if _is_whole(seeds, 1):
        return tuple(range(seeds))
    if not isinstance(seeds, list | tuple) or not seeds:
        raise GridError(f"seeds is {seeds!r}; expected their number, or a list of whole numbers")
    for seed in seeds:
        if not _is_whole(seed, 0):
            raise GridError(f"seeds has {seed!r}; expected whole numbers of at least 0")
    _check_unique("seeds", seeds)
    return tuple(seeds)


def check_settings(where, settings):
    """GridError unless all names are parameters of SetLSTMClassifier, each with a plain value or a list of them."""
    if not isinstance(settings, dict):
        raise GridError(f"{where} is {settings!r}; expected a table of settings, such as zeta = [0.1, 0.3]")
    parameters = [name for name in inspect.signature(SetLSTMClassifier).parameters if name not in RESERVED]
    known = (*parameters, *STAGE_CHECKS, *DATA_SETTINGS, *TABLE_SETTINGS)
    for name, value in settings.items():
        if name in RESERVED:
            raise GridError(f"{where} has {name}, which compare sets itself; leave it out")
        if name not in known:
            raise GridError(f"{where} has {name!r}; expected some of {', '.join(known)}")
        values = _as_list(value)
        if not values:
            raise GridError(f"{where}: {name} is an empty list; expected at least one value")
        for one in values:
            if not isinstance(one, str | int | float | None):
                raise GridError(f"{where}: {name} is {one!r}; expected a number or text, or a list of them")
        _check_unique(f"{where}: {name}", values)


def check_only(only, datasets):
    """GridError unless each key is one of the data sets, a connectivity or both, with valid settings."""
    if not isinstance(only, dict):
        raise GridError(f"only is {only!r}; expected tables of settings, such as [only.sanders]")
    for key, settings in only.items():
        dataset, _, connectivity = key.partition("/")
        both = dataset in datasets and connectivity in GRID_CONNECTIVITIES
        if not (both or key in datasets or key in GRID_CONNECTIVITIES):
            raise GridError(
                f"only has {key!r}; expected a data set ({', '.join(datasets)}), a connectivity "
                f"({', '.join(GRID_CONNECTIVITIES)}), or both as in 'sanders/dense'"
            )
        settings = dict(settings) if isinstance(settings, dict) else settings
        if key in datasets and isinstance(settings, dict):
            if "seeds" in settings:
                check_seeds(settings.pop("seeds"))
            if "connectivities" in settings:
                check_names(f"only.{key}: connectivities", settings.pop("connectivities"), GRID_CONNECTIVITIES)
        check_settings(f"only.{key}", settings)


def check_run(run):
    """GridError unless the settings of a run are in range and not fixed by its connectivity."""
    data = {name: run.settings[name] for name in DATA_SETTINGS if name in run.settings}
    if data and run.dataset != DEMO:
        raise GridError(f"{run.dataset} has {', '.join(data)}, which only demo accepts: put it under [only.demo]")
    columns = {name: run.settings[name] for name in TABLE_SETTINGS if name in run.settings}
    if columns and run.path is None:
        raise GridError(f"{run.dataset} has {', '.join(columns)}, which only files accept: put it under [only.NAME]")
    for name, column in columns.items():
        if not isinstance(column, str) and not _is_whole(column, 0):
            raise GridError(f"{name} is {column!r}; expected the name of a column or its position, from 0")
    for name, count in data.items():
        if not _is_whole(count, 10):
            raise GridError(f"{name} is {count!r}; expected a whole number of at least 10")
    fixed = RIVALS[run.connectivity].parameters if run.connectivity in RIVALS else {}
    for name in run.settings:
        if name in fixed:
            raise GridError(
                f"{name} is set for {run.connectivity}, which always has {name}={fixed[name]!r}: leave it out, or "
                "choose another connectivity"
            )
    try:
        for name, check in STAGE_CHECKS.items():
            if name in run.settings:
                check(name, run.settings[name])
        others = {**data, **columns, **STAGE_CHECKS}
        check_parameters({name: value for name, value in run.settings.items() if name not in others})
    except ValueError as error:
        raise GridError(f"{run.dataset}, {run.connectivity}: {error}") from None
