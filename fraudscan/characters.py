"""What every character is read as: one table with a row per Unicode code point.

The table unites width and case, traditional and simplified characters, circled
and other compatibility forms (NFKC), reads every digit as ``0``, and drops white
space, control and format characters and combining marks. It is built by
``tools/build_normalization.py`` from Unicode's data and OpenCC's.

>>> fold("加 ＶＸ：①⑧⑧， 投\u200b資理財")
'加vx:000,投资理财'
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fraudscan.arrays import Codes

__all__ = ["DROPPED", "NORMALIZATION_VERSION", "code_points", "fold", "normalization_table"]

NORMALIZATION_VERSION = 3
"""Raised whenever the table changes: a model fits the table that it was trained with, and no other."""

DROPPED = 0
"""The entry of code points that are dropped. U+0000 itself is one of them, so nothing else can have this value."""


@cache
def normalization_table() -> Codes:
    """Return the table, read-only: the normalised code point for each of the 0x110000 code points."""
    table = np.arange(sys.maxunicode + 1, dtype=np.int32)
    path = resources.files("fraudscan.data").joinpath("normalization.npz")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        table[arrays["source"]] = arrays["target"]
    table.setflags(write=False)
    return table


def code_points(text: str) -> Codes:
    """Return the code points of ``text`` as a read-only array; lone surrogates are code points like any other."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.int32)


def fold(text: str) -> str:
    """Return ``text`` as the model reads it. Never longer than ``text``; normalising twice changes nothing."""
    codes = normalization_table()[code_points(text)]
    kept: bytes = codes[codes != DROPPED].tobytes()
    return kept.decode("utf-32-le", "surrogatepass")
