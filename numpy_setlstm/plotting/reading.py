"""A small network that reads sentences in the reader's browser: a view for notebooks, and a page without a server.

The browser computes: ``reader/reader.js`` has the forward pass in plain JavaScript, and draws it.
"""

import base64
import functools
import gzip
import html
import json
from dataclasses import dataclass
from pathlib import Path

from numpy_setlstm.checks import as_list, short
from numpy_setlstm.export import FORMAT, VERSION, to_json
from numpy_setlstm.files import replacing

MAX_UNITS = 64  #: Hidden units, and dimensions of the embedding, that can be drawn whole
MAX_WORDS = 5_000  #: Words of a vocabulary, each of which is read alone at each epoch
MAX_PAGE_BYTES = 8_000_000  #: Size of a view, which a notebook stores with each output
_FOLDER = Path(__file__).parent / "reader"
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>body {{ margin: 1rem; }} body, setlstm-reader {{ color-scheme: light dark; }}</style>
{fragment}
</html>
"""


@dataclass(frozen=True, repr=False)
class ReadingPage:
    """A view of networks that read; at the end of a notebook's cell it is shown.

    Examples
    --------
    >>> import tempfile
    >>> from numpy_setlstm import SetLSTMClassifier
    >>> clf = SetLSTMClassifier(hidden_size=8, embedding_dim=8, parameter_share=0.3, validation_fraction=0)
    >>> page = reading_page(clf.fit(["what a lovely film", "a dull film"] * 20, [1, 0] * 20))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page.save(Path(folder) / "reading.html")
    ...     [path.name for path in Path(folder).iterdir()]
    ['reading.html']
    """

    fragment: str  #: HTML that can stand in any page, with all that it needs

    def save(self, path, title="A network reads a sentence"):
        """Write a page that opens in a browser, also from disk and without a network; it appears only when complete."""
        with replacing(path) as file:
            file.write(_PAGE.format(title=html.escape(title), fragment=self.fragment).encode())

    def _repr_html_(self):
        return self.fragment

    def __repr__(self):
        return f"ReadingPage({len(self.fragment):,} characters; save(path) writes a page to open in a browser)"


def reading_page(models, sentences=(), **options):
    """Show how a small network reads a sentence, word by word: what it thinks, its gates, its connections, its units.

    Parameters
    ----------
    models : SetLSTMClassifier, dict of str to SetLSTMClassifier, or str
        As in :func:`numpy_setlstm.export.to_json`, or what it returned. With several networks there is a switch, and
        beside each the opinion of another one of the same size, if there is one, to compare.
    sentences : list of str, optional
        To choose from; the first is read at first. Any other can be typed.
    **options
        Those of :func:`numpy_setlstm.export.to_json`. With the networks of several `epochs` there is a slider.

    Returns
    -------
    ReadingPage
        To end a cell with, or to save. It loads nothing, and runs without Python.

    Raises
    ------
    TypeError
        If `models` or `sentences` are something else.
    ValueError
        If a network is bidirectional, has more than 64 units or dimensions or knows more than 5,000 words, or if the
        view would be larger than 8 MB; and as in :func:`numpy_setlstm.export.to_json`.

    Notes
    -----
    The numbers are those of `predict_proba`, to 1e-6; for texts without HTML, links, emoji, Chinese or Japanese, which
    the page does not split into words as :func:`numpy_setlstm.tokenize` does. A browser of 2023 or later is needed.

    Examples
    --------
    >>> from numpy_setlstm import SetLSTMClassifier
    >>> from numpy_setlstm.export import fit_recorded
    >>> clf = SetLSTMClassifier(hidden_size=8, embedding_dim=8, parameter_share=0.3, validation_fraction=0)
    >>> networks = fit_recorded(clf, ["what a lovely film", "a dull film"] * 20, ["good", "bad"] * 20)
    >>> page = reading_page(clf, ["a lovely film"], epochs=networks, decimals=3)
    >>> len(page.fragment) < 100_000
    True
    """
    sentences = as_list("sentences", sentences, "str")
    for sentence in sentences:
        if not isinstance(sentence, str):
            raise TypeError(f"sentences have {short(sentence)}; expected str")
    document = _document_of(models if isinstance(models, str) else to_json(models, **options))
    _check_size(document)
    for network in document["networks"]:
        _add_facts(network)
    packed = base64.b64encode(gzip.compress(json.dumps(document, separators=(",", ":")).encode(), 9, mtime=0)).decode()
    if len(packed) > MAX_PAGE_BYTES:
        raise ValueError(
            f"the view would have {len(packed):,} bytes; expected at most {MAX_PAGE_BYTES:,}: give fewer epochs, or "
            "decimals=3"
        )
    return ReadingPage(_fragment(document, sentences, packed))


def _document_of(text):
    """The document of to_json, from its text."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError:
        document = None
    if not isinstance(document, dict) or (document.get("format"), document.get("version")) != (FORMAT, VERSION):
        raise ValueError(
            f"models is the text {short(text)}; expected a fitted SetLSTMClassifier, or what to_json returned"
        )
    return document


