"""Background texts: dictionary words in random order, drawn about as often as Chinese uses them, as honest examples.

The corpus contains messages that are frauds or look like them, and their everyday surroundings. A model fitted on it
alone learns little about all other words of the language, and learns that little from frauds as often as not. In a long
text these errors add up. Without background texts, and without articles in the corpus, the model took 39 to 91 % of
newspaper paragraphs of more than 150 characters for fraud, and more of the longer ones (`benchmarks/reading.py`). It
also took background texts for fraud. Training with background texts, but still without articles, corrects four in five
of these errors. That their words are in no order matters little to a model of n-grams.

Used in training only.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from fraudscan.tokenize import dictionary

if TYPE_CHECKING:
    import random

__all__ = ["background"]

MEDIAN, SPREAD = 150, 0.7
"""Median and spread (sigma) of the log-normal length of a text in characters: one in six is longer than 300."""

SHORTEST, LONGEST = 15, 900
"""Minimum and approximate maximum number of characters of a text."""


@dataclass(frozen=True, eq=False)  # hashed by identity
class Register:
    """A way in which the language is used.

    Attributes:
        exponent: a word is drawn in proportion to its frequency to this power. Below 1, rare words are drawn more
            often than they occur.
        classes: how much more frequent words of some classes are than in print, by the first letter of jieba's tag.
        pause: the share of words that are followed by a mark: punctuation or white space.
        marks: the marks from which it is drawn.

    """

    exponent: float
    classes: dict[str, float]
    pause: float
    marks: str


PRINT = Register(0.75, {}, 0.12, "，，，。、！；")
TALK = Register(1.0, {"r": 6, "y": 10, "e": 10, "d": 3, "c": 2, "u": 2, "n": 0.4}, 0.2, " \n，…？。!~")
"""Everyday conversation. The factors for pronouns (r), particles (y), interjections (e), adverbs (d), conjunctions (c),
auxiliaries (u) and nouns (n) are estimates from the words that people say to each other."""


def background(count: int, rng: random.Random) -> list[str]:
    """Return ``count`` texts, alternately with the words of print and of conversation.

    >>> import random
    >>> first, second = background(2, random.Random(1))
    >>> len(first) >= SHORTEST and first != second
    True

    """
    return [_text(register, rng) for register in itertools.islice(itertools.cycle((PRINT, TALK)), count)]


def _text(register: Register, rng: random.Random) -> str:
    size = min(max(rng.lognormvariate(0, SPREAD) * MEDIAN, SHORTEST), LONGEST)
    words, weights = _weighed(register)
    text = ""
    while len(text) < size:
        for word in rng.choices(words, cum_weights=weights, k=16):
            text += word + (rng.choice(register.marks) if rng.random() < register.pause else "")
    return text


@cache
def _weighed(register: Register) -> tuple[list[str], list[float]]:
    """Return the words of a register and their cumulative weights."""
    words = dictionary()
    weights = (count**register.exponent * register.classes.get(tag[0], 1) for _, count, tag in words)
    return [word for word, _, _ in words], list(itertools.accumulate(weights))
