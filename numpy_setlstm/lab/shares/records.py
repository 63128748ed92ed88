"""Many small runs: computed in processes, each result one line of a file of JSON, so that nothing is lost."""

import functools
import json
import warnings
from pathlib import Path

import numpy as np
from tqdm import tqdm

from numpy_setlstm.files import locked, make_folder
from numpy_setlstm.lab.experiment.compare import BAR, check_workers, cost_of
from numpy_setlstm.lab.experiment.executors import execute_in_worker, local_processes, run_tasks
from numpy_setlstm.lab.experiment.grid import GridError, RunSpec
from numpy_setlstm.lab.experiment.runs import (
    COMPUTES_LIKE,
    DONE,
    FAILED,
    Task,
    describe_error,
    fit_run,
    load_reviews,
    pack_bits,
)
from numpy_setlstm.lab.experiment.store import computes_like
from numpy_setlstm.lab.machine import available_cores


def compute(task, blind=False):
    """Train one network: its record, and None in the place of a model; `blind` never looks at a test text."""
    spec = task.spec
    record = {"spec": spec.to_json(), "computes_like": COMPUTES_LIKE}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "training was interrupted")
            reviews, record["data"] = load_reviews(task.data_home, spec)
            clf = fit_run(task, reviews)
            record |= {"status": DONE} | numbers_of(clf)
            if not blind:
                record |= _tested(clf, reviews)
    except Exception as error:  # the other runs continue, whatever it is
        record |= {"status": FAILED, "error": describe_error(error)}
    return record, None


def numbers_of(clf):
    """What a record keeps of a fitted classifier: sizes, validation scores of the best epoch, seconds."""
    history, best = clf.history_, clf.best_epoch_
    scores = clf.training_state_.first_weights or {"accuracy": None, "loss": None}
    if best >= 0:
        scores = {key: history[f"validation_{key}"][best] for key in ("accuracy", "loss")}
    return {
        "parameters": clf.n_parameters_,
        "dense_parameters": clf.n_dense_parameters_,
        "validation_accuracy": scores["accuracy"],
        "validation_loss": scores["loss"],
        "best_epoch": best + 1,
        "seconds": round(sum(history["seconds"]), 2),
    }


def _tested(clf, reviews):
    predicted = clf.predict(reviews.test_texts) == reviews.label_names[1]
    labels = reviews.test_labels == 1
    return {
        "test_accuracy": float(np.mean(predicted == labels)),
        "predictions": {"count": len(labels), "predicted": pack_bits(predicted), "labels": pack_bits(labels)},
    }


def read_records(path):
    """The records of a file, dict by the names of their runs; failed ones, and a last line cut short, are left out."""
    try:
        lines = Path(path).read_text(encoding="utf8").split("\n")
    except FileNotFoundError:
        return {}
    records = {}
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line) if line else {"status": FAILED}
            if record["status"] == DONE:
                records[RunSpec(**record["spec"]).name] = record
        except (AttributeError, LookupError, TypeError, ValueError):
            if number < len(lines) - 1:
                raise GridError(f"line {number} of {path} is no record: delete it to repeat its run") from None
    return records


def run_all(specs, path, *, blind=False, workers=None, data_home=None, progress=False, report=print):
    """Compute the runs that a file has no record of, and append each record as it ends; True if interrupted.

    Those whose record is of a version that computed otherwise are repeated; the newest record of a run counts.

    Parameters
    ----------
    specs : list of RunSpec
    path : str or Path
        Of the file; its folder is made. It is locked meanwhile.
    blind : bool, default False
        Whether no test text is looked at.
    workers, data_home, progress, report
        As in :func:`numpy_setlstm.lab.experiment.compare`.

    Returns
    -------
    bool
        Whether Ctrl-C ended it; the same call goes on.
    """
    path = make_folder(Path(path).parent) / Path(path).name
    workers = check_workers(available_cores() if workers is None else workers)
    with locked(path):
        done = {name for name, record in read_records(path).items() if computes_like(record) == COMPUTES_LIKE}
        todo = [spec for spec in specs if spec.name not in done]
        report(f"{len(specs)} runs: {len(specs) - len(todo)} have results, {len(todo)} to do")
        if not todo:
            return False
        home = None if data_home is None else str(Path(data_home).resolve())
        tasks = [Task(spec, data_home=home) for spec in todo]
        work = functools.partial(execute_in_worker, execute=functools.partial(compute, blind=blind))
        with local_processes(min(workers, len(todo))) as make_executor:
            outcomes = run_tasks(tasks, make_executor, at_once=workers, compute=work)
            return _append(path, tasks, outcomes, progress, report)


def _append(path, tasks, outcomes, progress, report):
    text = path.read_text(encoding="utf8") if path.exists() else ""
    bar = tqdm(total=sum(map(cost_of, tasks)), desc=f"0 of {len(tasks)} runs", bar_format=BAR, smoothing=0,
               disable=None if progress else True)  # fmt: skip
    try:
        with bar, path.open("a", encoding="utf8", newline="\n") as file:
            if text and not text.endswith("\n"):
                file.truncate(len(text[: text.rfind("\n") + 1].encode()))  # a line that was cut short
            for count, (task, record, _) in enumerate(filter(None, outcomes), start=1):
                file.write(json.dumps(record, sort_keys=True) + "\n")
                file.flush()
                bar.update(cost_of(task))
                bar.set_description_str(f"{count} of {len(tasks)} runs")
                if record["status"] == FAILED:
                    report(f"{task.spec.name} failed: {record['error']}")
    except KeyboardInterrupt:
        report("stopping; the same command goes on")
        return True
    return False
