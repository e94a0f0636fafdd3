"""Where texts carry marks of disguise that repair can work on, place by place.

Each text of a batch is surveyed by itself. Signs that cut words are told from signs that separate them, fillers, which
cut words whatever they are, from what ordinary texts repeat, pictures in the place of a character from pictures beside
their name, and letters that spell Chinese words from words of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fraudscan import kernel
from fraudscan.arrays import differences, ranges, runs_of
from fraudscan.characters import is_latin, normalization_table
from fraudscan.neighbours import (
    CUT,
    DIGIT,
    DISGUISED,
    END,
    FILLED_EVIDENCE,
    FILLED_SHARE,
    LETTER,
    LIST,
    MIN_FILLED,
    MISSING,
    MOST_SIGNS,
    NAT,
    NOTHING,
    OTHER,
    RARE,
    SIGNS,
    SPELLED,
    WIDTH,
    half_keys,
    is_sign,
    scores_of,
    split_keys,
    tables,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from fraudscan.arrays import Bools, Codes, Ints, Numbers

__all__ = ["MIN_MARKS", "Mark", "Survey", "survey"]

MIN_MARKS = 3
"""Minimum number of marks of one kind, whatever the length of the text."""

ODD_SHARE = 0.1
"""Other readings of a text are tried if more than this share of its characters, the end included, form odd pairs with
the next one. In held-out messages of the corpus one pair in forty is odd, and one in four where a third of the
characters are homophones. `fraudscan.readings.WORTH` decides whether the text is disguised."""

SPELLED_SHARE = 0.12
"""A text may be spelled out in letters if the number of runs of them is more than this share of its Chinese
characters, and more than half this share of all its characters: in a program listing few characters are Chinese."""

LEAST_WORTH = -NAT / 4
"""The value of a text, per character, below which another order is tried: 96 in 100 texts that are written backwards or
in columns are below it, and of honest texts with marks of disguise one in four hundred."""

CUTTING, CUTTING_FURTHER = 16, 4
"""Minimum evidence, in eighths of a nat, that a sign cuts the words of a text, and the minimum for further signs of the
same text. One honest text in fourteen hundred loses signs; half of these are advertising that really is disguised
(银_行贷_款). Where a sign follows every third character, nine texts in ten lose signs."""

CUTTING_PLACE = 8
"""Minimum evidence, in eighths of a nat, for a sign that does not cut a whole text to be weighed place by place."""

PICTORIAL = 0x2190
"""The first code point of pictorial signs, the only signs that are weighed place by place. The signs before it are on
every keyboard and are also used between words."""

FILLER_SHARE = 0.15
"""Minimum share of a text's characters that a filler makes up: a character that stands in many places between others.
All digits are the same character, and so are all letters, all `INTERJECTIONS`, and all characters of class `OTHER`,
such as letters of other scripts. Several other Chinese characters are none: they may be a word, such as a lure between
the characters of a harmless text. The kernel needs more than a seventh (``_survey.c``)."""

LISTED_EVIDENCE = 256
"""Minimum evidence, in eighths of a nat, that ``、`` cuts words: neighbours in a list of single characters go together,
too, as in 鼠、牛、虎 or 油、盐、酱."""

FULL_SHARE = 0.7
"""Share of the gaps between Chinese characters from which on other signs in them need no evidence, because the words
that they cut may be disguised in another way, too. Twice `MIN_FILLED` gaps are needed: shorter lists of single
characters (钉/锤/锯/刨) look alike."""

MOST_FILLERS = 2 * MOST_SIGNS
"""Maximum number of fillers in a row that are dropped: of letters, no more than in the shortest gap; of digits, one
more."""

MIN_CUTS = 2
"""Minimum number of places where signs cut what may be a word, before any sign of the text is dropped. The minimum is
twice as high if all of them are between single characters: 红/黄/蓝/绿."""

STRONG = 0
"""The score above which two neighbours are taken to belong together."""

FIRM = 6
"""The score above which a character that belongs to one neighbour is not doubted because of the other one, if that one
belongs to nothing: of two characters that do not go together, one is the disguise."""

NAME = 3
"""How many characters of a picture's row, from the first, may be its name."""

