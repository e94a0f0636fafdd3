"""The public API: names, results, and the errors for invalid input."""

import copy
import enum
import gc
import inspect
import json
import pickle
import re
import shutil
import subprocess
import sys
import weakref
import zipfile

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import LURE, ROOT, traced

import fraudscan
from fraudscan import disguise, model
from fraudscan.lists import Entry, Lists
from fraudscan.model import GROUP
from fraudscan.result import DECIDED


def test_public_names_are_few():
    assert len(fraudscan.__all__) <= 10
    assert all(hasattr(fraudscan, name) for name in fraudscan.__all__)


def test_a_package_in_an_archive_says_what_it_misses(tmp_path):
    package = tmp_path / "package.zip"
    with zipfile.ZipFile(package, "w") as archive:
        for path in [*ROOT.glob("fraudscan/**/*.*"), *ROOT.glob("models/default/*")]:
            name = path.relative_to(ROOT)
            archive.write(path, "fraudscan" / name if name.parts[0] == "models" else name)  # as in the wheel
    code = f"import sys; sys.path.insert(0, {str(package)!r}); import fraudscan; fraudscan.classify('')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ModelError: the shipped model is missing from " in done.stderr
    assert "install fraudscan again, as files" in done.stderr


def test_type_checkers_refuse_to_set_attributes_of_scanners_and_results(tmp_path):
    names = ["taxonomy", "thresholds", "lists", "folder_name", "engine", "text", *DECIDED]
    program = tmp_path / "program.py"
    lines = ["import fraudscan", "s = fraudscan.load()", *(f"s.{name} = s.{name}" for name in names[:5])]
    lines += ["r = fraudscan.classify('')", *(f"r.{name} = r.{name}" for name in names[5:])]
    program.write_text("\n".join(lines), "utf-8")
    command = [sys.executable, "-m", "mypy", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert re.findall(r'Cannot assign to final attribute "(\w+)"', done.stdout) == names, done


def test_result_has_the_documented_fields(scanner):
    r = fraudscan.classify(LURE)
    assert (r.text, r.label, r.scheme, r.verdict) == (LURE, "investment", "investment", "flag")
    assert r.labels[0] == r.label
    assert 0.5 <= r.score <= 1
    assert isinstance(r.targets, tuple)
    assert list(r.scores) == list(scanner.names)
    assert r.scores["legitimate"] == pytest.approx(1 - r.score)
    assert repr(r).startswith("Result('跟着老师")


def test_a_scanner_is_immutable(scanner):
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
def test_thresholds_must_be_numbers(scanner, value):
    with pytest.raises(TypeError, match="must be a number"):
        fraudscan.Thresholds(flag=value, review=0.1)
    with pytest.raises(TypeError, match="must be a number"):
        scanner.with_false_alarms(value)
    if value is not None:  # None keeps the present threshold
        with pytest.raises(TypeError, match="flag must be a number"):
            scanner.with_thresholds(flag=value)
    assert scanner.with_thresholds(flag=np.float32(0.5), review=np.float64(0.25)).thresholds.flag == 0.5


@pytest.mark.parametrize("senders", [[], ["a"], ["a", "b", "c"]])
def test_number_of_senders_must_match_the_texts(scanner, senders):
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
def test_texts_before_an_error_are_scored(scanner, count):
    def fails(error, message, texts, senders=None):
        results = scanner.classify_many(texts, senders)
        assert [next(results).label for _ in range(count)] == ["investment"] * count
        with pytest.raises(error, match=message):
            next(results)

    texts = [LURE] * count
    fails(OSError, "the line is dead", broken(texts))
    for senders in (None, ["a"] * (count + 2)):
        fails(TypeError, rf"texts\[{count}\] is None", broken([*texts, None]), senders)
    texts = [LURE] * (count + 2)
    fails(ValueError, "fewer senders than texts", texts, ["a"] * count)
    fails(TypeError, rf"senders\[{count}\] is of type list", texts, [*["a"] * count, [], "a"])
    fails(OSError, "the line is dead", texts, broken(["a"] * count))


def test_a_kept_result_keeps_no_other_result_in_memory(scanner):
    def first_of_many():
        return next(scanner.classify_many([LURE] * GROUP))

    first_of_many()  # create the objects that are created only once
    with traced() as memory:
        kept = [first_of_many() for _ in range(4)]
        assert memory()[0] < 4 * GROUP  # the probabilities of one group take thirty times this limit
    assert kept[0].scores == scanner.classify(LURE).scores


def test_decisions_follow_from_the_probabilities(scanner, corpus):
    taxonomy = scanner.taxonomy
    for r in scanner.classify_many(row.text for row in corpus[::70]):
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


@pytest.mark.parametrize("text", [None, b"abc", 3, 1.5, ["a"], ("a", "b")])
def test_classify_refuses_non_strings(scanner, text):
    with pytest.raises(TypeError, match=r"classify takes one text as str, not \w+"):
        scanner.classify(text)
    with pytest.raises(TypeError, match="classify takes one text"):
        fraudscan.classify(text)
    with pytest.raises(TypeError, match="normalize takes one text"):
        fraudscan.normalize(text)


def calls(scanner):
    """Return the methods that score several texts at once."""
    return scanner.predict_proba, scanner.decide, scanner.logits


@pytest.mark.parametrize("item", [None, b"abc", 3, b"x" * 100_000, ["a"]], ids=["None", "bytes", "int", "long", "list"])
def test_error_names_the_item_that_is_not_a_string(scanner, item):
    for call in (*calls(scanner), lambda texts: list(scanner.classify_many(texts))):
        with pytest.raises(TypeError, match=r"texts\[2\] is .*decode bytes first"):
            call(["a", "b", item])
        with pytest.raises(TypeError, match=rf"texts\[{GROUP + 1}\] is "):
            call(["a"] * (GROUP + 1) + [item])


@pytest.mark.parametrize("texts", ["一句话", b"abc"])
def test_a_bare_string_is_refused(scanner, texts):
    for call in (*calls(scanner), scanner.classify_many):
        with pytest.raises(TypeError, match=r"pass a list, \[text\]"):
            call(texts)


def test_tables_sets_and_scalars_are_refused_at_once(scanner):
    frame = pd.DataFrame({"text": [LURE]})
    for call in (*calls(scanner), scanner.classify_many):
        for table in (frame, np.array([[LURE]]), pl.DataFrame(frame), pa.Table.from_pandas(frame)):
            with pytest.raises(TypeError, match=r"of 2 dimensions: pass a column, frame\['text'\]"):
                call(table)
        for unordered in ({"text": [LURE]}, {LURE}, frozenset([LURE])):
            with pytest.raises(TypeError, match="which has no order of texts: pass"):
                call(unordered)
        for scalar, kind in ((None, "NoneType"), (5, "int"), (object(), "object")):
            with pytest.raises(TypeError, match=rf"texts is one {kind}, not several texts: pass a list, \[text\]"):
                call(scalar)
    assert scanner.predict_proba(frame["text"]).shape == (1, len(scanner.names))


def test_a_result_can_be_written_as_json(scanner):
    result = scanner.with_lists(Lists([Entry("deny", "稳赚")])).classify(LURE)
    data = json.loads(json.dumps(result.to_dict()))
    explanation = result.explain()
    assert data.pop("evidence") == [span._asdict() for span in explanation]
    assert data.pop("bias") == explanation.bias
    assert data.pop("scores") == result.scores
    names = {"text", "label", "scheme", "labels", "score", "verdict", "targets", "notes", "rule", "window"}
    assert data == {name: json.loads(json.dumps(getattr(result, name))) for name in names}


def test_a_disguised_text_is_repaired_once_to_be_written(scanner, monkeypatch):
    lure = "跟·着·老·师·操·作稳.赚.不.赔，加薇芯xy2000进内部裙，每·天·领·取·返·利"
    result = scanner.classify("妈，我下班了，晚上想吃什么？孩子作业写完没有？" * 8 + lure)
    repair, calls = disguise._repaired, []
    monkeypatch.setattr(disguise, "_repaired", lambda *found: calls.append(found) or repair(*found))
    written = result.to_dict()
    assert len(calls) == 1
    assert written["window"] == result.window
    assert written["window"] is not None


def test_results_of_the_same_text_and_settings_are_equal(scanner):
    texts = [LURE, "到楼下了，下来拿快递", "到楼下了"]
    results = list(scanner.classify_many(texts))
    assert results == [scanner.classify(text) for text in texts] != results[::-1]
    assert len({*results, *scanner.classify_many(texts)}) == 3
    assert results[0] != LURE
    stricter = scanner.with_thresholds(flag=1)
    assert stricter.classify(texts[1]) != results[1]  # the decision is the same, but the thresholds are not
    assert stricter.with_thresholds(flag=scanner.thresholds.flag).classify(LURE) == results[0]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_result_can_be_pickled(scanner, protocol):
    result = scanner.with_lists(Lists([Entry("deny", "快递")])).classify("下来拿快递")
    restored = pickle.loads(pickle.dumps(result, protocol))  # noqa: S301 - our own
    assert restored == result
    assert hash(restored) == hash(result)
    assert restored.to_dict() == result.to_dict()


def test_a_result_of_the_shipped_model_is_pickled_without_the_model(scanner, monkeypatch):
    data = pickle.dumps(scanner.classify(LURE))
    copied = pickle.loads(pickle.dumps(scanner))  # noqa: S301 - our own; a worker gets this
    assert len(pickle.dumps(copied.classify(LURE))) == len(data) < 1000
    assert len(pickle.dumps(scanner.with_thresholds(flag=1).classify(LURE))) > 1000
    restored = pickle.loads(data)  # noqa: S301 - our own
    assert restored == scanner.classify(LURE)
    assert restored._scanner is scanner
    monkeypatch.setattr(model, "_shipped", lambda: scanner.with_thresholds(flag=1))
    with pytest.raises(fraudscan.ModelError, match="needs another shipped model than this process has"):
        pickle.loads(data)  # noqa: S301 - our own


def test_a_result_can_be_pickled_without_a_shipped_model(tmp_path, scanner, monkeypatch):
    scanner.save(tmp_path / "model")
    result = fraudscan.load(tmp_path / "model").classify(LURE)
    monkeypatch.setattr(model, "_shipped", inspect.unwrap(model._shipped))
    monkeypatch.setattr(model, "default_folder", lambda: tmp_path)
    assert pickle.loads(pickle.dumps(result)) == result  # noqa: S301 - our own


def test_results_that_are_unpickled_one_by_one_share_a_scanner(scanner):
    stricter, lists = scanner.with_thresholds(flag=1), Lists([Entry("deny", "快递")])
    variants = [stricter, stricter.with_lists(lists), scanner.with_lists(lists)]
    data = [pickle.dumps(variant.classify(LURE)) for variant in variants * 3]
    restored = [pickle.loads(result)._scanner for result in data]  # noqa: S301 - our own
    assert [variant.digest for variant in restored] == [variant.digest for variant in variants * 3]
    assert len(set(map(id, restored))) == len(variants)
    reference = weakref.ref(restored[0])
    del restored
    gc.collect()
    assert reference() is None  # no scanner is kept for later results


def test_the_digest_covers_the_tables_that_texts_are_read_with(scanner, tmp_path):
    folder = shutil.copytree(ROOT / "fraudscan", tmp_path / "fraudscan")
    code = f"import fraudscan; print(fraudscan.load({str(ROOT / 'models' / 'default')!r}).digest)"
    for table in (None, "normalization.npz", "disguise.npz"):
        if table:
            with (folder / "data" / table).open("ab") as file:
                file.write(b"x")
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert (done.stdout == f"{scanner.digest}\n") == (table is None)
        shutil.copytree(ROOT / "fraudscan" / "data", folder / "data", dirs_exist_ok=True)


def test_copies_share_the_scanner(scanner):
    assert copy.copy(scanner) is copy.deepcopy(scanner) is scanner
    result = scanner.classify(LURE)
    for copied in (copy.copy(result), copy.deepcopy(result)):
        assert copied == result
        assert copied._scanner is scanner


def test_repr_of_results_and_decisions_shows_the_verdict(scanner):
    own = scanner.with_lists(Lists([Entry("deny", "快递")]))
    result = own.classify("快递")
    shown = f"label='legitimate', scheme=None, score={result.score:.3f}, verdict='flag', rule='deny 快递'"
    assert repr(result) == f"Result('快递', {shown})"
    assert repr(scanner.classify(LURE)).endswith(", verdict='flag')")
    assert repr(own.decide(["快递", LURE, ""])) == "Decisions(1 clear, 0 review, 2 flag)"
    assert repr(own.decide([])) == "Decisions(0 clear, 0 review, 0 flag)"


def test_repr_of_a_scanner_shows_labels_and_thresholds(scanner):
    own = scanner.with_thresholds(flag=0.75, review=0.25)
    shown = "Scanner(investment, romance, shopping, games, elder_care, other_fraud, related_crime, legitimate; "
    assert repr(own) == f"{shown}flag=0.75, review=0.25)"
    lists = Lists([Entry("deny", "快递"), Entry("allow", "内部群"), Entry("deny", "返利")])
    assert repr(own.with_lists(lists)) == f"{shown}flag=0.75, review=0.25, Lists(1 that allow, 2 that deny))"


def test_a_single_sender_or_a_table_of_senders_is_refused(scanner):
    with pytest.raises(TypeError, match=r"senders is one str, not several senders: pass a list, \[sender\]"):
        scanner.decide([LURE] * 5, "95588")
    with pytest.raises(TypeError, match=r"senders is one str, not several senders: pass a list, \[sender\]"):
        scanner.classify_many([LURE] * 5, "95588")
    with pytest.raises(TypeError, match=r"senders is a DataFrame of 2 dimensions: pass a column, frame\['sender'\]"):
        scanner.decide([LURE], pd.DataFrame({"from": ["95588"]}))
    assert scanner.decide([LURE], pd.Series(["95588"])).score == scanner.decide([LURE]).score


def test_columns_of_other_libraries_are_accepted(scanner):
    wanted = scanner.predict_proba([LURE, "到楼下了"])
    array = pa.array([LURE, "到楼下了"])
    for column in (array, pa.chunked_array([array]), pl.Series(array), pd.Series(array, dtype="string")):
        assert np.array_equal(scanner.predict_proba(column), wanted)
        assert [result.label for result in scanner.classify_many(column)] == ["investment", "legitimate"]
        assert scanner.decide(column).score == (1 - wanted[:, scanner.names.index("legitimate")]).tolist()
    with pytest.raises(TypeError, match=r"texts\[0\] is None"):
        scanner.predict_proba(pa.array([None], pa.string()))


def test_the_index_of_a_pandas_column_is_ignored(scanner):
    texts = ["投·资·理·财，稳·赚·不·赔，加薇信", "到楼下了，下来拿快递"]  # the first is repaired
    column, senders = pd.Series(texts, index=[1, 0]), pd.Series(["106", "95588"], index=[7, 7])
    own = scanner.with_lists(Lists([Entry("deny", "加微信", sender="106"), Entry("allow", "快递", sender="95588")]))
    decisions = own.decide(column, senders)
    assert decisions.score == scanner.decide(texts).score == own.decide(iter(texts), iter(senders)).score
    assert decisions.rule == ["deny sender=106: 加微信", "allow sender=95588: 快递"]
    assert np.array_equal(scanner.logits(column), scanner.logits(texts))


def test_an_empty_list_is_accepted(scanner):
    assert scanner.predict_proba([]).shape == (0, len(scanner.names))
    assert list(scanner.classify_many([])) == []


class Lure(str, enum.Enum):
    """A string whose `str` is not its value."""

    ONE = LURE


@pytest.mark.parametrize("text", [np.str_(LURE), Lure.ONE])
def test_string_subclasses_are_read_as_strings(scanner, text):
    assert np.array_equal(scanner.predict_proba([text]), scanner.predict_proba([LURE]))
    texts = [text, LURE]
    for result in (scanner.classify(text), *scanner.classify_many(texts)):
        assert result == scanner.classify(LURE)
        assert type(result.text) is str
    assert texts[0] is text


def test_what_is_not_needed_is_not_imported():
    """Neither more of NumPy by a match of a list, nor a heavy library to classify, nor readers by the estimator."""
    code = f"""if True:
        import fraudscan, sys
        from fraudscan.lists import Entry, Lists
        scanner, before = fraudscan.load().with_lists(Lists([Entry("deny", "加微信")])), set(sys.modules)
        print(scanner.classify("➕微信").verdict, [m for m in sys.modules if m[:5] == "numpy" and m not in before])
        print(fraudscan.classify({LURE!r}).label)
        print([m for m in ("sklearn", "scipy", "pandas", "jieba", "joblib") if m in sys.modules])
        import fraudscan.sklearn
        print([m for m in sys.modules if m.startswith("fraudscan.dump")])"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["flag []", "investment", "[]", "[]"]


@pytest.mark.parametrize(
    ("name", "value", "needed"),
    [("maxsize", "2**31 - 1", "a 64-bit Python"), ("byteorder", "'big'", "a little-endian processor")],
)
def test_systems_on_which_scores_would_be_wrong_are_refused(name, value, needed):
    code = f"import sys; sys.{name} = {value}; import fraudscan"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert found.stderr.endswith(f"ImportError: fraudscan needs {needed}\n")
