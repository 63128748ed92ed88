"""A whole grid: run what has no result yet, save each result as it ends, and write the tables and pictures."""

import sys
import warnings
from pathlib import Path

from tqdm import tqdm

from numpy_setlstm.lab.experiment.baseline import make_pipeline
from numpy_setlstm.lab.experiment.executors import dask_cluster, execute_in_worker, local_processes, run_tasks
from numpy_setlstm.lab.experiment.grid import DEMO, SENTENCES, TFIDF
from numpy_setlstm.lab.experiment.page import fill_page
from numpy_setlstm.lab.experiment.pictures import write_pictures
from numpy_setlstm.lab.experiment.runs import BUSY, DONE, FAILED, Task, load_reviews
from numpy_setlstm.lab.experiment.store import Store
from numpy_setlstm.lab.experiment.tables import write_tables
from numpy_setlstm.lab.machine import available_cores

# Rough times relative to a sparse network, to estimate the time left.
TRAIN_TEXTS = {DEMO: 7000, "imdb": 25_000, "sanders": 900, "yelp": 8000, "amazon": 17_000}
TRAIN_TEXTS |= dict.fromkeys(SENTENCES, 800)
OTHER_TRAIN_TEXTS = 5000
COSTS = {"dense": 3.0, "dense-pruned": 4.0, "dense-small": 0.5, "set-units": 1.5, TFIDF: 0.05}
BAR = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]"


def compare(
    grid,
    output,
    *,
    workers=None,
    scheduler=None,
    executor=None,
    data_home=None,
    save_models=False,
    retry_failed=False,
    report_only=False,
    pages=(),
    progress=False,
    report=print,
):
    """Run what a grid has no results of yet, and write its tables and pictures.

    Parameters
    ----------
    grid : Grid or None
        None is allowed with `report_only`.
    output : str or Path
        Folder, made if missing, for the results. Two processes may share it.
    workers : int, optional
        Number of processes on this machine; as many as cores by default.
    scheduler : str, optional
        Address of a Dask scheduler, whose workers compute the runs instead and read the data sets from their own disks.
    executor : concurrent.futures.Executor, optional
        Computes the runs instead; results travel back by value.
    data_home : str or Path, optional
        Folder of the data sets where the runs are computed; by default an environment variable there names it.
    save_models : bool, default False
        Keep the models too.
    retry_failed : bool, default False
        Repeat failed runs.
    report_only : bool, default False
        Run nothing.
    pages : sequence of str or Path
        Markdown pages whose marked blocks are filled with the results: see docs/comparing.md.
    progress : bool, default False
        Show a bar with the time left if standard error is a terminal.
    report : callable
        Called with each line of text to show.

    Returns
    -------
    bool
        Whether Ctrl-C interrupted the grid. Its results are kept, and the same call continues.

    Raises
    ------
    ValueError
        If `workers` is less than 1, a data set cannot be read, or the folder holds results of another grid.
    ImportError
        If joblib, scikit-learn or dask.distributed is needed and not installed.

    Examples
    --------
    >>> import tempfile
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from numpy_setlstm.lab.experiment import Grid
    >>> tiny = {"embedding_dim": 8, "hidden_size": 8, "er_epsilon": 2, "n_epochs": 2, "train_texts": 60}
    >>> grid = Grid(("demo",), ("static", "set"), (0, 1), tiny)
    >>> with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as threads:
    ...     interrupted = compare(grid, folder, executor=threads, report=lambda line: None)
    ...     print(interrupted, (Path(folder) / "accuracies.png").exists())
    False True
    """
    interrupted = False
    options = {"data_home": data_home, "save_models": save_models, "retry_failed": retry_failed}
    options |= {"progress": progress, "report": report}
    if not report_only and scheduler is not None:
        with dask_cluster(scheduler) as executor:  # checkpoints would be on another machine
            interrupted = run_grid(grid, output, executor=executor, checkpoints=False, **options)
    elif not report_only:
        interrupted = run_grid(grid, output, executor=executor, workers=workers, **options)
    store = Store(output)
    table, paths = write_tables(store)
    report(f"\n{table}\n")
    for path in paths + write_pictures(store, report):
        report(f"wrote {path}")
    for page in pages:
        report(f"wrote {fill_page(page, store)}")
    return interrupted


