"""The public contract: names, results, and what bad input gets."""

import copy
import enum
import gc
import json
import pickle
import subprocess
import sys
import tracemalloc
import weakref

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import fraudscan
from fraudscan import model
from fraudscan.lists import Entry, Lists
from fraudscan.model import GROUP

LURE = "跟着老师操作稳赚不赔，加微信进内部群，每天领取返利"


def test_public_names_are_few():
    assert len(fraudscan.__all__) <= 10
    assert all(hasattr(fraudscan, name) for name in fraudscan.__all__)


def test_result_has_what_the_contract_names(scanner):
    r = fraudscan.classify(LURE)
    assert (r.text, r.label, r.scheme, r.verdict) == (LURE, "investment", "investment", "flag")
    assert r.labels[0] == r.label
    assert 0.5 <= r.score <= 1
    assert isinstance(r.targets, tuple)
    assert list(r.scores) == list(scanner.names)
    assert r.scores["legitimate"] == pytest.approx(1 - r.score)
    assert repr(r).startswith("Result('跟着老师")


def test_a_scanner_stays_as_it_is(scanner):
    scores = list(scanner.manifest["curve"]["scores"])
    for name in ("thresholds", "lists", "engine", "names", "curve", "mine"):
        with pytest.raises(AttributeError, match=f"{name} cannot be set"):
            setattr(scanner, name, None)
    with pytest.raises(AttributeError, match="thresholds cannot be deleted"):
        del scanner.thresholds
    scanner.manifest["curve"]["scores"].clear()
    assert scanner.manifest["curve"]["scores"] == scores
    assert scanner.classify(LURE).verdict == "flag"


@pytest.mark.parametrize("value", ["0.5", None, True, [0.5]])
def test_thresholds_are_numbers(scanner, value):
    with pytest.raises(TypeError, match="must be a number"):
        fraudscan.Thresholds(flag=value, review=0.1)
    with pytest.raises(TypeError, match="must be a number"):
        scanner.with_false_alarms(value)
    if value is not None:  # as now
        with pytest.raises(TypeError, match="flag must be a number"):
            scanner.with_thresholds(flag=value)
    assert scanner.with_thresholds(flag=np.float32(0.5), review=np.float64(0.25)).thresholds.flag == 0.5


@pytest.mark.parametrize("senders", [[], ["a"], ["a", "b", "c"]])
def test_each_text_has_one_sender(scanner, senders):
    for lists in (None, Lists([Entry("deny", "号", sender="a")])):
        with pytest.raises(ValueError, match=f"{len(senders)} senders do not fit 2 texts"):
            scanner.with_lists(lists).decide(["x", "y"], senders)


def test_names_cover_the_taxonomy_once(scanner):
    taxonomy = fraudscan.TAXONOMY
    names = [x.name for group in (taxonomy.labels, taxonomy.schemes, taxonomy.targets) for x in group]
    assert set(scanner.names) == set(names)
    assert len(set(scanner.names)) == len(scanner.names)
    assert len(taxonomy.schemes) == 22


def test_classify_many_keeps_order_and_is_lazy(scanner, corpus):
    batch = [row.text for row in corpus[:300]]
    results = scanner.classify_many(iter(batch))
    assert iter(results) is results
    results = list(results)
    assert [r.text for r in results] == batch
    for result, row in zip(results, scanner.predict_proba(batch), strict=True):
        assert list(result.scores.values()) == row.tolist()
        assert result.score == scanner.classify(result.text).score


def broken(items):
    yield from items
    raise OSError("the line is dead")


@pytest.mark.parametrize("count", [0, 2, GROUP, GROUP + 2])
def test_what_was_read_is_scored_before_an_error(scanner, count):
    def scored(texts, senders=None):
        results = scanner.classify_many(texts, senders)
        for _ in range(count):
            assert next(results).label == "investment"
        return results

    texts = [LURE] * count
    with pytest.raises(OSError, match="the line is dead"):
        next(scored(broken(texts)))
    for senders in (None, ["a"] * (count + 2)):
        with pytest.raises(TypeError, match=rf"texts\[{count}\] is None"):
            next(scored(broken([*texts, None]), senders))
    texts = [LURE] * (count + 2)
    with pytest.raises(ValueError, match="fewer senders than texts"):
        next(scored(texts, ["a"] * count))
    with pytest.raises(TypeError, match=rf"senders\[{count}\] is of type list"):
        next(scored(texts, [*["a"] * count, [], "a"]))
    with pytest.raises(OSError, match="the line is dead"):
        next(scored(texts, broken(["a"] * count)))


