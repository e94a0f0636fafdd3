"""Read and write Parquet with pyarrow (the ``parquet`` extra).

A Parquet file has its schema at its end, so it cannot be written piece by piece and
resumed after a kill. A job therefore writes the rows of each task as an Arrow stream, and
the file is assembled from these streams, many to a row group, when all rows are scored.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fraudscan.dump.jsontext import dump_json
from fraudscan.dump.output import create, written
from fraudscan.dump.readers import BLOCK, SHOWN, TOO_LONG, Reader, key_of
from fraudscan.dump.rows import Batch, Block, DumpError, Place, Reject
from fraudscan.dump.sources import is_file

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from fraudscan.dump.streams import Stream

__all__ = ["ParquetReader", "arrow_stream", "assemble", "empty_stream", "with_column"]

ROW = 256
"""Assumed bytes per row, so that blocks are about as large as those of other formats."""

AHEAD = 1 << 16
"""Bytes of each column that are read from the file at a time. Without such a limit, all of the column in a row group
are, and some programs write a whole dump as one row group."""

HELD = 1 << 26
"""Maximum bytes of the rows that are read together: all of them may share one long value of a dictionary."""

GROUP = 1 << 26
"""Bytes of memory for a row group of an output. Each group has an entry for each column at the end of the file, which
is held until the file is complete: small groups make it large."""

ARRAY = 1 << 10
"""Approximate bytes that an Arrow array takes beside its values."""

TEXTUAL = re.compile("(?:dictionary<values=)?(?:large_)?(?:string|binary)")
"""Matches the beginning of Arrow's names of the types that a text column may have."""

MAX_DEPTH = 32
"""Maximum nesting depth of a type: Arrow's streams take 63 levels, and its Parquet reader fewer."""


