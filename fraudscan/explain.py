"""Which spans of a text carried a decision.

Every n-gram's weight is spread evenly over its characters (punctuation has a share only where
there is nothing else). The text is then parted into
words of the vocabulary, so that as much evidence as can be lies inside of words and as
little as can be is cut by their edges; runs of Latin letters and digits are never cut, and
punctuation is a word of its own. Neighbouring words of a clause that pull the same way form a
span, and so does what stands between them if it hardly pulls the other way.

For a pretence the weights are those of two heads, "not legitimate" and its most probable
scheme: the weights of all spans and the bias add up to the sum of the two logits. For the
honest label they are those of "not legitimate", with the signs turned round. The
heads stand on a layer that is linear near each text: a weight
says how far the logit moves with it. If a window of a long text decided, its spans are
those of the window. In a model of a user's own labels they are those of the label's head.
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
    from fraudscan.taxonomy import Label

__all__ = ["Explanation", "Span", "evidence", "explain"]

SHOWN = 3
"""How many spans the command line and the column of evidence show."""

CHANGE = 0.25
"""How much evidence (log-odds) a change of sides must be worth: with less, words stay in the span around them. A
choice: of odds of one to one, a quarter makes 0.56 instead of 0.5, which nobody would point at."""


CLAUSE_ENDS = frozenset('，,；;！!？?。…\n\t<>"“”「」【】[]{}|')
"""Characters that no span passes: what is between them is said by somebody else, or is mark-up."""


class Span(NamedTuple):
    """A stretch of the original text and how far it moved the decision for ``label`` (log-odds; negative: against)."""

    start: int
    end: int
    text: str
    label: str
    weight: float


@dataclass(frozen=True)
class Explanation(Sequence[Span]):
    """The spans of a text, those that speak for its label first, by falling weight; a sequence of them.

    Attributes:
        label: what they speak for or against.
        bias: what is not owed to a span (log-odds): the biases, what the layer adds whatever the text says, and of a
            long text what its length, its other windows and what it speaks of add or take (see `fraudscan.windows`).
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
        """Return up to ``count`` spans that speak for the label, punctuation left out."""
        said = (span for span in self.spans if span.weight > 0 and not CLAUSE_ENDS.issuperset(span.text))
        return list(itertools.islice(said, count))

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
    """Return the spans that speak for and against ``label``; takes some 15 µs a character, of short texts more.

    Args:
        scanner: the scanner whose decision is explained.
        text: the original text; offsets refer to it.
        label: a label of the scanner's taxonomy; without it the likeliest that is not honest.

    Raises:
        KeyError: if there is no such label.

    """
    engine = scanner.engine
    logits, window, repaired = engine.judge_one(text)
    nodes, starts, ends = (part[window] for part in engine.read(text, repaired=repaired))
    label = _pretence(scanner, logits) if label is None else label
    heads = _heads_for(scanner, logits, label)
    if not nodes.size:
        return Explanation(label, float(heads @ logits), ())
    sums = engine.weights[nodes].sum(axis=0, dtype=np.int64).astype(np.float64)[:, None]
    norms = engine.norms(sums * engine.scales[:, None], np.array([nodes.size]))
    inputs = engine.scaled(sums, np.array([nodes.size]))[:, 0]
    shares = np.zeros(len(engine.scales))
    shares[: inputs.size] = engine.layer.gradient(inputs, heads) if engine.layer else heads
    ngrams = _ngrams(engine, nodes, shares)
    edges, marks = _edges(engine.vocabulary, text, starts, ends)
    each = _spread(*ngrams, marks, nodes.size) / norms
    spans = []
    for start, stop in _join(_words(*ngrams, edges, marks), each, _clauses(text, starts)):
        first, last = int(starts[start]), int(ends[stop - 1])
        spans.append(Span(first, last, text[first:last], label, float(each[start:stop].sum())))
    spans.sort(key=lambda span: (-span.weight, span.start))
    return Explanation(label, math.fsum([float(heads @ logits), *(-span.weight for span in spans)]), tuple(spans))


def evidence(scanner: Scanner, texts: Sequence[str], found: Decisions) -> list[str]:
    """Return the strongest spans of each text for its pretence, joined by ``" | "``; nothing where it has none.

    An honest one that is not clear has the likeliest, as in `Result.explain`.

    Args:
        scanner: the scanner that decided.
        texts: the texts.
        found: what it decided on them.

    """
    honest = scanner.taxonomy.honest.name if scanner.taxonomy.honest else None
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
    """Return the most probable label of those that are not honest: it is as probable as its likeliest scheme."""
    taxonomy = scanner.taxonomy

    def highest(label: Label) -> float:
        names = [scheme.name for scheme in label.schemes] if taxonomy.task == "fraud" else [label.name]
        return max(float(logits[scanner.heads.index(name)]) for name in names)

    return max((label for label in taxonomy.labels if label != taxonomy.honest), key=highest).name


