"""Repair disguises that hide words from machines, in the few texts that carry marks of disguise.

The character table (`fraudscan.characters`) reads ``ＶＸ``, ``①⑧⑧``, ``投資`` and zero-width marks. Other disguises
show only in how characters go together: ``投·资·理·财``, ``人言用`` for ``信用``, ``返荔`` for ``返利``, ``touzi``,
``薇信``. All of them leave pairs that ordinary Chinese does not have (`fraudscan.neighbours`), except what stands
between many characters: ``投1资1理1财``. Texts without such marks are not changed. In the others, `fraudscan.survey`
finds the places that repair works on. What is odd about a text is a share of the text, so parts of a text are looked at
and repaired by themselves, too: otherwise a disguised lure would be safe in a long harmless text.

Repair works on the code points of many texts at once. It drops what cuts words. It puts texts in order that are written
backwards or in columns. It replaces disguised contacts by their names, followed by a noncharacter that marks them. For
everything else, a lattice offers other readings: of syllables and initials in Latin or Bopomofo, of the parts of a
character, of a character by its sound or else by its shape, and of a picture by what it shows or sounds like. Repair
reads the likeliest path through the lattice (`fraudscan.lattice`): a noisy channel (Shannon 1948).

>>> normalize("投·资·理·财，稳·赚·不·赔").text
'投资理财,稳赚不赔'
>>> [(repair.start, repair.text) for repair in normalize("您好，请加薇信").repairs]
[(5, '薇信')]
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fraudscan.arrays import cuts, differences, ranges, runs_of
from fraudscan.characters import (
    DROPPED,
    MARKUP_OPENERS,
    code_points,
    concatenated,
    is_han,
    normalization_table,
    text_of,
    text_sizes,
    without_markup,
)
from fraudscan.features import Vocabulary
from fraudscan.lattice import EVERY, SHAPE, SOUND, Arcs, likeliest
from fraudscan.lazy import cached_property, shared
from fraudscan.neighbours import END, LETTER, MISSING, NAT, NOTHING, PUNCTUATION, RARE, TONES, WHOLE, scores_of, tables
from fraudscan.survey import MIN_MARKS, Mark, survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fraudscan.arrays import Bools, Codes, Ints, Marks, Numbers
    from fraudscan.neighbours import Tables
    from fraudscan.survey import Survey

__all__ = ["MAX_REPAIRED", "Normalized", "Repair", "Repaired", "normalize", "repaired", "undisguise", "unmarked"]

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

WORTH, MIN_WORTH = 1.25 * NAT, 20 * NAT
"""How much likelier a text with odd pairs must be as repaired than as written: per doubtful character, and the minimum
for the whole text. Of held-out messages of the corpus disguised by homophones, 94 in a hundred are read as repaired. Of
honest ones, one in three thousand is: dialect, writing of a hundred years ago, and terms of crafts."""

PART_SIZE = 40
"""About how many Chinese characters a part of a text has that is repaired by itself: half as many to twice as many."""

CHANGED = round(-3.5 * NAT)
"""Log-score of reading a character that sounds like the written one, or one that looks like it. This and the log-scores
below are logarithms of probabilities, in the unit of `NAT`."""

JOINED = -NAT
"""Log-score of reading one character in place of its parts."""

PICTURED = -5 * NAT
"""Log-score of reading a character that a picture may stand for."""

PASSED = -NAT
"""Log-score of skipping a sign, as if the characters before and after it were neighbours."""

KEPT_SYLLABLE, KEPT_INITIAL, KEPT_PICTURE, KEPT_DIGIT = -16 * NAT, -11 * NAT, -8 * NAT, -16 * NAT
"""Log-scores of leaving as they are: letters that may be a syllable, a letter that may be an initial, a picture
that may stand for a character, and the digit of a keycap."""

MIN_LINES = 2
"""Minimum number of lines of a text that is written in columns."""

BREAKS = [0, *map(ord, "\n\v\f\r\x85\u2028\u2029")]
"""What ends the line of a text that may be written in columns."""

BLANKS = list(map(ord, " \u00a0\u3000"))
"""What takes a place in a column, although it is not read."""

SKIPPED = 0x200B
"""A dropped code point to read for U+0000, which stands between texts."""

NUMERALS = "零一二三四五六七八九"
"""What a keycap may stand for: 1️⃣ for 一."""

MAX_INITIALS = 4
"""Maximum length of a run of letters that may consist of initials alone."""

MAX_RUN = 24
"""Maximum length of a run of letters that may spell something."""

CONTACT = "\ufdd0"
"""A noncharacter (The Unicode Standard, section 23.7). It follows a contact that was disguised: the disguise is
evidence by itself. It counts nowhere else (see `unmarked`)."""

CONTACTS = (
    ("微信", "[薇葳徽溦崴微威v]心信|[薇葳徽溦崴][信芯心伈]|微[伈芯訫](?=[a-z0:号])|v[信心芯]"),
    ("微信", "(?<=加)心v[信心芯]|[威维卫][信心](?=[:号]?[a-z0]{5})|微心(?=[:号]?[a-z0]{5})"),
    ("微信", "(?<=加)[薇葳溦崴徽威](?![信芯心风海廉尔])"),
    ("加微信", "十[薇葳溦崴徽威](?![信芯心风海廉尔])"),
    ("加微信", "加(?:[威维卫][信心]|卫星|绿泡泡|小绿|绿色软件|心(?=[:号]?[a-z0]{5}))"),
    ("qq", "[扣抠蔻][扣抠蔻]|球球(?=[:号]?0{5})|企鹅(?=[:号]?0{5})"),
    ("支付宝", "[支之知芝][付富傅][宝葆饱](?<!支付宝)"),
    ("抖音", "[抖斗][音阴因](?<!抖音)(?=[:号]?[a-z0]{5})"),
    ("群", "(?<=[进加入])裙|君羊"),
)
"""Contacts, which a lure needs most, and how they are disguised: names, and patterns of normalised text. They are tried
where the table of neighbours has a pair that reveals a disguised contact (``tools/build_disguise.py``)."""

ACCOUNT = ":?[a-z0]{5}"
"""Pattern of what follows a contact: an account."""

WORDS = (
    f"(?<=[增参更附施追强愈倍叠累])加(?!绿泡泡|(?:[威维卫][信心]|心)号?{ACCOUNT}|(?<=参加)[威维卫][信心]群)",
    "(?<=[增参更附施追强愈倍叠累]加)[薇葳溦崴徽威](?![信芯心伈])|(?<=[增更追叠]加)裙",
    "(?<=[一二三四五六七八九几第])十",
    "[加十]?(?:威[胁慑望严武猛士化尼亚灵斯]|徽[章标州派菜商墨])",
    "加?(?:卫星(?:定位|导|云|电[视话]|通[信讯])|小绿[植萝豆瓶])",
    f"(?<=0)v信号(?!{ACCOUNT})",
    f"(?<=[a-uw-z])v[信心](?!号?{ACCOUNT})",
    f"扣扣[子好上错紧](?!{ACCOUNT})|抠抠[搜索](?!索?{ACCOUNT})",
    "裙[子摆带装裤]",
)
"""Patterns of ordinary words, in which there is no disguised contact: 增加威胁, 参加卫星发射, 二十徽章, KTV信息."""

REACH = 12
"""How many characters a pattern may look at, from a mark on: more than any of `CONTACTS` needs."""


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
        text: the normalised text.
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


def unmarked(texts: Sequence[str]) -> Sequence[str]:
    """Return texts with a dropped character in place of each `CONTACT` that does not follow a contact's name.

    Anybody could write it, to make a message suspicious. After a name it stays, as repaired texts have it there.
    """
    if not any(CONTACT in text for text in texts):
        return texts
    return [_misplaced().sub("\0", text) for text in texts]


@cache
def _misplaced() -> re.Pattern[str]:
    """Return a pattern of each `CONTACT` that does not follow a contact's name, where repair would have put it."""
    return re.compile("".join(f"(?<!{name})" for name, _ in CONTACTS) + CONTACT)


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
    plain = _folded(texts)
    marks = _marks_of(texts)
    found = _repaired(texts, marks).get(0) if marks.any() else None
    lines = found.lines if found else plain
    repairs = tuple(_changes(text, plain, lines)) if found else ()
    return Normalized(lines.texts()[0], lines.starts[:-1], lines.ends[:-1], repairs)


