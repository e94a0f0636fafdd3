"""Choose the reader for a source by its content, then by its name."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import re
from typing import TYPE_CHECKING, Any

from fraudscan.dump.chats import SmsXmlReader, TelegramReader
from fraudscan.dump.documents import JsonArrayReader
from fraudscan.dump.encodings import canonical, detect
from fraudscan.dump.foreign import TEXTS, WORKBOOK, foreign
from fraudscan.dump.parquet import ParquetReader
from fraudscan.dump.readers import BLOCK, SAMPLE, JsonLinesReader
from fraudscan.dump.rows import DumpError
from fraudscan.dump.streams import FORMAT_OF_ENDING, plain_name
from fraudscan.dump.tables import DELIMITERS, NAMED, NO_DELIMITER, CsvReader, LinesReader, find_delimiter, is_even
from fraudscan.dump.textcolumn import is_row, text_columns
from fraudscan.dump.transcripts import TRANSCRIPTS, TranscriptReader, transcript
from fraudscan.dump.workbooks import WorkbookReader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fraudscan.dump.readers import Reader
    from fraudscan.dump.streams import Stream

__all__ = ["FORMATS", "check_table_options", "delimiter_of", "make_reader"]

READERS: tuple[type[Reader], ...] = (
    JsonLinesReader,
    JsonArrayReader,
    CsvReader,
    LinesReader,
    ParquetReader,
    WorkbookReader,
    SmsXmlReader,
    TelegramReader,
    *TRANSCRIPTS,
)
FORMATS: dict[str, type[Reader]] = {reader.name: reader for reader in READERS}

LIVE = (JsonLinesReader, LinesReader)
"""Readers that can do with the first lines of a source. Those of tables, chats and documents examine more of it."""

BEGINNING = 1 << 16
"""How many bytes of a live source may come before it is read like any other, because they do not show what it is."""

BY_LINE = (CsvReader, LinesReader, TranscriptReader)
"""Readers of the formats that may be detected for a file with old Mac line ends."""

TELEGRAM = re.compile(r'"(?:chats|contacts)"\s*:\s*\{\s*"(?:about|list)"\s*:')
"""The chats of an export, or the contacts before them, which may fill all of the text that is examined."""

CHAT = re.compile(r'"messages"\s*:\s*\[\s*\{')
TELEGRAM_MESSAGE = re.compile(r'"(?:from_id"|date_unixtime"|type"\s*:\s*"(?:message|service)")')
"""The messages of a single chat, and what distinguishes Telegram's from others that are also called ``messages``."""

EMPTY_CHAT = re.compile(r'\{\s*(?:"(?:name|type|id)": .*,\r?\n\s*)+"messages": \[\s*\]\s*\}\s*')
"""A whole export of one chat without messages."""

WRITTEN = {"\\t": "\t", "\\x01": "\x01", "\\001": "\x01"}
"""Delimiters as they are written on a command line: shells pass these characters on as they are."""


def delimiter_of(named: str) -> str:
    """Return the delimiter that a user names; refuse what is not one character, or one that cannot delimit."""
    delimiter = WRITTEN.get(named, named)
    if len(delimiter) != 1 or delimiter in '\0\r\n"':
        raise DumpError(f"--delimiter must be one character (\\t for a tab, \\x01 for Hive's), not {named!r}")
    return delimiter


def check_table_options(delimiter: str | None, header_line: int | None, readers: Iterable[Reader]) -> None:
    """Refuse a delimiter if no source is CSV, and a header line if none is CSV or a workbook."""
    kinds = {reader.name for reader in readers}
    if delimiter is not None and CsvReader.name not in kinds:
        raise DumpError("--delimiter is for CSV, but no source is read as CSV: leave it out, or add --format csv")
    if header_line is not None and kinds.isdisjoint((CsvReader.name, WorkbookReader.name)):
        raise DumpError(
            "--header-line is for CSV and workbooks, but no source is read as one: leave it out, or add --format csv"
        )


