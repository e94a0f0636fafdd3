"""Repair disguises that hide words from machines, in the few texts that carry marks of disguise.

The character table (`fraudscan.characters`) reads ``ＶＸ``, ``①⑧⑧``, ``投資`` and zero-width marks. Other disguises
show only in how characters go together: ``投·资·理·财``, ``人言用`` for ``信用``, ``返荔`` for ``返利``, ``touzi``,
``薇信``. All of them leave pairs that ordinary Chinese does not have (`fraudscan.neighbours`). Texts without such
marks are not changed.

Repair works on the code points of many texts at once. It drops separators that cut words. It replaces disguised
contacts by their names, followed by a private-use character that marks them. For everything else, a lattice offers
other readings: of Latin syllables and initials, of the parts of a character, of a character by its sound or shape, and
of a picture by what it shows or sounds like. Repair reads the likeliest path through the lattice (`fraudscan.lattice`):
a noisy channel (Shannon 1948).

>>> normalize("投·资·理·财，稳·赚·不·赔").text
'投资理财,稳赚不赔'
>>> [(repair.start, repair.text) for repair in normalize("您好，请加薇信").repairs]
[(5, '薇信')]
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan.characters import DROPPED, code_points, concatenated, normalization_table, text_of
from fraudscan.lattice import Arcs, likeliest
from fraudscan.lazy import cached_property
from fraudscan.neighbours import (
    DIGIT,
    END,
    LIST,
    MOST_SIGNS,
    NAT,
    RARE,
    carry_marks,
    find_marks,
    half_keys,
    is_sign,
    ranges,
    runs_of,
    scores_of,
    split_keys,
    tables,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from fraudscan.arrays import Bools, Codes, Ints, Numbers
    from fraudscan.neighbours import Marks, Tables

__all__ = ["MAX_REPAIRED", "Normalized", "Repair", "normalize", "normalized", "repaired", "undisguise"]

MAX_REPAIRED = 4096
"""Maximum length of a text that is repaired, not counting dropped characters: people who hide words write messages,
not books."""

BATCH = 1024
"""Texts repaired per batch: enough to be worth the cost of the calls, and few enough for the arrays to stay in the
caches."""

MIN_MARKS = 3
"""Minimum number of marks of one kind, whatever the length of the text."""

ODD_SHARE = 0.1
"""Other readings of a text are tried if more than this share of its characters form odd pairs with the next character.
In held-out messages of the corpus one pair in forty is odd, and one in four where a third of the characters are
homophones. `WORTH` decides whether the text is disguised."""

CUTTING, CUTTING_FURTHER = 16, 4
"""Minimum evidence, in eighths of a nat, that a sign cuts the words of a text, and the minimum for further signs of the
same text. One honest text in fourteen hundred loses signs; half of these are advertising that really is disguised
(银_行贷_款). Where a sign follows every third character, nine texts in ten lose signs."""

CUTTING_PLACE = 8
"""Minimum evidence, in eighths of a nat, for a sign that does not cut a whole text to be weighed place by place."""

PICTORIAL = 0x2190
"""The first code point of pictorial signs, the only signs that are weighed place by place. The signs before it are on
every keyboard and are also used between words."""

MIN_CUTS = 2
"""Minimum number of places where signs cut what may be a word, before any sign of the text is dropped. The minimum is
twice as high if all of them are between single characters: 红/黄/蓝/绿."""

SPELLED_SHARE = 0.12
"""A text may be spelled out in Latin letters if the number of runs of them is more than this share of its Chinese
characters, and more than half this share of all its characters: in a program listing few characters are Chinese."""

MAX_ROUNDS = 4
"""Maximum number of rounds. Repair is repeated until nothing changes; if a text needs more rounds, its repair is taken
for a mistake and discarded."""

WORTH, MIN_WORTH = 0.9 * NAT, 17 * NAT
"""How much likelier a text with odd pairs must be as repaired than as written: per doubtful character, and the minimum
for the whole text. Of held-out messages of the corpus disguised by homophones, 92 in a hundred are read as repaired. Of
undisguised ones, one in two thousand is: dialect, writing of a hundred years ago, and terms of crafts."""

STRONG = 0
"""The score above which two neighbours are taken to belong together. A character that belongs to both its neighbours is
not doubtful."""

CHANGED = round(-4.5 * NAT)
"""Log-score of reading a character that sounds or looks like the written one. This and the log-scores below are
logarithms of probabilities, in the unit of `NAT`."""

JOINED = -NAT
"""Log-score of reading one character in place of its parts."""

SPELLED, INITIAL = -16 * NAT, -11 * NAT
"""Log-scores of leaving Latin letters as they are: letters that may be a syllable, and a letter that may be an
initial."""

PICTURED = -5 * NAT
"""Log-score of reading a character that a picture may stand for."""

PICTURE = -8 * NAT
"""Log-score of leaving such a picture as it is."""

PASSED = -NAT
"""Log-score of skipping a sign, as if the characters before and after it were neighbours."""

NAME = 3
"""How many characters of a picture's row, from the first, may be its name."""

