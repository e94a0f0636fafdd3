"""Which spans of a text carried a decision.

Every n-gram's weight is spread evenly over its characters (punctuation gets a share only if
the n-gram has nothing else). The text is then split into words of the vocabulary, so that as
much evidence as possible lies inside words and as little as possible is cut by their edges.
Runs of Latin letters and digits are never cut, nor are links, and numbers such as 1.5; other
punctuation is a word of its own. Neighbouring words of a clause that pull the same way form a span,
together with the words between them if these hardly pull the other way.

For a pretence the weights are those of two heads, "not legitimate" and the pretence's most
probable scheme (or the scheme or target group that is asked for): the weights of all spans
plus the bias equal the sum of the two logits. For the legitimate label the weights are those of
"not legitimate", with opposite signs. In a model of a user's own labels they are those of the
label's head. The heads are linear in a layer that
is itself linear near each text: a weight says how far the logit moves with the span. If a
window of a long text decided, the spans are those of the window.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np

from fraudscan import kernel
from fraudscan.arrays import cuts
from fraudscan.characters import code_points, is_latin, text_sizes
from fraudscan.decisions import VERDICTS, checked_integer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from fraudscan.arrays import Bools, Floats, Ints
    from fraudscan.decisions import Decisions
    from fraudscan.engine import Engine, Parts
    from fraudscan.features import Vocabulary
    from fraudscan.model import Scanner

__all__ = ["Explanation", "Span", "evidence", "explain"]

SHOWN = 3
"""The number of spans that the command line and the evidence column show."""

CHANGE = 0.25
"""The evidence (log-odds) that a change of sides must be worth. Words with less stay in the span around them. The value
is a choice: from even odds, a quarter moves a probability of 0.5 to 0.56, which nobody would point out. It is also what
a span among the strongest ones must be worth."""

NUMERIC = frozenset(".,:：")
"""Characters that belong to a number if they stand between two digits."""

SOLID = re.compile(r"[\w./?=&%#:@~+-]+", re.ASCII)
LINK = re.compile(r"://|\w\.[a-z]{2}", re.ASCII | re.IGNORECASE)
"""What a link is made of, and what it has in it. (One pattern for both would take long for long runs of letters.)"""

BATCH = 1 << 15
"""Characters of texts explained together, which take some 300 bytes each."""

BLOCK = 1 << 12
"""N-grams weighed at a time, few enough that the arrays stay in the caches."""

NEGLIGIBLE = 1e-9
"""Weights (log-odds) up to which a word counts as having none: exact weights may cancel out, rounded ones hardly do."""

CLAUSE_ENDS = frozenset(
    '，,；;！!？?。…\n\v\f\r\x85\u2028\u2029\t<>＜＞《》〈〉\\"“”「」『』【】〔〕[]［］{}｛｝()（）|｜'
)
"""Characters that no span crosses: they end a clause, enclose a quotation, a title, a remark, a heading or mark-up, or
begin an escape. Those that are not read part no single characters from each other, because they are fillers there."""

BLANKS = frozenset(" \u00a0\u3000")

END, BLANK = 1, 2
"""What `_kinds` returns for these and for the ends of clauses."""

CLAUSE = 3
"""Characters before and after a blank from which on it ends a clause, unless a letter, a digit or a sign is beside it:
many people write blanks for commas. Blanks around fewer characters part words, or disguise them."""


class Span(NamedTuple):
    """A part of the original text, and how far it moved the decision towards ``label`` (log-odds; negative: away).

    ``start`` and ``end`` count code points, as Python does, not UTF-16 units.
    """

    start: int
    end: int
    text: str
    label: str
    weight: float


@dataclass(frozen=True)
class Explanation(Sequence[Span]):
    """The spans of a text, a sequence by decreasing weight: evidence for the label comes first.

    Attributes:
        label: the label, scheme or target group that the spans are evidence for or against.
        bias: the part of the logit that comes from no span (log-odds): the biases, what the layer adds for any text,
            and for a long text the effects of its length, of its other windows and of speaking of frauds (see
            `fraudscan.windows`).
        spans: the spans; no two of them overlap.
        window: begin and end, in code points, of the part of a long text that the spans lie in; ``None`` if it is the
            whole text.

    """

    label: str
    bias: float
    spans: tuple[Span, ...]
    window: tuple[int, int] | None = None

    @property
    def logit(self) -> float:
        """The bias plus all weights: the logit that is explained."""
        return math.fsum([self.bias, *(span.weight for span in self.spans)])

    def strongest(self, count: int = SHOWN) -> list[Span]:
        """Return up to ``count`` of the strongest spans for the label, leaving out punctuation and repetitions.

        Spans with less weight than `CHANGE` are left out, too; if there are no others, the strongest one is returned.

        Raises:
            TypeError: if ``count`` is not an integer.
            ValueError: if it is negative.

        """
        if checked_integer(count, "count") < 0:
            raise ValueError(f"count must be at least 0, not {count}")
        supporting: dict[str, Span] = {}
        for span in self.spans:
            if span.weight > 0 and not CLAUSE_ENDS.issuperset(span.text):
                supporting.setdefault(span.text, span)
        telling = [span for span in supporting.values() if span.weight >= CHANGE]
        return (telling or list(supporting.values())[:1])[:count]

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

    Args:
        scanner: the scanner whose decision is explained.
        text: the original text; offsets refer to it.
        label: a label, scheme or target group of the scanner's taxonomy (default: the most probable label that is not
            legitimate).

    Raises:
        KeyError: if the taxonomy has nothing of this name.

    """
    return next(_explanations(scanner, [text], [label]))


