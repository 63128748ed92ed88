"""The Large Movie Review Dataset: 50,000 movie reviews, half for training and half for testing.

A. L. Maas, R. E. Daly, P. T. Pham, D. Huang, A. Y. Ng and C. Potts, "Learning Word Vectors for Sentiment Analysis",
ACL 2011. https://ai.stanford.edu/~amaas/data/sentiment/
"""

import os
import re
import tarfile
from itertools import product
from pathlib import PurePosixPath

import numpy as np

from numpy_setlstm.datasets.download import fetch
from numpy_setlstm.datasets.files import damage_explained, find_data_home, kind_of, open_bytes
from numpy_setlstm.datasets.limits import check_total, get_limits
from numpy_setlstm.datasets.reviews import NEGATIVE, POSITIVE, DatasetError, Reviews, check_text, shown

URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
RULE = "Ratings of 1 to 4 out of 10 are negative, 7 to 10 positive; there are no ratings of 5 and 6."

_LABELS = {"neg": NEGATIVE, "pos": POSITIVE}
_RATINGS = {"neg": range(1, 5), "pos": range(7, 11)}
_REVIEW_NAME = re.compile(r"(train|test)/(neg|pos)/[^./][^/]*\.txt")  # but not ._0_9.txt, left by a file manager
_EXTENDED_TYPES = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)
_MAX_HEADER_BYTES = 2**16  # of one of these, which tarfile reads at once


def load_imdb(data_home=None, *, download=False, max_bytes=None, max_review_bytes=None):
    """Load the movie reviews with their official split.

    Parameters
    ----------
    data_home : str or Path, optional
        Folder with ``imdb/aclImdb/{train,test}/{neg,pos}/*.txt``, or with that folder as a tar file, gzipped or not, in
        ``imdb/``; by default the value of the environment variable NUMPY_SETLSTM_DATA.
    download : bool
        Whether to download aclImdb_v1.tar.gz (80 MB) if there is neither folder nor tar file.
    max_bytes, max_review_bytes : int, optional
        See :func:`load_dataset`.

    Returns
    -------
    Reviews
        25,000 reviews for training and 25,000 for testing, half of each positive. Positive and negative reviews
        alternate, so slices are balanced too.

    Raises
    ------
    DatasetError
        If the files are missing, incomplete, damaged, not UTF-8 or larger than a limit, if a review is there twice or
        its rating contradicts its folder, if the folder holds a link that leads out of it, or the tar file a link, a
        device, a sparse file or a path that leaves its folder.

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
    limits = get_limits(max_bytes, max_review_bytes)
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
    reviews = {}  # (train or test, number, label, rating) -> text
    for name, key, content in (_read_folder if source.is_dir() else _read_tar)(source, limits):
        if key in reviews:
            raise DatasetError(f"{source} holds the review {name!r} twice: get the original file")
        where = f"{source}, {name}"
        with damage_explained(where):
            reviews[key] = check_text(content.decode("utf-8"), where)
    _check_complete(reviews, source)
    arrays = {}
    for part in ("train", "test"):
        keys = sorted(key for key in reviews if key[0] == part)  # by number, label, rating
        arrays[f"{part}_texts"] = [reviews[key] for key in keys]
        arrays[f"{part}_labels"] = np.array([label for _, _, label, _ in keys], dtype=np.int64)
    return Reviews(name="imdb", rule=RULE, **arrays)


def _find_source(folder):
    """Return the unpacked folder, or a tar file, or None."""
    tars = sorted(path for pattern in ("*.tar", "*.tar.gz", "*.tgz") for path in folder.glob(pattern))
    kinds = {path: kind_of(path) for path in (folder / "aclImdb", *tars)}
    for path, kind in kinds.items():
        if kind == ("a folder" if path.name == "aclImdb" else "a file"):
            return path
    for path, kind in kinds.items():
        if kind is not None:
            raise DatasetError(f"{path} is {kind}; expected the folder aclImdb, or a tar file: get it from {URL}")
    return None


def _key_of(name, source):
    """Return (train or test, number, label, rating) of a review's name, or None for other files."""
    if not _REVIEW_NAME.fullmatch(name):
        return None
    part, sentiment, file_name = name.split("/")
    match = re.fullmatch(r"([0-9]{1,9})_([0-9]{1,2})\.txt", file_name)
    if not match or int(match[2]) not in _RATINGS[sentiment]:
        raise DatasetError(
            f"{source} holds {shown(name)}; expected reviews named NUMBER_RATING.txt with ratings from "
            f"{_RATINGS[sentiment][0]} to {_RATINGS[sentiment][-1]}: get the original file"
        )
    return part, int(match[1]), _LABELS[sentiment], int(match[2])


