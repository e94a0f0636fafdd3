"""Texts about anything: what they are like, and what the shipped model makes of such."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudscan.background import LONGEST, SHORTEST, background


@given(st.integers(0, 40), st.integers(0, 2**32))
@settings(max_examples=30)
def test_there_are_as_many_as_asked_for_and_the_same_ones_again(count, seed):
    texts = background(count, random.Random(seed))
    assert len(texts) == count
    assert texts == background(count, random.Random(seed))
    assert all(SHORTEST <= len(text) < LONGEST + 200 for text in texts)


def test_talk_has_the_words_of_talk():
    texts = background(200, random.Random(0))
    printed, talked = "".join(texts[::2]), "".join(texts[1::2])
    for word in "我你吗":
        assert talked.count(word) / len(talked) > 1.5 * printed.count(word) / len(printed)


@pytest.mark.parametrize(("least", "most"), [(0, 200), (200, 10**6)])
def test_a_text_of_any_words_is_not_taken_for_fraud_however_long(scanner, least, most):
    """A model that had not learned from such took three in four of those above 300 characters for fraud."""
    texts = [text for text in background(2000, random.Random("unseen")) if least <= len(text) < most]
    scores = scanner.decide(texts).score
    assert sum(score > 0.5 for score in scores) < 0.03 * len(texts)
