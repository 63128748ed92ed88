"""Sentiment Labelled Sentences: 1,000 sentences each from reviews on Amazon, IMDb and Yelp, half of them positive.

D. Kotzias, M. Denil, N. de Freitas and P. Smyth, "From Group to Individual Labels using Deep Features", KDD 2015.
https://archive.ics.uci.edu/dataset/331/sentiment+labelled+sentences
"""

from numpy_setlstm.datasets.files import find_data_home, find_file, read_rows
from numpy_setlstm.datasets.limits import get_limits
from numpy_setlstm.datasets.reviews import NEGATIVE, POSITIVE, DatasetError, shown
from numpy_setlstm.datasets.splitting import split_reviews

URL = "https://archive.ics.uci.edu/dataset/331/sentiment+labelled+sentences"
RULE = "As published: sentences that are clearly positive or negative; neutral ones were not chosen."
PREFIX = "sentences-"  # of the names of these data sets
FILES = {"amazon": "amazon_cells_labelled.txt", "imdb": "imdb_labelled.txt", "yelp": "yelp_labelled.txt"}

_LABELS = {"0": NEGATIVE, "1": POSITIVE}


def load_sentences(
    name, data_home=None, *, test_fraction=0.2, seed=0, download=False, max_bytes=None, max_review_bytes=None
):
    r"""Load the sentences from one of the three sites.

    Parameters
    ----------
    name : {"amazon", "imdb", "yelp"}
        Where the sentences are from. For :func:`load_dataset` the names are "sentences-amazon" and so on.
    data_home : str or Path, optional
        Folder with ``uci_sentences/amazon_cells_labelled.txt``, ``imdb_labelled.txt`` and ``yelp_labelled.txt``, plain
        or gzipped (".gz"); by default the value of the environment variable NUMPY_SETLSTM_DATA.
    test_fraction, seed
        See :func:`load_dataset`.
    download : bool
        Not possible: the files are published in a zip archive.
    max_bytes, max_review_bytes : int, optional
        See :func:`load_dataset`.

    Returns
    -------
    Reviews
        1,000 sentences, so accuracies differ by several points between seeds.

    Raises
    ------
    DatasetError
        If `name` is unknown, or the file is missing, damaged, not UTF-8, larger than a limit or not in the expected
        format (the message names the line).

    Notes
    -----
    The split is ours: stratified, with all copies of a text on one side. 990 of the sentences of "imdb" are in the
    reviews of :func:`load_imdb` word for word, and some of "yelp" in those of :func:`load_yelp`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as home:
    ...     (Path(home) / "uci_sentences").mkdir()
    ...     with open(Path(home) / "uci_sentences" / "yelp_labelled.txt", "w", encoding="utf8") as file:
    ...         print("Loved it.\t1", "So good!\t1", 'I "waited" long.\t0', "Bland.\t0", sep="\n", file=file)
    ...     load_sentences("yelp", home, test_fraction=0.5)
    Reviews(sentences-yelp: train 2 (50% positive), test 2 (50% positive))
    """
    if not isinstance(name, str) or name not in FILES:
        raise DatasetError(f"there are no sentences from {shown(name)}; expected one of {', '.join(FILES)}")
    limits = get_limits(max_bytes, max_review_bytes)
    folder = find_data_home(data_home) / "uci_sentences"
    path = find_file(folder, [FILES[name]])
    if path is None:
        cannot = "it cannot be downloaded by itself, only in a zip archive; " if download else ""
        raise DatasetError(f"no {FILES[name]} in {folder}: {cannot}get it from {URL} and put it there")
    texts, labels = [], []
    for where, fields in read_rows(path, limits, delimiter="\t", quoted=False):
        if len(fields) != 2 or fields[1] not in _LABELS:
            raise DatasetError(f"{where}: the fields are {shown(fields)}; expected a sentence, a tab, and 0 or 1")
        texts.append(fields[0])
        labels.append(_LABELS[fields[1]])
    return split_reviews(PREFIX + name, texts, labels, RULE, test_fraction, seed, source=path)
