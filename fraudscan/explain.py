"""Which spans of a text carried a decision.

Every n-gram's weight is spread evenly over its characters (punctuation gets a share only if
the n-gram has nothing else). The text is then split into words of the vocabulary, so that as
much evidence as possible lies inside words and as little as possible is cut by their edges.
Runs of Latin letters and digits are never cut, and punctuation is a word of its own.
Neighbouring words of a clause that pull the same way form a span, together with the words
between them if these hardly pull the other way.

For a pretence the weights are those of two heads, "not legitimate" and the pretence's most
probable scheme: the weights of all spans plus the bias equal the sum of the two logits. For
the honest label the weights are those of "not legitimate", with opposite signs. In a model of
a user's own labels they are those of the label's head. The heads are linear in a layer that
is itself linear near each text: a weight says how far the logit moves with the span. If a
window of a long text decided, the spans are those of the window.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np

from fraudscan.decisions import VERDICTS

if TYPE_CHECKING:
    from fraudscan.arrays import Floats, Ints
    from fraudscan.decisions import Decisions
    from fraudscan.engine import Engine
    from fraudscan.features import Vocabulary
    from fraudscan.model import Scanner

__all__ = ["Explanation", "Span", "evidence", "explain"]

SHOWN = 3
"""The number of spans that the command line and the evidence column show."""

CHANGE = 0.25
"""The evidence (log-odds) that a change of sides must be worth. Words with less stay in the span around them. The value
is a choice: from even odds, a quarter moves a probability of 0.5 to 0.56, which nobody would point out."""

CLAUSE_ENDS = frozenset('，,；;！!？?。…\n\t<>"“”「」【】[]{}|')
"""Characters that no span crosses: they end a clause, or enclose a quotation, a heading or mark-up."""


class Span(NamedTuple):
    """A part of the original text, and how far it moved the decision towards ``label`` (log-odds; negative: away)."""

    start: int
    end: int
    text: str
    label: str
    weight: float


@dataclass(frozen=True)
class Explanation(Sequence[Span]):
    """The spans of a text, a sequence by decreasing weight: evidence for the label comes first.

    Attributes:
        label: the label that the spans are evidence for or against.
        bias: the part of the logit that comes from no span (log-odds): the biases, what the layer adds for any text,
            and for a long text the effects of its length, of its other windows and of speaking of frauds (see
            `fraudscan.windows`).
        spans: the spans; no two of them overlap.

    """

    label: str
    bias: float
    spans: tuple[Span, ...]

    @property
    def logit(self) -> float:
        """The bias plus all weights: the logit that is explained."""
        return math.fsum([self.bias, *(span.weight for span in self.spans)])

    def strongest(self, count: int = SHOWN) -> list[Span]:
        """Return up to ``count`` of the strongest spans for the label, leaving out punctuation."""
        supporting = (span for span in self.spans if span.weight > 0 and not CLAUSE_ENDS.issuperset(span.text))
        return list(itertools.islice(supporting, count))

    @overload
    def __getitem__(self, index: int) -> Span: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Span, ...]: ...
    def __getitem__(self, index: int | slice) -> Span | tuple[Span, ...]:
        """Return the span or spans at ``index``."""
        return self.spans[index]

    def __len__(self) -> int:
        """Return the number of spans."""
        return len(self.spans)


def explain(scanner: Scanner, text: str, label: str | None = None) -> Explanation:
    """Return the spans that are evidence for and against ``label``.

    This takes some 15 µs per character, and more for short texts.

    Args:
        scanner: the scanner whose decision is explained.
        text: the original text; offsets refer to it.
        label: a label of the scanner's taxonomy (default: the most probable one that is not honest).

    Raises:
        KeyError: if the taxonomy has no such label.

    """
    engine = scanner.engine
    logits, window, repaired = engine.judge_one(text)
    nodes, starts, ends = (part[window] for part in engine.read(text, repaired=repaired))
    label = _pretence(scanner, logits) if label is None else label
    heads = _heads_for(scanner, logits, label)
    if not nodes.size:
        return Explanation(label, float(heads @ logits), ())
    sums, lengths = engine.weights[nodes].sum(axis=0, dtype=np.int64)[:, None], np.array([nodes.size])
    inputs = engine.scaled(sums, lengths)[:, 0]
    shares = np.zeros(len(engine.scales))
    shares[: inputs.size] = engine.layer.gradient(inputs, heads) if engine.layer else heads
    ngrams = _ngrams(engine, nodes, shares)
    edges, marks = _edges(engine.vocabulary, text, starts, ends)
    each = _spread(*ngrams, marks, nodes.size) / engine.norms(sums, lengths)
    spans = []
    for start, stop in _join(_words(*ngrams, edges, marks), each, _clauses(text, starts)):
        first, last = int(starts[start]), int(ends[stop - 1])
        spans.append(Span(first, last, text[first:last], label, float(each[start:stop].sum())))
    spans.sort(key=lambda span: (-span.weight, span.start))
    return Explanation(label, math.fsum([float(heads @ logits), *(-span.weight for span in spans)]), tuple(spans))


def evidence(scanner: Scanner, texts: Sequence[str], found: Decisions) -> list[str]:
    """Return the strongest spans of each text for its pretence, joined by ``" | "``; an empty string if it has none.

    A text with the honest label whose verdict is not ``"clear"`` gets those for its most probable pretence, as in
    `Result.explain`.

    Args:
        scanner: the scanner that made the decisions.
        texts: the texts.
        found: the decisions on the texts.

    """
    honest = scanner.taxonomy.honest
    column = []
    for text, label, verdict in zip(texts, found.label, found.verdict, strict=True):
        spans: Sequence[Span] = ()
        if label != honest:
            spans = explain(scanner, text, label).strongest()
        elif verdict != VERDICTS[0]:
            spans = explain(scanner, text).strongest()
        column.append(" | ".join(span.text for span in spans))
    return column


def _pretence(scanner: Scanner, logits: Floats) -> str:
    """Return the most probable label that is not honest: that of the most probable scheme."""
    heads = scanner.heads
    return max(scanner.taxonomy.schemes, key=lambda scheme: float(logits[heads.index(scheme.name)])).label


def _ngrams(engine: Engine, nodes: Ints, shares: Floats) -> tuple[list[int], list[int], list[float]]:
    """Return the end, length and own weight of each n-gram of a text; ``nodes`` are the longest at each position."""
    vocabulary = engine.vocabulary
    effects = shares * engine.scales
    at = np.arange(1, nodes.size + 1)
    ends, orders, weights = [], [], []
    while at.size:  # a node's weight includes that of its suffix: go through the suffixes one by one
        at, nodes = at[nodes > 0], nodes[nodes > 0]
        suffixes = vocabulary.suffixes[nodes]
        ends.append(at)
        orders.append(vocabulary.orders[nodes])
        weights.append((engine.weights[nodes].astype(np.float64) - engine.weights[suffixes]) @ effects)
        nodes = suffixes
    return np.concatenate(ends).tolist(), np.concatenate(orders).tolist(), np.concatenate(weights).tolist()


def _spread(ends: list[int], orders: list[int], weights: list[float], marks: set[int], size: int) -> Floats:
    """Return the weight of each of a text's ``size`` characters."""
    each = [0.0] * size
    for end, order, weight in zip(ends, orders, weights, strict=True):
        first = max(0, end - order)  # an n-gram may have begun before the window
        places = [place for place in range(first, end) if place not in marks] or range(first, end)
        for place in places:
            each[place] += weight / len(places)
    return np.array(each)


