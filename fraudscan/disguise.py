"""Undo what writers do to hide words from machines, in the few texts that carry marks of it.

The character table (`fraudscan.normalize`) already reads ``ＶＸ``, ``①⑧⑧``, ``投資`` and zero-width marks. What is left
is seen by the neighbours only: ``投·资·理·财``, ``人言用`` for ``信用``, ``返荔`` for ``返利``, ``touzi``,
``薇信``. All of it leaves pairs that ordinary Chinese does not have (`fraudscan.neighbours`). Texts
without that mark are not touched.

Repair works on the code points of many texts at once. Separators are dropped where they cut words; contacts get their
names, and a private character behind them that says so; Latin syllables and initials, characters that are the parts
of another, and characters that sound or look like another become the one that fits both neighbours far better: a
noisy channel (Shannon 1948), decoded greedily from the surest change on. What fits nowhere stays.

>>> normalize("投·资·理·财，稳·赚·不·赔").text
'投资理财,稳赚不赔'
>>> [(repair.start, repair.text) for repair in normalize("您好，请加薇信").repairs]
[(5, '薇信')]
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan.neighbours import (
    END,
    INITIALS,
    LIST,
    MISSING,
    PLACEHOLDER,
    PRIVATE,
    RARE,
    SYLLABLES,
    WIDTH,
    carry_marks,
    cutting,
    find_marks,
    how_well,
    is_sign,
    split_keys,
    tables,
)
from fraudscan.normalize import DROPPED, code_points, normalization_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fraudscan.neighbours import Bools, Codes, Floats, Ints, Numbers, Rows

__all__ = ["LONGEST", "Normalized", "Repair", "normalize", "repaired", "undisguise"]

LONGEST = 4096
"""Characters of the longest text that is repaired: whoever hides words writes messages, not books."""

FEWEST = 4
"""So many marks of one sort must there be, whatever the length."""

ODD_SHARE, ODD_MORE = 0.13, 2.8
"""A text of n characters is taken for a disguised one from ``ODD_SHARE * n + ODD_MORE`` odd pairs on. Of held-out
messages of the corpus one pair in fourteen is odd, and two in five where a third of the characters are disguised; the
second term spares short texts with a name in them."""

CUTTING, CUTTING_TOO = 24, 4
"""From which evidence on a sign cuts the words of a text, in eighths of a nat, and from which on another one does so,
too. Held-out messages of the corpus lose signs in one honest case of three thousand (of eight hundred, were all looked
at), and in four of five where a sign stands behind every third character."""

SPEAKING = 3
"""In so many places must they speak for it, in one more where all stand between single characters: 红/黄/蓝/绿."""

SPELLED_SHARE = 0.12
"""From how many runs of Latin letters on, by the Chinese characters beside them, a text may be spelled out."""

ROUNDS = 4
"""Repair goes on until nothing changes, and is given up as a mistake where that takes longer."""

SUPPORT = 14
"""The score from which on a character is taken to belong to its neighbour, whatever the other neighbour says."""

GAIN = 5.0
"""How much better another character must fit before it is read (log-odds); two at once need it twice."""

CALLED_FOR = 0.5
"""And how well it must go together with its neighbours (log-odds)."""

SPLIT_GAIN = 0.5
"""How much better one character must fit than the two or three that it is composed of (log-odds)."""

PAIRED = 10
"""How many homophones of each of two neighbours are tried together."""

PLACED, PLACED_INITIAL = -16.0, -11.0
"""What a syllable and an initial are worth that find no character (log-odds): many a letter is meant as itself."""

LATIN_RUN = re.compile("(?<=[一-鿿])[a-z]{1,24}(?![a-z])|(?<![a-z])[a-z]{1,24}(?=[一-鿿])")
"""Letters beside a Chinese character."""

CONTACT = "\ue000"
"""A private character that stands behind a contact that was disguised: evidence by itself."""

CONTACTS = (
    ("微信", "[薇葳徽溦崴][信芯心伈]|微[伈芯訫](?=[a-z0:号])|v[信心芯]|[威维卫][信心](?=[:号]?[a-z0]{5})"),
    ("加微信", "(?<=[加十])[薇葳溦崴徽威](?![信芯心风海廉尔])"),
    ("加微信", "加(?:[威维卫][信心]|卫星|绿泡泡|小绿|绿色软件)"),
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


@dataclass(frozen=True)
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
    return {index: line.texts()[0] for index, line in _repaired(texts).items()}


def normalize(text: str) -> Normalized:
    """Return what the model reads of ``text``, and what it took for a disguise.

    Normalising the result again changes nothing. Texts of more than `LONGEST` characters are read by the character
    table alone.

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
    plain = _folded([text])
    lines = _repaired([text]).get(0, plain) if _marked([text]).size else plain
    read = lines.texts()[0]
    return Normalized(read, lines.starts[:-1], lines.ends[:-1], tuple(_changes(text, plain, lines)))


