"""Thresholds: changing them without scoring again, for a scanner and for a scored dump."""

import codecs
import csv
import gzip
import hashlib
import io
import itertools
import json
import os
import re
import sys
from collections import Counter
from fractions import Fraction

import dumps
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import LURE, PLAIN, ROOT, made_up
from hypothesis import given, settings
from hypothesis import strategies as st

import fraudscan
from fraudscan import Thresholds
from fraudscan.cli import main
from fraudscan.curve import Curve, CurveError
from fraudscan.dump import DumpError, Options, job, score_dump
from fraudscan.dump.rethreshold import rethreshold
from fraudscan.dump.tables import DELIMITERS
from fraudscan.evaluate import FALSE_ALARMS, RECALL, thresholds_for
from fraudscan.sklearn import FraudClassifier

scores = st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=200)


def test_a_model_has_no_figures_for_thresholds_it_was_not_measured_with(tmp_path):
    shipped = fraudscan.load()
    other = shipped.with_thresholds(flag=0.5, review=shipped.thresholds.review)
    other.save(tmp_path / "model")
    for scanner in (other, fraudscan.load(tmp_path / "model")):
        assert scanner.manifest["thresholds"]["flag"] == 0.5
        assert "flag" not in scanner.manifest["figures"]
        assert scanner.manifest["figures"]["review"] == shipped.manifest["figures"]["review"]
    assert "flag" in shipped.manifest["figures"]
    for figures in (None, [], "none"):  # as another program may write them
        manifest = shipped._with(_manifest={**shipped.manifest, "figures": figures}).with_thresholds(flag=0.5).manifest
        assert manifest["figures"] == figures


def test_an_unsaved_model_has_no_figures_for_thresholds_it_was_not_measured_with():
    fitted = FraudClassifier(max_n=2, min_df=2, idf_power=0.5, C=3.0, balanced=True).fit(*made_up(60)).to_scanner()
    assert {"flag", "review"} <= fitted.manifest["figures"].keys()
    assert not {"flag", "review"} & fitted.with_thresholds(flag=0.99, review=0.98).manifest["figures"].keys()


def test_thresholds_may_be_numpy_numbers():
    plain, from_numpy = Thresholds(flag=0.5, review=0.25), Thresholds(flag=np.float32(0.5), review=np.float64(0.25))
    assert from_numpy.verdict(0.3) == plain.verdict(0.3) == "review"
    assert repr(from_numpy) == repr(plain)


HUGE = [10**400, -(10**400), 10**5000, Fraction(10**400), np.finfo(np.longdouble).max, float("inf"), float("nan")]
"""Numbers that are no thresholds, most of them beyond the range of floats."""


@pytest.mark.parametrize("value", HUGE, ids=range(len(HUGE)))
def test_numbers_that_are_no_thresholds_are_refused(scanner, value):
    for change in ({"flag": value}, {"review": value}):
        with pytest.raises(ValueError, match="thresholds need 0 <= review <= flag <= 1, not"):
            scanner.with_thresholds(**change)
        with pytest.raises(ValueError, match="thresholds need 0 <= review <= flag <= 1, not"):
            Thresholds(**{"flag": 0.5, "review": 0.1, **change})
    with pytest.raises(CurveError, match="must be above 0 and at most 1, not"):
        scanner.with_false_alarms(value)


def test_scores_may_be_numpy_numbers(scanner):
    found = scanner.decide([LURE, PLAIN])
    assert [scanner.thresholds.verdict(score) for score in found.scores] == found.verdict == ["flag", "clear"]


@pytest.mark.parametrize("score", [float("nan"), -0.1, 1.1, np.float32("nan"), 10**400])
def test_what_is_no_score_has_no_verdict(score):
    with pytest.raises(ValueError, match="a score must lie between 0 and 1"):
        Thresholds(flag=0.5, review=0.25).verdict(score)


@given(scores, scores, st.floats(0.001, 1))
@settings(max_examples=300)
def test_the_threshold_of_a_curve_keeps_to_the_share_of_false_alarms(honest, lures, share):
    values = np.array([*honest, *lures])
    fraud = np.arange(values.size) >= len(honest)
    curve = Curve.from_scores(values, fraud)
    assert list(curve.scores) == sorted(set(curve.scores))
    for score, alarms, recall in zip(curve.scores, curve.false_alarms, curve.recall, strict=True):
        assert alarms == pytest.approx(np.mean(np.array(honest) >= score), abs=1e-6)
        assert recall == pytest.approx(np.mean(np.array(lures) >= score), abs=1e-6)
    try:
        threshold = curve.threshold(share)
    except CurveError:
        assert share * len(honest) < 5 or np.mean(np.array(honest) >= 1) > share
    else:
        assert np.mean(np.array(honest) >= threshold) <= share + 1e-6
    assert Curve.from_dict(json.loads(json.dumps(curve.to_dict()))) == curve
    assert curve.scores[0] == 0
    if len(honest) >= 5:
        assert curve.threshold(1) == 0


