"""one_file.py: its limits, its functions against those of the package of the same name, and that it runs alone."""

import ast
import collections
import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from numpy_setlstm import one_file, optimizers, sparse, topology
from numpy_setlstm.layers import embedding, lstm, readout

FILE = Path(one_file.__file__)
SPARSE = ("E", "W_x", "W_h")
# Padding in front, at the end, inside and nowhere; repeated words; a text of nothing but padding
TOKENS = np.array([[0, 0, 3, 5, 3], [4, 2, 2, 0, 0], [7, 0, 1, 0, 3], [6, 1, 4, 3, 2], [0, 0, 0, 0, 0]])
LABELS = np.array([2, 0, 1, 1, 0])


def assert_equal(ours, theirs):
    """To 1e-12, in the same shape; relative to the largest number."""
    assert np.shape(ours) == np.shape(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * max(1, np.abs(theirs).max(initial=0)))


def by_cell(W):
    """The positions of the connections in the package's order: by row, then by column."""
    return np.lexsort((W.cols, W.rows))


def to_package(W):
    """The same matrix as one of the package's."""
    if isinstance(W, np.ndarray):
        return W.copy()
    order = by_cell(W)
    return sparse.SparseMatrix(W.shape, W.rows[order], W.cols[order], W.values[order])


def in_order_of_package(W, array):
    """An array per connection in the package's order; that of a dense matrix as it is."""
    return array if isinstance(W, np.ndarray) else array[by_cell(W)]


def shuffled(W, rng):
    """The same matrix, its connections in another order."""
    order = rng.permutation(len(W.values))
    return one_file.SparseMatrix(W.shape, W.rows[order], W.cols[order], W.values[order])


def random_matrix(shape, rng, connectivity):
    if connectivity == "dense":
        return rng.normal(size=shape)
    if connectivity == "empty rows and columns":  # the first ones, the last ones, and some in between
        return one_file.SparseMatrix(shape, np.array([1, 3]), np.array([4, 1]), rng.normal(size=2))
    return shuffled(one_file.erdos_renyi(shape, rng, er_epsilon=1.5), rng)


def random_network(rng, er_epsilon=1.5):
    """A network whose parameters are all different from 0."""
    parameters = one_file.init_network(8, 3, 5, 3, rng, er_epsilon)
    for W in parameters.values():
        weights = one_file.weights_of(W)
        weights[...] = rng.normal(size=weights.shape)
    return parameters


@pytest.fixture
def rng():
    return np.random.default_rng(5)


every_connectivity = pytest.mark.parametrize("connectivity", ["sparse", "dense", "empty rows and columns"])
sparse_and_dense = pytest.mark.parametrize("er_epsilon", [1.5, None], ids=["sparse", "dense"])


# The file


def test_it_is_short():
    lines = FILE.read_text(encoding="utf8").splitlines()
    assert len(lines) <= 300
    assert max(map(len, lines)) <= 100


def test_it_needs_numpy_only():
    tree = ast.parse(FILE.read_text(encoding="utf8"), feature_version=(3, 10))
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import does not work in a bare file"
            modules.add(node.module.split(".")[0])
    assert modules <= {"numpy", *sys.stdlib_module_names}


def test_every_function_says_what_it_does_in_at_most_three_lines():
    for node in ast.walk(ast.parse(FILE.read_text(encoding="utf8"))):
        if isinstance(node, ast.FunctionDef) and node.name != "clause":
            assert len(ast.get_docstring(node).splitlines()) <= 3, node.name


# The sparse matrix


@every_connectivity
def test_products_and_gradient(connectivity, rng):
    W = random_matrix((5, 6), rng, connectivity)
    x, dy = rng.normal(size=(4, 5)), rng.normal(size=(4, 6))
    theirs = to_package(W)
    assert_equal(x @ W, x @ theirs)
    assert_equal(dy @ W.T, dy @ theirs.T)
    gradient = one_file.weight_gradient(x, dy, W)
    assert_equal(in_order_of_package(W, gradient), sparse.weight_gradient(x, dy, theirs))


def test_products_of_complex_numbers(rng):
    W = random_matrix((5, 6), rng, "sparse")
    x = rng.normal(size=(4, 5)) + 1j * rng.normal(size=(4, 5))
    assert_equal(x @ W, x @ to_package(W).toarray())


