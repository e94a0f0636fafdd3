"""From probabilities to decisions: the label, the other labels and the verdict, for a whole batch at once.

Many texts share few kinds of decisions, so each kind is built once and the texts refer to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan.lazy import cached_property
from fraudscan.notes import NOTES, notes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from fraudscan.arrays import Floats, Ints, Single
    from fraudscan.lists import Entry
    from fraudscan.taxonomy import Taxonomy

__all__ = [
    "STEPS",
    "VERDICTS",
    "Decider",
    "Decisions",
    "Kind",
    "Thresholds",
    "checked_integer",
    "checked_number",
    "cut",
    "steps_of",
]

VERDICTS = ("clear", "review", "flag")

DIGITS = 6
"""Decimals of a probability in a file."""

STEPS = 10.0**DIGITS
"""The number of steps from 0 to 1 that such a probability can take."""


def cut(values: Any) -> Any:
    """Return probabilities truncated to `DIGITS` decimals, as a float or as lists.

    A threshold with that many decimals separates truncated probabilities exactly as it separates the probabilities
    themselves; it would not do so with rounded ones.

    >>> cut([0.7237689, 0.723769, 1]), cut(0.0000019)
    ([0.723768, 0.723769, 1.0], 1e-06)

    """
    if isinstance(values, float):  # without arrays, because there may be one for each of a million conversations
        steps = round(values * STEPS)
        return (steps - (steps / STEPS > values)) / STEPS
    return (steps_of(values) / STEPS).tolist()


def steps_of(values: npt.ArrayLike) -> Floats:
    """Return each probability in steps of ``10**-DIGITS``, rounded down."""
    array = np.asarray(values, dtype=np.float64)
    steps: Floats = np.rint(array * STEPS)
    steps -= steps / STEPS > array
    return steps


def checked_number(value: Any, name: str) -> float:
    """Return ``value`` as a float, which is infinite if the value is beyond the range of floats.

    Raises:
        TypeError: if it is not a number (a string such as ``"0.5"`` is not).

    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, not {value!r}")
    try:
        return float(value)
    except OverflowError:
        return -inf if value < 0 else inf


