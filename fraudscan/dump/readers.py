"""Readers of formats by line: JSON lines, CSV, plain lines; and what all readers share.

A reader has two halves. `blocks` cuts a stream into blocks of whole rows, in the process
that reads; `batch` makes a block's rows, wherever the scoring is done. It holds no file
and can be pickled. Where blocks end depends on the place where the first one begins and
on nothing else, so a job that goes on at the end of any block comes to the same ones.

JSON lines are kept as the bytes they came as, so that whatever a row holds beside its
text comes out unchanged.
"""

from __future__ import annotations

import csv
import itertools
import json
import re
import shlex
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar

from fraudscan.dump.encodings import bom_size, cut_lines, last_line_end, line_end
from fraudscan.dump.rows import Batch, Block, DumpError, Place, Reject, is_row, text_columns, text_rank

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from fraudscan.dump.sources import Stream

try:
    from orjson import loads
except ImportError:

    def loads(raw: bytes) -> Any:  # type: ignore[misc]
        """Parse JSON as strictly as orjson: UTF-8 alone."""
        return json.loads(raw.decode())


__all__ = [
    "BLOCK",
    "NAMED",
    "NULL",
    "CsvReader",
    "JsonLinesReader",
    "Lines",
    "LinesReader",
    "Reader",
    "find_delimiter",
]

BLOCK = 1 << 20
"""Bytes of a block: some thousand rows, enough to score them at full speed, and small against a process's memory."""

BRACE, CLOSING_BRACE = b"{}"

SHOWN = 1000
"""Bytes kept of a row that is longer than a row may be."""

TOO_LONG = "longer than a row may be: raise --max-message"

PATIENCE = 32
"""How often, by and large, a byte is gone through again because a record before it does not end."""

RUN = 256
"""Lines that are read together where nothing is odd about them: few, for one odd line sends all of them the long way,
and the objects of all are held at a time."""

TABLE = 50
"""Lines that show whether they are rows of a table, or of a chat."""

FRAMED = re.compile(r"Row: \d+ _id=|\+-{3}[-+]*\+?\s*$")
"""How lines begin that Android's ``content query`` prints, and the frames of tables that databases do."""

CLOCK = re.compile(r"(?<!\d)\d{1,2}[:：]\d{2}(?!\d)")
EARLY = 60
"""A time of day, and within how many characters of a line one tells a chat: who said it follows, or goes before."""

NAME = re.compile(r"\s*\S.{0,30}[:：]\s*")
"""A line that is nothing but who said the next ones, as in what WeChat's windows copy."""

STATE = re.compile(r"|ok|true|done|\d{1,3}|.{0,40}\bsucce(?:ss|ed).{0,20}|.{0,12}成功.?", re.IGNORECASE)
CODES = frozenset({"code", "success", "ret", "retcode", "errno", "errcode", "error_code"})
"""What the answer of an interface says of itself in a column that is called as the text is, and what beside it."""

TITLE = 20
"""Lines behind the first of a table, which may be a title, among which a header is looked for."""

NESTED = 5
"""How deep the rows of an answer are looked for, which other objects hold."""

LONGEST_NAME = 1000
"""Characters of the name of a column in a header, which each row has in JSON: questions of a survey are as long."""

MOST_OBJECTS = 1000
"""So many objects within an object are looked at."""

DEPTH = 200
"""How deep JSON may be nested: well within Python's stack, whose limit would otherwise decide."""

DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
"""Finds where values end; what numbers are worth does not matter for that."""

DELIMITERS = ",;\t|^~\x01"

ESCAPED = re.compile(r'\\([\\"])')
"""A backslash that stands before a quote, or before another one, and so before none."""

NULL = r"\N"
"""What databases write where there is no value."""

BREAK = re.compile(r"\\[nrt]")
"""How they write an end of a line, or a tab, within a value of a table with tabs."""

NAMED = re.compile(r'"?sep=([^"\0\r\n])"?\s*', re.IGNORECASE)
"""The line before the header in which Excel is told the delimiter."""


