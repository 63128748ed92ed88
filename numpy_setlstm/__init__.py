"""SET-LSTM in plain NumPy: an LSTM and an embedding that start sparse and stay sparse.

The names of the public interface, by the room that each is from. A room is imported when one of its names is first
used: so the command line starts at once, and Ctrl-C ends it cleanly from its first moment on.
"""

import importlib

__version__ = "0.1.0"

_ROOMS = {
    "text": ("Vocabulary", "pad_sequences", "tokenize"),
    "sparse": ("SparseMatrix",),
    "topology": ("SetStep", "erdos_renyi", "prune", "regrow", "set_step"),
    "layers.embedding": ("embedding_backward", "embedding_forward"),
    "layers.lstm": ("GATES", "lstm_backward", "lstm_forward"),
    "units": ("Units", "keep_units", "remove_units", "unit_importance"),
    "gradcheck": ("GradientReport", "check_directions", "check_gradients", "check_layer"),
    "converters": ("from_torch", "to_torch"),
    "estimator": ("SetLSTMClassifier",),
    "language.estimator": ("SetLSTMLanguageModel",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = sorted(_ROOM_OF)


def __getattr__(name):
    if name in _ROOM_OF:
        return getattr(importlib.import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    if not name.startswith("_"):
        room = f"{__name__}.{name}"
        try:
            return importlib.import_module(room)
        except ModuleNotFoundError as error:
            if error.name != room:  # the room is there, and a library that it needs is not
                raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return [*globals(), *__all__]