def numbers_of(texts: Sequence[str]) -> Numbers:
    """Return the numbers of the kept characters of ``texts``, each with an `END` behind it."""
    return _numbers(_folded(texts))[0]


def _marked(texts: Sequence[str]) -> Ints:
    """Return the numbers of the texts that carry marks of disguise."""
    texts = [text if len(text) <= LONGEST or not _is_long(text) else "" for text in texts]
    numbers, ends = _numbers(_folded(texts))
    marked: Ints = carry_marks(numbers, ends).nonzero()[0]
    return marked


def _is_long(text: str) -> bool:
    """Tell whether ``text`` has more than `LONGEST` characters that are not dropped."""
    kept = 0
    for first in range(0, len(text), 1 << 16):
        kept += int(np.count_nonzero(normalization_table()[code_points(text[first : first + (1 << 16)])]))
        if kept > LONGEST:
            return True
    return False


def _repairable(lines: _Lines) -> Bools:
    """Tell for each text whether there is a repair for its marks."""
    numbers, ends = _numbers(lines)
    marks = find_marks(numbers)
    found = _heavy(marks.odd, ends) | _spelled_out(numbers, marks.spelled, ends)
    found[ends.searchsorted(marks.contacts)] = True
    found[ends.searchsorted(_cuts(lines)[0])] = True
    return found


def _steps(values: Ints) -> Ints:
    """Return how much larger each value is than the one before, and the first of all; in a fifth of np.diff's time."""
    steps = values.copy()
    steps[1:] -= values[:-1]
    return steps


def _heavy(odd: Ints, ends: Ints) -> Bools:
    """Tell for each text whether it has far more odd pairs than ordinary ones have."""
    counts = _steps(odd.searchsorted(ends))
    heavy: Bools = (counts >= FEWEST) & (counts > ODD_SHARE * _steps(ends + 1) + ODD_MORE)
    return heavy


def _spelled_out(numbers: Numbers, spelled: Ints, ends: Ints) -> Bools:
    """Tell for each text whether Latin letters stand in it again and again where a character is expected."""
    counts = _steps(spelled.searchsorted(ends))
    found: Bools = (counts >= FEWEST) & (2 * counts > SPELLED_SHARE * _steps(ends + 1))
    for i in found.nonzero()[0].tolist():
        text = numbers[ends[i - 1] + 1 if i else 0 : ends[i]]
        found[i] = counts[i] > SPELLED_SHARE * np.count_nonzero(text <= RARE)
    return found


@dataclass
class _Lines:
    """Texts being repaired, one behind the other, each with a code point 0 behind it.

    Attributes:
        codes: the code points.
        starts: where each comes from in the joined originals: it stands for what begins there …
        ends: … and ends here.

    """

    codes: Codes
    starts: Ints
    ends: Ints

    def keep(self, kept: Bools | Ints) -> None:
        """Keep the characters at these places, or those that are marked."""
        self.codes, self.starts, self.ends = self.codes[kept], self.starts[kept], self.ends[kept]
        self.__dict__.pop("bounds", None)

    @cached_property
    def bounds(self) -> Ints:
        """Where the texts end."""
        bounds: Ints = (self.codes == 0).nonzero()[0]
        return bounds

    def copy(self) -> _Lines:
        """Return a copy that can be changed by itself."""
        return _Lines(self.codes.copy(), self.starts, self.ends.copy())

    def place(self, index: int) -> slice:
        """Return where one text is."""
        return slice(self.bounds[index - 1] + 1 if index else 0, self.bounds[index] + 1)

    def part(self, index: int, offset: int) -> _Lines:
        """Return one text, with places that count from ``offset``."""
        place = self.place(index)
        return _Lines(self.codes[place], self.starts[place] - offset, self.ends[place] - offset)

    def texts(self) -> list[str]:
        """Return the texts."""
        joined: str = self.codes.tobytes().decode("utf-32-le", "surrogatepass")
        return joined.split("\0")[:-1]


