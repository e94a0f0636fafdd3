"""The columns of a scored table, filled block by block: what data frames and Spark have in common.

Rows share few different decisions, so a column is a short list of values and the place in
it of each row; each library turns that into its own columns without a loop over rows.
"""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan.decisions import VERDICTS
from fraudscan.dump.writers import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from fraudscan.decisions import Decision
    from fraudscan.model import Scanner

    Places = npt.NDArray[np.int32]

__all__ = ["NOTE", "Choices", "ColumnError", "Columns", "check_columns", "names_of"]

NOTE = "fraud_note"
"""The column that says why a row has no decision; null where it has one."""


class ColumnError(ValueError):
    """A table lacks the text column, or has a column of ours already."""


class Choices(NamedTuple):
    """One column: the values that occur, the place in them of each row (-1: null), and whether they are lists."""

    values: Sequence[Any]
    places: Places
    lists: bool


def names_of(scanner: Scanner, *, proba: bool) -> list[str]:
    """Return the names of the columns that are added, in their order."""
    return [*COLUMNS, NOTE, *(f"fraud_p_{name}" for name in scanner.names if proba)]


def check_columns(columns: Sequence[Any], text: str, ours: Sequence[str]) -> None:
    """Check that a table with ``columns`` has one text column and room for ours.

    Raises:
        ColumnError: if it does not.

    """
    found = f"the table has the columns: {', '.join(map(str, columns)) or '(none)'}"
    if list(columns).count(text) != 1:
        several = "several columns are" if text in columns else "no column is"
        raise ColumnError(f"{several} called {text!r}; {found}. Name that of the messages with text=")
    if clash := [name for name in ours if name in columns]:
        raise ColumnError(f"the table has a column {clash[0]!r} already: drop or rename it first; {found}")


class Columns:
    """Scores blocks of texts and keeps what the columns need: some ten bytes a row.

    Args:
        scanner: what scores.
        proba: keep the probability of every name as well.

    """

    def __init__(self, scanner: Scanner, *, proba: bool = False) -> None:
        self._scanner = scanner
        self._proba = proba
        self._kinds: dict[Decision, int] = {}
        self._notes: dict[str, int] = {}
        self._kind: list[Places] = []
        self._note: list[Places] = []
        self._verdict: list[npt.NDArray[np.int8]] = []
        self._score: list[npt.NDArray[np.float64]] = []
        self._probabilities: list[npt.NDArray[np.float32]] = []

    def add(self, texts: list[Any]) -> None:
        """Score the next block; what is no string has no decision, but a note."""
        note = np.full(len(texts), -1, dtype=np.int32)
        kept: Any = slice(None)
        if not set(map(type, texts)) <= {str}:
            strange = {i: _reason(text) for i, text in enumerate(texts) if not isinstance(text, str)}
            note[list(strange)] = [self._notes.setdefault(reason, len(self._notes)) for reason in strange.values()]
            kept = note < 0
            texts = [text for text in texts if isinstance(text, str)]
        found = self._scanner.decide(texts)
        places = np.array([self._kinds.setdefault(kind, len(self._kinds)) for kind in found.kinds], dtype=np.int32)
        self._note.append(note)
        self._kind.append(_spread(places[found.kind], kept, note.size, np.int32(-1)))
        self._verdict.append(_spread(found.verdicts.astype(np.int8), kept, note.size, np.int8(-1)))
        self._score.append(_spread(found.scores, kept, note.size, np.float64("nan")))
        if self._proba:
            self._probabilities.append(_spread(found.probabilities, kept, note.size, np.float32("nan")))

    def extend(self, blocks: Iterable[list[Any]]) -> Columns:
        """Score all blocks; return this object."""
        for block in blocks:
            self.add(block)
        return self

    def choices(self) -> dict[str, Choices]:
        """Return the columns that hold names, the note last."""
        kind = np.concatenate([np.zeros(0, np.int32), *self._kind])
        verdict = np.concatenate([np.zeros(0, np.int8), *self._verdict]).astype(np.int32)
        note = np.concatenate([np.zeros(0, np.int32), *self._note])
        label, scheme, labels, targets = ([kind[i] for kind in self._kinds] for i in range(4))
        return {
            "fraud_label": Choices(label, kind, lists=False),
            "fraud_scheme": Choices(scheme, kind, lists=False),
            "fraud_labels": Choices(labels, kind, lists=True),
            "fraud_verdict": Choices(VERDICTS, verdict, lists=False),
            "fraud_targets": Choices(targets, kind, lists=True),
            NOTE: Choices(list(self._notes), note, lists=False),
        }

    def numbers(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns that hold numbers, NaN where there is no decision."""
        columns: dict[str, npt.NDArray[Any]] = {"fraud_score": np.concatenate([np.zeros(0), *self._score])}
        if self._proba:
            width = len(self._scanner.names)
            probabilities = np.concatenate([np.zeros((0, width), np.float32), *self._probabilities])
            columns.update((f"fraud_p_{name}", probabilities[:, i]) for i, name in enumerate(self._scanner.names))
        return columns


def _reason(value: Any) -> str:
    if value is None or type(value).__name__ in {"NAType", "NaTType"} or (isinstance(value, float) and isnan(value)):
        return "no text"
    return f"not a text: {type(value).__name__}"


def _spread(values: npt.NDArray[Any], kept: Any, size: int, null: Any) -> npt.NDArray[Any]:
    """Return ``values`` at the rows that are ``kept``, and ``null`` at all others."""
    if isinstance(kept, slice):
        return values
    out = np.full((size, *values.shape[1:]), null)
    out[kept] = values
    return out
