"""Which characters are neighbours in ordinary Chinese: the table that reveals disguises.

Every code point has a number. Each of the most frequent Chinese characters has its own row in the table, and each class
of other characters has one row. For each pair of numbers, the table holds how well they go together: the logarithm of
P(second | first) / P(second), or a code for why there is none. The evidence of a pair for a disguise was counted on
messages disguised as in training, and on the same messages undisguised (``tools/build_disguise.py``). Its sum over a
text is the logarithm of a likelihood ratio, and ordinary text costs only one look-up per character. Where signs are
dense, the characters on both sides of each sign are looked up as well: if they form one word, the sign was probably put
between them. So they are on both sides of whatever is between Chinese characters, where there is much of it.
"""

from __future__ import annotations

import contextlib
import io
import re
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan.arrays import ranges, runs_of
from fraudscan.characters import DROPPED, normalization_table
from fraudscan.lazy import shared, shared_property

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from fraudscan.arrays import Bools, Codes, Ints, Marks, Numbers

__all__ = [
    "Choices",
    "Tables",
    "half_keys",
    "is_sign",
    "marks_of",
    "other_tables",
    "scores_of",
    "split_keys",
    "tables",
]

CHARACTERS = 4000
"""Number of characters with rows of their own: the most frequent ones, which make up 99.9 % of ordinary text."""

RARE, LETTER, DIGIT, LIST, PUNCTUATION, SYMBOL, OTHER, END, NOTHING = range(CHARACTERS, CHARACTERS + 9)
"""The classes of all other characters: Chinese, letters (of Latin, of Bopomofo, and its `TONES`), digits, the list
separator (、), the punctuation between words, all other signs, anything else, the end of a text, and dropped
characters. Numbers up to `RARE` are Chinese."""

SIGNS = LIST, SYMBOL
"""The first and the last class of signs that may cut words."""

WIDTH = 4016
"""The length of a row of the table: how many numbers it has room for."""

DISGUISED, SEPARATED, MISSING, SPELLED, CUT, APART = -128, -127, -126, -125, -124, -123
"""Codes in place of a score: a pair in a known disguise of a contact; Chinese beside a sign that does not belong there;
Chinese characters that were never seen side by side; a letter after Chinese; punctuation after a character that
never ends a clause; punctuation where it may be."""

UNKNOWN = -2.5
"""The value of `MISSING` when readings are weighed (log-odds)."""

STEP = 0.25
"""The value of one unit of a score (log-odds)."""

NAT = 64
"""Number of units in one nat. Readings are weighed in these units, as integers."""

EVIDENCE = 24
"""Minimum evidence for a text to carry marks of disguise, in eighths of a nat: odds of 20 to 1. Of held-out messages of
the corpus, one honest message in 40 reaches it, and 39 in 40 of those disguised in one of the ways known here."""

PART_EVIDENCE = 64
"""The same for a part of a text, of which there are several. Of 129,750 honest messages of the corpus, 142 carry marks
in a part only; with 48, 212 do, and with 96, 61. Of 755 lures disguised in pinyin, with a harmless text of 134
characters behind them, 174 carry no marks; with 48, 138 do not, and with 96, 277."""

PART_BLOCK, MOST_BLOCKS = 32, 128
"""The parts of a text that are looked at by themselves, because the rest of it would hide the marks of a lure, are two
blocks of so many characters long. Texts of more than `MOST_BLOCKS` are too long to be repaired."""

WHOLE, PART = 2, 1
"""What `marks_of` returns for a text that carries marks of disguise, and for one of which only a part does."""

MOST_SIGNS = 4
"""Maximum number of signs that may cut a word in one place: 贷..款. A sign that is repeated is read four times at most
where marks are looked for (`fraudscan.features.REPEATS`), and counts once where repair surveys them."""

CROWDED = 6
"""Whether signs cut words is checked in texts with more than one sign per this many characters: clauses are longer."""