@dataclass
class Reader:
    """A source as rows.

    Args:
        source: its name.
        encoding: as `encodings.detect` names it.
        text: the column that holds the text; found by its name without it.
        by: the column that names a row's conversation, if the job asks for conversations.
        sender: the column that says who sent a message, if the job's lists ask for it.
        limit: bytes that a row may have.
        ours: the columns that we add; those of an earlier run are replaced.
        header: the columns, of formats that have the same in every row; `prepare` finds them.
        rivals: other columns that look like the text, where none was named; `find` finds them.
        replaced: columns of ours that the source has; it finds these as well.

    """

    name: ClassVar[str]
    seeks: ClassVar[bool] = True
    """Whether `blocks` wants the stream at ``start``, not at its beginning."""
    naming: ClassVar[str] = ""
    """The column with the name of a conversation, of formats that number them."""
    whole: ClassVar[bool] = False
    """Whether a conversation ends where a source does: two phones may hold chats with one name."""

    source: str
    encoding: str
    text: str | None = None
    by: str | None = None
    sender: str | None = None
    limit: int = 1 << 20
    ours: frozenset[str] = frozenset()
    header: list[str] | None = None
    rivals: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)

    def find(self, rows: Iterable[Collection[str]], path: str = "") -> None:
        """Find the columns that are wanted, each in the first row that has it. Without a row all is left open.

        Args:
            rows: the columns of each row at the start of the source; of formats with a header, that alone.
            path: where the rows are, as jq writes it; nothing where each stands for itself.

        Raises:
            DumpError: if no row has one of them, a header has one twice, the text is in one of ours, or a header's name
                is none.

        """
        if self.text in self.ours:
            raise DumpError(f"{self.text!r} is a column that is written: rename it in {self.source} to have it scored")
        if (longest := max(map(len, self.columns), default=0)) > LONGEST_NAME:
            raise DumpError(f"{self.source} has a column with a name of {longest:,} characters: that is no header")
        known: dict[str, None] = {}
        columns: Collection[str] | None = None
        missing: list[str] = []
        for columns in rows:
            known.update(dict.fromkeys(columns))
            if self.text is None and (found := text_columns(columns)):
                self.text, *self.rivals = sorted(found, key=lambda name: self.textless(columns, name))
                self._refuse_answer(columns, path)
            wanted = (self.text, self.by, self.sender)
            missing = [name for name in wanted if name is not None and name not in known]
            if self.text is not None and not missing:
                break
        if twice := [name for name in (self.text, self.by, self.sender) if name and self.columns.count(name) > 1]:
            raise DumpError(f"{self.source} has several columns called {twice[0]!r}: rename all but one")
        self.replaced = [name for name in known if name in self.ours]
        if columns is None or (self.text is not None and not missing):
            return
        shown = ", ".join(list(known)[:30]) + (f" and {len(known) - 30} more" if len(known) > 30 else "")
        there = f"{self.source} has the columns: {shown or '(none)'}"
        if self.text is None:
            within = _holder(columns)
            how = ", or put a header before it if this is its first row" if self.name == CsvReader.name else ""
            how = how if within is None else f", or take its rows out first: jq -c {shlex.quote(path + within)}"
            raise DumpError(f"no column looks like the text; {there}. Name it with --text COLUMN{how}")
        outer = missing[0].partition(".")[0]
        tool = "Spark or pandas" if self.name == "parquet" else "jq"
        how = f". Take it out of {outer!r} first, with {tool} say" if outer in known and outer != missing[0] else ""
        raise DumpError(f"no column is called {missing[0]!r}; {there}{how}")

    def _refuse_answer(self, row: Collection[str], path: str) -> None:
        """Refuse an interface's answer, whose state is called as the text is: messages stand in an array beside it."""
        if not isinstance(row, dict) or self.text is None:
            return
        said = str(row[self.text] or "").strip()
        known = CODES | {"status"} if said else CODES  # messages with nothing but attachments have a status, too
        answer = STATE.fullmatch(said) and not known.isdisjoint(map(str.lower, row))
        within = _holder(row) if answer else None
        if within is not None and "[]" in within:
            raise DumpError(
                f"{self.source}: {self.text!r} is no message, it seems, and others are within: take these out first: "
                f"jq -c {shlex.quote(path + within)}; or score what stands there: --text {shlex.quote(self.text)}"
            )

    def textless(self, row: Collection[str], column: str) -> bool:
        """Tell whether a column of a row holds something that is no text, as far as that can be seen."""
        return isinstance(row, dict) and not isinstance(row[column], (str, type(None)))

    @property
    def columns(self) -> list[str]:
        """The header; empty for formats without one."""
        return self.header or []

    @property
    def kept(self) -> list[int]:
        """The indices of the columns that are not ours."""
        return [i for i, name in enumerate(self.columns) if name not in self.ours]

    def prepare(self, stream: Stream) -> Place:
        """Look at the start of the source, find the columns, and return where the rows begin.

        Raises:
            DumpError: if the columns that were named, or a text column, are not among them.

        """
        return Place(bom_size(stream.peek(4), self.encoding), 1)

    def _size(self, lines: Sequence[bytes]) -> int:
        """Return how many bytes lines have, their ends included."""
        return sum(map(len, lines)) + len(lines) * len("\n".encode(self.encoding))

    def blocks(self, stream: Stream, start: Place) -> Iterator[Block]:
        """Yield the blocks of whole rows from ``start`` on, where the stream stands."""
        size = min(BLOCK, self.limit)
        held, at = b"", start
        while True:
            held += stream.read(size - len(held))
            final = len(held) < size
            if end := self.cut(held, final=final and not stream.damage):
                block = self._block(at, held[:end])
            elif not final and size < self.limit:
                size = self.limit  # the first row is longer than a block
                continue
            elif not held and not stream.damage:
                return
            elif final and stream.damage:
                block = self._block(at, held, stream.damage)._replace(fatal=True)
            else:
                block = self._cut_off(stream, at, held, final=final)
            yield block
            if block.fatal:
                return
            held = held[block.end.offset - at.offset :]
            at, size = block.end, min(BLOCK, self.limit)

    def _cut_off(self, stream: Stream, at: Place, held: bytes, *, final: bool) -> Block:
        """Return the first line of ``held`` as a block that cannot be read: the row that it begins does not end.

        Where that has become too much work, it is all lines of ``held``.
        """
        end = line_end(held, self.encoding)
        if end or final:
            if at.rescanned > PATIENCE * self.limit:  # for each line, all that is held would be gone through
                whole = held if final else held[: last_line_end(held, self.encoding)]
                return self._block(at, whole, "many records before this do not end")
            block = self._block(at, held[: end or len(held)], "a record that begins here does not end")
            return block._replace(end=block.end._replace(rescanned=at.rescanned + len(held)))
        skipped = len(held)
        while data := stream.peek(1 << 16):
            end = line_end(data, self.encoding)
            stream.skip(end or len(data))
            skipped += end or len(data)
            if end:
                break
        return Block(at, at._replace(offset=at.offset + skipped, line=at.line + 1, rescanned=0), held[:SHOWN], TOO_LONG)

    def cut(self, held: bytes, *, final: bool) -> int:
        """Return how many bytes of ``held`` are whole rows; ``final`` says that nothing follows."""
        return len(held) if final else last_line_end(held, self.encoding)

    def batch(self, block: Block) -> Batch:
        """Return the rows of a block."""
        batch = Batch()
        if block.problem:
            raw = block.data.decode(self.encoding, "backslashreplace").rstrip("\r\n")
            batch.rejects.append(Reject(block.start.line, block.start.offset, block.problem, raw))
        else:
            self.fill(batch, block)
        return batch

    def fill(self, batch: Batch, block: Block) -> None:
        """Add the rows of a block without a problem."""
        raise NotImplementedError

    def _block(self, at: Place, data: bytes, problem: str = "") -> Block:
        rescanned = max(0, at.rescanned - PATIENCE * len(data))
        return Block(at, Place(at.offset + len(data), at.line + self._lines(data), rescanned), data, problem)

    def _lines(self, data: bytes) -> int:
        return len(cut_lines(data, self.encoding)) - 1 if self.encoding.startswith("utf-16") else data.count(b"\n")

    @property
    def not_encoded(self) -> str:
        """The reason to reject bytes that cannot be decoded."""
        return f"not {self.encoding.upper()}"


