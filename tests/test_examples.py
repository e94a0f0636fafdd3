"""The demo, and the README's ten-line examples: the README shows them verbatim, they run, and they agree."""

import json
import os
import re
import subprocess
import sys

import pytest
from conftest import ROOT

EXAMPLES = sorted((ROOT / "examples" / "ecosystem").glob("*.py"))


@pytest.fixture(scope="module")
def flagged(scanner):
    lines = (ROOT / "examples" / "messages.jsonl").read_text("utf-8").splitlines()
    decisions = scanner.decide([json.loads(line)["text"] for line in lines])
    labels = [label for label, verdict in zip(decisions.label, decisions.verdict, strict=True) if verdict == "flag"]
    return f"{sorted((label, labels.count(label)) for label in set(labels))}\n"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_and_agrees(path, flagged, request):
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    if path.stem == "with_spark":
        request.getfixturevalue("java")
    done = subprocess.run(
        [sys.executable, path], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == flagged


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_readme_shows_the_example(path):
    assert f"```python\n{path.read_text('utf-8')}```" in (ROOT / "README.md").read_text("utf-8")


def test_each_library_has_an_example():
    libraries = ["plain_python", "with_pandas", "with_polars", "with_scikit_learn", "with_spark"]
    assert [path.stem for path in EXAMPLES] == libraries


def test_the_demo_scores_and_explains_the_messages_of_a_phone(scanner):
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "demo.py"], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    assert done.stdout.startswith("340 messages from one phone, by label:\n")
    counts = {name: int(count) for name, count in re.findall(r"^  (\w+) +(\d+)  ", done.stdout, re.MULTILINE)}
    assert list(counts) == [label.name for label in scanner.taxonomy.labels]
    assert sum(counts.values()) == 340
    scores = [float(score) for score in re.findall(r"^  (\d\.\d{3}) flag ", done.stdout, re.MULTILINE)]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == len(re.findall(r"^        '.+' \+\d", done.stdout, re.MULTILINE)) == 10
    assert "340 messages of a phone" in (ROOT / "README.md").read_text("utf-8")
