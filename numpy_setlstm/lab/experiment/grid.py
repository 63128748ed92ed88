"""A grid: which data sets, connectivities, seeds and settings are run. All of it is checked before anything runs."""

import hashlib
import inspect
import itertools
import json
from dataclasses import dataclass, field

from numpy_setlstm.datasets import DATASETS
from numpy_setlstm.estimator import SetLSTMClassifier
from numpy_setlstm.inputs import check_parameters
from numpy_setlstm.lab.experiment.demo import DEMO_PARAMETERS, DEMO_RATES
from numpy_setlstm.lab.rivals import RIVALS

DEMO = "demo"
TFIDF = "tfidf"
#: The names of data sets that a grid takes.
GRID_DATASETS = (DEMO, *DATASETS)
#: The networks that a grid takes: all rivals, and a linear model on words and pairs of words.
GRID_CONNECTIVITIES = (*RIVALS, TFIDF)
DATA_SETTINGS = ("train_texts", "test_texts")  # how many of the demo's reviews are made
PRUNED, PRUNED_SETTINGS = "dense-pruned", ("finetune_epochs",)  # see fit_rival
RESERVED = ("connectivity", "random_state", "progress", "n_threads", "without_known_words")
TFIDF_SETTINGS = (*DATA_SETTINGS, "validation_fraction")

# What a data set is trained with unless the grid says otherwise: see docs/recipe.md.
DATASET_SETTINGS = {
    DEMO: DEMO_PARAMETERS,
    **dict.fromkeys(("yelp", "amazon"), {"n_epochs": 6}),
    "imdb": {"n_epochs": 6, "embedding_dropout": 0.7, "learning_rate_decay": 0.2},
    "sanders": {"n_epochs": 20, "batch_size": 16},
}
# The same for sparse networks ("set") and for fully connected ones ("dense") apart.
DATASET_RATES = {
    DEMO: DEMO_RATES,
    "imdb": {"set": {"embedding_learning_rate": 0.005}, "dense": {}},
    "sanders": {"set": {"embedding_learning_rate": 0.03}, "dense": {}},
}

# Settings that change nothing for a connectivity, so that sweeping them needs no further runs of it.
_EVOLUTION = ("zeta", "zeta_schedule", "prune_rule", "growth")
UNUSED_SETTINGS = {
    "dense": (*_EVOLUTION, "density", "er_epsilon"),
    **dict.fromkeys(("static", "dense-small", PRUNED), _EVOLUTION),
}


class GridError(ValueError):
    """A grid, or a file of results, is not as expected; the message says how to mend it."""


@dataclass(frozen=True)
class RunSpec:
    """One run: everything that its result depends on.

    Attributes
    ----------
    dataset : str
        One of :data:`GRID_DATASETS`.
    connectivity : str
        One of :data:`GRID_CONNECTIVITIES`.
    seed : int
        Of the network. The texts and their split are the same for all seeds.
    settings : dict of str to number, str, bool or None
        Those that differ from the defaults: parameters of SetLSTMClassifier, and the demo's `train_texts` and
        `test_texts`.

    Examples
    --------
    >>> RunSpec("sanders", "set", 3, {"n_epochs": 30}).name
    'sanders_set_seed3_8b9754bb'
    """

    dataset: str
    connectivity: str
    seed: int
    settings: dict = field(default_factory=dict, hash=False)

    @property
    def name(self):
        """Identifier and file name: data set, connectivity, seed and a digest of the settings."""
        return f"{self.dataset}_{self.connectivity}_seed{self.seed}_{digest_of(self.settings)}"

    def to_json(self):
        """Plain values, for a file.

        Returns
        -------
        dict
            ``RunSpec(**document)`` undoes it.
        """
        return {
            "dataset": self.dataset,
            "connectivity": self.connectivity,
            "seed": self.seed,
            "settings": dict(sorted(self.settings.items())),
        }


