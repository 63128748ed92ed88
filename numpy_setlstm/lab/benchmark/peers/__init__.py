"""Who does the work: one file each, all with the same few methods.

A peer is made by ``Peer(work, threads, form=None)`` and has

- ``train_step(tokens, labels)``: one update of all parameters by Adam; returns the loss before it;
- ``predict(tokens)``: probabilities, ndarray of shape (N, C);
- ``set_step()``: one SET step in every sparse matrix, where the peer can evolve (`EVOLVES`);
- ``held_bytes()``: dict of str to int, what it holds between two steps, by kind;
- ``PARTS``: list of (function, label) for :func:`~numpy_setlstm.lab.benchmark.timing.timed_functions`; the labels are
  those of :data:`PART_LABELS`;
- ``FORMS``: dict of str to tuple, of settings that change the speed only, the first of each the default; `form` picks
  one of each, and the fastest are found by :func:`~numpy_setlstm.lab.benchmark.harness.fastest_form`.

Masked peers compute the very same numbers, and so do dense ones; at density 1 all do.
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
    """A peer, and what it needs.

    Attributes
    ----------
    place : str
        "module:class", within this package.
    group : {"sparse", "dense"}
        Peers of one group compute the same numbers.
    needs : str or None
        A library that has to be installed.
    what : str
        For tables.
    """

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


def load_peer(name):
    """The class of a peer.

    Examples
    --------
    >>> load_peer("textbook").__name__
    'Textbook'
    """
    module, _, attribute = PEERS[name].place.partition(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)


def missing_library(name):
    """The library that a peer needs and that is not installed, or None.

    Examples
    --------
    >>> missing_library("dense") is None
    True
    """
    needs = PEERS[name].needs
    return needs if needs is not None and find_spec(needs) is None else None


def check_peers(names):
    """Split names of peers into those that can take part and those that cannot.

    Parameters
    ----------
    names : iterable of str
        Of :data:`PEERS`; `sparse`, this package itself, always takes part.

    Returns
    -------
    present : list of str
        `sparse` first, each name once.
    skipped : dict of str to str
        From the name of a peer to the library that it lacks.

    Raises
    ------
    ValueError
        If there is no peer of a name.

    Examples
    --------
    >>> check_peers(["dense", "dense"])
    (['sparse', 'dense'], {})
    """
    names = list(dict.fromkeys([OURS, *names]))
    for name in names:
        if name not in PEERS:
            raise ValueError(f"there is no peer {name!r}; there are {', '.join(n for n in PEERS if n != OURS)}")
    skipped = {name: missing_library(name) for name in names if missing_library(name)}
    return [name for name in names if name not in skipped], skipped
