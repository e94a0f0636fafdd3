"""Scores: finite, the same alone and in any batch and chunk, and equal to their definition."""

import concurrent.futures
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from conftest import LURE, PLAIN, traced
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fraudscan import engine, model
from fraudscan.model import ModelError

pytestmark = pytest.mark.usefixtures("engine")

PIECES = [
    "加微信",
    "稳赚不赔",
    "老师",
    "您的快递",
    "养老金",
    "刷单",
    " ",
    "\n",
    "\0",
    "①⑧",
    "ＶＸ",
    "\ud800",
    "\U0001f600",
    "財",
    "\u200b",
]
texts = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(), max_size=20),  # surrogates too
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
)


@given(texts)
@example(r"\N")
@settings(max_examples=300)
def test_scores_equal_the_definition(scanner, reference, text):
    (row,) = scanner.predict_proba([text])
    expected = reference.probabilities(text)
    assert row.tolist() == pytest.approx([expected[name] for name in scanner.names], abs=1e-6)


def test_scores_of_corpus_rows_equal_the_definition(scanner, reference, corpus):
    for row in corpus[::997]:
        expected = reference.probabilities(row.text)
        assert scanner.classify(row.text).scores == pytest.approx(expected, abs=1e-6)


@given(st.lists(texts, max_size=30))
@settings(max_examples=200)
def test_probabilities_are_finite_and_do_not_depend_on_the_batch(scanner, batch):
    together = scanner.predict_proba(batch)
    assert together.shape == (len(batch), len(scanner.names))
    assert together.dtype == np.float32
    assert np.isfinite(together).all()
    assert ((together >= 0) & (together <= 1)).all()
    alone = [scanner.predict_proba([text])[0] for text in batch]
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def assert_same_decisions(scanner, batch):
    names = ("kinds", "label", "scheme", "labels", "score", "verdict", "targets", "notes")
    with_probabilities, without = scanner.decide(batch), scanner.decide(batch, proba=False)
    for name in names:
        assert getattr(without, name) == getattr(with_probabilities, name)


@given(st.lists(texts, max_size=30))
@settings(max_examples=200)
def test_decisions_are_the_same_without_probabilities(scanner, batch):
    assert_same_decisions(scanner, batch)


def test_decisions_on_the_corpus_are_the_same_without_probabilities(scanner, corpus):
    batch = [row.text for row in corpus[::30]]
    for begin in range(0, len(batch), 1000):
        assert_same_decisions(scanner, batch[begin : begin + 1000])
    assert scanner.decide(batch[:5], proba=False).probabilities.size == 0


