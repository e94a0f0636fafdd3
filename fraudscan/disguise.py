"""Undo what writers do to hide words from machines, in the few texts that carry marks of it.

The character table (`fraudscan.characters`) reads ``ＶＸ``, ``①⑧⑧``, ``投資`` and zero-width marks. What is left
is seen by the neighbours only: ``投·资·理·财``, ``人言用`` for ``信用``, ``返荔`` for ``返利``, ``touzi``,
``薇信``. All of it leaves pairs that ordinary Chinese does not have (`fraudscan.neighbours`). Texts
without that mark are not touched.

Repair works on the code points of many texts at once. Separators are dropped where they cut words; contacts get their
names, and a private character behind them that says so. For the rest, a lattice offers for each place what it may
stand for: Latin syllables and initials, parts of a character, characters of its sound or its looks, what a picture
shows or sounds like. The likeliest path through it is read (`fraudscan.lattice`): a noisy channel (Shannon 1948).

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
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan.characters import DROPPED, code_points, normalization_table
from fraudscan.lattice import Arcs, likeliest
from fraudscan.neighbours import (
    DIGIT,
    END,
    LIST,
    MOST_SIGNS,
    NAT,
    RARE,
    WIDTH,
    carry_marks,
    cutting,
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
"""Characters of the longest text that is repaired: whoever hides words writes messages, not books."""

TOGETHER = 1024
"""So many texts are repaired at a time: the calls are worth their cost, and the arrays stay in the caches."""

FEWEST = 3
"""So many marks of one sort must there be, whatever the length."""

ODD_SHARE = 0.1
"""Other readings of a text are looked for where more than this share of its characters makes odd pairs with those
behind it: one pair in forty is odd in held-out messages of the corpus, and one in four where a third of the characters
are homophones. Whether it is a disguise is for `WORTH` to say."""

CUTTING, CUTTING_TOO = 16, 4
"""Evidence, in eighths of a nat, from which on a sign is taken to cut the words of a text, and from which on another
sign of the same text is, too. One honest text of fourteen hundred loses signs, of which half are advertising that is
disguised indeed (银_行贷_款), and nine in ten do where a sign stands behind every third character."""

CUTTING_ONE = 8
"""Evidence, in eighths of a nat, from which on a sign that does not cut a whole text is weighed place by place."""

PICTORIAL = 0x2190
"""The first code point of pictorial signs, which are weighed so. Those before it are on every keyboard, and stand
between words as well."""

SPEAKING = 2
"""In so many places must signs cut what may be a word before any is dropped; in twice as many if all of them stand
between single characters: 红/黄/蓝/绿."""

SPELLED_SHARE = 0.12
"""A text may be spelled out in Latin letters if it has more runs of them than this share of its Chinese characters,
and than half of this share of all characters: in a listing of programs few are Chinese."""

ROUNDS = 4
"""Repair goes on until nothing changes, and is given up as a mistake where that takes longer."""

WORTH, WORTH_LEAST = 0.9 * NAT, 17 * NAT
"""By how much a text with odd pairs must be likelier as it is read than as it was written: for each of the characters
that are doubted, and at least. Of held-out messages of the corpus, disguised by homophones, 92 in a hundred are read
so, and of the others one in two thousand: dialects, what was written a hundred years ago, and terms of crafts."""

STRONG = 0
"""The score above which two neighbours are taken to belong together: between two such, a character is not doubted."""

CHANGED = round(-4.5 * NAT)
"""Log-score of reading a character that sounds or looks like the written one: a logarithm of a probability, in the unit
of `NAT`, as all that follow."""

JOINED = -NAT
"""Log-score of reading one character where its parts were written."""

SPELLED, INITIAL = -16 * NAT, -11 * NAT
"""Log-score of leaving Latin letters as they are where they may be a syllable, and where one may be an initial."""

PICTURED = -5 * NAT
"""Log-score of reading a character that a picture may stand for."""

PICTURE = -8 * NAT
"""Log-score of leaving such a picture as it is."""

PASSED = -NAT
"""Log-score of passing over a sign, as if what stands before and behind it were neighbours."""

NAME = 3
"""How many characters of a picture's row may be its name: the first ones."""