@given(scores, scores)
@settings(max_examples=300)
def test_the_thresholds_of_a_model_keep_to_false_alarms_and_recall(honest, lures):
    values = np.array([*honest, *lures])
    found = thresholds_for(values, np.arange(values.size) >= len(honest))
    flag, review = found.flag, found.review
    assert flag >= 0.5
    assert flag == 1 or np.mean(np.array(honest) >= flag) <= FALSE_ALARMS
    assert np.mean(np.array(lures) >= review) >= RECALL


def test_thresholds_of_a_model_are_tight():
    values, fraud = np.tile(np.arange(1000) / 1000, 2), np.arange(2000) >= 1000
    # 5 of 1,000 honest messages are above the first, and 20 of 1,000 lures below the second
    assert thresholds_for(values, fraud) == Thresholds(flag=0.9941, review=0.02)


def test_a_curve_is_tight():
    rng = np.random.default_rng(0)
    honest, lures = rng.random(20_000) ** 3, 1 - rng.random(5_000) ** 3
    curve = Curve.from_scores(np.concatenate([honest, lures]), np.arange(25_000) >= 20_000)
    assert len(curve.scores) <= 100
    for share in (0.2, 0.05, 0.005, 0.001):
        assert share - 1e-4 <= np.mean(honest >= curve.threshold(share)) <= share


@pytest.mark.parametrize("share", [0, -1, 1.5, float("nan")])
def test_an_invalid_share_is_refused(share):
    with pytest.raises(CurveError, match="the share of false alarms among legitimate messages must be"):
        Curve((0.0, 1.0), (1.0, 0.0), (1.0, 0.0), 1000).threshold(share)


def test_a_share_too_small_for_the_curve_is_refused():
    with pytest.raises(CurveError, match=r"measured on 1,000 legitimate messages.*ask for 0\.005 or more"):
        Curve((0.0, 1.0), (1.0, 0.0), (1.0, 0.0), 1000).threshold(0.001)
    for honest in (51_425, 1000, 999, 6, 1234):  # the share that the error advises is accepted
        curve = Curve((0.0, 1.0), (1.0, 0.0), (1.0, 0.0), honest)
        with pytest.raises(CurveError) as caught:
            curve.threshold(1e-9)
        assert curve.threshold(float(re.search(r"ask for (\S+) or more", str(caught.value))[1])) == 1.0
    with pytest.raises(CurveError, match=r"2\.00% of the legitimate messages have a score of 1"):
        Curve((0.0, 1.0), (1.0, 0.02), (1.0, 0.5), 1000).threshold(0.01)


def test_with_thresholds(scanner):
    other = scanner.with_thresholds(flag=0.99, review=0.98)
    assert (other.thresholds.flag, other.thresholds.review) == (0.99, 0.98)
    assert other.engine.weights is scanner.engine.weights
    assert other.engine.vocabulary is scanner.engine.vocabulary
    assert scanner.thresholds == fraudscan.load().thresholds
    low = scanner.with_thresholds(flag=scanner.thresholds.review / 2)
    assert low.thresholds.review == low.thresholds.flag  # review is never above flag
    score = scanner.classify(LURE).score
    assert scanner.with_thresholds(flag=score).classify(LURE).verdict == "flag"
    assert scanner.with_thresholds(flag=1, review=score).classify(LURE).verdict == "review"
    assert scanner.with_thresholds(flag=1, review=1).classify(LURE).verdict == "clear"
    with pytest.raises(ValueError, match="thresholds need 0 <= review <= flag <= 1"):
        scanner.with_thresholds(flag=0.5, review=0.6)


def test_numpy_thresholds_are_saved(scanner, tmp_path):
    for number in (np.float32(0.5), np.float64(0.5), 1, 0):
        other = scanner.with_thresholds(flag=number)
        other.save(tmp_path / "model")
        assert fraudscan.load(tmp_path / "model").thresholds == other.thresholds
        assert fraudscan.load(tmp_path / "model").digest == other.digest


def test_with_false_alarms(scanner):
    tight, loose = scanner.with_false_alarms(0.001), scanner.with_false_alarms(0.02)
    assert tight.thresholds.flag > scanner.thresholds.flag > loose.thresholds.flag >= 0.5
    assert tight.thresholds.review == scanner.thresholds.review
    assert scanner.with_false_alarms(1).thresholds.flag == 0.5
    with pytest.raises(CurveError, match="too few for a share of 1e-05"):
        scanner.with_false_alarms(0.00001)