KEYCAP, NUMERALS = 0x20E3, "零一二三四五六七八九"
"""The code point that turns the digit before it into a keycap, and the numerals a keycap may stand for: 1️⃣ for 一."""

KEY = -16 * NAT
"""Log-score of leaving the digit of a keycap as it is."""

MAX_INITIALS = 4
"""Maximum length of a run of letters that may consist of initials alone."""

MAX_RUN = 24
"""Maximum length of a run of letters that may spell something."""

CONTACT = "\ue000"
"""A private-use character that follows a contact that was disguised. The disguise is evidence by itself."""

CONTACTS = (
    ("微信", "[薇葳徽溦崴微威v]心信|[薇葳徽溦崴][信芯心伈]|微[伈芯訫](?=[a-z0:号])|v[信心芯]"),
    ("微信", "(?<=加)心v[信心芯]|[威维卫][信心](?=[:号]?[a-z0]{5})|微心(?=[:号]?[a-z0]{5})"),
    ("微信", "(?<=加)[薇葳溦崴徽威](?![信芯心风海廉尔])"),
    ("加微信", "十[薇葳溦崴徽威](?![信芯心风海廉尔])"),
    ("加微信", "加(?:[威维卫][信心]|卫星|绿泡泡|小绿|绿色软件|心(?=[:号]?[a-z0]{5}))"),
    ("qq", "[扣抠蔻][扣抠蔻]|球球(?=[:号]?0{5})|企鹅(?=[:号]?0{5})"),
    ("支付宝", "[支之知芝][付富傅][宝葆饱](?<!支付宝)|zfb"),
    ("抖音", "[抖斗][音阴因](?<!抖音)(?=[:号]?[a-z0]{5})"),
    ("群", "(?<=[进加入])裙|君羊"),
)
"""Contacts, which a lure needs most, and how they are disguised: names, and patterns of normalised text."""


class Repair(NamedTuple):
    """A span of the original text that is not read as the character table alone reads it, and what it is read as."""

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
    found = list(texts)
    marked = _marked(texts).tolist()
    for index, text in repaired([texts[i] for i in marked]).items():
        found[marked[index]] = text
    return found


def repaired(texts: Sequence[str]) -> dict[int, str]:
    """Return the texts that repair changes, repaired and normalised, by their index.

    Args:
        texts: texts that carry marks of disguise. Many texts carry marks although they are not disguised.

    """
    found: dict[int, str] = {}
    for first in range(0, len(texts), BATCH):
        part = _repaired(texts[first : first + BATCH])
        found.update({first + index: read.text for index, read in part.items()})
    return found