KEYCAP, NUMERALS = 0x20E3, "零一二三四五六七八九"
"""What makes a key of a digit before it, which may stand for a numeral: 1️⃣ for 一."""

KEY = -16 * NAT
"""Log-score of leaving the digit of such a key as it is."""

INITIALS = 4
"""How many letters may be initials alone."""

LONGEST_RUN = 24
"""Longer runs of letters spell nothing."""

CONTACT = "\ue000"
"""A private character that stands behind a contact that was disguised: evidence by itself."""

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
"""What a lure needs most, and how it is hidden; patterns of normalised text."""


class Repair(NamedTuple):
    """A stretch of the original text, and what it is read as where the character table alone would read otherwise."""

    start: int
    end: int
    text: str
    read_as: str


@dataclass(frozen=True, eq=False)  # arrays have no one truth
class Normalized:
    """What the model reads of a text.

    Attributes:
        text: the normalised text.
        starts: for each of its characters where the characters that it stands for begin in the original.
        ends: and where they end.
        repairs: what was undone beyond the character table, in order.

    """

    text: str
    starts: Ints
    ends: Ints
    repairs: tuple[Repair, ...]


def undisguise(texts: Sequence[str]) -> list[str]:
    """Return the texts, those of which a repair changes something repaired (and normalised), the others as they are."""
    found = list(texts)
    if not found:
        return found
    marked = _marked(texts).tolist()
    for index, text in repaired([texts[i] for i in marked]).items():
        found[marked[index]] = text
    return found


def repaired(texts: Sequence[str]) -> dict[int, str]:
    """Return those of which a repair changes something, repaired and normalised, by their index.

    Args:
        texts: texts that carry marks of disguise; many do that are none.

    """
    found: dict[int, str] = {}
    for first in range(0, len(texts), TOGETHER):
        part = _repaired(texts[first : first + TOGETHER])
        found.update({first + index: read.text for index, read in part.items()})
    return found


def normalize(text: str) -> Normalized:
    """Return what the model reads of ``text``, and what it took for a disguise.

    Normalising the result again changes nothing. Texts of more than `MAX_REPAIRED` characters are read by the character
    table alone. Of what repeats itself again and again the model reads four times, and this returns all.

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
    """Do the same for a text of which it is known whether it carries marks of disguise."""
    plain = _folded([text])
    found = _repaired([text]).get(0) if repair else None
    lines = found.lines.at(np.arange(found.lines.bounds.size) == found.place) if found else plain
    return Normalized(lines.texts()[0], lines.starts[:-1], lines.ends[:-1], tuple(_changes(text, plain, lines)))


def numbers_of(texts: Sequence[str]) -> Numbers:
    """Return the numbers of the kept characters of ``texts``, each with an `END` behind it."""
    return _folded(texts).numbers


def _marked(texts: Sequence[str]) -> Ints:
    """Return the numbers of the texts that carry marks of disguise."""
    texts = ["" if is_long(text) else text for text in texts]
    lines = _folded(texts)
    marked: Ints = carry_marks(lines.numbers, lines.bounds).nonzero()[0]
    return marked


def is_long(text: str) -> bool:
    """Tell whether ``text`` has more than `MAX_REPAIRED` characters that are not dropped: it is left as it is."""
    if len(text) <= MAX_REPAIRED:
        return False
    kept = 0
    for first in range(0, len(text), 1 << 16):
        kept += int(np.count_nonzero(normalization_table()[code_points(text[first : first + (1 << 16)])]))
        if kept > MAX_REPAIRED:
            return True
    return False


def _repairable(lines: _Lines) -> Bools:
    """Tell for each text whether there is a repair for its marks."""
    numbers, ends = lines.numbers, lines.bounds
    found = lines.heavy | lines.spelled_out
    shown = _pictures(numbers, lines.pictures)
    shown = shown[(numbers[shown - 1] <= RARE) & (numbers[shown + 1] <= RARE)]
    for places in (lines.marks.contacts, shown, lines.keys, lines.cuts[0], lines.passed):
        found[ends.searchsorted(places)] = True
    return found


def _steps(values: Ints) -> Ints:
    """Return how much larger each value is than the one before, and the first of all; in a fifth of np.diff's time."""
    steps = values.copy()
    steps[1:] -= values[:-1]
    return steps