def evidence(scanner: Scanner, texts: Sequence[str], found: Decisions) -> list[str]:
    """Return the strongest spans of each text for its pretence, joined by ``" | "``; an empty string if it has none.

    A text with the legitimate label whose verdict is not ``"clear"`` gets those for its most probable pretence, as in
    `Result.explain`.

    Args:
        scanner: the scanner that made the decisions.
        texts: the texts.
        found: the decisions on the texts.

    """
    honest = scanner.taxonomy.honest
    wanted = {
        i: None if label == honest else label
        for i, (label, verdict) in enumerate(zip(found.label, found.verdict, strict=True))
        if label != honest or verdict != VERDICTS[0]
    }
    column = [""] * len(texts)
    explanations = _explanations(scanner, [texts[i] for i in wanted], list(wanted.values()))
    for i, explanation in zip(wanted, explanations, strict=True):
        column[i] = " | ".join(span.text for span in explanation.strongest())
    return column


def _explanations(scanner: Scanner, texts: Sequence[str], labels: Sequence[str | None]) -> Iterator[Explanation]:
    """Yield what `explain` returns for each text and label."""
    for part in cuts(text_sizes(texts), BATCH):
        yield from _together(scanner, texts[part], labels[part])


def _together(scanner: Scanner, texts: Sequence[str], labels: Sequence[str | None]) -> Iterator[Explanation]:
    """Do the same for one or more texts at once."""
    engine = scanner.engine
    judged = engine.judge(texts)
    likeliest = _pretences(scanner, judged.logits)
    known = [other if label is None else label for label, other in zip(labels, likeliest, strict=True)]
    heads = _heads_for(scanner, judged.logits, known)
    parts = engine.parts(texts, judged)
    each, starts, stops = _spans(_Characters.of(engine, texts, parts, heads))
    windows = {i: parts.span(i) for i in judged.places[:, 1].nonzero()[0].tolist()}
    places = np.append(0, starts.searchsorted(parts.lengths.cumsum())).tolist()
    # where a span ends and the next one begins, which may be the same place, reduceat adds up what is left out here
    weights = np.add.reduceat(np.append(each, 0.0), np.column_stack([starts, stops]).ravel())[::2].tolist()
    froms, tos = parts.starts[starts].tolist(), parts.ends[stops - 1].tolist()
    for i, (text, label) in enumerate(zip(texts, known, strict=True)):
        spans = [
            Span(froms[k], tos[k], text[froms[k] : tos[k]], label, weights[k]) for k in range(places[i], places[i + 1])
        ]
        spans.sort(key=lambda span: (-span.weight, span.start))
        logit = float(heads[:, i] @ judged.logits[:, i])
        bias = math.fsum([logit, *(-span.weight for span in spans)])
        yield Explanation(label, bias, tuple(spans), windows.get(i))


