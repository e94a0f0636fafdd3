"""Notes of doubt: a scanner attaches them to texts that it is not made for, whatever their score."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from fraudscan import kernel
from fraudscan.characters import without_markup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fraudscan.arrays import Ints, Words
    from fraudscan.features import Vocabulary

__all__ = ["HAN", "NOTES", "Noter", "notes_of"]

NOTES = ("no Chinese", "unknown words", "too short to judge")
"""All notes. The notes on a text are stored as an integer with one bit for each. Models of a user's own that are mostly
of other languages do not expect Chinese."""

NO_CHINESE, UNKNOWN_WORDS, TOO_SHORT = (1 << place for place in range(len(NOTES)))

SHORTEST = 5
"""A text with fewer kept characters is too short to judge. Hardly any lure in the corpus is that short."""

KNOWN = 0.15
"""A text's words are unknown if less than this share of its characters end an n-gram of two or more. Two messages in
a thousand of the corpus lie below it (measured on those of `SHORTEST` characters or more); the corpus's median is 0.65.
Tang and Han prose and names of drugs have 0 to 0.13, and characters drawn at random up to 0.08."""

LEAST_CHINESE = 0.2
"""A model of a user's own with a smaller share of n-grams that end with a Chinese character knows other languages as
well. Four fifths of the shipped model's do. A guess, between messages in two languages and Chinese ones with links."""

HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
"""A Chinese character: the unified and the compatibility ideographs of Unicode 15."""


class Noter:
    """Finds the notes on texts, from the nodes that a vocabulary matches in them.

    Args:
        vocabulary: the vocabulary that the nodes belong to.

    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        han = np.array([False, *(bool(HAN.match(chr(code))) for code in vocabulary.alphabet.tolist())])
        known = np.arange(vocabulary.size) > vocabulary.alphabet.size
        chinese = han[vocabulary.last_characters]
        self._flags = known + 2 * chinese.astype(np.uint8)
        self._expects_chinese = np.count_nonzero(chinese) > LEAST_CHINESE * chinese.size

    def notes(self, counts: Ints, lengths: Ints, texts: Sequence[str]) -> Ints:
        """Return the notes on texts: int64, shape (texts,).

        Args:
            counts: shape (2, texts): what `count` returns for the texts.
            lengths: shape (texts,): the numbers of their kept characters.
            texts: the texts.

        """
        known, han = counts
        notes = (lengths < SHORTEST) * np.int64(TOO_SHORT)
        notes += (known < KNOWN * lengths) * np.int64(UNKNOWN_WORDS)
        without = (han == 0).nonzero()[0].tolist() if self._expects_chinese else ()
        for row in without:  # no Chinese character of the vocabulary, but perhaps another
            if not HAN.search(without_markup(texts[row])):
                notes[row] |= NO_CHINESE
        notes[notes & (NO_CHINESE | TOO_SHORT) > 0] &= ~UNKNOWN_WORDS  # either explains the unknown words
        return notes

    def count(self, nodes: Words, starts: Ints) -> Ints:
        """Return how many characters of each text end an n-gram of two or more, and how many are Chinese.

        Args:
            nodes: the concatenated nodes of the texts, as in `Matches`.
            starts: shape (texts,): where each text begins in ``nodes``.

        Returns:
            int64, shape (2, texts).

        """
        if kernel.compiled:
            counts = np.empty((2, starts.size), dtype=np.int64)
            kernel.compiled.tally(nodes, starts, self._flags, counts)
            return counts
        flags = self._flags.take(nodes)
        return np.stack([np.add.reduceat(flags >> place & 1, starts, dtype=np.int64) for place in (0, 1)])


@cache
def notes_of(bits: int) -> tuple[str, ...]:
    """Return the notes that ``bits`` stands for, as strings.

    >>> notes_of(5)
    ('no Chinese', 'too short to judge')

    """
    return tuple(note for place, note in enumerate(NOTES) if bits >> place & 1)