def _ngrams(engine: Engine, nodes: Ints, shares: Floats) -> tuple[list[int], list[int], list[float]]:
    """Return the end, the length and the own weight of all n-grams of a text, of which ``nodes`` are the longest."""
    vocabulary = engine.vocabulary
    effects = shares * engine.scales
    at = np.arange(1, nodes.size + 1)
    ends, orders, weights = [], [], []
    while at.size:  # a node's weight is its own and that of its suffix: take the suffixes one by one
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
    """Return where words may begin and end, and where punctuation is.

    Not inside runs of Latin letters and digits, nor between characters that share some of the text.
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
    """Part a text into words, each an n-gram or what lies between two ``edges``, with the most evidence inside."""
    ending: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for end, order, weight in zip(ends, orders, weights, strict=True):
        ending[end].append((end - order, abs(weight)))

    def inside(start: int, end: int) -> float:
        return sum(w for stop in range(start + 1, end + 1) for begin, w in ending[stop] if begin >= start)

    best: dict[int, tuple[float, int]] = {0: (0.0, 0)}
    first = 0  # the last punctuation's end, or its start if that is where we are
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
    """Return the number of each character's clause; what ends a clause is one by itself."""
    number, numbers = 0, []
    for start, end in itertools.pairwise([*kept.tolist(), len(text)]):
        number += text[start] in CLAUSE_ENDS
        numbers.append(number)
        number += not CLAUSE_ENDS.isdisjoint(text[start:end])
    return numbers


def _join(words: list[tuple[int, int]], each: Floats, clauses: list[int]) -> list[tuple[int, int]]:
    """Join words to spans: of each clause in turn, those that pull the same way."""
    spans = []
    for _, clause in itertools.groupby(words, lambda word: clauses[word[0]]):
        spans += _join_clause(list(clause), each)
    return spans


def _join_clause(words: list[tuple[int, int]], each: Floats) -> list[tuple[int, int]]:
    """Join words for and against, with the least evidence on the wrong side, and `CHANGE` for each change of sides.

    Words that do not pull at all are left out.
    """
    weights = [float(each[start:end].sum()) for start, end in words]
    costs, came = [0.0, 0.0], []  # of all words so far with the last one against, for; the side of the one before
    for weight in weights:
        before = [side if costs[side] <= costs[1 - side] + CHANGE else 1 - side for side in (0, 1)]
        wrong = (max(weight, 0.0), max(-weight, 0.0))
        costs = [costs[before[side]] + CHANGE * (before[side] != side) + wrong[side] for side in (0, 1)]
        came.append(before)
    side = int(costs[1] < costs[0])
    joined: list[tuple[int, int, int]] = []
    for (start, end), weight, before in zip(reversed(words), reversed(weights), reversed(came), strict=True):
        if weight and joined and joined[-1][0] == end and joined[-1][2] == side:
            joined[-1] = (start, joined[-1][1], side)
        elif weight:
            joined.append((start, end, side))
        side = before[side]
    return _without_scraps([(start, end) for start, end, _ in reversed(joined)])


def _without_scraps(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join single characters to the span before them, or else behind: 稳赚不 and 赔 tell nobody anything."""
    whole: list[tuple[int, int]] = []
    for start, end in spans:
        scrap = end - start == 1 or (whole and whole[-1][1] - whole[-1][0] == 1)
        if scrap and whole and whole[-1][1] == start:
            whole[-1] = (whole[-1][0], end)
        else:
            whole.append((start, end))
    return whole


def _heads_for(scanner: Scanner, logits: Floats, label: str) -> Floats:
    """Return how much each head counts for ``label``, shape (heads,)."""
    heads = np.zeros(len(scanner.heads))
    schemes = [scheme.name for scheme in scanner.taxonomy.label(label).schemes]
    if scanner.taxonomy.task != "fraud":
        heads[scanner.heads.index(label)] = 1
    elif schemes:
        heads[[0, max(map(scanner.heads.index, schemes), key=lambda head: logits[head])]] = 1
    else:
        heads[0] = -1
    return heads
