"""The demo, which compares dense, static and evolved networks, and the training of one network with its pictures."""

import zlib

import numpy as np

from numpy_setlstm.checkpoint import load_arrays
from numpy_setlstm.datasets import Reviews, make_reviews
from numpy_setlstm.estimator import SetLSTMClassifier
from numpy_setlstm.files import locked, make_folder
from numpy_setlstm.inputs import CONNECTIVITIES
from numpy_setlstm.lab.experiment.results import MODEL_FILE, format_table, run
from numpy_setlstm.lab.files import write_json, write_picture
from numpy_setlstm.measures import null_evolution, replay
from numpy_setlstm.sparse import SparseMatrix

# Parameters of the demo's three networks, chosen on validation reviews like the estimator's: see docs/recipe.md.
DEMO_PARAMETERS = {
    "embedding_dim": 128,
    "hidden_size": 128,
    "max_length": 48,
    "n_epochs": 9,
    "batch_size": 32,
    "embedding_dropout": 0.0,
    "dropout": 0.0,
    "zeta": 0.2,
}
# Those that differ between connectivities.
DEMO_RATES = {
    "set": {"learning_rate": 1.5e-2, "embedding_learning_rate": 5e-2},
    "static": {"learning_rate": 1.5e-2, "embedding_learning_rate": 5e-2},
    "dense": {"learning_rate": 3e-3, "embedding_learning_rate": 3e-3},
}
DEMO_TRAIN, DEMO_TEST = 7000, 1000
RESULTS_FILE = "results.json"


def demo_reviews(seed=0, *, train_texts=None, test_texts=None):
    """Make the demo's synthetic reviews.

    Parameters
    ----------
    seed : int
        Seed of the grammar's choices.
    train_texts, test_texts : int, optional
        Numbers of reviews; 7,000 and 1,000 by default.

    Returns
    -------
    Reviews

    Examples
    --------
    >>> demo_reviews()
    Reviews(demo: train 7,000 (50% positive), test 1,000 (50% positive))
    """
    n_train, n_test = train_texts or DEMO_TRAIN, test_texts or DEMO_TEST
    texts, labels = make_reviews(n_train + n_test, np.random.default_rng(seed))
    return Reviews(
        name="demo",
        train_texts=texts[:n_train],
        train_labels=labels[:n_train],
        test_texts=texts[n_train:],
        test_labels=labels[n_train:],
        rule="the grammar says which sentence decides",
    )


def run_demo(output, *, seed=0, progress=False, report=print, **parameters):
    """Train dense, static and evolved networks on the demo's reviews, and write results and pictures.

    Parameters
    ----------
    output : str or Path
        Folder, made if missing, for ``results.json`` and the pictures.
    seed : int
        Seed of the reviews and of the networks.
    progress : bool, default False
        Show progress bars if standard error is a terminal.
    report : callable
        Called with each line of text to show.
    **parameters
        Parameters of :class:`~numpy_setlstm.estimator.SetLSTMClassifier` that replace the demo's.

    Returns
    -------
    list of dict
        One result per network, dense first; the last one is ``"interrupted"`` after Ctrl-C.

    Examples
    --------
    >>> import tempfile
    >>> tiny = {"embedding_dim": 4, "hidden_size": 4, "er_epsilon": 1, "max_length": 4, "n_epochs": 1}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     results = run_demo(folder, report=lambda line: None, **tiny)
    >>> [result["connectivity"] for result in results]
    ['dense', 'static', 'set']
    """
    output = make_folder(output)
    with locked(output / RESULTS_FILE):
        return _run_demo(output, seed, progress, report, parameters)


def _run_demo(output, seed, progress, report, parameters):
    reviews = demo_reviews(seed)
    report(f"{reviews}\nfor example: {reviews.train_texts[0]}")
    classifiers, results = {}, []
    for connectivity in reversed(CONNECTIVITIES):
        settings = DEMO_PARAMETERS | DEMO_RATES[connectivity] | parameters
        classifiers[connectivity] = SetLSTMClassifier(connectivity, random_state=seed, progress=progress, **settings)
        results.append(run(classifiers[connectivity], reviews))
        write_json(output / RESULTS_FILE, {"runs": results})
        report(f"{connectivity}: {results[-1]['test_accuracy']:.1%} of the test reviews classified correctly")
        if results[-1]["interrupted"]:
            break
    report("\n" + format_table(results) + "\n")
    for path in save_pictures(classifiers, output):
        report(f"wrote {path}")
    return results


