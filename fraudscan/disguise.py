"""Repair disguises that hide words from machines, in the few texts that carry marks of disguise.

The character table (`fraudscan.characters`) reads ``ＶＸ``, ``①⑧⑧``, ``投資`` and zero-width marks. Other disguises
show only in how characters go together: ``投·资·理·财``, ``人言用`` for ``信用``, ``返荔`` for ``返利``, ``touzi``,
``薇信``. All of them leave pairs that ordinary Chinese does not have (`fraudscan.neighbours`), except what stands
between many characters: ``投1资1理1财``. Texts without such marks are not changed. In the others, `fraudscan.survey`
finds the places that repair works on. What is odd about a text is a share of the text, so parts of a text are looked at
and repaired by themselves, too: otherwise a disguised lure would be safe in a long harmless text.

Repair works on many texts at once (`fraudscan.lines`). It drops what cuts words, puts texts in order that are written
backwards or in columns (`fraudscan.order`), and replaces disguised contacts by their names (`fraudscan.contacts`).
Everything else is read in the likeliest way (`fraudscan.readings`): a noisy channel (Shannon 1948).

>>> normalize("投·资·理·财，稳·赚·不·赔").text
'投资理财,稳赚不赔'
>>> [(repair.start, repair.text) for repair in normalize("您好，请加薇信").repairs]
[(5, '薇信')]
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fraudscan.arrays import cuts, differences, ranges
from fraudscan.characters import MARKUP_OPENERS, code_points, text_sizes
from fraudscan.contacts import drop_misplaced, name_contacts, unmarked
from fraudscan.features import Vocabulary
from fraudscan.lazy import shared
from fraudscan.lines import Lines, folded, markup_of
from fraudscan.neighbours import PUNCTUATION, RARE, WHOLE, tables
from fraudscan.order import put_in_order
from fraudscan.readings import read_likeliest
from fraudscan.survey import Mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fraudscan.arrays import Bools, Ints, Marks
    from fraudscan.neighbours import Tables

__all__ = ["MAX_REPAIRED", "Normalized", "Repair", "Repaired", "is_long", "normalize", "repaired", "undisguise"]

MAX_REPAIRED = 4096
"""Maximum length of a text that is repaired, as the model reads it, without dropped characters and long repetitions:
people who hide words write messages, not books."""

MAX_WRITTEN = 64 * MAX_REPAIRED
"""Maximum length of such a text as it is written."""

BATCH = 1 << 16
"""About how many characters are repaired at a time: enough to be worth the cost of the calls, and few enough for the
arrays to stay in the caches."""

MAX_ROUNDS = 8
"""Maximum number of rounds. Repair is repeated until nothing changes; if a text needs more rounds, its repair is taken
for a mistake and discarded."""


PART_SIZE = 40
"""About how many Chinese characters a part of a text has that is repaired by itself: half as many to twice as many."""


class Repair(NamedTuple):
    """A span of the original text that is not read as the character table alone reads it, and what it is read as.

    ``start`` and ``end`` count code points, as Python does, not UTF-16 units.
    """

    start: int
    end: int
    text: str
    read_as: str


@dataclass(frozen=True, eq=False)  # comparing arrays does not give a single truth value
class Normalized:
    """A text as the model reads it.

    Attributes:
        text: the normalised text. Digits are read as 0, and U+FDD0 follows a contact that was disguised.
        starts: for each character of ``text``, the offset in the original at which the characters it stands for begin.
        ends: for each character of ``text``, the offset in the original at which they end.
        repairs: the disguises that were repaired, beyond what the character table does, in order.

    """

    text: str
    starts: Ints
    ends: Ints
    repairs: tuple[Repair, ...]


def undisguise(texts: Sequence[str]) -> list[str]:
    """Return the texts. Those that repair changes are returned repaired and normalised, the others as they are."""
    found, texts = list(texts), unmarked(texts)
    marks = _marks_of(texts)
    marked = marks.nonzero()[0].tolist()
    for index, read in repaired([texts[i] for i in marked], marks[marked]).items():
        found[marked[index]] = read.text
    return found


def repaired(texts: Sequence[str], marks: Marks) -> dict[int, Repaired]:
    """Return the texts that repair changes, repaired and normalised, by their index.

    Args:
        texts: texts that carry marks of disguise. Many texts carry marks although they are not disguised.
        marks: shape (texts,): how much of each carries them, as `fraudscan.neighbours.marks_of` returns it.

    """
    found: dict[int, Repaired] = {}
    for part in cuts(text_sizes(texts), BATCH):
        found.update({part.start + index: read for index, read in _repaired(texts[part], marks[part]).items()})
    return found


def normalize(text: str) -> Normalized:
    """Return ``text`` as the model reads it, and the disguises that were repaired.

    Normalising the result again changes nothing. Texts of more than `MAX_REPAIRED` characters, not counting dropped
    ones and long repetitions, or of more than `MAX_WRITTEN` in all, are read by the character table alone. The model
    reads only the first four of many repetitions in a row, but this function returns all of them.

    >>> normalize("加 ＶＸ：①⑧⑧").text
    '加vx:000'
    >>> read = normalize("请联系薇芯xy2000")
    >>> read.text, read.repairs
    ('请联系微信\ufdd0xy0000', (Repair(start=3, end=5, text='薇芯', read_as='微信\ufdd0'),))
    >>> read.starts.tolist()
    [0, 1, 2, 3, 3, 3, 5, 6, 7, 8, 9, 10]

    Raises:
        TypeError: if ``text`` is not a string.

    """
    if not isinstance(text, str):
        raise TypeError(f"normalize takes one text as str, not {type(text).__name__}")
    texts = unmarked([text])
    plain = folded(texts)
    marks = _marks_of(texts)
    found = _repaired(texts, marks).get(0) if marks.any() else None
    lines = found.lines if found else plain
    repairs = tuple(_changes(text, plain, lines)) if found else ()
    return Normalized(lines.texts()[0], lines.starts[:-1], lines.ends[:-1], repairs)


def _marks_of(texts: Sequence[str]) -> Marks:
    """Return which texts carry marks of disguise (`fraudscan.neighbours.marks_of`); 0 for texts that are too long."""
    return _reader(tables()).match(["" if is_long(text) else text for text in texts]).marked


def _carry_marks(texts: Sequence[str]) -> Bools:
    """Return a mask of the texts that carry marks of disguise as a whole, and are not too long to be repaired."""
    marked: Bools = _marks_of(texts) == WHOLE
    return marked


@shared
def _reader(_: Tables) -> Vocabulary:
    """Return a vocabulary without n-grams. Like every other, it cuts repetitions before it looks for marks."""
    return Vocabulary([], [])


def is_long(text: str) -> bool:
    """Return whether ``text`` is too long to be repaired (`MAX_REPAIRED`, `MAX_WRITTEN`)."""
    if not MAX_REPAIRED < len(text) <= MAX_WRITTEN:
        return len(text) > MAX_WRITTEN
    return bool(_reader(tables()).match([text]).lengths[0] > MAX_REPAIRED)


class Repaired(NamedTuple):
    """A text that repair changed. It keeps all texts that were repaired with it in memory.

    Attributes:
        text: the repaired text, normalised.
        lines: the lines that it belongs to.
        place: its index in them.
        origin: the offset of its original in the joined originals.

    """

    text: str
    lines: Lines
    place: int
    origin: int

    @property
    def starts(self) -> Ints:
        """For each character of ``text`` and its end, the offset in the original at which what it stands for begins."""
        return self.lines.starts[self._part] - self.origin

    @property
    def ends(self) -> Ints:
        """For each character of ``text`` and its end, the offset in the original at which what it stands for ends."""
        return self.lines.ends[self._part] - self.origin

    @property
    def sources(self) -> Ints:
        """For each character of ``text`` and its end, the offset in the original of the first that it stands for."""
        return self.lines.sources[self._part] - self.origin

    @property
    def _part(self) -> slice:
        end = int(self.lines.bounds[self.place])
        return slice(end - len(self.text), end + 1)


def _repaired(texts: Sequence[str], marks: Marks) -> dict[int, Repaired]:
    """Repair texts, as a whole and in parts, and return those that change, by their index.

    The whole comes first if it shows where it is disguised, or if all parts carry marks of disguise, because a text
    that is written in columns has no parts. Otherwise parts do: where they are disguised in one way, the whole may look
    disguised in another. Both take turns until nothing changes; a text that still changes after `MAX_ROUNDS` turns is
    not repaired at all.
    """
    found: dict[int, Repaired] = {}
    read, active = list(texts), np.arange(len(texts))
    for _ in range(MAX_ROUNDS):
        odd = _marked_parts(read, [i for i in active[marks > 0].tolist() if len(read[i]) >= 2 * PART_SIZE])
        whole = active[marks == WHOLE]
        lines, origins = _lines_of([read[i] for i in whole])
        throughout = {i for i, parts in odd.items() if all(part.marked for part in parts)}
        throughout |= odd.keys() & set(whole[_odd_throughout(lines)].tolist())
        repairs = _repaired_parts(read, {i: parts for i, parts in odd.items() if i not in throughout})
        left = np.array([i not in repairs for i in whole.tolist()], dtype=bool)
        for at, each in _settled(lines.at(left), origins[left]).items():
            i = int(whole[left][at])
            repairs[i] = [_Part(0, len(read[i]), repair=each)]
        repairs |= _repaired_parts(read, {i: odd[i] for i in throughout.difference(repairs)})
        for i, parts in repairs.items():
            found[i] = _put_together(texts[i], read[i], found.get(i), parts)
            read[i] = found[i].text
        if not repairs:
            return found
        active = np.array(sorted(repairs))
        marks = _marks_of([read[i] for i in active])
    for i in active.tolist():
        del found[i]
    return found


class _Part(NamedTuple):
    """A part of a text: where it begins and ends, whether it carries marks of disguise, and its repair, if any."""

    begin: int
    end: int
    marked: bool = True
    repair: Repaired | None = None


def _odd_throughout(lines: Lines) -> Bools:
    """Return a mask of the texts of which the whole shows where they are disguised: by odd pairs, or cut words."""
    found = lines.survey.heavy.copy()
    found[lines.bounds.searchsorted((lines.survey.flags & Mark.CUTS).nonzero()[0])] = True
    return found


def _marked_parts(texts: Sequence[str], indices: Sequence[int]) -> dict[int, list[_Part]]:
    """Return the parts of those of the texts ``indices`` that have several, of which at least one carries marks."""
    bounds = zip(indices, _bounds_of_parts([texts[i] for i in indices]), strict=True)
    places = [(i, *part) for i, each in bounds if len(each) > 2 for part in itertools.pairwise(each)]
    marks = _carry_marks([texts[i][begin:end] for i, begin, end in places]).tolist()
    odd: dict[int, list[_Part]] = {i: [] for (i, _, _), marked in zip(places, marks, strict=True) if marked}
    for (i, begin, end), marked in zip(places, marks, strict=True):
        if i in odd:
            odd[i].append(_Part(begin, end, marked))
    return odd


def _repaired_parts(texts: Sequence[str], odd: dict[int, list[_Part]]) -> dict[int, list[_Part]]:
    """Return the parts of those texts of which repair changes a part, with their repairs."""
    marked = [(i, at) for i, parts in odd.items() for at, part in enumerate(parts) if part.marked]
    written = [texts[i][odd[i][at].begin : odd[i][at].end] for i, at in marked]
    repairs = {marked[place]: each for place, each in _settled(*_lines_of(written)).items()}
    changed = dict.fromkeys(i for i, _ in repairs)
    return {i: [part._replace(repair=repairs.get((i, at))) for at, part in enumerate(odd[i])] for i in changed}


def _bounds_of_parts(texts: Sequence[str]) -> list[list[int]]:
    """Return where the parts of each text begin, and where the text ends; parts end with punctuation if any is near."""
    bounds: list[list[int]] = [[0] for _ in texts]
    if not texts:
        return bounds
    lines = folded(texts)
    chinese = (lines.numbers <= RARE).cumsum()
    totals = differences(chinese[lines.bounds])
    counts = np.maximum(totals // PART_SIZE, 1)
    steps, sizes = ranges(np.ones_like(counts), counts)
    text = np.arange(counts.size).repeat(sizes)
    wanted = (chinese[lines.bounds] - totals)[text] + totals[text] * steps // counts[text]
    places = chinese.searchsorted(wanted)  # the last character of a part
    clauses = ((lines.numbers == PUNCTUATION) | (lines.codes == 0)).nonzero()[0]
    ends = clauses[clauses.searchsorted(places)]
    places = np.where(chinese[ends] - wanted <= PART_SIZE // 2, ends, places) + 1
    inside = places < lines.bounds[text]
    text, places = text[inside], places[inside]
    origins = np.append(0, lines.sources[lines.bounds[:-1]] + 1)
    for i, bound in zip(text.tolist(), (lines.sources[places] - origins[text]).tolist(), strict=True):
        if bound > bounds[i][-1]:
            bounds[i].append(bound)
    return [[*each, len(text)] for each, text in zip(bounds, texts, strict=True)]


def _put_together(text: str, read: str, before: Repaired | None, parts: Sequence[_Part]) -> Repaired:
    """Return what is read for a text after its parts were repaired.

    Args:
        text: the text.
        read: what was read for it before.
        before: the repair that led to ``read``; ``None`` if ``read`` is the text.
        parts: the parts of ``read``.

    """
    if before is None and len(parts) == 1 and parts[0].repair:
        return parts[0].repair
    plain = folded([read])
    columns = plain.codes, plain.starts, plain.ends, plain.sources
    done, pieces = 0, []
    for part in parts:
        if repair := part.repair:
            begin, end = plain.sources.searchsorted([part.begin, part.end]).tolist()
            pieces.append([each[done:begin] for each in columns])
            offsets = (each[:-1] + part.begin for each in (repair.starts, repair.ends, repair.sources))
            pieces.append([code_points(repair.text), *offsets])
            done = end
    pieces.append([each[done:] for each in columns])
    codes, starts, ends, sources = map(np.concatenate, zip(*pieces, strict=True))
    raw = plain.raw
    if before:
        raw = folded([text]).raw
        starts, ends, sources = before.starts[starts], before.ends[ends - 1], before.sources[sources]
    lines = Lines(codes, starts, ends, sources, raw)
    if any(opener in lines.joined for opener in MARKUP_OPENERS):
        lines = lines.keep(~markup_of(lines))
    return Repaired(lines.texts()[0], lines, 0, 0)


def _lines_of(texts: Sequence[str]) -> tuple[Lines, Ints]:
    """Return texts as lines, and the offset of each in the joined originals."""
    sizes = text_sizes(texts) + 1
    return folded(texts), sizes.cumsum() - sizes


def _settled(lines: Lines, origins: Ints) -> dict[int, Repaired]:
    """Repair texts until nothing changes, and return those that repair changed, by their index.

    A text that still changes after `MAX_ROUNDS` rounds is not repaired at all.
    """
    found: dict[int, Repaired] = {}
    plain: dict[int, str] = {}
    owners = np.arange(origins.size)
    for _ in range(MAX_ROUNDS):
        repairable = lines.survey.repairable
        if not repairable.any():
            break
        lines, owners = lines.at(repairable), owners[repairable]
        before, done = lines.texts(), _round(lines)
        read = done.texts()
        for place, owner in enumerate(owners.tolist()):
            plain.setdefault(owner, before[place])
            found[owner] = Repaired(read[place], done, place, int(origins[owner]))
        changed = [place for place, text in enumerate(read) if text != before[place]]
        again = np.zeros(owners.size, dtype=bool)
        again[changed] = _carry_marks([read[place] for place in changed])  # which hardly any do
        lines, owners = done.at(again), owners[again]
    else:
        for owner in owners[lines.survey.repairable].tolist():
            del found[owner]
    return {owner: each for owner, each in sorted(found.items()) if each.text != plain[owner]}


def _round(lines: Lines) -> Lines:
    return drop_misplaced(read_likeliest(name_contacts(put_in_order(_drop_separators(lines)))))


def _drop_separators(lines: Lines) -> Lines:
    cutting = lines.survey.flags & Mark.CUTS
    if not cutting.any():
        return lines
    kept = cutting == 0
    found = lines.keep(kept)
    if any(opener in found.joined for opener in MARKUP_OPENERS):
        kept[kept] = ~markup_of(found)
        found = lines.keep(kept)
    return found.resurveyed(lines, kept.nonzero()[0], found.lengths < lines.lengths)


def _changes(text: str, plain: Lines, read: Lines) -> Iterator[Repair]:
    """Yield the spans of ``text`` that are not read as the character table reads them."""
    expected = dict(zip(plain.starts.tolist(), plain.codes.tolist(), strict=True))
    starts, codes = read.starts.tolist(), read.codes.tolist()
    found = zip(starts, read.ends.tolist(), codes, strict=True)
    same = {start for start, end, code in found if end == start + 1 and expected.get(start) == code}
    begin = None
    for place in expected:
        if place not in same:
            begin = place if begin is None else begin
            last = place + 1
        elif begin is not None:
            read_as = codes[bisect_left(starts, begin) : bisect_left(starts, last)]
            yield Repair(begin, last, text[begin:last], "".join(map(chr, read_as)))
            begin = None