class _Arrow:
    """Stands for pyarrow, which is imported when it is used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # `hasattr` and tools look for these
            raise AttributeError(name)
        try:
            import pyarrow.compute
            import pyarrow.parquet
        except ImportError:
            raise DumpError('Parquet needs pyarrow: pip install "fraudscan[parquet]"') from None
        return getattr(pyarrow, name)


pa = _Arrow()


@dataclass
class ParquetReader(Reader):
    """Reads the rows of a Parquet file, row group by row group; the offset of a place is the number of a row.

    A block may have the rows of many small row groups, which some programs write one per message.
    """

    name: ClassVar[str] = "parquet"
    by_line: ClassVar[bool] = False
    kinds: dict[str, Any] = field(default_factory=dict)
    """The Arrow types of the columns, by name."""

    def prepare(self, stream: Stream) -> Place:
        """Read the schema."""
        if stream.packed or not is_file(stream.source):  # a named pipe would block
            raise DumpError(f"{stream.source}: Parquet is read from a plain file only; unpack or save it first")
        schema = self.open(self.source).schema_arrow
        self.header = list(schema.names)
        self.kinds = dict(zip(schema.names, schema.types, strict=True))
        self.find([self.header])
        types = pa.types
        if self.text is not None and types.is_nested(kind := self.kinds[self.text]):
            how = f"col('{self.text}.…')" if types.is_struct(kind) else f"concat_ws(' ', col('{self.text}'))"
            raise DumpError(
                f"{self.source}: {self.text!r} is not a text: make a text column from it first, in Spark with "
                f"withColumn('text', {how})"
            )
        if self.sender is not None and types.is_nested(self.kinds[self.sender]):
            raise self.nested_sender
        return Place(0, 1)

    def textless(self, row: Collection[str], column: str) -> bool:  # noqa: ARG002 - all rows have the same types
        """Return whether the type of a column is not one of text."""
        return TEXTUAL.match(str(self.kinds[column])) is None

    @staticmethod
    def open(source: str, dictionaries: Sequence[str] = ()) -> Any:
        """Open a Parquet file, or refuse what is none; the columns in ``dictionaries`` stay dictionaries."""
        try:
            file = pa.OSFile(os.fsencode(source))
            options = {"pre_buffer": False, "buffer_size": AHEAD, "read_dictionary": dictionaries}
            # Spark's timestamps: nanoseconds end in 2262, and Spark does not read them
            return pa.parquet.ParquetFile(file, **options, coerce_int96_timestamp_unit="us")
        except MemoryError:  # Arrow's is an ArrowException, too, but no damage
            raise
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DumpError(f"{source} is not a Parquet file that can be read: {error}") from None

    def blocks(self, stream: Stream, start: Place) -> Iterator[Block]:  # noqa: ARG002 - Parquet is read from its end
        """Yield blocks of a limited number of rows; row groups that lie before ``start`` are skipped."""
        rows_of_block = min(BLOCK, self.limit) // ROW
        file = self.open(self.source)
        held: list[Any] = []
        begin = end = start.offset
        size, problem = 0, ""
        try:
            for part in self._parts(file, rows_of_block, start.offset):
                if held and (end + part.num_rows - begin > rows_of_block or size + part.nbytes > BLOCK):
                    whole, held = held, []
                    yield _block(whole, begin)
                    begin, size = end, 0
                held.append(part)
                end, size = end + part.num_rows, size + part.nbytes
        except MemoryError:
            raise
        except (pa.ArrowException, OSError, ValueError) as error:
            problem = f"the file cannot be read any further: {error}"
        if held:
            yield _block(held, begin)
        if problem:
            yield Block(Place(end, end + 1), Place(end + 1, end + 2), b"", problem, fatal=True)

    def _parts(self, file: Any, rows_of_block: int, start: int) -> Iterator[Any]:
        """Yield the rows from ``start`` on in parts, each of one row group; one of them begins at ``start``."""
        done = 0
        for group in range(file.num_row_groups):
            rows = file.metadata.row_group(group).num_rows
            if done + rows <= start:
                done += rows
                continue
            # raises an error if the metadata of a column are damaged; asking for them would end the process
            next(file.iter_batches(1, row_groups=[group], use_threads=False), None)
            batch_size = min(rows_of_block, self._rows_held(file, group, rows_of_block))
            batches = file.iter_batches(batch_size, row_groups=[group], use_threads=False)
            for part in itertools.chain.from_iterable(map(_small, batches)):
                if done >= start:
                    yield part
                done += part.num_rows

    def _rows_held(self, file: Any, group: int, most: int) -> int:
        """Return how many rows of a row group fit into `HELD` bytes, at least one; the caller takes at most ``most``.

        A value of fixed length counts with that length in each row. A column with a dictionary counts with its size or,
        if ``most`` rows of that size do not fit, with its longest value, which the file has once but all rows may hold.
        """
        size = 0
        metadata = file.metadata.row_group(group)
        for i in range(metadata.num_columns):
            column, kind = metadata.column(i), file.schema.column(i)
            longest = max(kind.length, 0) if column.physical_type == "FIXED_LEN_BYTE_ARRAY" else 0
            if any("DICTIONARY" in name for name in column.encodings) and column.physical_type == "BYTE_ARRAY":
                longest = column.total_uncompressed_size
                if longest * most > HELD:
                    longest = self._longest(group, kind.path, most)
            size += longest * max(1, column.num_values // max(1, metadata.num_rows))
        return max(1, HELD // max(1, size))

    def _longest(self, group: int, path: str, rows: int) -> int:
        """Return the bytes of the longest value in a column's dictionary, which is read ``rows`` rows at a time."""
        parts = self.open(self.source, [path]).iter_batches(rows, row_groups=[group], columns=[path], use_threads=False)
        try:
            return next(filter(None, (_longest(part.column(0)) for part in parts)), 0)
        except MemoryError:
            raise
        except (pa.ArrowException, OSError):  # damage is reported when the rows are read
            return 0

    def fill(self, batch: Batch, block: Block) -> None:
        """Add the rows as an Arrow table, which keeps the types; texts may have any type that can be shown as text."""
        with pa.ipc.open_stream(block.data) as stream:
            table = stream.read_all()
        texts, keys = (self.texts(table.column(name)) if name is not None else [] for name in (self.text, self.by))
        bad = []
        for i, text in enumerate(texts):
            if problem := self._problem(text):
                bad.append(i)
                values = (_plain(column_values(column.slice(i, 1))[0]) for column in table.columns)
                row = dict(zip(self.columns, values, strict=True))
                raw = dump_json(row).decode()[: SHOWN if problem == TOO_LONG else None]
                batch.rejects.append(Reject(block.start.line + i, block.start.offset + i, problem, raw))
                continue
            batch.texts.append(text)
            batch.lines.append(block.start.line + i)
            if self.by is not None:
                batch.keys.append(key_of(_plain(keys[i])))
        table = table.select(self.kept)
        if bad:  # by slices, because `take` does not support all types
            edges = itertools.pairwise([-1, *bad, len(texts)])
            table = pa.concat_tables([table.slice(a + 1, b - a - 1) for a, b in edges])
        batch.raws = table

    def rows(self, batch: Batch) -> list[list[Any]]:
        """Return the rows as lists. Bytes are Base64, except in the columns that the job reads, which hold texts."""
        if not batch.texts:
            return []
        columns = [
            [_plain(value) for value in (self.texts(column) if name in self.needed else column_values(column))]
            for name, column in zip(batch.raws.column_names, batch.raws.columns, strict=True)
        ]
        return list(map(list, zip(*columns, strict=True)))

    def values(self, batch: Batch, column: str) -> list[Any]:
        """Return the values of one column, with bytes as text; ``None`` in each row if there is no such column."""
        known = batch.texts and column in self.kept_columns
        return self.texts(batch.raws.column(column)) if known else [None] * len(batch.texts)

    def texts(self, column: Any) -> list[Any]:
        """Return the values of a text column, decoded if they are bytes: Hive and Impala do not mark theirs as text."""
        return [_decoded(value, self.encoding) for value in column_values(column)]

    def _problem(self, text: Any) -> str:
        if text is None:
            return f"{self.text!r} is missing"
        if not isinstance(text, str):
            return self.not_encoded if isinstance(text, bytes) else f"{self.text!r} is not a text"
        return TOO_LONG if 4 * len(text) > self.limit and len(text.encode()) > self.limit else ""


