"""Readers of tables with delimiters (CSV) and of plain lines."""

from __future__ import annotations

import contextlib
import csv
import itertools
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from fraudscan.dump.encodings import cut_lines, decodes, last_line_end
from fraudscan.dump.readers import BLOCK, PATIENCE, SAMPLE, Lines, Reader
from fraudscan.dump.rows import Batch, Block, DumpError, Place
from fraudscan.dump.textcolumn import is_header_below, is_number, is_row, is_text_column, text_columns
from fraudscan.show import quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fraudscan.dump.streams import Stream

__all__ = [
    "ABOVE",
    "DELIMITERS",
    "HEADER_WITHIN",
    "NAMED",
    "NO_DELIMITER",
    "NULL",
    "CsvReader",
    "LinesReader",
    "delimiter_of_rows",
    "find_delimiter",
    "is_even",
]

ABOVE = "above the header"

FRAMED = re.compile(r"Row: \d+ _id=|\+-{3}[-+]*\+?\s*$|\*{9,} +\d+\. row \*{9,}|-\[ RECORD \d+ \]")
"""Matches the start of a line printed by Android's ``content query``, the frame lines of tables that databases print,
and the lines between the rows that they print one value per line (``\\G`` in MySQL, ``\\x`` in PostgreSQL)."""

CLOCK = re.compile(r"(?<!\d)\d{1,2}[:：]\d{2}(?!\d)")
CLOCK_WITHIN = 60
"""A time of day. Within the first `CLOCK_WITHIN` characters of a line it suggests a chat: the sender's name follows or
precedes it."""

NAME_LINE = re.compile(r"\s*\S.{0,30}[:：]\s*")
"""A line that holds only the sender's name for the lines that follow, as in text copied from WeChat's windows."""

AS_TABLE = "add --format csv, and --header-line with the line of its header, or 0 if it has none"

MOST_LINES = 1000
"""How many lines of a table are examined to decide whether it uses quoting."""

HEADER_WITHIN = 20
"""How many lines after the first one, which may be a title, are searched for the header of a table."""

DELIMITERS = ",;\t|^~\x01"
NO_DELIMITER = "\ufdd0"
"""Stands for the delimiter of tables of one column. Texts hardly ever contain it, because Unicode reserves it as a
noncharacter."""

ESCAPED = re.compile(r'\\([\\"])')
"""A backslash and the quote or backslash that it escapes. An escaped backslash does not escape a quote after it."""

NULL = r"\N"
"""What databases write for a missing value."""

PADDED = re.compile('\t"?,')
"""A tab that pads the value before a comma."""

NAMED = re.compile(r'"?sep=([^"\0\r\n])"?\s*', re.IGNORECASE)
"""The line before the header that tells Excel the delimiter."""


def find_delimiter(line: str) -> str:
    r"""Return the delimiter that the first line of a table names, else the most frequent of `DELIMITERS` in it.

    Tabs before commas do not count: banks put one at the end of each value, so that Excel shows all digits of numbers.

    >>> find_delimiter("sep=#"), find_delimiter("id;text;a,b"), find_delimiter("时间\t,内容\t,备注\t")
    ('#', ';', ',')

    """
    named = NAMED.fullmatch(line)
    return named[1] if named else max(DELIMITERS, key=PADDED.sub(",", line).count)


def delimiter_of_rows(lines: Sequence[str]) -> str:
    r"""Return the delimiter that most rows have equally often; messages in them may have other signs.

    If no sign is in half of the rows equally often, it is one that messages do not have.

    >>> delimiter_of_rows(["1;Hi, at 6, ok", "2;b"]), delimiter_of_rows(["你好, 在吗", "在"])
    (';', '\x01')

    """
    bare = [re.sub('"[^"]*"', "", line) for line in lines]

    def rows(sign: str) -> int:
        counts = Counter(line.count(sign) for line in bare)
        del counts[0]
        return max(counts.values(), default=0)

    found = max(DELIMITERS, key=rows)
    return found if 2 * rows(found) > len(lines) else DELIMITERS[-1]


