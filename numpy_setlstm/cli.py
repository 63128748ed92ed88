"""The command line: parse, call, print. What is done is done elsewhere."""

import argparse
import sys
import warnings
from pathlib import Path

from numpy_setlstm import __version__
from numpy_setlstm.datasets import DATA_HOME_VARIABLE, DATASETS, load_dataset, load_table
from numpy_setlstm.datasets.table import is_table
from numpy_setlstm.estimator import SetLSTMClassifier
from numpy_setlstm.lab.benchmark.harness import PeerError
from numpy_setlstm.lab.benchmark.peers import OURS, PEERS
from numpy_setlstm.lab.benchmark.run import QUICK_SECONDS, REPEATS, ROWS, run_benchmark
from numpy_setlstm.lab.benchmark.work import Work
from numpy_setlstm.lab.console import (  # noqa: F401  flush_streams is for __main__
    as_text,
    column,
    complain,
    dataset_name,
    finite,
    flush_streams,
    growth,
    in_one_line,
    names,
    path,
    read_lines,
    say,
    seed_number,
    whole,
)
from numpy_setlstm.lab.course_commands import (
    add_check_options,
    add_grade_options,
    add_release_options,
    run_check,
    run_grade,
    run_release,
)
from numpy_setlstm.lab.experiment import (
    GRID_CONNECTIVITIES,
    GRID_DATASETS,
    compare,
    read_grid,
    run_demo,
    run_training,
)
from numpy_setlstm.lab.experiment.grid_files import QUICK, grid_from, parse_seeds, parse_setting
from numpy_setlstm.lab.experiment.results import MODEL_FILE
from numpy_setlstm.lab.options import GRADCHECK_SIZES, TRAIN_PARAMETERS, WORK_OPTIONS
from numpy_setlstm.lab.selfcheck import METHODS, run_selfcheck
from numpy_setlstm.lab.shares.commands import add_search_options, add_shares_options, run_search, run_shares
from numpy_setlstm.lab.writing import add_write_options, run_write
from numpy_setlstm.layers.pooling import POOLINGS

EXIT_WRONG, EXIT_ERROR, EXIT_INTERRUPTED = 1, 2, 130
FIRST_STEPS = """\
No command was given. To begin, try one of these:

  numpy-setlstm demo --output demo     train three networks on made-up reviews, and draw what happened (a minute)
  numpy-setlstm gradcheck              check every gradient before your eyes (seconds)
  numpy-setlstm train --dataset reviews.csv --output runs/reviews
                                       train on texts of your own: a text and its label in each row
"""


def main(arguments=None):
    """Run the command line.

    Parameters
    ----------
    arguments : list of str, optional
        Without the program's name; those of the process by default.

    Returns
    -------
    int
        0 if all went well, 1 if `gradcheck` or `check` found something wrong, 2 for an error, which is reported in one
        line, or 130 if interrupted.
    """
    try:
        parser = build_parser()
        options = parser.parse_args(arguments)
        if options.command is None:
            complain(f"{FIRST_STEPS}\n{parser.format_help().rstrip()}")
            return EXIT_ERROR
        warnings.formatwarning = lambda message, *_, **__: f"{message}\n"
        return options.command(options)
    except KeyboardInterrupt:
        complain("numpy-setlstm: interrupted")
        return EXIT_INTERRUPTED
    except (ValueError, TypeError, OSError, ArithmeticError, MemoryError, ImportError, Warning, PeerError) as error:
        complain(f"numpy-setlstm: error: {in_one_line(error)}")
    except Exception as error:  # a mistake of this package
        if sys.flags.dev_mode:
            raise
        where = "this is a bug; python -X dev -m numpy_setlstm with the same options shows where"
        complain(f"numpy-setlstm: error: {type(error).__name__}: {in_one_line(error)}; {where}")
    return EXIT_ERROR


def demo(options):
    """Train dense, static and evolved networks on synthetic reviews."""
    results = run_demo(options.output, seed=options.seed, progress=True, report=say)
    return EXIT_INTERRUPTED if results[-1]["interrupted"] else 0


