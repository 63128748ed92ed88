"""Amazon Fine Food Reviews: 568,454 food reviews from 1999 to 2012.

J. McAuley and J. Leskovec, "From Amateurs to Connoisseurs: Modeling the Evolution of User Expertise through Online
Reviews", WWW 2013. https://www.kaggle.com/datasets/snap/amazon-fine-food-reviews
"""

from numpy_setlstm.datasets.files import find_data_home, find_file, read_csv
from numpy_setlstm.datasets.limits import get_limits
from numpy_setlstm.datasets.reviews import DatasetError, label_by_stars
from numpy_setlstm.datasets.splitting import split_reviews

RULE = "Scores of 1 and 2 are negative, 4 and 5 positive; reviews with a score of 3 are omitted."


def load_amazon(data_home=None, *, test_fraction=0.2, seed=0, download=False, max_bytes=None, max_review_bytes=None):
    r"""Load the food reviews with a score of 1, 2, 4 or 5.

    Parameters
    ----------
    data_home : str or Path, optional
        Folder with ``amazon_fine_foods/Reviews.csv``, plain or gzipped (".gz"); by default the value of the environment
        variable NUMPY_SETLSTM_DATA.
    test_fraction, seed
        See :func:`load_dataset`.
    download : bool
        Not possible: downloading the file requires a login.
    max_bytes, max_review_bytes : int, optional
        See :func:`load_dataset`.

    Returns
    -------
    Reviews
        About five in six are positive; compare accuracies with that fraction.

    Raises
    ------
    DatasetError
        If the file is missing, damaged, not UTF-8, larger than a limit or not in the expected format (the message names
        the row).

    Notes
    -----
    The split is ours: stratified, with all copies of a text on one side, because many reviews are listed under several
    products. Texts whose copies have both labels are dropped.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> rows = ["1,5,,so good", "2,4,,good", "3,3,,well", "4,2,,bad", "5,1,,so bad"]
    >>> with tempfile.TemporaryDirectory() as home:
    ...     (Path(home) / "amazon_fine_foods").mkdir()
    ...     with open(Path(home) / "amazon_fine_foods" / "Reviews.csv", "w", encoding="utf8") as file:
    ...         print("Id,Score,Summary,Text", *rows, sep="\n", file=file)
    ...     load_amazon(home, test_fraction=0.5)  # without the three stars
    Reviews(amazon: train 2 (50% positive), test 2 (50% positive))
    """
    limits = get_limits(max_bytes, max_review_bytes)
    folder = find_data_home(data_home) / "amazon_fine_foods"
    path = find_file(folder, ["Reviews.csv"])
    if path is None:
        cannot = "it cannot be downloaded without a login; " if download else ""
        raise DatasetError(
            f"no Reviews.csv in {folder}: {cannot}get it from "
            "https://www.kaggle.com/datasets/snap/amazon-fine-food-reviews and put it there"
        )
    texts, labels = label_by_stars(read_csv(path, ["Id", "Score", "Summary", "Text"], limits), "Score", "Text")
    return split_reviews("amazon", texts, labels, RULE, test_fraction, seed, source=path)
