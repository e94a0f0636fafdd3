"""Texts in a row of code points, each of which knows what it stands for in the originals.

Repair works on the code points of many texts at once, and its evidence must point into the texts as they were written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fraudscan.arrays import differences
from fraudscan.characters import DROPPED, code_points, concatenated, normalization_table, text_of, without_markup
from fraudscan.lazy import cached_property
from fraudscan.neighbours import END, tables
from fraudscan.survey import survey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fraudscan.arrays import Bools, Codes, Ints, Numbers
    from fraudscan.survey import Survey

__all__ = ["Lines", "folded", "markup_of"]

SKIPPED = 0x200B
"""A dropped code point to read for U+0000, which stands between texts."""


@dataclass(frozen=True)
class Lines:
    """Texts being repaired, concatenated, each followed by a code point 0. What is found in them is cached.

    Attributes:
        codes: the code points.
        starts: for each code point, the offset in the joined originals at which the characters it stands for begin.
        ends: for each code point, the offset in the joined originals at which they end.
        sources: for each code point, the offset in the joined originals of the first of these characters. In texts that
            were put in order each stands for the whole text, but has its own source.
        raw: the code points of the joined originals. Those between texts are the only zeros.

    """

    codes: Codes
    starts: Ints
    ends: Ints
    sources: Ints
    raw: Codes

    def at(self, texts: Bools) -> Lines:
        """Return the texts selected by the mask ``texts``, shape (texts,)."""
        if texts.all():
            return self
        kept = texts.repeat(self.lengths)
        lines = self.keep(kept)
        if "survey" in vars(self):
            vars(lines)["survey"] = self.survey.at(texts, kept)  # each text is surveyed by itself
        return lines

    def resurveyed(self, before: Lines, source: Ints, changed: Bools) -> Lines:
        """Take the survey of unchanged texts from the lines before a change, and return these lines.

        If most texts changed, all are surveyed when that is first needed.

        Args:
            before: the lines before the change.
            source: shape (characters,): the place at which each character was before.
            changed: shape (texts,): mask of the texts that changed.

        """
        if 2 * np.count_nonzero(changed) < changed.size:
            characters = changed.repeat(self.lengths)
            found = self.keep(characters).survey
            vars(self)["survey"] = before.survey.updated(source, changed, characters, found)
        return self

    def keep(self, kept: Bools) -> Lines:
        """Return the characters selected by the mask ``kept``, shape (characters,)."""
        return self.take(kept.nonzero()[0])

    def take(self, places: Ints) -> Lines:
        """Return the characters at ``places``."""
        starts, ends, sources = (each.take(places) for each in (self.starts, self.ends, self.sources))
        return Lines(self.codes.take(places), starts, ends, sources, self.raw)

    def written(self, places: Ints) -> Codes:
        """Return the code points in the originals of the characters at ``places``."""
        return self.raw.take(self.sources[places])

    def texts(self) -> list[str]:
        """Return the texts as strings."""
        return self.joined.split("\0")[:-1]

    @property
    def joined(self) -> str:
        """All texts as one string."""
        return text_of(self.codes)

    @cached_property
    def bounds(self) -> Ints:
        """The offset at which each text ends: that of the 0 after it."""
        bounds: Ints = (self.codes == 0).nonzero()[0]
        return bounds

    @cached_property
    def lengths(self) -> Ints:
        """The length of each text, including the 0 after it."""
        return differences(self.bounds + 1)

    @cached_property
    def numbers(self) -> Numbers:
        """The numbers of the characters, with an `END` after each text."""
        numbers = tables().numbers.take(self.codes)
        numbers[self.bounds] = END
        return numbers

    @cached_property
    def survey(self) -> Survey:
        """The marks of disguise."""
        return survey(self.codes, self.numbers, self.bounds, self.sources, self.raw)


def folded(texts: Sequence[str]) -> Lines:
    """Return texts as the table of characters alone reads them."""
    raw, ends = concatenated(texts)
    codes = normalization_table().take(raw)
    kept = codes != DROPPED
    kept[ends] = True
    at = kept.nonzero()[0]
    if np.count_nonzero(raw) < raw.size - ends.size:  # zeros in texts are no ends
        raw = np.where(raw == 0, SKIPPED, raw)
        raw[ends] = 0
    return Lines(codes.take(at), at, at + 1, at, raw)


def markup_of(lines: Lines) -> Bools:
    """Return a mask of the characters that are mark-up, because what stood between them is gone or elsewhere."""
    read = code_points("".join(f"{without_markup(text)}\0" for text in lines.texts()))
    found: Bools = (read == 0) & (lines.codes != 0)
    return found