def _edges(vocabulary: Vocabulary, text: str, starts: Ints, ends: Ints) -> tuple[list[int], set[int]]:
    """Return the positions where words may begin and end, and the positions of punctuation.

    Words do not begin or end inside runs of Latin letters and digits, or between characters that overlap in the text.
    """
    characters = [text[place] for place in starts.tolist()]
    codes = vocabulary.table()[list(map(ord, characters))]
    latin = ((codes >= ord("a")) & (codes <= ord("z"))) | (codes == ord("0"))
    inside = (latin[1:] & latin[:-1] & (np.diff(starts) == 1)) | (starts[1:] < ends[:-1])
    edges = [0, *(np.flatnonzero(~inside) + 1).tolist(), int(starts.size)]
    return edges, {place for place, character in enumerate(characters) if not character.isalnum()}


def _words(
    ends: list[int], orders: list[int], weights: list[float], edges: list[int], marks: set[int]
) -> list[tuple[int, int]]:
    """Split a text into words, each an n-gram or the text between two ``edges``, with the most evidence inside them."""
    ending: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for end, order, weight in zip(ends, orders, weights, strict=True):
        ending[end].append((end - order, abs(weight)))

    def inside(start: int, end: int) -> float:
        return sum(w for stop in range(start + 1, end + 1) for begin, w in ending[stop] if begin >= start)

    best: dict[int, tuple[float, int]] = {0: (0.0, 0)}
    first = 0  # the end of the last punctuation, or the start of the punctuation at hand
    for before, end in itertools.pairwise(edges):
        first = before if before in marks or before - 1 in marks else first
        starts = [before, *(begin for begin, _ in ending[end] if first <= begin < before and begin in best)]
        best[end] = max((best[start][0] + inside(start, end), start) for start in starts)
    words = []
    end = edges[-1]
    while end:
        start = best[end][1]
        words.append((start, end))
        end = start
    return words[::-1]