MIN_FILLED, FILLED_SHARE, FILLED_EVIDENCE = 10, 0.3, 80
"""What a text has, at least, whose words something cuts, whatever it is (投1资1理1财): how many gaps between Chinese
characters are filled, what share of these characters that is, and evidence that it cuts words, in eighths of a nat.
One in 64,400 honest texts has all of it, and is disguised."""

AGAINST = -4
"""The most that a sign between two words counts against a disguise, in eighths of a nat: the words themselves may be
disguised in another way."""

RARE_LOG = -12.5
"""The logarithm of the frequency of a rare character. Ordinary text has rare characters, too, in names."""

TONES = "ˊˇˋ"
"""The tones that are written after a syllable in Bopomofo, except the one that normalising drops."""

HALF_KEYS = 1 << 16
"""Number of possible `half_keys`. One in twenty is the key of the first two parts of a character."""

SENTENCE_MARKS = ",!?;:。"
"""Separators that repair keeps in places where they do not cut what may be a word."""

INTERJECTIONS = "吧吗呀呃呐呗呜呢呦呵咦咧咯哇哈哎哒哟哦哩哼唉唷啊啦喔喽嗨嗬嗯嘛嘞嘿噢欸诶"
"""Characters that say nothing by themselves: a text is read without them if they cut its words."""

LISTS = "homophones", "shapes", "initials", "pictures"
"""Lists of what may be read for a sound, for a character with look-alikes, for a letter, and for a picture."""


class Choices(NamedTuple):
    """Rows of numbers: those of row ``i`` are ``members[bounds[i] : bounds[i + 1]]``."""

    bounds: Ints
    members: Numbers