def _folded(texts: Sequence[str]) -> _Lines:
    raw = code_points("\0".join(texts) + "\0")
    codes = normalization_table()[raw]
    kept = codes != DROPPED
    ends = np.fromiter((len(text) + 1 for text in texts), dtype=np.int64, count=len(texts)).cumsum() - 1
    kept[ends] = True
    at = kept.nonzero()[0]
    return _Lines(codes[at], at, at + 1)


def _repaired(texts: Sequence[str]) -> dict[int, _Lines]:
    """Repair texts until nothing changes; return those that are read otherwise then, by their index.

    Where that does not come to rest, none of it is done.
    """
    mendable = _repairable(_folded(texts)).nonzero()[0].tolist() if texts else []
    texts = [texts[i] for i in mendable]
    if not texts:
        return {}
    lines = _folded(texts)
    offsets = np.concatenate([[0], np.fromiter(map(len, texts), np.int64, len(texts)).cumsum()])
    offsets += np.arange(offsets.size)
    raw = code_points("\0".join(texts) + "\0")
    plain = before = lines.texts()
    found: dict[int, tuple[_Lines, int, str]] = {}
    active = np.arange(len(texts))
    for _ in range(ROUNDS):
        _round(lines, raw)
        numbers, bounds = _numbers(lines)
        read = lines.texts()
        again = carry_marks(numbers, bounds) & _repairable(lines)
        for i in again.nonzero()[0].tolist():
            again[i] = read[i] != before[i]
        for i in (~again).nonzero()[0].tolist():
            found[int(active[i])] = lines, i, read[i]
        if not again.any():
            break
        active = active[again]
        lines = lines.copy()
        lines.keep(again.repeat(_steps(bounds + 1)))
        before = list(itertools.compress(read, again))
    return {
        mendable[i]: lines.part(index, int(offsets[i]))
        for i, (lines, index, text) in sorted(found.items())
        if text != plain[i]
    }


def _round(lines: _Lines, raw: Codes) -> None:
    _drop_separators(lines)
    _rewrite_letters(lines)
    numbers, bounds = _numbers(lines)
    heavy = _heavy(find_marks(numbers).odd, bounds)
    _join_parts(lines, heavy)
    _choose_pairs(lines, heavy)
    for _ in range(3):
        if not _choose(lines, heavy):
            break
    _restore_letters(lines, raw)


def _each(heavy: Bools, ends: Ints) -> Bools:
    """Return for each character, the end of a text included, whether its text is ``heavy``."""
    return heavy.repeat(_steps(ends + 1))


def _numbers(lines: _Lines) -> tuple[Numbers, Ints]:
    """Return the numbers of the characters, and where the texts end."""
    numbers = tables().numbers.take(lines.codes)
    numbers[lines.bounds] = END
    return numbers, lines.bounds


def _cuts(lines: _Lines) -> tuple[Ints, Ints]:
    """Return where the separators that cut words begin and end.

    What stands before and behind a sign that cuts goes together as neighbours do, again and again: a likelihood ratio
    over all of a sign's places in a text tells it from one that separates.
    """
    numbers, bounds = _numbers(lines)
    change = np.diff(is_sign(numbers), prepend=False).nonzero()[0]  # a text ends with END, so every run ends
    begin, end = change[::2], change[1::2]
    inside = (end - begin <= 3) & (numbers[begin - 1] <= RARE) & (numbers[end] <= RARE)
    begin, end = begin[inside], end[inside]
    evidence = cutting(numbers[begin - 1], numbers[end])
    alone = (numbers[begin - 2] > RARE) & (numbers[end + 1] > RARE)
    evidence[alone & (numbers[begin] == LIST)] = 0  # one character, and one more: 油、盐、酱、醋
    text = bounds.searchsorted(begin)
    signs, sign = np.unique(text << 21 | lines.codes[begin], return_inverse=True)
    sums = np.bincount(sign, evidence, minlength=signs.size)
    cut = np.isin(signs >> 21, signs[sums >= CUTTING] >> 21) & (sums >= CUTTING_TOO)
    drop = cut[sign] & ((evidence > 0) | ~tables().sentence[lines.codes[begin]])
    speaking = drop & (evidence > 0)
    found = np.bincount(text[speaking], minlength=bounds.size)
    found += np.bincount(text[speaking & ~alone], minlength=bounds.size) > 0
    drop &= ((found > SPEAKING) & (np.bincount(text[drop], minlength=bounds.size) >= FEWEST))[text]
    return begin[drop], end[drop]


