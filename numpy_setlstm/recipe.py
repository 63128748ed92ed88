"""Settings that a network needs to learn well, found on validation data: docs/recipe.md tells how."""

from dataclasses import dataclass

__all__ = ["DENSE_RECIPE", "SPARSE_RECIPE", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """Settings whose best values depend on whether the network is sparse.

    Attributes
    ----------
    embedding_scale : float
        Standard deviation of the initial word vectors' entries.
    learning_rate, embedding_learning_rate : float
        Of everything but the embedding, and of the embedding.

    Examples
    --------
    >>> SPARSE_RECIPE.embedding_learning_rate
    0.01
    """

    embedding_scale: float
    learning_rate: float
    embedding_learning_rate: float


#: Of a sparse network. A sparse embedding has few entries per word, so each has to move faster than a dense one's.
SPARSE_RECIPE = Recipe(embedding_scale=0.1, learning_rate=1e-3, embedding_learning_rate=1e-2)
#: Of a dense network.
DENSE_RECIPE = Recipe(embedding_scale=0.1, learning_rate=1e-3, embedding_learning_rate=1e-3)