def numbers_of(texts: Sequence[str]) -> Numbers:
    """Return the numbers of the kept characters of ``texts``, with an `END` after each text."""
    return _folded(texts).numbers


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


@dataclass(frozen=True)
class _Lines:
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

    def at(self, texts: Bools) -> _Lines:
        """Return the texts selected by the mask ``texts``, shape (texts,)."""
        if texts.all():
            return self
        kept = texts.repeat(self.lengths)
        lines = self.keep(kept)
        if "survey" in vars(self):
            vars(lines)["survey"] = self.survey.at(texts, kept)  # each text is surveyed by itself
        return lines

    def resurveyed(self, before: _Lines, source: Ints, changed: Bools) -> _Lines:
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

    def keep(self, kept: Bools) -> _Lines:
        """Return the characters selected by the mask ``kept``, shape (characters,)."""
        return self.take(kept.nonzero()[0])

    def take(self, places: Ints) -> _Lines:
        """Return the characters at ``places``."""
        starts, ends, sources = (each.take(places) for each in (self.starts, self.ends, self.sources))
        return _Lines(self.codes.take(places), starts, ends, sources, self.raw)

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


def _folded(texts: Sequence[str]) -> _Lines:
    raw, ends = concatenated(texts)
    codes = normalization_table().take(raw)
    kept = codes != DROPPED
    kept[ends] = True
    at = kept.nonzero()[0]
    if np.count_nonzero(raw) < raw.size - ends.size:  # zeros in texts are no ends
        raw = np.where(raw == 0, SKIPPED, raw)
        raw[ends] = 0
    return _Lines(codes.take(at), at, at + 1, at, raw)