def digest_of(settings):
    """Eight hexadecimal digits that tell settings apart; 1 and 1.0 are the same, and the order does not count.

    Examples
    --------
    >>> digest_of({"zeta": 1, "n_epochs": 2}) == digest_of({"n_epochs": 2.0, "zeta": 1.0})
    True
    """
    plain = {name: float(value) if type(value) is int else value for name, value in settings.items()}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Grid:
    """Data sets × connectivities × seeds × settings.

    Attributes
    ----------
    datasets : tuple of str
        Of :data:`GRID_DATASETS`; "demo" are the synthetic reviews.
    connectivities : tuple of str
        Of :data:`GRID_CONNECTIVITIES`.
    seeds : tuple of int
    settings : dict of str to value or list of values
        Parameters of SetLSTMClassifier; each value of a list is run.
    only : dict of str to dict
        Settings for a data set ("sanders"), a connectivity ("dense") or both ("sanders/dense"), in place of those in
        `settings`; the more special one wins, a data set over a connectivity. Those of a data set may also have its own
        ``seeds`` and ``connectivities``.

    Raises
    ------
    GridError
        If a name is unknown, a value is out of its range, or something is listed twice.

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
        for name, allowed in (("datasets", GRID_DATASETS), ("connectivities", GRID_CONNECTIVITIES)):
            object.__setattr__(self, name, check_names(name, getattr(self, name), allowed))
        object.__setattr__(self, "seeds", check_seeds(self.seeds))
        check_settings("settings", self.settings)
        check_only(self.only)
        for run in self.runs():
            check_run(run)

    def runs(self):
        """All runs, seed by seed, so that every row of the table fills early.

        Returns
        -------
        list of RunSpec
            Each once.
        """
        found = {}
        plans = {dataset: self._plan(dataset) for dataset in self.datasets}
        longest = max(len(seeds) for seeds, _ in plans.values())
        for k, (dataset, (seeds, connectivities)) in itertools.product(range(longest), plans.items()):
            for connectivity in connectivities if k < len(seeds) else ():
                for settings in self._settings_of(dataset, connectivity):
                    # The tf-idf model draws nothing at random: one seed stands for all.
                    run = RunSpec(dataset, connectivity, 0 if connectivity == TFIDF else seeds[k], settings)
                    found.setdefault(run.name, run)
        return list(found.values())

    def _plan(self, dataset):
        """Seeds and connectivities of a data set."""
        own = self.only.get(dataset, {})
        seeds = check_seeds(own.get("seeds", self.seeds))
        return seeds, tuple(own.get("connectivities", self.connectivities))

    def _settings_of(self, dataset, connectivity):
        """Every combination of the values that are set for a data set and a connectivity, as dicts."""
        merged = dict(DATASET_SETTINGS.get(dataset, {}))
        if dataset in DATASET_RATES:
            merged |= DATASET_RATES[dataset]["dense" if connectivity.startswith("dense") else "set"]
        merged |= self.settings
        for key in (connectivity, dataset, f"{dataset}/{connectivity}"):
            merged |= self.only.get(key, {})
        unused = ("seeds", "connectivities", *UNUSED_SETTINGS.get(connectivity, ()))
        unused += PRUNED_SETTINGS if connectivity != PRUNED else ()
        used = {
            name: value if isinstance(value, list | tuple) else [value]
            for name, value in merged.items()
            if name not in unused and (connectivity != TFIDF or name in TFIDF_SETTINGS)
        }
        for values in itertools.product(*used.values()):
            yield dict(zip(used, values, strict=True))

    def to_json(self):
        """Plain values, as a grid file has them.

        Returns
        -------
        dict
            What :func:`~numpy_setlstm.lab.experiment.grid_from` takes.
        """
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}


def check_names(what, names, allowed):
    """Tuple of names, none unknown and none twice; GridError otherwise."""
    if isinstance(names, str) or not isinstance(names, list | tuple) or not names:
        raise GridError(f"{what} is {names!r}; expected a list of at least one of {', '.join(allowed)}")
    for name in names:
        if name not in allowed:
            raise GridError(f"{what} has {name!r}; expected some of {', '.join(allowed)}")
        if list(names).count(name) > 1:
            raise GridError(f"{what} has {name!r} twice; list it once")
    return tuple(names)


def check_seeds(seeds):
    """Tuple of seeds out of a list of seeds, or their number; GridError if there is none, or one is no seed or twice.

    Examples
    --------
    >>> check_seeds(3), check_seeds([4, 7])
    ((0, 1, 2), (4, 7))
    """
    if isinstance(seeds, int) and not isinstance(seeds, bool) and seeds > 0:
        return tuple(range(seeds))
    if not isinstance(seeds, list | tuple) or not seeds:
        raise GridError(f"seeds is {seeds!r}; expected how many there are, or a list of whole numbers")
    for seed in seeds:
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise GridError(f"seeds has {seed!r}; expected whole numbers of at least 0")
        if list(seeds).count(seed) > 1:
            raise GridError(f"seeds has {seed} twice; list it once")
    return tuple(seeds)


def check_settings(where, settings):
    """GridError unless all are parameters of SetLSTMClassifier, each with a plain value or a list of such."""
    if not isinstance(settings, dict):
        raise GridError(f"{where} is {settings!r}; expected a table of settings, such as zeta = [0.1, 0.3]")
    parameters = [name for name in inspect.signature(SetLSTMClassifier).parameters if name not in RESERVED]
    known = (*parameters, *PRUNED_SETTINGS, *DATA_SETTINGS)
    for name, value in settings.items():
        if name in RESERVED:
            raise GridError(f"{where} has {name}, which compare decides itself; leave it out")
        if name not in known:
            raise GridError(f"{where} has {name!r}; expected some of {', '.join(known)}")
        values = value if isinstance(value, list | tuple) else [value]
        if not values:
            raise GridError(f"{where}: {name} is an empty list; expected at least one value")
        for one in values:
            if not isinstance(one, str | int | float | None):
                raise GridError(f"{where}: {name} is {one!r}; expected a number or text, or a list of such")
            if list(values).count(one) > 1:
                raise GridError(f"{where}: {name} has {one!r} twice; list it once")


def check_only(only):
    """GridError unless every key is a data set, a connectivity or both, and its settings are right."""
    if not isinstance(only, dict):
        raise GridError(f"only is {only!r}; expected tables of settings, such as [only.sanders]")
    for key, settings in only.items():
        dataset, _, connectivity = key.partition("/")
        both = dataset in GRID_DATASETS and connectivity in GRID_CONNECTIVITIES
        if not (both or key in GRID_DATASETS or key in GRID_CONNECTIVITIES):
            raise GridError(
                f"only has {key!r}; expected a data set ({', '.join(GRID_DATASETS)}), a connectivity "
                f"({', '.join(GRID_CONNECTIVITIES)}), or both as in 'sanders/dense'"
            )
        settings = dict(settings) if isinstance(settings, dict) else settings
        if key in GRID_DATASETS and isinstance(settings, dict):
            if "seeds" in settings:
                check_seeds(settings.pop("seeds"))
            if "connectivities" in settings:
                check_names(f"only.{key}: connectivities", settings.pop("connectivities"), GRID_CONNECTIVITIES)
        check_settings(f"only.{key}", settings)


def check_run(run):
    """GridError unless a run's settings are in their ranges."""
    data = {name: run.settings[name] for name in DATA_SETTINGS if name in run.settings}
    if data and run.dataset != DEMO:
        raise GridError(f"{run.dataset} has {', '.join(data)}, which only demo knows: put it under [only.demo]")
    counts = {name: 10 for name in data} | {name: 1 for name in PRUNED_SETTINGS if name in run.settings}
    for name, least in counts.items():
        value = run.settings[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise GridError(f"{name} is {value!r}; expected a whole number of at least {least}")
    fixed = RIVALS[run.connectivity].parameters if run.connectivity in RIVALS else {}
    for name in run.settings:
        if name in fixed:
            raise GridError(
                f"{name} is set for {run.connectivity}, which always has {name}={fixed[name]!r}: leave it out, or "
                "choose another connectivity"
            )
    try:
        check_parameters({name: value for name, value in run.settings.items() if name not in counts})
    except ValueError as error:
        raise GridError(f"{run.dataset}, {run.connectivity}: {error}") from None
