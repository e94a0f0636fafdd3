"""Score conversations: three hundred lines that are each harmless may together be a fraud.

Each message is scored by itself. So are windows that slide along each conversation and hold its last messages, up to
`WINDOW` characters. The odds of a conversation are the geometric mean of two numbers: the highest odds of any message,
and the mean odds of all windows, because a lure may be in any of them. The highest odds alone would raise more false
alarms the longer people talk, and few lures fit into one message. A flagged message flags its conversation. Messages
that an allow list clears are left out. The states of conversations are kept in the job's checkpoint, so memory does not
grow with their number, and messages of different conversations may be interleaved. In the output, flagged
conversations come first, because a list may flag one with a low score; otherwise the higher scores do.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from math import inf, sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan.characters import DROPPED, code_points, normalization_table, text_of, without_markup
from fraudscan.columns import COLUMNS
from fraudscan.decisions import VERDICTS, cut
from fraudscan.dump.jsontext import dump_json, dumps, loads
from fraudscan.dump.scoring import rows_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fraudscan.columns import Column
    from fraudscan.decisions import Thresholds
    from fraudscan.dump.checkpoint import Checkpoint
    from fraudscan.dump.scoring import Message
    from fraudscan.model import Scanner

__all__ = ["WINDOW", "Conversation", "Conversations"]

WINDOW = 128
"""Characters per window, because a lure spans a few messages. Windows of 64 characters split it, and windows of 500
dilute it; with either size, fewer lures are found in third-party conversations."""

STRIDE = WINDOW // 2
"""New characters after which the next window is due. Each message is in one or two windows; of a long message, only the
last `WINDOW` characters are."""

SHOWN = 500
"""Characters of a text that are shown in the output."""

MIN_DOUBT = 1e-7
"""The least value of ``1 - score`` that odds are computed with, so that no odds are infinite."""

PLACES = {name: place for place, name in enumerate(COLUMNS)}
SCORE, VERDICT = PLACES["fraud_score"], PLACES["fraud_verdict"]

BEYOND = "\U00010000"
"""The first character beyond those in common use. A set of all characters that the model drops would be large."""

EMPTY: dict[type, Any] = {str: None, list: [], float: 0.0}
"""For each kind of column, its value for a conversation without a decision."""

GROUP = 1024
"""Conversations whose last windows are scored together."""


class Window(NamedTuple):
    """A window that is due to be counted.

    Attributes:
        message: the number of messages when it became due.
        text: its text, to be scored.
        odds: its odds, if it is a single message, which has been scored.
        shown: its messages as they are written, so that they can be found in the dump.

    """

    message: int
    text: str
    odds: float | None = None
    shown: str = ""


@dataclass
class Conversation:
    """The state of a conversation so far.

    Attributes:
        messages: the number of messages.
        name: the name of the conversation, if its key is a number.
        first: source, line and text of the first message, and its sheet if several of a workbook are read.
        strongest: the same and the score of the message with the highest score that no allow list clears.
        counts: the number of messages by label, and by verdict.
        window: the last messages as they count, the odds of each, and its text as it is written, if that differs.
        fresh: the number of characters in ``window``, message ends included, that have not been part of a window yet.
        windows: the number of windows counted.
        odds: the sum of the odds of those windows.
        best: the decision with the highest score of all messages and windows; if any are flagged, of the flagged ones.
        evidence: the text of the message or window that ``best`` belongs to; among equals, the first.
        place: where this text stands among all messages and windows: a window comes after the message with which it
            became due.

    """

    messages: int = 0
    name: str | None = None
    first: dict[str, Any] = field(default_factory=dict)
    strongest: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=lambda: {"label": {}, "verdict": {}})
    window: list[tuple[str, float, str]] = field(default_factory=list)
    fresh: int = 0
    windows: int = 0
    odds: float = 0.0
    best: Sequence[Any] = ()
    evidence: str = ""
    place: int = 0

    def add(self, source: str, message: Message) -> list[Window]:
        """Add a message; return the windows that are due to be counted."""
        sheet = {} if message.sheet is None else {"sheet": message.sheet}
        shown = {"source": source, **sheet, "line": message.line, "text": message.text[:SHOWN]}
        self.first = self.first or shown
        self.name = self.name or message.name
        self.messages += 1
        for name, count in self.counts.items():
            value = message.decision[PLACES[f"fraud_{name}"]]
            count[value] = count.get(value, 0) + 1
        if message.allowed:
            return []
        score = message.decision[SCORE]
        if not self.strongest or score > self.strongest["score"]:
            self.strongest = {**shown, "score": score}
        self._keep(message.decision, message.text[:SHOWN], 2 * self.messages)
        text, begin = _last_kept(message.text)
        written = message.text[begin : begin + SHOWN]
        written = "" if written == text else written
        # the message would push out characters that have not been part of a window yet
        windows = self.close_window() if self.fresh + len(text) > WINDOW else []
        self.window.append((text, odds_of(score), written))
        self.fresh += len(text) + 1
        size = sum([len(kept[0]) for kept in self.window]) + len(self.window) - 1
        while size > WINDOW:
            size -= len(self.window.pop(0)[0]) + 1
        return windows + (self.close_window() if self.fresh >= STRIDE else [])

    def close_window(self) -> list[Window]:
        """Return the current window in a list, which is empty if the window has no new characters."""
        fresh, self.fresh = self.fresh, 0
        if not fresh:
            return []
        text = "\n".join(text for text, *_ in self.window)
        shown = "\n".join(written or text for text, _, written in self.window)
        return [Window(self.messages, text, self.window[0][1] if len(self.window) == 1 else None, shown[-SHOWN:])]

    def take_window(self, window: Window, decision: Sequence[Any] = ()) -> None:
        """Count a window; ``decision`` is the decision on its text, which a single message does not need."""
        odds = window.odds
        if odds is None:
            self._keep(decision, window.shown, 2 * window.message + 1)
            odds = odds_of(decision[SCORE])
        self.windows += 1
        self.odds += odds

    def _keep(self, decision: Sequence[Any], text: str, place: int) -> None:
        """Keep the best decision, among equals the first in the conversation: windows are scored late."""
        if not self.best or (*_rank(decision), -place) > (*_rank(self.best), -self.place):
            self.best, self.evidence, self.place = decision, text, place

    def row(self, key: str, limits: Thresholds, honest: str | None) -> dict[str, Any]:
        """Return the output row of the conversation; ``honest`` is the name of the honest label, if there is one."""
        highest = odds_of(self.strongest["score"]) if self.strongest else 0.0
        odds = sqrt(highest * (self.odds / self.windows)) if self.windows else highest
        score = odds / (1 + odds)
        verdict = VERDICTS[-1] if VERDICTS[-1] in self.counts["verdict"] else limits.verdict(score)
        likely = self.best and (score >= 0.5 or verdict == VERDICTS[-1])
        best = self.best if likely else [EMPTY[column.kind] for column in COLUMNS.values()]
        ours = {name: cut(x) if isinstance(x, float) else x for name, x in zip(COLUMNS, best, strict=True)}
        if not likely and honest is not None:
            ours |= {"fraud_label": honest, "fraud_labels": [honest]}
        ours |= {"fraud_score": cut(score), "fraud_verdict": verdict}
        strongest = self.strongest and {**self.strongest, "score": cut(self.strongest["score"])}
        counts = {f"{name}s": count for name, count in self.counts.items()}
        named = {"name": self.name} if self.name else {}
        row = {"conversation": key, **named, "messages": self.messages, **ours, "evidence": self.evidence}
        return {**row, "first": self.first, "strongest": strongest or None, **counts}


def _rank(decision: Sequence[Any]) -> tuple[bool, float]:
    return decision[VERDICT] == VERDICTS[-1], decision[SCORE]


def odds_of(score: float) -> float:
    """Return the odds of a probability.

    >>> odds_of(0.75)
    3.0

    """
    return score / max(1 - score, MIN_DOUBT)


def _last_kept(text: str) -> tuple[str, int]:
    """Return the last `WINDOW` characters that the model does not drop, and the offset in ``text`` at which they begin.

    The characters that it drops do not fill a window. If none before the last ones is kept, the offset is 0.
    """
    plain = without_markup(text)
    if len(text) <= WINDOW and max(plain, default="") < BEYOND and _dropped().isdisjoint(plain):  # as most messages are
        return text, 0
    codes = code_points(plain)
    kept = (normalization_table().take(codes) != DROPPED).nonzero()[0]
    begin = int(kept[-WINDOW]) if kept.size > WINDOW else 0
    return text_of(codes[kept[-WINDOW:]]), begin


@cache
def _dropped() -> frozenset[str]:
    """Return the characters before `BEYOND` that the model drops."""
    return frozenset(text_of((normalization_table()[: ord(BEYOND)] == DROPPED).nonzero()[0].astype(np.int32)))


def _dump_state(found: Conversation) -> str:
    try:
        return dumps(vars(found)).decode()
    except TypeError:  # a text has half of a surrogate pair, which orjson refuses, in escapes as well
        return json.dumps(vars(found))


def _load_state(state: str) -> Any:
    try:
        return loads(state.encode())
    except ValueError:
        return json.loads(state)


def _is_state(state: Any) -> bool:
    """Return whether a value from JSON has the attributes of a `Conversation`; may raise an error if it has not."""
    match {**state, "strongest": state["strongest"] or None}:
        case {
            "messages": int(),
            "name": str() | None,
            "first": {"source": str(), "line": int(), "text": str()},
            "strongest": None | {"source": str(), "line": int(), "text": str(), "score": float()},
            "counts": {"label": dict(labels), "verdict": dict(verdicts), **others},
            "window": list(window),
            "fresh": int(fresh),
            "windows": int(windows),
            "odds": float(odds),
            "best": list(best),
            "evidence": str(),
            "place": int(),
            **more,
        } if not (others or more):
            return (
                all(isinstance(count, int) for counts in (labels, verdicts) for count in counts.values())
                and all(
                    isinstance(text, str) and isinstance(one, float) and 0 <= one < inf and isinstance(written, str)
                    for text, one, written in window
                )
                and 0 <= fresh <= WINDOW + 1
                and windows >= 0
                and 0 <= odds < inf
                and 0 <= state["strongest"].get("score", 0) <= 1
                and len(best) in (0, len(COLUMNS))
                and all(map(_is_value, best, COLUMNS.values()))
            )
    return False


def _is_value(value: Any, column: Column) -> bool:
    """Return whether a value from JSON is one of a column; any text may be missing, as the scheme is."""
    if column.kind is list:
        return isinstance(value, list) and all(isinstance(name, str) for name in value)
    return isinstance(value, column.kind) or (column.kind is str and value is None)


class Conversations:
    """The conversations of a job."""

    def __init__(self, scanner: Scanner, store: Checkpoint) -> None:
        self._scanner = scanner
        self._windows = scanner.with_lists(None)
        """The scanner for windows. It has no lists, because their entries apply to messages."""
        self._store = store
        self._open: dict[str, Conversation] = {}
        """The conversations that have changed since the last `save`."""
        self.verdicts: Counter[str] = Counter()
        """The number of conversations by verdict, once `rows` are read."""

    def add(self, source: str, messages: Iterable[Message], scope: str = "") -> int:
        """Add messages in order; return the number of messages that belong to no conversation.

        Conversations with the same name but different scopes are kept apart.
        """
        windows: list[tuple[Conversation, Window]] = []
        without = 0
        for message in messages:
            if message.key is None:
                without += 1
                continue
            key = f"{message.key}\0{scope}"  # a file name cannot contain NUL
            if (found := self._open.get(key)) is None:
                state = self._store.conversation(key)
                found = self._open[key] = Conversation(**_load_state(state)) if state else Conversation()
            windows += [(found, window) for window in found.add(source, message)]
        self._score(windows)
        return without

    def check(self) -> None:
        """Refuse to resume if the store has anything but what `save` puts there. All other methods trust it."""
        with self._store.understood():
            for key, state in self._store.conversations():
                if "\0" not in key or not _is_state(json.loads(state)):
                    raise ValueError("a conversation has impossible values")

    def _score(self, windows: Sequence[tuple[Conversation, Window]]) -> None:
        """Count windows in the order in which they became due, on which a sum of floats depends."""
        texts = [window.text for _, window in windows if window.odds is None]
        decisions = rows_of(self._windows.decide(texts, proba=False))
        for conversation, window in windows:
            conversation.take_window(window, next(decisions) if window.odds is None else ())

    def save(self) -> None:
        """Put the states into the store; the next checkpoint makes them durable."""
        self._store.keep((key, _dump_state(found)) for key, found in self._open.items())
        self._open.clear()

    def rows(self) -> Iterator[bytes]:
        """Yield the output, one JSON object per line: flagged conversations first, then those with higher scores.

        This also scores the last window of each conversation.
        """
        return self._store.ranked(self._rows())

    def _rows(self) -> Iterator[tuple[bool, float, bytes]]:
        """Yield for each conversation whether it is flagged, its score, and its row."""
        honest, limits = self._scanner.taxonomy.honest, self._scanner.thresholds
        states = self._store.conversations()
        while group := [(key, Conversation(**_load_state(state))) for key, state in itertools.islice(states, GROUP)]:
            self._score([(found, window) for _, found in group for window in found.close_window()])
            for key, found in group:
                row = found.row(key.rpartition("\0")[0], limits, honest)
                self.verdicts[row["fraud_verdict"]] += 1
                yield row["fraud_verdict"] == VERDICTS[-1], row["fraud_score"], dump_json(row) + b"\n"