def _holder(row: Collection[str]) -> str | None:
    """Return where a JSON object holds rows, as jq writes it, or none: arrays go before objects, errors behind all.

    Of several it is the one whose text has the likeliest name; of those without a text, an array alone.
    """
    found = itertools.islice(_objects(row, "", 0), MOST_OBJECTS) if isinstance(row, dict) else ()
    ranked = ((text_rank(inner), path) for path, inner in found)
    places = [(".err" in path, rank is None, "[]" not in path, rank or 0, path) for rank, path in ranked]
    _, textless, single, _, path = min(places, key=itemgetter(slice(4)), default=(True, True, True, 0, ""))
    return None if textless and single else path


def _objects(row: dict[str, Any], path: str, depth: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects within an object, of arrays the first, those further out before others; answers nest few."""
    inner = []
    for name, held in row.items() if depth < NESTED else ():
        plain = name.isidentifier() and name.isascii()
        place = f"{path}.{name if plain else json.dumps(name, ensure_ascii=False)}"
        rows = isinstance(held, list) and held
        value, place = (held[0], f"{place}[]") if rows else (held, place)
        if isinstance(value, dict):
            yield place, value
            inner.append((value, place))
    for value, place in inner:
        yield from _objects(value, place, depth + 1)


class Lines:
    """The lines of a block."""

    def __init__(self, block: Block, encoding: str) -> None:
        self._start = block.start
        self._encoding = encoding
        self.raw = cut_lines(block.data, encoding)
        if not self.raw[-1]:
            self.raw.pop()

    @cached_property
    def _offsets(self) -> list[int]:
        feed = len("\n".encode(self._encoding))
        return list(itertools.accumulate((len(line) + feed for line in self.raw), initial=self._start.offset))

    def reject(self, first: int, last: int, reason: str) -> Reject:
        """Return the reject for the lines from ``first`` to before ``last``."""
        data = "\n".encode(self._encoding).join(self.raw[first:last])
        raw = data.decode(self._encoding, "backslashreplace").strip("\r\n")
        return Reject(self._start.line + first, self._offsets[first], reason, raw)


@dataclass
class JsonLinesReader(Reader):
    """One JSON object a line."""

    name: ClassVar[str] = "jsonl"

    def prepare(self, stream: Stream) -> Place:
        """Find the columns in the rows of the first block that can be read."""
        start = super().prepare(stream)
        lines = cut_lines(stream.peek(min(BLOCK, self.limit))[start.offset :], self.encoding)
        rows = (self.parse(self._utf8(line) or b"")[0] for line in lines)
        self.find(row for row in rows if row is not None)
        return start

    def _utf8(self, line: bytes) -> bytes | None:
        """Return the line in UTF-8, without white space around it; ``None`` if it cannot be decoded."""
        try:
            text = line.decode(self.encoding)  # json would guess at UTF-16 and let surrogates pass
            return text.strip(" \t\r\n\v\f\ufeff").encode()
        except UnicodeError:
            return None

    @staticmethod
    def parse(raw: bytes) -> tuple[Any, str]:
        """Return the object that JSON in UTF-8 holds, or ``None`` and what is wrong with it."""
        try:
            row = loads(raw)
        except ValueError:  # orjson refuses some that Python takes: NaN, halves of surrogate pairs
            try:
                row = json.loads(raw.decode())
            except UnicodeDecodeError:
                return None, "not UTF-8"
            except RecursionError:
                return None, "nested too deeply"
            except ValueError as error:
                return None, f"not JSON{_behind(error)}"
        except RecursionError:
            return None, "nested too deeply"
        if not isinstance(row, dict):
            how = " but a text: jq '{text: .}' makes one of it" if isinstance(row, str) else ""
            how = " but a list: jq '.[]' takes it apart" if isinstance(row, list) else how
            return None, f"not a JSON object{how}"
        return (None, "nested too deeply") if too_deep(raw, row) else (row, "")

    def fill(self, batch: Batch, block: Block) -> None:
        """Add the rows: most of them by the short way, the rest by `_row`, which says the same of any row."""
        lines = Lines(block, self.encoding)
        for first in range(0, len(lines.raw), RUN):
            run = lines.raw[first : first + RUN]
            if self._plain(batch, run):
                continue
            for number, raw in enumerate(run, first):
                if reason := self._row(batch, raw, block.start.line + number):
                    batch.rejects.append(lines.reject(number, number + 1, reason))

    def _plain(self, batch: Batch, run: list[bytes]) -> bool:
        """Add a run of rows if there is nothing odd about any of them; return whether it was done.

        What is checked is checked for all of them together, without a loop.
        """
        if self.encoding != "utf-8" or self.by is not None:
            return False
        try:
            rows = list(map(loads, run))
            texts = list(map(itemgetter(self.text), rows))
        except (ValueError, TypeError, KeyError, RecursionError):
            return False
        plain = (
            set(map(type, texts)) == {str}
            and set(map(itemgetter(0), run)) == {BRACE}
            and set(map(itemgetter(-1), run)) == {CLOSING_BRACE}
            and self.ours.isdisjoint(itertools.chain.from_iterable(rows))
            and (max(map(len, run)) < 2 * DEPTH or not any(map(too_deep, run, rows)))
        )
        if plain:
            batch.texts += texts
            batch.raws += run
        return plain

    def _row(self, batch: Batch, line: bytes, number: int) -> str:
        """Add one row, or return what is wrong with it. A blank line is no row."""
        raw = self._utf8(line)
        if raw is None:
            return self.not_encoded
        if not raw:
            return ""
        row, problem = self.parse(raw)
        return problem or self.add(batch, row, raw, number)

    def add(self, batch: Batch, row: dict[str, Any], raw: bytes, number: int) -> str:
        """Add a parsed row, ``raw`` in one line, or return what is wrong with it."""
        column = self.text
        if column is None:  # the start of the source had no row that could be read
            column = next(iter(text_columns(row)), None)
        if column is None:
            return "no column looks like the text"
        text = row.get(column)
        if not isinstance(text, str):
            return _no_text(row, column)
        by = self.by or ""
        key = row.get(by) if by else None
        if key is not None and not isinstance(key, str):
            key = json.loads(raw)[by]  # orjson has no large integers
        if not self.ours.isdisjoint(row):
            raw = without(raw, self.ours)
        batch.texts.append(text)
        batch.raws.append(raw)
        if by:
            batch.keys.append(key_of(key))
            batch.lines.append(number)
        return ""


def _behind(error: ValueError) -> str:
    """Return what there is behind a JSON object that makes it none, if it is something that can be helped."""
    if not isinstance(error, json.JSONDecodeError) or error.msg != "Extra data":
        return ""
    rest = error.doc[error.pos :].strip()
    if rest == ",":
        return ": a comma stands behind it"
    return ": several in a line; jq -c . gives each its own" if rest.startswith("{") else ""


def _no_text(row: dict[str, Any], column: str) -> str:
    """Return why a row has no text in a column, and where it may be."""
    value = row.get(column)
    if value is None:
        others = [name for name in text_columns(row) if isinstance(row[name], str)]
        return f"{column!r} is missing" + (f", but {others[0]!r} is there" if others else "")
    how = ""
    if isinstance(value, dict) and (within := text_columns(value)):
        how = f": take {within[0]!r} out of it first, with jq say"
    elif isinstance(value, list):
        how = " but a list: join its parts first, with jq say"
    elif isinstance(value, dict) and value and all(map(str.isdecimal, value)):
        how = ": if pandas wrote it, orient='records', lines=True has one row a line"
    return f"{column!r} is not a text{how}"


def without(raw: bytes, names: Collection[str]) -> bytes:
    """Return a JSON object without the fields of these names; the others keep their every byte.

    >>> without(b'{"a": 1e400, "b": 1, "c":[1.10]}', {"b"})
    b'{"a": 1e400, "c":[1.10]}'

    """
    text, kept = raw.decode(), []
    at = _token(text, 1)
    while text[at] != "}":
        begin = at
        name, end = DECODER.raw_decode(text, at)
        _, end = DECODER.raw_decode(text, _token(text, end))
        if name not in names:
            kept.append(text[begin:end])
        at = _token(text, end)
    return f"{{{', '.join(kept)}}}".encode()


def _token(text: str, at: int) -> int:
    """Return where the next value or closing bracket of JSON begins."""
    while text[at] in " \t\r\n,:":
        at += 1
    return at


def dump_json(row: Any) -> bytes:
    """Return a row as JSON in one line of UTF-8; numbers that JSON does not have are null."""
    try:
        text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(row), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")  # half a surrogate pair has an escape of the same form in JSON


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def key_of(value: Any) -> str | None:
    """Return the name of a conversation: the value itself if it is a text."""
    if value is None or isinstance(value, str):
        return value or None
    return json.dumps(value, ensure_ascii=False)


def _brackets(raw: bytes) -> int:
    return raw.count(b"{") + raw.count(b"[")


def too_deep(raw: bytes, row: Any) -> bool:
    """Return whether JSON is nested deeper than `DEPTH`; looks closer only where it has brackets enough."""
    if _brackets(raw) <= DEPTH:
        return False
    level = [row]
    for _ in range(DEPTH):
        values = [value.values() if isinstance(value, dict) else value for value in level]
        level = [item for value in values for item in value if isinstance(item, (dict, list))]
    return bool(level)


def find_delimiter(line: str) -> str:
    """Return the delimiter that the first line of a table names, else the commonest of `DELIMITERS` in it.

    >>> find_delimiter("sep=#"), find_delimiter("id;text;a,b")
    ('#', ';')

    """
    named = NAMED.fullmatch(line)
    return named[1] if named else max(DELIMITERS, key=line.count)


@dataclass
class CsvReader(Reader):
    """Delimited values with a header, quoted as RFC 4180 says, or not at all."""

    name: ClassVar[str] = "csv"
    delimiter: str = ""
    escaped: bool = False
    """Whether quotes in quoted values have a backslash before them, as Spark writes them; `prepare` finds out."""

    def prepare(self, stream: Stream) -> Place:
        """Read the header; without a delimiter take the commonest candidate of its first line."""
        start = super().prepare(stream)
        head = stream.peek(start.offset + self.limit)[start.offset :]
        first = head[: line_end(head, self.encoding) or len(head)].decode(self.encoding, "replace")
        self.delimiter = self.delimiter or find_delimiter(first)
        lines = cut_lines(head, self.encoding)
        rows = self._rows(lines)
        try:
            if NAMED.fullmatch(first):
                next(rows)
            self.header = next(rows, [])
        except csv.Error as error:
            raise DumpError(f"{self.source} has no header that can be read: {error}") from None
        if not self.header:
            how = self._title(lines)
            raise DumpError(f"{self.source} has no header: the first line of CSV must be the names of its columns{how}")
        if len(head) == self.limit and rows.line_num == len(lines):
            raise DumpError(f"{self.source} has a header longer than --max-message")
        if self.text is None and is_row(self.header):
            how = "put a header before it, or name the text's column with --text"
            raise DumpError(f"{self.source} begins with a row, it seems: {how}")
        try:
            self.find([self.header])
        except DumpError as error:
            raise DumpError(f"{error}{self._title(lines)}") from None
        if '\\"' in (shown := head[:BLOCK]).decode(self.encoding, "replace"):
            sample = cut_lines(shown, self.encoding)
            wrong, self.escaped = self._wrong(sample), True
            self.escaped = self._wrong(sample) < wrong
        size = self._size(lines[: rows.line_num])
        return Place(start.offset + min(size, len(head)), 1 + rows.line_num)

    def _title(self, lines: Sequence[bytes]) -> str:
        """Return what to do if one of the lines behind the first is the header, which has a title above it."""
        for number, line in enumerate(lines[1 : 1 + TITLE], 2):
            fields = re.split(f"[{re.escape(DELIMITERS)}]", line.decode(self.encoding, "replace"))
            names = [field.strip('" \r') for field in fields]
            if self.text in names if self.text is not None else text_columns(names):
                return f"; line {number} looks like the header: delete the lines before it"
        return ""

    def _rows(self, lines: Iterable[bytes], **options: Any) -> Any:
        csv.field_size_limit(max(self.limit, csv.field_size_limit()))
        texts = (line.decode(self.encoding, "replace") + "\n" for line in lines)
        if self.escaped:
            texts = (ESCAPED.sub(lambda match: '""' if match[1] == '"' else match[0], text) for text in texts)
        return csv.reader(texts, delimiter=self.delimiter, **options)

    def _records(self, lines: Sequence[bytes], *, final: bool) -> Iterator[tuple[int, int, list[str], str]]:
        """Yield records: their first line, the one behind them, their values, and what is wrong with them.

        A quote at the start of a value that closes in the midst of one, lines later, is no quote but a message's own
        where these lines are records without it: the table knows no quoting, and what follows is not to be taken in.
        Neither are records to be one because the quote of a later message closes that of an earlier one.

        Args:
            lines: the lines; the first one begins a record.
            final: whether the last one ends a record. Else one that may go on behind it is left out.

        """
        padded = [*lines, b""]  # one line more, which an open quote takes too

        def reader(start: int, **options: Any) -> Any:  # without a copy: any line may be odd
            return self._rows(map(padded.__getitem__, range(start, len(padded))), **options)

        rows = reader(0, strict=True)
        begin = base = rescanned = plain = 0
        while begin < len(lines):
            problem = ""
            if plain and begin >= plain:
                plain, base, rows = 0, begin, reader(begin, strict=True)
            try:
                row = next(rows)
                end = base + rows.line_num
                if end <= len(lines):
                    self._refuse_records(padded[begin:end])
            except csv.Error:
                end = reach = base + rows.line_num
                alone = end > len(lines) or (end > begin + 1 and self._unquoted(padded[begin : begin + 2]))
                if end <= len(lines) or final:
                    rescanned += (end - begin) * alone
                    rows = reader(begin, quoting=csv.QUOTE_NONE if alone else csv.QUOTE_MINIMAL)
                    row, problem = _next(rows)
                    base, end = begin, begin + rows.line_num
                    if rescanned <= PATIENCE * len(padded):
                        base, rows = end, reader(end, strict=True)
                    else:  # the lines that were gone through in vain are not gone through again
                        plain = reach - 1
                if end > len(lines) and not final:
                    return
            yield begin, end, row, problem
            begin = end

    def _refuse_records(self, lines: Sequence[bytes]) -> None:
        """Raise ``csv.Error`` if each line of a record is one itself: with commas, texts of some lines may look so."""
        if len(lines) > 1 and self.delimiter != "," and len(self.columns) > 2 and self._unquoted(lines):
            raise csv.Error("each of its lines is a record")

    def _unquoted(self, lines: Sequence[bytes]) -> bool:
        """Return whether each of these lines is a record if quotes are characters like any other."""
        texts = (line.decode(self.encoding, "replace").rstrip("\r") for line in lines)
        delimiters = len(self.columns) - 1
        return delimiters > 0 and all(text.count(self.delimiter) == delimiters and "\r" not in text for text in texts)

    def _wrong(self, lines: Sequence[bytes]) -> int:
        """Return how many records are not as RFC 4180 says, or have not as many values as the header."""
        wrong, rows = 0, self._rows(lines, strict=True)
        while rows.line_num < len(lines):
            row, problem = _next(rows)
            wrong += bool(problem) or len(row) not in (0, len(self.columns))
        return wrong

    def cut(self, held: bytes, *, final: bool) -> int:
        """Cut after the last record that ends, which is at a line feed outside quotes."""
        whole = held if final else held[: last_line_end(held, self.encoding)]
        if b'"' not in whole:
            return len(whole)
        lines = cut_lines(whole, self.encoding)
        if not lines[-1]:
            lines.pop()
        end = max((end for _, end, _, _ in self._records(lines, final=False)), default=0)
        return len(whole) if end == len(lines) else self._size(lines[:end])

    def fill(self, batch: Batch, block: Block) -> None:
        """Add the records, empty lines left out."""
        lines = Lines(block, self.encoding)
        clean = _decodes(block.data, self.encoding)
        bad = [] if clean else [not _decodes(line, self.encoding) for line in lines.raw]
        at, width, kept = self.columns.index(self.text or ""), len(self.columns), self.kept
        key = self.columns.index(self.by) if self.by is not None else None
        for begin, end, row, wrong in self._records(lines.raw, final=True):
            problem = wrong
            if row and len(row) != width:
                ends = len(row) == width + 1 and not row[-1]
                how = ": put a delimiter behind the header too" if ends else ""
                problem = f"{len(row)} fields where the header has {width}{how}"
            elif row and row[at] == NULL:
                problem = f"{self.text!r} is missing"
            if bad and any(bad[begin:end]):
                problem = self.not_encoded
            if problem:
                batch.rejects.append(lines.reject(begin, end, problem))
            elif row:
                batch.texts.append(BREAK.sub(" ", row[at]) if self.delimiter == "\t" else row[at])
                batch.raws.append(row if len(kept) == width else [row[i] for i in kept])
                if key is not None:
                    batch.keys.append(row[key] if row[key] not in ("", NULL) else None)
                    batch.lines.append(block.start.line + begin)


def _next(rows: Any) -> tuple[list[str], str]:
    """Return the next record of a reader, or what is wrong with it."""
    try:
        return next(rows), ""
    except csv.Error as error:  # of a lone carriage return it speaks as if we had opened the file
        return [], "not CSV: a carriage return outside quotes" if "new-line" in str(error) else f"not CSV: {error}"


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


@dataclass
class LinesReader(Reader):
    """One message a line."""

    name: ClassVar[str] = "lines"
    tabular: bool = False
    """Whether they look like the rows of a table without a header; `prepare` finds out."""
    headed: bool = False
    """Whether a quarter have a time near their beginning or are a name alone, as chats have; it finds this as well."""

    def prepare(self, stream: Stream) -> Place:
        """Call the lines a column."""
        self.header = ["text"]
        self.find([self.header])
        lines = stream.peek(BLOCK).decode(self.encoding, "replace").splitlines()[:TABLE]
        counts = [{line.count(sign) for line in lines} for sign in "\t|;\x01"]
        even = len(lines) > 1 and any(len(count) == 1 and 0 not in count for count in counts)
        self.tabular = even or any(map(FRAMED.match, lines))
        heads = [CLOCK.search(line, 0, EARLY) or NAME.fullmatch(line) for line in lines if line.strip()]
        self.headed = 4 * sum(map(bool, heads)) >= max(len(heads), 5)
        return super().prepare(stream)

    def fill(self, batch: Batch, block: Block) -> None:
        """Add the lines, blank ones left out."""
        lines = Lines(block, self.encoding)
        for number, line in enumerate(lines.raw):
            try:
                text = line.decode(self.encoding).rstrip("\r")
            except UnicodeDecodeError:
                batch.rejects.append(lines.reject(number, number + 1, self.not_encoded))
                continue
            if text.strip():
                batch.texts.append(text)
                batch.raws.append([text])
                if self.by is not None:  # the text itself: there is no other column
                    batch.keys.append(text)
                    batch.lines.append(block.start.line + number)
