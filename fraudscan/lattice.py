"""The likeliest of all readings of a sequence of characters: Viterbi's algorithm (1967) over a lattice.

A step leads from one position between characters to a later one. Each character may be read as it was written, in a
step of its own. An arc is a step that offers other numbers (see `fraudscan.neighbours`), one of which is read there.
The value of a path is the sum of the log-scores of its steps, of the logarithms of the frequencies of its numbers, and
of the log-scores of how well each number goes together with the one before. All values are integers, so the kernel and
NumPy find the same path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fraudscan import kernel
from fraudscan.neighbours import END, NAT, WIDTH, ranges, scores_of, tables

if TYPE_CHECKING:
    from fraudscan.arrays import Ints, Numbers

__all__ = ["Arcs", "Path", "likeliest"]

MARGIN = 5 * NAT
"""A path is still followed if its value is at most this far below that of the best path to the same position."""

INDEX_BITS = 20
"""Number of bits for the index of a path to one position."""

SLICE = 4096
"""How many states are reached at once. Each may be reached from hundreds of others, all of which are in memory."""


class Arcs(NamedTuple):
    """Alternative readings of spans of characters.

    Attributes:
        starts: shape (arcs,): the positions that the arcs lead from.
        ends: shape (arcs,): the positions that they lead to.
        rows: shape (arcs,): the row of `Tables.choices` that each arc offers.
        scores: shape (arcs,): the log-scores of the arcs, in the unit of `NAT`.

    """

    starts: Ints
    ends: Ints
    rows: Ints
    scores: Ints


class Path(NamedTuple):
    """A reading, step by step. Each step ends where the next one begins.

    Attributes:
        begins: shape (steps,): the positions that the steps lead from.
        numbers: shape (steps,): the number that is read in each step.
        scores: shape (steps,): the log-scores of the steps.

    """

    begins: Ints
    numbers: Numbers
    scores: Ints


def likeliest(numbers: Numbers, as_written: Ints, arcs: Arcs) -> Path:
    """Return the best path from before the first number to after the last one.

    If several paths have the same value, the one that reads what was written wins, or else that of the first arc.

    Args:
        numbers: shape (places,): what was written; the last number is an `END`.
        as_written: shape (places,): the log-scores of reading the numbers as written, in the unit of `NAT`.
        arcs: the other readings.

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
    """Do the same as `likeliest` without the kernel.

    Where all paths pass through the same number, the parts before and after it are independent of each other. The spans
    between such positions are therefore searched in parallel.
    """
    table = tables()
    lists = table.choices
    own = np.arange(written.size)
    steps = own, own + 1, written.astype(np.int64), as_written
    order = np.append(own + 1, arcs.ends).argsort(kind="stable")
    edges = Arcs(*(np.append(*both)[order] for both in zip(steps, arcs, strict=True)))
    counts = lists.bounds[edges.rows + 1] - lists.bounds[edges.rows]
    # A state is a number on an edge. The first state stands for the end of the preceding text.
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
    levels = np.split(depth.argsort(kind="stable"), np.bincount(depth).cumsum()[:-1])[1:]
    for states in (level[at : at + SLICE] for level in levels for at in range(0, level.size, SLICE)):
        # The states near enough to the best one at the positions where these edges start.
        unique_edges, which = np.unique(edge[states], return_inverse=True)
        before, sizes = ranges(first[edges.starts[unique_edges]], first[edges.starts[unique_edges] + 1])
        limits = np.maximum.reduceat(best[before], sizes.cumsum() - sizes) - MARGIN
        near = best[before] >= limits.repeat(sizes)
        bounds = np.append(0, near.cumsum()[sizes.cumsum() - 1])
        before = before[near]
        # The best path through one of these states and its index, in one number; the smallest index wins ties.
        begins = bounds[which]
        tried, sizes = ranges(begins, bounds[which + 1])
        scores = scores_of(numbers[before[tried]], numbers[states].repeat(sizes))
        values = best[before[tried]] + table.worth[scores.view(np.uint8)]
        values = (values << INDEX_BITS) + begins.repeat(sizes) - tried
        found = np.maximum.reduceat(values, sizes.cumsum() - sizes)
        back[states] = before[begins + (-found & (1 << INDEX_BITS) - 1)]
        best[states] = (found + (1 << INDEX_BITS) - 1 >> INDEX_BITS) + alone[states]
        best[states[passed[places[states]]]] = 0  # the next span starts from zero
    on_path = np.zeros(edge.size, dtype=bool)
    at = first[cuts[1:]]
    while at.size:
        on_path[at] = True
        at = back[at]
        at = at[~passed[places[at]]]
    return Path(edges.starts[edge[on_path]], numbers[on_path], edges.scores[edge[on_path]])
