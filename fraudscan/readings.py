"""Read disguised words in the likeliest way.

A lattice (`fraudscan.lattice`) offers other readings of what was written: of syllables and initials in Latin or
Bopomofo, of the parts of a character, of a character by its sound or else by its shape, and of a picture by what it
shows or sounds like.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fraudscan.arrays import ranges, runs_of
from fraudscan.characters import code_points, is_han, text_of
from fraudscan.lattice import EVERY, SHAPE, SOUND, Arcs, likeliest
from fraudscan.neighbours import LETTER, NAT, NOTHING, RARE, TONES, tables
from fraudscan.survey import MIN_MARKS, Mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fraudscan.arrays import Codes, Ints, Numbers
    from fraudscan.lines import Lines
    from fraudscan.neighbours import Tables

__all__ = ["MIN_WORTH", "WORTH", "read_likeliest"]

WORTH, MIN_WORTH = 1.25 * NAT, 20 * NAT
"""How much likelier a text with odd pairs must be as repaired than as written: per doubtful character, and the minimum
for the whole text. Of held-out messages of the corpus disguised by homophones, 94 in a hundred are read as repaired. Of
honest ones, one in three thousand is: dialect, writing of a hundred years ago, and terms of crafts."""

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

NUMERALS = "零一二三四五六七八九"
"""What a keycap may stand for: 1️⃣ for 一."""

MAX_INITIALS = 4
"""Maximum length of a run of letters that may consist of initials alone."""

MAX_RUN = 24
"""Maximum length of a run of letters that may spell something."""


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


def read_likeliest(lines: Lines) -> Lines:
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


def _alike(lines: Lines, doubted: Ints) -> Iterator[_Arcs]:
    """Yield arcs for the ``doubted`` characters, by sound and by shape, and for the parts of a character."""
    if not lines.survey.heavy.any():
        return
    codes = lines.codes[doubted]
    for rows, channel in ((tables().sound, SOUND), (tables().shape, SHAPE)):
        yield _Arcs(doubted, np.ones_like(doubted), rows[codes], CHANGED, channel=channel)
    for size, wholes in enumerate(lines.survey.wholes, 2):
        starts = (wholes != NOTHING).nonzero()[0]
        yield _Arcs(starts, np.full_like(starts, size), wholes[starts], JOINED)


def _spelled_arcs(lines: Lines) -> Iterator[_Arcs]:
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


def _shown(lines: Lines) -> Iterator[_Arcs]:
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


def _passing(lines: Lines) -> Iterator[_Arcs]:
    """Yield arcs that skip a sign: the sign and the character after it are read as that character."""
    signs = lines.survey.places(Mark.MAY_CUT)
    if signs.size:
        yield _Arcs(signs, np.full_like(signs, 2), lines.numbers[signs + 1], PASSED)
