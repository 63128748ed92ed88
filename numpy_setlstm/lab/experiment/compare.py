"""A whole grid: run what has no result yet, save each result as it ends, and write the tables."""

import sys
from pathlib import Path

from tqdm import tqdm

from numpy_setlstm.fast.threads import available_cores
from numpy_setlstm.lab.experiment.executors import Crew, dask_cluster, execute_in_worker, local_processes
from numpy_setlstm.lab.experiment.grid import DEMO, TFIDF
from numpy_setlstm.lab.experiment.page import fill_page
from numpy_setlstm.lab.experiment.pictures import write_pictures
from numpy_setlstm.lab.experiment.runs import FAILED, INTERRUPTED, Task, load_reviews
from numpy_setlstm.lab.experiment.store import Store
from numpy_setlstm.lab.experiment.tables import write_tables
from numpy_setlstm.lab.experiment.yardstick import make_pipeline

_REFRESH_SECONDS = 1.0

# Rough times of a run beside that of a sparse network, for the estimate of the time left.
TRAIN_TEXTS = {DEMO: 7000, "imdb": 25_000, "sanders": 900, "yelp": 8000, "amazon": 17_000}
COSTS = {"dense": 3.0, "dense-pruned": 4.0, "dense-small": 0.5, TFIDF: 0.05}
BAR = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]"


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
    """Run what a grid has no result of yet.

    Parameters
    ----------
    grid : Grid
    output : str or Path
        Folder for the results: see :class:`~numpy_setlstm.lab.experiment.store.Store`. Two processes may share it.
    executor : concurrent.futures.Executor, optional
        Computes the runs, in threads or processes, here or elsewhere; results travel back by value and are written
        here. By default processes on this machine.
    workers : int, optional
        Number of these processes; by default as many as there are cores.
    data_home : str or Path, optional
        Folder of the data sets, where the runs are computed. By default the environment variable there says.
    save_models : bool, default False
        Keep the models too.
    retry_failed : bool, default False
        Run again what failed.
    checkpoints : bool, default True
        Whether runs save their models in `output` after each epoch, and go on from there when interrupted. Not where
        they are computed on another machine.
    progress : bool, default False
        Show a bar with the time left, if standard error is a terminal.
    report : callable
        Takes lines of text to show.

    Returns
    -------
    bool
        Whether the grid was interrupted by Ctrl-C. The results so far are kept, and calling it again goes on.

    Raises
    ------
    ValueError
        If the number of workers is none, a data set cannot be read, or a file of results is another run's.
    ImportError
        If the grid has the tf-idf model and scikit-learn is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from numpy_setlstm.lab.experiment import Grid
    >>> sizes = {"embedding_dim": 8, "hidden_size": 8, "density": 0.3, "train_texts": 60, "test_texts": 20}
    >>> grid = Grid(("demo",), ("static",), (0, 1), {"n_epochs": 1} | sizes)
    >>> with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as executor:
    ...     interrupted = run_grid(grid, folder, executor=executor, report=lambda line: None)
    ...     print(interrupted, len(Store(folder).documents()))
    False 2
    """
    store = Store(output)
    workers = check_workers(available_cores() if workers is None else workers)
    todo = plan(grid, store, retry_failed, report)
    if not todo:
        return False
    if executor is None:
        check_resources(todo, data_home)
    tasks = [
        Task(
            spec,
            data_home=None if data_home is None else str(Path(data_home).resolve()),
            checkpoint_path=str(store.checkpoint_path(spec).resolve()) if checkpoints else None,
            n_threads=1 if executor is not None or workers > 1 else None,
            keep_model=save_models,
        )
        for spec in todo
    ]

    def finished_elsewhere(task):
        document = store.load(task.spec)
        return None if document is None or (retry_failed and document["status"] == FAILED) else document

    if executor is not None:
        crew = Crew(tasks, only_once(executor), finished=finished_elsewhere)
        return work(crew, store, progress, report)
    with local_processes(workers) as (make_executor, stop):
        options = {"most_at_once": workers, "stop": stop, "function": execute_in_worker}
        return work(Crew(tasks, make_executor, finished=finished_elsewhere, **options), store, progress, report)


def plan(grid, store, retry_failed=False, report=print):
    """Make the folders and find what is left to do.

    Parameters
    ----------
    grid : Grid
    store : Store
    retry_failed : bool
    report : callable

    Returns
    -------
    list of RunSpec
    """
    store.prepare()
    runs = grid.runs()
    for name in store.damaged():
        report(f"{name} is damaged; if it is of this grid, it is run anew")
    documents = {spec: store.load(spec) for spec in runs}
    n_failed = sum(document is not None and document["status"] == FAILED for document in documents.values())
    todo = [
        spec
        for spec, document in documents.items()
        if document is None or (retry_failed and document["status"] == FAILED)
    ]
    report(f"{len(runs)} runs: {len(runs) - len(todo)} are there, {len(todo)} to do")
    if n_failed and not retry_failed:
        report(f"{n_failed} failed before and stay as they are; --retry-failed runs them again")
    return todo