def make_reader(
    stream: Stream, kind: str | None, encoding: str | None, delimiter: str | None = None, **options: Any
) -> Reader:
    """Return the reader for a stream, for the given format, encoding and delimiter (of CSV). ``None`` is detected."""
    if kind is not None and kind not in FORMATS:
        raise DumpError(f"no format is called {kind!r}; there are: {', '.join(FORMATS)}")
    header_line = options.get("header_line")
    if header_line is not None and header_line < 0:
        raise DumpError("--header-line must be the number of a line, or 0 for a table without a header")
    options["detected"] = kind is None
    head = _head(stream, kind, encoding)
    if stream.damage and not head:
        raise DumpError(f"{stream.source}: {stream.damage}")
    what = foreign(head, office=stream.office)
    if what == WORKBOOK and kind in (None, WorkbookReader.name):
        doubts = [f"is a workbook: --encoding {canonical(encoding)} does not apply to it"] if encoding else []
        return WorkbookReader(stream.source, "utf-8", doubts=doubts, **options)
    if what and not (what in TEXTS and kind == LinesReader.name):
        how = "; --format lines reads it as it is" if what in TEXTS else ""
        how = ": leave --format out to read it" if what == WORKBOOK else how
        raise DumpError(f"{stream.source} is {what}{how}")
    if kind == "parquet" or (kind is None and head.startswith(b"PAR1")):
        return ParquetReader(stream.source, canonical(encoding or "utf-8"), **options)
    encoding = canonical(encoding) if encoding else detect(head)
    if encoding == "utf-16-le" and head.startswith(b"\xfe\xff"):
        encoding = "utf-16-be"
    text = head.decode(encoding, "replace").lstrip("\ufeff")
    whole = len(head) < BLOCK and not stream.paused
    reader = FORMATS[kind or _format(stream.name, text, options.get("text"), header_line, whole=whole)]
    stream.live &= issubclass(reader, LIVE)
    if issubclass(reader, BY_LINE) and "\n" not in text and "\r" in text.rstrip("\r"):
        raise DumpError(f"{stream.source} has old Mac line ends, \\r alone: convert it (tr '\\r' '\\n')")
    if issubclass(reader, CsvReader):
        options["delimiter"] = delimiter or ""
    return reader(stream.source, encoding, **options)


def _head(stream: Stream, kind: str | None, encoding: str | None) -> bytes:
    """Return the first block of a stream; if it is live, what has come of that, as soon as it shows what it is."""
    stream.live &= kind is None or issubclass(FORMATS[kind], LIVE)
    head = stream.peek(BLOCK)
    while stream.paused and not _is_begun(head, kind, encoding):
        stream.live = len(head) < BEGINNING
        head = stream.peek(BLOCK)
    return head


def _is_begun(head: bytes, kind: str | None, encoding: str | None) -> bool:
    """Return whether the first bytes of a live source show what it is: by a line that is a JSON object, if not named.

    What else it may be depends on more rows, and must not depend on when they come.
    """
    text = head.decode(canonical(encoding) if encoding else detect(head), "replace").lstrip("\ufeff")
    lines = text.split("\n")[:-1]
    return bool(lines) if kind is not None else any(map(_is_object, lines))


def _is_object(line: str) -> bool:
    with contextlib.suppress(ValueError, RecursionError):
        return line.lstrip().startswith("{") and isinstance(json.loads(line), dict)
    return False