class Tables:
    """The contents of ``disguise.npz``, laid out for look-ups when first needed. Plain text needs only the first five.

    Args:
        arrays: the arrays of the file, which ``tools/build_disguise.py`` describes.

    """

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        self._arrays = arrays

    @shared_property
    def numbers(self) -> Numbers:
        """For each code point, before normalisation, its number: in the alphabet, or that of a class."""
        normal = normalization_table()
        numbers = np.full(normal.size, OTHER, dtype=np.uint16)
        numbers[self._arrays["classified"]] = self._arrays["classes"]
        numbers[DROPPED] = NOTHING
        alphabet = self._arrays["alphabet"]
        numbers[alphabet] = np.arange(alphabet.size)
        return numbers[normal]

    @shared_property
    def evidence(self) -> npt.NDArray[np.int8]:
        """For each score, viewed as uint8, the evidence that it gives for a disguise, in eighths of a nat."""
        return self._arrays["evidence"]

    @shared_property
    def cutting(self) -> npt.NDArray[np.int8]:
        """For each score, viewed as uint8, the evidence that a sign was put between two neighbours with that score."""
        return self._arrays["cutting"]

    @shared_property
    def cut(self) -> npt.NDArray[np.int8]:
        """The same as `cutting`, for texts that may be disguised in other ways than by signs."""
        return np.maximum(self.cutting, np.int8(AGAINST))

    @shared_property
    def pairs(self) -> npt.NDArray[np.int8]:
        """How well two numbers go together: flat, one row per number. Pairs not in the file get scores by class."""
        table = np.zeros((WIDTH, WIDTH), dtype=np.int8)
        chinese = slice(0, RARE + 1)
        table[chinese, chinese] = MISSING
        table[chinese, LETTER] = SPELLED
        table[chinese, PUNCTUATION] = CUT
        table[PUNCTUATION, chinese] = SEPARATED
        table[chinese, SYMBOL] = table[SYMBOL, chinese] = SEPARATED
        np.fill_diagonal(table, 0)  # any character may be doubled: 嘻嘻, 嘀嘀
        flat = table.ravel()
        places = self._arrays["pairs"].cumsum()
        flat[places] = self._arrays["scores"]
        flat[places[places % WIDTH == PUNCTUATION]] = APART  # clauses end there
        flat[self._arrays["disguised"]] = DISGUISED
        return flat

    @shared_property
    def worth(self) -> npt.NDArray[np.int16]:
        """For each score, viewed as uint8, its value when readings are weighed, in the unit of `NAT`."""
        worth = np.arange(256).astype(np.uint8).view(np.int8).astype(np.int16) * np.int16(STEP * NAT)
        worth[[DISGUISED, SEPARATED, SPELLED, CUT, APART]] = 0  # negative indices: a score is looked up as uint8
        worth[MISSING] = UNKNOWN * NAT
        return worth

    @shared_property
    def logs(self) -> Codes:
        """For each number, the logarithm of its frequency, in the unit of `NAT`; 0 for all classes except `RARE`."""
        logs = np.zeros(WIDTH, dtype=np.int32)
        found = np.rint(NAT * self._arrays["logs"]).astype(np.int32)
        logs[: found.size] = found
        logs[found.size : RARE] = found.min()
        logs[RARE] = NAT * RARE_LOG
        return logs

    @shared_property
    def codes(self) -> Codes:
        """For each number, its code point; 0 for classes."""
        codes = np.zeros(WIDTH, dtype=np.int32)
        codes[: self._arrays["alphabet"].size] = self._arrays["alphabet"]
        return codes

    @shared_property
    def empty_words(self) -> Bools:
        """For each code point, whether it is one of `SENTENCE_MARKS` or of `INTERJECTIONS`."""
        found = np.zeros(normalization_table().size, dtype=bool)
        found[[ord(c) for c in SENTENCE_MARKS + INTERJECTIONS]] = True
        return found

    @shared_property
    def choices(self) -> Choices:
        """What may be read in one place: a row per number, the rows of `LISTS`, and an empty row."""
        members = np.concatenate([np.arange(WIDTH), *(self._arrays[name] for name in LISTS)])
        sizes = np.concatenate([np.ones(WIDTH, np.int64), *(self._arrays[f"{name}_sizes"] for name in LISTS), [0]])
        return Choices(np.append(0, sizes.cumsum()), members.astype(np.uint16))

    def _row(self, name: str) -> int:
        """Return the first row of the list ``name`` of `LISTS`."""
        return WIDTH + sum(self._arrays[f"{other}_sizes"].size for other in LISTS[: LISTS.index(name)])

    @shared_property
    def empty(self) -> int:
        """The empty row, after those of `LISTS`, for code points that cannot be read otherwise."""
        return WIDTH + sum(self._arrays[f"{name}_sizes"].size for name in LISTS)

    def _rows_of(self, codes: Codes, rows: npt.NDArray[Any]) -> Codes:
        """Return the row of each code point; the empty row for those that have none."""
        at = np.full(normalization_table().size, self.empty, dtype=np.int32)
        at[codes] = rows
        return at

    @shared_property
    def sound(self) -> Codes:
        """For each code point, the row of the characters with the same or nearly the same sound."""
        return self._rows_of(self._arrays["spoken"], self._row("homophones") + self._arrays["sounds"].astype(np.int64))

    @shared_property
    def shape(self) -> Codes:
        """For each code point, the row of its look-alikes."""
        return self._rows_of(self._arrays["shaped"], self._row("shapes") + np.arange(self._arrays["shaped"].size))

    @shared_property
    def picture(self) -> Codes:
        """For each code point, before normalisation, the row of the characters that it may stand for as a picture."""
        pictures = self._arrays["pictured"]
        return self._rows_of(pictures, self._row("pictures") + np.arange(pictures.size))

    @shared_property
    def syllables(self) -> dict[str, int]:
        """For each Latin syllable, the row of the characters that sound like it."""
        return {syllable: self._row("homophones") + i for i, syllable in enumerate(self._arrays["syllables"].tolist())}

    @shared_property
    def bopomofo(self) -> dict[str, int]:
        """The same for each syllable in Bopomofo, except those of a single consonant, which are taken for initials."""
        sounds = zip(self._arrays["bopomofo"].tolist(), self._arrays["bopomofo_sounds"].tolist(), strict=True)
        return {syllable: self._row("homophones") + sound for syllable, sound in sounds}

    @shared_property
    def spellings(self) -> dict[str, int]:
        """The rows of syllables; for other letters, those of the common characters whose sound begins so."""
        letters = self._arrays["letters"].tolist()
        initials = {letter: self._row("initials") + i for i, letter in enumerate(letters)}
        return initials | self.syllables | self.bopomofo

    @shared_property
    def pinyin(self) -> re.Pattern[str]:
        """Pattern that matches `spellings`, the longest first, and their tones.

        It tries only those with the right first letter.
        """
        rests: dict[str, list[str]] = {}
        for spelling in sorted(self.spellings, key=lambda s: (-len(s), s)):
            rests.setdefault(spelling[0], []).append(spelling[1:])
        return re.compile("|".join(f"{first}(?:{'|'.join(rest)})[{TONES}]?" for first, rest in rests.items()))

    @shared_property
    def latin(self) -> frozenset[str]:
        """Runs of Latin letters that are words of their own."""
        return frozenset(self._arrays["latin"].tolist())

    @shared_property
    def rare_pairs(self) -> Ints:
        """Pairs of code points with a rare character that occur in words, as sorted ``first << 21 | second``."""
        return self._arrays["rare_pairs"].cumsum()

    @shared_property
    def splits(self) -> tuple[Ints, Codes]:
        """The parts of characters, as sorted `split_keys`, and the characters that they make up."""
        splits = self._arrays["splits"].astype(np.int64)
        keys = split_keys(splits[:, 0], splits[:, 1], splits[:, 2])
        order = np.argsort(keys)
        return keys[order], splits[order, 3].astype(np.int32)

    @shared_property
    def wholes(self) -> Numbers:
        """The numbers of the characters that the parts in `splits` make up."""
        return self.numbers.take(self.splits[1])

    @shared_property
    def halves(self) -> Bools:
        """For each of the `half_keys`, whether two characters with this key may be the first parts of one character."""
        halves = np.zeros(HALF_KEYS, dtype=bool)
        halves[half_keys(self._arrays["splits"][:, 0], self._arrays["splits"][:, 1])] = True
        return halves


