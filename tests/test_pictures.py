"""Pictures and distances of a grid's results."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from numpy_setlstm.lab.experiment import Grid, GridError, compare
from numpy_setlstm.lab.experiment.compare import run_grid
from numpy_setlstm.lab.experiment.distances import topological_distances
from numpy_setlstm.lab.experiment.page import BLOCKS, fill_page
from numpy_setlstm.lab.experiment.pictures import write_pictures
from numpy_setlstm.lab.experiment.store import Store
from numpy_setlstm.lab.experiment.tables import make_rows

TINY = {"train_texts": 60, "test_texts": 20, "n_epochs": 3, "hidden_size": 8, "embedding_dim": 8, "er_epsilon": 2}
GRID = Grid(("demo",), ("dense", "set", "tfidf"), (0, 1), TINY | {"max_length": 20})


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    output = tmp_path_factory.mktemp("pictures")
    with ThreadPoolExecutor(1) as executor:
        run_grid(GRID, output, executor=executor, save_models=True, report=lambda line: None)
    return Store(output)


def test_each_picture_is_written(store):
    paths = write_pictures(store)
    expected = ["accuracies.png", "differences.png", "evolution_demo.png", "distances.png", "distances_demo.png"]
    assert [path.name for path in paths] == expected
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_distances_of_kept_models_are_computed_once(store, monkeypatch):
    rows = make_rows(store.documents())
    (entry,) = topological_distances(store, rows)
    assert (entry["dataset"], entry["connectivity"], entry["seeds"]) == ("demo", "set", [0, 1])
    distances = np.array(entry["distances"])
    assert distances.shape == (2, 2) and np.array_equal(distances, distances.T) and 0 < distances[0, 1] <= 1
    assert entry["baselines"]["shuffled copy"] < 0.2 < entry["baselines"]["independent random"]
    monkeypatch.setattr("numpy_setlstm.lab.experiment.distances._compute", None)  # called only for new distances
    assert topological_distances(store, rows) == [entry]
    assert json.loads((store.output / "distances.json").read_text())["distances"] == [entry]


def test_distances_stay_when_the_models_are_gone(store, tmp_path):
    (entry,) = topological_distances(store, make_rows(store.documents()))
    (tmp_path / "distances.json").write_text(json.dumps({"distances": [entry]}))
    assert topological_distances(Store(tmp_path), make_rows(store.documents())) == [entry]


def test_without_scipy_the_other_pictures_are_drawn_and_a_line_says_why(store, monkeypatch, tmp_path):
    (store.output / "distances.json").unlink(missing_ok=True)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    lines = []
    names = [path.name for path in write_pictures(store, lines.append)]
    assert names == ["accuracies.png", "differences.png", "evolution_demo.png"]
    assert lines[0].startswith("no distances between networks: ") and "pip install" in lines[0]


def test_a_folder_without_results_has_no_pictures(tmp_path):
    Store(tmp_path).prepare()
    assert write_pictures(Store(tmp_path)) == []


def page_with(path, *names):
    path.write_text("".join(f"# {name}\n<!-- results: {name} -->\n<!-- end of results -->\nprose\n" for name in names))
    return path


def test_results_are_written_into_a_page_between_the_marks(store, tmp_path):
    topological_distances(store, make_rows(store.documents()))
    page = page_with(tmp_path / "page.md", "table demo", *BLOCKS)
    fill_page(page, store)
    text = page.read_text()
    assert text.count("prose\n") == len(BLOCKS) + 1 and text.count("# ") == len(BLOCKS) + 1
    blocks = dict(zip(["table demo", *BLOCKS], text.split("<!-- end of results -->"), strict=False))
    networks = [line.split(" | ")[0].strip("| ") for line in blocks["table demo"].splitlines() if line.startswith("| ")]
    assert networks == ["network", "---", "dense", "set", "tfidf"]
    assert "**demo**, 2 seeds" in blocks["verdict"] and "on 1 data sets" not in blocks["verdict"]
    assert "of 1 data sets" in blocks["verdict"]
    (line,) = [line for line in blocks["summary"].splitlines() if line.startswith("| demo")]
    _, seeds, dense, static, *_ = line.split(" | ")
    assert seeds == "2" and dense.endswith(" %") and static == "–"  # no static network was trained
    assert "| demo | set | 2 |" in blocks["distances"]
    assert [line.split(" | ")[1] for line in blocks["topology"].splitlines() if line.startswith("| demo")] == [
        "E",
        "W_x",
        "W_h",
    ]
    assert "| demo | 5 |" in blocks["cost"] and "| all | 5 |" in blocks["cost"]


def test_filling_a_page_again_changes_nothing(store, tmp_path):
    page = page_with(tmp_path / "page.md", "table demo", "verdict")
    before = fill_page(page, store).read_bytes()
    assert fill_page(page, store).read_bytes() == before


def test_a_page_is_filled_after_the_tables(store, tmp_path):
    page, lines = page_with(tmp_path / "page.md", "cost"), []
    compare(None, store.output, report_only=True, pages=[page], report=lines.append)
    assert lines[-1] == f"wrote {page}" and "core hours" in page.read_text()


def test_an_unknown_block_leaves_the_page_unchanged(store, tmp_path):
    page = page_with(tmp_path / "page.md", "verdict", "table mnist")
    before = page.read_text()
    with pytest.raises(GridError, match="'table mnist' is unknown; expected one of verdict, .*table demo"):
        fill_page(page, store)
    assert page.read_text() == before


def test_a_page_without_marks_is_rejected(store, tmp_path):
    (tmp_path / "page.md").write_text("nothing here\n")
    with pytest.raises(GridError, match="no place for results"):
        fill_page(tmp_path / "page.md", store)
