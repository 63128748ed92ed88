"""Reviews of restaurants and shops from the Yelp Open Dataset, Yelp Inc. https://www.yelp.com/dataset."""

from numpy_setlstm.datasets.files import find_data_home, find_file, read_csv, read_json_lines
from numpy_setlstm.datasets.limits import get_limits
from numpy_setlstm.datasets.reviews import DatasetError, label_by_stars
from numpy_setlstm.datasets.splitting import split_reviews

RULE = "One or two stars are negative, four or five positive; reviews with three stars are omitted."

_SAMPLE = "yelp.csv"
_ACADEMIC = "yelp_academic_dataset_review.json"


def load_yelp(
    data_home=None, *, test_fraction=0.2, seed=0, download=False, file_name=None, max_bytes=None, max_review_bytes=None
):
    r"""Load the Yelp reviews with one, two, four or five stars.

    Parameters
    ----------
    data_home : str or Path, optional
        Folder with ``yelp/yelp.csv``, the sample of 10,000 reviews used in many courses, or
        ``yelp/yelp_academic_dataset_review.json``, Yelp's own file; each plain or gzipped (".gz"). By default the value
        of the environment variable NUMPY_SETLSTM_DATA.
    test_fraction, seed
        See :func:`load_dataset`.
    download : bool
        Not possible: downloading the files requires agreeing to Yelp's terms.
    file_name : {"yelp.csv", "yelp_academic_dataset_review.json"}, optional
        The file to read; by default the first of the two that exists.
    max_bytes, max_review_bytes : int, optional
        See :func:`load_dataset`.

    Returns
    -------
    Reviews

    Raises
    ------
    DatasetError
        If the file is missing, damaged, not UTF-8, larger than a limit or not in the expected format (the message names
        the row or line), or `file_name` is neither of the two.

    Notes
    -----
    The split is ours: stratified, with all copies of a text on one side. Texts whose copies have both labels are
    dropped. The complete academic file holds millions of reviews and needs several gigabytes of memory.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as home:
    ...     (Path(home) / "yelp").mkdir()
    ...     with open(Path(home) / "yelp" / "yelp.csv", "w", encoding="utf8") as file:
    ...         print("stars,text", "5,so good", "4,good", "3,well", "2,bad", "1,so bad", sep="\n", file=file)
    ...     load_yelp(home, test_fraction=0.5)  # without the three stars
    Reviews(yelp: train 2 (50% positive), test 2 (50% positive))
    """
    names = [_SAMPLE, _ACADEMIC] if file_name is None else [file_name]
    if not set(names) <= {_SAMPLE, _ACADEMIC}:
        raise DatasetError(f"file_name is {file_name!r}; expected {_SAMPLE!r} or {_ACADEMIC!r}")
    limits = get_limits(max_bytes, max_review_bytes)
    folder = find_data_home(data_home) / "yelp"
    path = find_file(folder, names)
    if path is None:
        cannot = "it cannot be downloaded without agreeing to Yelp's terms; " if download else ""
        raise DatasetError(
            f"no {' or '.join(names)} in {folder}: {cannot}get it from https://www.yelp.com/dataset and put it there"
        )
    read = read_csv if path.name.startswith(_SAMPLE) else read_json_lines
    texts, labels = label_by_stars(read(path, ["stars", "text"], limits), "stars", "text")
    return split_reviews("yelp", texts, labels, RULE, test_fraction, seed, source=path)
