"""The model card matches its model, and its figures are correct."""

import json
from unittest.mock import Mock

import numpy as np
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

import fraudscan
from fraudscan.card import _table, diagram, model_digest, read_sets, sections
from fraudscan.cli import main
from fraudscan.corpus import CorpusError, read_corpus
from fraudscan.evaluate import BINS, auc, prior_weights, reliability
from fraudscan.folder import CARD, DIAGRAM
from fraudscan.model import default_folder


def test_the_shipped_card_matches_the_shipped_model(scanner):
    folder = default_folder()
    card = (folder / CARD).read_text("utf-8")
    assert model_digest(folder) in card, "run: make card"
    for part in sections(scanner, folder, ROOT):
        assert part in card, "run: make card"
    assert (folder / DIAGRAM).read_text("utf-8") == diagram(scanner), "run: make card"


def test_scores_are_calibrated_on_held_out_rows(scanner):
    calibration = scanner.manifest["figures"]["calibration"]
    assert calibration["ece"] <= 0.03
    assert sum(row["messages"] for row in calibration["bins"]) == scanner.manifest["figures"]["messages"]


def test_every_slicing_covers_all_messages(scanner):
    figures = scanner.manifest["figures"]
    for rows in figures["slices"].values():
        assert sum(row["messages"] for row in rows.values()) == figures["messages"]


def test_card_of_another_model(small_model, tmp_path, capsys):
    rows = [
        {"text": "跟着老师操作稳赚不赔", "labels": ["investment"], "set": "ours|a", "source": "here:1"},
        {"text": "下来拿快递", "labels": ["legitimate"], "set": "ours_b", "source": "here:2"},
        {"text": "稳赚不赔加微信", "labels": ["fraud"], "set": "ours_c", "source": "there:1"},
    ]
    path = tmp_path / "sets.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    folder = tmp_path / "model"
    fraudscan.load(small_model).save(folder)
    assert main(["evaluate", "--card", str(path), "-m", str(folder)]) == 0
    assert capsys.readouterr().out.split() == [str(folder / CARD), str(folder / DIAGRAM)]
    card = (folder / CARD).read_text("utf-8")
    assert model_digest(folder) in card
    assert "| ours\\|a | here | investment | 1 |" in card
    assert "| ours_c | there | fraud | 1 |" in card
    assert "下来拿快递" not in card  # the card does not contain third-party texts
    for claim in (
        "all written for this project",
        "shipped",
        "## Robustness",
        "One project wrote",
        "nobody in the project",
    ):
        assert claim not in card
    assert "with version" not in card.partition("## Held-out folds")[2]
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["trained_normalization_version"] = 1
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    assert main(["evaluate", "--card", "-m", str(folder)]) == 0
    assert "The weights were trained" in (folder / CARD).read_text("utf-8")
    assert "## External sets" not in (folder / CARD).read_text("utf-8")


def test_the_card_of_an_installed_package_is_not_replaced(scanner, tmp_path, monkeypatch, capsys):
    """Without a checkout, it would lose the figures that are quoted from there."""
    scanner.save(tmp_path / "default")
    monkeypatch.setattr("fraudscan.model.default_folder", lambda: tmp_path / "default")
    monkeypatch.setattr("fraudscan.corpus.default_corpus", Mock(side_effect=CorpusError))
    before = sorted((tmp_path / "default").iterdir())
    assert main(["evaluate", "--card"]) == 2
    assert "name another model with -m" in capsys.readouterr().err
    assert sorted((tmp_path / "default").iterdir()) == before


def test_the_card_names_the_slice_of_messages_without_a_channel(small_model, tmp_path):
    scanner = fraudscan.load(small_model)
    slices = scanner.manifest["figures"]["slices"]
    channels = {"": slices["channel"]["sms"]}  # as for a user's own messages
    figures = {**scanner.manifest["figures"], "slices": {**slices, "channel": channels}}
    scanner._with(_manifest={**scanner.manifest, "figures": figures}).save(tmp_path / "model")
    card = "".join(sections(fraudscan.load(tmp_path / "model"), tmp_path / "model", None))
    assert "| none | " in card.partition("| channel |")[2]