def _drop_separators(lines: _Lines) -> None:
    begin, end = _cuts(lines)
    steps = np.zeros(lines.codes.size, dtype=np.int8)
    steps[begin] += 1
    steps[end] -= 1
    lines.keep(np.cumsum(steps, dtype=np.int8) == 0)


def _rewrite_letters(lines: _Lines) -> None:
    """Give contacts their names, and Latin syllables and initials in Chinese context their placeholders."""
    numbers, bounds = _numbers(lines)
    marks = find_marks(numbers)
    text: str = lines.codes.tobytes().decode("utf-32-le", "surrogatepass")
    edits: list[tuple[int, int, str]] = []
    done = 0
    for place in marks.contacts.tolist():
        match = _contacts().search(text, max(done, place - 1), place + 12)
        if match and match.lastgroup and match.start() <= place + 1:
            edits.append((*match.span(), CONTACTS[int(match.lastgroup[1:])][0] + CONTACT))
            done = match.end()
    taken = {i for begin, end, _ in edits for i in range(begin, end)}
    for i in _spelled_out(numbers, marks.spelled, bounds).nonzero()[0].tolist():
        runs = list(LATIN_RUN.finditer(text, bounds[i - 1] + 1 if i else 0, bounds[i]))
        spelled = [(run, _spelled(run.group())) for run in runs]
        if 3 * sum(map(bool, (pieces for _, pieces in spelled))) >= len(runs):
            for run, pieces in spelled:
                if taken.isdisjoint(range(*run.span())):
                    edits += [(run.start() + begin, run.start() + end, c) for begin, end, c in pieces]
    if not edits:
        return
    edits.sort()
    begin, end = np.array([edit[:2] for edit in edits]).T
    sizes = np.array([len(edit[2]) for edit in edits])
    steps = np.zeros(lines.codes.size + 1, dtype=np.int64)
    steps[begin] += 1
    np.subtract.at(steps, end, 1)
    counts = 1 - np.cumsum(steps[:-1])
    counts[begin] = sizes
    lines.ends[begin] = lines.ends[end - 1]
    source = np.arange(counts.size).repeat(counts)
    lines.keep(source)
    first = (np.cumsum(counts) - counts)[begin]
    at = (first - np.cumsum(sizes) + sizes).repeat(sizes) + np.arange(sizes.sum())
    lines.codes[at] = code_points("".join(edit[2] for edit in edits))


@cache
def _contacts() -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<c{i}>{pattern})" for i, (_, pattern) in enumerate(CONTACTS)))


@lru_cache(maxsize=4096)
def _spelled(run: str) -> list[tuple[int, int, str]]:
    """Return where syllables or initials lie in a run of Latin letters, and their placeholders; none for words."""
    table = tables()
    if len(run) > 1 and run in table.latin:
        return []
    found = list(table.pinyin.finditer(run))
    if sum(len(match.group()) for match in found) == len(run):
        return [(m.start(), m.end(), chr(SYLLABLES + table.syllables[m.group()])) for m in found]
    if len(run) <= 4 and all(letter in table.initials for letter in run):
        return [(i, i + 1, chr(INITIALS + ord(letter))) for i, letter in enumerate(run)]
    return []


