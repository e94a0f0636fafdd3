"""Which spans of a text carried a decision.

Every n-gram's weight is spread evenly over its characters; neighbouring characters
that pull the same way form a span. For a pretence the weights are those of two heads,
"not legitimate" and its most probable scheme: the weights of all spans and the two
biases add up to the sum of the two logits. For the honest label they are those of "not
legitimate", with the signs turned round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fraudscan.disguise import normalize
from fraudscan.model import SHORT

if TYPE_CHECKING:
    from fraudscan.model import Scanner

__all__ = ["Span", "explain"]


class Span(NamedTuple):
    """A stretch of the original text and how far it moved the decision for ``label`` (log-odds; negative: against)."""

    start: int
    end: int
    text: str
    label: str
    weight: float


def explain(scanner: Scanner, text: str, label: str) -> list[Span]:
    """Return the spans that speak for and against ``label``, those for it first, by falling weight.

    Args:
        scanner: the scanner whose decision is explained.
        text: the original text; offsets refer to it.
        label: a label of the scanner's taxonomy.

    Raises:
        KeyError: if there is no such label.

    """
    vocabulary = scanner.vocabulary
    logits = scanner.logits([text])[0]
    schemes = [scanner.heads.index(scheme.name) for scheme in scanner.taxonomy.label(label).schemes]
    share_of = np.zeros(len(scanner.heads))  # what one unit of each head's weight counts here
    share_of[0] = 1 if schemes else -1
    if schemes:
        share_of[max(schemes, key=lambda head: logits[head])] = 1
    read = normalize(text)
    kept, nodes = vocabulary.locate(read.text)
    starts, ends = read.starts[kept], read.ends[kept]
    weights = scanner.weights @ (share_of * scanner.scales)
    each = np.zeros(kept.size)
    at = np.arange(kept.size)
    while at.size:  # a node's weight is its own and that of its suffix: take the suffixes one by one
        at, nodes = at[nodes > 0], nodes[nodes > 0]
        suffixes = vocabulary.suffixes[nodes]
        orders = vocabulary.orders[nodes]
        share = (weights[nodes] - weights[suffixes]) / np.maximum(orders, 1)
        for back in range(int(orders.max(initial=0))):
            inside = orders > back
            np.add.at(each, at[inside] - back, share[inside])
        nodes = suffixes
    each /= np.sqrt(kept.size + SHORT)
    edges = np.flatnonzero(np.diff(np.sign(each)) * np.diff(starts)) + 1  # what was read as several stays one
    spans = []
    for part in np.split(np.arange(kept.size), edges):
        if part.size and each[part].any():
            start, end = int(starts[part[0]]), int(ends[part[-1]])
            spans.append(Span(start, end, text[start:end], label, float(each[part].sum())))
    return sorted(spans, key=lambda span: (-span.weight, span.start))