def test_a_result_that_is_kept_keeps_no_other(scanner):
    def first_of_many():
        return next(scanner.classify_many([LURE] * GROUP))

    first_of_many()  # what is made once
    tracemalloc.start()
    kept = [first_of_many() for _ in range(4)]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 4 * GROUP  # the probabilities of one group take thirty times as much
    assert kept[0].scores == scanner.classify(LURE).scores


def test_decisions_follow_from_the_probabilities(scanner, corpus):
    taxonomy = scanner.taxonomy
    for r in scanner.classify_many(row.text for row in corpus[::7]):
        pretences = {label.name: r.scores[label.name] for label in taxonomy.labels if label.schemes}
        if r.score < 0.5:
            assert (r.label, r.scheme, r.labels) == ("legitimate", None, ("legitimate",))
        else:
            assert r.scores[r.label] == max(pretences.values())
            schemes = {s.name: r.scores[s.name] for s in taxonomy.label(r.label).schemes}
            assert schemes[r.scheme] == max(schemes.values())
            assert set(r.labels) == {r.label} | {name for name, p in pretences.items() if p >= 0.5}
        assert r.targets == tuple(t.name for t in taxonomy.targets if r.scores[t.name] >= 0.5)
        levels = scanner.thresholds
        assert r.verdict == ("flag" if r.score >= levels.flag else "review" if r.score >= levels.review else "clear")


def test_evidence_points_into_the_original_and_adds_up(scanner, corpus):
    for row in corpus[::29]:
        r = scanner.classify(row.text)
        spans = r.explain(r.label)
        for span in spans:
            assert row.text[span.start : span.end] == span.text
            assert span.label == r.label
        covered = [i for span in spans for i in range(span.start, span.end)]
        assert len(covered) == len(set(covered))
        logits = dict(zip(scanner.heads, scanner.logits([row.text])[0], strict=True))
        schemes = [logits[scheme.name] for scheme in scanner.taxonomy.label(r.label).schemes]
        expected = logits["fraud"] + max(schemes) if schemes else -logits["fraud"]
        assert spans.bias + sum(span.weight for span in spans) == pytest.approx(expected)


@pytest.mark.parametrize("text", [None, b"abc", 3, 1.5, ["a"], ("a", "b")])
def test_classify_refuses_what_is_no_text(scanner, text):
    with pytest.raises(TypeError, match=r"classify takes one text as str, not \w+"):
        scanner.classify(text)
    with pytest.raises(TypeError, match="classify takes one text"):
        fraudscan.classify(text)
    with pytest.raises(TypeError, match="normalize takes one text"):
        fraudscan.normalize(text)


@pytest.mark.parametrize("item", [None, b"abc", 3, b"x" * 100_000, ["a"]], ids=["None", "bytes", "int", "long", "list"])
def test_items_that_are_no_text_are_named(scanner, item):
    for call in (scanner.predict_proba, lambda texts: list(scanner.classify_many(texts))):
        with pytest.raises(TypeError, match=r"texts\[2\] is .*decode bytes first"):
            call(["a", "b", item])
        with pytest.raises(TypeError, match=r"texts\[5000\] is "):
            call(["a"] * 5000 + [item])


@pytest.mark.parametrize("texts", ["一句话", b"abc"])
def test_a_bare_string_is_not_a_list(scanner, texts):
    for call in (scanner.predict_proba, scanner.classify_many):
        with pytest.raises(TypeError, match=r"pass a list, \[text\]"):
            call(texts)


def test_what_has_no_texts_is_refused_at_once(scanner):
    frame = pd.DataFrame({"text": [LURE]})
    for call in (scanner.predict_proba, scanner.classify_many):
        for table in (frame, np.array([[LURE]]), pl.DataFrame(frame), pa.Table.from_pandas(frame)):
            with pytest.raises(TypeError, match=r"of 2 dimensions: pass a column, frame\['text'\]"):
                call(table)
        for several in ({"text": [LURE]}, {LURE}, frozenset([LURE])):
            with pytest.raises(TypeError, match="which has no order of texts: pass"):
                call(several)
        for nothing, kind in ((None, "NoneType"), (5, "int"), (object(), "object")):
            with pytest.raises(TypeError, match=rf"texts is one {kind}, not several texts: pass a list, \[text\]"):
                call(nothing)
    assert scanner.predict_proba(frame["text"]).shape == (1, len(scanner.names))


