"""Accuracy against the share of parameters: the search that is fair, the runs that are kept, the figure."""

import importlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from numpy_setlstm.lab.experiment.grid import GridError, RunSpec
from numpy_setlstm.lab.experiment.page import fill_blocks
from numpy_setlstm.lab.experiment.runs import COMPUTES_LIKE, Task, load_reviews, pack_bits
from numpy_setlstm.lab.shares import records as records_module
from numpy_setlstm.lab.shares import search, sweep
from numpy_setlstm.lab.shares.page import BLOCKS, difference_shown, make_block
from numpy_setlstm.lab.shares.records import compute, read_records, run_all
from numpy_setlstm.lab.shares.search import SPACE, best_settings, draw_settings
from numpy_setlstm.lab.shares.search import specs_of as specs_of_search
from numpy_setlstm.lab.shares.statistics import difference, rows_of
from numpy_setlstm.lab.shares.sweep import specs_of, with_pruned
from numpy_setlstm.plotting import plot_shares

TINY = {"embedding_dim": 8, "hidden_size": 8, "n_epochs": 2, "train_texts": 60, "test_texts": 30}

SHARED = (("sentences-amazon", "sentences-imdb", "sentences-yelp"), ("yelp", "amazon", "imdb"))


def test_all_kinds_have_as_many_trials_and_the_same_draws_of_what_they_have_in_common():
    specs = specs_of_search(("demo",), ("dense", "static", "set-guided"), trials=6, seeds=(0, 1), settings=TINY)
    of_kind = {
        kind: [spec for spec in specs if spec.connectivity == kind] for kind in ("dense", "static", "set-guided")
    }
    assert {len(found) for found in of_kind.values()} == {12}
    common = [[tuple(spec.settings[name] for name in SPACE) for spec in found] for found in of_kind.values()]
    assert common[0] == common[1] == common[2] and len(set(common[0])) == 6
    assert all("zeta" in spec.settings for spec in of_kind["set-guided"])
    assert not any("zeta" in spec.settings for spec in of_kind["dense"] + of_kind["static"])
    assert {spec.settings.get("parameter_share") for spec in of_kind["static"]} == {0.01}
    assert not any("parameter_share" in spec.settings for spec in of_kind["dense"])


def test_draws_cover_their_ranges():
    drawn = [draw_settings("set-guided", number) for number in range(400)]
    for name, (way, *values) in SPACE.items():
        found = [settings[name] for settings in drawn]
        if way == "log":
            low, high = values
            assert low <= min(found) < 1.1 * low and 0.9 * high < max(found) <= high
            assert abs(np.mean(np.log(found)) - np.mean(np.log(values))) < 0.15 * np.log(high / low)
        else:
            assert set(found) == set(values)


def record(dataset, kind, seed, accuracy, loss=0.5, **settings):
    spec = RunSpec(dataset, kind, seed, settings)
    scores = {"validation_accuracy": accuracy, "validation_loss": loss}
    return spec.name, {"spec": spec.to_json(), "status": "done"} | scores


def test_the_best_trial_is_that_with_the_best_mean_over_seeds_and_then_the_lowest_loss():
    found = best_settings(
        dict([
            record("yelp", "static", 0, 0.9, dropout=0.3), record("yelp", "static", 1, 0.5, dropout=0.3),
            record("yelp", "static", 0, 0.8, 0.6, dropout=0.5), record("yelp", "static", 1, 0.8, 0.6, dropout=0.5),
            record("yelp", "static", 0, 0.7, 0.4, dropout=0.7), record("yelp", "static", 1, 0.9, 0.4, dropout=0.7),
            record("yelp", "static", 0, 1.0, dropout=0.0),  # the other seed is missing
        ])
    )  # fmt: skip
    assert found == {
        ("yelp", "static"): {"settings": {"dropout": 0.7}, "accuracy": pytest.approx(0.8), "loss": 0.4, "trials": 3,
                             "searched": ["yelp"]}
    }  # fmt: skip