def _pretences(scanner: Scanner, logits: Floats) -> list[str]:
    """Return each text's most probable label that is not honest: that of its most probable scheme."""
    schemes = scanner.taxonomy.schemes
    rows = [scanner.heads.index(scheme.name) for scheme in schemes]
    return [schemes[place].label for place in logits[rows].argmax(axis=0).tolist()]


class _Characters(NamedTuple):
    """The kept characters of the parts of texts that decided, one text after the other.

    Attributes:
        bounds: int64, shape (texts + 1,): the index at which each text begins, then that at which the last one ends.
        first: int64, shape (characters + 1,): the n-grams that end at character ``i`` are those from ``first[i]`` to
            ``first[i + 1]``, the longest first.
        orders: int64, shape (n-grams,): their numbers of characters.
        weights: float64, shape (n-grams,): how far each of them moves the logit, times the norm of the text.
        norms: float64, shape (texts,): the norms.
        edges: bool, shape (characters,): whether a word may begin at the character, and one may end before it. None
            does inside runs of Latin letters and digits, in numbers and links, and between characters that overlap in
            the original.
        marks: bool, shape (characters,): whether the character is neither a letter nor a digit nor in a number.
        clauses: int64, shape (characters,): the number of the character's clause. A character that ends a clause is a
            clause by itself.

    """

    bounds: Ints
    first: Ints
    orders: Ints
    weights: Floats
    norms: Floats
    edges: Bools
    marks: Bools
    clauses: Ints

    @classmethod
    def of(cls, engine: Engine, texts: Sequence[str], parts: Parts, heads: Floats) -> _Characters:
        """Return the characters of texts, with the weights of their n-grams for ``heads``, shape (heads, texts)."""
        lengths = parts.lengths
        bounds = np.append(0, lengths.cumsum())
        rows = engine.weights[parts.nodes]
        sums = np.zeros((rows.shape[1], lengths.size), dtype=np.int64)
        sums[:, lengths > 0] = np.add.reduceat(rows, bounds[:-1][lengths > 0], axis=0, dtype=np.int64).T
        inputs = engine.scaled(sums, lengths)
        shares = np.zeros((len(engine.scales), lengths.size))
        shares[: len(inputs)] = engine.layer.gradient(inputs, heads) if engine.layer else heads
        effects = np.ascontiguousarray((shares * engine.scales[:, None]).T)
        ngrams = _ngrams(engine, parts.nodes, effects, np.arange(lengths.size).repeat(lengths))
        return cls(bounds, *ngrams, engine.norms(sums, lengths), *_edges(engine.vocabulary, texts, parts))


def _ngrams(engine: Engine, nodes: Ints, effects: Floats, owners: Ints) -> tuple[Ints, Ints, Floats]:
    """Return ``first``, ``orders`` and ``weights`` of `_Characters`.

    Args:
        engine: has the n-grams' weights.
        nodes: shape (characters,): the longest n-gram that ends at each character.
        effects: shape (texts, inputs): how far one unit of each column of the weights moves a text's logit.
        owners: shape (characters,): the index of each character's text.

    """
    vocabulary = engine.vocabulary
    at = np.flatnonzero(nodes)
    found = []
    while at.size:  # a node's weight includes that of its suffix: go through the suffixes one by one
        found.append((at, nodes[at]))
        nodes = vocabulary.suffixes[nodes]
        at = at[nodes[at] > 0]
    at, nodes = np.hstack([np.zeros((2, 0), dtype=np.int64), *found])
    in_order = at.argsort(kind="stable")
    at, nodes = at[in_order], nodes[in_order]
    weights = np.empty(at.size)
    for begin in range(0, at.size, BLOCK):
        part = slice(begin, begin + BLOCK)
        own = engine.weights[nodes[part]] - engine.weights[vocabulary.suffixes[nodes[part]]].astype(np.float64)
        np.einsum("ij,ij->i", own, effects[owners[at[part]]], out=weights[part])
    return at.searchsorted(np.arange(owners.size + 1)), vocabulary.orders[nodes], weights


