"""What workers do for a classifier: the pieces of a minibatch, and the batches of an evaluation or a prediction.

Network, texts and gradients lie in shared memory. A sparse network makes that cheap: its weights and gradients are a
few percent of a dense one's. Between two SET steps only the weights change; the topologies of the workers follow by the
same SetSteps, and so are never sent again.
"""

from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from numpy_setlstm.blas import has_one_thread
from numpy_setlstm.classification import Classification, cut_texts, evaluate_batch
from numpy_setlstm.minibatches import connections_read, count_pieces
from numpy_setlstm.network import FastEngine, Network, PlainEngine
from numpy_setlstm.parameters import directions_of
from numpy_setlstm.sparse import SparseMatrix, dtype_of, weights_of
from numpy_setlstm.workers.pool import borrow_pool, count_jobs, worker_processes

# Words times the connections that each reads: with fewer, one process is done before others have started; or in
# prediction, where they are there already, before they have the network.
LEAST_TRAINING, LEAST_PREDICTION, LEAST_PREDICTION_STARTED = 3 * 10**9, 10**10, 2 * 10**8


class TrainingJob(NamedTuple):
    """What a worker has in training; its methods are what it can be asked."""

    network: Network
    task: Classification
    gradients: list  # by the number of the piece, for those that are computed by workers: the gradients by parameter

    def backpropagate(self, share):
        """Write the gradients of some pieces to shared memory; return the rest, a list of Minibatches, or of errors."""
        all_steps, pieces = share
        self._follow(all_steps)
        return [attempt(self._backpropagate, k, piece) for k, piece in pieces]

    def _backpropagate(self, k, piece):
        minibatch = self.task.backpropagate_piece(self.network, piece)
        for name, gradient in minibatch.gradients.items():
            self.gradients[k][name][...] = gradient
        return minibatch._replace(gradients={})

    def evaluate(self, share):
        """What :func:`evaluate_batch` gives for some batches of the validation texts."""
        all_steps, batches = share
        self._follow(all_steps)
        return [evaluate_batch(self.network, *self.task.validation, batch=batch) for batch in batches]

    def _follow(self, all_steps):
        """Let the topologies follow evolutions, each a dict of SetSteps; the values are in shared memory already."""
        for steps in all_steps:
            for name, step in steps.items():
                W = self.network.parameters[name]
                self.network.parameters[name] = SparseMatrix.from_topology(step.apply(W.topology), W.values)


class SharedTraining:
    """Shares minibatches and evaluations among this process and workers."""

    def __init__(self, pool, network, task, n_jobs, n_pieces):
        self.pool, self.task, self.n_jobs, self.steps = pool, task, n_jobs, []
        shapes = {name: weights_of(W).shape for name, W in network.parameters.items()}
        dtype = dtype_of(network.parameters)
        gradients = [
            {name: np.zeros(shape, dtype) for name, shape in shapes.items()} if k % n_jobs else None
            for k in range(n_pieces)
        ]
        self.twin = pool.load(TrainingJob(network, task, gradients), n_jobs - 1)

    def evolve(self, steps):
        """Let the workers follow the SetSteps of an evolution, when they are asked next."""
        self.steps.append(steps)

    def backpropagate(self, network, pieces):
        """The Minibatches of all pieces, in order; the first piece with an error raises it, as in one process."""
        done = self._ask("backpropagate", network, list(enumerate(pieces)), self._backpropagate_own)
        for error in done:
            if isinstance(error, Exception):
                raise error
        return [
            minibatch if minibatch.gradients else minibatch._replace(gradients=self.twin.gradients[k])
            for k, minibatch in enumerate(done)
        ]

    def _backpropagate_own(self, network, pieces):
        return [attempt(self.task.backpropagate_piece, network, piece) for _, piece in pieces]

    def evaluate(self, network, n_texts):
        """What :func:`evaluate_batch` gives for all batches of the validation texts, in order."""
        batches = cut_texts(n_texts)
        try:
            return self._ask("evaluate", network, batches, self._evaluate_own)
        except Exception:  # noqa: BLE001  a worker has ended, or this raises what one process does
            self.n_jobs = 1  # from now on: the workers have ended
            return self._evaluate_own(network, batches)

    def _evaluate_own(self, network, batches):
        return [evaluate_batch(network, *self.task.validation, batch=batch) for batch in batches]

    def _ask(self, name, network, work, do_own):
        """Deal out work to this process and the workers, in turn, with the weights as they are; results in order."""
        copy_weights(network, self.twin.network)
        own, *theirs = deal(work, self.n_jobs)
        shares = [(self.steps, share) for share in theirs]
        own_results, results = self.pool.ask(name, shares, lambda: do_own(network, own))
        self.steps = []
        return collect([own_results, *results])


