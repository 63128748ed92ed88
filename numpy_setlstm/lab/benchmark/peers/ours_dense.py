"""The package's own dense network: the same code on plain arrays."""

from numpy_setlstm.lab.benchmark.peers.ours_sparse import OursSparse
from numpy_setlstm.lab.benchmark.work import draw_network
from numpy_setlstm.sparse import SparseMatrix


class OursDense(OursSparse):
    """The same network with every cell stored; cells without a connection start at 0 and are trained too."""

    EVOLVES = False

    def _make_network(self, work):
        network = draw_network(work)
        for name, W in network.parameters.items():
            if isinstance(W, SparseMatrix):
                network.parameters[name] = W.toarray()
        return network
