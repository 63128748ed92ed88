r"""How well the connections spread what comes in: the second singular value of the 0/1 matrix.

A graph expands if every set of units reaches many others. The sharper the largest singular value of its adjacency
matrix stands out from the second, the better it does; and how small the second can be at all depends on the degrees.

Sources: S. Hoory, N. Linial and A. Wigderson (2006), "Expander graphs and their applications"; for graphs with two
sides, K. Feng and W.-C. W. Li (1996), "Spectra of hypergraphs and applications"; B. Pal et al. (2022), "A Study on the
Ramanujan Graph Property of Winning Lottery Tickets", for pruned networks.
"""

from dataclasses import dataclass

import numpy as np

from numpy_setlstm.measures.evolution import as_topology
from numpy_setlstm.sparse import Topology

BLOCK = 1024  # rows that are written out in full at a time


def singular_values(topology):
    """All singular values of the matrix that is 1 where there is a connection and 0 elsewhere.

    Parameters
    ----------
    topology : Topology or SparseMatrix of shape (n_rows, n_cols)

    Returns
    -------
    ndarray of shape (min(n_rows, n_cols),)
        The largest first.

    Notes
    -----
    They are the roots of the eigenvalues of :math:`A^T A`, of the size of the smaller side, to which each block of rows
    adds its part: an embedding of 20,000 words needs 256 x 256 numbers and never 20,000 x 256. Those sums of ones are
    exact; what the root of an eigenvalue loses, a few 1e-8 of the largest, is nothing to what is asked here.

    Examples
    --------
    >>> singular_values(Topology((2, 3), np.array([0, 1, 1]), np.array([0, 1, 2]))).round(3)
    array([1.414, 1.   ])
    """
    topology = as_topology(topology)
    if topology.shape[1] > topology.shape[0]:
        topology = topology.transposed
    n_rows, n_cols = topology.shape
    gram = np.zeros((n_cols, n_cols))
    for first in range(0, n_rows, BLOCK):
        start, stop = np.searchsorted(topology.rows, [first, first + BLOCK])
        block = np.zeros((min(BLOCK, n_rows - first), n_cols), np.float32)
        block[topology.rows[start:stop] - first, topology.cols[start:stop]] = 1
        gram += block.T @ block
    return np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0))[::-1]


@dataclass(frozen=True)
class Expansion:
    """Singular values of a 0/1 matrix, and what they are measured by.

    Attributes
    ----------
    sigma_1, sigma_2 : float
        The largest singular value and the second.
    mean_row_degree, mean_column_degree : float
        Connections of a row, and of a column.

    Examples
    --------
    >>> found = Expansion(sigma_1=5.0, sigma_2=3.9, mean_row_degree=5.0, mean_column_degree=5.0)
    >>> found.bound, found.is_expander_like
    (4.0, True)
    """

    sigma_1: float
    sigma_2: float
    mean_row_degree: float
    mean_column_degree: float

    @property
    def bound(self):
        """Float: the bound on `sigma_2` below which the graph counts as expander-like."""
        return float(sum(np.sqrt(max(d - 1, 0)) for d in (self.mean_row_degree, self.mean_column_degree)))

    @property
    def ratio(self):
        """Float: `sigma_2` over the bound; at most 1 if the graph is expander-like; NaN where the bound is 0."""
        return self.sigma_2 / self.bound if self.bound else float("nan")

    @property
    def is_expander_like(self):
        """Bool: whether `sigma_2` is within the bound."""
        return bool(self.sigma_2 <= self.bound)


