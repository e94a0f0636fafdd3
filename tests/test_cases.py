"""Realistic messages, which were written for this project and are not part of its corpus.

``lures`` and ``honest`` grew with the project. The messages of all other files were written by authors who had seen
neither the corpus nor the model, before any of them was scored. They are for measuring: neither the corpus nor the
code may be fitted to them. `cases/known_failures.json` lists the messages that the shipped model gets wrong. They are
expected to fail, so a fix is noticed. ``make cases`` regenerates the file.
"""

import json
import pathlib

import pytest

from fraudscan.characters import fold

CASES = pathlib.Path(__file__).resolve().parent / "cases"


def read_cases():
    """Return all cases: ``id``, ``text`` and ``labels``, any of which is right."""
    return [json.loads(line) for file in sorted(CASES.glob("*.jsonl")) for line in file.read_text("utf-8").splitlines()]


def fault(case, scanner):
    """Return what is wrong with the scanner's answer, or an empty string if it is right.

    A lure must have one of its labels and must not be clear. An honest message must have the honest label and must not
    be flagged.
    """
    result = scanner.classify(case["text"])
    if not set(case["labels"]).intersection(result.labels):
        return f"{result.label} ({result.score:.2f})"
    wrong = "flag" if case["labels"] == [scanner.taxonomy.honest] else "clear"
    return wrong if result.verdict == wrong else ""


KNOWN = json.loads((CASES / "known_failures.json").read_text("utf-8"))


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case["id"], marks=[pytest.mark.xfail(strict=True)] if case["id"] in KNOWN else [])
        for case in read_cases()
    ],
)
def test_case(case, scanner):
    assert not fault(case, scanner), case["text"]


@pytest.mark.parametrize("path", sorted(CASES.glob("*.jsonl")), ids=lambda path: path.stem)
def test_cases_are_numbered(path):
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        case = json.loads(line)
        assert list(case) == ["id", "labels", "text"]
        assert case["id"] == f"{path.stem}-{number:03}"


def test_there_are_enough_cases_of_all_labels(scanner, corpus):
    assert all(len(path.read_text("utf-8").splitlines()) >= 60 for path in CASES.glob("*.jsonl"))
    cases = read_cases()
    assert {label for case in cases for label in case["labels"]} == {label.name for label in scanner.taxonomy.labels}
    assert set(KNOWN) <= {case["id"] for case in cases}
    assert {fold(case["text"]) for case in cases}.isdisjoint(fold(row.text) for row in corpus)
