"""The data that the parts of a job exchange: blocks of a source, batches of rows, rejects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fraudscan.errors import FraudscanError

__all__ = ["Batch", "Block", "DumpError", "Place", "Reject"]


class DumpError(FraudscanError):
    """A dump cannot be scored; the message says why and what to do."""


class Place(NamedTuple):
    """Where a row or block begins: its byte offset in the unpacked source, and its line, from 1.

    In Parquet and workbooks, the offset is the number of rows before it, and the line of a workbook is that of a sheet.
    In a document that is not UTF-8, it is the offset in the text converted to UTF-8: see `documents`.

    ``rescanned`` counts the bytes that a line-based reader has scanned in vain, less `readers.PATIENCE` times those
    that it has put into blocks since. ``heading`` is the content of the last heading of a chat.
    """

    offset: int
    line: int
    rescanned: int = 0
    heading: str = ""


class Block(NamedTuple):
    """A run of whole rows, about a megabyte. A reader can begin at ``start``, or at ``end`` for the next block.

    A block with a ``problem`` is one row that cannot be read, or lines that cannot be divided into rows. Its ``data``
    is then the available part, as bytes. A ``fatal`` block represents the rest of the source.
    """

    start: Place
    end: Place
    data: Any
    problem: str = ""
    fatal: bool = False


class Reject(NamedTuple):
    """A row that cannot be scored, and why."""

    line: int
    offset: int
    reason: str
    raw: str


@dataclass
class Batch:
    """The rows of consecutive blocks.

    Attributes:
        texts: the texts to score.
        lines: the line of each text.
        raws: for each text, what the writer needs to reproduce its row: a JSON object in one line of UTF-8 or, for
            formats with a header, the list of the row's values. Of Parquet it is one Arrow table (see `Reader.rows`).
        rejects: the other rows.
        keys: the conversation of each text, or ``None`` if it is in none; filled if the job asks for conversations.

    """

    texts: list[str] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    raws: Any = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
