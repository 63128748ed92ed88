"""From a source notebook to student versions, and from a folder of submissions to points."""

import hashlib
import json
import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from numpy_setlstm.files import locked, make_folder, replacing
from numpy_setlstm.grading import notebook as files
from numpy_setlstm.grading import pages
from numpy_setlstm.grading.process import START, Limits, Wrong
from numpy_setlstm.grading.tasks import find_folder, grade_submission, load_assignment, record_of
from numpy_setlstm.grading.worker import PACKAGE

AT_ONCE = 2  # submissions
CHECK_SECONDS = 600
SETTINGS = "settings.json"


def release(assignment, output, folder=None):
    """Write the student version of an assignment.

    Parameters
    ----------
    assignment : str or Path
        Such as "A1", or its folder.
    output : str or Path
        The notebook to write.
    folder : str or Path, optional
        Where assignments are, as for :func:`load_assignment`.

    Examples
    --------
    >>> release("A1", "A1_forward.ipynb")  # doctest: +SKIP
    """
    source = find_folder(assignment, folder)
    student = files.student_version(files.read_notebook(source / f"{source.name}.ipynb"))
    write(output, json.dumps(student, indent=1, ensure_ascii=False) + "\n")


def check(assignment, path, folder=None):
    """Run the visible checks of an assignment on a file, in a process of its own; print what they say.

    Parameters
    ----------
    assignment : str or Path
        Such as "A1". If its folder is not here, the checks in the file itself are run.
    path : str or Path
        A notebook, or Python.
    folder : str or Path, optional
        Where assignments are, as for :func:`load_assignment`.

    Returns
    -------
    bool
        Whether all checks found everything right.

    Raises
    ------
    ValueError
        If the file cannot be read, or no checks are found.

    Examples
    --------
    >>> check("A1", "A1_forward.ipynb")  # doctest: +SKIP
    """
    path = Path(path)
    try:
        home = find_folder(assignment, folder)
        source = files.read_notebook(home / f"{home.name}.ipynb")
        given = files.given_cells(source)
    except FileNotFoundError:
        if path.suffix != ".ipynb":
            raise
        source, given = files.read_notebook(path), []
    checks = files.check_cells(source)
    if not checks:
        raise ValueError(f"{path} has no checks; expected the notebook that was handed out, with all its cells")
    try:
        cells = files.read_submission(path)
    except files.NotReadableError as error:
        raise ValueError(f"{path} {error}") from None
    command = [*python("import json, sys; from numpy_setlstm.grading.run_checks import run; run(json.load(sys.stdin))")]
    text = json.dumps({"code": given + cells, "checks": checks})
    try:
        done = subprocess.run(command, input=text, text=True, timeout=CHECK_SECONDS, encoding="utf8")
    except subprocess.TimeoutExpired:
        raise ValueError(f"{path} runs for more than {CHECK_SECONDS} seconds: an endless loop?") from None
    return done.returncode == 0


def python(code):
    """A command that runs some code with this package."""
    start = START.replace("from numpy_setlstm.grading.worker import main\nmain()\n", code)
    return [sys.executable, "-c", start, str(Path(PACKAGE) / "__init__.py"), PACKAGE]


def grade(assignment, submissions, output, *, seed=None, folder=None, limits=None, progress=False):
    """Grade all submissions in a folder, two at once; those that are graded already are not run again.

    Parameters
    ----------
    assignment : str or Path
        Such as "A1".
    submissions : str or Path
        A folder with a file or a folder for each student, or one file.
    output : str or Path
        For `grades.csv`, `pairs.csv`, the pages `class.md` and `class.html`, and a folder for each student.
    seed : int, optional
        All inputs are drawn from it. By default that of `output`, or a new one from the system's entropy.
    folder : str or Path, optional
        Where assignments are, as for :func:`load_assignment`.
    limits : Limits, optional
        Of the process of each submission.
    progress : bool, default False
        Whether to show a progress bar, if there is a terminal.

    Returns
    -------
    dict
        The record of each student, as :func:`grade_submission` gives it.

    Raises
    ------
    ValueError
        If there are no submissions, or `output` is of another assignment or seed.

    Examples
    --------
    >>> grade("A1", "submitted", "graded")["anna"]["tasks"][0]["points"]  # doctest: +SKIP
    4
    """
    assignment, limits = load_assignment(assignment, folder), limits or Limits()
    if limits.seconds < 1:
        raise ValueError(f"seconds is {limits.seconds}; expected at least 1 for a submission")
    found = find_submissions(Path(submissions), assignment.id)
    output = make_folder(output)
    with locked(output):
        seed = settle(output, assignment, seed)
        records = {}
        bar = tqdm(total=len(found), desc=f"grading {assignment.id}", unit="file", disable=None if progress else True)
        pool = ThreadPoolExecutor(AT_ONCE)
        with bar:
            try:
                jobs = {
                    pool.submit(record_for, assignment, path, seed, limits, output / "students" / student): student
                    for student, path in found.items()
                }
                for job in as_completed(jobs):
                    records[jobs[job]] = job.result()
                    save_student(output / "students" / jobs[job], assignment.title, jobs[job], records[jobs[job]])
                    bar.update()
            finally:
                pool.shutdown(cancel_futures=True)
        save_class(output, assignment.title, records, seed)
    return records


