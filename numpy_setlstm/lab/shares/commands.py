"""The commands `search` and `shares`: their options, and what they call."""

from numpy_setlstm.datasets import DATA_HOME_VARIABLE
from numpy_setlstm.lab.console import finite, names, path, say, whole
from numpy_setlstm.lab.experiment.grid import GRID_DATASETS, check_seeds
from numpy_setlstm.lab.experiment.grid_files import parse_seeds, parse_setting
from numpy_setlstm.lab.rivals import RIVALS
from numpy_setlstm.lab.shares.search import N_TRIALS, search
from numpy_setlstm.lab.shares.sweep import KINDS, QUICK, SHARES, sweep


def run_search(options):
    """Call :func:`search` with the options of the command line; True if interrupted."""
    trials = {"trials": options.trials, "share": options.share}
    return search(options.datasets, options.connectivities, options.output, **trials, **_in_common(options))


def run_shares(options):
    """Call :func:`sweep` with the options of the command line; True if interrupted."""
    if sum([options.quick, options.report_only, bool(options.datasets)]) != 1:
        raise ValueError("give one of --datasets, --quick and --report-only")
    given = {key: getattr(options, key) for key in ("datasets", "connectivities") if getattr(options, key)}
    if options.shares:
        given["shares"] = options.shares
    given |= _in_common(options)
    if options.quick:
        given = QUICK | given | {"settings": QUICK["settings"] | given["settings"]}
    return sweep(options.output, report_only=options.report_only, pages=options.pages or (), **given)


def _in_common(options):
    seeds = {"seeds": check_seeds(parse_seeds(options.seeds))} if options.seeds else {}
    settings = {"settings": dict(parse_setting(text) for text in options.settings or ())}
    same = {key: getattr(options, key) for key in ("workers", "data_home")} | {"shared": options.shared or ()}
    return seeds | settings | same | {"progress": True, "report": say}


def add_search_options(parser):
    """Add the options of `search`."""
    _add_options_in_common(parser)
    add, kinds = parser.add_argument, f"some of {','.join(RIVALS)}"
    add("--datasets", type=names, required=True, metavar="NAMES", help=f"some of {','.join(GRID_DATASETS)}, or files")
    add("--connectivities", type=names, required=True, metavar="NAMES", help=kinds)
    add("--trials", type=whole, default=N_TRIALS, metavar="N", help=f"of each kind (default: {N_TRIALS})")
    add("--share", type=finite, default=0.01, help="of the dense network's parameters (default: 0.01)")


def add_shares_options(parser):
    """Add the options of `shares`."""
    _add_options_in_common(parser)
    add, kinds = parser.add_argument, f"some of {','.join(RIVALS)} (default: {','.join(KINDS)})"
    add("--quick", action="store_true", help="some runs that take less than ten minutes")
    add("--report-only", action="store_true", help="only draw the results in DIR")
    page = "Markdown page to write the results into; may be repeated"
    add("--page", action="append", dest="pages", type=path, metavar="FILE", help=page)
    add("--datasets", type=names, metavar="NAMES", help=f"some of {','.join(GRID_DATASETS)}, or files")
    add("--connectivities", type=names, metavar="NAMES", help=kinds)
    default = ",".join(f"{share:g}" for share in SHARES)
    add("--shares", type=_shares, metavar="SHARES", help=f"of the dense network's parameters (default: {default})")


def _shares(text):
    """Numbers, as in 0.005,0.01."""
    return tuple(map(finite, names(text)))


def _add_options_in_common(parser):
    add = parser.add_argument
    add("--output", required=True, type=path, metavar="DIR", help="for results; continues there")
    add("--seeds", metavar="SEEDS", help="how many, as in 5, or which, as in 0,1,2")
    add("--set", action="append", dest="settings", metavar="NAME=VALUE", help="parameter of all; may be repeated")
    together = "data sets with one recipe per kind, also for those without a search; may be repeated"
    add("--shared", action="append", type=names, metavar="NAMES", help=together)
    add("--data-home", type=path, metavar="DIR", help=f"folder of the data sets ({DATA_HOME_VARIABLE})")
    add("--workers", type=whole, metavar="N", help="processes (default: one per core)")
