"""JSON as dumps hold it: parsing that is as strict with and without orjson, and writing that changes no number."""

from __future__ import annotations

import json
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

try:
    from orjson import dumps, loads
except ImportError:

    def dumps(value: Any) -> bytes:  # type: ignore[misc]
        """Return a value as JSON."""
        return json.dumps(value).encode()

    def loads(raw: bytes) -> Any:  # type: ignore[misc]
        """Parse JSON as strictly as orjson: UTF-8 alone."""
        return json.loads(raw.decode())


__all__ = [
    "DEPTH",
    "WRITTEN",
    "Number",
    "brackets",
    "dump_json",
    "dump_written",
    "dumps",
    "loads",
    "parse_written",
    "too_deep",
    "without",
]

DEPTH = 200
"""Maximum nesting depth of JSON. It is well below the limit of Python's stack, which would otherwise decide."""


def without(raw: bytes, names: Collection[str]) -> bytes:
    """Return a JSON object without the fields in ``names``; every byte of the other fields is kept.

    >>> without(b'{"a": 1e400, "b": 1, "c":[1.10]}', {"b"})
    b'{"a": 1e400, "c":[1.10]}'

    """
    text, kept = raw.decode(), []
    at = _token(text, 1)
    while text[at] != "}":
        begin = at
        name, end = WRITTEN.raw_decode(text, at)
        _, end = WRITTEN.raw_decode(text, _token(text, end))
        if name not in names:
            kept.append(text[begin:end])
        at = _token(text, end)
    return f"{{{', '.join(kept)}}}".encode()


class Number(str):
    """A number as it is written in JSON."""

    __slots__ = ()


WRITTEN = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=Number)
"""Parses numbers as they are written."""

STRICT = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
"""Writes JSON, or raises `ValueError` for numbers that JSON lacks. `json.dumps` would make an encoder for each row."""

CONSTANTS = {None: "null", True: "true", False: "false"}


def parse_written(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object in UTF-8 whose numbers stay as they are written, each as a `Number`."""
    row: dict[str, Any] = WRITTEN.decode(raw.decode())
    return row


def dump_written(value: Any) -> str:
    """Return a value that `parse_written` returned as JSON in one line.

    >>> dump_written(parse_written(b'{"a": [1.10, 1E400, "x", null]}'))
    '{"a": [1.10, 1E400, "x", null]}'

    """
    if isinstance(value, Number):
        return value
    if isinstance(value, str):
        return json.encoder.encode_basestring(value)
    if isinstance(value, dict):
        fields = (f"{json.encoder.encode_basestring(name)}: {dump_written(item)}" for name, item in value.items())
        return f"{{{', '.join(fields)}}}"
    return f"[{', '.join(map(dump_written, value))}]" if isinstance(value, list) else CONSTANTS[value]


def _token(text: str, at: int) -> int:
    """Return the offset at which the next JSON value or closing bracket begins."""
    while text[at] in " \t\r\n,:":
        at += 1
    return at


def dump_json(row: Any) -> bytes:
    """Return a row as JSON in one line of UTF-8; numbers that JSON lacks become null."""
    try:
        text = STRICT.encode(row)
    except ValueError:
        text = json.dumps(_finite(row), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")  # escapes of lone surrogates have the same form in JSON


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def brackets(raw: bytes) -> int:
    """Return the number of brackets that open something, or would outside strings: the depth is not more."""
    return raw.count(b"{") + raw.count(b"[")


def too_deep(raw: bytes, row: Any) -> bool:
    """Return whether JSON is nested deeper than `DEPTH`; examine it closely only if it has enough brackets."""
    if brackets(raw) <= DEPTH:
        return False
    level = [row]
    for _ in range(DEPTH):
        values = [value.values() if isinstance(value, dict) else value for value in level]
        level = [item for value in values for item in value if isinstance(item, (dict, list))]
    return bool(level)
