"""Texts about anything: words of a dictionary, drawn as often as Chinese uses them, as honest examples.

The corpus holds messages that are frauds or look like them, and their everyday surroundings. Of all the other words of
the language a model that is fitted on it alone knows little, and that little came from frauds as often as not: in a
long text it adds up. Without these examples, and without articles in the corpus, the model took 39 to 91 % of newspaper
paragraphs of more than 150 characters for fraud, the longer the more (`benchmarks/reading.py`), and it did so of these
examples. Alone, they set four in five of these right. That the words stand in no order does not matter much to a model
of n-grams.

Used in training only.
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from fraudscan.tokenize import dictionary

if TYPE_CHECKING:
    import random

__all__ = ["background"]

MEDIAN, SPREAD = 150, 0.7
"""Of the length in characters, which is log-normal: one in six is longer than 300."""

SHORTEST, LONGEST = 15, 900
"""Characters that a text has at least, and about at most."""


class Register(NamedTuple):
    """A way to use the language.

    Attributes:
        exponent: the power of its frequency that a word is drawn with. Less than one: rare words are met as well.
        classes: how much more frequent words of some classes are than in print, by the first letter of jieba's tag.
        pause: how often a word has a mark behind it …
        marks: … which is one of these.

    """

    exponent: float
    classes: dict[str, float]
    pause: float
    marks: str


PRINT = Register(0.75, {}, 0.12, "，，，。、！；")
TALK = Register(1.0, {"r": 6, "y": 10, "e": 10, "d": 3, "c": 2, "u": 2, "n": 0.4}, 0.2, " \n，…？。!~")
"""Pronouns (r), particles (y), interjections (e), adverbs (d), conjunctions (c), auxiliaries (u) and nouns (n) of talk:
by estimate, from the words that people say to each other."""


def background(count: int, rng: random.Random) -> list[str]:
    """Return so many texts; every other one has the words of talk, the others those of print.

    >>> import random
    >>> first, second = background(2, random.Random(1))
    >>> len(first) >= SHORTEST and first != second
    True

    """
    return [_text(register, rng) for register in itertools.islice(itertools.cycle((PRINT, TALK)), count)]


def _text(register: Register, rng: random.Random) -> str:
    size = min(max(rng.lognormvariate(0, SPREAD) * MEDIAN, SHORTEST), LONGEST)
    words, weights = _weighed(register is TALK)
    text = ""
    while len(text) < size:
        for word in rng.choices(words, cum_weights=weights, k=16):
            text += word + (rng.choice(register.marks) if rng.random() < register.pause else "")
    return text


@cache
def _weighed(talk: bool) -> tuple[list[str], list[float]]:
    """Return the words of a register, and the sums of their weights up to each."""
    register = TALK if talk else PRINT
    words = dictionary()
    weights = (count**register.exponent * register.classes.get(tag[0], 1) for _, count, tag in words)
    return [word for word, _, _ in words], list(itertools.accumulate(weights))