@dataclass(frozen=True)
class _Lines:
    """Texts being repaired, one behind the other, each with a code point 0 behind it. What is found in them is kept.

    Attributes:
        codes: the code points.
        starts: where each comes from in the joined originals: it stands for what begins there …
        ends: … and ends here.
        raw: the code points of the joined originals.

    """

    codes: Codes
    starts: Ints
    ends: Ints
    raw: Codes

    def at(self, texts: Bools) -> _Lines:
        """Return the texts that are marked."""
        return self if texts.all() else self.keep(texts.repeat(self.lengths))

    def keep(self, kept: Bools) -> _Lines:
        """Return the characters that are marked."""
        at = kept.nonzero()[0]
        return _Lines(self.codes.take(at), self.starts.take(at), self.ends.take(at), self.raw)

    def texts(self) -> list[str]:
        """Return the texts."""
        return self.joined.split("\0")[:-1]

    @property
    def joined(self) -> str:
        """All of it as a string."""
        return self.codes.tobytes().decode("utf-32-le", "surrogatepass")

    @cached_property
    def bounds(self) -> Ints:
        """Where the texts end."""
        bounds: Ints = (self.codes == 0).nonzero()[0]
        return bounds

    @cached_property
    def labels(self) -> Ints:
        """Where letters stand alone, of which others do so before the same character: A:在吗 B:在的, L码 and M码."""
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
        """How many characters the texts have, with the one behind them."""
        return _steps(self.bounds + 1)

    @cached_property
    def numbers(self) -> Numbers:
        """The numbers of the characters, an `END` behind each text."""
        numbers = tables().numbers.take(self.codes)
        numbers[self.bounds] = END
        return numbers

    @cached_property
    def scores(self) -> npt.NDArray[np.int8]:
        """How well each character but the last goes together with the one behind it."""
        return scores_of(self.numbers)

    @cached_property
    def marks(self) -> Marks:
        """The marks of disguise."""
        return find_marks(self.scores)

    @cached_property
    def wholes(self) -> _Wholes:
        """Characters that may be the parts of one."""
        return _wholes(self.codes)

    @cached_property
    def heavy(self) -> Bools:
        """Which texts have many odd pairs, and characters that are the parts of one."""
        ends = self.bounds
        counts = _steps(self.marks.odd.searchsorted(ends))
        counts += np.bincount(ends.searchsorted(self.wholes.starts), minlength=ends.size)
        heavy: Bools = (counts >= FEWEST) & (counts > ODD_SHARE * self.lengths)
        return heavy

    @cached_property
    def spelled_out(self) -> Bools:
        """In which texts Latin letters stand again and again where a character is expected."""
        numbers, ends = self.numbers, self.bounds
        spelled = self.marks.spelled
        spelled = spelled[~np.isin(spelled + 1, self.labels)]
        counts = _steps(spelled.searchsorted(ends))
        found: Bools = (counts >= FEWEST) & (2 * counts > SPELLED_SHARE * self.lengths)
        if found.any():
            chinese = np.add.reduceat(numbers <= RARE, ends + 1 - self.lengths, dtype=np.int64)
            found &= counts > SPELLED_SHARE * chinese
        return found

    @cached_property
    def signs(self) -> _Signs:
        """The signs that may cut words.

        What stands before and behind a sign that cuts goes together as neighbours do, again and again: a likelihood
        ratio over all of a sign's places in a text tells it from one that separates.
        """
        numbers, bounds = self.numbers, self.bounds
        begin, end = runs_of(is_sign(numbers).nonzero()[0])
        inside = (end - begin <= MOST_SIGNS) & (numbers[begin - 1] <= RARE) & (numbers[end] <= RARE)
        begin, end = begin[inside], end[inside]
        evidence = cutting(numbers[begin - 1], numbers[end])
        alone = (numbers[begin - 2] > RARE) & (numbers[end + 1] > RARE)
        evidence[alone & (numbers[begin] == LIST)] = 0  # one character, and one more: 油、盐、酱、醋
        text = bounds.searchsorted(begin)
        signs, sign = np.unique(text << 21 | self.codes[begin], return_inverse=True)
        sums = np.bincount(sign, evidence, minlength=signs.size)
        return _Signs(begin, end, text, alone, evidence, sign, sums, signs >> 21)

    @cached_property
    def cuts(self) -> tuple[Ints, Ints]:
        """Where the signs that cut words begin and end."""
        found, texts = self.signs, self.bounds.size
        cutting_texts = np.zeros(texts, dtype=bool)
        cutting_texts[found.texts[found.sums >= CUTTING]] = True
        cut = cutting_texts[found.texts] & (found.sums >= CUTTING_TOO)
        drop = cut[found.sign] & ((found.evidence > 0) | ~tables().sentence[self.codes[found.begin]])
        speaking = drop & (found.evidence > 0)
        places = np.bincount(found.text[speaking], minlength=texts)
        between_words = np.bincount(found.text[speaking & ~found.alone], minlength=texts) > 0
        drop &= (places >= np.where(between_words, SPEAKING, 2 * SPEAKING))[found.text]
        return found.begin[drop], found.end[drop]

    @cached_property
    def passed(self) -> Ints:
        """Where single signs stand that may cut words, if each is looked at by itself."""
        found = self.signs
        one = (found.end - found.begin == 1) & ~found.alone & (found.sums >= CUTTING_ONE)[found.sign]
        one &= (self.codes[found.begin] >= PICTORIAL) & (self.numbers[found.end] < RARE)
        places: Ints = found.begin[one]
        return places

    @cached_property
    def pictures(self) -> Codes:
        """For each character the row of what it may stand for as a picture; none where it was read as another."""
        written = self.raw.take(self.starts)
        rows = tables().picture.take(written)
        rows[self.codes != normalization_table().take(written)] = tables().picture[0]
        return rows

    @cached_property
    def keys(self) -> Ints:
        """Where digits stand that are keys, each by itself before a Chinese character: 1️⃣户."""
        numbers = self.numbers
        keys = (numbers == DIGIT).nonzero()[0]
        keys = keys[(numbers[keys - 1] != DIGIT) & (numbers[keys + 1] <= RARE)]
        written = self.raw.take(self.starts[keys])
        keys = keys[(written >= ord("0")) & (written <= ord("9"))]
        behind = self.raw.take(self.starts[keys][:, None] + np.array([1, 2]), mode="clip")
        found: Ints = keys[(behind == KEYCAP).any(axis=1)]
        return found