def normalize(text: str) -> Normalized:
    """Return ``text`` as the model reads it, and the disguises that were repaired.

    Normalising the result again changes nothing. Texts of more than `MAX_REPAIRED` characters, not counting dropped
    ones, are read by the character table alone. The model reads only the first four of many repetitions in a row, but
    this function returns all of them.

    >>> normalize("加 ＶＸ：①⑧⑧").text
    '加vx:000'
    >>> read = normalize("请联系薇芯xy2000")
    >>> read.text, read.repairs
    ('请联系微信\ue000xy0000', (Repair(start=3, end=5, text='薇芯', read_as='微信\ue000'),))
    >>> read.starts.tolist()
    [0, 1, 2, 3, 3, 3, 5, 6, 7, 8, 9, 10]

    Raises:
        TypeError: if ``text`` is not a string.

    """
    if not isinstance(text, str):
        raise TypeError(f"normalize takes one text as str, not {type(text).__name__}")
    return normalized(text, repair=bool(_marked([text]).size))


def normalized(text: str, *, repair: bool) -> Normalized:
    """Do the same as `normalize`, where the caller knows whether the text carries marks of disguise (``repair``)."""
    plain = _folded([text])
    found = _repaired([text]).get(0) if repair else None
    lines = found.lines if found else plain
    return Normalized(lines.texts()[0], lines.starts[:-1], lines.ends[:-1], tuple(_changes(text, plain, lines)))


def numbers_of(texts: Sequence[str]) -> Numbers:
    """Return the numbers of the kept characters of ``texts``, with an `END` after each text."""
    return _folded(texts).numbers


def _marked(texts: Sequence[str]) -> Ints:
    """Return the indices of the texts that carry marks of disguise."""
    texts = ["" if is_long(text) else text for text in texts]
    lines = _folded(texts)
    marked: Ints = carry_marks(lines.numbers, lines.bounds).nonzero()[0]
    return marked


def is_long(text: str) -> bool:
    """Return whether ``text`` has more than `MAX_REPAIRED` kept characters. If so, it is not repaired."""
    if len(text) <= MAX_REPAIRED:
        return False
    kept = 0
    for first in range(0, len(text), 1 << 16):
        kept += int(np.count_nonzero(normalization_table()[code_points(text[first : first + (1 << 16)])]))
        if kept > MAX_REPAIRED:
            return True
    return False


def _repairable(lines: _Lines) -> Bools:
    """Return a mask of the texts with marks that can be repaired, shape (texts,)."""
    numbers, ends = lines.numbers, lines.bounds
    found = lines.heavy | lines.spelled_out
    shown, _ = lines.pictures
    shown = shown[(numbers[shown - 1] <= RARE) & (numbers[shown + 1] <= RARE)]
    for places in (lines.marks.contacts, shown, lines.keys, lines.cuts[0], lines.passed):
        found[ends.searchsorted(places)] = True
    return found


def _steps(values: Ints) -> Ints:
    """Return the differences of consecutive values, preceded by the first value, in a fifth of the time of np.diff."""
    steps = values.copy()
    steps[1:] -= values[:-1]
    return steps