KEYCAP_MARK = 0x20E3
"""The code point that turns the digit before it into a keycap."""


class Mark:
    """Flags of the places of a text.

    Attributes:
        CUTS: what cuts words: a sign or a filler.
        MAY_CUT: a single sign that may cut words, in one place of its text.
        CONTACT: the first of two characters that occur in a known disguise of a contact.
        PICTURE: a picture that may stand for characters.
        KEYCAP: a digit that is a keycap.
        DOUBTFUL: in a text with many odd pairs, a Chinese character that does not belong to a Chinese neighbour, unless
            it belongs to the other one firmly (`FIRM`) and that neighbour belongs to nothing.
        LABEL: a letter that is a label, in a text that is spelled out.

    """

    CUTS, MAY_CUT, CONTACT, PICTURE, KEYCAP, DOUBTFUL, LABEL = (1 << bit for bit in range(7))


class Survey(NamedTuple):
    """The marks of disguise of several texts.

    Attributes:
        flags: uint8, shape (characters,): the flags of each place.
        wholes: shape (2, characters): in texts with many odd pairs, the number of the character whose parts are the two
            or the three characters from each place on; `NOTHING` if there is none.
        heavy: shape (texts,): mask of the texts with many odd pairs or groups of characters that may be the parts of
            one character.
        spelled_out: shape (texts,): mask of the texts in which letters appear repeatedly where a Chinese
            character is expected.
        repairable: shape (texts,): mask of the texts that have any mark that repair can work on.
        loose: shape (texts,): mask of the texts whose characters hardly go together, which may have to be put in order.

    """

    flags: npt.NDArray[np.uint8]
    wholes: Numbers
    heavy: Bools
    spelled_out: Bools
    repairable: Bools
    loose: Bools

    def at(self, texts: Bools, characters: Bools) -> Survey:
        """Return the survey of the texts and the characters that the masks select."""
        flags, wholes, *masks = self
        return Survey(flags[characters], wholes[:, characters], *(mask[texts] for mask in masks))

    def updated(self, source: Ints, texts: Bools, characters: Bools, found: Survey) -> Survey:
        """Return the survey after some texts have changed.

        Args:
            source: shape (characters,): the place at which each character was before.
            texts: shape (texts,): mask of the texts that changed.
            characters: shape (characters,): mask of their characters.
            found: their survey.

        """
        flags, wholes = self.flags.take(source), self.wholes.take(source, axis=1)
        flags[characters], wholes[:, characters] = found.flags, found.wholes
        masks = [mask.copy() for mask in self[2:]]
        for mask, new in zip(masks, found[2:], strict=True):
            mask[texts] = new
        return Survey(flags, wholes, *masks)

    def places(self, flag: int) -> Ints:
        """Return the offsets of the places with a flag, in order."""
        places: Ints = (self.flags & flag).nonzero()[0]
        return places


def survey(codes: Codes, numbers: Numbers, ends: Ints, starts: Ints, raw: Codes) -> Survey:
    """Survey texts.

    Args:
        codes: shape (characters,): the code points of the texts, each followed by a 0.
        numbers: shape (characters,): their numbers, with an `END` after each text.
        ends: shape (texts,): the offset at which each text ends.
        starts: shape (characters,): for each code point, the offset in ``raw`` of the character it stands for.
        raw: the code points of the joined originals.

    """
    flags = np.zeros(codes.size, dtype=np.uint8)
    wholes = np.full((2, codes.size), NOTHING, dtype=np.uint16)
    masks = np.zeros((4, ends.size), dtype=bool)
    found = Survey(flags, wholes, *masks)
    if not kernel.compiled:
        _survey(codes, numbers, ends, starts=starts, raw=raw, found=found)
        return found
    table = tables()
    neighbours = table.pairs, table.cutting
    characters = table.empty_words, table.halves, table.splits[0], table.wholes, table.rare_pairs
    pictures = normalization_table(), table.picture, *table.choices, table.worth, table.empty
    classes = WIDTH, RARE, DIGIT, *SIGNS, END, NOTHING
    scores = DISGUISED, MISSING, CUT, SPELLED, STRONG, FIRM
    cuts = MOST_SIGNS, MIN_CUTS, CUTTING, CUTTING_FURTHER, CUTTING_PLACE, PICTORIAL
    fillers = FILLER_SHARE, FILLED_SHARE, FULL_SHARE, MIN_FILLED, FILLED_EVIDENCE, LISTED_EVIDENCE, MOST_FILLERS
    limits = classes, scores, (ODD_SHARE, SPELLED_SHARE, LEAST_WORTH), fillers, (MIN_MARKS, *cuts, NAME, KEYCAP_MARK)
    known = *neighbours, *characters, *pictures, *limits
    kernel.compiled.survey(codes, numbers, ends, starts, raw, *known, *found)
    return found


