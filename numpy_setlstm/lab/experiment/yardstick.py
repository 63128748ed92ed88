"""The yardstick that a practitioner asks for: logistic regression on tf-idf, from scikit-learn, on the same texts."""

from dataclasses import dataclass

import numpy as np

from numpy_setlstm.datasets.splitting import split_by_text
from numpy_setlstm.lab.experiment.statistics import METRICS, confusion_counts

PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # scikit-learn's C: larger ones let the model follow the texts closer


@dataclass(frozen=True)
class TfidfModel:
    """A fitted tf-idf model.

    Attributes
    ----------
    pipeline : sklearn.pipeline.Pipeline
    penalty : float
        The C that was chosen.
    validation_accuracy : float or None
        With that C, learnt from the other training texts.
    """

    pipeline: object
    penalty: float
    validation_accuracy: float | None

    def predict(self, reviews):
        """Names of the labels of the test texts, ndarray of shape (n_test_texts,)."""
        return np.array(reviews.label_names)[self.pipeline.predict(reviews.test_texts)]

    @property
    def n_parameters(self):
        """Coefficients that are not zero, and the intercept."""
        regression = self.pipeline[-1]
        return int(np.count_nonzero(regression.coef_) + regression.intercept_.size)


def make_pipeline(penalty):
    """An unfitted pipeline: words and pairs of words, sublinear tf-idf, logistic regression with C = `penalty`.

    Raises
    ------
    ImportError
        If scikit-learn is not installed; the message has the command that does it.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import Pipeline
    except ImportError:
        raise ImportError(
            "the connectivity tfidf needs scikit-learn: pip install 'numpy-setlstm[compare]', or leave tfidf out"
        ) from None
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    return Pipeline([("tfidf", vectorizer), ("regression", LogisticRegression(C=penalty, max_iter=1000))])


def fit_tfidf(reviews, *, validation_fraction=0.1):
    """Choose C by validation accuracy, then learn from all training texts.

    Parameters
    ----------
    reviews : Reviews
    validation_fraction : float in [0, 1)
        The texts held out are those that the networks hold out. 0: C is 1.

    Returns
    -------
    TfidfModel

    Raises
    ------
    ImportError
        If scikit-learn is not installed.
    """
    texts, labels = reviews.train_texts, reviews.train_labels
    penalty, accuracy = 1.0, None
    if validation_fraction:
        # Names of labels and seed as in SetLSTMClassifier, so that the same texts are held out.
        names = np.array(reviews.label_names)[labels]
        kept, held_out = split_by_text(texts, names, validation_fraction, np.random.default_rng(0))
        accuracies = [
            make_pipeline(C)
            .fit([texts[k] for k in kept], labels[kept])
            .score([texts[k] for k in held_out], labels[held_out])
            for C in PENALTIES
        ]
        best = int(np.argmax(accuracies))  # among equals the strongest penalty, which comes first
        penalty, accuracy = PENALTIES[best], float(accuracies[best])
    return TfidfModel(make_pipeline(penalty).fit(texts, labels), penalty, accuracy)


def tfidf_result(model, reviews, predicted, seconds):
    """What there is to say about it, under the names of :func:`numpy_setlstm.lab.experiment.results.result_of`.

    Parameters
    ----------
    model : TfidfModel
    reviews : Reviews
    predicted : ndarray of shape (n_test_texts,), str
    seconds : float

    Returns
    -------
    dict
        Of plain numbers and text. It has no epochs, and no dense counterpart.
    """
    counts = confusion_counts(predicted == reviews.label_names[1], reviews.test_labels)
    return {
        "dataset": reviews.name,
        "connectivity": "tfidf",
        "parameters": model.n_parameters,
        "dense_parameters": None,
        "share": None,
        "test_accuracy": float(METRICS["accuracy"](counts)),
        "test_balanced_accuracy": float(METRICS["balanced accuracy"](counts)),
        "validation_accuracy": model.validation_accuracy,
        "penalty_C": model.penalty,
        "best_epoch": None,
        "epochs": None,
        "interrupted": False,
        "seconds": seconds,
        "train_texts": len(reviews.train_texts),
        "test_texts": len(reviews.test_texts),
    }