def _clauses(text: str, kept: Ints) -> list[int]:
    """Return the clause number of each kept character; a character that ends a clause is a clause by itself."""
    number, numbers = 0, []
    for start, end in itertools.pairwise([*kept.tolist(), len(text)]):
        number += text[start] in CLAUSE_ENDS
        numbers.append(number)
        number += not CLAUSE_ENDS.isdisjoint(text[start:end])
    return numbers


def _join(words: list[tuple[int, int]], each: Floats, clauses: list[int]) -> list[tuple[int, int]]:
    """Join the words of each clause that pull the same way into spans."""
    spans = []
    for _, clause in itertools.groupby(words, lambda word: clauses[word[0]]):
        spans += _join_clause(list(clause), each)
    return spans


def _join_clause(words: list[tuple[int, int]], each: Floats) -> list[tuple[int, int]]:
    """Join words into spans for and against, with the least cost.

    The cost is the evidence on the wrong side, plus `CHANGE` for each change of sides. Words of weight zero are left
    out.
    """
    weights = [float(each[start:end].sum()) for start, end in words]
    # the cost of the words so far if the last one is against or for; for both, the side of the word before it
    costs, previous = [0.0, 0.0], []
    for weight in weights:
        before = [side if costs[side] <= costs[1 - side] + CHANGE else 1 - side for side in (0, 1)]
        wrong = (max(weight, 0.0), max(-weight, 0.0))
        costs = [costs[before[side]] + CHANGE * (before[side] != side) + wrong[side] for side in (0, 1)]
        previous.append(before)
    side = int(costs[1] < costs[0])
    joined: list[tuple[int, int, int]] = []
    for (start, end), weight, before in zip(reversed(words), reversed(weights), reversed(previous), strict=True):
        if weight and joined and joined[-1][0] == end and joined[-1][2] == side:
            joined[-1] = (start, joined[-1][1], side)
        elif weight:
            joined.append((start, end, side))
        side = before[side]
    return _without_scraps([(start, end) for start, end, _ in reversed(joined)])


def _without_scraps(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join single characters to the span before, or else after them: 稳赚不 and 赔 mean nothing to a reader."""
    whole: list[tuple[int, int]] = []
    for start, end in spans:
        scrap = end - start == 1 or (whole and whole[-1][1] - whole[-1][0] == 1)
        if scrap and whole and whole[-1][1] == start:
            whole[-1] = (whole[-1][0], end)
        else:
            whole.append((start, end))
    return whole


def _heads_for(scanner: Scanner, logits: Floats, label: str) -> Floats:
    """Return the weight of each head in the logit for ``label``, shape (heads,)."""
    heads = np.zeros(len(scanner.heads))
    schemes = [scheme.name for scheme in scanner.taxonomy.label(label).schemes]
    if scanner.taxonomy.task != "fraud":
        heads[scanner.heads.index(label)] = 1
    elif schemes:
        heads[[0, max(map(scanner.heads.index, schemes), key=lambda head: logits[head])]] = 1
    else:
        heads[0] = -1
    return heads
