"""Realistic messages, which were written for this project and are not part of its corpus.

`cases/known_failures.json` lists the messages that the shipped model gets wrong. They are expected
to fail, so a fix is noticed. ``make cases`` regenerates the file.
"""

import json
import pathlib

import pytest

CASES = pathlib.Path(__file__).resolve().parent / "cases"


def read_cases():
    """Return all cases: ``id``, ``label`` and ``text``."""
    files = (CASES / "lures.jsonl", CASES / "honest.jsonl")
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]


def fault(case, scanner):
    """Return what is wrong with the scanner's answer, or an empty string if it is right.

    A lure must have its label and must not be clear. An honest message must have the honest label and must not be
    flagged.
    """
    result = scanner.classify(case["text"])
    if case["label"] not in result.labels:
        return f"{result.label} ({result.score:.2f})"
    wrong = "flag" if case["label"] == scanner.taxonomy.honest else "clear"
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


def test_there_are_enough_cases_of_all_labels(scanner, corpus):
    cases = read_cases()
    assert len({case["id"] for case in cases}) == len(cases)
    lures = [case for case in cases if case["label"] != scanner.taxonomy.honest]
    assert min(len(lures), len(cases) - len(lures)) >= 60
    assert {case["label"] for case in cases} == {label.name for label in scanner.taxonomy.labels}
    assert set(KNOWN) <= {case["id"] for case in cases}
    assert {case["text"] for case in cases}.isdisjoint(row.text for row in corpus)
