"""Which column holds the text: by its name, and in JSON perhaps in objects nested deeper."""

from __future__ import annotations

import itertools
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fraudscan.characters import fold
from fraudscan.notes import HAN

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = [
    "MOST_PATHS",
    "is_header_below",
    "is_number",
    "is_row",
    "is_text_column",
    "may_be_other",
    "nested_rows",
    "text_columns",
    "text_rank",
    "unscored",
]

AMBIGUOUS = "msg", "sms", "短信", "消息", "信息", "简讯", "短讯", "讯息", "话术"
"""Names of text columns that may also name a type, a status or a count."""

TEXT_COLUMNS = (
    "text",
    *("短信内容", "短消息内容", "消息内容", "聊天内容", "信息内容", "发送内容", "短信正文", "消息正文", "聊天记录"),
    *("简讯内容", "短讯内容", "讯息内容", "简讯内文", "讯息内文", "简讯原文", "传送内容", "短信下发内容", "通讯内容"),
    *("聊天纪录", "对话内容", "对话记录", "对话纪录", "留言内容", "贴文"),
    *("涉案短信内容", "诈骗内容", "转写文本", "举报内容", "检举内容", "通报内容", "警情内容", "简要案情"),
    "strcontent",
    *(f"{what}{part}" for what in ("message", "sms", "msg", "chat") for part in ("content", "text", "body")),
    *("message", "content", "body"),
    *("内容", "正文", "文本", "内文", "文字"),
    *AMBIGUOUS,
)
"""Names of the text column, in order of preference, in any case or script, and with or without blanks, hyphens and
underscores. Unambiguous names come before those in `AMBIGUOUS`. ``strcontent`` is WeChat's name for it."""

JOINTS = str.maketrans("", "", "-_")

NAME_AND_REMARK = re.compile(r"([^()（）]+)(?:[(（]([^()（）]*)[)）])?\s*")
"""A column name, and an optional remark in brackets."""

PROPERTY = re.compile(r"[条数]|类型|状态|长度|编号|count|length|size|status|state|type|\bid\b")
"""Found in remarks on columns that hold a property of a text (its type or length, say) instead of the text."""

VALUE = re.compile(r"\W*(?:\d[\W年月日时分秒上下午周星期一二三四五六ACMPSTZ]*){5,}")
"""A number of five digits or more, or a time."""

MAX_NAME = 100
"""Maximum characters of a column name that is compared with `TEXT_COLUMNS`. Longer names are not looked up, because
`_folded` caches names and each row may have different ones."""

COPIED = re.compile(r"\.err|^\.\w*(?:quot|repl(?:y|ied)|refer)[^\[]*$", re.IGNORECASE)
"""Found in the jq paths of errors, and of single messages that are quoted or answered (lists of replies are texts)."""

MAX_NESTING = 5
"""Maximum depth at which the rows of an API response are looked for in nested objects."""

MOST_OBJECTS = 1000
"""Maximum number of nested objects examined in one object."""

MOST_PATHS = 10
"""Maximum number of jq paths in a notice: the names of fields may be numbers of messages."""


