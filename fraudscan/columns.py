"""The columns of a scored table: their names and kinds, and how those of data frames and Spark are filled.

Tables are scored in blocks. Rows share few different outcomes, so a column is a short list of
values and an index into it for each row. Each library turns these into its own columns without
a loop over rows.
"""

from __future__ import annotations

from collections import Counter
from itertools import compress
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan.errors import FraudscanError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from fraudscan.arrays import Ints
    from fraudscan.model import Scanner

__all__ = [
    "COLUMNS",
    "EACH",
    "FLOATS",
    "OPTIONAL",
    "Choices",
    "Column",
    "ColumnError",
    "Columns",
    "check_columns",
    "columns_of",
    "is_missing",
    "names_of",
]


class Column(NamedTuple):
    """A column: the attribute of `Decisions` that fills it, and what its values are.

    The kind is ``str``, ``list`` for tuples of strings, ``int``, or ``float`` for an array of probabilities, which
    files truncate. Probabilities and the columns in `EACH` differ from row to row. All else is part of the outcome that
    many rows share.
    """

    attribute: str
    kind: type


COLUMNS = {
    "fraud_label": Column("label", str),
    "fraud_scheme": Column("scheme", str),
    "fraud_labels": Column("labels", list),
    "fraud_score": Column("scores", float),
    "fraud_verdict": Column("verdict", str),
    "fraud_targets": Column("targets", list),
    "fraud_notes": Column("notes", list),
}
"""The columns of every scored table."""

OPTIONAL = {
    "fraud_rule": Column("rule", str),
    "fraud_source": Column("source", str),
    "fraud_line": Column("line", int),
    "fraud_evidence": Column("evidence", str),
}
"""The columns that lists, ``--filenames`` and ``--explain`` add."""

EACH = ("fraud_line", "fraud_evidence")
"""Those of them that differ from row to row."""

FLOATS = (float, np.floating)
"""Types of floating-point cells; NaN means a missing value. Of NumPy's types only float64 is a subclass of float."""


class ColumnError(FraudscanError, ValueError):
    """A table lacks a column that was named, or already has one of ours."""


class Choices(NamedTuple):
    """One column: the values to choose from, the index of each row's value, and whether the values are lists."""

    values: Sequence[Any]
    places: Ints
    lists: bool


def columns_of(scanner: Scanner, *, filenames: bool = False, explain: bool = False) -> dict[str, Column]:
    """Return `COLUMNS` and those of `OPTIONAL` that the scanner and the options add, in order."""
    places = dict.fromkeys(("fraud_source", "fraud_line"), filenames)
    added = {"fraud_rule": scanner.lists, **places, "fraud_evidence": explain}
    return COLUMNS | {name: column for name, column in OPTIONAL.items() if added[name]}


def names_of(scanner: Scanner, *, proba: bool, explain: bool = False) -> list[str]:
    """Return the names of the columns that are added, in order."""
    probabilities = (f"fraud_p_{name}" for name in scanner.names if proba)
    return [*columns_of(scanner, explain=explain), *probabilities]


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
    counts = Counter(columns)
    for name, what in wanted:
        try:
            count = counts[name]
        except TypeError:  # a column itself, whose comparison raises an error
            raise ColumnError(f"a {type(name).__name__} is no name; {found}. Name the column of the {what}") from None
        if count != 1:
            several = "several columns are" if count else "no column is"
            raise ColumnError(f"{several} called {name!r}; {found}. Name the column of the {what}")
    if clash := [name for name in ours if name in columns]:
        raise ColumnError(f"the table already has columns called {', '.join(clash)}: drop or rename them first")
    return ours


class Columns:
    """Scores blocks of texts and stores the data of the columns, some sixteen bytes per row.

    Args:
        scanner: the scanner.
        proba: store the probability of every name as well.
        explain: store the strongest evidence as well, which takes more.

    """

    def __init__(self, scanner: Scanner, *, proba: bool = False, explain: bool = False) -> None:
        self._scanner = scanner
        self._proba = proba
        self._explain = explain
        columns = columns_of(scanner)
        self._shared = {name: column for name, column in columns.items() if column.kind is not float}
        self._outcomes: dict[tuple[Any, ...], int] = {}
        """The values of the shared columns that occur together, and their indices."""
        self._spans: dict[str | None, int] = {}
        """The evidence that occurs, and its indices."""
        # for each block, what its rows have; the first block has none
        self._outcome, self._evidence = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        self._numbers = {name: [np.zeros(0)] for name in columns if name not in self._shared}
        self._probabilities = [np.zeros((0, len(scanner.names)), np.float32)]

    def add(self, texts: list[Any], senders: list[Any] | None = None) -> None:
        """Score the next block of texts, with their senders. Values that are not strings get a note, not a decision."""
        outcome = np.zeros(len(texts), dtype=np.int64)
        kept: Any = slice(None)
        if not set(map(type, texts)) <= {str}:
            kept = np.array([isinstance(text, str) for text in texts])
            reasons = ({"fraud_notes": (_reason(text),)} for text in compress(texts, ~kept))
            outcome[~kept] = self._places(tuple(map(reason.get, self._shared)) for reason in reasons)
            senders = senders and list(compress(senders, kept))
            texts = list(compress(texts, kept))
        found = self._scanner.decide(texts, senders, proba=self._proba)
        different, places = found.outcomes
        values = (getattr(different, column.attribute) for column in self._shared.values())
        outcome[kept] = np.array(self._places(zip(*values, strict=True)), dtype=np.int64)[places]
        self._outcome.append(outcome)
        for name, numbers in self._numbers.items():
            numbers.append(_spread(getattr(found, COLUMNS[name].attribute), kept, outcome.size))
        if self._proba:
            self._probabilities.append(_spread(found.probabilities, kept, outcome.size))
        if self._explain:
            from fraudscan.explain import evidence

            spans = np.full(outcome.size, self._spans.setdefault(None, len(self._spans)))
            spans[kept] = [self._spans.setdefault(x, len(self._spans)) for x in evidence(self._scanner, texts, found)]
            self._evidence.append(spans)

    def _places(self, outcomes: Iterable[tuple[Any, ...]]) -> list[int]:
        return [self._outcomes.setdefault(outcome, len(self._outcomes)) for outcome in outcomes]

    def choices(self) -> dict[str, Choices]:
        """Return the columns that hold names; ``None`` where there are none."""
        places = np.concatenate(self._outcome)
        columns = {
            name: Choices([outcome[place] for outcome in self._outcomes], places, column.kind is list)
            for place, (name, column) in enumerate(self._shared.items())
        }
        if self._explain:
            columns["fraud_evidence"] = Choices(list(self._spans), np.concatenate(self._evidence), lists=False)
        return columns

    def numbers(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns that hold numbers, NaN where there is no decision."""
        columns: dict[str, npt.NDArray[Any]] = {name: np.concatenate(each) for name, each in self._numbers.items()}
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


def _spread(values: npt.NDArray[Any], kept: Any, size: int) -> npt.NDArray[Any]:
    """Return floats at the ``kept`` rows, and NaN at all other rows."""
    if isinstance(kept, slice):
        return values
    out = np.full((size, *values.shape[1:]), np.nan, values.dtype)
    out[kept] = values
    return out
