"""Writers: the input rows unchanged, followed by our columns.

A writer turns a batch into bytes and keeps no state between batches, so that batches
can be encoded anywhere and joined in order.
"""

from __future__ import annotations

import csv
import functools
import io
import itertools
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fraudscan import kernel
from fraudscan.columns import COLUMNS, EACH, columns_of
from fraudscan.decisions import STEPS, cut, steps_of
from fraudscan.dump.jsontext import Number, dump_json, dump_written, parse_written
from fraudscan.dump.output import format_of
from fraudscan.dump.parquet import ParquetReader, arrow_stream, empty_stream
from fraudscan.dump.rows import DumpError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fraudscan.columns import Column
    from fraudscan.decisions import Decisions
    from fraudscan.dump.job import Options
    from fraudscan.dump.readers import Reader
    from fraudscan.dump.rows import Batch
    from fraudscan.model import Scanner

__all__ = ["OTHER_FIELDS", "Writer", "make_writer"]

OTHER_FIELDS = "other_fields"
"""The column of tables that holds, as JSON, fields that were not known when the columns were chosen. Underscores are
appended if the dump already has a column of this name, from an earlier run for example."""

MOST_COLUMNS = 1000
"""Maximum number of columns that a table takes from rows that may each have different fields."""

SIGN, NUMBER = r"[=+\-@＝＋－＠﹦﹢﹣﹫]", r"[+-]?\d+(?:\.\d+)?"
BLANK = r" \0\v\f\x1c-\x1f\x85\xa0\u1680\u2000-\u200f\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
FORMULA = re.compile(
    rf"\A[{BLANK}]*(?=[\t\r\n]|{SIGN})(?!{NUMBER}\Z)|[,;|\t\r\n]\"*(?={SIGN})(?!{NUMBER}(?:[,;\t\r\n\"]|\Z))"
)
"""Finds where text begins that a spreadsheet may take for a formula. The list is OWASP's ("CSV injection"), with the
full-width and small signs that matter in Chinese input, and blanks at the start, which spreadsheets may drop. It looks
within cells too: a spreadsheet that expects another delimiter ends a cell there, and at a line end, because it does not
see the quotes then. Blanks after delimiters within cells do not count, because nested JSON has them before numbers."""

ESCAPE = None if sys.version_info >= (3, 11) else '"'
"""The escape character of CSV. Without one, Python 3.10 uses NUL as the escape character and refuses to write a NUL.
With the quote as the escape character, each quote is doubled, as it is without one."""


@dataclass
class Writer:
    """Encodes batches as output.

    Args:
        proba: the columns of ``--proba``, in the order of the scanner's names; empty without that option.
        ours: our other columns.

    """

    name: ClassVar[str]
    joins: ClassVar[bool] = True
    """Whether the output is the same however blocks are grouped."""
    proba: tuple[str, ...] = ()
    ours: dict[str, Column] = field(default_factory=lambda: dict(COLUMNS))

    def head(self) -> bytes:
        """Return the bytes before the first row."""
        return b""

    def check(self, reader: Reader) -> None:
        """Refuse a source whose rows cannot be written, as if two columns have one name, which only CSV can hold."""
        if twice := [name for name, count in Counter(reader.columns).items() if count > 1]:
            how = "which only CSV can hold: write a .csv file"
            raise DumpError(f"{reader.source} has two columns called {twice[0]!r}, {how}")

    def encode(self, reader: Reader, batch: Batch, found: Decisions) -> bytes:
        """Return the rows of a batch."""
        raise NotImplementedError


@dataclass
class JsonLinesWriter(Writer):
    """JSON lines; lists stay lists."""

    name: ClassVar[str] = "jsonl"

    def encode(self, reader: Reader, batch: Batch, found: Decisions) -> bytes:
        """Return the rows: the input fields unchanged, followed by ours, which have few different values."""
        raws = reader.rows(batch)
        if reader.header is not None:
            header = reader.kept_columns
            raws = [dump_json(dict(zip(header, raw, strict=True))) for raw in raws]
        different, places = found.outcomes
        columns = tuple((name, column) for name, column in self.ours.items() if name not in EACH)
        shared = (getattr(different, column.attribute) for _, column in columns if column.kind is not float)
        parts = tuple(_parts(columns, outcome) for outcome in zip(*shared, strict=True))
        own = ((name, getattr(found, column.attribute)) for name, column in self.ours.items() if name in EACH)
        ends = list(map(b"".join, zip(*([_field(name, x) for x in values] for name, values in own), strict=True)))
        names = tuple(map(_field, self.proba))
        scores = [getattr(found, column.attribute) for _, column in columns if column.kind is float]
        steps = steps_of(np.column_stack([*scores, found.probabilities[:, : len(names)]]))
        if kernel.compiled:
            millionths = steps.astype(np.int64)
            data: bytes = kernel.compiled.splice(raws, places, parts, millionths, ends, names)
            return data
        # the repr of one list formats all numbers together, in half the time
        numbers = iter(repr((steps / STEPS).ravel().tolist())[1:-1].encode().split(b", "))
        lines: list[bytes] = []
        for raw, place, end in zip(raws, places.tolist(), ends or itertools.repeat(b""), strict=False):
            *befores, last = parts[place]
            lines.append(raw[:-1].rstrip())
            for before in befores:
                lines += (before, next(numbers))
            lines += (last, end)
            for name in names:
                lines += (name, next(numbers))
            lines.append(b"}\n")
        return b"".join(lines)


