"""The columns of a scored table: their names, and how those of data frames and Spark are filled, block by block.

Rows share few different decisions, so a column is a short list of values and an index into it
for each row. Each library turns these into its own columns without a loop over rows.
"""

from __future__ import annotations

from itertools import compress
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan.decisions import VERDICTS, Decision
from fraudscan.errors import FraudscanError
from fraudscan.notes import NOTES, notes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from fraudscan.arrays import Codes as Places
    from fraudscan.model import Scanner

__all__ = [
    "COLUMNS",
    "FLOATS",
    "LISTS",
    "OPTIONAL",
    "Choices",
    "ColumnError",
    "Columns",
    "check_columns",
    "columns_of",
    "is_missing",
    "names_of",
]

COLUMNS = {
    "fraud_label": "label",
    "fraud_scheme": "scheme",
    "fraud_labels": "labels",
    "fraud_score": "score",
    "fraud_verdict": "verdict",
    "fraud_targets": "targets",
    "fraud_notes": "notes",
}
"""The columns of every scored table, and the attribute of `Decisions` that each one holds."""

LISTS = ("fraud_labels", "fraud_targets", "fraud_notes")
"""The columns that hold several values per row."""

OPTIONAL = ("fraud_rule", "fraud_source", "fraud_evidence")
"""The columns that lists, ``--filenames`` and ``--explain`` add."""

NOTED = [notes_of(doubts) for doubts in range(1 << len(NOTES))]
"""The notes that a decision can have, indexed by ``Decisions.doubts``."""

FLOATS = (float, np.floating)
"""Types of floating-point cells; NaN means a missing value. Of NumPy's types only float64 is a subclass of float."""


class ColumnError(FraudscanError, ValueError):
    """A table lacks a column that was named, or already has one of ours."""


class Choices(NamedTuple):
    """One column: the values that occur, the index of each row's value (-1: null), and whether the values are lists."""

    values: Sequence[Any]
    places: Places
    lists: bool


def columns_of(scanner: Scanner) -> dict[str, str]:
    """Return `COLUMNS`, and for a scanner with lists also the column that names the entry behind the verdict."""
    return {**COLUMNS, "fraud_rule": "rule"} if scanner.lists else dict(COLUMNS)


def names_of(scanner: Scanner, *, proba: bool, explain: bool = False) -> list[str]:
    """Return the names of the columns that are added, in order."""
    probabilities = (f"fraud_p_{name}" for name in scanner.names if proba)
    return [*columns_of(scanner), *(["fraud_evidence"] if explain else []), *probabilities]


def check_columns(
    scanner: Scanner, columns: Sequence[Any], text: str, sender: str | None, **options: bool
) -> list[str]:
    """Check that a table has the columns for texts and senders and none of ours; return the names of ours.

    Args:
        scanner: the scanner.
        columns: the columns of the table.
        text: the column with the texts.
        sender: the column with the senders, if any.
        options: those of `names_of`.

    Raises:
        ColumnError: if one is missing or occurs several times, one of ours exists already, or ``sender`` is ``None``
            and entries of the lists are bound to senders.

    """
    columns, ours = list(columns), names_of(scanner, **options)
    if sender is None and scanner.lists and scanner.lists.bound:
        raise ColumnError("the lists have entries for certain senders: name the sender column with sender=")
    found = f"the table has the columns: {', '.join(map(str, columns)) or '(none)'}"
    wanted = [(text, "messages with text="), *([(sender, "senders with sender=")] if sender is not None else [])]
    for name, what in wanted:
        if columns.count(name) != 1:
            several = "several columns are" if name in columns else "no column is"
            raise ColumnError(f"{several} called {name!r}; {found}. Name the column of the {what}")
    if clash := [name for name in ours if name in columns]:
        raise ColumnError(f"the table has a column {clash[0]!r} already: drop or rename it first; {found}")
    return ours