def _folded(texts: Sequence[str]) -> _Lines:
    raw = code_points("\0".join(texts) + "\0")
    codes = normalization_table().take(raw)
    kept = codes != DROPPED
    ends = np.fromiter((len(text) + 1 for text in texts), dtype=np.int64, count=len(texts)).cumsum() - 1
    kept[ends] = True
    at = kept.nonzero()[0]
    return _Lines(codes.take(at), at, at + 1, raw)


class _Repaired(NamedTuple):
    """A text that is read otherwise: the lines that it is one of, which one of them, and the text."""

    lines: _Lines
    place: int
    text: str


def _repaired(texts: Sequence[str]) -> dict[int, _Repaired]:
    """Repair texts until nothing changes; return those that are read otherwise then, by their index.

    Where that does not come to rest, none of it is done.
    """
    if not texts:
        return {}
    lines = _folded(texts)
    mendable = _repairable(lines)
    if not mendable.any():
        return {}
    lines = lines.at(mendable)
    active = mendable.nonzero()[0]
    before = lines.texts()
    plain = dict(zip(active.tolist(), before, strict=True))
    found: dict[int, _Repaired] = {}
    for _ in range(ROUNDS):
        lines = _round(lines)
        read = lines.texts()
        again = carry_marks(lines.numbers, lines.bounds)
        for i in again.nonzero()[0].tolist():
            again[i] = read[i] != before[i]
        if again.any():
            left = lines.at(again)
            again[again] = mendable = _repairable(left)
        for place, index in enumerate(active.tolist()):
            if not again[place] and read[place] != plain[index]:
                found[index] = _Repaired(lines, place, read[place])
        if not again.any():
            break
        active = active[again]
        before = list(itertools.compress(read, again))
        lines = left.at(mendable)
    return dict(sorted(found.items()))


