"""Find texts that are written backwards or in columns, and put them in order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fraudscan.arrays import differences, ranges
from fraudscan.characters import DROPPED, MARKUP_OPENERS, normalization_table
from fraudscan.lines import markup_of
from fraudscan.neighbours import END, MISSING, RARE, scores_of, tables
from fraudscan.readings import MIN_WORTH, WORTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fraudscan.arrays import Bools, Ints, Numbers
    from fraudscan.lines import Lines

__all__ = ["put_in_order"]

MIN_LINES = 2
"""Minimum number of lines of a text that is written in columns."""

BREAKS = [0, *map(ord, "\n\v\f\r\x85\u2028\u2029")]
"""What ends the line of a text that may be written in columns."""

BLANKS = list(map(ord, " \u00a0\u3000"))
"""What takes a place in a column, although it is not read."""


def put_in_order(lines: Lines) -> Lines:
    """Put texts into the order in which they are read.

    In those that change, each character stands for the whole text, because offsets must ascend.
    """
    if not lines.survey.loose.any():
        return lines
    order, changed = _reading_order(lines)
    if not changed.any():
        return lines
    inside = changed.repeat(lines.lengths) & (lines.codes != 0)
    first = lines.bounds + 1 - lines.lengths
    starts = np.where(inside, lines.starts[first].repeat(lines.lengths), lines.starts)
    ends = np.where(inside, lines.ends[lines.bounds - 1].repeat(lines.lengths), lines.ends)
    found = replace(lines.take(order), starts=starts, ends=ends)
    if any(opener in found.joined for opener in MARKUP_OPENERS):
        kept = ~markup_of(found)
        found, order = found.keep(kept), order[kept]
    return found.resurveyed(lines, order, changed)


def _reading_order(lines: Lines) -> tuple[Ints, Bools]:
    """Return the places of all characters in the order in which texts are read, and a mask of the texts that change.

    A text is read backwards, or in columns from the left or from the right, if its characters hardly go together as
    they are written (`Survey.loose`), and far better in that order: by half of `WORTH` per character, and `MIN_WORTH`.
    In the corpus only texts that are written so gain that much.
    """
    changed = lines.survey.loose.copy()
    ends, lengths = lines.bounds[changed], lines.lengths[changed]
    begins = ends + 1 - lengths
    places, _ = ranges(begins, ends + 1)
    numbers = lines.numbers[places]
    before = np.roll(numbers, 1)  # the first text follows an end, too
    at = (numbers == END).nonzero()[0]
    least = _fit(before, numbers, at) + np.maximum(WORTH / 2 * lengths, MIN_WORTH)
    best = np.maximum(least, _fit(numbers, before, at))
    order = np.arange(lines.codes.size)
    turned = best > least
    backwards, sizes = ranges(begins[turned], ends[turned])
    order[backwards] = (begins + ends - 1)[turned].repeat(sizes) - backwards
    for texts, tried in _columns(lines, begins, ends):
        numbers = lines.numbers[tried]
        fit = _fit(np.roll(numbers, 1), numbers, (numbers == END).nonzero()[0])
        better = (fit > best[texts]).repeat(lengths[texts])
        order[ranges(begins[texts], ends[texts] + 1)[0][better]] = tried[better]
        best[texts] = np.maximum(best[texts], fit)
    changed[changed] = best > least
    return order, changed


def _columns(lines: Lines, begins: Ints, ends: Ints) -> Iterator[tuple[Ints, Ints]]:
    """Yield which of some texts have at least `MIN_LINES`, and the places of their characters, read in columns.

    They are read from the left, and from the right.
    """
    places, sizes = ranges(begins, ends + 1)
    first = np.minimum.reduceat(lines.sources[places], sizes.cumsum() - sizes)  # it may have been put elsewhere
    last = lines.sources[ends]
    breaks = np.isin(lines.raw, BREAKS, kind="sort").nonzero()[0]  # few values: each is compared
    texts = (breaks.searchsorted(last, "right") - breaks.searchsorted(first) >= MIN_LINES).nonzero()[0]
    if not texts.size:
        return
    begins, ends, first, last = begins[texts], ends[texts], first[texts], last[texts]
    written, sizes = ranges(first, last + 1)
    characters = lines.raw[written]
    places, lengths = ranges(begins, ends + 1)
    width = ((normalization_table().take(characters) != DROPPED) | np.isin(characters, BLANKS, kind="sort")).cumsum()
    sources = lines.sources[places] - (first - sizes.cumsum() + sizes).repeat(lengths)
    breaks = np.isin(characters, BREAKS, kind="sort").nonzero()[0]
    row = breaks.searchsorted(sources)
    column = width[sources] - np.append(0, width[breaks])[row]
    text = np.arange(ends.size).repeat(lengths)
    for key in (column, -column):
        yield texts, places[np.lexsort((row, key, lines.numbers[places] == END, text))]


def _fit(before: Numbers, numbers: Numbers, ends: Ints) -> Ints:
    """Return how well the characters of each text go together with those before them, in the unit of `NAT`.

    A Chinese character after itself counts as a pair that was never seen: columns of equal lines consist of such pairs.
    """
    scores = scores_of(before, numbers)
    scores[(before == numbers) & (numbers < RARE)] = MISSING
    total = tables().worth.take(scores.view(np.uint8)).cumsum(dtype=np.int64)
    return differences(total[ends])
