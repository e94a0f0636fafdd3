"""Wrappings: what they are like, and that the shipped model takes none of them for evidence."""

import random

import numpy as np
import perturb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cases import read_cases

from fraudscan.characters import fold
from fraudscan.neighbours import tables
from fraudscan.wrappings import clauses, wrappings


def test_what_the_benchmark_calls_unknown_is_unknown():
    """Pictures and look-alikes stand for nothing that the tables know them for; no sign folds to a known one."""
    choices = tables().choices

    def said(rows, character):
        begin, end = choices.bounds[rows[ord(character)] :][:2]
        return "".join(map(chr, tables().codes[choices.members[begin:end]]))

    for meant, picture in perturb.UNKNOWN_EMOJI.items():
        assert fold(picture) != meant
        assert tables().picture[ord(picture)] == tables().picture[0] or meant not in said(tables().picture, picture)
    for meant, shape in perturb.LOOK_ALIKES.items():
        assert meant not in said(tables().alike, shape)
    assert not {*map(fold, perturb.KNOWN_SEPARATORS)} & {*map(fold, perturb.UNKNOWN_SEPARATORS)}


def test_homophones_are_looked_for_among_all_common_characters():
    assert len(perturb.common()) == 3755
    assert {"啊", "资", "转", "赚", "做", "座"} <= set(perturb.common())


@given(st.integers(0, 40), st.integers(0, 2**32))
@settings(max_examples=30)
def test_there_are_as_many_as_asked_for_and_the_same_ones_again(count, seed):
    found = wrappings(count, random.Random(seed))
    assert len(found) == count
    assert found == wrappings(count, random.Random(seed))


@given(st.lists(st.text("身份证请带，。 \n", max_size=80), max_size=5), st.integers(0, 20), st.integers(0, 2**32))
def test_clauses_are_parts_of_the_texts(texts, count, seed):
    found = clauses(texts, count, random.Random(seed))
    assert found == clauses(texts, count, random.Random(seed))
    assert len(found) in {0, count}
    for scrap in found:
        halves = ((scrap[:i], scrap[i:]) for i in range(len(scrap) + 1))
        assert any(any(a in text and b in text for text in texts) for a, b in halves)


def test_they_are_of_many_kinds():
    found = wrappings(5000, random.Random(0))
    assert len(set(found)) > 4500
    for part in ("20", "：", "<", "http", "[", "---", "iPhone", "。。。"):
        assert 5 < sum(part in text for text in found) < 3750


SAYING = {"an official sentence", "a courtesy", "advice against fraud", "a contact", "what shops say"}
"""What says something, if little: of honest messages or frauds more say it."""


@pytest.mark.parametrize("kind", perturb.WRAPPINGS)
def test_what_stands_around_a_message_changes_little(scanner, kind):
    """None of these was shown in training as it is. Before any was, time stamps hid a tenth of the frauds."""
    rng = random.Random(kind)
    for honest in (False, True):
        texts = [case["text"] for case in read_cases() if (case["label"] == scanner.taxonomy.honest.name) == honest]
        bare = np.array(scanner.decide(texts).score) > 0.5
        wrapped = np.array(scanner.decide([perturb.wrap(text, kind, rng) for text in texts]).score) > 0.5
        assert (wrapped > bare if honest else wrapped < bare).mean() <= (0.1 if kind in SAYING else 0.05)