def test_columns_of_pandas_are_read_in_their_order(scanner):
    texts = ["晚上吃什么", "投·资·理·财，稳·赚·不·赔", LURE]
    column = pd.Series(texts, index=[2, 0, 1])  # a look-up by number would find others
    assert scanner.decide(column).score == scanner.decide(texts).score
    assert np.array_equal(scanner.logits(column), scanner.logits(texts))
    for method in (scanner.decide, scanner.logits):
        with pytest.raises(TypeError, match=r"pass a list, \[text\]"):
            method(LURE)
        with pytest.raises(TypeError, match=r"texts\[1\] is None"):
            method([LURE, None])


@pytest.mark.parametrize("call", ["decide", "logits"])
def test_lists_are_wanted_where_columns_come_back(scanner, call):
    with pytest.raises(TypeError, match=r"texts is one str, not several texts: pass a list, \[text\]"):
        getattr(scanner, call)(LURE)
    with pytest.raises(TypeError, match=r"texts is a DataFrame of 2 dimensions: pass a column, frame\['text'\]"):
        getattr(scanner, call)(pd.DataFrame({"text": [LURE]}))


def test_a_result_is_json(scanner):
    found = json.loads(json.dumps(scanner.classify(LURE).to_dict()))
    assert (found["text"], found["label"], found["window"]) == (LURE, "investment", None)
    weights = [span["weight"] for span in found["evidence"]]
    assert sum(weights) + found["bias"] == pytest.approx(scanner.classify(LURE).explain().logit)


def test_results_that_say_the_same_are_equal(scanner):
    texts = [LURE, "到楼下了，下来拿快递", "到楼下了"]
    found = list(scanner.classify_many(texts))
    assert found == [scanner.classify(text) for text in texts] != found[::-1]
    assert len({*found, *scanner.classify_many(texts)}) == 3
    assert found[0] != LURE
    stricter = scanner.with_thresholds(flag=1)
    assert stricter.classify(texts[1]) != found[1]  # the same is said, and others will be decided otherwise
    assert stricter.with_thresholds(flag=scanner.thresholds.flag).classify(LURE) == found[0]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_result_comes_back_from_a_pickle(scanner, protocol):
    found = scanner.with_lists(Lists([Entry("deny", "快递")])).classify("下来拿快递")
    back = pickle.loads(pickle.dumps(found, protocol))  # noqa: S301 - our own
    assert back == found
    assert hash(back) == hash(found)
    assert back.to_dict() == found.to_dict()


def test_a_result_of_the_shipped_model_is_pickled_without_it(scanner, monkeypatch):
    data = pickle.dumps(scanner.classify(LURE))
    again = pickle.loads(pickle.dumps(scanner))  # noqa: S301 - our own; what a worker gets
    assert len(pickle.dumps(again.classify(LURE))) == len(data) < 1000
    assert len(pickle.dumps(scanner.with_thresholds(flag=1).classify(LURE))) > 1000
    back = pickle.loads(data)  # noqa: S301 - our own
    assert back == scanner.classify(LURE)
    assert back._scanner is scanner
    monkeypatch.setitem(model._shipped, "default", scanner.with_thresholds(flag=1))
    with pytest.raises(fraudscan.ModelError, match="needs another shipped model than this process has"):
        pickle.loads(data)  # noqa: S301 - our own


def test_a_result_is_pickled_where_no_model_is_shipped(tmp_path, scanner, monkeypatch):
    scanner.save(tmp_path / "model")
    found = fraudscan.load(tmp_path / "model").classify(LURE)
    monkeypatch.setattr(model, "_shipped", {})
    monkeypatch.setattr(model, "default_folder", lambda: tmp_path)
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - our own


