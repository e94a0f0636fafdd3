"""The likeliest of all readings of a sequence of characters: Viterbi's algorithm (1967) over a lattice.

A step leads from one position between characters to a later one. Each character may be read as it was written, in a
step of its own. An arc is a step that offers other numbers (see `fraudscan.neighbours`), one of which is read there.
The value of a path is the sum of the log-scores of its steps, of the logarithms of the frequencies of its numbers, and
of the log-scores of how well each number goes together with the one before. All values are integers, so the kernel and
NumPy find the same path.

People disguise a text in one way, by sound or by shape, so an arc may belong to a channel. Each text is read with the
arcs that belong to none and those of one channel: the one whose best path has the highest value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fraudscan import kernel
from fraudscan.arrays import ranges
from fraudscan.neighbours import END, NAT, WIDTH, scores_of, tables

if TYPE_CHECKING:
    from fraudscan.arrays import Ints, Numbers

__all__ = ["EVERY", "SHAPE", "SOUND", "Arcs", "Path", "likeliest"]

EVERY, SOUND, SHAPE = range(3)
"""The channels: that of the arcs that every text may be read with, and those that exclude each other."""

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
        channels: uint8, shape (arcs,): the channels of the arcs.

    """

    starts: Ints
    ends: Ints
    rows: Ints
    scores: Ints
    channels: Any


class Path(NamedTuple):
    """A reading, step by step. Each step ends where the next one begins.

    Attributes:
        begins: shape (steps,): the positions that the steps lead from.
        numbers: shape (steps,): the number that is read in each step.
        gains: shape (texts,): how much the value of each text is above that of the text as written.

    """

    begins: Ints
    numbers: Numbers
    gains: Ints


def likeliest(numbers: Numbers, as_written: Ints, arcs: Arcs) -> Path:
    """Return the best path from before the first number to after the last one.

    If several paths have the same value, the one that reads what was written wins, or else that of the first arc, or
    else that of the first channel.

    Args:
        numbers: shape (places,): what was written: texts, with an `END` after each text.
        as_written: shape (places,): the log-scores of reading the numbers as written, in the unit of `NAT`.
        arcs: the other readings, each inside a text.

    """
    if not kernel.compiled:
        return _likeliest(numbers, as_written, arcs)
    table = tables()
    known = *table.choices, table.pairs, table.worth, table.logs, WIDTH, MARGIN, END
    gains = np.zeros(np.count_nonzero(numbers == END), dtype=np.int64)
    begins, read = np.empty_like(as_written), np.empty_like(numbers)
    size = kernel.compiled.likeliest(numbers, as_written, *arcs, *known, begins, read, gains)
    return Path(begins[:size], read[:size], gains)


def _likeliest(numbers: Numbers, as_written: Ints, arcs: Arcs) -> Path:
    """Do the same as `likeliest` without the kernel."""
    ends = (numbers == END).nonzero()[0]
    paths, values = [], []
    for channel in (SOUND, SHAPE) if arcs.channels.any() else (EVERY,):
        used = (arcs.channels == channel) | (arcs.channels == EVERY)
        begins, read, scores = _best_path(numbers, as_written, Arcs(*(each[used] for each in arcs)))
        paths.append((begins, read))
        values.append(_values(begins, read, scores, ends))
    chosen = np.argmax(values, axis=0)
    on_path, read_at = np.zeros(numbers.size, dtype=bool), np.empty_like(numbers)
    for index, (begins, read) in enumerate(paths):
        used = chosen[ends.searchsorted(begins)] == index
        on_path[begins[used]], read_at[begins[used]] = True, read[used]
    gains = np.max(values, axis=0) - _values(np.arange(numbers.size), numbers, as_written, ends)
    return Path(on_path.nonzero()[0], read_at[on_path], gains)


def _values(begins: Ints, numbers: Numbers, scores: Ints, ends: Ints) -> Ints:
    """Return the value of each text as it is read, from the steps of all texts and the offsets of their ends."""
    together = scores_of(np.roll(numbers, 1), numbers)  # the first text follows an end, too
    values = scores + tables().logs.take(numbers) + tables().worth.take(together.view(np.uint8))
    found: Ints = np.add.reduceat(values, begins.searchsorted(np.append(0, ends[:-1] + 1)))
    return found


def _best_path(written: Numbers, as_written: Ints, arcs: Arcs) -> tuple[Ints, Numbers, Ints]:
    """Return the best path with all of the arcs: where its steps begin, their numbers, and their log-scores.

    Where all paths pass through the same number, the parts before and after it are independent of each other. The spans
    between such positions are therefore searched in parallel.
    """
    table = tables()
    lists = table.choices
    own = np.arange(written.size)
    steps = own, own + 1, written.astype(np.int64), as_written, np.full_like(own, EVERY)
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
    return edges.starts[edge[on_path]], numbers[on_path], edges.scores[edge[on_path]]