def test_a_shared_recipe_is_the_best_over_data_sets_together():
    trials = dict([
        record("yelp", "set", 0, 0.9, zeta=0.1), record("imdb", "set", 0, 0.5, zeta=0.1, n_epochs=9),
        record("yelp", "set", 0, 0.8, zeta=0.3), record("imdb", "set", 0, 0.7, zeta=0.3, n_epochs=9),
    ])  # fmt: skip
    shared, own = best_settings(trials, shared=[["yelp", "imdb", "amazon"]]), best_settings(trials)
    assert {key: entry["settings"] for key, entry in shared.items()} == dict.fromkeys(
        [("yelp", "set"), ("imdb", "set"), ("amazon", "set")], {"zeta": 0.3}
    )
    assert shared["amazon", "set"]["searched"] == ["imdb", "yelp"], "it had no trials of its own"
    assert own["yelp", "set"]["settings"] == {"zeta": 0.1} and own["imdb", "set"]["settings"] == {"zeta": 0.3}


def test_a_blind_run_looks_at_no_test_text(monkeypatch):
    class Unseen(list):
        def __iter__(self):
            raise AssertionError("a test text was read")

    def load(home, spec):
        reviews, digest = load_reviews(home, spec)
        return replace(reviews, test_texts=Unseen(), test_labels=np.array([], int)), digest

    monkeypatch.setattr(records_module, "load_reviews", load)
    task = Task(RunSpec("demo", "static", 0, TINY | {"parameter_share": 0.2}))
    found, _ = compute(task, blind=True)
    assert found["status"] == "done" and not {"test_accuracy", "predictions"} & found.keys()
    assert compute(task)[0]["error"] == "AssertionError: a test text was read"


def test_runs_are_kept_repeated_if_cut_short_and_refused_if_damaged(tmp_path):
    said, path = [], tmp_path / "new" / "runs.jsonl"
    specs = specs_of(("demo",), ("dense", "static"), shares=(0.1, 0.3), seeds=(0,), settings=TINY)
    assert [spec.connectivity for spec in specs] == ["dense", "static", "static"]
    assert not run_all(specs, path, workers=1, report=said.append)
    kept = path.read_text()
    assert said == ["3 runs: 0 have results, 3 to do"] and kept.count("\n") == 3
    path.write_text(kept[:-30])
    assert not run_all(specs, path, workers=1, report=said.append)
    assert said[-1] == "3 runs: 2 have results, 1 to do"
    again = read_records(path)
    for name, found in read_records_of(kept).items():
        assert again[name] | {"seconds": 0} == found | {"seconds": 0}
    assert not run_all(specs, path, report=said.append) and said[-1] == "3 runs: 3 have results, 0 to do"
    current = f'"computes_like": {COMPUTES_LIKE}'
    path.write_text(kept.replace(current, f'"computes_like": {COMPUTES_LIKE - 1}', 1))
    assert not run_all(specs, path, workers=1, report=said.append), "one is of a version that computed otherwise"
    assert said[-1] == "3 runs: 2 have results, 1 to do"
    assert path.read_text().count(current) == 3
    path.write_text("no record\n" + kept)
    with pytest.raises(GridError, match=r"line 1 of .*runs.jsonl is no record: delete it to repeat its run"):
        run_all(specs, path, report=said.append)


def read_records_of(text):
    return {RunSpec(**found["spec"]).name: found for found in map(json.loads, text.splitlines())}


def test_a_run_that_fails_is_told_and_repeated_the_next_time(tmp_path):
    said, path = [], tmp_path / "runs.jsonl"
    specs = [RunSpec("demo", "static", 0, TINY | {"parameter_share": 1e-6})]
    run_all(specs, path, workers=1, report=said.append)
    assert "failed: ValueError" in said[-1] and not read_records(path)
    run_all(specs, path, workers=1, report=said.append)
    assert said[-2] == "1 runs: 0 have results, 1 to do"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A search and a sweep of the demo's reviews, tiny."""
    output, said = tmp_path_factory.mktemp("shares"), []
    fixed = {name: value for name, value in TINY.items() if name not in SPACE}
    options = {"settings": fixed, "workers": 1, "report": said.append}
    assert not search(("demo",), ("dense", "static"), output, trials=2, share=0.2, **options)
    assert "trials" in said[-1] and said[-1].count("\n") == 2
    page = output / "page.md"
    page.write_text("".join(f"<!-- shares: {name} -->\nold\n<!-- end of shares -->\n" for name in BLOCKS))
    kinds = ("dense", "static", "dense-pruned")
    sweep(output, ("demo",), kinds, shares=(0.1, 0.3), seeds=(0, 1), pages=[page], **options)
    return output


