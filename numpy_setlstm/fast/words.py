r"""The words' part of the gates, :math:`W_x^T x`, once per distinct word of a batch: for prediction.

Words repeat: of the 12,800 words of 128 reviews of IMDB, some 2,600 are distinct. In prediction, without dropout,
the part of a word is the same wherever it occurs, and a table has the parts of all of them. They are copied to their
places for as many time steps at once as memory allows, because each time the whole table is read: a row after the
other, each of which, a unit's part of all words, fits into the processor's cache. In training this does not pay:
dropout gives each place of a word another vector, and the way back needs the vectors.
"""

import numpy as np

from numpy_setlstm.fast.embedding import fast_embedding_forward
from numpy_setlstm.fast.products import make_product

WIDTH = 256  # words of a table that are computed at a time
MOST_CELLS = 2**24  # numbers in the gates of a group of time steps: 64 MiB in single precision


class WordTable:
    """Stands in for the product with W_x: `table` (4H, n_words) has the product of each word, `x` is where words are.

    >>> table, x = WordTable(np.array([[5.0, 7.0]])), np.array([[1, 0, 1]])
    >>> out = np.empty((1, 3))
    >>> table.forward(x, out)
    >>> out
    array([[7., 5., 7.]])
    """

    def __init__(self, table):
        self.table = table

    def forward(self, x, out):
        """Write the columns of the table at the places x (1, M) to `out` (4H, M)."""
        np.take(self.table, x[0], axis=1, out=out, mode="clip")  # writes straight to `out`; no place is out of range


def pays(n_distinct, n_words):
    """Whether a table of the distinct ones is made, which has no fewer than :data:`WIDTH`."""
    return 2 * max(WIDTH, n_distinct) <= n_words


def make_word_table(tokens, E, W_x, kernel, dtype, empty=np.empty):
    """Return x (n_groups, 1, S, N), the place of each word of tokens (N, T) in a table, and the WordTable.

    They stand in for the vectors and the product in :func:`~numpy_setlstm.fast.lstm.fast_lstm_forward`. None and None
    where it does not pay, as too few words repeat.
    """
    words, places = np.unique(tokens, return_inverse=True)
    if not pays(len(words), tokens.size):
        return None, None
    (N, T), n_gates = tokens.shape, W_x.shape[1]
    S = max(1, min(T, MOST_CELLS // (n_gates * N)))
    x = np.zeros((-(-T // S), 1, S, N), np.intp)
    x.reshape(-1, N)[:T] = places.reshape(N, T).T
    n_blocks = -(-len(words) // WIDTH)
    in_blocks = np.zeros(n_blocks * WIDTH, words.dtype)  # what is left of the last block is padding
    in_blocks[: len(words)] = words
    vectors, _ = fast_embedding_forward(in_blocks.reshape(n_blocks, WIDTH).T, E, 1, dtype, empty=empty)
    product = make_product(W_x, kernel, dtype, WIDTH, empty)
    part, table = empty((n_gates, WIDTH), dtype), empty((n_gates, len(in_blocks)), dtype)
    for k in range(n_blocks):
        product.forward(vectors[k, :, 0], part)  # (D, WIDTH) to (4H, WIDTH)
        table[:, k * WIDTH : (k + 1) * WIDTH] = part
    return x, WordTable(table)
