"""The base class of all readers, and the reader of JSON lines.

A reader has two halves. `blocks` cuts a stream into blocks of whole rows, in the process
that reads; `batch` turns blocks into rows, in whichever process does the scoring. A reader
holds no open file and can be pickled. Where blocks end depends only on where the first one
begins, so a job that resumes at the end of any block gets the same ones. (Jobs with live
sources cannot resume.)

JSON lines are kept as the bytes that were read, so that everything a row holds besides its
text is written unchanged.
"""

from __future__ import annotations

import itertools
import json
import re
import secrets
from dataclasses import dataclass, field
from operator import itemgetter
from types import NoneType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fraudscan.columns import is_missing
from fraudscan.dump.encodings import MULTIBYTE, bom_size, cut_lines, last_line_end, line_end, utf8_lines
from fraudscan.dump.jsontext import DEPTH, brackets, loads, too_deep, without
from fraudscan.dump.rows import Batch, Block, DumpError, Place, Reject
from fraudscan.dump.textcolumn import (
    MOST_PATHS,
    is_number,
    may_be_other,
    nested_rows,
    text_columns,
    unscored,
)
from fraudscan.lazy import cached_property
from fraudscan.lists import ROUNDED
from fraudscan.notes import HAN
from fraudscan.show import quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from fraudscan.dump.streams import Stream

__all__ = ["BLOCK", "SAMPLE", "SHOWN", "TOO_LONG", "JsonLinesReader", "Lines", "Reader", "key_of", "no_text"]

BLOCK = 1 << 20
"""Bytes per block: a few thousand rows, which take little memory."""

SHOWN = 1000
"""Bytes kept of a row that exceeds the maximum length."""

TOO_LONG = "longer than a row may be: raise --max-message"
OTHER_ENCODING = "; if the file is in another encoding, name that with --encoding"

PATIENCE = 32
"""About how many times a byte may be scanned again because a record before it does not end."""

RUN = 256
"""Lines that the fast path parses together. They are few because one unusual line sends all of them down the slow path,
and because the parsed objects of all of them are in memory at once."""

SEPARATOR = secrets.randbits(62)
"""A number put between rows that are parsed together. No input contains it: each process draws its own."""

SAMPLE = 50
"""How many lines or rows are examined to decide whether they belong to a table or a chat."""

WIDE = "；，"
"""Signs that Chinese keyboards write in place of delimiters. They are too frequent in texts to be guessed."""

OF_PERSON = 4
"""How many Chinese characters the names of people have at most, with rare exceptions."""

ESCAPED = re.compile(
    r"(?:\\u(?:[3-9][0-9a-f]|d[89a-f]|ff)[0-9a-f]{2}){2}"
    r"|&#(?:x(?:[2-9a-f]|1f)[0-9a-f]{3}|[89][0-9]{3}|[1-6][0-9]{4}|12[0-9]{4});",
    re.IGNORECASE,
)
"""Characters written as escapes, two as in programs or one as in HTML: Chinese ones, their punctuation, or pictures."""

STATUS = re.compile(r"|ok|true|done|\d{1,3}|.{0,40}\bsucce(?:ss|ed).{0,20}|.{0,12}成功.?", re.IGNORECASE)
CODE_COLUMNS = frozenset({"code", "success", "ret", "retcode", "errno", "errcode", "error_code"})
"""The status that an API response reports in a column named like the text (``message``, say), and the names of the
columns beside it that report a status too."""

LONGEST_NAME = 1000
"""Maximum characters of a column name in a header. It is limited because JSON repeats the name in every row; survey
questions can be this long."""