class Repaired(NamedTuple):
    """A text that repair changed. It keeps all texts that were repaired with it in memory.

    Attributes:
        text: the repaired text, normalised.
        lines: the lines that it belongs to.
        place: its index in them.
        origin: the offset of its original in the joined originals.

    """

    text: str
    lines: _Lines
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


def _odd_throughout(lines: _Lines) -> Bools:
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
    lines = _folded(texts)
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
    plain = _folded([read])
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
        raw = _folded([text]).raw
        starts, ends, sources = before.starts[starts], before.ends[ends - 1], before.sources[sources]
    lines = _Lines(codes, starts, ends, sources, raw)
    if any(opener in lines.joined for opener in MARKUP_OPENERS):
        lines = lines.keep(~_markup(lines))
    return Repaired(lines.texts()[0], lines, 0, 0)


def _lines_of(texts: Sequence[str]) -> tuple[_Lines, Ints]:
    """Return texts as lines, and the offset of each in the joined originals."""
    sizes = text_sizes(texts) + 1
    return _folded(texts), sizes.cumsum() - sizes


def _settled(lines: _Lines, origins: Ints) -> dict[int, Repaired]:
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


def _round(lines: _Lines) -> _Lines:
    return _drop_misplaced(_read_likeliest(_name_contacts(_put_in_order(_drop_separators(lines)))))


