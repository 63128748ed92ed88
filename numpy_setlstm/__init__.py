"""SET-LSTM in plain NumPy: an LSTM and an embedding that start sparse and stay sparse.

The names of the public interface, from the ground floor up; each room's own docstring tells more.
"""

from numpy_setlstm.converters import from_torch, to_torch
from numpy_setlstm.estimator import SetLSTMClassifier
from numpy_setlstm.gradcheck import GradientReport, check_directions, check_gradients, check_layer
from numpy_setlstm.layers.embedding import embedding_backward, embedding_forward
from numpy_setlstm.layers.lstm import GATES, lstm_backward, lstm_forward
from numpy_setlstm.sparse import SparseMatrix
from numpy_setlstm.text import Vocabulary, pad_sequences, tokenize
from numpy_setlstm.topology import SetStep, erdos_renyi, prune, regrow, set_step

__version__ = "0.1.0"

__all__ = [
    "GATES",
    "GradientReport",
    "SetLSTMClassifier",
    "SetStep",
    "SparseMatrix",
    "Vocabulary",
    "check_directions",
    "check_gradients",
    "check_layer",
    "embedding_backward",
    "embedding_forward",
    "erdos_renyi",
    "from_torch",
    "lstm_backward",
    "lstm_forward",
    "pad_sequences",
    "prune",
    "regrow",
    "set_step",
    "to_torch",
    "tokenize",
]