@functools.lru_cache(1 << 12)  # most outcomes of a batch also occur in the previous one
def _parts(columns: tuple[tuple[str, Column], ...], outcome: tuple[Any, ...]) -> tuple[bytes, ...]:
    """Return the JSON of our columns: the part before each number, and the rest."""
    values, parts = iter(outcome), [b""]
    for name, column in columns:
        if column.kind is float:
            parts[-1] += _field(name)
            parts.append(b"")
        else:
            parts[-1] += _field(name, next(values))
    return tuple(parts)


def _field(column: str, *value: Any) -> bytes:
    """Return the JSON of a field, which follows others; without a value, up to where its value begins."""
    return b", %b: %b" % (dump_json(column), b"".join(map(dump_json, value)))


@dataclass
class TableWriter(Writer):
    """Base class for formats in which all rows have the same columns.

    Args:
        columns: the columns of the input.
        rest: the column for the fields that are not in ``columns``, as JSON; empty if there can be no such fields.

    """

    columns: list[str] = field(default_factory=list)
    rest: str = ""

    def check(self, reader: Reader) -> None:
        """Refuse a source whose header differs from that of the file, or whose text would be hidden in ``rest``."""
        if self.rest:
            if reader.text is not None and reader.text not in self.columns:
                raise DumpError(
                    f"{reader.source} has its text in {reader.text!r}, which the first source lacks: it would go into "
                    f"{self.rest!r}, where nobody looks for it; score this source separately, or write a .jsonl file"
                )
            return
        if reader.header is None:
            raise DumpError(
                f"{reader.source} has no header, and its rows may have any fields: name it before the sources that "
                "have a header, or write a .jsonl file"
            )
        columns = reader.kept_columns
        same = sorted(columns) == sorted(self.columns) and len(set(columns)) == len(columns)
        if columns != self.columns and not same:
            lacks = [name for name in self.columns if name not in columns]
            more = [name for name in columns if name not in self.columns]
            what = "the columns of the first source in another order, some with the same name"
            if lacks or more:
                how = f"lacks {lacks[0]!r}" if lacks else f"also has {more[0]!r}"
                what = f"other columns than the first source: it {how}"
            raise DumpError(f"{reader.source} has {what}; score it separately, or write a .jsonl file")

    def all_columns(self) -> list[str]:
        """Return the columns that come before ours."""
        return [*self.columns, self.rest] if self.rest else self.columns

    def rows(self, reader: Reader, batch: Batch) -> Iterable[Any]:
        """Return the rows of a batch; the values of formats with a header are in the order of ``columns``."""
        rows, names = reader.rows(batch), reader.kept_columns
        if self.rest or names == self.columns:
            return rows
        return map(itemgetter(*map(names.index, self.columns)), rows)

    def row(self, reader: Reader, raw: Any) -> Sequence[Any]:
        """Return a row's values for `all_columns`."""
        if not self.rest:
            return raw  # type: ignore[no-any-return]
        fields = reader.as_dict(raw)
        values = [fields.pop(name, None) for name in self.columns]
        return [*values, dump_json(fields).decode() if fields else None]

    def added(self, found: Decisions) -> dict[str, Sequence[Any]]:
        """Return our columns; probabilities are truncated."""
        columns = {name: getattr(found, column.attribute) for name, column in self.ours.items()}
        columns |= zip(self.proba, found.probabilities.T, strict=bool(self.proba))
        return {name: cut(values) if isinstance(values, np.ndarray) else values for name, values in columns.items()}


def _safe(row: Iterable[Any]) -> list[Any]:
    return [FORMULA.sub(r"\g<0>'", x) if type(x) is str else x for x in row]


