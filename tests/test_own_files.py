"""Training and comparing on files with labeled texts of one's own."""

import json

import numpy as np
import pytest
from test_cli import SMALL
from test_cli import run as run_command
from test_compare import TINY, results, silent
from test_compare import run as run_here
from test_datasets import csv_text

from numpy_setlstm import SetLSTMClassifier, cli
from numpy_setlstm.datasets import DATASETS, Reviews, make_reviews
from numpy_setlstm.lab.experiment import Grid, GridError, compare
from numpy_setlstm.lab.experiment.grid import DATASET_RATES, DATASET_SETTINGS
from numpy_setlstm.lab.experiment.grid_files import grid_from
from numpy_setlstm.lab.experiment.results import accuracies_of
from numpy_setlstm.lab.experiment.statistics import METRICS, confusion_counts

SETTINGS = {name: value for name, value in TINY.items() if name not in ("train_texts", "test_texts")}


def write_hotels(path, n_texts=60, n_labels=2, header=("label", "text")):
    texts, labels = make_reviews(n_texts, np.random.default_rng(0))
    rows = [
        ("abc"[k % 3] if n_labels == 3 else label, text)
        for k, (text, label) in enumerate(zip(texts, labels, strict=True))
    ]
    path.parent.mkdir(exist_ok=True)
    path.write_text(csv_text([header, *rows]), newline="")
    return path


@pytest.mark.parametrize("n_labels", [2, 3])
def test_train_and_resume(capsys, tmp_path, n_labels):
    path = write_hotels(tmp_path / "hotels.csv", n_labels=n_labels)
    command = ["train", "--dataset", path, "--output", tmp_path / "run", *SMALL]
    code, out, err = run_command(capsys, *command)
    names = "0, 1" if n_labels == 2 else "a, b, c"
    assert code == 0 and err == "" and f"Reviews(hotels: train 48, test 12, labels {names})" in out
    assert "labels: Labels are those of column 'label'.\n" in out
    (result,) = json.loads((tmp_path / "run/results.json").read_text())["runs"]
    assert result["dataset"] == "hotels" and result["test_texts"] == 12
    assert run_command(capsys, *command, "--epochs", "3", "--resume")[0] == 0
    assert SetLSTMClassifier.load(tmp_path / "run/model.npz").classes_.tolist() == names.split(", ")
    path.write_text(path.read_text() + "1,one more text\n")
    code, _, err = run_command(capsys, *command, "--epochs", "4", "--resume")
    assert code == 2 and "differ from those training began with" in err


def test_train_on_columns_that_are_named(capsys, tmp_path):
    path = write_hotels(tmp_path / "hotels.csv", header=("Urteil", "Satz"))
    command = ["train", "--dataset", path, "--output", tmp_path / "run", *SMALL]
    code, _, err = run_command(capsys, *command)
    assert code == 2 and "is the first row a header? Its label, 'Urteil', is nowhere else" in err
    assert run_command(capsys, *command, "--text-column", "1", "--label-column", "Urteil")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dataset", "nowhere.csv"], "nowhere.csv is missing; expected a file"),
        (
            ["--dataset", "{tmp}/hotels.csv", "--label-column", "stars"],
            "the column 'stars' is missing; there are 'label'",
        ),
        (["--dataset", "{tmp}/hotels.csv", "--text-column", "2"], "has no column 2; expected a position from 0 to 1"),
        (["--dataset", "imdb", "--text-column", "0"], "--text-column and --label-column are for files"),
        (["--dataset", "hotels"], "'hotels' is no data set; expected one of imdb"),
    ],
)
def test_an_error_of_train_is_one_line(capsys, tmp_path, arguments, message):
    write_hotels(tmp_path / "hotels.csv")
    try:
        arguments = [argument.format(tmp=tmp_path) for argument in arguments]
        code, _, err = run_command(capsys, "train", *arguments, "--output", tmp_path / "run")
    except SystemExit as stop:  # told by the parser
        code, err = stop.code, capsys.readouterr().err
    assert code == 2 and err.count("\n") == 1 and message in err
    assert not (tmp_path / "run").exists()


def test_accuracies_of_more_than_two_labels():
    labels, names = np.array([0, 0, 0, 1, 2, 2]), ("x", "y", "z")
    reviews = Reviews("mine", [], labels, [""] * 6, labels, "", names)
    found = accuracies_of(reviews, np.array(["x", "x", "y", "y", "x", "y"]))
    assert found["test_accuracy"] == 3 / 6
    assert found["test_balanced_accuracy"] == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_accuracies_of_two_labels_are_the_metrics_of_the_tables():
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(2, size=57), rng.integers(2, size=57)
    reviews = Reviews("mine", [], labels, [""] * 57, labels, "")
    found = accuracies_of(reviews, np.array(reviews.label_names)[predicted])
    counts = confusion_counts(predicted, labels)
    assert found["test_accuracy"] == METRICS["accuracy"](counts)
    assert found["test_balanced_accuracy"] == METRICS["balanced accuracy"](counts)


# Grids


def test_a_grid_names_a_file_without_its_folder_and_ending(tmp_path):
    path = write_hotels(tmp_path / "data" / "hotels.csv")
    only = {"hotels": {"n_epochs": 1, "text_column": "text", "seeds": 1}, "hotels/set": {"zeta": 0.2}}
    runs = Grid(("sanders", str(path)), ("dense", "set"), 2, only=only).runs()
    assert [run.dataset for run in runs] == ["sanders", "sanders", "hotels", "hotels", "sanders", "sanders"]
    assert runs[3].settings == {"n_epochs": 1, "text_column": "text", "zeta": 0.2}
    assert runs[3].path == str(path.resolve()) and runs[0].path is None
    assert "path" not in runs[3].to_json() and runs[3].name.startswith("hotels_set_seed0_")


