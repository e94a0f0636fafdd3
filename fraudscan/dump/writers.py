"""Writers: the rows as they came, with our columns behind theirs.

A writer makes bytes of a batch and holds nothing from one to the next, so that batches
can be written anywhere and put together in their order.
"""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fraudscan.dump.parquet import arrow_stream
from fraudscan.dump.readers import dump_json
from fraudscan.dump.rows import DumpError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fraudscan.dump.readers import Reader
    from fraudscan.dump.rows import Batch
    from fraudscan.model import Decisions

__all__ = ["COLUMNS", "REST", "CsvWriter", "JsonLinesWriter", "ParquetWriter", "Writer", "make_writer"]

COLUMNS = {
    "fraud_label": "label",
    "fraud_scheme": "scheme",
    "fraud_labels": "labels",
    "fraud_score": "score",
    "fraud_verdict": "verdict",
    "fraud_targets": "targets",
}
"""Our columns, and what of `Decisions` stands in them."""

DIGITS = 6
"""Decimals of a probability in a file."""

REST = "other_fields"
"""The CSV column that holds, as JSON, fields that were not known when the header was written."""

FORMULA = re.compile(r"[=+\-@\t\r]")
NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")


def rounded(values: Any) -> list[Any]:
    """Return probabilities with `DIGITS` decimals, in lists."""
    found: list[Any] = np.round(np.asarray(values, dtype=np.float64), DIGITS).tolist()
    return found


@dataclass
class Writer:
    """Makes output of batches.

    Args:
        names: the columns of ``--proba``, as the scanner orders them; none without it.

    """

    name: ClassVar[str]
    names: tuple[str, ...] = ()

    def head(self) -> bytes:
        """Return what comes before the first row."""
        return b""

    def check(self, reader: Reader) -> None:
        """Refuse a source whose rows cannot be written.

        Raises:
            DumpError: if so.

        """

    def encode(self, reader: Reader, batch: Batch, found: Decisions) -> bytes:
        """Return the rows of a batch."""
        raise NotImplementedError


@dataclass
class JsonLinesWriter(Writer):
    """JSON lines; lists stay lists."""

    name: ClassVar[str] = "jsonl"
    _known: dict[tuple[Any, ...], tuple[bytes, bytes]] = field(default_factory=dict, repr=False)

    def check(self, reader: Reader) -> None:
        """Refuse two columns of one name."""
        header = reader.columns
        if twice := [name for i, name in enumerate(header) if name in header[:i]]:
            raise DumpError(f"two columns are called {twice[0]!r}, which JSON cannot hold: write a .csv file")

    def encode(self, reader: Reader, batch: Batch, found: Decisions) -> bytes:
        """Return the rows: the fields as they came, spliced with ours, of which there are few different ones."""
        raws = batch.raws
        if reader.header is not None:
            header = [reader.columns[i] for i in reader.kept]
            raws = [dump_json(dict(zip(header, raw, strict=True))) for raw in raws]
        # numbers are formatted all together, by the repr of one list, which takes half the time
        scores = repr(rounded(found.score))[1:-1].encode().split(b", ")
        decisions = zip(*(getattr(found, name) for name in COLUMNS.values() if name != "score"), strict=True)
        known = self._known
        lines: list[bytes] = []
        for raw, decision, score in zip(raws, decisions, scores, strict=False):  # no rows give one empty score
            parts = known.get(decision) or self._parts(decision)
            lines += (raw[:-1].rstrip(), parts[0], score, parts[1])
        if self.names:
            tails = [self._probabilities(row) for row in rounded(found.probabilities)]
            lines[3::4] = [end[:-2] + tail for end, tail in zip(lines[3::4], tails, strict=True)]
        return b"".join(lines)

    def _probabilities(self, row: Sequence[float]) -> bytes:
        fields = "".join(f', "fraud_p_{name}": {value}' for name, value in zip(self.names, row, strict=True))
        return f"{fields}}}\n".encode()

    def _parts(self, decision: tuple[Any, ...]) -> tuple[bytes, bytes]:
        """Return the JSON of our columns before and after the score."""
        values = iter(decision)
        text = ""
        for column, name in COLUMNS.items():
            value = "%" if name == "score" else json.dumps(next(values), ensure_ascii=False)
            text += f', "{column}": {value}'
        before, _, after = text.partition("%")
        self._known[decision] = before.encode(), after.encode() + b"}\n"
        return self._known[decision]