class Columns:
    """Scores blocks of texts and stores the data of the columns, some twenty bytes per row.

    Args:
        scanner: the scanner.
        proba: store the probability of every name as well.
        explain: store the strongest evidence as well, which takes more.

    """

    def __init__(self, scanner: Scanner, *, proba: bool = False, explain: bool = False) -> None:
        self._scanner = scanner
        self._proba = proba
        self._explain = explain
        self._kinds: dict[Decision, int] = {}
        self._reasons: dict[tuple[str, ...], int] = {}
        """The notes of rows without a decision, and their indices, which follow those of `NOTED`."""
        self._spans: dict[str, int] = {}
        """The evidence that occurs, and its indices."""
        # for each block, what its rows have; the first block has none
        self._kind, self._note, self._rule, self._evidence = ([np.zeros(0, np.int32)] for _ in range(4))
        self._verdict = [np.zeros(0, np.int8)]
        self._score = [np.zeros(0)]
        self._probabilities = [np.zeros((0, len(scanner.names)), np.float32)]

    def add(self, texts: list[Any], senders: list[Any] | None = None) -> None:
        """Score the next block of texts, with their senders. Values that are not strings get a note, not a decision."""
        note = np.zeros(len(texts), dtype=np.int32)
        kept: Any = slice(None)
        if not set(map(type, texts)) <= {str}:
            kept = np.array([isinstance(text, str) for text in texts])
            reasons = ((_reason(text),) for text in compress(texts, ~kept))
            note[~kept] = [self._reasons.setdefault(x, len(NOTED) + len(self._reasons)) for x in reasons]
            senders = senders and list(compress(senders, kept))
            texts = list(compress(texts, kept))
        found = self._scanner.decide(texts, senders, proba=self._proba)
        places = np.array([self._kinds.setdefault(kind, len(self._kinds)) for kind in found.kinds], dtype=np.int32)
        note[kept] = found.doubts
        self._note.append(note)
        self._kind.append(_spread(places[found.kind], kept, note.size, np.int32(-1)))
        self._verdict.append(_spread(found.verdicts.astype(np.int8), kept, note.size, np.int8(-1)))
        if found.rules is not None:
            self._rule.append(_spread(found.rules.astype(np.int32), kept, note.size, np.int32(len(found.entries))))
        if self._explain:
            from fraudscan.explain import evidence

            each = (self._spans.setdefault(x, len(self._spans)) for x in evidence(self._scanner, texts, found))
            spans = np.fromiter(each, dtype=np.int32, count=len(texts))
            self._evidence.append(_spread(spans, kept, note.size, np.int32(-1)))
        self._score.append(_spread(found.scores, kept, note.size, np.float64("nan")))
        if self._proba:
            self._probabilities.append(_spread(found.probabilities, kept, note.size, np.float32("nan")))

    def choices(self) -> dict[str, Choices]:
        """Return the columns that hold names."""
        kinds = np.concatenate(self._kind)
        columns = {
            column: Choices([getattr(kind, name) for kind in self._kinds], kinds, column in LISTS)
            for column, name in COLUMNS.items()
            if name in Decision._fields
        }
        columns["fraud_verdict"] = Choices(VERDICTS, np.concatenate(self._verdict).astype(np.int32), lists=False)
        columns["fraud_notes"] = Choices([*NOTED, *self._reasons], np.concatenate(self._note), lists=True)
        if self._scanner.lists:  # even without entries
            rules = np.concatenate(self._rule)
            entries = [*self._scanner.lists.entries, None]
            used = np.zeros(len(entries), dtype=np.bool_)
            used[rules] = True
            named = [entry and str(entry) for entry in compress(entries, used)]  # to name all of a long list is slow
            columns["fraud_rule"] = Choices(named, (used.cumsum(dtype=np.int32) - 1)[rules], lists=False)
        if self._explain:
            columns["fraud_evidence"] = Choices(list(self._spans), np.concatenate(self._evidence), lists=False)
        return columns

    def numbers(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns that hold numbers, NaN where there is no decision."""
        columns: dict[str, npt.NDArray[Any]] = {"fraud_score": np.concatenate(self._score)}
        if self._proba:
            probabilities = np.concatenate(self._probabilities)
            columns.update((f"fraud_p_{name}", probabilities[:, i]) for i, name in enumerate(self._scanner.names))
        return columns


def is_missing(value: Any) -> bool:
    """Return whether a cell of a table holds no value."""
    return (
        value is None or type(value).__name__ in {"NAType", "NaTType"} or (isinstance(value, FLOATS) and isnan(value))
    )


def _reason(value: Any) -> str:
    return "no text" if is_missing(value) else f"not a text: {type(value).__name__}"


def _spread(values: npt.NDArray[Any], kept: Any, size: int, null: Any) -> npt.NDArray[Any]:
    """Return ``values`` at the ``kept`` rows, and ``null`` at all other rows."""
    if isinstance(kept, slice):
        return values
    out = np.full((size, *values.shape[1:]), null)
    out[kept] = values
    return out
