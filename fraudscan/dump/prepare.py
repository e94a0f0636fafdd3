"""Opens the sources of a job before anything is written: finds how to read each, and how to write the output."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fraudscan.columns import OPTIONAL, names_of
from fraudscan.dump.detect import check_table_options, make_reader
from fraudscan.dump.output import CALLED
from fraudscan.dump.parquet import ParquetReader
from fraudscan.dump.rows import DumpError
from fraudscan.dump.sources import is_file
from fraudscan.dump.streams import Head, Stream
from fraudscan.dump.textcolumn import is_text_column
from fraudscan.dump.writers import Writer, make_writer
from fraudscan.show import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from fraudscan.dump.job import Options
    from fraudscan.dump.output import Names
    from fraudscan.dump.readers import Reader
    from fraudscan.dump.rows import Place
    from fraudscan.model import Scanner

__all__ = ["Source", "guesses", "prepare"]

MOST_ERRORS = 10
"""At most this many unreadable files of a folder are listed. They are reported together, so that each need not cost a
run."""

PARTITION = re.compile("[^=]+=.+")
"""Matches the names of folders that stand for a column and its value."""


class Source(NamedTuple):
    """A source that can be read.

    Attributes:
        reader: its reader.
        start: where its rows begin.
        size: its bytes; 0 if that is unknown.
        stream: its stream if it can be read only once; ``None`` for a file.

    """

    reader: Reader
    start: Place
    size: int
    stream: Stream | None


def prepare(  # noqa: PLR0913, PLR0917 - what a job consists of
    scanner: Scanner,
    sources: Sequence[str],
    named: Collection[str],
    target: Names | None,
    options: Options,
    notify: Callable[[str], None],
) -> tuple[Writer, list[Source]]:
    """Return the writer of the output, whose layout the first source determines, and the sources.

    Sources that cannot be read or written are refused, and so are options that apply to none. ``named`` are the sources
    that the user named; the others were found in folders or by patterns. ``target`` is ``None`` for standard output.
    """
    if options.sender is None and scanner.lists and scanner.lists.bound:
        raise DumpError("the lists have entries for certain senders: name the column with the sender, --sender COLUMN")
    writer = Writer()
    prepared: list[Source] = []
    failed: list[str] = []
    for name in sources:
        with contextlib.ExitStack() as stack:
            stream, lasting, size = Stream(name), is_file(name), 0
            if lasting:
                stack.callback(stream.close)
                size = stream.size
            else:
                stream.live = target is None  # whoever reads the output waits for it
            try:
                reader = _reader(stream, scanner, options)
                start = reader.prepare(stream)
                if not prepared:
                    first = _first_fields(reader, stream, start) if reader.header is None else []
                    writer = make_writer(target.ending if target else "", reader, first, scanner, options)
                writer.check(reader)
            except DumpError as error:
                if name in named:
                    raise
                failed.append(f"{error}; or leave it out: --exclude {quoted(Path(name).name)}")
                continue
        for remark in (*guesses(reader, named=options.text is not None), *_clashes(reader, writer)):
            notify(remark)
        prepared.append(Source(reader, start, size, None if lasting else stream))
    if failed:
        more = [f"And {len(failed) - MOST_ERRORS:,} more"] if len(failed) > MOST_ERRORS else []
        raise DumpError(". ".join(failed[:MOST_ERRORS] + more))
    readers = [source.reader for source in prepared]
    _refuse_options(options, readers, writer)
    if not options.filenames and (lost := dict.fromkeys(name for reader in readers for name in _partitions(reader))):
        where = f"the values of {', '.join(lost)} are only in the names of folders"
        notify(f"{where}, so they are not in the output: --filenames adds file and line of each row")
    return writer, prepared


def _partitions(reader: Reader) -> list[str]:
    """Return the columns that are only in the names of a source's folders, as Spark and Hive write them (``dt=1``)."""
    names = (part.split("=")[0] for part in Path(reader.source).parts[:-1] if PARTITION.fullmatch(part))
    return [name for name in names if not reader.rowless and name not in reader.fields]


def _reader(stream: Stream, scanner: Scanner, options: Options) -> Reader:
    by, *alternatives = options.by if isinstance(options.by, tuple) else [options.by]
    return make_reader(
        stream,
        options.format,
        options.encoding,
        options.delimiter,
        text=options.text,
        by=by,
        alternatives=alternatives,
        sender=options.sender,
        header_line=options.header_line,
        limit=options.max_message,
        ours=frozenset([*names_of(scanner, proba=True), *OPTIONAL]),
    )


def _first_fields(reader: Reader, stream: Stream, start: Place) -> list[str]:
    """Return the fields of the rows at the start of a source, for writers that need a header."""
    head = Head(stream.peek(start.offset + reader.limit)[start.offset if reader.by_line else 0 :])
    for block in reader.blocks(head, start):
        if raws := reader.batch([block]).raws:
            return list(dict.fromkeys(name for raw in raws for name in reader.as_dict(raw)))
    return []


def guesses(reader: Reader, *, named: bool) -> Iterator[str]:
    """Yield what a prepared reader guessed, for notices; ``named`` is whether the user named the text column."""
    if reader.encoding != "utf-8" and not isinstance(reader, ParquetReader):  # it decodes byte columns only
        yield f"{reader.source} is read as {reader.encoding.upper()}"
    if reader.rivals or not (named or reader.text is None or is_text_column(reader.text)):
        others = ", ".join(map(repr, reader.rivals)) or "another column"
        yield f"{reader.source}: the text is taken from {reader.text!r}; if it is in {others}, name that with --text"
    for doubt in reader.doubts:
        yield f"{reader.source} {doubt}"


def _clashes(reader: Reader, writer: Writer) -> Iterator[str]:
    """Yield notices of columns of a source that the output does not keep, because they are called like ours."""
    added = {*writer.ours, *writer.proba}
    for written, what in ((True, "replaced"), (False, "left out, because this job does not add them")):
        if names := [name for name in reader.replaced if (name in added) == written]:
            yield f"{reader.source}: {', '.join(names)} already existed and will be {what}"


def _refuse_options(options: Options, readers: Sequence[Reader], writer: Writer) -> None:
    """Refuse options for formats that are neither read nor written, and for columns that no source has."""
    lacking = [reader.by is None for reader in readers if not reader.rowless]
    if options.by is not None and lacking and all(lacking):
        columns = " or ".join(map(repr, options.by))
        raise DumpError(f"no source has a column called {columns}: name the one that the conversations have")
    check_table_options(options.delimiter, options.header_line, readers)
    if (options.bom or options.safe_csv) and writer.name != "csv":
        option, what = "--bom" if options.bom else "--safe-csv", CALLED[writer.name]
        raise DumpError(
            f"{option} is for CSV, but the output is {what}: leave it out, or name an output that ends with .csv"
        )
