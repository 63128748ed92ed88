"""What a grid may hold, and what it says when it may not."""

import json

import pytest

from numpy_setlstm.lab.experiment import Grid, GridError, RunSpec, grid_files, grid_from, parse_setting, read_grid
from numpy_setlstm.lab.experiment.grid import digest_of

MINIMAL = {"datasets": ["sanders"], "connectivities": ["dense", "set"], "seeds": 2}

TOML = """
datasets = ["demo", "sanders"]
connectivities = ["dense", "set", "tfidf"]
seeds = [0, 1]

[settings]
zeta = [0.1, 0.2]

[only.dense]
learning_rate = 0.002

[only.sanders]
n_epochs = 20
seeds = 3
connectivities = ["set"]

[only."sanders/set"]
hidden_size = 64
"""


def summary(grid):
    return [(run.dataset, run.connectivity, run.seed) for run in grid.runs()]


def test_seeds_come_first_so_that_all_rows_fill_together():
    assert summary(grid_from(MINIMAL)) == [
        ("sanders", "dense", 0),
        ("sanders", "set", 0),
        ("sanders", "dense", 1),
        ("sanders", "set", 1),
    ]


@pytest.mark.skipif(grid_files.tomllib is None, reason="Python reads TOML from 3.11 on")
def test_toml_and_json_say_the_same(tmp_path):
    (tmp_path / "grid.toml").write_text(TOML)
    grid = read_grid(tmp_path / "grid.toml")
    (tmp_path / "grid.json").write_text(json.dumps(grid.to_json()))
    assert read_grid(tmp_path / "grid.json").runs() == grid.runs()
    assert len(grid.runs()) == 2 * (1 + 2) + 1 + 3 * 2  # demo: dense and set with two zetas; tfidf once; sanders: set


@pytest.mark.skipif(grid_files.tomllib is None, reason="Python reads TOML from 3.11 on")
def test_the_more_special_setting_wins(tmp_path):
    (tmp_path / "grid.toml").write_text(TOML)
    runs = {
        (run.dataset, run.connectivity, run.settings.get("zeta")): run
        for run in read_grid(tmp_path / "grid.toml").runs()
    }
    settings = {"batch_size": 16, "n_epochs": 20, "zeta": 0.2, "hidden_size": 64, "embedding_learning_rate": 0.03}
    assert runs["sanders", "set", 0.2].settings == settings
    assert runs["demo", "dense", None].settings["learning_rate"] == 0.002
    assert runs["demo", "set", 0.1].settings["learning_rate"] == 0.015  # the demo's own
    assert "learning_rate" not in runs["demo", "tfidf", None].settings


def test_a_data_set_has_settings_of_its_own_for_sparse_networks():
    grid = Grid(("sanders",), ("dense", "static", "dense-pruned"), (0,))
    runs = {run.connectivity: run.settings for run in grid.runs()}
    assert runs["dense"] == runs["dense-pruned"] == {"batch_size": 16, "n_epochs": 20}
    assert runs["static"] == runs["dense"] | {"embedding_learning_rate": 0.03}


def test_without_tomllib_the_error_names_json(tmp_path, monkeypatch):
    monkeypatch.setattr(grid_files, "tomllib", None)
    (tmp_path / "grid.toml").write_text(TOML)
    with pytest.raises(GridError, match="from 3.11 on: write the same keys as JSON"):
        read_grid(tmp_path / "grid.toml")


def test_settings_that_change_nothing_need_no_further_runs():
    runs = Grid(("sanders",), ("dense", "static", "set", "dense-small", "tfidf"), (0, 1), {"zeta": [0.1, 0.2]}).runs()
    numbers = {name: sum(run.connectivity == name for run in runs) for name in ("dense", "static", "set", "tfidf")}
    assert numbers == {"dense": 2, "static": 2, "set": 4, "tfidf": 1}