# Which connections exist


@pytest.mark.parametrize("er_epsilon", [0, 0.4, 1, 2.5, 100])
@pytest.mark.parametrize("shape", [(1, 1), (7, 4), (30, 120)])
def test_erdos_renyi_has_the_exact_count(shape, er_epsilon, rng):
    W = one_file.erdos_renyi(shape, rng, er_epsilon=er_epsilon)
    assert len(W.values) == topology.erdos_renyi_count(shape, er_epsilon)
    assert len(set(zip(W.rows, W.cols, strict=True))) == len(W.rows)
    assert ((0 <= W.rows) & (W.rows < shape[0]) & (0 <= W.cols) & (W.cols < shape[1])).all()


def test_erdos_renyi_draws_what_the_package_draws():
    ours = one_file.erdos_renyi((30, 120), np.random.default_rng(3), er_epsilon=2)
    theirs = topology.erdos_renyi((30, 120), np.random.default_rng(3), er_epsilon=2, dtype=np.float64)
    for name in ("rows", "cols", "values"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def assert_uniform(draw, possible, n_draws=3000):
    """Every possible outcome comes up about as often as any other; chi-square within 5 standard deviations."""
    counts = collections.Counter(draw() for _ in range(n_draws))
    assert set(counts) <= set(possible)
    expected = n_draws / len(possible)
    chi_square = sum((counts[outcome] - expected) ** 2 / expected for outcome in possible)
    freedom = len(possible) - 1
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom)


def test_every_set_of_cells_is_equally_likely(rng):
    def draw():
        W = one_file.erdos_renyi((2, 3), rng, er_epsilon=0.6)
        return tuple(W.rows * 3 + W.cols)

    assert_uniform(draw, list(itertools.combinations(range(6), 3)))


def test_every_set_of_free_cells_is_equally_likely(rng):
    rows, cols = np.array([1, 0]), np.array([2, 1])  # cells 5 and 1, in no order

    def draw():
        new_rows, new_cols = one_file.regrow((2, 3), rows, cols, 2, rng)
        return tuple(new_rows * 3 + new_cols)

    assert_uniform(draw, list(itertools.combinations([0, 2, 3, 4], 2)))


def test_the_last_free_cells_are_found(rng):
    rows, cols = np.divmod(np.arange(95), 10)
    new_rows, new_cols = one_file.regrow((10, 10), rows, cols, 5, rng)
    assert (new_rows * 10 + new_cols).tolist() == [95, 96, 97, 98, 99]


@pytest.mark.parametrize("zeta", [0, 0.29, 0.3, 0.5, 1])
@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=200),
        np.random.default_rng(0).integers(-3, 4, 300) / 10,  # ties
        np.array([0.0, 0.3, 0.0, -0.0, -0.2, 0.1, 0.0, -0.1, -0.3]),  # zeros, which count as positive
        np.linspace(0.1, 1, 100),  # one sign
        np.linspace(-1, -0.1, 100),
        np.zeros(7),
        np.array([-2.0]),
        np.array([]),
    ],
    ids=["normal", "ties", "zeros", "positive", "negative", "only zeros", "one", "none"],
)
def test_prune(values, zeta):
    cells = np.zeros(len(values), int), np.arange(len(values))
    ours = one_file.prune(one_file.SparseMatrix((1, 300), *cells, values), zeta)
    theirs = topology.prune(sparse.SparseMatrix((1, 300), *cells, values), zeta)
    np.testing.assert_array_equal(ours, theirs)


def package_step(W, new, zeta, rng):
    """The package's SET step on the same matrix, told to grow where `new` has grown."""
    n_pruned = len(one_file.prune(W, zeta))
    grown = slice(len(W.values) - n_pruned, None)
    scores = np.zeros(W.shape)
    scores[new.rows[grown], new.cols[grown]] = 1
    return topology.set_step(to_package(W), zeta, rng, growth_scores=scores)