def _drop_separators(lines: _Lines) -> _Lines:
    cutting = lines.survey.flags & Mark.CUTS
    if not cutting.any():
        return lines
    kept = cutting == 0
    found = lines.keep(kept)
    if any(opener in found.joined for opener in MARKUP_OPENERS):
        kept[kept] = ~_markup(found)
        found = lines.keep(kept)
    return found.resurveyed(lines, kept.nonzero()[0], found.lengths < lines.lengths)


def _markup(lines: _Lines) -> Bools:
    """Return a mask of the characters that are mark-up, because what stood between them is gone or elsewhere."""
    read = code_points("".join(f"{without_markup(text)}\0" for text in lines.texts()))
    found: Bools = (read == 0) & (lines.codes != 0)
    return found


def _put_in_order(lines: _Lines) -> _Lines:
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
        kept = ~_markup(found)
        found, order = found.keep(kept), order[kept]
    return found.resurveyed(lines, order, changed)


def _reading_order(lines: _Lines) -> tuple[Ints, Bools]:
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


def _columns(lines: _Lines, begins: Ints, ends: Ints) -> Iterator[tuple[Ints, Ints]]:
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


def _name_contacts(lines: _Lines) -> _Lines:
    """Replace disguised contacts by their names, each followed by `CONTACT`."""
    places = lines.survey.places(Mark.CONTACT).tolist()
    if not places:
        return lines
    edits = list(_named_contacts(lines.joined, places))
    if not edits:
        return lines
    begin, end = np.array([edit[:2] for edit in edits]).T
    sizes = np.array([len(edit[2]) for edit in edits])
    counts = np.ones(lines.codes.size, dtype=np.int64)
    counts[ranges(begin, end)[0]] = 0
    counts[begin] = sizes
    ends = lines.ends.copy()
    ends[begin] = ends[end - 1]
    source = np.arange(counts.size).repeat(counts)
    codes = lines.codes[source]
    first = (np.cumsum(counts) - counts)[begin]
    codes[ranges(first, first + sizes)[0]] = code_points("".join(edit[2] for edit in edits))
    changed = np.zeros(lines.bounds.size, dtype=bool)
    changed[lines.bounds.searchsorted(begin)] = True
    return replace(lines.take(source), codes=codes, ends=ends[source]).resurveyed(lines, source, changed)


def _named_contacts(text: str, places: Iterable[int]) -> Iterator[tuple[int, int, str]]:
    """Yield the begins and ends of the disguised contacts next to ``places``, in order, and what is read there."""
    known = frozenset(_contacts().pattern)
    done = 0
    for place in places:
        if not known.issuperset(text[place : place + 2]):
            continue  # another pair of rare characters: they share a number
        tried = (_contacts().match(text, start, place + REACH) for start in range(max(done, place - 1), place + 2))
        match = next(filter(None, tried), None)
        if match and match.lastindex:
            done = match.end()
            yield match.start(), done, CONTACTS[match.lastindex - 1][0] + CONTACT


@cache
def _contacts() -> re.Pattern[str]:
    patterns = "|".join(f"({pattern})" for _, pattern in CONTACTS)
    return re.compile(f"(?!{'|'.join(WORDS)})(?:{patterns})")


def _drop_misplaced(lines: _Lines) -> _Lines:
    """Drop each `CONTACT` whose contact is read otherwise now."""
    places = (lines.codes == ord(CONTACT)).nonzero()[0].tolist()
    text = lines.joined if places else ""
    misplaced = [place for place in places if _misplaced().match(text, place)]
    if not misplaced:
        return lines
    kept = np.ones(lines.codes.size, dtype=bool)
    kept[misplaced] = False
    return lines.keep(kept)


class _Arcs(NamedTuple):
    """Arcs of one kind, which offer other readings of what was written.

    Attributes:
        starts: the offset at which each arc begins.
        sizes: the number of characters each arc covers.
        rows: the row of `Tables.choices` that holds what may be read there.
        score: the log-score of every arc, in the unit of `NAT`.
        keeping: the log-score of reading the characters under an arc as they were written, in the same unit.
        channel: the channel of every arc (see `fraudscan.lattice`).

    """

    starts: Ints
    sizes: Ints
    rows: Ints | Codes | Numbers
    score: int = 0
    keeping: int = 0
    channel: int = EVERY