class PredictionJob(NamedTuple):
    """What a worker has in prediction, and keeps for the next one with the same connections."""

    network: Network

    def predict(self, batches):
        """Probabilities (N, C) for each of some batches of texts (N, T)."""
        return [self.network.predict_proba(tokens) for tokens in batches]


def attempt(function, *arguments):
    """What a function gives, or the error that it raises."""
    try:
        return function(*arguments)
    except Exception as error:  # noqa: BLE001  it is raised later
        return error


def copy_weights(network, twin):
    """Let the twin of a network in shared memory have its weights."""
    for name, W in network.parameters.items():
        np.copyto(weights_of(twin.parameters[name]), weights_of(W))


def deal(work, n_jobs):
    """Deal out a list in turn: a list for each of `n_jobs`.

    >>> deal([1, 2, 3, 4, 5], 2)
    [[1, 3, 5], [2, 4]]
    """
    return [work[k::n_jobs] for k in range(n_jobs)]


def collect(shares):
    """Undo :func:`deal`."""
    return [shares[k % len(shares)][k // len(shares)] for k in range(sum(map(len, shares)))]


@contextmanager
def shared(task, network, settings, n_jobs):
    """The same task with its minibatches shared by up to `n_jobs` processes; unchanged where that does not pay."""
    connections = connections_read(network.parameters)
    n_pieces = count_pieces(min(settings.batch_size, len(task.tokens)), connections)
    n_jobs = min(_count_useful_jobs(network, n_jobs), n_pieces)
    if n_jobs == 1 or settings.n_epochs * np.count_nonzero(task.tokens) * connections < LEAST_TRAINING:
        yield task
        return
    with borrow_pool() as pool:
        if pool is None:
            yield task
            return
        try:
            yield task._replace(workers=SharedTraining(pool, network, task, n_jobs, n_pieces))
        finally:
            pool.forget()


def predict_shared(network, tokens, n_jobs, show=iter):
    """Probabilities (n_texts, C), by up to `n_jobs` processes; `show` shows the progress of a list of batches."""
    batches = cut_texts(len(tokens))
    n_jobs = min(_count_useful_jobs(network, n_jobs), len(batches))
    least = LEAST_PREDICTION_STARTED if len(worker_processes()) >= n_jobs - 1 else LEAST_PREDICTION
    if n_jobs > 1 and np.count_nonzero(tokens) * connections_read(network.parameters) >= least:
        with borrow_pool() as pool:
            if pool is not None:
                return _predict_by(pool, network, tokens, n_jobs, batches, show)
    return np.concatenate([network.predict_proba(tokens[batch]) for batch in show(batches)])


def _predict_by(pool, network, tokens, n_jobs, batches, show):
    """Probabilities by workers of the pool and this process, or after an error by this one alone."""
    own, *theirs = deal([tokens[batch] for batch in batches], n_jobs)
    job = PredictionJob(network)
    try:
        copy_weights(network, pool.load(job, n_jobs - 1, of=_form_of(network)).network)
        own_results, results = pool.ask("predict", theirs, lambda: job.predict(show(own)))
        return np.concatenate(collect([own_results, *results]))
    except Exception:  # noqa: BLE001  a worker has ended, or this raises what one process does
        return np.concatenate(job.predict([tokens[batch] for batch in show(batches)]))


def _form_of(network):
    """All of a network that matters in prediction but its weights, a tuple; topologies are compared by identity."""
    parts = (
        (W.topology if isinstance(W, SparseMatrix) else W.shape, W.dtype, weights_of(W).flags.c_contiguous)
        for W in network.parameters.values()
    )
    return type(network.engine), vars(network.engine).get("kernel"), network.pooling, *parts


def _count_useful_jobs(network, n_jobs):
    """How many processes may be used.

    One for a network, an engine or an LSTM of somebody's own, which others may not have; for weights that are not
    contiguous, as shared memory has no others; and where BLAS has several threads, which share the products already:
    processes beside them would wait for each other.
    """
    engine = network.engine
    own = type(network) is not Network or type(engine) not in (FastEngine, PlainEngine)
    own = own or getattr(engine, "lstm", None) is not None
    scattered = not all(weights_of(W).flags.forc for W in network.parameters.values())
    return 1 if own or scattered or (_uses_blas(network) and not has_one_thread()) else count_jobs(n_jobs)


def _uses_blas(network):
    """Whether BLAS multiplies by the matrices of an LSTM; the readout, which is small, does not count."""
    matrices = [network.parameters[name] for names in directions_of(network.parameters).values() for name in names[:2]]
    return any(map(network.engine.uses_blas, matrices))