def _survey(  # noqa: PLR0913 - the arguments of `survey`
    codes: Codes, numbers: Numbers, ends: Ints, *, starts: Ints, raw: Codes, found: Survey
) -> None:
    """Fill in ``found``, as `survey` does, without the kernel."""
    flags, wholes, heavy, spelled_out, repairable, loose = found
    lengths = differences(ends + 1)
    scores = scores_of(numbers[:-1], numbers[1:])
    flags[(scores == DISGUISED).nonzero()[0]] |= Mark.CONTACT
    inside = (numbers[:-1] != END) & (numbers[1:] != END)
    worth = np.where(inside, tables().worth.take(scores.view(np.uint8)), 0).cumsum(dtype=np.int64)
    loose[:] = differences(np.append(0, worth)[ends]) < LEAST_WORTH * lengths

    _find_wholes(wholes, codes)
    odd = ((scores == MISSING) | (scores == CUT)).nonzero()[0]
    counts = _per_text(odd, ends)
    for each in wholes:
        counts += _per_text((each != NOTHING).nonzero()[0], ends)
    heavy[:] = (counts >= MIN_MARKS) & (counts > ODD_SHARE * lengths)
    light = ~heavy.repeat(lengths)
    wholes[:, light] = NOTHING
    if heavy.any():
        flags[_doubtful(codes, numbers, scores) & ~light] |= Mark.DOUBTFUL

    spelled = (scores == SPELLED).nonzero()[0]
    if (_per_text(spelled, ends) >= MIN_MARKS).any():
        labels = _labels(codes, ends)
        counts = _per_text(spelled[~np.isin(spelled + 1, labels)], ends)
        spelled_out[:] = (counts >= MIN_MARKS) & (2 * counts > SPELLED_SHARE * lengths)
        spelled_out &= counts > SPELLED_SHARE * _per_text((numbers <= RARE).nonzero()[0], ends)
        flags[labels[spelled_out[ends.searchsorted(labels)]]] |= Mark.LABEL

    _flag_signs(flags, codes, numbers, ends)
    _flag_fillers(flags, codes, numbers, ends)
    written = raw.take(starts)
    rows = tables().picture.take(written)
    rows[codes != normalization_table().take(written)] = tables().empty  # repair replaced them
    pictures = (rows != tables().empty).nonzero()[0]
    pictures = pictures[~_named(numbers, pictures, rows[pictures])]
    flags[pictures] |= Mark.PICTURE
    flags[_keycaps(numbers, starts, raw)] |= Mark.KEYCAP

    repairable[:] = heavy | spelled_out | loose
    shown = pictures[(numbers[pictures - 1] <= RARE) & (numbers[pictures + 1] <= RARE)]
    repairable[ends.searchsorted(shown)] = True
    others = flags & (Mark.CUTS | Mark.MAY_CUT | Mark.CONTACT | Mark.KEYCAP)
    repairable[ends.searchsorted(others.nonzero()[0])] = True


def _per_text(places: Ints, ends: Ints) -> Ints:
    """Return the number of ``places`` in each text."""
    return differences(places.searchsorted(ends))


