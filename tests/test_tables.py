"""The exact text of the tables, for made-up results."""

import copy
import json

import numpy as np
import pytest

from numpy_setlstm.lab.experiment.grid import GridError, RunSpec
from numpy_setlstm.lab.experiment.runs import COMPUTES_LIKE, pack_bits, unpack_bits
from numpy_setlstm.lab.experiment.store import Store, format_document
from numpy_setlstm.lab.experiment.tables import (
    NOTE,
    find_reference,
    format_csv,
    format_markdown,
    format_runs_csv,
    format_terminal,
    make_rows,
)

LABELS = np.arange(40) % 4 > 0  # 30 of 40 positive


def document(connectivity, seed, n_wrong, *, parameters=1000, dataset="sanders", **settings):
    """A result in which the first `n_wrong` predictions are wrong."""
    predicted = np.where(np.arange(40) < n_wrong, ~LABELS, LABELS)
    is_tfidf = connectivity == "tfidf"
    result = {
        "parameters": parameters,
        "share": None if is_tfidf else 1.0 if connectivity.startswith("dense") else 0.04,
        "validation_accuracy": 0.5,
        "best_epoch": None if is_tfidf else 3,
        "epochs": None if is_tfidf else 30,
        "seconds": 10.4 + seed,
    }
    return {
        "spec": {"dataset": dataset, "connectivity": connectivity, "seed": seed, "settings": settings},
        "status": "done",
        "data": "same",
        "result": result,
        "predictions": {"count": 40, "predicted": pack_bits(predicted), "labels": pack_bits(LABELS)},
    }


def failed(connectivity, seed):
    spec = {"dataset": "sanders", "connectivity": connectivity, "seed": seed, "settings": {}}
    return {"spec": spec, "status": "failed", "error": "MemoryError: too large"}


DOCUMENTS = [
    document("tfidf", 0, 10, parameters=5000),
    document("set", 1, 6, parameters=40),
    document("set", 0, 4, parameters=40),
    document("dense", 0, 8),
    document("dense", 1, 12),
    document("dense-small", 0, 8, parameters=41),
    failed("set", 2),
    failed("static", 0),
]

# Checked by hand: set with 4 and 6 wrong has macro F1 (18/22 + 54/58) / 2 and (16/22 + 52/58) / 2.
TERMINAL = """\
data set  connectivity  parameters    share         seeds    accuracy    balanced    macro F1  difference to dense  seconds  epochs
sanders   dense              1,000  100.0 %             2  75.0 ± 7.1  75.0 ± 7.1  71.0 ± 7.3                    –       11      30
sanders   static                 –        –  0 (1 failed)           –           –           –                    –        –       –
sanders   set                   40    4.0 %  2 (1 failed)  87.5 ± 3.5  86.7 ± 4.7  84.3 ± 4.4  +12.5 [+2.5, +22.5]       11      30
sanders   dense-small           41    4.1 %             1        80.0        80.0        76.2   +0.0 [+0.0, +0.0]*       10      30
sanders   tfidf              5,000        –             –        75.0        73.3        70.2  +0.0 [-10.0, +10.0]       10       –"""  # noqa: E501


def test_the_table_for_the_terminal():
    assert format_terminal(make_rows(DOCUMENTS)) == TERMINAL


def test_the_table_in_markdown():
    lines = format_markdown(make_rows(DOCUMENTS)).splitlines()
    assert lines[0].startswith("| data set | connectivity | parameters | share | seeds | accuracy |")
    assert lines[1] == "| --- | --- |" + " ---: |" * 10
    assert lines[4].startswith(
        "| sanders | set | 40 | 4.0 % | 2 (1 failed) | 87.5 ± 3.5 | 86.7 ± 4.7 | 84.3 ± 4.4 | +12.5 ["
    )
    assert lines[8].replace("\\", "") == NOTE and len(lines) == 9