def _block(parts: Sequence[Any], begin: int) -> Block:
    """Return consecutive parts of a file as a block; ``begin`` is the number of rows before them."""
    table = pa.Table.from_batches(parts)
    end = begin + table.num_rows
    return Block(Place(begin, begin + 1), Place(end, end + 1), _stream_of(table))


def _small(part: Any) -> Iterator[Any]:
    """Yield a batch in pieces that are either a single row or at most about `BLOCK` bytes, dictionaries expanded."""
    sizes = sum(map(_sizes, part.columns), np.zeros(part.num_rows, dtype=np.int64))
    begin = 0
    for end in np.flatnonzero(np.diff(sizes.cumsum() // BLOCK)).tolist() + [part.num_rows - 1] * (part.num_rows > 0):
        yield _compact(part.slice(begin, end + 1 - begin))
        begin = end + 1


def _compact(part: Any) -> Any:
    """Return a batch without the values of dictionaries that none of its rows has, if there are more than rows.

    The batches of a row group share one dictionary, with which each block and each task's output would be written.
    Dictionaries whose order has a meaning are kept, and so are those inside other values.
    """
    columns = list(part.columns)
    for i, column in enumerate(columns):
        kind = column.type
        if pa.types.is_dictionary(kind) and not kind.ordered and len(column.dictionary) > len(column):
            used = column.indices.unique().drop_null()
            used = used.take(pa.compute.array_sort_indices(used))  # in the order of the dictionary
            places = pa.compute.index_in(column.indices, used).cast(kind.index_type)
            columns[i] = pa.DictionaryArray.from_arrays(places, column.dictionary.take(used))
    return pa.RecordBatch.from_arrays(columns, schema=part.schema)


def _longest(column: Any) -> int:
    """Return the bytes of the longest value of the dictionaries in a column."""
    kind, types = column.type, pa.types
    if types.is_dictionary(kind):
        return pa.compute.max(pa.compute.binary_length(column.dictionary)).as_py() or 0
    inner = column.flatten() if types.is_struct(kind) else [column.values] if hasattr(column, "values") else []
    return max(map(_longest, inner), default=0)


def _sizes(column: Any) -> Any:
    """Return the approximate bytes of each value of a column; a value that many rows share counts in each of them."""
    kind, types = column.type, pa.types
    if types.is_dictionary(kind):
        sizes = np.append(_sizes(column.dictionary), 0)
        return sizes[column.indices.cast(pa.int64()).fill_null(len(sizes) - 1).to_numpy(zero_copy_only=False)]
    if any(test(kind) for test in (types.is_string, types.is_binary, types.is_large_string, types.is_large_binary)):
        return pa.compute.binary_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    return np.full(len(column), column.nbytes // max(1, len(column)), dtype=np.int64)


def with_column(
    source: str, out: BinaryIO, name: str, columns: Sequence[str], value: Callable[[dict[str, Any], int], str]
) -> None:
    """Copy a Parquet file with new texts in one of its columns.

    Args:
        source: the file to copy.
        out: the file to write.
        name: the column to replace.
        columns: the columns that ``value`` needs.
        value: returns the new text, given a row (the values of ``columns``) and its number, from 1.

    """
    file = ParquetReader.open(source)
    schema = file.schema_arrow
    at = schema.get_field_index(name)
    numbers = itertools.count(1)

    def changed(batch: Any) -> Any:
        table = pa.Table.from_batches([_compact(batch)])
        rows = table.select([column for column in columns if column in schema.names]).to_pylist()
        texts = pa.array(list(map(value, rows, numbers)), schema.field(at).type)
        return table.set_column(at, schema.field(at), texts)

    def batches() -> Iterator[Any]:
        try:
            yield from file.iter_batches(BLOCK // ROW)
        except MemoryError:
            raise
        except (pa.ArrowException, OSError, ValueError) as error:
            raise DumpError(f"{source} cannot be read any further: {error}") from None

    with pa.parquet.ParquetWriter(out, schema, compression="zstd") as writer:
        for group in _groups(map(changed, batches())):
            writer.write_table(group)


def _groups(tables: Iterable[Any]) -> Iterator[Any]:
    """Yield the tables, joined until they take about `GROUP` bytes; all that they depend on is the tables."""
    held: list[Any] = []
    size = 0
    for table in tables:
        held.append(table)
        size += table.nbytes + ARRAY * table.num_columns
        if size >= GROUP:
            yield pa.concat_tables(held)
            held, size = [], 0
    if held:
        yield pa.concat_tables(held)


def column_values(column: Any) -> list[Any]:
    """Return a column as Python values. Values without a Python type become text, or bytes where that fails.

    Durations become numbers followed by their unit, because Python has no nanoseconds.
    """
    kind = column.type
    if pa.types.is_duration(kind):
        return [value and f"{value}{kind.unit}" for value in column.cast(pa.string()).to_pylist()]
    if pa.types.is_float32(kind):  # 0.1 becomes 0.1, not the double next to it, 0.10000000149011612
        return [value and float(value) for value in column.cast(pa.string()).to_pylist()]
    if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        try:
            column = column.cast(pa.string())
        except pa.ArrowInvalid:  # the system does not know the time zone, or has no time zones: use UTC
            moments = column.cast(pa.timestamp(kind.unit)).cast(pa.string())
            return [moment and f"{moment}Z" for moment in moments.to_pylist()]
    try:
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)  # Arrow is slow to return the values of a dictionary
        return list(column.to_pylist())
    except (ValueError, OverflowError, pa.ArrowException):  # strings that are not UTF-8, times that Python lacks
        return list(map(_value, column))


def _value(item: Any) -> Any:
    """Return an Arrow scalar as a Python object, with bytes for text that is not UTF-8.

    A time or duration that Python cannot represent becomes a number with its unit, and a struct with two fields of one
    name becomes a list of pairs.
    """
    with contextlib.suppress(ValueError, OverflowError):
        return item.as_py()
    if hasattr(item, "as_buffer"):
        return bytes(item.as_buffer())
    if isinstance(item, pa.StructScalar):
        pairs = [(name, _value(value)) for name, value in item.items()]
        return dict(pairs) if len(dict(pairs)) == len(pairs) else pairs
    if isinstance(item, pa.ListScalar):
        values = map(_value, item.values)
        return [tuple(pair.values()) for pair in values] if isinstance(item, pa.MapScalar) else list(values)
    if isinstance(item.value, pa.Scalar):
        return _value(item.value)
    return f"{item.value}{getattr(item.type, 'unit', '')}"


def _decoded(value: Any, encoding: str) -> Any:
    """Return bytes, also those in a list, decoded as UTF-8 or else as ``encoding``; other values are unchanged."""
    if isinstance(value, list):
        return [_decoded(item, encoding) for item in value]
    for known in ("utf-8", encoding) if isinstance(value, bytes) else ():
        with contextlib.suppress(UnicodeDecodeError):
            return value.decode(known)
    return value


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold: bytes become Base64, and any other type that JSON lacks becomes text."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def arrow_stream(columns: dict[str, Sequence[Any]], table: Any = None) -> bytes:
    """Return one block of output: its length, then the columns of ``table`` and ``columns`` after them.

    If the values of a column have no common type, texts stay as they are and all others become JSON, as in CSV. Halves
    of surrogate pairs, which Arrow cannot hold, become escapes.
    """
    arrays = {} if table is None else {name: table.column(name).combine_chunks() for name in table.column_names}
    for name, values in columns.items():
        try:
            kind = pa.list_(pa.string()) if values and isinstance(values[0], tuple) else None
            array = pa.array(values, kind)
            if _depth(array.type) > MAX_DEPTH:
                array = pa.array(list(map(_as_text, values)), pa.string())
        except (pa.ArrowException, TypeError, OverflowError, UnicodeEncodeError):
            array = pa.array(list(map(_as_text, values)), pa.string())
        arrays[name] = array
    return _framed(pa.table(arrays))


def empty_stream(known: dict[str, Any], columns: dict[str, type | None]) -> bytes:
    """Return a block of output with all columns and no rows, so that an output without rows has the columns too.

    ``known`` are the Arrow types of the columns of Parquet sources. The Python type in ``columns`` is ``list`` for
    lists of texts, and ``None`` if it depends on the rows.
    """
    kinds: dict[Any, Any] = {str: pa.string(), int: pa.int64(), float: pa.float64(), None: pa.null()}
    kinds[list] = pa.list_(pa.string())
    fields = [(name, known.get(name, kinds[kind])) for name, kind in columns.items()]
    return _framed(pa.schema(fields).empty_table())


def _framed(table: Any) -> bytes:
    data = _stream_of(table)
    return len(data).to_bytes(8, "little") + data


def _stream_of(table: Any) -> bytes:
    """Return a table as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _as_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return None if value is None else dump_json(value).decode()


def _depth(kind: Any) -> int:
    """Return how deeply lists and structs are nested in a type."""
    types = pa.types
    inner = [kind.value_type] if types.is_list(kind) else [f.type for f in kind] if types.is_struct(kind) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


def _tables(path: Path) -> Iterator[Any]:
    with path.open("rb") as file:
        while size := file.read(8):
            with pa.ipc.open_stream(file.read(int.from_bytes(size, "little"))) as stream:
                yield stream.read_all()


def assemble(part: Path, target: Path) -> None:
    """Write the Parquet file from the Arrow streams in ``part``."""
    schema = _joined_schema(part)

    def converted(table: Any) -> Any:
        arrays = [
            _as(table.column(name), kind) if name in table.schema.names else pa.nulls(table.num_rows, kind)
            for name, kind in zip(schema.names, schema.types, strict=True)
        ]
        return pa.table(arrays, schema=schema)

    with (
        written(target),
        create(target) as file,
        pa.parquet.ParquetWriter(file, schema, compression="zstd") as writer,
    ):
        for group in _groups(map(converted, filter(len, _tables(part)))):
            writer.write_table(group)


def _joined_schema(part: Path) -> Any:
    """Return the schema with the columns of all blocks.

    Where the types of a column differ, it gets the wider one, or becomes JSON if no type of Parquet holds all values.
    """
    kinds: dict[str, Any] = {}
    joined = set()
    for table in _tables(part):
        for name, kind in zip(table.schema.names, table.schema.types, strict=True):
            if (known := kinds.setdefault(name, kind)) != kind:
                kinds[name] = _common(known, kind)
                joined.add(name)
    for table in _tables(part) if joined else ():
        for name in joined.intersection(table.schema.names):
            if not _fits(table.column(name), kinds[name]):
                kinds[name] = pa.string()
    for name, kind in kinds.items():
        if pa.types.is_null(kind) or not _in_parquet(kind):
            kinds[name] = pa.string()
    return pa.schema(list(kinds.items()))


def _common(one: Any, other: Any) -> Any:
    try:
        schemas = [pa.schema([("x", kind)]) for kind in (one, other)]
        return pa.unify_schemas(schemas, promote_options="permissive").field("x").type
    except pa.ArrowException:
        return pa.string()


def _in_parquet(kind: Any) -> bool:
    """Return whether Parquet supports a type: it has none for structs without fields."""
    try:
        pa.parquet.ParquetWriter(pa.BufferOutputStream(), pa.schema([("x", kind)])).close()
    except pa.ArrowException:
        return False
    return True


def _fits(column: Any, kind: Any) -> bool:
    """Return whether a type holds all values: floats cannot hold every whole number beyond 2 ** 53."""
    try:
        _as(column, kind)
    except pa.ArrowException:
        return False
    return True


def _as(column: Any, kind: Any) -> Any:
    if column.type == kind:
        return column
    if pa.types.is_string(kind):
        texts = [_as_text(_plain(value)) for value in column_values(column)]
        return pa.array(texts, kind)
    return column.cast(kind)