def _check_size(document):
    """Reject networks that cannot be drawn whole, or that do not read word by word."""
    if len(document["words"]) > MAX_WORDS:
        raise ValueError(
            f"the networks know {len(document['words']):,} words; expected at most {MAX_WORDS:,}: train with "
            f"vocabulary_size={MAX_WORDS}"
        )
    for network in document["networks"]:
        parameters = network["epochs"][0]["parameters"]
        if "W_x_reverse" in parameters:
            raise ValueError(f"{network['name']!r} is bidirectional; expected a network that reads word by word")
        D, H = parameters["W_x"]["shape"][0], parameters["W_h"]["shape"][0]
        if max(D, H) > MAX_UNITS:
            raise ValueError(
                f"{network['name']!r} has {D} dimensions and {H} units; expected at most {MAX_UNITS} of each, to be "
                "drawn whole: train a smaller one, or draw parts with plot_connectivity and plot_gates"
            )


def _add_facts(network):
    """Say in words what there is to know of a network at each epoch, as `when` and `facts`."""
    share = network["n_parameters"] / network["n_dense_parameters"]
    of_dense = f", {100 * share:.0f} % of the dense network's" if share < 1 else ""
    counts = {step["epoch"] + 1: sum(len(change["grown"]) for change in step["matrices"].values())
              for step in network["set_steps"]}  # fmt: skip
    for epoch in network["epochs"]:
        right, count = epoch["test_accuracy"], counts.get(epoch["epoch"])
        epoch["when"] = f"after epoch {epoch['epoch']}" if epoch["epoch"] else "before training"
        epoch["facts"] = (
            f"{network['n_parameters']:,} parameters{of_dense}"
            + (f"; {100 * right:.1f} % of other texts right" if right is not None else "")
            + (f"; before this epoch, SET pruned {count} connections and grew as many" if count else "")
            + "."
        )


@functools.cache
def _part(name):
    return (_FOLDER / name).read_text(encoding="utf8")


def _fragment(document, sentences, packed):
    """The HTML of a view; its script unpacks the networks and draws."""
    networks = document["networks"]
    radios = '<label><input type="radio" name="kind" value="{}"{}>{}</label>'
    options = "<option value=''>…</option>" + "".join(f"<option>{html.escape(text)}</option>" for text in sentences)
    n_epochs = max(len(network["epochs"]) for network in networks)
    filled = _part("reader.html").format(
        text=html.escape(next(iter(sentences), " ".join(document["words"][2:8]))),
        sentences=options,
        kinds="".join(
            radios.format(k, "" if k else " checked", html.escape(n["name"])) for k, n in enumerate(networks)
        ),
        epochs=n_epochs - 1,
        no_sentences="" if sentences else "hidden",
        no_kinds="hidden" if len(networks) == 1 else "",
        no_epochs="hidden" if n_epochs == 1 else "",
        no_other="" if sum(network["connectivity"] != "dense" for network in networks) > 1 else "hidden",
    )
    return (
        "<setlstm-reader data-lm-suppress-shortcuts='true'>"  # so that what is typed does not command JupyterLab
        "<p>This view needs JavaScript; in a notebook, run its cell again.</p>\n"
        f"<template><style>\n{_part('reader.css')}</style>\n{filled}</template>\n"
        f'<script type="application/octet-stream">{packed}</script></setlstm-reader>\n'
        f"<script>\n{_part('reader.js')}</script>\n"
    )
