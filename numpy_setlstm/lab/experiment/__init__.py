"""Experiments: one network trained and tested, the demo, and grids of data sets, connectivities, seeds and settings."""

from numpy_setlstm.lab.experiment.compare import compare
from numpy_setlstm.lab.experiment.demo import demo_reviews, run_demo, run_training
from numpy_setlstm.lab.experiment.grid import GRID_CONNECTIVITIES, GRID_DATASETS, Grid, GridError
from numpy_setlstm.lab.experiment.grid_files import read_grid

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
