r"""How well the connections spread their input: the second singular value of the 0/1 matrix.

A graph expands if every set of units reaches many others. The further the largest singular value of its adjacency
matrix exceeds the second, the better the graph expands; how small the second can be depends on the degrees.

Sources: S. Hoory, N. Linial and A. Wigderson (2006), "Expander graphs and their applications"; for bipartite graphs,
K. Feng and W.-C. W. Li (1996), "Spectra of hypergraphs and applications"; for pruned networks, B. Pal et al. (2022), "A
Study on the Ramanujan Graph Property of Winning Lottery Tickets".
"""

from dataclasses import dataclass

import numpy as np

from numpy_setlstm.checks import checked, generator, whole
from numpy_setlstm.layers.lstm import GATES
from numpy_setlstm.measures.adjacency import as_topology, dense_blocks
from numpy_setlstm.measures.adjacency import reserved_rows as reserved
from numpy_setlstm.measures.adjacency import topology as a_topology
from numpy_setlstm.sparse import Topology
from numpy_setlstm.topology import erdos_renyi


@dataclass(frozen=True)
class Expansion:
    """Singular values of a 0/1 matrix, and the bound to compare them with.

    Attributes
    ----------
    sigma_1, sigma_2 : float
        The largest singular value and the second.
    mean_row_degree, mean_column_degree : float
        Mean number of connections of a row, and of a column.

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
        """Float: the largest `sigma_2` of an expander-like graph."""
        return float(sum(np.sqrt(max(d - 1, 0)) for d in (self.mean_row_degree, self.mean_column_degree)))

    @property
    def ratio(self):
        """Float: `sigma_2` over the bound; at most 1 if the graph is expander-like; NaN if the bound is 0."""
        return self.sigma_2 / self.bound if self.bound else float("nan")

    @property
    def is_expander_like(self):
        """Bool: whether `sigma_2` is within the bound."""
        return bool(self.sigma_2 <= self.bound)


@checked(topology=a_topology, reserved_rows=reserved)
def expansion(topology, *, reserved_rows=0):
    r"""Whether the connections of a matrix spread like those of a good expander.

    Parameters
    ----------
    topology : Topology or SparseMatrix of shape (n_rows, n_cols)
        For one gate alone: :func:`gate_of`.
    reserved_rows : int, default 0
        Number of leading rows kept empty; they do not count in the mean degree.

    Returns
    -------
    Expansion

    Notes
    -----
    A bipartite graph with the same degree :math:`d_L` for all units of one side and :math:`d_R` for all of the other is
    a Ramanujan graph, an optimal expander, if

    .. math:: \sigma_2 \le \sqrt{d_L - 1} + \sqrt{d_R - 1}

    For unequal degrees, the mean degrees are inserted: a rule of thumb, not a theorem. So compare with random graphs of
    as many connections, and with :func:`rewired` ones, before claiming that an evolution made a difference.

    Examples
    --------
    >>> from numpy_setlstm import erdos_renyi
    >>> found = expansion(erdos_renyi((256, 256), np.random.default_rng(0), density=0.05))
    >>> round(found.sigma_1, 1), round(found.sigma_2, 1), round(found.bound, 1)
    (13.8, 7.0, 6.9)
    """
    sigmas = np.append(singular_values(topology), [0.0, 0.0])
    nnz, n_rows, n_cols = len(topology.rows), topology.shape[0] - reserved_rows, topology.shape[1]
    return Expansion(float(sigmas[0]), float(sigmas[1]), nnz / max(n_rows, 1), nnz / max(n_cols, 1))


def singular_values(topology):
    """Singular values (min(n_rows, n_cols),) of the 0/1 matrix of a Topology or SparseMatrix, the largest first."""
    topology = as_topology(topology)
    if topology.shape[1] > topology.shape[0]:
        topology = topology.transposed
    # Roots of the eigenvalues of A^T A: 256 x 256 numbers for an embedding of 20,000 words, never 20,000 x 256. The
    # entries are exact; the roots lose a few 1e-8 of the largest, which is harmless here.
    gram = np.zeros((topology.shape[1], topology.shape[1]))
    for block in dense_blocks(topology):
        gram += block.T @ block
    return np.sqrt(np.maximum(np.linalg.eigvalsh(gram), 0))[::-1]


@checked(topology=a_topology, k=whole(0, 3, "the number of a gate, from 0 to 3"))
def gate_of(topology, k):
    """The connections of one gate, as a separate matrix.

    Parameters
    ----------
    topology : Topology or SparseMatrix of shape (n, 4H)
    k : int
        Index of the gate, 0 to 3.

    Returns
    -------
    Topology of shape (n, H)

    Raises
    ------
    ValueError
        If the number of columns is not divisible by 4.

    Examples
    --------
    >>> gate_of(Topology((1, 8), np.array([0, 0]), np.array([1, 5])), 2).cols
    array([1], dtype=int32)
    """
    n_rows, n_cols = topology.shape
    if n_cols % len(GATES):
        raise ValueError(f"{n_cols} columns are not divisible by 4 gates; expected a matrix of shape (n, 4H)")
    H = n_cols // len(GATES)
    here = topology.cols // H == k
    return Topology((n_rows, H), topology.rows[here], topology.cols[here] - k * H)


def random_graph(topology, rng, *, reserved_rows=0):
    """A random Topology with as many connections."""
    density = len(topology.rows) / max(topology.shape[0] * topology.shape[1], 1)
    return erdos_renyi(topology.shape, rng, density=density, reserved_rows=reserved_rows).topology


@checked(topology=a_topology, rng=generator, n_rounds=whole(0, 10**6))
def rewired(topology, rng, *, n_rounds=10):
    """A random graph in which every unit keeps its degree.

    Parameters
    ----------
    topology : Topology or SparseMatrix
    rng : numpy.random.Generator
    n_rounds : int, default 10
        Number of rounds; in each, all rows trade in pairs.

    Returns
    -------
    Topology

    Notes
    -----
    Rows are paired at random. Two rows keep the columns that both have; the columns that only one has are pooled and
    dealt out at random, to each row as many as it gave. After many rounds, all graphs with these degrees are equally
    likely.

    Source: G. Strona et al. (2014), "A fast and unbiased procedure to randomize ecological binary matrices with
    fixed row and column totals"; trades of all rows at once: C. J. Carstens et al. (2018), "Parallel and I/O-efficient
    randomisation of massive networks using global curveball trades".

    Examples
    --------
    >>> other = rewired(Topology((2, 3), np.array([0, 0, 1]), np.array([0, 1, 2])), np.random.default_rng(1))
    >>> other.rows.tolist(), sorted(other.cols.tolist())
    ([0, 0, 1], [0, 1, 2])
    """
    n_rows, n_cols = topology.shape
    rows, cols = topology.rows.astype(np.int64), topology.cols.astype(np.int64)
    for _ in range(n_rounds):
        pair = (rng.permutation(n_rows) // 2)[rows]  # (nnz,) the pair of each connection's row
        pooled = np.flatnonzero(_occurs_once(pair * n_cols + cols))
        in_order = pooled[np.argsort(pair[pooled], kind="stable")]
        dealt = pooled[np.argsort(pair[pooled] + rng.random(len(pooled)))]  # the same pairs, shuffled within
        cols[in_order] = cols[dealt]
    return Topology(topology.shape, *np.divmod(np.sort(rows * n_cols + cols), n_cols))


def _occurs_once(numbers):
    """Whether each of the numbers (n,) differs from all others."""
    order = np.argsort(numbers)
    new = np.diff(numbers[order], prepend=-1, append=-1) != 0  # between neighbors in order, and at both ends
    once = np.empty(len(numbers), bool)
    once[order] = new[:-1] & new[1:]
    return once