def checked_integer(value: Any, name: str) -> int:
    """Return ``value`` as an integer.

    Raises:
        TypeError: if it is not an integer (a whole float such as ``2.0`` is not).

    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    return int(value)


@dataclass(frozen=True)
class Thresholds:
    """The score from which on a text is flagged, and the score from which on it is worth a look (review).

    Raises:
        ValueError: unless ``0 <= review <= flag <= 1``.
        TypeError: if a threshold is not a number.

    """

    flag: float
    review: float

    def __post_init__(self) -> None:
        for name in ("flag", "review"):
            value = checked_number(getattr(self, name), name)
            object.__setattr__(self, name, value)  # NumPy numbers would change the scanner's digest
        if not 0 <= self.review <= self.flag <= 1:
            raise ValueError(f"thresholds need 0 <= review <= flag <= 1, not review={self.review}, flag={self.flag}")

    def verdict(self, score: float) -> str:
        """Return the verdict on a score.

        >>> Thresholds(flag=0.9, review=0.1).verdict(0.9)
        'flag'

        Raises:
            ValueError: unless ``0 <= score <= 1``; NaN is no score, and a missing score is not clear.

        """
        if not 0 <= score <= 1:
            raise ValueError(f"a score must lie between 0 and 1, not at {score}")
        return VERDICTS[int(score >= self.review) + int(score >= self.flag)]  # a sum of NumPy's bools is a bool


class Kind(NamedTuple):
    """What the decisions on many texts have in common; the attributes are those of `fraudscan.Result`."""

    label: str
    scheme: str | None
    labels: tuple[str, ...]
    targets: tuple[str, ...]


@dataclass(frozen=True, eq=False)  # comparing arrays gives no single truth value
class Decisions:
    """Decisions on a list of texts, in columns.

    ``label``, ``scheme``, ``labels``, ``score``, ``verdict``, ``targets``, ``notes`` and ``rule`` are lists: for each
    text what this attribute of its `fraudscan.Result` is. When first used, they are made from the attributes below.

    Attributes:
        kinds: the kinds of decisions that occur.
        kind: int64, shape (texts,): for each text the index of its kind in ``kinds``.
        scores: float64, shape (texts,): the probability that each text is not legitimate.
        verdicts: int64, shape (texts,): indices into `VERDICTS`.
        probabilities: float32, shape (texts, names): what `Scanner.predict_proba` returns. Shape (texts, 0) if they
            were not requested.
        doubts: int64, shape (texts,): the notes on each text, as in `fraudscan.notes`.
        entries: the entries of the scanner's allow and deny lists.
        rules: int64, shape (texts,): the index in ``entries`` of the entry that determined the verdict, or
            ``len(entries)`` if none did; ``None`` without lists.
        evidence: the strongest spans of each text, if they were requested (see `fraudscan.explain.evidence`).
        origin: the file that the texts come from, if they come from a file.
        line: the line of each text in that file.

    """

    kinds: list[Kind]
    kind: Ints
    scores: Floats
    verdicts: Ints
    probabilities: Single
    doubts: Ints
    entries: tuple[Entry, ...] = ()
    rules: Ints | None = None
    evidence: Sequence[str] = ()
    origin: str = ""
    line: Sequence[int] = ()

    def __repr__(self) -> str:
        counts = np.bincount(self.verdicts, minlength=len(VERDICTS))
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in zip(VERDICTS, counts.tolist(), strict=True))
        return f"Decisions({verdicts})"

    @cached_property
    def outcomes(self) -> tuple[Decisions, Ints]:
        """The distinct outcomes, for callers that would otherwise process the texts one by one.

        Returns:
            The decisions on one text of each distinct outcome, without evidence and lines, and for each text the index
            of its outcome in them. Two texts have the same outcome if they differ in score, probabilities, evidence and
            line at most.

        """
        codes = (self.kind * len(VERDICTS) + self.verdicts) * (1 << len(NOTES)) + self.doubts
        if self.rules is not None:  # with many entries, codes are too large to be counted
            _, codes = np.unique(codes * (len(self.entries) + 1) + self.rules, return_inverse=True)
        present, places = _distinct(codes)
        first = np.zeros(present.size, dtype=np.int64)
        first[places] = np.arange(codes.size)  # one of the texts with that outcome
        columns = {
            name: getattr(self, name)[first] for name in ("kind", "scores", "verdicts", "probabilities", "doubts")
        }
        rules = None if self.rules is None else self.rules[first]
        return replace(self, **columns, rules=rules, evidence=(), line=()), places

    @cached_property
    def label(self) -> list[str]:
        """The label of each text."""
        return [kind.label for kind in self._each]

    @cached_property
    def scheme(self) -> list[str | None]:
        """The scheme of each text; ``None`` for legitimate ones."""
        return [kind.scheme for kind in self._each]

    @cached_property
    def labels(self) -> list[tuple[str, ...]]:
        """The ``label`` of each text, then every other label with a probability of at least one half."""
        return [kind.labels for kind in self._each]

    @cached_property
    def targets(self) -> list[tuple[str, ...]]:
        """The groups of people at whom each text is aimed."""
        return [kind.targets for kind in self._each]

    @cached_property
    def score(self) -> list[float]:
        """``scores`` as a list."""
        scores: list[float] = self.scores.tolist()
        return scores

    @cached_property
    def verdict(self) -> list[str]:
        """The verdict on each text."""
        return [VERDICTS[verdict] for verdict in self.verdicts.tolist()]

    @cached_property
    def notes(self) -> list[tuple[str, ...]]:
        """The reasons to doubt the decision on each text: the `fraudscan.notes.NOTES` that apply."""
        return list(map(notes_of, self.doubts.tolist()))

    @cached_property
    def rule(self) -> list[str | None]:
        """The entry of an allow or deny list that determined each verdict; ``None`` where the score did."""
        if self.rules is None:
            return [None] * len(self.kind)
        places = self.rules.tolist()
        names = {place: str(self.entries[place]) for place in set(places) if place < len(self.entries)}
        return [names.get(place) for place in places]

    @property
    def allowed(self) -> list[bool]:
        """Whether an allow list determined the verdict on each text."""
        if self.rules is None:
            return [False] * len(self.kind)
        allows = [entry.kind == "allow" for entry in self.entries] + [False]
        return [allows[place] for place in self.rules.tolist()]

    @property
    def source(self) -> list[str]:
        """``origin`` for each text."""
        return [self.origin] * len(self.kind)

    @cached_property
    def _each(self) -> list[Kind]:
        return [self.kinds[kind] for kind in self.kind.tolist()]


def _distinct(codes: Ints) -> tuple[Ints, Ints]:
    """Return the distinct values of an array of small integers, and for each element the index of its value.

    For such integers this is faster than np.unique.
    """
    counts = np.bincount(codes)
    present = counts.nonzero()[0]
    places = np.zeros(counts.size, dtype=np.int64)
    places[present] = np.arange(present.size)
    return present, places[codes]


class Decider:
    """Turns probabilities into decisions.

    Args:
        taxonomy: the labels, schemes and target groups.
        names: the columns of the probabilities, as in ``Scanner.names``.
        thresholds: the scores at which the verdict changes.

    """

    def __init__(self, taxonomy: Taxonomy, names: Sequence[str], thresholds: Thresholds) -> None:
        at = {name: column for column, name in enumerate(names)}
        self._taxonomy = taxonomy
        self._thresholds = thresholds
        self._honest_name = taxonomy.honest or ""
        self._honest = None if taxonomy.honest is None else at[taxonomy.honest]
        self._fraud = taxonomy.task == "fraud"
        # for "fraud" the honest label is what the pretences leave; among a user's own labels it is one of several
        self._labels = np.array([at[label.name] for label in taxonomy.labels if label.schemes or not self._fraud])
        self._names = [names[column] for column in self._labels]
        self._schemes = np.array([at[scheme.name] for scheme in taxonomy.schemes])
        self._targets = [at[target.name] for target in taxonomy.targets]
        self._bits = 1 << np.arange(len(self._targets))
        self._width = self._schemes.size + 1  # number of scheme codes; code 0 means no scheme

    def __call__(self, probabilities: Single, doubts: Ints | None = None) -> Decisions:
        """Decide on texts.

        Args:
            probabilities: shape (texts, names).
            doubts: shape (texts,): the notes on each text; by default none.

        """
        honest = self._honest
        # without an honest label, one of the pretences applies
        scores = np.ones(len(probabilities)) if honest is None else 1 - probabilities[:, honest].astype(np.float64)
        schemes = probabilities.take(self._schemes, axis=1)
        best = schemes.argmax(axis=1)  # a label is as probable as its likeliest scheme
        if self._fraud:
            best[scores < 0.5] = -1
        elif honest is not None:
            best[schemes.max(axis=1) <= probabilities[:, honest]] = -1
        targets = (probabilities.take(self._targets, axis=1) >= 0.5) @ self._bits
        codes = targets * self._width + best + 1
        kinds, kind = self._kinds(codes, self._others(probabilities, best))
        return Decisions(
            kinds=kinds,
            kind=kind,
            scores=scores,
            verdicts=self._verdicts(scores),
            probabilities=probabilities,
            doubts=np.zeros(len(probabilities), dtype=np.int64) if doubts is None else doubts,
        )

    def among(self, honest: Single, likely: Ints, probabilities: Single, doubts: Ints) -> Decisions:
        """Decide on texts few of which are likely fraud.

        Args:
            honest: shape (texts,): the probability of the honest label.
            likely: the indices of the texts for which it is at most one half. All other texts get the honest label
                only.
            probabilities: shape (likely texts, names). The returned decisions contain no probabilities.
            doubts: shape (texts,): the notes on each text.

        """
        found = self(probabilities)
        kinds, kind = found.kinds, np.zeros(honest.size, dtype=np.int64)
        if likely.size < honest.size:
            kinds = [self._kind(0, ()), *kinds]
        kind[likely] = found.kind + (len(kinds) - len(found.kinds))
        scores = 1 - honest.astype(np.float64)
        return Decisions(kinds, kind, scores, self._verdicts(scores), np.zeros((honest.size, 0), np.float32), doubts)

    def _verdicts(self, scores: Floats) -> Ints:
        return (scores >= self._thresholds.review) + (scores >= self._thresholds.flag) * 1

    def _others(self, probabilities: Single, best: Ints) -> dict[int, tuple[str, ...]]:
        """Return the other labels that apply, by row and the likeliest first, for the few texts with several labels."""
        others = {}
        likely = probabilities.take(self._labels, axis=1)
        for row in ((likely >= 0.5).sum(axis=1) > 1).nonzero()[0].tolist():
            label = self._taxonomy.schemes[best[row]].label if best[row] >= 0 else self._honest_name
            order = sorted(zip(-likely[row], range(len(self._names)), self._names, strict=True))
            others[row] = tuple(name for p, _, name in order if p <= -0.5 and name != label)
        return others

    def _kinds(self, codes: Ints, others: dict[int, tuple[str, ...]]) -> tuple[list[Kind], Ints]:
        """Return the kinds and the index of each text's kind; a code stands for a scheme and targets."""
        free = int(codes.max(initial=0)) + 1  # codes from here on stand for a code and other labels
        several: dict[tuple[int, tuple[str, ...]], int] = {}
        for row, names in others.items():
            codes[row] = several.setdefault((int(codes[row]), names), free + len(several))
        present, places = _distinct(codes)
        pairs = list(several)
        keys = [pairs[code - free] if code >= free else (code, ()) for code in present.tolist()]
        return [self._kind(code, names) for code, names in keys], places

    def _kind(self, code: int, others: tuple[str, ...]) -> Kind:
        targets, best = divmod(code, self._width)
        scheme = self._taxonomy.schemes[best - 1] if best else None
        label = scheme.label if scheme else self._honest_name
        groups = tuple(target.name for i, target in enumerate(self._taxonomy.targets) if targets >> i & 1)
        return Kind(label, scheme.name if scheme else None, (label, *others), groups)