def test_the_tables_as_csv():
    lines = format_csv(make_rows(DOCUMENTS)).splitlines()
    assert lines[0] == (
        "dataset,connectivity,settings,parameters,share,seeds,failed,"
        "accuracy,accuracy_sd,accuracy_difference_mean,accuracy_difference_low,accuracy_difference_high,"
        "accuracy_difference_n_seeds,"
        "balanced_accuracy,balanced_accuracy_sd,balanced_accuracy_difference_mean,balanced_accuracy_difference_low,"
        "balanced_accuracy_difference_high,balanced_accuracy_difference_n_seeds,"
        "macro_F1,macro_F1_sd,macro_F1_difference_mean,macro_F1_difference_low,macro_F1_difference_high,"
        "macro_F1_difference_n_seeds,seconds,epochs"
    )
    assert lines[2] == "sanders,static,{},,,0,1" + "," * 20
    assert lines[3].startswith("sanders,set,{},40.0,0.04,2,1,0.875,0.03535")
    runs = format_runs_csv(DOCUMENTS).splitlines()
    assert runs[0].startswith(
        "dataset,connectivity,seed,settings,status,accuracy,balanced_accuracy,macro_F1,parameters"
    )
    assert runs[2].startswith("sanders,set,1,{},done,0.85,") and runs[7].endswith(",MemoryError: too large")
    assert len(runs) == 1 + len(DOCUMENTS)


def test_settings_are_named_where_they_distinguish_rows_and_the_dense_row_is_still_found():
    documents = [
        document("set", 0, 4, zeta=0.1, n_epochs=3),
        document("set", 0, 6, zeta=0.3, n_epochs=3),
        document("dense", 0, 8, n_epochs=3),
        document("dense", 0, 20, n_epochs=5),
    ]
    rows = make_rows(documents)
    table = format_terminal(rows)
    assert "set zeta=0.1 " in table and "dense n_epochs=5 " in table
    by_settings = {(row.connectivity, row.settings.get("zeta"), row.settings["n_epochs"]): row for row in rows}
    assert by_settings["set", 0.3, 3].differences["accuracy"].mean == pytest.approx(0.05)
    assert find_reference(by_settings["set", 0.1, 3], rows) is by_settings["dense", None, 3]


def test_networks_are_compared_with_a_dense_one_that_reads_as_many_words():
    rows = make_rows([document("dense", 0, 8), *(document("set", 0, 4, max_length=length) for length in (100, 400))])
    references = {row.settings.get("max_length"): find_reference(row, rows) for row in rows}
    assert references[100].connectivity == "dense"  # whose default is 100
    assert references[400] is None


def test_no_difference_is_shown_if_the_reference_is_ambiguous():
    ambiguous = [
        document("set", 0, 4),
        document("dense", 0, 8, learning_rate=0.1),
        document("dense", 0, 8, learning_rate=0.2),
    ]
    other_seed = [document("set", 0, 4), document("dense", 1, 8)]
    other_texts = [document("set", 0, 4), document("dense", 0, 8) | {"data": "other"}]
    other_size = [document("set", 0, 4, dataset="demo", train_texts=50), document("dense", 0, 8, dataset="demo")]
    for documents in (ambiguous, other_seed, other_texts, other_size):
        (row,) = (row for row in make_rows(documents) if row.connectivity == "set")
        assert row.differences == {} and row.share == 0.04 or row.share == 1.0


def test_results_are_written_and_read_back(tmp_path):
    store = Store(tmp_path)
    store.prepare()
    for one in DOCUMENTS:
        spec = one["spec"]
        path = store.runs / f"{spec['connectivity']}{spec['seed']}.json"
        path.write_text(format_document(one | {"format_version": 1}))
    (store.runs / "damaged.json").write_text("{")
    with pytest.warns(UserWarning, match=r"damaged\.json is not a complete result .* it is left out of the tables"):
        assert format_terminal(make_rows(store.documents())) == TERMINAL
    assert store.damaged() == ["damaged.json"]


def without(document, *place):
    """A copy of a document that lacks a key."""
    document = copy.deepcopy(document)
    parent = document
    for key in place[:-1]:
        parent = parent[key]
    del parent[place[-1]]
    return document


