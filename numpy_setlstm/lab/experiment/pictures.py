"""The results of a grid as pictures: accuracies, differences, and what became of the connections."""

from numpy_setlstm.lab.experiment.distances import topological_distances
from numpy_setlstm.lab.experiment.grid import GRID_CONNECTIVITIES
from numpy_setlstm.lab.experiment.statistics import METRICS
from numpy_setlstm.lab.experiment.tables import make_rows, name_of

EVOLVED = "set"
DPI = 150


def write_pictures(store, report=print):
    """Draw what is in a folder of results.

    Parameters
    ----------
    store : Store
    report : callable
        Takes lines of text to show.

    Returns
    -------
    list of Path
        ``accuracies.png``, with a dense network ``differences.png``, for each data set with an evolved network
        ``evolution_DATASET.png``; if two models of one kind were kept, ``distances.png``, and for each data set with
        two evolved ones ``distances_DATASET.png``.
    """
    from numpy_setlstm import plotting  # importing matplotlib takes a second

    rows = [row for row in make_rows(store.documents()) if row.documents]
    if not rows:
        return []
    metrics = ("accuracy", "balanced accuracy")
    figures = {"accuracies": plotting.plot_accuracies(_runs(rows), metric=metrics)[0, 0].figure}
    differences = [row for row in rows if row.differences]
    if differences:
        figures["differences"] = plotting.plot_differences([_difference(row, rows) for row in differences]).figure
    evolved = {row.dataset: row.documents[0] for row in reversed(rows) if row.connectivity == EVOLVED}
    for dataset, document in reversed(evolved.items()):
        figures[f"evolution_{dataset}"] = plotting.plot_evolution(document["topology"])[0].figure
    try:
        entries = topological_distances(store, rows)
    except ImportError as error:
        report(f"no distances between networks: {error}")
        entries = []
    if entries:
        labelled = [entry | {"label": f"{entry['dataset']}, {entry['connectivity']}"} for entry in entries]
        figures["distances"] = plotting.plot_distance_ranges(labelled).figure
    for entry in entries:
        if entry["connectivity"] == EVOLVED:
            labels = [f"seed {seed}" for seed in entry["seeds"]]
            ax = plotting.plot_distances(entry["distances"], labels, entry["baselines"])
            figures[f"distances_{entry['dataset']}"] = ax.figure
    for name, figure in figures.items():
        figure.savefig(store.output / f"{name}.png", dpi=DPI)
    return [store.output / f"{name}.png" for name in figures]


def _runs(rows):
    """Every run with its metrics, kind by kind; the tf-idf model, which draws nothing at random, as one."""
    return [
        {"dataset": row.dataset, "connectivity": name_of(row, rows)}
        | {metric: row.values[metric][k] for metric in METRICS}
        for row in sorted(rows, key=lambda row: GRID_CONNECTIVITIES.index(row.connectivity))
        for k in range(len(row.documents))
    ]


def _difference(row, rows):
    difference = row.differences["accuracy"]
    numbers = {"difference": difference.mean, "low": difference.low, "high": difference.high}
    return {"dataset": row.dataset, "connectivity": name_of(row, rows)} | numbers