@pytest.mark.parametrize("zeta", [0, 0.3, 1])
def test_set_step_and_carried_state(zeta, rng):
    W = random_matrix((9, 20), rng, "sparse")
    new, pruned = one_file.set_step(W, zeta, rng)
    theirs, step = package_step(W, new, zeta, rng)
    order = by_cell(new)
    for name in ("rows", "cols", "values"):
        np.testing.assert_array_equal(getattr(new, name)[order], getattr(theirs, name))
    for state in (rng.normal(size=len(W.values)), rng.integers(1, 99, len(W.values))):
        carried = one_file.carry(state, pruned)
        assert carried.dtype == state.dtype
        np.testing.assert_array_equal(carried[order], step.carry(state[by_cell(W)]))


def test_survivors_keep_their_bits_and_the_grown_begin_at_zero(rng):
    W = random_matrix((9, 20), rng, "sparse")
    before = dict(zip(zip(W.rows, W.cols, strict=True), W.values, strict=True))
    new, pruned = one_file.set_step(W, 0.3, rng)
    n_kept = len(W.values) - len(pruned)
    for k, cell in enumerate(zip(new.rows, new.cols, strict=True)):
        assert new.values[k] == (before[cell] if k < n_kept else 0)
    assert 0 < len(pruned) < len(W.values)
    assert len(set(zip(new.rows, new.cols, strict=True))) == len(W.values)


# The layers


@every_connectivity
def test_embedding(connectivity, rng):
    E = random_matrix((8, 5), rng, connectivity)
    x, cache = one_file.embedding_forward(TOKENS, E)
    x_theirs, cache_theirs = embedding.embedding_forward(TOKENS, to_package(E))
    assert_equal(x, x_theirs)
    dx = rng.normal(size=x.shape)
    dE = one_file.embedding_backward(dx, cache)
    assert_equal(in_order_of_package(E, dE), embedding.embedding_backward(dx, cache_theirs))


@sparse_and_dense
@pytest.mark.parametrize("padded", [True, False])
def test_lstm(er_epsilon, padded, rng):
    parameters = random_network(rng, er_epsilon)
    W_x, W_h, b = (parameters[name] for name in ("W_x", "W_h", "b"))
    x, mask = rng.normal(size=(*TOKENS.shape, 3)), (TOKENS != 0) | (not padded)
    h, cache = one_file.lstm_forward(x, W_x, W_h, b, mask)
    h_theirs, cache_theirs = lstm.lstm_forward(x, to_package(W_x), to_package(W_h), b, mask)
    assert_equal(h, h_theirs)
    dh = rng.normal(size=h.shape)
    dx, dW_x, dW_h, db = one_file.lstm_backward(dh, cache)
    theirs = lstm.lstm_backward(dh, cache_theirs)
    assert_equal(dx, theirs.dx)
    assert_equal(in_order_of_package(W_x, dW_x), theirs.dW_x)
    assert_equal(in_order_of_package(W_h, dW_h), theirs.dW_h)
    assert_equal(db, theirs.db)
    for first, second in zip((dx, dW_x, dW_h, db), one_file.lstm_backward(dh, cache), strict=True):
        np.testing.assert_array_equal(first, second)


def test_sigmoid_does_not_overflow():
    assert one_file.sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist() == [0, 0.5, 1]


def test_cross_entropy(rng):
    logits = rng.normal(scale=300, size=(5, 3))
    loss, dlogits = one_file.cross_entropy(logits, LABELS)
    theirs, cache = readout.cross_entropy_forward(logits, LABELS)
    assert_equal(loss, theirs)
    assert_equal(dlogits, readout.cross_entropy_backward(cache))


def package_loss_and_gradients(parameters, tokens, labels):
    """The whole network, put together from the layers of the package."""
    p = parameters
    x, embedding_cache = embedding.embedding_forward(tokens, p["E"])
    h, lstm_cache = lstm.lstm_forward(x, p["W_x"], p["W_h"], p["b"], tokens != 0)
    logits, readout_cache = readout.linear_forward(h[:, -1], p["W_out"], p["b_out"])
    loss, loss_cache = readout.cross_entropy_forward(logits, labels)
    dh_last, dW_out, db_out = readout.linear_backward(readout.cross_entropy_backward(loss_cache), readout_cache)
    dh = np.zeros_like(h)
    dh[:, -1] = dh_last
    back = lstm.lstm_backward(dh, lstm_cache)
    dE = embedding.embedding_backward(back.dx, embedding_cache)
    gradients = {"E": dE, "W_x": back.dW_x, "W_h": back.dW_h, "b": back.db, "W_out": dW_out, "b_out": db_out}
    return loss, gradients


