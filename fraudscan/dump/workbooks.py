"""Read Excel workbooks (``.xlsx``, ``.xlsm``) with openpyxl (the ``excel`` extra).

All sheets with a text column are read as one table, which has the columns of all of them. A sheet cannot be entered in
the middle: to resume at a place, the rows before it are read and skipped.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
import warnings
import zipfile
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from fraudscan.dump.jsontext import dump_json
from fraudscan.dump.readers import BLOCK, SAMPLE, SHOWN, TOO_LONG, Reader, key_of
from fraudscan.dump.rows import Batch, Block, DumpError, Place, Reject
from fraudscan.dump.sources import is_file
from fraudscan.dump.streams import Head
from fraudscan.dump.tables import ABOVE, HEADER_WITHIN, CsvReader
from fraudscan.dump.textcolumn import may_be_other

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fraudscan.dump.streams import Stream

__all__ = ["WorkbookReader"]

HEADED = 1 + max(SAMPLE, HEADER_WITHIN)
"""How many rows of a sheet are examined: the header, and those below it."""

ROW = 64
"""Assumed bytes of a row besides its values, so that a block does not have too many rows."""

MOST_ROWS = 1 << 20
"""The number of rows that a sheet of Excel has; a number beyond it would have openpyxl make up the rows before."""

LARGEST, TIMES_PACKED = 1 << 23, 100
"""A workbook that unpacks to more bytes, or more cells, than the first is refused if they are also that many times the
bytes of the file: openpyxl holds a row as objects, which take many times its bytes. Empty cells count up to the last
one of a row, and up to the width of the table: a row with one value in the last column has 16,384 of them."""

LARGEST_NUMBER = 1e21
"""Whole numbers beyond it are written with an exponent."""

HOW = "open it in Excel or WPS and save it as .xlsx without a password, or export the table as CSV"

BLANK = re.compile(r"\s+|[\0-\x1f]")
"""White space and control characters, line ends among them, which become blanks within the names of columns."""

UNCALCULATED = re.compile(
    rb"<((?:\w+:)?)c(?=[ >])(?![^<>]* t=[\"']str)[^<>]*>\s{0,99}<\1f\b[^<>]*>[^<]*</\1f>\s{0,99}"
    rb"(?:<\1v\s*/>|<\1v></\1v>)?\s{0,99}</\1c>"
)
"""A cell with a formula and no value, as programs write it that calculate nothing. The value of one of type ``str`` is
an empty text."""

STEP = 1 << 20
"""Bytes of a sheet that are searched for such cells at a time."""

LONGEST_CELL = 1 << 16
"""More bytes than such a cell has: a formula has up to 8,192 characters."""


def _openpyxl() -> Any:
    try:
        import openpyxl
        import openpyxl.utils.escape
    except ImportError:
        raise DumpError('Excel workbooks need openpyxl: pip install "fraudscan[excel]"') from None
    return openpyxl


class _DamageError(Exception):
    """A workbook cannot be read, or not any further."""


class Sheet(NamedTuple):
    """A sheet that is read.

    Attributes:
        name: its name.
        number: its place in the workbook, from 0.
        names: the header, with the letter of each column that has no name.
        places: for each of its columns, the index in the header of the whole workbook.
        text: the index of its text column.
        header: the row of its header; 0 if it has none.

    """

    name: str
    number: int
    names: list[str]
    places: list[int]
    text: int
    header: int


class _Row(NamedTuple):
    """A row of a sheet: its number there, its values up to the last one, its size in characters, what is wrong."""

    line: int
    values: list[Any]
    size: int
    problem: str


class _Start(NamedTuple):
    """The first rows of a sheet, with its name and its place in the workbook."""

    name: str
    number: int
    rows: list[_Row]


class _Table(NamedTuple):
    """A sheet that has a text column.

    Attributes:
        start: its first rows.
        reader: a reader of these rows, written as CSV, that has found the columns.
        header: the row of its header; 0 if it has none.
        counts: whether its text column was found by a name that may mean a count, and has no letters.

    """

    start: _Start
    reader: CsvReader
    header: int
    counts: bool


@dataclass
class _Cells:
    """Counts the cells of a workbook that are read, empty ones too, and refuses more than ``most``."""

    most: int
    count: int = 0

    def add(self, number: int) -> None:
        """Count more cells; raise an error for a damaged file if there are too many."""
        self.count += number
        if self.count > self.most:
            raise ValueError(f"it has more than {self.most:,} cells, most of them empty, as decompression bombs do")


@dataclass
class WorkbookReader(Reader):
    """Reads the sheets of a workbook that have a text column; the offset of a place is the number of a row."""

    name: ClassVar[str] = "xlsx"
    by_line: ClassVar[bool] = False
    sheets: list[Sheet] = field(default_factory=list)
    """The sheets to read; `prepare` finds them."""
    origin: str = ""
    """The column with the name of the sheet, if several are read."""

    def prepare(self, stream: Stream) -> Place:
        """Read the header of each sheet, by the rules for tables; leave out sheets that are none."""
        if stream.packed or not is_file(stream.source):
            raise DumpError(f"{stream.source}: workbooks are read from a plain file only; unpack or save it first")
        self.text, self.by, self.sender = (name and _name(name) for name in (self.text, self.by, self.sender))
        self.alternatives = list(map(_name, self.alternatives))
        tables: list[_Table] = []
        refused: list[tuple[_Start, DumpError]] = []
        most = HEADED + min(max(0, self.header_line or 0), MOST_ROWS)
        try:
            with _sheets(self.source) as (sheets, cells):
                for number, sheet in enumerate(sheets):
                    with _reading():
                        rows = list(itertools.islice(_rows(sheet, self.limit, cells), most))
                        start = _Start(sheet.title, number, rows)
                    try:
                        if rows:
                            tables.append(self._table(start, self.header_line))
                    except DumpError as error:
                        refused.append((start._replace(rows=rows[:HEADED]), error))
        except _DamageError as error:
            raise DumpError(f"{self.source} is no workbook that can be read: {error}; {HOW}") from None
        if refused and not tables:
            raise refused[0][1]
        tables = sorted([*tables, *self._headed_otherwise(refused)], key=attrgetter("start.number"))
        if count := _uncalculated(self.source):
            how = "open it in Excel or WPS and save it"
            self.doubts.append(f"has {count:,} formulas without a value, which are read as empty cells: {how}")
        if not all(may_be_other(table.reader.text or "") for table in tables):
            self.doubts += [
                f"has a sheet {table.start.name!r} that is left out: its column {table.reader.text!r} has no letters"
                for table in tables
                if table.counts
            ]
            tables = [table for table in tables if not table.counts]
        self._join(tables)
        self.find([self.columns])
        return Place(0, 1)

    def _headed_otherwise(self, refused: Sequence[tuple[_Start, DumpError]]) -> Iterator[_Table]:
        """Yield those sheets whose first row is the header, because they lack the title of the others.

        Record a doubt about each of the sheets, which were ``refused`` with the row that `header_line` names.
        """
        for start, problem in refused:
            table = None
            with contextlib.suppress(DumpError):
                table = self._table(start, None) if self.header_line and start.rows[1:] else None
            if table is None or table.counts:
                self.doubts.append(f"has a sheet {start.name!r} that is left out: {problem}")
            else:
                yield table
                why = f"row {self.header_line} seems to be none"
                self.doubts.append(f"has a sheet {start.name!r} whose first row is read as the header: {why}")

    def _table(self, start: _Start, header_line: int | None) -> _Table:
        """Return a sheet as a table whose header is in the row ``header_line``, which is as for readers of CSV."""
        rows = start.rows
        source, numbers = f"{self.source}, sheet {start.name!r}", [row.line for row in rows]
        if header_line and header_line not in numbers:
            raise DumpError(f"{source} has no header: row {header_line} is empty or not there")
        at = numbers.index(header_line) if header_line else 0
        if rows[at].problem and header_line != 0:
            raise DumpError(f"{source} has a header longer than --max-message")
        width = max(len(row.values) for row in (rows if header_line == 0 else [rows[at]]))
        written = io.StringIO()
        for row in rows:
            padded = [*row.values, *[None] * (width - len(row.values))]
            csv.writer(written, lineterminator="\n").writerow(map(_name, padded))
        reader = CsvReader(source, "utf-8", text=self.text, limit=len(written.getvalue()) * 4, ours=self.ours)
        reader.delimiter, reader.numbers = ",", numbers
        reader.header_line = header_line and 1 + at
        reader.prepare(Head(written.getvalue().encode()))
        header = 0 if header_line == 0 else numbers[at]
        counts = self.text is None and _is_count(reader, [row for row in rows if row.line > header])
        return _Table(start, reader, header, counts)

    def _join(self, tables: Sequence[_Table]) -> None:
        """Make one header from those of the sheets; columns of one name are one column."""
        places: dict[tuple[str, int], int] = {}  # by name and number: a sheet may have several columns of one name
        if len(tables) > 1:
            known = {name for table in tables for name in table.reader.columns}
            self.origin = "sheet"
            while self.origin in known:
                self.origin += "_"
            places[self.origin, 0] = 0
        for (name, number, _), reader, header, _ in tables:
            text = reader.columns.index(reader.text or "")
            names = [column or _letters(i) for i, column in enumerate(reader.columns)]
            numbers: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)
            own = [places.setdefault((column, next(numbers[column])), len(places)) for column in names]
            self.sheets.append(Sheet(name, number, names, own, text, header))
            self.doubts += [f"has a sheet {name!r} that {doubt}" for doubt in reader.doubts]
            if self.text is None:
                self.text, self.rivals = reader.text, reader.rivals
            elif reader.text != self.text or reader.rivals:
                others = f"; if it is in {', '.join(reader.rivals)}, name that with --text" if reader.rivals else ""
                self.doubts.append(f"has a sheet {name!r} whose text is taken from {reader.text!r}{others}")
        self.header = [column for column, _ in places]

    def blocks(self, stream: Stream, start: Place) -> Iterator[Block]:  # noqa: ARG002 - a ZIP archive has its list at its end
        """Yield blocks of rows of one sheet each."""
        done, line = 0, 1
        try:
            with _sheets(self.source) as (sheets, cells):
                for index, sheet in enumerate(self.sheets):
                    rows = _rows(sheets[sheet.number], self.limit, cells, len(self.columns))
                    below = (row for row in rows if row.line != sheet.header)
                    for block in _cut(below, min(BLOCK, self.limit), len(self.columns)):
                        left = block[max(start.offset - done, 0) :]
                        done, line = done + len(block), block[-1].line + 1
                        if left:
                            yield Block(Place(done - len(left), left[0].line), Place(done, line), (index, left))
        except _DamageError as error:
            if done >= start.offset:
                problem = f"the workbook cannot be read any further: {error}"
                yield Block(Place(done, line), Place(done + 1, line + 1), b"", problem, fatal=True)

    def sheet_of(self, block: Block) -> str:
        """Return the name of the sheet that the rows of a block come from."""
        sheet: Sheet = self.sheets[block.data[0]]
        return sheet.name

    def fill(self, batch: Batch, block: Block) -> None:
        """Add the rows. As in other tables, an empty cell is an empty text, and a number is the text that shows it."""
        index, rows = block.data
        sheet = self.sheets[index]
        width, kept = len(self.columns), self.kept
        origin = {self.origin: sheet.name} if self.origin else {}
        named = (name for name in (self.by, *self.alternatives) if name in (*origin, *sheet.names))
        by = next(named, self.by)  # sheets may have different columns for it
        key = self.columns.index(by) if by is not None else None
        for number, (line, values, _, wrong) in enumerate(rows):
            names = sheet.names if line > sheet.header else []
            problem = wrong or ("" if line > sheet.header else ABOVE)
            if not problem and len(values) > len(names):
                why = "header has no name: add one" if sheet.header else "first rows have none"
                problem = f"a value in column {_letters(len(values) - 1)}, where the {why}"
            elif not problem and sheet.header and _is_header(values, names):
                problem = "the header again"
            if problem:
                filled = [i for i, value in enumerate(values) if _text(value)]
                cells = {names[i] if i < len(names) else _letters(i): values[i] for i in filled}
                raw = dump_json({**origin, **cells}).decode()
                raw = raw[: SHOWN if problem == TOO_LONG else None]
                batch.rejects.append(Reject(line, block.start.offset + number, problem, raw))
                continue
            row = [None] * width
            for place, value in zip(sheet.places, values, strict=False):
                row[place] = value
            if self.origin:
                row[0] = sheet.name
            batch.texts.append(_text(values[sheet.text]) if sheet.text < len(values) else "")
            batch.lines.append(line)
            batch.raws.append(row if len(kept) == width else [row[i] for i in kept])
            if key is not None:
                batch.keys.append(key_of(row[key]))


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Let openpyxl read: hide its warnings, which are about what is not read here, and name its errors of any kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (DumpError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - damaged files raise nearly every kind of error
            cause = error.__cause__ or error
            raise _DamageError(str(cause).partition("\n")[0] or type(cause).__name__) from None


@contextlib.contextmanager
def _sheets(source: str) -> Iterator[tuple[list[Any], _Cells]]:
    """Open a workbook; yield its sheets with cells, hidden ones too, and a count of the cells that are read."""
    openpyxl = _openpyxl()
    with contextlib.ExitStack() as stack:
        with _reading():
            file = stack.enter_context(Path(source).open("rb"))  # by its name, openpyxl takes some endings only
            most = max(LARGEST, TIMES_PACKED * file.seek(0, io.SEEK_END))
            parts = _check(file, most)
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            stack.callback(book.close)
            sheets = book.worksheets
            if not sheets:
                raise ValueError("it has no sheet, or is in the format 'Strict Open XML'")
            if len(sheets) > parts:
                raise ValueError("it has sheets that are the same")
        yield sheets, _Cells(most)


def _check(file: Any, most: int) -> int:
    """Refuse an archive with a password or of more than ``most`` bytes by its list; return the number of its parts."""
    with zipfile.ZipFile(file) as archive:
        parts = archive.infolist()
    for part in parts:
        if part.flag_bits & 1:
            raise ValueError("it has a password")
        if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # others may take any memory
            raise ValueError("it is compressed in a way that Excel does not use")
    if (size := sum(part.file_size for part in parts)) > most:  # zipfile reads no more than that
        raise ValueError(f"it would unpack to {size:,} bytes, as decompression bombs do")
    return len(parts)


def _uncalculated(source: str) -> int:
    """Return how many cells of a workbook have a formula but no value, as far as it can be read."""
    count = 0
    with contextlib.suppress(Exception), zipfile.ZipFile(source) as archive:  # damage is reported when rows are read
        for name in archive.namelist():
            if "worksheets/" not in name:
                continue
            with archive.open(name) as part:
                before = b""
                while data := part.read(STEP):
                    held = before + data
                    if b"f>" in held:  # looking for cells is slower
                        count += sum(cell.end() > len(before) for cell in UNCALCULATED.finditer(held))
                    before = held[-LONGEST_CELL:]
    return count


def _rows(sheet: Any, limit: int, cells: _Cells, width: int = 0) -> Iterator[_Row]:
    """Yield the rows of a sheet that are not empty; ``width`` is that of the table, as far as it is known."""
    sheet.reset_dimensions()  # what a file says about them may be wrong
    for line, row in enumerate(sheet.iter_rows(values_only=True), 1):
        if line > MOST_ROWS:
            raise ValueError("a sheet has more rows than Excel")
        values = list(map(_value, row))
        while values and values[-1] is None:
            values.pop()
        cells.add(max(len(row), width if values else 0))
        if values:
            texts = list(map(_text, values))
            size = sum(map(len, texts))
            if 4 * size > limit and sum(len(text.encode()) for text in texts) > limit:
                yield _Row(line, [text[:SHOWN] for text in texts[:SHOWN]], SHOWN, TOO_LONG)
            else:
                yield _Row(line, values, size, "")


def _value(value: Any) -> Any:
    """Return the value of a cell as a text or number, whole numbers without a point; ``None`` if it is empty.

    >>> _value(6.22202123456789e18), _value(100.0), _value(0.1), _value(True)
    (6222021234567890000, 100, 0.1, 'TRUE')
    >>> _value(datetime(2026, 1, 5)), _value(datetime(2026, 1, 5, 8, 30)), _value(time(12))
    ('2026-01-05', '2026-01-05T08:30:00', '12:00:00')

    """
    if isinstance(value, str):
        return _unescaped(value) if "_x" in value else value or None
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_NUMBER:
        return int(Decimal(repr(value)))
    if value is None or isinstance(value, int) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, datetime) and value.time() == time.min:  # openpyxl gives a date like that
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


def _unescaped(text: str) -> str:
    r"""Return a text with the characters that XML cannot hold, such as the carriage return before a line feed.

    >>> _unescaped("a_x000D_"), _unescaped("_xD83D__xDE00_"), ascii(_unescaped("_xD83D_"))
    ('a\r', '😀', "'\\ufffd'")

    """
    found: str = _openpyxl().utils.escape.unescape(text)
    return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _cut(rows: Iterator[_Row], size: int, width: int) -> Iterator[list[_Row]]:
    """Yield the rows of a table of ``width`` columns in blocks of about ``size`` characters; a cell counts as one.

    Raises:
        _DamageError: if the table cannot be read any further, after the rows before that.

    """
    while True:
        block: list[_Row] = []
        held, damage = 0, None
        try:
            with _reading():
                for row in rows:
                    block.append(row)
                    held += row.size + max(len(row.values), width) + ROW
                    if held >= size:
                        break
        except _DamageError as error:
            damage = error
        if block:
            yield block
        if damage:
            raise damage
        if not block:
            return


def _is_count(table: CsvReader, rows: Sequence[_Row]) -> bool:
    """Return whether the text column of a sheet, which has ``rows`` below its header, seems to hold counts.

    Its name is ambiguous then, and it has no letters.
    """
    at = table.columns.index(table.text or "")
    values = (_text(row.values[at]) for row in rows if at < len(row.values))
    return may_be_other(table.columns[at]) and not any(map(str.isalpha, "".join(values)))


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else str(value)


def _name(value: Any) -> str:
    return BLANK.sub(" ", _text(value)).strip()


def _is_header(values: Sequence[Any], names: Sequence[str]) -> bool:
    """Return whether a row repeats a header of several columns, as in tables that were joined."""
    repeats = len(values) == len(names) > 1 and _name(values[-1]) == names[-1]
    return repeats and list(map(_name, values)) == list(names)


def _letters(column: int) -> str:
    """Return the letters by which Excel calls a column, which is counted from 0 here.

    >>> _letters(0), _letters(27)
    ('A', 'AB')

    """
    letters = ""
    while column >= 0:
        letters = chr(ord("A") + column % 26) + letters
        column = column // 26 - 1
    return letters
