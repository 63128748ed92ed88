"""What scikit-learn's tools ask of an estimator, without needing scikit-learn."""

import copy
import inspect
import sys

__all__ = ["NotFittedError"]


class NotFittedError(ValueError, AttributeError):
    """A model is used before it was fitted."""


class Estimator:
    """Parameters by name, and whether it is fitted."""

    how_to_fit = "fit(texts, labels)"

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

    def __repr__(self):
        defaults = inspect.signature(type(self).__init__).parameters
        changed = [f"{name}={value!r}" for name, value in self.get_params().items() if value != defaults[name].default]
        return f"{type(self).__name__}({', '.join(changed)})"

    def _check_fitted(self):
        if not self.__sklearn_is_fitted__():
            raise as_in_scikit_learn("NotFittedError", NotFittedError)(
                f"this {type(self).__name__} is not fitted yet: call {self.how_to_fit}, or load a saved model"
            )


class ClassifierTags:
    """What scikit-learn asks of a classifier of texts, beside an :class:`Estimator`."""

    _estimator_type = "classifier"  # read by scikit-learn before 1.6

    def __sklearn_tags__(self):
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(),
            input_tags=InputTags(string=True, two_d_array=True),
        )

    def get_metadata_routing(self):
        """What scikit-learn is to pass on to `fit`, `partial_fit` and `score`: a MetadataRequest."""
        from sklearn.utils.metadata_routing import MetadataRequest

        if hasattr(self, "_metadata_request"):
            return self._metadata_request
        request = MetadataRequest(owner=type(self).__name__)
        for method in ("fit", "partial_fit", "score"):
            getattr(request, method).add_request(param="sample_weight", alias=None)
        return request

    def set_fit_request(self, *, sample_weight):
        """Say whether scikit-learn passes `sample_weight` to `fit`: True, False, or its name there."""
        return self._request("fit", sample_weight)

    def set_partial_fit_request(self, *, sample_weight):
        """The same for `partial_fit`."""
        return self._request("partial_fit", sample_weight)

    def set_score_request(self, *, sample_weight):
        """The same for `score`."""
        return self._request("score", sample_weight)

    def _request(self, method, sample_weight):
        self._metadata_request = copy.deepcopy(self.get_metadata_routing())  # under the name that clone copies
        getattr(self._metadata_request, method).add_request(param="sample_weight", alias=sample_weight)
        return self


def as_in_scikit_learn(name, ours):
    """Our class of an error or warning; one that is scikit-learn's as well where that is in use."""
    theirs = getattr(sys.modules.get("sklearn.exceptions"), name, ours)
    return theirs if issubclass(theirs, ours) else type(name, (ours, theirs), {})
