"""The likeliest of all the ways to read a stretch of characters: Viterbi's algorithm (1967) over a lattice.

An edge leads from one place between characters to a later one, and offers some numbers (see `fraudscan.neighbours`),
one of which is read there. A path through the lattice is worth the scores of its edges, the logarithms of how frequent
its numbers are, and those of how well each goes together with the one before. All of it is whole numbers, so that the
kernel and NumPy find the same path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fraudscan import kernel
from fraudscan.neighbours import END, NAT, WIDTH, tables

if TYPE_CHECKING:
    from fraudscan.neighbours import Ints, Numbers

__all__ = ["Edges", "likeliest"]

MARGIN = 5 * NAT
"""By how much a way may be behind the best one to the same place, and still be followed."""

INDEX_BITS = 20
"""In how many bits there is room for the number of a way to one place."""


class Edges(NamedTuple):
    """Ways to read stretches of characters.

    Attributes:
        starts: the places that they lead from; the first is 0.
        ends: the places that they lead to, ascending. There is an edge to each place from 1 to the last.
        choices: which row of `Tables.choices` they offer.
        scores: what is said for them, in the unit of `NAT`.

    """

    starts: Ints
    ends: Ints
    choices: Ints
    scores: Ints


def likeliest(edges: Edges) -> tuple[Ints, Numbers]:
    """Return the edges of the best path, by their index, and the number that is read on each of them.

    Of paths that are worth the same, the one is taken whose last edges come first.
    """
    table = tables()
    lists = table.choices
    counts = lists.bounds[edges.choices + 1] - lists.bounds[edges.choices]
    # States: a number on an edge. The first stands for the end of the text before.
    edge = np.concatenate([[-1], np.arange(counts.size).repeat(counts)])
    first = np.concatenate([[1], 1 + counts.cumsum()])
    numbers = np.empty(edge.size, dtype=np.uint16)
    numbers[0] = END
    numbers[1:] = lists.members[np.arange(1, edge.size) + (lists.bounds[edges.choices] - first[:-1]).repeat(counts)]
    if kernel.compiled:
        last = int(edges.ends[-1])
        scratch = np.empty(last + 2, np.int64), np.empty(edge.size, np.int64), np.empty(edge.size, np.int64)
        path = np.empty(last, np.int64)
        known = table.pairs, table.worth, table.logs, WIDTH, MARGIN
        size = kernel.compiled.likeliest(edges.starts, edges.ends, edges.scores, first, numbers, *known, *scratch, path)
        states = path[:size][::-1]
    else:
        states = _likeliest(edges, edge, numbers)
    return edge[states], numbers[states]


def _likeliest(edges: Edges, edge: Ints, numbers: Numbers) -> Ints:
    """Return the states of the best path.

    Where there is one state only that all paths must pass, paths before and behind have nothing to do with each other:
    all stretches between such places are followed side by side.
    """
    table = tables()
    places = np.concatenate([[0], edges.ends[edge[1:]]])
    first = places.searchsorted(np.arange(edges.ends[-1] + 2))
    crossed = np.zeros(first.size, dtype=np.int64)
    np.add.at(crossed, edges.starts + 1, 1)
    np.subtract.at(crossed, edges.ends, 1)
    passed = (np.diff(first) == 1) & (crossed.cumsum()[:-1] == 0)
    cuts = passed.nonzero()[0]
    depth = places - cuts[np.maximum(cuts.searchsorted(places) - 1, 0)]
    own = table.logs[numbers].astype(np.int64)
    own[1:] += edges.scores[edge[1:]]
    best = np.zeros(edge.size, dtype=np.int64)
    back = np.zeros(edge.size, dtype=np.int64)
    order = depth.argsort(kind="stable")
    sizes = np.bincount(depth)
    for states in np.split(order, sizes.cumsum()[:-1])[1:]:
        if not states.size:
            continue
        before = edges.starts[edge[states]]
        begin = first[before]
        counts = first[before + 1] - begin
        offsets = counts.cumsum() - counts
        index = np.arange(counts.sum()) - offsets.repeat(counts)
        ways = index + begin.repeat(counts)
        keys = numbers[ways].astype(np.int64) * WIDTH + numbers[states].repeat(counts)
        value = best[ways]
        limits = np.maximum.reduceat(value, offsets) - MARGIN
        value = np.where(value < limits.repeat(counts), -(1 << 40), value)
        value += table.worth[table.pairs.view(np.uint8)[keys]]
        found = np.maximum.reduceat(value << INDEX_BITS | (1 << INDEX_BITS) - 1 - index, offsets)
        back[states] = begin + (1 << INDEX_BITS) - 1 - (found & (1 << INDEX_BITS) - 1)
        best[states] = (found >> INDEX_BITS) + own[states]
        best[states[passed[places[states]]]] = 0  # what is behind counts anew
    on_path = np.zeros(edge.size, dtype=bool)
    at = first[cuts[1:]]
    while at.size:
        on_path[at] = True
        at = back[at]
        at = at[~passed[places[at]]]
    states: Ints = on_path.nonzero()[0]
    return states