def _read_likeliest(lines: _Lines) -> _Lines:
    """Read each text in the likeliest way.

    A text with many odd pairs (`Survey.heavy`) is left as written unless another reading is far likelier (`WORTH`).
    """
    numbers = lines.numbers
    heavy = lines.survey.heavy
    doubted = lines.survey.places(Mark.DOUBTFUL)
    offered = itertools.chain(_alike(lines, doubted), _spelled_arcs(lines), _shown(lines), _passing(lines))
    arcs = [each for each in offered if each.starts.size]
    if not arcs:
        return lines
    begins, read, gains = likeliest(numbers, _as_written(arcs, numbers.size), _joined(arcs))
    if heavy.any():
        asked = np.bincount(lines.bounds.searchsorted(doubted), minlength=lines.bounds.size)
        refused = (heavy & (gains < np.maximum(WORTH * asked, MIN_WORTH))).repeat(lines.lengths)
        if refused.any():
            own, kept = refused.nonzero()[0], ~refused[begins]
            begins, read = np.append(begins[kept], own), np.append(read[kept], numbers[own])
            in_order = begins.argsort(kind="stable")
            begins, read = begins[in_order], read[in_order]
    last = np.append(begins[1:], numbers.size) - 1
    codes = np.where(read < RARE, tables().codes.take(read), lines.codes.take(begins))
    return replace(lines.take(begins), codes=codes, ends=lines.ends.take(last))