@dataclass
class Reader:
    """Reads a source as rows.

    Args:
        source: the name of the source.
        encoding: its encoding, as named by `encodings.detect`.
        text: the column that holds the text. If ``None``, `find` looks for it by name.
        by: the column that names a row's conversation, if the job asks for conversations.
        alternatives: other names of that column, in order of preference. If there are any, `find` sets ``by`` to the
            first that the source has, or to ``None`` if it has none.
        sender: the column that names the sender of a message, if the job's lists ask for it.
        limit: maximum bytes of a row.
        ours: the columns that the job adds. Columns of these names, from an earlier run, are replaced.
        header: the columns, for formats with the same columns in every row; `prepare` finds them.
        rivals: other columns that may hold the text, if no text column was given; `find` finds them.
        fields: the columns of the header, or of the first rows; `find` finds them as well.
        replaced: the columns of the source that are in ``ours``; `find` finds them as well.
        doubts: what is doubtful about the source, for notices; `prepare` finds it.
        rowless: whether there is neither a header nor a row at its start, so that its columns are unknown.
        header_line: the line of the header, in tables and workbooks: 0 if they have none, ``None`` for the first one.
        detected: whether the format was detected, so that `prepare` has doubts about it.

    """

    name: ClassVar[str]
    by_line: ClassVar[bool] = True
    """Whether rows are whole lines: `blocks` then expects the stream at ``start`` rather than at its beginning, and one
    batch may have the rows of several blocks."""
    naming: ClassVar[str] = ""
    """The column with the name of a conversation, for formats that identify conversations by number."""
    whole: ClassVar[bool] = False
    """Whether a conversation ends with its source, because two phones may hold chats with the same name."""

    source: str
    encoding: str
    text: str | None = None
    by: str | None = None
    alternatives: Sequence[str] = ()
    sender: str | None = None
    limit: int = 1 << 20
    ours: frozenset[str] = frozenset()
    header: list[str] | None = None
    rivals: list[str] = field(default_factory=list)
    fields: Collection[str] = ()
    replaced: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    rowless: bool = False
    header_line: int | None = None
    detected: bool = False

    def find(
        self, rows: Iterable[Collection[str]], path: str = "", sample: Sequence[dict[str, Any]] = (), more: bool = False
    ) -> None:
        """Find the text, conversation and sender columns, each in the first row that has it.

        If there are no rows, the text column stays undetermined and no column is reported as missing.

        Args:
            rows: the columns of each row at the start of the source; for formats with a header, the header alone.
            path: the jq path of the rows; empty if each row is a value by itself.
            sample: the first rows with their values, to see whether a text column found by name holds the text.
            more: whether more of these rows are to come, which may have columns that are missing so far.

        Raises:
            DumpError: if no row has one of these columns (that of conversations may be missing if it has
                ``alternatives``), the header has one of them twice, the text column is one of ``ours``, a name in the
                header is longer than `LONGEST_NAME`, all senders of the sample are nested, or the first row that has a
                text column is an API response with the messages inside it.

        """
        if self.text in self.ours:
            raise DumpError(f"{self.text!r} is an output column: rename it in {self.source} to have it scored")
        if (longest := max(map(len, self.columns), default=0)) > LONGEST_NAME:
            raise DumpError(f"{self.source} has a column name of {longest:,} characters: it seems to have no header")
        known: dict[str, None] = {}
        columns: Collection[str] | None = None
        for columns in rows:
            known.update(dict.fromkeys(columns))
            if self.text is None and (found := text_columns(columns)):
                self.text, *self.rivals = sorted(found, key=lambda name: self.textless(columns, name))
                self._refuse_response(columns, path)
                self._compare(self.text, sample, path)
            if self.text is not None and known.keys() >= {*self.needed}:
                break
        self.rowless = columns is None
        if self.alternatives and not self.rowless and self.by not in known:
            self._take_alternative(list(known))
        missing = [name for name in self.needed if name not in known]
        if twice := [name for name in self.needed if self.columns.count(name) > 1]:
            raise DumpError(f"{self.source} has several columns called {twice[0]!r}: rename all but one")
        self.fields = dict.fromkeys(itertools.chain(known, *sample))
        self.replaced = [name for name in self.fields if name in self.ours]
        self._check_values(sample)
        if columns is not None and (self.text is None or missing) and not more:
            rowlike = self.header_line != 0 and any(map(is_number, self.columns))
            likely = [] if rowlike else self._richer(sample, ambiguous=False)
            raise self._not_found(likely, list(known), missing, columns, path)

    def _check_values(self, sample: Sequence[dict[str, Any]]) -> None:
        """Look at the first rows: refuse senders if all are nested, and record doubts about senders and texts."""
        senders = [row.get(self.sender) for row in sample] if self.sender is not None else []
        if any(isinstance(sender, (dict, list)) for sender in senders):
            if not any(sender and not isinstance(sender, (dict, list)) for sender in senders):
                raise self.nested_sender
            self.doubts.append(f"has rows in which {self.sender!r} has values inside: their sender is unknown")
        if rounded := [sender for sender in senders if isinstance(sender, str) and ROUNDED.fullmatch(sender.strip())]:
            self.doubts.append(
                f"has numbers in {self.sender!r} that a spreadsheet has rounded, such as {rounded[0].strip()}: no list "
                "entry matches these; export them again, as text"
            )
        texts = [row.get(self.text or "") for row in sample]
        if any(isinstance(text, str) and ESCAPED.search(text) for text in texts):
            self.doubts.append(
                "has characters written as \\u4f60 or &#20320; in its texts: unescape them to have them read"
            )

    def _take_alternative(self, known: Sequence[str]) -> None:
        """Group by the first of the ``alternatives`` that is among the columns, if any."""
        self.by = next((name for name in self.alternatives if name in known), None)
        if self.by is None:
            there = f"(it has {_listed(known)})"
            self.doubts.append(f"has no column that --by names {there}: its messages are in no conversation")

    def _not_found(
        self, likely: list[str], known: list[str], missing: list[str], row: Collection[str], path: str
    ) -> DumpError:
        """Return the error that no column is the text, or that columns are ``missing``, and what to do about it.

        ``known`` are the columns of all rows that were examined, ``row`` is the last of these, and ``path`` their jq
        path; ``likely`` is the column that seems to hold the text, if any.
        """
        there = f"{self.source} has the columns: {_listed(known) or '(none)'}"
        if self.text is None:
            wide = (sign for sign in WIDE if len(self.columns) == 1 and text_columns(self.columns[0].split(sign)))
            if sign := next(wide, ""):
                how = f"add --delimiter {sign} (otherwise name it with --text COLUMN)"
                return DumpError(f"{there}: if {sign} is between them, {how}")
            within, _ = nested_rows(row)
            guessed = self.name == "csv" and self.header_line is None
            how = ", and add --header-line 0 if the first line is a row" if guessed else ""
            how = f", or extract the rows first: jq -c {quoted(path + within)}" if within else how
            how = f", perhaps --text {quoted(likely[0])}{how}" if likely else how
            return DumpError(f"no column looks like the text; {there}. Name it with --text COLUMN{how}")
        outer = missing[0].partition(".")[0]
        tool = "Spark or pandas" if self.name == "parquet" else "jq"
        how = f". Extract it from {outer!r} first, e.g. with {tool}" if outer in known and outer != missing[0] else ""
        if not how and missing[0] == self.by != self.text:
            how = ". If another column names the conversation there, add it: --by can be repeated"
        return DumpError(f"no column is called {missing[0]!r}; {there}{how}")

    @property
    def nested_sender(self) -> DumpError:
        """The error that the values of the sender column are not single values."""
        return DumpError(
            f"{self.source}: {self.sender!r} is no sender, but has values inside: extract the one you need"
        )

    def _refuse_response(self, row: Collection[str], path: str) -> None:
        """Refuse an API response with its status in a column named like the text, and its messages in an array."""
        if not isinstance(row, dict) or self.text is None:
            return
        said = str(row[self.text] or "").strip()
        known = CODE_COLUMNS | {"status"} if said else CODE_COLUMNS  # messages with only attachments have a status too
        answer = STATUS.fullmatch(said) and not known.isdisjoint(map(str.lower, row))
        within = nested_rows(row)[0] if answer else ""
        if "[]" in within:
            raise DumpError(
                f"{self.source}: {self.text!r} seems to be a status, with the messages nested deeper: extract them "
                f"first: jq -c {quoted(path + within)}; or score it anyway: --text {quoted(self.text)}"
            )

    def _compare(self, text: str, sample: Sequence[dict[str, Any]], path: str) -> None:
        """Look for texts outside the column ``text``, which was found by its name: in other columns, or nested."""
        if not self.rivals:
            self.rivals = self._richer(sample, ambiguous=may_be_other(text))
        found = dict.fromkeys(path + within for row in sample for within in unscored(row, text))
        if paths := list(itertools.islice(found, MOST_PATHS)):
            within = ", ".join(paths) + " | objects" * (len(paths) > 1)  # not all rows have all of them
            how = f"to score them, extract them first: jq -c {quoted(within)}"
            self.doubts.append(f"has texts nested deeper that are not scored; {how}")

    def _richer(self, sample: Sequence[dict[str, Any]], *, ambiguous: bool) -> list[str]:
        """Return the column with the most Chinese if it is more likely than the text column to hold the messages.

        If the name of the text column is ``ambiguous``, that is the case if it has less than half as many letters: then
        it seems to hold a status or a count. Otherwise it is the case if the text column has no Chinese and fewer
        letters, and the values of the other one differ and are longer than names. Letters of other scripts count as
        text too. Equal values of a column count once, because statuses recur, and so do the names of groups and
        senders.
        """
        values: dict[str, set[str]] = {}
        for row in sample:
            for name, value in row.items():
                if isinstance(value, str) and name not in self.ours:
                    values.setdefault(name, set()).add(value)
        own = "".join(values.pop(self.text or "", ()))
        chinese = {name: len(HAN.findall("".join(different))) for name, different in values.items()}
        most = max(chinese, key=chinese.__getitem__, default=None)
        if most is None or (HAN.search(own) and not ambiguous):
            return []
        letters, different = sum(map(str.isalpha, own)), len(values[most])
        if ambiguous:
            return [most] if chinese[most] > 2 * letters else []
        varied = different > 1 or sum(bool(row.get(most)) for row in sample) == 1
        return [most] if varied and chinese[most] > max(letters, OF_PERSON * different) else []

    def textless(self, row: Collection[str], column: str) -> bool:
        """Return whether a column is known to hold something other than text in this row."""
        return isinstance(row, dict) and not isinstance(row[column], (str, type(None)))

    @property
    def columns(self) -> list[str]:
        """The header; empty for formats without one."""
        return self.header or []

    @property
    def needed(self) -> list[str]:
        """The columns that the job itself reads: those of the text, the conversation and the sender."""
        return [name for name in (self.text, self.by, self.sender) if name is not None]

    @property
    def kept(self) -> list[int]:
        """The indices of the columns that are not in ``ours``."""
        return [i for i, name in enumerate(self.columns) if name not in self.ours]

    @property
    def kept_columns(self) -> list[str]:
        """The columns of the values in ``raws``: those that are not in ``ours``."""
        return [name for name in self.columns if name not in self.ours]

    def prepare(self, stream: Stream) -> Place:
        """Look at the start of the source, `find` the columns, and return where the rows begin."""
        return Place(bom_size(stream.peek(4), self.encoding), 1)

    def _size(self, lines: Sequence[bytes]) -> int:
        """Return how many bytes ``lines`` have, including their line feeds."""
        return sum(map(len, lines)) + len(lines) * len("\n".encode(self.encoding))

    def blocks(self, stream: Stream, start: Place) -> Iterator[Block]:
        """Yield the blocks of whole rows from ``start`` on. The stream must be positioned there."""
        size = min(BLOCK, self.limit)
        held, at = b"", start
        while True:
            held += stream.read(size - len(held))
            final = len(held) < size and not stream.paused
            if end := self.cut(held, final=final and not stream.damage):
                block = self._block(at, held[:end])
            elif stream.paused:
                continue  # until a row is whole
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
        """Return the first line of ``held`` as a block with a problem, because the row that it begins does not end.

        If too much has been rescanned already, the block has all lines of ``held``.
        """
        end = line_end(held, self.encoding)
        if end or final:
            if at.rescanned > PATIENCE * self.limit:  # else everything held would be scanned for each line
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
        """Return how many bytes of ``held`` are whole rows; ``final`` means that nothing follows."""
        return len(held) if final else last_line_end(held, self.encoding)

    def batch(self, blocks: Sequence[Block]) -> Batch:
        """Return the rows of consecutive blocks; of one block if the reader is not `by_line`."""
        batch = Batch()
        for block in blocks:
            if block.problem:
                encoding = self.encoding if self.by_line else "utf-8"  # documents are converted
                raw = block.data.decode(encoding, "backslashreplace").rstrip("\r\n")
                batch.rejects.append(Reject(block.start.line, block.start.offset, block.problem, raw))
            else:
                self.fill(batch, block)
        return batch

    def fill(self, batch: Batch, block: Block) -> None:
        """Add the rows of a block without a problem."""
        raise NotImplementedError

    def decoded(self, batch: Batch, lines: Lines, first: int, last: int) -> str:
        """Return lines of a block as text; if they cannot be decoded, reject them and return an empty text."""
        problem = self.in_utf8
        if not lines.have_utf8(first, last):
            try:
                return lines.feed.join(lines.raw[first:last]).decode(self.encoding)
            except UnicodeDecodeError:
                problem = self.not_encoded
        batch.rejects.append(lines.reject(first, last, problem))
        return ""

    def rows(self, batch: Batch) -> list[Any]:
        """Return the rows of a batch: JSON objects or, for formats with a header, lists of values."""
        return batch.raws  # type: ignore[no-any-return]

    def as_dict(self, raw: Any) -> dict[str, Any]:
        """Return one of these rows as a dictionary."""
        if self.header is None:
            row: dict[str, Any] = json.loads(raw)
            return row
        return dict(zip(self.kept_columns, raw, strict=True))

    def values(self, batch: Batch, column: str) -> list[Any]:
        """Return the values of one column of a batch; ``None`` where a row lacks it."""
        if self.header is None:
            return [json.loads(raw).get(column) for raw in batch.raws]
        if column not in self.kept_columns:
            return [None] * len(batch.texts)
        return list(map(itemgetter(self.kept_columns.index(column)), batch.raws))

    def _block(self, at: Place, data: bytes, problem: str = "") -> Block:
        rescanned = max(0, at.rescanned - PATIENCE * len(data))
        return Block(at, Place(at.offset + len(data), at.line + self._count_lines(data), rescanned), data, problem)

    def _count_lines(self, data: bytes) -> int:
        """Return how many lines end in ``data``."""
        if self.encoding.startswith("utf-16"):
            return len(cut_lines(data, self.encoding)) - 1
        codes = np.frombuffer(data, np.uint8)  # faster than `bytes.count`; in parts, so that the mask stays small
        parts = (codes[at : at + BLOCK] == ord("\n") for at in range(0, codes.size, BLOCK))
        return sum(int(np.count_nonzero(part)) for part in parts)

    @property
    def not_encoded(self) -> str:
        """The reason given for rejecting bytes that cannot be decoded."""
        return f"not {self.encoding.upper()}{OTHER_ENCODING if self.encoding == 'utf-8' else ''}"

    @property
    def in_utf8(self) -> str:
        """The reason given for rejecting lines that `Lines.have_utf8` finds."""
        return f"UTF-8 in a {self.encoding.upper()} file"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:30]) + (f" and {len(names) - 30} more" if len(names) > 30 else "")