def expansion(topology, *, reserved_rows=0):
    r"""Whether the connections of a matrix spread like those of a good expander.

    Parameters
    ----------
    topology : Topology or SparseMatrix of shape (n_rows, n_cols)
        One gate alone: :func:`gate_of`.
    reserved_rows : int, default 0
        The first so many rows never have a connection; they do not count in the mean degree.

    Returns
    -------
    Expansion

    Notes
    -----
    A graph with two sides in which all degrees are :math:`d_L` and all are :math:`d_R` is a Ramanujan graph, as good an
    expander as there can be, if

    .. math:: \sigma_2 \le \sqrt{d_L - 1} + \sqrt{d_R - 1}

    With unequal degrees, the mean degrees stand in for them: a yardstick, not a theorem. So look at random graphs of
    the same counts, and at :func:`rewired` ones of the same degrees, before saying that an evolution made a difference.

    Examples
    --------
    >>> from numpy_setlstm.topology import erdos_renyi
    >>> found = expansion(erdos_renyi((256, 256), np.random.default_rng(0), density=0.05))
    >>> round(found.sigma_1, 1), round(found.sigma_2, 1), round(found.bound, 1)
    (13.8, 7.0, 6.9)
    """
    sigmas = np.append(singular_values(topology), [0.0, 0.0])
    nnz, n_rows, n_cols = len(topology.rows), topology.shape[0] - reserved_rows, topology.shape[1]
    return Expansion(float(sigmas[0]), float(sigmas[1]), nnz / max(n_rows, 1), nnz / max(n_cols, 1))


def gate_of(topology, k, n_gates=4):
    """The connections of one gate, as a matrix of their own.

    Parameters
    ----------
    topology : Topology or SparseMatrix of shape (n, 4H)
    k : int
        Which of the column blocks.
    n_gates : int, default 4
        How many column blocks there are.

    Returns
    -------
    Topology of shape (n, H)

    Raises
    ------
    ValueError
        If the columns are not divisible by the number of gates.

    Examples
    --------
    >>> gate_of(Topology((1, 8), np.array([0, 0]), np.array([1, 5])), 2).cols
    array([1], dtype=int32)
    """
    n_rows, n_cols = topology.shape
    if n_cols % n_gates:
        raise ValueError(f"{n_cols} columns are not divisible by {n_gates} gates; expected a matrix of shape (n, 4H)")
    H = n_cols // n_gates
    here = topology.cols // H == k
    return Topology((n_rows, H), topology.rows[here], topology.cols[here] - k * H)


def rewired(topology, rng, *, n_rounds=10):
    """A random graph in which every unit has as many connections as it had before.

    Parameters
    ----------
    topology : Topology or SparseMatrix
    rng : numpy.random.Generator
    n_rounds : int, default 10
        How often all rows are paired and trade.

    Returns
    -------
    Topology

    Notes
    -----
    Rows are paired at random. Two rows keep the columns that both have; those that only one has are pooled and dealt
    out at random, to each row as many as it gave. All graphs with these degrees are equally likely after many rounds.

    Source: G. Strona et al. (2014), "A fast and unbiased procedure to randomize ecological binary matrices with
    fixed row and column totals"; trades of all rows at once: C. J. Carstens et al. (2018), "Parallel and I/O-efficient
    randomisation of massive networks using global curveball trades".

    Examples
    --------
    >>> from numpy_setlstm.measures import connection_counts
    >>> from numpy_setlstm.topology import erdos_renyi
    >>> W = erdos_renyi((30, 40), np.random.default_rng(0), density=0.1)
    >>> other = rewired(W, np.random.default_rng(1))
    >>> bool((connection_counts(W, 0) == connection_counts(other, 0)).all())
    True
    """
    n_rows, n_cols = topology.shape
    rows, cols = topology.rows.astype(np.int64), topology.cols.astype(np.int64)
    for _ in range(n_rounds):
        pair = (rng.permutation(n_rows) // 2)[rows]  # (nnz,) which two rows trade
        pooled = np.flatnonzero(_occur_once(pair * n_cols + cols))
        in_order = pooled[np.argsort(pair[pooled], kind="stable")]
        dealt = pooled[np.argsort(pair[pooled] + rng.random(len(pooled)))]  # the same pairs, shuffled within
        cols[in_order] = cols[dealt]
    return Topology(topology.shape, *np.divmod(np.sort(rows * n_cols + cols), n_cols))


def _occur_once(numbers):
    """Which of the numbers have no equal among the others, ndarray of bool."""
    order = np.argsort(numbers)
    new = np.diff(numbers[order], prepend=-1, append=-1) != 0  # between neighbours in order, and at both ends
    once = np.empty(len(numbers), bool)
    once[order] = new[:-1] & new[1:]
    return once