@dataclass
class CsvWriter(TableWriter):
    """Delimited values; lists are joined by ``|``.

    Args:
        delimiter: one character.
        bom: whether the file begins with a byte order mark, without which Excel assumes another encoding.
        safe: whether an apostrophe is put before text that a spreadsheet would take for a formula, within cells too.

    """

    name: ClassVar[str] = "csv"
    delimiter: str = ","
    bom: bool = False
    safe: bool = False

    def head(self) -> bytes:
        """Return the header."""
        header = [*self.all_columns(), *self.ours, *self.proba]
        return (b"\xef\xbb\xbf" if self.bom else b"") + self._lines([header])

    def encode(self, reader: Reader, batch: Batch, found: Decisions) -> bytes:
        """Return the rows."""
        ours = self.added(found)
        ours |= {name: list(map("|".join, ours[name])) for name, column in self.ours.items() if column.kind is list}
        row = self._written if reader.header is None else self.row
        rows = (map(_cell, row(reader, raw)) for raw in self.rows(reader, batch))
        return self._lines([*row, *tail] for row, tail in zip(rows, zip(*ours.values(), strict=True), strict=True))

    def _written(self, _: Reader, raw: bytes) -> list[Any]:
        """Return a JSON row's values for `all_columns`, with numbers as they are written."""
        fields = parse_written(raw)
        values = [fields.pop(name, None) for name in self.columns]
        values = [dump_written(x) if type(x) in (bool, dict, list) else x for x in values]
        return [*values, dump_written(fields) if fields else None]

    def _lines(self, rows: Iterable[Sequence[Any]]) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text, delimiter=self.delimiter, escapechar=ESCAPE)
        writer.writerows(map(_safe, rows) if self.safe else rows)
        return text.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: Any) -> Any:
    """Return a value that CSV can hold: anything that is neither text, a number nor ``None`` becomes JSON."""
    return value if value is None or type(value) in (str, Number, int, float) else dump_json(value).decode()


@dataclass
class ParquetWriter(TableWriter):
    """Blocks of a Parquet file, which `parquet.assemble` joins.

    Args:
        kinds: the Arrow types of the columns of Parquet sources, by name.

    """

    name: ClassVar[str] = "parquet"
    joins: ClassVar[bool] = False  # the rows of each task get types of their own
    kinds: dict[str, Any] = field(default_factory=dict)

    def head(self) -> bytes:
        """Return a block without rows."""
        columns: dict[str, type | None] = dict.fromkeys(self.all_columns())
        columns |= {name: column.kind for name, column in self.ours.items()}
        return empty_stream(self.kinds, columns | dict.fromkeys(self.proba, float))

    def check(self, reader: Reader) -> None:
        """Refuse two columns with the same name; note the types of a Parquet source."""
        Writer.check(self, reader)
        super().check(reader)
        if isinstance(reader, ParquetReader) and not self.rest:
            self.kinds |= reader.kinds

    def encode(self, reader: Reader, batch: Batch, found: Decisions) -> bytes:
        """Return the rows as one Arrow stream."""
        if not batch.texts:
            return b""
        columns: dict[str, Sequence[Any]] = {}
        table = None
        if isinstance(reader, ParquetReader) and not self.rest:
            table = batch.raws.select(self.columns)
        else:
            values = zip(*(self.row(reader, raw) for raw in self.rows(reader, batch)), strict=True)
            columns = dict(zip(self.all_columns(), values, strict=True))
        return arrow_stream(columns | self.added(found), table)


def make_writer(target: str, reader: Reader, first: Sequence[str], scanner: Scanner, options: Options) -> Writer:
    """Return the writer for the ending of ``target``. Without a known ending, CSV gives CSV, all else gives JSON lines.

    Args:
        target: the file to write.
        reader: the reader of the first source.
        first: the fields of the first rows of that source, if it has no header.
        scanner: the scanner of the job.
        options: the options of the job; formats other than CSV ignore those for it.

    """
    proba = tuple(f"fraud_p_{name}" for name in scanner.names if options.proba)
    ours = columns_of(scanner, filenames=options.filenames, explain=options.explain)
    kind = format_of(target) or ("csv" if reader.name == "csv" else "jsonl")
    if kind == "jsonl":
        return JsonLinesWriter(proba, ours)
    columns, rest = reader.kept_columns, ""
    if reader.header is None:
        columns, rest = list(first[:MOST_COLUMNS]), OTHER_FIELDS
        if reader.text is not None and reader.text not in columns:
            columns.append(reader.text)
        while rest in columns:
            rest += "_"
    if kind == "parquet":
        return ParquetWriter(proba, ours, columns, rest)
    delimiter = "\t" if target.lower().endswith(".tsv") else getattr(reader, "delimiter", ",")
    return CsvWriter(proba, ours, columns, rest, delimiter, options.bom, options.safe_csv)