@pytest.mark.parametrize(
    ("datasets", "change", "message"),
    [
        (["hotels"], {}, "datasets has 'hotels'; expected some of demo, imdb"),
        (["hotels"], {}, "or files in .csv, .tsv, .tab, .txt"),
        (["a.csv", "a.csv"], {}, "datasets has 'a.csv' twice"),
        (["a.csv", "b/a.tsv.gz"], {}, "two files of one name, which results would confuse: a.csv, b/a.tsv.gz"),
        (["imdb.csv"], {}, "imdb.csv would be 'imdb' in the results, which means something else: rename the file"),
        (["set.csv"], {}, "set.csv would be 'set' in the results"),
        (["a|b.csv"], {}, "'a|b.csv': expected a name of at most 100 characters, without |"),
        (["a" * 101 + ".csv"], {}, "expected a name of at most 100 characters"),
        (["a.csv"], {"only": {"b": {}}}, "only has 'b'; expected a data set (demo, imdb"),
        (["a.csv"], {"settings": {"text_column": 0.5}}, "text_column is 0.5; expected the name of a column"),
        (["demo"], {"settings": {"text_column": 0}}, "demo has text_column, which only files accept"),
        (["a.csv"], {"settings": {"train_texts": 100}}, "a has train_texts, which only demo accepts"),
    ],
)
def test_an_invalid_grid_of_files_is_rejected(datasets, change, message):
    with pytest.raises(GridError) as caught:
        grid_from({"datasets": datasets, "connectivities": ["set"]} | change)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_compare_a_file_beside_the_demo_and_notice_its_change(capsys, tmp_path):
    path, output = write_hotels(tmp_path / "hotels.csv"), tmp_path / "out"
    page = tmp_path / "page.md"
    page.write_text("<!-- results: table hotels -->\n<!-- end of results -->\n")
    options = [f"--set={name}={value}" for name, value in SETTINGS.items()]
    command = ["compare", "--output", output, "--workers", "1", *options, "--datasets", path, "--page", page]
    command += ["--connectivities", "dense,set,tfidf"]
    code, out, err = run_command(capsys, *command)
    assert code == 0 and err == "" and "3 runs: 0 have results, 3 to do" in out and "hotels" in out
    assert "| tfidf |" in page.read_text() and (output / "evolution_hotels.png").exists()
    documents = [file.read_text() for file in (output / "runs").iterdir()]
    assert all('"hotels"' in text and str(tmp_path) not in text for text in documents)
    before = results(output)
    _, out, err = run_command(capsys, *command)
    assert "3 runs: 3 have results, 0 to do" in out and err == ""
    path.write_text(path.read_text() + "1,one more text\n")
    with pytest.warns(UserWarning, match=r"hotels_\w+: the texts of the file have changed; its run is repeated"):
        _, out, _ = run_command(capsys, *command)
    assert "3 runs: 0 have results, 3 to do" in out
    assert {document["data"] for document in results(output).values()}.isdisjoint(
        {document["data"] for document in before.values()}
    )
    assert "3 runs: 3 have results" in run_command(capsys, *command)[1]


def test_the_columns_of_a_file_are_settings(tmp_path):
    path = write_hotels(tmp_path / "hotels.csv", header=("Urteil", "Satz"))
    settings = SETTINGS | {"text_column": "Satz", "label_column": 0}
    grid = Grid((str(path),), ("static", "tfidf"), (0,), settings)
    assert run_here(grid, tmp_path / "out") is False
    documents = results(tmp_path / "out").values()
    assert [document["status"] for document in documents] == ["done", "done"]
    assert all(document["spec"]["settings"]["text_column"] == "Satz" for document in documents)


@pytest.mark.parametrize("n_labels", [0, 3])
def test_a_file_that_compare_cannot_take_is_told_before_anything_runs(capsys, tmp_path, n_labels):
    path = write_hotels(tmp_path / "hotels.csv", n_labels=n_labels) if n_labels else tmp_path / "hotels.csv"
    command = ["compare", "--output", tmp_path / "out", "--datasets", f"demo,{path}", "--connectivities", "set"]
    code, _, err = run_command(capsys, *command)
    assert code == 2 and err.count("\n") == 1
    assert ("has 3 labels, a, b, c; compare needs two: use train" if n_labels else "is missing; expected a file") in err
    assert not list((tmp_path / "out").rglob("*.json"))


def test_the_sentences_have_the_settings_of_the_other_small_set(tmp_path):
    for name in DATASETS[4:]:
        assert DATASET_SETTINGS[name] == DATASET_SETTINGS["sanders"] and DATASET_RATES[name] == DATASET_RATES["sanders"]
    folder = tmp_path / "data" / "uci_sentences"
    folder.mkdir(parents=True)
    texts, labels = make_reviews(60, np.random.default_rng(0))
    content = "".join(f"{text}\t{label}\n" for text, label in zip(texts, labels, strict=True))
    (folder / "imdb_labelled.txt").write_text(content)
    grid = Grid(("sentences-imdb",), ("dense", "set"), (0,), SETTINGS)
    page = tmp_path / "page.md"
    page.write_text("<!-- results: table sentences-imdb -->\n<!-- end of results -->\n")
    compare(grid, tmp_path / "out", workers=1, data_home=tmp_path / "data", pages=[page], report=silent)
    assert "| dense |" in page.read_text() and (tmp_path / "out/evolution_sentences-imdb.png").exists()
    command = ["train", "--dataset", "sentences-imdb", "--data-home", tmp_path / "data", "--output", tmp_path / "run"]
    assert cli.main([*map(str, command), *SMALL]) == 0
