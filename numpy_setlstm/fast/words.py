r"""The words' part of the gates, :math:`W_x^T x`, once per distinct word of a batch: for prediction.

Words repeat: of the 12,800 words of 128 reviews of IMDB, some 2,600 are distinct. In prediction, without dropout,
the part of a word is the same wherever it occurs. A table has the parts of all of them, and their rows are copied to
where the words are. In training this does not pay: dropout gives each place of a word another vector, and the way back
needs the vectors.

A row has a few numbers more than there are gates. Columns of an array whose rows are 4 KiB apart, as they would be with
256 units, all fall into the same few places of the processor's cache, and to turn rows into columns takes five times
as long.
"""

import numpy as np

from numpy_setlstm.fast.embedding import fast_embedding_forward
from numpy_setlstm.fast.memory import ALIGNMENT
from numpy_setlstm.fast.products import make_product

WIDTH = 256  # words of a table that are computed at a time


class WordTable:
    """Stands in for the product with W_x: `table` (n_words, n_gates + more) has a row for each word.

    `x` says where words are, instead of vectors. `rows` (M, n_gates + more) is written to.

    >>> words = np.array([[5.0, 6.0, 0.0], [7.0, 8.0, 0.0]])
    >>> table = WordTable(words, n_gates=2, rows=np.empty((3, 3)))
    >>> x, out = np.array([[1, 0, 1]]), np.empty((2, 3))
    >>> table.forward(x, out)
    >>> out.tolist()
    [[7.0, 5.0, 7.0], [8.0, 6.0, 8.0]]
    """

    def __init__(self, table, n_gates, rows):
        self.table, self.n_gates, self.rows = table, n_gates, rows

    def forward(self, x, out):
        """Write the rows of the table at the places x (1, M) to the columns of `out` (n_gates, M)."""
        np.take(self.table, x.ravel(), axis=0, out=self.rows, mode="clip")  # the fastest mode; no place is out of range
        out[...] = self.rows[:, : self.n_gates].T


def pays(n_distinct, n_words):
    """Whether a table of the distinct ones is made, which has no fewer than :data:`WIDTH`."""
    return 2 * max(WIDTH, n_distinct) <= n_words


def make_word_table(tokens, E, W_x, kernel, dtype, empty=np.empty):
    """Return x (T, 1, 1, N), the place of each word of tokens (N, T) in a table, and the WordTable.

    They stand in for the vectors and the product in :func:`~numpy_setlstm.fast.lstm.fast_lstm_forward`, step by step.
    None and None where it does not pay, as too few words repeat.
    """
    words, places = np.unique(tokens, return_inverse=True)
    if not pays(len(words), tokens.size):
        return None, None
    (N, T), n_gates = tokens.shape, W_x.shape[1]
    x = np.ascontiguousarray(places.reshape(N, T).T)[:, None, None]
    n_blocks = -(-len(words) // WIDTH)
    in_blocks = np.zeros(n_blocks * WIDTH, words.dtype)  # what is left of the last block is padding
    in_blocks[: len(words)] = words
    vectors, _ = fast_embedding_forward(in_blocks.reshape(n_blocks, WIDTH).T, E, 1, dtype, empty=empty)
    product, part = make_product(W_x, kernel, dtype, WIDTH, empty), empty((n_gates, WIDTH), dtype)
    width = n_gates + ALIGNMENT // np.dtype(dtype).itemsize
    table, rows = (empty((n_rows, width), dtype) for n_rows in (len(in_blocks), N))
    for k in range(n_blocks):
        product.forward(vectors[k, :, 0], part)  # (D, WIDTH) to (n_gates, WIDTH)
        table[k * WIDTH : (k + 1) * WIDTH, :n_gates] = part.T
    return x, WordTable(table, n_gates, rows)