@given(st.lists(texts, min_size=1, max_size=30), st.integers(1, 200))
@settings(max_examples=100)
def test_probabilities_do_not_depend_on_the_chunk_size(scanner, batch, size):
    expected = scanner.predict_proba(batch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "CHUNK", size)
        patch.setattr(model, "GROUP", max(1, size // 3))
        patch.setattr(engine, "FIELD_SIZE", max(1, size // 5))
        assert np.array_equal(fresh(scanner).predict_proba(batch), expected)


def fresh(scanner):
    return pickle.loads(pickle.dumps(scanner))  # noqa: S301 - our own


def test_pickled_scanner_scores_the_same(scanner, corpus):
    batch = [row.text for row in corpus[:50]]
    copy = fresh(scanner)
    assert copy.names == scanner.names
    assert copy.thresholds == scanner.thresholds
    assert np.array_equal(copy.predict_proba(batch), scanner.predict_proba(batch))


def test_a_pickle_of_another_version_is_refused(scanner):
    restore, (versions, *rest), state = scanner.__reduce__()
    assert restore(versions, *rest).digest == scanner.digest
    assert state == {"lists": None, "folder_name": "default"}
    for name in versions:
        with pytest.raises(ModelError, match=f"the pickled scanner .*version {versions[name] - 1}"):
            restore({**versions, name: versions[name] - 1}, *rest)


def test_arrays_of_a_scanner_cannot_be_changed(scanner):
    core, vocabulary = scanner.engine, scanner.engine.vocabulary
    for array in (core.weights, core.scales, core.biases, vocabulary.alphabet, vocabulary.steps, vocabulary.seeds):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


IN_A_NEW_PROCESS = pytest.mark.parametrize("engine", ["as it was built"], indirect=True)
"""Marks tests that start a process, which always has the engine that was built, so that they run once."""

LOADS = """
import threading
from concurrent.futures import ThreadPoolExecutor
from unittest import mock
from fraudscan import model

barrier = threading.Barrier(4)
with mock.patch.object(model, "_read", wraps=model._read) as read, ThreadPoolExecutor(4) as pool:
    loaded = list(pool.map(lambda _: (barrier.wait(60), model.load())[1], range(4)))
print(len(set(map(id, loaded))), read.call_count)
"""


@IN_A_NEW_PROCESS
def test_threads_that_load_at_once_get_one_scanner_that_is_read_once():
    ran = subprocess.run([sys.executable, "-c", LOADS], capture_output=True, text=True, timeout=120, check=False)
    assert ran.stdout == "1 1\n", ran.stderr


BURST = """
import sys, threading, tracemalloc, fraudscan

LURE = "投·资·理·财，稳·赚·不·赔，加薇信"
sys.setswitchinterval(1e-4)
tracemalloc.start()
barrier = threading.Barrier(8)
results = []

def score():
    barrier.wait()
    results.append(fraudscan.classify(LURE).to_dict())

threads = [threading.Thread(target=score) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(results.count(results[0]), tracemalloc.get_traced_memory()[1] < 100e6)
"""


@IN_A_NEW_PROCESS
def test_threads_that_score_the_first_messages_build_the_tables_once():
    ran = subprocess.run([sys.executable, "-c", BURST], capture_output=True, text=True, timeout=120, check=False)
    assert ran.stdout == "8 True\n", ran.stderr


def test_threads_share_a_scanner(scanner, corpus):
    batches = [[row.text for row in corpus[i::230]] for i in range(23)]
    expected = [scanner.predict_proba(batch) for batch in batches]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        actual = list(pool.map(scanner.predict_proba, batches * 4))
    assert all(np.array_equal(a, b) for a, b in zip(actual, expected * 4, strict=True))


def test_a_signal_handler_that_scores_does_not_change_the_result_that_it_interrupts(scanner):
    expected = scanner.classify(PLAIN)
    sys.setprofile(lambda *_: scanner.classify(LURE))  # as if signals came at all places
    try:
        found = scanner.classify(PLAIN)
    finally:
        sys.setprofile(None)
    assert found == expected


FORKS = """
import os, threading, time, fraudscan

LURE = "投·资·理·财，稳·赚·不·赔，加薇信"
scanner = fraudscan.load()
done = []

def score():
    while not done:
        scanner.classify(LURE)

threads = [threading.Thread(target=score) for _ in range(3)]
for thread in threads:
    thread.start()
children = []
for _ in range(10):
    child = os.fork()
    if not child:
        scanner.classify(LURE)
        os._exit(0)
    children.append(child)
    time.sleep(0.02)
statuses = [os.waitpid(child, 0)[1] for child in children]
done.append(True)
print(statuses)
"""


@IN_A_NEW_PROCESS
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_process_forked_while_threads_score_their_first_messages_can_score():
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKS]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.stdout == f"{[0] * 10}\n", ran.stderr


def test_ten_million_characters_are_scored_in_bounded_memory(scanner):
    text = "跟着老师操作稳赚不赔，加微信进内部群，" * 600_000
    scanner.classify(text[:100])  # fill the caches, which do not count
    with traced() as memory:
        assert scanner.classify(text).verdict == "flag"
        assert memory()[1] < 20e6


@pytest.mark.parametrize("text", ["", " ", "\n\t　", "\0", "\u200b\ufe0f"])
def test_text_without_characters_is_legitimate(scanner, text):
    result = scanner.classify(text)
    assert (result.label, result.scheme, result.verdict) == ("legitimate", None, "clear")
    assert result.score < 1e-6
    assert list(result.explain()) == []
    assert result.notes == ("no Chinese", "too short to judge")


def test_nuls_do_not_split_a_text(scanner):
    with_nuls, without = scanner.predict_proba(["加\0微\0信 稳赚\0不赔", "加微信 稳赚不赔"])
    assert np.array_equal(with_nuls, without)


@pytest.mark.parametrize(("row", "weight"), [(1, 128), (1, -128), (1, 256), (1, 384), (0, 1), (1, 0.5), (1, np.nan)])
def test_invalid_weights_are_refused(scanner, row, weight):
    core = scanner.engine
    weights = core.weights.astype(float)
    weights[row, 0] = weight
    rest = {"thresholds": scanner.thresholds, "layer": core.layer}
    with pytest.raises(ValueError, match="weights must be"):
        model.Scanner(scanner.taxonomy, core.vocabulary, weights, core.scales, core.biases, **rest)