def train(options):
    """Train one network on real reviews."""
    model_path = Path(options.output) / MODEL_FILE
    given = {name: getattr(options, name) for name in TRAIN_PARAMETERS if getattr(options, name) is not None}
    given.setdefault("n_jobs", -1)
    if options.resume:
        if options.seed is not None:
            raise ValueError("--seed was used up when training began; leave it out with --resume")
        clf = SetLSTMClassifier.load(model_path).set_params(progress=True, **given)
    else:
        if model_path.exists():
            raise FileExistsError(f"{model_path} exists: continue with --resume, or choose another --output")
        clf = SetLSTMClassifier(random_state=options.seed or 0, progress=True, without_known_words="accept", **given)
    reviews = read_reviews(options)
    say(f"{reviews}\nlabels: {reviews.rule}")
    result = run_training(clf, reviews, options.output, resume=options.resume, report=say)
    if result["interrupted"]:
        complain("interrupted; the same command with --resume continues")
        return EXIT_INTERRUPTED
    return 0


def read_reviews(options):
    """The reviews to train on: of a data set, or of a file."""
    columns = {"text": options.text_column, "label": options.label_column}
    if is_table(options.dataset):
        return load_table(options.dataset, **columns)
    if columns != {"text": None, "label": None}:
        raise ValueError(f"--text-column and --label-column are for files; leave them out for {options.dataset}")
    return load_dataset(options.dataset, options.data_home, download=options.download)


def run_comparison(options):
    """Compare connectivities over data sets and seeds, in a table."""
    given = {key: getattr(options, key) for key in ("datasets", "connectivities", "seeds", "settings")}
    given = {key: value for key, value in given.items() if value is not None}
    ways = [way for way in ("grid", "quick", "report_only") if getattr(options, way)]
    if len(ways) + (not ways and bool(given)) != 1 or (given and ways and ways != ["quick"]):
        raise ValueError(
            "give one of --grid FILE, --quick, --report-only, or --datasets with --connectivities; --quick takes "
            "--seeds and --set as well"
        )
    grid = None
    if options.grid:
        grid = read_grid(options.grid)
    elif not options.report_only:
        settings = dict(parse_setting(text) for text in options.settings or ())
        seeds = {"seeds": parse_seeds(options.seeds)} if options.seeds else {}
        names_given = {key: given[key] for key in ("datasets", "connectivities") if key in given}
        grid = grid_from((QUICK if options.quick else {}) | names_given | seeds | {"settings": settings}, "the options")
    interrupted = compare(
        grid,
        options.output,
        scheduler=options.scheduler,
        report_only=options.report_only,
        pages=options.pages or (),
        workers=options.workers,
        data_home=options.data_home,
        save_models=options.save_models,
        retry_failed=options.retry_failed,
        progress=True,
        report=say,
    )
    if interrupted:
        complain("interrupted; the same command continues")
    return EXIT_INTERRUPTED if interrupted else 0


def search(options):
    """Search for recipes at random: as many trials for every kind of network, judged on validation texts."""
    return EXIT_INTERRUPTED if run_search(options) else 0


def shares(options):
    """Draw accuracy against the share of parameters, for many kinds of networks."""
    return EXIT_INTERRUPTED if run_shares(options) else 0


def benchmark(options):
    """Time this package against peers at the same work."""
    given = {field: getattr(options, field) for field in WORK_OPTIONS if getattr(options, field) is not None}
    if options.rows and given:
        raise ValueError(f"--rows names whole works; leave out {', '.join(WORK_OPTIONS[field][0] for field in given)}")
    unknown = [row for row in options.rows or () if row not in ROWS]
    if unknown:
        raise ValueError(f"there is no row {unknown[0]!r}; there are {', '.join(ROWS)}")
    if "recurrent_density" in given:
        given = {"share": None} | given
    works = {f"row {row}": ROWS[row] for row in options.rows} if options.rows else {"work": Work(**given)}
    results = run_benchmark(
        options.output,
        options.peers,
        works,
        threads=options.threads,
        repeats=options.repeats,
        time_limit=None if options.full else options.time_limit,
        sweeps=options.full or not options.rows,
        busy=options.busy,
        max_hidden=(65_536 if options.full else 4096) if options.max_hidden is None else options.max_hidden,
        progress=True,
        report=say,
    )
    return EXIT_INTERRUPTED if results["interrupted"] else 0


def predict(options):
    """Label texts with a saved model."""
    clf = SetLSTMClassifier.load(options.model)
    clf.set_params(without_known_words=options.unknown, n_jobs=options.jobs)
    texts = [as_text(text) for text in options.texts] or read_lines(sys.stdin.buffer)
    probabilities = clf.predict_proba(texts)
    pairs = zip(texts, probabilities, strict=True)
    say("\n".join(f"{clf.classes_[row.argmax()]}\t{row.max():.3f}\t{text}" for text, row in pairs))
    return 0