def _find_wholes(wholes: Numbers, codes: Codes) -> None:
    """Fill in the numbers of the characters whose parts begin at each place, as in `Survey`."""
    table = tables()
    known, _ = table.splits
    two = table.halves.take(half_keys(codes[:-2], codes[1:-1])).nonzero()[0]
    three = two[codes[two + 2] > 0]  # the third is not the end of a text
    for row, places, third in ((0, two, np.zeros_like(two)), (1, three, codes[three + 2])):
        keys = split_keys(codes[places], codes[places + 1], third)
        at = known.searchsorted(keys)
        found = known.take(at, mode="clip") == keys
        wholes[row, places[found]] = table.wholes[at[found]]


def _doubtful(codes: Codes, numbers: Numbers, scores: npt.NDArray[np.int8]) -> Bools:
    """Return a mask of the characters that are doubtful in texts with many odd pairs (see `Mark`)."""
    table = tables()
    strong = scores > STRONG  # whether each character belongs to the next one
    rare = (numbers == RARE).nonzero()[0]
    for first in (rare - 1, rare):  # pairs with a rare character have a list of their own
        keys = codes[first].astype(np.int64) << 21 | codes[first + 1]
        at = table.rare_pairs.searchsorted(keys)
        strong[first[table.rare_pairs.take(at, mode="clip") == keys]] = True
    chinese = numbers <= RARE
    neighbours = chinese[:-1] & chinese[1:]  # nothing is known about a character between signs, as in 洗→切→炒
    firm = neighbours & (scores > FIRM)
    after = np.append(neighbours & ~strong, False)
    before = np.append(False, after[:-1])
    belongs = np.append(neighbours & strong, False)
    alone = (before | after) & ~belongs & ~np.append(False, belongs[:-1])
    doubted: Bools = alone.copy()
    doubted[1:] |= before[1:] & ~(alone[:-1] & np.append(firm[1:], False))
    doubted[:-1] |= after[:-1] & ~(alone[1:] & np.append(False, firm[:-1]))
    return doubted


def _labels(codes: Codes, ends: Ints) -> Ints:
    """Return the offsets of single letters that are labels, as in A:在吗 B:在的 or L码 and M码.

    In the same text, another letter also stands alone before the same character.
    """
    latin = is_latin(codes)
    places = latin.nonzero()[0]
    places = places[~latin[places - 1] & ~latin[places + 1]]
    letters, behind = codes[places], codes[places + 1].astype(np.int64)
    behind += ends.searchsorted(places) << 21
    sets, counts = np.unique(np.unique(behind << 7 | letters) >> 7, return_counts=True)
    labels: Ints = places[counts[sets.searchsorted(behind)] > 1]
    return labels


def _flag_signs(flags: npt.NDArray[np.uint8], codes: Codes, numbers: Numbers, ends: Ints) -> None:
    """Flag the signs that may cut words.

    The characters before and after a sign that cuts words go together as neighbours do, in place after place. A
    likelihood ratio over all places of a sign in a text distinguishes it from a sign that separates words.
    """
    begin, end = runs_of(is_sign(numbers).nonzero()[0])
    inside = (numbers[begin - 1] <= RARE) & (numbers[end] <= RARE)
    begin, end = begin[inside], end[inside]
    if not begin.size:
        return
    evidence = tables().cutting.take(scores_of(numbers[begin - 1], numbers[end]).view(np.uint8))
    alone = (numbers[begin - 2] > RARE) & (numbers[end + 1] > RARE)  # between single characters: 春·夏·秋·冬
    evidence[alone & (numbers[begin] == LIST)] = 0  # a list of single characters: 油、盐、酱、醋
    different = np.append(0, (codes[1:] != codes[:-1]).cumsum())
    evidence[different[end - 1] - different[begin] >= MOST_SIGNS] = 0  # a picture, or a line between paragraphs
    owner = ends.searchsorted(begin)
    signs, sign = np.unique(owner << 21 | codes[begin], return_inverse=True)
    sums = np.bincount(sign, evidence)

    cutting_texts = np.zeros(ends.size, dtype=bool)
    cutting_texts[signs[sums >= CUTTING] >> 21] = True
    cut = cutting_texts[signs >> 21] & (sums >= CUTTING_FURTHER)
    drop = cut[sign] & ((evidence > 0) | ~tables().empty_words[codes[begin]])
    speaking = drop & (evidence > 0)
    places = np.bincount(owner[speaking], minlength=ends.size)
    between_words = np.bincount(owner[speaking & ~alone], minlength=ends.size) > 0
    drop &= (places >= np.where(between_words, MIN_CUTS, 2 * MIN_CUTS))[owner]
    flags[ranges(begin[drop], end[drop])[0]] |= Mark.CUTS

    single = (end - begin == 1) & ~alone & (sums >= CUTTING_PLACE)[sign]
    single &= (codes[begin] >= PICTORIAL) & (numbers[end] < RARE)
    passed = begin[single]
    flags[passed[~_named(numbers, passed, tables().picture[codes[passed]])]] |= Mark.MAY_CUT