class Lines:
    """The lines of a block."""

    def __init__(self, block: Block, encoding: str) -> None:
        self._start = block.start
        self._encoding = encoding
        self.feed = "\n".encode(encoding)
        self.raw = cut_lines(block.data, encoding)
        if not self.raw[-1]:
            self.raw.pop()
        self._utf8 = utf8_lines(block.data) if encoding in (*MULTIBYTE, "big5hkscs") else set()

    @cached_property
    def _offsets(self) -> list[int]:
        sizes = (len(line) + len(self.feed) for line in self.raw)
        return list(itertools.accumulate(sizes, initial=self._start.offset))

    def reject(self, first: int, last: int, reason: str) -> Reject:
        """Return the reject for the lines from ``first`` up to but not including ``last``."""
        encodings = ("utf-8" if at in self._utf8 else self._encoding for at in range(first, last))
        texts = map(bytes.decode, self.raw[first:last], encodings, itertools.repeat("backslashreplace"))
        return Reject(self._start.line + first, self._offsets[first], reason, "\n".join(texts).strip("\r\n"))

    def have_utf8(self, first: int, last: int) -> bool:
        """Return whether one of the lines is UTF-8 in a source that is not."""
        return bool(self._utf8) and not self._utf8.isdisjoint(range(first, last))