def _round(lines: _Lines) -> _Lines:
    return _read_likeliest(_name_contacts(_drop_separators(lines)))


class _Signs(NamedTuple):
    """Runs of signs between Chinese characters.

    Attributes:
        begin: where they begin …
        end: … and end.
        text: the texts that they stand in.
        alone: which stand between single characters: 春·夏·秋·冬.
        evidence: how much the characters on both sides speak for one word that was cut, in eighths of a nat.
        sign: which sign of its text it begins with …
        sums: … and for each of those the evidence of all of its places.
        texts: … and the text that it stands in.

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
    """Give contacts their names."""
    places = lines.marks.contacts.tolist()
    if not places:
        return lines
    text = lines.joined
    edits: list[tuple[int, int, str]] = []
    for place in places:
        done = edits[-1][1] if edits else 0
        tried = (_contacts().match(text, start, place + 12) for start in range(max(done, place - 1), place + 2))
        match = next(filter(None, tried), None)
        if match and match.lastgroup:
            edits.append((*match.span(), CONTACTS[int(match.lastgroup[1:])][0] + CONTACT))
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
    return re.compile("|".join(f"(?P<c{i}>{pattern})" for i, (_, pattern) in enumerate(CONTACTS)))


class _Arcs(NamedTuple):
    """Other readings of what was written: arcs of one sort.

    Attributes:
        starts: where they begin.
        sizes: how many characters they take.
        rows: which row of `Tables.choices` has what may be read there.
        score: the log-score of each of them, in the unit of `NAT` …
        keeping: … and that of reading the characters that it takes as they were written.

    """

    starts: Ints
    sizes: Ints
    rows: Ints | Codes
    score: int = 0
    keeping: int = 0


def _read_likeliest(lines: _Lines) -> _Lines:
    """Read what is the likeliest in each text; characters for others only where that makes it far likelier."""
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
        gained = _value(read, scores_of(read), scores) - _value(numbers, lines.scores, as_written)
        asked = np.bincount(lines.bounds.searchsorted(doubted), minlength=lines.bounds.size)
        refused = (heavy & (gained < np.maximum(WORTH * asked, WORTH_LEAST))).repeat(lengths)
        if refused.any():
            own, kept = refused.nonzero()[0], ~refused[begins]
            begins, read = np.append(begins[kept], own), np.append(read[kept], numbers[own])
            in_order = begins.argsort(kind="stable")
            begins, read = begins[in_order], read[in_order]
    last = np.append(begins[1:], numbers.size) - 1
    codes = np.where(read < RARE, tables().codes.take(read), lines.codes.take(begins))
    return _Lines(codes, lines.starts.take(begins), lines.ends.take(last), lines.raw)


def _joined(arcs: Sequence[_Arcs]) -> Arcs:
    """Return them as one."""
    starts = np.concatenate([each.starts for each in arcs])
    ends = starts + np.concatenate([each.sizes for each in arcs])
    rows = np.concatenate([each.rows for each in arcs], dtype=np.int64)
    return Arcs(starts, ends, rows, np.array([each.score for each in arcs]).repeat([each.starts.size for each in arcs]))


def _value(numbers: Numbers, scores: npt.NDArray[np.int8], as_written: Ints) -> Ints:
    """Return what each text is worth as it is read, in the unit of `NAT`; ``scores`` are those of the pairs."""
    table = tables()
    values = as_written + table.logs.take(numbers)
    values[1:] += table.worth.take(scores.view(np.uint8))
    ends = (numbers == END).nonzero()[0]
    value: Ints = np.add.reduceat(values, np.append(0, ends[:-1] + 1))
    value[0] += table.worth[table.pairs.view(np.uint8)[END * WIDTH + int(numbers[0])]]  # there is an end before it
    return value


def _alike(lines: _Lines, doubted: Ints) -> Iterator[_Arcs]:
    """Yield what sounds or looks like ``doubted`` characters, and what characters are the parts of, in heavy texts."""
    yield _Arcs(doubted, np.ones_like(doubted), tables().alike[lines.codes[doubted]], CHANGED)
    starts, sizes, numbers = lines.wholes
    at = lines.heavy[lines.bounds.searchsorted(starts)]
    yield _Arcs(starts[at], sizes[at], numbers[at], JOINED)


def _doubtful(lines: _Lines) -> Bools:
    """Tell which Chinese characters do not belong to both of their neighbours."""
    table = tables()
    numbers = lines.numbers
    strong = np.zeros(numbers.size + 1, dtype=bool)  # of each character with the one before it
    strong[1:-1] = lines.scores > STRONG
    rare = (numbers == RARE).nonzero()[0]
    for first in (rare - 1, rare):  # pairs with a rare character stand in a list of their own
        keys = lines.codes[first].astype(np.int64) << 21 | lines.codes[first + 1]
        at = np.minimum(table.rare_pairs.searchsorted(keys), table.rare_pairs.size - 1)
        strong[first[table.rare_pairs[at] == keys] + 1] = True
    chinese = numbers <= RARE
    beside = np.zeros_like(chinese)  # 洗→切→炒: nothing is known of a character between signs
    beside[1:] = chinese[:-1]
    beside[:-1] |= chinese[1:]
    return ~(strong[1:] & strong[:-1]) & chinese & beside


class _Wholes(NamedTuple):
    """Where two or three characters may be the parts of one, how many they are, and the number of that one."""

    starts: Ints
    sizes: Ints
    numbers: Ints


def _wholes(codes: Codes) -> _Wholes:
    """Return the characters that may be the parts of one."""
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
    """Yield what syllables and initials may stand for in texts that are spelled out."""
    codes, bounds = lines.codes, lines.bounds
    if not lines.spelled_out.any():
        return
    letters = (_is_latin(codes) & lines.spelled_out.repeat(lines.lengths)).nonzero()[0]
    begin, end = runs_of(letters)
    beside = (_is_han(codes[begin - 1]) | _is_han(codes[end])) & (end - begin <= LONGEST_RUN)
    beside &= ~np.isin(begin, lines.labels)
    begin, end = begin[beside], end[beside]
    if not begin.size:
        return
    runs = list(map(lines.joined.__getitem__, map(slice, begin.tolist(), end.tolist())))
    numbers = {run: number for number, run in enumerate(dict.fromkeys(runs))}
    run = np.fromiter(map(numbers.__getitem__, runs), dtype=np.int64, count=len(runs))
    found = [_spelled(run, tables()) for run in numbers]
    counts = np.array([len(pieces) for pieces in found])
    text = bounds.searchsorted(begin)
    reads = np.bincount(text, counts[run] > 0)
    read = (reads >= FEWEST) & (3 * reads >= np.bincount(text))
    begin, run = begin[read[text]], run[read[text]]
    at, _ = ranges((counts.cumsum() - counts)[run], counts.cumsum()[run])
    starts, sizes, rows = np.array(list(itertools.chain(*found)), dtype=np.int64).reshape(-1, 3)[at].T
    starts = starts + begin.repeat(counts[run])
    for at, keeping in ((sizes == 1, INITIAL), (sizes > 1, SPELLED)):
        yield _Arcs(starts[at], sizes[at], rows[at], keeping=keeping)


def _is_latin(codes: Codes) -> Bools:
    """Tell which are the letters that are left after normalising."""
    return (codes >= ord("a")) & (codes <= ord("z"))


def _is_han(codes: Codes) -> Bools:
    """Tell which are Chinese characters of Unicode's main block."""
    return (codes >= 0x4E00) & (codes <= 0x9FFF)