def _flag_fillers(flags: npt.NDArray[np.uint8], codes: Codes, numbers: Numbers, ends: Ints) -> None:
    """Flag what cuts many words, whatever it is: what often stands between characters that go together."""
    lengths = differences(ends + 1)
    owner = np.arange(ends.size).repeat(lengths)
    kinds = np.where(numbers == LETTER, ord("a"), np.where(numbers == OTHER, 1, codes))
    interjection = (numbers <= RARE) & tables().empty_words[codes]
    kinds[interjection] = 2
    keys, kind, counts = np.unique(owner << 21 | kinds, return_inverse=True, return_counts=True)
    filler = counts[kind] >= np.maximum(MIN_FILLED, FILLER_SHARE * (lengths - 1))[owner]
    filler &= numbers != END
    chinese = filler & (numbers <= RARE) & ~interjection
    several = np.bincount(keys[np.unique(kind[chinese])] >> 21, minlength=ends.size) > 1
    filler &= ~(chinese & several[owner])
    if not filler.any():
        return
    words = ((numbers <= RARE) & ~filler).nonzero()[0]
    first, last = words[:-1], words[1:]
    inside = owner[first] == owner[last]
    first, last = first[inside], last[inside]
    text = owner[first]
    fillers = np.append(0, filler.cumsum())
    filled = fillers[last] > fillers[first + 1]
    counts = np.bincount(text[filled], minlength=ends.size)
    gaps = np.bincount(text, minlength=ends.size)
    evidence = tables().cutting.take(scores_of(numbers[first[filled]], numbers[last[filled]]).view(np.uint8))
    sums = np.bincount(text[filled], evidence, minlength=ends.size)
    listed, other = np.zeros((2, ends.size), dtype=bool)
    listed[owner[filler & (numbers == LIST)]] = True
    other[owner[filler & ~is_sign(numbers)]] = True
    cut = (sums >= np.where(listed & ~other, LISTED_EVIDENCE, FILLED_EVIDENCE)) | ~listed & ~other & (
        counts >= np.maximum(FULL_SHARE * gaps, 2 * MIN_FILLED)
    )
    cut &= (counts >= MIN_FILLED) & (counts >= FILLED_SHARE * gaps)
    begin, end = runs_of(filler.nonzero()[0])
    # longer ones of letters or digits may be addresses or telephone numbers; but 10 follows 9
    alphanumeric = (numbers[begin] > RARE) & (numbers[begin] < LIST)
    shortest = np.full(ends.size, MOST_FILLERS)
    np.minimum.at(shortest, text[filled], (last - first - 1)[filled])
    most = np.where(alphanumeric, shortest[owner[begin]] + (numbers[begin] == DIGIT), MOST_FILLERS)
    dropped = cut[owner[begin]] & (end - begin <= most)
    flags[ranges(begin[dropped], end[dropped])[0]] |= Mark.CUTS


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


def _keycaps(numbers: Numbers, starts: Ints, raw: Codes) -> Ints:
    """Return the offsets of digits that are keycaps, each a single digit before a Chinese character: 1️⃣户."""
    keys = (numbers == DIGIT).nonzero()[0]
    keys = keys[(numbers[keys - 1] != DIGIT) & (numbers[keys + 1] <= RARE)]
    written = raw.take(starts[keys])
    keys = keys[(written >= ord("0")) & (written <= ord("9"))]
    behind = raw.take(starts[keys][:, None] + np.array([1, 2]), mode="clip")
    found: Ints = keys[(behind == KEYCAP_MARK).any(axis=1)]
    return found
