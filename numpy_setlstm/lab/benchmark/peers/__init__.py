"""The implementations that do the work: one file each, all with the same few methods.

A peer is made by ``Peer(work, threads, form=None)`` and has

- ``train_step(tokens, labels)``: one update of all parameters by Adam; returns the loss before it;
- ``predict(tokens)``: probabilities, ndarray of shape (N, C);
- ``set_step()``: one SET step in every sparse matrix, if the peer can evolve (`EVOLVES`);
- ``held_bytes()``: dict of str to int, what it holds between two steps, by kind;
- ``PARTS``: list of (function, label) for :func:`~numpy_setlstm.lab.benchmark.timing.timed_functions`; the labels are
  those of :data:`PART_LABELS`;
- ``FORMS``: dict of str to tuple, of settings that change only the speed, the first of each the default; `form` has one
  of each, and :func:`~numpy_setlstm.lab.benchmark.harness.fastest_form` finds the fastest.

Masked peers compute exactly the same numbers, and so do dense ones; at density 1 all do.
"""

import importlib
from importlib.util import find_spec
from typing import NamedTuple

PART_LABELS = (
    "input projection",
    "recurrence forward",
    "forward",
    "recurrence backward",
    "backward",
    "gradients",
    "optimizer",
    "masks",
)


class PeerEntry(NamedTuple):
    """A peer: its "module:class", the group that computes the same numbers, what it needs, its name in tables."""

    place: str
    group: str
    needs: str | None
    what: str


OURS = "sparse"
PEERS = {
    "sparse": PeerEntry("ours_sparse:OursSparse", "sparse", None, "numpy_setlstm, sparse"),
    "torch": PeerEntry("torch_masked:TorchMasked", "sparse", "torch", "PyTorch, masked dense weights"),
    "scipy": PeerEntry("scipy_sparse:ScipySparse", "sparse", "scipy", "scipy.sparse"),
    "dense": PeerEntry("ours_dense:OursDense", "dense", None, "numpy_setlstm, dense"),
    "textbook": PeerEntry("textbook:Textbook", "dense", None, "textbook NumPy, dense"),
}
#: Those of the language model, by the peer of the same kind: made alike, with `sample(length)` instead of `predict`.
LANGUAGE_PEERS = {
    "sparse": PeerEntry("language_ours:LanguageSparse", "sparse", None, "numpy_setlstm, sparse"),
    "dense": PeerEntry("language_ours:LanguageDense", "dense", None, "numpy_setlstm, dense"),
    "torch": PeerEntry("torch_language:LanguageTorch", "dense", "torch", "PyTorch, dense nn.LSTM"),
}
LANGUAGE = "language-"  # begins the name of such a peer


def load_peer(name):
    """The class of a peer."""
    entry = LANGUAGE_PEERS[name.removeprefix(LANGUAGE)] if name.startswith(LANGUAGE) else PEERS[name]
    module, _, attribute = entry.place.partition(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)


def missing_library(name):
    """The library that a peer needs and that is not installed, or None."""
    needs = PEERS[name].needs
    return needs if needs is not None and find_spec(needs) is None else None


def check_peers(names):
    """Split names of peers into a list of those present, `sparse` first, and a dict of the others to what they lack."""
    names = list(dict.fromkeys([OURS, *names]))
    for name in names:
        if name not in PEERS:
            raise ValueError(f"there is no peer {name!r}; there are {', '.join(n for n in PEERS if n != OURS)}")
    skipped = {name: missing_library(name) for name in names if missing_library(name)}
    return [name for name in names if name not in skipped], skipped