def tables() -> Tables:
    """Return the shipped tables, which are read once per process, or inside `other_tables` the tables given there."""
    return _others[-1] if _others else _shipped()


_others: list[Tables] = []


@contextlib.contextmanager
def other_tables(others: Tables) -> Iterator[None]:
    """Make the whole process use other tables inside a ``with`` block.

    They may be tables under construction, or tables built without the texts to be measured. What scanners and functions
    have already cached from the shipped tables does not change, so load scanners inside the block.
    """
    _others.append(others)
    try:
        yield
    finally:
        _others.remove(others)


@shared
def _shipped() -> Tables:
    data = resources.files("fraudscan.data").joinpath("disguise.npz").read_bytes()
    return Tables(np.load(io.BytesIO(data), allow_pickle=False))


def marks_of(numbers: npt.NDArray[Any], ends: Ints) -> Marks:
    """Return which texts carry marks of disguise, shape (texts,): `WHOLE`, `PART`, or 0.

    Args:
        numbers: the numbers of the kept characters of several texts, with an `END` after each text.
        ends: shape (texts,): the offsets of the `END` numbers.

    """
    marks = np.where(_are_marked(numbers, ends, EVIDENCE), WHOLE, 0).astype(np.uint8)
    # each window is two blocks long, and begins with a block; the last one has the rest of the text as well
    lengths = np.diff(ends, prepend=-1) - 1
    windows = lengths // PART_BLOCK - 1
    windows[(windows < 2) | (windows >= MOST_BLOCKS) | (marks > 0)] = 0
    text = windows.nonzero()[0].repeat(windows[windows > 0])
    if text.size:
        begins = ends[text] - lengths[text] + PART_BLOCK * ranges(np.zeros_like(windows), windows)[0]
        last = np.append(text[1:] != text[:-1], True)
        stops = np.where(last, ends[text], begins + 2 * PART_BLOCK)
        parts = numbers[ranges(begins, stops + 1)[0]]
        ends = (stops + 1 - begins).cumsum() - 1
        parts[ends] = END
        marks[text[_are_marked(parts, ends, PART_EVIDENCE)]] = PART
    return marks