def settle(output, assignment, seed):
    """The seed of a folder, which is kept there."""
    path = output / SETTINGS
    settings = (
        json.loads(path.read_text(encoding="utf8")) if path.exists() else {"assignment": assignment.id, "seed": seed}
    )
    if settings["assignment"] != assignment.id or seed not in (None, settings["seed"]):
        raise ValueError(
            f"{output} has results of {settings['assignment']} with --seed {settings['seed']}: choose another --output"
        )
    if settings["seed"] is None:
        settings["seed"] = secrets.randbits(62)
    write(path, json.dumps(settings))
    return settings["seed"]


def find_submissions(folder, name):
    """The file of each student, dict of str to Path, or to text that says why there is none."""
    if folder.is_file():
        return {folder.stem: folder}
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; expected one with a file or a folder for each student")
    found = {}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "_")) or not (entry.is_dir() or entry.suffix in (".ipynb", ".py")):
            continue
        student = entry.name if entry.is_dir() else entry.stem
        found[student] = "two submissions of this name" if student in found else file_of(entry, name)
    if not found:
        raise ValueError(
            f"{folder} has no submissions; expected notebooks (.ipynb) or Python (.py), or a folder for each student"
        )
    return found


def file_of(entry, name):
    """The file that a student handed in, or text that says why there is none."""
    if entry.is_file():
        return entry
    inside = [path for path in sorted(entry.rglob("*")) if path.suffix in (".ipynb", ".py") and path.is_file()]
    inside = [path for path in inside if not any(part.startswith(".") for part in path.relative_to(entry).parts)]
    named = [path for path in inside if name.lower() in str(path.relative_to(entry)).lower()]
    for paths in (named, inside, [path for path in named or inside if path.suffix == ".ipynb"]):
        if len(paths) == 1:
            return paths[0]
    return f"several files: {', '.join(path.name for path in inside[:5])}" if inside else pages.NOTHING


def record_for(assignment, path, seed, limits, folder):
    """The record of one student: the saved one, if nothing has changed, or a new one from a process of its own."""
    if isinstance(path, str):
        return lost(assignment, path, seed)
    digest = hashlib.sha256(f"{seed} {limits}".encode())
    for file in (path, assignment.notebook, assignment.folder / "hidden.py"):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    saved = folder / "record.json"
    if saved.exists() and (record := json.loads(saved.read_text(encoding="utf8")))["digest"] == digest.hexdigest():
        return record
    command = python("from numpy_setlstm.grading.course import grade_one; grade_one()")
    job = {"folder": str(assignment.folder), "path": str(path), "seed": seed, "limits": asdict(limits)}
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, encoding="utf8")
    if done.returncode:  # not the submission's process, but the one that judges it; it is tried again next time
        return lost(assignment, "the grader failed", seed, (done.stderr.strip().splitlines() or ["it was killed"])[-1])
    return json.loads(done.stdout) | {"digest": digest.hexdigest()}


def lost(assignment, cause, seed, remark=""):
    """The record of a student without a submission that can be judged."""
    tasks = [record_of(task, Wrong(cause)) for task in assignment.tasks]
    return {"tasks": tasks, "remarks": [f"{cause} {remark}".strip()], "seed": seed, "digest": ""}


def grade_one():
    """Grade the submission that standard input names, and print its record: the work of one process."""
    job = json.load(sys.stdin)
    record = grade_submission(load_assignment(job["folder"]), job["path"], job["seed"], Limits(**job["limits"]))
    print(json.dumps(record))


def save_student(folder, title, student, record):
    """Write the files of one student; the record last, which says that all are there."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = pages.student_page(title, student, record)
    write(folder / "report.md", pages.as_markdown(parts))
    write(folder / "report.html", pages.as_html(parts, f"{title}: {student}"))
    write(folder / "results.json", json.dumps(pages.gradescope(record), indent=1))
    write(folder / "record.json", json.dumps(record, indent=1))


def save_class(output, title, records, seed):
    """Write what concerns the whole class."""
    parts = pages.class_page(title, records, seed)
    write(output / "class.md", pages.as_markdown(parts))
    write(output / "class.html", pages.as_html(parts, title))
    write(output / "pairs.csv", pages.as_csv(pages.pairs_table(records)))
    write(output / "grades.csv", pages.as_csv(pages.grades_table(records)))


def write(path, text):
    """Write a text file, whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode("utf8", "replace"))
