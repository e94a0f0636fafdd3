"""Scores blocks: reads their rows, decides on them, counts the decisions and encodes the output."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan.columns import COLUMNS
from fraudscan.dump.chats import CHAT_COLUMNS
from fraudscan.dump.workbooks import WorkbookReader
from fraudscan.show import shown_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fraudscan.decisions import Decisions
    from fraudscan.dump.readers import Reader
    from fraudscan.dump.rows import Block, Reject
    from fraudscan.dump.writers import Writer
    from fraudscan.model import Scanner

__all__ = ["Message", "Scored", "Task", "rows_of", "score_blocks"]

COUNTED = {"labels": "label", "schemes": "scheme", "verdicts": "verdict", "rules": "rule"}
"""The counts of a summary, and the column of `Decisions` that holds what each of them counts."""


class Task(NamedTuple):
    """Consecutive blocks to score together: the number of their source, its reader, and the blocks."""

    source: int
    reader: Reader
    blocks: list[Block]


class Message(NamedTuple):
    """A row as the conversations need it.

    Attributes:
        key: identifies its conversation.
        line: its line number.
        text: its text.
        decision: its values of `COLUMNS`.
        allowed: whether an allow list determined the verdict.
        name: the name of its conversation, if the key is a number.
        sheet: the name of its sheet, if several sheets of a workbook are read.

    """

    key: str | None
    line: int
    text: str
    decision: tuple[Any, ...]
    allowed: bool = False
    name: str | None = None
    sheet: str | None = None


class Scored(NamedTuple):
    """The results of a task: encoded rows, rejects, the number of scored rows, counts, and messages."""

    data: bytes
    rejects: list[Reject]
    scored: int
    counts: dict[str, Counter[str]]
    messages: list[Message]


def score_blocks(scanner: Scanner, writer: Writer, task: Task) -> Scored:
    """Read, score and encode the blocks of a task."""
    reader = task.reader
    batch = reader.batch(task.blocks)
    senders = reader.values(batch, reader.sender) if reader.sender is not None and scanner.lists else None
    found = scanner.decide(batch.texts, senders, proba=bool(writer.proba))
    if "fraud_evidence" in writer.ours:
        from fraudscan.explain import evidence

        found = replace(found, evidence=evidence(scanner, batch.texts, found))
    if "fraud_source" in writer.ours:
        found = replace(found, origin=shown_name(reader.source), line=batch.lines)
    messages = []
    if batch.keys:
        named = reader.naming and reader.by == CHAT_COLUMNS[0]
        names = reader.values(batch, reader.naming) if named else itertools.repeat(None)
        origin = reader.origin if isinstance(reader, WorkbookReader) else ""
        sheets = reader.values(batch, origin) if origin else itertools.repeat(None)
        decided = rows_of(found), found.allowed
        messages = list(map(Message, batch.keys, batch.lines, batch.texts, *decided, names, sheets))
    data = writer.encode(reader, batch, found)
    return Scored(data, batch.rejects, len(batch.texts), counted(found), messages)


def rows_of(found: Decisions) -> Iterator[tuple[Any, ...]]:
    """Yield the values of `COLUMNS` for each text."""
    columns = ((getattr(found, column.attribute), column.kind) for column in COLUMNS.values())
    return zip(*(values.tolist() if kind is float else values for values, kind in columns), strict=True)


def counted(found: Decisions) -> dict[str, Counter[str]]:
    """Return the counts in `COUNTED`, those of notes, and those of scores by their first decimal."""
    different, places = found.outcomes
    sizes = np.bincount(places).tolist()
    counts: dict[str, Counter[str]] = {name: Counter() for name in (*COUNTED, "notes")}
    for name, column in COUNTED.items():
        for value, size in zip(getattr(different, column), sizes, strict=True):
            if value is not None:
                counts[name][value] += size
    for notes, size in zip(different.notes, sizes, strict=True):
        counts["notes"].update(dict.fromkeys(notes, size))
    tenths = np.bincount((10 * found.scores).astype(np.int64).clip(max=9)).tolist()
    counts["scores"] = Counter({f"0.{tenth}": size for tenth, size in enumerate(tenths) if size})
    return counts