@sparse_and_dense
def test_loss_and_every_gradient_of_the_network(er_epsilon, rng):
    parameters = random_network(rng, er_epsilon)
    loss, gradients = one_file.loss_and_gradients(parameters, TOKENS, LABELS)
    theirs = {name: to_package(W) for name, W in parameters.items()}
    loss_theirs, gradients_theirs = package_loss_and_gradients(theirs, TOKENS, LABELS)
    assert_equal(loss, loss_theirs)
    assert gradients.keys() == gradients_theirs.keys() == parameters.keys()
    for name, W in parameters.items():
        assert_equal(in_order_of_package(W, gradients[name]), gradients_theirs[name])


def test_a_dense_matrix_is_one_with_every_connection(rng):
    full = random_network(rng, er_epsilon=100)
    dense = {name: to_package(W).toarray() if name in SPARSE else W for name, W in full.items()}
    loss, gradients = one_file.loss_and_gradients(full, TOKENS, LABELS)
    loss_dense, gradients_dense = one_file.loss_and_gradients(dense, TOKENS, LABELS)
    assert_equal(loss, loss_dense)
    for name, W in full.items():
        assert_equal(in_order_of_package(W, gradients[name]).ravel(), gradients_dense[name].ravel())


def test_padding_changes_nothing(rng):
    parameters = random_network(rng)
    tokens = np.array([[3, 5, 3]])
    logits, _ = one_file.network_forward(parameters, tokens)
    for before, after in itertools.product(range(3), repeat=2):
        padded, _ = one_file.network_forward(parameters, np.pad(tokens, ((0, 0), (before, after))))
        np.testing.assert_array_equal(padded, logits)


@sparse_and_dense
def test_gradient_check_accepts_what_is_right(er_epsilon, rng, capsys):
    parameters = random_network(rng, er_epsilon)
    one_file.check_gradients(parameters, TOKENS, LABELS)
    lines = capsys.readouterr().out.splitlines()
    for line, (name, W) in zip(lines, parameters.items(), strict=True):
        assert f" {name} " in line and f" {one_file.weights_of(W).size} entries" in line and line.endswith("ok")


def test_gradient_check_notices_what_is_wrong(rng, capsys, monkeypatch):
    right = one_file.weight_gradient
    monkeypatch.setattr(one_file, "weight_gradient", lambda x, dy, W: right(x, dy, W) * (1 + 1e-9))
    one_file.check_gradients(random_network(rng), TOKENS, LABELS)
    verdicts = [line.split()[-1] for line in capsys.readouterr().out.splitlines()]
    assert verdicts == ["WRONG"] * 3 + ["ok"] * 3


# Training


@pytest.mark.parametrize("zeta", [0, 0.3])
def test_training_gives_the_weights_of_the_package(zeta, rng, monkeypatch):
    """Six steps of Adam, a SET step after the third; the package gets the same minibatches and cells to grow."""
    parameters = random_network(rng)
    theirs = {name: to_package(W) for name, W in parameters.items()}
    adam = optimizers.Adam(theirs, 0.05)
    events = []

    def follow_minibatch(parameters, tokens, labels, ours=one_file.loss_and_gradients):
        adam.update(theirs, package_loss_and_gradients(theirs, tokens, labels)[1])
        events.append(len(tokens))
        return ours(parameters, tokens, labels)

    def follow_set_step(W, zeta, rng, ours=one_file.set_step):
        name = next(name for name in SPARSE if parameters[name] is W)
        new, pruned = ours(W, zeta, rng)
        theirs[name], step = package_step(W, new, zeta, rng)
        adam.carry(name, step)
        events.append(name)
        return new, pruned

    monkeypatch.setattr(one_file, "loss_and_gradients", follow_minibatch)
    monkeypatch.setattr(one_file, "set_step", follow_set_step)
    one_file.train(parameters, TOKENS, LABELS, rng, n_epochs=2, zeta=zeta, batch_size=2, learning_rate=0.05)
    assert events == [2, 2, 1, *(SPARSE if zeta else ()), 2, 2, 1]
    for name, W in parameters.items():
        assert_equal(in_order_of_package(W, one_file.weights_of(W)), sparse.weights_of(theirs[name]))


