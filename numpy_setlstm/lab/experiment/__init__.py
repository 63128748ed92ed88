"""Experiments: one network trained and tested, the demo, and grids of data sets, connectivities, seeds and settings."""

from numpy_setlstm.lab.experiment.compare import compare
from numpy_setlstm.lab.experiment.demo import DEMO_PARAMETERS, demo_reviews, run_demo, run_training  # noqa: F401
from numpy_setlstm.lab.experiment.grid import GRID_CONNECTIVITIES, GRID_DATASETS, Grid, GridError
from numpy_setlstm.lab.experiment.grid_files import QUICK, grid_from, parse_seeds, parse_setting, read_grid  # noqa: F401
from numpy_setlstm.lab.experiment.results import MODEL_FILE, format_table  # noqa: F401
from numpy_setlstm.lab.files import write_json  # noqa: F401

__all__ = [
    "GRID_CONNECTIVITIES",
    "GRID_DATASETS",
    "Grid",
    "GridError",
    "compare",
    "demo_reviews",
    "read_grid",
    "run_demo",
    "run_training",
]
