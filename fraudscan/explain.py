"""Which spans of a text carried a decision.

Every n-gram's weight is spread evenly over its characters; neighbouring characters
that pull the same way form a span. For a pretence the weights are those of two heads,
"not legitimate" and its most probable scheme: the weights of all spans and the two
biases add up to the sum of the two logits. For the honest label they are those of "not
legitimate", with the signs turned round. In a model of a user's own labels they are those
of the label's head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from fraudscan.model import Floats, Scanner

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
    share_of = _shares(scanner, text, label)
    kept, nodes = vocabulary.locate(text)
    weights = scanner.weights @ (share_of * scanner.scales)
    sums = scanner.weights[nodes].sum(axis=0, dtype=np.int64) * scanner.scales
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
    each /= scanner.roots(sums[:, None], np.array([kept.size]))
    edges = np.flatnonzero(np.diff(np.sign(each))) + 1
    spans = []
    for part in np.split(np.arange(kept.size), edges):
        if part.size and each[part].any():
            start, end = int(kept[part[0]]), int(kept[part[-1]]) + 1
            spans.append(Span(start, end, text[start:end], label, float(each[part].sum())))
    return sorted(spans, key=lambda span: (-span.weight, span.start))


def _shares(scanner: Scanner, text: str, label: str) -> Floats:
    """Return what one unit of each head's weight counts for ``label``."""
    schemes = [scheme.name for scheme in scanner.taxonomy.label(label).schemes]
    shares = np.zeros(len(scanner.scales))
    if scanner.taxonomy.task != "fraud":
        shares[scanner.heads.index(label)] = 1
        return shares
    logits = scanner.linear([text])[0][:, 0]
    shares[0] = 1
    if scanner.layer is not None:
        shares[: logits.size] = scanner.layer.gradient(logits)
    if not schemes:
        return -shares
    shares[max(map(scanner.heads.index, schemes), key=lambda head: logits[head])] += 1
    return shares