def _format(name: str, text: str, column: str | None, header_line: int | None, *, whole: bool) -> str:
    """Return the format of a source that begins with ``text``.

    Args:
        name: the name of the source, or of the file in it if that is a ZIP archive.
        text: the start of its text.
        column: the text column that the user named, if any.
        header_line: the line of the header that the user named, if any.
        whole: whether ``text`` is the whole source.

    """
    named = next((kind for ending, kind in FORMAT_OF_ENDING.items() if plain_name(name).endswith(ending)), None)
    table = text.split("\n", min(max(0, (header_line or 1) - 1), len(text)))[-1].lstrip()
    text = text.lstrip()
    if re.match(r"<\?xml|<!--|<!DOCTYPE|<smses", text) and re.search(r"<smses[\s/>]|<(?:sms|mms)\s", text[:1000]):
        return "sms-xml"
    first, _, rest = text.partition("\n")
    if named in ("lines", "csv") and _is_json(first, text):  # in spite of the ending
        named = None
    if named in (None, "json", "jsonl"):
        if text.startswith("{") and named != "jsonl":
            return _object(first, rest, text)
        if re.match(r"\[\s*(?:\{|\]|$)", text):
            return "json"
    other = "jsonl" if named == "json" else named or "lines"
    if (other == "lines" or (other == "jsonl" and not text.startswith("{"))) and (chat := transcript(text)):
        return chat
    if other != "lines" and (other != "jsonl" or re.search(r"^[ \t]*\{", text, re.MULTILINE)):
        return other
    header = table.partition("\n")[0].strip()  # Excel saves tables as "Unicode Text" in .txt
    fields = re.split(f"[{re.escape(DELIMITERS)}]", header)
    names = [field.strip('" ') for field in fields]
    given = column is not None and column.casefold() in map(str.casefold, names)
    known = given or (text_columns(names) and not is_row(names))
    headed = known and (_one_column(table, whole=whole) if len(names) == 1 else given or _several_columns(table))
    return "csv" if NAMED.fullmatch(first) or headed else other


def _one_column(text: str, *, whole: bool) -> bool:
    """Return whether ``text``, which begins with a column name, is a table of one column, as far as it is examined.

    It is one if no quote is left open at the end of the table, and no comma is outside quotes, or no delimiter occurs
    equally often in its first lines.
    """
    even = is_even(list(filter(str.strip, text.split("\n")[1 : 1 + SAMPLE])))
    rows = csv.reader(io.StringIO(text, newline=""), delimiter="," if even else NO_DELIMITER, strict=True)
    try:
        return all(len(row) < 2 for row in rows)
    except csv.Error:
        return not whole and rows.line_num == len(text.split("\n"))  # the open quote may close later


def _several_columns(text: str) -> bool:
    """Return whether ``text``, which begins with column names, is a table.

    It is one if at least half of its rows have several values, or it has no rows.
    """
    delimiter = find_delimiter(text.partition("\n")[0])
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):  # without quoting, a quote may stay open
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting)
        sizes: list[int] = []
        with contextlib.suppress(csv.Error):
            sizes.extend(len(row) for row in itertools.islice(filter(None, rows), 1, 1 + SAMPLE))
        if 2 * sum(size > 1 for size in sizes) >= len(sizes):
            return True
    return False


def _is_json(first: str, text: str) -> bool:
    """Return whether a text is JSON, and not messages that begin with a bracket."""
    return _is_object(first) or re.match(r'[{\[]\s*(?:\{\s*)?"[^"\n]+"\s*:', text) is not None


def _telegram_messages(rows: Any) -> bool:
    """Return whether ``rows`` are messages of a chat exported by Telegram, and not those of another export."""
    if not isinstance(rows, list):
        return False
    known = (row for row in rows if isinstance(row, dict))
    return not rows or any(
        "from_id" in row or "date_unixtime" in row or row.get("type") in ("message", "service") for row in known
    )


def _object(first: str, rest: str, text: str) -> str:
    """Return the format of a text that begins with a JSON object.

    The text has one object per line, one object that holds chats, or objects over several lines each.
    """
    with contextlib.suppress(ValueError, RecursionError):  # the object may continue on the next line
        row = json.loads(first)
        chats = isinstance(row.get("chats"), dict) or _telegram_messages(row.get("messages"))
        return "telegram" if chats and not rest.strip() else "jsonl"
    if (
        TELEGRAM.search(text)
        or EMPTY_CHAT.fullmatch(text)
        or ((chat := CHAT.search(text)) and TELEGRAM_MESSAGE.search(text, chat.end()))
    ):
        return "telegram"
    # an object over several lines begins with a brace alone, and its fields follow on the next lines
    return "json" if re.match(r'\{[^\S\n]*\n\s*"', text) else "jsonl"
