"""Writers: the rows as they came, with our columns behind theirs."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, BinaryIO

from fraudscan.dump.readers import CsvReader, DumpError, LinesReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fraudscan.dump.readers import Reader, Record
    from fraudscan.model import Decisions

__all__ = ["COLUMNS", "CsvWriter", "JsonLinesWriter", "open_writer"]

COLUMNS = ("fraud_label", "fraud_scheme", "fraud_labels", "fraud_score", "fraud_verdict", "fraud_targets")
DIGITS = 6
"""Decimals of a probability in a file."""


class JsonLinesWriter:
    """JSON lines; lists stay lists."""

    def __init__(self, file: BinaryIO, reader: Reader, names: Sequence[str], *, proba: bool) -> None:
        header = reader.header if isinstance(reader, CsvReader) else []
        if twice := [name for i, name in enumerate(header) if name in header[:i]]:
            raise DumpError(f"two columns are called {twice[0]!r}, which JSON cannot hold: write a .csv file")
        self._file = file
        self._reader = reader
        self._names = [f"fraud_p_{name}" for name in names] if proba else []
        self._known: dict[tuple[Any, ...], tuple[str, str]] = {}

    def write(self, records: Sequence[Record], found: Decisions) -> None:
        """Write the rows of ``records``."""
        lines = []
        rows = zip(
            found.label, found.scheme, found.labels, found.verdict, found.targets, found.score, records, strict=True
        )
        for i, (*decision, score, record) in enumerate(rows):
            before, after = self._parts(tuple(decision))
            columns = before + str(round(score, DIGITS)) + after
            for name, value in zip(self._names, found.probabilities[i].tolist() if self._names else [], strict=True):
                columns += f', "{name}": {round(value, DIGITS)}'
            row = self._open(record.raw)
            lines += [row, b", " if len(row) > 1 else b"", columns.encode(), b"}\n"]
        self._file.write(b"".join(lines))

    def _open(self, raw: Any) -> bytes:
        """Return the row as JSON without its closing brace."""
        if isinstance(raw, bytes):
            return raw[:-1].rstrip()
        if isinstance(raw, str):
            raw = {"text": raw}
        elif isinstance(self._reader, CsvReader):
            raw = {self._reader.header[i]: field for i, field in zip(self._reader.kept, raw, strict=True)}
        return json.dumps(raw, ensure_ascii=False)[:-1].encode("utf-8", "surrogatepass")

    def _parts(self, decision: tuple[Any, ...]) -> tuple[str, str]:
        """Return the JSON of a decision before and after its score; there are few different ones."""
        if decision not in self._known:
            label, scheme, labels, verdict, targets = (json.dumps(x, ensure_ascii=False) for x in decision)
            before = f'"fraud_label": {label}, "fraud_scheme": {scheme}, "fraud_labels": {labels}, "fraud_score": '
            self._known[decision] = before, f', "fraud_verdict": {verdict}, "fraud_targets": {targets}'
        return self._known[decision]


class CsvWriter:
    """Delimited values with the input's delimiter (comma for plain lines); lists are joined by ``|``."""

    def __init__(self, file: BinaryIO, reader: Reader, names: Sequence[str], *, proba: bool) -> None:
        if isinstance(reader, CsvReader):
            header, delimiter = [reader.header[i] for i in reader.kept], reader.delimiter
        elif isinstance(reader, LinesReader):
            header, delimiter = ["text"], ","
        else:
            raise DumpError("JSON lines may have other fields in every row: write them to a .jsonl file")
        self._file = file
        self._proba = proba
        self._delimiter = delimiter
        columns = [f"fraud_p_{name}" for name in names] if proba else []
        self._write([[*header, *COLUMNS, *columns]])

    def write(self, records: Sequence[Record], found: Decisions) -> None:
        """Write the rows of ``records``."""
        rows = zip(
            records, found.label, found.scheme, found.labels, found.score, found.verdict, found.targets, strict=True
        )
        lines = []
        for i, (record, label, scheme, labels, score, verdict, targets) in enumerate(rows):
            row = [record.raw] if isinstance(record.raw, str) else record.raw
            ours = [label, scheme or "", "|".join(labels), round(score, DIGITS), verdict, "|".join(targets)]
            proba = [round(p, DIGITS) for p in found.probabilities[i].tolist()] if self._proba else []
            lines.append([*row, *ours, *proba])
        self._write(lines)

    def _write(self, rows: Sequence[Sequence[Any]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self._delimiter).writerows(rows)
        self._file.write(text.getvalue().encode("utf-8", "surrogatepass"))


Writer = JsonLinesWriter | CsvWriter


def open_writer(file: BinaryIO, target: str, reader: Reader, names: Sequence[str], *, proba: bool) -> Writer:
    """Return the writer for ``target``: by its ending, else CSV for CSV and JSON lines for the rest."""
    endings: dict[str, type[Writer]] = {".csv": CsvWriter, ".tsv": CsvWriter, ".jsonl": JsonLinesWriter}
    kind = next((kind for ending, kind in endings.items() if target.lower().endswith(ending)), None)
    if kind is None:
        kind = CsvWriter if isinstance(reader, CsvReader) else JsonLinesWriter
    return kind(file, reader, names, proba=proba)
