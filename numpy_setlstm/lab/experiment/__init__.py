"""Experiments: one network trained and tested, the demo, and grids of data sets, connectivities, seeds and settings."""

from numpy_setlstm.lab.experiment.compare import compare, run_grid
from numpy_setlstm.lab.experiment.demo import (
    DEMO_PARAMETERS,
    DEMO_RATES,
    DEMO_TEST,
    DEMO_TRAIN,
    demo_reviews,
    run_demo,
    run_training,
    save_pictures,
)
from numpy_setlstm.lab.experiment.grid import GRID_CONNECTIVITIES, GRID_DATASETS, Grid, GridError, RunSpec
from numpy_setlstm.lab.experiment.grid_files import QUICK, grid_from, parse_seeds, parse_setting, read_grid
from numpy_setlstm.lab.experiment.results import (
    MODEL_FILE,
    format_table,
    peak_memory_mib,
    result_of,
    run,
    turnover,
    write_json,
)

__all__ = [
    "DEMO_PARAMETERS",
    "DEMO_RATES",
    "DEMO_TEST",
    "DEMO_TRAIN",
    "GRID_CONNECTIVITIES",
    "GRID_DATASETS",
    "Grid",
    "GridError",
    "MODEL_FILE",
    "QUICK",
    "RunSpec",
    "compare",
    "demo_reviews",
    "format_table",
    "grid_from",
    "parse_seeds",
    "parse_setting",
    "peak_memory_mib",
    "read_grid",
    "result_of",
    "run",
    "run_demo",
    "run_grid",
    "run_training",
    "save_pictures",
    "turnover",
    "write_json",
]