def _join_parts(lines: _Lines, heavy_texts: Bools) -> None:
    """Read two or three characters as the one that they are the parts of where that fits the neighbours better."""
    table = tables()
    known, wholes = table.splits
    for size in (3, 2):
        numbers, bounds = _numbers(lines)
        codes = lines.codes
        heavy = _each(heavy_texts, bounds)
        roles = table.roles.take(codes)
        found = (((roles[:-2] & 1) > 0) & ((roles[1:-1] & 2) > 0) & heavy[:-2]).nonzero()[0]
        third = codes[found + 2] if size == 3 else np.zeros(found.size, dtype=np.int32)
        keys = split_keys(codes[found], codes[found + 1], third)
        at = np.minimum(known.searchsorted(keys), known.size - 1)
        good = (known[at] == keys) & ((third > 0) == (size == 3))
        found, at = found[good], at[good]
        if not found.size:
            continue
        whole = wholes[at]
        new = table.numbers[whole]
        left, right = numbers[found - 1], numbers[found + size]
        old = sum((how_well(numbers[found + i - 1], numbers[found + i]) for i in range(size + 1)), np.float32(0))
        good = how_well(left, new) + how_well(new, right) - old >= SPLIT_GAIN
        good[1:] &= ~good[:-1] | (np.diff(found) >= size)
        found, whole = found[good], whole[good]
        if not found.size:
            continue
        lines.codes[found] = whole
        lines.ends[found] = lines.ends[found + size - 1]
        kept = np.ones(lines.codes.size, dtype=bool)
        for i in range(1, size):
            kept[found + i] = False
        lines.keep(kept)


def _choose(lines: _Lines, heavy_texts: Bools) -> bool:
    """Read characters as others of their sound or shape where those fit both neighbours far better."""
    table = tables()
    numbers, bounds = _numbers(lines)
    heavy = _each(heavy_texts, bounds)
    at = (_suspects(numbers, lines.codes) & heavy | (numbers == PLACEHOLDER)).nonzero()[0]
    if not at.size:
        return False
    codes = lines.codes[at]
    candidates = np.hstack([table.homophones[table.sound[codes]], table.shapes[table.shape[codes]]])
    called_for = np.where(numbers[at] == PLACEHOLDER, -np.inf, np.float32(CALLED_FOR))
    best, chosen = _best(candidates, numbers[at - 1], numbers[at + 1], called_for[:, None])
    letters = codes >= INITIALS
    for letter in np.unique(codes[letters]).tolist():
        rows = (codes == letter).nonzero()[0]
        wide = table.initials[chr(letter - INITIALS)][None].repeat(rows.size, axis=0)
        best[rows], chosen[rows] = _best(wide, numbers[at[rows] - 1], numbers[at[rows] + 1], np.float32(CALLED_FOR))
    own = table.logs[numbers[at]] + how_well(numbers[at - 1], numbers[at]) + how_well(numbers[at], numbers[at + 1])
    own[codes >= SYLLABLES] = PLACED
    own[codes >= INITIALS] = PLACED_INITIAL
    gain = np.zeros(numbers.size + 1, dtype=np.float32)
    gain[at] = best - own
    better = (gain[at] >= GAIN) & (gain[at] > gain[at - 1]) & (gain[at] >= gain[at + 1])
    lines.codes[at[better]] = table.codes[chosen[better]]
    return bool(better.any())


def _suspects(numbers: Numbers, codes: Codes) -> Bools:
    """Tell which Chinese characters go together with neither of their neighbours, and not at all with one."""
    table = tables()
    scores = np.zeros(numbers.size + 1, dtype=np.int8)  # of each character with the one before it
    scores[1:-1] = table.pairs.take(numbers[:-1].astype(np.int32) * WIDTH + numbers[1:])
    rare = (numbers == RARE).nonzero()[0]
    for first in (rare - 1, rare):  # pairs with a rare character stand in a list of their own
        keys = codes[first].astype(np.int64) << 21 | codes[first + 1]
        at = np.minimum(table.rare_pairs.searchsorted(keys), table.rare_pairs.size - 1)
        scores[first[table.rare_pairs[at] == keys] + 1] = SUPPORT + 1
    odd, good = scores <= MISSING, scores > SUPPORT
    return (odd[1:] | odd[:-1]) & ~(good[1:] | good[:-1]) & (numbers <= RARE)