def run_training(clf, reviews, output, *, resume=False, report=print):
    """Train one network; save the model after every epoch, and results and pictures at the end.

    Parameters
    ----------
    clf : SetLSTMClassifier
    reviews : Reviews
    output : str or Path
        Folder, made if missing, for ``model.npz``, ``results.json`` and the pictures.
    resume : bool, default False
        Continue interrupted training. The null model in the pictures follows from the network's first connections, so
        that it is the same as without an interruption.
    report : callable
        Called with each line of text to show.

    Returns
    -------
    dict
        Test accuracies of the best epoch, numbers of parameters, times, and the learning curves.

    Raises
    ------
    FileExistsError
        If there is a model in `output`, and `resume` is False.
    BlockingIOError
        If another process is writing into `output`, or has trained the model there since `clf` was read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> reviews = demo_reviews(train_texts=60, test_texts=20)
    >>> clf = SetLSTMClassifier(embedding_dim=16, hidden_size=64, er_epsilon=2, n_epochs=2, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = run_training(clf, reviews, folder, report=lambda line: None)
    ...     print(sorted(path.name for path in Path(folder).iterdir()))
    ['connections.png', 'evolution.gif', 'learning_curves.png', 'model.npz', 'results.json']
    """
    output = make_folder(output)
    with locked(output / RESULTS_FILE):
        check_model(clf, output / MODEL_FILE, resume)
        result = run(clf, reviews, resume=resume, checkpoint_path=output / MODEL_FILE)
        write_json(output / RESULTS_FILE, {"runs": [result]})
        report(format_table([result]))
        for path in save_pictures({clf.connectivity: clf}, output):
            report(f"wrote {path}")
    return result


def check_model(clf, path, resume):
    """FileExistsError or BlockingIOError if training would replace a model that is not the beginning of this one."""
    with locked(path):
        if not path.exists():
            return
        if not resume:
            raise FileExistsError(f"{path} exists: continue with --resume, or choose another --output")
        saved, _ = load_arrays(path)
    if (saved["epoch"], saved["batch"]) > (clf.training_state_.epoch, clf.training_state_.batch):
        raise BlockingIOError(f"{path} was trained by another process since it was read: repeat the command")


def save_pictures(classifiers, output):
    """Draw learning curves of classifiers by label, and how an evolved network's W_h changed; return the files.

    The film is left out if W_h has too many connections.
    """
    from numpy_setlstm import plotting  # importing matplotlib takes a second, and training does not need it

    axes = plotting.plot_learning_curves({label: clf.history_ for label, clf in classifiers.items()})
    paths = [write_picture(output / "learning_curves.png", axes[0].figure)]
    evolved = [clf for clf in classifiers.values() if clf.history_["set_steps"]]
    if evolved and "W_h" in evolved[0].training_state_.initial_topologies:
        state, zeta, rule = evolved[0].training_state_, evolved[0].zeta, evolved[0].prune_rule
        before = state.initial_topologies["W_h"]
        steps = [step["W_h"] for step in state.history["set_steps"]]
        rng = np.random.default_rng(zlib.crc32(before.rows.tobytes() + before.cols.tobytes()))
        untrained = SparseMatrix.from_topology(before, rng.normal(size=len(before.rows)))
        null_steps = null_evolution(untrained, len(steps), zeta, rng, prune_rule=rule)
        ax = plotting.plot_connectivity_change(before, replay(before, steps)[-1])
        paths.append(write_picture(output / "connections.png", ax.figure))
        if len(before.rows) <= plotting.MAX_DOTS:
            paths.append(output / "evolution.gif")
            plotting.save_animation(plotting.animate_evolution(before, steps, null_steps=null_steps), paths[-1])
    return paths