WHOLE = document("set", 0, 3) | {
    "format_version": 1,
    "computes_like": COMPUTES_LIKE,
    "versions": {"numpy_setlstm": "9"},
}
WHOLE["result"]["connections"] = {"E": 9}
WHOLE["topology"] = {"E": dict.fromkeys(("turnover", "survival", "degrees", "expansion", "ever_tried"), {})}
PLACES = [("spec",), ("spec", "seed"), ("status",), ("format_version",), ("result",), ("predictions",), ("topology",)]
PLACES += [("result", key) for key in ("parameters", "share", "seconds", "epochs", "best_epoch", "validation_accuracy")]
PLACES += [("predictions", key) for key in ("count", "predicted", "labels")]
PLACES += [("topology", "E"), *(("topology", "E", key) for key in WHOLE["topology"]["E"])]


@pytest.fixture
def stored(tmp_path):
    """A store, a run, and a function that writes a document as its result."""
    store, spec = Store(tmp_path), RunSpec(**WHOLE["spec"])
    store.prepare()
    return store, spec, lambda document: store.path(spec).write_text(json.dumps(document))


@pytest.mark.parametrize("place", PLACES, ids="/".join)
def test_a_result_that_lacks_a_key_is_reported_by_name_and_computed_again(place, stored):
    store, spec, put = stored
    put(WHOLE)
    assert store.load(spec) == WHOLE and store.documents() == [WHOLE]
    put(without(WHOLE, *place))
    assert store.load(spec) is None and store.damaged() == [f"{spec.name}.json"]
    with pytest.warns(UserWarning, match=f"{spec.name}.json is not a complete result"):
        assert store.documents() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": WHOLE["spec"] | {"dataset": 5}},
        {"spec": WHOLE["spec"] | {"seed": "0"}},
        {"status": "perhaps"},
        {"status": "failed"},
        {"computes_like": "2"},
        {"result": WHOLE["result"] | {"seconds": "long"}},
        {"result": WHOLE["result"] | {"seconds": float("nan")}},
        {"predictions": WHOLE["predictions"] | {"count": 400}},
        {"predictions": WHOLE["predictions"] | {"labels": "%"}},
    ],
    ids=str,
)
def test_a_result_with_something_else_in_a_field_is_computed_again(changes, stored):
    store, spec, put = stored
    put(WHOLE | changes)
    assert store.damaged() == [f"{spec.name}.json"]


def test_a_result_of_a_version_that_computed_otherwise_is_shown_but_not_used_again(stored):
    store, spec, put = stored
    old = without(WHOLE, "computes_like")  # as version 0.1.0 wrote it
    put(old)
    assert store.documents() == [old] and store.damaged() == []
    with pytest.warns(UserWarning, match=r"is of numpy_setlstm 9, which computes otherwise .*: its run is repeated"):
        assert store.load(spec) is None
    other = copy.deepcopy(WHOLE)
    other["spec"]["seed"] = 1
    store.path(RunSpec(**other["spec"])).write_text(json.dumps(other))
    with pytest.warns(UserWarning, match="1 of 2 results are of an older numpy_setlstm, .* left out of the tables"):
        assert store.documents() == [other]
    put(WHOLE | {"computes_like": COMPUTES_LIKE + 1})
    with pytest.raises(GridError, match="is of numpy_setlstm 9, which computes otherwise than this one: upgrade"):
        store.load(spec)


def test_a_run_begun_by_a_version_that_computed_otherwise_is_not_continued(stored, monkeypatch):
    store, spec, _ = stored
    before = store.checkpoint_path(spec)
    monkeypatch.setattr("numpy_setlstm.lab.experiment.store.COMPUTES_LIKE", COMPUTES_LIKE + 1)
    assert store.checkpoint_path(spec) != before
    with pytest.raises(ValueError, match="the name of the output folder is empty"):
        Store("")


def test_a_document_has_one_line_per_key():
    text = format_document({"status": "done", "result": {"seconds": 2.5}})
    assert text == '{\n"status": "done",\n"result": {\n "seconds": 2.5\n}\n}\n'


def test_predictions_are_packed_eight_to_a_byte():
    assert pack_bits([1, 0, 1]) == "oA==" and unpack_bits("oA==", 3).tolist() == [True, False, True]
    with pytest.raises(ValueError, match="there are 8 bits; expected 9"):
        unpack_bits("oA==", 9)