def _edges(vocabulary: Vocabulary, texts: Sequence[str], parts: Parts) -> tuple[Bools, Bools, Ints]:
    """Return ``edges``, ``marks`` and ``clauses`` of `_Characters`."""
    lengths = parts.lengths
    some = np.flatnonzero(lengths)
    begins = (lengths.cumsum() - lengths)[some]
    first, last = parts.starts[begins], parts.ends[begins + lengths[some] - 1]
    bounds = zip(some.tolist(), first.tolist(), last.tolist(), strict=True)
    joined = "\0".join(texts[i][start:end] for i, start, end in bounds)
    codes, links = code_points(joined), _links(joined)  # mark-up may end a clause
    sizes = last - first + 1
    shift = (sizes.cumsum() - sizes - first).repeat(lengths[some])
    starts, stops = parts.starts + shift, parts.ends + shift
    different, place = np.unique(codes[starts], return_inverse=True)
    characters = list(map(chr, different.tolist()))
    read = vocabulary.table()[different]
    latin, digits = is_latin(read)[place], (read == ord("0"))[place]
    beside = np.diff(starts) == 1
    points = np.zeros(starts.size, dtype=np.bool_)  # signs in numbers: 1.5, 4,800, 23:40
    inner = np.array([character in NUMERIC for character in characters], dtype=np.bool_)[place][1:-1]
    points[1:-1] = inner & digits[:-2] & digits[2:] & beside[:-1] & beside[1:]
    words = latin | digits | points
    edges = np.ones(starts.size, dtype=np.bool_)
    link = links[starts]
    cut = ~(words[1:] & words[:-1] & beside) & ((link[1:] == 0) | (link[1:] != link[:-1]))
    edges[1:] = cut & (starts[1:] >= stops[:-1])
    marks = np.array([not character.isalnum() for character in characters], dtype=np.bool_)[place] & ~points
    kinds = _kinds()[codes]
    kinds[starts[points | (link > 0)]] = 0
    ends = kinds[starts] == END  # those that are read
    ends[1:] |= ends[:-1].copy()
    ends[begins] = True
    unread, blank = np.zeros((2, starts.size), dtype=np.bool_)
    for gaps, kind in ((unread, END), (blank, BLANK)):
        count = np.append(0, (kinds == kind).cumsum())
        gaps[1:] = count[starts[1:]] > count[stops[:-1]]
    ends |= unread & (np.maximum(*_sizes(ends | unread)) > 1)
    plain = ~(words | marks)
    blank[1:] &= plain[1:] & plain[:-1]
    ends |= blank & (np.minimum(*_sizes(ends | blank)) >= CLAUSE)
    return edges, marks, ends.cumsum() - 1


def _links(text: str) -> Ints:
    """Return for each character the number of the link that it is in, from 1 on, or 0."""
    links = np.zeros(len(text), dtype=np.int64)
    for number, found in enumerate(SOLID.finditer(text), 1):
        if LINK.search(found[0]):
            links[found.start() : found.start() + len(found[0].rstrip(".?:"))] = number
    return links


def _sizes(ends: Bools) -> tuple[Ints, Ints]:
    """Return for each character the size of its stretch and of the one before, if stretches begin at ``ends``."""
    stretches = ends.cumsum()
    sizes = np.bincount(stretches)
    return sizes[stretches], sizes[stretches - 1]


@functools.cache
def _kinds() -> npt.NDArray[np.uint8]:
    """Return `END` for each code point of `CLAUSE_ENDS`, `BLANK` for each of `BLANKS`, and 0 for all others."""
    table = np.zeros(sys.maxunicode + 1, dtype=np.uint8)
    table[list(map(ord, CLAUSE_ENDS))] = END
    table[list(map(ord, BLANKS))] = BLANK
    return table


def _spans(of: _Characters) -> tuple[Floats, Ints, Ints]:
    """Return the weight of each character, and where the spans begin and end, as indices of characters."""
    size = of.edges.size
    each = np.empty(size)
    if kernel.compiled:
        starts, stops = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
        found = kernel.compiled.spans(*of, CHANGE, NEGLIGIBLE, each, starts, stops)
        return each, starts[:found], stops[:found]
    spans: list[tuple[int, int]] = []
    first = of.first.tolist()
    ngrams = list(zip(of.orders.tolist(), of.weights.tolist(), strict=True))
    for begin, end, norm in zip(of.bounds[:-1].tolist(), of.bounds[1:].tolist(), of.norms.tolist(), strict=True):
        ending = [
            [(place + 1 - order, weight) for order, weight in ngrams[first[begin + place] : first[begin + place + 1]]]
            for place in range(end - begin)
        ]
        marks = of.marks[begin:end].tolist()
        own = [weight / norm for weight in _spread(ending, marks)]
        clauses = of.clauses[begin:end].tolist()
        words = _words(ending, of.edges[begin:end].tolist(), marks, clauses)
        spans += [(begin + start, begin + stop) for start, stop in _join(words, own, clauses)]
        each[begin:end] = own
    starts, stops = np.array(spans, dtype=np.int64).reshape(-1, 2).T
    return each, starts, stops