def test_evaluate_tries_an_operating_point_on_messages_of_ones_own(scanner, corpus, tmp_path, capsys):
    path = tmp_path / "mine.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = ((row.text, "spam" if row.labels else "ham") for row in corpus[::400])
        csv.writer(file).writerows([("text", "label"), *rows])

    def flagged(*options):
        assert main(["evaluate", str(path), "--json", *options]) == 0
        out, shown = capsys.readouterr()
        thresholds.append(shown.splitlines()[-1])
        return json.loads(out)["flag"]

    thresholds = []
    loose = scanner.with_false_alarms(0.05).thresholds.flag
    assert flagged("--max-false-alarms", "0.05") == flagged("--flag", str(loose)) != flagged()
    flags = [loose, loose, scanner.thresholds.flag]
    assert thresholds == [f"flag from {flag:g}, review from {scanner.thresholds.review:g}" for flag in flags]


@pytest.mark.parametrize(
    ("honest", "advice"), [(4, "set"), (5, "ask for 1 or more, or set"), (8, "ask for 0.63 or more")]
)
def test_only_a_share_that_exists_is_suggested(honest, advice):
    curve = Curve.from_scores(np.linspace(0, 1, honest + 1), np.arange(honest + 1) == honest)
    with pytest.raises(CurveError, match=f"too few for a share of 0.5: {advice}"):
        curve.threshold(0.5)


def test_the_curve_of_a_model_agrees_with_its_figures(scanner):
    curve, figures = scanner.curve, scanner.manifest["figures"]
    for name in ("flag", "review"):
        threshold = getattr(scanner.thresholds, name)
        above = next(i for i, score in enumerate(curve.scores) if score >= threshold)
        for figure in ("false_alarms", "recall"):
            column = getattr(curve, figure)
            assert column[above] - 1e-4 <= figures[name][figure] <= column[above - 1] + 1e-4


def test_a_model_without_a_curve_gives_no_threshold(small_model):
    scanner = fraudscan.load(small_model)
    bare = scanner._with(_manifest={k: v for k, v in scanner.manifest.items() if k != "curve"})
    bare.__dict__.pop("curve", None)
    with pytest.raises(CurveError, match="has no curve of false alarms: train it again"):
        bare.with_false_alarms(0.01)


CURVE = {"scores": [0.0, 0.5, 1.0], "false_alarms": [1.0, 0.1, 0.0], "recall": [1.0, 0.9, 0.2], "honest": 1000}


@pytest.mark.parametrize(
    "change",
    [
        {"scores": 3},
        {"scores": [], "false_alarms": [], "recall": []},
        {"scores": [0.0, 0.5]},
        {"recall": [1.0, 0.9, 0.2, 0.1]},
        {"scores": [0.0, float("nan"), 1.0]},
        {"scores": [0.0, 0.5, 2.0]},
        {"scores": [0.5, 0.0, 1.0]},
        {"scores": [0.0, 0.5, 0.5]},
        {"scores": "012"},
        {"scores": [0.0, 0.5, True]},
        {"scores": [0.0, 0.5, 10**400]},
        {"false_alarms": [1.0, float("nan"), 0.0]},
        {"false_alarms": [0.0, 0.1, 1.0]},
        {"recall": [1.0, "0.9", 0.2]},
        {"honest": "1000"},
        {"honest": float("inf")},
        {"honest": -1},
        {"honest": 10**400},
        {"honest": True},
    ],
)
def test_a_damaged_curve_gives_no_threshold(scanner, change):
    assert scanner._with(_manifest={"curve": CURVE}, curve=Curve.from_dict(CURVE)).with_false_alarms(0.2)
    with pytest.raises((TypeError, ValueError)):
        Curve.from_dict({**CURVE, **change})
    damaged = scanner._with(_manifest={**scanner.manifest, "curve": {**CURVE, **change}})
    damaged.__dict__.pop("curve", None)
    for use in (lambda: damaged.curve, lambda: damaged.with_false_alarms(0.2)):
        with pytest.raises(CurveError, match=r"curve is damaged: .*; train it again, or set the threshold directly"):
            use()


@pytest.fixture(params=["jsonl", "csv", "parquet"])
def scored(request, tmp_path, corpus):
    dump = tmp_path / "dump.jsonl"
    rows = [{"id": i, "text": row.text, "n": 1.50} for i, row in enumerate(corpus[::400])]
    dump.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    if request.param == "csv":
        dump = tmp_path / "dump.csv"
        with dump.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["id", "text", "n"], *([r["id"], r["text"], "1.50"] for r in rows)])
    out = tmp_path / f"scored.{request.param}"
    assert main(["score", str(dump), "-o", str(out)]) == 0
    return dump, out


def test_rethreshold_gives_the_same_as_scoring_again(scored, tmp_path, capsys):
    dump, out = scored
    again, expected = tmp_path / f"again{out.suffix}", tmp_path / f"expected{out.suffix}"
    options = ["--flag", "0.7", "--review", "0.3"]
    assert main(["rethreshold", str(out), "-o", str(again), *options]) == 0
    assert "flag from 0.7, review from 0.3" in capsys.readouterr().err
    assert main(["score", str(dump), "-o", str(expected), *options]) == 0
    assert content(again) == content(expected)
    assert content(again) != content(out)
    assert main(["rethreshold", str(again), "-o", str(out), "--force", "--max-false-alarms", "0.02"]) == 0
    options = ["--max-false-alarms", "0.02", "--review", "0.3"]  # the dump was scored with this --review
    assert main(["score", str(dump), "-o", str(expected), "--force", *options]) == 0
    assert content(out) == content(expected)


