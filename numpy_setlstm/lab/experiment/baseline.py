"""The linear baseline: scikit-learn's logistic regression on tf-idf, on the same texts as the networks."""

from dataclasses import dataclass

import numpy as np

from numpy_setlstm.inputs import split
from numpy_setlstm.lab.experiment.results import accuracies_of

PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # scikit-learn's C, the inverse of the regularization strength


@dataclass(frozen=True)
class TfidfModel:
    """A fitted pipeline, the C that was chosen, and the validation accuracy with it; None without validation."""

    pipeline: object
    penalty: float
    validation_accuracy: float | None

    def predict(self, reviews):
        """Label names predicted for the test texts, ndarray of shape (n_test_texts,)."""
        return np.array(reviews.label_names)[self.pipeline.predict(reviews.test_texts)]

    @property
    def n_parameters(self):
        """Number of nonzero coefficients, plus the intercept."""
        regression = self.pipeline[-1]
        return int(np.count_nonzero(regression.coef_) + regression.intercept_.size)


def make_pipeline(penalty):
    """An unfitted pipeline: words and word pairs, sublinear tf-idf, logistic regression with C = `penalty`."""
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
    """Choose C by accuracy on the texts that the networks hold out too, then fit all training texts.

    Without a validation fraction, C is 1.
    """
    texts, labels = reviews.train_texts, reviews.train_labels
    penalty, accuracy = 1.0, None
    if validation_fraction:
        kept, held_out = split(texts, np.array(reviews.label_names)[labels], validation_fraction)
        accuracies = [
            make_pipeline(C)
            .fit([texts[k] for k in kept], labels[kept])
            .score([texts[k] for k in held_out], labels[held_out])
            for C in PENALTIES
        ]
        best = int(np.argmax(accuracies))  # among equals the first, with the strongest regularization
        penalty, accuracy = PENALTIES[best], float(accuracies[best])
    return TfidfModel(make_pipeline(penalty).fit(texts, labels), penalty, accuracy)


def tfidf_result(model, reviews, predicted, seconds):
    """Its result under the keys of :func:`~numpy_setlstm.lab.experiment.results.result_of`; there are no epochs."""
    return {
        "dataset": reviews.name,
        "connectivity": "tfidf",
        "parameters": model.n_parameters,
        "dense_parameters": None,
        "share": None,
        **accuracies_of(reviews, predicted),
        "validation_accuracy": model.validation_accuracy,
        "penalty_C": model.penalty,
        "best_epoch": None,
        "epochs": None,
        "interrupted": False,
        "seconds": seconds,
    }
