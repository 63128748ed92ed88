"""The page "Does the claim hold?" and the README agree with the results in docs/results."""

import shutil
from pathlib import Path

import pytest

from numpy_setlstm.lab.experiment import read_grid
from numpy_setlstm.lab.experiment.page import fill_page
from numpy_setlstm.lab.experiment.store import Store
from numpy_setlstm.lab.experiment.tables import make_rows

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "docs" / "results"
SPARSE = ("static", "set", "set-magnitude", "set-gradient", "set-cosine", "dense-pruned")


@pytest.mark.parametrize("page", ["docs/claim.md", "README.md"])
def test_the_page_agrees_with_the_results(page, tmp_path):
    copy = shutil.copy(ROOT / page, tmp_path)
    fill_page(copy, Store(RESULTS))
    command = "numpy-setlstm compare --report-only --output docs/results --page docs/claim.md --page README.md"
    assert Path(copy).read_text(encoding="utf8") == (ROOT / page).read_text(encoding="utf8"), f"run {command}"


def test_every_run_of_the_grid_has_a_result():
    expected = {run.name for run in read_grid(RESULTS / "grid.json").runs()}
    assert {path.stem for path in (RESULTS / "runs").glob("*.json")} == expected


def test_every_sparse_network_has_less_than_four_percent_of_the_parameters():
    rows = [row for row in make_rows(Store(RESULTS).documents()) if row.connectivity in SPARSE]
    assert rows
    for row in rows:
        parameters = {document["result"]["parameters"] for document in row.documents}
        dense = {document["result"]["dense_parameters"] for document in row.documents}
        assert max(parameters) < 0.04 * min(dense), f"{row.dataset} {row.connectivity}"
