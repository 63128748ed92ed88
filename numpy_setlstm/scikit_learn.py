"""What scikit-learn's tools ask of an estimator, without needing scikit-learn."""

import inspect
import sys

__all__ = ["NotFittedError"]


class NotFittedError(ValueError, AttributeError):
    """A model is used before it was fitted."""


class Estimator:
    """Parameters by name, and the tags of a classifier of texts."""

    _estimator_type = "classifier"  # read by scikit-learn before 1.6

    @classmethod
    def _parameter_names(cls):
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep=True):
        """Return the constructor's parameters, a dict; `deep` has no effect."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **parameters):
        """Set parameters of the constructor, which are checked when `fit` is called; returns the estimator."""
        for name, value in parameters.items():
            if name not in self._parameter_names():
                raise ValueError(f"{name!r} is not a parameter; expected one of {', '.join(self._parameter_names())}")
            setattr(self, name, value)
        return self

    def __sklearn_is_fitted__(self):
        return hasattr(self, "network_")

    def __sklearn_tags__(self):
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(string=True, two_d_array=True),
        )

    def __repr__(self):
        defaults = inspect.signature(type(self).__init__).parameters
        changed = [f"{name}={value!r}" for name, value in self.get_params().items() if value != defaults[name].default]
        return f"{type(self).__name__}({', '.join(changed)})"

    def _check_fitted(self):
        if not self.__sklearn_is_fitted__():
            raise as_in_scikit_learn("NotFittedError", NotFittedError)(
                f"this {type(self).__name__} is not fitted yet: call fit(texts, labels), or load a saved model"
            )


def as_in_scikit_learn(name, ours):
    """Our class of an error or warning; one that is scikit-learn's as well where that is in use."""
    theirs = getattr(sys.modules.get("sklearn.exceptions"), name, ours)
    return theirs if issubclass(theirs, ours) else type(name, (ours, theirs), {})