def test_a_copy_of_the_shipped_model_has_its_card(scanner, tmp_path):
    scanner.save(tmp_path / "copy")
    assert sections(scanner, tmp_path / "copy", None) == sections(scanner, default_folder(), None)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"text": "x", "labels": [], "set": "s", "source": "s"}',
        '{"text": "x", "labels": [["fraud"]], "set": "s", "source": "s"}',
        '{"text": "x"}',
        '{"text":' + "[" * 100_000,
    ],
)
def test_invalid_or_missing_sets_are_refused(tmp_path, line, capsys):
    (tmp_path / "sets.jsonl").write_text(f"\n{line}\n", "utf-8")
    assert main(["evaluate", "--card", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "sets.jsonl:2: expected an object with text, labels, set and source" in err
    assert "at least one name, also for legitimate messages" in err
    assert main(["evaluate", "--card", str(tmp_path / "none")]) == 2
    assert "no such file" in capsys.readouterr().err


def test_sets_in_another_encoding_are_refused(tmp_path):
    path = tmp_path / "sets.jsonl"
    path.write_bytes("\n\n好\n".encode("gb18030"))
    for read in read_sets, read_corpus:
        with pytest.raises(CorpusError, match=r"sets\.jsonl:3: not UTF-8"):
            read([path])


def test_evaluate_needs_messages(capsys):
    assert main(["evaluate"]) == 2
    assert "name the labelled messages" in capsys.readouterr().err


def test_a_model_without_figures_has_no_card(small_model, tmp_path, capsys):
    scanner = fraudscan.load(small_model)
    bare = {key: value for key, value in scanner.manifest.items() if key != "figures"}
    scanner._with(_manifest=bare).save(tmp_path / "bare")
    assert main(["evaluate", "--card", "-m", str(tmp_path / "bare")]) == 2
    assert "has no held-out figures for a card" in capsys.readouterr().err
    fraudscan.load().with_thresholds(flag=0.5).save(tmp_path / "other")
    assert main(["evaluate", "--card", "-m", str(tmp_path / "other")]) == 2
    assert "has other thresholds than those it was measured with" in capsys.readouterr().err


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=200))
@settings(max_examples=200)
def test_reliability_of_any_probabilities(pairs):
    probabilities, positive = np.array([p for p, _ in pairs]), np.array([y for _, y in pairs])
    result = reliability(probabilities, positive)
    assert 0 <= result["ece"] <= 1
    assert len(result["bins"]) <= BINS
    assert sum(row["messages"] for row in result["bins"]) == len(pairs)
    assert [row["predicted"] for row in result["bins"]] == sorted(row["predicted"] for row in result["bins"])


def test_reliability_of_known_probabilities():
    rng = np.random.default_rng(0)
    probabilities = rng.random(50_000)
    positive = rng.random(50_000) < probabilities
    assert reliability(probabilities, positive)["ece"] < 0.01
    assert reliability(np.sqrt(probabilities), positive)["ece"] == pytest.approx(1 / 6, abs=0.01)
    # a different share of positives, corrected by weights
    half = ~positive | (rng.random(50_000) < 0.5)
    kept, right = probabilities[half], positive[half]
    assert reliability(kept, right)["ece"] > 0.05
    assert reliability(kept, right, prior_weights(right, float(positive.mean())))["ece"] < 0.012


def test_tables_have_a_rule_even_without_rows():
    assert _table(("a", "b"), []) == "| a | b |\n| --- | --- |\n"
    assert _table(("a", "b"), [("x", None), ("y", 2)]) == "| a | b |\n| --- | ---: |\n| x | – |\n| y | 2 |\n"


def test_area_under_the_curve():
    scores = np.array([0.1, 0.4, 0.4, 0.8])
    assert auc(scores, np.array([False, False, True, True])) == 0.875  # of four pairs, three in order and one tie
    assert auc(scores, scores < 0.2) == 0
    assert auc(scores, scores < 1) is auc(scores, scores > 1) is None