def _are_marked(numbers: npt.NDArray[Any], ends: Ints, least: int) -> Bools:
    """Return a mask of the texts, or parts of texts, that carry marks of disguise.

    Args:
        numbers: as for `marks_of`.
        ends: as for `marks_of`.
        least: the evidence that is enough.

    """
    if not ends.size:
        return np.zeros(0, dtype=bool)
    scores = scores_of(np.roll(numbers, 1), numbers)  # the first text follows an end, too
    evidence = tables().evidence.take(scores.view(np.uint8))
    total = np.add.reduceat(evidence, np.append(0, ends[:-1] + 1), dtype=np.int32)
    signs = is_sign(numbers).nonzero()[0]
    text = ends.searchsorted(signs)
    crowded = CROWDED * np.bincount(text, minlength=ends.size) > np.diff(ends, prepend=-1) - 1
    begin, end = runs_of(signs)
    text = ends.searchsorted(begin)
    inside = crowded[text] & (end - begin <= MOST_SIGNS) & (numbers[begin - 1] <= RARE) & (numbers[end] <= RARE)
    scores = scores_of(numbers[begin[inside] - 1], numbers[end[inside]])
    total = total + np.bincount(text[inside], tables().cut.take(scores.view(np.uint8)), minlength=ends.size)
    marked: Bools = (total >= least) | _are_filled(numbers, ends)
    return marked


def _are_filled(numbers: npt.NDArray[Any], ends: Ints) -> Bools:
    """Return a mask of the texts in which something cuts many words, whatever it is."""
    chinese = (numbers <= RARE).nonzero()[0]
    first, last = chinese[:-1], chinese[1:]
    text = ends.searchsorted(first)
    gaps = (last - first > 1) & (text == ends.searchsorted(last))
    first, last, text = first[gaps], last[gaps], text[gaps]
    evidence = tables().cut.take(scores_of(numbers[first], numbers[last]).view(np.uint8))
    counts, sums = np.bincount(text, minlength=ends.size), np.bincount(text, evidence, minlength=ends.size)
    sizes = np.bincount(ends.searchsorted(chinese), minlength=ends.size)
    found: Bools = (counts >= MIN_FILLED) & (counts >= FILLED_SHARE * sizes) & (sums >= FILLED_EVIDENCE)
    return found


def is_sign(numbers: npt.NDArray[Any]) -> Bools:
    """Return a mask of the numbers that stand for signs that may cut words."""
    return (numbers >= SIGNS[0]) & (numbers <= SIGNS[1])


def scores_of(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """Return the score of each number of ``left`` with its neighbour in ``right``; see `Tables.pairs`."""
    scores: npt.NDArray[np.int8] = tables().pairs.take(left.astype(np.int32) * WIDTH + right)
    return scores


def half_keys(first: Codes, second: Codes) -> Codes:
    """Return a small hash of two characters. Other pairs of characters may share it."""
    keys: Codes = first * np.int32(31) + second & np.int32(HALF_KEYS - 1)
    return keys


def split_keys(first: npt.NDArray[Any], second: npt.NDArray[Any], third: npt.NDArray[Any]) -> Ints:
    """Return one integer for the parts of a character; a ``third`` of 0 means that there is no third part."""
    keys: Ints = (first.astype(np.int64) << 42) | (second.astype(np.int64) << 21) | third
    return keys