@dataclass(frozen=True)
class _Lines:
    """Texts being repaired, concatenated, each followed by a code point 0. What is found in them is cached.

    Attributes:
        codes: the code points.
        starts: for each code point, the offset in the joined originals at which the characters it stands for begin.
        ends: for each code point, the offset in the joined originals at which they end.
        raw: the code points of the joined originals.

    """

    codes: Codes
    starts: Ints
    ends: Ints
    raw: Codes

    def at(self, texts: Bools) -> _Lines:
        """Return the texts selected by the mask ``texts``, shape (texts,)."""
        return self if texts.all() else self.keep(texts.repeat(self.lengths))

    def keep(self, kept: Bools) -> _Lines:
        """Return the characters selected by the mask ``kept``, shape (characters,)."""
        at = kept.nonzero()[0]
        return _Lines(self.codes.take(at), self.starts.take(at), self.ends.take(at), self.raw)

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
    def labels(self) -> Ints:
        """Offsets of single letters that are labels, as in A:在吗 B:在的 or L码 and M码.

        In the same text, another letter also stands alone before the same character.
        """
        latin = _is_latin(self.codes)
        places = latin.nonzero()[0]
        places = places[~latin[places - 1] & ~latin[places + 1]]
        letters, behind = self.codes[places], self.codes[places + 1].astype(np.int64)
        behind += self.bounds.searchsorted(places) << 21
        sets, counts = np.unique(np.unique(behind << 7 | letters) >> 7, return_counts=True)
        labels: Ints = places[counts[sets.searchsorted(behind)] > 1]
        return labels

    @cached_property
    def lengths(self) -> Ints:
        """The length of each text, including the 0 after it."""
        return _steps(self.bounds + 1)

    @cached_property
    def numbers(self) -> Numbers:
        """The numbers of the characters, with an `END` after each text."""
        numbers = tables().numbers.take(self.codes)
        numbers[self.bounds] = END
        return numbers

    @cached_property
    def scores(self) -> npt.NDArray[np.int8]:
        """For each character except the last, how well it goes together with the next one."""
        return scores_of(self.numbers[:-1], self.numbers[1:])

    @cached_property
    def marks(self) -> Marks:
        """The marks of disguise."""
        return find_marks(self.scores)

    @cached_property
    def wholes(self) -> _Wholes:
        """Groups of characters that may be the parts of one character."""
        return _wholes(self.codes)

    @cached_property
    def heavy(self) -> Bools:
        """Mask of the texts with many odd pairs or groups of characters that may be the parts of one character."""
        ends = self.bounds
        counts = _steps(self.marks.odd.searchsorted(ends))
        counts += np.bincount(ends.searchsorted(self.wholes.starts), minlength=ends.size)
        heavy: Bools = (counts >= MIN_MARKS) & (counts > ODD_SHARE * self.lengths)
        return heavy

    @cached_property
    def spelled_out(self) -> Bools:
        """Mask of the texts in which Latin letters appear repeatedly where a Chinese character is expected."""
        numbers, ends = self.numbers, self.bounds
        spelled = self.marks.spelled
        spelled = spelled[~np.isin(spelled + 1, self.labels)]
        counts = _steps(spelled.searchsorted(ends))
        found: Bools = (counts >= MIN_MARKS) & (2 * counts > SPELLED_SHARE * self.lengths)
        if found.any():
            chinese = np.add.reduceat(numbers <= RARE, ends + 1 - self.lengths, dtype=np.int64)
            found &= counts > SPELLED_SHARE * chinese
        return found

    @cached_property
    def signs(self) -> _Signs:
        """The signs that may cut words.

        The characters before and after a sign that cuts words go together as neighbours do, in place after place. A
        likelihood ratio over all places of a sign in a text distinguishes it from a sign that separates words.
        """
        numbers, bounds = self.numbers, self.bounds
        begin, end = runs_of(is_sign(numbers).nonzero()[0])
        inside = (end - begin <= MOST_SIGNS) & (numbers[begin - 1] <= RARE) & (numbers[end] <= RARE)
        begin, end = begin[inside], end[inside]
        evidence = tables().cutting.take(scores_of(numbers[begin - 1], numbers[end]).view(np.uint8))
        alone = (numbers[begin - 2] > RARE) & (numbers[end + 1] > RARE)
        evidence[alone & (numbers[begin] == LIST)] = 0  # a list of single characters: 油、盐、酱、醋
        text = bounds.searchsorted(begin)
        signs, sign = np.unique(text << 21 | self.codes[begin], return_inverse=True)
        sums = np.bincount(sign, evidence, minlength=signs.size)
        return _Signs(begin, end, text, alone, evidence, sign, sums, signs >> 21)

    @cached_property
    def cuts(self) -> tuple[Ints, Ints]:
        """The offsets at which the signs that cut words begin and end."""
        found, texts = self.signs, self.bounds.size
        cutting_texts = np.zeros(texts, dtype=bool)
        cutting_texts[found.texts[found.sums >= CUTTING]] = True
        cut = cutting_texts[found.texts] & (found.sums >= CUTTING_FURTHER)
        drop = cut[found.sign] & ((found.evidence > 0) | ~tables().sentence[self.codes[found.begin]])
        speaking = drop & (found.evidence > 0)
        places = np.bincount(found.text[speaking], minlength=texts)
        between_words = np.bincount(found.text[speaking & ~found.alone], minlength=texts) > 0
        drop &= (places >= np.where(between_words, MIN_CUTS, 2 * MIN_CUTS))[found.text]
        return found.begin[drop], found.end[drop]

    @cached_property
    def passed(self) -> Ints:
        """Offsets of single signs that may cut words and are weighed place by place."""
        found = self.signs
        one = (found.end - found.begin == 1) & ~found.alone & (found.sums >= CUTTING_PLACE)[found.sign]
        one &= (self.codes[found.begin] >= PICTORIAL) & (self.numbers[found.end] < RARE)
        places: Ints = found.begin[one]
        return places

    @cached_property
    def pictures(self) -> tuple[Ints, Codes]:
        """Offsets of pictures, and the rows of what they may stand for; without those beside their name (牛奶🥛)."""
        written = self.raw.take(self.starts)
        rows = tables().picture.take(written)
        rows[self.codes != normalization_table().take(written)] = tables().empty  # repair replaced them
        places = (rows != tables().empty).nonzero()[0]
        places = places[~_named(self.numbers, places, rows[places])]
        return places, rows[places]

    @cached_property
    def keys(self) -> Ints:
        """Offsets of digits that are keycaps, each a single digit before a Chinese character: 1️⃣户."""
        numbers = self.numbers
        keys = (numbers == DIGIT).nonzero()[0]
        keys = keys[(numbers[keys - 1] != DIGIT) & (numbers[keys + 1] <= RARE)]
        written = self.raw.take(self.starts[keys])
        keys = keys[(written >= ord("0")) & (written <= ord("9"))]
        behind = self.raw.take(self.starts[keys][:, None] + np.array([1, 2]), mode="clip")
        found: Ints = keys[(behind == KEYCAP).any(axis=1)]
        return found