Ending = Sequence[Sequence[tuple[int, float]]]
"""For each character of a text the n-grams that end there, the longest first: where each begins, and its weight. An
n-gram may have begun before the window, at a negative place."""


def _total(values: Iterable[float]) -> float:
    """Add values one after the other, as the kernel does; `sum` is more exact in some versions of Python."""
    return functools.reduce(operator.add, values, 0.0)


def _spread(ending: Ending, marks: Sequence[bool]) -> list[float]:
    """Return the weight of each of a text's characters."""
    each = [0.0] * len(ending)
    for end, ngrams in enumerate(ending, 1):
        for start, weight in ngrams:
            whole = range(max(0, start), end)
            places = [place for place in whole if not marks[place]] or whole
            for place in places:
                each[place] += weight / len(places)
    return each


def _words(
    ending: Ending, edges: Sequence[bool], marks: Sequence[bool], clauses: Sequence[int]
) -> list[tuple[int, int]]:
    """Split a text into words, each an n-gram or the text between two edges, with the most evidence inside them.

    No word has punctuation beside anything else, or crosses the end of a clause.
    """

    def inside(start: int, end: int) -> float:
        return _total(abs(weight) for ngrams in ending[start:end] for begin, weight in ngrams if begin >= start)

    size = len(ending)
    best: dict[int, tuple[float, int]] = {0: (0.0, 0)}
    before = first = 0  # the previous edge; the first place at which a word that ends here may begin
    for end in range(1, size + 1):
        if end < size and not edges[end]:
            continue
        last = max(0, before - 1)
        if marks[before] or marks[last] or clauses[last] != clauses[before]:
            first = before
        starts = [before, *(begin for begin, _ in ending[end - 1] if first <= begin < before and begin in best)]
        best[end] = max((best[start][0] + inside(start, end), start) for start in starts)
        before = end
    words = []
    end = size
    while end:
        start = best[end][1]
        words.append((start, end))
        end = start
    return words[::-1]


def _join(words: list[tuple[int, int]], each: Sequence[float], clauses: Sequence[int]) -> list[tuple[int, int]]:
    """Join the words of each clause that pull the same way into spans."""
    spans = []
    for _, clause in itertools.groupby(words, lambda word: clauses[word[0]]):
        spans += _join_clause(list(clause), each)
    return spans


def _join_clause(words: list[tuple[int, int]], each: Sequence[float]) -> list[tuple[int, int]]:
    """Join words into spans for and against, with the least cost.

    The cost is the evidence on the wrong side, plus `CHANGE` for each change of sides. Words without weight are left
    out.
    """
    weights = [_total(each[start:end]) for start, end in words]
    weights = [weight if abs(weight) > NEGLIGIBLE else 0.0 for weight in weights]
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


def _heads_for(scanner: Scanner, logits: Floats, labels: Sequence[str]) -> Floats:
    """Return the weight of each head in the logit of each text for its label, shape (heads, texts)."""
    heads = np.zeros(logits.shape)
    for label in set(labels):
        if label not in scanner.names:
            raise KeyError(f"nothing is called {label!r}; there are: {', '.join(scanner.names)}")
        texts = [i for i, other in enumerate(labels) if other == label]
        if scanner.taxonomy.task != "fraud":
            heads[scanner.heads.index(label), texts] = 1
        elif label == scanner.taxonomy.honest:
            heads[0, texts] = -1
        else:
            known = np.array(_heads_of(scanner, label), dtype=np.int64)
            heads[0, texts] = 1
            heads[known[logits[known][:, texts].argmax(axis=0)], texts] = 1
    return heads


def _heads_of(scanner: Scanner, name: str) -> list[int]:
    """Return the head of a scheme or target group, or those of a pretence's schemes."""
    if name in scanner.heads[1:]:
        return [scanner.heads.index(name)]
    return [scanner.heads.index(scheme.name) for scheme in scanner.taxonomy.label(name).schemes]
