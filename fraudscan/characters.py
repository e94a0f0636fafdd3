"""The character table: what each Unicode code point is read as.

The table unifies width and case, traditional and simplified characters, and
circled and other compatibility forms (NFKC). It reads every digit as ``0`` and
drops white space, control and format characters, and combining marks. It is built
by ``tools/build_normalization.py`` from the data of Unicode and OpenCC.

>>> fold("加 ＶＸ：①⑧⑧， 投\u200b資理財")
'加vx:000,投资理财'
"""

from __future__ import annotations

import sys
import unicodedata
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fraudscan.arrays import Codes, Ints

__all__ = [
    "DROPPED",
    "NORMALIZATION_VERSION",
    "code_points",
    "concatenated",
    "fold",
    "fold_keeping_digits",
    "normalization_table",
    "table_with_digits",
    "text_of",
    "text_sizes",
]

NORMALIZATION_VERSION = 4
"""Increased whenever the table changes, or the character that marks a disguised contact. A model works only with the
table that it was trained with."""

DROPPED = 0
"""The table's value for dropped code points. U+0000 itself is dropped, so no kept character has this value."""


@cache
def normalization_table() -> Codes:
    """Return the table as a read-only array: the normalised code point of each of the 0x110000 code points."""
    table = np.arange(sys.maxunicode + 1, dtype=np.int32)
    path = resources.files("fraudscan.data").joinpath("normalization.npz")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        table[arrays["source"]] = arrays["target"]
    table.setflags(write=False)
    return table


def code_points(text: str) -> Codes:
    """Return the code points of ``text`` as a read-only array. Lone surrogates are treated like other code points."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.int32)


def text_sizes(texts: Sequence[str]) -> Ints:
    """Return the number of characters of each text."""
    return np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))


def concatenated(texts: Sequence[str]) -> tuple[Codes, Ints]:
    """Return the code points of ``texts``, each followed by a 0 as a separator, and the offsets of the separators."""
    ends = text_sizes(texts).cumsum() + np.arange(len(texts))
    return code_points("\0".join([*texts, ""])), ends


def text_of(codes: Codes) -> str:
    """Return the text that consists of ``codes``: the inverse of `code_points`."""
    return codes.tobytes().decode("utf-32-le", "surrogatepass")


@cache
def table_with_digits() -> Codes:
    """Return a copy of the table in which digits keep their value, as a read-only array."""
    table = normalization_table().copy()
    for code in np.flatnonzero(table == ord("0")).tolist():
        values = (unicodedata.digit(each, None) for each in unicodedata.normalize("NFKC", chr(code)))
        first = next((value for value in values if value is not None), 0)  # only the first digit of ⑩ and ½ is read
        table[code] = ord("0") + first
    table.setflags(write=False)
    return table


def fold(text: str) -> str:
    """Return ``text`` as the table reads it. The result is never longer; folding it again changes nothing."""
    return _fold(text, normalization_table())


def fold_keeping_digits(text: str) -> str:
    """Return ``text`` as the table reads it, except that digits keep their value.

    >>> fold_keeping_digits("加 ＶＸ：①３８ 投資")
    '加vx:138投资'

    """
    return _fold(text, table_with_digits())


def _fold(text: str, table: Codes) -> str:
    codes = table[code_points(text)]
    return text_of(codes[codes != DROPPED])
