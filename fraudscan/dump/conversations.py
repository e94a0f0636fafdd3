"""Conversations: what three hundred harmless lines say together.

Each message is scored by itself; here, a window that runs along each conversation is scored too:
its last messages, up to `WINDOW` characters. A conversation's score is the highest of both; but a
long conversation has many windows, and each is a chance to alarm: their number is held against
them, as in a long text (`fraudscan.windows`). States of conversations stand in the job's
checkpoint, so that memory does not grow with their number, and messages of many may come mixed.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fraudscan.columns import COLUMNS
from fraudscan.decisions import VERDICTS
from fraudscan.dump.readers import dump_json
from fraudscan.dump.writers import cut

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fraudscan.decisions import Thresholds
    from fraudscan.dump.checkpoint import Checkpoint
    from fraudscan.dump.scoring import Message
    from fraudscan.model import Scanner

__all__ = ["Conversations"]

WINDOW = 500
"""Characters of a window: as many as the model judges as a whole, and as the longest SMS has."""

STRIDE = WINDOW // 2
"""How many new characters make the next window: each message stands whole in one or two."""

SCORE, VERDICT = map(list(COLUMNS.values()).index, ("score", "verdict"))


@dataclass
class Conversation:
    """What is known of a conversation so far.

    Attributes:
        messages: how many.
        first: source, line and text of the first message.
        strongest: source, line, score and text of the message with the highest score.
        counts: how many messages have which label, and which verdict.
        window: its last messages.
        fresh: how many characters of it have not been scored as part of a window.
        windows: how many windows have been scored.
        best: the decision with the highest score, of messages and windows.
        evidence: the text of that decision.
        verdict: the gravest one of all messages and windows: lists may make another one than the highest score.

    """

    messages: int = 0
    first: dict[str, Any] = field(default_factory=dict)
    strongest: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, Counter[str]] = field(default_factory=lambda: {"label": Counter(), "verdict": Counter()})
    window: list[str] = field(default_factory=list)
    fresh: int = 0
    windows: int = 0
    best: Sequence[Any] = ()
    evidence: str = ""
    verdict: str = VERDICTS[0]

    def add(self, source: str, message: Message) -> list[str]:
        """Take in a message; return the windows that are due to be scored."""
        text = message.text[-WINDOW:]
        windows = [self.due()] if self.fresh + len(text) > WINDOW else []  # it will push out what no window has had
        at = {"source": source, "line": message.line}
        self.first = self.first or {**at, "text": message.text[:WINDOW]}
        score = message.decision[SCORE]
        if not self.strongest or score > self.strongest["score"]:
            self.strongest = {**at, "score": score, "text": message.text[:WINDOW]}
        for name, count in self.counts.items():
            value = message.decision[list(COLUMNS.values()).index(name)]
            count[value] = count.get(value, 0) + 1
        self.messages += 1
        self.take(message.decision, message.text[:WINDOW])
        self.window.append(text)
        self.fresh += len(text) + 1
        size = sum(map(len, self.window)) + len(self.window) - 1
        while size > WINDOW:
            size -= len(self.window.pop(0)) + 1
        windows += [self.due()] if self.fresh >= STRIDE else []
        return [window for window in windows if window is not None]

    def due(self) -> str | None:
        """Return the window, if it is more than one message and not scored yet."""
        due = len(self.window) > 1 and self.fresh > 0
        self.fresh = 0
        return "\n".join(self.window) if due else None

    def take(self, decision: Sequence[Any], text: str) -> None:
        """Keep the decision that is higher, and the verdict that is graver."""
        self.verdict = max(self.verdict, decision[VERDICT], key=VERDICTS.index)
        if not self.best or decision[SCORE] > self.best[SCORE]:
            self.best, self.evidence = decision, text

    def take_window(self, decision: Sequence[Any], text: str, thresholds: Thresholds) -> None:
        """Do the same with a window's, whose odds are shared among all windows up to it; a verdict of lists stands.

        What is no fraud any more when that is done leaves its verdict only.
        """
        self.windows += 1
        whole = decision[SCORE]
        score = whole / (whole + self.windows * (1 - whole))
        by_score = decision[VERDICT] == thresholds.verdict(whole)
        paid = list(decision)
        paid[SCORE], paid[VERDICT] = score, thresholds.verdict(score) if by_score else decision[VERDICT]
        if score >= 0.5:
            self.take(paid, text)
        else:
            self.verdict = max(self.verdict, paid[VERDICT], key=VERDICTS.index)

    def row(self, key: str) -> dict[str, Any]:
        """Return the conversation's row of the output."""
        ours = dict(zip(COLUMNS, self.best, strict=True))
        ours |= {"fraud_score": cut(ours["fraud_score"]), "fraud_verdict": self.verdict}
        strongest = {**self.strongest, "score": cut(self.strongest["score"])}
        counts = {f"{name}s": count for name, count in self.counts.items()}
        row = {"conversation": key, "messages": self.messages, **ours, "evidence": self.evidence}
        return {**row, "first": self.first, "strongest": strongest, **counts}


class Conversations:
    """The conversations of a job, in the order of their first messages."""

    def __init__(self, scanner: Scanner, store: Checkpoint) -> None:
        self._scanner = scanner
        self._store = store
        self._open: dict[str, Conversation] = {}
        """Those touched since the last checkpoint."""

    def add(self, source: str, messages: Iterable[Message], scope: str = "") -> int:
        """Take in messages in their order; return how many belong to no conversation.

        Conversations of one name but of different scopes are different.
        """
        windows: list[tuple[Conversation, str]] = []
        without = 0
        for message in messages:
            if message.key is None:
                without += 1
                continue
            key = f"{message.key}\0{scope}"  # no file has a NUL in its name
            if (found := self._open.get(key)) is None:
                state = self._store.conversation(key)
                found = self._open[key] = Conversation(**json.loads(state)) if state else Conversation()
            windows += [(found, window) for window in found.add(source, message)]
        self._score(windows)
        return without

    def _score(self, windows: Sequence[tuple[Conversation, str]]) -> None:
        found = self._scanner.decide([window for _, window in windows], proba=False)
        decisions = zip(*(getattr(found, name) for name in COLUMNS.values()), strict=True)
        for (conversation, window), decision in zip(windows, decisions, strict=True):
            conversation.take_window(decision, window, self._scanner.thresholds)

    def save(self) -> None:
        """Put the states into the store, which the next checkpoint makes last."""
        states = ((key, json.dumps(vars(found))) for key, found in self._open.items())
        self._store.keep(states)
        self._open.clear()

    def rows(self) -> Iterator[bytes]:
        """Yield the output: one JSON object a line; the last window of each conversation is scored on the way."""
        for key, state in self._store.conversations():
            conversation = Conversation(**json.loads(state))
            if window := conversation.due():
                self._score([(conversation, window)])
            yield dump_json(conversation.row(key.rpartition("\0")[0])) + b"\n"
