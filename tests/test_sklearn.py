"""The estimator: scikit-learn's own checks, its tools, and conversion to a scanner and back.

scikit-learn cannot check an estimator that takes only texts, because its test data are
numbers. The checks that need no data therefore run on the estimator itself. All other
checks that the estimator's tags call for run on a subclass that writes each row of numbers
as a text. No check is expected to fail. The tags do not call for checks of sample weights,
sparse input, missing values or ``partial_fit``, which the estimator does not support.
"""

import enum
import json
import pickle
from unittest.mock import Mock

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import WORDS, made_up
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import validate_data

import fraudscan
from fraudscan import model
from fraudscan.corpus import CorpusError
from fraudscan.custom import train_custom
from fraudscan.labelled import read_labelled
from fraudscan.sklearn import FraudClassifier


class OnNumbers(FraudClassifier):
    """Writes each row of numbers as a text, one character per number, because scikit-learn's checks use numbers."""

    def fit(self, X, y):
        return super().fit(self._as_texts(X, reset=True), y)

    def predict(self, X):
        return super().predict(self._as_texts(X))

    def predict_proba(self, X):
        return super().predict_proba(X if isinstance(X, list) else self._as_texts(X))

    def decision_function(self, X):
        return super().decision_function(X if isinstance(X, list) else self._as_texts(X))

    def _as_texts(self, X, *, reset=False):
        if not reset and not hasattr(self, "classes_"):
            raise NotFittedError
        X = validate_data(self, X, reset=reset, dtype="numeric")
        bins = np.clip(np.round(X.astype(float) * 2), -200, 200).astype(int) + 200
        return ["".join(chr(0x4E00 + 401 * (j % 40) + b) for j, b in enumerate(row)) for row in bins.tolist()]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.one_d_array, tags.input_tags.string = True, False, False
        return tags


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