def content(path):
    """Return the bytes of a file, or the table of a Parquet file, since its metadata may be written differently."""
    if path.suffix != ".parquet":
        return path.read_bytes()
    return pq.read_table(path)


def test_rethreshold_starts_from_the_thresholds_that_a_dump_was_scored_with(scored, tmp_path, capsys):
    dump, _ = scored
    out, again = tmp_path / "loose.jsonl", tmp_path / "again.jsonl"
    assert main(["score", str(dump), "-o", str(out), "--flag", "0.6", "--review", "0.2"]) == 0
    assert main(["rethreshold", str(out), "-o", str(again), "--review", "0.1"]) == 0
    assert "flag from 0.6, review from 0.1" in capsys.readouterr().err
    assert main(["rethreshold", str(out), "-o", str(again), "--force", "--max-false-alarms", "0.02"]) == 0
    assert "another model" not in capsys.readouterr().err
    summary = tmp_path / "loose.jsonl.summary.json"
    summary.write_text(json.dumps({**json.loads(summary.read_text("utf-8")), "model": "0" * 64}), "utf-8")
    assert main(["rethreshold", str(out), "-o", str(again), "--force", "--max-false-alarms", "0.02"]) == 0
    assert "was scored with lists or with another model: check that -m names the model whose" in capsys.readouterr().err
    summary.write_text('{"review": 0, "flag": 1' + "0" * 400 + "}", "utf-8")
    assert main(["rethreshold", str(out), "-o", str(again), "--force", "--review", "0.1"]) == 0
    assert f"flag from {fraudscan.load().thresholds.flag:g}, review from 0.1" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--flag", "0.8"], ["--deny"]])
def test_rethreshold_remembers_through_a_chain_what_a_dump_was_scored_with(scored, tmp_path, capsys, options):
    dump, _ = scored
    names = [str(tmp_path / f"{number}.jsonl") for number in range(4)]
    if options == ["--deny"]:
        (tmp_path / "deny.txt").write_text("老地方见\n", "utf-8")
        options = ["--deny", str(tmp_path / "deny.txt")]
    assert main(["score", str(dump), "-o", names[0], *options]) == 0
    assert main(["rethreshold", names[0], "-o", names[1], "--flag", "0.99", "--review", "0.1"]) == 0
    assert main(["rethreshold", names[1], "-o", names[2], "--flag", "0.9"]) == 0
    capsys.readouterr()
    assert main(["rethreshold", names[2], "-o", names[3], "--max-false-alarms", "0.02"]) == 0
    shown = capsys.readouterr().err
    assert ("was scored with lists or with another model" in shown) == (options[:1] == ["--deny"])
    assert "review from 0.1" in shown  # the thresholds are those of the last file
    (tmp_path / "1.jsonl.summary.json").unlink()
    for options, warned in (
        (["--flag", "0.9"], True),
        (["--max-false-alarms", "0.02"], True),
        (["--flag", "0.9", "--review", "0.1"], False),
        ([], False),
    ):
        assert main(["rethreshold", names[1], "-o", names[2], *options, "--force"]) == 0
        assert ("has no summary" in capsys.readouterr().err) == warned
    assert "model" not in json.loads((tmp_path / "2.jsonl.summary.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--flag", "2"], "--flag must be a score from 0 to 1, not 2"),
        (["--review", "nan"], "--review must be a score from 0 to 1, not nan"),
        (["--flag", "0.5", "--review", "0.6"], "--review 0.6 is above the flag threshold, 0.5: raise --flag"),
        (["--review", "1"], "--review 1 is above the flag threshold, 0."),
    ],
)
def test_invalid_thresholds_are_refused(tmp_path, options, why, capsys):
    (tmp_path / "in.jsonl").write_text('{"text": "在吗"}\n', "utf-8")
    for command in (["classify", "在吗"], ["score", str(tmp_path / "in.jsonl"), "-o", str(tmp_path / "out.jsonl")]):
        assert main([*command, *options]) == 2
        assert f"fraudscan: {why}" in capsys.readouterr().err