def _best(candidates: Rows, left: Numbers, right: Numbers, called_for: Any) -> tuple[Floats, Rows]:
    """Return the best score of each row of candidates between two neighbours, and the candidate that has it.

    One that neither neighbour calls for has no score: it would be read for its frequency alone.
    """
    table = tables()
    scores = how_well(left[:, None], candidates) + how_well(candidates, right[:, None])
    scores[(candidates < 0) | (scores < called_for)] = -np.inf
    scores += table.logs.take(candidates)
    place = scores.argmax(axis=1)
    rows = np.arange(len(candidates))
    return scores[rows, place], candidates[rows, place]


def _choose_pairs(lines: _Lines, heavy_texts: Bools) -> None:
    """Do the same for two neighbours at once, which no single change would mend."""
    table = tables()
    numbers, bounds = _numbers(lines)
    heavy = _each(heavy_texts, bounds)
    open_ = _suspects(numbers, lines.codes) & (numbers != RARE) & heavy
    odd = find_marks(numbers).odd
    at = odd[open_[odd] & open_[odd + 1]]
    placed = (numbers == PLACEHOLDER) & (lines.codes < INITIALS)
    at = np.union1d(at, (placed[:-1] & placed[1:]).nonzero()[0])
    if not at.size:
        return
    one = table.homophones[table.sound[lines.codes[at]]][:, :PAIRED]
    two = table.homophones[table.sound[lines.codes[at + 1]]][:, :PAIRED]
    left, right = numbers[at - 1], numbers[at + 2]
    first = how_well(left[:, None], one) + table.logs.take(one)
    second = how_well(two, right[:, None]) + table.logs.take(two)
    first[one < 0] = second[two < 0] = -np.inf
    scores = how_well(one[:, :, None], two[:, None, :])
    scores += first[:, :, None]
    scores += second[:, None, :]
    lonely = (left > RARE) & (right > RARE)  # a word between signs is as good as any other
    scores[lonely] = -np.inf
    place = scores.reshape(at.size, -1).argmax(axis=1)
    rows = np.arange(at.size)
    best = scores.reshape(at.size, -1)[rows, place]
    own = how_well(left, numbers[at]) + how_well(numbers[at], numbers[at + 1]) + how_well(numbers[at + 1], right)
    for i in (0, 1):
        own += np.where(placed[at + i], np.float32(PLACED), table.logs[numbers[at + i]])
    gain = np.zeros(numbers.size + 1, dtype=np.float32)
    gain[at] = best - own
    better = (gain[at] >= 2 * GAIN) & (gain[at] > gain[at - 1]) & (gain[at] >= gain[at + 1])
    at, place, rows = at[better], place[better], rows[better]
    lines.codes[at] = table.codes[one[rows, place // PAIRED]]
    lines.codes[at + 1] = table.codes[two[rows, place % PAIRED]]


def _restore_letters(lines: _Lines, raw: Codes) -> None:
    """Put the letters back where no character was found for them."""
    left = (lines.codes >= SYLLABLES) & (lines.codes < PRIVATE)
    if not left.any():
        return
    sizes = np.where(left, lines.ends - lines.starts, 1)
    source = np.arange(sizes.size).repeat(sizes)
    step = np.arange(source.size) - (np.cumsum(sizes) - sizes)[source]
    original = lines.starts[source] + step
    codes = np.where(left[source], normalization_table()[raw[np.minimum(original, raw.size - 1)]], lines.codes[source])
    starts = np.where(left[source], original, lines.starts[source])
    ends = np.where(left[source], original + 1, lines.ends[source])
    kept = ~left[source] | (codes != DROPPED)
    lines.codes, lines.starts, lines.ends = codes, starts, ends
    lines.keep(kept)


def _changes(text: str, plain: _Lines, read: _Lines) -> Iterator[Repair]:
    """Yield the stretches of ``text`` that are not read as the character table reads them."""
    expected = dict(zip(plain.starts.tolist(), plain.codes.tolist(), strict=True))
    found = list(zip(read.starts.tolist(), read.ends.tolist(), read.codes.tolist(), strict=True))
    same = {start for start, end, code in found if end == start + 1 and expected.get(start) == code}
    begin = None
    for place in expected:
        if place not in same:
            begin = place if begin is None else begin
            last = place + 1
        elif begin is not None:
            read_as = "".join(chr(code) for start, _, code in found if begin <= start < last)
            yield Repair(begin, last, text[begin:last], read_as)
            begin = None