@lru_cache(maxsize=1 << 15)
def _spelled(run: str, table: Tables) -> list[tuple[int, int, int]]:
    """Return where syllables and initials begin in a run of Latin letters, their sizes and rows of ``table.choices``.

    There are none in words, nor where a longer run is made of initials above all.
    """
    if len(run) > 1 and run in table.latin:
        return []
    found = [(match.start(), match.group()) for match in table.pinyin.finditer(run)]
    initials = sum(piece not in table.syllables for _, piece in found)
    if sum(len(piece) for _, piece in found) < len(run) or (len(run) > INITIALS and 2 * initials > len(found)):
        return []
    rows = table.initials | table.syllables
    return [(start, len(piece), rows[piece]) for start, piece in found]


def _shown(lines: _Lines) -> Iterator[_Arcs]:
    """Yield what pictures, and keys with digits, may stand for."""
    numbers, rows, keys = lines.numbers, lines.pictures, lines.keys
    pictures = _pictures(numbers, rows)
    for at, keeping in ((numbers[pictures] > RARE, PICTURE), (numbers[pictures] <= RARE, 0)):
        yield _Arcs(pictures[at], np.ones_like(pictures[at]), rows[pictures[at]], PICTURED, keeping)
    numerals = tables().numbers[code_points(NUMERALS)[lines.raw.take(lines.starts[keys]) - ord("0")]]
    yield _Arcs(keys, np.ones_like(keys), numerals.astype(np.int64), keeping=KEY)


