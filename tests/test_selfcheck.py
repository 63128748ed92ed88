"""The check of the package's own gradients: it passes, and fails when a line is wrong."""

import numpy as np
import pytest

from numpy_setlstm.fast import lstm as fast_lstm
from numpy_setlstm.initialization import NetworkSizes
from numpy_setlstm.lab import selfcheck
from numpy_setlstm.sparse import SparseMatrix

SIZES = NetworkSizes(n_words=9, embedding_dim=3, hidden_size=4, n_classes=3)


def minibatch(seed=0, length=6):
    return selfcheck.make_minibatch(np.random.default_rng(seed), 5, length, SIZES.n_words, SIZES.n_classes)


@pytest.mark.parametrize("length", [4, 6, 9])
def test_the_minibatch_has_every_difficulty(length):
    tokens, _ = minibatch(length=length)
    words = tokens != 0
    assert words[0].all() and tokens[0, 0] == tokens[0, -1]
    assert [row[0] for row in words.tolist()] == [True, False, True, False, False]
    assert [row[-1] for row in words.tolist()] == [True, True, False, False, False]
    assert words[3].any() and not words[4].any()


@pytest.mark.parametrize("share", [None, 0.6], ids=["dense", "sparse"])
@pytest.mark.parametrize("engine", selfcheck.ENGINES)
@pytest.mark.parametrize("method", selfcheck.METHODS)
def test_every_gradient_is_checked_and_correct(engine, share, method):
    for seed in range(5):
        network = selfcheck.make_network(seed, SIZES, share, **selfcheck.ENGINES[engine])
        report = selfcheck.check_network(network, *minibatch(seed), method, seed)
        assert report.ok and report.method == method
        assert sum(array.checked for array in report.arrays) == network.count_parameters()
        assert {array.status for array in report.arrays} == {"ok"}


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_networks_of_every_pooling_are_checked(pooling, monkeypatch):
    made = []
    make_network = selfcheck.make_network
    monkeypatch.setattr(
        selfcheck, "make_network", lambda *sizes, **settings: made.append(make_network(*sizes, **settings)) or made[-1]
    )
    right = selfcheck.run_selfcheck(pooling=pooling, bidirectional=True, methods=["complex"], report=lambda line: None)
    assert right and [network.pooling for network in made] == [pooling] * 5


def test_the_networks_are_sparse_and_dense():
    sparse = selfcheck.make_network(0, SIZES, 0.6, kernel="gather")
    assert all(isinstance(sparse.parameters[name], SparseMatrix) for name in ("E", "W_x", "W_h"))
    assert sparse.engine.kernel == "gather"
    assert sparse.count_parameters() == pytest.approx(0.6 * SIZES.dense_parameters, abs=2)
    dense = selfcheck.make_network(0, SIZES)
    assert not any(isinstance(W, SparseMatrix) for W in dense.parameters.values())
    for network in (sparse, dense):
        assert network.dropout > 0 and network.embedding_dropout > 0
        assert network.parameters["b"].all() and network.parameters["b_out"].all()


@pytest.mark.parametrize("method", selfcheck.METHODS)
def test_a_wrong_gradient_is_reported(monkeypatch, method):
    def no_slopes(gates, c, out):
        out[...] = 1

    monkeypatch.setattr(fast_lstm, "_slopes", no_slopes)
    lines = []
    assert not selfcheck.run_selfcheck(methods=[method], report=lines.append)
    assert lines[-1] == "at least one gradient is WRONG"
    assert sum("arrays wrong" in line for line in lines) == 3  # in the fast engine, not in the plain one


def test_the_report_names_each_network_and_method():
    lines = []
    assert selfcheck.run_selfcheck(report=lines.append)
    assert [line.split(",")[0] for line in lines[0:-1:2]] == ["dense network"] * 4 + ["sparse network"] * 6
    how = [line.split(",")[0] for line in lines[1:-1:2]]
    assert how == ["gradient check by complex step", "gradient check by central differences"] * 5
    assert lines[-1] == "all gradients are right"


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"n_texts": 4}, "texts is 4; expected at least 5"),
        ({"length": 3}, "length is 3; expected at least 4"),
        ({"n_words": 2}, "words is 2; expected at least 3"),
        ({"n_classes": 1}, "classes is 1; expected at least 2"),
        ({"hidden_size": 0}, "hidden_size is 0; expected a whole number from 1 to"),
        ({"embedding_dim": -1}, "embedding_dim is -1; expected a whole number from 1 to"),
        ({"parameter_share": 0.05}, "parameter_share 0.05 allows"),
        ({"parameter_share": 1.5}, "parameter_share is 1.5"),
    ],
)
def test_bad_sizes(settings, message):
    with pytest.raises(ValueError, match=message):
        selfcheck.run_selfcheck(report=lambda text: None, **settings)


def test_errors_against_the_step_size_follow_theory():
    curves = selfcheck.step_size_errors(selfcheck.make_network(0, SIZES), *minibatch())
    assert list(curves) == ["forward difference", "central difference", "complex step"]
    for label, order in (("forward difference", 1), ("central difference", 2), ("complex step", 2)):
        steps, errors = curves[label]
        coarse, fine = np.searchsorted(-steps, [-1e-2 * 1.001, -1e-3 * 1.001])
        assert np.log10(errors[coarse] / errors[fine]) == pytest.approx(order, abs=0.05)
    steps, errors = curves["complex step"]
    assert steps.min() == 1e-300 and errors[steps < 1e-8].max() < 1e-14
    assert curves["forward difference"][1].min() > 1e-9
    assert 1e-12 < curves["central difference"][1].min() < 1e-8


def test_the_picture_is_written_completely_or_not_at_all(tmp_path, monkeypatch):
    network, (tokens, labels) = selfcheck.make_network(0, SIZES), minibatch()
    path = selfcheck.save_picture(network, tokens, labels, tmp_path / "new" / "folder")
    before = path.read_bytes()
    assert before.startswith(b"\x89PNG")

    def fails(self, file, **settings):
        file.write(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fails)
    with pytest.raises(OSError, match="disk is full"):
        selfcheck.save_picture(network, tokens, labels, path.parent)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
