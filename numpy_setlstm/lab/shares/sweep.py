"""Accuracy against the share of parameters: many kinds of networks, sizes and seeds, and the figure of them."""

from numpy_setlstm.files import make_folder
from numpy_setlstm.lab.experiment.grid import PRUNED, Grid, check_names
from numpy_setlstm.lab.experiment.page import fill_blocks
from numpy_setlstm.lab.files import write_picture
from numpy_setlstm.lab.rivals import RIVALS
from numpy_setlstm.lab.shares.page import format_accuracies, format_differences, make_block
from numpy_setlstm.lab.shares.records import read_records, run_all
from numpy_setlstm.lab.shares.search import TRIALS_FILE, best_settings
from numpy_setlstm.lab.shares.statistics import KIND_NAMES, LARGEST, rows_of

RUNS_FILE, PICTURE_FILE = "runs.jsonl", "shares.png"
SHARES = (0.0025, 0.005, 0.01, 0.02, 0.039, 0.1)
KINDS = (
    "dense", "dense-small", "static", "static-words", "static-frequent", "set-cosine", "set-guided", "dense-pruned"
)  # fmt: skip
#: Arguments of :func:`sweep` that show the order of the kinds in a minute or two.
QUICK = {
    "datasets": ("sentences-yelp",),
    "connectivities": ("dense", "dense-small", "static", "set-cosine", "set-guided"),
    "shares": (0.005, 0.01, 0.039),
    "seeds": (0, 1, 2),
    "settings": {"embedding_dim": 128, "hidden_size": 128, "n_epochs": 12, "zeta": 0.3},
}


def specs_of(datasets, connectivities=KINDS, *, shares=SHARES, seeds=range(5), recipes=None, settings=None):
    """All runs of a sweep, list of RunSpec: of every kind, at every share, with every seed.

    `recipes` are those of :func:`best_settings`, by data set and kind; `settings` replace theirs.
    """
    check_names("connectivities", connectivities, tuple(RIVALS))
    specs = {}
    for seed in seeds:
        for dataset in datasets:
            for connectivity in connectivities:
                recipe = (recipes or {}).get((dataset, connectivity), {}).get("settings", {})
                for share in (None,) if connectivity == LARGEST else shares:
                    own = {} if share is None else {"parameter_share": share}
                    grid = Grid((dataset,), (connectivity,), [seed], recipe | (settings or {}) | own)
                    specs |= {spec.name: spec for spec in grid.runs()}
    return list(specs.values())


def sweep(
    output, datasets=(), connectivities=KINDS, *, shares=SHARES, seeds=range(5), settings=None, shared=(),
    report_only=False, pages=(), report=print, **running
):  # fmt: skip
    """Run what a sweep has no results of yet, and write its figure.

    Parameters
    ----------
    output : str or Path
        Folder for the results, ``runs.jsonl``, a line of JSON per run, and the figure. The recipes of
        :func:`~numpy_setlstm.lab.shares.search` are used if they are there.
    datasets, connectivities : sequence of str
        As in :class:`~numpy_setlstm.lab.experiment.Grid`.
    shares : sequence of float in (0, 1]
        Parameters as a share of the dense network's.
    seeds : sequence of int
    settings : dict, optional
        That all runs have.
    shared : sequence of sequence of str, optional
        Data sets that share one recipe per kind; those without a search have that of the others.
    report_only : bool, default False
        Run nothing.
    pages : sequence of str or Path
        Markdown pages whose blocks between ``<!-- shares: NAME -->`` and ``<!-- end of shares -->`` are filled.
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
    output, interrupted = make_folder(output), False
    if not report_only:
        recipes = with_pruned(best_settings(read_records(output / TRIALS_FILE), shared))
        specs = specs_of(datasets, connectivities, shares=shares, seeds=seeds, recipes=recipes, settings=settings)
        interrupted = run_all(specs, output / RUNS_FILE, report=report, **running)
    rows = rows_of(read_records(output / RUNS_FILE))
    trials = best_settings(read_records(output / TRIALS_FILE), shared)
    if rows:
        from numpy_setlstm.plotting import plot_shares  # importing matplotlib takes a second

        report(f"\n{format_accuracies(rows, trials)}\n\n{format_differences(rows, trials)}\n")
        report(f"wrote {write_picture(output / PICTURE_FILE, plot_shares(rows, labels=KIND_NAMES)[0].figure)}")
    for page in pages:
        report(f"wrote {fill_blocks(page, 'shares', lambda name: make_block(name, rows, trials))}")
    return interrupted


def with_pruned(recipes):
    """The recipes, with that of the dense network for the pruned one, which begins as it."""
    of_pruned = {(dataset, PRUNED): entry for (dataset, kind), entry in recipes.items() if kind == LARGEST}
    return of_pruned | recipes