def run_grid(
    grid,
    output,
    *,
    executor=None,
    workers=None,
    data_home=None,
    save_models=False,
    retry_failed=False,
    checkpoints=True,
    progress=False,
    report=print,
):
    """The part of :func:`compare` that runs and saves; True if interrupted.

    `checkpoints`, saved in `output`, are of no use to runs on another machine.
    """
    store = Store(output)
    workers = check_workers(available_cores() if workers is None else workers)
    find_document = document_finder(store, table_digests(grid, data_home), retry_failed)
    todo = plan(grid, store, find_document, report)
    if not todo:
        return False
    workers = min(workers, len(todo))
    if executor is None:
        check_resources(todo, data_home)
    shared = {
        "data_home": None if data_home is None else str(Path(data_home).resolve()),
        "keep_model": save_models,
    }
    paths = [str(store.checkpoint_path(spec).resolve()) if checkpoints else None for spec in todo]
    tasks = [Task(spec, checkpoint_path=path, **shared) for spec, path in zip(todo, paths, strict=True)]
    found = {"find_document": lambda task: find_document(task.spec)}
    if executor is not None:
        return save_outcomes(tasks, run_tasks(tasks, only_once(executor), **found), store, progress, report)
    with local_processes(workers) as make_executor:
        outcomes = run_tasks(tasks, make_executor, at_once=workers, compute=execute_in_worker, **found)
        return save_outcomes(tasks, outcomes, store, progress, report)


def table_digests(grid, data_home):
    """Digests of the texts that the files of a grid hold now, dict by RunSpec."""
    specs = sorted((spec for spec in grid.runs() if spec.path), key=lambda spec: spec.dataset)  # each is read once
    return {spec: load_reviews(data_home, spec)[1] for spec in specs}


def document_finder(store, digests, retry_failed):
    """A function of a RunSpec that returns its document, or None if it is to be computed."""

    def find_document(spec):
        document = store.load(spec)
        is_left_out = document is None or (retry_failed and document["status"] == FAILED)
        return None if is_left_out or is_outdated(spec, document, digests) else document

    return find_document


def is_outdated(spec, document, digests):
    """Whether a result is of other texts than its file holds now; warns if it is."""
    if document["status"] != DONE or document.get("data") == digests.get(spec, document.get("data")):
        return False
    warnings.warn(f"{spec.name}: the texts of the file have changed; its run is repeated", stacklevel=2)
    return True


def plan(grid, store, find_document, report):
    """Make the folders; list the runs that have no document yet."""
    store.prepare()
    for name in store.damaged():
        report(f"{name} is damaged; if it belongs to this grid, its run is repeated")
    runs = grid.runs()
    documents = {spec: find_document(spec) for spec in runs}
    todo = [spec for spec in runs if documents[spec] is None]
    n_failed = sum(document is not None and document["status"] == FAILED for document in documents.values())
    report(f"{len(runs)} runs: {len(runs) - len(todo)} have results, {len(todo)} to do")
    if n_failed:
        report(f"{n_failed} failed before and are skipped; --retry-failed repeats them")
    return todo


def save_outcomes(tasks, outcomes, store, progress, report):
    """Save each outcome of :func:`run_tasks`; True if interrupted."""
    done, busy = 0, set()
    bar = tqdm(
        total=sum(map(cost_of, tasks)),
        desc=f"0 of {len(tasks)} runs",
        bar_format=BAR,
        smoothing=0,  # runs end in bursts, so the mean speed predicts better than the latest
        disable=None if progress else True,
    )
    try:
        with bar:
            for outcome in outcomes:
                if outcome is not None and outcome[1]["status"] == BUSY:
                    name = outcome[0].spec.name
                    if name not in busy:
                        with bar.external_write_mode():
                            report(f"{name} is being computed by another process; its result is waited for")
                    busy.add(name)
                elif outcome is not None:
                    task, document, model = outcome
                    store.save(task.spec, document, model)
                    done += 1
                    bar.update(cost_of(task))
                    bar.set_description_str(f"{done} of {len(tasks)} runs", refresh=False)
                    if document["status"] == FAILED:
                        with bar.external_write_mode():
                            report(f"{task.spec.name} failed: {document['error']}")
                bar.refresh()
    except KeyboardInterrupt:
        print("\nstopping: unfinished runs save their checkpoints", file=sys.stderr)
        return True
    if done < len(tasks):
        report(f"the executor lost {len(tasks) - done} runs, which have no result; the same command repeats them")
    return False


def check_workers(workers):
    """The number of workers; ValueError if it is less than 1."""
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
        raise ValueError(f"workers is {workers!r}; expected a whole number of at least 1")
    return workers


def check_resources(todo, data_home):
    """Read each data set, and import what the tf-idf model needs: errors come before the first run."""
    if any(spec.connectivity == TFIDF for spec in todo):
        make_pipeline(1.0)
    for spec in {spec.dataset: spec for spec in todo if spec.dataset != DEMO}.values():
        load_reviews(data_home, spec)


def only_once(executor):
    """A function that returns the executor once; called again, because it broke, it raises RuntimeError."""
    executors = [executor]

    def make_executor():
        if not executors:
            raise RuntimeError("the executor broke; the results so far are kept: repeat the call with a fresh executor")
        return executors.pop()

    return make_executor


def cost_of(task):
    """Estimated time of a run, relative to others."""
    settings = task.spec.settings
    texts = settings.get("train_texts", TRAIN_TEXTS.get(task.spec.dataset, OTHER_TRAIN_TEXTS))
    return texts * settings.get("n_epochs", 8) * COSTS.get(task.spec.connectivity, 1.0)