def work(crew, store, progress, report):
    """Take what the crew has done, and write it, until all is done; True if interrupted. See :func:`run_grid`."""
    tasks = list(crew.waiting)
    done = 0
    bar = tqdm(
        total=sum(map(cost_of, tasks)),
        desc=f"0 of {len(tasks)} runs",
        bar_format=BAR,
        smoothing=0,  # runs end in bursts: the mean speed says more than that of the last one
        disable=None if progress else True,
    )

    def take_note(outcomes):
        nonlocal done
        for task, document, model in outcomes:
            if document["status"] == INTERRUPTED:
                continue
            store.save(task.spec, document, model)
            done += 1
            bar.update(cost_of(task))
            bar.set_description_str(f"{done} of {len(tasks)} runs", refresh=False)
            if document["status"] == FAILED:
                with bar.external_write_mode():
                    report(f"{task.spec.name} failed: {document['error']}")
        bar.refresh()

    with bar:
        try:
            while crew:
                take_note(crew.take(_REFRESH_SECONDS))
        except KeyboardInterrupt:
            print("\nstopping: what is under way saves its checkpoint", file=sys.stderr)
            take_note(crew.stop())
            return True
    missing = len(tasks) - done
    if missing:
        report(f"{missing} runs were lost by the executor and have no result; the same command runs them again")
    return False


def check_workers(workers):
    """The number of workers; ValueError if it is none."""
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
        raise ValueError(f"workers is {workers!r}; expected a whole number of at least 1")
    return workers


def check_resources(todo, data_home):
    """Read each data set once, and import what the tf-idf model needs, so that trouble is told before the first run."""
    if any(spec.connectivity == TFIDF for spec in todo):
        make_pipeline(1.0)
    for spec in {spec.dataset: spec for spec in todo if spec.dataset != DEMO}.values():
        load_reviews(data_home, spec)


def only_once(executor):
    """A function that returns the executor the first time; RuntimeError when it is wanted again, for it broke."""
    executors = [executor]

    def make_executor():
        if not executors:
            raise RuntimeError("the executor broke; the results so far are kept: call run_grid again with a fresh one")
        return executors.pop()

    return make_executor


def cost_of(task):
    """Roughly how long a run takes, beside others."""
    settings = task.spec.settings
    texts = settings.get("train_texts", TRAIN_TEXTS[task.spec.dataset])
    return texts * settings.get("n_epochs", 8) * COSTS.get(task.spec.connectivity, 1.0)


def compare(
    grid,
    output,
    *,
    scheduler=None,
    report_only=False,
    pages=(),
    report=print,
    **options,
):
    """Run a grid, here or on a Dask cluster; write its tables and pictures.

    Parameters
    ----------
    grid : Grid or None
        None with `report_only`.
    output : str or Path
    scheduler : str, optional
        Address of a Dask scheduler. Each of its workers reads the data sets from its own disk.
    report_only : bool, default False
        Only write the tables and pictures of what is there.
    pages : sequence of str or Path
        Markdown pages into which the results are written: see :func:`~numpy_setlstm.lab.experiment.page.fill_page`.
    report : callable
        Takes lines of text to show.
    **options
        Of :func:`run_grid`.

    Returns
    -------
    bool
        Whether the grid was interrupted.

    Examples
    --------
    >>> import tempfile
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from numpy_setlstm.lab.experiment import Grid
    >>> sizes = {"embedding_dim": 8, "hidden_size": 8, "density": 0.3, "train_texts": 60, "test_texts": 20}
    >>> grid = Grid(("demo",), ("static", "set"), (0, 1), {"n_epochs": 2} | sizes)
    >>> with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as executor:
    ...     interrupted = compare(grid, folder, executor=executor, report=lambda line: None)
    ...     print(interrupted, (Path(folder) / "accuracies.png").exists())
    False True
    """
    interrupted = False
    if not report_only and scheduler is not None:
        with dask_cluster(scheduler) as executor:
            interrupted = run_grid(grid, output, executor=executor, checkpoints=False, report=report, **options)
    elif not report_only:
        interrupted = run_grid(grid, output, report=report, **options)
    store = Store(output)
    table, paths = write_tables(store)
    report(f"\n{table}\n")
    for path in paths + write_pictures(store, report):
        report(f"wrote {path}")
    for page in pages:
        report(f"wrote {fill_page(page, store)}")
    return interrupted