def _read_folder(folder, limits):
    """Yield name, key and bytes of each review in an unpacked folder."""
    total = 0
    for part, sentiment in product(("train", "test"), _LABELS):
        if kind_of(folder / part / sentiment) != "a folder":
            continue
        _check_inside(folder / part / sentiment, folder)
        with damage_explained(folder), os.scandir(folder / part / sentiment) as entries:
            for entry in entries:
                name = f"{part}/{sentiment}/{entry.name}"
                key = _key_of(name, folder)
                if key is None:
                    continue
                path = folder / name
                if (entry.is_symlink() or not entry.is_file()) and kind_of(path) != "a file":
                    raise DatasetError(f"{path} is {kind_of(path)}; expected a file: get the original folder")
                if entry.is_symlink():
                    _check_inside(path, folder)
                size = entry.stat().st_size
                total += size
                limits.check_review(size, path)
                check_total(total, limits.of_file(None, is_compressed=False), folder)
                yield name, key, path.read_bytes()


def _check_inside(path, folder):
    """Reject a link that leads out of the folder."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise DatasetError(f"{path} is a link to a place outside {folder}: copy the reviews there")


def _read_tar(path, limits):
    """Yield name, key and bytes of each review in a tar file, without unpacking it.

    `gzip` decompresses it, because the stream mode of `tarfile` does not notice a truncated gzip file.
    """
    with open_bytes(path, limits) as stream:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive:
            for member in archive:
                _check_member(member, path)
                name = "/".join(PurePosixPath(member.name).parts[-3:])
                key = _key_of(name, path) if member.isfile() else None
                if key is not None:
                    limits.check_review(member.size, f"{path}, {name}")
                    yield name, key, archive.extractfile(member).read()
            while rest := archive.fileobj.read(1 << 16):  # to the end of the gzip file, where its checksum is
                if rest.strip(b"\0"):
                    raise DatasetError(f"{path} is damaged (bytes follow the end of the archive): get it again")


class _Member(tarfile.TarInfo):
    """A member of a tar file, which is read strictly: `tarfile` takes a damaged header for the end of the archive."""

    @classmethod
    def fromtarfile(cls, archive):  # noqa: D102
        try:
            return super().fromtarfile(archive)
        except (DatasetError, tarfile.EOFHeaderError):  # a limit; the end of the archive
            raise
        except (tarfile.HeaderError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise tarfile.ReadError(f"bad header: {error}") from error

    def _proc_member(self, archive):  # tarfile calls it for each header; it is meant to be overridden
        if self.size < 0 or (self.type in _EXTENDED_TYPES and self.size > _MAX_HEADER_BYTES):
            raise tarfile.ReadError(f"a header declares {self.size:,} bytes")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError(f"{shown(self.name)} is a sparse file")
        return super()._proc_member(archive)


def _check_member(member, path):
    """Reject a tar file with links or with paths outside its folder: nothing is unpacked, but it is untrustworthy."""
    name = PurePosixPath(member.name.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or re.match(r"[A-Za-z]:", member.name):
        raise DatasetError(f"{path} holds {shown(member.name)}, a path that leaves its folder: get the original file")
    if not (member.isfile() or member.isdir()):
        raise DatasetError(f"{path} holds {shown(member.name)}, a link or a device: get the original file")
    if member.issparse():
        raise DatasetError(
            f"{path} holds {shown(member.name)}, a sparse file of {member.size:,} bytes: get the original file"
        )


def _check_complete(reviews, source):
    """Raise a DatasetError for a folder or tar file that holds only a part of the reviews."""
    counts = {f"{part}/{sentiment}": 0 for part in ("train", "test") for sentiment in _LABELS}
    for part, _, label, _ in reviews:
        counts[f"{part}/{'pos' if label == POSITIVE else 'neg'}"] += 1
    is_balanced = counts["train/neg"] == counts["train/pos"] and counts["test/neg"] == counts["test/pos"]
    if 0 in counts.values() or not is_balanced:
        found = ", ".join(f"{count} in {name}" for name, count in counts.items())
        raise DatasetError(f"{source} is incomplete: {found}; expected 12,500 in each: unpack or download it again")