def test_a_name_tells_runs_apart_and_stays_the_same():
    a, b = RunSpec("imdb", "set", 0, {"zeta": 0.1}), RunSpec("imdb", "set", 0, {"zeta": 0.2})
    assert a.name != b.name and a.name.startswith("imdb_set_seed0_")
    assert digest_of({"zeta": 0.1, "n_epochs": 3}) == digest_of({"n_epochs": 3.0, "zeta": 0.1}) == "f4dc8df5"
    assert RunSpec(**json.loads(json.dumps(a.to_json()))) == a
    names = [run.name for run in Grid(("demo", "imdb"), ("dense", "set"), (0, 1), {"density": [0.02, 0.04]}).runs()]
    assert len(set(names)) == len(names) == 2 * 2 * 3


@pytest.mark.parametrize(
    "change, message",
    [
        ({"datasets": ["netflix"]}, "datasets has 'netflix'; expected some of demo, imdb"),
        ({"datasets": []}, "datasets is []; expected a list of at least one of demo"),
        ({"datasets": "sanders"}, "datasets is 'sanders'; expected a list"),
        ({"datasets": ["imdb", "imdb"]}, "datasets has 'imdb' twice"),
        ({"connectivities": ["sparse"]}, "connectivities has 'sparse'; expected some of dense, static, set"),
        ({"seeds": 0}, "seeds is 0; expected how many"),
        ({"seeds": [0, 0]}, "seeds has 0 twice"),
        ({"seeds": [-1]}, "seeds has -1"),
        ({"seeds": [1.5]}, "seeds has 1.5"),
        ({"sets": {}}, "has the key 'sets'; expected some of datasets"),
        ({"settings": {"zetta": 0.1}}, "settings has 'zetta'; expected some of embedding_dim"),
        ({"settings": {"zeta": []}}, "zeta is an empty list"),
        ({"settings": {"zeta": [0.1, 0.1]}}, "zeta has 0.1 twice"),
        ({"settings": {"zeta": 2}}, "sanders, set: zeta is 2; expected a number in [0, 1]"),
        ({"settings": {"zeta": {"a": 1}}}, "zeta is {'a': 1}; expected a number or text"),
        ({"settings": {"n_epochs": "many"}}, "n_epochs is 'many'; expected a whole number"),
        ({"settings": {"random_state": 1}}, "has random_state, which compare decides itself"),
        ({"settings": {"train_texts": 100}}, "sanders has train_texts, which only demo knows"),
        ({"settings": [1]}, "settings is [1]; expected a table"),
        ({"only": {"netflix": {}}}, "only has 'netflix'; expected a data set"),
        ({"only": {"sanders/sparse": {}}}, "only has 'sanders/sparse'"),
        ({"only": {"dense": {"seeds": 3}}}, "only.dense has 'seeds'"),
        ({"only": {"sanders": {"seeds": 0}}}, "seeds is 0"),
        ({"only": {"sanders": {"connectivities": ["x"]}}}, "only.sanders: connectivities has 'x'"),
        ({"only": {"sanders": 3}}, "only.sanders is 3; expected a table"),
        (
            {"connectivities": ["set-magnitude"], "settings": {"prune_rule": "sign"}},
            "always has prune_rule='magnitude'",
        ),
        ({"connectivities": ["dense-pruned"], "settings": {"finetune_epochs": 0}}, "finetune_epochs is 0"),
    ],
)
def test_a_wrong_grid_says_what_is_wrong(change, message):
    with pytest.raises(GridError) as caught:
        grid_from(MINIMAL | change)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("grid.yaml", "", "ends in '.yaml'; expected a grid file in .toml or .json"),
        ("grid.json", "{", "grid.json is no valid JSON"),
        ("grid.json", "[]", "grid.json holds list; expected the keys datasets"),
        ("grid.json", '{"datasets": ["demo"]}', "grid.json has no connectivities"),
        ("grid.toml", "datasets = ", "grid.toml is"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(GridError) as caught:
        read_grid(tmp_path / name)
    assert message in str(caught.value)
    with pytest.raises(FileNotFoundError, match="there is no grid file"):
        read_grid(tmp_path / "none.json")


@pytest.mark.parametrize("text", ["zeta", "=3", "zeta=", ""])
def test_a_setting_without_name_or_value_is_refused(text):
    with pytest.raises(GridError, match="expected name=value"):
        parse_setting(text)
