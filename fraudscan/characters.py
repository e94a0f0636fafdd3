r"""The character tables: what the model and the lists read each Unicode code point as.

The model's table unifies width and case, traditional and simplified characters, and circled and
other compatibility forms (NFKC). It reads Cantonese characters as the Mandarin ones that
they stand for, and every digit as ``0``. It drops white space, control and format
characters, combining marks, and code points that are no characters.

The table for lists goes less far, because an entry must not match what it does not say: what only stands for other
characters stays as it is (emoji, Cantonese characters, cheque numerals, and characters like ``⑩`` and ``㎏``, which
expand to several), and digits keep their value.

Both are built by ``tools/build_normalization.py`` from the data of Unicode and OpenCC.

White space and formatting that databases and web pages write as escapes or mark-up are dropped, too (`MARKUP`).

>>> fold("加 ＶＸ：①⑧⑧， 投\u200b資理財")
'加vx:000,投资理财'
>>> fold(r"您好，\r\n请加微信<br />")
'您好,请加微信'
"""

from __future__ import annotations

import re
import sys
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

from fraudscan.lazy import shared

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fraudscan.arrays import Bools, Codes, Ints

__all__ = [
    "DROPPED",
    "MARKUP",
    "MARKUP_OPENERS",
    "NORMALIZATION_VERSION",
    "blocks_without_markup",
    "code_points",
    "concatenated",
    "fold",
    "fold_for_lists",
    "is_han",
    "is_latin",
    "normalization_table",
    "table_for_lists",
    "table_with_digits",
    "text_of",
    "text_sizes",
    "without_markup",
]

NORMALIZATION_VERSION = 6
"""Increased whenever the table changes, `MARKUP`, or the character that marks a disguised contact. A model works only
with the table that it was trained with."""

DROPPED = 0
"""The table's value for dropped code points. U+0000 itself is dropped, so no kept character has this value."""

MARKUP_OPENERS = "<&\\"
"""The characters that `MARKUP` begins with."""

MARKUP = frozenset(
    {
        r"\n",
        r"\r",
        r"\t",
        "&nbsp;",
        "&ensp;",
        "&emsp;",
        "&amp;nbsp;",
        "&quot;",
        "&lt;br&gt;",
        "&lt;br/&gt;",
        "<br>",
        "<br/>",
        "</br>",
        *(f"<{end}{tag}>" for tag in ("p", "div", "span", "b", "strong") for end in ("", "/")),
    }
)
"""Line breaks, white space, and other mark-up that says nothing, as databases, programs and web pages write it, in
normalised characters. No string is the beginning of another one, nor longer than 16 characters (``_read.c``)."""

OPENERS = re.compile(f"[{re.escape(MARKUP_OPENERS)}]+")

BEGINNINGS = frozenset(markup[:size] for markup in MARKUP for size in range(1, len(markup) + 1))
"""What mark-up begins with, `MARKUP` itself included."""

OUTSIDE = re.compile("[0-9,.\u4e00-\u9fff]")
"""A frequent character that mark-up does not contain in any form."""

BLOCK = 1 << 16
"""How many characters are searched for mark-up at a time."""


@shared
def normalization_table() -> Codes:
    """Return the model's table as a read-only array: the normalised code point of each of the 0x110000 code points."""
    return _shipped("target")


@shared
def table_for_lists() -> Codes:
    """Return the table for lists as a read-only array. It also drops the mark of disguised contacts."""
    return _shipped("target_in_lists")


@shared
def table_with_digits() -> Codes:
    """Return the model's table, but with digits as lists read them, as a read-only array."""
    table = np.where(normalization_table() == ord("0"), table_for_lists(), normalization_table())
    table.setflags(write=False)
    return table


def unlisted() -> Codes:
    """Return what is read for the code points that the files do not list: the code points themselves.

    Dropped are halves of surrogate pairs (from U+D800), private use (to U+F8FF), and planes 4 to 16, which have no
    characters that anybody would see.
    """
    table = np.arange(sys.maxunicode + 1, dtype=np.int32)
    table[0xD800:0xF900] = table[0x40000:] = DROPPED
    return table


