"""Readers: a file in, its rows out one by one, those that cannot be read included.

JSON lines are kept as the bytes they came as, so that whatever a row holds beside
its text comes out unchanged.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["FORMATS", "CsvReader", "DumpError", "JsonLinesReader", "LinesReader", "Record", "Reject", "open_reader"]

TEXT_COLUMNS = (
    "text",
    "message",
    "content",
    "body",
    "msg",
    "sms",
    "短信内容",
    "消息内容",
    "内容",
    "短信",
    "消息",
    "正文",
    "文本",
)
"""Where the text is looked for, in this order, whatever the case."""


class DumpError(Exception):
    """A dump cannot be scored; the message says why and what to do."""


class Record(NamedTuple):
    """A row with a text. ``raw`` is what the writer needs to give the row back."""

    text: str
    raw: Any


class Reject(NamedTuple):
    """A row that cannot be scored, and why."""

    line: int
    reason: str
    raw: str


def find_text_column(columns: Sequence[str], named: str | None, source: str) -> str:
    """Return the column that holds the text; `DumpError` if there is none."""
    found = f"{source} has the columns: {', '.join(columns) or '(none)'}"
    if named is not None:
        if named in columns:
            return named
        raise DumpError(f"no column is called {named!r}; {found}")
    for name in TEXT_COLUMNS:
        for column in columns:
            if column.strip().casefold() == name:
                return column
    raise DumpError(f"no column looks like the text; {found}. Name it with --text COLUMN")


@dataclass
class JsonLinesReader:
    """One JSON object a line. ``raw`` is the line, or the row's remaining fields where it had our columns already."""

    name: ClassVar[str] = "jsonl"
    file: BinaryIO
    source: str
    text: str | None
    columns: frozenset[str] = frozenset()
    _found: bool = field(default=False, init=False)

    def __iter__(self) -> Iterator[Record | Reject]:
        """Yield the rows in order."""
        for line, data in enumerate(self.file, 1):
            raw = data.strip()
            if raw:
                yield self._row(line, raw.removeprefix(b"\xef\xbb\xbf") if line == 1 else raw)

    def _row(self, line: int, raw: bytes) -> Record | Reject:
        try:
            row = json.loads(raw.decode())  # decoded here, since json would guess at UTF-16 and let surrogates pass
        except UnicodeDecodeError:
            return Reject(line, "not UTF-8", raw.decode("utf-8", "backslashreplace"))
        except (ValueError, RecursionError):
            return Reject(line, "not JSON", raw.decode())
        if not isinstance(row, dict):
            return Reject(line, "not a JSON object", raw.decode())
        if not self._found:
            self.text = find_text_column(list(row), self.text, self.source)
            self._found = True
        text = row.get(self.text)
        if not isinstance(text, str):
            reason = f"{self.text!r} is missing" if text is None else f"{self.text!r} is not a text"
            return Reject(line, reason, raw.decode())
        if self.columns.isdisjoint(row):
            return Record(text, raw)
        rest = {key: value for key, value in row.items() if key not in self.columns}
        return Record(text, json.dumps(rest, ensure_ascii=False).encode("utf-8", "surrogatepass"))


@dataclass
class CsvReader:
    """Delimited values with a header. ``raw`` is the list of the row's fields."""

    name: ClassVar[str] = "csv"
    file: BinaryIO
    source: str
    text: str | None
    columns: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
        self._lines = io.TextIOWrapper(self.file, "utf-8-sig", errors="surrogateescape", newline="")
        first = self._lines.readline()
        self.delimiter = max(",;\t|", key=first.count)
        # the header may hold quoted line breaks: let the csv module read it
        self._rows = csv.reader(itertools.chain([first], self._lines), delimiter=self.delimiter)
        self.header = next(self._rows, [])
        at = self.header.index(find_text_column(self.header, self.text, self.source))
        self.kept = [i for i, name in enumerate(self.header) if name not in self.columns]
        self._at = at

    def __iter__(self) -> Iterator[Record | Reject]:
        """Yield the rows in order; ``line`` is that of the row's end."""
        while True:
            try:
                row = next(self._rows, None)
            except csv.Error as error:
                yield Reject(self._rows.line_num, f"not CSV: {error}", "")
                continue
            if row is None:
                return
            if row:
                yield self._row(self._rows.line_num, row)

    def _row(self, line: int, row: list[str]) -> Record | Reject:
        if len(row) != len(self.header):
            reason = f"{len(row)} fields where the header has {len(self.header)}"
            return Reject(line, reason, json.dumps(row, ensure_ascii=True))
        try:
            "".join(row).encode()
        except UnicodeEncodeError:
            return Reject(line, "not UTF-8", json.dumps(row, ensure_ascii=True))
        return Record(row[self._at], row if len(self.kept) == len(row) else [row[i] for i in self.kept])


@dataclass
class LinesReader:
    """One message a line. ``raw`` is the message."""

    name: ClassVar[str] = "lines"
    file: BinaryIO
    source: str
    text: str | None = None
    columns: frozenset[str] = frozenset()

    def __iter__(self) -> Iterator[Record | Reject]:
        """Yield the lines in order, empty ones left out."""
        for line, data in enumerate(self.file, 1):
            raw = data.rstrip(b"\r\n")
            try:
                text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
            except UnicodeDecodeError:
                yield Reject(line, "not UTF-8", raw.decode("utf-8", "backslashreplace"))
            else:
                if text.strip():
                    yield Record(text, text)


Reader = JsonLinesReader | CsvReader | LinesReader
FORMATS: dict[str, type[Reader]] = {reader.name: reader for reader in (JsonLinesReader, CsvReader, LinesReader)}
ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "csv", ".txt": "lines"}


def open_reader(
    file: io.BufferedReader, source: str, text: str | None, columns: frozenset[str], name: str | None = None
) -> Reader:
    """Return the reader for ``file``: by format ``name``, by the source's ending, or by the first bytes.

    Raises:
        DumpError: if the dump has no text column.

    """
    if name is None:
        name = next((name for ending, name in ENDINGS.items() if source.lower().endswith(ending)), None)
    if name is None:
        name = "jsonl" if file.peek(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else "lines"
    return FORMATS[name](file, source, text, columns)