def _as_written(arcs: Sequence[_Arcs], size: int) -> Ints:
    """Return the log-scores of reading each of ``size`` characters as written, shared among those under an arc."""
    scores = np.zeros(size, dtype=np.int64)
    for each in arcs:
        if each.keeping:
            places, _ = ranges(each.starts, each.starts + each.sizes)
            scores[places] += (each.keeping // each.sizes).repeat(each.sizes)
    return scores


def _joined(arcs: Sequence[_Arcs]) -> Arcs:
    """Join arcs of several kinds."""
    starts = np.concatenate([each.starts for each in arcs])
    ends = starts + np.concatenate([each.sizes for each in arcs])
    rows = np.concatenate([each.rows for each in arcs], dtype=np.int64)
    sizes = [each.starts.size for each in arcs]
    scores = np.array([each.score for each in arcs], dtype=np.int64).repeat(sizes)
    return Arcs(starts, ends, rows, scores, np.array([each.channel for each in arcs], dtype=np.uint8).repeat(sizes))


def _alike(lines: _Lines, doubted: Ints) -> Iterator[_Arcs]:
    """Yield arcs for the ``doubted`` characters, by sound and by shape, and for the parts of a character."""
    if not lines.survey.heavy.any():
        return
    codes = lines.codes[doubted]
    for rows, channel in ((tables().sound, SOUND), (tables().shape, SHAPE)):
        yield _Arcs(doubted, np.ones_like(doubted), rows[codes], CHANGED, channel=channel)
    for size, wholes in enumerate(lines.survey.wholes, 2):
        starts = (wholes != NOTHING).nonzero()[0]
        yield _Arcs(starts, np.full_like(starts, size), wholes[starts], JOINED)


def _spelled_arcs(lines: _Lines) -> Iterator[_Arcs]:
    """Yield arcs for what syllables and initials may stand for, in texts that are spelled out."""
    codes, bounds = lines.codes, lines.bounds
    spelled_out = lines.survey.spelled_out
    if not spelled_out.any():
        return
    letters = ((lines.numbers == LETTER) & spelled_out.repeat(lines.lengths)).nonzero()[0]
    begin, end = runs_of(letters)
    beside = (is_han(codes[begin - 1]) | is_han(codes[end])) & (end - begin <= MAX_RUN)
    beside &= lines.survey.flags[begin] & Mark.LABEL == 0
    begin, end = begin[beside], end[beside]
    if not begin.size:
        return
    runs = _cut_out(codes, begin, end)
    kinds = {run: kind for kind, run in enumerate(dict.fromkeys(runs))}  # most runs occur many times in a batch
    kind = np.array([kinds[run] for run in runs])
    table = tables()
    found = [_spelled(run, table) for run in kinds]
    counts = np.array([len(pieces) for pieces in found])
    text = bounds.searchsorted(begin)
    reads = np.bincount(text, counts[kind] > 0)
    read = ((reads >= MIN_MARKS) & (3 * reads >= np.bincount(text)))[text] & (counts[kind] > 0)
    begin, kind = begin[read], kind[read]
    last = counts.cumsum()[kind]
    pieces, counts = ranges(last - counts[kind], last)
    spelled = list(itertools.chain.from_iterable(found))
    sizes, rows = np.array(spelled, dtype=np.int64).reshape(-1, 2)[pieces].T
    starts = sizes.cumsum() - sizes  # as if one run followed the other
    starts += (begin - starts[counts.cumsum() - counts]).repeat(counts)
    for at, keeping in ((sizes == 1, KEPT_INITIAL), (sizes > 1, KEPT_SYLLABLE)):
        yield _Arcs(starts[at], sizes[at], rows[at], keeping=keeping)


def _cut_out(codes: Codes, begin: Ints, end: Ints) -> list[str]:
    """Return the runs of letters from each begin to its end."""
    places, sizes = ranges(begin, end + 1)
    letters = codes.take(places)
    letters[sizes.cumsum() - 1] = ord(" ")  # in place of what follows each run
    return text_of(letters).split(" ")[:-1]


@lru_cache(maxsize=1 << 15)
def _spelled(run: str, table: Tables) -> tuple[tuple[int, int], ...]:
    """Return the sizes and the rows of the syllables and initials that make up a run of letters.

    There are none in runs that are words, in runs that syllables and initials do not cover, nor in runs of more than
    `MAX_INITIALS` letters that consist mainly of single ones, as many English words do.
    """
    if len(run) > 1 and run in table.latin:
        return ()
    found = table.pinyin.findall(run)
    if sum(map(len, found)) < len(run):
        return ()
    spellings = [piece.rstrip(TONES) for piece in found]
    if len(run) > MAX_INITIALS and 2 * sum(len(spelling) == 1 for spelling in spellings) > len(found):
        return ()
    return tuple((len(piece), table.spellings[spelling]) for piece, spelling in zip(found, spellings, strict=True))


def _shown(lines: _Lines) -> Iterator[_Arcs]:
    """Yield arcs for what pictures and keycaps may stand for."""
    pictures, keys = lines.survey.places(Mark.PICTURE), lines.survey.places(Mark.KEYCAP)
    if not pictures.size + keys.size:
        return
    rows = tables().picture[lines.written(pictures)]
    chinese = lines.numbers[pictures] <= RARE
    for at, keeping in ((~chinese, KEPT_PICTURE), (chinese, 0)):
        yield _Arcs(pictures[at], np.ones_like(pictures[at]), rows[at], PICTURED, keeping)
    numerals = tables().numbers[code_points(NUMERALS)[lines.written(keys) - ord("0")]]
    yield _Arcs(keys, np.ones_like(keys), numerals, keeping=KEPT_DIGIT)


def _passing(lines: _Lines) -> Iterator[_Arcs]:
    """Yield arcs that skip a sign: the sign and the character after it are read as that character."""
    signs = lines.survey.places(Mark.MAY_CUT)
    if signs.size:
        yield _Arcs(signs, np.full_like(signs, 2), lines.numbers[signs + 1], PASSED)


def _changes(text: str, plain: _Lines, read: _Lines) -> Iterator[Repair]:
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