@dataclass
class CsvWriter(Writer):
    """Delimited values; lists are joined by ``|``.

    Args:
        columns: those of the input.
        delimiter: one character.
        rest: whether a column `REST` takes the fields that ``columns`` lacks.
        bom: whether the file begins with a byte order mark, without which Excel takes it for another encoding.
        safe: whether text that a spreadsheet would take for a formula gets an apostrophe before it.

    """

    name: ClassVar[str] = "csv"
    columns: list[str] = field(default_factory=list)
    delimiter: str = ","
    rest: bool = False
    bom: bool = False
    safe: bool = False

    def head(self) -> bytes:
        """Return the header."""
        proba = [f"fraud_p_{name}" for name in self.names]
        header = [*self._safe(self.columns), *([REST] if self.rest else []), *COLUMNS, *proba]
        return (b"\xef\xbb\xbf" if self.bom else b"") + self._lines([header])

    def check(self, reader: Reader) -> None:
        """Refuse a source with another header, which the file has no place for."""
        if not self.rest and (reader.header is None or [reader.columns[i] for i in reader.kept] != self.columns):
            raise DumpError(f"{reader.source} lacks the columns of the first source: score it on its own, or to .jsonl")

    def encode(self, reader: Reader, batch: Batch, found: Decisions) -> bytes:
        """Return the rows."""
        columns = [
            rounded(values) if name == "score" else ["|".join(v) if isinstance(v, tuple) else v for v in values]
            for name, values in ((name, getattr(found, name)) for name in COLUMNS.values())
        ]
        proba = rounded(found.probabilities) if self.names else [[]] * len(batch.texts)
        rows: Iterable[list[Any]] = (self._row(reader, raw) if self.rest else raw for raw in batch.raws)
        if self.safe:
            rows = map(self._safe, rows)
        ours = zip(*columns, strict=True)
        return self._lines([*row, *our, *tail] for row, our, tail in zip(rows, ours, proba, strict=True))

    def _row(self, reader: Reader, raw: Any) -> list[Any]:
        row = as_dict(reader, raw)
        values = [_cell(row.pop(name, None)) for name in self.columns]
        return [*values, json.dumps(row, ensure_ascii=False) if row else ""]

    @staticmethod
    def _safe(row: Iterable[Any]) -> list[Any]:
        return [f"'{x}" if isinstance(x, str) and FORMULA.match(x) and not NUMBER.fullmatch(x) else x for x in row]

    def _lines(self, rows: Iterable[Sequence[Any]]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self.delimiter).writerows(rows)
        return text.getvalue().encode("utf-8", "backslashreplace")


def as_dict(reader: Reader, raw: Any) -> dict[str, Any]:
    """Return a row as a dictionary."""
    if reader.header is None:
        row: dict[str, Any] = json.loads(raw)
        return row
    return {reader.columns[i]: value for i, value in zip(reader.kept, raw, strict=True)}


def _cell(value: Any) -> Any:
    """Return a value as CSV can hold it: what is neither text nor a number becomes JSON."""
    return value if value is None or type(value) in (str, int, float) else json.dumps(value, ensure_ascii=False)


@dataclass
class ParquetWriter(Writer):
    """Blocks of a Parquet file, which `parquet.assemble` puts together."""

    name: ClassVar[str] = "parquet"

    def check(self, reader: Reader) -> None:
        """Let Parquet keep its types; refuse two columns of one name."""
        JsonLinesWriter.check(self, reader)  # type: ignore[arg-type]
        if hasattr(reader, "arrow"):
            reader.arrow = True

    def encode(self, reader: Reader, batch: Batch, found: Decisions) -> bytes:
        """Return the rows as one Arrow stream."""
        columns: dict[str, Sequence[Any]] = {}
        table = batch.raws if getattr(reader, "arrow", False) else None
        if table is None:
            rows = [as_dict(reader, raw) for raw in batch.raws]
            names = dict.fromkeys(name for row in rows for name in row)
            columns = {name: [row.get(name) for row in rows] for name in names}
        for column, name in COLUMNS.items():
            values = getattr(found, name)
            columns[column] = rounded(values) if name == "score" else values
        for name, values in zip(self.names, np.asarray(found.probabilities).T, strict=bool(self.names)):
            columns[f"fraud_p_{name}"] = rounded(values)
        return arrow_stream(list(columns), list(columns.values()), table) if batch.texts else b""


def make_writer(  # noqa: PLR0913 - what the command line offers
    target: str, reader: Reader, first: Sequence[str], *, names: tuple[str, ...], bom: bool, safe: bool
) -> Writer:
    """Return the writer for ``target``: by its ending, else CSV for CSV and JSON lines for the rest.

    Args:
        target: the file to write.
        reader: that of the first source.
        first: the fields of its first rows, for a source without a header.
        names: as in `Writer`.
        bom: as in `CsvWriter`.
        safe: as in `CsvWriter`.

    """
    endings = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}
    kind = next((kind for ending, kind in endings.items() if target.lower().endswith(ending)), None)
    if kind == "parquet":
        return ParquetWriter(names)
    if kind == "jsonl" or (kind is None and reader.name != "csv"):
        return JsonLinesWriter(names)
    delimiter = "\t" if target.lower().endswith(".tsv") else getattr(reader, "delimiter", ",")
    if reader.header is not None:
        columns, rest = [reader.columns[i] for i in reader.kept], False
    else:
        columns, rest = list(first), True
    return CsvWriter(names, columns=columns, delimiter=delimiter, rest=rest, bom=bom, safe=safe)