@dataclass
class JsonLinesReader(Reader):
    """One JSON object per line."""

    name: ClassVar[str] = "jsonl"

    def prepare(self, stream: Stream) -> Place:
        """Find the columns in those rows of the first block that can be read."""
        start = super().prepare(stream)
        size = min(BLOCK, self.limit)
        head = stream.peek(size)
        rows = (self.parse(self._utf8(line) or b"")[0] for line in cut_lines(head[start.offset :], self.encoding))
        self.look_at((row for row in rows if row is not None), more=stream.paused)
        self.rowless &= len(head) < size and not stream.paused  # rows may follow
        return start

    def look_at(self, rows: Iterable[dict[str, Any]], path: str = "", *, more: bool = False) -> None:
        """Find the columns in the rows at the start of the source; ``path`` and ``more`` are as for `find`."""
        rows = iter(rows)
        sample = list(itertools.islice(rows, SAMPLE))
        self.find(itertools.chain(sample, rows), path, sample, more=more)

    def _utf8(self, line: bytes) -> bytes | None:
        """Return the line in UTF-8 without surrounding white space, or ``None`` if it cannot be decoded."""
        try:
            text = line.decode(self.encoding)  # json would guess UTF-16 and accept surrogates
            return text.strip(" \t\r\n\v\f\ufeff").encode()
        except UnicodeError:
            return None

    def parse(self, raw: bytes) -> tuple[Any, str]:
        """Parse a JSON object in UTF-8. Return it and an empty string, or ``None`` and what is wrong with it."""
        try:
            try:
                row = loads(raw)
            except ValueError:  # orjson rejects some JSON that Python accepts: NaN, lone surrogates
                row = json.loads(raw.decode())
        except UnicodeDecodeError:
            return None, self.not_encoded
        except RecursionError:
            return None, "nested too deeply"
        except ValueError as error:
            return None, f"not JSON{_trailing(error)}"
        if not isinstance(row, dict):
            how = " but a string: jq '{text: .}' makes it an object" if isinstance(row, str) else ""
            how = " but a list: jq '.[]' takes it apart" if isinstance(row, list) else how
            return None, f"not a JSON object{how}"
        return (None, "nested too deeply") if too_deep(raw, row) else (row, "")

    def fill(self, batch: Batch, block: Block) -> None:
        """Add the rows: most by the fast path `_plain`, the rest by `_row`, which has the same result for every row."""
        lines = Lines(block, self.encoding)
        for first in range(0, len(lines.raw), RUN):
            run = lines.raw[first : first + RUN]
            if self._plain(batch, run, block.start.line + first):
                continue
            for number, raw in enumerate(run, first):
                if lines.have_utf8(number, number + 1):
                    problem = self.in_utf8
                else:
                    problem = self._row(batch, raw, block.start.line + number)
                if problem:
                    batch.rejects.append(lines.reject(number, number + 1, problem))

    def _plain(self, batch: Batch, run: list[bytes], number: int) -> bool:
        """Add a run of rows, which begins at line ``number``, if none is unusual; return whether they were added.

        Each check covers all rows at once, without a loop. All rows are parsed as one array. `SEPARATOR` is every
        other element of it only if each line is exactly one value.
        """
        if self.encoding != "utf-8":
            return False
        run = list(map(bytes.strip, run))
        try:
            joined = b"[%b]" % (b",%d," % SEPARATOR).join(run)
            values = loads(joined)
            rows = values[::2]
            texts = list(map(itemgetter(self.text), rows))
            keys = [row.get(self.by) for row in rows] if self.by is not None else []
        except (ValueError, TypeError, KeyError, RecursionError):
            return False
        plain = (
            len(values) == 2 * len(run) - 1
            and values[1::2].count(SEPARATOR) == len(run) - 1
            and set(map(type, texts)) == {str}
            and {str, int, NoneType}.issuperset(map(type, keys))
            and self.ours.isdisjoint(set().union(*rows))
            and (
                max(map(len, run)) < 2 * DEPTH
                or brackets(joined) - len(run) <= DEPTH  # the array and every other row have a bracket at least
                or not any(map(too_deep, run, rows))
            )
        )
        if plain:
            batch.texts += texts
            batch.lines += range(number, number + len(run))
            batch.raws += run
            batch.keys += map(key_of, keys)
        return plain

    def _row(self, batch: Batch, line: bytes, number: int) -> str:
        """Add one row, or return what is wrong with it. A blank line is not a row."""
        raw = self._utf8(line)
        if raw is None:
            return self.not_encoded
        if not raw:
            return ""
        row, problem = self.parse(raw)
        return problem or self.add(batch, row, raw, number)

    def add(self, batch: Batch, row: dict[str, Any], raw: bytes, number: int) -> str:
        """Add a parsed row, whose JSON in one line is ``raw``, or return what is wrong with it."""
        column = self.text
        if column is None:  # no row at the start of the source could be read
            column = next(iter(text_columns(row)), None)
        if column is None:
            return "no column looks like the text"
        text = row.get(column)
        if not isinstance(text, str):
            return no_text(row, column)
        if self.by is not None:
            key = row.get(self.by)
            if not isinstance(key, (str, int, NoneType)):
                key = json.loads(raw)[self.by]  # orjson turns large integers into floats
            batch.keys.append(key_of(key))
        if not self.ours.isdisjoint(row):
            raw = without(raw, self.ours)
        batch.texts.append(text)
        batch.lines.append(number)
        batch.raws.append(raw)
        return ""