def _folded(texts: Sequence[str]) -> _Lines:
    raw, ends = concatenated(texts)
    codes = normalization_table().take(raw)
    kept = codes != DROPPED
    kept[ends] = True
    at = kept.nonzero()[0]
    return _Lines(codes.take(at), at, at + 1, raw)


class _Repaired(NamedTuple):
    """A text that repair changed: the lines it belongs to, and the repaired text."""

    lines: _Lines
    text: str


def _repaired(texts: Sequence[str]) -> dict[int, _Repaired]:
    """Repair texts until nothing changes, and return those that repair changed, by their index.

    A text that still changes after `MAX_ROUNDS` rounds is not repaired at all.
    """
    lines = _folded(texts)
    repairable = _repairable(lines)
    if not repairable.any():
        return {}
    lines = lines.at(repairable)
    active = repairable.nonzero()[0]
    before = lines.texts()
    plain = dict(zip(active.tolist(), before, strict=True))
    found: dict[int, _Repaired] = {}
    for _ in range(MAX_ROUNDS):
        lines = _round(lines)
        read = lines.texts()
        again = carry_marks(lines.numbers, lines.bounds)
        for i in again.nonzero()[0].tolist():
            again[i] = read[i] != before[i]
        if again.any():
            left = lines.at(again)
            again[again] = repairable = _repairable(left)
        for place, index in enumerate(active.tolist()):
            if not again[place] and read[place] != plain[index]:
                found[index] = _Repaired(lines, read[place])
        if not again.any():
            break
        active = active[again]
        before = list(itertools.compress(read, again))
        lines = left.at(repairable)
    return dict(sorted(found.items()))


def _round(lines: _Lines) -> _Lines:
    return _read_likeliest(_name_contacts(_drop_separators(lines)))