def text_columns(columns: Collection[str]) -> list[str]:
    """Return the columns that look like the text, the likeliest first.

    Of columns with the same name in `TEXT_COLUMNS`, those spelled exactly as there come first. If no column has one of
    these names, return those that have one after a table name (``sms.content``) or before a remark in brackets.
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
    """Return whether the name of a column is one of `TEXT_COLUMNS`, with nothing before or after it."""
    return _name(column) in TEXT_COLUMNS


def text_rank(columns: Collection[str]) -> int | None:
    """Return the index in `TEXT_COLUMNS` of the name of the likeliest text column, or ``None`` if there is none."""
    if not (found := text_columns(columns)):
        return None
    name = found[0] if is_text_column(found[0]) else _core(found[0])
    return TEXT_COLUMNS.index(_name(name))


def may_be_other(column: str) -> bool:
    """Return whether the name of a text column is in `AMBIGUOUS`."""
    rank = text_rank([column])
    return rank is not None and TEXT_COLUMNS[rank] in AMBIGUOUS


def is_row(columns: Collection[str]) -> bool:
    """Return whether an apparent header is a row.

    It is one if the name of its text column is in `AMBIGUOUS` and another name is a number or a time.
    """
    return any(map(may_be_other, text_columns(columns)[:1])) and any(map(VALUE.fullmatch, columns))


def is_header_below(columns: Collection[str], row: Collection[str]) -> bool:
    """Return whether the row below an apparent header seems to be the header, and the other one a title.

    It seems so if the row has a better name for the text than ``columns`` have, and no number or time.
    """
    rank, below = text_rank(columns), text_rank(list(filter(is_text_column, row)))
    better = rank is not None and below is not None and below < rank
    return better and not any(map(is_number, row))


def is_number(cell: str) -> bool:
    """Return whether a cell is a number or a time.

    >>> is_number("7"), is_number("2026-01-02 10:11"), is_number("好")
    (True, True, False)

    """
    return cell.isdecimal() or VALUE.fullmatch(cell) is not None


def nested_rows(row: Collection[str]) -> tuple[str, dict[str, Any]]:
    """Return the jq path of the rows nested in a JSON object and the first of them; both are empty if there are none.

    Paths of errors come last. Rows with a text column precede rows without one, then arrays precede single objects,
    then the likeliest name of the text decides. Rows without a text column count only if they are in an array.
    """

    def order(place: tuple[str, dict[str, Any]]) -> tuple[bool, bool, bool, int]:
        path, inner = place
        rank = text_rank(inner)
        return ".err" in path, rank is None, "[]" not in path, rank or 0

    found = itertools.islice(_objects(row, "", 0), MOST_OBJECTS) if isinstance(row, dict) else ()
    path, inner = min(found, key=order, default=("", {}))
    return (path, inner) if "[]" in path or text_columns(inner) else ("", {})


def unscored(row: dict[str, Any], text: str) -> list[str]:
    """Return up to `MOST_PATHS` jq paths of texts nested in a row whose text is in the column ``text``, outermost ones.

    Texts in other languages, errors, a message that the row's own text quotes or answers, which is a row of its own,
    and parts of the row's own text, such as its links, do not count.
    """
    paths: list[str] = []
    for path, inner in itertools.islice(_objects(row, "", 0), MOST_OBJECTS):
        nested = next((value for name in text_columns(inner) if isinstance(value := inner[name], str)), "")
        alone = HAN.search(nested) and not COPIED.search(path) and nested.strip() not in str(row.get(text))
        if alone and not any(path.startswith(f"{outer}.") for outer in paths):
            paths.append(path)
            if len(paths) == MOST_PATHS:  # each is compared with those found before it
                break
    return paths


def _objects(row: dict[str, Any], path: str, depth: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the paths and values of the objects nested in an object, outer ones first; of arrays, the first element.

    Arrays are marked as optional in the paths, because other rows may lack them. The depth is limited, because API
    responses nest few objects.
    """
    inner = []
    for name, held in row.items() if depth < MAX_NESTING else ():
        plain = name.isidentifier() and name.isascii()
        place = f"{path}.{name if plain else json.dumps(name, ensure_ascii=False)}"
        rows = isinstance(held, list) and held
        value, place = (held[0], f"{place}[]?") if rows else (held, place)
        if isinstance(value, dict):
            yield place, value
            inner.append((value, place))
    for value, place in inner:
        yield from _objects(value, place, depth + 1)


def _core(column: str) -> str:
    """Return the name of a column without a table name before it or a remark in brackets after it.

    Return an empty string if the remark shows that the column is not, or may not be, the text.
    """
    match = NAME_AND_REMARK.fullmatch(column) if len(column) <= MAX_NAME else None
    if match is None:
        return column
    name = match[1].rpartition(".")[2]
    other = match[2] is not None and (_name(name) in AMBIGUOUS or PROPERTY.search(fold(match[2])))
    return "" if other else name


def _name(column: str) -> str:
    """Return a column name as spelled in `TEXT_COLUMNS`, or an empty string if it is long."""
    return _folded(column) if len(column) <= MAX_NAME else ""


@lru_cache(1 << 12)
def _folded(column: str) -> str:
    return fold(column).translate(JOINTS)  # folding drops white space