def test_a_sweep_uses_the_recipes_that_were_found(folder):
    recipes = with_pruned(best_settings(read_records(folder / "trials.jsonl")))
    assert recipes["demo", "dense-pruned"] is recipes["demo", "dense"]
    found = read_records(folder / "runs.jsonl")
    assert len(found) == 2 + 4 + 4
    for one in found.values():
        spec = one["spec"]
        recipe = recipes["demo", spec["connectivity"]]["settings"]
        assert recipe.items() <= spec["settings"].items()
        share = one["parameters"] / one["dense_parameters"]
        assert share == pytest.approx(spec["settings"].get("parameter_share", 1.0), rel=0.02)


def test_the_figure_and_the_page_are_written(folder):
    assert (folder / "shares.png").read_bytes().startswith(b"\x89PNG")
    text = (folder / "page.md").read_text()
    assert "old" not in text and "| demo | 10 % |" in text and "10 runs, 0.0 hours of one core" in text
    with pytest.raises(GridError, match="shares: 'nothing' is unknown; expected one of accuracies, differences"):
        make_block("nothing", [], {})


def run_of(kind, share, seed, right, labels):
    predicted = np.where(right, labels, ~labels)
    spec = RunSpec("yelp", kind, seed, {} if kind == "dense" else {"parameter_share": share})
    packed = {"count": len(labels), "predicted": pack_bits(predicted), "labels": pack_bits(labels)}
    numbers = {"parameters": 10, "seconds": 1.0, "test_accuracy": float(right.mean()), "predictions": packed}
    return spec.name, {"spec": spec.to_json(), "status": "done"} | numbers


def test_rows_and_differences_computed_by_hand():
    labels = np.arange(20) % 2 == 0
    all_right, half = np.ones(20, bool), np.arange(20) < 10
    records = dict([
        run_of("dense", 1.0, 0, half, labels), run_of("dense", 1.0, 1, all_right, labels),
        run_of("set-guided", 0.01, 0, all_right, labels), run_of("set-guided", 0.01, 2, half, labels),
    ])  # fmt: skip
    guided, dense = rows_of(records)
    assert (guided["share"], dense["share"]) == (0.01, 1.0)
    assert (dense["mean"], dense["accuracies"]) == (0.75, {0: 0.5, 1: 1.0})
    margin = 12.706 * np.std([0.5, 1.0], ddof=1) / np.sqrt(2)
    assert dense["high"] == pytest.approx(0.75 + margin) and dense["low"] == pytest.approx(0.75 - margin)
    found = difference([guided, dense], "yelp", 0.01, "set-guided", "dense")
    assert (found.mean, found.n_seeds) == (0.5, 1)  # seed 0 is the only one that both have
    assert difference_shown(found).startswith("**+50.0 [+")
    assert difference([guided, dense], "yelp", 0.01, "set-guided", "static") is None


def test_the_table_at_one_share_has_the_dense_network_of_all_parameters_beside_it():
    labels = np.arange(20) % 2 == 0
    records = dict([
        run_of("dense", 1.0, 0, np.arange(20) < 15, labels), run_of("set-guided", 0.01, 0, np.ones(20, bool), labels),
        run_of("static", 0.01, 0, np.arange(20) < 10, labels), run_of("static", 0.1, 0, np.ones(20, bool), labels),
    ])  # fmt: skip
    table = make_block("at 1 %", rows_of(records), {})
    *_, line = table.splitlines()
    cells = [cell.strip() for cell in line.strip("| ").split("|")]
    assert cells[:6] == ["yelp", "100.0", "–", "50.0", "–", "75.0"]
    assert cells[6].startswith("**+50.0 [") and cells[7].startswith("**+25.0 [")