def write(options):
    """Train a language model, which writes after each epoch; or let a saved one write."""
    return 0 if run_write(options) else EXIT_INTERRUPTED


def gradcheck(options):
    """Check every gradient of a dense and of a sparse network."""
    sizes = {name: getattr(options, name) for name in GRADCHECK_SIZES}
    methods = METHODS if options.method == "both" else [options.method]
    sizes |= {"bidirectional": options.bidirectional, "pooling": options.pooling}
    right = run_selfcheck(seed=options.seed, methods=methods, output=options.output, report=say, **sizes)
    return 0 if right else EXIT_WRONG


def release(options):
    """Make the student version of an assignment."""
    run_release(options)
    return 0


def check(options):
    """Run the visible checks of an assignment on a file."""
    return 0 if run_check(options) else EXIT_WRONG


def grade(options):
    """Grade submissions, each in a process of its own."""
    run_grade(options)
    return 0


class OneLineParser(argparse.ArgumentParser):
    """Reports an error in one line, like the rest of the program."""

    def error(self, message):
        """Print one line and exit."""
        self.exit(EXIT_ERROR, f"{self.prog}: error: {message} (see {self.prog} --help)\n")

    def _print_message(self, message, file=None):  # argparse's own is silent about output that cannot be written
        if message:
            (say if file is sys.stdout else complain)(message.removesuffix("\n"))


def build_parser():
    """Make the parser; `command` of what it returns is the function to call."""
    parser = OneLineParser(
        prog="numpy-setlstm", description="Sparse LSTMs that choose their connections while they learn, in NumPy."
    )
    parser.add_argument("--version", action="version", version=f"numpy-setlstm {__version__}")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(metavar="COMMAND")
    for name, (function, add_options) in COMMANDS.items():
        command = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
        add_options(command)
        command.set_defaults(command=function)
    return parser


def add_demo_options(parser):
    """Add the options of `demo`."""
    add = parser.add_argument
    add("--output", default="demo", type=path, metavar="DIR", help="for results and pictures (default: demo)")
    add("--seed", type=seed_number, default=0, help="(default: 0)")


def add_train_options(parser):
    """Add the options of `train`; those of the classifier are called like its parameters."""
    add = parser.add_argument
    dataset = f"one of {', '.join(DATASETS)}, or a CSV or TSV file with labeled texts"
    add("--dataset", required=True, type=dataset_name, metavar="NAME", help=dataset)
    for kind in ("text", "label"):
        which = f"column of a file that has the {kind}s, by its name or its position from 0 (default: by its name)"
        add(f"--{kind}-column", type=column, metavar="COLUMN", help=which)
    home = f"folder of the data sets (default: the variable {DATA_HOME_VARIABLE})"
    add("--data-home", type=path, metavar="DIR", help=home)
    add("--download", action="store_true", help="download the data set if it is missing")
    add("--seed", type=seed_number, help="(default: 0)")
    add("--output", required=True, type=path, metavar="DIR", help="for the model, results and pictures")
    add("--resume", action="store_true", help="continue training the model in DIR")
    defaults = SetLSTMClassifier().get_params()
    for name, settings in TRAIN_PARAMETERS.items():
        default = "" if defaults[name] is None else f" (default: {defaults[name]})"
        option = "--" + name.removeprefix("n_").replace("_", "-")
        add(option, dest=name, **settings | {"help": settings["help"] + default})


