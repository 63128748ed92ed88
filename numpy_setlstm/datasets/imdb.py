"""The Large Movie Review Dataset: 50,000 movie reviews, half for training and half for testing.

A. L. Maas, R. E. Daly, P. T. Pham, D. Huang, A. Y. Ng and C. Potts, "Learning Word Vectors for Sentiment Analysis",
ACL 2011. https://ai.stanford.edu/~amaas/data/sentiment/
"""

import gzip
import re
import tarfile
from pathlib import PurePosixPath

import numpy as np

from numpy_setlstm.datasets.download import fetch
from numpy_setlstm.datasets.files import damage_explained, find_data_home
from numpy_setlstm.datasets.reviews import NEGATIVE, POSITIVE, DatasetError, Reviews

URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
RULE = "Ratings of 1 to 4 out of 10 are negative, 7 to 10 positive; there are no ratings of 5 and 6."

_LABELS = {"neg": NEGATIVE, "pos": POSITIVE}
_REVIEW_NAME = re.compile(r"(train|test)/(neg|pos)/(\d+)_\d+\.txt")


def load_imdb(data_home=None, *, download=False):
    """Load the movie reviews with their official split.

    Parameters
    ----------
    data_home : str or Path, optional
        Folder with ``imdb/aclImdb/{train,test}/{neg,pos}/*.txt``, or with that folder as a tar file, gzipped or not, in
        ``imdb/``; by default the value of the environment variable NUMPY_SETLSTM_DATA.
    download : bool
        Whether to download aclImdb_v1.tar.gz (80 MB) if there is neither folder nor tar file.

    Returns
    -------
    Reviews
        25,000 reviews for training and 25,000 for testing, half of each positive. Positive and negative reviews
        alternate, so slices are balanced too.

    Raises
    ------
    DatasetError
        If the files are missing, incomplete, damaged or not UTF-8, or if the tar file holds a link, a device or
        a path that leaves its folder.

    Notes
    -----
    A tar file is read as a stream and never unpacked. The 50,000 reviews without labels (``train/unsup``) are skipped.
    123 texts are in both parts of the official split; they are kept, so that accuracies are comparable with published
    ones.

    Examples
    --------
    >>> reviews = load_imdb("data")  # doctest: +SKIP
    >>> reviews  # doctest: +SKIP
    Reviews(imdb: train 25,000 (50% positive), test 25,000 (50% positive))
    >>> load_imdb("no such folder")
    Traceback (most recent call last):
    numpy_setlstm.datasets.reviews.DatasetError: no movie reviews in ...
    """
    folder = find_data_home(data_home) / "imdb"
    source = _find_source(folder)
    if source is None and download:
        source = folder / "aclImdb_v1.tar.gz"
        fetch(URL, SHA256, source)
    if source is None:
        raise DatasetError(
            f"no movie reviews in {folder}; expected the folder aclImdb or aclImdb_v1.tar.gz there: "
            f"pass download=True, or get it from {URL}"
        )
    reviews = {}  # (train or test, number, label) -> text
    for name, content in _read_folder(source) if source.is_dir() else _read_tar(source):
        part, sentiment, number = _REVIEW_NAME.search(name).groups()
        with damage_explained(f"{source}, {name}"):
            reviews[part, int(number), _LABELS[sentiment]] = content.decode("utf-8")
    _check_complete(reviews, source)
    arrays = {}
    for part in ("train", "test"):
        keys = sorted(key for key in reviews if key[0] == part)  # by number, then label
        arrays[f"{part}_texts"] = [reviews[key] for key in keys]
        arrays[f"{part}_labels"] = np.array([label for _, _, label in keys], dtype=np.int64)
    return Reviews(name="imdb", rule=RULE, **arrays)


def _find_source(folder):
    """Return the unpacked folder, or a tar file, or None."""
    if (folder / "aclImdb").is_dir():
        return folder / "aclImdb"
    tars = sorted(path for pattern in ("*.tar", "*.tar.gz", "*.tgz") for path in folder.glob(pattern))
    return tars[0] if tars else None


def _read_folder(folder):
    """Yield name and bytes of each review in an unpacked folder."""
    for path in folder.glob("t*/*/*.txt"):
        name = path.relative_to(folder).as_posix()
        if _REVIEW_NAME.fullmatch(name):
            yield name, path.read_bytes()


def _read_tar(path):
    """Yield name and bytes of each review in a tar file, without unpacking it.

    `gzip` decompresses it, because the stream mode of `tarfile` does not notice a truncated gzip file.
    """
    opener = open if path.suffix == ".tar" else gzip.open
    with damage_explained(path), opener(path, "rb") as stream:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                _check_member(member, path)
                name = "/".join(PurePosixPath(member.name).parts[-3:])
                if member.isfile() and _REVIEW_NAME.fullmatch(name):
                    yield name, archive.extractfile(member).read()
        while stream.read(1 << 20):  # to the end, where the checksum is
            pass


def _check_member(member, path):
    """Reject a tar file with links or with paths outside its folder: nothing is unpacked, but it is untrustworthy."""
    name = PurePosixPath(member.name.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or re.match(r"[A-Za-z]:", member.name):
        raise DatasetError(f"{path} holds {member.name!r}, a path that leaves its folder: get the original file")
    if not (member.isfile() or member.isdir()):
        raise DatasetError(f"{path} holds {member.name!r}, a link or a device: get the original file")


def _check_complete(reviews, source):
    """Raise a DatasetError for a folder or tar file that holds only a part of the reviews."""
    counts = {f"{part}/{sentiment}": 0 for part in ("train", "test") for sentiment in _LABELS}
    for part, _, label in reviews:
        counts[f"{part}/{'pos' if label == POSITIVE else 'neg'}"] += 1
    is_balanced = counts["train/neg"] == counts["train/pos"] and counts["test/neg"] == counts["test/pos"]
    if 0 in counts.values() or not is_balanced:
        found = ", ".join(f"{count} in {name}" for name, count in counts.items())
        raise DatasetError(f"{source} is incomplete: {found}; expected 12,500 in each: unpack or download it again")
