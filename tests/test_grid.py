"""Grids: which runs they list, and their errors."""

import json

import pytest

from numpy_setlstm.lab.experiment import Grid, GridError, grid_files, read_grid
from numpy_setlstm.lab.experiment.grid import RunSpec, digest_of
from numpy_setlstm.lab.experiment.grid_files import grid_from, parse_seeds, parse_setting

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


def test_runs_are_listed_seed_by_seed():
    assert summary(grid_from(MINIMAL)) == [
        ("sanders", "dense", 0),
        ("sanders", "set", 0),
        ("sanders", "dense", 1),
        ("sanders", "set", 1),
    ]


@pytest.mark.skipif(grid_files.tomllib is None, reason="Python reads TOML from 3.11 on")
def test_toml_and_json_are_equivalent(tmp_path):
    (tmp_path / "grid.toml").write_text(TOML)
    grid = read_grid(tmp_path / "grid.toml")
    (tmp_path / "grid.json").write_text(json.dumps(grid.to_json()))
    assert read_grid(tmp_path / "grid.json").runs() == grid.runs()
    assert len(grid.runs()) == 2 * (1 + 2) + 1 + 3 * 2  # demo: dense and set with two zetas; tfidf once; sanders: set


@pytest.mark.skipif(grid_files.tomllib is None, reason="Python reads TOML from 3.11 on")
def test_the_more_specific_setting_wins(tmp_path):
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


def test_a_data_set_has_its_own_settings_for_sparse_networks():
    grid = Grid(("sanders",), ("dense", "static", "dense-pruned"), (0,))
    runs = {run.connectivity: run.settings for run in grid.runs()}
    assert runs["dense"] == runs["dense-pruned"] == {"batch_size": 16, "n_epochs": 20}
    assert runs["static"] == runs["dense"] | {"embedding_learning_rate": 0.03}


def test_without_tomllib_the_error_names_json(tmp_path, monkeypatch):
    monkeypatch.setattr(grid_files, "tomllib", None)
    (tmp_path / "grid.toml").write_text(TOML)
    with pytest.raises(GridError, match="needs Python 3.11: write the same keys as JSON"):
        read_grid(tmp_path / "grid.toml")


def test_settings_without_effect_add_no_runs():
    runs = Grid(("sanders",), ("dense", "static", "set", "dense-small", "tfidf"), (0, 1), {"zeta": [0.1, 0.2]}).runs()
    numbers = {name: sum(run.connectivity == name for run in runs) for name in ("dense", "static", "set", "tfidf")}
    assert numbers == {"dense": 2, "static": 2, "set": 4, "tfidf": 1}
    runs = Grid(("sanders",), ("set", "dense-pruned", "set-units"), (0,), {"removed_units": [0.3, 0.5]}).runs()
    assert [run.connectivity for run in runs] == ["set", "dense-pruned", "set-units", "set-units"]


def test_a_name_identifies_a_run():
    a, b = RunSpec("imdb", "set", 0, {"zeta": 0.1}), RunSpec("imdb", "set", 0, {"zeta": 0.2})
    assert a.name != b.name and a.name.startswith("imdb_set_seed0_")
    assert digest_of({"zeta": 0.1, "n_epochs": 3}) == digest_of({"n_epochs": 3.0, "zeta": 0.1}) == "f4dc8df5"
    assert RunSpec(**json.loads(json.dumps(a.to_json()))) == a
    names = [
        run.name for run in Grid(("demo", "imdb"), ("dense", "set"), (0, 1), {"parameter_share": [0.02, 0.04]}).runs()
    ]
    assert len(set(names)) == len(names) == 2 * 2 * 3


@pytest.mark.parametrize(
    "change, message",
    [
        ({"datasets": ["netflix"]}, "datasets has 'netflix'; expected some of demo, imdb"),
        ({"datasets": []}, "datasets is []; expected a list of at least one of demo"),
        ({"datasets": "sanders"}, "datasets is 'sanders'; expected a list"),
        ({"datasets": ["imdb", "imdb"]}, "datasets has 'imdb' twice"),
        ({"connectivities": ["sparse"]}, "connectivities has 'sparse'; expected some of dense, static, static-words"),
        ({"seeds": 0}, "seeds is 0; expected their number"),
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
        ({"settings": {"random_state": 1}}, "has random_state, which compare sets itself"),
        ({"settings": {"train_texts": 100}}, "sanders has train_texts, which only demo accepts"),
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
        (
            {"connectivities": ["set-units"], "settings": {"removed_units": 1}},
            "set-units: removed_units is 1; expected",
        ),
    ],
)
def test_an_invalid_grid_is_rejected_with_its_error(change, message):
    with pytest.raises(GridError) as caught:
        grid_from(MINIMAL | change)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("grid.yaml", "", "ends in '.yaml'; expected a grid file in .toml or .json"),
        ("grid.json", "{", "grid.json is not valid JSON"),
        ("grid.json", "[]", "grid.json holds list; expected the keys datasets"),
        ("grid.json", '{"datasets": ["demo"]}', "grid.json has no connectivities"),
        ("grid.toml", "datasets = ", "grid.toml is"),
    ],
)
def test_an_invalid_file_is_rejected_with_its_error(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(GridError) as caught:
        read_grid(tmp_path / name)
    assert message in str(caught.value)
    with pytest.raises(FileNotFoundError, match="there is no grid file"):
        read_grid(tmp_path / "none.json")


@pytest.mark.parametrize("text", ["zeta", "=3", "zeta=", ""])
def test_a_setting_without_name_or_value_is_rejected(text):
    with pytest.raises(GridError, match="expected name=value"):
        parse_setting(text)


def test_options_are_parsed():
    assert parse_seeds("3") == 3 and parse_seeds("3,7") == [3, 7]
    assert parse_setting("zeta=0.1,0.3") == ("zeta", [0.1, 0.3])
    assert parse_setting("prune_rule=sign") == ("prune_rule", "sign")
    assert parse_setting("er_epsilon=none") == ("er_epsilon", None)
