"""scikit-learn: an estimator that takes texts, for training on a user's own labels and for scoring.

>>> texts = ["今晚一起吃饭吗", "周末去爬山", "明天记得带伞", "帮我取下快递", "恭喜中奖请点链接领取",
...          "贷款秒批点链接", "中奖了请领取奖金", "低息贷款请点链接"]
>>> classifier = FraudClassifier().fit(texts, ["ham"] * 4 + ["spam"] * 4)
>>> classifier.predict(["点链接领取奖金"]).tolist()
['spam']
>>> classifier.to_scanner().classify("点链接领取奖金").label
'spam'
"""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from fraudscan.columns import is_missing
from fraudscan.corpus import HONEST_NAMES, Row, find_honest
from fraudscan.custom import Settings, train_custom
from fraudscan.model import Scanner, items_of, listed
from fraudscan.taxonomy import Taxonomy

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    from typing_extensions import Self

    from fraudscan.arrays import Bools, Floats

__all__ = ["FraudClassifier"]

NO_LABEL = HONEST_NAMES[0]
"""The class of rows of a label indicator matrix that have no label."""


class FraudClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A linear classifier of Chinese texts over character n-grams.

    Texts are read as `fraudscan.normalize` does without its repairs: all digits are one character, and width, case,
    script, blanks and common stickers do not count, so classes that differ in nothing else cannot be distinguished.

    Hyperparameters that are ``None`` are chosen from `fraudscan.custom.CHOICES` on held-out folds of the training
    texts, in which near-duplicates stay together. Set a value to fix a hyperparameter, or to choose it with
    ``GridSearchCV``.

    Args:
        max_n: the length of the longest n-grams, in characters; all shorter ones are used as well.
        min_df: the minimum number of texts in which an n-gram must occur, an integer.
        idf_power: counts are multiplied by this power of the inverse document frequency; 0 leaves it out.
        C: the inverse of the L2 penalty, as in `sklearn.svm.LinearSVC`.
        balanced: whether classes have the same weight, however many texts they have, as with
            ``class_weight="balanced"`` elsewhere; ``None`` leaves the choice to the fit.
        legitimate: the class of legitimate texts, for the scores and verdicts of `to_scanner` (default: a class with a
            name such as "normal" or "正常", see `fraudscan.corpus.HONEST_NAMES`). ``""`` means that there is none.
        n_jobs: the number of processes that fit in parallel; ``None`` means one.

    Attributes:
        classes_: the classes, sorted. If ``y`` is a label indicator matrix, the names of its columns, if they are those
            of a data frame and strings, else their numbers.
        scanner_: the fitted model, as `to_scanner` returns it.

    """

    classes_: npt.NDArray[Any]
    scanner_: Scanner
    _names: list[str]

    def __init__(  # noqa: PLR0913 - the settings
        self,
        *,
        max_n: int | None = None,
        min_df: int | None = None,
        idf_power: float | None = None,
        C: float | None = None,  # noqa: N803 - scikit-learn's name
        balanced: bool | None = None,
        legitimate: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.max_n = max_n
        self.min_df = min_df
        self.idf_power = idf_power
        self.C = C
        self.balanced = balanced
        self.legitimate = legitimate
        self.n_jobs = n_jobs

    def fit(self, X: Iterable[str], y: Any) -> Self:  # noqa: N803 - scikit-learn's name
        """Fit the classifier.

        Args:
            X: texts, shape (texts,).
            y: classes of any type, shape (texts,), or a label indicator matrix, shape (texts, classes), which
                `sklearn.preprocessing.MultiLabelBinarizer` makes of lists.

        Raises:
            ValueError: if there is only one class, ``X`` and ``y`` differ in length, or a parameter is invalid; if a
                row of an indicator matrix has both the class ``legitimate`` and others or, where there is such a class,
                no class at all.
            TypeError: if a text is not a string.

        """
        jobs = 1 if self.n_jobs is None else self.n_jobs
        if not isinstance(jobs, Integral) or isinstance(jobs, bool) or not 0 < abs(jobs) < 1 << 31:
            raise ValueError(f"n_jobs must be a whole number of 32 bits other than 0, not {self.n_jobs!r}")
        texts = _texts(X)
        if y is None:
            raise ValueError("FraudClassifier requires y to be passed, but the target y is None")
        check_consistent_length(texts, y)
        try:
            classes, several, matrix = _read_classes(y)
        except TypeError as error:  # classes that are missing, bytes, or of several types
            raise ValueError(
                f"y has invalid classes: leave out missing values, decode bytes, and use one type for all ({error})"
            ) from error
        names = [str(name) for name in classes.tolist()]
        honest = self._find_honest(classes.tolist(), matrix, several=several)
        others = [name for name in names if name != honest]
        ordered = [*others, honest] if honest else others  # as in `read_labelled`
        labels = [tuple(name for name, yes in zip(names, row, strict=True) if yes) for row in matrix.tolist()]
        pairs = enumerate(zip(texts, labels, strict=True))
        rows = [Row(str(i), text, () if honest in of else of) for i, (text, of) in pairs]
        fixed = {name: value for name in Settings.__dataclass_fields__ if (value := getattr(self, name)) is not None}
        taxonomy = Taxonomy.from_names(ordered, honest, "multilabel" if several else "multiclass")
        scanner = train_custom(rows, taxonomy, fixed=fixed, least=0 if several else 1, jobs=int(jobs))
        self.scanner_, self.classes_, self._names = scanner, classes, names
        return self

    def _find_honest(self, classes: list[Any], matrix: Bools, *, several: bool) -> str | None:
        """Return the name of the class of honest texts, `NO_LABEL` if these are the rows without a label, or None."""
        numbers = several and all(str(name).isdecimal() for name in classes)  # of columns, which mean nothing
        known = "" if numbers and self.legitimate is None else self.legitimate
        names = [str(value) for value in classes]
        pairs = zip(names, classes, strict=True)
        known = next((name for name, value in pairs if value == known), known)  # 0 also equals False and 0.0
        honest = find_honest(names, None if known is None else str(known))
        if several and honest:
            at = names.index(honest)
            others = np.delete(matrix, at, axis=1).any(axis=1)
            if (wrong := np.flatnonzero(others == matrix[:, at])).size:
                raise ValueError(
                    f"y[{wrong[0]}] must have either the class of legitimate texts, {honest}, or other classes, not "
                    "both"
                )
        elif several and not matrix.any(axis=1).all():
            return NO_LABEL
        return honest

    @property
    def _several(self) -> bool:
        return self.scanner_.taxonomy.task == "multilabel"

    def predict(self, X: Iterable[str]) -> npt.NDArray[Any]:  # noqa: N803
        """Return the class of each text, or a label indicator matrix if one was fitted.

        The class is the one with the highest probability, except for labels that overlap (see `from_scanner`). In an
        indicator matrix, a class is predicted if its probability is at least one half. If there is a class of
        legitimate texts, or some texts had no class, the likeliest class is predicted in any case, and no other one
        together with that of legitimate texts.
        """
        check_is_fitted(self)
        place_of = {name: place for place, name in enumerate(self._names)}
        if self._several and self.scanner_.taxonomy.honest is None:
            return (self.predict_proba(X) >= 0.5).astype(int)
        found = self.scanner_.with_lists(None).decide(_texts(X))  # lists change verdicts, not labels
        if self._several:
            honest = self.scanner_.taxonomy.honest
            given = [{kind.label} if kind.label == honest else {*kind.labels} - {honest} for kind in found.kinds]
            return np.array([[name in each for name in self._names] for each in given], dtype=int)[found.kind]
        of_kind = np.array([place_of[kind.label] for kind in found.kinds], dtype=np.intp)
        return self.classes_[of_kind[found.kind]]

    def predict_proba(self, X: Iterable[str]) -> Floats:  # noqa: N803
        """Return probabilities, shape (texts, classes).

        The probabilities of classes sum to one; labels of an indicator matrix are independent.
        """
        check_is_fitted(self)
        columns = [self.scanner_.names.index(name) for name in self._names]
        probabilities: Floats = self.scanner_.predict_proba(_texts(X))[:, columns].astype(np.float64)
        taxonomy = self.scanner_.taxonomy
        if taxonomy.task == "fraud":  # its labels overlap: they share what the honest one leaves
            lures = np.array([name != taxonomy.honest for name in self._names])
            share = (1 - probabilities[:, ~lures]) / probabilities[:, lures].sum(axis=1, keepdims=True).clip(1e-30)
            probabilities[:, lures] *= share
        elif not self._several:
            probabilities /= probabilities.sum(axis=1, keepdims=True)
        return probabilities

    def decision_function(self, X: Iterable[str]) -> Floats:  # noqa: N803
        """Return the logits, shape (texts, classes); for two classes the second minus the first, shape (texts,).

        For a scanner whose labels overlap (see `from_scanner`), logarithms of `predict_proba` take their place.
        """
        check_is_fitted(self)
        if self.scanner_.taxonomy.task == "fraud":
            logits: Floats = np.log(self.predict_proba(X).clip(1e-30))
        else:
            columns = [self.scanner_.heads.index(name) for name in self._names]
            logits = self.scanner_.logits(_texts(X))[:, columns]
        if logits.shape[1] == 2 and not self._several:
            logits = logits[:, 1] - logits[:, 0]
        return logits

    def to_scanner(self) -> Scanner:
        """Return the fitted model as a scanner, which can be saved, explain, and score dumps and data frames.

        Warns:
            UserWarning: if no class stands for legitimate texts, so that the scanner flags every text. Name one with
                ``legitimate``; ``""`` means that there is none.

        """
        check_is_fitted(self)
        if self.scanner_.taxonomy.honest is None and self.legitimate is None:
            warnings.warn(
                "no class stands for legitimate texts, so every text scores 1: name one with legitimate=", stacklevel=2
            )
        return self.scanner_

    @classmethod
    def from_scanner(cls, scanner: Scanner) -> Self:
        """Return a fitted classifier that decides as ``scanner`` does: the scanner's labels are the classes.

        Tools that refit, such as `sklearn.model_selection.cross_val_score`, discard the scanner and measure another
        model, unless the classifier is wrapped in `sklearn.frozen.FrozenEstimator` (scikit-learn 1.6 or newer).

        If the labels of a model overlap, as those of the shipped model do, its pretences share the probability that the
        text is not legitimate. `predict` first decides at one half whether the text is legitimate, and if it is not,
        returns the pretence with the largest share. So if several pretences share a little more than one half, the
        legitimate class has the highest probability, but `predict` returns a pretence. This is the case for one or two
        texts in a hundred of this project's corpus.

        Raises:
            TypeError: if ``scanner`` is not a `Scanner`, but the name of a folder, for example.

        """
        if not isinstance(scanner, Scanner):
            kind = type(scanner).__name__
            raise TypeError(f"from_scanner takes a Scanner, not {kind}: fraudscan.load reads model folders")
        classifier = cls()
        classifier.scanner_ = scanner
        classifier._names = sorted(label.name for label in scanner.taxonomy.labels)
        classifier.classes_ = np.array(classifier._names)
        return classifier

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        tags.classifier_tags.multi_label = True
        return tags


def _read_classes(y: Any) -> tuple[npt.NDArray[Any], bool, Bools]:
    """Return the classes, whether a text can have several, and the mask of those it has, shape (texts, classes)."""
    dtype: Any = getattr(y, "dtype", None)
    if hasattr(dtype, "numpy_dtype") and dtype.kind in "biu":  # nullable in pandas; scikit-learn would make them floats
        y = y.tolist()
    if isinstance(y, (list, tuple)) and any(isinstance(name, str) and str(name) != str.__str__(name) for name in y):
        raise ValueError(
            "y has enumeration members, whose names NumPy truncates: pass their values, [one.value for one in y]"
        )
    kind = getattr(getattr(y, "dtype", None), "kind", "O")  # types of polars have no kind
    values = np.asarray(y if kind == "O" and not hasattr(y, "todense") else [], dtype=object).ravel()
    if any(np.iterable(value) and not isinstance(value, (str, bytes)) for value in values):
        raise ValueError(
            "y has lists of classes: if a text can have several, pass the matrix that "
            "sklearn.preprocessing.MultiLabelBinarizer makes of them, otherwise one class for each text"
        )
    if any(map(is_missing, values)):  # NumPy would make it "nan" in a list with strings
        raise TypeError("a class is missing")
    if kind in "fO":
        assert_all_finite(y, input_name="y")
    if len({isinstance(value, str) for value in values}) > 1:  # NumPy would make strings of all items of a list
        raise TypeError("strings and other types")
    check_classification_targets(y)
    if type_of_target(y).startswith("multilabel"):
        matrix: Bools = np.asarray(y.todense() if hasattr(y, "todense") else y).astype(bool)
        names = list(getattr(y, "columns", ()))
        if not names or not all(isinstance(name, str) for name in names):
            return np.arange(matrix.shape[1]), True, matrix
        if len(set(names)) < len(names):
            raise ValueError(f"y has several columns of one name: {', '.join(names)}")
        return np.array(names), True, matrix
    classes, places = np.unique(column_or_1d(y, warn=True), return_inverse=True)
    return classes, False, places[:, None] == np.arange(classes.size)


def _texts(X: Any) -> list[str]:  # noqa: N803
    """Return the texts as a list; raise an error if ``X`` holds anything else."""
    try:
        items = items_of(X)
    except TypeError as error:
        raise ValueError(str(error)) from None  # scikit-learn's type of error for a wrong shape
    texts = listed(items)
    if not texts:
        raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required")
    return texts
