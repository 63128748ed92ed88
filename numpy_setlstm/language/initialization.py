"""A language model before training: the sizes of its parameters, and the first weights."""

from dataclasses import dataclass

import numpy as np

from numpy_setlstm.language.network import LanguageNetwork
from numpy_setlstm.parameters import LAYERS
from numpy_setlstm.topology import erdos_renyi, reserved_rows_of

SPARSE_CHOICES = ("E", "W_x", "W_h", "W_out")  # W_x and W_h are those of both layers


@dataclass(frozen=True)
class LanguageSizes:
    """The sizes that determine the shape of every parameter.

    >>> LanguageSizes(n_words=65, embedding_dim=64, hidden_size=256).shapes["W_out"]
    (256, 65)
    """

    n_words: int  #: V, padding and unknown included
    embedding_dim: int  #: D
    hidden_size: int  #: H
    n_layers: int = 1  #: 1 or 2
    tied: bool = False  #: Whether E is the readout as well
    n_labels: int = 0  #: C

    @property
    def shapes(self):
        """Dict of str to tuple of int: the shape of each parameter."""
        V, D, H, C = self.n_words, self.embedding_dim, self.hidden_size, self.n_labels
        shapes = {"E": (V, D)}
        for n_in, (W_x, W_h, b) in zip((D, H)[: self.n_layers], LAYERS, strict=False):
            shapes |= {W_x: (n_in, 4 * H), W_h: (H, 4 * H), b: (4 * H,)}
        readout = {} if self.tied else {"W_out": (H, V)}
        return shapes | readout | {"b_out": (V,)} | ({"E_label": (C, D)} if C else {})

    @property
    def dense_parameters(self):
        """Number of parameters of the dense network, everything counted."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    def sparse_names(self, sparse):
        """The parameters that are sparse, if `sparse` has those of :data:`SPARSE_CHOICES`."""
        return [name for name in self.shapes if name.removesuffix("_2") in sparse]


def init_language_network(
    sizes, topology_rng, values_rng, *, sparse=(), density=1.0, embedding_scale=1.0, dtype=np.float32, **settings
):
    r"""Draw a LanguageNetwork at random: each `sparse` matrix has the `density`, all others are dense.

    Weights of the LSTM have the standard deviation :math:`1 / \sqrt{3 k}` for k connections into a unit on average, as
    in :func:`~numpy_setlstm.initialization.init_network`; those of the readout :math:`1 / \sqrt{k}`; those of the
    embeddings `embedding_scale`. The forget gates begin with a bias of 1.
    """
    parameters, scales, H = {}, {}, sizes.hidden_size
    names = sizes.sparse_names(sparse)
    for name, shape in sizes.shapes.items():
        if len(shape) == 1:
            parameters[name] = np.zeros(shape, dtype)
            continue
        share = density if name in names else 1.0
        per_unit = max(1.0, share * shape[0])  # connections into a unit
        scale = float(embedding_scale if name[0] == "E" else 1 / np.sqrt(per_unit * (1 if name == "W_out" else 3)))
        if name not in names:
            parameters[name] = values_rng.normal(0, scale, shape).astype(dtype)
            continue
        options = {"scale": scale, "dtype": dtype, "reserved_rows": reserved_rows_of(name), "values_rng": values_rng}
        parameters[name], scales[name] = erdos_renyi(shape, topology_rng, density=density, **options), scale
    for *_, b in LAYERS[: sizes.n_layers]:
        parameters[b][H : 2 * H] = 1
    return LanguageNetwork(parameters, scales, **settings)
