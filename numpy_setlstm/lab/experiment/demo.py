"""The demo that sets dense, static and evolved networks side by side, and one training with its pictures."""

from pathlib import Path

import numpy as np

from numpy_setlstm.datasets import Reviews, make_reviews
from numpy_setlstm.estimator import SetLSTMClassifier
from numpy_setlstm.inputs import CONNECTIVITIES
from numpy_setlstm.lab.experiment.results import MODEL_FILE, format_table, run, write_json
from numpy_setlstm.sparse import SparseMatrix
from numpy_setlstm.topology import null_evolution, replay

#: Parameters of the demo's three networks, found on validation reviews, like the estimator's: see docs/recipe.md.
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
#: And those that differ from one connectivity to another.
DEMO_RATES = {
    "set": {"learning_rate": 1.5e-2, "embedding_learning_rate": 5e-2},
    "static": {"learning_rate": 1.5e-2, "embedding_learning_rate": 5e-2},
    "dense": {"learning_rate": 3e-3, "embedding_learning_rate": 3e-3},
}
DEMO_TRAIN, DEMO_TEST = 7000, 1000


def demo_reviews(seed=0, *, train_texts=None, test_texts=None):
    """The synthetic reviews of the demo: 7,000 to train on and 1,000 to test on.

    Parameters
    ----------
    seed : int
        Of the grammar's choices.
    train_texts, test_texts : int, optional
        Other numbers of reviews.

    Returns
    -------
    Reviews

    Examples
    --------
    >>> demo_reviews(0)
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
    """Train dense, static and evolved networks on the demo's reviews; write results and pictures.

    Parameters
    ----------
    output : str or Path
        Folder for ``results.json`` and the pictures; made if it does not exist.
    seed : int
        Of the reviews and of the networks.
    progress : bool, default False
        Show progress bars, if standard error is a terminal.
    report : callable
        Takes lines of text to show.
    **parameters
        Of :class:`~numpy_setlstm.estimator.SetLSTMClassifier`, in place of those in :data:`DEMO_PARAMETERS`.

    Returns
    -------
    list of dict
        The results, dense first.

    Examples
    --------
    >>> import tempfile
    >>> tiny = {"embedding_dim": 4, "hidden_size": 4, "density": 0.5, "max_length": 4, "n_epochs": 1, "batch_size": 512}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     results = run_demo(folder, report=lambda line: None, **tiny)
    >>> [result["connectivity"] for result in results]
    ['dense', 'static', 'set']
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    reviews = demo_reviews(seed)
    report(f"{reviews}\nfor example: {reviews.train_texts[0]}")
    classifiers, results = {}, []
    for connectivity in reversed(CONNECTIVITIES):
        settings = DEMO_PARAMETERS | DEMO_RATES[connectivity] | parameters
        classifiers[connectivity] = SetLSTMClassifier(connectivity, random_state=seed, progress=progress, **settings)
        results.append(run(classifiers[connectivity], reviews))
        write_json(output / "results.json", {"runs": results})
        report(f"{connectivity}: {results[-1]['test_accuracy']:.1%} of the test reviews right")
        if results[-1]["interrupted"]:
            break
    report("\n" + format_table(results) + "\n")
    for path in save_pictures(classifiers, output, seed):
        report(f"wrote {path}")
    return results


def run_training(clf, reviews, output, *, seed=0, resume=False, report=print):
    """Train one network; write the model after every epoch, results and pictures at the end.

    Parameters
    ----------
    clf : SetLSTMClassifier
    reviews : Reviews
    output : str or Path
        Folder for ``model.npz``, ``results.json`` and the pictures; made if it does not exist.
    seed : int
        Of the null model in the pictures.
    resume : bool, default False
        Go on with training that was interrupted.
    report : callable
        Takes lines of text to show.

    Returns
    -------
    dict
        The result: see :func:`result_of`.

    Examples
    --------
    >>> import tempfile
    >>> reviews = demo_reviews(train_texts=60, test_texts=20)
    >>> clf = SetLSTMClassifier(embedding_dim=8, hidden_size=8, density=0.3, n_epochs=2, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = run_training(clf, reviews, folder, report=lambda line: None)
    ...     print(sorted(path.name for path in Path(folder).iterdir()))
    ['connections.png', 'evolution.gif', 'learning_curves.png', 'model.npz', 'results.json']
    """
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    result = run(clf, reviews, resume=resume, checkpoint_path=output / MODEL_FILE)
    write_json(output / "results.json", {"runs": [result]})
    report(format_table([result]))
    for path in save_pictures({clf.connectivity: clf}, output, seed):
        report(f"wrote {path}")
    return result


def save_pictures(classifiers, output, seed):
    """Draw learning curves, and how the recurrent connections of the evolved network changed.

    Parameters
    ----------
    classifiers : dict of str to SetLSTMClassifier
        Fitted; by label.
    output : Path
        A folder.
    seed : int
        Of the null model, the evolution without training.

    Returns
    -------
    list of Path
        The files that were written: ``learning_curves.png`` and, if a network evolved, ``connections.png`` and, unless
        the matrix has too many connections to film, ``evolution.gif``.

    Examples
    --------
    >>> import tempfile
    >>> reviews = demo_reviews(train_texts=60, test_texts=20)
    >>> clf = SetLSTMClassifier(embedding_dim=8, hidden_size=8, density=0.3, n_epochs=2, random_state=0)
    >>> clf = clf.fit(reviews.train_texts, reviews.train_labels)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in save_pictures({"set": clf}, Path(folder), 0)]
    ['learning_curves.png', 'connections.png', 'evolution.gif']
    """
    from numpy_setlstm import plotting  # importing matplotlib takes a second, and training needs none of it

    paths = [output / "learning_curves.png"]
    axes = plotting.plot_learning_curves({label: clf.history_ for label, clf in classifiers.items()})
    axes[0].figure.savefig(paths[0], dpi=150)
    evolved = [clf for clf in classifiers.values() if clf.history_["set_steps"]]
    if evolved and "W_h" in evolved[0].training_state_.initial_topologies:
        state, zeta, rule = evolved[0].training_state_, evolved[0].zeta, evolved[0].prune_rule
        before = state.initial_topologies["W_h"]
        steps = [step["W_h"] for step in state.history["set_steps"]]
        rng = np.random.default_rng(seed)
        untrained = SparseMatrix.from_topology(before, rng.normal(size=len(before.rows)))
        null_steps = null_evolution(untrained, len(steps), zeta, rng, prune_rule=rule)
        paths.append(output / "connections.png")
        ax = plotting.plot_connectivity_change(before, replay(before, steps)[-1])
        ax.figure.savefig(paths[1], dpi=150)
        if len(before.rows) <= plotting.MAX_DOTS:
            paths.append(output / "evolution.gif")
            plotting.save_animation(plotting.animate_evolution(before, steps, null_steps=null_steps), paths[2])
    return paths
