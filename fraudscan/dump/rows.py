"""What the parts of a job pass to one another: blocks of a source, batches of rows, rejects."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from fraudscan.characters import fold
from fraudscan.errors import FraudscanError

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Batch", "Block", "DumpError", "Place", "Reject", "is_row", "is_text_column", "text_columns", "text_rank"]

OPEN = "msg", "sms", "短信", "消息", "信息", "简讯", "短讯", "讯息"
"""Names of the text that may also be those of a kind, a state or a count."""

TEXT_COLUMNS = (
    "text",
    *("短信内容", "短消息内容", "消息内容", "聊天内容", "信息内容", "发送内容", "短信正文", "消息正文", "聊天记录"),
    *("简讯内容", "短讯内容", "讯息内容", "简讯内文", "讯息内文"),
    *("strcontent", "message_content", "sms_content", "msg_content", "message", "content", "body"),
    *("内容", "正文", "文本", "内文", "文字"),
    *OPEN,
)
"""Where the text is looked for, in this order, whatever the case or script: names that can be nothing else before those
of `OPEN`. ``strcontent`` is what WeChat calls it."""

REMARKED = re.compile(r"([^()（）]+)(?:[(（]([^()（）]*)[)）])?\s*")
"""The name of a column, and a remark in brackets."""

ABOUT = re.compile(r"[条数]|类型|状态|长度|编号|count|length|size|status|state|type|\bid\b")
"""What remarks say of columns that have something about a text, not the text."""

VALUE = re.compile(r"\W*(?:\d[\W年月日时分秒上下午周星期一二三四五六ACMPSTZ]*){5,}")
"""A number of five digits or more, or a time."""

LONGEST = 100
"""Characters of a column's name that may be one of these. Names are kept, and each row may have others."""


class DumpError(FraudscanError):
    """A dump cannot be scored; the message says why and what to do."""


class Place(NamedTuple):
    """Where a row or block begins: its byte in the unpacked source (its row in Parquet), and its line, from 1.

    In a document that is not UTF-8 it is the byte that the text has as UTF-8: see `documents`.

    ``rescanned`` counts the bytes that a reader of lines has gone through for nothing, less what makes up for them;
    ``heading`` is what the last heading of a chat said.
    """

    offset: int
    line: int
    rescanned: int = 0
    heading: str = ""


class Block(NamedTuple):
    """A run of whole rows, about a megabyte. A reader can begin at ``start``, and at ``end`` for the next one.

    A block with a ``problem`` is one row that cannot be read, or lines of which nobody knows what rows they are:
    ``data`` is then what there is of it, as bytes. If it is ``fatal``, it stands for the rest of the source.
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
    """The rows of a block.

    Attributes:
        texts: what is scored.
        raws: for each text what the writer needs to give its row back: a JSON object in one line of UTF-8, or, of
            formats with a header, the list of the row's values.
        rejects: the other rows.
        keys: for each text its conversation, where the job asks for conversations; ``None`` if it is in none.
        lines: for each text its line, where the job asks for conversations.

    """

    texts: list[str] = field(default_factory=list)
    raws: Any = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)


def text_columns(columns: Collection[str]) -> list[str]:
    """Return the columns that look like the text, the likeliest first; written as in `TEXT_COLUMNS` before others.

    Where there is none, those that have such a name behind a table's (``sms.content``) or before a remark in brackets.
    """
    for simplified in (str, _core):
        found: dict[str, list[str]] = {}
        for column in columns:
            found.setdefault(_name(simplified(column)), []).append(column)
        names = [sorted(found.get(name, ()), key=lambda each: each != name) for name in TEXT_COLUMNS]
        if any(names):
            return [column for same in names for column in same]
    return []


def is_text_column(column: str) -> bool:
    """Return whether a column is called as `TEXT_COLUMNS` are, with nothing before or behind that."""
    return _name(column) in TEXT_COLUMNS


def text_rank(columns: Collection[str]) -> int | None:
    """Return which of `TEXT_COLUMNS` the likeliest of some columns has for its name; ``None`` if none has one."""
    if not (found := text_columns(columns)):
        return None
    name = found[0] if is_text_column(found[0]) else _core(found[0])
    return TEXT_COLUMNS.index(_name(name))


def is_row(columns: Collection[str]) -> bool:
    """Tell whether what looks like a header is a row: the text's name is in `OPEN`, and another a number or time."""
    rank = text_rank(columns)
    return rank is not None and TEXT_COLUMNS[rank] in OPEN and any(map(VALUE.fullmatch, columns))


def _core(column: str) -> str:
    """Return the name of a column without the table's before it, and without a remark in brackets behind it.

    Nothing where it is not the text that has a remark, or may not be.
    """
    match = REMARKED.fullmatch(column) if len(column) <= LONGEST else None
    if match is None:
        return column
    name = match[1].rpartition(".")[2]
    other = match[2] is not None and (_name(name) in OPEN or ABOUT.search(fold(match[2])))
    return "" if other else name


def _name(column: str) -> str:
    """Return the name of a column as `TEXT_COLUMNS` have it; long, or with white space within, it is none of those."""
    return _folded(column) if len(column) <= LONGEST else ""


@lru_cache(1 << 12)
def _folded(column: str) -> str:
    return fold(column) if len(column.split()) == 1 else ""
