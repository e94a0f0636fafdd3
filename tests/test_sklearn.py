"""The estimator: scikit-learn's own checks, its tools, and the way to a scanner and back."""

import pickle

import numpy as np
import pytest
from conftest import WORDS, made_up
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import validate_data

import fraudscan
from fraudscan.corpus import CorpusError
from fraudscan.sklearn import FraudClassifier


class OnNumbers(FraudClassifier):
    """Writes each row of numbers as a text, a character for each number, since scikit-learn's checks give numbers."""

    def fit(self, X, y):
        return super().fit(self._written(X, reset=True), y)

    def predict(self, X):
        return super().predict(self._written(X))

    def predict_proba(self, X):
        return super().predict_proba(X if isinstance(X, list) else self._written(X))

    def decision_function(self, X):
        return super().decision_function(X if isinstance(X, list) else self._written(X))

    def _written(self, X, *, reset=False):
        if not reset and not hasattr(self, "classes_"):
            raise NotFittedError
        X = validate_data(self, X, reset=reset, dtype="numeric")
        bins = np.clip(np.round(X.astype(float) * 2), -200, 200).astype(int) + 200
        return ["".join(chr(0x4E00 + 401 * (j % 40) + b) for j, b in enumerate(row)) for row in bins.tolist()]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.one_d_array, tags.input_tags.string = True, False, False
        return tags


EXPECTED: dict[str, str] = {}


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_valid_tag_types,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_mixin_order,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_set_params,
    ],
)
def test_checks_that_need_no_data(check):
    check("FraudClassifier", FraudClassifier())


@parametrize_with_checks([OnNumbers(order=1, rarity=0.5, strength=3.0, balanced=True)], expected_failed_checks=lambda _: EXPECTED)
def test_checks_for_numbers_on_rows_written_as_text(estimator, check):
    check(estimator)