def _trailing(error: ValueError) -> str:
    """Return what makes a line invalid after its JSON object if that is easy to correct, else an empty string."""
    if not isinstance(error, json.JSONDecodeError) or error.msg != "Extra data":
        return ""
    rest = error.doc[error.pos :].strip()
    if rest == ",":
        return ": a comma follows the object"
    return ": several objects on one line; jq -c . splits them" if rest.startswith("{") else ""


def no_text(row: dict[str, Any], column: str) -> str:
    """Return why a row has no text in a column, and where the text may be."""
    value = row.get(column)
    if value is None:
        others = [name for name in text_columns(row) if isinstance(row[name], str)]
        return f"{column!r} is missing" + (f", but {others[0]!r} is there" if others else "")
    how = ""
    if isinstance(value, dict) and (within := text_columns(value)):
        how = f": extract {within[0]!r} from it first, e.g. with jq"
    elif isinstance(value, list):
        how = " but a list: join its parts first, e.g. with jq"
    elif isinstance(value, dict) and value and all(map(str.isdecimal, value)):
        how = ": if pandas wrote it, orient='records', lines=True writes one row per line"
    return f"{column!r} is not a text{how}"


def key_of(value: Any) -> str | None:
    """Return the name of a conversation: the value itself if it is a string, else its JSON; ``None`` for no value.

    NaN is no value, and whole floats lose ``.0``: gaps in a table turn integers into floats.
    """
    if isinstance(value, str):
        return value or None
    if is_missing(value):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 63:
        value = int(value)
    if type(value) is int:
        return str(value)
    return json.dumps(value, ensure_ascii=False)
