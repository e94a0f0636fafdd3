"""Background texts: their form, and how the shipped model scores them."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudscan.background import LONGEST, SHORTEST, background


@given(st.integers(0, 40), st.integers(0, 2**32))
@settings(max_examples=30)
def test_count_is_exact_and_the_seed_determines_the_texts(count, seed):
    texts = background(count, random.Random(seed))
    assert len(texts) == count
    assert texts == background(count, random.Random(seed))
    assert all(SHORTEST <= len(text) < LONGEST + 200 for text in texts)


def test_conversations_have_the_words_of_conversations():
    texts = background(200, random.Random(0))
    printed, talked = "".join(texts[::2]), "".join(texts[1::2])
    for word in "我你吗":
        assert talked.count(word) / len(talked) > 1.5 * printed.count(word) / len(printed)


@pytest.mark.parametrize(("least", "most"), [(0, 200), (200, 10**6)])
def test_background_texts_of_any_length_are_not_taken_for_fraud(scanner, least, most):
    """A model trained without such texts took three in four of those above 300 characters for fraud."""
    texts = [text for text in background(2000, random.Random("unseen")) if least <= len(text) < most]
    scores = scanner.decide(texts).score
    assert sum(score > 0.5 for score in scores) < 0.03 * len(texts)
