"""The Sanders Twitter Sentiment Corpus: tweets about Apple, Google, Microsoft and Twitter.

N. J. Sanders, "Sanders-Twitter Sentiment Corpus", Sanders Analytics LLC, 2011. Published as a list of 5,513 tweet ids;
copies with texts hold the tweets that were still online when the copy was made, here 5,113.
"""

from numpy_setlstm.datasets.download import fetch
from numpy_setlstm.datasets.files import find_data_home, find_file, read_csv
from numpy_setlstm.datasets.limits import get_limits
from numpy_setlstm.datasets.reviews import NEGATIVE, POSITIVE, DatasetError, shown
from numpy_setlstm.datasets.splitting import split_reviews, tweet_key

URL = "https://raw.githubusercontent.com/zfz/twitter_corpus/77c6194a9b06c6b1fa1f37f355cdd39819560a08/full-corpus.csv"
SHA256 = "19bf91b49bbf852eae402210489c0d87071ad11e067b6bf351660db19435c0c8"
RULE = "Labeled by hand; tweets labeled neutral or irrelevant are omitted."

_LABELS = {"negative": NEGATIVE, "positive": POSITIVE, "neutral": None, "irrelevant": None}


def load_sanders(data_home=None, *, test_fraction=0.2, seed=0, download=False, max_bytes=None, max_review_bytes=None):
    r"""Load the tweets that are positive or negative.

    Parameters
    ----------
    data_home : str or Path, optional
        Folder with ``sanders/full-corpus.csv``, plain or gzipped (".gz"); by default the value of the environment
        variable NUMPY_SETLSTM_DATA.
    test_fraction, seed
        See :func:`load_dataset`.
    download : bool
        Whether to download the file (0.9 MB) if it is missing.
    max_bytes, max_review_bytes : int, optional
        See :func:`load_dataset`.

    Returns
    -------
    Reviews
        Only about 1,090 tweets, so accuracies differ by several points between seeds.

    Raises
    ------
    DatasetError
        If the file is missing, damaged, not UTF-8, larger than a limit or not in the expected format; the message names
        the row.

    Notes
    -----
    The split is ours: stratified, with tweets on one side if they differ only in links, user names, punctuation or a
    leading "RT". Tweets whose copies have both labels are dropped.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> tweets = [("positive", "I love it"), ("negative", "broken"), ("positive", "so fast"), ("negative", "slow")]
    >>> with tempfile.TemporaryDirectory() as home:
    ...     (Path(home) / "sanders").mkdir()
    ...     with open(Path(home) / "sanders" / "full-corpus.csv", "w", encoding="utf8") as file:
    ...         print("Topic,Sentiment,TweetId,TweetDate,TweetText", file=file)
    ...         for k, (label, text) in enumerate(tweets):
    ...             print(f"apple,{label},{k},today,{text}", file=file)
    ...     load_sanders(home, test_fraction=0.5)
    Reviews(sanders: train 2 (50% positive), test 2 (50% positive))
    """
    limits = get_limits(max_bytes, max_review_bytes)
    folder = find_data_home(data_home) / "sanders"
    path = find_file(folder, ["full-corpus.csv"])
    if path is None and download:
        path = folder / "full-corpus.csv"
        fetch(URL, SHA256, path)
    if path is None:
        raise DatasetError(f"no full-corpus.csv in {folder}: pass download=True, or get it from {URL}")
    texts, labels = [], []
    for where, row in read_csv(path, ["Topic", "Sentiment", "TweetId", "TweetDate", "TweetText"], limits):
        if row["Sentiment"] not in _LABELS:
            raise DatasetError(
                f"{where}: the sentiment is {shown(row['Sentiment'])}; expected one of {', '.join(_LABELS)}"
            )
        label = _LABELS[row["Sentiment"]]
        if label is not None:
            texts.append(row["TweetText"])
            labels.append(label)
    return split_reviews("sanders", texts, labels, RULE, test_fraction, seed, key=tweet_key, source=path)
