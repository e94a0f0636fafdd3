"""Which characters stand side by side in ordinary Chinese: the table that gives disguises away.

Every code point has a number: a row of its own in the table for the most frequent Chinese characters, and one for
each class of others. The table holds for each pair of numbers how well they go together: the logarithm of
P(second | first) / P(second), or why there is none. What a pair says for a disguise was counted on messages disguised
as in training and on the same ones as they were (``tools/build_disguise.py``): the sum over a text is a logarithm of
a likelihood ratio, and one look-up a character is all that ordinary text pays. Where signs stand thick, what each of
them cuts apart is looked up as well: two characters of one word speak for a sign that was put between them.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import re
from functools import cache, cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan.characters import DROPPED, normalization_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from fraudscan.arrays import Bools, Codes, Ints, Numbers

__all__ = [
    "Choices",
    "Marks",
    "Tables",
    "carry_marks",
    "cutting",
    "find_marks",
    "half_keys",
    "is_sign",
    "other_tables",
    "ranges",
    "runs_of",
    "scores_of",
    "split_keys",
    "tables",
]

CHARACTERS = 4000
"""How many characters have rows of their own: the most frequent, 99.9 % of ordinary text."""

RARE, LATIN, DIGIT, LIST, PUNCTUATION, SYMBOL, OTHER, END, NOTHING = range(CHARACTERS, CHARACTERS + 9)
"""The classes of the others: Chinese, letters, digits, the mark of lists (、), what else stands between words, other
signs, anything else, the end of a text, and what is dropped. Up to `RARE`, numbers are Chinese."""

SIGNS = LIST, SYMBOL
"""The first and the last class of signs that may cut words."""

WIDTH = 4016
"""How many numbers a row of the table has room for."""

DISGUISED, SEPARATED, MISSING, SPELLED, CUT, APART = -128, -127, -126, -125, -124, -123
"""Scores of pairs that do not simply go together more or less: one in a known disguise of a contact; Chinese beside a
sign that does not belong there; Chinese characters that were never seen side by side; a letter behind Chinese;
punctuation behind a character that never ends a clause; punctuation where it may be."""

UNKNOWN = -2.5
"""What `MISSING` is worth when characters are weighed (log-odds)."""

STEP = 0.25
"""What one unit of a score is worth (log-odds)."""

NAT = 64
"""The unit in which readings are weighed: so many of it are 1 in natural logarithms."""

EVIDENCE = 48
"""From which evidence on a text carries marks of disguise, in eighths of a nat: odds of 400 to 1. Of held-out messages
of the corpus one honest one in fifty does, and nineteen in twenty of those disguised in one of the ways known here."""

MOST_SIGNS = 3
"""So many signs may cut a word in one place: 贷..款."""

CROWDED = 6
"""Whether signs cut words is looked at where there is one for each so many characters: clauses are longer."""

AGAINST = -4
"""What a sign between two words says against a disguise at most, in eighths of a nat: the words may have another."""

RARE_LOG = -12.5
"""The logarithm of the frequency of a rare character: names have them in ordinary text, too."""

HALF_KEYS = 1 << 16
"""How many `half_keys` there are: one in twenty is that of two parts of a character."""

SENTENCE_MARKS = ",!?;:。"
"""Separators that stay where they do not cut what may be a word."""

LISTS = "homophones", "shapes", "initials", "pictures"
"""What may be read for a sound, for a character that has look-alikes, for a letter, and for a picture."""


class Choices(NamedTuple):
    """Rows of numbers: those of row ``i`` are ``members[bounds[i] : bounds[i + 1]]``."""

    members: Numbers
    bounds: Ints


class Tables:
    """What ``disguise.npz`` holds, laid out for look-ups when it is first needed: plain text needs the first five only.

    Args:
        arrays: the arrays of the file; ``tools/build_disguise.py`` says what they are.

    """

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        self._arrays = arrays

    @cached_property
    def numbers(self) -> Numbers:
        """For each code point, not yet normalised, its number: of the alphabet, or of a class."""
        normal = normalization_table()
        numbers = np.full(normal.size, OTHER, dtype=np.uint16)
        numbers[self._arrays["classified"]] = self._arrays["classes"]
        numbers[DROPPED] = NOTHING
        alphabet = self._arrays["alphabet"]
        numbers[alphabet] = np.arange(alphabet.size)
        return numbers[normal]

    @cached_property
    def evidence(self) -> npt.NDArray[np.int8]:
        """For each score, seen as uint8, how much it speaks for a disguise, in eighths of a nat."""
        evidence: npt.NDArray[np.int8] = self._arrays["evidence"]
        return evidence

    @cached_property
    def cutting(self) -> npt.NDArray[np.int8]:
        """For each score, seen as uint8, how much two characters speak for neighbours that a sign was put between."""
        cutting: npt.NDArray[np.int8] = self._arrays["cutting"]
        return cutting

    @cached_property
    def cut(self) -> npt.NDArray[np.int8]:
        """The same, where it is not known that signs are what disguises the text."""
        return np.maximum(self.cutting, np.int8(AGAINST))

    @cached_property
    def pairs(self) -> npt.NDArray[np.int8]:
        """How well two numbers go together, flat, WIDTH a row; what is not in the file follows from classes."""
        table = np.zeros((WIDTH, WIDTH), dtype=np.int8)
        chinese = slice(0, RARE + 1)
        table[chinese, chinese] = MISSING
        table[chinese, LATIN] = SPELLED
        table[chinese, PUNCTUATION] = CUT
        table[PUNCTUATION, chinese] = SEPARATED
        table[chinese, SYMBOL] = table[SYMBOL, chinese] = SEPARATED
        np.fill_diagonal(table, 0)  # 嘻嘻, 嘀嘀: any character may be doubled
        flat = table.ravel()
        places = self._arrays["pairs"].cumsum()
        flat[places] = self._arrays["scores"]
        flat[places[places % WIDTH == PUNCTUATION]] = APART  # clauses end there
        flat[self._arrays["disguised"]] = DISGUISED
        return flat

    @cached_property
    def worth(self) -> npt.NDArray[np.int16]:
        """For each score, seen as uint8, what it is worth when readings are weighed, in the unit of `NAT`."""
        worth = np.arange(256).astype(np.uint8).view(np.int8) * np.int16(STEP * NAT)
        worth[[DISGUISED, SEPARATED, SPELLED, CUT, APART]] = 0  # negative places: a score is looked up as uint8
        worth[MISSING] = UNKNOWN * NAT
        return worth

    @cached_property
    def logs(self) -> Codes:
        """For each number the logarithm of its frequency, in the unit of `NAT`; 0 for the classes but `RARE`."""
        logs = np.zeros(WIDTH, dtype=np.int32)
        found = np.rint(NAT * self._arrays["logs"]).astype(np.int32)
        logs[: found.size] = found
        logs[found.size : RARE] = found.min()
        logs[RARE] = NAT * RARE_LOG
        return logs

    @cached_property
    def codes(self) -> Codes:
        """For each number its code point."""
        codes = np.zeros(WIDTH, dtype=np.int32)
        codes[: self._arrays["alphabet"].size] = self._arrays["alphabet"]
        return codes

    @cached_property
    def sentence(self) -> Bools:
        """For each code point whether it is one of `SENTENCE_MARKS`."""
        sentence = np.zeros(normalization_table().size, dtype=bool)
        sentence[[ord(c) for c in SENTENCE_MARKS]] = True
        return sentence

    @cached_property
    def choices(self) -> Choices:
        """What may be read in one place: rows of one number each, those of `LISTS`, an empty one, those of `alike`."""
        _, alike, sizes_of_alike = self._alike
        members = np.concatenate([np.arange(WIDTH), *(self._arrays[name] for name in LISTS), alike])
        sizes = np.concatenate(
            [np.ones(WIDTH, np.int64), *(self._arrays[f"{name}_sizes"] for name in LISTS), [0], sizes_of_alike]
        )
        return Choices(members.astype(np.uint16), np.append(0, sizes.cumsum()))

    def _row(self, name: str) -> int:
        """Return the first row of one of `LISTS`; of any other name the empty row behind them."""
        before = itertools.takewhile(lambda other: other != name, LISTS)
        return WIDTH + sum(self._arrays[f"{other}_sizes"].size for other in before)

    def _rows_of(self, codes: Codes, rows: npt.NDArray[Any]) -> Codes:
        """Return for each code point its row, the empty one for those that have none."""
        at = np.full(normalization_table().size, self._row("none"), dtype=np.int32)
        at[codes] = rows
        return at

    @cached_property
    def sound(self) -> Codes:
        """For each code point the row of the characters with the same or nearly the same sound."""
        return self._rows_of(self._arrays["spoken"], self._row("homophones") + self._arrays["sounds"].astype(np.int64))

    @cached_property
    def shape(self) -> Codes:
        """For each code point the row of its look-alikes."""
        return self._rows_of(self._arrays["shaped"], self._row("shapes") + np.arange(self._arrays["shaped"].size))

    @cached_property
    def alike(self) -> Codes:
        """For each code point the row of the others that sound or look like it."""
        codes, _, sizes = self._alike
        return self._rows_of(codes, self._row("none") + 1 + np.arange(sizes.size))

    @cached_property
    def _alike(self) -> tuple[Codes, Numbers, Ints]:
        """Code points, the numbers of the others that sound or look like them, each once, and how many there are."""
        spoken, shaped, syllables = (self._arrays[name] for name in ("spoken", "shaped", "sounds"))
        homophones, shapes = self._arrays["homophones"], self._arrays["shapes"]
        sounds, looks = (self._arrays[f"{name}_sizes"].astype(np.int64) for name in ("homophones", "shapes"))
        codes = np.union1d(spoken, shaped)
        begins, sizes = np.zeros((2, codes.size, 2), dtype=np.int64)  # in both, one behind the other
        at = codes.searchsorted(spoken)
        begins[at, 0], sizes[at, 0] = (sounds.cumsum() - sounds)[syllables], sounds[syllables]
        sound = np.full(codes.size, sounds.size)
        sound[at] = syllables
        at = codes.searchsorted(shaped)
        begins[at, 1], sizes[at, 1] = homophones.size + looks.cumsum() - looks, looks
        places, _ = ranges(begins.ravel(), (begins + sizes).ravel())
        numbers = np.concatenate([homophones, shapes])[places].astype(np.uint16)
        owners = np.arange(codes.size).repeat(sizes.sum(axis=1))
        heard = np.zeros((sounds.size + 1, WIDTH), dtype=bool)
        heard[np.arange(sounds.size).repeat(sounds), homophones] = True
        kept = numbers != self.numbers[codes][owners]
        kept &= (places < homophones.size) | ~heard[sound[owners], numbers]
        return codes, numbers[kept], np.bincount(owners[kept], minlength=codes.size)

    @cached_property
    def picture(self) -> Codes:
        """For each code point, not yet normalised, the row of the characters that it may stand for as a picture."""
        pictures = self._arrays["pictured"]
        return self._rows_of(pictures, self._row("pictures") + np.arange(pictures.size))

    @cached_property
    def initials(self) -> dict[str, int]:
        """For each Latin letter the row of the common characters whose sound begins with it."""
        return {letter: self._row("initials") + i for i, letter in enumerate(self._arrays["letters"].tolist())}

    @cached_property
    def syllables(self) -> dict[str, int]:
        """For each Latin syllable the row of the characters that sound like it."""
        return {syllable: self._row("homophones") + i for i, syllable in enumerate(self._arrays["syllables"].tolist())}

    @cached_property
    def pinyin(self) -> re.Pattern[str]:
        """Finds syllables, the longest first, and initials."""
        return re.compile("|".join(sorted({*self.syllables, *self.initials}, key=lambda s: (-len(s), s))))

    @cached_property
    def latin(self) -> frozenset[str]:
        """Runs of letters that are words of their own."""
        return frozenset(self._arrays["latin"].tolist())

    @cached_property
    def rare_pairs(self) -> Ints:
        """Pairs of code points with a rare one that stand in words, as ``first << 21 | second``, sorted."""
        pairs: Ints = self._arrays["rare_pairs"].cumsum()
        return pairs

    @cached_property
    def splits(self) -> tuple[Ints, Codes]:
        """The parts of characters, as `split_keys`, sorted, and the characters."""
        splits = self._arrays["splits"].astype(np.int64)
        keys = split_keys(splits[:, 0], splits[:, 1], splits[:, 2])
        order = np.argsort(keys)
        return keys[order], splits[order, 3].astype(np.int32)

    @cached_property
    def halves(self) -> Bools:
        """For each of `half_keys` whether two characters with it may be the first parts of one."""
        halves = np.zeros(HALF_KEYS, dtype=bool)
        halves[half_keys(self._arrays["splits"][:, 0], self._arrays["splits"][:, 1])] = True
        return halves


def tables() -> Tables:
    """Return the shipped tables, which are read once a process, or those of `other_tables`."""
    return _others[-1] if _others else _shipped()


_others: list[Tables] = []


@contextlib.contextmanager
def other_tables(others: Tables) -> Iterator[None]:
    """Have the process read by other tables meanwhile: those being built, or built without the texts to be measured.

    What scanners and these functions have kept of the shipped ones stays as it is: load scanners inside.
    """
    _others.append(others)
    try:
        yield
    finally:
        _others.remove(others)


@cache
def _shipped() -> Tables:
    data = resources.files("fraudscan.data").joinpath("disguise.npz").read_bytes()
    return Tables(np.load(io.BytesIO(data), allow_pickle=False))


def carry_marks(numbers: npt.NDArray[Any], ends: Ints) -> Bools:
    """Tell for each text whether it carries marks of disguise.

    Args:
        numbers: those of the kept characters of several texts, each with an `END` behind it.
        ends: the places of the ``END``.

    """
    if not ends.size:
        return np.zeros(0, dtype=bool)
    keys = np.multiply(np.roll(numbers, 1), WIDTH, dtype=np.uint32)  # before the first text there is an end, too
    keys += numbers
    evidence = tables().evidence.take(tables().pairs.view(np.uint8).take(keys))
    said = np.add.reduceat(evidence, np.append(0, ends[:-1] + 1), dtype=np.int32)
    signs = is_sign(numbers).nonzero()[0]
    text = ends.searchsorted(signs)
    crowded = CROWDED * np.bincount(text, minlength=ends.size) > np.diff(ends, prepend=-1) - 1
    begin, end = runs_of(signs)
    text = ends.searchsorted(begin)
    inside = crowded[text] & (end - begin <= MOST_SIGNS) & (numbers[begin - 1] <= RARE) & (numbers[end] <= RARE)
    cut = _look_up(tables().cut, numbers[begin[inside] - 1], numbers[end[inside]])
    said = said + np.bincount(text[inside], cut, minlength=ends.size)
    marked: Bools = said >= EVIDENCE
    return marked


def is_sign(numbers: npt.NDArray[Any]) -> Bools:
    """Tell which numbers are those of signs that may cut words."""
    return (numbers >= SIGNS[0]) & (numbers <= SIGNS[1])


class Marks(NamedTuple):
    """Where marks begin: odd pairs, pairs of disguised contacts, a letter behind a Chinese character."""

    odd: Ints
    contacts: Ints
    spelled: Ints


def scores_of(numbers: Numbers) -> npt.NDArray[np.int8]:
    """Return the score of each number but the last with the one behind it."""
    keys = numbers[:-1].astype(np.int32)
    keys *= WIDTH
    keys += numbers[1:]
    scores: npt.NDArray[np.int8] = tables().pairs.take(keys)
    return scores


def find_marks(scores: npt.NDArray[np.int8]) -> Marks:
    """Return the marks among the pairs of several texts (see `scores_of`), each with an `END` behind it."""
    at = (scores <= APART).nonzero()[0]
    scores = scores.take(at)
    odd = (scores == MISSING) | (scores == CUT)
    return Marks(at[odd], at[scores == DISGUISED], at[scores == SPELLED])


def cutting(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    """Return how much a sign between Chinese characters speaks for cutting a word, in eighths of a nat."""
    found: npt.NDArray[np.int8] = _look_up(tables().cutting, left, right)
    return found


def _look_up(worth: npt.NDArray[Any], left: npt.NDArray[Any], right: npt.NDArray[Any]) -> Any:
    """Return what the scores of pairs are worth, from a table for scores seen as uint8."""
    keys = left.astype(np.int32) * WIDTH + right
    return worth.take(tables().pairs.view(np.uint8).take(keys))


def runs_of(places: Ints) -> tuple[Ints, Ints]:
    """Return where runs of places, which ascend, begin and end."""
    breaks = places[1:] - places[:-1] > 1
    first = np.ones(places.size, dtype=bool)
    last = first.copy()
    first[1:] = last[:-1] = breaks
    return places[first], places[last] + 1


def ranges(begins: Ints, ends: Ints) -> tuple[Ints, Ints]:
    """Return the whole numbers from each begin to its end, one range behind the other, and how many each has."""
    sizes = ends - begins
    return np.arange(sizes.sum()) + (begins - sizes.cumsum() + sizes).repeat(sizes), sizes


def half_keys(first: Codes, second: Codes) -> Codes:
    """Return a small number for two characters, which others may have, too."""
    keys: Codes = first * np.int32(31) + second & np.int32(HALF_KEYS - 1)
    return keys


def split_keys(first: npt.NDArray[Any], second: npt.NDArray[Any], third: npt.NDArray[Any]) -> Ints:
    """Return one integer for the parts of a character; 0 stands for no third part."""
    keys: Ints = (first.astype(np.int64) << 42) | (second.astype(np.int64) << 21) | third
    return keys