@parametrize_with_checks([OnNumbers(max_n=1, idf_power=0.5, C=3.0, balanced=True)])
def test_checks_for_numbers_on_rows_written_as_text(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def fitted():
    return FraudClassifier().fit(*made_up(60))


def test_it_learns_from_texts(fitted):
    texts, labels = made_up(40, seed=1)
    assert fitted.classes_.tolist() == sorted(WORDS)
    assert fitted.score(texts, labels) == 1
    probabilities = fitted.predict_proba(texts)
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert (fitted.classes_[probabilities.argmax(axis=1)] == labels).all()
    assert (fitted.classes_[fitted.decision_function(texts).argmax(axis=1)] == labels).all()


def test_other_types_of_classes_are_accepted():
    texts, labels = made_up(40)
    numbers = np.array([sorted(WORDS).index(label) * 10 for label in labels])
    classifier = FraudClassifier(max_n=2).fit(np.array(texts, dtype=object), numbers)
    assert classifier.predict(texts).tolist() == numbers.tolist()
    column = FraudClassifier(max_n=2).fit(pl.Series(texts), pl.Series(labels))
    assert column.predict(pl.Series(texts)).tolist() == labels
    two = FraudClassifier(max_n=2).fit(texts, np.array(labels) == "loan")
    assert two.classes_.tolist() == [False, True]
    assert ((two.decision_function(texts) > 0) == two.predict(texts)).all()
    assert two.predict(texts).tolist() == [label == "loan" for label in labels]


def test_rows_and_a_file_of_them_give_the_same_model(tmp_path):
    texts, labels = made_up(60)
    labels = ["ham" if label == "normal" else label for label in labels]  # sorts before the other labels
    pd.DataFrame({"text": texts, "label": labels}).to_csv(tmp_path / "mine.csv", index=False)
    labelled = read_labelled([tmp_path / "mine.csv"])
    fitted = FraudClassifier(max_n=2).fit(texts, labels)
    assert fitted.scanner_.digest == train_custom(labelled.rows, labelled.taxonomy, fixed={"max_n": 2}).digest
    assert fitted.classes_.tolist() == sorted(set(labels))
    assert fitted.predict(texts).tolist() == labels


class Kind(str, enum.Enum):
    """Classes that NumPy gives other names and truncates."""

    LOAN = "loan"
    HAM = "ham"


def test_classes_that_are_enumeration_members_are_refused():
    with pytest.raises(ValueError, match=r"enumeration members, .* pass their values, \[one.value for one in y\]"):
        FraudClassifier().fit([WORDS["loan"][0], "到楼下了"], [Kind.LOAN, Kind.HAM])


GIVEN = {"max_n": 2, "min_df": 1, "idf_power": 0.5, "C": 1.0, "balanced": True}


@pytest.mark.parametrize(
    ("given", "other"),
    [({"C": -1}, ["p", "q"]), ({}, ["p"]), ({"legitimate": "c"}, ["p", "q"]), ({"legitimate": 0}, [[1, 0], [1, 1]])],
)
def test_a_fit_that_fails_leaves_the_classifier_as_it_was(given, other):
    texts, labels = made_up(20)
    classifier = FraudClassifier(**GIVEN)
    others = (other * len(texts))[: len(texts)]
    with pytest.raises(ValueError, match=r"."):
        classifier.set_params(**given).fit(texts, others)
    with pytest.raises(NotFittedError):
        classifier.predict(texts)
    classifier.set_params(**{"legitimate": None, **GIVEN}).fit(texts, labels)
    before = classifier.predict_proba(texts)
    with pytest.raises(ValueError, match=r"."):
        classifier.set_params(**given).fit(texts, others)
    assert classifier.classes_.tolist() == sorted(WORDS)
    assert classifier.predict(texts).tolist() == labels
    assert (classifier.predict_proba(texts) == before).all()


def test_it_works_with_tools_of_scikit_learn(fitted):
    texts, labels = made_up(60)
    pipeline = make_pipeline(
        FunctionTransformer(lambda texts: [text.strip() for text in texts]), FraudClassifier(max_n=2)
    )
    assert cross_val_score(pipeline, texts, labels, cv=3).min() > 0.9
    search = GridSearchCV(FraudClassifier(max_n=2), {"min_df": [1, 30], "C": [1.0]}, cv=2).fit(texts, labels)
    assert search.best_params_ == {"min_df": 1, "C": 1.0}
    assert not hasattr(clone(fitted), "classes_")
    restored = pickle.loads(pickle.dumps(fitted))  # noqa: S301
    assert (restored.predict_proba(texts) == fitted.predict_proba(texts)).all()


def test_a_model_of_own_labels_neither_repairs_disguises_nor_reads_windows(fitted):
    scanner = fitted.to_scanner()
    disguised, plain = "低·息·贷·款，秒·批·到·账", "低息贷款，秒批到账"
    assert fraudscan.normalize(disguised).text == "低息贷款,秒批到账"
    assert scanner.classify(disguised).score < scanner.classify(plain).score
    diluted = scanner.classify("明天开会，帮我带伞。" * 40 + plain)
    assert diluted.label == "normal"
    assert diluted.window is None


def test_results_of_a_custom_model_are_pickled_without_the_shipped_one(fitted, monkeypatch):
    monkeypatch.setattr(model, "_shipped", Mock(side_effect=AssertionError))
    result = fitted.to_scanner().classify(f"{WORDS['loan'][0]}点链接")
    assert pickle.loads(pickle.dumps(result)) == result  # noqa: S301


def test_given_settings_are_used_unchanged():
    texts, labels = made_up(60)
    given = {"max_n": 2, "min_df": 3, "idf_power": 0.25, "C": 7.0, "balanced": False}
    assert FraudClassifier(**given).fit(texts, labels).to_scanner().manifest["training"] == given


def test_settings_may_be_numpy_numbers(tmp_path):
    given = {"max_n": np.int64(2), "min_df": np.int32(3), "idf_power": np.float32(0.25), "C": np.float64(7)}
    classifier = FraudClassifier(**given, balanced=np.bool_(False)).fit(*made_up(60))
    classifier.to_scanner().save(tmp_path / "model")
    assert fraudscan.load(tmp_path / "model").manifest["training"] == {**given, "balanced": False}


def test_a_folder_with_settings_named_as_in_earlier_versions_can_be_loaded(fitted, tmp_path):
    fitted.to_scanner().save(tmp_path / "model")
    manifest = json.loads((tmp_path / "model" / "manifest.json").read_text("utf-8"))
    manifest["training"] = {"order": 3, "min_count": 2, "rarity": 0.75, "strength": 3.0, "balanced": True}
    (tmp_path / "model" / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    scanner = fraudscan.load(tmp_path / "model")
    assert scanner.manifest["training"] == manifest["training"]
    assert (FraudClassifier.from_scanner(scanner).predict(["低息贷款"]) == fitted.predict(["低息贷款"])).all()


def test_a_label_indicator_matrix_is_accepted():
    texts, labels = made_up(200)
    pairs = [(texts[i] + "。" + texts[i + 1], {labels[i], labels[i + 1]} - {"normal"}) for i in range(len(texts) - 1)]
    joined = [text for text, _ in pairs]
    y = np.array([["loan" in names, "prize" in names] for _, names in pairs]).astype(int)
    assert {0, 1, 2} == set(y.sum(axis=1))
    classifier = FraudClassifier(max_n=2).fit(joined, y)
    assert (classifier.predict(joined) == y).mean() > 0.95
    assert ((classifier.decision_function(joined) >= 0) == classifier.predict(joined)).all()
    scanner = classifier.to_scanner()
    assert scanner.names == ("0", "1", "legitimate")  # texts without a label are legitimate
    decisions = scanner.decide(joined)
    agree = [
        set(labels) - {"legitimate"} == {str(i) for i in np.flatnonzero(row)}
        for labels, row in zip(decisions.labels, y, strict=True)
    ]
    assert np.mean(agree) > 0.9


def test_columns_of_a_data_frame_name_the_labels():
    texts, labels = made_up(60)
    y = pd.DataFrame({name: [label == name for label in labels] for name in ("prize", "loan", "normal")})
    for named in (y, pl.from_pandas(y)):
        classifier = FraudClassifier(max_n=2, min_df=2, idf_power=0.5, C=3.0, balanced=True).fit(texts, named)
        assert classifier.classes_.tolist() == ["prize", "loan", "normal"]
        assert (classifier.predict(texts) == y.to_numpy()).all()
        assert classifier.to_scanner().taxonomy.honest == "normal"
    numbers = y.set_axis(["0", "1", "2"], axis=1)  # as in a file: they mean nothing
    with pytest.warns(UserWarning, match="no class stands for legitimate texts"):
        assert classifier.fit(texts, numbers).to_scanner().taxonomy.honest is None
    with pytest.raises(ValueError, match=r"loan.* 2 times|y has several columns of one name: loan, loan, normal"):
        classifier.fit(texts, y.set_axis(["loan", "loan", "normal"], axis=1))  # narwhals says so first


@pytest.mark.parametrize("legitimate", [0, None])
def test_no_text_is_legitimate_and_something_else(legitimate):
    texts, labels = made_up(200)
    rng = np.random.default_rng(0)
    wrong = rng.choice(labels, 100).tolist() + labels[100:]  # so that the classifier is unsure
    y = np.array([[label == name for name in ("normal", "loan", "prize")] for label in wrong])
    y = y[:, 0 if legitimate == 0 else 1 :].astype(int)
    classifier = FraudClassifier(max_n=1, min_df=2, idf_power=0.5, C=0.1, balanced=True, legitimate=legitimate)
    unsure = [text + other for text, other in zip(texts, rng.permutation(texts), strict=True)]
    found = classifier.fit(texts, y).predict(unsure)
    decided = classifier.to_scanner().decide(unsure)
    honest = classifier.to_scanner().taxonomy.honest
    names = [*classifier.classes_.astype(str), honest]  # of texts without a class
    for row, label, labels in zip(found, decided.label, decided.labels, strict=True):
        given = {name for name, yes in zip(names, row, strict=False) if yes} or {honest}
        assert given == ({honest} if label == honest else {*labels} - {honest})
    classifier.fit(unsure, found)  # what it predicts, it can learn


@pytest.mark.parametrize("row", [[1, 1, 0], [1, 0, 1], [0, 0, 0]])
def test_the_legitimate_class_of_a_matrix_excludes_other_classes(row):
    texts, labels = made_up(60)
    y = np.array([[label == name for name in ("normal", "loan", "prize")] for label in labels]).astype(int)
    y[0] = [0, 1, 1]
    classifier = FraudClassifier(max_n=2, min_df=2, idf_power=0.5, C=3.0, balanced=True, legitimate=0).fit(texts, y)
    assert (classifier.predict(texts) == y)[1:].all()
    y[7] = row
    with pytest.raises(ValueError, match=r"y\[7\] must have either the class of legitimate texts, 0, or other classes"):
        classifier.fit(texts, y)


def test_conversion_to_a_scanner_and_back(fitted, tmp_path):
    texts, labels = made_up(20, seed=2)
    fitted.to_scanner().save(tmp_path / "model")
    scanner = fraudscan.load(tmp_path / "model")
    assert [result.label for result in scanner.classify_many(texts)] == labels
    assert scanner.taxonomy.honest == "normal"
    assert scanner.classify("明天开会，帮我带伞").verdict == "clear"
    back = FraudClassifier.from_scanner(scanner)
    assert (back.predict(texts) == fitted.predict(texts)).all()
    assert (back.predict_proba(texts) == fitted.predict_proba(texts)).all()


def test_the_shipped_model_as_a_classifier(scanner):
    texts = ["跟着老师操作稳赚不赔，加微信进内部群，每天领取返利", "到楼下了，下来拿快递"]
    classifier = FraudClassifier.from_scanner(scanner)
    assert classifier.predict(texts).tolist() == ["investment", "legitimate"]
    probabilities = classifier.predict_proba(texts)
    assert probabilities.sum(axis=1) == pytest.approx(1)
    honest = classifier.classes_.tolist().index("legitimate")
    assert (1 - probabilities[:, honest]).tolist() == scanner.decide(texts).score
    assert classifier.classes_[classifier.decision_function(texts).argmax(axis=1)].tolist() == [
        "investment",
        "legitimate",
    ]


def test_cross_validation_refits_a_scanner_unless_it_is_frozen(scanner):
    classifier = FraudClassifier.from_scanner(scanner)
    texts = [
        "跟着老师操作稳赚不赔，加微信进内部群",
        "到楼下了，下来拿快递",
        "内幕消息保证翻倍，想赚钱的找我进群",
        "晚上吃什么",
    ]
    classes = ["investment", "legitimate"] * 2
    assert cross_val_score(FrozenEstimator(classifier), texts, classes, cv=2).tolist() == [1, 1]
    assert cross_val_score(classifier, texts, classes, cv=2).min() < 1


def test_with_overlapping_labels_the_legitimate_one_is_decided_first(scanner, corpus):
    texts = [row.text for row in corpus[::290]]
    classifier = FraudClassifier.from_scanner(scanner)
    predicted, probabilities = classifier.predict(texts), classifier.predict_proba(texts)
    assert predicted.tolist() == scanner.decide(texts).label
    honest = classifier.classes_.tolist().index("legitimate")
    lures = probabilities[:, honest] <= 0.5
    assert ((predicted != "legitimate") == lures).all()
    assert (predicted != classifier.classes_[probabilities.argmax(axis=1)]).any()
    probabilities[:, honest] = 0
    assert (predicted == classifier.classes_[probabilities.argmax(axis=1)])[lures].all()


def test_invalid_arguments_are_refused(fitted):
    with pytest.raises(ValueError, match=r"texts is one str, not several texts: pass a list, \[text\]"):
        fitted.predict("一条")
    with pytest.raises(ValueError, match=r"texts is a \w+ of 2 dimensions: pass a column, frame\['text'\]"):
        fitted.predict(np.array([["一条"]]))
    with pytest.raises(ValueError, match=r"texts is a \w+ of 2 dimensions: pass a column, frame\['text'\]"):
        fitted.predict(pa.table({"text": ["一条"]}))
    assert fitted.predict(pa.array(["一条"])).shape == (1,)
    for unordered in ({"text": "一条"}, {"一条"}):
        with pytest.raises(ValueError, match="which has no order of texts: pass"):
            fitted.predict(unordered)
    with pytest.raises(ValueError, match="Found array with 0 sample"):
        fitted.predict([])
    with pytest.raises(TypeError, match=r"texts\[1\] is None, not a string: leave out missing values"):
        fitted.predict(["一条", None])
    for classes in (
        ["a", None],
        pd.Series(["a", None], dtype="string"),
        pd.Series([None, "a"], dtype="object"),
        pd.Series([None, 1], dtype="Int64"),
        np.array([[None], ["a"]], dtype=object),
        np.array(["a", np.nan], dtype=object),
        pl.Series(["a", None]),
        np.array(["a", 1], dtype=object),
        np.array([1.5, "a"], dtype=object),
        pd.Series([1, "a"], dtype="object"),
        ["a", 1],
        (1.5, "a"),
        [b"a", b"b"],
    ):
        with pytest.raises(
            ValueError, match="y has invalid classes: leave out missing values, decode bytes, and use one"
        ):
            FraudClassifier().fit(["一条", "两条"], classes)
    for lists in ([["a"], ["a", "b"]], [[], ("a",)], ["a", {"b"}], pd.Series([["a"], []]), pl.Series([["a"], ["b"]])):
        with pytest.raises(ValueError, match=r"y has lists of classes: .* sklearn\.preprocessing\.MultiLabelBinarizer"):
            FraudClassifier().fit(["一条", "两条"], lists)
    with pytest.raises(CorpusError, match="all messages are of one class, 'a'"):
        FraudClassifier().fit(["一条", "两条"], ["a", "a"])
    unnamed = pd.DataFrame([[1, 0], [0, 1], [1, 0], [0, 1]], columns=[None, "b"])
    assert FraudClassifier().fit(["一条", "两条", "好的", "晚安"], unnamed).classes_.tolist() == [0, 1]
    array = estimator_checks._NotAnArray(np.array(["a", "b", "a", "b"]))
    assert FraudClassifier().fit(["一条", "两条", "好的", "晚安"], array).classes_.tolist() == ["a", "b"]
    with pytest.warns(UserWarning, match="no class stands for legitimate texts"):
        FraudClassifier().fit(["一条", "两条", "好的", "晚安"], ["a", "b", "a", "b"]).to_scanner()
    with pytest.raises(ValueError, match="no message has the label 'c'; there are: a, b"):
        FraudClassifier(legitimate="c").fit(["一条", "两条"], ["a", "b"])
    with pytest.raises(CorpusError, match="all messages resemble each other, so none can be held out"):
        FraudClassifier().fit(["一条"] * 4, ["a", "b"] * 2)
    with pytest.raises(NotFittedError):
        FraudClassifier().to_scanner()
    with pytest.raises(TypeError, match=r"from_scanner takes a Scanner, not str: fraudscan\.load reads model folders"):
        FraudClassifier.from_scanner("model/")


@pytest.mark.parametrize("kind", [int, float, bool])
def test_numeric_classes_have_an_honest_one(kind):
    texts, labels = made_up(40)
    fitted = FraudClassifier(max_n=2, min_df=2, idf_power=0.5, C=1.0, balanced=True)
    for honest in (None, 0, False, 0.0, np.int64(0), str(kind(0))):
        fitted.set_params(legitimate=honest)
        scanner = fitted.fit(texts, [kind(label != "normal") for label in labels]).to_scanner()
        assert scanner.classify("晚上吃饭，明天开会吧").verdict == "clear"
        assert scanner.classify("低息贷款，秒批到账吧").verdict == "flag"


@pytest.mark.parametrize("wrap", [pd.Series, pd.Index, pd.array])
@pytest.mark.parametrize(
    ("dtype", "classes"),
    [("Int64", [0, 1]), ("uint8[pyarrow]", [0, 1]), ("boolean", [False, True]), ("bool[pyarrow]", [False, True])],
)
def test_nullable_classes_of_pandas_keep_their_type(wrap, dtype, classes):
    texts, labels = made_up(40)
    y = wrap([label != "normal" for label in labels], dtype=dtype)
    fitted = FraudClassifier(**GIVEN).fit(texts, y)
    assert list(map(repr, fitted.classes_.tolist())) == list(map(repr, classes))
    assert fitted.to_scanner().taxonomy.honest == str(classes[0])
    assert fitted.predict(texts).tolist() == y.tolist()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_n", 0),
        ("max_n", True),
        ("max_n", 2.0),
        ("max_n", "2"),
        ("min_df", 0),
        ("min_df", 0.01),  # a share of the texts in scikit-learn's vectorizers
        ("min_df", 1.0),
        ("idf_power", True),
        ("idf_power", -1),
        ("idf_power", 1000),
        ("C", 0),
        ("C", float("inf")),
        ("C", True),
        ("balanced", "balanced"),
        ("n_jobs", 0),
        ("n_jobs", 1.5),
        ("n_jobs", True),
        ("n_jobs", 10**400),
        ("C", 10**400),
    ],
)
def test_invalid_settings_are_refused(name, value):
    with pytest.raises(
        ValueError, match=f"{name} (is|must be) .* (of at least 1|from 0 to 10|above 0|or False|than 0), not {value!r}"
    ):
        FraudClassifier(**{name: value}).fit(*made_up(20))