def test_adam_of_weights_of_different_age(rng):
    gradient, m = rng.normal(size=(2, 6))
    v, age = rng.random(6), np.array([0, 0, 1, 5, 100, 10_000])
    ours = one_file.adam_update(gradient, m, v, age, learning_rate=0.01)
    theirs = optimizers.adam_update(gradient, m, v, age, learning_rate=0.01)
    for first, second in zip(ours, theirs, strict=True):
        assert_equal(first, second)


# The reviews


def test_reviews_say_what_their_label_says():
    texts, labels = one_file.make_reviews(200, np.random.default_rng(0))
    for text, label in zip(texts, labels, strict=True):
        clauses = text.split(" but ")
        praise = [(clause.split()[-1] in one_file.GOOD) != (" not " in clause) for clause in clauses]
        assert praise == [not label, bool(label)], text
    assert labels.sum() == 100


def test_counting_words_does_not_tell_the_label():
    texts, labels = one_file.make_reviews(4000, np.random.default_rng(0))
    words = sorted(set(" ".join(texts).split()))
    counts = np.array([[text.split().count(word) for word in words] for text in texts])
    weights, *_ = np.linalg.lstsq(counts[:2000], labels[:2000] - 0.5, rcond=None)
    assert np.mean((counts[2000:] @ weights > 0) == labels[2000:]) < 0.55


def test_encode():
    tokens = one_file.encode(["a b a", "c"], {"a": 2, "b": 3})
    assert tokens.tolist() == [[2, 3, 2], [1, 0, 0]]


# The whole


def run(folder, *arguments):
    """Run Python in a folder that holds nothing but the file; warnings are errors."""
    shutil.copy(FILE, folder)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-I", "-W", "error", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf8")
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


SMALL = """
import runpy, sys
main = runpy.run_path("one_file.py")["main"]
main(seeds=(4, 5), n_reviews=30, n_epochs=2)
assert not [name for name in sys.modules if name.startswith("numpy_setlstm")]
"""


def test_the_bare_file_runs(tmp_path, capsys):
    printed = run(tmp_path, "-c", SMALL)
    assert list(tmp_path.iterdir()) == [tmp_path / FILE.name]
    assert len(re.findall(r"^gradient of .* ok$", printed, re.MULTILINE)) == 6
    assert [name for name, *_ in rows_of_table(printed)] == ["dense", "static", "evolved"]
    one_file.main(seeds=(4, 5), n_reviews=30, n_epochs=2)
    assert capsys.readouterr().out == printed, "the same seeds give the same numbers"


def rows_of_table(printed):
    """Of each row: what it is called, number and share of the parameters, accuracies by seed, their mean."""
    for line in printed.splitlines():
        if row := re.fullmatch(r"(dense|static|evolved): .*?  +([\d,]+) +([\d.]+)%((?: +[\d.]+%)+)", line):
            *accuracies, mean = (float(number) for number in re.findall(r"[\d.]+", row[4]))
            yield row[1], int(row[2].replace(",", "")), float(row[3]), accuracies, mean


@pytest.mark.slow
def test_the_evolved_network_is_at_least_as_good_as_the_static_one(tmp_path):
    printed = run(tmp_path, FILE.name)
    assert len(re.findall(r"^gradient of .* ok$", printed, re.MULTILINE)) == 6
    dense, static, evolved = rows_of_table(printed)
    for _, _, _, accuracies, mean in (dense, static, evolved):
        assert len(accuracies) >= 3 and mean == pytest.approx(np.mean(accuracies), abs=0.11)
    assert static[1:3] == evolved[1:3] and evolved[2] < 4 and dense[2] == 100
    assert evolved[1] / dense[1] == pytest.approx(evolved[2] / 100, abs=0.0006)
    assert evolved[-1] >= static[-1]
    assert static[-1] > 60, "better than a guess"