def _shipped(target: str) -> Codes:
    table = unlisted()
    path = resources.files("fraudscan.data").joinpath("normalization.npz")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        table[arrays["source"]] = arrays[target]
    table.setflags(write=False)
    return table


def code_points(text: str) -> Codes:
    """Return the code points of ``text`` as a read-only array. Lone surrogates are treated like other code points."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.int32)


def text_sizes(texts: Sequence[str]) -> Ints:
    """Return the number of characters of each text."""
    return np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))


def concatenated(texts: Sequence[str]) -> tuple[Codes, Ints]:
    """Return the code points of ``texts``, each followed by a 0 as a separator, and the offsets of the separators.

    Mark-up is overwritten (see `without_markup`).
    """
    ends = text_sizes(texts).cumsum() + np.arange(len(texts))
    joined = "\0".join([*texts, ""])
    if _may_have_markup(joined):
        joined = "\0".join([*map(without_markup, texts), ""])
    return code_points(joined), ends


def is_han(codes: Codes) -> Bools:
    """Return a mask of the Chinese characters in Unicode's main block."""
    return (codes >= 0x4E00) & (codes <= 0x9FFF)


def is_latin(codes: Codes) -> Bools:
    """Return a mask of the Latin letters; after normalising, only lower-case ones are left."""
    return (codes >= ord("a")) & (codes <= ord("z"))


def text_of(codes: Codes) -> str:
    """Return the text that consists of ``codes``: the inverse of `code_points`."""
    return codes.tobytes().decode("utf-32-le", "surrogatepass")


def fold(text: str) -> str:
    """Return ``text`` as the model's table reads it. The result is never longer; folding it again changes nothing."""
    return _fold(text, normalization_table())


def fold_for_lists(text: str) -> str:
    """Return ``text`` as lists read it. The result is never longer; folding it again changes nothing.

    >>> fold_for_lists("加 ＶＸ：①３８ 投資❤⑩㎏")
    '加vx:138投资❤⑩㎏'

    """
    return _fold(text, table_for_lists())


def _fold(text: str, table: Codes) -> str:
    codes = table[code_points(without_markup(text))]
    return text_of(codes[codes != DROPPED])


def without_markup(text: str) -> str:
    r"""Return ``text`` with each `MARKUP` overwritten by U+0000, which is dropped. Offsets stay the same.

    Mark-up may be written in any form, like everything else (``＜BR />``). It is not read as such inside or right after
    the beginning of other mark-up, so that dropping it does not create new mark-up.

    >>> without_markup("投资<br>理财")
    '投资\x00\x00\x00\x00理财'
    >>> without_markup("<<br>br>")
    '<<br>br>'

    """
    return "".join(blocks_without_markup(text, BLOCK)) if _may_have_markup(text) else text


def blocks_without_markup(text: str, size: int) -> Iterator[str]:
    """Yield what `without_markup` returns, in blocks of ``size`` characters, or more if mark-up may cross their end."""
    begin = 0
    while begin < len(text):
        block = text[begin : begin + size]
        if _may_have_markup(block):
            outside = OUTSIDE.search(text, begin + size)
            block = _overwritten(text[begin : outside.start() if outside else len(text)])
        yield block
        begin += len(block)


def _may_have_markup(text: str) -> bool:
    return any(map(text.__contains__, _openers()))


@shared
def _openers() -> str:
    """Return all characters that are read as one of `MARKUP_OPENERS`."""
    openers = np.isin(normalization_table(), [ord(opener) for opener in MARKUP_OPENERS])
    return text_of(openers.nonzero()[0].astype(np.int32))


def _overwritten(text: str) -> str:
    codes = code_points(text).copy()
    read = normalization_table().take(codes)
    kept = (read != DROPPED).nonzero()[0]
    characters = text_of(read[kept])
    end, barred = 0, -1
    while openers := OPENERS.search(characters, end):
        end = openers.end()
        begin = end - 1
        if openers.start() < begin:  # it is right after another one
            barred = begin
        while end < len(characters) and characters[begin : end + 1] in BEGINNINGS:
            end += 1
        if characters[begin:end] in MARKUP and begin != barred:
            codes[kept[begin:end]] = DROPPED
        else:
            barred = end
    return text_of(codes)