def test_the_picture_has_a_panel_per_data_set_and_a_line_per_kind():
    rows = [
        {"dataset": dataset, "connectivity": kind, "share": share, "mean": 0.7, "low": low, "high": high}
        for dataset in ("a", "b", "c", "d")
        for kind, share in (("static", 0.01), ("static", 0.1), ("dense", 1.0))
        for low, high in [(0.6, 0.8) if share < 1 else (None, None)]
    ]
    axes = plot_shares(rows, labels={"dense": "all"})
    assert [ax.get_title(loc="left") for ax in axes] == ["a", "b", "c", "d"]
    labels = [text.get_text() for text in axes[0].figure.legends[0].get_texts()]
    assert labels == ["static", "all"] and axes[0].get_xscale() == "log"
    with pytest.raises(ValueError, match="there are no rows to draw"):
        plot_shares([])
    with pytest.raises(ValueError, match=r"there are 1 axes for 4 data sets \(a, b, c, d\)"):
        plot_shares(rows, axes=axes[:1])


@pytest.mark.parametrize("name", ["docs/shares.md", "docs/claim.md", "README.md"])
def test_the_pages_agree_with_the_results(tmp_path, name):
    root = Path(__file__).parent.parent
    page = Path(shutil.copy(root / name, tmp_path))
    trials = best_settings(read_records(root / "docs" / "shares" / "trials.jsonl"), shared=SHARED)
    rows = rows_of(read_records(root / "docs" / "shares" / "runs.jsonl"))
    fill_blocks(page, "shares", lambda block: make_block(block, rows, trials))
    pages = "--page docs/shares.md --page docs/claim.md --page README.md"
    together = " ".join(f"--shared {','.join(group)}" for group in SHARED)
    command = f"numpy-setlstm shares --report-only {together} --output docs/shares {pages}"
    assert page.read_text("utf8") == (root / name).read_text("utf8"), f"run {command}"
    assert command in (root / "docs" / "shares.md").read_text("utf8")
    seeds = {(row["dataset"] == "imdb", len(row["accuracies"])) for row in rows}
    assert seeds <= {(False, 5), (True, 3)}, "every kind has five seeds at every share, on IMDB three"


@pytest.mark.parametrize(
    ("script", "mark", "make_tables"),
    [
        ("account_of_candidates", "candidates places", lambda script, saved: script.format_ways(saved, script.PLACES)),
        ("account_of_candidates", "candidates counts", lambda script, saved: script.format_ways(saved, script.COUNTS)),
        ("cost_of_growth", "growth", lambda script, saved: script.format_cost(saved)),
        ("whole_reviews", "whole", lambda script, saved: script.format_parts(saved)),
    ],
)
def test_the_tables_of_the_scripts_agree_with_what_they_measured(tmp_path, monkeypatch, script, mark, make_tables):
    docs = Path(__file__).parent.parent / "docs"
    monkeypatch.syspath_prepend(docs)
    module = importlib.import_module(script)
    page = Path(shutil.copy(docs / "shares.md", tmp_path))
    saved = json.loads(module.RESULTS.read_text("utf8"))
    fill_blocks(page, mark, lambda _: make_tables(module, saved))
    assert page.read_text("utf8") == (docs / "shares.md").read_text("utf8"), f"run python docs/{script}.py"


def test_the_figure_shows_other_scores_as_well():
    rows = [
        {"dataset": "d", "connectivity": "static", "share": 0.02, "mean": 2.5, "low": 2.4, "high": 2.6},
        {"dataset": "d", "connectivity": "static", "share": 0.05, "mean": 2.4, "low": 2.3, "high": 2.5},
    ]
    (ax,) = plot_shares(rows, ylabel="bits", xlabel="connections, %", scale=1.0)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("connections, %", "bits")
    assert ax.yaxis.get_major_formatter()(2.5) == "2.5" and ax.xaxis.get_major_formatter()(0.02) == "2"
