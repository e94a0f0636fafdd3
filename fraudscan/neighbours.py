"""Which characters stand side by side in ordinary Chinese: the table that gives disguises away.

Every code point has a number: a row of its own in the table for the most frequent Chinese characters, and one for
each class of others. The table holds for each pair of numbers how well they go together: the logarithm of
P(second | first) / P(second), or why there is none. What a pair says for a disguise was counted on messages disguised
as in training and on the same ones as they were (``tools/build_disguise.py``): the sum over a text is a logarithm of
a likelihood ratio, and one look-up a character is all that ordinary text pays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan.normalize import DROPPED, normalization_table

if TYPE_CHECKING:
    import numpy.typing as npt

    Codes = npt.NDArray[np.int32]
    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]
    Numbers = npt.NDArray[np.uint16]
    Rows = npt.NDArray[np.int16]
    Floats = npt.NDArray[np.float32]

__all__ = [
    "Marks",
    "Tables",
    "carry_marks",
    "character_numbers",
    "find_marks",
    "how_well",
    "layout",
    "split_keys",
    "tables",
]

CHARACTERS = 4000
"""How many characters have rows of their own: the most frequent, 99.9 % of ordinary text."""

RARE, LATIN, DIGIT, PUNCTUATION, SYMBOL, PLACEHOLDER, OTHER, END, NOTHING = range(CHARACTERS, CHARACTERS + 9)
"""The classes of the others: Chinese, letters, digits, what stands between words, other signs, syllables that wait for
their character, anything else, the end of a text, and what is dropped. Up to `RARE`, numbers are Chinese."""

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

EVIDENCE = 64
"""From which evidence on a text carries marks of disguise, in eighths of a nat: odds of 3000 to 1. At half of it twice
as many ordinary texts are looked at in vain; at twice, a fifth fewer of the disguised ones."""

RARE_LOG = -12.5
"""The logarithm of the frequency of a rare character: names have them in ordinary text, too."""

SENTENCE_MARKS = ",.!?;:。"
"""Separators that stay where they do not cut what may be a word."""

SYLLABLES, INITIALS, PRIVATE = 0xF0000, 0xF1000, 0xF2000
"""Where the private code points of syllables and initials begin that wait for their character, and where they end."""


@dataclass(frozen=True)
class Tables:
    """What ``disguise.npz`` holds, laid out for look-ups.

    Attributes:
        numbers: for each code point, not yet normalised, its number: of the alphabet, or of a class.
        pairs: int8, shape (WIDTH, WIDTH), flat: how well two numbers go together.
        odds: for each score, seen as uint8, its log-odds.
        evidence: the same shape as ``pairs``: how much the pair speaks for a disguise, in eighths of a nat.
        logs: for each number the logarithm of its frequency.
        codes: for each number its code point.
        sentence: for each code point whether it is one of `SENTENCE_MARKS`.
        sound: for each code point its row of ``homophones``, the last one for those that have no sound.
        homophones: numbers of characters with the same or nearly the same sound; -1 = none.
        shape: for each code point its row of ``shapes``.
        shapes: numbers of look-alikes.
        initials: numbers of common characters by their first letter.
        rare_pairs: pairs of code points with a rare one that stand in words, as integers, sorted.
        split_keys: the parts of characters (`split_keys`), sorted …
        split_codes: … and the characters.
        roles: for each code point 1 if it may be a first part, 2 if it may be a second one.
        syllables: the row of each Latin syllable.
        spellings: the syllable of each row.
        pinyin: finds syllables, the longest first.
        latin: runs of letters that are words of their own.

    """

    numbers: Numbers
    pairs: npt.NDArray[np.int8]
    odds: Floats
    evidence: npt.NDArray[np.int8]
    logs: Floats
    codes: Codes
    sentence: Bools
    sound: Rows
    homophones: Rows
    shape: Rows
    shapes: Rows
    initials: dict[str, Rows]
    rare_pairs: Ints
    split_keys: Ints
    split_codes: Codes
    roles: npt.NDArray[np.int8]
    syllables: dict[str, int]
    pinyin: re.Pattern[str]
    latin: frozenset[str]
    spellings: list[str]


def tables() -> Tables:
    """Return the shipped tables, which are read once a process."""
    return _load()


@cache
def _load() -> Tables:
    path = resources.files("fraudscan.data").joinpath("disguise.npz")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return layout(dict(arrays))


def layout(arrays: dict[str, npt.NDArray[Any]]) -> Tables:
    """Lay the arrays of the file out for look-ups; ``tools/build_disguise.py`` says what they hold."""
    a = arrays
    normal = normalization_table()
    numbers = np.full(normal.size, OTHER, dtype=np.uint16)
    numbers[a["classified"]] = a["classes"]
    numbers[DROPPED] = NOTHING
    numbers[a["alphabet"]] = np.arange(a["alphabet"].size)
    numbers = numbers[normal]
    numbers[SYLLABLES:PRIVATE] = PLACEHOLDER  # in no normalised text, but in those that are being repaired
    pairs = _pairs(a)
    odds = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.float32) * STEP
    odds[[DISGUISED, SEPARATED, SPELLED, CUT, APART]] = 0  # negative places: a score is looked up as uint8
    odds[MISSING] = UNKNOWN
    logs = np.full(WIDTH, a["logs"].min() - 2, dtype=np.float32)
    logs[: a["logs"].size] = a["logs"]
    logs[RARE] = RARE_LOG
    sentence = np.zeros(normal.size, dtype=bool)
    sentence[[ord(c) for c in SENTENCE_MARKS]] = True
    codes = np.zeros(WIDTH, dtype=np.int32)
    codes[: a["alphabet"].size] = a["alphabet"]

    sound, homophones = _lists(a["spoken"], a["sounds"], a["homophones"])
    syllables = a["syllables"].tolist()
    sound[SYLLABLES : SYLLABLES + len(syllables)] = np.arange(len(syllables))
    shape, shapes = _lists(a["shaped"], np.arange(a["shaped"].size, dtype=np.int16), a["shapes"])
    bounds = np.cumsum(a["initial_sizes"])[:-1]
    splits = a["splits"].astype(np.int64)
    keys = split_keys(splits[:, 0], splits[:, 1], splits[:, 2])
    order = np.argsort(keys)
    roles = np.zeros(normal.size, dtype=np.int8)
    roles[splits[:, 0]] |= 1
    roles[splits[:, 1]] |= 2
    return Tables(
        numbers=numbers,
        pairs=pairs,
        odds=odds,
        evidence=a["evidence"].take(pairs.view(np.uint8)),
        logs=logs,
        codes=codes,
        sentence=sentence,
        sound=sound,
        homophones=homophones,
        shape=shape,
        shapes=shapes,
        initials=dict(zip(a["initials"].tolist(), np.split(a["initial_characters"], bounds), strict=True)),
        rare_pairs=a["rare_pairs"].cumsum(),
        split_keys=keys[order],
        roles=roles,
        split_codes=splits[order, 3].astype(np.int32),
        syllables={s: i for i, s in enumerate(syllables)},
        spellings=syllables,
        latin=frozenset(a["latin"].tolist()),
        pinyin=re.compile("|".join(sorted(syllables, key=lambda s: (-len(s), s)))),
    )


def _pairs(a: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.int8]:
    """Return the table of scores, flat: what is not in the file follows from the classes."""
    pairs = np.zeros((WIDTH, WIDTH), dtype=np.int8)
    chinese = slice(0, RARE + 1)
    pairs[chinese, chinese] = MISSING
    pairs[chinese, LATIN] = SPELLED
    pairs[chinese, PUNCTUATION] = CUT
    pairs[PUNCTUATION, chinese] = SEPARATED
    for other in (SYMBOL, PLACEHOLDER):
        pairs[chinese, other] = pairs[other, chinese] = SEPARATED
    np.fill_diagonal(pairs, 0)  # 嘻嘻, 嘀嘀: any character may be doubled
    flat = pairs.ravel()
    flat[a["pairs"].cumsum()] = a["scores"]
    clause_ends = pairs[chinese, PUNCTUATION]
    clause_ends[clause_ends == 0] = APART
    flat[a["disguised"]] = DISGUISED
    return flat


def _lists(codes: Codes, rows: Rows, lists: Rows) -> tuple[Rows, Rows]:
    """Return for each code point its row of ``lists``, and the lists with an empty one for all the others."""
    at = np.full(normalization_table().size, len(lists), dtype=np.int16)
    at[codes] = rows
    return at, np.vstack([lists, np.full((1, lists.shape[1]), -1, np.int16)])


def character_numbers() -> Numbers:
    """Return for each code point its number in the table of neighbours."""
    return tables().numbers


def carry_marks(numbers: npt.NDArray[Any], ends: Ints) -> Bools:
    """Tell for each text whether it carries marks of disguise.

    Args:
        numbers: those of the kept characters of several texts, each with an `END` behind it.
        ends: the places of the ``END``.

    """
    if numbers.size < 2:  # one text, and nothing in it
        return np.zeros(ends.size, dtype=bool)
    keys = np.multiply(numbers[:-1], WIDTH, dtype=np.uint32)
    keys += numbers[1:]
    evidence = tables().evidence.take(keys)
    starts = np.empty_like(ends)
    starts[0] = 0
    starts[1:] = ends[:-1]
    marked: Bools = np.add.reduceat(evidence, starts, dtype=np.int32) >= EVIDENCE
    return marked


class Marks(NamedTuple):
    """Where marks begin: odd pairs, pairs of disguised contacts, a letter or a sign behind a Chinese character."""

    odd: Ints
    contacts: Ints
    spelled: Ints
    cut: Ints


def find_marks(numbers: Numbers) -> Marks:
    """Return the marks among the numbers of several texts, each with an `END` behind it."""
    keys = numbers[:-1].astype(np.int32)
    keys *= WIDTH
    keys += numbers[1:]
    scores = tables().pairs.take(keys)
    at = (scores <= APART).nonzero()[0]
    scores = scores.take(at)
    sign = (scores >= CUT) | ((scores == SEPARATED) & (numbers.take(at) <= RARE))
    odd = (scores <= MISSING) | (scores == CUT)
    return Marks(at[odd], at[scores == DISGUISED], at[scores == SPELLED], at[sign])


def how_well(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> Floats:
    """Return how well numbers go together (log-odds)."""
    table = tables()
    keys = left.astype(np.int32) * WIDTH + right
    found: Floats = table.odds.take(table.pairs.view(np.uint8).take(keys))
    return found


def split_keys(first: npt.NDArray[Any], second: npt.NDArray[Any], third: npt.NDArray[Any]) -> Ints:
    """Return one integer for the parts of a character; 0 stands for no third part."""
    keys: Ints = (first.astype(np.int64) << 42) | (second.astype(np.int64) << 21) | third
    return keys
