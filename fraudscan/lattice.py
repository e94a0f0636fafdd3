"""The likeliest of all readings of a stretch of characters: Viterbi's algorithm (1967) over a lattice.

A step leads from one place between characters to a later one. Each character may be read as it was written, in a step
of its own; arcs offer some other numbers (see `fraudscan.neighbours`), one of which is read there. A path is worth the
log-scores of its steps, the logarithms of how frequent its numbers are, and those of how well each goes together with
the one before. All of it is whole numbers, so that the kernel and NumPy find the same path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fraudscan import kernel
from fraudscan.neighbours import END, NAT, WIDTH, ranges, tables

if TYPE_CHECKING:
    from fraudscan.arrays import Ints, Numbers

__all__ = ["Arcs", "Path", "likeliest"]

MARGIN = 5 * NAT
"""By how much a path may be behind the best one to the same place, and still be followed."""

INDEX_BITS = 20
"""In how many bits there is room for the number of a path to one place."""


class Arcs(NamedTuple):
    """Other readings of stretches of characters than as they were written.

    Attributes:
        starts: shape (arcs,): the places that they lead from.
        ends: the places that they lead to.
        rows: which row of `Tables.choices` they offer.
        scores: their log-scores, in the unit of `NAT`.

    """

    starts: Ints
    ends: Ints
    rows: Ints
    scores: Ints


class Path(NamedTuple):
    """What is read, step by step; each step ends where the next one begins.

    Attributes:
        begins: shape (steps,): the places that they lead from.
        numbers: what is read there.
        scores: the log-scores of that.

    """

    begins: Ints
    numbers: Numbers
    scores: Ints


def likeliest(numbers: Numbers, as_written: Ints, arcs: Arcs) -> Path:
    """Return the best path from before the first number to behind the last one.

    Of paths that are worth the same, the one is taken that reads what was written, or else the first of the arcs.

    Args:
        numbers: shape (places,): what was written; an `END` is the last of them.
        as_written: shape (places,): the log-scores of reading them so, in the unit of `NAT`.
        arcs: how else it may be read.

    """
    if not kernel.compiled:
        return _likeliest(numbers, as_written, arcs)
    table = tables()
    lists = table.choices
    known = lists.bounds, lists.members, table.pairs, table.worth, table.logs, WIDTH, MARGIN, END
    path = Path(np.empty_like(as_written), np.empty_like(numbers), np.empty_like(as_written))
    size = kernel.compiled.likeliest(numbers, as_written, *arcs, *known, path.begins, path.scores, path.numbers)
    return Path(path.begins[:size], path.numbers[:size], path.scores[:size])


def _likeliest(written: Numbers, as_written: Ints, arcs: Arcs) -> Path:
    """Do the same without the kernel.

    Where all paths must pass one number, what is before and what is behind have nothing to do with each other: all
    stretches between such places are followed side by side.
    """
    table = tables()
    lists = table.choices
    own = np.arange(written.size)
    steps = own, own + 1, written.astype(np.int64), as_written
    order = np.append(own + 1, arcs.ends).argsort(kind="stable")
    edges = Arcs(*(np.append(*both)[order] for both in zip(steps, arcs, strict=True)))
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
    alone = table.logs[numbers].astype(np.int64)
    alone[1:] += edges.scores[edge[1:]]
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
        # The best path through one of those, found together with its index, of which the smallest counts.
        begins = bounds[which]
        tried, sizes = ranges(begins, bounds[which + 1])
        keys = numbers[before[tried]].astype(np.int64) * WIDTH + numbers[states].repeat(sizes)
        values = best[before[tried]] + table.worth[table.pairs.view(np.uint8)[keys]]
        values = (values << INDEX_BITS) + begins.repeat(sizes) - tried
        found = np.maximum.reduceat(values, sizes.cumsum() - sizes)
        back[states] = before[begins + (-found & (1 << INDEX_BITS) - 1)]
        best[states] = (found + (1 << INDEX_BITS) - 1 >> INDEX_BITS) + alone[states]
        best[states[passed[places[states]]]] = 0  # what is behind counts anew
    on_path = np.zeros(edge.size, dtype=bool)
    at = first[cuts[1:]]
    while at.size:
        on_path[at] = True
        at = back[at]
        at = at[~passed[places[at]]]
    return Path(edges.starts[edge[on_path]], numbers[on_path], edges.scores[edge[on_path]])
