"""Data frames: a copy of the frame is returned, with our columns after its own.

pandas, polars and pyarrow are imported only when one of their frames is passed in. Texts and
senders are read from the frame in blocks.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

from fraudscan.columns import Columns, check_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fraudscan.model import Scanner

__all__ = ["BLOCK", "annotate"]

BLOCK = 1 << 13
"""Rows read from a frame at a time, and rows of a chunk of Arrow's."""


def annotate(scanner: Scanner, frame: Any, text: str = "text", *, sender: str | None = None, **options: bool) -> Any:
    """Return a copy of ``frame`` with the decisions on its texts; see `Scanner.annotate`."""
    if as_table := TABLES.get(_kinds(frame)[0]):
        frame = as_table(frame)
    kinds = _kinds(frame)
    known = next((kind for kind in kinds if kind in FRAMES), None)  # a GeoPandas frame is also a pandas frame
    if known is None:
        package, _, name = kinds[0].partition(".")
        hint = HINTS.get(package.strip("_")) or HINTS.get(name, "")
        raise TypeError(f"annotate takes a pandas or polars DataFrame or a pyarrow Table, not {kinds[0]}{hint}")
    names, blocks, attach = FRAMES[known]
    ours = check_columns(scanner, names(frame), text, sender, **options)
    wanted = [text] if sender is None else [text, sender]
    columns = Columns(scanner, **options)
    for block in blocks(frame, wanted):
        columns.add(*block)
    return attach(frame, columns, ours)


def _kinds(frame: Any) -> list[str]:
    """Return the package and name of the type of a frame, and of the types that it inherits from."""
    return [f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(frame).__mro__]


def _table_of_batch(batch: Any) -> Any:
    import pyarrow as pa

    return pa.Table.from_batches([batch])


def _pandas_blocks(frame: Any, wanted: list[str]) -> Iterator[list[list[Any]]]:
    series = [frame[name] for name in wanted]
    for start in range(0, len(frame), BLOCK):
        yield [column.iloc[start : start + BLOCK].tolist() for column in series]


def _pandas_attach(frame: Any, columns: Columns, ours: list[str]) -> Any:
    import numpy as np
    import pandas as pd

    text = "str" if int(pd.__version__.split(".")[0]) >= 3 else object
    new: dict[str, Any] = dict(columns.numbers())
    for name, (values, places, lists) in columns.choices().items():
        if lists:
            table = np.empty(len(values), dtype=object)
            table[:] = values
            new[name] = table[places]
        else:
            new[name] = pd.Series(values, dtype=text).array.take(places)
    added = pd.DataFrame({name: new[name] for name in ours}, index=frame.index)
    out = pd.concat([frame, added], axis=1)  # at once: pandas warns if a frame grows by a hundred columns
    out.columns = reduce(lambda names, name: names.insert(len(names), name), ours, frame.columns)  # same index type
    return out.__finalize__(frame)


def _polars_blocks(frame: Any, wanted: list[str]) -> Iterator[list[list[Any]]]:
    for block in frame.iter_slices(BLOCK):
        yield [block[name].to_list() for name in wanted]


def _polars_attach(frame: Any, columns: Columns, ours: list[str]) -> Any:
    import polars as pl

    new = {name: pl.Series(name, values).fill_nan(None) for name, values in columns.numbers().items()}
    for name, (values, places, lists) in columns.choices().items():
        new[name] = pl.Series(name, values, pl.List(pl.String) if lists else pl.String).gather(places)
    return frame.with_columns([new[name] for name in ours])


def _arrow_blocks(table: Any, wanted: list[str]) -> Iterator[list[list[Any]]]:
    table = table.select(wanted)
    for start in range(0, len(table), BLOCK):  # across chunks, which may be of a few rows
        yield [_arrow_values(column) for column in table.slice(start, BLOCK).columns]


def _arrow_values(column: Any) -> list[Any]:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind) and kind.value_type in (pa.string(), pa.large_string()):
        column = column.cast(pa.large_string())  # Arrow is slow to return the values of a dictionary
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:  # Arrow and Spark do not validate strings
        values = [_decoded(value) for value in column.cast("binary").to_pylist()]
    return values


def _decoded(value: bytes | None) -> str | bytes | None:
    """Decode an Arrow string. If it is not UTF-8, return the bytes, which get no decision."""
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return value


def _arrow_attach(table: Any, columns: Columns, ours: list[str]) -> Any:
    import numpy as np
    import pyarrow as pa

    new = {name: pa.array(values, from_pandas=True) for name, values in columns.numbers().items()}
    for name, (values, places, lists) in columns.choices().items():
        kind = pa.list_(pa.string()) if lists else pa.string()
        few = pa.array(values, kind) if len(values) <= BLOCK else None
        parts = []
        for start in range(0, len(places), BLOCK):  # one array holds 2 GiB, which all values together may exceed
            own = places[start : start + BLOCK]
            if few is None:
                used, own = np.unique(own, return_inverse=True)
            parts.append((pa.array([values[i] for i in used], kind) if few is None else few).take(pa.array(own)))
        new[name] = pa.chunked_array(parts, kind)
    for name in ours:
        table = table.append_column(name, new[name])
    return table


FRAMES: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]] = {
    "pandas.DataFrame": (lambda frame: frame.columns, _pandas_blocks, _pandas_attach),
    "polars.DataFrame": (lambda frame: frame.columns, _polars_blocks, _polars_attach),
    "pyarrow.Table": (lambda table: table.column_names, _arrow_blocks, _arrow_attach),
}
"""For each type of frame, functions that return its column names, yield some of its columns in blocks, and append our
columns."""

TABLES: dict[str, Callable[[Any], Any]] = {
    "pyarrow.RecordBatch": _table_of_batch,
    "pyarrow.RecordBatchReader": lambda reader: reader.read_all(),
}
"""For types that are read as a pyarrow Table, functions that return it. DuckDB returns such readers."""

HINTS = {
    "LazyFrame": "; call collect() first, or stay lazy with frame.map_batches(scanner.annotate, "
    "schema=scanner.annotate(frame.head(0).collect()).schema, projection_pushdown=False, streamable=True)",
    "Series": "; call to_frame() first",
    "dask": "; call frame.map_partitions(scanner.annotate)",
    "dask_expr": "; call frame.map_partitions(scanner.annotate)",
    "duckdb": "; call df(), pl() or arrow() first",
    "pyspark": "; for Spark use fraudscan.spark.annotate",
}
"""What to do with other types, by their package or name."""