def _pictures(numbers: Numbers, rows: Codes) -> Ints:
    """Return where pictures may stand for characters: not where they stand beside their name, as in 牛奶🥛."""
    places: Ints = (rows != tables().picture[0]).nonzero()[0]
    return places[~_named(numbers, places, rows[places])]


def _named(numbers: Numbers, places: Ints, rows: Codes) -> Bools:
    """Tell where a character of its name stands beside a picture, or one further: 牛奶🥛, 🥬青菜."""
    lists = tables().choices
    at = lists.bounds[rows][:, None] + np.arange(NAME)
    names = lists.members.take(np.minimum(at, lists.bounds[rows + 1][:, None] - 1))  # some have fewer
    named = np.zeros(places.size, dtype=bool)
    for side in (-1, 1):
        near, far = numbers[places + side], numbers.take(places + 2 * side, mode="clip")
        far = np.where(near == END, END, far)  # it belongs to another text
        named |= ((names == near[:, None]) | (names == far[:, None])).any(axis=1)
    named &= rows != tables().picture[0]
    return named


def _passing(lines: _Lines) -> _Arcs:
    """Return where a sign may be passed over: it and the character behind it are read as that character."""
    numbers, signs = lines.numbers, lines.passed
    signs = signs[~_named(numbers, signs, tables().picture[lines.codes[signs]])]
    return _Arcs(signs, np.full_like(signs, 2), numbers[signs + 1].astype(np.int64), PASSED)


def _changes(text: str, plain: _Lines, read: _Lines) -> Iterator[Repair]:
    """Yield the stretches of ``text`` that are not read as the character table reads them."""
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
