"""Labeled reviews: public data sets, files of your own, and a generator of synthetic ones."""

from functools import partial

from numpy_setlstm.datasets.amazon import load_amazon
from numpy_setlstm.datasets.files import DATA_HOME_VARIABLE
from numpy_setlstm.datasets.imdb import load_imdb
from numpy_setlstm.datasets.reviews import DatasetError, Reviews, shown
from numpy_setlstm.datasets.sanders import load_sanders
from numpy_setlstm.datasets.sentences import FILES, PREFIX, load_sentences
from numpy_setlstm.datasets.splitting import split_by_text
from numpy_setlstm.datasets.synthetic import make_reviews
from numpy_setlstm.datasets.table import load_table
from numpy_setlstm.datasets.yelp import load_yelp

__all__ = [
    "DATASETS",
    "DATA_HOME_VARIABLE",
    "DatasetError",
    "Reviews",
    "load_amazon",
    "load_dataset",
    "load_imdb",
    "load_sanders",
    "load_sentences",
    "load_table",
    "load_yelp",
    "make_reviews",
    "split_by_text",
]

#: Names of the data sets that :func:`load_dataset` loads.
DATASETS = ("imdb", "sanders", "yelp", "amazon", "sentences-amazon", "sentences-imdb", "sentences-yelp")


def load_dataset(
    name, data_home=None, *, test_fraction=0.2, seed=0, download=False, max_bytes=None, max_review_bytes=None
):
    """Load one of the public data sets by name.

    Parameters
    ----------
    name : {"imdb", "sanders", "yelp", "amazon", "sentences-amazon", "sentences-imdb", "sentences-yelp"}
    data_home : str or Path, optional
        Folder with the folders ``imdb``, ``sanders``, ``yelp``, ``amazon_fine_foods`` and ``uci_sentences``; by default
        the value of the environment variable NUMPY_SETLSTM_DATA.
    test_fraction : float
        Fraction of the texts to hold out for the test, in [0, 1). Not used for IMDB, which has an official split.
    seed : int or numpy.random.Generator
        Determines which texts are held out. Not used for IMDB.
    download : bool
        Whether to download missing files; possible for "imdb" and "sanders".
    max_bytes : int, optional
        Largest decompressed size of a file, or of IMDB's folder. Default: the environment variable
        NUMPY_SETLSTM_MAX_BYTES, or 8 GiB, but for a compressed file at most 4 MiB and 20 times its size.
    max_review_bytes : int, optional
        Largest size of a review with the other fields of its row. Default: the environment variable
        NUMPY_SETLSTM_MAX_REVIEW_BYTES, or 1 MiB.

    Returns
    -------
    Reviews

    Raises
    ------
    DatasetError
        If `name` is unknown, or the files are missing, damaged, larger than a limit or not in the expected format.
    ValueError
        If `test_fraction` is no number in [0, 1), or `seed` no seed.

    Examples
    --------
    >>> load_dataset("imbd")
    Traceback (most recent call last):
    numpy_setlstm.datasets.reviews.DatasetError: there is no data set 'imbd'; expected one of imdb, ...
    """
    sizes = {"max_bytes": max_bytes, "max_review_bytes": max_review_bytes}
    if isinstance(name, str) and name == "imdb":
        return load_imdb(data_home, download=download, **sizes)
    loaders = {"sanders": load_sanders, "yelp": load_yelp, "amazon": load_amazon}
    loaders |= {PREFIX + site: partial(load_sentences, site) for site in FILES}
    if not isinstance(name, str) or name not in loaders:
        raise DatasetError(f"there is no data set {shown(name)}; expected one of {', '.join(DATASETS)}")
    return loaders[name](data_home, test_fraction=test_fraction, seed=seed, download=download, **sizes)
