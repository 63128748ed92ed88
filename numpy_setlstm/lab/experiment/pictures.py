"""The results of a grid as pictures: accuracies, differences, and the evolution of the connections."""

from numpy_setlstm.lab.experiment.distances import topological_distances
from numpy_setlstm.lab.experiment.grid import EVOLVED, GRID_CONNECTIVITIES
from numpy_setlstm.lab.experiment.statistics import METRICS
from numpy_setlstm.lab.experiment.tables import make_rows, name_of
from numpy_setlstm.lab.files import write_picture


def write_pictures(store, report=print):
    """Draw the results in a folder; return the files.

    ``accuracies.png``; ``differences.png`` if there is a dense network; ``evolution_DATASET.png`` for each evolved one;
    ``distances.png`` and ``distances_DATASET.png`` if two models of a row were kept.
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
        if not document.get("topology"):
            continue  # all matrices are full
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
    return [write_picture(store.output / f"{name}.png", figure) for name, figure in figures.items()]


def _runs(rows):
    """Metrics of every run, by connectivity."""
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