def is_even(lines: Sequence[str], signs: str = DELIMITERS) -> bool:
    """Return whether one of ``signs`` occurs in all lines, and equally often, as delimiters do.

    >>> is_even(["1|a", "2|b"]), is_even(["1|a", "b"])
    (True, False)

    """
    counts = [{line.count(sign) for line in lines} for sign in signs]
    return any(len(count) == 1 and 0 not in count for count in counts)


@dataclass
class CsvReader(Reader):
    """Delimited values with a header, quoted according to RFC 4180 or not at all.

    `prepare` sets the fields that describe the table.
    """

    name: ClassVar[str] = "csv"
    delimiter: str = ""
    escaped: bool = False
    """Whether quotes in quoted values are escaped with a backslash, as Spark writes them."""
    quoted: bool = False
    """Whether the program that wrote the table puts quotes around values that need them."""
    spaced: bool = False
    """Whether blanks after delimiters are no part of values. This is assumed if the header has quotes after them."""
    single: bool = False
    """Whether the table has one column, so that delimiters are text."""
    ends: bool = False
    """Whether records, but not the header, have a delimiter at the end."""
    numbers: Sequence[int] = ()
    """The numbers of the first lines for the user, if the table was taken from a sheet with empty rows."""
    body: Place = field(default=Place(0, 1))
    """Where the rows below the header begin."""

    def prepare(self, stream: Stream) -> Place:
        """Read the header and examine the first rows.

        The lines above the header that a user names are read too, to be rejected.
        """
        start = self.body = super().prepare(stream)
        head = stream.peek(start.offset + self.limit)[start.offset :]
        if not head:
            self.delimiter, self.header, self.rowless = self.delimiter or DELIMITERS[0], [], True
            return start
        lines, whole = cut_lines(head, self.encoding), len(head) < self.limit
        at = self._header_at(lines, whole=whole)
        end = self._read_header(lines, at, whole=whole)
        below = self._sample(lines[end:])
        guessed = self.text is None and self.header_line is None
        try:
            self.find([self.columns], sample=[dict(zip(self.columns, row, strict=False)) for row in below])
        except DumpError as error:
            raise DumpError(f"{error}{self._header_hint(lines, at)}") from None
        if guessed:
            self._examine_title(below, end)
        shown = head[:BLOCK].decode(self.encoding, "replace")
        sample = cut_lines(head[:BLOCK], self.encoding) if '"' in shown else []
        if '\\"' in shown:
            wrong, self.escaped = self._count_wrong(sample[at:]), True
            self.escaped = self._count_wrong(sample[at:]) < wrong
        many = self.delimiter != "," and len(self.columns) > 2
        self.quoted = self.quoted or (many and self._needs_quotes(sample[end : end + MOST_LINES]))
        self._examine_ends(list(filter(None, below)), lines[end : end + SAMPLE])
        self.body = Place(start.offset + min(self._size(lines[:end]), len(head)), 1 + end)
        return start if (self.header_line or 0) > 1 else self.body

    def _header_at(self, lines: Sequence[bytes], *, whole: bool) -> int:
        """Return the index of the line at which the header begins, or the first row if there is no header.

        If no delimiter was given, find it in that line, or in the first line if that names it. ``whole`` is whether
        ``lines`` are all there are.
        """
        at = (self.header_line or 1) - 1
        if self.header_line == 0:
            at = next((index for index, line in enumerate(lines) if line.strip(b"\0\r")), 0)
        if at and not any(lines[at:]):
            why = "is not in it" if whole else "is beyond --max-message"
            raise DumpError(f"{self.source} has no header: line {self.header_line}, given by --header-line, {why}")
        first, own = (lines[index].decode(self.encoding, "replace") for index in (0, at))
        if self.header_line == 0 and not NAMED.fullmatch(own):
            rows = [line.decode(self.encoding, "replace") for line in lines[at : at + SAMPLE]]
            self.delimiter = self.delimiter or delimiter_of_rows(list(filter(str.strip, rows)))
        self.delimiter = self.delimiter or find_delimiter(first if NAMED.fullmatch(first) else own)
        return at + bool(NAMED.fullmatch(own))

    def _read_header(self, lines: Sequence[bytes], at: int, *, whole: bool) -> int:
        """Read the header, which begins at the line with the index ``at``; return that of the line below it."""
        names, _ = _next(self._rows([*lines[at : at + 1], b""], quoting=csv.QUOTE_NONE))
        self.spaced = any(re.match(' +"', name) for name in names)
        rows = self._rows(itertools.islice(lines, at, None))
        try:
            header: list[str] = next(rows if self.header_line != 0 else filter(None, rows), [])
        except csv.Error as error:
            how = "remove it, or add --format lines if this is no table"
            raise DumpError(f"{self.source} has a header that is {_fault(error)}; {how}") from None
        if not header and self.header_line == 0:
            raise DumpError(f"{self.source} has no rows: all of its lines are empty")
        if not header:
            how = f"line {at + 1} must be the names of its columns, but is empty{self._header_hint(lines, at)}"
            raise DumpError(f"{self.source} has no header: {how}")
        end = at + int(rows.line_num)
        if not whole and end == len(lines):
            raise DumpError(f"{self.source} has a header longer than --max-message")
        if self.text is None and self.header_line is None and is_row(header):
            how = "add --header-line 0, or, if it is a header, name the text column with --text"
            raise DumpError(f"{self.source} seems to begin with a row, not a header: {how}")
        names, _ = _next(self._rows(lines[end - 1 : end], quoting=csv.QUOTE_NONE))  # the last line of the header
        self.quoted = all(len(name) > 1 and name[0] == name[-1] == '"' for name in map(str.strip, names))
        if self.header_line == 0:
            header, end = [str(number) for number in range(1, len(header) + 1)], at
        self.header = header
        named = self.text, self.by, self.sender
        self.text, self.by, self.sender = (name if name is None else self._spelled(name) for name in named)
        self.alternatives = list(map(self._spelled, self.alternatives))
        return end

    def blocks(self, stream: Stream, start: Place) -> Iterator[Block]:
        """Yield the lines above the header, with the header, as the first block."""
        if start.offset < self.body.offset:
            yield Block(start, self.body, stream.read(self.body.offset - start.offset))
        yield from super().blocks(stream, max(start, self.body))

    def _spelled(self, name: str) -> str:
        """Return a column's name as the header spells it, with the blanks around it."""
        found = [column for column in self.columns if column.strip() == name.strip()]
        return found[0] if len(found) == 1 else name

    def _examine_ends(self, below: Sequence[list[str]], lines: Sequence[bytes]) -> None:
        """See whether records end with one delimiter more than the header, or have delimiters as text.

        ``below`` are the first records, and ``lines`` the first lines, after the header.
        """
        width, at = len(self.columns), self.columns.index(self.text or "")
        longer = sum(len(row) == width + 1 and not row[-1] for row in below)
        shifted = _count_letters(below, at + 1) > _count_letters(below, at)  # it is the first column that has no name
        self.ends = longer > max(1, 0.9 * len(below)) and not shifted
        if self.ends:
            self.doubts.append("has a delimiter at the end of its rows, but not of its header; it is ignored")
        elif width == 1 and not self.numbers:  # cells of a sheet need no delimiters
            texts = [line.decode(self.encoding, "replace") for line in lines if line.strip()]
            self.single = not is_even(texts)
            if self.single and any(self.delimiter in text for text in texts):
                self.doubts.append(f"has one column; {self.delimiter!r} in its rows is read as text")

    def _sample(self, lines: Iterable[bytes], **options: Any) -> list[list[str]]:
        """Return the first records, up to one that is malformed."""
        sample: list[list[str]] = []
        with contextlib.suppress(csv.Error):  # it is reported when the record is read
            sample.extend(itertools.islice(self._rows(lines, **options), SAMPLE))
        return sample

    def _examine_title(self, below: Sequence[list[str]], end: int) -> None:
        """Refuse a header that seems to be a title above the header; if it names every column, only record a doubt.

        The cells of a title are often merged; all of a merged cell but the first is written as empty cells. ``below``
        are the records below the apparent header, from the line with the index ``end`` on.
        """
        empty = next((at for at, row in enumerate(below) if row), len(below))  # an empty record is one line
        second, *rest = below[empty:] or [[]]
        if not is_header_below(self.columns, second) or not self._is_above_text(second, rest):
            return
        doubt = f"seems to begin with a title; {self._looks_like_header(end + 1 + empty)}"
        if "" in self.columns and all(second):
            how = f"or score it as it is: --text {quoted(self.text or '')}"
            raise DumpError(f"{self.source} {doubt}, {how}")
        self.doubts.append(doubt)

    def _is_above_text(self, row: list[str], below: Sequence[list[str]]) -> bool:
        """Return whether the cell of ``row`` that names the text has more text below it than the text column has.

        It is a value otherwise: the type of a message is often ``text`` or 文字. Equal values of a column count once.
        """
        at, named = self.columns.index(self.text or ""), row.index(text_columns(list(filter(is_text_column, row)))[0])
        return at == named or _count_letters(below, named) > _count_letters(below, at)

    def _header_hint(self, lines: Sequence[bytes], at: int) -> str:
        """Return what to do if another line than the one at the index ``at`` is the header; else an empty string.

        The header names the column with the most text, and none of its names is a number or a time. The title may lack
        the delimiter.
        """
        for number in range(min(len(lines), 1 + HEADER_WITHIN)):
            if number == at:
                continue
            delimiter = find_delimiter(lines[number].decode(self.encoding, "replace"))
            header, *below = self._sample(lines[number : number + SAMPLE], delimiter=delimiter) or [[]]
            names = list(map(str.strip, header))
            found = text_columns(names) if self.text is None else [name for name in names if name == self.text]
            letters = [_count_letters(below, column) for column in range(len(names))]
            if found and not any(map(is_number, names)) and 0 < letters[names.index(found[0])] == max(letters):
                return f"; {self._looks_like_header(number + 1)}"
        return ""

    def _looks_like_header(self, line: int) -> str:
        number = self.numbers[line - 1] if self.numbers else line
        return f"line {number} looks like the header: add --header-line {number}"

    def _rows(self, lines: Iterable[bytes], **options: Any) -> Any:
        csv.field_size_limit(max(self.limit, csv.field_size_limit()))
        texts = (line.decode(self.encoding, "replace") + "\n" for line in lines)
        if self.escaped:
            texts = (ESCAPED.sub(lambda match: '""' if match[1] == '"' else match[0], text) for text in texts)
        options = {"delimiter": NO_DELIMITER if self.single else self.delimiter, **options}
        return csv.reader(texts, skipinitialspace=self.spaced, **options)

    def _records(self, lines: Sequence[bytes], *, final: bool) -> Iterator[tuple[int, int, list[str], str]]:
        """Yield for each record its first line, the line after its last, its values, and what is wrong with it.

        A quote may open a value and close, lines later, in the middle of another value. If these lines are records
        when quotes are ignored, the quote belongs to the message: the table does not use quoting, and the lines that
        follow must not become part of the value. Nor may several records become one because a quote in a later message
        closes one in an earlier message.

        The first line begins a record. ``final`` is whether the last one ends a record; if not, a record that may
        continue after it is left out.
        """
        padded = [*lines, b""]  # with an extra line, which an open quote consumes too

        def reader(start: int, **options: Any) -> Any:  # copies no lines, because it may be called for any of them
            return self._rows(map(padded.__getitem__, range(start, len(padded))), **options)

        begin = rescanned = 0
        strict = 0  # the line at which a new reader begins, one that checks the syntax
        while begin < len(lines):
            if begin >= strict:
                rows, base, strict = reader(begin, strict=True), begin, len(padded)  # `rows` began at the line `base`
            problem = ""
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
                    rows, base = reader(begin, quoting=csv.QUOTE_NONE if alone else csv.QUOTE_MINIMAL), begin
                    row, problem = _next(rows)
                    end = base + rows.line_num
                    # in the end, lines that were scanned in vain are not scanned again
                    strict = end if rescanned <= PATIENCE * len(padded) else reach - 1
                if end > len(lines) and not final:
                    return
            yield begin, end, row, problem
            begin = end

    def _refuse_records(self, lines: Sequence[bytes]) -> None:
        """Raise ``csv.Error`` if each line of a record is a record by itself.

        Tables that are known to use quoting are exempt. So are those with commas or fewer than three columns: the lines
        of a longer text may look like records.
        """
        exempt = self.quoted or self.delimiter == "," or len(self.columns) < 3
        if len(lines) > 1 and not exempt and self._unquoted(lines):
            raise csv.Error("each of its lines is a record")

    def _needs_quotes(self, lines: Sequence[bytes]) -> bool:
        """Return whether more records need quoting to be read than contain quotes that quoting would have doubled.

        A record whose lines could be records by themselves is not counted.
        """
        votes = 0
        self.quoted = True  # so that such a record is read as one
        records = list(self._records(lines, final=False))
        self.quoted = False  # as long as it is not known
        for begin, end, row, problem in records:
            texts = (line.decode(self.encoding, "replace") for line in lines[begin:end] if b'"' in line)
            quotes = sum(text.count('"') for text in texts)
            if quotes and not problem and len(row) == len(self.columns) + self.ends:
                literal = sum(value.count('"') for value in row)
                if literal == quotes:
                    votes -= 1
                elif literal or not self._unquoted(lines[begin:end]):
                    votes += 1
        return votes > 0

    def _unquoted(self, lines: Sequence[bytes]) -> bool:
        """Return whether each of these lines is a record if quotes are ordinary characters."""
        texts = (line.decode(self.encoding, "replace").rstrip("\r") for line in lines)
        delimiters = len(self.columns) + self.ends - 1
        return delimiters > 0 and all(text.count(self.delimiter) == delimiters and "\r" not in text for text in texts)

    def _count_wrong(self, lines: Sequence[bytes]) -> int:
        """Return how many records violate RFC 4180 or have a different number of values than the header."""
        wrong, rows = 0, self._rows(lines, strict=True)
        while rows.line_num < len(lines):
            row, problem = _next(rows)
            wrong += bool(problem) or len(row) not in (0, len(self.columns))
        return wrong

    def cut(self, held: bytes, *, final: bool) -> int:
        """Cut after the last complete record, which ends at a line feed outside quotes.

        At the end of the source, the lines from a quote on that does not close are records if they look like records
        without it, and those before them do not show that the table uses quoting.
        """
        whole = held if final else held[: last_line_end(held, self.encoding)]
        if b'"' not in whole:
            return len(whole)
        lines = cut_lines(whole, self.encoding)
        if not lines[-1]:
            lines.pop()
        end = max((end for _, end, _, _ in self._records(lines, final=False)), default=0)
        if final and 0 < end < len(lines) and self._unquoted(lines[end:]):
            end = end if self.quoted or self._needs_quotes(lines[:end]) else len(lines)
        return len(whole) if end == len(lines) else self._size(lines[:end])

    def _is_header(self, row: list[str]) -> bool:
        """Return whether a row repeats a header of several columns, as in files that were joined.

        A byte order mark may precede it; quotes after the mark are then part of the first value.
        """
        if self.header_line == 0:
            return False
        first = row[0].removeprefix("\ufeff")
        return len(row) > 1 and row[1:] == self.columns[1:] and self.columns[0] in (first, first.strip('"'))

    def _fit(self, row: list[str]) -> str:
        """Remove the empty value after the last delimiter if `ends` is set, or return what is wrong with a record."""
        width = len(self.columns)
        longer = len(row) == width + 1 and not row[-1]
        if self.ends and (longer or self._is_header(row)):
            del row[width:]
            return ""
        how = ": end the header with a delimiter too" if longer else ""
        how = ", and no delimiter at the end" if self.ends and len(row) == width else how
        return f"{len(row)} fields where the {'first row' if self.header_line == 0 else 'header'} has {width}{how}"

    def fill(self, batch: Batch, block: Block) -> None:
        """Add the records, or reject the lines above the header; leave out empty lines."""
        lines = Lines(block, self.encoding)
        if (count := (self.header_line or 0) - block.start.line) > 0:
            above = (lines.reject(at, at + 1, ABOVE) for at in range(count))
            batch.rejects += [reject for reject in above if reject.raw]
        else:
            self._fill(batch, block, lines)

    def _fill(self, batch: Batch, block: Block, lines: Lines) -> None:
        bad = [] if decodes(block.data, self.encoding) else [not decodes(line, self.encoding) for line in lines.raw]
        at, width, kept = self.columns.index(self.text or ""), len(self.columns), self.kept
        last = self.columns[-1]
        key = self.columns.index(self.by) if self.by is not None else None
        usual = -1 if self.ends else width
        for begin, end, row, wrong in self._records(lines.raw, final=True):
            problem = self._fit(row) if row and len(row) != usual else wrong
            if problem or not row:
                pass
            elif row[at] == NULL:
                problem = f"{self.text!r} is missing"
            elif row[-1] == last and self._is_header(row):
                problem = "the header again"
            if bad and any(bad[begin:end]):
                problem = self.not_encoded
            if lines.have_utf8(begin, end):
                problem = self.in_utf8
            if problem:
                batch.rejects.append(lines.reject(begin, end, problem))
            elif row:
                batch.texts.append(row[at])
                batch.lines.append(block.start.line + begin)
                batch.raws.append(row if len(kept) == width else [row[i] for i in kept])
                if key is not None:
                    batch.keys.append(row[key] if row[key] not in ("", NULL) else None)