def test_results_that_are_pickled_one_by_one_share_a_scanner(scanner):
    stricter, lists = scanner.with_thresholds(flag=1), Lists([Entry("deny", "快递")])
    owns = [stricter, stricter.with_lists(lists), scanner.with_lists(lists)]
    data = [pickle.dumps(own.classify(LURE)) for own in owns * 3]
    found = [pickle.loads(result)._scanner for result in data]  # noqa: S301 - our own
    assert [own.digest for own in found] == [own.digest for own in owns * 3]
    assert len(set(map(id, found))) == len(owns)
    gone = weakref.ref(found[0])
    del found
    gc.collect()
    assert gone() is None  # none is kept for results to come


def test_what_stays_as_it_is_is_not_copied(scanner):
    assert copy.copy(scanner) is copy.deepcopy(scanner) is scanner
    found = scanner.classify(LURE)
    for again in (copy.copy(found), copy.deepcopy(found)):
        assert again == found
        assert again._scanner is scanner


def test_a_scanner_shows_its_labels_and_thresholds(scanner):
    own = scanner.with_thresholds(flag=0.75, review=0.25)
    shown = "Scanner(investment, romance, shopping, games, elder_care, other_fraud, related_crime, legitimate; "
    assert repr(own) == f"{shown}flag=0.75, review=0.25)"
    lists = Lists([Entry("deny", "快递"), Entry("allow", "内部群"), Entry("deny", "返利")])
    assert repr(own.with_lists(lists)) == f"{shown}flag=0.75, review=0.25, Lists(1 that allow, 2 that deny))"


def test_senders_are_several_as_well(scanner):
    with pytest.raises(TypeError, match=r"senders is one str, not several senders: pass a list, \[sender\]"):
        scanner.decide([LURE] * 5, "95588")
    with pytest.raises(TypeError, match=r"senders is one str, not several senders: pass a list, \[sender\]"):
        scanner.classify_many([LURE] * 5, "95588")
    with pytest.raises(TypeError, match=r"senders is a DataFrame of 2 dimensions: pass a column, frame\['sender'\]"):
        scanner.decide([LURE], pd.DataFrame({"from": ["95588"]}))
    assert scanner.decide([LURE], pd.Series(["95588"])).score == scanner.decide([LURE]).score


def test_columns_of_other_libraries(scanner):
    wanted = scanner.predict_proba([LURE, "到楼下了"])
    array = pa.array([LURE, "到楼下了"])
    for column in (array, pa.chunked_array([array]), pl.Series(array), pd.Series(array, dtype="string")):
        assert np.array_equal(scanner.predict_proba(column), wanted)
        assert [result.label for result in scanner.classify_many(column)] == ["investment", "legitimate"]
        assert scanner.decide(column).score == (1 - wanted[:, scanner.names.index("legitimate")]).tolist()
    with pytest.raises(TypeError, match=r"texts\[0\] is None"):
        scanner.predict_proba(pa.array([None], pa.string()))


def test_the_index_of_a_column_of_pandas_tells_nothing(scanner):
    texts = ["投·资·理·财，稳·赚·不·赔，加薇信", "到楼下了，下来拿快递"]  # of which one is repaired
    column, senders = pd.Series(texts, index=[1, 0]), pd.Series(["106", "95588"], index=[7, 7])
    own = scanner.with_lists(Lists([Entry("deny", "加微信", sender="106"), Entry("allow", "快递", sender="95588")]))
    found = own.decide(column, senders)
    assert found.score == scanner.decide(texts).score == own.decide(iter(texts), iter(senders)).score
    assert found.rule == ["deny sender=106: 加微信", "allow sender=95588: 快递"]
    assert np.array_equal(scanner.logits(column), scanner.logits(texts))


def test_empty_list(scanner):
    assert scanner.predict_proba([]).shape == (0, len(scanner.names))
    assert list(scanner.classify_many([])) == []


class Lure(str, enum.Enum):
    """A text that calls itself something else."""

    ONE = LURE


@pytest.mark.parametrize("text", [np.str_(LURE), Lure.ONE])
def test_string_subclasses_are_strings(scanner, text):
    assert np.array_equal(scanner.predict_proba([text]), scanner.predict_proba([LURE]))
    several = [text, LURE]
    for found in (scanner.classify(text), *scanner.classify_many(several)):
        assert found == scanner.classify(LURE)
        assert type(found.text) is str
    assert several[0] is text


def test_first_answer_loads_nothing_heavy():
    code = (
        f"import fraudscan, sys; fraudscan.classify({LURE!r}).label;"
        "print([m for m in ('sklearn', 'scipy', 'pandas', 'jieba', 'joblib') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