class _Signs(NamedTuple):
    """Runs of signs between Chinese characters.

    Attributes:
        begin: shape (runs,): the offset at which each run begins.
        end: shape (runs,): the offset at which each run ends.
        text: shape (runs,): the index of the text of each run.
        alone: shape (runs,): mask of the runs between single characters: 春·夏·秋·冬.
        evidence: shape (runs,): how strongly the characters on both sides suggest one word that was cut, in eighths of
            a nat.
        sign: shape (runs,): the index in ``sums`` and ``texts`` of the sign with which each run begins.
        sums: shape (signs,): for each distinct sign of a text, the sum of the evidence at all its places.
        texts: shape (signs,): the index of the text of each of these signs.

    """

    begin: Ints
    end: Ints
    text: Ints
    alone: Bools
    evidence: Any
    sign: Ints
    sums: Any
    texts: Ints


def _drop_separators(lines: _Lines) -> _Lines:
    begin, end = lines.cuts
    if not begin.size:
        return lines
    kept = np.ones(lines.codes.size, dtype=bool)
    kept[ranges(begin, end)[0]] = False
    return lines.keep(kept)


def _name_contacts(lines: _Lines) -> _Lines:
    """Replace disguised contacts by their names, each followed by `CONTACT`."""
    places = lines.marks.contacts.tolist()
    if not places:
        return lines
    text = lines.joined
    edits: list[tuple[int, int, str]] = []
    for place in places:
        done = edits[-1][1] if edits else 0
        tried = (_contacts().match(text, start, place + 12) for start in range(max(done, place - 1), place + 2))
        match = next(filter(None, tried), None)
        if match and match.lastindex:
            edits.append((*match.span(), CONTACTS[match.lastindex - 1][0] + CONTACT))
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
    return _Lines(codes, lines.starts[source], ends[source], lines.raw)


@cache
def _contacts() -> re.Pattern[str]:
    return re.compile("|".join(f"({pattern})" for _, pattern in CONTACTS))


class _Arcs(NamedTuple):
    """Arcs of one kind, which offer other readings of what was written.

    Attributes:
        starts: the offset at which each arc begins.
        sizes: the number of characters each arc covers.
        rows: the row of `Tables.choices` that holds what may be read there.
        score: the log-score of every arc, in the unit of `NAT`.
        keeping: the log-score of reading the characters under an arc as they were written, in the same unit.

    """

    starts: Ints
    sizes: Ints
    rows: Ints | Codes
    score: int = 0
    keeping: int = 0