def test_rethreshold_writes_a_summary_by_which_its_output_is_recognized(scored, tmp_path, capsys):
    _, out = scored
    folder = tmp_path / "folder"
    folder.mkdir()
    again = folder / f"again{out.suffix}"
    os.utime(out, (1, 1))
    assert main(["rethreshold", str(out), "-o", str(again), "--flag", "0.7", "--review", "0.3"]) == 0
    rows = dumps.rows_of(again)
    summary = json.loads((folder / f"{again.name}.summary.json").read_text("utf-8"))
    before = json.loads((out.parent / f"{out.name}.summary.json").read_text("utf-8"))
    assert before["began"] <= before["ended"] <= summary.pop("began") <= summary.pop("ended")
    assert summary == {
        "rows": len(rows),
        "verdicts": Counter(row["fraud_verdict"] for row in rows),
        "flag": 0.7,
        "review": 0.3,
        "sources": [
            {
                "name": str(out),
                "bytes": out.stat().st_size,
                "modified": "1970-01-01T00:00:01.000000000Z",
                "sha256_of_first_64_kib": hashlib.sha256(out.read_bytes()[: 1 << 16]).hexdigest(),
            }
        ],
        **{name: before[name] for name in ("options", "model_name", "model", "lists")},
        "scored_with": {"flag": before["flag"], "review": before["review"]},
        "fraudscan": fraudscan.__version__,
    }
    (folder / "new.txt").write_text("在吗\n", "utf-8")
    assert main(["score", str(folder), "-o", str(tmp_path / "all.jsonl")]) == 0
    assert f"{again} and 1 more are skipped: earlier runs wrote them" in capsys.readouterr().err
    assert [row["text"] for row in dumps.rows_of(tmp_path / "all.jsonl")] == ["在吗"]


def test_rethreshold_keeps_verdicts_of_lists_and_all_other_bytes(tmp_path):
    source = tmp_path / "scored.jsonl"
    source.write_text(
        '{"n": 1e5, "fraud_score": 0.9, "fraud_verdict": "clear"}\n'
        "\n"
        '{"fraud_verdict":"clear","fraud_score":0.9, "fraud_rule": "allow x"}\n'
        '{"quote": {"fraud_verdict": "review"}, "fraud_score": 0.2, "fraud_verdict": "flag"}\n',
        "utf-8",
    )
    counts = rethreshold(str(source), str(tmp_path / "out"), Thresholds(flag=0.8, review=0.5))
    assert counts == {"flag": 1, "clear": 2}
    assert (tmp_path / "out").read_text("utf-8") == (
        '{"n": 1e5, "fraud_score": 0.9, "fraud_verdict": "flag"}\n'
        '{"fraud_verdict":"clear","fraud_score":0.9, "fraud_rule": "allow x"}\n'
        '{"quote": {"fraud_verdict": "review"}, "fraud_score": 0.2, "fraud_verdict": "clear"}\n'
    )
    source.write_text("fraud_rule;fraud_verdict;fraud_score\nallow x;clear;1\n;clear;1\n", "utf-8")
    rethreshold(str(source), str(tmp_path / "out"), Thresholds(flag=0.8, review=0.5), force=True)
    assert (tmp_path / "out").read_text("utf-8") == "fraud_rule;fraud_verdict;fraud_score\nallow x;clear;1\n;flag;1\n"


def test_rethreshold_keeps_the_values_of_rows_whose_verdict_is_not_ours(tmp_path):
    row = r'{"text": "\ud83e", "sum": 1.10, "big": 1e999, "fraud_score": 0.7, "fraud_verdict": "open"}'
    (tmp_path / "scored.jsonl").write_text(row + "\n", "utf-8")
    rethreshold(str(tmp_path / "scored.jsonl"), str(tmp_path / "out.jsonl"), Thresholds(0.6, 0.1))
    assert (tmp_path / "out.jsonl").read_text("utf-8") == row.replace("open", "flag") + "\n"


@given(st.integers(0, 99), st.integers(-25, 25), st.sampled_from([6, 17]))
@settings(max_examples=60)
def test_scoring_and_rethreshold_agree_on_scores_next_to_a_threshold(tmp_path, scanner, place, steps, decimals):
    texts = dumps.TEXTS[:100]
    flag = min(max(0, round(scanner.classify(texts[place]).score + steps * 1e-7, decimals)), 1)
    dump, out, again, expected = (tmp_path / f"{name}.jsonl" for name in ("in", "out", "again", "expected"))
    dump.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    options = ["--force", "--flag", str(flag), "--review", "0"]
    assert main(["score", "--quiet", "--force", str(dump), "-o", str(out)]) == 0
    assert main(["score", "--quiet", str(dump), "-o", str(expected), *options]) == 0
    assert main(["rethreshold", str(out), "-o", str(again), *options]) == 0
    assert again.read_bytes() == expected.read_bytes()
    if decimals == 6:
        own = scanner.with_thresholds(flag=flag, review=0)
        assert [row["fraud_verdict"] for row in dumps.rows_of(again)] == own.decide(texts).verdict