def _count_letters(rows: Iterable[list[str]], at: int) -> int:
    """Return how many letters the different values of a column have."""
    return sum(map(str.isalpha, "".join({row[at] for row in rows if at < len(row)})))


def _next(rows: Any) -> tuple[list[str], str]:
    """Return the next record of a reader and an empty string, or no values and what is wrong with it."""
    try:
        return next(rows), ""
    except csv.Error as error:
        return [], _fault(error)


def _fault(error: csv.Error) -> str:
    """Return why something is no CSV; Python's message about a carriage return blames how the file was opened."""
    return "not CSV: a carriage return outside quotes" if "new-line" in str(error) else f"not CSV: {error}"


@dataclass
class LinesReader(Reader):
    """One message per line."""

    name: ClassVar[str] = "lines"

    def prepare(self, stream: Stream) -> Place:
        """Treat the lines as a column called ``text``."""
        self.header = ["text"]
        lines = stream.peek(BLOCK).decode(self.encoding, "replace").splitlines()[:SAMPLE]
        self.find([self.header], sample=[{"text": line} for line in lines])
        if self.detected:
            self._doubt_format(lines)
        return super().prepare(stream)

    def _doubt_format(self, lines: Sequence[str]) -> None:
        """Record a doubt about lines that look like a table without a header, or like a chat or a log.

        Of a chat or a log, at least a quarter of the lines have a time near their start or are only a name.
        """
        even = len(lines) > 1 and is_even(lines, "\t|;\x01")
        heads = [CLOCK.search(line, 0, CLOCK_WITHIN) or NAME_LINE.fullmatch(line) for line in lines if line.strip()]
        if even or any(map(FRAMED.match, lines)):
            self.doubts.append(f"is read as lines; if it is a table, {AS_TABLE}, or export it as CSV")
        elif 4 * sum(map(bool, heads)) >= max(len(heads), 5):
            self.doubts.append(
                "is read as lines, many of which have a time near their start or are only a name; "
                "each line is scored as a message. If it is a chat or a log, export its messages as CSV or JSON; "
                f"if it is a table, {AS_TABLE}"
            )

    def fill(self, batch: Batch, block: Block) -> None:
        """Add the lines; leave out blank ones."""
        lines = Lines(block, self.encoding)
        for number, line in enumerate(lines.raw):
            if not line:  # at once: a file may have millions
                continue
            text = self.decoded(batch, lines, number, number + 1).rstrip("\r")
            if text.strip():
                batch.texts.append(text)
                batch.lines.append(block.start.line + number)
                batch.raws.append([text])
                if self.by is not None:  # the text itself: there is no other column
                    batch.keys.append(text)
