"""Disguise messages for training, so that the model sees what repair leaves behind; vary links, mask what exports mask.

Only disguises that the tables of `fraudscan.disguise` cover are used. Width, script and invisible marks are left out,
because the character table undoes them completely.
"""

from __future__ import annotations

import re
import string
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from fraudscan.neighbours import tables

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from fraudscan.neighbours import Tables

__all__ = ["disguise", "vary"]

SIGNS = "·.*-_/|~^#+=、,😊👍🎉✨🙏"
"""Separators, and emoji that serve as separators."""

STRENGTHS = (0.15, 0.4)
"""The smallest and the largest share of characters that are disguised."""

LINK = re.compile(
    r"(?:https?://)?[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}(?:/[a-z0-9?=&./#%_-]*)?", re.ASCII | re.IGNORECASE
)

RELINKED = 0.5
"""The share of messages with links whose links are replaced by those of other forms. In exports links are often masked,
and the form of a link says little: honest firms shorten theirs, too."""

LINK_MASKS = (
    "[链接] 【链接】 (链接) <链接> 链接 [网址] 【网址】 网址 [URL] <URL> [link] *** xxx.com http://xxx"
).split()
"""What exports show in place of links."""

PREFIXES = ("", "", "", "www.", "m.", "http://", "http://", "https://", "http://www.")

ENDINGS = ["com", "com", "cn", "cn", "net", "cc", "top", "vip", "xyz", "me", "org", "shop", "club"]

LETTERS = string.ascii_lowercase + string.digits

NUMBER = re.compile("[0-9]{2,}")

MASKED = 0.15
"""The share of the other messages with numbers whose numbers are masked, and then of the remaining signed ones whose
signature is masked. Exports that are passed on are often masked, and honest notices, which are full of numbers and
signed, must not look like frauds then."""

NUMBER_MASKS = ["*", "*", "X", "x", "#", "[数字]", "[号码]", "[NUM]", "<NUM>", "某某"]
"""What exports show in place of a number. A mask of one character replaces every digit."""

SIGNATURE = re.compile("【[^】]{1,20}】")
"""A signature, or the name of a speaker in a transcript."""

SIGNATURE_MASKS = ["【XX】", "【XX】", "【**】", "【***】", "【某公司】", "【签名】", "【公司名称】", ""]
"""What exports show in place of the name that a message is signed with."""


def vary(text: str, rng: random.Random) -> str:
    """Return ``text`` disguised; instead, in some cases, replace its links, mask its numbers or mask its signature."""
    if LINK.search(text) and rng.random() < RELINKED:
        return LINK.sub(lambda _: _link(rng), text)
    if NUMBER.search(text) and rng.random() < MASKED:
        mask = rng.choice(NUMBER_MASKS)
        return NUMBER.sub(lambda number: mask if len(mask) > 1 else mask * len(number[0]), text)
    if SIGNATURE.search(text) and rng.random() < MASKED:
        return SIGNATURE.sub(rng.choice(SIGNATURE_MASKS), text)
    return disguise(text, rng)


def disguise(text: str, rng: random.Random) -> str:
    """Return ``text`` disguised in one of `WAYS`, chosen at random, with a random strength."""
    way = rng.choice(WAYS)
    strength = rng.uniform(*STRENGTHS)
    return "".join(way(c, rng) if rng.random() < strength else c for c in text)


def _link(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return rng.choice(LINK_MASKS)
    host, path = ("".join(rng.choices(LETTERS, k=rng.randint(2, most))) for most in (9, 8))
    return f"{rng.choice(PREFIXES)}{host}.{rng.choice(ENDINGS)}" + rng.choice(["", "/", f"/{path}", f"/{path}"])


def _separated(character: str, rng: random.Random) -> str:
    return character + rng.choice(SIGNS) if character.isalpha() else character


def _sounding(character: str, rng: random.Random) -> str:
    return rng.choice(_others(character, tables(), "sound") or character)


def _looking(character: str, rng: random.Random) -> str:
    if rng.random() < 0.5:
        return _parts(tables()).get(ord(character), character)
    return rng.choice(_others(character, tables(), "shape") or character)


def _spelled(character: str, rng: random.Random) -> str:
    table = tables()
    syllable = _spellings(table).get(int(table.sound[ord(character)]), "")
    return (syllable if rng.random() < 0.7 else syllable[:1]) or character


@lru_cache(maxsize=1 << 15)
def _others(character: str, table: Tables, what: Literal["sound", "shape"]) -> str:
    """Return the characters of the same sound or shape as ``character``, according to ``table``, excluding itself."""
    begin, end = table.choices.bounds[getattr(table, what)[ord(character)] :][:2]
    return "".join(chr(code) for code in table.codes[table.choices.members[begin:end]] if code != ord(character))


@cache
def _spellings(table: Tables) -> dict[int, str]:
    """Return the Latin syllable that each row of homophones belongs to."""
    return {row: syllable for syllable, row in table.syllables.items()}


@cache
def _parts(table: Tables) -> dict[int, str]:
    """Return the characters that each code point is composed of, where they are known."""
    keys, wholes = table.splits
    parts = ([key >> 42, key >> 21 & 0x1FFFFF, key & 0x1FFFFF] for key in keys.tolist())
    joined = ("".join(map(chr, filter(None, each))) for each in parts)
    return dict(zip(wholes.tolist(), joined, strict=True))


def _shown(character: str, rng: random.Random) -> str:
    return rng.choice(_pictures(tables()).get(ord(character)) or character)


@cache
def _pictures(table: Tables) -> dict[int, str]:
    """Return the pictures that may stand for each code point."""
    found: dict[int, str] = {}
    for picture in np.flatnonzero(table.picture != table.empty).tolist():
        begin, end = table.choices.bounds[table.picture[picture] :][:2]
        for code in table.codes[table.choices.members[begin:end]].tolist():
            found[code] = found.get(code, "") + chr(picture)
    return found


WAYS: tuple[Callable[[str, random.Random], str], ...] = (
    _separated,
    _sounding,
    _sounding,
    _looking,
    _spelled,
    _shown,
)
