"""The order in which a text is displayed: the bidirectional algorithm (Unicode Standard Annex 9).

Only overrides turn characters that are written from left to right, such as Chinese ones. Those that are written from
right to left are taken for such characters.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import numpy as np

from fraudscan.arrays import ranges, runs_of

if TYPE_CHECKING:
    from fraudscan.arrays import Ints

__all__ = ["display_order"]

OVERRIDES, ISOLATES, LEFTWARD = ("LRO", "RLO"), ("LRI", "RLI", "FSI"), ("RLE", "RLO", "RLI")
OPENERS = {"LRE", "RLE", *OVERRIDES, *ISOLATES}
NEUTRAL = {"CS", "ES", "ET", "NSM", "ON", "S", "WS"}
"""Bidirectional classes of characters: those that override, isolate, turn leftward, open a span, and take their
direction from the characters around."""

DEEPEST = 125
"""The deepest level of embedding that Unicode allows."""


def display_order(text: str) -> Ints:
    """Return the places of a text's characters in the order in which they are displayed, from left to right.

    >>> written = "12\u202e43\u202c56"
    >>> "".join(written[place] for place in display_order(written) if written[place].isdigit())
    '123456'

    """
    places, levels = _levels(text)
    for level in range(int(levels.max(initial=0)), 0, -1):
        begins, ends = runs_of((levels >= level).nonzero()[0])
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            places[begin:end] = places[begin:end][::-1].copy()
    return places


def _levels(text: str) -> tuple[Ints, Ints]:
    """Return the places of all characters but those that embed, and how deep each is embedded: if odd, it is turned."""
    spans = [("", 0, False)]  # what is open: the kind of what opened it, its level, and whether it overrides
    isolates = 0
    found: list[tuple[int, int, bool]] = []  # places, levels, and whether the level depends on the characters around
    for place, kind in enumerate(map(unicodedata.bidirectional, text)):
        opener, level, overrides = spans[-1]
        if kind in OPENERS:
            inner = level + 1 + (level % 2 == (kind in LEFTWARD))
            deep = level == DEEPEST or inner > DEEPEST
            spans.append((kind, DEEPEST, overrides) if deep else (kind, inner, kind in OVERRIDES))
            isolates += kind in ISOLATES
        elif kind == "PDF":
            if opener and opener not in ISOLATES:
                spans.pop()
        elif kind == "PDI":
            while isolates and spans.pop()[0] not in ISOLATES:
                pass
            isolates -= isolates > 0
        elif kind == "BN" and found:  # it has no direction of its own, nor a width
            found.append((place, *found[-1][1:]))
        else:
            if kind == "B":
                del spans[1:]
                isolates = level = 0
            found.append((place, level if overrides else level + level % 2, kind in NEUTRAL and not overrides))
    places, levels, neutral = np.array(found, dtype=np.int64).reshape(-1, 3).T
    begins, ends = runs_of(neutral.nonzero()[0])
    around = np.append(levels, 0)
    turned = (around[begins - 1] % 2 > 0) & (around[ends] % 2 > 0)
    levels[ranges(begins[turned], ends[turned])[0]] |= 1
    return places.copy(), levels