@pytest.mark.parametrize(
    ("delimiter", "header"),
    [
        *itertools.product(DELIMITERS, [("id", "text"), ("text", 'x\r\ny"z'), ("text", "编号\n(内)")]),
        ("§", ("id", "text")),  # not one of `DELIMITERS`: score does not detect it by itself
        ("_", ("id", "text")),
        (",", ("a;b;c;d;e;f;g;h;i;j", "text")),
    ],
)
def test_rethreshold_reads_every_csv_that_score_writes(tmp_path, delimiter, header):
    dump, out, again, expected = (tmp_path / f"{name}.csv" for name in ("in", "out", "again", "expected"))
    with dump.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, (LURE, LURE), ("到楼下了", "晚上\n吃什么")])
    options = ["--bom", "--delimiter", delimiter]
    assert main(["score", str(dump), "-o", str(out), *options]) == 0
    assert main(["score", str(dump), "-o", str(expected), *options, "--flag", "0.9999", "--review", "0"]) == 0
    assert main(["rethreshold", str(out), "-o", str(again), "--flag", "0.9999", "--review", "0"]) == 0
    assert again.read_bytes() == expected.read_bytes() != out.read_bytes()


def test_rethreshold_distinguishes_line_breaks_in_cells_from_line_ends(tmp_path):
    dump, out, again = (tmp_path / f"{name}.csv" for name in ("in", "out", "again"))
    dump.write_bytes(f'text\r\n"{LURE}\r到楼下了"\r\n'.encode())
    assert main(["score", str(dump), "-o", str(out)]) == 0
    out.write_bytes(out.read_bytes().replace(b"\r\n", b"\n"))  # as dos2unix does
    assert main(["rethreshold", str(out), "-o", str(again)]) == 0
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('{"text": "x"}\n', r"scored:1: 'fraud_score' is missing: is this a file that fraudscan score wrote\?"),
        ('{"fraud_score": 0.5}\n{"fraud_score": 2}\n', "scored:2: 'fraud_score' is no probability"),
        (f'{{"fraud_score": {10**400}}}\n', "scored:1: 'fraud_score' is no probability: "),
        ('{"fraud_score": 0.5}\n{\n', "scored:2: not JSON"),
        ('{"fraud_score": 0.5}\n[]\n', "scored:2: not a JSON object"),
        ("a,b\n1,2\n", r"scored has no columns 'fraud_score' and 'fraud_verdict': is it a file that fraudscan score"),
        ("a,fraud_score\n1,0.5\n", "scored has no column 'fraud_verdict': is it"),
        ("a,fraud_verdict\n1,flag\n", "scored has no column 'fraud_score': is it"),
        ("fraud_score,fraud_verdict,fraud_score\n0,flag,1\n", "scored has several columns called 'fraud_score': is it"),
        ("fraud_score,fraud_verdict\n0.5,flag\nx,flag\n", "scored:3: 'fraud_score' is no probability: "),
        ("fraud_score,fraud_verdict\n0.5\n", "scored:2: 1 fields where the header has 2"),
        ("PAR1", "scored is not a Parquet file that can be read"),
        ("BZh91AY&SY", "scored is an archive that is still packed: unpack it first"),
    ],
)
def test_rethreshold_refuses_files_that_were_not_scored_and_writes_nothing(tmp_path, content, fault, capsys):
    (tmp_path / "scored").write_text(content, "utf-8")
    assert main(["rethreshold", str(tmp_path / "scored"), "-o", str(tmp_path / "out"), "--flag", "0.9"]) == 2
    assert re.search(fault, capsys.readouterr().err)
    assert [path.name for path in tmp_path.iterdir()] == ["scored"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("scored", ["jsonl", "csv"], indirect=True)
def test_rethreshold_refuses_a_scored_dump_that_was_converted_to_utf16(scored, tmp_path, encoding, capsys):
    source = tmp_path / "converted"
    source.write_bytes(scored[1].read_text("utf-8").encode(encoding))
    assert main(["rethreshold", str(source), "-o", str(tmp_path / "out")]) == 2
    assert f"{source} is in UTF-16: convert it to UTF-8, as score wrote it (iconv" in capsys.readouterr().err


def test_rethreshold_recognizes_utf16_although_a_long_text_comes_first(tmp_path):
    source, row = tmp_path / "converted", {"text": "好" * 200_000, "fraud_score": 0.9, "fraud_verdict": "flag"}
    source.write_text(json.dumps(row, ensure_ascii=False), "utf-16")
    with pytest.raises(DumpError, match="is in UTF-16: convert it to UTF-8"):
        rethreshold(str(source), str(tmp_path / "out.jsonl"), Thresholds(0.6, 0.1))


@pytest.mark.parametrize("scored", ["jsonl", "csv"], indirect=True)
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_rethreshold_reads_a_pipe_that_yields_one_byte_first(scored, tmp_path, monkeypatch, mark):
    source = tmp_path / f"marked{scored[1].suffix}"
    source.write_bytes(mark + scored[1].read_bytes())
    for name, stdin in ((str(source), b""), ("-", source.read_bytes())):
        monkeypatch.setattr("sys.stdin", dumps.slow_pipe(stdin))
        out = tmp_path / f"from {len(stdin)}{source.suffix}"
        assert main(["rethreshold", name, "-o", str(out), "--flag", "0.9", "--review", "0.2"]) == 0
        assert not sys.stdin.buffer.closed
    assert out.read_bytes() == (tmp_path / f"from 0{source.suffix}").read_bytes()


@pytest.mark.parametrize(("change", "what"), [(gzip.compress, "is an archive"), (bytes, "is in UTF-16")])
def test_rethreshold_says_what_a_pipe_yields_that_yields_one_byte_first(tmp_path, monkeypatch, capsys, change, what):
    text = '{"fraud_score": 0.9, "fraud_verdict": "clear"}\n'
    monkeypatch.setattr("sys.stdin", dumps.slow_pipe(change(text.encode("utf-16"))))
    assert main(["rethreshold", "-", "-o", str(tmp_path / "out.csv"), "--flag", "0.9"]) == 2
    assert f"- {what}" in capsys.readouterr().err


def test_rethreshold_refuses_a_workbook_without_naming_options_that_it_lacks(tmp_path, capsys):
    source = ROOT / "examples" / "exports" / "messages.xlsx"
    assert main(["rethreshold", str(source), "-o", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == (
        f"fraudscan: {source} is an Excel workbook (.xlsx); rethreshold needs the file that score wrote\n"
    )


def test_rethreshold_overwrites_nothing_without_force(tmp_path, capsys):
    source, out = tmp_path / "scored.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"fraud_score": 0.9, "fraud_verdict": "clear"}\n', "utf-8")
    command = ["rethreshold", str(source), "-o", str(out), "--flag", "0.8"]
    assert main([*command[:3], str(source), "--force"]) == 2
    assert "is also the input" in capsys.readouterr().err
    for existing in (out, tmp_path / "out.jsonl.part"):  # the second belongs to an unfinished job
        existing.write_text("mine", "utf-8")
        assert main(command) == 2
        assert f"{existing} exists: name another output, or replace it with --force" in capsys.readouterr().err
        assert existing.read_text("utf-8") == "mine"
        existing.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fraudscan.dump.rethreshold._verdict", lambda *_: out.write_text("mine", "utf-8") and "flag")
        assert main(command) == 2
    assert f"{out} has appeared in the meantime: name another output" in capsys.readouterr().err
    assert out.read_text("utf-8") == "mine"
    out.unlink()
    assert main(command) == 0
    assert main(["rethreshold", str(tmp_path / "none"), "-o", str(out), "--force"]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err
    assert main(["rethreshold", str(source), "-o", str(tmp_path / "none" / "out")]) == 2
    assert "cannot be written: there is no folder" in capsys.readouterr().err


def test_rethreshold_does_not_convert_between_formats(scored, tmp_path, capsys):
    _, source = scored
    other = tmp_path / f"out.{'csv' if source.suffix == '.jsonl' else 'jsonl'}"
    assert main(["rethreshold", str(source), "-o", str(other), "--flag", "0.9"]) == 2
    assert "and the output must have the same format" in capsys.readouterr().err
    assert not other.exists()


def test_rethreshold_refuses_unscored_damaged_and_piped_parquet(tmp_path, capsys, monkeypatch):
    source, command = tmp_path / "scored.parquet", ["rethreshold", "-o", str(tmp_path / "out.parquet"), "--flag", "0.9"]
    pq.write_table(pa.table({"fraud_score": [0.5]}), source)
    assert main([*command, str(source)]) == 2
    assert "has no column 'fraud_verdict': is it" in capsys.readouterr().err
    pq.write_table(pa.table({"fraud_score": [0.5, None], "fraud_verdict": ["clear", "clear"]}), source)
    assert main([*command, str(source)]) == 2
    assert "scored.parquet, row 2: 'fraud_score' is missing" in capsys.readouterr().err
    twice = pa.table([[0.5], ["clear"], ["clear"]], names=["fraud_score", "fraud_verdict", "fraud_verdict"])
    pq.write_table(twice, source)
    assert main([*command, str(source)]) == 2
    assert "has several columns called 'fraud_verdict': is it" in capsys.readouterr().err
    texts = [f"{i} verdicts" for i in range(3000)]
    pq.write_table(pa.table({"fraud_score": [0.5] * 3000, "fraud_verdict": texts}), source, use_dictionary=False)
    data = bytearray(source.read_bytes())
    data[len(data) // 3 : len(data) // 2] = b"\xff" * (len(data) // 2 - len(data) // 3)
    source.write_bytes(data)
    assert main([*command, str(source)]) == 2
    assert "cannot be read any further: " in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(source.read_bytes()))))
    assert main([*command, "-"]) == 2
    assert "Parquet is read from a plain file only; save it first" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["scored.parquet"]


def test_rethreshold_accepts_a_scored_dump_without_rows(tmp_path):
    (tmp_path / "scored.jsonl").touch()
    assert main(["rethreshold", str(tmp_path / "scored.jsonl"), "-o", str(tmp_path / "out.jsonl")]) == 0
    assert not (tmp_path / "out.jsonl").read_bytes()


@pytest.mark.parametrize("row", ["-0.1,flag", "1.1,flag", "nan,flag", ",flag", "x,flag", "0.5,flag,x", "0.5"])
def test_rethreshold_refuses_rows_that_were_not_scored(tmp_path, row):
    (tmp_path / "s.csv").write_text(f"fraud_score,fraud_verdict\n{row}\n", "utf-8")
    assert main(["rethreshold", str(tmp_path / "s.csv"), "-o", str(tmp_path / "o.csv")]) == 2
    assert not (tmp_path / "o.csv").exists()


def test_rethreshold_keeps_verdicts_of_lists_in_parquet_and_counts_rows_from_1(tmp_path, capsys):
    columns = {"fraud_score": [0.9, 0.9], "fraud_verdict": ["clear", "flag"], "fraud_rule": ["allow 好", None]}
    pq.write_table(pa.table(columns), tmp_path / "s.parquet")
    command = ["rethreshold", str(tmp_path / "s.parquet"), "-o", str(tmp_path / "o.parquet")]
    assert main([*command, "--flag", "0.95", "--review", "0.1"]) == 0
    assert pq.read_table(tmp_path / "o.parquet")["fraud_verdict"].to_pylist() == ["clear", "review"]
    pq.write_table(pa.table({"fraud_score": [7.0], "fraud_verdict": ["flag"]}), tmp_path / "s.parquet")
    assert main([*command, "--force"]) == 2
    assert "row 1:" in capsys.readouterr().err


def test_rethreshold_does_not_replace_the_output_of_a_running_job(tmp_path, scanner, monkeypatch):
    monkeypatch.setattr(job, "SECONDS", 0)
    (tmp_path / "in.jsonl").write_text('{"text": "好"}\n' * 1000, "utf-8")
    (tmp_path / "small.jsonl").write_text('{"text": "好"}\n', "utf-8")
    score_dump(scanner, [tmp_path / "small.jsonl"], tmp_path / "scored.jsonl")
    refused = []

    def meanwhile(_):
        with pytest.raises(DumpError, match="another job is writing"):
            rethreshold(str(tmp_path / "scored.jsonl"), str(tmp_path / "out.jsonl"), scanner.thresholds, force=True)
        refused.append(True)

    options = Options(max_message=4096)  # several blocks
    score_dump(scanner, [tmp_path / "in.jsonl"], tmp_path / "out.jsonl", options, progress=meanwhile)
    assert refused
    assert len((tmp_path / "out.jsonl").read_bytes().splitlines()) == 1000


def test_rethreshold_deletes_no_files_of_another_run_without_force(tmp_path, scanner):
    (tmp_path / "in.jsonl").write_text('{"text": "好"}\nbad\n', "utf-8")
    score_dump(scanner, [tmp_path / "in.jsonl"], tmp_path / "out.jsonl")
    for name in ("out.jsonl", "out.jsonl.summary.json"):
        (tmp_path / name).rename(tmp_path / name.replace("out", "scored"))
    with pytest.raises(DumpError, match=r"out\.jsonl\.rejects\.jsonl exists"):
        rethreshold(str(tmp_path / "scored.jsonl"), str(tmp_path / "out.jsonl"), scanner.thresholds)
    assert (tmp_path / "out.jsonl.rejects.jsonl").exists()


def test_rethreshold_of_a_file_that_was_not_scored_replaces_nothing(tmp_path, scanner):
    (tmp_path / "in.jsonl").write_text('{"text": "好"}\nbad\n', "utf-8")
    score_dump(scanner, [tmp_path / "in.jsonl"], tmp_path / "out.jsonl")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for content in ("text,x\n1,2\n", '{"text": "好"}\n'):
        (tmp_path / "bad").write_text(content, "utf-8")
        with pytest.raises(DumpError):
            rethreshold(str(tmp_path / "bad"), str(tmp_path / "out.jsonl"), scanner.thresholds, force=True)
    (tmp_path / "bad").unlink()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_rethreshold_with_force_deletes_the_files_of_another_run(tmp_path, scanner):
    (tmp_path / "in.jsonl").write_text('{"text": "好"}\nbad\n' * 400, "utf-8")
    (tmp_path / "small.jsonl").write_text('{"text": "好"}\n', "utf-8")
    score_dump(scanner, [tmp_path / "small.jsonl"], tmp_path / "scored.jsonl")
    target = tmp_path / "out.jsonl"
    dumps.interrupt(scanner, tmp_path / "in.jsonl", target, Options(max_message=4096))
    rethreshold(str(tmp_path / "scored.jsonl"), str(target), scanner.thresholds, force=True)
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.jsonl", "out.jsonl.summary.json"]
    score_dump(scanner, [tmp_path / "in.jsonl"], target, force=True)
    rethreshold(str(tmp_path / "scored.jsonl"), str(target), scanner.thresholds, force=True)
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.jsonl", "out.jsonl.summary.json"]