def add_compare_options(parser):
    """Add the options of `compare`."""
    add = parser.add_argument
    add("--output", required=True, type=path, metavar="DIR", help="for results and tables; continues there")
    add("--grid", type=path, metavar="FILE", help="what to run, in TOML or JSON: see docs/comparing.md")
    add("--quick", action="store_true", help="a grid that takes less than ten minutes")
    add("--report-only", action="store_true", help="only make the tables of the results in DIR")
    page = "Markdown page to write the results into; may be repeated"
    add("--page", action="append", dest="pages", type=path, metavar="FILE", help=page)
    add("--datasets", type=names, metavar="NAMES", help=f"some of {','.join(GRID_DATASETS)}, or files")
    add("--connectivities", type=names, metavar="NAMES", help=f"some of {','.join(GRID_CONNECTIVITIES)}")
    add("--seeds", metavar="SEEDS", help="how many, as in 5, or which, as in 0,1,2 (default: 0)")
    setting = "parameter of SetLSTMClassifier; every value is run; may be repeated for other parameters"
    add("--set", action="append", dest="settings", metavar="NAME=VALUE[,VALUE...]", help=setting)
    add("--data-home", type=path, metavar="DIR", help=f"folder of the data sets ({DATA_HOME_VARIABLE})")
    add("--workers", type=whole, metavar="N", help="processes (default: one per core)")
    add("--scheduler", metavar="ADDRESS", help="of a Dask cluster that computes the runs")
    add("--save-models", action="store_true", help="keep the models beside the results")
    add("--retry-failed", action="store_true", help="repeat the runs that failed")


def add_benchmark_options(parser):
    """Add the options of `benchmark`."""
    add = parser.add_argument
    add("--output", required=True, type=path, metavar="DIR", help="for results and pictures")
    peers = [name for name in PEERS if name != OURS]
    add("--peers", type=names, default=peers, metavar="NAMES", help=f"some of {','.join(peers)} (default: all)")
    rows = "named works: " + "; ".join(f"{k}: {w}" for k, w in ROWS.items()).replace("%", "%%")
    add("--rows", type=names, metavar="NUMBERS", help=rows)
    for field, (option, settings) in WORK_OPTIONS.items():
        add(option, dest=field, **settings)
    add("--threads", type=whole, metavar="N", help="of each peer (default: one per core)")
    add("--repeats", type=whole, default=REPEATS, metavar="N", help=f"rounds at most (default: {REPEATS})")
    limit = f"roughly; what does not fit is left out, but for nine rounds (default: {QUICK_SECONDS})"
    add("--time-limit", type=finite, default=QUICK_SECONDS, metavar="SECONDS", help=limit)
    add("--busy", type=whole, default=0, metavar="K", help="beside K processes that never rest (default: 0)")
    add("--full", action="store_true", help="no time limit: all densities and sizes, at the work's own size")
    largest = "largest size of the sweep (default: 4096, with --full 65536)"
    add("--max-hidden", type=whole, metavar="H", help=largest)


def add_predict_options(parser):
    """Add the options of `predict`."""
    parser.add_argument("model", type=path, metavar="MODEL", help=f"a {MODEL_FILE} that train saved")
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="without any, each line of standard input, in UTF-8")
    jobs = "processes that share the work (default: -1, all cores)"
    parser.add_argument("--jobs", type=whole, default=-1, metavar="N", help=jobs)
    unknown = parser.add_mutually_exclusive_group()
    parser.set_defaults(unknown="warn")
    for option, value, text in (
        ("--accept-unknown", "accept", "classify texts without a known word without a warning"),
        ("--reject-unknown", "error", "end with an error at a text without a known word"),
    ):
        unknown.add_argument(option, action="store_const", dest="unknown", const=value, help=text)


def add_gradcheck_options(parser):
    """Add the options of `gradcheck`."""
    add = parser.add_argument
    add("--seed", type=seed_number, default=0, help="of everything (default: 0)")
    both = "complex step, central differences (default: both)"
    add("--method", choices=(*METHODS, "both"), default="both", help=both)
    for name, (option, default, text) in GRADCHECK_SIZES.items():
        kind = whole if isinstance(default, int) else finite
        add(option, dest=name, type=kind, default=default, metavar="X", help=f"{text} (default: {default})")
    add("--bidirectional", action="store_true", help="check networks that read from both ends")
    add("--pooling", choices=POOLINGS, default=POOLINGS[0], help=f"what the readout reads (default: {POOLINGS[0]})")
    add("--output", type=path, metavar="DIR", help="folder for a picture: the error against the step size")


COMMANDS = {
    "demo": (demo, add_demo_options),
    "train": (train, add_train_options),
    "compare": (run_comparison, add_compare_options),
    "search": (search, add_search_options),
    "shares": (shares, add_shares_options),
    "benchmark": (benchmark, add_benchmark_options),
    "predict": (predict, add_predict_options),
    "write": (write, add_write_options),
    "gradcheck": (gradcheck, add_gradcheck_options),
    "release": (release, add_release_options),
    "check": (check, add_check_options),
    "grade": (grade, add_grade_options),
}