def _read_likeliest(lines: _Lines) -> _Lines:
    """Read each text in the likeliest way.

    A text with many odd pairs (`_Lines.heavy`) is left as written unless another reading is far likelier (`WORTH`).
    """
    numbers, lengths = lines.numbers, lines.lengths
    heavy = lines.heavy
    doubted = (heavy.repeat(lengths) & _doubtful(lines)).nonzero()[0]
    offered = (
        *_alike(lines, doubted),
        *_spelled_arcs(lines),
        *_shown(lines),
        _passing(lines),
    )
    arcs = [each for each in offered if each.starts.size]
    if not arcs:
        return lines
    as_written = np.zeros(numbers.size, dtype=np.int64)
    for each in arcs:
        if not each.keeping:
            continue
        places, _ = ranges(each.starts, each.starts + each.sizes)
        as_written[places] += (each.keeping // each.sizes).repeat(each.sizes)
    begins, read, scores = likeliest(numbers, as_written, _joined(arcs))
    if heavy.any():
        gained = _value(read, scores) - _value(numbers, as_written)
        asked = np.bincount(lines.bounds.searchsorted(doubted), minlength=lines.bounds.size)
        refused = (heavy & (gained < np.maximum(WORTH * asked, MIN_WORTH))).repeat(lengths)
        if refused.any():
            own, kept = refused.nonzero()[0], ~refused[begins]
            begins, read = np.append(begins[kept], own), np.append(read[kept], numbers[own])
            in_order = begins.argsort(kind="stable")
            begins, read = begins[in_order], read[in_order]
    last = np.append(begins[1:], numbers.size) - 1
    codes = np.where(read < RARE, tables().codes.take(read), lines.codes.take(begins))
    return _Lines(codes, lines.starts.take(begins), lines.ends.take(last), lines.raw)


def _joined(arcs: Sequence[_Arcs]) -> Arcs:
    """Join arcs of several kinds."""
    starts = np.concatenate([each.starts for each in arcs])
    ends = starts + np.concatenate([each.sizes for each in arcs])
    rows = np.concatenate([each.rows for each in arcs], dtype=np.int64)
    scores = np.array([each.score for each in arcs], dtype=np.int64)
    return Arcs(starts, ends, rows, scores.repeat([each.starts.size for each in arcs]))


def _value(numbers: Numbers, steps: Ints) -> Ints:
    """Return the log-score of each text as it is read, in the unit of `NAT`; ``steps`` has those of its steps."""
    scores = scores_of(np.roll(numbers, 1), numbers)  # the first text follows an end, too
    values = steps + tables().logs.take(numbers) + tables().worth.take(scores.view(np.uint8))
    ends = (numbers == END).nonzero()[0]
    value: Ints = np.add.reduceat(values, np.append(0, ends[:-1] + 1))
    return value


def _alike(lines: _Lines, doubted: Ints) -> Iterator[_Arcs]:
    """Yield arcs for the ``doubted`` characters, by sound and shape, and for parts of a character in heavy texts."""
    yield _Arcs(doubted, np.ones_like(doubted), tables().alike[lines.codes[doubted]], CHANGED)
    starts, sizes, numbers = lines.wholes
    at = lines.heavy[lines.bounds.searchsorted(starts)]
    yield _Arcs(starts[at], sizes[at], numbers[at], JOINED)


def _doubtful(lines: _Lines) -> Bools:
    """Return a mask of the Chinese characters that do not belong to both of their neighbours."""
    table = tables()
    numbers = lines.numbers
    strong = np.zeros(numbers.size + 1, dtype=bool)  # whether each character belongs to the one before it
    strong[1:-1] = lines.scores > STRONG
    rare = (numbers == RARE).nonzero()[0]
    for first in (rare - 1, rare):  # pairs with a rare character have a list of their own
        keys = lines.codes[first].astype(np.int64) << 21 | lines.codes[first + 1]
        at = np.minimum(table.rare_pairs.searchsorted(keys), table.rare_pairs.size - 1)
        strong[first[table.rare_pairs[at] == keys] + 1] = True
    chinese = numbers <= RARE
    beside = np.zeros_like(chinese)  # nothing is known about a character between signs, as in 洗→切→炒
    beside[1:] = chinese[:-1]
    beside[:-1] |= chinese[1:]
    return ~(strong[1:] & strong[:-1]) & chinese & beside


class _Wholes(NamedTuple):
    """Groups of two or three characters that may be the parts of one: offsets, sizes, and the numbers of the wholes."""

    starts: Ints
    sizes: Ints
    numbers: Ints


def _wholes(codes: Codes) -> _Wholes:
    """Return the groups of characters that may be the parts of one character."""
    table = tables()
    known, wholes = table.splits
    first = table.halves.take(half_keys(codes[:-2], codes[1:-1])).nonzero()[0]
    found = []
    for size in (2, 3):
        third = codes[first + 2] if size == 3 else np.zeros(first.size, dtype=np.int32)
        keys = split_keys(codes[first], codes[first + 1], third)
        at = np.minimum(known.searchsorted(keys), known.size - 1)
        good = (known[at] == keys) & ((third > 0) == (size == 3))
        found.append((first[good], np.full(good.sum(), size), table.numbers[wholes[at[good]]].astype(np.int64)))
    return _Wholes(*(np.concatenate(each) for each in zip(*found, strict=True)))


def _spelled_arcs(lines: _Lines) -> Iterator[_Arcs]:
    """Yield arcs for what syllables and initials may stand for, in texts that are spelled out."""
    codes, bounds = lines.codes, lines.bounds
    if not lines.spelled_out.any():
        return
    letters = (_is_latin(codes) & lines.spelled_out.repeat(lines.lengths)).nonzero()[0]
    begin, end = runs_of(letters)
    beside = (_is_han(codes[begin - 1]) | _is_han(codes[end])) & (end - begin <= MAX_RUN)
    beside &= ~np.isin(begin, lines.labels)
    begin, end = begin[beside], end[beside]
    if not begin.size:
        return
    runs = map(lines.joined.__getitem__, map(slice, begin.tolist(), end.tolist()))
    table = tables()
    found = [_spelled(run, table) for run in runs]
    counts = np.array([len(pieces) for pieces in found])
    text = bounds.searchsorted(begin)
    reads = np.bincount(text, counts > 0)
    read = ((reads >= MIN_MARKS) & (3 * reads >= np.bincount(text)))[text]
    pieces = itertools.chain.from_iterable(itertools.compress(found, read))
    starts, sizes, rows = np.array(list(pieces), dtype=np.int64).reshape(-1, 3).T
    starts = starts + begin[read].repeat(counts[read])
    for at, keeping in ((sizes == 1, INITIAL), (sizes > 1, SPELLED)):
        yield _Arcs(starts[at], sizes[at], rows[at], keeping=keeping)


def _is_latin(codes: Codes) -> Bools:
    """Return a mask of the Latin letters; after normalising, only lower-case ones are left."""
    return (codes >= ord("a")) & (codes <= ord("z"))


def _is_han(codes: Codes) -> Bools:
    """Return a mask of the Chinese characters in Unicode's main block."""
    return (codes >= 0x4E00) & (codes <= 0x9FFF)


@lru_cache(maxsize=1 << 15)
def _spelled(run: str, table: Tables) -> list[tuple[int, int, int]]:
    """Return the offsets, sizes and rows of ``table.choices`` of the syllables and initials in a run of Latin letters.

    There are none in runs that are words, in runs that syllables and initials do not cover, nor in runs of more than
    `MAX_INITIALS` letters that consist mainly of initials.
    """
    if len(run) > 1 and run in table.latin:
        return []
    found = [(match.start(), match.group()) for match in table.pinyin.finditer(run)]
    initials = sum(piece not in table.syllables for _, piece in found)
    if sum(len(piece) for _, piece in found) < len(run) or (len(run) > MAX_INITIALS and 2 * initials > len(found)):
        return []
    rows = table.initials | table.syllables
    return [(start, len(piece), rows[piece]) for start, piece in found]


def _shown(lines: _Lines) -> Iterator[_Arcs]:
    """Yield arcs for what pictures and keycaps may stand for."""
    (pictures, rows), keys = lines.pictures, lines.keys
    chinese = lines.numbers[pictures] <= RARE
    for at, keeping in ((~chinese, PICTURE), (chinese, 0)):
        yield _Arcs(pictures[at], np.ones_like(pictures[at]), rows[at], PICTURED, keeping)
    numerals = tables().numbers[code_points(NUMERALS)[lines.raw.take(lines.starts[keys]) - ord("0")]]
    yield _Arcs(keys, np.ones_like(keys), numerals.astype(np.int64), keeping=KEY)


def _named(numbers: Numbers, places: Ints, rows: Codes) -> Bools:
    """Return a mask of the pictures within two characters of a character of their name: 牛奶🥛, 🥬青菜."""
    lists = tables().choices
    at = lists.bounds[rows][:, None] + np.arange(NAME)
    names = lists.members.take(np.minimum(at, lists.bounds[rows + 1][:, None] - 1))  # some rows are shorter
    named = np.zeros(places.size, dtype=bool)
    for side in (-1, 1):
        near, far = numbers[places + side], numbers.take(places + 2 * side, mode="clip")
        far = np.where(near == END, END, far)  # beyond an end is another text
        named |= ((names == near[:, None]) | (names == far[:, None])).any(axis=1)
    named &= rows != tables().empty
    return named


def _passing(lines: _Lines) -> _Arcs:
    """Return arcs that skip a sign: the sign and the character after it are read as that character."""
    numbers, signs = lines.numbers, lines.passed
    signs = signs[~_named(numbers, signs, tables().picture[lines.codes[signs]])]
    return _Arcs(signs, np.full_like(signs, 2), numbers[signs + 1].astype(np.int64), PASSED)


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
