"""Wrappings: their form, and that the shipped model takes none of them for evidence."""

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


def test_the_unknown_marks_of_the_benchmark_are_unknown_to_the_tables():
    """The tables map no such picture or look-alike to its meaning, and no unknown separator folds to a known one."""
    choices = tables().choices

    def known(rows, character):
        begin, end = choices.bounds[rows[ord(character)] :][:2]
        return "".join(map(chr, tables().codes[choices.members[begin:end]]))

    for meant, picture in perturb.UNKNOWN_EMOJI.items():
        assert fold(picture) != meant
        assert tables().picture[ord(picture)] == tables().empty or meant not in known(tables().picture, picture)
    for meant, shape in perturb.LOOK_ALIKES.items():
        assert meant == shape or meant not in known(tables().sound, shape) + known(tables().shape, shape)
    assert not {*map(fold, perturb.KNOWN_SEPARATORS)} & {*map(fold, perturb.UNKNOWN_SEPARATORS)}


def test_homophones_are_taken_from_all_common_characters():
    assert len(perturb.common()) == 3755
    assert {"啊", "资", "转", "赚", "做", "座"} <= set(perturb.common())


@given(st.integers(0, 40), st.integers(0, 2**32))
@settings(max_examples=30)
def test_count_is_exact_and_the_seed_determines_the_wrappings(count, seed):
    scraps = wrappings(count, random.Random(seed))
    assert len(scraps) == count
    assert scraps == wrappings(count, random.Random(seed))


@given(st.lists(st.text("身份证请带，。 \n", max_size=80), max_size=5), st.integers(0, 20), st.integers(0, 2**32))
def test_clauses_are_parts_of_the_texts(texts, count, seed):
    scraps = clauses(texts, count, random.Random(seed))
    assert scraps == clauses(texts, count, random.Random(seed))
    assert len(scraps) in {0, count}
    for scrap in scraps:
        halves = ((scrap[:i], scrap[i:]) for i in range(len(scrap) + 1))
        assert any(any(a in text and b in text for text in texts) for a, b in halves)


def test_wrappings_are_of_many_kinds():
    scraps = wrappings(5000, random.Random(0))
    assert len(set(scraps)) > 4500
    for part in ("20", "：", "<", "http", "[", "---", "iPhone", "。。。", "XX", "@example.com>", "保密", "#生活"):
        assert 5 < sum(part in text for text in scraps) < 3750


MEANINGFUL = {"an official sentence", "a courtesy", "advice against fraud", "a contact", "what shops say"}
"""Wrappings that are weak evidence, because they are more frequent in honest messages or in frauds."""


@pytest.mark.parametrize("kind", perturb.WRAPPINGS)
def test_wrappings_hardly_change_decisions(scanner, kind):
    """None of these occurs in training in this form. Before training had any, time stamps hid a tenth of the frauds."""
    rng = random.Random(kind)
    for honest in (False, True):
        texts = [case["text"] for case in read_cases() if (scanner.taxonomy.honest in case["labels"]) == honest]
        bare = np.array(scanner.decide(texts).score) > 0.5
        wrapped = np.array(scanner.decide([perturb.WRAPPINGS[kind](text, rng) for text in texts]).score) > 0.5
        assert (wrapped > bare if honest else wrapped < bare).mean() <= (0.1 if kind in MEANINGFUL else 0.05)
