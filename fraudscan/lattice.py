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
from fraudscan.neighbours import END, NAT, WIDTH, ranges, tables

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
        ends: the places that they lead to. There is an edge to each place from 1 to the last.
        rows: which row of `Tables.choices` they offer.
        scores: what is said for them, in the unit of `NAT`.

    """

    starts: Ints
    ends: Ints
    rows: Ints
    scores: Ints


def likeliest(edges: Edges) -> tuple[Ints, Numbers]:
    """Return the edges of the best path, by their index, and the number that is read on each of them.

    Of ways to a place that are worth the same, the one is taken that comes first among the edges, and in their choices.
    """
    if not kernel.compiled:
        return _likeliest(edges)
    table = tables()
    last = int(edges.ends.max())
    path, read = np.empty(last, dtype=np.int64), np.empty(last, dtype=np.uint16)
    lists = table.choices
    known = lists.bounds, lists.members, table.pairs, table.worth, table.logs, WIDTH, MARGIN, END
    size = kernel.compiled.likeliest(*edges, *known, path, read)
    return path[:size], read[:size]


def _likeliest(edges: Edges) -> tuple[Ints, Numbers]:
    """Do the same without the kernel.

    Where all paths must pass one number, what is before and what is behind have nothing to do with each other: all
    stretches between such places are followed side by side.
    """
    table = tables()
    lists = table.choices
    order = edges.ends.argsort(kind="stable")
    edges = Edges(*(values[order] for values in edges))
    counts = lists.bounds[edges.rows + 1] - lists.bounds[edges.rows]
    # States: a number on an edge. The first stands for the end of the text before.
    edge = np.concatenate([[-1], np.arange(counts.size).repeat(counts)])
    offered, _ = ranges(lists.bounds[edges.rows], lists.bounds[edges.rows + 1])
    numbers = np.append(np.uint16(END), lists.members[offered])
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
    for states in np.split(depth.argsort(kind="stable"), np.bincount(depth).cumsum()[:-1])[1:]:
        if not states.size:
            continue
        # Which states are near enough to the best one of the places that these edges start from?
        these, which = np.unique(edge[states], return_inverse=True)
        before, sizes = ranges(first[edges.starts[these]], first[edges.starts[these] + 1])
        limits = np.maximum.reduceat(best[before], sizes.cumsum() - sizes) - MARGIN
        near = best[before] >= limits.repeat(sizes)
        bounds = np.append(0, near.cumsum()[sizes.cumsum() - 1])
        before = before[near]
        # The best way from one of those, found together with its index, of which the smallest counts.
        begins = bounds[which]
        ways, sizes = ranges(begins, bounds[which + 1])
        keys = numbers[before[ways]].astype(np.int64) * WIDTH + numbers[states].repeat(sizes)
        values = best[before[ways]] + table.worth[table.pairs.view(np.uint8)[keys]]
        values = (values << INDEX_BITS) + begins.repeat(sizes) - ways
        found = np.maximum.reduceat(values, sizes.cumsum() - sizes)
        back[states] = before[begins + (-found & (1 << INDEX_BITS) - 1)]
        best[states] = (found + (1 << INDEX_BITS) - 1 >> INDEX_BITS) + own[states]
        best[states[passed[places[states]]]] = 0  # what is behind counts anew
    on_path = np.zeros(edge.size, dtype=bool)
    at = first[cuts[1:]]
    while at.size:
        on_path[at] = True
        at = back[at]
        at = at[~passed[places[at]]]
    return order[edge[on_path]], numbers[on_path]
