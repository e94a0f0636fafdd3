"""The job: dumps in, scored rows out, nothing lost and nothing held in memory."""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from fraudscan.dump.readers import DumpError, Record, Reject, open_reader
from fraudscan.dump.writers import COLUMNS, open_writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from io import BufferedReader

    from typing_extensions import Self

    from fraudscan.dump.readers import Reader
    from fraudscan.dump.writers import Writer
    from fraudscan.model import Scanner

__all__ = ["DumpError", "Summary", "score_dump"]

GROUP = 4096
"""Rows scored and written at a time."""


@dataclass
class Summary:
    """What a job did: rows read = rows scored + rows rejected."""

    scored: int = 0
    rejected: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


def score_dump(  # noqa: PLR0913 - one argument for each choice that the command line offers
    scanner: Scanner,
    sources: Sequence[str],
    target: str,
    *,
    text: str | None = None,
    format: str | None = None,  # noqa: A002 - the option's name
    proba: bool = False,
    force: bool = False,
) -> Summary:
    """Score dumps row by row into ``target``.

    The output appears under its name when it is whole. Rows that cannot be read, or have no text, go to
    ``TARGET.rejects.jsonl`` (to standard error where the target is ``-``).

    Args:
        scanner: what scores.
        sources: files, or ``-`` for standard input. They must be of one format, CSV files of one header.
        target: a file, or ``-`` for standard output.
        text: the column with the text; found by its name without it.
        format: ``"jsonl"``, ``"csv"`` or ``"lines"``; found by name and content without it.
        proba: add one column a label, scheme and target group with its probability.
        force: replace a target that exists.

    Raises:
        DumpError: if a source cannot be read or has no text column, or the target exists or is one of the sources.

    """
    summary = Summary()
    names = [f"fraud_p_{name}" for name in scanner.names]
    ours = frozenset([*COLUMNS, *names])
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(_open_target(target, sources, force=force))
        rejects = stack.enter_context(_Rejects(target))
        writer: Writer | None = None
        first: Reader | None = None
        for source in sources:
            with _open_source(source) as file:
                reader = open_reader(file, source, text, ours, format)
                if writer is None:
                    first, writer = reader, open_writer(out, target, reader, scanner.names, proba=proba)
                elif type(reader) is not type(first) or getattr(reader, "header", 0) != getattr(first, "header", 0):
                    raise DumpError(f"{source} lacks the format or columns of {sources[0]}: score it on its own")
                for group in _groups(reader):
                    records = [row for row in group if isinstance(row, Record)]
                    for row in group:
                        if isinstance(row, Reject):
                            rejects.write(source, row)
                            summary.reasons[row.reason] += 1
                    found = scanner.decide([record.text for record in records])
                    writer.write(records, found)
                    summary.scored += len(records)
                    summary.rejected += len(group) - len(records)
                    summary.labels.update(found.label)
                    summary.verdicts.update(found.verdict)
    return summary


def _groups(reader: Reader) -> Iterator[list[Record | Reject]]:
    rows = iter(reader)
    return iter(lambda: list(itertools.islice(rows, GROUP)), [])


@contextlib.contextmanager
def _open_source(source: str) -> Iterator[BufferedReader]:
    if source == "-":
        yield cast("BufferedReader", sys.stdin.buffer)
        return
    try:
        file = Path(source).open("rb")  # noqa: SIM115 - closed below; errors of reading are not ours
    except OSError as error:
        raise DumpError(f"{source} cannot be read: {error.strerror}") from None
    with file:
        yield file


@contextlib.contextmanager
def _open_target(target: str, sources: Sequence[str], *, force: bool) -> Iterator[BinaryIO]:
    if target == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    for source in sources:
        if path.exists() and source != "-" and Path(source).exists() and path.samefile(source):
            raise DumpError(f"{target} is also the input: name another output")
    if path.exists() and not force:
        raise DumpError(f"{target} exists: name another output, or replace it with --force")
    part = path.with_name(path.name + ".part")
    try:
        file = part.open("wb")
    except OSError as error:
        raise DumpError(f"{target} cannot be written: {error.strerror}") from None
    try:
        with file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class _Rejects:
    """Writes rejected rows; makes no file as long as there are none."""

    def __init__(self, target: str) -> None:
        self._path = None if target == "-" else Path(target + ".rejects.jsonl")
        self._file: Any = None

    def __enter__(self) -> Self:
        if self._path:
            self._path.unlink(missing_ok=True)  # that of an earlier run
        return self

    def __exit__(self, *_: object) -> None:
        if self._file and self._path:
            self._file.close()

    def write(self, source: str, row: Reject) -> None:
        if self._file is None:
            self._file = self._path.open("w", encoding="utf-8", errors="backslashreplace") if self._path else sys.stderr
        self._file.write(json.dumps({"source": source, **row._asdict()}, ensure_ascii=False) + "\n")
